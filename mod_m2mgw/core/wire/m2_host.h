/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The words by which a directive names servers elsewhere, and the values of options that all
 * kinds of them have. Read while configuration is read; nothing is resolved here.
 */
#ifndef M2_HOST_H
#define M2_HOST_H

#include "base/m2_err.h"
#include "base/m2_slice.h"

#include <apr_network_io.h>

#define M2_HOST_MAX_PREFIX 64 /* bytes in front of a key */

typedef struct m2_host_t {
    const char *name; /* host name or address, or, from '/', a unix socket */
    apr_port_t port;
} m2_host_t;

/** `a:1,b:2` -> hosts (of m2_host_t, strings in their pool), which holds most at most. kind is
 *  the word in front, for sentences. M2_E_CONFIG. */
m2_code_t m2_hosts_read(apr_array_header_t *hosts, const char *kind, const char *text,
                        int most, m2_err_t *err);

/** As the directive has it: `a:1`, `[::1]:1`, `/path`. */
const char *m2_host_name(apr_pool_t *pool, const m2_host_t *host);

/** `WORD` or `WORD:rest`: 1, and the text after the colon, NULL without a colon. */
int m2_host_kind(const char **prest, const char *text, const char *word);

/** The value of OPTION=: a number in least..most. M2_E_CONFIG. */
m2_code_t m2_number_read(int *pnumber, const char *option, const char *value, int least,
                         int most, m2_err_t *err);

/** `2`, `2s` or `500ms`, up to a minute -> milliseconds. M2_E_CONFIG. */
m2_code_t m2_timeout_read(int *pmsec, const char *value, m2_err_t *err);

/** The prefix of keys: printable, no blank. M2_E_CONFIG. */
m2_code_t m2_prefix_read(const char **pprefix, apr_pool_t *pool, const char *value,
                         m2_err_t *err);

#endif /* M2_HOST_H */
