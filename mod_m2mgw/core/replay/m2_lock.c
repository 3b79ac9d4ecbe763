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

int m2_lock_take(pthread_mutex_t *lock, int seconds, void (*mend)(void *data), void *data)
{
    struct timespec until;
    int rv = pthread_mutex_trylock(lock);

    if (rv == EBUSY) {
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += seconds;
        rv = pthread_mutex_clocklock(lock, CLOCK_MONOTONIC, &until);
    }
    if (rv == EOWNERDEAD) {
        mend(data);
        rv = pthread_mutex_consistent(lock);
    }
    return rv;
}
