/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Both directions are looked at: a section that httpd misses would be open to anyone who knows
 * the spelling, and an open section that the backend does not see would open the sections around
 * it.
 */
#include "request/m2_path_guard.h"

#define BIT(engine) (1u << (unsigned)(engine))

static void differ(m2_path_guard_t *guard, const void *section, int was_missed,
                   const char *reading)
{
    guard->differing |= BIT(guard->engine_of(section));
    guard->left |= was_missed ? 0 : BIT(guard->engine_of(section));
    if (!guard->missed || (was_missed && !guard->was_missed)) {
        guard->missed = section;
        guard->was_missed = was_missed;
        guard->reading = reading;
    }
}

void m2_path_guard_add(m2_path_guard_t *guard, const void *section, int met, int read,
                       const char *reading)
{
    if (met || read) {
        guard->covering |= BIT(guard->engine_of(section));
    }
    if (met != read && (read || !guard->only_missed)
        && !(read && guard->stands_in && guard->stands_in(section, guard->baton))) {
        differ(guard, section, read, reading);
    }
}

/* What the reading finds and httpd does not, then what httpd finds and the reading does not.
 * A section that says Off keeps readings that stay within it, or that end up in none. */
void m2_path_guard_prefixes(m2_path_guard_t *guard, const m2_path_table_t *table,
                            const m2_path_entry_t *found, const char *uri,
                            const char *reading)
{
    const m2_path_entry_t *read = m2_path_table_find(table, reading);
    const m2_path_entry_t *entry;

    for (entry = read; entry; entry = entry->outer) {
        m2_path_guard_add(guard, entry->what, m2_path_entry_covers(entry, uri), 1, reading);
    }
    for (entry = found; entry; entry = entry->outer) {
        if (m2_path_entry_holds(entry, read) || !m2_path_entry_covers(entry, uri)) {
            continue;
        }
        guard->covering |= BIT(guard->engine_of(entry->what));
        if (!guard->only_missed || read) {
            differ(guard, entry->what, 0, reading);
        }
    }
}

m2_engine_t m2_path_guard_verdict(const m2_path_guard_t *guard, int host)
{
    const unsigned on = BIT(M2_ENGINE_ON), shadow = BIT(M2_ENGINE_SHADOW);
    const unsigned open = guard->differing & BIT(M2_ENGINE_OFF);
    const int covered = (guard->covering & on) != 0;

    if (guard->differing & on || (open && covered) || (guard->left && (covered || host))) {
        return M2_ENGINE_ON;
    }
    return guard->differing & shadow || (open && guard->covering & shadow) ? M2_ENGINE_SHADOW
                                                                           : M2_ENGINE_OFF;
}

const char *m2_path_guard_always(unsigned marks, const m2_path_reading_t *readings, int n,
                                 int only_missed)
{
    int i;

    if (marks & M2_PATH_CONTROL) {
        return "the path holds a control byte";
    }
    for (i = 0; i < n && !only_missed; i++) {
        if (readings[i].dots > 0) {
            return "a backend could read a segment of the path as . or ..";
        }
    }
    return NULL;
}
