/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Marks in memcached: one `add` per mark, which stores only what is not there. With several
 * servers a token has its server by hash, always the same one: when that is down the mark
 * is refused. (Going on to the next server, as client libraries like to, would accept every
 * token once per server.) memcached drops live items when its memory is full unless it is
 * started with -M; that is looked at on each new connection and complained about.
 */
#include "replay/m2_replay_store.h"
#include "base/m2_log.h"
#include "wire/m2_wire.h"

#include <stdio.h>

#define MAX_LINE 2048         /* bytes of one line of an answer */
#define MAX_LINES 512         /* of `stats settings` */
#define RELATIVE_MAX 2592000u /* seconds; from here on memcached takes absolute times */

typedef struct servers_t {
    m2_wire_t **wires; /* of this process */
    int n;
} servers_t;

/* What has been read of an answer and not been looked at yet. */
typedef struct reader_t {
    m2_conn_t *conn;
    apr_size_t at, n;
    char bytes[MAX_LINE];
} reader_t;

static void reader_init(reader_t *reader, m2_conn_t *conn)
{
    reader->conn = conn;
    reader->at = reader->n = 0;
}

/* The next line without its CR LF, valid until the call after; NULL if absent. */
static char *read_line(reader_t *reader)
{
    char *line, *end;
    apr_size_t got = 1;

    while (!(end = memchr(reader->bytes + reader->at, '\n', reader->n - reader->at))) {
        memmove(reader->bytes, reader->bytes + reader->at, reader->n - reader->at);
        reader->n -= reader->at;
        reader->at = 0;
        if (reader->n == sizeof(reader->bytes)
            || !(got = m2_conn_read(reader->conn, reader->bytes + reader->n,
                                    sizeof(reader->bytes) - reader->n))) {
            return NULL;
        }
        reader->n += got;
    }
    line = reader->bytes + reader->at;
    reader->at = (apr_size_t)(end - reader->bytes) + 1;
    end[end > line && end[-1] == '\r' ? -1 : 0] = '\0';
    return line;
}

/* memcached that evicts may forget a live mark: said once by each process. */
static int hello(m2_conn_t *conn, void *baton, char *why)
{
    static const char ask[] = "stats settings\r\n";
    m2_replay_t *store = baton;
    reader_t reader;
    const char *line;
    int i, evicts = 0;

    if (!m2_conn_write(conn, ask, sizeof(ask) - 1)) {
        apr_cpystrn(why, "the connection broke", M2_WIRE_WHY);
        return 0;
    }
    reader_init(&reader, conn);
    for (i = 0; i < MAX_LINES && (line = read_line(&reader)) != NULL; i++) {
        evicts |= m2_slice_is(m2_slice_z(line), "STAT evictions on");
        if (!m2_slice_is(m2_slice(line, strcspn(line, " ")), "STAT")) {
            if (evicts && m2_replay_first(store)) {
                m2_log(M2_LOG_WARNING,
                       "replay store %s: memcached drops live marks when its memory is "
                       "full, and a dropped mark is a token accepted twice; start it with "
                       "-M", store->name);
            }
            return 1; /* END, or an ERROR of one that has no such command */
        }
    }
    apr_cpystrn(why, "no answer", M2_WIRE_WHY);
    return 0;
}

static m2_code_t unavailable(char *why, const char *text)
{
    apr_cpystrn(why, text, M2_REPLAY_WHY);
    return M2_E_REPLAY_UNAVAILABLE;
}

/* One exchange; *pkeep when the connection is in step behind it. */
static m2_code_t add(m2_conn_t *conn, const char *request, int n, int *pkeep, char *why)
{
    reader_t reader;
    const char *line;

    *pkeep = 0;
    if (!m2_conn_write(conn, request, (apr_size_t)n)) {
        return unavailable(why, "the connection broke");
    }
    reader_init(&reader, conn);
    if (!(line = read_line(&reader))) {
        return unavailable(why, "no answer in time");
    }
    *pkeep = reader.at == reader.n; /* more than one line: out of step */
    if (m2_slice_is(m2_slice_z(line), "STORED")) {
        return M2_OK;
    }
    if (m2_slice_is(m2_slice_z(line), "NOT_STORED")) {
        return M2_E_JTI_REPLAYED;
    }
    *pkeep = 0; /* after an error the data line may be taken for a command */
    apr_snprintf(why, M2_REPLAY_WHY, "memcached answers %.120s", line);
    return M2_E_REPLAY_UNAVAILABLE;
}

static m2_code_t memcache_mark(m2_replay_t *store, const unsigned char *id,
                               apr_time_t expires_at, apr_time_t now, int *pfull, char *why)
{
    servers_t *servers = store->state;
    apr_uint64_t ttl = m2_replay_ttl(expires_at, now);
    char key[M2_REPLAY_KEY], request[M2_REPLAY_KEY + 64];
    unsigned which = ((unsigned)id[30] << 8 | id[31]) % (unsigned)servers->n;
    m2_conn_t *conn = m2_wire_take(servers->wires[which], 0, why);
    m2_code_t code;
    int n, keep;

    if (!conn) {
        return M2_E_REPLAY_UNAVAILABLE;
    }
    m2_replay_key(key, store, id);
    if (ttl > RELATIVE_MAX) {
        ttl += (apr_uint64_t)apr_time_sec(now);
    }
    n = apr_snprintf(request, sizeof(request),
                     "add %s 0 %" APR_UINT64_T_FMT " 1\r\n1\r\n", key, ttl);
    code = add(conn, request, n, &keep, why);
    *pfull = code == M2_E_REPLAY_UNAVAILABLE && strstr(why, "out of memory") != NULL;
    if (keep) {
        m2_wire_give(servers->wires[which], conn);
    }
    else {
        m2_wire_drop(servers->wires[which], conn);
    }
    return code;
}

static m2_code_t memcache_open(m2_replay_t *store, apr_pool_t *pool, apr_pool_t *process,
                               m2_err_t *err)
{
    (void)pool; /* connections belong to the children */
    (void)err;
    m2_replay_note_leeway(store, process);
    return M2_OK;
}

static m2_code_t memcache_attach(m2_replay_t *store, apr_pool_t *pool, m2_err_t *err)
{
    const m2_replay_spec_t *spec = store->spec;
    servers_t *servers = apr_pcalloc(pool, sizeof(*servers));
    int i;

    m2_names_t *names;
    m2_code_t code = m2_replay_names(&names, pool, spec, err);

    servers->wires = apr_pcalloc(pool, sizeof(*servers->wires) * (apr_size_t)spec->hosts->nelts);
    for (i = 0; code == M2_OK && i < spec->hosts->nelts; i++) {
        m2_host_t *host = &APR_ARRAY_IDX(spec->hosts, i, m2_host_t);
        m2_endpoint_t end = { host->name, host->port, spec->timeout, names, NULL, hello,
                              store };

        code = m2_wire_make(&servers->wires[i], pool, &end, err);
    }
    servers->n = spec->hosts->nelts;
    store->state = servers;
    return code;
}

static void memcache_stats(m2_replay_stats_t *stats, const m2_replay_t *store)
{
    (void)stats;
    (void)store;
}

const m2_replay_impl_t m2_replay_memcache = { memcache_open, memcache_attach,
                                              memcache_mark, memcache_stats };
