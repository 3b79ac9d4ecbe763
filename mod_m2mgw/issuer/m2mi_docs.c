/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Handlers for the two documents anybody may read. The metadata is served at no other place
 * than where a client that checks it would look: RFC 8414 3 puts the issuer's path behind
 * the well-known name, OpenID discovery before it.
 */
#include "issuer/m2mi.h"

#include <openssl/evp.h>

static const m2mi_server_t *server_of(request_rec *r)
{
    return ap_get_module_config(r->server->module_config, &m2m_issuer_module);
}

/* Verifiers ask again and again; what has not changed need not travel. */
static void set_etag(request_rec *r, const char *text)
{
    unsigned char hash[EVP_MAX_MD_SIZE];
    size_t n = 0;

    if (EVP_Q_digest(NULL, "SHA256", NULL, text, strlen(text), hash, &n) == 1) {
        const char *tag = m2_b64_encode(r->pool, m2_slice((const char *)hash, 12));
        apr_table_setn(r->headers_out, "ETag", apr_pstrcat(r->pool, "\"", tag, "\"", NULL));
    }
}

static int document(request_rec *r, const char *text, const char *type)
{
    ap_allow_standard_methods(r, REPLACE_ALLOW, M_GET, -1);
    if (r->method_number != M_GET) { /* HEAD is M_GET too */
        return HTTP_METHOD_NOT_ALLOWED;
    }
    if (!text) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r,
                      "M2-702: %s: this virtual host has no M2MIssuerName", r->handler);
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    apr_table_setn(r->headers_out, "Cache-Control",
                   apr_psprintf(r->pool, "public, max-age=%d", M2MI_JWKS_AGE));
    set_etag(r, text);
    ap_set_content_type(r, type);
    if (ap_meets_conditions(r) == HTTP_NOT_MODIFIED) {
        return HTTP_NOT_MODIFIED;
    }
    ap_set_content_length(r, (apr_off_t)strlen(text));
    ap_rputs(text, r);
    return OK;
}

int m2mi_jwks_handler(request_rec *r)
{
    return document(r, server_of(r)->jwks, "application/jwk-set+json");
}

static int is_metadata_place(request_rec *r, const m2mi_server_t *conf)
{
    apr_pool_t *pool = r->pool;

    return strcmp(r->uri, apr_pstrcat(pool, M2MI_WELL_KNOWN, conf->path, NULL)) == 0 ||
           strcmp(r->uri, apr_pstrcat(pool, M2MI_WELL_KNOWN_OPENID, conf->path, NULL)) == 0 ||
           strcmp(r->uri, apr_pstrcat(pool, conf->path, M2MI_WELL_KNOWN_OPENID, NULL)) == 0;
}

int m2mi_metadata_handler(request_rec *r)
{
    const m2mi_server_t *conf = server_of(r);

    if (conf->metadata && !is_metadata_place(r, conf)) {
        ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r,
                      "M2-703: metadata of %s is at " M2MI_WELL_KNOWN "%s", conf->name,
                      conf->path);
        return HTTP_NOT_FOUND;
    }
    return document(r, conf->metadata, "application/json");
}
