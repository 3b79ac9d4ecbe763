#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# M2MPathGuard: a path that some backend finds in another section than httpd does is refused,
# on every way to a backend and in both directions; an ordinary path is not. The spellings are
# those of M2MGW::Paths, which `./run backends` sends to real backends.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use M2MGW::Fcgi;
use M2MGW::Paths;
use M2MGW::Test;

# --- a virtual host for each way to a backend; all of it is open but for /app ---

my $b = 'http://@BACKEND@';
my $fcgi = -f M2MGW::Test::modules_dir() . '/mod_proxy_fcgi.so' ? M2MGW::Fcgi::start() : undef;
my %way = (
    proxypass => "ProxyPass / $b/",
    nocanon => "ProxyPass / $b/ nocanon",
    encoded => "ProxyPass / $b/ mapping=encoded",
    nodecode => "AllowEncodedSlashes NoDecode\nProxyPass / $b/",
    decode => "AllowEncodedSlashes On\nProxyPass / $b/",
    nodecoderaw => "AllowEncodedSlashes NoDecode\nProxyPass / $b/ nocanon",
    unmerged => "MergeSlashes Off\nAllowEncodedSlashes NoDecode\nProxyPass / $b/",
    rewrite => "RewriteEngine On\nRewriteRule ^/(.*)\$ $b/\$1 [P]",
    rewritene => "AllowEncodedSlashes NoDecode\nRewriteEngine On\nRewriteRule ^/(.*)\$ $b/\$1 [P,NE]",
    location => "<Location />\nProxyPass $b/\n</Location>",
    handler => "<Location />\nSetHandler \"proxy:$b/\"\n</Location>",
    cgi => "ScriptAlias / \@ROOT\@/cgi/show.cgi/",
);
$way{fcgi} = "ProxyPass / $fcgi/srv/" if $fcgi;
$way{fcgihandler} = "<Location />\nSetHandler \"proxy:$fcgi\"\n</Location>" if $fcgi;
my $hosts = join '', map { <<"VHOST" } sort keys %way;
<VirtualHost *>
    ServerName $_.test
    $way{$_}
    <Location /app>
        M2MJwks file:\@ROOT\@/k.json
    </Location>
    <Location /app/admin>
        M2MRequireClaim role admin
    </Location>
    <Location /app/public>
        M2MEngine Off
    </Location>
</VirtualHost>
VHOST

my $special = <<"CONF";
<VirtualHost *>
    ServerName shadow.test
    ProxyPass / $b/
    <Location /app>
        M2MJwks file:\@ROOT\@/k.json
        M2MEngine Shadow
    </Location>
    <Location /off>
        M2MEngine Off
    </Location>
</VirtualHost>
<VirtualHost *>
    ServerName status.test
    <Location /m2m-status>
        SetHandler m2m-status
    </Location>
</VirtualHost>
<VirtualHost *>
    ServerName off.test
    AllowEncodedSlashes NoDecode
    ProxyPass / $b/
    <Location /data>
        M2MJwks file:\@ROOT\@/k.json
        M2MPathGuard Off
    </Location>
    <Location /data/open>
        M2MEngine Off
    </Location>
    <Location /app>
        M2MJwks file:\@ROOT\@/k.json
    </Location>
</VirtualHost>
<VirtualHost *>
    ServerName offraw.test
    AllowEncodedSlashes NoDecode
    ProxyPass / $b/ nocanon
    <Location /data>
        M2MJwks file:\@ROOT\@/k.json
        M2MPathGuard Off
    </Location>
</VirtualHost>
<VirtualHost *>
    ServerName alloff.test
    M2MPathGuard Off
    ProxyPass / $b/
    <Location /app>
        M2MJwks file:\@ROOT\@/k.json
    </Location>
</VirtualHost>
<VirtualHost *>
    ServerName require.test
    ProxyPass / $b/
    <Location /app>
        M2MJwks file:\@ROOT\@/k.json
    </Location>
    <Location /status>
        Require ip 192.0.2.1
    </Location>
    <Location ~ ^/inner/[0-9]+>
        <RequireAll>
            Require ip 192.0.2.1
        </RequireAll>
    </Location>
    <Location /plain>
        Header set X-Y z
    </Location>
</VirtualHost>
<VirtualHost *>
    ServerName expr.test
    AllowEncodedSlashes NoDecode
    ProxyPass / $b/
    <LocationMatch "^/app/(?:admin|keys)\$">
        M2MJwks file:\@ROOT\@/k.json
    </LocationMatch>
    <LocationMatch "^/api/">
        M2MJwks file:\@ROOT\@/k.json
    </LocationMatch>
    <LocationMatch "^/c/[A-Z]{2}/">
        M2MJwks file:\@ROOT\@/k.json
    </LocationMatch>
    <Location "/w/*/secret">
        M2MJwks file:\@ROOT\@/k.json
    </Location>
    <LocationMatch "^/n/[0-9]+/">
        M2MJwks file:\@ROOT\@/k.json
    </LocationMatch>
</VirtualHost>
<VirtualHost *>
    ServerName names.test
    ProxyPass / $b/
    <Location /App>
        M2MJwks file:\@ROOT\@/k.json
    </Location>
    <Location /twin>
        M2MJwks file:\@ROOT\@/k.json
    </Location>
    <Location /TWIN/>
        M2MJwks file:\@ROOT\@/k.json
    </Location>
    <Location /slash/>
        M2MJwks file:\@ROOT\@/k.json
    </Location>
    <Location "/odd;v=1">
        M2MJwks file:\@ROOT\@/k.json
    </Location>
</VirtualHost>
<VirtualHost *>
    ServerName proxy.test
    ProxyPass / $b/
    <Proxy "$b/app">
        M2MJwks file:\@ROOT\@/k.json
    </Proxy>
</VirtualHost>
<VirtualHost *>
    ServerName none.test
    <If "%{REQUEST_URI} == '/never'">
        M2MEngine Off
    </If>
    M2MEngine Off
    AllowEncodedSlashes NoDecode
    ProxyPass / $b/
</VirtualHost>
<VirtualHost *>
    ServerName server.test
    ProxyPass / $b/
    M2MJwks file:\@ROOT\@/k.json
    <LocationMatch "\\.css\$">
        M2MEngine Off
    </LocationMatch>
    <LocationMatch "\\.js\$">
        M2MEngine Shadow
    </LocationMatch>
    <Location /public>
        M2MEngine Off
    </Location>
</VirtualHost>
<VirtualHost *>
    ServerName profile.test
    M2MErrorProfile gateway
    ErrorDocument 400 /errors/400.txt
    ProxyPass /errors !
    ProxyPass / $b/
    <Location /app>
        M2MJwks file:\@ROOT\@/k.json
    </Location>
</VirtualHost>
<VirtualHost *>
    ServerName twins.test
    ProxyPass / $b/
    <Location /app>
        M2MJwks file:\@ROOT\@/k.json
    </Location>
    <Location /APP>
        M2MEngine Off
    </Location>
    <Location /SHADOW>
        M2MEngine Shadow
    </Location>
    <Location /shadow>
        M2MJwks file:\@ROOT\@/k.json
    </Location>
    <Location /require>
        Require all denied
    </Location>
    <Location /require/>
        M2MEngine Off
    </Location>
</VirtualHost>
<VirtualHost *>
    ServerName exprtwins.test
    ProxyPass / $b/
    <LocationMatch ^/app>
        M2MJwks file:\@ROOT\@/k.json
    </LocationMatch>
    <Location /APP>
        M2MEngine Off
    </Location>
    <Location /api>
        M2MJwks file:\@ROOT\@/k.json
    </Location>
    <LocationMatch ^/API/>
        M2MEngine Off
    </LocationMatch>
    <LocationMatch ^/v[0-9]/>
        M2MJwks file:\@ROOT\@/k.json
    </LocationMatch>
    <LocationMatch ^/two/>
        M2MJwks file:\@ROOT\@/k.json
    </LocationMatch>
    <LocationMatch ^/Two/>
        M2MEngine Shadow
    </LocationMatch>
    <Location /two/public>
        M2MEngine Off
    </Location>
</VirtualHost>
<VirtualHost *>
    ServerName rewrites.test
    DocumentRoot \@DOCROOT\@/wp
    DirectoryIndex index.cgi index.html
    RewriteEngine On
    RewriteRule ^/alias/(.*)\$ /APP/\$1 [PT]
    RewriteRule ^/good/(.*)\$ /app/\$1 [PT]
    RewriteCond %{QUERY_STRING} ^u=(.*)\$
    RewriteRule ^/any\$ /%1 [PT,QSD]
    ProxyPass /proxied $b/proxied
    <Directory \@DOCROOT\@/wp>
        Options +ExecCGI
        AddHandler cgi-script .cgi
        RewriteEngine On
        RewriteRule ^index\\.cgi\$ - [L]
        RewriteRule ^inside/(.*)\$ /APP/\$1 [L]
        RewriteCond %{REQUEST_FILENAME} !-f
        RewriteCond %{REQUEST_FILENAME} !-d
        RewriteRule . /index.cgi [L]
    </Directory>
    <Location /app>
        M2MJwks file:\@ROOT\@/k.json
    </Location>
</VirtualHost>
CONF

my $show = <<'CGI';
#!/bin/sh
printf 'Content-Type: text/plain\r\n\r\nRAN %s %s\n' "$SCRIPT_NAME" "$PATH_INFO"
CGI
my $t = M2MGW::Test->start(
    modules => [ 'http2', 'proxy_fcgi' ],
    files => { 'k.json' => jwk_json('oct'), 'cgi/show.cgi' => $show, 'htdocs/wp/index.cgi' => $show,
               'htdocs/wp/plain/index.html' => "plain\n", 'htdocs/errors/400.txt' => "static 400\n" },
    config => "Protocols h2c http/1.1\n$hosts$special");

my $token = mint('oct', { sub => 'a' });
my $admin = mint('oct', { sub => 'a', role => 'admin' });
sub ask { my ($host, $url, %o) = @_; return $t->get($url, host => "$host.test", %o) }
sub ran { my ($r) = @_; return $r->reached || $r->body =~ /\ARAN|^BODY\[/m }

# --- every spelling on every way: refused without a token, by us or by httpd ---

for my $way (sort keys %way) {
    my ($refused, $by_httpd) = (0, 0);
    for my $case (M2MGW::Paths::missed('/app', '/admin')) {
        my ($name, $path) = @$case;
        my $r = ask($way, $path);
        ok(!ran($r) && $r->status =~ /\A4/, "$way: $name: $path reaches nothing")
            or diag(M2MGW::Test::describe($r));
        # a client with a token for /app gets no further: /app/admin asks for more than that
        my $again = ask($way, $path, token => $token);
        ok(!ran($again), "$way: $name: nor with a token for the outer section")
            or diag(M2MGW::Test::describe($again));
        $r->reason eq 'path_unsafe' ? $refused++ : $by_httpd++;
    }
    cmp_ok($refused, '>', 10, "$way: most of them are refused as path_unsafe (httpd: $by_httpd)");

    # the other direction: an open section that the backend does not see
    for my $case (M2MGW::Paths::left('/app/public', '/admin')) {
        my ($name, $path) = @$case;
        my $r = ask($way, $path);
        ok(!ran($r) && $r->status =~ /\A4/, "$way: open section: $name: $path reaches nothing")
            or diag(M2MGW::Test::describe($r));
    }

    # controls: what is ordinary passes, unchanged
    for my $path ('/open', '/open/x.json', '/app/public/x', '/app/public', '/apple', '/app.old/x') {
        my $r = ask($way, $path);
        ok(ran($r), "$way: control: $path passes") or diag(M2MGW::Test::describe($r));
    }
    ok(ran(ask($way, '/app/x', token => $token)), "$way: control: a token opens /app");
    ok(ran(ask($way, '/app/admin/x', token => $admin)), "$way: control: the claim opens /app/admin");
    is(ask($way, '/app/x')->reason, 'token_missing', "$way: control: without one it is closed");
    is(ask($way, '/app/admin/x', token => $token)->reason, 'claim_missing', "$way: control: without the claim too")
        or diag(M2MGW::Test::describe(ask($way, '/app/admin/x', token => $token)));
}

# --- raw dot segments where the raw path goes on ---

for my $way (qw(nocanon encoded nodecoderaw)) {
    for my $path ('/app/admin/../../open', '/app/./x', '/x/%2e%2e/open', '/open/.', '/open/x/..') {
        denies(ask($way, $path), 400, 'path_unsafe', "$way: raw dots: $path");
    }
}
for my $path ('/x/../open', '/./open', '/y/%2e%2e/open') {
    my $r = ask('proxypass', $path);
    passes($r, "where httpd normalises, dots are no fault: $path");
    is($r->target, '/open', 'and are gone');
}

# --- ordinary traffic on every way but where httpd refuses it itself ---

for my $case (M2MGW::Paths::ordinary()) {
    my ($name, $path) = @$case;
    for my $way (qw(proxypass nocanon nodecode unmerged rewrite rewritene handler)) {
        next if $path =~ /%2f/i && $way !~ /nodecode|unmerged|rewritene/;
        next if $path =~ /%25/ && $way =~ /nodecode|unmerged/; # mod_proxy takes it for a bad escape
        next if $path =~ /%20/ && $way eq 'rewritene';         # and a blank without its escape
        my $r = ask($way, $path);
        passes($r, "$way: $name: $path") or next;
        my $in = ask($way, "/app$path", token => $token);
        passes($in, "$way: $name: in a protected section");
    }
}
my $r = ask('nodecode', '/open/group%2Fproject');
is($r->target, '/open/group%2Fproject', 'an encoded slash stays as it is');
$r = ask('unmerged', '/open//a///b');
is($r->target, '/open//a///b', 'so do empty segments');

# --- HTTP/2 ---

SKIP: {
    skip 'no curl', 4 if system('curl -V >/dev/null 2>&1') != 0;
    for my $path ('/APP/admin', '/app;x/admin') {
        $t->backend_new;
        my $code = h2($path);
        is($code, '400', "h2c: $path is refused");
        is(scalar(() = $t->backend_new), 0, 'and reaches nothing');
    }
    is(h2('/open'), '200', 'h2c: control');
}
sub h2 {
    my ($path) = @_;
    my $url = 'http://127.0.0.1:' . $t->port . $path;
    return qx(curl -s -o /dev/null -w '%{http_code}' --path-as-is --http2-prior-knowledge -H 'Host: proxypass.test' '$url');
}

# --- Shadow, Off, and guards that are Off ---

$r = ask('shadow', '/APP/x');
passes($r, 'Shadow: a difference passes');
is($r->header('X-Reason'), 'path_unsafe', 'and is recorded');
passes(ask('shadow', '/app/x'), 'control: Shadow passes');
passes(ask('shadow', '/OFF/x'), 'sections that are Off and stand alone: a difference passes');
isnt(ask('shadow', '/OFF/x')->header('X-Reason') // '', 'path_unsafe', 'unrecorded');

# what the status page counts while $asked is asked, apart from zeros
sub counted {
    my ($asked) = @_;
    my $count = sub {
        $t->let_finish;
        my $j = JSON::PP::decode_json(ask('status', '/m2m-status?format=json')->body);
        return { (map { $_ => $j->{$_} } qw(requests passed refused shadow_denials)), unsafe => $j->{shadow}{path_unsafe} // 0 };
    };
    # a request is counted when it is logged, which may be behind its answer
    my $before = $count->();
    $asked->();
    my $after;
    M2MGW::Test::before_long(sub { $after = $count->(); $after->{requests} > $before->{requests} });
    return join ' ', map { "$_ " . ($after->{$_} - $before->{$_}) } grep { $after->{$_} != $before->{$_} } sort keys %$after;
}
is(counted(sub { ask('shadow', '/APP/x') }), 'requests 1 shadow_denials 1 unsafe 1', 'a difference in Shadow is counted once');
is(counted(sub { ask('shadow', '/app;v/x', token => $token) }), 'requests 1 shadow_denials 1 unsafe 1', 'with a token, too');
is(counted(sub { is(ask('server', '/x.js;y')->reason, 'token_missing', 'a section that decides refuses') }), 'refused 1 requests 1', 'which is what counts then');
is(counted(sub { passes(ask('server', '/x.js;y', token => $token), 'or lets pass') }), 'requests 1 shadow_denials 1 unsafe 1', 'and the difference counts');
is(counted(sub { ask('proxypass', '/app/x', token => $token) }), 'passed 1 requests 1', 'control: a pass');

for my $path ('/data/a%2fb', '/data/a;b', '/data/a;b/c', '/data/a%252fb', '/data/x\\y', '/data/..;/data/x', '/data/x//y') {
    passes(ask('off', $path, token => $token), "guard Off: $path is data");
    denies(ask('off', $path), 401, 'token_missing', "guard Off: $path is still closed");
}
denies(ask('off', '/data/a%01b', token => $token), 400, 'path_unsafe', 'guard Off: a control byte is one everywhere');
denies(ask('off', '/data/..;/app/x', token => $token), 400, 'path_unsafe', 'guard Off: another section that was missed');
denies(ask('off', '/data/..%2fapp/x', token => $token), 400, 'path_unsafe', 'guard Off: likewise');
denies(ask('off', '/DATA/x'), 400, 'path_unsafe', 'guard Off: the section itself, missed');
denies(ask('off', '/data/open/..;/x'), 400, 'path_unsafe', 'guard Off does not help an open section inside');
denies(ask('off', '/app/a;b/..;/x', token => $token), 400, 'path_unsafe', 'control: elsewhere it is On');
passes(ask('alloff', '/APP/x'), 'guard Off in the virtual host: nothing is looked for');
denies(ask('offraw', '/data/x/../y', token => $token), 400, 'path_unsafe', 'guard Off: raw dots');
passes(ask('offraw', '/data/a%2f..%2fb;c', token => $token), 'control: dots inside of a segment are data');
denies(ask('alloff', '/app/x'), 401, 'token_missing', 'control: the section as httpd finds it');

# --- open sections inside of a virtual host that is closed ---

for my $path ('/admin;x.css', '/admin;v=.js', '/admin%3bx.css', '/public/..;/admin') {
    denies(ask('server', $path), 400, 'path_unsafe', "closed virtual host: $path");
}
passes(ask('server', '/style.css'), 'control: the open expression');
passes(ask('server', '/app.js'), 'control: the expression in Shadow');
passes(ask('server', '/public/x'), 'control: the open section');
denies(ask('server', '/PUBLIC/x'), 401, 'token_missing', 'an open section that is missed stays closed');
passes(ask('server', '/PUBLIC/x', token => $token), 'and open to a token');

# --- sections with a Require alone ---

for my $path ('/STATUS', '/status;x', '/x/..;/status', '/inner;v/12', '/INNER/12') {
    denies(ask('require', $path), 400, 'path_unsafe', "Require alone: $path");
}
ok(ask('require', '/status')->status == 403, 'control: Require refuses itself');
passes(ask('require', '/inner/x'), 'control: outside of the expression');
passes(ask('require', '/PLAIN/x'), 'a section with neither does not count');

# --- expressions ---

for my $path ('/app/admin/', '/APP/admin', '/app/keys;x', '/app/%2561dmin', '/api', '/API/x', '/api;v=1/x', '/w/a/secret/',
              '/W/a/secret', '/w/a;b/secret;c', '/n/12', '/n;x/12/') {
    denies(ask('expr', $path), 400, 'path_unsafe', "expression: $path");
}
for my $path ('/app/admin', '/api/', '/api/x', '/w/a/secret', '/n/12/', '/n/12/x', '/c/DE/x') {
    denies(ask('expr', $path), 401, 'token_missing', "expression: control: $path");
}
for my $path ('/app/other', '/app/administrator', '/app/admin/x', '/apix', '/w/a/b/secret', '/n/ab/', '/N/ab/', '/c/de/x', '/w/secret') {
    passes(ask('expr', $path), "expression: $path is outside");
}

# --- how sections are spelled ---

denies(ask('names', '/app/x'), 400, 'path_unsafe', 'a section in capitals, missed in small letters');
denies(ask('names', '/App/x'), 401, 'token_missing', 'control');
denies(ask('names', '/twin/x'), 401, 'token_missing', 'twins: one spelling');
denies(ask('names', '/TWIN/x'), 401, 'token_missing', 'twins: the other');
denies(ask('names', '/Twin/x'), 400, 'path_unsafe', 'twins: neither');
passes(ask('names', '/slash'), 'a slash at the end of a section: what httpd does not cover is not a difference');
denies(ask('names', '/slash/'), 401, 'token_missing', 'control');
denies(ask('names', '/odd;v=1/x'), 401, 'token_missing', 'a section with a parameter is compared as httpd does');
passes(ask('names', '/odd/x'), 'control');

# --- <Proxy> ---

for my $path ('/APP/x', '/;/app/x', '/y/..;/app', '/%2561pp/x') {
    denies(ask('proxy', $path), 400, 'path_unsafe', "<Proxy>: $path");
}
denies(ask('proxy', '/app/x'), 401, 'token_missing', '<Proxy>: control');
passes(ask('proxy', '/open/x;y'), '<Proxy>: outside');

# --- whatever matches, and where nothing is protected ---

for my $path ('/open/x%0ay', '/open/%7f', '/open/%01', '/open/..;/x', '/open/.;x/y') {
    denies(ask('proxypass', $path), 400, 'path_unsafe', "whatever matches: $path");
    my $none = ask('none', $path);
    is($none->reached, 1, "where no policy is On it passes: $path") or diag(M2MGW::Test::describe($none));
}

# --- sections that differ only in case or by a slash, one of them open ---

for my $path ('/app;v/x', '/%2561pp/x', '/App/x', '/shadow;v/x', '/Shadow/x', '/%2573hadow', '/require;x/y', '/REQUIRE') {
    denies(ask('twins', $path), 400, 'path_unsafe', "twins: $path");
}
denies(ask('twins', '/app/x'), 401, 'token_missing', 'twins: the closed one');
is(ask('twins', '/APP/x')->status, 200, 'twins: the open one, as it is written');

# expressions among them: what httpd finds is the stricter, and an ordinary path is no other

for my $path ('/app/x', '/app', '/apple', '/api/x', '/api/a..b', '/two/x', '/v1/x') {
    denies(ask('exprtwins', $path), 401, 'token_missing', "expression twins: $path is closed");
    passes(ask('exprtwins', $path, token => $token), "expression twins: and a token opens $path");
}
for my $path ('/APP/x', '/App/x', '/app;v/x', '/%2561pp/x', '/API/x', '/Api/x', '/api;v/x', '/Two/x', '/TWO/x', '/two;/x', '/V1/x', '/two/PUBLIC', '/x/..;/app/x') {
    denies(ask('exprtwins', $path), 400, 'path_unsafe', "expression twins: $path");
    denies(ask('exprtwins', $path, token => $token), 400, 'path_unsafe', "expression twins: $path with a token");
}
passes(ask('exprtwins', '/two/public/x'), 'control: an open section inside');

# --- rewrites, indexes and error documents ---

denies(ask('rewrites', '/alias/x'), 400, 'path_unsafe', 'a rewrite to another spelling');
for my $dots ('proxied/../app/x', './app/x', 'proxied/./../app', 'proxied/..;/app/x') {
    denies(ask('rewrites', "/any?u=$dots"), 400, 'path_unsafe', "a rewrite to $dots");
}
denies(ask('rewrites', '/any?u=app/x'), 401, 'token_missing', 'a rewrite to the section');
is(ask('rewrites', '/any?u=proxied/..a/.x')->status, 200, 'control: a rewrite to dots that are names');
denies(ask('rewrites', '/inside/x'), 400, 'path_unsafe', 'an internal redirect to another spelling');
denies(ask('rewrites', '/good/x'), 401, 'token_missing', 'control: a rewrite to the section');
like(ask('rewrites', '/2024/01/Hello-World/')->body, qr/\ARAN/, 'every path to one script, as WordPress has it');
like(ask('rewrites', '/')->body, qr/\ARAN/, 'DirectoryIndex');
is(ask('rewrites', '/plain')->status, 301, 'mod_dir redirects to the slash');
is(ask('rewrites', '/plain/')->body, "plain\n", 'and serves the index');
denies(ask('rewrites', '/APP/2024/'), 400, 'path_unsafe', 'and the section is still found first');

$r = ask('profile', '/APP/x');
is($r->status, 400, 'profile gateway: the status');
is($r->body, "static 400\n", 'a static error document is served');
is($r->header('X-Ca-Error-Code'), 'A403JT', 'with the code');
ok($r->header('X-Ca-Request-Id'), 'and the request id');
$r = ask('proxypass', '/APP/x');
is($r->header('Content-Type'), 'application/problem+json', 'profile rfc6750: a problem');
like($r->body, qr/"reason":"path_unsafe"/, 'that names the reason');
is($r->header('WWW-Authenticate'), undef, 'and no challenge');

# --- upgrades ---

my $ws = ($t->raw("GET /open/ws HTTP/1.1\r\nHost: proxypass.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", n => 1))[0];
is($ws && $ws->status, 200, 'an upgrade that the way does not speak is an ordinary request') or diag($ws && M2MGW::Test::describe($ws));

$t->expect_log(qr/AH10034|AH00026|AH10415|AH10244|AH01136|\[m2mgw:(?:warn|notice)\]|AH01276|AH01797|AH01630|AH00127|AH00128/);

# --- what httpd -t says ---

my $log = $t->error_log;
for ([ 'notice', qr/M2MPathGuard: <Location \/twin> and <Location \/TWIN\/> differ only in case/ ], [ 'notice', qr/M2MPathGuard: <Location \/odd;v=1> holds what backends read/ ],
     [ 'notice', qr/M2MPathGuard: the expression \S+\[A-Z\]\S+ has a class of capitals/ ], [ 'warn', qr/M2MPathGuard Off: paths that a backend reads otherwise/ ],
     [ 'notice', qr/M2MPathGuard does not cover <If>/ ]) {
    my ($level, $re) = @$_;
    my ($line) = grep { $_ =~ $re } split /\n/, $log;
    like($line // '', qr/m2mgw:$level\]/, "said at the start: $re");
}

my ($status, $text) = try_config("<Location /a>\nM2MPathGuard Maybe\n</Location>\n");
isnt($status, 0, 'another word is an error');
like($text, qr/"Maybe" is not allowed; it takes On or Off/, 'that says what it takes');
$t->finish;
