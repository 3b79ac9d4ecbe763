/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Tokens issued and requests refused, by reason: one word each in memory that all child
 * processes share and that restarts keep. The gateway's status page shows them.
 */
#include "issuer/m2mi_figures.h"

#include "oauth/m2_figures.h"

#include <apr_shm.h>

#define KEY "m2m_issuer_figures"
#define ROWS (M2_OAUTH_SERVER_ERROR + 1)

static apr_uint64_t *figures; /* written in post_config; NULL: nothing is counted */

int m2mi_figures_open(server_rec *s)
{
    apr_pool_t *pool = s->process->pool;
    void *kept = NULL;
    apr_shm_t *shm;

    apr_pool_userdata_get(&kept, KEY, pool);
    if (!kept) {
        if (apr_shm_create(&shm, ROWS * sizeof(*figures), NULL, pool) != APR_SUCCESS) {
            return 0;
        }
        kept = apr_shm_baseaddr_get(shm); /* anonymous, so it comes zeroed */
        apr_pool_userdata_set(kept, KEY, NULL, pool);
    }
    figures = kept;
    return 1;
}

void m2mi_figures_count(m2_oauth_error_t error)
{
    if (figures) {
        __atomic_fetch_add(&figures[error], 1, __ATOMIC_RELAXED);
    }
}

static int m2m_issuer_count(int i, const char **pname, apr_uint64_t *pcount)
{
    if (!figures || i < 0 || i >= ROWS) {
        return 0;
    }
    *pname = i == M2_OAUTH_OK ? NULL : m2_oauth_row((m2_oauth_error_t)i)->name;
    *pcount = __atomic_load_n(&figures[i], __ATOMIC_RELAXED);
    return 1;
}

static int m2m_issuer_key(const struct server_rec *main, int i, const char **pkid,
                          const char **palg, const char **porigin, int *psigns)
{
    const apr_array_header_t *last = NULL;

    for (; main; main = main->next) {
        const m2mi_server_t *conf = ap_get_module_config(main->module_config,
                                                         &m2m_issuer_module);
        const apr_array_header_t *keys = conf->keys;
        const int n = keys && keys != last ? keys->nelts : 0; /* one that is inherited once */

        if (i < n) {
            const m2mi_key_t *key = &APR_ARRAY_IDX(keys, i, m2mi_key_t);

            *pkid = key->jwk ? key->jwk->kid : NULL;
            *palg = key->alg ? key->alg->name : "";
            *porigin = key->origin;
            *psigns = i == 0;
            return 1;
        }
        i -= n;
        last = keys ? keys : last;
    }
    return 0;
}

void m2mi_figures_register(void)
{
    APR_REGISTER_OPTIONAL_FN(m2m_issuer_count);
    APR_REGISTER_OPTIONAL_FN(m2m_issuer_key);
}
