#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# A revocation list in Redis that has lost lines: by a restart without its data, by a failover to a
# replica that lacks the last writes, by eviction. Whatever is written to it later, no token that was
# revoked counts again before an operator says so; and the issuer writes to such a list, or says 503.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP ();
use M2MGW::Test;
use M2MGW::Redis;
use M2MGW::Replay;
use MIME::Base64 ();
use POSIX ();
use Time::HiRes qw(sleep time);

plan(skip_all => 'redis-server is not installed') if !installed('redis-server');
plan(skip_all => 'mod_m2m_issuer is not built') if !M2MGW::Test::built('mod_m2m_issuer');

my $m2mctl = M2MGW::Test::m2mctl();
my $LOST = qr/Redis has lost the list: it has none, and \d+ lines are in force|Redis has lost the list: it has another one of \d+ lines, and \d+ lines|Redis has lost the last lines of the list: it has \d+ lines without write \d+, and \d+ lines|Redis has \d+ of the list's \d+ lines/;
my $HASH = '$2y$05$eeHrCj2u4bGD1/90QtKbsuV9mk5T7n26cyhkm6.1ad29.KTdA5voC';
my $SECRET = 'correct horse+battery/staple%';
my %KEYS = map { $_ => "{m2m:revoked:}$_" } qw(lines version history ends);
my $serial = 0;
sub token { mint('oct', { sub => 'a', iss => 'https://as', jti => $_[0], exp => time + 600 }) }

# The gateway, and an issuer that writes the same list.
sub server {
    my ($list, %o) = @_;
    my $issuer = 'http://127.0.0.1:@PORT@';
    my $t = M2MGW::Test->prepare(issuer => 1, files => {
        'k.json' => jwk_json('oct', kid => 'K'), 'rsa.pem' => key('rsa')->{text}, 'pub.pem' => pem('rsa'),
        clients => "app_a:$HASH\napp_ask:$HASH\n" });
    chmod 0600, "$t->{root}/rsa.pem";
    $t->begin(<<"CONF");
LogLevel info
<Location /a>
    M2MJwks file:\@ROOT\@/k.json
    M2MRevocation $list
</Location>
AliasMatch ^/(a|b)\$ \@DOCROOT\@/index.html
<Location /status>
    SetHandler m2m-status
</Location>
M2MIssuerName $issuer
M2MSigningKey \@ROOT\@/rsa.pem kid=main
M2MIssuerEndpoint token $issuer/token
M2MGrant https://api.example.com app_a read
M2MGrant https://api.example.com app_ask .introspect
<LocationMatch ^/(token|revoke|introspect)\$>
    M2MClientProvider file
    AuthUserFile \@ROOT\@/clients
</LocationMatch>
<Location /token>
    SetHandler m2m-token
</Location>
<Location /revoke>
    SetHandler m2m-revoke
    M2MRevocation $list
</Location>
<Location /introspect>
    SetHandler m2m-introspect
    M2MRevocation $list
</Location>
<Location /b>
    M2MJwk pem:\@ROOT\@/pub.pem kid=main issuer=$issuer
    M2MRevocation $list
</Location>
CONF
    $t->secret($SECRET);
    $t->expect_log(qr/M2-\d+:/, qr/cannot be refreshed|is back|cannot be fetched/, $LOST, qr/revocation_unavailable/);
    return $t;
}

sub m2mctl { # exit code, what was said
    my (@words) = @_;
    open my $out, '-|', 'sh', '-c', 'exec "$0" "$@" 2>&1', $m2mctl, 'revoke', @words or die $!;
    my $said = do { local $/; <$out> } // '';
    close $out;
    return ($? >> 8, $said);
}

sub row { # refusals in a row
    my ($t, $path, $token, $end) = @_;
    my $row = 0;
    while ($row < 12 && time < $end) { $row = $t->get($path, token => $token)->status == 401 ? $row + 1 : 0; sleep 0.03 }
    return $row >= 12;
}
sub revoked { my ($t, $jti, $name) = @_; ok(row($t, '/a', token($jti), time + 120), $name) }
sub stays { # over some looks of every child
    my ($t, $jti, $name) = @_;
    my ($bad, $end) = (0, time + 2);
    while (time < $end) { $bad++ if $t->get('/a', token => token($jti))->status != 401; sleep 0.03 }
    is($bad, 0, $name);
}
sub ready { # in every child: each reads for itself
    my ($t, $name) = @_;
    my $row = 0;
    ok(until_true(60, sub { $row = $t->get('/a', token => token('none'))->status == 200 ? $row + 1 : 0; $row >= 12 }), $name);
}
sub list_of { my ($t) = @_; (grep { $_->{entries} // 1 } @{ JSON::PP::decode_json($t->get('/status?format=json')->body)->{revocation} })[0] }
my $TOLD = qr/m2mctl revoke --restore FILE --list 'redis\S+ [^']*prefix=m2m:revoked: timeout=10000ms' puts it back, with a copy from M2MStateDir for FILE; the last good entries stay in force for up to \d+ seconds, and what is added/;
sub ill { # told for the n-th time: once for all processes, and again behind a restart
    my ($t, $n, $name) = @_;
    ok(until_true(60, sub { list_of($t)->{state} eq 'broken' }), "$name: it is broken on the page");
    like(list_of($t)->{fault}, $LOST, "$name: with what happened");
    ok($t->get('/status')->body =~ $LOST, "$name: and for people");
    my @told = grep { /\[m2mgw:error\].*$LOST/ && /$TOLD/ } split /\n/, $t->error_log;
    is(scalar @told, $n, "$name: an error in the log, once");
}
sub call {
    my ($t, $path, $client, %form) = @_;
    my $enc = sub { $_[0] =~ s/([^A-Za-z0-9_.~-])/sprintf '%%%02X', ord $1/ger };
    return $t->post($path, join('&', map { "$_=" . $enc->($form{$_}) } sort keys %form), headers => [
        [ Authorization => 'Basic ' . MIME::Base64::encode_base64("$client:" . $enc->($SECRET), '') ],
        [ 'Content-Type' => 'application/x-www-form-urlencoded' ] ]);
}
sub own_token {
    my ($t) = @_;
    my $token = JSON::PP::decode_json(call($t, '/token', 'app_a', grant_type => 'client_credentials', scope => 'https://api.example.com|read')->body)->{access_token} // die;
    $t->secret($token);
    return $token;
}
sub issuer_writes {
    my ($t, $name) = @_;
    my ($one, $two) = (own_token($t), own_token($t));
    ok(until_true(60, sub { $t->get('/b', token => $one)->status == 200 }), "$name: a token of the issuer");
    ok(until_true(60, sub { call($t, '/revoke', 'app_a', token => $one)->status == 200 }), "$name: m2m-revoke");
    ok(row($t, '/b', $one, time + 60), "$name: it is revoked");
    like(call($t, '/introspect', 'app_ask', token => $one)->body, qr/\A\{"active":false\}/, "$name: and inactive");
    ok(until_true(60, sub { call($t, '/introspect', 'app_ask', token => $two)->body =~ /"active":true/ }), "$name: another is active");
    ok(until_true(60, sub { $t->get('/b', token => $two)->status == 200 }), "$name: and counts");
    return $two;
}

# --- one server ---

{
    my $redis = redis_server();
    my $list = 'redis:' . $redis->at . ' timeout=10s';
    my $t = server($list);
    ready($t, 'an empty Redis at the first start');
    my ($code, $said) = m2mctl('--list', $list, '--jti', 'one', '--issuer', 'https://as');
    is($code, 0, 'the first entry makes the list');
    like($said, qr/warning: there was no list/, 'which is told');
    revoked($t, 'one', 'it counts');
    is((m2mctl('--list', $list, '--jti', "more$_", '--issuer', 'https://as'))[1], '', 'later ones say nothing') for 1 .. 2;
    revoked($t, 'more2', 'and count');
    my $kept = issuer_writes($t, 'redis');
    is($t->error_log =~ $LOST, '', 'nothing was lost so far');

    # a replica that lacks the last writes takes over, and goes on with as many and more
    for my $key (values %KEYS) { ask($redis, 'COPY', $key, "$key.old", 'REPLACE') }
    m2mctl('--list', $list, '--jti', 'late', '--issuer', 'https://as');
    revoked($t, 'late', 'an entry that the replica lacks');
    for my $key (values %KEYS) { ask($redis, 'RENAME', "$key.old", $key) }
    ill($t, 1, 'an older list');
    stays($t, 'late', 'what it lacks stays revoked');
    m2mctl('--list', $list, '--jti', "new$_", '--issuer', 'https://as') for 1 .. 3;
    stays($t, 'late', 'also when the older list has more writes than the one in force');
    is($t->get('/a', token => token('new3'))->status, 200, 'whose entries do not count');
    is(call($t, '/revoke', 'app_a', token => $kept)->status, 503, 'm2m-revoke refuses to add to it');
    is($t->get('/b', token => $kept)->status, 200, '(the token counts)');
    ok($t->reload, 'a graceful restart');
    stays($t, 'late', 'over a restart');

    # the copy that the server keeps is what an operator restores
    my ($copy) = grep { slurp($_) =~ /late/ } glob "$t->{root}/{state,logs,run}/*.list $t->{root}/*/*/*.list";
    ok($copy, 'a server keeps a copy') or diag(`find $t->{root} -name '*.list'`);
    ($code, $said) = m2mctl('--list', $list, '--restore', $copy // 'none');
    is($code, 0, 'it is restored from that') or diag($said);
    like($said, qr/: \d+ entries/, 'with the number of its entries');
    ok(until_true(60, sub { $t->get('/a', token => token('new3'))->status == 401 }), 'what was added meanwhile counts');
    ok(until_true(60, sub { list_of($t)->{state} eq 'fresh' }), 'all is well');
    stays($t, 'late', 'what was lost is revoked still');
    ok(ask($redis, 'SISMEMBER', $KEYS{lines}, 'jti https://as late'), 'in Redis, too');
    ok(until_true(60, sub { call($t, '/revoke', 'app_a', token => $kept)->status == 200 }), 'm2m-revoke adds again');
    ok(row($t, '/b', $kept, time + 60), 'and it counts');

    # it comes back empty, and others write to it
    $redis->stop;
    is(call($t, '/revoke', 'app_a', token => own_token($t))->status, 503, 'Redis is gone: m2m-revoke is 503');
    stays($t, 'late', 'and what was revoked stays so');
    $redis->launch;
    ill($t, 3, 'an empty list');
    is(call($t, '/revoke', 'app_a', token => own_token($t))->status, 503, 'm2m-revoke begins no list where one was');
    is(ask($redis, 'EXISTS', $KEYS{version}), 0, '(nothing is there)');
    ($code, $said) = m2mctl('--list', $list, '--jti', 'after', '--issuer', 'https://as');
    like($said, qr/warning: there was no list.*--restore/, 'm2mctl warns, and says how to restore');
    m2mctl('--list', $list, '--jti', "after$_", '--issuer', 'https://as') for 1 .. 30;
    stays($t, 'late', 'nothing that is written then takes anything back');
    stays($t, 'one', 'nor the first entry');

    # an operator who wants it so
    is((m2mctl('--list', $list, '--reset'))[0], 0, 'an operator takes the list as it is');
    ok(until_true(60, sub { $t->get('/a', token => token('late'))->status == 200 }), 'then it counts');
    revoked($t, 'after30', 'with all of its entries');
    ask($redis, 'FLUSHALL');
    ill($t, 4, 'a list that is flushed');
    stays($t, 'after30', 'also behind a reset');
    is((m2mctl('--list', $list, '--reset'))[0], 0, 'a list is begun anew by intention');
    ok(until_true(60, sub { $t->get('/a', token => token('after30'))->status == 200 }), 'and is empty');

    # lines that go without a writer
    m2mctl('--list', $list, '--jti', "last$_", '--issuer', 'https://as') for 1 .. 2;
    revoked($t, 'last2', 'two entries');
    ask($redis, 'SET', $KEYS{version}, ask($redis, 'GET', $KEYS{version}) =~ s/:2:(\w+):2\z/:3:$1:2/r);
    ask($redis, 'DEL', $KEYS{lines});
    stays($t, 'last2', 'lines that are dropped for want of memory');
    is((m2mctl('--list', $list, '--restore', "$t->{root}/none"))[0], 2, 'a file that is not there');
    spew("$t->{root}/bad", "jti a b\nrubbish\n");
    ($code, $said) = m2mctl('--list', $list, '--restore', "$t->{root}/bad");
    ok($code == 2 && $said =~ /bad:2: an entry begins with/, 'one that is not a list') or diag($said);
    is((m2mctl('--list', "$t->{root}/bad", '--reset'))[0], 2, 'a file needs no such thing');
    is((m2mctl('--list', $list, '--reset', '--jti', 'x', '--issuer', 'y'))[0], 2, 'nor is it an entry');
    is((m2mctl('--list', $list, '--reset'))[0], 0, 'as it is');
    ready($t, 'in the end');

    # what ended is dropped by whoever writes next
    my $now = int time;
    m2mctl('--list', $list, '--jti', 'ended', '--issuer', 'https://as', '--exp', $now - 100_000);
    m2mctl('--list', $list, '--jti', 'ends', '--issuer', 'https://as', '--exp', $now - 80_000);
    m2mctl('--list', $list, '--client', 'c', '--issuer', 'https://as', '--now', $now - 200_000);
    m2mctl('--list', $list, '--jti', 'x', '--issuer', 'https://as');
    my @lines = sort @{ ask($redis, 'SMEMBERS', $KEYS{lines}) };
    is(join("\n", map { s/ \d+\z//r } @lines), "client https://as c\njti https://as ends\njti https://as x",
       'entries that ended more than 25 hours ago are dropped, and no others');
    revoked($t, 'x', 'which loses nothing');
    is(list_of($t)->{state}, 'fresh', 'and is not a loss');
    ask($redis, 'SET', $KEYS{version}, 7);
    is((m2mctl('--list', "$list prefix=\"p:\"  ", '--jti', 'q', '--issuer', 'https://as'))[0], 0, 'a prefix in quotes');
    is(ask($redis, 'SISMEMBER', '{p:}lines', 'jti https://as q'), 1, 'is one without them');
    is((m2mctl('--list', "$list prefix=\"p:", '--jti', 'q', '--issuer', 'https://as'))[0], 2, 'a quote that is not closed');
    isnt((m2mctl('--list', $list, '--jti', 'y', '--issuer', 'https://as'))[0], 0, 'a version of something else is not overwritten');
    stays($t, 'x', 'nor believed');
    $t->finish(more => 1);
}

# --- a list that is too long ---

# As Redis sends it: a line, its length, and five bytes more; 16,777,000 at most.
{
    my $redis = redis_server();
    my $list = 'redis:' . $redis->at . ' timeout=30s';
    my $t = server($list);
    my $revoke = sub { m2mctl('--list', $list, '--issuer', 'https://as', @_) };
    my $line = sub { 'jti https://as ' . ('x' x 10_000) . sprintf '%05d', $_[0] };
    $revoke->('--jti', 'first');
    my $lines = sub { # by hand, several in one command
        my ($from, $to) = @_;
        for (my $i = $from; $i < $to; $i += 100) { ask($redis, 'SADD', $KEYS{lines}, map { $line->($_) } $i .. ($i + 99 < $to ? $i + 99 : $to - 1)) }
    };
    my $each = length($line->(0)) + 10;
    my $fit = int 16_777_000 / $each;
    $lines->(0, int $fit * 0.79);
    is(join('|', $revoke->('--jti', 'second')), '0|', 'a list with room');
    $lines->(int $fit * 0.79, int $fit * 0.85);
    my ($code, $said) = $revoke->('--jti', 'third');
    ok($code == 0 && $said =~ /warning: the list at .* has 8[45] % of the 16777000 bytes that servers read/, 'from 80 % on somebody is told')
        or diag("$code $said");
    revoked($t, 'third', 'it counts');
    my $token = own_token($t);
    ok(until_true(60, sub { call($t, '/revoke', 'app_a', token => $token)->status == 200 }), 'm2m-revoke adds to it');
    ok($t->error_log =~ /\[m2mgw:warn\].*the list of revoked tokens has 8[45] % of the 16777000 bytes/, 'and says it, too');
    $lines->(int $fit * 0.85, $fit);
    is(($revoke->('--jti', 'fourth'))[0], 0, 'as long as it fits');
    revoked($t, 'fourth', 'servers take it');
    my ($cards, $version) = (ask($redis, 'SCARD', $KEYS{lines}), ask($redis, 'GET', $KEYS{version}));
    ($code, $said) = $revoke->('--jti', 'y' x 10_500);
    ok($code == 2 && $said =~ /the list is full: servers read 16777000 bytes at most/, 'then it is full') or diag("$code $said");
    is(ask($redis, 'SCARD', $KEYS{lines}), $cards, 'and nothing is added');
    is(($revoke->('--jti', 'fourth'))[0], 0, 'what is there already is no error');
    stays($t, 'fourth', 'and the list goes on');
    is(list_of($t)->{state}, 'fresh', 'it is not one that was lost');
    $lines->($fit, $fit + 2);
    ($code, $said) = m2mctl('--list', $list, '--reset');
    ok($code == 2 && $said =~ /the list is full/, 'one that is longer cannot be reset') or diag("$code $said");
    ok(ask($redis, 'GET', $KEYS{version}) =~ /\AC/, 'nothing moved on');
    ask($redis, 'SREM', $KEYS{lines}, map { $line->($_) } 0 .. 99);
    is((m2mctl('--list', $list, '--reset'))[0], 0, 'shorter again');
    ok(until_true(60, sub { my $l = list_of($t); $l->{state} eq 'fresh' && $l->{entries} == ask($redis, 'SCARD', $KEYS{lines}) }), 'it counts');
    spew("$t->{root}/long", join '', map { $line->($_) . "\n" } 0 .. 299);
    ($code, $said) = m2mctl('--list', $list, '--restore', "$t->{root}/long");
    ok($code == 2 && $said =~ /the list is full/, 'nor can more be restored than fits') or diag("$code $said");
    $t->expect_log(qr/has \d+ % of the/);
    $t->finish(more => 1);
}

# --- sentinels, a cluster ---

# The slot of the list moves to another node: who writes while its keys are on both waits.
sub moves {
    my ($t, $list, @nodes) = @_;
    my @keys = values %KEYS;
    my $slot = ask($nodes[0], 'CLUSTER', 'KEYSLOT', $keys[0]);
    my ($from) = grep { (ask($_, 'GET', $KEYS{version}) // '') =~ /\A[CR]/ } @nodes;
    my ($to) = grep { $_ != $from } @nodes;
    my %id = map { $_ => ask($_, 'CLUSTER', 'MYID') } @nodes;
    my $move = sub { ask($from, 'MIGRATE', '127.0.0.1', $to->{port}, '', 0, 5000, 'KEYS', @_) };
    is(ask($to, 'CLUSTER', 'SETSLOT', $slot, 'IMPORTING', $id{$from}), 'OK', 'a slot begins to move');
    ask($from, 'CLUSTER', 'SETSLOT', $slot, 'MIGRATING', $id{$to});
    is($move->(@KEYS{qw(lines history)}), 'OK', 'some of its keys are there');
    my $pid = open my $out, '-|', $m2mctl, 'revoke', '--list', $list =~ s/timeout=10s/timeout=60s/r, '--jti', 'moved', '--issuer', 'https://as' or die $!;
    stays($t, 'one', 'the list stays in force');
    is(waitpid($pid, POSIX::WNOHANG()), 0, 'm2mctl waits');
    is($move->(@KEYS{qw(version ends)}), 'OK', 'the others');
    ask($_, 'CLUSTER', 'SETSLOT', $slot, 'NODE', $id{$to}) for $to, $from, @nodes;
    ok(close $out, 'then it has written');
    revoked($t, 'moved', 'which counts');
    stays($t, 'one', 'and loses nothing');
    isnt(list_of($t)->{state}, 'broken', 'nor is it taken for a loss');
    issuer_writes($t, 'moved');
}

for my $kind ('redis-sentinel', 'redis-cluster') {
    my @nodes = $kind eq 'redis-cluster' ? cluster(3) : redis_server();
    my @sentinels = $kind eq 'redis-cluster' ? () : sentinels($nodes[0], 1);
    my $list = $kind eq 'redis-cluster' ? "$kind:" . join ',', map { $_->at } @nodes
                                        : "$kind:m\@" . join ',', map { $_->at } @sentinels;
    $list .= ' timeout=10s';
    my $t = server($list);
    ready($t, "$kind: an empty list");
    issuer_writes($t, $kind);
    is((m2mctl('--list', $list, '--jti', 'one', '--issuer', 'https://as'))[0], 0, "$kind: m2mctl, too");
    revoked($t, 'one', "$kind: counts");
    moves($t, $list, @nodes) if $kind eq 'redis-cluster';
    ask($_, 'FLUSHALL') for @nodes;
    ill($t, 1, $kind);
    stays($t, 'one', "$kind: a list that is lost");
    is(call($t, '/revoke', 'app_a', token => own_token($t))->status, 503, "$kind: is not written to");
    spew("$t->{root}/saved", "jti https://as one\n");
    is((m2mctl('--list', $list, '--restore', "$t->{root}/saved"))[0], 0, "$kind: is restored");
    ok(until_true(60, sub { list_of($t)->{state} eq 'fresh' }), "$kind: and counts");
    revoked($t, 'one', "$kind: as it did");
    $t->finish(more => 1);
}
done_testing();
