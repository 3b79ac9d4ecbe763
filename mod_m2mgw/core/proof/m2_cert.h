/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The certificate that a client showed, as its TLS end hands it over: a text of mod_ssl, or a
 * header of a proxy that ends TLS. It is read for its hash (RFC 8705 3.1); whether it is
 * valid, and whom it names, is not looked at here.
 */
#ifndef M2_CERT_H
#define M2_CERT_H

#include "base/m2_slice.h"

#define M2_MAX_CERT 65536 /* bytes of a certificate's text */

/**
 * The DER bytes of the one certificate that text holds: as a byte sequence between colons
 * (RFC 9440 2.1), as PEM (any white space in place of line ends), or as percent-encoded PEM.
 * Absent where text holds anything besides one whole certificate: a list, a
 * parameter, bytes behind its end. Leaves OpenSSL's error queue empty.
 */
m2_slice_t m2_cert_read(apr_pool_t *pool, m2_slice_t text);

/** SHA-256 of DER bytes in base64url, in pool; NULL for an absent slice. */
const char *m2_cert_thumbprint(apr_pool_t *pool, m2_slice_t der);

#endif /* M2_CERT_H */
