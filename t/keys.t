#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# Which key verifies which token: choosing by kid, without one and with several; every way to
# write a key down; and the keys that stop httpd -t with a sentence.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP ();
use M2MGW::Test;

my $json = JSON::PP->new->latin1->canonical;
# a section for each set of keys
my %set = (
    named => [ jwk('rsa', kid => 'A') ],
    unnamed => [ jwk('rsa') ],
    two => [ jwk('rsa', kid => 'A'), jwk('rsa#2', kid => 'B') ],
    both => [ jwk('rsa', kid => 'A'), jwk('rsa#2') ],
    kinds => [ jwk('rsa'), jwk('p256', kid => 'E'), jwk('oct', kid => 'O') ],
    noname => [ jwk('rsa'), jwk('p256') ],
    curves => [ jwk('p256', kid => 'A'), jwk('p384', kid => 'B'), jwk('p521', kid => 'C') ],
    empty => [ jwk('rsa', kid => '') ],
    extra => [ jwk('rsa', kid => 'A', use => 'sig', key_ops => ['verify'], x5t => 'abc', ext => JSON::PP::true(), alg => 'RS256'),
               jwk('rsa#2', kid => 'enc', use => 'enc'), { kty => 'XYZ', kid => 'x' }, jwk('k256', kid => 'k') ],
);
my %file = map { ("$_.json" => jwks_json(@{ $set{$_} })) } keys %set;
$file{'single.json'} = jwk_json('rsa', kid => 'A');
my $words = join ' ', map { "$_->[0]=$_->[1]" } map { my $j = jwk('rsa', kid => 'W', alg => 'RS256'); map { [ $_, $j->{$_} ] } sort keys %$j } 1;
my $ecwords = join ' ', map { my $j = jwk('p256', kid => 'EW'); map { "$_=$j->{$_}" } sort keys %$j } 1;
my $inline = jwk_json('rsa', kid => 'I');
my $inlineset = jwks_json(jwk('rsa', kid => 'A'), jwk('rsa#2', kid => 'B'));

my $t = M2MGW::Test->start(files => \%file, config => join('', map { "<Location /$_>\nM2MJwks file:\@ROOT\@/$_.json\n</Location>\n" } sort keys %set) . <<"CONF");
<Location /single>
    M2MJwks file:single.json
</Location>
<Location /words>
    M2MJwk $words
    M2MJwk $ecwords
</Location>
<Location /quotedwords>
    M2MJwk "$words"
</Location>
<Location /inline>
    M2MJwk '$inline'
</Location>
<Location /inlineset>
    M2MJwks '$inlineset'
</Location>
<Location /sum>
    M2MJwk '$inline'
    M2MJwks file:\@ROOT\@/two.json
</Location>
ProxyPass / http://\@BACKEND\@/
CONF

sub ask { my ($where, $key, $kid, %o) = @_; $t->get("/$where", token => mint($key, {}, { kid => $kid, %{ $o{h} // {} } })) }
my @table = (
    # section, key that signs, kid of the token, what happens
    [ 'named', 'rsa', 'A', 'ok' ], [ 'named', 'rsa', undef, 'ok' ], [ 'named', 'rsa', 'B', 'kid_unknown' ],
    [ 'named', 'rsa', 'a', 'kid_unknown' ], [ 'named', 'rsa#2', 'A', 'signature_invalid' ],
    [ 'named', 'rsa#2', undef, 'signature_invalid' ],
    [ 'unnamed', 'rsa', undef, 'ok' ], [ 'unnamed', 'rsa', 'anything', 'ok' ], [ 'unnamed', 'rsa#2', 'x', 'signature_invalid' ],
    [ 'two', 'rsa', 'A', 'ok' ], [ 'two', 'rsa#2', 'B', 'ok' ], [ 'two', 'rsa', 'B', 'signature_invalid' ],
    [ 'two', 'rsa', 'C', 'kid_unknown' ], [ 'two', 'rsa', undef, 'ok' ], [ 'two', 'rsa#3', undef, 'signature_invalid' ],
    [ 'both', 'rsa', 'A', 'ok' ], [ 'both', 'rsa#2', 'X', 'ok' ], [ 'both', 'rsa', 'X', 'signature_invalid' ],
    [ 'both', 'rsa', undef, 'ok' ], [ 'both', 'rsa#3', undef, 'signature_invalid' ],
    [ 'kinds', 'rsa', undef, 'ok' ], [ 'kinds', 'p256', undef, 'ok' ], [ 'kinds', 'oct', undef, 'ok' ], [ 'kinds', 'p256', 'E', 'ok' ],
    [ 'kinds', 'p256', 'O', 'alg_not_allowed' ], [ 'kinds', 'rsa', 'nobody', 'ok' ], [ 'kinds', 'p256', 'nobody', 'alg_not_allowed' ],
    [ 'noname', 'rsa', undef, 'ok' ], [ 'noname', 'p256', undef, 'ok' ], [ 'noname', 'rsa', 'x', 'kid_unknown' ],
    [ 'curves', 'p256', undef, 'ok' ], [ 'curves', 'p384', undef, 'ok' ], [ 'curves', 'p521', undef, 'ok' ],
    [ 'curves', 'p256', 'B', 'alg_not_allowed' ],
    [ 'empty', 'rsa', undef, 'ok' ], [ 'empty', 'rsa', 'x', 'ok' ],
    [ 'extra', 'rsa', 'A', 'ok' ], [ 'extra', 'rsa', undef, 'ok' ], [ 'extra', 'rsa#2', 'enc', 'kid_unknown' ],
    [ 'extra', 'k256', 'k', 'kid_unknown' ],
    [ 'single', 'rsa', 'A', 'ok' ], [ 'words', 'rsa', 'W', 'ok' ], [ 'words', 'p256', 'EW', 'ok' ], [ 'quotedwords', 'rsa', undef, 'ok' ],
    [ 'inline', 'rsa', 'I', 'ok' ], [ 'inlineset', 'rsa', 'A', 'ok' ], [ 'inlineset', 'rsa#2', 'B', 'ok' ],
    [ 'sum', 'rsa', 'I', 'ok' ], [ 'sum', 'rsa', 'A', 'ok' ], [ 'sum', 'rsa#2', 'B', 'ok' ], [ 'sum', 'rsa', 'C', 'kid_unknown' ],
);
for my $row (@table) {
    my ($where, $key, $kid, $want) = @$row;
    my $r = ask($where, $key, $kid);
    my $name = "/$where, signed by $key, kid " . ($kid // 'none');
    if ($want eq 'ok') { passes($r, $name); next }
    ok($r->status == 401 && !$r->reached && $r->reason =~ /\A(?:$want)\z/, "denies $want: $name")
        or diag(M2MGW::Test::describe($r));
}
denies(ask('extra', 'rsa', 'A', h => { alg => 'RS384' }), 401, 'alg_not_allowed', 'the alg of a JWK narrows it');
is(ask('two', 'rsa', 'C')->header('Retry-After'), undef, 'an unknown kid of a file asks nobody to try again');

# thumbprint-sized kids, kids with odd characters
my @odd = ('a b', "\xc3\xa4", '"quoted"', '../x', 'x' x 300, '%41', '0', 'null', '{}');
my $o = M2MGW::Test->start(files => { 'odd.json' => jwks_json(map { jwk('rsa', kid => $_) } @odd) },
                           config => "M2MJwks file:odd.json\nProxyPass / http://\@BACKEND\@/\n");
passes($o->get('/', token => mint('rsa', {}, { kid => $_ })), 'a kid with odd characters: ' . substr $_, 0, 20) for @odd;
denies($o->get('/', token => mint('rsa', {}, { kid => 'A' })), 401, 'kid_unknown', '%41 is not A');
$o->finish(more => 1);

# --- keys that stop the start ---

sub private { my ($name, $member, $value) = @_; jwk_json($name, $member => $value) }
my $rsa = jwk('rsa', kid => 'K9');
my @bad = (
    [ 'RSA 1024', jwk_json('rsa1024', kid => 'K9'), qr/2048/ ],
    [ 'a private RSA key', jwk_json('rsa', kid => 'K9', d => b64('x' x 256)), qr/private/i ],
    [ 'a private EC key', jwk_json('p256', kid => 'K9', d => b64('x' x 32)), qr/private/i ],
    [ 'a private OKP key', jwk_json('ed25519', kid => 'K9', d => b64('x' x 32)), qr/private/i ],
    [ 'oct of 128 bits', jwk_json('oct16', kid => 'K9'), qr/256/ ],
    [ 'oct too short for its alg', jwk_json('oct', kid => 'K9', alg => 'HS512'), qr/HS512/ ],
    [ 'no kty', $json->encode({ kid => 'K9', n => 'x', e => 'AQAB' }), qr/neither a key/ ],
    [ 'no n', jwk_json('rsa', kid => 'K9', n => undef), qr/\bn\b/ ], [ 'no e', jwk_json('rsa', kid => 'K9', e => undef), qr/\be\b/ ],
    [ 'no x', jwk_json('p256', kid => 'K9', x => undef), qr/\bx\b/ ], [ 'no crv', jwk_json('p256', kid => 'K9', crv => undef), qr/crv/ ],
    [ 'no k', jwk_json('oct', kid => 'K9', k => undef), qr/\bk\b/ ],
    [ 'x of another point', jwk_json('p256', kid => 'K9', x => jwk('p256#2')->{x}), qr/K9/ ],
    [ 'x too short', jwk_json('p256', kid => 'K9', x => b64('x' x 31)), qr/32/ ],
    [ 'x = y = 0', jwk_json('p256', kid => 'K9', x => b64("\0" x 32), y => b64("\0" x 32)), qr/K9/ ],
    [ 'Ed25519 of 31 bytes', jwk_json('ed25519', kid => 'K9', x => b64('x' x 31)), qr/32/ ],
    [ 'n a number', jwk_json('rsa', kid => 'K9', n => 5), qr/\bn\b/ ], [ 'e = 1', jwk_json('rsa', kid => 'K9', e => 'AQ'), qr/exponent|K9/ ],
    [ 'e even', jwk_json('rsa', kid => 'K9', e => 'Ag'), qr/exponent|K9/ ], [ 'e empty', jwk_json('rsa', kid => 'K9', e => ''), qr/K9/ ],
    [ 'alg of another family', jwk_json('rsa', kid => 'K9', alg => 'ES256'), qr/ES256/ ],
    [ 'alg none', jwk_json('rsa', kid => 'K9', alg => 'none'), qr/none|usable/ ],
    [ 'kid a number', jwk_json('rsa', kid => 9), qr/kid/ ], [ 'key_ops without verify', jwk_json('rsa', kid => 'K9', key_ops => ['encrypt']), qr/K9|usable/ ],
    [ 'only an encryption key', jwk_json('rsa', kid => 'K9', use => 'enc'), qr/no usable key/ ],
    [ 'only an unknown kty', '{"kty":"XYZ","kid":"K9"}', qr/no usable key/ ], [ 'only an unknown curve', jwk_json('k256', kid => 'K9'), qr/no usable key/ ],
    [ 'an empty set', '{"keys":[]}', qr/no usable key/ ], [ 'keys no array', '{"keys":{}}', qr/keys/ ], [ 'an empty object', '{}', qr/k\.json/ ],
    [ 'no JSON', 'nonsense', qr/k\.json/ ], [ 'an empty file', '', qr/k\.json/ ], [ 'an array', '[]', qr/k\.json/ ], [ 'HTML', '<html></html>', qr/k\.json/ ],
    [ 'duplicate kids', jwks_json(jwk('rsa', kid => 'K9'), jwk('rsa#2', kid => 'K9')), qr/K9/ ],
    [ 'a duplicate member', '{"kty":"oct","kid":"K9","k":"' . b64('x' x 32) . '","k":"' . b64('y' x 32) . '"}', qr/k\.json/ ],
    [ 'one bad key among good ones', jwks_json(jwk('rsa', kid => 'A'), jwk('rsa1024', kid => 'K9')), qr/K9/ ],
    [ 'two keys without a kid, one of them bad', jwks_json(jwk('rsa'), jwk('oct16')), qr/256/ ],
);
for my $c (@bad) {
    my ($what, $text, $re) = @$c;
    my ($status, $out) = try_config("<Location /x>\n    M2MJwks file:k.json\n</Location>\n", files => { 'k.json' => $text });
    ok($status == 1 && $out =~ $re && $out =~ /M2MJwks/ && $out =~ /k\.json/, "httpd -t refuses: $what") or diag("status $status: $out");
}
for my $c ([ 'a missing file', 'M2MJwks file:missing.json', qr/missing\.json/ ], [ 'a directory', 'M2MJwks file:@ROOT@/htdocs', qr/htdocs/ ],
           [ 'http off loopback', 'M2MJwks http://keys.example/jwks', qr/https|loopback/ ], [ 'another scheme', 'M2MJwks ftp://x/', qr/M2MJwks/ ],
           [ 'words without value', 'M2MJwk kty=RSA n', qr/M2MJwk/ ], [ 'a word twice', 'M2MJwk kty=oct k=a k=b', qr/M2MJwk/ ],
           [ 'a private key in words', "M2MJwk $words d=AQAB", qr/private/i ],
           [ 'two inline keys of one kid', "M2MJwk '$inline'\nM2MJwk '" . jwk_json('rsa#2', kid => 'I') . "'", qr/\bI\b/ ]) {
    my ($status, $out) = try_config("<Location /x>\n$c->[1]\n</Location>\n");
    ok($status == 1 && $out =~ $c->[2], "httpd -t refuses: $c->[0]") or diag("status $status: $out");
}
my ($status, $out) = try_config("<Location /x>\n    M2MJwks file:k.json\n</Location>\n",
                                files => { 'k.json' => jwks_json(jwk('rsa', kid => 'A'), jwk('rsa#2', kid => 'B', use => 'enc')) });
is($status, 0, 'control: an encryption key beside a good one') or diag($out);
unlike($out, qr/\Q$rsa->{n}\E/, 'and no key material in messages');
$t->finish;
