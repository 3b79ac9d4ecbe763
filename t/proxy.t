#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# What the backend receives, byte for byte, on every way to it: path, query, published names,
# body and connection reuse are the same with ProxyPass in all its forms, rewriting, handlers,
# balancers and websockets; and whether a path may mean something else to the backend.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use M2MGW::Test;

my $policy = "M2MToken query:id_token header:Authorization\nM2MClaim client_id query:client_id header:X-Client-Id\n"
    . "M2MClaim scope query:scope\n";
my $b = 'http://@BACKEND@';
my %way = (
    proxypass => "ProxyPass %U $b%U\n<Location %U>\n$policy</Location>",
    inside => "<Location %U>\n${policy}ProxyPass $b%U\n</Location>",
    match => "ProxyPassMatch ^%U(/.*)?\$ $b%U\$1\n<Location %U>\n$policy</Location>",
    nocanon => "ProxyPass %U $b%U nocanon\n<Location %U>\n$policy</Location>",
    encoded => "ProxyPass %U $b%U mapping=encoded\n<Location %U>\n$policy</Location>",
    balancer => "<Proxy balancer://bal>\nBalancerMember $b\nBalancerMember http://\@BACKEND2\@ status=+H\n</Proxy>\nProxyPass %U balancer://bal%U\n<Location %U>\n$policy</Location>",
    balnocanon => "<Proxy balancer://bal2>\nBalancerMember $b\n</Proxy>\nProxyPass %U balancer://bal2%U nocanon\n<Location %U>\n$policy</Location>",
    rewrite => "RewriteRule ^%U(/.*)?\$ $b%U\$1 [P]\n<Location %U>\n$policy</Location>",
    rewritene => "RewriteRule ^%U(/.*)?\$ $b%U\$1 [P,NE]\n<Location %U>\n$policy</Location>",
    rewritequery => "RewriteRule ^%U(/.*)?\$ $b%U\$1 [P,QSA]\n<Location %U>\n$policy</Location>",
    rewritein => "<Location %U>\n${policy}RewriteEngine On\nRewriteCond %{REQUEST_URI} ^%U(/.*)?\$\nRewriteRule . $b%U%1 [P]\n</Location>",
    handler => "Alias %U \@ROOT\@/file\n<Location %U>\n${policy}SetHandler proxy:$b\n</Location>",
    expr => "RewriteRule ^%U(/.*)?\$ /moved%U\$1 [PT]\nProxyPass /moved%U $b%U\n<Location /moved%U>\n$policy</Location>",
);
my $conf = join '', map { my ($n, $c) = ($_, $way{$_}); $c =~ s{%U(?!\{)}{/$n}g; "# $n\n$c\n" } sort keys %way;
my $t = M2MGW::Test->start(files => { 'k.json' => jwk_json('oct'), file => 'x' }, config => <<"CONF");
RewriteEngine On
AllowEncodedSlashes NoDecode
M2MJwks file:\@ROOT\@/k.json
<Directory \@ROOT\@>
Options +FollowSymLinks
</Directory>
$conf
ProxyPass /ws $b/ws upgrade=websocket
ProxyPass /tunnel ws://\@BACKEND\@/tunnel
ProxyPass /alive $b/alive keepalive=On
ProxyPass /preserve $b/preserve
<Location /preserve>
    ProxyPreserveHost On
</Location>
<Location /rulepath>
    M2MParameter p Path
    M2MRule public "\$p like '/rulepath/%/public%'" ifFalse=DENY
</Location>
ProxyPass /rulepath/plain $b/rulepath/plain
ProxyPass /rulepath/nocanon $b/rulepath/nocanon nocanon
ProxyPass /rulepath/encoded $b/rulepath/encoded mapping=encoded
RewriteRule ^/rulepath/ne(/.*)?\$ $b/rulepath/ne\$1 [P,NE]
ProxyPass /rulepath/ne !
CONF

my $token = mint('oct', { client_id => 'app 1', scope => 'a&b' });
my $added = 'client_id=app%201&scope=a%26b';
for my $w (sort keys %way) {
    my $r = $t->get("/$w/a/b?x=%41&y=1;z&id_token=$token&e=&e2&client_id=evil&sc%6fpe=evil");
    passes($r, "$w: a query token") or next;
    my $path = $w eq 'handler' ? qr{/[^?]*} : "/$w/a/b";
    like($r->target, qr{\A$path\?\Q$added\E&x=%41&y=1;z&e=&e2\z}, "$w: path and query");
    is($r->sent('X-Client-Id'), 'app 1', "$w: a header");
    is(scalar(my @sent = $r->sent('X-Client-Id')), 1, "$w: once");
    is($r->sent('X-Ca-Request-Id'), $r->header('X-Ca-Request-Id'), "$w: request id");
    $r = $t->get("/$w/a", token => $token);
    is($r->query, $added, "$w: no query of the client") or diag($r->target);
    is($r->sent('Authorization'), "Bearer $token", "$w: Authorization is forwarded");
    $r = $t->get("/$w/a?", token => $token);
    is($r->query, $added, "$w: an empty query");
    $r = $t->get("/$w/a?%zz=%&%&=&&==", token => $token);
    is($r->query, "$added&%zz=%&%&=&&==", "$w: a query of rubbish stays as it is") if $r->reached;
    for my $body ('', 'client_id=evil&a=b', "\0\1\2\xff" x 5000) {
        $r = $t->post("/$w/p", $body, token => $token, headers => [ 'Content-Type' => 'application/octet-stream' ]);
        ok($r->reached == 1 && $r->{backend}[0]{body} eq $body, "$w: a body of " . length($body) . ' bytes');
    }
    $r = $t->request('POST', "/$w/p", token => $token, headers => [ 'Transfer-Encoding' => 'chunked' ], body => "5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n");
    is(($r->backend)[0]{body}, 'hello world', "$w: a chunked body");
    $r = $t->request('POST', "/$w/p", token => $token, headers => [ Expect => '100-continue' ], body => 'later');
    is(($r->backend)[0]{body}, 'later', "$w: Expect: 100-continue");
    denies($t->get("/$w/a?x=1"), 401, 'token_missing', "$w: without a token");
    is($t->get("/$w/status-503", token => $token)->status, 503, "$w: a status of the backend") if $w ne 'handler';
}

# --- encodings survive where they did before ---

for my $c ([ 'proxypass', '/a%20b', '/a%20b' ], [ 'nocanon', '/a%20b%7e', '/a%20b%7e' ], [ 'nocanon', '/a%2fb', '/a%2fb' ],
           [ 'nocanon', '/%c3%a4+1', '/%c3%a4+1' ], [ 'encoded', '/a%2fb%3F', '/a%2fb%3F' ], [ 'proxypass', '/a;b=c', '/a;b=c' ],
           [ 'nocanon', '/a;b=c//d', '/a;b=c//d' ]) {
    my ($w, $in, $out) = @$c;
    my $plain = $t->get("/$w$in?q=%2F", token => $token);
    is($plain->target =~ s{\?.*}{}r, "/$w$out", "$w: $in arrives as $out") or diag(M2MGW::Test::describe($plain));
    is($plain->query, "$added&q=%2F", "$w: $in with its query");
}

# --- where rules read the path, the raw one may not say something else ---

my %unsafe;
for my $w (qw(plain nocanon encoded ne)) {
    passes($t->get("/rulepath/$w/public/x", token => $token), "rules on the path, $w: control");
    denies($t->get("/rulepath/$w/secret", token => $token), 403, 'rule_denied', "rules on the path, $w: denied");
    for my $p ('public/%2e%2e/secret', 'public%2f..%2f..%2fsecret', 'public/..%2fsecret', 'public/%252e%252e/secret', 'public/..;/secret',
               'public//../secret', 'public%5c..%5csecret', 'public;/../secret', 'public/.%2e/secret', 'x/../public/../secret', 'public%2F%2E%2E%2Fsecret') {
        my $r = $t->get("/rulepath/$w/$p", token => $token);
        my $arrived = $r->target =~ s/\?.*//sr;
        my $plain = $arrived;
        $plain =~ s/%([0-9a-f]{2})/chr hex $1/gie for 1, 2;
        my $means = $plain =~ s/;[^\/]*//gr;
        $means =~ tr{\\}{/};
        1 while $means =~ s{/(?!\.\.(?:/|\z))[^/]*/\.\.(?=/|\z)}{};
        ok(!$r->reached || $w eq 'plain' || $means !~ /secret/, "rules on the path, $w: $p does not arrive as something else")
            or diag($arrived, ' means ', $means, "\n", M2MGW::Test::describe($r));
        $unsafe{$w}++ if $r->reason eq 'path_unsafe' && $r->status == 400;
    }
}

cmp_ok($unsafe{$_} // 0, '>=', 4, "$_: ambiguous raw paths are path_unsafe") for qw(nocanon encoded ne);

# --- connections, upgrades, hosts ---

my %conn;
for (1 .. 6) { my $c = $t->client; $t->get('/alive/x', client => $c, token => $token) for 1 .. 2; $c->close }
is($t->get('/preserve', token => $token)->sent('Host'), 'gw.test', 'ProxyPreserveHost');
for my $u ('/ws', '/tunnel') {
    my $up = "GET $u?id_token=$token HTTP/1.1\r\nHost: gw.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: x\r\n\r\n";
    my $c = $t->client;
    $t->backend_new;
    $c->send_bytes($up =~ s/\?id_token=\S*//r);
    my $r = $c->response;
    is($r->status, 401, "$u: an upgrade without a token");
    is(scalar(my @none = $t->backend_new), 0, "$u: reaches nothing");
    $c->close;
    $c = $t->client;
    $c->send_bytes($up =~ s/\?id_token=\S*//r =~ s/Host/Authorization: Bearer $token\r\nHost/r);
    $r = $c->response;
    is($r->status, 101, "$u: an upgrade with a token") or diag($r->body);
    $c->send_bytes('ping');
    $c->fill while length $c->{in} < 4 && !$c->{eof} && !$c->{timed_out};
    is($c->{in}, 'ping', "$u: and the stream flows both ways");
    $c->close;
}
my ($first) = $t->raw("GET /proxypass HTTP/1.1\r\nHost: gw.test\r\nAuthorization: Bearer $token\r\nConnection: keep-alive\r\n\r\n"
                      . "GET /proxypass HTTP/1.1\r\nHost: gw.test\r\nConnection: close\r\n\r\n");
is($first->reached, 1, 'the second request of a connection is judged by itself');
$t->expect_log(qr/AH10244|AH01136|AH00128/);
$t->finish;
