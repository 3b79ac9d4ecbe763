/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The only home of zlib.
 */
#include "text/m2_gzip.h"

#include <apr_strings.h>
#include <zlib.h>

#define FIRST_ROOM 16384
#define GZIP_WINDOW (15 + 16) /* RFC 1952 and no other wrapping */

int m2_gzip_is(m2_slice_t text)
{
    return text.n > 2 && text.p[0] == '\x1f' && text.p[1] == '\x8b';
}

/* Inflate into room that doubles; Z_STREAM_END, or how it failed. */
static int inflate_all(z_stream *z, apr_pool_t *pool, char **pout, apr_size_t max)
{
    apr_size_t room = 0;
    int status = Z_OK;

    while (status == Z_OK && z->total_out <= max) {
        const apr_size_t had = room;
        char *grown;

        room = room ? room * 2 : FIRST_ROOM;
        grown = apr_palloc(pool, room);
        if (had) {
            memcpy(grown, *pout, had);
        }
        *pout = grown;
        z->next_out = (Bytef *)grown + had;
        z->avail_out = (uInt)(room - had);
        status = inflate(z, Z_NO_FLUSH);
        if (status == Z_OK && z->avail_out) { /* it ends early */
            status = Z_BUF_ERROR;
        }
    }
    return status;
}

const char *m2_gzip_undo(m2_slice_t *ptext, apr_pool_t *pool, m2_slice_t packed, apr_size_t max)
{
    z_stream z;
    char *out = NULL;
    int status;

    memset(&z, 0, sizeof(z));
    z.next_in = (Bytef *)(apr_uintptr_t)packed.p; /* reads only */
    z.avail_in = (uInt)packed.n;
    if (inflateInit2(&z, GZIP_WINDOW) != Z_OK) {
        return "out of memory";
    }
    status = inflate_all(&z, pool, &out, max);
    inflateEnd(&z);
    if (z.total_out > max) {
        return "the gzip holds too much";
    }
    *ptext = m2_slice(out, z.total_out);
    return status == Z_STREAM_END ? NULL : "the gzip is broken";
}

const char *m2_gzip_plain(m2_slice_t *ptext, apr_pool_t *pool, apr_size_t max)
{
    static const char mark[] = "\xef\xbb\xbf";
    const apr_size_t n = sizeof(mark) - 1;
    const char *wrong = NULL;

    if (m2_gzip_is(*ptext)) {
        wrong = m2_gzip_undo(ptext, pool, *ptext, max);
    }
    else if (ptext->n > max) {
        wrong = apr_psprintf(pool, "it is larger than %" APR_SIZE_T_FMT " bytes", max);
    }
    if (!wrong && ptext->n >= n && m2_slice_is(m2_slice(ptext->p, n), mark)) {
        *ptext = m2_slice(ptext->p + n, ptext->n - n);
    }
    return wrong;
}
