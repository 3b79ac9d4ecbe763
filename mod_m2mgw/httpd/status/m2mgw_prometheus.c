/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The status document for Prometheus, in the text format 0.0.4
 * (https://prometheus.io/docs/instrumenting/exposition_formats/). Each name has one HELP,
 * one TYPE and all its samples behind them; no two samples have the same labels, since a
 * scraper throws the whole answer away when two have.
 */
#include "httpd/status/m2mgw_prometheus.h"

#include "httpd/status/m2mgw_member.h"

#include <apr_hash.h>

/* a number of a part of the document */
typedef struct metric_t {
    const char *member;
    const char *name;
    const char *type;
    const char *help;
} metric_t;

static const metric_t cache_metrics[] = {
    { "hits", "m2mgw_cache_hits_total", "counter", "Tokens found verified." },
    { "misses", "m2mgw_cache_misses_total", "counter", "Tokens judged anew." },
    { "slots_per_process", "m2mgw_cache_slots", "gauge",
      "Room for verified tokens in each child process." },
    { NULL, NULL, NULL, NULL }
};

static const metric_t verification_metrics[] = {
    { "tries", "m2mgw_verification_tries_total", "counter",
      "Signatures checked: more than tokens judged where no kid names the key." },
    { NULL, NULL, NULL, NULL }
};

static const metric_t limit_store_metrics[] = {
    { "asked", "m2mgw_limit_store_asked_total", "counter",
      "Requests for which the shared store of limits was asked." },
    { "held", "m2mgw_limit_store_held_total", "counter",
      "Requests that a lease answered, or a bucket known to be empty." },
    { "local", "m2mgw_limit_store_local_total", "counter",
      "Requests that this server's part of limits answered." },
    { "failed", "m2mgw_limit_store_failed_total", "counter",
      "Questions that the shared store did not answer." },
    { NULL, NULL, NULL, NULL }
};

static const metric_t replay_metrics[] = {
    { "accepted", "m2mgw_replay_accepted_total", "counter", "Tokens marked as used." },
    { "replayed", "m2mgw_replay_replayed_total", "counter",
      "Tokens refused as used before." },
    { "full", "m2mgw_replay_full_total", "counter", "Tokens refused for lack of room." },
    { "errors", "m2mgw_replay_errors_total", "counter",
      "Tokens refused since the store did not answer." },
    { "entries", "m2mgw_replay_entries", "gauge", "Marks the store can hold." },
    { "live", "m2mgw_replay_live", "gauge", "Marks alive at the last use." },
    { "bytes", "m2mgw_replay_bytes", "gauge", "Size of the store." },
    { NULL, NULL, NULL, NULL }
};

static const metric_t source_metrics[] = {
    { "usable", "m2mgw_key_source_usable", "gauge", "1 while its keys are in use." },
    { "keys", "m2mgw_key_source_keys", "gauge", "Keys in the document in use." },
    { "age", "m2mgw_key_source_age_seconds", "gauge",
      "Since the document was confirmed." },
    { "next_refresh", "m2mgw_key_source_next_refresh_seconds", "gauge",
      "Until the next fetch." },
    { "fetches", "m2mgw_key_source_fetches_total", "counter", "Answers received." },
    { "failures", "m2mgw_key_source_failures_total", "counter",
      "Refreshes that failed." },
    { "early", "m2mgw_key_source_early_total", "counter",
      "Refreshes for an unknown kid." },
    { "swaps", "m2mgw_key_source_swaps_total", "counter", "Changes of the keys in use." },
    { NULL, NULL, NULL, NULL }
};

static const metric_t list_metrics[] = {
    { "usable", "m2mgw_list_usable", "gauge", "1 while its entries are in use." },
    { "entries", "m2mgw_list_entries", "gauge", "Entries of the list in use." },
    { "age", "m2mgw_list_age_seconds", "gauge", "Since the list was found good." },
    { "failures", "m2mgw_list_failures_total", "counter", "Refreshes that failed." },
    { "swaps", "m2mgw_list_swaps_total", "counter", "Changes of the list in use." },
    { NULL, NULL, NULL, NULL }
};

static const metric_t dataset_metrics[] = {
    { "usable", "m2mgw_dataset_usable", "gauge", "1 while its values are in use." },
    { "entries", "m2mgw_dataset_entries", "gauge", "Values of the data set in use." },
    { "age", "m2mgw_dataset_age_seconds", "gauge", "Since the data set was found good." },
    { "failures", "m2mgw_dataset_failures_total", "counter", "Readings that failed." },
    { "swaps", "m2mgw_dataset_swaps_total", "counter", "Changes of the data set in use." },
    { NULL, NULL, NULL, NULL }
};

static void head(request_rec *r, const char *name, const char *type, const char *help)
{
    ap_rprintf(r, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* `name="value"`: backslash, quote and line feed are escaped inside of a value. */
static const char *label(apr_pool_t *pool, const char *name, const char *text)
{
    char *value = apr_palloc(pool, 2 * strlen(text) + 1);
    char *v = value;

    for (; *text; text++) {
        if (*text == '\\' || *text == '"' || *text == '\n') {
            *v++ = '\\';
        }
        *v++ = *text == '\n' ? 'n' : *text;
    }
    *v = '\0';
    return apr_pstrcat(pool, name, "=\"", value, "\"", NULL);
}

static const char *text_of(request_rec *r, const m2_json_t *json, const char *name)
{
    const char *text = m2_json_text(r->pool, m2_json_get(json, name));

    return text ? text : "";
}

static const char *member_label(request_rec *r, const m2_json_t *json, const char *name)
{
    return label(r->pool, name, text_of(r, json, name));
}

static void sample(request_rec *r, const char *name, const char *labels,
                   apr_int64_t value)
{
    ap_rprintf(r, "%s{%s} %" APR_INT64_T_FMT "\n", name, labels, value);
}

static void single(request_rec *r, const metric_t *metric, const m2_json_t *json)
{
    head(r, metric->name, metric->type, metric->help);
    ap_rprintf(r, "%s %" APR_INT64_T_FMT "\n", metric->name,
               m2mgw_status_int(json, metric->member));
}

/* --- the parts of the document --- */

static void general(request_rec *r, const m2_json_t *document)
{
    static const metric_t start = { "since", "m2mgw_start_time_seconds", "gauge",
                                    "When counting began, seconds since the epoch." };

    head(r, "m2mgw_info", "gauge", "The module and the server it runs in.");
    sample(r, "m2mgw_info",
           apr_pstrcat(r->pool, member_label(r, document, "module"), ",",
                       member_label(r, document, "httpd"), NULL),
           1);
    single(r, &start, document);
}

static void decisions(request_rec *r, const m2_json_t *counts)
{
    const m2_member_t *it;

    head(r, "m2mgw_decisions_total", "counter", "Requests by what was decided, and why.");
    for (it = m2_json_iter(counts); it; it = m2_json_iter_next(it)) {
        const char *reason = m2_json_iter_name(it);
        const m2_reason_t *row = m2mgw_status_reason(reason);
        const int pass = row && (row->code == M2_OK || row->code == M2_BYPASS);

        sample(r, "m2mgw_decisions_total",
               apr_pstrcat(r->pool, pass ? "decision=\"allow\"," : "decision=\"deny\",",
                           label(r->pool, "reason", reason), NULL),
               m2mgw_status_int(counts, reason));
    }
}

static void shadow(request_rec *r, const m2_json_t *counts)
{
    const m2_member_t *it;

    head(r, "m2mgw_shadow_denials_total", "counter",
         "Those of the denials that M2MEngine Shadow let pass.");
    for (it = m2_json_iter(counts); it; it = m2_json_iter_next(it)) {
        sample(r, "m2mgw_shadow_denials_total",
               label(r->pool, "reason", m2_json_iter_name(it)),
               m2mgw_status_int(counts, m2_json_iter_name(it)));
    }
}

/* A section's passes have two reasons; without a token is the rarer one. */
static void section_passes(request_rec *r, const char *name, const char *label_of,
                           const m2_json_t *section)
{
    const apr_int64_t bypassed = m2mgw_status_int(section, "bypassed");

    sample(r, name, apr_pstrcat(r->pool, label_of, ",decision=\"allow\",reason=\"ok\"", NULL),
           m2mgw_status_int(section, "passed") - bypassed);
    if (bypassed) {
        sample(r, name, apr_pstrcat(r->pool, label_of, ",decision=\"allow\",reason=\"bypass\"",
                                    NULL), bypassed);
    }
}

static void sections(request_rec *r, const m2_json_t *list)
{
    static const char name[] = "m2mgw_section_decisions_total";
    apr_size_t i;

    head(r, name, "counter", "Requests by section, by what was decided, and why.");
    for (i = 0; i < m2_json_length(list); i++) {
        const m2_json_t *section = m2_json_at(list, i);
        const m2_json_t *reasons = m2_json_get(section, "reasons");
        const char *label_of = member_label(r, section, "section");
        const m2_member_t *it;

        section_passes(r, name, label_of, section);
        for (it = m2_json_iter(reasons); it; it = m2_json_iter_next(it)) {
            sample(r, name,
                   apr_pstrcat(r->pool, label_of, ",decision=\"deny\",",
                               label(r->pool, "reason", m2_json_iter_name(it)), NULL),
                   m2mgw_status_int(reasons, m2_json_iter_name(it)));
        }
    }
}

static void operations(request_rec *r, const m2_json_t *list)
{
    static const char name[] = "m2mgw_operation_decisions_total";
    static const char *const members[][2] = {
        { "passed", ",decision=\"allow\"" },
        { "refused", ",decision=\"deny\"" },
        { "shadow_denials", ",decision=\"shadow\"" },
    };
    apr_size_t i, k;

    head(r, name, "counter", "Requests by operation; shadow: denied, and let pass.");
    for (i = 0; i < m2_json_length(list); i++) {
        const m2_json_t *operation = m2_json_at(list, i);
        const char *labels = apr_pstrcat(r->pool, member_label(r, operation, "section"), ",",
                                         member_label(r, operation, "operation"), NULL);

        for (k = 0; k < sizeof(members) / sizeof(members[0]); k++) {
            sample(r, name, apr_pstrcat(r->pool, labels, members[k][1], NULL),
                   m2mgw_status_int(operation, members[k][0]));
        }
    }
}

static void issuer(request_rec *r, const m2_json_t *json)
{
    static const char name[] = "m2mgw_issuer_tokens_total";
    const m2_json_t *refused = m2_json_get(json, "refused");
    const m2_member_t *it;

    if (!json) {
        return;
    }
    head(r, name, "counter", "Answers of the token server, by reason.");
    sample(r, name, "result=\"issued\",reason=\"ok\"", m2mgw_status_int(json, "tokens"));
    for (it = m2_json_iter(refused); it; it = m2_json_iter_next(it)) {
        sample(r, name, apr_pstrcat(r->pool, "result=\"refused\",",
                                    label(r->pool, "reason", m2_json_iter_name(it)), NULL),
               m2mgw_status_int(refused, m2_json_iter_name(it)));
    }
}

static void rules(request_rec *r, const m2_json_t *list)
{
    static const char name[] = "m2mgw_rule_decisions_total";
    apr_size_t i;

    head(r, name, "counter", "Requests a rule decided.");
    for (i = 0; i < m2_json_length(list); i++) {
        const m2_json_t *rule = m2_json_at(list, i);
        const char *labels = apr_pstrcat(r->pool, member_label(r, rule, "section"), ",",
                                         member_label(r, rule, "rule"), NULL);

        const char *shadow = m2_json_get(rule, "shadow") ? "shadow_" : "";

        sample(r, name, apr_pstrcat(r->pool, labels, ",action=\"", shadow, "allow\"", NULL),
               m2mgw_status_int(rule, "allow"));
        sample(r, name, apr_pstrcat(r->pool, labels, ",action=\"", shadow, "deny\"", NULL),
               m2mgw_status_int(rule, "deny"));
    }
}

/* A script of the gateway has its buckets in each section that loads it: their sums are reported
 * under that one name. */
static void limit_samples(request_rec *r, const m2_json_t *list, const char *name)
{
    static const char metric[] = "m2mgw_limit_decisions_total";
    const m2_slice_t wanted = m2_slice_z(name);
    apr_int64_t passed = 0, refused = 0;
    apr_size_t i;

    for (i = 0; i < m2_json_length(list); i++) {
        const m2_json_t *limit = m2_json_at(list, i);

        if (m2_slice_eq(m2_json_string(m2_json_get(limit, "name")), wanted)) {
            passed += m2mgw_status_int(limit, "passed");
            refused += m2mgw_status_int(limit, "refused");
        }
    }
    name = label(r->pool, "limit", name);
    sample(r, metric, apr_pstrcat(r->pool, name, ",decision=\"allow\"", NULL), passed);
    sample(r, metric, apr_pstrcat(r->pool, name, ",decision=\"deny\"", NULL), refused);
}

static void limits(request_rec *r, const m2_json_t *list)
{
    apr_hash_t *seen = apr_hash_make(r->pool);
    apr_size_t i;

    head(r, "m2mgw_limit_decisions_total", "counter", "Requests that reached a limit.");
    for (i = 0; i < m2_json_length(list); i++) {
        const char *name = text_of(r, m2_json_at(list, i), "name");

        if (!apr_hash_get(seen, name, APR_HASH_KEY_STRING)) {
            apr_hash_set(seen, name, APR_HASH_KEY_STRING, "");
            limit_samples(r, list, name);
        }
    }
}

/* Microseconds as seconds, exactly. */
static const char *seconds(request_rec *r, apr_int64_t microseconds)
{
    return apr_psprintf(r->pool, "%" APR_INT64_T_FMT ".%06d", microseconds / 1000000,
                        (int)(microseconds % 1000000));
}

static void latency(request_rec *r, const m2_json_t *json)
{
    static const char name[] = "m2mgw_verification_seconds";
    const m2_json_t *buckets = m2_json_get(json, "buckets");
    apr_size_t i;

    head(r, name, "histogram",
         "Time it takes to judge a token that is not in the cache.");
    for (i = 0; i < m2_json_length(buckets); i++) {
        const m2_json_t *bucket = m2_json_at(buckets, i);
        const int last = i + 1 == m2_json_length(buckets);

        ap_rprintf(r, "%s_bucket{le=\"%s\"} %" APR_INT64_T_FMT "\n", name,
                   last ? "+Inf" : seconds(r, m2mgw_status_int(bucket, "le")),
                   m2mgw_status_int(bucket, "count"));
    }
    ap_rprintf(r, "%s_sum %s\n%s_count %" APR_INT64_T_FMT "\n", name,
               seconds(r, m2mgw_status_int(json, "microseconds")), name,
               m2mgw_status_int(json, "count"));
}

static void part(request_rec *r, const metric_t *metrics, const m2_json_t *json)
{
    for (; json && metrics->name; metrics++) {
        if (m2_json_get(json, metrics->member)) {
            single(r, metrics, json);
        }
    }
}

/* --- keys --- */

/* Labels that were not used before; NULL when they were. Two URLs that differ in their query
 * only have one name, since the query is not shown. */
static const char *unseen(apr_hash_t *seen, const char *labels)
{
    if (apr_hash_get(seen, labels, APR_HASH_KEY_STRING)) {
        return NULL;
    }
    apr_hash_set(seen, labels, APR_HASH_KEY_STRING, labels);
    return labels;
}

static const char *source_labels(request_rec *r, apr_hash_t *seen,
                                 const m2_json_t *source)
{
    return unseen(seen, member_label(r, source, "source"));
}

static void source_metric(request_rec *r, const metric_t *metric, const m2_json_t *list)
{
    apr_hash_t *seen = apr_hash_make(r->pool);
    apr_size_t i;

    head(r, metric->name, metric->type, metric->help);
    for (i = 0; i < m2_json_length(list); i++) {
        const m2_json_t *source = m2_json_at(list, i);
        const char *labels = source_labels(r, seen, source);

        if (labels && m2_json_get(source, metric->member)) {
            sample(r, metric->name, labels, m2mgw_status_int(source, metric->member));
        }
    }
}

/* One sample per state, so that an alert can ask for any of them. */
static void source_states(request_rec *r, const char *name, const char *help,
                          const m2_json_t *list)
{
    static const char *const states[] = { "ok", "broken", "fresh", "stale",
                                          "unavailable" };
    apr_hash_t *seen = apr_hash_make(r->pool);
    apr_size_t i, k;

    head(r, name, "gauge", help);
    for (i = 0; i < m2_json_length(list); i++) {
        const m2_json_t *source = m2_json_at(list, i);
        const m2_slice_t state = m2_json_string(m2_json_get(source, "state"));
        const char *labels = source_labels(r, seen, source);

        for (k = 0; labels && k < sizeof(states) / sizeof(states[0]); k++) {
            sample(r, name,
                   apr_pstrcat(r->pool, labels, ",", label(r->pool, "state", states[k]),
                               NULL),
                   m2_slice_is(state, states[k]));
        }
    }
}

static void keys(request_rec *r, const m2_json_t *list)
{
    static const char *const names[] = { "kid", "kty", "alg", "source" };
    apr_hash_t *seen = apr_hash_make(r->pool);
    apr_size_t i, k;

    head(r, "m2mgw_key_info", "gauge", "The keys in use.");
    for (i = 0; i < m2_json_length(list); i++) {
        const char *labels = member_label(r, m2_json_at(list, i), names[0]);

        for (k = 1; k < sizeof(names) / sizeof(names[0]); k++) {
            labels = apr_pstrcat(r->pool, labels, ",",
                                 member_label(r, m2_json_at(list, i), names[k]), NULL);
        }
        if (unseen(seen, labels)) {
            sample(r, "m2mgw_key_info", labels, 1);
        }
    }
}

static void lists(request_rec *r, const metric_t *metric, const char *state, const char *help,
                  const m2_json_t *list)
{
    source_states(r, state, help, list);
    for (; metric->name; metric++) {
        source_metric(r, metric, list);
    }
}

void m2mgw_status_prometheus(request_rec *r, const m2_json_t *document)
{
    const m2_json_t *sources = m2_json_get(document, "sources");
    const metric_t *metric;

    ap_set_content_type(r, "text/plain; version=0.0.4; charset=utf-8");
    general(r, document);
    decisions(r, m2_json_get(document, "decisions"));
    shadow(r, m2_json_get(document, "shadow"));
    sections(r, m2_json_get(document, "sections"));
    operations(r, m2_json_get(document, "operations"));
    rules(r, m2_json_get(document, "rules"));
    issuer(r, m2_json_get(document, "issuer"));
    limits(r, m2_json_get(document, "limits"));
    latency(r, m2_json_get(document, "verification"));
    part(r, verification_metrics, m2_json_get(document, "verification"));
    part(r, cache_metrics, m2_json_get(document, "cache"));
    part(r, replay_metrics, m2_json_get(document, "replay"));
    part(r, limit_store_metrics, m2_json_get(document, "limit_store"));
    source_states(r, "m2mgw_key_source_state", "1 for the state a key source is in.", sources);
    for (metric = source_metrics; metric->name; metric++) {
        source_metric(r, metric, sources);
    }
    lists(r, list_metrics, "m2mgw_list_state", "1 for the state a revocation list is in.",
          m2_json_get(document, "revocation"));
    lists(r, dataset_metrics, "m2mgw_dataset_state", "1 for the state a data set is in.",
          m2_json_get(document, "datasets"));
    keys(r, m2_json_get(document, "keys"));
}

void m2mgw_status_prometheus_one(request_rec *r, const m2_json_t *refusal)
{
    ap_set_content_type(r, "text/plain; version=0.0.4; charset=utf-8");
    if (m2_json_get(refusal, "error")) {
        ap_rprintf(r, "# %s\n", text_of(r, refusal, "error"));
        return;
    }
    head(r, "m2mgw_refusal_time_seconds", "gauge", "When the request was refused.");
    sample(r, "m2mgw_refusal_time_seconds",
           apr_pstrcat(r->pool, member_label(r, refusal, "id"), ",",
                       member_label(r, refusal, "section"), ",",
                       member_label(r, refusal, "reason"), NULL),
           m2mgw_status_int(refusal, "time"));
}
