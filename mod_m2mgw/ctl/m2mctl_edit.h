/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Changing a file that a running server reads: under a lock against other m2mctl, into a
 * new file beside it, and in one step in place of the old one. A reader sees the old file
 * or the new one, never half of either; a crash leaves the old one.
 */
#ifndef M2MCTL_EDIT_H
#define M2MCTL_EDIT_H

#include "ctl/m2mctl_verb.h"

typedef struct m2mctl_edit_t {
    apr_pool_t *pool;
    const char *path;  /* as it was named */
    const char *real;  /* where symbolic links lead */
    int directory;     /* where it is */
    int lock;          /* the lock file of the directory, locked */
    int existed;
    int uid, gid;      /* of the file that was there, else of the directory's group */
    int mode;          /* likewise; 0640 of a new file */
    m2_slice_t text;   /* what is in it; empty for a new file */
} m2mctl_edit_t;

/** Lock, for ten seconds at most, and read. A file that does not exist is an empty one, when
 *  create is set. The lock is kept until m2mctl_edit_save or the pool's end. */
m2_code_t m2mctl_edit_open(m2mctl_edit_t *edit, apr_pool_t *pool, const char *path,
                           int create, m2_err_t *err);

/** Replace the file by text, with the mode, owner and group it had. */
m2_code_t m2mctl_edit_save(m2mctl_edit_t *edit, m2_slice_t text, m2_err_t *err);

#endif /* M2MCTL_EDIT_H */
