/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The tables of the token server, on the status page.
 */
#include "httpd/status/m2mgw_html_figures.h"

#include "httpd/status/m2mgw_member.h"
#include "httpd/status/m2mgw_page.h"

static void refusals(request_rec *r, const m2_json_t *refused)
{
    static const char *const columns[] = { "error", "#requests", NULL };
    const m2_member_t *it;

    m2mgw_page_table(r, "Refusals of the token server", "narrow", columns);
    for (it = m2_json_iter(refused); it; it = m2_json_iter_next(it)) {
        const char *name = m2_json_iter_name(it);

        ap_rprintf(r, "<tr><th scope=\"row\">%s</th><td class=\"n\">%s</td></tr>\n",
                   ap_escape_html(r->pool, name),
                   m2mgw_page_number(r, m2mgw_status_int(refused, name)));
    }
    m2mgw_page_table_end(r);
}

void m2mgw_page_issuer(request_rec *r, const m2_json_t *json)
{
    static const char *const columns[] = { "kid", "alg", "state", "use", "file", NULL };
    const m2_json_t *list = m2_json_get(json, "keys");
    apr_size_t i;

    if (!json) {
        return;
    }
    m2mgw_page_table(r, "Keys of the token server", "wide", columns);
    for (i = 0; i < m2_json_length(list); i++) {
        const m2_json_t *key = m2_json_at(list, i);
        int signs = 0;

        m2_json_bool(m2_json_get(key, "signs"), &signs);
        ap_rprintf(r, "<tr><th scope=\"row\">%s</th><td>%s</td><td>%s</td>",
                   m2mgw_page_text(r, key, "kid"), m2mgw_page_text(r, key, "alg"),
                   m2mgw_page_state(r, key));
        ap_rprintf(r, "<td>%s</td><td>%s</td></tr>\n", signs ? "signs" : "published",
                   m2mgw_page_text(r, key, "source"));
    }
    m2mgw_page_table_end(r);
    ap_rprintf(r, "<p>%s tokens were issued.</p>\n",
               m2mgw_page_number(r, m2mgw_status_int(json, "tokens")));
    refusals(r, m2_json_get(json, "refused"));
}
