/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * How often the same message is logged: a table of this process, in which an entry is one word:
 * what the message is about, and the second in which it was logged.
 */
#include "httpd/runtime/m2mgw_tell.h"

#include <apr_time.h>

#include <time.h>

#define PLACES 1024
#define TRIES 8
#define PAUSE 10 /* seconds */

static apr_uint64_t places[PLACES];

/* splitmix64's finalizer: neighbouring addresses get unrelated values */
static apr_uint64_t mixed(apr_uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

/* Seconds of a monotonic clock; an empty entry is older than any pause. */
static apr_uint32_t second(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (apr_uint32_t)now.tv_sec + PAUSE;
}

int m2mgw_may_tell(const void *section, m2_code_t code)
{
    const apr_uint64_t hash = mixed((apr_uint64_t)(apr_uintptr_t)section * M2_CODES
                                    + (apr_uint64_t)code);
    const apr_uint32_t who = (apr_uint32_t)(hash >> 32), now = second();
    const apr_uint64_t mine = (apr_uint64_t)who << 32 | now;
    apr_uint64_t *free = NULL, stale = 0;
    int i;

    for (i = 0; i < TRIES; i++) {
        apr_uint64_t *place = &places[(hash + (apr_uint64_t)i) % PLACES];
        const apr_uint64_t there = __atomic_load_n(place, __ATOMIC_RELAXED);

        if (now - (apr_uint32_t)there >= PAUSE) {
            stale = free ? stale : there;
            free = free ? free : place;
        }
        else if ((apr_uint32_t)(there >> 32) == who) {
            return 0;
        }
    }
    return free
           && __atomic_compare_exchange_n(free, &stale, mine, 0, __ATOMIC_RELAXED,
                                          __ATOMIC_RELAXED);
}
