/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A hash table of folded names. A name that begins with '_' stands in it once for each '_'
 * that a client's name may have in another form in front (m2_spelling_t.lead).
 */
#include "request/m2_nameset.h"

typedef struct slot_t {
    apr_uint32_t hash;
    int name;             /* index, -1: empty */
    apr_size_t skip;      /* how many '_' of the name are not in the hash */
} slot_t;

struct m2_nameset_t {
    apr_pool_t *pool;
    m2_reading_t reading;
    apr_array_header_t *list; /* of m2_name_t */
    slot_t *slots;
    apr_size_t size, used;    /* size is a power of two, at least twice used */
    unsigned char first[256]; /* bytes that some entry begins with */
    int bare;                 /* some entry is empty: a name of nothing but '_' */
};

static void clear(slot_t *slots, apr_size_t size)
{
    apr_size_t i;

    for (i = 0; i < size; i++) {
        slots[i].name = -1;
    }
}

static void insert(m2_nameset_t *names, const slot_t *slot)
{
    apr_size_t at = slot->hash & (names->size - 1);

    while (names->slots[at].name >= 0) {
        at = (at + 1) & (names->size - 1);
    }
    names->slots[at] = *slot;
    names->used++;
}

static void grow(m2_nameset_t *names)
{
    const apr_size_t size = names->size;
    const slot_t *old = names->slots;
    apr_size_t i;

    names->size = size * 2;
    names->slots = apr_palloc(names->pool, names->size * sizeof(*names->slots));
    clear(names->slots, names->size);
    names->used = 0;
    for (i = 0; i < size; i++) {
        if (old[i].name >= 0) {
            insert(names, &old[i]);
        }
    }
}

m2_nameset_t *m2_nameset_make(apr_pool_t *pool, m2_reading_t reading)
{
    m2_nameset_t *names = apr_pcalloc(pool, sizeof(*names));

    names->pool = pool;
    names->reading = reading;
    names->list = apr_array_make(pool, 4, sizeof(m2_name_t));
    names->size = 8;
    names->slots = apr_palloc(pool, names->size * sizeof(*names->slots));
    clear(names->slots, names->size);
    return names;
}

void m2_nameset_add(m2_nameset_t *names, const char *text)
{
    const m2_name_t name = m2_name_fold(apr_palloc(names->pool, strlen(text) + 1),
                                        apr_pstrdup(names->pool, text), names->reading);
    slot_t slot = { 0, names->list->nelts, 0 };

    for (; slot.skip <= name.lead; slot.skip++) {
        const m2_slice_t rest = m2_slice(name.folded.p + slot.skip, name.folded.n - slot.skip);

        if (rest.n) {
            names->first[(unsigned char)rest.p[0]] = 1;
        }
        names->bare |= !rest.n;
        slot.hash = m2_name_hash(rest);
        if ((names->used + 1) * 2 > names->size) {
            grow(names);
        }
        insert(names, &slot);
    }
    APR_ARRAY_PUSH(names->list, m2_name_t) = name;
}

int m2_nameset_is_empty(const m2_nameset_t *names)
{
    return names->list->nelts == 0;
}

apr_array_header_t *m2_nameset_list(apr_pool_t *pool, const m2_nameset_t *names)
{
    apr_array_header_t *list = apr_array_make(pool, names->list->nelts + 1, sizeof(char *));
    int i;

    for (i = 0; i < names->list->nelts; i++) {
        APR_ARRAY_PUSH(list, const char *) = APR_ARRAY_IDX(names->list, i, m2_name_t).text;
    }
    if (!list->nelts) {
        APR_ARRAY_PUSH(list, const char *) = "None";
    }
    return list;
}

/* The entry that is key i of what was read. */
static const m2_name_t *look_up(const m2_nameset_t *names, const m2_spelling_t *read, int i)
{
    const m2_slice_t key = m2_slice(read->p, read->keys[i].n);
    apr_size_t at = read->keys[i].hash & (names->size - 1);

    for (; names->slots[at].name >= 0; at = (at + 1) & (names->size - 1)) {
        const slot_t *slot = &names->slots[at];
        const m2_name_t *name = &APR_ARRAY_IDX(names->list, slot->name, m2_name_t);

        if (slot->hash == read->keys[i].hash && slot->skip <= read->lead
            && name->folded.n - slot->skip == key.n
            && m2_slice_eq(key, m2_slice(name->folded.p + slot->skip, key.n))) {
            return name;
        }
    }
    return NULL;
}

/* Whether no entry begins like a header's name: nearly all that a client sends. */
static int begins_otherwise(const m2_nameset_t *names, m2_slice_t raw)
{
    return names->reading == M2_READ_HEADER && raw.n
           && !names->first[m2_header_fold((unsigned char)raw.p[0])];
}

static const m2_name_t *find(const m2_nameset_t *names, const m2_spelling_t *read)
{
    const m2_name_t *name = NULL;
    int i;

    for (i = 0; i < read->n && !name; i++) {
        if (read->keys[i].n ? names->first[(unsigned char)read->p[0]] : names->bare) {
            name = look_up(names, read, i);
        }
    }
    return name;
}

const char *m2_nameset_find(const m2_nameset_t *names, m2_slice_t raw)
{
    char room[M2_MAX_NAME];
    const m2_name_t *name;
    m2_spelling_t read;
    int way;

    if (!names || !names->used || begins_otherwise(names, raw)) {
        return NULL;
    }
    for (way = 0; m2_spell(&read, room, sizeof(room), raw, names->reading, way); way++) {
        if ((name = find(names, &read)) != NULL) {
            return name->text;
        }
    }
    return NULL;
}

static char *put(char *out, const char *from, const char *to)
{
    const apr_size_t n = (apr_size_t)(to - from);

    memcpy(out, from, n);
    return out + n;
}

/* What is left from gone on, the first pair that is taken out. */
static const char *remove_from(apr_pool_t *pool, const char *text, const m2_pair_t *gone,
                               m2_slice_t rest, m2_nameset_pick_fn *pick, const void *baton)
{
    char *out = apr_palloc(pool, (apr_size_t)(gone->raw.p - text) + rest.n + 1);
    const char *kept_to = gone->raw.p;
    const char *done = gone->raw.p + gone->raw.n;
    m2_pair_t pair;
    char *p;

    while (kept_to > text && m2_reading_separates(M2_READ_FORM, kept_to[-1])) {
        kept_to--; /* the separators before a pair go with it */
    }
    p = put(out, text, kept_to);
    while (m2_form_next(&rest, &pair)) {
        if (!pick(baton, pair.name)) {
            p = put(p, p == out ? pair.raw.p : done, pair.raw.p + pair.raw.n);
        }
        done = pair.raw.p + pair.raw.n;
    }
    *p = '\0';
    return out;
}

const char *m2_nameset_remove(apr_pool_t *pool, const char *text, m2_nameset_pick_fn *pick,
                            const void *baton)
{
    m2_slice_t rest = m2_slice_z(text);
    m2_pair_t pair;

    while (text && m2_form_next(&rest, &pair)) {
        if (pick(baton, pair.name)) {
            return remove_from(pool, text, &pair, rest, pick, baton);
        }
    }
    return text;
}

/* --- masking --- */

/* the text with values replaced, written to out, or only measured when out is NULL */
static apr_size_t mask_into(char *out, const char *text, const m2_nameset_t *names,
                            m2_slice_t mask, int *pcount)
{
    m2_slice_t rest = m2_slice_z(text);
    const char *done = text, *end = rest.p + rest.n;
    apr_size_t n = 0;
    m2_pair_t pair;

    while (m2_form_next(&rest, &pair)) {
        if (pair.value.n && m2_nameset_find(names, pair.name)) {
            if (out) {
                put(put(out + n, done, pair.value.p), mask.p, mask.p + mask.n);
            }
            n += (apr_size_t)(pair.value.p - done) + mask.n;
            done = pair.value.p + pair.value.n;
            ++*pcount;
        }
    }
    if (out) {
        *put(out + n, done, end) = '\0';
    }
    return n + (apr_size_t)(end - done);
}

const char *m2_nameset_mask(apr_pool_t *pool, const char *text, const m2_nameset_t *names,
                          const char *replacement)
{
    const m2_slice_t mask = m2_slice_z(replacement);
    apr_size_t n;
    int count = 0;
    char *out;

    if (!text) {
        return NULL;
    }
    n = mask_into(NULL, text, names, mask, &count);
    if (!count) {
        return text;
    }
    out = apr_palloc(pool, n + 1);
    mask_into(out, text, names, mask, &count);
    return out;
}

const char *m2_nameset_mask_url(apr_pool_t *pool, const char *text, const char *tail,
                                const m2_nameset_t *names, const char *replacement)
{
    const char *query = text ? strpbrk(text, "?#") : NULL;
    const char *old, *masked;

    if (!query) {
        return text;
    }
    if (tail && query > tail) {
        tail = NULL; /* HTTP/0.9 names no protocol */
    }
    query++;
    old = tail ? apr_pstrmemdup(pool, query, (apr_size_t)(tail - query)) : query;
    masked = m2_nameset_mask(pool, old, names, replacement);
    return masked == old ? text
                         : apr_pstrcat(pool, apr_pstrmemdup(pool, text, (apr_size_t)(query - text)),
                                       masked, tail, NULL);
}
