#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# Guards against: two files that need each other. Neither can then be read, tested or moved
# without the other, and the next file joins them. Asked of what the files include and of what
# their objects call, so that a prototype in a common header hides nothing; and asked once more
# of folders.

. "$(dirname "$0")/lib.sh"
[ -n "$build" ] || die "no build directory: run by make check"
need_program nm
need_program perl

(cd "$top" && find mod_m2mgw -name '*.[ch]' | sort) >"$work/sources"
(cd "$build" && find mod_m2mgw -name '*.o' | sort) >"$work/objects"
# shellcheck disable=SC2046
at_least 200 $(cat "$work/sources")
# shellcheck disable=SC2046
at_least 150 $(cat "$work/objects")

# Every need as: unit unit why. X.c and X.h are one unit, X; X_int.h is what the files of X know
# of it beyond X.h.
(cd "$top" && xargs grep -HoE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"[^"]+' \
    <"$work/sources") >"$work/includes"
(cd "$build" && xargs nm -AP <"$work/objects") >"$work/names" || die "nm fails"
perl -e '
    my ($sources, $includes, $names) = @ARGV;
    my (%unit, %home, @calls, %seen);
    sub lines { open my $in, "<", $_[0] or die "$_[0]: $!"; my @all = <$in>; chomp @all; @all }
    sub unit { my $unit = shift; $unit =~ s/\.[cho]$//; $unit =~ s{^mod_m2mgw/(?:core/)?}{}; $unit }
    sub need { print "@_\n" if $_[0] ne $_[1] && !$seen{"@_"}++ }

    $unit{unit($_)} = 1 for lines($sources);
    for (lines($includes)) {
        my ($file, $header) = /^([^:]+):.*"(.+)/ or next;
        next if $file eq "mod_m2mgw/core/" . $header =~ s/\.h$/_int.h/r;
        need(unit($file), unit($header), "<include>") if $unit{unit($header)};
    }
    for (lines($names)) {
        my ($object, $name, $kind) = /^(\S+?):? (\S+) (\S)/ or next;
        $object =~ s{[^/]+-([^/]+)$}{$1}; # automake puts the program in front
        # the record of a module is the name by which all of it finds its configuration
        next if $name =~ /^(?:m2mgw|m2m_issuer)_module$/;
        push @calls, [unit($object), $name] if $kind eq "U";
        $home{$name} = unit($object) if $kind =~ /[A-TVWX-Z]/ && $unit{unit($object)};
    }
    need($_->[0], $home{$_->[1]}, $_->[1]) for grep { $unit{$_->[0]} && $home{$_->[1]} } @calls;
' "$work/sources" "$work/includes" "$work/names" >"$work/needs" || die "cannot read the names"
[ "$(grep -vc '<include>' "$work/needs")" -ge 500 ] || die "found fewer than 500 calls"

# circles FILE: who needs whom and for what, of all that stand in a circle
circles() {
    perl -e '
        my (%why, %number, %low, @stack, %on, $n);
        while (<>) {
            my ($from, $to, $what) = split;
            push @{$why{$from}{$to}}, $what if $from ne $to;
        }
        sub visit {
            my $unit = shift;
            $number{$unit} = $low{$unit} = ++$n;
            push @stack, $unit;
            $on{$unit} = 1;
            for my $to (sort keys %{$why{$unit}}) {
                visit($to) unless $number{$to};
                $low{$unit} = $low{$to} if $on{$to} && $low{$to} < $low{$unit};
            }
            return if $low{$unit} < $number{$unit};
            my %circle;
            do { $on{$stack[-1]} = 0; $circle{$stack[-1]} = 1 } until pop(@stack) eq $unit;
            return if keys %circle == 1;
            for my $from (sort keys %circle) {
                print "$from needs $_: @{$why{$from}{$_}}\n"
                    for grep { $circle{$_} } sort keys %{$why{$from}};
            }
        }
        for (sort keys %why) { visit($_) unless $number{$_} }' "$1" | cut -c1-200
}

circles "$work/needs" >"$work/complaints"
verdict "no file needs a file that needs it"

# what stands beside folders (a module and its header) stays a room of its own
sed -E 's|^([a-z]+(/[a-z]+)?)/[a-z0-9_]+ ([a-z]+(/[a-z]+)?)/[a-z0-9_]+ |\1 \3 |
    s|^(httpd) |httpd-top |; s| (httpd) | httpd-top |; /httpd-top/d' "$work/needs" \
    >"$work/rooms"
circles "$work/rooms" >"$work/complaints"
verdict "no folder needs a folder that needs it"

finish
