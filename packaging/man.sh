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

# sections: what is indented at the top is the synopsis, names in bold and what stands for others in
# italics; what comes behind it the description; a paragraph of the exit status a section of its own
sections() {
    awk '
        function marked(line,    words, n, i, out) {
            n = split(line, words, " ")
            for (i = 1; i <= n; i++) {
                if (words[i] ~ /[A-Z]/) gsub(/[A-Z]+/, "*&*", words[i])
                else if (words[i] ~ /^-/) words[i] = "`" words[i] "`"
                else words[i] = "**" words[i] "**"
                out = out (i > 1 ? " " : "") words[i]
            }
            gsub(/\[/, "\\[", out); gsub(/\]/, "\\]", out)
            return out "  "
        }
        !begun && /^    / { if (!synopsis++) print "# SYNOPSIS\n"; sub(/^ +/, ""); print marked($0); next }
        !begun && /[^ ]/ { begun = 1; if (!/^#/) print "\n# DESCRIPTION\n" }
        sub(/^\*\*Exit status:\*\* /, "") { print "# EXIT STATUS\n" }
        { print }'
}

# page NAME SECTION FILE WHAT: links lose their targets, which a manual page has not
page() {
    {
        printf '# NAME\n\n%s \\- %s\n\n' "$1" "$4"
        sed -e '1{/^# /d}' -e 's/\[\([^]]*\)\]([^)]*)/\1/g' -e 's/^## /# /; s/^### /## /' "$3" |
            sections
    } | lowdown -s -T man -M "title=$1" -M "section=$2" -M "source=mod_m2mgw $version" \
        -M "volume=mod_m2mgw manual" >"$out/$1.$2"
}
page m2mctl 1 "$top/docs/m2mctl.md" "keys, tokens, clients and explanations for mod_m2mgw"
page mod_m2mgw 5 "$top/docs/directives.md" "directives of the machine-to-machine gateway for httpd"
