/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Tokens that are bound to a key of the client (RFC 9449 5): a proof that is made for the
 * token endpoint binds the token to its key. How proofs are judged is what M2MDPoP says at
 * the endpoint's <Location>, where mod_m2mgw is there to say it.
 */
#include "issuer/m2mi.h"

#include "proof/m2_target.h"

#define PROOF "DPoP"
#define NONCE "DPoP-Nonce"

static int mode_for(const m2mi_call_t *call)
{
    const m2mi_dpop_t *dpop = call->conf->dpop;

    if (!dpop) {
        return M2MI_DPOP_ON;
    }
    if (dpop->mode == M2MI_DPOP_REQUIRED && dpop->clients
        && !apr_hash_get(dpop->clients, call->who.client, APR_HASH_KEY_STRING)) {
        return M2MI_DPOP_ON;
    }
    return dpop->mode;
}

static int find_proof(m2_proof_request_t *request, const request_rec *r)
{
    const apr_array_header_t *all = apr_table_elts(r->headers_in);
    int i;

    for (i = 0; i < all->nelts; i++) {
        const apr_table_entry_t *field = &APR_ARRAY_IDX(all, i, apr_table_entry_t);

        if (ap_cstr_casecmp(field->key, PROOF) == 0) {
            request->proof = m2_slice_z(field->val);
            request->fields++;
        }
    }
    return request->fields;
}

static m2_code_t judge(m2_proof_t *proof, m2_proof_request_t *request, m2mi_call_t *call,
                       m2_view_t *view, m2_err_t *err)
{
    apr_pool_t *pool = call->r->pool;
    apr_array_header_t *targets = apr_array_make(pool, 1, sizeof(const char *));
    const char *target;

    if (m2_target_uri(&target, pool, m2_slice_z(call->conf->token_url), err) == M2_OK) {
        APR_ARRAY_PUSH(targets, const char *) = target;
    }
    request->method = call->r->method;
    request->targets = targets;
    request->nonce_key = view->nonce_key;
    request->nonce_role = M2_NONCE_ISSUER;
    return m2_proof_check(proof, pool, &view->proof, request, call->r->request_time, err);
}

static m2_oauth_error_t refused(m2mi_call_t *call, m2_code_t rc, const m2_err_t *err)
{
    call->who.why = err->text;
    return rc == M2_E_PROOF_NONCE
               ? m2mi_stop(call, M2_OAUTH_USE_NONCE, "the proof needs the nonce of DPoP-Nonce")
               : m2mi_stop(call, M2_OAUTH_INVALID_PROOF, "the DPoP proof is not accepted");
}

/* Whether a mark of this proof may have been forgotten before a restart raised the window. */
static int is_forgotten(const m2_proof_t *proof, const m2_view_t *view, apr_time_t now)
{
    return now < view->old_until
           && (double)now / APR_USEC_PER_SEC - proof->iat > (double)view->old_window;
}

m2_oauth_error_t m2mi_proof_check(m2mi_call_t *call)
{
    m2_proof_request_t request;
    m2_view_t view;
    const int mode = mode_for(call);
    m2_err_t err;
    m2_code_t rc;

    memset(&request, 0, sizeof(request));
    if (mode == M2MI_DPOP_OFF || !find_proof(&request, call->r)) {
        return mode == M2MI_DPOP_REQUIRED
                   ? m2mi_stop(call, M2_OAUTH_INVALID_PROOF, "a DPoP proof is required")
                   : M2_OAUTH_OK;
    }
    m2_err_init(&err, call->r->pool);
    m2mi_view(&view, call->r->per_dir_config, call->r);
    rc = judge(&call->proof, &request, call, &view, &err);
    if (rc == M2_OK && is_forgotten(&call->proof, &view, call->r->request_time)) {
        rc = m2_err_set(&err, M2_E_PROOF_INVALID, "its iat lies too far in the past for the "
                        "window before the last restart");
    }
    if (rc != M2_OK) {
        return refused(call, rc, &err);
    }
    call->jkt = call->proof.jkt;
    call->proof_until = m2_proof_spent_until(&call->proof,
                                             view.largest_window > view.proof.window
                                                 ? view.largest_window : view.proof.window);
    return M2_OAUTH_OK;
}

m2_oauth_error_t m2mi_proof_spend(m2mi_call_t *call)
{
    apr_pool_t *pool = call->r->pool;
    m2_err_t err;
    m2_code_t rc;

    if (!call->jkt) {
        return M2_OAUTH_OK;
    }
    m2_err_init(&err, pool);
    rc = m2mi_replay_mark(call->r, call->who.client, apr_pstrcat(pool, "dpop ", call->jkt, NULL),
                          m2_slice_dup(pool, call->proof.jti), call->proof_until,
                          &call->who.wait, &err);
    if (rc == M2_E_REPLAY_UNAVAILABLE) {
        ap_log_rerror(APLOG_MARK, call->who.wait ? APLOG_NOTICE : APLOG_ERR, 0, call->r,
                      "M2-720: client %s from %s: %s", call->who.client,
                      call->r->useragent_ip, err.text);
        return m2mi_stop(call, M2_OAUTH_UNAVAILABLE, "proofs cannot be checked at the moment");
    }
    if (rc != M2_OK) { /* the store's words are about tokens */
        m2_err_init(&err, pool);
        (void)m2_err_set(&err, M2_E_PROOF_INVALID, "%s", rc == M2_E_JTI_REPLAYED
                         ? "the proof was used before" : "the proof's time has run out");
    }
    return rc == M2_OK ? M2_OAUTH_OK : refused(call, M2_E_PROOF_INVALID, &err);
}

void m2mi_proof_nonce(request_rec *r)
{
    m2_view_t view;
    const char *nonce;

    m2mi_view(&view, r->per_dir_config, r);
    if (!view.proof.nonce || !view.nonce_key.p) {
        return;
    }
    nonce = m2_nonce_make(r->pool, view.nonce_key, M2_NONCE_ISSUER, view.proof.window,
                          apr_time_now());
    if (nonce) {
        apr_table_setn(r->err_headers_out, NONCE, nonce);
    }
}
