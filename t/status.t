#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# SetHandler m2m-status: numbers that add up over all child processes, three formats that say
# the same and are valid in their own right, nothing secret and nothing a client sent, and a
# page that stays usable when things are bad or big.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use M2MGW::Test;
use List::Util ();
use Time::HiRes qw(sleep time);

my $idp = eval { require M2MGW::Idp; M2MGW::Idp->start(File::Temp::tempdir(CLEANUP => 1) . '/idp', clear => 1) };
my $odd_kid = qq{odd "kid" \\ <script>alert(1)</script> \x{e9}};
utf8::encode(my $odd_bytes = $odd_kid);
my %oct = %{ jwk('oct', kid => 'OCT') };
my %inline = %{ jwk('oct#inline', kid => 'INLINE') };
$idp->serve('/jwks', body => jwks_json(jwk('p256#url', kid => 'URL1'), jwk('rsa', kid => 'URL2'))) if $idp;
my $url = $idp ? $idp->url('/jwks') : '';
my $aging = $idp ? $idp->url('/aging') : '';
$idp->serve('/aging', body => jwks_json(jwk('p256#aging', kid => 'AGING'))) if $idp;
my $dead = 'http://127.0.0.1:9/jwks?key=PASSWORDINQUERY';
my $fetched = !$idp ? '' : <<"CONF";
<Location /url>
    M2MJwks $url
    M2MJwksRefresh ttl=600 max-stale=600 timeout=2 cooldown=1
</Location>
<Location /aging>
    M2MJwks $aging
    M2MJwksRefresh ttl=1 max-stale=600 timeout=1 cooldown=1
</Location>
<Location /dead>
    M2MJwks $dead
    M2MJwksRefresh ttl=600 max-stale=600 timeout=1 cooldown=1
</Location>
CONF
my $config = <<"CONF";
<IfModule mpm_event_module>
    StartServers 4
    MinSpareThreads 32
</IfModule>
LogFormat "%P" pid
CustomLog \@ROOT\@/logs/pids pid
M2MStateDir \@ROOT\@/state
M2MReplayStore shm entries=1024
<Location />
    M2MJwks file:\@ROOT\@/oct.json
</Location>
<Location /rule>
    M2MParameter role Token:role
    M2MRule "only \\"ok\\" <b>" "\$role = 'ok'" ifTrue=ALLOW ifFalse=DENY
    M2MRule never "\$role = 'never'" ifTrue=ALLOW
</Location>
<Location /shadow>
    M2MEngine Shadow
</Location>
<Location /once>
    M2MPreventJtiReplay On
</Location>
<Location /inline>
    M2MJwk kty=oct k=$inline{k} kid=INLINE
</Location>
<Location "/caf\xe9">
    M2MParameter role Token:role
    M2MRule latin "\$role = 'ok'" ifFalse=DENY
</Location>
<If "%{REQUEST_URI} =~ m#^/if<&\\"'#">
    M2MParameter role Token:role
    M2MRule inif "\$role = 'ok'" ifFalse=DENY
</If>
Include \@ROOT\@/twice.conf
Include \@ROOT\@/twice.conf
$fetched
ProxyPass /status !
ProxyPass /locked !
ProxyPass / http://\@BACKEND\@/
<Location /status>
    M2MEngine Off
    SetHandler m2m-status
</Location>
<Location /locked>
    SetHandler m2m-status
    M2MToken header:Authorization query:access_token
    M2MClaim client_id query:client
</Location>
CONF
my $t = M2MGW::Test->start(config => $config, files => {
    'oct.json' => jwks_json(\%oct, jwk('p256', kid => $odd_bytes)),
    'twice.conf' => "<Location /twice>\nM2MParameter role Token:role\nM2MRule two \"\$role = 'ok'\" ifFalse=DENY\n</Location>\n",
});
$t->expect_log(qr/M2MEngine Shadow/, qr/M2-101: the section in line/, qr/AH10159/, qr/cannot be fetched|cannot be refreshed/);
$t->secret($oct{k}, $inline{k});

sub page { my ($format, %o) = @_; return $t->get('/status' . (defined $format ? "?format=$format" : ''), %o) }
sub json { return JSON::PP::decode_json(page('json')->body) }
sub good { my (%claims) = @_; return mint('oct', { sub => 'a', %claims }, { kid => 'OCT', alg => 'HS256' }) }

# --- the text format of Prometheus, to the letter ---

# { name => { type, samples => { labels as text => value }, list => [[name, {labels}, value]] } };
# dies of the first thing that is wrong.
sub prometheus {
    my ($text) = @_;
    die "no line feed at the end\n" if $text !~ /\n\z/;
    my (%family, $now, %series);
    for my $line (split /\n/, substr($text, 0, -1), -1) {
        if ($line =~ /\A# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)\z/) {
            my ($what, $name, $rest) = (lc $1, $2, $3);
            die "$what of $name comes twice\n" if $family{$name}{$what};
            die "$what of $name stands behind its samples\n" if $family{$name}{list};
            die "type of $name: $rest\n" if $what eq 'type' && $rest !~ /\A(?:counter|gauge|histogram)\z/;
            $family{$name}{$what} = $rest;
            $now = $name;
            next;
        }
        $line =~ /\A([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (-?\d+(?:\.\d+)?(?:e[+-]\d+)?|\+Inf|NaN)\z/ or die "not a sample: $line\n";
        my ($name, $labels, $value) = ($1, $2 // '', $3);
        my $base = $name;
        $base =~ s/_(?:bucket|sum|count)\z// if defined $now && ($family{$now}{type} // '') eq 'histogram';
        die "$name stands apart from its family\n" if $base ne ($now // '');
        die "$name without HELP or TYPE\n" if !$family{$base}{help} || !$family{$base}{type};
        my (%label, $rest);
        for ($rest = $labels; length $rest;) {
            $rest =~ s/\A([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^\\"\n]|\\[\\"n])*)"(?:,(?=[a-z])|\z)// or die "labels of $line\n";
            my ($n, $v) = ($1, $2);
            die "$n twice in $line\n" if exists $label{$n};
            die "$n of $line is not UTF-8\n" if !utf8::decode(my $copy = $v);
            $v =~ s/\\(.)/$1 eq 'n' ? "\n" : $1/ge;
            $label{$n} = $v;
        }
        my $key = join '|', $name, map { "$_=$label{$_}" } sort keys %label;
        die "series twice: $key\n" if $series{$key}++;
        push @{ $family{$base}{list} }, [$name, \%label, $value];
    }
    for my $name (keys %family) {
        my $f = $family{$name};
        die "$name has no type\n" if !$f->{type} || !$f->{help};
        die "counter $name does not end in _total\n" if $f->{type} eq 'counter' && $name !~ /_total\z/;
        die "$name ends in _total\n" if $f->{type} ne 'counter' && $name =~ /_total\z/;
        die "$name is negative\n" if grep { $_->[2] < 0 } @{ $f->{list} // [] };
        histogram($name, $f) if $f->{type} eq 'histogram';
    }
    return \%family;
}

sub histogram {
    my ($name, $f) = @_;
    my ($last, $count, @le) = (-1, 0);
    my %n;
    for my $s (@{ $f->{list} }) {
        $n{ $s->[0] }++;
        if ($s->[0] eq "${name}_bucket") {
            my $le = $s->[1]{le} eq '+Inf' ? 9e99 : $s->[1]{le};
            die "le of $name does not grow\n" if $le <= $last;
            die "buckets of $name shrink\n" if $s->[2] < $count;
            ($last, $count) = ($le, $s->[2]);
        }
        die "$name has $count in its buckets, $s->[2] in its count\n" if $s->[0] eq "${name}_count" && $s->[2] != $count;
    }
    die "$name has no +Inf, sum or count\n" if $last != 9e99 || !$n{"${name}_sum"} || !$n{"${name}_count"};
}

sub metric {
    my ($m, $name, %want) = @_;
    my $sum;
    for my $s (@{ $m->{$name}{list} // [] }) {
        $sum += $s->[2] if !grep { ($s->[1]{$_} // '') ne $want{$_} } keys %want;
    }
    return $sum;
}

# the parser bites
my $fine = "# HELP a_total x\n# TYPE a_total counter\na_total{b=\"c\"} 1\n";
ok(eval { prometheus($fine) }, 'control: the parser takes good text') or diag $@;
for my $bad ($fine . "a_total{b=\"c\"} 2\n", $fine . "a_total{b=\"c\"d\"} 2\n", $fine . "\n", substr($fine, 0, -1), $fine . "b 1\n",
    $fine . "# TYPE a_total counter\n", "# HELP a x\n# TYPE a counter\na 1\n", $fine . "a_total{b=\"\xff\"} 2\n", $fine . "a_total 1 \n") {
    ok(!eval { prometheus($bad) }, 'the parser refuses ' . ($bad =~ s/\n/\\n/gr =~ s/[^ -~]/?/gr));
}

# --- counting ---

my $start = json();
is($start->{requests}, 0, 'nothing is counted before there was a request');
is($start->{decisions}{ok}, 0, 'and reasons that were not met are there');
cmp_ok(abs($start->{since} - time), '<', 600, 'since when');

# $n requests at a time, over as many connections, so that several processes get some
sub many {
    my ($n, $path, $token) = @_;
    my @c = map { $t->client } 1 .. $n;
    my $auth = defined $token ? "Authorization: Bearer $token\r\n" : '';
    $_->send_bytes("GET $path HTTP/1.1\r\nHost: gw.test\r\nConnection: close\r\n$auth\r\n") for @c;
    my %status;
    for my $c (@c) {
        my $r = $c->response;
        $status{ $r ? $r->status : 0 }++;
        $c->close;
    }
    return \%status;
}

my %want;
for my $round (1 .. 20) {
    is_deeply(many(12, '/x', good()), { 200 => 12 }, 'good tokens');
    is_deeply(many(12, '/x'), { 401 => 12 }, 'no token');
    is_deeply(many(6, '/rule', good(role => 'no')), { 403 => 6 }, 'denied by a rule');
    is_deeply(many(6, '/rule', good(role => 'ok')), { 200 => 6 }, 'allowed by a rule');
    is_deeply(many(5, '/shadow', 'x.y.z'), { 200 => 5 }, 'let pass by Shadow');
    is_deeply(many(3, '/x', mint('oct', { exp => 1 }, { kid => 'OCT', alg => 'HS256' })), { 401 => 3 }, 'expired');
    is_deeply(many(2, '/x', mint('oct', {}, { kid => 'EVILKID', alg => 'HS256' })), { 401 => 2 }, 'an unknown kid');
    $want{ok} += 18;
    $want{token_missing} += 12;
    $want{rule_denied} += 6;
    $want{token_malformed} += 5;
    $want{expired} += 3;
    $want{kid_unknown} += 2;
    my %pid = map { $_ => 1 } split /\n/, slurp("$t->{root}/logs/pids");
    last if keys %pid > 2;
}
my %pid = map { $_ => 1 } split /\n/, slurp("$t->{root}/logs/pids");
cmp_ok(scalar keys %pid, '>', 1, 'several processes answered: ' . keys %pid);

my $replay = good(jti => 'j1');
is($t->get('/once', token => $replay)->status, 200, 'a jti');
is($t->get('/once', token => $replay)->status, 401, 'again') for 1 .. 3;
$want{ok}++;
$want{jti_replayed} += 3;
$t->let_finish; # counted when the log is written, behind the answer

# Every process that answers has the same numbers.
for my $try (1 .. 6) {
    my $j = json();
    is_deeply({ map { $_ => $j->{decisions}{$_} } grep { $j->{decisions}{$_} } keys %{ $j->{decisions} } }, \%want, "decisions by reason, look $try");
}
my $j = json();
my $refused = 0;
$refused += $want{$_} for grep { !/\A(?:ok|token_malformed)\z/ } keys %want;
is($j->{passed}, $want{ok}, 'passed');
is($j->{refused}, $refused, 'refused');
is($j->{shadow_denials}, $want{token_malformed}, 'Shadow');
is_deeply({ map { $_ => $j->{shadow}{$_} } grep { $j->{shadow}{$_} } keys %{ $j->{shadow} } }, { token_malformed => $want{token_malformed} }, 'Shadow by reason');
is($j->{requests}, $j->{passed} + $j->{refused} + $j->{shadow_denials}, 'and in all');
my ($only) = grep { $_->{rule} =~ /only/ } @{ $j->{rules} };
is($only->{rule}, 'only "ok" <b>', 'a rule by its name');
like($only->{section}, qr{\A<Location /rule> \(line \d+ of .*suite\.conf\)\z}, 'and its section');
is_deeply([@$only{qw(allow deny)}], [$want{rule_denied}, $want{rule_denied}], 'its decisions');
my ($never) = grep { $_->{rule} eq 'never' } @{ $j->{rules} };
is_deeply([@$never{qw(allow deny)}], [0, 0], 'a rule that decided nothing');
my @twice = map { $_->{section} } grep { $_->{rule} eq 'two' } @{ $j->{rules} };
is(scalar @twice, 2, 'a file that is included twice');
isnt($twice[0], $twice[1], 'has two names');
my ($latin) = grep { $_->{rule} eq 'latin' } @{ $j->{rules} };
like($latin->{section}, qr{/caf\?}, 'bytes that are no UTF-8 are masked');

my $v = $j->{verification};
is($v->{count}, $j->{cache}{misses}, 'tokens judged anew are misses of the cache');
is($v->{buckets}[-1]{count}, $v->{count}, 'the last bucket holds all');
is($v->{buckets}[-1]{le}, '+Inf', 'and is endless');
cmp_ok($v->{microseconds}, '>', 0, 'it took some time');
cmp_ok($v->{buckets}[-2]{count}, '>', 0, 'but not that long');
is($v->{count} + $j->{cache}{hits}, $j->{requests} - $want{token_missing}, 'every token is a hit or a miss');
cmp_ok($j->{cache}{hits}, '>', 0, 'cache hits');
is_deeply([@{ $j->{replay} }{qw(store accepted replayed full errors)}], ['shm', 1, 3, 0, 0], 'the replay store');
cmp_ok($j->{replay}{live}, '>=', 1, 'what it holds');

# --- keys ---

sub keys_named { my ($j, $kid) = @_; return grep { $_->{kid} eq $kid } @{ $j->{keys} } }
M2MGW::Test::before_long(sub { $j = json(); keys_named($j, 'URL1') && grep { $_->{fault} } @{ $j->{sources} } }) if $idp;
my ($k) = keys_named($j, 'OCT');
is_deeply([@$k{qw(kty alg kind state source sections)}], ['oct', 'HS256', 'file', 'ok', "$t->{root}/oct.json", 1], 'a key of a file') or diag explain $k;
cmp_ok($k->{age}, '<', 600, 'its age');
ok(!exists $k->{next_refresh}, 'a file has no time of refresh');
($k) = keys_named($j, 'INLINE');
is_deeply([@$k{qw(kty kind state)}], ['oct', 'configuration', 'ok'], 'a key of the configuration');
is($k->{source}, 'configuration', 'its source');
like($k->{place}, qr/\Aline \d+ of .*suite\.conf\z/, 'where it stands');
cmp_ok($k->{age}, '<', 600, 'its age');
is(scalar keys_named($j, $odd_kid), 1, 'a kid with odd characters');
SKIP: {
    skip 'needs IO::Socket::SSL', 7 if !$idp;
    ($k) = keys_named($j, 'URL1');
    is_deeply([@$k{qw(kty alg kind state source)}], ['EC', 'ES256', 'url', 'fresh', $url], 'a key of a URL');
    cmp_ok($k->{age}, '<', 600, 'its age');
    cmp_ok($k->{next_refresh}, '>', 400, 'its next refresh');
    cmp_ok($k->{next_refresh}, '<=', 600, 'within ttl');
    my ($d) = grep { $_->{source} =~ /127\.0\.0\.1:9/ } @{ $j->{sources} };
    is_deeply([@$d{qw(state keys source)}], ['unavailable', 0, 'http://127.0.0.1:9/jwks?...'], 'a source that is down, its query masked');
    ok($d->{fault} && $d->{failures}, 'why: ' . ($d->{fault} // ''));
    is($t->get('/dead', token => good())->status, 503, 'its location is closed');
    $t->let_finish;
}
is_deeply([grep { !/\A(?:kid|kty|alg|source|kind|state|age|next_refresh|place|sections)\z/ } map { keys %$_ } @{ $j->{keys} }], [], 'no other member of a key');

# --- formats ---

my $r = page('json');
is($r->header('Content-Type'), 'application/json', 'JSON: content type');
is($r->header('Cache-Control'), 'no-store', 'JSON: not to be kept');
my $order = sub { join ',', $_[0]->body =~ /"(\w+)":/g };
my @orders; # of two processes one may have keys of a URL that the other still waits for
M2MGW::Test::before_long(sub { @orders = map { $order->(page('json')) } 1, 2; $orders[0] eq $orders[1] }, 10);
is($orders[0], $orders[1], 'JSON: members keep their order');
is_deeply([sort keys %{ JSON::PP::decode_json($r->body) }], [sort qw(module httpd since now requests passed refused decisions shadow_denials shadow rules
    verification keys sources revocation datasets cache replay proofs limits sections operations recent)], 'JSON: members');

# --- sections ---

sub section { my ($j, $opening) = @_; return grep { $_->{section} =~ /\A\Q$opening\E \(line \d+ of / } @{ $j->{sections} } }
$j = json();
my ($rule) = section($j, '<Location /rule>');
is($rule->{reasons}{rule_denied}, $want{rule_denied}, 'a section: refused by reason');
is($rule->{refused}, List::Util::sum(values %{ $rule->{reasons} }), 'and in all');
is("@$rule{qw(engine state vhost)}", 'On ok gw.test', 'its engine, state and virtual host');
cmp_ok(abs($rule->{last_refusal} - time), '<', 600, 'its last refusal');
my ($shadow) = section($j, '<Location /shadow>');
is($shadow->{engine}, 'Shadow', 'a section in Shadow');
is($shadow->{refused}, 0, 'refuses nothing');
is($shadow->{shadow_denials}, $j->{shadow_denials}, 'and says what it would');
is(scalar(section($j, '<Location /url>')), $idp ? 1 : 0, 'a section that nobody met is there as well');
is((section($j, '<Location /dead>'))[0]{state}, 'keys_unavailable', 'one without keys says so') if $idp;
is(List::Util::sum(map { $_->{passed} + List::Util::sum(0, values %{ $_->{reasons} }) } @{ $j->{sections} }), $j->{requests}, 'the sections add up to the whole')
    or diag(map { "$_->{section}: $_->{passed}, " . JSON::PP->new->canonical->encode($_->{reasons}) . "\n" } @{ $j->{sections} });

# --- recent refusals, and one by its id ---

my $mine = $t->get('/rule', token => good(role => 'no', client_id => 'caller<1>'));
my $id = $mine->header('X-Ca-Request-Id');
$t->let_finish;
my ($first) = json()->{recent}[0];
is_deeply([ @$first{qw(id reason rule client)} ], [ $id, 'rule_denied', 'only "ok" <b>', 'caller<1>' ], 'the newest refusal comes first') or diag explain $first;
like($first->{section}, qr/\A<Location \/rule> /, 'with its section');
like($first->{detail}, qr/denied by rule/, 'and its sentence');
for my $format (qw(json html prometheus)) {
    my $r = $t->get("/status?format=$format&id=$id");
    is($r->status, 200, "$format: found by its id");
    like($r->body, $format eq 'html' ? qr/caller&lt;1&gt;/ : qr/\Q$id\E/, "$format: with what is known");
    unlike($r->body, qr/caller<1>/, "$format: escaped") if $format eq 'html';
    $r = $t->get("/status?format=$format&id=nobody-has-this");
    is($r->status, 404, "$format: an id that nobody has");
    is($r->header('Content-Type'), $t->get("/status?format=$format")->header('Content-Type'), "$format: in the format asked for");
}
is($t->get("/status" . '?id=' . $id =~ s/@/%40/gr)->status, 200, 'an id as a browser writes it');
my $sections = prometheus(page('prometheus')->body);
is(metric($sections, 'm2mgw_section_decisions_total', section => $rule->{section}, reason => 'rule_denied', decision => 'deny'), $want{rule_denied} + 1, 'Prometheus: a section');
$want{rule_denied}++;

$r = page('prometheus');
is($r->header('Content-Type'), 'text/plain; version=0.0.4; charset=utf-8', 'Prometheus: content type');
is($r->header('Cache-Control'), 'no-store', 'Prometheus: not to be kept');
my $m = eval { prometheus($r->body) };
ok($m, 'Prometheus: valid') or diag($@, $r->body);
$j = json();
is(metric($m, 'm2mgw_decisions_total', reason => $_), $j->{decisions}{$_}, "Prometheus: $_") for keys %want, 'typ_mismatch';
is(metric($m, 'm2mgw_decisions_total', decision => 'allow'), $j->{passed}, 'Prometheus: passed');
is(metric($m, 'm2mgw_shadow_denials_total'), $j->{shadow_denials}, 'Prometheus: Shadow');
is(metric($m, 'm2mgw_rule_decisions_total', rule => 'only "ok" <b>', action => 'deny'), $want{rule_denied}, 'Prometheus: a rule');
is(metric($m, 'm2mgw_cache_hits_total'), $j->{cache}{hits}, 'Prometheus: cache');
is(metric($m, 'm2mgw_replay_replayed_total'), 3, 'Prometheus: replay');
is(metric($m, 'm2mgw_key_info', kid => 'OCT', kty => 'oct'), 1, 'Prometheus: a key');
is(metric($m, 'm2mgw_key_source_state', source => "$t->{root}/oct.json", state => 'ok'), 1, 'Prometheus: a source');
is(metric($m, 'm2mgw_key_source_state', source => "$t->{root}/oct.json", state => 'broken'), 0, 'Prometheus: in one state only');
my ($sum) = map { $_->[2] } grep { $_->[0] =~ /_sum/ } @{ $m->{m2mgw_verification_seconds}{list} };
cmp_ok(abs($sum - $j->{verification}{microseconds} / 1e6), '<', 1e-3, 'Prometheus: seconds');

$r = page(undef);
is($r->header('Content-Type'), 'text/html; charset=utf-8', 'HTML: content type');
like($r->header('Content-Security-Policy') // '', qr/default-src 'none'/, 'HTML: nothing is loaded');
my $html = $r->body;
is(page('html')->status, 200, 'HTML: by name, too');
for my $tag (qw(html head body table tbody thead tr th td h1 h2 p ul li div b span meter)) {
    my ($open, $close) = (scalar(() = $html =~ /<$tag\b/g), scalar(() = $html =~ m{</$tag>}g));
    is($open, $close, "HTML: every $tag is closed ($open)");
}
unlike($html, qr/<script|<b>"|ok" <b>/, 'HTML: names are escaped');
like($html, qr/only &quot;ok&quot; &lt;b&gt;/, 'HTML: and there');
like($html, qr{<th scope="row">token_missing</th><td class="n">$want{token_missing}</td>}, 'HTML: a reason with its count');
unlike($html, qr{<th scope="row">(?:typ_mismatch|never)</th>}, 'HTML: rows of zeros are left out');
like($html, qr/Never occurred: [^<]*typ_mismatch/, 'HTML: but named');
cmp_ok(index($html, 'Refused, and why'), '<', index($html, 'Keys in use'), 'HTML: refusals come first');
my @order = $html =~ m{<th scope="row">(token_missing|rule_denied|expired|kid_unknown)</th>}g;
is($order[0], 'token_missing', 'HTML: the most frequent reason on top');
if ($idp) {
    like($html, qr{class="attention">.*127\.0\.0\.1:9/jwks\?\.\.\.</b> are <span class="bad">unavailable}s, 'HTML: a source that is down is told at once');
    like($html, qr{<b>1</b> request ended with <b>keys_unavailable}, 'HTML: and what came of it');
}

# --- what it must not say ---

my $evil = good(role => 'EVILCLAIM', sub => 'EVILSUB');
$t->get('/x/EVILPATH?EVILQUERY=1', token => $evil, headers => [ 'User-Agent' => 'EVILAGENT', 'X-Evil' => 'EVILHEADER' ], host => 'evilhost.example');
for my $format (undef, qw(html json prometheus), '%3Cscript%3EEVILFORMAT', '"><script>EVILFORMAT') {
    my $name = $format // 'default';
    my $r = page($format, headers => [ 'User-Agent' => 'EVILAGENT' ], host => 'evilhost.example', token => $evil);
    unlike($r->body, qr/evil(?!kid)/i, "$name: nothing a client sent");
    unlike($r->body =~ s/kid is \\?(?:"|&quot;|&#34;)EVILKID\\?(?:"|&quot;|&#34;), which is not//gr, qr/EVILKID/,
        "$name: no kid of a token but in the detail of its own mismatch");
    my @bad = grep { index($r->body, $_) >= 0 } $oct{k}, $inline{k}, 'PASSWORDINQUERY', map { (split /\./)[1, 2] } grep { tr/.// == 2 && length > 60 } minted();
    is_deeply(\@bad, [], "$name: no secret, no token");
    unlike($r->body, qr/"(?:k|d|p|q|dp|dq|qi|n|e|x|y)"\s*:/, "$name: no part of a key");
}

# --- requests ---

for my $bad ('xml', '', 'JSON', 'json%00', 'json/', 'json&format=nonsense') {
    my $r = page($bad);
    is($r->status, 400, "format=$bad is refused");
    is($r->header('Cache-Control'), 'no-store', "format=$bad: not to be kept");
}
is($t->get('/status?_=1&format=json&x')->header('Content-Type'), 'application/json', 'other parameters do not matter');
for my $format (undef, qw(json prometheus)) {
    my $r = page($format, method => 'HEAD');
    is($r->status, 200, 'HEAD');
    is($r->body, '', 'HEAD: without a body');
}
for my $method (qw(POST PUT DELETE PATCH OPTIONS)) {
    my $r = $t->request($method, '/status', $method =~ /P/ ? (body => 'a=1') : ());
    is($r->status, 405, "$method is not allowed");
    my @allowed = grep { $_ ne 'TRACE' } sort split /,\s*/, $r->header('Allow') // ''; # TRACE: httpd's own, by default
    is("@allowed", 'GET HEAD', "$method: what is allowed is told");
}
is($t->get('/locked?format=json')->status, 401, 'a page that is protected by the module');
is($t->get('/locked?format=json', token => good())->status, 200, 'with a token');
$r = $t->get('/locked?access_token=' . good(client_id => 'c') . '&format=json');
is($r->status, 200, 'a token in the query');
is($r->header('Content-Type'), 'application/json', 'does not hide the format, nor do claims');
is($t->get('/locked?format=json', token => 'x.y.z')->status, 401, 'with a bad token');

# --- changes ---

$t->file('oct.json', '{"keys": rubbish');
$t->expect_log(qr/oct\.json/);
$t->everywhere('a broken file shows, with its fault', sub { grep { $_->{state} eq 'broken' && $_->{fault} } @{ json()->{sources} } });
($k) = keys_named(json(), 'OCT');
is($k->{state}, 'broken', 'its keys say so');
like(page(undef)->body, qr{class="attention">.*oct\.json</b> are <span class="bad">broken}s, 'HTML: it is told at once');
ok(eval { prometheus(page('prometheus')->body) }, 'Prometheus: still valid') or diag $@;
$t->file('oct.json', jwks_json(\%oct, jwk('p384', kid => 'NEW')));
$t->everywhere('a new key shows', sub { 1 == (() = keys_named(json(), 'NEW')) });

if ($idp) {
    $idp->down;
    my $stale;
    M2MGW::Test::before_long(sub { ($stale) = grep { $_->{source} eq $aging && $_->{state} eq 'stale' && $_->{age} >= 2 } @{ json()->{sources} } });
    is_deeply([@{ $stale // {} }{qw(keys usable)}], [1, 1], 'a source that goes stale shows, and is used');
    cmp_ok($stale->{age}, '>=', 2, 'its age');
    ok($stale->{fault} && $stale->{failures}, 'why');
    is((keys_named(json(), 'AGING'))[0]{state}, 'stale', 'its keys say so');
    like(page(undef)->body, qr{class="attention">.*/aging</b> are <span class="warn">stale}s, 'HTML: it is told at once');
    is(metric(prometheus(page('prometheus')->body), 'm2mgw_key_source_state', source => $aging, state => 'stale'), 1, 'Prometheus: likewise');
}

# --- restarts, and a large configuration ---

$t->let_finish;
my $before = json();
my ($before_rule) = section($before, '<Location /rule>');
my $N = 1000;
my $large = "# another line in front of all\n" . $config . join '', map { "<Location /large/$_>\nM2MParameter role Token:role\nM2MRule r$_ \"\$role = 'ok'\" ifFalse=DENY\n"
    . ($_ % 2 ? "M2MJwks file:\@ROOT\@/oct.json\n" : "M2MJwk kty=oct k=$inline{k} kid=I$_\n") . "</Location>\n" } 1 .. $N;
$t->write_config($large);
ok($t->reload, "a graceful restart with $N sections");
M2MGW::Test::before_long(sub { keys_named(json(), 'I2') });
$j = json();
cmp_ok($j->{requests}, '>=', $before->{requests}, 'counting went on');
is($j->{since}, $start->{since}, 'since the same time');
is((section($j, '<Location /rule>'))[0]{reasons}{rule_denied}, $before_rule->{reasons}{rule_denied}, 'a section has its figures, wherever it stands now');
cmp_ok(scalar @{ $j->{recent} }, '>=', scalar @{ $before->{recent} }, 'and recent refusals are still there');
is((grep { $_->{rule} eq 'only "ok" <b>' } @{ $j->{rules} })[0]{deny}, $want{rule_denied}, 'and a rule');
is($t->get("/large/7", token => good(role => 'no'))->status, 403, 'a rule among many');
$t->let_finish;
$j = json();
my ($seven) = grep { $_->{rule} eq 'r7' } @{ $j->{rules} };
is($seven->{deny}, 1, 'is counted');
is(scalar(grep { $_->{rule} =~ /\Ar\d+\z/ } @{ $j->{rules} }), $N, 'JSON has all');
($k) = keys_named($j, 'OCT');
is($k->{sections}, $N / 2 + 1, 'a key that many sections use is one row');
for my $format (qw(html json prometheus)) {
    my $since = time;
    my $r = page($format);
    my $took = time - $since;
    is($r->status, 200, "$format of $N sections");
    cmp_ok(length $r->body, '<', $format eq 'html' ? 120_000 : 2_000_000, "$format: size " . length $r->body);
    cmp_ok($took, '<', 20, sprintf '%s: %.0f ms', $format, $took * 1000);
}
ok(eval { prometheus(page('prometheus')->body) }, 'Prometheus: valid') or diag $@;
like(page('html')->body, qr{>r7</th>}, 'HTML: the rule that refuses is on the page');
like(page('html')->body, qr{Rules that decided nothing: \d+ of \d{4}}, 'HTML: the others are a number');
$t->finish;
