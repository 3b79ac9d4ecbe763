/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What counts as a token, as none, and as one too many.
 */
#include "request/m2_find.h"

static int is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static m2_slice_t trim(m2_slice_t s)
{
    while (s.n > 0 && is_blank(*s.p)) {
        s = m2_slice(s.p + 1, s.n - 1);
    }
    while (s.n > 0 && is_blank(s.p[s.n - 1])) {
        s.n--;
    }
    return s;
}

/* Takes a scheme off value, in any case (RFC 9110 11.1); 0 without it. */
static int strip_scheme(m2_slice_t *value, const char *scheme)
{
    const apr_size_t n = strlen(scheme);

    if (value->n < n || (unsigned char)((*value->p ^ *scheme) & ~('a' ^ 'A')) /* mostly */
        || !m2_slice_is_nocase(m2_slice(value->p, n), scheme)
        || (value->n > n && !is_blank(value->p[n]))) {
        return 0;
    }
    *value = trim(m2_slice(value->p + n, value->n - n));
    return 1;
}

static const char *const schemes[] = { "Bearer", "DPoP" };

/* Takes the scheme of a token off; 0 without one. */
static int strip_token_scheme(m2_slice_t *value)
{
    return strip_scheme(value, schemes[0]) || strip_scheme(value, schemes[1]);
}

/* --- what hides in an Authorization of another scheme --- */

/* Schemes whose one credential is whatever it is. */
static const char *const opaque_schemes[] = { "Basic", "Negotiate", "NTLM" };

/* Whether a lenient backend may see a word begin behind c. */
static int may_end_word(char c)
{
    return !((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')
             || c == '+' || c == '/');
}

/* What is left of value behind the credential of an opaque scheme; all without one. */
static m2_slice_t behind_credential(m2_slice_t value)
{
    apr_size_t i, n = 0;

    for (i = 0; i < sizeof(opaque_schemes) / sizeof(opaque_schemes[0]); i++) {
        m2_slice_t rest = value;

        if (strip_scheme(&rest, opaque_schemes[i])) {
            while (n < rest.n && !is_blank(rest.p[n]) && rest.p[n] != ',') {
                n++;
            }
            return m2_slice(rest.p + n, rest.n - n);
        }
    }
    return value;
}

/* How many bytes a quoted string at s takes (RFC 9110 5.6.4); 1 where it is not closed, since
 * nothing is within quotes there. */
static apr_size_t quoted_length(m2_slice_t s)
{
    apr_size_t i = 1;

    while (i < s.n && s.p[i] != '"') {
        i += s.p[i] == '\\' ? 2 : 1;
    }
    return i < s.n ? i + 1 : 1;
}

static int begins_with(m2_slice_t s, const char *word)
{
    const apr_size_t n = strlen(word);

    return s.n >= n && m2_slice_is_nocase(m2_slice(s.p, n), word);
}

/* `Bearer<0xA0>x`, `Foo Bearer x`: backends that search for the word find a token there. */
static int hides_token(m2_slice_t value)
{
    m2_slice_t rest = value;
    const int quotes = strip_scheme(&rest, "Digest");
    apr_size_t i = 0;

    for (rest = behind_credential(value); i < rest.n; i++) {
        const m2_slice_t here = m2_slice(rest.p + i, rest.n - i);

        if (quotes && here.p[0] == '"') {
            i += quoted_length(here) - 1;
        }
        else if ((here.p == value.p || may_end_word(here.p[-1]))
                 && (begins_with(here, schemes[0]) || begins_with(here, schemes[1]))) {
            return 1;
        }
    }
    return 0;
}

/* The comma that ends the first element of a list, or NULL; with quotes, none within them. */
static const char *element_end(m2_slice_t list, int quotes)
{
    apr_size_t i = 0;

    if (!quotes) {
        return memchr(list.p, ',', list.n);
    }
    while (i < list.n && list.p[i] != ',') {
        i += list.p[i] == '"' ? quoted_length(m2_slice(list.p + i, list.n - i)) : 1;
    }
    return i < list.n ? list.p + i : NULL;
}

/* --- headers --- */

static void found(m2_tokens_t *tokens, m2_slice_t token)
{
    if (token.n > 0) {
        APR_ARRAY_PUSH(tokens, m2_slice_t) = token;
    }
}

static void look_at_element(m2_tokens_t *tokens, m2_slice_t element, int need_scheme)
{
    element = trim(element);
    if (strip_token_scheme(&element) || !need_scheme) {
        found(tokens, element);
    }
}

/* A value with nothing in it but a scheme carries no token (RFC 6750 3.1). */
static int is_scheme_alone(m2_slice_t value)
{
    return strip_token_scheme(&value) && !value.n;
}

/* A value that is `Bearer TOKEN` and nothing else, as nearly all are: 0 for any other. */
static int is_plain(m2_tokens_t *tokens, m2_slice_t value)
{
    static const char scheme[] = "Bearer ";
    const apr_size_t n = sizeof(scheme) - 1;

    if (value.n <= n || !m2_slice_eq(m2_slice(value.p, n), m2_slice(scheme, n))
        || is_blank(value.p[n]) || is_blank(value.p[value.n - 1])
        || memchr(value.p + n, ',', value.n - n)) {
        return 0;
    }
    found(tokens, m2_slice(value.p + n, value.n - n));
    return 1;
}

static m2_code_t find_in_list(m2_tokens_t *tokens, const char *name, const char *text,
                              m2_err_t *err)
{
    const int need_scheme = m2_slice_is_nocase(m2_slice_z(name), "Authorization");
    const m2_slice_t whole = trim(m2_slice_z(text));
    const int before = tokens->nelts;
    m2_slice_t value = whole, rest = whole;
    const int quotes = need_scheme && strip_scheme(&rest, "Digest");
    const char *comma;
    int elements = 1;

    for (; (comma = element_end(value, quotes)) != NULL; elements++) {
        const apr_size_t n = (apr_size_t)(comma - value.p);

        look_at_element(tokens, m2_slice(value.p, n), need_scheme);
        value = m2_slice(comma + 1, value.n - n - 1);
    }
    look_at_element(tokens, value, need_scheme);
    if (elements > 1 && tokens->nelts > before) {
        return m2_err_set(err, M2_E_TOKEN_MULTIPLE, "header %s is repeated", name);
    }
    if (need_scheme && tokens->nelts == before && !is_scheme_alone(whole)
        && hides_token(whole)) {
        return m2_err_set(err, M2_E_TOKEN_MALFORMED, "header %s holds no token, and some "
                          "backends would find one in it", name);
    }
    return M2_OK;
}

m2_code_t m2_find_in_header(m2_tokens_t *tokens, const char *name, const char *text,
                            m2_err_t *err)
{
    return !text || is_plain(tokens, m2_slice_z(text)) ? M2_OK
                                                       : find_in_list(tokens, name, text, err);
}

const char *m2_find_why_none(const char *text)
{
    const m2_slice_t value = trim(m2_slice_z(text));

    if (!value.n) {
        return NULL;
    }
    if (is_scheme_alone(value)) {
        return "Authorization holds a scheme and no token";
    }
    return memchr(value.p, ' ', value.n)
               ? "Authorization holds another scheme than Bearer"
               : "Authorization holds no scheme: \"Bearer \" is missing in front of the token";
}

int m2_find_is_dpop(const char *text)
{
    m2_slice_t value;

    while (text && is_blank(*text)) {
        text++;
    }
    if (!text || (*text != 'D' && *text != 'd')) { /* no need to measure it */
        return 0;
    }
    value = trim(m2_slice_z(text));
    return strip_scheme(&value, "DPoP");
}

int m2_find_is_twin(const char *sent, const char *name)
{
    const unsigned char differing = (unsigned char)(*sent ^ *name);

    if (apr_isalnum(*name) && differing && differing != ('a' ^ 'A')) {
        return 0; /* nearly all others */
    }
    return strcmp(sent, name) != 0 && m2_header_name_like(sent, name)
           && !m2_slice_is_nocase(m2_slice_z(sent), name);
}

/* --- pairs --- */

static m2_slice_t unquoted(m2_slice_t value)
{
    return value.n >= 2 && value.p[0] == '"' && value.p[value.n - 1] == '"'
               ? m2_slice(value.p + 1, value.n - 2)
               : value;
}

m2_code_t m2_find_in_pairs(m2_tokens_t *tokens, const m2_pairs_t *pairs, const char *name,
                           m2_err_t *err)
{
    const m2_reply_t reply = m2_pairs_get(pairs, name);
    const int cookies = pairs && m2_pairs_reading(pairs) == M2_READ_COOKIE;
    int i;

    for (i = 0; i < reply.count; i++) {
        found(tokens, cookies ? unquoted(reply.first) : reply.first);
    }
    if (reply.alike) {
        return m2_err_set(err, M2_E_TOKEN_MULTIPLE, "%s stands there in another spelling, "
                          "which counts as one more token", name);
    }
    return M2_OK;
}
