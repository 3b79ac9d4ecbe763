#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# What an operator can write without noticing. A policy without keys is closed, not open: a
# section that says what tokens must be like stops `httpd -t` where no keys can be in force for
# it, and answers 503 where only this request has none. What is needed of other modules is said
# by `httpd -t`. What is legal and deserves a second look is printed by it, whatever LogLevel is.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use M2MGW::Test;

my $KEY = 'M2MJwk ' . jwk_json('oct', kid => 'K');
my %FILES = ('k.json' => jwks_json(jwk('p256', kid => 'E')), 'rsa.json' => jwk_json('rsa', kid => 'R'));
my @CHECKS = (
    'M2MToken query:t', 'M2MForwardToken Off', 'M2MBypassEmptyToken On', 'M2MAlgorithms HS256', 'M2MIssuer i',
    'M2MAudience a', 'M2MTokenType JWT', 'M2MRequireClaim role', 'M2MMaxAge 60', 'M2MIgnoreExpiration On',
    'M2MPreventJtiReplay On', 'M2MClaim client_id header:X-Client',
);

sub try {
    my ($config, %o) = @_;
    return try_config($config, files => { %FILES, %{ $o{files} // {} } }, loglevel => 'emerg', %o);
}

sub stops {
    my ($name, $config, $line, $what, %o) = @_;
    my ($status, $out) = try($config, %o);
    ok($status && $out =~ /line $line of \S*suite\.conf:\n[^\n]*$what/, "refused: $name")
        or diag("status $status:\n$out");
}

sub starts {
    my ($name, $config, %o) = @_;
    my ($status, $out) = try($config, %o);
    is($status, 0, "accepted: $name") or diag($out);
    return $out;
}

sub inside { my ($where, $text) = @_; return "<$where>\n$text\n</" . $where =~ s/ .*//r . ">\n" }

# --- httpd -t: no keys anywhere ---

for my $check (@CHECKS) {
    my ($word) = split ' ', $check;
    stops("$check, no keys", inside('Location /x', $check), 2, "$word: there are no keys");
}
my $plain = 'M2MAudience a';
stops("$_, no keys", inside($_, $plain), 2, 'M2MAudience') for 'Directory /x', 'Files x', 'LocationMatch ^/x', 'If "true"';
stops('one section in another', inside('Location /x', inside('If "true"', $plain)), 3, 'M2MAudience');
stops('Shadow', inside('Location /x', "M2MEngine Shadow\n$plain"), 3, 'M2MAudience');
stops('beside rules', inside('Location /x', "M2MRule r '1 = 1' ifTrue=ALLOW\n$plain"), 3, 'M2MAudience');
stops('keys of another host', inside('VirtualHost *:1', $KEY) . inside('VirtualHost *:2', inside('Location /x', $plain)), 6,
    'M2MAudience');
starts('all of them, with keys', inside('Location /x', join "\n", $KEY, @CHECKS));
starts('keys of the server', "$KEY\n" . inside('Location /x', $plain));
starts('keys of another section', inside('Location /y', $KEY) . inside('Location /x', $plain));
starts('keys of the main server', inside('Location /y', $KEY) . inside('VirtualHost *:2', inside('Location /x', $plain)));
starts('keys of a host that has the section, too', inside('VirtualHost *:1', $KEY) . inside('Location /x', $plain));
starts('Off', inside('Location /x', "M2MEngine Off\n$plain"));
starts('an outer Off', inside('Location /x', "M2MEngine Off\n" . inside('If "true"', $plain)));
starts('defaults of a server', join "\n", @CHECKS, inside('Location /x', "M2MRule r '1 = 1' ifTrue=ALLOW"));
starts('defaults of a virtual host', inside('VirtualHost *:1', join "\n", @CHECKS));
starts('rules alone', inside('Location /x', "M2MRule r '1 = 1' ifTrue=ALLOW\nM2MErrorProfile gateway\nM2MLeeway 3"));

# --- requests that meet no keys ---

my $t = M2MGW::Test->start(config => <<"CONF");
M2MIssuer somebody
M2MClaim sub header:X-Sub
<Location /keys>
    $KEY
</Location>
@{[ map { my ($w) = split ' '; "<Location /c/$w>\n$_\nM2MClaim role header:X-Role query:role\n</Location>\n" } @CHECKS ]}<Location /both>
    M2MAudience a
    M2MRule r "1 = 1" ifTrue=ALLOW
</Location>
<Location /rules>
    M2MRule r "1 = 1" ifTrue=ALLOW
</Location>
<Location /shadow>
    M2MEngine Shadow
    M2MClaim role header:X-Role query:role
</Location>
<Location /off>
    M2MEngine Off
    M2MAudience a
</Location>
<Location /if>
    <If "%{HTTP:X-If} == '1'">
        M2MTokenType JWT
    </If>
</Location>
<Location /late>
    M2MAudience a
</Location>
<LocationMatch ^/late/with>
    $KEY
</LocationMatch>
ProxyPass / http://\@BACKEND\@/
CONF
$t->expect_log(qr/no keys are in force|M2MEngine Shadow/, qr/keys_unavailable/);
my $token = mint('oct', { iss => 'somebody', aud => 'a', sub => 's' }, { kid => 'K' });
my @spoof = ('X-Role' => 'admin', 'x_role' => 'admin');
for my $check (@CHECKS) {
    my ($word) = split ' ', $check;
    my $r = $t->get("/c/$word", headers => [@spoof]);
    denies($r, 503, 'keys_unavailable', "$check without keys");
    like($r->header('Retry-After') // '', qr/\A\d+\z/, 'with Retry-After');
    denies($t->get("/c/$word", token => $token), 503, 'keys_unavailable', 'and a token changes nothing');
}
denies($t->get('/both'), 503, 'keys_unavailable', 'rules do not replace keys');
passes($t->get('/rules'), 'rules without a check need none');
passes($t->get('/public'), 'what a server says as a default closes nothing');
passes($t->get('/off'), 'M2MEngine Off');
passes($t->get('/if'), 'a condition that does not hold');
denies($t->get('/if', headers => [ 'X-If' => 1 ]), 503, 'keys_unavailable', 'a condition that holds');
denies($t->get('/late/x'), 503, 'keys_unavailable', 'keys of other paths');
denies($t->get('/late/with'), 401, 'token_missing', 'keys of a section that matches as well');
passes($t->get('/late/with', token => $token), 'and with a token');
denies($t->get('/keys'), 401, 'token_missing', 'a section with keys');
passes($t->get('/keys', token => $token), 'and with a token');
my $r = $t->get('/shadow?role=admin&a=1', headers => [@spoof, 'X-Other' => 1]);
passes($r, 'Shadow');
is_deeply([ map { scalar $r->sent($_) } qw(X-Role x_role X-Other) ], [ undef, undef, 1 ], 'what claims would say is taken out');
unlike($r->target, qr/role=admin/, 'of the query, too');
$t->finish(more => 1);

# --- other modules ---

# where it is not a part of httpd itself
my $loaded = grep { -f M2MGW::Test::modules_dir() . "/$_" } 'mod_watchdog.so';
for my $line ('M2MJwks file:k.json', 'M2MJwks https://idp.example/k', 'M2MIssuerDiscovery https://idp.example') {
    my ($word) = split ' ', $line;
    stops("$line without mod_watchdog", inside('Location /x', $line), 2, "$word: it needs mod_watchdog", without => ['watchdog'])
        if $loaded;
    starts("$line with it", inside('Location /x', $line));
}
starts('an inline key needs no mod_watchdog', inside('Location /x', $KEY), without => ['watchdog']);

# --- algorithms that no key can do ---

for my $keys ($KEY, 'M2MJwks file:k.json', "$KEY\nM2MJwks file:k.json") {
    stops("M2MAlgorithms RS256 beside $keys", inside('Location /x', "$keys\nM2MAlgorithms RS256"), 2 + ($keys =~ tr/\n//) + 1,
        'M2MAlgorithms: no key in force');
}
starts('one of several', inside('Location /x', "$KEY\nM2MAlgorithms RS256 HS256"));
starts('keys that are fetched', inside('Location /x', "M2MJwks https://idp.example/k\nM2MAlgorithms RS256"));
stops('inherited keys', "$KEY\n" . inside('Location /x', 'M2MAlgorithms ES256'), 3, 'M2MAlgorithms');
stops('inherited algorithms', "M2MAlgorithms ES256\n" . inside('Location /x', $KEY), 1, 'M2MAlgorithms');

# --- sections and names that cannot mean what they say ---

for my $path ('app', 'app/x', './x') {
    stops("<Location $path>", inside("Location $path", $KEY), 2, "M2MJwk: <Location $path> covers no request: a path begins with /");
}
stops("<Location $_>", inside("Location $_", $KEY), 2, "M2MJwk: <Location $_> covers no request: httpd resolves") for '/x/../app', '/app/.', '/./x';
starts("<Location $_>", inside("Location \"$_\"", $KEY)) for '/app', '/.well-known/x', '/a..b/...', '*', '?x', '*://b/', 'http://127.0.0.1:1/app';
stops('<Location app> around <If>', "<Location app>\n" . inside('If "true"', $KEY) . "</Location>\n", 3, 'M2MJwk: <Location app> covers no request');
stops('<Proxy unix:|>', inside('Proxy "unix:/s|http://localhost/app"', $KEY), 2, 'M2MJwk: <Proxy unix:/s|http://localhost/app> covers no request');
starts('<Proxy> of the URL behind it', inside('Proxy "http://localhost/app"', $KEY));
for my $name ('Authorization', 'AUTHORIZATION') {
    stops("a claim in $name", inside('Location /x', "$KEY\nM2MClaim sub header:$name"), 3, 'M2MClaim: tokens are looked for in header:Authorization here');
}
stops('a claim where its own section finds tokens', inside('Location /x', "$KEY\nM2MToken header:X-T\nM2MClaim sub header:x_t"), 4, 'M2MClaim: tokens are looked for in header:X-T here');
stops('a claim where another section finds tokens', inside('Location /x', "$KEY\nM2MToken header:X-T") . inside('Location /y', "$KEY\nM2MClaim sub header:X-T"), 7,
    'M2MClaim: header:X-T is where another section');
stops('Authorization, where another section finds tokens', inside('Location /x', $KEY) . inside('Location /y', "$KEY\nM2MToken query:t\nM2MClaim sub header:Authorization"), 7,
    'M2MClaim: header:Authorization is where another section');
starts('M2MScrub Section', "M2MScrub Section\n" . inside('Location /x', $KEY) . inside('Location /y', "$KEY\nM2MToken query:t\nM2MClaim sub header:Authorization"));
starts('where nobody finds tokens in it', inside('Location /y', "$KEY\nM2MToken query:t\nM2MClaim sub header:Authorization"));
starts('a token and a claim in one form', inside('Location /y', "$KEY\nM2MToken form:a\nM2MClaim sub form:a"));

# --- notices, printed whatever LogLevel is ---

sub notice {
    my ($re, $with, $without, %o) = @_;
    like(starts(brief($with), $with, %o), qr/^M2-101: .*$re/m, "notice: $re");
    unlike(starts('without: ' . brief($without), $without, %o), $re, 'and none without');
}
sub brief { my ($text) = @_; return substr $text =~ s/\s+/ /gr, 0, 100 }

my $sec = "$KEY\nM2MIssuer i\nM2MAudience a\n";
notice(qr/claim iss is not checked/, inside('Location /x', "$KEY\nM2MAudience a"), inside('Location /x', $sec));
notice(qr/M2MBypassEmptyToken On/, inside('Location /x', "${sec}M2MBypassEmptyToken On"),
    inside('Location /x', "${sec}M2MBypassEmptyToken Off"));
notice(qr/path target that its ProxyPass does not hold: \{id\}/,
    inside('Location /x', "${sec}M2MClaim sub path:id\nProxyPass http://127.0.0.1:1/u/"),
    inside('Location /x', "${sec}M2MClaim sub path:id\nProxyPass http://127.0.0.1:1/u/{id}/"));
notice(qr/M2MIgnoreExpiration On: tokens are accepted for ever/, inside('Location /x', "${sec}M2MIgnoreExpiration On"),
    inside('Location /x', "${sec}M2MIgnoreExpiration Off"));
notice(qr/its path ends in a slash/, inside('Location /x/', $sec), inside('Location /', $sec));
notice(qr/a query target without a header or form target: .*uid/, inside('Location /x', "${sec}M2MClaim sub query:uid"),
    inside('Location /x', "${sec}M2MClaim sub query:uid header:X-Uid"));
notice(qr/several issuers, and a key source that is bound to none/, inside('Location /x', "$KEY\nM2MIssuer i j\nM2MJwks file:k.json"),
    inside('Location /x', "$KEY\nM2MIssuer i\nM2MJwks file:k.json"));
notice(qr/several issuers, and a key source that is bound to none/, inside('Location /x', $sec) . inside('Location /x/y', 'M2MIssuer i j'),
    inside('Location /x', $sec) . inside('Location /x/y', 'M2MIssuer j'));
notice(qr/several issuers, and a key source that is bound to none/, "$KEY\n" . inside('Location /x', "M2MIssuer i j"),
    "M2MJwks file:k.json issuer=i\n" . inside('Location /x', "M2MIssuer i j"));
notice(qr/wider <Location> behind this one .*: line 4 of/, inside('Location /w/y', 'M2MRequireClaim role admin') . inside('Location /w', "${sec}M2MRequireClaim sub") =~ s/\n\z//r,
    inside('Location /w', "${sec}M2MRequireClaim sub") . inside('Location /w/y', 'M2MRequireClaim role admin'));
notice(qr/no path fits its M2MPath, .*Location \/x>/, inside('Location /x', "${sec}M2MPath /y/{id}\nM2MParameter i Path:id\nM2MRule r \"\$i = '7'\" ifTrue=DENY"),
    inside('Location /x', "${sec}M2MPath /{a}/{id}/*\nM2MParameter i Path:id\nM2MRule r \"\$i = '7'\" ifTrue=DENY"));
notice(qr/without query and fragment: <Location \/q\?x=1>/, inside('Location "/q?x=1"', $sec), inside('Location /q', $sec));
notice(qr/looked for where a claim is mapped to, .*: query:a/, inside('Location /x', "${sec}M2MToken query:a\nM2MClaim sub query:A header:X-A"),
    inside('Location /x', "${sec}M2MToken query:a\nM2MClaim sub query:b header:X-A"));
notice(qr/ProxyRequests On/, "ProxyRequests On\n" . inside('Location /x', $sec), "ProxyRequests On\n" . inside('Proxy http://127.0.0.1:1/', $sec));
my %yaml = map { $_ => "parameters:\n  p: '$_:p'\nrules:\n- {name: r, condition: \"\$p = 'a'\", ifFalse: DENY}\n" } qw(Query Token);
my %scripts = ('q.yaml' => $yaml{Query}, 't.yaml' => $yaml{Token});
notice(qr/rules of its script read what clients send/, inside('Location /x', "${sec}M2MPlugin accessControl q.yaml"),
    inside('Location /x', "${sec}M2MPlugin accessControl q.yaml\nM2MDuplicateParameter Deny"), files => \%scripts);
unlike(starts('a script that reads the token', inside('Location /x', "${sec}M2MPlugin accessControl t.yaml"), files => \%scripts),
    qr/rules of its script/, 'a script that reads the token alone');
for my $off (inside('Files *.css', 'M2MEngine Off'), inside('Directory /srv', 'M2MEngine Off'), inside('If "true"', 'M2MEngine Off')) {
    notice(qr/not in force where the M2MEngine Off counts .*line 7 of/, inside('Location /x', $sec) . $off,
        inside('Location /x', "${sec}M2MEngine On") . $off);
}
notice(qr/not in force where the M2MEngine Off counts .*line 5 of/, "$KEY\n" . inside('Location /x', 'M2MRequireClaim r') . inside('Files *.css', 'M2MEngine Off'),
    "$KEY\n" . inside('Location /x', "M2MRequireClaim r\nM2MEngine On") . inside('Files *.css', 'M2MEngine Off'));
notice(qr/M2MEngine is on without keys/, inside('Location /x', 'M2MEngine On'), inside('Location /x', 'M2MEngine Shadow'));
unlike(starts('an Off of the same kind', inside('Location /x', $sec) . inside('Location /x/open', 'M2MEngine Off')),
    qr/where the M2MEngine Off/, 'an Off of a narrower Location says what it means');
notice(qr/a <Location> that covers it says M2MEngine Off/, inside('Location /x', 'M2MEngine Off') . inside('Location /x/y', $sec),
    inside('Location /x', 'M2MEngine Off') . inside('Location /x/y', "${sec}M2MEngine On"));
notice(qr/it says what tokens must be like, and no keys are in force/, inside('Location /y', $sec) . inside('Location /x', $plain),
    inside('Location /y', $sec) . inside('Location /x', "$KEY\n$plain"));

SKIP: {
    skip 'only root starts children of another user', 9 if $>;
    my $p = M2MGW::Test->prepare(files => { %FILES, 'keys/k.json' => $FILES{'k.json'} }, loglevel => 'emerg');
    $p->write_config(inside('Location /x', 'M2MJwks file:keys/k.json'));
    for ([0600, 0755, 1], [0644, 0700, 1], [0644, 0755, 0]) {
        my ($file, $dir, $said) = @$_;
        chmod $file, "$p->{root}/keys/k.json";
        chmod $dir, "$p->{root}/keys";
        my $command = join ' ', $p->command('-t'), '2>&1';
        my $out = `$command`;
        $p->write_config(inside('Location /x', "M2MJwks file:k.json\nM2MRevocation file:keys/k.list"));
        spew("$p->{root}/keys/k.list", '');
        chmod $file, "$p->{root}/keys/k.list";
        my $lists = `$command`;
        is(scalar($lists =~ m{User cannot read a list of revoked tokens.*/keys/k\.list}) || 0, $said, sprintf 'a list of mode %o in %o', $file, $dir);
        $p->write_config(inside('Location /x', 'M2MJwks file:keys/k.json'));
        is(scalar($out =~ m{User cannot read a key file.*/keys/k\.json}) || 0, $said, sprintf 'User and a file %o in %o', $file, $dir);
        $p->write_config("M2MDataset set file:keys/k.list\n");
        is(scalar(`$command` =~ m{^M2-101: the server's User cannot read the data set set, \S+/keys/k\.list}m) || 0, $said, sprintf 'a data set of mode %o in %o', $file, $dir);
        $p->write_config(inside('Location /x', 'M2MJwks file:keys/k.json'));
    }
    $p->clean;
}
done_testing;
