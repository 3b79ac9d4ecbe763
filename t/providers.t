#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# The key sets and tokens of identity providers, in the shape each has them, with what
# docs/providers.md tells an operator to write: the blocks are read from there, and only their
# addresses are those of a server of this suite. Per provider a token that passes, with the
# client it names, and tokens that are wrong as that provider's tokens are: of another tenant,
# for another audience, of another kind, without the permission; forged; of its neighbour.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Digest::SHA qw(sha1 sha256);
use File::Temp ();
use MIME::Base64 qw(encode_base64);
use Time::HiRes qw(sleep time);
use M2MGW::Test;

BEGIN { plan(skip_all => 'needs IO::Socket::SSL') if !eval { require IO::Socket::SSL; 1 } }
use M2MGW::Idp;

my $json = JSON::PP->new->latin1->canonical;
my $home = File::Temp::tempdir(CLEANUP => 1);
chmod 0755, $home;
my $idp = M2MGW::Idp->start("$home/idp");
my ($null, $true) = ('<null>', JSON::PP::true());

# --- the shapes of keys ---

my %der;
sub certificate { my ($key) = @_; return $der{$key} //= M2MGW::Token::openssl('', qw(req -x509 -new -days 30 -subj /CN=signing -outform DER -key), key($key)->{file}) }
sub x5t { return b64(sha1(certificate($_[0]))) }
sub x5c { return [ encode_base64(certificate($_[0]), '') ] }
sub certificate_pem { return "-----BEGIN CERTIFICATE-----\n" . encode_base64(certificate($_[0])) . "-----END CERTIFICATE-----\n" }
sub doc { my ($d) = @_; return ref $d ? $json->encode($d) =~ s/"\Q$null\E"/null/gr : $d }

# --- the providers ---
#
# name in docs/providers.md, and:  docs: path of the provider => document;  key, header and
# claims of a token;  user: whom it names;  bad: [what, claims, status, reason, header, key]

my $API = 'https://api.example.com';
my $now = time;
my %common = (iat => int $now - 10, nbf => int $now - 10);
my @providers;
sub provider { my ($name, %p) = @_; push @providers, { name => $name, %p } }

# the metadata below an issuer that is found by OpenID discovery
sub discovery {
    my ($issuer, $jwks) = @_;
    my $url = $idp->url("/$issuer");
    (my $bare = $issuer) =~ s{/\z}{};
    return ("/$bare/.well-known/openid-configuration" => { issuer => $url, jwks_uri => $idp->url("/$bare$jwks"), response_types_supported => ['token'] });
}

my $tenant = '9188040d-6c67-4c5b-b112-36a304b66dad';
sub entra { my ($key, $kid) = @_; return { kty => 'RSA', use => 'sig', kid => $kid, x5t => $kid, %{ jwk($key) }, x5c => x5c($key), issuer => 'https://login.microsoftonline.com/{tenantid}/v2.0' } }
provider('Entra ID, v2.0', key => 'rsa#entra', user => 'client-1',
    docs => { discovery("login.microsoftonline.com/$tenant/v2.0", '/discovery/keys'),
              "/login.microsoftonline.com/$tenant/v2.0/discovery/keys" => { keys => [ entra('rsa#entra', x5t('rsa#entra')), entra('rsa#entra1', x5t('rsa#entra1')) ] } },
    header => { typ => 'JWT', kid => x5t('rsa#entra') },
    claims => { %common, iss => $idp->url("/login.microsoftonline.com/$tenant/v2.0"), aud => '11112222-bbbb-3333-cccc-4444dddd5555', azp => 'client-1', azpacr => '1',
                oid => 'o', sub => 'o', tid => $tenant, idtyp => 'app', ver => '2.0', uti => 'u', rh => '0.A', roles => [ 'Orders.Read', 'Orders.Write' ] },
    bad => [ [ 'another tenant', { iss => 'https://login.microsoftonline.com/other/v2.0' }, 401, 'issuer_mismatch' ], [ 'Microsoft Graph', { aud => '00000003-0000-0000-c000-000000000000' }, 401, 'audience_mismatch' ],
             [ 'a v1.0 token', { iss => "https://sts.windows.net/$tenant/", ver => '1.0' }, 401, 'issuer_mismatch' ], [ 'no role', { roles => [] }, 403, 'insufficient_scope' ],
             [ 'a user who may what the application may', { roles => undef, scp => 'Orders.Read' }, 403, 'insufficient_scope' ] ]);
provider('Entra ID, v1.0', key => 'rsa#entra1', user => 'client-1',
    docs => { discovery("sts.windows.net/$tenant/", '/discovery/keys'), "/sts.windows.net/$tenant/discovery/keys" => { keys => [ entra('rsa#entra1', x5t('rsa#entra1')), entra('rsa#entra', x5t('rsa#entra')) ] } },
    header => { typ => 'JWT', kid => x5t('rsa#entra1'), x5t => x5t('rsa#entra1') },
    claims => { %common, iss => $idp->url("/sts.windows.net/$tenant/"), aud => 'api://orders', appid => 'client-1', appidacr => '1', tid => $tenant, ver => '1.0', roles => ['Orders.Read'] },
    bad => [ [ 'the slash is missing', { iss => $idp->url("/sts.windows.net/$tenant") }, 401, 'issuer_mismatch' ], [ 'the id of the application for its URI', { aud => '11112222-bbbb-3333-cccc-4444dddd5555' }, 401, 'audience_mismatch' ],
             [ 'another role', { roles => ['Orders.Reader'] }, 403, 'insufficient_scope' ] ]);
provider('Okta', key => 'rsa#okta', user => '0oa1',
    docs => { discovery('dev-1234.okta.com/oauth2/default', '/v1/keys'), '/dev-1234.okta.com/oauth2/default/v1/keys' => { keys => [ { alg => 'RS256', use => 'sig', kid => 'okta-1', %{ jwk('rsa#okta') } } ] } },
    header => { kid => 'okta-1', typ => undef },
    claims => { %common, ver => 1, jti => 'AT.1', iss => $idp->url('/dev-1234.okta.com/oauth2/default'), aud => 'api://default', cid => '0oa1', scp => [ 'orders.read', 'orders.write' ], sub => '0oa1' },
    bad => [ [ 'another scope', { scp => ['orders.reader'] }, 403, 'insufficient_scope' ], [ "the org's own server", { iss => $idp->url('/dev-1234.okta.com') }, 401, 'issuer_mismatch' ],
             [ 'one scope that names both', { scp => ['orders.read orders.write'] }, 403, 'insufficient_scope' ] ]);
provider('Auth0', key => 'rsa#auth0', user => 'app1',
    docs => { discovery('example.eu.auth0.com/', '/.well-known/jwks.json'),
              '/example.eu.auth0.com/.well-known/jwks.json' => { keys => [ { use => 'sig', alg => 'RS256', kid => 'a0', x5t => x5t('rsa#auth0'), x5c => x5c('rsa#auth0'), %{ jwk('rsa#auth0') } } ] } },
    header => { typ => 'JWT', kid => 'a0' },
    claims => { %common, iss => $idp->url('/example.eu.auth0.com/'), sub => 'app1@clients', aud => [ $API, 'https://example.eu.auth0.com/userinfo' ], gty => 'client-credentials', azp => 'app1', scope => 'read:orders write:orders' },
    bad => [ [ 'the slash is missing', { iss => $idp->url('/example.eu.auth0.com') }, 401, 'issuer_mismatch' ], [ 'another API', { aud => 'https://else.example.com' }, 401, 'audience_mismatch' ],
             [ 'a longer scope', { scope => 'read:orders2' }, 403, 'insufficient_scope' ] ]);
my $pool = 'cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Ab129faBb';
provider('Cognito', key => 'rsa#cognito', user => '1example23456789',
    docs => { discovery($pool, '/.well-known/jwks.json'), "/$pool/.well-known/jwks.json" => { keys => [ { alg => 'RS256', use => 'sig', kid => 'id=', %{ jwk('rsa#cognito2') } }, { alg => 'RS256', use => 'sig', kid => 'access=', %{ jwk('rsa#cognito') } } ] } },
    header => { kid => 'access=', typ => undef },
    claims => { %common, sub => '1example23456789', token_use => 'access', scope => "$API/orders.read", auth_time => int $now, iss => $idp->url("/$pool"), version => 2, jti => 'j', client_id => '1example23456789' },
    bad => [ [ 'an ID token', { token_use => 'id', aud => '1example23456789' }, 401, 'claim_invalid', { kid => 'id=' }, 'rsa#cognito2' ], [ 'another resource server', { scope => 'https://else.example.com/orders.read' }, 403, 'insufficient_scope' ],
             [ 'another pool', { iss => "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_other" }, 401, 'issuer_mismatch' ] ]);
provider('Keycloak', key => 'rsa#keycloak', user => 'shop-app',
    docs => { discovery('sso.example.com/realms/shop', '/protocol/openid-connect/certs'),
              '/sso.example.com/realms/shop/protocol/openid-connect/certs' => { keys => [
                  { kid => 'enc', kty => 'RSA', alg => 'RSA-OAEP', use => 'enc', %{ jwk('rsa#keycloak2') }, x5c => x5c('rsa#keycloak2'), x5t => x5t('rsa#keycloak2'), 'x5t#S256' => b64(sha256(certificate('rsa#keycloak2'))) },
                  { kid => 'kc', kty => 'RSA', alg => 'RS256', use => 'sig', %{ jwk('rsa#keycloak') }, x5c => x5c('rsa#keycloak'), x5t => x5t('rsa#keycloak'), 'x5t#S256' => b64(sha256(certificate('rsa#keycloak'))) } ] } },
    header => { typ => 'JWT', kid => 'kc' },
    claims => { %common, jti => 'trrtcc:1', iss => $idp->url('/sso.example.com/realms/shop'), aud => [ 'orders-api', 'account' ], sub => 's', typ => 'Bearer', azp => 'shop-app', acr => '1', 'allowed-origins' => ['/*'],
                realm_access => { roles => ['offline_access'] }, resource_access => { 'my.client' => { roles => [ 'admin', 'user' ] }, my => { client => { roles => ['nobody'] } }, account => { roles => ['view'] } },
                scope => 'profile email', clientHost => '10.0.0.1', client_id => 'shop-app' },
    bad => [ [ 'no audience mapper', { aud => 'account' }, 401, 'audience_mismatch' ], [ 'the role of another client', { resource_access => { account => { roles => ['admin'] } } }, 401, 'claim_missing' ],
             [ 'another role', { resource_access => { 'my.client' => { roles => ['user'] } } }, 401, 'claim_invalid' ], [ 'another realm', { iss => $idp->url('/sso.example.com/realms/master') }, 401, 'issuer_mismatch' ],
             [ 'the encryption key', {}, 401, 'kid_unknown', { kid => 'enc' }, 'rsa#keycloak2' ] ]);
provider('Google', key => 'rsa#google', user => 'orders@project-1.iam.gserviceaccount.com',
    docs => { '/www.googleapis.com/oauth2/v1/certs' => { g1 => certificate_pem('rsa#google'), g2 => certificate_pem('rsa#google2') } },
    header => { typ => 'JWT', kid => 'g1' },
    claims => { %common, iss => 'https://accounts.google.com', aud => $API, azp => '1130', sub => '1130', email => 'orders@project-1.iam.gserviceaccount.com', email_verified => $true },
    bad => [ [ 'another account', { email => 'someone@gmail.com' }, 401, 'claim_invalid' ], [ 'for somebody else', { aud => 'https://else.example.com' }, 401, 'audience_mismatch' ], [ 'the issuer without https', { iss => 'accounts.google.com' }, 401, 'issuer_mismatch' ],
             [ 'the other certificate', {}, 401, 'signature_invalid', { kid => 'g2' } ] ]);
sub adfs { my ($key) = @_; return { kty => 'RSA', use => 'sig', alg => 'RS256', x5t => x5t($key), %{ jwk($key) }, x5c => x5c($key) } }
provider('AD FS', key => 'rsa#adfs', user => 'c0ffee',
    docs => { '/adfs.example.com/adfs/discovery/keys' => { keys => [ adfs('rsa#adfs2'), adfs('rsa#adfs') ] } },
    header => { typ => 'JWT', x5t => x5t('rsa#adfs') },
    claims => { %common, iss => 'http://adfs.example.com/adfs/services/trust', aud => 'microsoft:identityserver:orders-api', appid => 'c0ffee', apptype => 'Confidential', scp => 'orders.read', ver => '1.0' },
    bad => [ [ 'the other certificate', {}, 401, 'signature_invalid', { x5t => x5t('rsa#adfs2') } ], [ 'another farm', { iss => 'http://adfs.example.org/adfs/services/trust' }, 401, 'issuer_mismatch' ],
             [ 'another API', { aud => 'microsoft:identityserver:hr' }, 401, 'audience_mismatch' ], [ 'no scp', { scp => undef }, 403, 'insufficient_scope' ] ]);
my $am = 'am.example.com:443/am/oauth2/realms/root/realms/shop';
sub am { my ($alg) = @_; return { kty => 'RSA', kid => 'wU3=', use => 'sig', x5t => 'any', x5c => x5c('rsa#am'), %{ jwk('rsa#am') }, alg => $alg } }
provider('ForgeRock', key => 'rsa#am', user => 'shop-app',
    docs => { discovery($am, '/connect/jwk_uri'), "/$am/connect/jwk_uri" => { keys => [ am('RS256'), { kty => 'EC', kid => 'ec', use => 'sig', alg => 'ES256', %{ jwk('p256#am') } }, am('RS384'), am('RS512') ] } },
    header => { typ => 'JWT', kid => 'wU3=', alg => 'RS512' },
    claims => { %common, sub => '(age!shop-app)', cts => 'OAUTH2_STATELESS_GRANT', auditTrackingId => 'x-1', subname => 'shop-app', iss => $idp->url("/$am"), tokenName => 'access_token', token_type => 'Bearer', authGrantId => 'g',
                aud => 'shop-app', grant_type => 'client_credentials', scope => [ 'orders.read', 'orders.write' ], realm => '/shop', expires_in => 3600, jti => 'j', client_id => 'shop-app' },
    bad => [ [ 'an algorithm that the key is not published for', {}, 401, 'alg_not_allowed', { alg => 'PS256' } ], [ 'an ID token', { tokenName => 'id_token' }, 401, 'claim_invalid' ], [ 'another scope', { scope => ['orders'] }, 403, 'insufficient_scope' ],
             [ 'another realm', { iss => $idp->url('/am.example.com:443/am/oauth2') }, 401, 'issuer_mismatch' ] ]);
provider('PingFederate', key => 'rsa#ping', user => 'ping-app',
    docs => { '/ping.example.com/ext/orders-atm/jwks' => { keys => [ { kty => 'RSA', kid => 'k1', use => 'sig', x5t => x5t('rsa#ping'), x5c => x5c('rsa#ping'), %{ jwk('rsa#ping') } }, { kty => 'EC', kid => 'k2', use => 'sig', alg => 'ES384', %{ jwk('p384#ping') } } ] } },
    header => { typ => undef, kid => 'k1', 'pi.atm' => 'orders' },
    claims => { %common, scope => 'orders.read orders.write', client_id => 'ping-app', iss => 'https://ping.example.com', aud => $API, jti => 'j' },
    bad => [ [ 'the token manager writes no issuer', { iss => undef }, 401, 'issuer_mismatch|claim_missing' ], [ 'another API', { aud => 'https://else.example.com' }, 401, 'audience_mismatch' ], [ 'no scope', { scope => '' }, 403, 'insufficient_scope' ] ]);
provider('IdentityServer', key => 'rsa#ids', user => 'ids-app',
    docs => { discovery('identity.example.com', '/.well-known/openid-configuration/jwks'),
              # what .NET serialisers make of members that nobody filled
              '/identity.example.com/.well-known/openid-configuration/jwks' => { keys => [ { kty => 'RSA', use => 'sig', kid => 'IDS', alg => 'RS256', %{ jwk('rsa#ids') }, key_ops => [], oth => [], x5c => [], map { $_ => $null } qw(d p q dp dq qi k crv x y x5u x5t) } ] } },
    header => { typ => 'at+jwt', kid => 'IDS' },
    claims => { %common, iss => $idp->url('/identity.example.com'), aud => ['orders'], client_id => 'ids-app', jti => 'J', scope => [ 'orders.read', 'orders.write' ] },
    bad => [ [ 'an ID token', {}, 401, 'typ_mismatch', { typ => 'JWT' } ], [ 'an ApiScope without ApiResource', { aud => undef }, 401, 'claim_missing' ], [ 'another scope', { scope => ['orders'] }, 403, 'insufficient_scope' ] ]);
provider('Hydra', key => 'rsa#hydra', user => 'hydra-app',
    docs => { discovery('hydra.example.com', '/.well-known/jwks.json'), '/hydra.example.com/.well-known/jwks.json' => { keys => [ { use => 'sig', kty => 'RSA', kid => '3d', alg => 'RS256', %{ jwk('rsa#hydra') } } ] } },
    header => { typ => 'JWT', kid => '3d' },
    claims => { %common, iss => $idp->url('/hydra.example.com'), aud => [$API], client_id => 'hydra-app', ext => {}, jti => 'j', scp => ['orders.read'], sub => 'hydra-app' },
    bad => [ [ 'nobody asked for an audience', { aud => [] }, 401, 'audience_mismatch' ], [ 'another scope', { scp => ['orders'] }, 403, 'insufficient_scope' ], [ 'no scopes', { scp => [] }, 403, 'insufficient_scope' ] ]);
provider('Zitadel', key => 'rsa#zitadel', user => 'zit-app',
    docs => { discovery('shop-1.zitadel.cloud', '/oauth/v2/keys'), '/shop-1.zitadel.cloud/oauth/v2/keys' => { keys => [ { use => 'sig', kty => 'RSA', kid => '2600', alg => 'RS256', %{ jwk('rsa#zitadel') } } ] } },
    header => { kid => '2600', typ => undef },
    claims => { %common, iss => $idp->url('/shop-1.zitadel.cloud'), sub => '2711', aud => [ '2711@shop', '260000000000000001' ], client_id => 'zit-app', jti => 'j', 'urn:zitadel:iam:org:project:roles' => { reader => { '2600' => 'shop.example.com' } } },
    bad => [ [ 'another project', { aud => ['260000000000000002'] }, 401, 'audience_mismatch' ], [ 'another role', { 'urn:zitadel:iam:org:project:roles' => { reade => {} } }, 401, 'claim_missing' ], [ 'a number for the id of the project', { aud => 260000000000000001 }, 401, 'audience_mismatch|claim_invalid' ] ]);
provider('Kubernetes', key => 'rsa#k8s', user => 'system:serviceaccount:shop:checkout',
    files => { 'conf/kubernetes-jwks.json' => { keys => [ { use => 'sig', kty => 'RSA', kid => 'LE1n', alg => 'RS256', %{ jwk('rsa#k8s') } } ] } },
    header => { kid => 'LE1n', typ => undef },
    claims => { %common, aud => ['orders-api'], iss => 'https://kubernetes.default.svc.cluster.local', jti => 'j', sub => 'system:serviceaccount:shop:checkout',
                'kubernetes.io' => { namespace => 'shop', node => { name => 'n1', uid => 'u' }, pod => { name => 'p', uid => 'u' }, serviceaccount => { name => 'checkout', uid => 'u' } } },
    sent => { 'X-Service-Account' => 'checkout' },
    bad => [ [ 'another namespace', { 'kubernetes.io' => { namespace => 'shop2' } }, 401, 'claim_invalid' ], [ 'for the API server', { aud => ['https://kubernetes.default.svc'] }, 401, 'audience_mismatch' ], [ 'another cluster', { iss => 'https://oidc.eks.example' }, 401, 'issuer_mismatch' ] ]);
provider('GitHub Actions', key => 'rsa#github', user => 'example-org/orders',
    docs => { discovery('token.actions.githubusercontent.com', '/.well-known/jwks'),
              '/token.actions.githubusercontent.com/.well-known/jwks' => { keys => [ { kty => 'RSA', alg => 'RS256', use => 'sig', kid => 'cc41', x5c => x5c('rsa#github'), x5t => x5t('rsa#github'), %{ jwk('rsa#github') } } ] } },
    header => { typ => 'JWT', kid => 'cc41', x5t => x5t('rsa#github') },
    claims => { %common, jti => 'j', sub => 'repo:example-org/orders:ref:refs/heads/main', aud => $API, ref => 'refs/heads/main', sha => 'f', repository => 'example-org/orders', repository_owner => 'example-org', run_id => '1', actor => 'a',
                workflow => 'deploy', event_name => 'push', ref_type => 'branch', iss => $idp->url('/token.actions.githubusercontent.com') },
    bad => [ [ 'another repository', { repository => 'evil/orders' }, 401, 'claim_invalid' ], [ 'another branch', { ref => 'refs/pull/1/merge' }, 401, 'claim_invalid' ], [ 'the default audience', { aud => 'https://github.com/example-org' }, 401, 'audience_mismatch' ] ]);
provider('SPIFFE', key => 'p256#spiffe', user => 'spiffe://example.org/shop',
    docs => { '/spire.example.com/bundle' => { keys => [ { use => 'x509-svid', kty => 'EC', %{ jwk('p256#spiffe2') }, x5c => x5c('p256#spiffe2') }, { use => 'jwt-svid', kty => 'EC', kid => 'sp1', %{ jwk('p256#spiffe') } } ],
                                               spiffe_sequence => 3, spiffe_refresh_hint => 300 } },
    header => { typ => 'JWT', kid => 'sp1' },
    claims => { iat => int $now, sub => 'spiffe://example.org/shop', aud => ['spiffe://example.org/orders'] },
    bad => [ [ 'another workload', { sub => 'spiffe://example.org/intern' }, 401, 'claim_invalid' ], [ 'for another workload', { aud => ['spiffe://example.org/billing'] }, 401, 'audience_mismatch' ], [ 'an X.509 authority as the key', {}, 401, 'signature_invalid', {}, 'p256#spiffe2' ],
             [ 'no sub', { sub => undef }, 401, 'claim_missing' ] ]);
my $idaas = 'abcdefgh.aliyunidaas.com/api/v2/iauths_system/oauth2';
provider('Alibaba Cloud IDaaS', key => 'rsa#idaas', user => 'app_m7h',
    docs => { discovery($idaas, '/jwks'), "/$idaas/jwks" => { keys => [ { kty => 'RSA', alg => 'RS256', use => 'sig', kid => 'AUTHSKEY7Ph6QS83', %{ jwk('rsa#idaas') } } ] } },
    header => { kid => 'AUTHSKEY7Ph6QS83', typ => undef },
    claims => { %common, iss => $idp->url("/$idaas"), aud => $API, client_id => 'app_m7h', sub => 'app_m7h', scope => 'user:read:one user:read:two', jti => 'j' },
    bad => [ [ 'another permission', { scope => 'user:read:two' }, 403, 'insufficient_scope' ], [ 'the scope as it is asked for', { scope => "$API|user:read:one" }, 403, 'insufficient_scope' ], [ 'another audience', { aud => 'https://else.example.com' }, 401, 'audience_mismatch' ] ]);

# --- what docs/providers.md says ---

my $text = slurp("$FindBin::Bin/../docs/providers.md");
my %block;
$block{$1} = $2 while $text =~ /^## ([^\n]+)\n\n```apache\n(.*?)^```/gms;
is(join('|', sort keys %block), join('|', sort map { $_->{name} } @providers), 'docs/providers.md has a block for each provider, and no other');

my ($config, %files) = ('');
for my $p (@providers) {
    my $block = $block{ $p->{name} } // '';
    $block =~ s{(M2MIssuerDiscovery|M2MJwks) https://(\S+)}{"$1 " . $idp->url("/$2")}ge;
    $block =~ s{(?<=file:)}{\@ROOT\@/};
    ($p->{at}) = $block =~ /<Location (\S+)>/;
    my @lines = grep { /^    / } split /\n/, $block;
    cmp_ok(scalar @lines, '<=', 5, "$p->{name}: five lines");
    $config .= "$block\n";
    $files{$_} = doc($p->{files}{$_}) for keys %{ $p->{files} // {} };
    $idp->serve($_, body => doc($p->{docs}{$_})) for keys %{ $p->{docs} // {} };
}
my $t = M2MGW::Test->start(files => \%files, config => <<"CONF" . $config);
M2MJwksTLS ca=@{[ $idp->ca ]}
M2MJwksRefresh ttl=600 max-stale=600 timeout=10 cooldown=2
M2MStateDir \@ROOT\@/state
ProxyPass / http://\@BACKEND\@/
Header always set X-User "expr=%{REMOTE_USER}"
CONF

# --- tokens ---

sub token {
    my ($p, $claims, $header, $key) = @_;
    return mint($key // $p->{key}, { %{ $p->{claims} }, %{ $claims // {} } }, { %{ $p->{header} }, %{ $header // {} } });
}

for my $i (0 .. $#providers) {
    my ($p, $n) = ($providers[$i], $providers[ $i - 2 ]);
    my ($name, $row, $end) = ($p->{name}, 0, time + 60);
    while ($row < 12 && time < $end) { # every child has the keys
        if ($t->get("$p->{at}/x", token => token($p))->status == 503) { $row = 0; sleep 0.05 }
        else { $row++ }
    }
    my $r = $t->get("$p->{at}/x", token => token($p));
    passes($r, $name);
    is($r->header('X-User'), $p->{user}, "$name: the client is named");
    is($r->sent($_), $p->{sent}{$_}, "$name: $_ at the backend") for keys %{ $p->{sent} // {} };
    for my $bad (@{ $p->{bad} }) {
        my ($what, $claims, $status, $reason, $header, $key) = @$bad;
        $r = $t->get("$p->{at}/x", token => token($p, $claims, $header, $key));
        ok($r->status == $status && !$r->reached && $r->reason =~ /\A(?:$reason)\z/, "$name refuses: $what ($reason)") or diag(M2MGW::Test::describe($r));
    }
    my $stranger = $p->{key} =~ s/#.*/#stranger/r;
    denies($t->get("$p->{at}/x", token => token($p, {}, {}, $stranger)), 401, 'signature_invalid', "$name: a forged token");
    denies($t->get("$p->{at}/x", token => token($p, { exp => int $now - 120 })), 401, 'expired', "$name: one that is over");
    $r = $t->get("$p->{at}/x", token => mint($n->{key}, $p->{claims}, $n->{header}));
    ok($r->status == 401 && !$r->reached && $r->reason =~ /\A(?:kid_unknown|signature_invalid|alg_not_allowed|typ_mismatch)\z/, "$name: its claims, by the key of $n->{name}") or diag(M2MGW::Test::describe($r));
}
$t->finish;
