#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# CGI.pm, run by httpd for every path.
use strict;
use warnings;
use CGI;

my $q = CGI->new;
my $path = $q->path_info;
print "Content-Type: text/plain\r\n\r\n";
print 'section=', ($path =~ m{\A/app(?:/|\z)} ? 'app' : 'open'), "\n";
print "query=$_\n" for $q->multi_param('client_id'), $q->url_param('client_id') // ();
print "cookie=$_\n" for $q->cookie('client_id') // ();
print "header=$ENV{HTTP_X_CLIENT_ID}\n" if defined $ENV{HTTP_X_CLIENT_ID};
