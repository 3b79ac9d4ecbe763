/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * JSON for a reader of YAML.
 */
#ifndef M2_YAML_JSON_H
#define M2_YAML_JSON_H

#include "base/m2_slice.h"

#include <apr_pools.h>

/** Text, or, where it is JSON that libyaml does not take as it stands, the same document in
 *  pool as it does; columns behind such a place differ by two. Thread-safe. */
m2_slice_t m2_yaml_of_json(apr_pool_t *pool, m2_slice_t text);

#endif /* M2_YAML_JSON_H */
