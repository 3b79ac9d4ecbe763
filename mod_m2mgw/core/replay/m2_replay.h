/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Which one-time tokens were spent. One verb, m2_replay_mark, is an atomic insert-if-absent: of
 * any number of simultaneous marks of one token exactly one gets M2_OK. There is no way to ask
 * without marking, because a look-up followed by an insert is a race.
 *
 * Everything that keeps a mark from being made is an answer of its own and refuses the
 * request; no store here forgets a live mark to make room. What outlives what is told in
 * docs/replay.md. A token is known here by the SHA-256 of (issuer, jti), nowhere by its text.
 *
 * The room replay decides whether a one-time token is used for the first time. Never
 * knows what it is for.
 */
#ifndef M2_REPLAY_H
#define M2_REPLAY_H

#include "replay/m2_replay_store.h"

/**
 * Open the store, in the parent, before children are forked and while it may still create
 * files. pool lives as long as the configuration. process lives as long as the parent
 * process does: a table in memory is kept there, so that a restart which asks for the same
 * or another table takes over every live mark. M2_E_CONFIG with a sentence when a table
 * cannot be made or its file is damaged; that a remote store does not answer is not an error.
 */
m2_code_t m2_replay_open(m2_replay_t **pstore, apr_pool_t *pool, apr_pool_t *process,
                         const m2_replay_spec_t *spec, m2_err_t *err);

/** In each child, before its threads start. pool lives as long as the child. */
m2_code_t m2_replay_attach(m2_replay_t *store, apr_pool_t *pool, m2_err_t *err);

/**
 * Mark (issuer, jti) as spent until expires_at. issuer may be absent.
 * M2_OK: it was not marked before, and is now. M2_E_JTI_REPLAYED: it was. M2_E_EXPIRED:
 * expires_at is not after now, nothing marked. M2_E_REPLAY_UNAVAILABLE: no room, or no
 * answer; whether it is marked now is then unknown, so a retry may be refused.
 */
m2_code_t m2_replay_mark(m2_replay_t *store, m2_slice_t issuer, m2_slice_t jti,
                         apr_time_t expires_at, apr_time_t now, m2_err_t *err);

/** The leeway in seconds that judges a token at now in place of its section's, when that is
 *  larger: a restart has raised it, and tokens spent before could pass again. -1 for none. */
int m2_replay_leeway(const m2_replay_t *store, apr_time_t now);

/** Sums over all processes. Any thread, no lock; stats->name is of store. */
void m2_replay_stats(m2_replay_stats_t *stats, const m2_replay_t *store);

#endif /* M2_REPLAY_H */
