# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# Spellings of the parameter client_id and of the header X-Client-Id: what some backend reads
# under that name, and what is somebody else's. The names are the rows of t/vectors/names.txt,
# which the unit tests of core/request read, too; suites and t/backends ask here.
package M2MGW::Names;

use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename qw(dirname);

my $TABLE = dirname(dirname(dirname(abs_path(__FILE__)))) . '/vectors/names.txt';
my @rows;

sub rows {
    return @rows if @rows;
    open my $fh, '<:raw', $TABLE or die "$TABLE: $!";
    while (my $line = <$fh>) {
        chomp $line;
        push @rows, [ split /\t/, $line ] if $line !~ /^#/;
    }
    die "$TABLE: no rows" if @rows < 50;
    return @rows;
}

sub spellings {
    my ($kind, $place) = @_;
    return map { $_->[2] } grep { $_->[0] eq $kind && ($_->[1] eq $place || $_->[1] eq 'both') } rows();
}

# What somebody takes for client_id in a "form" (a query, too) or a "cookie", and what nobody does.
sub alike { my ($place) = @_; return spellings('alike', $place) }
sub others { my ($place) = @_; return spellings('other', $place) }

# Queries and forms that hold FORGED under a name some backend reads as client_id: [name, text].
sub pairs { return map { [ $_, "a=b&$_=FORGED" ] } alike('form') }

# Whole queries in which the name is ordinary and its place is not.
sub places {
    return map { [ $_, $_ ] } (
        'a=b;client_id=FORGED', 'client_id=x&client_id=FORGED', 'client_id=FORGED&client_id=x', '&&client_id=FORGED', 'a&client_id=FORGED',
        join('&', map { "p$_=1" } 1 .. 1100) . '&client_id=FORGED',
    );
}

# Names of headers that CGI-style backends read as X-Client-Id.
sub header_names {
    return ('X-Client-Id', 'x-client-id', 'X-CLIENT-ID', 'X_Client_Id', 'X_CLIENT-ID', 'X_CLIENT_ID', 'X-Client_Id', 'X.Client.Id', 'x!client!id',
            "X'Client'Id", 'X~Client~Id', 'X+Client+Id');
}

# Header lines.
sub headers { return map { [ $_, "$_: FORGED\r\n" ] } grep { !/['!~+]/ } header_names() }

1;
