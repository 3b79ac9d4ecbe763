#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# Guards against: a setting that is parsed and stored, but for which the merge of sections
# (or the unset value at creation) has no line. In a section below another one it silently
# becomes zero, which for a flag means Off.

. "$(dirname "$0")/lib.sh"
header=$top/mod_m2mgw/httpd/config/m2mgw_conf.h
source=$top/mod_m2mgw/httpd/config/m2mgw_conf.c
need_files "$header" "$source"
need_program perl

code_of "$header" | sed -n '/^typedef struct m2mgw_dir_t {/,/^} m2mgw_dir_t;/p' |
    sed '1d;$d' |
    sed -n 's/.*[ *]\([a-z_][a-z_0-9]*\);.*/\1/p' >"$work/members"
# shellcheck disable=SC2046
at_least 20 $(cat "$work/members")

function_body() {
    code_of "$source" | sed -n "/^void \*$1(/,/^}/p"
}

# rows of the table: SAID(member, unset) or OWN(member, unset, inner and outer merged)
code_of "$source" | sed -n '/^#define MEMBERS(/,/[^\\]$/p' | tr -d '\\\n' |
    sed 's/ \(SAID\|OWN\)(/\n\1(/g' | grep -E '^(SAID|OWN)\([a-z]' >"$work/rows"
while read -r member; do
    grep -qE "^(SAID|OWN)\($member, [^ ]" "$work/rows" || complain "$member has no row"
done <"$work/members"
verdict "every member of m2mgw_dir_t is created and merged"

# settled is worked out of the other members, and by a merge it is no more
grep '^OWN' "$work/rows" | grep -v '^OWN(settled, NULL, NULL)' | while read -r row; do
    member=$(echo "$row" | sed 's/^OWN(\([a-z_0-9]*\),.*/\1/')
    echo "$row" | grep -qE "inner->$member\b.*\bouter->$member\b" ||
        complain "$member is not merged, inner before outer"
done
verdict "what is merged in its own way takes the inner before the outer"

sed 's/^[A-Z]*(\([a-z_0-9]*\),.*/\1/' "$work/rows" >"$work/order"
cmp -s "$work/order" "$work/members" ||
    diff "$work/members" "$work/order" | grep '^[<>]' >>"$work/complaints"
verdict "rows follow the order of the struct"

# the M2M server's record: members from `path` on are worked out, not said by directives
header=$top/mod_m2mgw/issuer/m2mi.h
source=$top/mod_m2mgw/issuer/m2mi_config.c
need_files "$header" "$source"
code_of "$header" | sed -n '/^typedef struct m2mi_server_t {/,/[ *]path;/p' | sed '1d;$d' |
    sed -n 's/^ .*[ *]\([a-z_][a-z_0-9]*\);.*/\1/p' >"$work/members"
# shellcheck disable=SC2046
at_least 8 $(cat "$work/members")
function_body m2mi_server_create >"$work/create"
function_body m2mi_server_merge >"$work/merge"
need_files "$work/create" "$work/merge"
while read -r member; do
    grep -qE "\bconf->$member = " "$work/create" || complain "$member is not created"
    grep -qE "\bconf->$member = .*\badd->$member\b.*\bbase->$member\b" "$work/merge" ||
        complain "$member is not merged"
done <"$work/members"
verdict "every member of m2mi_server_t is created and merged"

finish
