/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What httpd hands from thread to thread by APR's atomics (pools that are used again, queues of
 * workers) happens in libraries that were not built with ThreadSanitizer, which then takes two
 * requests in one pool for a race. These stand in front of APR's, and are built with it.
 */
#include <stdint.h>

/* apr_atomic.h is not included: what it calls a pointer to a pointer differs between versions */
typedef uint32_t apr_uint32_t;

apr_uint32_t apr_atomic_read32(volatile apr_uint32_t *mem)
{
    return __atomic_load_n(mem, __ATOMIC_SEQ_CST);
}

void apr_atomic_set32(volatile apr_uint32_t *mem, apr_uint32_t value)
{
    __atomic_store_n(mem, value, __ATOMIC_SEQ_CST);
}

apr_uint32_t apr_atomic_add32(volatile apr_uint32_t *mem, apr_uint32_t value)
{
    return __atomic_fetch_add(mem, value, __ATOMIC_SEQ_CST);
}

void apr_atomic_sub32(volatile apr_uint32_t *mem, apr_uint32_t value)
{
    __atomic_fetch_sub(mem, value, __ATOMIC_SEQ_CST);
}

apr_uint32_t apr_atomic_inc32(volatile apr_uint32_t *mem)
{
    return __atomic_fetch_add(mem, 1, __ATOMIC_SEQ_CST);
}

int apr_atomic_dec32(volatile apr_uint32_t *mem)
{
    return __atomic_sub_fetch(mem, 1, __ATOMIC_SEQ_CST) != 0;
}

apr_uint32_t apr_atomic_cas32(volatile apr_uint32_t *mem, apr_uint32_t with, apr_uint32_t cmp)
{
    __atomic_compare_exchange_n(mem, &cmp, with, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    return cmp;
}

apr_uint32_t apr_atomic_xchg32(volatile apr_uint32_t *mem, apr_uint32_t value)
{
    return __atomic_exchange_n(mem, value, __ATOMIC_SEQ_CST);
}

void *apr_atomic_casptr(void *volatile *mem, void *with, const void *cmp)
{
    void *found = (void *)(uintptr_t)cmp;

    __atomic_compare_exchange_n(mem, &found, with, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    return found;
}

void *apr_atomic_xchgptr(void *volatile *mem, void *with)
{
    return __atomic_exchange_n(mem, with, __ATOMIC_SEQ_CST);
}
