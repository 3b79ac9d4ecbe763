/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What the user that the children run as may read and fill.
 */
#include "httpd/config/m2mgw_section.h"

#include "text/m2_file_account.h"

#include <unixd.h>

static m2_account_t account(void)
{
    return (m2_account_t){ ap_unixd_config.user_id, ap_unixd_config.group_id,
                           ap_unixd_config.user_name };
}

int m2mgw_cfg_user_reads(const char *path)
{
    const m2_account_t user = account();

    return m2_account_reads(&user, path);
}

int m2mgw_cfg_user_fills(const char *path)
{
    const m2_account_t user = account();

    return m2_account_fills(&user, path);
}
