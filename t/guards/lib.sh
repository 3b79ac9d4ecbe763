# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# What the guards share: where the tree is, TAP, and dying. A guard collects the lines it
# complains about in a file per case; an empty file is a pass. It dies when it cannot find
# what it reads, for a guard that reads nothing agrees with everything.

set -u
LC_ALL=C
export LC_ALL

top=${top_srcdir:-$(cd "$(dirname "$0")/../.." && pwd)}
build=${builddir:-}
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
cases=0
wrong=0

die() {
    echo "Bail out! $(basename "$0"): $*"
    exit 2
}

need_files() {
    for needed in "$@"; do
        [ -s "$needed" ] || die "$needed is not there, or empty"
    done
}

need_program() {
    command -v "$1" >/dev/null 2>&1 || die "$1 is not installed"
}

# verdict NAME: the case passes when nothing was written to $work/complaints
verdict() {
    cases=$((cases + 1))
    if [ -s "$work/complaints" ]; then
        wrong=$((wrong + 1))
        echo "not ok $cases - $1"
        sed 's/^/# /' "$work/complaints"
    else
        echo "ok $cases - $1"
    fi
    : >"$work/complaints"
}

complain() {
    echo "$*" >>"$work/complaints"
}

# at_least N WORDS...: dies when there are fewer words than a tree of this kind has
at_least() {
    least=$1
    shift
    [ $# -ge "$least" ] || die "found $# of what should be at least $least"
}

finish() {
    [ "$cases" -gt 0 ] || die "no case"
    echo "1..$cases"
    [ "$wrong" -eq 0 ]
    exit
}

# C source without comments and without what stands inside quotes; lines keep their number
strip_c='
    s{(/\*.*?\*/)|(//[^\n]*)|("(?:[^"\\\n]|\\.)*")|(\x27(?:[^\x27\\\n]|\\.)*\x27)}
     {defined $1 ? $1 =~ s/[^\n]//gr : defined $2 ? "" : defined $3 ? "\"\"" : "0"}gse;'

code_of() {
    perl -0777 -pe "$strip_c" "$1"
}

# code_tree FILE...: the same of many files, below $work/code, named as in the tree
code_tree() {
    perl -MFile::Path=make_path -e '
        my ($strip, $top, $to, @files) = @ARGV;
        my $sub = eval "sub { $strip }" or die $@;
        for my $file (@files) {
            local $/;
            open my $in, "<", $file or die "$file: $!";
            local $_ = <$in>;
            $sub->();
            my $out = $to . substr $file, length $top;
            make_path($out =~ s{/[^/]*\z}{}r);
            open my $fh, ">", $out or die "$out: $!";
            print {$fh} $_;
        }' "$strip_c" "$top" "$work/code" "$@" || die "cannot read the sources"
}

: >"$work/complaints"
