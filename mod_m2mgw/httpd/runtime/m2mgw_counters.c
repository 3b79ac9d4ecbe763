/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The counters lie in one segment that children inherit:
 *
 *   | board | shard 0 | ... | shard 31 | section row 0 | ... | rule row 0 | ... |
 *
 * A thread keeps to one shard, so that threads do not contend for a cache line; reading sums the
 * shards. Rows belong to a section or a rule by its identity, not by its position, so a restart
 * finds them again: a section is its virtual host, kind, argument and ordinal. Nothing is locked
 * and nothing waits: a counter that is read while it moves is off by one for a moment.
 */
#include "httpd/runtime/m2mgw_counters.h"

#include "httpd/runtime/m2mgw_shared.h"

#include <apr_hash.h>

#include <unistd.h>

#define SHARDS 32
#define KEY "m2mgw-counters"

const int m2mgw_latency_bounds[M2MGW_LATENCIES] = { 5,   10,  25,   50,    75,
                                                    100, 250, 1000, 10000, 0 };

typedef struct shard_t {
    m2mgw_reasons_t reasons;
    m2mgw_tokens_t tokens;
} __attribute__((aligned(64))) shard_t;

typedef struct section_row_t {
    apr_uint64_t key; /* 0: free */
    m2mgw_reasons_t reasons;
} section_row_t;

typedef struct rule_row_t {
    apr_uint64_t key;
    apr_uint64_t allow, deny;
} rule_row_t;

typedef struct board_t {
    apr_time_t since;
    int sections, rules; /* rows there are */
} board_t;

/* written in post_config, before there are children; what it points to is shared */
static struct {
    board_t *board; /* NULL: nothing is counted */
    shard_t *shards;
    section_row_t *sections;
    rule_row_t *rules;
    apr_time_t configured;
} counters;

static void add(apr_uint64_t *counter, apr_uint64_t n)
{
    __atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

static apr_uint64_t get(const apr_uint64_t *counter)
{
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

/* --- counting --- */

/* Processes begin at different shards, their threads take the next ones. */
static shard_t *my_shard(void)
{
    static apr_uint32_t threads;
    static __thread apr_uint32_t mine; /* 0: not yet chosen */

    if (!mine) {
        const apr_uint32_t thread = __atomic_fetch_add(&threads, 1, __ATOMIC_RELAXED);

        mine = 1 + ((apr_uint32_t)getpid() + thread) % SHARDS;
    }
    return &counters.shards[mine - 1];
}

void m2mgw_reasons_count(m2mgw_reasons_t *reasons, const m2mgw_decision_t *decision)
{
    add(&reasons->all[decision->code], 1);
    if (decision->shadow) {
        add(&reasons->shadow[decision->code], 1);
    }
    else if (!m2mgw_decision_passes(decision)) {
        __atomic_store_n(&reasons->last_refusal, decision->time, __ATOMIC_RELAXED);
    }
}

static void count_rule(const m2_rule_t *rule, int passes)
{
    if (rule && rule->number > 0) {
        rule_row_t *row = &counters.rules[rule->number - 1];

        add(passes ? &row->allow : &row->deny, 1);
    }
}

void m2mgw_count_decision(const m2mgw_decision_t *decision)
{
    const int passes = m2mgw_decision_passes(decision);
    const m2mgw_section_t *section = decision->section;
    int i;

    if (!counters.board) {
        return;
    }
    m2mgw_reasons_count(&my_shard()->reasons, decision);
    if (section && section->row > 0) {
        m2mgw_reasons_count(&counters.sections[section->row - 1].reasons, decision);
    }
    count_rule(decision->rule, passes);
    for (i = 0; decision->shadowed && i < decision->shadowed->nelts; i++) {
        const m2_shadowed_t *one = &APR_ARRAY_IDX(decision->shadowed, i, m2_shadowed_t);

        count_rule(one->rule, one->code == M2_OK);
    }
}

void m2mgw_count_token(int cached, int tries, apr_interval_time_t took)
{
    m2mgw_tokens_t *tokens;
    int i = 0;

    if (!counters.board || took < 0) {
        return;
    }
    tokens = &my_shard()->tokens;
    if (cached) {
        add(&tokens->cached, 1);
        return;
    }
    while (i < M2MGW_LATENCIES - 1 && took > m2mgw_latency_bounds[i]) {
        i++;
    }
    add(&tokens->latency[i], 1);
    add(&tokens->latency_sum, (apr_uint64_t)took);
    add(&tokens->tries, (apr_uint64_t)tries);
}

/* --- reading --- */

/* Both are nothing but counters. */
static void add_all(void *sums, const void *counted, apr_size_t size)
{
    apr_uint64_t *to = sums;
    const apr_uint64_t *from = counted;
    apr_size_t i;

    for (i = 0; i < size / sizeof(*to); i++) {
        to[i] += get(&from[i]);
    }
}

void m2mgw_counted(m2mgw_reasons_t *sums)
{
    int i;

    memset(sums, 0, sizeof(*sums));
    for (i = 0; counters.board && i < SHARDS; i++) {
        add_all(sums, &counters.shards[i].reasons, sizeof(*sums));
    }
}

void m2mgw_reasons_add(m2mgw_reasons_t *sums, const m2mgw_reasons_t *reasons)
{
    add_all(sums, reasons, sizeof(*sums));
}

void m2mgw_counted_tokens(m2mgw_tokens_t *sums)
{
    int i;

    memset(sums, 0, sizeof(*sums));
    for (i = 0; counters.board && i < SHARDS; i++) {
        add_all(sums, &counters.shards[i].tokens, sizeof(*sums));
    }
}

void m2mgw_counted_section(m2mgw_reasons_t *sums, const m2mgw_section_t *section)
{
    memset(sums, 0, sizeof(*sums));
    if (counters.board && section->row > 0) {
        add_all(sums, &counters.sections[section->row - 1].reasons, sizeof(*sums));
    }
}

void m2mgw_counted_rule(apr_uint64_t *pallow, apr_uint64_t *pdeny, const m2_rule_t *rule)
{
    *pallow = *pdeny = 0;
    if (counters.board && rule->number > 0) {
        *pallow = get(&counters.rules[rule->number - 1].allow);
        *pdeny = get(&counters.rules[rule->number - 1].deny);
    }
}

apr_time_t m2mgw_counting_since(void)
{
    return counters.board ? counters.board->since : apr_time_now();
}

apr_time_t m2mgw_configured_at(void)
{
    return counters.configured;
}

/* --- what belongs to whom --- */

/* A section without its place in a file: its virtual host and what encloses it. */
static const char *identity(apr_pool_t *pool, const m2mgw_section_t *section)
{
    const server_rec *s = section->server;
    const ap_directive_t *at;
    const char *text = apr_psprintf(pool, "%s:%d", s->server_hostname ? s->server_hostname : "",
                                    s->is_virtual ? (int)s->addrs->host_port : -1);

    for (at = section->where; at; at = at->parent) {
        if (ap_cstr_casecmp(at->directive, "<VirtualHost") != 0) {
            text = apr_pstrcat(pool, text, "\n", at->directive, " ", at->args, NULL);
        }
    }
    return text;
}

/* FNV-1a */
apr_uint64_t m2mgw_key_of(apr_uint64_t key, const char *text)
{
    key = key ? key : 0xcbf29ce484222325u;
    for (; *text; text++) {
        key = (key ^ (unsigned char)*text) * 0x100000001b3u;
    }
    return key ? key : 1;
}

/* text, with a number behind all but the first that are the same */
static const char *distinct(apr_pool_t *pool, apr_hash_t *seen, const char *text)
{
    int *count = apr_hash_get(seen, text, APR_HASH_KEY_STRING);

    if (!count) {
        count = apr_pcalloc(pool, sizeof(*count));
        apr_hash_set(seen, text, APR_HASH_KEY_STRING, count);
    }
    return ++*count == 1 ? text : apr_psprintf(pool, "%s #%d", text, *count);
}

/* How people and metrics call the sections. A file that is included twice makes sections
 * that stand on the same line: their names get a number. */
static const char *display_name(apr_pool_t *pool, const m2mgw_section_t *section)
{
    const ap_directive_t *at = section->where ? section->where : section->first;
    const char *place = at ? m2mgw_cfg_place(pool, at) : "";

    return section->where
               ? apr_psprintf(pool, "%s %s (%s)", at->directive, at->args, place)
               : apr_psprintf(pool, "server (%s)", place);
}

/* --- the segment --- */

static apr_size_t size_for(int sections, int rules)
{
    return sizeof(shard_t) + SHARDS * sizeof(shard_t)
           + (apr_size_t)sections * sizeof(section_row_t)
           + (apr_size_t)rules * sizeof(rule_row_t);
}

static void look_at(m2mgw_shared_t *shared)
{
    counters.board = shared->base;
    counters.shards = (shard_t *)shared->base + 1;
    counters.sections = (section_row_t *)(counters.shards + SHARDS);
    counters.rules = (rule_row_t *)(counters.sections + counters.board->sections);
}

/* The row of key, or a free one, which then belongs to it; 0: no row is free. From 1. */
static int section_row(apr_uint64_t key)
{
    int i;

    for (i = 0; i < counters.board->sections; i++) {
        section_row_t *row = &counters.sections[(key + (apr_uint64_t)i)
                                                % (apr_uint64_t)counters.board->sections];

        if (row->key == key || row->key == 0) {
            row->key = key;
            return (int)(row - counters.sections) + 1;
        }
    }
    return 0;
}

static int rule_row(apr_uint64_t key)
{
    int i;

    for (i = 0; i < counters.board->rules; i++) {
        rule_row_t *row = &counters.rules[(key + (apr_uint64_t)i)
                                          % (apr_uint64_t)counters.board->rules];

        if (row->key == key || row->key == 0) {
            row->key = key;
            return (int)(row - counters.rules) + 1;
        }
    }
    return 0;
}

static const apr_array_header_t *rules_of(const m2mgw_section_t *section)
{
    static const apr_array_header_t none = { NULL, sizeof(m2_rule_t *), 0, 0, NULL };

    return section->rules ? section->rules->rules : &none;
}

/* Gives every section and rule its row and name; 0 when there are not enough rows. */
static int take_rows(apr_pool_t *pconf, apr_pool_t *ptemp)
{
    const apr_array_header_t *sections = m2mgw_cfg_sections();
    apr_hash_t *seen = apr_hash_make(ptemp), *names = apr_hash_make(ptemp);
    int i, k, enough = 1;

    for (i = 0; i < sections->nelts; i++) {
        m2mgw_section_t *section = APR_ARRAY_IDX(sections, i, m2mgw_section_t *);
        const char *self = distinct(ptemp, seen, identity(ptemp, section));

        section->name = apr_pstrdup(pconf, distinct(ptemp, names, display_name(ptemp, section)));
        section->key = m2mgw_key_of(0, self);
        section->row = section_row(section->key);
        enough = enough && section->row;
        for (k = 0; k < rules_of(section)->nelts; k++) {
            m2_rule_t *rule = APR_ARRAY_IDX(rules_of(section), k, m2_rule_t *);

            rule->number = rule_row(m2mgw_key_of(section->key,
                                                 apr_pstrcat(ptemp, "\n", rule->name, NULL)));
            enough = enough && rule->number;
        }
    }
    return enough;
}

/* The counts so far of earlier sections and rules that still exist. */
static void carry_over(const m2mgw_shared_t *old)
{
    const board_t *board = old->base;
    const shard_t *shards = (const shard_t *)old->base + 1;
    const section_row_t *sections = (const section_row_t *)(shards + SHARDS);
    const rule_row_t *rules = (const rule_row_t *)(sections + board->sections);
    int i, k;

    counters.board->since = board->since;
    memcpy(counters.shards, shards, SHARDS * sizeof(*shards));
    for (i = 0; i < board->sections; i++) {
        for (k = 0; sections[i].key && k < counters.board->sections; k++) {
            if (counters.sections[k].key == sections[i].key) {
                counters.sections[k] = sections[i];
            }
        }
    }
    for (i = 0; i < board->rules; i++) {
        for (k = 0; rules[i].key && k < counters.board->rules; k++) {
            if (counters.rules[k].key == rules[i].key) {
                counters.rules[k] = rules[i];
            }
        }
    }
}

/* Only code built with the same layout can read the memory. */
static apr_uint64_t layout(void)
{
    return (apr_uint64_t)sizeof(shard_t) << 32 | M2_CODES << 16 | sizeof(section_row_t);
}

static m2mgw_shared_t *make_board(server_rec *s)
{
    const apr_array_header_t *list = m2mgw_cfg_sections();
    int sections = 16, rules = 16, i;
    m2mgw_shared_t *shared;

    for (i = 0; i < list->nelts; i++) {
        sections += 2;
        rules += 2 * rules_of(APR_ARRAY_IDX(list, i, m2mgw_section_t *))->nelts;
    }
    shared = m2mgw_shared_make(s, size_for(sections, rules), layout());
    if (shared) {
        board_t *board = shared->base;

        board->since = apr_time_now();
        board->sections = sections;
        board->rules = rules;
    }
    return shared;
}

static int hook_post_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp,
                            server_rec *s)
{
    m2mgw_shared_t *kept = m2mgw_shared_kept(s, KEY), *made;

    (void)plog;
    counters.configured = apr_time_now();
    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG) {
        return OK; /* the configuration is read again before anybody serves */
    }
    if (kept && kept->layout != layout()) {
        kept = NULL;
    }
    if (kept) {
        look_at(kept);
        if (take_rows(pconf, ptemp)) {
            return OK;
        }
    }
    made = make_board(s);
    if (!made) {
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, s, "M2-401: no shared memory for counters");
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    look_at(made);
    take_rows(pconf, ptemp);
    if (kept) {
        carry_over(kept);
    }
    m2mgw_shared_keep(s, KEY, made);
    return OK;
}

/* Until rows are taken anew nothing is counted. */
static int hook_pre_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp)
{
    (void)pconf;
    (void)plog;
    (void)ptemp;
    memset(&counters, 0, sizeof(counters));
    return OK;
}

void m2mgw_counters_register(void)
{
    ap_hook_pre_config(hook_pre_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_post_config(hook_post_config, NULL, NULL, APR_HOOK_MIDDLE);
}
