# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# What all parts of the benchmark share: where things are, how long a turn takes, keys and tokens
# that are minted once, and an API description of so many operations.
package Bench::Setup;
use strict;
use warnings;
use Exporter 'import';
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Path qw(make_path);
use File::Temp ();
use JSON::PP ();

our @EXPORT = qw(%bench spew slurp tokens description median quartiles commas);

# build: directory; module, issuer: what is measured; before: another module to compare with, or
# undef; rounds, tokens (signed ahead for a turn); root: a directory that goes with the program.
our %bench = (rounds => 4, tokens => 25_000, connections => 16, seconds => 0.6,
              top => dirname(dirname(dirname(dirname(abs_path(__FILE__))))));

sub spew { my ($f, $t) = @_; open my $h, '>', $f or die "$f: $!"; print {$h} $t; close $h }
sub slurp { my ($f) = @_; open my $h, '<', $f or die "$f: $!"; local $/; <$h> }

# what a share of the values is not above; between two of them in proportion
sub quantile {
    my ($share, @values) = @_;
    my @s = sort { $a <=> $b } @values;
    my $at = $share * $#s;
    my $low = int $at;
    return $s[$low] + ($at - $low) * ($s[ $low < $#s ? $low + 1 : $low ] - $s[$low]);
}
sub median { return quantile(0.5, @_) }
sub quartiles { return map { my $share = $_; quantile($share, @_) } 0.25, 0.75 }
sub commas { my ($n) = @_; 1 while $n =~ s/^(-?\d+)(\d{3})/$1,$2/; return $n }

sub setup {
    my ($build) = @_;
    $bench{build} = $build;
    $bench{modules} = (grep { -d } qw(/usr/lib/apache2/modules /usr/lib64/httpd/modules))[0];
    $bench{httpd} = (grep { -x } qw(/usr/sbin/apache2 /usr/sbin/httpd))[0] or die "no httpd\n";
    $bench{module} = (grep { -f } "$build/.libs/mod_m2mgw.so")[0] or die "build first\n";
    $bench{issuer} = "$build/.libs/mod_m2m_issuer.so";
    $bench{pin} = `nproc` > 1;
    $bench{root} = File::Temp::tempdir('m2mgw-bench-XXXXXX', TMPDIR => 1, CLEANUP => 1);
    chmod 0755, $bench{root};
    system('make', '-s', '-C', $build, 'bench/core', 'bench/read') == 0 or die "bench does not build\n";
}

my %minted;

# A directory of keys and tokens (bench/core.c says which files), made at the first call.
sub tokens {
    my ($alg, $keys) = @_;
    return $minted{"$alg $keys"} //= do {
        my $dir = "$bench{root}/tokens-$alg-$keys";
        my $core = "$bench{build}/bench/core";
        make_path($dir);
        print STDERR "# minting $bench{tokens} tokens, $alg, $keys key(s)\n";
        system($core, 'mint', $alg, $bench{tokens}, $dir, $keys) == 0 or die "bench/core failed\n";
        # of the same key: a token that is bound, with a proof for each request
        for my $proofs (grep { /\A(?:ES256|EdDSA)\z/ } $alg) {
            system($core, 'prove', $proofs, $bench{tokens}, $dir, 'http://bench.example/api/index.html') == 0
                or die "bench/core failed\n";
        }
        chmod 0644, glob "$dir/*";
        (my $one = slurp("$dir/tokens")) =~ s/\n.*//s;
        spew("$dir/one", "$one\n");
        $dir;
    };
}

my %described;

# An OpenAPI document of that many operations, and the one that is asked for; a file.
sub description {
    my ($n) = @_;
    return $described{$n} //= do {
        my %paths = ('/index.html' => { get => { operationId => 'index', security => [ { oauth => ['api:read'] } ] } });
        for my $i (1 .. $n / 2) {
            my ($area, $version) = ($i % 100, $i % 7);
            $paths{"/area$area/v$version/orders/{orderId}/items$i"} = {
                get => { operationId => "get$i", security => [ { oauth => ['api:read'] } ] },
                put => { operationId => "put$i", security => [ { oauth => ['api:write'] } ] },
            };
        }
        my $file = "$bench{root}/operations-$n.json";
        spew($file, JSON::PP->new->canonical->encode({
            openapi => '3.0.3', info => { title => 'bench', version => '1' }, servers => [ { url => 'https://bench.example/api' } ],
            paths => \%paths, components => { securitySchemes => { oauth => { type => 'oauth2', flows => { clientCredentials => {
                tokenUrl => 'https://bench.example/token', scopes => { 'api:read' => 'read', 'api:write' => 'write' } } } } } },
        }));
        chmod 0644, $file;
        $file;
    };
}

1;
