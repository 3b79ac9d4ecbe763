# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
package M2MGW::Database;

# Databases behind mod_dbd, SQLite and PostgreSQL, and what the gateway and the issuer owe with either:
# one-time tokens, used assertions, grants and data sets. The statements are those of conf/sql.
#
#     my $driver = driver('sqlite3') or ...   whether httpd has it
#     check('SQLite', \&sqlite);              replay, assertions, grants
#     check_sets('SQLite', \&sqlite);         data sets
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Temp ();
use JSON::PP ();
use M2MGW::Test;
use M2MGW::Redis;
use M2MGW::Replay;
use POSIX ();
use Time::HiRes qw(sleep time);
use parent 'Exporter';

our @EXPORT = qw(driver sqlite postgresql check check_sets two_hosts stops);

my $SQL = dirname(abs_path(__FILE__)) . '/../../../conf/sql';
my $SECRET = 'correct horse+battery/staple%';
my $USERS = join '', map { "$_:\$2y\$05\$eeHrCj2u4bGD1/90QtKbsuV9mk5T7n26cyhkm6.1ad29.KTdA5voC\n" }
    qw(app_db app_file app_none);
my $jti = 0;
sub token { mint('oct', { sub => 'a', iss => 'https://as', jti => "d$$-" . ++$jti }) }

my $CONFIG = <<'CONF';
LogLevel info
M2MJwks file:@ROOT@/k.json
M2MReplayStore dbd:
M2MAssertionStore dbd:
<Location /one>
    M2MPreventJtiReplay On
</Location>
AliasMatch ^/one @DOCROOT@/index.html
M2MIssuerName http://127.0.0.1:@PORT@/idp
M2MSigningKey @ROOT@/rsa.pem kid=main
M2MGrant api://file app_file read
M2MGrantQuery "SELECT audience, permission FROM m2m_grants WHERE client = %s"
M2MClientKeys app_jwt file:@ROOT@/app_jwt.json
<Location /idp>
    M2MEngine Off
</Location>
<Location /idp/token>
    SetHandler m2m-token
    M2MClientProvider file
    AuthUserFile @ROOT@/clients
</Location>
<Location /idp/jwks>
    SetHandler m2m-jwks
</Location>
CONF

sub files {
    return { 'k.json' => jwk_json('oct', kid => 'K'), 'rsa.pem' => key('rsa')->{text},
             'app_jwt.json' => jwks_json(jwk('p256#2', kid => 'c1')), clients => $USERS };
}

# Whether httpd has the driver of that name.
sub driver {
    my ($name) = @_;
    return scalar(() = glob "/usr/lib/*/apr-util-1/apr_dbd_$name*.so /usr/lib64/apr-util-1/apr_dbd_$name*.so");
}

# --- databases ---

# A file of SQLite that the children may write; sql() runs statements in it.
sub sqlite {
    my ($t) = @_;
    my $self = bless { file => "$t->{root}/state/m2m.db" }, 'SQLite';
    $self->sql(slurp("$SQL/m2m-sqlite.sql"));
    my @all = glob "$self->{file}*";
    chown +(getpwnam M2MGW::Test::user())[2, 3], @all unless $>;
    return $self;
}

sub SQLite::sql {
    my ($self, $sql) = @_;
    open my $in, '|-', 'sqlite3', '-cmd', '.timeout 20000', $self->{file}, '-cmd',
        ".output $self->{file}.out" or die "sqlite3: $!";
    print {$in} $sql;
    close $in or die "sqlite3 failed\n";
    my $out = -e "$self->{file}.out" ? slurp("$self->{file}.out") : '';
    unlink "$self->{file}.out";
    return $out;
}

# a disk that is slow must not make sixteen writers wait longer for each other than the driver does
sub SQLite::directives { "DBDriver sqlite3\nDBDParams $_[0]{file}\nDBDInitSQL \"PRAGMA synchronous=OFF\"\n" }

# Nobody else may write until the code is over.
sub SQLite::blocked {
    my ($self, $code) = @_;
    open my $in, '|-', 'sqlite3', $self->{file} or die "sqlite3: $!";
    $in->autoflush(1);
    print {$in} ".timeout 20000\nBEGIN IMMEDIATE;\n.shell touch $self->{file}.locked\n";
    until_true(30, sub { -e "$self->{file}.locked" }) or die "no lock\n";
    $code->();
    print {$in} "COMMIT;\n";
    close $in;
    unlink "$self->{file}.locked";
}

# A cluster of its own on a unix socket, run by somebody who is not root.
sub postgresql {
    my ($t) = @_;
    my ($bin) = sort { $b cmp $a } glob '/usr/lib/postgresql/*/bin';
    my $dir = File::Temp::tempdir('m2mgw-pg-XXXXXX', TMPDIR => 1, CLEANUP => 1);
    my @who = $> ? () : (getpwnam('postgres') || getpwnam('nobody'))[2, 3];
    my $self = bless { bin => $bin, dir => $dir, owner => $$,
                       who => @who ? [ (getpwnam('postgres'))[2, 3] ] : undef }, 'Postgres';
    chown @{ $self->{who} }, $dir if $self->{who};
    chmod 0755, $dir;
    $self->run("$bin/initdb", '-A', 'trust', '-U', 'm2m', '--no-sync', '-D', "$dir/data")
        or die "initdb failed:\n" . slurp("$dir/log");
    $self->start;
    $self->sql(slurp("$SQL/m2m-postgresql.sql"));
    return $self;
}

sub Postgres::become {
    my ($self) = @_;
    return if !$self->{who};
    POSIX::setgid($self->{who}[1]);
    $) = "$self->{who}[1] $self->{who}[1]";
    POSIX::setuid($self->{who}[0]);
}

# What is run has the directory as its own and tells its log: the process.
sub Postgres::spawn {
    my ($self, @command) = @_;
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        $self->become;
        chdir $self->{dir};
        open STDIN, '<', '/dev/null';
        open STDOUT, '>>', "$self->{dir}/log" or POSIX::_exit(126);
        open STDERR, '>&', \*STDOUT;
        no warnings 'exec';
        exec @command;
        POSIX::_exit(127);
    }
    return $pid;
}

sub Postgres::run {
    my ($self, @command) = @_;
    my $pid = $self->spawn(@command);
    waitpid $pid, 0;
    return $? == 0;
}

sub Postgres::start {
    my ($self) = @_;
    $self->{pid} = $self->spawn("$self->{bin}/postgres", '-D', "$self->{dir}/data", '-k',
        $self->{dir}, '-c', 'listen_addresses=', '-c', 'fsync=off', '-c', 'shared_buffers=16MB',
        '-c', 'max_connections=60');
    until_true(60, sub { eval { $self->sql('SELECT 1'); 1 } })
        or die "PostgreSQL did not start:\n" . slurp("$self->{dir}/log");
}

sub Postgres::stop {
    my ($self) = @_;
    return if !$self->{pid} || $self->{owner} != $$;
    kill 'INT', $self->{pid}; # a fast shutdown
    waitpid $self->{pid}, 0;
    $self->{pid} = 0;
}

# The state of a process and its parent; nothing for one that has gone.
sub state_of { (eval { slurp("/proc/$_[0]/stat") } // '') =~ /\) (\S) (\d+)/ ? ($1, $2) : () }

# Sends the signal; a process that is to stop has stopped when this is over, or has gone.
sub send_to {
    my ($signal, @pids) = @_;
    kill $signal, @pids;
    return if $signal ne 'STOP';
    for my $pid (@pids) { M2MGW::Test::before_long(sub { ((state_of($pid))[0] // 'T') =~ /[TZX]/ }) }
}

# It and all its children are there and do nothing: SIGSTOP, SIGCONT. It comes first, so that it
# begins no child meanwhile.
sub Postgres::signal {
    my ($self, $signal) = @_;
    send_to($signal, $self->{pid});
    my @children = grep { ((state_of($_))[1] // 0) == $self->{pid} }
        map { m{(\d+)\z} } glob '/proc/[0-9]*'; # others come and go
    send_to($signal, @children);
}

sub Postgres::DESTROY { local $?; $_[0]->stop }

sub Postgres::sql {
    my ($self, $sql) = @_;
    my $pid = open(my $out, '-|') // die "fork: $!";
    if (!$pid) {
        open STDERR, '>', '/dev/null';
        no warnings 'exec';
        exec "$self->{bin}/psql", '-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-h',
            $self->{dir}, '-U', 'm2m', '-d', 'postgres', '-c', $sql;
        POSIX::_exit(127);
    }
    local $/;
    my $text = <$out> // '';
    close $out or die "psql failed\n";
    return $text;
}

sub Postgres::directives {
    "DBDriver pgsql\nDBDParams \"host=$_[0]{dir} user=m2m dbname=postgres connect_timeout=20 "
        . "options='-c statement_timeout=20000'\"\n";
}

sub Postgres::blocked {
    my ($self, $code) = @_;
    $self->stop;
    $code->();
    $self->start;
}

# --- what each of them owes ---

sub ask_token {
    my ($t, $client, $scope) = @_;
    my $body = "grant_type=client_credentials&client_id=$client&client_secret="
        . ($SECRET =~ s/([^A-Za-z0-9_.~-])/sprintf '%%%02X', ord $1/ger)
        . '&scope=' . ($scope =~ s/([^A-Za-z0-9_.~-])/sprintf '%%%02X', ord $1/ger);
    my $r = $t->request('POST', '/idp/token', body => $body,
                        headers => [ 'Content-Type' => 'application/x-www-form-urlencoded' ]);
    $r->{json} = eval { JSON::PP::decode_json($r->body) } // {};
    return $r;
}

sub ask_jwt {
    my ($t, $id) = @_;
    my $issuer = 'http://127.0.0.1:' . $t->port . '/idp';
    my $assertion = mint('p256#2', { iss => 'app_jwt', sub => 'app_jwt', aud => $issuer,
                                     exp => time + 60, jti => $id }, { kid => 'c1' });
    my $body = "grant_type=client_credentials&client_assertion=$assertion&client_assertion_type="
        . 'urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&scope=api%3A%2F%2Fdb%7Cread';
    my $r = $t->request('POST', '/idp/token', body => $body,
                        headers => [ 'Content-Type' => 'application/x-www-form-urlencoded' ]);
    $r->{json} = eval { JSON::PP::decode_json($r->body) } // {};
    return $r;
}

sub check {
    my ($name, $make) = @_;
    my $t = M2MGW::Test->prepare(files => files(), modules => ['dbd'], issuer => 1);
    chmod 0600, "$t->{root}/rsa.pem";
    my $db = $make->($t);
    $db->sql("INSERT INTO m2m_grants (client, audience, permission) VALUES "
        . "('app_db', 'api://db', 'read'), ('app_db', 'api://db', 'write'), "
        . "('app_file', 'api://file', 'more'), ('app_jwt', 'api://db', 'read');");
    $db->sql("INSERT INTO m2m_replay (id, expires) VALUES ('dead', 1);");
    $t->begin($db->directives . $CONFIG);
    $t->expect_log(qr/M2-10\d:/, qr/M2-70\d:/, qr/client_assertion/, qr/AH006\d\d|DBD/i,
                   qr/replay_unavailable|replay store dbd/, qr/M2-730/, qr/M2-71\d|M2-72\d/);

    my $one = token();
    is($t->get('/one', token => $one)->status, 200, "$name: the first use");
    denies($t->get('/one', token => $one), 401, 'jti_replayed', "$name: the second use");
    my @bad;
    for my $round (1 .. 4) {
        my $seen = volley([ $t->port ], '/one', token(), 16);
        push @bad, join ', ', map { "$_: $seen->{$_}" } sort keys %$seen
            if ($seen->{'200 ok'} // 0) != 1 || ($seen->{'401 jti_replayed'} // 0) != 15;
    }
    is("@bad", '', "$name: of 16 at once one is accepted");
    ok(until_true(60, sub { $db->sql("SELECT COUNT(*) FROM m2m_replay WHERE id = 'dead';") == 0 }),
       "$name: rows of dead tokens are deleted");
    ok($t->reload, "$name: a graceful restart");
    denies($t->get('/one', token => $one), 401, 'jti_replayed', "$name: after it");

    is(ask_jwt($t, 'a1')->status, 200, "$name: an assertion");
    is(ask_jwt($t, 'a1')->status, 401, "$name: and not twice");

    my $r = ask_token($t, 'app_db', 'api://db|.all');
    is($r->status, 200, "$name: a grant of the database") or diag($r->body);
    is(join(' ', sort split ' ', $r->{json}{scope} // ''), 'api://db|read api://db|write',
       "$name: all of it");
    is(ask_token($t, 'app_db', 'api://db|admin')->{json}{error}, 'invalid_scope',
       "$name: no more than that");
    is(ask_token($t, 'app_none', 'api://db|read')->{json}{error}, 'invalid_scope',
       "$name: of that client alone");
    $r = ask_token($t, 'app_file', 'api://file|.all');
    is(join(' ', sort split ' ', $r->{json}{scope} // ''), 'api://file|more api://file|read',
       "$name: it joins what directives grant");
    $db->sql("DELETE FROM m2m_grants WHERE permission = 'write';");
    is(ask_token($t, 'app_db', 'api://db|write')->{json}{error}, 'invalid_scope',
       "$name: a grant that is deleted is gone at once");
    $db->sql("INSERT INTO m2m_grants VALUES ('app_db', 'api://db', 'a b');");
    is(ask_token($t, 'app_db', 'api://db|read')->status, 503, "$name: a row that is not a grant");
    $db->sql("DELETE FROM m2m_grants WHERE permission = 'a b';");

    my $kept = token();
    $db->blocked(sub {
        my $r = $t->get('/one', token => $kept);
        denies($r, 503, 'replay_unavailable', "$name: it does not answer");
        ok($r->header('Retry-After'), "$name: with Retry-After");
        denies($t->get('/one', token => $one), 503, 'replay_unavailable',
               "$name: neither is a used one accepted");
        return if $name eq 'SQLite'; # which can be read all the time
        $r = ask_token($t, 'app_db', 'api://db|read');
        is($r->status, 503, "$name: no grants");
        is($r->{json}{error}, 'temporarily_unavailable', "$name: told as such");
        ok($r->header('Retry-After'), "$name: with Retry-After");
    });
    my $again = until_true(60, sub { $t->get('/one', token => token())->status == 200 });
    ok($again, "$name: it answers again");
    my $said; # each connection that broke is found out by one request
    ok(until_true(60, sub {
        $said = $t->get('/one', token => $one);
        $said->status != 503;
    }), "$name: on all connections");
    denies($said, 401, 'jti_replayed', "$name: and has forgotten nothing");
    hangs($t, $db, $name) if $db->can('signal');
    $t->finish(more => 1);
}

# A database that is there and does not answer holds nobody.
sub hangs {
    my ($t, $db, $name) = @_;
    my $kept = token();
    $db->signal('STOP');
    my $began = time;
    denies($t->get('/one', token => $kept), 503, 'replay_unavailable', "$name: it hangs");
    cmp_ok(time - $began, '<', 15, "$name: which is found out in time");
    $began = time;
    is(ask_token($t, 'app_db', 'api://db|read')->status, 503, "$name: no grants then");
    cmp_ok(time - $began, '<', 15, "$name: likewise");
    $began = time;
    my $seen = volley([ $t->port ], '/one', token(), 60);
    is(join(', ', map { "$_: $seen->{$_}" } sort keys %$seen), '503 replay_unavailable: 60',
       "$name: nor do many at once wait");
    cmp_ok(time - $began, '<', 60, "$name: longer than one"); # prefork: one after the other in each child
    $db->signal('CONT');
    ok(until_true(60, sub { $t->get('/one', token => token())->status == 200 }),
       "$name: it goes on");
    my $one = token();
    ok(until_true(60, sub { $t->get('/one', token => $one)->status == 200 }), "$name: a token");
    my $said;
    until_true(60, sub { $said = $t->get('/one', token => $one); $said->status != 503 });
    denies($said, 401, 'jti_replayed', "$name: counts once");
}

# It is stopped while the server is told to stop.
sub stops {
    my ($name, $make) = @_;
    my $t = M2MGW::Test->prepare(files => files(), modules => ['dbd'], issuer => 1);
    chmod 0600, "$t->{root}/rsa.pem";
    my $db = $make->($t);
    $t->begin($db->directives . $CONFIG);
    $t->expect_log(qr/M2-\d+:/, qr/AH006\d\d|DBD/i, qr/replay_unavailable|replay store dbd/, qr/AH00045|AH00046/);
    is($t->get('/one', token => token())->status, 200, "$name: it works");
    $db->signal('STOP');
    is($t->get('/one', token => token())->status, 503, "$name: it hangs");
    $t->finish(more => 1);
    $db->signal('CONT');
}

# --- data sets ---

my $SETS = <<'CONF';
M2MDataset tenants dbd:"SELECT value, expires FROM m2m_dataset WHERE name LIKE 'tenant%%'" ttl=1
M2MDataset networks "dbd:SELECT value FROM m2m_dataset WHERE name = 'networks'" ttl=1 max-stale=8
<Location /value>
    M2MParameter tenant Header:X-Tenant
    M2MRule known "$tenant in dataset tenants" ifFalse=DENY
    ProxyPass http://@BACKEND@/b
</Location>
<Location /net>
    M2MParameter ip Header:X-Ip
    M2MRule inside "$ip in_cidr dataset networks" ifFalse=DENY
    ProxyPass http://@BACKEND@/b
</Location>
<Location /status>
    SetHandler m2m-status
</Location>
CONF

sub tenant { $_[0]->get('/value/x', headers => [ [ 'X-Tenant' => $_[1] ] ], @_[2 .. $#_]) }
sub address { $_[0]->get('/net/x', headers => [ [ 'X-Ip' => $_[1] ] ]) }

sub shown {
    my $sets = JSON::PP::decode_json($_[0]->get('/status?format=json')->body)->{datasets};
    return join ', ', sort map { "$_->{state} $_->{usable} $_->{entries}" } @$sets;
}

# In every child.
sub in_all {
    my ($name, $test) = @_;
    ok(M2MGW::Test::holds($test), $name);
}

sub row { "INSERT INTO m2m_dataset (name, value, expires) VALUES ('$_[0]', '$_[1]', $_[2]);" }

sub check_sets {
    my ($name, $make, $more) = @_;
    my $t = M2MGW::Test->prepare(modules => ['dbd'], files => { none => '' });
    my $db = $make->($t);
    $db->sql(row('tenants', 'acme', 'NULL') . row('tenants', 'old', 1) . row('tenants', 'two words', 32503680000)
        . row('networks', '10.0.0.0/8', 1));
    $db->sql('ALTER TABLE m2m_dataset RENAME TO m2m_hidden;');
    $t->expect_log(qr/dbd:SELECT/, qr/AH006\d\d|DBD/i);
    $t->begin($db->directives . $SETS . ($more ? $more->($t) : ''));
    denies(tenant($t, 'acme'), 403, 'rule_error', "$name: a set that was not read yet denies");
    $db->sql('ALTER TABLE m2m_hidden RENAME TO m2m_dataset;');
    in_all("$name: a set that is read", sub { tenant($t, 'acme')->status == 200 });
    passes(tenant($t, 'two words'), "$name: a value as it is, until later");
    denies(tenant($t, 'two'), 403, 'rule_denied', "$name: not a word of it");
    denies(tenant($t, 'old'), 403, 'rule_denied', "$name: one whose time is over");
    denies(tenant($t, 'other'), 403, 'rule_denied', "$name: another");
    in_all("$name: without a second column", sub { address($t, '10.1.2.3')->status == 200 });
    denies(address($t, '11.1.2.3'), 403, 'rule_denied', "$name: an address of no network");
    my $both = $more ? 'fresh 1 1, fresh 1 1, fresh 1 3' : 'fresh 1 1, fresh 1 3';
    ok(until_true(60, sub { shown($t) eq $both }), "$name: the status page has them") or diag(shown($t));
    if ($more) {
        my @there = (port => $t->port('two'));
        in_all("$name: a virtual host asks its own database", sub { tenant($t, 'second', @there)->status == 200 });
        denies(tenant($t, 'acme', @there), 403, 'rule_denied', "$name: not that of the main server");
        denies(tenant($t, 'second'), 403, 'rule_denied', "$name: nor does that one ask its");
    }

    $db->sql(row('tenants', 'other', 'NULL') . "DELETE FROM m2m_dataset WHERE value = 'acme';");
    in_all("$name: a row that is added", sub { tenant($t, 'other')->status == 200 });
    in_all("$name: a row that is gone", sub { tenant($t, 'acme')->status == 403 });
    $db->sql("UPDATE m2m_dataset SET expires = 1 WHERE value = 'other';");
    in_all("$name: a row whose time is over", sub { tenant($t, 'other')->status == 403 });
    $db->sql("UPDATE m2m_dataset SET expires = NULL WHERE value = 'other';");
    in_all("$name: and is not", sub { tenant($t, 'other')->status == 200 });

    $db->sql(row('tenants', 'late', 1800000000000));
    ok(until_true(60, sub { $t->error_log =~ /row \d+: the second column is not a time in Unix seconds/ }),
       "$name: a time in milliseconds breaks the set");
    passes(tenant($t, 'other'), "$name: of which the last good one stays");
    denies(tenant($t, 'late'), 403, 'rule_denied', "$name: without the row");
    $db->sql("DELETE FROM m2m_dataset WHERE value = 'late';");
    in_all("$name: mended", sub { tenant($t, 'other')->status == 200 });

    $db->sql('ALTER TABLE m2m_dataset RENAME TO m2m_hidden;');
    in_all("$name: a table that is gone denies behind max-stale", sub { address($t, '10.1.2.3')->status == 403 });
    denies(address($t, '10.1.2.3'), 403, 'rule_error', "$name: with an error");
    passes(tenant($t, 'other'), "$name: within it the last good set stays") for 1 .. 4;
    ok($t->reload, "$name: over a restart");
    passes(tenant($t, 'other'), "$name: as well") for 1 .. 4;
    denies(tenant($t, 'acme'), 403, 'rule_denied', "$name: and no other");
    denies(address($t, '10.1.2.3'), 403, 'rule_error', "$name: nor longer");
    $db->sql('ALTER TABLE m2m_hidden RENAME TO m2m_dataset;');
    in_all("$name: back again", sub { address($t, '10.1.2.3')->status == 200 });
    $db->sql('DELETE FROM m2m_dataset;');
    in_all("$name: no row is a set without values", sub { tenant($t, 'other')->reason eq 'rule_denied' });
    $t->finish(more => 1);
}

# A virtual host with a database of its own, and one with that of the main server.
sub two_hosts {
    my ($t) = @_;
    my $file = "$t->{root}/state/two.db";
    (bless { file => $file }, 'SQLite')->sql(slurp("$SQL/m2m-sqlite.sql") . row('tenants', 'second', 'NULL'));
    my @all = glob "$file*";
    chown +(getpwnam M2MGW::Test::user())[2, 3], @all unless $>;
    my $section = join '', grep { /tenant|<.?Location .value|ProxyPass/ } split /^/, $SETS =~ s{<Location /net>.*}{}sr;
    return <<"CONF";
Listen 127.0.0.1:\@PORT:two\@
<VirtualHost 127.0.0.1:\@PORT:two\@>
DBDParams $file
$section</Location>
</VirtualHost>
CONF
}

1;
