/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * m2mctl client: the clients of the M2M server and what they are granted, in two files:
 * httpd's own password file and the grant file. Lines of others, comments and order stay.
 */
#include "ctl/m2mctl_job.h"

#include "text/m2_nearest.h"

#include <stdio.h>

/* clang-format off */
#define SLOT(member) offsetof(m2mctl_client_t, member)
static const m2mctl_option_t client_options[] = {
    { "clients",     M2MCTL_TEXT,   SLOT(clients), "FILE", "password file (AuthUserFile); grant: "
                                                         "the client has to be there" },
    { "grants",      M2MCTL_TEXT,   SLOT(grants), "FILE", "grant file (M2MGrantFile)" },
    { "cost",        M2MCTL_NUMBER, SLOT(cost), "N", "add: bcrypt cost, 4 to 17, default 5" },
    { "secret-file", M2MCTL_TEXT,   SLOT(secret_file), "FILE", "add: this secret, not a fresh "
                                                             "one; - is standard input" },
    { "secret-out",  M2MCTL_TEXT,   SLOT(secret_out), "FILE", "add: write the secret there (0600, "
                                                            "no line end), and do not show it" },
    { "force",       M2MCTL_FLAG,   SLOT(force), NULL, "add: overwrite that file" },
    { "replace",     M2MCTL_FLAG,   SLOT(replace), NULL, "add: a new secret for a client that "
                                                         "is there" },
    { "all",         M2MCTL_FLAG,   SLOT(all), NULL, "revoke: everything, the secret too" },
    { NULL, M2MCTL_FLAG, 0, NULL, NULL },
};
#undef SLOT
/* clang-format on */

static const char *word(const m2mctl_t *ctl, int i)
{
    return i < ctl->words->nelts ? APR_ARRAY_IDX(ctl->words, i, const char *) : NULL;
}

static int lines_read(apr_array_header_t **plines, m2mctl_job_t *job, const char *path)
{
    m2_slice_t text = { "", 0 };

    if (path && m2mctl_read(&text, job->ctl->pool, path, &job->err) != M2_OK) {
        return m2mctl_fault(job->ctl, path, &job->err);
    }
    *plines = m2mctl_lines(job->ctl->pool, text);
    return M2MCTL_ALLOW;
}

/* the clients of both files, each once, in order of appearance */
static apr_array_header_t *list_ids(m2mctl_job_t *job, const apr_array_header_t *users,
                                    const apr_array_header_t *grants)
{
    apr_pool_t *pool = job->ctl->pool;
    apr_array_header_t *ids = apr_array_make(pool, 16, sizeof(const char *));
    apr_table_t *seen = apr_table_make(pool, 16);
    m2_grant_t grant;
    int i;

    for (i = 0; i < users->nelts + grants->nelts; i++) {
        const char *line = i < users->nelts
                               ? APR_ARRAY_IDX(users, i, const char *)
                               : APR_ARRAY_IDX(grants, i - users->nelts, const char *);
        const char *id = NULL;

        if (i < users->nelts) {
            id = m2_slice_dup(pool, m2mctl_user(line));
        }
        else if (m2_grant_read(&grant, pool, m2_slice_z(line), NULL) == M2_OK) {
            id = m2_slice_dup(pool, grant.client);
        }
        if (id && !apr_table_get(seen, apr_pstrcat(pool, "-", id, NULL))) {
            apr_table_setn(seen, apr_pstrcat(pool, "-", id, NULL), "");
            APR_ARRAY_PUSH(ids, const char *) = id;
        }
    }
    return ids;
}

static int has_id(const apr_array_header_t *ids, const char *id)
{
    int i;

    for (i = 0; i < ids->nelts; i++) {
        if (m2_slice_is(m2_slice_z(id), APR_ARRAY_IDX(ids, i, const char *))) {
            return 1;
        }
    }
    return 0;
}

/* --- granting and revoking --- */

static int no_client(m2mctl_job_t *job, const apr_array_header_t *ids)
{
    const char *near = m2_nearest(job->id, (const char *const *)ids->elts,
                                  (apr_size_t)ids->nelts);

    return m2mctl_usage(job->ctl, "there is no client %s%s%s%s", job->id,
                        near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

/* A client that no file names is a typing error. */
static int check_known(m2mctl_job_t *job)
{
    apr_array_header_t *users = NULL, *grants = NULL, *ids;
    int rc = lines_read(&users, job, job->options->clients);

    rc = rc == M2MCTL_ALLOW ? lines_read(&grants, job, job->options->grants) : rc;
    if (rc != M2MCTL_ALLOW) {
        return rc;
    }
    ids = list_ids(job, users, grants);
    return has_id(ids, job->id) ? M2MCTL_ALLOW : no_client(job, ids);
}

/* The server looks at its files once a second and believes what it sees twice. */
static void tell_moment(const m2mctl_job_t *job)
{
    if (!job->ctl->json) {
        fprintf(stderr, "m2mctl: running servers see this within three seconds\n");
    }
}

static int run_grant(m2mctl_job_t *job)
{
    apr_array_header_t *users = NULL, *none = apr_array_make(job->ctl->pool, 1, sizeof(char *));
    int rc = m2mctl_scopes_check(job, 1);

    if (rc == M2MCTL_ALLOW && job->options->clients) { /* a typing error would have no effect */
        rc = lines_read(&users, job, job->options->clients);
        if (rc == M2MCTL_ALLOW && m2mctl_user_find(users, job->id) < 0) {
            rc = no_client(job, list_ids(job, users, none));
        }
    }
    rc = rc == M2MCTL_ALLOW ? m2mctl_grants_edit(job, 1, NULL) : rc;
    if (rc == M2MCTL_ALLOW) {
        tell_moment(job);
    }
    return rc;
}

static int revoke_all(m2mctl_job_t *job)
{
    int found = 0;
    int rc = M2MCTL_ALLOW;

    if (!job->id || job->scopes->nelts || (!job->options->clients && !job->options->grants)) {
        return m2mctl_usage(job->ctl, "--all needs a client alone, and --clients, --grants "
                                      "or both");
    }
    if (job->options->clients) { /* first: without a secret grants are worth nothing */
        rc = m2mctl_user_revoke(job, &found);
    }
    if (rc == M2MCTL_ALLOW && job->options->grants) {
        rc = m2mctl_grants_revoke(job, &found);
    }
    return rc == M2MCTL_ALLOW && !found ? check_known(job) : rc;
}

static int run_revoke(m2mctl_job_t *job)
{
    int missing = 0;
    int rc;

    if (job->options->all) {
        rc = revoke_all(job);
        if (rc == M2MCTL_ALLOW) {
            tell_moment(job);
        }
        return rc;
    }
    rc = m2mctl_scopes_check(job, 0);
    rc = rc == M2MCTL_ALLOW ? check_known(job) : rc;
    rc = rc == M2MCTL_ALLOW ? m2mctl_grants_edit(job, 0, &missing) : rc;
    if (rc == M2MCTL_ALLOW && missing) { /* a typing error would otherwise look like done */
        fprintf(stderr, "m2mctl: %d of the scopes %s not granted to %s\n", missing,
                missing == 1 ? "was" : "were", job->id);
        return M2MCTL_DENY;
    }
    if (rc == M2MCTL_ALLOW) {
        tell_moment(job);
    }
    return rc;
}

/* --- list --- */

/* AUDIENCE|PERMISSION of the client, blank-separated */
static const char *list_scopes(m2mctl_job_t *job, const apr_array_header_t *grants,
                               m2_json_t *array)
{
    apr_pool_t *pool = job->ctl->pool;
    apr_array_header_t *scopes = apr_array_make(pool, 8, sizeof(const char *));
    m2_grant_t grant;
    int i, k;

    for (i = 0; i < grants->nelts; i++) {
        if (!m2mctl_is_grant(&grant, job, APR_ARRAY_IDX(grants, i, const char *), NULL)) {
            continue;
        }
        for (k = 0; k < grant.permissions->nelts; k++) {
            const char *scope = apr_pstrcat(
                pool, m2_slice_dup(pool, grant.audience), "|",
                m2_slice_dup(pool, APR_ARRAY_IDX(grant.permissions, k, m2_slice_t)), NULL);
            APR_ARRAY_PUSH(scopes, const char *) = scope;
            m2_json_append_string(array, scope);
        }
    }
    return apr_array_pstrcat(pool, scopes, ' ');
}

static void list_one(m2mctl_job_t *job, m2_json_t *all, const apr_array_header_t *users,
                     const apr_array_header_t *grants)
{
    m2_json_t *json = m2_json_make(job->ctl->pool);
    m2_json_t *array = m2_json_make_array(job->ctl->pool);
    const char *scopes = list_scopes(job, grants, array);
    int secret = m2mctl_user_find(users, job->id) >= 0;

    m2_json_set_string(json, "client_id", job->id);
    if (job->options->clients) {
        m2_json_set_bool(json, "secret", secret);
    }
    m2_json_set_json(json, "scopes", array);
    m2_json_append(all, json);
    if (!job->ctl->json) {
        printf("%s%s%s%s\n", m2mctl_plain(job->ctl->pool, job->id),
               job->options->clients && !secret ? " (no secret)" : "", *scopes ? " " : "",
               scopes);
    }
}

static int run_list(m2mctl_job_t *job)
{
    apr_array_header_t *users = NULL, *grants = NULL, *ids;
    m2_json_t *json = m2_json_make(job->ctl->pool);
    m2_json_t *all = m2_json_make_array(job->ctl->pool);
    const char *only = job->id;
    int rc, i;

    if (!job->options->clients && !job->options->grants) {
        return m2mctl_usage(job->ctl, "list needs --clients, --grants or both");
    }
    rc = lines_read(&users, job, job->options->clients);
    rc = rc == M2MCTL_ALLOW ? lines_read(&grants, job, job->options->grants) : rc;
    if (rc != M2MCTL_ALLOW) {
        return rc;
    }
    ids = list_ids(job, users, grants);
    if (only && !has_id(ids, only)) {
        return no_client(job, ids);
    }
    for (i = 0; i < ids->nelts; i++) {
        job->id = APR_ARRAY_IDX(ids, i, const char *);
        if (!only || m2_slice_is(m2_slice_z(only), job->id)) {
            list_one(job, all, users, grants);
        }
    }
    m2_json_set_json(json, "clients", all);
    if (job->ctl->json) {
        m2mctl_print_json(job->ctl->pool, json);
    }
    return M2MCTL_ALLOW;
}

/* --- the verb --- */

typedef struct action_t {
    const char *name;
    int (*run)(m2mctl_job_t *job);
} action_t;

static const action_t actions[] = {
    { "add", m2mctl_user_add },
    { "list", run_list },
    { "grant", run_grant },
    { "revoke", run_revoke },
};

static const action_t *action_find(const char *name)
{
    apr_size_t i;

    for (i = 0; name && i < sizeof(actions) / sizeof(*actions); i++) {
        if (m2_slice_is(m2_slice_z(name), actions[i].name)) {
            return &actions[i];
        }
    }
    return NULL;
}

static int run_client(m2mctl_t *ctl, void *options)
{
    m2mctl_job_t job = { ctl, options, NULL, NULL, { 0 } };
    const action_t *action = action_find(word(ctl, 0));
    int i;

    m2_err_init(&job.err, ctl->pool);
    job.id = word(ctl, 1);
    job.scopes = apr_array_make(ctl->pool, 4, sizeof(const char *));
    for (i = 2; i < ctl->words->nelts; i++) {
        APR_ARRAY_PUSH(job.scopes, const char *) = word(ctl, i);
    }
    if (!action) {
        return m2mctl_usage(ctl, "client takes add, list, grant or revoke%s",
                            word(ctl, 0) ? m2_nearest_hint(ctl->pool, word(ctl, 0),
                                                           "add list grant revoke") : "");
    }
    if (job.id && !m2_client_id_ok(m2_slice_z(job.id))) {
        return m2mctl_usage(ctl, "a client id is 1 to 255 visible ASCII characters other "
                                 "than \" \\ | and :");
    }
    if (job.scopes->nelts && (action->run == m2mctl_user_add || action->run == run_list)) {
        return m2mctl_usage(ctl, "%s takes one client", action->name);
    }
    return action->run(&job);
}

const m2mctl_verb_t m2mctl_client = {
    "client",
    "add [ID] | list [ID] | grant ID AUDIENCE|PERMISSION... | revoke ID AUDIENCE|PERMISSION...",
    "clients of the M2M server and what they are granted",
    "add writes a client into the password file, makes its secret and shows it this once;\n"
    "without an ID it makes that, too. grant and revoke change the grant file; revoking\n"
    "AUDIENCE|.all takes everything at that audience, --all everything everywhere and the\n"
    "secret. Files are replaced in one step and keep mode and owner; a running server sees the\n"
    "change within three seconds. Exit status 1: a scope to revoke was not granted; 2: a\n"
    "client that there is not (grant: with --clients).\n",
    {{client_options, 0}},
    sizeof(m2mctl_client_t),
    run_client,
};
