#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# package.sh BUILD_DIR: Debian packages of this tree in BUILD_DIR/packages, looked at by lintian,
# then laid out below a scratch root and walked: httpd with the packaged modules refuses
# without a token (401), refuses by a rule (403), and lets a good token pass (200). Where that can
# be had they are installed by dpkg as well, and purged again (installed.sh).
# Ends with "N passed, N failed".

set -euo pipefail
export LC_ALL=C
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
build=$(cd "${1:?usage: package.sh BUILD_DIR}" && pwd -P)
out=$build/packages
version=$(sed -n 's/^AC_INIT(\[mod_m2mgw\], \[\([^]]*\)\].*/\1/p' "$top/configure.ac")
passed=0
failed=0

check() {
    local what=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
        printf 'ok   %s\n' "$what"
    else
        failed=$((failed + 1))
        printf 'FAIL %s\n' "$what"
    fi
}

# --- building --------------------------------------------------------------------------

make_packages() {
    local src=$out/mod-m2mgw-$version
    rm -rf "$out" && mkdir -p "$out"
    make -s -C "$build" dist || return 1
    tar -xJf "$build/mod_m2mgw-$version.tar.xz" -C "$out"
    mv "$out/mod_m2mgw-$version" "$src"
    rm -f "$build/mod_m2mgw-$version.tar.xz"
    cp -r "$src/packaging/debian" "$src/debian"
    sed -i "s/@VERSION@/$version/; s/@DATE@/$(date -R -d "@${SOURCE_DATE_EPOCH:-$(date +%s)}")/" \
        "$src/debian/changelog"
    (cd "$src" && DEB_BUILD_OPTIONS="${DEB_BUILD_OPTIONS:+$DEB_BUILD_OPTIONS }noautodbgsym" dpkg-buildpackage -us -uc -b -j"${M2MGW_JOBS:-$(nproc)}") >"$out/log" 2>&1 ||
        { tail -n 30 "$out/log" >&2; return 1; }
    rm -rf "$src"
}

# The first upload of a package to Debian closes a bug there; ours goes nowhere.
is_clean() {
    lintian --fail-on error,warning --suppress-tags initial-upload-closes-no-bugs \
        "$out"/*.changes >"$out/lintian" 2>&1 ||
        { cat "$out/lintian"; return 1; }
}

holds() {
    grep -q " \./$2\$" <<<"$(dpkg-deb -c "$out/$1"_*.deb)" || { echo "     $1 lacks $2"; return 1; }
}

# --- a scratch root --------------------------------------------------------------------

root=
pid=
cleanup() {
    [ -z "$pid" ] || { kill "$pid" && wait "$pid"; } 2>/dev/null || true
    [ -z "$root" ] || rm -rf "$root"
}
trap cleanup EXIT

unpack() {
    local deb
    root=$(mktemp -d)
    chmod 755 "$root"
    for deb in "$out"/*.deb; do dpkg-deb -x "$deb" "$root"; done
    mkdir "$root/run" "$root/www"
    echo hello >"$root/www/hello"
    m2mctl=$root/usr/bin/m2mctl
}

# The configuration of the packages as it stands; only where things lie is of the test's.
configure_httpd() {
    local mods=/usr/lib/apache2/modules mod
    "$m2mctl" keygen --alg ES256 --out "$root/key.json" --public "$root/jwks.json"
    {
        echo "ServerRoot $root/run"
        echo "ServerName localhost"
        echo "PidFile $root/run/pid"
        echo "DefaultRuntimeDir $root/run"
        echo "ErrorLog $root/run/error.log"
        echo "Listen 127.0.0.1:$port"
        [ "$(id -u)" -ne 0 ] || printf 'User www-data\nGroup www-data\n'
        for mod in mpm_event authz_core authz_host alias dir; do
            echo "LoadModule ${mod}_module $mods/mod_$mod.so"
        done
        sed "s|/usr/lib/apache2/modules/mod_m2m|$root&|" \
            "$root"/etc/apache2/mods-available/{m2mgw,m2m_issuer}.load
        sed "s|/var/lib/m2mgw|$root/run/state|; s|\${APACHE_LOG_DIR}|$root/run|" \
            "$root"/etc/apache2/mods-available/{m2mgw,m2m_issuer}.conf
        cat <<END
DocumentRoot $root/www
<Directory $root/www>
    Require all granted
</Directory>
<Location "/hello">
    M2MJwks file:$root/jwks.json
    M2MIssuer https://m2m.example.com
    M2MAudience https://api.example.com
    M2MParameter scope Token:scope
    M2MRule reads "\$scope has 'hello:read'" ifFalse=DENY
</Location>
END
    } >"$root/httpd.conf"
    install -d "$root/run/state"
    [ "$(id -u)" -ne 0 ] || chown www-data "$root/run/state"
}

token() {
    "$m2mctl" sign --key "$root/key.json" --iss https://m2m.example.com \
        --aud https://api.example.com --client-id app --scope "$1"
}

answers() {
    local wanted=$1 got
    shift
    got=$(curl -s -o "$root/body" -w '%{http_code}' "$@" "http://127.0.0.1:$port/hello") || true
    [ "$got" = "$wanted" ] || { echo "     got $got, wanted $wanted"; return 1; }
}

# what is logged is logged when the answer is out
soon() {
    local tries
    for tries in $(seq 300); do
        "$@" && return
        sleep 0.1
    done
    return 1
}

walk() {
    local tries
    port=$(perl -MIO::Socket::INET -e 'print IO::Socket::INET->new(Listen => 1,
        LocalAddr => "127.0.0.1")->sockport')
    configure_httpd
    check "httpd -t takes the packaged configuration" /usr/sbin/apache2 -t -f "$root/httpd.conf"
    /usr/sbin/apache2 -f "$root/httpd.conf" -DFOREGROUND &
    pid=$!
    for tries in $(seq 600); do
        curl -s -o /dev/null "http://127.0.0.1:$port/" && break
        sleep 0.1
    done
    check "401 without a token" answers 401
    check "403 for a token without the scope" answers 403 -H "Authorization: Bearer $(token other)"
    check "200 for a token with it" answers 200 -H "Authorization: Bearer $(token hello:read)"
    check "the error log names the reason of a refusal" soon grep -q token_missing "$root/run/error.log"
    check "the decision log does" soon grep -q '"reason": *"token_missing"' "$root/run/m2m_decisions.json"
    kill "$pid" && wait "$pid" || true
    pid=
}

# The same as dpkg does it, with the maintainer scripts; counted by the lines it prints.
install_and_purge() {
    local status=0
    "$top/packaging/installed.sh" "$out" "$port" >"$out/installed" 2>&1 || status=$?
    if [ "$status" -eq 77 ]; then
        echo "skip packages are not installed by dpkg: that needs root, mounts, an overlay and apache2"
        return
    fi
    cat "$out/installed"
    passed=$((passed + $(grep -c '^ok ' "$out/installed" || true)))
    failed=$((failed + $(grep -c '^FAIL ' "$out/installed" || true)))
    check "they were installed and purged" grep -q 'nothing of them is left' "$out/installed"
}

make_packages || exit 1
check "lintian has neither errors nor warnings" is_clean
for file in etc/logrotate.d/libapache2-mod-m2mgw usr/lib/apache2/modules/mod_m2mgw.so etc/apache2/mods-available/m2mgw.load \
    etc/apache2/mods-available/m2mgw.conf usr/share/man/man5/mod_m2mgw.5.gz; do
    check "libapache2-mod-m2mgw holds /$file" holds libapache2-mod-m2mgw "$file"
done
check "libapache2-mod-m2m-issuer holds its module" holds libapache2-mod-m2m-issuer \
    usr/lib/apache2/modules/mod_m2m_issuer.so
check "libapache2-mod-m2m-issuer holds the fail2ban filter" holds libapache2-mod-m2m-issuer \
    etc/fail2ban/filter.d/m2m-issuer.conf
check "m2mctl holds completion for bash" holds m2mctl usr/share/bash-completion/completions/m2mctl
check "m2mctl holds its manual page" holds m2mctl usr/share/man/man1/m2mctl.1.gz
unpack
walk
install_and_purge
ls -1 "$out"/*.deb
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
