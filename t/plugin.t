#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# Gateway plugin scripts as they stand: the two of the tutorial (with a key and client id of
# our own), all their fields, and what stops httpd -t with file, line and column.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use M2MGW::Test;

my $j = jwk('rsa');
my $jwt = <<"YAML";
---
parameter: id_token # Get the JWT from the specified parameter, which corresponds to the API parameter.
parameterLocation: query # Only `query` and `header` are supported.
bypassEmptyToken: false # Whether an empty JWT passes.
claimParameters: # Claims become backend parameters.
- claimName: aud # Claim name.
  parameterName: aud # Name of the mapped parameter.
  location: query # Location of the mapped parameter.
- claimName: scope
  parameterName: scope
  location: query
- claimName: client_id
  parameterName: client_id
  location: query
preventJtiReplay: false # Default: false.
#
# Public Key of the JSON Web Key
jwk:
  kty: RSA
  e: AQAB
  use: sig
  kid: AUTHSKEY7 # With one JWK, kid is optional.
  alg: RS256
  n: $j->{n}
YAML
my $access = <<'YAML';
---
parameters:
  scope: "Token:scope"
  clientId: "Token:client_id"
#
# ALLOW ends in success, DENY in an error; else the next rule is asked.
rules:
- name: checkScope
  condition: "$clientId = 'app_1' and $scope like '%user:read:one%'"
  ifFalse: "DENY"
  statusCode: 403
  errorMessage: "No permission by client id: ${clientId}"
  responseHeaders:
    Content-Type: application/json
    X-IDaaS-clientId: ${clientId}
    X-IDaaS-scope: ${scope}
  responseBody: |
    <Reason>No permission by client id: ${clientId}</Reason>
YAML
my $paths = <<'YAML';
parameters:
  userId: "Token:userId"
  userType: "Token:userType"
  pathUserId: "path:userId"
rules:
  - name: admin
    condition: "$userType = 'admin'"
    ifTrue: ALLOW
  - name: user
    condition: "$userId = $pathUserId"
    ifFalse: DENY
    statusCode: 403
    errorMessage: "Path not match ${userId} vs /${pathUserId}"
    responseHeaders:
      Content-Type: application/xml
    responseBody: "<Reason>Path not match ${userId} vs /${pathUserId}</Reason>"
YAML
sub minimal { my (%f) = @_; join('', map { "$_: $f{$_}\n" } sort keys %f) . "jwk:\n  kty: RSA\n  e: AQAB\n  n: $j->{n}\n" }
my %file = (
    'jwt.yaml' => $jwt, 'access.yaml' => $access, 'paths.yaml' => $paths,
    'jwt.json' => qq({"parameter":"Authorization","parameterLocation":"header","jwk":${\ jwk_json('rsa', kid => 'J')},"claimParameters":[{"claimName":"sub","parameterName":"X-Sub","location":"header"}]}),
    'list.yaml' => qq(parameter: X-Token\nparameterLocation: header\njwks:\n- ${\ jwk_json('rsa', kid => 'A')}\n- ${\ jwk_json('rsa#2', kid => 'B')}\n),
    'set.yaml' => qq(parameter: tok\nparameterLocation: cookie\njwks: ${\ jwks_json(jwk('rsa', kid => 'A'))}\n),
    'auth.yaml' => minimal(parameter => 'Authorization'),
    'bypass.yaml' => minimal(parameter => 'Authorization', bypassEmptyToken => 'true'),
    'ignore.yaml' => minimal(parameter => 'Authorization', ignoreExpirationCheck => 'yes'),
);
my $t = M2MGW::Test->start(files => \%file, config => join('', map { /^(\w+)\.(yaml|json)$/ && $1 !~ /access|paths/ && !($1 eq 'jwt' && $2 eq 'yaml')
        ? "<Location /$1>\n    M2MPlugin jwtAuth $_\n</Location>\n" : () } sort keys %file) . <<'CONF');
<Location /hello>
    M2MPlugin jwtAuth jwt.yaml
    M2MPlugin accessControl access.yaml
    M2MErrorProfile gateway
</Location>
<Location /rfc>
    M2MPlugin jwtAuth @ROOT@/jwt.yaml
    M2MPlugin accessControl @ROOT@/access.yaml
</Location>
<Location /users>
    M2MPlugin jwtAuth auth.yaml
    M2MPath "/users/{userId}/*"
    M2MPlugin accessControl paths.yaml
</Location>
<Location /defaults>
    M2MBypassEmptyToken On
    M2MClaim sub header:X-Sub
    <If "true">
        M2MLeeway 1
    </If>
</Location>
<Location /defaults/in>
    M2MPlugin jwtAuth auth.yaml
</Location>
ProxyPass / http://@BACKEND@/
CONF

# --- the tutorial ---

my %claims = (aud => 'https://api', scope => 'user:read:one', client_id => 'app_1');
my $good = mint('rsa', \%claims, { kid => 'AUTHSKEY7' });
for my $where (qw(/hello /rfc)) {
    my $r = $t->get("$where?a=1&id_token=$good&client_id=evil");
    passes($r, "$where: the right token");
    is($r->query, 'aud=https%3A%2F%2Fapi&scope=user%3Aread%3Aone&client_id=app_1&a=1', "$where: what the backend gets");
    passes($t->get("$where?id_token=" . mint('rsa', \%claims)), "$where: kid is optional with one key");
    $r = $t->get("$where?id_token=" . mint('rsa', { %claims, client_id => 'app_2' }));
    denies($r, 403, 'rule_denied', "$where: another client");
    is($r->header('X-Ca-Error-Message'), 'No permission by client id: app_2', 'errorMessage');
    is($r->header('X-Ca-Error-Code'), 'A403AC', 'code');
    is($r->header('X-IDaaS-clientId'), 'app_2', 'a header');
    is($r->header('X-IDaaS-scope'), 'user:read:one', 'another');
    is($r->header('Content-Type'), 'application/json', 'Content-Type');
    is($r->body, "<Reason>No permission by client id: app_2</Reason>\n", 'body');
    denies($t->get("$where?id_token=" . mint('rsa', { %claims, scope => 'user:read:two' })), 403, 'rule_denied', "$where: another scope");
    passes($t->get("$where?id_token=" . mint('rsa', { %claims, scope => 'user:read:one2' })), "$where: like is a substring, as documented");
    denies($t->get("$where?id_token=" . mint('rsa', {})), 403, 'rule_denied', "$where: no claims");
}
for my $c ([ 'no token', '', 'I400JR', 400, 'token_missing' ], [ 'rubbish', 'x', 'I400JD', 400, 'token_malformed' ],
           [ 'expired', mint('rsa', { %claims, exp => 1 }), 'A403JE', 403, 'expired' ],
           [ 'another kid', mint('rsa', \%claims, { kid => 'K' }), 'A403JK', 403, 'kid_unknown' ],
           [ 'a bad signature', mint('rsa#2', \%claims), 'A403JT', 403, 'signature_invalid' ]) {
    my ($what, $token, $code, $status, $reason) = @$c;
    my $r = $t->get("/hello?id_token=$token");
    denies($r, $status, $reason, "gateway profile: $what");
    is($r->header('X-Ca-Error-Code'), $code, "$what: code");
    is($r->body, '', "$what: an empty body");
}
denies($t->get('/rfc'), 401, 'token_missing', 'M2MPlugin leaves the profile alone');
denies($t->get('/hello', token => $good), 400, 'token_missing', 'a token where it is not asked for');

# --- other fields ---

my $r = $t->get('/jwt', token => mint('rsa', { sub => 'me' }));
passes($r, 'JSON');
is($r->sent('X-Sub'), 'me', 'a header target');
passes($t->get('/list', headers => [ 'X-Token' => mint('rsa', {}, { kid => 'A' }) ]), 'jwks as a list, first');
passes($t->get('/list', headers => [ 'X-Token' => mint('rsa#2', {}, { kid => 'B' }) ]), 'jwks as a list, second');
passes($t->get('/set', headers => [ Cookie => 'tok=' . mint('rsa', {}) ]), 'jwks as a set, token in a cookie');
passes($t->get('/auth', token => mint('rsa', {})), 'Authorization needs no location');
passes($t->get('/bypass'), 'bypassEmptyToken');
denies($t->get('/bypass', token => mint('rsa#2', {})), 401, 'signature_invalid', 'but not a bad token');
passes($t->get('/ignore', token => mint('rsa', { exp => 1 })), 'ignoreExpirationCheck, a YAML 1.1 boolean');
denies($t->get('/auth', token => mint('rsa', { exp => 1 })), 401, 'expired', 'control');
denies($t->get('/defaults/in'), 401, 'token_missing', "absent fields are the gateway's default, not the outer section's");

# --- paths ---

passes($t->get('/users/7/x', token => mint('rsa', { userId => 7, userType => 'user' })), 'own path');
passes($t->get('/users/8/x', token => mint('rsa', { userId => 7, userType => 'admin' })), 'admin');
$r = $t->get('/users/8/x', token => mint('rsa', { userId => 7, userType => 'user' }));
denies($r, 403, 'rule_denied', 'the path of another');
is($r->body, '<Reason>Path not match 7 vs /8</Reason>', 'its body');
is($r->header('X-Ca-Error-Message'), 'Path not match 7 vs /8', 'its message');
for my $u ('/users/8/../7/x', '/users/7/../8/x', '/users//8/x', '/users/%38/x', '/users/7%2f..%2f8/x', '/users/7;/8', '/users/./8/x', '/users/8') {
    $r = $t->get($u, token => mint('rsa', { userId => 7, userType => 'user' }));
    ok(!$r->reached || $r->target =~ m{\A/users/7/}, "a path is judged as the backend will read it: $u") or diag(M2MGW::Test::describe($r));
}
$t->finish(more => 1);

# --- as large as the gateway takes them: 160 parameters, 160 rules, conditions of 1024
# characters, 50 KB in all ---

sub wide {
    my $n = 160;
    return "parameters:\n" . join('', map { "  p$_: \"" . ($_ % 2 ? "Query:q$_" : "Header:X-H$_") . "\"\n" } 1 .. $n)
        . "rules:\n" . join('', map { my $i = $_; "- name: rule$i\n  condition: \"\$p$i = 'v$i' and (" . join(' or ', map({ '$p' . (1 + ($i + $_) % $n) . " <> 'x$i'" } 1 .. 5), "\$p$i <> 'never'") . ")\"\n  ifTrue: DENY\n  statusCode: 403\n  errorMessage: \"no \${p$i}, it is rule $i of them\"\n" } 1 .. $n);
}
sub long {
    my $text = "parameters:\n  a: \"Query:a\"\nrules:\n";
    for (my $i = 1; length($text) < 49_000; $i++) {
        my $condition = "\$a = 'v$i'";
        $condition .= " or \$a = 'v${i}_" . length($condition) . "'" while length $condition < 1000;
        $condition .= ' ' x (1023 - length $condition) . ' ';
        $text .= "- name: r$i\n  condition: \"$condition\"\n  ifTrue: DENY\n";
    }
    return $text;
}
my ($wide, $long) = (wide(), long());
cmp_ok(length $wide, '>', 40_000, 'a wide script of ' . length($wide) . ' bytes');
my $w = M2MGW::Test->start(files => { 'wide.yaml' => $wide, 'long.yaml' => $long }, config => <<'CONF');
<Location /wide>
    M2MPlugin accessControl wide.yaml
</Location>
<Location /long>
    M2MPlugin accessControl long.yaml
</Location>
ProxyPass / http://@BACKEND@/
CONF
passes($w->get('/wide'), 'a script of 160 parameters and 160 rules');
denies($w->get('/wide?q159=v159'), 403, 'rule_denied', 'its last rule but one');
$r = $w->get('/wide', headers => [ 'X-H160' => 'v160' ]);
denies($r, 403, 'rule_denied', 'its last rule');
is($r->header('X-Ca-Error-Message'), 'no v160, it is rule 160 of them', 'says so');
my $rules = () = $long =~ /^- name/gm;
passes($w->get('/long?a=v'), "conditions of 1024 characters, $rules of them");
denies($w->get("/long?a=v$rules"), 403, 'rule_denied', 'the last');
for my $c ([ 'wide.yaml' => 160 ], [ 'long.yaml' => $rules ]) {
    my @before = times;
    my $out = `@{[ M2MGW::Test::m2mctl() ]} check $w->{root}/$c->[0] 2>&1`;
    my @after = times;
    like($out, qr/\b$c->[1]\b/, "m2mctl check $c->[0]") or diag($out);
    cmp_ok($after[2] + $after[3] - $before[2] - $before[3], '<', 2, 'is quick');
}
$w->finish(more => 1);

# --- what stops the start ---

my $key = "jwk:\n  kty: RSA\n  e: AQAB\n  n: $j->{n}\n";
my @bad = (
    # kind, text, what the message holds (line and column where they say something)
    [ jwtAuth => "parameter: a\nparameterLocation: query\nunknownField: 1\n$key", qr/unknownField/, '3' ],
    [ jwtAuth => "parameter: a\nparameterLocation: query\nparameter: b\n$key", qr/parameter/, '3' ],
    [ jwtAuth => "parameter: a\nparameterLocation: attic\n$key", qr/attic/, '2' ],
    [ jwtAuth => "parameter: a\n$key", qr/parameterLocation/ ],
    [ jwtAuth => "parameterLocation: query\n$key", qr/parameter/ ],
    [ jwtAuth => "parameter: a\nparameterLocation: query\n", qr/jwk/ ],
    [ jwtAuth => "parameter: a\nparameterLocation: query\nbypassEmptyToken: perhaps\n$key", qr/bypassEmptyToken/, '3' ],
    [ jwtAuth => "parameter: [a]\nparameterLocation: query\n$key", qr/parameter/, '1' ],
    [ jwtAuth => "parameter: a\nparameterLocation: query\nclaimParameters:\n- claimName: x\n  location: query\n$key", qr/parameterName/ ],
    [ jwtAuth => "parameter: a\nparameterLocation: query\nclaimParameters:\n- claimName: x\n  parameterName: y\n  location: body\n$key", qr/body/, '6' ],
    [ jwtAuth => "parameter: a\nparameterLocation: query\nclaimParameters: x\n$key", qr/claimParameters/, '3' ],
    [ jwtAuth => "parameter: a\nparameterLocation: query\n${key}jwks:\n- kty: RSA\n  e: AQAB\n  n: $j->{n}\n", qr/jwks?/ ],
    [ jwtAuth => "parameter: a\n  parameterLocation: query\n", qr/2/ ],
    [ jwtAuth => "parameter: a\nparameterLocation: query\njwk: &k\n  kty: RSA\n", qr/anchor|alias/i ],
    [ jwtAuth => "parameter: a\nparameterLocation: query\njwk: {kty: RSA, e: AQAB, n: AQAB}\n", qr/2048/ ],
    [ jwtAuth => "", qr/k\.yaml/ ], [ jwtAuth => "- a\n", qr/k\.yaml/ ], [ jwtAuth => "parameter: \"a\n", qr/k\.yaml/ ],
    [ jwtAuth => "a: b\n---\nc: d\n", qr/k\.yaml/ ], [ jwtAuth => "parameter: !!binary a\n$key", qr/tag/i ],
    [ accessControl => "rules:\n- name: r\n  condition: \"\$a = 1\"\n  ifTrue: DENY\n", qr/\ba\b/, '3' ],
    [ accessControl => "rules:\n- name: r\n  condition: \"1 = \"\n  ifTrue: DENY\n", qr/column/i ],
    [ accessControl => "rules:\n- name: r\n  condition: \"1 = 1\"\n", qr/ifTrue/ ],
    [ accessControl => "rules:\n- name: r\n  condition: \"1 = 1\"\n  ifTrue: MAYBE\n", qr/MAYBE/, '4' ],
    [ accessControl => "rules:\n- name: r\n  condition: \"1 = 1\"\n  ifTrue: DENY\n  statusCode: 200\n", qr/statusCode/, '5' ],
    [ accessControl => "rules:\n- name: r\n  condition: \"1 = 1\"\n  ifTrue: DENY\n  errorMessage: \"\${nobody}\"\n", qr/nobody/, '5' ],
    [ accessControl => "rules:\n- name: r\n  condition: \"1 = 1\"\n  ifTrue: DENY\n- name: r\n  condition: \"1 = 1\"\n  ifTrue: DENY\n", qr/\br\b/ ],
    [ accessControl => "parameters:\n  a: \"Cellar:x\"\nrules:\n- name: r\n  condition: \"1 = 1\"\n  ifTrue: DENY\n", qr/Cellar/, '2' ],
    [ accessControl => "parameters:\n  a: \"path:x\"\nrules:\n- name: r\n  condition: \"\$a = 1\"\n  ifTrue: DENY\n", qr/M2MPath/ ],
    [ accessControl => "rules: []\n", qr/k\.yaml/ ], [ accessControl => "parameters:\n  a: Query:a\n", qr/rules/ ],
    [ accessControl => "rules:\n- name: r\n  condition: \"1 = 1 and 2 = 2 or 3 = 3\"\n  ifTrue: DENY\n", qr/parenthes/i, '3' ],
    [ accessControl => "rules:\n- name: r\n  condition: \"1 = 1\"\n  ifTrue: DENY\n  responseHeaders:\n    Transfer-Encoding: chunked\n", qr/Transfer-Encoding/, '6' ],
);
for my $c (@bad) {
    my ($kind, $text, $re, $line) = @$c;
    my ($status, $out) = try_config("<Location /x>\n    M2MPlugin $kind k.yaml\n</Location>\n", files => { 'k.yaml' => $text });
    my $fine = $status == 1 && $out =~ $re && $out =~ /k\.yaml/ && (!defined $line || $out =~ /k\.yaml\D*\b$line\b/);
    ok($fine, "httpd -t refuses: $kind: " . substr $text =~ s/\n/ | /gr =~ s/\Q$j->{n}\E/.../r, 0, 70) or diag("status $status: $out");
}
for my $c ([ 'another kind', "M2MPlugin ipControl k.yaml", qr/jwtAuth/ ], [ 'a missing file', 'M2MPlugin jwtAuth gone.yaml', qr/gone\.yaml/ ],
           [ 'beside native keys', "M2MPlugin jwtAuth k.yaml\nM2MJwks file:k.json", qr/M2MPlugin|M2MJwks/ ],
           [ 'native keys in front', "M2MJwks file:k.json\nM2MPlugin jwtAuth k.yaml", qr/M2MPlugin|M2MJwks/ ],
           [ 'beside M2MToken', "M2MPlugin jwtAuth k.yaml\nM2MToken query:a", qr/M2MPlugin|M2MToken/ ],
           [ 'beside M2MClaim', "M2MPlugin jwtAuth k.yaml\nM2MClaim a query:a", qr/M2MPlugin|M2MClaim/ ],
           [ 'twice', "M2MPlugin jwtAuth k.yaml\nM2MPlugin jwtAuth k.yaml", qr/M2MPlugin/ ],
           [ 'beside native rules', "M2MPlugin accessControl a.yaml\nM2MRule r \"1 = 1\" ifTrue=DENY", qr/M2MPlugin|M2MRule/ ]) {
    my ($status, $out) = try_config("<Location /x>\n$c->[1]\n</Location>\n", files => { 'k.yaml' => minimal(parameter => 'Authorization'), 'k.json' => jwk_json('rsa'),
                                    'a.yaml' => "rules:\n- name: r\n  condition: \"1 = 1\"\n  ifTrue: DENY\n" });
    ok($status == 1 && $out =~ $c->[2], "httpd -t refuses: $c->[0]") or diag("status $status: $out");
}
done_testing();
