#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# Bodies: a token in a form, claims into a form, parameters of rules from a form; whatever is
# not looked into reaches the backend byte for byte, however it was sent.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Time::HiRes qw(sleep);
use M2MGW::Names;
use M2MGW::Test;

my $b = 'http://@BACKEND@';
my $t = M2MGW::Test->start(files => { 'k.json' => jwk_json('oct'), 'cgi/cat.cgi' => "#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\n%s|' \"\$CONTENT_LENGTH\"\ncat\n" },
                           modules => ['deflate'], config => <<"CONF");
M2MJwks file:\@ROOT\@/k.json
<Location /tok>
    M2MToken form:id_token
</Location>
<Location /tokkeep>
    M2MToken form:id_token
    M2MForwardToken On
</Location>
<Location /tokmany>
    M2MToken form:id_token header:Authorization query:id_token
    M2MBypassEmptyToken On
</Location>
<Location /pub>
    M2MClaim client_id form:client_id
    M2MClaim scope form:scope
</Location>
<Location /pub/off>
    M2MEngine Off
</Location>
<Location /pub/replaced>
    M2MClaim client_id header:X-Client-Id
</Location>
<Location /others>
    M2MClaim client_id form:client_id
    M2MFormOtherBodies Allow
</Location>
<Location /both>
    M2MToken form:id_token
    M2MClaim client_id form:client_id
    M2MFormLimit 4000
</Location>
<Location /rule>
    M2MParameter who Form:who
    M2MParameter any Parameter:who
    M2MRule who "\$who = 'me' and \$any = 'me'" ifFalse=DENY
</Location>
<Location /rule/shadow>
    M2MEngine Shadow
</Location>
<Location /method>
    M2MParameter m Method
    M2MRule m "\$m = 'POST'" ifFalse=DENY
    M2MEngine Shadow
</Location>
<Location /plain>
    M2MFormLimit 100
</Location>
<Location /bypass>
    M2MClaim client_id form:client_id
    M2MBypassEmptyToken On
</Location>
<Location /shadow>
    M2MClaim client_id form:client_id
    M2MEngine Shadow
</Location>
<Location /rewrite>
    M2MToken form:id_token
    M2MClaim client_id form:client_id
    RewriteEngine On
    RewriteRule . $b/rewritten [P]
</Location>
<Location /redirect>
    M2MToken form:id_token
    M2MClaim client_id form:client_id
    RewriteEngine On
    RewriteRule . /both [PT]
</Location>
<Location /cgi>
    M2MToken form:id_token
    M2MClaim client_id form:client_id
</Location>
ScriptAlias /cgi/ \@ROOT\@/cgi/
ProxyPass /cgi !
ProxyPass / $b/
CONF

my $token = mint('oct', { client_id => 'app 1', scope => 'r&w' });
my $type = 'application/x-www-form-urlencoded';
# a form sent in one of several ways; what the backend received as its body
sub chunks { my ($n, $text) = @_; join('', map { sprintf "%x\r\n%s\r\n", length, $_ } $text =~ /.{1,$n}/gs) . "0\r\n\r\n" }
my %how = (
    'Content-Length' => sub { my ($u, $text, @h) = @_; $t->post($u, $text, headers => [ @h ]) },
    'chunked' => sub { my ($u, $text, @h) = @_; $t->request('POST', $u, headers => [ @h, 'Transfer-Encoding' => 'chunked' ], body => chunks(7, $text)) },
    'Expect' => sub { my ($u, $text, @h) = @_; $t->post($u, $text, headers => [ @h, Expect => '100-continue' ]) },
    'in pieces' => sub {
        my ($u, $text, @h) = @_;
        my $c = $t->client;
        $t->backend_new;
        my $head = "POST $u HTTP/1.1\r\nHost: gw.test\r\nConnection: close\r\nContent-Length: " . length($text) . "\r\n";
        while (my ($n, $v) = splice @h, 0, 2) { $head .= "$n: $v\r\n" }
        for my $piece ("$head\r\n", substr($text, 0, 3), length $text > 3 ? substr $text, 3 : '') { $c->send_bytes($piece); sleep 0.02 }
        my $r = $c->response('POST');
        $r->{backend} = [ $t->backend_new ];
        return $r;
    },
);
sub body { my ($r) = @_; ($r->backend)[0] ? ($r->backend)[0]{body} : 'nothing received: ' . $r->status . ' ' . $r->reason }

for my $way (sort keys %how) {
    my $send = sub { my ($u, $text, @h) = @_; $how{$way}->($u, $text, @h ? @h : ('Content-Type' => $type)) };
    my $auth = [ 'Content-Type' => $type, Authorization => "Bearer $token" ];
    my $r = $send->('/tok', "a=1&id_token=$token&b=%20x+y");
    passes($r, "$way: a form token");
    is(body($r), 'a=1&b=%20x+y', "$way: it is removed, the rest is untouched");
    is($r->sent('Content-Length') // 'chunked', $r->sent('Transfer-Encoding') ? 'chunked' : 12, "$way: with a right length");
    is(body($send->('/tok', "id_token=$token")), '', "$way: a form that was only the token");
    is(body($send->('/tokkeep', "a=1&id_token=$token")), "a=1&id_token=$token", "$way: M2MForwardToken On");
    denies($send->('/tok', 'a=1'), 401, 'token_missing', "$way: no token in the form");
    denies($send->('/tok', ''), 401, 'token_missing', "$way: an empty body") if $way ne 'in pieces';
    denies($send->('/tok', "id_token=$token&id_token=$token"), 400, 'token_multiple', "$way: two tokens in the form");
    denies($send->('/tok', "id_token=$token&%69d_token=x"), 400, 'token_multiple', "$way: one of them encoded");
    denies($send->('/tok', 'id_token=x.y.z'), 401, 'token_malformed', "$way: rubbish in the form");
    denies($send->("/tokmany?id_token=$token", "id_token=$token"), 400, 'token_multiple', "$way: form and query");
    is(body($send->('/tokmany', 'a=1')), 'a=1', "$way: bypass, no token in the form");
    $r = $send->('/pub', 'a=1&client_id=evil&b=2&Client.Id=evil&%63lient-id[]=evil;scope=evil&c', @$auth);
    is(body($r), 'client_id=app%201&scope=r%26w&a=1&b=2&c', "$way: claims into a form");
    is(body($send->('/pub', '', @$auth)), 'client_id=app%201&scope=r%26w', "$way: an empty form") if $way ne 'in pieces';
    is(body($send->('/bypass', 'a=1&client_id=evil&CLIENT_ID=evil')), 'a=1', "$way: bypass without a token: the name is taken out");
    is(body($send->('/shadow', 'a=1&client_id=evil')), 'a=1', "$way: Shadow without a token: the name is taken out");
    for my $where ('/pub/off', '/pub/replaced') {
        for my $as ($type, undef) {
            my @as = (defined $as ? ('Content-Type' => $as) : (), Authorization => "Bearer $token");
            is(body($send->($where, 'a=1&client_id=evil&b=2&Client.Id[]=evil;scope=evil&c', @as)), 'a=1&b=2&c',
               "$way: $where: names of the list around it are taken out of " . ($as // 'a body without a type'));
            is(body($send->($where, "a\0=1&b=\xff", @as)), "a\0=1&b=\xff", "$way: $where: and without them nothing is touched");
        }
    }
    is(body($send->('/both', "client_id=evil&id_token=$token&x=y")), 'client_id=app%201&x=y', "$way: token and claim in one form");
    is(body($send->('/rewrite', "x=y&id_token=$token")), 'client_id=app%201&x=y', "$way: through a per-directory RewriteRule [P]");
    is(body($send->('/redirect', "x=y&id_token=$token")), 'client_id=app%201&x=y', "$way: through an internal redirect");
    is(body($send->('/rule', 'who=me&x=1', @$auth)), 'who=me&x=1', "$way: a rule on a form parameter");
    denies($send->('/rule', 'who=you', @$auth), 403, 'rule_denied', "$way: that is not content");
    denies($send->('/rule', 'who=me&who=you', @$auth), 403, 'rule_error', "$way: or gets two answers");
    for my $size (0, 1, 8191, 8192, 65536, 300_000) {
        my $bytes = join '', map { chr($_ * 7 % 256) } 1 .. $size;
        next if $way ne 'Content-Length' && ($size == 0 || $size > 70000);
        $r = $send->('/plain', $bytes, 'Content-Type' => 'application/octet-stream', Authorization => "Bearer $token");
        ok($r->reached && ($r->backend)[0]{body} eq $bytes, "$way: $size bytes of another type arrive as they are");
        $r = $send->('/others', $bytes, 'Content-Type' => 'application/json', Authorization => "Bearer $token");
        ok($r->reached && ($r->backend)[0]{body} eq $bytes, "$way: $size bytes of JSON arrive as they are where they may (M2MFormOtherBodies)");
    }
}

# --- every spelling, and what is none ---

for my $where ([ '/pub', 'client_id=app%201&scope=r%26w&' ], [ '/pub/off', '' ], [ '/bypass', '' ]) {
    my ($url, $ours) = @$where;
    my @h = ('Content-Type' => $type, $ours ? (Authorization => "Bearer $token") : ());
    for my $name (M2MGW::Names::alike('form')) {
        is(body($t->post($url, "a=1&$name=evil&b=2", headers => \@h)), "${ours}a=1&b=2", "$url: $name is taken out");
    }
    my $others = join '&', map { "$_=1" } M2MGW::Names::others('form');
    is(body($t->post($url, $others, headers => \@h)), $ours . $others, "$url: other names stay");
}

# --- limits and types ---

my @form = ('Content-Type' => $type);
my @auth = (Authorization => "Bearer $token");
my $fill = 'x' x (4000 - length("id_token=$token&a="));
is(body($t->post('/both', "id_token=$token&a=$fill", headers => \@form)), "client_id=app%201&a=$fill", 'a form at the limit');
denies($t->post('/both', "id_token=$token&a=x$fill", headers => \@form), 413, 'body_too_large', 'one byte more');
denies($t->request('POST', '/both', headers => [ @form, 'Transfer-Encoding' => 'chunked' ], body => chunks(500, "id_token=$token&a=x$fill")),
       413, 'body_too_large', 'one byte more, chunked');
my $r = $t->raw("POST /both HTTP/1.1\r\nHost: a\r\nContent-Type: $type\r\nContent-Length: 999999999\r\n\r\na=1", n => 1);
ok($r && $r->status == 413 && !$r->reached, 'a length over the limit is refused at once');
for my $size (65536, 65537) {
    $r = $t->post('/pub', 'a=' . 'x' x ($size - 2), headers => [ @form, @auth ]);
    $size == 65536 ? passes($r, 'the default limit is 65536') : denies($r, 413, 'body_too_large', 'and not one more');
}
denies($t->post('/pub', "--b\r\n", headers => [ 'Content-Type' => 'multipart/form-data; boundary=b', @auth ]), 415, 'body_unsupported', 'multipart where a form target is');
denies($t->post('/pub', 'a=1', headers => [ @form, 'Content-Encoding' => 'gzip', @auth ]), 415, 'body_unsupported', 'a content-encoded form');
denies($t->post('/pub', 'a=1', headers => [ 'Content-Type' => 'MULTIPART/Form-Data', @auth ]), 415, 'body_unsupported', 'multipart in capitals');
passes($t->post('/plain', "--b\r\n", headers => [ 'Content-Type' => 'multipart/form-data; boundary=b', @auth ]), 'control: where none is, it passes');
for my $type ('APPLICATION/X-WWW-Form-URLencoded', 'application/x-www-form-urlencoded; charset=UTF-8', 'application/x-www-form-urlencoded;x', ' application/x-www-form-urlencoded') {
    is(body($t->post('/pub', 'client_id=evil&a=1', headers => [ 'Content-Type' => $type, @auth ])), 'client_id=app%201&scope=r%26w&a=1', "a form by the name of \"$type\"");
}
for my $type ('application/x-www-form-urlencodedx', 'text/plain, application/x-www-form-urlencoded', 'application/x-www-form-urlencoded; charset=utf-7',
              'application/x-www-form-urlencoded; charset=utf-16') {
    denies($t->post('/pub', 'client_id=evil', headers => [ 'Content-Type' => $type, @auth ]), 415, 'body_unsupported', "a form to some and not to others: $type");
}
for my $type ('text/plain', 'application/json') {
    denies($t->post('/pub', 'client_id=evil', headers => [ 'Content-Type' => $type, @auth ]), 415, 'body_unsupported', "$type may pass for a form");
}
denies($t->post('/pub', 'client_id=evil', headers => [ @auth ]), 415, 'body_unsupported', 'and so may a body without a type');
denies($t->post('/tok', "id_token=$token", headers => [ 'Content-Type' => 'text/plain' ]), 401, 'token_missing', 'a token in another type is none');
denies($t->post('/tok', "id_token=$token"), 400, 'token_multiple', 'in a body without a type it is one too many');
denies($t->post('/tokmany', 'a=1&ID.token=evil', headers => [ @auth ]), 400, 'token_multiple', 'beside the one in the header, too');
denies($t->post('/tokmany', 'id_token=evil'), 400, 'token_multiple', 'and under bypass');
denies($t->post('/tokmany', "id_token=evil", headers => [ 'Content-Type' => ';', @auth ]), 400, 'token_multiple', 'likewise where the type is none');
is(body($t->post('/tokmany', "a=1\0", headers => [ @auth ])), "a=1\0", 'control: a body without a type and without a token');
for my $body ([ 'application/json', '{"client_id":"x"}' ], [ 'multipart/form-data; boundary=b', "--b--\r\n" ], [ 'text/plain', 'client_id=x' ]) {
    is(body($t->post('/pub/off', $body->[1], headers => [ 'Content-Type' => $body->[0] ])), $body->[1], "an open section: $body->[0] passes as it is");
}
# names of a list around the section, in bodies that they cannot be taken out of
sub parts { my ($parameters) = @_; "--b\r\nContent-Disposition: form-data; $parameters\r\n\r\nevil\r\n--b--\r\n" }
for my $url ('/pub/off', '/pub/replaced') {
    my @multi = ('Content-Type' => 'multipart/form-data; boundary=b', @auth);
    for my $parameters ('name="client_id"', 'name=client_id', 'NAME="Client-Id"', "name='scope'", 'name*=utf-8\'\'client%5fid', 'name="client_id[]"', 'name="a"; name="scope"',
                        'name="client\\_id"; filename="x"') {
        denies($t->post($url, parts($parameters), headers => \@multi), 415, 'body_unsupported', "$url: multipart: $parameters");
    }
    denies($t->request('POST', $url, headers => [ @multi, 'Transfer-Encoding' => 'chunked' ], body => chunks(7, parts('name="client_id"'))), 415, 'body_unsupported',
           "$url: multipart in small chunks");
    denies($t->post($url, parts('name="client_id"'), headers => [ 'Content-Type' => 'Multipart/Mixed; boundary=b', @auth ]), 415, 'body_unsupported', "$url: another multipart type");
    denies($t->post($url, "\x1f\x8b", headers => [ 'Content-Type' => $_, 'Content-Encoding' => 'gzip', @auth ]), 415, 'body_unsupported', "$url: content-encoded $_")
        for $type, 'multipart/form-data; boundary=b';
    denies($t->post($url, parts('name="a"') . 'x' x 65536, headers => \@multi), 413, 'body_too_large', "$url: multipart that is too long to be searched");
    for my $parameters ('name="a"', 'name="file"; filename="client_id"', 'name="client"') {
        is(body($t->post($url, parts($parameters), headers => \@multi)), parts($parameters), "$url: control: multipart passes as it is: $parameters");
    }
    is(body($t->post($url, "\x1f\x8b", headers => [ 'Content-Type' => 'application/json', 'Content-Encoding' => 'gzip', @auth ])), "\x1f\x8b", "$url: control: JSON does, too");
}
is(body($t->post('/plain', parts('name="client_id"') . 'x' x 65536, headers => [ 'Content-Type' => 'multipart/form-data; boundary=b', @auth ])),
   parts('name="client_id"') . 'x' x 65536, 'control: where no list maps to a form nothing is searched');
denies($t->post('/pub/off', 'a=' . 'x' x 65535, headers => [ @form ]), 413, 'body_too_large', 'an open section: a form that cannot be looked through');
denies($t->post('/rule', 'a=' . 'x' x 65535, headers => [ @form, @auth ]), 413, 'body_too_large', 'a form that a rule would read');
for my $url (qw(/rule/shadow /method)) {
    my $form = 'a=' . 'x' x 65535;
    for my $auth (\@auth, []) {
        is(length(body($t->post($url, $form, headers => [ @form, @$auth ]))), length $form, "Shadow: it passes whole: $url");
        is(length(body($t->request('POST', $url, headers => [ @form, @$auth, 'Transfer-Encoding' => 'chunked' ], body => chunks(5000, $form)))),
           length $form, 'and chunked');
    }
}
denies($t->post('/pub/off', 'a=1', headers => [ 'Content-Type' => "$type; charset=utf-7" ]), 415, 'body_unsupported', 'or in a character set that respells names');
passes($t->get('/pub/off'), 'control: an open section without a body');
for my $m (qw(PUT PATCH DELETE)) {
    is(body($t->request($m, '/both', body => "id_token=$token&a=1", headers => \@form)), 'client_id=app%201&a=1', "$m with a form");
}
denies($t->get('/tok'), 401, 'token_missing', 'GET without a body');
is(body($t->get('/pub', token => $token)), '', 'GET gets no body');
denies($t->get('/rule', token => $token), 403, 'rule_denied', 'a form parameter of a GET is null');
my ($torn) = $t->raw("POST /both HTTP/1.1\r\nHost: a\r\nContent-Type: $type\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", n => 1);
ok($torn && $torn->status =~ /\A4/ && !$torn->reached, 'a broken chunk reaches nothing');
$r = $t->post('/cgi/cat.cgi', "x=y&id_token=$token", headers => \@form);
is($r->body, '21|client_id=app%201&x=y', 'a CGI program reads the rewritten body, with its length');

# --- the next request of a connection starts where the body ended ---

my @two = $t->raw("POST /both HTTP/1.1\r\nHost: a\r\nContent-Type: $type\r\nContent-Length: " . length("id_token=$token&a=1") . "\r\n\r\nid_token=$token&a=1"
                  . "POST /both HTTP/1.1\r\nHost: a\r\nContent-Type: $type\r\nContent-Length: 3\r\nConnection: close\r\n\r\na=2");
is(join(' ', map { $_->status } @two), '200 401', 'two forms on one connection');
@two = $t->raw("POST /both HTTP/1.1\r\nHost: a\r\nContent-Type: $type\r\nContent-Length: 40\r\n\r\n" . 'GET /x HTTP/1.1' . "\r\nHost: a\r\n\r\n" . 'x' x 12
               . "GET /tok HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
is(join(' ', map { $_->status } @two), '401 401', 'a refused body is not a request');
$t->expect_log(qr/\[m2mgw:warn\].*(?:Shadow|rule_error by rule who)/, qr/AH01587|AH01595|AH10508|AH00134/);
$t->finish;
