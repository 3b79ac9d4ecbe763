#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# An option, NAME=VALUE or a word, stands in a directive once. Each line below is good; with any
# one of its options doubled, `httpd -t` refuses it and names the option. Which options there
# are is taken from docs/directives.md, so that a new one without a line here fails.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use M2MGW::Test;

my $OCT = 'k' x 43;
my %FILES = (
    'rsa.json' => jwks_json(jwk('rsa', kid => 'R1')), 'rsa.pem' => pem('rsa'),
    'ca.pem' => M2MGW::Token::openssl('', qw(req -x509 -new -days 30 -subj /CN=ca -key), key('p256')->{file}), 'key.pem' => key('p256')->{text}, 'nonce.key' => 'n' x 32, 'secret' => 'x',
    'list.txt' => "# empty\n", 'set.txt' => "a\n",
    'api.json' => '{"openapi":"3.1.0","info":{"title":"t","version":"1"},"servers":[{"url":"/api"}],'
        . '"components":{"securitySchemes":{"o":{"type":"http","scheme":"bearer"}}},"security":[{"o":[]}],'
        . '"paths":{"/a":{"get":{"operationId":"a","responses":{}}}}}',
);

# [ directive, its arguments, where ]: section (default), server, issuer
my $keys = "M2MJwks file:\@ROOT\@/rsa.json\n";
my $redis = 'user=u password-file=@ROOT@/secret tls=On ca=@ROOT@/ca.pem cert=@ROOT@/ca.pem key=@ROOT@/key.pem prefix=p timeout=1s';
my @lines = (
    ['M2MJwk', "kty=oct k=$OCT kid=K1 alg=HS256 issuer=https://i.test"],
    ['M2MJwk', 'pem:@ROOT@/rsa.pem kid=K1 alg=RS256 issuer=https://i.test'],
    ['M2MJwks', 'file:@ROOT@/rsa.json issuer=https://i.test'],
    ['M2MJwks', 'http://keys.test/jwks issuer=https://i.test plain-http=Allow'],
    ['M2MIssuerDiscovery', 'http://keys.test/i plain-http=Allow'],
    ['M2MJwksRefresh', 'ttl=60 max-stale=600 timeout=5 cooldown=60'],
    ['M2MJwksTLS', 'ca=@ROOT@/ca.pem cert=@ROOT@/ca.pem key=@ROOT@/key.pem proxy=http://proxy.test:3128 no-proxy=idp.test', 'server'],
    (map { ( [$_, 'shm entries=100', 'server'], [$_, 'memcache:127.0.0.1:1 prefix=p timeout=1s', 'server'],
             [$_, "redis:127.0.0.1:1 $redis db=1 wait=1", 'server'],
             [$_, "redis-sentinel:m\@127.0.0.1:1 sentinel-user=u sentinel-password-file=\@ROOT\@/secret $redis", 'server'] ) }
       qw(M2MReplayStore M2MDPoPStore)),
    ['M2MAssertionStore', 'shm entries=100', 'issuer'],
    ['M2MRevocation', 'file:@ROOT@/list.txt max-stale=60'],
    ['M2MRevocation', 'http://127.0.0.1:1/list max-stale=60 ttl=10'],
    ['M2MRevocation', "redis:127.0.0.1:1 $redis db=1 max-stale=60"],
    ['M2MDPoP', 'algs=ES256 window=30 nonce=On'],
    ['M2MClientCertificate', 'header:Client-Cert from=127.0.0.1 verified'],
    ['M2MClaim', 'sub header:X-Sub encoding=base64url'],
    ['M2MDataset', 'd file:@ROOT@/set.txt max-stale=60 ttl=5', 'server'],
    ['M2MRule', 'r "1 = 1" ifTrue=DENY ifFalse=ALLOW statusCode=404 errorMessage=m responseBody=b shadow'],
    ['M2MOpenAPI', '@ROOT@/api.json base=/x scheme=o unknown=Deny'],
    ['M2MOperation', 'GET /x/a scope=s scope=t name=a'],
    ['M2MOperation', 'GET /x/a name=a public'],
    ['M2MLimit', 'l * 10/1s burst=5 when="1 = 1" shadow'],
    ['M2MLimit', 'l CaAppId 10/1s null=pass special=a:5/1s special=b:5/1s'],
    ['M2MLimitStore', 'shm entries=100', 'server'],
    ['M2MLimitStore', "redis:127.0.0.1:1 nodes=2 lease=50ms entries=100 $redis db=1", 'server'],
    ['M2MVerifyCache', 'entries=10', 'server'],
    ['M2MDecisionLog', 'logs/d.log what=all format=text', 'server'],
    ['M2MSigningKey', key('p256')->{file} . ' kid=K1 alg=ES256', 'issuer'],
    ['M2MClientCert', 'app x5t=bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg0', 'issuer'],
);
my %repeated = ('M2MOperation scope' => 1, 'M2MLimit special' => 1);
# what httpd itself says where a directive takes one word
my %one_word = map { $_ => 1 } qw(M2MVerifyCache M2MClientCert);

sub try {
    my ($line, $where) = @_;
    my $config = $where eq 'section' ? "<Location /x>\n" . ($line =~ /^M2MJwk|^M2MIssuerD/m ? '' : $keys) . "$line\n</Location>\n" : "$line\n";
    return try_config($config, files => \%FILES, issuer => $where eq 'issuer');
}

# The line in which one option stands twice, the second in capitals; members of a JWK have none.
sub doubled {
    my ($words, $option) = @_;
    my ($all) = $words =~ /(?:^| )(\Q$option\E=(?:"[^"]*"|\S+))/ or die $option;
    my ($name, $value) = split /=/, $all, 2;
    return "$words " . ($words =~ /\bkty=/ && $name ne 'issuer' ? $name : uc $name) . "=$value";
}

my %covered;
for (@lines) {
    my ($directive, $words, $where) = (@$_, 'section');
    my ($status, $said) = try("$directive $words", $where);
    # nothing answers at that port, but what is written is good
    ok($status == 0 || $said =~ /127\.0\.0\.1:1\b.*(?:refused|cannot|connect)/s, "good: $directive $words") or diag($said);
    for my $flag ($words =~ /(?<= )(shadow|verified|public)(?= |$)/g) {
        $covered{"$directive $flag"} = 1;
        ($status, $said) = try("$directive $words \U$flag", $where);
        ok($status != 0, "$directive: $flag twice is refused");
        like($said, qr/^$directive\b.*\b$flag is given twice/m, "$directive: and is named: $flag");
    }
    my %options = map { $_ => 1 } $words =~ /(?:^| )([A-Za-z][\w-]*)=/g;
    for my $option (sort keys %options) {
        $covered{"$directive $option"} = 1;
        next if $repeated{"$directive $option"};
        ($status, $said) = try("$directive " . doubled($words, $option), $where);
        ok($status != 0, "$directive: $option= twice is refused") or diag($said);
        like($said, $one_word{$directive} ? qr/$directive\b.*takes/ : qr/^$directive\b.*\b$option=? is given twice|^$directive\b.*\b$option appears twice/m, "$directive: and is named: $option=");
    }
}

# --- which options there are ---

my $docs = slurp("$FindBin::Bin/../docs/directives.md");
my %documented;
while ($docs =~ /^## (M2M\w+)\n\n((?:    .*\n)+)/mg) {
    my ($directive, $usage) = ($1, $2);
    $documented{"$directive $_"} = 1 for $usage =~ /(?<![\w"])([A-Za-z][\w-]*)=/g, grep { $_ ne 'options' } $usage =~ /\[([a-z]+)\]/g;
}
delete @documented{'M2MJwk NAME', grep { /M2MClientCert s/ } keys %documented};
cmp_ok(scalar keys %documented, '>', 40, 'the docs have options');
is(join(', ', grep { !$covered{$_} } sort keys %documented), '', 'every documented option was doubled');
done_testing();
