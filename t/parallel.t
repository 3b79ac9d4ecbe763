#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# Many callers at once: nobody gets what belongs to another. Each request is answered by the
# backend with what it received, so a claim, a header, a query or a verdict that strayed from
# one request into another is seen by the caller it did not belong to.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP ();
use M2MGW::Test;

my $t = M2MGW::Test->start(files => { 'k.json' => jwks_json(jwk('oct', kid => 'O'), jwk('p256', kid => 'E')) }, loglevel => 'info m2mgw:info', config => <<'CONF');
MaxRequestWorkers 32
M2MJwks file:k.json
M2MVerifyCache entries=16
M2MToken header:Authorization query:t cookie:t form:t
M2MClaim sub header:X-Sub query:sub path:sub form:sub
M2MClaim n header:X-N
M2MParameter role Token:role
M2MParameter sub Token:sub
M2MRule only "$role = 'ok'" ifFalse=DENY "errorMessage=not %{sub}" "responseBody=not %{sub}"
M2MRuleHeader only X-Denied "%{sub}"
Header always set X-User "expr=%{REMOTE_USER}"
ProxyPass / http://@BACKEND@/u/{sub}/
CONF

my ($callers, $rounds) = (8, 120);
my $form = 'application/x-www-form-urlencoded';

# one caller with its own tokens; complaints as lines
sub caller_says {
    my ($me) = @_;
    srand($me);
    my @token = map { mint($_ % 5 ? 'oct' : 'p256', { sub => "c$me-$_", n => $_, role => $_ % 3 ? 'ok' : 'no' }, { kid => $_ % 5 ? 'O' : 'E' }) } 1 .. 20;
    my @bad;
    my $c = $t->client;
    for my $i (1 .. $rounds) {
        my $n = 1 + int rand 20;
        my ($token, $want, $mark) = ($token[ $n - 1 ], "c$me-$n", "m$me-$i");
        my ($path, $body, @h) = ("/x$mark?q=$mark", '', 'X-Mark: ' . $mark);
        my $how = int rand 5;
        if ($how == 0) { push @h, "Authorization: Bearer $token" }
        elsif ($how == 1) { $path .= "&t=$token&sub=evil" }
        elsif ($how == 2) { push @h, "Cookie: a=$mark; t=$token", 'X-Sub: evil' }
        elsif ($how == 3) { $body = "b=$mark&t=$token&sub=evil"; push @h, "Content-Type: $form" }
        my $method = $body ? 'POST' : 'GET';
        $c->send_bytes(join("\r\n", "$method $path HTTP/1.1", 'Host: gw.test', @h, 'Content-Length: ' . length $body) . "\r\n\r\n$body");
        my $r = $c->response($method);
        if (!$r) { push @bad, "$mark: no answer"; $c = $t->client; next }
        $c = $t->client if ($r->header('Connection') // '') =~ /close/i;
        my $say = sub { push @bad, "$mark ($how, $want): $_[0]: " . $r->status . ' ' . substr $r->body, 0, 200 };
        if ($how == 4) { $say->('no token') if $r->status != 401 || $r->reason ne 'token_missing'; next }
        $say->('user') if ($r->header('X-User') // '') ne $want;
        if ($n % 3 == 0) {
            $say->('refusal') if $r->status != 403 || $r->body ne "not $want" || $r->header('X-Denied') ne $want
                || $r->header('X-Ca-Error-Message') ne "not $want";
            next;
        }
        my $got = $r->status == 200 ? JSON::PP::decode_json($r->body) : undef;
        if (!$got) { $say->('a good token'); next }
        my %h = map { lc $_->[0] => $_->[1] } @{ $got->{headers} };
        $say->('line') if $got->{line} ne "$method /u/$want/x$mark?sub=$want&q=$mark HTTP/1.1";
        $say->('header') if $h{'x-sub'} ne $want || $h{'x-n'} ne $n || $h{'x-mark'} ne $mark;
        $say->('body') if $got->{body} ne ($how == 3 ? "sub=$want&b=$mark" : '');
        $say->('request id') if $h{'x-ca-request-id'} ne $r->header('X-Ca-Request-Id');
        $say->('cookie') if ($h{cookie} // '') ne ($how == 2 ? "a=$mark" : '');
    }
    $c->close;
    return @bad;
}

my @child;
for my $me (1 .. $callers) {
    my $pid = open(my $fh, '-|') // die "fork: $!";
    if (!$pid) {
        my @bad = eval { caller_says($me) };
        print map { "$_\n" } $@ ? "caller $me: $@" : (), @bad;
        print "done $me\n";
        close STDOUT;
        POSIX::_exit(0);
    }
    push @child, $fh;
}
my @said = map { my @l = <$_>; close $_; @l } @child;
my @done = grep { /\Adone/ } @said;
my @bad = grep { !/\Adone/ } @said;
is(scalar @done, $callers, "$callers callers, each with $rounds requests");
is(join('', @bad[ 0 .. ($#bad > 9 ? 9 : $#bad) ]), '', 'each got what was its own');
my @seen = $t->backend_new;
cmp_ok(scalar @seen, '>', $callers * $rounds / 3, 'control: the backend was asked ' . @seen . ' times');
is(scalar(grep { my ($w) = $_->{line} =~ m{/u/c\d+-(\d+)/}; !$w || $w % 3 == 0 } @seen), 0, 'and never for a token that a rule refuses');
$t->expect_log(qr/M2-1\d\d/);
$t->finish;
