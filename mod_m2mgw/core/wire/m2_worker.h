/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A thread of one process for work that no request may wait for: asking who the master is,
 * clearing up. It works in turns: one at once, then at the time that the last one asked for, or
 * when it is woken.
 */
#ifndef M2_WORKER_H
#define M2_WORKER_H

#include "base/m2_err.h"

typedef struct m2_worker_t m2_worker_t;

/** One turn, in the worker's thread, without a lock: milliseconds until the next one. It
 *  returns within seconds, and early when m2_worker_ended says so. */
typedef int m2_worker_fn(m2_worker_t *worker, void *baton);

/** In each process of its own, after it was forked. The thread ends before anything of pool
 *  is destroyed; it is waited for, three seconds at most, and then given up (m2_hold_give_up).
 *  M2_E_INTERNAL. */
m2_code_t m2_worker_make(m2_worker_t **pworker, apr_pool_t *pool, m2_worker_fn *fn,
                         void *baton, m2_err_t *err);

/** A turn is due now. Thread-safe, never waits for a turn. */
void m2_worker_wake(m2_worker_t *worker);

/** Whether the process ends. */
int m2_worker_ended(const m2_worker_t *worker);

/** Wait until the first turn is over, msec at most. For the start of a process. */
void m2_worker_wait(m2_worker_t *worker, int msec);

#endif /* M2_WORKER_H */
