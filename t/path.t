#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# Claims in the path of the backend's URL, on every way to it; what a claim may not be there,
# and a client that writes the placeholder itself. Path templates and parameters of rules.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use M2MGW::Test;

my $b = 'http://@BACKEND@';
my $policy = "M2MClaim sub path:sub\nM2MClaim tenant path:tenant\nM2MClaim client_id header:X-Client-Id\n";
# what the administrator writes; the backend is to see /u/SUB/t/TENANT and the rest of the path
my %way = (
    proxypass => "ProxyPass %U $b/u/{sub}/t/{tenant}\n<Location %U>\n$policy</Location>",
    inside => "<Location %U>\n${policy}ProxyPass $b/u/{sub}/t/{tenant}\n</Location>",
    match => "ProxyPassMatch ^%U(/.*)?\$ $b/u/{sub}/t/{tenant}\$1\n<Location %U>\n$policy</Location>",
    nocanon => "ProxyPass %U $b/u/{sub}/t/{tenant} nocanon\n<Location %U>\n$policy</Location>",
    encoded => "ProxyPass %U $b/u/{sub}/t/{tenant} mapping=encoded\n<Location %U>\n$policy</Location>",
    balancer => "<Proxy balancer://bp>\nBalancerMember $b\n</Proxy>\nProxyPass %U balancer://bp/u/{sub}/t/{tenant}\n<Location %U>\n$policy</Location>",
    rewrite => "RewriteRule ^%U(/.*)?\$ $b/u/{sub}/t/{tenant}\$1 [P]\n<Location %U>\n$policy</Location>",
    rewritene => "RewriteRule ^%U(/.*)?\$ $b/u/{sub}/t/{tenant}\$1 [P,NE]\n<Location %U>\n$policy</Location>",
    rewritein => "<Location %U>\n${policy}RewriteEngine On\nRewriteCond %{REQUEST_URI} ^%U(/.*)?\$\nRewriteRule . $b/u/{sub}/t/{tenant}%1 [P]\n</Location>",
);
my $conf = join '', map { my ($n, $c) = ($_, $way{$_}); $c =~ s{%U(?!\{)}{/$n}g; "# $n\n$c\n" } sort keys %way;
my $t = M2MGW::Test->start(files => { 'k.json' => jwk_json('oct') }, config => <<"CONF");
RewriteEngine On
M2MJwks file:\@ROOT\@/k.json
$conf
<Proxy balancer://dead>
BalancerMember http://127.0.0.1:\@PORT:dead\@ retry=0
BalancerMember $b
</Proxy>
ProxyPass /failover balancer://dead/u/{sub}
<Location /failover>
    M2MClaim sub path:sub
</Location>
ProxyPass /bypass $b/u/{sub}
<Location /bypass>
    M2MClaim sub path:sub
    M2MBypassEmptyToken On
</Location>
ProxyPass /shadow $b/u/{sub}
<Location /shadow>
    M2MClaim sub path:sub
    M2MEngine Shadow
</Location>
ProxyPass /one $b/one
<Location /one>
    M2MPath "/one/{id}"
    M2MParameter id Path:id
    M2MRule own "\$id = 'me'" ifTrue=DENY
</Location>
ProxyPass /all $b/all
<Location /all>
    M2MParameter path Path
    M2MRule own "\$path = '/all/secret'" ifTrue=DENY
</Location>
ProxyPass /raw $b/raw nocanon
<Location /raw>
    M2MParameter path Path
    M2MRule own "\$path = '/raw/secret'" ifTrue=DENY
</Location>
ProxyPass /data $b/data nocanon
<Location /data>
    M2MPathGuard Off
    M2MParameter path Path
    M2MRule own "\$path = '/data/secret'" ifTrue=DENY
</Location>
ProxyPass /plain $b/plain
<Location /plain>
    M2MParameter q Query:q
    M2MRule own "\$q = 'x'" ifTrue=DENY
</Location>
ProxyPass /unmapped $b/u/{sub}
ProxyPass /templ $b/templ
<Location /templ>
    M2MPath "/templ/{userId}/{kind}/*"
    M2MParameter user Path:userId
    M2MParameter kind path:kind
    M2MParameter sub Token:sub
    M2MParameter any Parameter:userId
    M2MRule own "\$user = \$sub and \$any = \$user" ifFalse=DENY "errorMessage=%{user} is not %{sub}"
    M2MRule kind "\$kind in ('a', 'b c')" ifFalse=DENY errorMessage=kind
</Location>
CONF
sub ask { my ($url, $claims, %o) = @_; $t->get($url, token => mint('oct', { sub => 'me', tenant => 't1', %$claims }), %o) }

for my $w (sort keys %way) {
    my $r = ask("/$w/x?q=1", {});
    passes($r, "$w: two claims in the path") or next;
    is($r->target, '/u/me/t/t1/x?q=1', "$w: where it belongs");
    is(ask("/$w", {})->target, '/u/me/t/t1', "$w: without more path");
    is(ask("/$w/x", { sub => 'a b+c&d?e#f;g=h' })->target, '/u/a%20b%2Bc%26d%3Fe%23f%3Bg%3Dh/t/t1/x', "$w: a claim that would be syntax");
    is(ask("/$w/x", { sub => "\xc3\xa4" })->target, '/u/%C3%A4/t/t1/x', "$w: UTF-8");
    is(ask("/$w/x", { sub => 42, tenant => [ 'a', 'b' ] })->target, '/u/42/t/a%20b/x', "$w: a number and an array");
    is(ask("/$w/x", { sub => '{tenant}', tenant => '{sub}' })->target, '/u/%7Btenant%7D/t/%7Bsub%7D/x', "$w: a claim that looks like a placeholder");
    is(ask("/$w/x", { sub => '...' })->target, '/u/.../t/t1/x', "$w: three dots are a name");
    for my $bad ([ '', 'empty' ], [ '.', 'dot' ], [ '..', 'dot dot' ], [ 'a/b', 'slash' ], [ '../x', 'traversal' ], [ 'a\\b', 'backslash' ],
                 [ 'a%2fb', 'percent' ], [ '%', 'percent alone' ], [ "a\tb", 'tab' ], [ "a\nb", 'line feed' ], [ "a\x7f", 'DEL' ], [ '/', 'slash alone' ]) {
        denies(ask("/$w/x", { sub => $bad->[0] }), 403, 'claim_unsafe', "$w: a claim with $bad->[1]");
    }
    denies(ask("/$w/x", { sub => undef }), 403, 'claim_missing', "$w: no claim for the path");
    is(ask("/$w/x", { sub => undef })->header('X-Ca-Error-Code'), 'A403JT', "$w: and its code");
    is(ask("/$w/x", { sub => undef })->header('WWW-Authenticate'), undef, "$w: and no challenge");
    for my $u ("/$w/{sub}", "/$w/%7bsub%7d", "/$w/%7Btenant%7D/x", "/$w/x{sub}y") {
        denies(ask($u, {}), 400, 'path_unsafe', "$w: a client that writes $u");
    }
    for my $u ("/$w/..;/FORGED/x", "/$w/7;x", "/$w/7%3bx", "/$w/a%5cb", "/$w/a\\b") {
        denies(ask($u, {}), 400, 'path_unsafe', "$w: a path target and $u");
    }
    $r = ask("/$w/{other}", {});
    ok($r->reached == 1, "$w: other braces are just braces") or diag(M2MGW::Test::describe($r));
    is(ask("/$w/x?q={sub}", {})->query, 'q={sub}', "$w: and in a query all are");
    denies($t->get("/$w/x"), 401, 'token_missing', "$w: no token");
}
my $r = $t->get('/bypass/x');
denies($r, 403, 'claim_missing', 'bypass without a token has no claim for the path');
is(ask('/bypass/x', {})->target, '/u/me/x', 'control');
$r = $t->get('/shadow/x');
ok($r->target !~ m{/u/(?!\{|%7B)}, 'Shadow without a token puts nobody into the path') or diag($r->target);
is(ask('/shadow/x', {})->target, '/u/me/x', 'control');
for my $u ('{sub}', '%7Bsub%7D', 'x{sub}y/z') { # what was recorded as path_unsafe passes, and nobody is put where the client says
    $r = ask("/shadow/$u", {});
    passes($r, "Shadow lets pass a client that writes $u");
    is($r->header('X-Reason'), 'path_unsafe', 'and records it');
    unlike($r->target, qr{\A/u/.*/.*me}, 'and does not fill it') or diag($r->target);
}
like(ask('/unmapped/x', {})->target, qr{\A/u/(?:\{sub\}|%7Bsub%7D)/x\z}, 'a placeholder that is mapped nowhere stays');

# connections to the backend are kept whatever is in the path
my %seen;
for my $i (1 .. 8) { $seen{ ask("/proxypass/$i", { sub => "u$i" })->target }++ }
is(scalar keys %seen, 8, 'every request has its own path');

is(ask('/failover/x', { sub => 'a b' })->target, '/u/a%20b/x', "a balancer that tries its second member ($_)") for 1 .. 4;

# --- templates and parameters ---

passes(ask('/templ/me/a/x/y', {}), 'a path parameter equals a claim');
passes(ask('/templ/me/b%20c/x', {}), 'it is decoded');
passes(ask('/templ/%6de/a/x', {}), 'whatever its spelling');
for my $c ([ '/templ/you/a/x', 'another value' ], [ '/templ/me', 'a path that is too short' ], [ '/templ//me/a/x', undef ], [ '/templ/ME/a/x', 'another case' ],
           [ '/templ/me/c/x', 'another kind' ], [ '/templ/you/../me/a/x', undef ], [ '/templ/me%2f/a/x', 'an encoded slash' ]) {
    $r = ask($c->[0], {});
    if (defined $c->[1]) { ok(!$r->reached, "refused: $c->[1]") or diag(M2MGW::Test::describe($r)); next }
    ok(!$r->reached || $r->target =~ m{\A/templ/me/a/x}, "$c->[0] arrives as what was judged") or diag($r->target);
}
is(ask('/templ/you/a/x', {})->header('X-Ca-Error-Message'), 'you is not me', 'and is known to messages');
denies(ask('/templ/you/a/x?userId=me', {}), 403, 'rule_error', 'a query parameter of that name makes it unclear');
$t->expect_log(qr/rule_error by rule own: parameter any/);
# --- what a backend takes for another value, or another path ---

for my $u ('/templ/you/..;/me/a/x', '/templ/me/..%3b/you/a/x', '/templ/me;v=1/a/x', '/templ/me%3b/a/x', '/templ/you\\..\\me/a/x', '/templ/me%5ca/x',
           '/one/me;x', '/one/x;y', '/all/secret;x', '/all/a\\secret') {
    denies(ask($u, {}), 400, 'path_unsafe', "rules read the path: $u");
}
denies(ask('/one/me/', {}), 403, 'rule_error', 'a template that fits but for a slash at the end');
denies(ask('/one/other/', {}), 403, 'rule_error', 'whatever the value');
denies(ask('/one/me', {}), 403, 'rule_denied', 'control: without the slash');
passes(ask('/one/other', {}), 'control: another value');
passes(ask('/one/other/x', {}), 'control: what does not fit at all gives null');
passes(ask('/plain/a;b', {}), 'control: a semicolon where rules read no path');
passes(ask('/plain/a%5cb', {}), 'control: a backslash there');
passes(ask('/templ/me/a/100%25', {}), 'control: a per cent sign');
for my $u ('/raw/a%252fb', '/raw//secret', '/raw/a%2e', '/raw/a;b', '/raw/%2573ecret', '/raw/a%2E%2e', '/raw/a%5cb') {
    denies(ask($u, {}), 400, 'path_unsafe', "the raw path goes on: $u");
}
passes(ask("/raw/$_", {}), "control: the raw path $_") for '100%25', '100%25/x', 'a%20b', 'caf%C3%A9', 'a..b', 'a%2Bb';
passes(ask("/data/$_", {}), "M2MPathGuard Off: $_") for 'a;b', 'a//b', 'a%252fb', 'a%5cb';
is(ask('/data/a;b', {})->target, '/data/a;b', 'and it arrives as it was sent');
denies(ask('/data/secret', {}), 403, 'rule_denied', 'control: rules are asked there');

# --- placeholders where nothing is filled ---

my $key = 'M2MJwk kty=oct k=' . 'A' x 43;
for my $c ([ 'RewriteEngine On', 'RewriteRule ^/(.*) http://b.test/x?id={sub} [P]', 'RewriteRule', 'query' ],
           [ 'RewriteEngine On', 'RewriteRule ^/(.*)? http://b.test/u/{sub}?id={sub} [L,proxy,QSA]', 'RewriteRule', 'query' ],
           [ '', 'ProxyPass /a http://b.test/u?s={sub}', 'ProxyPass', 'query' ], [ '', 'ProxyPass /a http://{sub}.b.test/u', 'ProxyPass', 'host' ],
           [ '', 'ProxyPassMatch ^/a/(.*)$ http://b.test/$1?{sub} retry=0', 'ProxyPassMatch', 'query' ],
           [ '', "<Location /a>\nProxyPass http://b.test/?s={sub}\n</Location>", 'ProxyPass', 'query' ],
           [ '', "<Location /a>\nSetHandler \"proxy:http://b.test/?s={sub}\"\n</Location>", 'SetHandler', 'query' ],
           [ '', "<VirtualHost *>\nProxyPass /a http://b.test/u?s={sub}\n</VirtualHost>", 'ProxyPass', 'query' ]) {
    my ($before, $line, $directive, $where) = @$c;
    my ($status, $text) = try_config("$before\n$line\n<Location /a>\n$key\nM2MClaim sub path:sub\n</Location>\n");
    isnt($status, 0, "an error of httpd -t: $line");
    like($text, qr/line \d+ of .*\n.*$directive: \{sub\} stands in the $where of the URL|$directive: \{sub\} stands in the $where of the URL/, 'which says so');
}
for my $c ('RewriteEngine On\nRewriteRule ^/(.*)? http://b.test/u/{sub}?id=x [P]', 'RewriteEngine On\nRewriteRule ^/x /y?id={sub} [PT]', 'ProxyPass /a http://b.test/{sub}/x?y',
           'RewriteEngine On\nRewriteRule ^/(.*) http://b.test/u/{sub}?id=%{sub} [P]', "<VirtualHost *>\nServerName other.test\nProxyPass /a http://b.test/u?s={other}\n</VirtualHost>") {
    (my $lines = $c) =~ s/\\n/\n/g;
    my ($status, $text) = try_config("$lines\n<Location /a>\n$key\nM2MClaim sub path:sub\n</Location>\n");
    is($status, 0, "control: $lines") or diag($text);
}

# What stands where no policy fills that name is sent as it is written, and no error.
my $hole = 'ProxyPass http://b.test/u?s={sub}';
my $maps = "$key\nM2MClaim sub path:sub";
my $own = "$key\nM2MClaim sub query:sub";
for my $c ([ 0, "<Location /b>\n$hole\n</Location>", '/a' ], [ 0, 'ProxyPass /b http://b.test/u?s={sub}', '/a' ],
           [ 0, "<Location /ab>\n$hole\n</Location>", '/a' ], [ 0, "<Location /a>\n$hole\n</Location>", '/ab' ],
           [ 0, "<Location /b>\n$own\n$hole\n</Location>", '/' ], [ 0, "<Location /b>\nM2MEngine Off\n$hole\n</Location>", '/' ],
           [ 1, "<Location /b>\n$hole\n</Location>", '/' ], [ 1, "<Location /b>\n$own\n$hole\n</Location>\n<Location />\n$maps\n</Location>", '/c' ], [ 1, "<Location />\n$hole\n</Location>", '/a' ],
           [ 1, "<Location /a/b>\n$hole\n</Location>", '/a' ], [ 1, "ProxyPass /a/ http://b.test/u?s={sub}", '/a/b' ],
           [ 1, "<LocationMatch ^/b>\n$hole\n</LocationMatch>", '/a' ], [ 1, "<Location /b>\n$own\n<If \"true\">\n$maps\n</If>\n$hole\n</Location>", '/c' ],
           [ 1, "<Location /b>\n$hole\n</Location>\n<Files x>\n$maps\n</Files>", '/c' ]) {
    my ($bad, $lines, $path) = @$c;
    my ($status, $text) = try_config("<Location $path>\n$maps\n</Location>\n$lines\n");
    is(scalar($text =~ /\{sub\} stands in the query/) || 0, $bad, "$path maps it, " . ($bad ? 'and ' : 'unrelated: ') . $lines =~ s/\n/ | /gr) or diag($text);
    is(!!$status, !!$bad, '... and its status');
}

$t->expect_log(qr/AH00957|AH00959|AH01114|AH10244|AH01136|\[m2mgw:warn\].*(?:Shadow|placeholder|M2MPathGuard)/);
$t->finish;
