/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * An immutable set of keys, chosen from by kid and algorithm. A set is filled by one thread
 * and never changes once it is published; look-ups take no lock.
 */
#ifndef M2_KEYSET_H
#define M2_KEYSET_H

#include "key/m2_jwk.h"

struct m2_keyset_t {
    apr_pool_t *pool;
    apr_array_header_t *keys;  /* of const m2_jwk_t * */
    struct apr_hash_t *by_kid; /* kid -> const m2_jwk_t * */
    const m2_jwk_t *unnamed;   /* the first key without a kid */
    int unnamed_count;         /* it is chosen only when it is the only one */
    m2_alg_mask_t algs;        /* union over the keys */
    struct {
        const m2_jwk_t *first; /* the first key that can do the algorithm of this row */
        int count;
    } by_alg[M2_ALGS];         /* ORDER ALG; so that choosing costs the same in any set */
    apr_uint64_t generation;   /* unique in this process; cached tokens name it */
    int incomplete;            /* a source of it is down: an unknown kid is our fault */
};

/* how faulty keys are met */
typedef enum m2_keyset_mode_t {
    M2_KEYSET_STRICT, /* at start: a bad key is an error, so is a duplicate kid */
    M2_KEYSET_LENIENT /* re-read or fetched later: a bad key is skipped with a warning; of
                         two keys with one kid neither counts unless they are identical */
} m2_keyset_mode_t;

/** An empty set with a fresh generation, living in pool. */
m2_keyset_t *m2_keyset_make(apr_pool_t *pool);

/** Add a key that lives at least as long as the set. M2_E_CONFIG for a duplicate kid, a
 *  second key identical to one of the same kid is ignored only in m2_keyset_parse. */
m2_code_t m2_keyset_add(m2_keyset_t *set, const m2_jwk_t *jwk, m2_err_t *err);

/** Whether two keys are the same and can do the same, whatever they are called. */
int m2_keyset_same_key(const m2_jwk_t *a, const m2_jwk_t *b);

/** Add every key of other. */
m2_code_t m2_keyset_add_all(m2_keyset_t *set, const m2_keyset_t *other, m2_err_t *err);

/**
 * Read a JSON document (a `{"keys":[...]}` set or a single JWK) into set. origin names it in
 * messages (a file, a URL, a directive). flags as for m2_jwk_from_json. M2_E_CONFIG when it
 * holds no usable key, or, in strict mode, a bad one (the text names the key by kid or
 * position). Skipped keys are logged as notices (warnings when bad).
 */
m2_code_t m2_keyset_parse(m2_keyset_t *set, m2_slice_t text, const char *origin, int flags,
                          m2_keyset_mode_t mode, m2_err_t *err);

/**
 * Choose the key for a token. kid is "there is none" when the token has none; allowed is
 * the policy's mask (all ones: what the key can do).
 * M2_OK with *pjwk; M2_E_KID_UNKNOWN; M2_E_ALG_NOT_ALLOWED; M2_E_KEYS_UNAVAILABLE when the
 * kid is not in an incomplete set.
 */
m2_code_t m2_keyset_choose(const m2_jwk_t **pjwk, const m2_keyset_t *set, m2_slice_t kid,
                           const m2_alg_t *alg, m2_alg_mask_t allowed, m2_err_t *err);

#endif /* M2_KEYSET_H */
