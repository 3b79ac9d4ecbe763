# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# RFC 9728: what a protected resource says of itself, and where clients are told about it.
use strict;
use warnings;
use JSON::PP ();
use M2MGW::Test;

my $KEYS = jwks_json(jwk('p256#issuer', kid => 'I'));
my $t = M2MGW::Test->start(config => <<'CONF', files => { 'keys.json' => $KEYS });
<Location /orders>
    M2MJwks file:@ROOT@/keys.json
    M2MIssuer https://idp.example/ https://idp2.example/
    M2MAudience https://api.example/orders
    M2MResource https://api.example/orders
    M2MRequireClaim scope orders:read
    M2MDPoP algs=ES256,EdDSA
    <RequireAny>
        Require m2m-scope orders:write orders:read
    </RequireAny>
    ProxyPass http://@BACKEND@/orders
</Location>
<Location /dpop>
    M2MJwks file:@ROOT@/keys.json
    M2MResource https://api.example/dpop/v%201?a=b
    M2MSenderConstraint DPoP
    ProxyPass http://@BACKEND@/dpop
</Location>
<Location /off>
    M2MJwks file:@ROOT@/keys.json
    M2MToken header:Authorization query:access_token form:access_token cookie:t
    M2MSenderConstraint Off
    M2MResource http://127.0.0.1/
    ProxyPass http://@BACKEND@/off
</Location>
<Location /elsewhere>
    M2MJwks file:@ROOT@/keys.json
    M2MToken query:token form:tok header:X-Token query:Access_Token
    M2MResource https://api.example/elsewhere
    ProxyPass http://@BACKEND@/elsewhere
</Location>
<Location /headless>
    M2MJwks file:@ROOT@/keys.json
    M2MToken query:access_token cookie:access_token
    M2MDPoP algs=Ed25519
    M2MResource https://api.example/headless
    ProxyPass http://@BACKEND@/headless
</Location>
<Location /curve>
    M2MJwks file:@ROOT@/keys.json
    M2MToken form:access_token header:AUTHORIZATION
    M2MDPoP algs=Ed25519
    M2MResource https://api.example/curve
    ProxyPass http://@BACKEND@/curve
</Location>
<Location /described>
    M2MJwks file:@ROOT@/keys.json
    M2MResource https://api.example/described
    M2MOperation GET /described/{id} scope=read scope=read:all
    M2MOperation POST /described/ scope=write
    ProxyPass http://@BACKEND@/described
</Location>
<Location /roles>
    M2MJwks file:@ROOT@/keys.json
    M2MIssuer https://idp.example/
    M2MResource https://api.example/roles
    M2MScopeClaim roles
    M2MRequireClaim roles Orders.Read
    M2MRequireClaim scope unread
    <RequireAll>
        Require m2m-scope Orders.Write
        Require not m2m-scope Orders.Ban
        <RequireNone>
            Require m2m-scope Orders.Never
        </RequireNone>
    </RequireAll>
    ProxyPass http://@BACKEND@/roles
</Location>
<Location /bound>
    M2MJwks file:@ROOT@/keys.json issuer=https://bound.example
    M2MIssuer https://idp.example/
    M2MResource https://api.example/bound
    ProxyPass http://@BACKEND@/bound
</Location>
<Location /plain>
    M2MJwks file:@ROOT@/keys.json
    ProxyPass http://@BACKEND@/plain
</Location>
<Location /.well-known/oauth-protected-resource>
    M2MEngine Off
    SetHandler m2m-resource-metadata
</Location>
CONF

my $AT = '/.well-known/oauth-protected-resource';

sub document {
    my ($path) = @_;
    my $r = $t->get("$AT$path");
    is($r->status, 200, "$path has a document");
    is($r->header('Content-Type'), 'application/json', '... of JSON');
    is($r->header('Access-Control-Allow-Origin'), '*', '... that other origins may read');
    return eval { JSON::PP->new->decode($r->body) } // {};
}

my $d = document('/orders');
is($d->{resource}, 'https://api.example/orders', 'its name');
is_deeply($d->{authorization_servers}, ['https://idp.example/', 'https://idp2.example/'],
          'who issues tokens for it');
is_deeply([sort @{ $d->{scopes_supported} // [] }], [qw(orders:read orders:write)], 'its scopes');
is_deeply($d->{bearer_methods_supported}, ['header'], 'where a bearer token goes');
is_deeply([ grep { !/\AEd\d/ } @{ $d->{dpop_signing_alg_values_supported} } ], [qw(ES256 EdDSA)], 'algorithms of proofs (beside the RFC 9864 names of EdDSA)');
ok(!$d->{dpop_bound_access_tokens_required}, 'proofs are not required');

$d = document('/dpop/v%201');
is($d->{resource}, 'https://api.example/dpop/v%201?a=b', 'a name with a query');
is_deeply($d->{bearer_methods_supported}, [], 'no bearer tokens under DPoP');
ok($d->{dpop_bound_access_tokens_required}, 'proofs are required');
ok(!$d->{tls_client_certificate_bound_access_tokens}, 'certificates are not');

$d = document('');
is_deeply([sort @{ $d->{bearer_methods_supported} // [] }], [qw(body header query)],
          'the places of RFC 6750');
ok(!exists $d->{dpop_signing_alg_values_supported}, 'no proofs under Off');
ok(!exists $d->{authorization_servers}, 'nobody is named where nobody is known');

$d = document('/elsewhere');
is_deeply($d->{bearer_methods_supported}, [], 'places that RFC 6750 does not know are not told');
ok(@{ $d->{dpop_signing_alg_values_supported} // [] } > 5, 'a token under DPoP may come in another header');
$d = document('/headless');
is_deeply($d->{bearer_methods_supported}, ['query'], 'the parameter access_token');
ok(!exists $d->{dpop_signing_alg_values_supported}, 'no proofs where no header is looked at');
$d = document('/curve');
is_deeply([ sort @{ $d->{bearer_methods_supported} } ], [qw(body header)], 'a form, and Authorization in any case');
is_deeply($d->{dpop_signing_alg_values_supported}, [qw(EdDSA Ed25519)], 'every name by which the one curve is accepted');

$d = document('/described');
is_deeply([sort @{ $d->{scopes_supported} // [] }], [qw(read read:all write)], 'scopes of operations');

$d = document('/roles');
is_deeply([sort @{ $d->{scopes_supported} // [] }], [qw(Orders.Read Orders.Write)], 'scopes of M2MScopeClaim, without what is refused');

is_deeply(document('/bound')->{authorization_servers}, ['https://idp.example/', 'https://bound.example'],
          'issuers that keys are bound to, too');

is($t->get("$AT/plain")->status, 404, 'a section without a name has none');
is($t->get("$AT/order")->status, 404, 'nor has a beginning');
is($t->get("$AT/orders/1")->status, 404, 'nor what lies below');
is($t->post("$AT/orders", 'x')->status, 405, 'it is read only');

for my $case (['/orders', "https://api.example$AT/orders", 2],
              ['/dpop', "https://api.example$AT/dpop/v%201?a=b", 1], ['/off', "http://127.0.0.1$AT", 1]) {
    my ($path, $url, $n) = @$case;
    my $r = $t->get($path);
    denies($r, 401, 'token_missing', $path);
    my @c = grep { /resource_metadata="\Q$url\E"/ } $r->header('WWW-Authenticate');
    is(scalar @c, $n, '... says where its document is, in each challenge')
        or diag explain [$r->header('WWW-Authenticate')];
}
unlike(join("\n", $t->get('/plain')->header('WWW-Authenticate')), qr/resource_metadata/,
       'without a name nothing is said');

# --- below protection ---

for my $handler (qw(m2m-resource-metadata m2m-status)) {
    my $below = "<Location />\n    M2MJwks file:\@ROOT\@/keys.json\n    M2MIssuer https://i\n    M2MAudience a\n</Location>\n<Location /x>\n    SetHandler $handler\n%s</Location>\n";
    my $notice = qr{<Location /x> in line \d+ of \S+ has SetHandler \Q$handler\E and stands below protection: .*M2MEngine Off};
    my ($status, $text) = try_config(sprintf($below, ''), files => { 'keys.json' => $KEYS });
    is($status, 0, "$handler below protection is legal");
    like($text, $notice, '... and a notice');
    ($status, $text) = try_config(sprintf($below, "    M2MEngine Off\n"), files => { 'keys.json' => $KEYS });
    unlike($text, qr/stands below protection/, '... and none where M2MEngine is Off');
    ($status, $text) = try_config(sprintf($below =~ s{<Location />}{<Location /y>}r, ''), files => { 'keys.json' => $KEYS });
    unlike($text, qr/stands below protection/, '... nor beside it');
    ($status, $text) = try_config("<VirtualHost *:1>\n    M2MJwks file:\@ROOT\@/keys.json\n    <Location /x>\n        SetHandler $handler\n    </Location>\n</VirtualHost>\n", files => { 'keys.json' => $KEYS });
    like($text, $notice, '... but in a host that is protected');
}

{
    my $named = "<Location /x>\n    M2MJwks file:\@ROOT\@/keys.json\n    M2MResource https://api.example/x\n</Location>\n";
    my $unserved = qr{M2MResource in line 3 of \S+: clients are sent to https://api\.example/\.well-known/oauth-protected-resource/x, and no section has SetHandler m2m-resource-metadata};
    my ($status, $text) = try_config($named, files => { 'keys.json' => $KEYS });
    is($status, 0, 'a document that is served nowhere is legal');
    like($text, $unserved, '... and told');
    ($status, $text) = try_config("$named<Location $AT>\n    M2MEngine Off\n    SetHandler m2m-resource-metadata\n</Location>\n", files => { 'keys.json' => $KEYS });
    unlike($text, qr/no section has SetHandler/, '... unless it is served');
}

# --- behind a proxy of everything ---

{
    my $at = '<Location /x/y>' . "\n    SetHandler m2m-resource-metadata\n%s</Location>\n";
    my $vain = qr{M2-101: <Location /x/y> in line \d+ of \S+ has SetHandler m2m-resource-metadata in vain: ProxyPass (\S+) comes before it};
    for my $c ([ "ProxyPass / http://127.0.0.1:1/\n", '', '/' ], [ "ProxyPass /x http://127.0.0.1:1/\n", '', '/x' ],
               [ "ProxyPass /x/y/ http://127.0.0.1:1/\n", '', undef ], [ "ProxyPass /x/ http://127.0.0.1:1/\n", '', '/x/' ],
               [ "ProxyPass /x/yy http://127.0.0.1:1/\n", '', undef ], [ "ProxyPassMatch ^/x http://127.0.0.1:1/\n", '', '^/x' ],
               [ "ProxyPass /x/y !\nProxyPass / http://127.0.0.1:1/\n", '', undef ], [ "ProxyPass / http://127.0.0.1:1/\nProxyPass /x/y !\n", '', '/' ],
               [ "ProxyPass / http://127.0.0.1:1/\n", "    ProxyPass !\n", undef ], [ "<Location />\nProxyPass http://127.0.0.1:1/\n</Location>\n", '', '/' ],
               [ "<Location />\nProxyPass http://127.0.0.1:1/\n</Location>\n", "    ProxyPass !\n", undef ], [ '', '', undef ]) {
        my ($before, $in, $by) = @$c;
        my ($status, $text) = try_config($before . sprintf($at, $in), files => { 'keys.json' => $KEYS });
        is($status, 0, 'legal: ' . ($before . $in) =~ s/\n/; /gr) or diag($text);
        is($text =~ $vain ? $1 : undef, $by, '... and told where a backend answers in its place');
    }
    for my $handler (qw(m2m-status m2m-token m2m-jwks m2m-metadata)) {
        my ($status, $text) = try_config("ProxyPass / http://127.0.0.1:1/\n<Location /x>\n    SetHandler $handler\n</Location>\n", files => { 'keys.json' => $KEYS });
        like($text, qr/SetHandler $handler in vain/, "$handler as well");
    }
    my ($status, $text) = try_config("<VirtualHost *:1>\nProxyPass / http://127.0.0.1:1/\n</VirtualHost>\n<VirtualHost *:2>\n" . sprintf($at, '') . '</VirtualHost>', files => { 'keys.json' => $KEYS });
    unlike($text, $vain, 'another virtual host does not matter');
    my $rewritten = qr{M2-101: <Location /x/y> in line \d+ of \S+ has SetHandler m2m-resource-metadata in vain: the RewriteRule with \[P\] in line (\d+) of \S+ comes before it};
    my $P = 'RewriteRule ^/(.*)$ http://127.0.0.1:1/$1';
    for my $c ([ "RewriteEngine On\n$P [P]\n", 2 ], [ "RewriteEngine On\n$P [L,NE,proxy]\n", 2 ], [ "RewriteEngine On\nRewriteRule ^/X http://127.0.0.1:1/ [NC,P]\n", 2 ],
               [ "RewriteEngine On\nRewriteRule !^/static http://127.0.0.1:1/ [P]\n", 2 ], [ "RewriteEngine On\nRewriteRule ^ - [E=a:b]\n$P [P]\n", 3 ],
               [ "RewriteEngine On\nRewriteRule ^/other - [L]\n$P [P]\n", 3 ], [ "RewriteEngine On\nRewriteRule ^/x/y - [L]\n$P [P]\n", undef ],
               [ "$P [P]\n", undef ], [ "RewriteEngine On\n$P [P]\nRewriteEngine Off\n", undef ], [ "RewriteEngine On\n$P [R]\n", undef ],
               [ "RewriteEngine On\nRewriteRule ^/z http://127.0.0.1:1/ [P]\n", undef ], [ "RewriteEngine On\nRewriteRule !^/x http://127.0.0.1:1/ [P]\n", undef ],
               [ "RewriteEngine On\nRewriteCond %{REQUEST_URI} !^/x/y\n$P [P]\n", undef ], [ "RewriteEngine On\nRewriteCond %{REQUEST_URI} ^/x\nRewriteRule ^ - [L]\n$P [P]\n", undef ],
               [ "RewriteEngine On\nRewriteCond %{HTTPS} on\nRewriteRule ^/z - [L]\n$P [P]\n", 4 ], [ "RewriteEngine On\nRewriteRule ^/q - [C]\n$P [P]\n", undef ],
               [ "<VirtualHost *:1>\nRewriteEngine On\n$P [P]\n</VirtualHost>\n", 3 ]) {
        my ($before, $line) = @$c;
        my ($status, $text) = try_config($before . sprintf($at, ''), files => { 'keys.json' => $KEYS });
        is($status, 0, 'legal: ' . $before =~ s/\n/; /gr) or diag($text);
        is($text =~ $rewritten ? $1 : undef, $line, '... and told where a rewrite takes it to a backend');
    }
    # what depends on the request, or on a rule that may apply, is told as that
    my $maybe = qr{has SetHandler m2m-resource-metadata in vain at times: the RewriteRule with \[P\] in line (\d+) of};
    my $on = 'RewriteEngine On';
    for my $c ([ "$on\nRewriteCond %{HTTPS} on\n$P [P]\n", 3 ], [ "$on\nRewriteCond %{REQUEST_URI} ^/x\n$P [P]\n", undef, 3 ],
               [ "$on\nRewriteCond %{REQUEST_URI} !^/x/y\nRewriteCond %{HTTPS} on\n$P [P]\n", undef ],
               [ "$on\nRewriteCond %{REQUEST_URI} ^/z [OR]\nRewriteCond %{HTTPS} on\n$P [P]\n", 4 ], [ "$on\nRewriteCond %{REQUEST_URI} ^/x [OR]\nRewriteCond %{HTTPS} on\n$P [P]\n", undef, 4 ],
               [ "$on\nRewriteCond %{REQUEST_URI} =/x/y\n$P [P]\n", undef, 3 ], [ "$on\nRewriteCond %{REQUEST_URI} !=/x/y\n$P [P]\n", undef ],
               [ "$on\nRewriteCond %{REQUEST_URI} ^/X [NC]\n$P [P]\n", undef, 3 ], [ "$on\nRewriteCond %{REQUEST_URI} -f\n$P [P]\n", 3 ],
               [ "$on\nRewriteCond %{HTTP:Upgrade} =websocket [NC]\nRewriteCond %{HTTP:Connection} upgrade [NC]\n$P [P]\n", undef ],
               [ "$on\nRewriteCond %{HTTP:Upgrade} !=websocket [NC]\n$P [P]\n", undef, 3 ], [ "$on\nRewriteCond %{HTTPS} off\nRewriteRule ^ https://a.test/ [R,L]\n$P [P]\n", 4 ],
               [ "$on\nRewriteCond %{HTTPS} on\n$P [P]\n$P [P]\n", undef, 4 ], [ "$on\nRewriteCond %{HTTPS} on\nRewriteRule ^ - [E=a:b]\n$P [P]\n", undef, 4 ],
               # and inside sections
               map({ my $s = $_; map { [ "<$s->[0]>\n$_->[0]\n</" . $s->[0] =~ s/ .*//r . ">\n", $s->[1] ? ($_->[1], $_->[2]) : (undef, undef) ] }
                     [ "$on\nRewriteRule ^ http://127.0.0.1:1/ [P]", undef, 3 ], [ "$on\nRewriteCond %{HTTPS} on\nRewriteRule (.*) http://127.0.0.1:1/ [P]", 4 ],
                     [ "RewriteRule ^ http://127.0.0.1:1/ [P]" ] }
                   [ 'Location /', 1 ], [ 'Location /x', 1 ], [ 'Location /x/yy', 0 ], [ 'Location "/x/y"', 1 ], [ 'Directory /', 1 ], [ 'Directory "@DOCROOT@"', 1 ], [ 'Directory /other', 0 ]),
               [ "<Directory \@DOCROOT\@>\n$on\nRewriteRule ^x/y\$ http://127.0.0.1:1/ [P]\n</Directory>\n", undef, 3 ], [ "<Directory \@DOCROOT\@>\n$on\nRewriteRule ^/x/y\$ http://127.0.0.1:1/ [P]\n</Directory>\n" ],
               [ "<Location /x>\n$on\nRewriteRule ^ http://127.0.0.1:1/ [P]\n</Location>\n<Location /x/y>\nRewriteEngine Off\n</Location>\n" ],
               [ "<VirtualHost *:1>\n<Location /x>\n$on\nRewriteRule ^ http://127.0.0.1:1/ [P]\n</Location>\n</VirtualHost>\n", undef, 4 ]) {
        my ($before, $line, $sure) = @$c;
        my ($status, $text) = try_config($before . sprintf($at, ''), files => { 'keys.json' => $KEYS });
        is($status, 0, 'legal: ' . $before =~ s/\n/; /gr) or diag($text);
        is($text =~ $maybe ? $1 : undef, $line, '... and told where it may be taken to a backend');
        is($text =~ $rewritten || $text =~ qr{in vain: the RewriteRule with \[P\] in line (\d+) of \S+, of a section} ? $1 : undef, $sure, '... or is');
    }
    # handlers that nothing serves
    for my $c ([ 'm2m-stats', 'there is no such handler; did you mean m2m-status\?' ], [ 'm2m-resource-metdata', 'there is no such handler; did you mean m2m-resource-metadata\?' ],
               [ 'm2m-ztqxv', 'there is no such handler$' ], [ 'M2M-Status' ], [ 'm2m-%{REQUEST_METHOD}' ], [ 'm2mx' ], map { [ $_ ] } qw(m2m-status m2m-jwks m2m-metadata m2m-resource-metadata)) {
        my ($handler, $why) = @$c;
        my ($status, $text) = try_config("<Location /x>\n    SetHandler $handler\n</Location>\n<VirtualHost *:1>\n</VirtualHost>\n", issuer => 1);
        is($status, 0, "legal: SetHandler $handler") or diag($text);
        $why ? like($text, qr/^M2-101: SetHandler \Q$handler\E in line 2 of \S+: $why/m, '... and told') : unlike($text, qr/SetHandler \S+ in line/, '... and served');
    }
    ($status, $text) = try_config("<Location /x>\n    SetHandler m2m-token\n</Location>\n", issuer => 0);
    like($text, qr/SetHandler m2m-token in line 2 of \S+: it needs mod_m2m_issuer, which is not loaded/, 'without the issuer');
    ($status, $text) = try_config("<Location /x>\n    SetHandler m2m-status\n</Location>\n", gateway => 0, issuer => 1, loglevel => 'emerg');
    like($text, qr/^M2-701: SetHandler m2m-status in line 2 of \S+: it needs mod_m2mgw, which is not loaded/m, 'without the gateway');
    ($status, $text) = try_config("<VirtualHost *:1>\nRewriteEngine On\n$P [P]\n" . sprintf($at, '') . '</VirtualHost>', files => { 'keys.json' => $KEYS });
    like($text, $rewritten, 'in its own virtual host as well');
    ($status, $text) = try_config("<VirtualHost *:1>\nRewriteEngine On\n$P [P]\n</VirtualHost>\n<VirtualHost *:2>\nRewriteEngine On\n" . sprintf($at, '') . '</VirtualHost>', files => { 'keys.json' => $KEYS });
    unlike($text, $rewritten, 'another virtual host does not matter');
    my $document = "<Location /kept>\n    M2MJwks file:\@ROOT\@/keys.json\n    M2MResource https://api.example/kept\n</Location>\n<Location /lost>\n    M2MJwks file:\@ROOT\@/keys.json\n    M2MResource https://api.example/lost\n</Location>\n";
    my $u = M2MGW::Test->start(files => { 'keys.json' => $KEYS }, config => "ProxyPass $AT/kept !\nProxyPass / http://\@BACKEND\@/\n$document<Location $AT>\n    SetHandler m2m-resource-metadata\n</Location>\n");
    is(scalar(my @b = $u->get("$AT/lost")->backend), 1, 'the notice is right: the backend answers');
    my $r = $u->get("$AT/kept");
    is(scalar(@b = $r->backend), 0, '... and does not behind ProxyPass !');
    is(eval { JSON::PP->new->decode($r->body)->{resource} }, 'https://api.example/kept', '... where the document is');
    $u->expect_log(qr/M2-101: /);
    $u->finish(more => 1);
    $u = M2MGW::Test->start(files => { 'keys.json' => $KEYS }, config => "<VirtualHost *:\@PORT\@>\nServerName gw.test\nRewriteEngine On\nRewriteRule ^$AT/kept - [L]\nRewriteRule ^/(.*)\$ http://\@BACKEND\@/\$1 [P]\n$document<Location $AT>\n    SetHandler m2m-resource-metadata\n</Location>\n</VirtualHost>\n");
    is(scalar(@b = $u->get("$AT/lost")->backend), 1, 'so is that of a rewrite: the backend answers');
    $r = $u->get("$AT/kept");
    is(scalar(@b = $r->backend), 0, '... and does not behind RewriteRule - [L]');
    is(eval { JSON::PP->new->decode($r->body)->{resource} }, 'https://api.example/kept', '... where the document is');
    $u->expect_log(qr/M2-101: /);
    $u->finish(more => 1);
}

sub refused {
    my ($config, $re, $name) = @_;
    my ($status, $text) = try_config($config, files => { 'keys.json' => $KEYS });
    ok($status != 0 && $text =~ $re, "refused: $name") or diag($text);
}

my $J = 'M2MJwks file:@ROOT@/keys.json';
refused("<Location /a>\n$J\nM2MResource http://api.example/a\n</Location>", qr/https URL/, 'http');
refused("<Location /a>\n$J\nM2MResource https://api.example/a#b\n</Location>", qr/fragment/, 'a fragment');
refused("<Location /a>\n$J\nM2MResource /a\n</Location>", qr/absolute/, 'no URL');
refused("<Location /a>\n$J\nM2MResource https://a/x\n</Location>\n<Location /b>\n$J\nM2MResource https://b/x\n</Location>",
        qr/has the path of that in/, 'two of one path');

$t->expect_log(qr/M2-101: .*M2MSenderConstraint Off/);
$t->finish;
