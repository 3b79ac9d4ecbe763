# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# A FastCGI program in core Perl, as PHP-FPM is one: it answers every request with its
# parameters, a line each, and its input.
#
#   my $url = M2MGW::Fcgi::start();   # "fcgi://127.0.0.1:PORT"; it ends with the suite
package M2MGW::Fcgi;

use strict;
use warnings;
use IO::Socket::INET;
use POSIX ();

my @pids;

sub take { my ($c, $in, $n) = @_; while (length $$in < $n) { sysread $c, $$in, 65536, length $$in or return } return substr $$in, 0, $n, '' }
sub number { my ($text) = @_; my $n = ord substr $$text, 0, 1, ''; return $n < 128 ? $n : unpack 'N', chr($n & 127) . substr $$text, 0, 3, '' }
sub answer {
    my ($c) = @_;
    my ($in, $params, $body, $out) = ('', '', '', '');
    while (defined(my $head = take($c, \$in, 8))) {
        my (undef, $type, undef, $n, $pad) = unpack 'CCnnC', $head;
        my $data = take($c, \$in, $n + $pad) // last;
        $data = substr $data, 0, $n;
        $params .= $data if $type == 4;
        $body .= $data if $type == 5;
        last if $type == 5 && !$n;
    }
    while (length $params) {
        my ($name, $value) = (number(\$params), number(\$params));
        $out .= join '=', map { substr $params, 0, $_, '' } $name, $value;
        $out .= "\n";
    }
    $out = "Content-Type: text/plain\r\n\r\n${out}BODY[$body]\n";
    print {$c} pack('CCnnCC', 1, 6, 1, length $out, 0, 0), $out, pack('CCnnCC', 1, 6, 1, 0, 0, 0), pack('CCnnCC', 1, 3, 1, 8, 0, 0), "\0" x 8;
}

sub start {
    my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 0, Listen => 16, ReuseAddr => 1) or die "listen: $!";
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        my $parent = getppid();
        $SIG{$_} = 'DEFAULT' for qw(TERM INT HUP);
        while (getppid() == $parent) { my $c = $listen->accept or next; answer($c); close $c }
        POSIX::_exit(0);
    }
    push @pids, [ $pid, $$ ];
    return 'fcgi://127.0.0.1:' . $listen->sockport;
}

END {
    local $?;
    for (grep { $_->[1] == $$ } @pids) { kill TERM => $_->[0]; waitpid $_->[0], 0 }
}

1;
