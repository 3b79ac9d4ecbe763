/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The directive is mod_m2mgw's; where that is not loaded httpd refuses it.
 */
#include "host/m2h_modes.h"

#include "host/m2h.h"

#include "text/m2_file.h"

void m2h_modes_look_ahead(void)
{
    const ap_directive_t *d;
    int ignored = 0;

    for (d = ap_conftree; d; d = d->next) {
        if (ap_cstr_casecmp(d->directive, "M2MFileModes") == 0) {
            ignored = ap_cstr_casecmp(d->args, "Ignore") == 0;
        }
    }
    m2_file_judge_modes(!ignored);
}
