#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# Files that decide: who else may write them, what stands in their place, and that nothing but a
# regular file is ever waited for. Judged by fstat of what a link leads to, and by the directory
# in which another file could be put in its place.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP ();
use POSIX ();
use M2MGW::Test;

my $SET = jwks_json(jwk('p256', kid => 'E'));
my $RULES = "rules:\n- {name: r, condition: \"1 = 1\", ifTrue: ALLOW}\n";
my $PEM = pem('rsa');

# httpd -t over a configuration, after $arrange has been at the files
sub try_files {
    my ($config, $arrange) = @_;
    my $t = M2MGW::Test->prepare(loglevel => 'emerg', files => { 'd/k.json' => $SET, 'd/r.yaml' => $RULES, 'd/k.pem' => $PEM });
    my $d = "$t->{root}/d";
    chmod 0755, $d;
    chmod 0644, glob "$d/*";
    $arrange->($d);
    $t->write_config($config);
    my $command = join ' ', $t->command('-t'), '2>&1';
    my $out = `timeout 60 $command`;
    my $status = $? >> 8;
    $out =~ s/\Q$t->{root}\E/ROOT/g;
    $t->clean;
    return ($status, $out);
}

sub stops {
    my ($name, $config, $re, $arrange) = @_;
    my ($status, $out) = try_files($config, $arrange);
    ok($status == 1 && $out =~ $re, "refused: $name") or diag("status $status:\n$out");
}

sub starts {
    my ($name, $config, $arrange) = @_;
    my ($status, $out) = try_files($config, $arrange);
    is($status, 0, "accepted: $name") or diag($out);
    return $out;
}

my %line = ('M2MJwks file:d/k.json' => 'k.json', 'M2MJwk pem:d/k.pem' => 'k.pem', 'M2MPlugin accessControl d/r.yaml' => 'r.yaml');
for my $line (sort keys %line) {
    my $file = $line{$line};
    my $in = "<Location /x>\n$line\n</Location>\n";
    starts($line, $in, sub { chmod 0664, "$_[0]/$file" });
    stops("$line, mode 0666", $in, qr{line 2 of \S+:\n\w+: \S*/d/$file can be written by everybody}, sub { chmod 0666, "$_[0]/$file" });
    stops("$line, mode 0602", $in, qr{can be written by everybody}, sub { chmod 0602, "$_[0]/$file" });
    stops("$line in a directory of mode 0777", $in, qr{/d/$file lies in \S+/d, where everybody may put another}, sub { chmod 0777, $_[0] });
    starts("$line in a sticky one", $in, sub { chmod 01777, $_[0] });
    stops("$line, a link to such a file", $in, qr{can be written by everybody},
        sub { rename "$_[0]/$file", "$_[0]/real"; symlink 'real', "$_[0]/$file"; chmod 0666, "$_[0]/real" });
    starts("$line, a link to another", $in, sub { rename "$_[0]/$file", "$_[0]/real"; symlink 'real', "$_[0]/$file" });
    stops("$line, a link into such a directory", $in, qr{lies in \S+/d/open, where},
        sub { mkdir "$_[0]/open"; rename "$_[0]/$file", "$_[0]/open/real"; symlink 'open/real', "$_[0]/$file"; chmod 0777, "$_[0]/open" });
    stops("$line, a link to a link that lies in such a directory", $in, qr{lies in \S+/d/open, where},
        sub { mkdir "$_[0]/$_" for qw(open good); rename "$_[0]/$file", "$_[0]/good/real"; symlink '../good/real', "$_[0]/open/link"; symlink 'open/link', "$_[0]/$file"; chmod 0777, "$_[0]/open" });
    starts("$line, a link to a link", $in,
        sub { mkdir "$_[0]/$_" for qw(more good); rename "$_[0]/$file", "$_[0]/good/real"; symlink "$_[0]/good/real", "$_[0]/more/link"; symlink 'more/link', "$_[0]/$file" });
    stops("$line, a FIFO", $in, qr{/d/$file is not a regular file}, sub { unlink "$_[0]/$file"; POSIX::mkfifo("$_[0]/$file", 0644) });
    stops("$line, a link to a FIFO", $in, qr{/d/$file is not a regular file},
        sub { unlink "$_[0]/$file"; POSIX::mkfifo("$_[0]/p", 0644); symlink 'p', "$_[0]/$file" });
    stops("$line, a directory", $in, qr{/d/$file is not a regular file}, sub { unlink "$_[0]/$file"; mkdir "$_[0]/$file" });
    my $out = starts("$line, M2MFileModes Ignore below it", "${in}M2MFileModes ignore\n", sub { chmod 0666, "$_[0]/$file"; chmod 0777, $_[0] });
    like($out, qr/^M2-101: M2MFileModes Ignore/m, 'with a notice');
    stops("$line, M2MFileModes Check", "M2MFileModes Check\n$in", qr{can be written by everybody}, sub { chmod 0666, "$_[0]/$file" });
}
stops('M2MFileModes with another word', "M2MFileModes Perhaps\n", qr{M2MFileModes: "Perhaps" is not allowed; it takes Check or Ignore}, sub { });
stops('M2MFileModes in a virtual host', "<VirtualHost *:1>\nM2MFileModes Check\n</VirtualHost>\n", qr{M2MFileModes cannot occur within}, sub { });
like(starts('a state directory that everybody may write', 'M2MStateDir d', sub { chmod 01777, $_[0] }),
    qr{^M2-101: M2MStateDir ROOT/d: everybody may write there}m, 'has a notice');
unlike(starts('one of the owner', 'M2MStateDir d', sub { }), qr/M2MStateDir \S+ everybody may/, 'has none');

# --- the issuer by itself, which judges as the gateway does ---

SKIP: {
    skip 'mod_m2m_issuer is not built', 1 if !M2MGW::Test::built('mod_m2m_issuer');
    my $alone = sub {
        my ($config, $arrange) = @_;
        my $t = M2MGW::Test->prepare(issuer => 1, gateway => 0, loglevel => 'emerg', files => { 'd/sign.pem' => key('rsa')->{text},
            'd/grants' => "api app_x read\n", 'd/client.json' => $SET });
        chmod 0755, "$t->{root}/d";
        chmod 0600, "$t->{root}/d/sign.pem";
        $arrange->("$t->{root}/d");
        $t->write_config(<<'CONF' . $config);
M2MIssuerName http://127.0.0.1/idp
M2MSigningKey d/sign.pem
M2MGrantFile d/grants
M2MClientKeys app_x file:d/client.json
<Location /idp/token>
    SetHandler m2m-token
</Location>
CONF
        my $command = join ' ', $t->command('-t'), '2>&1';
        my $out = `timeout 60 $command`;
        my $status = $? >> 8;
        $t->clean;
        return ($status, $out);
    };
    my ($status, $out) = $alone->('', sub { });
    is($status, 0, 'the issuer alone') or diag($out);
    unlike($out, qr/User cannot read/, 'whose files User can read');
    for my $file ($> ? () : qw(grants client.json)) {
        ($status, $out) = $alone->('', sub { chmod 0600, "$_[0]/$file" });
        ok($status == 0 && $out =~ qr{^M2-701: the server's User cannot read the M2M\w+ \S+/d/$file: changes of it will not be seen}m,
           "the issuer's $file that User cannot read") or diag($out);
    }
    ($status, $out) = $alone->("<Location /idp/token>\nM2MClientProvider file\nAuthUserFile d/pw\n</Location>\n", sub { spew("$_[0]/pw", "a:b\n"); chmod 0600, "$_[0]/pw" });
    like($out, qr{^M2-701: the server's User cannot read the AuthUserFile \S+/d/pw: logins with it will be answered 503}m,
         'a password file likewise') if !$>;
    for my $file (qw(grants client.json sign.pem)) {
        for my $case ([ 'mode 0666', sub { chmod 0666, "$_[0]/$file" }, qr{/d/$file can be written by everybody} ],
                      [ 'a directory of mode 0777', sub { chmod 0777, $_[0] }, qr{lies in \S+/d, where everybody may put another} ],
                      [ 'a FIFO', sub { unlink "$_[0]/$file"; POSIX::mkfifo("$_[0]/$file", 0600) }, qr{/d/$file is not a regular file} ]) {
            my ($what, $arrange, $re) = @$case;
            for my $modes ('', "M2MFileModes Check\n") {
                ($status, $out) = $alone->($modes, $arrange);
                ok($status == 1 && $out =~ $re, "the issuer alone refuses: $file, $what") or diag("status $status: $out");
            }
        }
        ($status, $out) = $alone->("M2MFileModes Ignore\n", sub { chmod 0777, $_[0]; chmod 0666, "$_[0]/$file" if $file ne 'sign.pem' });
        is($status, 0, "M2MFileModes Ignore takes $file") or diag($out);
        like($out, qr/^M2-701: M2MFileModes Ignore/m, 'with a notice');
    }
    ($status, $out) = $alone->("M2MFileModes Perhaps\n", sub { });
    ok($status == 1 && $out =~ qr{M2MFileModes: "Perhaps" is not allowed; it takes Check or Ignore}, 'M2MFileModes with another word');
    ($status, $out) = $alone->("<VirtualHost *:1>\nM2MFileModes Check\n</VirtualHost>\n", sub { });
    ok($status == 1 && $out =~ /M2MFileModes cannot occur within/, 'M2MFileModes in a virtual host');
}

# --- a running server ---

sub set { return jwks_json(map { jwk("p256#$_", kid => $_) } @_) }
sub token { my ($kid) = @_; return mint("p256#$kid", { sub => 'a' }, { kid => $kid, alg => 'ES256' }) }

my $conf = <<'CONF';
<Location /x>
    M2MJwks file:keys/k.json
</Location>
<Location /status>
    SetHandler m2m-status
    ProxyPass !
</Location>
ProxyPass / http://@BACKEND@/
CONF
my $t = M2MGW::Test->start(files => { 'keys/k.json' => set('A') }, config => $conf);
my $file = "$t->{root}/keys/k.json";
$t->expect_log(qr/keys it held before stay in use|is answered 503 until it is good|keys_unavailable/);

# Whether a kid is accepted, or refused, before long; by every process.
sub answered { my ($status, $kid, $url) = @_; return sub { $t->get($url // '/x', token => token($kid))->status == $status } }
sub soon { return M2MGW::Test::before_long(answered(@_)) }
sub within { return M2MGW::Test::holds(answered(@_)) }

sub replace { my ($text, $mode) = @_; spew("$file.new", $text); chmod $mode // 0644, "$file.new"; rename "$file.new", $file }
sub state_of { my ($s) = grep { $_->{source} eq $file } @{ JSON::PP::decode_json($t->get('/status?format=json')->body)->{sources} }; $s->{state} }
sub checked { my $c = join ' ', $t->command('-t'), '2>&1'; my $out = `$c`; return $? >> 8 ? 'refused' : 'accepted' }

ok(soon(200, 'A'), 'the key of the start');
replace(set('B'));
ok(within(200, 'B') && answered(401, 'A')->(), 'a key file that was replaced');

replace(set('C'), 0666);
M2MGW::Test::before_long(sub { $t->error_log =~ /k\.json can be written by everybody/ });
like($t->error_log, qr/k\.json can be written by everybody.*keys it held before stay/, 'one that everybody may write is told of');
is($t->get('/x', token => token($_))->status, $_ eq 'B' ? 200 : 401, "and not taken: $_") for qw(B C);
$t->everywhere('the status page says so', sub { state_of() eq 'broken' });
chmod 0644, $file;
ok(within(200, 'C'), 'until its mode is good');

unlink $file;
POSIX::mkfifo($file, 0644) or die "mkfifo: $!";
M2MGW::Test::before_long(sub { $t->error_log =~ /is not a regular file/ });
like($t->error_log, qr/k\.json is not a regular file; the keys it held before stay/, 'a FIFO in its place');
is($t->get('/x', token => token('C'))->status, 200, 'costs no keys');
replace(set('D'));
ok(within(200, 'D'), 'and refreshing goes on');

# a restart by signal: every process has believed D, the parent has only read A
for my $signal (qw(USR1 HUP)) {
    for my $bad ('{"keys":[{"kty":"EC"', '', undef) {
        my $name = defined $bad ? length $bad ? 'half of a file' : 'an empty file' : 'no file';
        defined $bad ? spew($file, $bad) : unlink $file;
        ok($t->reload($signal), "$signal with $name in its place");
        ok(soon(200, 'D'), 'goes on with what was believed last');
        is($t->get('/x', token => token('A'))->status, 401, 'and not with what the server started with');
        is(state_of(), 'broken', 'the status page says so');
        is(checked(), 'refused', 'httpd -t says no');
    }
    replace(set('D'));
    $t->everywhere('a good file', sub { state_of() eq 'ok' });
    is(checked(), 'accepted', 'httpd -t says yes');
}

# what somebody else put into the state directory, where the last good copies of fetched keys lie
SKIP: {
    my $idp = eval { require M2MGW::Idp; M2MGW::Idp->start("$t->{root}/idp", clear => 1) };
    skip 'needs IO::Socket::SSL', 1 if !$idp;
    $idp->serve('/keys', body => set('D'));
    $t->write_config("$conf<Location /u>\nM2MJwks " . $idp->url('/keys') . "\n</Location>\n");
    ok($t->reload, 'keys of a URL');
    ok(within(200, 'D', '/u'), 'they are fetched');
    my ($copy) = glob "$t->{root}/run/m2mgw/*.jwks";
    ok($copy, 'there is a copy') or diag(`ls -la $t->{root}/run`);
    $t->expect_log(qr/is not the copy of a key set that the server stored|cannot be (?:fetched|refreshed)/);
    $idp->down;
    my $line = (split /\n/, slurp($copy))[0];
    my $plant = sub { my ($kid) = @_; unlink $copy; spew($copy, "$line\n" . set($kid)) };
    my $restart = sub { $t->stop && ($t->launch, 1) };
    my $statuses = sub { join ' ', map { $t->get('/u', token => token($_))->status } @_ };
    if (!$>) { # only root can give a file to somebody else
        for my $mode (0600, 0666) {
            $plant->('P');
            chmod $mode, $copy;
            chown +(getpwnam($mode == 0600 ? 'daemon' : 'root'))[2, 3], $copy;
            ok($restart->(), sprintf 'a start with a copy of mode %o by somebody else', $mode);
            is($statuses->('P', 'D'), '503 503', 'which is not believed');
        }
    }
    $plant->('Q');
    chown +(getpwnam M2MGW::Test::user())[2, 3], $copy unless $>;
    ok($restart->(), 'a start with a copy that a child stored');
    is($statuses->('Q', 'D'), '200 401', 'which is');
    unlink $copy;
    POSIX::mkfifo($copy, 0666) or die "mkfifo: $!";
    ok($restart->(), 'a start with a FIFO in its place does not wait');
    is($statuses->('Q'), '503', 'and takes nothing from it');
    unlink $copy;
    $idp->up;
    ok(within(200, 'D', '/u'), 'the keys are fetched again');
}

$t->write_config($conf . "<Location /y>\nM2MJwks file:keys/new.json\n</Location>\n");
ok($t->reload, 'a restart with a section whose key file was never there');
is($t->get('/x', token => token('D'))->status, 200, 'the others go on');
denies($t->get('/y', token => token('D')), 503, 'keys_unavailable', 'it has no keys');
$file = "$t->{root}/keys/new.json";
replace(set('N'));
ok(within(200, 'N', '/y'), 'and has them when the file is there');
$t->finish;
