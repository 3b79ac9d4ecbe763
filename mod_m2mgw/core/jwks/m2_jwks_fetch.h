/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Private to the room: sources that are fetched.
 */
#ifndef M2_JWKS_FETCH_H
#define M2_JWKS_FETCH_H

#include "jwks/m2_keysource_int.h"

/** Pick up what another child fetched. */
void m2_keysource_pick_up(m2_keysource_t *source, apr_time_t now);

/** Likewise, and fetch by fetcher (NULL: not yet) when it is due. */
void m2_keysource_tick(m2_keysource_t *source, m2_fetch_t *fetcher, apr_time_t now);

/** Read the last good copy, if there is one that may still be used. */
void m2_keysource_restore(m2_keysource_t *source, apr_time_t now);

/** Give back a claim. */
void m2_keysource_abandon(m2_keysource_t *source);

#endif /* M2_JWKS_FETCH_H */
