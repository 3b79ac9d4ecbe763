/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The grants: a table (audience, client) -> permissions, read from directives and from a grant
 * file, and the answer to a token request's `scope`. Used by the M2M server and by the command
 * line tool that edits the file.
 *
 * A grant is a line `AUDIENCE CLIENT PERMISSION...`. What a client asks for is written
 * `AUDIENCE|PERMISSION`, several separated by blanks; `AUDIENCE|.all` is everything granted.
 * Nothing is implied: what no line grants does not exist, and an unknown audience cannot be
 * told from one where the client has nothing.
 *
 * A table is filled by one thread and never changes once it is published.
 */
#ifndef M2_GRANT_H
#define M2_GRANT_H

#include "base/m2_err.h"
#include "base/m2_slice.h"

#define M2_MAX_GRANT_BYTES (4 * 1024 * 1024) /* a grant file */
#define M2_MAX_GRANT_LINE 16384 /* bytes of one line, so that one typo cannot eat the file */
#define M2_MAX_SCOPES 256       /* permissions of one grant and of one request */
#define M2_MAX_SCOPE_TEXT 8192  /* bytes of a token's scope, so that it fits M2_MAX_TOKEN */

#define M2_SCOPE_ALL ".all"

/* granted like a permission, but never part of a token nor of .all: lets a client ask about
 * the tokens of that audience (RFC 7662) */
#define M2_SCOPE_INTROSPECT ".introspect"

typedef struct m2_grants_t m2_grants_t;

/* one line of a grant file, or one M2MGrant */
typedef struct m2_grant_t {
    m2_slice_t audience;
    m2_slice_t client;
    apr_array_header_t *permissions; /* of m2_slice_t, at least one */
} m2_grant_t;

/* what a token may say */
typedef struct m2_scope_t {
    const char *audience;
    const char *permissions; /* blank-separated, without audience */
    const char *scope;       /* the same, each as AUDIENCE|PERMISSION */
} m2_scope_t;

/** Whether word can be a client id here: 1..255 visible ASCII characters, no ':' (httpd's
 *  password files end the name there), no '|', '"', '\'; not '#' first. */
int m2_client_id_ok(m2_slice_t word);

/** Whether word can be an audience or a permission: visible ASCII without '"', '\' (RFC 6749
 *  3.3) and '|'; at most 255 bytes; not '#' first. */
int m2_scope_word_ok(m2_slice_t word);

/**
 * Read one line into *grant, whose slices point into line and whose array lives in pool.
 * M2_OK; M2_E_NOT_FOUND for an empty line or a comment (`#` first); M2_E_CONFIG with a
 * sentence for anything else.
 */
m2_code_t m2_grant_read(m2_grant_t *grant, apr_pool_t *pool, m2_slice_t line, m2_err_t *err);

/** An empty table in pool. */
m2_grants_t *m2_grants_make(apr_pool_t *pool);

/** Add a grant; words are copied. A second grant of one pair adds to the first. M2_E_CONFIG
 *  with a sentence for more than M2_MAX_SCOPES. */
m2_code_t m2_grants_add(m2_grants_t *grants, const m2_grant_t *grant, m2_err_t *err);

/** Add everything other has. */
m2_code_t m2_grants_add_all(m2_grants_t *grants, const m2_grants_t *other, m2_err_t *err);

/** From now on grants has what other has as well (NULL: no more), which must live as long. */
void m2_grants_join(m2_grants_t *grants, const m2_grants_t *other);

/** Add every line of a grant file. M2_E_CONFIG with err->line on the first bad one. */
m2_code_t m2_grants_parse(m2_grants_t *grants, m2_slice_t text, m2_err_t *err);

/** Number of (audience, client) pairs. */
unsigned int m2_grants_count(const m2_grants_t *grants);

/** Whether a grant names the client. */
int m2_grants_knows(const m2_grants_t *grants, const char *client);

/** Whether client may ask about tokens of audience; with audience NULL, of any. */
int m2_grants_introspects(const m2_grants_t *grants, apr_pool_t *pool, const char *client,
                          const char *audience);

/**
 * What of `wanted` (a request's scope parameter) client is granted: all of it, or an error.
 * resource, unless NULL, is the audience of scopes written without `|`, and with no scope at
 * all everything granted there is meant (RFC 8707 2). M2_OK; with a sentence that quotes
 * nothing M2_E_INSUFFICIENT_SCOPE: empty, no `|`, two audiences, not granted, too long; or
 * M2_E_AUDIENCE_MISMATCH: resource is not an absolute URI, has a fragment, is another
 * audience than that of a scope, or the client has nothing there.
 */
m2_code_t m2_grants_resolve(m2_scope_t *scope, apr_pool_t *pool, const m2_grants_t *grants,
                            const char *client, m2_slice_t wanted, const char *resource,
                            m2_err_t *err);

#endif /* M2_GRANT_H */
