/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What a decision does to the request: names that we publish are taken out of what the
 * client sent, in every spelling and whatever the outcome, and then set once from verified
 * claims. Nothing here decides anything.
 */
#include "httpd/request/m2mgw_apply.h"

#include "httpd/request/m2mgw_operation.h"

#include "httpd/request/m2mgw_body.h"

#include "request/m2_multipart.h"

#define REQUEST_ID "X-Ca-Request-Id"

/* the claim lists to search, and the place of the names */
typedef struct wanted_t {
    const m2_scrub_t *scrub;
    m2_place_t place;
} wanted_t;

/* Whether any list around the section maps a claim to a name that a client sent. */
static int is_mapped(const void *baton, m2_slice_t raw)
{
    const wanted_t *wanted = baton;
    const m2_scrub_t *scrub;

    for (scrub = wanted->scrub; scrub; scrub = scrub->outer) {
        if (m2_nameset_find(scrub->mapping->sets[wanted->place], raw)) {
            return 1;
        }
    }
    return 0;
}

static void scrub_headers(request_rec *r, const m2_scrub_t *scrub)
{
    const apr_array_header_t *all = apr_table_elts(r->headers_in);
    const wanted_t wanted = { scrub, M2_PLACE_HEADER };
    int i = 0;

    while (i < all->nelts) {
        const char *name = APR_ARRAY_IDX(all, i, apr_table_entry_t).key;

        if (is_mapped(&wanted, m2_slice_z(name))) {
            apr_table_unset(r->headers_in, name); /* closes the gap: look here again */
        }
        else {
            i++;
        }
    }
}

/* A client's query without our names; bytes that are not printable ASCII are encoded on the way,
 * or some framework might drop the whole query. */
static const char *scrubbed(apr_pool_t *pool, const char *query, const m2_scrub_t *scrub)
{
    const wanted_t wanted = { scrub, M2_PLACE_QUERY };
    const char *kept = m2_nameset_remove(pool, query, is_mapped, &wanted);

    return kept == query ? query : m2_form_clean(pool, kept);
}

static void scrub_query(m2mgw_ctx_t *ctx, request_rec *r)
{
    const char *kept;

    if (!r->args || !m2_scrub_maps_to(ctx->scrub, M2_PLACE_QUERY)) {
        return;
    }
    kept = scrubbed(r->pool, r->args, ctx->scrub);
    if (kept != r->args) {
        r->args = *kept ? (char *)kept : NULL;
        ctx->query_changed = 1;
    }
}

static void scrub_variables(request_rec *r, const m2_scrub_t *scrub)
{
    int i;

    for (; scrub; scrub = scrub->outer) {
        const apr_array_header_t *names = scrub->mapping->names[M2_PLACE_ENV];

        for (i = 0; names && i < names->nelts; i++) {
            apr_table_unset(r->subprocess_env, APR_ARRAY_IDX(names, i, const char *));
        }
    }
}

/* Whether nothing can stand among the headers that a client wrote, nor, where we decide, an
 * outer section: what the configuration wrote since (RequestHeader early) is to stay. */
static int headers_are_clean(const m2mgw_ctx_t *ctx, const request_rec *r)
{
    const m2mgw_server_t *conf = ap_get_module_config(r->server->module_config,
                                                      &m2mgw_module);

    return conf->scrubs_host
           && (!ctx->in_force || (!ctx->scrubbed && !r->prev && !r->main));
}

void m2mgw_scrub(m2mgw_ctx_t *ctx, request_rec *r)
{
    if (ctx->scrub) {
        if (m2_scrub_maps_to(ctx->scrub, M2_PLACE_HEADER) && !headers_are_clean(ctx, r)) {
            scrub_headers(r, ctx->scrub);
        }
        scrub_query(ctx, r);
        scrub_variables(r, ctx->scrub);
    }
    ctx->scrubbed = 1;
}

void m2mgw_set_request_id(m2mgw_ctx_t *ctx, request_rec *r)
{
    apr_table_setn(r->headers_in, REQUEST_ID, ctx->root->request_id);
}

/* Entries of the list for one place, encoded, with '&' between them. */
static const char *encoded(apr_pool_t *pool, const apr_array_header_t *list, m2_place_t place)
{
    const char *pairs = "";
    int i;

    for (i = 0; list && i < list->nelts; i++) {
        const m2_publish_t *entry = &APR_ARRAY_IDX(list, i, m2_publish_t);

        if (entry->place == place && entry->value) {
            pairs = m2_form_append(pool, pairs, entry->name, m2_slice_z(entry->value));
        }
    }
    return pairs;
}

static void publish_query(request_rec *r, const apr_array_header_t *list)
{
    const char *pairs = encoded(r->pool, list, M2_PLACE_QUERY);

    if (*pairs) {
        r->args = (char *)m2_form_insert(
            r->pool, r->args ? m2_form_clean(r->pool, r->args) : NULL, pairs);
    }
}

static void publish_header(request_rec *r, const m2_publish_t *entry)
{
    apr_table_setn(r->headers_in, entry->name, entry->value);
}

static void publish_env(request_rec *r, const m2_publish_t *entry)
{
    apr_table_setn(r->subprocess_env, entry->name, entry->value);
}

/* ORDER PLACE. Path and form values are set where the URL and the body are built, those of the
 * query all at once. */
static void (*const publishers[])(request_rec *r, const m2_publish_t *entry) = {
    NULL, publish_header, NULL, NULL, publish_env,
};
_Static_assert(sizeof(publishers) / sizeof(publishers[0]) == M2_PLACES, "one for each place");

static void publish_all(request_rec *r, const apr_array_header_t *list)
{
    int i;

    for (i = 0; list && i < list->nelts; i++) {
        const m2_publish_t *entry = &APR_ARRAY_IDX(list, i, m2_publish_t);

        if (entry->value && publishers[entry->place]) {
            publishers[entry->place](r, entry);
        }
    }
    publish_query(r, list);
}

/* Our own variables. They were removed before and each comes once, so no search is needed; the
 * strings live as long as the client's request. */
static void publish_own(request_rec *r, const m2_verdict_t *verdict)
{
    apr_table_t *env = r->subprocess_env;
    int i;

    for (i = 0; verdict->env && i < verdict->env->nelts; i++) {
        const m2_publish_t *entry = &APR_ARRAY_IDX(verdict->env, i, m2_publish_t);

        apr_table_addn(env, entry->name, entry->value);
    }
    apr_table_addn(env, "M2M_VERIFIED", "1");
    apr_table_addn(env, "M2M_ALG", verdict->alg);
    if (verdict->kid) {
        apr_table_addn(env, "M2M_KID", verdict->kid);
    }
}

/* A subrequest has no body of its own. */
static m2_code_t takes_body(m2mgw_ctx_t *ctx, request_rec *r, m2_err_t *err)
{
    const m2_mapping_t *mapping = ctx->effective.policy.mapping;
    const int sends = ctx->scrub || mapping; /* else nothing can be wrong with the type */
    const m2_body_kind_t kind = m2_scrub_maps_to(ctx->scrub, M2_PLACE_FORM) && !r->main
                                    ? m2mgw_body_kind(ctx, r) : M2_BODY_NONE;

    return m2_publish_takes(ctx->scrub, mapping, mapping && ctx->effective.dir->form_other == 1,
                            kind, sends ? apr_table_get(r->headers_in, "Content-Type") : NULL, err);
}

/* The bodies that names are removed from: a form, and, if no name is set, a body that some
 * backends read as a form. */
static m2_code_t text_to_scrub(m2_slice_t *ptext, m2mgw_ctx_t *ctx, request_rec *r,
                               m2_err_t *err)
{
    const m2_code_t code = m2mgw_body_form(ptext, ctx, r, err);

    return code || m2mgw_body_kind(ctx, r) != M2_BODY_UNTYPED
               ? code : m2mgw_body_text(ptext, ctx, r, err);
}

/* Where no claim goes into a form, a multipart body may pass, but not with a name of a list
 * around the section, which cannot be taken out of it. */
static m2_code_t search_multipart(m2mgw_ctx_t *ctx, request_rec *r, m2_err_t *err)
{
    const wanted_t wanted = { ctx->scrub, M2_PLACE_FORM };
    m2_slice_t body;
    m2_code_t code = m2mgw_body_whole(&body, ctx, r, err);

    if (code == M2_OK && m2_multipart_has(body, is_mapped, &wanted)) {
        code = m2_err_set(err, M2_E_BODY_UNSUPPORTED, "the multipart body holds a field that a "
                          "section around this one maps a claim to");
    }
    return code;
}

m2_code_t m2mgw_publish_form(m2mgw_ctx_t *ctx, request_rec *r, m2_err_t *err)
{
    const wanted_t wanted = { ctx->scrub, M2_PLACE_FORM };
    const char *pairs = "", *text, *kept;
    m2_slice_t form;
    m2_code_t code = takes_body(ctx, r, err);

    if (code != M2_OK || !m2_scrub_maps_to(ctx->scrub, M2_PLACE_FORM) || r->main) {
        return code;
    }
    if (m2mgw_body_kind(ctx, r) == M2_BODY_MULTIPART) {
        return search_multipart(ctx, r, err);
    }
    code = text_to_scrub(&form, ctx, r, err);
    if (code != M2_OK || !form.p) {
        return code;
    }
    if (ctx->in_force && ctx->verdict.verified) {
        pairs = encoded(r->pool, ctx->verdict.publish, M2_PLACE_FORM);
    }
    text = m2_form_text(r->pool, form);
    kept = m2_nameset_remove(r->pool, text, is_mapped, &wanted);
    if (kept != text || *pairs) { /* else every byte stays, a NUL too */
        m2mgw_body_replace(ctx, r, m2_form_insert(r->pool, kept, pairs));
    }
    return M2_OK;
}

void m2mgw_publish(m2mgw_ctx_t *ctx, request_rec *r)
{
    const m2_verdict_t *verdict = &ctx->verdict;

    if (verdict->verified) {
        publish_own(r, verdict);
        publish_all(r, verdict->publish);
        r->user = (char *)(verdict->user ? verdict->user : "-"); /* lives as long as r */
        r->ap_auth_type = "M2M";
    }
}

/* httpd and modules before us may have left these from configuration or a redirect. */
static const char *const verdict_names[] = {
    "M2M_VERIFIED", "M2M_KID",        "M2M_ALG",   "M2M_DECISION",
    "M2M_REASON",   "M2M_ERROR_CODE", "M2M_RULE",  "M2M_SHADOW",
    "M2M_OPERATION",
};

static int is_ours(const char *name)
{
    static const char claim[] = "M2M_CLAIM_";
    const apr_size_t n = sizeof(claim) - 1;
    apr_size_t i;

    if (name[0] != claim[0]) { /* nearly all others */
        return 0;
    }
    for (i = 0; i < sizeof(verdict_names) / sizeof(verdict_names[0]); i++) {
        if (m2_slice_is(m2_slice_z(name), verdict_names[i])) {
            return 1;
        }
    }
    return strlen(name) > n && m2_slice_is(m2_slice(name, n), claim);
}

void m2mgw_scrub_env(m2mgw_ctx_t *ctx, request_rec *r)
{
    const apr_array_header_t *all = apr_table_elts(r->subprocess_env);
    int i = 0;

    ctx->noted = 0;
    while (i < all->nelts) {
        const char *name = APR_ARRAY_IDX(all, i, apr_table_entry_t).key;

        if (is_ours(name)) {
            apr_table_unset(r->subprocess_env, name); /* closes the gap: look here again */
        }
        else {
            i++;
        }
    }
}

void m2mgw_note_decision(m2mgw_ctx_t *ctx, request_rec *r)
{
    const m2_reason_t *reason = m2_reason_of(ctx->verdict.code);
    const int allow = ctx->verdict.code == M2_OK || ctx->verdict.code == M2_BYPASS;
    void (*put)(apr_table_t *, const char *, const char *) =
        ctx->noted ? apr_table_setn : apr_table_addn; /* scrubbed: no need to look */
    apr_table_t *env = r->subprocess_env;

    ctx->noted = 1;
    put(env, "M2M_DECISION", allow ? "allow" : "deny");
    put(env, "M2M_REASON", reason->reason);
    if (reason->ca_code) {
        put(env, "M2M_ERROR_CODE", reason->ca_code);
    }
    if (ctx->verdict.rule) {
        put(env, "M2M_RULE", ctx->verdict.rule->name);
    }
    if (m2mgw_operation_name(ctx)) {
        put(env, "M2M_OPERATION", m2mgw_operation_name(ctx));
    }
    if (!allow && ctx->effective.engine == M2MGW_ENGINE_SHADOW) {
        put(env, "M2M_SHADOW", "deny");
    }
}

/* CGI's REQUEST_URI is read off the request line, so our names are removed from it while a
 * handler runs; the client's own line is restored for the log. */
void m2mgw_line_scrub(m2mgw_ctx_t *ctx, request_rec *r)
{
    const char *line = r->the_request;
    const char *tail, *query, *old, *kept;

    if (!m2_scrub_maps_to(ctx->scrub, M2_PLACE_QUERY) || ctx->client_line || !line) {
        return;
    }
    tail = strrchr(line, ' ');
    query = strchr(line, '?');
    if (!tail || !query || query > tail) {
        return;
    }
    query++;
    old = apr_pstrmemdup(r->pool, query, (apr_size_t)(tail - query));
    kept = scrubbed(r->pool, old, ctx->scrub);
    if (kept != old) {
        ctx->client_line = line;
        r->the_request = apr_pstrcat(
            r->pool, apr_pstrmemdup(r->pool, line, (apr_size_t)(query - line - 1)),
            *kept ? "?" : "", kept, tail, NULL);
    }
}

void m2mgw_line_restore(m2mgw_ctx_t *ctx, request_rec *r)
{
    if (ctx && ctx->client_line) {
        r->the_request = (char *)ctx->client_line;
        ctx->client_line = NULL;
    }
}

/* Whether the query belongs to the URL: to these it is a variable, and mod_proxy refuses a
 * path with a '?' in it. */
static int url_has_query(const char *filename)
{
    static const char *const without[] = { "fcgi://", "scgi://", "uwsgi://" };
    const char *socket = strstr(filename, "proxy:unix:") == filename ? strchr(filename, '|')
                                                                     : NULL;
    const char *url = socket ? socket + 1 : filename + strlen("proxy:");
    apr_size_t i;

    for (i = 0; i < sizeof(without) / sizeof(without[0]); i++) {
        if (ap_cstr_casecmpn(url, without[i], strlen(without[i])) == 0) {
            return 0;
        }
    }
    return 1;
}

void m2mgw_fix_raw_query(request_rec *r)
{
    char *query;

    if (!r->proxyreq || !r->filename || strlen(r->filename) < strlen("proxy:")
        || !apr_table_get(r->notes, "proxy-nocanon")) {
        return;
    }
    query = strchr(r->filename, '?');
    if (query) {
        r->filename = apr_pstrmemdup(r->pool, r->filename, (apr_size_t)(query - r->filename));
    }
    if (r->args && url_has_query(r->filename)) {
        r->filename = apr_pstrcat(r->pool, r->filename, "?", r->args, NULL);
    }
}
