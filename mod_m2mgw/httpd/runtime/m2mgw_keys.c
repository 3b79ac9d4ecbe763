/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * post_config, in the parent: memory for the slots, the state directory, the last good
 * copies, a place in mod_watchdog. Then in every child one thread of mod_watchdog's ticks;
 * requests only read the ring and, for an unknown kid, leave a wish in a slot.
 */
#include "httpd/config/m2mgw_section.h"
#include "httpd/runtime/m2mgw_keys.h"
#include "httpd/status/m2mgw_status.h"

#include <apr_hash.h>
#include <apr_shm.h>
#include <apr_thread_proc.h>
#include <mod_watchdog.h>
#include <unixd.h>

#define TICK (APR_USEC_PER_SEC / 10)
#define STOP_STEPS 50 /* of a tenth of a tick each, that stopping waits for the last tick */
#define MAX_ALIKE                                                                        \
    32 /* keys of a section that only their bits tell apart, listed singly */

/* written when the server starts, and by child_init */
static struct {
    m2_jwks_t *jwks;
    m2_fetch_tls_t tls;
    int started; /* in a child: ticks do something; changes under busy */
    int busy;
} keys;

int m2mgw_keys_missing(const m2_keyring_t *ring, m2_slice_t kid, apr_uint64_t generation,
                       int wait)
{
    return m2_jwks_ask(ring, kid, apr_time_now())
           && m2_jwks_wait(ring, generation, apr_time_from_msec(wait));
}

/* --- the watchdog's thread --- */

/* mod_watchdog does not wait for its thread when a child ends right after its start, and says
 * STOPPING in the main thread while the last tick may be under way. So all that is used here
 * is static or lives as long as the process, and who ticks or stops holds `busy`. */
static int try_lock(void)
{
    return __atomic_exchange_n(&keys.busy, 1, __ATOMIC_ACQUIRE) == 0;
}

static void unlock(void)
{
    __atomic_store_n(&keys.busy, 0, __ATOMIC_RELEASE);
}

/* What cannot be locked in time is left as it is: the process ends, a claim ends by itself. */
static apr_status_t stop(void *data)
{
    int i;

    (void)data;
    for (i = 0; i < STOP_STEPS; i++) {
        if (try_lock()) {
            if (keys.started) {
                keys.started = 0;
                m2_jwks_stop(keys.jwks);
            }
            unlock();
            break;
        }
        apr_sleep(TICK / 10);
    }
    return APR_SUCCESS;
}

static apr_status_t watch(int state, void *data, apr_pool_t *pool)
{
    (void)pool;
    if (state == AP_WATCHDOG_STATE_STARTING) {
        apr_setup_signal_thread(); /* a child is ended from its main thread, not from here */
    }
    else if (state == AP_WATCHDOG_STATE_STOPPING) {
        stop(data);
    }
    else if (state == AP_WATCHDOG_STATE_RUNNING && try_lock()) {
        if (keys.started) {
            m2_jwks_tick(keys.jwks, apr_time_now());
        }
        unlock();
    }
    return APR_SUCCESS;
}

/* --- the parent --- */

static int refuse(server_rec *s, int level, apr_status_t status, const char *what)
{
    ap_log_error(APLOG_MARK, level, status, s, "M2-501: key sources: %s", what);
    return HTTP_INTERNAL_SERVER_ERROR;
}

static int share_slots(apr_pool_t *pconf, server_rec *s)
{
    const apr_size_t size = m2_jwks_shared_size(keys.jwks);
    apr_shm_t *shm;
    apr_status_t status = apr_shm_create(&shm, size, NULL, pconf);

    if (status != APR_SUCCESS) {
        return refuse(s, APLOG_EMERG, status, "no shared memory");
    }
    memset(apr_shm_baseaddr_get(shm), 0, size);
    m2_jwks_share(keys.jwks, apr_shm_baseaddr_get(shm));
    return OK;
}

static apr_status_t end_fetching(void *data)
{
    (void)data;
    m2_fetch_exit();
    return APR_SUCCESS;
}

/* The directory of M2MStateDir, or one below the runtime directory that is made here and
 * handed to the children's user. */
static int state_directory(const char **pdir, apr_pool_t *pconf, server_rec *s, int level)
{
    const m2mgw_globals_t *globals = m2mgw_globals();
    apr_status_t status;

    *pdir = globals->state_dir;
    if (!*pdir) {
        *pdir = ap_runtime_dir_relative(pconf, "m2mgw");
        status = apr_dir_make(
            *pdir, APR_FPROT_UREAD | APR_FPROT_UWRITE | APR_FPROT_UEXECUTE, pconf);
        if (status != APR_SUCCESS && !APR_STATUS_IS_EEXIST(status)) {
            return refuse(
                s, level, status,
                apr_psprintf(pconf, "%s cannot be made, set M2MStateDir", *pdir));
        }
        if (geteuid() == 0
            && chown(*pdir, ap_unixd_config.user_id, ap_unixd_config.group_id) != 0) {
            return refuse(s, level, errno,
                          apr_psprintf(pconf, "%s cannot be handed to User", *pdir));
        }
    }
    if (geteuid() != 0 && access(*pdir, W_OK | X_OK) != 0) {
        return refuse(s, level, errno,
                      apr_psprintf(pconf, "%s is not writable, see M2MStateDir", *pdir));
    }
    return OK;
}

static int open_fetching(apr_pool_t *pconf, server_rec *s)
{
    const m2mgw_globals_t *globals = m2mgw_globals();

    keys.tls.ca = globals->jwks_tls.ca;
    keys.tls.cert = globals->jwks_tls.cert;
    keys.tls.key = globals->jwks_tls.key;
    keys.tls.proxy = globals->jwks_tls.proxy;
    if (!m2_fetch_init()) {
        return refuse(s, APLOG_EMERG, 0, "libcurl does not start");
    }
    apr_pool_cleanup_register(pconf, NULL, end_fetching, apr_pool_cleanup_null);
    return OK;
}

/* What is fetched cannot do without the directory; files only have their last good copies
 * there, for children that start while a file is broken. */
static int open_sources(apr_pool_t *pconf, server_rec *s)
{
    const int fetched = m2_jwks_fetched(keys.jwks);
    const char *dir;
    int status = state_directory(&dir, pconf, s, fetched ? APLOG_EMERG : APLOG_WARNING);

    if (status != OK) {
        return fetched ? status : OK;
    }
    if (fetched) {
        status = open_fetching(pconf, s);
    }
    if (status == OK) {
        m2_jwks_trust(geteuid() == 0 ? ap_unixd_config.user_id : geteuid());
        m2_jwks_open(keys.jwks, dir, apr_time_now());
    }
    return status;
}

static int join_watchdog(apr_pool_t *pconf, server_rec *s)
{
    APR_OPTIONAL_FN_TYPE(ap_watchdog_get_instance) *get =
        APR_RETRIEVE_OPTIONAL_FN(ap_watchdog_get_instance);
    APR_OPTIONAL_FN_TYPE(ap_watchdog_register_callback) *add =
        APR_RETRIEVE_OPTIONAL_FN(ap_watchdog_register_callback);
    ap_watchdog_t *watchdog;
    apr_status_t status;

    if (!get || !add) {
        return refuse(s, APLOG_EMERG, 0,
                      "M2MJwks file: and https: need mod_watchdog to be loaded");
    }
    status = get(&watchdog, "_m2mgw_keys_", 0, 0, pconf);
    if (status == APR_SUCCESS) {
        status = add(watchdog, TICK, NULL, watch);
    }
    return status == APR_SUCCESS ? OK
                                 : refuse(s, APLOG_EMERG, status, "mod_watchdog refuses");
}

static int hook_post_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp,
                            server_rec *s)
{
    int status;

    (void)plog;
    (void)ptemp;
    keys.jwks = m2mgw_cfg_registry();
    keys.started = 0;
    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG
        || !m2_jwks_watched(keys.jwks)) {
        return OK;
    }
    status = share_slots(pconf, s);
    if (status == OK) {
        status = open_sources(pconf, s);
    }
    return status == OK ? join_watchdog(pconf, s) : status;
}

/* No request shall meet the keys of the time when the parent started. Stopping is registered
 * here as well, for the children whose thread mod_watchdog does not wait for. */
static void hook_child_init(apr_pool_t *pchild, server_rec *s)
{
    apr_pool_t *pool; /* as long as the process */

    if (!m2_jwks_watched(keys.jwks)) {
        return;
    }
    m2_jwks_catch_up(keys.jwks, apr_time_now());
    if (apr_pool_create_unmanaged(&pool) != APR_SUCCESS
        || !m2_jwks_start(keys.jwks, &keys.tls, pool)) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, 0, s, "M2-502: key sources are not watched in "
                     "this process: out of memory");
        return;
    }
    keys.started = 1;
    apr_pool_pre_cleanup_register(pchild, NULL, stop);
}

/* --- the status page --- */

/* a row of the list of keys while it grows */
typedef struct row_t {
    m2_json_t *json;
    int section;  /* the last one that uses the key */
    int sections; /* how many use it */
} row_t;

/* what a row of the list of keys is made from */
typedef struct listing_t {
    apr_pool_t *pool;
    apr_hash_t *sources;      /* name -> m2_json_t * */
    apr_hash_t *rows;         /* identity -> row_t * */
    apr_array_header_t *list; /* of row_t *, in order */
} listing_t;

/* What stands in a URL's query may be somebody's password. */
static const char *public_name(apr_pool_t *pool, const m2_keysource_info_t *info)
{
    const char *query = strchr(info->name, '?');

    return info->kind[0] == 'f' || !query
               ? info->name
               : apr_pstrcat(
                   pool,
                   apr_pstrmemdup(pool, info->name, (apr_size_t)(query - info->name)),
                   "?...", NULL);
}

/* A span of time in whole seconds; a clock that was set back makes none negative. */
static void put_span(m2_json_t *json, const char *name, apr_time_t from, apr_time_t to)
{
    m2_json_set_int(json, name, to > from ? apr_time_sec(to - from) : 0);
}

static m2_json_t *source_json(apr_pool_t *pool, const m2_keysource_info_t *info,
                              apr_time_t now)
{
    m2_json_t *json = m2_json_make(pool);

    m2mgw_status_text(json, pool, "source", public_name(pool, info));
    m2_json_set_string(json, "kind", info->kind);
    m2_json_set_string(json, "state", info->state);
    m2_json_set_int(json, "usable", info->usable);
    m2_json_set_int(json, "keys", info->keys);
    if (info->checked) {
        put_span(json, "age", info->checked, now);
    }
    if (info->kind[0] != 'f') {
        put_span(json, "next_refresh", now, info->due);
    }
    m2_json_set_int(json, "fetches", (apr_int64_t)info->fetches);
    m2_json_set_int(json, "failures", (apr_int64_t)info->failures);
    m2_json_set_int(json, "early", (apr_int64_t)info->early);
    m2_json_set_int(json, "swaps", (apr_int64_t)info->swaps);
    if (info->fault && *info->fault) {
        m2mgw_status_text(json, pool, "fault", info->fault);
    }
    return json;
}

static m2_json_t *sources_json(apr_hash_t *by_name, apr_pool_t *pool, apr_time_t now)
{
    m2_json_t *list = m2_json_make_array(pool);
    int i;

    for (i = 0; i < m2_jwks_count(keys.jwks); i++) {
        m2_keysource_info_t info;
        m2_json_t *json;

        m2_jwks_info(&info, pool, keys.jwks, i, now);
        json = source_json(pool, &info, now);
        apr_hash_set(by_name, info.name, APR_HASH_KEY_STRING, json);
        m2_json_append(list, json);
    }
    return list;
}

/* Only what is public: the name of a key, never a part of it. */
static m2_json_t *key_json(const listing_t *listing, const m2_jwk_t *jwk,
                           const m2mgw_section_t *section, apr_time_t now)
{
    static const char *const shared[] = { "source", "kind", "state", "age",
                                          "next_refresh" };
    const m2_json_t *source =
        jwk->origin ? apr_hash_get(listing->sources, jwk->origin, APR_HASH_KEY_STRING)
                    : NULL;
    m2_json_t *json = m2_json_make(listing->pool);
    apr_size_t i;

    m2mgw_status_text(json, listing->pool, "kid", jwk->kid ? jwk->kid : "");
    m2_json_set_string(json, "kty", jwk->kty);
    m2_json_set_string(json, "alg", m2_alg_mask_names(listing->pool, jwk->algs));
    for (i = 0; source && i < sizeof(shared) / sizeof(shared[0]); i++) {
        m2_json_set_json(json, shared[i], m2_json_get(source, shared[i]));
    }
    if (!source) {
        m2_json_set_string(json, "source", "configuration");
        m2mgw_status_text(json, listing->pool, "place",
                          m2mgw_cfg_place(listing->pool, section->keys_at));
        m2_json_set_string(json, "kind", "configuration");
        m2_json_set_string(json, "state", "ok");
        put_span(json, "age", m2mgw_status_since(), now);
    }
    return json;
}

/* A key that a thousand sections use is one row. Keys without a kid that look alike are
 * told apart by their order within a section. */
static void list_key(listing_t *listing, const m2_jwk_t *jwk, int i, apr_time_t now)
{
    const m2mgw_section_t *section =
        APR_ARRAY_IDX(m2mgw_cfg_sections(), i, m2mgw_section_t *);
    const char *origin =
        jwk->origin ? jwk->origin : m2mgw_cfg_place(listing->pool, section->keys_at);
    const char *name = "";
    row_t *row = NULL;
    int n;

    for (n = 0; n < MAX_ALIKE; n++) {
        name = apr_psprintf(listing->pool, "%d %s %s\n%s\n%s", n, jwk->kty,
                            m2_alg_mask_names(listing->pool, jwk->algs),
                            jwk->kid ? jwk->kid : "", origin);
        row = apr_hash_get(listing->rows, name, APR_HASH_KEY_STRING);
        if (!row || row->section != i) {
            break;
        }
    }
    if (!row) {
        row = apr_pcalloc(listing->pool, sizeof(*row));
        row->json = key_json(listing, jwk, section, now);
        apr_hash_set(listing->rows, name, APR_HASH_KEY_STRING, row);
        APR_ARRAY_PUSH(listing->list, row_t *) = row;
    }
    row->sections += row->section != i || row->sections == 0;
    row->section = i;
}

static void list_section(listing_t *listing, int i, apr_time_t now)
{
    const m2mgw_section_t *section =
        APR_ARRAY_IDX(m2mgw_cfg_sections(), i, m2mgw_section_t *);
    const m2_keyset_t *set;
    int k;

    if (!section->dir->keys || !section->keys_at) {
        return;
    }
    set = m2_keyring_enter(section->dir->keys);
    for (k = 0; set && k < set->keys->nelts; k++) {
        list_key(listing, APR_ARRAY_IDX(set->keys, k, const m2_jwk_t *), i, now);
    }
    m2_keyring_leave(section->dir->keys);
}

static void add_status(m2_json_t *document, apr_pool_t *pool)
{
    const apr_time_t now = apr_time_now();
    m2_json_t *list = m2_json_make_array(pool);
    listing_t listing;
    int i;

    listing.pool = pool;
    listing.sources = apr_hash_make(pool);
    listing.rows = apr_hash_make(pool);
    listing.list = apr_array_make(pool, 16, sizeof(row_t *));
    m2_json_set_json(document, "sources", sources_json(listing.sources, pool, now));
    for (i = 0; i < m2mgw_cfg_sections()->nelts; i++) {
        list_section(&listing, i, now);
    }
    for (i = 0; i < listing.list->nelts; i++) {
        row_t *row = APR_ARRAY_IDX(listing.list, i, row_t *);

        m2_json_set_int(row->json, "sections", row->sections);
        m2_json_append(list, row->json);
    }
    m2_json_set_json(document, "keys", list);
}

void m2mgw_keys_register(void)
{
    m2mgw_status_add(add_status);
    ap_hook_post_config(hook_post_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_child_init(hook_child_init, NULL, NULL, APR_HOOK_REALLY_FIRST);
}
