/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Methods that are not the request line's. Rack, Rails, Laravel, Spring, Mojolicious and others
 * take one from a header or from a parameter.
 */
#include "request/m2_method.h"

static const char *const overrides[] = {
    "X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override",
};

int m2_method_is_override(const char *header)
{
    apr_size_t i;

    if (*header != 'X' && *header != 'x') { /* nearly all others */
        return 0;
    }
    for (i = 0; i < sizeof(overrides) / sizeof(overrides[0]); i++) {
        if (m2_header_name_like(header, overrides[i])) {
            return 1;
        }
    }
    return 0;
}

int m2_method_differs(m2_slice_t value, const char *method)
{
    return value.n && !m2_slice_is_nocase(value, method);
}

int m2_method_differs_in(apr_pool_t *pool, const char *text, const m2_nameset_t *names,
                         const char *method)
{
    m2_slice_t rest = m2_slice_z(text);
    m2_pair_t pair;

    while (text && m2_form_next(&rest, &pair)) {
        if (pair.value.n && m2_nameset_find(names, pair.name)
            && m2_method_differs(m2_form_decode(pool, pair.value), method)) {
            return 1;
        }
    }
    return 0;
}

/* IANA's registry of methods, without those that hold no letter */
static const char *const methods[] = {
    "GET",        "POST",        "PUT",        "DELETE",     "HEAD",       "OPTIONS",
    "PATCH",      "TRACE",       "CONNECT",    "ACL",        "BASELINE-CONTROL",
    "BIND",       "CHECKIN",     "CHECKOUT",   "COPY",       "LABEL",      "LINK",
    "LOCK",       "MERGE",       "MKACTIVITY", "MKCALENDAR", "MKCOL",      "MKREDIRECTREF",
    "MKWORKSPACE", "MOVE",       "ORDERPATCH", "PRI",        "PROPFIND",   "PROPPATCH",
    "QUERY",      "REBIND",      "REPORT",     "SEARCH",     "UNBIND",     "UNCHECKOUT",
    "UNLINK",     "UNLOCK",      "UPDATE",     "UPDATEREDIRECTREF",        "VERSION-CONTROL",
};

int m2_method_is_respelled(const char *method)
{
    const m2_slice_t sent = m2_slice_z(method);
    apr_size_t i;

    for (i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        if (m2_slice_is_nocase(sent, methods[i])) {
            return !m2_slice_is(sent, methods[i]);
        }
    }
    return 0;
}
