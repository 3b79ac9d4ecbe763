# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# Starting servers, loading them and measuring what they take. A server runs on one core and wrk
# on another. CPU time is that of all threads of all processes of a server, out of
# /proc/PID/task/TID/schedstat, in nanoseconds.
package Bench::Run;
use strict;
use warnings;
use Exporter 'import';
use File::Path qw(make_path);
use File::Temp ();
use IO::Socket::INET;
use JSON::PP ();
use POSIX ();
use Time::HiRes qw(sleep time);
use Bench::Setup;
use Bench::Servers;

our @EXPORT = qw(start stop beside load beside_load warm check_server memory_kb own_kb cpu_us instructions_of seconds_to_check);

my @alive;
END { local $?; kill 'KILL', map { -$_ } @alive if @alive }
$SIG{INT} = $SIG{TERM} = sub { exit 1 };

sub free_port { IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 0, Listen => 1)->sockport }

sub command {
    my ($s, @more) = @_;
    return $s->{kind} eq 'haproxy' ? ('haproxy', '-db', '-f', "$s->{dir}/config")
                                   : ($bench{httpd}, '-f', "$s->{dir}/config", @more ? @more : '-DFOREGROUND');
}

sub spawn {
    my ($core, $out, @command) = @_;
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        setpgrp;
        open STDIN, '<', '/dev/null';
        open STDOUT, '>>', $out;
        open STDERR, '>&', \*STDOUT;
        no warnings 'exec';
        exec $bench{pin} && defined $core ? ('taskset', '-c', $core) : (), @command;
        POSIX::_exit(127);
    }
    push @alive, $pid;
    return $pid;
}

sub wait_port {
    my ($on, $s) = @_;
    for (1 .. 3000) {
        return if IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $on->{port});
        sleep 0.02;
    }
    my $log = -e "$s->{dir}/error.log" ? slurp("$s->{dir}/error.log") : '';
    die "$s->{name} did not start:\n" . slurp("$s->{dir}/console") . $log;
}

# A server whose files are there; the backend of a proxy runs.
sub prepare {
    my ($name, $alg, $keys, %o) = @_;
    my $def = $server{$name};
    my $t = tokens($alg, $keys);
    my $s = { name => $name, kind => $def->{kind} // 'httpd', port => free_port(), tokens => $t, def => $def,
              dir => File::Temp::tempdir('s-XXXXXX', DIR => $bench{root}), %o };
    chmod 0755, $s->{dir};
    chown +(getpwnam +(grep { defined getpwnam $_ } qw(www-data apache nobody))[0])[2, 3], $s->{dir} unless $>;
    make_path("$s->{dir}/htdocs/api");
    spew("$s->{dir}/htdocs/api/index.html", "hello\n");
    if ($def->{proxy}) {
        $s->{backend} = free_port();
        my $b = { port => $s->{backend}, kind => 'haproxy', dir => "$s->{dir}/htdocs" };
        spew("$b->{dir}/config", $server{haproxy}{config}->($b, $t, $alg));
        $s->{backend_pid} = spawn(1, "$s->{dir}/console", command($b));
        wait_port($b, $s);
    }
    spew("$s->{dir}/config", $def->{config}->($s, $t, $alg));
    return $s;
}

sub start {
    my $s = prepare(@_);
    $s->{pid} = spawn(0, "$s->{dir}/console", command($s));
    wait_port($s, $s);
    return $s;
}

sub stop {
    my ($s) = @_;
    for my $pid (grep { $_ } $s->{pid}, $s->{backend_pid}) {
        kill 'KILL', -$pid;
        waitpid $pid, 0;
        @alive = grep { $_ != $pid } @alive;
    }
}

# --- what it takes ---

sub processes {
    my ($pid) = @_;
    my %parent;
    for my $f (glob '/proc/[0-9]*/stat') {
        open my $h, '<', $f or next;
        my ($p, $rest) = (<$h> // '') =~ /\A(\d+) \(.*\) (.*)/ or next;
        $parent{$p} = (split ' ', $rest)[1];
    }
    my @all = ($pid);
    for (my $i = 0; $i < @all; $i++) { push @all, grep { $parent{$_} == $all[$i] } keys %parent }
    return @all;
}

sub cpu_us {
    my $ns = 0;
    for my $p (processes($_[0]{pid})) {
        for my $f (glob "/proc/$p/task/[0-9]*/schedstat") {
            open my $h, '<', $f or next;
            $ns += (split ' ', <$h> // '0')[0];
        }
    }
    return $ns / 1000;
}

# Once it answers: a server that listens may still read its configuration, and has no children.
sub memory_kb { return memory($_[0], qr/\APss:\s+(\d+)/) }

# Without what files hold, whose pages other processes of the machine may share.
sub own_kb { return memory($_[0], qr/\APss_(?:Anon|Shmem):\s+(\d+)/) }

sub memory {
    my ($s, $line) = @_;
    my $c = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $s->{port}) or die "no connection\n";
    print {$c} "GET / HTTP/1.1\r\nHost: bench.example\r\nConnection: close\r\n\r\n";
    my $answered = <$c> // die "no answer\n";
    close $c;
    my $kb = 0;
    for my $p (processes($s->{pid})) {
        open my $h, '<', "/proc/$p/smaps_rollup" or next;
        $_ =~ $line and $kb += $1 while <$h>;
    }
    return $kb;
}

sub seconds_to_check {
    my ($s) = @_;
    my $began = time;
    my $command = join ' ', command($s, '-t');
    system("$command >$s->{dir}/syntax 2>&1") == 0 or die "httpd -t: " . slurp("$s->{dir}/syntax");
    return time - $began;
}

# --- requests ---

sub request_text {
    my ($token, $more) = @_;
    return "GET /api/index.html HTTP/1.1\r\nHost: bench.example\r\nAuthorization: Bearer $token\r\n$more\r\n";
}

sub status_of {
    my ($s, $file) = @_;
    (my $token = slurp($file)) =~ s/\n.*//s;
    my $c = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $s->{port}) or return 0;
    print {$c} request_text($token, "Connection: close\r\n");
    local $/;
    return (<$c> // '') =~ m{\AHTTP/1.\d (\d+)} ? $1 : 0;
}

# A server must first accept the good token and, if it protects, refuse two bad ones.
sub check_server {
    my ($s) = @_;
    my $good = status_of($s, "$s->{tokens}/one");
    die "$s->{name} answers the good token with $good\n" . (-e "$s->{dir}/error.log" ? slurp("$s->{dir}/error.log") : '') if $good != 200;
    return if !$s->{def}{base} || $s->{def}{open};
    for my $bad (qw(tampered scope)) {
        my $status = status_of($s, "$s->{tokens}/$bad");
        die "$s->{name} answers a token that is $bad with $status\n" if $status !~ /\A40[0-9]\z/;
    }
}

# Some requests that are refused, so that every thread has had one.
sub warm { my ($s) = @_; status_of($s, "$s->{tokens}/tampered") for 1 .. 300 }

# wrk takes whole seconds only, but ends and tells what it did when it is interrupted; while it reads
# its tokens it ignores that, so that a machine that is very busy gives it two seconds.
sub wrk {
    my ($seconds, @command) = @_;
    my $said = `timeout -s INT $seconds @command -d2s 2>&1`;
    return $said =~ /^\{.*\}$/m ? $said : undef;
}

# The text that a command says while wrk loads a server on the same cores.
sub beside_load {
    my ($s, $command) = @_;
    my $pid = spawn(1, "$s->{dir}/wrk", 'wrk', '-t1', "-c$bench{connections}", '-d60s', "http://127.0.0.1:$s->{port}/api/index.html");
    my $said = `@{[ $bench{pin} ? 'taskset -c 0' : '' ]} $command 2>/dev/null`;
    kill 'KILL', $pid;
    waitpid $pid, 0;
    @alive = grep { $_ != $pid } @alive;
    return $said;
}

# wrk for so many seconds; what it says, and microseconds of CPU for a request.
sub load {
    my ($s, $file, %o) = @_;
    local $ENV{BENCH_TOKENS} = $file ? "$s->{tokens}/$file" : '/dev/null';
    local $ENV{BENCH_BODY} = $o{body} if $o{body};
    local $ENV{BENCH_CLIENTS} = $s->{clients} // 1;
    my $path = $o{path} // '/api/index.html';
    my @command = ($bench{pin} ? qw(taskset -c 1) : (), 'wrk', '-t1', "-c$bench{connections}",
                   '--timeout', '10s', '-s', "$bench{top}/bench/load.lua", "http://127.0.0.1:$s->{port}$path");
    my ($before, $out);
    for my $seconds ($o{seconds} // $bench{seconds}, 10) { # again if it had not begun
        $before = cpu_us($s);
        $out = wrk($seconds, @command) and last;
    }
    my ($json) = ($out // '') =~ /^(\{.*\})$/m or die "wrk failed: @command\n";
    my $r = JSON::PP::decode_json($json);
    die "$s->{name}: $r->{errors} errors\n" if $r->{errors};
    die "$s->{name}: no answer\n" if !$r->{requests};
    $r->{cpu} = (cpu_us($s) - $before) / $r->{requests};
    $r->{rps} = $r->{requests} * 1e6 / $r->{us};
    $r->{memory} = memory_kb($s);
    return $r;
}

# Do $what while a command runs on the core of the servers; what the command prints.
sub beside {
    my ($what, @command) = @_;
    my $out = "$bench{root}/beside";
    unlink $out;
    my $pid = spawn(0, $out, @command);
    $what->();
    waitpid $pid, 0;
    @alive = grep { $_ != $pid } @alive;
    return slurp($out);
}

# --- instructions ---

sub answer {
    my ($c) = @_;
    my $text = '';
    while ($text !~ /\r\n\r\n/) { sysread $c, $text, 4096, length $text or die "no answer\n" }
    my ($length) = $text =~ /^Content-Length: (\d+)/im;
    my $whole = index($text, "\r\n\r\n") + 4 + ($length // 0);
    while (length $text < $whole) { sysread $c, $text, 4096, length $text or die "no answer\n" }
    return $text =~ m{\AHTTP/1.\d (\d+)} ? $1 : 0;
}

# Of all that one process does with connections, for that many requests with the same token.
sub counted {
    my ($name, $requests, $alg, $text) = @_;
    my $s = prepare($name, $alg, 1, threads => 1); # what threads keep each for themselves is counted once
    my $log = "$s->{dir}/callgrind";
    my $valgrind = 'valgrind -q --tool=callgrind --toggle-collect=ap_run_process_connection';
    chown +(getpwnam 'www-data')[2, 3], "$s->{dir}/signing.json" unless $>;
    my @as_user = $> ? () : ('setpriv', '--reuid=www-data', '--regid=www-data', '--clear-groups');
    $s->{pid} = spawn(undef, "$s->{dir}/console", @as_user, split(' ', $valgrind), "--callgrind-out-file=$log", command($s, '-X'));
    wait_port($s, $s);
    (my $token = slurp("$s->{tokens}/one")) =~ s/\s//g;
    $text //= request_text($token, '');
    my $c = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $s->{port}) or die "no connection\n";
    for (1 .. $requests) {
        print {$c} $text;
        my $status = answer($c);
        die "$name answers $status\n" if $status != 200;
    }
    close $c;
    kill 'TERM', $s->{pid};
    waitpid $s->{pid}, 0;
    @alive = grep { $_ != $s->{pid} } @alive;
    return slurp($log) =~ /^(?:summary|totals): (\d+)/m ? $1 : die "callgrind left nothing\n";
}

# Of one more request; text: another one than a GET with the token.
sub instructions_of {
    my ($name, %o) = @_;
    my @of = ($o{alg} // 'RS256', $o{text});
    return (counted($name, 300, @of) - counted($name, 44, @of)) / 256;
}

1;
