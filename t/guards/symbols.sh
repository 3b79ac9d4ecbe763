#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# Guards against: a module that exports more than its record. Two modules in one httpd that
# both carry the core would then call into each other's copy, whichever was loaded first.

. "$(dirname "$0")/lib.sh"
[ -n "$build" ] || die "no build directory: run by make check"
need_program nm

exported() {
    nm -D --defined-only "$1" | awk '{ print $NF }' | grep -vE '^(_init|_fini|__bss_start|_end|_edata)$'
}
one_symbol() {
    module=$build/.libs/$1.so
    need_files "$module"
    exported "$module" >"$work/symbols"
    [ "$(cat "$work/symbols")" = "$2" ] || cat "$work/symbols" >>"$work/complaints"
    verdict "$1 exports $2 and nothing else"
}
one_symbol mod_m2mgw m2mgw_module
one_symbol mod_m2m_issuer m2m_issuer_module

finish
