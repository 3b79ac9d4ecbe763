/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A page is written as it is made; what is written is ASCII or was escaped.
 */
#include "httpd/status/m2mgw_page.h"

#include "httpd/status/m2mgw_member.h"

#include <stdlib.h>

/* What stands in front of a value of column n in a narrow window: --cn of its table. */
#define LABEL(n) \
    "@media(max-width:46rem){.wide tr>:nth-child(" #n ")::before{content:var(--c" #n ")}}\n"
#define LABELS 8 /* the most columns that a table has */

static const char page_head[] =
    "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width\">"
    "<title>mod_m2mgw status</title>\n<style>\n"
    ":root{color-scheme:light dark;--line:#8886;--dim:#595959;--link:#0b57d0;"
    "--bad:#b3261e;--warn:#8a5200;--good:#22692a;--ink:#1b1b1b;--paper:#fff}\n"
    "@media(prefers-color-scheme:dark){:root{--dim:#a8a8a8;--link:#8ab4f8;"
    "--bad:#ff8a80;--warn:#e3a13a;--good:#6cc070;--ink:#e6e6e6;--paper:#16181c}}\n"
    "body{font:15px/1.45 system-ui,sans-serif;margin:1.5rem auto;max-width:76rem;"
    "padding:0 1rem;color:var(--ink);background:var(--paper)}a{color:var(--link)}\n"
    "h1{font-size:1.4rem;margin:0}h2{font-size:1.1rem;margin:2rem 0 .4rem}\n"
    "table{border-collapse:collapse;width:100%}th,td{padding:.25rem .8rem .25rem 0;"
    "text-align:left;border-bottom:1px solid var(--line);vertical-align:top;"
    "overflow-wrap:break-word}\n"
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
    ".sums{display:flex;gap:.8rem 2.5rem;flex-wrap:wrap;margin:1rem 0}"
    ".sums b{display:block;font-size:1.7rem;font-variant-numeric:tabular-nums}\n"
    "meter{width:12rem;height:.8rem}\n"
    /* narrow windows: a row is a card, and each value has the name of its column beside it */
    "@media(max-width:46rem){table.wide{min-width:0}.wide thead{display:none}"
    ".wide,.wide tbody,.wide tr,.wide tbody th,.wide td{display:block}"
    ".wide tr{border:1px solid var(--line);border-radius:.4rem;padding:.4rem .7rem;"
    "margin:.6rem 0}.wide tbody th{font-weight:600}"
    ".wide tbody th,.wide td{border:0;padding:.1rem 0 .1rem 6rem;position:relative;"
    "text-align:left;white-space:normal;font-size:.87rem;min-height:1.45em}"
    ".wide td:empty{display:none}"
    ".wide tr>::before{position:absolute;left:0;color:var(--dim);"
    "font-weight:400;white-space:nowrap}meter{width:6rem}}\n"
    LABEL(1) LABEL(2) LABEL(3) LABEL(4) LABEL(5) LABEL(6) LABEL(7) LABEL(8)
    "</style></head><body><main>\n";

void m2mgw_page_begin(request_rec *r)
{
    ap_set_content_type(r, "text/html; charset=utf-8");
    ap_rputs(page_head, r);
}

void m2mgw_page_end(request_rec *r)
{
    ap_rputs("</main></body></html>\n", r);
}

/* --- words --- */

const char *m2mgw_page_text(request_rec *r, const m2_json_t *json, const char *name)
{
    const char *text = m2_json_text(r->pool, m2_json_get(json, name));

    return ap_escape_html(r->pool, text ? text : "");
}

/* 1234567 as 1 234 567, with blanks that do not break */
const char *m2mgw_page_number(request_rec *r, apr_int64_t n)
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

const char *m2mgw_page_span(request_rec *r, apr_int64_t s)
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

const char *m2mgw_page_member_span(request_rec *r, const m2_json_t *json,
                                   const char *name, const char *without)
{
    return m2_json_get(json, name) ? m2mgw_page_span(r, m2mgw_status_int(json, name))
                                   : without;
}

/* A state with its colour. */
const char *m2mgw_page_state(request_rec *r, const m2_json_t *json)
{
    const m2_slice_t word = m2_json_string(m2_json_get(json, "state"));
    const int good = m2_slice_is(word, "ok") || m2_slice_is(word, "fresh");
    const char *class = good ? "good" : m2_slice_is(word, "stale") ? "warn" : "bad";

    return apr_psprintf(r->pool, "<span class=\"%s\">%s</span>", class,
                        m2mgw_page_text(r, json, "state"));
}

int m2mgw_page_is_well(const m2_json_t *source)
{
    const m2_slice_t word = m2_json_string(m2_json_get(source, "state"));

    return m2_slice_is(word, "ok") || m2_slice_is(word, "fresh");
}

/* --- lists --- */

static int heavier(const void *a, const void *b)
{
    const m2mgw_row_t *x = a, *y = b;

    if (x->weight != y->weight) {
        return x->weight < y->weight ? 1 : -1;
    }
    return x->order < y->order ? -1 : x->order > y->order;
}

void m2mgw_rows_add(apr_array_header_t *rows, const m2_json_t *json, const char *name,
                    apr_int64_t weight)
{
    m2mgw_row_t *row = apr_array_push(rows);

    row->json = json;
    row->name = name;
    row->weight = weight;
    row->order = (apr_size_t)rows->nelts;
}

void m2mgw_rows_sort(apr_array_header_t *rows)
{
    qsort(rows->elts, (apr_size_t)rows->nelts, sizeof(m2mgw_row_t), heavier);
}

apr_array_header_t *m2mgw_rows_make(request_rec *r)
{
    return apr_array_make(r->pool, 32, sizeof(m2mgw_row_t));
}

int m2mgw_rows_shown(const apr_array_header_t *rows)
{
    return rows->nelts < M2MGW_PAGE_ROWS ? rows->nelts : M2MGW_PAGE_ROWS;
}

void m2mgw_page_rest(request_rec *r, const apr_array_header_t *rows)
{
    if (rows->nelts > M2MGW_PAGE_ROWS) {
        ap_rprintf(r,
                   "<p class=\"dim\">and %d more, see "
                   "<a href=\"?format=json\">JSON</a></p>\n",
                   rows->nelts - M2MGW_PAGE_ROWS);
    }
}

/* columns: texts without quotes, those that begin with # for numbers */
void m2mgw_page_table(request_rec *r, const char *title, const char *class,
                      const char *const *columns)
{
    int i;

    /* what scrolls has a name, and can be reached by keyboard */
    ap_rprintf(r, "<h2>%s</h2>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" "
               "aria-label=\"%s\"><table class=\"%s\" style=\"", title, title, class);
    for (i = 0; columns[i] && i < LABELS; i++) {
        ap_rprintf(r, "--c%d:'%s';", i + 1, columns[i] + (*columns[i] == '#'));
    }
    ap_rputs("\"><thead><tr>", r);
    for (; *columns; columns++) {
        const int number = **columns == '#';

        ap_rprintf(r, "<th scope=\"col\"%s>%s</th>", number ? " class=\"n\"" : "",
                   *columns + number);
    }
    ap_rputs("</tr></thead><tbody>\n", r);
}

void m2mgw_page_table_end(request_rec *r)
{
    ap_rputs("</tbody></table></div>\n", r);
}

const char *m2mgw_page_moment(request_rec *r, apr_int64_t seconds)
{
    char *text = apr_palloc(r->pool, APR_RFC822_DATE_LEN);

    apr_rfc822_date(text, apr_time_from_sec(seconds));
    return text;
}
