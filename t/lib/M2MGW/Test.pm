# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# One httpd of its own for every suite, with the module, in front of backends that write down
# what reaches them. A suite states its configuration next to its cases:
#
#   use M2MGW::Test;
#   my $t = M2MGW::Test->start(config => <<'CONF', files => { 'keys.json' => jwks_json(...) });
#   <Location /api>
#       M2MJwks file:@ROOT@/keys.json
#       ProxyPass http://@BACKEND@/api
#   </Location>
#   CONF
#   my $r = $t->get('/api', token => mint('rsa', { sub => 'a' }));
#   passes($r, 'a good token');
#   denies($t->get('/api'), 401, 'token_missing', 'no token');
#   $t->finish;
#
# Replaced in configuration and files: @PORT@ (@PORT:name@ for more), @BACKEND@ and
# @BACKEND2@ (host:port), @ROOT@ (server root, also of files), @DOCROOT@, @ISSUER_MODULE@.
# finish() stops the server and asserts that the error log holds no line the suite did not
# announce with expect_log(), and that no log holds text of a token.
#
# Environment: M2MGW_BUILD (build directory), M2MGW_MPM (event, prefork, worker), HTTPD,
# HTTPD_MODULES, M2MGW_PRELOAD (libraries for LD_PRELOAD of httpd), M2MGW_RUNNER (words before
# httpd, such as "setarch -R"), M2MGW_KEEP=1 (keep the server root), M2MGW_LOGLEVEL.
package M2MGW::Test;

use strict;
use warnings;
use Cwd qw(abs_path);
use Exporter 'import';
use File::Basename qw(basename dirname);
use File::Path qw(make_path remove_tree);
use File::Temp ();
use IO::Socket::INET;
use JSON::PP ();
use POSIX ();
use Test::More;
use Time::HiRes qw(sleep time);
use M2MGW::Client;
use M2MGW::Port;
use M2MGW::Token;

our @EXPORT = (@Test::More::EXPORT, @M2MGW::Token::EXPORT, qw(passes denies reached_nothing shows_no_token
    slurp spew httpd_program try_config));

my $LIB = dirname(dirname(abs_path(__FILE__)));
my @alive; # what a suite that dies leaves to END

umask 0022; # children of a root httpd read what suites write
$ENV{LC_ALL} = 'C'; # messages are read, and a locale may be named that is not there

# --- where things are ---

sub build_dir { $ENV{M2MGW_BUILD} || die "M2MGW_BUILD is not set: run t/TEST BUILD_DIR\n" }
sub mpm { $ENV{M2MGW_MPM} || 'event' }

sub built {
    my ($name) = @_;
    my $env = $ENV{ 'M2MGW_' . uc $name };
    return $env if $env;
    my $b = build_dir();
    for my $d ($b, "$b/mod_m2mgw", "$b/mod_m2mgw/issuer", "$b/issuer") {
        for my $f ("$d/.libs/$name.so", "$d/$name.so") { return abs_path($f) if -f $f }
    }
    return;
}

sub m2mctl {
    my $b = build_dir();
    for my $f ("$b/m2mctl", "$b/mod_m2mgw/m2mctl") { return $f if -x $f }
    return;
}

sub httpd_program {
    return $ENV{HTTPD} if $ENV{HTTPD};
    for my $p (qw(/usr/sbin/apache2 /usr/sbin/httpd /usr/local/apache2/bin/httpd)) {
        return $p if -x $p;
    }
    die "no httpd found; set HTTPD\n";
}

sub modules_dir {
    return $ENV{HTTPD_MODULES} if $ENV{HTTPD_MODULES};
    for my $d (qw(/usr/lib/apache2/modules /usr/lib64/httpd/modules
                  /usr/local/apache2/modules)) {
        return $d if -d $d;
    }
    die "no directory of httpd modules found; set HTTPD_MODULES\n";
}

# what a suite may use without asking
my @MODULES = qw(authn_core authn_file auth_basic authz_core authz_host authz_user access_compat
    alias dir mime negotiation actions rewrite headers env setenvif proxy proxy_http proxy_wstunnel
    proxy_balancer lbmethod_byrequests slotmem_shm socache_shmcb cache cache_disk cache_socache
    include status remoteip autoindex request cgid allowmethods buffer);

# The programs of t/interop beside the packages that they need. Two suites may want them at once, and
# neither may see one that is half written.
sub interop_programs {
    my ($dir) = @_;
    for my $file (glob dirname($LIB) . '/interop/*.mjs') {
        my $to = "$dir/" . basename($file);
        next if -e $to && slurp($to) eq slurp($file);
        spew("$to.$$", slurp($file));
        rename "$to.$$", $to or die "$to: $!";
    }
}

# --- start ---

sub start {
    my ($class, %o) = @_;
    return $class->prepare(%o)->begin($o{config});
}

# The second half of start(), for suites that have to touch files in between.
sub begin {
    my ($self, $config) = @_;
    push @alive, $self;
    $self->backends;
    $self->write_config($config);
    $self->launch;
    return $self;
}

# A server root with the files of the suite, and nothing started yet.
sub prepare {
    my ($class, %o) = @_;
    my $root = File::Temp::tempdir('m2mgw-test-XXXXXX', TMPDIR => 1);
    chmod 0755, $root;
    my $self = bless { root => abs_path($root), ports => {}, pid => 0, expected => [], o => \%o,
                       secrets => [], loglevel => $ENV{M2MGW_LOGLEVEL}, owner => $$ }, $class;
    make_path(map { "$self->{root}/$_" } qw(logs htdocs run cache conf state));
    # what the server writes is the server's, and nobody else's
    chown +(getpwnam user())[2, 3], map { "$self->{root}/$_" } qw(logs run cache state) unless $>;
    spew("$self->{root}/htdocs/index.html", "index\n");
    my %files = %{ $o{files} // {} };
    $self->file($_, $files{$_}) for sort keys %files;
    return $self;
}

# Write a file below the server root, with the placeholders filled.
sub file {
    my ($self, $name, $text) = @_;
    my $path = "$self->{root}/$name";
    make_path(dirname($path));
    spew($path, $self->fill($text));
    chmod 0755, $path if $name =~ /\.(?:cgi|sh)\z/;
    return $path;
}

sub fill {
    my ($self, $text) = @_;
    $text =~ s/\@ROOT\@/$self->{root}/g;
    $text =~ s/\@DOCROOT\@/$self->{root}\/htdocs/g;
    $text =~ s/\@BACKEND(\d?)\@/'127.0.0.1:' . ($self->{"backend$1"} \/\/ 9)/ge;
    $text =~ s/\@PORT(?::(\w+))?\@/$self->port($1)/ge;
    $text =~ s/\@ISSUER_MODULE\@/built('mod_m2m_issuer')/ge;
    return $text;
}

# A loopback port of our own, the same for the same name.
sub port {
    my ($self, $name) = @_;
    return $self->{ports}{ $name // 'main' } //= M2MGW::Port::free();
}

sub backends {
    my ($self) = @_;
    $self->remember;
    for my $n ('', 2) {
        my $log = "$self->{root}/backend$n.log";
        my $pid = open my $out, '-|';
        if (!$pid) {
            no warnings 'exec';
            exec $^X, "-I$LIB", '-MM2MGW::Backend', '-e', 'M2MGW::Backend::run(@ARGV)', $log,
                "b$n";
            POSIX::_exit(127);
        }
        chomp($self->{"backend$n"} = <$out>);
        $self->{"backend_out$n"} = $out;
        $self->{"backend_log$n"} = $log;
        $self->{"backend_at$n"} = 0;
        push @{ $self->{children} }, $pid;
    }
}

sub load_modules {
    my ($self) = @_;
    my $dir = modules_dir();
    my @names = ('mpm_' . mpm(), 'unixd', 'log_config', @MODULES, @{ $self->{o}{modules} // [] });
    my %without = map { $_ => 1 } @{ $self->{o}{without} // [] };
    my $out = '';
    for my $n (grep { !$without{$_} } @names) {
        next if !-f "$dir/mod_$n.so";
        $out .= "<IfModule !${n}_module>\n  LoadModule ${n}_module $dir/mod_$n.so\n</IfModule>\n";
    }
    my $m2 = built('mod_m2mgw') or die 'mod_m2mgw.so not found below ' . build_dir() . "\n";
    $out .= "LoadModule m2mgw_module $m2\n" if $self->{o}{gateway} // 1;
    my $issuer = built('mod_m2m_issuer');
    $out .= "LoadModule m2m_issuer_module $issuer\n" if $issuer && $self->{o}{issuer};
    return $out;
}

# Whom the children run as, when it is root that starts them.
sub user { return (grep { defined getpwnam $_ } qw(www-data apache nobody))[0] }

sub base_config {
    my ($self) = @_;
    my $r = $self->{root};
    my $user = $> ? '' : 'User ' . user() . "\nGroup " . getgrgid((getpwnam user())[3]) . "\n";
    my $level = $self->{loglevel} // $self->{o}{loglevel} // 'debug m2mgw:trace8';
    my $mpm = mpm() eq 'prefork'
        ? "StartServers 4\nMinSpareServers 2\nMaxSpareServers 8\nMaxRequestWorkers 24\n"
        : "StartServers 2\nThreadsPerChild 8\nMinSpareThreads 4\nMaxSpareThreads 32\n"
          . "MaxRequestWorkers 32\n";
    my $port = $self->port;
    return $self->load_modules . <<"CONF";
ServerRoot $r
ServerName gw.test
${user}PidFile $r/run/httpd.pid
DefaultRuntimeDir $r/run
<IfModule cgid_module>
    ScriptSock $r/run/cgisock
</IfModule>
Mutex file:$r/run default
$mpm
Listen 127.0.0.1:$port
Timeout 60
KeepAliveTimeout 60
DocumentRoot $r/htdocs
ErrorLog $r/logs/error.log
LogLevel $level
LogFormat "%h %l %u %t \\"%r\\" %>s %b \\"%{M2M_DECISION}e\\" \\"%{M2M_REASON}e\\"" test
CustomLog $r/logs/access.log test
TypesConfig /dev/null
Header always set X-Reason "%{M2M_REASON}e" "expr=-n reqenv('M2M_REASON')"
Header always set X-Reason "%{REDIRECT_M2M_REASON}e" "expr=-n reqenv('REDIRECT_M2M_REASON')"
Header always set X-Decision "%{M2M_DECISION}e" "expr=-n reqenv('M2M_DECISION')"
<Directory />
    AllowOverride None
    Require all granted
</Directory>
CONF
}

sub write_config {
    my ($self, $text) = @_;
    spew("$self->{root}/conf/suite.conf", $self->fill($text));
    spew("$self->{root}/conf/httpd.conf",
         $self->base_config . "Include $self->{root}/conf/suite.conf\n");
}

# The words of a command: httpd with what it has to be loaded with.
sub command {
    my ($self, @args) = @_;
    my @env = ((split ' ', $ENV{M2MGW_RUNNER} // ''),
               $ENV{M2MGW_PRELOAD} ? ('env', "LD_PRELOAD=$ENV{M2MGW_PRELOAD}") : ());
    return (@env, httpd_program(), '-f', "$self->{root}/conf/httpd.conf",
            (map { "-D$_" } @{ $self->{o}{define} // [] }), @args);
}

sub remember {
    my ($self) = @_;
    push @alive, $self if !grep { $_ == $self } @alive;
}

sub launch {
    my ($self) = @_;
    $self->remember;
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        open STDOUT, '>>', "$self->{root}/logs/console" or die $!;
        open STDERR, '>&', \*STDOUT or die $!;
        setpgrp;
        no warnings 'exec';
        exec $self->command('-DFOREGROUND');
        POSIX::_exit(127);
    }
    $self->{pid} = $pid;
    $self->wait_ready or $self->give_up('httpd did not start');
}

sub wait_ready {
    my ($self) = @_;
    for (1 .. 12_000) {
        my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->port);
        return 1 if $s;
        if (waitpid($self->{pid}, POSIX::WNOHANG()) == $self->{pid}) {
            $self->{pid} = 0;
            return 0;
        }
        sleep 0.01;
    }
    return 0;
}

sub give_up {
    my ($self, $why) = @_;
    diag($why);
    diag(slurp($_)) for grep { -s } "$self->{root}/logs/console";
    diag(join "\n", grep { !/\bdebug\]|:trace\d\]/ } split /\n/, $self->error_log);
    BAIL_OUT($why) if $ENV{M2MGW_BAIL};
    die "$why\n";
}

# httpd -t over a configuration: (exit status, what it printed). Any suite may call it; the
# same placeholders are filled, %o as for start().
sub try_config {
    my ($config, %o) = @_;
    my $self = M2MGW::Test->prepare(%o);
    $self->write_config($config);
    my $pid = open(my $out, '-|') // die "fork: $!";
    if (!$pid) {
        open STDERR, '>&', \*STDOUT;
        no warnings 'exec';
        exec $self->command('-t', @{ $o{args} // [] });
        POSIX::_exit(127);
    }
    local $/;
    my $text = <$out> // '';
    close $out;
    my $status = $? >> 8;
    my $log = $self->error_log;
    remove_tree($self->{root});
    return ($status, $text . $log);
}

# --- requests ---

# request(METHOD, URL, options): token (Authorization: Bearer), headers => [[n, v]...] or
# [n => v, ...], body, proto, host (undef: none), port, client (reuse a connection).
sub request {
    my ($self, $method, $url, %o) = @_;
    my @h = pairs($o{headers});
    my $proto = $o{proto} // 'HTTP/1.1';
    my $host = exists $o{host} ? $o{host} : 'gw.test';
    unshift @h, ['Authorization', "Bearer $o{token}"] if defined $o{token};
    unshift @h, ['Host', $host] if defined $host;
    push @h, ['Connection', 'close'] if !$o{client} && !grep { lc $_->[0] eq 'connection' } @h;
    push @h, ['Content-Length', length $o{body}]
        if defined $o{body} && !grep { lc($_->[0]) =~ /^(?:content-length|transfer-encoding)$/ } @h;
    my $text = "$method $url $proto\r\n" . join('', map { "$_->[0]: $_->[1]\r\n" } @h) . "\r\n";
    return $self->exchange($method, $text . ($o{body} // ''), %o);
}

sub get { my ($self, $url, %o) = @_; return $self->request($o{method} // 'GET', $url, %o) }
sub post { my ($self, $url, $body, %o) = @_; return $self->request('POST', $url, %o, body => $body) }

sub pairs {
    my ($list) = @_;
    my @in = @{ $list // [] };
    return @in if !@in || ref $in[0];
    my @out;
    while (my ($n, $v) = splice @in, 0, 2) { push @out, [$n, $v] }
    return @out;
}

# Send bytes, take one response, and note what the backends received meanwhile.
sub exchange {
    my ($self, $method, $bytes, %o) = @_;
    $self->backend_new;
    my $c = $o{client} // $self->client(%o);
    $c->send_bytes($bytes);
    my $r = $c->response($method)
        // bless({ status => 0, headers => [], body => '', interim => [] }, 'M2MGW::Response');
    $c->close if !$o{client};
    $r->{backend} = [ $self->backend_new ];
    return $r;
}

# Raw bytes, all responses until the server closes or falls silent.
sub raw {
    my ($self, $bytes, %o) = @_;
    $self->backend_new;
    my $c = $self->client(timeout => $o{timeout} // 3, %o);
    $c->send_bytes($bytes);
    my @r;
    while (my $r = $c->response) {
        push @r, $r;
        last if $o{n} && @r == $o{n} || !$r->status;
    }
    $c->close;
    my @backend = $self->backend_new;
    $_->{backend} = \@backend for @r;
    return wantarray ? @r : $r[0];
}

sub client {
    my ($self, %o) = @_;
    return M2MGW::Client->new(port => $o{port} // $self->port, timeout => $o{timeout});
}

# Entries the backends wrote since the last call.
sub backend_new {
    my ($self) = @_;
    my @new;
    for my $n ('', 2) {
        next if !$self->{"backend_log$n"};
        open my $fh, '<:raw', $self->{"backend_log$n"} or next;
        seek $fh, $self->{"backend_at$n"}, 0;
        while (my $line = <$fh>) {
            last if $line !~ /\n\z/;
            $self->{"backend_at$n"} += length $line;
            push @new, JSON::PP::decode_json($line);
        }
    }
    return @new;
}

# --- assertions ---

sub describe {
    my ($r) = @_;
    return sprintf "status %s, reason '%s', backend received %d: %s\n%s", $r->status // '-',
        $r->reason, $r->reached, join(' | ', map { $_->{line} // '?' } $r->backend),
        substr $r->body, 0, 300;
}

# The request was answered 200 by the backend, which received it once.
sub passes {
    my ($r, $name, %o) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $status = $o{status} // 200;
    my $want = $o{reached} // 1;
    my $good = $r->status == $status && $r->reached == $want;
    ok($good, "passes: $name") or diag(describe($r));
    return $good;
}

# The request was refused: status, reason, and nothing reached a backend.
sub denies {
    my ($r, $status, $reason, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $good = $r->status == $status && $r->reason eq $reason && !$r->reached;
    ok($good, "denies $reason: $name")
        or diag("expected $status, reason '$reason'; " . describe($r));
    return $good;
}

# Nothing reached a backend, whatever the answer; and it was no success.
sub reached_nothing {
    my ($r, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $good = !$r->reached && $r->status !~ /\A2/;
    ok($good, "reaches nothing: $name") or diag(describe($r));
    return $good;
}

# A text holds no header and no claims of a token.
sub shows_no_token {
    my ($text, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my @words = jws_in($text);
    return ok(!@words, $name) || diag(join ' ', @words);
}

# --- the end ---

sub expect_log { my ($self, @re) = @_; push @{ $self->{expected} }, @re }
sub secret { my ($self, @text) = @_; push @{ $self->{secrets} }, @text }
sub error_log { my ($self) = @_; my $f = "$self->{root}/logs/error.log"; -e $f ? slurp($f) : '' }
# a request is logged behind its answer
sub access_log { my ($self) = @_; $self->let_finish; my $f = "$self->{root}/logs/access.log"; -e $f ? slurp($f) : '' }

# The processes below one, at any depth.
sub below {
    my ($pid) = @_;
    my @all;
    for my $file (glob "/proc/$pid/task/*/children") {
        open my $fh, '<', $file or next;
        push @all, map { ($_, below($_)) } split ' ', <$fh> // '';
    }
    return @all;
}

# Whether a thread of the server has something to do: it runs, or waits for a processor or a disk.
sub at_work {
    my ($self) = @_;
    for my $file (map { glob "/proc/$_/task/*/stat" } $self->{pid}, below($self->{pid})) {
        open my $fh, '<', $file or next;
        return 1 if (<$fh> // '') =~ /\A.*\) [RD] /s;
    }
    return 0;
}

# Until what was answered is logged and counted, too, which is done behind the answer: nobody is
# at work. httpd's event MPM crashes now and then when the order to stop finds a worker at the very
# end of a request: its main thread looks for the socket in memory that the worker is giving back.
sub let_finish {
    for my $t (ref $_[0] ? $_[0] : @alive) {
        next if !$t->{pid};
        if (!-e "/proc/$t->{pid}/task/$t->{pid}/children") { sleep 0.3; next }
        for (my ($still, $end) = (0, time + 10); $still < 3 && time < $end;) {
            $still = $t->at_work ? 0 : $still + 1;
            sleep 0.005;
        }
    }
}

# Until $is->() is true, before long, however slow the machine is: what it gave.
sub before_long {
    my ($is, $seconds) = @_;
    for (my $end = time + ($seconds // 60); ; sleep 0.02) {
        my $got = $is->();
        return $got if $got || time > $end;
    }
}

# Until it is so in every process, of which each finds out by itself within two seconds: as often as
# it is asked for a while. Whether it came to that.
sub holds {
    my ($is) = @_;
    my ($n, $since) = (0, time);
    return before_long(sub {
        if (!$is->()) { ($n, $since) = (0, time); return 0 }
        return ++$n >= 12 && time - $since > 1.2;
    });
}

# Asserts that.
sub everywhere {
    my ($self, $name, $is) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return ok(holds($is), $name);
}

# stop(SIGNAL, busy => 1): in the middle of what it does
sub stop {
    my ($self, $signal, %o) = @_;
    return if !$self->{pid};
    $o{busy} ? sleep 0.1 : $self->let_finish;
    kill $signal // 'TERM', $self->{pid};
    for (1 .. 6000) {
        if (waitpid($self->{pid}, POSIX::WNOHANG()) == $self->{pid}) {
            kill 'KILL', -$self->{pid} if $?; # children of one that crashed
            $self->{pid} = 0;
            return 1;
        }
        sleep 0.01;
    }
    kill 'KILL', -$self->{pid};
    waitpid $self->{pid}, 0;
    $self->{pid} = 0;
    return 0;
}

# Sockets on which the main port is listened to.
sub listening {
    my ($self) = @_;
    my $port = sprintf '%04X', $self->port;
    open my $fh, '<', '/proc/net/tcp' or return;
    return map { /\A\s*\d+: \S+:$port \S+ 0A (?:\S+ +){5}(\d+)/ ? "socket:[$1]" : () } <$fh>;
}

# Whether one of these processes still takes connections.
sub takes {
    my ($self, @pids) = @_;
    my %socket = map { $_ => 1 } $self->listening;
    return scalar grep { $socket{ readlink($_) // '' } } map { glob "/proc/$_/fd/*" } @pids;
}

# Graceful restart (USR1) or HUP, and wait until the new generation, and no process of the one
# before, takes requests; busy as for stop().
sub reload {
    my ($self, $signal, %o) = @_;
    my $before = () = $self->error_log =~ /resuming normal operations/g;
    my @old = below($self->{pid});
    $o{busy} ? sleep 0.1 : $self->let_finish;
    kill $signal // 'USR1', $self->{pid};
    return before_long(sub { my $n = () = $self->error_log =~ /resuming normal operations/g; $n > $before })
        && before_long(sub { !$self->takes(@old) });
}

# What httpd itself may say in any suite.
my @HARMLESS = (
    qr{AH10159: server is within MinSpareThreads|AH00(?:161|484): server reached MaxRequestWorkers},
    qr/AH00170|caught SIGWINCH|AH00169|caught SIGTERM/,
    qr/AH00489|AH00292|AH00163|AH00094|resuming normal operations|Command line/,
    qr/AH00493|AH00171|AH00297|Graceful restart requested|SIGUSR1|SIGHUP/,
    qr/AH00045|did not exit, sending another SIGTERM/,
    qr/AH03490|AH03092/, # a graceful restart, and a stop, on a machine that is busy
    qr/AH01630: client denied by server configuration/,
    qr/AH02282|No slotmem from mod_heartmonitor/,
    qr/AH01882/, # a libssl older than the package of httpd was built with: the machine's business
);

# Lines at warn or worse, crashes and sanitizer reports that nobody announced.
sub unexpected {
    my ($self) = @_;
    my @bad;
    for my $line (split /\n/, $self->error_log) {
        my $serious = $line =~ /^\[[^\]]*\] \[\w*:(?:emerg|alert|crit|error|warn)\]/
            || $line =~ /exit signal|Sanitizer|runtime error:|Segmentation|assert/i
            || $line !~ /^\[/;
        next if !$serious || $line eq '';
        next if grep { $line =~ $_ } @HARMLESS, @{ $self->{expected} };
        push @bad, $line;
    }
    return @bad;
}

# Text of tokens in a log: any third or second part of a token made here, anything that
# starts like a JWS header, and what the suite called a secret.
sub leaks {
    my ($self, $log) = @_;
    my %part;
    for my $t (minted()) {
        my (undef, $payload, $sig) = split /\./, $t;
        $part{$_} = 1 for grep { defined && length >= 20 } $payload, $sig;
    }
    my @bad;
    push @bad, map { "token header: $_" } jws_in($log);
    for my $p (keys %part, @{ $self->{secrets} }) {
        push @bad, "text: $p" if index($log, $p) >= 0;
    }
    return @bad;
}

# Words that are the beginning of a token's header or claims: base64url of `{"` that goes on with text,
# which what is random, such as the id of a request, does not.
sub jws_in {
    my ($text) = @_;
    return grep { unb64($_) =~ /\A\{"(?:[a-z]{3}":|[ -~]{9})/ } $text =~ /(?=(eyJ[A-Za-z0-9_-]{8,13}))/g;
}

# Stop and hold the logs against what was announced. access_log => 0 where tokens are sent in
# a query the module was not told of.
sub finish {
    my ($self, %o) = @_;
    ok($self->stop, 'the server stops when told to') if $self->{pid};
    my @bad = $self->unexpected;
    ok(!@bad, 'no unexpected line in the error log')
        or diag(join "\n", @bad[0 .. ($#bad > 19 ? 19 : $#bad)]);
    my @leak = $self->leaks($self->error_log);
    push @leak, map { "access log: $_" } $self->leaks($self->access_log) if $o{access_log} // 1;
    ok(!@leak, 'no text of a token in a log')
        or diag(join "\n", map { substr $_, 0, 300 } @leak[0 .. ($#leak > 9 ? 9 : $#leak)]);
    $self->clean;
    done_testing() if !$o{more};
}

sub clean {
    my ($self) = @_;
    return if $self->{owner} != $$;
    $self->stop if $self->{pid};
    kill 'TERM', $_ for @{ $self->{children} // [] };
    for my $n ('', 2) { close $self->{"backend_out$n"} if $self->{"backend_out$n"} }
    $self->{children} = [];
    my $failed = !Test::More->builder->is_passing || $ENV{M2MGW_KEEP};
    if ($failed) { diag("server root kept: $self->{root}") if !$self->{told}++ }
    else { remove_tree($self->{root}) }
    @alive = grep { $_ != $self } @alive;
}

$SIG{$_} = sub { exit 1 } for qw(INT TERM HUP);

# A suite that hangs is a failure, not the end of all testing. (t/TEST, which asks this file
# where the modules are, takes as long as all suites together.)
$SIG{ALRM} = sub {
    print STDERR "# the suite took too long and is ended\n";
    for my $t (@alive) {
        kill 'KILL', -$t->{pid} if $t->{pid};
        kill 'KILL', @{ $t->{children} // [] };
    }
    POSIX::_exit(124);
};
alarm($ENV{M2MGW_SUITE_SECONDS} // 600) if $0 =~ /\.t\z/;

END {
    my $status = $?;
    for my $left (@{ [@alive] }) { eval { $left->clean } } # a copy: clean() takes it out
    $? = $status;
}

sub slurp {
    my ($file) = @_;
    open my $fh, '<:raw', $file or die "$file: $!";
    local $/;
    return scalar(<$fh>) // '';
}

sub spew {
    my ($file, $text) = @_;
    open my $fh, '>:raw', $file or die "$file: $!";
    print {$fh} $text;
    close $fh;
}

1;
