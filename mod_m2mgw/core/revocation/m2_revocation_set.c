/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The set is one table with open addressing, at most half full. Its key is the kind, the scope
 * and the value; the hash only finds the place, and is keyed, so that an attacker who chooses
 * names gains nothing from collisions. Kinds that are not in the list are not looked up.
 *
 *     hash(kind, scope, value) --> | entry | entry | ----- | entry | ----- | ...
 */
#include "revocation/m2_revocation_set.h"

#include "base/m2_fold.h"

#include <openssl/rand.h>

#define FIRST_ROOM 64 /* places at first; a power of two */

typedef struct entry_t {
    apr_uint64_t hash; /* 0: an empty place */
    apr_int64_t time;  /* NOT-BEFORE or M2_UNSET */
    m2_slice_t scope; /* absent: a kid of any issuer */
    m2_slice_t value;
    m2_revoked_kind_t kind;
} entry_t;

struct m2_revocation_t {
    apr_pool_t *pool;
    entry_t *table;
    apr_size_t room; /* a power of two */
    apr_size_t count;
    apr_size_t kinds[M2_REVOKED_KINDS]; /* entries of each */
    unsigned int stars;                 /* those with a lone * */
    m2_revoked_kind_t first_star;       /* the kind of the first of them */
    apr_uint64_t seed[2];
    m2_slice_t last_scope;     /* as stored: most entries of a list have one issuer */
    apr_array_header_t *paths; /* of claim entries, each once: const char * */
};

/* --- hashing --- */

/* up to eight bytes */
static apr_uint64_t rest_at(const char *p, apr_size_t n)
{
    apr_uint64_t word = 0;
    apr_size_t i;

    for (i = 0; i < n; i++) {
        word = word << 8 | (unsigned char)p[i];
    }
    return word;
}

static apr_uint64_t hash_text(const m2_revocation_t *set, apr_uint64_t hash, m2_slice_t text)
{
    const char *p = text.p;
    apr_size_t n = text.n;

    hash ^= (apr_uint64_t)n + 1;
    for (; n > 8; p += 8, n -= 8) {
        hash = m2_fold(hash ^ m2_word_at(p), set->seed[1]);
    }
    return m2_fold(hash ^ rest_at(p, n), set->seed[1]);
}

/* of a scope; what is asked of one token has one issuer */
static apr_uint64_t hash_scope(const m2_revocation_t *set, m2_slice_t scope)
{
    return scope.p ? hash_text(set, set->seed[0], scope) : set->seed[0];
}

static apr_uint64_t hash_of(const m2_revocation_t *set, m2_revoked_kind_t kind,
                            apr_uint64_t scope, m2_slice_t value)
{
    const apr_uint64_t hash = hash_text(set, scope + (apr_uint64_t)kind, value);

    return hash ? hash : 1;
}

/* --- filling --- */

static entry_t *table_make(apr_pool_t *pool, apr_size_t room)
{
    return apr_pcalloc(pool, room * sizeof(entry_t));
}

m2_revocation_t *m2_revocation_make(apr_pool_t *pool)
{
    m2_revocation_t *set = apr_pcalloc(pool, sizeof(*set));

    set->pool = pool;
    set->room = FIRST_ROOM;
    set->table = table_make(pool, set->room);
    set->paths = apr_array_make(pool, 4, sizeof(const char *));
    RAND_bytes((unsigned char *)set->seed, sizeof(set->seed));
    set->seed[1] |= 1; /* a factor */
    return set;
}

apr_pool_t *m2_revocation_pool(const m2_revocation_t *set)
{
    return set->pool;
}

static int is_same(const entry_t *entry, m2_revoked_kind_t kind, m2_slice_t scope,
                   m2_slice_t value)
{
    return entry->kind == kind && m2_slice_eq(entry->value, value)
           && (scope.p ? m2_slice_eq(entry->scope, scope) : !entry->scope.p);
}

/* The place of an entry, or the empty one where it would go. */
static entry_t *place_of(const m2_revocation_t *set, apr_uint64_t hash, m2_revoked_kind_t kind,
                         m2_slice_t scope, m2_slice_t value)
{
    apr_size_t i = hash & (set->room - 1);

    while (set->table[i].hash
           && (set->table[i].hash != hash || !is_same(&set->table[i], kind, scope, value))) {
        i = (i + 1) & (set->room - 1);
    }
    return &set->table[i];
}

static void grow(m2_revocation_t *set)
{
    const entry_t *old = set->table;
    const apr_size_t n = set->room;
    apr_size_t i, k;

    set->room *= 4;
    set->table = table_make(set->pool, set->room);
    for (i = 0; i < n; i++) {
        for (k = old[i].hash & (set->room - 1); old[i].hash && set->table[k].hash;) {
            k = (k + 1) & (set->room - 1);
        }
        if (old[i].hash) {
            set->table[k] = old[i];
        }
    }
}

static m2_code_t path_add(m2_revocation_t *set, const char *path, m2_err_t *err)
{
    int i;

    for (i = 0; i < set->paths->nelts; i++) {
        if (strcmp(APR_ARRAY_IDX(set->paths, i, const char *), path) == 0) {
            return M2_OK;
        }
    }
    if (set->paths->nelts >= M2_MAX_REVOCATION_PATHS) {
        return m2_err_set(err, M2_E_CONFIG, "the list names more than %d different claims",
                          M2_MAX_REVOCATION_PATHS);
    }
    APR_ARRAY_PUSH(set->paths, const char *) = path;
    return m2_json_path_check(path, err);
}

static m2_slice_t scope_keep(m2_revocation_t *set, m2_slice_t scope)
{
    if (scope.p && !m2_slice_eq(scope, set->last_scope)) {
        set->last_scope = m2_slice(m2_slice_dup(set->pool, scope), scope.n);
    }
    return scope.p ? set->last_scope : scope;
}

static m2_code_t entry_put(m2_revocation_t *set, entry_t *place, apr_uint64_t hash,
                           const m2_revoked_t *entry, m2_err_t *err)
{
    place->hash = hash;
    place->kind = entry->kind;
    place->scope = scope_keep(set, entry->scope);
    place->value = m2_slice(m2_slice_dup(set->pool, entry->value), entry->value.n);
    set->kinds[entry->kind]++;
    set->count++;
    return entry->kind == M2_REVOKED_CLAIM ? path_add(set, place->scope.p, err) : M2_OK;
}

m2_code_t m2_revocation_add(m2_revocation_t *set, const m2_revoked_t *entry, m2_err_t *err)
{
    const apr_uint64_t hash = hash_of(set, entry->kind, hash_scope(set, entry->scope),
                                      entry->value);
    /* EXP only tells when an entry may go; a list that still has it means it */
    const apr_int64_t time = entry->kind == M2_REVOKED_JTI ? M2_UNSET : entry->time;
    entry_t *place;

    if (entry->star && set->stars++ == 0) {
        set->first_star = entry->kind;
    }
    if (set->count * 2 >= set->room) {
        grow(set);
    }
    place = place_of(set, hash, entry->kind, entry->scope, entry->value);
    if (!place->hash) {
        place->time = time;
        return entry_put(set, place, hash, entry, err);
    }
    if (time == M2_UNSET || (place->time != M2_UNSET && place->time < time)) {
        place->time = time;
    }
    return M2_OK;
}

unsigned int m2_revocation_stars(m2_revoked_kind_t *pfirst, const m2_revocation_t *set)
{
    *pfirst = set->first_star;
    return set->stars;
}

unsigned int m2_revocation_count(const m2_revocation_t *set)
{
    return (unsigned int)set->count;
}

/* --- look-up --- */

/* a token on its way through the kinds */
typedef struct looking_t {
    const m2_revocation_t *set;
    apr_pool_t *pool;
    const m2_json_t *claims;
    m2_slice_t issuer;
    apr_uint64_t issuer_hash;
} looking_t;

/* RFC 7519 4.1.6; an iat that is not a time counts as absent */
static int is_before(const looking_t *looking, apr_int64_t not_before)
{
    double iat;

    return not_before == M2_UNSET
           || m2_json_time(m2_json_get(looking->claims, "iat"), &iat) != M2_OK
           || iat < (double)not_before;
}

static int is_listed(const looking_t *looking, m2_revoked_kind_t kind, m2_slice_t scope,
                     apr_uint64_t scope_hash, m2_slice_t value)
{
    const m2_revocation_t *set = looking->set;
    const entry_t *place;

    if (!value.p) {
        return 0;
    }
    place = place_of(set, hash_of(set, kind, scope_hash, value), kind, scope, value);
    return place->hash && is_before(looking, place->time);
}

static int is_of_issuer(const looking_t *looking, m2_revoked_kind_t kind, m2_slice_t value)
{
    return looking->issuer.p
           && is_listed(looking, kind, looking->issuer, looking->issuer_hash, value);
}

/* the string of a claim that names a user or client: null is absent */
static m2_slice_t claim_text(const looking_t *looking, const char *name)
{
    const m2_json_t *json = m2_json_get(looking->claims, name);
    m2_slice_t text = m2_json_string(json);

    if (text.p || m2_json_type(json) == M2_JSON_NONE || m2_json_type(json) == M2_JSON_NULL) {
        return text;
    }
    return m2_slice_z(m2_json_text(looking->pool, json));
}

/* jti, client, sub: by the first of two claims that the token has */
static int is_named(const looking_t *looking, m2_revoked_kind_t kind, const char *claim,
                    const char *other)
{
    m2_slice_t value;

    if (!looking->set->kinds[kind]) {
        return 0;
    }
    value = claim_text(looking, claim);
    if (!value.p && other) {
        value = claim_text(looking, other);
    }
    return is_of_issuer(looking, kind, value);
}

static int is_signed(const looking_t *looking, m2_slice_t kid)
{
    return looking->set->kinds[M2_REVOKED_KID]
           && (is_listed(looking, M2_REVOKED_KID, m2_slice(NULL, 0),
                         hash_scope(looking->set, m2_slice(NULL, 0)), kid)
               || is_of_issuer(looking, M2_REVOKED_KID, kid));
}

static int has_value(const looking_t *looking, m2_slice_t path, const m2_json_t *json)
{
    const apr_uint64_t hash = hash_scope(looking->set, path);
    apr_size_t i;

    if (m2_json_type(json) == M2_JSON_NONE || m2_json_type(json) == M2_JSON_NULL) {
        return 0;
    }
    if (is_listed(looking, M2_REVOKED_CLAIM, path, hash,
                  m2_slice_z(m2_json_text(looking->pool, json)))) {
        return 1;
    }
    for (i = 0; m2_json_type(json) == M2_JSON_ARRAY && i < m2_json_length(json); i++) {
        const char *text = m2_json_text(looking->pool, m2_json_at(json, i));

        if (is_listed(looking, M2_REVOKED_CLAIM, path, hash, m2_slice_z(text))) {
            return 1;
        }
    }
    return 0;
}

static int has_claim(const looking_t *looking)
{
    const apr_array_header_t *paths = looking->set->paths;
    int i, found = 0;

    for (i = 0; !found && i < paths->nelts; i++) {
        const char *path = APR_ARRAY_IDX(paths, i, const char *);

        found = has_value(looking, m2_slice_z(path), m2_json_path(looking->claims, path));
    }
    return found;
}

m2_revoked_kind_t m2_revocation_find(const m2_revocation_t *set, apr_pool_t *pool,
                                     const m2_json_t *claims, m2_slice_t kid)
{
    looking_t looking = { set, pool, claims, m2_slice(NULL, 0), 0 };

    if (!set->count) {
        return M2_REVOKED_KINDS;
    }
    looking.issuer = m2_json_string(m2_json_get(claims, "iss"));
    looking.issuer_hash = hash_scope(set, looking.issuer);
    return is_named(&looking, M2_REVOKED_JTI, "jti", NULL)                 ? M2_REVOKED_JTI
           : is_named(&looking, M2_REVOKED_CLIENT, "client_id", "azp")     ? M2_REVOKED_CLIENT
           : is_named(&looking, M2_REVOKED_SUB, "sub", NULL)               ? M2_REVOKED_SUB
           : is_signed(&looking, kid)                                      ? M2_REVOKED_KID
           : has_claim(&looking)                                           ? M2_REVOKED_CLAIM
                                                                           : M2_REVOKED_KINDS;
}
