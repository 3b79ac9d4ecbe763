#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# Guards against: a core file that quietly learns about the web server, about a library that
# has its home elsewhere, or about a floor above its own. It still compiles, and only much
# later does the command line tool stop linking, or a unit test need a server.

. "$(dirname "$0")/lib.sh"
core=$top/mod_m2mgw/core
list=$top/t/guards/floors.list
need_files "$list" "$core/m2.h"
need_program perl
# shellcheck disable=SC2046
at_least 20 $(ls "$core"/*.c "$core"/*.h)

floor_of() { awk -v u="$1" '$2 == u && $1 ~ /^[0-9]$/ { print $1 }' "$list"; }
unit_of() { basename "$1" | sed 's/\.[ch]$//'; }
quoted() { sed -n 's/^[ \t]*#[ \t]*include[ \t]*"\([^"]*\)".*/\1/p' "$1"; }
angled() { sed -n 's/^[ \t]*#[ \t]*include[ \t]*<\([^>]*\)>.*/\1/p' "$1"; }

for file in "$core"/*.[ch]; do
    unit=$(unit_of "$file")
    [ -n "$(floor_of "$unit")" ] || complain "core/$(basename "$file") has no floor in floors.list"
done
verdict "every core file has a floor"

for file in "$core"/*.[ch]; do
    own=$(floor_of "$(unit_of "$file")")
    for header in $(quoted "$file"); do
        other=$(floor_of "$(unit_of "$header")")
        case $header in
        */*) complain "core/$(basename "$file") includes \"$header\", which is outside core" ;;
        *) [ -n "$other" ] && [ "$other" -le "${own:-0}" ] ||
            complain "core/$(basename "$file") (floor $own) includes $header (floor ${other:-none})" ;;
        esac
    done
done
verdict "core files include their own floor and lower"

# headers of httpd and its modules, wherever they are installed
server_header='^(httpd|http_[a-z]+|ap_[a-z_]+|util_[a-z0-9_]+|scoreboard|mpm_common|mod_[a-z_]+)\.h$'
for file in "$core"/*.[ch] "$top"/mod_m2mgw/m2mctl*.[ch]; do
    [ -f "$file" ] || continue
    for header in $(angled "$file" | grep -E "$server_header"); do
        complain "$(basename "$file") includes <$header>"
    done
done
verdict "no web server in the core, nor in the command line tool"

# home HEADER FILE...: only these files include <HEADER>
home() {
    header=$1
    shift
    for file in "$core"/*.[ch] "$top"/mod_m2mgw/*.[ch] "$top"/mod_m2mgw/issuer/*.[ch]; do
        [ -f "$file" ] || continue
        case " $* " in *" $(basename "$file") "*) continue ;; esac
        angled "$file" | grep -qx "$header" &&
            complain "$(basename "$file") includes <$header>; its home is $*"
    done
    verdict "$header has its home"
}
home 'jansson.h' m2_json.c
home 'yaml.h' m2_plugin.c
home 'curl/curl.h' m2_fetch_curl.c
home 'hiredis/.*' m2_replay_redis.c
home 'pcre2.h' m2_rule_match.c

# Judgement has no clock, no file, no socket, no lock: what it needs it is handed.
outside='apr_(file|network|thread|proc|global|shm|atomic|portable|poll)[a-z_]*|time|sys/time|stdio|unistd|fcntl|pthread|sys/(socket|stat|mman|file)|poll|netdb|signal'
for file in "$core"/*.[ch]; do
    own=$(floor_of "$(unit_of "$file")")
    [ "${own:-9}" -eq 2 ] || continue
    for header in $(angled "$file" | grep -E "^($outside)\.h$"); do
        complain "core/$(basename "$file") includes <$header>"
    done
done
verdict "judgement includes no file, clock, socket or lock"

for file in "$core"/*.[ch]; do
    own=$(floor_of "$(unit_of "$file")")
    [ "${own:-9}" -le 2 ] || continue
    code_of "$file" |
        grep -nE '\b(apr_time_now|time|clock_gettime|gettimeofday|getenv|fopen|open|socket)[ ]?\(' |
        sed "s|^|core/$(basename "$file"):|" >>"$work/complaints"
done
verdict "floors 0 to 2 ask no clock, environment, file or socket"

# Static state that can change. Two exceptions: the log's callback, which the host sets once,
# and the number that tells one key set from all earlier ones, which only ever grows.
for file in "$core"/*.c; do
    own=$(floor_of "$(unit_of "$file")")
    [ "${own:-9}" -le 2 ] && [ "$(basename "$file")" != m2_log.c ] || continue
    code_of "$file" | grep -nE '^[[:space:]]*static[[:space:]][^()]*(=|;)' |
        grep -vE 'static apr_uint64_t generations;|static[[:space:]]+(inline[[:space:]]+)?const[[:space:]]|\*[[:space:]]*const[[:space:]]' |
        sed "s|^|core/$(basename "$file"):|" >>"$work/complaints"
done
verdict "floors 0 to 2 keep no state"

# the two modules and the tool meet in the core only
for file in "$top"/mod_m2mgw/issuer/*.[ch]; do
    [ -f "$file" ] || continue
    for header in $(quoted "$file" | grep -E '(^|/)mod_m2mgw'); do
        complain "issuer/$(basename "$file") includes $header"
    done
done
for file in "$top"/mod_m2mgw/mod_m2mgw*.[ch] "$top"/mod_m2mgw/m2mctl*.[ch]; do
    [ -f "$file" ] || continue
    for header in $(quoted "$file" | grep -E 'mod_m2m_issuer'); do
        complain "$(basename "$file") includes $header"
    done
done
for file in "$top"/mod_m2mgw/m2mctl*.[ch]; do
    [ -f "$file" ] || continue
    for header in $(quoted "$file" | grep -E 'mod_'); do
        complain "$(basename "$file") includes $header"
    done
done
verdict "gateway, issuer and tool meet in the core only"

finish
