#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# The requests of the cloud's own SDK at our M2M server, as t/interop/cloud-sdk.json records
# them: by secret, and by an assertion of each kind of key, which names no kid; the answers have
# the members that it reads, and the tokens pass the gateway.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use MIME::Base64 qw(encode_base64);
use M2MGW::Test;

plan skip_all => 'mod_m2m_issuer is not built' if !M2MGW::Test::built('mod_m2m_issuer');

my $json = JSON::PP->new->utf8;
my $sdk = $json->decode(slurp("$FindBin::Bin/interop/cloud-sdk.json"));
my %alg = %{ $sdk->{algorithms} };
my $API = 'https://api.example.com';
my $SECRET = 'correcthorse';
chomp(my $hash = `htpasswd -nbBC 5 x $SECRET 2>/dev/null` =~ s/^x://r =~ s/\s+\z//r);
plan skip_all => 'needs htpasswd' if $hash !~ /\A\$2y/;

my $clients = join '', map { "M2MClientKeys app_$_ file:\@ROOT\@/$_.json\nM2MGrant $API app_$_ user:read:one user:read:two\n" } sort keys %alg;
my $t = M2MGW::Test->prepare(issuer => 1, files => { 'sign.pem' => key('rsa#sdk')->{text}, 'jwks.json' => jwks_json(jwk('rsa#sdk', kid => 'main')), clients => "app_s:$hash\n",
                             map { ("$_.json" => jwks_json(jwk("$_#sdk"))) } keys %alg });
chmod 0600, "$t->{root}/sign.pem";
$t->secret($SECRET);
my $endpoint = 'http://127.0.0.1:' . $t->port . '/api/v2/iauths_system/oauth2/token';
$t->begin(<<"CONF");
M2MIssuerName http://127.0.0.1:\@PORT\@/api/v2/iauths_system/oauth2
M2MSigningKey \@ROOT\@/sign.pem kid=main
M2MGrant $API app_s user:read:one user:read:two
$clients
<Location /api/v2/iauths_system/oauth2/token>
    SetHandler m2m-token
    M2MClientProvider file
    AuthUserFile \@ROOT\@/clients
</Location>
<Location /api/v2/iauths_system/oauth2/jwks>
    SetHandler m2m-jwks
</Location>
<Location /orders>
    M2MJwks file:\@ROOT\@/jwks.json
    M2MIssuer http://127.0.0.1:\@PORT\@/api/v2/iauths_system/oauth2
    M2MAudience $API
    M2MRequireClaim scope user:read:one
    ProxyPass http://\@BACKEND\@/
</Location>
CONF

$t->expect_log(qr/client_assertion/); # "assert" alone would look like a crash
my $n = 0;
sub filled {
    my ($text, %o) = @_;
    return $o{now} + 600 if $text eq 'NOW+600';
    my %with = (CLIENT => $o{client}, SECRET => $SECRET, SCOPE => $o{scope}, ENDPOINT => $endpoint, ALG => $o{alg}, NOW => $o{now}, ASSERTION => $o{assertion} // '', AUDIENCE => $API,
                UUID => sprintf '%08x-0000-4000-8000-%012x', $$, ++$n);
    return $text =~ s/\b(CLIENT|SECRET|SCOPE|ENDPOINT|ALG|NOW|ASSERTION|AUDIENCE|UUID)\b/$with{$1}/gr;
}
sub enc { $_[0] =~ s/([^A-Za-z0-9_.~-])/sprintf '%%%02X', ord $1/ger }

sub ask {
    my ($request, %o) = @_;
    %o = (now => time, %o);
    $o{scope} = filled($o{scope}, %o);
    if ($o{key}) {
        my ($h, $c) = map { my $part = $sdk->{assertion}{$_}; +{ map { my $v = filled($part->{$_}, %o); ($_ => /\A(?:iat|exp)\z/ ? 0 + $v : $v) } keys %$part } } qw(header claims);
        $o{assertion} = mint("$o{key}#sdk", { %$c, %{ $o{claims} // {} } }, $h, sign => $o{alg});
    }
    my $body = join '&', map { enc($_->[0]) . '=' . enc(filled($_->[1], %o)) } @{ $request->{form} };
    my @basic = $request->{basic} ? (Authorization => 'Basic ' . encode_base64("$o{client}:$SECRET", '')) : ();
    my $r = $t->post('/api/v2/iauths_system/oauth2/token', $body, headers => [ 'Content-Type' => $sdk->{content_type}, @basic ]);
    $r->{json} = eval { $json->decode($r->body) } // {};
    $t->secret($1) if ($r->{json}{access_token} // '') =~ /([^.]+)\z/;
    return $r;
}

sub gives {
    my ($what, $request, %o) = @_;
    for my $scope (@{ $sdk->{scopes} }) {
        my $r = ask($request, %o, scope => $scope);
        my $j = $r->{json};
        is(join(' ', grep { defined $j->{$_} } @{ $sdk->{response} }), join(' ', @{ $sdk->{response} }), "$what, $scope: every member that is read") or diag($r->status . ' ' . $r->body);
        is(lc($j->{token_type} // ''), 'bearer', "$what, $scope: a bearer token");
        passes($t->get('/orders', token => $j->{access_token} // 'none'), "$what, $scope: the token passes");
    }
}

my %request = map { ($_->{name} => $_) } @{ $sdk->{requests} };
gives($_, $request{$_}, client => 'app_s') for qw(client_secret_post client_secret_basic);
gives("private_key_jwt by $alg{$_}", $request{private_key_jwt}, client => "app_$_", key => $_, alg => $alg{$_}) for sort keys %alg;

# the same, and one thing wrong
my %good = (client => 'app_rsa', key => 'rsa', alg => 'RS256', scope => 'AUDIENCE|user:read:one');
my $r = ask($request{private_key_jwt}, %good, claims => { aud => "$endpoint/x" });
is($r->status . ' ' . ($r->{json}{error} // ''), '401 invalid_client', 'an assertion for another endpoint');
$r = ask($request{private_key_jwt}, %good, client => 'app_p256');
is($r->status . ' ' . ($r->{json}{error} // ''), '401 invalid_client', "another client's key");
$r = ask($request{private_key_jwt}, %good, scope => 'AUDIENCE|admin');
is($r->status . ' ' . ($r->{json}{error} // ''), '400 invalid_scope', 'what is not granted');
$r = ask($request{private_key_jwt}, %good);
is($r->status, 200, 'control');
$t->finish;
