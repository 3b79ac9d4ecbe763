/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Whether a path that a backend may read in another way is found in the same sections by that
 * reading. Whoever has sections adds what each reading finds; what it all comes to is said in
 * the words of M2MEngine.
 */
#ifndef M2_PATH_GUARD_H
#define M2_PATH_GUARD_H

#include "request/m2_path_reading.h"
#include "request/m2_path_table.h"

typedef enum m2_engine_t {
    M2_ENGINE_OFF,
    M2_ENGINE_ON,
    M2_ENGINE_SHADOW
} m2_engine_t;

/* What an entry of the table, or another section, says or inherits. */
typedef m2_engine_t m2_engine_of_fn(const void *what);

/* Whether httpd finds a stricter section that stands for this one, which it misses. */
typedef int m2_stands_in_fn(const void *what, const void *baton);

/* One comparison, as far as it has come. Zeroed, then filled. */
typedef struct m2_path_guard_t {
    m2_engine_of_fn *engine_of;
    m2_stands_in_fn *stands_in; /* NULL: no section stands for another */
    const void *baton;
    int only_missed;     /* the section says M2MPathGuard Off: its readings are data to it */
    unsigned differing;  /* a bit for each engine of sections that one side only finds */
    unsigned left;       /* those of them that only httpd finds */
    unsigned covering;   /* likewise of all sections that are found */
    const void *missed;  /* the first that differs, one that was missed if any */
    int was_missed;      /* the reading finds it, httpd does not */
    const char *reading; /* that differs */
} m2_path_guard_t;

/** A section that reading finds (read), or httpd (met), or both. */
void m2_path_guard_add(m2_path_guard_t *guard, const void *section, int met, int read,
                       const char *reading);

/** Add the prefixes of a table that reading lies in, and those that uri lies in, which found
 *  is looked up by: its folded spelling. */
void m2_path_guard_prefixes(m2_path_guard_t *guard, const m2_path_table_t *table,
                            const m2_path_entry_t *found, const char *uri,
                            const char *reading);

/** Off: the path passes; Shadow: that it would be refused is recorded; On: it is refused. host
 *  says whether the virtual host itself has a policy that is On: an open section that the
 *  backend does not see is no way around that, nor around another section. */
m2_engine_t m2_path_guard_verdict(const m2_path_guard_t *guard, int host);

/** What is refused whatever sections there are, while a policy is On somewhere; a sentence, or
 *  NULL. readings may be none where the path has no marks; they do not count where
 *  only_missed. */
const char *m2_path_guard_always(unsigned marks, const m2_path_reading_t *readings, int n,
                                 int only_missed);

#endif /* M2_PATH_GUARD_H */
