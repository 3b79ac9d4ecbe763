/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The record of a request: made at the first sight of it, one root for all request_recs of a
 * client's request, and the id that all of them carry.
 */
#include "httpd/request/m2mgw_ctx.h"

#include "base/m2_hold.h"

#include <openssl/rand.h>

m2mgw_ctx_t *m2mgw_ctx(request_rec *r)
{
    return ap_get_module_config(r->request_config, &m2mgw_module);
}

#define ID_STOCK 256

/* Random bytes for this thread's next requests: one call of the generator serves many. */
static __thread struct id_stock_t {
    unsigned char bytes[ID_STOCK * M2MGW_RANDOM];
    apr_size_t left;
} id_stock;

void m2mgw_random(unsigned char bytes[M2MGW_RANDOM])
{
    struct id_stock_t *stock = &id_stock;
    m2_hold_t hold;

    if (stock->left == 0) {
        m2_hold_begin(&hold);
        if (RAND_bytes(stock->bytes, sizeof(stock->bytes)) != 1) {
            ap_random_insecure_bytes(stock->bytes, sizeof(stock->bytes));
        }
        m2_hold_end(&hold);
        stock->left = sizeof(stock->bytes);
    }
    stock->left -= M2MGW_RANDOM;
    memcpy(bytes, stock->bytes + stock->left, M2MGW_RANDOM);
}

/* Eight hexadecimal digits for four random bytes; which digit is whose does not matter. */
static void put_digits(char *to, const unsigned char *bytes)
{
    const apr_uint64_t ones = 0x0101010101010101u;
    apr_uint32_t word;
    apr_uint64_t nibbles, letters;

    memcpy(&word, bytes, sizeof(word));
    nibbles = ((apr_uint64_t)word << 32 | word) & 0x0f0f0f0ff0f0f0f0u;
    nibbles = (nibbles & 0x0f0f0f0f00000000u) | (nibbles & 0xf0f0f0f0u) >> 4;
    letters = (nibbles + 6 * ones) >> 4 & ones; /* 1 where it is above 9 */
    nibbles += '0' * ones + ('a' - '0' - 10) * letters;
    memcpy(to, &nibbles, sizeof(nibbles));
}

static const char *make_id(request_rec *r)
{
    const char *unique = apr_table_get(r->subprocess_env, "UNIQUE_ID");
    unsigned char bytes[M2MGW_RANDOM];
    char *id;
    apr_size_t i;

    if (unique) {
        return apr_pstrdup(r->pool, unique);
    }
    m2mgw_random(bytes);
    id = apr_palloc(r->pool, 2 * M2MGW_RANDOM + 1);
    for (i = 0; i < M2MGW_RANDOM; i += 4) {
        put_digits(id + 2 * i, bytes + i);
    }
    id[2 * M2MGW_RANDOM] = '\0';
    return id;
}

const char *m2mgw_request_id(m2mgw_ctx_t *ctx)
{
    m2mgw_root_t *root = ctx->root;

    if (!root->request_id) {
        root->request_id = make_id(root->r);
    }
    return root->request_id;
}

void m2mgw_request_id_reseed(void)
{
    id_stock.left = 0;
}

/* An array whose first element already has its place. */
static void array_in(apr_array_header_t *array, apr_pool_t *pool, void *first, int size)
{
    array->pool = pool;
    array->elt_size = size;
    array->nalloc = 1;
    array->elts = first;
}

static m2mgw_ctx_t *ctx_add(request_rec *r, m2mgw_ctx_t *ctx, m2mgw_root_t *root)
{
    ctx->r = r;
    ctx->root = root;
    ap_set_module_config(r->request_config, &m2mgw_module, ctx);
    return ctx;
}

/* The request that began it all; its record may have to be made for it. */
static m2mgw_root_t *root_of(request_rec *r)
{
    struct { m2mgw_root_t root; m2mgw_ctx_t ctx; } *both;
    m2mgw_ctx_t *ctx;
    m2mgw_root_t *root;

    while (r->prev || r->main) {
        r = r->prev ? r->prev : r->main;
    }
    ctx = m2mgw_ctx(r);
    if (ctx) {
        return ctx->root;
    }
    both = apr_pcalloc(r->pool, sizeof(*both));
    root = &both->root;
    root->r = r;
    array_in(&root->found, r->pool, &root->first_found, sizeof(m2mgw_found_t));
    array_in(&root->spent, r->pool, &root->first_spent, sizeof(m2mgw_spent_t));
    ctx_add(r, &both->ctx, root);
    return root;
}

m2mgw_ctx_t *m2mgw_ctx_make(request_rec *r)
{
    const m2mgw_dir_t *dir = ap_get_module_config(r->per_dir_config, &m2mgw_module);
    m2mgw_root_t *root = root_of(r);
    m2mgw_ctx_t *ctx = m2mgw_ctx(r);

    if (!ctx) {
        ctx = ctx_add(r, apr_pcalloc(r->pool, sizeof(*ctx)), root);
    }
    ctx->in_force = m2mgw_effective(&ctx->effective, dir);
    ctx->scrub = dir ? dir->scrub : NULL;
    ctx->was_in_force |= ctx->in_force;
    ctx->section = r->per_dir_config;
    return ctx;
}

void m2mgw_ctx_close(m2mgw_ctx_t *ctx, const m2mgw_dir_t *dir, m2_code_t code,
                     const char *why)
{
    memset(&ctx->effective, 0, sizeof(ctx->effective));
    ctx->effective.dir = dir;
    ctx->effective.engine = M2MGW_ENGINE_ON;
    ctx->effective.profile = m2mgw_profile_of(dir);
    ctx->in_force = ctx->was_in_force = 1;
    m2mgw_request_id(ctx);
    memset(&ctx->verdict, 0, sizeof(ctx->verdict));
    ctx->verdict.code = code;
    m2_err_init(&ctx->verdict.err, ctx->r->pool);
    m2_err_set(&ctx->verdict.err, code, "%s", why);
}

/* httpd skips the access stage of a redirect or subrequest within one section. */
static int reached_access(request_rec *r)
{
    const m2mgw_ctx_t *ctx = m2mgw_ctx(r);

    if (ctx && ctx->seen) {
        return 1;
    }
    if (r->prev && r->prev->per_dir_config == r->per_dir_config) {
        return reached_access(r->prev);
    }
    return r->main && r->main->per_dir_config == r->per_dir_config && reached_access(r->main);
}

int m2mgw_is_lookahead(request_rec *r)
{
    return r->main && !reached_access(r->main);
}
