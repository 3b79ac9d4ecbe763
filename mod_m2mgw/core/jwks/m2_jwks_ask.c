/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Requests that met an unknown kid.
 */
#include "jwks/m2_jwks_ask.h"

#include "jwks/m2_feed.h"
#include "jwks/m2_keysource_int.h"

#define MEMORY 5       /* cooldowns that an unknown kid is remembered, at most ttl */
#define LONGEST_WAIT (10 * APR_USEC_PER_SEC) /* more than a directive allows */
#define WAIT_STEP (APR_USEC_PER_SEC / 100)

/* A kid that a refresh did not bring is not asked for again for some cooldowns: its key may
 * have been published a little late, but one kid alone must not drive fetches for ever. */
static int remembered(const m2_keysource_t *source, apr_uint64_t hash, apr_time_t now)
{
    const m2_slot_t *slot = source->slot;
    const m2_refresh_t *refresh = &source->refresh;
    const int most = refresh->cooldown < refresh->ttl / MEMORY ? refresh->cooldown * MEMORY
                                                               : refresh->ttl;
    const apr_uint64_t since = m2_slot_get(&slot->kids[hash % M2_KIDS].since);

    return m2_slot_get(&slot->kids[hash % M2_KIDS].hash) == hash
           && (apr_time_t)since <= now && now - (apr_time_t)since < apr_time_from_sec(most);
}

/* A refresh is under way, or will be with the next tick. */
static int is_wanted(const m2_keysource_t *source, apr_time_t now)
{
    return m2_keysource_is_claimed(source, now) || m2_keysource_is_due(source, now);
}

/* The request that asked may wait, and so may others with the same kid. Other requests do not,
 * or one fetch could tie up every worker. */
static int ask_source(m2_keysource_t *source, apr_uint64_t hash, apr_time_t now)
{
    m2_slot_t *slot = source->slot;
    const apr_uint64_t asked = m2_slot_get(&slot->asked);
    const apr_time_t since = now - (apr_time_t)asked;

    if (remembered(source, hash, now)) {
        return is_wanted(source, now);
    }
    if (m2_keysource_is_claimed(source, now) /* what it brings may be older */
        || (asked && since >= 0 && since < apr_time_from_sec(source->refresh.cooldown))
        || !m2_slot_win(&slot->asked, asked, (apr_uint64_t)now)) {
        return 0;
    }
    m2_slot_set(&slot->kids[hash % M2_KIDS].hash, hash);
    m2_slot_set(&slot->kids[hash % M2_KIDS].since, (apr_uint64_t)now);
    m2_slot_count(&slot->early);
    if (!m2_keysource_is_due(source, now)) {
        m2_slot_set(&slot->due, (apr_uint64_t)now);
    }
    return 1;
}

int m2_jwks_ask(const m2_keyring_t *ring, m2_slice_t kid, apr_time_t now)
{
    const apr_array_header_t *sources = m2_feed_sources(m2_keyring_feed(ring));
    int i, wanted = 0;

    for (i = 0; sources && i < sources->nelts; i++) {
        m2_keysource_t *source = APR_ARRAY_IDX(sources, i, m2_fed_t).source;

        if (source->kind != M2_KEYSOURCE_FILE && source->slot) {
            wanted |= ask_source(source, m2_slot_hash(*source->seed, kid), now);
        }
    }
    return wanted;
}

static apr_uint64_t generation_of(const m2_keyring_t *ring)
{
    const m2_keyset_t *set = m2_keyring_enter(ring);
    const apr_uint64_t generation = set ? set->generation : 0;

    m2_keyring_leave(ring);
    return generation;
}

static int any_wanted(const apr_array_header_t *sources)
{
    const apr_time_t now = apr_time_now();
    int i;

    for (i = 0; i < sources->nelts; i++) {
        const m2_keysource_t *source = APR_ARRAY_IDX(sources, i, m2_fed_t).source;

        if (source->kind != M2_KEYSOURCE_FILE && source->slot
            && (is_wanted(source, now)
                || (!m2_slot_get(&source->slot->unstored)
                    && m2_slot_get(&source->seen) != m2_slot_get(&source->slot->version)))) {
            return 1;
        }
    }
    return 0;
}

/* A seat until then; NULL when all are taken. A seat with an end beyond the longest wait dates
 * from before the clock was set back. */
static apr_uint64_t *take_seat(m2_waiters_t *waiters, apr_size_t seats, apr_time_t now,
                               apr_uint64_t until)
{
    apr_uint64_t i;

    for (i = 0; i < waiters->most && i < seats; i++) {
        const apr_uint64_t taken = m2_slot_get(&waiters->until[i]);

        if (((apr_time_t)taken < now || (apr_time_t)taken > now + LONGEST_WAIT)
            && m2_slot_win(&waiters->until[i], taken, until)) {
            return &waiters->until[i];
        }
    }
    return NULL;
}

int m2_jwks_wait(const m2_keyring_t *ring, apr_uint64_t generation,
                 apr_interval_time_t most, apr_size_t seats)
{
    const apr_array_header_t *sources = m2_feed_sources(m2_keyring_feed(ring));
    const apr_time_t now = apr_time_now(), until = now + most;
    m2_waiters_t *waiters =
        sources && sources->nelts ? APR_ARRAY_IDX(sources, 0, m2_fed_t).source->waiters : NULL;
    apr_uint64_t *seat =
        waiters && most > 0 ? take_seat(waiters, seats, now, (apr_uint64_t)until) : NULL;
    int changed = 0;

    if (!seat) {
        return 0;
    }
    while (!(changed = generation_of(ring) != generation) && any_wanted(sources)
           && apr_time_now() < until) {
        apr_sleep(WAIT_STEP);
    }
    changed = changed || generation_of(ring) != generation;
    m2_slot_win(seat, (apr_uint64_t)until, 0);
    return changed;
}
