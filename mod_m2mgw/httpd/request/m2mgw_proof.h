/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * How a client proves itself in addition to its token: the DPoP header, the certificate. And
 * what it gets for that: nonces.
 */
#ifndef M2MGW_PROOF_H
#define M2MGW_PROOF_H

#include "httpd/request/m2mgw_ctx.h"

/** At the first look at a client's request: keep its proof, whatever becomes of the header. */
void m2mgw_proof_keep(m2mgw_ctx_t *ctx);

/** What came with ctx->token, for the gate. Valid as long as ctx. */
void m2mgw_proof_presented(m2_presented_t *presented, m2mgw_ctx_t *ctx);

/** Remove certificates in headers that were not set by a peer that the sections around r list,
 *  in every spelling. */
void m2mgw_certificate_scrub(request_rec *r);

/** The same before r has a location, for peers that no section of its virtual host lists. */
void m2mgw_certificate_clean(request_rec *r);

/** The proof follows its token: a backend that does not get the token does not get the proof. */
void m2mgw_proof_remove(const m2mgw_ctx_t *ctx, request_rec *r);

/** DER of the client's certificate, from the place named there (NULL: mod_ssl); absent if there
 *  is no certificate. */
m2_slice_t m2mgw_certificate(request_rec *r, const m2mgw_certificate_t *certificate);

/** Spend the proof of the client's request, once for all of its request_recs. */
m2_code_t m2mgw_proof_spend(m2mgw_ctx_t *ctx, const m2_verdict_t *verdict, m2_err_t *err);

/** insert_filter hook: a DPoP-Nonce on the final answer, where the section gives them out. */
void m2mgw_nonce_insert(request_rec *r);

void m2mgw_proof_register(void);

#endif /* M2MGW_PROOF_H */
