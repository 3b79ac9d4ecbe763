#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# Guards against: the calls by which code of this kind goes wrong without any compiler
# noticing: a prefix taken for the whole (strncmp), unbounded copies, numbers that are not,
# a secret compared byte by byte with an early exit.

. "$(dirname "$0")/lib.sh"
need_program perl
need_files "$top/mod_m2mgw/core/base/m2_slice.h"

sources=$(find "$top/mod_m2mgw" -name '*.[ch]')
# shellcheck disable=SC2086
at_least 30 $sources
# shellcheck disable=SC2086
code_tree $sources

# forbid WHY ALLOWED-FILES REGEX
forbid() {
    # shellcheck disable=SC2086
    set -- "$1" "$(echo $2)" "$3"
    (cd "$work/code" && grep -rnE "(^|[^A-Za-z0-9_>.])($3)[ ]?\(" mod_m2mgw) |
        while IFS= read -r hit; do
            case " $2 " in *" $(basename "${hit%%:*}") "*) continue ;; esac
            echo "$hit"
        done >>"$work/complaints"
    verdict "$1"
}

forbid "no comparison of prefixes that looks like one of wholes" "" \
    'strncmp|strncasecmp|apr_strnatcmp|apr_strnatcasecmp'
forbid "no unbounded copy" "" \
    'strcpy|strcat|strncpy|strncat|stpcpy|sprintf|vsprintf|gets|alloca'
forbid "no scanning that cannot fail" "" 'atoi|atol|atoll|atof|s?scanf|fscanf'
forbid "no hidden state" "" \
    'strtok|asctime|ctime|gmtime|localtime|strerror|rand|srand|random|srandom|drand48|tmpnam|mktemp'
forbid "no text of a module kept by a pool that outlives it" "" 'apr_pool_userdata_setn'
# A resolver may take ten seconds: one thread asks it (m2_names.c), no request does.
forbid "no name is resolved in a request" "m2_names.c" \
    'getaddrinfo|gethostbyname|gethostbyname2|gethostbyaddr|getnameinfo|apr_sockaddr_info_get'
forbid "atomics of one kind" "" 'apr_atomic_[a-z0-9]+'
forbid "no shell" "" 'system|popen|execlp|execvp'

# Comparing memory is for things that are no secret. Those files, and what they compare:
# slices of names (m2_slice.h), ordered text (m2_decimal.c, m2_operation.c, m2_rule_eval.c), patterns and
# addresses of rules (m2_rule_match.c), policies (m2mgw_decide.c), file stamps and magic numbers.
forbid "secrets are compared in constant time" \
    "m2_slice.h m2_decimal.c m2_operation.c m2_rule_eval.c m2_rule_match.c m2mgw_decide.c m2_replay_file.c
     m2_replay_table.c m2_replay_memcache.c m2_cache.c m2_jwks.c m2mi_grants.c" \
    'memcmp|bcmp'

finish
