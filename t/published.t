#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# Keys as the world publishes them: documents that are odd and good, each with a token that
# passes and one that does not; documents that are none, each told for what it is; what a key
# server is asked, and by which way; how often a token without a kid is tried.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Temp ();
use IO::Compress::Gzip ();
use Time::HiRes qw(sleep time);
use M2MGW::Test;

BEGIN { plan(skip_all => 'needs IO::Socket::SSL') if !eval { require IO::Socket::SSL; 1 } }
use M2MGW::Idp;

my $json = JSON::PP->new->latin1->canonical;
my $home = File::Temp::tempdir(CLEANUP => 1);
chmod 0755, $home;
my $idp = M2MGW::Idp->start("$home/idp");
my $clear = M2MGW::Idp->start("$home/clear", clear => 1);
my $REFRESH = 'M2MJwksRefresh ttl=600 max-stale=600 timeout=10 cooldown=2';

sub padded { my ($t) = @_; return $t . '=' x (-length($t) % 4) }
sub standard { my ($t) = @_; return $t =~ tr{-_}{+/}r }
sub gzip { my ($t) = @_; my $out; IO::Compress::Gzip::gzip(\$t => \$out); return $out }
sub with_null { my (%m) = @_; return $json->encode({ %m, kid => 'K' }) =~ s/"<null>"/null/gr }

# --- good documents ---

my $rsa = jwk('rsa');
my $one = jwks_json(jwk('rsa', kid => 'K'));
my $set = sub { $json->encode({ keys => [@_] }) };
my %good = (
    # what, document, key, header of the token
    'empty-lists' => [ $set->({ %$rsa, kid => 'K', key_ops => [], oth => [], x5c => [] }) ],
    'null-private' => [ with_null(%$rsa, d => '<null>', p => '<null>', q => '<null>') ],
    'null-alg' => [ with_null(%$rsa, alg => '<null>', use => '<null>', key_ops => '<null>') ],
    'two-algs' => [ $set->({ %$rsa, kid => 'K', alg => 'RS256' }, { %$rsa, kid => 'K', alg => 'RS512' }), undef, { alg => 'RS512' } ],
    'two-algs-first' => [ $set->({ %$rsa, kid => 'K', alg => 'RS256' }, { %$rsa, kid => 'K', alg => 'RS512' }) ],
    'two-types' => [ $set->({ %$rsa, kid => 'K' }, { %{ jwk('p256') }, kid => 'K' }), 'p256' ],
    'svid' => [ $set->({ %{ jwk('p256') }, kid => 'K', use => 'jwt-svid' }), 'p256' ],
    'rfc9864' => [ $set->({ %{ jwk('ed25519') }, kid => 'K', alg => 'Ed25519' }), 'ed25519', { alg => 'Ed25519' } ],
    'rfc9864-old' => [ $set->({ %{ jwk('ed25519') }, kid => 'K', alg => 'Ed25519' }), 'ed25519' ],
    'padded' => [ $set->({ %$rsa, kid => 'K', n => padded($rsa->{n}), e => padded($rsa->{e}) }) ],
    'standard' => [ $set->({ %$rsa, kid => 'K', n => standard($rsa->{n}) }) ],
    'both' => [ $set->({ kty => 'EC', crv => 'P-256', kid => 'K', map { $_ => padded(standard(jwk('p256')->{$_})) } qw(x y) }), 'p256' ],
    'leading-zero' => [ $set->({ %$rsa, kid => 'K', n => b64("\0" . unb64($rsa->{n})), e => b64("\0\1\0\1") }) ],
    'mark' => [ "\xef\xbb\xbf$one" ],
    'gzip' => [ gzip($one) ],
    'gzip-mark' => [ gzip("\xef\xbb\xbf$one") ],
    'pem-map' => [ $json->encode({ K => pem('rsa'), other => pem('rsa#2') }) ],
    'html-type' => [ $one ],
    'blank' => [ "\r\n\t  $one\n" ],
);
# --- documents that are none: what is said of them ---
my %told = (
    html => [ [ body => '<!DOCTYPE html><html>Sign in</html>', type => 'text/html' ], qr/HTML or XML/ ],
    'html-blank' => [ [ body => "\n\n  <html></html>" ], qr/HTML or XML/ ],
    pem => [ [ body => pem('rsa') ], qr/a PEM and no key set/ ],
    metadata => [ [ body => '{"issuer":"https://x","jwks_uri":"https://keys.example/jwks"}' ], qr{metadata of an issuer.*"https://keys\.example/jwks".*M2MIssuerDiscovery} ],
    empty => [ [ body => '{}' ], qr/an empty object/ ],
    'no-keys' => [ [ body => '{"keys":[]}' ], qr/no usable key/ ],
    'broken-gzip' => [ [ body => "\x1f\x8b\x08\0\0\0\0\0\0\3xxxxxxxxxxxxxxxx" ], qr/the gzip is broken/ ],
    bomb => [ [ body => gzip(' ' x 3_000_000) ], qr/the gzip holds too much/ ],
    missing => [ undef, qr{status 404 from https://localhost:\d+/missing} ],
    forbidden => [ [ status => 403, body => 'no' ], qr{status 403 from https://localhost:\d+/forbidden} ],
    'to-http' => [ [ status => 302, headers => { Location => $clear->url('/good') } ], qr/something else than https/ ],
    'round' => [ [ status => 302, headers => { Location => $idp->url('/round') } ], qr/more often/ ],
);
my %issuer = (
    # what the two places of metadata hold, and what is said
    liar => [ { '/liar/.well-known/openid-configuration' => sprintf '{"issuer":"%s","jwks_uri":"%s"}', $idp->url('/liars'), $idp->url('/mark') },
              qr{metadata at https://localhost:\d+/liar/\.well-known/openid-configuration names another issuer: "https://localhost:\d+/liars" and not "https://localhost:\d+/liar"} ],
    page => [ { '/page/.well-known/openid-configuration' => '<html></html>' }, qr{metadata at https://localhost:\d+/page/\S+: it is HTML or XML} ],
    words => [ { '/words/.well-known/openid-configuration' => 'hello' }, qr{metadata at \S+: it is not usable JSON: \S} ],
    keyless => [ { '/keyless/.well-known/openid-configuration' => sprintf '{"issuer":"%s"}', $idp->url('/keyless') }, qr{metadata at \S+ has no jwks_uri} ],
    outward => [ { '/outward/.well-known/openid-configuration' => sprintf '{"issuer":"%s","jwks_uri":"%s"}', $idp->url('/outward'), $clear->url('/good') }, qr{"http://localhost:\d+/good", is not an https} ],
    first => [ { '/.well-known/oauth-authorization-server/first' => '{"issuer":"https://else.example"}' },
               qr{status 404 from https://localhost:\d+/first/\.well-known/openid-configuration; before that, the metadata at https://localhost:\d+/\.well-known/oauth-authorization-server/first names another issuer: "https://else\.example" and not} ],
    nowhere => [ {}, qr{status 404 from https://localhost:\d+/nowhere/\.well-known/openid-configuration\z} ],
);
# metadata is read as forgivingly as keys
my %marked = (gz => gzip('{"issuer":"ISS","jwks_uri":"KEYS"}'), bom => "\xef\xbb\xbf" . '{"issuer":"ISS","jwks_uri":"KEYS"}');

my $config = '';
sub section { my ($path, @lines) = @_; $config .= "<Location /$path>\n" . join('', map { "    $_\n" } @lines) . "</Location>\n" }
for my $path (sort keys %good) {
    $idp->serve("/$path", body => $good{$path}[0], type => $path eq 'html-type' ? 'text/html' : 'application/json');
    section($path, 'M2MJwks ' . $idp->url("/$path"));
}
for my $path (sort keys %told) {
    $idp->serve("/$path", @{ $told{$path}[0] }) if $told{$path}[0];
    section("told-$path", 'M2MJwks ' . $idp->url("/$path"));
}
for my $name (sort keys %issuer) {
    $idp->serve($_, body => $issuer{$name}[0]{$_}) for keys %{ $issuer{$name}[0] };
    section("issuer-$name", 'M2MIssuerDiscovery ' . $idp->url("/$name"));
}
for my $name (sort keys %marked) {
    my %is = (ISS => $idp->url("/$name"), KEYS => $idp->url('/mark'));
    my $text = '{"issuer":"ISS","jwks_uri":"KEYS"}' =~ s/(ISS|KEYS)/$is{$1}/gr;
    $idp->serve("/$name/.well-known/openid-configuration", body => $name eq 'gz' ? gzip($text) : "\xef\xbb\xbf$text");
    section("issuer-$name", 'M2MIssuerDiscovery ' . $idp->url("/$name"));
}
$clear->serve('/good', body => $one);
# a token without a kid
section('three', map { "M2MJwk " . join ' ', words("rsa#$_") } 1 .. 3);
section('four', map { "M2MJwk " . join ' ', words("rsa#$_") } 1 .. 4);
section('five', map { "M2MJwk " . join ' ', words("rsa#$_") } 1 .. 5);
section('mixed', 'M2MJwk ' . join(' ', words('rsa#1')), "M2MJwk '" . jwk_json('p256') . "'");
sub words { my $j = jwk($_[0], kid => $_[0] =~ s/.*#/k/r); return map { "$_=$j->{$_}" } sort keys %$j }
section('issuers', 'M2MJwk ' . join(' ', words('rsa#1')) . ' issuer=https://one.example', 'M2MIssuer https://two.example');
# claims as providers write them
section('scp', 'M2MJwk ' . join(' ', words('rsa#1')), 'Require m2m-scope r w');
section('path', 'M2MJwk ' . join(' ', words('rsa#1')), 'M2MRequireClaim resource_access.my.client.roles admin', 'M2MClaim "https://hasura.io/jwt/claims.x-hasura-role" header:X-Role',
        'M2MClaim /a~1b/c header:X-Pointer', 'M2MClaim uid header:X-Uid');

my $t = M2MGW::Test->start(config => <<"CONF" . $config);
M2MJwksTLS ca=@{[ $idp->ca ]}
$REFRESH
M2MStateDir \@ROOT\@/state
M2MVerifyCache Off
ProxyPass / http://\@BACKEND\@/
<Location /status>
    SetHandler m2m-status
    ProxyPass !
</Location>
CONF
$t->expect_log(qr/cannot be fetched/);

sub page { JSON::PP::decode_json($t->get('/status?format=json')->body) }
sub source { my ($name) = @_; return (grep { $_->{source} eq $name } @{ page()->{sources} })[0] // {} }

# Ask until the answer is not 503 so many times in a row that every child has the keys.
sub settled {
    my ($url, $token, $server) = @_;
    my ($row, $end, $r) = (0, time + 60);
    while ($row < 12 && time < $end) {
        $r = ($server // $t)->get($url, token => $token);
        if ($r->status == 503) { $row = 0; sleep 0.05 }
        else { $row++ }
    }
    return $r;
}

for my $path (sort keys %good) {
    my (undef, $key, $header) = @{ $good{$path} };
    my %o = ($header->{alg} // '') eq 'Ed25519' ? (sign => 'EdDSA') : ();
    $key //= 'rsa';
    passes(settled("/$path/x", mint($key, { sub => 'a' }, { kid => 'K', %{ $header // {} } }, %o)), "a document: $path");
    denies($t->get("/$path/x", token => mint("$key#other", { sub => 'a' }, { kid => 'K', %{ $header // {} } }, %o)), 401, 'signature_invalid', "$path: a forged token");
}
denies($t->get('/two-algs/x', token => mint('rsa', {}, { kid => 'K', alg => 'RS384' })), 401, 'alg_not_allowed', 'an algorithm that the key is published for under no name');
denies($t->get('/pem-map/x', token => mint('rsa', {}, { kid => 'other' })), 401, 'signature_invalid', 'a map: the other key');

sub fault {
    my ($name) = @_;
    return M2MGW::Test::before_long(sub { source($name)->{fault} }) // '';
}
like(fault($idp->url("/$_")), $told{$_}[1], "told for what it is: $_") for sort keys %told;
like(fault($idp->url("/$_")), $issuer{$_}[1], "an issuer: $_") for sort keys %issuer;
denies($t->get("/told-$_/x", token => mint('rsa', {}, { kid => 'K' })), 503, 'keys_unavailable', "and no keys: $_") for sort keys %told;
denies($t->get("/issuer-$_/x", token => mint('rsa', { iss => $idp->url("/$_") }, { kid => 'K' })), 503, 'keys_unavailable', "and no keys: $_") for sort keys %issuer;
passes(settled("/issuer-$_/x", mint('rsa', { iss => $idp->url("/$_") }, { kid => 'K' })), "metadata: $_") for sort keys %marked;
{
    my $log = $t->error_log;
    like($log, qr/names another issuer: "[^"]+\/liars" and not "[^"]+\/liar"/, 'the log names both issuers');
    like($log, qr/key 'K': its member [ne] is base64 /, 'and how a key is written that is odd');
}

# --- who asks ---

like($idp->heads('/mark'), qr{^User-Agent: mod_m2mgw/\d+\.\d+\.\d+\r$}m, 'who asks is told');
unlike($idp->heads('/mark'), qr/^Accept-Encoding/mi, 'and asks for no coding');

# --- a token without a kid ---

sub tries { page()->{verification}{tries} }
sub costs {
    my ($url, $token, $n, $status, $reason, $what) = @_;
    my $before = tries();
    my $r = $t->get($url, token => $token);
    $status == 200 ? passes($r, $what) : denies($r, $status, $reason, $what);
    is(tries() - $before, $n, "$what: $n signatures");
}
costs('/three/x', mint("rsa#$_", {}), $_, 200, 'ok', "key $_ of three") for 1 .. 3;
costs('/three/x', mint('rsa#stranger', {}), 3, 401, 'signature_invalid', 'a forged token, three keys');
costs('/four/x', mint('rsa#stranger', {}), 4, 401, 'signature_invalid', 'a forged token, four keys');
costs('/five/x', mint('rsa#1', {}), 0, 401, 'kid_unknown', 'five keys');
costs('/five/x', mint('rsa#1', {}, { kid => 'k1' }), 1, 200, 'ok', 'a kid');
costs('/four/x', mint('rsa#stranger', {}, { kid => 'k1' }), 1, 401, 'signature_invalid', 'a forged token with a kid');
costs('/mixed/x', mint('p256', {}), 1, 200, 'ok', 'only keys that can do the algorithm');
like($t->get('/status?format=prometheus')->body, qr/^m2mgw_verification_tries_total @{[ tries() ]}$/m, 'Prometheus has it');
like($t->get('/status')->body, qr/signatures checked/, 'and the page');

# --- issuers ---

my $r = $t->get('/issuers/x', token => mint('rsa#1', { iss => 'https://three.example' }, { kid => 'k1' }));
denies($r, 401, 'issuer_mismatch', 'an issuer that no key is bound to');
passes($t->get('/issuers/x', token => mint('rsa#1', { iss => 'https://one.example' }, { kid => 'k1' })), 'that of the key');
denies($t->get('/issuers/x', token => mint('rsa#1', { iss => 'https://two.example' }, { kid => 'k1' })), 401, 'issuer_mismatch', 'one that is listed, by a key that is bound to another');

# --- claims as providers write them ---

passes($t->get('/scp/x', token => mint('rsa#1', { scp => 'r w' })), 'scp as text');
passes($t->get('/scp/x', token => mint('rsa#1', { scp => [ 'r', 'w' ] })), 'scp as an array');
passes($t->get('/scp/x', token => mint('rsa#1', { scp => ['r'], scope => 'w' })), 'scope and scp');
denies($t->get('/scp/x', token => mint('rsa#1', { scp => ['r w'] })), 403, 'insufficient_scope', 'one element with a blank');
my %access = (resource_access => { 'my.client' => { roles => ['admin'] } });
$r = $t->get('/path/x', token => mint('rsa#1', { %access, 'https://hasura.io/jwt/claims' => { 'x-hasura-role' => 'user' }, 'a/b' => { c => 'p' } }));
passes($r, 'names with dots');
is($r->sent('X-Role'), 'user', 'of a URL');
is($r->sent('X-Pointer'), 'p', 'and a JSON Pointer');
denies($t->get('/path/x', token => mint('rsa#1', { resource_access => { my => { client => { roles => ['user'] } } } })), 401, 'claim_invalid', 'another role');
$r = $t->get('/path/x', token => mint('rsa#1', '{"exp":9999999999,"uid":18446744073709551615,"resource_access":{"my.client":{"roles":["admin"]}}}'));
passes($r, 'an integer of 20 digits');
is($r->sent('X-Uid'), '18446744073709551615', 'keeps them');

# --- what the caller did wrong ---

sub detail {
    my ($value) = @_;
    my $r = $t->get('/three/x', headers => [ Authorization => $value ]);
    for (1 .. 10) { # it is noted when it is logged, which may be behind its answer
        M2MGW::Test::let_finish();
        my $detail = JSON::PP::decode_json($t->get('/status?format=json&id=' . $r->header('X-Ca-Request-Id'))->body)->{detail};
        return ($r, $detail) if defined $detail;
    }
    return ($r, '');
}
my $token = mint('rsa#1', {});
for my $c ([ "Bearer Bearer $token", 'token_malformed', qr/scheme twice/ ], [ $token, 'token_missing', qr/"Bearer " is missing/ ],
           [ "Token $token", 'token_missing', qr/another scheme than Bearer/ ], [ 'Bearer', 'token_missing', qr/a scheme and no token/ ],
           [ 'Bearer 2YotnFZFEjr1zCsicMWpAA', 'token_malformed', qr/three parts, and this has 1/ ], [ '', 'token_missing', qr/the request has no token/ ]) {
    my ($r, $detail) = detail($c->[0]);
    denies($r, 401, $c->[1], "$c->[1]: " . substr $c->[0], 0, 20);
    like($detail, $c->[2], 'and why');
    shows_no_token($detail, 'without the token');
    unlike($detail, qr/2Yot/, 'or what stands in its place');
}
passes($t->get('/three/x', token => $token), 'control');
$t->finish(more => 1);

# --- a state directory that cannot be written ---

$idp->serve('/locked', body => $one);
my $locked = M2MGW::Test->prepare;
mkdir "$locked->{root}/locked", 0555;
chmod 0555, "$locked->{root}/locked";
$locked->begin(<<"CONF");
M2MJwksTLS ca=@{[ $idp->ca ]}
M2MStateDir \@ROOT\@/locked
$REFRESH
<Location /a>
    M2MJwks @{[ $idp->url('/locked') ]}
</Location>
ProxyPass / http://\@BACKEND\@/
CONF
$token = mint('rsa', {}, { kid => 'K' });
passes(settled('/a/x', $token, $locked), 'the keys are used all the same');
is(scalar(grep { $locked->get('/a/x', token => $token)->status != 200 } 1 .. 50), 0, 'by every child');
# a child of root's finds it out when it stores, a server of an ordinary user before
like($locked->error_log, qr/notice.*(?:cannot be stored in .*locked|locked is not writable)/, 'and a notice says why');
like($locked->error_log, qr/notice.*M2MStateDir \S+\/locked: the server's User cannot write there/, 'as one did at the start');
$locked->finish(more => 1);

# --- the way there ---

my $proxy = M2MGW::Idp->start("$home/proxy", clear => 1);
sub asked { my ($host) = @_; return $proxy->count("$host:443") }
sub with_proxy {
    my ($options, %env) = @_;
    local @ENV{ keys %env } = values %env;
    my $s = M2MGW::Test->start(config => <<"CONF");
M2MJwksTLS ca=@{[ $idp->ca ]} $options
M2MStateDir \@ROOT\@/state
M2MJwksRefresh ttl=600 max-stale=600 timeout=2 cooldown=2
<Location /near>
    M2MJwks @{[ $idp->url('/locked') ]}
</Location>
<Location /far>
    M2MJwks https://keys.far.example/jwks
</Location>
<Location /inner>
    M2MJwks https://keys.inner.example/jwks
</Location>
<Location /status>
    SetHandler m2m-status
    ProxyPass !
</Location>
ProxyPass / http://\@BACKEND\@/
CONF
    $s->expect_log(qr/cannot be fetched/);
    passes(settled('/near/x', $token, $s), "$options @{[ %env ]}: loopback is reached directly");
    M2MGW::Test::before_long(sub { # both attempts were made
        (grep { $_->{fault} } @{ JSON::PP::decode_json($s->get('/status?format=json')->body)->{sources} }) >= 2;
    });
    $s->finish(more => 1);
}
my $url = "http://127.0.0.1:$proxy->{port}";
with_proxy("proxy=$url no-proxy=.inner.example,else.example", no_proxy => '*', NO_PROXY => '*');
cmp_ok(asked('keys.far.example'), '>=', 1, 'the proxy is asked for what is far, whatever no_proxy says');
is(asked('keys.inner.example'), 0, 'not for what no-proxy= names');
is(scalar(grep { /localhost|127\.0\.0\.1/ } $proxy->{port} ? split(/\n/, slurp("$home/proxy/log")) : ()), 0, 'nor for loopback');
my $before = () = slurp("$home/proxy/log") =~ /\n/g;
with_proxy('', https_proxy => $url, http_proxy => $url, all_proxy => $url, HTTPS_PROXY => $url);
my $after = () = slurp("$home/proxy/log") =~ /\n/g;
is($after, $before, 'the environment names no proxy');

# --- what httpd -t says ---

for my $c ([ "M2MIssuerDiscovery https://idp.example/tenant/.well-known/openid-configuration", qr{is the URL of metadata; it takes the issuer, .*"https://idp\.example/tenant"} ],
           [ "M2MIssuerDiscovery https://idp.example/.well-known/oauth-authorization-server/tenant", qr{it takes the issuer, .*"https://idp\.example/tenant"} ],
           map({ [ "M2MPlugin $_->[0] x.yaml", qr/scripts of kind $_->[0] are not read here, .*; .*$_->[1]/ ] } [ ipControl => 'Require ip' ], [ backendSignature => 'SSLProxyMachineCertificateFile' ], [ cors => 'M2MPreflight' ],
               [ caching => 'CacheEnable' ], [ basicAuth => 'AuthType Basic' ], [ routing => 'ProxyPass' ], [ errorMapping => 'ErrorDocument' ], [ circuitBreaker => 'BalancerMember' ], [ remoteAuth => 'M2MJwks' ]),
           [ 'M2MPlugin nonsense x.yaml', qr/unknown kind of plugin file "nonsense"/ ],
           [ 'M2MPlugin accessControl tab.yaml', qr/tab\.yaml: line 3, column \d+: .*a tab; YAML is indented with blanks/ ]) {
    my ($status, $out) = try_config("<Location /x>\n    $c->[0]\n</Location>\n", files => { 'x.yaml' => "a: b\n", 'tab.yaml' => "parameters:\n  a: 'Query:a'\n\tb: 'Query:b'\n" });
    isnt($status, 0, "httpd -t refuses $c->[0]");
    like($out, $c->[1], 'and says what to write');
}
my ($status, $out) = try_config("<Location /x>\n    M2MJwk '" . jwk_json('rsa', kid => 'K') . "'\n    M2MAudience https://a.example,https://b.example\n    M2MIssuer https://a.example, https://b.example\n</Location>\n");
is($status, 0, 'a comma is not an error');
like($out, qr{M2MAudience in .*"https://a\.example,https://b\.example" is one value with a comma in it}, 'but a notice');
like($out, qr{M2MIssuer in .*"https://a\.example," is one value with a comma in it}, 'and a trailing one, too');
done_testing();
