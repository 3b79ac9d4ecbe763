/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What mod_m2m_issuer tells the status page of mod_m2mgw, where both are loaded.
 */
#ifndef M2_FIGURES_H
#define M2_FIGURES_H

#include <apr_optional.h>
#include <apr_pools.h>

/* of httpd, known here by name alone */
struct server_rec;

/** The i-th count, from 0 on: 1 with the name of an OAuth error (several may share one; NULL:
 *  tokens that were issued) and how often, over all child processes since the start; 0 behind
 *  the last. */
APR_DECLARE_OPTIONAL_FN(int, m2m_issuer_count, (int i, const char **pname, apr_uint64_t *pcount));

/** The i-th key that is published, of all servers: 1 with its kid, algorithm, file, and whether
 *  it signs; 0 behind the last. Texts live as long as the configuration. */
APR_DECLARE_OPTIONAL_FN(int, m2m_issuer_key, (const struct server_rec *main, int i,
                                              const char **pkid, const char **palg,
                                              const char **porigin, int *psigns));

#endif /* M2_FIGURES_H */
