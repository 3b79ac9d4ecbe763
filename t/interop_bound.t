#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# Strangers and tokens that are bound: a client library that is not ours finds our resource and
# our M2M server by their metadata and uses tokens bound to a key (RFC 9449) or a certificate
# (RFC 8705), at our gateway through mod_ssl and behind a proxy that ends TLS; and tokens that a
# token server of others bound pass our gateway. M2MGW_INTEROP as for interop.t.
use strict;
use warnings;
use Digest::SHA qw(sha256);
use FindBin;
use lib "$FindBin::Bin/lib";
use IPC::Open2 qw(open2);
use M2MGW::Test;

my $dir = $ENV{M2MGW_INTEROP} // '';
plan skip_all => 'M2MGW_INTEROP names no directory with node_modules' if !-d "$dir/node_modules/oauth4webapi";
plan skip_all => 'mod_m2m_issuer is not built' if !M2MGW::Test::built('mod_m2m_issuer');
plan skip_all => 'no curl' if !-x '/usr/bin/curl';
plan skip_all => 'no mod_ssl' if !-f M2MGW::Test::modules_dir() . '/mod_ssl.so';
M2MGW::Test::interop_programs($dir);

my $json = JSON::PP->new->utf8->canonical;
my $SECRET = 'correct horse+battery/staple%';

sub stranger {
    my ($script, $order) = @_;
    my $pid = open2(my $out, my $in, 'node', "$dir/$script");
    print {$in} $json->encode($order);
    close $in;
    local $/;
    my $text = <$out> // '';
    waitpid $pid, 0;
    return eval { $json->decode($text) } // do { diag("$script: $text"); {} };
}

my $provider = open2(my $from, my $to, 'node', "$dir/provider.mjs");
my $op = $json->decode(scalar <$from> // die "oidc-provider did not start\n");

# --- a CA, our server's certificate, and the client's ---

my $t = M2MGW::Test->prepare(issuer => 1, modules => ['ssl'], files => {
    'rsa.pem' => key('rsa')->{text}, 'rsa.pub' => pem('rsa'), 'app_k.json' => jwks_json(jwk('p256#2', kid => 'c1')),
    'clients' => 'app_x:$2y$05$eeHrCj2u4bGD1/90QtKbsuV9mk5T7n26cyhkm6.1ad29.KTdA5voC' . "\n" });
my $root = $t->{root};
chmod 0600, "$root/rsa.pem";
$t->secret($SECRET, 'interop-secret-of-app_x');
sub openssl { system("cd $root && openssl @_ 2>>logs/openssl") == 0 or die "openssl @_" }
my @EC = qw(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes);
openssl('req -x509', @EC, qw(-days 2 -subj /CN=ca -keyout ca.key -out ca.crt));
for my $name (qw(localhost one two)) {
    spew("$root/$name.ext", "subjectAltName=DNS:$name\n");
    openssl('req', @EC, '-subj', "/CN=$name", '-keyout', "$name.key", '-out', "$name.csr");
    openssl('x509 -req -days 2 -CAcreateserial -in', "$name.csr", '-extfile', "$name.ext", '-out', "$name.crt -CA ca.crt -CAkey ca.key");
}
chmod 0600, glob "$root/*.key";
sub tls { my ($name) = @_; return { map({ ($_->[0] => slurp("$root/$_->[1]")) } [ cert => "$name.crt" ], [ key => "$name.key" ], [ ca => 'ca.crt' ]) } }

my $port = $t->port;
my ($tls, $proxy) = map { $t->port($_) } qw(tls proxy);
my $API = "http://127.0.0.1:$port/api";
my $policy = <<"CONF";
        M2MAudience AUDIENCE
        M2MRequireClaim scope user:read:one
        M2MClaim client_id header:X-Client
        ProxyPass http://\@BACKEND\@/
CONF
$t->begin(<<"CONF" . <<'CONF');
M2MIssuerName http://127.0.0.1:$port/m2m
M2MSigningKey \@ROOT\@/rsa.pem kid=main
M2MGrant $API app_x user:read:one .introspect
M2MClientKeys app_k file:\@ROOT\@/app_k.json
M2MGrant $API app_k user:read:one
M2MIssuerDPoP On
<Location /m2m/token>
    SetHandler m2m-token
    M2MClientProvider file
    AuthUserFile \@ROOT\@/clients
    M2MDPoP nonce=On
</Location>
<Location /m2m/introspect>
    SetHandler m2m-introspect
    M2MClientProvider file
    AuthUserFile \@ROOT\@/clients
    M2MRevocation file:\@ROOT\@/run/revoked
</Location>
<Location /m2m/revoke>
    SetHandler m2m-revoke
    M2MClientProvider file
    AuthUserFile \@ROOT\@/clients
    M2MRevocation file:\@ROOT\@/run/revoked
</Location>
<Location /m2m/jwks>
    SetHandler m2m-jwks
</Location>
<Location /.well-known/oauth-authorization-server/m2m>
    SetHandler m2m-metadata
</Location>
<Location /.well-known/oauth-protected-resource>
    M2MEngine Off
    SetHandler m2m-resource-metadata
</Location>
<Location /api>
    M2MJwks http://127.0.0.1:$port/m2m/jwks issuer=http://127.0.0.1:$port/m2m
    M2MPublicURL http://127.0.0.1:$port
    M2MResource $API
    M2MSenderConstraint DPoP
    M2MDPoP nonce=On
    M2MRevocation file:\@ROOT\@/run/revoked
@{[ $policy =~ s/AUDIENCE/$API/r ]}</Location>
<Location /theirs>
    M2MJwks $op->{issuer}/jwks
    M2MIssuer $op->{issuer}
    M2MPublicURL http://127.0.0.1:$port
@{[ $policy =~ s/AUDIENCE/https:\/\/api.example.com/r ]}</Location>
SSLSessionCache none
Listen 127.0.0.1:$tls
Listen 127.0.0.1:$proxy
<VirtualHost 127.0.0.1:$tls>
    ServerName localhost:$tls
    SSLEngine On
    SSLCertificateFile \@ROOT\@/localhost.crt
    SSLCertificateKeyFile \@ROOT\@/localhost.key
    SSLCACertificateFile \@ROOT\@/ca.crt
    SSLVerifyClient optional
    M2MIssuerName https://localhost:$tls/m2m
    M2MSigningKey \@ROOT\@/rsa.pem kid=main
    M2MClientCert app_c san-dns=one
    M2MGrant https://localhost:$tls/orders app_c user:read:one
    M2MGrant https://localhost:$proxy/orders app_c user:read:one
    <Location /orders>
        M2MJwk pem:\@ROOT\@/rsa.pub kid=main
        M2MIssuer https://localhost:$tls/m2m
        M2MResource https://localhost:$tls/orders
        M2MSenderConstraint mTLS
@{[ $policy =~ s/AUDIENCE/https:\/\/localhost:$tls\/orders/r ]}    </Location>
</VirtualHost>
# TLS ends here, and what is behind is told the certificate by a header
<VirtualHost 127.0.0.1:$proxy>
    ServerName localhost:$proxy
    SSLEngine On
    SSLCertificateFile \@ROOT\@/localhost.crt
    SSLCertificateKeyFile \@ROOT\@/localhost.key
    SSLCACertificateFile \@ROOT\@/ca.crt
    SSLVerifyClient optional
CONF
    RequestHeader set Client-Cert "%{SSL_CLIENT_CERT}s"
    ProxyPass / http://127.0.0.1:@PORT:behind@/
    ProxyPreserveHost On
</VirtualHost>
Listen 127.0.0.1:@PORT:behind@
<VirtualHost 127.0.0.1:@PORT:behind@>
    ServerName localhost
    <Location /.well-known/oauth-protected-resource>
        M2MEngine Off
        SetHandler m2m-resource-metadata
    </Location>
    <Location /orders>
        M2MJwk pem:@ROOT@/rsa.pub kid=main
        M2MIssuer https://localhost:@PORT:tls@/m2m
        M2MAudience https://localhost:@PORT:proxy@/orders
        M2MResource https://localhost:@PORT:proxy@/orders
        M2MSenderConstraint mTLS
        M2MClientCertificate header:Client-Cert from=127.0.0.1/32
        ProxyPass http://@BACKEND@/
    </Location>
</VirtualHost>
CONF
# handlers of the main server are in vain in the virtual host that hands all of it on
$t->expect_log(qr/AH01873|AH01906|AH01909|AH02276|AH02008|AH02039|AH10158|client_assertion/, qr/M2-101: .* has SetHandler m2m-\S+ in vain: ProxyPass \/ comes/);

# The first fetch of keys is made in the background.
sub settled {
    my ($path) = @_;
    for (my ($row, $end) = (0, time + 60); $row < 12 && time < $end; ) {
        if ($t->get($path, token => mint('rsa', { iss => 'x' }, { kid => 'none' }))->status == 503) { $row = 0; select undef, undef, undef, 0.05 }
        else { $row++ }
    }
}
settled($_) for qw(/api/x /theirs/x);

# the token of a step, by what is not said of it in a log
sub keep { my ($got) = @_; $t->secret($got->{token}{access_token} =~ /([^.]+)\z/) if $got->{token}{access_token}; return $got }
sub claims { return eval { $json->decode(unb64((split /\./, $_[0]{token}{access_token} // '')[1] // '')) } // {} }
sub seen { my ($got, $step) = @_; return join ' ', map { $got->{$step}{$_} // '-' } qw(status error failed) }

# --- our resource, found by its URL alone, and tokens bound to a key ---

my %order = (introspect => { client_id => 'app_x', secret => $SECRET }, resource => $API, client_id => 'app_x', auth => 'post', secret => $SECRET, scope => "$API|user:read:one");
for my $case ([ 'ES256, a secret', dpop => 'ES256' ], [ 'EdDSA, a secret', dpop => 'EdDSA' ], [ 'ES256, private_key_jwt', dpop => 'ES256', client_id => 'app_k', auth => 'jwt', key => key('p256#2')->{text}, kid => 'c1' ]) {
    my ($what, %o) = @$case;
    $t->backend_new;
    my $got = keep(stranger('bound.mjs', { %order, %o }));
    my @reached = $t->backend_new;
    is($got->{challenge}{status}, 401, "$what: the resource asks for a token");
    like($got->{challenge}{header} // '', qr{resource_metadata="http://127\.0\.0\.1:$port/\.well-known/oauth-protected-resource/api"}, '... and says where it describes itself');
    is_deeply($got->{resource}{authorization_servers}, [ "http://127.0.0.1:$port/m2m" ], '... which names our server') or diag $json->encode($got);
    ok($got->{resource}{dpop_bound_access_tokens_required}, '... and that tokens have to be bound');
    is(lc($got->{token}{token_type} // ''), 'dpop', "$what: a token that is bound") or diag $json->encode($got);
    ok(claims($got)->{cnf}{jkt}, '... to a key');
    is(seen($got, 'use'), '200 - -', "$what: it is used");
    is(seen($got, 'again'), '200 - -', '... and again, with another proof');
    is(scalar @reached, 2, '... and nothing else has reached the backend');
    like(seen($got, 'bearer'), qr/\A401 /, "$what: refused as Bearer");
    like(seen($got, 'thief'), qr/\A401 /, '... and by another key');
    is($got->{nonces}, 2, "$what: both servers asked for a nonce of their own, and got it");
    ok($got->{active}{active}, "$what: introspection says that it is active") or diag $json->encode($got);
    is($got->{active}{token_type}, 'DPoP', '... and what it is');
    is($got->{active}{cnf}{jkt}, claims($got)->{cnf}{jkt}, '... and whose');
    ok($got->{revoke}{done}, "$what: it is taken back") or diag $json->encode($got->{revoke});
    is_deeply($got->{inactive}, { active => JSON::PP::false() }, '... and inactive then');
}
my $got = keep(stranger('bound.mjs', { %order, dpop => 'none' }));
is(lc($got->{token}{token_type} // ''), 'bearer', 'without a proof the token is bound to nothing');
like(seen($got, 'use'), qr/\A401 /, '... and refused where proofs are asked for');

# --- certificates: through mod_ssl, and through a proxy that sets a header ---

for my $case ([ 'mod_ssl', $tls ], [ 'a proxy', $proxy ]) {
    my ($what, $p) = @$case;
    my %o = (resource => "https://localhost:$p/orders", client_id => 'app_c', auth => 'tls', dpop => 'none', scope => "https://localhost:$p/orders|user:read:one");
    $t->backend_new;
    $got = keep(stranger('bound.mjs', { %o, tls => tls('one') }));
    is_deeply($got->{resource}{authorization_servers}, [ "https://localhost:$tls/m2m" ], "$what: the resource names our server") or diag $json->encode($got);
    ok($got->{resource}{tls_client_certificate_bound_access_tokens}, '... and that tokens are bound to certificates');
    ok(claims($got)->{cnf}{'x5t#S256'}, "$what: a token by tls_client_auth is bound to the certificate") or diag $json->encode($got);
    is(seen($got, 'use'), '200 - -', '... and used with it');
    is(scalar($t->backend_new), 3, '... at the backend');
    my $token = $got->{token}{access_token} // 'x.x.x';
    spew("$root/h", "Authorization: Bearer $token\n");
    for my $cert ('two', undef) {
        my @cert = $cert ? ('--cert', "$root/$cert.crt", '--key', "$root/$cert.key") : ();
        open my $out, '-|', 'curl', '-s', '--cacert', "$root/ca.crt", @cert, '-H', "\@$root/h", '-H', 'Client-Cert: forged', '-o', '/dev/null', '-w', '%{http_code}', "https://localhost:$p/orders" or die $!;
        is(do { local $/; <$out> }, 401, "$what: refused with " . ($cert ? 'the certificate of another' : 'none'));
    }
    is(scalar($t->backend_new), 0, '... with the backend untouched');
    $got = stranger('bound.mjs', { %o, tls => tls('two') });
    like(seen($got, 'token'), qr/invalid_client/, "$what: the certificate of another gets no token");
}

# --- tokens that a stranger bound ---

for my $alg (qw(ES256)) { # the library calls the other Ed25519 (RFC 9864), which this server does not know
    $t->backend_new;
    $got = keep(stranger('bound.mjs', { resource => "http://127.0.0.1:$port/theirs", issuer => $op->{issuer}, oidc => JSON::PP::true(), client_id => 'app_x', auth => 'post', secret => 'interop-secret-of-app_x',
                                        scope => 'user:read:one', audience => 'https://api.example.com', dpop => $alg }));
    is(lc($got->{token}{token_type} // ''), 'dpop', "oidc-provider binds a token to a key of $alg") or diag $json->encode($got);
    is(seen($got, 'use'), '200 - -', '... which our gateway takes with a proof') or diag $json->encode($got);
    like(seen($got, 'bearer'), qr/\A401 /, '... not as Bearer');
    like(seen($got, 'thief'), qr/\A401 /, '... and not by another key');
    is(scalar($t->backend_new), 2, '... with nothing else at the backend');
}
close $to;
waitpid $provider, 0;
$t->finish;
