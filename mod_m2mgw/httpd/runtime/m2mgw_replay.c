/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What lives longer than a request: here, the replay store. It is opened in the parent when
 * configuration is complete, attached in each child, and asked once per token and client
 * request. How long a mark is kept is decided here: a token could be used until the largest
 * leeway of any section is over, whichever section it was first used in.
 */
#include "httpd/runtime/m2mgw_replay.h"

#include "httpd/config/m2mgw_section.h"

#include <unixd.h>

#define DEFAULT_LEEWAY 60

static struct {
    m2_replay_t *store;   /* NULL: not open, or not attached */
    int leeway;           /* the largest of all sections, seconds */
    int max_lifetime;     /* M2MReplayMaxLifetime */
} runtime;

/* --- spending --- */

/* Until when the token could be used again; "for as long as any may live" without an exp,
 * which only Observe gets to see. */
static m2_code_t spend_until(apr_time_t *puntil, const m2_verdict_t *verdict, apr_time_t now,
                             m2_err_t *err)
{
    double lives = runtime.max_lifetime;

    if (verdict->times.has_exp) {
        lives = verdict->times.exp - (double)now / APR_USEC_PER_SEC;
    }
    if (lives > runtime.max_lifetime) {
        return m2_err_set(err, M2_E_CLAIM_INVALID,
                          "the token lives longer than M2MReplayMaxLifetime allows (%d s)",
                          runtime.max_lifetime);
    }
    *puntil = now + (apr_time_t)((lives + runtime.leeway) * APR_USEC_PER_SEC);
    return M2_OK;
}

/* Until the marks match the leeway that a restart has raised, the old leeway applies. */
static m2_code_t check_window(const m2_verdict_t *verdict, apr_time_t now, m2_err_t *err)
{
    const int leeway = m2_replay_leeway(runtime.store, now);

    if (leeway < 0 || !verdict->times.has_exp
        || (double)now / APR_USEC_PER_SEC < verdict->times.exp + leeway) {
        return M2_OK;
    }
    return m2_err_set(err, M2_E_EXPIRED,
                      "the token expired, by the M2MLeeway of %d s that still judges one-time "
                      "tokens after it was raised", leeway);
}

m2_code_t m2mgw_runtime_spend(const m2_verdict_t *verdict, m2_err_t *err)
{
    const apr_time_t now = apr_time_now();
    const m2_slice_t issuer = m2_json_string(m2_json_get(verdict->claims, "iss"));
    const m2_slice_t jti = m2_json_string(m2_json_get(verdict->claims, "jti"));
    apr_time_t until = 0;
    m2_code_t code;

    if (!runtime.store) {
        return m2_err_set(err, M2_E_REPLAY_UNAVAILABLE, "no replay store is open");
    }
    code = check_window(verdict, now, err);
    if (!code) {
        code = spend_until(&until, verdict, now, err);
    }
    return code ? code : m2_replay_mark(runtime.store, issuer, jti, until, now, err);
}

int m2mgw_replay_stats(m2_replay_stats_t *stats)
{
    if (!runtime.store) {
        return 0;
    }
    m2_replay_stats(stats, runtime.store);
    return 1;
}

/* --- hooks --- */

static int largest_leeway(const apr_array_header_t *sections)
{
    int i, largest = DEFAULT_LEEWAY;

    for (i = 0; i < sections->nelts; i++) {
        const m2mgw_section_t *section = APR_ARRAY_IDX(sections, i, m2mgw_section_t *);

        if (section->dir->leeway > largest) {
            largest = section->dir->leeway;
        }
    }
    return largest;
}

static int hook_post_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp,
                            server_rec *s)
{
    const m2mgw_globals_t *globals = m2mgw_globals();
    m2_replay_spec_t *spec;
    m2_err_t err;

    (void)plog;
    runtime.store = NULL;
    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG) {
        return OK; /* the configuration is read again before the server serves */
    }
    spec = apr_pmemdup(pconf, globals->replay_store, sizeof(*spec));
    spec->owner_uid = ap_unixd_config.user_id;
    spec->owner_gid = ap_unixd_config.group_id;
    spec->owner_set = geteuid() == 0;
    runtime.leeway = largest_leeway(m2mgw_cfg_sections());
    runtime.max_lifetime = globals->replay_max_lifetime;
    spec->leeway = runtime.leeway;
    spec->lifetime = runtime.max_lifetime;
    m2_err_init(&err, ptemp);
    if (m2_replay_open(&runtime.store, pconf, s->process->pool, spec, &err) != M2_OK) {
        ap_log_error(APLOG_MARK, APLOG_EMERG, 0, s, "M2-301: M2MReplayStore: %s",
                     err.text ? err.text : "cannot be opened");
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    return OK;
}

static void hook_child_init(apr_pool_t *pchild, server_rec *s)
{
    m2_err_t err;

    m2_err_init(&err, pchild);
    if (runtime.store && m2_replay_attach(runtime.store, pchild, &err) != M2_OK) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, 0, s, "M2-302: M2MReplayStore: %s",
                     err.text ? err.text : "cannot be used");
        runtime.store = NULL;
    }
}

void m2mgw_runtime_register(void)
{
    ap_hook_post_config(hook_post_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_child_init(hook_child_init, NULL, NULL, APR_HOOK_MIDDLE);
}
