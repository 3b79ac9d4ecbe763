/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The version is read before the set: a line that comes in between is in the set already, and
 * the next look finds the newer version. Whether the list still has what is in force is judged in
 * the same turn, against the version that the last pull brought: `judged` tells that of another
 * one has not been judged yet.
 */
#include "revocation/m2_revocation_redis_int.h"

#include "base/m2_hold.h"

#include <stdlib.h>

#define EVERY 300    /* milliseconds between two looks at the version */
#define START_WAIT 1000 /* milliseconds that the start of a process waits for the first look */
#define TRIES 4         /* questions about a list that changes meanwhile */
#define OLD 3000     /* milliseconds until what was seen last counts for nothing */

/* what a turn found */
typedef struct found_t {
    char version[M2_MARK];
    char *text; /* NULL: as the list has it already */
    apr_size_t n;
    char base[M2_MARK], lost[M2_WIRE_WHY];
    char why[M2_WIRE_WHY];
} found_t;

static void make_keys(m2_revocation_keys_t *keys, const m2_redis_spec_t *spec)
{
    apr_snprintf(keys->lines, M2_REVOCATION_KEY, "{%s}lines", spec->prefix);
    apr_snprintf(keys->version, M2_REVOCATION_KEY, "{%s}version", spec->prefix);
    apr_snprintf(keys->history, M2_REVOCATION_KEY, "{%s}history", spec->prefix);
    apr_snprintf(keys->ends, M2_REVOCATION_KEY, "{%s}ends", spec->prefix);
}

/* --- reading --- */

static m2_redis_reply_t *ask(m2_revocation_redis_t *list, int argc, const char *const *argv,
                             char *why)
{
    m2_redis_call_t call = { argv[1], argc, argv, 0, 0, 0 };
    m2_redis_reply_t *reply = m2_redis_ask(list->redis, &call, why);

    if (reply && m2_redis_kind(reply) == M2_REDIS_ERROR) {
        apr_snprintf(why, M2_WIRE_WHY, "Redis refuses %s: %.90s", argv[0],
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

/* The version, "" for none. */
static int ask_version(m2_revocation_redis_t *list, char *version, char *why)
{
    const char *const argv[] = { "GET", list->keys.version };
    m2_redis_reply_t *reply = ask(list, 2, argv, why);
    m2_mark_t mark;

    if (!reply) {
        return 0;
    }
    apr_cpystrn(version, m2_redis_kind(reply) == M2_REDIS_TEXT ? m2_redis_text(reply).p : "",
                M2_MARK);
    m2_redis_free(reply);
    if (*version && !m2_mark_read(&mark, version)) {
        apr_cpystrn(why, "its version is none of m2mctl revoke's: something else has written it",
                    M2_WIRE_WHY);
        return 0;
    }
    return 1;
}

/* Lines that went otherwise than through a writer: by eviction, or by hand. */
static int is_whole(const char *version, apr_size_t lines, char *why)
{
    m2_mark_t mark;

    if (!*version || !m2_mark_read(&mark, version) || (apr_int64_t)lines >= mark.lines) {
        return 1;
    }
    apr_snprintf(why, M2_WIRE_WHY, "Redis has %" APR_SIZE_T_FMT " of the list's %"
                 APR_INT64_T_FMT " lines (m2mctl revoke --restore puts it back)", lines,
                 mark.lines);
    return 0;
}

/* 1; 0 with why; -1 when a writer dropped lines between the two questions: ask again */
static int ask_lines(m2_revocation_redis_t *list, found_t *found)
{
    const char *const argv[] = { "SMEMBERS", list->keys.lines };
    m2_redis_reply_t *reply = ask(list, 2, argv, found->why);
    char again[M2_MARK];
    int ok;

    if (!reply || m2_redis_kind(reply) != M2_REDIS_LIST) {
        m2_redis_free(reply);
        return 0;
    }
    ok = is_whole(found->version, (apr_size_t)m2_redis_count(reply), found->why);
    if (ok) {
        found->text = join(&found->n, reply);
    }
    m2_redis_free(reply);
    if (ok || !ask_version(list, again, found->why)) {
        return found->text != NULL;
    }
    return strcmp(again, found->version) != 0 ? -1 : 0;
}

/* The list, unless this process has it already. */
static int ask_list(m2_revocation_redis_t *list, found_t *found)
{
    int i, ok = -1;

    for (i = 0; ok < 0 && i < TRIES; i++) {
        ok = ask_version(list, found->version, found->why);
        if (ok && (!list->text || strcmp(found->version, list->seen) != 0)) {
            ok = ask_lines(list, found);
        }
    }
    return ok > 0;
}

/* 1 when the history of the list has the write that was the last one before. */
static int has_write(int *phas, m2_revocation_redis_t *list, const m2_mark_t *before, char *why)
{
    char count[24];
    const char *const argv[] = { "HGET", list->keys.history, count };
    m2_redis_reply_t *reply;

    apr_snprintf(count, sizeof(count), "%" APR_INT64_T_FMT, before->count);
    reply = ask(list, 3, argv, why);
    if (!reply) {
        return 0;
    }
    *phas = m2_redis_kind(reply) == M2_REDIS_TEXT
            && m2_slice_eq(m2_redis_text(reply), before->write);
    m2_redis_free(reply);
    return 1;
}

/* What was found, and what was wanted. */
static void tell_lost(char *lost, const m2_mark_t *before, const m2_mark_t *now,
                      m2_mark_step_t step)
{
    if (!now) {
        apr_snprintf(lost, M2_WIRE_WHY, "Redis has lost the list: it has none, and %"
                     APR_INT64_T_FMT " lines are in force", before->lines);
    }
    else if (step == M2_MARK_BEHIND) {
        apr_snprintf(lost, M2_WIRE_WHY, "Redis has lost the last lines of the list: it has %"
                     APR_INT64_T_FMT " lines without write %" APR_INT64_T_FMT ", and %"
                     APR_INT64_T_FMT " lines with it are in force", now->lines, before->count,
                     before->lines);
    }
    else {
        apr_snprintf(lost, M2_WIRE_WHY, "Redis has lost the list: it has another one of %"
                     APR_INT64_T_FMT " lines, and %" APR_INT64_T_FMT " lines of the one before "
                     "are in force", now->lines, before->lines);
    }
}

/* Whether the list has all that base had: found->lost says what is wrong. */
static int judge(m2_revocation_redis_t *list, found_t *found)
{
    m2_mark_t before, now;
    m2_mark_step_t step = M2_MARK_FOREIGN;
    int has = 0;

    if (!m2_mark_read(&before, found->base)) { /* none was known */
        return 1;
    }
    if (!m2_mark_read(&now, found->version)) {
        tell_lost(found->lost, &before, NULL, step);
        return 1;
    }
    step = m2_mark_step(&before, &now);
    if (step == M2_MARK_ASK) {
        if (!has_write(&has, list, &before, found->why)) {
            return 0;
        }
        step = has ? M2_MARK_GOES_ON : M2_MARK_BEHIND;
    }
    if (step != M2_MARK_GOES_ON) {
        tell_lost(found->lost, &before, &now, step);
    }
    return 1;
}

static void keep(m2_revocation_redis_t *list, const found_t *found)
{
    list->why[0] = '\0';
    list->looked = m2_wire_clock();
    apr_cpystrn(list->judged, found->base, M2_MARK);
    apr_cpystrn(list->lost, found->lost, M2_WIRE_WHY);
    if (found->text) {
        free(list->text);
        list->text = found->text;
        list->n = found->n;
        apr_cpystrn(list->seen, found->version, M2_MARK);
    }
}

static int turn(m2_worker_t *worker, void *baton)
{
    m2_revocation_redis_t *list = baton;
    found_t found = { "", NULL, 0, "", "", "out of memory" };
    int ok;

    pthread_mutex_lock(&list->lock);
    apr_cpystrn(found.base, list->base, M2_MARK);
    pthread_mutex_unlock(&list->lock);
    ok = !m2_worker_ended(worker) && ask_list(list, &found) && judge(list, &found);
    pthread_mutex_lock(&list->lock);
    if (ok) {
        keep(list, &found);
    }
    else {
        apr_cpystrn(list->why, found.why, sizeof(list->why));
        free(found.text);
    }
    pthread_mutex_unlock(&list->lock);
    return EVERY;
}

static void answer_of(m2_answer_t *answer, apr_pool_t *pool, const m2_revocation_redis_t *list)
{
    if (list->why[0]) {
        answer->fault = apr_pstrdup(pool, list->why);
    }
    else if (!list->text || m2_wire_clock() - list->looked > OLD) {
        answer->fault = "Redis has not been asked yet";
    }
    else if (list->lost[0]) {
        answer->fault = apr_psprintf(pool, "%s; m2mctl revoke --restore FILE --list '%s' puts it "
                                     "back, with a copy from M2MStateDir for FILE", list->lost,
                                     list->words);
        answer->lost = 1;
    }
    else if (list->base[0] && strcmp(list->base, list->seen) == 0) {
        answer->status = 304;
    }
    else {
        answer->status = 200;
        answer->body = m2_slice(apr_pstrmemdup(pool, list->text, list->n), list->n);
        answer->etag = list->seen[0] ? apr_pstrdup(pool, list->seen) : NULL;
    }
}

void m2_revocation_redis_note(const char *etag, void *baton)
{
    m2_revocation_redis_t *list = baton;

    pthread_mutex_lock(&list->lock);
    list->noted = 1;
    apr_cpystrn(list->base, etag ? etag : "", M2_MARK);
    pthread_mutex_unlock(&list->lock);
}

void m2_revocation_redis_pull(m2_answer_t *answer, apr_pool_t *pool, const char *etag,
                              void *baton)
{
    m2_revocation_redis_t *list = baton;
    int judged;

    m2_revocation_redis_note(etag, list);
    pthread_mutex_lock(&list->lock);
    judged = list->why[0] || strcmp(list->judged, list->base) == 0; /* else the worker has to */
    if (judged) {
        answer_of(answer, pool, list);
    }
    pthread_mutex_unlock(&list->lock);
    if (!judged) {
        m2_worker_wake(list->worker);
    }
}

/* --- making --- */

m2_code_t m2_revocation_redis_open(m2_revocation_redis_t **plist, apr_pool_t *pool,
                                   const m2_redis_spec_t *spec, m2_err_t *err)
{
    m2_revocation_redis_t *list = apr_pcalloc(pool, sizeof(*list));

    *plist = list;
    list->name = m2_redis_spec_name(pool, spec);
    list->words = m2_redis_spec_describe(pool, spec);
    make_keys(&list->keys, spec);
    return m2_redis_open(&list->redis, pool, spec,
                         apr_pstrcat(pool, "revocation list ", list->name, NULL),
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
