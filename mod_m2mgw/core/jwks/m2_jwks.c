/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The registry: sources, feeds, and what is done with all of them in turn.
 */
#include "jwks/m2_jwks.h"

#include "base/m2_hold.h"
#include "jwks/m2_jwks_fetch.h"
#include "jwks/m2_jwks_file.h"
#include "jwks/m2_jwks_state.h"

#include <openssl/rand.h>

struct m2_jwks_t {
    apr_pool_t *pool;
    apr_array_header_t *sources; /* of m2_keysource_t * */
    m2_feeds_t feeds;
    m2_slot_t *slots; /* NULL until shared */
    m2_fetch_t *fetch;
    apr_size_t waiters; /* requests that may wait at a time */
    int ticking; /* a tick is under way */
    apr_pool_t *process; /* where copies of files live; NULL: none are kept */
};

/* ORDER KIND: as m2_keysource_kind_t */
static const char *const kinds[] = { "file", "url", "issuer" };

/* --- configuration --- */

/* In the parent the sets go when the configuration does; threads have ended by then. */
static apr_status_t destroy_jwks(void *data)
{
    m2_jwks_t *jwks = data;
    int i;

    /* a tick that was given up on may go on while the process ends */
    if (m2_hold_needed() || __atomic_load_n(&jwks->ticking, __ATOMIC_ACQUIRE)) {
        return APR_SUCCESS;
    }
    m2_feeds_destroy(&jwks->feeds);
    for (i = 0; i < jwks->sources->nelts; i++) {
        m2_keysource_t *source = APR_ARRAY_IDX(jwks->sources, i, m2_keysource_t *);

        m2_generation_drop(source->current);
        if (source->fetching) {
            apr_pool_destroy(source->fetching);
        }
    }
    return APR_SUCCESS;
}

m2_jwks_t *m2_jwks_make(apr_pool_t *pool)
{
    m2_jwks_t *jwks = apr_pcalloc(pool, sizeof(*jwks));

    jwks->pool = pool;
    jwks->sources = apr_array_make(pool, 4, sizeof(m2_keysource_t *));
    jwks->feeds.list = apr_array_make(pool, 4, sizeof(m2_feed_t *));
    apr_pool_cleanup_register(pool, jwks, destroy_jwks, apr_pool_cleanup_null);
    return jwks;
}

void m2_jwks_keep_copies(m2_jwks_t *jwks, apr_pool_t *process)
{
    jwks->process = process;
}

/* The source of that name, made if absent; *pnew says which. */
static m2_keysource_t *source_named(int *pnew, m2_jwks_t *jwks, const m2_document_t *document,
                                    m2_keysource_kind_t kind, const char *name)
{
    m2_keysource_t *source;
    int i;

    *pnew = 0;
    for (i = 0; i < jwks->sources->nelts; i++) {
        source = APR_ARRAY_IDX(jwks->sources, i, m2_keysource_t *);
        if (source->kind == kind && source->document == document
            && m2_slice_is(m2_slice_z(source->name), name)) {
            return source;
        }
    }
    *pnew = 1;
    source = apr_pcalloc(jwks->pool, sizeof(*source));
    source->pool = jwks->pool;
    source->kind = kind;
    source->document = document;
    source->name = apr_pstrdup(jwks->pool, name);
    source->label = kind == M2_KEYSOURCE_FILE ? source->name
                                              : m2_url_label(jwks->pool, source->name);
    if (jwks->process) {
        source->copy = m2_copy_open(jwks->process,
                                    apr_pstrcat(jwks->pool, kinds[kind], document->suffix,
                                                NULL),
                                    name, document->max
                                              + (kind == M2_KEYSOURCE_FILE ? 0 : M2_MAX_LINE));
    }
    return source;
}

m2_code_t m2_jwks_list_file(m2_keysource_t **psource, m2_jwks_t *jwks,
                            const m2_document_t *document, const char *path, int may_miss,
                            m2_err_t *err)
{
    m2_keysource_t *source;
    m2_code_t code = M2_OK;
    int fresh;

    *psource = NULL;
    source = source_named(&fresh, jwks, document, M2_KEYSOURCE_FILE, path);
    if (fresh) {
        source->may_miss = may_miss;
        code = m2_keysource_read(source, err);
    }
    if (code == M2_OK) {
        source->usable = source->current != NULL;
        *psource = source;
    }
    if (code == M2_OK && fresh) {
        APR_ARRAY_PUSH(jwks->sources, m2_keysource_t *) = source;
    }
    return code;
}

m2_code_t m2_jwks_file(m2_keysource_t **psource, m2_jwks_t *jwks, const char *path,
                       m2_err_t *err)
{
    return m2_jwks_list_file(psource, jwks, &m2_document_keys, path, 0, err);
}

m2_keysource_t *m2_jwks_list_kept(m2_jwks_t *jwks, const m2_document_t *document,
                                  const char *path, const char *why)
{
    int fresh;
    m2_keysource_t *source = source_named(&fresh, jwks, document, M2_KEYSOURCE_FILE, path);

    if (fresh) {
        m2_keysource_keep(source, why);
        APR_ARRAY_PUSH(jwks->sources, m2_keysource_t *) = source;
    }
    return source;
}

m2_keysource_t *m2_jwks_file_kept(m2_jwks_t *jwks, const char *path, const char *why)
{
    return m2_jwks_list_kept(jwks, &m2_document_keys, path, why);
}

static m2_code_t url_source(m2_keysource_t **psource, m2_jwks_t *jwks,
                            const m2_document_t *document, m2_keysource_kind_t kind,
                            const char *url, int plain, m2_err_t *err)
{
    m2_keysource_t *source;
    int fresh;

    *psource = NULL;
    if (!m2_fetch_available()) {
        return m2_err_set(err, M2_E_CONFIG, "this build has no libcurl and cannot fetch");
    }
    if (m2_url_check(jwks->pool, url, plain, err) != M2_OK) {
        return M2_E_CONFIG;
    }
    source = source_named(&fresh, jwks, document, kind, url);
    source->plain |= plain;
    if (fresh) {
        APR_ARRAY_PUSH(jwks->sources, m2_keysource_t *) = source;
    }
    *psource = source;
    return M2_OK;
}

m2_code_t m2_jwks_url(m2_keysource_t **psource, m2_jwks_t *jwks, m2_keysource_kind_t kind,
                      const char *url, int plain, m2_err_t *err)
{
    return url_source(psource, jwks, &m2_document_keys, kind, url, plain, err);
}

m2_code_t m2_jwks_list_url(m2_keysource_t **psource, m2_jwks_t *jwks,
                           const m2_document_t *document, const char *url, m2_err_t *err)
{
    return url_source(psource, jwks, document, M2_KEYSOURCE_URL, url, 0, err);
}

m2_keysource_t *m2_jwks_list_pulled(m2_jwks_t *jwks, const m2_document_t *document,
                                    const char *name, const m2_puller_t *puller)
{
    int fresh;
    m2_keysource_t *source = source_named(&fresh, jwks, document, M2_KEYSOURCE_URL, name);

    if (fresh) {
        source->puller = *puller;
        APR_ARRAY_PUSH(jwks->sources, m2_keysource_t *) = source;
    }
    return source;
}

m2_code_t m2_jwks_attach(m2_jwks_t *jwks, apr_pool_t *pool, m2_err_t *err)
{
    m2_code_t code = M2_OK;
    int i;

    for (i = 0; code == M2_OK && i < jwks->sources->nelts; i++) {
        const m2_puller_t *puller = &APR_ARRAY_IDX(jwks->sources, i, m2_keysource_t *)->puller;

        code = puller->attach ? puller->attach(puller->baton, pool, err) : M2_OK;
    }
    return code;
}

m2_feed_t *m2_jwks_feed_lists(m2_jwks_t *jwks, m2_keyring_t *ring,
                              const apr_array_header_t *sources)
{
    return m2_feed_add_lists(&jwks->feeds, ring, sources);
}

m2_feed_t *m2_jwks_feed(m2_jwks_t *jwks, m2_keyring_t *ring, const m2_keyset_t *fixed,
                        const apr_array_header_t *sources)
{
    return m2_feed_add(&jwks->feeds, ring, fixed, sources);
}

static int has_kind(const apr_array_header_t *sources, int fetched)
{
    int i;

    for (i = 0; i < sources->nelts; i++) {
        if (!fetched
            || APR_ARRAY_IDX(sources, i, m2_keysource_t *)->kind != M2_KEYSOURCE_FILE) {
            return 1;
        }
    }
    return 0;
}

int m2_jwks_watched(const m2_jwks_t *jwks)
{
    return has_kind(jwks->sources, 0);
}

int m2_jwks_fetched(const m2_jwks_t *jwks)
{
    return has_kind(jwks->sources, 1);
}

/* --- sharing and starting --- */

void m2_jwks_set_waiters(m2_jwks_t *jwks, apr_size_t most)
{
    jwks->waiters = most;
}

/* the slots, the seed, the seats of those who wait */
apr_size_t m2_jwks_shared_size(const m2_jwks_t *jwks)
{
    return (apr_size_t)jwks->sources->nelts * sizeof(m2_slot_t) + sizeof(apr_uint64_t)
           + sizeof(m2_waiters_t) + jwks->waiters * sizeof(apr_uint64_t);
}

void m2_jwks_share(m2_jwks_t *jwks, void *memory)
{
    apr_uint64_t *seed;
    m2_waiters_t *waiters;
    int i;

    jwks->slots = memory;
    seed = (apr_uint64_t *)(jwks->slots + jwks->sources->nelts);
    RAND_bytes((unsigned char *)seed, sizeof(*seed));
    waiters = (m2_waiters_t *)(seed + 1);
    waiters->most = jwks->waiters ? jwks->waiters : 1;
    for (i = 0; i < jwks->sources->nelts; i++) {
        m2_keysource_t *source = APR_ARRAY_IDX(jwks->sources, i, m2_keysource_t *);

        source->slot = &jwks->slots[i];
        source->seed = seed;
        source->waiters = waiters;
        if (source->current) {
            m2_slot_set(&source->slot->checked, source->document->ages
                                                    ? m2_slot_get(&source->own_checked)
                                                    : (apr_uint64_t)apr_time_now());
            m2_slot_set(&source->slot->keys, (apr_uint64_t)m2_keysource_entries(source));
        }
        m2_keysource_show_kept(source);
    }
}

void m2_jwks_trust(apr_uint32_t uid)
{
    m2_state_trust(uid);
}

static void publish_dirty(m2_jwks_t *jwks)
{
    int i;

    m2_feeds_publish(&jwks->feeds);
    for (i = 0; i < jwks->sources->nelts; i++) { /* who waits may look now */
        m2_keysource_t *source = APR_ARRAY_IDX(jwks->sources, i, m2_keysource_t *);

        source->dirty = 0;
        m2_slot_set(&source->seen, source->taken);
    }
}

void m2_jwks_open(m2_jwks_t *jwks, const char *state_dir, apr_time_t now)
{
    int i;

    if (state_dir) {
        m2_state_sweep(state_dir, now);
    }
    for (i = 0; i < jwks->sources->nelts; i++) {
        m2_keysource_t *source = APR_ARRAY_IDX(jwks->sources, i, m2_keysource_t *);

        if (source->kind != M2_KEYSOURCE_FILE) {
            source->state_path = state_dir ? m2_state_path(source, state_dir) : NULL;
            m2_slot_set(&source->slot->unstored, source->state_path == NULL);
            m2_keysource_restore(source, now);
            m2_keysource_judge(source, now);
        }
        else if (source->document->ages) {
            m2_keysource_judge(source, now);
        }
    }
    publish_dirty(jwks);
}

int m2_jwks_start(m2_jwks_t *jwks, const m2_fetch_tls_t *tls, apr_pool_t *pool)
{
    if (m2_jwks_fetched(jwks)) {
        jwks->fetch = m2_fetch_open(pool, tls);
        return jwks->fetch != NULL;
    }
    return 1;
}

static void give_back_claims(m2_jwks_t *jwks)
{
    int i;

    for (i = 0; i < jwks->sources->nelts; i++) {
        const m2_keysource_t *source = APR_ARRAY_IDX(jwks->sources, i, m2_keysource_t *);

        if (source->fetching) {
            m2_slot_win(&source->slot->claimed, source->claim, 0);
        }
    }
}

void m2_jwks_stop(m2_jwks_t *jwks)
{
    int i;

    if (m2_hold_needed()) {
        give_back_claims(jwks);
        return;
    }
    if (jwks->fetch) {
        m2_fetch_close(jwks->fetch);
        jwks->fetch = NULL;
    }
    for (i = 0; i < jwks->sources->nelts; i++) {
        m2_keysource_abandon(APR_ARRAY_IDX(jwks->sources, i, m2_keysource_t *));
    }
}

void m2_jwks_catch_up(m2_jwks_t *jwks, apr_time_t now)
{
    int i;

    for (i = 0; i < jwks->sources->nelts; i++) {
        m2_keysource_t *source = APR_ARRAY_IDX(jwks->sources, i, m2_keysource_t *);

        if (source->kind == M2_KEYSOURCE_FILE) {
            m2_keysource_look(source, now, 1);
            m2_keysource_recall(source);
        }
        else {
            m2_keysource_pick_up(source, now);
        }
    }
    publish_dirty(jwks);
    m2_feeds_reclaim(&jwks->feeds);
}

void m2_jwks_tick(m2_jwks_t *jwks, apr_time_t now)
{
    int i;

    __atomic_store_n(&jwks->ticking, 1, __ATOMIC_RELEASE);
    for (i = 0; i < jwks->sources->nelts; i++) {
        m2_keysource_t *source = APR_ARRAY_IDX(jwks->sources, i, m2_keysource_t *);

        if (source->kind == M2_KEYSOURCE_FILE) {
            m2_keysource_look(source, now, 0);
        }
        else {
            m2_keysource_tick(source, jwks->fetch, now);
        }
    }
    publish_dirty(jwks);
    if (jwks->fetch) {
        m2_fetch_run(jwks->fetch, APR_USEC_PER_SEC / 20);
    }
    m2_feeds_reclaim(&jwks->feeds);
    __atomic_store_n(&jwks->ticking, 0, __ATOMIC_RELEASE);
}

/* --- for people --- */

int m2_jwks_count(const m2_jwks_t *jwks)
{
    return jwks->sources->nelts;
}

static const char unavailable[] = "unavailable";

static const char *state_of(const m2_keysource_t *source, const m2_keysource_info_t *info,
                            apr_time_t now)
{
    if (source->kind == M2_KEYSOURCE_FILE) {
        if (source->document->ages && now - info->checked > m2_keysource_lifetime(source)) {
            return unavailable;
        }
        return source->slot && m2_slot_get(&source->slot->failing) ? "broken" : "ok";
    }
    if (!info->checked || now - info->checked > m2_keysource_lifetime(source)) {
        return unavailable;
    }
    if (source->slot && m2_slot_get(&source->slot->lost)) {
        return "broken";
    }
    return now - info->checked
                   > apr_time_from_sec(source->refresh.ttl + source->refresh.timeout)
               ? "stale"
               : "fresh";
}

void m2_jwks_info(m2_keysource_info_t *info, apr_pool_t *pool, const m2_jwks_t *jwks,
                  int i, apr_time_t now)
{
    const m2_keysource_t *source = APR_ARRAY_IDX(jwks->sources, i, m2_keysource_t *);
    const m2_slot_t *slot = source->slot;

    memset(info, 0, sizeof(*info));
    info->name = source->name;
    info->document = source->document;
    info->kind = source->puller.kind ? source->puller.kind : kinds[source->kind];
    info->is_file = source->kind == M2_KEYSOURCE_FILE;
    if (slot) {
        info->checked = (apr_time_t)m2_slot_get(&slot->checked);
        info->due = (apr_time_t)m2_slot_get(&slot->due);
        info->fetches = m2_slot_get(&slot->fetches);
        info->failures = m2_slot_get(&slot->failures);
        info->early = m2_slot_get(&slot->early);
        info->swaps = m2_slot_get(&slot->swaps);
        info->keys = (int)m2_slot_get(&slot->keys);
        info->fault = m2_slot_get(&slot->failing)
                          ? apr_pstrmemdup(pool, slot->fault, M2_FAULT_BYTES - 1)
                          : NULL;
    }
    info->state = state_of(source, info, now);
    info->usable = (info->keys > 0 || source->document->ages) && info->state != unavailable;
}
