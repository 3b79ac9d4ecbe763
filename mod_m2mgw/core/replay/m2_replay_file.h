/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Replay tables that are files: made under another name and renamed when whole, locked by who
 * maps them, checked from end to end by the first to do so.
 */
#ifndef M2_REPLAY_FILE_H
#define M2_REPLAY_FILE_H

#include "replay/m2_replay_spec.h"
#include "replay/m2_replay_table.h"

/** Open the spec's file, or make it; one of another size is resized when no other process has it.
 *  M2_E_CONFIG with a sentence. */
m2_code_t m2_rt_open_file(m2_rt_t *table, const m2_replay_spec_t *spec, m2_err_t *err);

/** Make a table of the spec's size that holds what is alive in old (locked, or NULL) and put
 *  it in the place of the file. The directory is locked by the caller. */
m2_code_t m2_rt_resize_file(m2_rt_t *table, m2_rt_t *old, const m2_replay_spec_t *spec,
                            m2_err_t *err);

/** Lock the directory of path before a file in it is opened or created, waiting 50 ms after each
 *  try but the last: a descriptor to close, or -1 with errno. */
int m2_rt_lock_directory(const char *path, int tries);

/** Whether no other server has the file; the directory is locked by the caller. */
int m2_rt_is_alone(int fd);

/** `replay store PATH: cannot DOING: what errno says` */
m2_code_t m2_rt_fault(m2_err_t *err, const char *path, const char *doing);

#endif /* M2_REPLAY_FILE_H */
