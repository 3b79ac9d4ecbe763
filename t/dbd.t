#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# One-time tokens, used assertions, grants and data sets in SQLite through mod_dbd, and what httpd -t
# says of databases. A database that does not answer is 503, never a second acceptance. The same with
# PostgreSQL: dbd_pgsql.t.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use M2MGW::Test;
use M2MGW::Database;
use M2MGW::Replay;

my $MODULES = M2MGW::Test::modules_dir();
plan(skip_all => 'mod_dbd is not installed') if !-f "$MODULES/mod_dbd.so";

# --- what httpd -t refuses ---

my $text;
(undef, $text) = try_config("M2MReplayStore dbd:\n");
like($text, qr/M2MReplayStore: it needs mod_dbd, which is not loaded/, 'mod_dbd is needed');
(undef, $text) = try_config("M2MReplayStore dbd:\n", modules => ['dbd']);
like($text, qr/M2MReplayStore: it needs a DBDriver in its server/, 'and a driver');
for my $bad ('dbd:a;b', 'dbd:1', 'dbd:a.b.c', 'dbd:x timeout=1', 'dbd:' . 'x' x 41) {
    (undef, $text) = try_config("DBDriver sqlite3\nM2MReplayStore $bad\n", modules => ['dbd']);
    like($text, qr/M2MReplayStore:? .*(?:must be dbd:|only the options)/, $bad);
}
(undef, $text) = try_config("M2MGrantQuery \"SELECT 1\"\n", issuer => 1);
like($text, qr/M2MGrantQuery needs mod_dbd/, 'so does M2MGrantQuery');
for my $bad ('SELECT 1, 2', 'SELECT %s, %s', 'SELECT %d', 'SELECT %') {
    (undef, $text) = try_config("DBDriver sqlite3\nM2MGrantQuery \"$bad\"\n", modules => ['dbd'],
                                issuer => 1);
    like($text, qr/M2MGrantQuery takes a query with one %s/, $bad);
}

for my $case (
    [ "M2MDataset one dbd:\"SELECT 1\"\n", qr/M2MDataset: it needs a DBDriver in its server/ ],
    [ "DBDriver sqlite3\nM2MDataset one dbd:\"SELECT 1\"\n", qr/Syntax OK/ ],
    [ "DBDriver sqlite3\nM2MDataset one dbd:'SELECT \"1\"' ttl=5 max-stale=60\n", qr/Syntax OK/ ],
    [ "DBDriver sqlite3\nM2MDataset one dbd:\"SELECT %s\"\n", qr/dbd: takes a query without arguments/ ],
    [ "DBDriver sqlite3\nM2MDataset one dbd:\n", qr/dbd: takes a query/ ],
    [ "DBDriver sqlite3\nM2MDataset one dbd:\"\"\n", qr/dbd: takes a query/ ],
    [ "DBDriver sqlite3\nM2MDataset one dbd:SELECT 1\n", qr/"1" is not of the form NAME=VALUE/ ],
    [ "DBDriver sqlite3\nM2MDataset one dbd:\"SELECT 1\n", qr/the quote " is not closed/ ],
    [ "DBDriver sqlite3\nM2MDataset one dbd:\"SELECT 1\" ttl=0\n", qr/"ttl=0" is not allowed/ ],
) {
    my ($config, $re) = @$case;
    (undef, $text) = try_config($config, modules => ['dbd']);
    like($text, $re, 'httpd -t: ' . ($config =~ s/\n/; /gr));
}

for my $case ([ 'host=/x', 1 ], [ 'host=/x connect_timeout=2', 0 ]) {
    (undef, $text) = try_config("DBDriver pgsql\nDBDParams \"$case->[0]\"\nM2MDataset one dbd:\"SELECT 1\"\n", modules => ['dbd']);
    is(scalar($text =~ /M2-101: DBDParams has no connect_timeout/) || 0, $case->[1], "DBDParams $case->[0]");
    for my $gateway (0, 1) {
        (undef, $text) = try_config("DBDriver pgsql\nDBDParams \"$case->[0]\"\nM2MGrantQuery \"SELECT a, p FROM g WHERE c = %s\"\n",
            modules => ['dbd'], issuer => 1, gateway => $gateway, loglevel => 'emerg');
        is(scalar($text =~ /M2-701: DBDParams has no connect_timeout/) || 0, $case->[1], "... for M2MGrantQuery, gateway: $gateway");
    }
}

SKIP: {
    skip('sqlite3 or its driver is not installed', 1) if !installed('sqlite3') || !driver('sqlite3');
    check('SQLite', \&sqlite);
    check_sets('SQLite', \&sqlite, \&two_hosts);
}
done_testing();
