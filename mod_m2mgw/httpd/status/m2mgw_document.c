/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The status document is built on request, from what the rest of the module counts.
 */
#include "httpd/status/m2mgw_document.h"

#include "httpd/runtime/m2mgw_cache.h"
#include "httpd/runtime/m2mgw_counters.h"
#include "httpd/runtime/m2mgw_keys.h"
#include "httpd/runtime/m2mgw_proofs.h"
#include "httpd/runtime/m2mgw_recent.h"
#include "httpd/runtime/m2mgw_replay.h"
#include "httpd/status/m2mgw_figures_list.h"
#include "httpd/status/m2mgw_keys_list.h"
#include "httpd/status/m2mgw_limits_list.h"
#include "httpd/status/m2mgw_member.h"
#include "httpd/status/m2mgw_operations_list.h"

#include "base/m2_hold.h"
#include "gate/m2_cache.h"
#include "key/m2_keyring.h"

#include <stddef.h>

static void put(m2_json_t *json, const char *name, apr_uint64_t value)
{
    m2_json_set_int(json, name, (apr_int64_t)value);
}

static void add_decisions(m2_json_t *document, apr_pool_t *pool)
{
    m2mgw_reasons_t counts;
    apr_uint64_t all, shadow, passed;
    m2_json_t *json;

    m2mgw_counted(&counts);
    json = m2mgw_status_by_reason(&all, pool, counts.all, M2_OK, 1);
    passed = counts.all[M2_OK] + counts.all[M2_BYPASS];
    m2_json_set_json(document, "decisions", json);
    json = m2mgw_status_by_reason(&shadow, pool, counts.shadow, M2_E_TOKEN_MISSING, 1);
    put(document, "requests", all);
    put(document, "passed", passed);
    /* counters move while they are read: a difference may be behind its parts */
    put(document, "refused", all > passed + shadow ? all - passed - shadow : 0);
    put(document, "shadow_denials", shadow);
    m2_json_set_json(document, "shadow", json);
}

/* --- sections --- */

static const char *vhost_name(apr_pool_t *pool, const server_rec *s)
{
    const char *name = s->server_hostname ? s->server_hostname : "";

    return s->is_virtual && s->addrs && s->addrs->host_port
               ? apr_psprintf(pool, "%s:%d", name, (int)s->addrs->host_port)
               : name;
}

/* Whether there are keys that may be used now. */
static int has_keys(const m2mgw_effective_t *effective)
{
    const m2_keyset_t *set = m2_keyring_enter(effective->policy.keys);
    const int there = set != NULL;

    m2_keyring_leave(effective->policy.keys);
    return there;
}

/* A section that says On without keys of its own gets those of another one that covers its
 * paths, if there is one in its virtual host. */
static int may_get_keys(const m2mgw_section_t *section)
{
    const apr_array_header_t *all = m2mgw_cfg_sections();
    int i;

    for (i = 0; i < all->nelts; i++) {
        const m2mgw_section_t *other = APR_ARRAY_IDX(all, i, m2mgw_section_t *);

        if (other->dir->keys
            && (other->server == section->server || !other->server->is_virtual)) {
            return 1;
        }
    }
    return 0;
}

/* Whether every list of revoked tokens may be used now. */
static int has_lists(const m2mgw_effective_t *effective)
{
    const m2_keyring_t *ring = effective->policy.revocation;
    const void *lists;
    const m2_parts_t *parts;
    int there;

    if (!ring) {
        return 1;
    }
    parts = lists = m2_keyring_enter(ring);
    there = parts && !parts->missing;
    m2_keyring_leave(ring);
    return there;
}

static const char *state_of(const m2mgw_section_t *section,
                            const m2mgw_effective_t *effective)
{
    if (!has_lists(effective)) {
        return m2_reason_of(M2_E_REVOCATION_UNAVAILABLE)->reason;
    }
    if ((effective->closed && !may_get_keys(section))
        || (effective->policy.keys && !has_keys(effective))) {
        return m2_reason_of(M2_E_KEYS_UNAVAILABLE)->reason;
    }
    return effective->dir && !m2mgw_keys_fit(effective->dir)
               ? m2_reason_of(M2_E_ALG_NOT_ALLOWED)->reason : "ok";
}

static m2_json_t *section_json(apr_pool_t *pool, const m2mgw_section_t *section,
                               const m2mgw_effective_t *effective)
{
    m2_json_t *json = m2_json_make(pool);
    m2mgw_reasons_t counts;
    apr_uint64_t all, shadow, passed;
    m2_json_t *reasons;

    m2mgw_counted_section(&counts, section);
    reasons = m2mgw_status_by_reason(&all, pool, counts.all, M2_E_TOKEN_MISSING, 0);
    m2mgw_status_by_reason(&shadow, pool, counts.shadow, M2_E_TOKEN_MISSING, 0);
    passed = counts.all[M2_OK] + counts.all[M2_BYPASS];
    m2mgw_status_text(json, pool, "section", section->name ? section->name : "");
    m2mgw_status_text(json, pool, "vhost", vhost_name(pool, section->server));
    m2_json_set_string(json, "engine",
                       effective->engine == M2MGW_ENGINE_SHADOW ? "Shadow" : "On");
    m2_json_set_string(json, "state", state_of(section, effective));
    put(json, "passed", passed);
    put(json, "bypassed", counts.all[M2_BYPASS]);
    put(json, "refused", all > shadow ? all - shadow : 0);
    put(json, "shadow_denials", shadow);
    m2_json_set_json(json, "reasons", reasons);
    if (counts.last_refusal) {
        m2_json_set_int(json, "last_refusal", apr_time_sec(counts.last_refusal));
    }
    return json;
}

/* A section may be protected by another one that covers its paths as well, from which its keys
 * then come; defaults of a server protect nothing by themselves. */
static m2_json_t *sections(apr_pool_t *pool)
{
    const apr_array_header_t *all = m2mgw_cfg_sections();
    m2_json_t *list = m2_json_make_array(pool);
    m2mgw_effective_t effective;
    int i;

    for (i = 0; i < all->nelts; i++) {
        const m2mgw_section_t *section = APR_ARRAY_IDX(all, i, m2mgw_section_t *);
        const m2mgw_dir_t *dir = m2mgw_cfg_resolved(pool, section);

        if (m2mgw_effective(&effective, dir)
            || (section->where && dir->engine != M2MGW_ENGINE_OFF)) {
            m2_json_append(list, section_json(pool, section, &effective));
        }
    }
    return list;
}

static m2_json_t *rules(apr_pool_t *pool)
{
    const apr_array_header_t *all = m2mgw_cfg_sections();
    m2_json_t *list = m2_json_make_array(pool);
    int i, k;

    for (i = 0; i < all->nelts; i++) {
        const m2mgw_section_t *section = APR_ARRAY_IDX(all, i, m2mgw_section_t *);

        for (k = 0; section->rules && k < section->rules->rules->nelts; k++) {
            const m2_rule_t *rule = APR_ARRAY_IDX(section->rules->rules, k, m2_rule_t *);
            m2_json_t *json = m2_json_make(pool);
            apr_uint64_t allow, deny;

            m2mgw_counted_rule(&allow, &deny, rule);
            m2mgw_status_text(json, pool, "section", section->name ? section->name : "");
            m2mgw_status_text(json, pool, "rule", rule->name);
            put(json, "allow", allow);
            put(json, "deny", deny);
            if (rule->shadow) {
                m2_json_set_bool(json, "shadow", 1);
            }
            m2_json_append(list, json);
        }
    }
    return list;
}

/* --- recent refusals --- */

static m2_json_t *refusal_json(apr_pool_t *pool, const m2mgw_refusal_t *refusal)
{
    static const struct { const char *name; apr_size_t at; } texts[] = {
        { "id", offsetof(m2mgw_refusal_t, id) },
        { "section", offsetof(m2mgw_refusal_t, section) },
        { "detail", offsetof(m2mgw_refusal_t, detail) },
        { "rule", offsetof(m2mgw_refusal_t, rule) },
        { "client", offsetof(m2mgw_refusal_t, client) },
    };
    m2_json_t *json = m2_json_make(pool);
    apr_size_t i;

    m2_json_set_int(json, "time", apr_time_sec(refusal->time));
    m2_json_set_string(json, "reason", m2_reason_of(refusal->code)->reason);
    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        const char *text = (const char *)refusal + texts[i].at;

        if (*text) {
            m2mgw_status_text(json, pool, texts[i].name, text);
        }
    }
    return json;
}

static m2_json_t *recent(apr_pool_t *pool)
{
    const apr_array_header_t *all = m2mgw_recent(pool);
    m2_json_t *list = m2_json_make_array(pool);
    int i;

    for (i = 0; i < all->nelts; i++) {
        m2_json_append(list, refusal_json(pool, &APR_ARRAY_IDX(all, i, m2mgw_refusal_t)));
    }
    return list;
}

m2_json_t *m2mgw_document_of(apr_pool_t *pool, const char *id)
{
    const apr_array_header_t *all = m2mgw_recent(pool);
    int i;

    for (i = 0; i < all->nelts; i++) {
        const m2mgw_refusal_t *refusal = &APR_ARRAY_IDX(all, i, m2mgw_refusal_t);

        if (m2_slice_is(m2_slice_z(id), refusal->id)) {
            return refusal_json(pool, refusal);
        }
    }
    return NULL;
}

/* --- machinery --- */

static m2_json_t *verification(apr_pool_t *pool)
{
    m2_json_t *json = m2_json_make(pool);
    m2_json_t *buckets = m2_json_make_array(pool);
    m2mgw_tokens_t tokens;
    apr_uint64_t count = 0;
    int i;

    m2mgw_counted_tokens(&tokens);
    for (i = 0; i < M2MGW_LATENCIES; i++) {
        m2_json_t *bucket = m2_json_make(pool);

        count += tokens.latency[i];
        if (m2mgw_latency_bounds[i]) {
            m2_json_set_int(bucket, "le", m2mgw_latency_bounds[i]);
        }
        else {
            m2_json_set_string(bucket, "le", "+Inf");
        }
        put(bucket, "count", count);
        m2_json_append(buckets, bucket);
    }
    put(json, "count", count);
    put(json, "microseconds", tokens.latency_sum);
    put(json, "tries", tokens.tries);
    m2_json_set_json(json, "buckets", buckets);
    return json;
}

/* Hits and misses of all processes, entries of the one that answers. */
static m2_json_t *cache(apr_pool_t *pool)
{
    m2_json_t *json = m2_json_make(pool);
    m2mgw_tokens_t tokens;
    m2_cache_stats_t stats;
    apr_uint64_t misses = 0;
    int i;

    memset(&stats, 0, sizeof(stats));
    if (m2mgw_cache()) {
        m2_cache_stats(&stats, m2mgw_cache());
    }
    m2mgw_counted_tokens(&tokens);
    for (i = 0; i < M2MGW_LATENCIES; i++) {
        misses += tokens.latency[i];
    }
    put(json, "hits", tokens.cached);
    put(json, "misses", misses);
    put(json, "slots_per_process", stats.slots);
    put(json, "entries_in_this_process", stats.entries);
    put(json, "bytes_in_this_process", stats.bytes);
    return json;
}

/* A store of one-time items: tokens, or proofs. */
static void add_store(m2_json_t *document, apr_pool_t *pool, const char *name,
                      int (*stats_of)(m2_replay_stats_t *stats))
{
    m2_replay_stats_t stats;
    m2_json_t *json;

    if (!stats_of(&stats)) {
        return;
    }
    json = m2_json_make(pool);
    m2_json_set_string(json, "store", stats.name);
    put(json, "accepted", stats.marked);
    put(json, "replayed", stats.replayed);
    put(json, "full", stats.full);
    put(json, "errors", stats.errors);
    if (stats.kind == M2_REPLAY_SHM) {
        put(json, "entries", stats.entries);
        put(json, "live", stats.live);
        put(json, "bytes", stats.bytes);
    }
    m2_json_set_json(document, name, json);
}

m2_json_t *m2mgw_document(apr_pool_t *pool)
{
    m2_hold_t hold;
    m2_json_t *json;

    m2_hold_begin(&hold);
    json = m2_json_make(pool);
    m2_json_set_string(json, "module", "mod_m2mgw " M2MGW_VERSION);
    m2_json_set_string(json, "httpd", ap_get_server_description());
    m2_json_set_int(json, "since", apr_time_sec(m2mgw_counting_since()));
    m2_json_set_int(json, "now", apr_time_sec(apr_time_now()));
    add_decisions(json, pool);
    m2_json_set_json(json, "sections", sections(pool));
    m2_json_set_json(json, "recent", recent(pool));
    m2_json_set_json(json, "rules", rules(pool));
    m2_json_set_json(json, "verification", verification(pool));
    m2_json_set_json(json, "cache", cache(pool));
    add_store(json, pool, "replay", m2mgw_replay_stats);
    add_store(json, pool, "proofs", m2mgw_proofs_stats);
    m2mgw_keys_list(json, pool);
    m2mgw_limits_list(json, pool);
    m2mgw_issuer_figures(json, pool);
    m2mgw_operations_list(json, pool);
    m2_hold_end(&hold);
    return json;
}
