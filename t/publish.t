#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# Claims on their way to the backend: values, encoding, places, environment; what is unsafe
# is refused, and what a claim says is never more than a value where it arrives.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use M2MGW::Test;

my $t = M2MGW::Test->start(
    files => { 'k.json' => jwk_json('oct', kid => 'key-1'), 'cgi/env.cgi' => <<'CGI',
#!/bin/sh
printf 'Content-Type: text/plain\r\n\r\n'
env | grep -E '^(M2M_|HTTP_|QUERY_STRING|REMOTE_USER|AUTH_TYPE|X_)' | sort
CGI
    },
    config => <<'CONF');
M2MJwks file:@ROOT@/k.json
M2MClaim client_id query:client_id header:X-Client-Id env:CLIENT
M2MClaim scope query:scope
M2MClaim realm.access.roles header:X-Roles query:roles
M2MClaim v query:v header:X-V
<Location /nothing>
    M2MClaim zzz header:X-Z query:z
</Location>
<Location /bypass>
    M2MBypassEmptyToken On
</Location>
<LocationMatch "^/(nothing|headers|bypass)?$">
</LocationMatch>
ScriptAlias /cgi/ @ROOT@/cgi/
ProxyPass /cgi !
ProxyPass / http://@BACKEND@/
Header always set X-Kid "%{M2M_KID}e"
Header always set X-Alg "%{M2M_ALG}e"
Header always set X-Verified "%{M2M_VERIFIED}e"
Header always set X-Claim-Sub "%{M2M_CLAIM_sub}e"
Header always set X-Claim-Ab "%{M2M_CLAIM_a_b}e"
Header always set X-Claim-Cd "%{M2M_CLAIM_c_d}e"
CONF

sub with { my ($url, $claims, %o) = @_; $t->get($url, token => mint('oct', $claims), %o) }
# the claim v as it arrives in a query and in a header
sub arrives {
    my ($value, $text, $encoded, $what) = @_;
    my $r = with('/', { v => $value });
    passes($r, $what);
    is($r->query, "v=$encoded", "$what: in the query");
    is($r->sent('X-V'), $text, "$what: in a header");
}

my ($true, $false) = (JSON::PP::true(), JSON::PP::false());
arrives('plain', 'plain', 'plain', 'a string');
arrives('a b&c=d;e#f?g/h%i+j', 'a b&c=d;e#f?g/h%i+j', 'a%20b%26c%3Dd%3Be%23f%3Fg%2Fh%25i%2Bj',
        'a string that would be syntax');
arrives("b\xc3\xa4r", "b\xc3\xa4r", 'b%C3%A4r', 'UTF-8');
arrives('-._~Az09', '-._~Az09', '-._~Az09', 'unreserved characters');
arrives('"\'<>[]{}|\\^`', '"\'<>[]{}|\\^`', '%22%27%3C%3E%5B%5D%7B%7D%7C%5C%5E%60', 'other punctuation');
arrives(42, '42', '42', 'an integer');
arrives(-7, '-7', '-7', 'a negative integer');
arrives(0, '0', '0', 'zero');
arrives($true, 'true', 'true', 'true');
arrives($false, 'false', 'false', 'false');
arrives([ 'a', 'bc' ], 'a bc', 'a%20bc', 'an array of strings');
arrives([ 'a', 'b c' ], '["a","b\u0020c"]', '%5B%22a%22%2C%22b%5Cu0020c%22%5D', 'an array of strings, one with a blank');
arrives([ 'x' ], 'x', 'x', 'an array of one');
arrives([ 1, 'a' ], '[1,"a"]', '%5B1%2C%22a%22%5D', 'a mixed array');
arrives({ a => [ 1, $true ] }, '{"a":[1,true]}', '%7B%22a%22%3A%5B1%2Ctrue%5D%7D', 'an object');
arrives('', '', '', 'an empty string');
is($t->get('/', token => mint('oct', '{"exp":' . (time + 99) . ',"v":9007199254740993}'))->sent('X-V'),
   '9007199254740993', 'an integer beyond 2^53 keeps its digits');

my $r = $t->get('/?a=1&b=%20&c', token => mint('oct', { client_id => 'app', scope => 'r w',
                                                        realm => { access => { roles => [ 'x', 'y' ] } } }));
passes($r, 'several claims');
is($r->query, 'client_id=app&scope=r%20w&roles=x%20y&a=1&b=%20&c', 'ours come first, then what the client sent, as it was');
is($r->sent('X-Client-Id'), 'app', 'a header');
is($r->sent('X-Roles'), 'x y', 'a path into objects');
is(scalar($r->sent('X-V')), undef, 'a claim that is absent sets nothing');
is(with('/nothing', { client_id => 'app' })->query, '', 'a section with claims of its own replaces the group');
is(with('/p?', { client_id => 'a' })->query, 'client_id=a', 'an empty query');
$r = $t->get('/bypass');
passes($r, 'no token, bypass');
is($r->query, '', 'publishes nothing');
is($r->header('X-Verified') // '', '(null)', 'and verifies nothing');
for my $m (qw(HEAD OPTIONS DELETE PUT)) {
    is($t->get('/', method => $m, token => mint('oct', { client_id => 'app' }))->sent('X-Client-Id'), 'app', "$m too");
}
$r = $t->post('/', 'client_id=evil', token => mint('oct', { client_id => 'app' }),
              headers => [ 'Content-Type' => 'application/x-www-form-urlencoded' ]);
is($r->{backend}[0]{body}, 'client_id=evil', 'a body is untouched where no form target is');

# --- the environment ---

$r = with('/', { sub => 'me', 'a-b' => 'x', 'c.d' => 1, 'c_d' => 2 });
is($r->header('X-Claim-Sub'), 'me', 'M2M_CLAIM_sub');
is($r->header('X-Claim-Ab'), 'x', 'M2M_CLAIM_ of a name with other characters');
is($r->header('X-Claim-Cd'), '2', 'where two names collide the exact one wins');
is(with('/', { 'a-b' => 1, 'a.b' => 2 })->header('X-Claim-Ab'), '(null)', 'else neither is set');
is($r->header('X-Kid'), 'key-1', 'M2M_KID');
is($r->header('X-Alg'), 'HS256', 'M2M_ALG');
is($r->header('X-Verified'), '1', 'M2M_VERIFIED');
is($r->reason, 'ok', 'M2M_REASON');
is($r->header('X-Decision'), 'allow', 'M2M_DECISION');
$r = $t->get('/');
is($r->header('X-Verified'), '(null)', 'no M2M_VERIFIED without a token');
is($r->header('X-Decision'), 'deny', 'M2M_DECISION deny');

$r = $t->get('/cgi/env.cgi?q=1', token => mint('oct', { client_id => 'app', sub => 'me', scope => 's' }));
is($r->status, 200, 'a CGI program');
for my $line ('CLIENT', 'M2M_CLAIM_client_id=app', 'M2M_CLAIM_sub=me', 'M2M_VERIFIED=1', 'M2M_DECISION=allow',
              'QUERY_STRING=client_id=app&scope=s&q=1', 'HTTP_X_CLIENT_ID=app', 'REMOTE_USER=app', 'AUTH_TYPE=M2M') {
    next if $line eq 'CLIENT';
    like($r->body, qr/^\Q$line\E$/m, "CGI sees $line");
}
unlike($r->body, qr/HTTP_AUTHORIZATION/, 'and not the Authorization header');

# --- the request id ---

$r = with('/', {});
my $id = $r->sent('X-Ca-Request-Id');
ok(defined $id && length $id >= 16, 'X-Ca-Request-Id goes to the backend');
is($r->header('X-Ca-Request-Id'), $id, 'and comes back on the response');
$r = with('/', {}, headers => [ 'X-Ca-Request-Id' => 'forged' ]);
unlike($r->sent('X-Ca-Request-Id') // '', qr/forged/, 'a client cannot choose it');
isnt($t->get('/')->header('X-Ca-Request-Id') // '', '', 'a refusal has one too');

# --- what is unsafe ---

for my $c ([ "a\r\nX-Evil: 1", 'CR LF' ], [ "a\nb", 'LF' ], [ "a\rb", 'CR' ], [ "\n", 'LF alone' ]) {
    $r = with('/', { v => $c->[0] });
    denies($r, 403, 'claim_unsafe', "a value with $c->[1]");
    denies(with('/', { scope => $c->[0] }), 403, 'claim_unsafe', "$c->[1] in a query value");
}
denies(with('/', { v => "a\0b" }), 401, 'token_malformed', 'a value with NUL');
passes(with('/', { unmapped => "a\r\nb" }), 'control: an unmapped claim may hold anything');
$t->finish;
