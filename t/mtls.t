# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# Tokens bound to a client certificate (RFC 8705), through mod_ssl and through the header of a
# proxy that ends TLS. Certificates are made here, by an authority made here. A header of anybody
# who is not listed is a forgery, in every spelling.
use strict;
use warnings;
use Digest::SHA qw(sha256);
use File::Temp ();
use MIME::Base64 qw(encode_base64);
use M2MGW::Test;

my $dir = File::Temp->newdir;

sub openssl { system("cd $dir && openssl $_[0] >/dev/null 2>&1") == 0 or die "openssl $_[0]" }

openssl('req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=ca -keyout ca.key -out ca.pem');
for my $name (qw(server one two)) {
    openssl("req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=$name -keyout $name.key -out $name.csr");
    openssl("x509 -req -in $name.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -out $name.pem");
    openssl("x509 -in $name.pem -outform DER -out $name.der");
}

sub x5t { b64(sha256(slurp("$dir/$_[0].der"))) }
sub item { ':' . encode_base64(slurp("$dir/$_[0].der"), '') . ':' }
sub flat { slurp("$dir/$_[0].pem") =~ s/\n(?=.)/ /gr =~ s/\n\z//r }
sub percent { slurp("$dir/$_[0].pem") =~ s/([^A-Za-z0-9._~-])/sprintf '%%%02X', ord $1/ger }
sub token { my (%c) = @_; return mint('p256#issuer', { sub => 'a', %c }, { kid => 'I' }) }

my $KEYS = jwks_json(jwk('p256#issuer', kid => 'I'));
my $t = M2MGW::Test->start(modules => ['ssl'], files => {
    'keys.json' => $KEYS, map { ("$_.pem" => slurp("$dir/$_.pem"), "$_.key" => slurp("$dir/$_.key")) } qw(server) },
    config => <<'CONF');
<Location /listed>
    M2MJwks file:@ROOT@/keys.json
    M2MClientCertificate header:Client-Cert from=10.0.0.0/8,127.0.0.1
    ProxyPass http://@BACKEND@/listed
</Location>
<Location /listed/must>
    M2MSenderConstraint mTLS
</Location>
<Location /other>
    M2MJwks file:@ROOT@/keys.json
    M2MClientCertificate header:Client-Cert from=10.0.0.0/8
    ProxyPass http://@BACKEND@/other
</Location>
<Location /far>
    M2MJwks file:@ROOT@/keys.json
    M2MClientCertificate header:X-Client-Cert from=10.0.0.0/8
    ProxyPass http://@BACKEND@/far
</Location>
<Location /far/open>
    M2MEngine Off
</Location>
<Location /far/ssl>
    M2MClientCertificate ssl
</Location>
<Location /far/near>
    M2MClientCertificate header:X-Near-Cert from=127.0.0.1
</Location>
<Location /plain>
    ProxyPass http://@BACKEND@/plain
</Location>
<Location /early>
    RequestHeader set X-Client-Cert ours
    ProxyPass http://@BACKEND@/early
</Location>
RemoteIPHeader X-Client-IP
RemoteIPInternalProxy 127.0.0.1
<Location /none>
    M2MJwks file:@ROOT@/keys.json
    ProxyPass http://@BACKEND@/none
</Location>
<VirtualHost *:@PORT@>
    ServerName gw.test
</VirtualHost>
<VirtualHost *:@PORT@>
    ServerName section.test
    M2MScrub Section
    <Location /sect>
        M2MJwks file:@ROOT@/keys.json
        M2MClientCertificate header:X-Sect-Cert from=10.0.0.0/8
        ProxyPass http://@BACKEND@/sect
    </Location>
    <Location /sect/open>
        M2MEngine Off
    </Location>
    <Location /sect/ssl>
        M2MClientCertificate ssl
    </Location>
    <Location /free>
        ProxyPass http://@BACKEND@/free
    </Location>
</VirtualHost>
<IfModule ssl_module>
    Listen 127.0.0.1:@PORT:tls@
    <VirtualHost 127.0.0.1:@PORT:tls@>
        ServerName gw.test
        SSLEngine on
        SSLCertificateFile @ROOT@/server.pem
        SSLCertificateKeyFile @ROOT@/server.key
        SSLVerifyClient optional_no_ca
        <Location /tls>
            M2MJwks file:@ROOT@/keys.json
            M2MSenderConstraint mTLS
            ProxyPass http://@BACKEND@/tls
        </Location>
    </VirtualHost>
</IfModule>
CONF

my $bound = token(cnf => { 'x5t#S256' => x5t('one') });

sub with_cert { my ($path, $cert, @more) = @_;
    return $t->get($path, token => $bound, headers => ['Client-Cert', $cert, @more]) }

# --- the header of a listed peer ---

passes(with_cert('/listed', item('one')), 'as RFC 9440 has it');
passes(with_cert('/listed', flat('one')), 'as PEM in one line');
passes(with_cert('/listed', percent('one')), 'as percent-encoded PEM');
denies($t->get('/listed', token => $bound), 401, 'cert_mismatch', 'no certificate');
denies(with_cert('/listed', item('two')), 401, 'cert_mismatch', 'another one');
denies(with_cert('/listed', item('one'), 'Client-Cert', item('one')), 401, 'cert_mismatch', 'two fields');
denies(with_cert('/listed', item('one') . ', ' . item('two')), 401, 'cert_mismatch', 'two members');
denies(with_cert('/listed', item('one') . ';a=1'), 401, 'cert_mismatch', 'a parameter');
denies(with_cert('/listed', flat('one') . ' x'), 401, 'cert_mismatch', 'bytes behind it');
denies(with_cert('/listed', flat('one') . ' ' . flat('two')), 401, 'cert_mismatch', 'two in one');
denies($t->get('/listed', token => $bound, headers => ['Client_Cert', item('one')]), 401,
       'cert_mismatch', 'another spelling');
passes($t->get('/listed', token => token()), 'an unbound token');
denies($t->get('/listed/must', token => token()), 401, 'proof_missing', 'mTLS wants a binding');
passes(with_cert('/listed/must', item('one')), '... and takes it');
denies($t->get('/listed', token => token(cnf => { 'x5t#S256' => 'short' })), 401, 'claim_invalid',
       'a cnf that is not a hash');

# --- what goes on ---

my $r = with_cert('/listed', item('one'), 'client-cert-chain', item('two'), 'CLIENT_CERT', item('two'));
passes($r, 'a listed peer');
is($r->sent('Client-Cert'), item('one'), 'its header goes on');
is(join(' ', grep { /client.cert./i } map { $_->[0] } @{ ($r->backend)[0]{headers} }), '',
   'and no other spelling nor a chain');
for my $name (qw(Client-Cert client-cert CLIENT-CERT Client_Cert client.cert Client-Cert-Chain Client_Cert_Chain)) {
    $r = $t->get('/other', token => token(), headers => [$name, item('one')]);
    passes($r, "$name of a peer that is not listed");
    is(scalar(grep { $_->[0] =~ /client.cert/i } @{ ($r->backend)[0]{headers} }), 0, '... does not go on');
}
denies(with_cert('/other', item('one')), 401, 'cert_mismatch', 'nor does it count');

# A backend may serve more than one section, so that it must not matter by which one it is reached.
sub certs_at_backend {
    my ($path, $name, %o) = @_;
    my $r = $t->get($path, %o, headers => [$name, item('one')]);
    passes($r, "$name at $path");
    return join ' ', map { $_->[0] } grep { $_->[0] =~ /cert/i } @{ ($r->backend)[0]{headers} };
}
for my $path (qw(/far/ssl /far/open /plain /none /far/near)) {
    my @token = $path =~ /open|plain/ ? () : (token => token());
    for my $name (qw(X-Client-Cert x-client-cert X_Client_Cert X.Client.Cert Client-Cert-Chain CLIENT_CERT_CHAIN)) {
        is(certs_at_backend($path, $name, @token), '', '... does not go on');
    }
}
is(certs_at_backend('/far/near', 'X-Near-Cert', token => token()), 'X-Near-Cert', 'what a section lists goes on');
is(certs_at_backend('/far/near', 'X_Near_Cert', token => token()), '', '... in no other spelling');
is(certs_at_backend('/plain', 'X-Near-Cert'), 'X-Near-Cert', 'what any section lists goes on where none decides');
is(certs_at_backend('/plain', 'X-Near_Cert'), '', '... in no other spelling');
{
    my $r = $t->get('/early', headers => ['X-Client-Cert', item('one'), 'X_Client_Cert', item('one')]);
    is($r->sent('X-Client-Cert'), 'ours', '... stays where the configuration sets it');
    is($r->sent('X_Client_Cert'), undef, '... alone');
}
for my $path (qw(/sect /sect/ssl /sect/open)) {
    my @token = $path =~ /open/ ? () : (token => token());
    for my $name (qw(X-Sect-Cert X_Sect_Cert Client-Cert-Chain)) {
        is(certs_at_backend($path, $name, @token, host => 'section.test'), '', '... does not go on under M2MScrub Section');
    }
}
is(certs_at_backend('/free', 'X-Sect-Cert', host => 'section.test'), 'X-Sect-Cert', '... which leaves other sections alone');
denies(with_cert('/other', item('one'), 'X-Client-IP', '10.0.0.1'), 401, 'cert_mismatch',
       'whatever mod_remoteip says of the address');
denies($t->get('/none', token => $bound), 401, 'cert_mismatch', 'without TLS there is none');

# --- mod_ssl ---

sub over_tls {
    my ($name, $token) = @_;
    my $port = $t->port('tls');
    my $cert = $name ? "-cert $dir/$name.pem -key $dir/$name.key" : '';
    $t->backend_new;
    my $request = "GET /tls HTTP/1.1\\r\\nHost: gw.test\\r\\nConnection: close\\r\\nAuthorization: Bearer $token\\r\\n\\r\\n";
    my $text = `printf '$request' | openssl s_client -quiet -connect 127.0.0.1:$port $cert 2>/dev/null`;
    my ($status) = $text =~ m{\AHTTP/1.1 (\d+)};
    my ($reason) = $text =~ /^X-Reason: (\S+)\r$/m;
    return ($status // 0) . ' ' . ($reason // '') . ' ' . scalar(() = $t->backend_new);
}

SKIP: {
    skip 'no mod_ssl', 4 if !-f M2MGW::Test::modules_dir() . '/mod_ssl.so';
    is(over_tls('one', $bound), '200 ok 1', 'the certificate of the connection');
    is(over_tls('two', $bound), '401 cert_mismatch 0', 'another one');
    is(over_tls(undef, $bound), '401 cert_mismatch 0', 'none');
    is(over_tls('one', token()), '401 proof_missing 0', 'an unbound token');
}

# --- configuration ---

sub refused {
    my ($config, $re, $name, %o) = @_;
    my ($status, $text) = try_config($config, files => { 'keys.json' => $KEYS }, %o);
    ok($status != 0 && $text =~ $re, "refused: $name") or diag($text);
}

my $J = 'M2MJwks file:@ROOT@/keys.json';
refused("<Location /a>\n$J\nM2MClientCertificate header:Client-Cert\n</Location>", qr/from= is missing/, 'a header from anybody');
refused("<Location /a>\n$J\nM2MClientCertificate header:Client-Cert from=x\n</Location>", qr/not an address/, 'no address');
refused("<Location /a>\n$J\nM2MClientCertificate tls\n</Location>", qr/ssl, or header:NAME/, 'another word');
refused("<Location /a>\n$J\nM2MSenderConstraint mTLS\n</Location>", qr/line 3 of [^\n]*\nM2MSenderConstraint mTLS: it needs mod_ssl/, 'mTLS without mod_ssl');
refused("M2MSenderConstraint mTLS\n<Location /a>\n$J\n</Location>", qr/line 1 of [^\n]*\nM2MSenderConstraint mTLS: it needs mod_ssl/, 'nor inherited');
refused("<Location /a>\n$J\nM2MClientCertificate header:Client-Cert from=::1\nM2MClaim sub header:client_cert\n</Location>",
        qr/prove/, 'a claim in the name of the certificate');

for my $h (qw(Authorization authorization DPoP dpop Proxy-Authorization Cookie Host Client-Cert-Chain Client_Cert_Chain Content-Type)) {
    refused("<Location /a>\n$J\nM2MClientCertificate header:$h from=::1\n</Location>", qr/line 3 of [^\n]*\n[^\n]*"header:$h" is not allowed: that header holds something else/, "certificates in $h");
}
refused("<Location /a>\n$J\nM2MToken header:X-Token\nM2MClientCertificate header:x_token from=::1\n</Location>",
        qr/line 4 of [^\n]*\nM2MClientCertificate: header:x_token is where M2MToken looks for tokens/, 'certificates where tokens are');
refused("<Location /a>\n$J\nM2MToken header:X-Token\n</Location>\n<Location /b>\n$J\nM2MClientCertificate header:X-Token from=::1\n</Location>",
        qr/line 7 of [^\n]*\nM2MClientCertificate: header:X-Token is what another section of the virtual host looks for tokens in/, '... in another section');
refused("<Location /a>\n$J\nM2MClaim sub header:X-Cert\n</Location>\n<Location /b>\n$J\nM2MClientCertificate header:X-Cert from=::1\n</Location>",
        qr/line 7 of [^\n]*\nM2MClientCertificate: header:X-Cert is what another section of the virtual host maps claims to/, '... or claims go');
for my $all ('0.0.0.0/0', '::/0', '10.0.0.1,0.0.0.0/0', '0.0.0.0/00', '0.0.0.0/0.0.0.0', '0.0.0.0/1,128.0.0.0/1', '128.0.0.0/1,0.0.0.0/128.0.0.0', '::/1,8000::/1',
             '10.0.0.0/8,192.0.0.0/2,0.0.0.0/1,10.0.0.1,128.0.0.0/2,192.0.0.0/2', '::1,0.0.0.0/1,::/2,128.0.0.0/1') {
    refused("<Location /a>\n$J\nM2MClientCertificate header:Client-Cert from=$all\n</Location>", qr{from=(?:\Q$all\E|\S+/[0.]+) is everybody: any client could claim to be any other}, "from=$all");
}
for my $part ('0.0.0.0/1,128.0.0.0/2', '0.0.0.0/1', '64.0.0.0/2,64.0.0.0/2', '2000::/3', '1,2,3,4', '10.0.0.0/8,172.16.0.0/12,192.168,fc00::/7,127.0.0.1,::1,100.64.0.0/10', '10.0.0.0/8') {
    my ($status, $text) = try_config("<Location /a>\n$J\nM2MClientCertificate header:Client-Cert from=$part\n</Location>", files => { 'keys.json' => $KEYS });
    is($status, 0, "from=$part is legal") or diag($text);
    my $told = qr{M2-101: M2MClientCertificate in line 3 of \S+: from=\Q$part\E is a good part of all addresses};
    $part =~ /10\.0/ ? unlike($text, $told, '... and somebody') : like($text, $told, '... and told');
}
refused("<Location /a>\n$J\nM2MClientCertificate header:Client-Cert from=$_\n</Location>", qr/not an address or a network/, "from=$_") for '::ffff:10.0.0.0/104', '::ffff:10.0.0.1';
refused("<Location /a>\n$J\nM2MClientCertificate header:Client-Cert from=10.0.0.1\nM2MClientCertificate header:X-Cert from=10.0.0.2\n</Location>",
        qr/line 4 of [^\n]*\nM2MClientCertificate: it was given in this section already/, 'two headers, of which one would be forgotten');
refused("<Location /a>\n$J\nM2MClientCertificate header:Client-Cert from=10.0.0.0/33\n</Location>", qr/not an address or a network/, 'a mask that is too long');
{
    my ($status, $text) = try_config("<Location /a>\n$J\nM2MClientCertificate header:Client-Cert from=10.0.0.0/8,::1\n</Location>\n<Location /b>\n$J\nM2MToken header:X-Token\n</Location>",
                                     files => { 'keys.json' => $KEYS });
    is($status, 0, 'beside a token in another header it is fine') or diag($text);
}

unlike($t->error_log, qr/\Q${\ substr item('one'), 20, 60}\E/, 'no certificate stands in the log');
$t->expect_log(qr/M2-101|AH01873|AH01906|AH01909|AH02292/);
$t->finish;
