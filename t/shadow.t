#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# M2MEngine Shadow: it decides and marks, and lets everything pass; what it marks is what On
# would have said, claims come only from a verified token, and tokens are still taken away.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use M2MGW::Test;

my $policy = <<'CONF';
    M2MToken header:Authorization query:t
    M2MClaim client_id header:X-Client-Id
    M2MParameter role Token:role
    M2MRule only "$role = 'ok'" ifFalse=DENY statusCode=418 "responseBody=no"
    M2MRuleHeader only X-Rule-Header yes
CONF
my %section = (
    plain => $policy,
    scope => "${policy}Require m2m-scope read\n",
    any => "${policy}<RequireAny>\nRequire m2m-scope write\nRequire m2m-claim client_id app\n</RequireAny>\n",
    both => "${policy}Require m2m-scope read\nRequire ip 127.0.0.1\n",
    other => "${policy}<RequireAll>\nRequire m2m-scope read\nRequire ip 192.0.2.1\n</RequireAll>\n",
    not => "${policy}<RequireAll>\nRequire all granted\nRequire not m2m-claim client_id b\n</RequireAll>\n",
    none => "${policy}<RequireAll>\nRequire all granted\n<RequireNone>\nRequire m2m-claim client_id b\n</RequireNone>\n</RequireAll>\n",
    notscope => "${policy}<RequireAll>\nRequire all granted\nRequire not m2m-scope y\n</RequireAll>\n",
    unless => "${policy}<RequireAny>\nRequire m2m-scope write\nRequire ip 127.0.0.1\n</RequireAny>\n",
    jti => "    M2MPreventJtiReplay On\n",
    form => "    M2MToken form:t\n    M2MFormLimit 600\n",
    path => "    M2MClaim client_id header:X-Client-Id\n",
);
my $conf = join '', map { my $n = $_; map { "<Location /$_->[0]/$n>\nM2MEngine $_->[1]\n$section{$n}</Location>\n" } [ 'on', 'On' ], [ 'shadow', 'Shadow' ] }
    sort keys %section;
my $t = M2MGW::Test->start(files => { 'k.json' => jwk_json('oct') }, config => <<"CONF");
M2MJwks file:\@ROOT\@/k.json
$conf
Header always set X-Shadow "%{M2M_SHADOW}e" "expr=-n reqenv('M2M_SHADOW')"
Header always set X-Rule "%{M2M_RULE}e" "expr=-n reqenv('M2M_RULE')"
Header always set X-Code "%{M2M_ERROR_CODE}e" "expr=-n reqenv('M2M_ERROR_CODE')"
ProxyPass / http://\@BACKEND\@/
CONF

my %who = (
    'no token' => undef, 'rubbish' => 'x.y.z', 'a bad signature' => mint('oct#2', { client_id => 'evil', role => 'ok' }),
    'expired' => mint('oct', { exp => 1, client_id => 'evil' }), 'denied by rule' => mint('oct', { role => 'no', client_id => 'app', scope => 'read' }),
    'no scope' => mint('oct', { role => 'ok', client_id => 'app' }), 'good' => mint('oct', { role => 'ok', client_id => 'app', scope => 'read x' }),
    'another client' => mint('oct', { role => 'ok', client_id => 'b', scope => 'y' }),
);
for my $n (sort keys %section) {
    next if $n =~ /\A(?:jti|form|other)\z/;
    for my $who (sort keys %who) {
        my @auth = defined $who{$who} ? (token => $who{$who}) : ();
        my $on = $t->get("/on/$n", @auth);
        my $shadow = $t->get("/shadow/$n", @auth, headers => [ 'X-Client-Id' => 'spoofed' ]);
        passes($shadow, "$n, $who: passes in Shadow");
        is($shadow->reason, $on->reason, "$n, $who: with the reason of On");
        is($shadow->header('X-Decision'), $on->header('X-Decision'), "$n, $who: and its decision");
        is($shadow->header('X-Rule') // '', $on->header('X-Rule') // '', "$n, $who: and its rule");
        is($shadow->header('X-Code') // '', $on->header('X-Code') // '', "$n, $who: and its code");
        is($shadow->header('X-Shadow') // '', $on->header('X-Decision') eq 'deny' ? 'deny' : '', "$n, $who: M2M_SHADOW");
        my $verified = $who =~ /\A(?:denied|no scope|good|another)/;
        is(scalar($shadow->sent('X-Client-Id')), $verified ? $who =~ /another/ ? 'b' : 'app' : undef, "$n, $who: claims of a verified token only");
        is(join(',', map { $shadow->header($_) // () } qw(WWW-Authenticate X-Ca-Error-Code X-Rule-Header)), '', "$n, $who: nothing of a refusal");
    }
}
is($t->get("/on/$_", token => $who{'another client'})->reason, 'claim_denied', "control: $_: On refuses what must not be") for qw(not none);
is($t->get('/on/notscope', token => $who{'another client'})->reason, 'insufficient_scope', 'control: notscope: and so with a scope');
is($t->get('/on/unless', token => $who{'no scope'})->reason, 'ok', 'a line that does not decide is not a refusal');
my $good = $who{good};
is($t->get("/shadow/plain?a=1&t=$good")->query, 'a=1', 'a query token is taken away');
is($t->get('/shadow/plain?a=1&t=x.y.z')->query, 'a=1', 'also a bad one');
is($t->get("/shadow/plain?t=$good&t=$good")->reason, 'token_multiple', 'several tokens');
for my $who ('no scope', 'good') {
    for my $mode ('on', 'shadow') {
        my $r = $t->get("/$mode/other", token => $who{$who});
        is($r->status . $r->reason, '403ok', "$mode, $who: Require lines of others are in force, and that is not a decision of ours");
        is($r->header('X-Ca-Error-Code'), undef, "$mode, $who: nor has it a code of ours");
    }
}
my $once = mint('oct', { jti => 'once' });
passes($t->get('/shadow/jti', token => $once), "jti: time $_") for 1 .. 3;
is($t->get('/on/jti', token => mint('oct', { jti => 'strict' }))->status, 200, 'control: On, first');
passes($t->get('/shadow/jti', token => mint('oct', {})), 'jti: none');
my @form = (headers => [ 'Content-Type' => 'application/x-www-form-urlencoded' ]);
is($t->post('/shadow/form', "a=1&t=$good", @form)->{backend}[0]{body}, 'a=1', 'a form token is taken away');
my $big = 'a=' . 'x' x 5000;
is($t->post('/on/form', $big, @form)->status, 413, 'control: On, a body too large');
my $r = $t->post('/shadow/form', $big, @form);
is(($r->backend)[0]{body} // '', $big, 'a body too large to look into arrives whole') or diag(M2MGW::Test::describe($r));
$t->expect_log(qr/\[m2mgw:warn\].*M2MEngine Shadow/);
$t->finish;
