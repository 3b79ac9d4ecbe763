/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A handler may be an expression; only plain words are looked at.
 */
#include "host/m2h_handlers.h"

#include "text/m2_nearest.h"

#include <apr_strings.h>

#define GATEWAY "mod_m2mgw.c"
#define ISSUER "mod_m2m_issuer.c"

/* ORDER HANDLER: the names, and the module of each */
static const char *const names[] = {
    "m2m-status", "m2m-resource-metadata", "m2m-token", "m2m-jwks", "m2m-metadata",
    "m2m-introspect", "m2m-revoke",
};
static const char *const modules[] = {
    GATEWAY, GATEWAY, ISSUER, ISSUER, ISSUER, ISSUER, ISSUER,
};

_Static_assert(sizeof(names) == sizeof(modules), "ORDER HANDLER");

/* httpd takes no notice of case. */
static const char *module_of(const char *handler)
{
    apr_size_t i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (ap_cstr_casecmp(handler, names[i]) == 0) {
            return modules[i];
        }
    }
    return NULL;
}

/* NULL: a loaded module serves it */
static const char *fault_of(apr_pool_t *pool, const char *handler)
{
    const char *owner = module_of(handler), *near;

    if (owner) {
        return ap_find_linked_module(owner)
                   ? NULL
                   : apr_pstrcat(pool, "it needs ", apr_pstrmemdup(pool, owner,
                                                                   strlen(owner) - 2),
                                 ", which is not loaded", NULL);
    }
    near = m2_nearest(handler, names, sizeof(names) / sizeof(names[0]));
    return near ? apr_pstrcat(pool, "there is no such handler; did you mean ", near, "?", NULL)
                : "there is no such handler";
}

static void look(apr_array_header_t *texts, const ap_directive_t *d)
{
    for (; d; d = d->next) {
        const char *args = d->args, *handler, *fault;

        look(texts, d->first_child);
        if (ap_cstr_casecmp(d->directive, "SetHandler") != 0) {
            continue;
        }
        handler = ap_getword_conf(texts->pool, &args);
        fault = ap_cstr_casecmpn(handler, "m2m-", 4) == 0 && !strchr(handler, '%')
                    ? fault_of(texts->pool, handler) : NULL;
        if (fault) {
            APR_ARRAY_PUSH(texts, const char *) =
                apr_psprintf(texts->pool, "SetHandler %s in line %d of %s: %s", handler,
                             d->line_num, d->filename, fault);
        }
    }
}

void m2h_handlers_unserved(apr_array_header_t *texts)
{
    look(texts, ap_conftree);
}
