# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# The servers that are compared, and what their configurations say. All that check tokens check
# the signature, exp, issuer, audience and scope.
package Bench::Servers;
use strict;
use warnings;
use Exporter 'import';
use Bench::Setup;

our @EXPORT = qw(%server @ALL @GATEWAYS httpd_config our_keys);

my @BASE = qw(mpm_event unixd authn_core authz_core authz_user mime alias headers dir env watchdog);

sub httpd_config {
    my ($s, $body, @modules) = @_;
    my $load = '';
    my %ours = (m2mgw => $s->{before} ? $bench{before} : $bench{module}, m2m_issuer => $bench{issuer});
    for my $m (@BASE, @modules) {
        my $file = $ours{$m} // "$bench{modules}/mod_$m.so";
        $load .= "<IfModule !${m}_module>\nLoadModule ${m}_module $file\n</IfModule>\n";
    }
    my $user = $> ? '' : "User www-data\nGroup www-data\n";
    my $threads = $s->{threads} // 32;
    return <<"CONF";
$load
ServerRoot $s->{dir}
ServerName bench.example
$user
PidFile $s->{dir}/pid
DefaultRuntimeDir $s->{dir}
Mutex file:$s->{dir} default
Listen 127.0.0.1:$s->{port}
ServerLimit 1
StartServers 1
ThreadsPerChild $threads
ThreadLimit $threads
MaxRequestWorkers $threads
KeepAlive On
MaxKeepAliveRequests 0
ErrorLog $s->{dir}/error.log
LogLevel crit
TypesConfig /dev/null
DocumentRoot $s->{dir}/htdocs
<Directory />
    AllowOverride None
    Require all granted
</Directory>
$body
CONF
}

sub our_keys { my ($t) = @_; return <<"CONF" }
    M2MJwks file:$t/keys.json
    M2MIssuer https://issuer.example/
    M2MAudience https://api.example/
    M2MRequireClaim scope api:read
CONF

# mod_m2mgw in front of /api, with more lines in its section; they may be made by a function.
sub ours {
    my ($more, %o) = @_;
    return sub {
        my ($s, $t) = @_;
        my $lines = ref $more ? $more->($s, $t) : $more // '';
        my $others = join '', map { "<Location /other$_>\n" . our_keys($t) . "    M2MRealm r$_\n</Location>\n" } 1 .. ($o{locations} // 0);
        my $server = ref $o{server} ? $o{server}->($s, $t) : $o{server} // '';
        return httpd_config($s, "$others<Location /api>\n" . our_keys($t) . "$lines</Location>\n$server", 'm2mgw', @{ $o{modules} // [] });
    };
}

my @CLAIMS = qw(iss aud sub client_id scope jti iat exp tenant plan);
my $MAP = join '', map { "    M2MClaim $_ header:X-$_\n" } @CLAIMS;
my $TOKEN_RULES = "    M2MParameter client Token:client_id\n    M2MParameter scope Token:scope\n"
    . join '', map { qq(    M2MRule rule$_ "\$client = 'other' and \$scope has 'api:admin'" ifTrue=DENY\n) } 1 .. 50;
my $REQUEST_RULES = "    M2MParameter client Token:client_id\n    M2MParameter method Method\n"
    . join '', map { qq(    M2MRule rule$_ "\$method = 'DELETE' and \$client = 'other$_'" ifTrue=DENY\n) } 1 .. 50;
my $ONE_RULE = qq(    M2MParameter tenant Token:tenant\n    M2MRule tenant "\$tenant = 'example-tenant'" ifFalse=DENY\n);

# 10,000 tokens that are revoked, none of which is used
sub revocations {
    my ($s) = @_;
    spew("$s->{dir}/revoked", join '', map { "jti https://issuer.example/ revoked-$_\n" } 1 .. 10_000);
    chmod 0644, "$s->{dir}/revoked";
    return "    M2MRevocation file:$s->{dir}/revoked\n";
}

# --- the others ---

my $OPENIDC = sub { my ($t, $more) = @_; <<"CONF" };
OIDCCryptoPassphrase "only for the benchmark"
OIDCOAuthVerifyCertFiles bench-key-1#$t/public.pem
<Location /api>
    AuthType oauth20
    <RequireAll>
        Require claim iss:https://issuer.example/
        Require claim aud:https://api.example/
        Require claim scope:api:read
        $more->[0]
    </RequireAll>
    $more->[1]
</Location>
CONF

my $OAUTH2 = sub {
    my ($t, $more) = @_;
    (my $jwk = slurp("$t/keys.json")) =~ s/.*"keys":\[(\{.*?\})\].*/$1/s;
    return <<"CONF";
<Location /api>
    AuthType oauth2
    OAuth2TokenVerify jwk '$jwk' verify.exp=required
    <RequireAll>
        Require oauth2_claim iss:https://issuer.example/
        Require oauth2_claim aud:https://api.example/
        Require oauth2_claim scope:api:read
        $more->[0]
    </RequireAll>
    $more->[1]
</Location>
CONF
};

sub haproxy_checks { my ($t, $alg) = @_; return <<"CONF" }
    http-request set-var(txn.bearer) http_auth_bearer
    http-request deny deny_status 401 unless { var(txn.bearer),jwt_header_query('\$.alg') -m str $alg }
    http-request deny deny_status 401 unless { var(txn.bearer),jwt_verify("$alg","$t/public.pem") -m int 1 }
    http-request set-var(txn.exp) var(txn.bearer),jwt_payload_query('\$.exp','int')
    http-request set-var(txn.now) date()
    http-request deny deny_status 401 if { var(txn.exp),sub(txn.now) -m int lt 0 }
    http-request deny deny_status 401 unless { var(txn.bearer),jwt_payload_query('\$.iss') -m str https://issuer.example/ }
    http-request deny deny_status 401 unless { var(txn.bearer),jwt_payload_query('\$.aud') -m str https://api.example/ }
    http-request deny deny_status 403 unless { var(txn.bearer),jwt_payload_query('\$.scope') -m reg (^|\\ )api:read(\\ |\$) }
CONF

# checked: tokens are; proxied: to the backend, with claims and the one rule where checked
sub haproxy {
    my ($checked, $proxied) = @_;
    return sub {
        my ($s, $t, $alg) = @_;
        my $check = $checked ? haproxy_checks($t, $alg) : '';
        if ($checked && $proxied) {
            $check .= "    http-request deny deny_status 403 unless { var(txn.bearer),jwt_payload_query('\$.tenant') -m str example-tenant }\n"
                . join '', map { "    http-request set-header X-$_ %[var(txn.bearer),jwt_payload_query('\$.$_')]\n" } @CLAIMS;
        }
        my $answer = $proxied ? "    default_backend b\nbackend b\n    http-reuse always\n    server s 127.0.0.1:$s->{backend}\n"
            : qq(    http-request return status 200 content-type text/html string "hello\\n"\n);
        return <<"CONF";
global
    nbthread 1
    maxconn 1000
defaults
    mode http
    timeout client 30s
    timeout server 30s
    timeout connect 5s
    timeout http-keep-alive 30s
frontend f
    bind 127.0.0.1:$s->{port}
$check$answer
CONF
    };
}

sub to_backend { my ($s) = @_; return "ProxyPass http://127.0.0.1:$s->{backend}/api" }
my @PROXY = qw(proxy proxy_http);

# kind: httpd unless said; base: the same without protection; lacks: algorithms; needs: a file
our %server = (
    'httpd' => { config => sub { httpd_config($_[0], '') } },
    'httpd, a <Location>' => { base => 'httpd', open => 1, config => sub { httpd_config($_[0], "<Location /api>\n    SetEnv PLACE api\n</Location>\n") } },
    'mod_m2mgw' => { base => 'httpd', config => ours() },
    # EC keys it takes from an https URL only
    'mod_auth_openidc' => { base => 'httpd', needs => 'auth_openidc', lacks => { EdDSA => 1, ES256 => 1 },
        config => sub { httpd_config($_[0], $OPENIDC->($_[1], [ '', '' ]), 'auth_openidc') } },
    'mod_oauth2' => { base => 'httpd', needs => 'oauth2', lacks => { EdDSA => 1 },
        config => sub { httpd_config($_[0], $OAUTH2->($_[1], [ '', '' ]), 'oauth2') } },
    'haproxy' => { kind => 'haproxy', config => haproxy(0, 0) },
    'haproxy jwt' => { kind => 'haproxy', base => 'haproxy', lacks => { EdDSA => 1 }, config => haproxy(1, 0) },
    'mod_m2mgw, 50 rules of the token' => { base => 'httpd', config => ours($TOKEN_RULES) },
    'mod_m2mgw, 50 rules of the request' => { base => 'httpd', config => ours($REQUEST_RULES) },
    'mod_m2mgw, 10 claims' => { base => 'httpd', config => ours($MAP) },
    'mod_m2mgw, replay' => { base => 'httpd', config => ours("    M2MPreventJtiReplay On\n", server => "M2MReplayStore shm entries=200000\n") },
    'mod_m2mgw, proofs' => { base => 'httpd', proofs => 1, config => ours("    M2MDPoP window=3600\n    M2MPublicURL http://bench.example\n") },
    'mod_m2mgw, 1,000 locations' => { base => 'httpd', config => ours('', locations => 1000) },
    'mod_m2mgw, 10 operations' => { base => 'httpd', config => ours(sub { '    M2MOpenAPI ' . description(10) . "\n" }) },
    'mod_m2mgw, 10,000 operations' => { base => 'httpd', config => ours(sub { '    M2MOpenAPI ' . description(10_000) . "\n" }) },
    'mod_m2mgw, a limit' => { base => 'httpd', config => ours("    M2MLimit all CaAppId 1000000000/1s\n") },
    'mod_m2mgw, 10,000 revoked' => { base => 'httpd', config => ours(\&revocations) },
    'mod_m2mgw, decision log' => { base => 'httpd', config => ours('', server => sub { "M2MDecisionLog $_[0]{dir}/decisions what=refused\n" }) },
    'httpd proxy' => { proxy => 1, config => sub { httpd_config($_[0], "<Location /api>\n" . to_backend($_[0]) . "\n</Location>\n", @PROXY) } },
    'mod_m2mgw proxy' => { proxy => 1, base => 'httpd proxy', config => sub {
        httpd_config($_[0], "<Location /api>\n" . our_keys($_[1]) . $MAP . $ONE_RULE . to_backend($_[0]) . "\n</Location>\n", @PROXY, 'm2mgw') } },
    # its claims go to the backend as OIDC_CLAIM_*
    'mod_auth_openidc proxy' => { proxy => 1, base => 'httpd proxy', needs => 'auth_openidc', lacks => { EdDSA => 1, ES256 => 1 }, config => sub {
        httpd_config($_[0], $OPENIDC->($_[1], [ 'Require claim tenant:example-tenant', to_backend($_[0]) ]), @PROXY, 'auth_openidc') } },
    'mod_oauth2 proxy' => { proxy => 1, base => 'httpd proxy', needs => 'oauth2', lacks => { EdDSA => 1 }, config => sub {
        httpd_config($_[0], $OAUTH2->($_[1], [ 'Require oauth2_claim tenant:example-tenant', to_backend($_[0]) ]), @PROXY, 'oauth2') } },
    'haproxy proxy' => { kind => 'haproxy', proxy => 1, config => haproxy(0, 1) },
    'haproxy jwt proxy' => { kind => 'haproxy', proxy => 1, base => 'haproxy proxy', lacks => { EdDSA => 1 }, config => haproxy(1, 1) },
    'mod_m2m_issuer' => { issuer => 1, config => sub {
        my ($s, $t, $alg) = @_;
        spew("$s->{dir}/signing.json", slurp("$t/private.json"));
        chmod 0600, "$s->{dir}/signing.json";
        my @clients = map { "bench$_" } 1 .. $s->{clients} // 1;
        spew("$s->{dir}/clients", join '', map { "$_:\$2y\$05\$eeHrCj2u4bGD1/90QtKbsuV9mk5T7n26cyhkm6.1ad29.KTdA5voC\n" } @clients);
        my $grants = join '', map { "M2MGrant https://api.example/ $_ read write\n" } @clients;
        httpd_config($s, <<"CONF", qw(auth_basic authn_file m2m_issuer)) } },
M2MIssuerName http://127.0.0.1/idp
M2MSigningKey $s->{dir}/signing.json
$grants<Location /token>
    SetHandler m2m-token
    M2MClientProvider file
    AuthUserFile $s->{dir}/clients
</Location>
CONF
);
our @ALL = ('httpd', 'mod_m2mgw', 'mod_auth_openidc', 'mod_oauth2', 'haproxy', 'haproxy jwt');
our @GATEWAYS = ('httpd proxy', 'mod_m2mgw proxy', 'mod_auth_openidc proxy', 'mod_oauth2 proxy', 'haproxy proxy', 'haproxy jwt proxy');

# `NAME (before)`: the same with another build of the module
for my $name (grep { /m2mgw/ } keys %server) {
    my %copy = %{ $server{$name} };
    my $config = $copy{config};
    $copy{config} = sub { $_[0]{before} = 1; $config->(@_) };
    $server{"$name (before)"} = \%copy;
}

1;
