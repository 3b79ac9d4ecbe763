#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# Where a token is looked for, what counts as none, one or several, what of it the backend
# sees, and that the shape of a token is judged strictly before anything else.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use M2MGW::Test;

my $t = M2MGW::Test->start(config => <<'CONF', files => { 'k.json' => jwk_json('oct', kid => 'K') });
LimitRequestFieldSize 2097152
LimitRequestLine 2097152
ProxyPass / http://@BACKEND@/
M2MJwks file:@ROOT@/k.json
<Location /x>
    M2MToken header:X-Token
</Location>
<Location /q>
    M2MToken query:id_token
</Location>
<Location /c>
    M2MToken cookie:tok
</Location>
<Location /all>
    M2MToken header:Authorization header:X-Token query:id_token cookie:tok
</Location>
<Location /keep>
    M2MToken header:Authorization query:id_token cookie:tok
    M2MForwardToken On
    # mod_proxy writes the URL it connects to, of which the token is a part here
    LogLevel proxy:info
</Location>
<Location /drop>
    M2MToken header:Authorization header:X-Token query:id_token cookie:tok
    M2MForwardToken Off
</Location>
<Location /bypass>
    M2MToken header:Authorization query:id_token cookie:tok
    M2MBypassEmptyToken On
</Location>
<Location /off>
    M2MEngine Off
</Location>
CONF

my $good = mint('oct', { sub => 'a', client_id => 'app' });
my $other = mint('oct', { sub => 'b' });
# two characters of the signature that say something else; the last one ends in two bits that are zero
my $bad = substr($good, 0, -2) . (substr($good, -2) eq 'AA' ? 'EE' : 'AA');
$t->secret($bad =~ /([^.]*)\z/);

# --- the Authorization header ---

my $r = $t->get('/', token => $good);
passes($r, 'Bearer');
is($r->sent('Authorization'), "Bearer $good", 'a header token is forwarded by default');
for my $scheme (qw(bearer BEARER bEaReR)) {
    passes($t->get('/', headers => [ Authorization => "$scheme $good" ]), "scheme $scheme");
}
passes($t->get('/', headers => [ Authorization => "Bearer   $good" ]), 'several blanks after Bearer');
passes($t->get('/', headers => [ authorization => "Bearer $good  " ]), 'blanks after the token');
denies($t->get('/'), 401, 'token_missing', 'no token');
denies($t->get('/', headers => [ Authorization => $_->[0] ]), 401, 'token_missing', $_->[1]) for
    [ '', 'empty Authorization' ], [ 'Bearer', 'a scheme alone' ], [ 'Bearer ', 'Bearer and a blank' ],
    [ 'Basic dXNlcjpwYXNz', 'Basic' ], [ "Token $good", 'another scheme' ],
    [ 'DPoP', 'DPoP alone' ], [ "Basic $good", 'a token under Basic' ];
denies($t->get('/', headers => [ Authorization => "DPoP $good" ]), 401, 'proof_invalid',
       'DPoP, without a binding');
denies($t->get('/', headers => [ Authorization => $_->[0] ]), 401, 'token_malformed', $_->[1]) for
    [ "Bearer$good", 'no blank after Bearer' ], [ "BearerX $good", 'a longer scheme' ], [ "Foo dpop $good", 'another scheme in front' ],
    [ "Bearer\xa0$good", 'a blank that is none' ], [ "Foo Bearer $good", 'a token behind another scheme' ];
denies($t->get('/', headers => [ 'X-Token' => $good ]), 401, 'token_missing', 'a header not asked');
denies($t->get("/?id_token=$good"), 401, 'token_missing', 'a query parameter not asked for');
reached_nothing($t->get('/', headers => [ Authorization => $good ]), 'a bare token in Authorization');

# --- other places ---

passes($t->get('/x', headers => [ 'X-Token' => $good ]), 'a bare token in another header');
passes($t->get('/x', headers => [ 'X-Token' => "Bearer $good" ]), 'Bearer in another header');
passes($t->get('/x', headers => [ 'x-TOKEN' => $good ]), 'header names in any case');
denies($t->get('/x', token => $good), 401, 'token_missing', 'Authorization where X-Token is asked');
denies($t->get('/x', headers => [ 'X-Token' => '' ]), 401, 'token_missing', 'an empty X-Token');

$r = $t->get("/q?a=1&id_token=$good&b=%20x");
passes($r, 'a query token');
is($r->query, 'a=1&b=%20x', 'a query token is removed, the rest is untouched');
is($t->get("/q?id_token=$good")->query, '', 'a query that was only the token is gone');
passes($t->get("/q?%69d_token=$good"), 'a percent-encoded name counts');
passes($t->get('/q?id_token=' . ($good =~ s/\./%2E/gr)), 'a percent-encoded value is decoded');
denies($t->get('/q?id_token='), 401, 'token_missing', 'an empty query token');
denies($t->get('/q?id_token'), 401, 'token_missing', 'a query name without a value');
denies($t->get('/q?xid_token=x.y.z'), 401, 'token_missing', 'a longer name is another name');
denies($t->get('/q?id_token=Bearer%20' . $good), 401, 'token_malformed',
       'no scheme is stripped in a query');
denies($t->get("/q?id_token=$good%20"), 401, 'token_malformed', 'a blank after a query token');
denies($t->get("/q?id_token=$good%00"), 401, 'token_malformed', 'a NUL after a query token');

$r = $t->get('/c', headers => [ Cookie => "a=1; tok=$good; b=2" ]);
passes($r, 'a cookie token');
like($r->sent('Cookie'), qr/\Aa=1; ?b=2\z/, 'a cookie token is removed, the others stay');
is(scalar($t->get('/c', headers => [ Cookie => "tok=$good" ])->sent('Cookie')), undef,
   'a Cookie header that was only the token is gone');
denies($t->get('/c', headers => [ Cookie => "xtok=$good" ]), 401, 'token_missing', 'another cookie');
denies($t->get('/c', headers => [ Cookie => 'tok=' ]), 401, 'token_missing', 'an empty cookie');

passes($t->get('/c', headers => [ Cookie => 'a=1', Cookie => "tok=$good" ]), 'in the second Cookie header');
passes($t->get('/c', headers => [ Cookie => "a=1,2, x; tok=$good" ]), 'commas in other cookies');

passes($t->get('/all', @$_), "one of four places: $_->[0]") for
    [ token => $good ], [ headers => [ 'X-Token' => $good ] ],
    [ headers => [ Cookie => "tok=$good" ] ];
passes($t->get("/all?id_token=$good"), 'one of four places: query');

# --- more than one ---

my @twice = (
    [ '/', [ Authorization => "Bearer $good", Authorization => "Bearer $good" ], 'the same twice' ],
    [ '/', [ Authorization => "Bearer $good", Authorization => "Bearer $other" ], 'two headers' ],
    [ '/', [ Authorization => "Bearer $good, Bearer $other" ], 'two in one header' ],
    [ '/x', [ 'X-Token' => $good, 'X-Token' => $other ], 'two X-Token' ],
    [ '/c', [ Cookie => "tok=$good; tok=$other" ], 'two cookies' ],
    [ '/c', [ Cookie => "tok=$good", Cookie => "tok=$other" ], 'two Cookie headers' ],
    [ "/q?id_token=$good&id_token=$other", [], 'two query parameters' ],
    [ "/q?id_token=$good&%69%64_token=$bad", [], 'one of two names encoded' ],
    [ "/q?id_token=$good&id_token=$good", [], 'the same query parameter twice' ],
    [ "/all?id_token=$good", [ Authorization => "Bearer $good" ], 'query and Authorization' ],
    [ '/all', [ Cookie => "tok=$good", 'X-Token' => $good ], 'cookie and header' ],
    [ "/bypass?id_token=$good", [ Authorization => "Bearer $good" ], 'also with bypass' ],
);
denies($t->get($_->[0], headers => $_->[1]), 400, 'token_multiple', $_->[2]) for @twice;
reached_nothing($t->get('/', headers => [ Authorization => "Bearer $good",
                                          Authorization => 'Basic dXNlcjpwYXNz' ]),
                'Bearer and Basic together');
reached_nothing($t->get('/', headers => [ Authorization => 'Basic dXNlcjpwYXNz',
                                          Authorization => "Bearer $good" ]),
                'Basic and Bearer together');

# --- forwarding ---

$r = $t->get("/keep?x=1&id_token=$good");
passes($r, 'M2MForwardToken On');
is($r->query, "x=1&id_token=$good", 'On keeps a query token');
is($t->get('/keep', headers => [ Cookie => "tok=$good" ])->sent('Cookie'), "tok=$good",
   'On keeps a cookie token');
$r = $t->get('/drop', token => $good);
passes($r, 'M2MForwardToken Off');
is(scalar($r->sent('Authorization')), undef, 'Off removes Authorization');
is(scalar($t->get('/drop', headers => [ 'X-Token' => $good ])->sent('X-Token')), undef,
   'Off removes X-Token');
is($t->get("/drop?a&id_token=$good&b")->query, 'a&b', 'Off removes the query token');

# --- bypass ---

$r = $t->get('/bypass');
passes($r, 'no token with bypass');
is($r->reason, 'bypass', 'its reason is bypass');
denies($t->get('/bypass', token => $bad), 401, 'signature_invalid', 'a bad token with bypass');
denies($t->get('/bypass', token => 'x'), 401, 'token_malformed', 'rubbish with bypass');
passes($t->get('/bypass', headers => [ Authorization => '' ]), 'an empty header with bypass');
passes($t->get('/bypass', token => $good), 'a good token with bypass');
passes($t->get('/off'), 'M2MEngine Off');
denies($t->get('/offx'), 401, 'token_missing', 'a neighbour of the open path');

# --- the shape of a token ---

my ($h, $p, $s) = split /\./, $good;
my $none = b64('{"alg":"none"}');
my @malformed = (
    [ "$h.$p", 'two parts' ], [ $h, 'one part' ], [ "$h.$p.$s.$s", 'four parts' ],
    [ "$h.$p.$s.$s.$s", 'five parts, a JWE' ], [ "$h.$p.", 'an empty signature' ],
    [ "$h..$s", 'an empty payload' ], [ ".$p.$s", 'an empty header' ], [ '..', 'three empty parts' ],
    [ '.', 'a dot' ], [ "$h.$p.$s.", 'a dot at the end' ], [ ".$h.$p.$s", 'a dot at the start' ],
    [ "$h.$p.$s=", 'padding on the signature' ], [ "$h.$p=.$s", 'padding on the payload' ],
    [ "$h=.$p.$s", 'padding on the header' ], [ "$h.$p.$s==", 'two paddings' ],
    [ "$h.$p. $s", 'a blank inside' ], [ "$h.$p\t.$s", 'a tab inside' ],
    [ "$h.$p." . ($s =~ tr{-_}{+/}r) . '+/A', 'the other base64 alphabet' ],
    [ "$h.$p.${s}AA", 'two characters too many' ], [ '!!!.???.***', 'no base64 at all' ],
    [ "\xc3\xa9$h.$p.$s", 'UTF-8 in front' ],
    [ "\"$good\"", 'quotes' ], [ "$h,$p,$s", 'commas for dots' ], [ '{}', 'JSON' ],
    [ 'A' x 20000, '20,000 bytes without a dot' ], [ '.' x 3000, '3,000 dots' ],
);
for my $m (@malformed) {
    my $r = $t->get('/x', headers => [ 'X-Token' => $m->[0] ]);
    ok($r->status =~ /\A40[01]\z/ && !$r->reached && $r->reason =~ /\Atoken_m(?:alformed|ultiple)\z/,
       "denies token_malformed: $m->[1]") or diag(M2MGW::Test::describe($r));
}
passes($t->get('/x', headers => [ 'X-Token' => $good ]), 'control: the token itself');

# the last character of 43 holds two bits that must be zero
my $last = substr $s, -1;
my @alphabet = ('A' .. 'Z', 'a' .. 'z', 0 .. 9, '-', '_');
my ($at) = grep { $alphabet[$_] eq $last } 0 .. 63;
for my $bits (1 .. 3) {
    my $twin = substr($s, 0, -1) . $alphabet[($at & ~3) | $bits];
    denies($t->get('/x', headers => [ 'X-Token' => "$h.$p.$twin" ]), 401, 'token_malformed',
           "non-zero trailing bits ($bits) of the signature");
}

# --- headers and payloads that are no proper JSON ---

my $payload = '{"sub":"a","exp":' . (time + 600) . '}';
sub raw { my ($htext, $ptext) = @_; mint_raw('HS256', key('oct'), $htext, $ptext // $payload) }
passes($t->get('/', token => raw('{"alg":"HS256"}')), 'control: a plain header');
passes($t->get('/', token => raw(qq( { "alg" :\r\n\t"HS256" } ))), 'control: white space in JSON');
passes($t->get('/', token => raw('{"alg":"\u0048S256"}')), 'control: an escape in the value of alg');
passes($t->get('/', token => raw('{"alg":"HS256","x":[1,{"y":null}]}')), 'control: unknown members');
my @headers = (
    [ '{"alg":"HS256"', 'no closing brace' ], [ '{"alg":"HS256"}x', 'something behind' ],
    [ '{"alg":"HS256"}{"alg":"none"}', 'two objects' ], [ '["HS256"]', 'an array' ],
    [ '"HS256"', 'a string' ], [ 'null', 'null' ], [ '', 'nothing' ], [ '{}', 'no alg' ],
    [ '{"alg":"HS256","alg":"none"}', 'duplicate alg' ], [ '{"alg":"none","alg":"HS256"}', 'reversed' ],
    [ '{"alg":"HS256","\u0061lg":"HS256"}', 'duplicate alg by escape' ],
    [ '{"alg":"HS256","kid":"K","kid":"L"}', 'duplicate kid' ],
    [ '{"alg":["HS256"]}', 'alg an array' ], [ '{"alg":1}', 'alg a number' ], [ '{"alg":null}', 'alg null' ],
    [ '{"alg":"HS256","kid":1}', 'kid a number' ], [ '{"alg":"HS256","kid":null}', 'kid null' ],
    [ '{"alg":"HS256","typ":{}}', 'typ an object' ],
    [ "{'alg':'HS256'}", 'single quotes' ], [ '{"alg":"HS256",}', 'a trailing comma' ],
    [ '{alg:"HS256"}', 'no quotes' ], [ '{"alg":"HS256"/**/}', 'a comment' ],
    [ "{\"alg\":\"HS256\",\"x\":\"\0\"}", 'a NUL byte' ], [ '{"alg":"HS256\u0000"}', 'an escaped NUL in alg' ],
    [ "\xef\xbb\xbf{\"alg\":\"HS256\"}", 'a byte order mark' ],
    [ "{\"alg\":\"HS256\",\"x\":\"\xff\"}", 'invalid UTF-8' ],
    [ "{\"alg\":\"HS256\",\"x\":\"\xc0\xaf\"}", 'overlong UTF-8' ],
    [ "{\"alg\":\"HS256\",\"x\":\"\xed\xa0\x80\"}", 'a surrogate in UTF-8' ],
    [ '{"alg":"HS256","x":"\ud800"}', 'half an escaped surrogate pair' ],
    [ '{"alg":"HS256","x":' . '[' x 40 . ']' x 40 . '}', '40 levels' ],
    [ '{"alg":"HS256","x":' . '{"a":' x 40 . '1' . '}' x 40 . '}', '40 levels of objects' ],
    [ '{"alg":"HS256",' . join(',', map { qq("m$_":1) } 1 .. 300) . '}', '300 members' ],
    [ '{"alg":"HS256","x":1e400}', 'a number beyond range' ], [ '{"alg":"HS256","x":NaN}', 'NaN' ],
    [ '{"alg":"HS256","x":Infinity}', 'Infinity' ], [ '{"alg":"HS256","x":01}', 'a leading zero' ],
);
for my $c (@headers) {
    my $r = $t->get('/', token => raw($c->[0]));
    ok($r->status == 401 && !$r->reached && $r->reason =~ /\A(?:token_malformed|alg_not_allowed)\z/,
       "denies a header with: $c->[1]") or diag(M2MGW::Test::describe($r));
}
my $exp = time + 600;
my @payloads = (
    [ '[]', 'an array' ], [ '"a"', 'a string' ], [ '1', 'a number' ], [ 'null', 'null' ], [ '{', 'half' ],
    [ "{\"exp\":$exp,\"exp\":$exp}", 'duplicate exp' ], [ "{\"exp\":$exp,\"sub\":\"a\",\"sub\":\"b\"}", 'duplicate sub' ],
    [ "{\"exp\":$exp,\"o\":{\"a\":1,\"a\":2}}", 'a duplicate deep inside' ],
    [ "{\"exp\":$exp,\"\\u0065xp\":1}", 'duplicate exp by escape' ],
    [ "{\"exp\":$exp} ,", 'a comma behind' ], [ "{\"exp\":$exp}\0", 'a NUL behind' ],
    [ "{\"exp\":$exp,\"x\":\"\xfe\"}", 'invalid UTF-8' ],
    [ "{\"exp\":$exp,\"x\":" . '[' x 100 . ']' x 100 . '}', '100 levels' ],
    [ "{\"exp\":$exp,\"x\":" . '[' x 6000, '6,000 open brackets' ],
    [ "{\"exp\":$exp," . join(',', map { qq("m$_":1) } 1 .. 400) . '}', '400 members' ],
    [ "{\"exp\":$exp,\"x\":1e999}", '1e999' ], [ "{\"exp\":$exp,\"x\":-Infinity}", '-Infinity' ],
    [ 'a=b', 'a form' ], [ '<a/>', 'XML' ], [ '   ', 'blanks' ],
);
for my $c (@payloads) {
    denies($t->get('/', token => raw('{"alg":"HS256"}', $c->[0])), 401, 'token_malformed',
           "a payload with: $c->[1]");
}
my $deep = '[' x 14 . ']' x 14;
passes($t->get('/', token => raw('{"alg":"HS256"}', "{\"exp\":$exp,\"x\":$deep}")), 'control: 15 levels');

# --- size ---

for my $size (16384, 16385, 60000, 1048576) {
    my $have = length raw('{"alg":"HS256"}', "{\"exp\":$exp,\"x\":\"\"}");
    my $fill = int(($size - $have) * 3 / 4) - 3;
    my $token = raw('{"alg":"HS256"}', "{\"exp\":$exp,\"x\":\"" . 'x' x $fill . '"}');
    if ($size == 16384) {
        cmp_ok(length $token, '<=', 16384, 'a token just below the limit');
        passes($t->get('/', token => $token), 'control: it passes');
        next;
    }
    $token = raw('{"alg":"HS256"}', "{\"exp\":$exp,\"x\":\"" . 'x' x ($fill + 20) . '"}');
    denies($t->get('/', token => $token), 401, 'token_malformed', "$size bytes in a header");
    denies($t->get("/q?id_token=$token"), 401, 'token_malformed', "$size bytes in a query");
}

# --- where a query token could be written down ---

$r = $t->get("/q?id_token=$good", headers => [ Referer => "http://gw.test/page?a=1&%69d_token=$good&b" ]);
passes($r, 'a Referer with a token');
is($r->sent('Referer'), 'http://gw.test/page?a=1&%69d_token=[redacted]&b', 'arrives without it');
$t->raw("GET /q?id_token=$good\r\n\r\n", n => 1);
$t->raw("GET /q?id_token=$good&id_token=$good HTTP/1.1\r\n\r\n", n => 1);
$t->raw("GET /q?id_token=$good HTTP/9.1\r\nHost: a\r\n\r\n", n => 1);
$t->raw("GET http://gw.test/q?x=?&id_token=$good HTTP/1.1\r\nHost: a\r\nBad\x01Header\r\n\r\n", n => 1);
$t->raw("GET http://user:pass\@gw.test/q?a=1&id_token=$good&c HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", n => 1);
$t->raw("FOO /nix?id_token=$good HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", n => 1);

my $log = $t->access_log;
unlike($log, qr/id_token=(?!\[redacted\]|[ &]|Bearer|x\.y)/, 'no line of the access log holds one');
like($log, qr/id_token=\[redacted\]/, 'query tokens are masked in the access log');
like($log, qr/a=1&id_token=\[redacted\]&b=%20x/, 'and nothing else is');
like($log, qr{"GET http://user:[^"]*/q\?a=1&id_token=\[redacted\]&c HTTP}, 'of a line that holds a password, too');
$t->expect_log(qr/AH00135: Invalid method|AH10026|AH02429/);
$t->finish;
