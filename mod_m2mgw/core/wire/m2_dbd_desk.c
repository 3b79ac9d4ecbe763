/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A job belongs to its caller until it is given up; then to the thread that works on it, which
 * frees it. Where every thread hangs, nobody waits any more: the answer is no at once.
 */
#include "wire/m2_dbd_desk.h"

#include "base/m2_hold.h"
#include "base/m2_log.h"

#include <apr_strings.h>
#include <apr_tables.h>

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define IDLE 60     /* seconds after which a thread that has nothing to do ends */
#define DOUBTFUL 1000 /* milliseconds to wait while an earlier question hangs */
#define END_WAIT 3  /* seconds that the end of a process waits for jobs */
#define COLUMNS 8   /* of a row at most */

typedef enum job_state_t { JOB_WAITS, JOB_RUNS, JOB_DONE, JOB_GIVEN_UP } job_state_t;

typedef struct job_t {
    apr_pool_t *pool; /* of its own; it is in there */
    const m2_dbd_host_t *host;
    const char *label;
    int n;
    const char *args[M2_DBD_ARGS];
    int columns, optional;    /* columns 0: a change */
    apr_array_header_t *rows; /* of const char *, columns of each */
    int result;
    char why[M2_DBD_WHY];
    job_state_t state;
    struct job_t *next;       /* in the queue */
} job_t;

/* of this process */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t work, done;
    job_t *first, **plast;
    int threads, idle, hung; /* hung: work on what was given up */
    int open, ended;
} desk = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void after(struct timespec *t, int msec)
{
    clock_gettime(CLOCK_MONOTONIC, t);
    t->tv_sec += msec / 1000;
    t->tv_nsec += (long)(msec % 1000) * 1000000;
    if (t->tv_nsec >= 1000000000) {
        t->tv_sec++;
        t->tv_nsec -= 1000000000;
    }
}

/* --- jobs --- */

static int keep_row(void *baton, const char *const *columns, char *why)
{
    job_t *job = baton;
    int i;

    (void)why;
    for (i = 0; i < job->columns; i++) {
        APR_ARRAY_PUSH(job->rows, const char *) =
            columns[i] ? apr_pstrdup(job->pool, columns[i]) : NULL;
    }
    return 1;
}

static void work_on(job_t *job)
{
    const char **args = job->n ? job->args : NULL;

    job->result = job->columns
                      ? m2_dbd_read(job->host, job->label, job->n, args, job->columns,
                                    job->optional, keep_row, job, job->why)
                      : m2_dbd_change(job->host, job->label, job->n, args, job->why);
}

static job_t *job_make(const m2_dbd_host_t *host, const char *label, int n, const char **args,
                       int columns, int optional, char *why)
{
    apr_pool_t *pool;
    job_t *job;
    int i;

    if (n > M2_DBD_ARGS || columns > COLUMNS
        || apr_pool_create_unmanaged(&pool) != APR_SUCCESS) {
        apr_cpystrn(why, "out of memory", M2_DBD_WHY);
        return NULL;
    }
    job = apr_pcalloc(pool, sizeof(*job));
    job->pool = pool;
    job->host = host;
    job->label = label;
    job->n = n;
    for (i = 0; i < n; i++) {
        job->args[i] = apr_pstrdup(pool, args[i]);
    }
    job->columns = columns;
    job->optional = optional;
    job->rows = apr_array_make(pool, 16, sizeof(const char *));
    return job;
}

/* --- threads --- */

/* The next job, off the queue; NULL when there is none for a while. With the lock. */
static job_t *next_job(void)
{
    struct timespec until;
    job_t *job;
    int rv = 0;

    after(&until, IDLE * 1000);
    desk.idle++;
    while (!desk.first && !desk.ended && rv == 0) {
        rv = pthread_cond_timedwait(&desk.work, &desk.lock, &until);
    }
    desk.idle--;
    job = desk.ended ? NULL : desk.first;
    if (job) {
        desk.first = job->next;
        desk.plast = desk.first ? desk.plast : &desk.first;
        job->state = JOB_RUNS;
    }
    return job;
}

static void *run(void *nothing)
{
    job_t *job;

    (void)nothing;
    pthread_mutex_lock(&desk.lock);
    while ((job = next_job()) != NULL) {
        pthread_mutex_unlock(&desk.lock);
        work_on(job);
        pthread_mutex_lock(&desk.lock);
        if (job->state == JOB_GIVEN_UP) {
            desk.hung--;
            apr_pool_destroy(job->pool);
        }
        else {
            job->state = JOB_DONE;
            pthread_cond_broadcast(&desk.done);
        }
    }
    m2_hold_thread_ends();
    desk.threads--;
    pthread_cond_broadcast(&desk.done);
    pthread_mutex_unlock(&desk.lock);
    return NULL;
}

/* One more thread if the jobs that wait want it; signals are for the server's own. */
static void hire(void)
{
    sigset_t all, before;
    pthread_t thread;
    int waiting = 0;
    job_t *job;

    for (job = desk.first; job; job = job->next) {
        waiting++;
    }
    if (waiting <= desk.idle || desk.threads >= M2_DBD_THREADS) {
        return;
    }
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (pthread_create(&thread, NULL, run, NULL) == 0) {
        pthread_detach(thread);
        desk.threads++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* --- callers --- */

static void unqueue(job_t *job)
{
    job_t **p = &desk.first;

    while (*p && *p != job) {
        p = &(*p)->next;
    }
    if (*p) {
        *p = job->next;
        desk.plast = job->next ? desk.plast : p;
    }
}

/* 1 when it is done, and the caller's; 0 when it was given up. With the lock. */
static int wait_for(job_t *job, int msec)
{
    struct timespec until;
    int rv = 0;

    after(&until, msec);
    while (job->state != JOB_DONE && rv == 0) {
        rv = pthread_cond_timedwait(&desk.done, &desk.lock, &until);
    }
    if (job->state == JOB_DONE) {
        return 1;
    }
    if (job->state == JOB_RUNS) {
        job->state = JOB_GIVEN_UP;
        desk.hung++;
    }
    else {
        unqueue(job);
        apr_pool_destroy(job->pool);
    }
    return 0;
}

static int hand_over(job_t *job, int msec, char *why)
{
    int done = 0;

    pthread_mutex_lock(&desk.lock);
    if (desk.ended || desk.hung >= M2_DBD_THREADS) {
        apr_pool_destroy(job->pool);
        apr_cpystrn(why, "the database hangs: no more questions are asked meanwhile",
                    M2_DBD_WHY);
    }
    else {
        *desk.plast = job;
        desk.plast = &job->next;
        hire();
        pthread_cond_signal(&desk.work);
        msec = desk.hung && msec > DOUBTFUL ? DOUBTFUL : msec;
        done = wait_for(job, msec);
        if (!done) {
            apr_snprintf(why, M2_DBD_WHY, "the database has not answered within %d second%s",
                         msec / 1000, msec < 2000 ? "" : "s");
        }
    }
    pthread_mutex_unlock(&desk.lock);
    return done;
}

static int take_rows(const job_t *job, m2_dbd_row_fn *row, void *baton, char *why)
{
    int i, more = 1;

    for (i = 0; more && i < job->rows->nelts; i += job->columns) {
        more = row(baton, &APR_ARRAY_IDX(job->rows, i, const char *), why);
    }
    return more;
}

int m2_dbd_desk_change(const m2_dbd_host_t *host, const char *label, int n, const char **args,
                       char *why)
{
    int result = -1;
    m2_hold_t hold;
    job_t *job;

    if (!desk.open) {
        return m2_dbd_change(host, label, n, args, why);
    }
    m2_hold_begin(&hold);
    job = job_make(host, label, n, args, 0, 0, why);
    if (job && hand_over(job, M2_DBD_WAIT, why)) {
        result = job->result;
        apr_cpystrn(why, job->why, M2_DBD_WHY);
        apr_pool_destroy(job->pool);
    }
    m2_hold_end(&hold);
    return result;
}

int m2_dbd_desk_read(const m2_dbd_host_t *host, const char *label, int n, const char **args,
                     int columns, int optional, m2_dbd_row_fn *row, void *baton, int msec,
                     char *why)
{
    int result = 0;
    m2_hold_t hold;
    job_t *job;

    if (!desk.open) {
        return m2_dbd_read(host, label, n, args, columns, optional, row, baton, why);
    }
    m2_hold_begin(&hold);
    job = job_make(host, label, n, args, columns, optional, why);
    if (job && hand_over(job, msec, why)) {
        apr_cpystrn(why, job->why, M2_DBD_WHY);
        result = job->result && take_rows(job, row, baton, why);
        apr_pool_destroy(job->pool);
    }
    m2_hold_end(&hold);
    return result;
}

/* --- a process --- */

/* Connections go with the pool: who uses one is waited for. One that is in use for good cannot be
 * taken away (apr_reslist aborts), so the process ends here, as it was about to. */
static apr_status_t end_desk(void *baton)
{
    struct timespec until;
    int rv = 0;

    (void)baton;
    after(&until, END_WAIT * 1000);
    pthread_mutex_lock(&desk.lock);
    desk.ended = 1;
    pthread_cond_broadcast(&desk.work);
    while (desk.threads && rv == 0) {
        rv = pthread_cond_timedwait(&desk.done, &desk.lock, &until);
    }
    if (desk.threads) {
        m2_log(M2_LOG_WARNING, "a database does not answer: this process ends without it");
        _exit(0);
    }
    pthread_mutex_unlock(&desk.lock);
    return APR_SUCCESS;
}

void m2_dbd_desk_open(apr_pool_t *pool)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&desk.work, &attr);
    pthread_cond_init(&desk.done, &attr);
    pthread_condattr_destroy(&attr);
    desk.first = NULL;
    desk.plast = &desk.first;
    desk.open = 1;
    apr_pool_pre_cleanup_register(pool, NULL, end_desk);
}
