/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The sections that httpd finds for r->uri, compared with those that each reading of it
 * finds. Both directions matter: `/APP/x` misses a protected <Location /app>, and
 * `/app/public/..;/x` meets an open <Location /app/public> which the backend does not see.
 *
 * Most paths have one reading, which differs from them by nothing but a slash at the end:
 * one walk over the bytes and one look into the sorted table are all that they cost.
 */
#include "httpd/request/m2mgw_pathguard.h"

#include "httpd/config/m2mgw_guarded.h"
#include "httpd/request/m2mgw_apply.h"
#include "httpd/request/m2mgw_path.h"
#include "httpd/request/m2mgw_response.h"

#include "request/m2_path_guard.h"

#include <apr_dso.h>
#include <apr_fnmatch.h>

#define SHORT_PATH 512 /* bytes that are folded without a pool */

typedef const void *provider_of_fn(request_rec *r);

/* written once, before the server has threads */
static apr_size_t judged_note;

/* mod_dav's own, found when all modules are loaded; NULL without it */
static provider_of_fn *provider_of;

/* One comparison, as far as it has come. */
typedef struct look_t {
    request_rec *r;
    const m2mgw_guard_t *guard;
    m2_path_guard_t compared;      /* of m2mgw_guarded_t */
    unsigned marks;
    const char *uri;               /* r->uri as the location walk sees it */
    const char *folded;            /* the same without case */
    int only_case;                 /* the reading under way differs from it by nothing else */
    const m2_path_entry_t *found;  /* what uri lies in when case does not count */
} look_t;

static m2_engine_t engine_of(const void *what)
{
    return (m2_engine_t)((const m2mgw_guarded_t *)what)->engine;
}
_Static_assert((int)M2MGW_ENGINE_OFF == (int)M2_ENGINE_OFF
               && (int)M2MGW_ENGINE_ON == (int)M2_ENGINE_ON
               && (int)M2MGW_ENGINE_SHADOW == (int)M2_ENGINE_SHADOW, "the same words");

/* --- expressions --- */

static int matches(const m2mgw_expression_t *e, const char *path)
{
    return e->regex ? ap_regexec(e->regex, path, 0, NULL, 0) == 0
                    : apr_fnmatch(e->section.written, path, APR_FNM_PATHNAME) == APR_SUCCESS;
}

static int matches_blind(const m2mgw_expression_t *e, const char *path)
{
    return e->blind ? ap_regexec(e->blind, path, 0, NULL, 0) == 0
                    : apr_fnmatch(e->section.written, path,
                                  APR_FNM_PATHNAME | APR_FNM_CASE_BLIND) == APR_SUCCESS;
}

/* Whether what the expression matches can begin with what path begins with. A slash may be
 * missing at the end of the path. */
static int may_match(const m2mgw_expression_t *e, const char *path)
{
    const char *start = e->start;

    while (*start && *start == *path) {
        start++;
        path++;
    }
    return *start == '\0' || (*path == '\0' && start[0] == '/' && start[1] == '\0');
}

static int reading_matches(const look_t *look, const m2mgw_expression_t *e,
                           const char *reading)
{
    const char *slashed = apr_pstrcat(look->r->pool, reading, "/", NULL);

    return (*reading && matches_blind(e, reading)) || matches_blind(e, slashed);
}

/* httpd tries regular expressions on r->uri itself, wildcards on what has its slashes merged. */
static int uri_matches(const look_t *look, const m2mgw_expression_t *e)
{
    return matches(e, e->regex ? look->r->uri : look->uri);
}

/* A path without marks is its own reading, so what cannot match the one matches neither. */
static void compare_expression(look_t *look, const m2mgw_expression_t *e, const char *reading)
{
    const int possible = may_match(e, reading);
    int read, met;

    if (!possible && !look->marks) {
        return;
    }
    read = possible && reading_matches(look, e, reading);
    met = uri_matches(look, e);
    m2_path_guard_add(&look->compared, &e->section, met, read, reading);
}

/* A section that begins with the same path but for case, is stricter and is found. */
static int stands_in(const void *what, const void *baton)
{
    const apr_array_header_t *twins = ((const m2mgw_guarded_t *)what)->twins;
    const look_t *look = baton;
    int i, found = 0;

    for (i = 0; twins && look->only_case && !found && i < twins->nelts; i++) {
        const m2mgw_twin_t *twin = &APR_ARRAY_IDX(twins, i, m2mgw_twin_t);

        found = twin->prefix ? m2_path_entry_covers(twin->prefix, look->uri)
                             : uri_matches(look, twin->expression);
    }
    return found;
}

static void compare(look_t *look, const char *reading)
{
    const apr_array_header_t *list = look->guard->expressions;
    int i;

    look->only_case = m2_slice_is(m2_slice_z(reading), look->folded);
    m2_path_guard_prefixes(&look->compared, look->guard->prefixes, look->found, look->uri,
                           reading);
    for (i = 0; i < list->nelts; i++) {
        compare_expression(look, &APR_ARRAY_IDX(list, i, const m2mgw_expression_t), reading);
    }
}

/* --- <Proxy> --- */

static int begins_with(const char *text, const char *prefix)
{
    while (*prefix && *text == *prefix) {
        text++;
        prefix++;
    }
    return *prefix == '\0';
}

static int proxy_meets(const m2mgw_proxied_t *p, const char *url)
{
    const char *written = p->section.written;

    if (p->regex) {
        return ap_regexec(p->regex, url, 0, NULL, 0) == 0;
    }
    return p->has_wildcards ? apr_fnmatch(written, url, 0) == APR_SUCCESS
                            : begins_with(url, written);
}

static int proxy_reads(const m2mgw_proxied_t *p, const char *url)
{
    if (p->regex) {
        return p->blind && ap_regexec(p->blind, url, 0, NULL, 0) == 0;
    }
    return p->has_wildcards
               ? apr_fnmatch(p->section.written, url, APR_FNM_CASE_BLIND) == APR_SUCCESS
               : begins_with(url, p->folded);
}

static void compare_proxied(look_t *look, const m2mgw_proxied_t *p, const char *url,
                            const char *reading)
{
    const char *slashed = apr_pstrcat(look->r->pool, reading, "/", NULL);
    const int read = proxy_reads(p, reading) || proxy_reads(p, slashed);
    const int met = proxy_meets(p, url)
                    || (read && proxy_meets(p, apr_pstrcat(look->r->pool, url, "/", NULL)));

    m2_path_guard_add(&look->compared, &p->section, met, read, reading);
}

/* The path in an URL: behind its authority, before its query. */
static const char *path_in(const char *url)
{
    const char *authority = ap_strstr_c(url, "://");
    const char *path = authority ? ap_strchr_c(authority + 3, '/') : NULL;

    return path ? path : url + strlen(url);
}

static void compare_url(look_t *look, const char *whole)
{
    const apr_array_header_t *list = look->guard->proxied;
    apr_pool_t *pool = look->r->pool;
    const char *url = apr_pstrmemdup(pool, whole, strcspn(whole, "?"));
    const char *path = path_in(url);
    const char *origin = m2_path_fold(pool, apr_pstrmemdup(pool, url, (apr_size_t)(path - url)));
    m2_path_reading_t readings[M2_PATH_READINGS];
    const int n = m2_path_readings(readings, pool, path);
    int i, k;

    for (i = 0; i < n; i++) {
        const char *reading = apr_pstrcat(pool, origin, readings[i].path, NULL);

        for (k = 0; k < list->nelts; k++) {
            compare_proxied(look, &APR_ARRAY_IDX(list, k, const m2mgw_proxied_t), url, reading);
        }
    }
}

/* A forward request (ProxyRequests) is compared with <Location> by its whole URL, so that none
 * covers it, whatever backend and path it names, and none covers `*` either, which a rewrite may
 * forward (AllowAnyURI). A <Proxy> with a directive of ours does, and a policy of the virtual
 * host. */
static int is_uncovered_forward(const look_t *look)
{
    const m2mgw_dir_t *dir = ap_get_module_config(look->r->per_dir_config, &m2mgw_module);
    const apr_array_header_t *list = look->guard->proxied;
    const char *url = look->r->filename ? look->r->filename : "";
    m2mgw_effective_t effective;
    int i;

    if (!look->r->proxyreq || !look->guard->strict
        || (look->r->proxyreq != PROXYREQ_PROXY && look->r->uri[0] == '/')
        || (m2mgw_effective(&effective, dir) && effective.engine == M2MGW_ENGINE_ON)) {
        return 0;
    }
    url += begins_with(url, "proxy:") ? strlen("proxy:") : 0;
    for (i = 0; i < list->nelts; i++) {
        if (proxy_meets(&APR_ARRAY_IDX(list, i, const m2mgw_proxied_t), url)) {
            return 0;
        }
    }
    return 1;
}

/* --- all of it --- */

/* As ap_location_walk makes it of r->uri. */
static const char *walked(const look_t *look)
{
    char *merged;

    if (!look->guard->merges_slashes || !(look->marks & M2_PATH_DEVICE)) {
        return look->r->uri;
    }
    merged = apr_pstrdup(look->r->pool, look->r->uri);
    ap_no2slash(merged);
    return merged;
}

/* Whether nothing of it changes by folding: most paths. */
static int is_folded(const look_t *look)
{
    const apr_size_t n = strlen(look->uri);

    return !(look->marks & M2_PATH_CAPITAL) && n && look->uri[n - 1] != '/';
}

static void look_for_sections(look_t *look, const m2_path_reading_t *readings, int n)
{
    char buffer[SHORT_PATH];
    const char *folded = buffer;
    int i;

    look->uri = walked(look);
    if (is_folded(look)) {
        folded = look->uri;
    }
    else if (!m2_path_fold_into(buffer, sizeof(buffer), look->uri)) {
        folded = m2_path_fold(look->r->pool, look->uri);
    }
    look->folded = folded;
    look->found = m2_path_table_find(look->guard->prefixes, folded);
    if (!look->marks && !look->guard->expressions->nelts
        && (!look->found || look->found->is_folded)) {
        return; /* the one reading finds what httpd finds */
    }
    if (!n) {
        compare(look, folded);
    }
    for (i = 0; i < n; i++) {
        compare(look, readings[i].path);
    }
    look->compared.reading = apr_pstrdup(look->r->pool, look->compared.reading);
}

static const char *raw_path(const request_rec *r)
{
    const char *raw = r->unparsed_uri ? r->unparsed_uri : "";
    const char *path = raw[0] == '/' ? raw : path_in(raw);

    return apr_pstrmemdup(r->pool, path, strcspn(path, "?"));
}

/* What is refused whatever the sections are. A section may declare only the readings to be data. */
static const char *always_unsafe(const look_t *look, const m2_path_reading_t *readings, int n)
{
    const char *why = m2_path_guard_always(look->marks, readings, n,
                                           look->compared.only_missed);

    if (!why && m2mgw_path_is_raw(look->r)
        && m2_path_has_dots(look->r->pool, raw_path(look->r))) {
        why = "the raw path is forwarded and has a segment that decodes to . or ..";
    }
    return why;
}

static const m2mgw_guarded_t *missed(const look_t *look)
{
    return look->compared.missed;
}

static m2mgw_ctx_t *record(const look_t *look, const char *why, m2mgw_engine_t engine)
{
    m2mgw_ctx_t *ctx = m2mgw_ctx_make(look->r);
    const m2mgw_dir_t *server = look->guard->dir;

    m2mgw_ctx_close(ctx, missed(look) && missed(look)->dir ? missed(look)->dir : server,
                    M2_E_PATH_UNSAFE, why);
    ctx->effective.engine = engine;
    ctx->effective.profile = m2mgw_profile_of(server);
    ctx->decided = 1;
    m2mgw_note_decision(ctx, look->r);
    return ctx;
}

static int refuse(const look_t *look, const char *why)
{
    return m2mgw_refuse(record(look, why, M2MGW_ENGINE_ON), look->r);
}

/* A refusal that does not stop the request: it is counted when the request is over, unless a
 * section that decides by then refuses it (m2mgw_record.c). */
static void pass_in_shadow(const look_t *look, const char *why)
{
    m2mgw_ctx_t *ctx = record(look, why, M2MGW_ENGINE_SHADOW);

    ctx->path_shadow = why;
    ctx->path_section = ctx->effective.dir->section;
    ctx->decided = 0;
    ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, look->r, "M2-203: %s: would be refused: "
                  "path_unsafe: %s", look->r->uri, why);
}

static int conclude(const look_t *look)
{
    const m2_engine_t engine = m2_path_guard_verdict(&look->compared, look->guard->host_is_on);
    const char *why;

    if (engine == M2_ENGINE_OFF) {
        return DECLINED;
    }
    why = apr_psprintf(look->r->pool, "a backend could read the path as \"%s\", which %s the "
                       "section %s", *look->compared.reading ? look->compared.reading : "/",
                       look->compared.was_missed ? "is in" : "is not in", missed(look)->written);
    if (engine == M2_ENGINE_ON) {
        return refuse(look, why);
    }
    pass_in_shadow(look, why);
    return DECLINED;
}

/* --- Destination --- */

/* RFC 4918 10.3: the path that COPY and MOVE write to. mod_dav itself asks what its request may;
 * a backend only sees that this request has passed. */
static const char *destination_of(const request_rec *r)
{
    const char *to = apr_table_get(r->headers_in, "Destination");
    const char *path;

    if (!to || r->method_number == M_GET || r->method_number == M_OPTIONS
        || (!r->proxyreq && provider_of && provider_of((request_rec *)r))) {
        return NULL;
    }
    path = to[0] == '/' ? to : path_in(to);
    return apr_pstrmemdup(r->pool, path, strcspn(path, "?#"));
}

/* A section that some reading of the destination lies in. */
typedef struct hit_t {
    const m2mgw_guarded_t *section;
    int met;   /* the request lies in it, and its policy decides about the request */
    int exact; /* so does the destination as httpd reads it */
} hit_t;

/* The destination as httpd would read it; NULL where a backend may read that otherwise. */
static const char *plain_of(apr_pool_t *pool, const char *path)
{
    char *plain = apr_pstrdup(pool, path);

    return ap_unescape_url(plain) == OK
                   && !(m2_path_marks(plain) & (M2_PATH_DEVICE | M2_PATH_CONTROL))
               ? plain
               : NULL;
}

/* Whether a policy decides about r: a section lies around one that is Off, too. */
static int is_decided(const request_rec *r)
{
    const m2mgw_dir_t *dir = ap_get_module_config(r->per_dir_config, &m2mgw_module);
    m2mgw_effective_t effective;

    return m2mgw_effective(&effective, dir) && effective.engine == M2MGW_ENGINE_ON;
}

static int is_covered(const look_t *look, const m2_path_entry_t *entry,
                      const m2mgw_expression_t *e, const char *path)
{
    return entry ? m2_path_entry_covers(entry, path)
                 : path == look->uri ? uri_matches(look, e) : matches(e, path);
}

/* entry or e is one that a reading lies in. A request that httpd has redirected within itself was
 * in the sections of its earlier paths, which have decided about it. */
static void add_hit(apr_array_header_t *hits, const look_t *look, const m2_path_entry_t *entry,
                    const m2mgw_expression_t *e, const char *plain)
{
    hit_t *hit = apr_array_push(hits);
    const request_rec *r;

    hit->section = entry ? entry->what : &e->section;
    hit->exact = plain && is_covered(look, entry, e, plain);
    hit->met = 0;
    for (r = look->r; r && !hit->met; r = r->prev) {
        hit->met = is_covered(look, entry, e, r == look->r ? look->uri : r->uri)
                   && (!hit->section->dir || is_decided(r));
    }
}

/* Whether the last word of M2MEngine in these sections is Off, and httpd would find it. */
static int are_open(const apr_array_header_t *hits)
{
    const hit_t *last = NULL;
    int i;

    for (i = 0; i < hits->nelts; i++) {
        const hit_t *hit = &APR_ARRAY_IDX(hits, i, hit_t);

        if (hit->section->said != M2MGW_ENGINE_UNSET
            && (!last || hit->section->order >= last->section->order)) {
            last = hit;
        }
    }
    return last && last->section->said == M2MGW_ENGINE_OFF && last->exact;
}

/* Adds the sections of one reading; where M2MEngine is Off, only those with a plain `Require`. */
static void compare_reading(look_t *look, const char *plain, const char *reading)
{
    const apr_array_header_t *list = look->guard->expressions;
    apr_array_header_t *hits = apr_array_make(look->r->pool, 4, sizeof(hit_t));
    const m2_path_entry_t *entry = m2_path_table_find(look->guard->prefixes, reading);
    int i, open;

    for (; entry; entry = entry->outer) {
        add_hit(hits, look, entry, NULL, plain);
    }
    for (i = 0; i < list->nelts; i++) {
        const m2mgw_expression_t *e = &APR_ARRAY_IDX(list, i, const m2mgw_expression_t);

        if (reading_matches(look, e, reading)) {
            add_hit(hits, look, NULL, e, plain);
        }
    }
    open = are_open(hits);
    for (i = 0; i < hits->nelts; i++) {
        const hit_t *hit = &APR_ARRAY_IDX(hits, i, hit_t);

        if (!open || !hit->section->dir) {
            m2_path_guard_add(&look->compared, hit->section, hit->met, 1, reading);
        }
    }
}

/* Sections of the destination whose policy does not decide about the request itself. */
static void compare_destination(look_t *look, const char *path)
{
    m2_path_reading_t readings[M2_PATH_READINGS];
    const int n = m2_path_readings(readings, look->r->pool, path);
    const char *plain = plain_of(look->r->pool, path);
    int i;

    for (i = 0; i < n; i++) {
        compare_reading(look, plain, readings[i].path);
    }
}

static int judge_destination(const look_t *look)
{
    const char *path = look->guard->strict ? destination_of(look->r) : NULL;
    look_t other;

    if (!path) {
        return DECLINED;
    }
    memset(&other, 0, sizeof(other));
    other.r = look->r;
    other.guard = look->guard;
    other.marks = look->marks;
    other.uri = walked(look);
    other.compared.engine_of = engine_of;
    compare_destination(&other, path);
    return other.compared.differing & 1u << M2_ENGINE_ON
               ? refuse(&other, apr_pstrcat(look->r->pool, "the Destination is in the section ",
                                            missed(&other)->written,
                                            ", whose policy does not decide about the request",
                                            NULL))
               : DECLINED;
}

static int judge(look_t *look)
{
    m2_path_reading_t readings[M2_PATH_READINGS];
    request_rec *r = look->r;
    const char *why;
    int n;

    if (is_uncovered_forward(look)) {
        return refuse(look, "a forward request (ProxyRequests), or one for *, meets no <Location>, "
                            "and no <Proxy> with a directive of this module covers it");
    }
    look->marks = m2_path_marks(r->uri);
    n = look->marks & (M2_PATH_DEVICE | M2_PATH_CONTROL)
            ? m2_path_readings(readings, r->pool, r->uri) : 0;
    why = look->guard->strict ? always_unsafe(look, readings, n) : NULL;
    if (why) {
        return refuse(look, why);
    }
    if (r->uri[0] == '/') {
        look_for_sections(look, readings, n);
    }
    if (look->guard->proxied->nelts && r->proxyreq && r->filename
        && begins_with(r->filename, "proxy:")) {
        compare_url(look, r->filename + strlen("proxy:"));
    }
    n = look->compared.differing ? conclude(look) : DECLINED;
    return n == DECLINED ? judge_destination(look) : n;
}

/* Subrequests come from httpd itself, and an error document from the administrator. */
static int is_asked_by_client(const request_rec *r)
{
    return !r->main && !(r->prev && ap_is_HTTP_ERROR(r->status));
}

int m2mgw_pathguard_judge(request_rec *r)
{
    const m2mgw_server_t *conf = ap_get_module_config(r->server->module_config,
                                                      &m2mgw_module);
    const m2mgw_dir_t *dir = ap_get_module_config(r->per_dir_config, &m2mgw_module);
    void **judged;
    look_t look;

    if (!conf->guard || !r->uri || !is_asked_by_client(r)) {
        return DECLINED;
    }
    judged = ap_get_request_note(r, judged_note);
    if (judged && *judged == r->uri) {
        return DECLINED;
    }
    if (judged) {
        *judged = r->uri;
    }
    memset(&look, 0, sizeof(look));
    look.r = r;
    look.guard = conf->guard;
    look.compared.engine_of = engine_of;
    look.compared.stands_in = stands_in;
    look.compared.baton = &look;
    look.compared.only_missed = dir && dir->path_guard == 0;
    return conf->guard->dir->path_guard == 0 && look.compared.only_missed ? DECLINED : judge(&look);
}

static int hook_pre_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp)
{
    apr_dso_handle_t *self;
    apr_dso_handle_sym_t found;

    (void)plog;
    (void)ptemp;
    provider_of = NULL;
    if (ap_find_linked_module("mod_dav.c") && apr_dso_load(&self, NULL, pconf) == APR_SUCCESS
        && apr_dso_sym(&found, self, "dav_get_provider") == APR_SUCCESS) {
        provider_of = (provider_of_fn *)found;
    }
    return OK;
}

void m2mgw_pathguard_register(void)
{
    ap_hook_pre_config(hook_pre_config, NULL, NULL, APR_HOOK_MIDDLE);
    judged_note = ap_register_request_note();
    ap_hook_post_perdir_config(m2mgw_pathguard_judge, NULL, NULL, APR_HOOK_REALLY_FIRST);
}
