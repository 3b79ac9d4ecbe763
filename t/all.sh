# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# Sourced by ./run: everything `./run test` does, in order. Each stage writes a log below
# build/log and is counted from what it printed; a stage that printed no count is a failure,
# so that nothing passes by not having run.
# shellcheck shell=bash

passed=0
failed=0
export M2MGW_KEYS=$build/keys # of all suites: keys of RSA take time to make

# stage NAME COUNTER COMMAND...: run it, count it, show the end of its log when it failed
stage() {
    local name=$1 counter=$2 log=$build/log/$1 status=0 p=0 f=0 began=$SECONDS
    shift 2
    "$@" >"$log" 2>&1 </dev/null || status=$?
    read -r p f < <("$counter" "$log" "$status")
    passed=$((passed + p))
    failed=$((failed + f))
    printf '%-28s %5d passed %4d failed   %ds\n' "$name" "$p" "$f" $((SECONDS - began))
    [ "$f" -eq 0 ] || show_failure "$log"
}

show_failure() {
    { grep -aE '^(not ok|FAIL|ERROR|XPASS)|Failed test|error:|Sanitizer|Bail out|^# \[' "$1" |
        head -n 40 | sed 's/^/    | /'; } || true
    tail -n 20 "$1" | sed 's/^/    : /'
    echo "    all of it in $1"
}

# --- counters: LOG STATUS -> "passed failed" --------------------------------------------

count_exit() {
    if [ "$2" -eq 0 ]; then echo "1 0"; else echo "0 1"; fi
}

# The summary automake prints counts single TAP results.
count_automake() {
    awk -v status="$2" '
        /^# PASS: / { p += $3 }
        /^# (FAIL|ERROR|XPASS): / { f += $3 }
        END { if (!f && (status || !p)) f = 1; print p + 0, f + 0 }' "$1"
}

# the last line of t/TEST, and of the demo
count_line() {
    awk -v status="$2" '
        /^[0-9]+ passed, [0-9]+ failed$/ { p = $1; f = $3 }
        END { if (!f && (status || !p)) f = 1; print p + 0, f + 0 }' "$1"
}

# --- stages ----------------------------------------------------------------------------

check_in() {
    M2_SLOW=${slow-1} make -s -j"$jobs" -C "$@" check
}

# test programs are built too, but not run
build_everything() {
    build_in "$@" && make -s -j"$jobs" -C "$1" check TESTS=
}

# An httpd that was not built with ASan gets the runtime first of all libraries. It never
# frees what lives as long as the process, so leaks are looked for in the unit tests only.
suites_asan() {
    M2MGW_PRELOAD=$(gcc -print-file-name=libasan.so) \
        ASAN_OPTIONS=detect_leaks=0:abort_on_error=0:detect_odr_violation=0 \
        UBSAN_OPTIONS=print_stacktrace=1 \
        "$top/t/TEST" "$build/asan" "$@"
}

# make dist holds all that a build and its tests need
dist_builds() {
    make -s -j"$jobs" -C "$build/gcc" distcheck TESTS= DISTCHECK_CONFIGURE_FLAGS=CFLAGS=-O0
}

# the strangers of t/interop.t, as the lock file pins them
interop_packages() {
    mkdir -p "$build/interop" && cp "$top"/t/interop/package*.json "$build/interop" &&
        (cd "$build/interop" && npm ci --cache "$build/npm" --no-audit --no-fund)
}

closing_line() {
    printf '%-28s %29ds\n' 'all stages' "$SECONDS"
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ]
}

test_all() {
    exec </dev/null
    mkdir -p "$build/log"
    stage interop-packages count_exit interop_packages
    export M2MGW_INTEROP=$build/interop
    stage gcc count_exit build_everything "$build/gcc" --enable-werror
    stage check count_automake check_in "$build/gcc"
    stage suites count_line "$top/t/TEST" "$build/gcc" event prefork
    stage asan count_exit build_everything "$build/asan" --enable-werror --enable-sanitizers
    stage check-asan count_automake check_in "$build/asan" GUARDS= # they read text alone
    stage suites-asan count_line suites_asan event
    # its warnings are the same without optimisation, and nothing of it is run
    stage clang count_exit build_everything "$build/clang" CC=clang CFLAGS=-O0 --enable-werror
    stage dist count_exit dist_builds
    stage package count_line "$top/packaging/package.sh" "$build/gcc"
    stage demo count_line "$top/conf/demo/demo.sh" "$build/gcc" --once
    closing_line
}

# What a change is tried with before its last run: one compiler, one MPM, no sanitizers.
test_quick() {
    local slow='' # what only waits is left to the whole
    exec </dev/null
    mkdir -p "$build/log"
    stage gcc count_exit build_everything "$build/gcc" --enable-werror
    stage check count_automake check_in "$build/gcc"
    stage suites count_line "$top/t/TEST" "$build/gcc" event -q
    closing_line
}
