#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# The method that decides is the one of the request line: where operations, a rule, a limit or
# the expression of an <If> reads it, whatever else frameworks take a method from goes no
# further, and a request in which it says something else is refused. Judged by what the backend
# received.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use M2MGW::Test;

my $b = 'http://@BACKEND@';
my $t = M2MGW::Test->start(files => { 'k.json' => jwk_json('oct') }, config => <<"CONF");
ProxyPass / $b/ nocanon
M2MToken header:Authorization
M2MFormLimit 2000
<Location /rule>
    M2MJwks file:\@ROOT\@/k.json
    M2MParameter method Method
    M2MRule deletes "\$method = 'DELETE'" ifTrue=DENY
</Location>
<Location /limit>
    M2MParameter method Method
    M2MLimit each method 1000/1s
</Location>
<Location /operation>
    M2MJwks file:\@ROOT\@/k.json
    M2MOperation GET,POST /operation/x
    M2MBypassEmptyToken On
</Location>
<Location /named>
    M2MJwks file:\@ROOT\@/k.json
    M2MMethodParameter verb
    M2MParameter method Method
    M2MRule deletes "\$method = 'DELETE'" ifTrue=DENY
</Location>
<Location /none>
    M2MJwks file:\@ROOT\@/k.json
    M2MMethodParameter None
    M2MParameter method Method
    M2MRule deletes "\$method = 'DELETE'" ifTrue=DENY
</Location>
<Location /unread>
    M2MJwks file:\@ROOT\@/k.json
</Location>
<Location /if/closed>
    <If "%{REQUEST_METHOD} == 'DELETE'">
        M2MJwks file:\@ROOT\@/k.json
    </If>
</Location>
<Location /if/opened>
    M2MJwks file:\@ROOT\@/k.json
    <If "%{request_method} in { 'GET', 'POST' }">
        M2MEngine Off
    </If>
</Location>
<Location /if/else>
    <If "%{REQUEST_METHOD} == 'GET' || %{REQUEST_METHOD} == 'POST'">
        Header set X-Open yes
    </If>
    <Else>
        M2MJwks file:\@ROOT\@/k.json
    </Else>
</Location>
<Location /if/nested>
    <If "%{HTTP_HOST} == 'gw.test'">
        <If "%{REQUEST_METHOD} == 'DELETE'">
            M2MJwks file:\@ROOT\@/k.json
        </If>
    </If>
</Location>
<Location /if/other>
    <If "%{REQUEST_URI} =~ m#/secret#">
        M2MJwks file:\@ROOT\@/k.json
    </If>
    <Else>
        M2MEngine Off
    </Else>
</Location>
<Location /if/theirs>
    <If "%{REQUEST_METHOD} == 'GET'">
        Header set X-Get yes
    </If>
</Location>
CONF

my $token = mint('oct', { sub => 'a' });
my $form = 'application/x-www-form-urlencoded';
sub url { my ($where, $query) = @_; return "/$where/x" . (defined $query ? "?$query" : '') }
sub body { my ($r) = @_; return $r->reached ? ($r->backend)[0]{body} : 'nothing: ' . $r->status . ' ' . $r->reason }

# --- where the method is read, with a token and without ---

my @reads = ([ 'rule', $token ], [ 'limit' ], [ 'operation', $token ], [ 'if/closed' ], [ 'if/opened' ], [ 'if/else' ], [ 'if/nested' ]);
for my $case (@reads) {
    my ($where, @token) = @$case;
    my @auth = @token ? (token => @token) : ();
    my $denied = sub { my ($r, $name) = @_; denies($r, 403, 'rule_error', "$where: $name") };
    passes($t->get(url($where), @auth), "$where: control: GET");
    passes($t->post(url($where), 'a=1', @auth, headers => [ 'Content-Type' => $form ]), "$where: control: POST");
    for my $h ('X-HTTP-Method-Override', 'X-HTTP-Method', 'X-Method-Override', 'x_http_method_override', 'X.Http.Method') {
        $denied->($t->get(url($where), @auth, headers => [ $h => 'DELETE' ]), "header $h");
        my $r = $t->get(url($where), @auth, headers => [ $h => 'get' ]);
        is(scalar($r->sent($h)), undef, "$where: $h with the same method goes no further") if passes($r, "$where: $h: get");
    }
    for my $query ('_method=DELETE', 'a=1&_method=delete&b=2', '%5fmethod=PUT', '.method=DELETE', '_METHOD=DELETE', 'a=1;_method=DELETE', '_method[]=DELETE') {
        $denied->($t->get(url($where, $query), @auth), "query $query");
        $denied->($t->post(url($where), $query, @auth, headers => [ 'Content-Type' => $form ]), "form $query");
        $denied->($t->post(url($where), $query, @auth), "untyped body $query");
    }
    my $r = $t->get(url($where, 'a=1&_method=GET&b=2'), @auth);
    is($r->query, 'a=1&b=2', "$where: the same method: the parameter goes no further");
    is(body($t->post(url($where), 'a=1&_method=post&b=2', @auth, headers => [ 'Content-Type' => $form ])), 'a=1&b=2', "$where: likewise in a form");
    for my $query ('method=DELETE', 'x_method=DELETE', 'a=_method%3DDELETE') {
        is($t->get(url($where, $query), @auth)->query, $query, "$where: $query is none");
    }
    is(body($t->post(url($where), '{"_method":"DELETE"}', @auth, headers => [ 'Content-Type' => 'application/json' ])), '{"_method":"DELETE"}', "$where: JSON is not looked into");
    is(body($t->post(url($where), "a\0b=1\xff", @auth, headers => [ 'Content-Type' => $form ])), "a\0b=1\xff", "$where: a form without it stays as it is");
    for my $type ("$form; charset=IBM037", 'charset=utf-16', "$form; charset=utf-8; charset=utf-7") {
        $denied->($t->post(url($where), 'a=1', @auth, headers => [ 'Content-Type' => $type ]), "a form of type $type");
        $denied->($t->get(url($where, 'a=1'), @auth, headers => [ 'Content-Type' => $type ]), "a query with type $type");
    }
    $denied->($t->post(url($where), 'a=1', @auth, headers => [ 'Content-Type' => $form, 'Content-Encoding' => 'gzip' ]), 'a form that is content-encoded');
    $denied->($t->post(url($where), 'a=1', @auth, headers => [ 'Content-Encoding' => 'deflate' ]), 'an untyped body that is content-encoded');
    passes($t->post(url($where), '{}', @auth, headers => [ 'Content-Type' => 'application/json', 'Content-Encoding' => 'gzip' ]), "$where: JSON that is content-encoded");
    passes($t->post(url($where), '<a/>', @auth, headers => [ 'Content-Type' => 'text/xml; charset=gb2312' ]), "$where: another body in another character set");
    passes($t->post(url($where, 'a=1'), 'a=1', @auth, headers => [ 'Content-Type' => "$form; charset=UTF-8" ]), "$where: a form in UTF-8");
    denies($t->post(url($where), 'a=' . 'x' x 2000, @auth, headers => [ 'Content-Type' => $form ]), 413, 'body_too_large', "$where: a form that cannot be looked through");
}

# --- where an expression decides ---

denies($t->request('DELETE', url('if/closed')), 401, 'token_missing', 'the method that is met');
denies($t->request($_->[0], url($_->[1])), 403, 'rule_error', "$_->[1]: $_->[0] is DELETE to some backends")
    for [ 'delete', 'if/closed' ], [ 'Delete', 'if/nested' ];
denies($t->request($_->[0], url($_->[1]), token => $token), 403, 'rule_error', "$_->[1]: $_->[0], with a token, too") for [ 'get', 'if/opened' ], [ 'delete', 'if/else' ];
passes($t->request('Frobnicate', url('if/closed')), 'control: a method that nobody registered');
passes($t->request('DELETE', url('if/closed'), token => $token), 'with a token');
denies($t->request('DELETE', url('if/opened')), 401, 'token_missing', 'the method that is not opened');
denies($t->request('DELETE', url('if/else')), 401, 'token_missing', 'what Else closes');
denies($t->request('DELETE', url('if/nested')), 401, 'token_missing', 'what is nested');
for my $where ('if/other', 'if/theirs') {
    my $r = $t->get(url($where, '_method=DELETE'), headers => [ 'X-HTTP-Method-Override' => 'DELETE' ]);
    is($r->query, '_method=DELETE', "$where: an expression that reads no method, or decides nothing of ours");
    is(scalar($r->sent('X-HTTP-Method-Override')), 'DELETE', "$where: its header, too");
}

# --- other names, none, and nothing that reads it ---

denies($t->get(url('named', 'verb=DELETE'), token => $token), 403, 'rule_error', 'M2MMethodParameter: its name');
is($t->get(url('named', '_method=DELETE'), token => $token)->query, '_method=DELETE', 'and no other');
passes($t->post(url('none', 'a=1'), 'a=1', token => $token, headers => [ 'Content-Type' => "$form; charset=gbk", 'Content-Encoding' => 'gzip' ]), 'None: no form is looked through');
is($t->get(url('none', '_method=DELETE'), token => $token)->query, '_method=DELETE', 'None: a parameter like any other');
denies($t->get(url('none'), token => $token, headers => [ 'X-HTTP-Method' => 'DELETE' ]), 403, 'rule_error', 'None: the headers count all the same');
is($t->get(url('unread', '_method=DELETE'), token => $token)->query, '_method=DELETE', 'where nothing reads the method it is data');
$t->expect_log(qr/\[m2mgw:(?:warn|notice)\]/);
$t->finish;
