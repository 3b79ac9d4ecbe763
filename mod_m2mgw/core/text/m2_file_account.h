/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What another user may read and fill, by the modes of files and of the directories above. The
 * parent reads files as root, the children look after them, and an operator would find out at the
 * first change.
 */
#ifndef M2_FILE_ACCOUNT_H
#define M2_FILE_ACCOUNT_H

#include <apr.h>

/* the user that children run as */
typedef struct m2_account_t {
    apr_uint32_t uid;
    apr_uint32_t gid;
    const char *name; /* for its other groups; NULL: it has none */
} m2_account_t;

/** Whether it can read a file. A process that is not root asks for itself. */
int m2_account_reads(const m2_account_t *account, const char *path);

/** Likewise whether it can create files in a directory; 0 if the directory is missing. */
int m2_account_fills(const m2_account_t *account, const char *path);

#endif /* M2_FILE_ACCOUNT_H */
