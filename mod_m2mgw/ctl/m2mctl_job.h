/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Between the files of `m2mctl client`: the verb, httpd's password file, the grant file. Both
 * files are lines that are changed one by one; what others wrote stays as it is.
 */
#ifndef M2MCTL_JOB_H
#define M2MCTL_JOB_H

#include "ctl/m2mctl_edit.h"
#include "ctl/m2mctl_lines.h"
#include "oauth/m2_grant.h"

typedef struct m2mctl_client_t {
    const char *clients, *grants, *secret_file, *secret_out;
    m2mctl_number_t cost;
    int replace, all, force;
} m2mctl_client_t;

/* what an action works with */
typedef struct m2mctl_job_t {
    m2mctl_t *ctl;
    const m2mctl_client_t *options;
    const char *id;
    apr_array_header_t *scopes; /* of const char *, AUDIENCE|PERMISSION */
    m2_err_t err;
} m2mctl_job_t;

/* --- the password file: ID:HASH --- */

/** The client of a line as httpd reads it; absent for comments and the like. */
m2_slice_t m2mctl_user(const char *line);

/** The line of a client, -1 without one. */
int m2mctl_user_find(const apr_array_header_t *lines, const char *id);

/** The action add. */
int m2mctl_user_add(m2mctl_job_t *job);

/** Take every line of the client out; *pfound counts them. */
int m2mctl_user_revoke(m2mctl_job_t *job, int *pfound);

/* --- the grant file --- */

/** Whether a line grants something to the client; at that audience, unless it is NULL. */
int m2mctl_is_grant(m2_grant_t *grant, m2mctl_job_t *job, const char *line,
                    const m2_slice_t *audience);

/** M2MCTL_ALLOW where the words are a client and scopes. */
int m2mctl_scopes_check(m2mctl_job_t *job, int add);

/** Grant or revoke the scopes of the job; *pmissing counts those that were not there to
 *  revoke. */
int m2mctl_grants_edit(m2mctl_job_t *job, int add, int *pmissing);

/** Take every line of the client out; *pfound counts them. */
int m2mctl_grants_revoke(m2mctl_job_t *job, int *pfound);

#endif /* M2MCTL_JOB_H */
