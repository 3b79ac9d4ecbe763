/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Who holds flock(2) on a file. Whoever may read a file can do so, and would keep those from
 * writing who may write it.
 */
#ifndef M2_REVOCATION_HOLDER_H
#define M2_REVOCATION_HOLDER_H

#include <sys/stat.h>

#define M2_HOLDER 64 /* bytes of a name */

typedef struct m2_holder_t {
    char name[M2_HOLDER]; /* "process 123 (less)"; "" where the system does not tell */
    int writes;           /* it might write the file: 0 only where that is certain not to be so */
} m2_holder_t;

/** Who holds it now: of several, one that might write. info is fstat's of the file. Blocks
 *  little (procfs). */
void m2_holder_find(m2_holder_t *holder, const struct stat *info);

#endif /* M2_REVOCATION_HOLDER_H */
