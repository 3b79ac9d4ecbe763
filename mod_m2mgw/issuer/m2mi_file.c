/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Reading a whole file: regular, of bounded size, not everybody's to write, and the same
 * before and after, so that an editor at work is noticed instead of half a file believed.
 */
#include "issuer/m2mi.h"

#include <openssl/crypto.h>

#define INFO (APR_FINFO_TYPE | APR_FINFO_SIZE | APR_FINFO_MTIME | APR_FINFO_CTIME | \
              APR_FINFO_INODE | APR_FINFO_DEV | APR_FINFO_PROT)

static const char *failed(apr_pool_t *pool, const char *path, apr_status_t rv)
{
    char text[120];

    return apr_psprintf(pool, "cannot read %s: %s", path,
                        apr_strerror(rv, text, sizeof(text)));
}

static apr_status_t wipe(void *data)
{
    m2_slice_t *text = data;

    OPENSSL_cleanse((char *)(apr_uintptr_t)text->p, text->n);
    return APR_SUCCESS;
}

static const char *contents(m2_slice_t *ptext, apr_finfo_t *finfo, apr_pool_t *pool,
                            apr_file_t *file, const char *path, apr_size_t max)
{
    apr_size_t n = 0;
    apr_status_t rv = apr_file_info_get(finfo, INFO, file);
    apr_finfo_t after;
    m2_slice_t *kept;
    char *text;

    if (rv != APR_SUCCESS) {
        return failed(pool, path, rv);
    }
    if (finfo->filetype != APR_REG) {
        return apr_psprintf(pool, "%s is no regular file", path);
    }
    if (finfo->protection & APR_FPROT_WWRITE) {
        return apr_psprintf(pool, "%s can be written by everybody: chmod o-w", path);
    }
    if (finfo->size > (apr_off_t)max) {
        return apr_psprintf(pool, "%s is larger than %" APR_SIZE_T_FMT " bytes", path, max);
    }
    text = apr_pcalloc(pool, (apr_size_t)finfo->size + 1);
    kept = apr_palloc(pool, sizeof(*kept));
    *kept = m2_slice(text, (apr_size_t)finfo->size);
    apr_pool_cleanup_register(pool, kept, wipe, apr_pool_cleanup_null); /* may be a key */
    rv = finfo->size ? apr_file_read_full(file, text, kept->n, &n) : APR_SUCCESS;
    if (rv == APR_SUCCESS) {
        rv = apr_file_info_get(&after, INFO, file);
    }
    if (rv != APR_SUCCESS) {
        return failed(pool, path, rv);
    }
    if (after.size != finfo->size || after.mtime != finfo->mtime) {
        return apr_psprintf(pool, "%s changed while it was read", path);
    }
    *ptext = *kept;
    return NULL;
}

const char *m2mi_file_read(m2_slice_t *ptext, apr_finfo_t *finfo, apr_pool_t *pool,
                           const char *path, apr_size_t max)
{
    apr_file_t *file;
    const char *wrong;
    apr_status_t rv = apr_file_open(&file, path, APR_FOPEN_READ | APR_FOPEN_BINARY |
                                                     APR_FOPEN_NONBLOCK,
                                    APR_FPROT_OS_DEFAULT, pool);

    if (rv != APR_SUCCESS) {
        return failed(pool, path, rv);
    }
    wrong = contents(ptext, finfo, pool, file, path, max);
    apr_file_close(file);
    return wrong;
}
