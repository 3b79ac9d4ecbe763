/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The documents are made when the server starts, from what is in force in the section that
 * names the resource: a request only chooses one by its path. Nothing in them is secret, and
 * pages of other origins may read them.
 */
#include "httpd/request/m2mgw_resource.h"

#include "httpd/config/m2mgw_section.h"

#include "token/m2_scope.h"

typedef struct document_t {
    const server_rec *server; /* of the section; the main server's is every host's */
    const char *path;         /* decoded, whole */
    const char *text;
} document_t;

static apr_array_header_t *documents; /* of document_t; NULL before the first start */

/* --- what is in force --- */

static void add_once(apr_array_header_t *list, const char *text)
{
    if (!ap_array_str_contains(list, text)) {
        APR_ARRAY_PUSH(list, const char *) = text;
    }
}

/* `Require m2m-scope a b`, at any depth; what is refused by `not` is not asked for. */
static void add_required(apr_array_header_t *scopes, const ap_directive_t *d)
{
    for (; d; d = d->next) {
        const char *args = d->args;

        if (d->first_child && ap_cstr_casecmp(d->directive, "<RequireNone") != 0) {
            add_required(scopes, d->first_child);
        }
        if (ap_cstr_casecmp(d->directive, "Require") != 0
            || !m2_slice_is_nocase(m2_slice_z(ap_getword_conf(scopes->pool, &args)),
                                   "m2m-scope")) {
            continue;
        }
        while (*args) {
            add_once(scopes, ap_getword_conf(scopes->pool, &args));
        }
    }
}

static void add_claimed(apr_array_header_t *scopes, const m2_claims_policy_t *claims)
{
    int i, j;

    for (i = 0; claims->requires && i < claims->requires->nelts; i++) {
        const m2_require_t *require = &APR_ARRAY_IDX(claims->requires, i, m2_require_t);

        for (j = 0; m2_scope_is(claims->scopes, require->name) && require->values
                    && j < require->values->nelts; j++) {
            add_once(scopes, APR_ARRAY_IDX(require->values, j, const char *));
        }
    }
}

static void add_described(apr_array_header_t *scopes, const m2_operations_t *table)
{
    int i, j, k;

    for (i = 0; i < m2_operations_count(table); i++) {
        const apr_array_header_t *any = m2_operations_at(table, i)->alternatives;

        for (j = 0; any && j < any->nelts; j++) {
            const apr_array_header_t *all = APR_ARRAY_IDX(any, j, const apr_array_header_t *);

            for (k = 0; k < all->nelts; k++) {
                add_once(scopes, APR_ARRAY_IDX(all, k, const char *));
            }
        }
    }
}

static apr_array_header_t *scopes_of(apr_pool_t *pool, const m2mgw_section_t *section,
                                     const m2mgw_effective_t *effective)
{
    apr_array_header_t *scopes = apr_array_make(pool, 8, sizeof(const char *));

    if (section->where) {
        add_required(scopes, section->where->first_child);
    }
    add_claimed(scopes, &effective->policy.claims);
    if (effective->operations) {
        add_described(scopes, effective->operations->table);
    }
    return scopes;
}

/* RFC 6750 2: Authorization, and access_token in a form or a query. A client that is told `query`
 * sends nothing else. */
static const char *method_of(const m2_token_source_t *source)
{
    static const struct {
        const char *word, *name;
    } methods[] = { { "header", "Authorization" }, { "query", "access_token" }, { NULL, NULL },
                    { "body", "access_token" } }; /* ORDER TOKEN PLACE */
    const char *name = methods[source->place].name;

    _Static_assert(sizeof(methods) / sizeof(methods[0]) == M2_TOKEN_FORM + 1, "a row a place");
    return name && (source->place == M2_TOKEN_HEADER
                        ? m2_slice_is_nocase(m2_slice_z(source->name), name)
                        : m2_slice_is(m2_slice_z(source->name), name))
               ? methods[source->place].word : NULL;
}

/* Only what can carry a bearer token. */
static apr_array_header_t *methods_of(apr_pool_t *pool, const m2mgw_effective_t *effective)
{
    const apr_array_header_t *sources = effective->sources->list;
    apr_array_header_t *methods = apr_array_make(pool, 4, sizeof(const char *));
    int i;

    for (i = 0; i < sources->nelts
                && effective->policy.bound.constraint != M2_CONSTRAINT_DPOP; i++) {
        const char *word = method_of(&APR_ARRAY_IDX(sources, i, m2_token_source_t));

        if (word) {
            add_once(methods, word);
        }
    }
    return methods;
}

static int takes_proofs(const m2mgw_effective_t *effective)
{
    const m2_constraint_t constraint = effective->policy.bound.constraint;

    return m2mgw_takes_dpop(effective) && constraint != M2_CONSTRAINT_OFF
           && constraint != M2_CONSTRAINT_MTLS;
}

/* --- the document --- */

static void set_list(m2_json_t *json, apr_pool_t *pool, const char *name,
                     const apr_array_header_t *values)
{
    m2_json_t *array = m2_json_make_array(pool);
    int i;

    for (i = 0; values && i < values->nelts; i++) {
        m2_json_append_string(array, APR_ARRAY_IDX(values, i, const char *));
    }
    m2_json_set_json(json, name, array);
}

static void set_algs(m2_json_t *json, apr_pool_t *pool, m2_alg_mask_t mask)
{
    apr_array_header_t *names = apr_array_make(pool, 12, sizeof(const char *));
    const m2_alg_t *alg;
    int i;

    for (i = 0; (alg = m2_alg_at(i)) != NULL; i++) {
        if (alg->bit & mask & m2_proof_algs()) {
            APR_ARRAY_PUSH(names, const char *) = alg->name;
        }
    }
    set_list(json, pool, "dpop_signing_alg_values_supported", names);
}

/* Whether clients can present a certificate to the resource. */
static int takes_certificates(const m2mgw_effective_t *effective)
{
    const m2mgw_certificate_t *certificate = effective->dir->certificate;
    const m2_constraint_t constraint = effective->policy.bound.constraint;

    return constraint != M2_CONSTRAINT_OFF && constraint != M2_CONSTRAINT_DPOP
           && ((certificate && certificate->header) || ap_find_linked_module("mod_ssl.c"));
}

static void set_bound(m2_json_t *json, apr_pool_t *pool, const m2mgw_effective_t *effective)
{
    const m2_bound_policy_t *bound = &effective->policy.bound;

    if (takes_proofs(effective)) {
        set_algs(json, pool, bound->proof.algs);
    }
    m2_json_set_bool(json, "dpop_bound_access_tokens_required",
                     bound->constraint == M2_CONSTRAINT_DPOP);
    m2_json_set_bool(json, "tls_client_certificate_bound_access_tokens",
                     takes_certificates(effective));
}

/* The issuers that are listed, and those that keys are bound to. */
static apr_array_header_t *issuers_of(apr_pool_t *pool, const m2_claims_policy_t *claims)
{
    const apr_array_header_t *lists[] = { claims->issuers, claims->bound };
    apr_array_header_t *issuers = apr_array_make(pool, 2, sizeof(const char *));
    int i, k;

    for (i = 0; i < 2; i++) {
        for (k = 0; lists[i] && k < lists[i]->nelts; k++) {
            add_once(issuers, APR_ARRAY_IDX(lists[i], k, const char *));
        }
    }
    return issuers;
}

static const char *make_text(apr_pool_t *pool, const m2mgw_section_t *section,
                             const m2mgw_effective_t *effective)
{
    const apr_array_header_t *scopes = scopes_of(pool, section, effective);
    const apr_array_header_t *issuers = issuers_of(pool, &effective->policy.claims);
    m2_json_t *json = m2_json_make(pool);

    m2_json_set_string(json, "resource", effective->dir->resource->url);
    if (issuers->nelts) {
        set_list(json, pool, "authorization_servers", issuers);
    }
    if (scopes->nelts) {
        set_list(json, pool, "scopes_supported", scopes);
    }
    set_list(json, pool, "bearer_methods_supported", methods_of(pool, effective));
    set_bound(json, pool, effective);
    return apr_pstrcat(pool, m2_json_dump(pool, json), "\n", NULL);
}

/* --- hooks --- */

static int hook_post_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp,
                            server_rec *s)
{
    const apr_array_header_t *sections = m2mgw_cfg_sections();
    m2mgw_effective_t effective;
    int i;

    (void)plog;
    (void)ptemp;
    (void)s;
    documents = apr_array_make(pconf, 4, sizeof(document_t));
    for (i = 0; i < sections->nelts; i++) {
        const m2mgw_section_t *section = APR_ARRAY_IDX(sections, i, m2mgw_section_t *);
        document_t document = { section->server, NULL, NULL };

        if (section->dir->resource
            && m2mgw_effective(&effective, m2mgw_cfg_resolved(pconf, section))) {
            document.path = section->dir->resource->path;
            document.text = make_text(pconf, section, &effective);
            APR_ARRAY_PUSH(documents, document_t) = document;
        }
    }
    return OK;
}

/* The host's own first, then what it inherits from the main server. */
static const char *find(const request_rec *r)
{
    const char *inherited = NULL;
    int i;

    for (i = 0; documents && i < documents->nelts; i++) {
        const document_t *one = &APR_ARRAY_IDX(documents, i, document_t);

        if (!m2_slice_is(m2_slice_z(one->path), r->uri)) {
            continue;
        }
        if (one->server == r->server) {
            return one->text;
        }
        if (!one->server->is_virtual) {
            inherited = one->text;
        }
    }
    return inherited;
}

static int hook_handler(request_rec *r)
{
    const char *text;

    if (!r->handler || !m2_slice_is(m2_slice_z(r->handler), "m2m-resource-metadata")) {
        return DECLINED;
    }
    ap_allow_standard_methods(r, REPLACE_ALLOW, M_GET, -1);
    if (r->method_number != M_GET) {
        return HTTP_METHOD_NOT_ALLOWED;
    }
    text = find(r);
    if (!text) {
        return HTTP_NOT_FOUND;
    }
    apr_table_setn(r->headers_out, "Access-Control-Allow-Origin", "*");
    ap_set_content_type(r, "application/json");
    ap_set_content_length(r, (apr_off_t)strlen(text));
    ap_rputs(text, r);
    return OK;
}

void m2mgw_resource_register(void)
{
    ap_hook_post_config(hook_post_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_handler(hook_handler, NULL, NULL, APR_HOOK_MIDDLE);
}
