#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# Guards against: a guard that no longer bites. After a rename or a harmless looking change
# to its pattern, a guard goes on saying "ok" to everything. Here each of them gets a copy of
# the tree with the very mistake in it, and must name it; and must not name it without.

. "$(dirname "$0")/lib.sh"
if [ "${M2_SLOW:-}" != 1 ]; then
    echo "1..0 # SKIP each guard runs several times: M2_SLOW=1, as ./run test says"
    exit 0
fi
need_files "$top/Makefile.am" "$top/t/guards/lib.sh"

copy=$work/tree
mkdir -p "$copy" "$work/intact"
for part in mod_m2mgw t conf docs packaging README.md CONTRIBUTING.md Makefile.am configure.ac run; do
    [ ! -e "$top/$part" ] || cp -r "$top/$part" "$copy/"
done

# objects, of the files alone whose names the guards read
[ -n "$build" ] || die "no build directory: run by make check"
mkdir -p "$copy/build"
(cd "$build" && find mod_m2mgw -name '*.o' | tar -cf - -T -) | tar -xf - -C "$copy/build" ||
    die "cannot copy the objects"

# what a guard says of the copy
run_guard() {
    (top_srcdir=$copy && builddir=$copy/build && export top_srcdir builddir &&
        sh "$copy/t/guards/$1.sh" 2>&1)
}

# bite GUARD PATTERN FILE COMMAND: with COMMAND done to a copy, GUARD complains of PATTERN.
# FILE is what the command changes or makes; it is as before afterwards.
bite() {
    [ -f "$work/intact/$1" ] || run_guard "$1" >"$work/intact/$1"
    grep -qE "$2" "$work/intact/$1" && complain "$1 complains of '$2' without reason"
    rm -rf "$work/before"
    [ ! -e "$copy/$3" ] || mv "$copy/$3" "$work/before"
    [ ! -e "$work/before" ] || cp -r "$work/before" "$copy/$3"
    mkdir -p "$copy/$(dirname "$3")"
    (cd "$copy" && FILE=$3 && eval "$4") || die "cannot make the mistake: $4"
    run_guard "$1" >"$work/said" && complain "$1 exits with 0"
    grep -qE "$2" "$work/said" || { complain "$1 said:"; cat "$work/said" >>"$work/complaints"; }
    rm -rf "${copy:?}/$3"
    [ ! -e "$work/before" ] || mv "$work/before" "$copy/$3"
    verdict "$1 finds: $2"
}

core=mod_m2mgw/core
config=mod_m2mgw/httpd/config/m2mgw_conf.c
directives=mod_m2mgw/httpd/config/m2mgw_directives.c
append() { printf '%s\n' "$1" >>"$FILE"; }

bite floors 'm2_b64.c includes <httpd.h>' $core/text/m2_b64.c "append '#include <httpd.h>'"
bite floors 'm2_b64.c is below .*m2_jws.h' $core/text/m2_b64.c "append '#include \"token/m2_jws.h\"'"
bite floors 'm2_jws.c .* includes <jansson.h>' $core/token/m2_jws.c "append '#include <jansson.h>'"
bite floors 'm2_claims.c .* includes <time.h>' $core/token/m2_claims.c "append '#include <time.h>'"
bite floors 'm2_claims.c:.*apr_time_now' $core/token/m2_claims.c \
    "append 'int x(void) { return apr_time_now(); }'"
bite floors 'm2_claims.c:.*static int seen' $core/token/m2_claims.c "append 'static int seen;'"
bite floors 'm2_new.c is in no room' $core/attic/m2_new.c "append 'int x;'"
bite floors 'm2mctl_new.c .* includes httpd/m2mgw.h' mod_m2mgw/ctl/m2mctl_new.c \
    "append '#include \"httpd/m2mgw.h\"'"
bite floors 'core/gate says 0 times' $core/gate/m2_gate.h "sed -i '/The room gate/d' \$FILE"
bite merge 'max_age has no row' $config "sed -i '/ SAID(max_age,/d' \$FILE"
bite merge 'issuers_narrow is not merged, inner' $config \
    "sed -i 's/inner->issuers_narrow/outer->issuers_narrow/' \$FILE"
bite merge '> leeway' $config \
    "sed -i '/ SAID(leeway,/{h;d};/ SAID(max_age,/{G}' \$FILE"
bite banned 'm2_b64.c:.*strncmp' $core/text/m2_b64.c "append 'int x(void) { return strncmp(a, b, 2); }'"
bite banned 'm2_jws.c:.*memcmp' $core/token/m2_jws.c "append 'int x(void) { return memcmp(a, b, 2); }'"
bite banned 'm2_b64.c:.*sprintf' $core/text/m2_b64.c "append 'int x(void) { sprintf(a, b); }'"
bite banned 'm2_b64.c:.*apr_atomic_inc32' $core/text/m2_b64.c "append 'int x(void) { return apr_atomic_inc32(a); }'"
bite length 'm2_b64.c:' $core/text/m2_b64.c \
    "{ echo 'int endless(void)'; echo '{'; yes '    x++;' | head -n 70; echo '}'; } >>\$FILE"
bite length 'm2_b64.c: [67][0-9][0-9] lines' $core/text/m2_b64.c "yes '' | head -n 600 >>\$FILE"
bite circles 'text/m2_b64 needs key/m2_jwk: <include>' $core/text/m2_b64.c \
    "append '#include \"key/m2_jwk.h\"'"
bite circles 'text/m2_b64 needs key/m2_jwk_read: m2_jwk_from_json' \
    build/$core/text/libm2_a-m2_b64.o \
    "echo 'int m2_b64_decode(void) { return m2_jwk_from_json(); }' |
        ${CC:-cc} -w -std=gnu89 -x c -c -o \$FILE -"
bite circles 'httpd/config needs httpd/status: <include>' mod_m2mgw/httpd/config/m2mgw_words.c \
    "append '#include \"httpd/status/m2mgw_status.h\"'"
bite spdx 'm2_b64.c' $core/text/m2_b64.c "sed -i 1d \$FILE"
bite tests 'test_nobody is in no table' t/unit/test_b64.c \
    "append 'static void test_nobody(void **state) { }'"
bite tests 'test_new.c is not in Makefile.am' t/unit/test_new.c \
    "append 'static void test_a(void **state) { }'"
bite tests 'corpus/b64 holds nothing' t/fuzz/corpus/b64 "rm -r \$FILE"
bite tests 'm2_new.c has no unit test' $core/token/m2_new.c "append 'int x;'"
bite tests 'm2_new.c is not in Makefile.am' $core/token/m2_new.c "append 'int x;'"
bite tests 'new.t never asserts' t/new.t "append 'use M2MGW::Test;'"
bite reference 'M2MNew is in the command tables' $directives \
    "append '    AP_INIT_TAKE1(\"M2MNew\", x, NULL, SECTION,'"
bite reference 'M2MLeeway is in the command tables and not in conf' conf/m2mgw.conf \
    "sed -i '/M2MLeeway/d' \$FILE"
bite reference 'M2MLeeway is in the command tables and not in docs' docs/directives.md \
    "sed -i '/^#.*M2MLeeway/d' \$FILE"
bite reference 'speaks of M2MNoSuch' docs/directives.md "append 'See M2MNoSuch.'"
bite reference 'ARCHITECTURE.md speaks of m2_none.c' docs/ARCHITECTURE.md "append '\`m2_none.c\`'"
bite reference 'links to docs/none.md' README.md "append '[x](docs/none.md)'"

finish
