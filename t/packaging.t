#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# What lies in packaging/ fits the rest: ./run package installs what building the packages needs, and
# the fail2ban filter finds each client that
# the M2M server refused, and nothing a client sends makes it find somebody else.
use strict;
use warnings;
use File::Temp qw(tempdir);
use FindBin;
use lib "$FindBin::Bin/lib";
use M2MGW::Test;

plan skip_all => 'with sanitizers the issuer has suites of its own' if $ENV{M2MGW_PRELOAD};
my $packaging = "$FindBin::Bin/../packaging";

# --- what is installed first ---

# A machine with only Debian on it: what dpkg-buildpackage asks for is in the lists of ./run.
{
    my %list = slurp("$FindBin::Bin/../run") =~ /^(packages_\w+)="(.*?)"/msg;
    my ($needs) = slurp("$packaging/debian/control") =~ /^Build-Depends: (.*?)^\S/ms or BAIL_OUT('no Build-Depends');
    my %installed = map { $_ => 1 } split ' ', "$list{packages_build} " . ($list{packages_package} =~ s/\$(\w+)/$list{$1}/r);
    my @missing = grep { !$installed{$_} } 'build-essential', map { s/^debhelper-compat$/debhelper/r } map { /^([\w.+-]+)/ } split /,\s*/, $needs;
    is("@missing", '', './run package installs what the packages need to be built');
}

# What is there already is not installed again: that takes the network, and root.
{
    my ($missing) = slurp("$FindBin::Bin/../run") =~ /^(missing_packages\(\) \{.*?^\}\n)/ms or BAIL_OUT('no missing_packages');
    my $bin = tempdir(CLEANUP => 1);
    spew("$bin/dpkg-query", "#!/bin/sh\ncat <<'END'\ninstalled make, make-guile\ninstalled apache2-dev, dh-apache2, dh-sequence-apache2 (= 2)\nconfig-files clang, c-compiler\nEND\n");
    chmod 0755, "$bin/dpkg-query";
    spew("$bin/asks", "set -euo pipefail\n${missing}missing_packages make dh-apache2 dh-sequence-apache2 clang c-compiler mak\n");
    local $ENV{PATH} = "$bin:$ENV{PATH}";
    is(`bash $bin/asks`, 'clang c-compiler mak ', './run installs what is missing, and nothing that another package has in it');
}

# Where no mounts can be had (a chroot, a container), trying the packages is skipped, not failed.
{
    my $bin = tempdir(CLEANUP => 1);
    spew("$bin/unshare", "#!/bin/sh\nexit 1\n");
    chmod 0755, "$bin/unshare";
    local $ENV{PATH} = "$bin:$ENV{PATH}";
    is(system("$packaging/installed.sh", $bin, 1) >> 8, 77, 'without mounts the packages are not tried');
}

# --- manual pages ---

SKIP: {
    skip 'lowdown is not installed', 5 if !grep { -x "$_/lowdown" } split /:/, $ENV{PATH};
    my $man = tempdir(CLEANUP => 1);
    is(system("$packaging/man.sh", $man), 0, 'manual pages are made');
    my $text = slurp("$man/m2mctl.1");
    is(join(' ', ($text =~ /^\.SH\s+(\S+(?: \S+)?)$/mg)[0 .. 3]), 'NAME SYNOPSIS DESCRIPTION EXIT STATUS', 'm2mctl(1) begins as manual pages do');
    like($text, qr/^\.SH\s+SYNOPSIS$(?:(?!^\.SH).)*\\fBm2mctl\\fR \\fIVERB\\fR \[\\fIOPTION\\fR/ms, '... and its synopsis has the name and what stands for others');
    like($text, qr/^\.SH\s+SYNOPSIS$(?:(?!^\.SH).)* \\fC--version\\fR/ms, '... and an option its dashes');
    is(join(' ', (slurp("$man/mod_m2mgw.5") =~ /^\.SH\s+(\S+)$/mg)[0 .. 1]), 'NAME DESCRIPTION', 'mod_m2mgw(5) has no synopsis');
}

# --- make install, make uninstall ---

SKIP: {
    my $make = M2MGW::Test::build_dir();
    skip 'the build directory has no Makefile of ours', 7 if !-f "$make/Makefile" || `grep ^completiondir $make/Makefile` eq '';
    my $dest = tempdir(CLEANUP => 1);
    my $doing = sub { scalar `make -s -C '$make' $_[0] DESTDIR='$dest' 2>&1` };
    my $said = $doing->('install');
    is($?, 0, 'make install') or diag($said);
    my %there = map { s{.*/}{}r => 1 } split /\n/, `find '$dest' -type f`;
    ok($there{$_}, "... installs $_") for qw(m2mctl mod_m2mgw.so troubleshooting.md);
    my ($etc) = map { s/\s+$//r } `sed -n 's/^APXS_SYSCONFDIR = //p' '$make/Makefile'`;
    system('mkdir', '-p', "$dest$etc/mods-enabled", "$dest$etc/mods-available");
    spew("$dest$etc/mods-available/m2mgw.load", "LoadModule m2mgw_module x\n");
    spew("$dest$etc/mods-available/m2m_issuer.load", "LoadModule m2m_issuer_module x\n");
    spew("$dest$etc/mods-enabled/api.conf", "# M2MJwks\n<Location /a>\n  M2MJwks file:x\n</Location>\n");
    symlink '../mods-available/m2mgw.load', "$dest$etc/mods-enabled/m2mgw.load";
    $said = $doing->('uninstall');
    is(join(' ', sort $said =~ m{^  \S*/(\S+:\d+):}mg), 'mods-enabled/api.conf:3 mods-enabled/m2mgw.load:1' =~ s{mods-enabled/}{}gr, 'make uninstall names what is still enabled')
        or diag($said);
    is(`find '$dest' -type f ! -path '*$etc/*'`, '', '... and leaves nothing of ours');
    system('rm', '-r', "$dest$etc/mods-enabled");
    like($doing->('uninstall'), qr/Nothing of mod_m2mgw is enabled/, '... or that nothing is');
}

# --- fail2ban --------------------------------------------------------------------------

if (!M2MGW::Test::built('mod_m2m_issuer')) {
    done_testing;
    exit;
}
my $t = M2MGW::Test->prepare(files => { 'key.pem' => key('p256')->{text}, clients => "app_x:*\n", grants => "api app_x read\n" });
chmod 0600, "$t->{root}/key.pem";
$t->begin(<<'CONF');
LoadModule m2m_issuer_module @ISSUER_MODULE@
M2MIssuerName http://127.0.0.1:@PORT@
M2MSigningKey @ROOT@/key.pem
M2MGrantFile @ROOT@/grants
<Location /token>
    SetHandler m2m-token
    M2MClientProvider file
    AuthUserFile @ROOT@/clients
</Location>
<Location /jwks>
    SetHandler m2m-jwks
</Location>
CONF

sub ask {
    my ($client, $path) = @_;
    my $enc = join '', map { sprintf '%%%02X', ord } split //, $client;
    return $t->post($path // '/token', "grant_type=client_credentials&client_id=$enc&client_secret=wrong&scope=api%7Cread",
        headers => [ 'Content-Type' => 'application/x-www-form-urlencoded' ]);
}

my @strange = ('a from 192.0.2.1 refused: x', "a\n[Sun Nov 29 18:00:00.000000 2026] [m2m_issuer:notice] [pid 1:tid 1] [client 192.0.2.1:80] M2-710: client a",
    'a] [client 192.0.2.1:80] M2-710: client b', '[]');
is(ask($_)->status, 401, 'a client is refused') for 'app_x', 'nobody', @strange;
ask('app_x', '/[m2m_issuer:notice] [pid 1:tid 1] [client 192.0.2.1:80] M2-710: client a' =~ s/ /%20/gr);
$t->expect_log(qr/M2-710/);
$t->let_finish;
my $lines = () = $t->error_log =~ /^\[[^\]]*\] \[m2m_issuer:notice\].* M2-710: /gm;
is($lines, 2 + @strange, 'each is in the error log');

my $filter = slurp("$packaging/fail2ban/m2m-issuer.conf");
my ($re) = $filter =~ /^failregex = (.*)$/m or BAIL_OUT('no failregex');
(my $perl = $re) =~ s/<HOST>/(?<host>[0-9a-fA-F.:]+?)/;
my %found;
$_ =~ /$perl/ and $found{ $+{host} }++ for split /\n/, $t->error_log;
is_deeply(\%found, { '127.0.0.1' => 2 + @strange }, 'the expression finds them, and nobody else');

SKIP: {
    my ($program) = grep { -x } '/usr/bin/fail2ban-regex';
    skip 'fail2ban is not installed', 2 if !$program;
    my $said = `$program $t->{root}/logs/error.log $packaging/fail2ban/m2m-issuer.conf --print-all-matched 2>&1`;
    my ($n) = $said =~ /^Failregex: (\d+) total/m;
    is($n, 2 + @strange, 'fail2ban finds them') or diag($said);
    my @others = grep { !/\[client 127\.0\.0\.1/ } $said =~ /^\|  (\[.*M2-710.*)$/mg;
    is("@others", '', 'and nobody else');
}
$t->finish;
