/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Which certificate a client logs in with (RFC 8705 2): one of a CA, known by its subject or
 * a subject alternative name (tls_client_auth), or one known by its hash
 * (self_signed_tls_client_auth). Whether a certificate is valid is the TLS end's to say.
 */
#ifndef M2_CLIENT_CERT_H
#define M2_CLIENT_CERT_H

#include "base/m2_err.h"
#include "base/m2_slice.h"

typedef enum m2_cert_name_t { /* ORDER CERT NAME: rows in m2_client_cert.c */
    M2_CERT_SUBJECT,
    M2_CERT_DNS,
    M2_CERT_URI,
    M2_CERT_IP,
    M2_CERT_EMAIL,
    M2_CERT_X5T,
    M2_CERT_NAMES
} m2_cert_name_t;

/* what M2MClientCert says of a client */
typedef struct m2_client_cert_t {
    m2_cert_name_t name;
    const char *value; /* in the form that it is compared in */
} m2_client_cert_t;

/** `subject=DN`, `san-dns=N`, `san-uri=U`, `san-ip=A`, `san-email=E` or `x5t=THUMBPRINT` (SHA-256,
 *  base64url or hexadecimal, colons do not count) into pool. M2_E_CONFIG with a sentence. */
m2_code_t m2_client_cert_read(m2_client_cert_t *cert, apr_pool_t *pool, const char *word,
                              m2_err_t *err);

/** Whether the DER of a certificate is the one that is meant. Names of one kind may be several
 *  in a certificate: any of them counts. Leaves OpenSSL's error queue empty. */
int m2_client_cert_is(const m2_client_cert_t *cert, apr_pool_t *pool, m2_slice_t der);

#endif /* M2_CLIENT_CERT_H */
