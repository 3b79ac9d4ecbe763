#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# The key decides which algorithms exist: every algorithm passes with its key, and every known
# way to make a verifier use another one, or another key, is refused for its own reason.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use M2MGW::Test;

my @kind = qw(rsa p256 p384 p521 ed25519 ed448 oct oct48 oct64);
my %file = map { ("$_.json" => jwk_json($_, kid => "K-$_")) } @kind;
$file{'rsapem.pem'} = pem('rsa');
$file{'pinned.json'} = jwk_json('rsa', alg => 'PS384', kid => 'K');
$file{'nokid.json'} = jwk_json('rsa');
$file{'all.json'} = jwks_json(map { jwk($_, kid => "K-$_") } qw(rsa p256 ed25519));
$file{'mixed.json'} = jwks_json(jwk('rsa', kid => 'K-rsa'), jwk('oct', kid => 'K-oct'));
my $locations = join '', map { "<Location /$_>\n  M2MJwks file:\@ROOT\@/$_.json\n</Location>\n" }
    @kind, qw(pinned nokid all mixed);

my $t = M2MGW::Test->start(files => \%file, config => $locations . <<'CONF');
ProxyPass / http://@BACKEND@/
<Location /narrow>
    M2MJwks file:@ROOT@/rsa.json
    M2MAlgorithms RS256 PS512
</Location>
<Location /types>
    M2MJwks file:@ROOT@/oct.json
    M2MTokenType at+jwt
</Location>
CONF

# --- what each key can do, and nothing else ---

my %can = (
    rsa => [qw(RS256 RS384 RS512 PS256 PS384 PS512)], p256 => ['ES256'], p384 => ['ES384'],
    p521 => ['ES512'], ed25519 => ['EdDSA'], ed448 => ['EdDSA'], oct => ['HS256'],
    oct48 => [qw(HS256 HS384)], oct64 => [qw(HS256 HS384 HS512)],
);
my @algs = qw(RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA HS256 HS384 HS512);
for my $k (@kind) {
    my %able = map { $_ => 1 } @{ $can{$k} };
    for my $alg (@algs) {
        if ($able{$alg}) {
            passes($t->get("/$k", token => mint($k, { sub => 'a' }, { alg => $alg })), "$alg with $k");
            next;
        }
        # the header names an algorithm the key cannot do; the signature is one it can
        my $liar = mint($k, { sub => 'a' }, { alg => $alg }, sign => $can{$k}[0]);
        denies($t->get("/$k", token => $liar), 401, 'alg_not_allowed', "$alg named with $k");
    }
}
passes($t->get('/narrow', token => mint('rsa', {}, { alg => $_ })), "narrowed to $_")
    for qw(RS256 PS512);
denies($t->get('/narrow', token => mint('rsa', {}, { alg => $_ })), 401, 'alg_not_allowed',
       "$_ outside M2MAlgorithms") for qw(RS384 RS512 PS256 PS384);
passes($t->get('/pinned', token => mint('rsa', {}, { alg => 'PS384' })), 'the alg of the JWK');
denies($t->get('/pinned', token => mint('rsa', {}, { alg => 'RS256' })), 401, 'alg_not_allowed',
       'another alg than the JWK names');

# --- the algorithm "none" ---

my $exp = time + 3600;
my $claims = qq({"sub":"admin","exp":$exp});
my $sig = (split /\./, mint('rsa', $claims))[2];
for my $alg ('none', 'None', 'NONE', 'nOnE', 'nonE', 'none ', ' none', '\u006eone', '',
             'NULL', 'plain', 'HS0', 'RS', 'RS256 ', ' RS256', 'rs256', 'Rs256', 'RS2566', 'RS25',
             'RS256,none', 'ES256K', 'RSA-OAEP', 'A128GCM', 'dir', 'HS1', 'MD5',
             'SHA256', 'ES512K', 'Ed25519', 'eddsa', 'EDDSA', '*', '../RS256') {
    my $h = b64(qq({"alg":"$alg"})) . '.' . b64($claims);
    denies($t->get('/rsa', token => "$h.$sig"), 401, 'alg_not_allowed', "alg \"$alg\"");
    denies($t->get('/rsa', token => "$h."), 401, 'token_malformed', "alg \"$alg\", no signature");
    $t->secret("$h");
}
denies($t->get('/rsa', token => b64(qq({"alg":"$_\\u0000"})) . '.' . b64($claims) . ".$sig"), 401, 'token_malformed',
       "alg \"$_\" and a NUL") for qw(none RS256);
denies($t->get('/nokid', token => b64('{"alg":"none"}') . '.' . b64($claims) . '.' . b64('x')), 401,
       'alg_not_allowed', 'none with one byte for a signature');

# --- HMAC keyed with something public ---

my $jwk = jwk('rsa', kid => 'K-rsa');
my %public = (
    'PEM' => pem('rsa'), 'PEM without the last newline' => pem('rsa') =~ s/\n\z//r,
    'PEM with CRLF' => pem('rsa') =~ s/\n/\r\n/gr, 'DER' => der('rsa'),
    'JWK text' => jwk_json('rsa', kid => 'K-rsa'), 'n as text' => $jwk->{n},
    'n as bytes' => unb64($jwk->{n}), 'the kid' => 'K-rsa', 'AQAB' => 'AQAB',
    'an empty secret' => '', 'one NUL' => "\0", '32 NULs' => "\0" x 32,
    'base64 of the DER' => b64(der('rsa')), 'the PEM body alone' => pem('rsa') =~ s/-----.*?-----|\n//gr,
);
for my $what (sort keys %public) {
    for my $alg (qw(HS256 HS384 HS512)) {
        my $token = mint('rsa', $claims, { alg => $alg, kid => 'K-rsa' }, sign => $alg,
                         secret => $public{$what});
        denies($t->get("/$_", token => $token), 401, 'alg_not_allowed', "$alg keyed with $what at /$_")
            for $alg eq 'HS256' ? qw(rsa all mixed) : 'rsa';
    }
}
my $k = jwk('oct', kid => 'K-oct');
for my $what ([ 'the text of k', $k->{k} ], [ 'an empty secret', '' ], [ 'the kid', 'K-oct' ],
              [ 'the wrong key', key('oct#2')->{text} ], [ 'a prefix', substr key('oct')->{text}, 0, 31 ],
              [ 'the key and a NUL', key('oct')->{text} . "\0\1" ]) {
    my $token = mint('oct', $claims, { alg => 'HS256' }, secret => $what->[1]);
    denies($t->get('/oct', token => $token), 401, 'signature_invalid', "HS256 keyed with $what->[0]");
}

# --- keys a token brings along ---

my %evil = (jwk => jwk('rsa#2'), jku => 'http://@BACKEND@/jku', x5u => 'http://@BACKEND@/x5u',
            x5c => [ 'MIIB' ], x5t => 'abcd', 'x5t#S256' => 'abcd');
for my $m (sort keys %evil) {
    my $v = ref $evil{$m} ? $evil{$m} : $t->fill($evil{$m});
    my $token = mint('rsa#2', $claims, { $m => $v });
    denies($t->get('/nokid', token => $token), 401, 'signature_invalid', "signed by the key in $m");
    passes($t->get('/nokid', token => mint('rsa', { sub => 'a' }, { $m => $v })),
           "control: $m is ignored in a good token");
}
denies($t->get('/nokid', token => mint('rsa#2', $claims)), 401, 'signature_invalid', 'a foreign key');
denies($t->get('/p256', token => mint('p256#2', $claims)), 401, 'signature_invalid', 'a foreign EC key');
denies($t->get('/ed25519', token => mint('ed25519#2', $claims)), 401, 'signature_invalid',
       'a foreign Ed25519 key');

# --- the kid as a weapon ---

passes($t->get('/rsa', token => mint('rsa', {}, { kid => 'K-rsa' })), 'control: the right kid');
for my $kid ('../../../../dev/null', '/dev/null', 'K-RSA', 'k-rsa', 'K-rsa ', ' K-rsa', 'K-rs', 'K-rsa2',
             "K-rsa' OR '1'='1", "'; DROP TABLE keys;--", '$(id)', '`id`', '|id', 'http://127.0.0.1/',
             "K-rsa\0", "K-rsa\r\nX-Evil: 1", '%s%s%s%n', 'K-p256', '*', 'a' x 5000, '{"kid":"K-rsa"}') {
    my $r = $t->get('/rsa', token => mint('rsa', $claims, { kid => $kid }));
    my $shown = substr $kid =~ s/[^ -~]/?/gr, 0, 40;
    ok($r->status == 401 && !$r->reached && $r->reason =~ /\A(?:kid_unknown|token_malformed)\z/
           && !defined $r->header('X-Evil'), "denies kid_unknown: kid \"$shown\"")
        or diag(M2MGW::Test::describe($r));
}
denies($t->get('/all', token => mint('rsa', $claims, { kid => 'K-p256' })), 401, 'alg_not_allowed',
       'the kid of a key of another kind');
denies($t->get('/all', token => mint('rsa#2', $claims, { kid => 'K-rsa' })), 401, 'signature_invalid',
       'the kid of another key of the same kind');
passes($t->get('/all', token => mint($_, {}, { kid => "K-$_" })), "control: $_ by kid of a set")
    for qw(rsa p256 ed25519);
passes($t->get('/mixed', token => mint('oct', {}, { kid => 'K-oct' })), 'a set may mix oct and RSA');
denies($t->get('/mixed', token => mint('oct', {}, { kid => 'K-rsa' })), 401, 'alg_not_allowed',
       'HS256 under the kid of the RSA key');

# --- signatures that only look like one ---

my %curve = (p256 => [ 32, 'ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551' ],
             p384 => [ 48, 'ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf'
                           . '581a0db248b0a77aecec196accc52973' ],
             p521 => [ 66, '01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff'
                           . 'a51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409' ]);
for my $c (sort keys %curve) {
    my ($n, $order) = ($curve{$c}[0], pack 'H*', $curve{$c}[1]);
    my ($h, $p, $s) = split /\./, mint($c, $claims);
    my $real = unb64($s);
    my ($r0, $s0) = (substr($real, 0, $n), substr $real, $n);
    my $zero = "\0" x $n;
    my $one = ("\0" x ($n - 1)) . "\1";
    my %bad = (
        'r = s = 0' => $zero . $zero, 'r = 0' => $zero . $s0, 's = 0' => $r0 . $zero,
        'r = s = 1' => $one . $one, 'r = s = n' => $order . $order, 'r = n' => $order . $s0,
        's = n' => $r0 . $order, 'all ones' => "\xff" x (2 * $n), 'one byte' => "\0", 'two bytes' => "\0\0",
        'half' => $r0, 'one byte short' => substr($real, 0, -1), 'one byte long' => "$real\0",
        'a NUL in front' => "\0$real", 'twice' => $real . $real, 'r and s swapped' => $s0 . $r0,
        'DER' => M2MGW::Token::openssl("$h.$p", 'dgst', '-sha' . { 32 => 256, 48 => 384, 66 => 512 }->{$n},
                                       '-binary', '-sign', key($c)->{file}),
        'DER of zeroes' => "\x30\x06\x02\x01\0\x02\x01\0",
    );
    passes($t->get("/$c", token => "$h.$p.$s"), "control: $c");
    for my $what (sort keys %bad) {
        denies($t->get("/$c", token => "$h.$p." . b64($bad{$what})), 401, 'signature_invalid',
               "$c signature: $what");
    }
}
for my $c (qw(rsa ed25519 ed448 oct)) {
    my ($h, $p, $s) = split /\./, mint($c, $claims);
    my $real = unb64($s);
    my %bad = (
        'all zero' => "\0" x length $real, 'all ones' => "\xff" x length $real, 'one byte' => "\0",
        'one byte short' => substr($real, 0, -1), 'one byte long' => "$real\0", 'twice' => $real x 2,
        'a bit flipped at the start' => chr(ord($real) ^ 1) . substr($real, 1),
        'a bit flipped at the end' => substr($real, 0, -1) . chr(ord(substr $real, -1) ^ 1),
        'a NUL in front' => "\0$real", 'the number one' => ("\0" x (length($real) - 1)) . "\1",
    );
    for my $what (sort keys %bad) {
        denies($t->get("/$c", token => "$h.$p." . b64($bad{$what})), 401, 'signature_invalid',
               "$c signature: $what");
    }
    my $changed = b64($claims =~ s/admin/root/r);
    denies($t->get("/$c", token => "$h.$changed.$s"), 401, 'signature_invalid', "$c: changed claims");
    my $header = b64('{"alg":"' . { rsa => 'RS256', oct => 'HS256' }->{$c}
        . '","x":1}') if $c =~ /rsa|oct/;
    denies($t->get("/$c", token => "$header.$p.$s"), 401, 'signature_invalid', "$c: changed header")
        if $header;
}

# --- crit, b64, JWE, typ ---

sub hs { mint('oct', { sub => 'a' }, $_[0]) }
denies($t->get('/oct', token => hs({ crit => $_->[0], exp => 1, 'http://x' => 1 })), 401,
       'crit_unsupported', "crit $_->[1]") for
    [ ['exp'], 'exp' ], [ ['b64'], 'b64' ], [ [], 'empty' ], [ ['http://x'], 'a URI' ], [ 'exp', 'a string' ],
    [ ['alg'], 'a registered name' ], [ {}, 'an object' ], [ 1, 'a number' ];
for my $b64 (JSON::PP::false(), JSON::PP::true(), 'false', 0) {
    denies($t->get('/oct', token => hs({ b64 => $b64 })), 401, 'crit_unsupported', "b64 $b64");
}
denies($t->get('/oct', token => hs({ b64 => JSON::PP::false(), crit => ['b64'] })), 401,
       'crit_unsupported', 'b64 false with crit');
{
    my $h = b64('{"alg":"HS256","b64":false,"crit":["b64"]}');
    my $sig = b64(M2MGW::Token::sign('HS256', key('oct'), "$h.$claims"));
    reached_nothing($t->get('/oct', token => "$h.$claims.$sig"), 'an unencoded payload (RFC 7797)');
}
denies($t->get('/oct', token => mint('oct', {}, { enc => 'A128GCM', alg => 'dir' }, sign => 'HS256')),
       401, 'alg_not_allowed', 'the header of a JWE');
passes($t->get('/types', token => hs({ typ => $_ })), "typ $_")
    for qw(at+jwt AT+JWT At+Jwt application/at+jwt APPLICATION/AT+JWT);
denies($t->get('/types', token => hs({ typ => $_ })), 401, 'typ_mismatch', 'typ ' . ($_ // 'absent'))
    for 'JWT', 'jwt', 'at+jwtx', 'at+jw', '', 'application/', 'application/application/at+jwt', 'text/at+jwt',
        ' at+jwt', 'at+jwt ', undef;
is(scalar(grep { $_->{line} =~ /jku|x5u/ } $t->backend_new), 0, 'nobody fetched a jku or x5u');
$t->finish;
