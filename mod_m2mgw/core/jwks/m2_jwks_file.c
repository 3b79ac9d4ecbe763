/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Sources that are files. Every child looks at them twice a second.
 */
#include "jwks/m2_jwks_file.h"

#include "base/m2_log.h"

#define LOCAL_KEYS (M2_JWK_PUBLIC | M2_JWK_OCT)
#define LOOK_INTERVAL (APR_USEC_PER_SEC / 2) /* between two looks at one file */

static m2_code_t first_reading(m2_keysource_t *source, apr_pool_t *pool, m2_err_t *err)
{
    m2_file_t file;
    m2_err_t why;

    m2_err_init(&why, pool);
    if (m2_file_read(&file, pool, source->name, M2_MAX_KEYSET_BYTES, M2_FILE_DECIDES, &why)
        != M2_OK) {
        return m2_err_set(err, M2_E_CONFIG, "%s", why.text);
    }
    m2_watch_begin(&source->watch, &file, apr_time_now());
    source->digest = m2_slot_hash(0, file.text);
    if (m2_keysource_take(source, file.text, LOCAL_KEYS, M2_KEYSET_STRICT, err) != M2_OK) {
        return M2_E_CONFIG;
    }
    m2_copy_put(source->copy, &source->copied, file.text, &file.stamp, apr_time_now());
    return M2_OK;
}

m2_code_t m2_keysource_read(m2_keysource_t *source, m2_err_t *err)
{
    apr_pool_t *pool;
    m2_code_t code;

    if (apr_pool_create_unmanaged(&pool) != APR_SUCCESS) {
        return m2_err_set(err, M2_E_INTERNAL, "%s: out of memory", source->name);
    }
    code = first_reading(source, pool, err);
    apr_pool_destroy(pool);
    return code;
}

/* --- the copy --- */

/* 1 when there is another than the source has, and it was taken */
static int take_copy(m2_keysource_t *source)
{
    apr_pool_t *pool;
    m2_slice_t text;
    int taken;

    if (!source->copy || apr_pool_create_unmanaged(&pool) != APR_SUCCESS) {
        return 0;
    }
    text = m2_copy_get(source->copy, &source->copied, NULL, pool);
    taken = text.n
            && m2_keysource_take(source, text, LOCAL_KEYS | M2_JWK_QUIET, M2_KEYSET_LENIENT,
                                 NULL)
                   == M2_OK;
    if (taken) {
        source->digest = m2_slot_hash(0, text);
        source->usable = 1;
    }
    apr_pool_destroy(pool);
    return taken;
}

void m2_keysource_keep(m2_keysource_t *source, const char *why)
{
    source->kept_for = apr_pstrdup(source->pool, why);
    source->broken = 1;
    take_copy(source);
}

void m2_keysource_show_kept(m2_keysource_t *source)
{
    if (source->kept_for) {
        m2_slot_set(&source->slot->failing, 1);
        m2_keysource_set_fault(source, source->kept_for);
    }
}

void m2_keysource_recall(m2_keysource_t *source)
{
    if (take_copy(source)) {
        m2_keysource_soil(source);
    }
}

/* --- watching --- */

/* What the file holds becomes current, unless it is what was there before. */
static int take_file(m2_keysource_t *source, const m2_file_t *file, int flags, m2_err_t *err)
{
    const apr_uint64_t digest = m2_slot_hash(0, file->text);

    if (digest == source->digest
        || m2_keysource_take(source, file->text, LOCAL_KEYS | flags, M2_KEYSET_LENIENT, err)
               != M2_OK) {
        return 0;
    }
    source->digest = digest;
    source->usable = 1;
    m2_keysource_soil(source);
    m2_copy_put(source->copy, &source->copied, file->text, &file->stamp, apr_time_now());
    return 1;
}

/* Every child reads; the first that notes the change tells of it. */
static int is_first(m2_keysource_t *source)
{
    const m2_watch_t *watch = &source->watch;
    const m2_slice_t seen = m2_slice((const char *)&watch->taken, sizeof(watch->taken));

    return m2_keysource_note(source, m2_slot_hash((apr_uint64_t)watch->fault, seen));
}

static void tell(m2_keysource_t *source, int taken, const m2_err_t *why)
{
    m2_slot_t *slot = source->slot;

    if (why->code) {
        m2_log(M2_LOG_ERR, "%s; the keys it held before stay in use", why->text);
    }
    else if (taken || m2_slot_get(&slot->failing)) {
        m2_log(M2_LOG_NOTICE, "%s: read again, %d keys", source->name,
               source->current->set->keys->nelts);
        m2_slot_count(&slot->swaps);
    }
    m2_slot_set(&slot->failing, why->code != M2_OK);
    m2_keysource_set_fault(source, why->code ? why->text : "");
    if (!why->code) {
        m2_slot_set(&slot->checked, (apr_uint64_t)apr_time_now());
    }
}

static void look(m2_keysource_t *source, apr_time_t now, apr_pool_t *pool)
{
    m2_file_t file;
    m2_err_t why;
    m2_look_t seen;
    int taken = 0, first;

    m2_err_init(&why, pool);
    seen = m2_file_watch(&source->watch, &file, pool, source->name, M2_MAX_KEYSET_BYTES,
                         M2_FILE_DECIDES, now, &why);
    if (seen != M2_LOOK_SAME) {
        first = is_first(source);
        if (seen == M2_LOOK_TAKEN) {
            taken = take_file(source, &file, first ? 0 : M2_JWK_QUIET, &why);
        }
        if (first && source->slot) {
            tell(source, taken, &why);
        }
        source->broken = why.code != M2_OK;
    }
    if (source->broken) { /* another process may have read what this one did not */
        m2_keysource_recall(source);
    }
}

void m2_keysource_look(m2_keysource_t *source, apr_time_t now, int at_once)
{
    apr_pool_t *pool;

    if (!at_once && now >= source->looked && now - source->looked < LOOK_INTERVAL) {
        return;
    }
    source->looked = now;
    if (apr_pool_create_unmanaged(&pool) != APR_SUCCESS) {
        return;
    }
    look(source, now, pool);
    apr_pool_destroy(pool);
}
