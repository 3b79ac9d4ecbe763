/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Removes the header fields of a client that backends trust at every location, in every
 * spelling, before the request has a location.
 */
#include "httpd/request/m2mgw_client.h"

#include "httpd/request/m2mgw_fields.h"

#include "request/m2_nameset.h"

/* mod_proxy removes every field that Connection names (RFC 9110 7.6.1), after rules have read
 * it: these are the options that httpd itself needs. */
static const char *const connection_words[] = {
    "close", "keep-alive", "upgrade", "te", "http2-settings",
};

static int is_connection_word(const char *word)
{
    apr_size_t i;

    for (i = 0; i < sizeof(connection_words) / sizeof(connection_words[0]); i++) {
        if (m2_slice_is_nocase(m2_slice_z(word), connection_words[i])) {
            return 1;
        }
    }
    return 0;
}

static void clean_connection(request_rec *r)
{
    const char *value = apr_table_get(r->headers_in, "Connection");
    apr_array_header_t *kept;
    int dropped = 0;
    char *state;
    char *one;

    if (!value || is_connection_word(value)) {
        return;
    }
    kept = apr_array_make(r->pool, 4, sizeof(m2_slice_t));
    /* mod_proxy takes semicolons for separators as well */
    one = apr_strtok(apr_pstrdup(r->pool, value), ",; \t", &state);
    for (; one; one = apr_strtok(NULL, ",; \t", &state)) {
        if (is_connection_word(one)) {
            APR_ARRAY_PUSH(kept, m2_slice_t) = m2_slice_z(one);
        }
        else {
            dropped = 1;
        }
    }
    if (dropped) {
        m2mgw_set_list(r, "Connection", kept, ", ");
    }
}

static void clean_headers(request_rec *r, const m2_nameset_t *names)
{
    const apr_array_header_t *all = apr_table_elts(r->headers_in);
    int i = 0;

    while (i < all->nelts) {
        const char *name = APR_ARRAY_IDX(all, i, apr_table_entry_t).key;

        if (m2_nameset_find(names, m2_slice_z(name))) {
            apr_table_unset(r->headers_in, name); /* closes the gap: look here again */
        }
        else {
            i++;
        }
    }
}

void m2mgw_client_clean(request_rec *r)
{
    const m2mgw_server_t *conf = ap_get_module_config(r->server->module_config,
                                                      &m2mgw_module);

    if (conf->has_policy) {
        clean_headers(r, conf->header_names);
        clean_connection(r);
    }
}
