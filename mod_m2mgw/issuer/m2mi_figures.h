/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Counting what becomes of requests at the endpoints.
 */
#ifndef M2MI_FIGURES_H
#define M2MI_FIGURES_H

#include "issuer/m2mi.h"

/** Take the memory, in post_config. 0: no memory. */
int m2mi_figures_open(server_rec *s);

/** Count a token that was issued (M2_OAUTH_OK), or a refusal. Any thread, no lock. */
void m2mi_figures_count(m2_oauth_error_t error);

void m2mi_figures_register(void);

#endif /* M2MI_FIGURES_H */
