#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# M2MRevocation: what is on a list passes nowhere two seconds later, in no child and for no
# cached token, however the list is written; what breaks a list takes nothing back, and a list
# that stays broken closes. Judged by what the backend received.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Fcntl qw(:flock);
use JSON::PP ();
use M2MGW::Idp;
use M2MGW::Test;
use POSIX ();
use Time::HiRes qw(sleep time);

my $WITHIN = 2; # seconds that a change may take
my $ISS = 'https://as.test/';
my $tool = $ENV{M2MGW_M2MCTL} || ($ENV{M2MGW_BUILD} || '.') . '/m2mctl';
my $n = 0;

sub token {
    my (%claims) = @_;
    return mint('oct', { iss => $ISS, sub => 's', client_id => 'app', iat => int time - 10, jti => 'j' . ++$n, %claims });
}

sub until_true { my ($what, $test) = @_; return ok(M2MGW::Test::before_long($test), $what) }

# likewise, and then in every child
sub everywhere { my ($what, $test) = @_; return M2MGW::Test->everywhere($what, $test) }

sub append {
    my ($file, $text) = @_;
    open my $out, '>>', $file or die "$file: $!";
    flock $out, LOCK_EX or die;
    syswrite $out, $text;
    close $out;
}

my $idp = M2MGW::Idp->start(File::Temp::tempdir(CLEANUP => 1), clear => 1);
$idp->serve('/list', body => "jti $ISS url1\n", type => 'text/plain');
$idp->serve('/cutlist', body => "jti $ISS url3\n", type => 'text/plain');
$idp->serve('/bad', body => "rubbish\n", type => 'text/plain');

my $policy = "M2MJwks file:\@ROOT\@/k.json\n    ProxyPass http://\@BACKEND\@/b";
my $t = M2MGW::Test->start(config => <<"CONF", files => {
M2MDecisionLog logs/decisions.log
M2MStateDir \@ROOT\@/state
<Location /r>
    $policy
    M2MRevocation file:list
</Location>
<Location /r/none>
    M2MRevocation none
</Location>
<Location /r/other>
    M2MRevocation file:other
</Location>
<Location /r/inner>
    M2MRequireClaim iss
</Location>
<Location /r/gateway>
    M2MErrorProfile gateway
</Location>
<Location /r/shadow>
    M2MEngine Shadow
    M2MClaim client_id header:X-Client
</Location>
<Location /r/once>
    M2MPreventJtiReplay On
</Location>
<Location /both>
    $policy
    M2MRevocation file:list
    M2MRevocation file:\@ROOT\@/other
</Location>
<Location /stale>
    $policy
    M2MRevocation file:stale max-stale=3
</Location>
<Location /url>
    $policy
    M2MRevocation @{[ $idp->url('/list') ]} ttl=1 max-stale=9
</Location>
<Location /cut>
    $policy
    M2MRevocation @{[ $idp->url('/cutlist') ]} ttl=1
</Location>
<Location /badurl>
    $policy
    M2MRevocation @{[ $idp->url('/bad') ]}
</Location>
<Location /status>
    SetHandler m2m-status
</Location>
CONF
    'k.json' => jwk_json('oct', kid => 'K1'), list => "# nothing yet\n", other => "sub $ISS other\n", stale => '',
});
my $root = $t->{root};
chmod 0777, "$root/state";

sub revoke {
    my (@args) = @_;
    my ($list) = map { $args[$_ + 1] } grep { $args[$_] eq '--list' } 0 .. $#args;
    push @args, '--list', "$root/list" if !$list;
    is(system($tool, 'revoke', @args), 0, "m2mctl revoke @args[0, 1]");
}

# --- each kind of entry, in the section, below it, and where it does not count ---

my %token = (jti => token(jti => 'J1'), client => token(client_id => 'gone'), azp => token(client_id => undef, azp => 'gone'),
    sub => token(sub => 'bob'), claim => token(tenant => [ 'acme', 'x y' ]), number => token(level => 7));
my $fine = token(iat => int time + 30);
passes($t->get('/r/x', token => $token{$_}), "$_, before") for sort keys %token;
passes($t->get('/r/x', token => $token{jti}), 'jti, from the cache');
is((slurp("$root/list")), "# nothing yet\n", 'the list is still empty');
revoke('--jti', 'J1', '--issuer', $ISS, '--exp', int time + 4000);
revoke('--client', 'gone', '--issuer', $ISS);
revoke('--sub', 'bob', '--issuer', $ISS);
revoke('--claim', 'tenant=x y');
revoke('--claim', 'level=7');
{
    my $list = File::Temp::tempdir(CLEANUP => 1) . '/list';
    spew($list, "rubbish\n");
    my $said = `$tool revoke --jti J --issuer i --list $list 2>&1`;
    is($? >> 8, 2, 'm2mctl revoke: a list that servers do not take');
    like($said, qr/the entry was added, but servers do not take the list .*line 1/, 'says so');
    spew($list, '');
    $said = `$tool revoke --jti J --issuer '*' --list $list 2>&1`;
    like($said, qr/'\*' is any issuer with --kid alone; --jti names one/, 'any issuer is for --kid');
}
everywhere('all are revoked', sub { !grep { $t->get('/r/x', token => $_)->status != 401 } values %token });
denies($t->get('/r/x', token => $token{$_}), 401, 'revoked', $_) for sort keys %token;
my $r = $t->get('/r/inner/x', token => $token{jti});
denies($r, 401, 'revoked', 'below, where it is inherited');
is($r->header('X-Ca-Error-Code'), 'A403JT', 'its code');
like($r->header('WWW-Authenticate'), qr/Bearer .*error="invalid_token"/, 'its challenge');
unlike(join('', $r->body, $r->header('X-Ca-Error-Message')), qr/J1|gone|jti/, 'nothing of the token or the list is told');
denies($t->get('/r/gateway/x', token => $token{jti}), 403, 'revoked', 'in profile gateway');
passes($t->get('/r/none/x', token => $token{jti}), 'none empties the group');
passes($t->get('/r/other/x', token => $token{jti}), 'another list replaces it');
denies($t->get('/r/other/x', token => token(sub => 'other')), 401, 'revoked', 'and counts');
passes($t->get('/r/x', token => token(sub => 'other')), 'in its section alone');
denies($t->get('/both/x', token => $token{jti}), 401, 'revoked', 'the first of two lists');
denies($t->get('/both/x', token => token(sub => 'other')), 401, 'revoked', 'the second of two');
passes($t->get('/r/x', token => token()), 'another token');
passes($t->get('/r/x', token => token(jti => 'J1', iss => 'https://other/')), 'the same jti of another issuer');
passes($t->get('/r/x', token => token(client_id => 'gone', iat => int time + 30)), 'what the client gets afterwards');
$r = $t->get('/r/shadow/x', token => $token{client});
passes($r, 'Shadow');
is($r->header('X-Decision') . ' ' . $r->reason, 'deny revoked', 'is marked');
is($r->sent('X-Client') // '-', '-', 'and claims nothing');

# a refused token is not spent
my $once = token(jti => 'ONCE');
append("$root/list", "jti $ISS ONCE\n");
everywhere('ONCE is revoked', sub { $t->get('/r/x', token => $once)->status == 401 });
denies($t->get('/r/once/x', token => $once), 401, 'revoked', 'where replay is prevented');
my $text = slurp("$root/list");
spew("$root/list.new", $text =~ s/.*ONCE\n//r);
rename "$root/list.new", "$root/list";
everywhere('an entry that is gone', sub { $t->get('/r/x', token => $once)->status == 200 });
passes($t->get('/r/once/x', token => $once), 'it was not spent');
denies($t->get('/r/once/x', token => $once), 401, 'jti_replayed', 'and is now');

# --- what is seen of it ---

$t->let_finish;
my $doc = JSON::PP::decode_json($t->get('/status?format=json')->body);
my ($list) = grep { $_->{source} eq "$root/list" } @{ $doc->{revocation} };
is_deeply([ @$list{qw(kind state usable entries)} ], [ 'file', 'ok', 1, 5 ], 'the status page has the list');
ok($doc->{decisions}{revoked} > 5, 'and counts');
ok(!grep({ $_->{source} eq "$root/list" } @{ $doc->{sources} }), 'it is not a key source');
my ($section) = grep { $_->{section} =~ m{/r"?>?$|/r\b(?!/)} } @{ $doc->{sections} };
ok($section->{reasons}{revoked}, 'by section, too');
my ($recent) = grep { $_->{reason} eq 'revoked' && ($_->{client} // '') eq 'gone' } @{ $doc->{recent} };
like($recent->{detail} // '', qr/names its client/, 'recent refusals say whose it was, and what names it');
my $metrics = $t->get('/status?format=prometheus')->body;
like($metrics, qr/^m2mgw_decisions_total\{decision="deny",reason="revoked"\} \d/m, 'metrics count');
like($metrics, qr/^m2mgw_list_entries\{source="\Q$root\E\/list"\} 5$/m, 'and tell the size of the list');
like($t->get('/status')->body, qr/Lists of revoked tokens/, 'the page shows it');
$t->let_finish;
my @lines = map { JSON::PP::decode_json($_) } split /\n/, slurp("$root/logs/decisions.log");
my ($line) = grep { ($_->{reason} // '') eq 'revoked' && ($_->{client} // '') eq 'gone' } @lines;
is(($line->{iss} // '') . ' ' . ($line->{kid} // ''), "$ISS K1", 'the decision log says whose it was');
ok(!grep({ /J1/ } map { $_->{detail} // '' } @lines), 'and quotes no jti');

# --- broken lists ---

$t->expect_log(qr{/list: line \d+: .*the entries it held before stay in use}, qr{/list is not a regular file},
    qr{/list: .*No such file}, qr{/list can be written by everybody}, qr{/list is larger than}, qr{/stale: line 1}, qr{/stale: not found good for},
    qr{M2-101: .* M2MEngine Shadow}, qr{/(?:cut)?list: (?:cannot be refreshed|not fetched)}, qr{/bad: cannot be fetched}, qr{M2MRevocation: });
my $good = slurp("$root/list");

# what is done to the list, and what stands in the log then
sub survives {
    my ($name, $re, $break) = @_;
    my $before = () = $t->error_log =~ /$re/g;
    $break->("$root/list");
    until_true("$name: told", sub { (() = $t->error_log =~ /$re/g) > $before });
    everywhere("$name: the page says so", sub {
        my ($bad) = grep { $_->{source} eq "$root/list" } @{ JSON::PP::decode_json($t->get('/status?format=json')->body)->{revocation} };
        return $bad->{state} eq 'broken';
    });
    denies($t->get('/r/x', token => $token{jti}), 401, 'revoked', "$name: the last good list stays") for 1 .. 3;
    passes($t->get('/r/x', token => $fine), "$name: and nothing else is refused");
    unlink "$root/list";
    spew("$root/list.new", $good);
    rename "$root/list.new", "$root/list";
    until_true("$name: well again", sub {
        my ($now) = grep { $_->{source} eq "$root/list" } @{ JSON::PP::decode_json($t->get('/status?format=json')->body)->{revocation} };
        return $now->{state} eq 'ok';
    });
}
my $more = token(jti => 'MORE');
survives('an unknown entry', qr{/list: line \d+: an entry begins with}, sub { append($_[0], "jti $ISS MORE\ntoken $ISS x\n") });
passes($t->get('/r/x', token => $more), 'what stood beside it never counted');
survives('half an entry', qr{/list: line \d+: an entry needs two words}, sub { spew($_[0], "$good\njti $ISS\n") });
survives('a bad escape', qr{/list: line \d+: a word is not percent-encoded}, sub { append($_[0], "jti $ISS a%2\n") });
survives('a FIFO', qr{/list is not a regular file}, sub { unlink $_[0]; POSIX::mkfifo($_[0], 0644) });
survives('no list', qr{/list: .*No such file}, sub { unlink $_[0] });
survives('a list that everybody may write', qr{/list can be written by everybody}, sub { chmod 0666, $_[0] });
survives('one beyond any size', qr{/list is larger than}, sub { truncate $_[0], 65 * 1024 * 1024 });

# --- restarts while it is broken ---

append("$root/list", "jti $ISS LATE\n");
my $late = token(jti => 'LATE');
everywhere('an entry that only children have read', sub { $t->get('/r/x', token => $late)->status == 401 });
spew("$root/list", "rubbish\n");
until_true('broken', sub { $t->error_log =~ /list: line 1: .*entries it held before stay in use/ });
for my $signal (qw(USR1 HUP)) {
    ok($t->reload($signal), "a restart by SIG$signal while the list is broken");
    for (1 .. 8) {
        denies($t->get('/r/x', token => $late), 401, 'revoked', "takes nothing back ($_)") or last;
    }
    passes($t->get('/r/x', token => $fine), 'and closes nothing');
}
unlink "$root/list";
ok($t->reload, 'a restart while there is none');
denies($t->get('/r/x', token => $late), 401, 'revoked', 'takes nothing back');
spew("$root/list", $good);
everywhere('it is back', sub { $t->get('/r/x', token => $late)->status == 200 });

# --- max-stale, URLs ---

passes($t->get('/stale/x', token => $fine), 'a list is empty');
spew("$root/stale", "rubbish\n");
everywhere('a list that stays broken closes', sub { $t->get('/stale/x', token => $fine)->status == 503 });
$r = $t->get('/stale/x', token => $fine);
denies($r, 503, 'revocation_unavailable', 'behind max-stale');
ok($r->header('Retry-After'), 'with Retry-After');
like($t->get('/status')->body, qr/revocation_unavailable/, 'red on the page');
denies($t->get('/stale/x', token => token(exp => 1)), 401, 'expired', 'what is bad by itself is told as ever');
spew("$root/stale", "jti $ISS later\n");
everywhere('good again', sub { $t->get('/stale/x', token => $fine)->status == 200 });

everywhere('a list at a URL', sub { $t->get('/url/x', token => token(jti => 'url1'))->status == 401 });
denies($t->get('/url/x', token => token(jti => 'url1')), 401, 'revoked', 'counts');
passes($t->get('/url/x', token => $fine), 'for what is on it');
$idp->serve('/list', body => "jti $ISS url1\njti $ISS url2\n", type => 'text/plain');
everywhere('within its ttl', sub { $t->get('/url/x', token => token(jti => 'url2'))->status == 401 });
$idp->serve('/list', body => "jti $ISS url3\nrubbish\n", type => 'text/plain');
sleep 2.5;
denies($t->get('/url/x', token => token(jti => 'url2')), 401, 'revoked', 'a broken answer takes nothing back');
passes($t->get('/url/x', token => token(jti => 'url3')), 'and adds nothing');
everywhere('but closes behind max-stale', sub { $t->get('/url/x', token => $fine)->status == 503 });
denies($t->get('/url/x', token => $fine), 503, 'revocation_unavailable', 'the list cannot be had');
$idp->serve('/list', body => "jti $ISS url3\n", type => 'text/plain');
everywhere('well again', sub { $t->get('/url/x', token => $fine)->status == 200 });
# a list that was cut off between two lines is a list, too, unless the answer says where it ends
$idp->serve('/cutlist', body => "jti $ISS url4\njti $ISS url3\n", type => 'text/plain', chunked => 1);
everywhere('a list in chunks', sub { $t->get('/cut/x', token => token(jti => 'url4'))->status == 401 });
for my $cut ([ 'that ends with the connection', length => 0 ], [ 'whose chunks do not end', chunked => 'cut' ], [ 'that is shorter than announced', headers => { 'Content-Length' => 999 }, length => 0 ]) {
    my ($name, @how) = @$cut;
    my $before = $idp->count('/cutlist');
    $idp->serve('/cutlist', body => "jti $ISS url3\n", type => 'text/plain', @how);
    everywhere("asked for again ($name)", sub { $idp->count('/cutlist') >= $before + 2 });
    denies($t->get('/cut/x', token => token(jti => 'url4')), 401, 'revoked', "an answer $name takes nothing back");
    $idp->serve('/cutlist', body => "jti $ISS url4\njti $ISS url3\n", type => 'text/plain');
    $before = $idp->count('/cutlist');
    everywhere("whole again ($name)", sub { $idp->count('/cutlist') >= $before + 2 });
}
like($t->error_log, qr/neither a Content-Length nor chunks/, 'and the log says why');
denies($t->get('/badurl/x', token => $fine), 503, 'revocation_unavailable', 'a list that nobody has read yet');

# --- under load: nothing is accepted two seconds after it was revoked ---

my $ROUNDS = $ENV{M2MGW_REVOCATIONS} || 6;

# Clients who send these tokens, one after the other, from processes of their own until a file says that
# it is over: each leaves what it sent, when, and how that was answered.
sub clients {
    my ($n, $load) = @_;
    my $port = $t->port;
    unlink "$root/over";
    return map {
        my $c = $_;
        my $pid = fork // die;
        if (!$pid) {
            open my $out, '>', "$root/load$c" or POSIX::_exit(1);
            for (my $i = $c; !-e "$root/over"; $i++) {
                my $k = $i % @$load;
                my $start = time;
                my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) or next;
                print {$socket} "GET /r/x HTTP/1.1\r\nHost: gw.test\r\nConnection: close\r\nAuthorization: Bearer $load->[$k]\r\n\r\n";
                my $status = (readline($socket) // '') =~ m{^HTTP/1.1 (\d+)} ? $1 : 0;
                1 while defined readline $socket;
                printf {$out} "%d %.6f %d\n", $k, $start, $status;
                sleep 0.005;
            }
            close $out;
            POSIX::_exit(0);
        }
        $pid;
    } 1 .. $n;
}

# One token after the other is taken back: appended to the list, by a list rewritten in place, and by rename.
sub take_back {
    my ($name) = @_;
    my %at;
    for my $k (0 .. $ROUNDS - 1) {
        my $jti = "$name$k";
        my $before = slurp("$root/list");
        if ($k % 3 == 0) {
            system($tool, 'revoke', '--jti', $jti, '--issuer', $ISS, '--list', "$root/list");
        }
        elsif ($k % 3 == 1) {
            open my $out, '+<', "$root/list" or die;
            flock $out, LOCK_EX;
            print {$out} "jti $ISS $jti\n$before";
            close $out;
        }
        else {
            spew("$root/list.new", "$before#\njti $ISS $jti\n");
            rename "$root/list.new", "$root/list";
        }
        $at{$k} = time;
        sleep 1.2;
    }
    return \%at;
}

my ($sent, $worst, @after, @refused);
for my $try (1 .. 4) { # a machine with other work to do may let a process wait that long
    spew("$root/list.new", "# empty\n");
    rename "$root/list.new", "$root/list";
    my @load = map { token(jti => "load$try-$_", exp => int time + 3600) } 0 .. $ROUNDS + 1;
    everywhere('nothing is revoked', sub { !grep { $t->get('/r/x', token => $_)->status != 200 } @load });
    my $n = 6 / $try;
    my @pids = clients($n, \@load);
    sleep 1;
    my $at = take_back("load$try-");
    sleep $WITHIN + 0.5;
    spew("$root/over", '');
    waitpid $_, 0 for @pids;
    ($sent, $worst) = (0, 0);
    @after = @refused = ();
    for (map { split /\n/, slurp("$root/load$_") } 1 .. $n) {
        my ($k, $start, $status) = split / /;
        $sent++;
        push @refused, "$k $status" if $k >= $ROUNDS && $status != 200;
        next if $k >= $ROUNDS || $start < $at->{$k} || $status != 200;
        $worst = $start - $at->{$k} if $start - $at->{$k} > $worst;
        push @after, sprintf '%d after %.3f s', $k, $start - $at->{$k} if $start - $at->{$k} > $WITHIN;
    }
    last if !@after || @refused;
}
cmp_ok($sent, '>', 100, "$sent requests under load");
is_deeply(\@after, [], sprintf 'none passed two seconds after it was revoked (the last after %.2f s)', $worst);
is_deeply(\@refused, [], 'and none that was not revoked was refused');

# --- the tool decides likewise ---

spew("$root/told", "jti $ISS J1\nclient $ISS app 5\n");
spew("$root/k", jwk_json('oct', kid => 'K1'));
for my $case ([ $token{jti}, 1, qr/^NO  revocation +a list of revoked tokens names its jti.*^deny: revoked/ms ],
              [ token(client_id => 'app'), 0, qr/^ok  revocation +no list names it.*^allow/ms ]) {
    my ($token, $status, $re) = @$case;
    spew("$root/token", $token);
    my $out = `$tool explain --jwks $root/k --revocation $root/told --token-file $root/token 2>&1`;
    ok($? >> 8 == $status && $out =~ $re, "m2mctl explain ends with $status") or diag($out);
}
like(`$tool check $root/told`, qr/revocation list: entries: 2/, 'm2mctl check counts entries');
spew("$root/told", "jti $ISS J1\nrubbish\n");
my $star = qr/1 of its entries has a lone \*, the first one of kind client: that is a name like any other there/;
spew("$root/starred", "client * app\nkid * K\nclient %2A app\n");
my $out = `$tool check $root/starred 2>&1`;
ok($? == 0 && $out =~ /warning: \S+starred: $star/, 'and tells of a star that stands for nothing') or diag($out);
$out = `$tool check $root/told 2>&1`;
ok($? >> 8 == 2 && $out =~ /told:2: an entry begins with/, 'and names the bad line') or diag($out);

# --- configuration ---

sub config_of {
    my ($line, %files) = @_;
    return try_config("M2MFileModes Check\n<Location /x>\n    M2MJwks file:k.json\n    $line\n</Location>\n",
        files => { 'k.json' => jwk_json('oct', kid => 'K1'), l => "jti $ISS a\n", %files });
}
for my $case (
    [ 'M2MRevocation file:l', 0, qr/Syntax OK/ ],
    [ 'M2MRevocation file:l max-stale=5', 0, qr/Syntax OK/ ],
    [ 'M2MRevocation file:l ttl=5', 0, qr/ttl= has no effect on what is watched/ ],
    [ 'M2MRevocation none', 0, qr/Syntax OK/ ],
    [ 'M2MRevocation file:l', 0, qr/^M2-101: a list of M2MRevocation in line 4 of \S+: $star/m, l => "client * app\n" ],
    [ 'M2MRevocation file:l', 0, qr/\A(?!.*lone)/s, l => "kid * K\nclient %2A app\n" ],
    [ 'M2MRevocation https://revoked.example/l ttl=5 max-stale=60', 0, qr/Syntax OK/ ],
    [ 'M2MRevocation', 1, qr/line 4 of .*M2MRevocation: it takes file:PATH, https:/s ],
    [ 'M2MRevocation l', 1, qr/"l" is not allowed; it takes file:PATH/ ],
    [ 'M2MRevocation file:', 1, qr/is not allowed; it takes file:PATH/ ],
    [ 'M2MRevocation file:l max-stale=0', 1, qr/"max-stale=0" is not allowed/ ],
    [ 'M2MRevocation file:l max-stale=5 max-stale=6', 1, qr/max-stale= is given twice/ ],
    [ 'M2MRevocation file:l stale=5', 1, qr/"stale=5" is not allowed/ ],
    [ "M2MRevocation file:l\n    M2MRevocation file:l", 1, qr/line 5 of .*named twice/s ],
    [ "M2MRevocation file:l\n    M2MRevocation none", 1, qr/none stands alone/ ],
    [ "M2MRevocation none\n    M2MRevocation file:l", 1, qr/none stands alone/ ],
    [ 'M2MRevocation http://revoked.example/l', 1, qr/line 4 of .*M2MRevocation: .*loopback/s ],
    [ 'M2MRevocation file:missing', 1, qr/line 4 of .*M2MRevocation: .*missing.*No such file/s ],
    [ 'M2MRevocation file:bad', 1, qr/line 4 of .*M2MRevocation: .*bad: line 2: an entry begins with/s, bad => "\nrubbish\n" ],
    [ 'M2MRevocation file:htdocs', 1, qr/htdocs is not a regular file/ ],
) {
    my ($line, $status, $re, %files) = @$case;
    my ($got, $out) = config_of($line, %files);
    ok($got == $status && $out =~ $re, "httpd -t: $line") or diag("status $got: $out");
}
(my $got, $out) = try_config("<Location /x>\n    M2MRevocation file:l\n</Location>\n", files => { l => '' });
ok($got == 1 && $out =~ /M2MRevocation: there are no keys for it/, 'a list where no token is looked for') or diag($out);
($got, $out) = try_config("<Location /x>\n    M2MJwks file:k.json\n    M2MRevocation file:l max-stale=9\n</Location>\n", args => [ '-D', 'DUMP_M2M' ],
    files => { 'k.json' => jwk_json('oct', kid => 'K1'), l => '' });
like($out, qr{M2MRevocation file:\S+/l max-stale=9}, 'the dump shows it');
$t->finish;
