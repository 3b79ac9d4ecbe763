#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# Guards against: functions, and files, that grow by one line at a time until nobody can hold
# them in the head. The walls are 60 and 600 lines; the mean function stays under 20.

. "$(dirname "$0")/lib.sh"
need_program ctags
ctags --version 2>/dev/null | grep -q 'Universal Ctags' || die "ctags is not universal-ctags"

functions() {
    ctags -f - --languages=C --langmap=C:.c --kinds-C=f --fields=+ne --sort=no "$@" |
        sed -n 's/^\([^\t]*\)\t\([^\t]*\)\t.*\tline:\([0-9]*\).*\tend:\([0-9]*\).*/\1 \2 \3 \4/p' |
        awk -v top="$top/" '{ sub(top, "", $2); print $4 - $3 + 1, $1, $2 ":" $3 }'
}
# shellcheck disable=SC2046
functions $(find "$top/mod_m2mgw" -name '*.c' | sort) >"$work/functions"
[ "$(wc -l <"$work/functions")" -ge 200 ] || die "ctags found fewer than 200 functions"

awk '$1 > 60' "$work/functions" >>"$work/complaints"
verdict "no function is over 60 lines"

mean=$(awk '{ n += $1 } END { printf "%.1f", n / NR }' "$work/functions")
awk -v m="$mean" 'BEGIN { exit !(m >= 20) }' && complain "mean length is $mean"
verdict "the mean is under 20 lines ($(wc -l <"$work/functions") functions, mean $mean)"

find "$top/mod_m2mgw" -name '*.[ch]' | sort | xargs awk -v top="$top/" '
    function ends() { if (n > 600) { sub(top, "", name); print name ": " n " lines" } }
    FNR == 1 { ends(); name = FILENAME }
    { n = FNR }
    END { ends() }' >>"$work/complaints"
verdict "no file is over 600 lines"

awk 'length > 100 { print FILENAME ":" FNR ": " length " columns" }' \
    $(find "$top/mod_m2mgw" -name '*.[ch]') | sed "s|$top/||" >>"$work/complaints"
verdict "no line is over 100 columns"

finish
