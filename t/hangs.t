#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# Children that end while the thread that watches keys hangs in the middle of one, and a fetch is
# not answered. exit() frees what OpenSSL needs, and a thread that went on behind it crashed.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use M2MGW::Idp;
use M2MGW::Test;
use Time::HiRes qw(sleep time);

use constant PATIENCE => 120;

my ($cc) = grep { defined && system("$_ --version >/dev/null 2>&1") == 0 } $ENV{CC}, qw(cc gcc clang);
plan(skip_all => 'no C compiler') if !$cc;

my $t = M2MGW::Test->prepare(loglevel => 'info', without => ['cgid'], files => {
    'jwks.json' => jwks_json(jwk('rsa', kid => 'first')) });
is(system("$cc -O1 -shared -fPIC -o '$t->{root}/hang.so' '$FindBin::Bin/lib/hang.c' -ldl"), 0, 'the library is made');
mkdir "$t->{root}/hang";
chmod 0777, "$t->{root}/hang";
my $idp = M2MGW::Idp->start("$t->{root}/idp", clear => 1);
$idp->serve('/keys', body => jwks_json(jwk('rsa')), delay => 600);
$t->backends;
$t->write_config(<<"CONF" =~ s/\@IDP\@/$idp->url('\/keys')/er);
<IfModule mpm_prefork_module>
    MaxSpareServers 4
</IfModule>
<Location /api>
    M2MJwks file:\@ROOT\@/jwks.json
    ProxyPass http://\@BACKEND\@/api
</Location>
<Location /url>
    M2MJwks \@IDP\@
    M2MJwksRefresh timeout=60
    ProxyPass http://\@BACKEND\@/api
</Location>
CONF

sub children {
    open my $fh, '<', "/proc/$t->{pid}/task/$t->{pid}/children" or return;
    return split ' ', <$fh> // '';
}

sub wait_for {
    my ($what, $is) = @_;
    my ($end, $so) = (time + PATIENCE);
    sleep 0.05 while !($so = $is->()) && time < $end;
    ok($so, $what);
}

my $n = 0;

# Every child that is there now hangs in a key that has just come.
sub make_them_hang {
    wait_for('there are children', \&children);
    my @pids = children();
    spew("$t->{root}/hang/on", '');
    $n++;
    spew("$t->{root}/jwks.new", jwks_json(map { jwk('rsa', kid => "r$n.$_") } 1 .. 4));
    rename "$t->{root}/jwks.new", "$t->{root}/jwks.json";
    wait_for("$_ hangs", sub { -e "$t->{root}/hang/on.$_" || !kill 0, $_ }) for @pids;
    unlink "$t->{root}/hang/on";
    return @pids;
}

sub stays_well {
    my ($how) = @_;
    my @dead = grep { /exit signal/ } split /\n/, $t->error_log;
    is("@dead", '', "$how: no child crashes");
    unlike($t->error_log, qr/sending a SIGKILL/, "$how: none has to be killed");
}

my $token = mint('rsa', { sub => 'a', exp => int(time) + 600 }, { kid => 'first' });
{
    local $ENV{M2MGW_PRELOAD} = join ':', grep { length } $ENV{M2MGW_PRELOAD} // '', "$t->{root}/hang.so";
    local $ENV{M2MGW_HANG} = "$t->{root}/hang/on";
    $t->launch;
}
is($t->get('/api/x', token => $token)->status, 200, 'it answers');

my @old = make_them_hang();
kill 'USR1', $t->{pid};
wait_for("graceful: child $_ ends", sub { !kill 0, $_ }) for @old;
is($t->get('/api/x', token => mint('rsa', { sub => 'a', exp => int(time) + 600 }, { kid => "r$n.1" }))->status, 200,
    'others answer, with the new keys');
stays_well('graceful');

if (M2MGW::Test::mpm() eq 'prefork') {
    @old = make_them_hang();
    kill 'TERM', @old;
    wait_for("SIGTERM: child $_ ends", sub { !kill 0, $_ }) for @old;
    stays_well('SIGTERM');
}

make_them_hang();
ok($t->stop, 'it stops when told to');
stays_well('stop');
like($t->error_log, qr/a thread hangs: this process ends without it/, 'and says why no exit handler ran');
$idp->down;
$t->finish;
