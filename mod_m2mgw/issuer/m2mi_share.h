/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * How much of the store of used assertions each client holds. A client that signs assertions
 * without end could fill the store, and then nobody could log in by key; so each may hold a
 * share of it, and who holds that waits alone.
 */
#ifndef M2MI_SHARE_H
#define M2MI_SHARE_H

#include <httpd.h>

typedef struct m2mi_share_t m2mi_share_t;

/** Room for that many clients, in the process pool: counts outlive configurations as the
 *  marks do. NULL: no memory. */
m2mi_share_t *m2mi_share_open(server_rec *s, apr_uint32_t clients);

/** Count one mark of a client that lives until then, where it holds fewer than limit.
 *  0: counted, else the seconds until some of its marks are over. No lock. */
int m2mi_share_take(m2mi_share_t *share, const char *client, apr_time_t until,
                    apr_time_t now, apr_uint32_t limit);

/** Take a count back: the mark was not made. */
void m2mi_share_give(m2mi_share_t *share, const char *client, apr_time_t until);

#endif /* M2MI_SHARE_H */
