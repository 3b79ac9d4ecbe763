/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The cleanup comes before those of child pools, whose connections a turn may be using. In
 * a child of prefork it runs in a signal handler, which the main thread never gets while it
 * holds the lock here (m2_hold).
 */
#include "wire/m2_worker.h"

#include "base/m2_hold.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>

#define END_WAIT 3 /* seconds that a turn may go on when the process ends */

struct m2_worker_t {
    pthread_mutex_t lock; /* of all that follows */
    pthread_cond_t wake;  /* of the thread */
    pthread_cond_t done;  /* of those who wait for the first turn */
    pthread_t thread;
    m2_worker_fn *fn;
    void *baton;
    int woken;
    int turned;           /* the first turn is over */
    int ended;
};

static void from_now(struct timespec *t, clockid_t clock, int msec)
{
    clock_gettime(clock, t);
    t->tv_sec += msec / 1000;
    t->tv_nsec += (long)(msec % 1000) * 1000000;
    if (t->tv_nsec >= 1000000000) {
        t->tv_sec++;
        t->tv_nsec -= 1000000000;
    }
}

static void *run(void *baton)
{
    m2_worker_t *worker = baton;
    struct timespec until;
    int rv, msec;

    pthread_mutex_lock(&worker->lock);
    while (!worker->ended) {
        worker->woken = 0;
        pthread_mutex_unlock(&worker->lock);
        msec = worker->fn(worker, worker->baton);
        from_now(&until, CLOCK_MONOTONIC, msec);
        pthread_mutex_lock(&worker->lock);
        worker->turned = 1;
        pthread_cond_broadcast(&worker->done);
        rv = 0;
        while (rv == 0 && !worker->woken && !worker->ended) {
            rv = pthread_cond_timedwait(&worker->wake, &worker->lock, &until);
        }
    }
    pthread_mutex_unlock(&worker->lock);
    return NULL;
}

static apr_status_t end_worker(void *baton)
{
    m2_worker_t *worker = baton;
    struct timespec until;

    pthread_mutex_lock(&worker->lock);
    __atomic_store_n(&worker->ended, 1, __ATOMIC_RELAXED); /* a turn looks without the lock */
    pthread_cond_signal(&worker->wake);
    pthread_mutex_unlock(&worker->lock);
    from_now(&until, CLOCK_REALTIME, END_WAIT * 1000);
    if (pthread_timedjoin_np(worker->thread, NULL, &until) != 0) {
        m2_hold_give_up();
    }
    return APR_SUCCESS;
}

static int start(m2_worker_t *worker)
{
    sigset_t all, before;
    int rv;

    sigfillset(&all); /* signals are for the server's own threads */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rv = pthread_create(&worker->thread, NULL, run, worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rv == 0;
}

m2_code_t m2_worker_make(m2_worker_t **pworker, apr_pool_t *pool, m2_worker_fn *fn,
                         void *baton, m2_err_t *err)
{
    m2_worker_t *worker = apr_pcalloc(pool, sizeof(*worker));
    pthread_condattr_t attr;

    *pworker = worker; /* a turn may ask for it */
    worker->fn = fn;
    worker->baton = baton;
    pthread_mutex_init(&worker->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&worker->wake, &attr);
    pthread_cond_init(&worker->done, &attr);
    pthread_condattr_destroy(&attr);
    if (!start(worker)) {
        *pworker = NULL;
        return m2_err_set(err, M2_E_INTERNAL, "cannot start a thread");
    }
    apr_pool_pre_cleanup_register(pool, worker, end_worker);
    return M2_OK;
}

void m2_worker_wake(m2_worker_t *worker)
{
    m2_hold_t hold;

    m2_hold_begin(&hold);
    pthread_mutex_lock(&worker->lock);
    worker->woken = 1;
    pthread_cond_signal(&worker->wake);
    pthread_mutex_unlock(&worker->lock);
    m2_hold_end(&hold);
}

int m2_worker_ended(const m2_worker_t *worker)
{
    return __atomic_load_n(&worker->ended, __ATOMIC_RELAXED);
}

void m2_worker_wait(m2_worker_t *worker, int msec)
{
    struct timespec until;
    int rv = 0;

    from_now(&until, CLOCK_MONOTONIC, msec);
    pthread_mutex_lock(&worker->lock);
    while (rv == 0 && !worker->turned) {
        rv = pthread_cond_timedwait(&worker->done, &worker->lock, &until);
    }
    pthread_mutex_unlock(&worker->lock);
}
