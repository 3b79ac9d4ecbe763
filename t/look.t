#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# Names that some backend takes for one that a rule reads or that a token stands under: such a
# rule has no answer, and such a token is one too many. What nobody takes for it is nothing to
# either. The spellings are those of t/vectors/names.txt, by which names are taken out, too.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use M2MGW::Names;
use M2MGW::Test;

my $rules = join '', map { <<"CONF" } [ 'query', 'Query' ], [ 'form', 'Form' ], [ 'cookie', 'Cookie' ], [ 'anywhere', 'Parameter' ], [ 'first', 'Query' ];
<Location /$_->[0]>
    M2MJwks file:\@ROOT\@/k.json
    M2MParameter id $_->[1]:client_id
    M2MRule id "\$id = null or \$id = 'mine'" ifFalse=DENY
    @{[ $_->[0] eq 'first' ? 'M2MDuplicateParameter First' : '' ]}
</Location>
CONF
my $tokens = join '', map { <<"CONF" } qw(query form cookie);
<Location /token/$_>
    M2MJwks file:\@ROOT\@/k.json
    M2MToken header:Authorization $_:client_id
    M2MBypassEmptyToken On
</Location>
CONF
my $t = M2MGW::Test->start(files => { 'k.json' => jwk_json('oct') }, config => <<"CONF");
ProxyPass / http://\@BACKEND\@/
<Location /header>
    M2MJwks file:\@ROOT\@/k.json
    M2MParameter id Header:X-Client-Id
    M2MRule id "\$id = null or \$id = 'mine'" ifFalse=DENY
</Location>
<Location /token/header>
    M2MJwks file:\@ROOT\@/k.json
    M2MToken header:Authorization header:X-Client-Id
    M2MBypassEmptyToken On
</Location>
$rules$tokens
CONF

my $token = mint('oct', { sub => 'a' });
my @auth = (Authorization => "Bearer $token");
my @form = ('Content-Type' => 'application/x-www-form-urlencoded');
# how a name and its value are sent to each place
my %send = (
    query => sub { my ($url, $name, $value, @h) = @_; $t->get("$url/x?a=1&$name=$value", headers => \@h) },
    form => sub { my ($url, $name, $value, @h) = @_; $t->post("$url/x", "a=1&$name=$value", headers => [ @h, @form ]) },
    cookie => sub { my ($url, $name, $value, @h) = @_; $t->get("$url/x", headers => [ @h, Cookie => "a=1; $name=$value" ]) },
);
my %like = (query => 'form', form => 'form', cookie => 'cookie');

for my $place (sort keys %send) {
    for my $where ($place, $place eq 'cookie' ? () : 'anywhere', $place eq 'query' ? 'first' : ()) {
        for my $name (M2MGW::Names::alike($like{$place})) {
            my $r = $send{$place}->("/$where", $name, 'mine', @auth);
            # decoded it is the name itself, letter by letter
            my $exact = $name =~ s/%([0-9A-Fa-f]{2})/chr hex $1/ger eq 'client_id' && ($place ne 'cookie' || $name !~ /%/);
            if ($exact) { passes($r, "$where: $place $name is the name") }
            else { denies($r, 403, 'rule_error', "$where: $place $name could be the name") }
        }
        for my $name (M2MGW::Names::others($like{$place})) {
            passes($send{$place}->("/$where", $name, 'theirs', @auth), "$where: $place $name is another name");
        }
    }
    for my $name (M2MGW::Names::alike($like{$place})) {
        denies($send{$place}->("/token/$place", $name, 'x.y.z', @auth), 400, 'token_multiple', "token: $place $name beside the one in the header");
        my $alone = $send{$place}->("/token/$place", $name, 'x.y.z');
        ok(!$alone->reached && $alone->reason =~ /^token_(?:multiple|malformed)$/, "token: $place $name alone") or diag(M2MGW::Test::describe($alone));
    }
    for my $name (M2MGW::Names::others($like{$place})) {
        passes($send{$place}->("/token/$place", $name, 'x.y.z', @auth), "token: $place $name is none");
    }
}
for my $name (M2MGW::Names::header_names()) {
    my $r = $t->get('/header/x', headers => [ @auth, $name => 'mine' ]);
    if (lc $name eq 'x-client-id') { passes($r, "header $name is the name") }
    else { denies($r, 403, 'rule_error', "header $name could be the name") }
    denies($t->get('/token/header/x', headers => [ @auth, $name => $token ]), 400, 'token_multiple', "token: header $name beside Authorization");
}
$t->expect_log(qr/\[m2mgw:(?:warn|notice)\]/);
$t->finish;
