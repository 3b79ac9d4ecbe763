/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A request of a client: for a token (RFC 6749 4.4), or about one (introspection RFC 7662,
 * revocation RFC 7009). Form body plus Authorization header -> which client it says it is, by
 * exactly one method, and what it asks for. Nothing here decides whether it is that client.
 *
 * Also the one table of errors a token endpoint answers with (RFC 6749 5.2). Texts are
 * constants: nothing a client sent is ever quoted back.
 *
 * Read strictly: a parameter this endpoint knows may be there once (RFC 6749 3.2), a bad
 * percent escape or a NUL is an error, '&' alone separates.
 *
 * The room oauth decides what a client of the M2M server asks for and may have. Never
 * knows whether it is that client, nor a web server.
 */
#ifndef M2_OAUTH_H
#define M2_OAUTH_H

#include "base/m2_err.h"
#include "base/m2_slice.h"
#include "request/m2_nameset.h"

#define M2_MAX_TOKEN_REQUEST 65536 /* bytes of the form body; an assertion is 16 KiB */
#define M2_MAX_BASIC 8192          /* bytes of the Authorization value; httpd's line limit */

#define M2_GRANT_CLIENT_CREDENTIALS "client_credentials"
#define M2_ASSERTION_JWT_BEARER "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

typedef enum m2_oauth_error_t { /* ORDER OAUTH ERROR: rows in m2_oauth.c */
    M2_OAUTH_OK,
    M2_OAUTH_INVALID_REQUEST,
    M2_OAUTH_METHOD,        /* invalid_request: not POST */
    M2_OAUTH_INVALID_CLIENT,
    M2_OAUTH_INVALID_SCOPE,
    M2_OAUTH_INVALID_TARGET, /* RFC 8707 2 */
    M2_OAUTH_GRANT_TYPE,    /* unsupported_grant_type */
    M2_OAUTH_FORBIDDEN,     /* insufficient_scope: introspection is granted nowhere */
    M2_OAUTH_INVALID_PROOF, /* invalid_dpop_proof, RFC 9449 5 */
    M2_OAUTH_USE_NONCE,     /* use_dpop_nonce, RFC 9449 8 */
    M2_OAUTH_UNAVAILABLE,   /* temporarily_unavailable: not the client's fault, try again */
    M2_OAUTH_SERVER_ERROR
} m2_oauth_error_t;

typedef struct m2_oauth_row_t {
    m2_oauth_error_t error;
    const char *name; /* `error` of the response */
    int status;       /* HTTP status */
} m2_oauth_row_t;

typedef enum m2_client_method_t {
    M2_CLIENT_NONE,
    M2_CLIENT_POST,     /* client_secret_post */
    M2_CLIENT_BASIC,    /* client_secret_basic */
    M2_CLIENT_ASSERTION, /* private_key_jwt */
    M2_CLIENT_NAMED      /* client_id alone: a certificate has to prove it (RFC 8705 2) */
} m2_client_method_t;

typedef enum m2_oauth_kind_t {
    M2_OAUTH_FOR_TOKEN, /* needs grant_type */
    M2_OAUTH_ABOUT_TOKEN /* needs token */
} m2_oauth_kind_t;

/* What a request says. Strings are decoded and NUL-terminated, NULL where absent or empty
 * (RFC 6749 3.2: without a value means omitted). They live in the body or in the pool. */
typedef struct m2_token_request_t {
    m2_client_method_t method;
    const char *grant_type;
    const char *scope;
    const char *resource;  /* the first of them */
    int resources;         /* how many there are, empty ones too */
    const char *token;     /* what a request about a token is about */
    const char *client_id; /* of the method used; NULL is possible with an assertion only */
    char *secret;          /* NULL with an assertion */
    char *assertion;       /* NULL with a secret */
} m2_token_request_t;

/** The row of an error; that of M2_OAUTH_SERVER_ERROR for any unknown value. */
const m2_oauth_row_t *m2_oauth_row(m2_oauth_error_t error);

/**
 * Read a request. body (n bytes, and one more that may be written) is decoded in place, is
 * what the strings of *request point into, and stays the caller's to cleanse. authorization
 * is the header value or NULL. *request is zeroed first. On an error *ptext is a sentence
 * for error_description; client_id may be set then, for the log.
 */
m2_oauth_error_t m2_oauth_request(m2_token_request_t *request, apr_pool_t *pool,
                                  m2_oauth_kind_t kind, char *body, apr_size_t n,
                                  const char *authorization, const char **ptext);

/** Whether a query string names a parameter of the token request (RFC 6749 2.3.1 forbids
 *  credentials in the URI, and URIs are logged). query may be NULL. */
int m2_oauth_in_query(const char *query);

/** Names of parameters whose values no log shows, in pool: for m2_nameset_mask, which knows
 *  every spelling under which a careless reader would find them. */
m2_nameset_t *m2_oauth_secrets(apr_pool_t *pool);

/** Overwrite what must not stay in memory: secret and assertion. */
void m2_oauth_forget(m2_token_request_t *request);

#endif /* M2_OAUTH_H */
