/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What goes into m2mctl and what comes out. Secrets are written into files nobody else
 * can read, and a file that is there already is not overwritten unasked.
 */
#include "ctl/m2mctl_verb.h"

#include "text/m2_file.h"

#include <apr_file_io.h>
#include <apr_errno.h>

#include <stdarg.h>
#include <stdio.h>

static void report(m2mctl_t *ctl, const char *where, const m2_err_t *err)
{
    m2_json_t *json;

    fprintf(stderr, "%s%s%s\n", where, *where ? ": " : "", err->text);
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

const char *m2mctl_text(const m2_err_t *err, const char *origin)
{
    apr_size_t n = strlen(origin);

    if (!err->text) {
        return "cannot be used";
    }
    return n && strlen(err->text) > n + 2 &&
                   m2_slice_is(m2_slice(err->text, n), origin) && err->text[n] == ':'
               ? err->text + n + 2
               : err->text;
}

int m2mctl_fault(m2mctl_t *ctl, const char *origin, const m2_err_t *err)
{
    m2_err_t known = *err;

    known.text = m2mctl_text(err, origin);
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

m2_code_t m2mctl_read_token(m2_slice_t *ptoken, apr_pool_t *pool, const char *path,
                            m2_err_t *err)
{
    m2_code_t code = m2mctl_read(ptoken, pool, path, err);

    if (code) {
        return code;
    }
    *ptoken = trim(*ptoken);
    if (ptoken->n > 7 && m2_slice_is_nocase(m2_slice(ptoken->p, 6), "Bearer") &&
        apr_isspace(ptoken->p[6])) {
        *ptoken = trim(m2_slice(ptoken->p + 6, ptoken->n - 6));
    }
    return M2_OK;
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

void m2mctl_print_json(apr_pool_t *pool, const m2_json_t *json)
{
    printf("%s\n", m2_json_dump(pool, json));
}

/* how many bytes at text are a character that a terminal would act on instead of showing it */
static apr_size_t acts(const unsigned char *text)
{
    if (text[0] < 0x20 || text[0] == 0x7f) {
        return text[0] != 0;
    }
    if (text[0] == 0xc2 && text[1] >= 0x80 && text[1] <= 0x9f) {
        return 2;
    }
    if (text[0] == 0xe2 && text[1] == 0x80
        && ((text[2] >= 0x8b && text[2] <= 0x8f) || (text[2] >= 0xa8 && text[2] <= 0xae))) {
        return 3;
    }
    if (text[0] == 0xe2 && text[1] == 0x81 && text[2] >= 0xa0 && text[2] <= 0xaf) {
        return 3;
    }
    return text[0] == 0xef && text[1] == 0xbb && text[2] == 0xbf ? 3 : 0;
}

const char *m2mctl_plain(apr_pool_t *pool, const char *text)
{
    char *out = apr_pstrdup(pool, text ? text : ""), *to = out;
    const char *from = out;

    while (*from) {
        apr_size_t n = acts((const unsigned char *)from);

        *to++ = n ? '?' : *from;
        from += n ? n : 1;
    }
    *to = '\0';
    return out;
}
