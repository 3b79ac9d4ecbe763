/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * m2mctl completion: a script for bash or zsh, written from the tables of verbs and options, so
 * that it knows what this m2mctl knows.
 */
#include "ctl/m2mctl_verb.h"

#include "proof/m2_proof.h"

#include <stdio.h>

typedef void tell_fn(apr_pool_t *pool, const m2mctl_option_t *option);

static void each_option(apr_pool_t *pool, const m2mctl_verb_t *verb, tell_fn *tell)
{
    const m2mctl_option_t *option;
    int i;

    for (i = 0; i < M2MCTL_GROUPS && verb->groups[i].options; i++) {
        for (option = verb->groups[i].options; option->name; option++) {
            tell(pool, option);
        }
    }
}

/* `FILE`, or `FILE|...` */
static int takes_file(const m2mctl_option_t *option)
{
    const apr_size_t n = option->value ? strcspn(option->value, "|") : 0;

    return n && m2_slice_is(m2_slice(option->value, n), "FILE");
}

/* --- closed lists --- */

/* values of an option of that name whose value the help calls that; NULL: of algorithms */
static const struct choice_t {
    const char *name, *value, *words;
} choices[] = {
    { "alg", "NAME", NULL },
    { "algorithms", "NAMES", NULL },
    { "dpop-algs", "NAMES", NULL },
    { "scheme", "NAME", "Bearer DPoP" },
    { "sender-constraint", "MODE", "Off Auto DPoP mTLS Any" },
    { "type", "KIND", "jwtAuth accessControl trafficControl jwks rules revocation dataset grants "
                      "openapi" },
};

/* `json|yaml` in the help; `AUDIENCE|PERMISSION` stands for other words */
static const char *words_of_value(apr_pool_t *pool, const char *value)
{
    char *words = apr_pstrdup(pool, value), *at;

    for (at = words; *at; at++) {
        if (*at == '|') {
            *at = ' ';
        }
        else if (!apr_isalnum(*at)) {
            return NULL;
        }
    }
    return strchr(value, '|') && apr_islower(value[1]) ? words : NULL;
}

/* What an option takes, where that is a closed list; NULL: it is not. */
static const char *choices_of(apr_pool_t *pool, const m2mctl_option_t *option)
{
    const m2_slice_t name = m2_slice_z(option->name), value = m2_slice_z(option->value);
    apr_size_t i;

    if (!option->value) {
        return NULL;
    }
    for (i = 0; i < sizeof(choices) / sizeof(choices[0]); i++) {
        if (m2_slice_is(name, choices[i].name) && m2_slice_is(value, choices[i].value)) {
            return choices[i].words                ? choices[i].words
                   : m2_slice_is(name, "dpop-algs") ? m2_alg_mask_names(pool, m2_proof_algs())
                                                    : m2_alg_names(pool);
        }
    }
    return words_of_value(pool, option->value);
}

static int takes_value(const m2mctl_option_t *option)
{
    return option->kind != M2MCTL_FLAG && option->kind != M2MCTL_WORD;
}

/* the words of a verb that are not file names */
static const char *words_of(const m2mctl_verb_t *verb)
{
    return verb == &m2mctl_client       ? "add list grant revoke"
           : verb == &m2mctl_completion ? "bash zsh"
                                        : "";
}

/* --- bash --- */

static void bash_option(apr_pool_t *pool, const m2mctl_option_t *option)
{
    (void)pool;
    printf(" --%s", option->name);
}

static void bash_file_option(apr_pool_t *pool, const m2mctl_option_t *option)
{
    if (takes_file(option)) {
        bash_option(pool, option);
    }
}

static void bash_value_option(apr_pool_t *pool, const m2mctl_option_t *option)
{
    if (takes_value(option) && !takes_file(option)) {
        bash_option(pool, option);
    }
}

static void bash_choices(apr_pool_t *pool, const m2mctl_option_t *option)
{
    const char *words = choices_of(pool, option);

    if (words) {
        printf("        --%s) choices='%s' ;;\n", option->name, words);
    }
}

static void bash_verb(apr_pool_t *pool, const m2mctl_verb_t *verb)
{
    printf("    %s)\n        options='--json --help", verb->name);
    each_option(pool, verb, bash_option);
    printf("'\n        files=' ");
    each_option(pool, verb, bash_file_option);
    printf(" '\n        values=' ");
    each_option(pool, verb, bash_value_option);
    printf(" '\n        words='%s'\n        case $prev in\n", words_of(verb));
    each_option(pool, verb, bash_choices);
    printf("        esac ;;\n");
}

/* `=` is a word of its own in what is completed. */
static void bash(apr_pool_t *pool, const m2mctl_verb_t *const *verbs)
{
    const m2mctl_verb_t *verb;
    int i;

    printf("# bash completion for m2mctl\n_m2mctl() {\n"
           "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
           "    local verbs='help'\n    local options='' files='' values='' words='' choices=''\n");
    for (i = 0; (verb = verbs[i]) != NULL; i++) {
        printf("    verbs+=' %s'\n", verb->name);
    }
    printf("    COMPREPLY=()\n    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
           "        COMPREPLY=($(compgen -W \"$verbs\" -- \"$cur\"))\n        return\n    fi\n"
           "    if [ \"$cur\" = '=' ]; then\n        cur=''\n"
           "    elif [ \"$prev\" = '=' ]; then\n        prev=${COMP_WORDS[COMP_CWORD-2]}\n    fi\n"
           "    case ${COMP_WORDS[1]} in\n    help) words=$verbs ;;\n");
    for (i = 0; (verb = verbs[i]) != NULL; i++) {
        bash_verb(pool, verb);
    }
    printf("    esac\n    if [ -n \"$choices\" ]; then\n"
           "        COMPREPLY=($(compgen -W \"$choices\" -- \"$cur\"))\n"
           "    elif [[ $values == *\" $prev \"* ]]; then\n        return\n"
           "    elif [[ $files == *\" $prev \"* ]]; then\n"
           "        COMPREPLY=($(compgen -f -- \"$cur\"))\n"
           "    elif [[ $cur == -* ]]; then\n"
           "        COMPREPLY=($(compgen -W \"$options\" -- \"$cur\"))\n"
           "    elif [ \"$COMP_CWORD\" -eq 2 ] && [ -n \"$words\" ]; then\n"
           "        COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n    else\n"
           "        COMPREPLY=($(compgen -f -- \"$cur\"))\n    fi\n}\n"
           "complete -o filenames -F _m2mctl m2mctl\n");
}

/* --- zsh --- */

/* inside of single quotes, and of a spec of _arguments or _describe */
static void zsh_text(const char *text)
{
    for (; *text; text++) {
        if (*text == '\'') {
            printf("'\\''");
        }
        else {
            printf("%s%c", strchr("[]:\\", *text) ? "\\" : "", *text);
        }
    }
}

static void zsh_option(apr_pool_t *pool, const m2mctl_option_t *option)
{
    const char *words = choices_of(pool, option);

    printf(" \\\n            '%s--%s%s[", option->kind == M2MCTL_LIST ? "*" : "", option->name,
           takes_value(option) ? "=" : "");
    zsh_text(option->help);
    printf("]");
    if (takes_value(option)) {
        printf(":");
        zsh_text(option->value);
        printf(words ? ":(%s)" : ":%s", words ? words : takes_file(option) ? "_files" : " ");
    }
    printf("'");
}

static void zsh(apr_pool_t *pool, const m2mctl_verb_t *const *verbs)
{
    const m2mctl_verb_t *verb;
    int i;

    printf("#compdef m2mctl\n_m2mctl() {\n    local -a verbs\n    verbs=(\n");
    for (i = 0; (verb = verbs[i]) != NULL; i++) {
        printf("        '%s:", verb->name);
        zsh_text(verb->summary);
        printf("'\n");
    }
    printf("    )\n    if ((CURRENT == 2)); then\n        _describe verb verbs\n"
           "        return\n    fi\n    shift words\n    ((CURRENT--))\n    case $words[1] in\n");
    for (i = 0; (verb = verbs[i]) != NULL; i++) {
        const char *words = words_of(verb);

        printf("    %s)\n        _arguments '--json[print one JSON document]'", verb->name);
        each_option(pool, verb, zsh_option);
        if (*words) {
            printf(" \\\n            '1: :(%s)'", words);
        }
        printf(" \\\n            '*:file:_files' ;;\n");
    }
    printf("    esac\n}\n_m2mctl \"$@\"\n");
}

static int run_completion(m2mctl_t *ctl, void *options)
{
    const m2_slice_t shell = m2_slice_z(ctl->words->nelts == 1
                                            ? APR_ARRAY_IDX(ctl->words, 0, const char *)
                                            : NULL);

    (void)options;
    if (m2_slice_is(shell, "bash")) {
        bash(ctl->pool, ctl->verbs);
    }
    else if (m2_slice_is(shell, "zsh")) {
        zsh(ctl->pool, ctl->verbs);
    }
    else {
        return m2mctl_usage(ctl, "completion takes bash or zsh");
    }
    return M2MCTL_ALLOW;
}

const m2mctl_verb_t m2mctl_completion = {
    "completion",
    "bash|zsh",
    "a script by which a shell completes verbs, options and values",
    "For bash: `m2mctl completion bash >/etc/bash_completion.d/m2mctl`, or for one session\n"
    "`. <(m2mctl completion bash)`. For zsh: a file _m2mctl in a folder of $fpath. Packages\n"
    "bring both.\n",
    {{NULL, 0}},
    1,
    run_completion,
};
