#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# installed.sh DIR_OF_DEBS PORT: installs the packages as dpkg does, in a scratch root, and walks
# what an operator walks: ten lines of configuration, a graceful restart, refusals whose reason is
# in both logs, on the status page and in what m2mctl says, then purge, and a server that starts.
#
# The scratch root is this machine's own root under an overlay in memory; nothing that is written
# there stays, and nobody else sees it. Needs root and Debian's package apache2. Exit status 77
# where that cannot be had.

set -uo pipefail
export LC_ALL=C

if [ "${1:-}" != --inside ]; then
    [ "$(id -u)" -eq 0 ] && command -v unshare dpkg a2enmod >/dev/null || exit 77
    # a chroot and a container without CAP_SYS_ADMIN have no mounts of their own
    unshare --mount --propagation private true 2>/dev/null || exit 77
    exec unshare --mount --propagation private "$0" --inside "$@"
fi

debs=$(cd "$2" && pwd -P)
port=$3
root=/mnt
mount -t tmpfs none /mnt && mkdir /mnt/upper /mnt/work /mnt/root || exit 77
mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root 2>/dev/null ||
    exit 77
root=/mnt/root
mount --bind /proc $root/proc && mount --bind /dev $root/dev && mount -t tmpfs none $root/run || exit 77
mkdir -p $root/run/lock $root/srv/debs && cp "$debs"/*.deb $root/srv/debs/

within() { chroot $root "$@"; }
said=$root/srv/said

check() {
    local what=$1
    shift
    if "$@" >"$said" 2>&1; then
        printf 'ok   installed: %s\n' "$what"
    else
        printf 'FAIL installed: %s\n' "$what"
        sed 's/^/     /' "$said"
    fi
}

# answers STATUS [CURL-OPTION...]
answers() {
    local wanted=$1 got
    shift
    got=$(curl -s -D $root/srv/head -o $root/srv/body -w '%{http_code}' "$@" \
        "http://127.0.0.1:$port/orders/index.html")
    [ "$got" = "$wanted" ] || { echo "got $got, wanted $wanted"; return 1; }
}

token() {
    within m2mctl sign --key /srv/key.json --iss https://m2m.example.com \
        --aud https://api.example.com --client-id app --scope "$1"
}

start() {
    within apache2ctl start
    local n
    for n in $(seq 600); do
        curl -s -o /dev/null "http://127.0.0.1:$port/" && return 0
        sleep 0.1
    done
    return 1
}

stop() {
    local pid n
    pid=$(cat $root/run/apache2/apache2.pid) || return 0
    within apache2ctl stop
    for n in $(seq 600); do
        kill -0 "$pid" 2>/dev/null || return 0
        sleep 0.1
    done
    kill -KILL "$pid"
}
trap 'stop >/dev/null 2>&1' EXIT

restarted() { # until children of the new generation answer, the old ones do
    local n row=0
    within apache2ctl graceful || return 1
    for n in $(seq 600); do
        if answers 401 >/dev/null; then row=$((row + 1)); else row=0; fi
        [ $row -lt 20 ] || return 0
        sleep 0.05
    done
    return 1
}

soon() { # what is logged is logged when the answer is out
    local n
    for n in $(seq 300); do
        "$@" && return 0
        sleep 0.1
    done
    return 1
}

id_of_answer() { sed -n 's/^X-Ca-Request-Id: *//Ip' $root/srv/head | tr -d '\r'; }
page_says() { curl -s "http://127.0.0.1:$port/m2m-status?id=$(id_of_answer)" | grep -q "$1"; }
explain_says() {
    within m2mctl explain --jwks /srv/jwks.json --issuer https://m2m.example.com \
        --audience https://api.example.com --url /orders/ --token-file /srv/late >$root/srv/told
    [ $? -eq 1 ] && grep "deny: $1" $root/srv/told
}

# --- as Debian has it, on a port of loopback --------------------------------------------

echo "Listen 127.0.0.1:$port" >$root/etc/apache2/ports.conf
sed -i "s/<VirtualHost .*>/<VirtualHost *:$port>/" $root/etc/apache2/sites-available/000-default.conf
echo 'ServerName localhost' >$root/etc/apache2/conf-enabled/servername.conf
printf '#!/bin/sh\nexit 101\n' >$root/usr/sbin/policy-rc.d
chmod 755 $root/usr/sbin/policy-rc.d
rm -rf $root/var/log/apache2 && install -d -m 750 -g adm $root/var/log/apache2
install -d $root/var/www/html/orders && echo orders >$root/var/www/html/orders/index.html

check "dpkg installs them" within sh -c 'dpkg -i /srv/debs/*.deb'
check "the modules are enabled" within a2query -m m2mgw
check "the server starts" start
check "the API is open, as nothing protects it yet" answers 200

within m2mctl keygen --alg ES256 --out /srv/key.json --public /srv/jwks.json >/dev/null
cat >$root/etc/apache2/conf-available/orders.conf <<'END_OF_CONF'
<Location "/orders">
    M2MJwks      file:/srv/jwks.json
    M2MIssuer    https://m2m.example.com
    M2MAudience  https://api.example.com
    M2MParameter scope Token:scope
    M2MRule      read "$scope has 'orders:read'" ifFalse=DENY
</Location>
END_OF_CONF
check "ten lines" within a2enconf orders
check "apache2ctl configtest" within apache2ctl configtest
check "graceful, then 401 without a token" restarted
check "the error log has the reason" soon grep -q token_missing $root/var/log/apache2/error.log
check "the decision log has the reason" soon grep -q '"reason": *"token_missing"' \
    $root/var/log/apache2/m2m_decisions.json
check "the status page has the reason" soon page_says token_missing
check "403 without the scope" answers 403 -H "Authorization: Bearer $(token other)"
check "the status page has the rule" soon page_says rule_denied
check "200 with it" answers 200 -H "Authorization: Bearer $(token orders:read)"
within m2mctl sign --key /srv/key.json --iss https://m2m.example.com --aud https://api.example.com \
    --exp-in -3600 --iat-in -7200 >$root/srv/late
check "m2mctl explain says why" explain_says expired
[ ! -x $root/usr/sbin/logrotate ] ||
    check "logrotate takes its file" within logrotate -d /etc/logrotate.d/libapache2-mod-m2mgw

# --- purged ----------------------------------------------------------------------------

check "ten lines taken back" within a2disconf orders
check "purge" within dpkg -P libapache2-mod-m2mgw libapache2-mod-m2m-issuer m2mctl
check "the configuration is right without them" within apache2ctl configtest
stop
check "the server starts without them" start
check "and serves" answers 200
check "nothing of them is left" within sh -c '! find /etc /var /usr/lib/apache2 /usr/bin -name "*m2m*" \
    ! -path "/var/lib/dpkg/*" ! -path "/var/log/apache2/*" ! -path "/var/cache/*" | grep .'
