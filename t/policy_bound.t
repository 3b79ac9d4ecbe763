#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# Who owns a token: what m2mctl explain and m2mctl test say of it is what the gateway does. Each
# request is sent, explained by the dump of the same configuration, and expected in a table of
# cases.
use strict;
use warnings;
use Digest::SHA qw(sha256);
use File::Temp ();
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP ();
use MIME::Base64 qw(encode_base64);
use M2MGW::Test;

my $tool = M2MGW::Test::m2mctl();
plan skip_all => 'm2mctl is not built' if !$tool;
my $json = JSON::PP->new->utf8->canonical;
my $dir = File::Temp->newdir;

sub openssl { system("cd $dir && openssl $_[0] >/dev/null 2>&1") == 0 or die "openssl $_[0]" }
for my $name (qw(one two)) {
    openssl("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=$name -keyout $name.key -out $name.pem");
    openssl("x509 -in $name.pem -outform DER -out $name.der");
}

my $t = M2MGW::Test->start(config => <<'CONF', files => { 'keys.json' => jwks_json(jwk('p256#issuer', kid => 'I')), 'nonce.key' => 'k' x 40 });
M2MDPoPNonceKey @ROOT@/nonce.key
ProxyPass / http://@BACKEND@/
<Location /api>
    M2MJwks file:@ROOT@/keys.json
    M2MParameter cert Header:X-Client-Cert
    M2MRule forged "$cert = 'forged'" ifTrue=DENY
</Location>
<Location /api/only>
    M2MSenderConstraint DPoP
</Location>
<Location /api/any>
    M2MSenderConstraint Any
</Location>
<Location /api/mtls>
    M2MSenderConstraint mTLS
    M2MClientCertificate header:X-Client-Cert from=127.0.0.1
</Location>
<Location /api/far>
    M2MClientCertificate header:X-Client-Cert from=10.0.0.0/8
</Location>
<Location /api/off>
    M2MSenderConstraint Off
</Location>
<Location /api/algs>
    M2MDPoP algs=Ed25519 window=300
</Location>
<Location /api/public>
    M2MPublicURL https://api.example/v1
</Location>
<Location /api/nonce>
    M2MDPoP nonce=On
    M2MErrorProfile gateway
</Location>
<Location /api/maybe>
    M2MBypassEmptyToken On
</Location>
<Location /api/xtoken>
    M2MToken header:X-Token query:tok
</Location>
CONF

my $dump = "$t->{root}/dump.json";
my @command = $t->command('-t', '-D', 'DUMP_M2M_JSON');
my $pid = fork // die "fork: $!";
if (!$pid) {
    open STDOUT, '>', $dump or die "$dump: $!";
    open STDERR, '>', "$t->{root}/dump.err" or die $!;
    exec @command or POSIX::_exit(127);
}
waitpid $pid, 0;
is($? >> 8, 0, 'httpd -t -D DUMP_M2M_JSON');
my ($public) = grep { ($_->{location} // '') eq '/api/public' } @{ $json->decode(slurp($dump))->{sections} };
is_deeply($public->{policy}{public_urls}, ['https://api.example/v1'], 'M2MPublicURL is in the dump');
my ($far) = grep { ($_->{location} // '') eq '/api/far' } @{ $json->decode(slurp($dump))->{sections} };
is_deeply($far->{policy}{client_certificate}, { header => 'X-Client-Cert', from => ['10.0.0.0/8'], verified => JSON::PP::false },
          'M2MClientCertificate as well');

sub tool {
    my (@args) = @_;
    open my $in, '-|', $tool, @args or die "$tool: $!";
    local $/;
    my $out = <$in> // '';
    close $in;
    return { status => $? >> 8, out => $out, json => scalar eval { $json->decode($out) } };
}

# --- tokens and proofs ---

sub jkt { my $j = jwk($_[0]); return b64(sha256($json->encode({ map { $_ => $j->{$_} } grep { exists $j->{$_} } qw(crv kty x y e n) }))) }
sub x5t { b64(sha256(slurp("$dir/$_[0].der"))) }
sub item { ':' . encode_base64(slurp("$dir/$_[0].der"), '') . ':' }
my $serial = 0;
sub token { my (%c) = @_; return mint('p256#issuer', { sub => 'a', n => ++$serial, %c }, { kid => 'I' }) }
sub bound { return token(cnf => { jkt => jkt($_[0] // 'p256#client') }) }
sub proof {
    my ($token, $url, %o) = @_;
    my $key = $o{key} // 'p256#client';
    return mint($key, { exp => undef, jti => "j$$-" . ++$serial, htm => 'GET', htu => $url, iat => now(),
                        ath => b64(sha256($token)), %{ $o{claims} // {} } },
                { typ => 'dpop+jwt', jwk => jwk($key), %{ $o{header} // {} } });
}

# --- the same request three times ---

my @cases;
sub same {
    my ($path, $headers, $reason, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my @pairs = map { [ @$headers[ 2 * $_, 2 * $_ + 1 ] ] } 0 .. @$headers / 2 - 1;
    my $r = tool('explain', '--json', '--policy', $dump, '--url', "http://gw.test$path", map { ('--header', "$_->[0]: $_->[1]") } @pairs);
    is($r->{json}{reason}, $reason, "explain: $name") or diag($r->{out});
    my @failed = grep { !$_->{ok} } @{ $r->{json}{steps} // [] };
    is(scalar @failed, $r->{json}{decision} eq 'deny' ? 1 : 0, '... at one step') or diag($r->{out});
    my $sent = $t->get($path, headers => \@pairs);
    is($sent->reason, $reason, '... as the gateway decides it');
    is($sent->status, $r->{json}{status} // 200, '... with that status');
    my %h = map { lc $_->[0] => $_->[1] } @pairs;
    push @cases, { name => $name, request => { url => "http://gw.test$path", headers => { map { @$_ } @pairs } },
                   expect => { reason => $reason, status => $sent->status + 0 } } if keys %h == @pairs;
}
sub dpop { my ($path, $token, @more) = @_; return [ Authorization => "DPoP $token", DPoP => proof($token, "http://gw.test$path"), @more ] }
sub with_cert { my ($path, $claims, @more) = @_; same($path, [ Authorization => 'Bearer ' . token(%$claims), @{ $more[0] } ], @more[1, 2]) }

my $b = bound();
same('/api', dpop('/api', $b), 'ok', 'a bound token and its proof');
same('/api', [ Authorization => 'Bearer ' . token() ], 'ok', 'an unbound one');
same('/api', [ Authorization => "Bearer $b" ], 'proof_missing', 'a bound token as Bearer');
same('/api', [ Authorization => "Bearer $b", DPoP => proof($b, 'http://gw.test/api') ], 'proof_missing', '... beside its proof');
same('/api', [ Authorization => "DPoP $b" ], 'proof_missing', 'no proof');
same('/api', [ Authorization => "DPoP $b", DPoP => '' ], 'proof_missing', 'an empty one');
same('/api', [ Authorization => "DPoP $b", map { (DPoP => proof($b, 'http://gw.test/api')) } 1, 2 ], 'proof_invalid', 'two of them');
same('/api', [ Authorization => "DPoP $b", DPoP => 'x' ], 'proof_invalid', 'one that is none');
{
    my $u = token();
    same('/api', [ Authorization => "DPoP $u", DPoP => proof($u, 'http://gw.test/api') ], 'proof_invalid', 'an unbound token as DPoP');
    same('/api', [ Authorization => "DPoP $u" ], 'proof_invalid', '... without a proof');
    same('/api', [ Authorization => "Bearer $u", DPoP => 'x' ], 'ok', 'a proof that nobody asks for');
}
same('/api', [ Authorization => "DPoP $b", DPoP => proof($b, @$_[0], %{ $_->[1] }) ], 'proof_invalid', "a proof $_->[2]") for
    [ 'http://gw.test/api2', {}, 'for another path' ], [ 'https://gw.test/api', {}, 'for another scheme' ],
    [ 'http://other.test/api', {}, 'for another host' ], [ 'http://gw.test/api', { key => 'p256#thief' }, 'by another key' ],
    [ 'http://gw.test/api', { claims => { htm => 'POST' } }, 'for another method' ],
    [ 'http://gw.test/api', { claims => { iat => now() - 200 } }, 'from long ago' ],
    [ 'http://gw.test/api', { claims => { ath => b64(sha256('x')) } }, 'for another token' ],
    [ 'http://gw.test/api', { header => { typ => 'JWT' } }, 'of another type' ];
same('/api', [ Authorization => 'Bearer ' . token(cnf => $_->[0]) ], $_->[1], $_->[2]) for
    [ 'x', 'claim_invalid', 'cnf that is not an object' ], [ { jkt => 'short' }, 'claim_invalid', 'a thumbprint that is none' ],
    [ {}, 'proof_missing', 'an empty cnf' ], [ { kid => 'x' }, 'proof_missing', 'one that names nothing known' ];
same('/api/only', [ Authorization => 'Bearer ' . token() ], 'proof_missing', 'DPoP wants a binding');
same('/api/only', dpop('/api/only', $b), 'ok', '... and takes it');
same('/api/any', [ Authorization => 'Bearer ' . token() ], 'proof_missing', 'Any wants one');
same('/api/any', dpop('/api/any', $b), 'ok', '... and takes it');
same('/api/off', [ Authorization => "Bearer $b" ], 'ok', 'Off looks at nothing');
same('/api/off', dpop('/api/off', $b), 'token_malformed', '... and knows no scheme DPoP');
same('/api/algs', dpop('/api/algs', $b), 'proof_invalid', 'an algorithm that is not taken');
{
    my $e = bound('ed25519#client');
    same('/api/algs', [ Authorization => "DPoP $e", DPoP => proof($e, 'http://gw.test/api/algs', key => 'ed25519#client', claims => { iat => now() - 200 }) ],
         'ok', 'one that is, in a wider window');
}
same('/api/public', [ Authorization => "DPoP $b", DPoP => proof($b, 'https://api.example/v1/api/public') ], 'ok', 'below M2MPublicURL');
same('/api/public', dpop('/api/public', $b), 'proof_invalid', 'not below it');
same('/api/maybe', [], 'bypass', 'no token where none is needed');
same('/api/maybe', [ DPoP => proof($b, 'http://gw.test/api/maybe') ], 'bypass', '... beside a proof');
same('/api/maybe', [ Authorization => "Bearer $b" ], 'proof_missing', 'a bound token there');
same('/api/xtoken', [ 'X-Token' => "DPoP $b", DPoP => proof($b, 'http://gw.test/api/xtoken') ], 'ok', 'a header under the scheme');
same('/api/xtoken', [ 'X-Token' => $b, DPoP => proof($b, 'http://gw.test/api/xtoken') ], 'proof_missing', 'a bare token');
same("/api/xtoken?tok=$b", [ DPoP => proof($b, 'http://gw.test/api/xtoken') ], 'proof_missing', 'one in the query');

# --- certificates ---

my %cnf = (cnf => { 'x5t#S256' => x5t('one') });
with_cert('/api/mtls', \%cnf, [ 'X-Client-Cert' => item('one') ], 'ok', 'the certificate of a listed peer');
with_cert('/api/mtls', \%cnf, [ 'X-Client-Cert' => item('two') ], 'cert_mismatch', 'another one');
with_cert('/api/mtls', \%cnf, [ 'X_Client_Cert' => item('one') ], 'cert_mismatch', 'another spelling');
with_cert('/api/mtls', \%cnf, [], 'cert_mismatch', 'none');
with_cert('/api/mtls', {}, [ 'X-Client-Cert' => item('one') ], 'proof_missing', 'mTLS wants a binding');
with_cert('/api/far', \%cnf, [ 'X-Client-Cert' => item('one') ], 'cert_mismatch', 'a peer that is not listed');
with_cert('/api/far', {}, [ 'X-Client-Cert' => 'forged' ], 'ok', '... whose header no rule reads');
with_cert('/api/mtls', \%cnf, [ 'X-Client-Cert' => 'forged' ], 'cert_mismatch', 'a header that holds none');
with_cert('/api', \%cnf, [ 'X-Client-Cert' => item('one') ], 'cert_mismatch', 'a header that is not the place');
{
    my $both = token(cnf => { jkt => jkt('p256#client'), 'x5t#S256' => x5t('one') });
    same('/api/any', dpop('/api/any', $both), 'cert_mismatch', 'bound to both, with a proof alone');
    my $url = '/api/mtls';
    same($url, dpop($url, $both, 'X-Client-Cert' => item('one')), 'ok', '... with both');
}

for my $c ([ '/api/far', '10.1.2.3', 'ok' ], [ '/api/far', '::ffff:10.1.2.3', 'ok' ], [ '/api/far', '11.1.2.3', 'cert_mismatch' ],
           [ '/api/far', '::1', 'cert_mismatch' ], [ '/api/mtls', '127.0.0.2', 'cert_mismatch' ]) {
    my $r = tool('explain', '--json', '--policy', $dump, '--url', $c->[0], '--client-ip', $c->[1], '--header', 'X-Client-Cert: ' . item('one'),
                 '--header', 'Authorization: Bearer ' . token(%cnf));
    is($r->{json}{reason}, $c->[2], "explain: a certificate at $c->[0] from $c->[1]") or diag($r->{out});
}
is(tool('explain', '--json', '--policy', $dump, '--url', '/api/far', '--client-ip', 'localhost', '--header', 'Authorization: Bearer ' . token(%cnf))->{status},
   2, 'explain: localhost is not an address');
is(tool('explain', '--json', '--policy', $dump, '--url', '/api', '--cert', "$dir/one.pem", '--header', 'Authorization: Bearer ' . token(%cnf))->{json}{reason},
   'ok', 'explain: --cert');

# --- nonces ---

same('/api/nonce', dpop('/api/nonce', $b), 'proof_nonce', 'a proof without a nonce');
sub explain_nonce {
    my ($nonce, @more) = @_;
    return tool('explain', '--json', '--policy', $dump, '--url', 'http://gw.test/api/nonce', '--header', "Authorization: DPoP $b", @more,
                '--header', 'DPoP: ' . proof($b, 'http://gw.test/api/nonce', claims => { nonce => $nonce }));
}
my $nonce = $t->get('/api/nonce', headers => dpop('/api/nonce', $b))->header('DPoP-Nonce');
my @key = ('--dpop-nonce-key', "$t->{root}/nonce.key");
for my $c ([ $nonce, 'ok', 'one of the gateway' ], [ 'made-up', 'proof_nonce', 'one of nobody' ]) {
    my $r = explain_nonce($c->[0]);
    is($r->{json}{reason}, 'ok', "a nonce, $c->[2], cannot be judged without the key");
    is(scalar(grep { $_->{text} =~ /a nonce is there; whether .* the gateway alone can tell/ } @{ $r->{json}{steps} }), 1, '... which is told');
    $r = explain_nonce($c->[0], @key);
    is($r->{json}{reason}, $c->[1], '... and can with it') or diag($r->{out});
    is($t->get('/api/nonce', headers => [ Authorization => "DPoP $b", DPoP => proof($b, 'http://gw.test/api/nonce', claims => { nonce => $c->[0] }) ])->reason,
       $c->[1], '... as the gateway does');
}
is(tool('explain', '--policy', $dump, '--url', 'http://gw.test/api/nonce', '--dpop-nonce-key', $dump . '.none')->{status}, 2, 'a key file that is not there');
unlike(tool('explain', '--json', '--policy', $dump, '--url', 'http://gw.test/api', map { ('--header', $_) } "Authorization: DPoP $b", 'DPoP: ' . proof($b, 'http://gw.test/api'))->{out},
       qr/nonce is one of|given out lately/, 'nothing is said of a nonce that nobody asked for');

# --- tables of cases ---

sub cases {
    my ($list, @more) = @_;
    spew("$t->{root}/cases.json", $json->encode({ cases => $list }));
    return tool('test', @more, $dump, "$t->{root}/cases.json");
}
my $r = cases(\@cases);
ok(@cases > 40, 'there are cases');
is($r->{status}, 0, 'm2mctl test expects what the gateway did, case by case') or diag($r->{out});
$_->{expect}{reason} = 'jti_missing' for my @wrong = @{ $json->decode($json->encode(\@cases)) };
is(scalar(() = cases(\@wrong)->{out} =~ /^not ok/mg), scalar @cases, '... and misses every one that is wrong');
sub case { my ($path, $reason, %o) = @_; return { name => "$path $reason", request => { url => $path, %{ delete $o{request} // {} } }, expect => { reason => $reason }, %o } }
my %claims = (claims => { sub => 'a' });
$r = cases([
    case('/api', 'ok', %claims), case('/api/only', 'proof_missing', %claims), case('/api/any', 'proof_missing', %claims), case('/api/mtls', 'proof_missing', %claims),
    case('/api/only', 'ok', %claims, bound => 'DPoP'), case('http://gw.test/api/only', 'ok', %claims, bound => 'DPoP'),
    case('/api/only', 'ok', %claims, bound => 'DPoP', request => { method => 'POST' }),
    case('/api/any', 'ok', %claims, bound => 'mTLS'), case('/api/mtls', 'ok', %claims, bound => 'both'), case('/api/mtls', 'ok', %claims, bound => 'mTLS'),
    case('/api/mtls', 'proof_missing', %claims, bound => 'DPoP'), case('/api/algs', 'ok', %claims, bound => 'DPoP'),
    case('/api/public', 'ok', %claims, bound => 'DPoP'), case('/api/nonce', 'ok', %claims, bound => 'DPoP'),
    case('/api/off', 'token_malformed', %claims, bound => 'DPoP'),
    case('/api', 'proof_missing', claims => { cnf => { jkt => jkt('p256#client') } }), case('/api', 'cert_mismatch', claims => \%cnf),
    case('/api', 'claim_invalid', claims => { cnf => 'x' }),
    case('/api', 'cert_mismatch', token => token(%cnf)), case('/api', 'ok', token => token(%cnf), request => { certificate => "$dir/one.pem" }),
    case('/api', 'cert_mismatch', token => token(%cnf), request => { certificate => "$dir/two.pem" }),
    case('/api', 'proof_missing', token => "DPoP $b"), case('/api', 'proof_missing', token => "Bearer $b"),
    case('http://gw.test/api', 'ok', token => $b, request => { headers => { DPoP => proof($b, 'http://gw.test/api') } }),
    case('http://gw.test/api', 'proof_missing', token => "Bearer $b", request => { headers => { DPoP => proof($b, 'http://gw.test/api') } }) ]);
is($r->{status}, 0, 'claims that are bound, and tokens under a scheme') or diag($r->{out});
is(cases([ case('/api/nonce', 'ok', %claims, bound => 'DPoP') ], @key)->{status}, 0, '... with a nonce that is judged');
for my $bad ([ case('/api', 'ok', token => $b, bound => 'DPoP'), 'bound beside a token' ], [ case('/api', 'ok', %claims, bound => 'dpop2'), 'another word' ],
             [ case('/api', 'ok', %claims, request => { certificate => "$dir/one.key" }), 'a certificate that is none' ]) {
    is(cases([ $bad->[0] ])->{status}, 2, "refused: $bad->[1]");
}
is(tool('test', '--jwks', "$t->{root}/keys.json", '--sender-constraint', 'DPoP', "$t->{root}/cases.json")->{status}, 2, 'files: a certificate that is none');
spew("$t->{root}/cases.json", $json->encode({ cases => [ case('/x', 'proof_missing', %claims), case('/x', 'ok', %claims, bound => 'DPoP') ] }));
is(tool('test', '--jwks', "$t->{root}/keys.json", '--sender-constraint', 'DPoP', "$t->{root}/cases.json")->{status}, 0, 'files and options: --sender-constraint');

# --- texts ---

{
    my $expired = mint('p256#issuer', { exp => now() - 1000, cnf => { jkt => jkt('p256#client') } }, { kid => 'I' });
    spew("$t->{root}/token", "DPoP $expired\n");
    spew("$t->{root}/proof", proof($expired, 'http://gw.test/api'));
    my @verify = ('verify', '--jwks', "$t->{root}/keys.json", '--token-file', "$t->{root}/token", '--proof', "$t->{root}/proof", '--url', 'http://gw.test/api');
    my $v = tool(@verify);
    unlike($v->{out}, qr/^NO/m, 'verify: a proof is not blamed for its token');
    like($v->{out}, qr/proof +not looked at\n.*deny: expired/s, '... and is not looked at');
    is_deeply(tool(@verify, '--json')->{json}{proof}, [], '... in JSON neither');
    is(tool(@verify, '--now', now() - 2000, '--dpop-window', 3000)->{status}, 0, 'a token file with DPoP in front');
    spew("$t->{root}/token", "Bearer $expired\n");
    like(tool(@verify, '--now', now() - 2000, '--dpop-window', 3000)->{out}, qr/deny: proof_missing/, '... with Bearer in front');
    is(tool(@verify, '--now', now() - 2000, '--dpop-window', 3000, '--scheme', 'DPoP')->{status}, 0, '... which --scheme overrides');
    is(tool(@verify, '--scheme', 'Basic')->{status}, 2, 'there is no other scheme');
    spew("$t->{root}/key.pem", key('p256#client')->{text});
    my @made = map { spew("$t->{root}/token", "$_$b\n"); tool('dpop', '--key', "$t->{root}/key.pem", '--url', 'http://gw.test/', '--token-file', "$t->{root}/token")->{out} } '', 'DPoP ', 'dpop  ', 'Bearer ';
    $t->secret(/\.([\w-]+)\s*\z/) for @made;
    is($json->decode(unb64((split /\./, $_)[1]))->{ath}, b64(sha256($b)), 'm2mctl dpop: ath is the hash of the bare token') for @made;
}
$t->expect_log(qr/M2-101/);
$t->finish;
