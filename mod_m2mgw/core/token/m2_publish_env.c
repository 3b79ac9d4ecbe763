/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Claims as variables of the environment. Of two claims that would be the same variable the one
 * that is spelt like it wins; where none is, or httpd could not tell two apart, nobody does.
 */
#include "token/m2_publish.h"

#define CLAIM_PREFIX "M2M_CLAIM_"

static inline int is_letter_or_digit(char c)
{
    const char letter = (char)(c | 0x20);

    return (letter >= 'a' && letter <= 'z') || (c >= '0' && c <= '9');
}

/* Where a name stops to be one of small letters, digits and underscores alone. Two different
 * names that are such to their end are different variables, too. */
static const char *beyond_plain(const char *claim)
{
    while ((*claim >= 'a' && *claim <= 'z') || *claim == '_' || (*claim >= '0' && *claim <= '9')) {
        claim++;
    }
    return claim;
}

/* *prespelled: whether a character had to become an underscore; *pplain: see above */
static const char *env_name(int *prespelled, int *pplain, apr_pool_t *pool, const char *claim)
{
    const char *odd = beyond_plain(claim);
    const apr_size_t n = sizeof(CLAIM_PREFIX) - 1, plain = (apr_size_t)(odd - claim);
    const apr_size_t length = plain + strlen(odd);
    char *name = apr_palloc(pool, n + length + 1), *p;

    memcpy(name, CLAIM_PREFIX, n);
    memcpy(name + n, claim, length + 1);
    *pplain = !*odd;
    *prespelled = 0;
    for (p = name + n + plain; *p; p++) {
        if (!is_letter_or_digit(*p)) {
            *prespelled |= *p != '_';
            *p = '_';
        }
    }
    return name;
}

const char *m2_claim_env_name(apr_pool_t *pool, const char *claim)
{
    int respelled, plain;

    return env_name(&respelled, &plain, pool, claim);
}

/* One claim and the environment name it would have. */
typedef struct claimant_t {
    const char *name;
    const m2_json_t *json;
    apr_uint32_t hash; /* of the name in lower case: httpd compares variables in any case */
    int exact;         /* nothing of the claim's name had to be respelled */
} claimant_t;

/* FNV-1a; only sorts out what differs. '_' | 0x20 is 0x7f, which no letter or digit folds to. */
static apr_uint32_t hash_of(const char *name)
{
    apr_uint32_t hash = 2166136261u;

    for (name += sizeof(CLAIM_PREFIX) - 1; *name; name++) {
        hash = (hash ^ (unsigned char)(*name | 0x20)) * 16777619u;
    }
    return hash;
}

/* All claims but those that are null; their number. *pplain: whether no two of them meet. */
static apr_size_t claimants(claimant_t *all, int *pplain, apr_pool_t *pool,
                            const m2_json_t *claims)
{
    const m2_member_t *it;
    apr_size_t n = 0, i;

    *pplain = 1;
    for (it = m2_json_iter(claims); it; it = m2_json_iter_next(it)) {
        int respelled, plain;

        if (m2_json_type(m2_json_iter_value(it)) != M2_JSON_NULL) {
            all[n].name = env_name(&respelled, &plain, pool, m2_json_iter_name(it));
            all[n].json = m2_json_iter_value(it);
            all[n++].exact = !respelled;
            *pplain &= plain;
        }
    }
    for (i = 0; i < n && !*pplain; i++) {
        all[i].hash = hash_of(all[i].name);
    }
    return n;
}

static int same_variable(const claimant_t *a, const claimant_t *b)
{
    return a->hash == b->hash && m2_slice_is_nocase(m2_slice_z(a->name), b->name);
}

/* Whether all[i] gets the name: alone among the exact ones, or alone where none is exact. */
static int wins(const claimant_t *all, apr_size_t n, apr_size_t i)
{
    apr_size_t k;

    for (k = 0; k < n; k++) {
        if (k != i && all[k].exact >= all[i].exact && same_variable(&all[k], &all[i])) {
            return 0;
        }
    }
    return 1;
}

apr_array_header_t *m2_publish_env(apr_pool_t *pool, const m2_json_t *claims)
{
    const apr_size_t length = m2_json_length(claims);
    apr_array_header_t *list = apr_array_make(pool, (int)length + 1, sizeof(m2_publish_t));
    claimant_t *all = apr_palloc(pool, (length + 1) * sizeof(*all));
    apr_size_t n, i;
    int plain;

    n = claimants(all, &plain, pool, claims);
    for (i = 0; i < n; i++) {
        const char *value =
            plain || wins(all, n, i) ? m2_json_text_lent(pool, all[i].json) : NULL;

        if (value && !m2_has_control(value)) {
            m2_publish_t *entry = apr_array_push(list);

            entry->place = M2_PLACE_ENV;
            entry->name = all[i].name;
            entry->value = value;
        }
    }
    return list;
}
