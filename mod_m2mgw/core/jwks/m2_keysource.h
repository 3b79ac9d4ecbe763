/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * One source of keys: a file, a URL, or an issuer that is asked for its URL.
 */
#ifndef M2_KEYSOURCE_H
#define M2_KEYSOURCE_H

#include "key/m2_keyset.h"

typedef struct m2_keysource_t m2_keysource_t;

/* M2MJwksRefresh, in seconds */
typedef struct m2_refresh_t {
    int ttl;       /* between two fetches, unless the answer says sooner */
    int max_stale; /* how long the last good set may be used without a successful fetch */
    int timeout;   /* of one request */
    int cooldown;  /* between two early fetches for unknown kids */
} m2_refresh_t;

typedef enum m2_keysource_kind_t {
    M2_KEYSOURCE_FILE,
    M2_KEYSOURCE_URL,
    M2_KEYSOURCE_ISSUER /* finds its URL by RFC 8414 or OpenID discovery */
} m2_keysource_kind_t;

/** The refresh policy of a URL or issuer. M2_E_CONFIG when another was set before. */
m2_code_t m2_keysource_refresh(m2_keysource_t *source, const m2_refresh_t *refresh,
                               m2_err_t *err);

/** What a file held when it was read strictly; NULL for others. */
const m2_keyset_t *m2_keysource_keys(const m2_keysource_t *source);

/** How many keys or entries it holds; -1 when it holds no document. */
int m2_keysource_entries(const m2_keysource_t *source);

/** Whether the last attempt to read or fetch it failed, in any child. Thread-safe. */
int m2_keysource_is_broken(const m2_keysource_t *source);

/** The baton of what brings a list (m2_jwks_list_pulled); NULL for others. */
void *m2_keysource_puller(const m2_keysource_t *source);

/** Its path, URL or issuer, for people: without what may be secret in it. */
const char *m2_keysource_label(const m2_keysource_t *source);

#endif /* M2_KEYSOURCE_H */
