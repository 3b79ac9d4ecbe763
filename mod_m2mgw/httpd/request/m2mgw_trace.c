/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * M2MTraceParent (W3C Trace Context, https://www.w3.org/TR/trace-context/). A traceparent is
 *
 *     00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
 *
 * version, trace, parent, flags. Done once for a client's request, in front of all decisions, so
 * that a refusal has the id in its log as well.
 */
#include "httpd/request/m2mgw_trace.h"

#include "httpd/request/m2mgw_ctx.h"

#define PARENT "traceparent"
#define STATE "tracestate"
#define VARIABLE "M2M_TRACE_ID"
#define LENGTH 55 /* of a traceparent of version 00 */
#define TRACE_AT 3
#define TRACE_DIGITS 32
#define PARENT_AT 36
#define PARENT_DIGITS 16
#define FLAGS_AT 53

static int is_hex(const char *text, apr_size_t n)
{
    return strspn(text, "0123456789abcdef") >= n;
}

static int is_zero(const char *text, apr_size_t n)
{
    return strspn(text, "0") >= n;
}

/* 3.2: lower case, neither id all zeros; later versions may have more behind a dash. */
static int is_valid(const char *value)
{
    const apr_size_t n = value ? strlen(value) : 0;

    if (n < LENGTH || value[2] != '-' || value[PARENT_AT - 1] != '-' || value[FLAGS_AT - 1] != '-'
        || !is_hex(value, 2) || m2_slice_is(m2_slice(value, 2), "ff")
        || !is_hex(value + TRACE_AT, TRACE_DIGITS) || is_zero(value + TRACE_AT, TRACE_DIGITS)
        || !is_hex(value + PARENT_AT, PARENT_DIGITS) || is_zero(value + PARENT_AT, PARENT_DIGITS)
        || !is_hex(value + FLAGS_AT, 2)) {
        return 0;
    }
    return n == LENGTH || (!m2_slice_is(m2_slice(value, 2), "00") && value[LENGTH] == '-');
}

/* digits of random bytes, of which not all are zero */
static const char *random_hex(apr_pool_t *pool, apr_size_t digits)
{
    unsigned char bytes[M2MGW_RANDOM];
    char *hex = apr_palloc(pool, 2 * sizeof(bytes) + 1);

    m2mgw_random(bytes);
    bytes[0] |= 1;
    ap_bin2hex(bytes, digits / 2, hex);
    return hex;
}

/* A parent of ours: in the trace that came, or in a new one, which nobody records so far. */
static const char *generate(apr_pool_t *pool, const char *came)
{
    return apr_pstrcat(pool, "00-",
                       came ? apr_pstrmemdup(pool, came + TRACE_AT, TRACE_DIGITS)
                            : random_hex(pool, TRACE_DIGITS),
                       "-", random_hex(pool, PARENT_DIGITS), "-",
                       came ? apr_pstrmemdup(pool, came + FLAGS_AT, 2) : "00", NULL);
}

/* What goes to the backend; "" removes it. A tracestate without traceparent is invalid (4.3). */
static const char *pass_on(request_rec *r, int mode)
{
    const char *came = apr_table_get(r->headers_in, PARENT);

    if (!is_valid(came)) {
        came = NULL;
        apr_table_unset(r->headers_in, STATE);
    }
    if (mode == M2MGW_TRACE_GENERATE) {
        came = generate(r->pool, came);
    }
    if (came) {
        apr_table_setn(r->headers_in, PARENT, came);
        return came;
    }
    apr_table_unset(r->headers_in, PARENT);
    return "";
}

static int hook_post_perdir(request_rec *r)
{
    const m2mgw_dir_t *dir = ap_get_module_config(r->per_dir_config, &m2mgw_module);
    request_rec *first = r;
    const char *parent;

    if (!dir || dir->trace_parent == M2_UNSET || dir->trace_parent == M2MGW_TRACE_OFF) {
        return DECLINED;
    }
    while (first->prev || first->main) {
        first = first->prev ? first->prev : first->main;
    }
    parent = apr_table_get(first->notes, "m2mgw-" PARENT);
    if (!parent) {
        parent = pass_on(r, dir->trace_parent);
        apr_table_set(first->notes, "m2mgw-" PARENT, parent);
    }
    if (*parent) {
        apr_table_setn(r->subprocess_env, VARIABLE,
                       apr_pstrmemdup(r->pool, parent + TRACE_AT, TRACE_DIGITS));
    }
    return DECLINED;
}

void m2mgw_trace_register(void)
{
    ap_hook_post_perdir_config(hook_post_perdir, NULL, NULL, APR_HOOK_REALLY_FIRST - 1);
}
