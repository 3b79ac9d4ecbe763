/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Text -> tree. libyaml gives events, this file builds nodes with their places and
 * refuses what makes two readers see two documents: anchors and aliases, merge keys, own
 * tags, a second document, a name given twice. The fields of the two kinds of script are
 * in m2_plugin_jwt.c and m2_plugin_access.c.
 */
#include "plugin/m2_yaml.h"

#include "plugin/m2_yaml_json.h"

#include <apr_hash.h>

#include <stdarg.h>

#include <yaml.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

#define TAG_PREFIX "tag:yaml.org,2002:"

static const char *const type_words[] = { /* ORDER NODE */
    "nothing (null)", "true or false", "a whole number", "a number",
    "a text",         "a list",        "a mapping",
};

static const char *const tag_words[] = { /* ORDER NODE */
    "null", "bool", "int", "float", "str", "seq", "map",
};
_Static_assert(COUNT(type_words) == M2_NODE_MAP + 1 && COUNT(tag_words) == M2_NODE_MAP + 1,
               "ORDER NODE");

/* what a scalar without quotes means in YAML 1.1; `y` and `n` are left to be texts, as
 * common readers do */
static const struct word_t {
    const char *word;
    m2_node_type_t type;
    int truth;
} words[] = {
    {"", M2_NODE_NULL, 0},      {"~", M2_NODE_NULL, 0},     {"null", M2_NODE_NULL, 0},
    {"Null", M2_NODE_NULL, 0},  {"NULL", M2_NODE_NULL, 0},  {"true", M2_NODE_BOOL, 1},
    {"True", M2_NODE_BOOL, 1},  {"TRUE", M2_NODE_BOOL, 1},  {"yes", M2_NODE_BOOL, 1},
    {"Yes", M2_NODE_BOOL, 1},   {"YES", M2_NODE_BOOL, 1},   {"on", M2_NODE_BOOL, 1},
    {"On", M2_NODE_BOOL, 1},    {"ON", M2_NODE_BOOL, 1},    {"false", M2_NODE_BOOL, 0},
    {"False", M2_NODE_BOOL, 0}, {"FALSE", M2_NODE_BOOL, 0}, {"no", M2_NODE_BOOL, 0},
    {"No", M2_NODE_BOOL, 0},    {"NO", M2_NODE_BOOL, 0},    {"off", M2_NODE_BOOL, 0},
    {"Off", M2_NODE_BOOL, 0},   {"OFF", M2_NODE_BOOL, 0},
};

typedef struct reader_t {
    yaml_parser_t parser;
    yaml_event_t event; /* the current one */
    apr_pool_t *pool;
    m2_slice_t text;
    const m2_node_limits_t *limits;
    apr_hash_t *anchors; /* name -> m2_node_t *, those whose node is complete */
    m2_err_t *err;
} reader_t;

/* --- faults --- */

m2_code_t m2_node_fault(const m2_node_t *node, m2_err_t *err, const char *fmt, ...)
{
    char *text;
    va_list ap;

    if (!err) {
        return M2_E_CONFIG;
    }
    va_start(ap, fmt);
    text = apr_pvsprintf(err->pool, fmt, ap);
    va_end(ap);
    return m2_err_at(err, M2_E_CONFIG, node->line, node->column, "%s", text);
}

m2_code_t m2_node_fault_of(const m2_node_t *node, const char *what, const m2_err_t *cause,
                           m2_err_t *err)
{
    const char *text = cause->text ? cause->text : "cannot be used";

    if (cause->column) {
        return m2_node_fault(node, err, "%s: column %d: %s", what, cause->column, text);
    }
    return m2_node_fault(node, err, "%s: %s", what, text);
}

static m2_code_t event_fault(reader_t *r, const char *text)
{
    const yaml_mark_t *mark = &r->event.start_mark;

    return m2_err_at(r->err, M2_E_CONFIG, (int)mark->line + 1, (int)mark->column + 1,
                     "%s", text);
}

/* a fault of the bytes below YAML comes with an offset only */
static m2_code_t reader_fault(reader_t *r)
{
    apr_size_t i, at = r->parser.problem_offset;
    int line = 1, column = 1;

    for (i = 0; i < at && i < r->text.n; i++) {
        column = r->text.p[i] == '\n' ? 1 : column + 1;
        line += r->text.p[i] == '\n';
    }
    return m2_err_at(r->err, M2_E_CONFIG, line, column, "%s",
                     r->parser.problem ? r->parser.problem : "not readable");
}

/* Whether a tab stands where line and column of mark are, or in front of it on its line with
 * nothing but blanks and dashes: what people cannot see. */
static int is_tab(m2_slice_t text, const yaml_mark_t *mark)
{
    const char *p = text.p, *end = text.p + text.n;
    size_t line, i;

    for (line = 0; p && line < mark->line; line++) {
        p = memchr(p, '\n', (apr_size_t)(end - p));
        p = p ? p + 1 : NULL;
    }
    for (i = 0; p && p < end && i <= mark->column && strchr(" -\t", *p) && *p; i++, p++) {
        if (*p == '\t') {
            return 1;
        }
    }
    return 0;
}

static m2_code_t parser_fault(reader_t *r)
{
    const yaml_mark_t *mark = &r->parser.problem_mark;
    const char *context = r->parser.context;

    if (r->parser.error == YAML_READER_ERROR || !r->parser.problem) {
        return reader_fault(r);
    }
    return m2_err_at(r->err, M2_E_CONFIG, (int)mark->line + 1, (int)mark->column + 1,
                     "%s%s%s%s", context ? context : "", context ? ", " : "",
                     r->parser.problem,
                     is_tab(r->text, mark) ? ": a tab; YAML is indented with blanks" : "");
}

/* --- events to nodes --- */

static m2_code_t next_event(reader_t *r)
{
    yaml_event_delete(&r->event); /* leaves it zeroed */
    return yaml_parser_parse(&r->parser, &r->event) ? M2_OK : parser_fault(r);
}

static apr_size_t digits(const char *z)
{
    return strspn(z, "0123456789");
}

static m2_node_type_t number_type(const char *z)
{
    apr_size_t whole, part;

    z += *z == '-' || *z == '+';
    whole = digits(z);
    if (whole && !z[whole]) {
        return M2_NODE_INT;
    }
    if (z[whole] != '.') {
        return M2_NODE_STRING;
    }
    part = digits(z + whole + 1);
    return whole + part && !z[whole + 1 + part] ? M2_NODE_REAL : M2_NODE_STRING;
}

static void resolve(m2_node_t *node)
{
    apr_size_t i;

    for (i = 0; i < COUNT(words); i++) {
        if (m2_slice_is(m2_slice_z(node->text), words[i].word)) {
            node->type = words[i].type;
            node->truth = words[i].truth;
            return;
        }
    }
    node->type = number_type(node->text);
}

/* a tag may say what is there anyway */
static m2_code_t check_tag(reader_t *r, const yaml_char_t *tag, m2_node_type_t type)
{
    const char *core = apr_pstrcat(r->pool, TAG_PREFIX, tag_words[type], NULL);

    if (!tag || m2_slice_is(m2_slice_z((const char *)tag), core)) {
        return M2_OK;
    }
    return event_fault(r, "tags are not supported");
}

/* type and value of a scalar; only `!!str` makes a text of what looks like something
 * else */
static m2_code_t resolve_scalar(m2_node_t *node, reader_t *r)
{
    const yaml_char_t *tag = r->event.data.scalar.tag;

    if (tag && m2_slice_is(m2_slice_z((const char *)tag), TAG_PREFIX "str")) {
        return M2_OK;
    }
    if (r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE) {
        resolve(node);
    }
    return check_tag(r, tag, node->type);
}

#define NO_ALIASES "anchors and aliases are not supported"

static m2_code_t check_anchor(reader_t *r, const yaml_char_t *anchor)
{
    return anchor && !r->limits->weight ? event_fault(r, NO_ALIASES) : M2_OK;
}

/* The name of the current event's anchor, kept while its node is read; NULL for none. */
static const char *anchor_of(reader_t *r)
{
    const yaml_char_t *anchor = r->event.type == YAML_SCALAR_EVENT
                                    ? r->event.data.scalar.anchor
                                : r->event.type == YAML_SEQUENCE_START_EVENT
                                    ? r->event.data.sequence_start.anchor
                                : r->event.type == YAML_MAPPING_START_EVENT
                                    ? r->event.data.mapping_start.anchor
                                    : NULL;

    return anchor ? apr_pstrdup(r->pool, (const char *)anchor) : NULL;
}

/* An anchor counts from the end of its node on, so that no alias can stand within it. */
static m2_code_t read_alias(m2_node_t **pnode, reader_t *r, int depth)
{
    m2_node_t *node;

    if (!r->limits->weight) {
        return event_fault(r, NO_ALIASES);
    }
    node = apr_hash_get(r->anchors, r->event.data.alias.anchor, APR_HASH_KEY_STRING);
    if (!node) {
        return event_fault(r, "an alias of an anchor that is not complete before it");
    }
    if (depth + node->height - 1 > r->limits->depth) {
        return event_fault(r, "nested too deep");
    }
    *pnode = node;
    return M2_OK;
}

/* node has one more child */
static m2_code_t grow(m2_node_t *node, const m2_node_t *child, reader_t *r)
{
    node->height = child->height >= node->height ? child->height + 1 : node->height;
    node->weight += child->weight;
    if (r->limits->weight && node->weight > r->limits->weight) {
        return event_fault(r, "aliases make too much of this document");
    }
    return M2_OK;
}

static m2_node_t *make_node(reader_t *r, m2_node_type_t type)
{
    m2_node_t *node = apr_pcalloc(r->pool, sizeof(*node));

    node->type = type;
    node->height = 1;
    node->weight = 1;
    node->line = (int)r->event.start_mark.line + 1;
    node->column = (int)r->event.start_mark.column + 1;
    if (type >= M2_NODE_LIST) {
        node->items = apr_array_make(r->pool, 8, sizeof(m2_node_t *));
    }
    return node;
}

static m2_code_t read_scalar(m2_node_t **pnode, reader_t *r)
{
    const char *text = (const char *)r->event.data.scalar.value;
    apr_size_t n = r->event.data.scalar.length;
    m2_node_t *node = make_node(r, M2_NODE_STRING);
    m2_code_t code = check_anchor(r, r->event.data.scalar.anchor);

    if (!code && memchr(text, '\0', n)) {
        code = event_fault(r, "a text must not hold a NUL byte");
    }
    if (!code) {
        node->text = apr_pstrmemdup(r->pool, text, n);
        code = resolve_scalar(node, r);
    }
    *pnode = node;
    return code;
}

static m2_code_t read_node(m2_node_t **pnode, reader_t *r, int depth);

static m2_code_t read_list(m2_node_t **pnode, reader_t *r, int depth)
{
    m2_node_t *node = make_node(r, M2_NODE_LIST), *item;
    m2_code_t code = check_anchor(r, r->event.data.sequence_start.anchor);

    code = code ? code : check_tag(r, r->event.data.sequence_start.tag, M2_NODE_LIST);
    while (!code && !(code = next_event(r)) && r->event.type != YAML_SEQUENCE_END_EVENT) {
        code = read_node(&item, r, depth + 1);
        code = code ? code : grow(node, item, r);
        if (!code) {
            APR_ARRAY_PUSH(node->items, m2_node_t *) = item;
        }
    }
    *pnode = node;
    return code;
}

/* the names of one mapping: few are compared, many are looked up */
#define FEW_NAMES 8

static int is_there(const m2_node_t *map, const char *name, apr_hash_t **pseen)
{
    apr_pool_t *pool = map->items->pool;
    int i;

    if (!*pseen && map->items->nelts < 2 * FEW_NAMES) {
        for (i = 0; i < m2_node_count(map); i++) {
            if (m2_slice_is(m2_slice_z(name), m2_node_name_at(map, i)->text)) {
                return 1;
            }
        }
        return 0;
    }
    if (!*pseen) {
        *pseen = apr_hash_make(pool);
        for (i = 0; i < m2_node_count(map); i++) {
            apr_hash_set(*pseen, m2_node_name_at(map, i)->text, APR_HASH_KEY_STRING, "");
        }
    }
    if (apr_hash_get(*pseen, name, APR_HASH_KEY_STRING)) {
        return 1;
    }
    apr_hash_set(*pseen, name, APR_HASH_KEY_STRING, "");
    return 0;
}

static m2_code_t read_name(m2_node_t **pname, reader_t *r, const m2_node_t *map,
                           apr_hash_t **pseen)
{
    m2_code_t code;
    int plain;

    if (r->event.type != YAML_SCALAR_EVENT) {
        return event_fault(r, r->event.type == YAML_ALIAS_EVENT
                                  ? NO_ALIASES
                                  : "the name of a field must be a text");
    }
    plain = r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    code = read_scalar(pname, r);
    if (code) {
        return code;
    }
    if (plain && m2_slice_is(m2_slice_z((*pname)->text), "<<")) {
        return event_fault(r, "merge keys are not supported");
    }
    if (is_there(map, (*pname)->text, pseen)) {
        return m2_node_fault(*pname, r->err, "\"%s\" is there twice", (*pname)->text);
    }
    return M2_OK;
}

static m2_code_t read_map(m2_node_t **pnode, reader_t *r, int depth)
{
    m2_node_t *node = make_node(r, M2_NODE_MAP), *name, *value;
    apr_hash_t *seen = NULL;
    m2_code_t code = check_anchor(r, r->event.data.mapping_start.anchor);

    code = code ? code : check_tag(r, r->event.data.mapping_start.tag, M2_NODE_MAP);
    while (!code && !(code = next_event(r)) && r->event.type != YAML_MAPPING_END_EVENT) {
        code = read_name(&name, r, node, &seen);
        code = code ? code : next_event(r);
        code = code ? code : read_node(&value, r, depth + 1);
        code = code ? code : grow(node, value, r);
        if (!code) {
            APR_ARRAY_PUSH(node->items, m2_node_t *) = name;
            APR_ARRAY_PUSH(node->items, m2_node_t *) = value;
        }
    }
    *pnode = node;
    return code;
}

static m2_code_t read_any(m2_node_t **pnode, reader_t *r, int depth)
{
    if (r->event.type == YAML_SCALAR_EVENT) {
        return read_scalar(pnode, r);
    }
    if (r->event.type == YAML_SEQUENCE_START_EVENT) {
        return read_list(pnode, r, depth);
    }
    if (r->event.type == YAML_MAPPING_START_EVENT) {
        return read_map(pnode, r, depth);
    }
    return read_alias(pnode, r, depth);
}

/* the node that the current event begins */
static m2_code_t read_node(m2_node_t **pnode, reader_t *r, int depth)
{
    const char *anchor = anchor_of(r);
    m2_code_t code;

    if (depth > r->limits->depth) {
        return event_fault(r, "nested too deep");
    }
    code = read_any(pnode, r, depth);
    if (!code && anchor) {
        apr_hash_set(r->anchors, anchor, APR_HASH_KEY_STRING, *pnode);
    }
    return code;
}

static m2_code_t read_stream(m2_node_t **pnode, reader_t *r)
{
    m2_code_t code = next_event(r); /* stream start */

    code = code ? code : next_event(r);
    if (!code && r->event.type == YAML_STREAM_END_EVENT) {
        code = event_fault(r, "there is no document");
    }
    code = code ? code : next_event(r);
    code = code ? code : read_node(pnode, r, 1);
    code = code ? code : next_event(r); /* document end */
    code = code ? code : next_event(r);
    if (!code && r->event.type != YAML_STREAM_END_EVENT) {
        code = event_fault(r, "a second document begins here; a script is one document");
    }
    return code;
}

m2_code_t m2_node_read_within(const m2_node_t **pnode, apr_pool_t *pool, m2_slice_t text,
                              const m2_node_limits_t *limits, m2_err_t *err)
{
    m2_node_t *node = NULL;
    reader_t r;
    m2_code_t code;

    *pnode = NULL;
    if (text.n > limits->bytes) {
        return m2_err_set(err, M2_E_CONFIG, "longer than %" APR_SIZE_T_FMT " bytes",
                          limits->bytes);
    }
    memset(&r, 0, sizeof(r));
    r.pool = pool;
    r.text = text = m2_yaml_of_json(pool, text);
    r.limits = limits;
    r.anchors = apr_hash_make(pool);
    r.err = err;
    if (!yaml_parser_initialize(&r.parser)) {
        return m2_err_set(err, M2_E_CONFIG, "out of memory");
    }
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)(text.p ? text.p : ""),
                                 text.n);
    code = read_stream(&node, &r);
    yaml_event_delete(&r.event);
    yaml_parser_delete(&r.parser);
    *pnode = code ? NULL : node;
    return code;
}

m2_code_t m2_node_read(const m2_node_t **pnode, apr_pool_t *pool, m2_slice_t text,
                       m2_err_t *err)
{
    static const m2_node_limits_t script = { M2_MAX_PLUGIN_BYTES, M2_MAX_JSON_DEPTH, 0 };

    return m2_node_read_within(pnode, pool, text, &script, err);
}

/* --- reading nodes --- */

int m2_node_count(const m2_node_t *node)
{
    return node->type == M2_NODE_MAP ? node->items->nelts / 2 : node->items->nelts;
}

const m2_node_t *m2_node_at(const m2_node_t *list, int i)
{
    return APR_ARRAY_IDX(list->items, i, const m2_node_t *);
}

const m2_node_t *m2_node_name_at(const m2_node_t *map, int i)
{
    return m2_node_at(map, 2 * i);
}

const m2_node_t *m2_node_value_at(const m2_node_t *map, int i)
{
    return m2_node_at(map, 2 * i + 1);
}

/* the wanted types as words: the widest set is called "a text" */
static const char *want_words(apr_pool_t *pool, unsigned want)
{
    const char *text = NULL;
    apr_size_t i;

    if (want & M2_WANT_STRING) {
        return type_words[M2_NODE_STRING];
    }
    for (i = 0; i < COUNT(type_words); i++) {
        if (want & M2_WANT(i)) {
            text = apr_pstrcat(pool, text ? text : "", text ? " or " : "", type_words[i],
                               NULL);
        }
    }
    return text;
}

m2_code_t m2_node_want(const m2_node_t *node, unsigned want, const char *what,
                       m2_err_t *err)
{
    if (want & M2_WANT(node->type)) {
        return M2_OK;
    }
    if (!err) {
        return M2_E_CONFIG;
    }
    return m2_node_fault(node, err, "%s must be %s, not %s%s", what,
                         want_words(err->pool, want), type_words[node->type],
                         want & M2_WANT_STRING && node->type < M2_NODE_STRING
                             ? " (put it in quotes)" : "");
}

static const m2_field_t *find_field(const m2_field_t *fields, const char *name)
{
    for (; fields->name; fields++) {
        if (m2_slice_is(m2_slice_z(name), fields->name)) {
            return fields;
        }
    }
    return NULL;
}

static const char *field_names(apr_pool_t *pool, const m2_field_t *fields)
{
    const char *text = "";

    for (; fields->name; fields++) {
        if (fields->want) {
            text = apr_pstrcat(pool, text, *text ? ", " : "", fields->name, NULL);
        }
    }
    return fields->instead ? apr_pstrcat(pool, text, "; ", fields->instead, NULL) : text;
}

static m2_code_t read_field(void *slots, const m2_node_t *name, const m2_node_t *value,
                            const char *what, const m2_field_t *fields, m2_err_t *err)
{
    const m2_field_t *field = find_field(fields, name->text);
    m2_code_t code;

    if (!field) {
        return m2_node_fault(name, err, "%s has no field \"%s\"; there are: %s", what,
                             name->text, err ? field_names(err->pool, fields) : "");
    }
    if (!field->want) {
        return m2_node_fault(name, err,
                             "%s is a field of the gateway that is not supported"
                             "; %s",
                             field->name, field->instead);
    }
    code = m2_node_want(value, field->want, field->name, err);
    if (!code) {
        *(const m2_node_t **)((char *)slots + field->slot) = value;
    }
    return code;
}

m2_code_t m2_node_fields(void *slots, const m2_node_t *map, const char *what,
                         const m2_field_t *fields, m2_err_t *err)
{
    m2_code_t code = m2_node_want(map, M2_WANT_MAP, what, err);
    int i;

    for (i = 0; !code && i < m2_node_count(map); i++) {
        code = read_field(slots, m2_node_name_at(map, i), m2_node_value_at(map, i), what,
                          fields, err);
    }
    return code;
}
