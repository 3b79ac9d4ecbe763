/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The registry: sources, feeds, and the composing of both into sets. Parsed documents and
 * composed sets live in pools without a parent, so that the ticking thread can free them and
 * nobody else does; a composed set holds the documents it borrows keys from.
 */
#include "jwks/m2_jwks_int.h"

#include "base/m2_hold.h"
#include "base/m2_log.h"

#include <apr_file_io.h>
#include <apr_hash.h>
#include <apr_uri.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/rand.h>

#define LOCAL_KEYS (M2_JWK_PUBLIC | M2_JWK_OCT)
#define LOOK_INTERVAL (APR_USEC_PER_SEC / 2) /* between two looks at one file */
#define SAME_TIME (APR_USEC_PER_SEC / 20)    /* file systems count in steps below it */
#define MAX_WAITERS 16 /* requests of a process that wait at a time */
#define MEMORY 5       /* cooldowns that an unknown kid is remembered, at most ttl */
#define WAIT_STEP (APR_USEC_PER_SEC / 100)

/* --- documents --- */

static void let_go(m2_generation_t *generation)
{
    if (generation && --generation->holders == 0) {
        apr_pool_destroy(generation->pool);
    }
}

static apr_status_t let_go_cleanup(void *data)
{
    let_go(data);
    return APR_SUCCESS;
}

/* For people: where each key comes from. Nobody else has these keys yet. */
static void name_origin(m2_keyset_t *set, const char *origin)
{
    int i;

    for (i = 0; i < set->keys->nelts; i++) {
        ((m2_jwk_t **)set->keys->elts)[i]->origin = origin;
    }
}

m2_code_t m2_keysource_take(m2_keysource_t *source, m2_slice_t text, int flags,
                            m2_keyset_mode_t mode, m2_err_t *err)
{
    m2_generation_t *generation;
    apr_pool_t *pool;
    m2_err_t why;
    m2_code_t code;

    if (apr_pool_create_unmanaged(&pool) != APR_SUCCESS) {
        return m2_err_set(err, M2_E_INTERNAL, "%s: out of memory", source->name);
    }
    m2_err_init(&why, pool);
    generation = apr_pcalloc(pool, sizeof(*generation));
    generation->pool = pool;
    generation->holders = 1;
    generation->set = m2_keyset_make(pool);
    code = m2_keyset_parse(generation->set, text, source->name, flags, mode, &why);
    if (code != M2_OK) {
        m2_err_at(err, code, why.line, why.column, "%s", why.text);
        apr_pool_destroy(pool);
        return code;
    }
    name_origin(generation->set, source->name);
    let_go(source->current);
    source->current = generation;
    if (source->slot) {
        m2_slot_set(&source->slot->keys, (apr_uint64_t)generation->set->keys->nelts);
    }
    return M2_OK;
}

void m2_keysource_soil(m2_keysource_t *source)
{
    const apr_array_header_t *feeds = source->jwks->feeds;
    int i, k;

    for (i = 0; i < feeds->nelts; i++) {
        m2_feed_t *feed = APR_ARRAY_IDX(feeds, i, m2_feed_t *);

        for (k = 0; k < feed->sources->nelts; k++) {
            feed->dirty |= APR_ARRAY_IDX(feed->sources, k, m2_keysource_t *) == source;
        }
    }
}

int m2_keysource_note(m2_keysource_t *source, apr_uint64_t what)
{
    apr_uint64_t noted;

    if (!source->slot) {
        return 1;
    }
    noted = m2_slot_get(&source->slot->noted);
    return noted != what && m2_slot_win(&source->slot->noted, noted, what);
}

void m2_keysource_set_fault(m2_keysource_t *source, const char *fault)
{
    apr_size_t i;

    for (i = 0; source->slot && i < M2_FAULT_BYTES - 1; i++) {
        __atomic_store_n(&source->slot->fault[i], fault[i], __ATOMIC_RELAXED);
        if (!fault[i]) {
            break;
        }
    }
}

apr_time_t m2_keysource_lifetime(const m2_keysource_t *source)
{
    const m2_refresh_t *refresh = &source->refresh;
    const int needed = refresh->ttl + 2 * refresh->timeout;

    return apr_time_from_sec(refresh->max_stale > needed ? refresh->max_stale : needed);
}

/* A file keeps its last good set for ever; what was fetched must be confirmed. */
void m2_keysource_judge(m2_keysource_t *source, apr_time_t now)
{
    int usable = source->current != NULL;

    if (source->kind != M2_KEYSOURCE_FILE) {
        const apr_time_t checked =
            source->slot ? (apr_time_t)m2_slot_get(&source->slot->checked) : 0;

        usable = usable && checked && now - checked <= m2_keysource_lifetime(source);
    }
    if (usable != source->usable) {
        source->usable = usable;
        m2_keysource_soil(source);
    }
}

/* --- configuration --- */

/* In the parent the sets go when the configuration does; threads have ended by then. */
static apr_status_t destroy_jwks(void *data)
{
    m2_jwks_t *jwks = data;
    m2_retired_t *retired, *next;
    int i;

    for (i = 0; i < jwks->feeds->nelts; i++) {
        m2_feed_t *feed = APR_ARRAY_IDX(jwks->feeds, i, m2_feed_t *);

        if (feed->composed) {
            m2_keyring_swap(feed->ring, NULL);
            apr_pool_destroy(feed->composed->pool);
        }
    }
    for (retired = jwks->retired; retired; retired = next) {
        next = retired->next;
        apr_pool_destroy(retired->pool);
    }
    for (i = 0; i < jwks->sources->nelts; i++) {
        m2_keysource_t *source = APR_ARRAY_IDX(jwks->sources, i, m2_keysource_t *);

        let_go(source->current);
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
    jwks->feeds = apr_array_make(pool, 4, sizeof(m2_feed_t *));
    apr_pool_cleanup_register(pool, jwks, destroy_jwks, apr_pool_cleanup_null);
    return jwks;
}

/* The source of that name, made when there is none; *pnew says which. */
static m2_keysource_t *source_named(int *pnew, m2_jwks_t *jwks, m2_keysource_kind_t kind,
                                    const char *name)
{
    m2_keysource_t *source;
    int i;

    *pnew = 0;
    for (i = 0; i < jwks->sources->nelts; i++) {
        source = APR_ARRAY_IDX(jwks->sources, i, m2_keysource_t *);
        if (source->kind == kind && m2_slice_is(m2_slice_z(source->name), name)) {
            return source;
        }
    }
    *pnew = 1;
    source = apr_pcalloc(jwks->pool, sizeof(*source));
    source->jwks = jwks;
    source->kind = kind;
    source->name = apr_pstrdup(jwks->pool, name);
    return source;
}

static int sign_file(m2_signature_t *signature, const char *path, apr_pool_t *pool)
{
    apr_finfo_t info;

    memset(signature, 0, sizeof(*signature));
    if (apr_stat(&info, path,
                 APR_FINFO_MTIME | APR_FINFO_CTIME | APR_FINFO_SIZE | APR_FINFO_IDENT,
                 pool)
        != APR_SUCCESS) {
        return 0;
    }
    signature->mtime = info.mtime;
    signature->ctime = info.ctime;
    signature->size = info.size;
    signature->inode = info.inode;
    signature->device = info.device;
    return 1;
}

static int same_signature(const m2_signature_t *a, const m2_signature_t *b)
{
    return a->mtime == b->mtime && a->ctime == b->ctime && a->size == b->size
           && a->inode == b->inode && a->device == b->device;
}

static int read_text(m2_slice_t *ptext, apr_pool_t *pool, const char *path)
{
    apr_size_t n = 0;
    apr_file_t *file;
    char *text;

    if (apr_file_open(&file, path, APR_FOPEN_READ | APR_FOPEN_BINARY, APR_OS_DEFAULT,
                      pool)
        != APR_SUCCESS) {
        return 0;
    }
    /* one byte more shows that it is too large */
    text = apr_palloc(pool, M2_MAX_KEYSET_BYTES + 1);
    apr_file_read_full(file, text, M2_MAX_KEYSET_BYTES + 1, &n);
    apr_file_close(file);
    *ptext = m2_slice(text, n);
    return 1;
}

/* The signature is taken before the file is read, so that a change in between is seen as
 * one. Of a file that was written just now the next write might have the same times: its
 * signature is left empty, and the first look reads it again. */
static m2_code_t first_reading(m2_keysource_t *source, apr_pool_t *pool, m2_err_t *err)
{
    m2_slice_t text;

    sign_file(&source->signature, source->name, pool);
    if (!read_text(&text, pool, source->name)) {
        return m2_err_set(err, M2_E_CONFIG, "%s: it cannot be read", source->name);
    }
    if (apr_time_now() - source->signature.ctime < SAME_TIME) {
        memset(&source->signature, 0, sizeof(source->signature));
    }
    source->digest = m2_slot_hash(0, text);
    return m2_keysource_take(source, text, LOCAL_KEYS, M2_KEYSET_STRICT, err);
}

m2_code_t m2_jwks_file(m2_keysource_t **psource, m2_jwks_t *jwks, const char *path,
                       m2_err_t *err)
{
    m2_keysource_t *source;
    apr_pool_t *pool;
    m2_code_t code = M2_OK;
    int fresh;

    *psource = NULL;
    source = source_named(&fresh, jwks, M2_KEYSOURCE_FILE, path);
    if (fresh) {
        if (apr_pool_create_unmanaged(&pool) != APR_SUCCESS) {
            return m2_err_set(err, M2_E_INTERNAL, "%s: out of memory", path);
        }
        code = first_reading(source, pool, err);
        apr_pool_destroy(pool);
    }
    if (code == M2_OK) {
        source->usable = 1;
        *psource = source;
    }
    if (code == M2_OK && fresh) {
        APR_ARRAY_PUSH(jwks->sources, m2_keysource_t *) = source;
    }
    return code;
}

/* RFC 8252 7.3: localhost by its addresses, and by its name as RFC 6761 6.3 reserves it.
 * */
static int is_loopback(const char *host)
{
    struct in_addr address;

    if (m2_slice_is_nocase(m2_slice_z(host), "localhost")
        || m2_slice_is(m2_slice_z(host), "::1")) {
        return 1;
    }
    return inet_pton(AF_INET, host, &address) == 1 && ntohl(address.s_addr) >> 24 == 127;
}

m2_code_t m2_url_check(apr_pool_t *pool, const char *url, m2_err_t *err)
{
    apr_uri_t uri;
    const char *p;
    int clear;

    for (p = url; *p > 0x20 && *p < 0x7f && !strchr("\"<>\\^`{|}", *p); p++) {
    }
    if (*p || apr_uri_parse(pool, url, &uri) != APR_SUCCESS || !uri.scheme
        || !uri.hostname || !*uri.hostname || uri.user || uri.password || uri.fragment) {
        return m2_err_set(err, M2_E_CONFIG,
                          "it is no usable URL: it needs a host, and user "
                          "names, fragments, blanks and quotes are not allowed");
    }
    clear = m2_slice_is_nocase(m2_slice_z(uri.scheme), "http");
    if (!clear && !m2_slice_is_nocase(m2_slice_z(uri.scheme), "https")) {
        return m2_err_set(err, M2_E_CONFIG, "it is no https:// URL");
    }
    if (clear && !is_loopback(uri.hostname)) {
        return m2_err_set(err, M2_E_CONFIG,
                          "keys would be fetched without TLS; http:// is "
                          "allowed to a loopback address only");
    }
    return M2_OK;
}

m2_code_t m2_jwks_url(m2_keysource_t **psource, m2_jwks_t *jwks, m2_keysource_kind_t kind,
                      const char *url, m2_err_t *err)
{
    m2_keysource_t *source;
    int fresh;

    *psource = NULL;
    if (!m2_fetch_available()) {
        return m2_err_set(err, M2_E_CONFIG, "this build has no libcurl and cannot fetch");
    }
    if (m2_url_check(jwks->pool, url, err) != M2_OK) {
        return M2_E_CONFIG;
    }
    source = source_named(&fresh, jwks, kind, url);
    if (fresh) {
        APR_ARRAY_PUSH(jwks->sources, m2_keysource_t *) = source;
    }
    *psource = source;
    return M2_OK;
}

m2_code_t m2_keysource_refresh(m2_keysource_t *source, const m2_refresh_t *refresh,
                               m2_err_t *err)
{
    const m2_refresh_t *other = &source->refresh;

    if (source->kind == M2_KEYSOURCE_FILE) {
        return M2_OK;
    }
    if (other->ttl
        && (other->ttl != refresh->ttl || other->max_stale != refresh->max_stale
            || other->timeout != refresh->timeout
            || other->cooldown != refresh->cooldown)) {
        return m2_err_set(err, M2_E_CONFIG,
                          "%s has two refresh policies: ttl=%d max-stale=%d "
                          "timeout=%d cooldown=%d, and ttl=%d max-stale=%d timeout=%d "
                          "cooldown=%d",
                          source->name, other->ttl, other->max_stale, other->timeout,
                          other->cooldown, refresh->ttl, refresh->max_stale,
                          refresh->timeout, refresh->cooldown);
    }
    source->refresh = *refresh;
    return M2_OK;
}

const m2_keyset_t *m2_keysource_keys(const m2_keysource_t *source)
{
    return source->current ? source->current->set : NULL;
}

const char *m2_keysource_name(const m2_keysource_t *source)
{
    return source->name;
}

/* --- composing --- */

static const m2_jwk_t nobody; /* a kid that two sources use for different keys */

/* Which key each kid stands for, over all sources of a feed. What an administrator wrote
 * into the configuration is not pushed out by what somebody else publishes. */
static void claim_kids(apr_hash_t *kids, m2_feed_t *feed, const m2_keyset_t *set)
{
    int i;

    for (i = 0; i < set->keys->nelts; i++) {
        const m2_jwk_t *jwk = APR_ARRAY_IDX(set->keys, i, const m2_jwk_t *), *other;

        if (!jwk->kid) {
            continue;
        }
        other = apr_hash_get(kids, jwk->kid, APR_HASH_KEY_STRING);
        if (!other) {
            apr_hash_set(kids, jwk->kid, APR_HASH_KEY_STRING, jwk);
        }
        else if (other == &nobody || !m2_keyset_same_key(other, jwk)) {
            int fixed =
                feed->fixed
                && apr_hash_get(feed->fixed->by_kid, jwk->kid, APR_HASH_KEY_STRING);

            if (!fixed) {
                apr_hash_set(kids, jwk->kid, APR_HASH_KEY_STRING, &nobody);
            }
            if (!feed->warned) {
                m2_log(M2_LOG_WARNING,
                       "key '%s' of one source has the kid of a different key "
                       "of another; %s",
                       jwk->kid, fixed ? "the configured one counts" : "neither counts");
                feed->warned = 1;
            }
        }
    }
}

static void add_keys(m2_keyset_t *set, apr_hash_t *kids, const m2_keyset_t *from)
{
    int i;

    for (i = 0; i < from->keys->nelts; i++) {
        const m2_jwk_t *jwk = APR_ARRAY_IDX(from->keys, i, const m2_jwk_t *);

        if (!jwk->kid || apr_hash_get(kids, jwk->kid, APR_HASH_KEY_STRING) == jwk) {
            m2_keyset_add(set, jwk, NULL); /* beyond M2_MAX_KEYS: not added */
        }
    }
}

static void hold(apr_pool_t *pool, m2_generation_t *generation)
{
    generation->holders++;
    apr_pool_cleanup_register(pool, generation, let_go_cleanup, apr_pool_cleanup_null);
}

/* The set of a feed as its sources are now; NULL when nothing in it may be used. */
static m2_keyset_t *compose(m2_feed_t *feed)
{
    apr_hash_t *kids;
    m2_keyset_t *set;
    apr_pool_t *pool;
    int i, round;

    if (apr_pool_create_unmanaged(&pool) != APR_SUCCESS) {
        return NULL;
    }
    set = m2_keyset_make(pool);
    kids = apr_hash_make(pool);
    for (round = 0; round < 2; round++) {
        if (feed->fixed && round == 0) {
            claim_kids(kids, feed, feed->fixed);
        }
        else if (feed->fixed) {
            add_keys(set, kids, feed->fixed);
        }
        for (i = 0; i < feed->sources->nelts; i++) {
            m2_keysource_t *source = APR_ARRAY_IDX(feed->sources, i, m2_keysource_t *);

            if (!source->usable) {
                set->incomplete = 1;
            }
            else if (round == 0) {
                claim_kids(kids, feed, source->current->set);
                hold(pool, source->current);
            }
            else {
                add_keys(set, kids, source->current->set);
            }
        }
    }
    if (!set->keys->nelts) {
        apr_pool_destroy(pool);
        return NULL;
    }
    return set;
}

static void publish(m2_jwks_t *jwks, m2_feed_t *feed)
{
    const m2_keyset_t *old = feed->composed;
    m2_retired_t *retired;

    feed->dirty = 0;
    feed->composed = compose(feed);
    m2_keyring_swap(feed->ring, feed->composed);
    if (old) {
        retired = apr_palloc(old->pool, sizeof(*retired));
        retired->pool = old->pool;
        retired->grace = m2_grace_begin();
        retired->next = jwks->retired;
        jwks->retired = retired;
    }
}

static void reclaim(m2_jwks_t *jwks)
{
    m2_retired_t **slot = &jwks->retired, *retired;

    while ((retired = *slot) != NULL) {
        if (m2_grace_over(&retired->grace)) {
            *slot = retired->next;
            apr_pool_destroy(retired->pool);
        }
        else {
            slot = &retired->next;
        }
    }
}

m2_feed_t *m2_jwks_feed(m2_jwks_t *jwks, m2_keyring_t *ring, const m2_keyset_t *fixed,
                        const apr_array_header_t *sources)
{
    m2_feed_t *feed = apr_pcalloc(jwks->pool, sizeof(*feed));

    feed->ring = ring;
    feed->fixed = fixed;
    feed->sources = sources;
    APR_ARRAY_PUSH(jwks->feeds, m2_feed_t *) = feed;
    m2_keyring_set_feed(ring, feed);
    publish(jwks, feed);
    return feed;
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

const apr_array_header_t *m2_feed_sources(const m2_feed_t *feed)
{
    return feed ? feed->sources : NULL;
}

int m2_feed_fetched(const m2_feed_t *feed)
{
    return feed && has_kind(feed->sources, 1);
}

/* --- sharing and starting --- */

apr_size_t m2_jwks_shared_size(const m2_jwks_t *jwks)
{
    return (apr_size_t)jwks->sources->nelts * sizeof(m2_slot_t) + sizeof(apr_uint64_t);
}

void m2_jwks_share(m2_jwks_t *jwks, void *memory)
{
    int i;

    jwks->slots = memory;
    jwks->seed = (apr_uint64_t *)(jwks->slots + jwks->sources->nelts);
    RAND_bytes((unsigned char *)jwks->seed, sizeof(*jwks->seed));
    for (i = 0; i < jwks->sources->nelts; i++) {
        m2_keysource_t *source = APR_ARRAY_IDX(jwks->sources, i, m2_keysource_t *);

        source->slot = &jwks->slots[i];
        if (source->current) {
            m2_slot_set(&source->slot->checked, (apr_uint64_t)apr_time_now());
            m2_slot_set(&source->slot->keys,
                        (apr_uint64_t)source->current->set->keys->nelts);
        }
    }
}

static void publish_dirty(m2_jwks_t *jwks)
{
    int i;

    for (i = 0; i < jwks->feeds->nelts; i++) {
        m2_feed_t *feed = APR_ARRAY_IDX(jwks->feeds, i, m2_feed_t *);

        if (feed->dirty) {
            publish(jwks, feed);
        }
    }
    for (i = 0; i < jwks->sources->nelts; i++) { /* who waits may look now */
        m2_keysource_t *source = APR_ARRAY_IDX(jwks->sources, i, m2_keysource_t *);

        m2_slot_set(&source->seen, source->taken);
    }
}

void m2_jwks_open(m2_jwks_t *jwks, const char *state_dir, apr_time_t now)
{
    int i;

    for (i = 0; i < jwks->sources->nelts; i++) {
        m2_keysource_t *source = APR_ARRAY_IDX(jwks->sources, i, m2_keysource_t *);

        source->state_path = m2_state_path(source, state_dir);
        if (source->kind != M2_KEYSOURCE_FILE) {
            m2_keysource_restore(source, now);
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
            m2_slot_set(&source->slot->claimed, 0);
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

/* --- files --- */

/* What the file holds becomes current, unless it is what was there before. */
static int take_file(m2_keysource_t *source, int flags, apr_pool_t *pool, m2_err_t *err)
{
    apr_uint64_t digest;
    m2_slice_t text;

    if (!read_text(&text, pool, source->name)) {
        m2_err_set(err, M2_E_CONFIG,
                   "%s: it changed and cannot be read by the server's User",
                   source->name);
        return 0;
    }
    digest = m2_slot_hash(0, text);
    if (digest == source->digest
        || m2_keysource_take(source, text, LOCAL_KEYS | flags, M2_KEYSET_LENIENT, err)
               != M2_OK) {
        return 0;
    }
    source->digest = digest;
    m2_keysource_soil(source);
    if (!(flags & M2_JWK_QUIET) && source->slot && source->state_path
        && m2_state_write(source, pool, text, NULL, 0) == APR_SUCCESS) {
        m2_slot_count(&source->slot->version);
    }
    return 1;
}

/* Every child reads; the first that notes the change tells of it. */
static void reread(m2_keysource_t *source, const m2_signature_t *signature,
                   apr_pool_t *pool)
{
    const int first = m2_keysource_note(
        source, m2_slot_hash(0, m2_slice((const char *)signature, sizeof(*signature))));
    m2_slot_t *slot = source->slot;
    m2_err_t why;
    int taken;

    m2_err_init(&why, pool);
    taken = take_file(source, first ? 0 : M2_JWK_QUIET, pool, &why);
    if (!first || !slot) {
        return;
    }
    if (why.code) {
        m2_log(M2_LOG_ERR, "%s; the keys it held before stay in use", why.text);
    }
    else if (taken || m2_slot_get(&slot->failing)) {
        m2_log(M2_LOG_NOTICE, "%s: read again, %d keys", source->name,
               source->current->set->keys->nelts);
        m2_slot_count(&slot->swaps);
    }
    m2_slot_set(&slot->failing, why.code != M2_OK);
    m2_keysource_set_fault(source, why.code ? why.text : "");
    if (!why.code) {
        m2_slot_set(&slot->checked, (apr_uint64_t)apr_time_now());
    }
}

/* A file that changed is read when two looks in a row find it the same: until then
 * somebody may still be writing. A file that is gone is being replaced, or is broken. */
static void look_at_file(m2_keysource_t *source, apr_time_t now, int at_once)
{
    m2_signature_t signature;
    apr_pool_t *pool;

    if (!at_once && now >= source->looked && now - source->looked < LOOK_INTERVAL) {
        return;
    }
    source->looked = now;
    if (apr_pool_create_unmanaged(&pool) != APR_SUCCESS) {
        return;
    }
    memset(&signature, 0, sizeof(signature));
    sign_file(&signature, source->name, pool);
    if (!same_signature(&signature, &source->signature)) {
        if (at_once || same_signature(&signature, &source->settling)) {
            source->signature = signature;
            reread(source, &signature, pool);
        }
        source->settling = signature;
    }
    apr_pool_destroy(pool);
}

/* The file may be broken by now, and the parent has what it held when the server started:
 * the last good copy lies in the state directory. */
static void recall_file(m2_keysource_t *source)
{
    const apr_uint64_t version = source->slot ? m2_slot_get(&source->slot->version) : 0;
    m2_state_t state;

    if (version != source->taken && m2_state_take(&state, source, M2_JWK_QUIET)) {
        source->digest = state.digest;
        source->taken = version;
        m2_keysource_soil(source);
    }
}

void m2_jwks_catch_up(m2_jwks_t *jwks, apr_time_t now)
{
    int i;

    for (i = 0; i < jwks->sources->nelts; i++) {
        m2_keysource_t *source = APR_ARRAY_IDX(jwks->sources, i, m2_keysource_t *);

        if (source->kind == M2_KEYSOURCE_FILE) {
            recall_file(source);
            look_at_file(source, now, 1);
        }
        else {
            m2_keysource_pick_up(source, now);
        }
    }
    publish_dirty(jwks);
    reclaim(jwks);
}

void m2_jwks_tick(m2_jwks_t *jwks, apr_time_t now)
{
    int i;

    for (i = 0; i < jwks->sources->nelts; i++) {
        m2_keysource_t *source = APR_ARRAY_IDX(jwks->sources, i, m2_keysource_t *);

        if (source->kind == M2_KEYSOURCE_FILE) {
            look_at_file(source, now, 0);
        }
        else {
            m2_keysource_tick(source, now);
        }
    }
    publish_dirty(jwks);
    if (jwks->fetch) {
        m2_fetch_run(jwks->fetch, APR_USEC_PER_SEC / 20);
    }
    reclaim(jwks);
}

/* --- requests --- */

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
           && now - (apr_time_t)since < apr_time_from_sec(most);
}

/* A refresh is under way, or will be with the next tick. */
static int is_wanted(const m2_slot_t *slot, apr_time_t now)
{
    return (apr_time_t)m2_slot_get(&slot->claimed) > now
           || (apr_time_t)m2_slot_get(&slot->due) <= now;
}

/* Who asked may wait for the answer, and so may others with that very kid; a stranger who
 * comes by meanwhile may not, or any fetch would hold as many threads as there are. */
static int ask_source(m2_keysource_t *source, apr_uint64_t hash, apr_time_t now)
{
    m2_slot_t *slot = source->slot;
    const apr_uint64_t asked = m2_slot_get(&slot->asked);
    const apr_time_t since = now - (apr_time_t)asked;

    if (remembered(source, hash, now)) {
        return is_wanted(slot, now);
    }
    if ((apr_time_t)m2_slot_get(&slot->claimed) > now /* what it brings may be older */
        || (asked && since >= 0 && since < apr_time_from_sec(source->refresh.cooldown))
        || !m2_slot_win(&slot->asked, asked, (apr_uint64_t)now)) {
        return 0;
    }
    m2_slot_set(&slot->kids[hash % M2_KIDS].hash, hash);
    m2_slot_set(&slot->kids[hash % M2_KIDS].since, (apr_uint64_t)now);
    m2_slot_count(&slot->early);
    if ((apr_time_t)m2_slot_get(&slot->due) > now) {
        m2_slot_set(&slot->due, (apr_uint64_t)now);
    }
    return 1;
}

int m2_jwks_ask(const m2_keyring_t *ring, m2_slice_t kid, apr_time_t now)
{
    const m2_feed_t *feed = m2_keyring_feed(ring);
    int i, wanted = 0;

    for (i = 0; feed && i < feed->sources->nelts; i++) {
        m2_keysource_t *source = APR_ARRAY_IDX(feed->sources, i, m2_keysource_t *);

        if (source->kind != M2_KEYSOURCE_FILE && source->slot) {
            wanted |= ask_source(source, m2_slot_hash(*source->jwks->seed, kid), now);
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

static int any_wanted(const m2_feed_t *feed)
{
    const apr_time_t now = apr_time_now();
    int i;

    for (i = 0; i < feed->sources->nelts; i++) {
        const m2_keysource_t *source = APR_ARRAY_IDX(feed->sources, i, m2_keysource_t *);

        if (source->kind != M2_KEYSOURCE_FILE && source->slot
            && (is_wanted(source->slot, now)
                || m2_slot_get(&source->seen) != m2_slot_get(&source->slot->version))) {
            return 1;
        }
    }
    return 0;
}

int m2_jwks_wait(const m2_keyring_t *ring, apr_uint64_t generation,
                 apr_interval_time_t most)
{
    static apr_uint32_t waiters;
    const m2_feed_t *feed = m2_keyring_feed(ring);
    const apr_time_t until = apr_time_now() + most;
    int changed = 0;

    if (!feed || most <= 0) {
        return 0;
    }
    if (__atomic_add_fetch(&waiters, 1, __ATOMIC_RELAXED) <= MAX_WAITERS) {
        while (!(changed = generation_of(ring) != generation) && any_wanted(feed)
               && apr_time_now() < until) {
            apr_sleep(WAIT_STEP);
        }
        changed = changed || generation_of(ring) != generation;
    }
    __atomic_sub_fetch(&waiters, 1, __ATOMIC_RELAXED);
    return changed;
}

/* --- for people --- */

int m2_jwks_count(const m2_jwks_t *jwks)
{
    return jwks->sources->nelts;
}

static const char *state_of(const m2_keysource_t *source, const m2_keysource_info_t *info,
                            apr_time_t now)
{
    if (source->kind == M2_KEYSOURCE_FILE) {
        return source->slot && m2_slot_get(&source->slot->failing) ? "broken" : "ok";
    }
    if (!info->checked || now - info->checked > m2_keysource_lifetime(source)) {
        return "unavailable";
    }
    return now - info->checked
                   > apr_time_from_sec(source->refresh.ttl + source->refresh.timeout)
               ? "stale"
               : "fresh";
}

void m2_jwks_info(m2_keysource_info_t *info, apr_pool_t *pool, const m2_jwks_t *jwks,
                  int i, apr_time_t now)
{
    static const char *const kinds[] = { "file", "url", "issuer" };
    const m2_keysource_t *source = APR_ARRAY_IDX(jwks->sources, i, m2_keysource_t *);
    const m2_slot_t *slot = source->slot;

    memset(info, 0, sizeof(*info));
    info->name = source->name;
    info->kind = kinds[source->kind];
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
    info->usable = info->keys > 0 && info->state[0] != 'u';
}
