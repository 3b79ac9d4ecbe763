#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# The claims policy: times with leeway at their borders, numbers that are none, issuer and
# audience, required claims, the user, and what a configured value implies.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use M2MGW::Test;

my $t = M2MGW::Test->start(files => { 'k.json' => jwk_json('oct') }, config => <<'CONF');
ProxyPass / http://@BACKEND@/
M2MJwks file:@ROOT@/k.json
LogFormat "user=%u" user
CustomLog @ROOT@/logs/user.log user
Header always set X-User "expr=%{REMOTE_USER}"
Header always set X-Auth-Type "expr=%{AUTH_TYPE}"
<Location /strict>
    M2MLeeway 0
</Location>
<Location /wide>
    M2MLeeway 3600
</Location>
<Location /ignore>
    M2MIgnoreExpiration On
</Location>
<Location /age>
    M2MMaxAge 100
    M2MLeeway 0
</Location>
<Location /iss>
    M2MIssuer https://a.example/ https://b.example/
</Location>
<Location /aud>
    M2MAudience api://one api://two
</Location>
<Location /req>
    M2MRequireClaim tenant
</Location>
<Location /reqval>
    M2MRequireClaim role admin root
</Location>
<Location /reqscope>
    M2MRequireClaim scope read
</Location>
<Location /reqtwo>
    M2MRequireClaim tenant
    M2MRequireClaim realm.access.roles boss
</Location>
<Location /user>
    M2MUserClaim uid sub
</Location>
CONF

sub with { my ($url, %claims) = @_; $t->get($url, token => mint('oct', \%claims)) }
sub payload { my ($url, $text) = @_; $t->get($url, token => mint('oct', $text)) }

# --- exp ---

passes(with('/', exp => now() + 30), 'exp ahead');
passes(with('/', exp => now() - 30), 'exp past but within the default leeway of 60');
denies(with('/', exp => now() - 90), 401, 'expired', 'exp past the leeway');
denies(with('/', exp => 1), 401, 'expired', 'exp in 1970');
denies(with('/', exp => 0), 401, 'expired', 'exp 0');
denies(with('/', exp => undef), 401, 'claim_missing', 'no exp');
denies(with('/strict', exp => now() - 1), 401, 'expired', 'exp past without leeway');
passes(with('/strict', exp => now() + 20), 'control: exp ahead without leeway');
passes(with('/wide', exp => now() - 3000), 'exp past within a leeway of an hour');
denies(with('/wide', exp => now() - 3700), 401, 'expired', 'and past it');
passes(with('/', exp => 2**53), 'exp 2^53');
my @invalid = (
    [ '"' . (now() + 600) . '"', 'a string' ], [ '""', 'an empty string' ], [ 'true', 'true' ],
    [ '[' . (now() + 600) . ']', 'an array' ], [ '{}', 'an object' ], [ '-1', 'negative' ], [ '-0.5', 'negative half' ],
    [ '1e300', '1e300' ], [ '9007199254740993', '2^53 + 1' ], [ '18446744073709551616', '2^64' ],
    [ '9223372036854775807', '2^63 - 1' ], [ '1e17', '1e17' ], [ '"9999999999"', 'digits in quotes' ],
    [ '"never"', 'a word' ],
);
for my $c (@invalid) {
    for my $claim (qw(exp nbf iat)) {
        my $text = $claim eq 'exp' ? qq({"exp":$c->[0]}) : qq({"exp":@{[ now() + 600 ]},"$claim":$c->[0]});
        my $r = payload('/', $text);
        ok($r->status == 401 && !$r->reached && $r->reason =~ /\A(?:claim_invalid|token_malformed)\z/,
           "denies claim_invalid: $claim is $c->[1]") or diag(M2MGW::Test::describe($r));
    }
}
denies(payload('/', '{"exp":null}'), 401, 'claim_missing', 'exp is null, which is absent');
passes(payload('/', qq({"exp":@{[ now() + 600 ]},"$_":null})), "$_ is null, which is absent") for qw(nbf iat);
denies(payload('/', qq({"exp":$_})), 401, 'token_malformed', "exp is $_")
    for qw(1e400 -1e400 NaN Infinity 0x7fffffff 1_000 +1 .5 1. 1e 99999999999999999999e999);
passes(payload('/', '{"exp":' . (now() + 600) . '.75}'), 'exp with a fraction');
passes(payload('/', '{"exp":' . sprintf('%.10e', now() + 600) . '}'), 'exp with an exponent');
passes(payload('/ignore', '{"sub":"a"}'), 'M2MIgnoreExpiration: no exp');
passes(with('/ignore', exp => 1), 'M2MIgnoreExpiration: exp long past');
passes(payload('/ignore', '{"exp":"rubbish"}'), 'M2MIgnoreExpiration: exp no number');
denies(with('/ignore', exp => undef, nbf => now() + 600), 401, 'not_yet_valid',
       'M2MIgnoreExpiration leaves nbf alone');

# --- nbf, iat ---

passes(with('/', nbf => now() - 10, iat => now() - 10), 'nbf and iat past');
passes(with('/', nbf => now() + 30), 'nbf ahead within the leeway');
denies(with('/', nbf => now() + 120), 401, 'not_yet_valid', 'nbf ahead');
denies(with('/', iat => now() + 120), 401, 'not_yet_valid', 'iat ahead');
passes(with('/', iat => now() + 30), 'iat ahead within the leeway');
denies(with('/strict', nbf => now() + 30), 401, 'not_yet_valid', 'nbf ahead without leeway');
passes(with('/', nbf => 0, iat => 0), 'nbf and iat 0');
passes(with('/age', iat => now() - 50), 'M2MMaxAge: young enough');
denies(with('/age', iat => now() - 150), 401, 'too_old', 'M2MMaxAge: too old');
denies(with('/age'), 401, 'claim_missing', 'M2MMaxAge: no iat');
passes(with('/', iat => now() - 1_000_000), 'control: without M2MMaxAge an old iat passes');

# --- iss, aud ---

passes(with('/iss', iss => $_), "issuer $_") for 'https://a.example/', 'https://b.example/';
denies(with('/iss', iss => $_->[0]), 401, 'issuer_mismatch', "issuer $_->[1]") for
    [ 'https://c.example/', 'of somebody else' ], [ 'https://a.example', 'without the slash' ],
    [ 'HTTPS://A.EXAMPLE/', 'in capitals' ], [ 'https://a.example/x', 'longer' ], [ '', 'empty' ],
    [ ' https://a.example/', 'with a blank' ],
    [ 'https://a.example/ https://b.example/', 'both in one' ];
denies(with('/iss', iss => "https://a.example/\0"), 401, 'token_malformed', 'an escaped NUL in iss');
my $r = with('/iss', iss => [ 'https://a.example/' ]);
ok($r->status == 401 && !$r->reached && $r->reason =~ /\A(?:issuer_mismatch|claim_invalid)\z/, 'iss an array');
$r = with('/iss');
ok($r->status == 401 && !$r->reached && $r->reason =~ /\A(?:issuer_mismatch|claim_missing)\z/, 'no iss');
passes(with('/', iss => 'anybody'), 'control: no issuer is checked unless named');

passes(with('/aud', aud => $_->[0]), "audience $_->[1]") for
    [ 'api://one', 'a string' ], [ ['api://two'], 'an array of one' ], [ [ 'x', 'api://one' ], 'one of an array' ];
denies(with('/aud', aud => $_->[0]), 401, 'audience_mismatch', "audience $_->[1]") for
    [ 'api://three', 'of somebody else' ], [ [], 'an empty array' ], [ [ 'x', 'y' ], 'none of an array' ],
    [ 'api://one api://two', 'two in a string' ], [ 'api://on', 'a prefix' ], [ 'api://onee', 'longer' ],
    [ 'API://ONE', 'in capitals' ], [ '', 'empty' ];
for my $c ([ { 'api://one' => 1 }, 'an object' ], [ 1, 'a number' ], [ [ ['api://one'] ], 'a nested array' ],
           [ undef, 'absent' ], [ \1, 'true' ], [ [ 1, 2 ], 'an array of numbers' ]) {
    $r = with('/aud', aud => $c->[0]);
    ok($r->status == 401 && !$r->reached
           && $r->reason =~ /\A(?:audience_mismatch|claim_invalid|claim_missing)\z/, "denies: aud $c->[1]")
        or diag(M2MGW::Test::describe($r));
}

# --- required claims ---

sub wants { my ($r, $what) = @_; denies($r, 401, $r->reason eq 'claim_invalid' ? 'claim_invalid' : 'claim_missing', $what) }
passes(with('/req', tenant => 'x'), 'a required claim is there');
wants(with('/req'), 'a required claim is not');
wants(with('/req', Tenant => 'x'), 'a required claim in another case');
passes(with('/reqval', role => 'admin'), 'a required value');
passes(with('/reqval', role => 'root'), 'the other required value');
passes(with('/reqval', role => [ 'x', 'admin' ]), 'a required value in an array');
wants(with('/reqval', role => $_->[0]), "required value: $_->[1]") for
    [ 'user', 'another' ], [ 'admin root', 'both in one string' ], [ 'administrator', 'longer' ], [ 'ADMIN', 'case' ],
    [ ['user'], 'none in the array' ], [ [], 'an empty array' ], [ { admin => 1 }, 'a member name' ],
    [ '', 'empty' ], [ 'admi', 'a prefix' ];
passes(with('/reqscope', scope => 'write read'), 'a word of scope');
passes(with('/reqscope', scope => [ 'write', 'read' ]), 'an element of scope');
denies(with('/reqscope', scope => $_), 403, 'insufficient_scope', "scope \"$_\"") for 'write', 'reader', 'read:one', 'write,read', 'READ', '';
passes(with('/reqtwo', tenant => 1, realm => { access => { roles => [ 'a', 'boss' ] } }), 'a path into objects');
wants(with('/reqtwo', tenant => 1, realm => { access => { roles => ['a'] } }), 'a path to another value');
wants(with('/reqtwo', realm => { access => { roles => ['boss'] } }), 'one of two requirements');
wants(with('/reqtwo', tenant => 1, realm => 'boss'), 'a path through a string');

# --- the user ---

sub user { with(@_)->header('X-User') // '' }
is(with("/", sub => "a")->header("X-Auth-Type"), "M2M", "AUTH_TYPE is M2M");
is(user('/', client_id => 'cid', azp => 'azp', sub => 'sub'), 'cid', 'client_id names the user');
is(user('/', azp => 'azp', sub => 'sub'), 'azp', 'else azp');
is(user('/', sub => 'sub'), 'sub', 'else sub');
is(user('/', client_id => 42), '42', 'a number is a name too');
is(user('/', client_id => ['x'], sub => 'sub'), 'sub', 'an array is not');
is(user('/', aud => 'x'), '-', 'none: "-"');
is(user('/user', client_id => 'cid', uid => 'u7', sub => 's'), 'u7', 'M2MUserClaim');
is(user('/user', client_id => 'cid'), '-', 'M2MUserClaim replaces the default list');
$r = with('/', client_id => "a\nb");
ok($r->status == 403 && !$r->reached, 'a user with a line break is refused') or diag(M2MGW::Test::describe($r));
$t->stop;
my $users = slurp("$t->{root}/logs/user.log");
like($users, qr/^user=cid$/m, 'the access log names the user');
unlike($users, qr/^b/m, 'and has no line a claim made');
$t->finish;
