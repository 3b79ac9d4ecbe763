/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Files that are read again when they change: grants, keys of clients, password files,
 * revocation lists. One thread of each child looks at them twice a second and swaps what a
 * new state of the file means in as a whole; requests take what is in force without a lock
 * and never touch a file. A broken file is complained about once, and the last good state
 * stays: the newest that any process of this server has believed.
 */
#ifndef M2MI_WATCH_H
#define M2MI_WATCH_H

#include "base/m2_slice.h"

#include <httpd.h>

typedef struct m2mi_watch_t m2mi_watch_t;

/** What text means, in *pobject, which is immutable and lives in pool. first: the file is read
 *  while the configuration is. NULL, or a sentence that begins with the path. */
typedef const char *m2mi_parse_fn(const void **pobject, apr_pool_t *pool, const char *path,
                                  m2_slice_t text, int first, void *baton);

/* a kind of file; static */
typedef struct m2mi_watch_kind_t {
    const char *directive; /* that names it, for messages */
    apr_size_t max;        /* bytes */
    int lines;             /* a last line without its end may be half of one */
    int optional;          /* it need not be there, nor be readable */
    m2mi_parse_fn *parse;
    const char *meanwhile; /* what a bad file means; NULL: the last good state counts */
} m2mi_watch_kind_t;

/** pre_config: forget the files of the configuration before. */
void m2mi_watch_reset(apr_pool_t *pconf);

/** Whether any file is watched. */
int m2mi_watch_any(void);

/** Read a file and watch it from now on, once for all who name it alike; baton is for parse.
 *  pool is the configuration's. At a restart by signal the last good copy stands in for a bad
 *  file, or nothing. NULL, or a sentence. */
const char *m2mi_watch_open(m2mi_watch_t **pwatch, apr_pool_t *pool, server_rec *s,
                            const m2mi_watch_kind_t *kind, const char *path, void *baton);

/** Add a sentence to texts, of const char *, for each file that the children cannot read. */
void m2mi_watch_unreadable(apr_array_header_t *texts, apr_pool_t *pool);

/** child_init, before threads: what has happened since the parent read the files. */
void m2mi_watch_child(server_rec *s);

/** In one thread of each child, ten times a second. */
void m2mi_watch_tick(apr_time_t now);

/** Whether a running server reads its configuration anew, because of a signal. */
int m2mi_restarts(void);

/** What is in force, valid until leave in the same thread; NULL for a file that was never good:
 *  one that is optional, or that was bad at the restart that named it. Never wait in
 *  between. */
const void *m2mi_watch_enter(const m2mi_watch_t *watch);
void m2mi_watch_leave(const m2mi_watch_t *watch);

/** Goes up whenever the file looks different from before, believed or not. */
apr_uint32_t m2mi_watch_changes(const m2mi_watch_t *watch);

/** Whether everybody may write the file now: nothing it says is to be relied on. */
int m2mi_watch_unsafe(const m2mi_watch_t *watch);

/** Add the files that are bad now to list, of m2_ill_file_t. */
void m2mi_watch_ill(apr_array_header_t *list);

/** Whether nothing is known of it since a restart found it bad. */
int m2mi_watch_lost(const m2mi_watch_t *watch);

const char *m2mi_watch_path(const m2mi_watch_t *watch);

#endif /* M2MI_WATCH_H */
