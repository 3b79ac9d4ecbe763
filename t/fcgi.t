#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# FastCGI behind mod_proxy_fcgi, as PHP-FPM is: names and values in its parameters are ours, in
# every way such a backend is configured.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use M2MGW::Fcgi;
use M2MGW::Test;

plan skip_all => 'no mod_proxy_fcgi' if !-f M2MGW::Test::modules_dir() . '/mod_proxy_fcgi.so';

my $fcgi = M2MGW::Fcgi::start();

my $policy = "M2MClaim client_id header:X-Client-Id query:client_id form:client_id path:cid\nM2MClaim absent header:X-Absent query:absent\n";
my $t = M2MGW::Test->start(modules => [ 'proxy_fcgi' ], files => { 'k.json' => jwk_json('oct'), map { ("htdocs/$_/index.php" => 'x') } qw(fall index) }, config => <<"CONF");
RewriteEngine On
M2MJwks file:\@ROOT\@/k.json
M2MToken header:Authorization query:id_token form:id_token
$policy
<FilesMatch "\\.php\$">
    SetHandler "proxy:$fcgi"
</FilesMatch>
<Directory \@DOCROOT\@/fall>
    FallbackResource /fall/index.php
</Directory>
<Directory \@DOCROOT\@/index>
    DirectoryIndex index.php
</Directory>
ProxyPass /pass $fcgi/srv/{cid}/x
ProxyPass /nocanon $fcgi/srv/{cid}/x nocanon
<Location /inside>
    ProxyPass $fcgi/srv/{cid}/x
</Location>
ProxyPassMatch ^/match(/.*)\$ $fcgi/srv/{cid}/x\$1
RewriteRule ^/rewrite(/.*)\$ $fcgi/srv/{cid}/x\$1 [P]
<Location /handler>
    SetHandler "proxy:$fcgi/srv/{cid}"
</Location>
CONF
my $token = mint('oct', { client_id => 'app' });
my @form = ('Content-Type' => 'application/x-www-form-urlencoded');
my @spoof = ('X-Client-Id' => 'evil', 'X_Absent' => 'evil');
sub param { my ($r, $name) = @_; $r->body =~ /^\Q$name\E=(.*)$/m ? $1 : '' }
for my $one ([ pass => '/pass/p%20q', 'srv/app/x/p%20q' ], [ nocanon => '/nocanon/p%20q', 'srv/app/x/p%20q' ], [ inside => '/inside/p%20q', 'srv/app/x/p%20q' ],
             [ match => '/match/p', 'srv/app/x/p' ], [ rewrite => '/rewrite/p', 'srv/app/x/p' ], [ handler => '/handler/p', 'srv/app' ],
             [ fallback => '/fall/any/thing', 'index.php' ], [ index => '/index/', 'index.php' ], [ direct => '/index/index.php', 'index.php' ]) {
    my ($name, $url, $file) = @$one;
    my @ask = ([ 'header', token => $token ], [ 'query' ], [ 'form', body => "id_token=$token&client_id=evil&z=1" ]);
    for my $ask (@ask) {
        my ($where, %o) = @$ask;
        my $query = 'a=1&client_id=evil&absent=evil' . ($where eq 'query' ? "&id_token=$token" : '');
        my $r = $t->request('POST', "$url?$query", headers => [ @form, @spoof ], body => 'client_id=evil&z=1', %o);
        is($r->status, 200, "$name, token in $where") or diag($r->body), next;
        is(param($r, 'HTTP_X_CLIENT_ID') . param($r, 'HTTP_X_ABSENT'), 'app', "$name, token in $where: headers");
        is(param($r, 'QUERY_STRING'), 'client_id=app&a=1', "$name, token in $where: query");
        like(param($r, 'REQUEST_URI'), qr/\A\Q$url\E\?a=1(?:&id_token=\[redacted\])?\z/, "$name, token in $where: REQUEST_URI");
        like(param($r, 'SCRIPT_FILENAME'), qr/\Q$file\E/, "$name, token in $where: claim in the path");
        like($r->body, qr/^BODY\[client_id=app&z=1\]$/m, "$name, token in $where: form");
        is(param($r, 'CONTENT_LENGTH'), 17, "$name, token in $where: its length");
        unlike($r->body, qr/evil/, "$name, token in $where: nothing of the client's");
        shows_no_token($r->body =~ s/^HTTP_AUTHORIZATION=.*$//mr, "$name, token in $where: nor the token") if $where ne 'header';
    }
    my $r = $t->get($url);
    is($r->status, 401, "$name: no token");
    unlike($r->body, qr/BODY/, "$name: no answer of the program");
}
$t->finish;
