/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The condition language. What it means is the table t/vectors/conditions.txt, every row of
 * it; what a table cannot say (limits, how often a value is asked for, what an error tells,
 * how long a hostile value takes) is here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "rules/m2_rule.h"
#include "facts.h"

#define LEAST_ROWS 850 /* of the table; a reader that skips rows must not pass */

static apr_pool_t *pool;
static fact_list_t *list;

static int setup(void **state)
{
    (void)state;
    apr_initialize();
    return apr_pool_create(&pool, NULL);
}

static int teardown(void **state)
{
    (void)state;
    apr_pool_destroy(pool);
    apr_terminate();
    return 0;
}

static int fresh(void **state)
{
    (void)state;
    list = fact_list_make(pool);
    return 0;
}

/* --- the table --- */

static m2_slice_t unpercent(const char *text)
{
    char *out = apr_pstrdup(pool, text), hex[3] = "";
    apr_size_t n = 0;

    while (*text) {
        if (*text == '%') {
            memcpy(hex, text + 1, 2);
            out[n++] = (char)strtol(hex, NULL, 16);
            text += 3;
        }
        else {
            out[n++] = *text++;
        }
    }
    return m2_slice(out, n);
}

/* the word *pline begins with; *pline moves behind it and one blank */
static char *next_word(char **pline)
{
    char *word = *pline, *blank = strchr(word, ' ');

    if (blank) {
        *blank = '\0';
        *pline = blank + 1;
    }
    else {
        *pline = word + strlen(word);
    }
    return word;
}

static void read_fact(char *line)
{
    static const char *const kinds[] = { "text", "claim", "null", "error" };
    const char *name = next_word(&line), *kind = next_word(&line);
    int i;

    for (i = 0; i < 4 && strcmp(kind, kinds[i]); i++) {
    }
    if (i == 4 || fact_add(list, name, (fact_kind_t)i, i == FACT_CLAIM ? m2_slice_z(line)
                                                                       : unpercent(line))) {
        fail_msg("bad fact %s", name);
    }
}

/* what became of a condition, in the words of the table */
static const char *outcome(const char *condition)
{
    static const char *const words[] = { "false", "true", "error" };
    const m2_expr_t *expr;
    m2_truth_t truth;
    m2_err_t err;

    m2_err_init(&err, pool);
    if (m2_expr_compile(&expr, pool, condition, list->params, &err)) {
        assert_int_equal(err.code, M2_E_CONFIG);
        assert_non_null(err.text);
        assert_null(expr);
        return apr_psprintf(pool, "refused:%d", err.column);
    }
    assert_int_equal(err.code, M2_OK);
    truth = m2_expr_eval(expr, facts_of(list, pool), &err);
    assert_int_equal(err.code, truth == M2_ERROR ? M2_E_RULE_ERROR : M2_OK);
    assert_int_equal(err.text != NULL, truth == M2_ERROR);
    return words[truth];
}

static int check_row(const char *expected, const char *condition)
{
    const char *got = outcome(condition);

    if (strcmp(expected, got) == 0) {
        return 0;
    }
    print_error("%s, not %s: %s\n", got, expected, condition);
    return 1;
}

static FILE *open_table(void)
{
    const char *srcdir = getenv("srcdir");
    FILE *file = fopen(apr_pstrcat(pool, srcdir ? srcdir : ".", "/t/vectors/conditions.txt",
                                   NULL), "r");

    if (!file) {
        fail_msg("t/vectors/conditions.txt cannot be read; is srcdir set?");
    }
    return file;
}

static void test_table(void **state)
{
    FILE *file = open_table();
    char line[M2_MAX_CONDITION], *rest;
    int rows = 0, wrong = 0;

    (void)state;
    while (fgets(line, sizeof(line), file)) {
        char *word;

        line[strcspn(line, "\n")] = '\0';
        if (line[0] == '#' || !line[0]) {
            continue;
        }
        rest = line;
        word = next_word(&rest);
        if (strcmp(word, "fact") == 0) {
            read_fact(rest);
            continue;
        }
        rows++;
        wrong += check_row(word, rest);
    }
    fclose(file);
    assert_int_equal(wrong, 0);
    assert_true(rows >= LEAST_ROWS);
}

/* --- limits --- */

static const char *repeat(const char *text, int n, const char *end)
{
    char *out = apr_palloc(pool, strlen(text) * (apr_size_t)n + strlen(end) + 1), *p = out;

    for (; n > 0; n--) {
        memcpy(p, text, strlen(text));
        p += strlen(text);
    }
    memcpy(p, end, strlen(end) + 1);
    return out;
}

static void test_depth(void **state)
{
    const char *closed = repeat(")", M2_MAX_RULE_DEPTH, "");

    (void)state;
    assert_string_equal(outcome(repeat("(", M2_MAX_RULE_DEPTH,
                                       apr_pstrcat(pool, "1=1", closed, NULL))), "true");
    assert_string_equal(outcome(repeat("(", M2_MAX_RULE_DEPTH + 1,
                                       apr_pstrcat(pool, "1=1)", closed, NULL))),
                        "refused:65");
    assert_string_equal(outcome(repeat("!", M2_MAX_RULE_DEPTH, "1=1")), "true");
    assert_string_equal(outcome(repeat("!", M2_MAX_RULE_DEPTH + 1, "1=1")), "refused:65");
    assert_string_equal(outcome(repeat("!(", M2_MAX_RULE_DEPTH, "1=1")), "refused:65");
    /* levels that are closed again do not add up */
    assert_string_equal(outcome(repeat("(1=1) and ", 300, "(1=1)")), "true");
    assert_string_equal(outcome(repeat("!(1=2) and ", 300, "!1=2")), "true");
}

static void test_length(void **state)
{
    const char *just = apr_pstrcat(pool, "'", repeat("x", M2_MAX_CONDITION - 6, ""),
                                   "' > 1", NULL);

    (void)state;
    assert_int_equal(strlen(just), M2_MAX_CONDITION);
    assert_string_equal(outcome(just), "true");
    assert_string_equal(outcome(apr_pstrcat(pool, just, " ", NULL)), "refused:4097");
}

static void test_many_names(void **state)
{
    int i;

    (void)state;
    for (i = 0; i < 5000; i++) {
        assert_int_equal(fact_text(list, apr_psprintf(pool, "n%d", i), "x"), M2_OK);
        if (i == 20) {
            i = 4900; /* the look-up of the test is a walk */
        }
    }
    assert_string_equal(outcome("$n4999 = 'x' and $n0 = 'x'"), "true");
}

static void test_white_space(void **state)
{
    (void)state;
    fact_text(list, "a", "b");
    assert_string_equal(outcome("\n  $a\t=\r\n'b'\n"), "true");
    assert_string_equal(outcome("$a = 'b'\n  and\n  $a <> 'c'\n"), "true");
    assert_string_equal(outcome("$a = 'b'\v"), "refused:9");
    assert_string_equal(outcome("$a\x01= 'b'"), "refused:3");
    assert_string_equal(outcome("$a = 'b\n'"), "false"); /* a text may hold one */
}

/* --- what is asked for, and how often --- */

static void test_all_operands(void **state)
{
    (void)state;
    fact_text(list, "a", "x");
    fact_text(list, "b", "x");
    fact_text(list, "c", "x");
    assert_string_equal(outcome("1=1 or $a = 'x'"), "true");
    assert_int_equal(fact_named(list, "a")->asked, 1);
    assert_string_equal(outcome("1=2 and ($b = 'x' or $b = 'y' or !($b like 'x'))"), "false");
    assert_int_equal(fact_named(list, "b")->asked, 1);
    assert_int_equal(fact_named(list, "c")->asked, 0);
}

static void test_an_error_is_asked_for_once(void **state)
{
    (void)state;
    fact_add(list, "bad", FACT_ERROR, m2_slice(NULL, 0));
    assert_string_equal(outcome("$bad = 'x' or $bad = 'y'"), "error");
    assert_int_equal(fact_named(list, "bad")->asked, 1);
}

static void test_system_names(void **state)
{
    int before = list->params->list->nelts;

    (void)state;
    assert_string_equal(outcome("$CaClientIp = 'CaClientIp' and $CaClientIp <> null"),
                        "true");
    assert_int_equal(list->params->list->nelts, before + 1);
    assert_int_equal(list->system_asked, 1);
    assert_string_equal(outcome("${CaHttpSchema} = 'CaHttpSchema'"), "true");
}

static void test_clock(void **state)
{
    (void)state;
    assert_string_equal(outcome("Timestamp() = 1798761599123"), "true");
    assert_string_equal(outcome("TimeOfDay() = 86399123"), "true");
    assert_string_equal(outcome("Timestamp() = '1798761599123'"), "true");
    assert_string_equal(outcome("Random() = 0.25"), "true");
    assert_string_equal(outcome("Random() = '0.2500'"), "true");
}

static m2_truth_t eval_random(const char *condition, double random)
{
    const m2_expr_t *expr;
    m2_facts_t *facts = facts_of(list, pool);

    facts->random = random;
    assert_int_equal(m2_expr_compile(&expr, pool, condition, list->params, NULL), M2_OK);
    return m2_expr_eval(expr, facts, NULL);
}

static void test_random(void **state)
{
    (void)state;
    assert_int_equal(eval_random("Random() < 1", 0.99999999999999989), M2_TRUE);
    assert_int_equal(eval_random("Random() > 0.99999999", 0.99999999999999989), M2_TRUE);
    assert_int_equal(eval_random("Random() = 0", 0.0), M2_TRUE);
    assert_int_equal(eval_random("Random() < 0.05", 0.0499999), M2_TRUE);
    assert_int_equal(eval_random("Random() < 0.05", 0.05), M2_FALSE);
    assert_int_equal(eval_random("Random() = 0", 1.0), M2_TRUE);
    assert_int_equal(eval_random("Random() = 0", -1.0), M2_TRUE);
}

/* --- errors --- */

static const char *error_text(const char *condition)
{
    const m2_expr_t *expr;
    m2_err_t err;

    m2_err_init(&err, pool);
    if (!m2_expr_compile(&expr, pool, condition, list->params, &err)) {
        assert_int_equal(m2_expr_eval(expr, facts_of(list, pool), &err), M2_ERROR);
    }
    assert_non_null(err.text);
    return err.text;
}

static void assert_says(const char *condition, const char *words)
{
    const char *text = error_text(condition);

    if (!strstr(text, words)) {
        fail_msg("\"%s\" does not say \"%s\"", text, words);
    }
    assert_false(strstr(text, "column") != NULL); /* the caller says where */
}

static void test_sentences(void **state)
{
    (void)state;
    fact_text(list, "a", "x");
    assert_says("1=1 and 2=2 or 3=3", "parentheses");
    assert_says("$who = 'x'", "who");
    assert_says("$a = 'x", "closing '");
    assert_says("$a = abc", "abc");
    assert_says("$a", "comparison");
    assert_says("true < 1", "no order");
    assert_says("5 like 'x'", "like");
    assert_says("$a in_cidr '10.0.0.0/33'", "0 to 32");
    assert_says("$a in_cidr 'x'", "10.0.0.0/8");
    assert_says("$a matches '('", "parenthesis");
    assert_says("$a in (null)", "= null");
    assert_says("$a && 1=1", "and");
    assert_says("1=1 )", "\")\"");
    assert_says("1=1 and", "the end");
    assert_says("$a = $", "name");
}

/* an error names the parameter and never shows what the client sent */
static void test_no_values(void **state)
{
    (void)state;
    fact_text(list, "ip", "s3cret");
    fact_add(list, "bad", FACT_ERROR, m2_slice_z("s3cret"));
    fact_text(list, "slow", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaas3cret");
    assert_says("$ip in_cidr '10.0.0.0/8'", "ip");
    assert_null(strstr(error_text("$ip in_cidr '10.0.0.0/8'"), "s3cret"));
    assert_says("$bad = 'x'", "bad");
    assert_null(strstr(error_text("$bad = 'x'"), "s3cret"));
    assert_says("$slow matches '^(a+)+$'", "slow");
    assert_null(strstr(error_text("$slow matches '^(a+)+$'"), "s3cret"));
}

static void test_without_a_record(void **state)
{
    const m2_expr_t *expr;

    (void)state;
    fact_add(list, "bad", FACT_ERROR, m2_slice(NULL, 0));
    assert_int_equal(m2_expr_compile(&expr, pool, "$x = 1", list->params, NULL), M2_E_CONFIG);
    assert_int_equal(m2_expr_compile(&expr, pool, "$bad = 1", list->params, NULL), M2_OK);
    assert_int_equal(m2_expr_eval(expr, facts_of(list, pool), NULL), M2_ERROR);
}

/* The tree holds nothing of the text it was made from. */
static void test_the_text_may_go(void **state)
{
    char text[] = "$a = 'x' and $a like 'x%' and $a in ('x') and 12 < 13 and $a has 'x'";
    char faulty[] = "$bad = 'x'";
    const m2_expr_t *expr;
    m2_err_t err;

    (void)state;
    m2_err_init(&err, pool);
    fact_text(list, "a", "x");
    fact_add(list, "bad", FACT_ERROR, m2_slice(NULL, 0));
    assert_int_equal(m2_expr_compile(&expr, pool, text, list->params, NULL), M2_OK);
    memset(text, '#', sizeof(text) - 1);
    assert_int_equal(m2_expr_eval(expr, facts_of(list, pool), NULL), M2_TRUE);
    assert_int_equal(m2_expr_compile(&expr, pool, faulty, list->params, NULL), M2_OK);
    memset(faulty, '#', sizeof(faulty) - 1);
    assert_int_equal(m2_expr_eval(expr, facts_of(list, pool), &err), M2_ERROR);
    assert_non_null(strstr(err.text, "parameter bad "));
}

/* --- hostile values --- */

#define HOSTILE 65536
#define HOSTILE_SECONDS 2 /* linear: milliseconds; anything worse: minutes */

static void assert_quick(const char *condition, const char *expected)
{
    clock_t start = clock();

    assert_string_equal(outcome(condition), expected);
    assert_true(clock() - start < (clock_t)HOSTILE_SECONDS * CLOCKS_PER_SEC);
}

static void test_hostile_values(void **state)
{
    const char *many = repeat("a", HOSTILE, "b");
    const char *as = repeat("a", 2000, "");

    (void)state;
    fact_text(list, "many", many);
    fact_text(list, "digits", repeat("9", HOSTILE, ""));
    fact_text(list, "words", repeat("a ", HOSTILE / 2, ""));
    assert_quick(apr_pstrcat(pool, "$many like '%", as, "c%", as, "%'", NULL), "false");
    assert_quick(apr_pstrcat(pool, "$many like '%", as, "%", as, "b'", NULL), "true");
    assert_quick(apr_pstrcat(pool, "$many like '", repeat("%a", 1500, "%c%'"), NULL),
                 "false");
    assert_quick(apr_pstrcat(pool, "$many like '", repeat("%a", 1500, "%b'"), NULL), "true");
    assert_quick("$digits > 5 and $digits <> 7", "true");
    assert_quick("$words has 'b'", "false");
    assert_quick("$words has 'a'", "true");
    assert_quick("$many matches '^(a|aa)+$'", "error");
    assert_quick("$many matches '(a*)*[cd]'", "error");
    assert_quick("$many matches '^(((a+)+)+)+$'", "error");
    assert_quick("$many matches '^[a]+b$'", "true");
    assert_quick("$many in_cidr '10.0.0.0/8'", "error");
    /* one budget for all places where a match may begin, and room for what needs one pass */
    fact_text(list, "mail", repeat("a", 65000, "abc"));
    assert_quick("$mail matches 'a.*b.c'", "error");
    assert_quick("$mail matches '(?=.*q)(?=.*z)'", "error");
    assert_quick("$mail matches '[^b]+[xyz]$'", "error");
    assert_quick("$mail matches 'abc$'", "true");
    assert_quick("$mail matches '[0-9a]{5}[xy]'", "false");
    assert_quick("$mail matches '^[a-c]*$'", "true");
}

/* A back reference that fails has compared as much as the group is long, and one that repeats
 * runs over bytes one by one: both count. The outcome says that the budget was met, whatever
 * the machine; short groups have room. */
static void test_back_references(void **state)
{
    char *twice = apr_pstrcat(pool, repeat("a", 16000, "b"), repeat("a", 49000, "c"), NULL);

    (void)state;
    fact_text(list, "twice", twice);
    fact_text(list, "mail", repeat("a", 65000, "abc"));
    fact_text(list, "quoted", apr_pstrcat(pool, "'", repeat("ab ", 5000, "'"), NULL));
    assert_string_equal(outcome("$twice matches '(?i)^(a+b).*?\\1z'"), "error");
    assert_string_equal(outcome("$twice matches '^(?<g>a+b).*?\\k<g>z'"), "error");
    assert_string_equal(outcome("$twice matches '(?i)(a+)\\1[xy]'"), "error");
    assert_string_equal(outcome("$twice matches '(?i)^(a{10000}).*\\1b\\1[xy]'"), "error");
    assert_string_equal(outcome(apr_pstrcat(pool, "$mail matches '(a)",
                                            repeat("\\1*+", 400, "[xy]'"), NULL)), "error");
    assert_string_equal(outcome("$quoted matches '^([\"\\']).*?\\1$'"), "true");
    assert_string_equal(outcome("$quoted matches '^(.)[^z]*\\1$'"), "true");
}

/* Our limit on steps, and not the library's, which lets a stranger have seconds. */
static void test_match_limit(void **state)
{
    clock_t start = clock();
    int i;

    (void)state;
    fact_text(list, "a", repeat("a", 60, "b"));
    for (i = 0; i < 50; i++) {
        assert_string_equal(outcome("$a matches '^(a|aa)+$'"), "error");
    }
    assert_true(clock() - start < (clock_t)HOSTILE_SECONDS * CLOCKS_PER_SEC);
}

/* `$name = 'word'`, or `<>`: false where the value is null. */
static int holds_text(const char *value, const char *compare, const char *word)
{
    return value && (strcmp(value, word) == 0) == (*compare == '=');
}

/* Two comparisons with texts, of which all values have been looked up: against plain C. */
static void test_known_texts(void **state)
{
    static const char *const names[] = { "none", "empty", "short", "text" };
    static const char *const values[] = { NULL, "", "ab", "abc" };
    static const char *const words[] = { "", "ab", "abc", "abd", "xbc", "abcd" };
    static const char *const compares[] = { "=", "<>" };
    int i;

    (void)state;
    fact_add(list, names[0], FACT_NULL, m2_slice(NULL, 0));
    for (i = 1; i < 4; i++) {
        fact_text(list, names[i], values[i]);
    }
    for (i = 0; i < 4 * 4 * 6 * 6 * 2 * 2 * 2; i++) {
        const int a = i % 4, b = i / 4 % 4;
        const char *x = words[i / 16 % 6], *y = words[i / 96 % 6];
        const char *p = compares[i / 576 % 2], *q = compares[i / 1152 % 2];
        const int is_or = i / 2304;
        const int first = holds_text(values[a], p, x), second = holds_text(values[b], q, y);
        const char *condition = apr_psprintf(
            pool, "($%s = null or $%s = null or 1=1) and ($%s %s '%s' %s $%s %s '%s')", names[a],
            names[b], names[a], p, x, is_or ? "or" : "and", names[b], q, y);

        assert_int_equal(check_row((is_or ? first || second : first && second) ? "true" : "false",
                                   condition), 0);
    }
}

/* What has decided already does not hide what fails, whether its values are known or not. */
static void test_decided_and_failing(void **state)
{
    static const char *const rows[][2] = {
        { "error", "$a = 'y' and $bad = 1" },
        { "error", "$bad = 1 and $a = 'y'" },
        { "error", "$a = 'x' or $bad = 1" },
        { "error", "$a = 'y' and $a in_cidr '10.0.0.0/8'" },
        { "error", "$a = 'y' and ($a = 'x' or $bad = 1)" },
        { "error", "$a = 'y' and not ($bad = 1)" },
        { "false", "$a = 'y' and $a has 'x' and $a = 'x' and $a like 'x%'" },
        { "true", "$a = 'x' or $a has 'y' or $a = null" },
        { "false", "$a = 'x' xor $a = 'x'" },
    };
    apr_size_t i;

    (void)state;
    fact_text(list, "a", "x");
    fact_add(list, "bad", FACT_ERROR, m2_slice(NULL, 0));
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_string_equal(outcome(rows[i][1]), rows[i][0]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_table, fresh),
        cmocka_unit_test_setup(test_known_texts, fresh),
        cmocka_unit_test_setup(test_decided_and_failing, fresh),
        cmocka_unit_test_setup(test_depth, fresh),
        cmocka_unit_test_setup(test_length, fresh),
        cmocka_unit_test_setup(test_many_names, fresh),
        cmocka_unit_test_setup(test_white_space, fresh),
        cmocka_unit_test_setup(test_all_operands, fresh),
        cmocka_unit_test_setup(test_an_error_is_asked_for_once, fresh),
        cmocka_unit_test_setup(test_system_names, fresh),
        cmocka_unit_test_setup(test_clock, fresh),
        cmocka_unit_test_setup(test_random, fresh),
        cmocka_unit_test_setup(test_sentences, fresh),
        cmocka_unit_test_setup(test_no_values, fresh),
        cmocka_unit_test_setup(test_without_a_record, fresh),
        cmocka_unit_test_setup(test_the_text_may_go, fresh),
        cmocka_unit_test_setup(test_hostile_values, fresh),
        cmocka_unit_test_setup(test_back_references, fresh),
        cmocka_unit_test_setup(test_match_limit, fresh),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
