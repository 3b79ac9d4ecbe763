/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What mod_m2m_issuer asks about the sections of its endpoints (core/oauth/m2_view.h).
 */
#ifndef M2MGW_VIEW_H
#define M2MGW_VIEW_H

#include "httpd/m2mgw.h"

void m2mgw_view_register(void);

#endif /* M2MGW_VIEW_H */
