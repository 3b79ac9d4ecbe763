/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * One thread, one lock, a short list. The thread may be inside the resolver when its process
 * ends, for as long as the resolver takes. So it is detached, its memory is malloc'd and freed
 * by its last user, and the library it runs in is pinned: a process that exits unloads modules
 * while its other threads still run.
 */
#include "wire/m2_names.h"

#include "base/m2_hold.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define AGAIN 30  /* seconds between two looks at a name */
#define RETRY 1   /* seconds until a name is looked at that was not found, or is in doubt */

typedef struct name_t {
    struct name_t *next;
    char *host;
    m2_addr_t addrs[M2_NAMES_ADDRS];
    int n;
    int looked;        /* it was looked up at least once */
    apr_int64_t due;   /* second of the monotonic clock for the next look */
    apr_int64_t last;  /* second of the last look */
} name_t;

struct m2_names_t {
    pthread_mutex_t lock; /* of all that follows */
    pthread_cond_t wake;  /* of the thread */
    pthread_cond_t done;  /* of those who wait for it */
    name_t *first;
    int count;
    int running;          /* there is a thread */
    int ended;            /* the pool is gone; the thread frees all this */
};

static m2_names_fn *look_up = getaddrinfo;

void m2_names_use(m2_names_fn *fn)
{
    look_up = fn ? fn : getaddrinfo;
}

static apr_int64_t now_sec(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (apr_int64_t)t.tv_sec;
}

/* --- addresses --- */

static void set_port(m2_addr_t *addr, apr_port_t port)
{
    if (addr->to.ss_family == AF_INET6) {
        ((struct sockaddr_in6 *)(void *)&addr->to)->sin6_port = htons(port);
    }
    else {
        ((struct sockaddr_in *)(void *)&addr->to)->sin_port = htons(port);
    }
}

/* An address in digits. */
static int literal(m2_addr_t *addr, const char *host)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)&addr->to;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)&addr->to;

    memset(addr, 0, sizeof(*addr));
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        addr->to.ss_family = AF_INET;
        addr->len = sizeof(*v4);
        return 1;
    }
    if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
        addr->to.ss_family = AF_INET6;
        addr->len = sizeof(*v6);
        return 1;
    }
    return 0;
}

static int take_list(m2_addr_t *addrs, const struct addrinfo *list)
{
    int n = 0;

    for (; list && n < M2_NAMES_ADDRS; list = list->ai_next) {
        if (list->ai_addrlen <= sizeof(addrs[n].to)) {
            memcpy(&addrs[n].to, list->ai_addr, list->ai_addrlen);
            addrs[n++].len = list->ai_addrlen;
        }
    }
    return n;
}

/* --- the thread --- */

static void free_names(m2_names_t *names)
{
    name_t *name;

    while ((name = names->first) != NULL) {
        names->first = name->next;
        free(name->host);
        free(name);
    }
    pthread_cond_destroy(&names->wake);
    pthread_cond_destroy(&names->done);
    pthread_mutex_destroy(&names->lock);
    free(names);
}

static name_t *most_due(const m2_names_t *names)
{
    name_t *name, *found = NULL;

    for (name = names->first; name; name = name->next) {
        if (!found || name->due < found->due) {
            found = name;
        }
    }
    return found;
}

/* The lock is held on entry and on return, and not while the resolver is asked. */
static void look(m2_names_t *names, name_t *name)
{
    m2_addr_t addrs[M2_NAMES_ADDRS];
    struct addrinfo hints, *list = NULL;
    int n = 0;

    memset(&hints, 0, sizeof(hints));
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_ADDRCONFIG;
    pthread_mutex_unlock(&names->lock); /* name and its host stay until the end */
    if (look_up(name->host, NULL, &hints, &list) == 0) {
        n = take_list(addrs, list);
        freeaddrinfo(list);
    }
    pthread_mutex_lock(&names->lock);
    if (n) { /* else the known address stays: a resolver that is down changes nothing */
        memcpy(name->addrs, addrs, sizeof(addrs[0]) * (size_t)n);
        name->n = n;
    }
    name->looked = 1;
    name->last = now_sec();
    name->due = name->last + (n ? AGAIN : RETRY);
    pthread_cond_broadcast(&names->done);
}

static void *run(void *baton)
{
    m2_names_t *names = baton;
    struct timespec until;
    name_t *name;

    pthread_mutex_lock(&names->lock);
    while (!names->ended) {
        name = most_due(names);
        if (name->due <= now_sec()) {
            look(names, name);
            continue;
        }
        memset(&until, 0, sizeof(until));
        until.tv_sec = (time_t)name->due;
        pthread_cond_timedwait(&names->wake, &names->lock, &until);
    }
    pthread_mutex_unlock(&names->lock);
    free_names(names);
    return NULL;
}

/* The code this thread runs stays mapped until the process is gone. */
static void pin_code(void)
{
    Dl_info info;

    if (dladdr(__extension__ (void *)run, &info) && info.dli_fname) {
        (void)dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
    }
}

/* Signals are for the server's own threads. The lock is held. */
static void start(m2_names_t *names)
{
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t all, before;

    if (names->running || pthread_attr_init(&attr) != 0) {
        return;
    }
    pin_code();
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    names->running = pthread_create(&thread, &attr, run, names) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
}

/* --- asking --- */

static name_t *find(const m2_names_t *names, const char *host)
{
    name_t *name = names->first;

    while (name && strcmp(name->host, host) != 0) {
        name = name->next;
    }
    return name;
}

/* A new name, and a thread to look it up. The lock is held. */
static void ask(m2_names_t *names, const char *host)
{
    name_t *name = names->count < M2_NAMES_MAX ? calloc(1, sizeof(*name)) : NULL;

    if (name && !(name->host = strdup(host))) {
        free(name);
        name = NULL;
    }
    if (name) {
        name->next = names->first;
        names->first = name;
        names->count++;
        start(names);
        pthread_cond_signal(&names->wake);
    }
}

int m2_names_find(m2_addr_t addrs[M2_NAMES_ADDRS], m2_names_t *names, const char *host,
                  apr_port_t port)
{
    const name_t *name;
    m2_hold_t hold;
    int i, n = literal(&addrs[0], host);

    if (!n && names) {
        m2_hold_begin(&hold);
        pthread_mutex_lock(&names->lock);
        name = find(names, host);
        if (!name) {
            ask(names, host);
        }
        else {
            n = name->n;
            memcpy(addrs, name->addrs, sizeof(addrs[0]) * (size_t)n);
        }
        pthread_mutex_unlock(&names->lock);
        m2_hold_end(&hold);
    }
    for (i = 0; i < n; i++) {
        set_port(&addrs[i], port);
    }
    return n;
}

void m2_names_doubt(m2_names_t *names, const char *host)
{
    name_t *name;

    pthread_mutex_lock(&names->lock);
    name = find(names, host);
    if (name && name->due > name->last + RETRY) {
        name->due = name->last + RETRY;
        pthread_cond_signal(&names->wake);
    }
    pthread_mutex_unlock(&names->lock);
}

static int all_looked(const m2_names_t *names)
{
    const name_t *name = names->first;

    while (name && name->looked) {
        name = name->next;
    }
    return !name || !names->running;
}

void m2_names_wait(m2_names_t *names, int msec)
{
    struct timespec until;
    int rv = 0;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += msec / 1000;
    until.tv_nsec += (long)(msec % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&names->lock);
    while (rv == 0 && !all_looked(names)) {
        rv = pthread_cond_timedwait(&names->done, &names->lock, &until);
    }
    pthread_mutex_unlock(&names->lock);
}

/* --- making --- */

static apr_status_t end_names(void *baton)
{
    m2_names_t *names = baton;
    int running;

    if (m2_hold_needed()) {
        return APR_SUCCESS; /* the process ends, and the thread with it */
    }
    pthread_mutex_lock(&names->lock);
    running = names->running;
    names->ended = 1;
    pthread_cond_signal(&names->wake);
    pthread_mutex_unlock(&names->lock);
    if (!running) {
        free_names(names);
    }
    return APR_SUCCESS;
}

m2_code_t m2_names_make(m2_names_t **pnames, apr_pool_t *pool, m2_err_t *err)
{
    m2_names_t *names = calloc(1, sizeof(*names));
    pthread_condattr_t attr;

    *pnames = NULL;
    if (!names || pthread_mutex_init(&names->lock, NULL) != 0) {
        free(names);
        return m2_err_set(err, M2_E_INTERNAL, "cannot make a lock");
    }
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&names->wake, &attr);
    pthread_cond_init(&names->done, &attr);
    pthread_condattr_destroy(&attr);
    apr_pool_cleanup_register(pool, names, end_names, apr_pool_cleanup_null);
    *pnames = names;
    return M2_OK;
}
