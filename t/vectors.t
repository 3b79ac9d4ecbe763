#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# Replays a corpus of other projects' tokens, when M2MGW_VECTORS names one: a file of JSON
# lines with token, jwk or jwks (key_text where the bytes matter), expect (accept, reject,
# either), time (ignore, enforce), and optionally authorization. Passes without.
#
# A key set that this module does not take is refused at httpd -t, and then all of its tokens
# count as refused: no case that is to be rejected is ever accepted, and what is to be accepted
# is, unless its key is refused, or several keys could have signed a token without a kid. A token
# that is bound to its owner's key or certificate is refused without them, which those who checked
# the signature alone did not look at: it has to pass under M2MSenderConstraint Off.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Digest::SHA qw(sha256_hex);
use JSON::PP ();
use M2MGW::Test;

my $corpus = $ENV{M2MGW_VECTORS};
plan(skip_all => 'M2MGW_VECTORS names no corpus') if !$corpus;
$corpus .= '/published.jsonl' if -d $corpus;

my $json = JSON::PP->new->utf8->canonical;
my (%file, %section, @case);
for my $line (split /\n/, slurp($corpus)) {
    my $c = $json->decode($line);
    my $text = defined $c->{key_text} ? $json->encode([ $c->{key_text} ]) =~ s/\A\["|"\]\z//gr : undef;
    my $bytes = defined $c->{key_text} ? do { my $t = $c->{key_text}; utf8::encode($t); $t } : $json->encode($c->{jwks} // $c->{jwk});
    my $id = substr sha256_hex($bytes), 0, 12;
    my $enforce = ($c->{time} // '') eq 'enforce';
    my $path = "/v/$id" . ($enforce ? 'e' : 'i');
    $file{"keys/$id.json"} = $bytes;
    $section{$path} = [ $id, $enforce ? 'Off' : 'On' ];
    my ($claims) = map { eval { $json->decode(unb64($_)) } } (split /\./, $c->{token})[1] // '';
    if (ref $claims eq 'HASH' && $claims->{cnf}) { $section{"${path}b"} = [ $id, $enforce ? 'Off' : 'On', "M2MSenderConstraint Off\n" ] }
    push @case, { %$c, bound => exists $section{"${path}b"}, enforce => $enforce, path => $path, id => $c->{id}, keys => $c->{jwks} ? $c->{jwks}{keys} // [] : [ $c->{jwk} ] };
}
# one section after the other that httpd -t refuses is left closed
my %refused;
sub config {
    join '', "LimitRequestFieldSize 262144\nLimitRequestLine 262144\nProxyPass /v http://\@BACKEND\@/v\n", map {
        my ($id, $ignore, $more) = (@{ $section{$_} }, '');
        $refused{$id} ? "<Location $_>\nRequire all denied\n</Location>\n"
            : "<Location $_>\nM2MJwks file:\@ROOT\@/keys/$id.json\nM2MToken header:Authorization query:access_token\nM2MIgnoreExpiration $ignore\n$more</Location>\n"
    } sort keys %section;
}
while (1) {
    my ($status, $out) = try_config(config(), files => \%file);
    last if !$status;
    my ($id) = $out =~ m{keys/(\w+)\.json} or BAIL_OUT("httpd -t: $out");
    last if $refused{$id}++;
}
note(scalar(keys %refused) . ' of ' . keys(%file) . ' key files are refused at httpd -t');
my $t = M2MGW::Test->start(files => \%file, config => config(), loglevel => 'info m2mgw:info');

$t->expect_log(qr{M2MSenderConstraint Off});
my (%count, @wrong);
for my $c (@case) {
    my ($id) = @{ $section{ $c->{path} } };
    my $auth = exists $c->{authorization} ? $c->{authorization} : 'Bearer {token}';
    my @auth = map { my $v = $_; $v =~ s/\{token\}/$c->{token}/g; utf8::encode($v) if $v =~ /[^\0-\xff]/; $v } ref $auth ? @$auth : $auth // ();
    next if grep { /[\r\n\0]/ } @auth; # no field value of HTTP
    my $r = $t->get($c->{path}, headers => [ map { (Authorization => $_) } @auth ]);
    if ($c->{bound} && $c->{expect} eq 'accept') {
        $count{'accept refused without its owner'}++;
        push @wrong, 'bound, and ' . $r->status . ": $c->{id}" if $r->reached || $r->reason !~ /\A(?:proof_missing|cert_mismatch)\z/;
        $r = $t->get("$c->{path}b", headers => [ map { (Authorization => $_) } @auth ]);
    }
    my $passed = $r->status == 200 && $r->reached == 1;
    $count{ $c->{expect} . ($passed ? ' passed' : ' refused') }++;
    my $untold = ($r->reason eq 'kid_unknown' || $r->reason eq 'alg_not_allowed') && @{ $c->{keys} } > 1;
    my $excused = $refused{$id} || $untold || ($c->{enforce} && ($c->{exp} // 9e15) < time);
    push @wrong, "accepted: $c->{id}: $c->{why}" if $c->{expect} eq 'reject' && $r->reached;
    push @wrong, "refused (" . $r->reason . "): $c->{id}: $c->{why}" if $c->{expect} eq 'accept' && !$passed && !$excused;
    push @wrong, "status " . $r->status . ": $c->{id}" if $r->status !~ /\A(?:200|400|401|403|413|414|431)\z/;
}
note("$_: $count{$_}") for sort keys %count;
is(join("\n", @wrong), '', scalar(@case) . ' cases');
cmp_ok($count{'accept passed'} // 0, '>', 0, 'control: some pass');
$t->finish;
