/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Content types as careless backends read them. Bodies that some backends could read as a form
 * are distinguished from those that none does.
 */
#include "request/m2_body.h"

#define FORM_TYPE "application/x-www-form-urlencoded"

/* Where part, in any case, begins in text; NULL: nowhere. */
static const char *find(const char *text, const char *part)
{
    const apr_size_t n = strlen(part), length = strlen(text);
    const char *p;

    for (p = text; n <= length && p <= text + length - n; p++) {
        if (m2_slice_is_nocase(m2_slice(p, n), part)) {
            return p;
        }
    }
    return NULL;
}

/* RFC 9110 8.3.1: two tokens with a slash between them. */
static int is_type(m2_slice_t type)
{
    int slashes = 0;
    apr_size_t i;

    for (i = 0; i < type.n; i++) {
        const char c = type.p[i];

        if (c == '/') {
            slashes += i > 0 && i + 1 < type.n ? 1 : 2;
        }
        else if ((unsigned char)c >= 0x80 || (!apr_isalnum(c) && !strchr("!#$%&'*+-.^_`|~", c))) {
            return 0;
        }
    }
    return slashes == 1;
}

/* The type without parameters, blanks around it taken off. */
static m2_slice_t essence(const char *type)
{
    const char *start = type + strspn(type, " \t");
    m2_slice_t s = m2_slice(start, strcspn(start, ";"));

    while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t')) {
        s.n--;
    }
    return s;
}

static int is_coded(const char *encoding)
{
    return encoding && *encoding && !m2_slice_is_nocase(m2_slice_z(encoding), "identity");
}

/* A Content-Type, which may be NULL, speaks of a urlencoded form, in whatever spelling. */
static int names_form(const char *type)
{
    return type && (find(type, "urlencoded") || find(type, "url-encoded"));
}

static const char *const words[] = { /* ORDER BODY */
    "no body", "an urlencoded form", "a body without a type", "a multipart body", "plain text",
    "a content-encoded body", "a body of another type",
};
_Static_assert(sizeof(words) / sizeof(words[0]) == M2_BODY_OTHER + 1, "one for each kind");

const char *m2_body_words(m2_body_kind_t kind)
{
    return words[kind];
}

m2_body_kind_t m2_body_kind(const char *type, const char *encoding)
{
    m2_slice_t plain = essence(type ? type : "");

    if (is_coded(encoding)) {
        return M2_BODY_CODED;
    }
    if (m2_slice_is_nocase(plain, FORM_TYPE) && !strchr(type, ',')) {
        return M2_BODY_FORM;
    }
    if (type && find(type, "multipart/")) {
        return M2_BODY_MULTIPART;
    }
    if (!is_type(plain) || names_form(type)) {
        return M2_BODY_UNTYPED;
    }
    return find(type, "text/plain") ? M2_BODY_PLAIN : M2_BODY_OTHER;
}

/* --- charsets --- */

static const char *const plain_charsets[] = {
    "utf-8", "utf8", "us-ascii", "latin1", "koi8-r", "koi8-u",
};

/* Whether s is prefix and then up to most digits. */
static int is_numbered(m2_slice_t s, const char *prefix, apr_size_t most)
{
    const apr_size_t n = strlen(prefix);
    apr_size_t i;

    if (s.n <= n || s.n > n + most || !m2_slice_is_nocase(m2_slice(s.p, n), prefix)) {
        return 0;
    }
    for (i = n; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9') {
            return 0;
        }
    }
    return 1;
}

static int is_plain_charset(m2_slice_t charset)
{
    apr_size_t i;

    for (i = 0; i < sizeof(plain_charsets) / sizeof(plain_charsets[0]); i++) {
        if (m2_slice_is_nocase(charset, plain_charsets[i])) {
            return 1;
        }
    }
    return is_numbered(charset, "iso-8859-", 2) || is_numbered(charset, "windows-125", 1);
}

/* The next charset from *pp on; absent at the end. Which of several a backend would
 * believe is not known. One in RFC 2231's form, `charset*=`, is "*". */
static m2_slice_t next_charset(const char **pp)
{
    const char *p = *pp;

    while ((p = find(p, "charset")) != NULL) {
        const char *name = p;
        apr_size_t n;

        p += strlen("charset");
        p += strspn(p, " \t*0123456789");
        if (*p != '=') {
            continue;
        }
        if ((name = memchr(name, '*', (apr_size_t)(p - name))) != NULL) {
            *pp = p;
            return m2_slice(name, 1);
        }
        p += strspn(p, "= \t\"'");
        n = strcspn(p, " \t\"';,");
        *pp = p + n;
        return m2_slice(p, n);
    }
    return m2_slice(NULL, 0);
}

int m2_body_charset_is_plain(const char *type)
{
    m2_slice_t charset;

    while (type && (charset = next_charset(&type)).p != NULL) {
        if (!is_plain_charset(charset)) {
            return 0;
        }
    }
    return 1;
}

int m2_body_is_odd_form(m2_body_kind_t kind, const char *type)
{
    return kind != M2_BODY_NONE && names_form(type)
           && (kind != M2_BODY_FORM || !m2_body_charset_is_plain(type));
}
