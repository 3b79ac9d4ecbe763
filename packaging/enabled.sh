#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# enabled.sh DIR...: which lines below httpd's directories of configuration still load the modules
# or use what they bring. httpd does not start with them once the modules are gone. What merely is
# available (Debian's mods-available and its like) does not count. A line in <IfModule> is named
# as well, though it does no harm. Always ends with 0.

found=$(grep -RnEi --exclude-dir='*-available' \
    '^[[:space:]]*(LoadModule[[:space:]]+(m2mgw|m2m_issuer)_module|M2M[A-Z]|SetHandler[[:space:]]+"?m2m-|Require[[:space:]]+(not[[:space:]]+)?m2m-)' \
    "$@" 2>/dev/null | cut -c1-160 | head -n 50)
if [ -n "$found" ]; then
    echo "Still enabled; httpd does not start until these lines are gone:"
    echo "$found" | sed 's/^/  /'
else
    echo "Nothing of mod_m2mgw is enabled any more in $*."
fi
