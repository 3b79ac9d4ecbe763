/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The matchers of the condition language. Each is compiled while configuration is read and
 * only read afterwards, so threads share it. Each looks at every byte of a value a bounded
 * number of times, whoever wrote the value: `like` searches with the tables of Knuth, Morris
 * and Pratt, and `matches` stops at PCRE2's own limits and calls that an error.
 */
#include "rules/m2_rule_int.h"

#include "base/m2_hold.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <arpa/inet.h>
#include <netinet/in.h>

/* --- like --- */

/* A pattern is pieces with any run of bytes between them; without a `%` it is one piece. */
typedef struct piece_t {
    m2_slice_t text;
    int *border; /* of each prefix: length of its longest proper border */
} piece_t;

struct m2_like_t {
    apr_array_header_t *pieces; /* of piece_t, never empty; first and last are anchored */
    apr_size_t least;           /* bytes of all pieces */
};

static int *make_borders(apr_pool_t *pool, m2_slice_t text)
{
    int *border = apr_pcalloc(pool, (text.n + 1) * sizeof(*border));
    int k = 0;
    apr_size_t i;

    for (i = 1; i < text.n; i++) {
        while (k > 0 && text.p[i] != text.p[k]) {
            k = border[k - 1];
        }
        k += text.p[i] == text.p[k];
        border[i] = k;
    }
    return border;
}

static void add_piece(m2_like_t *like, apr_pool_t *pool, m2_slice_t text)
{
    piece_t *piece = apr_array_push(like->pieces);

    piece->text = text;
    piece->border = make_borders(pool, text);
    like->least += text.n;
}

const m2_like_t *m2_like_compile(apr_pool_t *pool, m2_slice_t raw)
{
    m2_like_t *like = apr_pcalloc(pool, sizeof(*like));
    apr_size_t from = 0, i;

    like->pieces = apr_array_make(pool, 3, sizeof(piece_t));
    for (i = 0; i < raw.n; i++) {
        if (raw.p[i] == '\\') {
            i++; /* whatever it escapes is not a wildcard */
        }
        else if (raw.p[i] == '%') {
            add_piece(like, pool, m2_lex_unescape(pool, m2_slice(raw.p + from, i - from)));
            from = i + 1;
        }
    }
    add_piece(like, pool, m2_lex_unescape(pool, m2_slice(raw.p + from, raw.n - from)));
    return like;
}

/* Offset behind the first occurrence of piece, which is not empty, in value from offset at
 * on; 0: none. */
static apr_size_t find_piece(const piece_t *piece, m2_slice_t value, apr_size_t at)
{
    apr_size_t k = 0;

    for (; at < value.n; at++) {
        if (k == 0) {
            const char *next = memchr(value.p + at, piece->text.p[0], value.n - at);

            if (!next) {
                return 0;
            }
            at = (apr_size_t)(next - value.p);
        }
        while (k > 0 && value.p[at] != piece->text.p[k]) {
            k = (apr_size_t)piece->border[k - 1];
        }
        k += value.p[at] == piece->text.p[k];
        if (k == piece->text.n) {
            return at + 1;
        }
    }
    return 0;
}

int m2_like_test(const m2_like_t *like, m2_slice_t value)
{
    const piece_t *piece = (const piece_t *)like->pieces->elts;
    const piece_t *last = piece + like->pieces->nelts - 1;
    apr_size_t at = piece->text.n, end;

    if (piece == last) {
        return m2_slice_eq(piece->text, value);
    }
    if (value.n < like->least || memcmp(value.p, piece->text.p, at)) {
        return 0;
    }
    end = value.n - last->text.n;
    if (memcmp(value.p + end, last->text.p, last->text.n)) {
        return 0;
    }
    for (piece++; piece < last; piece++) {
        if (piece->text.n) { /* `%%` is `%` */
            at = find_piece(piece, m2_slice(value.p, end), at);
            if (!at) {
                return 0;
            }
        }
    }
    return 1;
}

/* --- in_cidr --- */

typedef struct address_t {
    int family;
    unsigned char bytes[16];
    unsigned bits;
} address_t;

struct m2_cidr_t {
    address_t net;
    unsigned prefix;
};

static const unsigned char mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

/* ::ffff:a.b.c.d (RFC 4291 2.5.5.2) is what a dual-stack socket makes of an IPv4 peer */
static void unmap(address_t *address)
{
    if (address->family == AF_INET6 && !memcmp(address->bytes, mapped, sizeof(mapped))) {
        memmove(address->bytes, address->bytes + sizeof(mapped), 4);
        address->family = AF_INET;
        address->bits = 32;
    }
}

/* text as an address that inet_pton takes: no leading zeros, no port, no brackets */
static int read_plain(address_t *address, m2_slice_t text)
{
    char z[INET6_ADDRSTRLEN + 1];
    int v6 = text.n && memchr(text.p, ':', text.n) != NULL;

    if (!text.n || text.n >= sizeof(z) || memchr(text.p, '\0', text.n)) {
        return 0;
    }
    memcpy(z, text.p, text.n);
    z[text.n] = '\0';
    address->family = v6 ? AF_INET6 : AF_INET;
    address->bits = v6 ? 128 : 32;
    return inet_pton(address->family, z, address->bytes) == 1;
}

/* A zone (RFC 4007 11, `fe80::1%eth0`), which a server puts behind link-local addresses,
 * names the interface and is not a part of the address. */
static m2_slice_t without_zone(m2_slice_t text)
{
    const char *percent = text.n ? memchr(text.p, '%', text.n) : NULL;
    apr_size_t at = percent ? (apr_size_t)(percent - text.p) : text.n;

    if (percent && at + 1 < text.n && memchr(text.p, ':', at)
        && !memchr(percent + 1, '%', text.n - at - 1)) {
        text.n = at;
    }
    return text;
}

static int same_bits(const unsigned char *a, const unsigned char *b, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;

    if (memcmp(a, b, whole)) {
        return 0;
    }
    return !rest || (a[whole] ^ b[whole]) >> (8 - rest) == 0;
}

/* digits behind the slash; 129 (too long for any address) when they are not a number */
static unsigned read_prefix(m2_slice_t text)
{
    unsigned prefix = 0;
    apr_size_t i;

    if (text.n < 1 || text.n > 3 || (text.n > 1 && text.p[0] == '0')) {
        return 129;
    }
    for (i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9') {
            return 129;
        }
        prefix = prefix * 10 + (unsigned)(text.p[i] - '0');
    }
    return prefix;
}

const m2_cidr_t *m2_cidr_compile(const char **pwhy, apr_pool_t *pool, m2_slice_t text)
{
    m2_cidr_t *cidr = apr_pcalloc(pool, sizeof(*cidr));
    const char *slash = text.n ? memchr(text.p, '/', text.n) : NULL;
    apr_size_t n = slash ? (apr_size_t)(slash - text.p) : text.n;

    if (!read_plain(&cidr->net, m2_slice(text.p, n))) {
        *pwhy = "no IPv4 or IPv6 network such as 10.0.0.0/8 or 2001:db8::/32";
        return NULL;
    }
    cidr->prefix = slash ? read_prefix(m2_slice(slash + 1, text.n - n - 1)) : cidr->net.bits;
    if (cidr->prefix > cidr->net.bits) {
        *pwhy = apr_psprintf(pool, "the prefix must be a number from 0 to %u",
                             cidr->net.bits);
        return NULL;
    }
    if (cidr->prefix >= 96) {
        unsigned bits = cidr->net.bits;

        unmap(&cidr->net);
        cidr->prefix -= bits - cidr->net.bits;
    }
    return cidr;
}

m2_truth_t m2_cidr_test(const m2_cidr_t *cidr, m2_slice_t value)
{
    address_t address;

    if (!read_plain(&address, without_zone(value))) {
        return M2_ERROR;
    }
    unmap(&address);
    return address.family == cidr->net.family
                   && same_bits(address.bytes, cidr->net.bytes, cidr->prefix)
               ? M2_TRUE
               : M2_FALSE;
}

void m2_cidr_key(unsigned char *key, const m2_cidr_t *cidr, int prefix)
{
    const unsigned bits = prefix == M2_CIDR_OWN ? cidr->prefix : (unsigned)prefix;
    const unsigned whole = bits / 8, rest = bits % 8;

    memset(key, 0, M2_CIDR_KEY);
    key[0] = cidr->net.family == AF_INET ? 4 : 6;
    key[1] = (unsigned char)bits;
    memcpy(key + 2, cidr->net.bytes, whole);
    if (rest) {
        key[2 + whole] = (unsigned char)(cidr->net.bytes[whole] & (0xff00 >> rest));
    }
}

const m2_cidr_t *m2_cidr_host(apr_pool_t *pool, m2_slice_t value)
{
    m2_cidr_t *host = apr_pcalloc(pool, sizeof(*host));

    if (!read_plain(&host->net, without_zone(value))) {
        return NULL;
    }
    unmap(&host->net);
    host->prefix = host->net.bits;
    return host;
}

/* --- has --- */

int m2_words_have(m2_slice_t text, m2_slice_t word)
{
    const char *at = text.p, *end = text.p + text.n, *blank;

    for (; at < end; at = blank + 1) {
        blank = memchr(at, ' ', (apr_size_t)(end - at));
        blank = blank ? blank : end;
        if (blank > at && m2_slice_eq(m2_slice(at, (apr_size_t)(blank - at)), word)) {
            return 1;
        }
    }
    return 0;
}

/* --- matches --- */

#define HEAP_KIB 1024 /* backtracking memory of one match */
#define INNER_STEP 4  /* cost of a step behind the first at one place */
#define STEP_BYTES 16 /* bytes of a value that an item which repeats runs over in a step */
#define SAME_BYTES 8  /* bytes that a back reference compares in a step */

struct m2_regex_t {
    pcre2_code *code;
    pcre2_match_context *limits; /* read-only after compilation */
    apr_uint32_t referred;       /* the highest group that a back reference names, 0: none */
};

static apr_status_t free_regex(void *data)
{
    m2_regex_t *regex = data;

    pcre2_match_context_free(regex->limits);
    pcre2_code_free(regex->code);
    return APR_SUCCESS;
}

static const char *regex_error(apr_pool_t *pool, int number, apr_size_t offset)
{
    PCRE2_UCHAR text[200];

    if (pcre2_get_error_message(number, text, sizeof(text)) < 0) {
        text[0] = '\0';
    }
    return apr_psprintf(pool, "%s, at byte %" APR_SIZE_T_FMT " of the pattern",
                        (const char *)text, offset + 1);
}

/* Bytes, not characters: a value that is not UTF-8 is a value like any other. `$` is the very
 * end, or a value with a line feed behind it would pass for one without. */
const m2_regex_t *m2_regex_compile(const char **pwhy, apr_pool_t *pool, m2_slice_t text)
{
    m2_regex_t *regex = apr_pcalloc(pool, sizeof(*regex));
    apr_size_t offset = 0;
    int number = 0;

    regex->code = pcre2_compile((PCRE2_SPTR)text.p, text.n,
                                PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_UTF | PCRE2_NEVER_UCP
                                    | PCRE2_NEVER_BACKSLASH_C | PCRE2_AUTO_CALLOUT,
                                &number, &offset, NULL);
    if (!regex->code) {
        *pwhy = regex_error(pool, number, offset);
        return NULL;
    }
    regex->limits = pcre2_match_context_create(NULL);
    apr_pool_cleanup_register(pool, regex, free_regex, apr_pool_cleanup_null);
    if (!regex->limits) {
        *pwhy = "out of memory";
        return NULL;
    }
    pcre2_pattern_info(regex->code, PCRE2_INFO_BACKREFMAX, &regex->referred);
    pcre2_set_match_limit(regex->limits, M2_MAX_MATCH_STEPS);
    pcre2_set_depth_limit(regex->limits, M2_MAX_MATCH_STEPS);
    pcre2_set_heap_limit(regex->limits, HEAP_KIB);
    return regex;
}

/* What one value has cost. PCRE2 counts its own limit anew at each place where a match may
 * begin, so that a value of n bytes could cost n times as much. */
typedef struct effort_t {
    apr_size_t spent;
    PCRE2_SIZE at, begun;
    apr_uint32_t referred; /* of the pattern */
} effort_t;

/* What a back reference may compare behind this call: the longest group that one names. */
static apr_size_t cost_of_references(const pcre2_callout_block *block, apr_uint32_t referred)
{
    const PCRE2_SIZE *group = block->offset_vector;
    PCRE2_SIZE longest = 0;
    apr_uint32_t i;

    for (i = 1; i <= referred && i < block->capture_top; i++) {
        if (group[2 * i] != PCRE2_UNSET && group[2 * i + 1] > group[2 * i]
            && group[2 * i + 1] - group[2 * i] > longest) {
            longest = group[2 * i + 1] - group[2 * i];
        }
    }
    return longest / SAME_BYTES + i / SAME_BYTES;
}

/* Called before each item of the pattern, at every place that is tried. To begin at another
 * place is cheap. What lies between two calls costs as much as it is long: an item that
 * repeats is run over without a call. A back reference goes byte by byte, and what it has
 * compared when it fails shows in no place. */
static int count_step(pcre2_callout_block *block, void *baton)
{
    effort_t *effort = baton;
    const PCRE2_SIZE at = block->current_position;

    effort->spent += block->start_match != effort->begun ? 1 : INNER_STEP;
    effort->begun = block->start_match;
    effort->spent += (at > effort->at ? at - effort->at : effort->at - at)
                     / (effort->referred ? 1 : STEP_BYTES);
    effort->spent += effort->referred ? cost_of_references(block, effort->referred) : 0;
    effort->at = at;
    return effort->spent > M2_MAX_MATCH_EFFORT ? PCRE2_ERROR_CALLOUT : 0;
}

static int match(const m2_regex_t *regex, m2_slice_t value)
{
    pcre2_match_context *limits = pcre2_match_context_copy(regex->limits);
    pcre2_match_data *data = pcre2_match_data_create(1, NULL);
    effort_t effort = { 0, 0, 0, regex->referred };
    int rc = PCRE2_ERROR_NOMEMORY;

    if (limits && data) {
        pcre2_set_callout(limits, count_step, &effort);
        rc = pcre2_match(regex->code, (PCRE2_SPTR)value.p, value.n, 0, 0, data, limits);
    }
    pcre2_match_data_free(data);
    pcre2_match_context_free(limits);
    return rc;
}

m2_truth_t m2_regex_test(const m2_regex_t *regex, m2_slice_t value)
{
    m2_hold_t hold;
    int rc;

    m2_hold_begin(&hold);
    rc = match(regex, value);
    m2_hold_end(&hold);
    return rc >= 0 ? M2_TRUE : rc == PCRE2_ERROR_NOMATCH ? M2_FALSE : M2_ERROR;
}
