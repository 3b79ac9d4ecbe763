/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What the httpd side keeps with a request, and who does what with it.
 *
 * One client request can be many request_recs: internal redirects (r->prev), subrequests
 * (r->main), error documents. What concerns the token (found once, verified once per policy,
 * spent once) is kept with the initial request; what concerns the URI at hand (rules, what
 * was published, the refusal) with each request_rec.
 *
 * The room request takes a request_rec apart for the gate, carries out its verdict and
 * answers. Never decides by itself what may pass.
 */
#ifndef M2MGW_CTX_H
#define M2MGW_CTX_H

#include "httpd/config/m2mgw_conf.h"

/* a token found in some source of the client's request */
typedef struct m2mgw_found_t {
    m2_token_place_t place;
    const char *name;
    m2_slice_t token;
    int as_dpop; /* under the scheme `DPoP`; in a header only */
} m2mgw_found_t;

/* the token half of a decision, remembered for one policy */
typedef struct m2mgw_judged_t {
    struct m2mgw_judged_t *next;
    m2_policy_t policy;
    m2_slice_t token;
    m2_verdict_t verdict;
} m2mgw_judged_t;

/* the result of marking a token in the replay store */
typedef struct m2mgw_spent_t {
    m2_slice_t token;
    m2_code_t code;
} m2mgw_spent_t;

/* the last refusal of a subrequest, in texts that outlive it */
typedef struct m2mgw_below_t {
    int status; /* 0: there was none */
    m2_code_t code;
    m2mgw_profile_t profile;
    const char *why;
} m2mgw_below_t;

/* Kept with the initial request, in its pool; made by m2mgw_ctx_make. */
typedef struct m2mgw_root_t {
    request_rec *r;
    const char *request_id;      /* X-Ca-Request-Id; m2mgw_request_id */
    apr_array_header_t found;    /* of m2mgw_found_t: tokens seen so far, removed or not; token */
    m2mgw_judged_t *judged;      /* decide */
    int kid_asked;               /* a key source is or will be asked for the kid; decide */
    apr_array_header_t spent;    /* of m2mgw_spent_t; decide */
    m2_slice_t proof;            /* value of the client's DPoP header; proof */
    int proof_fields;            /* how many there were */
    int proof_kept;              /* they have been looked at */
    int proof_spent;             /* with the outcome proof_code */
    m2_code_t proof_code;
    apr_array_header_t *limits;  /* of m2_limit_use_t: buckets it was taken from; limits */
    int limit_headers;           /* RateLimit fields are wanted; limits */
    m2mgw_below_t below;         /* response, for adopt */
    struct m2mgw_body_t *body;   /* NULL until something needs the body; body */
    /* room for the first of each, which is nearly always the only one */
    m2mgw_found_t first_found;
    m2mgw_judged_t first_judged;
    m2mgw_spent_t first_spent;
} m2mgw_root_t;

/* Kept with every request_rec that reached the access stage or the guard. Life of a record:
 *
 *     made -> seen -> decided -> noted -> concluded: passed, or refused with a status
 *                  `-> error_document: served for a refusal, nothing is decided
 *
 * Where another section is put in the request's place (mod_dir, a rewrite), it begins again at
 * `made`; was_in_force and refused stay. Behind each member: the file that sets it. */
typedef struct m2mgw_ctx_t {
    /* m2mgw_ctx.c */
    request_rec *r;
    m2mgw_root_t *root;
    m2mgw_effective_t effective;
    const struct ap_conf_vector_t *section; /* what effective was resolved from */
    int in_force;               /* effective holds something that protects this request */
    const m2_scrub_t *scrub;    /* names that are removed here, in force or not */
    int was_in_force;           /* at any time: mod_dir puts another section's in its place */

    /* m2mgw_decide.c */
    int seen;                   /* the access stage was reached */
    int decided;                /* verdict is that of uri, method and args below */
    const char *uri;
    const char *method;
    const char *args;           /* as we left them */
    m2_verdict_t verdict;       /* its code also by m2mgw_authz.c */
    int uncharged;              /* left to the request that an upgrade makes of it */
    int body_unusable;          /* a body fault, which no engine mode lets pass */
    int error_document;         /* a local error document for our own refusal */

    /* m2mgw_pathguard.c */
    const char *path_shadow;    /* why its path would be refused, were the section that was
                                   missed not in Shadow; NULL: it would not */
    const struct m2mgw_section_t *path_section; /* that one */

    /* m2mgw_operation.c */
    const struct m2mgw_operation_t *operation; /* NULL: no operations are in force */

    /* m2mgw_token.c */
    m2_slice_t token;           /* absent, or the one token of the request */
    int token_elsewhere;        /* a token came by something else than Authorization */
    int token_removed;          /* the backend does not get it */
    int as_dpop;                /* it came under the scheme `DPoP` */

    /* m2mgw_apply.c */
    int scrubbed;               /* names were taken out, once at least */
    int query_changed;          /* something of the client's query was; also m2mgw_method.c */
    int noted;                  /* the decision stands in the environment */
    const char *client_line;    /* the request line, while handlers see another */

    /* m2mgw_authz.c */
    int in_authz;               /* inside our own run of the authorization hooks */
    m2_code_t authz;            /* what our Require providers refused with, or M2_OK */
    const char *authz_line;     /* the first line of ours that did */
    const char *missing_scope;  /* what that line asks for, blank-separated, or NULL */
    int require_denied;         /* HTTP status of a refusal by httpd's own Require, or 0 */

    /* m2mgw_limits.c */
    const char *retry_after;    /* seconds until a limit lets it pass, or NULL */

    /* m2mgw_response.c */
    int refused;                /* HTTP status of our refusal, 0: none */
    const char *content_type;   /* of the refusal's body, NULL: no body */
    const char *body;           /* of the refusal, NULL: left to ErrorDocument */
} m2mgw_ctx_t;

/** The record of r, NULL when it has none yet. */
m2mgw_ctx_t *m2mgw_ctx(request_rec *r);

/** The record of r, made if needed (with its root), effective policy resolved anew. */
m2mgw_ctx_t *m2mgw_ctx_make(request_rec *r);

/** Make a record a refusal, On, for a request that no policy decides on; the answer follows the
 *  directives of dir. why is borrowed. */
void m2mgw_ctx_close(m2mgw_ctx_t *ctx, const m2mgw_dir_t *dir, m2_code_t code,
                     const char *why);

/** The id of the client's request: mod_unique_id's, or a random one; made at the first call. */
const char *m2mgw_request_id(m2mgw_ctx_t *ctx);

#define M2MGW_RANDOM 16

/** Random bytes: buffered for this thread, so that one call of the generator serves many. */
void m2mgw_random(unsigned char bytes[M2MGW_RANDOM]);

/** In a new child: drop the bytes buffered by the parent's thread, which two children must not
 *  both use. */
void m2mgw_request_id_reseed(void);

/** Whether r is a look-ahead: a subrequest of a request that has not reached its own access
 *  stage (mod_rewrite's %{LA-U:}). It must not decide, store or spend anything. */
int m2mgw_is_lookahead(request_rec *r);

#endif /* M2MGW_CTX_H */
