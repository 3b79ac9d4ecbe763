#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# Inheritance: a narrower section replaces a list group as a whole and inherits the others;
# single values go one by one; nothing but M2MEngine Off turns protection off.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use M2MGW::Test;

my $t = M2MGW::Test->start(
    files => { 'a.json' => jwk_json('oct', kid => 'A'), 'b.json' => jwk_json('oct#2', kid => 'B'), 'htdocs/d/sub/f.txt' => "f\n", 'htdocs/d/sub/g.txt' => "g\n" },
    config => <<'CONF');
# the main server: nothing is protected here
ProxyPass /open http://@BACKEND@/open
Listen 127.0.0.1:@PORT:vhost@
Listen 127.0.0.1:@PORT:inherit@
<VirtualHost 127.0.0.1:@PORT@>
    ServerName gw.test
    M2MJwks file:@ROOT@/a.json
    M2MLeeway 0
    M2MToken header:Authorization
    M2MClaim client_id header:X-Client
    M2MParameter role Token:role
    M2MRule outer "$role = 'outer'" ifFalse=DENY errorMessage=outer
    ProxyPass /d !
    ProxyPass / http://@BACKEND@/
    <Location /keys>
        M2MJwks file:@ROOT@/b.json
    </Location>
    <Location /token>
        M2MToken header:X-Token
    </Location>
    <Location /token/both>
        M2MToken header:Authorization header:X-Token
    </Location>
    <Location /claims>
        M2MClaim scope header:X-Scope
    </Location>
    <Location /rules>
        M2MParameter role Token:role
        M2MRule inner "$role = 'inner'" ifFalse=DENY errorMessage=inner
    </Location>
    <Location /rules/deeper>
        M2MLeeway 1000
    </Location>
    <Location /leeway>
        M2MLeeway 1000
    </Location>
    <Location /leeway/back>
        M2MLeeway 0
    </Location>
    <Location /issuer>
        M2MIssuer i1
    </Location>
    <Location /issuer/two>
        M2MIssuer i2
        M2MAudience a1
    </Location>
    <Location /off>
        M2MEngine Off
    </Location>
    <Location /off/on>
        M2MEngine On
    </Location>
    <Location /off/keys>
        M2MJwks file:@ROOT@/b.json
    </Location>
    <Location /shadow>
        M2MEngine Shadow
    </Location>
    <Location /shadow/on>
        M2MEngine On
    </Location>
    <Location /profile>
        M2MErrorProfile gateway
    </Location>
    <Location /profile/in>
        M2MMaxAge 100
    </Location>
    <Location /bypass>
        M2MBypassEmptyToken On
    </Location>
    <Location /bypass/off>
        M2MBypassEmptyToken Off
    </Location>
    <Location /unrelated>
        Require all granted
        Header set X-Unrelated 1
    </Location>
    <LocationMatch "^/match">
        M2MLeeway 1000
    </LocationMatch>
    <LocationMatch "^/match/x">
        M2MIssuer i1
    </LocationMatch>
    <Location /if>
        <If "%{HTTP:X-If} == '1'">
            M2MIssuer i1
        </If>
    </Location>
    <Directory @DOCROOT@/d>
        M2MIssuer d1
        <Files g.txt>
            M2MIssuer g1
        </Files>
    </Directory>
    <Location /d>
        M2MErrorProfile gateway
    </Location>
</VirtualHost>
<VirtualHost 127.0.0.1:@PORT:vhost@>
    ServerName other.test
    ProxyPass / http://@BACKEND@/
    <Location /p>
        M2MJwks file:@ROOT@/b.json
    </Location>
</VirtualHost>
CONF

sub ask { my ($url, $key, $claims, %o) = @_; $t->get($url, token => mint($key, { role => 'outer', client_id => 'c', scope => 's', %$claims }), %o) }
my $now = time;

passes(ask('/', 'oct', {}), 'the policy of the virtual host');
denies($t->get('/'), 401, 'token_missing', 'and without a token');
denies(ask('/unrelated', 'oct#2', {}), 401, 'signature_invalid', 'a section without a word of ours inherits all');
denies($t->get('/unrelated'), 401, 'token_missing', 'and stays protected');
denies(ask('/', 'oct', { role => 'x' }), 403, 'rule_denied', 'its rule');

# keys
passes(ask('/keys', 'oct#2', {}), 'keys are replaced');
denies(ask('/keys', 'oct', {}), 401, 'signature_invalid', 'not added');
denies(ask('/keys', 'oct', {}), 401, 'signature_invalid', 'the old key is gone');
is(ask('/keys', 'oct#2', {})->sent('X-Client'), 'c', 'claims are inherited beside them');
denies(ask('/keys', 'oct#2', { role => 'x' }), 403, 'rule_denied', 'and rules');
denies(ask('/keys', 'oct#2', { exp => $now - 5 }), 401, 'expired', 'and single values');

# sources
my $tok = mint('oct', { role => 'outer' });
passes($t->get('/token', headers => [ 'X-Token' => $tok ]), 'sources are replaced');
denies($t->get('/token', token => $tok), 401, 'token_missing', 'not added');
passes($t->get('/token/both', token => $tok), 'and again further in');

# claims
my $r = ask('/claims', 'oct', {});
is(($r->sent('X-Scope') // '') . ($r->sent('X-Client') // ''), 's', 'claims are replaced');
is(ask('/claims', 'oct', {}, headers => [ 'X-Client' => 'evil' ])->sent('X-Client'), undef, 'and the names of the outer list stay scrubbed');

# rules
passes(ask('/rules', 'oct', { role => 'inner' }), 'rules are replaced');
$r = ask('/rules', 'oct', {});
denies($r, 403, 'rule_denied', 'the outer rule is gone');
is($r->header('X-Ca-Error-Message'), 'inner', 'the inner one decides');
passes(ask('/rules/deeper', 'oct', { role => 'inner', exp => $now - 500 }), 'rules and a value of two sections together');

# single values
passes(ask('/leeway', 'oct', { exp => $now - 500 }), 'a value is replaced');
denies(ask('/leeway/back', 'oct', { exp => $now - 500 }), 401, 'expired', 'and set back, also to zero');
passes(ask('/issuer', 'oct', { iss => 'i1' }), 'an issuer is added to what is inherited');
denies(ask('/issuer/two', 'oct', { iss => 'i1', aud => 'a1' }), 401, 'issuer_mismatch', 'M2MIssuer is one value: replaced');
passes(ask('/issuer/two', 'oct', { iss => 'i2', aud => 'a1' }), 'control');
denies($t->get('/profile'), 400, 'token_missing', 'the profile');
denies($t->get('/profile/in'), 400, 'token_missing', 'is inherited');
passes($t->get('/off/x'), 'M2MEngine Off');
denies($t->get('/off/on'), 401, 'token_missing', 'On again inside');
passes($t->get('/off/keys'), 'keys inside Off do not turn it on');
passes($t->get('/shadow/x'), 'Shadow');
denies($t->get('/shadow/on'), 401, 'token_missing', 'On inside Shadow');
$r = $t->get('/bypass');
denies($r, 403, 'rule_denied', 'bypass: rules still run, a claim is null');
denies($t->get('/bypass/off'), 401, 'token_missing', 'bypass off again');

# other sections
passes(ask('/match', 'oct', { exp => $now - 500 }), 'LocationMatch');
reached_nothing(ask('/match/x', 'oct', { exp => $now - 500 }), 'two LocationMatch together');
passes(ask('/match/x', 'oct', { exp => $now - 500, iss => 'i1' }), 'control: both are in force');
passes(ask('/if', 'oct', {}), 'an If that is false');
$r = ask('/if', 'oct', {}, headers => [ 'X-If' => 1 ]);
ok(!$r->reached && $r->status == 401, 'an If that is true') or diag(M2MGW::Test::describe($r));
passes(ask('/if', 'oct', { iss => 'i1' }, headers => [ 'X-If' => 1 ]), 'control: its value');
is(ask('/d/sub/f.txt', 'oct', { iss => 'd1' })->body, "f\n", 'Directory');
is(ask('/d/sub/g.txt', 'oct', { iss => 'g1' })->body, "g\n", 'Files in Directory');
is(ask('/d/sub/g.txt', 'oct', { iss => 'd1' })->status, 403, 'whose value comes first (and the profile of Location)');
is($t->get('/d/sub/f.txt')->status, 400, 'no token at a file');

# servers
my $other = $t->port('vhost');
passes($t->get('/', port => $other), 'another virtual host has no policy');
denies($t->get('/p', port => $other), 401, 'token_missing', 'but its own');
passes($t->get('/p', port => $other, token => mint('oct#2', {})), 'with its own key');
denies($t->get('/p', port => $other, token => mint('oct', {})), 401, 'signature_invalid', 'and not the other');
$t->expect_log(qr/\[m2mgw:warn\].*M2MEngine Shadow/);
$t->finish(more => 1);

# --- a policy of the main server reaches into virtual hosts ---

$t = M2MGW::Test->start(files => { 'a.json' => jwk_json('oct') }, config => <<'CONF');
M2MJwks file:@ROOT@/a.json
<Location /main>
    M2MIssuer i1
</Location>
<VirtualHost 127.0.0.1:@PORT@>
    ServerName gw.test
    ProxyPass / http://@BACKEND@/
</VirtualHost>
<VirtualHost 127.0.0.1:@PORT@>
    ServerName off.test
    M2MEngine Off
    ProxyPass / http://@BACKEND@/
</VirtualHost>
CONF
denies($t->get('/'), 401, 'token_missing', 'the main server protects its virtual hosts');
passes($t->get('/', token => mint('oct', {})), 'control');
passes($t->get('/', host => 'off.test'), 'but for one that says Off');
$t->finish(more => 1);

# --- what does not go together ---

my @bad = (
    [ 'a parameter without a rule', "M2MParameter a Query:a", qr/M2MParameter/ ],
    [ 'a rule over an outer parameter', "M2MParameter a Query:a\nM2MRule r \"\$a = '1'\" ifTrue=DENY\n<Location /in>\nM2MRule s \"\$a = '1'\" ifTrue=DENY\n</Location>", qr/\ba\b/ ],
    [ 'a header of an outer rule', "M2MRule r \"1 = 1\" ifTrue=DENY\n<Location /in>\nM2MRuleHeader r X-A b\n</Location>", qr/\br\b/ ],
    [ 'a rule before its parameter', "M2MRule r \"\$a = '1'\" ifTrue=DENY\nM2MParameter a Query:a", qr/\ba\b/ ],
);
for my $c (@bad) {
    my ($status, $out) = try_config("$c->[1]\n");
    ok($status == 1 && $out =~ $c->[2], "httpd -t refuses: $c->[0]") or diag("status $status: $out");
}
my ($status, $out) = try_config("<Directory \@DOCROOT\@>\nAllowOverride All\n</Directory>\n", files => { 'htdocs/.htaccess' => "M2MEngine Off\n" });
is($status, 0, 'control: a .htaccess is not read by httpd -t');
$t = M2MGW::Test->start(files => { 'a.json' => jwk_json('oct'), 'htdocs/.htaccess' => "M2MEngine Off\n" },
                        config => "M2MJwks file:\@ROOT\@/a.json\n<Directory \@DOCROOT\@>\nAllowOverride All\n</Directory>\n");
isnt($t->get('/index.html')->status, 200, 'M2MEngine Off in .htaccess opens nothing');
isnt($t->get('/index.html', token => mint('oct', {}))->status, 200, 'not even with a token: it is an error');
$t->expect_log(qr/htaccess/);
$t->finish(more => 1);
for my $limit ('Limit GET', 'LimitExcept GET') {
    my ($word) = $limit =~ /(\w+)/;
    ($status, $out) = try_config("<Location /x>\n<$limit>\nM2MEngine Off\n</$word>\n</Location>\n");
    ok($status == 1 && $out =~ /M2MEngine/, "refused inside <$limit>") or diag("status $status: $out");
}
done_testing();
