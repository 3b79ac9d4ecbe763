#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# Requests that name something else than their path. With ProxyRequests On a forward request is
# compared with <Location> by its whole URL, so that it would reach the protected backend past every
# section. It is refused, unless a <Proxy> section of ours, or a policy of the virtual host, decides
# about it; so is `*` where it would be forwarded, and a Destination in a section that the request
# is not in.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use M2MGW::Test;

my $keys = "M2MJwks file:\@ROOT\@/k.json";
my $section = "ProxyPass /app http://\@BACKEND\@/app\n<Location /app>\n$keys\n</Location>";
my %host = (
    plain => $section,
    off => "$section\n<Proxy \"*\">\nM2MEngine Off\n</Proxy>",
    keyed => "$section\n<Proxy \"*\">\n$keys\n</Proxy>",
    some => "$section\n<Proxy \"http://\@BACKEND\@/open\">\nM2MEngine Off\n</Proxy>",
    whole => "$keys\n$section",
    expression => "ProxyPass /app http://\@BACKEND\@/app\n<LocationMatch ^/app>\n$keys\n</LocationMatch>",
    shadow => "ProxyPass /app http://\@BACKEND\@/app\n<Location /app>\n$keys\nM2MEngine Shadow\n</Location>",
    require => "$section\n<Proxy \"*\">\nRequire all granted\n</Proxy>",
    none => "ProxyPass /app http://\@BACKEND\@/app",
);
my $hosts = join '', map { <<"VHOST" } sort keys %host;
Listen 127.0.0.1:\@PORT:$_\@
<VirtualHost 127.0.0.1:\@PORT:$_\@>
    ServerName gw.test:\@PORT:$_\@
    ProxyRequests On
    AllowCONNECT 1-65535
    $host{$_}
</VirtualHost>
VHOST
$hosts .= <<"DAV";
Listen 127.0.0.1:\@PORT:star\@
<VirtualHost 127.0.0.1:\@PORT:star\@>
    RewriteEngine On
    RewriteOptions AllowAnyURI
    RewriteRule ^(.*)\$ http://\@BACKEND\@/\$1 [P]
    <Location />
        $keys
    </Location>
</VirtualHost>
Listen 127.0.0.1:\@PORT:dav\@
<VirtualHost 127.0.0.1:\@PORT:dav\@>
    ServerName gw.test:\@PORT:dav\@
    ProxyPass /local !
    ProxyPass /far http://127.0.0.1:\@PORT:dav\@/app
    ProxyPass / http://\@BACKEND\@/
    <Location /app>
        $keys
    </Location>
    <Location /app/admin>
        M2MRequireClaim role admin
    </Location>
    <Location /app/public>
        M2MEngine Off
    </Location>
    <Location /late/public>
        M2MEngine Off
    </Location>
    <Location /late>
        $keys
        M2MEngine On
    </Location>
    <Location /far>
        $keys
        RequestHeader edit Destination "^(?:https?://[^/]+)?/far/" "/app/"
    </Location>
    <Location /hop>
        $keys
        RewriteEngine On
        RewriteRule .* /open/moved
    </Location>
    <LocationMatch ^/keys/>
        $keys
    </LocationMatch>
    <Location /seen>
        $keys
        M2MEngine Shadow
    </Location>
    <Location /local/app>
        $keys
    </Location>
    DavLockDB \@ROOT\@/run/dav
    <Directory \@DOCROOT\@/local>
        Dav On
    </Directory>
</VirtualHost>
DAV
my $t = M2MGW::Test->start(modules => [ 'proxy_connect', 'dav', 'dav_fs', 'dav_lock' ], files => { 'k.json' => jwk_json('oct'), 'htdocs/local/a' => 'a', 'htdocs/local/app/b' => 'b' },
                           config => $hosts);
my $token = mint('oct', { sub => 'a' });
my $backend = "127.0.0.1:$t->{backend}";

# one request in absolute form, as a client of a forward proxy sends it
sub forward {
    my ($host, $path, %o) = @_;
    return $t->request($o{method} // 'GET', "http://$backend$path", host => $backend, port => $t->port($host), %o);
}

sub tunnel {
    my ($host) = @_;
    my ($r) = $t->raw("CONNECT $backend HTTP/1.1\r\nHost: $backend\r\n\r\nGET /app/x HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n",
                      n => 1, port => $t->port($host));
    return $r;
}

# httpd makes 407 of a 401
sub closed {
    my ($host, $name) = @_;
    my $r = forward($host, '/app/x');
    ok($r->status =~ /\A40[17]\z/ && $r->reason eq 'token_missing' && !$r->reached, $name) or diag(M2MGW::Test::describe($r));
}

for my $host (qw(plain expression require)) {
    for my $path ('/app/x', '/x', '/open/x', '/', '') {
        denies(forward($host, $path), 400, 'path_unsafe', "$host: http://backend$path");
        denies(forward($host, $path, token => $token), 400, 'path_unsafe', "$host: a token does not help: $path");
    }
    my $r = tunnel($host);
    ok($r && $r->status == 400 && !$r->reached, "$host: CONNECT") or diag($r && M2MGW::Test::describe($r));
    denies($t->get('/app/x', port => $t->port($host)), 401, 'token_missing', "$host: control: the section");
    passes($t->get('/app/x', port => $t->port($host), token => $token), "$host: control: with a token");
    my $own = 'http://gw.test:' . $t->port($host) . '/app/x';
    denies($t->get($own, port => $t->port($host)), 401, 'token_missing', "$host: the absolute form of an own URL is not a forward request");
    passes($t->get($own, port => $t->port($host), token => $token), "$host: and a token opens it");
}

passes(forward('off', '/app/x'), 'a <Proxy "*"> with M2MEngine Off opens them');
is(tunnel('off')->status, 200, 'CONNECT, too');
closed('keyed', 'a <Proxy "*"> with keys asks for a token');
passes(forward('keyed', '/app/x', token => $token), 'and takes it');
passes(forward('some', '/open/x'), 'a <Proxy URL> opens what it covers');
denies(forward('some', '/app/x'), 400, 'path_unsafe', 'and nothing else');
closed('whole', 'a policy of the virtual host covers them');
passes(forward('whole', '/app/x', token => $token), 'with a token');
passes(forward('shadow', '/app/x'), 'where only Shadow is in force they pass');
passes(forward('none', '/app/x'), 'control: without a policy they pass');
is(tunnel('none')->status, 200, 'control: and so does CONNECT');

my ($star) = $t->raw("OPTIONS * HTTP/1.1\r\nHost: gw.test\r\nConnection: close\r\n\r\n", n => 1, port => $t->port('star'));
ok($star && $star->status == 400 && !$star->reached, 'OPTIONS * is not forwarded past <Location />') or diag($star && M2MGW::Test::describe($star));
denies($t->get('/x', port => $t->port('star')), 401, 'token_missing', 'control: a path is in it');
passes($t->get('/x', port => $t->port('star'), token => $token), 'control: with a token');

# --- Destination: where a backend writes to ---

sub to {
    my ($method, $path, $to, %o) = @_;
    return $t->request($method, $path, port => $t->port('dav'), headers => [ Destination => $to ], %o);
}
sub at { return 'http://gw.test:' . $t->port('dav') . $_[0] }
for my $m (qw(COPY MOVE copy POST)) {
    for my $to ('/app/x', 'http://gw.test/app/x', 'https://other.test:8443/app', '/APP/x', '/app;v/x', '/%61pp/x', '/%2561pp/x', '/x/../app/x', '//app//x', '/app?x', '/keys/x', 'http://gw.test/Keys/x') {
        denies(to($m, '/open/x', $to), 400, 'path_unsafe', "$m to $to");
    }
    denies(to($m, '/app/x', '/app/admin/x', token => $token), 400, 'path_unsafe', "$m into a stricter section");
}
for my $to ('/open/y', 'http://gw.test/open/y', '/apple', '/app/public/y', '/seen/y') {
    passes(to('COPY', '/open/x', $to), "control: COPY to $to") if $to !~ /public/;
    passes(to('MOVE', '/app/x', $to, token => $token), "control: MOVE out of a section: $to") ;
}
passes(to('COPY', '/app/x', '/app/y', token => $token), 'control: within a section');

# what is Off within a section is judged as Off, on both ends
for my $to ('/app/public/y', '/app/public', 'http://gw.test/app/public/a%20b', '/app/%70ublic/y') {
    passes(to('MOVE', '/open/x', $to), "into an open section: $to");
    passes(to('MOVE', '/app/public/x', $to), "within it: $to");
}
for my $to ('/app/y', '/app/PUBLIC/y', '/app/public;v/y', '/app/public/../y', '/app/public/%2e%2e/y', '/app/public%2fy', '/app/publicity', '/app/admin/y', '/keys/x', '/late/public/y') {
    denies(to('COPY', '/open/x', $to), 400, 'path_unsafe', "what is not quite in it: $to");
    denies(to('COPY', '/app/public/x', $to), 400, 'path_unsafe', "out of it, whose policy is Off: $to");
}
passes(to('COPY', '/late/x', '/late/public/y', token => $token), 'control: a later On wins, for both');
denies(to('COPY', '/late/public/x', '/open/y'), 401, 'token_missing', 'control: and for a request');

# a request that httpd redirects within itself
my $r = to('MOVE', '/hop/x', '/hop/y', token => $token);
passes($r, 'a Destination in the section of the first path');
is($r->target, '/open/moved', 'after a redirect within httpd');
denies(to('MOVE', '/hop/x', '/hop/y'), 401, 'token_missing', 'control: whose policy has decided');
denies(to('MOVE', '/hop/x', '/app/y', token => $token), 400, 'path_unsafe', 'control: another section');
$r = to('MOVE', '/far/x', at('/far/y'), token => $token);
passes($r, 'a second hop, to which the header is rewritten');
is($r->sent('Destination'), '/app/y', 'as it is on the second hop');
passes(to('COPY', '/app/x', 'http://gw.test/app/y/', token => $token), 'control: by a URL');
denies(to('COPY', '/app/x', '/app/y'), 401, 'token_missing', 'control: without a token');
passes(to('GET', '/open/x', '/app/x'), 'control: a GET writes nothing');
chmod 0777, map { "$t->{root}/htdocs/$_" } 'local', 'local/app'; # mod_dav writes as the server's user
is(to('COPY', '/local/a', at('/local/app/c'))->status, 401, 'mod_dav asks for the destination itself');
is(to('COPY', '/local/a', at('/local/app/c'), token => $token)->status, 201, 'and a token opens it');
is(to('COPY', '/local/a', at('/local/d'))->status, 201, 'control: another destination');

$t->expect_log(qr/\[m2mgw:warn\].*(?:ProxyRequests On|Shadow|<Proxy>|a wider <Location> behind this one)/);
$t->finish;
