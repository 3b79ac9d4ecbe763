/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Why a call ends, and what of it may stand in a log: who was refused and why, but no secret,
 * wherever a client puts it.
 */
#include "issuer/m2mi.h"

#define REDACTED "[redacted]"
#define SHOWN 8 /* characters of a name that nobody knows */

const char *m2mi_log_name(apr_pool_t *pool, const char *name, int is_known)
{
    apr_size_t i, n = name ? strlen(name) : 0;
    char *text;

    if (!name || is_known) {
        return name ? name : "-";
    }
    text = apr_pstrmemdup(pool, name, n > SHOWN ? SHOWN : n);
    for (i = 0; text[i]; i++) {
        text[i] = text[i] > 0x20 && text[i] < 0x7f ? text[i] : '?';
    }
    return apr_pstrcat(pool, text, n > SHOWN ? "..." : "", NULL);
}

#define PAUSE apr_time_from_sec(10)

int m2mi_log_level(int level, apr_time_t *ptold)
{
    const apr_time_t now = apr_time_now();
    apr_time_t told = __atomic_load_n(ptold, __ATOMIC_RELAXED);

    return (now - told >= PAUSE || now < told)
                   && __atomic_compare_exchange_n(ptold, &told, now, 0, __ATOMIC_RELAXED,
                                                  __ATOMIC_RELAXED)
               ? level : APLOG_INFO;
}

m2_oauth_error_t m2mi_stop(m2mi_call_t *call, m2_oauth_error_t error, const char *text)
{
    call->text = text;
    return error;
}

/* One line a refusal, which tools that ban addresses read: docs/m2m-server.md. */
void m2mi_log_refusal(const m2mi_call_t *call, m2_oauth_error_t error)
{
    request_rec *r = call->r;
    const m2mi_who_t *who = &call->who;
    const char *name = m2mi_log_name(r->pool, who->claimed, who->is_known);
    const char *why = who->why ? who->why : call->text;

    switch (error) {
    case M2_OAUTH_INVALID_CLIENT:
        ap_log_rerror(APLOG_MARK, APLOG_NOTICE, 0, r, "M2-710: client %s from %s refused: %s",
                      name, r->useragent_ip, why);
        break;
    case M2_OAUTH_INVALID_SCOPE:
    case M2_OAUTH_INVALID_TARGET:
    case M2_OAUTH_FORBIDDEN:
        ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, "M2-712: client %s from %s: %s: %s", name,
                      r->useragent_ip, m2_oauth_row(error)->name, why);
        break;
    case M2_OAUTH_UNAVAILABLE:
    case M2_OAUTH_SERVER_ERROR:
        break; /* was said where it came up */
    default:
        ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, "M2-718: request of %s from %s: %s: %s",
                      name, r->useragent_ip, m2_oauth_row(error)->name, why);
        break;
    }
}

/* what of a query no log shows; made when the module is loaded */
static const m2_nameset_t *secrets;

void m2mi_mask_make(apr_pool_t *pool)
{
    secrets = m2_oauth_secrets(pool);
}

static char *without_secrets(request_rec *r, const char *url, const char *tail)
{
    return (char *)(apr_uintptr_t)m2_nameset_mask_url(r->pool, url, tail, secrets, REDACTED);
}

static char *query_without_secrets(request_rec *r, const char *query)
{
    return (char *)(apr_uintptr_t)m2_nameset_mask(r->pool, query, secrets, REDACTED);
}

/* A client that puts its secret into the URL is refused (RFC 6749 2.3.1), but URLs are
 * logged: what it sent is masked before anybody sees it. So is the page it comes from, which
 * httpd ends its log lines with. */
int m2mi_mask_query(request_rec *r)
{
    const m2mi_server_t *conf =
        ap_get_module_config(r->server->module_config, &m2m_issuer_module);
    const char *referer = apr_table_get(r->headers_in, "Referer");

    if (!conf->name) {
        return DECLINED;
    }
    if (referer) {
        apr_table_setn(r->headers_in, "Referer", without_secrets(r, referer, NULL));
    }
    if (r->the_request) {
        r->the_request = without_secrets(r, r->the_request, strrchr(r->the_request, ' '));
    }
    r->unparsed_uri = without_secrets(r, r->unparsed_uri, NULL);
    r->args = query_without_secrets(r, r->args);
    r->parsed_uri.query = /* mod_log_config writes the request line from it */
        query_without_secrets(r, r->parsed_uri.query);
    return DECLINED;
}

void m2mi_mask_unread(request_rec *r)
{
    m2mi_mask_query(r);
}
