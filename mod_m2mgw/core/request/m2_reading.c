/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The table of readers, and names read by it. Whose habits these are: PHP drops leading
 * blanks, makes '_' of '.', blank and a bracket that is not closed, and stops at NUL; Rack and
 * Rails drop leading brackets and cut at the next; qs (Express, Koa) cuts at brackets, with
 * allowDots at dots; servlet containers and CGI programs compare in any case or fold '-';
 * many trim, some by Unicode's idea of a blank; old ASP reads %uXXXX; WSGI and CGI make '_'
 * of all that is not a letter or digit in a header's name.
 */
#include "request/m2_reading.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* how some backend may read one byte of a name */
enum {
    FOLD = 1,   /* equals '_' */
    LEAD = 2,   /* in front: dropped, or '_' */
    BLANK = 4,  /* at the end: dropped */
    CUT = 8,    /* ends the name */
    DOT = 16,   /* ends the name, for those who take it for an index */
    INDEX = 32  /* ends an index in brackets */
};

#define NAME_BYTES                                                                    \
    [0] = LEAD | BLANK | CUT, [1 ... 8] = LEAD | BLANK, ['\t' ... '\r'] = FOLD | LEAD | BLANK, \
    [14 ... 31] = LEAD | BLANK, [' '] = FOLD | LEAD | BLANK, [127] = LEAD | BLANK, \
    ['-'] = FOLD, ['['] = FOLD | LEAD | CUT, [']'] = LEAD | CUT | INDEX

static const unsigned char form_bytes[256] = { NAME_BYTES, ['.'] = FOLD | LEAD | DOT };
static const unsigned char cookie_bytes[256] = { NAME_BYTES, ['.'] = FOLD | LEAD };
static const unsigned char header_bytes[256] = {
    [0 ... '/'] = FOLD, [':' ... '@'] = FOLD, ['[' ... '`'] = FOLD, ['{' ... 255] = FOLD,
};

#define ALL_ESCAPES (M2_DECODE_PERCENT | M2_DECODE_UNICODE)

typedef struct m2_reader_t {
    const char *separators;     /* bytes at which some end a pair */
    const unsigned char *bytes; /* what each byte of a name is */
    unsigned ways[2];           /* what is decoded, and for others */
    const char *differ;         /* what is in a name where the second way differs */
    int lead;                   /* whether anything is dropped in front */
} m2_reader_t;

static const m2_reader_t readers[] = { /* ORDER READING */
    { "&;", form_bytes, { ALL_ESCAPES | M2_DECODE_PLUS, M2_DECODE_PERCENT | M2_DECODE_PLUS },
      "%u", 1 },
    { ";, \t", cookie_bytes, { ALL_ESCAPES, 0 }, "%", 1 },
    { "", header_bytes, { 0, 0 }, NULL, 0 },
};
_Static_assert(COUNT(readers) == M2_READINGS, "one reader for each reading");

int m2_reading_separates(m2_reading_t reading, char c)
{
    return c && strchr(readers[reading].separators, c) != NULL;
}

/* FNV-1a; it only sorts out what differs */
#define HASH_START 2166136261u

static inline apr_uint32_t hash_byte(apr_uint32_t hash, unsigned char c)
{
    return (hash ^ c) * 16777619u;
}

apr_uint32_t m2_name_hash(m2_slice_t folded)
{
    apr_uint32_t hash = HASH_START;
    apr_size_t i;

    for (i = 0; i < folded.n; i++) {
        hash = hash_byte(hash, (unsigned char)folded.p[i]);
    }
    return hash;
}

static inline unsigned char fold(int c, unsigned what)
{
    if (what & FOLD) {
        return '_';
    }
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
}

/* --- what stands in front of a name --- */

/* One character in front: how many bytes are left out, and whether it counts as '_' to some.
 * A byte order mark never does. Latin-1 knows two blanks of one byte. */
static apr_size_t lead_length(int *pcounts, const unsigned char *bytes, m2_decoder_t d)
{
    char next[3];
    apr_size_t n = 0;
    int c;

    for (; n < sizeof(next) && (c = m2_decode_next(&d)) >= 0; n++) {
        next[n] = (char)c;
    }
    *pcounts = 1;
    if (n && (bytes[(unsigned char)next[0]] & LEAD || next[0] == '\x85' || next[0] == '\xa0')) {
        return 1;
    }
    if (n == 3 && m2_slice_is(m2_slice(next, n), "\xef\xbb\xbf")) {
        *pcounts = 0;
        return n;
    }
    return m2_form_blank(next, n);
}

static inline int may_lead(const unsigned char *bytes, const m2_decoder_t *d)
{
    return d->left || (d->p < d->end
                       && (*d->p == '%' || *d->p == '+' || (unsigned char)*d->p >= 0x80
                           || bytes[(unsigned char)*d->p] & LEAD));
}

static apr_size_t skip_lead(m2_decoder_t *d, const unsigned char *bytes)
{
    apr_size_t lead = 0, n;
    int counts;

    while (may_lead(bytes, d) && (n = lead_length(&counts, bytes, *d)) != 0) {
        lead += (apr_size_t)counts;
        while (n--) {
            m2_decode_next(d);
        }
    }
    return lead;
}

/* --- a name that a client sent --- */

typedef struct speller_t {
    m2_spelling_t *spelling;
    char *room;
    apr_size_t size;
    apr_size_t n, solid;                /* bytes so far, and up to the last that is not a blank */
    apr_uint32_t hash, solid_hash;
    unsigned seen;                      /* CUT, DOT: no second one of a kind */
    int indices;
} speller_t;

static void add_key(speller_t *s, apr_size_t n, apr_uint32_t hash)
{
    m2_spelling_t *spelling = s->spelling;
    int i;

    for (i = 0; i < spelling->n; i++) {
        if (spelling->keys[i].n == n) {
            return;
        }
    }
    if (n <= s->size && spelling->n < M2_SPELLINGS) {
        spelling->keys[spelling->n].n = n;
        spelling->keys[spelling->n++].hash = hash;
    }
}

static void add_keys(speller_t *s)
{
    add_key(s, s->n, s->hash);
    add_key(s, s->solid, s->solid_hash);
}

/* Some end a name in front of this byte: at the first bracket, at the first dot before one,
 * and at NUL wherever it stands. */
static void look_for_cut(speller_t *s, int c, unsigned what)
{
    if ((what & CUT && (!c || !(s->seen & CUT))) || (what & DOT && !s->seen)) {
        add_keys(s);
    }
    s->seen |= what & (CUT | DOT);
}

static void put(speller_t *s, int c, unsigned what)
{
    const unsigned char folded = fold(c, what);

    if (s->n < s->size) {
        s->room[s->n] = (char)folded;
    }
    s->n++;
    s->hash = hash_byte(s->hash, folded);
    if (!(what & BLANK)) {
        s->solid = s->n;
        s->solid_hash = s->hash;
    }
    if (what & INDEX && s->indices++ < 4) { /* a configured name[index], and what follows it */
        add_key(s, s->n, s->hash);
    }
}

/* Whether part, of one character or two, is in raw in any case. */
static int holds(m2_slice_t raw, const char *part)
{
    const apr_size_t n = strlen(part);
    apr_size_t i;

    for (i = 0; i + n <= raw.n; i++) {
        if (m2_slice_is_nocase(m2_slice(raw.p + i, n), part)) {
            return 1;
        }
    }
    return 0;
}

int m2_spell(m2_spelling_t *spelling, char *room, apr_size_t size, m2_slice_t raw,
             m2_reading_t reading, int way)
{
    const m2_reader_t *reader = &readers[reading];
    speller_t s = { spelling, room, size, 0, 0, HASH_START, HASH_START, 0, 0 };
    m2_decoder_t d;
    int c;

    if (!raw.p || way > 1
        || (way == 1 && !(reader->differ && holds(raw, reader->differ)))) {
        return 0;
    }
    d = m2_decoder(raw, reader->ways[way]);
    spelling->p = room;
    spelling->n = 0;
    spelling->lead = reader->lead ? skip_lead(&d, reader->bytes) : 0;
    while ((c = m2_decode_next(&d)) >= 0) {
        const unsigned what = reader->bytes[c];

        if (what & (CUT | DOT)) {
            look_for_cut(&s, c, what);
        }
        put(&s, c, what);
        if (s.solid > size) { /* no key behind this one can fit */
            return 1;
        }
    }
    add_keys(&s);
    return 1;
}

/* --- a name that is configured --- */

m2_name_t m2_name_fold(char *room, const char *text, m2_reading_t reading)
{
    const m2_reader_t *reader = &readers[reading];
    m2_decoder_t d = m2_decoder(m2_slice_z(text), 0);
    m2_name_t name = { text, { room, 0 }, 0 };
    apr_size_t n = reader->lead ? skip_lead(&d, reader->bytes) : 0;
    int c;

    memset(room, '_', n);
    while ((c = m2_decode_next(&d)) >= 0) {
        room[n++] = (char)fold(c, reader->bytes[c]);
    }
    room[n] = '\0';
    name.folded.n = n;
    name.lead = strspn(room, "_");
    return name;
}

int m2_name_is_unfit(const char *text, m2_reading_t reading)
{
    m2_decoder_t d = m2_decoder(m2_slice_z(text), 0);

    skip_lead(&d, readers[reading].bytes);
    return m2_decode_next(&d) < 0 || strlen(text) > M2_MAX_NAME;
}

/* Whether name without its first skip bytes, which are '_', is the key. */
static int key_is(const m2_spelling_t *spelling, int i, const m2_name_t *name, apr_size_t skip)
{
    return spelling->keys[i].n == name->folded.n - skip
           && m2_slice_eq(m2_slice(spelling->p, spelling->keys[i].n),
                          m2_slice(name->folded.p + skip, name->folded.n - skip));
}

/* One of the keys is that name. */
static int is_spelling(const m2_spelling_t *spelling, const m2_name_t *name)
{
    apr_size_t skip;
    int i;

    for (skip = 0; skip <= name->lead && skip <= spelling->lead; skip++) {
        for (i = 0; i < spelling->n; i++) {
            if (key_is(spelling, i, name, skip)) {
                return 1;
            }
        }
    }
    return 0;
}

int m2_name_like(m2_slice_t raw, const char *name, m2_reading_t reading)
{
    char folded[M2_MAX_NAME + 1], room[M2_MAX_NAME + 1];
    m2_spelling_t spelling;
    m2_name_t ours;
    int way;

    if (strlen(name) > M2_MAX_NAME) {
        return 0;
    }
    ours = m2_name_fold(folded, name, reading);
    for (way = 0; m2_spell(&spelling, room, sizeof(room), raw, reading, way); way++) {
        if (is_spelling(&spelling, &ours)) {
            return 1;
        }
    }
    return 0;
}

int m2_name_same(const char *a, const char *b, m2_reading_t reading)
{
    char room[2][M2_MAX_NAME + 1];

    if (strlen(a) > M2_MAX_NAME || strlen(b) > M2_MAX_NAME) {
        return 0;
    }
    return m2_slice_eq(m2_name_fold(room[0], a, reading).folded,
                       m2_name_fold(room[1], b, reading).folded)
           || m2_name_like(m2_slice_z(a), b, reading)
           || m2_name_like(m2_slice_z(b), a, reading);
}

unsigned char m2_header_fold(unsigned char c)
{
    return fold(c, header_bytes[c]);
}

int m2_header_name_like(const char *a, const char *b)
{
    for (; *a && *b; a++, b++) {
        if (*a != *b
            && m2_header_fold((unsigned char)*a) != m2_header_fold((unsigned char)*b)) {
            return 0;
        }
    }
    return *a == *b;
}
