#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# Limits: exactly the allowance passes over all processes, whoever waits Retry-After passes, a
# refused request spends nothing, a full table opens no door and closes none. What is refused
# is judged by what the backend received.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use M2MGW::Test;
use M2MGW::Replay;
use Time::HiRes ();

my $jti = 0;
my %KEY = ('k.json' => jwk_json('oct', kid => 'K'));

sub token { mint('oct', { sub => 'a', iss => 'https://as', jti => 'l' . ++$jti, %{ $_[0] // {} } }) }
sub app { token({ client_id => $_[0] }) }
sub fields { join ' | ', map { $_[0]->header($_) // '-' } qw(RateLimit-Policy RateLimit Retry-After) }

my $MPM = ($ENV{M2MGW_MPM} // 'event') eq 'prefork' ? <<'PREFORK' : <<'EVENT';
StartServers 8
MaxSpareServers 70
ServerLimit 80
MaxRequestWorkers 80
PREFORK
ServerLimit 8
StartServers 4
ThreadsPerChild 16
MinSpareThreads 64
MaxSpareThreads 128
MaxRequestWorkers 128
EVENT

my $t = M2MGW::Test->start(config => $MPM . <<'CONF', files => {
LogLevel info
M2MJwks file:@ROOT@/k.json
<Location /client>
    M2MLimit per-client CaAppId 3/31d
    ProxyPass http://@BACKEND@/client
</Location>
<Location /client/again>
    M2MLimit per-client CaAppId 3/31d
    M2MLimit other * 2/31d
    ProxyPass http://@BACKEND@/again
</Location>
<Location /client/free>
    M2MLimit none
    ProxyPass http://@BACKEND@/free
</Location>
<Location /wait>
    M2MLimit wait * 10/1s burst=1
    ProxyPass http://@BACKEND@/wait
</Location>
<Location /null>
    M2MEngine On
    M2MBypassEmptyToken On
    M2MLimit null-pass CaAppId 1/31d
    ProxyPass http://@BACKEND@/null
</Location>
<Location /deny>
    M2MBypassEmptyToken On
    M2MLimit null-deny CaAppId 5/31d null=deny
    ProxyPass http://@BACKEND@/deny
</Location>
<Location /special>
    M2MParameter who Token:client_id
    M2MLimit special who 1/31d special=big:one:4/31d
    ProxyPass http://@BACKEND@/special
</Location>
<Location /when>
    M2MParameter q Query:q
    M2MParameter addr Header:X-Addr
    M2MLimit when * 1/31d when="$q = 'dear' or $addr in_cidr '10.0.0.0/8'"
    ProxyPass http://@BACKEND@/when
</Location>
<Location /shadow>
    M2MLimit shadowed * 1/31d shadow
    ProxyPass http://@BACKEND@/shadow
</Location>
<Location /engine>
    M2MEngine Shadow
    M2MLimit engine * 1/31d
    ProxyPass http://@BACKEND@/engine
</Location>
<Location /quiet>
    M2MLimit quiet * 1/31d
    M2MLimitHeaders Off
    ProxyPass http://@BACKEND@/quiet
</Location>
<Location /rules>
    M2MParameter who Token:client_id
    M2MRule only "$who = 'app'" ifFalse=DENY
    M2MLimit behind-rules * 2/31d
    ProxyPass http://@BACKEND@/rules
</Location>
<Location /rules/inner>
    M2MParameter path Query:x
    M2MLimit inner path 2/31d
    ProxyPass http://@BACKEND@/inner
</Location>
<Location /once>
    M2MPreventJtiReplay On
    M2MLimit once * 1/31d
    ProxyPass http://@BACKEND@/once
</Location>
<Location /spent>
    M2MPreventJtiReplay On
    ProxyPass http://@BACKEND@/spent
</Location>
<Location /race>
    M2MLimit race CaAppId 25/31d
    ProxyPass http://@BACKEND@/race
</Location>
<Location /gateway>
    M2MErrorProfile gateway
    M2MPlugin trafficControl @ROOT@/traffic.yaml
    ProxyPass http://@BACKEND@/gateway
</Location>
<Location /gateway2>
    M2MPlugin trafficControl @ROOT@/traffic.yaml
    ProxyPass http://@BACKEND@/gateway2
</Location>
<Location /odd>
    M2MPlugin trafficControl "@ROOT@/tr'a c,;+.yaml"
    ProxyPass http://@BACKEND@/odd
</Location>
<Location /open>
    M2MEngine Off
    ProxyPass http://@BACKEND@/open
</Location>
<Files ssi.shtml>
    Options +Includes
    AddOutputFilter INCLUDES .shtml
    M2MLimit included * 2/31d
</Files>
<Files part.txt>
    M2MLimit included * 2/31d
</Files>
<Location /status>
    SetHandler m2m-status
    M2MEngine Off
</Location>
CONF
    %KEY,
    'htdocs/part.txt' => "part\n",
    'htdocs/ssi.shtml' => '<!--#include virtual="/part.txt" --><!--#include virtual="/part.txt" -->',
    "tr'a c,;+.yaml" => "---\nunit: DAY\napiDefault: 6\n", 'traffic.yaml' => <<'YAML' });
unit: DAY
apiDefault: 6
userDefault: 2
appDefault: 3
specials:
  - type: APP
    policies: [{key: vip, value: 4}]
YAML
$t->expect_log(qr/M2-10\d:/);

# --- the allowance, and what is told ---

my $r = $t->get('/client', token => app('a'));
passes($r, 'the first request');
like(fields($r), qr/\A"per-client";q=3;w=2678400 \| "per-client";r=2;t=\d+ \| -\z/, 'its fields');
passes($t->get('/client', token => app('a')), 'request 2');
passes($t->get('/client', token => app('a')), 'request 3, with another token');
$r = $t->get('/client', token => app('a'));
denies($r, 429, 'limit_exceeded', 'one more');
is($r->header('X-Ca-Error-Code'), 'T429PR', 'its code');
is($r->header('X-Ca-Error-Message'), 'Throttled by per-client', 'its message');
is($r->header('WWW-Authenticate'), undef, 'no challenge');
like(fields($r), qr/\A"per-client";q=3;w=2678400 \| "per-client";r=0;t=2678\d\d\d \| 89\d\d\d\d\z/, 'its fields');
passes($t->get('/client', token => app('b')), 'another client has its own');
$r = $t->get('/client/again', token => app('a'));
denies($r, 429, 'limit_exceeded', 'one name is one bucket');
like(fields($r), qr/"other";r=2;/, 'and the other limit was not taken from');
passes($t->get('/client/again', token => app('c')), 'another client, two limits');
passes($t->get('/client/again', token => app('d')), 'a second time');
$r = $t->get('/client/again', token => app('e'));
denies($r, 429, 'limit_exceeded', 'the other limit refuses');
is($r->header('X-Ca-Error-Message'), 'Throttled by other', 'by its name');
passes($t->get('/client', token => app('e')), "request $_ of the client it was not taken from") for 1 .. 3;
passes($t->get('/client/free', token => app('a')), 'none takes limits away');
is(fields($t->get('/client/free', token => app('a'))), '- | - | -', 'and the fields');

# --- waiting ---

passes($t->get('/wait', token => app('a')), 'one at a time');
for (1 .. 3) {
    my $n = 0;
    my $r;
    for (1 .. 50) { # until one is refused, however slow the machine is
        $r = $t->get('/wait', token => app('a'));
        last if $r->status == 429;
    }
  SKIP: {
        skip('the machine is too slow to be refused', 1) if $r->status != 429;
        Time::HiRes::sleep($r->header('Retry-After'));
        passes($t->get('/wait', token => app('a')), 'who waits Retry-After passes');
    }
}

# --- null, special, when, shadow ---

passes($t->get('/null'), "no key, request $_") for 1 .. 3;
passes($t->get('/null', token => app('a')), 'a key');
denies($t->get('/null', token => app('a')), 429, 'limit_exceeded', 'is limited');
$r = $t->get('/deny');
denies($r, 403, 'limit_exceeded', 'null=deny');
is(fields($r), '- | - | -', 'nothing to wait for');
passes($t->get('/deny', token => app('a')), 'with a key');
passes($t->get('/special', token => app('x')), 'any value');
denies($t->get('/special', token => app('x')), 429, 'limit_exceeded', 'once');
passes($t->get('/special', token => app('big:one')), "the special value, request $_") for 1 .. 4;
denies($t->get('/special', token => app('big:one')), 429, 'limit_exceeded', 'and no more');
passes($t->get('/when', token => app('a')), "when= is false, request $_") for 1 .. 3;
passes($t->get('/when?q=dear', token => app('a')), 'when= is true');
denies($t->get('/when?q=dear', token => app('a')), 429, 'limit_exceeded', 'when= is true again');
denies($t->get('/when', token => app('a'), headers => [ 'X-Addr' => 'nonsense' ]), 429,
       'limit_exceeded', 'when= cannot be evaluated');
for (1 .. 3) {
    $r = $t->get('/shadow', token => app('a'));
    passes($r, "shadow, request $_");
    is(fields($r), '- | - | -', 'without fields');
}
for (1 .. 3) {
    $r = $t->get('/engine', token => app('a'));
    is($r->status, 200, "Shadow, request $_");
    is(fields($r), '- | - | -', 'without fields');
}
passes($t->get('/quiet', token => app('a')), 'headers off');
$r = $t->get('/quiet', token => app('a'));
denies($r, 429, 'limit_exceeded', 'headers off, one more');
like(fields($r), qr/\A- \| - \| \d+\z/, 'Retry-After alone');

# --- what takes, and what does not ---

denies($t->get('/rules', token => app('other')), 403, 'rule_denied', "a rule refuses, request $_") for 1 .. 3;
passes($t->get('/rules', token => app('app')), "which took nothing, request $_") for 1 .. 2;
denies($t->get('/rules', token => app('app')), 429, 'limit_exceeded', 'and no more');
denies($t->get('/rules/inner?x=1', token => app('other')), 403, 'rule_denied',
       'parameters of limits do not replace inherited rules');
passes($t->get('/rules/inner?x=1', token => app('app')), 'which hold');
is($t->get('/client')->status, 401, 'no token');
my $kept = app('a');
passes($t->get('/once', token => app('a')), 'a one-time token');
denies($t->get('/once', token => $kept), 429, 'limit_exceeded', 'another one, over the limit');
passes($t->get('/spent', token => $kept), 'was not spent');
denies($t->get('/spent', token => $kept), 401, 'jti_replayed', 'until now');
is($t->get('/ssi.shtml', token => app('a'))->status, 200, "a page of three parts, request $_") for 1 .. 2;
is($t->get('/ssi.shtml', token => app('a'))->status, 429, 'counts once');
passes($t->get('/open'), 'where nothing is protected');

# --- a script of the gateway ---

$r = $t->get('/gateway', token => app('p'));
passes($r, 'trafficControl');
like($r->header('RateLimit-Policy'), qr/\A"traffic\.yaml-api";q=6;w=86400, "traffic\.yaml-user";q=2;w=86400, "traffic\.yaml-app";q=3;w=86400\z/,
     'three limits');
passes($t->get('/gateway', token => app('p')), 'a second');
$r = $t->get('/gateway', token => app('p'));
denies($r, 429, 'limit_exceeded', 'the user has two');
is($r->header('X-Ca-Error-Message'), 'Throttled by traffic.yaml-user', 'by its name');
passes($t->get('/gateway', token => token({ client_id => 'vip', sub => "u$_" })), "a special value, request $_") for 1 .. 4;
$r = $t->get('/gateway', token => token({ client_id => 'p', sub => 'v' }));
is($r->header('X-Ca-Error-Message'), 'Throttled by traffic.yaml-api', 'six for all');
passes($t->get('/gateway2', token => app('p')), 'another section has buckets of its own');

like($t->get('/odd', token => app('odd'))->header('RateLimit-Policy'), qr/\A"tr_a_c___\.yaml-api";q=6;w=86400\z/, 'a file name that no header may hold');

# --- many at once ---

for my $round (1 .. 3) {
    my $seen = volley([ $t->port ], '/race', app("race$round"), 64);
    is(join(', ', map { "$_: $seen->{$_}" } sort keys %$seen), '200 ok: 25, 429 limit_exceeded: 39',
       "exactly the allowance, round $round");
}
$t->reload;
my $seen = volley([ $t->port ], '/race', app('race1'), 20);
is(join(', ', %$seen), '429 limit_exceeded, 20', 'a graceful restart forgets nothing');

# --- seeing it ---

my $status = JSON::PP::decode_json($t->get('/status?format=json')->body);
my %limit = map { $_->{name} . ($_->{section} // '') => $_ } @{ $status->{limits} };
is($limit{race}{passed}, 75, 'passed');
is($limit{race}{refused}, 3 * 39 + 20, 'refused');
is($limit{race}{keys}, 3, 'keys');
is($limit{race}{overflow}, 0, 'overflow');
cmp_ok($limit{shadowed}{refused}, '==', 2, 'what a shadow would have refused');
is(scalar(grep { /^traffic\.yaml-api/ } keys %limit), 2, 'a script is listed by section');
my $metrics = $t->get('/status?format=prometheus')->body;
like($metrics, qr/^m2mgw_limit_decisions_total\{limit="race",decision="allow"\} 75$/m, 'Prometheus');
like($metrics, qr/^m2mgw_limit_decisions_total\{limit="race",decision="deny"\} 137$/m, 'and refused');
my @samples = $metrics =~ /^(m2mgw_limit_decisions_total\{[^}]*\})/mg;
my %once = map { $_ => 1 } @samples;
is(scalar(keys %once), scalar(@samples), 'no sample twice');
like($t->get('/status')->body, qr/per-client/, 'the page for people');
unlike($t->error_log, qr/race1|big:one/, 'no key in the log');
like($t->error_log, qr/limit_exceeded.*limit race of 25 in 2678400 s/, 'but the limit');
$t->finish(more => 1);

# --- a full table ---

$t = M2MGW::Test->start(config => <<'CONF', files => \%KEY);
LogLevel info
M2MJwks file:@ROOT@/k.json
M2MLimitStore shm entries=3
<Location /full>
    M2MLimit full CaAppId 2/31d
    ProxyPass http://@BACKEND@/full
</Location>
<Location /status>
    SetHandler m2m-status
    M2MEngine Off
</Location>
CONF
$t->expect_log(qr/M2-10\d:/);
passes($t->get('/full', token => app("own$_")), "client $_ has a slot") for 1 .. 3;
my @late = map { $t->get('/full', token => app("late$_"))->status } 1 .. 10;
is("@late[0 .. 1]", '200 200', 'clients without one share a bucket');
is(scalar(grep { $_ == 429 } @late), 8, 'of two');
passes($t->get('/full', token => app("own$_")), "client $_ has its share") for 1 .. 3;
denies($t->get('/full', token => app('own1')), 429, 'limit_exceeded', 'and no more');
is(JSON::PP::decode_json($t->get('/status?format=json')->body)->{limits}[0]{overflow}, 10,
   'they are counted');
$t->finish;
