#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# Strangers: a token server, a client library and two verifiers that are not ours, each
# against the half of us that it fits. M2MGW_INTEROP is a directory with the npm packages of
# t/interop/package-lock.json; ./run test makes it.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use IPC::Open2 qw(open2);
use JSON::PP ();
use M2MGW::Test;

my $dir = $ENV{M2MGW_INTEROP} // '';
plan skip_all => 'M2MGW_INTEROP names no directory with node_modules' if !-d "$dir/node_modules/jose";
plan skip_all => 'mod_m2m_issuer is not built' if !M2MGW::Test::built('mod_m2m_issuer');
M2MGW::Test::interop_programs($dir);

my $json = JSON::PP->new->utf8->canonical;
my $API = 'https://api.example.com';
my $SECRET = 'correct horse+battery/staple%';
my @ALGS = qw(RS256 RS512 PS256 PS384 ES256 ES384 ES512 EdDSA);
my %KEY = (RS => 'rsa', PS => 'rsa', ES256 => 'p256', ES384 => 'p384', ES512 => 'p521', EdDSA => 'ed25519');
sub key_of { $KEY{ $_[0] } // $KEY{ substr $_[0], 0, 2 } }

# one program of t/interop with a document on its standard input
sub stranger {
    my ($order, @command) = @_;
    my $pid = open2(my $out, my $in, @command);
    print {$in} $json->encode($order);
    close $in;
    local $/;
    my $text = <$out> // '';
    waitpid $pid, 0;
    return eval { $json->decode($text) } // do { diag("@command: $text"); {} };
}
sub node { my ($script, $order) = @_; return stranger($order, 'node', "$dir/$script") }

# --- the stranger's token server ---

my $provider = open2(my $from, my $to, 'node', "$dir/provider.mjs");
my $line = <$from> // die "oidc-provider did not start\n";
my $op = $json->decode($line);

sub provider_get {
    my ($path) = @_;
    my $c = M2MGW::Client->new(port => $op->{port});
    $c->send_bytes("GET $path HTTP/1.1\r\nHost: 127.0.0.1:$op->{port}\r\nConnection: close\r\n\r\n");
    return $c->response('GET')->body;
}

sub provider_token {
    my (%form) = @_;
    my $body = join '&', map { "$_=" . $form{$_} =~ s/([^A-Za-z0-9_.~-])/sprintf '%%%02X', ord $1/ger } sort keys %form;
    my $c = M2MGW::Client->new(port => $op->{port});
    $c->send_bytes("POST /token HTTP/1.1\r\nHost: 127.0.0.1:$op->{port}\r\nConnection: close\r\n"
        . "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: " . length($body) . "\r\n\r\n$body");
    my $r = $c->response('POST');
    return eval { $json->decode($r->body) } // {};
}
my %theirs = (grant_type => 'client_credentials', client_id => 'app_x',
              client_secret => 'interop-secret-of-app_x', scope => 'user:read:one', resource => $API);

# --- our two halves ---

my $vhosts = join '', map { my $alg = $_; my $l = lc $alg; <<"CONF" } @ALGS;
Listen 127.0.0.1:\@PORT:$l\@
<VirtualHost *:\@PORT:$l\@>
    M2MIssuerName http://127.0.0.1:\@PORT:$l\@/m2m
    M2MSigningKey \@ROOT\@/${\key_of($alg)}.pem kid=k-$l alg=$alg
    M2MGrant $API app_x user:read:one user:read:two
    M2MClientKeys app_k file:\@ROOT\@/app_k.json
    M2MGrant $API app_k user:read:one
    <Location /m2m/token>
        SetHandler m2m-token
        M2MClientProvider file
        AuthUserFile \@ROOT\@/clients
    </Location>
    <Location /m2m/jwks>
        SetHandler m2m-jwks
    </Location>
    <Location /.well-known/oauth-authorization-server/m2m>
        SetHandler m2m-metadata
    </Location>
</VirtualHost>
CONF

my %pem = map { $_ => 1 } values %KEY;
my $t = M2MGW::Test->prepare(issuer => 1, files => {
    'jwks.json' => provider_get('/jwks'),
    'app_k.json' => jwks_json(jwk('p256#2', kid => 'c1')),
    'clients' => 'app_x:$2y$05$eeHrCj2u4bGD1/90QtKbsuV9mk5T7n26cyhkm6.1ad29.KTdA5voC' . "\n",
    map { ("$_.pem" => key($_)->{text}) } keys %pem });
chmod 0600, "$t->{root}/$_.pem" for keys %pem;
$t->secret($SECRET, $theirs{client_secret});
my $policy = <<"CONF";
    M2MIssuer $op->{issuer}
    M2MTokenType at+jwt
    M2MRequireClaim scope user:read:one
    M2MClaim client_id header:X-Client
CONF
$t->begin($vhosts . <<"CONF");
<Location /file>
    M2MJwks file:\@ROOT\@/jwks.json
    M2MAudience $API
$policy    ProxyPass http://\@BACKEND\@/
</Location>
<Location /ec>
    M2MJwks file:\@ROOT\@/jwks.json
    M2MAudience https://ec.example.com
$policy    ProxyPass http://\@BACKEND\@/
</Location>
<Location /url>
    M2MJwks $op->{issuer}/jwks
    M2MAudience $API
$policy    ProxyPass http://\@BACKEND\@/
</Location>
CONF

# --- tokens of a stranger at our gateway ---

my $token = provider_token(%theirs)->{access_token} // '';
like($token, qr/\A[\w-]+\.[\w-]+\.[\w-]+\z/, 'oidc-provider gives a JWT');
my $r = $t->get('/file', token => $token);
passes($r, 'its token at our gateway, keys from a file');
is($r->sent('X-Client'), 'app_x', 'and its client_id at the backend');
M2MGW::Test::before_long(sub { # the first fetch is made in the background
    $r = $t->get('/url', token => $token);
    return $r->status != 503;
});
passes($r, 'its token, keys from its URL');
denies($t->get('/ec', token => $token), 401, 'audience_mismatch', 'its token elsewhere');
my $ec = provider_token(%theirs, resource => 'https://ec.example.com')->{access_token} // '';
passes($t->get('/ec', token => $ec), 'its ES256 token');
my $two = provider_token(%theirs, scope => 'user:read:two')->{access_token} // '';
denies($t->get('/file', token => $two), 403, 'insufficient_scope', 'its token of another scope');
my $bad = $token =~ s/\.([^.]{8})([^.]*)\z/'.' . reverse($1) . $2/er; # whole bytes, swapped
denies($t->get('/file', token => $bad), 401, 'signature_invalid', 'its token, spoilt');
$t->secret(map { /([^.]*)\z/ } $token, $ec, $two);

# --- a client library at our server ---

my $port = $t->port('rs256');
my $issuer = "http://127.0.0.1:$port/m2m";
my %order = (issuer => $issuer, client_id => 'app_x', secret => $SECRET, scope => "$API|user:read:one");
for my $method (qw(post basic)) {
    my $got = node('client.mjs', { %order, method => $method });
    is($got->{as}{token_endpoint}, "$issuer/token", "oauth4webapi discovers us ($method)");
    is($got->{result}{token_type}, 'bearer', "and gets a token by client_secret_$method")
        or diag($json->encode($got));
    is($got->{result}{scope}, "$API|user:read:one", 'with the scope it asked for');
}
my $pk = node('client.mjs', { %order, client_id => 'app_k', method => 'jwt', key => key('p256#2')->{text}, kid => 'c1' });
is($pk->{result}{token_type}, 'bearer', 'and by private_key_jwt') or diag($json->encode($pk));
my $wrong = node('client.mjs', { %order, method => 'post', secret => 'x' });
is_deeply([ @$wrong{qw(failed error status)} ], [ 'ResponseBodyError', 'invalid_client', 401 ],
          'it understands invalid_client by post') or diag($json->encode($wrong));
$wrong = node('client.mjs', { %order, method => 'basic', secret => 'x' });
is_deeply([ @$wrong{qw(failed status challenge)} ], [ 'WWWAuthenticateChallengeError', 401, 'basic' ],
          'and the challenge by Basic') or diag($json->encode($wrong));
$wrong = node('client.mjs', { %order, method => 'post', scope => "$API|admin" });
is_deeply([ @$wrong{qw(error status)} ], [ 'invalid_scope', 400 ], 'and invalid_scope') or diag($json->encode($wrong));

# --- our tokens before strangers ---

my @orders;
for my $alg (@ALGS) {
    my $p = $t->port(lc $alg);
    my $got = $t->post('/m2m/token', 'grant_type=client_credentials&client_id=app_x'
        . "&client_secret=correct%20horse%2Bbattery%2Fstaple%25&scope=$API%7C.all", port => $p,
        headers => [ 'Content-Type' => 'application/x-www-form-urlencoded' ]);
    my $token = eval { $json->decode($got->body)->{access_token} } // 'x.x.x';
    $t->secret($token =~ /([^.]*)\z/);
    push @orders, { jwks_uri => "http://127.0.0.1:$p/m2m/jwks", issuer => "http://127.0.0.1:$p/m2m",
                    audience => $API, token => $token, alg => $alg };
}
my %verifier = (jose => sub { node('verify.mjs', $_[0]) });
my $python = (grep { -x && !system("$_ -c 'import jwt, cryptography' 2>/dev/null") } '/usr/bin/python3')[0];
$verifier{'Python jwt'} = sub { stranger($_[0], $python, "$FindBin::Bin/interop/verify.py") } if $python;
ok($python, "Python's jwt is there");
for my $name (sort keys %verifier) {
    my $list = $verifier{$name}->(\@orders);
    for my $i (0 .. $#orders) {
        my ($o, $got) = ($orders[$i], ref $list eq 'ARRAY' ? $list->[$i] : {});
        my ($h, $p) = map { unb64($_) } split /\./, $o->{token};
        is_deeply($got, { header => $json->decode($h), claims => $json->decode($p) },
                  "$name verifies our $o->{alg}, and reads what we wrote") or diag($json->encode($got));
    }
    my %o = %{ $orders[0] };
    my ($head, $body, $sig) = split /\./, $o{token};
    my @no = ({ %o, audience => 'https://else' }, { %o, issuer => 'http://else' },
              { %o, token => "$head.$body." . reverse $sig }, { %o, jwks_uri => $orders[4]{jwks_uri} });
    is_deeply([ map { ref $_ && exists $_->{failed} ? 1 : 0 } @{ $verifier{$name}->(\@no) } ], [ 1, 1, 1, 1 ],
              "$name refuses our token for others, of others, spoilt, by other keys");
}
close $to;
waitpid $provider, 0;
$t->expect_log(qr{/url: 503 keys_unavailable}); # until the first fetch is done
$t->finish;
