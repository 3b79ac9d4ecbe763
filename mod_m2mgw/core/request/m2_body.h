/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What a body may be to a backend, from what the client says about it.
 */
#ifndef M2_BODY_H
#define M2_BODY_H

#include "base/m2_slice.h"

typedef enum m2_body_kind_t { /* ORDER BODY: words in m2_body.c */
    M2_BODY_NONE,      /* there is no body */
    M2_BODY_FORM,      /* urlencoded, and nothing but that */
    M2_BODY_UNTYPED,   /* no type, or what some take for none: a form to Rack or CGI.pm */
    M2_BODY_MULTIPART,
    M2_BODY_PLAIN,     /* text/plain, which HTML forms can be sent as */
    M2_BODY_CODED,     /* content-encoded, whatever the type */
    M2_BODY_OTHER      /* of some type that holds no form */
} m2_body_kind_t;

/** Kind of a body by its Content-Type and Content-Encoding; both may be NULL. Never
 *  M2_BODY_NONE. */
m2_body_kind_t m2_body_kind(const char *type, const char *encoding);

/** Whether a body is a form to some backends and not to others, or, a form by all accounts,
 *  spells its names in other bytes; type may be NULL. */
int m2_body_is_odd_form(m2_body_kind_t kind, const char *type);

/** What a kind is called in a sentence. */
const char *m2_body_words(m2_body_kind_t kind);

/** Whether every charset that a Content-Type names, in whatever way, leaves the letters of
 *  names as their bytes. Some frameworks decode query and form by it, on any method. type may
 *  be NULL. */
int m2_body_charset_is_plain(const char *type);

#endif /* M2_BODY_H */
