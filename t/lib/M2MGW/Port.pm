# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# Loopback ports for servers that are told where to listen. A port is bound here, without
# listening, for as long as this program runs: whoever asks for any port, or connects, is given
# another one, and a server that sets SO_REUSEADDR, as all do, may listen on it, stop and come
# back.
#
#   my $port = M2MGW::Port::free();
package M2MGW::Port;

use strict;
use warnings;
use IO::Socket::INET;

my @held;

sub free {
    my $s = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 0, ReuseAddr => 1, Proto => 'tcp')
        or die "no free port: $!";
    push @held, $s;
    return $s->sockport;
}

1;
