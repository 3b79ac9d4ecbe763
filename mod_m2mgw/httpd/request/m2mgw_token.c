/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Finding the one token of a request, whatever spelling its carrier has, and removing it from
 * what the backend and the logs see. Anything that looks like two tokens is refused: the backend
 * might read the other one.
 */
#include "httpd/request/m2mgw_token.h"

#include "httpd/request/m2mgw_body.h"

#include "request/m2_cookie.h"
#include "request/m2_find.h"
#include "request/m2_nameset.h"

#define REDACTED "[redacted]"

/* Collects the tokens of one source. */
typedef struct finder_t {
    m2mgw_ctx_t *ctx;
    request_rec *r;
    m2_err_t *err;
    apr_array_header_t *tokens; /* of m2_slice_t */
    const char *value;          /* of the header field they were found in */
} finder_t;

/* Whether a field that is not empty has name in a spelling that differs by more than case:
 * CGI-style backends read it as the same name, and the later one may win. */
static int has_twin(const apr_table_t *headers, const char *name)
{
    const apr_array_header_t *all = apr_table_elts(headers);
    int i;

    for (i = 0; i < all->nelts; i++) {
        const apr_table_entry_t *field = &APR_ARRAY_IDX(all, i, apr_table_entry_t);

        if (*field->val && m2_find_is_twin(field->key, name)) {
            return 1;
        }
    }
    return 0;
}

static m2_code_t find_header(finder_t *f, const char *name)
{
    m2_code_t code;

    f->value = apr_table_get(f->r->headers_in, name);
    code = m2_find_in_header(f->tokens, name, f->value, f->err);
    if (code == M2_OK && has_twin(f->r->headers_in, name)) {
        return m2_err_set(f->err, M2_E_TOKEN_MULTIPLE, "header %s stands there in another "
                          "spelling, which counts as one more token", name);
    }
    return code;
}

static m2_code_t find_in_text(finder_t *f, m2_slice_t text, m2_reading_t reading,
                              const char *name)
{
    return text.p ? m2_find_in_pairs(f->tokens, m2_pairs_make(f->r->pool, text, reading), name,
                                     f->err)
                  : M2_OK;
}

static m2_code_t find_query(finder_t *f, const char *name)
{
    return find_in_text(f, m2_slice_z(f->r->args), M2_READ_FORM, name);
}

/* Some backends take a body without a type for a form: a token that they would find there counts
 * as an additional token, since other backends do not find it. */
static m2_code_t find_untyped(finder_t *f, const char *name)
{
    const int before = f->tokens->nelts;
    m2_slice_t text;
    m2_code_t code = m2mgw_body_text(&text, f->ctx, f->r, f->err);

    code = code != M2_OK ? code : find_in_text(f, text, M2_READ_FORM, name);
    if (code == M2_OK && f->tokens->nelts > before) {
        return m2_err_set(f->err, M2_E_TOKEN_MULTIPLE, "the body has no type, so that only some "
                          "backends would find the token %s in it", name);
    }
    return code;
}

static m2_code_t find_form(finder_t *f, const char *name)
{
    m2_slice_t form;
    const m2_code_t code = m2mgw_body_form(&form, f->ctx, f->r, f->err);

    if (code == M2_OK && m2mgw_body_kind(f->ctx, f->r) == M2_BODY_UNTYPED) {
        return find_untyped(f, name);
    }
    return code != M2_OK ? code : find_in_text(f, form, M2_READ_FORM, name);
}

static m2_code_t find_cookie(finder_t *f, const char *name)
{
    return find_in_text(f, m2_slice_z(apr_table_get(f->r->headers_in, "Cookie")),
                        M2_READ_COOKIE, name);
}

/* In every spelling: an additional token is removed too, where Shadow lets the request pass. */
static void remove_header(m2mgw_ctx_t *ctx, request_rec *r, const char *name)
{
    const apr_array_header_t *all = apr_table_elts(r->headers_in);
    int i = 0;

    (void)ctx;
    while (i < all->nelts) {
        const char *sent = APR_ARRAY_IDX(all, i, apr_table_entry_t).key;

        if (m2_header_name_like(sent, name)) {
            apr_table_unset(r->headers_in, sent); /* closes the gap: look here again */
        }
        else {
            i++;
        }
    }
}

static int is_name(const void *name, m2_slice_t raw)
{
    return m2_name_like(raw, name, M2_READ_FORM);
}

static void remove_query(m2mgw_ctx_t *ctx, request_rec *r, const char *name)
{
    (void)ctx;
    if (r->args) {
        r->args = (char *)m2_nameset_remove(r->pool, r->args, is_name, name);
        if (!*r->args) {
            r->args = NULL;
        }
    }
}

static void remove_cookie(m2mgw_ctx_t *ctx, request_rec *r, const char *name)
{
    const char *cookies = apr_table_get(r->headers_in, "Cookie");

    (void)ctx;
    if (cookies && (cookies = m2_cookie_without(r->pool, cookies, name)) != NULL) {
        apr_table_setn(r->headers_in, "Cookie", cookies);
    }
    else {
        apr_table_unset(r->headers_in, "Cookie");
    }
}

static void remove_form(m2mgw_ctx_t *ctx, request_rec *r, const char *name)
{
    const char *text, *kept;
    m2_slice_t form;

    /* a subrequest must not change the body or its length */
    if (r->main || m2mgw_body_text(&form, ctx, r, NULL) != M2_OK || !form.p) {
        return;
    }
    text = m2_form_text(r->pool, form);
    kept = m2_nameset_remove(r->pool, text, is_name, name);
    if (kept != text) {
        m2mgw_body_replace(ctx, r, kept);
    }
}

/* ORDER TOKEN PLACE */
static const struct place_t {
    m2_code_t (*find)(finder_t *f, const char *name);
    void (*remove)(m2mgw_ctx_t *ctx, request_rec *r, const char *name);
    int forwarded; /* without an M2MForwardToken */
} places[] = {
    { find_header, remove_header, 1 },
    { find_query, remove_query, 0 },
    { find_cookie, remove_cookie, 0 },
    { find_form, remove_form, 0 },
};
_Static_assert(sizeof(places) / sizeof(places[0]) == M2_TOKEN_FORM + 1, "a row for each place");

static int same_source(const m2mgw_found_t *seen, const m2_token_source_t *source)
{
    if (seen->place != source->place) {
        return 0;
    }
    if (seen->name == source->name) {
        return 1; /* of one directive */
    }
    return source->place == M2_TOKEN_HEADER
               ? m2_slice_is_nocase(m2_slice_z(seen->name), source->name)
               : m2_slice_is(m2_slice_z(seen->name), source->name);
}

static int seen_before(const m2mgw_root_t *root, const m2_token_source_t *source,
                       m2_slice_t token)
{
    int i;

    for (i = 0; i < root->found.nelts; i++) {
        const m2mgw_found_t *seen = &APR_ARRAY_IDX(&root->found, i, m2mgw_found_t);

        if (same_source(seen, source) && m2_slice_eq(seen->token, token)) {
            return 1;
        }
    }
    return 0;
}

/* Whether the one token of a header field came under the scheme `DPoP` (RFC 9449 7.1). */
static int came_as_dpop(const finder_t *f, const m2_token_source_t *source)
{
    return source->place == M2_TOKEN_HEADER && m2_find_is_dpop(f->value);
}

/* Tokens are kept with the initial request: a redirect's own pool and args may be others, and
 * only header fields stay where they are. A token that is found twice in one search is two
 * tokens. */
static void remember(finder_t *f, const m2_token_source_t *source)
{
    m2mgw_root_t *root = f->ctx->root;
    int i;

    for (i = 0; i < f->tokens->nelts; i++) {
        m2_slice_t token = APR_ARRAY_IDX(f->tokens, i, m2_slice_t);

        if (f->tokens->nelts > 1 || !seen_before(root, source, token)) {
            m2mgw_found_t *seen = apr_array_push(&root->found);

            seen->place = source->place;
            seen->name = source->name;
            seen->as_dpop = came_as_dpop(f, source);
            seen->token = source->place == M2_TOKEN_HEADER && f->r == root->r
                              ? token
                              : m2_slice(m2_slice_dup(root->r->pool, token), token.n);
        }
    }
}

/* mod_proxy logs the backend's URL at debug, and this one will hold the token: the request
 * logs nothing below info. */
static void log_no_urls(request_rec *r)
{
    const struct ap_logconf *now = r->log               ? r->log
                                   : r->connection->log ? r->connection->log
                                                        : &r->server->log;
    struct ap_logconf *quiet = apr_pcalloc(r->pool, sizeof(*quiet));

    quiet->level = now->level < APLOG_INFO ? now->level : APLOG_INFO;
    r->log = quiet;
}

static m2_code_t look_at(finder_t *f, const m2_token_source_t *source)
{
    const struct place_t *place = &places[source->place];
    const int keep = f->ctx->effective.dir->forward_token == M2_UNSET
                         ? place->forwarded
                         : f->ctx->effective.dir->forward_token;
    m2_code_t code;

    apr_array_clear(f->tokens);
    code = place->find(f, source->name);
    remember(f, source);
    if (!keep && (f->tokens->nelts > 0 || source->place == M2_TOKEN_QUERY)) {
        place->remove(f->ctx, f->r, source->name);
        f->ctx->token_removed |= f->tokens->nelts > 0;
    }
    else if (f->tokens->nelts > 0 && source->place == M2_TOKEN_QUERY) {
        log_no_urls(f->r);
    }
    return code;
}

/* The one token among all that were ever found in the policy's sources. */
static m2_code_t choose(m2mgw_ctx_t *ctx, const apr_array_header_t *sources, m2_err_t *err)
{
    const apr_array_header_t *seen = &ctx->root->found;
    int i, k, n = 0;

    for (i = 0; i < seen->nelts; i++) {
        const m2mgw_found_t *one = &APR_ARRAY_IDX(seen, i, m2mgw_found_t);

        for (k = 0; k < sources->nelts; k++) {
            if (same_source(one, &APR_ARRAY_IDX(sources, k, m2_token_source_t))) {
                ctx->token = one->token;
                ctx->as_dpop = one->as_dpop;
                ctx->token_elsewhere |= one->place != M2_TOKEN_HEADER
                                        || !m2_slice_is_nocase(m2_slice_z(one->name),
                                                               "Authorization");
                n++;
                break;
            }
        }
    }
    return n > 1 ? m2_err_set(err, M2_E_TOKEN_MULTIPLE, "the request carries %d tokens", n)
                 : M2_OK;
}

m2_code_t m2mgw_token_take(m2mgw_ctx_t *ctx, request_rec *r, m2_err_t *err)
{
    const apr_array_header_t *sources = ctx->effective.sources->list;
    m2_slice_t few[2];
    apr_array_header_t tokens = { r->pool, sizeof(few[0]), 0, 2, (char *)few };
    finder_t f = { ctx, r, err, &tokens, NULL };
    m2_code_t worst = M2_OK;
    m2_code_t code;
    int i;

    ctx->token = m2_slice(NULL, 0);
    ctx->as_dpop = 0;
    for (i = 0; i < sources->nelts; i++) {
        code = look_at(&f, &APR_ARRAY_IDX(sources, i, m2_token_source_t));
        if (worst == M2_OK) {
            worst = code;
        }
    }
    code = choose(ctx, sources, err);
    return worst != M2_OK ? worst : code;
}

const char *m2mgw_token_why_none(const m2mgw_ctx_t *ctx, const request_rec *r)
{
    const apr_array_header_t *sources = ctx->effective.sources->list;
    int i;

    for (i = 0; i < sources->nelts; i++) {
        const m2_token_source_t *source = &APR_ARRAY_IDX(sources, i, m2_token_source_t);

        if (source->place == M2_TOKEN_HEADER
            && m2_slice_is_nocase(m2_slice_z(source->name), "Authorization")) {
            return m2_find_why_none(apr_table_get(r->headers_in, source->name));
        }
    }
    return NULL;
}

void m2mgw_token_mask(request_rec *r, int args)
{
    const m2mgw_server_t *conf = ap_get_module_config(r->server->module_config,
                                                      &m2mgw_module);
    const m2_nameset_t *names = conf->query_names;
    const char *referer;

    if (!names) {
        return;
    }
    if (r->the_request) {
        r->the_request = (char *)m2_nameset_mask_url(
            r->pool, r->the_request, strrchr(r->the_request, ' '), names, REDACTED);
    }
    if (r->unparsed_uri) {
        r->unparsed_uri = (char *)m2_nameset_mask_url(r->pool, r->unparsed_uri, NULL, names,
                                                      REDACTED);
    }
    if (r->parsed_uri.query) {
        /* mod_log_config writes this for a line that holds a password (http://u:p@host/) */
        r->parsed_uri.query = (char *)m2_nameset_mask(r->pool, r->parsed_uri.query, names,
                                                   REDACTED);
    }
    if ((referer = apr_table_get(r->headers_in, "Referer")) != NULL) {
        /* a page that was asked for with a token; httpd ends its log lines with this */
        apr_table_setn(r->headers_in, "Referer",
                       m2_nameset_mask_url(r->pool, referer, NULL, names, REDACTED));
    }
    if (args && r->args) {
        r->args = (char *)m2_nameset_mask(r->pool, r->args, names, REDACTED);
    }
    if (args && r->filename) { /* of mod_proxy: the backend's URL */
        r->filename = (char *)m2_nameset_mask_url(r->pool, r->filename, NULL, names, REDACTED);
    }
}
