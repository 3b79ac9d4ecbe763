#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# Twenty seconds of what `./run soak faults` does for ten minutes: everything that happens to a
# server, under a load whose answers are known beforehand (M2MGW::Faults).
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use M2MGW::Test;

BEGIN { plan(skip_all => 'needs IO::Socket::SSL') if !eval { require IO::Socket::SSL; 1 } }
use M2MGW::Faults;

plan(skip_all => 'mod_m2m_issuer is not built') if !M2MGW::Test::built('mod_m2m_issuer');
M2MGW::Faults::run(seconds => 20, seed => $ENV{M2MGW_SEED} // 20_251_129); # `./run soak faults` takes another one each time
done_testing();
