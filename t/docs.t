#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# What the documents tell an operator to write: httpd takes every block that is marked
# `apache`, each in a server of its own. Files they name lie below conf/.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP ();
use M2MGW::Test;

my $top = "$FindBin::Bin/..";
my %files = (map({ $_ => jwks_json(jwk('p256', kid => 'K1')) } 'conf/jwks.json', 'conf/keys.json', 'conf/kubernetes-jwks.json'), 'conf/partner.pem' => pem('p256#2'),
    'conf/idp-ca.pem' => scalar(`openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /dev/null -subj /CN=ca 2>/dev/null`), 'conf/users' => "a:b\n", 'conf/gateway.pem' => pem('p256'),
    'conf/m2m/clients' => "a:b\n", 'conf/m2m-signing.pem' => key('p256')->{text}, 'conf/partners' => "10.0.0.0/8\n", 'm2m/revoked' => "# nothing yet\n", 'conf/api.yaml' => "openapi: 3.0.3\nservers: [{url: /v1}]\npaths: {/users: {get: {}}}\n");
my $blocks = 0;
for my $doc (sort glob("$top/docs/*.md"), "$top/README.md") {
    my $text = slurp($doc);
    my $name = $doc =~ s{.*/}{}r;
    while ($text =~ /^( *)```apache\n(.*?)^ *```/gms) {
        my ($indent, $block) = ($1, $2);
        my $line = 1 + (substr($text, 0, $-[0]) =~ tr/\n//);
        $block =~ s/^$indent//gm;
        $block =~ s{/etc/apache2/m2m/}{\@ROOT\@/m2m/}g;
        $block =~ s{/var/lib/m2m/}{\@ROOT\@/m2m/}g;
        $block =~ s{/var/lib/m2mgw}{\@ROOT\@}g;
        $block =~ s{(?<![\w/])conf/}{\@ROOT\@/conf/}g;
        $block = 'LoadModule ssl_module ' . M2MGW::Test::modules_dir() . "/mod_ssl.so\n$block" if $block =~ /^\s*SSL/m;
        $block = "LoadModule m2m_issuer_module \@ISSUER_MODULE\@\n$block" if $block =~ /M2M(?:Client(?:Provider|Keys|Cert\b)|Issuer(?:Name|DPoP|Endpoint)|SigningKey|Grant|TokenLifetime|AllowPlainHTTP|AssertionStore)/;
        my $mask = umask($block =~ /M2MSigningKey/ ? 0077 : umask); # a private key is its owner's
        my ($status, $said) = try_config($block, files => \%files);
        umask $mask;
        is($status, 0, "$name:$line") or diag($said);
        $blocks++;
    }
}
ok($blocks >= 8, "$blocks blocks were tried");

# --- commands: each document's blocks that are marked `sh`, in order, in a directory of its own ---

sub blocks { my ($text, $mark) = @_; return map { my ($in, $b) = @$_; $b =~ s/^$in//gm; $b } _all($text, $mark) }
sub _all { my ($text, $mark) = @_; my @all; push @all, [ $1, $2 ] while $text =~ /^( *)```$mark\n(.*?)^ *```/gms; return @all }

sub run_blocks {
    my ($dir, @blocks) = @_;
    symlink M2MGW::Test::m2mctl(), "$dir/m2mctl" or die "$dir: $!";
    spew("$dir/script", "set -eu\ncd $dir\nPATH=$dir:\$PATH\n" . join('', @blocks));
    my $said = `bash $dir/script 2>&1`;
    return ($?, $said);
}

my $commands = 0;
SKIP: {
    skip 'm2mctl is not built, or there is no bash', 1 if !M2MGW::Test::m2mctl() || !-x '/bin/bash';
    for my $doc (sort glob("$top/docs/*.md"), "$top/README.md") {
        my @blocks = blocks(slurp($doc), 'sh') or next;
        my ($status, $said) = run_blocks(File::Temp::tempdir(CLEANUP => 1), @blocks);
        is($status, 0, ($doc =~ s{.*/}{}r) . ': its commands run') or diag($said);
        $commands += @blocks;
    }
    ok($commands >= 4, "$commands blocks of commands were run");

    # the ten lines of README and tutorial take the token that their commands make
    for my $doc ("$top/README.md", "$top/docs/tutorial.md") {
        my $name = $doc =~ s{.*/}{}r;
        my $text = slurp($doc);
        my $t = M2MGW::Test->prepare;
        my ($status, $said) = run_blocks($t->{root}, (blocks($text, 'sh'))[0]);
        is($status, 0, "$name: keys and a token") or diag($said);
        rename "$t->{root}/jwks.json", "$t->{root}/conf/jwks.json";
        my ($conf) = blocks($text, 'apache');
        $conf =~ s{http://[\d.]+:8080}{http://\@BACKEND\@};
        $t->begin($conf =~ s{file:conf/}{file:\@ROOT\@/conf/}r);
        chomp(my $token = slurp("$t->{root}/token"));
        $t->secret($token =~ /\.([^.]+)\z/);
        passes($t->get('/orders/7', token => $token), "$name: its ten lines take its token");
        denies($t->get('/orders/7'), 401, 'token_missing', "$name: and none else");
        $t->finish(more => 1);
    }
}

# --- a recipe whose place in the file decides ---

{
    my ($conf) = slurp("$top/docs/recipes.md") =~ /^## A canary by claim\n+```apache\n(.*?)^```/ms;
    my $t = M2MGW::Test->prepare(files => { 'conf/jwks.json' => jwks_json(jwk('p256', kid => 'K1')) });
    $conf =~ s{127\.0\.0\.1:8080}{\@BACKEND\@};
    $conf =~ s{127\.0\.0\.1:8081}{\@BACKEND2\@};
    $t->begin($conf =~ s{file:conf/}{file:\@ROOT\@/conf/}r);
    for my $case ([ JSON::PP::true, 'b2' ], [ JSON::PP::false, 'b' ]) {
        my ($canary, $backend) = @$case;
        my $r = $t->get('/orders/7?a=b%20c', token => mint('p256', { canary => $canary }, { kid => 'K1' }));
        passes($r, "canary $canary");
        is_deeply([ map { "$_->{backend} $_->{line}" } $r->backend ], ["$backend GET /orders/7?a=b%20c HTTP/1.1"], 'goes to its backend');
    }
    denies($t->get('/orders/7'), 401, 'token_missing', 'no token goes to neither');
    $t->finish(more => 1);
}

# --- tables that have to be whole ---

my $reference = slurp("$top/docs/reference.md");
my $troubles = slurp("$top/docs/troubleshooting.md");
my %reasons = map { $_ => 1 } slurp("$top/mod_m2mgw/core/base/m2_err.c") =~ /\{ M2_\w+, "(\w+)", (?:NULL|"\w+")/g;
ok(keys %reasons > 35, scalar(keys %reasons) . ' reasons');
is(join(' ', grep { $reference !~ /\| `$_` \|/ } sort keys %reasons), '', 'reference.md has every reason');
my %told = map { /^\| `(\w+)`((?: \| [^|\s][^|]*){3}) \|$/ ? ($1 => $2) : () } split /\n/, $troubles;
is(join(' ', grep { !/^(?:ok|bypass)\z/ && !$told{$_} } sort keys %reasons), '', 'troubleshooting.md has meaning, cause and cure of every reason');
my %sections = slurp("$top/docs/directives.md") =~ /^## ((?:M2M|Require )[^\n]+)\n(.*?)(?=^#|\z)/gms;
ok(keys %sections > 70, scalar(keys %sections) . ' directives');
for my $part ([ '    M2M|    Require ', 'a syntax' ], [ '\*Default:\*', 'a default' ], [ '.*\*Context:\*', 'a context' ], [ '\*Example:\*', 'an example' ]) {
    is(join(' ', grep { $sections{$_} !~ /^(?:$part->[0])/m } sort keys %sections), '', "directives.md: each has $part->[1]");
}
is(join(' ', grep { !/^Require/ && $reference !~ /^\[\Q$_\E\]\(directives\.md#\L$_\E\)/m } sort keys %sections), '', 'reference.md has every directive in its index');
my %lines;
for my $file (map { chomp; $_ } `find $top/mod_m2mgw -name '*.c'`) { $lines{$_} = 1 for slurp($file) =~ /"M2-(\d{3}):/g }
ok(keys %lines > 30, scalar(keys %lines) . ' kinds of lines');
is(join(' ', grep { $reference !~ /`M2-$_`/ } sort keys %lines), '', 'reference.md has every line of the log');
my @alerts = slurp("$top/packaging/monitoring/m2mgw-rules.yml") =~ /- alert: (\w+)/g;
ok(@alerts > 10, scalar(@alerts) . ' alerts');
my $status = slurp("$top/docs/status.md");
is(join(' ', grep { $status !~ /^\| [^|]*`$_`/m } @alerts), '', 'status.md lists every alert');
is(join(' ', grep { !/ManyRefusals|SuspiciousTokens|ShadowStillRefuses|SlowVerification|GatewayAtFault/ && $troubles !~ /`$_`/ } @alerts), '',
    'troubleshooting.md says what to do about each that names one fault');
isnt((try_config('M2MNoSuch On'))[0], 0, 'control: a block that is wrong is refused');
done_testing();
