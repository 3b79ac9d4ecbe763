#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# Limits that servers hold together through Redis: what all of them let pass is the allowance,
# within a lease for each; Redis that is gone refuses nobody and opens no door: each server
# holds to its part. Statuses are counted at the clients of both servers.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use M2MGW::Test;
use M2MGW::Redis;
use M2MGW::Replay;
use Time::HiRes qw(sleep time);

plan(skip_all => 'redis-server is not installed') if !installed('redis-server');

my %KEY = ('k.json' => jwk_json('oct', kid => 'K'));
my $jti = 0;
sub app { mint('oct', { sub => 'a', iss => 'https://as', client_id => $_[0],
                        jti => 's' . $$ . '-' . ++$jti, exp => time + 600 }) }

my $COMMON = <<'CONF';
LogLevel info
M2MJwks file:@ROOT@/k.json
<Location /exact>
    M2MLimit exact CaAppId 60/31d
</Location>
<Location /lease>
    M2MLimit lease CaAppId 40/2s burst=40
</Location>
<Location /two>
    M2MLimit zwei CaAppId 5/31d
    M2MLimit eins CaAppId 3/31d
</Location>
<Location /one>
    M2MLimit zwei CaAppId 5/31d
</Location>
<Location /wait>
    M2MLimit wait * 1/3s burst=1
</Location>
<Location /share>
    M2MLimit share CaAppId 20/31d
</Location>
<Location /shadow>
    M2MLimit seen * 1/31d shadow
    M2MLimit real CaAppId 2/31d
</Location>
<Location /once>
    M2MPreventJtiReplay On
    M2MLimit once CaAppId 1/31d
</Location>
<Location /spent>
    M2MPreventJtiReplay On
</Location>
<Location /status>
    SetHandler m2m-status
    M2MEngine Off
</Location>
AliasMatch "^/(?:exact|lease|two|one|wait|share|shadow|once|spent)" @DOCROOT@/index.html
CONF

sub server {
    my ($store) = @_;
    my $t = M2MGW::Test->start(config => "$COMMON\nM2MLimitStore $store nodes=2\n",
                               files => \%KEY);
    $t->expect_log(qr/M2-10\d:/, qr/limit store /);
    return $t;
}

sub status { JSON::PP::decode_json($_[0]->get('/status?format=json')->body) }
sub counted { my %said; $said{ $_->{status} }++ for @_; return \%said }

# Requests of one client, in turn to all servers: how many passed.
sub passed {
    my ($servers, $path, $client, $n) = @_;
    my $passed = 0;
    for my $i (1 .. $n) {
        my $r = $servers->[ $i % @$servers ]->get($path, token => app($client));
        $passed++ if $r->status == 200;
        fail("$path: " . $r->status . ' ' . $r->reason) if $r->status !~ /\A(?:200|429)\z/;
    }
    return $passed;
}

# As many as clients can send from several processes until enough were refused.
sub rush {
    my ($ports, $path, $client, $enough) = @_;
    my $token = app($client);
    my $load = load_on($ports, 6, $path, sub { $token });
    until_true(60, sub { $enough->($load) }) or fail("$path: no end");
    return $load->finish;
}

# --- one Redis ---

{
    my $redis = redis_server();
    my $store = 'redis:' . $redis->at . ' timeout=10s lease=1000ms';
    my ($t, $other) = map { server($store) } 1, 2;
    my @ports = map { $_->port } $t, $other;

    my @seen = rush(\@ports, '/exact', 'x', sub { (counted($_[0]->seen)->{429} // 0) > 60 });
    is(counted(@seen)->{200}, 60, 'without a lease exactly the allowance passes');
    is(join(' ', sort keys %{ counted(@seen) }), '200 429', 'and nothing but refusals else');

    # 20 in a second, 40 at once, a lease of 4: so many more or fewer for each server
    my $began = time;
    @seen = rush(\@ports, '/lease', 'x', sub { time > $began + 3 });
    my ($first, $last) = (sort { $a <=> $b } map { $_->{at} } @seen)[ 0, -1 ];
    my $most = 40 + 20 * (time - $began) + 2 * 4;
    my $least = 40 + 20 * ($last - $first) - 2 * 4 - 1;
    my $got = counted(@seen)->{200};
    cmp_ok($got, '<=', $most, 'with a lease not more than the allowance and one for each server');
    cmp_ok($got, '>=', $least, 'nor fewer') if $got < @seen / 2; # asked for more all the time
    my $stats = status($t)->{limit_store};
    is($stats->{state}, 'up', 'the status page says that the store answers');
    cmp_ok($stats->{held}, '>', 0, 'and how much leases answered');

    is(passed([ $t, $other ], '/two', 'y', 12), 3, 'two limits: the smaller one');
    is(passed([ $other, $t ], '/one', 'y', 12), 2, 'what it refused was not taken from the other');
    is(passed([ $t, $other ], '/shadow', 'y', 6), 2, 'a shadow refuses nobody');

    my $r = $t->get('/wait', token => app('w'));
    is($r->status, 200, 'the first');
    like($r->header('RateLimit'), qr/^"wait";r=0;t=3\z/, 'and what is left');
    # the next one may come too late on a busy machine: then it passes, and the one behind it not
    ok(until_true(60, sub { ($r = $other->get('/wait', token => app('w')))->status == 429 }),
       'refused by the other server');
    like($r->header('Retry-After'), qr/\A[123]\z/, 'for as long as it takes');
    sleep $r->header('Retry-After');
    is($t->get('/wait', token => app('w'))->status, 200, 'whoever waits passes');

    is($t->get('/once', token => app('o'))->status, 200, 'the only one');
    my $kept = app('o');
    is($other->get('/once', token => $kept)->status, 429, 'refused');
    is($other->get('/spent', token => $kept)->status, 200, 'and no token spent');

    # --- gone, under load ---

    my $token = app('gone');
    my $load = load_on(\@ports, 3, '/share', sub { $token });
    my $others = load_on(\@ports, 2, '/share', sub { app("gone $_[0] $_[1]") });
    ok(until_true(60, sub { $load->count > 40 && $others->count > 40 }), 'load');
    $redis->stop;
    my $at = $others->count;
    ok(until_true(60, sub { $others->count > $at + 100 }), 'goes on while Redis is gone');
    for my $server ($t, $other) {
        ok(until_true(60, sub { status($server)->{limit_store}{state} eq 'down' }),
           'the status page says so');
    }
    is(passed([$t], '/share', 'v', 15), 10, 'each server holds to its half');
    is(passed([$other], '/share', 'v', 15), 10, 'by itself');
    $redis->launch;
    for my $server ($t, $other) {
        ok(until_true(60, sub {
            $server->get('/share', token => app('again'));
            status($server)->{limit_store}{state} eq 'up';
        }), 'Redis answers again');
    }
    is(passed([ $t, $other ], '/share', 'n', 30), 20, 'and the whole is held together');
    @seen = $load->finish;
    is(join(' ', sort keys %{ counted(@seen) }), '200 429', 'no 503 from limits at any time');
    cmp_ok(counted(@seen)->{200}, '<=', 60, 'at most one burst more at either change');
    is(join(' ', sort keys %{ counted($others->finish) }), '200',
       'and nobody who is under a share is refused');
    for my $server ($t, $other) {
        my @told = $server->error_log =~ /limit store redis:\S+: .*until it answers/g;
        is(scalar @told, 1, 'the log says it once');
        $server->finish(more => 1);
    }
}

# --- a cluster ---

{
    my @nodes = cluster(3);
    my $store = 'redis-cluster:' . join(',', map { $_->at } @nodes) . ' timeout=10s';
    my ($t, $other) = map { server($store) } 1, 2;
    is(passed([ $t, $other ], '/two', "c$_", 12), 3, "a cluster: two limits, client $_")
        for 1 .. 4;
    is(passed([ $other, $t ], '/one', "c$_", 12), 2, 'what was refused was given back')
        for 1 .. 4;
    my @seen = rush([ $t->port, $other->port ], '/exact', 'x',
                    sub { (counted($_[0]->seen)->{429} // 0) > 60 });
    is(counted(@seen)->{200}, 60, 'a cluster: exactly the allowance passes');
    $_->finish(more => 1) for $t, $other;
}
done_testing();
