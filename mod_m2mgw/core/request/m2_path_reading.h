/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * How a backend may read a path otherwise than httpd does. httpd compares the decoded path
 * byte by byte; behind it, Tomcat cuts segments at `;`, Express ignores case, and others
 * decode once more, take `\` for `/` or drop empty segments:
 *
 *     /app;x/admin  /APP/admin  /app%2fadmin  /;/app/admin  /app\admin     all: /app/admin
 *
 * A reading is the path with all of that done. Where a backend cuts before it decodes, and
 * where it decodes before it cuts, the same bytes come out differently (`/;%2fx/y` is `/y`
 * or `/x/y`), so there is one reading for each layer of escapes that is taken off uncut.
 *
 * Whoever decides by a path (sections, rules, operations) asks here, so that there is one
 * definition of what a path may mean.
 */
#ifndef M2_PATH_READING_H
#define M2_PATH_READING_H

#include "base/m2_slice.h"

/* what a path holds that can be read in more than one way: bits of m2_path_marks */
#define M2_PATH_CONTROL 1u /* a byte below 0x20, or 0x7F */
#define M2_PATH_CAPITAL 2u /* an ASCII capital */
#define M2_PATH_DEVICE 4u  /* `%`, `;`, `\`, an empty segment, one of dots (httpd leaves those
                              of a rewrite), a blank or control byte at the end of one: a
                              reading may differ by more than case */

#define M2_PATH_LAYERS 4                      /* backslashes, then three layers of escapes */
#define M2_PATH_READINGS (M2_PATH_LAYERS + 1) /* one for each number of layers */

/* A path as some backend may read it. */
typedef struct m2_path_reading_t {
    const char *path; /* in lower case, a slash in front of each segment, none at the end:
                         "" is the root; dot segments are resolved */
    int dots;         /* how many segments came to be `.` or `..` by being read */
} m2_path_reading_t;

/** The marks of path, in one walk: 0 means that there is one way to read it, but for a slash
 *  at its end. */
unsigned m2_path_marks(const char *path);

/** path in lower case without one slash at its end, in pool: the only reading of a path
 *  without M2_PATH_DEVICE. */
const char *m2_path_fold(apr_pool_t *pool, const char *path);

/** Likewise into buffer, if it fits into size bytes; 0 when it does not. */
int m2_path_fold_into(char *buffer, apr_size_t size, const char *path);

/** Every reading of path, in pool; returns how many there are: 1 to M2_PATH_READINGS. */
int m2_path_readings(m2_path_reading_t readings[M2_PATH_READINGS], apr_pool_t *pool,
                     const char *path);

/** Whether a segment of a raw path is, or decodes to, `.` or `..`: httpd has removed it from
 *  the path that sections are found by, and the backend gets it (nocanon). */
int m2_path_has_dots(apr_pool_t *pool, const char *path);

/** Whether a segment of path holds `;` or a backslash, as it is or, if deep, in escapes of any
 *  layer: what rules that read the path cannot decide on. */
int m2_path_has_parameters(apr_pool_t *pool, const char *path, int deep);

/** Whether a raw path, forwarded as it is, could be another path to the backend than the
 *  decoded one is to rules: `%2f`, `%5c`, `%2e`, `;`, `//` or an octet that is encoded twice. */
int m2_path_is_ambiguous(const char *raw);

#endif /* M2_PATH_READING_H */
