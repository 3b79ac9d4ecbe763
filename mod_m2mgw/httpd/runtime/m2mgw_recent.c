/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A ring in shared memory. A writer draws the next ticket and claims the place of that number:
 * the place's turn is odd while it is written, and even, and twice the ticket, afterwards. A
 * reader that finds another turn behind its copy than in front of it throws the copy away. What
 * it may read while somebody writes is written and read word by word.
 */
#include "httpd/runtime/m2mgw_recent.h"

#include "httpd/runtime/m2mgw_utf8.h"
#include "httpd/runtime/m2mgw_shared.h"

#define KEY "m2mgw-recent"

#define WORDS ((sizeof(m2mgw_refusal_t) + sizeof(apr_uint64_t) - 1) / sizeof(apr_uint64_t))

typedef union record_t {
    m2mgw_refusal_t refusal;
    apr_uint64_t words[WORDS];
} record_t;

typedef struct place_t {
    apr_uint64_t turn; /* 0: never written */
    apr_uint64_t words[WORDS]; /* of a record */
} place_t;

typedef struct ring_t {
    apr_uint64_t next; /* ticket */
    apr_uint64_t places;
    place_t place[];
} ring_t;

/* written in post_config; NULL: nothing is remembered */
static ring_t *ring;

static place_t *place_of(ring_t *in, apr_uint64_t ticket)
{
    return &in->place[ticket % in->places];
}

/* A place whose writer died stays odd; it is taken again when the ring has come round twice. */
static int claim(place_t *place, apr_uint64_t ticket, apr_uint64_t places)
{
    apr_uint64_t turn = __atomic_load_n(&place->turn, __ATOMIC_RELAXED);

    if ((turn & 1) && turn / 2 + 2 * places > ticket) {
        return 0;
    }
    return __atomic_compare_exchange_n(&place->turn, &turn, 2 * ticket + 1, 0,
                                       __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static void fill(m2mgw_refusal_t *to, const m2mgw_decision_t *decision)
{
    to->time = decision->time;
    to->code = decision->code;
    m2mgw_utf8_copy(to->id, sizeof(to->id), decision->request_id);
    m2mgw_utf8_copy(to->section, sizeof(to->section),
              decision->section ? decision->section->name : NULL);
    m2mgw_utf8_copy(to->detail, sizeof(to->detail), decision->detail);
    m2mgw_utf8_copy(to->rule, sizeof(to->rule), decision->rule ? decision->rule->name : NULL);
    m2mgw_utf8_copy(to->client, sizeof(to->client), decision->client);
}

static void write_words(place_t *place, const record_t *from)
{
    apr_size_t i;

    for (i = 0; i < WORDS; i++) {
        __atomic_store_n(&place->words[i], from->words[i], __ATOMIC_RELAXED);
    }
}

static void read_words(record_t *to, const place_t *place)
{
    apr_size_t i;

    for (i = 0; i < WORDS; i++) {
        to->words[i] = __atomic_load_n(&place->words[i], __ATOMIC_RELAXED);
    }
}

void m2mgw_recent_add(const m2mgw_decision_t *decision)
{
    apr_uint64_t ticket;
    record_t record;
    place_t *place;

    if (!ring) {
        return;
    }
    ticket = __atomic_add_fetch(&ring->next, 1, __ATOMIC_RELAXED);
    place = place_of(ring, ticket);
    if (claim(place, ticket, ring->places)) {
        memset(&record, 0, sizeof(record));
        fill(&record.refusal, decision);
        __atomic_thread_fence(__ATOMIC_RELEASE); /* no word is seen before the odd turn */
        write_words(place, &record);
        __atomic_store_n(&place->turn, 2 * ticket, __ATOMIC_RELEASE);
    }
}

/* One copy; 0 when it is being written or was by another ticket. */
static int copy(record_t *to, place_t *place, apr_uint64_t ticket)
{
    if (__atomic_load_n(&place->turn, __ATOMIC_ACQUIRE) != 2 * ticket) {
        return 0;
    }
    read_words(to, place);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return __atomic_load_n(&place->turn, __ATOMIC_RELAXED) == 2 * ticket;
}

static apr_array_header_t *copies(apr_pool_t *pool, ring_t *from)
{
    apr_array_header_t *list = apr_array_make(pool, 16, sizeof(m2mgw_refusal_t));
    apr_uint64_t ticket = from ? __atomic_load_n(&from->next, __ATOMIC_RELAXED) : 0;
    record_t one;
    apr_uint64_t n;

    for (n = 0; ticket > 0 && n < from->places; n++, ticket--) {
        if (copy(&one, place_of(from, ticket), ticket)) {
            APR_ARRAY_PUSH(list, m2mgw_refusal_t) = one.refusal;
        }
    }
    return list;
}

apr_array_header_t *m2mgw_recent(apr_pool_t *pool)
{
    return copies(pool, ring);
}

/* --- the segment --- */

/* The newest of another ring, in their order. */
static void carry_over(ring_t *to, ring_t *from, apr_pool_t *ptemp)
{
    const apr_array_header_t *list = copies(ptemp, from);
    int i = list->nelts < (int)to->places ? list->nelts : (int)to->places;

    for (i--; i >= 0; i--) {
        place_t *place = place_of(to, ++to->next);
        record_t record;

        memset(&record, 0, sizeof(record));
        record.refusal = APR_ARRAY_IDX(list, i, m2mgw_refusal_t);
        write_words(place, &record);
        place->turn = 2 * to->next;
    }
}

static int hook_post_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp,
                            server_rec *s)
{
    const apr_size_t places = (apr_size_t)m2mgw_globals()->recent_refusals;
    m2mgw_shared_t *kept = m2mgw_shared_kept(s, KEY), *made;
    ring_t *old = kept && kept->layout == sizeof(place_t) ? kept->base : NULL;

    (void)pconf;
    (void)plog;
    ring = NULL;
    if (places == 0 || ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG) {
        return OK;
    }
    if (old && old->places == places) {
        ring = old;
        return OK;
    }
    made = m2mgw_shared_make(s, sizeof(ring_t) + places * sizeof(place_t), sizeof(place_t));
    if (!made) {
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, s,
                     "M2-402: no shared memory for M2MRecentRefusals");
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    ring = made->base;
    ring->places = places;
    carry_over(ring, old, ptemp);
    m2mgw_shared_keep(s, KEY, made);
    return OK;
}

void m2mgw_recent_register(void)
{
    ap_hook_post_config(hook_post_config, NULL, NULL, APR_HOOK_MIDDLE);
}
