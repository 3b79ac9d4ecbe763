/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The operation that a request is, what it needs, and whether a lenient backend would take it
 * for another one: as the gateway does, in steps that are printed.
 */
#include "ctl/m2mctl_story_int.h"

#include "request/m2_path_reading.h"
#include "token/m2_scope.h"

static int is_preflight(const m2mctl_story_t *s)
{
    const char *method = m2mctl_header(s->request, "Access-Control-Request-Method");
    m2_operation_match_t match;

    return s->force->preflight && m2_slice_is(m2_slice_z(m2mctl_method(s->request)), "OPTIONS")
           && method && m2mctl_header(s->request, "Origin")
           && m2_operations_find(&match, s->force->operations, method,
                                 m2_slice_z(m2mctl_request_path(s->request))) == M2_OK;
}

static m2_slice_t segment(void *baton, const char *name)
{
    const m2mctl_story_t *s = baton;

    return m2_operation_value(&s->match, name);
}

const char *m2mctl_story_operation(const m2mctl_story_t *s)
{
    return s->force->operations && s->match.operation ? s->match.operation->name : NULL;
}

/* What the request is; 1 when it needs no look at its token. */
int m2mctl_story_find_operation(m2mctl_story_t *s)
{
    const m2_operation_t *operation;
    int needs_token;

    if (!s->force->operations) {
        return 0;
    }
    s->operation = m2_operations_find(&s->match, s->force->operations, m2mctl_method(s->request),
                                      m2_slice_z(m2mctl_request_path(s->request)));
    operation = s->operation == M2_OK ? s->match.operation : NULL;
    if ((!operation || !operation->is_public) && is_preflight(s)) {
        m2mctl_story_tell(s, "operation", 1, "a preflight, which passes");
        m2_err_init(&s->verdict.err, s->pool);
        s->verdict.code = M2_BYPASS;
        return 1;
    }
    needs_token = operation ? !operation->is_public
                  : s->operation != M2_E_METHOD_NOT_ALLOWED
                        || !m2_operations_place_is_public(&s->match);
    s->policy.bypass_empty = !needs_token;
    if (operation) {
        m2mctl_story_tell(s, "operation", 1, apr_psprintf(s->pool, "%s: %s %s%s", operation->name,
                          operation->method, operation->written,
                          operation->is_public ? ", public" : ""));
        m2mctl_segments(s->request, operation->name, segment, s);
        if (s->reached) {
            apr_table_setn(s->reached, apr_pstrcat(s->pool, "operation ", operation->name, NULL),
                           "");
        }
    }
    return 0;
}

static int has_scope(const char *scope, const void *baton)
{
    const m2mctl_story_t *s = baton;

    return m2_scope_has(s->policy.claims.scopes, s->verdict.claims, m2_slice_z(scope));
}

static void judge_unknown(m2mctl_story_t *s)
{
    if (s->operation == M2_E_METHOD_NOT_ALLOWED) {
        const char *allowed = m2_operations_allow(s->pool, &s->match);

        m2mctl_story_refuse(s, "operation", s->operation,
                            apr_pstrcat(s->pool, "the path takes ",
                                        *allowed ? allowed : "no method", NULL));
    }
    else if (s->force->unknown == M2MCTL_UNKNOWN_PASS) {
        m2mctl_story_tell(s, "operation", 1, "none is described, which is allowed (Pass)");
    }
    else {
        m2mctl_story_refuse(s, "operation", s->operation,
               "no template of the section's operations matches the path");
    }
}

void m2mctl_story_judge_operation(m2mctl_story_t *s)
{
    const m2_operation_t *operation = s->match.operation;

    if (!s->force->operations || !m2mctl_story_passes(s)) {
        return;
    }
    if (s->operation != M2_OK) {
        judge_unknown(s);
    }
    else if (m2_operations_is_respelled(&s->match, m2mctl_method(s->request))) {
        m2mctl_story_refuse(s, "operation", M2_E_RULE_ERROR,
                            "the method is that of another operation in other letters");
    }
    else if (!operation->is_public && !m2_operation_allows(operation, has_scope, s)) {
        m2mctl_story_refuse(s, "operation", M2_E_INSUFFICIENT_SCOPE,
               apr_psprintf(s->pool, "operation %s needs scope \"%s\"", operation->name,
                            apr_array_pstrcat(s->pool, APR_ARRAY_IDX(operation->alternatives, 0,
                                              const apr_array_header_t *), ' ')));
    }
    else if (!operation->is_public) {
        m2mctl_story_tell(s, "scope", 1, "suffices for the operation");
    }
}

/* Whether a lenient backend would read the path as another operation. */
void m2mctl_story_check_reading(m2mctl_story_t *s)
{
    const char *path = m2mctl_request_path(s->request);
    m2_path_reading_t readings[M2_PATH_READINGS];
    int i, n, bad = 0;

    if (!s->force->operations || !m2mctl_story_passes(s) || s->force->path_guard_off) {
        return;
    }
    n = m2_path_readings(readings, s->pool, path);
    for (i = 0; i < n; i++) {
        bad |= readings[i].dots
               || !m2_operations_agree(s->force->operations, &s->match,
                                       m2_slice_z(*readings[i].path ? readings[i].path : "/"));
    }
    if (bad) {
        m2mctl_story_refuse(s, "path", M2_E_PATH_UNSAFE,
                            "a lenient backend may read the path as another operation");
    }
}
