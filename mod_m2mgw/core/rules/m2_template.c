/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Text with parameters in it -> escaped text. Values are a stranger's and are escaped unit
 * by unit (a byte, or a UTF-8 sequence that is checked); what the administrator wrote goes
 * out as it stands, except that nothing puts a control byte into a header. When it gets too
 * long it is values that are cut, so that a JSON body stays one.
 */
#include "rules/m2_template.h"

typedef struct part_t {
    m2_slice_t text; /* literal, when index is negative */
    int index;       /* of a parameter */
} part_t;

struct m2_template_t {
    apr_array_header_t *parts; /* of part_t */
    apr_size_t literals;       /* bytes of all literal parts */
    const char *text;          /* as written */
    m2_template_mark_t mark;
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static const char redacted[] = "[redacted]";

/* --- compiling --- */

static void add_literal(m2_template_t *template, apr_pool_t *pool, const char *from,
                        const char *to)
{
    part_t *part;

    if (to > from) {
        part = apr_array_push(template->parts);
        part->text.n = (apr_size_t)(to - from);
        part->text.p = apr_pstrmemdup(pool, from, part->text.n);
        part->index = -1;
        template->literals += part->text.n;
    }
}

/* `{name}` at p, behind the mark; *pend is behind the brace */
static m2_code_t add_param(m2_template_t *template, const char **pend, const char *p,
                           int column, m2_params_t *params, m2_err_t *err)
{
    m2_slice_t name = m2_slice_z(p + 1);
    part_t *part;
    int index;

    name.n = m2_name_length(name);
    if (!name.n || name.p[name.n] != '}') {
        return m2_err_at(err, M2_E_CONFIG, 0, column, "%c{ without a parameter name and '}'",
                         p[-1]);
    }
    index = m2_params_find(params, name);
    if (index < 0) {
        return m2_err_at(err, M2_E_CONFIG, 0, column, "no parameter is named %.*s%s",
                         (int)name.n, name.p, m2_params_hint(params->pool, params, name));
    }
    part = apr_array_push(template->parts);
    part->text = m2_slice(NULL, 0);
    part->index = index;
    *pend = name.p + name.n + 1;
    return M2_OK;
}

m2_code_t m2_template_compile(const m2_template_t **ptemplate, apr_pool_t *pool,
                              const char *text, m2_template_mark_t mark, m2_params_t *params,
                              m2_err_t *err)
{
    m2_template_t *template = apr_pcalloc(pool, sizeof(*template));
    const char *from = text, *p;
    m2_code_t code;

    *ptemplate = NULL;
    template->parts = apr_array_make(pool, 4, sizeof(part_t));
    template->text = apr_pstrdup(pool, text);
    template->mark = mark;
    if (strlen(text) > M2_MAX_TEMPLATE) {
        return m2_err_at(err, M2_E_CONFIG, 0, M2_MAX_TEMPLATE + 1, "longer than %d bytes",
                         M2_MAX_TEMPLATE);
    }
    for (p = text; *p;) {
        if (p[0] != (char)mark || p[1] != '{') {
            p++;
            continue;
        }
        add_literal(template, pool, from, p);
        code = add_param(template, &from, p + 1, (int)(p - text) + 1, params, err);
        if (code) {
            return code;
        }
        p = from;
    }
    add_literal(template, pool, from, p);
    *ptemplate = template;
    return M2_OK;
}

const char *m2_template_text(const m2_template_t *template, m2_template_mark_t *pmark)
{
    *pmark = template->mark;
    return template->text;
}

/* --- escaping --- */

/* One unit at the start of value -> what stands for it in out; returns its length in value.
 * UNIT bytes of out are enough for any. */
#define UNIT 8
typedef apr_size_t unit_fn(char *out, apr_size_t *pout, m2_slice_t value);

static int is_control(unsigned char c)
{
    return c < 0x20 || c == 0x7f;
}

static apr_size_t put(char *out, apr_size_t *pout, const char *text, apr_size_t n)
{
    memcpy(out, text, n);
    *pout = n;
    return 1;
}

static apr_size_t unit_header(char *out, apr_size_t *pout, m2_slice_t value)
{
    return put(out, pout, value.p, !is_control((unsigned char)value.p[0]));
}

static apr_size_t unit_text(char *out, apr_size_t *pout, m2_slice_t value)
{
    return put(out, pout, value.p, value.p[0] != '\0');
}

/* Length of the well-formed UTF-8 sequence (RFC 3629 4) at the start of value; 0: none. Overlong
 * forms and surrogates are not well-formed: a reader may decode them to a quote. */
static apr_size_t utf8_length(m2_slice_t value)
{
    const unsigned char *p = (const unsigned char *)value.p;
    apr_size_t n = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3
                   : p[0] < 0xf5 ? 4 : 0;
    apr_size_t i;

    if (n > value.n) {
        return 0;
    }
    for (i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f)
        || (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f)) {
        return 0;
    }
    return n;
}

/* a character unchanged, or U+FFFD for an invalid byte */
static apr_size_t unit_utf8(char *out, apr_size_t *pout, m2_slice_t value)
{
    apr_size_t n = utf8_length(value);

    if (!n) {
        return put(out, pout, "\xef\xbf\xbd", 3);
    }
    put(out, pout, value.p, n);
    return n;
}

/* RFC 8259 7 */
static apr_size_t unit_json(char *out, apr_size_t *pout, m2_slice_t value)
{
    char c = value.p[0], escaped[UNIT];

    if (c == '"' || c == '\\') {
        escaped[0] = '\\';
        escaped[1] = c;
        return put(out, pout, escaped, 2);
    }
    if (is_control((unsigned char)c)) {
        apr_snprintf(escaped, sizeof(escaped), "\\u%04x", (unsigned)(unsigned char)c);
        return put(out, pout, escaped, 6);
    }
    return unit_utf8(out, pout, value);
}

/* Good for XML 1.0 and HTML, text and quoted attributes. Control bytes other than white
 * space are not XML characters, not even as references. */
static apr_size_t unit_xml(char *out, apr_size_t *pout, m2_slice_t value)
{
    static const char special[] = "&<>\"'\t\n\r";
    static const char *const entities[] = { "&amp;", "&lt;", "&gt;",  "&quot;",
                                            "&#39;", "&#9;", "&#10;", "&#13;" };
    const char *found = memchr(special, value.p[0], sizeof(special) - 1);

    if (found) {
        const char *entity = entities[found - special];

        return put(out, pout, entity, strlen(entity));
    }
    return is_control((unsigned char)value.p[0]) ? put(out, pout, "", 0)
                                                 : unit_utf8(out, pout, value);
}

static unit_fn *const units[] = { /* ORDER ESCAPE */
    unit_header, unit_text, unit_json, unit_xml
};
_Static_assert(sizeof(units) / sizeof(units[0]) == M2_ESCAPE_XML + 1, "ORDER ESCAPE");

/* --- rendering --- */

/* Rendering runs twice: without buf it measures. */
typedef struct writer_t {
    char *buf;
    apr_size_t n;
    apr_size_t left; /* bytes that values may still take */
} writer_t;

static void write_bytes(writer_t *writer, const char *bytes, apr_size_t n)
{
    if (writer->buf) {
        memcpy(writer->buf + writer->n, bytes, n);
    }
    writer->n += n;
}

static void write_value(writer_t *writer, m2_slice_t value, unit_fn *put_unit)
{
    char out[UNIT];
    apr_size_t n, used;

    for (; value.n; value = m2_slice(value.p + used, value.n - used)) {
        used = put_unit(out, &n, value);
        if (n > writer->left) {
            writer->left = 0; /* nothing follows a value that was cut */
            return;
        }
        writer->left -= n;
        write_bytes(writer, out, n);
    }
}

static void write_literal(writer_t *writer, m2_slice_t text, m2_escape_t escape)
{
    apr_size_t i;

    for (i = 0; i < text.n; i++) {
        if (escape != M2_ESCAPE_HEADER || !is_control((unsigned char)text.p[i])) {
            write_bytes(writer, text.p + i, 1);
        }
    }
}

/* what a value shows: nothing when null or in error, never the token */
static m2_slice_t shown(m2_facts_t *facts, int index)
{
    m2_value_t value;

    if (m2_facts_get(&value, facts, index) || !value.text.p) {
        return m2_slice("", 0);
    }
    if (facts->secret.n && value.text.n >= facts->secret.n
        && memmem(value.text.p, value.text.n, facts->secret.p, facts->secret.n)) {
        return m2_slice(redacted, sizeof(redacted) - 1);
    }
    return value.text;
}

static void write_all(writer_t *writer, const m2_template_t *template, m2_escape_t escape,
                      m2_facts_t *facts)
{
    int i;

    writer->left = M2_MAX_TEMPLATE - template->literals;
    for (i = 0; i < template->parts->nelts; i++) {
        const part_t *part = &APR_ARRAY_IDX(template->parts, i, const part_t);

        if (part->index < 0) {
            write_literal(writer, part->text, escape);
        }
        else {
            write_value(writer, shown(facts, part->index), units[escape]);
        }
    }
}

int m2_template_is_literal(const m2_template_t *template)
{
    int i;

    for (i = 0; i < template->parts->nelts; i++) {
        if (APR_ARRAY_IDX(template->parts, i, part_t).index >= 0) {
            return 0;
        }
    }
    return 1;
}

const char *m2_template_render(const m2_template_t *template, apr_pool_t *pool,
                               m2_escape_t escape, m2_facts_t *facts)
{
    writer_t writer = { NULL, 0, 0 };
    char *buf;

    write_all(&writer, template, escape, facts);
    buf = apr_palloc(pool, writer.n + 1);
    buf[writer.n] = '\0';
    writer.buf = buf;
    writer.n = 0;
    write_all(&writer, template, escape, facts);
    return buf;
}

/* --- media types --- */

typedef struct media_t {
    const char *type; /* whole, or a suffix that begins with '+' (RFC 6839) */
    m2_escape_t escape;
} media_t;

static const media_t media[] = {
    { "application/json", M2_ESCAPE_JSON }, { "text/json", M2_ESCAPE_JSON },
    { "+json", M2_ESCAPE_JSON },            { "text/html", M2_ESCAPE_XML },
    { "application/xml", M2_ESCAPE_XML },   { "text/xml", M2_ESCAPE_XML },
    { "+xml", M2_ESCAPE_XML },
};

static int is_media(m2_slice_t type, const char *wanted)
{
    apr_size_t n = strlen(wanted);

    if (wanted[0] == '+' && type.n > n) {
        type = m2_slice(type.p + type.n - n, n);
    }
    return m2_slice_is_nocase(type, wanted);
}

m2_escape_t m2_escape_for(const char *content_type)
{
    m2_slice_t type = m2_slice_z(content_type ? content_type : "");
    const char *stop = memchr(type.p, ';', type.n);
    apr_size_t i;

    if (stop) {
        type.n = (apr_size_t)(stop - type.p);
    }
    while (type.n && (type.p[type.n - 1] == ' ' || type.p[type.n - 1] == '\t')) {
        type.n--;
    }
    while (type.n && (type.p[0] == ' ' || type.p[0] == '\t')) {
        type = m2_slice(type.p + 1, type.n - 1);
    }
    for (i = 0; i < COUNT(media); i++) {
        if (is_media(type, media[i].type)) {
            return media[i].escape;
        }
    }
    return M2_ESCAPE_TEXT;
}
