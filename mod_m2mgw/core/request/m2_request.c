/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The indexes of a request, each made once.
 */
#include "request/m2_request.h"

static m2_pairs_t *read_once(m2_pairs_t **ppairs, m2_request_t *request, const char *text,
                             m2_reading_t reading)
{
    const m2_slice_t whole = m2_slice_z(text);

    if (!*ppairs || !m2_pairs_are_of(*ppairs, whole)) {
        *ppairs = m2_pairs_make(request->pool, whole, reading);
    }
    return *ppairs;
}

m2_reply_t m2_request_query(m2_request_t *request, const char *name)
{
    return m2_pairs_get(read_once(&request->query_pairs, request, request->query,
                                  M2_READ_FORM), name);
}

m2_reply_t m2_request_cookie(m2_request_t *request, const char *name)
{
    return m2_pairs_get(read_once(&request->cookie_pairs, request,
                                  apr_table_get(request->headers, "Cookie"),
                                  M2_READ_COOKIE), name);
}

m2_code_t m2_request_form_of(m2_slice_t *pform, m2_slice_t body, m2_body_kind_t kind)
{
    *pform = kind == M2_BODY_FORM ? body : m2_slice(NULL, 0);
    return kind == M2_BODY_NONE || kind == M2_BODY_FORM || kind == M2_BODY_OTHER || !body.n
               ? M2_OK : M2_E_RULE_ERROR;
}

m2_code_t m2_request_form(m2_reply_t *preply, m2_request_t *request, const char *name)
{
    m2_slice_t form = { NULL, 0 };
    const m2_code_t code = request->form ? request->form(&form, request->form_baton) : M2_OK;

    if (code == M2_OK && (!request->form_pairs
                          || !m2_pairs_are_of(request->form_pairs, form))) {
        request->form_pairs = m2_pairs_make(request->pool, form, M2_READ_FORM);
    }
    *preply = m2_pairs_get(code == M2_OK ? request->form_pairs : NULL, name);
    return code;
}

m2_reply_t m2_request_header(m2_request_t *request, const char *name)
{
    const apr_array_header_t *all = apr_table_elts(request->headers);
    int i;

    if (!request->header_pairs) {
        request->header_pairs = m2_pairs_make(request->pool, m2_slice(NULL, 0),
                                              M2_READ_HEADER);
        for (i = 0; i < all->nelts; i++) {
            const apr_table_entry_t *field = &APR_ARRAY_IDX(all, i, apr_table_entry_t);

            m2_pairs_add(request->header_pairs, field->key, field->val);
        }
    }
    return m2_pairs_get(request->header_pairs, name);
}

int m2_request_charset_is_plain(m2_request_t *request)
{
    if (!request->charset) {
        const char *type = apr_table_get(request->headers, "Content-Type");

        request->charset = m2_body_charset_is_plain(type) ? 1 : 2;
    }
    return request->charset == 1;
}

const char *m2_request_xff(const m2_request_t *request, int index)
{
    const char *list = apr_table_get(request->headers, "X-Forwarded-For");
    apr_array_header_t *all = apr_array_make(request->pool, 4, sizeof(char *));
    char *state;
    char *one;

    if (!list) {
        return NULL;
    }
    one = apr_strtok(apr_pstrdup(request->pool, list), ", \t", &state);
    for (; one; one = apr_strtok(NULL, ", \t", &state)) {
        APR_ARRAY_PUSH(all, char *) = one;
    }
    index += index < 0 ? all->nelts : 0;
    return index >= 0 && index < all->nelts ? APR_ARRAY_IDX(all, index, char *) : NULL;
}
