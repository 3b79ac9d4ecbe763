#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# M2MDecisionLog under BufferedLogs On: lines wait in the child, for a second at most, none is
# torn or lost, whatever threads and children write at once, to a file or to a program; the end
# of a child writes what is left. Without it, a line is there before the connection ends.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use M2MGW::Test;
use IO::Socket::INET;
use Time::HiRes qw(sleep time);

my $LONG = 'l' x 300; # of the section's name in each line
my $CLIENTS = 8;
my $EACH = 100;

sub config {
    my ($buffered) = @_;
    return <<"CONF";
$buffered
M2MDecisionLog logs/file.log
<Location /r>
    M2MJwks file:\@ROOT\@/k.json
</Location>
<LocationMatch "^/r/(?:$LONG|long)">
    M2MOperation GET /r/long/{x} name=$LONG scope=s
    M2MOperationUnknown Deny
    M2MAudience api
</LocationMatch>
<VirtualHost 127.0.0.1:\@PORT\@>
    ServerName gw.test
    ProxyPass / http://\@BACKEND\@/
</VirtualHost>
<VirtualHost 127.0.0.1:\@PORT\@>
    ServerName piped.test
    M2MDecisionLog "|/bin/sh \@ROOT\@/keep.sh \@ROOT\@/logs/piped.log"
    ProxyPass / http://\@BACKEND\@/
</VirtualHost>
CONF
}
sub begin { return M2MGW::Test->start(files => { 'k.json' => jwk_json('oct', kid => 'K1'), 'keep.sh' => qq{trap "" TERM\nexec cat >>"\$1"\n} }, config => config(@_)) }
my $t;

sub text { my ($name) = @_; my $f = "$t->{root}/logs/$name.log"; return -e $f ? slurp($f) : '' }
sub count { my ($name) = @_; return scalar(() = text($name) =~ /\n/g) }

# One refused request; the connection has ended when this returns.
sub refuse {
    my ($host, $path, @headers) = @_;
    my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $t->port) or die "connect: $!";
    print {$s} join "\r\n", "GET $path HTTP/1.1", "Host: $host", 'Connection: close', @headers, '', '';
    local $/;
    return scalar <$s>;
}

sub wait_for {
    my ($name, $n) = @_;
    M2MGW::Test::before_long(sub { count($name) >= $n });
    return count($name);
}

# --- at once ---

for my $off ('', "BufferedLogs On\n<IfModule m2mgw_module>\nBufferedLogs Off\n</IfModule>") {
    $t = begin($off);
    my $late = 0;
    for my $n (1 .. 20) {
        refuse('gw.test', '/r/x');
        $late++ if count('file') != $n;
    }
    is($late, 0, ($off ? 'the last BufferedLogs counts' : 'unbuffered') . ': each line is there before the connection ends');
    $t->finish(more => 1);
}

# --- buffered ---

$t = begin('BufferedLogs On');
for my $name (qw(file piped)) {
    my ($waited, $soonest) = (0, 99);
    for my $n (1 .. 40) {
        my $before = time;
        refuse($name eq 'file' ? 'gw.test' : 'piped.test', '/r/x');
        $waited++ if count($name) < $n;
        is(wait_for($name, $n), $n, "$name: line $n comes without a further request") or last;
        my $took = time - $before;
        $soonest = $took if $took < $soonest;
        last if $n >= 10 && $waited >= 3;
    }
    cmp_ok($waited, '>=', 3, "$name: lines wait in the child");
    cmp_ok($soonest, '<', 1, "$name: not for longer than a second");
}

# Values of many bytes, of which each takes six in the line.
my $hostile = '/r/long/' . '%FF' x 300;
my $token = mint('oct', { iss => "\x{7f}" x 400, client_id => "\xc2\x85" x 128, aud => 'api' }, { kid => 'K1' });
sub burst {
    my ($host, $rounds) = @_;
    my @pids;
    for my $client (1 .. $CLIENTS) {
        my $pid = fork // die "fork: $!";
        if (!$pid) {
            for my $i (1 .. $rounds) {
                my $long = $i % 4 == 0;
                refuse($host, $long ? $hostile : "/r/$client/$i", $long ? "Authorization: Bearer $token" : ());
            }
            POSIX::_exit(0);
        }
        push @pids, $pid;
    }
    waitpid $_, 0 for @pids;
}
for my $name (qw(file piped)) {
    my $before = count($name);
    burst($name eq 'file' ? 'gw.test' : 'piped.test', $EACH);
    is(wait_for($name, $before + $CLIENTS * $EACH), $before + $CLIENTS * $EACH, "$name: no line is lost");
    my (%id, %path);
    my ($bad, $longest) = (0, 0);
    for my $line (split /^/, text($name)) {
        my $j = eval { JSON::PP->new->utf8->decode($line) };
        $bad++, diag($line) if !$j || $line !~ /\A\{"time": "\d{4}-[^"]{15,}Z", .*\}\n\z/;
        $longest = length $line if length $line > $longest;
        $id{ $j->{request_id} // '' }++;
        $path{ $j->{path} // '' }++;
    }
    is($bad, 0, "$name: no line is torn");
    is(scalar keys %id, $before + $CLIENTS * $EACH, "$name: each line is there once");
    is(scalar(grep { m{^/r/\d+/\d+$} } keys %path), $CLIENTS * $EACH * 3 / 4, "$name: with its own path");
    cmp_ok($longest, $name eq 'file' ? '>' : '<=', 4096, "$name: the longest line has $longest bytes");
}

# --- the end of a child ---

my $n = count('file');
rename "$t->{root}/logs/file.log", "$t->{root}/logs/file.log.1" or die $!;
refuse('gw.test', "/r/$_") for 1 .. 5;
ok($t->reload, 'a graceful restart');
M2MGW::Test::before_long(sub { (() = slurp("$t->{root}/logs/file.log.1") =~ /\n/g) >= $n + 5 });
is(scalar(() = slurp("$t->{root}/logs/file.log.1") =~ /\n/g), $n + 5, 'a graceful restart: what was decided before is in the file from before');
for (1 .. 3) {
    my ($file, $piped) = (wait_for('file', 0), wait_for('piped', 0));
    sleep 0.5;
    ($file, $piped) = (count('file'), count('piped'));
    refuse('gw.test', '/r/last') for 1 .. 3;
    refuse('piped.test', '/r/last') for 1 .. 3;
    ok($t->stop, 'the server stops');
    is(count('file'), $file + 3, 'what waited is in the file');
    is(wait_for('piped', $piped + 3), $piped + 3, 'and with the program');
    $t->launch if $_ < 3;
}
$t->expect_log(qr/AH00(?:488|167): long lost child came home/); # the program
$t->finish;
