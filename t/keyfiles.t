#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# Key files that change while the server runs: noticed in every process, replaced by nothing
# that is broken, and known to a child from its first request on.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use M2MGW::Test;

sub set { my (@kids) = @_; return jwks_json(map { jwk("p256#$_", kid => $_) } @kids) }
sub token { my ($kid) = @_; return mint("p256#$kid", { sub => 'a' }, { kid => $kid, alg => 'ES256' }) }

# children end after a few connections, so that new ones start all the time
my $t = M2MGW::Test->start(files => { 'keys.json' => set('A'), 'other.json' => set('X') },
    config => <<'CONF');
MaxConnectionsPerChild 40
ProxyPass / http://@BACKEND@/
<Location /a>
    M2MJwks file:@ROOT@/keys.json
</Location>
<Location /b>
    M2MJwks file:@ROOT@/keys.json
    M2MJwks file:@ROOT@/other.json
    M2MJwk kty=oct k=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8 kid=I
</Location>
<Location /status>
    SetHandler m2m-status
    ProxyPass !
</Location>
CONF
my $file = "$t->{root}/keys.json";
$t->expect_log(qr/keys it held before stay in use|key 'X' of \S+ has the kid of a different key|is skipped/);

sub statuses {
    my ($url, $kid, $n) = @_;
    my %seen;
    $seen{ $t->get($url, token => token($kid))->status }++ for 1 .. $n;
    return join ' ', map { "$_:$seen{$_}" } sort keys %seen;
}

# A kid is answered so in every process, before long.
sub answered {
    my ($url, $kid, $status, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return $t->everywhere($name, sub { $t->get($url, token => token($kid))->status == $status });
}

sub source {
    my $r = $t->get('/status?format=json');
    my ($s) = grep { $_->{source} eq $file } @{ JSON::PP::decode_json($r->body)->{sources} };
    return $s;
}

is(statuses('/a', 'A', 12), '200:12', 'the keys of the start');
is(statuses('/a', 'B', 12), '401:12', 'another key is unknown');

spew($file, set('A', 'B'));
answered('/a', 'B', 200, 'a file written in place is noticed');
is(statuses('/a', 'A', 60), '200:60', 'the older key stays, also in children that start now');

spew("$file.new", set('B', 'C'));
rename "$file.new", $file;
answered('/a', 'C', 200, 'a renamed file is noticed');
answered('/a', 'A', 401, 'and soon the retired key is refused');
is(statuses('/a', 'A', 60), '401:60', 'also by new children');
is(statuses('/b', 'C', 12), '200:12', 'in every section that names the file');
is(statuses('/b', 'X', 12), '200:12', 'next to other files');

my $errors = () = $t->error_log =~ /keys it held before/g;
for my $case (['broken JSON', '{"keys":['], ['no key', '{"keys":[]}'], ['nothing', ''],
    ['weak keys only', jwks_json(jwk('rsa1024', kid => 'C'))]) {
    spew("$file.new", $case->[1]); # in one piece: what is read in between would be told, too
    rename "$file.new", $file or die $!;
    my $told = sub { my $n = () = $t->error_log =~ /keys it held before/g; $n - $errors };
    ok(M2MGW::Test::before_long($told), "$case->[0]: a line says so");
    $t->everywhere('so does the status page', sub { source()->{state} eq 'broken' });
    is(statuses('/a', 'C', 60), '200:60', 'the last good keys stay, also in children that start now');
    is($told->(), 1, 'and one line was enough for all of them');
    $errors++;
}
unlink $file;
ok(M2MGW::Test::before_long(sub { $t->error_log =~ /cannot read \S+keys\.json/ }), 'a file that is gone is told of');
is(statuses('/a', 'C', 12), '200:12', 'and costs no keys');
spew($file, set('C'));
ok(M2MGW::Test::before_long(sub { source()->{state} eq 'ok' }), 'and back');

spew($file, jwks_json(jwk('rsa1024', kid => 'W'), jwk('p256#D', kid => 'D'),
    jwk('p256#Y', kid => 'X')));
answered('/a', 'D', 200, 'a bad key among good ones costs only itself');
answered('/b', 'X', 401, 'a kid that two files claim for different keys');
is(statuses('/b', 'D', 12), '200:12', 'costs the others nothing');
spew($file, set('D'));
answered('/b', 'X', 200, 'and is back when only one claims it');

ok($t->reload, 'a graceful restart');
is(statuses('/a', 'D', 30), '200:30', 'with the keys of now');
$t->finish;
