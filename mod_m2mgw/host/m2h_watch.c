/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * mod_watchdog does not wait for its thread when a child ends right after its start, and says
 * nothing of the end to one that has not begun. So who ticks or ends holds `busy`, and the end is
 * registered with the child's pool as well.
 */
#include "host/m2h_watch.h"

#include "base/m2_hold.h"

#include <apr_thread_proc.h>

#include <mod_watchdog.h>

#define TICK (APR_USEC_PER_SEC / 10)
#define STOP_STEPS 300 /* of a tenth of a tick each, that stopping waits for the last tick: it may
                          be writing to a slow disk; httpd kills a child after about ten seconds */

static int try_lock(m2h_watch_t *watch)
{
    return __atomic_exchange_n(&watch->busy, 1, __ATOMIC_ACQUIRE) == 0;
}

static void unlock(m2h_watch_t *watch)
{
    __atomic_store_n(&watch->busy, 0, __ATOMIC_RELEASE);
}

/* 0: the lock cannot be taken in time. */
static int wait_and_lock(m2h_watch_t *watch)
{
    int i;

    for (i = 0; i < STOP_STEPS; i++) {
        if (try_lock(watch)) {
            return 1;
        }
        apr_sleep(TICK / 10);
    }
    return 0;
}

static void end_ticks(m2h_watch_t *watch)
{
    if (watch->ticking && watch->end) {
        watch->end();
    }
    watch->ticking = 0;
}

/* A tick that goes on uses what exit handlers free: a key that is read behind OPENSSL_cleanup()
 * crashes in OpenSSL's locks. So no exit handler runs then. */
static apr_status_t stop(void *data)
{
    m2h_watch_t *watch = data;

    if (wait_and_lock(watch)) {
        end_ticks(watch);
        unlock(watch);
    }
    else {
        m2_hold_give_up();
    }
    return APR_SUCCESS;
}

/* On the thread of mod_watchdog, which nobody joins when it ends by itself: so it keeps nothing of
 * OpenSSL's while it does not hold the lock. */
static void turn(m2h_watch_t *watch, int ends)
{
    if (watch->ticking) {
        if (ends) {
            end_ticks(watch);
        }
        else {
            watch->tick(apr_time_now());
        }
        m2_hold_thread_ends();
    }
    unlock(watch);
}

static apr_status_t run(int state, void *data, apr_pool_t *pool)
{
    m2h_watch_t *watch = data;

    (void)pool;
    if (state == AP_WATCHDOG_STATE_STARTING) {
        apr_setup_signal_thread(); /* a child is ended from its main thread, not from here */
    }
    else if (state == AP_WATCHDOG_STATE_STOPPING && wait_and_lock(watch)) {
        turn(watch, 1);
    }
    else if (state == AP_WATCHDOG_STATE_RUNNING && try_lock(watch)) {
        turn(watch, 0);
    }
    return APR_SUCCESS;
}

apr_status_t m2h_watch_join(m2h_watch_t *watch, apr_pool_t *pconf)
{
    APR_OPTIONAL_FN_TYPE(ap_watchdog_get_instance) *get =
        APR_RETRIEVE_OPTIONAL_FN(ap_watchdog_get_instance);
    APR_OPTIONAL_FN_TYPE(ap_watchdog_register_callback) *add =
        APR_RETRIEVE_OPTIONAL_FN(ap_watchdog_register_callback);
    ap_watchdog_t *watchdog;
    apr_status_t status = get && add ? get(&watchdog, watch->name, 0, 0, pconf) : APR_ENOTIMPL;

    return status == APR_SUCCESS ? add(watchdog, TICK, watch, run) : status;
}

/* The thread may run before child_init is over: what was made there is handed over by the lock. */
void m2h_watch_begin(m2h_watch_t *watch, apr_pool_t *pchild)
{
    while (!try_lock(watch)) {
        apr_sleep(TICK / 100); /* it looks, and finds that there is nothing to do yet */
    }
    watch->ticking = 1;
    unlock(watch);
    apr_pool_pre_cleanup_register(pchild, watch, stop);
}
