/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Any bytes as a path. Every reading is folded: small letters, a slash in front of each
 * segment, no empty or dot segment, nothing that is cut; an ordinary path has one. Prefixes
 * written into the table are found again, whatever way the path is spelled.
 */
#include "request/m2_path_reading.h"
#include "request/m2_path_table.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void insist(int truth)
{
    if (!truth) {
        abort();
    }
}

static void check_segment(const char *p, apr_size_t n)
{
    apr_size_t i;

    insist(n > 0 && (unsigned char)p[n - 1] > 0x20);
    insist(!m2_slice_is(m2_slice(p, n), ".") && !m2_slice_is(m2_slice(p, n), ".."));
    for (i = 0; i < n; i++) {
        insist(!(p[i] >= 'A' && p[i] <= 'Z') && p[i] != ';' && p[i] != '\\');
    }
}

static void check_folded(const char *path)
{
    while (*path) {
        apr_size_t n;

        insist(*path++ == '/');
        n = strcspn(path, "/");
        check_segment(path, n);
        path += n;
    }
}

static void check_readings(apr_pool_t *pool, const char *path)
{
    m2_path_reading_t readings[M2_PATH_READINGS];
    const int n = m2_path_readings(readings, pool, path);
    int i;

    insist(n >= 1 && n <= M2_PATH_READINGS);
    for (i = 0; i < n; i++) {
        insist(strlen(readings[i].path) <= strlen(path) + 1);
        check_folded(readings[i].path);
    }
    if (path[0] == '/' && !m2_path_marks(path) && !m2_path_has_dots(pool, path)) {
        insist(n == 1);
        insist(m2_slice_is(m2_slice_z(readings[0].path), m2_path_fold(pool, path)));
    }
}

/* each prefix of the path, added and found */
static void check_table(apr_pool_t *pool, const char *path)
{
    m2_path_table_t *table = m2_path_table_make(pool);
    const char *folded = m2_path_fold(pool, path);
    const char *end;
    int added = 0;

    for (end = strchr(path, '/'); end && added < 32; end = strchr(end + 1, '/')) {
        const char *prefix = apr_pstrmemdup(pool, path, (apr_size_t)(end - path));

        if (m2_path_table_takes(prefix)) {
            m2_path_table_add(table, prefix);
            added++;
        }
    }
    m2_path_table_seal(table);
    insist(!added || m2_path_table_find(table, folded) != NULL);
    insist(!added || m2_path_entry_covers(m2_path_table_find(table, folded), path));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    apr_pool_t *pool;
    const char *path;

    apr_initialize();
    apr_pool_create(&pool, NULL);
    path = apr_pstrmemdup(pool, size ? (const char *)data : "", size);
    check_readings(pool, path);
    check_table(pool, path);
    m2_path_has_parameters(pool, path, 1);
    m2_path_is_ambiguous(path);
    apr_pool_destroy(pool);
    apr_terminate();
    return 0;
}
