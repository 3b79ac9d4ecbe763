#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# Parameter access control through a real httpd: every row of t/vectors/conditions.txt that
# compiles, every other one of those that do not, then where values come from, which rule decides,
# and what a refusal says.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP ();
use M2MGW::Test;

# --- the table ---

my (%fact, @rows, @refused);
open my $table, '<:raw', "$FindBin::Bin/vectors/conditions.txt" or die $!;
while (my $line = <$table>) {
    chomp $line;
    next if $line =~ /^#/ || $line eq '';
    if ($line =~ /^fact (\w+) (\w+) ?(.*)/) { $fact{$1} = [ $2, $3 ] }
    elsif ($line =~ /^refused:(\d+) (.*)/) { push @refused, [ $1, $2 ] }
    elsif ($line =~ /^(true|false|error) (.*)/) { push @rows, [ $1, $2 ] }
    else { die "not understood: $line" }
}
close $table;
ok(@rows > 700, 'rows that compile: ' . @rows);
ok(@refused > 140, 'rows that do not: ' . @refused);

sub quoted { my ($text) = @_; $text =~ s/([\\"])/\\$1/g; return qq("$text") }
sub names { my ($condition) = @_; my %n; return grep { $fact{$_} && !$n{$_}++ } $condition =~ /\$\{?(\w+)/g }

# Declarations and the one rule of a row: true passes, false is its 451.
sub section {
    my ($condition) = @_;
    my $out = join '', map {
        "M2MParameter $_ " . ($fact{$_}[0] eq 'claim' ? 'Token' : 'Query') . ":$_\n" }
        names($condition);
    # values with blanks around them are errors where everything has to be clear; spoof.t has those
    $out .= "M2MDuplicateParameter First\n" if !grep { $fact{$_}[0] eq 'error' } names($condition);
    return $out . 'M2MRule row ' . quoted($condition)
        . " ifTrue=ALLOW ifFalse=DENY statusCode=451\n";
}

sub query {
    my ($condition) = @_;
    return join '&', map {
        $fact{$_}[0] eq 'text' ? "$_=" . $fact{$_}[1] =~ s/ /%20/gr
            : $fact{$_}[0] eq 'error' ? "$_=1&$_=2" : () } names($condition);
}

my $config = <<'CONF';
ProxyPass /row http://@BACKEND@/row
<Location /row>
    M2MJwks file:@ROOT@/keys.json
</Location>
CONF
$config .= "<Location /row/$_>\n" . section($rows[$_][1]) . "</Location>\n" for 0 .. $#rows;
my $claims = '{"exp":' . (time + 3600)
    . join('', map { qq(,"$_":$fact{$_}[1]) } grep { $fact{$_}[0] eq 'claim' } sort keys %fact)
    . '}';
my $token = mint('p256', $claims);

my $t = M2MGW::Test->start(config => $config, loglevel => 'warn m2mgw:info',
                           files => { 'keys.json' => jwks_json(jwk('p256')) });
$t->expect_log(qr/AH00111: Config variable/, qr/M2-201: .* rule_error by rule row: /);
my %want = (true => [ 200, 'ok', 1 ], false => [ 451, 'rule_denied', 0 ],
            error => [ 403, 'rule_error', 0 ]);
my ($client, $served, $wrong) = (undef, 0, 0);
for my $i (0 .. $#rows) {
    my ($expected, $condition) = @{ $rows[$i] };
    $client = $t->client if !$client || ++$served % 90 == 0;
    my $r = $t->get("/row/$i?" . query($condition), token => $token, client => $client);
    my ($status, $reason, $reached) = @{ $want{$expected} };
    next if $r->status == $status && $r->reason eq $reason && $r->reached == $reached;
    diag("row is not $expected: $condition\n" . M2MGW::Test::describe($r)) if $wrong++ < 20;
    undef $client;
}
is($wrong, 0, 'every row of the table through httpd');
$t->finish(more => 1);

for my $i (grep { $_ % 2 == 0 } 0 .. $#refused) {
    my ($column, $condition) = @{ $refused[$i] };
    my ($status, $text) = try_config("<Location /a>\n" . section($condition) . "</Location>\n");
    like($text, qr/M2MRule row: column $column: \S/, "httpd -t refuses $condition");
    isnt($status, 0, 'and exits so');
}

# --- the examples of the documentation ---

open my $doc, '<:raw', "$FindBin::Bin/../docs/rules.md" or die $!;
my $text = join '', <$doc>;
close $doc;
my @examples = grep { /^    M2MRule /m && !/: column/ || /^    <Location/ }
    $text =~ /((?:^    .*\n)+)/mg;
ok(@examples >= 5, 'examples in docs/rules.md: ' . @examples);
for my $example (@examples) {
    $example = "<Location /doc>\n$example</Location>\n" if $example !~ /<Location/;
    my ($status, $said) = try_config($example, files => { 'conf/keys.json' => jwks_json(jwk('p256')) });
    is($status, 0, 'httpd -t takes the example') or diag("$example\n$said");
}
my ($said) = $text =~ /^    (M2MRule owners: column .*)$/m;
like((try_config(qq(<Location /a>\nM2MRule owners "1 = 1 and 2 = 2 or 3 = 3" ifTrue=DENY\n</Location>\n)))[1],
     qr/\Q$said\E/, 'and refuses what it is said to refuse, in these words');

# --- where values come from ---

# a location per case whose refusal tells what the parameters hold
my $show = <<'CONF';
    M2MRule show "1 = 1" ifTrue=DENY statusCode=418 responseBody="[%{v}]"
CONF
my %source = (
    method => 'Method', path => 'Path', query => 'Query:q', header => 'Header:X-V',
    cookie => 'Cookie:c', host => 'Host', parameter => 'Parameter:p', xff => 'XFF',
    xff0 => 'XFF:0', xff1 => 'XFF:1', xfflast => 'XFF:-1', xff9 => 'XFF:9', env => 'Env:my_env',
    sub => 'Token:sub', nested => 'Token:act.sub', list => 'Token:list', form => 'Form:f',
    ip => 'System:CaClientIp', domain => 'System:CaDomain', ua => 'System:CaClientUa',
    schema => 'System:CaHttpSchema', stage => 'System:CaStage', api => 'System:CaApiName',
    app => 'System:CaAppId', key => 'System:CaAppKey', id => 'System:CaRequestId',
    date => 'System:CaRequestHandleTime',
);
$config = <<'CONF';
SetEnvIf Request_URI . my_env=from-env
ProxyPass / http://@BACKEND@/
<Location />
    M2MJwks file:@ROOT@/keys.json
    M2MBypassEmptyToken On
</Location>
CONF
$config .= "<Location /$_>\n    M2MParameter v $source{$_}\n$show</Location>\n"
    for sort keys %source;
$config .= <<'CONF';
<Location /users>
    M2MPath /users/{userId}/*
    M2MParameter v Path:userId
    M2MRule show "1 = 1" ifTrue=DENY statusCode=418 responseBody="[%{v}]"
</Location>
<Location /undeclared>
    M2MStage PRE
    M2MApiName hello
    M2MRule show "$CaStage = 'PRE' and $CaHttpScheme = 'HTTP'" ifTrue=DENY statusCode=418 responseBody="[%{CaApiName}]"
</Location>
<Location /first>
    M2MDuplicateParameter First
    M2MParameter v Query:q
    M2MRule show "$v = 'a'" ifTrue=DENY statusCode=418 responseBody="[%{v}]"
</Location>
<Location /deny>
    M2MParameter v Query:q
    M2MRule show "$v = 'a'" ifTrue=DENY statusCode=418 responseBody="[%{v}]"
</Location>
CONF

# --- which rule decides, and what it says ---

$config .= <<'CONF';
<Location /order>
    M2MParameter type Query:type
    M2MParameter userId Query:userId
    M2MParameter pathUserId Query:path
    M2MRule admin "$type = 'admin'" ifTrue=ALLOW
    M2MRule user "$userId = $pathUserId" ifFalse=DENY errorMessage="Path not match %{userId} vs /%{pathUserId}" responseBody="<Reason>%{userId}</Reason>"
    M2MRuleHeader user Content-Type application/xml
    M2MRuleHeader user X-User "%{userId}"
    M2MRuleHeader user X-User "2 %{pathUserId}"
</Location>
<Location /default>
    M2MParameter ok Query:ok
    M2MRule pass "$ok = '1'" ifTrue=ALLOW
    M2MDefaultAction DENY
</Location>
<Location /plain>
    M2MRule plain "1 = 1" ifTrue=DENY
</Location>
<Location /json>
    M2MParameter v Query:q
    M2MRule json "1 = 1" ifTrue=DENY statusCode=599 responseBody="{\"v\":\"%{v}\"}"
    M2MRuleHeader json Content-Type "application/problem+json; charset=utf-8"
</Location>
<Location /html>
    M2MParameter v Query:q
    M2MRule html "1 = 1" ifTrue=DENY responseBody="<p title='%{v}'>%{v}</p>"
    M2MRuleHeader html Content-Type text/html
</Location>
<Location /secret>
    M2MParameter v Header:Authorization
    M2MRule secret "1 = 1" ifTrue=DENY errorMessage="was %{v}" responseBody="%{v}"
    M2MRuleHeader secret X-Auth "%{v}"
</Location>
<Location /bad>
    M2MParameter ip Header:X-Real-IP
    M2MRule net "$ip in_cidr '10.0.0.0/8'" ifFalse=DENY statusCode=451
    M2MRule all "1 = 1" ifTrue=ALLOW
</Location>
<Location /off>
    M2MEngine Off
</Location>
<Location /shadowed>
    M2MParameter q Query:q
    M2MParameter ip Query:ip
    M2MRule would "$q = 'x'" ifTrue=DENY statusCode=418 shadow
    M2MRule letting "$q = 'y'" ifTrue=ALLOW Shadow
    M2MRule broken "$ip in_cidr '10.0.0.0/8'" shadow ifTrue=DENY
    M2MRule real "$q = 'y'" ifTrue=DENY
</Location>
<Location /status>
    SetHandler m2m-status
    ProxyPass !
</Location>
<Location /nouser>
    M2MJwks file:@ROOT@/keys.json
    M2MUserClaim nobody
    M2MRule isdash "$CaAppId = '-' or $CaAppKey = '-'" ifTrue=DENY statusCode=410
    M2MRule isnull "$CaAppId = null" ifTrue=DENY statusCode=418
</Location>
<Location /cookies>
    M2MParameter c Cookie:c
    M2MRule show "$c = '2'" ifFalse=DENY
</Location>
CONF

$t = M2MGW::Test->start(config => $config, loglevel => 'warn m2mgw:info',
                        files => { 'keys.json' => jwks_json(jwk('p256')) });
$t->expect_log(qr/M2-201: .* rule_error by rule (?:show|net): /);
$token = mint('p256', { sub => 'me', act => { sub => 'you' }, list => [ 'a', 'b c' ] });

sub holds {
    my ($r, $value, $name) = @_;
    my $pattern = ref $value ? $value : qr/\A\Q[$value]\E\z/;
    ok($r->status == 418 && $r->body =~ $pattern && !$r->reached, $name)
        or diag("expected $value; " . M2MGW::Test::describe($r));
}

holds($t->get('/method', method => 'DELETE'), 'DELETE', 'Method');
holds($t->get('/path/a%20b/%C3%A9?x=1'), "/path/a b/\xc3\xa9", 'Path is decoded, without the query');
holds($t->get('/path/a/./b/../c'), '/path/a/c', 'Path is normalised');
holds($t->get('/query?q=a%20b+c&qq=x'), 'a b c', 'Query is decoded, its name exact');
holds($t->get('/query?q'), '', 'a name without a value is empty');
holds($t->get('/query?r=1'), '', 'and null renders as nothing');
holds($t->get('/query?%71=1'), '1', 'a name that is encoded');
holds($t->get('/header', headers => [ 'x-v' => 'h' ]), 'h', 'Header, in any case');
holds($t->get('/cookie', headers => [ Cookie => 'b=1; c=2; cc=3' ]), '2', 'Cookie');
passes($t->get('/cookies', headers => [ Cookie => 'a; c=2; b' ]), 'other names alone');
for my $cookie ('c; c=2', 'c=2; c', 'c', 'b=1; c ;d=2') { # an empty one to PHP, none to others
    denies($t->get('/cookies', headers => [ Cookie => $cookie ]), 403, 'rule_error', "a cookie's name alone: $cookie");
}
holds($t->get('/host', host => 'API.Example:81'), 'api.example', 'Host without port, lower case');
holds($t->get('/parameter?p=q'), 'q', 'Parameter from the query');
holds($t->post('/parameter?x=1', 'p=f', headers => [ 'Content-Type' => 'application/x-www-form-urlencoded' ]),
      'f', 'Parameter from the form');
holds($t->post('/form?f=q', 'f=1&g=2', headers => [ 'Content-Type' => 'application/x-www-form-urlencoded' ]),
      '1', 'Form');
my @xff = (headers => [ 'X-Forwarded-For' => '1.1.1.1, 2.2.2.2,3.3.3.3' ]);
holds($t->get('/xff', @xff), '1.1.1.1', 'XFF alone is the first');
holds($t->get('/xff0', @xff), '1.1.1.1', 'XFF:0');
holds($t->get('/xff1', @xff), '2.2.2.2', 'XFF:1');
holds($t->get('/xfflast', @xff), '3.3.3.3', 'XFF:-1');
holds($t->get('/xff9', @xff), '', 'XFF out of range');
holds($t->get('/env'), 'from-env', 'Env');
holds($t->get('/sub', token => $token), 'me', 'Token');
holds($t->get('/sub'), '', 'Token is null without a token');
holds($t->get('/nested', token => $token), 'you', 'Token walks objects');
holds($t->get('/list', token => $token), '["a","b\\u0020c"]', 'Token: an array with a blank is JSON');
holds($t->get('/ip'), '127.0.0.1', 'CaClientIp');
holds($t->get('/domain'), 'gw.test', 'CaDomain');
holds($t->get('/ua', headers => [ 'User-Agent' => 'ua/1' ]), 'ua/1', 'CaClientUa');
holds($t->get('/schema'), 'HTTP', 'CaHttpSchema');
holds($t->get('/stage'), 'RELEASE', 'CaStage');
holds($t->get('/api'), '', 'CaApiName without M2MApiName');
holds($t->get('/app', token => $token), 'me', 'CaAppId is the user');
holds($t->get('/key', token => $token), 'me', 'and so is CaAppKey');
holds($t->get('/id'), qr/\A\[[^\]]{16,}\]\z/, 'CaRequestId');
holds($t->get('/date'), qr/\A\[\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\]\z/, 'CaRequestHandleTime');
holds($t->get('/users/7/orders'), '7', 'Path:NAME');
holds($t->get('/users/a%20b/'), 'a b', 'Path:NAME is decoded');
holds($t->get('/users/7'), '', 'a path that does not fit gives null');
holds($t->get('/undeclared'), 'hello', 'system names need no declaration');
holds($t->get('/first?q=a&q=b'), 'a', 'First: the first value counts');
holds($t->get('/deny?q=a&q=a'), 'a', 'Deny: repeated alike is not a matter');
denies($t->get('/deny?q=a&q=b'), 403, 'rule_error', 'Deny: repeated with differing values');
denies($t->get('/deny?q=a&%71=b'), 403, 'rule_error', 'also when one is spelled otherwise');

is($t->get('/nouser', token => $token)->status, 418, 'CaAppId of a token that names no user is null');
passes($t->get('/shadowed?q=x'), 'a rule in shadow refuses nobody');
like($t->error_log, qr/M2-204: \S+ rule would \(shadow\) would refuse: rule_denied \[/, 'and says so');
denies($t->get('/shadowed?q=y'), 403, 'rule_denied', 'nor does it let anybody past the rules behind it');
passes($t->get('/shadowed?q=z&ip=none'), 'one that cannot be evaluated is told');
like($t->error_log, qr/rule broken \(shadow\) would refuse: rule_error: /, 'with its reason');
my %shadowed;
$t->let_finish; # a request is counted when it is logged, which may be behind its answer
%shadowed = map { ($_->{rule} => $_) } grep { $_->{section} =~ m{/shadowed} } @{ JSON::PP::decode_json($t->get('/status?format=json')->body)->{rules} };
is_deeply([ map { "$_ $shadowed{$_}{allow} $shadowed{$_}{deny} " . ($shadowed{$_}{shadow} ? 1 : 0) } sort keys %shadowed ],
          [ 'broken 0 1 1', 'letting 1 0 1', 'real 0 1 0', 'would 0 1 1' ], 'each is counted');
like($t->get('/status?format=prometheus')->body, qr/rule="would",action="shadow_deny"\} 1$/m, 'in metrics, too');
passes($t->get('/order?type=admin&userId=7&path=8'), 'an ALLOW ends the list');
passes($t->get('/order?userId=7&path=7'), 'no rule speaks: the request passes');
my $r = $t->get('/order?userId=7&path=8');
denies($r, 403, 'rule_denied', 'a DENY');
is($r->header('X-Ca-Error-Code'), 'A403AC', 'its code');
is($r->header('X-Ca-Error-Message'), 'Path not match 7 vs /8', 'its message');
is($r->body, '<Reason>7</Reason>', 'its body');
like($r->header('Content-Type'), qr{^application/xml\b}, 'its type');
is_deeply([ map { $_->[1] } grep { lc $_->[0] eq 'x-user' } @{ $r->{headers} } ], [ '7', '2 8' ],
          'its headers, each of them') or diag(explain($r->{headers}));
$r = $t->get('/order?userId=x%0d%0aX-Evil:%201%3Cb%3E&path=8');
denies($r, 403, 'rule_denied', 'a value that would split a header');
is($r->header('X-Evil'), undef, 'does not');
is($r->header('X-User'), 'xX-Evil: 1<b>', 'control bytes are dropped');
is($r->body, '<Reason>x&#13;&#10;X-Evil: 1&lt;b&gt;</Reason>', 'and XML is escaped');
denies($t->get('/order'), 403, 'rule_denied', 'null equals nothing, not even null');
passes($t->get('/default?ok=1'), 'M2MDefaultAction behind an ALLOW');
denies($t->get('/default?ok=2'), 403, 'rule_default', 'M2MDefaultAction DENY');
$r = $t->get('/plain');
denies($r, 403, 'rule_denied', 'a rule that says nothing of its own');
is($r->header('X-Ca-Error-Message'), 'Access Control Forbidden by plain', 'has a message');
$r = $t->get('/json?q=%22%5C%0A%C3%A9%FF');
is($r->status, 599, 'the status of the rule');
is_deeply(JSON::PP->new->utf8->decode($r->body), { v => "\"\\\n\x{e9}\x{fffd}" }, 'JSON is escaped');
$r = $t->get('/html?q=%27%3E%3Cscript%3E');
is($r->body, '<p title=\'&#39;&gt;&lt;script&gt;\'>&#39;&gt;&lt;script&gt;</p>', 'HTML is escaped');
$r = $t->get('/secret', token => $token);
denies($r, 403, 'rule_denied', 'a value that holds the token');
is($r->body, '[redacted]', 'is not shown in the body');
is($r->header('X-Auth'), '[redacted]', 'in a header');
is($r->header('X-Ca-Error-Message'), 'was [redacted]', 'or in the message');
denies($t->get('/bad', headers => [ 'X-Real-IP' => 'nonsense' ]), 403, 'rule_error',
       'an address that is none');
passes($t->get('/bad', headers => [ 'X-Real-IP' => '10.9.8.7' ]), 'and one that is');
denies($t->get('/bad', headers => [ 'X-Real-IP' => '11.9.8.7' ]), 451, 'rule_denied',
       'and one from elsewhere');
passes($t->get('/off'), 'M2MEngine Off');
$t->finish;
