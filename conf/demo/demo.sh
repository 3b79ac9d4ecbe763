#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# demo.sh BUILD_DIR [--once] [--keep]: an M2M server, a gateway with two plugin scripts and an API behind
# it, on loopback, with everything of their own in a temporary directory. Walks from the
# first client to the last refusal; every request is a curl line to copy. Each step says
# what must come back and what must reach the backend; anything else is a failure. With
# --once it ends after the walk, else it waits for Ctrl-C. With --keep its files stay.

set -euo pipefail
umask 022
export no_proxy=127.0.0.1

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
build=$(cd "${1:?usage: demo.sh BUILD_DIR [--once] [--keep]}" && pwd -P)
shift
once='' keep=''
for option in "$@"; do
    case $option in
    --once) once=yes ;;
    --keep) keep=yes ;;
    *) echo "demo: unknown option $option; there are --once and --keep" >&2; exit 2 ;;
    esac
done

m2mctl=$build/m2mctl
httpd=$(sed -n 's/^HTTPD = //p' "$build/Makefile")
modules=$(sed -n 's/^APXS_LIBEXECDIR = //p' "$build/Makefile")
client=app_hello_caller
kid=demo-key
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
    [ -n "$keep" ] || rm -rf "$root"
}

root=$(mktemp -d "${TMPDIR:-/tmp}/m2mgw-demo.XXXXXX")
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
chmod 755 "$root"
mkdir "$root/conf" "$root/run" "$root/logs" "$root/keys" "$root/tokens" "$root/m2m"
chmod 700 "$root/keys" "$root/tokens"

# so many, all of them different
free_ports() {
    perl -MIO::Socket::INET -e '
        print join " ", map { $_->sockport }
            map { IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1") } 1 .. shift' "$1"
}

# As root the children of httpd need somebody to be; else they are who we are. That somebody
# reads the client and grant files, which are nobody else's business.
run_as() {
    local name
    [ "$(id -u)" -eq 0 ] || return 0
    for name in www-data apache nobody; do
        if id "$name" >/dev/null 2>&1; then
            chgrp "$(id -gn "$name")" "$root/m2m"
            chmod 2750 "$root/m2m"
            printf 'User %s\nGroup %s' "$name" "$(id -gn "$name")"
            return
        fi
    done
}

fill() {
    perl -pe 's/\@([A-Z0-9_]+)\@/$ENV{"DEMO_$1"} \/\/ die "no $1"/ge' "$here/$1.in" >"$root/conf/$1"
}

# start NAME PORT: runs in the foreground of a background job, so that the pid is known
start() {
    local name=$1 port=$2 n
    "$httpd" -f "$root/conf/$name.conf" -DFOREGROUND >"$root/logs/$name-console" 2>&1 </dev/null &
    pids+=($!)
    for n in $(seq 1 600); do
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

# curl_line WORDS...: prints the line, runs just that line, shows the answer
curl_line() {
    local line="curl -sS -i $*"
    before=$(reached)
    say "  $dim\$$plain $line"
    answer=$(eval "$line" </dev/null | tr -d '\r')
    status=$(sed -n '1s/^[^ ]* \([0-9]*\).*/\1/p' <<<"$answer")
    headers=$(sed '/^$/q' <<<"$answer")
    body=$(sed '1,/^$/d' <<<"$answer")
    grep -iE '^(HTTP/|X-Ca-Error|X-IDaaS|Content-Type|WWW-Auth)' <<<"$headers" | sed 's/^/    /'
    [ -z "$body" ] || shorten <<<"$body"
}

# tokens, keys and secrets are long and say nothing to the eye
shorten() {
    sed -E 's/([A-Za-z0-9_-]{24})[A-Za-z0-9_.-]{100,}/\1.../g; s/^/    /'
}

# ask TOKEN-FILE|- [MORE-QUERY] [API]
ask() {
    local words=-G
    [ "$1" = - ] || words+=" --data-urlencode id_token@$root/tokens/$1"
    [ -z "${2:-}" ] || words+=" -d $2"
    curl_line "$words http://127.0.0.1:$port${3:-/hello}"
}

# obtain SCOPE [TOKEN-FILE]: client_secret_post at the M2M server
obtain() {
    curl_line -d grant_type=client_credentials -d client_id=$client \
        --data-urlencode "client_secret@$root/keys/secret" \
        --data-urlencode "'scope=$1'" "$issuer/token"
    [ -z "${2:-}" ] || member access_token <<<"$body" >"$root/tokens/$2"
}

# soon STATUS SCOPE: until every process of the server has seen a change of its grant file, that
# is, until ten answers in a row over three seconds are so; each process looks for itself
soon() {
    local n in_a_row=0
    for n in $(seq 1 300); do
        if [ "$(curl -s -o /dev/null -w '%{http_code}' -d grant_type=client_credentials \
            -d client_id=$client --data-urlencode "client_secret@$root/keys/secret" \
            --data-urlencode "scope=$2" "$issuer/token")" = "$1" ]; then
            in_a_row=$((in_a_row + 1))
            [ $in_a_row -lt 10 ] || return 0
        else
            in_a_row=0
        fi
        sleep 0.3
    done
}

# member NAME: of the JSON object on standard input
member() {
    perl -MJSON::PP -0777 -ne '
        BEGIN { $name = shift }
        my $json = eval { decode_json($_) } // {};
        print $json->{$name} // ""' "$1"
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
    for n in $(seq 1 50); do # its log is written after the answer
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

run_line() {
    say "  $dim\$$plain $*"
    eval "$*" 2>&1 | sed 's/^/    /' || die "that did not work"
}

# --- the walk --------------------------------------------------------------------------

# token NAME KEY CLIENT SCOPE [OPTION...]
token() {
    local name=$1 key=$2 id=$3 scope=$4
    shift 4
    "$m2mctl" sign --key "$root/keys/$key" --iss "$issuer" --aud "$audience" --sub "$id" \
        --client-id "$id" --scope "$scope" --jti auto "$@" |
        tr -d '\n' >"$root/tokens/$name"
}

# what a well behaved M2M server would not give away
make_bad_tokens() {
    "$m2mctl" keygen --alg RS256 --kid "$kid" --out "$root/keys/stranger.jwk"
    token expired signing.jwk $client user:read:one --iat-in -7200 --exp-in -3600
    token forged stranger.jwk $client user:read:one
    token other-client signing.jwk app_somebody_else user:read:one
    token other-scope signing.jwk $client user:write:one
    printf 'not.a.token' >"$root/tokens/bad"
}

# the key of a JWK set as the lines of a plugin script
pasted_key() {
    perl -MJSON::PP -0777 -ne '
        my $jwk = decode_json($_)->{keys}[0];
        print join "\n", map { "  $_: $jwk->{$_}" } grep { defined $jwk->{$_} }
            qw(kty e use kid alg n)'
}

[ -x "$m2mctl" ] && [ -x "$httpd" ] || die "$build is not built: ./run build"
read -r port backend_port m2m_port < <(free_ports 3; echo)
issuer=http://127.0.0.1:$m2m_port
export DEMO_ROOT=$root DEMO_BUILD=$build DEMO_MODULES=$modules DEMO_CLIENT=$client DEMO_KID=$kid
export DEMO_PORT=$port DEMO_BACKEND_PORT=$backend_port DEMO_M2M_PORT=$m2m_port
export DEMO_ISSUER=$issuer DEMO_AUDIENCE=$audience
DEMO_USER=$(run_as)
export DEMO_USER
(umask 027 && : >"$root/m2m/clients" && : >"$root/m2m/grants")
cp "$here/echo.lua" "$root/conf/"

say "M2M is machine-to-machine: programs call an API with a token, and no person logs in."
say "A claim is one statement in a token, such as client_id or scope, signed by who made the token."
say "A plug-in is a script of a cloud API gateway (YAML): one says which tokens count, one who may pass."

title "1. The API: a backend that says what reaches it"
fill backend.conf
start backend "$backend_port"
curl_line "http://127.0.0.1:$backend_port/backend/hello"
expect "the API is there" status_is 200

title "2. The M2M server, with a signing key"
"$m2mctl" keygen --alg RS256 --kid "$kid" --out "$root/keys/signing.jwk"
fill m2m.conf
say "  $root/conf/m2m.conf"
start m2m "$m2m_port"
curl_line "$issuer/.well-known/oauth-authorization-server"
expect "it says where its endpoints are" body_has "\"$issuer/token\""

title "3. A client of it, granted user:read:one"
run_line "$m2mctl client add $client --clients $root/m2m/clients --json >$root/keys/client.json"
member client_secret <"$root/keys/client.json" >"$root/keys/secret"
run_line "$m2mctl client grant $client '$audience|user:read:one' --grants $root/m2m/grants"
sed 's/^/    /' "$root/m2m/grants"
expect "the grant is written down" grep -q "$client user:read:one" "$root/m2m/grants"
say "  The server watches the file; a change counts within three seconds."
soon 200 "$audience|user:read:one"

title "4. The two plugin scripts: its public key pasted into one, the client's id into the other"
curl_line "$issuer/jwks"
expect "the public key endpoint answers" status_is 200
DEMO_JWK=$(pasted_key <<<"$body")
export DEMO_JWK
for file in jwt-auth.yaml access-control.yaml hello.yaml; do
    fill $file
    say "  $root/conf/$file"
done

title "5. The API at the gateway, with both plugins bound to it"
fill gateway.conf
sed -n '/^# The API/,/^<\/Location>/s/^/    /p' "$root/conf/gateway.conf"
run_line "$httpd -t -f $root/conf/gateway.conf"
start gateway "$port"

title "6. Without a token"
ask -
refused 400 I400JR

title "7. With something that is no token"
make_bad_tokens
ask bad
refused 400 I400JD

title "8. With a token signed by another key of the same name"
ask forged
refused 403 A403JT

title "9. With a token that has expired"
ask expired
refused 403 A403JE

title "10. With the token of another client: the rule's own answer"
ask other-client
refused 403 A403AC
expect "the rule's header X-IDaaS-clientId" header_is X-IDaaS-clientId app_somebody_else
expect "the rule's Content-Type" header_is Content-Type application/json
expect "the rule's body" body_has '<Reason>No permission by client id: app_somebody_else</Reason>'

title "11. With a scope that was not granted"
ask other-scope
refused 403 A403AC
expect "the rule's header X-IDaaS-scope" header_is X-IDaaS-scope user:write:one
obtain "$audience|user:write:one"
expect "the M2M server does not give it away either" status_is 400
expect "and says why" body_has invalid_scope

title "12. A token by client_secret_post"
obtain "$audience|user:read:one" right
expect "status 200" status_is 200
expect "a token came" test -s "$root/tokens/right"
expect "with the scope granted" body_has user:read:one

title "13. With that token: what the backend saw"
ask right
expect "status 200" status_is 200
expect "one request reached the backend" backend_got 1
expect "it was told the client" body_has "\"client_id\": \"$client\""
expect "it was told the scope" body_has '"scope": "user:read:one"'
expect "it was told the audience" body_has "\"aud\": \"$audience\""
expect "it was not shown the token" body_lacks id_token

title "14. The same token, and a caller who names himself somebody else"
ask right client_id=admin
expect "status 200" status_is 200
expect "the backend was told the verified client" body_has "\"client_id\": \"$client\""
expect "and nothing of the other" body_lacks admin

title "15. The same API, its keys fetched from the M2M server instead of pasted"
sed -n '/^# The same API/,/^<\/Location>/s/^/    /p' "$root/conf/gateway.conf"
ask right '' /hello-by-url
expect "status 200" status_is 200
expect "one request reached the backend" backend_got 1
ask forged '' /hello-by-url
expect "status 403" status_is 403
expect "nothing reached the backend" backend_got 0

title "16. The same API by its own OpenAPI document, in place of the access control script"
run_line "$m2mctl openapi $root/conf/hello.yaml --strict"
ask right '' /hello-by-openapi/one
expect "status 200 for what is described, with its scope" status_is 200
expect "one request reached the backend" backend_got 1
ask right '' '/hello-by-openapi/one -X PUT'
refused 403 A403AC
ask right '' /hello-by-openapi/two
refused 403 A403AC

title "17. The grant is revoked: no more tokens"
run_line "$m2mctl client revoke $client '$audience|user:read:one' --grants $root/m2m/grants"
say "  The server watches the file; a change counts within three seconds."
soon 400 "$audience|user:read:one"
obtain "$audience|user:read:one"
expect "status 400" status_is 400
expect "invalid_scope" body_has invalid_scope

title "18. What the gateway wrote down"
sed 's/^/  /' "$root/logs/gateway.log"
expect "no token in any log" \
    eval '! cut -d. -f3 "$root/tokens/right" | grep -rqFf - "$root/logs"'
expect "no secret in any log" eval '! grep -rqFf "$root/keys/secret" "$root/logs"'

title "19. Why was it refused? The same decision, step by step and without a server"
explain="$m2mctl explain --jwt-auth $root/conf/jwt-auth.yaml --access-control $root/conf/access-control.yaml"
run_line "$explain --url /hello --token-file $root/tokens/other-client || true"

title "What next"
if [ -z "$once" ]; then
    say "  Everything is still running; the curl lines above work until Ctrl-C."
    say "  The status page:        http://127.0.0.1:$port/m2m-status"
fi
if [ -z "$once" ] || [ -n "$keep" ]; then
    say "  Configuration and logs: $root"
fi
say "  Why was it refused:     m2mctl explain, as in step 19"
say "  Step by step:           docs/tutorial.md"
say "  Install it:             docs/install.md (./run package makes Debian packages)"
say
if [ "$failed" -eq 0 ] && [ -z "$once" ]; then
    wait "${pids[@]}" || true
fi
say "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
