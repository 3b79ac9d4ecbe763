#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# Stopping, again and again: the thread that watches keys is in the way of nothing. A child
# of prefork ends in a signal handler, and crashed when that ran in our thread.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use M2MGW::Test;
use Time::HiRes qw(sleep time);

my $t = M2MGW::Test->prepare(loglevel => 'info', files => { 'jwks.json' => jwks_json(jwk('rsa')) });
$t->backends;
$t->write_config(<<'CONF');
<Location /api>
    M2MJwks file:@ROOT@/jwks.json
    ProxyPass http://@BACKEND@/api
</Location>
<Location /url>
    M2MJwks http://@BACKEND@/jwks
    ProxyPass http://@BACKEND@/api
</Location>
CONF
$t->expect_log(qr{/jwks: }); # what is there is no key set
my $token = mint('rsa', { sub => 'a', exp => int(time) + 600 });
my ($answered, $stopped) = (0, 0);
for my $n (1 .. 20) {
    $t->launch;
    $answered += $t->get('/api/x', token => $token)->status == 200;
    sleep 0.015 * ($n % 8);
    $stopped += $t->stop;
}
is($answered, 20, 'it answers after each start');
is($stopped, 20, 'and stops when told to');
unlike($t->error_log, qr/exit signal/, 'no child dies of it');

# In the middle of work that allocates: the handler that ends a child of prefork waited for
# ever for the malloc it had interrupted, until httpd killed it.
$t->write_config(<<'CONF' . join '', map { <<"RULES" } 1 .. 300);
<Location /status>
    SetHandler m2m-status
</Location>
CONF
<Location /section/$_>
    M2MParameter role Token:role
    M2MRule r$_ "\$role = 'ok'" ifFalse=DENY
    M2MJwks file:\@ROOT\@/jwks.json
</Location>
RULES
my $slow = 0;
for my $n (1 .. 15) {
    $t->launch;
    $t->get('/section/1'); # an answer: who is told to stop before knows no signal yet
    my @busy = map { $t->client } 1 .. 3;
    $_->send_bytes("HEAD /status?format=json HTTP/1.1\r\nHost: gw.test\r\n\r\n" x 100) for @busy;
    sleep 0.03 * $n / 5;
    $slow++ if !$t->stop('TERM', busy => 1);
}
is($slow, 0, 'and stops in the middle of work');
unlike($t->error_log, qr/sending a SIGKILL/, 'without being killed for it');
$t->finish;
