/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Written by the parent at a restart, under the lock of the store where it has one; read by
 * requests without. `before` is written first, so that a reader of `until` sees it as well.
 */
#include "replay/m2_leeway.h"

static void store_raise(m2_leeway_t *leeway, apr_uint32_t before, apr_uint64_t until)
{
    __atomic_store_n(&leeway->before, before, __ATOMIC_RELAXED);
    __atomic_store_n(&leeway->until, until, __ATOMIC_RELEASE);
}

apr_uint32_t m2_leeway_set(m2_leeway_t *leeway, apr_uint32_t seconds, apr_uint64_t wait,
                           apr_uint64_t now)
{
    const apr_uint32_t known = leeway->now;
    const apr_uint32_t raised = known && seconds + 1 > known ? seconds + 1 - known : 0;
    const int pending = leeway->until > now;

    leeway->now = seconds + 1;
    if (raised) {
        /* tokens that were out before an earlier raise may come back by the sum of both */
        store_raise(leeway, pending && leeway->before < known - 1 ? leeway->before : known - 1,
                    (pending ? leeway->until : now) + raised + wait);
    }
    return raised;
}

void m2_leeway_join(m2_leeway_t *leeway, const m2_leeway_t *other)
{
    if (other->now && (!leeway->now || other->now < leeway->now)) {
        leeway->now = other->now;
    }
    if (other->until) {
        store_raise(leeway, leeway->until && leeway->before < other->before ? leeway->before
                                                                           : other->before,
                    leeway->until > other->until ? leeway->until : other->until);
    }
}

int m2_leeway_judges(const m2_leeway_t *leeway, apr_uint64_t now)
{
    const apr_uint64_t until = __atomic_load_n(&leeway->until, __ATOMIC_ACQUIRE);

    return now < until ? (int)__atomic_load_n(&leeway->before, __ATOMIC_RELAXED) : -1;
}
