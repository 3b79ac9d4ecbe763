/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A database as the host's own layer (mod_dbd) reaches it: connections, their number, their
 * drivers and what is prepared on them are its business. The host hands in where they come
 * from.
 */
#ifndef M2_DBD_H
#define M2_DBD_H

#include "base/m2_err.h"

#include <apr_dbd.h>
#include <apr_hash.h>

#define M2_DBD_WHY 200 /* bytes of a reason */

/* one connection, for as long as it is taken */
typedef struct m2_dbd_t {
    const apr_dbd_driver_t *driver;
    apr_dbd_t *handle;
    apr_hash_t *prepared; /* label -> apr_dbd_prepared_t * */
    apr_hash_t *texts;    /* label -> its SQL, to prepare it once more; NULL: not known */
    apr_pool_t *lasting;  /* of the connection */
    void *own;            /* the host's */
} m2_dbd_t;

/* the host's database; thread-safe */
typedef struct m2_dbd_host_t {
    /** A connection, with pool for what it allocates; 0 when none is available. */
    int (*take)(m2_dbd_t *db, apr_pool_t *pool, void *baton);
    void (*give)(m2_dbd_t *db, void *baton);
    void *baton;
} m2_dbd_host_t;

/** Run what was prepared under label with n texts: how many rows it changed, -1 with why
 *  (M2_DBD_WHY bytes) when that is not known. */
int m2_dbd_change(const m2_dbd_host_t *host, const char *label, int n, const char **args,
                  char *why);

/** Called with the texts of one row, NULL for null; 0 ends the reading, as an error. */
typedef int m2_dbd_row_fn(void *baton, const char *const *columns, char *why);

/** Read the rows of what was prepared under label, columns of each, of which the last `optional`
 *  are null where the answer does not have them. 1; 0 with why. */
int m2_dbd_read(const m2_dbd_host_t *host, const char *label, int n, const char **args,
                int columns, int optional, m2_dbd_row_fn *row, void *baton, char *why);

#endif /* M2_DBD_H */
