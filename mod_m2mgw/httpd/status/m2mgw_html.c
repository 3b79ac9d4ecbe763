/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The status document for people on call: what is wrong, what is refused and why, then the
 * rules, the keys, and the machinery. Rows of zeros are left out, long lists are cut (the JSON
 * document has them whole). No script, nothing loaded from elsewhere; every text is escaped
 * where it is written.
 */
#include "httpd/status/m2mgw_html.h"
#include "httpd/status/m2mgw_html_figures.h"

#include "httpd/status/m2mgw_member.h"
#include "httpd/status/m2mgw_page.h"

/* --- what needs somebody --- */

static void begin_item(request_rec *r, int *pitems)
{
    ap_rputs((*pitems)++ ? "<li>" : "<ul class=\"attention\">\n<li>", r);
}

/* A data set has a name, too. */
static const char *source_name(request_rec *r, const m2_json_t *source)
{
    const char *name = m2mgw_page_text(r, source, "name");

    return apr_pstrcat(r->pool, name, *name ? ": " : "", m2mgw_page_text(r, source, "source"),
                       NULL);
}

/* what: "Keys", "Entries" */
static void ill_sources(request_rec *r, const m2_json_t *list, const char *what, int *pitems)
{
    int left = 0;
    apr_size_t i;

    for (i = 0; i < m2_json_length(list); i++) {
        const m2_json_t *source = m2_json_at(list, i);

        if (m2mgw_page_is_well(source) || left++ >= M2MGW_PAGE_ROWS) {
            continue;
        }
        begin_item(r, pitems);
        ap_rprintf(r, "%s from <b>%s</b> are %s", what, source_name(r, source),
                   m2mgw_page_state(r, source));
        ap_rprintf(r, ", %s%s%s%s%s</li>\n",
                   m2_json_get(source, "age") ? "confirmed " : "never confirmed",
                   m2mgw_page_member_span(r, source, "age", ""),
                   m2_json_get(source, "age") ? " ago" : "",
                   m2_json_get(source, "fault") ? ": " : "",
                   m2mgw_page_text(r, source, "fault"));
    }
    if (left > M2MGW_PAGE_ROWS) {
        ap_rprintf(r, "<li>and %d more sources</li>\n", left - M2MGW_PAGE_ROWS);
    }
}

/* Refusals that are not a client's fault, and what to look at. */
static void our_faults(request_rec *r, const m2_json_t *counts, int *pitems)
{
    static const char *const faults[][2] = {
        { "keys_unavailable",
          "their key source has no usable keys, or none yet" },
        { "replay_unavailable", "the replay store is full or does not answer" },
        { "revocation_unavailable",
          "a list of revoked tokens is missing, or has been bad for too long" },
        { "rule_error", "a rule cannot be evaluated; the error log names it" },
        { "internal_error", "see the error log" },
    };
    apr_size_t i;

    for (i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        const apr_int64_t n = m2mgw_status_int(counts, faults[i][0]);

        if (n > 0) {
            begin_item(r, pitems);
            ap_rprintf(r, "<b>%s</b> request%s ended with <b>%s</b>: %s</li>\n",
                       m2mgw_page_number(r, n), n == 1 ? "" : "s", faults[i][0], faults[i][1]);
        }
    }
}

static void attention(request_rec *r, const m2_json_t *document)
{
    const m2_json_t *replay = m2_json_get(document, "replay");
    const apr_int64_t shadow = m2mgw_status_int(document, "shadow_denials");
    const apr_int64_t entries = m2mgw_status_int(replay, "entries");
    const apr_int64_t live = m2mgw_status_int(replay, "live");
    int items = 0;

    ill_sources(r, m2_json_get(document, "sources"), "Keys", &items);
    ill_sources(r, m2_json_get(document, "revocation"), "Revoked tokens", &items);
    ill_sources(r, m2_json_get(document, "datasets"), "Values", &items);
    our_faults(r, m2_json_get(document, "decisions"), &items);
    if (entries && live > entries / 10 * 8) {
        begin_item(r, &items);
        ap_rprintf(r, "The replay store holds <b>%s</b> of %s marks</li>\n",
                   m2mgw_page_number(r, live), m2mgw_page_number(r, entries));
    }
    if (shadow) {
        begin_item(r, &items);
        ap_rprintf(
            r, "<b>%s</b> request%s passed only because of <b>M2MEngine Shadow</b></li>\n",
            m2mgw_page_number(r, shadow), shadow == 1 ? "" : "s");
    }
    ap_rputs(items ? "</ul>\n"
                   : "<p class=\"fine\">All key sources and stores work, and no "
                     "request was refused because of a fault of this server.</p>\n",
             r);
}

/* --- decisions --- */

static void sum(request_rec *r, const m2_json_t *document, const char *name,
                const char *class, const char *text)
{
    ap_rprintf(r, "<div><b class=\"%s\">%s</b>%s</div>\n", class,
               m2mgw_page_number(r, m2mgw_status_int(document, name)), text);
}

static void sums(request_rec *r, const m2_json_t *document)
{
    ap_rputs("<div class=\"sums\">\n", r);
    sum(r, document, "refused", m2mgw_status_int(document, "refused") ? "bad" : "dim",
        "refused");
    sum(r, document, "passed", "good", "passed");
    if (m2mgw_status_int(document, "shadow_denials")) {
        sum(r, document, "shadow_denials", "warn", "refused, but let pass by Shadow");
    }
    sum(r, document, "requests", "", "decisions");
    ap_rputs("</div>\n", r);
}

static void refusal_row(request_rec *r, const m2mgw_row_t *row, const m2_json_t *shadow,
                        apr_int64_t all)
{
    const m2_reason_t *reason = m2mgw_status_reason(row->name);
    const apr_int64_t let = m2mgw_status_int(shadow, row->name);

    ap_rprintf(r, "<tr><th scope=\"row\">%s</th><td class=\"n\">%s</td>", row->name,
               m2mgw_page_number(r, row->weight));
    ap_rprintf(r, "<td class=\"n\">%d.%d&#8239;%%</td><td class=\"n%s\">%s</td>",
               (int)(row->weight * 1000 / all / 10), (int)(row->weight * 1000 / all % 10),
               let ? " warn" : " dim", m2mgw_page_number(r, let));
    ap_rprintf(r, "<td class=\"n\">%s</td><td>%s</td></tr>\n",
               !reason->status ? "by rule" : apr_itoa(r->pool, reason->status),
               reason->text);
}

static void refusals(request_rec *r, const m2_json_t *document)
{
    static const char *const columns[] = {
        "reason", "#requests", "#of all", "#in Shadow", "#answer", "meaning", NULL
    };
    const m2_json_t *counts = m2_json_get(document, "decisions");
    apr_array_header_t *rows = m2mgw_rows_make(r);
    const char *zeros = "";
    const m2_member_t *it;
    int i;

    for (it = m2_json_iter(counts); it; it = m2_json_iter_next(it)) {
        const char *name = m2_json_iter_name(it);
        const apr_int64_t n = m2mgw_status_int(counts, name);
        const m2_reason_t *reason = m2mgw_status_reason(name);

        if (!reason || reason->code == M2_OK || reason->code == M2_BYPASS) {
            continue;
        }
        if (n > 0) {
            m2mgw_rows_add(rows, NULL, name, n);
        }
        else {
            zeros = apr_pstrcat(r->pool, zeros, *zeros ? ", " : "", name, NULL);
        }
    }
    m2mgw_rows_sort(rows);
    m2mgw_page_table(r, "Refused, and why", "wide", columns);
    for (i = 0; i < rows->nelts; i++) {
        refusal_row(r, &APR_ARRAY_IDX(rows, i, m2mgw_row_t),
                    m2_json_get(document, "shadow"),
                    m2mgw_status_int(document, "requests"));
    }
    m2mgw_page_table_end(r);
    ap_rprintf(r, "<p class=\"dim\">%sNever occurred: %s</p>\n",
               rows->nelts ? "" : "Nothing was refused. ", zeros);
}

static void rules(request_rec *r, const m2_json_t *list)
{
    static const char *const columns[] = { "rule", "#denied", "#allowed", "section",
                                           NULL };
    apr_array_header_t *rows = m2mgw_rows_make(r);
    apr_size_t k;
    int i;

    for (k = 0; k < m2_json_length(list); k++) {
        const m2_json_t *rule = m2_json_at(list, k);
        const apr_int64_t denied = m2mgw_status_int(rule, "deny");

        if (denied || m2mgw_status_int(rule, "allow")) {
            m2mgw_rows_add(rows, rule, NULL, denied);
        }
    }
    if (m2_json_length(list) == 0) {
        return;
    }
    m2mgw_rows_sort(rows);
    m2mgw_page_table(r, "Rules that decided", "wide", columns);
    for (i = 0; i < m2mgw_rows_shown(rows); i++) {
        const m2_json_t *rule = APR_ARRAY_IDX(rows, i, m2mgw_row_t).json;

        ap_rprintf(r, "<tr><th scope=\"row\">%s%s</th><td class=\"n\">%s</td>",
                   m2mgw_page_text(r, rule, "rule"),
                   m2_json_get(rule, "shadow") ? " (shadow)" : "",
                   m2mgw_page_number(r, m2mgw_status_int(rule, "deny")));
        ap_rprintf(r, "<td class=\"n\">%s</td><td>%s</td></tr>\n",
                   m2mgw_page_number(r, m2mgw_status_int(rule, "allow")),
                   m2mgw_page_text(r, rule, "section"));
    }
    m2mgw_page_table_end(r);
    m2mgw_page_rest(r, rows);
    ap_rprintf(r, "<p class=\"dim\">Rules that decided nothing: %d of %d.</p>\n",
               (int)m2_json_length(list) - rows->nelts, (int)m2_json_length(list));
}

/* --- sections and recent refusals --- */

static void section_row(request_rec *r, const m2_json_t *section)
{
    const m2_json_t *reasons = m2_json_get(section, "reasons");
    const char *why = "";
    const m2_member_t *it;

    for (it = m2_json_iter(reasons); it; it = m2_json_iter_next(it)) {
        why = apr_pstrcat(
            r->pool, why, *why ? ", " : "", m2_json_iter_name(it), " ",
            m2mgw_page_number(r, m2mgw_status_int(reasons, m2_json_iter_name(it))), NULL);
    }
    ap_rprintf(r, "<tr><th scope=\"row\">%s</th><td>%s</td><td>%s%s</td>",
               m2mgw_page_text(r, section, "section"),
               m2mgw_page_text(r, section, "vhost"), m2mgw_page_state(r, section),
               m2_slice_is(m2_json_string(m2_json_get(section, "engine")), "Shadow")
                   ? " <span class=\"warn\">Shadow</span>"
                   : "");
    ap_rprintf(
        r, "<td class=\"n\">%s</td><td class=\"n\">%s</td><td>%s</td><td>%s</td></tr>\n",
        m2mgw_page_number(r, m2mgw_status_int(section, "refused")),
        m2mgw_page_number(r, m2mgw_status_int(section, "passed")), why,
        m2_json_get(section, "last_refusal")
            ? m2mgw_page_moment(r, m2mgw_status_int(section, "last_refusal"))
            : "");
}

/* Those without keys first, then by refusals. */
static void sections(request_rec *r, const m2_json_t *list)
{
    static const char *const columns[] = { "section", "virtual host",
                                           "state",        "#refused",
                                           "#passed",      "reasons",
                                           "last refusal", NULL };
    apr_array_header_t *rows = m2mgw_rows_make(r);
    apr_size_t k;
    int i;

    for (k = 0; k < m2_json_length(list); k++) {
        const m2_json_t *section = m2_json_at(list, k);
        const apr_int64_t ill = m2mgw_page_is_well(section) ? 0 : (apr_int64_t)1 << 62;

        m2mgw_rows_add(rows, section, NULL, ill + m2mgw_status_int(section, "refused"));
    }
    m2mgw_rows_sort(rows);
    m2mgw_page_table(r, "Protected sections", "wide", columns);
    for (i = 0; i < m2mgw_rows_shown(rows); i++) {
        section_row(r, APR_ARRAY_IDX(rows, i, m2mgw_row_t).json);
    }
    m2mgw_page_table_end(r);
    m2mgw_page_rest(r, rows);
}

static void operations(request_rec *r, const m2_json_t *list)
{
    static const char *const columns[] = { "operation", "#refused", "#passed", "section",
                                           NULL };
    apr_array_header_t *rows = m2mgw_rows_make(r);
    apr_size_t k;
    int i;

    if (!m2_json_length(list)) {
        return;
    }
    for (k = 0; k < m2_json_length(list); k++) {
        const m2_json_t *operation = m2_json_at(list, k);

        m2mgw_rows_add(rows, operation, NULL, m2mgw_status_int(operation, "refused"));
    }
    m2mgw_rows_sort(rows);
    m2mgw_page_table(r, "Operations that were called", "wide", columns);
    for (i = 0; i < m2mgw_rows_shown(rows); i++) {
        const m2_json_t *operation = APR_ARRAY_IDX(rows, i, m2mgw_row_t).json;

        ap_rprintf(r, "<tr><th scope=\"row\">%s</th><td class=\"n\">%s</td>",
                   m2mgw_page_text(r, operation, "operation"),
                   m2mgw_page_number(r, m2mgw_status_int(operation, "refused")));
        ap_rprintf(r, "<td class=\"n\">%s</td><td>%s</td></tr>\n",
                   m2mgw_page_number(r, m2mgw_status_int(operation, "passed")),
                   m2mgw_page_text(r, operation, "section"));
    }
    m2mgw_page_table_end(r);
    m2mgw_page_rest(r, rows);
}

static void refusal_fields(request_rec *r, const m2_json_t *refusal)
{
    ap_rprintf(r, "<tr><th scope=\"row\">%s</th><td>%s</td><td>%s</td>",
               m2mgw_page_moment(r, m2mgw_status_int(refusal, "time")),
               m2mgw_page_text(r, refusal, "reason"),
               m2mgw_page_text(r, refusal, "detail"));
    ap_rprintf(r, "<td>%s</td><td>%s</td><td>%s</td><td>%s</td></tr>\n",
               m2mgw_page_text(r, refusal, "rule"), m2mgw_page_text(r, refusal, "client"),
               m2mgw_page_text(r, refusal, "section"), m2mgw_page_text(r, refusal, "id"));
}

static const char *const refusal_columns[] = { "time",   "reason",  "detail",     "rule",
                                               "client", "section", "request id", NULL };

static void recent(request_rec *r, const m2_json_t *list)
{
    apr_size_t i;

    if (m2_json_length(list) == 0) {
        return;
    }
    m2mgw_page_table(r, "Recent refusals", "wide", refusal_columns);
    for (i = 0; i < m2_json_length(list) && i < M2MGW_PAGE_ROWS; i++) {
        refusal_fields(r, m2_json_at(list, i));
    }
    m2mgw_page_table_end(r);
    if (m2_json_length(list) > M2MGW_PAGE_ROWS) {
        ap_rprintf(r,
                   "<p class=\"dim\">and %d more, see <a href=\"?format=json\">JSON</a>"
                   "</p>\n",
                   (int)m2_json_length(list) - M2MGW_PAGE_ROWS);
    }
}

/* --- keys --- */

/* those that are not well first */
static apr_array_header_t *ill_first(request_rec *r, const m2_json_t *list)
{
    apr_array_header_t *rows = m2mgw_rows_make(r);
    apr_size_t i;

    for (i = 0; i < m2_json_length(list); i++) {
        m2mgw_rows_add(rows, m2_json_at(list, i), NULL,
                       !m2mgw_page_is_well(m2_json_at(list, i)));
    }
    m2mgw_rows_sort(rows);
    return rows;
}

static void limits(request_rec *r, const m2_json_t *list)
{
    static const char *const columns[] = { "limit",    "section", "#passed",
                                           "#refused", "#keys",   "#overflow",
                                           NULL };
    apr_size_t i;

    if (!m2_json_length(list)) {
        return;
    }
    m2mgw_page_table(r, "Limits", "wide", columns);
    for (i = 0; i < m2_json_length(list); i++) {
        const m2_json_t *limit = m2_json_at(list, i);

        ap_rprintf(r, "<tr><th scope=\"row\">%s</th><td>%s</td><td class=\"n\">%s</td>",
                   m2mgw_page_text(r, limit, "name"),
                   m2mgw_page_text(r, limit, "section"),
                   m2mgw_page_text(r, limit, "passed"));
        ap_rprintf(r,
                   "<td class=\"n\">%s</td><td class=\"n\">%s</td>"
                   "<td class=\"n\">%s</td></tr>\n",
                   m2mgw_page_text(r, limit, "refused"),
                   m2mgw_page_text(r, limit, "keys"),
                   m2mgw_page_text(r, limit, "overflow"));
    }
    m2mgw_page_table_end(r);
}

static const char *next_refresh(request_rec *r, const m2_json_t *json)
{
    const m2_slice_t kind = m2_json_string(m2_json_get(json, "kind"));

    return m2_slice_is(kind, "file") ? "when it changes"
           : m2_slice_is(kind, "configuration")
               ? "at a restart"
               : m2mgw_page_member_span(r, json, "next_refresh", "");
}

/* counted: "#keys", "#entries" */
static void sources(request_rec *r, const char *title, const char *counted,
                    const m2_json_t *list)
{
    const char *const columns[] = { "source",  "state",         counted,
                                    "#age",    "#next refresh", "#fetches",
                                    "#failed", "last fault",    NULL };
    const apr_array_header_t *rows = ill_first(r, list);
    int i;

    if (!rows->nelts) {
        return;
    }
    m2mgw_page_table(r, title, "wide", columns);
    for (i = 0; i < m2mgw_rows_shown(rows); i++) {
        const m2_json_t *source = APR_ARRAY_IDX(rows, i, m2mgw_row_t).json;

        ap_rprintf(r, "<tr><th scope=\"row\">%s</th><td>%s</td><td class=\"n\">%s</td>",
                   source_name(r, source), m2mgw_page_state(r, source),
                   m2mgw_page_text(r, source, counted + 1));
        ap_rprintf(r, "<td class=\"n\">%s</td><td class=\"n\">%s</td>",
                   m2mgw_page_member_span(r, source, "age", "never read"),
                   next_refresh(r, source));
        ap_rprintf(r, "<td class=\"n\">%s</td><td class=\"n\">%s</td><td>%s</td></tr>\n",
                   m2mgw_page_text(r, source, "fetches"),
                   m2mgw_page_text(r, source, "failures"),
                   m2mgw_page_text(r, source, "fault"));
    }
    m2mgw_page_table_end(r);
    m2mgw_page_rest(r, rows);
}

static void keys(request_rec *r, const m2_json_t *list)
{
    static const char *const columns[] = { "kid",       "kty",    "alg",
                                           "state",     "#age",   "#next refresh",
                                           "#sections", "source", NULL };
    const apr_array_header_t *rows = ill_first(r, list);
    int i;

    m2mgw_page_table(r, "Keys in use", "wide", columns);
    for (i = 0; i < m2mgw_rows_shown(rows); i++) {
        const m2_json_t *key = APR_ARRAY_IDX(rows, i, m2mgw_row_t).json;
        const char *kid = m2mgw_page_text(r, key, "kid");

        ap_rprintf(r, "<tr><th scope=\"row\">%s</th><td>%s</td><td>%s</td><td>%s</td>",
                   *kid ? kid : "<span class=\"dim\">none</span>",
                   m2mgw_page_text(r, key, "kty"), m2mgw_page_text(r, key, "alg"),
                   m2mgw_page_state(r, key));
        ap_rprintf(r, "<td class=\"n\">%s</td><td class=\"n\">%s</td>",
                   m2mgw_page_member_span(r, key, "age", ""), next_refresh(r, key));
        ap_rprintf(r, "<td class=\"n\">%s</td><td>%s%s%s</td></tr>\n",
                   m2mgw_page_text(r, key, "sections"), m2mgw_page_text(r, key, "source"),
                   m2_json_get(key, "place") ? ", " : "",
                   m2mgw_page_text(r, key, "place"));
    }
    m2mgw_page_table_end(r);
    m2mgw_page_rest(r, rows);
    if (!rows->nelts) {
        ap_rputs("<p class=\"dim\">There are none.</p>\n", r);
    }
}

/* --- machinery --- */

static void latency(request_rec *r, const m2_json_t *json)
{
    static const char *const columns[] = { "within", "#tokens", "", NULL };
    const m2_json_t *buckets = m2_json_get(json, "buckets");
    const apr_int64_t count = m2mgw_status_int(json, "count");
    apr_int64_t below = 0;
    apr_size_t i;

    m2mgw_page_table(r, "Time to judge a token that is not in the cache", "narrow",
                     columns);
    for (i = 0; i < m2_json_length(buckets); i++) {
        const m2_json_t *bucket = m2_json_at(buckets, i);
        const apr_int64_t n = m2mgw_status_int(bucket, "count") - below;
        const int last = i + 1 == m2_json_length(buckets);

        below += n;
        ap_rprintf(r, "<tr%s><th scope=\"row\">%s%s</th><td class=\"n\">%s</td>",
                   n ? "" : " class=\"dim\"",
                   last ? "longer" : m2mgw_page_text(r, bucket, "le"),
                   last ? "" : " &micro;s", m2mgw_page_number(r, n));
        ap_rprintf(r,
                   "<td><meter min=\"0\" max=\"%" APR_INT64_T_FMT
                   "\" value=\"%" APR_INT64_T_FMT "\"></meter></td></tr>\n",
                   count ? count : 1, n);
    }
    m2mgw_page_table_end(r);
    if (count) {
        ap_rprintf(r, "<p>%s tokens, %s &micro;s on average; %s signatures checked.</p>\n",
                   m2mgw_page_number(r, count),
                   m2mgw_page_number(r, m2mgw_status_int(json, "microseconds") / count),
                   m2mgw_page_number(r, m2mgw_status_int(json, "tries")));
    }
}

static void part(request_rec *r, const char *title, const m2_json_t *json)
{
    static const char *const columns[] = { "what", "#value", NULL };
    const m2_member_t *it;

    if (!json) {
        return;
    }
    m2mgw_page_table(r, title, "narrow", columns);
    for (it = m2_json_iter(json); it; it = m2_json_iter_next(it)) {
        const char *name = m2_json_iter_name(it);

        ap_rprintf(r, "<tr><th scope=\"row\">%s</th><td class=\"n\">%s</td></tr>\n",
                   ap_escape_html(r->pool, name),
                   m2_json_type(m2_json_iter_value(it)) == M2_JSON_INT
                       ? m2mgw_page_number(r, m2mgw_status_int(json, name))
                       : m2mgw_page_text(r, json, name));
    }
    m2mgw_page_table_end(r);
}

/* The server's own name: the name in the request is chosen by the client. */
static void heading(request_rec *r, const m2_json_t *document)
{
    const apr_int64_t now = m2mgw_status_int(document, "now");
    const apr_int64_t since = m2mgw_status_int(document, "since");
    const char *host = r->server->server_hostname ? r->server->server_hostname : "";

    ap_rprintf(r,
               "<h1>%s</h1>\n<p>%s, counting for <b>%s</b> since the start, "
               "%s.<br><span class=\"dim\">",
               ap_escape_html(r->pool, host), m2mgw_page_moment(r, now),
               m2mgw_page_span(r, now > since ? now - since : 0),
               m2mgw_page_moment(r, since));
    ap_rprintf(r,
               "%s, %s. <a href=\"?format=json\">JSON</a> "
               "<a href=\"?format=prometheus\">Prometheus</a></span></p>\n",
               m2mgw_page_text(r, document, "module"),
               m2mgw_page_text(r, document, "httpd"));
}

void m2mgw_status_html(request_rec *r, const m2_json_t *document)
{
    m2mgw_page_begin(r);
    heading(r, document);
    attention(r, document);
    sums(r, document);
    refusals(r, document);
    sections(r, m2_json_get(document, "sections"));
    operations(r, m2_json_get(document, "operations"));
    recent(r, m2_json_get(document, "recent"));
    rules(r, m2_json_get(document, "rules"));
    limits(r, m2_json_get(document, "limits"));
    sources(r, "Lists of revoked tokens", "#entries", m2_json_get(document, "revocation"));
    sources(r, "Data sets", "#entries", m2_json_get(document, "datasets"));
    sources(r, "Key sources", "#keys", m2_json_get(document, "sources"));
    keys(r, m2_json_get(document, "keys"));
    m2mgw_page_issuer(r, m2_json_get(document, "issuer"));
    latency(r, m2_json_get(document, "verification"));
    part(r, "Verified-token cache", m2_json_get(document, "cache"));
    part(r, "Replay store", m2_json_get(document, "replay"));
    part(r, "Limit store", m2_json_get(document, "limit_store"));
    m2mgw_page_end(r);
}

void m2mgw_status_html_one(request_rec *r, const m2_json_t *refusal)
{
    m2mgw_page_begin(r);
    if (m2_json_get(refusal, "error")) {
        ap_rprintf(r, "<h1>Not found</h1>\n<p>%s</p>\n",
                   m2mgw_page_text(r, refusal, "error"));
    }
    else {
        m2mgw_page_table(r, "Refusal", "wide", refusal_columns);
        refusal_fields(r, refusal);
        m2mgw_page_table_end(r);
    }
    m2mgw_page_end(r);
}
