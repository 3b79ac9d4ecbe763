/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The data sets that conditions name: files that options give, else those that a dump names.
 */
#include "ctl/m2mctl_force.h"

#include "rules/m2_dataset.h"

static m2_code_t read_set(const m2_keyring_t **pring, apr_pool_t *pool, const char *path,
                          m2_err_t *err)
{
    m2_parts_t *parts = apr_pcalloc(pool, sizeof(*parts) + sizeof(void *));
    m2_dataset_t *set = m2_dataset_make(pool);
    const void *object = parts;
    m2_slice_t text;
    m2_code_t code = m2mctl_read_list(&text, pool, path, err);

    code = code ? code : m2_dataset_parse(set, text, err);
    parts->part[parts->n++] = set;
    *pring = m2_keyring_make(pool, object);
    return code;
}

static int is_wanted(const apr_array_header_t *refs, const char *name)
{
    int i;

    for (i = 0; refs && i < refs->nelts; i++) {
        if (strcmp(APR_ARRAY_IDX(refs, i, const m2_dataset_ref_t *)->name, name) == 0) {
            return 1;
        }
    }
    return 0;
}

void m2mctl_dataset_add(apr_array_header_t *files, const char *name, const char *path)
{
    APR_ARRAY_PUSH(files, m2mctl_dataset_t) = (m2mctl_dataset_t){ name, path };
}

/* NAME=FILE of every option, the last one counting. any: a dump has sections
 * that do not need all of them. */
static int read_options(apr_array_header_t *files, m2mctl_t *ctl, const apr_array_header_t *refs,
                        int any, const apr_array_header_t *options)
{
    const char *name, *path;
    m2_err_t err;
    int i;

    m2_err_init(&err, ctl->pool);
    for (i = 0; options && i < options->nelts; i++) {
        const char *word = APR_ARRAY_IDX(options, i, const char *);

        if (m2mctl_pair(&name, &path, ctl->pool, word, &err) != M2_OK || !*path) {
            return m2mctl_usage(ctl, "--dataset takes NAME=FILE, and not \"%s\"", word);
        }
        if (!any && !is_wanted(refs, name)) {
            return m2mctl_usage(ctl, "no condition names a data set %s", name);
        }
        m2mctl_dataset_add(files, name, path);
    }
    return 0;
}

static const char *file_of(const apr_array_header_t *files, const char *name)
{
    const char *path = NULL;
    int i;

    for (i = 0; files && i < files->nelts; i++) {
        const m2mctl_dataset_t *file = &APR_ARRAY_IDX(files, i, m2mctl_dataset_t);

        path = strcmp(file->name, name) == 0 ? file->path : path;
    }
    return path;
}

int m2mctl_datasets(m2mctl_force_t *force, m2mctl_t *ctl, const apr_array_header_t *options)
{
    const m2_rules_t *rules = force->policy.rules;
    const apr_array_header_t *refs = rules ? rules->params->datasets : NULL;
    apr_array_header_t *files = apr_array_make(ctl->pool, 4, sizeof(m2mctl_dataset_t));
    const int bad = read_options(files, ctl, refs, force->section != NULL, options);
    m2_err_t err;
    int i;

    m2_err_init(&err, ctl->pool);
    for (i = 0; !bad && refs && i < refs->nelts; i++) {
        m2_dataset_ref_t *ref = APR_ARRAY_IDX(refs, i, m2_dataset_ref_t *);
        const char *path = file_of(files, ref->name);

        path = path ? path : file_of(force->datasets, ref->name);
        if (!path) {
            return m2mctl_usage(ctl, "a condition names the data set %s: give it with --dataset "
                                "%s=FILE", ref->name, ref->name);
        }
        if (read_set(&ref->ring, ctl->pool, path, &err) != M2_OK) {
            return m2mctl_fault(ctl, path, &err);
        }
    }
    return bad;
}
