/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A host is a name, an address in digits, or the path of a socket. Whatever else stands there
 * is refused with the word it stood in.
 */
#include "wire/m2_host.h"

#define MAX_TIMEOUT 60000 /* milliseconds */

/* A name, an IPv4 address, or, out of brackets, an IPv6 address. */
static int is_host(const char *name, int bracketed)
{
    return *name
           && strspn(name, bracketed ? "0123456789abcdefABCDEF:."
                                     : "0123456789abcdefghijklmnopqrstuvwxyz"
                                       "ABCDEFGHIJKLMNOPQRSTUVWXYZ.-_") == strlen(name);
}

static m2_code_t read_host(apr_array_header_t *hosts, const char *kind, const char *text,
                           int most, m2_err_t *err)
{
    m2_host_t host = { NULL, 0 };
    char *name = NULL, *scope = NULL;

    if (*text == '/') {
        host.name = apr_pstrdup(hosts->pool, text);
    }
    else if (apr_parse_addr_port(&name, &scope, &host.port, text, hosts->pool) != APR_SUCCESS
             || !name || scope || !host.port || !is_host(name, *text == '[')) {
        return m2_err_set(err, M2_E_CONFIG,
                          "%s:%s: must be HOST:PORT or the absolute path of a socket", kind,
                          text);
    }
    else {
        host.name = name;
    }
    if (hosts->nelts >= most) {
        return m2_err_set(err, M2_E_CONFIG, "%s: too many hosts", text);
    }
    APR_ARRAY_PUSH(hosts, m2_host_t) = host;
    return M2_OK;
}

m2_code_t m2_hosts_read(apr_array_header_t *hosts, const char *kind, const char *text,
                        int most, m2_err_t *err)
{
    char *last = NULL, *rest = apr_pstrdup(hosts->pool, text), *one;
    const int before = hosts->nelts;
    m2_code_t code;

    while ((one = apr_strtok(rest, ",", &last)) != NULL) {
        rest = NULL;
        if ((code = read_host(hosts, kind, one, most, err)) != M2_OK) {
            return code;
        }
    }
    return hosts->nelts > before
               ? M2_OK
               : m2_err_set(err, M2_E_CONFIG, "%s: must be followed by HOST:PORT", kind);
}

const char *m2_host_name(apr_pool_t *pool, const m2_host_t *host)
{
    if (!host->port) {
        return host->name; /* a socket */
    }
    return apr_psprintf(pool, strchr(host->name, ':') ? "[%s]:%u" : "%s:%u", host->name,
                        (unsigned)host->port);
}

int m2_host_kind(const char **prest, const char *text, const char *word)
{
    const apr_size_t n = strlen(word);

    if (strlen(text) < n || !m2_slice_is_nocase(m2_slice(text, n), word)
        || (text[n] && text[n] != ':')) {
        return 0;
    }
    *prest = text[n] ? text + n + 1 : NULL;
    return 1;
}

/* --- values of options --- */

m2_code_t m2_number_read(int *pnumber, const char *option, const char *value, int least,
                         int most, m2_err_t *err)
{
    char *end = NULL;
    const apr_int64_t n = apr_strtoi64(value, &end, 10);

    if (!apr_isdigit(*value) || *end || n < least || n > most) {
        return m2_err_set(err, M2_E_CONFIG, "%s=%s: must be a number from %d to %d", option,
                          value, least, most);
    }
    *pnumber = (int)n;
    return M2_OK;
}

m2_code_t m2_timeout_read(int *pmsec, const char *value, m2_err_t *err)
{
    char *end = NULL;
    apr_int64_t n = apr_strtoi64(value, &end, 10);
    int unit = 1000;

    if (apr_isdigit(*value) && m2_slice_is_nocase(m2_slice_z(end), "ms")) {
        unit = 1;
    }
    else if (!apr_isdigit(*value) || (*end && !m2_slice_is_nocase(m2_slice_z(end), "s"))) {
        n = 0;
    }
    if (n < 1 || n > MAX_TIMEOUT / unit) {
        return m2_err_set(err, M2_E_CONFIG,
                          "timeout=%s: must be a time such as 2, 2s or 500ms, up to 60s",
                          value);
    }
    *pmsec = (int)n * unit;
    return M2_OK;
}

m2_code_t m2_prefix_read(const char **pprefix, apr_pool_t *pool, const char *value,
                         m2_err_t *err)
{
    const char *p = value;

    while (apr_isgraph(*p)) { /* memcached keys hold no blanks and no control bytes */
        p++;
    }
    if (*p || p - value > M2_HOST_MAX_PREFIX) {
        return m2_err_set(err, M2_E_CONFIG,
                          "prefix=%s: must be at most %d printable characters, no blank",
                          value, M2_HOST_MAX_PREFIX);
    }
    *pprefix = apr_pstrdup(pool, value);
    return M2_OK;
}
