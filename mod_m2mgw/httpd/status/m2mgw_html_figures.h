/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Tables of the status page.
 */
#ifndef M2MGW_HTML_FIGURES_H
#define M2MGW_HTML_FIGURES_H

#include "httpd/m2mgw.h"

#include "text/m2_json.h"

/** What the token server issued and refused, and its keys; nothing where json is NULL. */
void m2mgw_page_issuer(request_rec *r, const m2_json_t *json);

#endif /* M2MGW_HTML_FIGURES_H */
