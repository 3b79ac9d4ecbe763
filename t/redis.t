#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# One-time tokens in Redis that many servers make up: a failover by sentinels, a cluster whose
# slots move, replicas that must have a mark. What was accepted once is never accepted again,
# whatever happens in between.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use M2MGW::Test;
use M2MGW::Redis;
use M2MGW::Replay;
use Time::HiRes qw(sleep time);

plan(skip_all => 'redis-server is not installed') if !installed('redis-server');

my $SOAK = $ENV{M2MGW_SOAK};
my %KEY = ('k.json' => jwk_json('oct', kid => 'K'));
my $COMMON = <<'CONF';
LogLevel info
M2MJwks file:@ROOT@/k.json
M2MPreventJtiReplay On
CONF

# a token is made where it is sent, and unlike any other
my $run = 0;
sub tokens {
    my $name = 'r' . ++$run;
    return sub { mint('oct', { sub => 'a', iss => 'https://as', jti => "$name-$_[0]-$_[1]",
                               exp => time + 600 }) };
}
my $one = tokens();
my $n = 0;
sub token { $one->(0, ++$n) }

sub server {
    my ($store, %o) = @_;
    my $t = M2MGW::Test->start(config => "${COMMON}M2MReplayStore $store\n",
                               files => { %KEY, %{ $o{files} // {} } });
    $t->expect_log(qr/M2-10\d:/, qr/replay_unavailable|does not answer/);
    return $t;
}

# Of what was accepted, how much is accepted once more; and what else was answered.
sub again {
    my ($t, @seen) = @_;
    my @accepted = grep { $_->{status} == 200 } @seen;
    @accepted = @accepted[ map { int($_ * @accepted / 400) } 0 .. 399 ] if @accepted > 400;
    my %said;
    for my $one (@accepted) {
        my $r = $t->get('/index.html', token => $one->{token});
        $said{ $r->status . ' ' . $r->reason }++;
    }
    return join ', ', map { "$_" } sort keys %said;
}

sub by_answer {
    my %said;
    $said{"$_->{status} $_->{reason}"}++ for @_;
    return \%said;
}

sub accepts {
    my ($t, $seconds) = @_;
    return until_true($seconds,
                      sub { $t->get('/index.html', token => token())->status == 200 });
}

# --- replicas that must have a mark ---

{
    my $master = redis_server();
    my $t = server('redis:' . $master->at . ' wait=1 timeout=500ms');
    my $alone = token();
    denies($t->get('/index.html', token => $alone), 503, 'replay_unavailable',
           'wait=1: no replica has the mark');
    like($t->error_log, qr/0 of 1 replicas have it in time/, 'and the log says so');
    my $replica = redis_server(args => [ '--replicaof', '127.0.0.1', $master->{port} ]);
    ok(accepts($t, 60), 'wait=1: with a replica tokens are accepted');
    denies($t->get('/index.html', token => $alone), 401, 'jti_replayed',
           'a token that was answered 503 counts as spent');
    $t->finish(more => 1);
}

# --- a failover by sentinels ---

{
    my @auth = ('--requirepass', 'pw', '--masterauth', 'pw');
    my $master = redis_server(args => \@auth);
    my $replica = redis_server(args => [ @auth, '--replicaof', '127.0.0.1', $master->{port} ]);
    my @sentinels = sentinels($master, 3, lines => [ 'requirepass spw',
        'sentinel sentinel-pass spw', 'sentinel auth-pass m pw' ]);
    $_->{password} = 'pw' for $master, $replica;
    $_->{password} = 'spw' for @sentinels;
    my $store = 'redis-sentinel:m@' . join(',', map { $_->at } @sentinels)
        . ' password-file=@ROOT@/pw sentinel-password-file=@ROOT@/spw wait=1 timeout=5s';
    my %files = (pw => "pw\n", spw => "spw\n");
    ok(until_true(60, sub {
        my %m = @{ ask($sentinels[0], 'SENTINEL', 'MASTER', 'm') };
        $m{'num-other-sentinels'} == 2 && $m{'num-slaves'} == 1;
    }), 'sentinels know each other and the replica');
    my $t = server($store, files => \%files);
    my $other = server($store, files => \%files);
    ok(accepts($t, 60), 'sentinels name the master');
    my $load = load_on([ $t->port, $other->port ], 4, '/index.html', tokens());
    ok(until_true(60, sub { $load->count > 100 }), 'load');
    $master->stop;
    my $named = until_true(60, sub {
        my $at = ask($sentinels[1], 'SENTINEL', 'GET-MASTER-ADDR-BY-NAME', 'm');
        ref $at && $at->[1] == $replica->{port} && time;
    });
    ok($named, 'sentinels name the replica as the master');
    # what takes part in wait=1 from now on
    my $third = redis_server(args => [ @auth, '--replicaof', '127.0.0.1', $replica->{port} ]);
    my $served = until_true(60, sub {
        (grep { $_->{status} == 200 && $_->{at} > $named } $load->seen) > 50;
    });
    ok($served, 'and tokens are accepted again');
    my @seen = $load->finish;
    my $said = by_answer(@seen);
    cmp_ok($said->{'503 replay_unavailable'} // 0, '>', 0, 'in between 503, no more than that');
    is(join(', ', sort keys %$said), '200 ok, 503 replay_unavailable',
       'no other answer to tokens that come for the first time');
    is(again($t, @seen), '401 jti_replayed', 'failover with wait=1: nothing is accepted twice');
    is(again($other, @seen), '401 jti_replayed', 'nor by the other server');
    my ($first) = sort { $a <=> $b } map { $_->{at} }
        grep { $_->{status} == 200 && $_->{at} > $named } @seen;
    my ($last) = sort { $b <=> $a } map { $_->{at} }
        grep { $_->{status} == 503 } @seen;
    diag(sprintf 'failover: first token accepted %.1f s after the new master was named',
         $first - $named) if $SOAK;
    # the old master comes back as a replica, or at least is not taken for the master
    $master->launch;
    ok(accepts($t, 60), 'the old master is back');
    is(again($t, (grep { $_->{status} == 200 } @seen)[-20 .. -1]), '401 jti_replayed', 'and is not asked');
    my ($first_of_all) = sort { $a->{at} <=> $b->{at} } grep { $_->{status} == 200 } @seen;
    denies($t->get('/index.html', token => $first_of_all->{token}), 401, 'jti_replayed',
           'what was accepted before the failover stays spent');
    # all sentinels gone: the master that is known serves on
    $_->stop for @sentinels;
    ok(accepts($t, 60), 'without sentinels the master that is known serves on');
    $other->finish(more => 1);
    $t->finish(more => 1);
}

# --- a cluster ---

{
    my @nodes = cluster(3);
    my $store = 'redis-cluster:' . $nodes[0]->at . ',' . $nodes[1]->at . ' timeout=10s';
    my $t = server($store);
    my $other = server($store);
    ok(accepts($t, 60), 'a cluster accepts');
    my $spent = token();
    is($t->get('/index.html', token => $spent)->status, 200, 'once');
    denies($other->get('/index.html', token => $spent), 401, 'jti_replayed', 'and not twice');
    my $load = load_on([ $t->port, $other->port ], 4, '/index.html', tokens());
    ok(until_true(60, sub { $load->count > 100 }), 'load');
    my ($from, $to) = map { ask($_, 'CLUSTER', 'MYID') } @nodes[0, 2];
    my $before = $load->count;
    ok(M2MGW::Redis::cli($nodes[0], '--cluster', 'reshard', $nodes[0]->at, '--cluster-from', $from,
        '--cluster-to', $to, '--cluster-slots', $SOAK ? 4000 : 400, '--cluster-yes'),
       'slots move');
    my $after = $load->count;
    cmp_ok($after, '>', $before, 'under load');
    ok(until_true(60, sub { $load->count > $after + 100 }), 'and the load goes on');
    my @seen = $load->finish;
    is(join(', ', sort keys %{ by_answer(@seen) }), '200 ok', 'no error that a client sees');
    is(again($t, @seen), '401 jti_replayed', 'nothing is accepted twice');
    is(again($other, @seen[ -200 .. -1 ]), '401 jti_replayed', 'nor by the other server');
    cmp_ok(scalar(grep { $_ > 0 } map { ask($_, 'DBSIZE') } @nodes), '==', 3,
           'all nodes hold marks');
    # a node without a replica is gone: its tokens are refused, and no other node takes them
    $nodes[1]->stop;
    my %said;
    for my $one (@seen[ 0 .. 59 ]) {
        my $r = $t->get('/index.html', token => $one->{token});
        $said{ $r->status . ' ' . $r->reason }++;
    }
    is(delete $said{'200 ok'}, undef, 'a node is gone: nothing is accepted twice');
    cmp_ok($said{'503 replay_unavailable'} // 0, '>', 0, 'its tokens are answered 503');
    $other->finish(more => 1);
    $t->finish(more => 1);
}
done_testing();
