/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * `header:NAME` and its kin -> a place that may carry a token.
 */
#include "token/m2_source.h"
#include "text/m2_nearest.h"

#include "token/m2_publish.h"

static const char *const token_words[] = { /* ORDER TOKEN PLACE */
    "header", "query", "cookie", "form",
};
_Static_assert(sizeof(token_words) / sizeof(token_words[0]) == M2_TOKEN_FORM + 1, "a word a place");

const char *m2_token_place_word(m2_token_place_t place)
{
    return token_words[place];
}

static int is_token(const char *z)
{
    return *z && !z[strspn(z, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
                              "ABCDEFGHIJKLMNOPQRSTUVWXYZ")];
}

static int is_plain(const char *z)
{
    const char *p = z;

    while ((unsigned char)*p > 0x20 && *p != 0x7f) {
        p++;
    }
    return p > z && !*p;
}

static int fits_token_place(m2_token_place_t place, const char *name)
{
    if (place == M2_TOKEN_HEADER) {
        return !m2_header_name_forbidden(name);
    }
    /* a cookie's name is a token, RFC 6265 4.1.1 */
    return place == M2_TOKEN_COOKIE ? is_token(name) : is_plain(name);
}

m2_code_t m2_token_source_parse(m2_token_source_t *source, apr_pool_t *pool,
                                const char *word, m2_err_t *err)
{
    const char *colon = strchr(word, ':');
    int i, n = (int)(sizeof(token_words) / sizeof(token_words[0]));

    for (i = 0; colon && i < n; i++) {
        if (m2_slice_is_nocase(m2_slice(word, (apr_size_t)(colon - word)),
                               token_words[i])) {
            source->place = (m2_token_place_t)i;
            source->name = apr_pstrdup(pool, colon + 1);
            if (fits_token_place(source->place, source->name)) {
                return M2_OK;
            }
            return m2_err_set(err, M2_E_CONFIG,
                              "\"%s\" is not a name of a %s that may carry "
                              "a token",
                              source->name, token_words[i]);
        }
    }
    return m2_err_set(err, M2_E_CONFIG, "token source \"%s\" must be header:NAME, "
                      "query:NAME, cookie:NAME or form:NAME%s", word,
                      colon ? m2_nearest_hint(pool, apr_pstrmemdup(pool, word,
                                                                   (apr_size_t)(colon - word)),
                                              "header: query: cookie: form:") : "");
}
