#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# demo.sh BUILD_DIR [--once]: an API protected by two gateway plugin scripts, on loopback, with
# everything of its own in a temporary directory. Walks it step by step; every request is a
# curl line to copy. Each step says what must come back and what must reach the backend;
# anything else is a failure. With --once it ends after the walk, else it waits for Ctrl-C.

set -euo pipefail
umask 022
export no_proxy=127.0.0.1

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
build=$(cd "${1:?usage: demo.sh BUILD_DIR [--once]}" && pwd -P)
once=${2:-}
[ -z "$once" ] || [ "$once" = --once ] || { echo "demo: unknown option $once" >&2; exit 2; }

m2mctl=$build/m2mctl
httpd=$(sed -n 's/^HTTPD = //p' "$build/Makefile")
modules=$(sed -n 's/^APXS_LIBEXECDIR = //p' "$build/Makefile")
client=app_hello_caller
kid=demo-2026
audience=https://m2m.example.com
passed=0
failed=0
pids=()

if [ -t 1 ]; then
    bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' green=$'\e[32m' plain=$'\e[0m'
else
    bold='' dim='' red='' green='' plain=''
fi

say() { printf '%s\n' "$*"; }
title() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
die() { printf 'demo: %s\n' "$*" >&2; exit 1; }

# --- what is started, and its end ------------------------------------------------------

cleanup() {
    local pid
    for pid in "${pids[@]}"; do
        kill -TERM "$pid" 2>/dev/null || true
    done
    for pid in "${pids[@]}"; do
        wait "$pid" 2>/dev/null || true
    done
    rm -rf "$root"
}

root=$(mktemp -d "${TMPDIR:-/tmp}/m2mgw-demo.XXXXXX")
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
chmod 755 "$root"
mkdir "$root/conf" "$root/run" "$root/logs" "$root/keys" "$root/tokens"
chmod 700 "$root/keys" "$root/tokens"

free_port() {
    perl -MIO::Socket::INET -e '
        print IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1")->sockport'
}

# As root the children of httpd need somebody to be; else they are who we are.
run_as() {
    local name
    [ "$(id -u)" -eq 0 ] || return 0
    for name in www-data apache nobody; do
        if id "$name" >/dev/null 2>&1; then
            printf 'User %s\nGroup %s' "$name" "$(id -gn "$name")"
            return
        fi
    done
}

fill() {
    perl -pe 's/\@([A-Z_]+)\@/$ENV{"DEMO_$1"} \/\/ die "no $1"/ge' "$here/$1.in" >"$root/conf/$1"
}

# start NAME PORT: runs in the foreground of a background job, so that the pid is known
start() {
    local name=$1 port=$2 n
    "$httpd" -f "$root/conf/$name.conf" -DFOREGROUND >"$root/logs/$name-console" 2>&1 </dev/null &
    pids+=($!)
    for n in $(seq 1 100); do
        if (: >"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            return 0
        fi
        kill -0 $! 2>/dev/null || break
        sleep 0.1
    done
    cat "$root/logs/$name-console" "$root/logs/$name-error.log" >&2 2>/dev/null || true
    die "the $name did not start ($n)"
}

# --- asking and looking ----------------------------------------------------------------

reached() { wc -l <"$root/logs/backend.log" 2>/dev/null || echo 0; }

# ask TOKEN-FILE|- [MORE-QUERY]: prints the curl line, runs just that line, shows the answer
ask() {
    local line="curl -sS -i -G"
    before=$(reached)
    [ "$1" = - ] || line+=" --data-urlencode id_token@$root/tokens/$1"
    [ $# -lt 2 ] || line+=" -d $2"
    line+=" http://127.0.0.1:$port/hello"
    say "  $dim\$$plain $line"
    answer=$(eval "$line" </dev/null | tr -d '\r')
    status=$(sed -n '1s/^[^ ]* \([0-9]*\).*/\1/p' <<<"$answer")
    headers=$(sed '/^$/q' <<<"$answer")
    body=$(sed '1,/^$/d' <<<"$answer")
    grep -iE '^(HTTP/|X-Ca-Error|X-IDaaS|Content-Type|WWW-Auth)' <<<"$headers" | sed 's/^/    /'
    [ -z "$body" ] || sed 's/^/    /' <<<"$body"
}

expect() {
    local what=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
        say "  ${green}ok${plain}   $what"
    else
        failed=$((failed + 1))
        say "  ${red}WRONG${plain} $what"
    fi
}

status_is() { [ "$status" = "$1" ]; }
header_is() { grep -qixF -- "$1: $2" <<<"$headers"; }
body_has() { grep -qF -- "$1" <<<"$body"; }
body_lacks() { ! body_has "$1"; }
backend_got() {
    local n
    for n in 1 2 3 4 5; do # its log is written after the answer
        [ $(($(reached) - before)) -ge "$1" ] && break
        sleep 0.1
    done
    [ $(($(reached) - before)) -eq "$1" ]
}

refused() {
    expect "status $1" status_is "$1"
    expect "X-Ca-Error-Code $2" header_is X-Ca-Error-Code "$2"
    expect "nothing reached the backend" backend_got 0
}

# --- the walk --------------------------------------------------------------------------

# token NAME KEY CLIENT SCOPE [OPTION...]
token() {
    local name=$1 key=$2 id=$3 scope=$4
    shift 4
    "$m2mctl" sign --key "$root/keys/$key" --iss "$audience" --aud "$audience" --sub "$id" \
        --client-id "$id" --scope "$scope" --jti auto "$@" |
        tr -d '\n' >"$root/tokens/$name"
}

make_keys() {
    "$m2mctl" keygen --alg RS256 --kid "$kid" --out "$root/keys/signing.jwk" \
        --public "$root/conf/public.jwk"
    "$m2mctl" keygen --alg RS256 --kid "$kid" --out "$root/keys/stranger.jwk"
}

make_tokens() {
    token right signing.jwk $client user:read:one --exp-in 1200
    token expired signing.jwk $client user:read:one --iat-in -7200 --exp-in -3600
    token forged stranger.jwk $client user:read:one
    token other-client signing.jwk app_somebody_else user:read:one
    token other-scope signing.jwk $client user:write:one
    printf 'not.a.token' >"$root/tokens/bad"
}

export_settings() {
    export DEMO_ROOT=$root DEMO_BUILD=$build DEMO_MODULES=$modules DEMO_CLIENT=$client
    export DEMO_PORT=$port DEMO_BACKEND_PORT=$backend_port
    DEMO_USER=$(run_as)
    DEMO_JWK=$(perl -MJSON::PP -0777 -ne '
        my $jwk = decode_json($_);
        print join "\n", map { "  $_: $jwk->{$_}" } grep { defined $jwk->{$_} }
            qw(kty e use kid alg n)' "$root/conf/public.jwk")
    export DEMO_USER DEMO_JWK
}

[ -x "$m2mctl" ] && [ -x "$httpd" ] || die "$build is not built: ./run build"
cp "$here/echo.lua" "$root/conf/"
port=$(free_port)
backend_port=$(free_port)

title "1. The M2M server has a key pair; its public key is what the gateway needs"
make_keys
make_tokens
say "  $root/conf/public.jwk"

title "2. The API, and the two plugin scripts with that key and the client's id"
export_settings
for file in backend.conf gateway.conf jwt-auth.yaml access-control.yaml; do
    fill $file
    say "  $root/conf/$file"
done
"$httpd" -t -f "$root/conf/gateway.conf" 2>"$root/logs/syntax" || { cat "$root/logs/syntax" >&2; exit 1; }
start backend "$backend_port"
start gateway "$port"
say "  gateway http://127.0.0.1:$port/hello  ->  backend http://127.0.0.1:$backend_port/backend/hello"

title "3. Without a token"
ask -
refused 400 I400JR

title "4. With something that is no token"
ask bad
refused 400 I400JD

title "5. With a token signed by another key of the same name"
ask forged
refused 403 A403JT

title "6. With a token that has expired"
ask expired
refused 403 A403JE

title "7. With the token of another client: the rule's own answer"
ask other-client
refused 403 A403AC
expect "the rule's header X-IDaaS-clientId" header_is X-IDaaS-clientId app_somebody_else
expect "the rule's Content-Type" header_is Content-Type application/json
expect "the rule's body" body_has '<Reason>No permission by client id: app_somebody_else</Reason>'

title "8. With a scope that was not granted"
ask other-scope
refused 403 A403AC
expect "the rule's header X-IDaaS-scope" header_is X-IDaaS-scope user:write:one

title "9. With the right token: what the backend saw"
ask right
expect "status 200" status_is 200
expect "one request reached the backend" backend_got 1
expect "it was told the client" body_has "\"client_id\": \"$client\""
expect "it was told the scope" body_has '"scope": "user:read:one"'
expect "it was told the audience" body_has "\"aud\": \"$audience\""
expect "it was not shown the token" body_lacks id_token

title "10. The right token, and a caller who names himself somebody else"
ask right client_id=admin
expect "status 200" status_is 200
expect "the backend was told the verified client" body_has "\"client_id\": \"$client\""
expect "and nothing of the other" body_lacks admin

title "11. What the gateway wrote down"
sed 's/^/  /' "$root/logs/gateway.log"
expect "no token in its log" \
    eval '! grep -qF "$(cut -d. -f3 "$root/tokens/right")" "$root"/logs/gateway*'

say
if [ "$failed" -eq 0 ] && [ -z "$once" ]; then
    say "Still running; the curl lines above work until Ctrl-C."
    say "Configuration, keys, tokens and logs: $root"
    wait "${pids[@]}" || true
fi
say "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
