/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The counters lie in one anonymous segment that children inherit:
 *
 *   | shard 0 | shard 1 | ... | shard 31 | rule 0 | rule 1 | ...
 *
 * A thread counts in the shard of its connection, so that neighbours do not fight for a
 * cache line; reading sums the shards. Nothing is locked and nothing waits: a counter that
 * is read while it moves is off by one for a moment.
 */
#include "mod_m2mgw_status.h"
#include "mod_m2mgw_config.h"
#include "mod_m2mgw_keys.h"

#include <apr_shm.h>

#define SHARDS 32
#define LATENCIES 10
#define MAX_PARTS 8

/* upper bounds of the latency buckets, in microseconds; the last has none */
static const int bounds[LATENCIES] = { 5, 10, 25, 50, 75, 100, 250, 1000, 10000, 0 };

typedef struct shard_t {
    apr_uint64_t decisions[M2_CODES];
    apr_uint64_t shadow;
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

static shard_t *shard_of(const void *something)
{
    return &board.shards[((apr_uintptr_t)something >> 8) % SHARDS];
}

/* The decision that stands for the whole: the first refusal, else the last pass. */
static const m2mgw_ctx_t *deciding(request_rec *r)
{
    const m2mgw_ctx_t *found = NULL;

    for (; r; r = r->next) {
        const m2mgw_ctx_t *ctx = m2mgw_ctx(r);

        if (ctx && ctx->decided) {
            found = ctx;
            if (ctx->refused) {
                break;
            }
        }
    }
    return found;
}

void m2mgw_status_count(request_rec *r)
{
    const m2mgw_ctx_t *ctx = board.shards ? deciding(r) : NULL;
    const m2_rule_t *rule;
    shard_t *shard;
    int pass;

    if (!ctx) {
        return;
    }
    shard = shard_of(r->connection);
    pass = ctx->verdict.code == M2_OK || ctx->verdict.code == M2_BYPASS;
    add(&shard->decisions[ctx->verdict.code], 1);
    if (!pass && ctx->effective.engine == M2MGW_ENGINE_SHADOW) {
        add(&shard->shadow, 1);
    }
    rule = ctx->verdict.rule;
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
    shard = shard_of(&took);
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

static m2_json_t *decisions(apr_pool_t *pool)
{
    m2_json_t *json = m2_json_make(pool);
    apr_uint64_t sums[M2_CODES];
    int i, k;

    for (i = 0; i < M2_CODES; i++) {
        sums[i] = sum_of(offsetof(shard_t, decisions) + (apr_size_t)i * sizeof(sums[0]));
    }
    for (i = 0; i < M2_CODES; i++) {
        const char *reason = m2_reason_of((m2_code_t)i)->reason;
        apr_uint64_t sum = 0;

        for (k = 0; k < M2_CODES; k++) { /* two codes may share a reason */
            if (m2_slice_is(m2_slice_z(reason), m2_reason_of((m2_code_t)k)->reason)) {
                sum += sums[k];
            }
        }
        put(json, reason, sum);
    }
    return json;
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

static const char *section_name(apr_pool_t *pool, const m2mgw_section_t *section)
{
    const ap_directive_t *at = section->where ? section->where : section->first;

    return section->where
               ? apr_pstrcat(pool, at->directive, " ", at->args, " (",
                             m2mgw_cfg_place(pool, at), ")", NULL)
               : apr_pstrcat(pool, "server (", at ? m2mgw_cfg_place(pool, at) : "", ")", NULL);
}

static m2_json_t *rules(apr_pool_t *pool)
{
    m2_json_t *list = m2_json_make_array(pool);
    int i, k;

    for (i = 0; i < board.sections->nelts; i++) {
        const m2mgw_section_t *section = APR_ARRAY_IDX(board.sections, i, m2mgw_section_t *);

        for (k = 0; section->rules && k < section->rules->rules->nelts; k++) {
            const m2_rule_t *rule = APR_ARRAY_IDX(section->rules->rules, k, m2_rule_t *);
            const rule_count_t *count = &board.rules[rule->number - 1];
            m2_json_t *json = m2_json_make(pool);

            m2_json_set_string(json, "section", section_name(pool, section));
            m2_json_set_string(json, "rule", rule->name);
            put(json, "allow", get(&count->allow));
            put(json, "deny", get(&count->deny));
            m2_json_append(list, json);
        }
    }
    return list;
}

static void add_keys(m2_json_t *list, apr_pool_t *pool, const char *section,
                     const m2_keyset_t *set)
{
    int i;

    for (i = 0; set && i < set->keys->nelts; i++) {
        const m2_jwk_t *jwk = APR_ARRAY_IDX(set->keys, i, const m2_jwk_t *);
        m2_json_t *json = m2_json_make(pool);

        m2_json_set_string(json, "section", section);
        m2_json_set_string(json, "kid", jwk->kid ? jwk->kid : "");
        m2_json_set_string(json, "kty", jwk->kty);
        m2_json_set_string(json, "alg", m2_alg_mask_names(pool, jwk->algs));
        m2mgw_keys_add_origin(json, pool, jwk->origin);
        m2_json_append(list, json);
    }
}

static m2_json_t *keys(apr_pool_t *pool)
{
    m2_json_t *list = m2_json_make_array(pool);
    int i;

    for (i = 0; i < board.sections->nelts; i++) {
        const m2mgw_section_t *section = APR_ARRAY_IDX(board.sections, i, m2mgw_section_t *);

        if (section->dir->keys) {
            add_keys(list, pool, section_name(pool, section),
                     m2_keyring_enter(section->dir->keys));
            m2_keyring_leave(section->dir->keys);
        }
    }
    return list;
}

static m2_json_t *document(apr_pool_t *pool)
{
    m2_json_t *json = m2_json_make(pool);
    int i;

    m2_json_set_string(json, "module", "mod_m2mgw " M2MGW_VERSION);
    m2_json_set_string(json, "httpd", ap_get_server_description());
    m2_json_set_int(json, "since", apr_time_sec(board.since));
    m2_json_set_json(json, "decisions", decisions(pool));
    put(json, "shadow_denials", sum_of(offsetof(shard_t, shadow)));
    m2_json_set_json(json, "rules", rules(pool));
    m2_json_set_json(json, "verification", verification(pool));
    m2_json_set_json(json, "keys", keys(pool));
    for (i = 0; i < parts_n; i++) {
        parts[i](json, pool);
    }
    return json;
}

/* --- Prometheus text: https://prometheus.io/docs/instrumenting/exposition_formats/ --- */

/* Backslash, quote and line feed are escaped inside a label's value. */
static const char *label(apr_pool_t *pool, const char *text)
{
    char *out = apr_palloc(pool, 2 * strlen(text) + 1);
    char *o = out;

    for (; *text; text++) {
        if (*text == '\\' || *text == '"') {
            *o++ = '\\';
        }
        *o++ = *text == '\n' ? ' ' : *text;
    }
    *o = '\0';
    return out;
}

static void metric_head(request_rec *r, const char *name, const char *type, const char *help)
{
    ap_rprintf(r, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static const char *member_text(request_rec *r, const m2_json_t *json, const char *name)
{
    const char *text = m2_json_text(r->pool, m2_json_get(json, name));

    return text ? text : "";
}

static void prometheus_rules(request_rec *r, const m2_json_t *list)
{
    apr_size_t i;

    metric_head(r, "m2mgw_rule_decisions_total", "counter", "Requests a rule decided.");
    for (i = 0; i < m2_json_length(list); i++) {
        const m2_json_t *rule = m2_json_at(list, i);
        const char *labels =
            apr_psprintf(r->pool, "section=\"%s\",rule=\"%s\"",
                         label(r->pool, member_text(r, rule, "section")),
                         label(r->pool, member_text(r, rule, "rule")));

        ap_rprintf(r, "m2mgw_rule_decisions_total{%s,action=\"allow\"} %s\n", labels,
                   member_text(r, rule, "allow"));
        ap_rprintf(r, "m2mgw_rule_decisions_total{%s,action=\"deny\"} %s\n", labels,
                   member_text(r, rule, "deny"));
    }
}

static void prometheus_latency(request_rec *r, const m2_json_t *json)
{
    const m2_json_t *buckets = m2_json_get(json, "buckets");
    apr_size_t i;

    metric_head(r, "m2mgw_verification_microseconds", "histogram",
                "Time from a token's first byte to its verdict.");
    for (i = 0; i < m2_json_length(buckets); i++) {
        const m2_json_t *bucket = m2_json_at(buckets, i);

        ap_rprintf(r, "m2mgw_verification_microseconds_bucket{le=\"%s\"} %s\n",
                   member_text(r, bucket, "le"), member_text(r, bucket, "count"));
    }
    ap_rprintf(r, "m2mgw_verification_microseconds_sum %s\n",
               member_text(r, json, "microseconds"));
    ap_rprintf(r, "m2mgw_verification_microseconds_count %s\n", member_text(r, json, "count"));
}

/* Numbers of the sources of keys; what only grows is a counter. */
static void prometheus_sources(request_rec *r, const m2_json_t *list)
{
    static const struct {
        const char *member, *metric, *type, *help;
    } rows[] = {
        { "usable", "m2mgw_key_source_usable", "gauge", "Whether its keys are in use." },
        { "keys", "m2mgw_key_source_keys", "gauge", "Keys in its document." },
        { "age", "m2mgw_key_source_age_seconds", "gauge", "Since it was last confirmed." },
        { "fetches", "m2mgw_key_source_fetches_total", "counter", "Documents fetched." },
        { "failures", "m2mgw_key_source_failures_total", "counter", "Fetches that failed." },
        { "early", "m2mgw_key_source_early_total", "counter", "Refreshes for unknown kids." },
        { "swaps", "m2mgw_key_source_swaps_total", "counter", "Times its keys changed." },
    };
    apr_size_t i, k;

    for (k = 0; m2_json_length(list) && k < sizeof(rows) / sizeof(rows[0]); k++) {
        metric_head(r, rows[k].metric, rows[k].type, rows[k].help);
        for (i = 0; i < m2_json_length(list); i++) {
            const m2_json_t *source = m2_json_at(list, i);

            if (m2_json_get(source, rows[k].member)) {
                ap_rprintf(r, "%s{source=\"%s\"} %s\n", rows[k].metric,
                           label(r->pool, member_text(r, source, "source")),
                           member_text(r, source, rows[k].member));
            }
        }
    }
}

/* Numbers of the parts others added, as gauges named by their members. */
static void prometheus_part(request_rec *r, const char *name, const m2_json_t *part)
{
    void *it;

    for (it = m2_json_iter(part); it; it = m2_json_iter_next(part, it)) {
        const m2_json_t *value = m2_json_iter_value(it);
        const char *full = apr_pstrcat(r->pool, "m2mgw_", name, "_", m2_json_iter_name(it),
                                       NULL);

        if (m2_json_type(value) == M2_JSON_INT) {
            metric_head(r, full, "gauge", "See the status page.");
            ap_rprintf(r, "%s %s\n", full, m2_json_text(r->pool, value));
        }
    }
}

static void send_prometheus(request_rec *r, const m2_json_t *json)
{
    static const char *const known_parts[] = { "cache", "replay" };
    const m2_json_t *counts = m2_json_get(json, "decisions");
    apr_size_t i;
    void *it;

    ap_set_content_type(r, "text/plain; version=0.0.4; charset=utf-8");
    metric_head(r, "m2mgw_decisions_total", "counter", "Requests by reason.");
    for (it = m2_json_iter(counts); it; it = m2_json_iter_next(counts, it)) {
        ap_rprintf(r, "m2mgw_decisions_total{reason=\"%s\"} %s\n", m2_json_iter_name(it),
                   m2_json_text(r->pool, m2_json_iter_value(it)));
    }
    metric_head(r, "m2mgw_shadow_denials_total", "counter",
                "Requests that Shadow let pass and On would refuse.");
    ap_rprintf(r, "m2mgw_shadow_denials_total %s\n", member_text(r, json, "shadow_denials"));
    prometheus_rules(r, m2_json_get(json, "rules"));
    prometheus_latency(r, m2_json_get(json, "verification"));
    prometheus_sources(r, m2_json_get(json, "sources"));
    for (i = 0; i < sizeof(known_parts) / sizeof(known_parts[0]); i++) {
        prometheus_part(r, known_parts[i], m2_json_get(json, known_parts[i]));
    }
}

/* --- HTML: every part of the document as a table --- */

static const char *cell(request_rec *r, const m2_json_t *value)
{
    const char *text = m2_json_text(r->pool, value);

    return ap_escape_html(r->pool, text ? text : "");
}

static void html_object(request_rec *r, const m2_json_t *object)
{
    void *it;

    ap_rputs("<table>\n", r);
    for (it = m2_json_iter(object); it; it = m2_json_iter_next(object, it)) {
        ap_rprintf(r, "<tr><th scope=\"row\">%s</th><td>%s</td></tr>\n",
                   ap_escape_html(r->pool, m2_json_iter_name(it)),
                   cell(r, m2_json_iter_value(it)));
    }
    ap_rputs("</table>\n", r);
}

static void html_list(request_rec *r, const m2_json_t *list)
{
    apr_size_t i;
    void *it;

    ap_rputs("<table>\n", r);
    for (i = 0; i < m2_json_length(list); i++) {
        const m2_json_t *row = m2_json_at(list, i);

        if (i == 0) {
            ap_rputs("<tr>", r);
            for (it = m2_json_iter(row); it; it = m2_json_iter_next(row, it)) {
                ap_rprintf(r, "<th scope=\"col\">%s</th>",
                           ap_escape_html(r->pool, m2_json_iter_name(it)));
            }
            ap_rputs("</tr>\n", r);
        }
        ap_rputs("<tr>", r);
        for (it = m2_json_iter(row); it; it = m2_json_iter_next(row, it)) {
            ap_rprintf(r, "<td>%s</td>", cell(r, m2_json_iter_value(it)));
        }
        ap_rputs("</tr>\n", r);
    }
    ap_rputs("</table>\n", r);
}

static void html_part(request_rec *r, const char *name, const m2_json_t *part)
{
    static void (*const writers[])(request_rec *, const m2_json_t *) = {
        [M2_JSON_ARRAY] = html_list, [M2_JSON_OBJECT] = html_object
    };
    const m2_json_type_t type = m2_json_type(part);

    ap_rprintf(r, "<h2>%s</h2>\n", ap_escape_html(r->pool, name));
    if (type == M2_JSON_ARRAY || type == M2_JSON_OBJECT) {
        writers[type](r, part);
    }
    else {
        ap_rprintf(r, "<p>%s</p>\n", cell(r, part));
    }
}

static void send_html(request_rec *r, const m2_json_t *json)
{
    static const char head[] =
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
        "<title>mod_m2mgw status</title>\n<style>\n"
        "body{font:15px/1.4 system-ui,sans-serif;margin:2rem;max-width:70rem}\n"
        "table{border-collapse:collapse}th,td{padding:.2rem .8rem;text-align:left;"
        "border-bottom:1px solid #ccc;vertical-align:top}\n"
        "td{font-variant-numeric:tabular-nums}\n"
        "</style></head><body>\n<h1>mod_m2mgw status</h1>\n"
        "<p><a href=\"?format=json\">JSON</a> <a href=\"?format=prometheus\">Prometheus</a>"
        "</p>\n";
    void *it;

    ap_set_content_type(r, "text/html; charset=utf-8");
    ap_rputs(head, r);
    for (it = m2_json_iter(json); it; it = m2_json_iter_next(json, it)) {
        html_part(r, m2_json_iter_name(it), m2_json_iter_value(it));
    }
    ap_rputs("</body></html>\n", r);
}

static void send_json(request_rec *r, const m2_json_t *json)
{
    ap_set_content_type(r, "application/json");
    ap_rputs(m2_json_dump(r->pool, json), r);
    ap_rputs("\n", r);
}

/* --- hooks --- */

static const struct format_t {
    const char *query;
    void (*send)(request_rec *r, const m2_json_t *json);
} formats[] = {
    { "", send_html },
    { "format=html", send_html },
    { "format=json", send_json },
    { "format=prometheus", send_prometheus },
};

static int hook_handler(request_rec *r)
{
    const char *query = r->args ? r->args : "";
    apr_size_t i;

    if (!r->handler || !m2_slice_is(m2_slice_z(r->handler), "m2m-status")) {
        return DECLINED;
    }
    r->allowed |= AP_METHOD_BIT << M_GET;
    if (r->method_number != M_GET) {
        return HTTP_METHOD_NOT_ALLOWED;
    }
    apr_table_setn(r->headers_out, "Cache-Control", "no-store");
    for (i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        if (m2_slice_is(m2_slice_z(query), formats[i].query)) {
            formats[i].send(r, document(r->pool));
            return OK;
        }
    }
    return HTTP_BAD_REQUEST;
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
    (void)ptemp;
    board.since = apr_time_now();
    board.sections = apr_array_copy(pconf, m2mgw_cfg_sections());
    size = SHARDS * sizeof(shard_t)
           + (apr_size_t)(number_rules(board.sections) + 1) * sizeof(rule_count_t);
    rv = apr_shm_create(&shm, size + sizeof(shard_t), NULL, pconf);
    if (rv != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_ERR, rv, s, "M2-401: no shared memory for counters");
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    board.shards = (shard_t *)(((apr_uintptr_t)apr_shm_baseaddr_get(shm) + 63)
                               & ~(apr_uintptr_t)63);
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
