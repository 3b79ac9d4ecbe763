/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A pull asks, a turn of the worker answers, a later pull takes the answer. An answer to a
 * question that was given up is dropped: what it says may be long out of date.
 */
#include "wire/m2_dbd_list.h"

#include "base/m2_hold.h"
#include "wire/m2_dbd_desk.h"
#include "wire/m2_wire.h"
#include "wire/m2_worker.h"

#include <openssl/evp.h>

#include <apr_escape.h>
#include <apr_strings.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define IDLE 60000     /* milliseconds between two turns that nobody wakes */
#define FIRST 65536    /* bytes of a text to begin with */
#define DIGEST 32      /* bytes of SHA-256 */

/* a text that grows; malloc'd, since it goes from one thread to another */
typedef struct text_t {
    char *p;
    apr_size_t n, room, max;
} text_t;

struct m2_dbd_list_t {
    const m2_dbd_host_t *host;
    const char *label;
    apr_size_t max;
    m2_worker_t *worker;
    pthread_mutex_t lock; /* of all that follows */
    apr_int64_t asked;    /* milliseconds of m2_wire_clock; 0: nobody asks */
    apr_uint64_t question; /* its number */
    int answered;
    text_t text;          /* the answer; p is NULL: an error, and why */
    char etag[2 * DIGEST + 1];
    char why[M2_DBD_WHY];
};

/* --- rows --- */

static int grow(text_t *text, apr_size_t more, char *why)
{
    apr_size_t room = text->room ? text->room : FIRST;
    char *p;

    if (more > text->max || text->n > text->max - more) {
        apr_snprintf(why, M2_DBD_WHY, "the answer is larger than %" APR_SIZE_T_FMT " bytes",
                     text->max);
        return 0;
    }
    while (room < text->n + more) {
        room *= 2;
    }
    if (room == text->room) {
        return 1;
    }
    p = realloc(text->p, room);
    if (!p) {
        apr_cpystrn(why, "out of memory", M2_DBD_WHY);
        return 0;
    }
    text->p = p;
    text->room = room;
    return 1;
}

static int take_row(void *baton, const char *const *columns, char *why)
{
    text_t *text = baton;
    const char *behind = columns[1] ? columns[1] : "-";
    apr_size_t k = strlen(behind), n;

    if (!columns[0]) {
        apr_cpystrn(why, "the first column of a row is null", M2_DBD_WHY);
        return 0;
    }
    n = strlen(columns[0]);
    if (!grow(text, k + n + 2, why)) {
        return 0;
    }
    memcpy(text->p + text->n, behind, k);
    text->p[text->n + k] = '\t';
    memcpy(text->p + text->n + k + 1, columns[0], n + 1);
    text->n += k + n + 2;
    return 1;
}

/* --- a turn --- */

static int ask(m2_dbd_list_t *list, text_t *text, char *etag, char *why)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int n = 0;

    if (!grow(text, 0, why) /* no rows are an answer, too */
        || !m2_dbd_desk_read(list->host, list->label, 0, NULL, 2, 1, take_row, text,
                             M2_DBD_LIST_WAIT * 1000, why)) {
        return 0;
    }
    if (EVP_Digest(text->p, text->n, digest, &n, EVP_sha256(), NULL) != 1 || n != DIGEST) {
        apr_cpystrn(why, "no digest can be made", M2_DBD_WHY);
        return 0;
    }
    apr_escape_hex(etag, digest, n, 0, NULL);
    return 1;
}

static void forget(m2_dbd_list_t *list)
{
    free(list->text.p);
    memset(&list->text, 0, sizeof(list->text));
    list->answered = 0;
}

/* The number of the question that waits; 0 for none. */
static apr_uint64_t question_of(m2_dbd_list_t *list)
{
    apr_uint64_t question;

    pthread_mutex_lock(&list->lock);
    question = list->asked && !list->answered ? list->question : 0;
    pthread_mutex_unlock(&list->lock);
    return question;
}

static int turn(m2_worker_t *worker, void *baton)
{
    m2_dbd_list_t *list = baton;
    const apr_uint64_t question = question_of(list);
    char why[M2_DBD_WHY] = "no reason given", etag[2 * DIGEST + 1] = "";
    text_t text = { NULL, 0, 0, list->max };

    if (!question || m2_worker_ended(worker)) {
        return IDLE;
    }
    if (!ask(list, &text, etag, why)) {
        free(text.p);
        text.p = NULL;
    }
    pthread_mutex_lock(&list->lock);
    if (list->asked && list->question == question) {
        forget(list);
        list->text = text;
        list->answered = 1;
        memcpy(list->etag, etag, sizeof(etag));
        apr_cpystrn(list->why, why, sizeof(list->why));
        text.p = NULL;
    }
    pthread_mutex_unlock(&list->lock);
    free(text.p);
    return IDLE;
}

/* --- the thread that watches --- */

static void give(m2_answer_t *answer, apr_pool_t *pool, const char *etag, m2_dbd_list_t *list)
{
    if (!list->text.p) {
        answer->fault = apr_pstrdup(pool, list->why);
    }
    else if (etag && strcmp(etag, list->etag) == 0) {
        answer->status = 304;
    }
    else {
        answer->status = 200;
        answer->body = m2_slice(apr_pmemdup(pool, list->text.p, list->text.n), list->text.n);
        answer->etag = apr_pstrdup(pool, list->etag);
    }
    forget(list);
    list->asked = 0;
}

/* 1 when the worker is to be woken. */
static int look(m2_answer_t *answer, apr_pool_t *pool, const char *etag, m2_dbd_list_t *list)
{
    const apr_int64_t now = m2_wire_clock();

    if (list->answered) {
        give(answer, pool, etag, list);
        return 0;
    }
    if (!list->asked) {
        list->asked = now;
        list->question++;
        return 1;
    }
    if (now - list->asked > M2_DBD_LIST_WAIT * 1000) {
        list->asked = 0;
        answer->fault = apr_psprintf(pool, "the database has not answered within %d seconds",
                                     M2_DBD_LIST_WAIT);
    }
    return 0;
}

void m2_dbd_list_pull(m2_answer_t *answer, apr_pool_t *pool, const char *etag, void *baton)
{
    m2_dbd_list_t *list = baton;
    int wake;

    if (!list->worker) {
        answer->fault = "there is no thread to ask the database";
        return;
    }
    pthread_mutex_lock(&list->lock);
    wake = look(answer, pool, etag, list);
    pthread_mutex_unlock(&list->lock);
    if (wake) {
        m2_worker_wake(list->worker);
    }
}

/* --- making --- */

m2_dbd_list_t *m2_dbd_list_make(apr_pool_t *pool, const m2_dbd_host_t *host, const char *label,
                                apr_size_t max)
{
    m2_dbd_list_t *list = apr_pcalloc(pool, sizeof(*list));

    list->host = host;
    list->label = label;
    list->max = max;
    return list;
}

m2_code_t m2_dbd_list_attach(void *baton, apr_pool_t *pool, m2_err_t *err)
{
    m2_dbd_list_t *list = baton;

    if (pthread_mutex_init(&list->lock, NULL) != 0) {
        return m2_err_set(err, M2_E_INTERNAL, "cannot make a lock");
    }
    return m2_worker_make(&list->worker, pool, turn, list, err);
}
