/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * m2mctl completion: a script for bash or zsh, written from the tables of verbs and options, so
 * that it knows what this m2mctl knows.
 */
#include "ctl/m2mctl_verb.h"

#include <stdio.h>

typedef void tell_fn(const m2mctl_option_t *option);

static void each_option(const m2mctl_verb_t *verb, tell_fn *tell)
{
    const m2mctl_option_t *option;
    int i;

    for (i = 0; i < M2MCTL_GROUPS && verb->groups[i].options; i++) {
        for (option = verb->groups[i].options; option->name; option++) {
            tell(option);
        }
    }
}

static int takes_file(const m2mctl_option_t *option)
{
    return option->value && m2_slice_is(m2_slice_z(option->value), "FILE");
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

static void bash_option(const m2mctl_option_t *option)
{
    printf(" --%s", option->name);
}

static void bash_file_option(const m2mctl_option_t *option)
{
    if (takes_file(option)) {
        bash_option(option);
    }
}

static void bash_value_option(const m2mctl_option_t *option)
{
    if (takes_value(option) && !takes_file(option)) {
        bash_option(option);
    }
}

static void bash(const m2mctl_verb_t *const *verbs)
{
    const m2mctl_verb_t *verb;
    int i;

    printf("# bash completion for m2mctl\n_m2mctl() {\n"
           "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
           "    local verbs='help'\n    local options='' files='' values='' words=''\n");
    for (i = 0; (verb = verbs[i]) != NULL; i++) {
        printf("    verbs+=' %s'\n", verb->name);
    }
    printf("    COMPREPLY=()\n    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
           "        COMPREPLY=($(compgen -W \"$verbs\" -- \"$cur\"))\n        return\n    fi\n"
           "    case ${COMP_WORDS[1]} in\n    help) words=$verbs ;;\n");
    for (i = 0; (verb = verbs[i]) != NULL; i++) {
        printf("    %s)\n        options='--json --help", verb->name);
        each_option(verb, bash_option);
        printf("'\n        files=' ");
        each_option(verb, bash_file_option);
        printf(" '\n        values=' ");
        each_option(verb, bash_value_option);
        printf(" '\n        words='%s' ;;\n", words_of(verb));
    }
    printf("    esac\n    if [[ $values == *\" $prev \"* ]]; then\n        return\n"
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

static void zsh_option(const m2mctl_option_t *option)
{
    printf(" \\\n            '%s--%s[", option->kind == M2MCTL_LIST ? "*" : "", option->name);
    zsh_text(option->help);
    printf("]");
    if (takes_value(option)) {
        printf(":");
        zsh_text(option->value);
        printf(":%s", takes_file(option) ? "_files" : " ");
    }
    printf("'");
}

static void zsh(const m2mctl_verb_t *const *verbs)
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
        each_option(verb, zsh_option);
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
        bash(ctl->verbs);
    }
    else if (m2_slice_is(shell, "zsh")) {
        zsh(ctl->verbs);
    }
    else {
        return m2mctl_usage(ctl, "completion takes bash or zsh");
    }
    return M2MCTL_ALLOW;
}

const m2mctl_verb_t m2mctl_completion = {
    "completion",
    "bash|zsh",
    "a script by which a shell completes verbs and options",
    "For bash: `m2mctl completion bash >/etc/bash_completion.d/m2mctl`, or for one session\n"
    "`. <(m2mctl completion bash)`. For zsh: a file _m2mctl in a folder of $fpath. Packages\n"
    "bring both.\n",
    {{NULL, 0}},
    1,
    run_completion,
};
