/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Revoked tokens as a set that requests ask. It is filled by one thread and immutable
 * afterwards; look-ups take no lock and cost the same whatever its size.
 */
#ifndef M2_REVOCATION_SET_H
#define M2_REVOCATION_SET_H

#include "text/m2_json.h"

#define M2_MAX_REVOCATION_PATHS 64   /* different PATHs of claim entries: each is looked up */

typedef enum m2_revoked_kind_t { /* ORDER REVOKED: rows in m2_revocation.c */
    M2_REVOKED_JTI,
    M2_REVOKED_CLIENT,
    M2_REVOKED_SUB,
    M2_REVOKED_KID,
    M2_REVOKED_CLAIM,
    M2_REVOKED_KINDS
} m2_revoked_kind_t;

/* one entry, decoded */
typedef struct m2_revoked_t {
    m2_revoked_kind_t kind;
    m2_slice_t scope; /* ISS, or the PATH of a claim; absent: kid of any issuer */
    m2_slice_t value;
    apr_int64_t time; /* EXP or NOT-BEFORE in seconds; M2_UNSET if absent */
    int star;         /* its line has a lone * that is a name like any other */
} m2_revoked_t;

typedef struct m2_revocation_t m2_revocation_t;

/** An empty set in pool. */
m2_revocation_t *m2_revocation_make(apr_pool_t *pool);

/** Add an entry; its words are copied. Of two that name the same the one that revokes more
 *  counts. M2_E_CONFIG with a sentence for too many PATHs. */
m2_code_t m2_revocation_add(m2_revocation_t *set, const m2_revoked_t *entry, m2_err_t *err);

/** The pool of a set. */
apr_pool_t *m2_revocation_pool(const m2_revocation_t *set);

/** How many entries were added with a lone * that is a name like any other: whoever wrote it
 *  mostly means all. *pfirst is the name of the first one's kind. */
unsigned int m2_revocation_stars(m2_revoked_kind_t *pfirst, const m2_revocation_t *set);

/** Number of different entries. */
unsigned int m2_revocation_count(const m2_revocation_t *set);

/**
 * Whether a verified token is revoked: claims are its payload, kid is that of the key which
 * verified it (absent for a key without one). Returns the kind of entry that says
 * so, or M2_REVOKED_KINDS for a token that counts. A token without iss is covered by the
 * claim entries and by `kid *` alone. Uses pool for texts of claims that are not strings.
 * No lock; costs the same whatever the size of the set, and a walk along the path for each PATH.
 */
m2_revoked_kind_t m2_revocation_find(const m2_revocation_t *set, apr_pool_t *pool,
                                     const m2_json_t *claims, m2_slice_t kid);

#endif /* M2_REVOCATION_SET_H */
