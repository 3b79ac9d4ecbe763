#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# A client that sends the published names itself never gets its value to the backend: in no
# spelling, with and without a token, with bypass and in Shadow.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use M2MGW::Names;
use M2MGW::Test;

my $section = join '', map { "<Location /$_->[0]>\n    $_->[1]\n</Location>\n" }
    [ 'bypass', 'M2MBypassEmptyToken On' ], [ 'shadow', 'M2MEngine Shadow' ];
my $t = M2MGW::Test->start(
    files => { 'k.json' => jwk_json('oct'), 'cgi/env.cgi' => "#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\n'\n"
                   # the request line is what it was, so its copy in REQUEST_URI is the client's
                   . "env | grep -v ^REQUEST_URI=\n" },
    config => <<'CONF' . $section);
M2MJwks file:@ROOT@/k.json
M2MClaim client_id query:client_id header:X-Client-Id env:X_CLIENT
M2MClaim absent query:absent.claim header:X-Absent
ScriptAlias /cgi/ @ROOT@/cgi/
<Location /cgi>
    M2MBypassEmptyToken On
</Location>
<Location /cgi/off>
    M2MEngine Off
</Location>
<Location /off>
    M2MEngine Off
</Location>
<Location /set>
    M2MEngine Off
    RequestHeader set X-Rewrite-URL /ours
</Location>
<Location /off-raw>
    M2MEngine Off
</Location>
ProxyPass /cgi !
ProxyPass /off-raw http://@BACKEND@/off-raw nocanon
ProxyPass / http://@BACKEND@/
CONF

my $token = mint('oct', { client_id => 'app' });
my $without = mint('oct', { sub => 'nobody' });
my $bad = mint('oct#2', { client_id => 'evil-token' });
# who asks, at which location, and which value of client_id may arrive
my @who = (
    [ 'with a token', '/', [ Authorization => "Bearer $token" ], 'app' ],
    [ 'with a token without the claim', '/', [ Authorization => "Bearer $without" ], undef ],
    [ 'without a token, bypass', '/bypass', [], undef ],
    [ 'with a token, bypass', '/bypass', [ Authorization => "Bearer $token" ], 'app' ],
    [ 'with a token, Shadow', '/shadow', [ Authorization => "Bearer $token" ], 'app' ],
    [ 'without a token, Shadow', '/shadow', [], undef ],
    [ 'with a bad token, Shadow', '/shadow', [ Authorization => "Bearer $bad" ], undef ],
    [ 'with a token, Off', '/off', [ Authorization => "Bearer $token" ], undef ],
    [ 'without a token, Off, raw', '/off-raw/x', [], undef ],
);

# --- query names ---

my @names = M2MGW::Names::alike('form');
my $others = join '&', map { "$_=1" } M2MGW::Names::others('form');
for my $w (@who) {
    my ($who, $url, $auth, $allowed) = @$w;
    my $want = defined $allowed ? "client_id=$allowed" : '';
    for my $n (@names) {
        my $r = $t->get("$url?$n=evil", headers => $auth);
        is($r->reached . ' ' . $r->query, "1 $want", "$who: $n=evil is gone");
    }
    my $r = $t->get("$url?a=1&client_id=evil&b=2&CLIENT-ID=evil;client_id=evil&client_id&c", headers => $auth);
    is($r->query, join('&', $want || (), 'a=1', 'b=2', 'c'), "$who: several, and the rest stays");
    is($t->get("$url?x=client_id%3Devil", headers => $auth)->query,
       join('&', $want || (), 'x=client_id%3Devil'), "$who: a value that looks like a pair stays");
    is($t->get("$url?$others", headers => $auth)->query, join('&', $want || (), $others), "$who: other names stay");
    is($t->get("$url?a=1;client_id=evil", headers => $auth)->query, join('&', $want || (), 'a=1'),
       "$who: a semicolon separates too");
    is($t->get("$url?absent.claim=evil&absent_claim=evil&absent%20claim=evil", headers => $auth)->query, $want,
       "$who: a target whose claim is absent");
    is($t->get("$url?client_id=evil&client_id=evil2&client_id=app", headers => $auth)->query, $want,
       "$who: duplicates");
}

# --- headers ---

my @headers = (M2MGW::Names::header_names(), 'X-Absent', 'X_Absent', 'x.absent');
for my $w (@who) {
    my ($who, $url, $auth, $allowed) = @$w;
    for my $n (@headers) {
        my $r = $t->get($url, headers => [ @$auth, $n => 'evil' ]);
        my $all = join '|', map { "$_->[0]: $_->[1]" } @{ ($r->backend)[0]{headers} };
        ok($r->reached == 1 && $all !~ /evil\b/, "$who: header $n is gone") or diag($all);
        is(scalar($r->sent('X-Client-Id')), $allowed, "$who: X-Client-Id is ours or none ($n)");
    }
    my $r = $t->get($url, headers => [ @$auth, 'X-Client-Id' => 'evil', 'X-Client-Id' => 'evil2', 'x_client_id' => 'evil3' ]);
    is(join(',', $r->sent('X-Client-Id')), $allowed // '', "$who: repeated headers");
    is(scalar($r->sent('x_client_id')), undef, "$who: and their twin");
    for my $c ('X-Client-Id', 'close, X-Client-Id', 'x-client-id, close', 'X_Client_Id', '"X-Client-Id"', ',,X-Client-Id;', ) {
        $r = $t->get($url, headers => [ @$auth, Connection => $c, 'X-Client-Id' => 'evil' ]);
        is(scalar($r->sent('X-Client-Id')), $allowed, "$who: Connection: $c does not drop ours");
    }
    $r = $t->get($url, headers => [ @$auth, Connection => 'X-Other, close', 'X-Other' => '1' ]);
    is(scalar($r->sent('X-Other')), 1, "$who: nor any other");
    $r = $t->raw("GET $url HTTP/1.1\r\nHost: gw.test\r\n" . header_text(@$auth)
                 . "Connection: close\r\nX-Other: a\r\n X-Client-Id: evil\r\n\r\n");
    ok(!$r || !$r->reached || !defined $r->sent('X-Client-Id') || $r->sent('X-Client-Id') eq ($allowed // ''),
       "$who: a folded line makes no header");
    $r = $t->raw("GET $url HTTP/1.1\r\nHost: gw.test\r\n" . header_text(@$auth)
                 . "Connection: close\r\nX-Client-Id : evil\r\n\r\n");
    ok(!$r || !$r->reached || (join(' ', map { "$_->[1]" } @{ ($r->backend)[0]{headers} }) !~ /evil\b/),
       "$who: a blank before the colon");
    $r = $t->raw("GET $url HTTP/1.1\r\nHost: gw.test\r\n" . header_text(@$auth)
                 . "Connection: close\r\nX-Client-Id:\tevil\r\nX-Client-Id:\r\n\r\n");
    is(scalar($r->sent('X-Client-Id')), $allowed, "$who: a tab and an empty twin");
}

sub header_text { my $t = ''; while (my ($n, $v) = splice @_, 0, 2) { $t .= "$n: $v\r\n" } return $t }

# trailers of a chunked request are headers that come late
my $r = $t->request('POST', '/', headers => [ Authorization => "Bearer $token", 'Transfer-Encoding' => 'chunked',
                                              Trailer => 'X-Client-Id' ],
                    body => "1\r\na\r\n0\r\nX-Client-Id: evil\r\n\r\n");
is(join(',', $r->sent('X-Client-Id')), 'app', 'a trailer of that name');

# --- our own words ---

for my $n (qw(M2M_VERIFIED M2M-Verified M2M_CLAIM_sub M2M-Decision X-Reason)) {
    $r = $t->get('/bypass', headers => [ $n => 'evil' ]);
    isnt($r->header('X-Reason') // '', 'evil', "a header $n is not a variable");
}
$r = $t->get('/bypass', headers => [ 'X-Ca-Request-Id' => 'evil' ]);
unlike($r->sent('X-Ca-Request-Id') // '', qr/evil/, 'X-Ca-Request-Id is ours');
# headers that frameworks read in place of the path
for my $n (map { ($_, lc, uc =~ tr/-/_/r, tr/-_/../r, tr/-_/~~/r) } qw(X-Original-URL X-Rewrite-URL SCRIPT_NAME PATH_INFO)) {
    for my $url ('/', '/off', '/off-raw/x') {
        $r = $t->get($url, headers => [ $n => '/evil', 'X-Other' => 'x' ], token => $token);
        my ($received) = $r->backend;
        is(join(',', map { "$_->[0]: $_->[1]" } grep { $_->[1] =~ /\A(?:x|\/evil)\z/ } @{ $received->{headers} }), 'X-Other: x', "$n does not arrive ($url)");
    }
}
$r = $t->get('/set', headers => [ 'X-Rewrite-Url' => '/evil', 'X-Original-Host' => 'h' ]);
is(join(',', $r->sent('X-Rewrite-URL')), '/ours', 'what the configuration sets stays');
is($r->sent('X-Original-Host'), 'h', 'control: another header');
$r = $t->get('/cgi/env.cgi?client_id=evil', headers => [ 'X-Client-Id' => 'evil1', 'X_Client_Id' => 'evil2' ]);
is($r->status, 200, 'a CGI program without a token, bypass');
unlike($r->body, qr/evil/, 'sees none of it');
like($r->body, qr/^QUERY_STRING=$/m, 'and an empty query');
$r = $t->get('/cgi/env.cgi?client_id=evil&z=1', token => $token, headers => [ 'X.Client.Id' => 'evil2' ]);
like($r->body, qr/^HTTP_X_CLIENT_ID=app$/m, 'with a token it sees ours');
like($r->body, qr/^X_CLIENT=app$/m, 'in the environment too');
unlike($r->body, qr/evil/, 'and only ours');
like($r->body, qr/^QUERY_STRING=client_id=app&z=1$/m, 'in the query too');
$t->file('cgi/off/env.cgi', "#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\n'\nenv\n");
$r = $t->get('/cgi/off/env.cgi?client_id=evil&a=1', headers => [ 'X-Client-Id' => 'evil' ]);
is($r->status, 200, 'a CGI program in an open section');
unlike($r->body, qr/evil/, 'sees none of it, nor in REQUEST_URI');
like($r->body, qr/^REQUEST_URI=\S+\?a=1$/m, 'which keeps the rest');
denies($t->get('/?client_id=app', headers => [ 'X-Client-Id' => 'app' ]), 401, 'token_missing', 'names are no token');
$t->expect_log(qr/\[m2mgw:warn\].*M2MEngine Shadow/);
$t->finish;
