#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# What an administrator writes: every directive accepts what it should, refuses the rest with
# a sentence that names the directive, file and line, stands only where it may, and reaches
# the policy that is in force (as `httpd -t -D DUMP_M2M` prints it). A bad case is always one
# word away from a good one.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use M2MGW::Test;

my $OCT = 'k' x 43;    # 32 bytes, as base64url
my $KEY = "M2MJwk kty=oct k=$OCT kid=K1";
my %RSA = %{ jwk('rsa', kid => 'R1') };
my $RSA = jwk_json('rsa', kid => 'R1');
my $JWT = <<"YAML";
parameter: id_token
parameterLocation: query
bypassEmptyToken: true
claimParameters:
- {claimName: client_id, parameterName: cid, location: header}
jwk: {kty: RSA, e: AQAB, kid: P1, n: $RSA{n}}
YAML
my $ACCESS = <<'YAML';
parameters:
  clientId: "Token:client_id"
rules:
- name: fromFile
  condition: "$clientId = 'a'"
  ifFalse: DENY
YAML
my %FILES = (
    'rsa.json' => jwks_json(\%RSA, jwk('p256', kid => 'E1')), 'rsa.pem' => pem('rsa'),
    'single.json' => $RSA, 'empty.json' => '{"keys":[]}', 'broken.json' => "{\n  \"keys\": [",
    'twice.json' => jwks_json(\%RSA, jwk('rsa#2', kid => 'R1')),
    'enc.json' => jwks_json(jwk('rsa', use => 'enc')), 'nul.txt' => 'no key',
    'private.json' => jwks_json(jwk('p256', kid => 'E1', d => jwk('p256')->{x})),
    'jwt.yaml' => $JWT, 'access.yaml' => $ACCESS, 'traffic.yaml' => "unit: DAY\napiDefault: 9\n",
    'jwt.json' => '{"parameter":"t","parameterLocation":"query","jwk":' . $RSA . '}',
    'path.yaml' => $ACCESS =~ s/Token:client_id/path:userId/r,
    'enc.yaml' => $JWT =~ s/jwk: \{/jwk: {use: enc, /r,
    'unknown.yaml' => $JWT . "sigKey: x\n",
    'rule.yaml' => $ACCESS =~ s/= 'a'/= = 'a'/r, 'ca.pem' => pem('rsa'), 'key.pem' => pem('rsa'),
);

sub try { my ($config, @args) = @_; return try_config($config, files => \%FILES, args => \@args) }

# The policies that a configuration makes: { title => [lines] }.
sub policies {
    my ($config) = @_;
    my ($status, $text) = try($config, '-D', 'DUMP_M2M');
    my (%p, $lines);
    for (split /\n/, $text) {
        if (/\A(\S.*) \(\S+, line \d+ of \S+\)\z/ || /\A(M2M, (?:whole server|notices))\z/) { $lines = $p{$1} = [] }
        elsif (/\A    (.*)/ && $lines) { push @$lines, $1 }
        else { undef $lines }
    }
    diag($text) if $status;
    return \%p;
}

# the last line of a text, not too long
sub brief {
    my ($text) = @_;
    $text =~ s/.*\n//s;
    return length $text > 73 ? substr($text, 0, 70) . '...' : $text;
}

sub said {
    my ($lines, $line) = @_;
    return scalar grep { ref $line ? $_ =~ $line : $_ eq $line } @$lines;
}

sub has {
    my ($p, $title, $line, $name) = @_;
    my $lines = $p->{$title} // [];
    ok(said($lines, $line), $name // "$title: $line") or diag(join "\n", "in $title:", @$lines);
}

# The last line of $text is refused inside <Location> (or at server level) with that sentence.
sub refused {
    my ($text, $sentence, %o) = @_;
    my $config = $o{server} ? "$text\n" : "<Location \"/x\">\n$text\n</Location>\n";
    my $line = $o{line} // (() = $text =~ /\n/g) + ($o{server} ? 1 : 2);
    my $at = $o{at} // $text;
    my ($word) = $at =~ /(\w+)[^\n]*\z/;
    $word = $o{directive} if $o{directive};
    my ($status, $out) = try($config);
    my $ok = $status != 0 && $out =~ /line $line of \S*suite\.conf:\n$word\b/ && $out =~ $sentence;
    ok($ok, 'refused: ' . brief($text)) or diag("status $status, want line $line, $word, $sentence:\n$out");
    return $out;
}

# --- every directive: what it takes, and that it arrives ---

# [ lines of a section, a line of the policy ]
my @good = (
    ["M2MEngine on", 'M2MEngine On (without keys, rules or limits: 503)'],
    ["$KEY\nm2mengine OFF", 'M2MEngine Off'],
    ["$KEY\nM2MEngine Shadow", 'M2MEngine Shadow'],
    [$KEY, 'M2MEngine On'],
    [$KEY, 'M2MToken header:Authorization'],
    ["$KEY\nM2MToken query:id_token", 'M2MToken query:id_token'],
    ["$KEY\nM2MToken QUERY:a Header:X-T cookie:c form:f",
     'M2MToken query:a header:X-T cookie:c form:f'],
    ["$KEY\nM2MToken query:a\nM2MToken query:b cookie:a", 'M2MToken query:a query:b cookie:a'],
    [$KEY, 'M2MForwardToken (from a header only)'],
    ["$KEY\nM2MForwardToken On", 'M2MForwardToken On'],
    ["$KEY\nM2MForwardToken oFF", 'M2MForwardToken Off'],
    [$KEY, 'M2MBypassEmptyToken Off'],
    ["$KEY\nM2MBypassEmptyToken On", 'M2MBypassEmptyToken On'],
    [$KEY, 'key kid=K1 kty=oct bits=256 algorithms="HS256"'],
    ["M2MJwk $RSA", qr/^key kid=R1 kty=RSA bits=\d+ algorithms="RS256 .*PS512"$/],
    ["M2MJwk '$RSA'", qr/^key kid=R1 kty=RSA/],
    ['M2MJwk "' . $RSA =~ s/"/\\"/gr . '"', qr/^key kid=R1 kty=RSA/],
    ['M2MJwk ' . jwk_json('rsa', kid => 'a b'), qr/^key kid=a b kty=RSA/],
    ["M2MJwk kty=RSA \"e=AQAB\" n=$RSA{n} alg=PS384", qr/^key kid=- .*="PS384"$/],
    ['M2MJwk pem:@ROOT@/rsa.pem kid=P1 alg=RS256', qr/^key kid=P1 kty=RSA .*="RS256"$/],
    ['M2MJwk PEM:rsa.pem', qr/^key kid=- kty=RSA/],
    ['M2MJwks file:@ROOT@/rsa.json', qr/^key kid=E1 kty=EC bits=256 algorithms="ES256"$/],
    ['M2MJwks FILE:rsa.json', qr/^key kid=R1 kty=RSA/],
    ['M2MJwks "file:single.json"', qr/^key kid=R1 kty=RSA/],
    ["M2MJwks {\"keys\":[$RSA]}", qr/^key kid=R1 kty=RSA/],
    ["M2MJwks '{\"keys\":[$RSA]}'", qr/^key kid=R1 kty=RSA/],
    ["M2MJwks file:single.json\n$KEY", qr/^key kid=R1/],
    ['M2MJwks https://idp.example/keys?a=b', 'keys from https://idp.example/keys?...'],
    map({ ["M2MJwks http://$_/k", "keys from http://$_/k"] } 'localhost:81', 'LOCALHOST', '127.1.2.3', '[::1]:81'),
    ["M2MJwks https://idp.example/keys\nM2MJwks file:single.json\n$KEY", qr/^key kid=R1/],
    ['M2MIssuerDiscovery https://idp.example/x', 'keys from https://idp.example/x'],
    ['M2MIssuerDiscovery https://idp.example/x', 'M2MIssuer https://idp.example/x'],
    ["M2MIssuerDiscovery https://a.example\nM2MIssuerDiscovery https://b.example",
     'M2MIssuer https://a.example https://b.example'],
    ["M2MJwks file:single.json\n$KEY", qr/^key kid=K1/],
    ["M2MIssuer b\nM2MIssuerDiscovery https://a.example", qr{^M2MIssuer b https://a\.example$}],
    ['M2MJwks file:single.json issuer=https://a.example', qr{^keys from \S+single\.json issuer=https://a\.example$}],
    ["M2MJwks file:single.json issuer=a\nM2MJwks file:single.json issuer=b", qr{^M2MIssuer a b$}],
    ["M2MJwk $RSA\nM2MJwks file:single.json", qr/^key kid=R1/],
    ["M2MJwk kty=oct k=$OCT kid=K1 issuer=a", qr/^M2MIssuer a$/],
    ["M2MJwks {\"keys\":[$RSA]} issuer=a", qr/^M2MIssuer a$/],
    ['M2MJwks http://idp.example/k plain-http=Allow', qr{^keys from http://idp\.example/k$}],
    ["$KEY\nM2MScopeClaim permissions /a/b", qr{^M2MScopeClaim permissions /a/b$}],
    ["$KEY\nM2MMaxLifetime 3600", qr/^M2MMaxLifetime 3600$/],
    ["$KEY\nM2MAlgorithms HS256 Ed25519", qr/^M2MAlgorithms Ed25519 HS256$/],
    ["$KEY\nM2MJwk " . jwk_json('rsa', use => 'enc', kid => 'E'), qr/^key kid=K1/],
    ["$KEY\nM2MJwksRefresh ttl=1 max-stale=0 Timeout=300 cooldown=86400",
     'M2MJwksRefresh ttl=1 max-stale=0 timeout=300 cooldown=86400'],
    ["$KEY\nM2MJwksRefresh ttl=7", 'M2MJwksRefresh ttl=7 max-stale=86400 timeout=5 cooldown=60'],
    ["$KEY\nM2MJwksWait 3000", 'M2MJwksWait 3000'],
    ["$KEY\nM2MJwksWait 0", 'M2MJwksWait 0'],
    [$KEY, qr/^M2MAlgorithms RS256 .*EdDSA.* HS512$/],
    ["$KEY\nM2MAlgorithms hs256 EDDSA RS256", 'M2MAlgorithms RS256 EdDSA HS256'],
    [$KEY, qr/^M2MLeeway/],
    ["$KEY\nM2MIssuer https://a \"b c\"", 'M2MIssuer https://a "b c"'],
    ["$KEY\nM2MAudience api 'x'", 'M2MAudience api x'],
    ["$KEY\nM2MAudience \"a\\\"b\" 'c\\'d' \"e'f\" \\\\g \"h\\\\i\" \"j\\k\" l\"m n\\'o",
     'M2MAudience "a\\"b" "c\'d" "e\'f" "\\\\g" "h\\\\i" "j\\\\k" "l\\"m" "n\\\\\'o"', 'httpd\'s quotes'],
    ["$KEY\nM2MTokenType at+jwt JWT", 'M2MTokenType at+jwt JWT'],
    ["$KEY\nM2MRequireClaim realm_access.roles admin \"b c\"\nM2MRequireClaim azp",
     'M2MRequireClaim realm_access.roles'],
    ["$KEY\nM2MRequireClaim azp\nM2MRequireClaim scope a \"b c\"", '  one of a "b c"'],
    [$KEY, 'M2MLeeway 60'],
    ["$KEY\nM2MLeeway 0", 'M2MLeeway 0'],
    ["$KEY\nM2MLeeway 86400", 'M2MLeeway 86400'],
    ["$KEY\nM2MLeeway 5\nM2MLeeway 7", 'M2MLeeway 7', 'the last of two counts'],
    [$KEY, 'M2MMaxAge Off'],
    ["$KEY\nM2MMaxAge 300", 'M2MMaxAge 300'],
    ["$KEY\nM2MMaxAge off", 'M2MMaxAge Off'],
    [$KEY, 'M2MIgnoreExpiration Off'],
    ["$KEY\nM2MIgnoreExpiration On", 'M2MIgnoreExpiration On'],
    [$KEY, 'M2MPreventJtiReplay Off'],
    ["$KEY\nM2MPreventJtiReplay On", 'M2MPreventJtiReplay On'],
    ["$KEY\nM2MPreventJtiReplay OBSERVE", 'M2MPreventJtiReplay Observe'],
    ["$KEY\nM2MClaim scope query:s header:X-Scope\nM2MClaim a.b env:AB", 'M2MClaim scope query:s'],
    ["$KEY\nM2MClaim scope query:s header:X-Scope\nM2MClaim a.b env:AB", 'M2MClaim a.b env:AB'],
    ["$KEY\nM2MClaim scope PATH:p form:f", 'M2MClaim scope path:p'],
    ["M2MParameter c Token:client_id\nM2MRule r \"\$c = 'a'\" ifTrue=ALLOW",
     'M2MRule r ifTrue=ALLOW statusCode=403'],
    ["M2MParameter c token:client_id\nM2MRule r \"\$c = 'a'\" ifTrue=ALLOW",
     'M2MParameter c Token:client_id'],
    ["M2MParameter x XFF:-1\nM2MRule r \"\$x = 'a'\" ifTrue=ALLOW", 'M2MParameter x XFF:-1'],
    ["M2MRule r 1=1 iftrue=allow IFFALSE=Deny statuscode=599",
     'M2MRule r ifTrue=ALLOW ifFalse=DENY statusCode=599'],
    ['M2MRule r 1=1 shadow ifTrue=DENY', 'M2MRule r ifTrue=DENY statusCode=403 shadow'],
    ['M2MRule r 1=1 ifTrue=DENY SHADOW', 'M2MRule r ifTrue=DENY statusCode=403 shadow'],
    ['M2MRule r 1=1 ifTrue=DENY errorMessage="two words" "responseBody=three more words"',
     'M2MRule r ifTrue=DENY statusCode=403 errorMessage=... responseBody=...'],
    ["M2MRule 'a rule' '1 = 1' ifTrue='DENY' 'errorMessage=it\\'s'",
     'M2MRule a rule ifTrue=DENY statusCode=403 errorMessage=...'],
    ["M2MRule r 1=1 ifTrue=DENY\nM2MRuleHeader r X-A \"a %{CaClientIp}\"", qr/^M2MRule r/],
    ["M2MRule r 1=1 ifTrue=DENY\nM2MDefaultAction deny", 'M2MDefaultAction DENY'],
    ["M2MRule r 1=1 ifTrue=DENY", 'M2MDefaultAction ALLOW'],
    ["M2MPath /u/{id}/*\nM2MParameter u Path:id\nM2MRule r \"\$u = 'a'\" ifTrue=ALLOW",
     'M2MParameter u Path:id'],
    ["M2MParameter u Path:id\nM2MRule r \"\$u = 'a'\" ifTrue=ALLOW\nM2MPath '/u/{id}/*'",
     'M2MParameter u Path:id', 'M2MPath may come last'],
    [$KEY, 'M2MPathGuard On'],
    ["$KEY\nM2MPathGuard off", 'M2MPathGuard Off'],
    [$KEY, 'M2MDuplicateParameter Deny'],
    ["M2MLimit l1 * 100/1m burst=20", 'M2MLimit l1 * 100/60s burst=20'],
    ["M2MLimit l2 CaAppId,CaClientIp 5/2h null=deny SHADOW special=x,y:7/1s",
     'M2MLimit l2 CaAppId,CaClientIp 5/7200s burst=5 null=deny shadow'],
    ["M2MLimit l3 CaAppId 5/2h special=x:7/1s", qr/special=x:7\/1s/],
    ["M2MParameter p Query:p\nM2MLimit b p 1/31d when=\"\$p = 'a b'\"", 'M2MLimit b p 1/2678400s burst=1'],
    ["M2MPath /{u}\nM2MParameter u Path:u\nM2MLimit c u 1/1d", 'M2MLimit c u 1/86400s burst=1'],
    ["M2MLimit d * 1/1d\nM2MLimitHeaders Off", 'M2MLimitHeaders Off'],
    ["M2MPlugin trafficControl traffic.yaml", 'M2MLimit traffic.yaml-api * 9/86400s burst=9'],
    ["$KEY\nM2MLimit none", 'M2MLimitHeaders On'],
    ["M2MLimit none", qr/^not in force/],
    ["$KEY\nM2MDuplicateParameter first", 'M2MDuplicateParameter First'],
    [$KEY, 'M2MUserClaim client_id azp sub'],
    ["$KEY\nM2MUserClaim sub", 'M2MUserClaim sub'],
    [$KEY, 'M2MFormLimit 65536'],
    ["$KEY\nM2MFormLimit 1048576", 'M2MFormLimit 1048576'],
    ["$KEY\nM2MRealm \"our API\"", 'M2MRealm "our API"'],
    [$KEY, 'M2MErrorProfile rfc6750'],
    ["$KEY\nM2MErrorProfile GateWay", 'M2MErrorProfile gateway'],
    [$KEY, 'M2MErrorDocuments Static'],
    ["$KEY\nM2MErrorDocuments any", 'M2MErrorDocuments Any'],
    [$KEY, 'M2MTraceParent Off'],
    ["$KEY\nM2MTraceParent generate", 'M2MTraceParent Generate'],
    [$KEY, 'M2MStage RELEASE'],
    ["$KEY\nM2MStage PRE", 'M2MStage PRE'],
    ["$KEY\nM2MApiName orders", 'M2MApiName orders'],
    ['M2MPlugin JWTauth jwt.yaml', qr/^key kid=P1/],
    ['M2MPlugin jwtAuth @ROOT@/jwt.yaml', 'M2MToken query:id_token'],
    ['M2MPlugin jwtAuth jwt.yaml', 'M2MBypassEmptyToken On'],
    ['M2MPlugin jwtAuth jwt.yaml', 'M2MClaim client_id header:cid'],
    ['M2MPlugin jwtAuth jwt.json', 'M2MToken query:t'],
    ['M2MPlugin accessControl access.yaml', 'M2MRule fromFile ifFalse=DENY statusCode=403'],
    ['M2MPlugin accessControl access.yaml', 'M2MDuplicateParameter First'],
    ["M2MPlugin accessControl access.yaml\nM2MDuplicateParameter Deny", 'M2MDuplicateParameter Deny'],
    ["M2MPath /{userId}\nM2MPlugin accessControl path.yaml", 'M2MParameter clientId Path:userId'],
    ["M2MPlugin accessControl path.yaml\nM2MPath /{userId}", 'M2MParameter clientId Path:userId'],
    ["M2MPlugin accessControl access.yaml\nM2MPlugin jwtAuth jwt.yaml\nM2MIssuer i", 'M2MIssuer i'],
);
my $all = join '', map { "<Location \"/g$_\">\n$good[$_][0]\n</Location>\n" } 0 .. $#good;
my $p = policies($all);
has($p, "<Location \"/g$_\">", $good[$_][1], 'taken: ' . ($good[$_][2] // brief($good[$_][0])))
    for 0 .. $#good;

# --- the reference configuration ---

my $reference = slurp("$FindBin::Bin/../conf/m2mgw.conf");
is((try($reference))[0], 0, 'conf/m2mgw.conf is taken as it stands');
like($reference, qr/^# TRACE answers with the request .*^TraceEnable off$/ms, 'and says why TRACE is off');
my @examples = qw(M2MJwk M2MJwks M2MOpenAPI M2MOperation M2MIssuerDiscovery M2MJwksTLS M2MStateDir M2MPlugin M2MIssuerName M2MSigningKey
    M2MClientKeys M2MClientCert M2MIssuerDPoP M2MAssertionStore M2MDPoPNonceKey M2MGrant M2MGrantFile M2MTokenLifetime M2MAllowPlainHTTP
    M2MIssuerEndpoint M2MClientProvider M2MDataset);
my %example = map { $_ => 1 } @examples;
(my $switched_on = $reference) =~ s/^#(M2M\w+)/$example{$1} ? "#$1" : $1/gme;
my $said_all = policies("$switched_on\n$KEY\n");
my $silent = policies("$KEY\n");
my @defaults = grep { !/M2M(?:ForwardToken|Realm|Api|Stage)/ } @{ $silent->{server} // [] };
ok(@defaults > 10, 'defaults are printed');
has($said_all, 'server', $_, "conf/m2mgw.conf has the default: $_") for grep { !/^no rules/ } @defaults;
has($said_all, 'M2M, whole server', $_) for grep { !/StateDir/ } @{ $silent->{'M2M, whole server'} };

# --- what each refuses ---

my ($bad, $said);
my $UNIT = qr/takes a number of seconds from 0 to 86400/;
refused('M2MEngine Maybe', qr/"Maybe" is not allowed; it takes On, Off or Shadow/);
refused('M2MEngine', qr/takes one argument/);
refused('M2MEngine On Off', qr/takes one argument/);
refused('M2MToken body:x', qr/"body:x".*header:NAME.*query:NAME.*cookie:NAME.*form:NAME/);
refused('M2MToken query:', qr/M2MToken: /);
refused('M2MToken', qr/takes one or more of header:NAME/);
refused('M2MToken query:a ""', qr/an empty word is not allowed/);
refused("M2MToken query:a\nM2MToken header:b query:a", qr/"query:a" is named twice/, at => 'M2MToken');
refused('M2MToken header:X-T header:x-t', qr/named twice/);
refused('M2MToken "query:a', qr/the quote " is not closed/);
refused('M2MToken "query:a"query:b', qr/a blank behind the closing quote/);
refused('M2MEngine shadwo', qr/it takes On, Off or Shadow; did you mean Shadow\?/);
refused('M2MJwksRefresh ttk=600', qr/did you mean ttl=\?/, at => 'M2MJwksRefresh');
refused('M2MAlgorithms RS265', qr/did you mean RS256\?/, at => 'M2MAlgorithms');
refused('M2MToken haeder:X', qr/did you mean header:\?/, at => 'M2MToken');
refused('M2MParameter scope Tokn:scope', qr/did you mean Token\?/, at => 'M2MParameter');
refused("M2MParameter scope Token:scope\nM2MRule a \"\$scop = 'x'\" ifFalse=DENY", qr/no parameter is named scop; did you mean scope\?/, at => 'M2MRule');
refused("M2MRule a '1 = 1' iftru=DENY", qr/did you mean ifTrue\?/, at => 'M2MRule');
refused('M2MForwardToken Yes', qr/"Yes" is not allowed; it takes On or Off/);
refused('M2MBypassEmptyToken 1', qr/"1" is not allowed; it takes On or Off/);
refused('M2MJwk', qr/takes one JWK/);
refused('M2MJwk kty=RSA e=AQAB', qr/member n is missing/, at => 'M2MJwk');
refused("M2MJwk kty=RSA e=AQAB n=$RSA{n} n=$RSA{n}", qr/member n appears twice/, at => 'M2MJwk');
refused("M2MJwk kty=RSA e=AQAB n=$RSA{n} isuser=https://idp.example", qr/a key has no member "isuser"/, at => 'M2MJwk');
refused('M2MJwk kty=oct k=c2hvcnQ', qr/oct key needs 256 bits/, at => 'M2MJwk');
refused('M2MJwk kty=RSA e=AQAB n=' . b64("\xc5" . "\x01" x 127), qr/2048/, at => 'M2MJwk');
refused("M2MJwk kty=RSA e=AQAB n=$RSA{n}=", qr/member n is not base64url/, at => 'M2MJwk');
refused('M2MJwk {"kty":"RSA"', qr/bad JSON at 1:\d+/, at => 'M2MJwk');
refused('M2MJwk ' . jwk_json('p256', crv => 'P-384'), qr/M2MJwk: the key cannot be used/, at => 'M2MJwk');
refused('M2MJwk ' . jwk_json('p256', d => jwk('p256')->{x}), qr/private key where a public one/,
        at => 'M2MJwk');
refused('M2MJwk ' . jwk_json('p256', alg => 'RS256'), qr/cannot do its alg RS256/, at => 'M2MJwk');
refused("M2MJwk '{\"kty\":\"RSA\"}' more", qr/nothing may stand behind the JSON/, at => 'M2MJwk');
refused("$KEY\nM2MJwk kty=oct k=" . ('k' x 42 . 'A') . ' kid=K1', qr/two different keys have the kid 'K1'/, at => 'M2MJwk');
refused("M2MJwk kty=RSA e=AQAB n=$RSA{n} use=enc", qr/section has no usable key; the first is left out: its use is not sig$/m, at => 'M2MJwk');
refused('M2MJwk ' . jwk_json('p256', crv => 'secp256k1'), qr/section has no usable key; the first is left out: its curve is not supported$/m, at => 'M2MJwk');
refused("M2MJwk kty=RSA e=AQAB n=$RSA{n} use=enc\nM2MJwk " . jwk_json('p256', crv => 'secp256k1'), qr/left out: its use is not sig$/m,
        line => 2, at => 'M2MJwk');
refused('M2MJwks ' . jwks_json(jwk('rsa', kid => 'a', use => 'enc'), jwk('p256', crv => 'X')),
        qr/the set: it holds no usable key: key 'a': its use is not sig$/m, at => 'M2MJwks');
refused('M2MPlugin jwtAuth enc.yaml', qr/there is no usable key: \S.*: its use is not sig$/m, at => 'M2MPlugin');
refused('M2MJwk pem:none.pem', qr{cannot read /\S+/none\.pem: No such file}, at => 'M2MJwk');
refused('M2MJwk pem:nul.txt', qr/nul\.txt cannot be used: it holds no PEM block/, at => 'M2MJwk');
refused('M2MJwk pem:rsa.pem use=sig', qr/"use=sig" is not allowed; pem:PATH takes kid=KID/, at => 'M2MJwk');
refused('M2MJwk pem:rsa.pem alg=ES256', qr/cannot do its alg ES256/, at => 'M2MJwk');
refused('M2MJwks file:none.json', qr{cannot read /\S+/none\.json: No such file}, at => 'M2MJwks');
refused('M2MJwks file:', qr/"" is not a file name/, at => 'M2MJwks');
refused('M2MJwks file:/', qr/is not a regular file/, at => 'M2MJwks');
refused('M2MJwks file:/dev/zero', qr/is not a regular file/, at => 'M2MJwks');
refused('M2MJwks file:broken.json', qr{broken\.json: bad JSON at 2:\d+}, at => 'M2MJwks');
refused('M2MJwks file:empty.json', qr{empty\.json: it holds no usable key$}m, at => 'M2MJwks');
refused('M2MJwks file:twice.json', qr{twice\.json: .*R1}, at => 'M2MJwks');
refused('M2MJwks file:enc.json', qr{enc\.json: it holds no usable key: key .*: its use is not sig$}m, at => 'M2MJwks');
refused('M2MJwks file:private.json', qr{private\.json: .*E1.*private key}, at => 'M2MJwks');
refused('M2MJwk ' . jwk_json('rsa#2', kid => 'R1') . "\nM2MJwks file:single.json", qr/kid.*R1|R1.*kid/, at => 'M2MJwks');
refused('M2MJwks {"keys":1}', qr/member keys is not a list/, at => 'M2MJwks');
refused('M2MJwks rsa.json', qr{is not allowed; it takes file:PATH, https://URL, or a JSON set}, at => 'M2MJwks');
refused('M2MJwks http://idp.example/k', qr/loopback address only/, at => 'M2MJwks');
refused('M2MJwks http://127.0.0.1.example/k', qr/loopback address only/, at => 'M2MJwks');
refused('M2MJwks http://localhost@idp.example/k', qr/not a usable URL/, at => 'M2MJwks');
refused('M2MJwks https:///k', qr/not a usable URL/, at => 'M2MJwks');
refused("M2MJwks https://idp/k\nM2MJwks https://idp/k", qr/is named twice/, at => 'M2MJwks');
refused("M2MJwks file:single.json\nM2MJwks file:./single.json", qr/single\.json is named twice/, at => 'M2MJwks');
refused("M2MIssuerDiscovery https://a\nM2MIssuerDiscovery https://a", qr/named twice/, at => 'M2MIssuerDiscovery');
refused('M2MIssuerDiscovery https://a/.well-known/openid-configuration', qr{takes the issuer.*"https://a"}, at => 'M2MIssuerDiscovery');
refused("M2MReplayStore shm:$_->[0]", $_->[1], server => 1)
    for [ 'nodir/table', qr{M2MReplayStore: shm:\S+/nodir/table: there is no directory \S+/nodir/} ], [ 'conf', qr{shm:\S+/conf: it is not a regular file} ];
refused('M2MIssuerDiscovery https://a/.well-known/jwks.json', qr{is the URL of a document; it takes the issuer}, at => 'M2MIssuerDiscovery');
refused('M2MIssuerDiscovery https://a/.well-known/oauth-authorization-server/t', qr{takes the issuer.*"https://a/t"}, at => 'M2MIssuerDiscovery');
refused('M2MJwks http://idp.example/k plain-http=Yes', qr/takes plain-http=Allow/, at => 'M2MJwks');
refused('M2MJwks file:single.json plain-http=Allow', qr/is not allowed; it takes issuer=/, at => 'M2MJwks');
refused("M2MJwks file:single.json issuer=a\nM2MJwks file:single.json issuer=a", qr/named twice/, at => 'M2MJwks');
refused("$KEY\nM2MRequireClaim /a~2 b", qr/JSON Pointer/, at => 'M2MRequireClaim');
refused("$KEY\nM2MToken $_", qr/is named twice in this section, or in two spellings/, at => 'M2MToken')
    for 'query:a query:A', 'header:X-T header:x_t', 'form:a.b form:a_b', 'query:a query:a.b', 'cookie:t cookie:T', 'header:X-T header:x-t';
refused("$KEY\nM2MClaim /a~2 header:X-A", qr/JSON Pointer/, at => 'M2MClaim');
refused("$KEY\nM2MParameter a Token:/a~", qr/JSON Pointer/, at => 'M2MParameter');
refused("$KEY\nRequire m2m-claim /a~2 b", qr/Require m2m-claim: "\/a~2" is not a JSON Pointer/, at => 'Require');
unlike(refused('M2MJwks https://user:pass@idp/k', qr/not a usable URL/, at => 'M2MJwks'), qr/pass/, 'no password is printed');
($bad, $said) = try("<Location /a>\nM2MJwks https://idp/k\nM2MJwksRefresh ttl=5\n</Location>\n"
    . "<Location /b>\nM2MJwks https://idp/k\n</Location>\n");
ok($bad && $said =~ /line 6 of \S+\nM2MJwksRefresh: /, 'two policies for one URL') or diag($said);
($bad, $said) = try("M2MJwksRefresh ttl=5\n<Location /a>\nM2MJwks https://idp/k\n</Location>\n"
    . "<Location /b>\nM2MJwks https://idp/k\n</Location>\n");
is($bad, 0, 'one policy for one URL') or diag($said);
refused('M2MIssuerDiscovery ftp://idp', qr/is not an https:/, at => 'M2MIssuerDiscovery');
refused('M2MIssuerDiscovery http://idp.example', qr/loopback address only/, at => 'M2MIssuerDiscovery');
refused('M2MJwksRefresh', qr/one or more of ttl=/);
refused("M2MJwksRefresh $_=60 \U$_\E=70", qr/$_= is given twice/, at => 'M2MJwksRefresh') for qw(ttl max-stale timeout cooldown);
refused('M2MIssuerDiscovery https://idp.example/x?secret', qr/"https:\/\/idp\.example\/x\?\.\.\." has a query, which no issuer has/, at => 'M2MIssuerDiscovery');
refused('M2MJwksRefresh ttl=0', qr/ttl=0 is not allowed; it takes a number of seconds from 1/, at => 'M2MJwksRefresh');
refused('M2MJwksRefresh ttl=600s', qr/ttl=600s is not allowed/, at => 'M2MJwksRefresh');
refused('M2MJwksRefresh 600', qr/"600" is not of the form NAME=VALUE/, at => 'M2MJwksRefresh');
refused('M2MJwksRefresh life=6', qr/no option "life"; there are ttl=/, at => 'M2MJwksRefresh');
refused("M2MJwksWait $_", qr/"\Q$_\E" is not allowed; it takes a number of milliseconds from 0 to 3000/,
        at => 'M2MJwksWait') for qw(3001 -1 1.5 0x10 99999999999999999999);
refused('M2MAlgorithms RS256 none', qr/'none' is not an algorithm; there are: RS256/);
refused('M2MAlgorithms', qr/takes one or more names of algorithms/);
refused("M2MAlgorithms RS256\nM2MAlgorithms ES256", qr/given in this section already/, at => 'M2MAlgorithms');
for my $d (qw(M2MIssuer M2MAudience M2MTokenType M2MUserClaim)) {
    refused($d, qr/0 words are given; it takes one or more words/);
    refused("$d a \"\"", qr/an empty word is not allowed/);
    refused("$d a\n$d b", qr/given in this section already/, at => $d);
    refused("$d 'a", qr/the quote ' is not closed/, at => $d);
}
refused('M2MRequireClaim', qr/takes NAME \[VALUE \.\.\.\]/);
refused('M2MRequireClaim scope ""', qr/an empty word/);
refused("M2MLeeway $_", qr/"\Q$_\E" is not allowed; it $UNIT/, at => 'M2MLeeway') for qw(86401 -1 1s 1e3);
refused('M2MLeeway ""', qr/takes one argument/);
refused('M2MMaxAge 0', qr/"0" is not allowed; it takes a number of seconds from 1 to \d+, or Off/);
refused('M2MMaxAge never', qr/"never" is not allowed/);
refused('M2MIgnoreExpiration perhaps', qr/takes On or Off/);
refused('M2MPreventJtiReplay Always', qr/"Always" is not allowed; it takes On, Off or Observe/);
refused('M2MClaim scope', qr/takes NAME TARGET/);
refused('M2MClaim scope body:x', qr/"body:x" must be query:NAME/);
refused('M2MClaim scope header:Host', qr/"Host" is not a header name a claim may be written to/, at => 'M2MClaim');
refused('M2MClaim scope header:Content-Length', qr/not a header name/, at => 'M2MClaim');
refused('M2MClaim scope path:a/b', qr/path name "a\/b"/, at => 'M2MClaim');
refused("M2MClaim a header:X-A\nM2MClaim b header:x_a", qr/is a target already/, at => 'M2MClaim');
refused("M2MClaim a query:X-A\nM2MClaim b query:x.a", qr/is a target already/, at => 'M2MClaim');
refused('M2MParameter c', qr/takes NAME SOURCE/);
refused('M2MParameter c Body:x', qr/unknown source "Body".*Token:NAME/, at => 'M2MParameter');
refused('M2MParameter 1c Method', qr/parameter name "1c"/, at => 'M2MParameter');
refused('M2MParameter c Query', qr/needs a name: Query:NAME/, at => 'M2MParameter');
refused('M2MParameter c Method:x', qr/takes no name/, at => 'M2MParameter');
refused('M2MParameter c XFF:a', qr/XFF index "a"/, at => 'M2MParameter');
refused('M2MParameter c System:CaNone', qr/no system parameter is named "CaNone"/, at => 'M2MParameter');
refused('M2MParameter c Path:id', qr/Path:id needs an M2MPath in its own section/, at => 'M2MParameter');
refused("M2MPath /{x}\nM2MParameter c Path:id", qr/M2MPath has no \{id\}/, at => 'M2MParameter');
refused("M2MParameter c Method\nM2MParameter c Path", qr/parameter c is declared twice/, at => 'M2MParameter');
refused('M2MRule', qr/takes NAME CONDITION/);
refused('M2MRule r', qr/takes NAME CONDITION/, at => 'M2MRule');
my $c = 'M2MParameter c Token:client_id';
refused("$c\nM2MRule r \"\$c = = 'a'\" ifTrue=DENY", qr/^M2MRule r: column 6: ./m, at => 'M2MRule');
refused("$c\nM2MRule r \"\$c = 'a' and\" ifTrue=DENY", qr/^M2MRule r: column 13: ./m, at => 'M2MRule');
refused("$c\nM2MRule r \"  \$d = 'a'\" ifTrue=DENY", qr/^M2MRule r: column 3: ./m, at => 'M2MRule');
refused("$c\nM2MRule r \"\$c = 'a' and \$c = 'b' or \$c = 'c'\" ifTrue=DENY", qr/^M2MRule r: column \d+: ./m,
        at => 'M2MRule');
refused("$c\nM2MRule r \"\$c in_cidr '10.0.0.0/33'\" ifTrue=DENY", qr/^M2MRule r: column 12: ./m, at => 'M2MRule');
refused("$c\nM2MRule r \"\$c matches '('\" ifTrue=DENY", qr/^M2MRule r: column \d+: ./m, at => 'M2MRule');
refused('M2MRule r ' . '(' x 65 . '1=1' . ')' x 65 . ' ifTrue=DENY', qr/^M2MRule r: column 6[45]: ./m, at => 'M2MRule');
refused('M2MRule r "' . "'a' = 'a'" . ' ' x 4096 . '" ifTrue=DENY', qr/^M2MRule r: column \d+: .*4096/m, at => 'M2MRule');
refused('M2MRule r 1=1', qr/M2MRule r: .*needs ifTrue or ifFalse/, at => 'M2MRule');
refused('M2MRule r 1=1 ifTrue=PASS', qr/M2MRule r: ifTrue must be ALLOW or DENY, not "PASS"/, at => 'M2MRule');
refused('M2MRule r 1=1 ifTrue=DENY ifTrue=ALLOW', qr/M2MRule: ifTrue= is given twice/, at => 'M2MRule');
refused("M2MRule r 1=1 ifTrue=DENY statusCode=$_", qr/statusCode must be a number from 400 to 599, not "$_"/,
        at => 'M2MRule') for qw(200 399 600 4xx);
refused('M2MRule r 1=1 ifTrue=DENY status=404', qr/M2MRule r: unknown option "status"; there are ifTrue/, at => 'M2MRule');
refused("M2MRule r 1=1 ifTrue=DENY $_", qr/"$_" is not of the form NAME=VALUE|unknown option/, at => 'M2MRule') for qw(shadowed shadow=On);
refused('M2MRule r 1=1 shadow', qr/M2MRule r: .*needs ifTrue or ifFalse/, at => 'M2MRule');
refused('M2MRule r 1=1 DENY', qr/"DENY" is not of the form NAME=VALUE/, at => 'M2MRule');
refused('M2MRule r 1=1 ifTrue=DENY errorMessage=%{nobody}', qr/M2MRule r: errorMessage, column 1: /, at => 'M2MRule');
refused('M2MRule r 1=1 ifTrue=DENY errorMessage="no end', qr/the quote " is not closed/, at => 'M2MRule');
refused('M2MRule r $CaClientIp = "a" ifTrue=DENY', qr/M2MRule r: column /, at => 'M2MRule');
refused("M2MRule r 1=1 ifTrue=DENY\nM2MRule r 1=1 ifTrue=DENY", qr/M2MRule r: there is a rule named r already/,
        at => 'M2MRule');
my $r = 'M2MRule r 1=1 ifTrue=DENY';
refused("$r\nM2MRuleHeader r X-A", qr/takes RULE NAME TEMPLATE/, at => 'M2MRuleHeader');
refused("$r\nM2MRuleHeader s X-A b", qr/there is no M2MRule s above it in its own section/, at => 'M2MRuleHeader');
refused("$r\nM2MRuleHeader r Content-Length 5", qr/cannot set the header "Content-Length"/, at => 'M2MRuleHeader');
refused("$r\nM2MRuleHeader r $_", qr/^M2MRuleHeader r: Content-Type takes no parameters/m, at => 'M2MRuleHeader')
    for 'Content-Type text/%{CaClientIp}', 'content-type %{CaClientUa}';
refused("$r\nM2MRuleHeader r 'X A' 5", qr/cannot set the header "X A"/, at => 'M2MRuleHeader');
refused("$r\nM2MRuleHeader r X-A %{nobody}", qr/M2MRuleHeader r: X-A, column 1: /, at => 'M2MRuleHeader');
refused('M2MDefaultAction PASS', qr/"PASS" is not allowed; it takes ALLOW or DENY/);
refused('M2MPath users/{id}', qr/path "users\/\{id\}" must begin with '\/'/, at => 'M2MPath');
refused('M2MPath /{id}/{id}', qr/\{id\} stands twice/, at => 'M2MPath');
refused('M2MPath /*/x', qr/'\*' may only be the last segment/, at => 'M2MPath');
refused("M2MPath /{a}\nM2MPath /{b}", qr/given in line 2 of \S+ already; a section has one path/, at => 'M2MPath');
refused("M2MParameter u Path:id\nM2MPath {id}", qr/^M2MPath: path "\{id\}" must begin/m, line => 3, at => 'M2MPath');
refused('M2MPathGuard Shadow', qr/"Shadow" is not allowed; it takes On or Off/);
refused('M2MFormOtherBodies Off', qr/"Off" is not allowed; it takes Allow or Deny/);
refused('M2MMethodParameter', qr/takes NAME \[NAME ...\], or None/);
refused('M2MMethodParameter _method None', qr/None stands alone/);
refused('M2MMethodParameter " "', qr/" " is not a usable parameter name/, at => 'M2MMethodParameter');
refused('M2MScrub Off', qr/"Off" is not allowed; it takes Host or Section/, server => 1);
refused('M2MScrub Host', qr/M2MScrub not allowed in <Location> context/);
refused('M2MDuplicateParameter Last', qr/"Last" is not allowed; it takes First or Deny/);
refused("M2MFormLimit $_", qr/"$_" is not allowed; it takes a number of bytes from 1 to \d+/, at => 'M2MFormLimit')
    for qw(0 64k 2147483648);
refused("M2MRealm \"a\tb\"", qr/control characters/, at => 'M2MRealm');
{
    my ($status, $out) = try("<AuthzProviderAlias m2m-claim boss \"role boss\">\n</AuthzProviderAlias>\n");
    ok($status && $out =~ /<AuthzProviderAlias> cannot stand for m2m-claim: write Require m2m-claim where it is needed/, 'an alias of a Require line of ours') or diag($out);
    ($status, $out) = try("<AuthzProviderAlias ip local \"127.0.0.1\">\n</AuthzProviderAlias>\n");
    is($status, 0, 'control: an alias of another') or diag($out);
}
refused('M2MErrorProfile oauth', qr/"oauth" is not allowed; it takes rfc6750 or gateway/);
refused('M2MTraceParent On', qr/"On" is not allowed; it takes Off, Propagate or Generate/);
refused("M2MRecentRefusals $_", qr/"$_" is not allowed; it takes a number from 1 to 65536, or Off/, server => 1) for qw(0 65537 many);
refused('M2MDecisionLog logs/d.log what=some', qr/"what=some" is not allowed; it takes what=refused, what=all, format=json or format=text/, server => 1, directive => 'M2MDecisionLog');
refused('M2MDecisionLog Off what=all', qr/Off takes no options/, server => 1, directive => 'M2MDecisionLog');
refused('M2MDecisionLog nodir/d.log', qr{M2MDecisionLog: \S+/nodir/d\.log: there is no directory \S+/nodir/}, server => 1, directive => 'M2MDecisionLog');
refused('M2MDecisionLog |', qr/names no program/, server => 1, directive => 'M2MDecisionLog');
refused('M2MDecisionLog', qr/FILE/, server => 1, directive => 'M2MDecisionLog');
refused('M2MErrorDocuments On', qr/"On" is not allowed; it takes Static or Any/);
refused("M2MStage \"a\x01b\"", qr/control characters/, at => 'M2MStage');
refused("M2MApiName \"a\x7fb\"", qr/control characters/, at => 'M2MApiName');
refused('M2MPlugin jwtAuth', qr/takes two arguments/, at => 'M2MPlugin');
refused('M2MPlugin jwt jwt.yaml', qr/unknown kind of plugin file "jwt"; it takes jwtAuth, accessControl or trafficControl/, at => 'M2MPlugin');
refused('M2MPlugin trafficControl jwt.yaml', qr{jwt\.yaml: line \d+, column \d+: }, at => 'M2MPlugin');
refused("M2MLimit a * 1/1s\nM2MPlugin trafficControl traffic.yaml", qr/sets what M2MLimit in line 2 of/, at => 'M2MPlugin');
refused('M2MLimit', qr/it takes NAME KEY COUNT/, at => 'M2MLimit');
refused('M2MLimit a *', qr/it takes NAME KEY COUNT/, at => 'M2MLimit');
refused('M2MLimit a * 5', qr/M2MLimit a: "5" is not COUNT\/WINDOW/, at => 'M2MLimit');
refused('M2MLimit a/b * 5/1s', qr/"a\/b" is not a name/, at => 'M2MLimit');
refused('M2MLimit a nobody 5/1s', qr/"nobody" is not a parameter/, at => 'M2MLimit');
refused('M2MLimit a * 5/1s colour=red', qr/there is no option "colour"/, at => 'M2MLimit');
refused('M2MLimit a * 5/1s loud', qr/"loud" is not of the form NAME=VALUE/, at => 'M2MLimit');
refused('M2MLimit a * 5/1s when="$nobody = 1"', qr/when=: column 1/, at => 'M2MLimit');
refused("M2MLimit a * 5/1s\nM2MLimit a * 5/1s", qr/of this name already/, at => 'M2MLimit');
refused("M2MLimit none\nM2MLimit a * 5/1s", qr/none does not go with other limits/, at => 'M2MLimit');
refused("M2MLimit a * 5/1s\nM2MLimit none", qr/none does not go with other limits/, at => 'M2MLimit');
refused("M2MLimit a * 5/1s\nM2MDefaultAction DENY", qr/its section has no M2MRule/, at => 'M2MDefaultAction');
{
    my $two = "<Location /l1>\nM2MLimit a * 5/1s\n</Location>\n<Location /l2>\nM2MLimit a * %s\n</Location>\n";
    my ($status, $out) = try(sprintf $two, '6/1s');
    ok($status && $out =~ /line 5 of \S+\nM2MLimit a: COUNT, WINDOW or burst: not as in line 2 of/, 'one name, two terms')
        or diag($out);
    ($status, $out) = try(sprintf $two, '5/1s');
    is($status, 0, 'control: one name, the same terms') or diag($out);
}
refused('M2MLimitHeaders maybe', qr/"maybe" is not allowed/);
refused('M2MPlugin jwtAuth none.yaml', qr{cannot read /\S+/none\.yaml: No such file}, at => 'M2MPlugin');
refused('M2MPlugin jwtAuth unknown.yaml', qr{unknown\.yaml: line 7, column 1: .*sigKey}, at => 'M2MPlugin');
refused('M2MPlugin accessControl rule.yaml', qr{rule\.yaml: line 5, column \d+: .*column 13}, at => 'M2MPlugin');
refused('M2MPlugin accessControl jwt.yaml', qr{jwt\.yaml: line 1, column 1: }, at => 'M2MPlugin');
refused('M2MPlugin accessControl path.yaml', qr{path\.yaml: line 2, column \d+: .*M2MPath}, at => 'M2MPlugin');

# --- what contradicts in one section ---

refused("M2MPlugin jwtAuth jwt.yaml\nM2MPlugin jwtAuth jwt.json", qr/jwtAuth was given in line 2 of \S+ already/,
        at => 'M2MPlugin');
for my $native ('M2MToken query:a', $KEY, 'M2MJwks file:rsa.json', 'M2MClaim a query:a', 'M2MBypassEmptyToken Off',
                'M2MIgnoreExpiration Off', 'M2MPreventJtiReplay Off') {
    my ($d) = $native =~ /(\w+)/;
    refused("M2MPlugin jwtAuth jwt.yaml\n$native", qr/M2MPlugin jwtAuth in line 2 of \S+ sets this/, at => $d);
    refused("$native\nM2MPlugin jwtAuth jwt.yaml", qr/jwtAuth sets what $d in line 2 of \S+ sets/, at => 'M2MPlugin');
}
for my $native ($c, $r, 'M2MDefaultAction DENY') {
    my ($d) = $native =~ /(\w+)/;
    refused("M2MPlugin accessControl access.yaml\n$native", qr/M2MPlugin accessControl in line 2 of \S+ sets this/, at => $d);
    refused("$native\nM2MPlugin accessControl access.yaml", qr/accessControl sets what $d in line 2/, at => 'M2MPlugin');
}
refused($_, qr/its section has no M2MRule(?:, no M2MLimit and no M2MPlugin accessControl|\Z|\n)/, at => ($_ =~ /(\w+)/)[0])
    for $c, 'M2MPath /{id}', 'M2MDefaultAction DENY';
refused("$KEY\n$c\nM2MIssuer i", qr/its section has no M2MRule/, line => 3, directive => 'M2MParameter');
($bad, $said) = try("<Location /x>\n$r\n<If \"true\">\nM2MRuleHeader r X-A b\n</If>\n</Location>\n");
ok($bad && $said =~ /line 4 of \S+\nM2MRuleHeader: there is no M2MRule r above it in its own section/,
   'names resolve in their own section') or diag($said);

# --- server-wide directives ---

my $g = policies(<<'CONF');
M2MStateDir state
M2MReplayStore shm:run/replay entries=1000
M2MReplayMaxLifetime 3600
M2MVerifyCache entries=10
M2MJwksTLS ca=ca.pem cert=ca.pem key=@ROOT@/key.pem proxy=http://127.0.0.1:3128
CONF
my $whole = 'M2M, whole server';
has($g, $whole, $_) for qr{^M2MStateDir /\S+/state$}, qr/^M2MReplayStore shm:.*replay.*1000/, 'M2MReplayMaxLifetime 3600',
    'M2MVerifyCache entries=10', qr{^M2MJwksTLS ca=/\S+/ca\.pem cert=/\S+ key=/\S+/key\.pem proxy=\.\.\.$};
$g = policies("M2MVerifyCache Off\nM2MReplayStore memcache:127.0.0.1:11211 [::1]:11212\n");
has($g, $whole, 'M2MVerifyCache Off');
has($g, $whole, qr/memcache.*11211.*11212/);
has(policies("M2MReplayStore redis:127.0.0.1:6379\n"), $whole, qr/redis.*6379/);
$g = policies('');
has($g, $whole, $_) for qr/^M2MReplayStore shm.*65536/, 'M2MReplayMaxLifetime 86400', 'M2MVerifyCache entries=4096';
my @server = (
    ['M2MStateDir none', qr{"/\S+/none" is not a directory}], ['M2MStateDir rsa.json', qr/is not a directory/],
    ['M2MReplayStore', qr/takes shm\[:PATH\]/], ['M2MReplayStore file:x', qr/file:x/],
    ['M2MReplayStore shm entries=x', qr/entries/], ['M2MReplayStore shm size=1', qr/size/],
    ['M2MReplayStore memcache:127.0.0.1', qr/127\.0\.0\.1/], ['M2MReplayStore redis:h:1 h:2', qr/h:2/],
    ['M2MReplayMaxLifetime 0', qr/"0" is not allowed; it takes a number of seconds from 1/],
    ['M2MReplayMaxLifetime 1d', qr/"1d" is not allowed/], ['M2MVerifyCache 5', qr/"5" is not allowed; it takes entries=N/],
    ['M2MLimitStore', qr/takes shm \[entries=N\]/], ['M2MLimitStore disk', qr/disk: must be shm/],
    ['M2MLimitStore shm entries=0', qr/entries=0: must be a number/],
    ['M2MLimitStore redis:a:1', qr/nodes=N is missing/], ['M2MLimitStore redis:a:1 nodes=2 lease=9s', qr/lease=9s: must be/],
    ['M2MReplayStore redis-sentinel:a:1', qr/must be MASTER\@HOST:PORT/], ['M2MReplayStore redis-cluster:a:1 db=1', qr/only one/],
    ['M2MReplayStore redis:a:1 wait=0', qr/wait=0: must be a number/],
    ['M2MReplayStore redis:a:1 password-file=none', qr{password-file=/\S+/none: }],
    ['M2MLimitStore redis-sentinel:m@a:1 nodes=2 sentinel-password-file=none', qr{sentinel-password-file=/\S+/none: }],
    ['M2MLimitStore redis:a:1 nodes=2 tls=On ca=none.pem', qr{/none\.pem: cannot be read}],
    ['M2MVerifyCache entries=0', qr/"entries=0" is not allowed/], ['M2MJwksTLS', qr/one or more of ca=FILE/],
    ['M2MJwksTLS ca=none.pem', qr{cannot read /\S+/none\.pem}], ['M2MJwksTLS cert=ca.pem', qr/cert= and key= belong together/],
    ['M2MJwksTLS proxy=ftp://h', qr/proxy=ftp:\/\/h is not allowed/], ['M2MJwksTLS crl=x', qr/no option "crl"; there are ca=/],
);
refused($_->[0], $_->[1], server => 1, at => ($_->[0] =~ /(\w+)/)[0]) for @server;
for my $global ('M2MStateDir state', 'M2MReplayStore shm', 'M2MReplayMaxLifetime 60', 'M2MVerifyCache Off', 'M2MLimitStore shm',
                'M2MJwksTLS ca=ca.pem') {
    my ($d) = $global =~ /(\w+)/;
    refused($global, qr/$d not allowed in <Location> context/, at => $d);
    my ($status, $out) = try("<VirtualHost *:80>\n$global\n</VirtualHost>\n");
    ok($status && $out =~ /line 2 of \S+\n$d cannot occur within <VirtualHost> section/, "$d is refused in a virtual host")
        or diag($out);
}

# --- where section directives may stand ---

my %once = map { $_->[0] =~ /^(M2M\w+)[^\n]*\z/m ? ($1 => $_->[0]) : () } reverse grep { $_->[0] !~ /M2MPath.*last/ } @good;
ok(keys %once > 25, 'examples of ' . keys(%once) . ' section directives');
my @where = ('<Directory "/d">', '<Location "/l">', '<LocationMatch "^/m">', '<Files "f">', '<If "true">', '<Proxy "*">');
my $n = 0;
for my $d (sort keys %once) {
    my $text = join '', map { my ($tag) = /<(\w+)/; s/(.)">\z|(\*)">\z/($1 \/\/ $2) . $n++ . '">'/er =~ s/\A(<(?:If|Proxy) ").*/$1 . ($tag eq 'If' ? "1 == $n" : "http:\/\/h$n") . '">'/er . "\n$once{$d}\n</$tag>\n" } @where;
    my ($status, $out) = try("$once{$d}\n$text<VirtualHost *:80>\n$once{$d}\n</VirtualHost>\n");
    is($status, 0, "$d stands in server, virtual host and every kind of section") or diag($out);
    for my $limit ('Limit GET', 'LimitExcept GET') {
        my ($tag) = split / /, $limit;
        my ($bad, $said) = try("<Location /x>\n<$limit>\n$once{$d}\n</$tag>\n</Location>\n");
        ok($bad && $said =~ /M2M\w+ cannot occur within <Limit> or <LimitExcept> section/, "$d is refused in <$tag>")
            or diag($said);
    }
}
($bad, $said) = try("<AuthnProviderAlias file x>\nM2MEngine On\n</AuthnProviderAlias>\n");
ok($bad && $said =~ /M2MEngine cannot occur within <AuthnProviderAlias> section/, 'no policy in <AuthnProviderAlias>')
    or diag($said);
($bad, $said) = try("<Location /x>\n<IfModule m2mgw_module>\nM2MParameter u Path:id\n</IfModule>\n"
    . "M2MRule r \"\$u = 'a'\" ifTrue=DENY\n<IfModule m2mgw_module>\nM2MPath /{id}\n</IfModule>\n</Location>\n");
is($bad, 0, '<IfModule> is not a section') or diag($said);

# --- what a narrower section inherits ---

my $outer = <<"CONF";
$KEY
M2MToken query:outer
M2MClaim a query:outer
M2MParameter c Token:client_id
M2MRule outer "\$c = 'a'" ifTrue=ALLOW
M2MDefaultAction DENY
M2MForwardToken On
M2MBypassEmptyToken On
M2MJwksWait 10
M2MAlgorithms HS256 RS256
M2MIssuer outer
M2MAudience outer
M2MTokenType outer
M2MRequireClaim outer
M2MLeeway 10
M2MMaxAge 10
M2MIgnoreExpiration On
M2MPreventJtiReplay Observe
M2MDuplicateParameter First
M2MUserClaim outer
M2MFormLimit 10
M2MRealm outer
M2MErrorProfile gateway
M2MStage outer
M2MApiName outer
M2MJwksRefresh ttl=10
M2MErrorDocuments Any
M2MPathGuard Off
M2MTraceParent Generate
CONF
my @outer = ('M2MToken query:outer', qr/^key kid=K1/, 'M2MClaim a query:outer', 'M2MRule outer ifTrue=ALLOW statusCode=403',
    'M2MDefaultAction DENY', 'M2MForwardToken On', 'M2MBypassEmptyToken On', 'M2MJwksWait 10', 'M2MAlgorithms RS256 HS256',
    'M2MIssuer outer', 'M2MAudience outer', 'M2MTokenType outer', 'M2MRequireClaim outer', 'M2MLeeway 10', 'M2MMaxAge 10',
    'M2MIgnoreExpiration On', 'M2MPreventJtiReplay Observe', 'M2MDuplicateParameter First', 'M2MUserClaim outer',
    'M2MFormLimit 10', 'M2MRealm outer', 'M2MErrorProfile gateway', 'M2MStage outer', 'M2MApiName outer',
    qr/^M2MJwksRefresh ttl=10 /, 'M2MErrorDocuments Any', 'M2MPathGuard Off', 'M2MTraceParent Generate');
# [ what the narrower section says, a line it must have, index of the outer line that is replaced ]
my @inner = (
    ['M2MToken cookie:inner', 'M2MToken cookie:inner', 0], ["M2MJwk $RSA", qr/^key kid=R1/, 1],
    ['M2MClaim b header:inner', 'M2MClaim b header:inner', 2],
    ['M2MRule inner 1=1 ifTrue=DENY', 'M2MRule inner ifTrue=DENY statusCode=403', 3, 4],
    ['M2MForwardToken Off', 'M2MForwardToken Off', 5], ['M2MBypassEmptyToken Off', 'M2MBypassEmptyToken Off', 6],
    ['M2MJwksWait 0', 'M2MJwksWait 0', 7], ['M2MAlgorithms HS256', 'M2MAlgorithms HS256', 8],
    ['M2MIssuer inner', 'M2MIssuer inner', 9], ['M2MAudience inner', 'M2MAudience inner', 10],
    ['M2MTokenType inner', 'M2MTokenType inner', 11], ['M2MRequireClaim inner', 'M2MRequireClaim inner', 12],
    ['M2MLeeway 0', 'M2MLeeway 0', 13], ['M2MMaxAge Off', 'M2MMaxAge Off', 14],
    ['M2MIgnoreExpiration Off', 'M2MIgnoreExpiration Off', 15], ['M2MPreventJtiReplay Off', 'M2MPreventJtiReplay Off', 16],
    ['M2MDuplicateParameter Deny', 'M2MDuplicateParameter Deny', 17], ['M2MUserClaim inner', 'M2MUserClaim inner', 18],
    ['M2MFormLimit 20', 'M2MFormLimit 20', 19], ['M2MRealm inner', 'M2MRealm inner', 20],
    ['M2MErrorProfile rfc6750', 'M2MErrorProfile rfc6750', 21], ['M2MStage inner', 'M2MStage inner', 22],
    ['M2MApiName inner', 'M2MApiName inner', 23],
    ['M2MJwksRefresh ttl=20', qr/^M2MJwksRefresh ttl=20 /, 24],
    ['M2MErrorDocuments Static', 'M2MErrorDocuments Static', 25], ['M2MPathGuard On', 'M2MPathGuard On', 26],
    ['M2MTraceParent Propagate', 'M2MTraceParent Propagate', 27],
    ['M2MEngine Shadow', 'M2MEngine Shadow'], ['M2MEngine On', 'M2MEngine On'],
    ["M2MPlugin accessControl access.yaml", qr/^M2MRule fromFile/, 3, 4],
    ["M2MPlugin jwtAuth jwt.json", 'M2MToken query:t', 0, 1, 2, 6, 15, 16],
);
for my $kind ('the server', 'a virtual host') {
    my $virtual = $kind =~ /virtual/;
    my $m = policies("$outer" . ($virtual ? "<VirtualHost *:80>\n" : '') . join('', map {
        "<Location \"/i$_\">\n$inner[$_][0]\n</Location>\n" } 0 .. $#inner) . ($virtual ? "</VirtualHost>\n" : ''));
    for my $i (0 .. $#inner) {
        my ($text, $line, @replaced) = @{ $inner[$i] };
        my %gone = map { $_ => 1 } @replaced;
        has($m, "<Location \"/i$i\">", $line, "inside $kind: $text holds");
        my $lines = $m->{"<Location \"/i$i\">"} // [];
        my @missing = grep { !$gone{$_} && !said($lines, $outer[$_]) } 0 .. $#outer;
        my @left = grep { said($lines, $outer[$_]) } @replaced;
        ok(!@missing && !@left, "inside $kind: $text replaces its own and inherits the rest")
            or diag("missing: @outer[@missing]\nleft: @outer[@left]\n", join "\n", @$lines);
    }
}

# Off turns off, also what is written below it; nothing else does.
$p = policies(<<"CONF");
<Location "/off">
    $KEY
    <If "true">
        M2MEngine Off
        <If "false">
            M2MEngine On
        </If>
    </If>
</Location>
<VirtualHost *:80>
    M2MEngine Off
    <Location "/v">
        $KEY
    </Location>
    <Location "/w">
        $KEY
        M2MEngine On
    </Location>
</VirtualHost>
<Location "/none">
    M2MIssuer i
</Location>
<Location "/shadow">
    M2MEngine Shadow
    M2MPreventJtiReplay On
    $KEY
</Location>
CONF
has($p, '<Location "/off">', 'M2MEngine On');
has($p, '<Location "/off"> <If "true">', 'M2MEngine Off');
has($p, '<Location "/off"> <If "true"> <If "false">', 'M2MEngine On');
has($p, '<Location "/v">', 'M2MEngine Off', 'an outer Off holds for keys of an inner section');
has($p, '<Location "/w">', 'M2MEngine On');
has($p, 'M2M, notices', $_) for qr/its keys or rules are not in force/, qr/claim aud is not checked/;
has($p, '<Location "/none">', 'M2MEngine On (without keys: 503)', 'an issuer without keys');
has($p, '<Location "/shadow">', 'M2MPreventJtiReplay Observe', 'Shadow only observes replay');
ok(!said([map { @$_ } values %$p], qr/$OCT/), 'no secret is printed');

# Virtual hosts inherit before sections are checked: nothing may be set later than that.
$p = policies(<<"CONF");
M2MIssuerDiscovery https://idp.example
M2MPath /{userId}
M2MPlugin accessControl path.yaml
<VirtualHost *:80>
    M2MLeeway 5
</VirtualHost>
CONF
has($p, 'virtual host', $_) for 'M2MIssuer https://idp.example', 'keys from https://idp.example', 'M2MLeeway 5',
    qr/^M2MRule fromFile/;

# --- by requests ---

my $t = M2MGW::Test->start(files => { %FILES, 'htdocs/h/.htaccess' => "M2MEngine Off\n",
    'htdocs/l/.htaccess' => "M2MEngine Off\n", 'htdocs/h/a' => 'a', 'htdocs/l/a' => 'a' }, config => <<"CONF");
<Location />
    $KEY
    M2MErrorProfile gateway
</Location>
<Location /open>
    M2MEngine Off
</Location>
<Location /open/closed>
    M2MEngine On
</Location>
<Location /orphan>
    M2MIssuer somebody
</Location>
<Location /other>
    M2MErrorProfile rfc6750
    M2MLeeway 1
</Location>
<Directory "\@DOCROOT\@/h">
    AllowOverride All
</Directory>
<Directory "\@DOCROOT\@/l">
    AllowOverrideList M2MEngine
</Directory>
ProxyPass /h !
ProxyPass /l !
ProxyPass / http://\@BACKEND\@/
<Proxy "http://nobody.invalid/">
    M2MBypassEmptyToken On
</Proxy>
<VirtualHost *:\@PORT\@>
    ServerName one.test
    <Location /mixed>
        M2MJwk $RSA
        M2MJwk kty=oct k=$OCT
        M2MPreventJtiReplay On
        M2MIgnoreExpiration On
        M2MParameter x XFF:0
        M2MRule r "\$x = 'a'" ifTrue=DENY
    </Location>
    <Location /e>
        M2MJwk {"kty":"RSA","use":"enc","n":"AQAB","e":"AQAB"}
        M2MJwk kty=oct k=$OCT
        M2MEngine Shadow
    </Location>
    <Location /refresh>
        M2MJwksRefresh ttl=5
        $KEY
    </Location>
    <Location /offkeys>
        M2MEngine Off
        <If "true">
            $KEY
        </If>
    </Location>
</VirtualHost>
CONF
$t->expect_log(qr/M2-101: /, qr/not allowed here|cannot occur within htaccess files/);
denies($t->get('/a', host => 'x'), 400, 'token_missing', 'the outer profile is in force');
denies($t->get('/other', host => 'x'), 401, 'token_missing', 'one value of an inner section');
passes($t->get('/open', host => 'x'), 'Off turns off');
denies($t->get('/open/closed', host => 'x'), 400, 'token_missing', 'On turns on again, with the inherited keys');
denies($t->get('/orphan', host => 'x'), 400, 'token_missing', 'an issuer alone changes no protection');
for my $dir (qw(h l)) {
    my $reply = $t->get("/$dir/a", host => 'x');
    isnt($reply->{status}, 200, "/$dir: .htaccess cannot turn the engine off");
}
my $log = $t->error_log;
for (['notice', qr/claim iss is not checked/], ['notice', qr/claim aud is not checked/], ['notice', qr/shared secrets/],
     ['warn', qr/M2MPreventJtiReplay needs exp/], ['warn', qr/a policy in <Proxy>/], ['notice', qr/XFF: reads/],
     ['warn', qr/M2MEngine Shadow: decisions are recorded/], ['notice', qr/M2MJwk in line \d+ of \S+: the key is left out/],
     ['warn', qr/its keys or rules are not in force/], ['warn', qr/M2MJwksRefresh has no effect here/]) {
    my ($level, $re) = @$_;
    my @lines = grep { $_ =~ $re } split /\n/, $log;
    is(scalar @lines, 1, "said once at start: $re");
    like($lines[0] // '', qr/m2mgw:$level\]/, "... as $level");
}
$t->finish;
