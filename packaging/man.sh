#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# man.sh OUT_DIR [TOP]: the manual pages m2mctl(1) and mod_m2mgw(5), made from docs/m2mctl.md and
# docs/directives.md, so that there is one text. Needs lowdown.

set -eu
out=$1
top=${2:-$(cd "$(dirname "$0")/.." && pwd)}
version=$(sed -n 's/^AC_INIT(\[mod_m2mgw\], \[\([^]]*\)\].*/\1/p' "$top/configure.ac")
mkdir -p "$out"

# page NAME SECTION FILE WHAT: links lose their targets, which a manual page has not
page() {
    {
        printf '# NAME\n\n%s \\- %s\n\n' "$1" "$4"
        sed -e '1{/^# /d}' -e 's/\[\([^]]*\)\]([^)]*)/\1/g' -e 's/^## /# /; s/^### /## /' "$3"
    } | lowdown -s -T man -M "title=$1" -M "section=$2" -M "source=mod_m2mgw $version" \
        -M "volume=mod_m2mgw manual" >"$out/$1.$2"
}
page m2mctl 1 "$top/docs/m2mctl.md" "keys, tokens, clients and explanations for mod_m2mgw"
page mod_m2mgw 5 "$top/docs/directives.md" "directives of the machine-to-machine gateway for httpd"
