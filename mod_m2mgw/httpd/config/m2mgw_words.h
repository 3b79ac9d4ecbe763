/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Words, numbers and files of a directive, read more strictly than httpd does: a missing or
 * misplaced quote and an empty word are errors, never a shorter list. Every error is a
 * sentence that begins with the directive; httpd adds file and line.
 */
#ifndef M2MGW_WORDS_H
#define M2MGW_WORDS_H

#include "httpd/m2mgw.h"

#include "base/m2_err.h"
#include "base/m2_slice.h"

/** `DIRECTIVE: text` from a printf format, or from the error of a core function. */
const char *m2mgw_cfg_error(cmd_parms *cmd, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
const char *m2mgw_cfg_fault(cmd_parms *cmd, const m2_err_t *err);

/** `; did you mean WORD?` with the nearest word of a list, or "". */
const char *m2mgw_cfg_hint(cmd_parms *cmd, const char *word, const char *list);

/** An error for a word that is not allowed in its place: "NAME=WORD is not allowed; it takes
 *  LIST", with the nearest word of the list. name "" where the word stands alone. */
const char *m2mgw_cfg_unknown(cmd_parms *cmd, const char *name, const char *word,
                              const char *list);

/** The same for an unknown option. */
const char *m2mgw_cfg_no_option(cmd_parms *cmd, const char *name, const char *list);

/** Likewise for a fault inside a file, with its line and column. */
const char *m2mgw_cfg_plugin_fault(cmd_parms *cmd, const char *path, const m2_err_t *err);

/** The next word of *pargs, quotes taken off as httpd does; *pword NULL at the end. */
const char *m2mgw_cfg_word(const char **pword, cmd_parms *cmd, const char **pargs);

/* Options of the form NAME=VALUE that are being read. */
typedef struct m2mgw_pairs_t {
    cmd_parms *cmd;
    const char *args;         /* what is left of them */
    const char *repeated;     /* the name that may be given more than once; NULL: none */
    apr_array_header_t *seen; /* NULL to begin with */
} m2mgw_pairs_t;

/** The next NAME=VALUE, as `NAME="a b"` or `"NAME=a b"`; *pname NULL at the end. A name that is
 *  given twice is an error. */
const char *m2mgw_cfg_pair(const char **pname, const char **pvalue, m2mgw_pairs_t *pairs);

/** An error when a NAME= is given twice among words that were read, from number first on. */
const char *m2mgw_cfg_once(cmd_parms *cmd, const apr_array_header_t *words, int first);

/** All words (of const char *), from min to max of them (max 0: any number), none empty.
 *  usage names them for the error. */
const char *m2mgw_cfg_words(apr_array_header_t **pwords, cmd_parms *cmd, const char *args,
                            int min, int max, const char *usage);

/** Digits only, in min..max; 0 when text is anything else. */
int m2mgw_cfg_number(int *pvalue, const char *text, int min, int max);

/** The content of a regular file of at most max bytes that is not writable by everybody; *ppath
 *  is absolute. */
const char *m2mgw_cfg_file(m2_slice_t *ptext, const char **ppath, cmd_parms *cmd,
                           const char *path, apr_size_t max);

/** Likewise with the content in pool. */
const char *m2mgw_cfg_file_in(apr_pool_t *pool, m2_slice_t *ptext, const char **ppath,
                              cmd_parms *cmd, const char *path, apr_size_t max);

/** An error unless a module of httpd is loaded ("mod_watchdog.c"), so that `httpd -t` says so
 *  and not the restart. */
const char *m2mgw_cfg_needs(cmd_parms *cmd, const char *name);

/** Likewise mod_dbd, and a DBDriver in cmd's server or in the main one. */
const char *m2mgw_cfg_needs_dbd(cmd_parms *cmd);

/** The sibling of cmd's directive with that name, before or after it; NULL if absent. */
const ap_directive_t *m2mgw_cfg_sibling(cmd_parms *cmd, const char *name);

/** Whether a directive of that name stands anywhere in the configuration, read or not. */
int m2mgw_cfg_is_used(const char *name);

/** The arguments of the last directive of that name in the whole configuration, which count where
 *  one of another module sets a value of the whole server; NULL if there is none. */
const char *m2mgw_cfg_last(const char *name);

#endif /* M2MGW_WORDS_H */
