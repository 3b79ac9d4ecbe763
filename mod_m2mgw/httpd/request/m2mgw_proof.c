/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A proof is made for the client's first request, whatever httpd makes of it: method, target and
 * header are those of the initial request. The configuration says where it was sent
 * (M2MPublicURL, ServerName), never the request: Host, X-Forwarded-* and Forwarded are written
 * by the client.
 *
 * A certificate in a header counts only from a peer that is listed, by the address of its
 * TCP connection. From anybody else the header is a forgery, and does not go on either, in no
 * section of the virtual host: a backend may serve several.
 */
#include "httpd/request/m2mgw_proof.h"

#include "httpd/runtime/m2mgw_proofs.h"

#include "proof/m2_cert.h"
#include "proof/m2_target.h"
#include "text/m2_form.h"

#include <mod_ssl.h>
#include <util_filter.h>

#define PROOF "DPoP"
#define NONCE "DPoP-Nonce"
#define CHAIN "Client-Cert-Chain"

static APR_OPTIONAL_FN_TYPE(ssl_var_lookup) *ssl_lookup;
static ap_filter_rec_t *nonce_filter_handle;

/* --- the proof --- */

void m2mgw_proof_keep(m2mgw_ctx_t *ctx)
{
    m2mgw_root_t *root = ctx->root;
    const apr_array_header_t *all = apr_table_elts(root->r->headers_in);
    int i;

    if (root->proof_kept) {
        return;
    }
    root->proof_kept = 1;
    for (i = 0; i < all->nelts; i++) {
        const apr_table_entry_t *field = &APR_ARRAY_IDX(all, i, apr_table_entry_t);

        if (ap_cstr_casecmp(field->key, PROOF) == 0) {
            root->proof = m2_slice_z(field->val);
            root->proof_fields++;
        }
    }
}

/* `https://api.example`: what UseCanonicalName On makes of ServerName */
static const char *own_base(request_rec *r)
{
    const char *host = r->server->server_hostname, *scheme = ap_http_scheme(r);
    const apr_port_t port = r->server->port ? r->server->port : ap_default_port(r);
    const char *url, *base;

    if (!host) {
        return NULL;
    }
    url = apr_psprintf(r->pool, strchr(host, ':') ? "%s://[%s]:%u/" : "%s://%s:%u/", scheme,
                       host, (unsigned)port);
    return m2_target_uri(&base, r->pool, m2_slice_z(url), NULL) == M2_OK ? base : NULL;
}

static apr_array_header_t *targets_of(const m2mgw_ctx_t *ctx)
{
    const apr_array_header_t *urls = ctx->effective.dir->public_urls;
    request_rec *r = ctx->root->r;
    const char *path = m2_target_path(r->pool, r->unparsed_uri), *base;
    apr_array_header_t *targets = apr_array_make(r->pool, 2, sizeof(const char *));
    int i;

    for (i = 0; path && urls && i < urls->nelts; i++) {
        APR_ARRAY_PUSH(targets, const char *) =
            m2_target_below(r->pool, APR_ARRAY_IDX(urls, i, const char *), path);
    }
    if (path && !urls && (base = own_base(r)) != NULL) {
        APR_ARRAY_PUSH(targets, const char *) = m2_target_below(r->pool, base, path);
    }
    return targets;
}

static void present_proof(m2_proof_request_t *request, void *baton)
{
    const m2mgw_ctx_t *ctx = baton;

    request->proof = ctx->root->proof;
    request->fields = ctx->root->proof_fields;
    request->method = ctx->root->r->method;
    request->targets = targets_of(ctx);
    request->nonce_key = m2mgw_proofs_nonce_key();
    request->nonce_role = M2_NONCE_RESOURCE;
    request->keys = m2mgw_proofs_keys();
}

m2_code_t m2mgw_proof_spend(m2mgw_ctx_t *ctx, const m2_verdict_t *verdict, m2_err_t *err)
{
    m2mgw_root_t *root = ctx->root;

    if (root->proof_spent) {
        return root->proof_code == M2_OK ? M2_OK
                                         : m2_err_set(err, root->proof_code,
                                                      "decided earlier in this request");
    }
    root->proof_spent = 1;
    root->proof_code = m2mgw_proofs_spend(&verdict->proof, err);
    return root->proof_code;
}

/* --- the certificate --- */

/* The address at the other end of the TCP connection. Modules that believe a header or a
 * protocol about the client change what the records say; the socket cannot be told. */
static int peer_is_listed(const request_rec *r, const m2mgw_certificate_t *certificate)
{
    conn_rec *c = r->connection->master ? r->connection->master : r->connection;
    apr_socket_t *socket = ap_get_conn_socket(c);
    apr_sockaddr_t *peer;
    int i;

    if (!socket || apr_socket_addr_get(&peer, APR_REMOTE, socket) != APR_SUCCESS) {
        return 0;
    }
    for (i = 0; i < certificate->from->nelts; i++) {
        if (apr_ipsubnet_test(APR_ARRAY_IDX(certificate->from, i, apr_ipsubnet_t *), peer)) {
            return 1;
        }
    }
    return 0;
}

/* More than one field counts as none: it is unknown which one the proxy set. */
static const char *certificate_header(const request_rec *r,
                                      const m2mgw_certificate_t *certificate)
{
    const apr_array_header_t *all = apr_table_elts(r->headers_in);
    const char *found = NULL;
    int i;

    if (!peer_is_listed(r, certificate)) {
        return NULL;
    }
    for (i = 0; i < all->nelts; i++) {
        const apr_table_entry_t *field = &APR_ARRAY_IDX(all, i, apr_table_entry_t);

        if (ap_cstr_casecmp(field->key, certificate->header) == 0) {
            if (found) {
                return NULL;
            }
            found = field->val;
        }
    }
    return found;
}

m2_slice_t m2mgw_certificate(request_rec *r, const m2mgw_certificate_t *certificate)
{
    const char *text = NULL;

    if (certificate && certificate->header) {
        text = certificate_header(r, certificate);
    }
    else if (ssl_lookup) {
        text = ssl_lookup(r->pool, r->server, r->connection, r, (char *)"SSL_CLIENT_CERT");
    }
    return m2_cert_read(r->pool, m2_slice_z(text));
}

static const char *present_certificate(void *baton)
{
    const m2mgw_ctx_t *ctx = baton;
    request_rec *r = ctx->root->r;

    return m2_cert_thumbprint(r->pool,
                              m2mgw_certificate(r, ctx->effective.dir->certificate));
}

/* In the spelling that is configured, from a peer that is listed with it. */
static int is_believed(const request_rec *r, const char *name,
                       const m2mgw_certificate_t *certificate)
{
    return ap_cstr_casecmp(name, certificate->header) == 0 && peer_is_listed(r, certificate);
}

/* The innermost section that knows the name decides. */
static int is_forged(const request_rec *r, const char *name, const void *baton)
{
    const m2mgw_believed_t *believed = baton;

    if (m2_header_name_like(name, CHAIN)) {
        return 1;
    }
    while (believed && !m2_header_name_like(name, believed->certificate->header)) {
        believed = believed->outer;
    }
    return believed && !is_believed(r, name, believed->certificate);
}

/* It is not known yet which section decides: any of them may. */
static int is_forged_anywhere(const request_rec *r, const char *name, const void *baton)
{
    const apr_array_header_t *all = baton;
    int i, known = m2_header_name_like(name, CHAIN);

    for (i = 0; i < all->nelts; i++) {
        const m2mgw_certificate_t *one = APR_ARRAY_IDX(all, i, const m2mgw_certificate_t *);

        if (m2_header_name_like(name, one->header)) {
            known = 1;
            if (is_believed(r, name, one)) {
                return 0;
            }
        }
    }
    return known;
}

static void remove_forged(request_rec *r,
                          int (*forged)(const request_rec *r, const char *name,
                                        const void *baton),
                          const void *baton)
{
    const apr_array_header_t *all = apr_table_elts(r->headers_in);
    int i = 0;

    while (baton && i < all->nelts) {
        const char *name = APR_ARRAY_IDX(all, i, apr_table_entry_t).key;

        if (forged(r, name, baton)) {
            apr_table_unset(r->headers_in, name); /* closes the gap: look here again */
        }
        else {
            i++;
        }
    }
}

void m2mgw_certificate_scrub(request_rec *r)
{
    const m2mgw_dir_t *dir = ap_get_module_config(r->per_dir_config, &m2mgw_module);

    remove_forged(r, is_forged, dir ? dir->believed : NULL);
}

void m2mgw_certificate_clean(request_rec *r)
{
    const m2mgw_server_t *conf = ap_get_module_config(r->server->module_config,
                                                      &m2mgw_module);

    remove_forged(r, is_forged_anywhere, conf->certificates);
}

/* --- both --- */

void m2mgw_proof_presented(m2_presented_t *presented, m2mgw_ctx_t *ctx)
{
    presented->as_dpop = ctx->as_dpop;
    presented->proof = present_proof;
    presented->certificate = present_certificate;
    presented->baton = ctx;
}

void m2mgw_proof_remove(const m2mgw_ctx_t *ctx, request_rec *r)
{
    if (ctx->token_removed || ctx->effective.dir->forward_token == 0) {
        apr_table_unset(r->headers_in, PROOF);
    }
}

/* --- nonces --- */

/* Exactly one, whatever a backend, a script or mod_headers put there (RFC 9449 8.2). The answer
 * is for one client, and a cache that kept it would hand out a nonce that is over. */
static apr_status_t nonce_filter(ap_filter_t *f, apr_bucket_brigade *in)
{
    request_rec *r = f->r;
    const int window = *(const int *)f->ctx;
    const char *nonce = m2_nonce_make(r->pool, m2mgw_proofs_nonce_key(), M2_NONCE_RESOURCE,
                                      window, apr_time_now());

    apr_table_unset(r->headers_out, NONCE);
    apr_table_unset(r->err_headers_out, NONCE);
    apr_table_unset(r->err_headers_out, "Cache-Control");
    apr_table_setn(r->headers_out, "Cache-Control", "no-store");
    if (nonce) {
        apr_table_setn(r->headers_out, NONCE, nonce);
    }
    ap_remove_output_filter(f);
    return ap_pass_brigade(f->next, in);
}

/* The window of a section that gives out nonces; NULL: it does not. */
static const int *nonce_window(const request_rec *r)
{
    const m2mgw_dir_t *dir = ap_get_module_config(r->per_dir_config, &m2mgw_module);
    m2mgw_effective_t effective;

    return dir && dir->dpop && dir->dpop->nonce && m2mgw_effective(&effective, dir)
                   && effective.policy.keys && effective.policy.bound.proof.nonce
                   && effective.policy.bound.constraint != M2_CONSTRAINT_OFF
               ? &dir->dpop->window
               : NULL;
}

static int has_filter(const request_rec *r)
{
    const ap_filter_t *f;

    for (f = r->output_filters; f; f = f->next) {
        if (f->frec == nonce_filter_handle) {
            return 1;
        }
    }
    return 0;
}

/* An error document, or the target of a redirect, may be in another section: the client asked
 * for this one. */
void m2mgw_nonce_insert(request_rec *r)
{
    const int *window = NULL;
    request_rec *each;

    if (r->main) {
        return;
    }
    for (each = r; each && !window; each = each->prev) {
        window = nonce_window(each);
    }
    if (window && !has_filter(r)) {
        ap_add_output_filter_handle(nonce_filter_handle, (void *)window, r, r->connection);
    }
}

static void hook_optional_fns(void)
{
    ssl_lookup = APR_RETRIEVE_OPTIONAL_FN(ssl_var_lookup);
}

void m2mgw_proof_register(void)
{
    /* behind mod_headers, mod_cache and what else of ours sets Cache-Control */
    nonce_filter_handle = ap_register_output_filter(
        "M2MGW_NONCE", nonce_filter, NULL, (ap_filter_type)(AP_FTYPE_CONTENT_SET + 4));
    ap_hook_insert_filter(m2mgw_nonce_insert, NULL, NULL, APR_HOOK_LAST);
    ap_hook_insert_error_filter(m2mgw_nonce_insert, NULL, NULL, APR_HOOK_LAST);
    ap_hook_optional_fn_retrieve(hook_optional_fns, NULL, NULL, APR_HOOK_MIDDLE);
}
