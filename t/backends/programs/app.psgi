# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# Plack: Plack::Builder mounts, Plack::Request reads.
use strict;
use warnings;
use Plack::Builder;
use Plack::Request;

sub show {
    my ($section) = @_;
    return sub {
        my $r = Plack::Request->new(shift);
        my @lines = ("section=$section");
        push @lines, map { "query=$_" } $r->query_parameters->get_all('client_id');
        push @lines, map { "form=$_" } $r->body_parameters->get_all('client_id');
        push @lines, 'cookie=' . $r->cookies->{client_id} if defined $r->cookies->{client_id};
        push @lines, 'header=' . $r->header('X-Client-Id') if defined $r->header('X-Client-Id');
        return [ 200, [ 'Content-Type' => 'text/plain' ], [ join '', map { "$_\n" } @lines ] ];
    };
}

builder {
    mount '/app' => show('app');
    mount '/' => show('open');
};
