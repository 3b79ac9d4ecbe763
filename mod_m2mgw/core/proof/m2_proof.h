/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * One proof of possession (RFC 9449 4.2): a JWT that the client signs for this one request,
 * with the key that is in its own header. The checks of RFC 9449 4.3 are a table, cheapest
 * first, so that each has a name and a place.
 *
 * Nothing here remembers a proof. The caller has to spend its jti (m2_proof_spent_until),
 * last of all: a proof that is refused costs its owner nothing.
 *
 * The room proof decides whether the sender has the key that the token is bound to.
 * Never knows whether the token itself is good.
 */
#ifndef M2_PROOF_H
#define M2_PROOF_H

#include "key/m2_jwk.h"
#include "proof/m2_nonce.h"

#define M2_MAX_PROOF 8192    /* bytes: a header line of httpd is no longer */
#define M2_MAX_PROOF_JTI 256 /* characters */
#define M2_PROOF_WINDOW 60   /* default of window=, seconds */

/* ORDER STEP: the table of checks in m2_proof.c. The number is that of RFC 9449 4.3. */
typedef enum m2_proof_step_t {
    M2_PROOF_SINGLE,    /* 1: one field with one value */
    M2_PROOF_FORM,      /* 2: a well-formed JWT */
    M2_PROOF_TYP,       /* 4 */
    M2_PROOF_ALG,       /* 5: asymmetric, and accepted here */
    M2_PROOF_PUBLIC,    /* 7: a public key, and nothing private */
    M2_PROOF_BINDING,   /* 12b: the key that the token is bound to */
    M2_PROOF_SIGNATURE, /* 6 */
    M2_PROOF_CLAIMS,    /* 3: jti, htm, htu, iat, with a token ath */
    M2_PROOF_METHOD,    /* 8: htm */
    M2_PROOF_TARGET,    /* 9: htu */
    M2_PROOF_TIME,      /* 11: iat */
    M2_PROOF_TOKEN,     /* 12a: ath */
    M2_PROOF_FRESH,     /* 10: nonce */
    M2_PROOF_STEPS      /* number of steps; also: all passed */
} m2_proof_step_t;

/* M2MDPoP, defaults resolved. Compared by its bytes: zero it before use. */
typedef struct m2_proof_policy_t {
    m2_alg_mask_t algs; /* accepted algorithms; symmetric ones never are */
    int window;         /* seconds that iat may be away from now, either way */
    int nonce;          /* a nonce is asked for */
} m2_proof_policy_t;

/* A key that a proof brings, in a pool of its own: jwk NULL until it was read. proven: with it a
 * proof has passed. */
typedef struct m2_owner_t {
    apr_pool_t *pool;
    const char *jkt;
    m2_jwk_t *jwk;
    int proven;
} m2_owner_t;

/* Where the host keeps keys that proved something, if it does: the one of that thumbprint, or a
 * new one, or NULL; and back again, to be kept if it is proven. Nobody else has it meanwhile. */
typedef struct m2_proof_keys_t {
    m2_owner_t *(*take)(void *baton, const char *jkt);
    void (*give)(void *baton, m2_owner_t *owner);
    void *baton;
} m2_proof_keys_t;

/* The request that a proof has to be made for. */
typedef struct m2_proof_request_t {
    m2_slice_t proof;  /* the value of the header field; absent without one */
    int fields;        /* how many such fields the request has */
    const char *method;
    const apr_array_header_t *targets; /* of const char *, in the normal form of m2_target */
    m2_slice_t token;  /* the access token; absent: no ath is asked for */
    m2_slice_t jkt;    /* thumbprint the token is bound to; absent: any key */
    m2_slice_t nonce_key;   /* where a nonce is asked for */
    const char *nonce_role; /* M2_NONCE_RESOURCE or M2_NONCE_ISSUER */
    const m2_proof_keys_t *keys; /* NULL: the key of each proof is read anew */
    const char *ath; /* the hash of token, if it is known; else NULL or "" */
} m2_proof_request_t;

/* What became of it; also of one that was refused, as far as it was read. */
typedef struct m2_proof_t {
    int judged;           /* it was looked at, or looked for */
    m2_proof_step_t step; /* the first check that failed, or M2_PROOF_STEPS */
    const char *alg;      /* NULL before M2_PROOF_ALG passed */
    const char *jkt;      /* thumbprint of its key; NULL before M2_PROOF_PUBLIC passed */
    m2_slice_t jti;       /* set behind M2_PROOF_CLAIMS, like iat */
    double iat;
} m2_proof_t;

/** What a step checks, in a few words, for display. */
const char *m2_proof_step_text(m2_proof_step_t step);

/** All algorithms that a proof may be signed by. */
m2_alg_mask_t m2_proof_algs(void);

/**
 * Check a proof at now. M2_OK; M2_E_PROOF_MISSING without one; M2_E_PROOF_NONCE when nothing
 * but its nonce is wrong; M2_E_PROOF_INVALID. All of *proof lives in pool, which also holds
 * the proof's key until it is cleared. Leaves OpenSSL's error queue empty.
 */
m2_code_t m2_proof_check(m2_proof_t *proof, apr_pool_t *pool,
                         const m2_proof_policy_t *policy, const m2_proof_request_t *request,
                         apr_time_t now, m2_err_t *err);

/** base64url of the SHA-256 of text, in pool: the `ath` of a token (RFC 9449 4.2), a thumbprint.
 *  NULL when OpenSSL fails. */
const char *m2_proof_hash(apr_pool_t *pool, m2_slice_t text);

/** How long its jti has to be remembered, where the largest window in force anywhere is
 *  window: a second longer than any section could accept it. */
apr_time_t m2_proof_spent_until(const m2_proof_t *proof, int window);

#endif /* M2_PROOF_H */
