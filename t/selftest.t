#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# The tools of the suites themselves: a log of the backend that misses a request, or a token
# maker that signs wrongly, would make every other suite lie.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use M2MGW::Test;

my $t = M2MGW::Test->start(config => <<'CONF', files => { 'htdocs/a.txt' => "a\n" });
ProxyPass /api http://@BACKEND@/api
ProxyPass /two http://@BACKEND2@/two
CONF

my $r = $t->get('/api/x?y=%20z', headers => [ 'X-A' => '1', 'X-A' => '2' ]);
passes($r, 'through mod_proxy to the backend');
is($r->target, '/api/x?y=%20z', 'the target as received');
is_deeply([ $r->sent('x-a') ], ['1, 2'], 'repeated headers come merged');
is(($t->get('/two')->backend)[0]{backend}, 'b2', 'the second backend has its own name');
ok(!$t->get('/a.txt')->reached, 'a static file reaches no backend');
is($t->post('/api', 'a=b')->{backend}[0]{body}, 'a=b', 'a body with a length');
$r = $t->request('POST', '/api', headers => [ 'Transfer-Encoding' => 'chunked' ],
                 body => "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
is($r->{backend}[0]{body}, 'abcde', 'a chunked body');
is($t->get('/api', method => 'HEAD')->body, '', 'HEAD has no body');
is(scalar(my @two = $t->raw("GET /api HTTP/1.1\r\nHost: a\r\n\r\nGET /api HTTP/1.1\r\nHost: a\r\n"
    . "Connection: close\r\n\r\n")), 2, 'two pipelined requests, two responses');
is($two[0]->reached, 2, 'and two entries of the backend');
is($t->get('/api/status-418')->status, 418, 'the backend answers as asked');

is(unb64(b64("\0\xff~")), "\0\xff~", 'base64url both ways');
is((split /\./, mint_raw('HS256', unb64('AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75'
    . 'aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow'), qq({"typ":"JWT",\r\n "alg":"HS256"}),
    qq({"iss":"joe",\r\n "exp":1300819380,\r\n "http://example.com/is_root":true})))[2],
    'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk', 'the token of RFC 7515 A.1');
for my $k (qw(rsa p256 p384 p521)) {
    my ($h, $p, $s) = split /\./, mint($k, { sub => 'a' });
    my %len = (rsa => 256, p256 => 64, p384 => 96, p521 => 132);
    is(length unb64($s), $len{$k}, "$k: length of the signature");
}
is(length unb64((split /\./, mint('ed25519', {}))[2]), 64, 'ed25519: length of the signature');
is(length unb64((split /\./, mint('ed448', {}))[2]), 114, 'ed448: length of the signature');
is(length unb64((split /\./, mint('rsa', {}, { alg => 'PS256' }))[2]), 256, 'PS256');
my $t1 = mint('oct', { sub => 'leak' });
is(scalar($t->leaks("abc $t1 def")), 4, 'a token in a log is found');
is(scalar($t->leaks('nothing here')), 0, 'and none where none is');
is(scalar($t->leaks("[aXeyJhbGciOiJIUzI1NiJ9]")), 1, 'its beginning alone is, wherever it stands');
is(scalar($t->leaks("[atqeyJxZ\@qLmAAAB8nPQAAAAAA] [eyJ\xb0 eyJ_k3Xw9aQ-bC]")), 0, 'an id that has its first letters is none');
$t->get("/a.txt?n=$_") for 1 .. 8;
is(scalar(() = $t->access_log =~ m{/a\.txt\?n=\d }g), 8, 'the access log is read when all requests are in it');
my %port = map { M2MGW::Port::free() => 1 } 1 .. 200;
is(scalar keys %port, 200, 'ports are given to one');
is(scalar(grep { $port{ IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1)->sockport } } 1 .. 2000), 0, 'and to nobody else');
# nobody but who runs the tests, and the server in what is its own, may write there
for my $dir ($t->{root}, M2MGW::Token::store(), glob "$t->{root}/*") {
    my ($mode, $uid) = (stat $dir)[2, 4];
    is($mode & 022, 0, "$dir: others may not write");
    ok($uid == $> || ($dir =~ m{/(?:logs|run|cache|state)\z} && $uid == (getpwnam M2MGW::Test::user())[2]), "$dir: its owner");
}
# automake counts what unit/run hands on: a test that is skipped is no failure, and one that failed is no success
for my $case ([ 'not ok 1 # SKIP a', 0, 'ok 1 # SKIP a' ], [ 'not ok 1 - a # SKIP', 1, 'not ok 1 - a # SKIP' ], [ 'ok 1 - a', 3, 'ok 1 - a' ]) {
    my ($said, $end, $want) = @$case;
    my $got = qx(sh $FindBin::Bin/unit/run @{[ $t->file('test.sh', "#!/bin/sh\necho '$said'\nexit $end\n") ]});
    is("$got$?", "$want\n" . ($end << 8), "a unit test says '$said' and ends with $end");
}
my ($status, $text) = try_config('NoSuchDirective On');
is($status, 1, 'httpd -t refuses what it does not know');
like($text, qr/NoSuchDirective/, 'and says what');
is((try_config('ProxyPass /a http://@BACKEND@/'))[0], 0, 'httpd -t accepts what is right');
my @old = M2MGW::Test::below($t->{pid});
ok($t->takes(@old), 'processes take requests');
ok($t->reload, 'a graceful restart');
ok(!$t->takes(@old), 'which those of before do not after it');
is($t->get('/api')->status, 200, 'and it serves again');
$t->finish;
