#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# Guards against: a directive that exists and is not documented, or is documented and does
# not exist. Operators configure from the reference; a misspelt line there fails at their
# site, a missing one is a feature nobody finds.

. "$(dirname "$0")/lib.sh"
conf=$top/conf/m2mgw.conf
docs=$top/docs/directives.md
need_files "$conf" "$docs"

# the directives of a command table, in its order
table() {
    sed -n 's/.*AP_INIT_[A-Z0-9_]*("\(M2M[A-Za-z]*\)".*/\1/p' "$@"
}
table "$top"/mod_m2mgw/httpd/config/m2mgw_directives.c >"$work/gateway"
# M2MFileModes is known to both modules, since either may be loaded alone
table "$top"/mod_m2mgw/issuer/*.c 2>/dev/null | grep -vx M2MFileModes >"$work/issuer"
# shellcheck disable=SC2046
at_least 30 $(cat "$work/gateway")
cat "$work/gateway" "$work/issuer" >"$work/table"

# a reference line is a directive, or one that is commented out
sed -n 's/^#\{0,1\}[ \t]*\(M2M[A-Z][A-Za-z]*\)\([ \t].*\)\{0,1\}$/\1/p' "$conf" |
    awk '!seen[$0]++' >"$work/conf"
# a heading of its own: "## M2MEngine" or "### `M2MEngine`"
sed -n 's/^##*[ \t]*`\{0,1\}\(M2M[A-Z][A-Za-z]*\).*/\1/p' "$docs" >"$work/docs"

same() {
    sort "$1" >"$work/a"
    sort "$2" >"$work/b"
    comm -23 "$work/a" "$work/b" | sed "s|\$| is in $3 and not in $4|" >>"$work/complaints"
    comm -13 "$work/a" "$work/b" | sed "s|\$| is in $4 and not in $3|" >>"$work/complaints"
}
same "$work/table" "$work/conf" "the command tables" "conf/m2mgw.conf"
verdict "conf/m2mgw.conf has every directive"

same "$work/table" "$work/docs" "the command tables" "docs/directives.md"
verdict "docs/directives.md has every directive"

sort "$work/docs" | uniq -d | sed 's/$/ has two headings/' >>"$work/complaints"
sort "$work/table" | uniq -d | sed 's/$/ is in the table twice/' >>"$work/complaints"
verdict "each directive is described once"

for text in "$top"/README.md "$top"/docs/*.md; do
    [ -f "$text" ] || continue
    for word in $(grep -oE '\bM2M[A-Z][A-Za-z]+\b' "$text" | sort -u); do
        grep -qx "$word" "$work/table" || complain "$(basename "$text") speaks of $word"
    done
done
verdict "the docs name no directive that does not exist"

# links as they stand: (name.md) or (dir/name.conf#part), from where the text lies
for text in "$top"/*.md "$top"/docs/*.md "$top"/packaging/*.md; do
    [ -f "$text" ] || continue
    for link in $(grep -oE '\]\([^)#:]+' "$text" | cut -c3- | sort -u); do
        [ -e "$(dirname "$text")/$link" ] || complain "${text#"$top"/} links to $link"
    done
done
verdict "every link in the docs leads somewhere"

# the map of the house names files and functions: they are there
map=$top/docs/ARCHITECTURE.md
need_files "$map"
grep -oE '`(m2|judge_|prepare|publish|decide|hook_)[a-z0-9_]*(\.[ch])?`' "$map" | tr -d '`' | sort -u \
    >"$work/named"
# shellcheck disable=SC2046
at_least 40 $(cat "$work/named")
(cd "$top" && find mod_m2mgw -name '*.[ch]' | sed 's|.*/||' && cat $(find mod_m2mgw -name '*.[ch]') |
    grep -oE '\b[a-z0-9_]{4,}\b') | sort -u >"$work/names"
comm -23 "$work/named" "$work/names" | sed "s|^|ARCHITECTURE.md speaks of |" >>"$work/complaints"
for room in $(sed -n 's|^\([a-z]*\) .*|\1|p' "$top/t/guards/floors.list"); do
    grep -q "\`core/$room\`" "$map" || complain "ARCHITECTURE.md has no row for core/$room"
done
verdict "docs/ARCHITECTURE.md names what is there"

finish
