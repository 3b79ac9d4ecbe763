#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# M2MDecisionLog: one line for each decision that is asked for, valid JSON or text whatever a
# client sends, with what is known and nothing else; and M2MTraceParent, whose id is in it.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use M2MGW::Test;
use Time::HiRes qw(sleep);

my $policy = <<'CONF';
    M2MJwks file:@ROOT@/k.json
    M2MAudience api
    M2MIssuer https://issuer.test/
    M2MTokenType at+jwt JWT
    M2MParameter role Token:role
    M2MRule only "$role = 'no'" ifTrue=DENY
CONF
my $t = M2MGW::Test->start(files => { 'k.json' => jwk_json('oct', kid => 'K1'), 'htdocs/err.html' => 'document' }, config => <<"CONF");
M2MDecisionLog logs/refused.log
<VirtualHost 127.0.0.1:\@PORT\@>
    ServerName gw.test
    <Location /r>
    $policy
    </Location>
    <Location /r/doc>
        ErrorDocument 401 /err.html
    </Location>
    <Location /r/shadow>
        M2MEngine Shadow
    </Location>
    <Location /r/require>
        Require ip 192.0.2.1
    </Location>
    <Location /r/trace>
        M2MTraceParent Generate
    </Location>
    <Location /r/propagate>
        M2MTraceParent Propagate
    </Location>
    RewriteEngine On
    RewriteRule ^/old(.*) /r\$1 [PT]
    ProxyPass /err.html !
    ProxyPass / http://\@BACKEND\@/
</VirtualHost>
<VirtualHost 127.0.0.1:\@PORT\@>
    ServerName all.test
    M2MDecisionLog logs/all.log what=all format=text
    <Location /r>
    $policy
    </Location>
    ProxyPass / http://\@BACKEND\@/
</VirtualHost>
<VirtualHost 127.0.0.1:\@PORT\@>
    ServerName piped.test
    M2MDecisionLog "|\$/bin/cat >>\@ROOT\@/logs/piped.log" what=all
    <Location /r>
    $policy
    </Location>
    ProxyPass / http://\@BACKEND\@/
</VirtualHost>
<VirtualHost 127.0.0.1:\@PORT\@>
    ServerName off.test
    M2MDecisionLog Off
    <Location /r>
    $policy
    </Location>
    ProxyPass / http://\@BACKEND\@/
</VirtualHost>
CONF

my %at;
sub lines {
    my ($name, $wanted) = @_;
    my $file = "$t->{root}/logs/$name.log";
    my $new = '';
    $t->let_finish;
    M2MGW::Test::before_long(sub {
        my $all = -e $file ? slurp($file) : '';
        $new = substr $all, $at{$name} // 0;
        return ($new =~ tr/\n//) >= $wanted;
    });
    $at{$name} += length $new;
    return split /\n/, $new;
}
sub one {
    my ($name) = @_;
    my @l = lines('refused', 1);
    is(scalar @l, 1, "$name: one line") or diag(@l);
    my $j = eval { JSON::PP->new->utf8->decode($l[0] // '') };
    ok($j, "$name: is JSON") or diag($l[0]);
    return $j // {};
}
sub tok { mint('oct', { aud => 'api', iss => 'https://issuer.test/', client_id => 'app', @_ }, { kid => 'K1' }) }

# --- a line, member by member ---

my $r = $t->get('/old/x%20y/%C3%A4?secret=query&x=1', token => tok(role => 'no'), headers => [ 'X-Secret' => 'header' ]);
my $j = one('a rule');
like($j->{time}, qr/\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z\z/, 'time: RFC 3339');
is($j->{request_id}, $r->header('X-Ca-Request-Id'), 'request_id');
is($j->{vhost}, 'gw.test', 'vhost');
like($j->{section}, qr{\A<Location /r> \(line \d+ of .*suite\.conf\)\z}, 'section: file and line');
is($j->{method} . ' ' . $j->{path}, "GET /old/x y/\x{e4}", "method and path: the client's own, decoded, no query");
is_deeply([ @$j{qw(status decision reason code rule kid alg iss client address)} ],
    [ 403, 'deny', 'rule_denied', 'A403AC', 'only', 'K1', 'HS256', 'https://issuer.test/', 'app', '127.0.0.1' ], 'the other members') or diag explain $j;
like($j->{detail}, qr/denied by rule only/, 'detail');
like(JSON::PP->new->canonical->encode($j), qr/"duration_us":\d+[,}].*"status":403[,}]/, 'status and duration_us are integers');
ok(!exists $j->{$_}, "$_ is not known and absent") for qw(trace_id operation shadow);
shows_no_token(JSON::PP->new->encode($j), 'nothing of the token');
unlike(JSON::PP->new->encode($j), qr/secret|header/, 'nothing else of the request');

# --- what is known only of a verified token ---

$t->get('/r/x', token => mint('oct#2', { client_id => 'evil', iss => 'https://issuer.test/' }, { kid => 'K1' }));
$j = one('a bad signature');
is_deeply([ @$j{qw(reason kid alg iss client)} ], [ 'signature_invalid', (undef) x 4 ], 'says nothing of what the token says');
$t->get('/r/x');
is(one('no token')->{reason}, 'token_missing', 'no token');
# the values of a mismatch, and what would do
for my $row ([ 'audience_mismatch', tok(aud => [ "other\n", 'third' ]), qr/aud is \["other\\n", ?"third"\]; accepted: "api"/ ],
             [ 'issuer_mismatch', tok(iss => 'https://evil.test/"'), qr{iss is "https://evil\.test/\\""; accepted: "https://issuer\.test/"} ],
             [ 'typ_mismatch', mint('oct', { aud => 'api' }, { kid => 'K1', typ => 'logout+jwt' }), qr{typ is "logout\+jwt"; accepted: "at\+jwt", "JWT"} ],
             [ 'kid_unknown', mint('oct', { aud => 'api' }, { kid => "K\n9" }), qr{kid is "K\\x0a9", which is not in the key set} ],
             [ 'alg_not_allowed', mint_raw('HS256', key('oct'), '{"alg":"HS\n999","kid":"K1"}', '{}'), qr{alg is "HS\\x0a999", and there is no} ]) {
    my ($reason, $token, $sentence) = @$row;
    $t->get('/r/x', token => $token);
    my $j = one($reason);
    is($j->{reason}, $reason, "$reason");
    like($j->{detail}, $sentence, "$reason: value found and values accepted");
    unlike(slurp("$t->{root}/logs/error.log"), qr/^(?:other|9"|999)/m, "$reason: no line of its own in the error log");
}

# --- one line a request, whatever becomes of it ---

$r = $t->get('/r/doc/x');
is($r->body, 'document', 'control: a document');
$j = one('a refusal with a document');
is("$j->{status} $j->{path}", '401 /r/doc/x', 'is a line about the request');
passes($t->get('/r/shadow/x'), 'Shadow');
$j = one('Shadow');
is_deeply([ @$j{qw(status decision reason)}, $j->{shadow} ? 1 : 0 ], [ 200, 'deny', 'token_missing', 1 ], 'what it would have said');
is($t->get('/r/require/x', token => tok())->reason, 'ok', "httpd's own Require");
$j = one('require_denied');
is_deeply([ @$j{qw(status decision reason client)} ], [ 403, 'deny', 'require_denied', 'app' ], 'is a refusal');
ok(!exists $j->{code}, 'without a code of ours');
passes($t->get('/r/x', token => tok()), 'control: a pass');
is(scalar(lines('refused', 0)), 0, 'a pass has no line at what=refused');

# --- bytes that do not belong into a log ---

for my $odd ("/r/%0a%0d%1b[31m", '/r/%ff%fe', '/r/%22%5c', '/r/%e2%80%ae', '/r/' . '%c3%a4' x 400, '/r/%00', '/r/%c2%85x') {
    my ($raw) = $t->raw("GET $odd HTTP/1.1\r\nHost: gw.test\r\nConnection: close\r\n\r\n", n => 1);
    next if !$raw || $raw->status == 404; # httpd's own answer
    my @l = lines('refused', $raw->reason eq '' ? 0 : 1);
    next if !@l && $raw->reason eq '';
    is(scalar @l, 1, "$odd: one line");
    unlike($l[0] // '', qr/[\x00-\x1f\x7f]|\xc2[\x80-\x9f]/, 'without control bytes');
    my $j = eval { JSON::PP->new->utf8->decode($l[0]) };
    ok($j, 'valid JSON') or diag($l[0]);
    utf8::encode(my $path = $j->{path} // '');
    cmp_ok(length $path, '<=', 256, 'a path of 256 bytes at most');
}

# --- text, everything ---

passes($t->get('/r/x?q=1', host => 'all.test', token => tok()), 'what=all');
my ($line) = lines('all', 1);
like($line, qr{\Atime=\S+ request_id=\S+ vhost=all\.test section="<Location /r> \(line \d+ of [^"]+\)" method=GET path=/r/x status=200 decision=allow reason=ok kid=K1 alg=HS256 iss=https://issuer\.test/ client=app address=127\.0\.0\.1 duration_us=\d+\z}, 'text: key=value pairs, quoted where needed');
denies($t->get('/r/%22q%22', host => 'all.test'), 401, 'token_missing', 'a refusal');
($line) = lines('all', 1);
like($line, qr{ path="/r/\\"q\\"" status=401 decision=deny reason=token_missing code=I400JR detail="}, 'text: quotes within');
denies($t->get('/r/x', host => 'off.test'), 401, 'token_missing', 'Off');
is(scalar(lines('refused', 0)) + scalar(lines('all', 0)), 0, 'Off: no line anywhere');
passes($t->get('/r/x', host => 'piped.test', token => tok()), 'a program');
($line) = lines('piped', 1);
is(eval { JSON::PP::decode_json($line // '')->{vhost} }, 'piped.test', 'a program reads the lines') or diag($line);

# --- traceparent ---

my $trace = '4bf92f3577b34da6a3ce929d0e0e4736';
my $parent = "00-$trace-00f067aa0ba902b7-01";
$r = $t->get('/r/trace/x', token => tok(), headers => [ traceparent => $parent, tracestate => 'a=b' ]);
my ($sent) = $r->sent('traceparent');
like($sent, qr/\A00-$trace-[0-9a-f]{16}-01\z/, 'Generate: the trace goes on');
isnt($sent, $parent, 'with a new parent');
is(scalar($r->sent('tracestate')), 'a=b', 'and its state');
for my $bad (undef, '', "00-$trace-00f067aa0ba902b7", "ff-$trace-00f067aa0ba902b7-01", "00-" . '0' x 32 . '-00f067aa0ba902b7-01', "00-$trace-0000000000000000-01", uc $parent, "$parent-x", "$parent, $parent", 'x') {
    my @h = defined $bad ? (traceparent => $bad, tracestate => 'a=b') : ();
    my $name = $bad // 'none';
    $r = $t->get('/r/trace/x', token => tok(), headers => [@h]);
    like(scalar($r->sent('traceparent')) // '', qr/\A00-(?!$trace)(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}\z/, "Generate: a new one for: $name");
    is(scalar($r->sent('tracestate')), undef, "Generate: no state of another: $name");
    $r = $t->get('/r/propagate/x', token => tok(), headers => [@h]);
    is(scalar($r->sent('traceparent')), undef, "Propagate: nothing for: $name");
}
is(scalar($t->get('/r/propagate/x', token => tok(), headers => [ traceparent => $parent ])->sent('traceparent')), $parent, 'Propagate: a valid one as it came');
is(scalar($t->get('/r/propagate/x', token => tok(), headers => [ traceparent => "cc-$trace-00f067aa0ba902b7-01-more" ])->sent('traceparent')), "cc-$trace-00f067aa0ba902b7-01-more", 'Propagate: also of a later version');
is(scalar($t->get('/r/x', token => tok(), headers => [ traceparent => 'rubbish' ])->sent('traceparent')), 'rubbish', 'Off: left alone');
lines('refused', 0);
$t->get('/r/trace/x', headers => [ traceparent => $parent ]);
is(one('a refusal with a trace')->{trace_id}, $trace, 'trace_id');
$t->get('/r/trace/x');
like(one('a refusal with a new trace')->{trace_id}, qr/\A[0-9a-f]{32}\z/, 'trace_id of a trace that begins here');

# --- a restart opens the files anew ---

rename "$t->{root}/logs/refused.log", "$t->{root}/logs/refused.log.1" or die $!;
ok($t->reload, 'a graceful restart');
%at = ();
M2MGW::Test::before_long(sub { $t->get('/r/x'); $t->let_finish; -s "$t->{root}/logs/refused.log" });
ok(-s "$t->{root}/logs/refused.log", 'lines go to the new file');
my @all = map { split /\n/, slurp($_) } glob "$t->{root}/logs/{refused,all,piped}.log*";
shows_no_token(join('', @all), 'no token in any of them (' . @all . ' lines)');
is(scalar(grep { /secret/ } @all), 0, 'and no query');

$t->expect_log(qr/AH\d+/, qr/M2-101: .*(?:M2MEngine is on without keys|M2MEngine Shadow)/);
$t->finish;
