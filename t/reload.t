#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# Graceful and full restarts: the new configuration is in force, the old one is gone, requests
# that run are finished, and nothing opens in between.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Time::HiRes qw(sleep time);
use M2MGW::Test;

sub conf { my ($key, $more) = @_; "M2MJwks file:\@ROOT\@/$key.json\nProxyPass / http://\@BACKEND\@/\n<Location /p>\n" . ($more // '') . "</Location>\n" }
my $t = M2MGW::Test->start(files => { 'a.json' => jwk_json('oct', kid => 'A'), 'b.json' => jwk_json('oct#2', kid => 'B') }, config => conf('a'));
my ($a, $b) = (mint('oct', { role => 'ok' }), mint('oct#2', { role => 'ok' }));

sub now_is {
    my ($what, $good, $bad) = @_;
    my %count;
    $count{ $t->get('/p', token => $good)->status }++ for 1 .. 12;
    $count{ $t->get('/p', token => $bad)->status }++ for 1 .. 12;
    my $leak = 0;
    $leak += $t->get('/p')->reached for 1 .. 6;
    is_deeply([ \%count, $leak ], [ { 200 => 12, 401 => 12 }, 0 ], $what);
}
# requests the whole time, in a child that reports what it saw
sub meanwhile {
    my ($during, @headers) = @_;
    my $over = "$t->{root}/over";
    unlink $over;
    pipe my $in, my $out;
    my $pid = fork // die;
    if (!$pid) {
        my ($n, %status) = (0);
        for (my $end = time + 120; time < $end && (!-e $over || $n < 20);) {
            my $c = eval { M2MGW::Client->new(port => $t->port) } or next;
            $c->send_bytes("GET /p HTTP/1.1\r\nHost: gw.test\r\nConnection: close\r\n" . join('', @headers) . "\r\n");
            my $r = $c->response or next;
            $status{ $r->status }++;
            $n++;
            $c->close;
        }
        syswrite $out, join ' ', map { "$_=$status{$_}" } sort keys %status;
        POSIX::_exit(0);
    }
    close $out;
    sleep 0.3;
    $during->();
    spew($over, '');
    waitpid $pid, 0;
    local $/;
    return scalar <$in>;
}

now_is('before', $a, $b);
for my $signal (qw(USR1 HUP)) {
    $t->write_config(conf('b'));
    ok($t->reload($signal), "$signal: another key");
    now_is("$signal: the new key, not the old one", $b, $a);
    $t->write_config(conf('a', "M2MParameter r Token:role\nM2MRule x \"\$r = 'never'\" ifFalse=DENY\n"));
    ok($t->reload($signal), "$signal: a rule");
    is($t->get('/p', token => $a)->status, 403, "$signal: it is in force");
    $t->write_config(conf('a'));
    ok($t->reload($signal), "$signal: without it");
    now_is("$signal: back again", $a, $b);
}
my $seen = meanwhile(sub { for (1 .. 3) { $t->reload('USR1', busy => 1); sleep 0.2 } });
like($seen, qr/\A401=\d{2,}\z/, "three graceful restarts under load: every answer is 401 ($seen)");
$seen = meanwhile(sub { for (1 .. 3) { $t->reload('USR1', busy => 1); sleep 0.2 } }, "Authorization: Bearer $a\r\n");
like($seen, qr/\A200=\d{2,}\z/, "and with a token every answer is 200 ($seen)");
$t->backend_new;

# a configuration that is wrong does not replace the one that runs
$t->write_config("M2MJwks file:\@ROOT\@/gone.json\n");
my $status = system(join(' ', map { "'$_'" } $t->command('-t')) . " >>$t->{root}/logs/console 2>&1") >> 8;
is($status, 1, 'httpd -t refuses a bad configuration');
now_is('and what runs goes on', $a, $b);
$t->write_config(conf('a'));

# children that die
for my $signal (qw(KILL SEGV)) {
    my @kids = grep { (eval { slurp("/proc/$_/stat") } // '') =~ /\A\d+ \(.*\) \S (\d+)/s && $1 == $t->{pid} }
        map { m{/proc/(\d+)} } glob '/proc/[0-9]*';
    my ($kid) = grep { (readlink("/proc/$_/exe") // '') =~ /apache|httpd/ } @kids;
    ok($kid && kill($signal, $kid), "SIG$signal for a child");
    sleep 0.5;
    my %seen;
    $seen{ eval { $t->get('/p', token => $a)->status } // 'none' }++ for 1 .. 10;
    cmp_ok($seen{200} // 0, '>=', 8, "SIG$signal: the others go on");
    my $leak = 0;
    $leak += eval { $t->get('/p')->reached } // 0 for 1 .. 6;
    is($leak, 0, "SIG$signal: and nothing opens");
}
now_is('after that', $a, $b);

ok($t->stop, 'a full stop');
$t->launch;
now_is('and a start', $a, $b);
$t->expect_log(qr/exit signal (?:Killed|Segmentation)/, qr/AH00051|AH00052|AH00050/, qr/AH01221|cgid/);
$t->finish;
