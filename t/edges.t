#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# Where a request is not over when its headers are: trailers, bodies that are too long or break
# off, forms that two readers would read differently; and requests that never become one, but
# have a line that is logged.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use M2MGW::Test;

my $b = 'http://@BACKEND@';
my $t = M2MGW::Test->start(files => { 'k.json' => jwk_json('oct') }, modules => ['http2'], config => <<"CONF");
Protocols h2c http/1.1
M2MJwks file:\@ROOT\@/k.json
M2MToken header:Authorization query:id_token form:id_token
MergeTrailers On
AllowEncodedSlashes NoDecode
LogFormat "%r %q %U %f %{Referer}i" everything
CustomLog \@ROOT\@/logs/everything.log everything
ExtendedStatus On
<Location /form>
    M2MClaim client_id header:X-Client-Id form:client_id
    M2MClaim absent header:X-Absent
</Location>
<Location /rule>
    M2MClaim absent header:X-Absent
    M2MParameter a Form:a
    M2MRule a "\$a = 'b'" ifFalse=DENY
</Location>
<Location /limited>
    LimitRequestBody 50
    M2MClaim client_id form:client_id
</Location>
<Location /shadow>
    M2MEngine Shadow
    M2MFormLimit 100
    M2MParameter a Form:a
    M2MRule a "\$a = 'b'" ifFalse=DENY
</Location>
<Location /shadowform>
    M2MEngine Shadow
    M2MFormLimit 1000
    M2MClaim client_id form:client_id
</Location>
<Location /forward>
    M2MToken query:id_token
    M2MForwardToken On
</Location>
ProxyPass /forward/dead http://127.0.0.1:\@PORT:dead\@/
<Location /ne>
    M2MParameter p Path
    M2MRule public "\$p like '/ne/public%'" ifFalse=DENY
    RewriteEngine On
    RewriteRule . "$b%{REQUEST_URI}" [P,NE]
</Location>
<Location /open>
    M2MEngine Off
</Location>
<Location /open/status>
    SetHandler server-status
</Location>
ProxyPass /open/status !
ProxyPass /limited !
ProxyPass / $b/
CONF
my $token = mint('oct', { client_id => 'app' });
my @form = ('Content-Type' => 'application/x-www-form-urlencoded');
my @auth = (Authorization => "Bearer $token");
sub chunks { my ($n, $text, $trailer) = @_; join('', map { sprintf "%x\r\n%s\r\n", length, $_ } $text =~ /.{1,$n}/gs) . "0\r\n" . ($trailer // '') . "\r\n" }
sub body { my ($r) = @_; ($r->backend)[0] ? ($r->backend)[0]{body} : 'nothing received: ' . $r->status . ' ' . $r->reason }

# --- trailers, which httpd merges into the headers when asked to ---

my $trailer = "X-Client-Id: evil\r\nX_Client_Id: evil\r\nX-Absent: evil\r\nX-Ca-Request-Id: evil\r\nConnection: X-Client-Id\r\n";
for my $where ('form', 'rule') {
    my $r = $t->request('POST', "/$where", headers => [ @auth, @form, 'Transfer-Encoding' => 'chunked' ], body => chunks(4, 'a=b', $trailer));
    passes($r, "$where: a form with trailers");
    unlike(JSON::PP::encode_json([ $r->backend ]), qr/evil/, "$where: none of which is a header to the backend");
    is(scalar $r->sent('X-Client-Id'), $where eq 'form' ? 'app' : undef, "$where: ours is");
}

# --- a form that means two things ---

for my $type ('charset=utf-8; charset=ibm037', 'xcharset=utf-8; charset=utf-16', 'charset=utf-8;charset="utf-7"', 'charset*=utf-8', 'charset=') {
    denies($t->post('/form', 'a=b', headers => [ @auth, 'Content-Type' => "$form[1]; $type" ]), 415, 'body_unsupported', "a form with $type");
}
passes($t->post('/form', 'a=b', headers => [ @auth, 'Content-Type' => "$form[1]; charset=utf-8; charset=UTF-8" ]), 'control: two that are the same');

# --- too long, or never whole ---

denies($t->post('/limited', 'x' x 51, headers => [ @auth, @form ]), 413, 'body_too_large', 'LimitRequestBody, announced');
denies($t->request('POST', '/limited', headers => [ @auth, @form, 'Transfer-Encoding' => 'chunked' ], body => chunks(20, 'x' x 100)),
       413, 'body_too_large', 'LimitRequestBody, found out');
is(() = $t->post('/limited', 'x' x 51, headers => [ @auth, @form ])->body =~ /title/g, 1, 'LimitRequestBody: one answer');
for my $size (98, 99, 8191, 8192, 8193, 100_000) {
    my $text = 'a=' . join '', map { chr 97 + $_ % 26 } 1 .. $size;
    is(body($t->request('POST', "/shadow?id_token=$token", headers => [ @form, 'Transfer-Encoding' => 'chunked' ], body => chunks(1000, $text))), $text,
       "Shadow: a chunked form of $size bytes arrives whole");
    is(body($t->post("/shadow?id_token=$token", $text, headers => [ @form ])), $text, "Shadow: and one with a length");
}
my $two = "/shadowform?id_token=$token";
is(body($t->post($two, "a=b&client_id=evil&id_token=$token", headers => [ @form ])), 'a=b', 'Shadow: two tokens, and the form is scrubbed');
is(body($t->post('/shadowform', 'a=b&client_id=evil&id_token=x.y.z', headers => [ @form ])), 'a=b', 'Shadow: a bad token, and the form is scrubbed');
denies($t->request('POST', $two, headers => [ @form, 'Transfer-Encoding' => 'chunked' ], body => chunks(500, 'client_id=evil&a=' . 'x' x 2000)),
       413, 'body_too_large', 'Shadow: a form that cannot be scrubbed goes nowhere');
for my $url ('/form', '/rule', '/shadow', '/shadowform') {
    my $c = $t->client;
    $t->backend_new;
    $c->send_bytes("POST $url HTTP/1.1\r\nHost: a\r\n$auth[0]: $auth[1]\r\n$form[0]: $form[1]\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na=b\r\nzz\r\n");
    my $r = $c->response;
    $r->{backend} = [ $t->backend_new ];
    denies($r, 400, 'body_unreadable', "$url: a broken chunk");
    is($r->header('X-Ca-Error-Code'), 'A403JT', "$url: with the code of its reason");
    like($r->body, qr/\A\{.*"body_unreadable".*\}\n\z/, "$url: and one body");
    1 while $c->fill;
    is($c->{in}, '', "$url: nothing behind it");
}
my ($next, $after) = $t->raw("POST /rule HTTP/1.1\r\nHost: a\r\n$auth[0]: $auth[1]\r\n$form[0]: $form[1]\r\nTransfer-Encoding: chunked\r\n\r\n"
                             . chunks(1000, 'x' x 70_000) . "GET /form HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
is($next->status, 413, 'a form over the limit');
ok(!$after || $after->status == 401, 'and what follows on the connection is not taken for its rest') or diag($after->status);

# --- lines of requests that are none ---

my @bad = (
    [ 'no protocol', "GET /form?id_token=$token\r\n\r\n" ],
    [ 'a blank at the end', "GET /form?id_token=$token \r\nHost: x\r\n\r\n" ],
    [ 'a bad header', "GET /form?id_token=$token HTTP/1.1\r\nHost : x\r\n\r\n" ],
    [ 'no Host', "GET /form?id_token=$token HTTP/1.1\r\n\r\n" ],
    [ 'text behind the protocol', "GET /form?id_token=$token HTTP/1.1 x\r\nHost: x\r\n\r\n" ],
    [ 'a line too long', "GET /form?id_token=$token&x=" . ('x' x 9000) . " HTTP/1.1\r\nHost: x\r\n\r\n" ],
    [ 'a header too long', "GET /form?id_token=$token HTTP/1.1\r\nHost: x\r\nX: " . ('x' x 9000) . "\r\n\r\n" ],
    [ 'an unknown method', "G3T /form?id_token=$token HTTP/1.1\r\nHost: x\r\n\r\n" ],
    [ 'a bad length', "POST /form?id_token=$token HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n" ],
    [ 'an expectation', "POST /form?id_token=$token HTTP/1.1\r\nHost: x\r\nExpect: wonders\r\nContent-Length: 0\r\n\r\n" ],
);
for my $one (@bad) {
    my ($name, $bytes) = @$one;
    $t->raw($bytes, n => 1);
    my $status = join '', map { $t->get('/open/status')->body } 1 .. 2;
    shows_no_token($status, "$name: no token in mod_status");
}
is(scalar(() = $t->access_log =~ /\Q[redacted]\E/g) > @bad, 1, 'and the access log has masks in their place');

# --- a query token that goes on, and paths that are known late ---

my $r = $t->get("/forward/x?a=1&id_token=$token", headers => [ Referer => "http://gw.test/form?id_token=$token" ]);
is($r->query, "a=1&id_token=$token", 'M2MForwardToken On: the backend gets the token');
is(scalar $r->sent('Referer'), 'http://gw.test/form?id_token=[redacted]', 'but not in Referer');
is($t->get("/forward/dead?id_token=$token")->status, 503, 'nor does a backend that is not there put it into the log');
passes($t->get('/ne/public/x', token => $token), 'per-directory [P,NE], control');
denies($t->get("/ne/$_", token => $token), 400, 'path_unsafe', "per-directory [P,NE] with $_")
    for 'public/..%2fsecret', 'public/%2e%2e%2fsecret', 'public/%252e%252e/secret', 'public;x/y';
$t->let_finish;
my $everything = slurp("$t->{root}/logs/everything.log");
shows_no_token($everything, 'no log format shows a token');
like($everything, qr{proxy:http://\S+/forward/x\?a=1&id_token=\[redacted\]}, 'not even of the URL of the backend');

$t->expect_log(qr/\[m2mgw:warn\].*(?:Shadow|rule_error)/, qr/AH0\d+|AH1\d+/);
$t->finish;
