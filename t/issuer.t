#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# The M2M server: who gets a token, what is in it, and that everything else is refused with
# the error RFC 6749 has for it. Tokens are checked by what the gateway makes of them.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP ();
use MIME::Base64 qw(encode_base64);
use M2MGW::Test;
use Time::HiRes ();

plan skip_all => 'mod_m2m_issuer is not built' if !M2MGW::Test::built('mod_m2m_issuer');

my $API = 'https://api.example.com';
my $SECRET = 'correct horse+battery/staple%';
my $SLOW = 'slow secret';

# htpasswd -B of the secrets above, cost 5, and 9 for the slow one
my $CLIENTS = <<'USERS';
app_x:$2y$05$eeHrCj2u4bGD1/90QtKbsuV9mk5T7n26cyhkm6.1ad29.KTdA5voC
app_y:$2y$05$b2YKN0LvI23hc/PILqQtkOH0iyxXuiibqgqM8BmpkuSXt6zE84Aci
we:ird:$2y$05$eeHrCj2u4bGD1/90QtKbsuV9mk5T7n26cyhkm6.1ad29.KTdA5voC
USERS
my $SLOW_CLIENTS = <<'USERS';
app_fast:$2y$05$eeHrCj2u4bGD1/90QtKbsuV9mk5T7n26cyhkm6.1ad29.KTdA5voC
app_slow:$2y$09$bi59HT8GUav9BoFyIsF3h.4viDEtIt6AX5pBN59RfKFEqiO0d2gYu
USERS
my $GRANTS = <<"GRANTS";
# AUDIENCE CLIENT PERMISSION...
$API app_x user:read:one user:read:two
api://other app_x write

$API app_slow user:read:one
$API app_jwt user:read:one
$API app_d user:read:one
GRANTS

my $HANDLERS = <<'CONF';
M2MIssuerName http://127.0.0.1:@PORT@/idp
M2MSigningKey @ROOT@/rsa.pem kid=main
M2MGrantFile @ROOT@/grants
M2MGrant https://api.example.com app_y admin
<Location /idp/token>
    SetHandler m2m-token
    M2MClientProvider file
    AuthUserFile @ROOT@/clients
</Location>
<Location /idp/jwks>
    SetHandler m2m-jwks
</Location>
<Location /.well-known>
    SetHandler m2m-metadata
</Location>
<Location /idp/.well-known/openid-configuration>
    SetHandler m2m-metadata
</Location>
CONF

my $json = JSON::PP->new->utf8;

sub files {
    return ('rsa.pem' => key('rsa')->{text}, 'ec.pem' => key('p256')->{text},
            'rsa.pub' => pem('rsa'), 'clients' => $CLIENTS, 'slow' => $SLOW_CLIENTS,
            'grants' => $GRANTS, 'app_jwt.json' => jwks_json(jwk('p256#2', kid => 'c1')),
            'jwks.json' => jwks_json(jwk('rsa', kid => 'main')), @_);
}

sub secure {
    my ($t) = @_;
    chmod 0600, "$t->{root}/rsa.pem", "$t->{root}/ec.pem";
}

sub enc { join '&', map { ref $_ ? join '=', map { s/([^A-Za-z0-9_.~-])/sprintf '%%%02X', ord $1/ger } @$_ : $_ } @_ }

sub form_pairs {
    my (%o) = @_;
    return map { [ $_, $o{$_} ] } grep { defined $o{$_} } sort keys %o;
}

# A token request as client_secret_post unless told otherwise. form: members to set or, with
# undef, to leave out; body: the body as it is.
sub ask {
    my ($t, %o) = @_;
    my %form = (grant_type => 'client_credentials', client_id => 'app_x',
                client_secret => $SECRET, scope => "$API|user:read:one", %{ $o{form} // {} });
    my $body = $o{body} // enc(form_pairs(%form));
    my $type = exists $o{type} ? $o{type} : 'application/x-www-form-urlencoded';
    my @h = (@{ $o{headers} // [] }, defined $type ? ('Content-Type' => $type) : ());
    my $r = $t->request($o{method} // 'POST', $o{url} // '/idp/token', body => $body,
                        headers => \@h, %{ $o{o} // {} });
    $r->{json} = eval { $json->decode($r->body) };
    return $r;
}

sub basic {
    my ($id, $secret) = map { s/([^A-Za-z0-9_.~-])/sprintf '%%%02X', ord $1/ger } @_;
    return (Authorization => 'Basic ' . encode_base64("$id:$secret", ''));
}

# client_secret_basic
sub ask_basic {
    my ($t, $id, $secret, %o) = @_;
    return ask($t, %o, headers => [ basic($id, $secret), @{ $o{headers} // [] } ],
               form => { client_id => undef, client_secret => undef, %{ $o{form} // {} } });
}

my @issued;

sub gives {
    my ($r, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $j = $r->{json} // {};
    my $good = $r->status == 200 && ($j->{access_token} // '') =~ /\A[\w-]+\.[\w-]+\.[\w-]+\z/;
    push @issued, $j->{access_token} if $good;
    ok($good, "gives: $name") or diag($r->status . ' ' . $r->body);
    return $good;
}

sub refuses {
    my ($r, $status, $error, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $j = $r->{json} // {};
    my $good = $r->status == $status && ($j->{error} // '') eq $error
        && length($j->{error_description} // '') && !exists $j->{access_token}
        && ($r->header('Cache-Control') // '') eq 'no-store'
        && ($r->header('Content-Type') // '') eq 'application/json';
    ok($good, "refuses $error: $name")
        or diag("expected $status $error; " . $r->status . ' ' . $r->body);
    return $good;
}

sub claims {
    my ($token) = @_;
    my ($h, $p) = split /\./, $token;
    return ($json->decode(unb64($h)), $json->decode(unb64($p)));
}

# ======================================================================================

my $t = M2MGW::Test->prepare(issuer => 1, files => { files() },
                             modules => [qw(dbd authn_dbd ssl)]);
secure($t);
my $sqlite = -x '/usr/bin/sqlite3';
if ($sqlite) {
    my ($hash) = $CLIENTS =~ /^app_x:(.*)$/m;
    open my $db, '|-', 'sqlite3', "$t->{root}/state/clients.db" or die $!;
    print {$db} "create table clients (id text primary key, secret text);\n",
        "insert into clients values ('app_d', '$hash');\n";
    close $db;
    chmod 0644, "$t->{root}/state/clients.db";
}
my $tls = '';
if (-x '/usr/bin/curl' && -f M2MGW::Test::modules_dir() . '/mod_ssl.so') {
    spew("$t->{root}/tls.key", key('p256#4')->{text});
    chmod 0600, "$t->{root}/tls.key";
    system qw(openssl req -x509 -days 2 -subj /CN=gw.test -key), "$t->{root}/tls.key", '-out',
        "$t->{root}/tls.crt";
    $tls = <<'CONF';
SSLSessionCache none
Listen 127.0.0.1:@PORT:tls@
<VirtualHost 127.0.0.1:@PORT:tls@>
    SSLEngine On
    SSLCertificateFile @ROOT@/tls.crt
    SSLCertificateKeyFile @ROOT@/tls.key
</VirtualHost>
CONF
}
my $dbd = $sqlite ? <<'CONF' : '';
DBDriver sqlite3
DBDParams @ROOT@/state/clients.db
<Location /dbd/token>
    SetHandler m2m-token
    M2MClientProvider dbd
    AuthDBDUserPWQuery "SELECT secret FROM clients WHERE id = %s"
</Location>
<Location /both/token>
    SetHandler m2m-token
    M2MClientProvider file dbd
    AuthUserFile @ROOT@/clients
    AuthDBDUserPWQuery "SELECT secret FROM clients WHERE id = %s"
</Location>
CONF

my $MAIN = $HANDLERS . $dbd . $tls . <<'CONF';
RemoteIPHeader X-Remote
RemoteIPInternalProxy 127.0.0.1
M2MClientKeys app_jwt file:@ROOT@/app_jwt.json
<Location /slow/token>
    SetHandler m2m-token
    M2MClientProvider file
    AuthUserFile @ROOT@/slow
</Location>
<Location /broken/token>
    SetHandler m2m-token
    M2MClientProvider file
    AuthUserFile @ROOT@/nothing-here
</Location>
<Location /api>
    M2MJwks file:@ROOT@/jwks.json
    M2MIssuer http://127.0.0.1:@PORT@/idp
    M2MAudience https://api.example.com
    M2MTokenType at+jwt
    M2MRequireClaim scope user:read:one
    M2MClaim client_id header:X-Client
    ProxyPass http://@BACKEND@/api
</Location>
CONF
$t->begin($MAIN);
$t->secret($SECRET, enc([$SECRET]) =~ s/=.*//r, 'other-secret-of-y', $SLOW,
           encode_base64(enc([ 'app_x' ]) . ':' . enc([$SECRET]), '') =~ s/=+\z//r);
my $issuer = 'http://127.0.0.1:' . $t->port . '/idp';

# --- a token, and what is in it ---

my $before = time;
my $r = ask($t);
gives($r, 'client_secret_post');
my $j = $r->{json};
is($r->header('Cache-Control'), 'no-store', 'Cache-Control: no-store on a token');
is($r->header('Pragma'), 'no-cache', 'Pragma: no-cache on a token');
is($r->header('Content-Type'), 'application/json', 'a token comes as JSON');
is($j->{token_type}, 'Bearer', 'token_type');
is($j->{expires_in}, 1200, 'expires_in is the default lifetime');
is($j->{scope}, "$API|user:read:one", 'scope as it was asked for');
is_deeply([ sort keys %$j ], [qw(access_token expires_at expires_in scope token_type)],
          'members of the response');
my ($h, $c) = claims($j->{access_token});
is_deeply($h, { alg => 'RS256', kid => 'main', typ => 'at+jwt' }, 'header of the token');
is($c->{iss}, $issuer, 'iss');
is($c->{aud}, $API, 'aud is the audience, a string');
is($c->{sub}, 'app_x', 'sub');
is($c->{client_id}, 'app_x', 'client_id');
is($c->{scope}, 'user:read:one', 'scope without audience');
like($c->{jti}, qr/\A[\w-]{22}\z/, 'jti of 128 bits');
is($c->{exp}, $c->{iat} + 1200, 'exp');
is($c->{nbf}, $c->{iat}, 'nbf');
ok($c->{iat} >= $before && $c->{iat} <= time + 1, 'iat is now'); # time() may be a tick behind
is($j->{expires_at}, $c->{exp}, 'expires_at is exp');
is_deeply([ sort keys %$c ], [qw(aud client_id exp iat iss jti nbf scope sub)], 'claims');
like($r->body, qr/"expires_in":1200,"expires_at":\d+[,}]/, 'numbers are numbers');

my $other = ask($t);
gives($other, 'a second token');
isnt((claims($other->{json}{access_token}))[1]{jti}, $c->{jti}, 'each has its own jti');
my %jtis = map { ((claims(ask($t)->{json}{access_token}))[1]{jti} => 1) } 1 .. 150;
is(scalar keys %jtis, 150, 'and so have many, however often random bytes are fetched');

# --- the gateway takes it ---

my $seen = $t->get('/api/hello', token => $j->{access_token});
passes($seen, 'the token at the gateway');
is($seen->sent('X-Client'), 'app_x', 'and its client_id reaches the backend');
my $two = ask($t, form => { scope => "$API|user:read:two" });
gives($two, 'a token without user:read:one');
denies($t->get('/api/hello', token => $two->{json}{access_token}), 403, 'insufficient_scope',
       'the token without the scope');
my $elsewhere = ask($t, form => { scope => 'api://other|write' });
gives($elsewhere, 'a token for another audience');
denies($t->get('/api/hello', token => $elsewhere->{json}{access_token}), 401,
       'audience_mismatch', 'the token for another audience');

# --- client_secret_basic ---

gives(ask_basic($t, 'app_x', $SECRET), 'client_secret_basic');
gives(ask_basic($t, 'app_x', $SECRET, form => { client_id => 'app_x' }),
      'client_secret_basic and the same client_id in the body');
gives(ask_basic($t, 'app_y', 'other-secret-of-y', form => { scope => "$API|admin" }),
      'a grant of M2MGrant beside the file');
$r = ask_basic($t, 'app_x', 'wrong');
refuses($r, 401, 'invalid_client', 'wrong secret by Basic');
like($r->header('WWW-Authenticate') // '', qr/\ABasic realm="[^"]+"/, 'Basic is challenged');
$r = ask($t, form => { client_secret => 'wrong' });
refuses($r, 401, 'invalid_client', 'wrong secret by post');
is($r->header('WWW-Authenticate'), undef, 'post is not challenged');
refuses(ask($t, form => { client_secret => undef, client_id => undef },
            headers => [ Authorization => $_->[0] ]), 401, 'invalid_client', $_->[1]) for
    [ 'Bearer abc', 'another scheme' ], [ 'Basic', 'a scheme alone' ],
    [ 'Basic !!!!', 'Basic that is not base64' ], [ 'Basic YWJj', 'Basic without a colon' ],
    [ 'Basic ' . encode_base64('app_x:%zz', ''), 'Basic with a bad escape' ],
    [ 'Basic ' . encode_base64("app_x:$SECRET", ''), 'Basic that is not form-encoded' ],
    [ 'Basic ' . encode_base64('app_x:', ''), 'an empty secret' ],
    [ 'Basic ' . encode_base64(':x', ''), 'an empty client' ];
$r = ask($t, form => { client_secret => undef, client_id => undef },
         headers => [ Authorization => 'Bearer abc' ]);
like($r->header('WWW-Authenticate') // '', qr/\ABasic realm=/, 'another scheme is told which one');

# --- who is not a client ---

refuses(ask($t, form => { client_id => $_->[0] }), 401, 'invalid_client', $_->[1]) for
    [ 'app_z', 'unknown client' ], [ 'APP_X', 'a client in another case' ],
    [ 'app_y', 'the secret of another client' ], [ 'app_x ', 'a blank behind the client' ],
    [ "app_x\n", 'a line end behind the client' ], [ 'we:ird', 'a client with a colon' ],
    [ 'app_x:', 'a client and a colon' ], [ '*', 'a star' ], [ '#', 'a comment' ],
    [ "caf\xc3\xa9", 'a client that is not ASCII' ], [ 'x' x 5000, 'a very long client' ];
is(ask($t, form => { client_id => 'app_z' })->body =~ s/"request_id":"[^"]*"//r,
   ask($t, form => { client_secret => 'wrong' })->body =~ s/"request_id":"[^"]*"//r,
   'unknown client and wrong secret are told the same');
refuses(ask_basic($t, 'app_x', 'x' x 2000), 401, 'invalid_client', 'a very long secret by Basic');
refuses(ask($t, form => { client_secret => $_->[0] }), 401, 'invalid_client', $_->[1]) for
    [ "$SECRET ", 'a blank behind the secret' ], [ substr($SECRET, 0, -1), 'a secret cut' ],
    [ uc $SECRET, 'a secret in capitals' ], [ 'x' x 5000, 'a very long secret' ];

# --- the request itself ---

refuses(ask($t, form => { grant_type => undef }), 400, 'invalid_request', 'no grant_type');
refuses(ask($t, form => { grant_type => $_ }), 400, 'unsupported_grant_type', "grant_type $_")
    for qw(password authorization_code refresh_token CLIENT_CREDENTIALS);
refuses(ask($t, form => { client_secret => undef }), 401, 'invalid_client', 'no secret');
refuses(ask($t, form => { client_id => undef }), 400, 'invalid_request', 'no client_id');
refuses(ask($t, form => { client_id => undef, client_secret => undef }), 401,
        'invalid_client', 'no client authentication');
my $full = enc(form_pairs(grant_type => 'client_credentials', client_id => 'app_x',
                          client_secret => $SECRET, scope => "$API|user:read:one"));
gives(ask($t, body => $full), 'the control of what follows');
refuses(ask($t, body => "$full&$_"), 400, 'invalid_request', 'repeated ' . s/=.*//r) for
    'grant_type=client_credentials', 'client_id=app_x', 'client_secret=x', 'scope=x', 'scope=',
    's%63ope=x';
gives(ask($t, body => "$full&audience=a&audience=b&x"), 'unknown parameters, also repeated');
refuses(ask_basic($t, 'app_x', $SECRET, form => { client_secret => $SECRET,
        client_id => 'app_x' }), 400, 'invalid_request', 'Basic and post at once');
refuses(ask_basic($t, 'app_x', $SECRET, form => { client_id => 'app_y' }), 400,
        'invalid_request', 'Basic and another client_id');
for my $method (qw(GET PUT DELETE PATCH OPTIONS)) {
    $r = ask($t, method => $method);
    refuses($r, 405, 'invalid_request', "method $method");
    is($r->header('Allow'), 'POST', "$method is told what is allowed");
}
$r = $t->request('HEAD', '/idp/token');
is($r->status, 405, 'HEAD');
refuses(ask($t, type => $_), 400, 'invalid_request', 'Content-Type ' . ($_ // 'missing')) for
    undef, 'application/json', 'text/plain', 'multipart/form-data; boundary=x',
    'application/x-www-form-urlencodedx', 'application/x-www-form-urlencode';
gives(ask($t, type => $_), "Content-Type $_") for
    'application/x-www-form-urlencoded; charset=UTF-8', 'Application/X-WWW-Form-Urlencoded';
refuses(ask($t, headers => [ 'Content-Encoding' => 'gzip' ]), 400, 'invalid_request',
        'a compressed body');
refuses(ask($t, body => ''), 400, 'invalid_request', 'an empty body');
refuses(ask($t, body => "$full&x=%"), 400, 'invalid_request', 'a bad escape');
refuses(ask($t, body => "$full&x=%00"), 400, 'invalid_request', 'a NUL');
refuses(ask($t, body => "$full&x=" . 'y' x (65536 - length("$full&x=") + 1)), 400,
        'invalid_request', 'a body one byte too large');
gives(ask($t, body => "$full&x=" . 'y' x (65536 - length "$full&x=")), 'a body just right');
$r = ask($t, body => 'x', headers => [ 'Content-Length' => 1 << 40 ]);
refuses($r, 400, 'invalid_request', 'a body announced as a terabyte');
my $chunk = sub { join '', map { sprintf "%x\r\n%s\r\n", length, $_ } @_, '' };
gives(ask($t, body => $chunk->(map { substr $full, $_ * 10, 10 } 0 .. length($full) / 10),
          headers => [ 'Transfer-Encoding' => 'chunked' ]), 'a body in chunks')
    if length($full) % 10;
refuses(ask($t, body => $chunk->($full, '&x=', ('y' x 8192) x 9),
            headers => [ 'Transfer-Encoding' => 'chunked' ]), 400, 'invalid_request',
        'chunks without end');
is(ask($t, body => "zz\r\n$full\r\n0\r\n\r\n",
       headers => [ 'Transfer-Encoding' => 'chunked' ])->status, 400, 'chunks that are none');
refuses(ask($t, url => "/idp/token?$_"), 400, 'invalid_request', "in the URL: $_") for
    'client_secret=hidden-in-url', 'scope=x', 'client%5Fsecret=hidden-in-url',
    'a=b&client_assertion=hidden-in-url';
gives(ask($t, url => '/idp/token?trace=1'), 'a URL with a harmless query');
$t->secret('hidden-in-url');

# a connection can be used again after each kind of answer that read its body
my $again = $t->client;
gives(ask($t, o => { client => $again }, headers => [ Connection => 'keep-alive' ]), 'first on a connection');
refuses(ask($t, o => { client => $again }, form => { client_secret => 'no' }), 401,
        'invalid_client', 'second on it');
gives(ask($t, o => { client => $again }), 'third on it');
$again->close;

# --- resource (RFC 8707) ---

sub at { (form => { scope => undef, resource => $API, @_ }) }
$r = ask($t, at());
gives($r, 'a resource without scope');
is($r->{json}{scope}, "$API|user:read:one $API|user:read:two", 'is all that is granted there');
$r = ask($t, at(scope => 'user:read:two'));
gives($r, 'a resource and a scope without its audience');
is($r->{json}{scope}, "$API|user:read:two", 'which is of the resource');
gives(ask($t, at(scope => "$API|user:read:two")), 'a resource and a scope with it');
refuses(ask($t, at(@{ $_->[0] })), 400, $_->[1], "resource: $_->[2]") for
    [ [ resource => 'api://unknown' ], 'invalid_target', 'unknown' ],
    [ [ resource => "$API/" ], 'invalid_target', 'a slash more' ],
    [ [ resource => "$API#x" ], 'invalid_target', 'a fragment' ],
    [ [ resource => 'api.example.com' ], 'invalid_target', 'relative' ],
    [ [ resource => '' ], 'invalid_target', 'empty' ],
    [ [ scope => 'api://other|write' ], 'invalid_target', 'another audience in scope' ],
    [ [ scope => 'admin' ], 'invalid_scope', 'a scope that is not granted there' ];
refuses(ask($t, body => "$full&resource=" . enc([$API]) =~ s/=.*//r . "&resource=x"), 400,
        'invalid_target', 'resource twice');

# --- scopes ---

refuses(ask($t, form => { scope => $_->[0] }), 400, 'invalid_scope', $_->[1]) for
    [ undef, 'no scope' ], [ '', 'an empty scope' ], [ ' ', 'a blank scope' ],
    [ "$API|user:read:three", 'not granted' ], [ "$API|user:read:one2", 'longer than granted' ],
    [ "$API|user:read:on", 'shorter than granted' ], [ "$API|admin", 'granted to another' ],
    [ "$API|user:read:one $API|admin", 'one granted, one not' ],
    [ 'api://unknown|x', 'unknown audience' ], [ 'api://unknown|.all', 'all of an unknown one' ],
    [ "$API|user:read:one api://other|write", 'two audiences' ],
    [ 'user:read:one', 'no |' ], [ $API, 'an audience alone' ], [ "$API|", 'nothing behind |' ],
    [ '|user:read:one', 'nothing before |' ], [ "$API|user|read", 'two |' ],
    [ "$API|user:read:one\n$API|x", 'a line end' ], [ "$API|\"", 'a quote' ];
is(ask($t, form => { scope => 'api://unknown|x' })->{json}{error_description},
   ask($t, form => { scope => "$API|admin" })->{json}{error_description},
   'unknown audience and no grant are told the same');
$r = ask($t, form => { scope => "$API|.all" });
gives($r, 'everything granted');
is($r->{json}{scope}, "$API|user:read:one $API|user:read:two", 'all, in the order of the file');
is((claims($r->{json}{access_token}))[1]{scope}, 'user:read:one user:read:two', 'in the token');
$r = ask($t, form => { scope => "$API|user:read:two  $API|user:read:one $API|user:read:two" });
gives($r, 'two, one repeated');
is((claims($r->{json}{access_token}))[1]{scope}, 'user:read:two user:read:one', 'once each');

# --- TLS or loopback ---

refuses(ask($t, headers => [ 'X-Remote' => '192.0.2.7' ]), 400, 'invalid_request',
        'plain HTTP from elsewhere');
gives(ask($t, headers => [ 'X-Remote' => $_ ]), "plain HTTP from $_") for qw(127.0.0.9 ::1);
SKIP: {
    skip 'no curl or mod_ssl', 1 if !$tls;
    my $url = 'https://127.0.0.1:' . $t->port('tls') . '/idp/token';
    my $out = `curl -sk -H 'X-Remote: 192.0.2.7' --data '$full' $url`;
    my $token = eval { $json->decode($out)->{access_token} } // '';
    like($token, qr/\A[\w-]+\.[\w-]+\.[\w-]+\z/, 'TLS from elsewhere') or diag($out);
    push @issued, $token if $token;
}

# --- documents ---

my $doc = $t->get('/.well-known/oauth-authorization-server/idp');
is($doc->status, 200, 'metadata behind the well-known name');
is($doc->header('Content-Type'), 'application/json', 'its type');
my $metadata = $json->decode($doc->body);
ok((grep { $_ eq 'ES256' } @{ delete $metadata->{dpop_signing_alg_values_supported} // [] }), 'proofs are taken');
is_deeply($metadata, {
    issuer => $issuer, token_endpoint => "$issuer/token", jwks_uri => "$issuer/jwks",
    response_types_supported => [], grant_types_supported => ['client_credentials'],
    token_endpoint_auth_methods_supported =>
        [qw(client_secret_basic client_secret_post private_key_jwt)],
    token_endpoint_auth_signing_alg_values_supported => ['ES256'],
}, 'metadata');
is($t->get("/.well-known/$_")->status, 404, "no metadata at /.well-known/$_") for
    'oauth-authorization-server', 'oauth-authorization-server/', 'oauth-authorization-server/id',
    'oauth-authorization-server/idp/', 'oauth-authorization-server/idp/x', 'x', '';
is($t->get($_)->body, $doc->body, "metadata at $_") for
    '/idp/.well-known/openid-configuration', '/.well-known/openid-configuration/idp';
my $jwks = $t->get('/idp/jwks');
is($jwks->status, 200, 'key set');
is($jwks->header('Content-Type'), 'application/jwk-set+json', 'its type');
is_deeply($json->decode($jwks->body), { keys => [
    { %{ jwk('rsa') }, kid => 'main', alg => 'RS256', use => 'sig' } ] }, 'key set holds public members');
is($t->request('HEAD', '/idp/jwks')->status, 200, 'HEAD of the key set');
is($jwks->header('Cache-Control'), 'public, max-age=300', 'it may be cached for five minutes');
my $tag = $jwks->header('ETag') // '';
is($t->get('/idp/jwks', headers => [ 'If-None-Match' => $tag ])->status, 304, 'it has an ETag');
is($t->get('/idp/jwks', headers => [ 'If-None-Match' => '"x"' ])->status, 200, 'that means something');
for my $url ('/idp/jwks', '/.well-known/oauth-authorization-server/idp') {
    $r = $t->post($url, 'x');
    is($r->status, 405, "POST to $url");
    like($r->header('Allow') // '', qr/GET/, 'is told what is allowed');
}

# --- dbd, several providers, a provider that cannot answer ---

SKIP: {
    skip 'sqlite3 is not installed', 6 if !$sqlite;
    my @d = (form => { client_id => 'app_d' });
    gives(ask($t, url => '/dbd/token', @d), 'a client of the database');
    refuses(ask($t, url => '/dbd/token', form => { client_id => 'app_d', client_secret => 'x' }),
            401, 'invalid_client', 'wrong secret, database');
    refuses(ask($t, url => '/dbd/token'), 401, 'invalid_client', 'unknown to the database');
    refuses(ask($t, url => '/dbd/token', form => { client_id => "' or 1=1 --" }), 401,
            'invalid_client', 'a client that would be SQL');
    gives(ask($t, url => '/both/token', @d), 'the second provider knows');
    gives(ask($t, url => '/both/token'), 'the first provider knows');
}
refuses(ask($t, url => '/broken/token'), 503, 'temporarily_unavailable',
        'a provider that cannot answer');
$t->expect_log(qr/AH01620|M2-709/, qr/AH01873|AH01906|AH01909/); # the provider; a makeshift certificate

# --- unknown clients take as long ---

sub seconds {
    my (@ask) = @_;
    my $from = Time::HiRes::time();
    ask($t, @ask);
    return Time::HiRes::time() - $from;
}
sub least { return (sort { $a <=> $b } @_)[0] } # the least disturbed
# the file of /slow has hashes of cost 5 and 9; no process has seen a check of it before
for my $case ([ '/idp/token', 'app_x', 'cost 5' ], [ '/slow/token', 'app_slow', 'cost 9' ],
              [ '/slow/token', 'app_fast', 'cost 5 beside cost 9' ]) {
    my ($url, $id, $what) = @$case;
    my ($wrong, $unknown, $ratio);
    for my $try (1 .. 5) { # other work of the machine may come in between
        my (@wrong, @unknown);
        for (1 .. 15) {
            push @wrong, seconds(url => $url, form => { client_id => $id, client_secret => 'x' });
            push @unknown, seconds(url => $url, form => { client_id => 'nobody', client_secret => 'x' });
        }
        ($wrong, $unknown) = (least(@wrong), least(@unknown));
        $ratio = $unknown / $wrong;
        last if $ratio > 0.4 && $ratio < 2.5;
    }
    ok($ratio > 0.4 && $ratio < 2.5, "an unknown client takes as long, $what")
        or diag(sprintf 'wrong %.1f ms, unknown %.1f ms', $wrong * 1000, $unknown * 1000);
}

# --- private_key_jwt ---

$t->expect_log(qr/client_assertion/); # "assert" alone would look like a crash
my $n = 0;
sub assertion {
    my (%o) = @_;
    return mint($o{key} // 'p256#2', { iss => 'app_jwt', sub => 'app_jwt', aud => $issuer,
        exp => time + 60, jti => "j$$-" . ++$n, %{ $o{claims} // {} } },
        { kid => 'c1', %{ $o{header} // {} } });
}

sub ask_jwt {
    my ($token, %o) = @_;
    return ask($t, %o, form => { client_id => undef, client_secret => undef,
        client_assertion_type => 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        client_assertion => $token, %{ $o{form} // {} } });
}

gives(ask_jwt(assertion()), 'private_key_jwt meant for the issuer');
is((claims($issued[-1]))[1]{client_id}, 'app_jwt', 'the client is the subject');
gives(ask_jwt(assertion(claims => { aud => "$issuer/token" })), 'meant for the endpoint');
gives(ask_jwt(assertion(), form => { client_id => 'app_jwt' }), 'with client_id');
gives(ask_jwt(assertion(claims => { aud => [$issuer, "$issuer/token"] })), 'meant for both');
gives(ask_jwt(assertion(header => { typ => 'client-authentication+jwt' })), 'with its own typ');
my $once = assertion();
gives(ask_jwt($once), 'an assertion');
refuses(ask_jwt($once), 401, 'invalid_client', 'the same assertion again');
refuses(ask_jwt(assertion(claims => { jti => "j$$-1" })), 401, 'invalid_client',
        'another assertion with a used jti');
refuses(ask_jwt(assertion(%{ $_->[0] }), %{ $_->[2] // {} }), 401, 'invalid_client', $_->[1]) for
    [ { key => 'p256#3' }, 'signed by another key' ],
    [ { claims => { aud => 'https://elsewhere.example' } }, 'meant for somebody else' ],
    [ { claims => { aud => undef } }, 'meant for nobody' ],
    [ { claims => { aud => [$issuer, 'https://elsewhere.example'] } }, 'meant for somebody else too' ],
    [ { header => { typ => 'dpop+jwt' } }, 'that is a proof' ],
    [ { header => { typ => 'at+jwt' } }, 'that is an access token' ],
    [ { claims => { exp => time - 100 } }, 'expired' ],
    [ { claims => { exp => undef } }, 'without exp' ],
    [ { claims => { exp => time + 7200 } }, 'of two hours' ],
    [ { claims => { jti => undef } }, 'without jti' ],
    [ { claims => { iss => 'app_x' } }, 'of another iss' ],
    [ { claims => { iss => 'app_x', sub => 'app_x' } }, 'of a client without keys' ],
    [ { header => { kid => 'c2' } }, 'with an unknown kid' ],
    [ {}, 'with another client_id', { form => { client_id => 'app_x' } } ],
    [ {}, 'of an unknown type', { form => { client_assertion_type => 'x' } } ];
refuses(ask_jwt($_->[0]), 401, 'invalid_client', "assertion that is $_->[1]") for
    [ 'x', 'no JWT' ], [ 'a.b.c', 'three words' ], [ assertion() . 'x', 'longer' ],
    [ b64('{"alg":"none"}') . '.' . b64('{"iss":"app_jwt","sub":"app_jwt"}') . '.', 'unsigned' ];
refuses(ask_jwt(assertion(), form => { client_secret => $SECRET, client_id => 'app_x' }), 400,
        'invalid_request', 'assertion and secret');
refuses(ask_jwt(assertion(), headers => [ basic('app_x', $SECRET) ]), 400, 'invalid_request',
        'assertion and Basic');
refuses(ask_jwt(assertion(), form => { client_assertion_type => undef }), 400,
        'invalid_request', 'an assertion without its type');

{   # one assertion, many at once: all processes of the server share what was used
    my $token = assertion();
    my @pipes = map {
        my $pid = open(my $out, '-|') // die $!;
        if (!$pid) {
            $t->{owner} = 0;
            print join ',', map { ask_jwt($token)->status } 1 .. 4;
            POSIX::_exit(0) if STDOUT->flush;
            POSIX::_exit(1);
        }
        $out;
    } 1 .. 8;
    my %count;
    for my $out (@pipes) { $count{$_}++ for split /,/, <$out> // ''; close $out }
    is_deeply(\%count, { 200 => 1, 401 => 31 }, 'one assertion, 32 requests: one token');
}

# --- grants change while the server runs ---

# What a file says counts in each process soon; whichever answers, ten times in a row.
sub soon {
    my ($is, $name, $times) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my ($row, $since) = (0, Time::HiRes::time());
    my $good = M2MGW::Test::before_long(sub {
        if (!$is->()) { ($row, $since) = (0, Time::HiRes::time()); return 0 }
        return ++$row >= ($times // 10) && ($times || Time::HiRes::time() - $since > 1.2);
    });
    ok($good, $name);
}

sub grants {
    my ($text) = @_;
    spew("$t->{root}/grants.new", $text);
    chmod 0644, "$t->{root}/grants.new";
    rename "$t->{root}/grants.new", "$t->{root}/grants" or die $!;
}
my @two = (form => { scope => "$API|user:read:two" });
gives(ask($t, @two), 'granted before');
grants($GRANTS =~ s/ user:read:two//r);
soon(sub { ask($t, @two)->status == 400 }, 'revoked: soon nobody issues it');
gives(ask($t), 'what was not revoked');
grants("$API app_x user:read:two |broken\n");
soon(sub { $t->error_log =~ /M2-706/ }, 'a broken file is told', 1);
gives(ask($t), 'a broken file keeps the last good grants');
refuses(ask($t, @two), 400, 'invalid_scope', 'and what one process read counts in all of them')
    for 1 .. 30;
grants($GRANTS);
soon(sub { ask($t, @two)->status == 200 }, 'granted once more');
grants($GRANTS =~ s/ user:read:two//r);
soon(sub { ask($t, @two)->status == 400 }, 'a process learns of the revocation', 1);
grants("$API app_x user:read:two |broken\n");
soon(sub { ask($t, @two)->status == 400 }, 'and so do those that only saw the broken file', 40);
soon(sub { 2 <= (() = $t->error_log =~ /M2-706: M2MGrantFile \S+ line 1: /g) }, 'which is told once more', 1);
$t->expect_log(qr/M2-706: M2MGrantFile \S+ line 1: /, qr/M2-706: M2MGrantFile cannot read \S+grants: No such file/);
like($t->error_log, qr/M2-706: M2MGrantFile \S+ line 1: /, 'the log names the line');
unlink "$t->{root}/grants";
soon(sub { $t->error_log =~ /M2-706: M2MGrantFile cannot read \S+grants: No such file/ }, 'a missing file is told', 1);
gives(ask($t), 'and keeps them too');
grants($GRANTS);
soon(sub { ask($t, @two)->status == 200 }, 'granted again');
spew("$t->{root}/grants", $GRANTS =~ s/user:read:two/user:read:2wo/r); # same inode and size
soon(sub { ask($t, @two)->status == 400 }, 'a change in place that keeps the size');
is(scalar(() = $t->error_log =~ /M2-706: M2MGrantFile \S+ line 1: /g), 2, 'each broken file was told once, not by each process');
is(scalar(() = $t->error_log =~ /M2-706: M2MGrantFile cannot read/g), 1, 'and so was the missing one');
grants($GRANTS);
soon(sub { ask($t, @two)->status == 200 }, 'and back');

# --- clients change while the server runs ---

gives(ask($t), 'a secret that each process remembers') for 1 .. 20;
spew("$t->{root}/clients", $CLIENTS =~ s/^app_x:.*\n//mr);
soon(sub { ask($t)->status == 401 }, 'a client taken out of the file');
spew("$t->{root}/clients", $CLIENTS);
soon(sub { ask($t)->status == 200 }, 'and put back');

# --- keys rotate: publish next, sign with it, retire ---

sub with_keys { $MAIN =~ s{M2MSigningKey.*\n}{join '', map { "M2MSigningKey \@ROOT\@/$_\n" } @_}er }
sub kids { map { "$_->{kid}/$_->{alg}" } @{ $json->decode($t->get('/idp/jwks')->body)->{keys} } }
my $old = ask($t)->{json}{access_token};
$t->write_config(with_keys('rsa.pem kid=main', 'ec.pem kid=next'));
ok($t->reload('HUP'), 'reload with the next key');
is_deeply([kids()], [qw(main/RS256 next/ES256)], 'the next key is published');
isnt($t->get('/idp/jwks')->header('ETag'), $tag, 'under another ETag');
is((claims(ask($t)->{json}{access_token}))[0]{kid}, 'main', 'and does not sign yet');
$t->write_config(with_keys('ec.pem kid=next', 'rsa.pub kid=main'));
ok($t->reload('HUP'), 'reload with the next key first and the old one public only');
is_deeply([kids()], [qw(next/ES256 main/RS256)], 'both are published');
my $new = ask($t)->{json}{access_token};
is((claims($new))[0]{kid}, 'next', 'the next key signs');
is((claims($new))[0]{alg}, 'ES256', 'with its algorithm');
spew("$t->{root}/jwks.json", $t->get('/idp/jwks')->body);
ok($t->reload('HUP'), 'the gateway takes the published key set');
passes($t->get('/api/hello', token => $new), 'the new token');
passes($t->get('/api/hello', token => $old), 'the token of before');
refuses(ask_jwt($once), 401, 'invalid_client', 'a used assertion, three restarts later');
$t->write_config(with_keys('rsa.pem kid=main alg=PS384'));
ok($t->reload('HUP'), 'reload with another algorithm');
is((claims(ask($t)->{json}{access_token}))[0]{alg}, 'PS384', 'alg= chooses among what the key can do');
$t->write_config(with_keys('rsa.pem'));
ok($t->reload('HUP'), 'reload without a kid');
my ($kid) = map { $_->{kid} } @{ $json->decode($t->get('/idp/jwks')->body)->{keys} };
is($kid, b64(Digest::SHA::sha256(JSON::PP->new->canonical->encode(
    { map { $_ => jwk('rsa')->{$_} } qw(e kty n) }))), 'the kid is the thumbprint (RFC 7638)');

# --- lifetime, plain HTTP allowed, virtual hosts ---

$t->write_config("M2MTokenLifetime 5\nM2MAllowPlainHTTP On\n$MAIN");
ok($t->reload('HUP'), 'reload with a short life');
$r = ask($t, headers => [ 'X-Remote' => '192.0.2.7' ]);
gives($r, 'plain HTTP from elsewhere, allowed');
is($r->{json}{expires_in}, 5, 'the lifetime of the directive');
my $vhosts = $MAIN . <<'CONF';
<VirtualHost *>
    ServerName one.test
</VirtualHost>
<VirtualHost *>
    ServerName two.test
    M2MIssuerName https://two.test/
    M2MGrant api://two app_y only
    M2MIssuerEndpoint jwks https://cdn.two.test/keys
    <Location /t>
        SetHandler m2m-token
        M2MClientProvider file
        AuthUserFile @ROOT@/clients
    </Location>
</VirtualHost>
CONF
$t->write_config($vhosts);
ok($t->reload('HUP'), 'reload with virtual hosts');
$r = ask($t, o => { host => 'one.test' });
gives($r, 'a virtual host that inherits');
is((claims($r->{json}{access_token}))[1]{iss}, $issuer, 'the inherited issuer');
my @y = (url => '/t', form => { client_id => 'app_y', client_secret => 'other-secret-of-y',
                                scope => 'api://two|only' }, o => { host => 'two.test' });
$r = ask($t, @y);
gives($r, 'a virtual host of its own');
is((claims($r->{json}{access_token}))[1]{iss}, 'https://two.test/', 'its own issuer');
refuses(ask($t, @y, o => { host => 'one.test' }, url => '/idp/token'), 400, 'invalid_scope',
        'whose grants are its own');
refuses(ask($t, url => '/t', o => { host => 'two.test' }), 400, 'invalid_scope',
        'and where the grants of the main server do not count');
my $m2 = $json->decode($t->get('/.well-known/oauth-authorization-server', host => 'two.test')->body);
is($m2->{token_endpoint}, 'https://two.test/t', 'the endpoint of its own <Location>');
is($m2->{jwks_uri}, 'https://cdn.two.test/keys', 'M2MIssuerEndpoint');
is($m2->{issuer}, 'https://two.test/', 'the issuer as it is written');

# --- what no cache may hold ---

$t->write_config($MAIN . <<'CONF');
Header set Cache-Control "public, max-age=9"
<If "%{HTTP:X-Always} == '1'">
    Header always set Cache-Control "public, max-age=8"
</If>
CONF
ok($t->reload('HUP'), 'reload with Header set Cache-Control');
for my $always (0, 1) {
    my @h = ('X-Always' => $always);
    $r = ask($t, headers => \@h);
    gives($r, "Header always $always");
    is(join(' | ', $r->header('Cache-Control')), 'no-store', 'a token is in no cache');
    $r = ask($t, headers => \@h, form => { scope => 'none' });
    is(join(' | ', $r->status, $r->header('Cache-Control')), '400 | no-store', 'nor is a refusal');
    $r = $t->get('/idp/token', headers => \@h);
    is(join(' | ', $r->status, $r->header('Cache-Control')), '405 | no-store', 'nor that of another method');
    $r = $t->raw("POST /idp/token HTTP/1.1\r\nHost: gw.test\r\nX-Always: $always\r\nTransfer-Encoding: chunked\r\n"
                 . "Content-Type: application/x-www-form-urlencoded\r\n\r\nnonsense\r\n");
    is(join(' | ', $r->status, $r->header('Cache-Control')), '400 | no-store', "nor httpd's, of a body that is not HTTP");
    like(join(' ', $t->get('/idp/jwks', headers => \@h)->header('Cache-Control')), qr/public, max-age=[89]/,
         'control: of the keys it is what Header says');
}

# --- secrets in URLs: of the request, and of the page that it comes from ---

$t->write_config($MAIN . <<'CONF');
LogFormat "%r %U%q %{Referer}i" everything
CustomLog @ROOT@/logs/access.log everything
CONF
ok($t->reload('HUP'), 'reload with Referer in the log');
for my $name (qw(client_secret CLIENT_SECRET %63lient_secret client-secret client.secret client_secret[] client_assertion
                 a=1;client_secret x&client_assertion)) {
    for my $n (1, 2) { # in the page, in the URL
        my $secret = sprintf 'sesame%08d', rand 1e8;
        $t->secret($secret);
        my $query = "$name=$secret&more=1";
        $r = $t->get('/idp/token' . ($n == 2 ? "?$query" : ''), headers => [ Referer => 'http://x/' . ($n == 1 ? "?$query" : '') ]);
        is($r->status, 405, "GET of the token endpoint, $name in " . ($n == 1 ? 'Referer' : 'the URL'));
        refuses(ask($t, form => { scope => 'none' }, headers => [ Referer => "http://x/#$query" ]), 400, 'invalid_scope', "$name in the fragment of Referer");
        $r = $t->raw("GET /idp/token?$query HTTP/1.1\r\n\r\n");
        is($r->status, 400, "a request without Host, $name in the URL");
        is(scalar(() = $t->access_log =~ /=\[redacted\]&more=1/g) > 0, 1, 'control: the lines stand in the log');
    }
}
like($t->error_log, qr{M2-718: .*referer: http://x/\?client_secret=\[redacted\]&more=1}, 'control: Referer stands in the error log');

# --- what the log may hold ---

for my $token (@issued) {
    my (undef, $payload, $sig) = split /\./, $token;
    $t->secret($sig);
}
like($t->error_log, qr/M2-714: token for client app_x at \Q$API\E, kid main, jti [\w-]{22}$/m, 'issuing is logged, with the jti');
# an id in the place of the secret, and the secret in that of the id
refuses(ask($t, form => { client_id => $SECRET, client_secret => 'app_x' }), 401, 'invalid_client', 'id and secret swapped');
refuses(ask_basic($t, $SECRET, 'app_x'), 401, 'invalid_client', 'and by Basic');
unlike($t->error_log . $t->access_log, qr/horse/, 'the secret is in no log');
like($t->error_log, qr/M2-710: client \Qcorrect?...\E from/, 'but as far as it tells who it was');
# refused before any secret is looked at
for my $case ([ { client_secret => undef }, 'no secret' ], [ { client_secret => '' }, 'an empty secret' ],
              [ { client_id => undef, client_secret => undef }, 'nobody' ]) {
    my $before = () = $t->error_log =~ /notice\].*M2-710: /g;
    refuses(ask($t, form => $case->[0]), 401, 'invalid_client', $case->[1]);
    my $after = () = $t->error_log =~ /notice\].*M2-710: /g;
    is($after - $before, 1, "$case->[1]: the refusal has its line");
}
like($t->error_log, qr/notice\].*M2-710: client app_z from 127\.0\.0\.1 refused: unknown/, 'an unknown client is logged');
like($t->error_log, qr/notice\].*M2-710: client app_x from 127\.0\.0\.1 refused: wrong secret/, 'a wrong secret is logged');
like($t->access_log, qr/client_secret=\[redacted\]/, 'a secret in a URL is masked in the access log');
like($t->access_log, qr/ app_x \[.*POST \/idp\/token/, 'the access log names the client');
$t->finish(more => 1);

# ======================================================================================
# configuration that is refused

sub try {
    my ($from, $to, %o) = @_;
    my %f = files(%{ $o{files} // {} });
    my $conf = $o{conf} // $HANDLERS;
    if (defined $from) { $conf =~ s/\Q$from\E/$to/ or die "no '$from' in the configuration" }
    no warnings 'redefine';
    my $prepare = \&M2MGW::Test::prepare;
    local *M2MGW::Test::prepare = sub {
        my $self = $prepare->(@_);
        secure($self);
        chmod $o{mode}[0], "$self->{root}/$o{mode}[1]" if $o{mode};
        return $self;
    };
    return try_config($conf, issuer => 1, files => \%f, modules => $o{modules} // []);
}

my ($status, $text) = try();
is($status, 0, 'the configuration that is varied is right') or diag($text);

sub bad {
    my ($like, $name, @try) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my ($st, $out) = try(@try);
    ok($st != 0 && $out =~ $like, "httpd -t refuses: $name") or diag("exit $st: $out");
}
my $KEY = 'M2MSigningKey @ROOT@/rsa.pem kid=main';

# what is found once all is read names its line, too, and its section: of $HANDLERS
sub bad_line {
    my ($line, $like, $name, @try) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    bad(qr/Syntax error on line $line of \S+suite\.conf:\n.*$like/, $name, @try);
}
my $in_token = qr{\(in <Location /idp/token>\)};
bad_line(6, qr/SetHandler m2m-token needs M2MClientProvider.* $in_token/, 'no provider', 'M2MClientProvider file', '');
bad_line(6, qr/SetHandler m2m-token needs M2MIssuerName $in_token/, 'no issuer', 'M2MIssuerName http://127.0.0.1:@PORT@/idp', '');
bad_line(1, qr/M2MIssuerName needs an M2MSigningKey/, 'no key', $KEY, '');
bad_line(1, qr/M2MIssuerName is an http:/, 'http:// elsewhere', '127.0.0.1:@PORT@', 'idp.example.com');
bad_line(3, qr/M2MGrantFile \S+grants can be written by everybody/, 'open grants', undef, undef, mode => [ 0666, 'grants' ]);
bad_line(3, qr/M2MGrantFile cannot read \S+: No such file/, 'no grants', '@ROOT@/grants', 'none');
bad_line(8, qr/AuthUserFile \S+clients can be written by everybody.* $in_token/, 'open passwords', undef, undef, mode => [ 0666, 'clients' ]);
bad_line(8, qr/AuthUserFile \S+clients can be written by everybody.* $in_token/, 'open passwords, by a relative name',
    'AuthUserFile @ROOT@/clients', 'AuthUserFile clients', mode => [ 0666, 'clients' ]);
bad_line(4, qr/M2MClientKeys \S+ec\.pem/, 'the second of two', $KEY,
    "$KEY\nM2MClientKeys ec file:\@ROOT\@/app_jwt.json\nM2MClientKeys app_jwt file:\@ROOT\@/ec.pem");
bad_line(14, qr/SetHandler m2m-revoke needs one M2MRevocation.* \(in <Location \/idp\/r>\)/, 'no list',
    "<Location /.well-known>\n", "<Location /idp/r>\n    SetHandler m2m-revoke\n</Location>\n<Location /.well-known>\n");
bad_line(21, qr/M2MIssuerName is an http:.* \(in <VirtualHost \*>\)/, 'of a virtual host', undef, undef,
    conf => "$HANDLERS<VirtualHost *>\n    ServerName two.test\n    M2MIssuerName http://idp.example.com/\n</VirtualHost>\n");
bad(qr/line 2 of.*M2MSigningKey \S+rsa\.pem holds a private key.*chmod 0600/s, 'a key the group can read',
    undef, undef, mode => [ 0640, 'rsa.pem' ]);
bad(qr/M2MSigningKey \S+ holds a private key.*chmod 0600/s, 'a key anybody can read', undef, undef,
    mode => [ 0604, 'rsa.pem' ]);
bad(qr/M2MSigningKey \S+ holds a private key/s, 'a key the group can write', undef, undef,
    mode => [ 0620, 'rsa.pem' ]);
bad(qr/M2MSigningKey \S+: alg=ES256 is not what this key can do, which is .*RS256/, 'a key that cannot do the alg',
    $KEY, "$KEY alg=ES256");
bad(qr/M2MSigningKey \S+: unknown alg=none/, 'alg=none', $KEY, "$KEY alg=none");
bad(qr/M2MSigningKey \S+: unknown alg=rs/, 'half of a name', $KEY, "$KEY alg=rs");
bad(qr/M2MSigningKey cannot read \S+: No such file/, 'no key file', 'rsa.pem', 'nothing.pem');
bad(qr/M2MSigningKey \S+ is not a regular file/, 'a directory as key', '@ROOT@/rsa.pem', '@ROOT@');
bad(qr/M2MSigningKey \S+grants: /, 'a key that is none', 'rsa.pem', 'grants');
bad(qr/M2MSigningKey .*first key is the one that signs/, 'a public key first', 'rsa.pem', 'rsa.pub');
bad(qr/M2MSigningKey .*kid main is already that of/, 'two keys of one kid', $KEY, "$KEY\nM2MSigningKey \@ROOT\@/ec.pem kid=main");
bad(qr/M2MSigningKey takes FILE \[kid=NAME\] \[alg=NAME\], not 'x=1'/, 'an unknown option', $KEY, "$KEY x=1");
bad(qr/M2MSigningKey: kid= is given twice/, 'kid twice', $KEY, "$KEY kid=b");
bad(qr/M2MSigningKey \S+: /, 'a symmetric key', 'rsa.pem', 'oct.json', files => { 'oct.json' => jwk_json('oct') });
bad(qr/M2MSigningKey \S+: /, 'an RSA key of 1024 bits', 'rsa.pem', 'small.pem',
    files => { 'small.pem' => key('rsa1024')->{text} }, mode => [ 0600, 'small.pem' ]);
bad(qr/M2MIssuerName needs an M2MSigningKey/, 'no key', $KEY, '');
bad(qr/SetHandler m2m-token needs M2MIssuerName/, 'no issuer', 'M2MIssuerName http://127.0.0.1:@PORT@/idp', '');
bad(qr/needs M2MClientProvider in its <Location>/, 'no provider', 'M2MClientProvider file', '');
bad(qr/M2MClientProvider names the unknown authn provider 'nix'/, 'an unknown provider', 'Provider file', 'Provider nix');
bad(qr/M2MIssuerName is an http:\/\/ URL of another host/, 'http:// elsewhere', '127.0.0.1:@PORT@', 'idp.example.com');
bad(qr/M2MIssuerName takes an absolute https:\/\/ URL/, 'no URL', 'http://127.0.0.1:@PORT@/idp', $_)
    for 'idp', '/idp', 'ftp://x/', 'https://', 'https:///x';
bad(qr/M2MIssuerName takes a URL without query, fragment and user/, 'a URL with more', 'http://127.0.0.1:@PORT@/idp', $_)
    for 'https://x/?a', '"https://x/#a"', 'https://u@x/', 'https://u:p@x/';
bad(qr/M2MTokenLifetime takes seconds from 1 to/, "a lifetime of $_", $KEY, "$KEY\nM2MTokenLifetime $_")
    for qw(0 -1 x 5x 1.5 99999999 99999999999999999999);
bad(qr/M2MGrant .*names no permission/, 'a grant without permission', 'app_y admin', 'app_y');
bad(qr/M2MGrant takes words without blanks/, 'a client of two words', 'app_y admin', '"app y" admin');
bad(qr/M2MGrant takes words without blanks/, 'a permission of two words', 'app_y admin', 'app_y "admin all"');
bad(qr/M2MGrant .*\.all is what a client asks for/, 'a grant of .all', 'app_y admin', 'app_y .all');
bad(qr/M2MGrant .*the client is/, 'a client that cannot be', 'app_y admin', 'app:y admin');
bad(qr/M2MGrantFile \S+grants line 3: /, 'a broken grant file', undef, undef, files => { grants => "a b c\n\na b\n" });
bad(qr/M2MGrantFile cannot read \S+: No such file/, 'no grant file', '@ROOT@/grants', '@ROOT@/none');
bad(qr/M2MGrantFile \S+grants can be written by everybody/, 'a grant file anybody can write', undef, undef,
    mode => [ 0666, 'grants' ]);
bad(qr/M2MGrantFile is given twice/, 'two grant files', $KEY, "$KEY\nM2MGrantFile \@ROOT\@/grants");
my $CK = 'M2MClientKeys app_jwt file:@ROOT@';
bad(qr/M2MClientKeys \S+: /, 'client keys with a private key', $KEY, "$KEY\n$CK/ec.pem");
bad(qr/M2MClientKeys \S+: /, 'client keys that are symmetric', $KEY, "$KEY\n$CK/oct.json", files => { 'oct.json' => jwk_json('oct') });
bad(qr/M2MClientKeys cannot read/, 'no client keys', $KEY, "$KEY\n$CK/none");
bad(qr/M2MClientKeys takes CLIENT file:PATH or CLIENT https:/, 'client keys of what is not a source', $KEY, "$KEY\nM2MClientKeys a ftp://x/");
bad(qr/M2MClientKeys takes a client id/, 'keys of an impossible client', $KEY, "$KEY\nM2MClientKeys a:b file:\@ROOT\@/app_jwt.json");
bad(qr/M2MClientKeys names app_jwt twice/, 'client keys twice', $KEY, "$KEY\n$CK/app_jwt.json\n$CK/app_jwt.json");
bad(qr/M2MIssuerEndpoint takes token, jwks, introspect or revoke/, 'an unknown endpoint', $KEY, "$KEY\nM2MIssuerEndpoint x https://x/");
bad(qr/M2MClientProvider not allowed here/, 'a provider outside of a section', $KEY, "$KEY\nM2MClientProvider file");
for my $d ('M2MIssuerName https://x/', 'M2MSigningKey x', 'M2MGrant a b c', 'M2MGrantFile x', 'M2MTokenLifetime 5',
           'M2MAllowPlainHTTP On', 'M2MClientKeys a file:x') {
    bad(qr/${\( (split ' ', $d)[0] )} not allowed in <Location> context/, "$d in a <Location>", 'SetHandler m2m-jwks', "SetHandler m2m-jwks\n$d");
}
($status, $text) = try($KEY, "$KEY\n$CK/ec.pub\nM2MSigningKey \@ROOT\@/ec.jwk",
    files => { 'ec.pub' => pem('p256'), 'ec.jwk' => jwk_json('p384', kid => 'k') });
is($status, 0, 'client keys as PEM, and a public JWK to publish') or diag($text);
($status, $text) = try($KEY, "$KEY ALG=ps384");
is($status, 0, 'words in any case') or diag($text);

# --- the example that is shipped ---

my $example = slurp("$FindBin::Bin/../conf/m2m-issuer.conf");
my @directives = map { slurp($_) =~ /AP_INIT_\w+\("(M2M\w+)"/g }
    glob "$FindBin::Bin/../mod_m2mgw/issuer/m2mi_config.c";
is_deeply([ grep { $example !~ /^\s*#?$_ /m } @directives ], [], 'conf/m2m-issuer.conf has every directive');
$example =~ s{^\s*SSL.*\n}{}mg;
$example =~ s{/etc/apache2/m2m/}{\@ROOT\@/}g;
$example =~ s{^(\s*)#(M2M|DBDriver)}{$1$2}mg;
$example =~ s{\*:443}{*:\@PORT\@};
my $ssl = -f M2MGW::Test::modules_dir() . '/mod_ssl.so';
$example =~ s{^\s*M2MClientCert.*\n}{}m if !$ssl;
my $has_dbd = -f M2MGW::Test::modules_dir() . '/mod_dbd.so';
$example =~ s{^\s*(?:DBDriver|M2MGrantQuery).*\n}{}mg if !$has_dbd;
($status, $text) = try(undef, undef, conf => $example, modules => [ $ssl ? 'ssl' : (), $has_dbd ? 'dbd' : () ], mode => [ 0600, '2026.jwk' ],
    files => { '2026.jwk' => key('rsa')->{text}, 'app_billing.jwks' => jwks_json(jwk('p256')) });
is($status, 0, 'and is right, with all that is commented out') or diag($text);
done_testing();
