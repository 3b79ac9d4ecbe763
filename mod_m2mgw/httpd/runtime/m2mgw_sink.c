/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A buffered sink has two halves: lines go to one while the other is written. The lock covers
 * the copy of a line and the change of halves. If the current half is full and the other is still
 * being written, a line is written at once. A thread writes what has been collected; the end
 * of the child does so once more.
 *
 * A disk that is full takes a part of a line. Whoever writes next, in whatever child, ends that
 * line first: what is torn is known to all of them.
 *
 * What goes to a pipe is at most PIPE_BUF bytes in one write: other children write there, too,
 * and longer writes may be interleaved (POSIX write()). Appended files have no such limit.
 */
#include "httpd/runtime/m2mgw_sink.h"

#include "httpd/config/m2mgw_words.h"

#include "base/m2_hold.h"
#include "wire/m2_worker.h"

#include <apr_shm.h>

#include <limits.h>
#include <pthread.h>

#define FILE_BUFFER 32768 /* bytes; the longest line is shorter */
#define FLUSH_EVERY 400   /* milliseconds */
#define TELL_EVERY 10     /* seconds */

/* Lines that wait. */
typedef struct half_t {
    char *bytes;
    apr_size_t used;
} half_t;

struct m2mgw_sink_t {
    apr_file_t *file;
    server_rec *server;   /* the error log that faults go to */
    const char *target;   /* as it is configured */
    apr_uint32_t told;    /* when a fault was last logged, in seconds; 0: never */
    apr_uint32_t *torn;   /* of all children: the file ends within a line */
    apr_uint32_t own_torn; /* where there is no shared memory */
    int is_pipe;
    m2mgw_sink_t *next;   /* of this configuration */
    /* in a child, where lines are buffered */
    pthread_mutex_t lock; /* of all that follows */
    half_t halves[2];
    int current;          /* the half that lines go to */
    int writing;          /* the other one is being written */
    int buffered;         /* constant once requests are served */
};

static m2mgw_sink_t *sinks;  /* of this configuration */
static m2_worker_t *flusher; /* of this child */

apr_size_t m2mgw_sink_most(const m2mgw_sink_t *sink)
{
    return sink->is_pipe ? PIPE_BUF : FILE_BUFFER;
}

/* --- writing --- */

/* Say that a record was not written (a full disk), once in TELL_EVERY seconds. */
static void tell_lost(m2mgw_sink_t *sink, apr_status_t rv)
{
    const apr_uint32_t now = (apr_uint32_t)apr_time_sec(apr_time_now());
    apr_uint32_t told = __atomic_load_n(&sink->told, __ATOMIC_RELAXED);

    if ((told && now - told < TELL_EVERY)
        || !__atomic_compare_exchange_n(&sink->told, &told, now, 0, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED)) {
        return;
    }
    ap_log_error(APLOG_MARK, APLOG_ERR, rv, sink->server, "M2-405: M2MDecisionLog: records are "
                 "lost: cannot write to %s", sink->target);
}

/* One of all writers finds it. */
static int take_torn(m2mgw_sink_t *sink)
{
    return __atomic_load_n(sink->torn, __ATOMIC_RELAXED)
           && __atomic_exchange_n(sink->torn, 0, __ATOMIC_RELAXED);
}

static apr_status_t write_whole(m2mgw_sink_t *sink, const char *bytes, apr_size_t n)
{
    apr_size_t written = 0;
    const apr_status_t rv = apr_file_write_full(sink->file, bytes, n, &written);

    if (rv != APR_SUCCESS && written && bytes[written - 1] != '\n') {
        __atomic_store_n(sink->torn, 1, __ATOMIC_RELAXED);
    }
    return rv;
}

/* The end of a torn line is a write of its own: apr_file_writev_full() says of a short write that
 * all was written, and goes on with the beginning of what it was in. */
static void write_now(m2mgw_sink_t *sink, const char *bytes, apr_size_t n)
{
    apr_status_t rv = APR_SUCCESS;

    if (take_torn(sink)) {
        rv = apr_file_write_full(sink->file, "\n", 1, NULL);
        if (rv != APR_SUCCESS) {
            __atomic_store_n(sink->torn, 1, __ATOMIC_RELAXED);
        }
    }
    rv = rv == APR_SUCCESS ? write_whole(sink, bytes, n) : rv;
    if (rv != APR_SUCCESS) {
        tell_lost(sink, rv);
    }
}

/* Begin to write the current half, with the lock. NULL: nothing is in it, or the other half is
 * still being written. */
static half_t *take_half(m2mgw_sink_t *sink)
{
    half_t *full = &sink->halves[sink->current];

    if (sink->writing || !full->used) {
        return NULL;
    }
    sink->writing = 1;
    sink->current = !sink->current;
    return full;
}

/* Without the lock: no other thread touches this half meanwhile. */
static void write_half(m2mgw_sink_t *sink, half_t *full)
{
    write_now(sink, full->bytes, full->used);
    pthread_mutex_lock(&sink->lock);
    full->used = 0;
    sink->writing = 0;
    pthread_mutex_unlock(&sink->lock);
}

/* Copy a line into the current half, with the lock; 0: there is no room. */
static int put(m2mgw_sink_t *sink, const char *line, apr_size_t n)
{
    half_t *half = &sink->halves[sink->current];

    if (n > m2mgw_sink_most(sink) - half->used) {
        return 0;
    }
    memcpy(half->bytes + half->used, line, n);
    half->used += n;
    return 1;
}

static void write_buffered(m2mgw_sink_t *sink, const char *line, apr_size_t n)
{
    half_t *full = NULL;
    int is_put;

    pthread_mutex_lock(&sink->lock);
    is_put = put(sink, line, n);
    if (!is_put) {
        full = take_half(sink);
        is_put = full && put(sink, line, n);
    }
    pthread_mutex_unlock(&sink->lock);
    if (full) {
        write_half(sink, full);
    }
    if (!is_put) {
        write_now(sink, line, n);
    }
}

void m2mgw_sink_write(m2mgw_sink_t *sink, const char *line, apr_size_t n)
{
    m2_hold_t hold;

    if (!sink->buffered) {
        write_now(sink, line, n);
        return;
    }
    m2_hold_begin(&hold); /* the end of a child of prefork needs the lock */
    write_buffered(sink, line, n);
    m2_hold_end(&hold);
}

static void flush(m2mgw_sink_t *sink)
{
    half_t *full;

    pthread_mutex_lock(&sink->lock);
    full = take_half(sink);
    pthread_mutex_unlock(&sink->lock);
    if (full) {
        write_half(sink, full);
    }
}

static void flush_all(void)
{
    m2mgw_sink_t *sink;

    for (sink = sinks; sink; sink = sink->next) {
        if (sink->buffered) {
            flush(sink);
        }
    }
}

/* --- in a child --- */

static int turn(m2_worker_t *worker, void *baton)
{
    (void)worker;
    (void)baton;
    flush_all();
    return FLUSH_EVERY;
}

/* Behind the end of the flusher, and of the threads that serve. */
static apr_status_t flush_last(void *data)
{
    (void)data;
    flush_all();
    return APR_SUCCESS;
}

static void make_buffers(apr_pool_t *pchild)
{
    m2mgw_sink_t *sink;

    for (sink = sinks; sink; sink = sink->next) {
        const apr_size_t size = m2mgw_sink_most(sink);

        sink->halves[0] = (half_t){ apr_palloc(pchild, size), 0 };
        sink->halves[1] = (half_t){ apr_palloc(pchild, size), 0 };
        sink->current = sink->writing = 0;
        sink->buffered = pthread_mutex_init(&sink->lock, NULL) == 0;
    }
    apr_pool_cleanup_register(pchild, NULL, flush_last, apr_pool_cleanup_null);
}

/* Without a thread that flushes, lines are written at once. */
static void hook_child_init(apr_pool_t *pchild, server_rec *s)
{
    const char *said = m2mgw_cfg_last("BufferedLogs");
    m2_hold_t hold;
    m2_err_t err;

    if (!sinks || !said || ap_cstr_casecmp(said, "On") != 0) {
        return;
    }
    m2_hold_begin(&hold);
    m2_err_init(&err, pchild);
    if (m2_worker_make(&flusher, pchild, turn, NULL, &err) == M2_OK) {
        make_buffers(pchild);
    }
    else {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s, "M2-404: M2MDecisionLog: lines are not "
                     "buffered in this process: %s", err.text);
    }
    m2_hold_end(&hold);
}

/* --- in the parent --- */

static apr_file_t *open_file(apr_pool_t *pconf, server_rec *s, const char *directive,
                             const char *target)
{
    const char *path = ap_server_root_relative(pconf, target);
    apr_file_t *file = NULL;
    apr_status_t rv = path ? apr_file_open(&file, path, APR_WRITE | APR_APPEND | APR_CREATE
                                                            | APR_LARGEFILE,
                                           APR_OS_DEFAULT, pconf)
                           : APR_EBADPATH;

    if (rv != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_ERR, rv, s, "M2-403: %s: cannot open %s", directive,
                     path ? path : target);
        return NULL;
    }
    apr_file_inherit_set(file);
    return file;
}

static apr_file_t *open_program(apr_pool_t *pconf, const char *command)
{
    piped_log *pipe = ap_open_piped_log(pconf, command);

    return pipe ? ap_piped_log_write_fd(pipe) : NULL;
}

/* Whether a file ends within a line: the server was stopped while the disk was full. */
static int ends_torn(apr_pool_t *pconf, const m2mgw_sink_t *sink)
{
    const char *path = ap_server_root_relative(pconf, sink->target);
    apr_file_t *file;
    apr_finfo_t info;
    apr_off_t end;
    char last = '\n';

    if (sink->is_pipe || apr_file_info_get(&info, APR_FINFO_TYPE | APR_FINFO_SIZE, sink->file)
        || info.filetype != APR_REG || info.size <= 0
        || apr_file_open(&file, path, APR_READ | APR_LARGEFILE, APR_OS_DEFAULT, pconf)) {
        return 0;
    }
    end = info.size - 1;
    if (apr_file_seek(file, APR_SET, &end) != APR_SUCCESS
        || apr_file_getc(&last, file) != APR_SUCCESS) {
        last = '\n';
    }
    apr_file_close(file);
    return last != '\n';
}

static void share_torn(m2mgw_sink_t *sink, apr_pool_t *pconf)
{
    apr_shm_t *shm;

    sink->torn = apr_shm_create(&shm, sizeof(*sink->torn), NULL, pconf) == APR_SUCCESS
                     ? apr_shm_baseaddr_get(shm) : &sink->own_torn;
    *sink->torn = (apr_uint32_t)ends_torn(pconf, sink);
}

static apr_status_t forget(void *data)
{
    (void)data;
    sinks = NULL;
    return APR_SUCCESS;
}

m2mgw_sink_t *m2mgw_sink_open(apr_pool_t *pconf, server_rec *s, const char *directive,
                              const char *target)
{
    m2mgw_sink_t *sink = apr_pcalloc(pconf, sizeof(*sink));

    sink->server = s;
    sink->target = apr_pstrdup(pconf, target);
    sink->is_pipe = *target == '|';
    sink->file = sink->is_pipe ? open_program(pconf, target + 1)
                               : open_file(pconf, s, directive, target);
    if (!sink->file) {
        return NULL;
    }
    share_torn(sink, pconf);
    if (!sinks) {
        apr_pool_cleanup_register(pconf, NULL, forget, apr_pool_cleanup_null);
    }
    sink->next = sinks;
    sinks = sink;
    return sink;
}

void m2mgw_sink_register(void)
{
    ap_hook_child_init(hook_child_init, NULL, NULL, APR_HOOK_MIDDLE);
}
