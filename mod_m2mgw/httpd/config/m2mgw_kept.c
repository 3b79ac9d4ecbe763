/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * These files are not read between two restarts, so the parent's own copy is the newest.
 */
#include "httpd/config/m2mgw_kept.h"
#include "httpd/config/m2mgw_section.h"
#include "httpd/config/m2mgw_words.h"

#include <http_main.h>

/* filled while configuration is read */
static apr_array_header_t *faults; /* of m2mgw_kept_fault_t */

void m2mgw_kept_reset(apr_pool_t *pconf)
{
    faults = apr_array_make(pconf, 1, sizeof(m2mgw_kept_fault_t));
}

int m2mgw_kept_restarts(void)
{
    return ap_state_query(AP_SQ_RUN_MODE) == AP_SQ_RM_NORMAL
           && ap_state_query(AP_SQ_CONFIG_GEN) > 1;
}

const char *m2mgw_kept_read(m2mgw_kept_t *file, cmd_parms *cmd, const char *path,
                            apr_size_t max)
{
    m2_file_t found;
    m2_err_t err;

    memset(file, 0, sizeof(*file));
    file->path = *path ? ap_server_root_relative(cmd->pool, path) : NULL;
    if (!file->path) {
        return m2mgw_cfg_error(cmd, "\"%s\" is not a file name", path);
    }
    file->copy = m2_copy_open(ap_pglobal, cmd->cmd->name, file->path, max);
    m2_err_init(&err, cmd->pool);
    if (m2_file_read(&found, cmd->pool, file->path, max, M2_FILE_DECIDES, &err) != M2_OK) {
        return m2mgw_cfg_fault(cmd, &err);
    }
    file->text = found.text;
    file->stamp = found.stamp;
    return NULL;
}

void m2mgw_kept_put(m2mgw_kept_t *file)
{
    apr_uint64_t version;

    m2_copy_put(file->copy, &version, file->text, &file->stamp, apr_time_now());
}

int m2mgw_kept_stand_in(m2mgw_kept_t *file, const char *why, const char *without)
{
    m2mgw_kept_fault_t *fault;
    apr_uint64_t version = 0;

    if (!file->path || !m2mgw_kept_restarts()) {
        return 0;
    }
    file->text = m2_copy_get(file->copy, &version, NULL, faults->pool);
    fault = apr_array_push(faults);
    fault->path = file->path;
    fault->why = why;
    fault->has_copy = file->text.p != NULL;
    m2mgw_cfg_notice(M2_LOG_ERR, "%s; %s", why,
                     fault->has_copy ? "what it held before stays in use" : without);
    return 1;
}

const apr_array_header_t *m2mgw_kept_faults(void)
{
    return faults;
}
