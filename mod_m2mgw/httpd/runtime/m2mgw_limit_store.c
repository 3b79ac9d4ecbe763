/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Opened once the configuration is complete, so that every limit has its row before a child
 * is forked.
 */
#include "httpd/runtime/m2mgw_limit_store.h"

#include "httpd/config/m2mgw_section.h"

static m2_limit_store_t *store; /* NULL: no section has limits; set before children start */

const m2_limit_use_t *m2mgw_limit_store_take(apr_array_header_t *uses)
{
    return m2_limit_store_take(store, uses);
}

const m2_limit_store_t *m2mgw_limit_store(void)
{
    return store;
}

/* --- hooks --- */

static int has_limits(const apr_array_header_t *sections)
{
    int i;

    for (i = 0; i < sections->nelts; i++) {
        const m2mgw_section_t *section = APR_ARRAY_IDX(sections, i, m2mgw_section_t *);

        if (section->limits && section->limits->list->nelts) {
            return 1;
        }
    }
    return 0;
}

static m2_code_t open_store(apr_pool_t *pconf, server_rec *s, m2_err_t *err)
{
    const apr_array_header_t *sections = m2mgw_cfg_sections();
    m2_code_t code = m2_limit_store_open(&store, pconf, s->process->pool,
                                         &m2mgw_globals()->limit_store, err);
    int i;

    for (i = 0; code == M2_OK && i < sections->nelts; i++) {
        const m2_limits_t *limits = APR_ARRAY_IDX(sections, i, m2mgw_section_t *)->limits;

        code = limits ? m2_limit_store_rows(store, limits, err) : M2_OK;
    }
    return code;
}

static int hook_post_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp,
                            server_rec *s)
{
    m2_err_t err;

    (void)plog;
    store = NULL;
    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG
        || !has_limits(m2mgw_cfg_sections())) {
        return OK;
    }
    m2_err_init(&err, ptemp);
    if (open_store(pconf, s, &err) != M2_OK) {
        ap_log_error(APLOG_MARK, APLOG_EMERG, 0, s, "M2-305: M2MLimitStore: %s",
                     err.text ? err.text : "cannot be opened");
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    return OK;
}

/* Without what it needs the store still has an answer: this server's part of each limit. */
static void hook_child_init(apr_pool_t *pchild, server_rec *s)
{
    m2_err_t err;

    m2_err_init(&err, pchild);
    if (store && m2_limit_store_attach(store, pchild, &err) != M2_OK) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, 0, s, "M2-306: M2MLimitStore: %s",
                     err.text ? err.text : "cannot be used");
    }
}

void m2mgw_limit_store_register(void)
{
    ap_hook_child_init(hook_child_init, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_post_config(hook_post_config, NULL, NULL, APR_HOOK_MIDDLE);
}
