#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# Operations, from an OpenAPI document and line by line: which one a request is, what it
# needs, and that nothing a lenient backend would read as another one gets through. Judged by
# what the backend received.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use M2MGW::Test;

my $API = <<'YAML';
openapi: 3.1.0
servers: [{url: 'https://api.example.com/api'}]
components:
  securitySchemes:
    oauth: {type: oauth2}
    key: {type: apiKey, in: header, name: X-Key}
security: [{oauth: [read]}]
paths:
  /open: {get: {operationId: open, security: []}}
  /users/{id}:
    get: {operationId: getUser}
    put: {operationId: putUser, security: [{oauth: [write, read]}, {oauth: [admin]}]}
  /users/me: {get: {operationId: me, security: [{oauth: []}]}}
  /users/{id}.json: {get: {security: [{key: [], oauth: [json]}]}}
  /admin/users: {get: {operationId: admin, security: [{oauth: [admin]}]}}
  /admin/{name}: {get: {operationId: name}}
  /admin/nothing: {summary: a path without a method}
  /files/*: {get: {operationId: files}, x-aliyun-apigateway-any-method: {security: [{oauth: [any]}]}}
YAML
my %FILES = ('k.json' => jwk_json('oct'), 'api.yaml' => $API);
my $t = M2MGW::Test->start(files => \%FILES, config => <<'CONF');
LogFormat "%{M2M_OPERATION}e %U" operation
CustomLog logs/operation.log operation
<Location /api>
    M2MJwks file:@ROOT@/k.json
    M2MOpenAPI @ROOT@/api.yaml
    M2MClaim sub header:X-Sub
    M2MPreflight Pass
    ProxyPass http://@BACKEND@/api
</Location>
<Location /hidden>
    M2MJwks file:@ROOT@/k.json
    M2MOperation GET,POST /hidden/a scope=read name=a
    M2MOperation GET /hidden/p public
    M2MOperationUnknown NotFound
    M2MBypassEmptyToken On
    ProxyPass http://@BACKEND@/hidden
</Location>
<Location /pass>
    M2MJwks file:@ROOT@/k.json
    M2MOperation GET /pass/a "scope=read write" x
    M2MOperationUnknown Pass
    ProxyPass http://@BACKEND@/pass
</Location>
<Location /rules>
    M2MJwks file:@ROOT@/k.json
    M2MOperation GET /rules/{owner}/{kind}.json name=owned
    M2MParameter owner Path:owner
    M2MParameter kind Path:kind
    M2MParameter sub Token:sub
    M2MRule own "$owner = $sub and $kind = 'doc' and $CaApiName = 'owned'" ifFalse=DENY errorMessage="%{owner} is not %{sub}"
    ProxyPass http://@BACKEND@/rules
</Location>
<Location /parameter>
    M2MJwks file:@ROOT@/k.json
    M2MOperation GET /parameter/{id}
    M2MParameter id Parameter:id
    M2MRule me "$id = 'me'" ifTrue=DENY
    ProxyPass http://@BACKEND@/parameter
</Location>
<Location /limited>
    M2MJwks file:@ROOT@/k.json
    M2MPath "/limited/{tenant}/*"
    M2MParameter tenant Path:tenant
    M2MLimit tenants tenant 1/1h
    ProxyPass http://@BACKEND@/limited
</Location>
<Location /shadow>
    M2MEngine Shadow
    M2MJwks file:@ROOT@/k.json
    M2MOperation GET /shadow/a
    ProxyPass http://@BACKEND@/shadow
</Location>
<Location /rules/inner>
    M2MParameter sub Token:sub
    M2MRule never "$sub = 'nobody'" ifTrue=DENY
</Location>
CONF
sub ask { my ($url, $scope, %o) = @_; $t->get($url, token => mint('oct', { sub => 'me', scope => $scope }), %o) }

# --- which operation, and its scopes ---

for my $c ([ '/api/users/7', 'read' ], [ '/api/users/me', 'nothing' ], [ '/api/users/7.json', 'json' ], [ '/api/admin/users', 'admin' ],
           [ '/api/admin/bob', 'read' ], [ '/api/files/', 'read' ], [ '/api/files/a/b', 'x read' ]) {
    my $r = ask(@$c);
    passes($r, "$c->[0] with $c->[1]");
    is($r->target, $c->[0], 'arrives as it is');
    denies(ask($c->[0], 'other'), 403, 'insufficient_scope', "$c->[0] without its scope") if $c->[1] ne 'nothing';
    denies($t->get($c->[0]), 401, 'token_missing', "$c->[0] without a token");
}
passes(ask('/api/users/7', 'admin', method => 'PUT'), 'the second alternative');
passes(ask('/api/users/7', 'read write', method => 'PUT'), 'both scopes of the first');
my $r = ask('/api/users/7', 'write', method => 'PUT');
denies($r, 403, 'insufficient_scope', 'one of two scopes');
like($r->header('WWW-Authenticate'), qr/error="insufficient_scope".*scope="write read"/, 'the challenge names the first alternative');
passes(ask('/api/users/7', 'read', method => 'HEAD'), "HEAD is GET's");
passes(ask('/api/files/x', 'any', method => 'PROPFIND'), 'a method that is not described, where any may be');
for my $m ('get', 'Get', 'head') {
    denies(ask('/api/files/x', 'any', method => $m), 403, 'rule_error', "nor is $m one, which some backends run as another operation");
}
passes(ask('/api/files/x', 'any', method => 'propfind'), 'control: other letters of a method that is not described');

# --- methods and unknown operations ---

$r = ask('/api/users/7', 'read', method => 'DELETE');
denies($r, 405, 'method_not_allowed', 'a method the template lacks');
is($r->header('Allow'), 'GET, HEAD, PUT', 'Allow names the others');
is($r->header('WWW-Authenticate'), undef, 'no challenge');
is(ask('/api/users/7', 'read', method => 'get')->reached, 0, 'case counts in methods');
denies(ask('/api/users/me', 'read', method => 'PUT'), 405, 'method_not_allowed', 'a wider template never answers for a method');
denies($t->request('DELETE', '/api/users/7'), 401, 'token_missing', 'without a token nobody learns of methods');
$r = ask('/api/admin/nothing', 'read');
denies($r, 405, 'method_not_allowed', 'a path item without a method is known, and no wider template answers for it');
is($r->header('Allow'), '', 'it allows nothing');
denies($t->get('/api/admin/nothing'), 401, 'token_missing', 'without a token nobody learns of that');
denies(ask('/api/admin/NOTHING', 'read'), 400, 'path_unsafe', 'nor is it reached by what a lenient backend reads as it');
denies(ask('/api/none', 'read'), 403, 'operation_unknown', 'no such operation');
denies($t->get('/api/none'), 401, 'token_missing', 'without a token nobody learns of that');
denies(ask('/api', 'read'), 403, 'operation_unknown', 'the base is not an operation');
denies(ask('/api/users/', 'read'), 403, 'operation_unknown', 'a variable is at least one byte');
denies(ask('/api/users/7', 'read', method => 'OPTIONS'), 405, 'method_not_allowed', 'OPTIONS is not described');

# --- public ---

passes($t->get('/api/open', headers => [ 'X-Sub', 'forged' ]), 'public without a token');
is($t->get('/api/open', headers => [ 'X-Sub', 'forged' ])->sent('x-sub'), undef, 'mapped names are removed');
is(ask('/api/open', 'x')->sent('x-sub'), 'me', 'with a token its claims arrive');
denies($t->get('/api/open', token => 'x.y.z'), 401, 'token_malformed', 'a bad token is refused');
denies($t->request('PUT', '/api/open'), 405, 'method_not_allowed', 'a public path hides no methods');

# --- NotFound, Pass, bypass ---

passes(ask('/hidden/a', 'read', method => 'POST'), 'several methods in one line');
denies(ask('/hidden/none', 'read'), 404, 'operation_unknown', 'NotFound');
denies($t->get('/hidden/none'), 401, 'token_missing', 'NotFound without a token');
denies($t->get('/hidden/a'), 401, 'token_missing', 'M2MBypassEmptyToken opens no operation');
passes($t->get('/hidden/p'), 'control: public does');
passes(ask('/pass/none', ''), 'Pass: any valid token');
denies($t->get('/pass/none'), 401, 'token_missing', 'Pass needs one');
denies(ask('/pass/a', 'read write'), 403, 'insufficient_scope', 'words behind scope= are scopes');
passes(ask('/pass/a', 'x write read'), 'control');

# --- what a lenient backend reads as something else ---

for my $path ('/api/admin/users;x', '/api/admin/USERS', '/api/admin/users/', '/api/admin//users', '/api/admin/x%2f..%2fusers',
              '/api/admin/users%3bx', '/api/ADMIN/users', '/api/admin/bob%5cx', '/api/admin;x/users') {
    $r = ask($path, 'read');
    is($r->reached, 0, "$path reaches nobody") or diag(M2MGW::Test::describe($r));
}
for my $path ('/pass/A', '/pass/a;x', '/pass/a/', '/pass/%61;') {
    $r = ask($path, 'nothing');
    is($r->reached, 0, "$path is not any valid token's") or diag(M2MGW::Test::describe($r));
}
passes(ask('/api/admin/Bob', 'read'), 'control: capitals in a variable');
for my $path ('/api/admin/users%253bx', '/api/admin/users%253B', '/api/admin/users%252f', '/api/admin/x%252f..%252fusers', '/api/users/7%253bx.json', '/rules/you%253bx/doc.json') {
    denies(ask($path, 'read json'), 400, 'path_unsafe', "$path may be decoded once more, and then be another operation or value");
}
for my $path ('/api/admin/bob%253bx', '/api/users/7%253b', '/api/users/7%2541', '/api/files/a%255cb/c%253b', '/pass/none%253bx') {
    passes(ask($path, 'read'), "control: $path is the same operation however often it is decoded");
}
denies(ask('/api/admin/bob;x', 'read'), 400, 'path_unsafe', 'control: a parameter as it is');
passes(ask('/api/users/a%20b', 'read'), 'control: a blank');
passes(ask('/api/users/%C3%A4', 'read'), 'control: UTF-8');

# --- rules ---

passes(ask('/rules/me/doc.json', ''), 'Path:NAME is of the template');
$r = ask('/rules/you/doc.json', '');
denies($r, 403, 'rule_denied', 'another owner');
is($r->header('X-Ca-Error-Message'), 'you is not me', 'and in messages');
denies(ask('/rules/none', ''), 403, 'operation_unknown', 'operations come before rules');
denies(ask('/rules/inner/x', ''), 403, 'operation_unknown', "a narrower section's rules replace no operations");

denies(ask('/parameter/me', ''), 403, 'rule_denied', 'Parameter: reads the template');
denies(ask('/parameter/me%253b', ''), 400, 'path_unsafe', 'so that its values have one reading');
passes(ask('/parameter/you%2541', ''), 'control: without a delimiter');
passes(ask('/limited/a/x', ''), 'a limit by a part of the path');
denies(ask('/limited/a/y', ''), 429, 'limit_exceeded', 'control: its second request');
for my $path ('/limited/a;1/x', '/limited/a%3b2/x', '/limited/a%253b3/x', '/limited/a%5cb/x') {
    denies(ask($path, ''), 400, 'path_unsafe', "$path is no bucket of its own");
}

# --- preflight ---

my @cors = (Origin => 'https://app.example', 'Access-Control-Request-Method' => 'PUT', 'X-Sub' => 'forged');
$r = $t->request('OPTIONS', '/api/users/7', headers => [@cors]);
is($r->reached, 1, 'a preflight of a described method passes without a token') or diag(M2MGW::Test::describe($r));
is($r->sent('x-sub'), undef, 'scrubbed');
denies($t->request('OPTIONS', '/api/users/7', headers => [ @cors[ 0, 1 ], 'Access-Control-Request-Method', 'DELETE' ]), 401, 'token_missing', 'of another method it does not');
denies($t->request('OPTIONS', '/api/users/7', headers => [ @cors[ 2, 3 ] ]), 401, 'token_missing', 'without Origin it is none');
denies($t->request('OPTIONS', '/hidden/a', headers => [ @cors[ 0, 1 ], 'Access-Control-Request-Method', 'GET' ]), 401, 'token_missing', 'nor where M2MPreflight is Deny');

for my $path ('/api/users/Me', '/api/users/7%252fx', '/api/users/7%252f..%252fme') {
    denies($t->request('OPTIONS', $path, headers => [ @cors[ 0, 1 ], 'Access-Control-Request-Method', 'GET' ]), 400, 'path_unsafe', "a preflight's path is read once more: $path");
}

$r = $t->request('OPTIONS', '/api/files/x', headers => [@cors]);
is($r->reached, 1, 'nor does a preflight need one where OPTIONS is described') or diag(M2MGW::Test::describe($r));
denies($t->request('OPTIONS', '/api/files/x'), 401, 'token_missing', 'control: another OPTIONS there does');

# --- Shadow, logs ---

passes($t->get('/shadow/none'), 'Shadow lets pass what it would refuse');
$t->let_finish;
my $log = slurp("$t->{root}/logs/operation.log");
like($log, qr{^getUser /api/users/7$}m, 'M2M_OPERATION is the operationId');
like($log, qr{^GET /users/\{id\}\.json /api/users/7\.json$}m, 'or METHOD and template');
like($log, qr{^- /api/none$}m, 'or nothing');

# --- reload ---

spew("$t->{root}/api.yaml", $API =~ s{/admin/users: \{get: \{operationId: admin, security: \[\{oauth: \[admin\]\}\]\}\}}{/admin/users: {get: {}}}r);
denies(ask('/api/admin/users', 'read'), 403, 'insufficient_scope', 'a document that changed counts at the next reload');
$t->reload;
passes(ask('/api/admin/users', 'read'), 'and then it does');
$t->expect_log(qr/\[m2mgw:warn\].*Shadow|AH01136|M2-101/);
$t->finish(more => 1);

# --- what stops httpd -t ---

my $KEYS = 'M2MJwks file:@ROOT@/k.json';
sub stops { my ($config, $why, $name, %files) = @_;
    my ($status, $text) = try_config($config, files => { %FILES, %files });
    ok($status != 0 && $text =~ $why, "httpd -t: $name") or diag("$status: $text") }
sub takes { my ($config, $name, %files) = @_;
    my ($status, $text) = try_config($config, files => { %FILES, %files });
    ok($status == 0, "httpd -t: $name") or diag($text) }
takes("<Location /api>\n$KEYS\nM2MOpenAPI \@ROOT\@/api.yaml\n</Location>", 'control');
{   # a notice has one number, that of all notices
    my (undef, $text) = try_config("<Location /api>\n$KEYS\nM2MOpenAPI \@ROOT\@/open.yaml\n</Location>",
        files => { %FILES, 'open.yaml' => "openapi: 3.0.0\nservers: [{url: /api}]\npaths: {/a: {get: {}}}\n" });
    like($text, qr/^M2-101: M2MOpenAPI: \S+open\.yaml:\d+:\d+: the document as a whole states no security/m, 'httpd -t: a notice on a document');
}
{   # what has no effect is told
    my $told = sub { (try_config("<Location /api>\n$KEYS\n$_[0]\n</Location>\n" . ($_[1] // ''), files => \%FILES))[1] };
    my $idle = qr/M2MOperationUnknown and M2MPreflight have no effect without M2MOpenAPI or M2MOperation/;
    like($told->('M2MOperationUnknown Deny'), $idle, 'httpd -t: M2MOperationUnknown without operations is told');
    like($told->('M2MPreflight Pass'), $idle, 'so is M2MPreflight');
    unlike($told->("M2MOperationUnknown Deny\nM2MOperation GET /api/a"), $idle, 'but not beside operations');
    unlike($told->('M2MOperationUnknown Deny', "<Location /api/v1>\nM2MOperation GET /api/v1/a\n</Location>"), $idle, 'nor where a narrower section has some');
    my $outside = qr/is outside of <Location \/api>, so that no request finds it/;
    like($told->("M2MOperation GET $_"), $outside, "an operation outside of its section is told: $_") for '/a', '/apix/a', '/x/{id}', '/ap';
    unlike($told->("M2MOperation GET $_"), $outside, "one that may be inside is not: $_") for '/api', '/api/a', '/api/{id}', '/{version}/a', '/*', '/%61pi/a';
}
stops("<Location /api>\nM2MOpenAPI \@ROOT\@/api.yaml\n</Location>", qr/M2MOpenAPI: operations that need a token.*no keys/, 'no keys');
takes("<Location /api>\nM2MOperation GET /api/x public\n</Location>", 'public ones need none');
stops("<Location /other>\n$KEYS\nM2MOpenAPI \@ROOT\@/api.yaml\n</Location>", qr{outside of <Location /other>}, 'a base outside of its section');
stops("<Location /apix>\n$KEYS\nM2MOpenAPI \@ROOT\@/api.yaml\n</Location>", qr{outside of <Location /apix>}, 'whole segments count');
takes("<Location /other>\n$KEYS\nM2MOpenAPI \@ROOT\@/api.yaml base=/other\n</Location>", 'base=');
stops("<Location /api>\n$KEYS\nM2MOpenAPI \@ROOT\@/none.yaml\n</Location>", qr/none\.yaml/, 'a missing document');
stops("<Location /api>\n$KEYS\nM2MOpenAPI \@ROOT\@/api.yaml colour=red\n</Location>", qr/"colour"/, 'an unknown option');
stops("<Location /api>\n$KEYS\nM2MOpenAPI \@ROOT\@/api.yaml unknown=Maybe\n</Location>", qr/Deny, NotFound or Pass/, 'an unknown unknown=');
stops("<Location /api>\n$KEYS\nM2MOpenAPI \@ROOT\@/api.yaml unknown=Pass\nM2MOperationUnknown Deny\n</Location>", qr/say two things/, 'two words about the unknown');
takes("<Location /api>\n$KEYS\nM2MOpenAPI \@ROOT\@/api.yaml unknown=Pass\nM2MOperationUnknown Pass\n</Location>", 'twice the same word');
stops("<Location /api>\n$KEYS\nM2MOpenAPI \@ROOT\@/api.yaml scheme=none\n</Location>", qr/scheme=none/, 'an undefined scheme');
stops("<Location /api>\n$KEYS\nM2MOpenAPI \@ROOT\@/bad.yaml\n</Location>", qr/bad\.yaml: line 8, column \d+: .*but for names/s, 'a fault with file, line and column',
      'bad.yaml' => "openapi: 3.0.0\nservers: [{url: /api}]\ncomponents: {securitySchemes: {o: {type: oauth2}}}\nsecurity: [{o: []}]\n"
        . "paths:\n  /a/{x}:\n    get: {}\n  /a/{y}: {get: {}}\n");
stops("<Location /api>\n$KEYS\nM2MOpenAPI \@ROOT\@/bad.yaml\n</Location>", qr/bad\.yaml: line 6, column 3: "a": a path begins with \//, 'a path without its slash',
      'bad.yaml' => "openapi: 3.0.0\nservers: [{url: /api}]\ncomponents: {securitySchemes: {o: {type: oauth2}}}\nsecurity: [{o: []}]\npaths:\n  a: {get: {}}\n");
stops("<Location /api>\n$KEYS\nM2MOpenAPI \@ROOT\@/api.yaml scheme=oauth,,x\n</Location>", qr/scheme= names one or more/, 'an empty word among schemes');
for my $c ((map { [ "GET /api/a $_", qr/"\Q$_\E" says nothing/ ] } qw(scope= name=)), [ 'GET /api/a scope= public', qr/"scope=" says nothing/ ],
           (map { [ "$_ /api/a", qr/\Q"$_" holds an empty method\E/ ] } 'GET,,PUT', 'GET,', ',GET', ','), [ 'GET /api/a name=a name=b', qr/name= is given twice/ ],
           [ 'get /api/a', qr/written GET/ ], [ 'G@T /api/a', qr/not a method/ ], [ 'GET api', qr{begins with /} ], [ 'GET /api/a colour', qr/"colour"/ ],
           [ 'GET /api/a public scope=x', qr/one of them/ ], [ 'GET', qr/METHOD/ ], [ 'GET /a/../b', qr/"\.\."/ ]) {
    stops("<Location /api>\n$KEYS\nM2MOperation $c->[0]\n</Location>", $c->[1], "M2MOperation $c->[0]");
}
stops("<Location /api>\n$KEYS\nM2MOperation GET /api/a\nM2MOperation GET /api/a\n</Location>", qr/there already \(line 3\)/, 'an operation twice');
# the file's name, too, where it is another one; and the line of that method
my $two = "openapi: 3.0.0\nservers: [{url: /api}]\ncomponents: {securitySchemes: {o: {type: oauth2}}}\nsecurity: [{o: []}]\npaths:\n  /a/{x}:\n    get: {}\n    put: {}\n";
stops("<Location /api>\n$KEYS\nM2MOpenAPI \@ROOT\@/two.yaml\nM2MOperation PUT /api/a/{x}\n</Location>", qr{PUT /api/a/\{x\} is there already \(line 8 of \S+/two\.yaml\)}, 'one of a document', 'two.yaml' => $two);
stops("<Location /api>\n$KEYS\nM2MOpenAPI \@ROOT\@/two.yaml\nM2MOperation PUT /api/a/{y}\n</Location>", qr{equals "/api/a/\{x\}" \(line 7 of \S+/two\.yaml\) but for}, 'one that differs in names', 'two.yaml' => $two);
stops("<Location /api>\n$KEYS\nM2MOperation PUT /api/a/{x}\nM2MOpenAPI \@ROOT\@/two.yaml\n</Location>", qr{two\.yaml: line 8, column 5: .*there already \(line 3 of \S+/suite\.conf\)}, 'the other way round', 'two.yaml' => $two);
stops("<Location /api>\n$KEYS\nM2MOpenAPI \@ROOT\@/two.yaml\nM2MOpenAPI \@ROOT\@/one.yaml\n</Location>", qr{one\.yaml: line 7, column 5: .*there already \(line 7 of \S+/two\.yaml\)}, 'of two documents', 'two.yaml' => $two, 'one.yaml' => $two);
stops("<Location /api>\n$KEYS\nM2MOpenAPI \@ROOT\@/two.yaml\n</Location>", qr{two\.yaml: line 9, column \d+: .*equals "/api/a/\{x\}" \(line 7\)}, 'in one document', 'two.yaml' => "$two  /a/{z}: {get: {}}\n");

(undef, my $dump) = try_config("<Location /api>\n$KEYS\nM2MOpenAPI \@ROOT\@/api.yaml\nM2MOperation POST /api/x scope=a b name=x\n</Location>", files => \%FILES,
    args => [ '-D', 'DUMP_M2M' ]);
like($dump, qr{^    M2MOperation PUT /api/users/\{id\} name=putUser scope=write read \| scope=admin$}m, 'the dump has paths with their base, and scopes');
like($dump, qr{^    M2MOperation POST /api/x name=x scope=a b\n    # /api/admin/nothing takes no method\n    M2MOperationUnknown Deny$}m,
     'of M2MOperation, too, and paths without a method');
like($dump, qr{^    M2MOperation GET /api/open name=open public$}m, 'and what is public');

# --- m2mctl openapi ---

my $dir = File::Temp::tempdir(CLEANUP => 1);
spew("$dir/api.yaml", $API);
my $ctl = M2MGW::Test::m2mctl();
my $list = qx($ctl openapi $dir/api.yaml 2>$dir/err);
is($? >> 8, 0, 'm2mctl openapi');
like($list, qr{^PUT +/api/users/\{id\}  write read \| admin  putUser$}m, 'lists scopes');
like($list, qr{^GET +/api/open  public  open$}m, 'and what is public');
qx($ctl openapi $dir/api.yaml --strict 2>$dir/err);
is($? >> 8, 1, '--strict');
like(slurp("$dir/err"), qr{GET /open needs no token.*GET /users/me needs no scope}s, 'names what is open');
qx($ctl openapi $dir/api.yaml --strict=token 2>$dir/err);
unlike(slurp("$dir/err"), qr{/users/me}, '--strict=token minds tokens only');
like(qx($ctl openapi $dir/api.yaml --json 2>$dir/err), qr/"operation":\s*"getUser"/, '--json');
qx($ctl openapi $dir/err 2>$dir/err2);
is($? >> 8, 2, 'a bad file');

# --- m2mctl openapi --locations: the same policy without operations ---

# out of order, so that what counts must be put last; an operationId and scopes from a stranger
my $PLAIN = <<'YAML';
openapi: 3.1.0
servers: [{url: /plain}]
components: {securitySchemes: {oauth: {type: oauth2}}}
security: [{oauth: [read]}]
paths:
  /users/me: {get: {operationId: "me\n</Location>\n<Location />", security: [{oauth: [admin]}]}}
  /users/nobody: {}
  /users/{id}.json: {get: {security: [{oauth: ['a"b\\c', read]}, {oauth: [admin]}]}}
  /users/{id}: {get: {}, put: {security: []}, head: {security: [{oauth: [admin]}]}}
  /a%20b/%22c.d%22: {get: {security: []}}
  /files/*: {get: {}, x-aliyun-apigateway-any-method: {security: [{oauth: [admin]}]}}
  /files/x: {post: {}}
YAML
spew("$dir/plain.yaml", $PLAIN);
my $sections = qx($ctl openapi $dir/plain.yaml --locations 2>$dir/err);
is($? >> 8, 0, '--locations') or diag(slurp("$dir/err"));
my $l = M2MGW::Test->start(files => { %FILES, 'plain.yaml' => $PLAIN }, config => <<"CONF");
<Location /api>
    M2MJwks file:\@ROOT\@/k.json
    M2MOpenAPI \@ROOT\@/plain.yaml base=/api
</Location>
<Location /plain>
    M2MJwks file:\@ROOT\@/k.json
</Location>
$sections
ProxyPass / http://\@BACKEND\@/
CONF
my %tokens = (none => undef, map { ($_ => mint('oct', { sub => 'me', scope => $_ })) } 'read', 'admin', 'a"b\\c read', 'other');
for my $path ('/users/7', '/users/me', '/users/nobody', '/users/7.json', '/users/', '/users/.json', '/a%20b/%22c.d%22', '/a%20b/%22cxd%22', '/files/', '/files/x', '/files/y/z',
              '/none', '/users/ME', '/users/me;x', '/Users/7', '/users/7/') {
    for my $method ('GET', 'HEAD', 'PUT', 'POST', 'DELETE') {
        for my $who (sort keys %tokens) {
            my ($by_operations, $by_sections) = map { $l->request($method, "$_$path", token => $tokens{$who})->status } '/api', '/plain';
            is($by_sections == 200, $by_operations == 200, "$method $path with scope $who: $by_operations, in sections $by_sections");
        }
    }
}
$l->expect_log(qr/M2-101/);
$l->finish(more => 1);
done_testing();
