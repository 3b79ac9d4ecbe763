/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * With '/' sorted in front of every other byte, everything that lies in a prefix stands
 * right behind it. So the last entry that is not behind a path lies in all the entries that
 * the path lies in, and from there it is only a walk outwards.
 */
#include "request/m2_path_table.h"

#include "request/m2_path_reading.h"

#include <apr_hash.h>

#include <stdlib.h>

struct m2_path_table_t {
    apr_pool_t *pool;
    apr_hash_t *named;           /* folded path -> entry, while it is filled */
    apr_array_header_t *entries; /* of m2_path_entry_t *, in order once it is sealed */
};

/* where a byte stands in the order: the end of text, '/', then the rest */
static int rank(char c)
{
    return c == '\0' ? 0 : c == '/' ? 1 : (unsigned char)c + 1;
}

/* The order of a and b, of which the first *pcommon bytes are known to be the same; *pcommon
 * becomes the number of those that are. */
static int order_from(const char *a, const char *b, apr_size_t *pcommon)
{
    apr_size_t i = *pcommon;

    while (a[i] && a[i] == b[i]) {
        i++;
    }
    *pcommon = i;
    return rank(a[i]) - rank(b[i]);
}

static int order(const char *a, const char *b)
{
    apr_size_t common = 0;

    return order_from(a, b, &common);
}

static int order_entries(const void *a, const void *b)
{
    return order((*(m2_path_entry_t *const *)a)->path, (*(m2_path_entry_t *const *)b)->path);
}

static int lies_in(const char *path, const char *prefix)
{
    while (*prefix && *path == *prefix) {
        path++;
        prefix++;
    }
    return *prefix == '\0' && (*path == '/' || *path == '\0');
}

m2_path_table_t *m2_path_table_make(apr_pool_t *pool)
{
    m2_path_table_t *table = apr_pcalloc(pool, sizeof(*table));

    table->pool = pool;
    table->named = apr_hash_make(pool);
    table->entries = apr_array_make(pool, 8, sizeof(m2_path_entry_t *));
    return table;
}

int m2_path_table_takes(const char *written)
{
    return written[0] == '/'
           && !(m2_path_marks(written) & (M2_PATH_DEVICE | M2_PATH_CONTROL));
}

static m2_path_entry_t *entry_of(m2_path_table_t *table, const char *folded)
{
    m2_path_entry_t *entry = apr_hash_get(table->named, folded, APR_HASH_KEY_STRING);

    if (!entry) {
        entry = apr_pcalloc(table->pool, sizeof(*entry));
        entry->path = folded;
        entry->spellings = apr_array_make(table->pool, 1, sizeof(const char *));
        APR_ARRAY_PUSH(table->entries, m2_path_entry_t *) = entry;
        apr_hash_set(table->named, folded, APR_HASH_KEY_STRING, entry);
    }
    return entry;
}

m2_path_entry_t *m2_path_table_add(m2_path_table_t *table, const char *written)
{
    m2_path_entry_t *entry = entry_of(table, m2_path_fold(table->pool, written));
    const char *spelling = apr_pstrmemdup(table->pool, written, strlen(entry->path));
    int i;

    for (i = 0; i < entry->spellings->nelts; i++) {
        if (m2_slice_is(m2_slice_z(spelling),
                        APR_ARRAY_IDX(entry->spellings, i, const char *))) {
            return entry;
        }
    }
    APR_ARRAY_PUSH(entry->spellings, const char *) = spelling;
    entry->is_folded |= m2_slice_is(m2_slice_z(spelling), entry->path);
    return entry;
}

static const m2_path_entry_t *outwards(const m2_path_entry_t *entry, const char *path)
{
    while (entry && !lies_in(path, entry->path)) {
        entry = entry->outer;
    }
    return entry;
}

void m2_path_table_seal(m2_path_table_t *table)
{
    const m2_path_entry_t *last = NULL;
    int i;

    qsort(table->entries->elts, (size_t)table->entries->nelts, sizeof(m2_path_entry_t *),
          order_entries);
    for (i = 0; i < table->entries->nelts; i++) {
        m2_path_entry_t *entry = APR_ARRAY_IDX(table->entries, i, m2_path_entry_t *);

        entry->outer = outwards(last, entry->path);
        entry->is_folded &= !entry->outer || entry->outer->is_folded;
        last = entry;
    }
}

const apr_array_header_t *m2_path_table_all(const m2_path_table_t *table)
{
    return table->entries;
}

/* What the path has in common with the entries on both sides, it has with all between them. */
const m2_path_entry_t *m2_path_table_find(const m2_path_table_t *table, const char *folded)
{
    const m2_path_entry_t *const *entries = (const void *)table->entries->elts;
    int from = 0, to = table->entries->nelts; /* the first that stands behind it */
    apr_size_t below = 0, above = 0;

    while (from < to) {
        const int middle = from + (to - from) / 2;
        apr_size_t common = below < above ? below : above;

        if (order_from(entries[middle]->path, folded, &common) <= 0) {
            from = middle + 1;
            below = common;
        }
        else {
            to = middle;
            above = common;
        }
    }
    return from ? outwards(entries[from - 1], folded) : NULL;
}

int m2_path_entry_covers(const m2_path_entry_t *entry, const char *path)
{
    int i;

    for (i = 0; i < entry->spellings->nelts; i++) {
        if (lies_in(path, APR_ARRAY_IDX(entry->spellings, i, const char *))) {
            return 1;
        }
    }
    return 0;
}

int m2_path_entry_holds(const m2_path_entry_t *entry, const m2_path_entry_t *inner)
{
    while (inner && inner != entry) {
        inner = inner->outer;
    }
    return inner == entry;
}
