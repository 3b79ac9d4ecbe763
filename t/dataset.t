#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# Data sets in conditions: values and networks from a file that changes while the server runs; a
# broken one keeps the last good one, and denies behind max-stale.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP ();
use M2MGW::Test;
use Time::HiRes qw(sleep time);

my $t = M2MGW::Test->start(config => <<'CONF', files => {
<Location /value>
    M2MParameter tenant Header:X-Tenant
    M2MRule known "$tenant in dataset tenants" ifFalse=DENY
    ProxyPass http://@BACKEND@/b
</Location>
M2MDataset tenants file:@ROOT@/tenants
M2MDataset networks file:networks max-stale=3
<Location /net>
    M2MParameter ip Header:X-Ip
    M2MRule inside "$ip in_cidr dataset networks" ifFalse=DENY
    ProxyPass http://@BACKEND@/b
</Location>
<Location /yaml>
    M2MPlugin accessControl rules.yaml
    ProxyPass http://@BACKEND@/b
</Location>
<Location /limit>
    M2MParameter tenant Header:X-Tenant
    M2MLimit few tenant 1/31d when="$tenant in dataset tenants"
    ProxyPass http://@BACKEND@/b
</Location>
<Location /status>
    SetHandler m2m-status
</Location>
CONF
    tenants => "# known\nacme\nold 2001-01-01T00:00:00Z\nnew 2999-01-01T00:00:00Z\n", networks => "10.0.0.0/8\n",
    'rules.yaml' => "parameters:\n  tenant: \"Header:X-Tenant\"\nrules:\n- name: known\n  assertParameterName: \"tenant\"\n  assertInDataset: \"tenants\"\n  ifTrue: \"ALLOW\"\n- name: rest\n  condition: \"true = true\"\n  ifTrue: \"DENY\"\n",
});
my $root = $t->{root};
sub tenant { $t->get("/$_[1]/x", headers => [ [ 'X-Tenant' => $_[0] ] ]) }
sub ip { $t->get('/net/x', headers => [ [ 'X-Ip' => $_[0] ] ]) }
sub everywhere { $t->everywhere(@_) }

passes(tenant('acme', 'value'), 'a value of the set');
passes(tenant('new', 'value'), 'one that is there until later');
denies(tenant('old', 'value'), 403, 'rule_denied', 'one whose time is over');
denies(tenant('other', 'value'), 403, 'rule_denied', 'another');
denies(tenant('ACME', 'value'), 403, 'rule_denied', 'in other letters');
denies($t->get('/value/x'), 403, 'rule_denied', 'none, which is null');
passes(ip('10.200.3.4'), 'an address of a network');
denies(ip('11.0.0.1'), 403, 'rule_denied', 'of none');
denies(ip('x'), 403, 'rule_error', 'no address');
passes(tenant('acme', 'yaml'), 'in a script');
denies(tenant('other', 'yaml'), 403, 'rule_denied', 'in a script: another');
passes(tenant('acme', 'limit'), 'in when=');
is(tenant('acme', 'limit')->status, 429, 'which limits it');
passes(tenant('other', 'limit'), 'and nobody else') for 1 .. 2;

open my $out, '>>', "$root/tenants" or die;
print {$out} "other\n";
close $out;
everywhere('a value that is added', sub { tenant('other', 'value')->status == 200 });
passes(tenant('other', 'value'), 'counts in every child') for 1 .. 4;
spew("$root/new", "acme\n");
rename "$root/new", "$root/tenants";
everywhere('a value that is gone', sub { tenant('other', 'value')->status == 403 });
denies(tenant('other', 'value'), 403, 'rule_denied', 'counts in no child') for 1 .. 4;
my ($set) = grep { $_->{source} eq "$root/tenants" } @{ JSON::PP::decode_json($t->get('/status?format=json')->body)->{datasets} };
is_deeply([ @$set{qw(name kind state usable entries)} ], [ 'tenants', 'file', 'ok', 1, 1 ], 'the status page has the set');
like($t->get('/status')->body, qr{<th scope="row">tenants: \Q$root\E/tenants</th>}, 'with its name, for people too');

$t->expect_log(qr{/networks: line 2: behind a value}, qr{/networks: not found good}, qr{/tenants: .*No such file});
spew("$root/networks", "10.0.0.0/8\n11.0.0.0/8 soon\n");
everywhere('a broken set denies behind max-stale', sub { ip('10.200.3.4')->status == 403 });
like($t->error_log, qr/networks: not found good/, 'which is told');
denies(ip('10.200.3.4'), 403, 'rule_error', 'with an error');
spew("$root/networks", "10.0.0.0/8\n");
everywhere('mended', sub { ip('10.200.3.4')->status == 200 });
unlink "$root/tenants";
ok(M2MGW::Test::before_long(sub { $t->error_log =~ m{/tenants: .*No such file} }), 'gone is told');
passes(tenant('acme', 'value'), 'a set that is gone keeps its values');
ok($t->reload, 'over a restart');
passes(tenant('acme', 'value'), 'as well') for 1 .. 4;
denies(tenant('other', 'value'), 403, 'rule_denied', 'and no others');

# --- the tool ---

sub tool { open my $in, '-|', 'sh', '-c', 'exec "$0" "$@" 2>&1', M2MGW::Test::m2mctl(), @_ or die; local $/; my $out = <$in> // ''; close $in; return ($? >> 8, $out) }
spew("$root/tenants", "acme\n");
everywhere('a good set again', sub { tenant('acme', 'value')->status == 200 });
my $command = join ' ', $t->command('-t', '-D', 'DUMP_M2M_JSON'), ">$root/dump.json", "2>$root/dump.err";
system($command) == 0 or diag(slurp("$root/dump.err"));
spew("$root/rules", "M2MParameter tenant Header:X-Tenant\nM2MParameter ip Header:X-Ip\nM2MRule known \"\$tenant in dataset tenants\" ifFalse=DENY\n"
    . "M2MRule inside \"\$ip in_cidr dataset networks\" ifFalse=DENY\n");
spew("$root/other", "other\n");
my @policy = ('explain', '--policy', "$root/dump.json", '--url');
my @files = ('explain', '--rules', "$root/rules", '--url', '/', '--header', 'X-Ip: 10.1.2.3', '--dataset', "networks=$root/networks");
for my $case (
    [ 0, qr/known/, @policy, '/value/x', '--header', 'X-Tenant: acme' ], [ 1, qr/rule_denied/, @policy, '/value/x', '--header', 'X-Tenant: other' ],
    [ 0, qr/known/, @policy, '/value/x', '--header', 'X-Tenant: other', '--dataset', "tenants=$root/other" ],
    [ 0, qr/known/, @policy, '/yaml/x', '--header', 'X-Tenant: acme' ], [ 1, qr/rule_denied/, @policy, '/net/x', '--header', 'X-Ip: 11.0.0.1' ],
    [ 0, qr/inside/, @policy, '/net/x', '--header', 'X-Ip: 10.9.9.9' ],
    [ 0, qr/inside/, @files, '--dataset', "tenants=$root/tenants", '--header', 'X-Tenant: acme' ],
    [ 1, qr/rule_denied/, @files, '--dataset', "tenants=$root/other", '--header', 'X-Tenant: acme' ],
    [ 2, qr/names the data set tenants: give it with --dataset tenants=FILE/, @files, '--header', 'X-Tenant: acme' ],
    [ 2, qr/no condition names a data set nets/, @files, '--dataset', "tenants=$root/other", '--dataset', "nets=$root/other" ],
    [ 2, qr/takes NAME=FILE/, @files, '--dataset', 'tenants' ], [ 2, qr/No such file/, @files, '--dataset', 'tenants=/none' ],
    [ 2, qr/bad:1:/, @files, '--dataset', "tenants=$root/bad" ],
) {
    my ($status, $re, @words) = @$case;
    spew("$root/bad", "a b\n");
    my ($got, $out) = tool(@words);
    ok($got == $status && $out =~ $re, "m2mctl @words[4 .. $#words]") or diag("$got $out");
}
spew("$root/cases.yaml", "cases:\n- name: in\n  request: {method: GET, url: /value/x, headers: {X-Tenant: acme}}\n  expect: {decision: allow}\n"
    . "- name: out\n  request: {method: GET, url: /value/x, headers: {X-Tenant: none}}\n  expect: {decision: deny, rule: known}\n");
my ($got, $told) = tool('test', "$root/dump.json", "$root/cases.yaml");
is($got, 0, 'm2mctl test with the files of a dump') or diag($told);
is((tool('test', "$root/dump.json", "$root/cases.yaml", '--dataset', "tenants=$root/other"))[0], 1, 'or others');
spew("$root/rules", "M2MParameter tenant Header:X-Tenant\nM2MRule known \"\$tenant in dataset tenants\" ifFalse=DENY\n");
($got, $told) = tool('test', "$root/rules", "$root/cases.yaml", '--dataset', "tenants=$root/tenants");
is($got, 0, 'and with files') or diag($told);

my $use = "<Location /x>\nM2MParameter a Header:A\nM2MRule r \"\$a in dataset one\" ifFalse=DENY\n</Location>\n";
for my $case (
    [ "M2MDataset one file:one\n$use", 0, qr/Syntax OK/ ],
    [ "$use<VirtualHost 127.0.0.1:1>\n</VirtualHost>\nM2MDataset one file:one\n", 0, qr/Syntax OK/ ],
    [ "M2MDataset one file:one\n<VirtualHost 127.0.0.1:1>\n$use</VirtualHost>\n", 0, qr/Syntax OK/ ],
    [ "<VirtualHost 127.0.0.1:1>\nM2MDataset one file:one\n</VirtualHost>\n$use", 1, qr/no data set is named one/ ],
    [ $use, 1, qr/line 3 of \S+:\nM2MRule r: column 15: no data set is named one \(M2MDataset\)/ ],
    [ "<Location /x>\nM2MParameter a Header:A\nM2MLimit l a 1/1s when=\"\$a !in dataset one\"\n</Location>\n", 1,
      qr/line 3 of \S+:\nM2MLimit l: column 16: no data set is named one/ ],
    [ "<Location /x>\nM2MPlugin accessControl a.yaml\n</Location>\n", 1,
      qr/line 2 of \S+:\nM2MPlugin: rule vip: no data set is named one/ ],
    [ "M2MDataset one file:one\nM2MDataset one file:one\n", 1, qr/line 2 of .*one is named twice/s ],
    [ "M2MDataset one file:none\n", 1, qr/line 1 of .*M2MDataset one: .*none.*No such file/s ],
    [ "M2MDataset one file:bad\n", 1, qr/line 1 of .*bad: line 1: behind a value/s ],
    [ "M2MDataset one\n", 1, qr/it takes NAME file:PATH/ ],
    [ "M2MDataset a/b file:one\n", 1, qr/the name being letters/ ],
    [ "M2MDataset one redis:x\n", 1, qr/it takes NAME file:PATH or dbd:/ ],
    [ "M2MDataset one dbd:x\n", 1, qr/M2MDataset: it needs mod_dbd, which is not loaded/ ],
    [ "M2MDataset one file:one max-stale=x\n", 1, qr/"max-stale=x" is not allowed; it takes seconds, from 1 to 31536000/ ],
    [ "M2MDataset one file:one ttl=86401\n", 1, qr/"ttl=86401" is not allowed; it takes seconds, from 1 to 86400/ ],
    [ "M2MDataset one file:one max-stale=5\nM2MDataset two file:one max-stale=6\n", 1, qr/named twice with other terms: max-stale=5 ttl=\d+, and max-stale=6/ ],
    [ "M2MDataset one file:nets\n" . ($use =~ s/in dataset/in_cidr dataset/r), 0, qr/looks for networks in the data set one, and 2 of its entries are none: "10\.0\.0\.0\/33"/ ],
    [ "M2MDataset one file:nets\n$use", 0, qr/\A(?!.*looks for networks)/s ],
    [ "<Location /x>\nM2MDataset one file:one\n</Location>\n", 1, qr/M2MDataset/ ],
) {
    my ($config, $status, $re) = @$case;
    my ($got, $out) = try_config($config, files => { one => "a\n", bad => "a b\n", nets => "10.0.0.0/8\n10.0.0.0/33 # oh\nx\nx\n",
        'a.yaml' => "parameters:\n  a: Query:a\nrules:\n- {name: vip, assertParameterName: a, assertInDataset: one, ifFalse: DENY}\n" });
    ok($got == $status && $out =~ $re, 'httpd -t: ' . ($config =~ s/\n/; /gr)) or diag("$got $out");
}
$t->finish;
