#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# `m2mctl explain` decides as the gateway does: a table of requests is sent to a running one and
# told to the tool, and both have to come to the same reason and status. What passes arrives at
# the backend, what is refused does not.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP ();
use M2MGW::Names;
use M2MGW::Paths;
use M2MGW::Test;

my $tool = M2MGW::Test::m2mctl() or plan skip_all => 'no m2mctl in the build directory';

# --- the policies: lines of a section, and what the tool is told of them ---

my %RULES = (
    names => <<'CONF',
M2MParameter tenant Query:tenant
M2MParameter form Form:tenant
M2MParameter cookie Cookie:tenant
M2MParameter header Header:X-Tenant
M2MRule query "$tenant = null or $tenant = 'mine'" ifFalse=DENY
M2MRule form "$form = null or $form = 'mine'" ifFalse=DENY
M2MRule cookie "$cookie = null or $cookie = 'mine'" ifFalse=DENY
M2MRule header "$header = null or $header = 'mine'" ifFalse=DENY statusCode=422
CONF
    first => <<'CONF',
M2MDuplicateParameter First
M2MParameter tenant Query:tenant
M2MRule query "$tenant = 'mine'" ifFalse=DENY
CONF
    anywhere => <<'CONF',
M2MParameter tenant Parameter:tenant
M2MRule any "$tenant = 'mine'" ifFalse=DENY
CONF
    path => <<'CONF',
M2MPath "/path/{id}/*"
M2MParameter id Path:id
M2MParameter me Token:client_id
M2MRule own "$id = $me" ifFalse=DENY statusCode=404
CONF
    method => <<'CONF',
M2MParameter method Method
M2MRule reads "$method in ('GET', 'POST')" ifFalse=DENY
CONF
    claims => <<'CONF',
M2MParameter seen Query:client_id
M2MParameter sent Header:X-Client-Id
M2MParameter role Token:realm.role
M2MParameter user System:CaAppId
M2MRule published "$seen = $user and $sent = $user" ifFalse=DENY
M2MRule role "$role = null or $role <> 'none'" ifFalse=DENY
M2MDefaultAction ALLOW
CONF
    scheme => <<'CONF',
M2MParameter host Host
M2MParameter xff XFF:0
M2MRule host "$host like '%.test'" ifFalse=DENY
M2MRule xff "$xff = null or $xff in_cidr '10.0.0.0/8'" ifFalse=DENY
CONF
);
# beside the keys: directives, and options of the tool
my %POLICY = (
    (map { $_ => [ $RULES{$_}, '--rules', "$_.rules" ] } keys %RULES),
    plain => [ '' ],
    audience => [ "M2MAudience api\n", '--audience', 'api' ],
    scope => [ "M2MRequireClaim scope read write\n", '--require-claim', 'scope read write' ],
    bypass => [ "M2MBypassEmptyToken On\nM2MClaim client_id query:client_id\n", '--bypass-empty-token', '--claim', 'client_id query:client_id' ],
    form => [ "M2MClaim client_id form:client_id\n", '--claim', 'client_id form:client_id' ],
);
$POLICY{claims}[0] .= "M2MClaim client_id query:client_id header:X-Client-Id\n";
push @{ $POLICY{claims} }, '--claim', 'client_id query:client_id header:X-Client-Id';
# the token somewhere else, as scripts say it
my %PLACE = (inquery => 'query', incookie => 'cookie', inform => 'formData', inheader => 'header');
my $key = JSON::PP::decode_json(jwk_json('oct'));
$key = $key->{keys}[0] if $key->{keys};
my %FILES = ('k.json' => jwk_json('oct'), map { ("$_.rules" => $RULES{$_}) } keys %RULES);
for my $place (keys %PLACE) {
    $FILES{"$place.yaml"} = "parameter: id_token\nparameterLocation: $PLACE{$place}\nbypassEmptyToken: false\njwk:\n"
        . join '', map { "  $_: $key->{$_}\n" } sort keys %$key;
    $POLICY{$place} = [ "M2MPlugin jwtAuth \@ROOT\@/$place.yaml\n", '--jwt-auth', "$place.yaml" ];
}

my $b = 'http://@BACKEND@';
my $config = "AllowEncodedSlashes NoDecode\nProxyPass / $b/\n";
for my $name (sort keys %POLICY) {
    my $keys = $PLACE{$name} ? '' : "M2MJwks file:\@ROOT\@/k.json\n";
    $config .= "<Location /$name>\n$keys$POLICY{$name}[0]</Location>\n";
}
my @sections = map { ('--section', "/$_") } sort keys %POLICY;
my $guards = <<"CONF";
<VirtualHost *>
    ServerName guard.test
    AllowEncodedSlashes NoDecode
    ProxyPass / $b/
    <Location /app>
        M2MJwks file:\@ROOT\@/k.json
    </Location>
    <Location /app/public>
        M2MEngine Off
    </Location>
    <Location /shadow>
        M2MJwks file:\@ROOT\@/k.json
        M2MEngine Shadow
    </Location>
</VirtualHost>
CONF
my $t = M2MGW::Test->start(files => \%FILES, config => "$config<VirtualHost *>\nServerName gw.test\n$config</VirtualHost>\n$guards");
chdir $t->{root} or die "$t->{root}: $!";

# --- asking both ---

sub told {
    my ($options, $method, $url, $headers, $body) = @_;
    my @args = ('explain', '--json', @$options, '--method', $method, '--url', $url);
    my @h = @$headers;
    while (my ($name, $value) = splice @h, 0, 2) { push @args, '--header', "$name: $value" }
    push @args, '--body', $body if defined $body;
    open my $err, '>&', \*STDERR or die $!;
    open STDERR, '>', '/dev/null' or die $!;
    open my $out, '-|', $tool, @args or die "$tool: $!";
    open STDERR, '>&', $err or die $!;
    local $/;
    my $text = <$out> // '';
    close $out;
    my $code = $? >> 8;
    my $json = eval { JSON::PP::decode_json($text) };
    return "$code $text" if !$json || !defined $json->{reason};
    return $json->{reason} . ' ' . ($json->{decision} eq 'allow' ? 200 : $json->{status});
}

my $agreed = 0;

# One request; $reason is what both have to say, where a case is there for its reason.
sub same {
    my ($policy, $method, $url, $headers, $body, $reason) = @_;
    my @o = @{ $POLICY{$policy} };
    my @keys = $PLACE{$policy} ? () : ('--jwks', 'k.json');
    my $r = $t->request($method, $url, headers => [ @$headers, defined $body ? ('Content-Length' => length $body) : () ], body => $body);
    return if $r->reason eq '' && $r->status =~ /^40[04]$/; # httpd itself
    my $gateway = ($r->reason || 'ok') . ' ' . $r->status;
    my $told = told([ @keys, @o[1 .. $#o], @sections ], $method, $url, [ Host => 'gw.test', @$headers ], $body);
    my $name = "$policy: $method " . substr($url, 0, 60) =~ s/[^ -~]/?/gr . ' ' . join(' ', map { substr $_, 0, 40 } @$headers) . ' ' . substr($body // '', 0, 40);
    is($told, $gateway, $name);
    is($gateway =~ s/ .*//r, $reason, "... for that reason") if defined $reason;
    is($r->reached, $gateway =~ / 200$/ ? 1 : 0, '... and the backend');
    $agreed++;
}

my $token = mint('oct', { client_id => 'app', scope => 'read write', aud => 'api', realm => { role => 'x' } });
my $bare = mint('oct', { sub => 'me' });
my @auth = (Authorization => "Bearer $token");
my @form = ('Content-Type' => 'application/x-www-form-urlencoded');

# tokens
for my $case ([ [ ], 'token_missing' ], [ [ Authorization => "Bearer $token" ], 'ok' ], [ [ Authorization => "bearer  $token" ], 'ok' ], [ [ Authorization => 'Basic eDp5' ], 'token_missing' ],
              [ [ Authorization => 'Bearer x.y.z' ], 'token_malformed' ], [ [ @auth, Authorization => "Bearer $token" ], 'token_multiple' ],
              [ [ Authorization => "Foo Bearer $token" ], 'token_malformed' ], [ [ @auth, 'authorization_' => 'x' ], 'ok' ],
              [ [ Authorization => 'Bearer ' . mint('oct#2', {}) ], undef ], [ [ Authorization => 'Bearer ' . mint('oct', { exp => 1 }) ], 'expired' ],
              [ [ Authorization => 'Bearer ' . mint('oct', { nbf => time + 9999 }) ], 'not_yet_valid' ], [ [ Authorization => "Bearer $bare" ], 'ok' ]) {
    same('plain', 'GET', '/plain/x', $case->[0], undef, $case->[1]);
    same('bypass', 'GET', '/bypass/x', $case->[0]);
}
same('audience', 'GET', '/audience/x', [ Authorization => "Bearer $bare" ], undef, 'claim_missing');
same('audience', 'GET', '/audience/x', [ Authorization => 'Bearer ' . mint('oct', { aud => 'other' }) ], undef, 'audience_mismatch');
same('scope', 'GET', '/scope/x', [ Authorization => "Bearer $bare" ], undef, 'insufficient_scope');
same('scope', 'GET', '/scope/x', [ @auth ], undef, 'ok');
for my $query ("id_token=$token", "id_token=$token&id_token=$token", "a=b;id_token=$token", "id.token=$token", "id_token=$token&ID_TOKEN=x", 'id_token=', 'a=b') {
    same('inquery', 'GET', "/inquery/x?$query", []);
    same('incookie', 'GET', '/incookie/x', [ Cookie => $query =~ s/&/; /gr ]);
    same('inform', 'POST', '/inform/x', [ @form ], $query);
    same('inform', 'POST', '/inform/x', [ 'Content-Type' => 'text/plain' ], $query);
    same('inform', 'POST', '/inform/x', [ 'Content-Type' => ';' ], $query);
}
for my $headers ([ id_token => $token ], [ 'Id-Token' => $token ], [ id_token => $token, 'Id.Token' => 'x' ], [ id_token => "Bearer $token" ], [ id_token => '' ], []) {
    same('inheader', 'GET', '/inheader/x', $headers);
}

# names and values
for my $case (M2MGW::Names::pairs(), M2MGW::Names::places()) {
    my $pairs = $case->[1] =~ s/client/tenant/gr =~ s/tenant_id/tenant/gr;
    next if $pairs =~ /[^!-~]/ || length $pairs > 4000;
    same('claims', 'GET', "/claims/x?$case->[1]", [ @auth ]);
    same('form', 'POST', '/form/x', [ @auth, @form ], $case->[1]);
    for my $policy (qw(names first anywhere)) {
        same($policy, 'GET', "/$policy/x?$pairs", [ @auth ]);
        same($policy, 'GET', "/$policy/x?tenant=mine&$pairs", [ @auth ]);
    }
    same('names', 'POST', '/names/x', [ @auth, @form ], $pairs);
    same('anywhere', 'POST', '/anywhere/x?tenant=mine', [ @auth, @form ], $pairs);
}
for my $query ('tenant=mine', 'tenant=theirs', 'tenant=mine&tenant=mine', 'tenant=mine&tenant=theirs', '+tenant=theirs', '%20tenant=theirs&tenant=mine', 'tenant%00=mine', 'tenant[]=mine',
               'tenant=mine;DROP', 'tenant=mine;', 'tenant=mine%20', 'tenant=%09mine', 'tenant=mine%C2%A0', 'tenant=mine%A0', 'tenant=min%C3%A0', 'tenant', 'tenant=', '&&tenant=mine', 'x=1;tenant=theirs',
               'Tenant=mine', 'TENANT=theirs', '.tenant=mine', 'tenant.x=mine', 't%u0065nant=mine', 'te%6eant=mine') {
    same($_, 'GET', "/$_/x?$query", [ @auth ]) for qw(names first anywhere);
    same('names', 'POST', '/names/x', [ @auth, @form ], $query);
    same('anywhere', 'POST', '/anywhere/x', [ @auth, @form ], $query);
    same('anywhere', 'POST', "/anywhere/x?$query", [ @auth, @form ], 'tenant=mine');
    same('names', 'POST', '/names/x', [ @auth, 'Content-Type' => $_ ], $query)
        for 'text/plain', 'application/json', 'multipart/form-data; boundary=b', ';', 'application/x-www-form-urlencoded; charset=utf-7', 'application/x-www-form-urlencoded;charset=utf-8';
    same('form', 'POST', '/form/x', [ @auth, 'Content-Type' => $_ ], $query)
        for 'text/plain', 'application/json', 'application/x-www-form-urlencoded; charset=utf-16', 'application/x-www-form-urlencodedx';
    same('names', 'POST', '/names/x', [ @auth, @form, 'Content-Encoding' => 'gzip' ], $query);
}
same('names', 'GET', '/names/x?tenant=mine', [ @auth, 'Content-Type' => 'text/x; charset=utf-7' ], undef, 'rule_error');
for my $cookie ('tenant=mine', 'a=b; tenant=mine', 'a=b;tenant=mine', 'a=b tenant=mine', 'a=1, tenant=mine', 'a="x; tenant=mine; y="', 'tenant="mine"', 'tenant=min%65', 'tenant.x=mine', 'tenant[]=mine',
                'tenant=mine; tenant=theirs', ' tenant = mine ', 'TENANT=mine', 'tenant=mine, x', 'prefs={"a":1}; tenant=mine', 'tenant=', 'tenant', 'tenant=mi+ne', 'tenant=mi ne') {
    same('names', 'GET', '/names/x', [ @auth, Cookie => $cookie ]);
}
for my $headers ([ 'X-Tenant' => 'mine' ], [ 'X-Tenant' => 'theirs' ], [ 'X_Tenant' => 'mine' ], [ 'X-Tenant' => 'mine', 'X_Tenant' => 'theirs' ], [ 'x-tenant' => 'mine' ], [ 'X.Tenant' => 'theirs' ],
                 [ 'X-Tenant' => 'mine', 'X-Tenant' => 'mine' ], [ 'X-Tenant' => 'mine', 'X-Tenant' => 'theirs' ], [ 'X-Tenant' => '' ], [ 'X-Tenant' => "mine\xa0" ]) {
    same('names', 'GET', '/names/x', [ @auth, @$headers ]);
}

# claims that are mapped
for my $request ([ '/claims/x' ], [ '/claims/x?client_id=evil' ], [ '/claims/x?Client.Id[]=evil&a=b' ], [ '/claims/x', 'X-Client-Id' => 'evil' ], [ '/claims/x', 'X_Client_Id' => 'evil' ]) {
    my ($url, @headers) = @$request;
    same('claims', 'GET', $url, [ @auth, @headers ], undef, 'ok');
    same('claims', 'GET', $url, [ Authorization => "Bearer $bare", @headers ]);
    same('bypass', 'GET', $url =~ s/claims/bypass/r, [ @headers ]);
}
same('claims', 'GET', '/claims/x', [ Authorization => 'Bearer ' . mint('oct', $_) ])
    for { client_id => ' x' }, { client_id => "x\ny" }, { client_id => undef }, { client_id => 7 }, { client_id => [ 'a b', 'c' ] }, { client_id => 'app', realm => { role => 'none' } }, { client_id => '' };

# methods
for my $method (qw(GET POST PUT delete Get)) {
    same('method', $method, '/method/x', [ @auth ]);
}
for my $query ('_method=DELETE', '_method=get', '.method=PUT', 'a=b;_METHOD=PUT') {
    same('method', 'GET', "/method/x?$query", [ @auth ]);
    same('method', 'POST', '/method/x', [ @auth, @form ], $query);
    same('method', 'POST', '/method/x', [ @auth, 'Content-Type' => ';' ], $query);
    same('method', 'POST', '/method/x', [ @auth, 'Content-Type' => 'application/json' ], $query);
    same('method', 'PUT', '/method/x', [ @auth, @form ], $query);
}
same('method', 'GET', '/method/x', [ @auth, $_ => 'DELETE' ], undef, 'rule_error') for 'X-HTTP-Method-Override', 'x_http_method', 'X-Method-Override';

# hosts and addresses
same('scheme', 'GET', '/scheme/x', [ @auth, 'X-Forwarded-For' => $_ ]) for '10.1.1.1', '10.1.1.1, 11.1.1.1', '11.1.1.1', 'x', '::ffff:10.1.1.1', ' ';

# paths that rules read
for my $path ('/path/app/x', '/path/bob/x', '/path/app/..;/bob/x', '/path/app/..%3b/bob/x', '/path/app;v=1/x', '/path/app%2fx', '/path/app%5cx/y', '/path/app\\x/y', '/path/app', '/path/app/', '/path/%61pp/x',
              '/path/bob/../app/x', '/path/./app/x', '/path//app/x', '/path/app%20/x', '/path/app%00/x', '/path/app%0a/x', '/path/app%252fx', '/path/app/%2e%2e/bob/x', '/path/app/x%C3%A0', '/path/100%25/x') {
    same('path', 'GET', $path, [ @auth ]);
    same('plain', 'GET', $path =~ s/path/plain/r, [ @auth ]);
}

# --- sections that are missed ---

my @guard = ('--section', '/app', '--section', '/app/public=Off', '--section', '/shadow=Shadow');
my %prefixes = ('/app/public' => [ '--bypass-empty-token' ], '/app' => [], '' => [ '--bypass-empty-token' ]);
for my $case (M2MGW::Paths::missed('/app', '/admin'), M2MGW::Paths::left('/app/public', '/admin'), M2MGW::Paths::ordinary(),
              [ 'control', '/app/x' ], [ 'control', '/app/public/x' ], [ 'control', '/open' ], [ 'control', '/apple' ], [ 'Shadow', '/SHADOW/x' ], [ 'control byte', '/open/%01' ]) {
    my ($name, $path) = @$case;
    my $r = $t->get($path, host => 'guard.test');
    next if $r->reason eq '' && $r->status =~ /^40[04]$/;
    my $told = told([ '--jwks', 'k.json', '--bypass-empty-token', @guard ], 'GET', $path, [ Host => 'guard.test' ]);
    is($told =~ /^path_unsafe 400$/ ? 1 : 0, $r->reason eq 'path_unsafe' && $r->status == 400 ? 1 : 0, "guard: $name: $path") or diag("gateway: " . $r->reason . " tool: $told");
    $agreed++;
}
is(told([ '--jwks', 'k.json', '--bypass-empty-token', '--path-guard', 'Off' ], 'GET', '/data/..;/x', []), 'bypass 200', 'M2MPathGuard Off: its readings are data');
is(told([ '--jwks', 'k.json', '--bypass-empty-token', '--nocanon' ], 'GET', '/data/../x', []), 'path_unsafe 400', 'a raw path that is forwarded');
like(told([ '--jwks', 'k.json', '--section', '/a;b' ], 'GET', '/', []), qr/^2 /, 'a section with several readings is a usage error');
like(told([ '--jwks', 'k.json', '--path-guard', 'Maybe' ], 'GET', '/', []), qr/^2 /, 'so is another word');
cmp_ok($agreed, '>', 700, "requests that were compared: $agreed");
chdir '/';
$t->expect_log(qr/\[m2mgw:(?:warn|notice)\]/, qr/AH10244|AH00127|AH00128|AH00026/);
$t->finish;
