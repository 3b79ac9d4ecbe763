/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What mod_m2m_issuer asks mod_m2mgw about a section, where both are loaded: directives of
 * the gateway that also mean something at the issuer's endpoints (M2MDPoP, M2MPublicURL,
 * M2MClientCertificate, M2MRevocation). An optional function, so that either module works
 * without the other.
 */
#ifndef M2_VIEW_H
#define M2_VIEW_H

#include "base/m2_slice.h"
#include "proof/m2_proof.h"
#include "text/m2_json.h"

#include <apr_optional.h>

/* of httpd, known here by name alone */
struct ap_conf_vector_t;
struct request_rec;

typedef struct m2_view_t {
    m2_proof_policy_t proof;     /* M2MDPoP, with its defaults */
    m2_slice_t nonce_key;        /* shared with the gateway; absent: no nonces */
    int largest_window;          /* of proofs, of any section; 0: not known */
    int old_window;              /* what marks of proofs were made for before a restart raised it */
    apr_time_t old_until;        /* until when that one judges */
    int certificate_by_header;   /* M2MClientCertificate header:... */
    int certificate_verified;    /* and its peers verify certificates */
    m2_slice_t certificate;      /* DER; with a request only; absent without one */
    const char *revocation;      /* path of the one M2MRevocation file:, or NULL */
    int revocations;             /* how many M2MRevocation are in force */
    int revocation_stored;       /* the one M2MRevocation is in Redis: m2mgw_revoke adds to it */
    int revocation_broken;       /* that list is bad: what is added to it does not count now */
} m2_view_t;

/** Fill *view from a section's merged configuration; r is NULL while configuration is read. */
APR_DECLARE_OPTIONAL_FN(void, m2mgw_view,
                        (m2_view_t *view, const struct ap_conf_vector_t *section,
                         struct request_rec *r));

/** What the lists of a section say of a verified token, kid being that of its key: M2_OK,
 *  M2_E_REVOKED or M2_E_REVOCATION_UNAVAILABLE. In the thread of a request. */
APR_DECLARE_OPTIONAL_FN(m2_code_t, m2mgw_revoked,
                        (const struct ap_conf_vector_t *section, apr_pool_t *pool,
                         const m2_json_t *claims, const char *kid));

/** Add an entry to the one list of a section, which is in Redis; waits for its answer. M2_OK;
 *  M2_E_CONFIG with a sentence: it was not added. In the thread of a request. */
struct m2_revoked_t;
APR_DECLARE_OPTIONAL_FN(m2_code_t, m2mgw_revoke,
                        (const struct ap_conf_vector_t *section, apr_pool_t *pool,
                         const struct m2_revoked_t *entry, apr_time_t now, m2_err_t *err));

/** Whether an issuer of this server writes the revocation list of that path. To be asked once
 *  mod_m2m_issuer has checked its configuration, which it does before mod_m2mgw. */
APR_DECLARE_OPTIONAL_FN(int, m2m_issuer_writes, (const char *path));

/* a file of the issuer that is bad now */
typedef struct m2_ill_file_t {
    const char *path;
    const char *directive; /* that names it */
    int usable;            /* what it held before is in force */
} m2_ill_file_t;

/** Add those files to list, of m2_ill_file_t, for the status page. In the thread of a request. */
APR_DECLARE_OPTIONAL_FN(void, m2m_issuer_ill_files, (apr_array_header_t *list));

#endif /* M2_VIEW_H */
