/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What goes into m2mctl and what comes out. Secrets are written into files that other users
 * cannot read, and a file that is there already is not overwritten unasked.
 */
#include "ctl/m2mctl_verb.h"

#include "revocation/m2_revocation.h"
#include "text/m2_file.h"

#include <apr_file_io.h>
#include <apr_errno.h>

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

/* --- for display --- */

/* The code point at text and the bytes it takes; -1 for what is not UTF-8. */
static long code_point(const unsigned char *text, int *pn)
{
    static const struct { unsigned char mask, lead; int n; long least; } rows[] = {
        { 0x80, 0x00, 1, 0 },       { 0xe0, 0xc0, 2, 0x80 },
        { 0xf0, 0xe0, 3, 0x800 },   { 0xf8, 0xf0, 4, 0x10000 },
    };
    size_t i;
    int k;

    *pn = 1;
    for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        long code = text[0] & (unsigned char)~rows[i].mask;

        if ((text[0] & rows[i].mask) != rows[i].lead) {
            continue;
        }
        for (k = 1; k < rows[i].n; k++) {
            if ((text[k] & 0xc0) != 0x80) {
                return -1;
            }
            code = code << 6 | (text[k] & 0x3f);
        }
        if (code < rows[i].least || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) {
            return -1;
        }
        *pn = rows[i].n;
        return code;
    }
    return -1;
}

/* Unicode's Cc, Cf, Zl and Zp, and what no text needs: private use, not assigned as text */
static int is_unseen(long code)
{
    static const long ranges[][2] = {
        { 0x00, 0x1f },       { 0x7f, 0x9f },       { 0xad, 0xad },       { 0x600, 0x605 },
        { 0x61c, 0x61c },     { 0x6dd, 0x6dd },     { 0x70f, 0x70f },     { 0x890, 0x891 },
        { 0x8e2, 0x8e2 },     { 0x180e, 0x180e },   { 0x200b, 0x200f },   { 0x2028, 0x202e },
        { 0x2060, 0x206f },   { 0xfe00, 0xfe0f },   { 0xfeff, 0xfeff },   { 0xfff0, 0xfffb },
        { 0x110bd, 0x110bd }, { 0x110cd, 0x110cd }, { 0x13430, 0x1343f }, { 0x1bca0, 0x1bca3 },
        { 0x1d173, 0x1d17a }, { 0xe0000, 0xe0fff },
    };
    size_t i;

    for (i = 0; i < sizeof(ranges) / sizeof(*ranges); i++) {
        if (code >= ranges[i][0] && code <= ranges[i][1]) {
            return 1;
        }
    }
    return 0;
}

const char *m2mctl_plain(apr_pool_t *pool, const char *text)
{
    char *plain = apr_palloc(pool, (text ? strlen(text) : 0) + 1);
    char *out = plain;
    int n;

    for (; text && *text; text += n) {
        long code = code_point((const unsigned char *)text, &n);

        if (code < 0) {
            *out++ = '?';
        }
        else if (!is_unseen(code)) {
            memcpy(out, text, (size_t)n);
            out += n;
        }
    }
    *out = '\0';
    return plain;
}

const char *m2mctl_plain_lines(apr_pool_t *pool, const char *text)
{
    const char *end, *lines = "";

    while ((end = strchr(text, '\n')) != NULL) {
        const char *line = apr_pstrmemdup(pool, text, (apr_size_t)(end - text));

        lines = apr_pstrcat(pool, lines, m2mctl_plain(pool, line), "\n", NULL);
        text = end + 1;
    }
    return apr_pstrcat(pool, lines, m2mctl_plain(pool, text), NULL);
}

/* --- faults --- */

static void report(m2mctl_t *ctl, const char *where, const m2_err_t *err)
{
    m2_json_t *json;

    fprintf(stderr, "%s%s%s\n", m2mctl_plain(ctl->pool, where), *where ? ": " : "",
            m2mctl_plain(ctl->pool, err->text));
    if (!ctl->json) {
        return;
    }
    json = m2_json_make(ctl->pool);
    m2_json_set_string(json, "error", err->text);
    if (*where) {
        m2_json_set_string(json, "where", where);
    }
    m2mctl_print_json(ctl->pool, json);
}

int m2mctl_usage(m2mctl_t *ctl, const char *fmt, ...)
{
    const char *who = ctl->verb ? apr_pstrcat(ctl->pool, "m2mctl ", ctl->verb->name, NULL)
                                : "m2mctl";
    m2_err_t err;
    va_list ap;

    m2_err_init(&err, ctl->pool);
    va_start(ap, fmt);
    err.text = apr_pvsprintf(ctl->pool, fmt, ap);
    va_end(ap);
    report(ctl, who, &err);
    fprintf(stderr, "`m2mctl help%s%s` tells more\n", ctl->verb ? " " : "",
            ctl->verb ? ctl->verb->name : "");
    return M2MCTL_USAGE;
}

const char *m2mctl_place(apr_pool_t *pool, const char *origin, const m2_err_t *err)
{
    if (!err->line) {
        return origin;
    }
    return err->column ? apr_psprintf(pool, "%s:%d:%d", origin, err->line, err->column)
                       : apr_psprintf(pool, "%s:%d", origin, err->line);
}

int m2mctl_fault(m2mctl_t *ctl, const char *origin, const m2_err_t *err)
{
    m2_err_t known = *err;

    known.text = m2_err_behind(err, origin);
    report(ctl, m2mctl_place(ctl->pool, origin, err), &known);
    return M2MCTL_USAGE;
}

static m2_code_t system_fault(const char *what, apr_status_t status, m2_err_t *err)
{
    char text[128];

    return m2_err_set(err, M2_E_CONFIG, "%s: %s", what,
                      apr_strerror(status, text, sizeof(text)));
}

static int is_stdin(const char *path)
{
    return m2_slice_is(m2_slice_z(path), "-");
}

/* What comes through a pipe that the caller names, to its end: `<(COMMAND)` of a shell. */
static m2_code_t read_stream(m2_slice_t *ptext, apr_pool_t *pool, const char *path,
                             m2_err_t *err)
{
    apr_size_t room = 65536, n = 0, got;
    char *text = apr_palloc(pool, room), *more;
    apr_file_t *file;
    apr_status_t status = is_stdin(path)
                              ? apr_file_open_stdin(&file, pool)
                              : apr_file_open(&file, path, APR_FOPEN_READ | APR_FOPEN_BINARY,
                                              APR_OS_DEFAULT, pool);

    while (!status) {
        if (n == room) {
            more = apr_palloc(pool, room * 2);
            memcpy(more, text, n);
            text = more;
            room *= 2;
        }
        got = room - n;
        status = apr_file_read(file, text + n, &got);
        n += status ? 0 : got;
        if (n > M2MCTL_MAX_FILE) {
            return m2_err_set(err, M2_E_CONFIG, "larger than %d bytes", M2MCTL_MAX_FILE);
        }
    }
    if (!APR_STATUS_IS_EOF(status)) {
        return system_fault("cannot be read", status, err);
    }
    apr_file_close(file);
    *ptext = m2_slice(text, n);
    return M2_OK;
}

m2_code_t m2mctl_read(m2_slice_t *ptext, apr_pool_t *pool, const char *path,
                      m2_err_t *err)
{
    m2_file_t file;

    if (!is_stdin(path)
        && m2_file_read(&file, pool, path, M2MCTL_MAX_FILE, 0, NULL) == M2_OK) {
        *ptext = file.text;
        return M2_OK;
    }
    return read_stream(ptext, pool, path, err); /* no regular file, or it says why not */
}

m2_code_t m2mctl_read_list(m2_slice_t *ptext, apr_pool_t *pool, const char *path,
                           m2_err_t *err)
{
    m2_file_t file;
    const m2_code_t code = m2_file_read(&file, pool, path, M2_MAX_REVOCATION_BYTES, 0, err);

    *ptext = file.text;
    return code;
}

static m2_code_t write_file(apr_file_t *file, const char *text, m2_err_t *err)
{
    apr_size_t n = strlen(text);
    apr_status_t status = apr_file_write_full(file, text, n, NULL);
    apr_status_t closed = apr_file_close(file);

    status = status ? status : closed;
    return status ? system_fault("cannot be written", status, err) : M2_OK;
}

m2_code_t m2mctl_write(apr_pool_t *pool, const char *path, const char *text, int secret,
                       int force, m2_err_t *err)
{
    const apr_fileperms_t mine = APR_FPROT_UREAD | APR_FPROT_UWRITE;
    const apr_fileperms_t all = mine | APR_FPROT_GREAD | APR_FPROT_WREAD;
    apr_file_t *file;
    apr_status_t status;

    if (!path) {
        fputs(text, stdout);
        return M2_OK;
    }
    if (force) {
        apr_file_remove(path, pool); /* its permissions would stay otherwise */
    }
    status =
        apr_file_open(&file, path, APR_FOPEN_WRITE | APR_FOPEN_CREATE | APR_FOPEN_EXCL,
                      secret ? mine : all, pool);
    if (APR_STATUS_IS_EEXIST(status)) {
        return m2_err_set(err, M2_E_CONFIG, "exists already; --force overwrites it");
    }
    return status ? system_fault("cannot be written", status, err)
                  : write_file(file, text, err);
}

static m2_slice_t trim(m2_slice_t s)
{
    while (s.n && apr_isspace(s.p[0])) {
        s.p++;
        s.n--;
    }
    while (s.n && apr_isspace(s.p[s.n - 1])) {
        s.n--;
    }
    return s;
}

static int strip_word(m2_slice_t *text, const char *word)
{
    const apr_size_t n = strlen(word);

    if (text->n <= n + 1 || !m2_slice_is_nocase(m2_slice(text->p, n), word)
        || !apr_isspace(text->p[n])) {
        return 0;
    }
    *text = trim(m2_slice(text->p + n, text->n - n));
    return 1;
}

m2_slice_t m2mctl_bare_token(m2mctl_scheme_t *pscheme, m2_slice_t text)
{
    m2mctl_scheme_t scheme = M2MCTL_SCHEME_NONE;

    text = trim(text);
    if (strip_word(&text, "Bearer")) {
        scheme = M2MCTL_SCHEME_BEARER;
    }
    else if (strip_word(&text, "DPoP")) {
        scheme = M2MCTL_SCHEME_DPOP;
    }
    if (pscheme) {
        *pscheme = scheme;
    }
    return text;
}

m2_code_t m2mctl_read_token(m2_slice_t *ptoken, m2mctl_scheme_t *pscheme, apr_pool_t *pool,
                            const char *path, m2_err_t *err)
{
    m2_code_t code = m2mctl_read(ptoken, pool, path, err);

    *ptoken = code ? m2_slice(NULL, 0) : m2mctl_bare_token(pscheme, *ptoken);
    return code;
}

static m2_code_t read_pem(m2_keyset_t *set, m2_slice_t text, int flags, m2_err_t *err)
{
    m2_jwk_t *jwk;
    m2_code_t code = m2_jwk_from_pem(&jwk, set->pool, text, NULL, NULL, flags, err);

    return code ? code : m2_keyset_add(set, jwk, err);
}

m2_code_t m2mctl_parse_keys(m2_keyset_t *set, m2_slice_t text, const char *origin,
                            int flags, m2_err_t *err)
{
    static const char pem[] = "-----BEGIN ";

    text = trim(text);
    if (text.n >= sizeof(pem) - 1 &&
        m2_slice_is(m2_slice(text.p, sizeof(pem) - 1), pem)) {
        return read_pem(set, text, flags, err);
    }
    return m2_keyset_parse(set, text, origin, flags, M2_KEYSET_STRICT, err);
}

m2_code_t m2mctl_read_keys(m2_keyset_t *set, const char *path, int flags, m2_err_t *err)
{
    m2_slice_t text;
    m2_code_t code = m2mctl_read(&text, set->pool, path, err);

    return code ? code : m2mctl_parse_keys(set, text, path, flags, err);
}

m2_code_t m2mctl_pair(const char **pname, const char **pvalue, apr_pool_t *pool,
                      const char *word, m2_err_t *err)
{
    const char *equals = strchr(word, '=');

    if (!equals || equals == word) {
        return m2_err_set(err, M2_E_CONFIG, "\"%s\" must be NAME=VALUE", word);
    }
    *pname = apr_pstrmemdup(pool, word, (apr_size_t)(equals - word));
    *pvalue = equals + 1;
    return M2_OK;
}

void m2mctl_print_token(const char *token)
{
    printf("%s%s", token, isatty(STDOUT_FILENO) ? "\n" : "");
}

/* what JSON itself need not escape */
static void put_escaped(FILE *file, long code)
{
    if (code > 0xffff) {
        fprintf(file, "\\u%04lx\\u%04lx", 0xd800 + ((code - 0x10000) >> 10),
                0xdc00 + ((code - 0x10000) & 0x3ff));
    }
    else {
        fprintf(file, "\\u%04lx", code);
    }
}

void m2mctl_print_json(apr_pool_t *pool, const m2_json_t *json)
{
    const char *text = m2_json_dump(pool, json);
    int n;

    for (; *text; text += n) {
        long code = code_point((const unsigned char *)text, &n);

        if (code >= 0 && is_unseen(code)) {
            put_escaped(stdout, code);
        }
        else {
            fwrite(text, 1, (size_t)n, stdout);
        }
    }
    putchar('\n');
}
