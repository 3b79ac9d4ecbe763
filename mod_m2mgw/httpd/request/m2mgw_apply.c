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
#include "httpd/request/m2mgw_fields.h"

#include "text/m2_form.h"

#define REQUEST_ID "X-Ca-Request-Id"

/* Names of one place to be taken out, NULL: none. */
static const apr_array_header_t *names_of(const m2mgw_ctx_t *ctx, m2_place_t place)
{
    const m2_mapping_t *mapping = ctx->effective.policy.mapping;

    return mapping ? mapping->names[place] : NULL;
}

static int header_is_ours(const char *name, const apr_array_header_t *names)
{
    int i;

    if (m2_header_name_like(name, REQUEST_ID)) {
        return 1;
    }
    for (i = 0; names && i < names->nelts; i++) {
        if (m2_header_name_like(name, APR_ARRAY_IDX(names, i, const char *))) {
            return 1;
        }
    }
    return 0;
}

/* mod_proxy drops every header that the client's Connection names (RFC 9110 7.6.1), and
 * would drop ours. */
static void scrub_connection(request_rec *r, const apr_array_header_t *names)
{
    const char *value = apr_table_get(r->headers_in, "Connection");
    apr_array_header_t *kept;
    char *state;
    char *one;

    if (!value) {
        return;
    }
    kept = apr_array_make(r->pool, 4, sizeof(m2_slice_t));
    /* mod_proxy takes semicolons for separators as well */
    one = apr_strtok(apr_pstrdup(r->pool, value), ",; \t", &state);
    for (; one; one = apr_strtok(NULL, ",; \t", &state)) {
        if (!header_is_ours(one, names)) {
            APR_ARRAY_PUSH(kept, m2_slice_t) = m2_slice_z(one);
        }
    }
    m2mgw_set_list(r, "Connection", kept, ", ");
}

static void scrub_headers(request_rec *r, const apr_array_header_t *names)
{
    const apr_array_header_t *all = apr_table_elts(r->headers_in);
    const apr_table_entry_t *entries = (const apr_table_entry_t *)all->elts;
    apr_array_header_t *doomed = NULL;
    int i;

    for (i = 0; i < all->nelts; i++) {
        if (header_is_ours(entries[i].key, names)) {
            if (!doomed) {
                doomed = apr_array_make(r->pool, 2, sizeof(const char *));
            }
            APR_ARRAY_PUSH(doomed, const char *) = entries[i].key;
        }
    }
    for (i = 0; doomed && i < doomed->nelts; i++) {
        apr_table_unset(r->headers_in, APR_ARRAY_IDX(doomed, i, const char *));
    }
    scrub_connection(r, names);
}

static void scrub_query(request_rec *r, const apr_array_header_t *names)
{
    if (r->args && names) {
        r->args = (char *)m2_form_remove(r->pool, r->args, NULL, names);
        if (!*r->args) {
            r->args = NULL;
        }
    }
}

void m2mgw_scrub(m2mgw_ctx_t *ctx, request_rec *r)
{
    const apr_array_header_t *env = names_of(ctx, M2_PLACE_ENV);
    int i;

    scrub_headers(r, names_of(ctx, M2_PLACE_HEADER));
    apr_table_addn(r->headers_in, REQUEST_ID, ctx->root->request_id);
    scrub_query(r, names_of(ctx, M2_PLACE_QUERY));
    for (i = 0; env && i < env->nelts; i++) {
        apr_table_unset(r->subprocess_env, APR_ARRAY_IDX(env, i, const char *));
    }
}

static void publish_query(request_rec *r, const m2_publish_t *entry)
{
    r->args = (char *)m2_form_append(r->pool, r->args, entry->name,
                                     m2_slice_z(entry->value));
}

static void publish_header(request_rec *r, const m2_publish_t *entry)
{
    apr_table_setn(r->headers_in, entry->name, entry->value);
}

static void publish_env(request_rec *r, const m2_publish_t *entry)
{
    apr_table_setn(r->subprocess_env, entry->name, entry->value);
}

/* ORDER PLACE. Path and form values go where the URL and the body are put together. */
static void (*const publishers[])(request_rec *r, const m2_publish_t *entry) = {
    publish_query, publish_header, NULL, NULL, publish_env,
};

static void publish_all(request_rec *r, const apr_array_header_t *list)
{
    int i;

    for (i = 0; list && i < list->nelts; i++) {
        const m2_publish_t *entry = &APR_ARRAY_IDX(list, i, m2_publish_t);

        if (entry->value && publishers[entry->place]) {
            publishers[entry->place](r, entry);
        }
    }
}

/* Our own variables. They were scrubbed and each comes once, so nothing has to be looked for;
 * the texts live as long as the client's request. */
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

/* Entries of the form target, appended to form. */
static const char *add_form_values(apr_pool_t *pool, const char *form,
                                   const apr_array_header_t *list)
{
    int i;

    for (i = 0; list && i < list->nelts; i++) {
        const m2_publish_t *entry = &APR_ARRAY_IDX(list, i, m2_publish_t);

        if (entry->place == M2_PLACE_FORM && entry->value) {
            form = m2_form_append(pool, form, entry->name, m2_slice_z(entry->value));
        }
    }
    return form;
}

m2_code_t m2mgw_publish_form(m2mgw_ctx_t *ctx, request_rec *r, m2_err_t *err)
{
    const apr_array_header_t *names = names_of(ctx, M2_PLACE_FORM);
    m2_slice_t form;
    m2_code_t code;
    const char *text;

    if (!names || r->main) {
        return M2_OK;
    }
    if (m2mgw_body_is_opaque(r)) {
        return m2_err_set(err, M2_E_BODY_UNSUPPORTED, "this kind of body cannot be rewritten");
    }
    code = m2mgw_body_form(&form, ctx, r, err);
    if (code != M2_OK || !form.p) {
        return code;
    }
    text = m2_form_remove(r->pool, m2_slice_dup(r->pool, form), NULL, names);
    if (ctx->verdict.verified) {
        text = add_form_values(r->pool, text, ctx->verdict.publish);
    }
    m2mgw_body_replace(ctx, r, text);
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

/* CGI's REQUEST_URI is read off the request line, so while a handler runs our names are not
 * in there either; the log gets the client's own line back. */
void m2mgw_line_scrub(m2mgw_ctx_t *ctx, request_rec *r)
{
    const apr_array_header_t *names = names_of(ctx, M2_PLACE_QUERY);
    const char *line = r->the_request;
    const char *tail, *query, *old, *kept;

    if (!names || ctx->client_line || !line) {
        return;
    }
    tail = strrchr(line, ' ');
    query = strchr(line, '?');
    if (!tail || !query || query > tail) {
        return;
    }
    query++;
    old = apr_pstrmemdup(r->pool, query, (apr_size_t)(tail - query));
    kept = m2_form_remove(r->pool, old, NULL, names);
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
