/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Lines and entries; what a set is made of is in m2_revocation_set.c.
 */
#include "revocation/m2_revocation.h"

#include "text/m2_lines.h"

#define TIME_DIGITS 16 /* 2^53 has as many */

typedef struct kind_row_t {
    m2_revoked_kind_t kind;
    const char *word;
    int has_time;
} kind_row_t;

/* ORDER REVOKED */
static const kind_row_t rows[] = {
    { M2_REVOKED_JTI, "jti", 1 },
    { M2_REVOKED_CLIENT, "client", 1 },
    { M2_REVOKED_SUB, "sub", 1 },
    { M2_REVOKED_KID, "kid", 0 },
    { M2_REVOKED_CLAIM, "claim", 0 },
};
_Static_assert(sizeof(rows) / sizeof(*rows) == M2_REVOKED_KINDS, "a row for each kind");

const char *m2_revoked_word(m2_revoked_kind_t kind)
{
    return (unsigned)kind < M2_REVOKED_KINDS ? rows[kind].word : NULL;
}

/* --- words --- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decoded into pool; absent for a bad escape, a NUL or a control byte as it is. */
static m2_slice_t word_decode(apr_pool_t *pool, m2_slice_t word)
{
    char *text = apr_palloc(pool, word.n + 1);
    apr_size_t i, n = 0;

    for (i = 0; i < word.n; i++) {
        char c = word.p[i];

        if (c == '%') {
            int high = i + 2 < word.n ? hex_digit(word.p[i + 1]) : -1;
            int low = i + 2 < word.n ? hex_digit(word.p[i + 2]) : -1;
            c = high < 0 || low < 0 ? '\0' : (char)(high * 16 + low);
            i += 2;
        }
        else if ((unsigned char)c < 0x20 || c == 0x7f) {
            c = '\0';
        }
        if (!c) {
            return m2_slice(NULL, 0);
        }
        text[n++] = c;
    }
    text[n] = '\0';
    return m2_slice(text, n);
}

/* What would end or begin a word, a comment or an escape is written as one; so is what no
 * terminal shows. A lone `*` is the word for any issuer. */
static const char *word_encode(apr_pool_t *pool, m2_slice_t word)
{
    static const char digits[] = "0123456789ABCDEF";
    char *text = apr_palloc(pool, word.n * 3 + 1);
    char *out = text;
    apr_size_t i;

    for (i = 0; i < word.n; i++) {
        unsigned char c = (unsigned char)word.p[i];

        if (c > 0x20 && c < 0x7f && c != '%' && c != '#' && !(c == '*' && word.n == 1)) {
            *out++ = (char)c;
        }
        else {
            *out++ = '%';
            *out++ = digits[c >> 4];
            *out++ = digits[c & 15];
        }
    }
    *out = '\0';
    return text;
}

/* Unix seconds; M2_UNSET for anything else */
static apr_int64_t time_read(m2_slice_t word)
{
    apr_int64_t seconds = 0;
    apr_size_t i;

    if (word.n == 0 || word.n > TIME_DIGITS) {
        return M2_UNSET;
    }
    for (i = 0; i < word.n; i++) {
        if (!apr_isdigit(word.p[i])) {
            return M2_UNSET;
        }
        seconds = seconds * 10 + (word.p[i] - '0');
    }
    return seconds;
}

/* --- one entry --- */

static const kind_row_t *row_find(m2_slice_t word)
{
    int i;

    for (i = 0; i < M2_REVOKED_KINDS; i++) {
        if (m2_slice_is(word, rows[i].word)) {
            return &rows[i];
        }
    }
    return NULL;
}

static m2_code_t names_read(m2_revoked_t *entry, apr_pool_t *pool, m2_slice_t *rest,
                            m2_err_t *err)
{
    m2_slice_t scope, value;

    if (!m2_entry_next(rest, &scope) || !m2_entry_next(rest, &value)) {
        return m2_err_set(err, M2_E_CONFIG, "an entry needs two words behind %s",
                          rows[entry->kind].word);
    }
    entry->value = word_decode(pool, value);
    entry->star = m2_slice_is(value, "*")
                  || (m2_slice_is(scope, "*") && entry->kind != M2_REVOKED_KID);
    if (entry->kind == M2_REVOKED_KID && m2_slice_is(scope, "*")) {
        entry->scope = m2_slice(NULL, 0);
    }
    else {
        entry->scope = word_decode(pool, scope);
        if (!entry->scope.p) {
            entry->value = entry->scope;
        }
    }
    return entry->value.p ? M2_OK
                          : m2_err_set(err, M2_E_CONFIG,
                                       "a word is not percent-encoded as it should be");
}

static m2_code_t rest_read(m2_revoked_t *entry, m2_slice_t rest, m2_err_t *err)
{
    m2_slice_t word;

    if (!m2_entry_next(&rest, &word)) {
        return M2_OK;
    }
    if (rows[entry->kind].has_time) {
        entry->time = time_read(word);
        if (entry->time == M2_UNSET) {
            return m2_err_set(err, M2_E_CONFIG, "a time is Unix seconds, digits alone");
        }
    }
    if (!rows[entry->kind].has_time || m2_entry_next(&rest, &word)) {
        return m2_err_set(err, M2_E_CONFIG, "there is a word too many");
    }
    return M2_OK;
}

m2_code_t m2_revoked_read(m2_revoked_t *entry, apr_pool_t *pool, m2_slice_t line,
                          m2_err_t *err)
{
    const kind_row_t *row;
    m2_slice_t word;
    m2_code_t code;

    if (!m2_entry_next(&line, &word)) {
        return M2_E_NOT_FOUND;
    }
    row = row_find(word);
    if (!row) {
        return m2_err_set(err, M2_E_CONFIG,
                          "an entry begins with jti, client, sub, kid or claim");
    }
    memset(entry, 0, sizeof(*entry));
    entry->kind = row->kind;
    entry->time = M2_UNSET;
    code = names_read(entry, pool, &line, err);
    return code == M2_OK ? rest_read(entry, line, err) : code;
}

static int is_writable(m2_slice_t word)
{
    return word.p && word.n && !memchr(word.p, '\0', word.n);
}

m2_code_t m2_revoked_write(const char **pline, apr_pool_t *pool, const m2_revoked_t *entry,
                           m2_err_t *err)
{
    int any = entry->kind == M2_REVOKED_KID && !entry->scope.p;
    const char *time = "";

    if (!is_writable(entry->value) || (!any && !is_writable(entry->scope))) {
        return m2_err_set(err, M2_E_CONFIG, "an empty word, or one with a NUL, cannot be "
                                            "revoked");
    }
    if (entry->time != M2_UNSET && rows[entry->kind].has_time) {
        time = apr_psprintf(pool, " %" APR_INT64_T_FMT, entry->time);
    }
    *pline = apr_pstrcat(pool, rows[entry->kind].word, " ",
                         any ? "*" : word_encode(pool, entry->scope), " ",
                         word_encode(pool, entry->value), time, "\n", NULL);
    return strlen(*pline) <= M2_MAX_REVOCATION_LINE
               ? M2_OK
               : m2_err_set(err, M2_E_CONFIG, "an entry is longer than %d bytes",
                            M2_MAX_REVOCATION_LINE);
}

/* --- a list --- */

const char *m2_revocation_hint(apr_pool_t *pool, const m2_revocation_t *set)
{
    m2_revoked_kind_t first;
    const unsigned int stars = m2_revocation_stars(&first, set);

    return stars ? apr_psprintf(pool, "%u of its entries %s a lone *, the first one of kind %s: "
                                "that is a name like any other there; it stands for all in "
                                "`kid * KID` only", stars,
                                stars == 1 ? "has" : "have", rows[first].word)
                 : NULL;
}

static m2_code_t line_add(void *data, apr_pool_t *temp, m2_slice_t line, m2_err_t *err)
{
    m2_revoked_t entry;
    const m2_code_t code = m2_revoked_read(&entry, temp, line, err);

    return code == M2_OK ? m2_revocation_add(data, &entry, err) : code;
}

m2_code_t m2_revocation_parse(m2_revocation_t *set, m2_slice_t text, m2_err_t *err)
{
    if (text.n > M2_MAX_REVOCATION_BYTES) {
        return m2_err_set(err, M2_E_CONFIG, "the list is larger than %d bytes",
                          M2_MAX_REVOCATION_BYTES);
    }
    return m2_lines_read(set, m2_revocation_pool(set), line_add, text, M2_MAX_REVOCATION_LINE,
                         err);
}
