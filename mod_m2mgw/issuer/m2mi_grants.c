/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What clients are granted: M2MGrant and the watched M2MGrantFile, as one table. A revocation
 * counts as soon as the changed file is believed (m2mi_watch.h).
 */
#include "issuer/m2mi.h"

/* fixed grants and the text's, in pool */
static const char *grants_parse(const void **pobject, apr_pool_t *pool, const char *path,
                                m2_slice_t text, int first, void *baton)
{
    const m2mi_grants_t *grants = baton;
    m2_grants_t *all = m2_grants_make(pool);
    m2_code_t rc;
    m2_err_t err;

    (void)first;
    m2_err_init(&err, pool);
    rc = m2_grants_add_all(all, grants->fixed, &err);
    rc = rc == M2_OK ? m2_grants_parse(all, text, &err) : rc;
    if (rc != M2_OK) {
        return apr_psprintf(pool, "%s line %d: %s", path, err.line, err.text);
    }
    *pobject = all;
    return NULL;
}

static const m2mi_watch_kind_t grant_file = { "M2MGrantFile", M2_MAX_GRANT_BYTES, 1, 0,
                                              grants_parse };

const char *m2mi_grants_open(m2mi_grants_t *grants, apr_pool_t *pool, server_rec *s)
{
    return grants->file && !grants->watch
               ? m2mi_watch_open(&grants->watch, pool, s, &grant_file, grants->file, grants)
               : NULL;
}

const m2_grants_t *m2mi_grants_enter(const m2mi_server_t *conf)
{
    if (!conf->grants) {
        return NULL;
    }
    return conf->grants->watch ? m2mi_watch_enter(conf->grants->watch) : conf->grants->fixed;
}

void m2mi_grants_leave(const m2mi_server_t *conf)
{
    if (conf->grants && conf->grants->watch) {
        m2mi_watch_leave(conf->grants->watch);
    }
}
