/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A revocation list: which tokens no longer count although their signature does. Its text
 * has one entry a line, blank-separated words, each percent-encoded, `#` begins a comment:
 *
 *     jti    ISS JTI [EXP]             that token; EXP is when it would have ended anyway
 *     client ISS CLIENT [NOT-BEFORE]   tokens of a client (claim client_id, else azp)
 *     sub    ISS SUB [NOT-BEFORE]      tokens of a subject
 *     kid    ISS|* KID                 tokens that this key verified
 *     claim  PATH VALUE                tokens whose claim is VALUE, or has it as an element
 *
 * Times are Unix seconds. NOT-BEFORE revokes the tokens whose iat is before it or absent;
 * without it all are revoked. One line that does not parse makes the whole list bad.
 *
 * A set is filled by one thread and immutable afterwards; look-ups take no lock and cost the
 * same whatever its size.
 */
#ifndef M2_REVOCATION_H
#define M2_REVOCATION_H

#include "text/m2_json.h"

#define M2_MAX_REVOCATION_BYTES (64 * 1024 * 1024) /* of a list, about 600,000 entries */
#define M2_MAX_REVOCATION_LINE 16384 /* one line: a token's claims are no longer */
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
    m2_slice_t scope; /* ISS, or the PATH of a claim; "there is none": kid of any issuer */
    m2_slice_t value;
    apr_int64_t time; /* EXP or NOT-BEFORE in seconds; M2_UNSET where there is none */
} m2_revoked_t;

typedef struct m2_revocation_t m2_revocation_t;

/** The word an entry of that kind begins with. */
const char *m2_revoked_word(m2_revoked_kind_t kind);

/** Read one line without its end into *entry, whose slices live in pool. M2_OK;
 *  M2_E_NOT_FOUND for an empty line or a comment; M2_E_CONFIG with a sentence. */
m2_code_t m2_revoked_read(m2_revoked_t *entry, apr_pool_t *pool, m2_slice_t line,
                          m2_err_t *err);

/** The line of an entry, with its line end, in pool. M2_E_CONFIG for an entry that no line
 *  can say: an empty word, one with a NUL, a line longer than M2_MAX_REVOCATION_LINE. */
m2_code_t m2_revoked_write(const char **pline, apr_pool_t *pool, const m2_revoked_t *entry,
                           m2_err_t *err);

/** An empty set in pool. */
m2_revocation_t *m2_revocation_make(apr_pool_t *pool);

/** Add an entry; its words are copied. Of two that name the same the one that revokes more
 *  counts. M2_E_CONFIG with a sentence for too many PATHs. */
m2_code_t m2_revocation_add(m2_revocation_t *set, const m2_revoked_t *entry, m2_err_t *err);

/** Add every line of a list. M2_E_CONFIG with err->line at the first bad one; the set is
 *  then of no use. */
m2_code_t m2_revocation_parse(m2_revocation_t *set, m2_slice_t text, m2_err_t *err);

/** Number of different entries. */
unsigned int m2_revocation_count(const m2_revocation_t *set);

/**
 * Whether a verified token is revoked: claims are its payload, kid is that of the key which
 * verified it ("there is none" for a key without one). Returns the kind of entry that says
 * so, or M2_REVOKED_KINDS for a token that counts. A token without iss is covered by the
 * claim entries and by `kid *` alone. Uses pool for texts of claims that are no strings.
 */
m2_revoked_kind_t m2_revocation_find(const m2_revocation_t *set, apr_pool_t *pool,
                                     const m2_json_t *claims, m2_slice_t kid);

#endif /* M2_REVOCATION_H */
