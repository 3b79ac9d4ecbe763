/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The index: every key of every pair's name in one hash table, so that a request costs its
 * pairs and the names that are asked for, not one times the other.
 */
#include "request/m2_pairs.h"

#include "request/m2_cookie.h"

typedef struct entry_t {
    m2_slice_t name, value;  /* raw; value absent without '=' */
    int proper;              /* is where all backends look */
    unsigned unclear;        /* about its value, whatever it is */
} entry_t;

typedef struct node_t {
    m2_slice_t key;
    apr_uint32_t hash;
    apr_size_t lead;
    int entry, next;         /* next of the same door, or -1 */
} node_t;

struct m2_pairs_t {
    apr_pool_t *pool;
    m2_reading_t reading;
    m2_slice_t text;
    apr_array_header_t *entries; /* of entry_t */
    apr_array_header_t *nodes;   /* of node_t */
    int *doors;                  /* index of the first node, -1: none */
    int *tails;
    apr_size_t size;             /* doors; a power of two */
};

/* --- values --- */

static int is_utf8(m2_slice_t s)
{
    const unsigned char *p = (const unsigned char *)s.p, *end = p + s.n;

    while (p < end) {
        const int more = *p < 0x80 ? 0 : *p < 0xc2 ? 9 : *p < 0xe0 ? 1 : *p < 0xf0 ? 2
                       : *p < 0xf5 ? 3 : 9;
        int i;

        if (more >= end - p) {
            return 0;
        }
        for (i = 1; i <= more; i++) {
            if ((p[i] & 0xc0) != 0x80) {
                return 0;
            }
        }
        p += more + 1;
    }
    return 1;
}

static int is_latin_blank(char c)
{
    return c == '\x85' || c == '\xa0';
}

/* U+0085 and U+00A0, which are 0xC2 and the byte of Latin-1 */
static int is_wide_blank(const char *p)
{
    return p[0] == '\xc2' && is_latin_blank(p[1]);
}

int m2_value_has_edge(m2_slice_t value)
{
    const char *last;

    if (!value.n) {
        return 0;
    }
    last = value.p + value.n - 1;
    if ((unsigned char)value.p[0] < 0x21 || (unsigned char)*last < 0x21) {
        return 1;
    }
    if (value.n > 1 && (is_wide_blank(value.p) || is_wide_blank(last - 1))) {
        return 1;
    }
    return (is_latin_blank(value.p[0]) || is_latin_blank(*last)) && !is_utf8(value);
}

/* --- filling --- */

static void link_node(m2_pairs_t *pairs, int index)
{
    node_t *nodes = (node_t *)pairs->nodes->elts;
    const apr_size_t door = nodes[index].hash & (pairs->size - 1);

    nodes[index].next = -1;
    if (pairs->doors[door] < 0) {
        pairs->doors[door] = index;
    }
    else {
        nodes[pairs->tails[door]].next = index;
    }
    pairs->tails[door] = index;
}

static void open_doors(m2_pairs_t *pairs, apr_size_t size)
{
    int i;

    pairs->size = size;
    pairs->doors = apr_palloc(pairs->pool, size * 2 * sizeof(int));
    pairs->tails = pairs->doors + size;
    memset(pairs->doors, 0xff, size * sizeof(int));
    for (i = 0; i < pairs->nodes->nelts; i++) {
        link_node(pairs, i);
    }
}

static void add_entry(m2_pairs_t *pairs, const entry_t *entry)
{
    char few[64];
    char *room = entry->name.n > sizeof(few) ? apr_palloc(pairs->pool, entry->name.n) : few;
    m2_spelling_t read;
    int way, i;

    for (way = 0; m2_spell(&read, room, entry->name.n, entry->name, pairs->reading, way);
         way++) {
        const char *kept = apr_pmemdup(pairs->pool, room, entry->name.n);

        for (i = 0; i < read.n; i++) {
            node_t *node = apr_array_push(pairs->nodes);

            node->key = m2_slice(kept, read.keys[i].n);
            node->hash = read.keys[i].hash;
            node->lead = read.lead;
            node->entry = pairs->entries->nelts;
            if ((apr_size_t)pairs->nodes->nelts > pairs->size) {
                open_doors(pairs, pairs->size * 4);
            }
            else {
                link_node(pairs, pairs->nodes->nelts - 1);
            }
        }
    }
    APR_ARRAY_PUSH(pairs->entries, entry_t) = *entry;
}

/* Pairs as those see them who split at ';' too. One is proper where those who do not see the
 * same name; its value is theirs, up to the next '&'. */
static void read_form(m2_pairs_t *pairs)
{
    m2_slice_t rest = pairs->text;
    const char *start = rest.p, *end = rest.p + rest.n;
    m2_pair_t pair;

    while (m2_form_next(&rest, &pair)) {
        const char *stop = pair.raw.p + pair.raw.n;
        const int cut = stop < end && *stop == ';';
        entry_t entry = { pair.name, pair.value, 0, 0 };

        entry.proper = (pair.raw.p == start || pair.raw.p[-1] == '&')
                       && (pair.value.p || !cut);
        if (entry.proper && cut) {
            const char *amp = memchr(stop, '&', (apr_size_t)(end - stop));

            entry.value.n = (apr_size_t)((amp ? amp : end) - pair.value.p);
            entry.unclear = M2_UNCLEAR_CUT;
        }
        add_entry(pairs, &entry);
    }
}

/* Where else some backends see the start of a cookie: after a blank or a comma. */
static void read_inner(m2_pairs_t *pairs, m2_slice_t raw)
{
    const char *p = raw.p, *end = raw.p + raw.n, *start;

    while (p < end) {
        while (p < end && !m2_reading_separates(M2_READ_COOKIE, *p)) {
            p++;
        }
        while (p < end && m2_reading_separates(M2_READ_COOKIE, *p)) {
            p++;
        }
        start = p;
        while (p < end && *p != '=' && !m2_reading_separates(M2_READ_COOKIE, *p)) {
            p++;
        }
        if (p < end && *p == '=') {
            const entry_t entry = { m2_slice(start, (apr_size_t)(p - start)),
                                    m2_slice(p + 1, (apr_size_t)(end - p - 1)), 0, 0 };

            add_entry(pairs, &entry);
        }
    }
}

/* Whether a value opens a quote that does not end with it: to those who know quotes it goes
 * on behind the next ';'. */
static int opens_quote(m2_slice_t value)
{
    apr_size_t slashes = 0;

    if (!value.n || value.p[0] != '"') {
        return 0;
    }
    if (value.n < 2 || value.p[value.n - 1] != '"') {
        return 1;
    }
    while (slashes + 2 < value.n && value.p[value.n - 2 - slashes] == '\\') {
        slashes++;
    }
    return (int)(slashes & 1);
}

/* Bytes that are taken off, decoded or taken for the end by some. */
static int is_odd_cookie(m2_slice_t value)
{
    apr_size_t i;

    for (i = 0; i < value.n; i++) {
        if (strchr("\"\\, \t%+", value.p[i])) {
            return 1;
        }
    }
    return 0;
}

static void read_cookies(m2_pairs_t *pairs)
{
    m2_slice_t rest = pairs->text;
    m2_cookie_t cookie;
    int quoted = 0;

    while (m2_cookie_next(&rest, &cookie)) {
        entry_t entry = { cookie.name, cookie.value, 1, 0 };
        const int touches = cookie.value.p && cookie.name.p + cookie.name.n + 1
                                                  == cookie.value.p;

        if (quoted || cookie.joined || (cookie.value.n && !touches)
            || is_odd_cookie(cookie.value)) {
            entry.unclear = M2_UNCLEAR_COOKIE;
        }
        if (!cookie.value.p) { /* PHP takes a name alone for one with an empty value */
            entry.value = m2_slice("", 0);
            entry.unclear = M2_UNCLEAR_COOKIE;
        }
        add_entry(pairs, &entry);
        read_inner(pairs, cookie.raw);
        quoted |= opens_quote(cookie.value);
    }
}

m2_pairs_t *m2_pairs_make(apr_pool_t *pool, m2_slice_t text, m2_reading_t reading)
{
    m2_pairs_t *pairs = apr_pcalloc(pool, sizeof(*pairs));

    pairs->pool = pool;
    pairs->reading = reading;
    pairs->text = text;
    pairs->entries = apr_array_make(pool, 16, sizeof(entry_t));
    pairs->nodes = apr_array_make(pool, 16, sizeof(node_t));
    open_doors(pairs, 16);
    if (text.p && reading == M2_READ_FORM) {
        read_form(pairs);
    }
    if (text.p && reading == M2_READ_COOKIE) {
        read_cookies(pairs);
    }
    return pairs;
}

void m2_pairs_add(m2_pairs_t *pairs, const char *name, const char *value)
{
    const entry_t entry = { m2_slice_z(name), m2_slice_z(value), 1, 0 };

    add_entry(pairs, &entry);
}

m2_reading_t m2_pairs_reading(const m2_pairs_t *pairs)
{
    return pairs->reading;
}

int m2_pairs_are_of(const m2_pairs_t *pairs, m2_slice_t text)
{
    return pairs && pairs->text.p == text.p && pairs->text.n == text.n;
}

/* --- looking up --- */

/* Whether all backends read the pair's name as that name. Headers ignore case; hardly any
 * backend decodes the name of a cookie. */
static int is_exact(const m2_pairs_t *pairs, const entry_t *entry, const char *name)
{
    switch (pairs->reading) {
    case M2_READ_HEADER:
        return m2_slice_is_nocase(entry->name, name);
    case M2_READ_COOKIE:
        return entry->proper && m2_slice_is(entry->name, name);
    default:
        return entry->proper && m2_form_name_is(entry->name, name);
    }
}

static m2_slice_t value_of(const m2_pairs_t *pairs, const entry_t *entry)
{
    if (pairs->reading != M2_READ_FORM) {
        return entry->value;
    }
    return entry->value.p ? m2_form_decode(pairs->pool, entry->value) : m2_slice("", 0);
}

static void take(m2_reply_t *reply, const m2_pairs_t *pairs, const entry_t *entry,
                 const char *name)
{
    m2_slice_t value;

    if (!is_exact(pairs, entry, name)) {
        reply->unclear |= M2_UNCLEAR_ALIKE;
        reply->alike += entry->value.n > 0;
        return;
    }
    value = value_of(pairs, entry);
    if (value.n && !reply->count++) {
        reply->first = value;
    }
    reply->unclear |= entry->unclear | (m2_value_has_edge(value) ? M2_UNCLEAR_EDGE : 0);
    if (!reply->value.p) {
        reply->value = value;
    }
    else if (!m2_slice_eq(reply->value, value)) {
        reply->unclear |= M2_UNCLEAR_DIFFERS;
    }
}

/* All pairs whose name is this one without its first skip '_'. */
static void look_up(m2_reply_t *reply, const m2_pairs_t *pairs, const m2_name_t *name,
                    apr_size_t skip)
{
    const m2_slice_t key = m2_slice(name->folded.p + skip, name->folded.n - skip);
    const apr_uint32_t hash = m2_name_hash(key);
    int at = pairs->doors[hash & (pairs->size - 1)], last = -1;

    for (; at >= 0; at = APR_ARRAY_IDX(pairs->nodes, at, node_t).next) {
        const node_t *node = &APR_ARRAY_IDX(pairs->nodes, at, node_t);

        if (node->hash == hash && node->lead >= skip && node->entry != last
            && m2_slice_eq(node->key, key)) {
            last = node->entry;
            take(reply, pairs, &APR_ARRAY_IDX(pairs->entries, last, entry_t), name->text);
        }
    }
}

m2_reply_t m2_pairs_get(const m2_pairs_t *pairs, const char *text)
{
    m2_reply_t reply = { { NULL, 0 }, 0, { NULL, 0 }, 0, 0 };
    char room[M2_MAX_NAME + 1];
    m2_name_t name;
    apr_size_t skip;

    if (!pairs || !pairs->nodes->nelts || strlen(text) > M2_MAX_NAME) {
        return reply;
    }
    name = m2_name_fold(room, text, pairs->reading);
    for (skip = 0; skip <= name.lead; skip++) {
        look_up(&reply, pairs, &name, skip);
    }
    return reply;
}
