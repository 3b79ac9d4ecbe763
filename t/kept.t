#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# A running server that is told to restart while one of its files is half written, empty, gone,
# or anybody's: it goes on with the newest copy that any of its processes believed, although the
# state directory cannot be written, and says so in the log and on the page. httpd -t and a start
# refuse the same file, and a file of another kind ends the server as ever. (What a key file that
# is watched goes through is in files.t.)
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP ();
use M2MGW::Test;
use Time::HiRes qw(sleep time);

my $HAS_ISSUER = M2MGW::Test::built('mod_m2m_issuer');
my $API = 'https://api.example.com';
my $CLIENTS = "app_x:\$2y\$05\$eeHrCj2u4bGD1/90QtKbsuV9mk5T7n26cyhkm6.1ad29.KTdA5voC\n";
my $SECRET = 'correct horse+battery/staple%';
my $JWT = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
my $RULES = "rules:\n- {name: r, condition: \"1 = 1\", ifTrue: ALLOW}\n";
my $json = JSON::PP->new->utf8;

sub set { return jwks_json(map { jwk("p256#$_", kid => $_) } @_) }
sub grants { return join '', map { "$API app_x $_\n" } @_ }
sub token { my ($key, %h) = @_; return mint($key, { sub => 'a' }, { alg => $key =~ /^p/ ? 'ES256' : 'RS256', %h }) }

my $conf = <<'CONF';
M2MStateDir @ROOT@/full
M2MDPoPNonceKey @ROOT@/nonce
ProxyPass / http://@BACKEND@/
<Location /file>
    M2MJwks file:@ROOT@/k.json
    ProxyPass http://@BACKEND@/
</Location>
<Location /pem>
    M2MJwk pem:@ROOT@/k.pem
    ProxyPass http://@BACKEND@/
</Location>
<Location /dpop>
    M2MJwks file:@ROOT@/k.json
    M2MDPoP nonce=On
    ProxyPass http://@BACKEND@/
</Location>
<Location /rules>
    M2MPlugin accessControl @ROOT@/r.yaml
    ProxyPass http://@BACKEND@/
</Location>
<Location /status>
    SetHandler m2m-status
    ProxyPass !
</Location>
CONF
my $ISSUER = <<'CONF';
M2MIssuerName http://127.0.0.1:@PORT@/idp
M2MSigningKey @ROOT@/sign.pem kid=main
M2MGrantFile @ROOT@/grants
M2MClientKeys app_k file:@ROOT@/client.json
<Location /idp/token>
    SetHandler m2m-token
    M2MClientProvider file
    AuthUserFile @ROOT@/clients
    ProxyPass !
</Location>
<Location /idp/jwks>
    SetHandler m2m-jwks
    ProxyPass !
</Location>
CONF
my $t = M2MGW::Test->prepare(issuer => $HAS_ISSUER, files => {
    'k.json' => set('A'), 'k.pem' => pem('rsa'), nonce => 'n' x 40, 'r.yaml' => $RULES, 'sign.pem' => key('rsa')->{text},
    grants => grants('one', 'two'), clients => $CLIENTS, 'client.json' => jwks_json(jwk('p256#c', kid => 'c')) });
my $root = $t->{root};
chmod 0600, "$root/sign.pem", "$root/nonce";
mkdir "$root/full", 0555;
$t->begin($conf . ($HAS_ISSUER ? $ISSUER : ''));
$t->secret($SECRET);
$t->expect_log(qr/stay in use|stays in use|M2-706|M2-728|what needs it|what needs its keys?|a random key|keys_unavailable|M2-501|M2-71[0-2]|M2-705|AH00526: Syntax error|M2MPlugin: /);

sub put { my ($name, $text, $mode) = @_; spew("$root/$name.new", $text); chmod $mode // 0644, "$root/$name.new"; rename "$root/$name.new", "$root/$name" or die $! }
sub enc { my %o = @_; return join '&', map { my $k = $_; map { "$k=" . s/([^A-Za-z0-9_.~-])/sprintf '%%%02X', ord $1/ger } $o{$k} } sort keys %o }
sub ask {
    my (%o) = @_;
    my $r = $t->post('/idp/token', enc(grant_type => 'client_credentials', scope => "$API|one", %o),
        headers => [ 'Content-Type' => 'application/x-www-form-urlencoded' ]);
    $r->{json} = eval { $json->decode($r->body) } // {};
    return $r;
}
my %secret = (client_id => 'app_x', client_secret => $SECRET);
my $n = 0;
sub assertion { my ($key) = @_; return (client_assertion_type => $JWT, client_assertion => mint($key, { iss => 'app_k', sub => 'app_k',
    aud => 'http://127.0.0.1:' . $t->port . '/idp', exp => time + 300, jti => 'k' . ++$n }, { kid => substr $key, 5 })) }

# Until it is so twelve times in a row: in every process.
sub soon {
    my ($is, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $row = 0;
    for (my $end = time + 60; $row < 12 && time < $end; ) {
        $row = $is->() ? $row + 1 : 0;
        sleep 0.05 if !$row;
    }
    ok($row == 12, $name);
}
sub status_of { my ($url, $token) = @_; return $t->get($url, token => $token)->status }
sub sources { return { map { $_->{source} => $_->{state} } @{ $json->decode($t->get('/status?format=json')->body)->{sources} } } }
sub checked { my $c = join ' ', $t->command('-t'), '2>&1'; my $out = `$c`; return $? >> 8 ? 'refused' : 'accepted' }

# name, file, what is good there, whether it is that, how the page names it
my @kinds = (
    [ 'M2MJwks file:', 'k.json', set('B'), sub { status_of('/file', token('p256#B', kid => 'B')) == 200
        && status_of('/file', token('p256#A', kid => 'A')) == 401 }, 1 ],
    [ 'M2MJwk pem:', 'k.pem', pem('rsa'), sub { status_of('/pem', token('rsa')) == 200 && status_of('/pem', token('rsa#2')) == 401 }, 1 ],
    [ 'M2MDPoPNonceKey', 'nonce', 'n' x 40, sub { 1 }, 1 ],
);
push @kinds,
    [ 'M2MSigningKey', 'sign.pem', key('rsa')->{text}, sub { my $r = ask(%secret); $r->status == 200
        && status_of('/pem', $r->{json}{access_token}) == 200 }, 1 ],
    [ 'M2MGrantFile', 'grants', grants('one'), sub { ask(%secret)->status == 200 && ask(%secret, scope => "$API|two")->status == 400 }, 1 ],
    [ 'M2MClientKeys', 'client.json', jwks_json(jwk('p256#d', kid => 'd')),
      sub { ask(assertion('p256#d'))->status == 400 && ask(assertion('p256#c'))->status == 401 }, 1 ] if $HAS_ISSUER;

# what the processes believe by now is newer than what the parent read at the start
put($_->[1], $_->[2], $_->[1] =~ /sign|nonce/ ? 0600 : 0644) for @kinds;
soon($_->[3], "$_->[0]: a good file counts") for @kinds;
my $pid = $t->{pid};
for my $kind (@kinds) {
    my ($name, $file, $good, $is, $on_page) = @$kind;
    my $mode = (stat "$root/$file")[2] & 07777;
    my @bad = ([ 'the first half', substr $good, 0, length($good) / 2 ], [ 'nothing', '' ], [ 'none', undef ], [ 'one of mode 0666', $good, 0666 ]);
    @bad = grep { $_->[0] ne 'nothing' } @bad if $file eq 'grants';              # an empty one grants nothing
    $bad[0][1] = "$API app_x |\n" if $file eq 'grants'; # and half of one may be a good one
    $bad[0][1] = 'short' if $file eq 'nonce';
    for my $bad (@bad) {
        my $signal = $bad->[0] =~ /half|none/ ? 'USR1' : 'HUP';
        if (defined $bad->[1]) { spew("$root/$file", $bad->[1]); chmod $bad->[2] // $mode, "$root/$file" }
        else { unlink "$root/$file" }
        ok($t->reload($signal), "$name: $signal, and there is $bad->[0]");
        ok($is->(), "$name: what was believed last stays in force");
        is(checked(), 'refused', "$name: httpd -t refuses");
        is(sources()->{"$root/$file"}, 'broken', "$name: the status page says so") if $on_page;
        like($t->error_log, qr/\Q$root\/$file\E.*(?:stays? in (?:use|force))/, "$name: the log says so");
        put($file, $good, $mode);
        soon($is, "$name: good again");
    }
    is(checked(), 'accepted', "$name: httpd -t accepts");
    # what only a restart reads is told of until the next one
    ok($t->reload, "$name: a restart") if $file =~ /pem|nonce/;
    soon(sub { (sources()->{"$root/$file"} // 'ok') eq 'ok' }, "$name: and the page is well");
}
ok(kill(0, $pid), 'it is the same server');

# --- new names, of files that were never good ---

if ($HAS_ISSUER) {
    my $new = ($conf . $ISSUER) =~ s/k\.pem/new.pem/r =~ s/sign\.pem/new.sign/r;
    $t->write_config($new);
    ok($t->reload, 'a restart with key files that were never there');
    denies($t->get('/pem', token => token('rsa')), 503, 'keys_unavailable', 'pem: what needs it');
    is(ask(%secret)->status, 503, 'M2MSigningKey: what needs it');
    is(status_of('/file', token('p256#B', kid => 'B')), 200, 'the rest goes on');
    for my $case ([ 'grants', sub { ask(%secret)->status } ], [ 'client.json', sub { ask(assertion('p256#d'))->status } ]) {
        my ($file, $status) = @$case;
        $t->write_config(($conf . $ISSUER) =~ s/\Q$file\E/never.$file/r);
        ok($t->reload, "a restart with $file under a name that is not there");
        is($status->(), 503, "$file: what needs it");
        put("never.$file", slurp("$root/$file"));
        soon(sub { $status->() != 503 }, "$file: until it is there");
    }
    $t->write_config($conf . $ISSUER);
    ok($t->reload, 'the names of before');
}
ok(kill(0, $pid), 'it is the same server');

# --- files of other kinds ---

spew("$root/r.yaml", "rules:\n- {name: r, cond");
kill 'USR1', $t->{pid};
for (1 .. 600) { last if waitpid($t->{pid}, POSIX::WNOHANG()) == $t->{pid}; sleep 0.1 }
ok(!kill(0, $pid), 'a script that is half written ends the server as ever') and $t->{pid} = 0;
$t->finish;
