#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# m2mctl token and m2mctl dpop as an operator uses them: a token that is bound to a key or to a
# certificate from our own M2M server, and a proof for each request, at our own gateway.
use strict;
use warnings;
use Digest::SHA qw(sha256);
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Temp ();
use IPC::Open3 qw(open3);
use M2MGW::Test;

plan skip_all => 'mod_m2m_issuer or m2mctl is not built' if !M2MGW::Test::built('mod_m2m_issuer') || !M2MGW::Test::m2mctl();
plan skip_all => 'no mod_ssl' if !-f M2MGW::Test::modules_dir() . '/mod_ssl.so';

my $json = JSON::PP->new->utf8->canonical;
my $API = 'https://api.example.com';
my $SECRET = 'correct horse+battery/staple%';

my $t = M2MGW::Test->prepare(issuer => 1, modules => ['ssl'], files => {
    'rsa.pem' => key('rsa')->{text}, 'jwks.json' => jwks_json(jwk('rsa', kid => 'main')), secret => "$SECRET\n",
    'p256.pem' => key('p256#ctl')->{text}, 'ed.pem' => key('ed25519#ctl')->{text}, 'rsakey.pem' => key('rsa#ctl')->{text},
    clients => "app_s:\$2y\$05\$eeHrCj2u4bGD1/90QtKbsuV9mk5T7n26cyhkm6.1ad29.KTdA5voC\n" });
my $root = $t->{root};
chmod 0600, glob "$root/*.pem";
$t->secret($SECRET);

sub openssl { system("cd $root && openssl @_ 2>>logs/openssl") == 0 or die "openssl @_" }
my @EC = qw(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes);
openssl('req -x509', @EC, qw(-days 2 -subj /CN=ca -keyout ca.key -out ca.crt));
for my $name (qw(localhost one two)) {
    spew("$root/$name.ext", "subjectAltName=DNS:$name\n");
    openssl('req', @EC, '-subj', "/CN=$name", '-keyout', "$name.key", '-out', "$name.csr");
    openssl('x509 -req -days 2 -CAcreateserial -in', "$name.csr", '-extfile', "$name.ext", '-out', "$name.crt -CA ca.crt -CAkey ca.key");
}
chmod 0600, glob "$root/*.key";

$t->begin(<<"CONF");
M2MIssuerName http://127.0.0.1:\@PORT\@/idp
M2MSigningKey \@ROOT\@/rsa.pem kid=main
M2MGrant $API app_s read
M2MGrant $API app_c read
<Location /idp/token>
    SetHandler m2m-token
    M2MClientProvider file
    AuthUserFile \@ROOT\@/clients
</Location>
<Location /idp/jwks>
    SetHandler m2m-jwks
</Location>
<Location /.well-known>
    SetHandler m2m-metadata
</Location>
<Location /api>
    M2MJwks file:\@ROOT\@/jwks.json
    M2MIssuer http://127.0.0.1:\@PORT\@/idp
    M2MAudience $API
    M2MPublicURL https://api.example.com/v1
    M2MSenderConstraint DPoP
    ProxyPass http://\@BACKEND\@/api
</Location>
SSLSessionCache none
Listen 127.0.0.1:\@PORT:tls\@
<VirtualHost 127.0.0.1:\@PORT:tls\@>
    ServerName localhost:\@PORT:tls\@
    SSLEngine On
    SSLCertificateFile \@ROOT\@/localhost.crt
    SSLCertificateKeyFile \@ROOT\@/localhost.key
    SSLCACertificateFile \@ROOT\@/ca.crt
    SSLVerifyClient optional
    M2MIssuerName https://localhost:\@PORT:tls\@/idp
    M2MSigningKey \@ROOT\@/rsa.pem kid=main
    M2MClientCert app_c san-dns=one
    M2MGrant $API app_c read
    M2MGrant $API app_s read
    <Location /mtls>
        M2MJwks file:\@ROOT\@/jwks.json
        M2MIssuer https://localhost:\@PORT:tls\@/idp
        M2MAudience $API
        M2MSenderConstraint mTLS
        ProxyPass http://\@BACKEND\@/mtls
    </Location>
</VirtualHost>
CONF
$t->expect_log(qr/AH01873|AH01906|AH01909|AH02276|AH02008|AH02039|AH10158/);

sub m2mctl {
    my (@args) = @_;
    my $err = File::Temp->new;
    my $pid = open3(my $in, my $out, '>&' . fileno $err, M2MGW::Test::m2mctl(), @args);
    close $in;
    local $/;
    my $text = <$out> // '';
    waitpid $pid, 0;
    my $status = $? >> 8;
    return { status => $status, out => $text, err => slurp($err->filename), json => scalar eval { $json->decode($text) } };
}
sub claims { return eval { $json->decode(unb64((split /\./, $_[0])[1])) } // {} }
sub kept { my ($text) = @_; $t->secret($text =~ /\.([\w-]+)\s*\z/); return $text }

my @plain = ('--issuer', 'http://127.0.0.1:' . $t->port . '/idp', qw(--client app_s --secret-file), "$root/secret", '--scope', "$API|read");
my @tls = ('--issuer', 'https://localhost:' . $t->port('tls') . '/idp', qw(--client app_c --ca), "$root/ca.crt", '--scope', "$API|read");
my $url = 'https://api.example.com/v1/api/orders';

# --- a key ---

for my $name (qw(p256 ed rsakey)) {
    my $r = m2mctl('token', @plain, '--dpop-key', "$root/$name.pem");
    is($r->{status}, 0, "a token that is bound to $name") or diag($r->{err});
    my $token = kept($r->{out});
    spew("$root/token", $token);
    my $made = m2mctl('dpop', '--json', '--key', "$root/$name.pem", '--url', "$url?q=1#x", '--token-file', "$root/token");
    is($made->{status}, 0, 'a proof') or diag($made->{err});
    is(claims($token)->{cnf}{jkt}, $made->{json}{jkt}, 'the key of the token is that of the proof');
    my $proof = kept($made->{json}{proof} // 'x.x.x');
    is(claims($proof)->{htu}, $url, 'htu has neither query nor fragment');
    is(claims($proof)->{ath}, b64(sha256($token)), 'ath is the hash of the token');
    my $ask = sub { $t->get('/api/orders?q=1', headers => [ Authorization => "DPoP $token", DPoP => $_[0] ]) };
    passes($ask->($proof), 'both at the gateway');
    denies($ask->($proof), 401, 'proof_replayed', 'once');
    my $other = sub { kept(m2mctl('dpop', '--key', "$root/$name.pem", '--token-file', "$root/token", '--url', $url, @_)->{out}) };
    passes($ask->($other->()), 'a new proof is another');
    denies($ask->($other->('--method', 'POST')), 401, 'proof_invalid', '--method');
    denies($ask->($other->('--iat-in', '-500')), 401, 'proof_invalid', '--iat-in');
    denies($ask->(kept(m2mctl('dpop', '--key', "$root/$name.pem", '--url', $url)->{out})), 401, 'proof_invalid', 'without the token');
    denies($t->get('/api/orders', token => $token), 401, 'proof_missing', 'the token as Bearer');
}
is(claims(m2mctl('dpop', '--key', "$root/p256.pem", '--url', $url, '--nonce', 'n1', '--jti', 'j1', '--now', 1700000000)->{out})->{$_->[0]}, $_->[1], "a proof: $_->[0]")
    for [ nonce => 'n1' ], [ jti => 'j1' ], [ iat => 1700000000 ], [ htm => 'GET' ];
my $proof = m2mctl('dpop', '--key', "$root/rsakey.pem", '--alg', 'PS256', '--url', $url)->{out};
is($json->decode(unb64((split /\./, $proof)[0]))->{alg}, 'PS256', '--alg');
is(join(' ', sort keys %{ $json->decode(unb64((split /\./, $proof)[0]))->{jwk} }), 'e kty n', 'its jwk says which key it is, and nothing else');

# --- verify and explain tell each check ---

{
    my $token = kept(m2mctl('token', @plain, '--dpop-key', "$root/p256.pem")->{out});
    spew("$root/token", $token);
    my @policy = ('--jwks', "$root/jwks.json", '--audience', $API, '--token-file', "$root/token");
    my $prove = sub { spew("$root/proof", kept(m2mctl('dpop', '--key', "$root/$_[0].pem", '--token-file', "$root/token", '--url', $_[1], @_[2 .. $#_])->{out})) };
    my $try = sub { my ($verb, @o) = @_; return m2mctl($verb, @policy, '--json', @o) };
    my @with = ('--proof', "$root/proof", '--url', $url);
    $prove->('p256', $url);
    for my $verb (qw(verify explain)) {
        my $r = $try->($verb, @with);
        is($r->{status}, 0, "$verb: a token and its proof") or diag($r->{out}, $r->{err});
        is($try->($verb, '--proof', "$root/proof", '--url', '/api/orders', '--public-url', 'https://api.example.com/v1')->{status}, 0, "$verb: below --public-url");
        is($try->($verb, '--sender-constraint', 'DPoP')->{json}{reason}, 'proof_missing', "$verb: no proof");
        is($try->($verb, @with, '--method', 'POST')->{json}{reason}, 'proof_invalid', "$verb: a proof for another method");
        is($try->($verb, '--proof', "$root/proof", '--url', "$url/x")->{json}{reason}, 'proof_invalid', "$verb: for another URL");
        is($try->($verb, @with, '--now', time + 300, '--dpop-window', 400)->{json}{reason}, 'ok', "$verb: a wider window");
        is($try->($verb, @with, '--now', time + 300)->{json}{reason}, 'proof_invalid', "$verb: the default one");
        is($try->($verb, '--cert', "$root/one.crt", '--sender-constraint', 'mTLS')->{json}{reason}, 'proof_missing', "$verb: mTLS wants another binding");
        is(m2mctl($verb, @policy, '--proof', "$root/proof")->{status}, 2, "$verb: a proof needs a URL");
        is(m2mctl($verb, @policy, '--sender-constraint', 'Maybe')->{status}, 2, "$verb: another mode");
    }
    my $r = $try->('verify', @with);
    is(scalar(grep { $_->{ok} } @{ $r->{json}{proof} // [] }), 13, 'verify: every check is told');
    $prove->('ed', $url);
    $r = $try->('verify', @with);
    is($r->{json}{reason}, 'proof_invalid', 'verify: another key');
    is_deeply([ map { $_->{ok} ? 1 : 0 } @{ $r->{json}{proof} } ], [ 1, 1, 1, 1, 1, 0 ], '... fails at the binding');
    $r = $try->('explain', @with);
    is(scalar(grep { $_->{step} eq 'proof' && $_->{ok} } @{ $r->{json}{steps} }), 5, 'explain: checks that passed');
    is((grep { $_->{step} eq 'proof' && !$_->{ok} } @{ $r->{json}{steps} })[0]{text} // '', 'the proof is refused: its key is not the one that the token is bound to', '... and the one that failed');
    my $sent = slurp("$root/proof");
    unlike($r->{out}, qr/\Q$sent\E|\Q$token\E/, '... without token and proof');
    $prove->('p256', $url);
    $r = m2mctl('explain', '--jwks', "$root/jwks.json", '--audience', $API, '--json', '--url', $url, '--header', "Authorization: DPoP $token", '--header', 'DPoP: ' . slurp("$root/proof"));
    is($r->{status}, 0, 'explain: both from the request') or diag($r->{out});
}

# --- a certificate ---

my $r = m2mctl('token', @tls, '--cert', "$root/one.crt", '--key', "$root/one.key");
is($r->{status}, 0, 'a token by certificate') or diag($r->{err});
my $token = kept($r->{out});
ok(claims($token)->{cnf}{'x5t#S256'}, 'is bound to it');
sub curl {
    my (@args) = @_;
    open my $out, '-|', 'curl', '-s', '--cacert', "$root/ca.crt", '-o', '/dev/null', '-w', '%{http_code}', @args, 'https://localhost:' . $t->port('tls') . '/mtls/x' or die $!;
    local $/;
    return scalar <$out>;
}
{
    spew("$root/token", $token);
    my @o = ('--jwks', "$root/jwks.json", '--json', '--token-file', "$root/token");
    for my $verb (qw(verify explain)) {
        is(m2mctl($verb, @o, '--cert', "$root/one.crt")->{json}{reason}, 'ok', "$verb: a token and its certificate");
        is(m2mctl($verb, @o, '--cert', "$root/two.crt")->{json}{reason}, 'cert_mismatch', "$verb: another");
    }
    is(m2mctl('verify', @o)->{json}{reason}, 'cert_mismatch', 'verify: none');
}
SKIP: {
    skip('no curl', 3) if !-x '/usr/bin/curl';
    spew("$root/h", "Authorization: Bearer $token\n");
    is(curl('-H', "\@$root/h", '--cert', "$root/one.crt", '--key', "$root/one.key"), 200, 'the gateway takes it with the certificate');
    is(curl('-H', "\@$root/h", '--cert', "$root/two.crt", '--key', "$root/two.key"), 401, 'not with another');
    is(curl('-H', "\@$root/h"), 401, 'and not without');
}
$r = m2mctl('token', @tls, '--cert', "$root/two.crt", '--key', "$root/two.key");
is($r->{status}, 1, 'the certificate of another is refused');
like($r->{err}, qr/invalid_client/, '... as the client');
$r = m2mctl('token', @tls, '--cert', "$root/one.crt", '--key', "$root/one.key", '--dpop-key', "$root/p256.pem", '--json');
is_deeply([ sort keys %{ claims(kept($r->{json}{access_token} // 'x.x.x'))->{cnf} // {} } ], [ 'jkt', 'x5t#S256' ], 'a certificate and a key: both');

# --- what is refused ---

for my $c ([ [ 'dpop', '--url', $url ], qr/--key FILE and --url/ ], [ [ 'dpop', '--key', "$root/p256.pem" ], qr/--key FILE and --url/ ], [ [ 'dpop', '--key', "$root/p256.pem", '--url', '/x' ], qr/no proof can be made for/ ],
           [ [ 'dpop', '--key', "$root/jwks.json", '--url', $url ], qr/private|jwks/ ], [ [ 'dpop', '--key', "$root/p256.pem", '--alg', 'RS256', '--url', $url ], qr/RS256|cannot/ ],
           [ [ 'dpop', '--key', "$root/p256.pem", '--alg', 'XX', '--url', $url ], qr/no algorithm XX/ ],
           [ [ 'token', @tls, '--cert', "$root/one.crt" ], qr/--cert and --key go together/ ], [ [ 'token', @tls, '--cert', 'a', '--key', 'b', '--secret-file', "$root/secret" ], qr/logs in by itself/ ],
           [ [ 'token', @plain, '--dpop-key', "$root/none.pem" ], qr/none\.pem/ ]) {
    $r = m2mctl(@{ $c->[0] });
    is($r->{status}, 2, "refused: @{ $c->[0] }");
    like($r->{err}, $c->[1], '... and why');
}
$t->finish;
