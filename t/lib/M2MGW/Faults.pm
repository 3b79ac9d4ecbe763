# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# A server to which everything happens that happens to servers, under a load whose answers are
# known beforehand (M2MGW::Load): processes are killed and stopped, restarts come in the middle
# of half-written files, the key server closes, hangs, drips and lies, the state directory is
# full, descriptors run out, the clock is set. Nothing here depends on how fast the machine is:
# what counts only some time after a change is waited for, and what a process that was alive at
# a change might still believe is not judged before that process has gone.
#
#   M2MGW::Faults::run(seconds => 20, mpm => 'event');     # asserts by Test::More
package M2MGW::Faults;

use strict;
use warnings;
use POSIX ();
use Time::HiRes qw(sleep time);
use M2MGW::Idp;
use M2MGW::Load;
use M2MGW::Test;

use constant PATIENCE => 120; # seconds until something that has to happen must have happened

my $API = 'https://api.example.com';
my $SECRET = 'correct horse+battery/staple%';
my $CLIENTS = "app_x:\$2y\$05\$eeHrCj2u4bGD1/90QtKbsuV9mk5T7n26cyhkm6.1ad29.KTdA5voC\n";
my $FAKETIME = (grep { -f } glob '/usr/lib/*/faketime/libfaketimeMT.so.1 /usr/lib/faketime/libfaketimeMT.so.1')[0];

my $CONF = <<'CONF';
MaxConnectionsPerChild 2000
M2MDecisionLog logs/decisions what=all
M2MStateDir @ROOT@/state
M2MReplayStore shm:@ROOT@/run/replay
M2MIssuerName http://127.0.0.1:@PORT@/idp
M2MSigningKey @ROOT@/sign.pem kid=main
M2MGrantFile @ROOT@/grants
<Location /file>
    M2MJwks file:@ROOT@/keys.json
    SetHandler m2m-jwks
</Location>
<Location /url>
    M2MJwks @URL@
    M2MJwksRefresh ttl=1 max-stale=86400 timeout=1 cooldown=1
    M2MJwksWait 300
    SetHandler m2m-jwks
</Location>
<Location /pem>
    M2MJwk pem:@ROOT@/key.pem kid=S
    SetHandler m2m-jwks
</Location>
<Location /rules>
    M2MJwks file:@ROOT@/keys.json
    M2MParameter role Token:role
    M2MRule role "$role = 'admin'" ifTrue=ALLOW ifFalse=DENY
    SetHandler m2m-jwks
</Location>
<Location /limit>
    M2MJwks file:@ROOT@/keys.json
    M2MLimit load * 100000000/1s
    SetHandler m2m-jwks
</Location>
<Location /once>
    M2MJwks file:@ROOT@/oct.json
    M2MPreventJtiReplay On
    SetHandler m2m-jwks
</Location>
<Location /issued>
    M2MJwk pem:@ROOT@/sign.pub kid=main
    M2MIssuer http://127.0.0.1:@PORT@/idp
    M2MAudience https://api.example.com
    SetHandler m2m-jwks
</Location>
<Location /status>
    SetHandler m2m-status
</Location>
<Location /idp/token>
    SetHandler m2m-token
    M2MClientProvider file
    AuthUserFile @ROOT@/clients
</Location>
CONF

sub token { my ($key, $kid, %c) = @_; return mint($key, { sub => 'a', role => 'admin', exp => time + 36_000, %c }, { kid => $kid, alg => 'EdDSA' }) }

sub form { my %o = @_; return join '&', map { my $k = $_; map { "$k=" . s/([^A-Za-z0-9_.~-])/sprintf '%%%02X', ord $1/ger } $o{$k} } sort keys %o }

# --- what the load may ask, and what has to come of it ---

sub bad_tokens {
    my $good = token('ed25519#S', 'S');
    my ($h, $p, $s) = split /\./, $good;
    return (undef, '', 'x.y.z', $good . 'A', "$h.$p.", "$h." . b64('{"sub":"root","exp":9999999999}') . ".$s",
        token('ed25519#T', 'S'), token('ed25519#T', 'T'), token('ed25519#S', 'S', exp => time - 40_000),
        mint_raw('HS256', M2MGW::Token::pem('ed25519#S'), '{"alg":"HS256","kid":"S"}', '{"sub":"a","exp":9999999999}'),
        b64('{"alg":"none","kid":"S"}') . '.' . b64('{"sub":"a","exp":9999999999}') . '.');
}

sub requests {
    my @sections = qw(file url pem rules limit);
    my @bad = bad_tokens();
    my %form = (grant_type => 'client_credentials', client_id => 'app_x', client_secret => $SECRET);
    return {
        accept => [ (map { [ "/$_", token('ed25519#S', 'S') ] } @sections, 'file', 'url'), [ '/status?format=json', undef ] ],
        refuse => [ (map { my $s = $_; map { [ "/$s", $_ ] } @bad } @sections, 'once', 'issued'),
                    (map { [ '/rules', $_ ] } token('ed25519#S', 'S', role => 'guest'), token('ed25519#S', 'S', role => undef)) ],
        once => key('oct#faults')->{text}, run => "$$-" . int time,
        issue => [ form(%form, scope => "$API|one"), form(%form, scope => "$API|never"),
                   form(%form, scope => "$API|one", client_secret => 'guess') ],
    };
}

# --- the server ---

sub make {
    my (%o) = @_;
    my $t = M2MGW::Test->prepare(issuer => 1, loglevel => 'warn', without => [ 'cgid' ], files => {
        'keys.json' => jwks_json(jwk('ed25519#S', kid => 'S')), 'key.pem' => pem('ed25519#S'),
        'oct.json' => jwk_json('oct#faults'), 'sign.pem' => key('p256#issuer')->{text}, 'sign.pub' => pem('p256#issuer'),
        grants => "$API app_x one two\n", clients => $CLIENTS });
    chmod 0600, "$t->{root}/sign.pem";
    mkdir "$t->{root}/load", 0700;
    # stamps of files and timers stay real
    local @ENV{qw(M2MGW_PRELOAD FAKETIME_TIMESTAMP_FILE FAKETIME_DONT_FAKE_MONOTONIC NO_FAKE_STAT FAKETIME_CACHE_DURATION)}
        = $o{clocked} ? ($FAKETIME, "$t->{root}/clock", 1, 1, 1) : ($ENV{M2MGW_PRELOAD});
    delete @ENV{grep { !defined $ENV{$_} } qw(M2MGW_PRELOAD FAKETIME_TIMESTAMP_FILE FAKETIME_DONT_FAKE_MONOTONIC NO_FAKE_STAT FAKETIME_CACHE_DURATION)};
    spew("$t->{root}/clock", "+0\n");
    my $idp = M2MGW::Idp->start("$t->{root}/idp", clear => 1);
    my $self = bless { t => $t, root => $t->{root}, idp => $idp, n => 0, waiting => [], retired => [], late => 0, %o }, __PACKAGE__;
    $self->serve;
    $t->begin($CONF =~ s/\@URL\@/$idp->url('\/keys')/er);
    $self->{pid} = $t->{pid};
    $self->{load} = M2MGW::Load->new(port => $t->port, dir => "$t->{root}/load", seed => $o{seed});
    $self->settled('/url', token('ed25519#S', 'S'), 1) or die "the server does not get its keys\n";
    return $self;
}

sub set { my ($self, @n) = @_; return jwks_json(jwk('ed25519#S', kid => 'S'), map { jwk("ed25519#f$_", kid => "f$_") } @n) }

sub serve { my ($self, %o) = @_; $self->{idp}->serve('/keys', body => $self->set($self->{n}), %o) }

# the processes that take requests
sub children {
    my ($self) = @_;
    my @pids;
    for my $file (glob '/proc/[0-9]*/stat') {
        open my $fh, '<', $file or next;
        my ($pid, $ppid) = (<$fh> // '') =~ /\A(\d+) \(.*\) \S (\d+)/s or next;
        push @pids, $pid if $ppid == $self->{pid};
    }
    return @pids;
}

sub victim { my ($self) = @_; my @all = $self->children; return @all ? $all[rand @all] : () }

sub inside {
    my ($self, $url, $token) = @_;
    my $r = eval { $self->{t}->get($url, token => $token) } or return -1;
    return !$r->status || $r->status >= 500 ? -1 : index($r->body, M2MGW::Load::INSIDE) >= 0 ? 1 : 0;
}

# Waits until twenty answers in a row are as they must be now. Seconds it took, undef: never.
sub settled {
    my ($self, $url, $token, $must) = @_;
    my ($from, $row) = (time, 0);
    while (time - $from < PATIENCE) {
        $row = $self->inside($url, $token) == $must ? $row + 1 : 0;
        return time - $from || 0.001 if $row == 20;
        sleep 0.05 if !$row;
    }
    return;
}

# --- what happens ---

sub put { my ($self, $name, $text) = @_; spew("$self->{root}/$name.new", $text); rename "$self->{root}/$name.new", "$self->{root}/$name" or die $! }

sub calm { my ($self, $for) = @_; sleep $for }

sub killing { my ($self, $for) = @_; for (my $end = time + $for; time < $end; sleep 0.25) { kill 'KILL', $self->victim } }

sub stopping {
    my ($self, $for) = @_;
    my $pid = $self->victim or return;
    kill 'STOP', $pid;
    sleep $for;
    kill rand() < 0.3 ? 'KILL' : 'CONT', $pid;
}

sub restarts { my ($self, $for) = @_; for (my $end = time + $for; time < $end; sleep 0.3) { kill 'USR1', $self->{pid} } }

# A writer that cuts a file short and is told to go on only after a restart. SIGHUP under load only
# where no threads serve: the main thread of event and of worker then closes the sockets of requests,
# whose memory a worker may be giving back (httpd's close_worker_sockets), and crashes now and then.
sub half {
    my ($self, $for) = @_;
    for my $file (qw(keys.json key.pem sign.pem grants)) {
        my $text = slurp("$self->{root}/$file");
        open my $fh, '+<', "$self->{root}/$file" or die $!;
        truncate $fh, length($text) / 2;
        sleep $for / 12;
        kill rand() < 0.5 || M2MGW::Test::mpm() ne 'prefork' ? 'USR1' : 'HUP', $self->{pid};
        sleep $for / 6;
        seek $fh, 0, 0;
        print {$fh} $text;
        close $fh;
    }
}

sub lying {
    my ($self, $for) = @_;
    my @faults = ([ close => 1 ], [ delay => 30 ], [ drip => 0.05 ], [ status => 500 ], [ body => '<html>Sorry</html>', type => 'text/html' ],
        [ body => '{"keys":[]}' ], [ body => '' ], [ body => jwks_json(jwk('oct#faults', kid => 'S')) ], [ body => '[' x 100_000 ]);
    for my $fault (@faults) {
        $self->serve(@$fault);
        sleep $for / @faults;
    }
    $self->serve;
}

sub full {
    my ($self, $for) = @_;
    my @before = (stat "$self->{root}/state")[2, 4, 5];
    chown 0, 0, "$self->{root}/state" if !$>;
    chmod 0555, "$self->{root}/state";
    sleep $for / 2;
    kill 'USR1', $self->{pid};
    sleep $for / 2;
    chown @before[1, 2], "$self->{root}/state" if !$>;
    chmod $before[0] & 07777, "$self->{root}/state";
}

sub descriptors {
    my ($self, $for) = @_;
    for my $pid ($self->children) {
        opendir my $dh, "/proc/$pid/fd" or next;
        my $open = grep { /\A\d/ } readdir $dh;
        system "prlimit --pid=$pid --nofile=$open: 2>/dev/null" if $open; # it may have gone
    }
    sleep $for;
    system "prlimit --pid=$_ --nofile=1024: 2>/dev/null" for $self->children;
}

# Keys change; the one before is withdrawn.
sub rotate {
    my ($self) = @_;
    my $old = $self->{n}++;
    my $new = $self->{n};
    my @pids = $self->children;
    $self->serve;
    $self->put('keys.json', $self->set($new));
    for my $url (qw(/url /file)) {
        my $after = $self->settled($url, token("ed25519#f$new", "f$new"), 1);
        my $gone = $self->settled($url, token("ed25519#f$old", "f$old"), 0);
        ok($after && $gone, "$url: a new key counts, and the one before does not") if !$after || !$gone;
        for my $took ($after // PATIENCE, $gone // PATIENCE) { $self->{late} = $took if $took > $self->{late} }
    }
    push @{ $self->{waiting} }, { pids => \@pids, tokens => [ map { [ $_, token("ed25519#f$old", "f$old") ] } qw(/url /file) ] };
}

# A withdrawn key counts nowhere once those that knew it have gone.
sub retire {
    my ($self) = @_;
    my %alive = map { $_ => 1 } $self->children;
    my ($gone, @still) = (0);
    for my $w (@{ $self->{waiting} }) {
        if (grep { $alive{$_} } @{ $w->{pids} }) { push @still, $w; next }
        push @{ $self->{retired} }, @{ $w->{tokens} };
        $gone++;
    }
    $self->{waiting} = \@still;
    $self->{load}->publish(retired => $self->{retired}) if $gone;
}

my @STEPS = ([ calm => 1 ], [ killing => 1.5 ], [ half => 1.5 ], [ rotate => 0 ], [ stopping => 1.5 ], [ lying => 2 ], [ restarts => 1.2 ],
    [ full => 1 ], [ descriptors => 1 ], [ killing => 1 ], [ rotate => 0 ]);

# One after the other, then as the dice fall.
sub happen {
    my ($self, $seconds) = @_;
    my $end = time + $seconds;
    for (my $i = 0; time < $end || $i < @STEPS; $i++) {
        my ($step, $for) = @{ $i < @STEPS ? $STEPS[$i] : $STEPS[rand @STEPS] };
        print STDERR sprintf "# %.1f %s\n", time, $step if $ENV{M2MGW_FAULTS_TELL};
        $self->$step($for * ($i < @STEPS ? 1 : 0.5 + 2 * rand));
        $self->retire;
        $self->{steps}++;
        last if !kill 0, $self->{pid};
    }
}

# --- the clock ---

# What httpd believes the time is, so many seconds from now. libfaketime looks into its file once
# a second, at the first call after that, so that three seconds later each process knows.
sub clock {
    my ($self, $offset) = @_;
    $self->{load}->publish(offset => 'being set');
    $self->put('clock', sprintf "%+d\n", $offset);
    my $told = sub {
        my $date = $self->{t}->get('/status')->header('Date') // '';
        my ($d, $m, $y, @t) = $date =~ /, (\d+) (\w+) (\d+) (\d+):(\d+):(\d+)/ or return;
        my $month = index('JanFebMarAprMayJunJulAugSepOctNovDec', $m) / 3;
        return abs(POSIX::mktime($t[2], $t[1], $t[0], $d, $month, $y - 1900) - POSIX::mktime(gmtime) - $offset) < 300;
    };
    my ($row, $end) = (0, time + PATIENCE);
    while ($row < 20 && time < $end) { $row = $told->() ? $row + 1 : 0; sleep 0.05 if !$row }
    ok($row == 20, "the clock is set by $offset seconds");
    sleep 3;
    $self->{load}->publish(offset => $offset);
}

# A day's keys come and go as fast as ever, and one-time tokens stay spent.
sub set_clocks {
    my ($self, $seconds) = @_;
    my $end = time + $seconds;
    my @offsets = (-7200, 0, 3600, 0);
    for (my $i = 0; $i < @offsets && ($i < 2 || time < $end) || time < $end; $i++) {
        $self->clock($offsets[$i % @offsets]);
        $self->rotate;
        if ($i % 2) { kill 'USR1', $self->{pid}; sleep 0.3 }
        $self->{steps}++;
        last if !kill 0, $self->{pid};
    }
}

# --- the verdict ---

sub crashes {
    my ($self) = @_;
    return grep { /exit signal (?!Killed \(9\)|Terminated)/ || /Sanitizer|runtime error:|assert(?:ion)? .*fail|core dump|:(?:emerg|alert|crit)\]/i }
        split /\n/, $self->{t}->error_log . slurp("$self->{root}/logs/console");
}

sub descriptors_of { my ($pid) = @_; opendir my $dh, "/proc/$pid/fd" or return 0; return scalar grep { /\A\d/ } readdir $dh }

sub judge {
    my ($self, $sum, $name) = @_;
    ok(kill(0, $self->{pid}), "$name: the server is there") or $self->{t}{pid} = 0;
    my %zero = (in => 'nobody got in', twice => 'no token was accepted twice', refused => 'nobody was refused wrongly',
                fault => 'no 5xx', hung => 'nobody waits');
    for my $what (sort keys %zero) {
        is($sum->{$what}, 0, "$name: $zero{$what}") or diag(join "\n", grep { / $what: / } @{ $sum->{odd} });
    }
    my @missing = grep { !$sum->{by}{"$_ good"} } qw(file url pem rules limit status once again token issued);
    is("@missing", '', "$name: every section has answered well");
    my @crashes = $self->crashes;
    is(scalar @crashes, 0, "$name: no crash, no report of a sanitizer") or diag(join "\n", @crashes[0 .. ($#crashes > 9 ? 9 : $#crashes)]);
    print "# $name: ", M2MGW::Load::line($sum), sprintf("; %d steps, %d keys withdrawn, each within %.1f s\n", $self->{steps} // 0,
        $self->{n}, $self->{late});
}

sub finish {
    my ($self, $name) = @_;
    kill 'CONT', $self->children;
    ok($self->{t}->stop, "$name: it stops when told to") if kill 0, $self->{pid};
    my @leak = $self->{t}->leaks($self->{t}->error_log);
    is("@leak", '', "$name: no text of a token in the log");
    $self->{idp}->down;
    $self->{t}->clean;
}

sub run {
    my (%o) = @_;
    $ENV{M2MGW_MPM} = $o{mpm} if $o{mpm};
    my $mpm = M2MGW::Test::mpm();
    my $seed = $o{seed} // $ENV{M2MGW_SEED} // int time;
    srand $seed;
    note("seed $seed");
    my $clock = $FAKETIME && !$ENV{M2MGW_PRELOAD} ? $o{seconds} / 3 : 0;
    my $self = make(seed => $seed);
    my $before = descriptors_of($self->{pid});
    $self->{load}->start(requests(), $o{workers} // 4);
    $self->happen($o{seconds} - $clock);
    $self->judge($self->{load}->stop, "$mpm, faults");
    cmp_ok(descriptors_of($self->{pid}), '<', $before + 20, "$mpm, faults: descriptors of the parent are not lost");
    $self->finish("$mpm, faults");
    return if !$clock;
    # by itself: a process that is killed within libfaketime leaves a lock behind
    $self = make(seed => $seed + 1, clocked => 1);
    $self->{load}->start(requests(), $o{workers} // 4);
    $self->set_clocks($clock);
    $self->judge($self->{load}->stop, "$mpm, clock");
    $self->finish("$mpm, clock");
}

1;
