#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# The status page by operation, and of the token server: figures that add up, in three formats, that
# restarts keep; every metric that the rules and the dashboard of packaging/monitoring ask for has
# data; and nothing a client sent is on the page.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP ();
use M2MGW::Test;
use Time::HiRes qw(sleep time);

my $monitoring = "$FindBin::Bin/../packaging/monitoring";
my $with_issuer = M2MGW::Test::built('mod_m2m_issuer') ? <<'CONF' : '';
LoadModule m2m_issuer_module @ISSUER_MODULE@
M2MIssuerName http://127.0.0.1:@PORT@
M2MSigningKey @ROOT@/key.pem kid=SIGNS
M2MGrant api app_x read
<Location /token>
    SetHandler m2m-token
    M2MClientProvider file
    AuthUserFile @ROOT@/clients
</Location>
<Location /jwks>
    SetHandler m2m-jwks
</Location>
CONF
my $CONFIG = <<"CONF";
$with_issuer
M2MReplayStore shm entries=1024
ProxyPass /status !
ProxyPass /token !
ProxyPass /jwks !
ProxyPass / http://\@BACKEND\@/
<Location /status>
    SetHandler m2m-status
</Location>
<Location /ops>
    M2MJwks file:\@ROOT\@/keys.json
    M2MOperation GET /ops/users/{id} scope=read name=getUser
    M2MOperation POST /ops/users scope=write name=addUser
    M2MOperation GET /ops/health public name=health
    M2MParameter q Query:q
    M2MRule q "\$q = '1'" ifTrue=DENY
    M2MLimit all * 1000/1s
    M2MRevocation file:\@ROOT\@/revoked
</Location>
M2MDataset tenants file:\@ROOT\@/tenants
<Location /once>
    M2MJwks file:\@ROOT\@/keys.json
    M2MPreventJtiReplay On
</Location>
<Location /shadow>
    M2MJwks file:\@ROOT\@/keys.json
    M2MEngine Shadow
</Location>
CONF
my $t = M2MGW::Test->prepare(files => { 'keys.json' => jwks_json(jwk('p256', kid => 'E1')), 'key.pem' => key('p256#2')->{text},
    revoked => "jti a b\njti a c\n", tenants => "x\n", clients => 'app_x:$2y$05$eeHrCj2u4bGD1/90QtKbsuV9mk5T7n26cyhkm6.1ad29.KTdA5voC' . "\n" });
chmod 0600, "$t->{root}/key.pem";
$t->begin($CONFIG);
my $json = JSON::PP->new->utf8;

sub page { my ($what) = @_; return $t->get('/status' . ($what ? "?format=$what" : ''))->body }
sub document { return $json->decode(page('json')) }
sub token { return mint('p256', { scope => $_[0], jti => $_[1] // rand }, { kid => 'E1' }) }

# what is logged is counted when the answer is out
sub soon {
    my ($test) = @_;
    $t->let_finish;
    return M2MGW::Test::before_long($test);
}
sub operation { my ($name) = @_; return (grep { $_->{operation} eq $name } @{ document()->{operations} })[0] // {} }

is($t->get('/ops/users/7', token => token('read'))->status, 200, 'an operation') for 1 .. 3;
is($t->get('/ops/users/7', token => token('other'))->status, 403, 'without its scope') for 1, 2;
is($t->get('/ops/users/<b>')->status, 401, 'without a token');
is($t->get('/ops/users/7?q=1', token => token('read'))->status, 403, 'a rule denies');
is($t->get('/ops/health')->status, 200, 'a public one');
is($t->get('/ops/nothing', token => token('read'))->status, 403, 'one that there is not');
is($t->get('/once', token => my $once = token('x', 'j'))->status, 200, 'a token');
is($t->get('/once', token => $once)->status, 401, 'twice');
is($t->get('/shadow')->status, 200, 'Shadow');
ok(soon(sub { (document()->{shadow_denials} // 0) == 1 }), 'all is counted');

my $get = operation('getUser');
is($get->{passed}, 3, 'passed') or diag(page('json'));
is($get->{refused}, 4, 'refused');
is_deeply($get->{reasons}, { insufficient_scope => 2, token_missing => 1, rule_denied => 1 }, 'by reason');
like($get->{section}, qr{<Location /ops> \(line }, 'with its section');
ok(abs($get->{last_refusal} - time) < 600, 'and when it was last');
is(operation('health')->{passed}, 1, 'a public one');
is(scalar @{ document()->{operations} }, 2, 'each that was called is listed once');
my $metrics = page('prometheus');
like($metrics, qr/^m2mgw_operation_decisions_total\{section="<Location \/ops>[^"]*",operation="getUser",decision="allow"\} 3$/m, 'a metric');
like($metrics, qr/^m2mgw_operation_decisions_total\{[^}]*operation="getUser",decision="deny"\} 4$/m, 'of refusals, too');
like($metrics, qr/^m2mgw_section_decisions_total\{section="<Location \/ops>[^"]*",decision="allow",reason="$_->[0]"\} $_->[1]$/m, "of a section, reason $_->[0]") for [ ok => 3 ], [ bypass => 1 ];
unlike($metrics, qr/^m2mgw_section_decisions_total\{section="<Location \/once>[^"]*",[^}]*reason="bypass"/m, 'bypass only where it occurred');
my ($ops) = grep { $_->{section} =~ m{\A<Location /ops>} } @{ document()->{sections} };
is_deeply([ @$ops{qw(passed bypassed)} ], [ 4, 1 ], 'likewise in JSON');
my $html = page();
like($html, qr{<th scope="row">getUser</th><td class="n">4</td><td class="n">3</td>}, 'a row for people');

# --- the token server ---

SKIP: {
    skip 'mod_m2m_issuer is not built', 9 if !$with_issuer;
    my $ask = sub { my ($secret, $scope) = @_; return $t->post('/token', 'grant_type=client_credentials&client_id=app_x&client_secret=' . $secret
        . "&scope=$scope", headers => [ 'Content-Type' => 'application/x-www-form-urlencoded' ]) };
    my $secret = 'correct+horse%2Bbattery%2Fstaple%25';
    my $r = $ask->($secret, 'api%7Cread');
    is($r->status, 200, 'a token is issued') or diag($r->body);
    $t->secret(($json->decode($r->body)->{access_token} // '') =~ /\.([^.]+)\z/ ? $1 : ());
    is($ask->('wrong', 'api%7Cread')->status, 401, 'a wrong secret');
    is($ask->($secret, 'api%7Cwrite')->status, 400, 'a scope that is not granted') for 1, 2;
    $t->let_finish;
    my $issuer = document()->{issuer};
    is($issuer->{tokens}, 1, 'tokens are counted');
    is($issuer->{refused}{invalid_client}, 1, 'refusals, too');
    is($issuer->{refused}{invalid_scope}, 2, 'by reason');
    is_deeply([ map { "$_->{kid} $_->{alg}" } @{ $issuer->{keys} } ], ['SIGNS ES256'], 'and its keys are listed');
    like(page('prometheus'), qr/^m2mgw_issuer_tokens_total\{result="refused",reason="invalid_scope"\} 2$/m, 'as a metric');
    like(page(), qr{<th scope="row">SIGNS</th>}, 'and for people');
}

# --- a restart ---

$t->reload;
ok(soon(sub { (operation('getUser')->{passed} // 0) == 3 }), 'a graceful restart keeps the figures');
is($t->get('/ops/users/7', token => token('read'))->status, 200, 'and goes on');
ok(soon(sub { (operation('getUser')->{passed} // 0) == 4 }), 'counting');
is(document()->{issuer}{tokens}, 1, 'of the token server, too') if $with_issuer;

# --- lists ---

for my $case ([ 'list', 'revoked', 2 ], [ 'dataset', 'tenants', 1 ]) {
    my ($what, $file, $n) = @$case;
    my $of = qr/source="[^"]*\/$file"/;
    my $series = page('prometheus');
    like($series, qr/^m2mgw_${what}_entries\{$of\} $n$/m, "$file: its entries");
    like($series, qr/^m2mgw_${what}_usable\{$of\} 1$/m, "$file: it is used");
    like($series, qr/^m2mgw_${what}_age_seconds\{$of\} \d$/m, "$file: its age");
    like($series, qr/^m2mgw_${what}_state\{$of,state="ok"\} 1$/m, "$file: its state");
    spew("$t->{root}/$file", "a b c d e f g\n");
    ok(soon(sub { page('prometheus') =~ /^m2mgw_${what}_state\{$of,state="broken"\} 1$/m }), "$file: broken");
    like(page('prometheus'), qr/^m2mgw_${what}_state\{$of,state="ok"\} 0$/m, "$file: and not well");
    like(page('prometheus'), qr/^m2mgw_${what}_usable\{$of\} 1$/m, "$file: but in use");
}
$t->expect_log(qr{/(revoked|tenants): line 1});

# --- what monitoring asks for ---

my %series;
for my $line (grep { !/^#/ } split /\n/, page('prometheus')) {
    my ($name, $labels) = $line =~ /^(\w+)(?:\{(.*)\})? \S+$/ or do { fail("a line: $line"); next };
    $series{$name}{$_} = 1 for 'instance', 'job', ($labels // '') =~ /(\w+)="(?:[^"\\]|\\.)*"/g;
}
my $dashboard = JSON::PP->new->decode(slurp("$monitoring/grafana-dashboard.json"));
my $rules = slurp("$monitoring/m2mgw-rules.yml");
my @queries = (map({ my $p = $_; map { [ "panel \"$p->{title}\"", $_->{expr} ] } @{ $p->{targets} } } @{ $dashboard->{panels} }),
    map { [ 'a rule', $_ ] } $rules =~ /^ +expr: (.*)$/mg);
ok(@queries > 20, scalar(@queries) . ' queries');
for my $query (@queries) {
    my ($what, $expr) = @$query;
    my @metrics = $expr =~ /(?<![:\w])(m2mgw_\w+)/g;
    my @lacking = grep { !$series{$_} && !($_ =~ /^m2mgw_issuer/ && !$with_issuer) } @metrics;
    is("@lacking", '', "$what has data");
    my @labels = map { split /\s*,\s*/ } $expr =~ /by \(([^)]*)\)/g;
    push @labels, map { $_ =~ /(\w+)(?:=~?|!=)"/g } $expr =~ /\{([^}]*)\}/g;
    @lacking = grep { my $l = $_; $l ne 'le' && !grep { $series{$_}{$l} } @metrics } @labels;
    is("@lacking", '', '... by labels that there are') if !grep { /^m2mgw_issuer/ && !$with_issuer } @metrics;
}
SKIP: {
    my ($promtool) = grep { -x } '/usr/bin/promtool';
    skip 'promtool is not installed', 2 if !$promtool;
    is(system("$promtool check rules $monitoring/m2mgw-rules.yml >$t->{root}/said 2>&1"), 0, 'promtool check rules') or diag(slurp("$t->{root}/said"));
    spew("$t->{root}/metrics", page('prometheus'));
    is(system("$promtool check metrics <$t->{root}/metrics >$t->{root}/said 2>&1"), 0, 'promtool check metrics') or diag(slurp("$t->{root}/said"));
}
unlike(page(), qr/<script|<b>\z|users\/<b>/, 'no script, and nothing of a path on the page');
$t->expect_log(qr/M2-\d\d\d/);
$t->finish;
