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
    rule2 => "M2MParameter r Token:role\nM2MRule a \"\$r = 'admin'\" ifTrue=DENY", nodefault => "M2MParameter r Token:role\nM2MDefaultAction DENY\nM2MRule a \"\$r = 'admin'\" ifTrue=ALLOW",
    mixed => "M2MParameter r Token:role\nM2MParameter m Query:m\nM2MRule a \"\$m = 'x' and \$r = 'admin'\" ifTrue=DENY\nM2MRule b \"\$r = 'user'\" ifTrue=ALLOW\nM2MRule c \"\$m = 'y'\" ifTrue=DENY",
    chance => "M2MParameter r Token:role\nM2MRule a \"\$r = 'admin' and TimeOfDay() >= 0 and Random() < 1\" ifTrue=DENY", error => "M2MParameter s Token:sub\nM2MRule a \"\$s in_cidr '10.0.0.0/8'\" ifTrue=DENY",
    app => "M2MRule a \"\$CaAppId = 'b'\" ifTrue=DENY", shadow => "M2MParameter r Token:role\nM2MRule a \"\$r = 'admin'\" ifTrue=DENY shadow\nM2MRule b \"\$r = 'user'\" ifTrue=DENY",
    wants => 'M2MRequireClaim scope read', wants2 => 'M2MRequireClaim scope write', owner => 'M2MSenderConstraint Any', set => "M2MParameter s Token:sub\nM2MRule a \"\$s in dataset blocked\" ifTrue=DENY",
    revoked => 'M2MRevocation file:@ROOT@/revoked', method => "M2MParameter m Method\nM2MRule a \"\$m = 'PUT'\" ifTrue=DENY", limit => 'M2MLimit few * 100000/1s',
    claimed => 'M2MClaim iss header:X-Role query:iss', scope => 'Require m2m-scope read', query => 'M2MToken query:t header:Authorization',
);
my $conf = join '', map { "<Location /$_>\n$section{$_}\n</Location>\n" } sort keys %section;
my %file = ('revoked' => "sub i2 b\nsub i1 c\nsub i1 d\nsub i1 j\nsub i1 k\n", 'blocked' => "c\n", 'a.json' => jwk_json('oct64', kid => 'A'), 'b.json' => jwk_json('oct64#2', kid => 'A'),
            'ab.json' => jwks_json(jwk('oct64', kid => 'A'), jwk('oct64#2', kid => 'B')));
sub start {
    my ($cache) = @_;
    return M2MGW::Test->start(files => \%file, config => <<"CONF" . $conf);
$cache
M2MDataset blocked file:\@ROOT\@/blocked
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
    mint('oct64', { sub => 'j', iss => 'i1', role => 'admin', cnf => { 'x5t#S256' => 'A' x 43 } }), mint('oct64', { sub => 'k', iss => 'i1', role => 'user', cnf => {} }),
);
push @token, map { my ($h, $p, $s) = split /\./, $_; ("$h.$p." . reverse($s), "$h.$p." . substr($s, 0, -1), "$h.$p.$s.", "$h.$p") } @token[ 0, 1 ];
{
    my ($h, $p, $s) = split /\./, $token[0];
    push @token, join('.', $h, b64(unb64($p) =~ s/admin/owner/r), $s), join('.', (split /\./, $token[2])[0], $p, $s);
}

srand($ENV{M2MGW_SEED} // 7);
my @name = sort keys %section;
my (@differ, %seen);
for (1 .. 1500) {
    my ($where, $n, $m) = ($name[ rand @name ], int rand @token, (qw(x y z))[ rand 3 ]);
    my @said = map {
        my $r = $where eq 'query' && $n % 2 ? $_->get("/query?t=$token[$n]") : $_->get("/$where?m=$m", token => $token[$n]);
        join ' ', $r->status, $r->reason, $r->reached, map { $_ // '-' } scalar $r->sent('X-Sub'), scalar $r->sent('X-Role'), $r->query, $r->header('X-User')
    } @server;
    $seen{ (split / /, $said[1])[1] }++;
    push @differ, "$where, token $n: " . join(' | ', @said) if $said[0] ne $said[1] || $said[2] ne $said[1];
}
is(join("\n", @differ), '', '1500 requests in random order: the same answers with and without a cache');
cmp_ok($seen{$_} // 0, '>', 5, "among them $_" . ' (' . ($seen{$_} // 0) . ')') for qw(ok signature_invalid issuer_mismatch expired claim_missing kid_unknown alg_not_allowed
    rule_denied rule_error rule_default insufficient_scope revoked cert_mismatch proof_missing);

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

# --- what is settled about a token is settled for one section, and for what does not change ---

my $good = $token[0];
passes($t->get('/mixed?m=z', token => $good), "a token that comes again, time $_") for 1 .. 4;
denies($t->get('/mixed?m=x', token => $good), 403, 'rule_denied', 'a rule over token and request is asked each time');
denies($t->get('/mixed?m=y', token => $good), 403, 'rule_denied', 'and so is one over the request behind rules that are settled');
passes($t->get('/mixed?m=z', token => $good), 'control: again as before');
for (1 .. 3) {
    passes($t->get('/rule', token => $good), "two sections with other rules over one token, time $_");
    denies($t->get('/rule2', token => $good), 403, 'rule_denied', "each keeps to its own, time $_");
    passes($t->get('/wants', token => $good), "two sections that want other scopes, time $_");
    denies($t->get('/wants2', token => $good), 403, 'insufficient_scope', "each keeps to its own, time $_");
}
sub soon { # the answer that every process gives in a while
    my ($where, $reason, $what) = @_;
    $t->everywhere($what, sub { $t->get($where, token => $good)->reason eq $reason });
}
passes($t->get($_, token => $good), "$_, before its file changes") for ('/revoked', '/set') x 3;
$t->file('revoked', "sub i1 a\n");
$t->file('blocked', "a\n");
soon('/revoked', 'revoked', 'a token in the cache is revoked');
soon('/set', 'rule_denied', 'a rule over a data set is asked each time');
$t->file('revoked', "sub i2 b\n");
$t->file('blocked', "c\n");
soon('/revoked', 'ok', 'control: no longer');
soon('/set', 'ok', 'control: nor this');
my $old = "$t->{root}/conf/suite.conf";
(my $changed = M2MGW::Test::slurp($old)) =~ s{(<Location /rule>.*?) ifFalse=DENY}{$1 ifTrue=DENY}s;
M2MGW::Test::spew($old, $changed);
ok($t->reload, 'a graceful restart with another rule');
soon('/rule', 'rule_denied', 'the token is asked anew');
passes($t->get('/mixed?m=z', token => $good), 'control: other sections stay as they were');

passes($t->get('/plain', token => $good), 'a key that is about to go') for 1 .. 3;
$t->file('a.json', jwk_json('oct64#3', kid => 'A'));
$t->everywhere('a token of a key that is gone is refused by every process', sub { $t->get('/plain', token => $good)->status == 401 });
my %last;
$last{ $t->get('/plain', token => $good)->reason }++ for 1 .. 20;
is(join(',', sort keys %last), 'signature_invalid', 'for that reason');
passes($t->get('/plain', token => mint('oct64#3', {})), 'control: the new key');
$_->finish(more => 1) for @server;
done_testing();
