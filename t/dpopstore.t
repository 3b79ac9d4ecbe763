#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# Proofs that several servers take: of any number of simultaneous uses of one proof exactly one
# passes, over all processes of both; and a store that does not answer is 503, costing nothing.
use strict;
use warnings;
use Digest::SHA qw(sha256);
use FindBin;
use lib "$FindBin::Bin/lib";
use M2MGW::Replay;
use M2MGW::Test;

my $json = JSON::PP->new->canonical;
my @kinds = grep { M2MGW::Replay::installed($_->[1]) } [ redis => 'redis-server', \&redis ], [ memcache => 'memcached', \&memcached ];
plan(skip_all => 'neither redis-server nor memcached') if !@kinds;

my $key = jwk('p256#client');
my $jkt = b64(sha256($json->encode({ map { $_ => $key->{$_} } qw(crv kty x y) })));
my $n = 0;
sub token { mint('p256#issuer', { sub => 'a', cnf => { jkt => $jkt }, jti => "t$$-" . ++$n }, { kid => 'I' }) }
sub proof {
    my ($token) = @_;
    return mint('p256#client', { exp => undef, jti => "p$$-" . ++$n, htm => 'GET', htu => 'http://gw.test/api', iat => time, ath => b64(sha256($token)) },
                { typ => 'dpop+jwt', jwk => $key });
}
sub server {
    my ($config) = @_;
    return M2MGW::Test->start(files => { 'keys.json' => jwks_json(jwk('p256#issuer', kid => 'I')) }, config => <<"CONF");
$config
<Location /api>
    M2MJwks file:\@ROOT\@/keys.json
    M2MPublicURL http://gw.test
    ProxyPass http://\@BACKEND\@/api
</Location>
<Location /api/once>
    M2MPreventJtiReplay On
</Location>
CONF
}
sub send_it { my ($t, $token, $proof) = @_; return $t->get('/api', headers => [ Authorization => "DPoP $token", DPoP => $proof ]) }

# all but the last byte to everybody, and then that
sub at_once {
    my ($servers, $token, $proof, $count) = @_;
    my $bytes = "GET /api HTTP/1.1\r\nHost: gw.test\r\nConnection: close\r\nAuthorization: DPoP $token\r\nDPoP: $proof\r\n\r\n";
    $_->backend_new for @$servers;
    my @clients = map { $servers->[ $_ % @$servers ]->client(timeout => 60) } 1 .. $count;
    $_->send_bytes(substr $bytes, 0, -1) for @clients;
    $_->send_bytes("\n") for @clients;
    my %seen;
    $seen{ $_ ? $_->status . ' ' . $_->reason : 'closed' }++ for map { $_->response } @clients;
    return \%seen, scalar map { $_->backend_new } @$servers;
}

for my $kind (@kinds) {
    my ($name, undef, $start) = @$kind;
    my $store = $start->();
    for my $directive (map { "$_ $name:" . $store->at . ' timeout=20s' } qw(M2MReplayStore M2MDPoPStore)) {
        my @servers = map { server($directive) } 1, 2;
        my $what = $directive =~ s/ .*//r . " $name";
        for my $round (1 .. 3) {
            my $token = token();
            my ($seen, $reached) = at_once(\@servers, $token, proof($token), 64);
            is_deeply($seen, { '200 ok' => 1, '401 proof_replayed' => 63 }, "$what, two servers, round $round: one of 64 passes") or diag explain $seen;
            is($reached, 1, '... and one backend has seen one');
        }
        my $token = token();
        my $proof = proof($token);
        passes(send_it($servers[0], $token, $proof), "$what: a proof at one server");
        denies(send_it($servers[1], $token, $proof), 401, 'proof_replayed', '... and then at the other');
        passes(send_it($servers[1], $token, proof($token)), '... which takes a new one');
        if ($directive =~ /^M2MDPoPStore/) {
            $store->stop;
            for my $t (@servers) {
                $t->expect_log(qr/M2-\d+: .*(?:redis|memcache)/i);
                my $r = send_it($t, $token, proof($token));
                denies($r, 503, 'replay_unavailable', "$what: no store, no proof");
                ok($r->header('Retry-After'), '... with Retry-After');
            }
        }
        $_->finish(more => 1) for @servers;
    }
}
done_testing();
