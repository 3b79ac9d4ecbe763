#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# Many operations from one description: a start that nobody notices, memory in proportion,
# decisions counted by operation, and as many rows as are told apart, whatever is described.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use M2MGW::Test;
use JSON::PP ();
use Time::HiRes qw(time);

my $ROWS = 2048; # M2MGW_OPERATION_ROWS
my $slow = ($ENV{M2MGW_PRELOAD} // '') ne '' || $ENV{M2MGW_RUNNER}; # a sanitizer: no figures

# a document of n operations, three a path
sub document {
    my ($n) = @_;
    my $text = "openapi: 3.0.3\nservers: [{url: /api}]\npaths:\n";
    for my $i (0 .. $n / 3 - 1) {
        $text .= "  /area" . ($i % 100) . "/thing$i/{id}:\n" . join '', map { "    $_: {operationId: $_$i}\n" } qw(get put delete);
    }
    return $text;
}

# --- counted by operation ---

my $t = M2MGW::Test->start(files => { 'k.json' => jwk_json('oct'), 'api.yaml' => document(9_999) }, config => <<'CONF');
MaxKeepAliveRequests 0
M2MVerifyCache entries=16
<Location /api>
    M2MJwks file:@ROOT@/k.json
    M2MOpenAPI @ROOT@/api.yaml
    M2MOperation GET /api/open public name=op"en<b>
    M2MParameter sub Token:sub
    M2MRule who "$sub = 'you'" ifTrue=DENY
</Location>
Alias /api @ROOT@/none
<Location /m2m-status>
    M2MEngine Off
    SetHandler m2m-status
</Location>
CONF
my $token = mint('oct', { sub => 'me', exp => time + 3600 });
my $other = mint('oct', { sub => 'you', exp => time + 3600 });
sub operations { return JSON::PP::decode_json($t->get('/m2m-status?format=json')->body)->{operations} }
sub row { my ($name) = @_; my ($row) = grep { $_->{operation} eq $name } @{ operations() }; return $row }

is_deeply(operations(), [], 'what nobody called has no row');
$t->get('/api/area7/thing7/1', token => $token) for 1 .. 3;
$t->get('/api/area7/thing7/1', token => $other);
$t->get('/api/area7/thing7/1');
$t->request('PUT', '/api/area7/thing7/1', token => $token);
$t->get('/api/open') for 1 .. 2;
$t->get('/api/nothing', token => $token);
$t->let_finish;
my $row = row('get7');
is($row->{passed}, 3, 'passed');
is($row->{refused}, 2, 'refused');
is_deeply($row->{reasons}, { rule_denied => 1, token_missing => 1 }, 'by reason');
like($row->{section}, qr{^<Location /api> \(line \d+ of .*\)$}, 'its section');
cmp_ok(abs($row->{last_refusal} - time), '<', 600, 'when the last was refused');
is(row('put7')->{passed}, 1, 'the method tells operations apart');
is(row('op"en<b>')->{passed}, 2, 'a public one');
is(scalar @{ operations() }, 3, 'no row for what no operation describes');
my $metrics = $t->get('/m2m-status?format=prometheus')->body;
like($metrics, qr/^m2mgw_operation_decisions_total\{section="<Location \/api> [^"]*",operation="get7",decision="allow"\} 3$/m, 'a metric');
like($metrics, qr/operation="get7",decision="deny"\} 2$/m, 'of refusals, too');
like($metrics, qr/operation="op\\"en<b>",decision="allow"\} 2$/m, 'names are escaped');
my $page = $t->get('/m2m-status')->body;
like($page, qr{Operations that were called.*?<th scope="row">get7</th><td class="n">2</td><td class="n">3</td>}s, 'on the page');
like($page, qr{op&quot;en&lt;b&gt;}, 'escaped there as well');

# --- over a restart ---

$t->reload;
is(row('get7')->{passed}, 3, 'a graceful restart keeps what was counted');
$t->get('/api/area7/thing7/1', token => $token);
$t->let_finish;
is(row('get7')->{passed}, 4, 'and goes on from there');

# --- more than are told apart ---

my $n = $ROWS + 100;
$t->get('/api/area' . ($_ % 100) . "/thing$_/1", token => $token) for 100 .. 99 + $n;
$t->let_finish;
my $all = operations();
is(scalar @$all, $ROWS + 1, "$ROWS operations are told apart, and one row is left for others");
is($all->[-1]{operation}, '(other)', 'it says so');
is(scalar(grep { $_->{operation} ne '(other)' && $_->{passed} + $_->{refused} == 0 } @$all), 0, 'no row is empty');
my $sum = 0;
$sum += $_->{passed} for @$all;
is($sum, 4 + 1 + 2 + $n, 'nothing is lost');
is($all->[-1]{passed}, $n + 3 - $ROWS, 'what is beyond is in it');
# --- a start that nobody notices ---

# seconds that httpd -t takes, the best of three
sub start_of {
    my ($count) = @_;
    my %files = ('k.json' => jwk_json('oct'), 'api.yaml' => document($count));
    my $best = 1e9;
    for (1 .. 3) {
        my $began = time;
        my ($status, $said) = try_config(<<'CONF', files => \%files);
<Location /api>
    M2MJwks file:@ROOT@/k.json
    M2MOpenAPI @ROOT@/api.yaml
</Location>
CONF
        my $took = time - $began;
        is($status, 0, "$count operations") or diag($said);
        $best = $took if $took < $best;
    }
    return $best;
}
my ($few, $many) = (start_of(9), start_of(9_999));
note(sprintf 'httpd -t: %.2f s with 9 operations, %.2f s with 9,999', $few, $many);
SKIP: {
    skip 'a sanitizer takes its time', 1 if $slow;
    cmp_ok($many - $few, '<', 5, 'ten thousand operations cost httpd -t hardly anything');
}
my ($status, $said) = try_config(<<'CONF', files => { 'k.json' => jwk_json('oct'), 'api.yaml' => document(99_999) });
<Location /api>
    M2MJwks file:@ROOT@/k.json
    M2MOpenAPI @ROOT@/api.yaml
</Location>
CONF
is($status, 0, 'a hundred thousand operations') or diag($said);
($status, $said) = try_config(<<'CONF', files => { 'k.json' => jwk_json('oct'), 'api.yaml' => document(100_002) });
<Location /api>
    M2MJwks file:@ROOT@/k.json
    M2MOpenAPI @ROOT@/api.yaml
</Location>
CONF
isnt($status, 0, 'more are refused');
like($said, qr/more than 100000 operations/, 'and it says why');

# --- in little memory ---

# KiB that the parent process has in memory and that is no file's; its children share them.
sub memory_of {
    my ($server) = @_;
    my $text = slurp("/proc/$server->{pid}/status");
    my $kib = 0;
    $kib += $1 while $text =~ /^Rss(?:Anon|Shmem):\s+(\d+)/mg;
    return $kib;
}

sub server_with {
    my ($line) = @_;
    my $server = M2MGW::Test->start(files => { 'k.json' => jwk_json('oct'), 'api.yaml' => document(9_999) }, config => <<"CONF");
<Location /api>
    M2MJwks file:\@ROOT\@/k.json
    $line
</Location>
CONF
    is($server->get('/api/area7/thing7/1')->status, 401, 'the server has read its configuration');
    return $server;
}

# What is read and what is kept: reading takes much more for a moment.
SKIP: {
    skip 'a sanitizer takes its memory', 10 if $slow;
    skip 'the system does not tell', 10 if slurp('/proc/self/status') !~ /^RssShmem:/m;
    my ($none, $many) = map { server_with($_) } '', 'M2MOpenAPI @ROOT@/api.yaml';
    my $little = memory_of($none);
    my $enough = $little + 9_999 * 300 / 1024;
    ok(M2MGW::Test::before_long(sub { memory_of($many) < $enough }), 'an operation takes less than 300 bytes') or diag(memory_of($many) - $little);
    $many->reload;
    ok(M2MGW::Test::before_long(sub { memory_of($many) < $enough }), 'and no more after a restart') or diag(memory_of($many) - $little);
    $_->finish(more => 1) for $none, $many;
}

# --- and thousands of sections ---

# seconds of CPU that httpd -t takes
sub cpu_of {
    my ($count) = @_;
    my $sections = join '', map { "<Location /area$_>\n    M2MJwks file:\@ROOT\@/k.json\n    M2MRealm r$_\n    M2MSenderConstraint Auto\n</Location>\n" } 1 .. $count;
    my @before = times;
    my ($status, $said) = try_config($sections, files => { 'k.json' => jwk_json('oct') });
    my @after = times;
    is($status, 0, "$count sections") or diag($said);
    return $after[2] + $after[3] - $before[2] - $before[3];
}
my ($thousand, $eight) = (cpu_of(1000), cpu_of(8000));
note(sprintf 'httpd -t: %.2f s of CPU with 1,000 sections, %.2f s with 8,000', $thousand, $eight);
SKIP: {
    skip 'a sanitizer takes its time', 1 if $slow;
    cmp_ok($eight, '<', 2 + 16 * $thousand, 'a section is not compared with every other one');
}
$t->finish;
