#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# Guards against: a test that is written and never run. A static test function that no
# table names, a test file that no Makefile lists, a fuzz target without a corpus and a
# source file that is not built all look like green.

. "$(dirname "$0")/lib.sh"
make=$top/Makefile.am
need_files "$make"
need_program perl
# shellcheck disable=SC2046
at_least 10 $(ls "$top"/t/unit/test_*.c)

for file in "$top"/t/unit/test_*.c; do
    code_of "$file" >"$work/code"
    sed -n 's/^static void \([a-z0-9_]*\)(void \*\*[a-z]*).*/\1/p' "$work/code" >"$work/tests"
    [ -s "$work/tests" ] || complain "$(basename "$file") has no test"
    while read -r test; do
        [ "$(grep -cw "$test" "$work/code")" -ge 2 ] ||
            complain "$(basename "$file"): $test is in no table"
    done <"$work/tests"
done
verdict "every test function is registered"

for file in "$top"/t/unit/test_*.c "$top"/t/fuzz/fuzz_*.c; do
    name=${file#"$top"/}
    grep -qE "^[[:space:]]*${name%.c}([[:space:]]|\$)" "$make" || complain "$name is not in Makefile.am"
done
verdict "every unit test and fuzz target is in the Makefile"

for file in "$top"/t/fuzz/fuzz_*.c; do
    unit=$(basename "$file" .c)
    unit=${unit#fuzz_}
    [ -n "$(find "$top/t/fuzz/corpus/$unit" -type f 2>/dev/null | head -n 1)" ] ||
        complain "t/fuzz/corpus/$unit holds nothing"
done
verdict "every fuzz target has a corpus"

for dir in "$top"/t/fuzz/corpus/*/; do
    [ -f "$top/t/fuzz/fuzz_$(basename "$dir").c" ] || complain "$(basename "$dir") has no target"
done
verdict "every corpus has a fuzz target"

# m2_rule_lex.c is tested by test_rule_lex.c or, as a part of its unit, by test_rule.c
tested() {
    name=$1
    while :; do
        [ -f "$top/t/unit/test_$name.c" ] && return 0
        case $name in *_*) name=${name%_*} ;; *) return 1 ;; esac
    done
}
for file in $(find "$top/mod_m2mgw/core" -name "m2_*.c"); do
    unit=$(basename "$file" .c)
    tested "${unit#m2_}" || complain "$unit.c has no unit test"
done
verdict "every core file has a unit test"

for file in $(find "$top/mod_m2mgw" -name '*.[ch]') "$top"/t/guards/*.sh; do
    name=${file#"$top"/}
    [ -f "$file" ] && [ "$name" != t/guards/lib.sh ] || continue
    grep -qE "[[:space:]]$name([[:space:]]|\$)" "$make" || complain "$name is not in Makefile.am"
done
verdict "every source file and guard is in the Makefile"

for file in "$top"/t/*.t; do
    grep -qE '^use M2MGW::|^use Test::More' "$file" || complain "$(basename "$file") is no suite"
    grep -qE '\$[a-z_]+->finish|done_testing' "$file" ||
        complain "$(basename "$file") never asserts its logs"
done
verdict "every suite ends with a look at its logs"

finish
