/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Through mod_dbd's optional functions, so that the module loads where mod_dbd is not.
 */
#include "httpd/config/m2mgw_dbd.h"

#include <apr_strings.h>

#include <http_config.h>
#include <mod_dbd.h>

static apr_hash_t *texts; /* of statements, by label; of the process */

static int take(m2_dbd_t *db, apr_pool_t *pool, void *server)
{
    APR_OPTIONAL_FN_TYPE(ap_dbd_open) *open = APR_RETRIEVE_OPTIONAL_FN(ap_dbd_open);
    ap_dbd_t *dbd = open ? open(pool, server) : NULL;

    if (!dbd) {
        return 0;
    }
    db->driver = dbd->driver;
    db->handle = dbd->handle;
    db->prepared = dbd->prepared;
    db->texts = texts;
    db->lasting = dbd->pool;
    db->own = dbd;
    return 1;
}

static void give(m2_dbd_t *db, void *server)
{
    APR_OPTIONAL_FN_TYPE(ap_dbd_close) *close = APR_RETRIEVE_OPTIONAL_FN(ap_dbd_close);

    close(server, db->own);
}

const m2_dbd_host_t *m2mgw_dbd_host(apr_pool_t *pool, server_rec *s)
{
    const m2_dbd_host_t host = { take, give, s };

    return apr_pmemdup(pool, &host, sizeof(host));
}

int m2mgw_dbd_prepare(server_rec *s, const char *label, const char *sql)
{
    APR_OPTIONAL_FN_TYPE(ap_dbd_prepare) *prepare = APR_RETRIEVE_OPTIONAL_FN(ap_dbd_prepare);

    if (prepare) {
        prepare(s, sql, label);
        texts = texts ? texts : apr_hash_make(s->process->pool);
        apr_hash_set(texts, apr_pstrdup(s->process->pool, label), APR_HASH_KEY_STRING,
                     apr_pstrdup(s->process->pool, sql));
    }
    return prepare != NULL;
}

/* Whether a directive of that name has the word in it. */
static int says(const ap_directive_t *d, const char *name, const char *word)
{
    for (; d; d = d->next) {
        if ((ap_cstr_casecmp(d->directive, name) == 0 && ap_strcasestr(d->args, word))
            || says(d->first_child, name, word)) {
            return 1;
        }
    }
    return 0;
}

int m2mgw_dbd_hangs(void)
{
    return texts && says(ap_conftree, "DBDriver", "pgsql")
           && !says(ap_conftree, "DBDParams", "connect_timeout");
}

/* --- when --- */

static int ready; /* of this process */

static apr_status_t end(void *baton)
{
    (void)baton;
    __atomic_store_n(&ready, 0, __ATOMIC_RELEASE);
    return APR_SUCCESS;
}

static void hook_child_init(apr_pool_t *pchild, server_rec *s)
{
    (void)s;
    if (texts) {
        m2_dbd_desk_open(pchild);
    }
    apr_pool_pre_cleanup_register(pchild, NULL, end);
    __atomic_store_n(&ready, 1, __ATOMIC_RELEASE);
}

int m2mgw_dbd_is_ready(void)
{
    return __atomic_load_n(&ready, __ATOMIC_ACQUIRE);
}

void m2mgw_dbd_register(void)
{
    static const char *const after[] = { "mod_dbd.c", NULL };

    ap_hook_child_init(hook_child_init, after, NULL, APR_HOOK_REALLY_LAST);
}
