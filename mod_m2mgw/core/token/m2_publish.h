/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Claims plus mapping -> a list of (place, name, value) for the caller to apply. Values are
 * checked here for what no place may hold; percent-encoding happens where a value is put into a
 * query, form or path.
 */
#ifndef M2_PUBLISH_H
#define M2_PUBLISH_H

#include "request/m2_body.h"
#include "request/m2_nameset.h"
#include "text/m2_json.h"

typedef enum m2_place_t { /* ORDER PLACE: rows in m2_publish.c */
    M2_PLACE_QUERY,
    M2_PLACE_HEADER,
    M2_PLACE_PATH,
    M2_PLACE_FORM,
    M2_PLACE_ENV,
    M2_PLACES /* how many there are */
} m2_place_t;

typedef enum m2_encoding_t { /* ORDER ENCODING: words in m2_publish.c */
    M2_ENCODING_NONE,
    M2_ENCODING_BASE64URL,
    M2_ENCODING_PERCENT,
    M2_ENCODINGS
} m2_encoding_t;

#define M2_ALL_CLAIMS "*" /* the claim of that name is the whole payload */

/* one target of an M2MClaim */
typedef struct m2_target_t {
    const char *claim; /* a path (m2_json_path), or M2_ALL_CLAIMS */
    m2_place_t place;
    const char *name;
    m2_encoding_t encoding;
} m2_target_t;

/* the claims list group of a section */
typedef struct m2_mapping_t {
    apr_array_header_t *targets; /* of m2_target_t, in order */
    apr_array_header_t *names[M2_PLACES]; /* of const char *, per place; NULL: none */
    m2_nameset_t *sets[M2_PLACES]; /* the same for query, header and form, to look names up in */
} m2_mapping_t;

/* The claim lists of a section and of all that it lies in, innermost first: their names are
 * taken out of what the client sent, whatever list is in force. */
typedef struct m2_scrub_t {
    const m2_mapping_t *mapping;
    const struct m2_scrub_t *outer;
} m2_scrub_t;

/* something to publish */
typedef struct m2_publish_t {
    m2_place_t place;
    const char *name;
    const char *value; /* claim text (m2_json_text), not encoded; NULL: claim absent, only
                          scrub the name */
} m2_publish_t;

/** The word of a place, as in `query:NAME`. */
const char *m2_place_word(m2_place_t place);

/** Parse `query:N` etc.; M2_E_CONFIG with a sentence (unknown place, empty or unfit name:
 *  header names are tokens of RFC 9110 and not framing or hop-by-hop ones, path names are
 *  letters, digits, '_' and '-'). */
m2_code_t m2_target_parse(m2_target_t *target, apr_pool_t *pool, const char *claim,
                          const char *word, m2_err_t *err);

/** ` encoding=WORD` of a target, as it is written behind it; "" without. */
const char *m2_target_options(apr_pool_t *pool, const m2_target_t *target);

/** Add the targets of one M2MClaim line: words (of const char *) are a claim, targets, and
 *  perhaps a last `encoding=base64url|percent`, which needs all of them to be headers or
 *  variables. `*` is all claims as base64url JSON, in headers. M2_E_CONFIG with a sentence. */
m2_code_t m2_mapping_read(m2_mapping_t *mapping, const apr_array_header_t *words,
                          m2_err_t *err);

/** A mapping without targets, in pool. */
m2_mapping_t *m2_mapping_make(apr_pool_t *pool);

/** Two targets of one place whose names fold to the same: an M2_E_CONFIG error. */
m2_code_t m2_mapping_add(m2_mapping_t *mapping, const m2_target_t *target, m2_err_t *err);

/**
 * One entry per target. claims NULL (no verified token): every value NULL.
 * M2_E_CLAIM_UNSAFE for a value with CR, LF or NUL anywhere, control bytes or a blank at its
 * edge in a header, and for path values that are empty, `.`, `..` (also once a `;` and what
 * follows it, or blanks at the end, are cut off) or hold `/ \ %` or control bytes;
 * M2_E_CLAIM_MISSING_PATH for a path target without its claim (also without a token).
 */
m2_code_t m2_publish_collect(apr_array_header_t **plist, apr_pool_t *pool,
                             const m2_mapping_t *mapping, const m2_json_t *claims,
                             m2_err_t *err);

/** Whether any claim list of scrub, which may be NULL, maps to place. */
int m2_scrub_maps_to(const m2_scrub_t *scrub, m2_place_t place);

/** Whether names can be taken out of a request with that Content-Type (which may be NULL, and
 *  counts for a query, too) and that kind of body, and where mapping, which is in force and may
 *  be NULL, sets some in a form, whether it is one; other: bodies with a type of their own may
 *  pass there. Where only other lists of scrub name form fields, a content-encoded body that
 *  may hold them does not pass. M2_E_BODY_UNSUPPORTED with a sentence. */
m2_code_t m2_publish_takes(const m2_scrub_t *scrub, const m2_mapping_t *mapping, int other,
                           m2_body_kind_t kind, const char *type, m2_err_t *err);

/** `M2M_CLAIM_<name>` for a claim name, other characters than letters and digits as '_'. */
const char *m2_claim_env_name(apr_pool_t *pool, const char *claim);

/**
 * Environment entries (m2_publish_t of M2_PLACE_ENV) for every top-level claim: where two
 * names collide the exact one wins, else neither is set; values with control bytes are left
 * out.
 */
apr_array_header_t *m2_publish_env(apr_pool_t *pool, const m2_json_t *claims);

/** Header names that must not be set or mapped to: framing and hop-by-hop fields (RFC 9110 7.6.1,
 *  9112), Host and the X-Ca-* fields we send ourselves. Also true for an invalid field name. */
int m2_header_name_forbidden(const char *name);

#endif /* M2_PUBLISH_H */
