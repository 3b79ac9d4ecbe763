/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The short reader against jansson. Beside a fraction, which the short one leaves to jansson, a
 * document reads as it does alone, and what is refused beside one is refused alone.
 */
#include "unit.h"

#include "text/m2_json.h"

#define MOST 2000 /* bytes of a document here */

/* A generator of our own: the same documents on every machine. */
static unsigned next(unsigned below)
{
    static uint64_t state = 15;

    state = state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(state >> 33) % below;
}

static const m2_json_t *parse(m2_slice_t text)
{
    const m2_json_t *json = NULL;

    clean();
    m2_json_parse(&json, pool, text, M2_E_CONFIG, &err);
    return json;
}

/* In memory of its own, so that a sanitizer sees who reads behind it. */
static const m2_json_t *parse_alone(m2_slice_t text)
{
    char *own = malloc(text.n ? text.n : 1);
    const m2_json_t *json;

    assert_non_null(own);
    memcpy(own, text.p, text.n);
    json = parse(m2_slice(own, text.n));
    free(own);
    return json;
}

static int readers_agree(m2_slice_t text)
{
    const m2_json_t *alone = parse_alone(text), *both;

    if (memchr(text.p, '\0', text.n)) {
        return !alone;
    }
    both = parse(m2_slice_z(apr_pstrcat(pool, "[", m2_slice_dup(pool, text), ",0.5]", NULL)));
    if (!both) {
        return !alone || strstr(err.text, "nested too deeply");
    }
    return m2_json_length(both) != 2 ? !alone
           : alone && m2_slice_is(m2_slice_z(m2_json_dump(pool, alone)),
                                  m2_json_dump(pool, m2_json_at(both, 0)));
}

static void expect_agreement(const char *text, size_t n)
{
    if (!readers_agree(m2_slice(text, n))) {
        print_error("the readers differ: %.*s\n", (int)n, text);
        fail();
    }
    apr_pool_clear(pool);
}

/* what documents are made of, and what only looks like it */
static const struct word_t {
    const char *text;
    size_t n;
} words[] = {
#define WORD(text) { text, sizeof(text) - 1 }
    WORD("{"), WORD("}"), WORD("["), WORD("]"), WORD(","), WORD(":"), WORD("\""), WORD("\\"),
    WORD("\"a\""), WORD("\"b\":"), WORD("\"a\":1,"), WORD("{}"), WORD("[]"), WORD("0"),
    WORD("1"), WORD("-"), WORD("-0"), WORD("01"), WORD("123456789012345678"),
    WORD("1234567890123456789"), WORD("18446744073709551616"), WORD("1e2"), WORD("."),
    WORD("0.25"), WORD("E"), WORD("true"), WORD("false"), WORD("null"), WORD("tru"), WORD(" "),
    WORD("\t"), WORD("\n"), WORD("\r"), WORD("\v"), WORD("\0"), WORD("\x01"), WORD("\x7f"),
    WORD("\x80"), WORD("\xff"), WORD("\xc3\xa4"), WORD("\\u0061"), WORD("\\u0000"),
    WORD("\\\""), WORD("~"), WORD("/*"), WORD("'"),
};
#define WORDS (sizeof(words) / sizeof(words[0]))

static void test_words_in_any_order(void **state)
{
    char text[MOST];
    int round;

    (void)state;
    for (round = 0; round < 60000; round++) {
        size_t n = 0;
        unsigned left = 1 + next(12);

        while (left--) {
            const struct word_t *word = &words[next(WORDS)];

            memcpy(text + n, word->text, word->n);
            n += word->n;
        }
        expect_agreement(text, n);
    }
}

/* --- documents, whole and damaged --- */

static size_t put(char *at, const char *text)
{
    memcpy(at, text, strlen(text));
    return strlen(text);
}

static size_t put_string(char *at, unsigned longest)
{
    static const char *const odd[] = { "\\n", "\\u00e9", "\xc3\xa9", "\\\"", "\x7f" };
    unsigned left = next(longest);
    size_t n = put(at, "\"");

    while (left--) {
        n += next(40) ? put(at + n, (const char[]){ (char)('a' + next(20)), '\0' })
                      : put(at + n, odd[next(sizeof(odd) / sizeof(odd[0]))]);
    }
    return n + put(at + n, "\"");
}

/* A value; of names there are few, so that some come twice. */
static size_t put_value(char *at, unsigned depth)
{
    unsigned kind = next(depth ? 8 : 5), left = next(5);
    size_t n;

    if (kind < 2) {
        return put_string(at, 40);
    }
    if (kind < 5) {
        static const char *const scalars[] = { "0", "-17", "1796012624", "true", "false", "null",
                                               "123456789012345678", "-1234567890123456789",
                                               "12345678901234567890123456789" };

        return put(at, scalars[next(sizeof(scalars) / sizeof(scalars[0]))]);
    }
    n = put(at, kind == 5 ? "[" : "{");
    while (left--) {
        if (kind > 5) {
            n += put_string(at + n, 5);
            n += put(at + n, next(4) ? ":" : " : ");
        }
        n += put_value(at + n, depth - 1);
        n += left ? put(at + n, next(4) ? "," : " ,\n") : 0;
    }
    return n + put(at + n, kind == 5 ? "]" : "}");
}

static void test_documents(void **state)
{
    static char text[64 * 1024]; /* 4 members of 4 of 4 strings of 40 characters at most */
    int round;

    (void)state;
    for (round = 0; round < 20000; round++) {
        size_t n = put_value(text, 3);

        expect_agreement(text, n);
        text[next((unsigned)n)] = (char)next(256);
        expect_agreement(text, n);
        expect_agreement(text, next((unsigned)n + 1));
    }
}

/* A member that stands twice, at any place among so many that all have company by their bits. */
static void test_twice_among_many(void **state)
{
    unsigned i, twice;

    (void)state;
    for (twice = 0; twice < 200; twice++) {
        const char *text = apr_psprintf(pool, "{\"m%u\":0", twice);
        const char *other = apr_psprintf(pool, "{\"n%u\":0", twice);

        for (i = 0; i < 200; i++) {
            const char *member = apr_psprintf(pool, ",\"m%u\":%u", i, i);

            text = apr_pstrcat(pool, text, member, NULL);
            other = apr_pstrcat(pool, other, member, NULL);
        }
        assert_null(parse(z(apr_pstrcat(pool, text, "}", NULL))));
        assert_int_equal(m2_json_length(parse(z(apr_pstrcat(pool, other, "}", NULL)))), 201);
        apr_pool_clear(pool);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit(test_words_in_any_order),
        unit(test_documents),
        unit(test_twice_among_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
