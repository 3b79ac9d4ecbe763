/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Key files that are read only while the configuration is read. A restart by signal must not end
 * a running server because such a file is half written at that moment: it goes on with its last
 * copies. `httpd -t` and a start have no copies and refuse.
 */
#ifndef M2MGW_KEPT_H
#define M2MGW_KEPT_H

#include "httpd/m2mgw.h"

#include "text/m2_copy.h"

/* one file, while its directive is read */
typedef struct m2mgw_kept_t {
    const char *path; /* absolute; NULL for no file name at all */
    m2_slice_t text;  /* p is NULL if absent */
    m2_stamp_t stamp;
    m2_copy_t *copy;
} m2mgw_kept_t;

/* a file that was replaced by its last copy, for display */
typedef struct m2mgw_kept_fault_t {
    const char *path;
    const char *why;
    int has_copy; /* 0: what needs it is unavailable */
} m2mgw_kept_fault_t;

/** Forget what was reported about files of an earlier reading. */
void m2mgw_kept_reset(apr_pool_t *pconf);

/** Whether a running server is reading its configuration again because of a signal. */
int m2mgw_kept_restarts(void);

/** Read the file, of at most max bytes, that directive cmd names. NULL, or a sentence. */
const char *m2mgw_kept_read(m2mgw_kept_t *file, cmd_parms *cmd, const char *path,
                            apr_size_t max);

/** Its text was found good: it is what a later restart may go on with. */
void m2mgw_kept_put(m2mgw_kept_t *file);

/** At a restart, in place of a file that is bad: file->text becomes the last good text, with p
 *  NULL if no good text is known. The log and the status page say why; `without` describes the
 *  consequence of having no text. 0 when this is not a restart, and the server has to stop. */
int m2mgw_kept_stand_in(m2mgw_kept_t *file, const char *why, const char *without);

/** The files that copies stand in for: of m2mgw_kept_fault_t. */
const apr_array_header_t *m2mgw_kept_faults(void);

#endif /* M2MGW_KEPT_H */
