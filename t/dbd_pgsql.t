#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# One-time tokens, used assertions, grants and data sets in PostgreSQL through mod_dbd, where it is
# installed: likewise (dbd.t), and while it hangs.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use M2MGW::Test;
use M2MGW::Database;

my $MODULES = M2MGW::Test::modules_dir();
plan(skip_all => 'mod_dbd is not installed') if !-f "$MODULES/mod_dbd.so";
plan(skip_all => 'PostgreSQL or its driver is not installed')
    if !glob('/usr/lib/postgresql/*/bin/initdb') || !driver('pgsql');

stops('PostgreSQL stops', \&postgresql);
check('PostgreSQL', \&postgresql);
check_sets('PostgreSQL', \&postgresql);
done_testing();
