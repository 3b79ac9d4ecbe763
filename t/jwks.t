#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# Keys that come from a URL: fetched in the background, rotated, refused when bad, served
# while the identity server is away, and asked for again when a token names a new one. The
# server is a real one with TLS and a private CA.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use M2MGW::Test;
use File::Temp ();
use POSIX ();
use Time::HiRes qw(sleep time);

BEGIN { plan(skip_all => 'needs IO::Socket::SSL') if !eval { require IO::Socket::SSL; 1 } }
use M2MGW::Idp;

my $home = File::Temp::tempdir(CLEANUP => 1);
chmod 0755, $home;
my $idp = M2MGW::Idp->start("$home/idp");
my $clear = M2MGW::Idp->start("$home/clear", clear => 1);
my $SLOW = 'ttl=600 max-stale=600 timeout=2 cooldown=2';
my $PATIENT = 'ttl=600 max-stale=600 timeout=10 cooldown=2'; # on a busy machine

sub set { my (@kids) = @_; return jwks_json(map { jwk("p256#$_", kid => $_) } @kids) }
sub token { my ($kid, %o) = @_; return mint("p256#$kid", { sub => 'a', %o }, { kid => $kid, alg => 'ES256' }) }

my @bad = (
    html => [body => '<html>Sorry</html>', type => 'text/html'],
    empty => [body => '{"keys":[]}'],
    nothing => [body => ''],
    weak => [body => jwks_json(jwk('rsa1024', kid => 'A'))],
    oct => [body => jwks_json(jwk('oct', kid => 'A'))],
    private => [body => '{"kty":"OKP","crv":"Ed25519","kid":"A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}'],
    error => [status => 500, body => set('A')],
    created => [status => 201, body => set('A')],
    huge => [body => set('A') . ' ' x 1024, repeat => 1100],
    gzip => [body => "\x1f\x8b\x08\0\0\0\0\0\0\3" . 'x' x 100, headers => { 'Content-Encoding' => 'gzip' }],
    loop => [status => 302, headers => { Location => $idp->url('/loop') }],
    clear => [status => 302, headers => { Location => $clear->url('/good') }],
    drip => [body => set('A'), drip => 0.05],
    late => [body => set('A'), delay => 30],
);
my %bad = @bad;
$idp->serve("/$_", @{ $bad{$_} }) for keys %bad;
$clear->serve('/good', body => set('A'));
$idp->serve('/good', body => set('A'));
$idp->serve('/redirected', status => 302, headers => { Location => $idp->url('/good') });
$idp->serve('/etag', body => set('A'), headers => { ETag => '"v1"' });
$idp->serve('/mixed', body => jwks_json(jwk('rsa1024', kid => 'W'), jwk('p256#A', kid => 'A'),
    jwk('oct', kid => 'O')));
for my $path (qw(rotate wait random fresh two)) { $idp->serve("/$path", body => set('A')) }
$idp->serve('/.well-known/oauth-authorization-server/tenant', body =>
    sprintf '{"issuer":"%s","jwks_uri":"%s"}', $idp->url('/tenant'), $idp->url('/good'));
$idp->serve('/oidc/.well-known/openid-configuration', body =>
    sprintf '{"issuer":"%s","jwks_uri":"%s"}', $idp->url('/oidc'), $idp->url('/good'));
$idp->serve('/liar/.well-known/openid-configuration', body =>
    sprintf '{"issuer":"%s","jwks_uri":"%s"}', $idp->url('/oidc'), $idp->url('/good'));
$idp->serve('/inward/.well-known/openid-configuration', body =>
    sprintf '{"issuer":"%s","jwks_uri":"%s"}', $idp->url('/inward'), $clear->url('/good'));

my $locations = '';
for my $path ((map { $bad[2 * $_] } 0 .. $#bad / 2), qw(good redirected mixed random)) {
    $locations .= sprintf "<Location /%s>\n  M2MJwks %s\n  M2MJwksRefresh %s\n</Location>\n",
        $path, $idp->url("/$path"), $bad{$path} ? $SLOW : $PATIENT;
}
for my $path (qw(tenant oidc liar inward)) {
    $locations .= sprintf "<Location /%s>\n  M2MIssuerDiscovery %s\n  M2MJwksRefresh $PATIENT\n"
        . "</Location>\n", $path, $idp->url("/$path");
}
my %url = (map({ ($_ => $idp->url("/$_")) } qw(etag rotate wait fresh two)),
           httpgood => $clear->url('/good'));
my $config = $locations . <<"CONF";
M2MJwksTLS ca=@{[ $idp->ca ]}
M2MStateDir \@ROOT\@/state
ProxyPass / http://\@BACKEND\@/
<Location /etag>
    M2MJwks $url{etag}
    M2MJwksRefresh ttl=1 max-stale=60 timeout=2 cooldown=1
</Location>
<Location /rotate>
    M2MJwks $url{rotate}
    M2MJwksRefresh ttl=600 max-stale=600 timeout=10 cooldown=1
</Location>
<Location /wait>
    M2MJwks $url{wait}
    M2MJwksWait 3000
    M2MJwksRefresh ttl=600 max-stale=600 timeout=10 cooldown=1
</Location>
<Location /fresh>
    M2MJwks $url{fresh}
    M2MJwksRefresh ttl=1 max-stale=12 timeout=1 cooldown=1
</Location>
<Location /two>
    M2MJwks $url{two}
    M2MJwks $url{httpgood}
    M2MJwk kty=oct k=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8 kid=inline
    M2MJwksRefresh $PATIENT
</Location>
<Location /two/again>
    M2MLeeway 0
</Location>
<Location /narrow>
    M2MJwks $url{etag}
    M2MAlgorithms RS256
    M2MJwksRefresh ttl=1 max-stale=60 timeout=2 cooldown=1
</Location>
<Location /status>
    SetHandler m2m-status
    ProxyPass !
</Location>
CONF

$config .= "<Location /nowhere>\nM2MJwks https://nowhere.invalid/jwks\n</Location>\n"
    . "<Location /refused>\nM2MJwks https://localhost:1/jwks\n</Location>\n";

my $t = M2MGW::Test->start(config => $config);
$t->expect_log(qr/M2-503: |cannot be fetched|cannot be refreshed|is skipped|longer than max-stale/);

# Ask until the answer is as wanted several times in a row, so that every child has it, for
# so many seconds; the last answer.
sub until_status {
    my ($url, $token, $status, $seconds, $server) = @_;
    my $while = $status == 401 ? 1.2 : 0; # what a process still believes it has to find out
    my $end = time + $seconds;
    my ($row, $since) = (0, time);
    my $r;
    do {
        sleep 0.02;
        $r = ($server // $t)->get($url, token => $token);
        ($row, $since) = $r->status == $status ? ($row + 1, $since) : (0, time);
        return $r if $row >= 12 && time - $since > $while;
    } while (time < $end);
    return $r;
}

sub source {
    my ($url) = @_;
    my $r = $t->get('/status?format=json');
    my ($s) = grep { $_->{source} eq $url } @{ JSON::PP::decode_json($r->body)->{sources} };
    return $s;
}

# --- good ones ---

passes(until_status('/good/x', token('A'), 200, 60), 'keys of an https URL');
passes(until_status('/redirected/x', token('A'), 200, 60), 'a redirect to https is followed');
passes(until_status('/mixed/x', token('A'), 200, 60), 'bad keys cost only themselves');
denies($t->get('/mixed/x', token => mint('oct', {}, { kid => 'O' })), 401, 'kid_unknown',
    'a shared secret that came from a URL');
passes(until_status('/tenant/x', token('A', iss => $idp->url('/tenant')), 200, 60),
    'RFC 8414 discovery');
passes(until_status('/oidc/x', token('A', iss => $idp->url('/oidc')), 200, 60),
    'OpenID discovery');
denies($t->get('/oidc/x', token => token('A', iss => $idp->url('/tenant'))), 401,
    'issuer_mismatch', 'discovery pins the issuer');
denies($t->get('/oidc/x', token => token('A')), 401, 'claim_missing', 'and wants iss');
passes(until_status('/two/x', token('A'), 200, 60), 'two sources and an inline key in one set');
passes($t->get('/two/x', token => mint_raw('HS256', join('', map { chr } 0 .. 31),
    '{"alg":"HS256","kid":"inline"}', '{"exp":9999999999}')), 'the inline key');
passes($t->get('/two/again', token => token('A')), 'an inherited source');
is($idp->count('/two'), 1, 'one source for all sections and processes');
denies($t->get('/good/x'), 401, 'token_missing', 'no token');
denies($t->get('/good/x', token => token('A') . 'x'), 401, 'token_malformed', 'a spoilt token');

# --- keys that can do none of what is allowed: known when they have come ---

passes(until_status('/etag/x', token('A'), 200, 60), 'control: the same keys where nothing is narrowed');
denies(until_status('/narrow/x', token('A'), 401, 60), 401, 'alg_not_allowed', 'a token of theirs where they can do nothing');
my ($narrow) = grep { $_->{section} =~ m{^<Location /narrow>} } @{ JSON::PP::decode_json($t->get('/status?format=json')->body)->{sections} };
is($narrow->{state}, 'alg_not_allowed', 'the page says so');
like($t->get('/status')->body, qr{class="bad">alg_not_allowed<}, 'in red');
my %told;
M2MGW::Test::before_long(sub {
    %told = ();
    my $log = $t->error_log;
    $told{$1}++ while $log =~ /\[m2mgw:warn\] \[pid (\d+)[^\n]*M2-503: the section in line \d+ of \S+: M2MAlgorithms names none/g;
    return %told ? 1 : 0;
});
ok(%told, 'and the log');
is((grep { $_ > 1 } values %told) + 0, 0, 'once in each process, however often they are refreshed');

# --- bad ones: 503, whatever the answer was ---

for my $path (map { $bad[2 * $_] } 0 .. $#bad / 2) {
    my $r = $t->get("/$path/x", token => token('A'));
    denies($r, 503, 'keys_unavailable', "no keys from $path");
    ok($r->header('Retry-After'), "Retry-After: $path");
}
for my $path (qw(liar inward)) {
    denies($t->get("/$path/x", token => token('A', iss => $idp->url("/$path"))), 503,
        'keys_unavailable', "discovery: $path");
}
for my $url ('https://nowhere.invalid/jwks', 'https://localhost:1/jwks',
             map { $idp->url("/$_") } qw(html drip late huge)) {
    my ($s, $path) = (undef, $url);
    M2MGW::Test::before_long(sub { $s = source($url); $s->{fault} }, 120); # a name server may be slow
    ok($s->{fault}, "the status page has the fault of $path: " . ($s->{fault} // ''));
    is($s->{state}, 'unavailable', "and its state");
}

# --- rotation and unknown kids ---

passes(until_status('/rotate/x', token('A'), 200, 60), 'before the rotation');
$idp->serve('/rotate', body => set('B'));
sleep 1.1;
my $r = $t->get('/rotate/x', token => token('B'));
denies($r, 401, 'kid_unknown', 'the first token with a new kid');
is($r->header('Retry-After'), '1', 'which may come again in a second');
my $from = time;
passes(until_status('/rotate/x', token('B'), 200, 30), sprintf 'the new key after an early refresh (%.2f s)', time - $from);
is(until_status('/rotate/x', token('A'), 401, 30)->status, 401, 'soon the retired key is refused, also for a token seen before');
my $old = grep { $t->get('/rotate/x', token => token('A'))->status == 200 } 1 .. 20;
is($old, 0, 'by every process');

passes(until_status('/wait/x', token('A'), 200, 60), 'before the rotation');
my $waited;
for my $kid (map { "W$_" } 1 .. 8) { # on a busy machine they may come later than it waits
    sleep 1.1;
    $idp->serve('/wait', body => set('A', $kid));
    $waited = $t->get('/wait/x', token => token($kid));
    last if $waited->status == 200;
}
passes($waited, 'M2MJwksWait: the request that asked passes');
$from = time;
denies($t->get('/wait/x', token => token('C')), 401, 'kid_unknown', 'a kid that does not come');
cmp_ok(time - $from, '<', 30, 'waits no longer than it may, and a busy machine');

# A request of a process of its own, which sends and then tells so; in the end what came, and when.
sub crowd {
    my ($n, $text) = @_;
    pipe my $sent, my $tell or die $!;
    my @pipes;
    for (1 .. $n) {
        my $pid = open(my $out, '-|') // die $!;
        if (!$pid) {
            my $c = $t->client;
            $c->send_bytes($text);
            syswrite $tell, 's';
            my $r = $c->response;
            $c->close;
            syswrite STDOUT, time . ' ' . ($r ? $r->status . ' ' . $r->reason : 'none');
            POSIX::_exit(0);
        }
        push @pipes, $out;
    }
    sysread $sent, my $one, 1 for 1 .. $n;
    return @pipes;
}

# As many as there are workers, and more, wait for a slow key server: a quarter of those that run
# do, and the others are refused at once, so that somebody else is answered meanwhile.
{
    my ($took, $waiting, @answers) = (99, 0);
    my $ask = sub { "GET $_[0] HTTP/1.1\r\nHost: gw.test\r\nConnection: close\r\nAuthorization: Bearer $_[1]\r\n\r\n" };
    for my $attempt (1 .. 8) { # on a busy machine it may come late, and prefork starts its workers slowly
        sleep 1.1;
        $idp->serve('/wait', body => set('A', 'B'), delay => 6);
        my @pipes = crowd(40, $ask->('/wait/x', mint_raw('HS256', 'x' x 32, "{\"alg\":\"HS256\",\"kid\":\"crowd$attempt\"}", '{}')));
        $from = time;
        my $other = $t->get('/good/x', token => token('A'));
        my $answered = time;
        @answers = map { my $line = <$_>; close $_; [ split / /, $line // '', 2 ] } @pipes;
        ($took, $waiting) = ($answered - $from, scalar grep { $_->[0] > $answered } @answers);
        last if $other->status == 200 && $took < 2 && $waiting;
    }
    cmp_ok($took, '<', 2, sprintf '40 requests with an unknown kid: another is answered meanwhile (%.2f s)', $took);
    ok($waiting, "while $waiting wait");
    is_deeply([ grep { $_->[1] ne '401 kid_unknown' } @answers ], [], 'and all are refused');
    $idp->serve('/wait', body => set('A', 'B'));
}

passes(until_status('/random/x', token('A'), 200, 60), 'before the strangers');
my $before = $idp->count('/random');
$from = time;
for my $i (1 .. 400) {
    my $got = $t->get('/random/x', token => mint_raw('HS256', 'x' x 32,
        "{\"alg\":\"HS256\",\"kid\":\"stranger$i\"}", '{}'));
    next if $got->status == 401;
    fail("stranger $i: " . $got->status);
    last;
}
M2MGW::Test::before_long(sub { $idp->count('/random') > $before });
sleep 0.5;
my $most = 1 + int((time - $from) / 2);
cmp_ok($idp->count('/random') - $before, '<=', $most,
    "400 random kids cause at most one fetch per cooldown ($most)");
cmp_ok($idp->count('/random') - $before, '>=', 1, 'and at least one');

# --- what people see ---

{
    my $page = JSON::PP::decode_json($t->get('/status?format=json')->body);
    my ($key) = grep { ($_->{kid} // '') eq 'A' && $_->{source} eq $idp->url('/good') } @{ $page->{keys} };
    ok($key && defined $key->{age} && $key->{next_refresh} > 0, 'a key with source, age and next refresh');
    my ($inline) = grep { $_->{kid} eq 'inline' } @{ $page->{keys} };
    is($inline->{source}, 'configuration', 'and one that was configured');
    my $text = $t->get('/status?format=prometheus')->body;
    my $good = quotemeta $idp->url('/good');
    like($text, qr/^m2mgw_key_source_usable\{source="$good"\} 1$/m, 'Prometheus: a good source');
    like($text, qr/^m2mgw_key_source_usable\{source="[^"]*\/html"\} 0$/m, 'and a bad one');
    unlike($text . $t->get('/status')->body, qr/11qYAYKx|AAECAwQFBg/, 'no key text');
}

# --- If-None-Match ---

passes(until_status('/etag/x', token('A'), 200, 60), 'with an ETag');
M2MGW::Test::before_long(sub { $idp->count('/etag') >= 3 });
like($idp->last_request('/etag'), qr/"v1"/, 'the ETag is sent back');
is(source($url{etag})->{swaps}, 1, 'an unchanged set is swapped once');

# --- the server goes away ---

passes(until_status('/fresh/x', token('A'), 200, 60), 'while it is up');
for my $answer ([body => '{"keys":[]}'], [body => '<html>'], [status => 500]) {
    $idp->serve('/fresh', @$answer);
    sleep 0.7;
    passes($t->get('/fresh/x', token => token('A')), 'a bad answer replaces nothing');
}
$idp->down;
passes($t->get('/good/x', token => token('A')), 'down: the last good keys');
$r = until_status('/fresh/x', token('A'), 503, 60);
denies($r, 503, 'keys_unavailable', 'past max-stale');
ok($r->header('Retry-After'), 'with Retry-After');
is(source($url{fresh})->{state}, 'unavailable', 'and the status page says so');

ok($t->reload, 'a graceful restart while it is down');
passes(until_status('/good/x', token('A'), 200, 30), 'served from the last good copy');
$t->stop;
$t->launch;
passes($t->get('/good/x', token => token('A')), 'so does a full restart, from the first request');
passes($t->get('/rotate/x', token => token('B')), 'with the keys it had last');
denies($t->get('/rotate/x', token => token('A')), 401, 'kid_unknown', 'and no others');
my $up = $t->get('/fresh/x', token => token('A'));
denies($up, 503, 'keys_unavailable', 'a copy past max-stale is not used');

$idp->serve('/fresh', body => set('A'));
$idp->up;
passes(until_status('/fresh/x', token('A'), 200, 40), 'and it is back');

# --- a graceful restart in the middle of a fetch ---

$idp->serve('/rotate', body => set('D'), delay => 1.5);
$t->get('/rotate/x', token => token('D'));
sleep 0.4;
ok($t->reload, 'a graceful restart during a fetch');
$idp->serve('/rotate', body => set('D'));
sleep 1.5;
$t->get('/rotate/x', token => token('D'));
passes(until_status('/rotate/x', token('D'), 200, 40), 'the key came all the same');

$t->finish(more => 1);

# --- certificates ---

$idp->serve('/good', body => set('A'));
my $strange = M2MGW::Test->start(config => <<"CONF");
M2MJwksTLS ca=@{[ $idp->stranger ]}
ProxyPass / http://\@BACKEND\@/
<Location /a>
    M2MJwks @{[ $idp->url('/good') ]}
</Location>
CONF
$strange->expect_log(qr/cannot be fetched/);
for (1 .. 600) { last if $strange->error_log =~ /cannot be fetched/; sleep 0.1 }
denies($strange->get('/a', token => token('A')), 503, 'keys_unavailable',
    'a certificate of another CA');
like($strange->error_log, qr/M2-\d+: \S+\/good: cannot be fetched: .*certificate/i, 'said why');
$strange->finish(more => 1);

open my $flag, '>', "$home/idp/want_client" or die $!;
close $flag;
for my $case (["cert=@{[ $idp->client_cert ]} key=@{[ $idp->client_key ]}", 200], ['', 503]) {
    my $mtls = M2MGW::Test->start(config => <<"CONF");
M2MJwksTLS ca=@{[ $idp->ca ]} $case->[0]
ProxyPass / http://\@BACKEND\@/
<Location /a>
    M2MJwks @{[ $idp->url('/good') ]}
</Location>
CONF
    $mtls->expect_log(qr/cannot be fetched/);
    for (1 .. 600) { last if $case->[1] == 200 || $mtls->error_log =~ /cannot be fetched/; sleep 0.1 }
    my $got = until_status('/a', token('A'), $case->[1], 60, $mtls);
    is($got->status, $case->[1], $case->[0] ? 'a client certificate' : 'no client certificate');
    $mtls->finish(more => 1);
}

# --- configuration ---

my $good = $idp->url('/good');
for my $case (
    ["<Location /a>\nM2MJwks $good\nM2MJwksRefresh ttl=5\n</Location>\n"
     . "<Location /b>\nM2MJwks $good\n</Location>\n", qr/two refresh policies/],
    ["<Location /a>\nM2MJwks $good\n<If \"true\">\nM2MJwksRefresh ttl=7\n</If>\n</Location>\n",
     qr/two refresh policies/],
    ["<Location /a>\nM2MJwks http://idp.example/jwks\n</Location>\n", qr/loopback/],
    ["<Location /a>\nM2MJwks ftp://idp.example/jwks\n</Location>\n", qr/M2MJwks/],
    ["<Location /a>\nM2MJwks https://user:pw\@idp.example/jwks\n</Location>\n", qr/user/],
    ["<Location /a>\nM2MJwks $good\nM2MJwks $good\n</Location>\n", qr/twice/],
    ["<Location /a>\nM2MIssuerDiscovery $good/.well-known/openid-configuration\n</Location>\n", qr/takes the issuer/],
) {
    my ($status, $out) = try_config($case->[0]);
    isnt($status, 0, 'refused at httpd -t');
    like($out, $case->[1], 'and said why');
}
my ($status, $out) = try_config("<Location /a>\nM2MJwks $good\nM2MJwksRefresh ttl=5\n</Location>\n"
    . "<Location /b>\nM2MJwks $good\nM2MJwksRefresh ttl=5\n</Location>\n");
is($status, 0, 'one policy for one URL in two sections') or diag($out);
done_testing();
