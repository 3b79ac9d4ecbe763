/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The set is one hash table. Its keys are the kind, the length of the scope, the scope and
 * the value, so that two different entries never share one.
 */
#include "revocation/m2_revocation.h"

#include "text/m2_lines.h"

#include <apr_hash.h>

#define TIME_DIGITS 16 /* 2^53 has as many */

/* claims an entry is looked up by, the first that is there */
typedef struct kind_row_t {
    m2_revoked_kind_t kind;
    const char *word;
    int has_time;
    const char *claims[2];
} kind_row_t;

/* ORDER REVOKED */
static const kind_row_t rows[] = {
    { M2_REVOKED_JTI, "jti", 1, { "jti", NULL } },
    { M2_REVOKED_CLIENT, "client", 1, { "client_id", "azp" } },
    { M2_REVOKED_SUB, "sub", 1, { "sub", NULL } },
    { M2_REVOKED_KID, "kid", 0, { NULL, NULL } },
    { M2_REVOKED_CLAIM, "claim", 0, { NULL, NULL } },
};
_Static_assert(sizeof(rows) / sizeof(*rows) == M2_REVOKED_KINDS, "a row for each kind");

struct m2_revocation_t {
    apr_pool_t *pool;
    apr_hash_t *entries;       /* key -> apr_int64_t *, NOT-BEFORE or M2_UNSET */
    apr_hash_t *path_names;    /* PATHs of claim entries, each once */
    apr_array_header_t *paths; /* the same, of const char * */
};

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

/* Decoded into pool; "there is none" for a bad escape, a NUL or a control byte as it is. */
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

    if (!m2_word_next(rest, &scope) || !m2_word_next(rest, &value)) {
        return m2_err_set(err, M2_E_CONFIG, "an entry needs two words behind %s",
                          rows[entry->kind].word);
    }
    entry->value = word_decode(pool, value);
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

    if (!m2_word_next(&rest, &word)) {
        return M2_OK;
    }
    if (rows[entry->kind].has_time) {
        entry->time = time_read(word);
        if (entry->time == M2_UNSET) {
            return m2_err_set(err, M2_E_CONFIG, "a time is Unix seconds, digits alone");
        }
    }
    if (!rows[entry->kind].has_time || m2_word_next(&rest, &word)) {
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

    if (!m2_word_next(&line, &word) || *word.p == '#') {
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

/* --- the set --- */

m2_revocation_t *m2_revocation_make(apr_pool_t *pool)
{
    m2_revocation_t *set = apr_palloc(pool, sizeof(*set));

    set->pool = pool;
    set->entries = apr_hash_make(pool);
    set->path_names = apr_hash_make(pool);
    set->paths = apr_array_make(pool, 4, sizeof(const char *));
    return set;
}

/* kind, length of scope (all ones: any), scope, value */
static m2_slice_t key_make(apr_pool_t *pool, m2_revoked_kind_t kind, m2_slice_t scope,
                           m2_slice_t value)
{
    apr_uint32_t length = scope.p ? (apr_uint32_t)scope.n : APR_UINT32_MAX;
    apr_size_t n = 1 + sizeof(length) + scope.n + value.n;
    char *key = apr_palloc(pool, n);

    key[0] = (char)kind;
    memcpy(key + 1, &length, sizeof(length));
    if (scope.n) {
        memcpy(key + 1 + sizeof(length), scope.p, scope.n);
    }
    if (value.n) {
        memcpy(key + 1 + sizeof(length) + scope.n, value.p, value.n);
    }
    return m2_slice(key, n);
}

static m2_code_t path_add(m2_revocation_t *set, m2_slice_t path, m2_err_t *err)
{
    const char *name;

    if (apr_hash_get(set->path_names, path.p, (apr_ssize_t)path.n)) {
        return M2_OK;
    }
    if (set->paths->nelts >= M2_MAX_REVOCATION_PATHS) {
        return m2_err_set(err, M2_E_CONFIG, "the list names more than %d different claims",
                          M2_MAX_REVOCATION_PATHS);
    }
    name = m2_slice_dup(set->pool, path);
    APR_ARRAY_PUSH(set->paths, const char *) = name;
    apr_hash_set(set->path_names, name, (apr_ssize_t)path.n, name);
    return M2_OK;
}

m2_code_t m2_revocation_add(m2_revocation_t *set, const m2_revoked_t *entry, m2_err_t *err)
{
    m2_slice_t key = key_make(set->pool, entry->kind, entry->scope, entry->value);
    apr_int64_t *before = apr_hash_get(set->entries, key.p, (apr_ssize_t)key.n);
    /* EXP only tells when an entry may go; a list that still has it means it */
    apr_int64_t time = entry->kind == M2_REVOKED_JTI ? M2_UNSET : entry->time;

    if (before) {
        *before = *before == M2_UNSET || time == M2_UNSET ? M2_UNSET
                  : *before > time                        ? *before
                                                          : time;
        return M2_OK;
    }
    before = apr_palloc(set->pool, sizeof(*before));
    *before = time;
    apr_hash_set(set->entries, key.p, (apr_ssize_t)key.n, before);
    return entry->kind == M2_REVOKED_CLAIM ? path_add(set, entry->scope, err) : M2_OK;
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
    return m2_lines_read(set, set->pool, line_add, text, M2_MAX_REVOCATION_LINE, err);
}

unsigned int m2_revocation_count(const m2_revocation_t *set)
{
    return apr_hash_count(set->entries);
}

/* --- look-up --- */

/* a token on its way through the kinds */
typedef struct looking_t {
    const m2_revocation_t *set;
    apr_pool_t *pool;
    const m2_json_t *claims;
    m2_slice_t issuer;
} looking_t;

/* RFC 7519 4.1.6; an iat that is no time is as good as none */
static int is_before(const looking_t *looking, apr_int64_t not_before)
{
    double iat;

    return not_before == M2_UNSET
           || m2_json_time(m2_json_get(looking->claims, "iat"), &iat) != M2_OK
           || iat < (double)not_before;
}

static int is_listed(const looking_t *looking, m2_revoked_kind_t kind, m2_slice_t scope,
                     m2_slice_t value)
{
    m2_slice_t key;
    const apr_int64_t *before;

    if (!value.p) {
        return 0;
    }
    key = key_make(looking->pool, kind, scope, value);
    before = apr_hash_get(looking->set->entries, key.p, (apr_ssize_t)key.n);
    return before && is_before(looking, *before);
}

/* the text of a claim that names somebody: null is none */
static m2_slice_t claim_text(const looking_t *looking, const char *name)
{
    const m2_json_t *json = m2_json_get(looking->claims, name);
    m2_slice_t text = m2_json_string(json);

    if (text.p || m2_json_type(json) == M2_JSON_NONE || m2_json_type(json) == M2_JSON_NULL) {
        return text;
    }
    return m2_slice_z(m2_json_text(looking->pool, json));
}

/* jti, client, sub: the first of the row's claims that the token has */
static int is_named(const looking_t *looking, const kind_row_t *row)
{
    m2_slice_t value = m2_slice(NULL, 0);
    int i;

    for (i = 0; i < 2 && row->claims[i] && !value.p; i++) {
        value = claim_text(looking, row->claims[i]);
    }
    return looking->issuer.p && is_listed(looking, row->kind, looking->issuer, value);
}

static int has_value(const looking_t *looking, m2_slice_t path, const m2_json_t *json)
{
    apr_size_t i;

    if (m2_json_type(json) == M2_JSON_NONE || m2_json_type(json) == M2_JSON_NULL) {
        return 0;
    }
    if (is_listed(looking, M2_REVOKED_CLAIM, path,
                  m2_slice_z(m2_json_text(looking->pool, json)))) {
        return 1;
    }
    for (i = 0; m2_json_type(json) == M2_JSON_ARRAY && i < m2_json_length(json); i++) {
        const char *text = m2_json_text(looking->pool, m2_json_at(json, i));

        if (is_listed(looking, M2_REVOKED_CLAIM, path, m2_slice_z(text))) {
            return 1;
        }
    }
    return 0;
}

static int has_claim(const looking_t *looking)
{
    const apr_array_header_t *paths = looking->set->paths;
    int i, found = 0;

    for (i = 0; !found && i < paths->nelts; i++) {
        const char *path = APR_ARRAY_IDX(paths, i, const char *);

        found = has_value(looking, m2_slice_z(path), m2_json_path(looking->claims, path));
    }
    return found;
}

m2_revoked_kind_t m2_revocation_find(const m2_revocation_t *set, apr_pool_t *pool,
                                     const m2_json_t *claims, m2_slice_t kid)
{
    looking_t looking = { set, pool, claims, m2_json_string(m2_json_get(claims, "iss")) };
    int kind;

    if (!apr_hash_count(set->entries)) {
        return M2_REVOKED_KINDS;
    }
    for (kind = 0; kind < M2_REVOKED_KID; kind++) {
        if (is_named(&looking, &rows[kind])) {
            return rows[kind].kind;
        }
    }
    if (is_listed(&looking, M2_REVOKED_KID, m2_slice(NULL, 0), kid)
        || (looking.issuer.p && is_listed(&looking, M2_REVOKED_KID, looking.issuer, kid))) {
        return M2_REVOKED_KID;
    }
    return has_claim(&looking) ? M2_REVOKED_CLAIM : M2_REVOKED_KINDS;
}
