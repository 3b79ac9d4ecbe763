/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Everything a choice needs is counted while the set is filled, so that choosing is one
 * hash look-up or a few array accesses, however many keys there are.
 */
#include "key/m2_keyset.h"

#include <apr_hash.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>

/* a key of a kid or thumbprint, and the others of it */
typedef struct m2_keyset_entry_t {
    const m2_jwk_t *jwk;
    struct m2_keyset_entry_t *next;
} m2_keyset_entry_t;

/* The keys of one issuer, or those that are bound to none. */
typedef struct m2_keyset_side_t {
    const m2_jwk_t *first;   /* of all */
    const m2_jwk_t *unnamed; /* the first without a kid */
    int count, unnamed_count;
    struct m2_keyset_able_t {
        const m2_jwk_t *keys[M2_MAX_TRIES]; /* the first that can do the algorithm */
        int count; /* of different keys, as far as they are told apart: up to one more */
    } by_alg[M2_ALGS]; /* ORDER ALG */
} m2_keyset_side_t;

m2_keyset_t *m2_keyset_make(apr_pool_t *pool)
{
    static apr_uint64_t generations;
    m2_keyset_t *set = apr_pcalloc(pool, sizeof(*set));

    set->pool = pool;
    set->keys = apr_array_make(pool, 4, sizeof(const m2_jwk_t *));
    set->by_kid = apr_hash_make(pool);
    set->by_x5t = apr_hash_make(pool);
    set->bound = apr_hash_make(pool);
    set->unbound = apr_pcalloc(pool, sizeof(m2_keyset_side_t));
    set->generation = __atomic_add_fetch(&generations, 1, __ATOMIC_RELAXED);
    return set;
}

int m2_keyset_is_bound(const m2_keyset_t *set)
{
    return apr_hash_count(set->bound) > 0;
}

int m2_keyset_same_key(const m2_jwk_t *a, const m2_jwk_t *b)
{
    if (!m2_slice_is(m2_slice_z(a->kty), b->kty) || a->bits != b->bits) {
        return 0;
    }
    if (a->pkey) {
        const int same = EVP_PKEY_eq(a->pkey, b->pkey) == 1;

        ERR_clear_error(); /* keys on different curves leave something there */
        return same;
    }
    return a->secret.n == b->secret.n
           && CRYPTO_memcmp(a->secret.p, b->secret.p, a->secret.n) == 0;
}

int m2_keyset_same_issuer(const m2_jwk_t *a, const m2_jwk_t *b)
{
    return !a->issuer || !b->issuer || m2_slice_is(m2_slice_z(a->issuer), b->issuer);
}

/* --- filling --- */

static void chain(m2_keyset_t *set, apr_hash_t *hash, const char *name, const m2_jwk_t *jwk)
{
    m2_keyset_entry_t *entry = apr_palloc(set->pool, sizeof(*entry));

    entry->jwk = jwk;
    entry->next = apr_hash_get(hash, name, APR_HASH_KEY_STRING);
    apr_hash_set(hash, name, APR_HASH_KEY_STRING, entry);
}

static m2_keyset_side_t *side_of(m2_keyset_t *set, const char *issuer)
{
    m2_keyset_side_t *side = set->unbound;

    if (issuer) {
        side = apr_hash_get(set->bound, issuer, APR_HASH_KEY_STRING);
    }
    if (!side) {
        side = apr_pcalloc(set->pool, sizeof(*side));
        apr_hash_set(set->bound, issuer, APR_HASH_KEY_STRING, side);
    }
    return side;
}

/* The same key under another kid costs no try of its own. More than may be tried are not told
 * apart: they are too many anyway. */
static void count_able(struct m2_keyset_able_t *able, const m2_jwk_t *jwk)
{
    int i;

    for (i = 0; able->count <= M2_MAX_TRIES && i < able->count && i < M2_MAX_TRIES; i++) {
        if (m2_keyset_same_key(able->keys[i], jwk)) {
            return;
        }
    }
    if (able->count++ < M2_MAX_TRIES) {
        able->keys[able->count - 1] = jwk;
    }
}

/* Count what a key can do in addition to what it was counted for. */
static void count_algs(m2_keyset_t *set, const m2_jwk_t *jwk, m2_alg_mask_t before)
{
    m2_keyset_side_t *side = side_of(set, jwk->issuer);
    int i;

    set->algs |= jwk->algs;
    for (i = 0; i < M2_ALGS; i++) {
        const m2_alg_mask_t bit = m2_alg_at(i)->bit;

        if ((jwk->algs & bit) && !(before & bit)) {
            count_able(&side->by_alg[i], jwk);
        }
    }
}

static void replace(const m2_jwk_t **slot, const m2_jwk_t *old, const m2_jwk_t *jwk)
{
    if (*slot == old) {
        *slot = jwk;
    }
}

/* The same key came again for other algorithms: one with all of them takes its place. */
static void widen(m2_keyset_t *set, const m2_jwk_t **slot, const m2_jwk_t *again)
{
    const m2_jwk_t *old = *slot;
    m2_keyset_side_t *side = side_of(set, old->issuer);
    m2_jwk_t *jwk = apr_pmemdup(set->pool, old, sizeof(*old));
    m2_keyset_entry_t *other;
    int i, k;

    jwk->algs |= again->algs;
    jwk->alg = NULL;
    *slot = jwk;
    for (i = 0; i < set->keys->nelts; i++) {
        replace(&APR_ARRAY_IDX(set->keys, i, const m2_jwk_t *), old, jwk);
    }
    for (i = 0; i < M2_ALGS; i++) {
        for (k = 0; k < M2_MAX_TRIES; k++) {
            replace(&side->by_alg[i].keys[k], old, jwk);
        }
    }
    for (i = 0; i < 2; i++) {
        const char *x5t = i ? old->x5t256 : old->x5t;

        other = x5t ? apr_hash_get(set->by_x5t, x5t, APR_HASH_KEY_STRING) : NULL;
        for (; other; other = other->next) {
            replace(&other->jwk, old, jwk);
        }
    }
    replace(&side->first, old, jwk);
    count_algs(set, jwk, old->algs);
}

/* What stands under the kid of jwk, or without one: where it is already (NULL: it is new). */
static m2_code_t look_for(const m2_jwk_t ***psame, const m2_keyset_t *set,
                          m2_keyset_side_t *side, const m2_jwk_t *jwk, m2_err_t *err)
{
    m2_keyset_entry_t *entry =
        jwk->kid ? apr_hash_get(set->by_kid, jwk->kid, APR_HASH_KEY_STRING) : NULL;

    *psame = !jwk->kid && side->unnamed && m2_keyset_same_key(side->unnamed, jwk)
                 ? &side->unnamed : NULL;
    for (; entry; entry = entry->next) {
        const m2_jwk_t *other = entry->jwk;
        const int same = m2_keyset_same_key(other, jwk);

        if (same && !other->issuer == !jwk->issuer && m2_keyset_same_issuer(other, jwk)) {
            *psame = &entry->jwk;
        }
        else if (!same && (other->algs & jwk->algs) && m2_keyset_same_issuer(other, jwk)) {
            return m2_err_set(err, M2_E_CONFIG,
                              "two different keys have the kid '%s' and can do %s", jwk->kid,
                              m2_alg_mask_names(set->pool, other->algs & jwk->algs));
        }
    }
    return M2_OK;
}

m2_code_t m2_keyset_add(m2_keyset_t *set, const m2_jwk_t *jwk, m2_err_t *err)
{
    m2_keyset_side_t *side = side_of(set, jwk->issuer);
    const m2_jwk_t **same;

    if (look_for(&same, set, side, jwk, err) != M2_OK) {
        return M2_E_CONFIG;
    }
    if (same) {
        if (jwk->algs & ~(*same)->algs) {
            widen(set, same, jwk);
        }
        return M2_OK;
    }
    if (set->keys->nelts >= M2_MAX_KEYS) {
        return m2_err_set(err, M2_E_CONFIG, "more than %d keys", M2_MAX_KEYS);
    }
    APR_ARRAY_PUSH(set->keys, const m2_jwk_t *) = jwk;
    if (jwk->kid) {
        chain(set, set->by_kid, jwk->kid, jwk);
    }
    else if (side->unnamed_count++ == 0) {
        side->unnamed = jwk;
    }
    if (jwk->x5t) {
        chain(set, set->by_x5t, jwk->x5t, jwk);
    }
    if (jwk->x5t256) {
        chain(set, set->by_x5t, jwk->x5t256, jwk);
    }
    if (side->count++ == 0) {
        side->first = jwk;
    }
    count_algs(set, jwk, 0);
    return M2_OK;
}

m2_code_t m2_keyset_add_all(m2_keyset_t *set, const m2_keyset_t *other, const char *issuer,
                            m2_err_t *err)
{
    m2_code_t code = M2_OK;
    int i;

    for (i = 0; code == M2_OK && i < other->keys->nelts; i++) {
        const m2_jwk_t *jwk = APR_ARRAY_IDX(other->keys, i, const m2_jwk_t *);
        m2_jwk_t *bound;

        if (issuer) {
            bound = apr_pmemdup(set->pool, jwk, sizeof(*jwk));
            bound->issuer = issuer;
            jwk = bound;
        }
        code = m2_keyset_add(set, jwk, err);
    }
    return code;
}

/* --- choosing --- */

/* both sides that a token may be verified by; the second is NULL where no key is bound to its
 * issuer */
typedef struct sides_t {
    const m2_keyset_side_t *side[2];
} sides_t;

static sides_t sides_for(const m2_keyset_t *set, const m2_wanted_t *wanted)
{
    sides_t sides = { { set->unbound, NULL } };

    if (wanted->iss.p) {
        sides.side[1] = apr_hash_get(set->bound, wanted->iss.p, (apr_ssize_t)wanted->iss.n);
    }
    return sides;
}

/* What to say when there is no key: a source that is down is our fault, not the token's.
 * */
static m2_code_t none(const m2_keyset_t *set, m2_code_t code, m2_err_t *err,
                      const char *text)
{
    if (set->incomplete || set->keys->nelts == 0) {
        return m2_err_set(err, M2_E_KEYS_UNAVAILABLE,
                          "a source of keys is not available");
    }
    return m2_err_set(err, code, "%s", text);
}

static int can_do(const m2_jwk_t *jwk, const m2_wanted_t *wanted)
{
    return (wanted->alg->bit & jwk->algs & wanted->allowed) != 0;
}

static int exists_for(const m2_jwk_t *jwk, const m2_wanted_t *wanted)
{
    return !jwk->issuer || m2_slice_is(wanted->iss, jwk->issuer);
}

/* Of a chain the key for this issuer and algorithm, else one for this issuer, else NULL. */
static const m2_jwk_t *of_chain(const m2_keyset_entry_t *entry, const m2_wanted_t *wanted)
{
    const m2_jwk_t *found = NULL;

    for (; entry; entry = entry->next) {
        if (exists_for(entry->jwk, wanted) && (!found || can_do(entry->jwk, wanted))) {
            found = entry->jwk;
        }
    }
    return found;
}

/* Only keys of other issuers would fit; a token without iss cannot be of any. */
static m2_code_t foreign(const m2_wanted_t *wanted, m2_err_t *err, const char *text)
{
    return wanted->iss.p ? m2_err_set(err, M2_E_ISSUER_MISMATCH, "%s", text)
                         : m2_err_set(err, M2_E_CLAIM_MISSING, "the claim iss is missing");
}

/* The only key without a name, which may be bound and unbound at once; NULL for none. */
static const m2_jwk_t *only_unnamed(const sides_t *sides)
{
    const m2_keyset_side_t *a = sides->side[0], *b = sides->side[1];
    const int of_b = b ? b->unnamed_count : 0;

    if (a->unnamed_count + of_b == 1
        || (a->unnamed_count == 1 && of_b == 1
            && m2_keyset_same_key(a->unnamed, b->unnamed))) {
        return a->unnamed ? a->unnamed : b->unnamed;
    }
    return NULL;
}

/* A token that names its key: that very one, or the only one that has no name. */
static m2_code_t find_named(const m2_jwk_t **pjwk, const m2_keyset_t *set, const sides_t *sides,
                            const m2_wanted_t *wanted, m2_err_t *err)
{
    const m2_keyset_entry_t *entry =
        apr_hash_get(set->by_kid, wanted->kid.p, (apr_ssize_t)wanted->kid.n);

    *pjwk = of_chain(entry, wanted);
    if (!*pjwk && entry) {
        return foreign(wanted, err, "the key of the token's kid is not one of its issuer");
    }
    *pjwk = *pjwk ? *pjwk : only_unnamed(sides);
    if (*pjwk) {
        return M2_OK;
    }
    if (set->incomplete || set->keys->nelts == 0) {
        return none(set, M2_E_KID_UNKNOWN, err, "");
    }
    return m2_err_set(err, M2_E_KID_UNKNOWN, "kid is %s, which is not in the key set",
                      m2_err_quote(err, wanted->kid.p, wanted->kid.n));
}

/* 0 when there are more keys than may be tried. */
static int add_candidate(m2_candidates_t *found, const m2_jwk_t *jwk)
{
    int i;

    for (i = 0; i < found->n; i++) {
        if (m2_keyset_same_key(found->keys[i], jwk)) {
            return 1;
        }
    }
    if (found->n == M2_MAX_TRIES) {
        return 0;
    }
    found->keys[found->n++] = jwk;
    return 1;
}

static m2_code_t too_many(m2_candidates_t *found, m2_err_t *err, const char *have,
                          const char *what)
{
    found->n = 0;
    return m2_err_set(err, M2_E_KID_UNKNOWN, "the token has no kid, and more than %d keys %s %s",
                      M2_MAX_TRIES, have, what);
}

/* The keys of a certificate: one, or several that a set says it of. *pany: there are such keys,
 * whether or not they can do the algorithm. */
static m2_code_t find_certified(m2_candidates_t *found, int *pany, const m2_keyset_t *set,
                                const m2_wanted_t *wanted, m2_err_t *err)
{
    const m2_slice_t thumbprints[] = { wanted->x5t256, wanted->x5t };
    const m2_keyset_entry_t *entry;
    int i;

    *pany = 0;
    for (i = 0; !*pany && i < 2; i++) {
        entry = thumbprints[i].p ? apr_hash_get(set->by_x5t, thumbprints[i].p,
                                                (apr_ssize_t)thumbprints[i].n)
                                 : NULL;
        for (; entry; entry = entry->next) {
            *pany |= exists_for(entry->jwk, wanted);
            if (exists_for(entry->jwk, wanted) && can_do(entry->jwk, wanted)
                && !add_candidate(found, entry->jwk)) {
                return too_many(found, err, "have", "its certificate");
            }
        }
    }
    return !*pany || found->n ? M2_OK
                              : m2_err_set(err, M2_E_ALG_NOT_ALLOWED,
                                           "the key of the token's certificate cannot do %s",
                                           wanted->alg->name);
}

/* The only key there is; NULL for none or several. */
static const m2_jwk_t *find_only(const sides_t *sides)
{
    int i, count = 0;

    for (i = 0; i < 2; i++) {
        count += sides->side[i] ? sides->side[i]->count : 0;
    }
    if (count != 1) {
        return NULL;
    }
    return sides->side[0]->first ? sides->side[0]->first : sides->side[1]->first;
}

/* All that can do the algorithm. */
static m2_code_t find_able(m2_candidates_t *found, const m2_keyset_t *set, const sides_t *sides,
                           const m2_wanted_t *wanted, m2_err_t *err)
{
    const int alg = m2_alg_index(wanted->alg);
    int i, k, count = 0, over = 0;

    for (i = 0; i < 2; i++) {
        const m2_keyset_side_t *side = sides->side[i];

        count += side ? side->by_alg[alg].count : 0;
        over |= side && side->by_alg[alg].count > M2_MAX_TRIES;
        for (k = 0; side && k < M2_MAX_TRIES && k < side->by_alg[alg].count; k++) {
            over |= can_do(side->by_alg[alg].keys[k], wanted)
                    && !add_candidate(found, side->by_alg[alg].keys[k]);
        }
    }
    if (over) {
        return too_many(found, err, "can do", wanted->alg->name);
    }
    if (!found->n && (set->algs & wanted->alg->bit & wanted->allowed) && !count) {
        return foreign(wanted, err, "no key of the token's issuer can do its algorithm");
    }
    return found->n ? M2_OK
                    : none(set, M2_E_ALG_NOT_ALLOWED, err,
                           "no key can do the token's algorithm");
}

/* A token that does not name its key. */
static m2_code_t find_unnamed(m2_candidates_t *found, const m2_jwk_t **pjwk,
                              const m2_keyset_t *set, const sides_t *sides,
                              const m2_wanted_t *wanted, m2_err_t *err)
{
    int certified;
    m2_code_t code = find_certified(found, &certified, set, wanted, err);

    if (code != M2_OK || certified) {
        return code;
    }
    *pjwk = find_only(sides);
    return *pjwk ? M2_OK : find_able(found, set, sides, wanted, err);
}

m2_code_t m2_keyset_find(m2_candidates_t *found, const m2_keyset_t *set,
                         const m2_wanted_t *wanted, m2_err_t *err)
{
    const sides_t sides = sides_for(set, wanted);
    const m2_jwk_t *jwk = NULL;
    m2_code_t code;

    found->n = 0;
    if (!(wanted->alg->bit & wanted->allowed)) {
        return m2_err_set(err, M2_E_ALG_NOT_ALLOWED, "%s is not allowed here",
                          wanted->alg->name);
    }
    code = wanted->kid.p ? find_named(&jwk, set, &sides, wanted, err)
                         : find_unnamed(found, &jwk, set, &sides, wanted, err);
    if (code != M2_OK || !jwk) {
        return code;
    }
    if (!can_do(jwk, wanted)) {
        return m2_err_set(err, M2_E_ALG_NOT_ALLOWED, "the key cannot do %s", wanted->alg->name);
    }
    found->keys[found->n++] = jwk;
    return M2_OK;
}
