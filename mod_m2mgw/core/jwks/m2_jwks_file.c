/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Sources that are files. Every child looks at them twice a second.
 */
#include "jwks/m2_jwks_file.h"

#include "base/m2_log.h"
#include "jwks/m2_jwks_state.h"

#include <apr_file_io.h>

#define LOCAL_KEYS (M2_JWK_PUBLIC | M2_JWK_OCT)
#define LOOK_INTERVAL (APR_USEC_PER_SEC / 2) /* between two looks at one file */
#define SAME_TIME (APR_USEC_PER_SEC / 20)    /* file systems count in steps below it */

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
void m2_keysource_look(m2_keysource_t *source, apr_time_t now, int at_once)
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
void m2_keysource_recall(m2_keysource_t *source)
{
    const apr_uint64_t version = source->slot ? m2_slot_get(&source->slot->version) : 0;
    m2_state_t state;

    if (version != source->taken && m2_state_take(&state, source, M2_JWK_QUIET)) {
        source->digest = state.digest;
        source->taken = version;
        m2_keysource_soil(source);
    }
}
