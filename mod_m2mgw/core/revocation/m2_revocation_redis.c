/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The version is read before the set: a line that comes in between is in the set already, and
 * the next look finds the newer version. A version that is gone, where there was one, is a
 * fault and no empty list: Redis that has lost its data revokes nothing any more.
 */
#include "revocation/m2_revocation_redis.h"

#include "base/m2_hold.h"
#include "wire/m2_worker.h"

#include <pthread.h>
#include <stdlib.h>

#define EVERY 300    /* milliseconds between two looks at the version */
#define START_WAIT 1000 /* milliseconds that the start of a process waits for the first look */
#define OLD 3000     /* milliseconds until what was seen last counts for nothing */
#define KEY (M2_HOST_MAX_PREFIX + 16)
#define VERSION 24   /* bytes of a version */

static const char add_line[] = "redis.call('SADD', KEYS[1], ARGV[1])\n"
                               "return redis.call('INCR', KEYS[2])\n";

struct m2_revocation_redis_t {
    m2_redis_t *redis;
    char lines[KEY], version[KEY]; /* keys; of one slot */
    m2_worker_t *worker;
    pthread_mutex_t lock; /* of all that follows */
    char seen[VERSION];   /* the version that text is of; "": there is no list */
    char *text;           /* malloc'd; NULL: nothing was read */
    apr_size_t n;
    apr_int64_t looked;   /* milliseconds of m2_wire_clock: when it was found to be so */
    char why[M2_WIRE_WHY];
};

static void make_keys(m2_revocation_redis_t *list, const m2_redis_spec_t *spec)
{
    apr_snprintf(list->lines, KEY, "{%s}lines", spec->prefix);
    apr_snprintf(list->version, KEY, "{%s}version", spec->prefix);
}

/* --- reading --- */

static m2_redis_reply_t *ask(m2_revocation_redis_t *list, const char *word, const char *key,
                             char *why)
{
    const char *const argv[] = { word, key };
    m2_redis_call_t call = { key, 2, argv, 0, 0, 0 };
    m2_redis_reply_t *reply = m2_redis_ask(list->redis, &call, why);

    if (reply && m2_redis_kind(reply) == M2_REDIS_ERROR) {
        apr_snprintf(why, M2_WIRE_WHY, "Redis refuses %s: %.90s", word,
                     m2_redis_text(reply).p);
        m2_redis_free(reply);
        return NULL;
    }
    return reply;
}

/* The lines of a set as one text; NULL when there is no memory. */
static char *join(apr_size_t *pn, const m2_redis_reply_t *set)
{
    const int count = m2_redis_count(set);
    apr_size_t n = 0;
    char *text;
    int i;

    for (i = 0; i < count; i++) {
        n += m2_redis_text(m2_redis_at(set, i)).n + 1;
    }
    text = malloc(n + 1);
    for (*pn = 0, i = 0; text && i < count; i++) {
        const m2_slice_t line = m2_redis_text(m2_redis_at(set, i));

        if (line.n) {
            memcpy(text + *pn, line.p, line.n);
        }
        *pn += line.n;
        text[(*pn)++] = '\n';
    }
    return text;
}

/* *ptext stays NULL when it is what list has already. */
static int look(m2_revocation_redis_t *list, char *version, char **ptext, apr_size_t *pn,
                char *why)
{
    m2_redis_reply_t *reply = ask(list, "GET", list->version, why);

    if (!reply) {
        return 0;
    }
    apr_cpystrn(version, m2_redis_kind(reply) == M2_REDIS_TEXT ? m2_redis_text(reply).p : "",
                VERSION);
    m2_redis_free(reply);
    if (list->text && strcmp(version, list->seen) == 0) {
        return 1;
    }
    reply = ask(list, "SMEMBERS", list->lines, why);
    if (!reply || m2_redis_kind(reply) != M2_REDIS_LIST) {
        m2_redis_free(reply);
        return 0;
    }
    *ptext = join(pn, reply);
    m2_redis_free(reply);
    return *ptext != NULL;
}

static int turn(m2_worker_t *worker, void *baton)
{
    m2_revocation_redis_t *list = baton;
    char version[VERSION], why[M2_WIRE_WHY] = "out of memory", *text = NULL;
    apr_size_t n = 0;
    const int ok = !m2_worker_ended(worker) && look(list, version, &text, &n, why);

    pthread_mutex_lock(&list->lock);
    list->why[0] = '\0';
    if (!ok) {
        apr_cpystrn(list->why, why, sizeof(list->why));
    }
    else {
        list->looked = m2_wire_clock();
    }
    if (ok && text) {
        free(list->text);
        list->text = text;
        list->n = n;
        apr_cpystrn(list->seen, version, VERSION);
    }
    pthread_mutex_unlock(&list->lock);
    return EVERY;
}

static const char *fault_of(const m2_revocation_redis_t *list, const char *etag)
{
    if (list->why[0]) {
        return list->why;
    }
    if (!list->text || m2_wire_clock() - list->looked > OLD) {
        return "Redis has not been asked yet";
    }
    return !list->seen[0] && etag && *etag
               ? "the list has a version no more: Redis has lost it" : NULL;
}

void m2_revocation_redis_pull(m2_answer_t *answer, apr_pool_t *pool, const char *etag,
                              void *baton)
{
    m2_revocation_redis_t *list = baton;
    const char *fault;

    pthread_mutex_lock(&list->lock);
    fault = fault_of(list, etag);
    if (fault) {
        answer->fault = apr_pstrdup(pool, fault);
    }
    else if (etag && strcmp(etag, list->seen) == 0) {
        answer->status = 304;
    }
    else {
        answer->status = 200;
        answer->body = m2_slice(apr_pstrmemdup(pool, list->text, list->n), list->n);
        answer->etag = list->seen[0] ? apr_pstrdup(pool, list->seen) : NULL;
    }
    pthread_mutex_unlock(&list->lock);
}

/* --- making --- */

m2_code_t m2_revocation_redis_open(m2_revocation_redis_t **plist, apr_pool_t *pool,
                                   const m2_redis_spec_t *spec, m2_err_t *err)
{
    m2_revocation_redis_t *list = apr_pcalloc(pool, sizeof(*list));

    *plist = list;
    make_keys(list, spec);
    return m2_redis_open(&list->redis, pool, spec,
                         apr_pstrcat(pool, "revocation list ", m2_redis_spec_name(pool, spec),
                                     NULL),
                         "a list that is dropped revokes nothing", err);
}

static apr_status_t free_text(void *baton)
{
    m2_revocation_redis_t *list = baton;

    if (!m2_hold_needed()) {
        free(list->text);
        list->text = NULL;
        pthread_mutex_destroy(&list->lock);
    }
    return APR_SUCCESS;
}

m2_code_t m2_revocation_redis_attach(void *baton, apr_pool_t *pool, m2_err_t *err)
{
    m2_revocation_redis_t *list = baton;
    m2_code_t code = m2_redis_attach(list->redis, pool, err);

    if (code == M2_OK && pthread_mutex_init(&list->lock, NULL) != 0) {
        code = m2_err_set(err, M2_E_INTERNAL, "cannot make a lock");
    }
    if (code == M2_OK) {
        apr_pool_cleanup_register(pool, list, free_text, apr_pool_cleanup_null);
        code = m2_worker_make(&list->worker, pool, turn, list, err);
    }
    if (code == M2_OK) {
        m2_worker_wait(list->worker, START_WAIT);
    }
    return code;
}

/* --- writing --- */

static m2_code_t read_words(m2_redis_spec_t **pspec, apr_pool_t *pool, const char *words,
                            m2_err_t *err)
{
    char *last = NULL, *word = apr_strtok(apr_pstrdup(pool, words), " ", &last), *equals;
    m2_code_t code = m2_redis_spec_start(pspec, pool, word ? word : "", M2_REVOCATION_PREFIX,
                                         err);

    while (code == M2_OK && (word = apr_strtok(NULL, " ", &last)) != NULL) {
        equals = strchr(word, '=');
        code = equals && equals[1]
                   ? m2_redis_spec_option(*pspec, pool,
                                          m2_slice(word, (apr_size_t)(equals - word)),
                                          equals + 1, err)
                   : M2_E_NOT_FOUND;
        if (code == M2_E_NOT_FOUND) {
            code = m2_err_set(err, M2_E_CONFIG, "%s: there are only the options %s", word,
                              m2_redis_spec_options(pool, *pspec));
        }
    }
    return code == M2_OK ? m2_redis_spec_check(*pspec, err) : code;
}

m2_code_t m2_revocation_redis_append(apr_pool_t *pool, const char *words, const char *line,
                                     m2_err_t *err)
{
    m2_revocation_redis_t list;
    const char *const argv[] = { "EVAL", add_line, "2", list.lines, list.version, line };
    m2_redis_call_t call = { list.lines, 6, argv, 0, 0, 0 };
    char why[M2_WIRE_WHY] = "no clear answer";
    m2_redis_spec_t *spec;
    m2_redis_reply_t *reply;
    m2_code_t code = read_words(&spec, pool, words, err);

    code = code == M2_OK ? m2_redis_open(&list.redis, pool, spec, words, "", err) : code;
    code = code == M2_OK ? m2_redis_attach(list.redis, pool, err) : code;
    if (code != M2_OK) {
        return code;
    }
    make_keys(&list, spec);
    reply = m2_redis_ask(list.redis, &call, why);
    if (reply && m2_redis_kind(reply) == M2_REDIS_ERROR) {
        apr_cpystrn(why, m2_redis_text(reply).p, sizeof(why));
    }
    if (!reply || m2_redis_kind(reply) != M2_REDIS_NUMBER) {
        code = m2_err_set(err, M2_E_CONFIG, "%s: %s", m2_redis_spec_name(pool, spec), why);
    }
    m2_redis_free(reply);
    return code;
}
