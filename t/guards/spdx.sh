#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# Guards against: a file that came in without saying under which licence, most likely
# because it came from somewhere else.

. "$(dirname "$0")/lib.sh"
find "$top/mod_m2mgw" "$top/t" "$top/bench" "$top/conf" "$top/packaging" "$top/.ci" "$top/run" \
    "$top/configure.ac" "$top/Makefile.am" -type f \
    '(' -name '*.[ch]' -o -name '*.sh' -o -name '*.p[lm]' -o -name '*.t' -o -name '*.in' \
    -o -name '*.conf' -o -name '*.load' -o -name '*.am' -o -name '*.ac' -o -name '*.lua' \
    -o -name '*.py' -o -name 'run' -o -name 'TEST' -o -name 'one' -o -name '*.list' ')' \
    ! -path '*/corpus/*' ! -path '*/vectors/*' ! -path '*/node_modules/*' 2>/dev/null >"$work/files"
[ "$(wc -l <"$work/files")" -ge 80 ] || die "found fewer than 80 files"

while read -r file; do
    head -n 6 "$file" | grep -q 'SPDX-License-Identifier: Apache-2.0' &&
        head -n 6 "$file" | grep -q 'Copyright The mod_m2mgw authors' ||
        complain "${file#"$top"/}"
done <"$work/files"
verdict "every source file names its licence"

# the second comment of a unit: what it decides, what it trusts, what it never does
find "$top/mod_m2mgw" -name '*.[ch]' >"$work/units"
while read -r file; do
    [ -f "$file" ] || continue
    sed -n '3,4p' "$file" | tr -d '\n' | grep -qE '^ \* *\*? *[A-Za-z`]|^ \* ' ||
        complain "${file#"$top"/} does not say what it is for"
done
verdict "every unit opens with its purpose"

finish
