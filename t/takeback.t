#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# m2m-revoke (RFC 7009) and m2m-introspect (RFC 7662), and the gateway that reads the same list:
# who may ask and take back what, what a stranger is told, and what becomes of the list.
use strict;
use warnings;
use Fcntl qw(:flock);
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP ();
use M2MGW::Test;
use MIME::Base64 ();
use Time::HiRes qw(sleep time);

plan skip_all => 'mod_m2m_issuer is not built' if !M2MGW::Test::built('mod_m2m_issuer');

my $API = 'https://api.example.com';
my $HASH = '$2y$05$eeHrCj2u4bGD1/90QtKbsuV9mk5T7n26cyhkm6.1ad29.KTdA5voC';
my $SECRET = 'correct horse+battery/staple%';
my $json = JSON::PP->new->utf8->canonical;

sub soon { my ($name, $test) = @_; my $end = time + 60; while (time < $end) { return pass($name) if $test->(); sleep 0.05 } return fail($name) }
sub form { my %o = @_; join '&', map { my $v = $o{$_}; $v =~ s/([^A-Za-z0-9_.~-])/sprintf '%%%02X', ord $1/ge; "$_=$v" } sort keys %o }

my $t = M2MGW::Test->prepare(issuer => 1, files => { 'rsa.pem' => key('rsa')->{text}, 'pub.pem' => pem('rsa'),
    clients => join('', map { "$_:$HASH\n" } qw(app_a app_b app_ask app_other)) });
my $root = $t->{root};
chmod 0600, "$root/rsa.pem";
mkdir "$root/lists";
chown((getpwnam M2MGW::Test::user())[2, 3], "$root/lists") if !$>;
$t->secret($SECRET);
my $CONF = <<'CONF';
M2MIssuerName http://127.0.0.1:@PORT@
M2MSigningKey @ROOT@/rsa.pem kid=main
M2MIssuerEndpoint token http://127.0.0.1:@PORT@/token
M2MGrant https://api.example.com app_a read write
M2MGrant https://api.example.com app_b read
M2MGrant https://api.example.com app_ask .introspect
M2MGrant https://other.example.com app_a read
M2MGrant https://other.example.com app_other .introspect read
<Location /token>
    SetHandler m2m-token
    M2MClientProvider file
    AuthUserFile @ROOT@/clients
</Location>
<Location /revoke>
    SetHandler m2m-revoke
    M2MClientProvider file
    AuthUserFile @ROOT@/clients
    M2MRevocation file:@ROOT@/lists/revoked
</Location>
<Location /introspect>
    SetHandler m2m-introspect
    M2MClientProvider file
    AuthUserFile @ROOT@/clients
    M2MRevocation file:@ROOT@/lists/revoked
</Location>
<Location /jwks>
    SetHandler m2m-jwks
</Location>
<Location /.well-known>
    SetHandler m2m-metadata
</Location>
<Location /api>
    M2MJwk pem:@ROOT@/pub.pem kid=main issuer=http://127.0.0.1:@PORT@
    M2MRevocation file:@ROOT@/lists/revoked
    ProxyPass http://@BACKEND@/api
</Location>
CONF
$t->begin($CONF);
my $list = "$root/lists/revoked";
soon('a list that is not there yet is made', sub { -f $list }); # the port listens before that
ok(-z $list, 'and empty');
is((stat $list)[2] & 07777, 0640, 'for nobody else to write');

sub call {
    my ($path, $client, %form) = @_;
    my $secret = delete $form{secret} // $SECRET;
    my $login = MIME::Base64::encode_base64($client . ':' . ($secret =~ s/([^A-Za-z0-9_.~-])/sprintf '%%%02X', ord $1/ger), '');
    return $t->post($path, form(%form), headers => [ [ Authorization => "Basic $login" ], [ 'Content-Type' => 'application/x-www-form-urlencoded' ] ]);
}
sub token {
    my ($client, $scope) = @_;
    my $r = call('/token', $client, grant_type => 'client_credentials', scope => $scope // "$API|read");
    my $token = ($json->decode($r->body) // {})->{access_token};
    $t->secret($token) if $token;
    return $token // die 'no token: ' . $r->body;
}
sub answers {
    my ($r, $status, $re, $name) = @_;
    ok($r->status == $status && $r->body =~ $re, $name) or diag($r->status . ' ' . $r->body);
    is($r->header('Cache-Control'), 'no-store', "$name: no-store");
}
my $INACTIVE = qr/\A\{"active":false\}\s*\z/;
my $ACTIVE = qr/"active":true/;

my $metadata = $json->decode($t->get('/.well-known/oauth-authorization-server')->body);
like($metadata->{revocation_endpoint} // '', qr{/revoke$}, 'metadata names the revocation endpoint');
like($metadata->{introspection_endpoint} // '', qr{/introspect$}, 'and the introspection endpoint');

# the token with the first character of its signature changed: a whole one, which says something else
sub spoilt { my ($token) = @_; return $token =~ s/\.(.)([^.]*)\z/'.' . ($1 eq 'A' ? 'B' : 'A') . $2/er }

# --- introspection: who may ask about what ---

my $a = token('app_a');
my $other = token('app_a', 'https://other.example.com|read');
passes($t->get('/api/x', token => $a), 'a token');
my $r = call('/introspect', 'app_ask', token => $a);
answers($r, 200, $ACTIVE, 'a client of that audience');
my $told = $json->decode($r->body);
is_deeply([ sort keys %$told ], [ sort qw(active iss aud sub client_id scope exp iat nbf jti token_type) ], 'is told the members of the contract');
is("$told->{client_id} $told->{aud} $told->{scope} $told->{token_type}", "app_a $API read Bearer", 'with their values');
answers(call('/introspect', 'app_ask', token => $other), 200, $INACTIVE, 'a token of another audience');
answers(call('/introspect', 'app_other', token => $other), 200, $ACTIVE, 'which its own client sees');
answers(call('/introspect', 'app_ask', token => $_), 200, $INACTIVE, 'what is not a token of ours') for 'x', mint('oct', {}), spoilt($a);
answers(call('/introspect', 'app_a', token => $a), 403, qr/error/, 'a client without .introspect');
answers(call('/introspect', 'app_ask', token => $a, secret => 'wrong'), 401, qr/invalid_client/, 'a wrong secret');
answers(call('/introspect', 'nobody', token => $a), 401, qr/invalid_client/, 'a stranger');
answers(call('/introspect', 'app_ask'), 400, qr/invalid_request/, 'no token');
is($t->get('/introspect')->status, 405, 'GET');
answers(call('/token', 'app_ask', grant_type => 'client_credentials', scope => "$API|.introspect"), 400, qr/invalid_scope/, '.introspect is in no token');

# --- revocation ---

answers(call('/revoke', 'app_b', token => $a), 400, qr/invalid_request/, "another client's token");
is(-s $list, 0, 'nothing is revoked');
passes($t->get('/api/x', token => $a), 'it counts');
for my $case ([ 'x', 'no token at all' ], [ mint('oct', {}), 'a token of somebody else' ]) {
    my $r = call('/revoke', 'app_a', token => $case->[0]);
    is($r->status . ' ' . (-s $list), '200 0', $case->[1]);
}
is(call('/revoke', 'app_a', token => $a, secret => 'wrong')->status, 401, 'a wrong secret');
is($t->get('/revoke')->status, 405, 'GET');
is(call('/revoke', 'app_a', token => $a, token_type_hint => 'refresh_token')->status, 200, 'its own token, with a hint that is wrong');
like(slurp($list), qr/\Ajti \S+ \S+ \d+\n\z/, 'is a line of the list');
$t->everywhere('the gateway refuses it', sub { $t->get('/api/x', token => $a)->status == 401 });
$t->everywhere('it is inactive', sub { call('/introspect', 'app_ask', token => $a)->body =~ $INACTIVE });
denies($t->get('/api/x', token => $a), 401, 'revoked', 'in every child') for 1 .. 4;
answers(call('/introspect', 'app_ask', token => $a), 200, $INACTIVE, 'and for whoever asks');
my $size = -s $list;
is(call('/revoke', 'app_a', token => $a)->status, 200, 'again');
is(-s $list, $size, 'is not written twice');
passes($t->get('/api/x', token => token('app_a')), 'another token of the client counts');

# --- what becomes of the list ---

$t->expect_log(qr/M2-725: cannot revoke/, qr{/revoked: line \d+}, qr{/revoked: .*No such file}, qr/M2MRevocation: /);
my $b = token('app_b');
open my $lock, '+<', $list or die;
flock $lock, LOCK_EX;
my $begin = time;
$r = call('/revoke', 'app_b', token => $b);
ok($r->status == 503 && $r->header('Retry-After'), 'a list that somebody keeps locked') or diag($r->status);
cmp_ok(time - $begin, '<', 30, 'is not waited for long');
close $lock;
my $good = slurp($list);
spew($list, "${good}rubbish\n");
soon('a broken list is told', sub { $t->error_log =~ m{/revoked: line \d+} });
is(call('/revoke', 'app_b', token => $b)->status, 503, 'nothing is added to a broken list');
passes($t->get('/api/x', token => $b), 'and it counts still');
answers(call('/introspect', 'app_ask', token => $a), 200, $INACTIVE, 'what was revoked stays so');
unlink $list;
ok($t->reload, 'a restart while the list is gone');
ok(!-e $list, 'makes no empty one');
denies($t->get('/api/x', token => $a), 401, 'revoked', 'and takes nothing back');
is(call('/revoke', 'app_b', token => $b)->status, 503, 'nothing can be revoked meanwhile');
my $expired = join '', map { sprintf "jti http://x/ %080d 1000000000\n", $_ } 1 .. 800;
spew("$root/new", "# kept\n$good$expired");
chown((stat "$root/lists")[4, 5], "$root/new");
chmod 0640, "$root/new";
rename "$root/new", $list;
soon('it is back', sub { call('/revoke', 'app_b', token => $b)->status == 200 });
like(slurp($list), qr/\A# kept\n\Q$good\Ejti \S+ \S+ \d+\n\z/, 'what expired long ago has left, all else is there');
is((stat $list)[2] & 07777, 0640, 'with its mode');
is((stat $list)[4], (stat "$root/lists")[4], 'and its owner');
$t->everywhere('what was added then counts', sub { $t->get('/api/x', token => $b)->status == 401 });

# --- configuration ---

for my $case (
    [ 'no list', sub { $_[0] =~ s/    M2MRevocation file:\S+\n// }, qr/<Location .*> SetHandler m2m-revoke needs one M2MRevocation|SetHandler m2m-revoke needs one M2MRevocation file:/ ],
    [ 'two lists', sub { $_[0] =~ s/(    M2MRevocation file:\S+)\n/$1\n${1}2\n/ }, qr/needs one M2MRevocation file:/ ],
    [ 'a list at a URL', sub { $_[0] =~ s/M2MRevocation file:\S+/M2MRevocation https:\/\/x.example\/l/ }, qr/needs one M2MRevocation file:/ ],
    [ 'a list of another section that nobody writes', sub { $_[0] =~ s/(<Location \/api>\n.*\n    M2MRevocation file:\S+)/${1}3/ }, qr/revoked3: No such file/ ],
) {
    my ($name, $change, $re) = @$case;
    my $conf = $CONF =~ s{\@ROOT\@/lists}{\@ROOT\@}gr;
    $change->($conf);
    my $try = M2MGW::Test->prepare(issuer => 1, files => { 'rsa.pem' => key('rsa')->{text}, 'pub.pem' => pem('rsa'), clients => "app_a:$HASH\n" });
    chmod 0600, "$try->{root}/rsa.pem";
    $try->write_config($conf);
    my $command = join ' ', $try->command('-t'), '2>&1';
    my $out = `timeout 60 $command` . $try->error_log;
    my $status = $? >> 8;
    $try->clean;
    ok($status == 1 && $out =~ $re, "httpd -t: $name") or diag("$status $out");
}
$t->finish;
