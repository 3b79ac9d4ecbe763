/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * An immutable set of keys, chosen from by kid, certificate thumbprint, algorithm and issuer.
 * A set is filled by one thread and never changes once it is published; look-ups take no lock
 * and cost the same however many keys there are.
 *
 * A key that is bound to an issuer (RFC 8725 3.8) does not exist for tokens of another. Under
 * one kid there may be several keys, told apart by issuer and by what they can do.
 */
#ifndef M2_KEYSET_H
#define M2_KEYSET_H

#include "key/m2_jwk.h"

struct m2_keyset_t {
    apr_pool_t *pool;
    apr_array_header_t *keys;   /* of const m2_jwk_t * */
    struct apr_hash_t *by_kid;  /* kid -> m2_keyset_entry_t *, a chain */
    struct apr_hash_t *by_x5t;  /* thumbprint of a certificate -> likewise */
    struct m2_keyset_side_t *unbound;
    struct apr_hash_t *bound;   /* issuer -> m2_keyset_side_t *; empty: no key is bound */
    m2_alg_mask_t algs;         /* union over the keys */
    apr_uint64_t generation;    /* unique in this process; cached tokens name it */
    const char *skipped;        /* why the first key that was left out was; NULL: none was */
    int incomplete;             /* a source of it is down: an unknown kid is our fault */
};

/* how faulty keys are met */
typedef enum m2_keyset_mode_t {
    M2_KEYSET_STRICT, /* at start: a bad key is an error, and so are two different keys of one
                         kid and a common algorithm */
    M2_KEYSET_LENIENT /* re-read or fetched later: a bad key is skipped with a warning; of two
                         different keys of one kid neither counts for an algorithm both can do */
} m2_keyset_mode_t;

/** An empty set with a fresh generation, living in pool. */
m2_keyset_t *m2_keyset_make(apr_pool_t *pool);

/** Add a key that lives at least as long as the set. The same key again under one kid and for
 *  one issuer becomes one with all of its algorithms. M2_E_CONFIG for two different keys of one
 *  kid that have an issuer (an unbound key counts as every issuer's) and an algorithm in
 *  common, and for more than M2_MAX_KEYS. */
m2_code_t m2_keyset_add(m2_keyset_t *set, const m2_jwk_t *jwk, m2_err_t *err);

/** Whether two keys are the same, whatever they are called and said to do. */
int m2_keyset_same_key(const m2_jwk_t *a, const m2_jwk_t *b);

/** Whether some issuer's tokens could be verified by either. */
int m2_keyset_same_issuer(const m2_jwk_t *a, const m2_jwk_t *b);

/** Add every key of other; bound to issuer unless that is NULL. */
m2_code_t m2_keyset_add_all(m2_keyset_t *set, const m2_keyset_t *other, const char *issuer,
                            m2_err_t *err);

/**
 * Read a document into set: a `{"keys":[...]}` set, a single JWK, or a map of kid to PEM; a
 * byte order mark in front is passed over, gzip is undone. origin names it in messages (a file,
 * a URL, a directive). flags as for m2_jwk_from_json. M2_E_CONFIG when it holds no usable key,
 * or, in strict mode, a bad one (the text names the key by kid or position); what is not a key set
 * is told for what it is. Skipped and oddly written keys are logged as notices (warnings when
 * bad).
 */
m2_code_t m2_keyset_parse(m2_keyset_t *set, m2_slice_t text, const char *origin, int flags,
                          m2_keyset_mode_t mode, m2_err_t *err);

/* what a token says about the key it wants; slices without a member are absent */
typedef struct m2_wanted_t {
    m2_slice_t kid, x5t, x5t256;
    m2_slice_t iss; /* only looked at where m2_keyset_is_bound */
    const m2_alg_t *alg;
    m2_alg_mask_t allowed; /* the policy's mask (all ones: what the key can do) */
} m2_wanted_t;

/* keys to be tried in turn */
typedef struct m2_candidates_t {
    const m2_jwk_t *keys[M2_MAX_TRIES];
    int n;
} m2_candidates_t;

/** Whether a key of set is bound to an issuer, so that a token's `iss` matters. */
int m2_keyset_is_bound(const m2_keyset_t *set);

/**
 * The keys that may have signed a token: one where kid names it or where there is no other, else
 * those that thumbprint names, else those that can do the algorithm; different keys, and
 * M2_MAX_TRIES at most.
 * M2_OK with found; M2_E_KID_UNKNOWN; M2_E_ALG_NOT_ALLOWED; M2_E_ISSUER_MISMATCH when only keys
 * of other issuers fit (M2_E_CLAIM_MISSING for a token without iss); M2_E_KEYS_UNAVAILABLE when
 * none fits in an incomplete set.
 */
m2_code_t m2_keyset_find(m2_candidates_t *found, const m2_keyset_t *set,
                         const m2_wanted_t *wanted, m2_err_t *err);

#endif /* M2_KEYSET_H */
