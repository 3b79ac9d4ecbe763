# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# An identity server that does as it is told: a TLS server on loopback, with a certificate of
# a private CA made here, whose answers a suite writes and rewrites while it runs.
#
#   my $idp = M2MGW::Idp->start($dir);
#   $idp->serve('/jwks', body => $json, headers => { ETag => '"1"' });
#   ... $idp->url('/jwks') ... $idp->ca ... $idp->count('/jwks') ... $idp->heads('/jwks') ...
#   $idp->down; $idp->up;
#
# Options of serve: status, headers, body, delay (seconds before the answer), drip (seconds
# between two bytes), repeat (the body so many times), type, close (without an answer).
package M2MGW::Idp;

use strict;
use warnings;
use IO::Socket::INET;
use IO::Socket::SSL;
use JSON::PP ();
use M2MGW::Port;
use POSIX ();
use Time::HiRes qw(sleep);

my $json = JSON::PP->new->latin1->canonical;

sub start {
    my ($class, $dir, %o) = @_;
    mkdir $dir;
    my $self = bless { dir => $dir, owner => $$, port => M2MGW::Port::free(), %o }, $class;
    $self->make_certificates if !-f "$dir/ca.pem";
    $self->up;
    return $self;
}

sub url { my ($self, $path) = @_; return ($self->{clear} ? 'http' : 'https') . "://localhost:$self->{port}$path" }
sub ca { $_[0]{dir} . '/ca.pem' }
sub stranger { $_[0]{dir} . '/other.pem' }
sub client_cert { $_[0]{dir} . '/client.pem' }
sub client_key { $_[0]{dir} . '/client.key' }

sub run {
    my (@cmd) = @_;
    my $out = `@cmd 2>&1`;
    die "@cmd: $out" if $?;
}

sub make_certificates {
    my ($self) = @_;
    my $d = $self->{dir};
    for my $ca (qw(ca other)) {
        run("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30",
            "-subj /CN=$ca -keyout $d/$ca.key -out $d/$ca.pem");
    }
    for my $who (qw(server client)) {
        open my $ext, '>', "$d/$who.ext" or die $!;
        print {$ext} "subjectAltName=DNS:localhost,IP:127.0.0.1\n";
        close $ext;
        run("openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=$who",
            "-keyout $d/$who.key -out $d/$who.csr");
        run("openssl x509 -req -in $d/$who.csr -CA $d/ca.pem -CAkey $d/ca.key -CAcreateserial",
            "-days 30 -extfile $d/$who.ext -out $d/$who.pem");
    }
    chmod 0644, glob("$d/*.pem"), glob("$d/*.key");
}

sub name_of { my ($path) = @_; (my $n = $path) =~ s/[^A-Za-z0-9]/_/g; return $n }

sub serve {
    my ($self, $path, %o) = @_;
    my $file = "$self->{dir}/path" . name_of($path);
    open my $fh, '>:raw', "$file.new" or die $!;
    print {$fh} $json->encode({ status => 200, %o });
    close $fh;
    rename "$file.new", $file;
}

# Requests for a path so far.
sub count {
    my ($self, $path) = @_;
    open my $fh, '<', "$self->{dir}/log" or return 0;
    return scalar grep { (split / /)[1] eq $path } <$fh>;
}

sub last_request {
    my ($self, $path) = @_;
    open my $fh, '<', "$self->{dir}/log" or return '';
    my @all = grep { (split / /)[1] eq $path } <$fh>;
    return $all[-1] // '';
}

# The heads of all requests for a path so far, one after the other.
sub heads {
    my ($self, $path) = @_;
    open my $fh, '<:raw', "$self->{dir}/heads" or return '';
    local $/;
    return join '', grep { (split / /)[1] eq $path } split /^(?=[A-Z]+ \S+ HTTP)/m, <$fh>;
}

sub down {
    my ($self) = @_;
    return if !$self->{pid};
    kill 'KILL', -$self->{pid};
    waitpid delete $self->{pid}, 0;
}

sub up {
    my ($self) = @_;
    return if $self->{pid};
    my $pid = fork // die $!;
    if (!$pid) {
        setpgrp;
        $SIG{CHLD} = 'IGNORE';
        $SIG{TERM} = $SIG{INT} = 'DEFAULT';
        eval { $self->listen };
        print STDERR $@ if $@;
        POSIX::_exit(1);
    }
    $self->{pid} = $pid;
    for (1 .. 6000) {
        return if IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{port});
        sleep 0.01;
    }
    die 'the identity server does not come up';
}

sub listen {
    my ($self) = @_;
    my $server;
    for (1 .. 600) {
        last if $server = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 128,
            LocalPort => $self->{port}, ReuseAddr => 1);
        sleep 0.1;
    }
    die "cannot listen: $!" if !$server;
    while (1) {
        my $c = $server->accept or next;
        my $pid = fork // next;
        if (!$pid) {
            $SIG{ALRM} = sub { POSIX::_exit(0) };
            alarm 120;
            close $server;
            eval { $self->answer($c) };
            POSIX::_exit(0);
        }
        close $c;
    }
}

sub answer {
    my ($self, $c) = @_;
    my $d = $self->{dir};
    if (!$self->{clear}) {
        my $mtls = -e "$d/want_client";
        IO::Socket::SSL->start_SSL($c, SSL_server => 1, SSL_cert_file => "$d/server.pem",
            SSL_key_file => "$d/server.key", SSL_ca_file => "$d/ca.pem",
            SSL_verify_mode => $mtls ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT
                                     : SSL_VERIFY_NONE) or return;
    }
    my $head = '';
    while ($head !~ /\r\n\r\n/) {
        sysread $c, my $more, 4096 or return;
        $head .= $more;
    }
    my ($method, $path) = $head =~ /\A(\S+) (\S+)/;
    my ($match) = $head =~ /^If-None-Match: (\S+)/mi;
    open my $log, '>>', "$d/log" or die $!;
    syswrite $log, "$method $path " . ($match // '-') . "\n";
    close $log;
    open my $heads, '>>:raw', "$d/heads" or die $!;
    syswrite $heads, $head;
    close $heads;
    $self->reply($c, $path, $match);
}

sub reply {
    my ($self, $c, $path, $match) = @_;
    my $file = "$self->{dir}/path" . name_of($path);
    my $o = { status => 404, body => '' };
    if (open my $fh, '<:raw', $file) { local $/; $o = $json->decode(<$fh>) }
    sleep $o->{delay} if $o->{delay};
    if ($o->{close}) { close $c; return }
    my $body = ($o->{body} // '') x ($o->{repeat} // 1);
    my %h = ('Content-Type' => $o->{type} // 'application/json', %{ $o->{headers} // {} });
    if ($match && ($h{ETag} // '') eq $match) { $o->{status} = 304; $body = '' }
    # length => 0: the answer ends with the connection; chunked => 1 or 'cut': in one chunk,
    # and without the last one
    my $length = $o->{chunked} ? "Transfer-Encoding: chunked\r\n"
        : $o->{length} // 1 ? 'Content-Length: ' . length($body) . "\r\n" : '';
    if ($o->{chunked}) { $body = sprintf("%x\r\n%s\r\n", length $body, $body) . ($o->{chunked} eq 'cut' ? '' : "0\r\n\r\n") }
    my $head = "HTTP/1.1 $o->{status} X\r\n" . join('', map { "$_: $h{$_}\r\n" } sort keys %h)
        . "${length}Connection: close\r\n\r\n";
    my $bytes = $head . $body;
    utf8::downgrade($bytes); # IO::Socket::SSL would send its UTF-8
    if ($o->{drip}) {
        for my $b (split //, $bytes) { print {$c} $b or return; $c->flush; sleep $o->{drip} }
    }
    else {
        while (length $bytes) { my $n = syswrite $c, $bytes or return; substr $bytes, 0, $n, '' }
    }
    close $c;
}

sub DESTROY { my ($self) = @_; local $?; $self->down if $self->{owner} == $$ }

1;
