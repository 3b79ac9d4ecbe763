/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Counting what happens, in memory that all child processes share and that restarts keep.
 */
#ifndef M2MGW_COUNTERS_H
#define M2MGW_COUNTERS_H

#include "httpd/runtime/m2mgw_decision.h"

#define M2MGW_LATENCIES 10

/* what became of tokens */
typedef struct m2mgw_tokens_t {
    apr_uint64_t cached;                   /* found verified */
    apr_uint64_t latency[M2MGW_LATENCIES]; /* judged anew, by the time it took */
    apr_uint64_t latency_sum;              /* microseconds */
    apr_uint64_t tries;                    /* signatures that were checked for them */
} m2mgw_tokens_t;

/* counters by reason */
typedef struct m2mgw_reasons_t {
    apr_uint64_t all[M2_CODES];
    apr_uint64_t shadow[M2_CODES]; /* of these: refusals that Shadow let pass */
    apr_time_t last_refusal;       /* 0: none yet; not in sums over all sections */
} m2mgw_reasons_t;

/** Upper bounds of the latency buckets, in microseconds; the last has none (0). */
extern const int m2mgw_latency_bounds[M2MGW_LATENCIES];

/** Count a decision, and one token: found in the verified-token cache, or judged anew in so
 *  many microseconds with so many signatures checked. Any thread, no lock. */
void m2mgw_count_decision(const m2mgw_decision_t *decision);
void m2mgw_count_token(int cached, int tries, apr_interval_time_t took);

/** Sums over all processes; zeros while nothing is counted. */
void m2mgw_counted(m2mgw_reasons_t *sums);
void m2mgw_counted_tokens(m2mgw_tokens_t *sums);
void m2mgw_counted_section(m2mgw_reasons_t *sums, const m2mgw_section_t *section);
void m2mgw_counted_rule(apr_uint64_t *pallow, apr_uint64_t *pdeny, const m2_rule_t *rule);

/** Count a decision in shared memory; add what was counted to sums, which nobody shares. */
void m2mgw_reasons_count(m2mgw_reasons_t *reasons, const m2mgw_decision_t *decision);
void m2mgw_reasons_add(m2mgw_reasons_t *sums, const m2mgw_reasons_t *reasons);

/** An object that keeps its counters over restarts is identified by the hash of a text, never 0,
 *  chained to the hash of another one (0: no other). */
apr_uint64_t m2mgw_key_of(apr_uint64_t key, const char *text);

/** When counting began, and when the configuration in force was read. */
apr_time_t m2mgw_counting_since(void);
apr_time_t m2mgw_configured_at(void);

void m2mgw_counters_register(void);

#endif /* M2MGW_COUNTERS_H */
