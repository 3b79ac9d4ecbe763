/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The token server, in the status document.
 */
#ifndef M2MGW_FIGURES_LIST_H
#define M2MGW_FIGURES_LIST_H

#include "httpd/m2mgw.h"

#include "text/m2_json.h"

/** Set `issuer`, where mod_m2m_issuer is loaded and has keys or has answered anything. */
void m2mgw_issuer_figures(m2_json_t *document, apr_pool_t *pool);

#endif /* M2MGW_FIGURES_LIST_H */
