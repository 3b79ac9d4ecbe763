#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# What a refusal looks like: every reason in both profiles with its status, code, challenge and
# body, what ErrorDocument changes, what a rule's refusal carries, and what a pass carries.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP ();
use M2MGW::Test;

my @profile = ([ 'r', 'rfc6750' ], [ 'g', 'gateway' ]);
my $sections = join '', map {
    my ($p, $profile) = @$_;
    my $in = sub { "<Location /$p/$_[0]>\n$_[1]\n</Location>\n" };
    "<Location /$p>\nM2MErrorProfile $profile\n</Location>\n"
        . $in->('types', 'M2MTokenType at+jwt') . $in->('iss', 'M2MIssuer https://a/')
        . $in->('aud', 'M2MAudience api') . $in->('age', 'M2MMaxAge 10')
        . $in->('req', 'M2MRequireClaim tenant')
        . $in->('rule', 'M2MParameter w Token:want' . "\n" . q(M2MRule no "$w = 'x'" ifFalse=DENY))
        . $in->('err', "M2MParameter ip Query:ip\n" . q(M2MRule cidr "$ip in_cidr '10.0.0.0/8'" ifFalse=DENY))
        . $in->('default', "M2MParameter w Token:want\n" . q(M2MRule yes "$w = 'x'" ifTrue=ALLOW) . "\nM2MDefaultAction DENY")
        . $in->('scope', 'Require m2m-scope read write') . $in->('claim', 'Require m2m-claim role admin root')
        . $in->('orphan', "M2MEngine On\n") . $in->('claimmap', 'M2MClaim v header:X-V')
        . $in->('two', 'M2MToken header:Authorization query:t')
        . $in->('replay', "M2MPreventJtiReplay On\n");
} @profile;

my $t = M2MGW::Test->start(
    files => { 'k.json' => jwk_json('oct', kid => 'K'), 'htdocs/doc.html' => "local document\n",
               'htdocs/in/doc.html' => "document inside\n", 'htdocs/static.txt' => "static\n",
               'htdocs/in/list.shtml' => 'x', users => "joe:x\n" },
    config => <<'CONF' . $sections);
ProxyPass /doc.html !
ProxyPass /in/doc.html !
ProxyPass /static.txt !
ProxyPass / http://@BACKEND@/
<Location />
    M2MJwks file:@ROOT@/k.json
    M2MRealm "the \"realm\""
</Location>
<Location /doc.html>
    M2MEngine Off
</Location>
<Location /plainrealm>
    M2MJwks file:@ROOT@/k.json
</Location>
<Location /bypass>
    M2MBypassEmptyToken On
    Require m2m-scope read
</Location>
<Location /req/any>
    Require m2m-scope write
    Require ip 127.0.0.1
</Location>
<Location /req/all>
    <RequireAll>
        Require ip 127.0.0.1
        Require m2m-scope write
    </RequireAll>
</Location>
<Location /req/mine>
    <RequireAll>
        Require m2m-scope read
        Require ip 192.0.2.1
    </RequireAll>
</Location>
<Location /req/both>
    <RequireAll>
        Require m2m-scope write
        Require ip 192.0.2.1
    </RequireAll>
</Location>
<Location /req/basic>
    AuthType Basic
    AuthName x
    AuthBasicProvider file
    AuthUserFile @ROOT@/users
    Require m2m-scope write
</Location>
<Location /req/user>
    Require user nobody
</Location>
<Location /own>
    M2MParameter c Token:client_id
    M2MParameter h Header:X-H
    M2MParameter auth Header:Authorization
    M2MRule own "$c = 'x'" ifFalse=DENY statusCode=451 "errorMessage=No entry for %{c} %{h}" "responseBody={\"c\":\"%{c}\",\"h\":\"%{h}\"}"
    M2MRuleHeader own Content-Type application/json
    M2MRuleHeader own X-Own "%{c}|%{h}"
    M2MRuleHeader own X-Auth "%{auth}"
</Location>
<Location /raw>
    M2MParameter h Header:X-H
    M2MRule raw "1 = 1" ifTrue=DENY "errorMessage=%{h}"
</Location>
<Location /xml>
    M2MParameter c Token:client_id
    M2MRule own "$c = 'x'" ifFalse=DENY "responseBody=<r>%{c}</r>"
    M2MRuleHeader own Content-Type application/xml
</Location>
<Location /text>
    M2MParameter c Token:client_id
    M2MRule own "$c = 'x'" ifFalse=DENY "responseBody=hello %{c}"
</Location>
<Location /msg>
    M2MParameter c Token:client_id
    M2MRule own "$c = 'x'" ifFalse=DENY "errorMessage=only a message"
</Location>
<Location /odd>
    M2MRule own "1 = 2" ifFalse=DENY statusCode=499
</Location>
<Location /odd/doc>
    ErrorDocument 500 /doc.html
</Location>
<Location /ed/text>
    ErrorDocument 401 "a text for people"
</Location>
<Location /ed/local>
    ErrorDocument 401 /doc.html
    ErrorDocument 403 /doc.html
</Location>
<Location /in>
    ErrorDocument 401 /in/doc.html
    Require m2m-scope read
    ErrorDocument 403 /in/doc.html
</Location>
<Location /ed/proxied>
    ErrorDocument 401 /ed/proxied/backend
</Location>
<Location /ed/external>
    ErrorDocument 403 http://elsewhere.test/
    Require m2m-scope read
</Location>
<Location /ed/missing>
    ErrorDocument 401 /no-such-thing-here.html
</Location>
<Location /ed/rule>
    ErrorDocument 403 /doc.html
    M2MParameter c Token:client_id
    M2MRule own "$c = 'x'" ifFalse=DENY "responseBody=the rule speaks"
</Location>
<Location /ed/rulenobody>
    ErrorDocument 403 /doc.html
    M2MParameter c Token:client_id
    M2MRule own "$c = 'x'" ifFalse=DENY
</Location>
CONF

my $exp = time + 600;
sub tok { mint('oct', {@_}) }
my $bad = mint('oct#2', {});
# reason, code, path, token or headers, rfc6750 status and error, gateway status
my @table = (
    [ 'token_missing', 'I400JR', '', undef, 401, '', 400 ],
    [ 'token_multiple', 'I400JR', 'two?t=' . tok(), tok(), 400, 'invalid_request', 400 ],
    [ 'token_malformed', 'I400JD', '', 'a.b.c', 401, 'invalid_token', 400 ],
    [ 'alg_not_allowed', 'A403JT', '', mint('oct', {}, { alg => 'RS256' }, sign => 'HS256'), 401, 'invalid_token', 403 ],
    [ 'crit_unsupported', 'A403JT', '', mint('oct', {}, { crit => ['x'], x => 1 }), 401, 'invalid_token', 403 ],
    [ 'typ_mismatch', 'A403JT', 'types', tok(), 401, 'invalid_token', 403 ],
    [ 'signature_invalid', 'A403JT', '', $bad, 401, 'invalid_token', 403 ],
    [ 'claim_invalid', 'A403JT', '', mint('oct', { exp => 'x' }), 401, 'invalid_token', 403 ],
    [ 'claim_missing', 'A403JT', 'req', tok(), 401, 'invalid_token', 403 ],
    [ 'not_yet_valid', 'A403JT', '', tok(nbf => $exp), 401, 'invalid_token', 403 ],
    [ 'issuer_mismatch', 'A403JT', 'iss', tok(iss => 'b'), 401, 'invalid_token', 403 ],
    [ 'audience_mismatch', 'A403JT', 'aud', tok(aud => 'b'), 401, 'invalid_token', 403 ],
    [ 'too_old', 'A403JT', 'age', tok(iat => time - 500), 401, 'invalid_token', 403 ],
    [ 'kid_unknown', 'A403JK', '', mint('oct', {}, { kid => 'L' }), 401, 'invalid_token', 403 ],
    [ 'expired', 'A403JE', '', tok(exp => 1), 401, 'invalid_token', 403 ],
    [ 'jti_missing', 'S403JI', 'replay', tok(), 401, 'invalid_token', 403 ],
    [ 'jti_replayed', 'S403JU', 'replay', sub { tok(jti => "j-$_[0]") }, 401, 'invalid_token', 403, 'twice' ],
    [ 'claim_unsafe', 'A403JT', 'claimmap', tok(v => "a\nb"), 403, undef, 403 ],
    [ 'rule_denied', 'A403AC', 'rule', tok(), 403, undef, 403 ],
    [ 'rule_error', 'A403AC', 'err?ip=nonsense', tok(), 403, undef, 403 ],
    [ 'rule_default', 'A403AC', 'default', tok(), 403, undef, 403 ],
    [ 'insufficient_scope', 'A403AC', 'scope', tok(scope => 'read'), 403, 'insufficient_scope', 403 ],
    [ 'claim_denied', 'A403AC', 'claim', tok(role => 'user'), 403, 'insufficient_scope', 403 ],
);
for my $row (@table) {
    my ($reason, $code, $path, $token, $status, $error, $gateway, $twice) = @$row;
    for my $p (@profile) {
        my ($prefix, $profile) = @$p;
        my $want = $profile eq 'gateway' ? $gateway : $status;
        my $use = ref $token eq 'CODE' ? $token->($prefix) : $token;
        my @auth = defined $use ? (token => $use) : ();
        $t->get("/$prefix/$path", @auth) if $twice;
        my $r = $t->get("/$prefix/$path", @auth);
        denies($r, $want, $reason, "profile $profile");
        is($r->header('X-Ca-Error-Code') // '', $code, "$reason, $profile: X-Ca-Error-Code");
        ok(length($r->header('X-Ca-Error-Message') // ''), "$reason, $profile: X-Ca-Error-Message");
        ok(length($r->header('X-Ca-Request-Id') // ''), "$reason, $profile: X-Ca-Request-Id");
        is(scalar(my @cc = $r->header('Cache-Control')), 1, "$reason, $profile: one Cache-Control");
        is($r->header('Cache-Control') // '', 'no-store', "$reason, $profile: Cache-Control");
        is($r->header('X-Decision') // '', 'deny', "$reason, $profile: M2M_DECISION");
        my $www = $r->header('WWW-Authenticate');
        if ($profile eq 'gateway') {
            is($www, undef, "$reason, $profile: no challenge");
            is($r->body, '', "$reason, $profile: an empty body");
            is($r->header('Content-Type') // '', '', "$reason, $profile: no Content-Type");
            next;
        }
        my $json = eval { JSON::PP::decode_json($r->body) } || {};
        is($r->header('Content-Type') // '', 'application/problem+json', "$reason: RFC 9457 media type");
        is($json->{status}, $want, "$reason: RFC 9457 status");
        ok($json->{title} && $json->{detail}, "$reason: RFC 9457 title and detail");
        if (!defined $error) { is($www, undef, "$reason: no challenge"); next }
        like($www // '', qr/\ABearer realm="the \\"realm\\""/, "$reason: challenge");
        if ($error eq '') { unlike($www // '', qr/error/, "$reason: no error in the challenge"); next }
        like($www // '', qr/, ?error="$error", ?error_description="[^"\\]+"/, "$reason: error of the challenge");
    }
}
# controls of the rows that need configuration
passes($t->get("/r/$_->[0]", token => $_->[1]), "control: $_->[0]") for
    [ 'types', mint('oct', {}, { typ => 'at+jwt' }) ], [ 'iss', tok(iss => 'https://a/') ], [ 'aud', tok(aud => 'api') ],
    [ 'age', tok(iat => time) ], [ 'req', tok(tenant => 1) ], [ 'rule', tok(want => 'x') ], [ 'err?ip=10.1.2.3', tok() ],
    [ 'default', tok(want => 'x') ], [ 'scope', tok(scope => 'write read x') ], [ 'claim', tok(role => 'root') ],
    [ 'claimmap', tok(v => 'a b') ], [ 'replay', tok(jti => 'fresh') ];
like($t->get('/plainrealm')->header('WWW-Authenticate'), qr/\ABearer realm="the/, 'the realm is inherited');

# --- Require: whose refusal it is, and what would help ---

is($t->get('/r/scope', token => tok(scope => 'read'))->header('WWW-Authenticate') =~ /, scope="([^"]*)"/ ? $1 : '', 'read write', 'the challenge names the scopes');
unlike($t->get('/r/claim', token => tok(role => 'user'))->header('WWW-Authenticate'), qr/scope="/, 'and none for a claim');
unlike($t->get('/r/scope')->header('WWW-Authenticate'), qr/scope=|error=/, 'and none for a request without a token');
my $www = $t->get('/bypass', token => undef);
is($www->status . $www->reason, '403insufficient_scope', 'no token, let in by M2MBypassEmptyToken, refused by Require');
like($www->header('WWW-Authenticate') // '', qr/\ABearer realm="[^,]*"\z/, 'with a challenge that names no error: there was no token');
for my $row ([ 'req/any', 'ok', 200 ], [ 'req/all', 'insufficient_scope', 403 ], [ 'req/mine', 'ok', 403 ], [ 'req/basic', 'insufficient_scope', 403 ],
             [ 'req/user', 'ok', 403 ], [ 'req/both', 'ok', 403 ]) {
    my ($path, $reason, $status) = @$row;
    my $r = $t->get("/$path", token => tok(scope => 'read', sub => 'joe'));
    is(join(' ', $r->status, $r->reason), "$status $reason", "$path: the reason is that of whoever refused");
    is($r->header('X-Ca-Error-Code'), $reason eq 'ok' ? undef : 'A403AC', "$path: and so is the code");
}

# --- HEAD, and other methods ---

my $r = $t->get('/r/', method => 'HEAD');
denies($r, 401, 'token_missing', 'HEAD');
is($r->body, '', 'HEAD has no body');
like($r->header('WWW-Authenticate'), qr/Bearer/, 'but the challenge');
is($r->header('Content-Type'), 'application/problem+json', 'and the media type');
for my $m (qw(POST OPTIONS DELETE FOO)) {
    $r = $t->get('/r/', method => $m);
    denies($r, 401, 'token_missing', $m);
    like($r->body, qr/"status": ?401/, "$m has a body");
}
$r = $t->get('/r/', proto => 'HTTP/1.0', host => undef);
denies($r, 401, 'token_missing', 'HTTP/1.0');
$r = $t->get('/r/', headers => [ Accept => 'text/html', Range => 'bytes=0-3', 'If-None-Match' => '*' ]);
is($r->status, 401, 'a conditional range request is refused in full');
like($r->body, qr/"status": ?401/, 'with its body');

# --- what a rule says ---

$r = $t->get('/own', token => tok(client_id => 'a"b'), headers => [ 'X-H' => "\xc3\xa4<&" ]);
is($r->status, 451, 'statusCode of a rule');
is($r->reason, 'rule_denied', 'its reason');
is($r->header('X-Ca-Error-Code'), 'A403AC', 'its code');
is($r->header('X-Ca-Error-Message'), "No entry for a\"b \xc3\xa4<&", 'errorMessage');
is($r->header('Content-Type'), 'application/json', 'Content-Type of a rule');
is($r->header('X-Own'), "a\"b|\xc3\xa4<&", 'a header of a rule');
is($r->header('X-Auth'), '[redacted]', 'a value that holds the token is redacted');
is(eval { JSON::PP::decode_json($r->body)->{c} }, 'a"b', 'the body is escaped for JSON') or diag($r->body);
is($r->header('WWW-Authenticate'), undef, 'no challenge');
$r = $t->get('/own', token => tok(client_id => "a\r\nX-Evil: 1"));
is($r->header('X-Evil'), undef, 'control bytes make no header');
$r = $t->get('/own', token => tok());
is($r->header('X-Ca-Error-Message'), 'No entry for  ', 'null renders empty') or diag($r->header('X-Ca-Error-Message'));
$r = $t->get('/own', method => 'HEAD', token => tok(client_id => 'y'));
is($r->status . $r->body, '451', 'HEAD of a rule with a body');
is($t->get('/xml', token => tok(client_id => '<&">'))->body =~ s/&#34;/&quot;/r, '<r>&lt;&amp;&quot;&gt;</r>', 'escaped for XML');
$r = $t->get('/text', token => tok(client_id => '<b>'));
is($r->body, 'hello <b>', 'a body without a Content-Type is text');
like($r->header('Content-Type'), qr{\Atext/plain}, 'and says so');
is($r->header('X-Content-Type-Options'), 'nosniff', 'and is not to be taken for anything else');
is($t->get('/r/')->header('X-Content-Type-Options'), 'nosniff', 'nor is the usual body');
is($t->get('/g/')->header('X-Content-Type-Options'), undef, 'where there is no body nothing is said');
$r = $t->get('/own', token => tok(client_id => 'y'), headers => [ 'X-H' => "a\xffb\xc3" ]);
is($r->header('X-Ca-Error-Message'), "No entry for y a\xef\xbf\xbdb\xef\xbf\xbd", 'what is not UTF-8 becomes U+FFFD');
$r = $t->get('/raw', token => tok(), headers => [ 'X-H' => "a\xffb" ]);
is(eval { JSON::PP->new->utf8->decode($r->body)->{detail} }, "a\x{fffd}b", 'also in the body');
$r = $t->get('/msg', token => tok());
is($r->header('X-Ca-Error-Message'), 'only a message', 'a message without a body');
like($r->body, qr/only a message/, 'is in the problem document');
is($t->get('/r/rule', token => tok())->header('X-Ca-Error-Message'), 'Access Control Forbidden by no', 'the default message');
passes($t->get('/own', token => tok(client_id => 'x')), 'control: the rule is content');

# --- ErrorDocument ---

$r = $t->get('/ed/text');
is($r->status . $r->body, '401a text for people', 'ErrorDocument: a text');
$r = $t->get('/ed/local');
is($r->status, 401, 'ErrorDocument: a local document, status');
is($r->body, "local document\n", 'and body');
is($r->reason, 'token_missing', 'and reason');
like($r->header('WWW-Authenticate'), qr/Bearer/, 'and challenge');
is($r->header('X-Ca-Error-Code'), 'I400JR', 'and code');
is($r->header('Cache-Control'), 'no-store', 'and Cache-Control');
$r = $t->get('/in/x');
is($r->status . $r->body, "401document inside\n", 'ErrorDocument inside the protected section');
is($t->get('/in/doc.html')->status, 401, 'which is protected when asked for itself');
$r = $t->get('/in/x', token => tok(scope => 'none'));
is($r->status . $r->body, "403document inside\n", 'also for a scope refusal');
is($r->header('X-Ca-Error-Code') // '', 'A403AC', 'with its code');
passes($t->get('/in/x', token => tok(scope => 'read')), 'control: the scope is there');
$r = $t->get('/ed/proxied');
denies($r, 401, 'token_missing', 'ErrorDocument that would be proxied is not fetched');
$r = $t->get('/ed/external', token => tok());
ok(!$r->reached, 'ErrorDocument elsewhere reaches nothing');
is($r->status, 403, 'and is not followed');
is($r->header('Location'), undef, 'nor named');
like($r->body, qr/"reason":"insufficient_scope"/, 'our own body stands');
$r = $t->get('/ed/missing');
is($r->status, 401, 'ErrorDocument that is missing');
ok(!$r->reached, 'reaches nothing');
$r = $t->get('/ed/rule', token => tok());
is($r->status . $r->body, '403the rule speaks', "a rule's own body comes before ErrorDocument");
$r = $t->get('/ed/rulenobody', token => tok());
is($r->status . $r->body, "403local document\n", 'ErrorDocument where the rule has no body');
$r = $t->get('/ed/local', method => 'POST', body => 'x=y');
is($r->status . $r->body, "401local document\n", 'ErrorDocument for a POST');

# --- a pass ---

$r = $t->get('/r/', token => tok());
is($r->header('X-Ca-Error-Code'), undef, 'a pass has no error code');
is($r->header('WWW-Authenticate'), undef, 'and no challenge');
is($r->header('Cache-Control'), undef, 'and its Cache-Control is the backend\'s (none)');
is($t->get('/r/cacheable', token => tok())->header('Cache-Control'), 'max-age=3600', 'or what it said');
$r = $t->get('/r/two?t=' . tok());
is($r->header('Cache-Control'), 'private', 'private where the token was not in Authorization');
$r = $t->get('/r/two/cacheable?t=' . tok());
like($r->header('Cache-Control'), qr/\bprivate\b/, 'also where the backend wants a cache');
like($r->header('Cache-Control'), qr/\bmax-age=3600\b/, 'without losing what it said');
is($t->get('/r/status-404', token => tok())->status, 404, 'a status of the backend is the backend\'s');
is($t->get('/r/status-404', token => tok())->header('X-Ca-Error-Code'), undef, 'and has no code of ours');
is($t->get('/r/status-401', token => tok())->header('WWW-Authenticate'), undef, 'nor has its 401 a challenge of ours');
is($t->get('/static.txt', token => tok())->body, "static\n", 'static content');
denies($t->get('/static.txt'), 401, 'token_missing', 'static content');
is($t->get('/odd', token => tok())->status, 499, "a status that is not httpd's own");
$r = $t->get('/odd/doc', token => tok());
is($r->status . $r->body, "499local document\n", 'which httpd answers with the ErrorDocument of a 500');
my %id;
$id{ $t->get('/r/')->header('X-Ca-Request-Id') }++ for 1 .. 20;
is(scalar keys %id, 20, 'request ids differ');

$t->expect_log(qr/\[m2mgw:warn\].*(?:rule_error|M2MEngine is on without keys or rules)/);
$t->finish(more => 1);

# --- M2MEngine On with nothing behind it, and statusCode over its range ---

my $codes = join '', map { "<Location /c$_>\nM2MRule r \"1 = 2\" ifFalse=DENY statusCode=$_\n</Location>\n" }
    400, 401, 403, 404, 405, 406, 409, 410, 418, 422, 429, 451, 499, 500, 502, 503, 504, 511, 599;
$t = M2MGW::Test->start(config => <<"CONF");
$codes
<Location /orphan>
    M2MEngine On
</Location>
<Location /orphang>
    M2MEngine On
    M2MErrorProfile gateway
</Location>
ProxyPass / http://\@BACKEND\@/
CONF
for my $code ($codes =~ /statusCode=(\d+)/g) {
    my $r = $t->get("/c$code");
    denies($r, $code, 'rule_denied', "statusCode=$code");
    is($r->header('X-Ca-Error-Code'), 'A403AC', "statusCode=$code: code");
    like($r->body, qr/"status": ?$code\b/, "statusCode=$code: body");
    like($r->header('WWW-Authenticate'), qr/\ABearer realm="gw.test"/, 'a 401 has a challenge') if $code == 401;
}
for my $u (qw(/orphan /orphang)) {
    my $r = $t->get($u, token => tok());
    denies($r, 503, 'keys_unavailable', "M2MEngine On without keys or rules, $u");
    like($r->header('Retry-After') // '', qr/\A\d+\z/, 'with Retry-After');
    is($r->header('X-Ca-Error-Code'), 'X500ER', 'and its code');
    is($r->header('WWW-Authenticate'), undef, 'and no challenge');
}
$t->expect_log(qr/\[m2mgw:error\].*keys_unavailable/, qr/M2MEngine is on without keys or rules/);
$t->finish(more => 1);

# --- scripts, whose fields httpd keeps with those of errors ---

my $say = "Content-Type: text/plain\\nX-Ca-Request-Id: theirs\\nCache-Control: public, max-age=60\\n\\nsaid";
$t = M2MGW::Test->start(
    files => { 'k.json' => jwk_json('oct'), 'htdocs/p/say.cgi' => "#!/bin/sh\nprintf '$say'\n",
               'htdocs/p/gone.cgi' => "#!/bin/sh\nprintf 'Status: 404\\n$say'\n", 'htdocs/d/index.cgi' => "#!/bin/sh\nexit 1\n" },
    config => <<'CONF');
M2MEngine Off
M2MJwks file:@ROOT@/k.json
M2MToken header:Authorization query:t
<Directory @DOCROOT@>
    Options +ExecCGI
    AddHandler cgi-script .cgi
    DirectoryIndex index.cgi
</Directory>
<Location /p>
    M2MEngine On
</Location>
<LocationMatch "^/d/$">
    M2MEngine On
</LocationMatch>
<If "%{HTTP:X-Edit} == '1'">
    Header always edit X-Ca-Request-Id ^ edited-
    Header always set Cache-Control public
</If>
CONF
for my $of ([ '/p/say.cgi', 200 ], [ '/p/gone.cgi', 404 ], [ '/d/', 500 ]) {
    my ($url, $status) = @$of;
    my $r = $t->get($url, token => tok());
    is($r->status, $status, "$url: the script's status");
    my @id = $r->header('X-Ca-Request-Id');
    is(scalar @id, 1, "$url: one request id");
    like($id[0] // '', qr/\A[0-9A-Za-z_-]{20,}\z/, "$url: which is ours");
}
is($t->get('/p/say.cgi', token => tok())->header('Cache-Control'), 'public, max-age=60', "the script's Cache-Control");
for my $edit (0, 1) {
    my $r = $t->get('/p/say.cgi?t=' . tok(), headers => [ 'X-Edit' => $edit ]);
    is($r->status, 200, 'a token in the query of a script');
    my @cc = $r->header('Cache-Control');
    is(scalar @cc, 1, 'one Cache-Control');
    like($cc[0], qr/\Aprivate\b/, 'which is private');
    unlike($cc[0], qr/public/, 'and nothing else');
    like($r->header('X-Ca-Request-Id'), $edit ? qr/\Aedited-/ : qr/\A(?!edited)/, 'Header always edits the id' . ($edit ? '' : ' where it is told to'));
}
$t->expect_log(qr/End of script output before headers/);
$t->finish(more => 1);

# --- a refusal is not a cache's, whatever else speaks about caches ---

$t = M2MGW::Test->start(
    modules => ['expires'],
    files => { 'k.json' => jwk_json('oct'), 'htdocs/e.html' => "document\n",
               'htdocs/in/e.html' => "document inside\n" },
    config => <<'CONF');
Header set Cache-Control "public, max-age=99"
<If "%{HTTP:X-Always} == '1'">
    Header always set Cache-Control "public, max-age=98"
</If>
<If "%{HTTP:X-Always} == '2'">
    Header always add Cache-Control "public, max-age=97"
    Header add Cache-Control "public, max-age=96"
</If>
ExpiresActive On
ExpiresDefault A95
ProxyPass /e.html !
ProxyPass /in/e.html !
ProxyPass / http://@BACKEND@/
<LocationMatch "^/(bare|doc|in|text|rule)">
    M2MJwks file:@ROOT@/k.json
    M2MToken header:Authorization query:t
</LocationMatch>
<Location /doc>
    ErrorDocument 401 /e.html
</Location>
<Location /in>
    ErrorDocument 401 /in/e.html
</Location>
<Location /text>
    ErrorDocument 401 "text"
</Location>
<Location /rule>
    M2MRule r "1 = 1" ifTrue=DENY statusCode=404 responseBody=no
    M2MRuleHeader r Cache-Control "public, max-age=94"
</Location>
CONF
for my $always (0 .. 2) {
    for my $on ([ '/bare', 401 ], [ '/doc', 401 ], [ '/in/x', 401 ], [ '/text', 401 ],
                [ '/rule', 404, tok() ], [ '/rule?t=' . tok(), 404 ]) {
        my ($url, $status, $token) = @$on;
        my $r = $t->get($url, token => $token, headers => [ 'X-Always' => $always ]);
        $url =~ s/t=.*/t=.../;
        is($r->status, $status, "Header always $always, $url: status");
        ok(!$r->reached, 'the backend received nothing');
        is(join(' | ', $r->header('Cache-Control')), 'no-store', "and its Cache-Control");
    }
    like(join(' ', $t->get('/bare', token => tok(), headers => [ 'X-Always' => $always ])->header('Cache-Control')),
         qr/\bpublic, max-age=9/, 'control: of a pass it is what Header says');
}
$t->finish;
