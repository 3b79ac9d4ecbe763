/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What the httpd side keeps with a request, and who does what with it.
 *
 * One client request can be many request_recs: internal redirects (r->prev), subrequests
 * (r->main), error documents. What concerns the token (found once, verified once per policy,
 * spent once) is kept with the initial request; what concerns the URI at hand (rules, what
 * was published, the refusal) with each request_rec.
 */
#ifndef MOD_M2MGW_REQUEST_H
#define MOD_M2MGW_REQUEST_H

#include "httpd/config/m2mgw_conf.h"

/* a token found in some source of the client's request */
typedef struct m2mgw_found_t {
    m2_token_place_t place;
    const char *name;
    m2_slice_t token;
} m2mgw_found_t;

/* the token half of a decision, remembered for one policy */
typedef struct m2mgw_judged_t {
    struct m2mgw_judged_t *next;
    m2_policy_t policy;
    m2_slice_t token;
    m2_verdict_t verdict;
} m2mgw_judged_t;

/* what a token's mark in the replay store came to */
typedef struct m2mgw_spent_t {
    m2_slice_t token;
    m2_code_t code;
} m2mgw_spent_t;

/* kept with the initial request, in its pool */
typedef struct m2mgw_root_t {
    request_rec *r;
    const char *request_id;      /* X-Ca-Request-Id */
    apr_array_header_t found;    /* of m2mgw_found_t: tokens seen so far, removed or not */
    m2mgw_judged_t *judged;
    apr_array_header_t spent;    /* of m2mgw_spent_t */
    struct m2mgw_body_t *body;   /* the buffered body, NULL until something needs it */
    /* room for the first of each, which is nearly always the only one */
    m2mgw_found_t first_found;
    m2mgw_judged_t first_judged;
    m2mgw_spent_t first_spent;
} m2mgw_root_t;

/* kept with every request_rec that reached the access stage */
typedef struct m2mgw_ctx_t {
    request_rec *r;
    m2mgw_root_t *root;
    m2mgw_effective_t effective;
    int noted;                  /* the decision stands in the environment */
    int seen;                   /* the access stage was reached */
    int was_in_force;           /* at any time: mod_dir puts another section's in its place */
    int in_force;               /* effective holds something that protects this request */
    int decided;                /* verdict is that of uri, method and args below */
    const struct ap_conf_vector_t *section; /* what effective was resolved from */
    const char *uri;
    const char *method;
    const char *args;           /* as we left them */
    m2_verdict_t verdict;
    m2_slice_t token;           /* "there is none", or the one token of the request */
    int token_elsewhere;        /* a token came by something else than Authorization */
    int body_unusable;          /* a body fault, which no engine mode lets pass */
    int refused;                /* HTTP status of our refusal, 0: none */
    int error_document;         /* a local error document for our own refusal */
    int in_authz;               /* inside our own run of the authorization hooks */
    m2_code_t authz;            /* what our Require providers refused with, or M2_OK */
    const char *client_line;    /* the request line, while handlers see another */
    const char *content_type;   /* of the refusal's body, NULL: no body */
    const char *body;           /* of the refusal, NULL: left to ErrorDocument */
} m2mgw_ctx_t;

/** The record of r, NULL when it has none yet. */
m2mgw_ctx_t *m2mgw_ctx(request_rec *r);

/** The record of r, made if needed (with its root), effective policy resolved anew. */
m2mgw_ctx_t *m2mgw_ctx_make(request_rec *r);

/** Whether r is a look-ahead: a subrequest of a request that has not reached its own access
 *  stage (mod_rewrite's %{LA-U:}). It must not decide, store or spend anything. */
int m2mgw_is_lookahead(request_rec *r);

/* --- mod_m2mgw_token.c: finding the one token, taking it out --- */

/** Find the token of r by the policy's sources, remember it at the root, and remove it from
 *  what goes on unless M2MForwardToken keeps it. M2_OK with ctx->token (or "there is none"),
 *  M2_E_TOKEN_MULTIPLE, or a body fault. */
m2_code_t m2mgw_token_take(m2mgw_ctx_t *ctx, request_rec *r, m2_err_t *err);

/** Mask the values of the virtual host's query token names in the request line of r and in
 *  its unparsed URI; with args also in r->args and in the backend's URL (only when the
 *  request is over). */
void m2mgw_token_mask(request_rec *r, int args);

/** Set a request header to elements (m2_slice_t) with separator between them, or unset it
 *  when there are none. */
void m2mgw_set_list(request_rec *r, const char *name, const apr_array_header_t *elements,
                    const char *separator);

/** Next `name=value` of a Cookie header (RFC 6265 4.2.1); 0 at the end. value is "there is
 *  none" without '='. */
int m2mgw_cookie_next(const char **rest, m2_slice_t *raw, m2_slice_t *name,
                      m2_slice_t *value);

/* --- mod_m2mgw_facts.c --- */

/** Fill facts so that rules can ask about r. */
void m2mgw_facts_init(m2_facts_t *facts, m2mgw_ctx_t *ctx, request_rec *r, apr_time_t now);

/* --- mod_m2mgw_apply.c --- */

/** Take every name we publish out of what the client sent. */
void m2mgw_scrub(m2mgw_ctx_t *ctx, request_rec *r);

/** Take our own variables out of the environment, before a decision sets them anew. */
void m2mgw_scrub_env(m2mgw_ctx_t *ctx, request_rec *r);

/** Publish what the token half collected: args, headers, environment, user. */
void m2mgw_publish(m2mgw_ctx_t *ctx, request_rec *r);

/** Rewrite an urlencoded body where claims go into it: our names out, verified values in.
 *  M2_E_BODY_UNSUPPORTED for a body that could hold form fields and cannot be rewritten. */
m2_code_t m2mgw_publish_form(m2mgw_ctx_t *ctx, request_rec *r, m2_err_t *err);

/** Our names out of the request line while handlers run, and the line back for the log. */
void m2mgw_line_scrub(m2mgw_ctx_t *ctx, request_rec *r);
void m2mgw_line_restore(m2mgw_ctx_t *ctx, request_rec *r);

/** Once mod_rewrite and mod_proxy know the backend's URL: a raw query inside it (nocanon,
 *  [P,NE]) is replaced by r->args. */
void m2mgw_fix_raw_query(request_rec *r);

/** Write the decision into the environment. */
void m2mgw_note_decision(m2mgw_ctx_t *ctx, request_rec *r);

/* --- mod_m2mgw_response.c --- */

/** Turn the refusal in ctx->verdict into headers and body; returns the HTTP status. */
int m2mgw_refuse(m2mgw_ctx_t *ctx, request_rec *r);

void m2mgw_response_register(void);

/** insert_filter hook: what a response of ours needs on its way out. */
void m2mgw_response_insert(request_rec *r);

/* --- mod_m2mgw_path.c --- */

/** Whether the path of r could mean another path to the backend than to rules, or names a
 *  placeholder that only the administrator may write. */
int m2mgw_path_is_unsafe(const m2_policy_t *policy, request_rec *r);

void m2mgw_path_register(void);

/* --- mod_m2mgw_nocache.c --- */

/** Have mod_cache, where it is loaded, store nothing of this response. */
void m2mgw_nocache_store(request_rec *r);

void m2mgw_nocache_register(void);

/* --- mod_m2mgw_authz.c --- */

/** The authorization stages (access_checker_ex, auth_checker), run around the modules behind
 *  us, so that a refusal by our providers becomes ours. */
int m2mgw_authz_userless(request_rec *r);
int m2mgw_authz_user(request_rec *r);

void m2mgw_authz_register(apr_pool_t *pool);

/* --- mod_m2mgw_body.c --- */

/** The urlencoded body of the client's request, read once and handed on to the handler; "there
 *  is none" when the request has no urlencoded body, or a handler has read it.
 *  M2_E_BODY_TOO_LARGE over M2MFormLimit, M2_E_BODY_UNREADABLE when the client does not send
 *  it, M2_E_BODY_UNSUPPORTED for a form in a character set that respells names. */
m2_code_t m2mgw_body_form(m2_slice_t *pform, m2mgw_ctx_t *ctx, request_rec *r, m2_err_t *err);

/** Whether a body could hold form fields that m2mgw_body_form does not see: multipart, or
 *  content-encoded. */
int m2mgw_body_is_opaque(request_rec *r);

/** Whether the client did not send all of the body that was read: nobody gets what there is. */
int m2mgw_body_is_broken(const m2mgw_ctx_t *ctx);

/** Hand form to the backend in place of the urlencoded body read before. */
void m2mgw_body_replace(m2mgw_ctx_t *ctx, request_rec *r, const char *form);

void m2mgw_body_register(void);

/* --- mod_m2mgw_cache.c --- */

/** The verified-token cache of this process, or NULL. */
struct m2_cache_t *m2mgw_cache(void);

void m2mgw_cache_register(void);

/* --- mod_m2mgw_runtime.c --- */

/** Mark the verdict's token in the replay store. */
m2_code_t m2mgw_runtime_spend(const m2_verdict_t *verdict, m2_err_t *err);

void m2mgw_runtime_register(void);

#endif /* MOD_M2MGW_REQUEST_H */
