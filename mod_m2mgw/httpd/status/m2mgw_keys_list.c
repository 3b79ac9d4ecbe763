/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Key sources and the keys in use, for the status document.
 */
#include "httpd/status/m2mgw_keys_list.h"

#include "httpd/config/m2mgw_kept.h"
#include "httpd/runtime/m2mgw_counters.h"
#include "httpd/status/m2mgw_member.h"

#include "jwks/m2_jwks_dataset.h"
#include "oauth/m2_view.h"
#include "revocation/m2_revocations.h"

#include <apr_hash.h>

#define MAX_ALIKE 32 /* keys of a section that only their bits tell apart, listed singly */

/* a row of the list of keys while it grows */
typedef struct row_t {
    m2_json_t *json;
    int section;  /* the last one that uses the key */
    int sections; /* how many use it */
} row_t;

/* what a row of the list of keys is made from */
typedef struct listing_t {
    apr_pool_t *pool;
    apr_hash_t *sources;      /* name -> m2_json_t * */
    apr_hash_t *rows;         /* identity -> row_t * */
    apr_array_header_t *list; /* of row_t *, in order */
} listing_t;

/* A URL's query may contain a password. */
static const char *public_name(apr_pool_t *pool, const m2_keysource_info_t *info)
{
    const char *query = strchr(info->name, '?');

    return info->is_file || !query
               ? info->name
               : apr_pstrcat(
                   pool,
                   apr_pstrmemdup(pool, info->name, (apr_size_t)(query - info->name)),
                   "?...", NULL);
}

/* A span of time in whole seconds; never negative, even if the clock was set back. */
static void put_span(m2_json_t *json, const char *name, apr_time_t from, apr_time_t to)
{
    m2_json_set_int(json, name, to > from ? apr_time_sec(to - from) : 0);
}

static m2_json_t *source_json(apr_pool_t *pool, const m2_keysource_info_t *info,
                              apr_time_t now)
{
    m2_json_t *json = m2_json_make(pool);

    m2mgw_status_text(json, pool, "source", public_name(pool, info));
    m2_json_set_string(json, "kind", info->kind);
    m2_json_set_string(json, "state", info->state);
    m2_json_set_int(json, "usable", info->usable);
    m2_json_set_int(json, info->document == &m2_document_keys ? "keys" : "entries", info->keys);
    if (info->checked) {
        put_span(json, "age", info->checked, now);
    }
    if (!info->is_file) {
        put_span(json, "next_refresh", now, info->due);
    }
    m2_json_set_int(json, "fetches", (apr_int64_t)info->fetches);
    m2_json_set_int(json, "failures", (apr_int64_t)info->failures);
    m2_json_set_int(json, "early", (apr_int64_t)info->early);
    m2_json_set_int(json, "swaps", (apr_int64_t)info->swaps);
    if (info->fault && *info->fault) {
        m2mgw_status_text(json, pool, "fault", info->fault);
    }
    return json;
}

/* A file that is read at restarts alone, and was bad at the last one. */
static m2_json_t *kept_json(apr_pool_t *pool, const m2mgw_kept_fault_t *fault)
{
    m2_json_t *json = m2_json_make(pool);

    m2mgw_status_text(json, pool, "source", fault->path);
    m2_json_set_string(json, "kind", "file");
    m2_json_set_string(json, "state", "broken");
    m2_json_set_int(json, "usable", fault->has_copy);
    m2mgw_status_text(json, pool, "fault", fault->why);
    return json;
}

/* The names of the data sets that a source has; "": it is none of a data set. */
static const char *sets_of(apr_pool_t *pool, const m2_keysource_info_t *info)
{
    const apr_array_header_t *all = m2mgw_cfg_datasets();
    const char *names = "";
    int i;

    for (i = 0; i < all->nelts; i++) {
        const m2mgw_dataset_t *set = APR_ARRAY_IDX(all, i, const m2mgw_dataset_t *);

        if (m2_slice_is(m2_slice_z(set->list.name), info->name)) {
            names = apr_pstrcat(pool, names, *names ? ", " : "", set->name, NULL);
        }
    }
    return names;
}

static m2_json_t *list_json(apr_pool_t *pool, const m2_keysource_info_t *info, apr_time_t now)
{
    m2_json_t *json = source_json(pool, info, now);
    const char *names = info->document == &m2_document_revocations ? "" : sets_of(pool, info);

    if (*names) {
        m2mgw_status_text(json, pool, "name", names);
    }
    return json;
}

/* The sources of one kind of document or of another. */
static m2_json_t *lists_json(apr_pool_t *pool, const m2_document_t *one,
                             const m2_document_t *other, apr_time_t now)
{
    m2_json_t *list = m2_json_make_array(pool);
    int i;

    for (i = 0; i < m2_jwks_count(m2mgw_cfg_registry()); i++) {
        m2_keysource_info_t info;

        m2_jwks_info(&info, pool, m2mgw_cfg_registry(), i, now);
        if (info.document == one || info.document == other) {
            m2_json_append(list, list_json(pool, &info, now));
        }
    }
    return list;
}

/* Likewise for the issuer, whose files are listed while they are bad. */
static void list_issuer_files(m2_json_t *list, apr_pool_t *pool)
{
    APR_OPTIONAL_FN_TYPE(m2m_issuer_ill_files) *ask =
        APR_RETRIEVE_OPTIONAL_FN(m2m_issuer_ill_files);
    apr_array_header_t *files = apr_array_make(pool, 2, sizeof(m2_ill_file_t));
    int i;

    if (ask) {
        ask(files);
    }
    for (i = 0; i < files->nelts; i++) {
        const m2_ill_file_t *file = &APR_ARRAY_IDX(files, i, m2_ill_file_t);
        const m2mgw_kept_fault_t fault = {
            file->path, apr_pstrcat(pool, file->directive, ": the error log says why", NULL),
            file->usable
        };

        m2_json_append(list, kept_json(pool, &fault));
    }
}

static m2_json_t *sources_json(apr_hash_t *by_name, apr_pool_t *pool, apr_time_t now)
{
    m2_json_t *list = m2_json_make_array(pool);
    int i;

    for (i = 0; i < m2_jwks_count(m2mgw_cfg_registry()); i++) {
        m2_keysource_info_t info;
        m2_json_t *json;

        m2_jwks_info(&info, pool, m2mgw_cfg_registry(), i, now);
        if (info.document != &m2_document_keys) {
            continue;
        }
        json = source_json(pool, &info, now);
        apr_hash_set(by_name, info.name, APR_HASH_KEY_STRING, json);
        m2_json_append(list, json);
    }
    for (i = 0; i < m2mgw_kept_faults()->nelts; i++) {
        m2_json_append(list, kept_json(pool, &APR_ARRAY_IDX(m2mgw_kept_faults(), i,
                                                            m2mgw_kept_fault_t)));
    }
    list_issuer_files(list, pool);
    return list;
}

/* Only what is public: the name of a key, never a part of it. */
static m2_json_t *key_json(const listing_t *listing, const m2_jwk_t *jwk,
                           const m2mgw_section_t *section, apr_time_t now)
{
    static const char *const shared[] = { "source", "kind", "state", "age",
                                          "next_refresh" };
    const m2_json_t *source =
        jwk->origin ? apr_hash_get(listing->sources, jwk->origin, APR_HASH_KEY_STRING)
                    : NULL;
    m2_json_t *json = m2_json_make(listing->pool);
    apr_size_t i;

    m2mgw_status_text(json, listing->pool, "kid", jwk->kid ? jwk->kid : "");
    m2_json_set_string(json, "kty", jwk->kty);
    m2_json_set_string(json, "alg", m2_alg_mask_names(listing->pool, jwk->algs));
    for (i = 0; source && i < sizeof(shared) / sizeof(shared[0]); i++) {
        m2_json_set_json(json, shared[i], m2_json_get(source, shared[i]));
    }
    if (!source) {
        m2_json_set_string(json, "source", "configuration");
        m2mgw_status_text(json, listing->pool, "place",
                          m2mgw_cfg_place(listing->pool, section->keys_at));
        m2_json_set_string(json, "kind", "configuration");
        m2_json_set_string(json, "state", "ok");
        put_span(json, "age", m2mgw_configured_at(), now);
    }
    return json;
}

/* A key that a thousand sections use is one row. Keys without a kid that look alike are
 * told apart by their order within a section. */
static void list_key(listing_t *listing, const m2_jwk_t *jwk, int i, apr_time_t now)
{
    const m2mgw_section_t *section =
        APR_ARRAY_IDX(m2mgw_cfg_sections(), i, m2mgw_section_t *);
    const char *origin =
        jwk->origin ? jwk->origin : m2mgw_cfg_place(listing->pool, section->keys_at);
    const char *name = "";
    row_t *row = NULL;
    int n;

    for (n = 0; n < MAX_ALIKE; n++) {
        name = apr_psprintf(listing->pool, "%d %s %s\n%s\n%s", n, jwk->kty,
                            m2_alg_mask_names(listing->pool, jwk->algs),
                            jwk->kid ? jwk->kid : "", origin);
        row = apr_hash_get(listing->rows, name, APR_HASH_KEY_STRING);
        if (!row || row->section != i) {
            break;
        }
    }
    if (!row) {
        row = apr_pcalloc(listing->pool, sizeof(*row));
        row->json = key_json(listing, jwk, section, now);
        apr_hash_set(listing->rows, name, APR_HASH_KEY_STRING, row);
        APR_ARRAY_PUSH(listing->list, row_t *) = row;
    }
    row->sections += row->section != i || row->sections == 0;
    row->section = i;
}

static void list_section(listing_t *listing, int i, apr_time_t now)
{
    const m2mgw_section_t *section =
        APR_ARRAY_IDX(m2mgw_cfg_sections(), i, m2mgw_section_t *);
    const m2_keyset_t *set;
    int k;

    if (!section->dir->keys || !section->keys_at) {
        return;
    }
    set = m2_keyring_enter(section->dir->keys);
    for (k = 0; set && k < set->keys->nelts; k++) {
        list_key(listing, APR_ARRAY_IDX(set->keys, k, const m2_jwk_t *), i, now);
    }
    m2_keyring_leave(section->dir->keys);
}

void m2mgw_keys_list(m2_json_t *document, apr_pool_t *pool)
{
    const apr_time_t now = apr_time_now();
    m2_json_t *list = m2_json_make_array(pool);
    listing_t listing;
    int i;

    listing.pool = pool;
    listing.sources = apr_hash_make(pool);
    listing.rows = apr_hash_make(pool);
    listing.list = apr_array_make(pool, 16, sizeof(row_t *));
    m2_json_set_json(document, "sources", sources_json(listing.sources, pool, now));
    for (i = 0; i < m2mgw_cfg_sections()->nelts; i++) {
        list_section(&listing, i, now);
    }
    for (i = 0; i < listing.list->nelts; i++) {
        row_t *row = APR_ARRAY_IDX(listing.list, i, row_t *);

        m2_json_set_int(row->json, "sections", row->sections);
        m2_json_append(list, row->json);
    }
    m2_json_set_json(document, "keys", list);
    m2_json_set_json(document, "revocation",
                     lists_json(pool, &m2_document_revocations, NULL, now));
    m2_json_set_json(document, "datasets",
                     lists_json(pool, &m2_document_datasets, &m2_document_dataset_rows, now));
}
