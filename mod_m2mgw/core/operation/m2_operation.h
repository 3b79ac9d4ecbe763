/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Operations: a method and a path template, and what a caller needs for it. Decides which
 * operation a request is, in one walk along its path, and whether scopes suffice. Never
 * knows where operations come from (m2_openapi reads documents) nor what a token is.
 *
 * A table is filled and finished while the configuration is read and never changes after
 * that, so that threads and children share it without a lock.
 *
 * A template is a path whose segments are literal (`users`), mixed (`{id}.json`), variable
 * (`{id}`) or, at the end, `*` for the rest. Of all templates that match a whole path the
 * best counts, compared segment by segment from the left in that order:
 *
 *     /users/me  before  /users/{id}.json  before  /users/{id}  before  /users/ and a star
 *
 * The room operation decides which operation of an API a request is and what that needs.
 * Never knows whether the caller has it.
 */
#ifndef M2_OPERATION_H
#define M2_OPERATION_H

#include "base/m2_err.h"
#include "base/m2_slice.h"

/** The method of an operation that takes every method which is not described beside it. */
#define M2_ANY_METHOD "*"

typedef struct m2_operations_t m2_operations_t;

typedef struct m2_operation_t {
    const char *name;             /* M2M_OPERATION */
    const char *method;           /* case counts; M2_ANY_METHOD; see m2_operations_add */
    const char *path;             /* the template as written, without base */
    const char *const *variables; /* names in order of the template, NULL ends */
    /* each an array of scopes (const char *), all of which are needed; any alternative
     * suffices; NULL or empty: a token is enough */
    const apr_array_header_t *alternatives;
    int is_public; /* needs no token */
    int number;    /* 0-based, in order of the table */
    const char *written; /* base and path; set by m2_operations_add */
} m2_operation_t;

/* what a look-up found */
typedef struct m2_operation_match_t {
    const m2_operation_t *operation; /* NULL: none, see `place` */
    const void *place; /* of the template; NULL: no template matches. Only to be compared. */
    int n;             /* variables of the template */
    m2_slice_t values[M2_MAX_OPERATION_VARIABLES]; /* in the path that was looked up */
} m2_operation_match_t;

/** An empty table in pool, which must live as long as the table is used. */
m2_operations_t *m2_operations_make(apr_pool_t *pool);

/** What is added from now on is written in source, a file's name: for faults that name an
 *  operation of another one. It must live until the table is finished. */
void m2_operations_source(m2_operations_t *table, const char *source);

/**
 * Add an operation. base (no slash at its end, "" for none) and path together are the
 * template; copies are made. name NULL: method and path. M2_E_CONFIG with a sentence when the
 * template is malformed, equals another but for the names of its variables, or has this
 * method already. line is its own in the source, for later faults that name it, or 0.
 *
 * An operation whose method is NULL is none, only its template is added: the path is known, and
 * takes no method until one is added.
 */
m2_code_t m2_operations_add(m2_operations_t *table, const char *base, int line,
                            const m2_operation_t *operation, m2_err_t *err);

/**
 * Make the table ready for look-ups. Templates that differ only in case or in a slash at the
 * end are named in notices (of const char *, may be NULL), made in the table's pool.
 */
void m2_operations_finish(m2_operations_t *table, apr_array_header_t *notices);

int m2_operations_count(const m2_operations_t *table);
const m2_operation_t *m2_operations_at(const m2_operations_t *table, int i);

/** The templates of a finished table that take no method: of const char *, with base. */
const apr_array_header_t *m2_operations_bare(const m2_operations_t *table);

/**
 * The operation of method at a decoded, normalised path. Thread-safe; allocates nothing.
 * Returns M2_OK, M2_E_OPERATION_UNKNOWN or M2_E_METHOD_NOT_ALLOWED. HEAD without an operation
 * of its own is GET's (RFC 9110 9.3.2).
 */
m2_code_t m2_operations_find(m2_operation_match_t *match, const m2_operations_t *table,
                             const char *method, m2_slice_t path);

/**
 * Whether a lenient backend's reading of a path leads to the template of match: case and a
 * slash at the end do not count. path is the reading, folded to lower case already.
 */
int m2_operations_agree(const m2_operations_t *table, const m2_operation_match_t *match,
                        m2_slice_t path);

/**
 * Whether method, read without case, is another operation of the place than the one of match,
 * which takes every method: some servers run `get` as GET.
 */
int m2_operations_is_respelled(const m2_operation_match_t *match, const char *method);

/** The methods of the place that match names, for `Allow` (RFC 9110 10.2.1), in pool; "" for
 *  none. */
const char *m2_operations_allow(apr_pool_t *pool, const m2_operation_match_t *match);

/** Whether every operation of the place that match names is public; 0 where there is none. */
int m2_operations_place_is_public(const m2_operation_match_t *match);

/** The value that a match gives to a variable of its template; absent otherwise. */
m2_slice_t m2_operation_value(const m2_operation_match_t *match, const char *name);

/** Whether scopes suffice: has(scope, baton) tells of each. */
int m2_operation_allows(const m2_operation_t *operation,
                        int (*has)(const char *scope, const void *baton), const void *baton);

#endif /* M2_OPERATION_H */
