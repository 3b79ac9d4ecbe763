/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Clients that log in with a certificate (RFC 8705 2). mod_ssl says which certificate the client
 * showed and whether a CA that is trusted here issued it; where a proxy terminates TLS,
 * mod_m2mgw says both (M2MClientCertificate). A certificate that is known by its hash needs no
 * CA.
 */
#include "issuer/m2mi.h"

#include "proof/m2_cert.h"

#include <mod_ssl.h>

#define FAILED "client authentication failed"

/* what the client showed */
typedef struct shown_t {
    m2_slice_t der; /* absent without a certificate */
    int verified;
} shown_t;

void m2mi_view(m2_view_t *view, const ap_conf_vector_t *section, request_rec *r)
{
    APR_OPTIONAL_FN_TYPE(m2mgw_view) *fill = APR_RETRIEVE_OPTIONAL_FN(m2mgw_view);

    memset(view, 0, sizeof(*view));
    view->proof.algs = m2_proof_algs();
    view->proof.window = M2_PROOF_WINDOW;
    if (fill) {
        fill(view, section, r);
    }
}

int m2mi_cert_has_tls(void)
{
    return APR_RETRIEVE_OPTIONAL_FN(ssl_var_lookup) != NULL;
}

static const char *ssl_value(request_rec *r, const char *name)
{
    APR_OPTIONAL_FN_TYPE(ssl_var_lookup) *lookup = APR_RETRIEVE_OPTIONAL_FN(ssl_var_lookup);

    return lookup ? lookup(r->pool, r->server, r->connection, r,
                           (char *)(apr_uintptr_t)name) : NULL;
}

static shown_t shown_by(request_rec *r)
{
    shown_t shown;
    m2_view_t view;
    const char *verify;

    m2mi_view(&view, r->per_dir_config, r);
    if (view.certificate_by_header) {
        shown.der = view.certificate;
        shown.verified = view.certificate_verified;
        return shown;
    }
    verify = ssl_value(r, "SSL_CLIENT_VERIFY");
    shown.der = m2_cert_read(r->pool, m2_slice_z(ssl_value(r, "SSL_CLIENT_CERT")));
    shown.verified = verify && strcmp(verify, "SUCCESS") == 0;
    return shown;
}

static int is_one_of(const apr_array_header_t *certs, apr_pool_t *pool, const shown_t *shown)
{
    int i;

    for (i = 0; i < certs->nelts; i++) {
        const m2_client_cert_t *cert = &APR_ARRAY_IDX(certs, i, m2_client_cert_t);

        if ((shown->verified || cert->name == M2_CERT_X5T)
            && m2_client_cert_is(cert, pool, shown->der)) {
            return 1;
        }
    }
    return 0;
}

m2_oauth_error_t m2mi_cert_check(m2mi_who_t *who, request_rec *r,
                                 const apr_array_header_t *certs, const char **ptext)
{
    shown_t shown = shown_by(r);

    *ptext = FAILED;
    if (!shown.der.p) {
        who->why = "no client certificate";
        return M2_OAUTH_INVALID_CLIENT;
    }
    if (!is_one_of(certs, r->pool, &shown)) {
        who->why = shown.verified ? "the certificate is another client's"
                                  : "the certificate is not one of the client's, or no CA "
                                    "stands behind it";
        return M2_OAUTH_INVALID_CLIENT;
    }
    who->client = who->claimed;
    who->x5t = m2_cert_thumbprint(r->pool, shown.der);
    return M2_OAUTH_OK;
}
