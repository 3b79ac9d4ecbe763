# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# A client that sends exactly the bytes it is told to and shows exactly what came back;
# nothing is corrected, folded or followed.
package M2MGW::Client;

use strict;
use warnings;
use IO::Select;
use IO::Socket::INET;
use Time::HiRes qw(time);

sub new {
    my ($class, %o) = @_;
    my $fh = IO::Socket::INET->new(PeerAddr => $o{addr} // '127.0.0.1', PeerPort => $o{port},
                                   Proto => 'tcp', Timeout => 60)
        or die "connect to port $o{port}: $!";
    $fh->autoflush(1);
    return bless { fh => $fh, in => '', timeout => $o{timeout} // 60 }, $class;
}

sub send_bytes {
    my ($self, $bytes) = @_;
    local $SIG{PIPE} = 'IGNORE';
    my $at = 0;
    while ($at < length $bytes) {
        my $n = syswrite $self->{fh}, $bytes, length($bytes) - $at, $at;
        return 0 if !defined $n;
        $at += $n;
    }
    return 1;
}

# More bytes into the buffer; false at the end of the stream or of patience.
sub fill {
    my ($self) = @_;
    return 0 if $self->{eof};
    if (!IO::Select->new($self->{fh})->can_read($self->{timeout})) {
        $self->{timed_out} = 1;
        return 0;
    }
    my $n = sysread $self->{fh}, $self->{in}, 65536, length $self->{in};
    $self->{eof} = 1 if !$n;
    return $n;
}

# One response: { status, reason, headers => [[name, value]...], body, interim => [...] },
# or nothing when the server closed without a status line.
sub response {
    my ($self, $method) = @_;
    my @interim;
    while (1) {
        while ($self->{in} !~ /\r?\n\r?\n/) {
            $self->fill or return $self->torn;
        }
        $self->{in} =~ s/\A(.*?)\r?\n\r?\n//s;
        my ($line, @raw) = split /\r?\n/, $1;
        my ($proto, $status, $reason) = split / /, $line, 3;
        my @headers = map { [ split /:[ \t]*/, $_, 2 ] } @raw;
        my $r = bless { proto => $proto, status => $status, reason => $reason,
                        headers => \@headers, interim => \@interim, body => '' },
            'M2MGW::Response';
        if (($status // '') =~ /\A1/ && $status != 101) {
            push @interim, $r;
            next;
        }
        $self->body($r) if ($method // '') ne 'HEAD' && $status !~ /\A(?:101|204|304)\z/;
        return $r;
    }
}

sub torn {
    my ($self) = @_;
    return if !length $self->{in};
    my $r = bless { status => 0, headers => [], interim => [], body => $self->{in} },
        'M2MGW::Response';
    $self->{in} = '';
    return $r;
}

sub body {
    my ($self, $r) = @_;
    if (($r->header('Transfer-Encoding') // '') =~ /chunked/i) {
        while (1) {
            while ($self->{in} !~ /\A[0-9a-fA-F]+[^\n]*\n/) { $self->fill or return }
            $self->{in} =~ s/\A([0-9a-fA-F]+)[^\n]*\n// or return;
            my $len = hex $1;
            while (length $self->{in} < $len + 2) { $self->fill or return }
            $r->{body} .= substr $self->{in}, 0, $len, '';
            $self->{in} =~ s/\A\r?\n//;
            return if $len == 0;
        }
    }
    my $len = $r->header('Content-Length');
    while (!defined $len || length $self->{in} < $len) { $self->fill or last }
    $r->{body} = substr $self->{in}, 0, $len // length $self->{in}, '';
}

sub close { close $_[0]{fh} }

package M2MGW::Response;

sub status { $_[0]{status} }
sub body { $_[0]{body} }

# First value of a header, or all of them in list context.
sub header {
    my ($self, $name) = @_;
    my @v = map { $_->[1] } grep { lc $_->[0] eq lc $name } @{ $self->{headers} };
    return wantarray ? @v : $v[0];
}

sub reason { $_[0]->header('X-Reason') // '' }

# What the backend received because of this request (filled by M2MGW::Test).
sub backend { @{ $_[0]{backend} // [] } }
sub reached { scalar $_[0]->backend }

# Values of a header in the only request the backend received.
sub sent {
    my ($self, $name) = @_;
    my ($entry) = $self->backend or return;
    my @v = map { $_->[1] } grep { lc $_->[0] eq lc $name } @{ $entry->{headers} };
    return wantarray ? @v : $v[0];
}

# Request target the backend received, and its query.
sub target { my ($e) = $_[0]->backend or return ''; (split / /, $e->{line})[1] // '' }
sub query { $_[0]->target =~ /\?(.*)/s ? $1 : '' }

1;
