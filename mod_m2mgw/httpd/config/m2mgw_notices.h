/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Notices: what is legal in a configuration and deserves a second look.
 */
#ifndef M2MGW_NOTICES_H
#define M2MGW_NOTICES_H

#include "httpd/config/m2mgw_section.h"

/** What deserves a second look, about directives and about whole sections: of
 *  m2mgw_notice_t. */
apr_array_header_t *m2mgw_cfg_all_notices(apr_pool_t *pool);

#endif /* M2MGW_NOTICES_H */
