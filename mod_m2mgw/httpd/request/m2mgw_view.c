/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What mod_m2m_issuer asks about the sections of its endpoints.
 */
#include "httpd/request/m2mgw_view.h"

#include "httpd/config/m2mgw_section.h"
#include "httpd/request/m2mgw_proof.h"
#include "httpd/runtime/m2mgw_proofs.h"

#include "oauth/m2_view.h"
#include "revocation/m2_revocation_redis.h"
#include "revocation/m2_revocations.h"

static void view_proof(m2_view_t *view, const m2mgw_dir_t *dir)
{
    if (dir->dpop) {
        view->proof = *dir->dpop;
    }
    view->nonce_key = m2mgw_proofs_nonce_key();
    view->largest_window = m2mgw_proofs_window(&view->old_window, &view->old_until);
}

static void view_certificate(m2_view_t *view, const m2mgw_dir_t *dir, request_rec *r)
{
    const m2mgw_certificate_t *certificate = dir->certificate;

    view->certificate_by_header = certificate && certificate->header;
    view->certificate_verified = certificate && certificate->verified;
    if (r && view->certificate_by_header) {
        view->certificate = m2mgw_certificate(r, certificate);
    }
}

static void view_revocation(m2_view_t *view, const m2mgw_dir_t *dir, const request_rec *r)
{
    const m2mgw_revocation_t *revocation = dir->revocation;
    int i;

    view->revocations = revocation ? revocation->lists->nelts : 0;
    for (i = 0; i < view->revocations; i++) {
        const m2mgw_list_t *list = APR_ARRAY_IDX(revocation->lists, i, const m2mgw_list_t *);

        view->revocation = list->is_url ? view->revocation : list->name;
        view->revocation_stored |= list->redis != NULL;
        view->revocation_broken |= r && (!list->is_url || list->redis)
                                   && m2_keysource_is_broken(list->source);
    }
}

static void m2mgw_view(m2_view_t *view, const struct ap_conf_vector_t *section,
                       struct request_rec *r)
{
    const m2mgw_dir_t *dir = section ? ap_get_module_config(section, &m2mgw_module) : NULL;

    if (dir && !r && dir->section) { /* as httpd will merge it */
        dir = m2mgw_cfg_in_force(m2mgw_cfg_pool(), dir->section);
    }
    if (dir) {
        view_proof(view, dir);
        view_certificate(view, dir, r);
        view_revocation(view, dir, r);
    }
}

static m2_code_t m2mgw_revoked(const struct ap_conf_vector_t *section, apr_pool_t *pool,
                               const m2_json_t *claims, const char *kid)
{
    const m2mgw_dir_t *dir = ap_get_module_config(section, &m2mgw_module);

    return dir && dir->revocation && dir->revocation->ring
               ? m2_revocations_check(dir->revocation->ring, pool, claims, m2_slice_z(kid), NULL,
                                      NULL)
               : M2_E_REVOCATION_UNAVAILABLE;
}

static m2_code_t m2mgw_revoke(const struct ap_conf_vector_t *section, apr_pool_t *pool,
                              const m2_revoked_t *entry, apr_time_t now, m2_err_t *err)
{
    const m2mgw_dir_t *dir = ap_get_module_config(section, &m2mgw_module);
    const m2mgw_list_t *list = dir && dir->revocation && dir->revocation->lists->nelts == 1
                                   ? APR_ARRAY_IDX(dir->revocation->lists, 0, m2mgw_list_t *)
                                   : NULL;

    return list && list->redis
               ? m2_revocation_redis_add(m2_keysource_puller(list->source), pool, entry, now, err)
               : m2_err_set(err, M2_E_CONFIG, "the section has not one list in Redis");
}

void m2mgw_view_register(void)
{
    APR_REGISTER_OPTIONAL_FN(m2mgw_revoke);
    APR_REGISTER_OPTIONAL_FN(m2mgw_view);
    APR_REGISTER_OPTIONAL_FN(m2mgw_revoked);
}
