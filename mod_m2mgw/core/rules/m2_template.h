/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Text with parameters in it, escaped for where it goes. Compiled while configuration is
 * read; unknown names are errors then.
 */
#ifndef M2_TEMPLATE_H
#define M2_TEMPLATE_H

#include "rules/m2_param.h"

typedef struct m2_template_t m2_template_t;

typedef enum m2_template_mark_t {
    M2_MARK_PERCENT = '%', /* %{name}: native directives */
    M2_MARK_DOLLAR = '$'   /* ${name}: gateway plugin files */
} m2_template_mark_t;

typedef enum m2_escape_t {
    M2_ESCAPE_HEADER, /* control bytes are dropped */
    M2_ESCAPE_TEXT,   /* as it is, without NUL */
    M2_ESCAPE_JSON,   /* inside a JSON string */
    M2_ESCAPE_XML     /* XML and HTML text and attribute values */
} m2_escape_t;

/** M2_E_CONFIG with err->column: unknown name, unterminated mark, too long. A mark that is
 *  not followed by '{' is text. */
m2_code_t m2_template_compile(const m2_template_t **ptemplate, apr_pool_t *pool,
                              const char *text, m2_template_mark_t mark, m2_params_t *params,
                              m2_err_t *err);

/** Whether there is no parameter in it. */
int m2_template_is_literal(const m2_template_t *template);

/** The text as written, and in *pmark the syntax of its parameters. */
const char *m2_template_text(const m2_template_t *template, m2_template_mark_t *pmark);

/** Render into pool: null as nothing, a value that holds facts->secret as [redacted], a
 *  value in error as nothing; cut at M2_MAX_TEMPLATE bytes. */
const char *m2_template_render(const m2_template_t *template, apr_pool_t *pool,
                               m2_escape_t escape, m2_facts_t *facts);

/** How a body of that Content-Type is escaped; NULL is text/plain. */
m2_escape_t m2_escape_for(const char *content_type);

#endif /* M2_TEMPLATE_H */
