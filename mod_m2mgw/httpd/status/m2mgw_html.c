/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The status document for people who were woken up: what is wrong, what is refused and
 * why, then the rules, the keys, and the machinery. Rows of zeros are left out, long lists
 * are cut (the JSON document has them whole). No script, nothing loaded from elsewhere;
 * every text is escaped where it is written.
 */
#include "httpd/status/m2mgw_html.h"

#include "httpd/status/m2mgw_member.h"

#define MAX_ROWS 100 /* of a table: more nobody reads */

/* a row of a list with the number it is sorted by */
typedef struct row_t {
    const m2_json_t *json;
    const char *name; /* of a member, or NULL */
    apr_int64_t weight;
    apr_size_t order;
} row_t;

static const char page_head[] =
    "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width\">"
    "<title>mod_m2mgw status</title>\n<style>\n"
    ":root{color-scheme:light dark;--line:#8886;--dim:#808080;"
    "--bad:#c62828;--warn:#b26a00;--good:#2e7d32}\n"
    "@media(prefers-color-scheme:dark){:root{"
    "--bad:#ff7b72;--warn:#e3a13a;--good:#6cc070}}\n"
    "body{font:15px/1.45 system-ui,sans-serif;margin:1.5rem auto;max-width:76rem;"
    "padding:0 1rem}\n"
    "h1{font-size:1.4rem;margin:0}h2{font-size:1.1rem;margin:2rem 0 .4rem}\n"
    "table{border-collapse:collapse;width:100%}th,td{padding:.25rem .8rem .25rem 0;"
    "text-align:left;border-bottom:1px solid var(--line);vertical-align:top;"
    "overflow-wrap:anywhere}\n"
    "thead th{font-weight:600;color:var(--dim);font-size:.85rem;white-space:nowrap}"
    "tbody th{font-weight:500}\n"
    ".n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}\n"
    ".dim,.dim *{color:var(--dim)}.bad{color:var(--bad);font-weight:600}"
    ".warn{color:var(--warn);font-weight:600}.good{color:var(--good)}"
    "td>.bad,td>.warn,td>.good{white-space:nowrap}\n"
    "ul.attention{border-left:.35rem solid var(--bad);padding:.5rem 1rem .5rem 2rem;"
    "margin:1rem 0}\n"
    "p.fine{border-left:.35rem solid var(--good);padding:.5rem 1rem;margin:1rem 0}\n"
    ".scroll{overflow-x:auto}table.wide{min-width:46rem}"
    "table.narrow{width:auto}.narrow td,.narrow th{padding-right:2.5rem}\n"
    ".sums{display:flex;gap:2.5rem;flex-wrap:wrap;margin:1rem 0}"
    ".sums b{display:block;font-size:1.7rem;font-variant-numeric:tabular-nums}\n"
    "meter{width:12rem;height:.8rem}\n"
    "</style></head><body>\n";

/* --- words --- */

static const char *escaped(request_rec *r, const m2_json_t *json, const char *name)
{
    const char *text = m2_json_text(r->pool, m2_json_get(json, name));

    return ap_escape_html(r->pool, text ? text : "");
}

/* 1234567 as 1 234 567, with blanks that do not break */
static const char *grouped(request_rec *r, apr_int64_t n)
{
    const char *digits = apr_psprintf(r->pool, "%" APR_INT64_T_FMT, n);
    const char *out = "";
    apr_size_t length = strlen(digits);

    while (length > 3) {
        out = apr_pstrcat(r->pool, "&#8239;",
                          apr_pstrndup(r->pool, digits + length - 3, 3), out, NULL);
        length -= 3;
    }
    return apr_pstrcat(r->pool, apr_pstrndup(r->pool, digits, length), out, NULL);
}

static const char *span(request_rec *r, apr_int64_t s)
{
    if (s < 120) {
        return apr_psprintf(r->pool, "%d s", (int)s);
    }
    if (s < 7200) {
        return apr_psprintf(r->pool, "%d min", (int)(s / 60));
    }
    if (s < 172800) {
        return apr_psprintf(r->pool, "%d h %d min", (int)(s / 3600),
                            (int)(s % 3600 / 60));
    }
    return apr_psprintf(r->pool, "%" APR_INT64_T_FMT " d %d h", s / 86400,
                        (int)(s % 86400 / 3600));
}

static const char *member_span(request_rec *r, const m2_json_t *json, const char *name,
                               const char *without)
{
    return m2_json_get(json, name) ? span(r, m2mgw_status_int(json, name)) : without;
}

/* A state with its colour. */
static const char *state(request_rec *r, const m2_json_t *json)
{
    const m2_slice_t word = m2_json_string(m2_json_get(json, "state"));
    const int good = m2_slice_is(word, "ok") || m2_slice_is(word, "fresh");
    const char *class = good ? "good" : m2_slice_is(word, "stale") ? "warn" : "bad";

    return apr_psprintf(r->pool, "<span class=\"%s\">%s</span>", class,
                        escaped(r, json, "state"));
}

static int is_well(const m2_json_t *source)
{
    const m2_slice_t word = m2_json_string(m2_json_get(source, "state"));

    return m2_slice_is(word, "ok") || m2_slice_is(word, "fresh");
}

/* --- lists --- */

static int heavier(const void *a, const void *b)
{
    const row_t *x = a, *y = b;

    if (x->weight != y->weight) {
        return x->weight < y->weight ? 1 : -1;
    }
    return x->order < y->order ? -1 : x->order > y->order;
}

static void add_row(apr_array_header_t *rows, const m2_json_t *json, const char *name,
                    apr_int64_t weight)
{
    row_t *row = apr_array_push(rows);

    row->json = json;
    row->name = name;
    row->weight = weight;
    row->order = (apr_size_t)rows->nelts;
}

static void sort(apr_array_header_t *rows)
{
    qsort(rows->elts, (apr_size_t)rows->nelts, sizeof(row_t), heavier);
}

static apr_array_header_t *make_rows(request_rec *r)
{
    return apr_array_make(r->pool, 32, sizeof(row_t));
}

static int shown(const apr_array_header_t *rows)
{
    return rows->nelts < MAX_ROWS ? rows->nelts : MAX_ROWS;
}

static void tell_cut(request_rec *r, const apr_array_header_t *rows)
{
    if (rows->nelts > MAX_ROWS) {
        ap_rprintf(r,
                   "<p class=\"dim\">and %d more, see "
                   "<a href=\"?format=json\">JSON</a></p>\n",
                   rows->nelts - MAX_ROWS);
    }
}

/* columns: texts, those that begin with # for numbers */
static void table(request_rec *r, const char *title, const char *class,
                  const char *const *columns)
{
    ap_rprintf(r, "<h2>%s</h2>\n<div class=\"scroll\"><table class=\"%s\"><thead><tr>", title,
               class);
    for (; *columns; columns++) {
        const int number = **columns == '#';

        ap_rprintf(r, "<th scope=\"col\"%s>%s</th>", number ? " class=\"n\"" : "",
                   *columns + number);
    }
    ap_rputs("</tr></thead><tbody>\n", r);
}

static void end_table(request_rec *r)
{
    ap_rputs("</tbody></table></div>\n", r);
}

/* --- what needs somebody --- */

static void begin_item(request_rec *r, int *pitems)
{
    ap_rputs((*pitems)++ ? "<li>" : "<ul class=\"attention\">\n<li>", r);
}

static void ill_sources(request_rec *r, const m2_json_t *list, int *pitems)
{
    int left = 0;
    apr_size_t i;

    for (i = 0; i < m2_json_length(list); i++) {
        const m2_json_t *source = m2_json_at(list, i);

        if (is_well(source) || left++ >= MAX_ROWS) {
            continue;
        }
        begin_item(r, pitems);
        ap_rprintf(r, "Keys from <b>%s</b> are %s", escaped(r, source, "source"),
                   state(r, source));
        ap_rprintf(r, ", confirmed %s%s%s%s</li>\n",
                   member_span(r, source, "age", "never"),
                   m2_json_get(source, "age") ? " ago" : "",
                   m2_json_get(source, "fault") ? ": " : "", escaped(r, source, "fault"));
    }
    if (left > MAX_ROWS) {
        ap_rprintf(r, "<li>and %d more key sources</li>\n", left - MAX_ROWS);
    }
}

/* Refusals that are no client's fault, and what to look at. */
static void our_faults(request_rec *r, const m2_json_t *counts, int *pitems)
{
    static const char *const faults[][2] = {
        { "keys_unavailable",
          "their key source has no keys that may be used, or has none yet" },
        { "replay_unavailable", "the replay store is full or does not answer" },
        { "rule_error", "a rule cannot be evaluated, the error log says which" },
        { "internal_error", "see the error log" },
    };
    apr_size_t i;

    for (i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        const apr_int64_t n = m2mgw_status_int(counts, faults[i][0]);

        if (n > 0) {
            begin_item(r, pitems);
            ap_rprintf(r, "<b>%s</b> requests met <b>%s</b>: %s</li>\n", grouped(r, n),
                       faults[i][0], faults[i][1]);
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

    ill_sources(r, m2_json_get(document, "sources"), &items);
    our_faults(r, m2_json_get(document, "decisions"), &items);
    if (entries && live > entries / 10 * 8) {
        begin_item(r, &items);
        ap_rprintf(r, "The replay store holds <b>%s</b> of %s marks</li>\n",
                   grouped(r, live), grouped(r, entries));
    }
    if (shadow) {
        begin_item(r, &items);
        ap_rprintf(
            r, "<b>%s</b> requests passed only because of <b>M2MEngine Shadow</b></li>\n",
            grouped(r, shadow));
    }
    ap_rputs(items ? "</ul>\n"
                   : "<p class=\"fine\">Key sources and stores are well, and no "
                     "request was refused for a fault of this server.</p>\n",
             r);
}

/* --- decisions --- */

static void sum(request_rec *r, const m2_json_t *document, const char *name,
                const char *class, const char *text)
{
    ap_rprintf(r, "<div><b class=\"%s\">%s</b>%s</div>\n", class,
               grouped(r, m2mgw_status_int(document, name)), text);
}

static void sums(request_rec *r, const m2_json_t *document)
{
    ap_rputs("<div class=\"sums\">\n", r);
    sum(r, document, "refused", m2mgw_status_int(document, "refused") ? "bad" : "dim",
        "refused");
    sum(r, document, "passed", "good", "passed");
    if (m2mgw_status_int(document, "shadow_denials")) {
        sum(r, document, "shadow_denials", "warn", "passed by Shadow, else refused");
    }
    sum(r, document, "requests", "", "decided in all");
    ap_rputs("</div>\n", r);
}

static void refusal_row(request_rec *r, const row_t *row, const m2_json_t *shadow,
                        apr_int64_t all)
{
    const m2_reason_t *reason = m2mgw_status_reason(row->name);
    const apr_int64_t let = m2mgw_status_int(shadow, row->name);

    ap_rprintf(r, "<tr><th scope=\"row\">%s</th><td class=\"n\">%s</td>", row->name,
               grouped(r, row->weight));
    ap_rprintf(r, "<td class=\"n\">%d.%d&#8239;%%</td><td class=\"n%s\">%s</td>",
               (int)(row->weight * 1000 / all / 10), (int)(row->weight * 1000 / all % 10),
               let ? " warn" : " dim", grouped(r, let));
    ap_rprintf(r, "<td class=\"n\">%s</td><td>%s</td></tr>\n",
               !reason->status ? "by rule" : apr_itoa(r->pool, reason->status),
               reason->text);
}

static void refusals(request_rec *r, const m2_json_t *document)
{
    static const char *const columns[] = {
        "reason", "#requests", "#of all", "#let by Shadow", "#answer", "meaning", NULL
    };
    const m2_json_t *counts = m2_json_get(document, "decisions");
    apr_array_header_t *rows = make_rows(r);
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
            add_row(rows, NULL, name, n);
        }
        else {
            zeros = apr_pstrcat(r->pool, zeros, *zeros ? ", " : "", name, NULL);
        }
    }
    sort(rows);
    table(r, "Refused, and why", "wide", columns);
    for (i = 0; i < rows->nelts; i++) {
        refusal_row(r, &APR_ARRAY_IDX(rows, i, row_t), m2_json_get(document, "shadow"),
                    m2mgw_status_int(document, "requests"));
    }
    end_table(r);
    ap_rprintf(r, "<p class=\"dim\">%sNot met: %s</p>\n",
               rows->nelts ? "" : "Nothing was refused. ", zeros);
}

static void rules(request_rec *r, const m2_json_t *list)
{
    static const char *const columns[] = { "rule", "#denied", "#allowed", "section",
                                           NULL };
    apr_array_header_t *rows = make_rows(r);
    apr_size_t k;
    int i;

    for (k = 0; k < m2_json_length(list); k++) {
        const m2_json_t *rule = m2_json_at(list, k);
        const apr_int64_t denied = m2mgw_status_int(rule, "deny");

        if (denied || m2mgw_status_int(rule, "allow")) {
            add_row(rows, rule, NULL, denied);
        }
    }
    if (m2_json_length(list) == 0) {
        return;
    }
    sort(rows);
    table(r, "Rules that decided", "wide", columns);
    for (i = 0; i < shown(rows); i++) {
        const m2_json_t *rule = APR_ARRAY_IDX(rows, i, row_t).json;

        ap_rprintf(r, "<tr><th scope=\"row\">%s</th><td class=\"n\">%s</td>",
                   escaped(r, rule, "rule"), grouped(r, m2mgw_status_int(rule, "deny")));
        ap_rprintf(r, "<td class=\"n\">%s</td><td>%s</td></tr>\n",
                   grouped(r, m2mgw_status_int(rule, "allow")),
                   escaped(r, rule, "section"));
    }
    end_table(r);
    tell_cut(r, rows);
    ap_rprintf(r, "<p class=\"dim\">%d of %d rules decided nothing.</p>\n",
               (int)m2_json_length(list) - rows->nelts, (int)m2_json_length(list));
}

/* --- sections and recent refusals --- */

static const char *moment(request_rec *r, apr_int64_t seconds);

static void section_row(request_rec *r, const m2_json_t *section)
{
    const m2_json_t *reasons = m2_json_get(section, "reasons");
    const char *why = "";
    const m2_member_t *it;

    for (it = m2_json_iter(reasons); it; it = m2_json_iter_next(it)) {
        why = apr_pstrcat(r->pool, why, *why ? ", " : "", m2_json_iter_name(it), " ",
                          grouped(r, m2mgw_status_int(reasons, m2_json_iter_name(it))), NULL);
    }
    ap_rprintf(r, "<tr><th scope=\"row\">%s</th><td>%s</td><td>%s%s</td>",
               escaped(r, section, "section"), escaped(r, section, "vhost"),
               state(r, section),
               m2_slice_is(m2_json_string(m2_json_get(section, "engine")), "Shadow")
                   ? " <span class=\"warn\">Shadow</span>" : "");
    ap_rprintf(r, "<td class=\"n\">%s</td><td class=\"n\">%s</td><td>%s</td><td>%s</td></tr>\n",
               grouped(r, m2mgw_status_int(section, "refused")),
               grouped(r, m2mgw_status_int(section, "passed")), why,
               m2_json_get(section, "last_refusal")
                   ? moment(r, m2mgw_status_int(section, "last_refusal")) : "");
}

/* Those without keys first, then by refusals. */
static void sections(request_rec *r, const m2_json_t *list)
{
    static const char *const columns[] = { "section", "virtual host", "state", "#refused",
                                           "#passed", "reasons", "last refusal", NULL };
    apr_array_header_t *rows = make_rows(r);
    apr_size_t k;
    int i;

    for (k = 0; k < m2_json_length(list); k++) {
        const m2_json_t *section = m2_json_at(list, k);
        const apr_int64_t ill = is_well(section) ? 0 : (apr_int64_t)1 << 62;

        add_row(rows, section, NULL, ill + m2mgw_status_int(section, "refused"));
    }
    sort(rows);
    table(r, "Protected sections", "wide", columns);
    for (i = 0; i < shown(rows); i++) {
        section_row(r, APR_ARRAY_IDX(rows, i, row_t).json);
    }
    end_table(r);
    tell_cut(r, rows);
}

static void refusal_fields(request_rec *r, const m2_json_t *refusal)
{
    ap_rprintf(r, "<tr><th scope=\"row\">%s</th><td>%s</td><td>%s</td>",
               moment(r, m2mgw_status_int(refusal, "time")), escaped(r, refusal, "reason"),
               escaped(r, refusal, "detail"));
    ap_rprintf(r, "<td>%s</td><td>%s</td><td>%s</td><td>%s</td></tr>\n",
               escaped(r, refusal, "rule"), escaped(r, refusal, "client"),
               escaped(r, refusal, "section"), escaped(r, refusal, "id"));
}

static const char *const refusal_columns[] = { "time", "reason", "detail", "rule", "client",
                                               "section", "request id", NULL };

static void recent(request_rec *r, const m2_json_t *list)
{
    apr_size_t i;

    if (m2_json_length(list) == 0) {
        return;
    }
    table(r, "Recent refusals", "wide", refusal_columns);
    for (i = 0; i < m2_json_length(list) && i < MAX_ROWS; i++) {
        refusal_fields(r, m2_json_at(list, i));
    }
    end_table(r);
    if (m2_json_length(list) > MAX_ROWS) {
        ap_rprintf(r, "<p class=\"dim\">and %d more, see <a href=\"?format=json\">JSON</a>"
                   "</p>\n", (int)m2_json_length(list) - MAX_ROWS);
    }
}

/* --- keys --- */

/* those that are not well first */
static apr_array_header_t *ill_first(request_rec *r, const m2_json_t *list)
{
    apr_array_header_t *rows = make_rows(r);
    apr_size_t i;

    for (i = 0; i < m2_json_length(list); i++) {
        add_row(rows, m2_json_at(list, i), NULL, !is_well(m2_json_at(list, i)));
    }
    sort(rows);
    return rows;
}

static void limits(request_rec *r, const m2_json_t *list)
{
    static const char *const columns[] = { "limit", "section", "#passed", "#refused", "#keys",
                                           "#without a slot", NULL };
    apr_size_t i;

    if (!m2_json_length(list)) {
        return;
    }
    table(r, "Limits", "wide", columns);
    for (i = 0; i < m2_json_length(list); i++) {
        const m2_json_t *limit = m2_json_at(list, i);

        ap_rprintf(r, "<tr><th scope=\"row\">%s</th><td>%s</td><td class=\"n\">%s</td>",
                   escaped(r, limit, "name"), escaped(r, limit, "section"),
                   escaped(r, limit, "passed"));
        ap_rprintf(r, "<td class=\"n\">%s</td><td class=\"n\">%s</td>"
                   "<td class=\"n\">%s</td></tr>\n", escaped(r, limit, "refused"),
                   escaped(r, limit, "keys"), escaped(r, limit, "overflow"));
    }
    end_table(r);
}

static const char *next_refresh(request_rec *r, const m2_json_t *json)
{
    const m2_slice_t kind = m2_json_string(m2_json_get(json, "kind"));

    return m2_slice_is(kind, "file") ? "when it changes"
           : m2_slice_is(kind, "configuration")
               ? "at a restart"
               : member_span(r, json, "next_refresh", "");
}

static void sources(request_rec *r, const m2_json_t *list)
{
    static const char *const columns[] = { "source",  "state",         "#keys",
                                           "#age",    "#next refresh", "#fetches",
                                           "#failed", "last fault",    NULL };
    const apr_array_header_t *rows = ill_first(r, list);
    int i;

    if (!rows->nelts) {
        return;
    }
    table(r, "Key sources", "wide", columns);
    for (i = 0; i < shown(rows); i++) {
        const m2_json_t *source = APR_ARRAY_IDX(rows, i, row_t).json;

        ap_rprintf(r, "<tr><th scope=\"row\">%s</th><td>%s</td><td class=\"n\">%s</td>",
                   escaped(r, source, "source"), state(r, source),
                   escaped(r, source, "keys"));
        ap_rprintf(r, "<td class=\"n\">%s</td><td class=\"n\">%s</td>",
                   member_span(r, source, "age", "never read"), next_refresh(r, source));
        ap_rprintf(r, "<td class=\"n\">%s</td><td class=\"n\">%s</td><td>%s</td></tr>\n",
                   escaped(r, source, "fetches"), escaped(r, source, "failures"),
                   escaped(r, source, "fault"));
    }
    end_table(r);
    tell_cut(r, rows);
}

static void keys(request_rec *r, const m2_json_t *list)
{
    static const char *const columns[] = { "kid",       "kty",    "alg",
                                           "state",     "#age",   "#next refresh",
                                           "#sections", "source", NULL };
    const apr_array_header_t *rows = ill_first(r, list);
    int i;

    table(r, "Keys in use", "wide", columns);
    for (i = 0; i < shown(rows); i++) {
        const m2_json_t *key = APR_ARRAY_IDX(rows, i, row_t).json;
        const char *kid = escaped(r, key, "kid");

        ap_rprintf(r, "<tr><th scope=\"row\">%s</th><td>%s</td><td>%s</td><td>%s</td>",
                   *kid ? kid : "<span class=\"dim\">none</span>", escaped(r, key, "kty"),
                   escaped(r, key, "alg"), state(r, key));
        ap_rprintf(r, "<td class=\"n\">%s</td><td class=\"n\">%s</td>",
                   member_span(r, key, "age", ""), next_refresh(r, key));
        ap_rprintf(r, "<td class=\"n\">%s</td><td>%s%s%s</td></tr>\n",
                   escaped(r, key, "sections"), escaped(r, key, "source"),
                   m2_json_get(key, "place") ? ", " : "", escaped(r, key, "place"));
    }
    end_table(r);
    tell_cut(r, rows);
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

    table(r, "Time to judge a token that is not in the cache", "narrow", columns);
    for (i = 0; i < m2_json_length(buckets); i++) {
        const m2_json_t *bucket = m2_json_at(buckets, i);
        const apr_int64_t n = m2mgw_status_int(bucket, "count") - below;
        const int last = i + 1 == m2_json_length(buckets);

        below += n;
        ap_rprintf(r, "<tr%s><th scope=\"row\">%s%s</th><td class=\"n\">%s</td>",
                   n ? "" : " class=\"dim\"", last ? "longer" : escaped(r, bucket, "le"),
                   last ? "" : " &micro;s", grouped(r, n));
        ap_rprintf(r,
                   "<td><meter min=\"0\" max=\"%" APR_INT64_T_FMT
                   "\" value=\"%" APR_INT64_T_FMT "\"></meter></td></tr>\n",
                   count ? count : 1, n);
    }
    end_table(r);
    if (count) {
        ap_rprintf(r, "<p>%s tokens, %s &micro;s on average.</p>\n", grouped(r, count),
                   grouped(r, m2mgw_status_int(json, "microseconds") / count));
    }
}

static void part(request_rec *r, const char *title, const m2_json_t *json)
{
    static const char *const columns[] = { "what", "#value", NULL };
    const m2_member_t *it;

    if (!json) {
        return;
    }
    table(r, title, "narrow", columns);
    for (it = m2_json_iter(json); it; it = m2_json_iter_next(it)) {
        const char *name = m2_json_iter_name(it);

        ap_rprintf(r, "<tr><th scope=\"row\">%s</th><td class=\"n\">%s</td></tr>\n",
                   ap_escape_html(r->pool, name),
                   m2_json_type(m2_json_iter_value(it)) == M2_JSON_INT
                       ? grouped(r, m2mgw_status_int(json, name))
                       : escaped(r, json, name));
    }
    end_table(r);
}

static const char *moment(request_rec *r, apr_int64_t seconds)
{
    char *text = apr_palloc(r->pool, APR_RFC822_DATE_LEN);

    apr_rfc822_date(text, apr_time_from_sec(seconds));
    return text;
}

/* The server's own name: that in the request is the client's word. */
static void heading(request_rec *r, const m2_json_t *document)
{
    const apr_int64_t now = m2mgw_status_int(document, "now");
    const apr_int64_t since = m2mgw_status_int(document, "since");
    const char *host = r->server->server_hostname ? r->server->server_hostname : "";

    ap_rprintf(
        r,
        "<h1>%s</h1>\n<p>%s, counting for <b>%s</b> since the start, "
        "%s.<br><span class=\"dim\">",
        ap_escape_html(r->pool, host), moment(r, now),
        span(r, now > since ? now - since : 0), moment(r, since));
    ap_rprintf(r,
               "%s, %s. <a href=\"?format=json\">JSON</a> "
               "<a href=\"?format=prometheus\">Prometheus</a></span></p>\n",
               escaped(r, document, "module"), escaped(r, document, "httpd"));
}

void m2mgw_status_html(request_rec *r, const m2_json_t *document)
{
    ap_set_content_type(r, "text/html; charset=utf-8");
    ap_rputs(page_head, r);
    heading(r, document);
    attention(r, document);
    sums(r, document);
    refusals(r, document);
    sections(r, m2_json_get(document, "sections"));
    recent(r, m2_json_get(document, "recent"));
    rules(r, m2_json_get(document, "rules"));
    limits(r, m2_json_get(document, "limits"));
    sources(r, m2_json_get(document, "sources"));
    keys(r, m2_json_get(document, "keys"));
    latency(r, m2_json_get(document, "verification"));
    part(r, "Verified-token cache", m2_json_get(document, "cache"));
    part(r, "Replay store", m2_json_get(document, "replay"));
    ap_rputs("</body></html>\n", r);
}

void m2mgw_status_html_one(request_rec *r, const m2_json_t *refusal)
{
    ap_set_content_type(r, "text/html; charset=utf-8");
    ap_rputs(page_head, r);
    if (m2_json_get(refusal, "error")) {
        ap_rprintf(r, "<h1>Not found</h1>\n<p>%s</p>\n", escaped(r, refusal, "error"));
    }
    else {
        table(r, "Refusal", "wide", refusal_columns);
        refusal_fields(r, refusal);
        end_table(r);
    }
    ap_rputs("</body></html>\n", r);
}
