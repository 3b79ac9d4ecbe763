# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# Real backends, each a program of t/backends/programs with its own way to route and to read:
# started on loopback, asked directly and through the gateway. Every one answers in lines:
# "section=app" where its router takes the path for one below /app, "section=open" else, and
# "query=V", "form=V", "cookie=V", "header=V" for each value of client_id that it reads.
#
#   my @there = map { M2MGW::Backends::start($dir, $_) } M2MGW::Backends::installed($dir);
#   my $t = M2MGW::Test->start(config => M2MGW::Backends::hosts(@there), files => {
#       M2MGW::Backends::files() });                   # a gateway in front of all of them
#   my $direct = M2MGW::Backends::direct($t, $there[0], 'GET', '/app;x');
#   my @answers = M2MGW::Backends::through($t, $there[0], 'GET', '/app;x', "A: b\r\n", $body);
#
# through() asks twice: as httpd writes the path anew, and as the client wrote it (nocanon).
# A backend that did not start has a reason in {why}. What is started ends with the program
# that started it.
package M2MGW::Backends;

use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use IO::Select;
use IO::Socket::INET;
use M2MGW::Port;
use M2MGW::Token;
use POSIX ();
use Time::HiRes qw(sleep time);

my $PROGRAMS = dirname(dirname(dirname(abs_path(__FILE__)))) . '/backends/programs';
my %pid;

sub program {
    my ($name) = @_;
    for my $d (split(/:/, $ENV{PATH}), '/usr/sbin', '/usr/local/sbin') { return "$d/$name" if -x "$d/$name" }
    return;
}

# Debian's python3, which has Debian's modules.
sub python { return -x '/usr/bin/python3' ? '/usr/bin/python3' : program('python3') }
sub has_python { my ($module) = @_; return python() && system(python(), '-c', "import $module") == 0 }
sub has_perl { my ($module) = @_; return system("$^X -M$module -e 1 2>/dev/null") == 0 }
sub has_node { my ($dir, $module) = @_; return program('node') && -d "$dir/node_modules/$module" }
sub jars { return join ":", sort grep { -e && !/-\d[^\/]*\.jar\z/ } map { glob "/usr/share/java/$_" } @_ }

sub node {
    my ($dir, $port, $name) = @_;
    return ('env', "NODE_PATH=$dir/node_modules", program('node'), "$PROGRAMS/node.js", $port, $name);
}

sub gunicorn {
    my ($port, $app) = @_;
    return (program('gunicorn'), '--log-level', 'critical', '--chdir', $PROGRAMS, '-b', "127.0.0.1:$port", "wsgi:$app");
}

sub spew { my ($file, $text) = @_; open my $fh, '>', $file or die "$file: $!"; print $fh $text; close $fh; return $file }

# name, whether its programs are there, the command that serves on a port
my @ALL = (
    [ 'wsgiref', sub { python() }, sub { (python(), "$PROGRAMS/wsgi.py", $_[1]) } ],
    [ 'gunicorn', sub { program('gunicorn') }, sub { gunicorn($_[1], 'plain') } ],
    [ 'flask', sub { program('gunicorn') && has_python('flask') }, sub { gunicorn($_[1], 'flask_app') } ],
    [ 'django', sub { program('gunicorn') && has_python('django') }, sub { gunicorn($_[1], 'django_app') } ],
    [ 'starlette', sub { program('uvicorn') && has_python('starlette') },
      sub { (program('uvicorn'), '--log-level', 'critical', '--app-dir', $PROGRAMS, '--port', $_[1], 'asgi:app') } ],
    [ 'php', sub { program('php') }, sub { (program('php'), '-d', 'display_errors=0', '-S', "127.0.0.1:$_[1]", "$PROGRAMS/router.php") } ],
    [ 'rack', sub { program('rackup') }, sub { (program('rackup'), '-q', '-E', 'none', '-o', '127.0.0.1', '-p', $_[1], "$PROGRAMS/config.ru") } ],
    [ 'plack', sub { program('plackup') }, sub { (program('plackup'), '-E', 'none', '--host', '127.0.0.1', '--port', $_[1], "$PROGRAMS/app.psgi") } ],
    [ 'cgi', sub { has_perl('CGI') }, undef ], # run by httpd itself
    [ 'mojo', sub { has_perl('Mojolicious::Lite') }, sub { ($^X, "$PROGRAMS/mojo.pl", $_[1]) } ],
    [ 'node', sub { program('node') }, sub { node(@_, 'http') } ],
    [ 'express', sub { has_node($_[0], 'express') }, sub { node(@_, 'express') } ],
    [ 'koa', sub { has_node($_[0], 'koa') }, sub { node(@_, 'koa') } ],
    [ 'hapi', sub { has_node($_[0], '@hapi/hapi') }, sub { node(@_, 'hapi') } ],
    [ 'fastify', sub { has_node($_[0], 'fastify') }, sub { node(@_, 'fastify') } ],
    [ 'go', sub { program('go') }, sub {
        my ($dir, $port) = @_;
        local $ENV{GOCACHE} = "$dir/gocache";
        local $ENV{GO111MODULE} = 'off';
        system(program('go'), 'build', '-o', "$dir/go-backend", "$PROGRAMS/main.go") == 0 or return;
        return ("$dir/go-backend", $port);
    } ],
    [ 'jetty', sub { program('java') && jars('jetty9-server.jar') },
      sub { (program('java'), '-cp', jars('jetty9-*.jar', 'servlet-api.jar'), "$PROGRAMS/Jetty.java", $_[1]) } ],
    [ 'tomcat', sub { program('java') && jars('tomcat10-embed-core.jar') },
      sub { (program('java'), '-cp', jars('tomcat10-embed-*.jar', 'tomcat10-annotations-api.jar'), "$PROGRAMS/Catalina.java", $_[1], $_[0]) } ],
    [ 'nginx', sub { program('nginx') }, sub {
        my ($dir, $port) = @_;
        my $conf = spew("$dir/nginx.conf", <<"CONF");
daemon off; error_log stderr crit; pid $dir/nginx.pid;
events { }
http {
    access_log off; client_body_temp_path $dir/nginx-body; proxy_temp_path $dir/nginx-proxy;
    fastcgi_temp_path $dir/nginx-fcgi; uwsgi_temp_path $dir/nginx-uwsgi; scgi_temp_path $dir/nginx-scgi;
    server {
        listen 127.0.0.1:$port;
        location /app { return 200 "section=app\\nquery=\$arg_client_id\\ncookie=\$cookie_client_id\\nheader=\$http_x_client_id\\n"; }
        location / { return 200 "section=open\\n"; }
    }
}
CONF
        return (program('nginx'), '-e', 'stderr', '-p', $dir, '-c', $conf);
    } ],
    [ 'haproxy', sub { program('haproxy') }, sub {
        my ($dir, $port) = @_;
        return (program('haproxy'), '-q', '-db', '-f', spew("$dir/haproxy.cfg", <<"CONF"));
defaults
    mode http
    timeout client 5s
    timeout server 5s
    timeout connect 5s
frontend all
    bind 127.0.0.1:$port
    http-request return status 200 content-type text/plain lf-string "section=app\\nquery=%[urlp(client_id)]\\ncookie=%[req.cook(client_id)]\\nheader=%[req.hdr(x-client-id)]\\n" if { path,url_dec -m dir app } { path,url_dec -m beg /app }
    http-request return status 200 content-type text/plain string "section=open\\n"
CONF
    } ],
    [ 'varnish', sub { program('varnishd') }, sub {
        my ($dir, $port) = @_;
        my $vcl = spew("$dir/all.vcl", <<'VCL');
vcl 4.1;
backend none none;
sub vcl_recv {
    if (req.url ~ "^/app(/|$|\?)") { return (synth(200, "app")); }
    return (synth(200, "open"));
}
sub vcl_synth {
    set resp.body = "section=" + resp.reason + {"
"};
    return (deliver);
}
VCL
        return (program('varnishd'), '-F', '-j', 'none', '-n', "$dir/varnish", '-a', "127.0.0.1:$port", '-f', $vcl, '-s', 'malloc,16m');
    } ],
);

sub names { return map { $_->[0] } @ALL }
sub row { my ($name) = @_; return (grep { $_->[0] eq $name } @ALL)[0] // die "no backend $name\n" }

# The names of those whose programs are there; node's packages are looked for in $dir.
sub installed { my ($dir) = @_; return grep { row($_)->[1]->($dir) } names() }

sub start {
    my ($dir, $name) = @_;
    return { name => $name } if !row($name)->[2];
    my $b = { name => $name, port => M2MGW::Port::free(), log => "$dir/$name.log" };
    my @command = row($name)->[2]->($dir, $b->{port}) or return { %$b, why => 'it does not build' };
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        open STDIN, '<', '/dev/null';
        open STDOUT, '>', $b->{log} or POSIX::_exit(126);
        open STDERR, '>&', \*STDOUT;
        setpgrp;
        { no warnings 'exec'; exec { $command[0] } @command }
        POSIX::_exit(127);
    }
    $pid{$pid} = $$;
    for (1 .. 600) {
        return $b if IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $b->{port});
        last if waitpid($pid, POSIX::WNOHANG()) == $pid;
        sleep 0.1;
    }
    return { %$b, why => "it does not listen, see $b->{log}" };
}

# One request as it stands; the whole answer as text, empty when there is none in time.
sub ask {
    my ($port, $request) = @_;
    my $c = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Timeout => 5) or return '';
    my ($answer, $until) = ('', time + 10);
    local $SIG{PIPE} = 'IGNORE';
    syswrite $c, $request;
    while (time < $until && !complete($answer)) {
        IO::Select->new($c)->can_read($until - time) or last;
        sysread $c, $answer, 65536, length $answer or last;
    }
    return $answer;
}

sub complete {
    my ($answer) = @_;
    my ($head, $body) = split /\r?\n\r?\n/, $answer, 2;
    return if !defined $body;
    return length $body >= $1 if $head =~ /^content-length:\s*(\d+)/im;
    return $head =~ /^transfer-encoding:\s*chunked/im && $body =~ /(?:\A|\n)0\r\n\r\n\z/;
}

# --- a gateway in front of them ---

# The way to a backend, with an option of ProxyPass or without.
sub way {
    my ($b, $option) = @_;
    return "ScriptAlias / \@ROOT\@/cgi.cgi/" if !$b->{port};
    return "ProxyPass / http://127.0.0.1:$b->{port}/ $option";
}

# Virtual hosts NAME.test, NAME-raw.test and, where httpd itself runs it, NAME-direct.test. All
# is open but for /app and what /names maps.
sub hosts {
    return join '', map { my $b = $_; map { host($b, @$_) } [ '', '' ], [ '-raw', 'nocanon' ] } @_;
}

sub host {
    my ($b, $suffix, $option) = @_;
    my $way = way($b, $option);
    my $direct = $b->{port} || $suffix ? '' : <<"VHOST";
<VirtualHost *>
    ServerName $b->{name}-direct.test
    M2MEngine Off
    AllowEncodedSlashes NoDecode
    $way
</VirtualHost>
VHOST
    return $direct . <<"VHOST";
<VirtualHost *>
    ServerName $b->{name}$suffix.test
    AllowEncodedSlashes NoDecode
    $way
    <Location /app>
        M2MJwks file:\@ROOT\@/k.json
        M2MClaim client_id query:client_id form:client_id header:X-Client-Id
    </Location>
</VirtualHost>
VHOST
}

sub files {
    open my $fh, '<', "$PROGRAMS/cgi.cgi" or die "cgi.cgi: $!";
    local $/;
    return ('k.json' => jwk_json('oct'), 'cgi.cgi' => <$fh>);
}

sub request {
    my ($method, $path, $host, $headers, $body) = @_;
    $headers = ($headers // '') . 'Content-Length: ' . length($body) . "\r\n" if defined $body;
    return "$method $path HTTP/1.1\r\nHost: $host.test\r\nConnection: close\r\n" . ($headers // '') . "\r\n" . ($body // '');
}

sub direct {
    my ($t, $b, $method, $path, @more) = @_;
    return ask($b->{port} // $t->port, request($method, $path, "$b->{name}-direct", @more));
}

sub through {
    my ($t, $b, $method, $path, @more) = @_;
    return map { ask($t->port, request($method, $path, "$b->{name}$_", @more)) } '', '-raw';
}

sub section { my ($answer) = @_; return $answer =~ /^section=(\w+)/m ? $1 : '' }
sub status { my ($answer) = @_; return $answer =~ m{\AHTTP/\d\S* (\d+)} ? $1 : 0 }

# Whether a reading of client_id is the client's own word.
sub forged { my ($answer) = @_; return $answer =~ /^(?!section)\w+=.*FORGED/m ? 1 : 0 }

# What of the ordinary does not hold for a backend and its gateway: sentences.
sub controls {
    my ($t, $b, $token) = @_;
    my @faults;
    for my $case ([ '/app/x', 'app' ], [ '/open', 'open' ]) {
        my $section = section(direct($t, $b, 'GET', $case->[0]));
        push @faults, "$b->{name}: $case->[0] is read as '$section'" if $section ne $case->[1];
    }
    for my $answer (through($t, $b, 'GET', '/open')) {
        push @faults, "$b->{name}: /open does not pass" if section($answer) ne 'open';
    }
    for my $answer (through($t, $b, 'GET', '/app/x', "Authorization: Bearer $token\r\n")) {
        push @faults, "$b->{name}: a token does not open /app/x" if section($answer) ne 'app';
    }
    for my $answer (through($t, $b, 'GET', '/app/x')) {
        push @faults, "$b->{name}: /app/x is open" if status($answer) != 401;
    }
    return @faults;
}

sub stop {
    for my $pid (grep { $pid{$_} == $$ } keys %pid) {
        delete $pid{$pid};
        kill TERM => -$pid;
        for (1 .. 50) { last if waitpid($pid, POSIX::WNOHANG()) != 0; sleep 0.1 }
        kill KILL => -$pid;
        waitpid $pid, 0;
    }
}

END { local $?; stop() }

1;
