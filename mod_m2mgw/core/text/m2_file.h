/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The one reader of files: a whole regular file of bounded size. It never waits (a FIFO in place
 * of a file is refused, not opened for a writer), it returns what fstat said of the very file it
 * read, and it refuses a file that changed meanwhile.
 *
 * Files that decide (keys, scripts, grants, passwords, data sets, revocation lists) are also
 * judged by who else may write them.
 *
 * A watched file is looked at again and again while the server runs. What a look finds is
 * believed when nobody can be in the middle of writing it: see m2_file_watch.
 */
#ifndef M2_FILE_H
#define M2_FILE_H

#include "base/m2_err.h"
#include "base/m2_slice.h"

/* what became of reading a file */
typedef enum m2_file_fault_t {
    M2_FILE_GOOD,
    M2_FILE_MISSING,    /* no file has that name */
    M2_FILE_UNREADABLE, /* there is one, and the system refuses it */
    M2_FILE_IRREGULAR,  /* a directory, FIFO, socket or device */
    M2_FILE_TOO_LARGE,
    M2_FILE_UNSAFE,     /* everybody may write to it or replace it */
    M2_FILE_CHANGING    /* it changed while it was read */
} m2_file_fault_t;

/* What fstat says of a file, or of what a link leads to. Two stamps of one file are equal
 * unless it was changed in between; compare with m2_stamp_same. All zero: of no file. */
typedef struct m2_stamp_t {
    apr_uint64_t device;
    apr_uint64_t inode;
    apr_int64_t size; /* bytes */
    apr_int64_t mtime; /* nanoseconds since 1970: when its bytes last changed */
    apr_int64_t ctime; /* likewise: when anything of it did, its name included */
    apr_uint32_t mode; /* permissions, as chmod takes them */
    apr_uint32_t uid;  /* owner */
} m2_stamp_t;

typedef struct m2_file_t {
    m2_slice_t text; /* in the pool, a NUL behind it, wiped when the pool goes */
    m2_stamp_t stamp;
    m2_file_fault_t fault;
    int locked; /* M2_FILE_SHARED: read under the readers' lock */
} m2_file_t;

#define M2_FILE_DECIDES 1 /* judge who may write it */
#define M2_FILE_LINES 2   /* for m2_file_watch: a file of lines */
#define M2_FILE_SHARED 4  /* its writers take flock(2) on it: readers do, too, without waiting */

/**
 * Read the whole of path, at most max bytes. M2_E_NOT_FOUND when there is no such file, else
 * M2_E_CONFIG, with a sentence that names path; file->fault says which fault, and file->stamp
 * is filled as soon as the file could be opened. err may be NULL. Thread-safe.
 */
m2_code_t m2_file_read(m2_file_t *file, apr_pool_t *pool, const char *path, apr_size_t max,
                       int flags, m2_err_t *err);

/** Whether a file that was just read is whole by all that can be told at one look: put in place
 *  by a rename, or last changed two seconds ago or more. */
int m2_file_is_settled(const m2_file_t *file, apr_time_t now);

/** Room for n bytes and a NUL, wiped when the pool goes: for what may be a key. */
char *m2_file_room(apr_pool_t *pool, apr_size_t n);

/** The stamp of what path leads to, without opening it; 0 when there is nothing. */
int m2_file_stamp(m2_stamp_t *stamp, const char *path);

/** Whether two stamps are of the same state of one file. */
int m2_stamp_same(const m2_stamp_t *a, const m2_stamp_t *b);

/** Whether everybody may write to a directory, sticky or not. */
int m2_dir_is_open(const char *path);

/** Whether files that decide are judged by their modes (M2MFileModes); true until said
 *  otherwise. For the host, while it reads its configuration. */
void m2_file_judge_modes(int judge);

/* --- watching --- */

/* what one look at a watched file says */
typedef enum m2_look_t {
    M2_LOOK_SAME,  /* nothing to do: as it was, or too fresh to be believed */
    M2_LOOK_TAKEN, /* it was read: file holds the text that counts now */
    M2_LOOK_BAD,   /* it cannot be taken, and this has not been said before */
    M2_LOOK_EARLY  /* M2_FILE_SHARED: as M2_LOOK_SAME, but it was read, under the lock or at the
                      fifth look in a row: m2_watch_accept if it makes sense to the caller */
} m2_look_t;

#define M2_LOOKS 5 /* in a row that each found a changed file: it keeps changing */

/* Between two looks; zeroed, or begun with what was read at the start. Owned by the one
 * thread that looks. */
typedef struct m2_watch_t {
    m2_stamp_t taken;      /* of the file that was read last */
    m2_stamp_t seen;       /* of another one that the last look found */
    m2_file_fault_t fault; /* of the last look that was believed: it is bad by now */
    int seen_missing;      /* the last look found nothing to open */
    int partial;           /* the last line of what was taken has not counted yet */
    int fresh;             /* taken when a next write could still have the same times */
    int restless;          /* looks in a row that found a file which was not believed */
} m2_watch_t;

/** Begin with a file that was just read; all of it counts. */
void m2_watch_begin(m2_watch_t *watch, const m2_file_t *file, apr_time_t now);

/**
 * One look. Another file than the one that was read last is believed at the second look that
 * finds it the same; at the first if it came by rename in place of another inode, or was last
 * changed two seconds ago or more. So a writer at work is waited for. A fault is believed
 * likewise, and told once (watch->fault stays).
 *
 * With M2_FILE_LINES, a last line that does not end counts from the second equal look on: until
 * then file->text ends with the line above it, and then the look is M2_LOOK_TAKEN once more.
 *
 * A file that was taken less than two seconds after its last change is read once more when it
 * is older: where times are coarse, a change right behind that one would not show. The caller
 * compares the text where taking it twice costs something.
 *
 * Looks should be no more often than ten times a second. What is read is in pool.
 */
m2_look_t m2_file_watch(m2_watch_t *watch, m2_file_t *file, apr_pool_t *pool,
                        const char *path, apr_size_t max, int flags, apr_time_t now,
                        m2_err_t *err);

/** Behind M2_LOOK_EARLY: believe what was read, as M2_LOOK_TAKEN would; flags as for the look.
 *  Of file->text the last line may go, if it has no end. */
void m2_watch_accept(m2_watch_t *watch, m2_file_t *file, int flags, apr_time_t now);

/** Whether the last look found the very file that was taken, and it was good. */
int m2_watch_rests(const m2_watch_t *watch);

#endif /* M2_FILE_H */
