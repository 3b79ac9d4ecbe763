/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Through mod_dbd's optional functions, so that the module loads where mod_dbd is not.
 */
#include "host/m2h_dbd.h"

#include <apr_strings.h>

#include <mod_dbd.h>

/* --- what is needed --- */

static int has_driver(const ap_directive_t *siblings)
{
    while (siblings && ap_cstr_casecmp(siblings->directive, "DBDriver") != 0) {
        siblings = siblings->next;
    }
    return siblings != NULL;
}

const char *m2h_dbd_missing(cmd_parms *cmd)
{
    const ap_directive_t *d;

    if (!ap_find_linked_module("mod_dbd.c")) {
        return "needs mod_dbd, which is not loaded";
    }
    for (d = cmd->directive; d->parent; d = d->parent) {
        if (has_driver(d->parent->first_child)) {
            return NULL;
        }
    }
    return has_driver(ap_conftree) ? NULL : "needs a DBDriver in its server";
}

/* --- connections --- */

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

const m2_dbd_host_t *m2h_dbd_host(apr_pool_t *pool, server_rec *s)
{
    const m2_dbd_host_t host = { take, give, s };

    return apr_pmemdup(pool, &host, sizeof(host));
}

int m2h_dbd_prepare(server_rec *s, const char *label, const char *sql)
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

void m2h_dbd_child(apr_pool_t *pchild)
{
    if (texts) {
        m2_dbd_desk_open(pchild);
    }
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

const char *m2h_dbd_notice(void)
{
    return texts && says(ap_conftree, "DBDriver", "pgsql")
                   && !says(ap_conftree, "DBDParams", "connect_timeout")
               ? "DBDParams has no connect_timeout: a database that is gone holds each connection "
                 "for minutes; requests are answered 503 within five seconds, and none is left to "
                 "ask meanwhile"
               : NULL;
}
