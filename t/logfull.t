#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# A decision log on a full disk: requests are decided as before, and the error log says that
# records are lost, once in a while and not for each. Where a part of a record was written, the next
# one has a line of its own, in whatever child it is written, and after a restart.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use M2MGW::Test;

plan skip_all => 'there is no /dev/full' if !-c '/dev/full' || !-w _;

for my $buffered (qw(Off On)) {
    my $t = M2MGW::Test->start(files => { 'k.json' => jwk_json('oct', kid => 'K1') }, config => <<"CONF");
BufferedLogs $buffered
M2MDecisionLog /dev/full
<VirtualHost 127.0.0.1:\@PORT\@>
    ServerName gw.test
    <Location /r>
        M2MJwks file:\@ROOT\@/k.json
    </Location>
</VirtualHost>
CONF
    my $lines = sub { scalar(() = $t->error_log =~ /M2-405: M2MDecisionLog: records are lost: cannot write to \/dev\/full/g) };
    denies($t->get('/r/x', host => 'gw.test'), 401, 'token_missing', "BufferedLogs $buffered: refused as ever") for 1 .. 20;
    M2MGW::Test::before_long(sub { $lines->() });
    cmp_ok($lines->(), '>=', 1, '... the error log says that records are lost');
    cmp_ok($lines->(), '<', 20, '... and not for each of them');
    $t->expect_log(qr/M2-405/);
    $t->finish(more => 1);
}

# --- a part of a record ---

my ($prlimit) = grep { -x } '/usr/bin/prlimit', '/bin/prlimit';
SKIP: {
    skip 'there is no prlimit', 1 if !$prlimit;
    my $LIMIT = 4 << 20; # bytes of each file; the error log stays far below
    local $ENV{M2MGW_RUNNER} = "$prlimit --fsize=$LIMIT " . ($ENV{M2MGW_RUNNER} // '');
    for my $buffered (qw(Off On)) {
        my $t = M2MGW::Test->prepare(files => { 'k.json' => jwk_json('oct', kid => 'K1') }, loglevel => 'info');
        my $log = "$t->{root}/logs/decisions";
        my $filled = qq({"filler": "@{[ 'x' x 1000 ]}"}\n);
        my $room = 100; # less than a record
        my $fill = sub { my $n = $LIMIT - $_[0] - $room; spew($log, "$_[1]$filled" . ' ' x ($n - length("$_[1]$filled") - 1) . "\n") };
        $fill->(0, '');
        $t->begin(<<"CONF");
BufferedLogs $buffered
M2MDecisionLog \@ROOT\@/logs/decisions
<VirtualHost 127.0.0.1:\@PORT\@>
    ServerName gw.test
    <Location /r>
        M2MJwks file:\@ROOT\@/k.json
    </Location>
</VirtualHost>
CONF
        $t->expect_log(qr/M2-405|M2-101/);
        my $ask = sub { denies($t->get('/r/x', host => 'gw.test'), 401, 'token_missing', "BufferedLogs $buffered: $_[0]") };
        $ask->('there is room for a part of a record');
        ok(M2MGW::Test::before_long(sub { -s $log == $LIMIT }), '... which is written') or diag(-s $log);
        my $half = substr slurp($log), -$room;
        like($half, qr/\A\{.*[^\n]\z/s, '... without its end');
        truncate $log, $LIMIT - $room / 2 or die "$log: $!"; # and of the next one
        $ask->('there is room for a part of another one');
        ok(M2MGW::Test::before_long(sub { -s $log == $LIMIT }), '... which is written') or diag(-s $log);
        $half = substr slurp($log), -$room;
        like($half, qr/\A\{.*\n\{.*[^\n]\z/s, '... on a line of its own, and without its end');
        open my $file, '+<', $log or die "$log: $!"; # somebody makes room
        truncate $file, 0;
        print {$file} $half;
        close $file;
        $ask->('there is room again') for 1 .. 20; # more children than one
        my $lines = sub { split /^/, slurp($log) };
        ok(M2MGW::Test::before_long(sub { 22 == (() = $lines->()) }), '... and all of them are written') or diag(slurp($log));
        my ($first, $second, @rest) = $lines->();
        is("$first$second", "$half\n", '... the parts are lines of their own');
        is(scalar(grep { /\A\{"time":.*\}\n\z/ } @rest), 20, '... and each record is') or diag(slurp($log));
        $t->stop;
        spew($log, '{"torn');
        $t->launch;
        $ask->('a log that ends within a record when the server starts');
        ok(M2MGW::Test::before_long(sub { slurp($log) =~ /\A\{"torn\n\{"time":.*\}\n\z/ }), '... goes on with a line') or diag(slurp($log));
        $t->finish(more => 1);
    }
}
done_testing();
