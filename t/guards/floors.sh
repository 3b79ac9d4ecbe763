#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# Guards against: a core file that quietly learns about the web server, about a library that
# has its home elsewhere, or about a floor above its own. It still compiles, and only much
# later does the command line tool stop linking, or a unit test need a server.

. "$(dirname "$0")/lib.sh"
list=$top/t/guards/floors.list
need_files "$list" "$top/mod_m2mgw/core/base/m2.h"
need_program perl
sources=$(cd "$top" && find mod_m2mgw -name '*.[ch]' | sort)
# shellcheck disable=SC2086
at_least 60 $sources

# every include as: file floor kind(< or ") header its-floor pure|live; no floor is "-"
# shellcheck disable=SC2086
(cd "$top" && awk '
    function room(path) { sub(/^mod_m2mgw\/core\//, "", path); sub(/\/[^\/]*$/, "", path); return path }
    function floor(path) { return (room(path) in floors) ? floors[room(path)] : "-" }
    FILENAME == ARGV[1] { if ($0 !~ /^#/) { floors[$1] = ++rooms; kinds[$1] = $2 } next }
    FNR == 1 {
        core = FILENAME ~ /core\//
        own = core ? floor(FILENAME) : 99
        how = core ? kinds[room(FILENAME)] : "host"
        print FILENAME, own, "-", "-", "-", how
    }
    /^[ \t]*#[ \t]*include[ \t]*[<"]/ {
        match($0, /[<"][^>"]*/)
        header = substr($0, RSTART + 1, RLENGTH - 1)
        kind = substr($0, RSTART, 1)
        print FILENAME, own, kind, header, kind == "\"" ? floor(header) : "-", how
    }' t/guards/floors.list $sources) >"$work/includes"
need_files "$work/includes"

# flag AWK-CONDITION WHY: complains of every include for which the condition holds; in it,
# f is the file, o its floor, k the kind, h the header, t the floor of the header, p how
# the room of the file is ("pure", "live" or "host")
flag() {
    awk -v why="$2" '{ f = $1; o = $2; k = $3; h = $4; t = $5; p = $6; b = f; sub(/.*\//, "", b) }
        k != "-" && ('"$1"') { print b why (k == "<" ? " <" h ">" : " " h) }' \
        "$work/includes" >>"$work/complaints"
}

awk '$3 == "-" && $2 == "-" { print $1 " is in no room of floors.list" }' "$work/includes" \
    >>"$work/complaints"
verdict "every core file is in a room"

flag 'f ~ /core\// && k == "\"" && (t == "-" || t > o)' ' is below what it includes:'
verdict "core files include their own room and lower"

# a room says at its door what it decides and what it never knows
for room in $(sed -n 's|^\([a-z]*\) .*|core/\1|p' "$list") httpd httpd/config httpd/runtime \
    httpd/request httpd/status issuer ctl host; do
    said=$(grep -lE "^ \* The room ${room##*/} " "$top/mod_m2mgw/$room"/*.h | wc -l)
    [ "$said" -eq 1 ] || complain "$room says $said times what it decides"
done
verdict "every room has its caption"

# headers of httpd and its modules, wherever they are installed
flag 'f !~ /mod_m2mgw\/(httpd|issuer|host)\// && k == "<" &&
    h ~ /^(httpd|http_[a-z]+|ap_[a-z_]+|util_[a-z0-9_]+|scoreboard|mpm_common|mod_[a-z_]+)\.h$/' \
    ' includes'
verdict "no web server in the core, nor in the command line tool"

home() {
    flag 'k == "<" && h ~ /^'"$1"'$/ && b != "'"$2"'" && b != "'"${3:-}"'"' " is not $2, yet includes"
    verdict "$2${3:+ and $3} is the only home of $1"
}
home 'jansson\.h' m2_json_read.c
home 'yaml\.h' m2_yaml.c
home 'curl\/.*' m2_fetch_curl.c m2mctl_token.c
home 'hiredis\/.*' m2_redis_reply.c
home 'pcre2\.h' m2_rule_match.c

# Judgement has no clock, no file, no socket, no lock: what it needs it is handed. m2_file.c is
# the one reader of files, for the host and the rooms that live.
flag 'p == "pure" && f !~ /\/(base|text|key)\// && k == "<" && h ~ /^(apr_(file|network|thread|proc|global|shm|atomic|portable|poll)[a-z_]*|time|sys\/time|stdio|unistd|fcntl|pthread|sys\/(socket|stat|mman|file)|poll|netdb|signal)\.h$/' \
    ' is judgement, and includes'
verdict "judgement includes no file, clock, socket or lock"

judging=$(awk '$3 == "-" && $6 == "pure" && $1 !~ /m2_file\.c$/ { print $1 }' "$work/includes")
# shellcheck disable=SC2086
at_least 20 $judging
# shellcheck disable=SC2046
code_tree $(for file in $judging; do echo "$top/$file"; done)
cd "$work/code" || exit 2
# shellcheck disable=SC2086
grep -nE '\b(apr_time_now|time|clock_gettime|gettimeofday|getenv|fopen|open|socket)[ ]?\(' \
    $judging >>"$work/complaints"
verdict "pure rooms ask no clock, environment, file or socket"

# Static state that can change. Exceptions: the log's callback and how the process ends, which
# the host sets once; which stripe of a key ring a thread counts in; and the number that tells
# one key set from all earlier ones, which only ever grows.
# shellcheck disable=SC2086
grep -nE '^[[:space:]]*static[[:space:]][^()]*(=|;)' $judging | grep -vE \
    'm2_(log|hold|keyring)\.c:|static apr_uint64_t generations;|static[[:space:]]+(inline[[:space:]]+)?const[[:space:]]|\*[[:space:]]*const[[:space:]]' \
    >>"$work/complaints"
verdict "pure rooms keep no state"

flag 'f ~ /\/issuer\// && h ~ /^(httpd|ctl)\//' ' is the issuer, and includes'
flag 'f ~ /\/httpd\// && h ~ /^(issuer|ctl)\//' ' is the gateway, and includes'
flag 'f ~ /\/ctl\// && h ~ /^(issuer|httpd|host)\//' ' is the tool, and includes'
flag 'f ~ /\/host\// && h ~ /^(issuer|httpd|ctl)\//' ' is below both modules, and includes'
flag 'f ~ /\/core\// && h ~ /^host\//' ' is the core, and includes'
verdict "gateway, issuer and tool meet in the core only, the modules in host as well"

finish
