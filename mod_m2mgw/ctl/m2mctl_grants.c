/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The grant file: AUDIENCE CLIENT PERMISSION... What would not parse is not written.
 */
#include "ctl/m2mctl_job.h"

/* AUDIENCE|PERMISSION of the command line */
static int scope_read(m2_slice_t *audience, m2_slice_t *permission, const char *scope)
{
    const char *bar = strchr(scope, '|');

    if (!bar) {
        return 0;
    }
    *audience = m2_slice(scope, (apr_size_t)(bar - scope));
    *permission = m2_slice_z(bar + 1);
    return m2_scope_word_ok(*audience) && m2_scope_word_ok(*permission);
}

int m2mctl_is_grant(m2_grant_t *grant, m2mctl_job_t *job, const char *line,
                    const m2_slice_t *audience)
{
    return line &&
           m2_grant_read(grant, job->ctl->pool, m2_slice_z(line), NULL) == M2_OK &&
           m2_slice_is(grant->client, job->id) &&
           (!audience || m2_slice_eq(grant->audience, *audience));
}

static int permission_find(const m2_grant_t *grant, m2_slice_t permission)
{
    int i;

    for (i = 0; i < grant->permissions->nelts; i++) {
        if (m2_slice_eq(APR_ARRAY_IDX(grant->permissions, i, m2_slice_t), permission)) {
            return i;
        }
    }
    return -1;
}

/* one scope into the lines: nothing, a longer line, or a new one */
static void grant_one(m2mctl_job_t *job, apr_array_header_t *lines, m2_slice_t audience,
                      m2_slice_t permission)
{
    apr_pool_t *pool = job->ctl->pool;
    const char *more = m2_slice_dup(pool, permission);
    m2_grant_t grant;
    int i, last = -1;

    for (i = 0; i < lines->nelts; i++) {
        if (m2mctl_is_grant(&grant, job, APR_ARRAY_IDX(lines, i, const char *), &audience)) {
            last = i;
            if (permission_find(&grant, permission) >= 0) {
                return;
            }
        }
    }
    if (last >= 0) {
        APR_ARRAY_IDX(lines, last, const char *) =
            apr_pstrcat(pool, APR_ARRAY_IDX(lines, last, const char *), " ", more, NULL);
        return;
    }
    APR_ARRAY_PUSH(lines, const char *) =
        apr_pstrcat(pool, m2_slice_dup(pool, audience), " ", job->id, " ", more, NULL);
}

/* what is left of a line without the permission; NULL when nothing is */
static const char *without(m2mctl_job_t *job, const m2_grant_t *grant, m2_slice_t permission)
{
    apr_pool_t *pool = job->ctl->pool;
    const char *line =
        apr_pstrcat(pool, m2_slice_dup(pool, grant->audience), " ", job->id, NULL);
    int i, left = 0;

    for (i = 0; i < grant->permissions->nelts; i++) {
        m2_slice_t one = APR_ARRAY_IDX(grant->permissions, i, m2_slice_t);
        if (!m2_slice_eq(one, permission)) {
            line = apr_pstrcat(pool, line, " ", m2_slice_dup(pool, one), NULL);
            left++;
        }
    }
    return left ? line : NULL;
}

/* one scope out of the lines; how many lines had it */
static int revoke_one(m2mctl_job_t *job, apr_array_header_t *lines, m2_slice_t audience,
                      m2_slice_t permission)
{
    int whole = m2_slice_is(permission, M2_SCOPE_ALL);
    m2_grant_t grant;
    int i, found = 0;

    for (i = 0; i < lines->nelts; i++) {
        const char **line = &APR_ARRAY_IDX(lines, i, const char *);

        if (m2mctl_is_grant(&grant, job, *line, &audience) &&
            (whole || permission_find(&grant, permission) >= 0)) {
            *line = whole ? NULL : without(job, &grant, permission);
            found++;
        }
    }
    return found;
}

/* the server would refuse a file that does not parse, so it is not written */
static m2_code_t grants_check(m2mctl_job_t *job, m2_slice_t text)
{
    return m2_grants_parse(m2_grants_make(job->ctl->pool), text, &job->err);
}

int m2mctl_grants_edit(m2mctl_job_t *job, int add, int *pmissing)
{
    m2mctl_edit_t edit;
    apr_array_header_t *lines;
    m2_slice_t audience, permission, text;
    int i;

    if (m2mctl_edit_open(&edit, job->ctl->pool, job->options->grants, add, &job->err) !=
            M2_OK || grants_check(job, edit.text) != M2_OK) {
        return m2mctl_fault(job->ctl, job->options->grants, &job->err);
    }
    lines = m2mctl_lines(job->ctl->pool, edit.text);
    for (i = 0; i < job->scopes->nelts; i++) {
        scope_read(&audience, &permission, APR_ARRAY_IDX(job->scopes, i, const char *));
        if (add) {
            grant_one(job, lines, audience, permission);
        }
        else if (!revoke_one(job, lines, audience, permission)) {
            *pmissing += 1;
        }
    }
    text = m2mctl_lines_text(job->ctl->pool, lines);
    if (grants_check(job, text) != M2_OK ||
        m2mctl_edit_save(&edit, text, &job->err) != M2_OK) {
        return m2mctl_fault(job->ctl, job->options->grants, &job->err);
    }
    return M2MCTL_ALLOW;
}

int m2mctl_scopes_check(m2mctl_job_t *job, int add)
{
    m2_slice_t audience, permission;
    int i;

    if (!job->options->grants || !job->id || job->scopes->nelts == 0) {
        return m2mctl_usage(job->ctl, "needs --grants, a client and AUDIENCE|PERMISSION...");
    }
    for (i = 0; i < job->scopes->nelts; i++) {
        const char *scope = APR_ARRAY_IDX(job->scopes, i, const char *);

        if (!scope_read(&audience, &permission, scope)) {
            return m2mctl_usage(job->ctl, "\"%s\" is not AUDIENCE|PERMISSION", scope);
        }
        if (add && m2_slice_is(permission, M2_SCOPE_ALL)) {
            return m2mctl_usage(job->ctl, M2_SCOPE_ALL " cannot be granted: name the "
                                          "permissions");
        }
    }
    return M2MCTL_ALLOW;
}

int m2mctl_grants_revoke(m2mctl_job_t *job, int *pfound)
{
    m2mctl_edit_t edit;
    apr_array_header_t *lines;
    m2_grant_t grant;
    int i;

    if (m2mctl_edit_open(&edit, job->ctl->pool, job->options->grants, 0, &job->err) !=
            M2_OK || grants_check(job, edit.text) != M2_OK) {
        return m2mctl_fault(job->ctl, job->options->grants, &job->err);
    }
    lines = m2mctl_lines(job->ctl->pool, edit.text);
    for (i = 0; i < lines->nelts; i++) {
        if (m2mctl_is_grant(&grant, job, APR_ARRAY_IDX(lines, i, const char *), NULL)) {
            APR_ARRAY_IDX(lines, i, const char *) = NULL;
            *pfound += 1;
        }
    }
    return m2mctl_edit_save(&edit, m2mctl_lines_text(job->ctl->pool, lines), &job->err) == M2_OK
               ? M2MCTL_ALLOW
               : m2mctl_fault(job->ctl, job->options->grants, &job->err);
}
