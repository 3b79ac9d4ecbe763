#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# ErrorDocument for a refusal: a static file is served, and nothing runs, is parsed or fetched,
# whatever handler it has and however late that was set. Judged by what ran and what the
# backend received; each document that may not run has a control in which it does.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use IO::Socket::INET;
use M2MGW::Test;
use POSIX ();

my $b = 'http://@BACKEND@';
my $cgi = <<'CGI';
#!/bin/sh
{ printf 'ran %s [' "$REQUEST_URI"; cat; printf ']\n'; } >>@ROOT@/cache/ran
printf 'Content-Type: text/plain\r\n\r\nran, %s\n' "${CONTENT_LENGTH-no length}"
CGI
my $lua = <<'LUA';
function handle(r)
    local f = io.open("@ROOT@/cache/ran", "a")
    f:write("ran " .. r.uri .. " []\n")
    f:close()
    r.content_type = "text/plain"
    r:puts("ran\n")
    return apache2.OK
end
LUA
my $ssi = "text <!--#include virtual=\"/cgi/run.cgi\" -->\n";

# [ name, what ErrorDocument says, outcome: doc (the file), ours (our body), text;
#   configuration outside; files below htdocs; %D is the path of the document's directory ]
my @case = (
    [ 'a file', '%D/doc.html', 'doc', '', { 'doc.html' => 'doc' } ],
    [ 'a file without a type', '%D/doc', 'doc', '', { doc => 'doc' } ],
    [ 'a file in the protected section', '%U/doc.html', 'doc', 'Alias %U/doc.html @DOCROOT@%D/doc.html', { 'doc.html' => 'doc' } ],
    [ 'a file in another protected section', '%D/doc.html', 'doc', "<Location %D>\n\@POLICY\@</Location>", { 'doc.html' => 'doc' } ],
    [ 'a file, compressed by type', '%D/doc.html', 'doc', "<Location %D>\nAddOutputFilterByType DEFLATE text/html\n</Location>", { 'doc.html' => 'doc' } ],
    [ 'a file through FilterDeclare and DEFLATE', '%D/doc.html', 'doc', "FilterDeclare f%N\nFilterProvider f%N DEFLATE true\n<Location %D>\nFilterChain +f%N\n</Location>",
      { 'doc.html' => 'doc' } ],
    [ 'a file, with Expires', '%D/doc.html', 'doc', "<Location %D>\nExpiresActive On\nExpiresDefault A10\n</Location>", { 'doc.html' => 'doc' } ],
    [ 'a file, where a FallbackResource is', '%D/doc.html', 'doc', "<Directory \@DOCROOT\@%D>\nFallbackResource /cgi/run.cgi\n</Directory>", { 'doc.html' => 'doc' } ],
    [ 'a file found by DirectoryIndex', '%D/', 'doc', "<Directory \@DOCROOT\@%D>\nDirectoryIndex doc.html\n</Directory>", { 'doc.html' => 'doc' } ],
    [ 'a text', '"text for people"', 'text', '', {} ],
    [ 'a full URL', "$b/elsewhere", 'ours', '', {} ],
    [ 'a path that is not there', '%D/none.html', 'ours', '', {} ],
    [ 'a file with a path behind it', '%D/doc.html/more', 'ours', '', { 'doc.html' => 'doc' } ],

    [ 'CGI', '/cgi/run.cgi', 'ours', '', {} ],
    [ 'CGI by ScriptAlias', '%S', 'ours', 'ScriptAlias %S @DOCROOT@/cgi/run.cgi', {} ],
    [ 'CGI by SetHandler', '%D/x', 'ours', "<Directory \@DOCROOT\@%D>\nSetHandler cgi-script\n</Directory>", { x => $cgi } ],
    [ 'CGI by type', '%D/x.odd', 'ours', "<Directory \@DOCROOT\@%D>\nAddType application/x-httpd-cgi .odd\n</Directory>", { 'x.odd' => $cgi } ],
    [ 'CGI by a late RewriteRule', '%D/x.late', 'ours', "<Directory \@DOCROOT\@%D>\nRewriteEngine On\nRewriteRule \\.late\$ - [H=cgi-script]\n</Directory>", { 'x.late' => $cgi } ],
    [ 'CGI by FallbackResource', '%D/none', 'ours', "<Directory \@DOCROOT\@%D>\nFallbackResource /cgi/run.cgi\n</Directory>", { x => '' } ],
    [ 'CGI by DirectoryIndex', '%D/', 'ours', "<Directory \@DOCROOT\@%D>\nDirectoryIndex x.cgi\n</Directory>", { 'x.cgi' => $cgi } ],
    [ 'CGI by MultiViews', '%D/y', 'ours', "<Directory \@DOCROOT\@%D>\nOptions +MultiViews +ExecCGI\nMultiviewsMatch Any\n</Directory>", { 'y.cgi' => $cgi } ],
    [ 'CGI in another protected section', '%D/x.cgi', 'ours', "<Location %D>\n\@POLICY\@</Location>", { 'x.cgi' => $cgi } ],
    [ 'Action by handler', '%D/x.act', 'ours', "<Directory \@DOCROOT\@%D>\nAction act%N /cgi/run.cgi\nAddHandler act%N .act\n</Directory>", { 'x.act' => 'source' } ],
    [ 'Action by type', '%D/x.html', 'ours', "<Directory \@DOCROOT\@%D>\nAction text/html /cgi/run.cgi\n</Directory>", { 'x.html' => 'source' } ],
    [ 'SSI', '%D/x.shtml', 'ours', "<Directory \@DOCROOT\@%D>\nAddOutputFilter INCLUDES .shtml\n</Directory>", { 'x.shtml' => $ssi } ],
    [ 'SSI by handler', '%D/x.shtml', 'ours', "<Directory \@DOCROOT\@%D>\nAddHandler server-parsed .shtml\n</Directory>", { 'x.shtml' => $ssi } ],
    [ 'SSI by XBitHack', '%D/x.html', 'ours', "<Directory \@DOCROOT\@%D>\nXBitHack On\n</Directory>", { 'x.html' => $ssi }, x => 1 ],
    [ 'SSI by FilterDeclare', '%D/x.html', 'ours', "FilterDeclare f%N CONTENT_SET\nFilterProvider f%N INCLUDES true\n<Directory \@DOCROOT\@%D>\nFilterChain f%N\n</Directory>",
      { 'x.html' => $ssi }, control => 'none' ],
    [ 'Substitute', '%D/x.html', 'ours', "<Directory \@DOCROOT\@%D>\nAddOutputFilter SUBSTITUTE .html\nSubstitute s/a/b/\n</Directory>", { 'x.html' => 'a' }, control => 'none' ],
    [ 'Lua', '%D/x.lua', 'ours', "<Directory \@DOCROOT\@%D>\nAddHandler lua-script .lua\n</Directory>", { 'x.lua' => $lua } ],
    [ 'Lua by path', '%D/mapped', 'ours', "LuaMapHandler ^%D/mapped\$ \@DOCROOT\@%D/x.lua handle", { mapped => 'source', 'x.lua' => $lua } ],
    [ 'asis', '%D/x.asis', 'ours', "<Directory \@DOCROOT\@%D>\nAddHandler send-as-is .asis\n</Directory>", { 'x.asis' => "Status: 200 OK\nContent-Type: text/plain\n\nasis\n" }, control => 'none' ],
    [ 'a directory', '%D/', 'ours', "<Directory \@DOCROOT\@%D>\nOptions +Indexes\nDirectoryIndex disabled\n</Directory>", { 'listed.html' => '' }, control => 'none' ],
    [ 'PHP by type', '%D/x.php', 'ours', "<Directory \@DOCROOT\@%D>\nAddType application/x-httpd-php .php\n</Directory>", { 'x.php' => '<?php source' }, control => 'none' ],
    [ 'the status page', '%S', 'ours', "<Location %S>\nSetHandler m2m-status\n</Location>", {}, control => 'none' ],
    [ 'ProxyPass', '%S', 'ours', "ProxyPass %S $b%S", {} ],
    [ 'ProxyPass in the section', '%U/doc', 'ours', "ProxyPass %U $b%U", {}, control => 'good' ],
    [ 'SetHandler proxy:', '%D/x', 'ours', "<Directory \@DOCROOT\@%D>\nSetHandler proxy:$b\n</Directory>", { x => '' } ],
    [ 'a late RewriteRule to http', '%D/x.php', 'ours', "<Directory \@DOCROOT\@%D>\nRewriteEngine On\nRewriteRule \\.php\$ - [H=proxy:$b]\n</Directory>", { 'x.php' => 'source' } ],
    [ 'a late RewriteRule to FastCGI', '%D/x.php', 'ours', "<Directory \@DOCROOT\@%D>\nRewriteEngine On\nRewriteRule \\.php\$ - [H=proxy:fcgi://127.0.0.1:\@PORT:fcgi\@]\n</Directory>", { 'x.php' => 'source' } ],
    [ 'RewriteRule [P] in the directory', '%D/x.php', 'ours', "<Directory \@DOCROOT\@%D>\nRewriteEngine On\nRewriteRule \\.php\$ $b/p [P]\n</Directory>", { 'x.php' => 'source' } ],
    (map { [ "RewriteRule of the server, $_", '%D/x.html', 'ours', "RewriteEngine On\nRewriteRule ^%D/x $_", { 'x.html' => 'source' }, control => 'none' ] }
        'http://elsewhere.test/ [R=302]', '/there [R=307]', '- [F]', '- [G]', '- [R=200]', "$b/p [P]"),
    [ 'Redirect', '%D/x.html', 'ours', 'Redirect %D http://elsewhere.test/', { 'x.html' => 'source' }, control => 'none' ],
    [ 'RewriteRule to a program', '%D/x.html', 'ours', "<Directory \@DOCROOT\@%D>\nRewriteEngine On\nRewriteRule html\$ /cgi/run.cgi\n</Directory>", { 'x.html' => 'source' } ],
);
my $policy = <<'CONF';
M2MJwks file:@ROOT@/k.json
M2MParameter who Token:sub
M2MRule gone "$who = 'gone'" ifTrue=DENY statusCode=404
CONF
my (%file, @run, $conf);
my $n = 0;
for my $c (@case) {
    my ($name, $doc, $want, $outside, $files, %o) = @$c;
    $n++;
    s/\@POLICY\@/$policy/g, s/%U/\/p$n/g, s/%D/\/d$n/g, s/%S/\/s$n/g, s/%N/$n/g for $doc, $outside;
    $conf .= "# $name\n$outside\n";
    for my $mode ('p', 'a') {
        $conf .= "<Location /$mode$n>\n${policy}ErrorDocument 401 $doc\nErrorDocument 404 $doc\n"
               . ($mode eq 'a' ? "M2MErrorDocuments Any\n" : '') . "</Location>\n";
    }
    $file{"htdocs/d$n/$_"} = $files->{$_} for keys %$files;
    push @run, { name => $name, n => $n, doc => $doc, want => $want, files => $files, %o };
}
my $t = M2MGW::Test->prepare(modules => [qw(lua proxy_fcgi asis expires substitute filter deflate actions)],
    files => { 'k.json' => jwk_json('oct'), 'htdocs/cgi/run.cgi' => $cgi, %file });
for my $run (@run) {
    my $dir = "$t->{root}/htdocs/d$run->{n}";
    chmod 0755, map { "$dir/$_" } grep { $run->{files}{$_} eq $cgi || $run->{x} } keys %{ $run->{files} };
}
# what listens for FastCGI: it notes that somebody came, and hangs up
my $fcgi = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $t->port('fcgi'), Listen => 16, ReuseAddr => 1) or die $!;
my $listener = fork // die $!;
if (!$listener) {
    while (my $c = $fcgi->accept) {
        open my $log, '>>', "$t->{root}/cache/ran" or last;
        print $log "ran, by FastCGI []\n";
        close $log;
        close $c;
    }
    POSIX::_exit(0);
}
END { kill 'TERM', $listener if $listener }
$t->begin(<<"CONF");
AddType text/html .html .shtml
<Directory \@DOCROOT\@>
Options +ExecCGI +Includes +FollowSymLinks
AddHandler cgi-script .cgi
</Directory>
$conf
CONF

# what has run since the last call
my $at = 0;
sub ran {
    my $log = "$t->{root}/cache/ran";
    my $all = -e $log ? slurp($log) : '';
    my $new = substr $all, $at;
    $at = length $all;
    return $new;
}

my $good = mint('oct', { sub => 'x' });
my %ask = (
    'no token' => [ 401, 'token_missing', sub { $t->get($_[0]) } ],
    'a POST without token' => [ 401, 'token_missing', sub { $t->post($_[0], 'secret=body', headers => [ 'Content-Type' => 'text/plain' ]) } ],
    'a chunked POST' => [ 401, 'token_missing', sub { $t->request('POST', $_[0], headers => [ 'Transfer-Encoding' => 'chunked' ], body => "b\r\nsecret=body\r\n0\r\n\r\n") } ],
    "a rule's 404" => [ 404, 'rule_denied', sub { $t->post($_[0], 'secret=body', token => mint('oct', { sub => 'gone' })) } ],
);
for my $run (@run) {
    my ($name, $n, $want) = @$run{qw(name n want)};
    my $content = (grep { !/\.(?:cgi|lua)\z/ } sort keys %{ $run->{files} })[0];
    for my $how (sort keys %ask) {
        my ($status, $reason, $do) = @{ $ask{$how} };
        my $r = $do->("/p$n/secret");
        denies($r, $status, $reason, "$name: $how");
        is(ran(), '', "$name: $how: nothing runs");
        like($r->body, $want eq 'doc' ? qr/\Adoc/ : $want eq 'text' ? qr/\Atext for people\z/ : qr/\A\{.*"reason":"$reason"/, "$name: $how: the body")
            if $r->header('Content-Encoding') // '' ne 'gzip';
        is($r->header('Location'), undef, "$name: $how: no redirect");
    }
    my $control = $run->{control} // ($want eq 'ours' && $run->{doc} =~ m{\A/} && $name !~ /path/ ? 'any' : 'none');
    next if $control eq 'none';
    my $r = $t->get($run->{doc}, token => $good);
    my $ran = ran();
    ok($ran ne '' || $r->reached, "$name: control: asked for itself it runs") or diag(M2MGW::Test::describe($r));
    # M2MErrorDocuments Any: it runs, and the client's body is not there
    my $from = $ask{'a chunked POST'}[2]->("/a$n/secret");
    $ran = ran();
    ok($ran ne '' || $from->reached || $control eq 'good', "$name: Any: it runs") or diag(M2MGW::Test::describe($from));
    unlike($ran . join('', map { JSON::PP::encode_json($_) } $from->backend), qr/secret=body/, "$name: Any: without the client's body");
    $from = $ask{"a rule's 404"}[2]->("/a$n/secret");
    unlike(ran() . join('', map { JSON::PP::encode_json($_) } $from->backend), qr/secret=body/, "$name: Any: neither with its length");
}
my $gone = mint('oct', { sub => 'gone' });
is($t->get('/a11/x', token => $gone)->status, 302, 'Any: a full URL is followed');
is($t->get('/p11/x', token => $gone)->status, 404, 'Static: and else is not');

# the connection goes on behind a body that nobody read
my @two = $t->raw("POST /p14/x HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nsecret=bodyGET /p1/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
is(join(' ', map { $_->status } @two), '401 401', 'the next request of the connection is read from its beginning');
is($two[1] && $two[1]->body, 'doc', 'and gets its document');
is(ran(), '', 'and still nothing runs');

$t->expect_log(qr/AH00524|AH01276|AH00127|AH0107\d|AH10244|AH00687|AH02651|AH00135|AH0259\d|AH01144|AH0109\d|AH01797|AH01264|AH00130/,
               qr/\[proxy|\[lua|\[include|\[cgid?:|\[negotiation|\[autoindex|\[m2mgw:warn\].*m2m-status/);
# --- a file that mod_negotiation or mod_dir looked for, and that was refused ---

my $at_once = "printf 'Content-Type: text/plain\\r\\n\\r\\n'\n";
my $below = M2MGW::Test->prepare(modules => ['negotiation'], loglevel => 'warn m2mgw:info', files => {
    'k.json' => jwk_json('oct'), 'htdocs/n/t.var' => "URI: secret.html\nContent-Type: text/html\n", 'htdocs/n/secret.html' => 'SECRET',
    'htdocs/i/secret.txt' => 'SECRET', 'htdocs/cgi/run.cgi' => "#!/bin/sh\n${at_once}echo RAN\n" });
chmod 0755, "$below->{root}/htdocs/cgi/run.cgi";
$below->begin(<<'CONF');
AddHandler type-map .var
<Directory @DOCROOT@>
    Options +ExecCGI +FollowSymLinks
    AddHandler cgi-script .cgi
    DirectoryIndex secret.txt
</Directory>
ErrorDocument 401 /cgi/run.cgi
<Files "secret*">
    M2MJwks file:@ROOT@/k.json
    M2MRealm below
</Files>
CONF
for my $url ('/n/t.var', '/i/', '/n/secret.html') {
    for my $r ($below->get($url), $below->post($url, 'secret=body', headers => [ 'Content-Type' => 'text/plain' ])) {
        denies($r, 401, 'token_missing', "$url: refused below");
        like($r->body, qr/\A\{.*"reason":"token_missing"/, "$url: with our body, and nothing runs");
        is($r->header('Cache-Control'), 'no-store', "$url: kept by nobody");
    }
    my $r = $below->get($url, token => $good);
    ok($r->status == 200 && $r->body =~ /\ASECRET/, "$url: control: with a token") or diag(M2MGW::Test::describe($r));
}
$below->finish(more => 1);
$t->finish;
