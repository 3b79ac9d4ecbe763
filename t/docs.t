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
use M2MGW::Test;

my $top = "$FindBin::Bin/..";
my %files = (map({ $_ => jwks_json(jwk('p256', kid => 'K1')) } 'conf/jwks.json', 'conf/keys.json', 'conf/kubernetes-jwks.json'), 'conf/partner.pem' => pem('p256#2'),
    'conf/idp-ca.pem' => scalar(`openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /dev/null -subj /CN=ca 2>/dev/null`), 'conf/users' => "a:b\n", 'conf/gateway.pem' => pem('p256'),
    'm2m/revoked' => "# nothing yet\n", 'conf/api.yaml' => "openapi: 3.0.3\nservers: [{url: /v1}]\npaths: {/users: {get: {}}}\n");
my $blocks = 0;
for my $doc (sort glob("$top/docs/*.md"), "$top/README.md") {
    my $text = slurp($doc);
    my $name = $doc =~ s{.*/}{}r;
    while ($text =~ /^( *)```apache\n(.*?)^ *```/gms) {
        my ($indent, $block) = ($1, $2);
        my $line = 1 + (substr($text, 0, $-[0]) =~ tr/\n//);
        $block =~ s/^$indent//gm;
        $block =~ s{/etc/apache2/m2m/}{\@ROOT\@/m2m/}g;
        $block =~ s{/var/lib/m2mgw}{\@ROOT\@}g;
        $block =~ s{(?<![\w/])conf/}{\@ROOT\@/conf/}g;
        $block = 'LoadModule ssl_module ' . M2MGW::Test::modules_dir() . "/mod_ssl.so\n$block" if $block =~ /^\s*SSL/m;
        my ($status, $said) = try_config($block, files => \%files);
        is($status, 0, "$name:$line") or diag($said);
        $blocks++;
    }
}
ok($blocks >= 8, "$blocks blocks were tried");
isnt((try_config('M2MNoSuch On'))[0], 0, 'control: a block that is wrong is refused');
done_testing();
