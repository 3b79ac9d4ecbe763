# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# Load whose every answer is known beforehand. A worker sends requests of which some must be
# answered by what is protected and all others must not, whatever happens to the server
# meanwhile; it counts what came otherwise.
#
#   my $load = M2MGW::Load->new(port => $port, dir => $dir, seed => 1);
#   $load->publish(offset => 0, retired => [...]);     # what workers have to know, at any time
#   $load->start({ accept => [[URL, TOKEN], ...], refuse => [...], once => KEY, ... }, 4);
#   my $sum = $load->stop;
#
# What a request came to, of which it is counted once:
#   good     as known beforehand
#   let in   it must not have been: the worst
#   refused  wrongly, with 4xx
#   fault    5xx (503 where the load says so is counted as `spared`)
#   hung     no answer in HUNG seconds
#   lost     the connection ended without an answer, as that of a killed process does
# A one-time token that was answered well twice is `twice`, whichever worker asked and when.
package M2MGW::Load;

use strict;
use warnings;
use IO::Select;
use JSON::PP ();
use POSIX ();
use Time::HiRes qw(sleep time);
use M2MGW::Client;
use M2MGW::Token;

use constant HUNG => 60;         # seconds; a machine under ten other loads is slow
use constant INSIDE => '"keys"'; # stands in every answer of what is protected, and in no other

my $json = JSON::PP->new->utf8->canonical;

sub new {
    my ($class, %o) = @_;
    return bless { seed => 1, workers => [], owner => $$, %o }, $class;
}

# For all workers, from their next look on.
sub publish {
    my ($self, %o) = @_;
    $self->{published} = { offset => 0, retired => [], %{ $self->{published} // {} }, %o };
    open my $fh, '>', "$self->{dir}/published.new" or die $!;
    print {$fh} $json->encode($self->{published});
    close $fh;
    rename "$self->{dir}/published.new", "$self->{dir}/published" or die $!;
}

sub start {
    my ($self, $what, $workers) = @_;
    $self->publish if !$self->{published};
    unlink "$self->{dir}/stop";
    for my $n (1 .. $workers) {
        my $pid = fork // die "fork: $!";
        if (!$pid) {
            my $own = bless { %$self, %$what, n => $n, workers => [] }, 'M2MGW::Load::Worker';
            $own->run;
            POSIX::_exit(0);
        }
        push @{ $self->{workers} }, $pid;
    }
}

# Ends the load; the sum of what all workers counted.
sub stop {
    my ($self) = @_;
    open my $fh, '>', "$self->{dir}/stop" or die $!;
    close $fh;
    waitpid $_, 0 for @{ $self->{workers} };
    my %sum = (twice => 0, odd => [], ms => [], map { $_ => 0 } qw(good in refused fault spared hung lost));
    my %once;
    for my $n (1 .. @{ $self->{workers} }) {
        open my $in, '<', "$self->{dir}/worker.$n" or die "worker $n left nothing: $!";
        local $/;
        my $one = $json->decode(<$in>);
        $sum{$_} += $one->{$_} // 0 for qw(good in refused fault spared hung lost twice);
        $sum{by}{$_} += $one->{by}{$_} for keys %{ $one->{by} };
        push @{ $sum{$_} }, @{ $one->{$_} } for qw(odd ms);
    }
    $self->{workers} = [];
    @{ $sum{ms} } = sort { $a <=> $b } @{ $sum{ms} };
    return \%sum;
}

sub percentile {
    my ($sum, $of) = @_;
    my @ms = @{ $sum->{ms} };
    return @ms ? $ms[ $of * $#ms ] : 0;
}

sub line {
    my ($sum) = @_;
    return sprintf '%d requests: %d wrong acceptances, %d double acceptances, %d wrong refusals, %d 5xx (%d more foreseen), '
        . '%d hung, %d lost; ms: p50 %.1f, p99 %.1f, p99.9 %.1f, longest %.1f', $sum->{good} + $sum->{in} + $sum->{refused}
        + $sum->{fault} + $sum->{spared} + $sum->{hung} + $sum->{lost}, @$sum{qw(in twice refused fault spared hung lost)},
        map { percentile($sum, $_) } 0.5, 0.99, 0.999, 1;
}

sub DESTROY {
    my ($self) = @_;
    return if $self->{owner} != $$;
    kill 'KILL', @{ $self->{workers} };
}

package M2MGW::Load::Worker;

use Time::HiRes qw(sleep time);
use M2MGW::Token;

sub run {
    my ($self) = @_;
    srand($self->{seed} * 1000 + $self->{n});
    local $SIG{PIPE} = 'IGNORE';
    @$self{qw(kept ms odd by spent)} = (undef, [], [], {}, []);
    for (my $i = 0; !-e "$self->{dir}/stop"; $i++) {
        $self->look if $i % 20 == 0;
        $self->step;
    }
    my %out = map { $_ => $self->{$_} } qw(good in refused fault spared hung lost twice ms odd by);
    open my $fh, '>', "$self->{dir}/worker.$self->{n}" or die $!;
    print {$fh} $json->encode(\%out);
    close $fh;
}

sub look {
    my ($self) = @_;
    open my $fh, '<', "$self->{dir}/published" or return;
    local $/;
    $self->{published} = $json->decode(<$fh>);
}

sub one_of { my ($list) = @_; return $list->[rand @$list] }

sub step {
    my ($self) = @_;
    my $dice = rand;
    my $retired = $self->{published}{retired};
    return $self->once if $self->{once} && $dice < 0.12;
    return $self->again if @{ $self->{spent} } && $dice < 0.22;
    return $self->issue if $self->{issue} && $dice < 0.30;
    return $self->expect(0, @{ one_of($retired) }) if @$retired && $dice < 0.36;
    return $dice < 0.70 ? $self->expect(1, @{ one_of($self->{accept}) })
                        : $self->expect(0, @{ one_of($self->{refuse}) });
}

# --- requests ---

sub text {
    my ($self, $url, $token, $close) = @_;
    return "GET $url HTTP/1.1\r\nHost: gw.test\r\n" . (defined $token ? "Authorization: Bearer $token\r\n" : '')
        . ($close ? "Connection: close\r\n" : '') . "\r\n";
}

sub client {
    my ($self) = @_;
    my $c = eval { M2MGW::Client->new(port => $self->{port}, timeout => M2MGW::Load::HUNG) };
    return $c;
}

# An answer, or undef; $self->{timed_out} tells one that does not come from one that was cut off.
sub answer {
    my ($self, $c) = @_;
    $self->{timed_out} = 0;
    my $r = $c ? $c->response('GET') : undef;
    $self->{timed_out} = $c->{timed_out} if $c;
    my $length = $r ? $r->header('Content-Length') : undef;
    return if !$r || !$r->status;
    $r->{cut} = defined $length && length $r->body < $length;
    return $r;
}

sub exchange {
    my ($self, $text) = @_;
    my $close = $text =~ /^Connection: close/mi;
    my $from = time;
    my $kept = delete $self->{kept};
    my $c = $kept // $self->client;
    $c->send_bytes($text) if $c;
    my $r = $self->answer($c);
    if ($kept && !$r && !$self->{timed_out}) { # the server ended it while nothing was under way
        $c = $self->client;
        $c->send_bytes($text) if $c;
        $r = $self->answer($c);
    }
    push @{ $self->{ms} }, 1000 * (time - $from) if $r;
    if ($c && $r && !$r->{cut} && !$close && lc($r->header('Connection') // '') ne 'close') { $self->{kept} = $c }
    elsif ($c) { $c->close }
    return $r;
}

sub is_inside { my ($r) = @_; return index($r->body, M2MGW::Load::INSIDE) >= 0 }

sub odd {
    my ($self, $what, $name, $r) = @_;
    push @{ $self->{odd} }, sprintf '%.3f %s: %s: %s %s', time, $what, $name, $r ? $r->status : '-', $r ? $r->reason : ''
        if @{ $self->{odd} } < 20;
}

# Counts an answer where `must` says whether it is to be let in. 1 when it was.
sub count {
    my ($self, $must, $name, $r) = @_;
    my $inside = $r && is_inside($r);
    my $what = $inside ? $must ? 'good' : 'in'
        : !$r ? $self->{timed_out} ? 'hung' : 'lost'
        : $r->{cut} ? 'lost'
        : $r->status >= 500 ? $self->spares($name, $r) ? 'spared' : 'fault'
        : $must ? 'refused' : 'good';
    $self->{$what}++;
    $self->{by}{"$name $what"}++;
    $self->odd($what, $name, $r) if $what =~ /\A(?:in|refused|fault|hung)\z/;
    return $inside;
}

# A 503 that has to be there: the store cannot be asked while a process that was stopped holds
# its lock, and httpd itself opens the password file of clients.
sub spares {
    my ($self, $name, $r) = @_;
    return $r->status == 503 && ($r->reason eq 'replay_unavailable' || $name eq 'token');
}

sub expect {
    my ($self, $must, $url, $token) = @_;
    $self->count($must, ($url =~ m{\A/(\w+)})[0], $self->exchange($self->text($url, $token, rand() < 0.3)));
}

# --- one-time tokens ---

# The same token by three connections at once: one at most is let in.
sub once {
    my ($self) = @_;
    my $token = mint_raw('HS256', $self->{once}, '{"alg":"HS256"}',
        sprintf '{"sub":"a","jti":"%d-%d-%s","exp":%d}', $self->{n}, ++$self->{serial}, $self->{run}, time + 36_000);
    my $text = $self->text('/once', $token, 1);
    my @clients = grep { defined } map { $self->client } 1 .. 3;
    $_->send_bytes($text) for @clients;
    my ($in, $refused) = (0, 0);
    for my $c (@clients) {
        my $r = $self->answer($c);
        $in++ if $r && is_inside($r);
        $refused++ if $r && !$r->{cut} && $r->status =~ /\A4/;
        $self->count($r && is_inside($r) ? 1 : 0, 'once', $r);
        $c->close;
    }
    $self->twice('at once', $in) if $in > 1;
    # refused by all of three who were answered: nobody was first
    if ($refused == 3) {
        $self->{refused}++;
        $self->odd('refused', 'once, by three of three', undef);
    }
    push @{ $self->{spent} }, $text if $in == 1;
    shift @{ $self->{spent} } if @{ $self->{spent} } > 300;
}

sub twice {
    my ($self, $when, $n) = @_;
    $self->{twice} += $n - 1;
    push @{ $self->{odd} }, sprintf '%.3f twice: %s', time, $when;
}

# One that was accepted before, perhaps by a process that is no more.
sub again {
    my ($self) = @_;
    my $r = $self->exchange(one_of($self->{spent}));
    $self->twice('later', 2) if $r && is_inside($r);
    $self->count($r && is_inside($r) ? 1 : 0, 'again', $r);
}

# --- the issuer ---

sub post {
    my ($self, $body) = @_;
    return $self->exchange("POST /idp/token HTTP/1.1\r\nHost: gw.test\r\nConnection: close\r\n"
        . "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: " . length($body) . "\r\n\r\n$body");
}

# Who asks for what was granted gets a token that is good; who asks for more, or with another
# secret, gets none. The clock may be set while this goes on: then nothing is known.
sub issue {
    my ($self) = @_;
    my ($granted, $never, $wrong) = @{ $self->{issue} };
    my $bad = rand() < 0.4 ? one_of([ $never, $wrong ]) : undef;
    $self->look;
    my $offset = $self->{published}{offset};
    my $r = $self->post($bad // $granted);
    my $token = $r && $r->body =~ /"access_token":\s*"([^"]+)"/ ? $1 : undef;
    $self->look;
    my $same = $offset ne 'being set' && $offset eq $self->{published}{offset};
    if ($r && defined $bad == defined $token && $r->status < 500) {
        $self->{ $bad ? 'in' : 'refused' }++;
        $self->odd($bad ? 'in' : 'refused', $bad ? 'token for what was never granted' : 'token', $r);
    }
    else {
        $self->count(0, 'token', $r);
    }
    return if !$token || $bad || !$same;
    $r = $self->exchange($self->text('/issued', $token, 1));
    $self->look;
    $self->count(1, 'issued', $r) if $offset eq $self->{published}{offset};
}

1;
