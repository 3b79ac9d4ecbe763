/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A ring of lists holds an m2_parts_t of sets.
 */
#include "revocation/m2_revocations.h"

#include "text/m2_file.h"

#define LOOK (APR_USEC_PER_SEC / 4) /* the fifth one is over within two seconds */

/* --- documents --- */

static m2_code_t parse(const void **pobject, apr_pool_t *pool, m2_slice_t text,
                       const char *label, const char *name, int flags, int mode, m2_err_t *err)
{
    m2_revocation_t *set = m2_revocation_make(pool);
    m2_err_t why;

    (void)name;
    (void)flags;
    (void)mode;
    m2_err_init(&why, pool);
    *pobject = set;
    return m2_revocation_parse(set, text, &why) == M2_OK
               ? M2_OK
               : m2_err_at(err, M2_E_CONFIG, why.line, 0, "%s: line %d: %s", label, why.line,
                           why.text);
}

static int count(const void *object)
{
    const m2_revocation_t *set = object;

    return (int)m2_revocation_count(set);
}

const m2_document_t m2_document_revocations = {
    "entries", ".list", M2_MAX_REVOCATION_BYTES,
    M2_FILE_DECIDES | M2_FILE_LINES | M2_FILE_SHARED, LOOK, 1, parse, count,
};

/* --- requests --- */

static int was_sought(const m2_parts_t *parts, const apr_uint64_t *psought)
{
    return psought && parts->id && __atomic_load_n(psought, __ATOMIC_RELAXED) == parts->id;
}

static m2_revoked_kind_t find(const m2_parts_t *parts, apr_pool_t *pool,
                              const m2_json_t *claims, m2_slice_t kid, apr_uint64_t *psought)
{
    m2_revoked_kind_t kind = M2_REVOKED_KINDS;
    int i;

    if (!parts || was_sought(parts, psought)) {
        return kind;
    }
    for (i = 0; i < parts->n && kind == M2_REVOKED_KINDS; i++) {
        const m2_revocation_t *set = parts->part[i];

        kind = m2_revocation_find(set, pool, claims, kid);
    }
    if (psought && kind == M2_REVOKED_KINDS) {
        __atomic_store_n(psought, parts->id, __ATOMIC_RELAXED);
    }
    return kind;
}

m2_code_t m2_revocations_check(const m2_keyring_t *ring, apr_pool_t *pool,
                               const m2_json_t *claims, m2_slice_t kid, apr_uint64_t *psought,
                               m2_err_t *err)
{
    const void *lists = m2_keyring_enter(ring);
    const m2_parts_t *parts = lists;
    const m2_revoked_kind_t kind = find(parts, pool, claims, kid, psought);
    const int missing = !parts || parts->missing;

    m2_keyring_leave(ring);
    if (kind != M2_REVOKED_KINDS) {
        return m2_err_set(err, M2_E_REVOKED, "a list of revoked tokens names its %s",
                          m2_revoked_word(kind));
    }
    return missing ? m2_err_set(err, M2_E_REVOCATION_UNAVAILABLE,
                                "a list of revoked tokens is missing, or was not found "
                                "good for longer than its max-stale")
                   : M2_OK;
}
