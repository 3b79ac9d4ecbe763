/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Arguments -> the struct of a verb. `--name value`, `--name=value`, `--` ends the
 * options,
 * `-` alone is a word (standard input). An option that takes one value is given once.
 */
#include "ctl/m2mctl_verb.h"

#include "text/m2_nearest.h"

#include <stdio.h>

#define HELP_COLUMN 28 /* where the help of an option begins */

typedef struct given_t {
    const m2mctl_option_t *option;
    void *slot;
    const char *value;
    int first; /* not given before */
} given_t;

/* the next byte of a name that counts: no dashes, small letters */
static char name_byte(const char **pname)
{
    while (**pname == '-') {
        ++*pname;
    }
    return **pname ? (char)apr_tolower(*(*pname)++) : '\0';
}

static int same_name(const char *given, apr_size_t n, const char *name, apr_pool_t *pool)
{
    const char *copy = apr_pstrmemdup(pool, given, n);
    char a, b;

    if (n > 3 && m2_slice_is_nocase(m2_slice(copy, 3), "m2m")) {
        copy += 3;
    }
    do {
        a = name_byte(&copy);
        b = name_byte(&name);
    } while (a && a == b);
    return a == b;
}

/* the option of that name and where its value goes */
static const m2mctl_option_t *find_option(void **pslot, void *options, m2mctl_t *ctl,
                                          const char *name, apr_size_t n)
{
    const m2mctl_option_t *option;
    int i;

    for (i = 0; i < M2MCTL_GROUPS && ctl->verb->groups[i].options; i++) {
        for (option = ctl->verb->groups[i].options; option->name; option++) {
            if (same_name(name, n, option->name, ctl->pool)) {
                *pslot = (char *)options + ctl->verb->groups[i].base + option->slot;
                return option;
            }
        }
    }
    return NULL;
}

/* --- values --- */

static int read_flag(given_t *given, m2mctl_t *ctl)
{
    static const char *const words[] = { "Off", "On", "false", "true" };
    int i;

    for (i = 0; given->value && i < 4; i++) {
        if (m2_slice_is_nocase(m2_slice_z(given->value), words[i])) {
            *(int *)given->slot = i & 1;
            return 0;
        }
    }
    *(int *)given->slot = 1;
    return given->value ? m2mctl_usage(ctl, "--%s is On or Off", given->option->name) : 0;
}

static int read_text(given_t *given, m2mctl_t *ctl)
{
    if (*(const char **)given->slot) {
        return m2mctl_usage(ctl, "--%s is given twice", given->option->name);
    }
    *(const char **)given->slot = given->value;
    return 0;
}

static int read_number(given_t *given, m2mctl_t *ctl)
{
    m2mctl_number_t *number = given->slot;
    char *end;

    if (number->set) {
        return m2mctl_usage(ctl, "--%s is given twice", given->option->name);
    }
    number->set = 1;
    number->value = apr_strtoi64(given->value, &end, 10);
    if (!*given->value || *end || number->value > ((apr_int64_t)1 << 53) ||
        number->value < -((apr_int64_t)1 << 53)) {
        return m2mctl_usage(ctl, "--%s must be a whole number", given->option->name);
    }
    return 0;
}

static int read_list(given_t *given, m2mctl_t *ctl)
{
    apr_array_header_t **list = given->slot;

    if (!*list) {
        *list = apr_array_make(ctl->pool, 2, sizeof(const char *));
    }
    APR_ARRAY_PUSH(*list, const char *) = given->value;
    return 0;
}

typedef int read_fn(given_t *given, m2mctl_t *ctl);

/* a word that need not be there: "" without it */
static int read_word(given_t *given, m2mctl_t *ctl)
{
    given->value = given->value ? given->value : "";
    return read_text(given, ctl);
}

static read_fn *const readers[] = { /* ORDER OPTION */
    read_flag, read_text, read_number, read_list, read_word,
};

_Static_assert(sizeof(readers) / sizeof(readers[0]) == M2MCTL_KINDS, "ORDER OPTION");

/* --- arguments --- */

static int no_option(m2mctl_t *ctl, const char *name)
{
    apr_array_header_t *names = apr_array_make(ctl->pool, 32, sizeof(const char *));
    const m2mctl_option_t *option;
    const char *near;
    int i;

    APR_ARRAY_PUSH(names, const char *) = "json";
    for (i = 0; i < M2MCTL_GROUPS && ctl->verb->groups[i].options; i++) {
        for (option = ctl->verb->groups[i].options; option->name; option++) {
            APR_ARRAY_PUSH(names, const char *) = option->name;
        }
    }
    near = m2_nearest(name, (const char *const *)names->elts, (apr_size_t)names->nelts);
    return m2mctl_usage(ctl, "there is no option --%s%s%s%s", name,
                        near ? "; did you mean --" : "", near ? near : "", near ? "?" : "");
}

/* one argument with two dashes; *pi moves on when its value is the next one */
static int read_option(void *options, m2mctl_t *ctl, int argc, const char *const *argv,
                       int *pi)
{
    const char *name = argv[*pi] + 2, *equals = strchr(name, '=');
    apr_size_t n = equals ? (apr_size_t)(equals - name) : strlen(name);
    given_t given;

    if (n == 4 && m2_slice_is(m2_slice(name, n), "json") && !equals) {
        ctl->json = 1;
        return 0;
    }
    given.option = find_option(&given.slot, options, ctl, name, n);
    if (!given.option) {
        return no_option(ctl, apr_pstrmemdup(ctl->pool, name, n));
    }
    given.value = equals ? equals + 1 : NULL;
    if (!equals && given.option->kind != M2MCTL_FLAG
        && given.option->kind != M2MCTL_WORD) {
        if (++*pi >= argc) {
            return m2mctl_usage(ctl, "--%s takes a value: %s", given.option->name,
                                given.option->value);
        }
        given.value = argv[*pi];
    }
    return readers[given.option->kind](&given, ctl);
}

int m2mctl_options(void *options, m2mctl_t *ctl, int argc, const char *const *argv,
                   int *phelp)
{
    int i, bad = 0, ended = 0;

    for (i = 0; !bad && i < argc; i++) {
        m2_slice_t word = m2_slice_z(argv[i]);

        if (ended || argv[i][0] != '-' || word.n == 1) {
            APR_ARRAY_PUSH(ctl->words, const char *) = argv[i];
        }
        else if (m2_slice_is(word, "--help") || m2_slice_is(word, "-h")) {
            *phelp = 1;
            return 0;
        }
        else if (m2_slice_is(word, "--")) {
            ended = 1;
        }
        else if (argv[i][1] != '-') {
            bad = no_option(ctl, argv[i] + 1);
        }
        else {
            bad = read_option(options, ctl, argc, argv, &i);
        }
    }
    return bad;
}

static void print_option(const m2mctl_option_t *option)
{
    char left[64];

    apr_snprintf(left, sizeof(left), "--%s%s%s", option->name, option->value ? " " : "",
                 option->value ? option->value : "");
    if (strlen(left) > HELP_COLUMN - 4) {
        printf("  %s\n%*s", left, HELP_COLUMN, "");
    }
    else {
        printf("  %-*s", HELP_COLUMN - 2, left);
    }
    printf("%s%s\n", option->help, option->kind == M2MCTL_LIST ? " (repeatable)" : "");
}

void m2mctl_options_help(const m2mctl_verb_t *verb)
{
    static const m2mctl_option_t json = { "json", M2MCTL_FLAG, 0, NULL,
                                          "print one JSON document" };
    const m2mctl_option_t *option;
    int i;

    for (i = 0; i < M2MCTL_GROUPS && verb->groups[i].options; i++) {
        for (option = verb->groups[i].options; option->name; option++) {
            print_option(option);
        }
    }
    print_option(&json);
}
