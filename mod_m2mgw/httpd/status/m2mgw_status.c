/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The counters lie in one anonymous segment that children inherit:
 *
 *   | shard 0 | shard 1 | ... | shard 31 | rule 0 | rule 1 | ...
 *
 * A thread keeps to one shard, so that neighbours do not fight for a cache line; reading
 * sums the shards. Nothing is locked and nothing waits: a counter that is read while it
 * moves is off by one for a moment.
 */
#include "httpd/status/m2mgw_status.h"
#include "httpd/config/m2mgw_section.h"

#include "base/m2_hold.h"

#include <apr_hash.h>
#include <apr_shm.h>

#include <stddef.h>
#include <unistd.h>

#define SHARDS 32
#define LATENCIES 10
#define MAX_PARTS 8

/* upper bounds of the latency buckets, in microseconds; the last has none */
static const int bounds[LATENCIES] = { 5, 10, 25, 50, 75, 100, 250, 1000, 10000, 0 };

typedef struct shard_t {
    apr_uint64_t decisions[M2_CODES];
    apr_uint64_t shadow[M2_CODES]; /* of these: refusals that Shadow let pass */
    apr_uint64_t cached;
    apr_uint64_t latency[LATENCIES];
    apr_uint64_t latency_sum;
} __attribute__((aligned(64))) shard_t;

typedef struct rule_count_t {
    apr_uint64_t allow, deny;
} rule_count_t;

/* written in post_config, before there are children; what it points to is shared */
static struct board_t {
    apr_time_t since;
    shard_t *shards;
    rule_count_t *rules;
    apr_array_header_t *sections; /* of const m2mgw_section_t * */
    const char **names;           /* of the sections, no two alike */
} board;

static m2mgw_status_fn *parts[MAX_PARTS];
static int parts_n;

static void add(apr_uint64_t *counter, apr_uint64_t n)
{
    __atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

static apr_uint64_t get(const apr_uint64_t *counter)
{
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

/* --- counting --- */

/* Processes begin at different shards, their threads take the next ones. */
static shard_t *my_shard(void)
{
    static apr_uint32_t threads;
    static __thread apr_uint32_t mine; /* 0: not yet chosen */

    if (!mine) {
        mine =
            1
            + ((apr_uint32_t)getpid() + __atomic_fetch_add(&threads, 1, __ATOMIC_RELAXED))
                  % SHARDS;
    }
    return &board.shards[mine - 1];
}

void m2mgw_status_count(m2_code_t code, int shadowed, const m2_rule_t *rule)
{
    const int pass = code == M2_OK || code == M2_BYPASS;
    shard_t *shard;

    if (!board.shards) {
        return;
    }
    shard = my_shard();
    add(&shard->decisions[code], 1);
    if (!pass && shadowed) {
        add(&shard->shadow[code], 1);
    }
    if (rule && rule->number > 0) {
        rule_count_t *count = &board.rules[rule->number - 1];

        add(pass ? &count->allow : &count->deny, 1);
    }
}

void m2mgw_status_token(int cached, apr_interval_time_t took)
{
    shard_t *shard;
    int i = 0;

    if (!board.shards || took < 0) {
        return;
    }
    shard = my_shard();
    if (cached) {
        add(&shard->cached, 1);
        return;
    }
    while (i < LATENCIES - 1 && took > bounds[i]) {
        i++;
    }
    add(&shard->latency[i], 1);
    add(&shard->latency_sum, (apr_uint64_t)took);
}

/* --- the document --- */

static apr_uint64_t sum_of(apr_size_t offset)
{
    apr_uint64_t sum = 0;
    int i;

    for (i = 0; i < SHARDS; i++) {
        sum += get((const apr_uint64_t *)((const char *)&board.shards[i] + offset));
    }
    return sum;
}

static void put(m2_json_t *json, const char *name, apr_uint64_t value)
{
    m2_json_set_int(json, name, (apr_int64_t)value);
}

void m2mgw_status_text(m2_json_t *json, apr_pool_t *pool, const char *name,
                       const char *text)
{
    char *ascii, *p;

    m2_json_set_string(json, name, text);
    if (!m2_json_get(json, name)) { /* no UTF-8 */
        ascii = apr_pstrdup(pool, text);
        for (p = ascii; *p; p++) {
            *p = (unsigned char)*p < 0x80 ? *p : '?';
        }
        m2_json_set_string(json, name, ascii);
    }
}

apr_time_t m2mgw_status_since(void)
{
    return board.since;
}

/* Counters by reason, of those at offset; two codes may share a reason. */
static m2_json_t *by_reason(apr_uint64_t *ptotal, apr_pool_t *pool, apr_size_t offset,
                            m2_code_t first)
{
    m2_json_t *json = m2_json_make(pool);
    int i;

    *ptotal = 0;
    for (i = (int)first; i < M2_CODES; i++) {
        const char *reason = m2_reason_of((m2_code_t)i)->reason;
        apr_uint64_t n = sum_of(offset + (apr_size_t)i * sizeof(n));

        *ptotal += n;
        put(json, reason, n + (apr_uint64_t)m2mgw_status_int(json, reason));
    }
    return json;
}

static void add_decisions(m2_json_t *document, apr_pool_t *pool)
{
    apr_uint64_t all, shadow, passed;
    m2_json_t *json = by_reason(&all, pool, offsetof(shard_t, decisions), M2_OK);

    passed =
        (apr_uint64_t)(m2mgw_status_int(json, "ok") + m2mgw_status_int(json, "bypass"));
    m2_json_set_json(document, "decisions", json);
    json = by_reason(&shadow, pool, offsetof(shard_t, shadow), M2_E_TOKEN_MISSING);
    put(document, "requests", all);
    put(document, "passed", passed);
    /* counters move while they are read: a difference may be behind its parts */
    put(document, "refused", all > passed + shadow ? all - passed - shadow : 0);
    put(document, "shadow_denials", shadow);
    m2_json_set_json(document, "shadow", json);
}

void m2mgw_status_cache_counts(m2_json_t *json)
{
    apr_uint64_t misses = 0;
    int i;

    for (i = 0; i < LATENCIES; i++) {
        misses += sum_of(offsetof(shard_t, latency) + (apr_size_t)i * sizeof(misses));
    }
    put(json, "hits", sum_of(offsetof(shard_t, cached)));
    put(json, "misses", misses);
}

static m2_json_t *verification(apr_pool_t *pool)
{
    m2_json_t *json = m2_json_make(pool);
    m2_json_t *buckets = m2_json_make_array(pool);
    apr_uint64_t count = 0;
    int i;

    for (i = 0; i < LATENCIES; i++) {
        m2_json_t *bucket = m2_json_make(pool);

        count += sum_of(offsetof(shard_t, latency) + (apr_size_t)i * sizeof(count));
        if (bounds[i]) {
            m2_json_set_int(bucket, "le", bounds[i]);
        }
        else {
            m2_json_set_string(bucket, "le", "+Inf");
        }
        put(bucket, "count", count);
        m2_json_append(buckets, bucket);
    }
    put(json, "count", count);
    put(json, "microseconds", sum_of(offsetof(shard_t, latency_sum)));
    m2_json_set_json(json, "buckets", buckets);
    return json;
}

static m2_json_t *rules(apr_pool_t *pool)
{
    m2_json_t *list = m2_json_make_array(pool);
    int i, k;

    for (i = 0; i < board.sections->nelts; i++) {
        const m2mgw_section_t *section =
            APR_ARRAY_IDX(board.sections, i, m2mgw_section_t *);

        for (k = 0; section->rules && k < section->rules->rules->nelts; k++) {
            const m2_rule_t *rule = APR_ARRAY_IDX(section->rules->rules, k, m2_rule_t *);
            const rule_count_t *count = &board.rules[rule->number - 1];
            m2_json_t *json = m2_json_make(pool);

            m2mgw_status_text(json, pool, "section", board.names[i]);
            m2mgw_status_text(json, pool, "rule", rule->name);
            put(json, "allow", get(&count->allow));
            put(json, "deny", get(&count->deny));
            m2_json_append(list, json);
        }
    }
    return list;
}

static m2_json_t *document(apr_pool_t *pool)
{
    m2_hold_t hold;
    m2_json_t *json;
    int i;

    m2_hold_begin(&hold);
    json = m2_json_make(pool);
    m2_json_set_string(json, "module", "mod_m2mgw " M2MGW_VERSION);
    m2_json_set_string(json, "httpd", ap_get_server_description());
    m2_json_set_int(json, "since", apr_time_sec(board.since));
    m2_json_set_int(json, "now", apr_time_sec(apr_time_now()));
    add_decisions(json, pool);
    m2_json_set_json(json, "rules", rules(pool));
    m2_json_set_json(json, "verification", verification(pool));
    for (i = 0; i < parts_n; i++) {
        parts[i](json, pool);
    }
    m2_hold_end(&hold);
    return json;
}

apr_int64_t m2mgw_status_int(const m2_json_t *json, const char *name)
{
    double value = 0;

    return m2_json_time(m2_json_get(json, name), &value) == M2_OK ? (apr_int64_t)value
                                                                  : 0;
}

const m2_reason_t *m2mgw_status_reason(const char *name)
{
    int i;

    for (i = 0; i < M2_CODES; i++) {
        if (m2_slice_is(m2_slice_z(name), m2_reason_of((m2_code_t)i)->reason)) {
            return m2_reason_of((m2_code_t)i);
        }
    }
    return NULL;
}

static void send_json(request_rec *r, const m2_json_t *json)
{
    ap_set_content_type(r, "application/json");
    ap_rputs(m2_json_dump(r->pool, json), r);
    ap_rputs("\n", r);
}

/* --- hooks --- */

static const struct format_t {
    const char *name;
    void (*send)(request_rec *r, const m2_json_t *json);
} formats[] = {
    { "html", m2mgw_status_html },
    { "json", send_json },
    { "prometheus", m2mgw_status_prometheus },
};

/* What `format` asks for, html when nothing does; NULL when nobody knows what. Other
 * parameters are none of our business. */
static const struct format_t *wanted_format(request_rec *r)
{
    static const char name[] = "format=";
    const struct format_t *found = &formats[0];
    const char *args = r->args ? r->args : "";
    const char *word;
    apr_size_t i;

    while (*args) {
        const m2_slice_t given = m2_slice_z(word = ap_getword(r->pool, &args, '&'));
        const apr_size_t n = sizeof(name) - 1;

        if (given.n < n || !m2_slice_is(m2_slice(word, n), name)) {
            continue;
        }
        found = NULL;
        for (i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
            if (m2_slice_is(m2_slice_z(word + n), formats[i].name)) {
                found = &formats[i];
            }
        }
        if (!found) {
            break;
        }
    }
    return found;
}

/* For refusals, too: nothing here is to be kept, framed or guessed at. */
static void set_headers(request_rec *r)
{
    apr_table_setn(r->err_headers_out, "Cache-Control", "no-store");
    apr_table_setn(r->err_headers_out, "X-Content-Type-Options", "nosniff");
    apr_table_setn(
        r->err_headers_out, "Content-Security-Policy",
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'");
}

static int hook_handler(request_rec *r)
{
    const struct format_t *format;

    if (!r->handler || !m2_slice_is(m2_slice_z(r->handler), "m2m-status")) {
        return DECLINED;
    }
    set_headers(r);
    ap_allow_standard_methods(r, REPLACE_ALLOW, M_GET, -1);
    if (r->method_number != M_GET) {
        return HTTP_METHOD_NOT_ALLOWED;
    }
    format = wanted_format(r);
    if (!format) {
        return HTTP_BAD_REQUEST;
    }
    format->send(r, document(r->pool));
    return OK;
}

/* How people and metrics call the sections. A file that is included twice makes sections
 * that stand on the same line: their names get a number. */
static void name_sections(apr_pool_t *pconf, apr_pool_t *ptemp)
{
    apr_hash_t *seen = apr_hash_make(ptemp);
    int i, *count;

    board.names = apr_pcalloc(pconf, (apr_size_t)(board.sections->nelts + 1)
                                         * sizeof(*board.names));
    for (i = 0; i < board.sections->nelts; i++) {
        const m2mgw_section_t *section =
            APR_ARRAY_IDX(board.sections, i, m2mgw_section_t *);
        const ap_directive_t *at = section->where ? section->where : section->first;
        const char *place = at ? m2mgw_cfg_place(ptemp, at) : "";
        const char *name = section->where ? apr_psprintf(ptemp, "%s %s (%s)",
                                                         at->directive, at->args, place)
                                          : apr_psprintf(ptemp, "server (%s)", place);

        count = apr_hash_get(seen, name, APR_HASH_KEY_STRING);
        if (!count) {
            count = apr_pcalloc(ptemp, sizeof(*count));
            apr_hash_set(seen, name, APR_HASH_KEY_STRING, count);
        }
        board.names[i] = ++*count == 1 ? apr_pstrdup(pconf, name)
                                       : apr_psprintf(pconf, "%s #%d", name, *count);
    }
}

/* Rules get their numbers here, where configuration is complete and nobody serves yet. */
static int number_rules(apr_array_header_t *sections)
{
    int n = 0;
    int i, k;

    for (i = 0; i < sections->nelts; i++) {
        const m2mgw_section_t *section = APR_ARRAY_IDX(sections, i, m2mgw_section_t *);

        for (k = 0; section->rules && k < section->rules->rules->nelts; k++) {
            APR_ARRAY_IDX(section->rules->rules, k, m2_rule_t *)->number = ++n;
        }
    }
    return n;
}

static int hook_post_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp,
                            server_rec *s)
{
    apr_size_t size;
    apr_shm_t *shm;
    apr_status_t rv;

    (void)plog;
    board.since = apr_time_now();
    board.sections = apr_array_copy(pconf, m2mgw_cfg_sections());
    name_sections(pconf, ptemp);
    size = SHARDS * sizeof(shard_t)
           + (apr_size_t)(number_rules(board.sections) + 1) * sizeof(rule_count_t);
    rv = apr_shm_create(&shm, size + sizeof(shard_t), NULL, pconf);
    if (rv != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_ERR, rv, s,
                     "M2-401: no shared memory for counters");
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    board.shards =
        (shard_t *)(((apr_uintptr_t)apr_shm_baseaddr_get(shm) + 63) & ~(apr_uintptr_t)63);
    memset(board.shards, 0, size);
    board.rules = (rule_count_t *)(board.shards + SHARDS);
    return OK;
}

void m2mgw_status_add(m2mgw_status_fn *fn)
{
    if (parts_n < MAX_PARTS) {
        parts[parts_n++] = fn;
    }
}

/* The segment goes with pconf; until the next one is there, nothing is counted. */
static int hook_pre_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp)
{
    (void)pconf;
    (void)plog;
    (void)ptemp;
    memset(&board, 0, sizeof(board));
    return OK;
}

void m2mgw_status_register(void)
{
    parts_n = 0;
    ap_hook_pre_config(hook_pre_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_post_config(hook_post_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_handler(hook_handler, NULL, NULL, APR_HOOK_MIDDLE);
}
