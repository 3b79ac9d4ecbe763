#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# What m2mctl says of a server's policy is what the server does: each request is sent, and
# explained by the dump of the same configuration; tables of cases over a dump and over files.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP ();
use M2MGW::Test;

my $tool = M2MGW::Test::m2mctl();
plan skip_all => 'm2mctl is not built' if !$tool;
my %oct = %{ jwk('oct', kid => 'OCT') };
my $CONFIG = <<"CONF";
LogFormat "%{M2M_REASON}e" reason
M2MErrorProfile rfc6750
ProxyPass /never !
ProxyPass / http://\@BACKEND\@/
<Location /api>
    M2MJwks file:\@ROOT\@/keys.json
    M2MIssuer https://idp.test https://other.test/
    M2MAudience api
    M2MTokenType at+jwt
    M2MRequireClaim tenant red green
    M2MMaxAge 3600
    M2MClaim client_id header:X-Client query:client
    M2MParameter scope Token:scope
    M2MParameter team Header:X-Team
    M2MParameter q Query:q
    M2MRule reads "\$scope has 'read'" ifFalse=DENY statusCode=404 errorMessage="no %{scope}"
    M2MRule team "\$team = 'blue'" ifTrue=ALLOW
    M2MRule q "\$q = '1'" ifTrue=DENY
    M2MDefaultAction DENY
</Location>
<Location /api/gateway>
    M2MErrorProfile gateway
</Location>
<Location /api/open>
    M2MEngine Off
</Location>
<Location /bypass>
    M2MJwks file:\@ROOT\@/keys.json
    M2MToken query:token header:X-Token
    M2MBypassEmptyToken On
    M2MPreventJtiReplay On
</Location>
<Location /ops>
    M2MJwks file:\@ROOT\@/keys.json
    M2MOperation GET /ops/users/{id} scope=users:read name=getUser
    M2MOperation POST /ops/users scope=users:write scope=admin name=addUser
    M2MOperation GET /ops/health public name=health
    M2MOperationUnknown NotFound
    M2MOperation OPTIONS /ops/users
    M2MOpenAPI \@ROOT\@/bare.yaml
    M2MPreflight Pass
    M2MParameter id Path:id
    M2MRule notRoot "\$id = 'root'" ifTrue=DENY
</Location>
<Location /rules>
    M2MPath "/rules/{id}/*"
    M2MParameter id Path:id
    M2MRule own "\$id = 'me' and \$CaStage = 'PRE'" ifFalse=DENY
    M2MStage PRE
</Location>
<Location /script>
    M2MPlugin jwtAuth \@ROOT\@/jwt.yaml
    M2MPlugin accessControl \@ROOT\@/access.yaml
</Location>
<Location /secret>
    M2MJwk kty=oct k=$oct{k} kid=OCT
</Location>
CONF
my %FILES = ('keys.json' => jwks_json(jwk('p256', kid => 'E1'), jwk('rsa', kid => 'R1')),
    'jwt.yaml' => "parameter: id_token\nparameterLocation: query\nclaimParameters:\n- {claimName: client_id, parameterName: cid, location: query}\n"
        . 'jwk: ' . jwk_json('p256', kid => 'E1') . "\n",
    'access.yaml' => <<'YAML');
parameters: {clientId: "Token:client_id", cid: "query:cid"}
rules:
- name: mine
  condition: "${clientId} = 'me' and ${cid} = 'me'"
  ifFalse: DENY
  errorMessage: "not ${clientId}"
  responseHeaders: {Content-Type: application/json}
  responseBody: '{"who": "${clientId}"}'
YAML
$FILES{'bare.yaml'} = "openapi: 3.0.3\nservers: [{url: /ops}]\nsecurity: []\npaths: {/users/none: {}, /ping: {get: {}, x-aliyun-apigateway-any-method: {}}}\n";
my $t = M2MGW::Test->start(config => $CONFIG, files => \%FILES);

sub tool {
    my (@args) = @_;
    open my $in, '-|', $tool, @args or die "$tool: $!";
    local $/;
    my $out = <$in> // '';
    close $in;
    return ($? >> 8, $out);
}

# --- the dump ---

my $dump = "$t->{root}/dump.json";
my @command = $t->command('-t', '-D', 'DUMP_M2M_JSON');
my $pid = fork // die "fork: $!";
if (!$pid) {
    open STDOUT, '>', $dump or die "$dump: $!";
    open STDERR, '>', "$t->{root}/dump.err" or die $!;
    exec @command or POSIX::_exit(127);
}
waitpid $pid, 0;
is($? >> 8, 0, 'httpd -t -D DUMP_M2M_JSON');
my $document = eval { JSON::PP->new->utf8->decode(slurp($dump)) };
ok($document, 'is one JSON document on standard output') or BAIL_OUT(slurp($dump));
like(slurp("$t->{root}/dump.err"), qr/M2-101: .*Syntax OK/s, 'notices are on standard error');
ok(scalar @{ $document->{notices} }, 'and in the document');
unlike(slurp($dump), qr/\Q$oct{k}\E/, 'a symmetric key is not in it');
my ($api) = grep { ($_->{location} // '') eq '/api' } @{ $document->{sections} };
is_deeply([ map { $_->{kid} } @{ $api->{policy}{keys} } ], [ 'E1', 'R1' ], 'public keys are');
is_deeply([ map { "$_->{name} $_->{condition}" } @{ $api->{policy}{rules} } ],
    [ "reads \$scope has 'read'", "team \$team = 'blue'", "q \$q = '1'" ], 'conditions are there as written');
my ($open) = grep { ($_->{location} // '') eq '/api/open' } @{ $document->{sections} };
ok(!$open->{policy} && $open->{engine} eq 'Off', 'Off is Off');
is(scalar(() = slurp($dump) =~ /\n/g), 1, 'it is one line');

# --- each request, sent and explained ---

my %good = (iss => 'https://idp.test', aud => 'api', client_id => 'me', tenant => 'red', scope => 'read write',
            iat => time, exp => time + 300, jti => 'j1');

sub token { my ($claims, %header) = @_; return mint($header{key} // 'p256', { %good, %$claims }, { kid => $header{kid} // 'E1', typ => $header{typ} // 'at+jwt' }) }

sub same {
    my ($name, $url, $wanted, %o) = @_;
    my @headers = @{ $o{headers} // [] };
    my $r = $t->request($o{method} // 'GET', $url, token => $o{token}, headers => \@headers, body => $o{body});
    my $file;
    my @args = ('explain', '--json', '--policy', $dump, '--url', $url, '--method', $o{method} // 'GET');
    for (my $i = 0; $i < @headers; $i += 2) { push @args, '--header', "$headers[$i]: $headers[$i + 1]" }
    push @args, '--header', "Authorization: Bearer $o{token}" if $o{token};
    my ($code, $out) = tool(@args);
    my $said = eval { JSON::PP->new->utf8->decode($out) } // {};
    is($said->{reason}, $wanted, "$name: $wanted") or diag($out);
    is($code, ($said->{decision} // '') eq 'allow' ? 0 : 1, '... exit status');
    if (($said->{decision} // '') eq 'allow') { is($r->status, 200, '... and the server lets it pass') }
    else {
        is($said->{status}, $r->status, '... the status is the server\'s');
        is($r->reason, $wanted, '... and the reason');
    }
    return $said;
}

same('a good token', '/api/x', 'ok', token => token({}), headers => [ 'X-Team', 'blue' ]);
same('no rule decides', '/api/x', 'rule_default', token => token({}));
same('a rule denies', '/api/x?q=1', 'rule_denied', token => token({}));
my $said = same('a rule denies, by claim', '/api/x', 'rule_denied', token => token({ scope => 'write' }));
is($said->{rule}, 'reads', '... names the rule');
is($said->{response}{message}, 'no write', '... and renders its message');
same('a name twice', '/api/x?q=1&q=2', 'rule_error', token => token({}));
same('no token', '/api/x', 'token_missing');
same('another scheme', '/api/x', 'token_missing', headers => [ 'Authorization', 'Basic YTpi' ]);
same('no token at all', '/api/x', 'token_malformed', token => 'x.y.z');
same('two tokens', '/bypass/x?token=a', 'token_multiple', headers => [ 'X-Token', 'b' ]);
same('another issuer', '/api/x', 'issuer_mismatch', token => token({ iss => 'https://evil.test' }));
same('another audience', '/api/x', 'audience_mismatch', token => token({ aud => 'b' }));
same('another type', '/api/x', 'typ_mismatch', token => token({}, typ => 'JWT'));
same('another kid', '/api/x', 'kid_unknown', token => token({}, kid => 'E9'));
same('another key', '/api/x', 'signature_invalid', token => token({}, key => 'p256#2'));
same('expired', '/api/x', 'expired', token => token({ exp => time - 100 }));
same('a claim of another value', '/api/x', 'claim_invalid', token => token({ tenant => 'blue' }));
same('no claim', '/api/x', 'claim_missing', token => token({ tenant => undef }));
same('too old', '/api/x', 'too_old', token => token({ iat => time - 7200 }));
same('an array of scopes', '/api/x', 'ok', token => token({ scope => [ 'read' ] }), headers => [ 'X-Team', 'blue' ]);
same('the other profile', '/api/gateway/x', 'token_missing');
same('the other profile, expired', '/api/gateway/x', 'expired', token => token({ exp => time - 100 }));
same('Off', '/api/open/x', 'ok');
same('no token, bypass', '/bypass/x', 'bypass');
same('replay is On and there is no jti', '/bypass/x', 'jti_missing', headers => [ 'X-Token', token({ jti => undef }) ]);
same('a token in the query', '/bypass/x?token=' . token({}), 'ok');

same('an operation', '/ops/users/7', 'ok', token => token({ scope => 'users:read' }));
same('an operation, another scope', '/ops/users/7', 'insufficient_scope', token => token({}));
same('an operation, half of the scopes', '/ops/users', 'insufficient_scope', method => 'POST', token => token({ scope => 'users:write' }));
same('an operation, a rule', '/ops/users/root', 'rule_denied', token => token({ scope => 'users:read' }));
same('no operation', '/ops/orders', 'operation_unknown', token => token({}));
same('no operation, no token', '/ops/orders', 'token_missing');
same('another method', '/ops/users/7', 'method_not_allowed', method => 'DELETE', token => token({}));
same('a path without a method', '/ops/users/none', 'method_not_allowed', token => token({ scope => 'users:read' }));
same('a path without a method, no token', '/ops/users/none', 'token_missing');
same('a method in other letters', '/ops/ping', 'rule_error', method => 'get');
same('public', '/ops/health', 'bypass');
same('public, with a bad token', '/ops/health', 'expired', token => token({ exp => time - 100 }));
same('a preflight', '/ops/users/7', 'bypass', method => 'OPTIONS',
    headers => [ 'Origin', 'https://a', 'Access-Control-Request-Method', 'GET' ]);
same('a preflight where OPTIONS is described', '/ops/users', 'bypass', method => 'OPTIONS',
    headers => [ 'Origin', 'https://a', 'Access-Control-Request-Method', 'POST' ]);
same('a preflight whose path is another operation in another case', '/ops/users/None', 'path_unsafe', method => 'OPTIONS',
    headers => [ 'Origin', 'https://a', 'Access-Control-Request-Method', 'GET' ]);
same('OPTIONS that is not a preflight', '/ops/users', 'token_missing', method => 'OPTIONS');
same('HEAD as GET', '/ops/users/7', 'ok', method => 'HEAD', token => token({ scope => 'users:read' }));
same('an operation in another case', '/ops/Users/7', 'operation_unknown', token => token({ scope => 'users:read' }));

same('a path template', '/rules/me/x', 'bypass');
same('another segment', '/rules/you/x', 'rule_denied');
same('a parameter in a segment', '/rules/me;a=b/x', 'path_unsafe');
same('a script', '/script?id_token=' . token({}), 'ok');
same('a script, a name of its own', '/script?cid=admin&id_token=' . token({}), 'ok');
$said = same('a script denies', '/script?id_token=' . token({ client_id => 'you' }), 'rule_denied');
is($said->{response}{body}, '{"who": "you"}', '... with its body');

# --- what a dump lacks ---

my ($code, $out) = tool('explain', '--policy', $dump, '--url', '/secret', '--header', 'Authorization: Bearer ' . mint('oct', \%good, { kid => 'OCT' }));
is($code, 2, 'a key that is not a business of the dump');
spew("$t->{root}/oct.json", jwks_json(\%oct));
($code, $out) = tool('explain', '--policy', $dump, '--url', '/secret', '--jwks', "$t->{root}/oct.json", '--header',
    'Authorization: Bearer ' . mint('oct', \%good, { kid => 'OCT' }));
is($code, 0, 'is given with --jwks') or diag($out);
for my $case ([ '--location', '/api/x/y' ], [ '--location', '<Location /api>' ], [ '--location', '/api', '--vhost', 'gw.test' ]) {
    ($code, $out) = tool('explain', '--policy', $dump, @$case);
    like($out, qr{^ok  section     <Location /api> .*deny: token_missing}ms, "@$case");
}
for my $case ([ '--policy', $dump, '--url', '/none' ], [ '--policy', $dump, '--vhost', 'other', '--url', '/api' ],
              [ '--policy', $dump, '--issuer', 'x', '--url', '/api' ], [ '--location', '/api' ],
              [ '--policy', "$t->{root}/keys.json" ], [ '--policy', $dump, '--rules', 'x', '--url', '/api' ]) {
    is((tool('explain', @$case))[0], 2, "explain @$case is a usage error");
}
$t->expect_log(qr/M2-2\d\d/);

# --- tables of cases ---

sub cases {
    my ($yaml, @policy) = @_;
    spew("$t->{root}/cases.yaml", $yaml);
    my ($code, $out) = tool('test', @policy, "$t->{root}/cases.yaml");
    return ($code, $out);
}

my $table = <<'YAML';
cases:
- name: blue reads
  request: {url: /api/x, headers: {X-Team: blue}}
  claims: {iss: https://idp.test, aud: api, tenant: red, scope: read}
  expect: {decision: allow, reason: ok, status: 200, rule: team}
- name: nobody
  request: {url: /api/x}
  expect: {decision: deny, reason: token_missing, status: 401}
- name: at another time
  now: 1767225600
  request: {url: /api/x, headers: {X-Team: blue}}
  claims: {iss: https://idp.test, aud: [api, b], tenant: red, scope: read, iat: 1767225590, exp: 1767225700}
  expect: {decision: allow}
- name: later
  now: 1767226600
  request: {url: /api/x}
  claims: {iss: https://idp.test, aud: api, tenant: red, scope: read, iat: 1767225590, exp: 1767225700}
  expect: {reason: expired}
- name: no end
  request: {url: /api/x}
  claims: {iss: https://idp.test, aud: api, tenant: red, exp: null}
  expect: {reason: claim_missing}
- name: denied by rule
  request: {url: "/api/x?q=1", address: 192.0.2.1}
  claims: {iss: https://idp.test, aud: api, tenant: green, scope: read}
  expect: {reason: rule_denied, rule: q, status: 403}
- name: an operation
  request: {method: POST, url: /ops/users, body: "a=b"}
  claims: {scope: "users:write admin"}
  expect: {decision: allow}
- name: a body that rules read
  request: {method: GET, url: /ops/orders}
  claims: {}
  expect: {reason: operation_unknown, status: 404}
YAML
($code, $out) = cases($table, $dump);
is($code, 0, 'a table over a dump') or diag($out);
like($out, qr/\A1\.\.8\nok 1 - blue reads\nok 2 - nobody\n/, 'is TAP');
like($out, qr/^# never reached: operation getUser$/m, 'an operation that no case reached is listed');
like($out, qr/^# never reached: operation health$/m, 'another one');
unlike($out, qr/never reached: (?:rule reads|operation addUser)/, 'those that were are not');
($code, $out) = cases($table =~ s/reason: expired/reason: ok/r, $dump);
is($code, 1, 'a case that is missed');
like($out, qr/^not ok 4 - later\n# expected reason ok, got expired\n# /m, 'says what came instead');
is(scalar(() = $out =~ /^not ok/mg), 1, 'and no other');
($code, $out) = cases($table, '--json', $dump, '--location', '/api');
is($code, 1, '--location is for all cases');
my $result = JSON::PP->new->utf8->decode($out);
is(scalar @{ $result->{cases} }, 8, '--json is one document');
spew("$t->{root}/token", my $token = token({}));
($code, $out) = cases("cases:\n- request: {url: /api/x, headers: {X-Team: blue}}\n  token: $token\n  expect: {decision: allow}\n"
    . "- request: {url: /api/x, headers: {X-Team: blue, Authorization: \"Bearer $token\"}}\n  expect: {decision: allow}\n"
    . "- request: {url: /api/x, headers: {X-Team: blue}}\n  token: ${token}x\n  expect: {decision: deny}\n", $dump);
is($code, 0, 'whole tokens, in a member and in a header') or diag($out);

spew("$t->{root}/rules.conf", "M2MParameter s Token:scope\nM2MRule r \"\$s has 'a'\" ifFalse=DENY\nM2MRule never \"1 = 2\" ifTrue=DENY\n");
spew("$t->{root}/api.yaml", "openapi: 3.0.3\nservers: [{url: /v1}]\ncomponents: {securitySchemes: {o: {type: oauth2, flows: {}}}}\n"
    . "paths: {/a: {get: {operationId: getA, security: [{o: [a]}]}, delete: {operationId: delA, security: [{o: [b]}]}}}\n");
my $files = "cases:\n- {request: {url: /v1/a}, claims: {scope: a}, expect: {decision: allow}}\n"
    . "- {request: {url: /v1/a, method: DELETE}, claims: {scope: a}, expect: {reason: insufficient_scope}}\n";
($code, $out) = cases($files, '--jwks', "$t->{root}/keys.json", "$t->{root}/rules.conf", "$t->{root}/api.yaml");
is($code, 0, 'a table over files: rules and an OpenAPI document') or diag($out);
unlike($out, qr/never reached/, 'all of it was reached');
($code, $out) = cases("cases:\n- {request: {url: '/s?id_token=x'}, claims: {client_id: me}, expect: {decision: allow}}\n"
    . "- {request: {url: /s}, claims: {client_id: you}, expect: {rule: mine, reason: rule_denied}}\n",
    "$t->{root}/jwt.yaml", "$t->{root}/access.yaml");
is($code, 0, 'a table over scripts') or diag($out);

for my $case ([ "cases: []\n", 'no case' ], [ "cases:\n- {expect: {reasn: ok}}\n", 'a member that there is not' ],
              [ "cases:\n- {request: {url: /api}}\n", 'no expectation' ], [ "cases:\n- {expect: {}}\n", 'an empty one' ],
              [ "cases:\n- {expect: {decision: maybe}}\n", 'a decision that there is not' ],
              [ "cases:\n- {claims: {}, token: a, expect: {decision: deny}}\n", 'claims and a token' ],
              [ "case:\n- {}\n", 'another member' ], [ "cases:\n- {request: {url: /none}, expect: {decision: deny}}\n", 'a path of no section' ],
              [ "cases: [\n", 'no YAML' ], [ "cases:\n- {now: soon, expect: {decision: deny}}\n", 'a time that is none' ],
              [ "cases:\n- {expect: {reason: token_mising}}\n", 'a reason that there is not' ],
              [ "cases:\n- {request: {address: somewhere}, expect: {decision: deny}}\n", 'an address that is none' ]) {
    is((cases($case->[0], $dump))[0], 2, "cases: $case->[1]");
}
is((cases("cases:\n- {expect: {decision: allow}}\n"))[0], 2, 'cases and no policy');
is((tool('explain', '--policy', $dump, '--url', '/api/x', '--client-ip', '10.1.2'))[0], 2, 'an address of a client that is none');
isnt((tool('explain', '--policy', $dump, '--url', '/api/x', '--client-ip', 'fe80::1%eth0'))[0], 2, 'one with a zone');
is((tool('test'))[0], 2, 'test without a file');
is((tool('test', $dump, $dump, "$t->{root}/cases.yaml"))[0], 2, 'a dump beside others');
$t->finish;
