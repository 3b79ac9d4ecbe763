#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# One resource in the place of another: mod_dir, FallbackResource and mod_negotiation put a
# subrequest there, with its section, and leave headers and body of the client behind; mod_cgi
# and mod_actions make a new request of the old one. What is published, scrubbed and decided
# is that of the section whose handler runs.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use M2MGW::Test;

my $cgi = <<'CGI';
#!/usr/bin/perl
local $/;
my $body = <STDIN>;
print "Content-Type: text/plain\n\n";
print "$_=$ENV{$_}\n" for sort keys %ENV;
print "BODY[$body]\n";
CGI
my $policy = <<'CONF';
    M2MEngine On
    M2MClaim client_id header:X-Client-Id form:client_id query:client_id env:CID
    M2MClaim absent header:X-Absent env:ABSENT
    M2MParameter evil Form:evil
    M2MRule form "$evil = 'x'" ifTrue=DENY
CONF
my $t = M2MGW::Test->start(
    files => {
        'k.json' => jwk_json('oct'),
        (map { ("htdocs/$_" => $cgi) } qw(dir/index.cgi fall/all.cgi neg/page.en.cgi outer/index.cgi act/run.cgi plain.cgi)),
        'htdocs/act/x.thing' => "thing\n",
        'htdocs/list/a.txt' => 'a', 'htdocs/list/once.txt' => 'once', 'htdocs/once/index.html' => 'once', 'htdocs/page.shtml' => "[<!--#include virtual=\"/list/once.txt\" -->]",
        'htdocs/error.cgi' => $cgi,
        'htdocs/away.cgi' => "#!/bin/sh\ncat >/dev/null\nprintf 'Location: /form/x?%s\\n\\n' \"\$QUERY_STRING\"\n",
        'htdocs/lazy.cgi' => "#!/bin/sh\nprintf 'Location: /form/x\\n\\n'\n",
    },
    modules => [ 'sed' ], config => <<"CONF");
M2MEngine Off
M2MJwks file:\@ROOT\@/k.json
M2MToken header:Authorization form:id_token query:id_token
<Directory \@DOCROOT\@>
    Options +ExecCGI +MultiViews +Indexes +Includes
    AddType text/html .shtml
    AddOutputFilter INCLUDES .shtml
    AddHandler cgi-script .cgi
    AddLanguage en .en
    DirectoryIndex index.cgi
    MultiviewsMatch Any
</Directory>
<Directory \@DOCROOT\@/once>
    DirectoryIndex index.html
</Directory>
<Directory \@DOCROOT\@/fall>
    FallbackResource /fall/all.cgi
</Directory>
<Directory \@DOCROOT\@/act>
    Action thing /act/run.cgi
    AddHandler thing .thing
</Directory>
<FilesMatch "^(index|all|page.*|run)\\.cgi\$">
$policy
</FilesMatch>
<FilesMatch "^(once.txt|index.html)\$">
    M2MEngine On
    M2MPreventJtiReplay On
</FilesMatch>
<Location /sed>
    M2MEngine On
    SetInputFilter Sed
    InputSed "s/zz/yy/"
</Location>
Alias /sed \@DOCROOT\@/plain.cgi
<Location /outer/>
    M2MEngine On
    M2MClaim client_id header:X-Outer
</Location>
<Location /outer/index.cgi>
    M2MEngine Off
</Location>
ErrorDocument 401 /error.cgi
M2MErrorDocuments Any
<Files error.cgi>
    M2MEngine On
    M2MClaim client_id header:X-Error env:X_ERROR
</Files>
SetEnvIf X-Error . X_ERROR=evil
<Location /form>
$policy
    ProxyPass http://\@BACKEND\@/form
</Location>
CONF

my $token = mint('oct', { client_id => 'app' });
my @form = ('Content-Type' => 'application/x-www-form-urlencoded');
my @spoof = ('X-Client-Id' => 'evil', 'X_Client_Id' => 'evil', 'X-Absent' => 'evil', 'X-Ca-Request-Id' => 'evil');

sub line { my ($r, $name) = @_; $r->body =~ /^\Q$name\E=(.*)$/m ? $1 : '' }
sub clean {
    my ($r, $name, $body) = @_;
    is($r->status, 200, "$name: passes") or return diag($r->body);
    is(line($r, 'HTTP_X_CLIENT_ID'), 'app', "$name: the header is ours");
    is(line($r, 'HTTP_X_ABSENT'), '', "$name: a header without its claim is taken out");
    is(line($r, 'CID') . line($r, 'ABSENT'), 'app', "$name: and variables");
    is(line($r, 'HTTP_X_CA_REQUEST_ID'), $r->header('X-Ca-Request-Id'), "$name: the request id");
    is(line($r, 'REMOTE_USER'), 'app', "$name: the user");
    is(line($r, 'QUERY_STRING'), 'client_id=app&q=1', "$name: the query");
    unlike(line($r, 'REQUEST_URI'), qr/evil/, "$name: nothing of the client's in REQUEST_URI");
    shows_no_token($r->body, "$name: no token");
    my ($got) = $r->body =~ /^BODY\[(.*)\]/ms;
    is($got, $body, "$name: the body");
}
for my $way ([ 'direct', '/dir/index.cgi' ], [ 'DirectoryIndex', '/dir/' ], [ 'FallbackResource', '/fall/any/where' ], [ 'MultiViews', '/neg/page' ],
             [ 'Action', '/act/x.thing' ]) {
    my ($name, $url) = @$way;
    for my $how ([ 'GET', undef ], [ 'POST', 'client_id=evil&a=b' ], [ 'POST', "id_token=$token&client_id=evil&a=b" ]) {
        my ($method, $body) = @$how;
        my $in_form = $body && $body =~ /id_token/;
        my %o = (headers => [ @spoof, $body ? @form : () ], $in_form ? () : (token => $token), defined $body ? (body => $body) : ());
        next if $name eq 'Action' && $body;
        clean($t->request($method, "$url?q=1&client_id=evil", %o), "$name $method" . ($in_form ? ', token in the form' : ''), $body ? 'client_id=app&a=b' : '');
    }
    clean($t->request('POST', "$url?q=1&client_id=evil", token => $token, headers => [ @spoof, @form, 'Transfer-Encoding' => 'chunked' ],
                      body => "5\r\nclien\r\nc\r\nt_id=evil&a=\r\n1\r\nb\r\n0\r\n\r\n"), "$name chunked", 'client_id=app&a=b') if $name ne 'Action';
    my $hidden = $name eq 'MultiViews'; # mod_negotiation takes what is refused for not there
    is($t->post($url, 'evil=x', token => $token, headers => [ @form ])->status, $hidden ? 404 : 403, "$name: a rule sees the form") if $name ne 'Action';
    is($t->get($url)->status, $hidden ? 404 : 401, "$name: no token, no answer");
    is($t->get("$url?id_token=x.y.z")->status, $hidden ? 404 : 401, "$name: a bad one, none either");
}
my $r = $t->get('/plain.cgi', token => $token, headers => [ 'X-Client-Id' => 'kept' ]);
is(line($r, 'HTTP_X_CLIENT_ID'), '', 'a header that claims are mapped to is not a client\'s to send, wherever');
$r = $t->get('/outer/', headers => [ 'X-Outer' => 'evil' ]);
denies($r, 401, 'token_missing', 'a directory with an open index is still protected');
$r = $t->get('/outer/', token => $token, headers => [ 'X-Outer' => 'evil' ]);
is(line($r, 'HTTP_X_OUTER'), 'app', 'and its header is ours behind the index');

# --- the document of a refusal has a section of its own ---

$r = $t->get('/form', headers => [ 'X-Error' => 'evil' ]);
is($r->status, 401, 'a refusal with a document');
like($r->body, qr/^REDIRECT_STATUS=401$/m, 'that is a program');
unlike($r->body, qr/^(?:HTTP_)?X_ERROR=/m, 'and is not told who the caller says to be');

# --- a token that may be used once is used by what runs, not by who asks ---

my $jti = 0;
sub once { mint('oct', { client_id => 'app', jti => 'redirect-' . $jti++ }) }
my $token1 = once();
is($t->get('/once/', token => $token1)->status, 200, 'DirectoryIndex: the first time');
denies($t->get('/once/', token => $token1), 401, 'jti_replayed', 'DirectoryIndex: the second');
denies($t->get('/once/index.html', token => $token1), 401, 'jti_replayed', 'and directly');
$token1 = once();
like($t->get('/list/', token => $token1)->body, qr/once\.txt/, 'mod_autoindex asks about the file');
is($t->get('/list/once.txt', token => $token1)->body, 'once', 'which uses no token');
denies($t->get('/list/once.txt', token => $token1), 401, 'jti_replayed', 'control: this does');
$token1 = once();
is($t->get('/page.shtml', token => $token1)->body, '[once]', 'an include that runs');
unlike($t->get('/page.shtml', token => $token1)->body, qr/once/, 'uses it as well');
denies($t->get('/list/once.txt', token => $token1), 401, 'jti_replayed', 'also for others');

# --- input filters see what is handed on ---

like($t->post('/sed', "id_token=$token&q=zz", headers => [ @form ])->body, qr/BODY\[q=yy\n?\]/, 'a form through mod_sed');
like($t->post('/sed', 'q=zz', token => $token, headers => [ 'Content-Type' => 'text/plain' ])->body, qr/BODY\[q=yy\n?\]/, 'control: what is not a form');

# --- a handler has read the form, then another request is made ---

for my $cgi ('away', 'lazy') {
    $r = $t->post("/$cgi.cgi?id_token=$token&client_id=evil", 'client_id=evil&a=b', headers => [ @form ]);
    passes($r, "$cgi: from a CGI program to the backend") if $cgi eq 'away';
    unlike($r->target, qr/evil/, "$cgi: nothing of the client's in the query");
    shows_no_token($r->target, "$cgi: and no token");
    unlike(JSON::PP::encode_json([ $r->backend ]), qr/evil/, "$cgi: nor anywhere else");
}
$r = $t->post("/away.cgi", "id_token=$token&a=b", headers => [ @form ]);
denies($r, 401, 'token_missing', 'a form that was read is gone, and its token with it');
my @two = $t->raw("POST /dir/ HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer $token\r\nContent-Type: $form[1]\r\nContent-Length: 3\r\n\r\na=b"
                  . "GET /plain.cgi HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
is(join(' ', map { $_->status } @two), '200 200', 'the next request of the connection is read from its beginning');
$t->expect_log(qr/AH00687|AH02651|unable to include|\[include:error\]/);
$t->finish;
