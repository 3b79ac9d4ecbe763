#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# No way round: whatever else is configured or sent, a request without a token, with a bad one
# or refused by a rule does not reach the backend. Asserted by what the backend received; each
# case has a control that does reach it.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use M2MGW::Test;

# what protects: keys, and a rule that only lets role "ok" pass
my $policy = <<'CONF';
M2MJwks file:@ROOT@/k.json
M2MParameter role Token:role
M2MRule only "$role = 'ok'" ifFalse=DENY
CONF
my $basic = "AuthType Basic\nAuthName x\nAuthBasicProvider file\nAuthUserFile \@ROOT\@/users\n";
my $b = 'http://@BACKEND@';

my $caching = join "\n", 'CacheRoot @ROOT@/cache', 'CacheDefaultExpire 3600', 'CacheIgnoreCacheControl On',
    'CacheStorePrivate On', 'CacheStoreNoStore On', 'CacheStoreExpired On', 'CacheIgnoreNoLastMod On';

# [ name, configuration; %U is the path, options ]
my @case = (
    # authorization that says yes
    [ 'ProxyPass alone', "ProxyPass %U $b%U\n<Location %U>\n$policy</Location>" ],
    [ 'Require all granted', "ProxyPass %U $b%U\n<Location %U>\n${policy}Require all granted\n</Location>" ],
    [ 'Satisfy Any', "ProxyPass %U $b%U\n<Location %U>\n${policy}Satisfy Any\nRequire all granted\n</Location>" ],
    [ 'Satisfy Any, Allow from all',
      "ProxyPass %U $b%U\n<Location %U>\n${policy}Satisfy Any\nOrder allow,deny\nAllow from all\n</Location>" ],
    [ 'Satisfy Any, Basic', "ProxyPass %U $b%U\n<Location %U>\n$policy${basic}Satisfy Any\nRequire valid-user\nAllow from all\n</Location>" ],
    [ 'Satisfy All', "ProxyPass %U $b%U\n<Location %U>\n${policy}Satisfy All\nRequire all granted\n</Location>" ],
    [ 'AuthType None', "ProxyPass %U $b%U\n<Location %U>\n${policy}AuthType None\nRequire all granted\n</Location>" ],
    [ 'AuthType Basic', "ProxyPass %U $b%U\n<Location %U>\n$policy${basic}Require valid-user\n</Location>" ],
    [ 'AuthType Basic, all granted', "ProxyPass %U $b%U\n<Location %U>\n$policy${basic}Require all granted\n</Location>" ],
    [ 'RequireAny', "ProxyPass %U $b%U\n<Location %U>\n$policy<RequireAny>\nRequire all granted\nRequire method GET\n</RequireAny>\n</Location>" ],
    [ 'Require expr true', "ProxyPass %U $b%U\n<Location %U>\n${policy}Require expr \"true\"\n</Location>" ],
    [ 'Require ip', "ProxyPass %U $b%U\n<Location %U>\n${policy}Require ip 127.0.0.1\n</Location>" ],
    [ 'Require m2m-claim', "ProxyPass %U $b%U\n<Location %U>\n${policy}Require m2m-claim role ok\n</Location>" ],
    [ 'Require any of m2m-claim and all', "ProxyPass %U $b%U\n<Location %U>\n${policy}Require m2m-claim role ok\nRequire all granted\n</Location>" ],

    # sections inside and outside
    [ 'nested Location', "ProxyPass %U $b%U\n<Location %U>\n$policy</Location>\n<Location %U/in>\nRequire all granted\n</Location>", in => '/in' ],
    [ 'nested Location, AuthType None, Satisfy Any', "ProxyPass %U $b%U\n<Location %U>\n$policy</Location>\n"
      . "<Location %U/in>\nAuthType None\nSatisfy Any\nRequire all granted\n</Location>", in => '/in' ],
    [ 'nested Location with Basic', "ProxyPass %U $b%U\n<Location %U>\n$policy</Location>\n"
      . "<Location %U/in>\n${basic}Satisfy Any\nRequire valid-user\nAllow from all\n</Location>", in => '/in' ],
    [ 'If inside', "ProxyPass %U $b%U\n<Location %U>\n$policy<If \"true\">\nRequire all granted\nSatisfy Any\n</If>\n</Location>" ],
    [ 'the policy in an If', "ProxyPass %U $b%U\n<If \"%{REQUEST_URI} =~ m#^%U#\">\n${policy}Require all granted\n</If>" ],
    [ 'LocationMatch', "ProxyPass %U $b%U\n<LocationMatch \"^%U\">\n${policy}Require all granted\n</LocationMatch>" ],
    [ 'If after Location with other directives of ours', "ProxyPass %U $b%U\n<Location %U>\n$policy</Location>\n"
      . "<If \"%{REQUEST_URI} =~ m#^%U#\">\nM2MLeeway 10\nRequire all granted\n</If>" ],
    [ 'nested Location with claims of its own', "ProxyPass %U $b%U\n<Location %U>\n$policy</Location>\n"
      . "<Location %U/in>\nM2MClaim role header:X-Role\nRequire all granted\n</Location>", in => '/in' ],
    [ 'LimitExcept around Require', "ProxyPass %U $b%U\n<Location %U>\n$policy<LimitExcept GET>\nRequire all denied\n</LimitExcept>\nRequire all granted\n</Location>" ],
    [ 'Limit around Require', "ProxyPass %U $b%U\n<Location %U>\n$policy<Limit GET HEAD>\nRequire all granted\n</Limit>\n</Location>" ],
    [ 'the policy in Proxy', "ProxyPass %U $b%U\n<Proxy \"$b%U*\">\n${policy}Require all granted\n</Proxy>" ],

    # ways to the backend
    [ 'ProxyPass in Location', "<Location %U>\n${policy}ProxyPass $b%U\n</Location>" ],
    [ 'nocanon', "ProxyPass %U $b%U nocanon\n<Location %U>\n$policy</Location>" ],
    [ 'mapping=encoded', "ProxyPass %U $b%U mapping=encoded\n<Location %U>\n$policy</Location>" ],
    [ 'ProxyPassMatch', "ProxyPassMatch ^%U((?:/.*)?)\$ $b%U\$1\n<Location %U>\n$policy</Location>" ],
    [ 'ProxyPassMatch in LocationMatch', "<LocationMatch ^%U(.*)\$>\n${policy}ProxyPassMatch $b%U\$1\n</LocationMatch>" ],
    [ 'balancer', "<Proxy balancer://b%N>\nBalancerMember $b\n</Proxy>\nProxyPass %U balancer://b%N%U\n<Location %U>\n$policy</Location>" ],
    [ 'SetHandler proxy:', "<Location %U>\n${policy}SetHandler \"proxy:$b%U\"\n</Location>" ],
    [ 'RewriteRule [P]', "RewriteRule ^%U((?:/.*)?)\$ $b%U\$1 [P]\n<Location %U>\n$policy</Location>" ],
    [ 'RewriteRule [P,NE]', "RewriteRule ^%U((?:/.*)?)\$ $b%U\$1 [P,NE]\n<Location %U>\n$policy</Location>" ],
    [ 'RewriteRule [P] in Location', "<Location %U>\n${policy}RewriteEngine On\nRewriteRule (.*) $b%U [P]\n</Location>" ],
    [ 'RewriteRule [P,NE] in Location, all granted', "<Location %U>\n${policy}RewriteEngine On\nRewriteRule (.*) $b%U [P,NE]\nRequire all granted\n</Location>" ],
    [ 'RewriteRule [P] in Directory', "Alias %U \@ROOT\@/d%N/file.txt\n<Directory \@ROOT\@/d%N>\n${policy}RewriteEngine On\n"
      . "RewriteRule (.*) $b%U [P]\nRequire all granted\n</Directory>" ],
    [ 'SetHandler proxy: in Files', "Alias %U \@ROOT\@/d%N/file.txt\n<Directory \@ROOT\@/d%N>\n<Files file.txt>\n$policy"
      . "SetHandler \"proxy:$b%U\"\nRequire all granted\n</Files>\n</Directory>" ],
    [ 'SetHandler proxy: in Directory', "Alias %U \@ROOT\@/d%N/file.txt\n<Directory \@ROOT\@/d%N>\n$policy"
      . "SetHandler \"proxy:$b%U\"\nSatisfy Any\nRequire all granted\n</Directory>" ],

    # another path leads to the protected one
    [ 'RewriteRule [PT] from outside', "RewriteRule ^/from%N(.*) %U\$1 [PT]\nProxyPass %U $b%U\n<Location %U>\n$policy</Location>", url => '/from%N' ],
    [ 'RewriteRule from outside, per directory', "Alias /from%N \@ROOT\@/d%N\n<Directory \@ROOT\@/d%N>\nRewriteEngine On\n"
      . "RewriteRule (.*) %U [PT]\n</Directory>\nProxyPass %U $b%U\n<Location %U>\n$policy</Location>", url => '/from%N/x' ],
    [ 'RewriteRule inside to outside', "RewriteRule ^%U(.*) /to%N\$1 [PT]\nProxyPass /to%N $b/to%N\n<Location /to%N>\n$policy</Location>" ],
    [ 'Action', "Alias /from%N \@ROOT\@/d%N/file.txt\n<Location /from%N>\nAction m2x%N %U virtual\nSetHandler m2x%N\n</Location>\n"
      . "ProxyPass %U $b%U\n<Location %U>\n$policy</Location>", url => '/from%N', target => 0 ],
    [ 'DirectoryIndex', "Alias /from%N \@ROOT\@/d%N\n<Directory \@ROOT\@/d%N>\nDirectoryIndex %U\n</Directory>\n"
      . "ProxyPass %U $b%U\n<Location %U>\n$policy</Location>", url => '/from%N/', control => 'any' ],
    [ 'FallbackResource', "Alias /from%N \@ROOT\@/d%N\n<Directory \@ROOT\@/d%N>\nFallbackResource %U\n</Directory>\n"
      . "ProxyPass %U $b%U\n<Location %U>\n$policy</Location>", url => '/from%N/nix' ],
    [ 'ErrorDocument of an open path', "ErrorDocument 404 %U\n<Location /from%N>\nErrorDocument 404 %U\n</Location>\n"
      . "ProxyPass %U $b%U\n<Location %U>\n$policy</Location>", url => '/from%N', control => 'none' ],
    [ 'a CGI program that redirects', "ScriptAlias /from%N \@ROOT\@/cgi/redir%N.cgi\nProxyPass %U $b%U\n<Location %U>\n$policy</Location>",
      url => '/from%N', cgi => 1 ],
    [ 'SSI include virtual', "Alias /from%N \@ROOT\@/d%N/page.shtml\n<Directory \@ROOT\@/d%N>\nOptions +Includes\nSetOutputFilter INCLUDES\n</Directory>\n"
      . "ProxyPass %U $b%U\n<Location %U>\n$policy</Location>", url => '/from%N', status => 200 ],
    [ 'a look-ahead in front', "RewriteCond %{LA-U:REMOTE_USER} ^nobody-is-called-so\$\nRewriteRule ^%U - [F]\n"
      . "ProxyPass %U $b%U\n<Location %U>\n$policy</Location>" ],
    [ 'a look-ahead in the section', "<Location %U>\n${policy}RewriteEngine On\nRewriteCond %{LA-U:REMOTE_USER} !^x\$\n"
      . "RewriteRule (.*) $b%U [P]\n</Location>" ],
    [ 'LA-F in front', "RewriteCond %{LA-F:REMOTE_USER} ^nobody-is-called-so\$\nRewriteRule ^%U - [F]\n"
      . "ProxyPass %U $b%U\n<Location %U>\n$policy</Location>" ],

    # refusals that would fetch something
    [ 'ErrorDocument proxied, same section', "ProxyPass %U $b%U\n<Location %U>\n${policy}ErrorDocument 401 %U/err\nErrorDocument 403 %U/err\n</Location>" ],
    [ 'ErrorDocument proxied, open', "ProxyPass /open%N $b/open%N\nProxyPass %U $b%U\n"
      . "<Location %U>\n${policy}ErrorDocument 401 /open%N\nErrorDocument 403 /open%N\n</Location>" ],
    [ 'ErrorDocument local', "Alias /doc%N \@DOCROOT\@/index.html\nProxyPass %U $b%U\n"
      . "<Location %U>\n${policy}ErrorDocument 401 /doc%N\nErrorDocument 403 /doc%N\n</Location>" ],
    [ 'ErrorDocument text', "ProxyPass %U $b%U\n<Location %U>\n${policy}ErrorDocument 401 \"no\"\nErrorDocument 403 \"no\"\n</Location>" ],
    [ 'ErrorDocument with a handler of a late RewriteRule', "Alias /doc%N \@ROOT\@/d%N/file.txt\n<Directory \@ROOT\@/d%N>\nRewriteEngine On\n"
      . "RewriteRule txt\$ - [H=proxy:$b]\n</Directory>\nProxyPass %U $b%U\n<Location %U>\n${policy}ErrorDocument 401 /doc%N\nErrorDocument 403 /doc%N\n</Location>" ],
    [ 'ErrorDocument with SetHandler proxy:', "Alias /doc%N \@ROOT\@/d%N/file.txt\n<Directory \@ROOT\@/d%N>\nSetHandler \"proxy:$b\"\n</Directory>\n"
      . "ProxyPass %U $b%U\n<Location %U>\n${policy}ErrorDocument 401 /doc%N\nErrorDocument 403 /doc%N\n</Location>" ],
    [ 'ErrorDocument by FallbackResource', "Alias /doc%N \@ROOT\@/d%N\n<Directory \@ROOT\@/d%N>\nFallbackResource /open%N\n</Directory>\nProxyPass /open%N $b/open%N\n"
      . "ProxyPass %U $b%U\n<Location %U>\n${policy}ErrorDocument 401 /doc%N/none\nErrorDocument 403 /doc%N/none\n</Location>" ],
    [ 'ErrorDocument by DirectoryIndex', "Alias /doc%N \@ROOT\@/d%N\n<Directory \@ROOT\@/d%N>\nDirectoryIndex /open%N\n</Directory>\nProxyPass /open%N $b/open%N\n"
      . "ProxyPass %U $b%U\n<Location %U>\n${policy}ErrorDocument 401 /doc%N/\nErrorDocument 403 /doc%N/\n</Location>" ],
    [ 'ErrorDocument by Action', "Alias /doc%N \@ROOT\@/d%N/file.txt\n<Directory \@ROOT\@/d%N>\nAction m2e%N /open%N virtual\nSetHandler m2e%N\n</Directory>\n"
      . "ProxyPass /open%N $b/open%N\nProxyPass %U $b%U\n<Location %U>\n${policy}ErrorDocument 401 /doc%N\nErrorDocument 403 /doc%N\n</Location>" ],
    [ 'ErrorDocument with SSI', "Alias /doc%N \@ROOT\@/d%N/open.shtml\n<Directory \@ROOT\@/d%N>\nOptions +Includes\nSetOutputFilter INCLUDES\n</Directory>\n"
      . "ProxyPass %U $b%U\n<Location %U>\n${policy}ErrorDocument 401 /doc%N\nErrorDocument 403 /doc%N\n</Location>" ],
    [ 'ErrorDocument in another protected section', "ProxyPass /other%N $b/other%N\n<Location /other%N>\nM2MJwks file:\@ROOT\@/k.json\nM2MBypassEmptyToken On\n</Location>\n"
      . "ProxyPass %U $b%U\n<Location %U>\n${policy}ErrorDocument 401 /other%N\nErrorDocument 403 /other%N\n</Location>" ],
    [ 'ProxyErrorOverride', "ProxyErrorOverride On\nProxyPass %U $b%U\n<Location %U>\n${policy}ErrorDocument 401 %U/err\nErrorDocument 403 %U/err\n</Location>" ],

    # other modules in the way
    [ 'CacheEnable disk', "CacheEnable disk %U\nProxyPass %U $b%U\n<Location %U>\n$policy</Location>", in => '/cacheable' ],
    [ 'websocket upgrade', "ProxyPass %U $b%U upgrade=websocket\n<Location %U>\n$policy</Location>" ],
    [ 'ws scheme', "ProxyPass %U ws://\@BACKEND\@%U\n<Location %U>\n$policy</Location>", control => 'any', upgrade => 1 ],
    [ 'mod_negotiation', "Alias %U \@ROOT\@/d%N/var\n<Directory \@ROOT\@/d%N>\n${policy}Options +MultiViews\nRequire all granted\n"
      . "<FilesMatch \"^var\\.\">\nSetHandler \"proxy:$b%U\"\n</FilesMatch>\n</Directory>" ],
    [ 'BrowserMatch and SetEnvIf', "SetEnvIf Request_URI . M2M_DECISION=allow M2M_VERIFIED=1 M2M_REASON=ok\nSetEnv M2M_DECISION allow\n"
      . "ProxyPass %U $b%U\n<Location %U>\n${policy}Require all granted\n</Location>", last => 1 ],
);

my (%file, $conf, @run);
my $n = 0;
for my $c (@case) {
    my ($name, $text, %o) = @$c;
    $n++;
    my $path = "/p$n";
    my $url = $o{url} // $path;
    s/%U(?!\{)/$path/g, s/%N/$n/g for $text, $url;
    $conf .= "# $name\n$text\n";
    $file{"d$n/$_"} = "static $n\n" for qw(file.txt var.html var.txt x);
    $file{"d$n/open.shtml"} = qq([<!--#include virtual="/open/x" -->]\n);
    $file{"d$n/page.shtml"} = qq([<!--#include virtual="$path" -->]\n);
    $file{"cgi/redir$n.cgi"} = "#!/bin/sh\nprintf 'Location: $path\\r\\n\\r\\n'\n";
    push @run, [ $name, $url . ($o{in} // ''), \%o ];
}
$file{'k.json'} = jwk_json('oct');
$file{users} = "joe:{SHA}" . MIME::Base64::encode_base64(Digest::SHA::sha1('pw'), '') . "\n";

my $t = M2MGW::Test->start(files => \%file, config => <<"CONF");
RewriteEngine On
TraceEnable On
$caching
AddType text/html .html .shtml
<Directory \@ROOT\@>
Options +FollowSymLinks
</Directory>
$conf
ProxyPass /open $b/open
CONF

my %who = (
    'no token' => [],
    'a bad signature' => [ Authorization => 'Bearer ' . mint('oct#2', { role => 'ok' }) ],
    'an expired token' => [ Authorization => 'Bearer ' . mint('oct', { role => 'ok', exp => time - 3600 }) ],
    'a token a rule denies' => [ Authorization => 'Bearer ' . mint('oct', { role => 'no' }) ],
    'rubbish' => [ Authorization => 'Bearer x.y.z' ],
    'Basic credentials' => [ Authorization => 'Basic am9lOnB3' ],
);
my @good = (Authorization => 'Bearer ' . mint('oct', { role => 'ok', sub => 'joe' }));
my $upgrade = [ Upgrade => 'websocket', Connection => 'Upgrade', 'Sec-WebSocket-Key' => 'x', 'Sec-WebSocket-Version' => 13 ];

for my $run (@run) {
    my ($name, $url, $o) = @$run;
    my @more = $o->{upgrade} ? @$upgrade : ();
    # the refusal first, then a pass, then the refusal again: nothing may be remembered
    for my $round (1, 2) {
        for my $who (sort keys %who) {
            my $r = $t->get($url, headers => [ @{ $who{$who} }, @more ]);
            my $fine = !$r->reached && ($r->status == ($o->{status} // 0) || $r->status !~ /\A[23]/
                                        || $r->status =~ /\A2/ && $name =~ /from outside, never/);
            ok($fine, "$name: $who does not reach the backend ($round)")
                or diag(M2MGW::Test::describe($r));
        }
        next if $round == 2;
        my $r = $t->get($url, headers => [ @good, @more ]);
        my $control = $o->{control} // '';
        next if $control eq 'none';
        ok($r->reached >= 1 || $control eq 'any' && $r->status < 500, "$name: control: a good token does")
            or diag(M2MGW::Test::describe($r));
    }
    # methods, versions, connections
    for my $m (qw(HEAD POST PUT DELETE PATCH OPTIONS PROPFIND FOO)) {
        my $r = $t->get($url, method => $m, headers => \@more);
        ok(!$r->reached, "$name: $m without a token") or diag(M2MGW::Test::describe($r));
    }
    my @odd = (
        [ 'HTTP/1.0', "GET $url HTTP/1.0\r\n\r\n" ], [ 'HTTP/0.9', "GET $url\r\n\r\n" ],
        [ 'TRACE', "TRACE $url HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" ],
        [ 'TRACE, Max-Forwards 0', "TRACE $url HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\nConnection: close\r\n\r\n" ],
        [ 'OPTIONS, Max-Forwards 0', "OPTIONS $url HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\nConnection: close\r\n\r\n" ],
        [ 'Expect', "POST $url HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx" ],
        [ 'chunked', "POST $url HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n1\r\nx\r\n0\r\n\r\n" ],
        [ 'websocket', "GET $url HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: x\r\n\r\n" ],
        [ 'h2c', "GET $url HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nConnection: Upgrade, HTTP2-Settings, close\r\n\r\n" ],
        [ 'absolute URI', "GET http://gw.test$url HTTP/1.1\r\nHost: gw.test\r\nConnection: close\r\n\r\n" ],
        [ 'absolute URI of another host', "GET http://evil.test$url HTTP/1.1\r\nHost: gw.test\r\nConnection: close\r\n\r\n" ],
        [ 'Range', "GET $url HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1\r\nConnection: close\r\n\r\n" ],
        [ 'If-None-Match', "GET $url HTTP/1.1\r\nHost: a\r\nIf-None-Match: *\r\nConnection: close\r\n\r\n" ],
        [ 'method override', "POST $url HTTP/1.1\r\nHost: a\r\nX-HTTP-Method-Override: GET\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" ],
    );
    for my $odd (@odd) {
        my $r = $t->raw($odd->[1], n => 1, timeout => 3);
        my $got = $r ? $r->reached : scalar $t->backend_new;
        ok(!$got, "$name: $odd->[0] without a token") or diag($r && M2MGW::Test::describe($r));
    }
}

# --- one connection, several requests ---

{
    my $g = "Authorization: $good[1]\r\n";
    my $one = "GET /p1 HTTP/1.1\r\nHost: a\r\n";
    my @r = $t->raw("$one$g\r\n$one\r\n$one$g\r\n${one}Authorization: Bearer x\r\n\r\n${one}Connection: close\r\n\r\n");
    is(join(' ', map { $_->status } @r), '200 401 200 401 401', 'pipelined: each is judged by itself');
    is($r[0]->reached, 2, 'and two reach the backend');
    @r = $t->raw("POST /p1 HTTP/1.1\r\nHost: a\r\nContent-Length: 60\r\n\r\n" . substr("$one$g\r\n" . ' ' x 60, 0, 60), n => 1);
    is($r[0]->reached, 0, 'a body that looks like a request is none');
    my $c = $t->client;
    is($t->get('/p1', client => $c, headers => \@good)->status, 200, 'keep-alive: a pass');
    is($t->get('/p1', client => $c)->status, 401, 'keep-alive: and then a refusal');
    is($t->get('/p1', client => $c, headers => \@good)->status, 200, 'keep-alive: and then a pass');
    $c->close;
}

# --- spellings of a protected path ---

# %s: the path without its first slash
my @spelling = ('//%s', '///%s', '/./%s', '/x/../%s', '/%s/', '/%s/x', '/%s//x', '/%s/./x', '/%s/../%s', '/%s/x/..', '/%s;x',
                '/%s;x=1/y', '/;/%s', '/x/..;/%s', '/%s/..;/y', '/%s%%2f', '/%s%%2Fx', '/%%2f%s', '/%%2e/%s', '/x/%%2e%%2e/%s',
                '/%s%%20', '/%s%%00', '/%s%%0a', '/%s%%5cx', '/%%5c%s', '/%s%%252fx', '/x%%2f..%%2f%s', '/x/..%%2f%s', '/x/.%%2e/%s',
                '/%s?', '/%s?x=/../', '/%s#x', '/%s%%3f', '/%s%%23x', '/%s%%3bx', '/%s.', '/%s..', '/%s~', '/%s%%c0%%af', '/%s%%ff');
for my $p (1, 5, 26 .. 38) {
    my ($name, $url) = @{ $run[ $p - 1 ] };
    my $path = substr $url, 1;
    my @list = map { s/%s/$path/gr =~ s/%%/%/gr } @spelling;
    push @list, '/' . join('', map { sprintf '%%%02x', ord } split //, $path), '/%70' . substr($path, 1);
    my ($reached, $controls) = (0, 0);
    for my $u (@list) {
        for my $proto ('HTTP/1.1', 'HTTP/1.0') {
            my $r = $t->get($u, proto => $proto);
            $reached++, diag("$name: $u arrived as " . ($r->backend)[0]{line}) if $r->reached;
        }
        $controls++ if $t->get($u, headers => \@good)->reached;
    }
    is($reached, 0, "$name: no spelling of the path reaches the backend");
    cmp_ok($controls, '>=', 3, "$name: control: with a token $controls of them do");
}

# --- OPTIONS * and friends are httpd's own ---

for my $raw ("OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "TRACE / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
             "GET * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "CONNECT gw.test:80 HTTP/1.1\r\nHost: a\r\n\r\n",
             "GET p1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "GET http:p1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
             "GET \@BACKEND\@/p1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "GET ?/p1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") {
    my ($r) = $t->raw($raw, n => 1, timeout => 2);
    ok(!$r || !$r->reached, 'nothing for ' . substr $raw, 0, 24);
}
# a method nobody knows at a file, a proxied URL that holds what it should not
$t->expect_log(qr/\[m2mgw:warn\].*a policy in <Proxy>/, qr/AH10244|AH00135|AH01136|AH01146|AH02651|AH00126|AH01374|AH10508|AH02429|unable to include/);
$t->finish(more => 1);

# --- the cache: its quick handler is asked before any section is known ---

for my $quick (qw(On Off)) {
    my $cacheable = "CacheQuickHandler $quick\n$caching\nCacheEnable disk /\nProxyPass / $b/\n";
    my $protected = "<Location /closed>\n$policy</Location>\n<Location /soon>\n$policy</Location>\n";
    $t = M2MGW::Test->start(files => \%file, config => $cacheable . $protected =~ s/\Q<Location \/soon>\E.*//sr);
    my $name = "CacheQuickHandler $quick";
    my @hits = map { $t->get($_)->reached + $t->get($_)->reached + $t->get($_)->reached } '/open/cacheable', '/soon/cacheable';
    is("@hits", '1 1', "$name: control: what is open is served from the cache");
    my $n = 0;
    for my $who (sort keys %who) {
        $n += $t->get('/closed/cacheable', headers => \@good)->reached;
        my $r = $t->get('/closed/cacheable', headers => $who{$who});
        ok(!$r->reached && $r->status =~ /\A4/, "$name: $who gets nothing another one fetched")
            or diag(M2MGW::Test::describe($r));
        $r = $t->get('/closed/cacheable', method => 'HEAD', headers => $who{$who});
        ok(!$r->reached && $r->status =~ /\A4/, "$name: $who gets nothing by HEAD");
        $r = $t->get('//closed/./cacheable', headers => $who{$who});
        ok(!$r->reached && $r->status =~ /\A4/, "$name: $who gets nothing by another spelling");
    }
    is($n, scalar keys %who, "$name: a protected response is never served from the cache");
    is($t->get('/open/cacheable')->reached, 0, "$name: control: the cache still works");
    $t->write_config($cacheable . $protected);
    ok($t->reload, "$name: what was cached becomes protected");
    my $r = $t->get('/soon/cacheable');
    denies($r, 401, 'token_missing', "$name: what was stored before is not served");
    is($t->get('/soon/cacheable', headers => \@good)->reached, 1, "$name: control: with a token it is fetched");
    $t->finish(more => 1);
}

# --- every section type, way to the backend and authorization together ---

# how the policy is put around a path: before and after it; what may lie inside
my %section = (
    Location => [ "<Location %U>\n", "</Location>\n" ],
    LocationMatch => [ "<LocationMatch ^%U>\n", "</LocationMatch>\n" ],
    If => [ "<If \"%{REQUEST_URI} =~ m#^%U#\">\n", "</If>\n" ],
    'If in Location' => [ "<Location %U>\n<If \"true\">\n", "</If>\n</Location>\n" ],
    'outer Location' => [ "<Location %U>\n", "</Location>\n<Location %U/in>\nRequire all granted\n</Location>\n" ],
    Directory => [ "<Directory \@ROOT\@%U>\n", "</Directory>\n" ],
    Files => [ "<Directory \@ROOT\@%U>\n<Files file.txt>\n", "</Files>\n</Directory>\n" ],
    Proxy => [ "<Proxy \"$b%U*\">\n", "</Proxy>\n" ],
    server => [ '', '' ],
);
my @location = ('Location', 'LocationMatch', 'If', 'If in Location', 'outer Location', 'server');
# ways to the backend: configuration outside, inside the section, and the sections it goes with
my %route = (
    ProxyPass => [ "ProxyPass %U $b%U", '', @location, 'Proxy' ],
    nocanon => [ "ProxyPass %U $b%U nocanon", '', @location, 'Proxy' ],
    encoded => [ "ProxyPass %U $b%U mapping=encoded", '', @location ],
    ProxyPassMatch => [ "ProxyPassMatch ^%U((?:/.*)?)\$ $b%U\$1", '', @location, 'Proxy' ],
    balancer => [ "<Proxy balancer://m%N>\nBalancerMember $b\n</Proxy>\nProxyPass %U balancer://m%N%U", '', @location ],
    'ProxyPass inside' => [ '', "ProxyPass $b%U", 'Location' ],
    'SetHandler' => [ "Alias %U \@ROOT\@%U/file.txt", "SetHandler \"proxy:$b%U\"", grep { $_ ne 'server' } @location, 'Directory', 'Files' ],
    '[P]' => [ "RewriteEngine On\nRewriteRule ^%U((?:/.*)?)\$ $b%U\$1 [P]", '', @location, 'Proxy' ],
    '[P,NE]' => [ "RewriteEngine On\nRewriteRule ^%U((?:/.*)?)\$ $b%U\$1 [P,NE]", '', @location ],
    '[P] inside' => [ "Alias %U \@ROOT\@%U/file.txt", "RewriteEngine On\nRewriteRule (.*) $b%U [P]", 'Location', 'LocationMatch', 'Directory' ],
    '[PT]' => [ "RewriteEngine On\nRewriteRule ^/pt%N(.*) %U\$1 [PT]\nProxyPass %U $b%U", '', @location ],
);
my %access = (
    'no Require' => '', 'all granted' => "Require all granted\n", 'expr' => "Require expr \"true\"\n",
    'Satisfy Any' => "Satisfy Any\nRequire all granted\n", 'Satisfy All' => "Satisfy All\nRequire all granted\n",
    'AuthType None' => "AuthType None\nRequire all granted\n", 'Basic' => "${basic}Require valid-user\n",
    'Basic, Satisfy Any' => "${basic}Satisfy Any\nRequire valid-user\nAllow from all\n",
    'RequireAny' => "<RequireAny>\nRequire all granted\nRequire valid-user\nRequire m2m-claim role ok\n</RequireAny>\n",
    'm2m-claim' => "Require m2m-claim role ok\n",
);
my (@cell, $matrix);
for my $way (sort keys %route) {
    my ($outside, $inside, @in) = @{ $route{$way} };
    for my $section (@in) {
        for my $access (sort keys %access) {
            next if $section =~ /\AIf/ && $access{$access} =~ /<Require|Satisfy/; # not allowed there
            my $i = @cell + 1;
            my $text = "$outside\n$section{$section}[0]$policy$access{$access}$inside\n$section{$section}[1]";
            my $host = $section eq 'server' ? "h$i.test" : 'gw.test';
            $text = "<VirtualHost 127.0.0.1:\@PORT\@>\nServerName $host\n$outside\n$policy<Location %U>\n$access{$access}</Location>\n</VirtualHost>"
                if $section eq 'server';
            s/%U(?!\{)/\/m$i/g, s/%N/$i/g for $text;
            $matrix .= "# $way, $section, $access\n$text\n";
            $file{"m$i/file.txt"} = 'x';
            push @cell, { name => "$way, $section, $access", url => $way eq '[PT]' ? "/pt$i" : "/m$i", host => $host,
                          inner => $section eq 'outer Location' };
        }
    }
}
my ($main, $vhosts) = ('', '');
for my $block (split /^(?=# )/m, $matrix) { $block =~ /<VirtualHost/ ? ($vhosts .= $block) : ($main .= $block) }
cmp_ok(scalar @cell, '>=', 400, 'cells of the matrix: ' . @cell);
$t = M2MGW::Test->start(files => \%file, loglevel => 'info m2mgw:info', config => <<"CONF");
RewriteEngine On
TraceEnable On
<Directory \@ROOT\@>
Options +FollowSymLinks
</Directory>
<VirtualHost 127.0.0.1:\@PORT\@>
ServerName gw.test
$main
</VirtualHost>
$vhosts
CONF
srand($ENV{M2MGW_SEED} // 20240101);
my @method = qw(GET HEAD POST PUT DELETE OPTIONS TRACE PATCH PROPFIND);
my @form = ('%s', '/%s', '%s/', '%s/x', '%s//x', '%s/../%s', '/x/..%s', '%s?a=1', '%s/%%2e', '%s;x', '%s%%20', '%s/in', '%s/in/y', '/.%s');
my $odd = 0;
for my $c (@cell) {
    my @tries = map { [ 'GET', $_, 'HTTP/1.1', $c->{url} ] } sort keys %who;
    for (1 .. 8) {
        my $form = $form[ rand @form ] =~ s/%s/$c->{url}/gr =~ s/%%/%/gr;
        push @tries, [ $method[ rand @method ], (sort keys %who)[ rand keys %who ], rand() < 0.8 ? 'HTTP/1.1' : 'HTTP/1.0', $form ];
    }
    my @leak;
    for my $try (@tries) {
        my ($method, $who, $proto, $url) = @$try;
        my $r = $t->request($method, $url, host => $c->{host}, proto => $proto, headers => $who{$who});
        push @leak, "$method $url $proto, $who: " . join ' ', map { $_->{line} // 'torn' } $r->backend if $r->reached;
        $odd++;
    }
    ok(!@leak, "matrix: $c->{name}: nothing reaches the backend") or diag(join "\n", @leak);
    my $r = $t->get($c->{url}, host => $c->{host}, headers => \@good);
    ok($r->status == 200 && $r->reached == 1, "matrix: $c->{name}: control") or diag(M2MGW::Test::describe($r));
}
note("$odd requests that had to be refused");
$t->expect_log(qr/AH10244|AH00135|AH01136|AH01144|AH00687/, qr/\[m2mgw:warn\].*a policy in <Proxy>/);
$t->finish(more => 1);

done_testing();
