/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * m2mctl: keys, test tokens and answers to "why", without a server. This file is the
 * table of verbs and the way to one of them.
 */
#include "config.h" /* PACKAGE_VERSION */

#include "ctl/m2mctl_verb.h"

#include "base/m2_log.h"
#include "text/m2_nearest.h"

#include <apr_general.h>

#include <stdio.h>

static const m2mctl_verb_t *const verbs[] = {
    &m2mctl_keygen, &m2mctl_jwks,    &m2mctl_sign,
    &m2mctl_verify, &m2mctl_explain, &m2mctl_check,
    &m2mctl_client, &m2mctl_token,   &m2mctl_dpop,
    &m2mctl_revoke, &m2mctl_openapi, &m2mctl_test,
    &m2mctl_completion, NULL,
};

#define VERBS (sizeof(verbs) / sizeof(verbs[0]) - 1)

/* notices of the core: a skipped key and the like */
static void say(m2_level_t level, const char *text, void *baton)
{
    static const char *const words[] = { "error", "warning", "notice", "info", "debug" };

    if (level <= M2_LOG_NOTICE) {
        apr_pool_t *pool = baton;

        fprintf(stderr, "m2mctl: %s: %s\n", words[level], m2mctl_plain(pool, text));
    }
}

static const m2mctl_verb_t *find_verb(const char *name)
{
    apr_size_t i;

    for (i = 0; i < VERBS; i++) {
        if (m2_slice_is(m2_slice_z(name), verbs[i]->name)) {
            return verbs[i];
        }
    }
    return NULL;
}

static int no_verb(m2mctl_t *ctl, const char *name)
{
    const char *names[VERBS + 1] = { "help" }, *near;
    apr_size_t i;

    for (i = 0; i < VERBS; i++) {
        names[i + 1] = verbs[i]->name;
    }
    near = m2_nearest(name, names, VERBS + 1);
    return m2mctl_usage(ctl, "there is no verb \"%s\"%s%s%s", name, near ? "; did you mean " : "",
                        near ? near : "", near ? "?" : "");
}

static void print_help(void)
{
    apr_size_t i;

    printf("m2mctl - keys, tokens and decisions of mod_m2mgw, without a server\n\n"
           "usage: m2mctl VERB [OPTION...] [ARGUMENT...]\n\n");
    for (i = 0; i < VERBS; i++) {
        printf("  %-10s %s\n", verbs[i]->name, verbs[i]->summary);
    }
    printf(
        "\n`m2mctl help VERB` tells more. With --json a verb prints one JSON document.\n"
        "Exit status: 0 allow or done, 1 deny, 2 usage or bad input.\n");
}

static void print_verb_help(const m2mctl_verb_t *verb)
{
    printf("m2mctl %s - %s\n\nusage: m2mctl %s [OPTION...]%s%s\n\n%s\n", verb->name,
           verb->summary, verb->name, *verb->arguments ? " " : "", verb->arguments,
           verb->text);
    m2mctl_options_help(verb);
}

static int help(m2mctl_t *ctl, const char *name)
{
    const m2mctl_verb_t *verb = name ? find_verb(name) : NULL;

    if (name && !verb) {
        return no_verb(ctl, name);
    }
    if (verb) {
        print_verb_help(verb);
    }
    else {
        print_help();
    }
    return M2MCTL_ALLOW;
}

static int run_verb(m2mctl_t *ctl, int argc, const char *const *argv)
{
    void *options = apr_pcalloc(ctl->pool, ctl->verb->size);
    int wants_help = 0;
    int bad = m2mctl_options(options, ctl, argc, argv, &wants_help);

    if (wants_help) {
        print_verb_help(ctl->verb);
        return M2MCTL_ALLOW;
    }
    return bad ? bad : ctl->verb->run(ctl, options);
}

static int run(m2mctl_t *ctl, int argc, const char *const *argv)
{
    m2_slice_t word = m2_slice_z(argc > 1 ? argv[1] : NULL);

    if (m2_slice_is(word, "help") || m2_slice_is(word, "--help") ||
        m2_slice_is(word, "-h")) {
        return help(ctl, argc > 2 ? argv[2] : NULL);
    }
    if (m2_slice_is(word, "--version")) {
        printf("m2mctl %s\n", PACKAGE_VERSION);
        return M2MCTL_ALLOW;
    }
    ctl->verb = word.p ? find_verb(argv[1]) : NULL;
    if (!ctl->verb) {
        return word.p ? no_verb(ctl, argv[1]) : m2mctl_usage(ctl, "a verb is missing");
    }
    return run_verb(ctl, argc - 2, argv + 2);
}

int main(int argc, const char *const *argv, const char *const *env)
{
    m2mctl_t ctl;
    int code;

    memset(&ctl, 0, sizeof(ctl));
    if (apr_app_initialize(&argc, &argv, &env) || apr_pool_create(&ctl.pool, NULL)) {
        fprintf(stderr, "m2mctl: APR does not start\n");
        return M2MCTL_USAGE;
    }
    m2_log_set(say, ctl.pool);
    ctl.verbs = verbs;
    ctl.words = apr_array_make(ctl.pool, 4, sizeof(const char *));
    code = run(&ctl, argc, argv);
    if (fflush(stdout) != 0) {
        fprintf(stderr, "m2mctl: cannot write to standard output\n");
        code = M2MCTL_USAGE;
    }
    apr_pool_destroy(ctl.pool);
    apr_terminate();
    return code;
}
