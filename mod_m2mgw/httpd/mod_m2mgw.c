/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The hooks, and the module record on the last lines as the table of contents.
 *
 * The decision is made in access_checker, where `Require` cannot come before it, and
 * confirmed wherever httpd offers a way around that stage: under `Satisfy Any` a denial is
 * overridden by `Require`, after an internal redirect within one section the stage is
 * skipped, and mod_rewrite changes the request behind it. The last word is the guard in
 * fixups, before mod_proxy: what has no complete verdict there does not go on.
 */
#include "httpd/request/m2mgw_ctx.h"
#include "httpd/runtime/m2mgw_keys.h"
#include "httpd/status/m2mgw_status.h"

#include "base/m2_hold.h"

#include <ap_mpm.h>
#include <openssl/rand.h>


/* --- what is kept with a request --- */

m2mgw_ctx_t *m2mgw_ctx(request_rec *r)
{
    return ap_get_module_config(r->request_config, &m2mgw_module);
}

#define ID_BYTES 16
#define ID_STOCK 256

/* Random bytes for this thread's next requests: one call of the generator serves many. */
static __thread struct id_stock_t {
    unsigned char bytes[ID_STOCK * ID_BYTES];
    apr_size_t left;
} id_stock;

static void next_id(unsigned char *id)
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
    stock->left -= ID_BYTES;
    memcpy(id, stock->bytes + stock->left, ID_BYTES);
}

static const char *make_request_id(request_rec *r)
{
    static const char hex[] = "0123456789abcdef";
    const char *unique = apr_table_get(r->subprocess_env, "UNIQUE_ID");
    unsigned char bytes[ID_BYTES];
    char *id;
    apr_size_t i;

    if (unique) {
        return apr_pstrdup(r->pool, unique);
    }
    next_id(bytes);
    id = apr_palloc(r->pool, 2 * ID_BYTES + 1);
    for (i = 0; i < ID_BYTES; i++) {
        id[2 * i] = hex[bytes[i] >> 4];
        id[2 * i + 1] = hex[bytes[i] & 15];
    }
    id[2 * ID_BYTES] = '\0';
    return id;
}

/* An array of which the first element has its place already. */
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
    ctx->was_in_force |= ctx->in_force;
    ctx->section = r->per_dir_config;
    return ctx;
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

/* --- the decision --- */

/* One mark per token and client request, whatever policies it meets on its way. */
static m2_code_t spend_once(const m2_verdict_t *verdict, void *baton, m2_err_t *err)
{
    m2mgw_ctx_t *ctx = baton;
    apr_array_header_t *spent = &ctx->root->spent;
    m2mgw_spent_t *mark;
    int i;

    for (i = 0; i < spent->nelts; i++) {
        mark = &APR_ARRAY_IDX(spent, i, m2mgw_spent_t);
        if (m2_slice_eq(mark->token, ctx->token)) {
            return m2_err_set(err, mark->code, "decided earlier in this request");
        }
    }
    mark = apr_array_push(spent);
    mark->token = ctx->token;
    mark->code = m2mgw_runtime_spend(verdict, err);
    return mark->code;
}

static int missing_kid(const m2_keyring_t *ring, m2_slice_t kid, apr_uint64_t generation,
                       void *baton)
{
    const m2mgw_ctx_t *ctx = baton;

    return m2mgw_keys_missing(ring, kid, generation, ctx->effective.jwks_wait);
}

static m2_services_t services_for(m2mgw_ctx_t *ctx)
{
    m2_services_t services;

    memset(&services, 0, sizeof(services));
    services.spend = spend_once;
    services.spend_baton = ctx;
    services.cache = m2mgw_cache();
    services.missing = missing_kid;
    services.missing_baton = ctx;
    return services;
}

/* The token half, from memory when this client request met the same policy before. */
static void judge_token(m2mgw_ctx_t *ctx, apr_time_t now, const m2_services_t *services)
{
    m2mgw_root_t *root = ctx->root;
    const m2_policy_t *policy = &ctx->effective.policy;
    m2mgw_judged_t *judged;

    for (judged = root->judged; judged; judged = judged->next) {
        if (memcmp(&judged->policy, policy, sizeof(*policy)) == 0
            && (m2_slice_eq(judged->token, ctx->token)
                || (!judged->token.p && !ctx->token.p))) {
            ctx->verdict = judged->verdict;
            return;
        }
    }
    judged = root->judged ? apr_pcalloc(root->r->pool, sizeof(*judged))
                          : &root->first_judged;
    memcpy(&judged->policy, policy, sizeof(*policy)); /* compared by its bytes, padding too */
    judged->token = ctx->token;
    m2_gate_token(&judged->verdict, root->r->pool, policy, ctx->token, now, services);
    if (ctx->token.p) {
        const int cached = judged->verdict.cached;

        m2mgw_status_token(cached, cached ? 0 : apr_time_now() - now);
    }
    judged->next = root->judged;
    root->judged = judged;
    ctx->verdict = judged->verdict;
}

static void deny(m2mgw_ctx_t *ctx, m2_code_t code, const char *why)
{
    ctx->verdict.code = code;
    ctx->verdict.err.pool = ctx->r->pool;
    m2_err_set(&ctx->verdict.err, code, "%s", why);
}

static int passes(const m2mgw_ctx_t *ctx)
{
    return ctx->verdict.code == M2_OK || ctx->verdict.code == M2_BYPASS;
}

/* Asked again by the guard: only then it is known what a per-directory RewriteRule does. */
static void check_path(m2mgw_ctx_t *ctx, request_rec *r)
{
    if (passes(ctx) && m2mgw_path_is_unsafe(&ctx->effective.policy, r)) {
        deny(ctx, M2_E_PATH_UNSAFE, "the path could mean another path to the backend");
        m2mgw_note_decision(ctx, r);
    }
}

static void judge_request(m2mgw_ctx_t *ctx, request_rec *r, apr_time_t now)
{
    const m2_policy_t *policy = &ctx->effective.policy;
    m2_facts_t facts;

    check_path(ctx, r);
    if (!passes(ctx)) {
        return;
    }
    m2mgw_facts_init(&facts, ctx, r, now);
    m2_gate_rules(&ctx->verdict, policy, &facts);
}

/* The mark, behind rules and `Require`: what anybody refuses costs the caller no token. */
static void spend(m2mgw_ctx_t *ctx, request_rec *r)
{
    const m2_services_t services = services_for(ctx);

    if (ctx->verdict.code == M2_OK
        && m2_gate_spend(&ctx->verdict, &ctx->effective.policy, &services) != M2_OK) {
        m2mgw_note_decision(ctx, r);
    }
}

/* A body that cannot be read or rewritten cannot go on either. */
static void publish(m2mgw_ctx_t *ctx, request_rec *r)
{
    const int passed = passes(ctx);
    m2_err_t err;
    m2_code_t code;

    m2_err_init(&err, r->pool);
    m2mgw_publish(ctx, r);
    if (passed || ctx->effective.engine == M2MGW_ENGINE_SHADOW) {
        code = m2mgw_publish_form(ctx, r, &err);
        ctx->body_unusable = code != M2_OK;
        if (code != M2_OK) {
            deny(ctx, code, err.text);
        }
    }
}

/* The claims of a verified token are published before the rules are asked, so that both see
 * the request as the backend will. */
static void decide(m2mgw_ctx_t *ctx, request_rec *r)
{
    const apr_time_t now = apr_time_now();
    const m2_services_t services = services_for(ctx);
    m2_err_t err;
    m2_code_t found = M2_OK;

    if (!ctx->root->request_id) {
        ctx->root->request_id = make_request_id(ctx->root->r);
    }
    m2_err_init(&err, r->pool);
    m2mgw_scrub_env(ctx, r);
    m2mgw_scrub(ctx, r);
    if (ctx->effective.policy.keys) {
        found = m2mgw_token_take(ctx, r, &err);
    }
    memset(&ctx->verdict, 0, sizeof(ctx->verdict));
    if (found != M2_OK) {
        deny(ctx, found, err.text ? err.text : "");
    }
    else if (ctx->effective.orphan) {
        deny(ctx, M2_E_KEYS_UNAVAILABLE, "M2MEngine On, but neither keys nor rules");
    }
    else {
        judge_token(ctx, now, &services);
    }
    publish(ctx, r);
    judge_request(ctx, r, now);
    ctx->body_unusable |= m2mgw_body_is_broken(ctx);
    m2mgw_note_decision(ctx, r);
    ctx->decided = 1;
    ctx->uri = r->uri;
    ctx->method = r->method;
    ctx->args = r->args;
}

static int same_text(const char *a, const char *b)
{
    return a == b || (a && b && m2_slice_is(m2_slice_z(a), b));
}

/* Whether what we know is about the request as it is now: mod_rewrite changes it, and
 * mod_dir and mod_negotiation put a subrequest in its place, with that one's section. */
static int is_current(const m2mgw_ctx_t *ctx, const request_rec *r)
{
    if (!ctx || !ctx->seen || ctx->section != r->per_dir_config) {
        return 0;
    }
    return !ctx->in_force || ctx->error_document
           || (ctx->decided && same_text(ctx->uri, r->uri) && same_text(ctx->args, r->args)
               && same_text(ctx->method, r->method));
}

/* OK when the request may go on, else the status of the refusal. */
static int conclude(m2mgw_ctx_t *ctx, request_rec *r)
{
    m2mgw_nocache_store(r);
    if (passes(ctx)
        || (ctx->effective.engine == M2MGW_ENGINE_SHADOW && !ctx->body_unusable)) {
        return OK;
    }
    return m2mgw_refuse(ctx, r);
}

/* A local error document for our own refusal is served although it lies in the section. */
static int is_error_document(request_rec *r)
{
    const m2mgw_ctx_t *before = r->prev ? m2mgw_ctx(r->prev) : NULL;

    return before && before->refused && r->status == before->refused && !r->main;
}

/* The verdict's variables, where LogFormat and the document look for them. */
static void carry_variables(request_rec *r)
{
    static const char *const names[] = { "M2M_DECISION", "M2M_REASON", "M2M_RULE",
                                         "M2M_ERROR_CODE" };
    apr_size_t i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *value = apr_table_get(r->prev->subprocess_env, names[i]);

        if (value) {
            apr_table_setn(r->subprocess_env, names[i], value);
        }
    }
}

/* --- hooks --- */

/* What the parent's thread has in stock, two children must not hand out twice. A child
 * without threads ends in a signal handler. */
static void hook_child_init(apr_pool_t *pchild, server_rec *s)
{
    int threaded = 0;

    (void)pchild;
    (void)s;
    id_stock.left = 0;
    if (ap_mpm_query(AP_MPMQ_IS_THREADED, &threaded) == APR_SUCCESS && !threaded) {
        m2_hold_signals();
    }
}

static int hook_post_read_request(request_rec *r)
{
    m2mgw_token_mask(r, 0);
    return DECLINED;
}

/* A request that could not be read has no other hook before mod_status shows its line. */
static void hook_insert_error_filter(request_rec *r)
{
    m2mgw_token_mask(r, 0);
}

static int hook_log_transaction(request_rec *r)
{
    m2mgw_status_count(r);
    for (; r; r = r->next) {
        m2mgw_line_restore(m2mgw_ctx(r), r);
        m2mgw_token_mask(r, 1);
    }
    return DECLINED;
}

static int nothing_protected(const request_rec *r)
{
    const m2mgw_server_t *conf = ap_get_module_config(r->server->module_config,
                                                      &m2mgw_module);

    return !conf->has_policy;
}

/* A look-ahead gets its refusal and nothing else happens. */
static int refuse_lookahead(request_rec *r)
{
    const m2mgw_dir_t *dir = ap_get_module_config(r->per_dir_config, &m2mgw_module);
    m2mgw_effective_t effective;

    return m2mgw_effective(&effective, dir) ? HTTP_FORBIDDEN : DECLINED;
}

/* First sight of a request_rec, in the access stage or, where httpd skips that, in the
 * guard. */
static m2mgw_ctx_t *meet(request_rec *r)
{
    m2mgw_ctx_t *ctx = m2mgw_ctx_make(r);

    ctx->seen = 1;
    if (is_error_document(r)) {
        ctx->error_document = 1;
        r->status_line = ap_get_status_line_ex(r->pool, r->status);
        carry_variables(r);
        if (ctx->in_force) { /* served to anybody, with nothing claimed */
            m2mgw_scrub(ctx, r);
        }
    }
    else if (ctx->in_force) {
        decide(ctx, r);
    }
    return ctx;
}

static int hook_check_access(request_rec *r)
{
    m2mgw_ctx_t *ctx;

    if (nothing_protected(r)) {
        return DECLINED;
    }
    if (m2mgw_is_lookahead(r)) {
        return refuse_lookahead(r);
    }
    ctx = meet(r);
    return ctx->in_force && !ctx->error_document ? conclude(ctx, r) : DECLINED;
}

/* A verified token is an authentication: `Require` gets its auth_checker even where it
 * would grant without a user. */
static int hook_force_authn(request_rec *r)
{
    const m2mgw_ctx_t *ctx = m2mgw_ctx(r);

    return ctx && ctx->in_force && ctx->verdict.verified ? OK : DECLINED;
}

static int hook_check_authn(request_rec *r)
{
    m2mgw_ctx_t *ctx = m2mgw_ctx(r);

    if (!ctx || !ctx->in_force || ctx->error_document) {
        return DECLINED;
    }
    if (ctx->refused) {
        return ctx->refused;
    }
    return ctx->verdict.verified ? OK : DECLINED;
}

/* RUN_FIRST: an OK here would skip `Require`, so this one runs the others itself. */
static int hook_check_authz(request_rec *r)
{
    const m2mgw_ctx_t *ctx = m2mgw_ctx(r);

    if (ctx && ctx->in_force && ctx->refused && !ctx->error_document) {
        return ctx->refused;
    }
    return m2mgw_authz_user(r);
}

static int is_proxied(const request_rec *r)
{
    return r->proxyreq
           || (r->handler && strlen(r->handler) > 6
               && m2_slice_is(m2_slice(r->handler, 6), "proxy:"));
}

static int settle(m2mgw_ctx_t *ctx, request_rec *r)
{
    const int status = conclude(ctx, r);

    return status == OK ? DECLINED : status;
}

/* Subrequests are questions most of the time (mod_autoindex asks about every file): a token is
 * spent for one only when it runs. */
static int charge(m2mgw_ctx_t *ctx, request_rec *r)
{
    spend(ctx, r);
    return settle(ctx, r);
}

/* The guard: before mod_proxy bakes the URL, after mod_rewrite had its say. What was refused
 * stays so, whatever was made of the request since. */
static int hook_guard(request_rec *r)
{
    m2mgw_ctx_t *ctx = m2mgw_ctx(r);

    if (nothing_protected(r)) {
        return DECLINED;
    }
    if (m2mgw_is_lookahead(r)) {
        return refuse_lookahead(r);
    }
    if (ctx && ctx->refused) {
        return ctx->refused;
    }
    if (!is_current(ctx, r)) {
        ctx = meet(r);
    }
    m2mgw_fix_raw_query(r);
    if (ctx->error_document) {
        return is_proxied(r) ? r->status : DECLINED;
    }
    if (!ctx->in_force) {
        return DECLINED;
    }
    check_path(ctx, r);
    return r->main ? settle(ctx, r) : charge(ctx, r);
}

/* mod_dir comes last in fixups, so what it put in the request's place is seen here: its
 * headers and its body are still those that were scrubbed for another section, or for none. */
static int hook_handler(request_rec *r)
{
    m2mgw_ctx_t *ctx = m2mgw_ctx(r);
    int status = DECLINED;

    if (nothing_protected(r)) {
        return DECLINED;
    }
    if (!is_current(ctx, r)) {
        status = hook_guard(r);
        ctx = m2mgw_ctx(r);
        m2mgw_response_insert(r); /* filters were inserted for what was there before */
    }
    if (status == DECLINED && ctx && ctx->in_force && !ctx->error_document) {
        status = r->main ? charge(ctx, r) : DECLINED;
        m2mgw_line_scrub(ctx, r);
    }
    return status;
}

static void register_hooks(apr_pool_t *pool)
{
    static const char *const after_rewrite[] = { "mod_rewrite.c", NULL };
    static const char *const before_proxy[] = { "mod_proxy.c", NULL };

    ap_hook_pre_config(m2mgw_config_pre, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_check_config(m2mgw_config_check, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_post_config(m2mgw_config_post, NULL, NULL, APR_HOOK_FIRST);
    ap_hook_child_init(hook_child_init, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_post_read_request(hook_post_read_request, NULL, NULL, APR_HOOK_REALLY_FIRST);
    ap_hook_insert_error_filter(hook_insert_error_filter, NULL, NULL, APR_HOOK_REALLY_FIRST);
    ap_hook_log_transaction(hook_log_transaction, NULL, NULL, APR_HOOK_REALLY_FIRST);
    ap_hook_check_access(hook_check_access, NULL, NULL, APR_HOOK_LAST,
                         AP_AUTH_INTERNAL_PER_CONF);
    ap_hook_check_access_ex(m2mgw_authz_userless, NULL, NULL, APR_HOOK_REALLY_FIRST,
                            AP_AUTH_INTERNAL_PER_CONF);
    ap_hook_force_authn(hook_force_authn, NULL, NULL, APR_HOOK_REALLY_FIRST);
    ap_hook_check_authn(hook_check_authn, NULL, NULL, APR_HOOK_REALLY_FIRST,
                        AP_AUTH_INTERNAL_PER_CONF);
    ap_hook_check_authz(hook_check_authz, NULL, NULL, APR_HOOK_REALLY_FIRST,
                        AP_AUTH_INTERNAL_PER_CONF);
    ap_hook_fixups(hook_guard, after_rewrite, before_proxy, APR_HOOK_FIRST);
    ap_hook_handler(hook_handler, NULL, NULL, APR_HOOK_REALLY_FIRST);
    m2mgw_nocache_register();
    m2mgw_path_register();
    m2mgw_status_register();
    m2mgw_runtime_register();
    m2mgw_keys_register();
    m2mgw_cache_register();
    m2mgw_response_register();
    m2mgw_body_register();
    m2mgw_authz_register(pool);
}

module AP_MODULE_DECLARE_DATA m2mgw_module = {
    STANDARD20_MODULE_STUFF,
    m2mgw_config_dir_create,
    m2mgw_config_dir_merge,
    m2mgw_config_server_create,
    m2mgw_config_server_merge,
    m2mgw_config_commands,
    register_hooks,
#if defined(AP_MODULE_FLAG_NONE)
    AP_MODULE_FLAG_NONE,
#endif
};
