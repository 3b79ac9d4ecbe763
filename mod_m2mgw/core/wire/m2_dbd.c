/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Each call takes a connection and gives it back, with a pool of its own that goes with it. A
 * driver's error message may contain a value, so only its first line is reported.
 */
#include "wire/m2_dbd.h"

#include "base/m2_hold.h"

#include <apr_strings.h>

#include <string.h>

#define MAX_COLUMNS 8
#define MAX_ROWS 1000000 /* of one answer */

/* --- a connection --- */

/* Its pool; NULL with why. SIGTERM is held back until give. */
static apr_pool_t *take(m2_dbd_t *db, m2_hold_t *hold, const m2_dbd_host_t *host, char *why)
{
    apr_pool_t *pool = NULL;

    memset(db, 0, sizeof(*db));
    m2_hold_begin(hold);
    if (apr_pool_create(&pool, NULL) == APR_SUCCESS) {
        if (host->take(db, pool, host->baton)) {
            return pool;
        }
        apr_pool_destroy(pool);
    }
    m2_hold_end(hold);
    apr_cpystrn(why, "no connection to the database", M2_DBD_WHY);
    return NULL;
}

static void give(m2_dbd_t *db, const m2_hold_t *hold, const m2_dbd_host_t *host,
                 apr_pool_t *pool)
{
    host->give(db, host->baton);
    apr_pool_destroy(pool);
    m2_hold_end(hold);
}

static apr_dbd_prepared_t *prepared(const m2_dbd_t *db, const char *label, char *why)
{
    apr_dbd_prepared_t *statement =
        db->prepared ? apr_hash_get(db->prepared, label, APR_HASH_KEY_STRING) : NULL;

    if (!statement) {
        apr_cpystrn(why, "the statement is not prepared", M2_DBD_WHY);
    }
    return statement;
}

static void complain(const m2_dbd_t *db, int rv, char *why)
{
    const char *text = apr_dbd_error(db->driver, db->handle, rv);

    apr_snprintf(why, M2_DBD_WHY, "the database says: %.150s", text ? text : "nothing of it");
    why[strcspn(why, "\r\n")] = '\0';
}

/* apr_dbd's PostgreSQL driver connects again by itself, and the new session has no prepared
 * statements. What was asked stays unanswered, since it may have arrived; the next one finds the
 * statement. */
static void prepare_again(const m2_dbd_t *db, const char *label, const char *why)
{
    const char *sql = db->texts ? apr_hash_get(db->texts, label, APR_HASH_KEY_STRING) : NULL;
    apr_dbd_prepared_t *statement = NULL;

    if (sql && strstr(why, "prepared statement")
        && apr_dbd_prepare(db->driver, db->lasting, db->handle, sql, label, &statement) == 0) {
        apr_hash_set(db->prepared, apr_pstrdup(db->lasting, label), APR_HASH_KEY_STRING,
                     statement);
    }
}

/* --- statements --- */

int m2_dbd_change(const m2_dbd_host_t *host, const char *label, int n, const char **args,
                  char *why)
{
    apr_dbd_prepared_t *statement;
    int rv, rows = -1;
    apr_pool_t *pool;
    m2_hold_t hold;
    m2_dbd_t db;

    pool = take(&db, &hold, host, why);
    if (!pool) {
        return -1;
    }
    statement = prepared(&db, label, why);
    if (statement) {
        rv = apr_dbd_pquery(db.driver, pool, db.handle, &rows, statement, n, args);
        if (rv) {
            complain(&db, rv, why);
            prepare_again(&db, label, why);
            rows = -1;
        }
    }
    give(&db, &hold, host, pool);
    return rows;
}

/* NULL for null, which apr_dbd_get_entry gives as "" with PostgreSQL. */
static const char *entry(const m2_dbd_t *db, apr_dbd_row_t *row, int i)
{
    const char *text = NULL;
    const apr_status_t status =
        apr_dbd_datum_get(db->driver, row, i, APR_DBD_TYPE_STRING, &text);

    if (status == APR_SUCCESS || status == APR_ENOENT) {
        return status == APR_SUCCESS ? text : NULL;
    }
    return apr_dbd_get_entry(db->driver, row, i);
}

static int read_rows(const m2_dbd_t *db, apr_pool_t *pool, apr_dbd_results_t *results,
                     int columns, m2_dbd_row_fn *fn, void *baton, char *why)
{
    const int there = apr_dbd_num_cols(db->driver, results);
    const char *texts[MAX_COLUMNS];
    apr_dbd_row_t *row = NULL;
    int i, rows = 0, more = 1;

    while (more && apr_dbd_get_row(db->driver, pool, results, &row, -1) == 0) {
        for (i = 0; i < columns; i++) {
            texts[i] = i < there ? entry(db, row, i) : NULL;
        }
        if (++rows > MAX_ROWS) {
            apr_cpystrn(why, "the database has too many rows for this", M2_DBD_WHY);
        }
        more = rows <= MAX_ROWS && fn(baton, texts, why);
    }
    return more;
}

int m2_dbd_read(const m2_dbd_host_t *host, const char *label, int n, const char **args,
                int columns, int optional, m2_dbd_row_fn *row, void *baton, char *why)
{
    apr_dbd_results_t *results = NULL;
    apr_dbd_prepared_t *statement;
    int rv, ok = 0;
    apr_pool_t *pool;
    m2_hold_t hold;
    m2_dbd_t db;

    pool = take(&db, &hold, host, why);
    if (!pool) {
        return 0;
    }
    statement = prepared(&db, label, why);
    if (statement) {
        /* all rows at once: an answer that is left unread would be in the next one's way */
        rv = apr_dbd_pselect(db.driver, pool, db.handle, &results, statement, 1, n, args);
        if (rv || !results) {
            complain(&db, rv, why);
            prepare_again(&db, label, why);
        }
        else if (apr_dbd_num_cols(db.driver, results) < columns - optional
                 || columns > MAX_COLUMNS) {
            apr_snprintf(why, M2_DBD_WHY, "the query gives fewer columns than %d",
                         columns - optional);
        }
        else {
            ok = read_rows(&db, pool, results, columns, row, baton, why);
        }
    }
    give(&db, &hold, host, pool);
    return ok;
}
