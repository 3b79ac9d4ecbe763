/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A lock in memory that processes share. If a process is killed while it holds it, the next
 * holder repairs what the lock protects; no process waits for ever.
 */
#ifndef M2_LOCK_H
#define M2_LOCK_H

#include <pthread.h>

/** Make lock in shared memory; 0 when the system cannot. */
int m2_lock_make(pthread_mutex_t *lock);

/** Take lock, for some seconds at most. mend puts what it protects in order, with data, after a
 *  holder that died. 0 with the lock held, an error of pthread otherwise. */
int m2_lock_take(pthread_mutex_t *lock, int seconds, void (*mend)(void *data), void *data);

#endif /* M2_LOCK_H */
