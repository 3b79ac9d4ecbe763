/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * M2MDecisionLog. Files and programs are opened with the logs of the server, again at each
 * restart; children inherit them. Values are cut before they are escaped, so that the length of
 * a line is bounded whatever callers send; unknown values are not in the line.
 */
#include "httpd/runtime/m2mgw_decisions.h"

#include "httpd/runtime/m2mgw_sink.h"
#include "httpd/runtime/m2mgw_utf8.h"

#include <apr_hash.h>

#define MOST 256 /* bytes of a value, before escaping */
#define LEAST 32 /* of one in a line that a pipe would tear otherwise; times and ids are shorter */

/* A line while it grows. */
typedef struct line_t {
    apr_pool_t *pool;
    char *p;
    apr_size_t used, size;
    apr_size_t most; /* bytes of a value, before escaping */
    int json;
} line_t;

/* --- putting a line together --- */

static void put(line_t *line, const char *bytes, apr_size_t n)
{
    if (line->used + n > line->size) {
        char *larger = apr_palloc(line->pool, 2 * (line->used + n));

        memcpy(larger, line->p, line->used);
        line->p = larger;
        line->size = 2 * (line->used + n);
    }
    memcpy(line->p + line->used, bytes, n);
    line->used += n;
}

static void put_z(line_t *line, const char *z)
{
    put(line, z, strlen(z));
}

/* How many bytes from here on stand in quotes as they are. */
static apr_size_t plain_run(const unsigned char *t, apr_size_t n)
{
    apr_size_t i = 0;

    while (i < n && t[i] >= 0x20 && t[i] < 0x7f && t[i] != '"' && t[i] != '\\') {
        i++;
    }
    return i;
}

/* The inside of a quoted value, with JSON's escapes in both formats; what is not UTF-8 becomes
 * the replacement character. DEL and C1 controls are escaped as well: terminals obey them. */
static void put_escaped(line_t *line, const char *text, apr_size_t n)
{
    static const char hex[] = "0123456789abcdef";
    const unsigned char *t = (const unsigned char *)text;

    while (n > 0) {
        const apr_size_t plain = plain_run(t, n);
        const apr_size_t length = plain ? plain : m2mgw_utf8_character((const char *)t, n);
        const int control = *t < 0x20 || *t == 0x7f
                            || (*t == 0xc2 && length == 2 && t[1] < 0xa0);

        if (length == 0) {
            put_z(line, "\\ufffd");
        }
        else if (control) {
            const unsigned char c = t[length - 1];
            const char escape[] = { '\\', 'u', '0', '0', hex[c >> 4], hex[c & 15] };

            put(line, escape, sizeof(escape));
        }
        else {
            if (plain == 0 && (*t == '"' || *t == '\\')) {
                put_z(line, "\\");
            }
            put(line, (const char *)t, length);
        }
        t += length ? length : 1;
        n -= length ? length : 1;
    }
}

static void put_name(line_t *line, const char *name)
{
    if (line->used > 0) {
        put_z(line, line->json ? ", " : " ");
    }
    if (line->json) {
        put_z(line, line->used > 0 ? "\"" : "{\"");
        put_z(line, name);
        put_z(line, "\": ");
    }
    else {
        put_z(line, name);
        put_z(line, "=");
    }
}

/* Whether a value of the text format needs no quotes. */
static int is_plain(const char *text, apr_size_t n)
{
    apr_size_t i;

    for (i = 0; i < n; i++) {
        if (text[i] <= ' ' || text[i] > '~' || strchr("\"\\=,", text[i])) {
            return 0;
        }
    }
    return n > 0;
}

static void put_text(line_t *line, const char *name, const char *text)
{
    apr_size_t n;

    if (!text || !*text) {
        return;
    }
    n = m2mgw_utf8_cut(text, line->most);
    put_name(line, name);
    if (!line->json && is_plain(text, n)) {
        put(line, text, n);
        return;
    }
    put_z(line, "\"");
    put_escaped(line, text, n);
    put_z(line, "\"");
}

static void put_number(line_t *line, const char *name, apr_int64_t value)
{
    put_name(line, name);
    put_z(line, apr_psprintf(line->pool, "%" APR_INT64_T_FMT, value));
}

/* RFC 3339, UTC, microseconds */
static const char *moment(apr_pool_t *pool, apr_time_t time)
{
    apr_time_exp_t at;

    apr_time_exp_gmt(&at, time);
    return apr_psprintf(pool, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", at.tm_year + 1900,
                        at.tm_mon + 1, at.tm_mday, at.tm_hour, at.tm_min, at.tm_sec,
                        at.tm_usec);
}

/* --- what the client's request line says --- */

static const char *method_of(apr_pool_t *pool, const char *line)
{
    return line ? apr_pstrndup(pool, line, strcspn(line, " ")) : NULL;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 0x20) >= 'a' && (c | 0x20) <= 'f'
                                                ? (c | 0x20) - 'a' + 10 : -1;
}

/* The path of the target, decoded, without query; of an absolute-form target its path. */
static const char *path_of(apr_pool_t *pool, const char *line)
{
    const char *target = line ? strchr(line, ' ') : NULL;
    const char *end, *scheme;
    char *path, *to;

    if (!target) {
        return NULL;
    }
    target++;
    end = target + strcspn(target, " ?#");
    scheme = strstr(target, "://");
    if (*target != '/' && scheme && scheme < end) {
        target = scheme + 3;
        target += strcspn(target, "/ ?#");
    }
    path = to = apr_palloc(pool, (apr_size_t)(end - target) + 1);
    while (target < end) {
        const int high = *target == '%' ? hex_digit(target[1]) : -1;
        const int low = high >= 0 ? hex_digit(target[2]) : -1;

        if (low >= 0 && high + low > 0) {
            *to++ = (char)(high << 4 | low);
            target += 3;
        }
        else {
            *to++ = *target++;
        }
    }
    *to = '\0';
    return path;
}

/* --- the line --- */

static void put_decision(line_t *line, const m2mgw_decision_t *d)
{
    const m2_reason_t *reason = m2_reason_of(d->code);

    put_text(line, "time", moment(line->pool, d->time));
    put_text(line, "request_id", d->request_id);
    put_text(line, "trace_id", d->trace_id);
    put_text(line, "vhost", d->vhost);
    put_text(line, "section", d->section ? d->section->name : NULL);
    put_text(line, "operation", d->operation);
    put_text(line, "method", method_of(line->pool, d->line));
    put_text(line, "path", path_of(line->pool, d->line));
    put_number(line, "status", d->status);
    put_text(line, "decision", m2mgw_decision_passes(d) ? "allow" : "deny");
    put_text(line, "reason", reason->reason);
    put_text(line, "code", reason->ca_code);
    put_text(line, "rule", d->rule ? d->rule->name : NULL);
    put_text(line, "detail", d->detail);
    put_text(line, "kid", d->kid);
    put_text(line, "alg", d->alg);
    put_text(line, "iss", d->iss);
    put_text(line, "client", d->client);
    put_text(line, "address", d->address);
    put_number(line, "duration_us", d->duration);
    if (d->shadow) {
        put_name(line, "shadow");
        put_z(line, "true");
    }
    put_z(line, line->json ? "}\n" : "\n");
}

static const m2mgw_decision_log_t *log_of(const request_rec *r)
{
    const m2mgw_server_t *conf = ap_get_module_config(r->server->module_config,
                                                      &m2mgw_module);

    return conf->decision_log;
}

int m2mgw_decision_is_logged(const request_rec *r, const m2mgw_decision_t *decision)
{
    const m2mgw_decision_log_t *log = log_of(r);

    return log && log->sink && (log->all || !m2mgw_decision_passes(decision));
}

void m2mgw_decision_log(request_rec *r, const m2mgw_decision_t *decision)
{
    const m2mgw_decision_log_t *log = log_of(r);
    char few[2048];
    line_t line = { r->pool, few, 0, sizeof(few), MOST, !log->text };

    put_decision(&line, decision);
    while (line.used > m2mgw_sink_most(log->sink) && line.most > LEAST) {
        line.most /= 2;
        line.used = 0;
        put_decision(&line, decision);
    }
    m2mgw_sink_write(log->sink, line.p, line.used);
}

/* --- opening --- */

/* One file or program for all virtual hosts that name it. */
static int open_all(apr_pool_t *pconf, server_rec *s)
{
    apr_hash_t *opened = apr_hash_make(pconf);

    for (; s; s = s->next) {
        m2mgw_server_t *conf = ap_get_module_config(s->module_config, &m2mgw_module);
        m2mgw_decision_log_t *log = conf->decision_log;

        if (!log || !log->target || log->sink) {
            continue;
        }
        log->sink = apr_hash_get(opened, log->target, APR_HASH_KEY_STRING);
        if (!log->sink) {
            log->sink = m2mgw_sink_open(pconf, s, "M2MDecisionLog", log->target);
            if (!log->sink) {
                return 0;
            }
            apr_hash_set(opened, log->target, APR_HASH_KEY_STRING, log->sink);
        }
    }
    return 1;
}

static int hook_open_logs(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp,
                          server_rec *s)
{
    (void)plog;
    (void)ptemp;
    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG) {
        return OK;
    }
    return open_all(pconf, s) ? OK : HTTP_INTERNAL_SERVER_ERROR;
}

void m2mgw_decisions_register(void)
{
    ap_hook_open_logs(hook_open_logs, NULL, NULL, APR_HOOK_MIDDLE);
}
