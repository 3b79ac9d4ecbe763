/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Two hash tables: the values as they are, and the networks among them under the key of their
 * prefix and bits, so that an address is looked up once for each prefix there is.
 */
#include "rules/m2_dataset.h"

#include "rules/m2_rule_int.h"
#include "text/m2_lines.h"

#include <apr_hash.h>

#define FOR_EVER APR_INT64_MAX
#define MOST_DIGITS 12 /* of Unix seconds */
#define PREFIXES 130 /* 0..128, and those of IPv4 */

struct m2_dataset_t {
    apr_pool_t *pool;
    apr_hash_t *values;   /* -> apr_int64_t *, microseconds until which it is there */
    apr_hash_t *networks; /* likewise, by m2_cidr_key */
    char has[2][PREFIXES]; /* prefixes of IPv4 and IPv6 networks */
    int odd;              /* values that are no networks */
    const char *first_odd;
};

apr_size_t m2_dataset_name_length(m2_slice_t text)
{
    apr_size_t n = 0;

    while (n < text.n && text.p[n] && (apr_isalnum(text.p[n]) || strchr("._-", text.p[n]))) {
        n++;
    }
    return n;
}

/* --- times --- */

/* n digits of *text as a number; -1 when there are fewer */
static int digits(m2_slice_t *text, apr_size_t n)
{
    int value = 0;
    apr_size_t i;

    if (text->n < n) {
        return -1;
    }
    for (i = 0; i < n; i++) {
        if (text->p[i] < '0' || text->p[i] > '9') {
            return -1;
        }
        value = value * 10 + (text->p[i] - '0');
    }
    *text = m2_slice(text->p + n, text->n - n);
    return value;
}

static int skip(m2_slice_t *text, const char *any)
{
    if (!text->n || !strchr(any, text->p[0])) {
        return 0;
    }
    *text = m2_slice(text->p + 1, text->n - 1);
    return 1;
}

static int days_of(int year, int month)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    const int leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return days[month - 1] + (month == 2 && leap);
}

/* RFC 3339 5.6: `Z`, or hours and minutes east of Greenwich; 0 for anything else */
static int read_zone(int *pminutes, m2_slice_t text)
{
    const int sign = text.n && text.p[0] == '-' ? -1 : 1;
    int hours, minutes;

    *pminutes = 0;
    if (skip(&text, "Zz")) {
        return text.n == 0;
    }
    if (!skip(&text, "+-")) {
        return 0;
    }
    hours = digits(&text, 2);
    minutes = skip(&text, ":") ? digits(&text, 2) : -1;
    *pminutes = sign * (hours * 60 + minutes);
    return hours >= 0 && hours < 24 && minutes >= 0 && minutes < 60 && text.n == 0;
}

/* RFC 3339 5.6 date-time in microseconds; 0 when it is invalid. A leap second counts as the
 * next. */
static int read_time(apr_int64_t *ptime, m2_slice_t text)
{
    apr_time_exp_t t;
    int zone;

    memset(&t, 0, sizeof(t));
    t.tm_year = digits(&text, 4) - 1900;
    t.tm_mon = skip(&text, "-") ? digits(&text, 2) - 1 : -1;
    t.tm_mday = skip(&text, "-") ? digits(&text, 2) : -1;
    t.tm_hour = skip(&text, "Tt") ? digits(&text, 2) : -1;
    t.tm_min = skip(&text, ":") ? digits(&text, 2) : -1;
    t.tm_sec = skip(&text, ":") ? digits(&text, 2) : -1;
    if (skip(&text, ".")) {
        if (digits(&text, 1) < 0) {
            return 0;
        }
        while (digits(&text, 1) >= 0) {
        }
    }
    if (t.tm_year < 0 || t.tm_mon < 0 || t.tm_mon > 11 || t.tm_mday < 1
        || t.tm_mday > days_of(t.tm_year + 1900, t.tm_mon + 1) || t.tm_hour < 0
        || t.tm_hour > 23 || t.tm_min < 0 || t.tm_min > 59 || t.tm_sec < 0 || t.tm_sec > 60
        || !read_zone(&zone, text) || apr_time_exp_get(ptime, &t) != APR_SUCCESS) {
        return 0;
    }
    *ptime -= apr_time_from_sec((apr_int64_t)zone * 60);
    return 1;
}

/* --- filling --- */

m2_dataset_t *m2_dataset_make(apr_pool_t *pool)
{
    m2_dataset_t *set = apr_pcalloc(pool, sizeof(*set));

    set->pool = pool;
    set->values = apr_hash_make(pool);
    set->networks = apr_hash_make(pool);
    return set;
}

static void put(apr_hash_t *table, apr_pool_t *pool, const void *key, apr_size_t n,
                apr_int64_t until)
{
    apr_int64_t *there = apr_hash_get(table, key, (apr_ssize_t)n);

    if (!there) {
        there = apr_palloc(pool, sizeof(*there));
        *there = until;
        apr_hash_set(table, apr_pmemdup(pool, key, n), (apr_ssize_t)n, there);
    }
    *there = *there > until ? *there : until;
}

static void put_network(m2_dataset_t *set, apr_pool_t *temp, m2_slice_t value,
                        apr_int64_t until)
{
    unsigned char key[M2_CIDR_KEY];
    const char *why;
    const m2_cidr_t *cidr = m2_cidr_compile(&why, temp, value);

    if (cidr) {
        m2_cidr_key(key, cidr, M2_CIDR_OWN);
        set->has[key[0] != 4][key[1]] = 1;
        put(set->networks, set->pool, key, sizeof(key), until);
    }
    else if (!apr_hash_get(set->values, value.p, (apr_ssize_t)value.n)) {
        set->odd++;
        set->first_odd = set->first_odd ? set->first_odd : m2_slice_dup(set->pool, value);
    }
}

static m2_code_t line_add(void *data, apr_pool_t *temp, m2_slice_t line, m2_err_t *err)
{
    m2_dataset_t *set = data;
    apr_int64_t until = FOR_EVER;
    m2_slice_t value, time, more;

    if (!m2_entry_next(&line, &value)) {
        return M2_E_NOT_FOUND;
    }
    if (m2_entry_next(&line, &time) && !read_time(&until, time)) {
        return m2_err_set(err, M2_E_CONFIG, "behind a value stands nothing, or a time such as "
                                            "2026-12-31T23:59:59Z (RFC 3339)");
    }
    if (m2_entry_next(&line, &more)) {
        return m2_err_set(err, M2_E_CONFIG, "there is a word too many");
    }
    put_network(set, temp, value, until);
    put(set->values, set->pool, value.p, value.n, until);
    return M2_OK;
}

m2_code_t m2_dataset_parse(m2_dataset_t *set, m2_slice_t text, m2_err_t *err)
{
    if (text.n > M2_MAX_DATASET_BYTES) {
        return m2_err_set(err, M2_E_CONFIG, "it is larger than %d bytes", M2_MAX_DATASET_BYTES);
    }
    return m2_lines_read(set, set->pool, line_add, text, M2_MAX_DATASET_LINE, err);
}

/* --- rows of a database --- */

/* Unix seconds, whose fraction does not count, in microseconds, or `-`. 0 for anything else: what
 * has more digits counts milliseconds. */
static int read_seconds(apr_int64_t *puntil, m2_slice_t text)
{
    apr_int64_t seconds = 0;
    int minus, n;

    if (m2_slice_is(text, "-")) {
        *puntil = FOR_EVER;
        return 1;
    }
    minus = skip(&text, "-");
    for (n = 0; text.n && apr_isdigit(text.p[0]) && n <= MOST_DIGITS; n++) {
        seconds = seconds * 10 + digits(&text, 1);
    }
    if (n && n <= MOST_DIGITS && text.n > 1 && skip(&text, ".")) {
        while (digits(&text, 1) >= 0) {
        }
    }
    *puntil = apr_time_from_sec(minus ? -seconds : seconds);
    return n && n <= MOST_DIGITS && text.n == 0;
}

static m2_code_t row_add(m2_dataset_t *set, apr_pool_t *temp, m2_slice_t row, m2_err_t *err)
{
    const char *tab = memchr(row.p, '\t', row.n);
    apr_int64_t until;
    m2_slice_t value;

    if (!tab || !read_seconds(&until, m2_slice(row.p, (apr_size_t)(tab - row.p)))) {
        return m2_err_set(err, M2_E_CONFIG, "the second column is not a time in Unix seconds");
    }
    value = m2_slice(tab + 1, row.n - (apr_size_t)(tab + 1 - row.p));
    if (!value.n || value.n > M2_MAX_DATASET_LINE) {
        return m2_err_set(err, M2_E_CONFIG, "a value has 1 to %d bytes", M2_MAX_DATASET_LINE);
    }
    put_network(set, temp, value, until);
    put(set->values, set->pool, value.p, value.n, until);
    return M2_OK;
}

m2_code_t m2_dataset_parse_rows(m2_dataset_t *set, m2_slice_t text, m2_err_t *err)
{
    m2_code_t code = M2_OK;
    apr_pool_t *temp;
    const char *end;
    int number = 0;

    apr_pool_create(&temp, set->pool);
    while (code == M2_OK && text.n) {
        number++;
        end = memchr(text.p, '\0', text.n);
        code = end ? row_add(set, temp, m2_slice(text.p, (apr_size_t)(end - text.p)), err)
                   : m2_err_set(err, M2_E_CONFIG, "the row has no end");
        if (end) {
            text = m2_slice(end + 1, text.n - (apr_size_t)(end + 1 - text.p));
        }
        apr_pool_clear(temp);
    }
    if (code != M2_OK && err) {
        err->line = number;
    }
    apr_pool_destroy(temp);
    return code;
}

int m2_dataset_odd(const char **pfirst, const m2_dataset_t *set)
{
    *pfirst = set->first_odd;
    return set->odd;
}

int m2_dataset_count(const m2_dataset_t *set)
{
    return (int)apr_hash_count(set->values);
}

/* --- looking --- */

static int is_there(apr_hash_t *table, const void *key, apr_size_t n, apr_time_t now)
{
    const apr_int64_t *until = n ? apr_hash_get(table, key, (apr_ssize_t)n) : NULL;

    return until && *until > now;
}

int m2_dataset_has(const m2_dataset_t *set, m2_slice_t value, apr_time_t now)
{
    return is_there(set->values, value.p, value.n, now);
}

m2_truth_t m2_dataset_covers(const m2_dataset_t *set, apr_pool_t *pool, m2_slice_t address,
                             apr_time_t now)
{
    const m2_cidr_t *host = m2_cidr_host(pool, address);
    unsigned char key[M2_CIDR_KEY];
    int prefix, most, v6;

    if (!host) {
        return M2_ERROR;
    }
    m2_cidr_key(key, host, M2_CIDR_OWN);
    v6 = key[0] != 4;
    most = key[1];
    for (prefix = most; prefix >= 0; prefix--) {
        if (set->has[v6][prefix]) {
            m2_cidr_key(key, host, prefix);
            if (is_there(set->networks, key, sizeof(key), now)) {
                return M2_TRUE;
            }
        }
    }
    return M2_FALSE;
}
