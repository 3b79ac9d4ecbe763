/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A revocation list in a file that several programs write. All take one lock, flock(2) on
 * the list itself: writers exclusively, for the append; readers shared, without waiting, so
 * that what they read is whole. Lines are added, and expired ones dropped; mode and owner stay.
 *
 * Anybody who may open the list may hold that lock. Nobody waits longer than M2_REVOCATION_WAIT
 * for it, nor, to add a line, longer than two seconds for one who may not write the list; it is
 * replaced under the lock only.
 */
#ifndef M2_REVOCATION_FILE_H
#define M2_REVOCATION_FILE_H

#include "revocation/m2_revocation.h"

#define M2_REVOCATION_KEEP 90000 /* seconds: the largest M2MLeeway, and clocks that differ */
#define M2_REVOCATION_WAIT 10000 /* milliseconds a writer waits for the lock at most */

/**
 * Append an entry as one line, in one write, and have it on the disk before this returns.
 * A last line without its end gets one first; what could not be written whole is taken
 * back. The file must exist. wait is in milliseconds. Blocks; takes no other lock.
 * M2_OK; M2_E_CONFIG with a sentence: not there, not a regular file, not writable, locked
 * by another for longer than wait, full.
 */
m2_code_t m2_revocation_append(apr_pool_t *pool, const char *path,
                               const m2_revoked_t *entry, int wait, m2_err_t *err);

/**
 * Drop the entries of tokens (`jti` with an EXP) that ended more than M2_REVOCATION_KEEP
 * seconds before now, if the list has doubled since this process last did so; all else stays
 * as it is written. The list is written anew beside itself and takes the place of the old one
 * in one step, with its mode and owner. Blocks; thread-safe.
 * M2_OK, also when there was nothing to do; M2_E_CONFIG with a sentence: it stays as it is.
 */
m2_code_t m2_revocation_prune(apr_pool_t *pool, const char *path, apr_time_t now,
                              m2_err_t *err);

#endif /* M2_REVOCATION_FILE_H */
