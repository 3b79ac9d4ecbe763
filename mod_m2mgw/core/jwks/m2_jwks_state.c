/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Last good documents that were fetched: in memory that all processes share, from where they
 * take them, and on disk for the next start of the server. Either is a line of JSON about the
 * document, then the document as it came; the modification time of a file is when the document
 * was last confirmed. A full disk costs what a start would have found there, and nothing else.
 */
#include "jwks/m2_jwks_state.h"


#include "base/m2_log.h"
#include "text/m2_file.h"

#include <apr_file_info.h>
#include <apr_file_io.h>

#include <unistd.h>

#include <openssl/evp.h>

#define NAME_BYTES 32 /* of a copy, before its suffix */
#define SUFFIX_BYTES 5 /* of every kind of document */
#define SWEEP_AGE 60 /* seconds after which a copy is no longer being written */

const char *m2_state_path(m2_keysource_t *source, const char *state_dir)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    char name[NAME_BYTES + 1];
    unsigned int n = 0;
    int i;
    /* a URL may be the one of an issuer, too */
    const char *text = apr_pstrcat(source->pool,
                                   source->kind == M2_KEYSOURCE_ISSUER ? "issuer " : "",
                                   source->name, NULL);

    if (EVP_Digest(text, strlen(text), digest, &n, EVP_sha256(), NULL) != 1) {
        return NULL;
    }
    for (i = 0; i < NAME_BYTES / 2; i++) {
        apr_snprintf(name + 2 * i, 3, "%02x", digest[i]);
    }
    return apr_psprintf(source->pool, "%s/%s%s", state_dir, name, source->document->suffix);
}

static const char *state_line(apr_pool_t *pool, const m2_keysource_t *source,
                              const char *etag, apr_uint64_t interval)
{
    m2_json_t *line = m2_json_make(pool);

    m2_json_set_string(line, "source", source->name);
    if (etag) {
        m2_json_set_string(line, "etag", etag);
    }
    m2_json_set_int(line, "interval", (apr_int64_t)(interval / APR_USEC_PER_SEC));
    return apr_pstrcat(pool, m2_json_dump(pool, line), "\n", NULL);
}

/* Written whole under another name, then renamed: a reader sees the old file or the new. */
static apr_status_t write_file(const m2_keysource_t *source, apr_pool_t *pool, const char *line,
                               m2_slice_t document)
{
    char *name = apr_pstrcat(pool, source->state_path, ".XXXXXX", NULL);
    apr_file_t *file;
    apr_status_t status;

    status = apr_file_mktemp(&file, name, APR_FOPEN_CREATE | APR_FOPEN_WRITE | APR_FOPEN_EXCL,
                             pool);
    if (status != APR_SUCCESS) {
        return status;
    }
    status = apr_file_write_full(file, line, strlen(line), NULL);
    if (status == APR_SUCCESS) {
        status = apr_file_write_full(file, document.p, document.n, NULL);
    }
    if (status == APR_SUCCESS) {
        status = apr_file_sync(file);
    }
    apr_file_close(file);
    if (status == APR_SUCCESS) {
        status = apr_file_rename(name, source->state_path, pool);
    }
    if (status != APR_SUCCESS) {
        apr_file_remove(name, pool);
    }
    return status;
}

apr_status_t m2_state_write(m2_keysource_t *source, apr_pool_t *pool, m2_slice_t document,
                            const char *etag, apr_uint64_t interval)
{
    const char *line = state_line(pool, source, etag, interval);
    const apr_size_t n = strlen(line);
    char *all = apr_palloc(pool, n + document.n);

    memcpy(all, line, n);
    memcpy(all + n, document.p, document.n);
    m2_copy_put(source->copy, &source->copied, m2_slice(all, n + document.n), NULL,
                apr_time_now());
    return source->state_path ? write_file(source, pool, line, document) : APR_ENOENT;
}

void m2_state_confirm(m2_keysource_t *source, apr_pool_t *pool)
{
    const apr_time_t now = apr_time_now();

    m2_copy_confirm(source->copy,
                    m2_slot_get(&source->slot->unstored) /* else all have the same one */
                        ? source->copied
                        : m2_copy_version(source->copy), now);
    if (source->state_path) {
        apr_file_mtime_set(source->state_path, now, pool);
    }
}

/* `HASH.jwks.XXXXXX`: a copy that a process was writing */
static int is_temporary(const char *name)
{
    const apr_size_t n = strspn(name, "0123456789abcdef"), k = SUFFIX_BYTES;

    return n == NAME_BYTES && strlen(name) == n + k + 7 && name[n] == '.' && name[n + k] == '.';
}

void m2_state_sweep(const char *state_dir, apr_time_t now)
{
    apr_pool_t *pool;
    apr_finfo_t info;
    apr_dir_t *dir;

    if (apr_pool_create_unmanaged(&pool) != APR_SUCCESS) {
        return;
    }
    if (apr_dir_open(&dir, state_dir, pool) == APR_SUCCESS) {
        while (apr_dir_read(&info, APR_FINFO_NAME, dir) == APR_SUCCESS) {
            const char *path = apr_pstrcat(pool, state_dir, "/", info.name, NULL);
            m2_stamp_t stamp;

            if (is_temporary(info.name) && m2_file_stamp(&stamp, path)
                && stamp.mtime / 1000 < now - apr_time_from_sec(SWEEP_AGE)) {
                apr_file_remove(path, pool);
            }
        }
        apr_dir_close(dir);
    }
    apr_pool_destroy(pool);
}

static int parse_state(m2_state_t *state, apr_pool_t *pool, const m2_keysource_t *source,
                       m2_slice_t text)
{
    const char *end = memchr(text.p, '\n', text.n);
    const m2_json_t *line;
    double interval;

    if (!end
        || m2_json_parse(&line, pool, m2_slice(text.p, (apr_size_t)(end - text.p)),
                         M2_E_CONFIG, NULL)
               != M2_OK
        || !m2_slice_is(m2_json_string(m2_json_get(line, "source")), source->name)
        || m2_json_time(m2_json_get(line, "interval"), &interval) != M2_OK) {
        return 0;
    }
    state->etag = m2_slice_dup(pool, m2_json_string(m2_json_get(line, "etag")));
    state->interval =
        interval < source->refresh.ttl ? (int)interval : source->refresh.ttl;
    state->document = m2_slice(end + 1, text.n - (apr_size_t)(end + 1 - text.p));
    state->digest = m2_slot_hash(0, state->document);
    return 1;
}

/* Whose copies count: those of root, of the user that the children run as, and of the user that
 * runs this. Copies from other users are ignored. */
static apr_uint32_t children_uid;

void m2_state_trust(apr_uint32_t uid)
{
    children_uid = uid;
}

static int is_trusted(const m2_stamp_t *stamp)
{
    return stamp->uid == 0 || stamp->uid == children_uid || stamp->uid == geteuid();
}

static int read_file(m2_state_t *state, apr_pool_t *pool, const m2_keysource_t *source)
{
    m2_file_t file;

    if (!source->state_path
        || m2_file_read(&file, pool, source->state_path, source->document->max + M2_MAX_LINE,
                        0, NULL)
               != M2_OK) {
        return 0;
    }
    if (!is_trusted(&file.stamp) || (file.stamp.mode & 0002)) {
        m2_log(M2_LOG_WARNING, "%s is not the copy of a key set that the server stored: "
               "somebody else owns it or may write it", source->state_path);
        return 0;
    }
    state->checked = file.stamp.mtime / 1000;
    return parse_state(state, pool, source, file.text);
}

/* What a process of this server fetched is no older than any file. */
static int read_state(m2_state_t *state, apr_pool_t *pool, m2_keysource_t *source)
{
    apr_uint64_t version = 0;
    const m2_slice_t text = m2_copy_get(source->copy, &version, &state->checked, pool);
    const apr_time_t checked = m2_copy_checked(source->copy, version);

    if (text.p && parse_state(state, pool, source, text)) {
        source->copied = version;
        state->checked = checked ? checked : state->checked;
        return 1;
    }
    return read_file(state, pool, source);
}

int m2_state_take(m2_state_t *state, m2_keysource_t *source, int flags)
{
    apr_pool_t *pool;
    int taken;

    memset(state, 0, sizeof(*state));
    if (apr_pool_create_unmanaged(&pool) != APR_SUCCESS) {
        return 0;
    }
    taken = read_state(state, pool, source)
            && m2_keysource_take(source, state->document, M2_JWK_PUBLIC | flags,
                                 M2_KEYSET_LENIENT, NULL)
                   == M2_OK;
    if (taken) {
        source->etag = apr_pstrdup(source->current->pool, state->etag);
    }
    state->document = m2_slice(NULL, 0); /* they lived in the pool */
    state->etag = NULL;
    apr_pool_destroy(pool);
    return taken;
}
