/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 */
#include "revocation/m2_revocation_mark.h"

#include <apr_strings.h>

#define DIGITS 18 /* of a number, below 2^63 */

/* What is in front of the next `end`, and *prest behind it; absent without one. */
static m2_slice_t part(m2_slice_t *prest, char end)
{
    const char *p = prest->n ? memchr(prest->p, end, prest->n) : NULL;
    m2_slice_t found = m2_slice(NULL, 0);

    if (p) {
        found = m2_slice(prest->p, (apr_size_t)(p - prest->p));
        *prest = m2_slice(p + 1, prest->n - found.n - 1);
    }
    return found;
}

static int number(apr_int64_t *pnumber, m2_slice_t text)
{
    apr_size_t i;

    *pnumber = 0;
    for (i = 0; i < text.n && text.n <= DIGITS; i++) {
        if (!apr_isdigit(text.p[i])) {
            return 0;
        }
        *pnumber = *pnumber * 10 + (text.p[i] - '0');
    }
    return i > 0 && i == text.n;
}

int m2_mark_read(m2_mark_t *mark, const char *text)
{
    m2_slice_t rest = m2_slice_z(text), epoch;

    mark->epoch = part(&rest, ':');
    epoch = mark->epoch;
    if (epoch.n < 2 || (*epoch.p != 'C' && *epoch.p != 'R')) {
        return 0;
    }
    mark->by_hand = *epoch.p == 'R';
    epoch = m2_slice(epoch.p + 1, epoch.n - 1);
    if (!number(&mark->since, part(&epoch, '-')) || !epoch.n
        || !number(&mark->count, part(&rest, ':'))) {
        return 0;
    }
    mark->write = part(&rest, ':');
    return mark->write.n && number(&mark->lines, rest);
}

m2_mark_step_t m2_mark_step(const m2_mark_t *before, const m2_mark_t *now)
{
    if (!m2_slice_eq(before->epoch, now->epoch)) {
        return now->by_hand && now->since > before->since ? M2_MARK_GOES_ON : M2_MARK_FOREIGN;
    }
    if (now->count < before->count) {
        return M2_MARK_BEHIND;
    }
    if (now->count == before->count) {
        return m2_slice_eq(before->write, now->write) ? M2_MARK_GOES_ON : M2_MARK_BEHIND;
    }
    /* what the history does not reach back to was long ago, and others have seen what is since */
    return now->count - before->count < M2_MARK_HISTORY ? M2_MARK_ASK : M2_MARK_GOES_ON;
}
