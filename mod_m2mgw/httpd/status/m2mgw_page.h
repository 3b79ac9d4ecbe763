/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What the pages of the status handler are built from: words, lists that are sorted and cut,
 * tables. Never knows what a page is about. Texts live in the pool of the request.
 */
#ifndef M2MGW_PAGE_H
#define M2MGW_PAGE_H

#include "httpd/m2mgw.h"

#include "text/m2_json.h"

#define M2MGW_PAGE_ROWS 100 /* of a table: more would not be readable */

/** Type, head and style of a page; and its end. */
void m2mgw_page_begin(request_rec *r);
void m2mgw_page_end(request_rec *r);

/* --- words --- */

/** A member as text, escaped for HTML; empty when it is not there. */
const char *m2mgw_page_text(request_rec *r, const m2_json_t *json, const char *name);

/** 1234567 as 1 234 567, with blanks that do not break. */
const char *m2mgw_page_number(request_rec *r, apr_int64_t n);

/** A span of seconds in one or two units; of a member, without when it is not there. */
const char *m2mgw_page_span(request_rec *r, apr_int64_t s);
const char *m2mgw_page_member_span(request_rec *r, const m2_json_t *json, const char *name,
                                   const char *without);

/** A time, in seconds since 1970, as a date. */
const char *m2mgw_page_moment(request_rec *r, apr_int64_t seconds);

/** The member `state` with its colour; and whether it is a good one. */
const char *m2mgw_page_state(request_rec *r, const m2_json_t *json);
int m2mgw_page_is_well(const m2_json_t *source);

/* --- lists --- */

/** A row of a list, with the number that it is sorted by. */
typedef struct m2mgw_row_t {
    const m2_json_t *json;
    const char *name; /* of a member, or NULL */
    apr_int64_t weight;
    apr_size_t order;
} m2mgw_row_t;

/** A list of m2mgw_row_t: the heaviest rows first, equal ones in the order they came. */
apr_array_header_t *m2mgw_rows_make(request_rec *r);
void m2mgw_rows_add(apr_array_header_t *rows, const m2_json_t *json, const char *name,
                    apr_int64_t weight);
void m2mgw_rows_sort(apr_array_header_t *rows);

/** How many rows are shown, and the line that says how many are not. */
int m2mgw_rows_shown(const apr_array_header_t *rows);
void m2mgw_page_rest(request_rec *r, const apr_array_header_t *rows);

/** Begin a table. columns: texts, those of numbers begin with #; NULL ends. */
void m2mgw_page_table(request_rec *r, const char *title, const char *classes,
                      const char *const *columns);
void m2mgw_page_table_end(request_rec *r);

#endif /* M2MGW_PAGE_H */
