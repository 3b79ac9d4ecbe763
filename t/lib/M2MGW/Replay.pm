# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# What the suites about replay need besides a server: real redis-server and memcached on free
# loopback ports, and many requests that go off at once.
package M2MGW::Replay;

use strict;
use warnings;
use Exporter 'import';
use IO::Select;
use IO::Socket::INET;
use M2MGW::Port;
use POSIX ();
use Time::HiRes qw(sleep time);

our @EXPORT = qw(redis memcached installed volley);

sub installed {
    my ($name) = @_;
    return (grep { -x } map { "$_/$name" } qw(/usr/bin /usr/sbin /usr/local/bin))[0];
}

# A store that can be stopped and started again on its port.
sub redis {
    my $port = M2MGW::Port::free();
    return launch({ port => $port, command => [ installed('redis-server'), '--port', $port,
        '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', '/tmp' ] });
}

sub memcached {
    my $port = M2MGW::Port::free();
    my @user = $> ? () : (-u => 'nobody');
    return launch({ port => $port, command => [ installed('memcached'), '-U', 0, '-l',
        '127.0.0.1', '-p', $port, '-M', '-c', 4096, @user ] });
}

sub launch {
    my ($self) = @_;
    bless $self, __PACKAGE__;
    $self->{owner} = $$;
    $self->{pid} = fork // die "fork: $!";
    if (!$self->{pid}) {
        open STDIN, '<', '/dev/null';
        open STDOUT, '>', '/dev/null';
        open STDERR, '>', '/dev/null';
        no warnings 'exec';
        exec @{ $self->{command} };
        POSIX::_exit(127);
    }
    for (1 .. 6000) {
        return $self if IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                                              PeerPort => $self->{port});
        last if waitpid($self->{pid}, POSIX::WNOHANG()) == $self->{pid};
        sleep 0.01;
    }
    die "$self->{command}[0] did not start\n";
}

sub at { "127.0.0.1:$_[0]{port}" }

sub stop {
    my ($self) = @_;
    return if !$self->{pid} || $self->{owner} != $$;
    kill 'KILL', $self->{pid};
    waitpid $self->{pid}, 0;
    $self->{pid} = 0;
}

sub DESTROY { local $?; $_[0]->stop }

# volley(\@ports, $path, $token, $n): n connections, spread over the ports, are opened and
# given all of a request but its last byte; then all get the last byte, and all are read.
# Returns { "status reason" => how many }.
sub volley {
    my ($ports, $path, $token, $n, %o) = @_;
    my $text = "GET $path HTTP/1.1\r\nHost: gw.test\r\nAuthorization: Bearer $token\r\n"
        . "Connection: close\r\n\r\n";
    my (@all, %seen, %in);
    for my $i (0 .. $n - 1) {
        my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                                      PeerPort => $ports->[ $i % @$ports ]) or next;
        syswrite $s, substr $text, 0, -1;
        push @all, $s;
    }
    $o{before}->() if $o{before};
    syswrite $_, "\n" for @all;
    my $select = IO::Select->new(@all);
    my $end = time + 120; # a busy machine answers late, and an answer is what is counted
    while ($select->count && time < $end) {
        for my $s ($select->can_read(1)) {
            my $got = sysread $s, $in{$s}, 65536, length($in{$s} // '');
            $select->remove($s) if !$got;
        }
    }
    $seen{lost} += $n - @all if @all < $n;
    for my $s (@all) {
        my ($status) = ($in{$s} // '') =~ m{\AHTTP/1\.1 (\d+)};
        my ($reason) = ($in{$s} // '') =~ /^X-Reason: ([a-z_]+)/m;
        $seen{ defined $status ? "$status " . ($reason // '') : 'lost' }++;
    }
    return \%seen;
}

1;
