/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * SetHandler m2m-status: who may ask for what, and in which format.
 */
#include "httpd/status/m2mgw_status.h"

#include "httpd/status/m2mgw_document.h"
#include "httpd/status/m2mgw_html.h"
#include "httpd/status/m2mgw_prometheus.h"

static void send_json(request_rec *r, const m2_json_t *json)
{
    ap_set_content_type(r, "application/json");
    ap_rputs(m2_json_dump(r->pool, json), r);
    ap_rputs("\n", r);
}

static const struct format_t {
    const char *name;
    void (*send)(request_rec *r, const m2_json_t *document);
    void (*send_one)(request_rec *r, const m2_json_t *refusal);
} formats[] = {
    { "html", m2mgw_status_html, m2mgw_status_html_one },
    { "json", send_json, send_json },
    { "prometheus", m2mgw_status_prometheus, m2mgw_status_prometheus_one },
};

/* The raw value of a parameter of the query; NULL: it is absent. */
static const char *parameter(request_rec *r, const char *name)
{
    const apr_size_t n = strlen(name);
    const char *args = r->args ? r->args : "";
    const char *found = NULL;

    while (*args) {
        const char *word = ap_getword(r->pool, &args, '&');

        if (strlen(word) > n && word[n] == '=' && m2_slice_is(m2_slice(word, n), name)) {
            found = word + n + 1;
        }
    }
    return found;
}

/* What `format` asks for, html by default; NULL if it is unknown. Other parameters are ignored. */
static const struct format_t *wanted_format(request_rec *r)
{
    const char *name = parameter(r, "format");
    apr_size_t i;

    if (!name) {
        return &formats[0];
    }
    for (i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        if (m2_slice_is(m2_slice_z(name), formats[i].name)) {
            return &formats[i];
        }
    }
    return NULL;
}

/* One refusal, in the format that was asked for; 404 also in it. */
static int send_refusal(request_rec *r, const struct format_t *format, const char *id)
{
    char *plain = apr_pstrdup(r->pool, id);
    m2_json_t *json;

    ap_unescape_url(plain); /* '@' is in ids, and some browsers encode it */
    json = m2mgw_document_of(r->pool, plain);
    if (!json) {
        json = m2_json_make(r->pool);
        m2_json_set_string(json, "error", "no recent refusal has this id");
        r->status = HTTP_NOT_FOUND;
    }
    format->send_one(r, json);
    return OK;
}

/* For refusals, too: answers must not be stored, framed or content-sniffed. */
static void set_headers(request_rec *r)
{
    apr_table_setn(r->err_headers_out, "Cache-Control", "no-store");
    apr_table_setn(r->err_headers_out, "X-Content-Type-Options", "nosniff");
    apr_table_setn(
        r->err_headers_out, "Content-Security-Policy",
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'");
}

static int hook_handler(request_rec *r)
{
    const struct format_t *format;
    const char *id;

    if (!r->handler || !m2_slice_is(m2_slice_z(r->handler), "m2m-status")) {
        return DECLINED;
    }
    set_headers(r);
    ap_allow_standard_methods(r, REPLACE_ALLOW, M_GET, -1);
    if (r->method_number != M_GET) {
        return HTTP_METHOD_NOT_ALLOWED;
    }
    format = wanted_format(r);
    if (!format) {
        return HTTP_BAD_REQUEST;
    }
    id = parameter(r, "id");
    if (id) {
        return send_refusal(r, format, id);
    }
    format->send(r, m2mgw_document(r->pool));
    return OK;
}

void m2mgw_status_register(void)
{
    ap_hook_handler(hook_handler, NULL, NULL, APR_HOOK_MIDDLE);
}
