#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# m2mctl client and token: the operator's hands on the M2M server. What the files look like
# afterwards, that nothing of others is lost, and that a running server sees each change.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use IPC::Open3 qw(open3);
use JSON::PP ();
use M2MGW::Test;

my $tool = M2MGW::Test::m2mctl();
plan skip_all => 'm2mctl or mod_m2m_issuer is not built'
    if !$tool || !M2MGW::Test::built('mod_m2m_issuer');

my $t = M2MGW::Test->prepare(issuer => 1, files => { 'rsa.pem' => key('rsa')->{text} });
chmod 0600, "$t->{root}/rsa.pem";
my $dir = "$t->{root}/m2m";
mkdir $dir;
my $group = $> ? (getpwuid $>)[3] : (getpwnam((grep { defined getpwnam $_ } qw(www-data apache nobody))[0]))[3];
chown -1, $group, $dir or die $!;
my ($clients, $grants) = ("$dir/clients", "$dir/grants");

# run the tool with a text on standard input
sub ctl {
    my ($stdin, @args) = @_;
    spew("$t->{root}/stdin", $stdin);
    open my $in, '<', "$t->{root}/stdin" or die $!;
    open my $out, '>', "$t->{root}/stdout" or die $!;
    open my $err, '>', "$t->{root}/stderr" or die $!;
    my $pid = open3('<&' . fileno $in, '>&' . fileno $out, '>&' . fileno $err, $tool, @args);
    waitpid $pid, 0;
    my $r = { code => $? & 127 ? "signal $?" : $? >> 8, out => slurp("$t->{root}/stdout"),
              err => slurp("$t->{root}/stderr") };
    $r->{json} = eval { JSON::PP->new->decode($r->{out}) } if $r->{out} =~ /\A\{/;
    return $r;
}

sub ends {
    my ($r, $code, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is($r->{code}, $code, $name) or diag("out: $r->{out}err: $r->{err}");
    return $r;
}

sub is_private {
    my ($file, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my @s = stat $file;
    is(sprintf('%04o group %d', $s[2] & 07777, $s[5]), sprintf('0640 group %d', $group), $name);
}

my @c = ('--clients', $clients);
my @g = ('--grants', $grants);

# --- add ---

my $r = ends(ctl('', 'client', 'add', 'app_one', @c), 0, 'add a client');
my ($secret) = $r->{out} =~ /\Aclient_id=app_one\nclient_secret=([\w-]{43})\n\z/
    or diag($r->{out});
ok($secret, 'a secret of 256 bits is shown') or $secret = 'none';
is_private($clients, 'the password file is new: 0640, group of its directory');
like(slurp($clients), qr{\Aapp_one:\$2y\$05\$[./A-Za-z0-9]{53}\n\z}, 'it holds a bcrypt hash');
ok(slurp($clients) !~ /\Q$secret\E/, 'and not the secret');
SKIP: {
    skip 'htpasswd is not installed', 2 if !-x '/usr/bin/htpasswd';
    is(system("htpasswd -vb $clients app_one '$secret' 2>/dev/null"), 0, 'htpasswd takes the secret');
    isnt(system("htpasswd -vb $clients app_one 'x$secret' 2>/dev/null"), 0, 'and no other');
}
ends(ctl('', 'client', 'add', 'app_one', @c), 2, 'a client twice');
my $before = slurp($clients);
$r = ends(ctl('', 'client', 'add', 'app_one', '--replace', '--json', @c), 0, 'a new secret');
isnt($r->{json}{client_secret}, $secret, 'is another one');
$secret = $r->{json}{client_secret};
isnt(slurp($clients), $before, 'the hash changed');
is(scalar(() = slurp($clients) =~ /^app_one:/mg), 1, 'and is there once');
$r = ends(ctl('', 'client', 'add', @c), 0, 'add without an id');
like($r->{out}, qr/\Aclient_id=app_[a-z2-7]{26}\n/, 'makes one');
my ($made) = $r->{out} =~ /client_id=(\S+)/;
$r = ends(ctl("from a file\nmore\n", 'client', 'add', 'app_two', '--secret-file', '-', '--cost', 4, @c),
          0, 'a secret of ones own');
is($r->{out}, "client_id=app_two\n", 'is not shown');
like(slurp($clients), qr/^app_two:\$2y\$04\$/m, 'the cost that was asked for');
ends(ctl($_->[0], 'client', 'add', 'app_x', @c, @{ $_->[1] }), 2, $_->[2]) for
    [ "\n", [ '--secret-file', '-' ], 'an empty secret' ],
    [ 'x' x 73, [ '--secret-file', '-' ], 'a secret bcrypt would cut' ],
    [ '', [ '--secret-file', "$dir/none" ], 'no secret file' ],
    [ '', [ '--cost', 3 ], 'a cost too low' ], [ '', [ '--cost', 18 ], 'a cost too high' ],
    [ '', ['word'], 'two ids' ];
ends(ctl('', 'client', 'add', $_, @c), 2, "the id '$_'") for 'a:b', 'a b', '', "a\nb", '#a', "\xe9";
ends(ctl('', 'client', 'add', 'app_x'), 2, 'no file named');
ends(ctl('', 'client', 'add', 'app_x', '--clients', "$dir/no/where"), 2, 'no directory');
ends(ctl('', 'client', 'add', 'app_x', '--clients', $dir), 2, 'a directory as file');
ends(ctl('', 'client'), 2, 'no action');
ends(ctl('', 'client', 'frobnicate'), 2, 'an unknown action');
like(ends(ctl('', 'client', 'grnat', 'app_one'), 2, 'an action mistyped')->{err}, qr/did you mean grant\?/,
     'the nearest one is named');

# the secret goes into a file, and nowhere else
my $kept = "$t->{root}/kept";
$r = ends(ctl('', 'client', 'add', 'app_kept', @c, '--secret-out', $kept), 0, '--secret-out');
is($r->{out} . $r->{err}, "client_id=app_kept\n", 'the secret is not shown');
is((stat $kept)[2] & 07777, 0600, 'its file is for the user only');
my $its = slurp($kept);
like($its, qr/\A[\w-]{43}\z/, 'and holds it without a line end, as curl @file sends it');
SKIP: {
    skip 'htpasswd is not installed', 1 if !-x '/usr/bin/htpasswd';
    is(system("htpasswd -vb $clients app_kept '$its' 2>/dev/null"), 0, 'it is the secret');
}
my $as_it_was = slurp($clients);
$r = ends(ctl('', 'client', 'add', 'app_kept', @c, '--secret-out', $kept, '--force'), 2, 'a client twice');
is(slurp($kept), $its, 'does not cost the secret there is');
ends(ctl('', 'client', 'add', 'app_kept', @c, '--secret-out', $kept, '--replace'), 2, 'a file that is there');
is(slurp($clients), $as_it_was, 'leaves the client as it was');
ends(ctl('', 'client', 'add', 'app_new', @c, '--secret-out', "$dir/no/where"), 2, 'a file that cannot be');
is(slurp($clients), $as_it_was, 'adds no client');
$r = ends(ctl('', 'client', 'add', 'app_kept', @c, '--secret-out', $kept, '--replace', '--force', '--json'), 0,
          'a new secret, in place of the old one');
is_deeply($r->{json}, { client_id => 'app_kept' }, 'not shown in JSON either');
isnt(slurp($kept), $its, 'the file has it');
ends(ctl('', 'client', 'revoke', 'app_kept', '--all', @c), 0, 'gone again');

# what others wrote stays
spew("$dir/other", "# ours\nalice:{SHA}x\n\nbob:y:z\n");
chmod 0644, "$dir/other";
$r = ends(ctl('', 'client', 'add', 'app_x', '--clients', "$dir/other"), 0, 'add to a file of others');
like(slurp("$dir/other"), qr/\A# ours\nalice:\{SHA\}x\n\nbob:y:z\napp_x:\$2y/, 'every line stays');
is((stat "$dir/other")[2] & 07777, 0644, 'its mode stays');
like($r->{err}, qr/notice: everybody may read .*: chmod 0640/, 'and a notice says what would do');
SKIP: {
    skip 'only root can give files away', 2 if $>;
    chown 7, 8, "$dir/other";
    chmod 0604, "$dir/other";
    ends(ctl('', 'client', 'add', 'app_z', '--clients', "$dir/other"), 0, 'add to a file of somebody else');
    is(join(' ', map { $_ & 07777 } (stat "$dir/other")[2, 4, 5]), 0604 . ' 7 8', 'owner, group and mode stay');
}
spew("$dir/unended", 'alice:x');
ends(ctl('', 'client', 'add', 'app_x', '--clients', "$dir/unended"), 0, 'a last line without end');
like(slurp("$dir/unended"), qr/\Aalice:x\napp_x:/, 'is kept a line of its own');
symlink 'other', "$dir/link";
ends(ctl('', 'client', 'add', 'app_y', '--clients', "$dir/link"), 0, 'through a symbolic link');
ok(-l "$dir/link" && slurp("$dir/other") =~ /^app_y:/m, 'the link stays, its file changes');

# --- grant and revoke ---

my $API = 'https://api.example.com';
like(ends(ctl('', 'client', 'grant', 'app_oen', "$API|user:read:one", @g, @c), 2, 'grant to a client mistyped')->{err},
     qr/there is no client app_oen; did you mean app_one\?/, 'the nearest one is named');
ok(!-e $grants, 'and nothing is granted');
like(ends(ctl('', 'client', 'grant', 'app_one', "$API|user:read:one", @g, @c), 0, 'grant')->{err},
     qr/within three seconds/, 'says that it takes a moment');
is(slurp($grants), "$API app_one user:read:one\n", 'a line of the grant file');
is_private($grants, 'the grant file: 0640, group of its directory');
ends(ctl('', 'client', 'grant', 'app_one', "$API|user:read:one", "$API|two", "api://b|w", @g), 0, 'grant more');
is(slurp($grants), "$API app_one user:read:one two\napi://b app_one w\n", 'only what is new is added');
spew($grants, "# team A\n" . slurp($grants) . "\n  # team B\n$API app_two two three\n");
like(ends(ctl('', 'client', 'revoke', 'app_one', "$API|two", @g), 0, 'revoke')->{err}, qr/within three seconds/,
     'says that it takes a moment, too');
is(slurp($grants), "# team A\n$API app_one user:read:one\napi://b app_one w\n\n  # team B\n$API app_two two three\n",
   'of one client, comments and others untouched');
ends(ctl('', 'client', 'revoke', 'app_one', "$API|two", @g), 1, 'revoke what is not granted');
my $granted = slurp($grants);
like(ends(ctl('', 'client', 'revoke', 'app_on', "$API|user:read:one", @g), 2, 'revoke from a client that there is not')->{err},
     qr/there is no client app_on; did you mean app_one\?/, 'names the nearest');
is(slurp($grants), $granted, "and leaves the file alone");
ends(ctl('', 'client', 'revoke', 'app_one', 'api://b|w', @g), 0, 'revoke the last at an audience');
ok(slurp($grants) !~ m{api://b}, 'takes its line away');
ends(ctl('', 'client', 'revoke', 'app_two', "$API|.all", @g), 0, 'revoke everything at an audience');
is(slurp($grants), "# team A\n$API app_one user:read:one\n\n  # team B\n", 'leaves the others');
ends(ctl('', 'client', 'grant', 'app_one', $_, @g), 2, "grant '$_'") for
    "$API", "$API|", '|x', "$API|a|b", "$API|a b", "$API|.all", "$API|\"", '';
ends(ctl('', 'client', 'grant', 'app_one', @g), 2, 'grant nothing');
ends(ctl('', 'client', 'grant', 'app_one', "$API|x"), 2, 'no grant file named');
ends(ctl('', 'client', 'revoke', 'app_one', "$API|x", '--grants', "$dir/none"), 2, 'revoke from no file');
$before = slurp($grants);
spew("$dir/bad", "$API app_one\n");
$r = ends(ctl('', 'client', 'grant', 'app_one', "$API|x", '--grants', "$dir/bad"), 2, 'a broken file is not edited');
like($r->{err}, qr/bad:1: /, 'and the line is named');
is(slurp("$dir/bad"), "$API app_one\n", 'it stays as it is');
is_deeply([ grep { /\.\w{6}\z/ } glob "$dir/*" ], [], 'no temporary file is left');

# many at once: nothing is lost
my @pids = map {
    my $n = $_;
    my $pid = fork // die $!;
    if (!$pid) {
        open STDERR, '>', '/dev/null';
        exec $tool, 'client', 'grant', 'app_many', "api://m|p$n", @g or POSIX::_exit(127);
    }
    $pid;
} 1 .. 24;
waitpid $_, 0 for @pids;
my ($line) = slurp($grants) =~ m{^api://m app_many (.*)$}m;
is_deeply([ sort split ' ', $line // '' ], [ sort map { "p$_" } 1 .. 24 ], '24 grants at once, none lost');
ends(ctl('', 'client', 'revoke', 'app_many', '--all', @g), 0, 'take them back');

# --- list ---

is(ends(ctl('', 'client', 'list', @c, @g), 0, 'list')->{out},
   "app_one $API|user:read:one\n$made\napp_two\n", 'clients and scopes');
ends(ctl('', 'client', 'grant', 'app_ghost', 'api://x|y', @g), 0, 'grant to a client without secret');
is_deeply(ends(ctl('', 'client', 'list', '--json', @c, @g), 0, 'list as JSON')->{json}, { clients => [
    { client_id => 'app_one', secret => JSON::PP::true, scopes => ["$API|user:read:one"] },
    { client_id => $made, secret => JSON::PP::true, scopes => [] },
    { client_id => 'app_two', secret => JSON::PP::true, scopes => [] },
    { client_id => 'app_ghost', secret => JSON::PP::false, scopes => ['api://x|y'] } ] }, 'its document');
is(ctl('', 'client', 'list', 'app_ghost', @c, @g)->{out}, "app_ghost (no secret) api://x|y\n", 'list one');
ends(ctl('', 'client', 'list'), 2, 'list nothing');

# --- a server, and tokens from it ---

$t->begin(<<'CONF');
M2MIssuerName http://127.0.0.1:@PORT@
M2MSigningKey @ROOT@/rsa.pem
M2MGrantFile @ROOT@/m2m/grants
<Location /token>
    SetHandler m2m-token
    M2MClientProvider file
    AuthUserFile @ROOT@/m2m/clients
</Location>
<Location /jwks>
    SetHandler m2m-jwks
</Location>
<Location /.well-known/oauth-authorization-server>
    SetHandler m2m-metadata
</Location>
CONF
$t->secret($secret);
my $issuer = 'http://127.0.0.1:' . $t->port;
# Whichever process answers: five tokens in a row end with that status.
sub soon {
    my ($code, $scope, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $row = 0;
    for (my $end = time + 60; $row < 5 && time < $end; ) {
        my $r = ctl($secret, 'token', '--issuer', "http://127.0.0.1:" . $t->port, '--client', 'app_one',
                    '--scope', $scope);
        $row = $r->{code} == $code ? $row + 1 : 0;
        select undef, undef, undef, 0.05 if !$row;
    }
    ok($row, $name);
}

my @token = ('token', '--issuer', $issuer, '--client', 'app_one');
my @one = ('--scope', "$API|user:read:one");

$r = ends(ctl("$secret\n", @token, @one), 0, 'a token');
like($r->{out}, qr/\A[\w-]+\.[\w-]+\.[\w-]+\z/, 'and nothing else on standard output');
is($r->{err}, '', 'nothing on standard error');
spew("$t->{root}/jwks.json", $t->get('/jwks')->body);
my $v = ends(ctl($r->{out}, 'verify', '--jwks', "$t->{root}/jwks.json", '--issuer', $issuer,
                 '--audience', $API, '--token-type', 'at+jwt', '--json'), 0, 'm2mctl verify takes it');
$t->secret($r->{out} =~ /\.([\w-]+)\z/);
spew("$t->{root}/secret", "$secret\n");
$r = ends(ctl('', @token, @one, '--method', 'basic', '--secret-file', "$t->{root}/secret", '--json'), 0,
          'by Basic, with a secret from a file');
is($r->{json}{token_type}, 'Bearer', 'the whole answer as JSON');
$t->secret($r->{json}{access_token} =~ /\.([\w-]+)\z/);
$r = ends(ctl('wrong', @token, @one), 1, 'a wrong secret');
like($r->{err}, qr/refused: invalid_client: .*401/, 'is told');
is($r->{out}, '', 'with nothing on standard output');
like(ends(ctl($secret, @token), 1, 'no scope')->{err}, qr/invalid_scope/, 'is told');
like(ends(ctl($secret, @token, '--scope', "$API|two"), 1, 'not granted')->{err}, qr/invalid_scope/, 'is told');
ends(ctl('', 'client', 'grant', 'app_one', "$API|two", @g), 0, 'grant it');
soon(0, "$API|two", 'a token soon has it');
ends(ctl('', 'client', 'revoke', 'app_one', "$API|two", @g), 0, 'revoke it');
soon(1, "$API|two", 'tokens with it are soon refused');
ends(ctl('from a file', 'token', '--issuer', $issuer, '--client', 'app_two', @one), 1, 'a client without grants');
ends(ctl('', 'client', 'revoke', 'app_one', '--all', @c, @g), 0, 'take everything from a client');
ok((slurp($clients) . slurp($grants)) !~ /app_one/, 'it is in neither file');
soon(1, "$API|user:read:one", 'and soon it gets nothing');
# its secret may be known for a moment longer than its grants
$t->everywhere('is told', sub { ctl($secret, @token, @one)->{err} =~ /invalid_client/ });
like(ends(ctl('', 'client', 'revoke', 'app_one', '--all', @c, @g), 2, 'a second time there is no such client')->{err},
     qr/there is no client app_one/, 'says so');

ends(ctl($secret, 'token', '--issuer', $_->[0], '--client', 'a', @one), 2, $_->[1]) for
    [ 'http://192.0.2.1/', 'plain HTTP to another machine' ], [ 'ftp://x', 'no HTTP' ], [ 'x', 'no URL' ],
    [ "$issuer/", 'an issuer that is named otherwise' ], [ "$issuer/other", 'no metadata' ],
    [ 'http://127.0.0.1:9', 'nobody there' ];
ends(ctl("\n", @token, @one), 2, 'no secret');
ends(ctl($secret, 'token', '--client', 'a'), 2, 'no issuer');
ends(ctl($secret, @token, '--method', 'x'), 2, 'an unknown method');
ends(ctl($secret, @token, 'word'), 2, 'a word');

# --- what httpd takes for a client, and what a terminal would act upon ---

spew("$dir/odd", "  app_in:x\n\tapp_in:y\napp_on:z\napp_in2:x\n");
ends(ctl('', 'client', 'revoke', 'app_in', '--all', '--clients', "$dir/odd"), 0, 'a client behind blanks');
is(slurp("$dir/odd"), "app_on:z\napp_in2:x\n", 'is taken out, each line of it');
spew("$dir/odd", "app_\\\nin:x\n");
like(ends(ctl('', 'client', 'revoke', 'app_in', '--all', '--clients', "$dir/odd"), 2, 'a line that goes on')->{err},
     qr/odd:1: a line that ends in a backslash/, 'is not guessed at');
spew("$dir/odd", "a\e[31mb\xc2\x9b\xe2\x80\xaec:x\n");
is(ctl('', 'client', 'list', '--clients', "$dir/odd")->{out}, "a[31mbc\n", 'no escape reaches a terminal');
like(ctl('', 'client', 'list', '--json', '--clients', "$dir/odd")->{out}, qr/"a\\u001b\[31mb\\u009b\\u202ec"/,
     'in JSON they are escaped');

# the lock: a file nobody else may open; what others lock does not hold us up
my $lock = "$dir/.m2mctl.lock";
is((stat $lock)[2] & 07777, 0600, 'the lock file is its owner\'s');
open my $held, '<', $dir or die $!;
flock $held, 2 or die $!;
ends(ctl('', 'client', 'add', 'app_lock', @c), 0, 'a lock on the directory holds nobody up');
close $held;
unlink $lock;
spew($lock, '');
chmod 0644, $lock;
ends(ctl('', 'client', 'add', 'app_lock2', @c), 2, 'a lock file that others may open is none');
unlink $lock;
ends(ctl('', 'client', 'add', 'app_lock2', @c), 0, 'and a new one is made');

# --- revoke ---

my $list = "$dir/revoked";
spew($list, "# ours\nsub i s");
chmod 0640, $list;
my @i = ('--issuer', 'https://i', '--list', $list);
ends(ctl('', 'revoke', '--jti', 'a b', '--exp', 99, @i), 0, 'revoke a token');
ends(ctl('', 'revoke', '--client', 'app_one', '--now', 1000, @i), 0, 'revoke a client');
ends(ctl('', 'revoke', '--sub', 'bob', '--now', 1000, @i), 0, 'revoke a subject');
ends(ctl('', 'revoke', '--kid', '*', '--issuer', '*', '--list', $list), 0, 'revoke a key');
$r = ends(ctl('', 'revoke', '--claim', 'tenant=a#b', '--list', $list, '--json'), 0, 'revoke by a claim');
is($r->{json}{entry}, 'claim tenant a%23b', 'its document');
is(slurp($list), "# ours\nsub i s\njti https://i a%20b 99\nclient https://i app_one 1001\n"
   . "sub https://i bob 1001\nkid * %2A\nclaim tenant a%23b\n", 'a line each, none of others touched');
is((stat $list)[2] & 07777, 0640, 'the mode stays');
SKIP: { # a stranger who may read the list holds its lock
    skip 'only root can be somebody else', 5 if $>;
    my $open = "$dir/open";
    my $hold = sub {
        my ($uid) = @_;
        pipe my $ready, my $tell or die;
        my $pid = fork // die $!;
        if (!$pid) {
            $) = "$uid $uid";
            $> = $< = $uid;
            open my $f, '<', $open or POSIX::_exit(1);
            flock $f, 1 or POSIX::_exit(1);
            syswrite $tell, 'x';
            sleep 60;
            POSIX::_exit(0);
        }
        close $tell;
        sysread $ready, my $x, 1 or die 'no lock';
        return $pid;
    };
    spew($open, '');
    chmod 0644, $open;
    chmod 0755, $dir;
    my $pid = $hold->(65534);
    my $began = time;
    $r = ends(ctl('', 'revoke', '--jti', 'a', '--issuer', 'https://i', '--list', $open), 0, 'a lock of one who may not write');
    cmp_ok(time - $began, '<', 8, 'is passed by');
    is(slurp($open), "jti https://i a\n", 'the entry is there');
    like($r->{err}, qr/process $pid \(.*may not write it, holds its lock/, 'and it is told');
    kill 'KILL', $pid;
    waitpid $pid, 0;
    $pid = $hold->(0);
    like(ends(ctl('', 'revoke', '--jti', 'b', '--issuer', 'https://i', '--list', $open), 2, 'a lock of one who may')->{err},
         qr/is locked by process $pid \(\w+\) and stayed so/, 'is waited for, and named') if $ENV{M2_SLOW};
    kill 'KILL', $pid;
    waitpid $pid, 0;
}
ends(ctl('', 'revoke', @{ $_->[0] }), 2, "revoke: $_->[1]") for
    [ [@i], 'nothing' ], [ [ '--jti', 'a', '--sub', 'b', @i ], 'two at once' ],
    [ [ '--jti', 'a', '--list', $list ], 'no issuer' ], [ [ '--jti', 'a', '--issuer', 'i' ], 'no list' ],
    [ [ '--claim', 'x', '--list', $list ], 'a claim without value' ],
    [ [ '--jti', '', @i ], 'an empty id' ], [ [ '--sub', 'a', '--exp', 1, @i ], 'exp of a subject' ],
    [ [ '--jti', 'a', '--issuer', 'i', '--list', "$dir/no-list" ], 'a list that is not there' ],
    [ [ '--jti', 'a', '--issuer', 'i', '--list', $dir ], 'a directory' ];
ok(!-e "$dir/no-list", 'no list is made by a misspelt name');
$t->finish;
