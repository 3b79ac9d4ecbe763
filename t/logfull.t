#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# A decision log on a full disk: requests are decided as before, and the error log says that
# records are lost, once in a while and not for each.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use M2MGW::Test;

plan skip_all => 'there is no /dev/full' if !-c '/dev/full' || !-w _;

for my $buffered (qw(Off On)) {
    my $t = M2MGW::Test->start(files => { 'k.json' => jwk_json('oct', kid => 'K1') }, config => <<"CONF");
BufferedLogs $buffered
M2MDecisionLog /dev/full
<VirtualHost 127.0.0.1:\@PORT\@>
    ServerName gw.test
    <Location /r>
        M2MJwks file:\@ROOT\@/k.json
    </Location>
</VirtualHost>
CONF
    my $lines = sub { scalar(() = $t->error_log =~ /M2-405: M2MDecisionLog: records are lost: cannot write to \/dev\/full/g) };
    denies($t->get('/r/x', host => 'gw.test'), 401, 'token_missing', "BufferedLogs $buffered: refused as ever") for 1 .. 20;
    M2MGW::Test::before_long(sub { $lines->() });
    cmp_ok($lines->(), '>=', 1, '... the error log says that records are lost');
    cmp_ok($lines->(), '<', 20, '... and not for each of them');
    $t->expect_log(qr/M2-405/);
    $t->finish(more => 1);
}
done_testing();
