/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The copies lie in the pool of the process: the module may be another object after a restart,
 * so that nothing in them points to code of it.
 */
#include "httpd/config/m2mgw_kept.h"

#include <http_main.h>

#define RETAINED "mod_m2mgw-kept"

typedef struct copy_t {
    struct copy_t *next;
    apr_pool_t *pool; /* of the text, replaced with it */
    const char *path;
    m2_slice_t text;
    apr_time_t since;
} copy_t;

typedef struct copies_t {
    copy_t *first;
} copies_t;

int m2mgw_kept_restarts(void)
{
    return ap_state_query(AP_SQ_RUN_MODE) == AP_SQ_RM_NORMAL
           && ap_state_query(AP_SQ_CONFIG_GEN) > 1;
}

static copies_t *copies(void)
{
    copies_t *kept = ap_retained_data_get(RETAINED);

    return kept ? kept : ap_retained_data_create(RETAINED, sizeof(copies_t));
}

static copy_t *find(const char *path)
{
    copy_t *copy = copies()->first;

    while (copy && strcmp(copy->path, path) != 0) {
        copy = copy->next;
    }
    return copy;
}

static copy_t *make(const char *path)
{
    copies_t *kept = copies();
    copy_t *copy = apr_pcalloc(ap_pglobal, sizeof(*copy));

    copy->path = apr_pstrdup(ap_pglobal, path);
    copy->next = kept->first;
    kept->first = copy;
    return copy;
}

/* what may be a key is not left behind */
static void drop_text(copy_t *copy)
{
    if (copy->pool) {
        explicit_bzero((char *)(apr_uintptr_t)copy->text.p, copy->text.n);
        apr_pool_destroy(copy->pool);
    }
    copy->pool = NULL;
    copy->text = m2_slice(NULL, 0);
}

void m2mgw_kept_put(const char *path, m2_slice_t text)
{
    copy_t *copy = find(path);

    if (!copy) {
        copy = make(path);
    }
    if (!m2_slice_eq(copy->text, text)) {
        drop_text(copy);
        if (apr_pool_create(&copy->pool, ap_pglobal) != APR_SUCCESS) {
            copy->pool = NULL;
            return;
        }
        copy->text = m2_slice(apr_pmemdup(copy->pool, text.p, text.n), text.n);
    }
    copy->since = apr_time_now();
}

m2_slice_t m2mgw_kept_get(apr_time_t *psince, const char *path)
{
    const copy_t *copy = find(path);

    *psince = copy ? copy->since : 0;
    return copy ? copy->text : m2_slice(NULL, 0);
}
