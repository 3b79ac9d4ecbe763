/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What all kinds of sources have in common. Parsed documents live in pools without a parent, so
 * that only the ticking thread frees them.
 */
#include "jwks/m2_keysource_int.h"

void m2_generation_drop(m2_generation_t *generation)
{
    if (generation && --generation->holders == 0) {
        apr_pool_destroy(generation->pool);
    }
}

static apr_status_t drop_cleanup(void *data)
{
    m2_generation_drop(data);
    return APR_SUCCESS;
}

void m2_generation_hold(apr_pool_t *pool, m2_generation_t *generation)
{
    generation->holders++;
    apr_pool_cleanup_register(pool, generation, drop_cleanup, apr_pool_cleanup_null);
}

/* --- key sets --- */

/* For people: where each key comes from. Nobody else has these keys yet. */
static void name_origin(m2_keyset_t *set, const char *origin)
{
    int i;

    for (i = 0; i < set->keys->nelts; i++) {
        ((m2_jwk_t **)set->keys->elts)[i]->origin = origin;
    }
}

static m2_code_t parse_keys(const void **pobject, apr_pool_t *pool, m2_slice_t text,
                            const char *label, const char *name, int flags, int mode,
                            m2_err_t *err)
{
    m2_keyset_t *set = m2_keyset_make(pool);
    const m2_code_t code = m2_keyset_parse(set, text, label, flags, (m2_keyset_mode_t)mode, err);

    name_origin(set, name);
    *pobject = set;
    return code;
}

static int count_keys(const void *object)
{
    const m2_keyset_t *set = object;

    return set->keys->nelts;
}

const m2_document_t m2_document_keys = {
    "keys", ".jwks", M2_MAX_KEYSET_BYTES, M2_FILE_DECIDES, APR_USEC_PER_SEC / 2, 0, parse_keys,
    count_keys,
};

/* --- documents --- */

m2_code_t m2_keysource_take(m2_keysource_t *source, m2_slice_t text, int flags,
                            m2_keyset_mode_t mode, m2_err_t *err)
{
    m2_generation_t *generation;
    apr_pool_t *pool;
    m2_err_t why;
    m2_code_t code;

    if (apr_pool_create_unmanaged(&pool) != APR_SUCCESS) {
        return m2_err_set(err, M2_E_INTERNAL, "%s: out of memory", source->label);
    }
    m2_err_init(&why, pool);
    generation = apr_pcalloc(pool, sizeof(*generation));
    generation->pool = pool;
    generation->holders = 1;
    code = source->document->parse(&generation->object, pool, text, source->label, source->name,
                                   flags, (int)mode, &why);
    if (code != M2_OK) {
        m2_err_at(err, code, why.line, why.column, "%s", why.text);
        apr_pool_destroy(pool);
        return code;
    }
    m2_generation_drop(source->current);
    source->current = generation;
    if (source->slot) {
        m2_slot_set(&source->slot->keys, (apr_uint64_t)m2_keysource_entries(source));
    }
    return M2_OK;
}

void m2_keysource_soil(m2_keysource_t *source)
{
    source->dirty = 1;
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

int m2_keysource_entries(const m2_keysource_t *source)
{
    return source->current ? source->document->count(source->current->object) : -1;
}

apr_time_t m2_keysource_lifetime(const m2_keysource_t *source)
{
    const m2_refresh_t *refresh = &source->refresh;
    const int needed = refresh->ttl + 2 * refresh->timeout;

    return apr_time_from_sec(source->document->ages || refresh->max_stale > needed
                                 ? refresh->max_stale
                                 : needed);
}

/* A file has been checked by this process, whatever others have seen. */
static apr_time_t last_checked(const m2_keysource_t *source)
{
    if (source->kind == M2_KEYSOURCE_FILE
        || (source->slot && m2_slot_get(&source->slot->unstored))) {
        return (apr_time_t)m2_slot_get(&source->own_checked);
    }
    return source->slot ? (apr_time_t)m2_slot_get(&source->slot->checked) : 0;
}

/* A file of keys keeps its last good set for ever; all else must be confirmed. */
void m2_keysource_judge(m2_keysource_t *source, apr_time_t now)
{
    int usable = source->current != NULL;

    if (source->kind != M2_KEYSOURCE_FILE || source->document->ages) {
        const apr_time_t checked = last_checked(source);

        usable = usable && checked && now - checked <= m2_keysource_lifetime(source);
    }
    if (usable != source->usable) {
        source->usable = usable;
        m2_keysource_soil(source);
    }
}

m2_code_t m2_keysource_refresh(m2_keysource_t *source, const m2_refresh_t *refresh,
                               m2_err_t *err)
{
    const m2_refresh_t *other = &source->refresh;

    if (source->kind == M2_KEYSOURCE_FILE && !source->document->ages) {
        return M2_OK;
    }
    if (other->ttl
        && (other->ttl != refresh->ttl || other->max_stale != refresh->max_stale
            || other->timeout != refresh->timeout
            || other->cooldown != refresh->cooldown)) {
        if (source->document->ages) {
            return m2_err_set(err, M2_E_CONFIG, "%s is named twice with other terms: max-stale=%d "
                              "ttl=%d, and max-stale=%d ttl=%d", source->label,
                              other->max_stale, other->ttl, refresh->max_stale, refresh->ttl);
        }
        return m2_err_set(err, M2_E_CONFIG,
                          "%s has two refresh policies: ttl=%d max-stale=%d "
                          "timeout=%d cooldown=%d, and ttl=%d max-stale=%d timeout=%d "
                          "cooldown=%d",
                          source->label, other->ttl, other->max_stale, other->timeout,
                          other->cooldown, refresh->ttl, refresh->max_stale,
                          refresh->timeout, refresh->cooldown);
    }
    source->refresh = *refresh;
    return M2_OK;
}

const m2_keyset_t *m2_keysource_keys(const m2_keysource_t *source)
{
    return source->current ? source->current->object : NULL;
}

int m2_keysource_is_broken(const m2_keysource_t *source)
{
    return source->slot && m2_slot_get(&source->slot->failing);
}

void *m2_keysource_puller(const m2_keysource_t *source)
{
    return source->puller.baton;
}

const char *m2_keysource_label(const m2_keysource_t *source)
{
    return source->label;
}

static int is_reached(apr_uint64_t due, const m2_keysource_t *source, apr_time_t now)
{
    return (apr_time_t)due <= now
           || (apr_time_t)due - now > apr_time_from_sec(source->refresh.ttl);
}

int m2_keysource_is_due(const m2_keysource_t *source, apr_time_t now)
{
    const m2_slot_t *slot = source->slot;

    if (m2_slot_get(&slot->unstored)) {
        return is_reached(m2_slot_get(&source->own_due), source, now)
               || m2_slot_get(&slot->asked) > m2_slot_get(&source->own_tried);
    }
    return is_reached(m2_slot_get(&slot->due), source, now);
}

int m2_keysource_is_claimed(const m2_keysource_t *source, apr_time_t now)
{
    const apr_time_t claimed = (apr_time_t)m2_slot_get(&source->slot->claimed);
    const int longest = M2_FETCH_STEPS * source->refresh.timeout + M2_CLAIM_MARGIN;

    return !m2_slot_get(&source->slot->unstored) && claimed > now
           && claimed - now <= apr_time_from_sec(longest);
}
