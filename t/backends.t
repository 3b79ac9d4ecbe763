#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# The backends of `./run backends` that are there anyway (Python's wsgiref, node, PHP, CGI.pm):
# what any of them reads as a protected path does not reach it without a token, and what it reads
# as the name that a claim is mapped to is not the client's word.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Temp ();
use M2MGW::Backends;
use M2MGW::Names;
use M2MGW::Paths;
use M2MGW::Test;

my $dir = File::Temp::tempdir(CLEANUP => 1);
my %is_there = map { $_ => 1 } M2MGW::Backends::installed($dir);
my @there = map { M2MGW::Backends::start($dir, $_) } grep { $is_there{$_} } qw(wsgiref node php cgi);
plan skip_all => 'no backend is installed' if !@there;

my $t = M2MGW::Test->start(files => { M2MGW::Backends::files() }, config => M2MGW::Backends::hosts(@there));
my $token = mint('oct', { sub => 'a', client_id => 'ok' });
my ($read, $forged) = (0, 0);
my $bearer = "Authorization: Bearer $token\r\n";
my $form = "Content-Type: application/x-www-form-urlencoded\r\n";
for my $b (@there) {
    ok(!$b->{why}, "$b->{name} starts") or diag($b->{why});
    is_deeply([ M2MGW::Backends::controls($t, $b, $token) ], [], "$b->{name}: controls");
    for my $case (M2MGW::Paths::missed('/app', '/admin')) {
        my ($name, $path) = @$case;
        $read += M2MGW::Backends::section(M2MGW::Backends::direct($t, $b, 'GET', $path)) eq 'app';
        is(scalar(grep { M2MGW::Backends::section($_) eq 'app' } M2MGW::Backends::through($t, $b, 'GET', $path)), 0,
           "$b->{name}: $name: $path is not reached");
    }
    for my $case (M2MGW::Names::pairs(), M2MGW::Names::places()) {
        my ($name, $text) = @$case;
        for my $as ([ 'query', 'GET', "/app/x?$text" ], [ 'form', 'POST', '/app/x', $form, $text ]) {
            my ($where, $method, $path, $headers, $body) = @$as;
            $forged += M2MGW::Backends::forged(M2MGW::Backends::direct($t, $b, $method, $path, $headers, $body));
            my @answers = M2MGW::Backends::through($t, $b, $method, $path, ($headers // '') . $bearer, $body);
            is(scalar(grep { M2MGW::Backends::section($_) ne 'app' || M2MGW::Backends::forged($_) } @answers), 0,
               "$b->{name}: $where " . substr($name, 0, 40) . ' is not the client\'s word');
        }
    }
    for my $case (M2MGW::Paths::ordinary()) {
        my ($name, $path) = @$case;
        next if $path =~ /%2f|%25|%20/i; # what httpd or the backend do not take themselves
        my $direct = M2MGW::Backends::status(M2MGW::Backends::direct($t, $b, 'GET', $path));
        my ($through) = M2MGW::Backends::through($t, $b, 'GET', $path);
        is(M2MGW::Backends::status($through), $direct, "$b->{name}: $name: $path as without the gateway");
    }
}
cmp_ok($read, '>', 0, "control: asked directly, $read are read as that path");
cmp_ok($forged, '>', 20, "control: asked directly, $forged names are read as that one");
M2MGW::Backends::stop();
$t->expect_log(qr/AH00026|AH10244|AH10415|AH01136|AH01797|\[cgid?:error\]|\[proxy(?:_http)?:error\]/);
$t->finish;
