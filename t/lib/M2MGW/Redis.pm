# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# What the suites about Redis need besides M2MGW::Replay: servers with options of their own,
# sentinels, a cluster, a client that asks them, and load that goes on while they change.
package M2MGW::Redis;

use strict;
use warnings;
use Exporter 'import';
use File::Temp ();
use IO::Socket::INET;
use POSIX ();
use Time::HiRes qw(sleep time);
use M2MGW::Client;
use M2MGW::Port;
use M2MGW::Replay ();

our @EXPORT = qw(redis_server sentinels cluster ask until_true load_on);

# A server on a port of its own in a directory of its own: { port, pid, dir }, stop, launch.
sub redis_server {
    my (%o) = @_;
    my $port = $o{port} // M2MGW::Port::free();
    my $dir = File::Temp::tempdir('m2mgw-redis-XXXXXX', TMPDIR => 1, CLEANUP => 1);
    return M2MGW::Replay::launch({ port => $port, dir => $dir, command => [
        M2MGW::Replay::installed('redis-server'), '--port', $port, '--bind', '127.0.0.1',
        '--save', '', '--appendonly', 'no', '--dir', $dir, '--repl-diskless-sync-delay', 0,
        @{ $o{args} // [] } ] });
}

# Sentinels that watch a master by the name m.
sub sentinels {
    my ($master, $n, %o) = @_;
    my $more = join '', map { "$_\n" } @{ $o{lines} // [] };
    return map {
        my $port = M2MGW::Port::free();
        my $dir = File::Temp::tempdir('m2mgw-sentinel-XXXXXX', TMPDIR => 1, CLEANUP => 1);
        open my $fh, '>', "$dir/sentinel.conf" or die $!;
        print {$fh} <<"CONF";
port $port
bind 127.0.0.1
dir $dir
sentinel monitor m 127.0.0.1 $master->{port} @{[ int($n / 2) + 1 ]}
sentinel down-after-milliseconds m @{[ $o{down_after} // 1000 ]}
sentinel failover-timeout m 6000
$more
CONF
        close $fh;
        M2MGW::Replay::launch({ port => $port, dir => $dir, command => [
            M2MGW::Replay::installed('redis-server'), "$dir/sentinel.conf", '--sentinel' ] });
    } 1 .. $n;
}

# Masters of one cluster, with all slots given out.
sub cluster {
    my ($n, %o) = @_;
    my @nodes = map { redis_server(args => [ '--cluster-enabled', 'yes', '--cluster-port',
        M2MGW::Port::free(), '--cluster-node-timeout', 5000, @{ $o{args} // [] } ]) } 1 .. $n;
    cli($nodes[0], '--cluster', 'create', (map { $_->at } @nodes), '--cluster-yes')
        or die "the cluster was not made\n";
    for my $node (@nodes) {
        until_true(60, sub { ask($node, 'CLUSTER', 'INFO') =~ /^cluster_state:ok/m })
            or die "the cluster does not work\n";
    }
    return @nodes;
}

# redis-cli with these words: whether it ended well.
sub cli {
    my ($node, @words) = @_;
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        open STDIN, '<', '/dev/null';
        open STDOUT, '>', "$node->{dir}/cli" or die $!;
        open STDERR, '>&', \*STDOUT;
        no warnings 'exec';
        exec M2MGW::Replay::installed('redis-cli'), '-p', $node->{port}, @words;
        POSIX::_exit(127);
    }
    waitpid $pid, 0;
    return $? == 0;
}

# One command: what is answered, a list as a reference, an error as text that begins with "-".
sub ask {
    my ($node, @words) = @_;
    my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $node->{port},
                                  Timeout => 5) or return '-cannot connect';
    my @all = $node->{password} ? ([ 'AUTH', $node->{password} ], \@words) : (\@words);
    my $answer;
    for my $words (@all) {
        print {$s} '*' . @$words . "\r\n", map { '$' . length($_) . "\r\n$_\r\n" } @$words;
        $s->flush;
        $answer = read_answer($s);
    }
    return $answer;
}

sub read_answer {
    my ($s) = @_;
    my $line = <$s> // return '-no answer';
    $line =~ s/\r\n\z//;
    my ($kind, $rest) = (substr($line, 0, 1), substr $line, 1);
    return [ map { read_answer($s) } 1 .. $rest ] if $kind eq '*';
    return $kind eq '-' ? $line : $rest if $kind ne '$';
    return undef if $rest < 0;
    read $s, my $text, $rest + 2;
    return substr $text, 0, $rest;
}

# Look again and again: what the look gave when it was true, or false after so many seconds.
sub until_true {
    my ($seconds, $look) = @_;
    my $end = time + $seconds;
    while (1) {
        my $seen = $look->();
        return $seen if $seen;
        return 0 if time > $end;
        sleep 0.05;
    }
}

# load_on(\@ports, $clients, $path, $token): clients that each send one request after the
# other, with what $token->(client, number) gives, until finish() is called. finish gives a
# list of { token, status, reason, at }.
sub load_on {
    my ($ports, $clients, $path, $token) = @_;
    my $dir = File::Temp::tempdir('m2mgw-load-XXXXXX', TMPDIR => 1, CLEANUP => 1);
    my $self = bless { dir => $dir, clients => $clients, owner => $$ }, 'M2MGW::Redis::Load';
    for my $client (1 .. $clients) {
        my $pid = fork // die "fork: $!";
        if (!$pid) {
            run_client($dir, $client, $ports, $path, $token);
            POSIX::_exit(0);
        }
        push @{ $self->{pids} }, $pid;
    }
    return $self;
}

sub run_client {
    my ($dir, $client, $ports, $path, $token) = @_;
    open my $out, '>', "$dir/$client" or POSIX::_exit(1);
    $out->autoflush(1);
    for (my $n = 0; !-e "$dir/stop"; $n++) {
        my $text = $token->($client, $n);
        my $at = time;
        my ($status, $reason) = one($ports->[ $n % @$ports ], $path, $text);
        print {$out} join(' ', $text, $status, $reason, $at), "\n";
    }
}

sub one {
    my ($port, $path, $token) = @_;
    my $c = eval { M2MGW::Client->new(port => $port, timeout => 60) } or return (0, '-');
    $c->send_bytes("GET $path HTTP/1.1\r\nHost: gw.test\r\nAuthorization: Bearer $token\r\n"
        . "Connection: close\r\n\r\n");
    my $r = $c->response('GET') or return (0, '-');
    return ($r->{status}, $r->header('X-Reason') || '-');
}

package M2MGW::Redis::Load;

# How many requests were answered so far.
sub count {
    my ($self) = @_;
    return scalar $self->seen;
}

sub seen {
    my ($self) = @_;
    my @all;
    for my $client (1 .. $self->{clients}) {
        open my $in, '<', "$self->{dir}/$client" or next;
        while (my $line = <$in>) {
            my %one;
            next if $line !~ /\n\z/;
            @one{qw(token status reason at)} = split ' ', $line;
            push @all, \%one;
        }
    }
    return @all;
}

sub finish {
    my ($self) = @_;
    return if $self->{owner} != $$ || !$self->{pids};
    open my $stop, '>', "$self->{dir}/stop" or die $!;
    waitpid $_, 0 for @{ delete $self->{pids} };
    return $self->seen;
}

sub DESTROY { local $?; $_[0]->finish }

1;
