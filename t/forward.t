#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# ProxyRequests On in a virtual host with a policy: a forward request is compared with <Location>
# by its whole URL, so that it would reach the protected backend past every section. It is
# refused, unless a <Proxy> section of ours, or a policy of the virtual host, decides about it.
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
my $t = M2MGW::Test->start(modules => ['proxy_connect'], files => { 'k.json' => jwk_json('oct') }, config => $hosts);
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

$t->expect_log(qr/\[m2mgw:warn\].*(?:ProxyRequests On|Shadow|<Proxy>)/);
$t->finish;
