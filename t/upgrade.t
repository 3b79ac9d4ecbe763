#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# Connections that become something else: a websocket through mod_proxy_http and
# mod_proxy_wstunnel, HTTP/2 by an upgrade of HTTP/1.1. The one request that begins them is
# judged like any other, once, and what is refused opens nothing. A backend of our own speaks
# the opening handshake (RFC 6455 4.2.2), tells what it was asked, and echoes.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Digest::SHA qw(sha1_base64);
use IO::Select;
use IO::Socket::INET;
use JSON::PP ();
use POSIX ();
use M2MGW::Test;

# --- the backend ---

my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 0, Listen => 16, ReuseAddr => 1) or die "no port: $!";
my $port = $listen->sockport;
my $echo = fork // die "fork: $!";
if (!$echo) {
    $SIG{CHLD} = 'IGNORE';
    while (1) {
        my $c = $listen->accept or next;
        next if fork;
        serve($c);
        POSIX::_exit(0);
    }
}
close $listen;
END { my $status = $?; if ($echo) { kill TERM => $echo; waitpid $echo, 0 } $? = $status }

# One connection: what was asked, as a first frame; then every byte comes back.
sub serve {
    my ($c) = @_;
    my $head = '';
    while ($head !~ /\r\n\r\n/) { sysread $c, $head, 4096, length $head or return }
    my ($asked, $rest) = split /\r\n\r\n/, $head, 2;
    my ($key) = $asked =~ /^Sec-WebSocket-Key:\s*(\S+)/mi;
    if (!$key || $asked !~ /^Upgrade:\s*websocket/mi) {
        syswrite $c, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nplain\n";
        return;
    }
    my $accept = sha1_base64($key . '258EAFA5-E914-47DA-95CA-C5AB0DC85B11') . '=';
    syswrite $c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: $accept\r\n\r\n";
    syswrite $c, frame($asked) . $rest;
    while (sysread $c, my $bytes, 4096) { syswrite $c, $bytes }
}

sub frame { my ($text) = @_; return "\x81\x7e" . pack('n', length $text) . $text }

# --- the gateway ---

my $mapped = 'M2MClaim client_id header:X-Client-Id query:client_id';
my $t = M2MGW::Test->start(modules => ['http2'], files => { 'k.json' => jwk_json('oct') }, config => <<"CONF");
Protocols h2c http/1.1
M2MToken header:Authorization query:access_token
ProxyPass /http http://127.0.0.1:$port/http upgrade=websocket
ProxyPass /tunnel ws://127.0.0.1:$port/tunnel
ProxyPass /open http://127.0.0.1:$port/open upgrade=websocket
ProxyPass /plain http://\@BACKEND\@/plain
RewriteEngine On
RewriteCond %{HTTP:Upgrade} =websocket
RewriteRule ^/rewrite(.*)\$ ws://127.0.0.1:$port/rewrite\$1 [P]
<LocationMatch "^/(?:http|tunnel|rewrite|plain)(?:/|\$)">
    M2MJwks file:\@ROOT\@/k.json
    $mapped
</LocationMatch>
<Location /http/once>
    M2MPreventJtiReplay On
</Location>
<Location /plain/once>
    M2MPreventJtiReplay On
    M2MParameter user System:CaAppId
    M2MLimit few user 3/1h
</Location>
<Location /http/rule>
    M2MParameter room Query:room
    M2MRule room "\$room = 'mine'" ifFalse=DENY
</Location>
<Location /m2m-status>
    SetHandler m2m-status
</Location>
CONF

my $token = mint('oct', { client_id => 'app' });
my $key = 'dGhlIHNhbXBsZSBub25jZQ==';

sub read_until {
    my ($c, $re) = @_;
    my $got = '';
    while ($got !~ $re) {
        IO::Select->new($c)->can_read(60) or last;
        sysread $c, $got, 65536, length $got or last;
    }
    return $got;
}

# Opens a websocket: what the backend was asked, and what a frame comes back as; or the answer.
sub websocket {
    my ($url, @headers) = @_;
    my $c = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $t->port, Timeout => 60) or die "connect: $!";
    my $more = '';
    while (my ($n, $v) = splice @headers, 0, 2) { $more .= "$n: $v\r\n" }
    $more = "Connection: Upgrade\r\n$more" if $more !~ /^Connection:/m;
    syswrite $c, "GET $url HTTP/1.1\r\nHost: gw.test\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: $key\r\n$more\r\n";
    my $got = read_until($c, qr/\r\n\r\n/);
    my ($status) = $got =~ m{\AHTTP/1\.1 (\d+)};
    my $o = { status => $status // 0, answer => $got };
    return $o if $o->{status} != 101;
    $got .= read_until($c, qr/\x81\x7e..GET /s) if $got !~ /\x81\x7e..GET /s;
    my ($n) = $got =~ /\x81\x7e(..)GET /s;
    ($o->{asked}) = $got =~ /\x81\x7e..(GET .*)\z/s;
    $o->{asked} .= read_until($c, qr/./s) while $n && length $o->{asked} < unpack 'n', $n;
    syswrite $c, "\x81\x85abcdHELLO";
    $o->{echoed} = read_until($c, qr/HELLO/);
    close $c;
    return $o;
}

sub reason { my ($o) = @_; return $o->{answer} =~ /^X-Reason: (\S+)/mi ? $1 : '' }
# what one section has counted; others may still log the end of a tunnel
sub counted {
    my ($path) = @_;
    $t->let_finish;
    my ($of) = grep { $_->{section} =~ /\A<Location \Q$path\E> / } @{ JSON::PP::decode_json($t->get('/m2m-status?format=json')->body)->{sections} };
    return { passed => $of->{passed}, refused => $of->{refused} };
}

for my $way (qw(http tunnel rewrite)) {
    my $o = websocket("/$way/x?a=1", Authorization => "Bearer $token");
    is($o->{status}, 101, "$way: a token opens a websocket") or diag($o->{answer});
    is($o->{echoed}, "\x81\x85abcdHELLO", "$way: and what is sent through it comes back");
    like($o->{asked} // '', qr/^X-Client-Id: app\r?$/m, "$way: with the claim");
    like($o->{asked} // '', qr{^GET /$way/x\?client_id=app&a=1 }, "$way: in the query, too");
    for my $spoof ([ 'X-Client-Id' => 'evil' ], [ 'X_Client_Id' => 'evil' ], [ Connection => 'Upgrade, X-Client-Id', 'X-Client-Id' => 'evil' ], [ Connection => 'upgrade, Authorization' ]) {
        $o = websocket("/$way/x?client_id=evil&Client.Id=evil", Authorization => "Bearer $token", @$spoof);
        is($o->{status}, 101, "$way: @$spoof: it opens") or diag($o->{answer});
        unlike($o->{asked} // 'evil', qr/evil/, "$way: @$spoof: and the backend sees ours only");
        like($o->{asked} // '', qr/^X-Client-Id: app\r?$/m, "$way: @$spoof: which is there");
        like($o->{asked} // '', qr/^Authorization: Bearer /m, "$way: @$spoof: nothing takes the token away");
    }
    $o = websocket("/$way/x?access_token=$token");
    is($o->{status}, 101, "$way: a token in the query, as browsers have to") or diag($o->{answer});
    unlike($o->{asked} // 'access_token', qr/access_token/, "$way: goes no further");
    for my $case ([ 'no token', 401, 'token_missing' ], [ 'a forged one', 401, 'signature_invalid', Authorization => 'Bearer ' . mint('oct#2', {}, { kid => 'oct' }) ],
                  [ 'an expired one', 401, 'expired', Authorization => 'Bearer ' . mint('oct', { exp => 1 }) ],
                  [ 'two', 400, 'token_multiple', Authorization => "Bearer $token", Authorization => "Bearer $token" ]) {
        my ($name, $status, $reason, @headers) = @$case;
        $o = websocket("/$way/x", @headers);
        is($o->{status}, $status, "$way: $name opens nothing") or diag($o->{answer});
        like(reason($o), $reason eq 'signature_invalid' ? qr/^(?:signature_invalid|kid_unknown)$/ : qr/^$reason$/, "$way: $name: why");
    }
    for my $path (uc("/$way") . '/x', "/$way;v/x", "/open/..;/$way/x") {
        $o = websocket($path, Authorization => "Bearer $token");
        is("$o->{status} " . reason($o), '400 path_unsafe', "$way: $path is refused as ever");
    }
}

my $o = websocket('/open/x');
is($o->{status}, 101, 'control: an open location');
is(websocket('/http/rule?room=mine', Authorization => "Bearer $token")->{status}, 101, 'a rule lets pass');
is(websocket('/http/rule?room=theirs', Authorization => "Bearer $token")->{status}, 403, 'or does not');

# one handshake is one use of a token, and one decision
my $once = mint('oct', { client_id => 'app', jti => 'ws1' });
my $before = counted('/http/once');
is(websocket('/http/once', Authorization => "Bearer $once")->{status}, 101, 'a token that counts once opens one websocket');
is(websocket('/http/once', Authorization => "Bearer $once")->{status}, 401, 'and no second one');
my $after;
M2MGW::Test::before_long(sub { # a tunnel is logged when it ends
    $after = counted('/http/once');
    $after->{passed} + $after->{refused} - $before->{passed} - $before->{refused} >= 2;
});
is(join(' ', map { $after->{$_} - $before->{$_} } qw(passed refused)), '1 1', 'counted once each');

# --- HTTP/2 by an upgrade ---

sub curl {
    my ($how, $path, @more) = @_;
    open my $out, '-|', 'curl', '-s', '-o', '/dev/null', '-w', '%{http_code} %{http_version}', $how, '-H', 'Host: gw.test', @more, 'http://127.0.0.1:' . $t->port . $path
        or die "curl: $!";
    my $said = <$out>;
    close $out;
    return $said;
}

SKIP: {
    skip 'no curl that upgrades to HTTP/2', 14 if (qx(curl -V 2>/dev/null) // '') !~ /HTTP2/;
    my $up = M2MGW::Test::mpm() eq 'prefork' ? '1.1' : '2'; # with prefork httpd does not upgrade
    for my $case ([ '--http2', [] ], [ '--http2', [ $token ] ], [ '--http2-prior-knowledge', [] ], [ '--http2-prior-knowledge', [ $token ] ]) {
        my ($how, $with) = @$case;
        my @auth = map { ('-H', "Authorization: Bearer $_") } @$with;
        $t->backend_new;
        # a refusal upgrades nothing
        is(curl($how, '/plain/x?client_id=evil', '-H', 'X-Client-Id: evil', @auth), @auth ? '200 ' . ($how eq '--http2' ? $up : '2') : $how eq '--http2' ? '401 1.1' : '401 2',
           "$how: " . (@auth ? 'with a token' : 'without one'));
        is(join(' ', map { ($_->{line} =~ /^\S+ (\S+)/)[0] . " " . join ',', map { $_->[1] } grep { $_->[0] =~ /client/i } @{ $_->{headers} } } $t->backend_new),
           @auth ? '/plain/x?client_id=app app' : '', "$how: what the backend received");
    }
    # httpd judges the request that it upgrades once more: as one it spends one token
    my $seen = counted('/plain/once');
    my $one = mint('oct', { client_id => 'ws', jti => 'h2c' });
    is(curl('--http2', '/plain/once', '-H', "Authorization: Bearer $one"), "200 $up", 'a token that counts once, by an upgrade');
    is(curl('--http2', '/plain/once', '-H', "Authorization: Bearer $one"), "401 $up", 'counts once');
    $one = mint('oct', { client_id => 'ws', jti => 'h1' });
    is(curl('--http1.1', '/plain/once', '-H', "Authorization: Bearer $one"), '200 1.1', 'and takes one of what a limit allows');
    $one = mint('oct', { client_id => 'ws', jti => 'h3' });
    is(curl('--http2', '/plain/once', '-H', "Authorization: Bearer $one"), "429 $up", 'of which no more is left');
    my $now;
    M2MGW::Test::before_long(sub { # a request is counted when it is logged
        $now = counted('/plain/once');
        $now->{passed} + $now->{refused} - $seen->{passed} - $seen->{refused} >= 4;
    });
    is(join(' ', map { $now->{$_} - $seen->{$_} } qw(passed refused)), '2 2', 'each counted once');
    my $r = $t->get('/plain/once', token => mint('oct', { client_id => 'other', jti => 'h4' }), headers => [ Upgrade => 'h2c', Connection => 'Upgrade' ]);
    passes($r, 'an upgrade that is none is an ordinary request');
}
for my $h ([ TE => 'trailers' ], [ TE => 'trailers', Connection => 'TE' ], [ Upgrade => 'h2c', Connection => 'Upgrade' ], [ Upgrade => 'websocket', Connection => 'keep-alive, Upgrade' ]) {
    passes($t->get('/plain/x', token => $token, headers => $h), "an ordinary way: @$h") if $h->[1] ne 'h2c';
}
$t->expect_log(qr/\[m2mgw:(?:warn|notice)\]/, qr/\[proxy\w*:(?:error|warn)\]|\[http2:warn\]/);
$t->finish;
