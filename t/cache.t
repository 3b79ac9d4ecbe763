#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# The verified-token cache is seen by nobody: two servers with the same sections, one with a
# cache and one without, answer the same to the same requests in any order; a token is not
# remembered where another policy is in force, nor past its time, nor beyond its key.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Time::HiRes qw(sleep time);
use M2MGW::Test;

my %section = (
    plain => '', leeway => 'M2MLeeway 0', issuer => 'M2MIssuer i1', issuer2 => 'M2MIssuer i2', audience => 'M2MAudience a1',
    both => "M2MIssuer i1\nM2MAudience a1", type => 'M2MTokenType at+jwt', require => 'M2MRequireClaim role admin', require2 => 'M2MRequireClaim role user',
    algs => 'M2MAlgorithms HS256 HS384', age => 'M2MMaxAge 100', ignore => 'M2MIgnoreExpiration On', user => 'M2MUserClaim role', claims => 'M2MClaim role header:X-Role',
    rule => "M2MParameter r Token:role\nM2MRule a \"\$r = 'admin'\" ifFalse=DENY", key => 'M2MJwks file:b.json', keys => 'M2MJwks file:ab.json',
    claimed => 'M2MClaim iss header:X-Role query:iss', scope => 'Require m2m-scope read', query => 'M2MToken query:t header:Authorization',
);
my $conf = join '', map { "<Location /$_>\n$section{$_}\n</Location>\n" } sort keys %section;
my %file = ('a.json' => jwk_json('oct64', kid => 'A'), 'b.json' => jwk_json('oct64#2', kid => 'A'),
            'ab.json' => jwks_json(jwk('oct64', kid => 'A'), jwk('oct64#2', kid => 'B')));
sub start {
    my ($cache) = @_;
    return M2MGW::Test->start(files => \%file, config => <<"CONF" . $conf);
$cache
M2MJwks file:a.json
M2MLeeway 3000
M2MClaim sub header:X-Sub
Header always set X-User "expr=%{REMOTE_USER}"
ProxyPass / http://\@BACKEND\@/
CONF
}
my @server = (start('M2MVerifyCache entries=64'), start('M2MVerifyCache Off'), start('M2MVerifyCache entries=4096'));

my @token = (
    mint('oct64', { sub => 'a', iss => 'i1', aud => 'a1', role => 'admin', scope => 'read', iat => time }),
    mint('oct64', { sub => 'b', iss => 'i2', aud => [ 'a1', 'a2' ], role => 'user', iat => time - 50_000 }),
    mint('oct64', { sub => 'c', iss => 'i1', role => [ 'user', 'admin' ], scope => 'write' }, { alg => 'HS256' }),
    mint('oct64', { sub => 'd', iss => 'i1', aud => 'a1' }, { typ => 'at+jwt', kid => 'A' }),
    mint('oct64', { sub => 'e', exp => time - 600, iss => 'i1' }), # within the leeway, whatever this takes
    mint('oct64', { sub => 'f', exp => time - 90_000, iss => 'i1' }),
    mint('oct64#2', { sub => 'g', iss => 'i1', role => 'admin' }, { kid => 'A' }),
    mint('oct64#2', { sub => 'h', iss => 'i1', role => 'admin' }, { kid => 'B' }),
    mint('oct64', { sub => 'i', nbf => time + 90_000, exp => time + 100_000 }),
);
push @token, map { my ($h, $p, $s) = split /\./, $_; ("$h.$p." . reverse($s), "$h.$p." . substr($s, 0, -1), "$h.$p.$s.", "$h.$p") } @token[ 0, 1 ];
{
    my ($h, $p, $s) = split /\./, $token[0];
    push @token, join('.', $h, b64(unb64($p) =~ s/admin/owner/r), $s), join('.', (split /\./, $token[2])[0], $p, $s);
}

srand($ENV{M2MGW_SEED} // 7);
my @name = sort keys %section;
my (@differ, %seen);
for (1 .. 900) {
    my ($where, $n) = ($name[ rand @name ], int rand @token);
    my @said = map {
        my $r = $where eq 'query' && $n % 2 ? $_->get("/query?t=$token[$n]") : $_->get("/$where", token => $token[$n]);
        join ' ', $r->status, $r->reason, $r->reached, map { $_ // '-' } scalar $r->sent('X-Sub'), scalar $r->sent('X-Role'), $r->query, $r->header('X-User')
    } @server;
    $seen{ (split / /, $said[1])[1] }++;
    push @differ, "$where, token $n: " . join(' | ', @said) if $said[0] ne $said[1] || $said[2] ne $said[1];
}
is(join("\n", @differ), '', '900 requests in random order: the same answers with and without a cache');
cmp_ok($seen{$_} // 0, '>', 5, "among them $_" . ' (' . ($seen{$_} // 0) . ')') for qw(ok signature_invalid issuer_mismatch expired claim_missing kid_unknown alg_not_allowed);

# --- what a token was once does not hold for ever ---

my $t = $server[0];
# how long a busy machine needs until a token is judged is not known: as long as it takes
my ($short, @first, $end);
for my $life (2, 4, 8, 16, 32) {
    $short = mint('oct64', { sub => 's', exp => $end = int(time) + $life, nbf => int(time) - 1 });
    @first = map { $t->get('/leeway', token => $short) } 1 .. 3;
    last if !grep { $_->status != 200 } @first;
}
passes($first[ $_ - 1 ], "a token of a few seconds, time $_") for 1 .. 3;
sleep 0.1 while time <= $end;
denies($t->get('/leeway', token => $short), 401, 'expired', 'is not remembered past its time');
passes($t->get('/plain', token => $short), 'control: but within the leeway of another section');
my ($soon, $early, $begin);
for my $life (2, 4, 8, 16, 32) {
    $soon = mint('oct64', { sub => 's', nbf => $begin = int(time) + $life });
    $early = $t->get('/leeway', token => $soon);
    last if $early->status != 200;
}
denies($early, 401, 'not_yet_valid', 'a token that is not yet valid');
sleep 0.1 while time <= $begin;
passes($t->get('/leeway', token => $soon), 'nor is a refusal remembered');

my $good = $token[0];
passes($t->get('/plain', token => $good), 'a key that is about to go') for 1 .. 3;
$t->file('a.json', jwk_json('oct64#3', kid => 'A'));
$t->everywhere('a token of a key that is gone is refused by every process', sub { $t->get('/plain', token => $good)->status == 401 });
my %last;
$last{ $t->get('/plain', token => $good)->reason }++ for 1 .. 20;
is(join(',', sort keys %last), 'signature_invalid', 'for that reason');
passes($t->get('/plain', token => mint('oct64#3', {})), 'control: the new key');
$_->finish(more => 1) for @server;
done_testing();
