/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A gateway plugin script (YAML 1.1 or JSON) -> the same structs that directives build.
 * Absent fields take the gateway's defaults. Unknown, duplicate and
 * mistyped fields are errors with line and column; fields that are known and not supported
 * say so. Anchors, aliases, merge keys and tags other than the core ones are refused.
 *
 * The room plugin decides what a script of the cloud gateway means in structs of ours.
 * Never knows the server that loads it.
 */
#ifndef M2_PLUGIN_H
#define M2_PLUGIN_H

#include "key/m2_keyset.h"
#include "limit/m2_limit.h"
#include "rules/m2_rules.h"
#include "token/m2_publish.h"
#include "token/m2_source.h"

typedef struct m2_plugin_jwt_t {
    apr_array_header_t *tokens;  /* of m2_token_source_t */
    int bypass_empty;
    int ignore_expiration;
    int prevent_replay;
    m2_mapping_t *mapping;       /* never NULL */
    m2_keyset_t *keys;           /* never NULL, at least one key */
} m2_plugin_jwt_t;

/* what a document is, by the names at its top */
typedef enum m2_plugin_kind_t { /* ORDER KIND: see m2_plugin_kind */
    M2_PLUGIN_UNKNOWN,
    M2_PLUGIN_JWT,
    M2_PLUGIN_ACCESS,
    M2_PLUGIN_KEYS, /* a JWK or a set of them */
    M2_PLUGIN_TRAFFIC
} m2_plugin_kind_t;

/** Tell the kind of a document that may be a script or a key document, for tools that are
 *  handed files of any kind. M2_E_CONFIG when it cannot be read as YAML or JSON. */
m2_code_t m2_plugin_kind(m2_plugin_kind_t *pkind, apr_pool_t *pool, m2_slice_t text,
                         m2_err_t *err);

/** text of a jwtAuth script; origin names it in logged notices. Results live in pool. */
m2_code_t m2_plugin_jwt(m2_plugin_jwt_t **pplugin, apr_pool_t *pool, m2_slice_t text,
                        const char *origin, m2_err_t *err);

/** text of an accessControl script. path is the section's M2MPath or NULL. */
m2_code_t m2_plugin_access(m2_rules_t **prules, apr_pool_t *pool, m2_slice_t text,
                           const m2_path_template_t *path, m2_err_t *err);

/** text of a trafficControl script. Buckets are named basename-api and so on, and are those of
 *  scope (the section) alone. */
m2_code_t m2_plugin_traffic(m2_limits_t **plimits, apr_pool_t *pool, m2_slice_t text,
                            const char *basename, const char *scope, m2_err_t *err);

#endif /* M2_PLUGIN_H */
