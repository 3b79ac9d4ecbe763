/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * RFC 7518 3.1, RFC 8037 3.1 and RFC 9864 as one table. Names are compared whole and, where a token
 * speaks, in their exact case.
 */
#include "key/m2_alg.h"

#include "text/m2_nearest.h"

#define ROWS M2_ALGS

/* clang-format off */
#define ED25519 (1u << 9)
#define ED448 (1u << 10)

static const m2_alg_t rows[ROWS] = { /* ORDER ALG */
    { "RS256", 1u << 0,  M2_FAMILY_RSA,     "SHA256", NULL,         0 },
    { "RS384", 1u << 1,  M2_FAMILY_RSA,     "SHA384", NULL,         0 },
    { "RS512", 1u << 2,  M2_FAMILY_RSA,     "SHA512", NULL,         0 },
    { "PS256", 1u << 3,  M2_FAMILY_RSA_PSS, "SHA256", NULL,         0 },
    { "PS384", 1u << 4,  M2_FAMILY_RSA_PSS, "SHA384", NULL,         0 },
    { "PS512", 1u << 5,  M2_FAMILY_RSA_PSS, "SHA512", NULL,         0 },
    { "ES256", 1u << 6,  M2_FAMILY_ECDSA,   "SHA256", "prime256v1", 64 },
    { "ES384", 1u << 7,  M2_FAMILY_ECDSA,   "SHA384", "secp384r1",  96 },
    { "ES512", 1u << 8,  M2_FAMILY_ECDSA,   "SHA512", "secp521r1",  132 },
    { "EdDSA", ED25519 | ED448, M2_FAMILY_EDDSA, NULL, NULL,        0 },
    { "Ed25519", ED25519, M2_FAMILY_EDDSA,  NULL,     NULL,         0 },
    { "Ed448", ED448,    M2_FAMILY_EDDSA,   NULL,     NULL,         0 },
    { "HS256", 1u << 11, M2_FAMILY_HMAC,    "SHA256", NULL,         32 },
    { "HS384", 1u << 12, M2_FAMILY_HMAC,    "SHA384", NULL,         48 },
    { "HS512", 1u << 13, M2_FAMILY_HMAC,    "SHA512", NULL,         64 }
};
/* clang-format on */

const m2_alg_t *m2_alg_at(int i)
{
    return i >= 0 && (apr_size_t)i < ROWS ? &rows[i] : NULL;
}

int m2_alg_index(const m2_alg_t *alg)
{
    return (int)(alg - rows);
}

const m2_alg_t *m2_alg_find(m2_slice_t name)
{
    apr_size_t i;

    for (i = 0; i < ROWS; i++) {
        if (m2_slice_is(name, rows[i].name)) {
            return &rows[i];
        }
    }
    return NULL;
}

m2_code_t m2_alg_mask_add(m2_alg_mask_t *mask, const char *name, m2_err_t *err)
{
    apr_size_t i;

    for (i = 0; i < ROWS; i++) {
        if (m2_slice_is_nocase(m2_slice_z(name), rows[i].name)) {
            *mask |= rows[i].bit;
            return M2_OK;
        }
    }
    return err ? m2_err_set(err, M2_E_CONFIG, "'%s' is not an algorithm; there are: %s%s", name,
                            m2_alg_names(err->pool),
                            m2_nearest_hint(err->pool, name, m2_alg_names(err->pool)))
               : M2_E_CONFIG;
}

const char *m2_alg_names(apr_pool_t *pool)
{
    const char *names = rows[0].name;
    apr_size_t i;

    for (i = 1; i < ROWS; i++) {
        names = apr_pstrcat(pool, names, " ", rows[i].name, NULL);
    }
    return names;
}

const char *m2_alg_mask_names(apr_pool_t *pool, m2_alg_mask_t mask)
{
    const char *names = "";
    apr_size_t i;

    for (i = 0; i < ROWS; i++) {
        if ((mask & rows[i].bit) == rows[i].bit) {
            mask &= ~rows[i].bit; /* EdDSA says it for both of its curves */
            names = apr_pstrcat(pool, names, *names ? " " : "", rows[i].name, NULL);
        }
    }
    return names;
}

const char *m2_alg_spellings(apr_pool_t *pool, m2_alg_mask_t mask)
{
    const char *names = "";
    apr_size_t i;

    for (i = 0; i < ROWS; i++) {
        if (mask & rows[i].bit) {
            names = apr_pstrcat(pool, names, *names ? " " : "", rows[i].name, NULL);
        }
    }
    return names;
}

m2_alg_mask_t m2_alg_mask_of(m2_alg_family_t family)
{
    m2_alg_mask_t mask = 0;
    apr_size_t i;

    for (i = 0; i < ROWS; i++) {
        if (rows[i].family == family) {
            mask |= rows[i].bit;
        }
    }
    return mask;
}
