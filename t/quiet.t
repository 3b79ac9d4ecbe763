#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# The error log under one request that is sent again and again: at httpd's default level no
# refusal that a caller can repeat writes a line, and what the operator must mend is told by who
# found it, once for each child. At info every refusal has its line.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use M2MGW::Test;

my $policy = "M2MJwks file:\@ROOT\@/k.json\n";
my $config = <<"CONF";
M2MReplayStore memcache:127.0.0.1:9
<Location /t>
    $policy
    M2MAudience api
    M2MClaim v header:X-V
</Location>
<Location /keyless>
    M2MParameter ip Query:ip
    M2MRule cidr "\$ip in_cidr '10.0.0.0/8'" ifFalse=DENY
</Location>
<Location /scope>
    $policy
    Require m2m-scope none
</Location>
<Location /require>
    $policy
    Require ip 192.0.2.1
</Location>
<Location /store1>
    $policy
    M2MPreventJtiReplay On
</Location>
<Location /store2>
    $policy
    M2MPreventJtiReplay On
</Location>
ProxyPass / http://\@BACKEND\@/
CONF
my $jti = 0;
sub tok { mint('oct', { aud => 'api', @_ }) }
my %ask = (
    token_missing => [ '/t', sub { () } ], token_malformed => [ '/t', sub { (token => 'x.y.z') } ],
    signature_invalid => [ '/t', sub { (token => mint('oct#2', {})) } ], expired => [ '/t', sub { (token => tok(exp => 1)) } ],
    claim_unsafe => [ '/t', sub { (token => tok(v => "a\nb")) } ], rule_error => [ '/keyless?ip=nonsense', sub { () } ],
    insufficient_scope => [ '/scope', sub { (token => tok()) } ], ok => [ '/require', sub { (token => tok()) } ],
);
for my $level ('warn', 'info') {
    my $t = M2MGW::Test->start(files => { 'k.json' => jwk_json('oct') }, config => $config, loglevel => $level);
    my $lines = sub { my ($re) = @_; $t->let_finish; my @all = grep { /M2-201/ && /$re/ } split /\n/, $t->error_log; scalar @all };
    for my $reason (sort keys %ask) {
        my ($path, $auth) = @{ $ask{$reason} };
        for (1 .. 20) {
            my $r = $t->get($path, $auth->());
            is($r->status =~ /\A4/ && $r->reason, $reason, "$level: refused: $reason") if $_ == 1;
        }
        my $told = $reason eq 'ok' ? 'require_denied' : $reason;
        is($lines->(qr/ $told\b/), $level eq 'warn' ? 0 : 20, "$level: $told: lines of 20 refusals");
    }
    my $children = M2MGW::Test::mpm() eq 'prefork' ? 24 : 4;
    for my $section ('store1', 'store2') {
        for (1 .. 40) {
            my $r = $t->get("/$section", token => tok(jti => "quiet-" . $jti++));
            denies($r, 503, 'replay_unavailable', "$level: the store is away") if $_ == 1;
        }
        is($lines->(qr/\/$section: 503 replay_unavailable/), $level eq 'warn' ? 0 : 40, "$level: $section: refusals are info");
    }
    $t->let_finish;
    my $n = () = $t->error_log =~ /:error\].*M2-102: replay store /g;
    ok($n >= 1 && $n <= $children, "$level: the store itself is an error, once for each child: $n lines of 80 refusals");
    $t->expect_log(qr/replay_unavailable|\[m2mgw:(?:warn|error|notice)\]/);
    $t->finish(more => $level eq 'warn');
}
