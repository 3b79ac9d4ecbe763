# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# Tokens and keys for the suites, good and bad, made without any code of the module under
# test: HMAC by Digest::SHA, the rest by the openssl program. Header and payload are given as
# Perl data or as raw text, so that any malformed token can be made; every token that was made
# is remembered, so that a suite can look for it where it must not be.
package M2MGW::Token;

use strict;
use warnings;
use Digest::SHA qw(hmac_sha256 hmac_sha384 hmac_sha512 sha256);
use Exporter 'import';
use File::Path ();
use File::Temp ();
use JSON::PP ();
use MIME::Base64 qw(decode_base64 encode_base64);

our @EXPORT = qw(b64 unb64 mint mint_raw key jwk jwk_json jwks_json minted now pem der);

my $json = JSON::PP->new->latin1->canonical;
my (%key, %cache, @minted);

sub now { time }
sub minted { @minted }

sub b64 {
    my ($bytes) = @_;
    (my $t = encode_base64($bytes, '')) =~ tr{+/=}{-_}d;
    return $t;
}

sub unb64 {
    my ($t) = @_;
    $t =~ tr{-_}{+/};
    return decode_base64($t);
}

my %GEN = (
    rsa => [qw(genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048)],
    rsa3072 => [qw(genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072)],
    rsa4096 => [qw(genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:4096)],
    rsa1024 => [qw(genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024)],
    p256 => [qw(genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256)],
    p384 => [qw(genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384)],
    p521 => [qw(genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-521)],
    k256 => [qw(genpkey -algorithm EC -pkeyopt ec_paramgen_curve:secp256k1)],
    ed25519 => [qw(genpkey -algorithm ED25519)],
    ed448 => [qw(genpkey -algorithm ED448)],
);

sub store {
    # kept over runs where there is a build of our own; a name in /tmp could be anybody's
    $ENV{M2MGW_KEYS} ||= $ENV{M2MGW_BUILD} ? "$ENV{M2MGW_BUILD}/t/keys"
        : File::Temp::tempdir('m2mgw-test-keys-XXXXXX', TMPDIR => 1, CLEANUP => 1);
    File::Path::make_path($ENV{M2MGW_KEYS}, { mode => 0700 }) if !-d $ENV{M2MGW_KEYS};
    return $ENV{M2MGW_KEYS};
}

sub openssl {
    my ($in, @args) = @_;
    my $tmp = File::Temp->new;
    binmode $tmp;
    print {$tmp} $in // '';
    close $tmp;
    my $quoted = join ' ', map { s/'/'\\''/gr =~ s/(.*)/'$1'/sr } @args;
    my $out = `openssl $quoted <$tmp 2>/dev/null`;
    die "openssl @args failed" if $?;
    return $out;
}

# A key by name: "rsa", "rsa#2" (another of the kind), "oct" (or oct48, oct64, oct16).
sub key {
    my ($name) = @_;
    return $key{$name} //= do {
        (my $kind = $name) =~ s/#.*//;
        my $file = store() . "/$name.key";
        make($kind, $file) if !-s $file;
        open my $fh, '<:raw', $file or die "$file: $!";
        local $/;
        { name => $name, kind => $kind, file => $file, text => scalar <$fh> };
    };
}

sub make {
    my ($kind, $file) = @_;
    my $text;
    if ($kind =~ /\Aoct(\d*)\z/) {
        open my $fh, '<:raw', '/dev/urandom' or die $!;
        # HMAC fills a key up with NULs: one that ends in a NUL is also the key without it
        do { read $fh, $text, $1 || 32 } while $text =~ /\0\z/;
    }
    else {
        $text = openssl('', @{ $GEN{$kind} or die "no key kind $kind" });
    }
    my $tmp = "$file.$$";
    my $mask = umask 0077;
    open my $fh, '>:raw', $tmp or die "$tmp: $!";
    print {$fh} $text;
    close $fh;
    umask $mask;
    link $tmp, $file;
    unlink $tmp;
}

sub pem { $key{"pem $_[0]"} //= openssl(key($_[0])->{text}, 'pkey', '-pubout') }
sub der { $key{"der $_[0]"} //= openssl(key($_[0])->{text}, 'pkey', '-pubout', '-outform', 'DER') }

my %CURVE = (p256 => ['P-256', 32], p384 => ['P-384', 48], p521 => ['P-521', 66],
             k256 => ['secp256k1', 32]);

# The public JWK of a key (of an oct key: the secret) as a hash; further members override,
# and one that is undef is left out.
sub jwk {
    my ($name, %more) = @_;
    my $k = key($name);
    my %j = %{ $k->{jwk} //= bare_jwk($k) };
    @j{ keys %more } = values %more;
    delete @j{ grep { !defined $j{$_} } keys %j };
    return \%j;
}

sub bare_jwk {
    my ($k) = @_;
    return { kty => 'oct', k => b64($k->{text}) } if $k->{kind} =~ /\Aoct/;
    my $der = der($k->{name});
    if ($k->{kind} =~ /\Arsa/) {
        my $hex = openssl($k->{text}, qw(rsa -noout -modulus));
        $hex =~ s/.*=//s;
        $hex =~ s/\s+//g;
        return { kty => 'RSA', n => b64(pack 'H*', $hex), e => 'AQAB' };
    }
    if (my $c = $CURVE{ $k->{kind} }) {
        my ($crv, $n) = @$c;
        return { kty => 'EC', crv => $crv, x => b64(substr $der, -2 * $n, $n),
                 y => b64(substr $der, -$n) };
    }
    my ($crv, $n) = $k->{kind} eq 'ed448' ? ('Ed448', 57) : ('Ed25519', 32);
    return { kty => 'OKP', crv => $crv, x => b64(substr $der, -$n) };
}

sub jwk_json { $json->encode(jwk(@_)) }
sub jwks_json { $json->encode({ keys => [@_] }) }

my %HASH = (256 => \&hmac_sha256, 384 => \&hmac_sha384, 512 => \&hmac_sha512);

# Signature of input with the key by the algorithm; an alg may be asked of any key.
sub sign {
    my ($alg, $k, $input) = @_;
    my ($family, $bits) = $alg =~ /\A(HS|RS|PS|ES)(256|384|512)\z/ ? ($1, $2) : ($alg, 0);
    return $HASH{$bits}->($input, ref $k ? $k->{text} : $k) if $family eq 'HS';
    my @dgst = ('dgst', "-sha$bits", '-binary', '-sign', $k->{file});
    return openssl($input, @dgst) if $family eq 'RS';
    return openssl($input, @dgst, qw(-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:-1))
        if $family eq 'PS';
    return der_to_raw(openssl($input, @dgst), $CURVE{ $k->{kind} }[1]) if $family eq 'ES';
    my $tmp = File::Temp->new;
    binmode $tmp;
    print {$tmp} $input;
    close $tmp;
    return openssl('', qw(pkeyutl -sign -rawin -in), "$tmp", '-inkey', $k->{file})
        if $alg =~ /\AEd(?:DSA|25519|448)\z/;
    die "no way to sign $alg";
}

sub der_to_raw {
    my ($der, $n) = @_;
    my $at = ord(substr $der, 1, 1) & 0x80 ? 3 : 2;
    my $out = '';
    for (1, 2) {
        my $len = ord substr $der, $at + 1, 1;
        my $int = substr $der, $at + 2, $len;
        $int =~ s/\A\0+//;
        $out .= ("\0" x ($n - length $int)) . $int;
        $at += 2 + $len;
    }
    return $out;
}

my %DEFAULT = (rsa => 'RS256', p256 => 'ES256', p384 => 'ES384', p521 => 'ES512',
               k256 => 'ES256', ed25519 => 'EdDSA', ed448 => 'EdDSA', oct => 'HS256',
               rsa1024 => 'RS256', rsa3072 => 'RS384', rsa4096 => 'RS512', oct16 => 'HS256', oct48 => 'HS384', oct64 => 'HS512');

# mint(KEY, { claims }, { header members }): a token signed by the key's usual algorithm, with
# alg in the header unless given; exp an hour ahead unless given. A value undef leaves the
# member out; claims or header as plain text are taken as they are.
sub mint {
    my ($name, $claims, $header, %o) = @_;
    my $k = key($name);
    my $alg = $o{alg} // (ref $header ? $header->{alg} : undef) // $DEFAULT{ $k->{kind} };
    my $sign = $o{sign} // $alg;
    my %h = (alg => $alg, typ => 'JWT', ref $header ? %$header : ());
    delete @h{ grep { !defined $h{$_} } keys %h };
    my $htext = defined $header && !ref $header ? $header : $json->encode(\%h);
    my %c = (exp => time + 3600, ref $claims ? %$claims : ());
    delete @c{ grep { !defined $c{$_} } keys %c };
    my $ctext = defined $claims && !ref $claims ? $claims : $json->encode(\%c);
    return mint_raw($sign, $o{secret} // $k, $htext, $ctext);
}

# mint_raw(ALG, KEY or secret bytes, header text, payload text): nothing is added.
sub mint_raw {
    my ($alg, $k, $htext, $ctext) = @_;
    my $input = b64($htext) . '.' . b64($ctext);
    my $id = join "\0", $alg, ref $k ? $k->{name} : $k, $input;
    my $t = $cache{$id} //= "$input." . b64(sign($alg, $k, $input));
    push @minted, $t;
    return $t;
}

1;
