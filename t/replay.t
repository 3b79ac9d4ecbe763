#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# One-time tokens: of many simultaneous uses one is accepted, over processes, restarts and
# servers that share a store; a token is spent by nothing but a request that passed, and once
# by it; no store, no pass. M2MGW_SOAK=1 plays 1,000 rounds where otherwise a few are played.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use M2MGW::Test;
use M2MGW::Replay;

my $SOAK = $ENV{M2MGW_SOAK};
my $N = 64;
my $jti = 0;
my %KEY = ('k.json' => jwk_json('oct', kid => 'K'));

my $MPM = ($ENV{M2MGW_MPM} // 'event') eq 'prefork' ? <<'PREFORK' : <<'EVENT';
StartServers 8
MaxSpareServers 70
ServerLimit 80
MaxRequestWorkers 80
PREFORK
ServerLimit 8
StartServers 4
ThreadsPerChild 16
MinSpareThreads 64
MaxSpareThreads 128
MaxRequestWorkers 128
EVENT

my $COMMON = $MPM . <<'CONF';
LogLevel info
M2MJwks file:@ROOT@/k.json
M2MPreventJtiReplay On
CONF

sub token { mint('oct', { sub => 'a', iss => 'https://as', jti => 'j' . ++$jti, %{ $_[0] // {} } }) }

# Rounds of one token each: [rounds that went wrong, what the first of them saw].
sub play {
    my ($name, $ports, $rounds, %o) = @_;
    my @bad;
    for my $round (1 .. $rounds) {
        my $seen = volley($ports, '/index.html', token(), $N,
                          before => sub { $o{before} && $o{before}->($round) });
        my $ok = delete $seen->{'200 ok'};
        my $rest = delete $seen->{'401 jti_replayed'};
        my $lost = delete $seen->{lost} // 0;
        my $good = $o{lossy} ? ($ok // 0) <= 1 && ($ok || $lost) && !%$seen
                             : ($ok // 0) == 1 && ($rest // 0) == $N - 1 && !%$seen;
        push @bad, join ', ', "round $round: ok " . ($ok // 0), 'replayed ' . ($rest // 0),
            "lost $lost", map { "$_: $seen->{$_}" } sort keys %$seen if !$good;
    }
    ok(!@bad, "$name: one of $N is accepted, $rounds rounds") or diag(join "\n", @bad[0 .. ($#bad > 9 ? 9 : $#bad)]);
}

# --- one server, memory ---

my $t = M2MGW::Test->start(config => $COMMON . <<'CONF', files => { %KEY, 'htdocs/a/x.txt' => "x\n", 'htdocs/e.html' => "sorry\n", 'htdocs/ssi.shtml' => '<!--#include virtual="/a/x.txt" --><!--#include virtual="/index.html" -->' });
M2MReplayStore shm entries=20000
M2MReplayMaxLifetime 5000
ProxyPass /api http://@BACKEND@/api
<Location /rule>
    M2MParameter client Token:client_id
    M2MRule only "$client = 'app'" ifFalse=DENY
    ProxyPass http://@BACKEND@/rule
</Location>
<Location /require>
    Require m2m-scope write
</Location>
<Location /observe>
    M2MPreventJtiReplay Observe
    ProxyPass http://@BACKEND@/observe
</Location>
<Location /off>
    M2MPreventJtiReplay Off
    ProxyPass http://@BACKEND@/off
</Location>
<Location /shadow>
    M2MEngine Shadow
    ProxyPass http://@BACKEND@/shadow
</Location>
<Location /wide>
    M2MLeeway 600
    ProxyPass http://@BACKEND@/wide
</Location>
<Location /strict>
    M2MLeeway 0
    ProxyPass http://@BACKEND@/strict
</Location>
<Location /noexp>
    M2MIgnoreExpiration On
    ProxyPass http://@BACKEND@/noexp
</Location>
<Location /status>
    SetHandler m2m-status
    M2MEngine Off
</Location>
RewriteEngine On
RewriteRule ^/rewritten$ /a/x.txt
<Directory @DOCROOT@/a>
    RewriteEngine On
    RewriteRule ^again\.txt$ /a/x.txt
</Directory>
<Files ssi.shtml>
    Options +Includes
    AddOutputFilter INCLUDES .shtml
</Files>
ErrorDocument 404 /e.html
Alias /dir @DOCROOT@
DirectoryIndex index.html
CONF

# a warning of the configuration, and what happens to forked subrequests, is not of interest
$t->expect_log(qr/M2-10\d:/);

my $one = token();
passes($t->get('/api', token => $one), 'the first use');
denies($t->get('/api', token => $one), 401, 'jti_replayed', 'the second use');
denies($t->get('/wide', token => $one), 401, 'jti_replayed', 'elsewhere');
passes($t->get('/api', token => token({ jti => 'j1', iss => 'https://other' })),
       'the same jti of another issuer');
denies($t->get('/api', token => token({ jti => undef })), 401, 'jti_missing', 'no jti');
denies($t->get('/api', token => token({ jti => '' })), 401, 'jti_missing', 'an empty jti');
denies($t->get('/api', token => token({ jti => 7 })), 401, 'jti_missing', 'a jti that is a number');
denies($t->get('/api', token => token({ exp => undef })), 401, 'claim_missing', 'no exp');
denies($t->get('/noexp', token => token({ exp => undef })), 401, 'claim_missing',
       'no exp, which replay needs');
denies($t->get('/noexp', token => token({ exp => time - 100 })), 401, 'expired',
       'an exp in the past, which replay needs');

# --- how long a token may live, and how long it is remembered ---

denies($t->get('/api', token => token({ exp => time + 5100 })), 401, 'claim_invalid',
       'a token that lives too long');
denies($t->get('/api', token => token({ exp => 2 ** 53 })), 401, 'claim_invalid',
       'a token that lives for ever');
passes($t->get('/api', token => token({ exp => time + 4900 })), 'one that does not');
passes($t->get('/off', token => token({ exp => time + 5100 })), 'and where replay is off');
# how long a busy machine needs from here to the decision is not known: as long as it takes
my ($late, $first, $end);
for my $life (1, 2, 4, 8, 16, 32) {
    $late = token({ exp => $end = time + $life });
    $first = $t->get('/strict', token => $late);
    last if $first->status == 200;
    is($first->reason, 'expired', "a busy machine: $life s were over");
}
passes($first, 'shortly before its end');
sleep 1 while time <= $end;
denies($t->get('/strict', token => $late), 401, 'expired', 'and behind it');
denies($t->get('/wide', token => $late), 401, 'jti_replayed',
       'a section with more leeway still knows it');

# --- what spends and what does not ---

my $rule = token({ client_id => 'other' });
denies($t->get('/rule', token => $rule), 403, 'rule_denied', 'a rule refuses');
passes($t->get('/api', token => $rule), 'which spends nothing');
my $scope = token({ scope => 'read' });
is($t->get('/require/x', token => $scope)->status, 403, 'Require refuses');
passes($t->get('/api', token => $scope), 'which spends nothing either');
my $mangled = token();
$mangled =~ s/\.([^.]*)\z/'.' . reverse $1/e;
$t->secret($mangled =~ /([^.]*)\z/);
isnt($t->get('/api', token => $mangled)->status, 200, 'a forged copy');
passes($t->get('/api', token => token({ jti => 'j' . $jti })), 'does not spend its model');
for my $path (qw(/a/x.txt /rewritten /a/again.txt /dir/ /ssi.shtml /nothing-here)) {
    my $token = token();
    my $r = $t->get($path, token => $token);
    my $want = $path eq '/nothing-here' ? 404 : 200;
    is($r->status, $want, "$path: one use, whatever requests httpd makes of it")
        or diag($r->reason . "\n" . $r->body);
    is($t->get($path, token => $token)->status, 401, "$path: and not a second");
}
like($t->get('/ssi.shtml', token => token())->body, qr/x\nindex/,
     'two included documents are of the same use');

# --- Observe and Shadow ---

my $seen = token();
passes($t->get('/observe', token => $seen), 'Observe: the first use');
passes($t->get('/observe', token => $seen), 'Observe: the second use');
denies($t->get('/api', token => $seen), 401, 'jti_replayed', 'Observe records');
passes($t->get('/observe', token => token({ jti => undef })), 'Observe: no jti');
passes($t->get('/observe', token => token({ exp => time + 90000 })), 'Observe: a long life');
my $shadow = token();
passes($t->get('/shadow', token => $shadow), 'Shadow: the first use');
passes($t->get('/shadow', token => $shadow), 'Shadow: the second use');

my $status = JSON::PP::decode_json($t->get('/status?format=json')->body)->{replay};
is($status->{store}, 'shm', 'the status page names the store');
is($status->{entries}, 20000, 'its size');
cmp_ok($status->{live}, '>', 10, 'what is alive');
cmp_ok($status->{replayed}, '>', 10, 'what was refused');

# --- many at once ---

play('memory, four processes', [ $t->port ], $SOAK ? 1000 : 12);
my $before_restart = token();
is($t->get('/index.html', token => $before_restart)->status, 200, 'before a graceful restart');
play('memory, a graceful restart in the middle', [ $t->port ], $SOAK ? 1000 : 8, lossy => 1,
     before => sub { kill 'USR1', $t->{pid} if $_[0] % ($SOAK ? 20 : 4) == 2 });
$t->reload;
denies($t->get('/index.html', token => $before_restart), 401, 'jti_replayed',
       'after a graceful restart');
$t->reload('HUP');
denies($t->get('/index.html', token => $before_restart), 401, 'jti_replayed',
       'after a restart by HUP');
$t->finish(more => 1);

# --- a leeway that is raised at a reload ---

# Spent within the old leeway, a token is not accepted again within the new one; whether its
# mark is still there or the old leeway judges it is all the same.
{
    my $open = "M2MReplayStore shm entries=1000\n";
    $t = M2MGW::Test->start(config => $COMMON . "M2MLeeway 60\n$open", files => \%KEY);
    $t->expect_log(qr/M2-10\d:/);
    my @old = map { token({ exp => time - $_ }) } 48, 50, 52;
    my @at = map { $t->get('/index.html', token => $_)->reason } @old;
    my @used = grep { $at[$_] eq 'ok' } 0 .. $#old;
    ok(scalar @used, 'tokens are used within the leeway') or diag("@at");
    my $from = time;
    $t->file('conf/suite.conf', $COMMON . "M2MLeeway 68\n$open");
    $t->reload;
    my (%after, $n);
    while (time < $from + 22) { # until 70 s behind the end of the last
        $after{ $t->get('/index.html', token => $old[$_])->reason }++ for @used;
        $n++;
        sleep 1;
    }
    is(join(' ', grep { !/^(?:expired|jti_replayed)\z/ } sort keys %after), '',
       "a raised leeway: none of $n rounds accepts a spent token again");
    my $fresh;
    for my $tries (1 .. 5) { # the old leeway is over, and the request may be slow
        $fresh = $t->get('/index.html', token => token({ exp => time - 61 }));
        last if $fresh->status == 200;
    }
    is($fresh->status, 200, 'the new leeway is in force for others');
    $t->finish(more => 1);
}

# --- one server, a file ---

$t = M2MGW::Test->start(config => $COMMON . <<'CONF', files => \%KEY);
M2MReplayStore shm:run/replay.table entries=3000
CONF
$t->expect_log(qr/M2-10\d:/);
my @spent = map { token() } 1 .. 20;
is($t->get('/index.html', token => $_)->status, 200, 'a first use') for @spent[0 .. 1];
my ($mode, $uid) = (stat "$t->{root}/run/replay.table")[2, 4];
is($mode & 07777, 0600, 'the file is nobody else\'s');
is($uid, $> ? $> : (getpwnam((grep { defined getpwnam $_ } qw(www-data apache nobody))[0]))[2],
   'it belongs to User');
$t->get('/index.html', token => $_) for @spent[2 .. 19];
play('a file, four processes', [ $t->port ], $SOAK ? 1000 : 6);
$t->stop;
$t->launch;
is(scalar(grep { $t->get('/index.html', token => $_)->reason eq 'jti_replayed' } @spent), 20,
   'a stop and a start forget nothing');
kill 'KILL', -$t->{pid};
waitpid $t->{pid}, 0;
M2MGW::Test::before_long(sub { !$t->listening }) or die 'a process of the group is still there';
$t->launch;
is(scalar(grep { $t->get('/index.html', token => $_)->reason eq 'jti_replayed' } @spent), 20,
   'nor does kill -9 of all processes');
$t->file('conf/suite.conf', $COMMON . "M2MReplayStore shm:run/replay.table entries=9000\n");
$t->reload;
is(scalar(grep { $t->get('/index.html', token => $_)->reason eq 'jti_replayed' } @spent), 20,
   'nor does a larger table at a graceful restart');
is($t->get('/index.html', token => token())->status, 200, 'new tokens are accepted');
$t->stop;
open my $fh, '+<:raw', "$t->{root}/run/replay.table" or die $!;
seek $fh, 16, 0;
print {$fh} "damage";
close $fh;
ok(!eval { local *STDERR; local *STDOUT; $t->{pid} = 0; no_start($t) }, 'a damaged file stops the start');
like($t->error_log, qr/M2-301: M2MReplayStore: replay store \S+replay\.table: the file is damaged .*remove the file/,
     'with a sentence that says what to do');
$t->expect_log(qr/M2-301/, qr/AH00020|AH00016|Configuration Failed/, qr/AH00098/);
$t->finish(more => 1);

sub no_start {
    my ($server) = @_;
    my $pid = fork // die $!;
    if (!$pid) {
        open STDOUT, '>', '/dev/null';
        open STDERR, '>', '/dev/null';
        exec $server->command('-DFOREGROUND');
    }
    waitpid $pid, 0;
    return $? == 0;
}

# --- a table that is full ---

$t = M2MGW::Test->start(config => $COMMON . <<'CONF', files => \%KEY);
M2MReplayStore shm entries=5
CONF
$t->expect_log(qr/M2-10\d:/, qr/replay_unavailable|replay store is full/);
$t->get('/index.html', token => token()) for 1 .. 5;
my $r = $t->get('/index.html', token => token());
denies($r, 503, 'replay_unavailable', 'a full table');
ok($r->header('Retry-After'), 'with Retry-After');
like($t->error_log, qr/is full with 5 live tokens; set M2MReplayStore shm entries=10/,
     'the log says what to set');
$t->finish(more => 1);

# --- two servers and a store elsewhere ---

for my $kind (qw(redis memcache)) {
    my $program = $kind eq 'redis' ? 'redis-server' : 'memcached';
  SKIP: {
        skip("$program is not installed", 1) if !installed($program);
        my $store = $kind eq 'redis' ? redis() : memcached();
        my $config = $COMMON . "M2MReplayStore $kind:" . $store->at . " timeout=20s\n";
        $t = M2MGW::Test->start(config => $config, files => \%KEY);
        my $other = M2MGW::Test->start(config => $config, files => \%KEY);
        $_->expect_log(qr/M2-10\d:/, qr/replay_unavailable|does not answer/) for $t, $other;
        my $first = token();
        is($t->get('/index.html', token => $first)->status, 200, "$kind: one server accepts");
        denies($other->get('/index.html', token => $first), 401, 'jti_replayed',
               "$kind: the other knows");
        play("$kind, two servers", [ $t->port, $other->port ], $SOAK ? 1000 : 6);
        play("$kind, a graceful restart in the middle", [ $t->port, $other->port ],
             $SOAK ? 1000 : 4, lossy => 1,
             before => sub { kill 'USR1', $t->{pid} if $_[0] % ($SOAK ? 20 : 3) == 2 });
        $store->stop;
        my $down = token();
        $r = $t->get('/index.html', token => $down);
        denies($r, 503, 'replay_unavailable', "$kind: down");
        ok($r->header('Retry-After'), "$kind: with Retry-After");
        $store->launch;
        # a store that was away is not asked for a moment
        my $up = sub { my ($server) = @_; my $r; M2MGW::Test::before_long(sub { ($r = $server->get('/index.html', token => $down))->status != 503 }); return $r };
        is($up->($t)->status, 200, "$kind: up again");
        denies($up->($other), 401, 'jti_replayed', "$kind: and the other server knows");
        $other->finish(more => 1);
        $t->finish(more => 1);
    }
}
done_testing();
