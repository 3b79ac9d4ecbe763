#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# Revocation lists in Redis: what m2mctl writes there counts on every server that names it within
# two seconds, cached tokens included; a Redis that is gone, or has lost the list, revokes no less
# than before.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use M2MGW::Test;
use M2MGW::Redis;
use M2MGW::Replay;
use Time::HiRes qw(sleep time);

plan(skip_all => 'redis-server is not installed') if !installed('redis-server');

my $m2mctl = M2MGW::Test::m2mctl();
my %KEY = ('k.json' => jwk_json('oct', kid => 'K'), pw => "pw\n");
my $jti = 0;
sub token { mint('oct', { sub => 'a', iss => 'https://as', jti => 'v' . ++$jti, exp => time + 600, %{ $_[0] // {} } }) }

sub server {
    my ($list) = @_;
    my $t = M2MGW::Test->start(config => <<"CONF", files => \%KEY);
LogLevel info
M2MJwks file:\@ROOT\@/k.json
<Location /a>
    M2MRevocation $list
</Location>
AliasMatch ^/a \@DOCROOT\@/index.html
CONF
    $t->expect_log(qr/M2-10\d:/, qr/cannot be refreshed|is back/, qr/revocation_unavailable/);
    return $t;
}

sub revoke {
    my ($list, @words) = @_;
    my $pid = fork // die $!;
    if (!$pid) {
        no warnings 'exec';
        exec $m2mctl, 'revoke', '--list', $list, @words;
        POSIX::_exit(127);
    }
    waitpid $pid, 0;
    return $?;
}

# How long until no child accepts a token any more: a hundred refusals in a row.
sub until_revoked {
    my ($t, $token) = @_;
    my ($began, $last, $row) = (time, time, 0);
    while ($row < 40 && time < $began + 60) {
        my $r = $t->get('/a', token => $token);
        if ($r->status == 401 && $r->reason eq 'revoked') { $row++ }
        else { ($last, $row) = (time, 0) }
    }
    return $row ? $last - $began : undef;
}

for my $kind ('redis', 'redis-cluster') {
    my @nodes = $kind eq 'redis' ? redis_server(args => [ '--requirepass', 'pw' ]) : cluster(3);
    my $at = $kind . ':' . join ',', map { $_->at } @nodes;
    my @options = $kind eq 'redis' ? 'password-file=@ROOT@/pw' : ();
    my ($t, $other) = map { server("$at @options") } 1, 2;
    my $words = join ' ', $at, map { s/\@ROOT\@/$t->{root}/r } @options;
    my $one = token({ jti => 'one' });
    for my $server ($t, $other) { # 503 until some child has read it
        ok(until_true(60, sub { $server->get('/a', token => $one)->status == 200 }),
           "$kind: an empty list revokes nothing");
    }
    for my $server ($t, $other) {
        my $took;
        for my $try (1 .. 4) { # two seconds; a machine with other work to do may let a process wait longer
            $one = token({ jti => "one-$try-$server->{pid}" });
            is(revoke($words, '--jti', "one-$try-$server->{pid}", '--issuer', 'https://as'), 0, "$kind: m2mctl revokes");
            $took = until_revoked($server, $one);
            last if defined $took && $took < 2.5;
        }
        ok(defined $took, "$kind: it is revoked");
        cmp_ok($took // 99, '<', 2.5, "$kind: soon");
        ok(defined until_revoked($_, $one), "$kind: by both servers") for $t, $other;
    }
    is($t->get('/a', token => token({ jti => 'two' }))->status, 200, "$kind: others are not");
    is(revoke($words, '--sub', 'b', '--issuer', 'https://as'), 0, "$kind: and a subject");
    my $b = token({ sub => 'b', iat => time - 5 });
    ok(defined until_revoked($t, $b), "$kind: is revoked");
    is($t->get('/a', token => token({ sub => 'b', iat => time + 3 }))->status, 200,
       "$kind: not for later");

    if ($kind eq 'redis') {
        $nodes[0]->stop;
        sleep 2;
        denies($t->get('/a', token => $one), 401, 'revoked', 'Redis is gone: the last list stays');
        is($t->get('/a', token => token())->status, 200, 'and others pass');
        $nodes[0]->launch; # empty
        sleep 3;
        denies($t->get('/a', token => $one), 401, 'revoked', 'Redis is back and empty: it stays');
        ok($t->reload, 'a graceful restart');
        denies($t->get('/a', token => $one), 401, 'revoked', 'over a restart, too');
    }
    $_->finish(more => 1) for $t, $other;
}

# --- nobody has read it ---

{
    my $port = M2MGW::Port::free();
    my $t = server("redis:127.0.0.1:$port");
    $t->expect_log(qr/revocation_unavailable|cannot be fetched|there are no/);
    denies($t->get('/a', token => token()), 503, 'revocation_unavailable',
           'a list that nobody has read');
    my $redis = redis_server(port => $port);
    ok(until_true(60, sub { $t->get('/a', token => token())->status == 200 }), 'until it is read');
    isnt(revoke("redis:127.0.0.1:$port prefix=x y", '--jti', 'a', '--issuer', 'b'), 0,
         'words that m2mctl does not know');
    $t->finish(more => 1);
}
my $text;
for my $bad ([ 'redis:a', qr/HOST:PORT/ ], [ 'redis-cluster:a:1 db=1', qr/only one/ ],
             [ 'redis:a:1 wait=1', qr/"wait=1" is not allowed/ ]) {
    (undef, $text) = try_config("<Location /a>\nM2MRevocation $bad->[0]\n</Location>\n");
    like($text, $bad->[1], "refused: $bad->[0]");
}
done_testing();
