# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# Tokens bound to a key (RFC 9449): what a proof must be, and that a stolen token, a stolen
# proof, or both of them at another place, reach no backend. Beside each refusal stands the
# request that it was made from.
use strict;
use warnings;
use Digest::SHA qw(sha256);
use JSON::PP ();
use M2MGW::Test;

my $json = JSON::PP->new->canonical;
my $KEYS = jwks_json(jwk('p256#issuer', kid => 'I'));

# RFC 7638 of an EC or OKP key
sub jkt {
    my ($name) = @_;
    my $j = jwk($name);
    my %m = map { $_ => $j->{$_} } grep { exists $j->{$_} } qw(crv kty x y e n);
    return b64(sha256($json->encode(\%m)));
}

my $serial = 0;

# A proof by the key for METHOD URL and a token; members given override.
sub proof {
    my ($name, $method, $url, $token, %o) = @_;
    my %claims = (exp => undef, jti => 'j' . $$ . '-' . ++$serial, htm => $method, htu => $url,
                  iat => now(), (defined $token ? (ath => b64(sha256($token))) : ()),
                  %{ $o{claims} // {} });
    return mint($name, \%claims, { typ => 'dpop+jwt', jwk => jwk($o{jwk} // $name),
                                   %{ $o{header} // {} } });
}

sub token { my (%c) = @_; return mint('p256#issuer', { sub => 'a', %c }, { kid => 'I' }) }
sub bound { return token(cnf => { jkt => jkt($_[0] // 'p256#client') }, n => ++$serial) }

my $t = M2MGW::Test->start(config => <<'CONF', files => { 'keys.json' => $KEYS });
<Location /api>
    M2MJwks file:@ROOT@/keys.json
    ProxyPass http://@BACKEND@/api
</Location>
<Location /api/only>
    M2MSenderConstraint DPoP
</Location>
<Location /api/any>
    M2MSenderConstraint Any
</Location>
<Location /api/off>
    M2MSenderConstraint Off
</Location>
<Location /api/algs>
    M2MDPoP algs=EdDSA,ES384
</Location>
<Location /api/window>
    M2MDPoP window=5
</Location>
<Location /api/once>
    M2MPreventJtiReplay On
</Location>
<Location /api/public>
    M2MPublicURL https://api.example/v1 HTTPS://Other.example:8443
</Location>
<Location /api/removed>
    M2MForwardToken Off
</Location>
<Location /api/maybe>
    M2MBypassEmptyToken On
</Location>
<Location /api/maybe/removed>
    M2MForwardToken Off
</Location>
<Location /api/xtoken>
    M2MToken header:X-Token query:tok
</Location>
<Location /api/shadow>
    M2MJwks file:@ROOT@/keys.json
    M2MEngine Shadow
    M2MSenderConstraint DPoP
    M2MDPoP nonce=On
</Location>
<Location /api/nonce>
    M2MDPoP nonce=On window=30
    Header set DPoP-Nonce theirs
    Header always set DPoP-Nonce theirs
</Location>
<Location /api/nonce/limit>
    M2MLimit once * 1/1h
</Location>
<Location /api/nonce/away>
    Redirect /api/nonce/away /x
</Location>
<Location /api/nonce/described>
    M2MOperation GET /api/nonce/described
</Location>
<Location /api/gateway>
    M2MDPoP nonce=On
    M2MErrorProfile gateway
</Location>
<Location /api/rule>
    M2MParameter q Query:q
    M2MRule deny "$q = 'no'" ifTrue=DENY
</Location>
CONF

# send(PATH, TOKEN, PROOF, scheme, more options): a request with both
sub send_it {
    my ($path, $token, $proof, %o) = @_;
    my $scheme = delete $o{scheme} // 'DPoP';
    my @h = (['Authorization', "$scheme $token"]);
    push @h, map { ['DPoP', $_] } ref $proof ? @$proof : $proof if defined $proof;
    push @h, @{ delete $o{headers} // [] };
    return $t->request($o{method} // 'GET', $path, %o, headers => \@h);
}

# A request with a fresh token and a proof for exactly it; members given override.
sub good {
    my ($path, %o) = @_;
    my $key = $o{key} // 'p256#client';
    my $token = $o{token} // bound($key);
    return send_it($path, $token,
                   proof($key, $o{method} // 'GET', $o{url} // "http://gw.test$path", $token, %o),
                   %{ $o{send} // {} });
}

# --- the scheme and the binding ---

passes(good('/api'), 'a bound token with its proof');
passes($t->get('/api', token => token()), 'an unbound token as Bearer');
{
    my $token = bound();
    denies($t->get('/api', token => $token), 401, 'proof_missing', 'a bound token as Bearer');
    denies(send_it('/api', $token, proof('p256#client', 'GET', 'http://gw.test/api', $token),
                   scheme => 'Bearer'), 401, 'proof_missing', 'as Bearer beside its proof');
    denies(send_it('/api', $token, undef), 401, 'proof_missing', 'without a proof');
    denies(send_it('/api', $token, ''), 401, 'proof_missing', 'with an empty one');
    passes(send_it('/api', $token, proof('p256#client', 'GET', 'http://gw.test/api', $token),
                   scheme => 'dPOp'), 'the scheme in any case');
}
{
    my $token = token();
    my $r = send_it('/api', $token, proof('p256#client', 'GET', 'http://gw.test/api', $token));
    denies($r, 401, 'proof_invalid', 'an unbound token as DPoP');
    like(join("\n", $r->header('WWW-Authenticate')), qr/error="invalid_token"/,
         '... of which the token is at fault');
}
{
    my $token = bound();
    my $url = 'http://gw.test/api';
    my ($one, $two) = map { proof('p256#client', 'GET', $url, $token) } 1, 2;
    denies(send_it('/api', $token, [$one, $two]), 401, 'proof_invalid', 'two DPoP headers');
    denies(send_it('/api', $token, "$one, $two"), 401, 'proof_invalid', 'a list in one');
    denies(send_it('/api', $token, "$one,"), 401, 'proof_invalid', 'a list of one');
    passes(send_it('/api', $token, $one), 'none of these spent the proof');
}

# --- another method, place, token, key, time ---

denies(good('/api', claims => { htm => 'POST' }), 401, 'proof_invalid', 'for another method');
denies(good('/api', claims => { htm => 'get' }), 401, 'proof_invalid', 'for it in small letters');
passes(good('/api', method => 'POST', send => { method => 'POST', body => 'x' }), 'for POST');
for my $url (qw(http://gw.test/api2 http://gw.test/ http://gw.test/api/ http://gw.test//api
                http://gw2.test/api http://gw.test:8080/api https://gw.test/api http://gw.test/API
                http://a@gw.test/api /api gw.test/api ftp://gw.test/api http://gw.test/api%2F),
             'http://gw.test/a pi', '') {
    denies(good('/api', url => $url), 401, 'proof_invalid', "made for '$url'");
}
for my $url (qw(HTTP://GW.Test/api http://gw.test:80/api http://gw.test/%61pi
                http://gw.test/x/../api http://gw.test/./api http://gw.test:/api), 'http://gw.test/api?x=1#y') {
    passes(good('/api', url => $url), "made for '$url'");
}
passes(good('/api', url => 'http://gw.test/api', send => {}), 'without a query');
for my $raw ('|', '[', ']', '{', '}', '^') {
    my $escaped = sprintf '%%%02X', ord $raw;
    passes(good("/api/a$raw" . 'b', url => "http://gw.test/api/a$raw" . 'b'), "made for a raw $raw");
    passes(good("/api/a$raw" . 'b', url => "http://gw.test/api/a${escaped}b"), '... or its escape');
    passes(good("/api/a${escaped}b", url => "http://gw.test/api/a$raw" . 'b'), '... and for it raw');
    denies(good("/api/a$raw" . 'b', url => 'http://gw.test/api/ab'), 401, 'proof_invalid', '... but not without it');
}
for my $raw ('\\', '"', '<', '`') {
    denies(good('/api/x', url => "http://gw.test/api/x$raw"), 401, 'proof_invalid', "made for $raw, which is not a URL");
}
{
    my $token = bound();
    my $proof = proof('p256#client', 'GET', 'http://gw.test/api/%7Ea', $token);
    passes(send_it('/api/x/%2e%2e/~a?q=1', $token, $proof), 'a target that is written otherwise');
    $token = bound();
    $proof = proof('p256#client', 'GET', 'http://evil.test/api', $token);
    for my $h (['X-Forwarded-Host', 'evil.test'], ['Forwarded', 'host=evil.test;proto=http']) {
        denies(send_it('/api', $token, $proof, headers => [$h]), 401, 'proof_invalid',
               "$h->[0] does not say where it was sent to");
    }
    denies(send_it('/api', $token, $proof, host => 'evil.test'), 401, 'proof_invalid',
           'Host neither');
    denies(send_it('http://evil.test/api', $token, $proof, host => 'evil.test'), 401,
           'proof_invalid', 'nor does a request target in absolute form');
    passes(send_it('http://evil.test/api', $token,
                   proof('p256#client', 'GET', 'http://gw.test/api', $token), host => 'evil.test'),
           'of which the path counts');
}
denies(good('/api', claims => { ath => b64(sha256(bound())) }), 401, 'proof_invalid',
       'for another token');
denies(good('/api', claims => { ath => undef }), 401, 'proof_invalid', 'for no token');
{
    my $token = bound('p256#client');
    denies(send_it('/api', $token, proof('p256#thief', 'GET', 'http://gw.test/api', $token)), 401,
           'proof_invalid', 'by a key that the token is not bound to');
    denies(send_it('/api', $token, proof('p256#thief', 'GET', 'http://gw.test/api', $token,
                                         jwk => 'p256#client')), 401, 'proof_invalid',
           'with the right key in it, signed by another');
}
denies(good('/api', claims => { iat => now() - 90 }), 401, 'proof_invalid', 'made long ago');
denies(good('/api', claims => { iat => now() + 90 }), 401, 'proof_invalid', 'made tomorrow');
passes(good('/api', claims => { iat => now() - 50 }), 'made a moment ago');
passes(good('/api', claims => { iat => now() + 50 }), 'made in a moment');
denies(good('/api/window', claims => { iat => now() - 20 }), 401, 'proof_invalid',
       'a window that is narrower');
passes(good('/api', claims => { exp => 1, nbf => 'never' }), 'exp and nbf say nothing');

# --- its key and form ---

denies(good('/api', header => { typ => 'JWT' }), 401, 'proof_invalid', 'another typ');
denies(good('/api', header => { typ => undef }), 401, 'proof_invalid', 'no typ');
denies(good('/api', header => { crit => ['a'] }), 401, 'proof_invalid', 'crit');
denies(good('/api', header => { jwk => undef }), 401, 'proof_invalid', 'no key');
for my $member (qw(d p q dp dq qi oth k)) {
    denies(good('/api', header => { jwk => jwk('p256#client', $member => 'AQAB') }), 401,
           'proof_invalid', "a key with the member $member");
}
{
    my $token = token(cnf => { jkt => b64(sha256($json->encode({ k => jwk('oct')->{k},
                                                                 kty => 'oct' }))) });
    denies(send_it('/api', $token, proof('oct', 'GET', 'http://gw.test/api', $token)), 401,
           'proof_invalid', 'a symmetric key');
}
denies(good('/api', claims => { jti => 'x' x 257 }), 401, 'proof_invalid', 'a jti too long');
denies(good('/api', claims => { jti => undef }), 401, 'proof_invalid', 'no jti');
passes(good('/api', claims => { jti => 'x' x 256 }), 'a long one');
passes(good('/api', key => 'ed25519#client'), 'EdDSA');
passes(good('/api', key => 'rsa#client'), 'RS256');
passes(good('/api/algs', key => 'ed25519#client'), 'an algorithm in algs=');
denies(good('/api/algs'), 401, 'proof_invalid', 'one that is not');

# --- what cnf may be ---

for my $bad ('x', [], 1, JSON::PP::true, { jkt => 'short' }, { jkt => undef },
             { jkt => jkt('p256#client') . '=' }) {
    my $token = token(cnf => $bad);
    denies(send_it('/api', $token, proof('p256#client', 'GET', 'http://gw.test/api', $token)), 401,
           'claim_invalid', 'cnf is ' . JSON::PP->new->allow_nonref->canonical->encode($bad));
}
denies($t->get('/api', token => token(cnf => {})), 401, 'proof_missing', 'cnf is empty');
denies($t->get('/api', token => token(cnf => { kid => 'a' })), 401, 'proof_missing',
       'cnf names what is not known');
passes(good('/api', token => token(cnf => { jkt => jkt('p256#client'), kid => 'a' })),
       'which is ignored beside what is');
denies($t->get('/api/only', token => token()), 401, 'proof_missing', 'DPoP wants a binding');
passes(good('/api/only'), '... and takes it');
denies($t->get('/api/any', token => token()), 401, 'proof_missing', 'Any wants one');
passes(good('/api/any'), '... and takes it');
passes($t->get('/api/off', token => bound()), 'Off takes a bound token from anybody');
{
    my $token = bound();
    denies(send_it('/api/off', $token, proof('p256#client', 'GET', 'http://gw.test/api/off', $token)),
           401, 'token_malformed', '... and knows no scheme DPoP');
}

# --- other places for a token ---

{
    my $token = bound();
    my $url = 'http://gw.test/api/xtoken';
    my $fresh = sub { proof('p256#client', 'GET', $url, $token) };
    passes($t->get('/api/xtoken', headers => ['X-Token', "DPoP $token", 'DPoP', $fresh->()]),
           'a header of another name under the scheme');
    denies($t->get('/api/xtoken', headers => ['X-Token', $token, 'DPoP', $fresh->()]), 401,
           'proof_missing', 'a bare token counts as Bearer');
    denies($t->get("/api/xtoken?tok=$token", headers => ['DPoP', $fresh->()]), 401,
           'proof_missing', 'one in the query as well');
}

# --- once ---

{
    my $token = bound();
    my $proof = proof('p256#client', 'GET', 'http://gw.test/api', $token);
    my $r = send_it('/api', $token, $proof);
    passes($r, 'a proof');
    $r = send_it('/api', $token, $proof);
    denies($r, 401, 'proof_replayed', 'the same again');
    like(join("\n", $r->header('WWW-Authenticate')), qr/DPoP .*error="invalid_dpop_proof"/,
         '... says so');
    my $other = bound();
    my $claims = { jti => 'same', iat => now() };
    passes(send_it('/api', $other, proof('p256#client', 'GET', 'http://gw.test/api', $other,
                                         claims => $claims)), 'a jti');
    denies(send_it('/api', $token, proof('p256#client', 'GET', 'http://gw.test/api', $token,
                                         claims => $claims)), 401, 'proof_replayed',
           'the same jti by the same key, for another token');
    my $third = bound('p256#other');
    passes(send_it('/api', $third, proof('p256#other', 'GET', 'http://gw.test/api', $third,
                                         claims => $claims)), 'the same jti by another key');
}
{
    my $token = token(cnf => { jkt => jkt('p256#client') }, jti => "once-$$");
    my $url = 'http://gw.test/api/once';
    my $bad = proof('p256#client', 'GET', "$url/x", $token);
    denies(send_it('/api/once', $token, $bad), 401, 'proof_invalid', 'a bad proof');
    my $proof = proof('p256#client', 'GET', $url, $token);
    passes(send_it('/api/once', $token, $proof), '... spent no token');
    denies(send_it('/api/once', $token, $proof), 401, 'proof_replayed', 'a proof comes first');
    denies(send_it('/api/once', $token, proof('p256#client', 'GET', $url, $token)), 401,
           'jti_replayed', 'then its token');
    my $fresh = bound();
    $proof = proof('p256#client', 'GET', 'http://gw.test/api/rule', $fresh);
    denies(send_it('/api/rule?q=no', $fresh, $proof), 403, 'rule_denied', 'a rule that denies');
    passes(send_it('/api/rule?q=yes', $fresh, $proof), '... spent no proof');
}

# A token that was seen before is proven again, in each request of a connection.
{
    my $token = bound();
    my $url = 'http://gw.test/api';
    my $proof = proof('p256#client', 'GET', $url, $token);
    my $bytes = "GET /api HTTP/1.1\r\nHost: gw.test\r\nAuthorization: DPoP $token\r\n";
    my @r = $t->raw(join "\r\n", "${bytes}DPoP: $proof\r\n", "${bytes}DPoP: $proof\r\n", "$bytes",
                    "${bytes}DPoP: @{[ proof('p256#thief', 'GET', $url, $token) ]}\r\n",
                    "${bytes}DPoP: @{[ proof('p256#client', 'GET', $url, $token) ]}\r\nConnection: close\r\n\r\n");
    is(join(' ', map { $_->reason } @r), 'ok proof_replayed proof_missing proof_invalid ok', 'requests of one connection');
    is(scalar(my @reached = $r[0]->backend), 2, '... of which two reached the backend');
}

# 64 at once, over all child processes: exactly one
{
    my $token = bound();
    my $proof = proof('p256#client', 'GET', 'http://gw.test/api', $token);
    my $bytes = "GET /api HTTP/1.1\r\nHost: gw.test\r\nConnection: close\r\n"
        . "Authorization: DPoP $token\r\nDPoP: $proof\r\n\r\n";
    $t->backend_new;
    my @clients = map { $t->client(timeout => 30) } 1 .. 64;
    $_->send_bytes(substr $bytes, 0, -2) for @clients;
    $_->send_bytes("\r\n") for @clients;
    my %seen;
    $seen{ $_ ? $_->status . ' ' . $_->reason : 'closed' }++ for map { $_->response } @clients;
    my @reached = $t->backend_new;
    is($seen{'200 ok'}, 1, '64 simultaneous uses of one proof: one passes');
    is($seen{'401 proof_replayed'}, 63, '... and 63 do not') or diag explain \%seen;
    is(scalar @reached, 1, '... and the backend has seen one');
}

# --- what the backend sees ---

{
    my $token = bound();
    my $proof = proof('p256#client', 'GET', 'http://gw.test/api', $token);
    my $r = send_it('/api', $token, $proof);
    is($r->sent('DPoP'), $proof, 'the proof goes on with its token');
    $token = bound();
    $r = send_it('/api/removed', $token, proof('p256#client', 'GET', 'http://gw.test/api/removed',
                                               $token));
    passes($r, 'a token that is not forwarded');
    is($r->sent('DPoP'), undef, '... takes its proof with it');
}

{
    my $proof = proof('p256#client', 'GET', 'http://gw.test/api/maybe', bound());
    my $r = $t->get('/api/maybe', headers => ['DPoP', $proof]);
    passes($r, 'a proof without a token, where none is asked for');
    is($r->sent('DPoP'), $proof, '... goes on as a token would');
    $r = $t->get('/api/maybe/removed', headers => ['DPoP', $proof, 'dpop', 'x']);
    passes($r, '... where tokens do not go on');
    is($r->sent('DPoP'), undef, '... it does not either');
}

# --- the public URL ---

passes(good('/api/public', url => 'https://api.example/v1/api/public'), 'below M2MPublicURL');
passes(good('/api/public', url => 'https://other.example:8443/api/public'), 'below another');
denies(good('/api/public', url => 'http://gw.test/api/public'), 401, 'proof_invalid',
       'which takes the place of the ServerName');
denies(good('/api/public', url => 'https://api.example/api/public'), 401, 'proof_invalid',
       'and has a path');

# --- challenges ---

{
    my $r = $t->get('/api');
    denies($r, 401, 'token_missing', 'no token');
    my @c = $r->header('WWW-Authenticate');
    is(scalar @c, 2, 'two schemes, two fields') or diag explain \@c;
    is(scalar(grep { /\ABearer / } @c), 1, '... one for Bearer');
    is(scalar(grep { /\ADPoP .*algs="(?:[A-Z]\S+ ?)+"/ } @c), 1, '... one for DPoP');
    ok(!grep({ /error=/ } @c), '... none with an error');
    my ($d) = grep { /\ADPoP/ } $t->get('/api/algs')->header('WWW-Authenticate');
    like($d, qr/algs="ES384 EdDSA Ed25519 Ed448"/, 'algs are those of M2MDPoP');
    @c = $t->get('/api/only')->header('WWW-Authenticate');
    ok(@c == 1 && $c[0] =~ /\ADPoP /, 'DPoP alone where nothing else is taken');
    @c = $t->get('/api/off')->header('WWW-Authenticate');
    ok(@c == 1 && $c[0] =~ /\ABearer /, 'Bearer alone without proofs');
    @c = good('/api', claims => { htm => 'PUT' })->header('WWW-Authenticate');
    ok((grep { /\ADPoP .*error="invalid_dpop_proof"/ } @c) == 1 && !grep({ /\ABearer .*error/ } @c),
       'an error stands in the challenge of the scheme that was used');
    @c = $t->get('/api', token => bound())->header('WWW-Authenticate');
    ok((grep { /\ABearer .*error="invalid_token"/ } @c) == 1 && !grep({ /\ADPoP .*error/ } @c),
       '... Bearer as well');
}

# --- nonces ---

sub nonce_of {
    my ($r, $name) = @_;
    my @n = $r->header('DPoP-Nonce');
    is(scalar @n, 1, "one DPoP-Nonce: $name");
    is(join(',', $r->header('Cache-Control')), 'no-store', "not to be stored: $name");
    return $n[0];
}

{
    my $r = good('/api/nonce');
    denies($r, 401, 'proof_nonce', 'no nonce');
    like(join("\n", $r->header('WWW-Authenticate')), qr/DPoP .*error="use_dpop_nonce"/,
         '... says so');
    my $nonce = nonce_of($r, 'a refusal');
    $r = good('/api/nonce', claims => { nonce => $nonce });
    passes($r, 'the nonce that was given');
    nonce_of($r, 'a pass');
    denies(good('/api/nonce', claims => { nonce => substr($nonce, 0, -1) . '!' }), 401,
           'proof_nonce', 'a nonce that is not ours');
    denies(good('/api/nonce', claims => { nonce => 7 }), 401, 'proof_nonce', 'none at all');
    nonce_of($t->get('/api/nonce'), 'without a token');
    nonce_of($t->get('/api/nonce', token => token()), 'a bearer token');
    $r = $t->get('/api/nonce/cacheable', token => token());
    nonce_of($r, 'in place of what backend and configuration say');
    unlike($r->header('DPoP-Nonce'), qr/theirs/, '... which is gone');
    is(scalar(() = $t->get('/api', token => token())->header('DPoP-Nonce')), 0,
       'no nonce where none is asked for');
    for my $c (['/api/nonce/limit', 200], ['/api/nonce/limit', 429], ['/api/nonce/away', 302], ['/api/nonce/described', 405, 'POST'],
               ['/api/nonce/described/x', 403], ['/api/nonce', 200, 'HEAD'], ['/api/nonce', 200, 'OPTIONS'], ['/api/nonce/%01', 400]) {
        my ($path, $status, $method) = (@$c, 'GET');
        my $answer = good($path, method => $method, claims => { nonce => $nonce }, send => { method => $method });
        is($answer->status, $status, "$method $path");
        nonce_of($answer, "an answer $status");
    }
    $r = good('/api/gateway');
    denies($r, 401, 'proof_nonce', 'the gateway profile has it, too');
    like(join("\n", $r->header('WWW-Authenticate')), qr/DPoP .*error="use_dpop_nonce"/,
         '... with its challenge');
    nonce_of($r, 'the gateway profile');
    ok($t->reload, 'a graceful restart');
    passes(good('/api/nonce', claims => { nonce => $nonce }), '... and the nonce is good still');
}

# --- Shadow ---

{
    my $r = $t->get('/api/shadow', token => token());
    passes($r, 'Shadow lets pass');
    is($r->header('X-Decision'), 'deny', '... and says what it thinks');
    is(scalar(() = $r->header('DPoP-Nonce')), 0, '... and asks for no nonce');
    my $token = bound();
    my $proof = proof('p256#client', 'GET', 'http://gw.test/api/shadow', $token);
    is(send_it('/api/shadow', $token, $proof)->header('X-Decision'), 'allow', 'a proof in Shadow');
    passes(send_it('/api/shadow', $token, $proof), '... and again');
}

# --- over restarts ---

# Beside M2MReplayStore shm:PATH used proofs lie in PATH.dpop, so that a server that was stopped knows them.
{
    my $u = M2MGW::Test->start(files => { 'keys.json' => $KEYS }, config => <<'CONF');
M2MReplayStore shm:@ROOT@/logs/used
<Location /api>
    M2MJwks file:@ROOT@/keys.json
    M2MPublicURL http://gw.test
    ProxyPass http://@BACKEND@/api
</Location>
CONF
    my $token = bound();
    my $url = 'http://gw.test/api';
    my %headers = map { $_ => [ Authorization => "DPoP $token", DPoP => proof('p256#client', 'GET', $url, $token) ] } 1, 2;
    passes($u->get('/api', headers => $headers{1}), 'a proof before the server stops');
    $u->stop;
    ok(-s "$u->{root}/logs/used.dpop", '... lies in PATH.dpop');
    $u->launch;
    denies($u->get('/api', headers => $headers{1}), 401, 'proof_replayed', '... and is known to the next one');
    passes($u->get('/api', headers => $headers{2}), '... which takes another');
    $u->finish(more => 1);
}

# --- configuration ---

sub refused {
    my ($config, $re, $name, %o) = @_;
    my ($status, $text) = try_config($config, files => { 'keys.json' => $KEYS, %{ $o{files} // {} } });
    ok($status != 0 && $text =~ $re, "refused: $name") or diag($text);
}

sub accepted {
    my ($config, $name, %o) = @_;
    my ($status, $text) = try_config($config, files => { 'keys.json' => $KEYS, %{ $o{files} // {} } });
    is($status, 0, "accepted: $name") or diag($text);
    return $text;
}

my $JWKS = 'M2MJwks file:@ROOT@/keys.json';
refused("<Location /a>\nM2MSenderConstraint Maybe\n</Location>", qr/Off, Auto, DPoP, mTLS or Any/,
        'another word');
refused("<Location /a>\nM2MDPoP algs=HS256\n</Location>", qr/public key/, 'a symmetric algorithm');
refused("<Location /a>\nM2MDPoP algs=none\n</Location>", qr/M2MDPoP/, 'none');
refused("<Location /a>\nM2MDPoP window=0\n</Location>", qr/window=0/, 'no window');
refused("<Location /a>\nM2MDPoP nonce=Maybe\n</Location>", qr/On or Off/, 'another nonce');
refused("<Location /a>\nM2MDPoP size=3\n</Location>", qr/no option "size"/, 'another option');
refused("<Location /a>\nM2MDPoP\n</Location>", qr/M2MDPoP/, 'no option');
refused("<Location /a>\nM2MPublicURL /x\n</Location>", qr/absolute/, 'a relative URL');
refused("<Location /a>\nM2MPublicURL https://a/?b\n</Location>", qr/query/, 'a query');
refused("<Location /a>\nM2MPublicURL $_\n</Location>", qr/"\Q$_\E" has a wildcard: it takes the URLs themselves/, $_) for 'https://*.a.test', 'https://*/', 'https://a.test:*/';
like(accepted("<Location /a>\n$JWKS\nM2MPublicURL https://a.test/x/*\n</Location>", 'a star in a path'), qr{M2-101: M2MPublicURL in line 3 of \S+: the \* of "https://a.test/x/\*" is no wildcard}, '... which is told');
unlike(accepted("<Location /a>\n$JWKS\nM2MPublicURL https://a.test/x/\n</Location>", 'and none'), qr/wildcard/, '... which is not');
refused("<Location /a>\nM2MDPoPNonceKey \@ROOT\@/n\n</Location>", qr/M2MDPoPNonceKey/,
        'a key for nonces in a section', files => { n => 'x' x 32 });
refused("M2MDPoPNonceKey \@ROOT\@/n", qr/31 bytes/, 'a short one', files => { n => 'x' x 31 });
accepted("M2MDPoPNonceKey \@ROOT\@/n", 'a long one', files => { n => 'x' x 32 });
refused("<Location /a>\n$JWKS\nM2MClaim sub header:dpop\n</Location>", qr/prove/,
        'a claim in the name of a proof');
refused("<VirtualHost *:1>\n<Location /a>\n$JWKS\nM2MSenderConstraint DPoP\n</Location>\n</VirtualHost>",
        qr/ServerName/, 'DPoP without a name');
accepted("<VirtualHost *:1>\nServerName a.test\n<Location /a>\n$JWKS\nM2MSenderConstraint DPoP\n</Location>\n</VirtualHost>",
         'DPoP with a name');
accepted("<VirtualHost *:1>\n<Location /a>\n$JWKS\nM2MPublicURL https://a.test\nM2MSenderConstraint DPoP\n</Location>\n</VirtualHost>",
         'DPoP with a public URL');

refused("<Location /a>\n$JWKS\nM2MDPoP algs=ES256\nM2MDPoP nonce=On\n</Location>", qr/line 4 of [^\n]*\nM2MDPoP: it was given in this section already/,
        'a second M2MDPoP, which would widen algs= again');
for my $m ('DPoP', 'Any') {
    my $proofs = qr/M2MSenderConstraint DPoP takes tokens in a header, and M2MToken names none: no token is accepted/;
    my $said = accepted("<Location /a>\n$JWKS\nM2MPublicURL https://a.test\nM2MToken query:access_token cookie:t\nM2MSenderConstraint $m\n</Location>", "$m without a header for tokens");
    $m eq 'DPoP' ? like($said, $proofs, '... and a warning') : unlike($said, $proofs, '... as certificates prove without one');
    unlike(accepted("<Location /a>\n$JWKS\nM2MPublicURL https://a.test\nM2MToken query:access_token header:X-Token\nM2MSenderConstraint $m\n</Location>", "$m with one"),
           $proofs, '... of which nothing is said');
}

# --- what was wanted ---

# What a proof says is told to nobody; what it should say is what an operator has to know.
{
    my $i = 0;
    for my $c ([ { claims => { htu => 'https://SECRET.test/api' } }, 'its htu is not the URL of the request, http://gw.test/api/why%s' ],
               [ { claims => { htm => 'SECRET' } }, 'its htm is not the method of the request, GET' ],
               [ { claims => { iat => now() - 86_399 } }, 'its iat is more than 60 seconds in the past' ],
               [ { claims => { iat => now() + 86_399 } }, 'its iat is more than 60 seconds in the future' ],
               [ { path => '/api/algs/why%s' }, 'its alg is not one of ES384 EdDSA Ed25519 Ed448' ],
               [ { path => '/api/public/why%s', claims => { htu => 'https://SECRET.test/api' } },
                 'its htu is no URL of the request, as is https://api.example/v1/api/public/why%s' ]) {
        my ($o, $sentence) = @$c;
        my $n = ++$i;
        my $path = (delete $o->{path} // '/api/why%s') =~ s/%s/$n/r;
        $sentence =~ s/%s/$n/;
        my $r = good($path, %$o);
        denies($r, 401, 'proof_invalid', $sentence);
        unlike($r->body . join("\n", map { "@$_" } @{ $r->{headers} }), qr/\Q$sentence\E/, '... which the client is not told');
        ok(M2MGW::Test::before_long(sub { $t->error_log =~ /\Q$path\E[^\n]*the proof is refused: \Q$sentence\E/ }), '... but the log');
    }
    unlike($t->error_log, qr/SECRET|\b86399\b/, 'nothing of a proof stands there');
}

$t->expect_log(qr/M2-101: .*(?:M2MEngine Shadow|M2MSenderConstraint Off)/);
$t->finish;
