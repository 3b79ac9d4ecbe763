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
 * The room revocation decides whether a token that verifies has been taken back. Never
 * knows where it was used.
 */
#ifndef M2_REVOCATION_H
#define M2_REVOCATION_H

#include "revocation/m2_revocation_set.h"

#define M2_MAX_REVOCATION_BYTES (64 * 1024 * 1024) /* of a list, about 600,000 entries */
#define M2_MAX_REVOCATION_LINE 16384 /* one line: a token's claims are no longer */
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

/** Add every line of a list. M2_E_CONFIG with err->line at the first bad one; the set is
 *  then of no use. */
m2_code_t m2_revocation_parse(m2_revocation_t *set, m2_slice_t text, m2_err_t *err);

/** What whoever wrote the list may have meant otherwise, in pool; NULL: nothing. */
const char *m2_revocation_hint(apr_pool_t *pool, const m2_revocation_t *set);

#endif /* M2_REVOCATION_H */
