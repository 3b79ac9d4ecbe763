/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * POSIX robust mutexes: the kernel tells the next one that the holder has died.
 */
#include "replay/m2_lock.h"

#include <errno.h>
#include <string.h>
#include <time.h>

int m2_lock_make(pthread_mutex_t *lock)
{
    pthread_mutexattr_t attr;
    int rv;

    memset(lock, 0, sizeof(*lock));
    pthread_mutexattr_init(&attr);
    rv = pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    rv = rv ? rv : pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    rv = rv ? rv : pthread_mutex_init(lock, &attr);
    pthread_mutexattr_destroy(&attr);
    return rv == 0;
}

/* Against the monotonic clock; M2_TIMEDLOCK: where ThreadSanitizer has to know what is waited
 * for. */
static int wait_for(pthread_mutex_t *lock, int seconds)
{
    struct timespec until;

#ifdef M2_TIMEDLOCK
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += seconds;
    return pthread_mutex_timedlock(lock, &until);
#else
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += seconds;
    return pthread_mutex_clocklock(lock, CLOCK_MONOTONIC, &until);
#endif
}

int m2_lock_take(pthread_mutex_t *lock, int seconds, void (*mend)(void *data), void *data)
{
    int rv = pthread_mutex_trylock(lock);

    if (rv == EBUSY) {
        rv = wait_for(lock, seconds);
    }
    if (rv == EOWNERDEAD) {
        mend(data);
        rv = pthread_mutex_consistent(lock);
    }
    return rv;
}
