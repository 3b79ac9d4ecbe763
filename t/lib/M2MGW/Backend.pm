# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# The server behind the gateway, in core Perl: it writes every request it receives, byte for
# byte, as one JSON line to a log before it answers, and echoes the same line as the body.
# What a suite asserts about "did anything get through" comes from that log alone.
#
#   perl -MM2MGW::Backend -e 'M2MGW::Backend::run(@ARGV)' LOG NAME
#
# prints the port it listens on (loopback) and ends when its parent does. The path asks for
# special answers: "status-NNN", "cacheable", "location" (a redirect to itself), "setcookie".
package M2MGW::Backend;

use strict;
use warnings;
use IO::Select;
use IO::Socket::INET;
use JSON::PP ();

my $json = JSON::PP->new->ascii->canonical;
my ($log, $name, $count) = (undef, '', 0);

sub run {
    my ($path, $who) = @_;
    open $log, '>>', $path or die "$path: $!";
    $name = $who;
    my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 0, Listen => 128,
                                       ReuseAddr => 1, Proto => 'tcp') or die "listen: $!";
    $| = 1;
    print $listen->sockport, "\n";
    $SIG{PIPE} = 'IGNORE';
    serve($listen, getppid());
}

sub serve {
    my ($listen, $parent) = @_;
    my $select = IO::Select->new($listen);
    my %conn;
    while (getppid() == $parent) {
        for my $fh ($select->can_read(0.5)) {
            if ($fh == $listen) {
                my $new = $listen->accept or next;
                $new->blocking(0);
                $select->add($new);
                $conn{$new} = { fh => $new, in => '' };
                next;
            }
            next if feed($conn{$fh});
            $select->remove($fh);
            delete $conn{$fh};
            close $fh;
        }
    }
}

# Take what arrived; false when the connection is to be closed.
sub feed {
    my ($c) = @_;
    my $n = sysread $c->{fh}, my $buf, 65536;
    if (!$n) {
        note({ torn => $c->{in} }) if !defined $c->{ws} && length $c->{in};
        return 0;
    }
    if (defined $c->{ws}) {
        note({ ws => $buf });
        reply($c, $buf);
        return 1;
    }
    $c->{in} .= $buf;
    while (length $c->{in}) {
        my $state = request($c);
        return 1 if $state eq 'more';
        return 0 if $state eq 'close';
    }
    return 1;
}

# One request from the front of the buffer: "more", "close" or "next".
sub request {
    my ($c) = @_;
    $c->{in} =~ /\A(.*?)\r\n\r\n/s or return 'more';
    my ($head, $from) = ($1, $+[0]);
    my ($line, @raw) = split /\r\n/, $head, -1;
    my @headers = map { /\A([^:]*):[ \t]*(.*)\z/s ? [$1, $2] : [$_, undef] } @raw;
    my %h;
    $h{ lc $_->[0] } //= $_->[1] for @headers;
    my ($body, $used) = body(substr($c->{in}, $from), \%h);
    if (!defined $body) {
        if (($h{expect} // '') =~ /100-continue/i && !$c->{continued}++) {
            reply($c, "HTTP/1.1 100 Continue\r\n\r\n");
        }
        return 'more';
    }
    delete $c->{continued};
    substr $c->{in}, 0, $from + $used, '';
    my $entry = { line => $line, headers => \@headers, body => $body };
    note($entry);
    return answer($c, $entry, \%h);
}

# Body and the octets it took in the stream, or nothing while it is incomplete.
sub body {
    my ($in, $h) = @_;
    if (($h->{'transfer-encoding'} // '') =~ /chunked/i) {
        my ($out, $at) = ('', 0);
        while (substr($in, $at) =~ /\A([0-9a-fA-F]+)[^\r\n]*\r\n/) {
            my ($len, $skip) = (hex $1, $+[0]);
            return if length($in) < $at + $skip + $len + 2;
            $out .= substr $in, $at + $skip, $len;
            $at += $skip + $len + 2;
            return ($out, $at) if $len == 0;
        }
        return;
    }
    my $len = $h->{'content-length'} // 0;
    return if length $in < $len;
    return (substr($in, 0, $len), $len);
}

sub answer {
    my ($c, $entry, $h) = @_;
    my ($method, $url, $proto) = split / /, $entry->{line};
    if (($h->{upgrade} // '') =~ /websocket/i) {
        $c->{ws} = 1;
        reply($c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                  . "Connection: Upgrade\r\n\r\n");
        return 'next';
    }
    my $status = $url =~ /status-(\d{3})/ ? $1 : $url =~ /location/ ? 302 : 200;
    my $text = $json->encode($entry);
    my $out = "HTTP/1.1 $status Backend\r\nContent-Type: application/json\r\nX-Backend: $name\r\n";
    $out .= "Cache-Control: max-age=3600\r\nLast-Modified: Mon, 01 Jan 2024 00:00:00 GMT\r\n"
        if $url =~ /cacheable/;
    $out .= "Location: $url\r\n" if $status == 302;
    $out .= "Set-Cookie: backend=1\r\n" if $url =~ /setcookie/;
    my $close = ($proto // '') ne 'HTTP/1.1' || ($h->{connection} // '') =~ /close/i;
    $out .= "Connection: close\r\n" if $close;
    $out .= 'Content-Length: ' . length($text) . "\r\n\r\n";
    $out .= $text if $method ne 'HEAD';
    reply($c, $out);
    return $close ? 'close' : 'next';
}

sub reply {
    my ($c, $text) = @_;
    $c->{fh}->blocking(1);
    syswrite $c->{fh}, $text;
    $c->{fh}->blocking(0);
}

sub note {
    my ($entry) = @_;
    $entry->{n} = ++$count;
    $entry->{backend} = $name;
    syswrite $log, $json->encode($entry) . "\n";
}

1;
