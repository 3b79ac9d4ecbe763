/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Path prefixes, such as those of <Location>, in one sorted table: which of them does a path
 * lie in? Prefixes that differ only in case or by a slash at the end are one entry with
 * several spellings; an entry knows the next one it lies in:
 *
 *     entry                 spellings          outer
 *     ""                    /                  -
 *     /app                  /app /App/         ""
 *     /app/admin            /app/admin         /app
 *     /api                  /api               ""
 *
 * A path is looked up once, whatever the number of entries: what covers it is the entry
 * found and all that this one lies in. Filled while configuration is read, then sealed and
 * const.
 */
#ifndef M2_PATH_TABLE_H
#define M2_PATH_TABLE_H

#include "base/m2_slice.h"

typedef struct m2_path_entry_t {
    const char *path;                    /* as m2_path_fold makes it */
    const struct m2_path_entry_t *outer; /* what it lies in, or NULL; set by sealing */
    apr_array_header_t *spellings;       /* of const char *, without a slash at the end */
    int is_folded;                       /* path is a spelling of it, likewise further out */
    void *what;                          /* the host's own; NULL when it is new */
} m2_path_entry_t;

typedef struct m2_path_table_t m2_path_table_t;

/** An empty table, in pool. */
m2_path_table_t *m2_path_table_make(apr_pool_t *pool);

/** The entry of a prefix as it was written, made if absent. */
m2_path_entry_t *m2_path_table_add(m2_path_table_t *table, const char *written);

/** Whether a prefix can stand in the table: it begins with a slash and every backend reads
 *  it in one way, but for case and a slash at the end. */
int m2_path_table_takes(const char *written);

/** Sort and link; nothing is added afterwards. */
void m2_path_table_seal(m2_path_table_t *table);

/** Every entry, outer ones before those that lie in them: of m2_path_entry_t *. */
const apr_array_header_t *m2_path_table_all(const m2_path_table_t *table);

/** The innermost entry that a folded path lies in, or NULL. */
const m2_path_entry_t *m2_path_table_find(const m2_path_table_t *table, const char *folded);

/** Whether path, byte by byte, lies in one of the spellings of the entry. */
int m2_path_entry_covers(const m2_path_entry_t *entry, const char *path);

/** Whether entry is inner, or inner lies in it. inner may be NULL. */
int m2_path_entry_holds(const m2_path_entry_t *entry, const m2_path_entry_t *inner);

#endif /* M2_PATH_TABLE_H */
