#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# Clients that log in without a secret, and tokens that only their owner can use: assertions,
# keys that change, certificates (RFC 8705) and proofs of possession (RFC 9449) at the token
# endpoint. Beside each refusal stands the request that it was made from.
use strict;
use warnings;
use Digest::SHA qw(sha256);
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP ();
use M2MGW::Test;

plan skip_all => 'mod_m2m_issuer is not built' if !M2MGW::Test::built('mod_m2m_issuer');
plan skip_all => 'no curl or mod_ssl'
    if !-x '/usr/bin/curl' || !-f M2MGW::Test::modules_dir() . '/mod_ssl.so';

my $json = JSON::PP->new->utf8->canonical;
my $API = 'https://api.example.com';
my $JWT = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

sub enc { join '&', map { join '=', map { s/([^A-Za-z0-9_.~-])/sprintf '%%%02X', ord $1/ger } @$_ } @_ }
sub form { my %o = @_; enc(map { [ $_, $o{$_} ] } grep { defined $o{$_} } sort keys %o) }

my $t = M2MGW::Test->prepare(issuer => 1, modules => ['ssl'], files => {
    'rsa.pem' => key('rsa')->{text}, 'a.json' => jwks_json(jwk('p256#a', kid => 'a1')),
    'b.json' => jwks_json(jwk('p256#b', kid => 'b1')), 'ed.json' => jwks_json(jwk('ed25519#ed', kid => 'e1')),
    clients => "app_s:\$2y\$05\$eeHrCj2u4bGD1/90QtKbsuV9mk5T7n26cyhkm6.1ad29.KTdA5voC\n" });
my $root = $t->{root};
chmod 0600, "$root/rsa.pem";
my $SECRET = 'correct horse+battery/staple%';
$t->secret($SECRET);

# --- a CA, certificates of it, and one of nobody ---

sub openssl { system("cd $root && openssl @_ 2>>logs/openssl") == 0 or die "openssl @_" }
openssl(qw(req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=ca -keyout ca.key -out ca.crt));
openssl(qw(req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=127.0.0.1 -keyout tls.key -out tls.crt));
sub certificate {
    my ($name, $san, @x509) = @_;
    spew("$root/$name.ext", "subjectAltName=$san\n");
    openssl(qw(req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes), '-subj', "/O=Acme/CN=$name",
            '-keyout', "$name.key", '-out', "$name.csr");
    openssl('x509 -req -days 2 -CAcreateserial -in', "$name.csr", '-extfile', "$name.ext", '-out',
            "$name.crt", @x509 ? @x509 : ('-CA', 'ca.crt', '-CAkey', 'ca.key'));
}
certificate('one', 'DNS:one.test');
certificate('two', 'DNS:two.test');
certificate('self', 'DNS:one.test', '-signkey', 'self.key');
chmod 0600, glob "$root/*.key";
sub x5t {
    my $pem = slurp("$root/$_[0].crt") =~ s/-----[^\n]*\n//gr;
    return b64(sha256(MIME::Base64::decode_base64($pem)));
}

my $CONF = <<"CONF" . <<'CONF';
M2MClientCert app_dns san-dns=one.test
M2MClientCert app_dn "subject=CN=one,O=Acme"
M2MClientCert app_x5t x5t=@{[ x5t('self') ]}
CONF
M2MIssuerName http://127.0.0.1:@PORT@/idp
M2MSigningKey @ROOT@/rsa.pem kid=main
M2MClientKeys app_a file:@ROOT@/a.json
M2MClientKeys app_b file:@ROOT@/b.json
M2MClientKeys app_ed file:@ROOT@/ed.json
M2MAssertionStore shm entries=80
M2MIssuerDPoP Required app_must
M2MIssuerEndpoint token http://127.0.0.1:@PORT@/idp/token
<Location /idp/token>
    SetHandler m2m-token
    M2MClientProvider file
    AuthUserFile @ROOT@/clients
</Location>
<Location /nonce/token>
    SetHandler m2m-token
    M2MClientProvider file
    AuthUserFile @ROOT@/clients
    M2MDPoP nonce=On
</Location>
<Location /idp/jwks>
    SetHandler m2m-jwks
</Location>
<Location /.well-known>
    SetHandler m2m-metadata
</Location>
Listen 127.0.0.1:@PORT:proxied@
<VirtualHost 127.0.0.1:@PORT:proxied@>
    ServerName 127.0.0.1
    <Location /idp/token>
        M2MClientCertificate header:X-Client-Cert from=127.0.0.1 verified
    </Location>
    <Location /unverified/token>
        SetHandler m2m-token
        M2MClientProvider file
        AuthUserFile @ROOT@/clients
        M2MClientCertificate header:X-Client-Cert from=127.0.0.1
    </Location>
    <Location /far/token>
        SetHandler m2m-token
        M2MClientProvider file
        AuthUserFile @ROOT@/clients
        M2MClientCertificate header:X-Client-Cert from=10.0.0.0/8 verified
    </Location>
    <Location /plain>
        ProxyPass http://@BACKEND@/plain
    </Location>
</VirtualHost>
SSLSessionCache none
Listen 127.0.0.1:@PORT:tls@
<VirtualHost 127.0.0.1:@PORT:tls@>
    SSLEngine On
    SSLCertificateFile @ROOT@/tls.crt
    SSLCertificateKeyFile @ROOT@/tls.key
    SSLCACertificateFile @ROOT@/ca.crt
    SSLVerifyClient optional
</VirtualHost>
CONF
$CONF .= "M2MGrant $API $_ read\n" for qw(app_s app_a app_b app_ed app_dns app_dn app_x5t app_must);
$t->expect_log(qr/AH01873|AH01906|AH01909|client_assertion|AH02276|AH02008|AH02039|AH10158|M2MAssertionStore/);
$t->begin($CONF);
my $issuer = 'http://127.0.0.1:' . $t->port . '/idp';

sub answer {
    my ($status, $body) = @_;
    return { status => $status, body => $body, json => eval { $json->decode($body) } // {} };
}

sub ask {
    my ($form, @headers) = @_;
    my $r = $t->request('POST', '/idp/token', body => form(grant_type => 'client_credentials',
            scope => "$API|read", %$form),
        headers => [ 'Content-Type' => 'application/x-www-form-urlencoded', @headers ]);
    return { %{ answer($r->status, $r->body) }, r => $r };
}

sub ask_tls {
    my ($cert, $form) = @_;
    my @cert = $cert ? ('--cert', "$root/$cert.crt", '--key', "$root/$cert.key") : ();
    spew("$root/form", form(grant_type => 'client_credentials', scope => "$API|read", %$form));
    open my $out, '-|', 'curl', '-sk', '-w', "\n%{http_code}", @cert, '--data', "\@$root/form",
        'https://127.0.0.1:' . $t->port('tls') . '/idp/token' or die $!;
    local $/;
    my ($body, $status) = (<$out> // '') =~ /\A(.*)\n(\d+)\z/s;
    return answer($status, $body);
}

sub gives {
    my ($r, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    ok($r->{status} == 200 && $r->{json}{access_token}, "gives: $name")
        or diag("$r->{status} $r->{body}");
    $t->secret(($r->{json}{access_token} // '') =~ /\.([\w-]+)\z/) if $r->{json}{access_token};
    return eval { $json->decode(unb64((split /\./, $r->{json}{access_token})[1])) } // {};
}

sub refuses {
    my ($r, $status, $error, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    ok($r->{status} == $status && ($r->{json}{error} // '') eq $error && !$r->{json}{access_token},
       "refuses $error: $name") or diag("expected $status $error; $r->{status} $r->{body}");
}

# --- certificates ---

my $c = gives(ask_tls('one', { client_id => 'app_dns' }), 'a certificate of the CA, by its DNS name');
is_deeply($c->{cnf}, { 'x5t#S256' => x5t('one') }, 'binds the token to it');
$c = gives(ask_tls('one', { client_id => 'app_dn' }), 'by its subject');
refuses(ask_tls('two', { client_id => 'app_dns' }), 401, 'invalid_client', 'the certificate of another');
refuses(ask_tls(undef, { client_id => 'app_dns' }), 401, 'invalid_client', 'no certificate');
refuses(ask_tls('one', {}), 401, 'invalid_client', 'no client_id');
refuses(ask_tls('one', { client_id => 'app_s' }), 401, 'invalid_client', 'a client without certificate');
refuses(ask_tls('one', { client_id => 'app_dns', client_secret => 'x' }), 401, 'invalid_client',
        'a certificate and a secret');
refuses(ask({ client_id => 'app_dns' }), 401, 'invalid_client', 'no TLS at all');
$c = gives(ask_tls('one', { client_id => 'app_s', client_secret => $SECRET }), 'a secret beside a certificate');
is($c->{cnf}, undef, 'binds nothing');

# --- certificates from a proxy that ends TLS ---

sub item { my $pem = slurp("$root/$_[0].crt") =~ s/-----[^\n]*\n//gr; return ':' . $pem =~ s/\s//gr . ':' }
sub ask_proxy {
    my ($path, $form, @headers) = @_;
    my $r = $t->request('POST', $path, port => $t->port('proxied'),
        body => form(grant_type => 'client_credentials', scope => "$API|read", %$form),
        headers => [ 'Content-Type' => 'application/x-www-form-urlencoded', @headers ]);
    return answer($r->status, $r->body);
}
my @one = ('X-Client-Cert', item('one'));
$c = gives(ask_proxy('/idp/token', { client_id => 'app_dns' }, @one), 'a certificate that a proxy verified');
is_deeply($c->{cnf}, { 'x5t#S256' => x5t('one') }, 'binds the token to it');
gives(ask_proxy('/idp/token', { client_id => 'app_dn' }, @one), '... by its subject');
$c = gives(ask_proxy('/unverified/token', { client_id => 'app_x5t' }, 'X-Client-Cert', item('self')),
           'a certificate known by its hash needs nobody to verify it');
is_deeply($c->{cnf}, { 'x5t#S256' => x5t('self') }, 'binds the token as well');
refuses(ask_proxy($_->[0], { client_id => $_->[1] }, @{ $_->[2] }), 401, 'invalid_client', $_->[3]) for
    [ '/unverified/token', 'app_dns', \@one, 'a proxy that verifies nothing' ],
    [ '/far/token', 'app_dns', \@one, 'a peer that is not listed' ],
    [ '/far/token', 'app_x5t', [ 'X-Client-Cert', item('self') ], '... whatever names the certificate' ],
    [ '/idp/token', 'app_dns', [ 'X-Client-Cert', item('two') ], 'the certificate of another' ],
    [ '/idp/token', 'app_dns', [ 'X_Client_Cert', item('one') ], 'the header in another spelling' ],
    [ '/idp/token', 'app_dns', [ 'Client-Cert', item('one') ], 'another header' ],
    [ '/idp/token', 'app_dns', [ @one, @one ], 'two of them' ],
    [ '/idp/token', 'app_dns', [ 'X-Client-Cert', item('one') . ', ' . item('one') ], 'a list' ],
    [ '/idp/token', 'app_dns', [], 'none' ];
refuses(ask_proxy('/idp/token', {}, @one), 401, 'invalid_client', 'no client_id');
refuses(ask_proxy('/idp/token', { client_id => 'app_dns', client_secret => 'x' }, @one), 401,
        'invalid_client', 'a certificate and a secret');
$c = gives(ask_proxy('/idp/token', { client_id => 'app_s', client_secret => $SECRET }, @one),
           'a secret beside a certificate');
is($c->{cnf}, undef, 'binds nothing');
for my $name (qw(X-Client_Cert Client-Cert-Chain)) {
    my $r = $t->get('/plain', port => $t->port('proxied'), headers => [ $name, item('one') ]);
    is($r->status, 200, "$name beside the token endpoint, where nothing else is protected");
    is($r->sent($name), undef, '... does not go on');
}

# --- proofs ---

sub jkt {
    my $j = jwk($_[0]);
    return b64(sha256($json->encode({ map { $_ => $j->{$_} } qw(crv kty x y) })));
}
my $n = 0;
sub proof {
    my (%o) = @_;
    return mint($o{key} // 'p256#dpop', { exp => undef, jti => 'p' . $$ . '-' . ++$n, htm => 'POST',
        htu => "$issuer/token", iat => time, %{ $o{claims} // {} } },
        { typ => 'dpop+jwt', jwk => jwk($o{key} // 'p256#dpop'), %{ $o{header} // {} } });
}
my %s = (client_id => 'app_s', client_secret => $SECRET);
my $r = ask(\%s, DPoP => proof());
$c = gives($r, 'a proof');
is($r->{json}{token_type}, 'DPoP', 'makes a DPoP token');
is_deeply($c->{cnf}, { jkt => jkt('p256#dpop') }, 'that is bound to its key');
$r = ask(\%s);
$c = gives($r, 'no proof');
is($r->{json}{token_type}, 'Bearer', 'makes a Bearer token');
is($c->{cnf}, undef, 'that is bound to nothing');
my $once = proof();
gives(ask(\%s, DPoP => $once), 'a proof, once');
refuses(ask(\%s, DPoP => $once), 400, 'invalid_dpop_proof', 'the same proof again');
ok(M2MGW::Test::before_long(sub { $t->error_log =~ /invalid_dpop_proof: the proof was used before/ }), '... which the log says');
unlike($t->error_log, qr/invalid_dpop_proof: [^\n]*jti/, '... without its jti, hashed or not');
refuses(ask(\%s, DPoP => proof(%{ $_->[0] })), 400, 'invalid_dpop_proof', "a proof $_->[1]") for
    [ { claims => { htm => 'GET' } }, 'for another method' ],
    [ { claims => { htu => "$issuer/other" } }, 'for another place' ],
    [ { claims => { htu => 'https://127.0.0.1/idp/token' } }, 'for another port' ],
    [ { claims => { iat => time - 600 } }, 'from long ago' ],
    [ { claims => { iat => time + 600 } }, 'from the future' ],
    [ { claims => { jti => undef } }, 'without jti' ],
    [ { header => { typ => 'JWT' } }, 'of another type' ],
    [ { header => { jwk => jwk('p256#other') } }, 'with another key than signed it' ],
    [ { header => { jwk => jwk('oct') } }, 'with a symmetric key' ];
refuses(ask(\%s, DPoP => proof(), DPoP => proof()), 400, 'invalid_dpop_proof', 'two proofs');
refuses(ask(\%s, DPoP => 'x'), 400, 'invalid_dpop_proof', 'no JWT');
refuses(ask({ %s, client_secret => 'no' }, DPoP => proof()), 401, 'invalid_client',
        'a proof is not a login');
$n = 5000;
my %must = (client_id => 'app_must', client_assertion_type => $JWT);
$r = $t->get('/.well-known/oauth-authorization-server/idp');
my $meta = $json->decode($r->body);
is_deeply([ sort @{ $meta->{token_endpoint_auth_methods_supported} } ],
          [qw(client_secret_basic client_secret_post private_key_jwt self_signed_tls_client_auth tls_client_auth)],
          'the metadata names every method');
ok($meta->{tls_client_certificate_bound_access_tokens}, 'and that tokens are bound to certificates');
is_deeply($meta->{dpop_signing_alg_values_supported},
          [qw(RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA Ed25519 Ed448)],
          'and every name of an algorithm of proofs (RFC 9864)');
is_deeply($meta->{token_endpoint_auth_signing_alg_values_supported}, [qw(ES256 EdDSA Ed25519)], 'and of assertions');
for my $alg ('EdDSA', 'Ed25519') {
    gives(ask({ client_id => 'app_ed', client_assertion_type => $JWT,
                client_assertion => mint('ed25519#ed', { iss => 'app_ed', sub => 'app_ed', aud => $issuer, exp => time + 60, jti => "ed$alg$$" },
                                         { kid => 'e1', alg => $alg }) }), "an assertion by $alg, as they say");
    my $r = ask(\%s, DPoP => proof(key => 'ed25519#dpop', header => { alg => $alg }));
    gives($r, "a proof by $alg, too");
}

# --- a nonce, where M2MDPoP at the endpoint asks for one ---

sub ask_at {
    my ($form, @headers) = @_;
    my $r = $t->request('POST', '/nonce/token', body => form(grant_type => 'client_credentials', scope => "$API|read", %$form),
        headers => [ 'Content-Type' => 'application/x-www-form-urlencoded', @headers ]);
    return { %{ answer($r->status, $r->body) }, nonce => [ $r->header('DPoP-Nonce') ] };
}
my @first = map { ask_at(\%s, DPoP => proof(claims => $_)) } {}, { nonce => 'x' }, { nonce => 7 };
refuses($_, 400, 'use_dpop_nonce', 'a proof without the nonce that was given') for @first;
is(scalar @{ $first[0]{nonce} }, 1, 'one DPoP-Nonce');
my $nonce = $first[0]{nonce}[0] // '';
$r = ask_at(\%s, DPoP => proof(claims => { nonce => $nonce }));
$c = gives($r, 'a proof with it');
is_deeply($c->{cnf}, { jkt => jkt('p256#dpop') }, 'binds the token');
refuses(ask_at(\%s, DPoP => proof(claims => { nonce => $nonce =~ tr/A-Za-z/B-ZAb-za/r })), 400, 'use_dpop_nonce', 'a nonce that is not ours');
gives(ask_at(\%s), 'no proof needs none');
# over restarts: the nonce is good for its time, and marks of proofs were made for the window before
ok($t->reload, 'a graceful restart');
gives(ask_at(\%s, DPoP => proof(claims => { nonce => $nonce })), '... and the nonce is good still');
$t->write_config($CONF =~ s/M2MDPoP nonce=On/M2MDPoP nonce=On window=600/r);
ok($t->reload, 'a restart raises the window');
my ($fresh) = @{ ask_at(\%s, DPoP => proof())->{nonce} };
gives(ask_at(\%s, DPoP => proof(claims => { nonce => $fresh })), 'a proof of now');
$r = ask_at(\%s, DPoP => proof(claims => { nonce => $fresh, iat => time - 200 }));
refuses($r, 400, 'invalid_dpop_proof', 'one that was too old before, and may have been used then');
$t->write_config($CONF);
ok($t->reload, 'as it was');
gives(ask(\%s, DPoP => proof()), 'nor does a proof at another endpoint');

# --- assertions: the scope first, and a share for each client ---

sub assertion {
    my ($client, $key, %o) = @_;
    return (client_assertion_type => $JWT, client_assertion => mint($key, { iss => $client,
        sub => $client, aud => $issuer, exp => time + 3000, jti => 'a' . ++$n, %o }));
}
my %kept = assertion('app_b', 'p256#b');
refuses(ask({ %kept, scope => "$API|write" }), 400, 'invalid_scope', 'an assertion and a scope too much');
gives(ask(\%kept), 'does not use it up');
refuses(ask(\%kept), 401, 'invalid_client', 'a token does');
my @status = map { ask({ assertion('app_a', 'p256#a') })->{status} } 1 .. 12;
is(scalar(grep { $_ == 200 } @status), 8, 'a client holds a tenth of the store');
$r = ask({ assertion('app_a', 'p256#a') });
refuses($r, 503, 'temporarily_unavailable', 'then it has to wait');
like($r->{r}->header('Retry-After') // '', qr/\A[1-9]\d*\z/, 'and is told how long');
gives(ask({ assertion('app_b', 'p256#b') }), 'another client');
gives(ask(\%s), 'and one with a secret');
like($t->error_log, qr/M2-720: client app_a from 127\.0\.0\.1: the client holds its share/, 'the log tells');

# --- keys of clients change without a restart ---

spew("$root/b.new", jwks_json(jwk('p256#b2', kid => 'b2')));
chmod 0644, "$root/b.new";
rename "$root/b.new", "$root/b.json" or die $!;
# who is known by them is told that the scope is too much, which uses no assertion up
$t->everywhere('a new key counts', sub { ask({ assertion('app_b', 'p256#b2'), scope => "$API|write" })->{status} == 400 });
gives(ask({ assertion('app_b', 'p256#b2') }), 'for a token, too');
refuses(ask({ assertion('app_b', 'p256#b') }), 401, 'invalid_client', 'and the old one no more');

# --- a certificate that is known by its hash needs no CA ---

$t->write_config($CONF =~ s/^M2MClientCert app_dns?.*\n//mgr =~ s/SSLVerifyClient optional/$&_no_ca/r);
ok($t->reload('HUP'), 'reload without names');
$c = gives(ask_tls('self', { client_id => 'app_x5t' }), 'a certificate by its hash');
is_deeply($c->{cnf}, { 'x5t#S256' => x5t('self') }, 'binds the token to it');
refuses(ask_tls('one', { client_id => 'app_x5t' }), 401, 'invalid_client', 'a certificate of the CA in its place');
my %files = map { $_ => slurp("$root/$_") }
    qw(rsa.pem a.json b.json ed.json clients tls.crt tls.key ca.crt);
$t->finish(more => 1);

# --- what httpd -t says ---

sub try {
    my ($from, $to) = @_;
    my $conf = $CONF =~ s/\Q$from\E/$to/r;
    die "no '$from'" if $from ne $to && $conf eq $CONF;
    no warnings 'redefine';
    my $prepare = \&M2MGW::Test::prepare;
    local *M2MGW::Test::prepare = sub {
        my $self = $prepare->(@_);
        chmod 0600, "$self->{root}/rsa.pem", "$self->{root}/tls.key";
        return $self;
    };
    return try_config($conf, issuer => 1, modules => ['ssl'],
        files => \%files);
}
my ($st, $out) = try('', '');
is($st, 0, 'the configuration that is varied is right') or diag($out);
for my $case ([ 'SSLVerifyClient optional', 'SSLVerifyClient optional_no_ca', qr/only x5t= goes with/, 'names without a CA' ],
              [ 'san-dns=one.test', 'dns=one.test', qr/M2MClientCert app_dns: "dns=one\.test" is not one of/, 'an unknown kind of name' ],
              [ 'app_dns san', 'app:dns san', qr/M2MClientCert takes CLIENT/, 'an impossible client' ],
              [ 'Required app_must', 'Maybe', qr/M2MIssuerDPoP takes Off, On or Required/, 'an unknown mode' ],
              [ 'Required app_must', 'On app_must', qr/M2MIssuerDPoP takes Off, On or Required/, 'clients without Required' ],
              [ 'shm entries=80', 'shm entries=x', qr/M2MAssertionStore /, 'a bad store' ]) {
    my ($from, $to, $like, $name) = @$case;
    ($st, $out) = try($from, $to);
    ok($st != 0 && $out =~ $like, "httpd -t refuses: $name") or diag("exit $st: $out");
}
($st, $out) = try("    M2MClientProvider file\n    AuthUserFile \@ROOT\@/clients\n", '');
is($st, 0, 'keys and certificates alone will do') or diag($out);
like($out, qr/M2-701: <Location \/idp\/token> names no M2MClientProvider/, 'with a notice');
done_testing();
