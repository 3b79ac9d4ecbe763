#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# Mojolicious: mojo.pl PORT
use Mojolicious::Lite -signatures;

sub show ($c, $section) {
    my @lines = ("section=$section");
    push @lines, map { "query=$_" } @{ $c->req->query_params->every_param('client_id') };
    push @lines, map { "form=$_" } @{ $c->req->body_params->every_param('client_id') };
    push @lines, map { "cookie=" . $_->value } @{ $c->req->every_cookie('client_id') };
    push @lines, 'header=' . $c->req->headers->header('X-Client-Id') if defined $c->req->headers->header('X-Client-Id');
    $c->render(data => join('', map { "$_\n" } @lines), format => 'txt');
}

app->log->level('fatal');
any '/app/*rest' => { rest => '' } => sub ($c) { show($c, 'app') };
any '/*rest' => { rest => '' } => sub ($c) { show($c, 'open') };
app->start('daemon', '-m', 'production', '-l', "http://127.0.0.1:$ARGV[0]");
