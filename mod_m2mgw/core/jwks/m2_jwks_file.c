/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Sources that are files. Every child looks at them, keys twice a second, lists more often: a
 * list that changes all the time is read at the fifth look at the latest; a change may take two
 * seconds.
 */
#include "jwks/m2_jwks_file.h"

#include "base/m2_log.h"

#define LOCAL_KEYS (M2_JWK_PUBLIC | M2_JWK_OCT)
#define LONGEST_PAUSE (3 * APR_USEC_PER_SEC / 10) /* between two looks at a list, however long
                                                     it takes to read */
#define REST 2 /* a list is read for a third of the time at most, within that pause */

/* What the last text was, to know it and what begins with it. */
static void note_text(m2_keysource_t *source, m2_slice_t text)
{
    source->digest = m2_slot_hash(0, text);
    source->size = text.n;
}

/* At a restart a list that somebody may be writing says nothing yet: what the processes before
 * believed goes on to count, until a look finds the file at rest. 1 when that is so. A cut list
 * still is a list, and what it lacks would be good again; cut keys are no keys. */
static int goes_on_with_copy(m2_keysource_t *source, const m2_file_t *file, apr_pool_t *pool)
{
    const apr_uint64_t before = source->copied;
    m2_slice_t text;

    if (!(source->document->file_flags & M2_FILE_LINES) || !m2_copy_version(source->copy)
        || m2_file_is_settled(file, apr_time_now())) {
        return 0;
    }
    text = m2_copy_get(source->copy, &source->copied, NULL, pool);
    if (!text.p || (file->text.n >= text.n
                    && m2_slice_eq(m2_slice(file->text.p, text.n), text)) /* it only goes on */
        || m2_keysource_take(source, text, LOCAL_KEYS | M2_JWK_QUIET, M2_KEYSET_LENIENT, NULL)
               != M2_OK) {
        source->copied = before;
        return 0;
    }
    note_text(source, text);
    memset(&source->watch, 0, sizeof(source->watch));
    return 1;
}

static m2_code_t first_reading(m2_keysource_t *source, apr_pool_t *pool, m2_err_t *err)
{
    m2_file_t file;
    m2_err_t why;
    m2_code_t code;

    m2_err_init(&why, pool);
    code = m2_file_read(&file, pool, source->name, source->document->max,
                        source->document->file_flags, &why);
    if (code == M2_OK) {
        m2_watch_begin(&source->watch, &file, apr_time_now());
    }
    else if (!source->may_miss || file.fault != M2_FILE_MISSING
             || m2_copy_version(source->copy)) { /* there was one, and it is gone */
        return m2_err_set(err, M2_E_CONFIG, "%s", why.text);
    }
    note_text(source, file.text);
    source->own_checked = (apr_uint64_t)apr_time_now();
    if (m2_keysource_take(source, file.text, LOCAL_KEYS, M2_KEYSET_STRICT, err) != M2_OK) {
        return M2_E_CONFIG;
    }
    if (code != M2_OK || !goes_on_with_copy(source, &file, pool)) {
        m2_copy_put(source->copy, &source->copied, file.text, &file.stamp, apr_time_now());
    }
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
    taken = text.p
            && m2_keysource_take(source, text, LOCAL_KEYS | M2_JWK_QUIET, M2_KEYSET_LENIENT,
                                 NULL)
                   == M2_OK;
    if (taken) {
        note_text(source, text);
        source->usable = 1;
    }
    apr_pool_destroy(pool);
    return taken;
}

/* What any process found good counts as found good. */
static void adopt_time(m2_keysource_t *source)
{
    const apr_time_t checked = m2_copy_checked(source->copy, source->copied);

    if (source->document->ages && checked > (apr_time_t)source->own_checked) {
        m2_slot_set(&source->own_checked, (apr_uint64_t)checked);
    }
}

void m2_keysource_keep(m2_keysource_t *source, const char *why)
{
    source->kept_for = apr_pstrdup(source->pool, why);
    source->broken = 1;
    take_copy(source);
    adopt_time(source);
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
    adopt_time(source);
}

/* --- watching --- */

/* What the file holds becomes current, unless it is what was there before. */
static int take_file(m2_keysource_t *source, const m2_file_t *file, int flags, m2_err_t *err)
{
    const m2_slice_t text = file->text;

    if (text.n == source->size && m2_slot_hash(0, text) == source->digest) {
        return 0;
    }
    if (m2_keysource_take(source, text, LOCAL_KEYS | flags, M2_KEYSET_LENIENT, err) != M2_OK) {
        return 0;
    }
    note_text(source, text);
    source->usable = 1;
    m2_keysource_soil(source);
    m2_copy_put(source->copy, &source->copied, text, &file->stamp, apr_time_now());
    return 1;
}

/* Every child reads; the first that notes the change tells of it. */
static int is_first(m2_keysource_t *source)
{
    const m2_watch_t *watch = &source->watch;
    const m2_slice_t seen = m2_slice((const char *)&watch->taken, sizeof(watch->taken));

    return m2_keysource_note(source, m2_slot_hash((apr_uint64_t)watch->fault * 2
                                                      + (apr_uint64_t)watch->partial, seen));
}

static void tell(m2_keysource_t *source, int taken, const m2_err_t *why)
{
    m2_slot_t *slot = source->slot;

    if (why->code) {
        m2_log(M2_LOG_ERR, "%s; the %s it held before stay in use", why->text,
               source->document->noun);
    }
    else if (taken || m2_slot_get(&slot->failing)) {
        m2_log(M2_LOG_NOTICE, "%s: read again, %d %s", source->name,
               m2_keysource_entries(source), source->document->noun);
        m2_slot_count(&slot->swaps);
    }
    m2_slot_set(&slot->failing, why->code != M2_OK);
    m2_keysource_set_fault(source, why->code ? why->text : "");
    if (!why->code) {
        m2_slot_set(&slot->checked, (apr_uint64_t)apr_time_now());
    }
}

/* Lists only grow while they are in use: what begins with all that was there before takes
 * nothing back. */
static int goes_on(const m2_keysource_t *source, m2_slice_t text)
{
    return source->current && !source->broken && text.n >= source->size
           && m2_slot_hash(0, m2_slice(text.p, source->size)) == source->digest;
}

/* Before the file has come to rest. It is believed where nothing speaks against it, and else
 * looked at again. */
static int take_early(m2_keysource_t *source, m2_file_t *file, apr_time_t now)
{
    const int flags = source->document->file_flags;
    m2_watch_t watch = source->watch;

    m2_watch_accept(&source->watch, file, flags, now);
    if ((goes_on(source, file->text) || watch.restless >= M2_LOOKS)
        && take_file(source, file, M2_JWK_QUIET, NULL)) {
        return 1;
    }
    source->watch = watch;
    return 0;
}

/* What becomes of a look: 1 if the text is another now. *pfirst: it is this process's to tell. */
static int take(int *pfirst, m2_keysource_t *source, m2_file_t *file, m2_look_t seen,
                apr_time_t now, m2_err_t *why)
{
    int taken;

    if (seen == M2_LOOK_EARLY) {
        taken = take_early(source, file, now);
        *pfirst = taken && is_first(source);
        return taken;
    }
    *pfirst = is_first(source);
    taken = seen == M2_LOOK_TAKEN
            && take_file(source, file, *pfirst ? 0 : M2_JWK_QUIET, why);
    source->broken = why->code != M2_OK;
    return taken;
}

static void look(m2_keysource_t *source, apr_time_t now, apr_pool_t *pool)
{
    m2_file_t file;
    m2_err_t why;
    m2_look_t seen;
    int taken, first;

    m2_err_init(&why, pool);
    seen = m2_file_watch(&source->watch, &file, pool, source->name, source->document->max,
                         source->document->file_flags, now, &why);
    if (seen != M2_LOOK_SAME) {
        taken = take(&first, source, &file, seen, now, &why);
        if (first && source->slot) {
            tell(source, taken, &why);
        }
    }
    if (source->broken) { /* another process may have read what this one did not */
        m2_keysource_recall(source);
    }
}

/* When a look found the file good and as it was, and when all of that was last told to others:
 * once a second is enough. */
static void confirm(m2_keysource_t *source, apr_time_t now)
{
    apr_uint64_t told;

    if ((apr_time_t)source->own_checked > now) { /* the clock was set back */
        m2_slot_set(&source->own_checked, (apr_uint64_t)now);
    }
    if (source->broken || !m2_watch_rests(&source->watch) || !source->current) {
        return;
    }
    m2_slot_set(&source->own_checked, (apr_uint64_t)now);
    told = source->slot ? m2_slot_get(&source->slot->checked) : (apr_uint64_t)now;
    if (((apr_time_t)told > now || now - (apr_time_t)told >= APR_USEC_PER_SEC)
        && m2_slot_win(&source->slot->checked, told, (apr_uint64_t)now)) {
        m2_copy_confirm(source->copy, source->copied, now);
    }
}

/* What people have to know about a list that stays bad, once for all children. */
static void judge(m2_keysource_t *source, apr_time_t now)
{
    const apr_uint64_t checked = source->own_checked;
    const int was = source->usable;

    m2_keysource_judge(source, now);
    if (was && !source->usable && m2_keysource_note(source, checked / APR_USEC_PER_SEC)) {
        m2_log(M2_LOG_ERR, "%s: not found good for %d seconds, longer than max-stale: its %s are "
               "not used any more", source->name,
               (int)apr_time_sec(now - (apr_time_t)checked), source->document->noun);
    }
}

/* A list that takes long to read is looked at less often. */
static apr_interval_time_t pause_of(const m2_keysource_t *source)
{
    const apr_interval_time_t rest = REST * source->taking;

    return rest <= source->document->look      ? source->document->look
           : rest < LONGEST_PAUSE              ? rest
           : source->document->look < LONGEST_PAUSE ? LONGEST_PAUSE
                                               : source->document->look;
}

void m2_keysource_look(m2_keysource_t *source, apr_time_t now, int at_once)
{
    const apr_time_t begin = apr_time_now();
    apr_pool_t *pool;

    if (!at_once && now >= source->looked && now - source->looked < pause_of(source)) {
        return;
    }
    source->looked = now;
    if (apr_pool_create_unmanaged(&pool) != APR_SUCCESS) {
        return;
    }
    look(source, now, pool);
    apr_pool_destroy(pool);
    if (source->document->ages) {
        confirm(source, now);
        judge(source, now);
    }
    source->taking = apr_time_now() - begin;
}
