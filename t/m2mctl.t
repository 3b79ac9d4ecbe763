#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# The command line tool as scripts use it: exit codes, what goes to which stream, file modes,
# and that its tokens and verdicts agree with tokens and keys made without our code.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Digest::SHA qw(hmac_sha256);
use File::Temp ();
use IPC::Open3 qw(open3);
use JSON::PP ();
use Test::More;
use M2MGW::Token;

my $tool = $ENV{M2MGW_M2MCTL} || ($ENV{M2MGW_BUILD} || '.') . '/m2mctl';
plan skip_all => "no m2mctl in the build directory" if !-x $tool;

my $dir = File::Temp->newdir;
chdir $dir or die "cannot enter $dir: $!";
umask 0022;

sub spew {
    my ($name, $text) = @_;
    open my $fh, '>:raw', $name or die "$name: $!";
    print $fh $text;
    close $fh or die "$name: $!";
    return $name;
}

sub slurp {
    my ($name) = @_;
    open my $fh, '<:raw', $name or die "$name: $!";
    local $/;
    return scalar <$fh>;
}

# run the tool with a text on standard input
sub m2mctl {
    my ($stdin, @args) = @_;
    spew('stdin', $stdin);
    open my $in, '<', 'stdin' or die $!;
    open my $out, '>', 'stdout' or die $!;
    open my $err, '>', 'stderr' or die $!;
    my $pid = open3('<&' . fileno $in, '>&' . fileno $out, '>&' . fileno $err, $tool, @args);
    waitpid $pid, 0;
    my $r = { code => $? & 127 ? "signal $?" : $? >> 8 };
    ($r->{out}, $r->{err}) = (slurp('stdout'), slurp('stderr'));
    $r->{json} = eval { JSON::PP->new->decode($r->{out}) } if $r->{out} =~ /\A\{/;
    return $r;
}

sub ends {
    my ($r, $code, $name) = @_;
    is($r->{code}, $code, $name) or diag("out: $r->{out}err: $r->{err}");
    return $r;
}

# --- help and usage ---

my @verbs = qw(keygen jwks sign verify explain check client token dpop revoke openapi completion);
my $r = ends(m2mctl('', 'help'), 0, 'help');
like($r->{out}, qr/^  $_ /m, "help names $_") for @verbs;
for my $verb (@verbs) {
    for my $args (['help', $verb], [$verb, '--help']) {
        $r = ends(m2mctl('', @$args), 0, "@$args");
        like($r->{out}, qr/^usage: m2mctl $verb /m, "@$args shows the usage");
        like($r->{out}, qr/^  --json /m, "@$args shows the options");
    }
}
like(ends(m2mctl('', '--version'), 0, 'version')->{out}, qr/\Am2mctl \d/, 'version is told');
for my $args ([], ['nosuch'], ['help', 'nosuch'], ['verify', '--nosuch'], ['verify', '-x'],
              ['check'], ['jwks'], ['sign'], ['sign', '--key'], ['keygen', '--alg', 'none'],
              ['keygen', '--bits', 'x'], ['keygen', '--bits', '1024'], ['keygen', 'word'],
              ['verify'], ['explain'], ['keygen', '--alg', 'HS256', '--format', 'pem'],
              ['keygen', '--alg=RS256', '--alg=ES256'], ['check', '--type', 'x', 'y']) {
    $r = ends(m2mctl('', @$args), 2, "m2mctl @$args is a usage error");
    is($r->{out}, '', '... with nothing on standard output');
    isnt($r->{err}, '', '... and a sentence on standard error');
}

for my $case ([['verfy'], 'verify'], [['help', 'sgin'], 'sign'], [['verify', '--isuer', 'x'], '--issuer'],
              [['explain', '--tokenfil', 'x'], '--token-file'], [['sign', '-key'], '--key']) {
    my ($args, $near) = @$case;
    like(ends(m2mctl('', @$args), 2, "@$args")->{err}, qr/did you mean \Q$near\E\?/, "... $near is near");
}
unlike(m2mctl('', 'verify', '--zzzzzz')->{err}, qr/did you mean/, 'what is near nothing names nothing');

# --- completion ---

for my $shell (qw(bash zsh)) {
    spew("completion.$shell", ends(m2mctl('', 'completion', $shell), 0, "completion $shell")->{out});
    like(slurp("completion.$shell"), qr/--secret-out/, '... knows the options');
    SKIP: {
        my ($program) = grep { -x } "/bin/$shell", "/usr/bin/$shell";
        skip "no $shell", 1 if !$program;
        is(system($program, '-n', "completion.$shell"), 0, "... $shell takes it");
    }
}
ends(m2mctl('', 'completion', @$_), 2, "completion @$_") for [], ['fish'], ['bash', 'zsh'];
SKIP: {
    skip 'no bash', 18 if !-x '/bin/bash';
    for my $case ([['ver'], 'verify'], [['client', 'gr'], 'grant'], [['sign', '--cl'], '--claim --claim-text --claims --client-id'],
                  [['sign', '--key', 'completion.b'], 'completion.bash'],
                  # values: of closed lists, in either spelling, of the verb's own option
                  [['keygen', '--alg', 'RS'], 'RS256 RS384 RS512'], [['keygen', '--alg', '=', 'PS3'], 'PS384'], [['sign', '--alg', 'HS5'], 'HS512'],
                  [['keygen', '--format', '""'], 'jwk pem'], [['jwks', '--format', '='], 'json yaml'], [['token', '--method', 'b'], 'basic'],
                  [['verify', '--sender-constraint', 'D'], 'DPoP'], [['verify', '--dpop-algs', 'HS'], ''], [['verify', '--algorithms', 'HS2'], 'HS256'],
                  [['verify', '--scheme', '""'], 'Bearer DPoP'], [['openapi', '--scheme', 'B'], ''], [['explain', '--path-guard', '""'], 'Off On'],
                  [['check', '--type', 'r'], 'revocation rules'], [['revoke', '--list', 'completion.b'], 'completion.bash']) {
        my ($words, $found) = @$case;
        my $said = `bash -c '. ./completion.bash; COMP_WORDS=(m2mctl @$words); COMP_CWORD=\$((\${#COMP_WORDS[@]} - 1)); _m2mctl; printf "%s\n" \${COMPREPLY[@]}'`;
        is(join(' ', sort split /\n/, $said), $found, "completed: @$words");
    }
}
unlike(m2mctl('', 'check', '--type', $_, 'completion.bash')->{err}, qr/--type is/, "check --type $_ is taken")
    for slurp('completion.bash') =~ /--type\) choices='([^']*)'/ ? split(' ', $1) : 'none';
like(slurp('completion.zsh'), qr/'--alg=\[[^\]]*\]:NAME:\(RS256 [^)]* HS512\)'/, 'zsh has values, too');

# --- keygen, jwks, sign, verify: every algorithm ---

my %kty = (RS256 => 'RSA', PS384 => 'RSA', ES256 => 'EC', ES384 => 'EC', ES512 => 'EC',
           Ed25519 => 'OKP', Ed448 => 'OKP', EdDSA => 'OKP', HS256 => 'oct', HS512 => 'oct');
for my $alg (sort keys %kty) {
    my $secret = $kty{$alg} eq 'oct';
    $r = ends(m2mctl('', 'keygen', '--alg', $alg, '--kid', "k-$alg", '--out', "$alg.key",
                     $secret ? () : ('--public', "$alg.pub"), '--json'), 0, "keygen $alg");
    is($r->{json}{kid}, "k-$alg", '... tells the kid');
    unlike($r->{out}, qr/"d"|"k"/, '... and no secret');
    is((stat "$alg.key")[2] & 0777, 0600, '... private file is for the user only');
    my $key = JSON::PP->new->decode(slurp("$alg.key"));
    is($key->{kty}, $kty{$alg}, '... kty');
    ok($key->{ $secret ? 'k' : 'd' }, '... private part is in the private file');
    if (!$secret) {
        is((stat "$alg.pub")[2] & 0777, 0644, '... public file is for all');
        unlike(slurp("$alg.pub"), qr/"d"/, '... without the private part');
        $r = ends(m2mctl('', 'jwks', "$alg.key", "$alg.pub"), 0, "jwks of $alg");
        is(scalar @{ $r->{json}{keys} }, 1, '... one key, though two files hold it');
        is_deeply([sort keys %{ $r->{json}{keys}[0] }],
                  [sort keys %{ JSON::PP->new->decode(slurp("$alg.pub")) }],
                  '... public members only');
    }
    my $set = $secret ? "$alg.key" : "$alg.pub";
    $r = ends(m2mctl('', 'sign', '--key', "$alg.key", '--client-id', 'app'), 0, "sign $alg");
    my $token = $r->{out};
    like($token, qr/\A[\w-]+\.[\w-]+\.[\w-]+\z/, '... a compact token, and no line end that curl would send');
    is(JSON::PP->new->decode(unb64((split /\./, $token)[0]))->{kid}, "k-$alg", '... its kid');
    like(ends(m2mctl($token, 'verify', '--jwks', $set), 0, "verify $alg")->{out},
         qr/\Aallow: /, '... allow');
    (my $flipped = $token) =~ s/\.(.)([^.]*)\z/'.' . ($1 eq 'A' ? 'B' : 'A') . $2/e;
    like(ends(m2mctl($flipped, 'verify', '--jwks', $set), 1, "verify $alg, changed")->{out},
         qr/\Adeny: signature_invalid: /, '... deny');
}
ends(m2mctl('', 'jwks', 'HS256.key'), 2, 'a secret is not published');
$r = ends(m2mctl('', 'jwks', 'ES256.pub', 'RS256.pub', '--format', 'yaml'), 0, 'jwks as YAML');
spew('pasted.yaml', "parameter: Authorization\nparameterLocation: header\n$r->{out}");
ends(m2mctl(m2mctl('', 'sign', '--key', "$_.key")->{out}, 'verify', '--jwt-auth', 'pasted.yaml'), 0,
     "... is what a jwtAuth script takes, $_") for qw(ES256 RS256);
ends(m2mctl('', 'jwks', 'ES256.pub', '--format', 'xml'), 2, '... another format is none');
ends(m2mctl('', 'jwks', 'RS256.key', 'HS256.key'), 2, '... not among others either');

for my $alg (qw(RS256 ES256 Ed25519)) {
    ends(m2mctl('', 'keygen', '--alg', $alg, '--format', 'pem', '--out', "$alg.pem",
                '--public', "$alg.pub.pem"), 0, "keygen $alg as PEM");
    like(slurp("$alg.pem"), qr/\A-----BEGIN PRIVATE KEY-----/, '... PKCS#8');
    like(slurp("$alg.pub.pem"), qr/\A-----BEGIN PUBLIC KEY-----/, '... SPKI');
    my $token = m2mctl('', 'sign', '--key', "$alg.pem")->{out};
    ends(m2mctl($token, 'verify', '--jwks', "$alg.pub.pem"), 0, '... signs and verifies');
    $r = m2mctl('', 'jwks', "$alg.pem");
    like($r->{json}{keys}[0]{kid}, qr/\A[\w-]{43}\z/, '... kid is the thumbprint');
}

my $before = slurp('RS256.key');
$r = ends(m2mctl('', 'keygen', '--out', 'RS256.key'), 2, 'keygen does not overwrite');
like($r->{err}, qr/RS256\.key: .*--force/, '... and says how to');
is(slurp('RS256.key'), $before, '... the file is as it was');
chmod 0644, 'RS256.key';
ends(m2mctl('', 'keygen', '--out', 'RS256.key', '--force'), 0, '--force overwrites');
isnt(slurp('RS256.key'), $before, '... another key');
is((stat 'RS256.key')[2] & 0777, 0600, '... for the user only again');
like(ends(m2mctl('', 'keygen', '--alg', 'Ed25519', '--no-kid'), 0, 'keygen to stdout')->{out},
     qr/\A\{(?!.*"kid").*"d":/, '... a private key, without kid');

# --- tokens of others, and ours for others ---

spew('rsa.json', jwks_json(jwk('rsa', kid => 'K')));
spew('oct.json', jwk_json('oct', kid => 'S'));
my $theirs = mint('rsa', { client_id => 'app', scope => 'a b', aud => ['x', 'y'] },
                  { kid => 'K' });
ends(m2mctl($theirs, 'verify', '--jwks', 'rsa.json'), 0, 'a token we did not make');
ends(m2mctl("Bearer $theirs\r\n", 'verify', '--jwks', 'rsa.json', '-'), 0,
     '... with Bearer, and - for standard input');
spew('token', "$theirs\n");
$r = ends(m2mctl('', 'verify', '--jwks', 'file:rsa.json', '--token-file', 'token', '--json'), 0,
          '... out of a file, as JSON');
is_deeply([@{ $r->{json} }{qw(decision reason kid alg user)}],
          [qw(allow ok K RS256 app)], '... decision, reason, kid, alg, user');
is($r->{json}{claims}{scope}, 'a b', '... claims');

my $secret = unb64(JSON::PP->new->decode(slurp('oct.json'))->{k});
my $ours = m2mctl('', 'sign', '--key', 'oct.json', '--alg', 'HS256')->{out};
chomp $ours;
my ($signed, $mac) = $ours =~ /\A(.*)\.(.*)\z/;
is($mac, b64(hmac_sha256($signed, $secret)), 'our HS256 is that of others');

# --- claims and header of sign ---

sub parts {
    my $token = m2mctl(ref $_[0] ? ${ +shift } : '', 'sign', '--key', 'oct.json', '--alg',
                       'HS256', '--now', 1000, @_)->{out};
    my @p = split /\./, $token;
    return map { JSON::PP->new->decode(unb64($_)) } @p[0, 1];
}

my ($h, $c) = parts(qw(--iss I --aud A --sub S --jti J --scope s --client-id c), '--claim',
                    'n=17', '--claim', 'l=["a","b"]', '--claim', 'o={"a":null}', '--claim',
                    't=text', '--claim-text', 'x=17', '--claim', 'e=');
is_deeply($h, { alg => 'HS256', kid => 'S', typ => 'JWT' }, 'header');
is_deeply($c, { iss => 'I', aud => 'A', sub => 'S', jti => 'J', scope => 's', client_id => 'c',
                n => 17, l => ['a', 'b'], o => { a => undef }, t => 'text', x => '17',
                e => '', iat => 1000, exp => 1300 }, 'claims');
($h, $c) = parts('--aud', 'a', '--aud', 'b', '--exp-in', '-5', '--nbf-in=7', '--no-iat');
is_deeply($c, { aud => ['a', 'b'], exp => 995, nbf => 1007 }, 'audiences and times');
($h, $c) = parts('--no-exp', '--no-iat', '--typ', 'at+jwt', '--header', 'crit=["exp"]',
                 '--no-kid', '--header', 'b64=false');
is_deeply($c, {}, 'no claims at all');
is_deeply($h, { alg => 'HS256', typ => 'at+jwt', crit => ['exp'], b64 => JSON::PP::false },
          'an odd header');
($h, $c) = parts('--header', 'alg=none', '--header', 'kid=7');
is_deeply($h, { alg => 'none', kid => 7, typ => 'JWT' }, 'an alg and a kid that the key has not');
($h, $c) = parts(\'{"exp":5,"a":1,"b":2}', '--claims', '-', '--claim', 'b=3', '--typ', '');
is_deeply([$c, $h->{typ}], [{ exp => 5, a => 1, b => 3, iat => 1000 }, undef],
          'claims from standard input, options over them');
my @jti = map { (parts('--jti', 'auto'))[1]{jti} } 1, 2;
isnt($jti[0], $jti[1], 'every automatic jti is another');
spew('raw', "not json \0\xff");
my $raw = m2mctl('', qw(sign --key oct.json --alg HS256 --raw-payload raw))->{out};
is(unb64((split /\./, $raw)[1]), "not json \0\xff", 'a raw payload is signed as it is');
spew('mistyped', "cases:\n- {expect: {reason: token_mising}}\n");
like(ends(m2mctl('', qw(test --jwks oct.json mistyped)), 2, 'a reason that there is not')->{err},
     qr/:2:21: there is no reason "token_mising"; did you mean token_missing\?/, 'names the nearest');
ends(m2mctl(m2mctl('', qw(sign --key oct.json --alg HS256))->{out}, qw(verify --jwks oct.json --jwks oct.json)), 0,
     'a key that two files have');
like(m2mctl($raw, qw(verify --jwks oct.json))->{out}, qr/\Adeny: token_malformed: /,
     '... and refused');
for my $args (['--alg', 'RS256'], ['--alg', 'none'], ['--claims', 'raw'], ['--claim', 'x'],
              ['--header', '=x'], ['--claims', 'nosuch'], ['--exp-in', 'soon']) {
    ends(m2mctl('', 'sign', '--key', 'oct.json', @$args), 2, "sign @$args");
}
ends(m2mctl('', 'sign', '--key', 'rsa.json'), 2, 'sign needs a private key');

# --- the policy of verify ---

spew('set.json', jwks_json(jwk('oct', kid => 'S')));

sub verdict {
    my ($claims, @args) = @_;
    my $token = mint('oct', { exp => undef, %$claims }, { kid => 'S' });
    my $got = m2mctl($token, 'verify', '--jwks', 'set.json', '--json', @args);
    my $reason = $got->{json}{reason} // "nothing: $got->{err}";
    is($got->{code}, $reason eq 'ok' ? 0 : 1, "exit status for $reason");
    unlike($got->{out} . $got->{err}, qr/\Q$token\E/, '... and no token in what is said');
    return $reason;
}

my $now = time;
is(verdict({ exp => $now + 9 }), 'ok', 'good');
is(verdict({ exp => $now - 100 }), 'expired', 'expired');
is(verdict({ exp => $now - 100 }, '--M2MLeeway', 200), 'ok', '... within the leeway');
is(verdict({ exp => $now - 100 }, '--now', $now - 200), 'ok', '... at another time');
is(verdict({ exp => $now - 100 }, '--ignore-expiration'), 'ok', '... ignored');
is(verdict({ exp => $now - 100 }, '--M2MIgnoreExpiration=Off'), 'expired', '... not ignored');
is(verdict({}), 'claim_missing', 'no exp');
is(verdict({ exp => $now + 9 }, '--issuer', 'I'), 'claim_missing', 'no issuer');
is(verdict({ exp => $now + 9, iss => 'J' }, '--issuer', 'I'), 'issuer_mismatch', 'issuer');
is(verdict({ exp => $now + 9, iss => 'I' }, '--M2MIssuer', 'I'), 'ok', '... right');
is(verdict({ exp => $now + 9, aud => ['a'] }, '--audience', 'b'), 'audience_mismatch', 'aud');
is(verdict({ exp => $now + 9, aud => ['a', 'b'] }, '--audience', 'b'), 'ok', '... right');
is(verdict({ exp => $now + 9 }, '--algorithms', 'RS256'), 'alg_not_allowed', 'algorithm');
is(verdict({ exp => $now + 9 }, '--algorithms', 'RS256 hs256'), 'ok', '... right');
is(verdict({ exp => $now + 9, s => 'x' }, '--require-claim', 's y z'), 'claim_invalid',
   'required value');
is(verdict({ exp => $now + 9, s => 'z' }, '--require-claim', 's y z'), 'ok', '... right');
is(verdict({ exp => $now + 9, iat => $now - 500 }, '--max-age', 100), 'too_old', 'age');
is(verdict({ exp => $now + 9 }, '--prevent-jti-replay'), 'jti_missing', 'jti');
is(verdict({ exp => $now + 9 }, '--token-type', 'at+jwt'), 'typ_mismatch', 'type');
is(verdict({ exp => $now + 9, c => "a\nb" }, '--claim', 'c header:X'), 'claim_unsafe',
   'a claim that cannot be published');
$r = ends(m2mctl('', qw(verify --jwks set.json --json)), 1, 'no token');
is($r->{json}{reason}, 'token_missing', '... is a missing one');
for my $args (['--algorithms', 'none'], ['--jwks', 'nosuch'], ['--claim', 'c nowhere:x'],
              ['--leeway', 'x'], ['--leeway=1', '--leeway=2'], ['--ignore-expiration=maybe'],
              ['word'], ['--jwks', 'RS256.key'], ['--jwk', 'kty=RSA n=AQAB e=AQAB'], ['--jwk', 'kty=oct k=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8'],
              ['--jwk', '{"kty":"oct","k":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"}']) {
    ends(m2mctl('a.b.c', 'verify', '--jwks', 'set.json', @$args), 2, "verify @$args");
}
$r = ends(m2mctl('a.b.c', qw(verify --json --jwks nosuch)), 2, 'a fault with --json');
is($r->{json}{where}, 'nosuch', '... is JSON as well');

# --- explain ---

my ($public) = @{ JSON::PP->new->decode(slurp('rsa.json'))->{keys} };
spew('jwt.yaml', <<"YAML");
parameter: id_token
parameterLocation: query
claimParameters:
- {claimName: client_id, parameterName: client_id, location: query}
jwk:
@{[ join "\n", map { "  $_: $public->{$_}" } sort keys %$public ]}
YAML
spew('access.yaml', <<'YAML');
parameters:
  scope: "Token:scope"
  sent: Query:client_id
rules:
- name: checkScope
  condition: "$scope like '%a%' and $sent = 'app'"
  ifFalse: DENY
  statusCode: 404
  errorMessage: "No: ${scope}"
  responseHeaders:
    Content-Type: application/json
    X-Scope: ${scope}
  responseBody: "{\"scope\": \"${scope}\"}"
YAML
my @scripts = qw(--jwt-auth jwt.yaml --access-control access.yaml);
my $url = "/hello?id_token=$theirs&client_id=forged&x=1";
$r = ends(m2mctl('', 'explain', @scripts, '--url', $url), 0, 'explain, allowed');
like($r->{out}, qr/^ok\s+$_\b/m, "... step $_")
    for qw(token header key signature times claims user publish parameter rule);
like($r->{out}, qr/^ok\s+parameter\s+sent = "app"$/m, '... rules see what was published');
like($r->{out}, qr/^allow: ok$/m, '... allow');
unlike($r->{out}, qr/\Q$theirs\E/, '... and no token in it');

my $other = mint('rsa', { client_id => 'app', scope => "q\"\x{7f}" }, { kid => 'K' });
$r = ends(m2mctl("$other\n", 'explain', @scripts, '--json', '-'), 1, 'explain, denied by a rule');
is_deeply([@{ $r->{json} }{qw(decision reason rule status error_code)}],
          [qw(deny rule_denied checkScope 404 A403AC)], '... by which');
is($r->{json}{response}{headers}{'X-Scope'}, 'q"', '... its header, without control bytes');
is($r->{json}{response}{headers}{'Content-Type'}, 'application/json', '... its type');
like($r->{json}{response}{body}, qr/q\\"/, '... its body, escaped');
is($r->{json}{steps}[-1]{ok}, JSON::PP::false, '... the last step is the one that failed');

for my $case ([['/'], 'token_missing'], [["/?id_token=$theirs&id_token=$theirs"],
               'token_multiple'], [['/?id_token=a.b'], 'token_malformed'],
              [["/?id_token=$theirs", '--audience', 'z'], 'audience_mismatch'],
              [["/?id_token=$theirs", '--now', $now + 99999], 'expired']) {
    my ($args, $reason) = @$case;
    $r = ends(m2mctl('', 'explain', '--json', @scripts, '--url', @$args), 1, "explain $reason");
    is($r->{json}{reason}, $reason, '... is the reason');
    ok(!$r->{json}{steps}[0]{ok} || grep({ !$_->{ok} } @{ $r->{json}{steps} }),
       '... and a step failed');
}

my @bearer = (qw(explain --json --jwks rsa.json --header), "Authorization: bearer  $theirs");
for my $case ([[], 'ok'], [['--header', 'Authorization: Bearer x'], 'token_multiple'],
              [['--header', 'authorization: Basic x'], 'token_multiple'],
              [['--header', 'X-Other: Bearer x'], 'ok']) {
    my ($args, $reason) = @$case;
    is(m2mctl('', @bearer, @$args)->{json}{reason}, $reason, "Authorization and @$args: $reason");
}
is(m2mctl('', qw(explain --json --jwks rsa.json --header), "Authorization: Basic $theirs")
       ->{json}{reason}, 'token_missing', 'another scheme is not a token');

spew('rules.conf', <<'CONF');
# as in a section
M2MPath "/users/{id}/*"
M2MParameter user Token:client_id
M2MParameter id Path:id
M2MParameter m Method
M2MParameter ip System:CaClientIp
M2MParameter q Query:q
M2MRule own "$user = $id" ifFalse=DENY statusCode=404 errorMessage="not %{id}"
M2MRule read "$m in ('GET', 'HEAD') and $ip in_cidr '10.0.0.0/8'" \
    ifTrue=ALLOW
M2MRule twice "$q = '1'" ifTrue=ALLOW
M2MRuleHeader own X-Id "%{id}"
M2MDefaultAction DENY
CONF
my @rules = (qw(explain --json --jwks rsa.json --rules rules.conf --token-file token));
for my $case ([['/users/app/x', '--client-ip', '10.1.1.1'], 'ok'],
              [['http://h:1/users/%61pp/?q=1', '--method', 'PUT'], 'ok'],
              [['/users/app/', '--method', 'PUT'], 'rule_default'],
              [['/users/app/?q=1&q=2', '--method', 'PUT'], 'rule_error'],
              [['/users/bob'], 'rule_denied'], [['/'], 'rule_denied']) {
    my ($args, $reason) = @$case;
    $r = ends(m2mctl('', @rules, '--url', @$args), $reason eq 'ok' ? 0 : 1, "rules @$args");
    is($r->{json}{reason}, $reason, '... is the reason');
}
$r = ends(m2mctl('', qw(explain --rules rules.conf --url /users/x)), 1, 'rules without keys');
like($r->{out}, qr/no keys are in force/, '... is said');
for my $args (['--rules', 'rules.conf', '--access-control', 'access.yaml'], ['--rules', 'raw'],
              ['--rules', 'rules.conf', '--url', 'x'], ['--rules', 'rules.conf', '--header', 'x'],
              ['--access-control', 'jwt.yaml'], ['--rules', 'rules.conf', 'word']) {
    ends(m2mctl('', 'explain', @$args), 2, "explain @$args");
}
for my $option ('shadow', 'ifTrue=DENY') {
    my $name = $option =~ s/=\K.*//r;
    spew('double.conf', "M2MRule a \"1 = 1\" $option \U$name\E" . ($option =~ s/^[^=]*=?//r) . "\n");
    $r = ends(m2mctl('', qw(check double.conf)), 2, "check of a rule with $option twice");
    like($r->{err}, qr/M2MRule a: \Q$name\E is given twice/, '... is named');
}

# --- check ---

$r = ends(m2mctl('', qw(check jwt.yaml access.yaml rsa.json rules.conf RS256.pub.pem)), 0,
          'check of good files');
like($r->{out}, qr/^$_$/m, "... $_") for 'jwt\.yaml: jwtAuth script: .*',
    'access\.yaml: accessControl script: .*', 'rsa\.json: key set: .*RS256.*',
    'rules\.conf: rule directives: .*', 'RS256\.pub\.pem: key set: .*';
for my $case (["parameter: a\nparameterLocation: moon\njwk: {}\n", '2:20: '],
              ["rules:\n- name: a\n  condition: \$x\n  ifTrue: DENY\n", '3:14: .*column'],
              ["{\"keys\": [\n  {\"kty\": 1,}\n]}", '2:13: '], ["a: [\n", '2:1: '],
              ["M2MRule a '1 = 1' ifTrue=DENY\nM2MRule b '1 = ' ifTrue=DENY\n", '2: .*column'],
              ["M2MToken header:X\n", '1: '], ["M2MRule a 'x\n", '1: '], ["just: this\n", ' '],
              ["{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}", ' '], ['', '1:1: ']) {
    my ($text, $place) = @$case;
    spew('bad', $text);
    $r = ends(m2mctl('', 'check', 'bad', 'jwt.yaml'), 2, 'check of a bad file');
    like($r->{err}, qr/\Abad:$place/, '... says where');
    like($r->{out}, qr/\Ajwt\.yaml: /, '... and goes on with the next');
}
$r = ends(m2mctl('', qw(check --json bad jwt.yaml)), 2, 'check with --json');
is_deeply([map { [@$_{qw(file ok)}] } @{ $r->{json}{files} }],
          [['bad', JSON::PP::false], ['jwt.yaml', JSON::PP::true]], '... tells each file');
spew('traffic.yaml', "unit: MINUTE\napiDefault: 5\n");
spew('grants.txt', "# AUDIENCE CLIENT PERMISSION\nhttps://api.example.com app read write\n");
spew('values.txt', "a\nb 2030-01-01T00:00:00Z\n");
spew('revoked.txt', "jti https://i j\n");
spew('api.yaml', "openapi: 3.1.0\nservers: [{url: /v1}]\nsecurity: []\npaths: {/a: {get: {}, put: {}}}\n");
spew('api.json', '{"swagger":"2.0","parameters":{},"security":[],"paths":{"/a":{"get":{}}}}');
$r = ends(m2mctl('', qw(check traffic.yaml grants.txt values.txt revoked.txt api.yaml)), 0, 'check of every other kind');
like($r->{out}, qr{traffic\.yaml: trafficControl script: limits: 1\ngrants\.txt: grant file: grants: 1\nvalues\.txt: data set: values: 2
revoked\.txt: revocation list: entries: 1\napi\.yaml: OpenAPI document: operations: 2, base: /v1/$}, 'says what each is');
like(ends(m2mctl('', qw(check api.json)), 2, 'an OpenAPI document without a place')->{err}, qr/^api\.json:1:1: .*say base=/, 'says so');
ends(m2mctl('', qw(check --base /v2 api.json)), 0, '... given');
for my $c ([ 'a b c d|' => qr/^bad:1: a permission is/ ], [ "a b c\na b\n" => qr/^bad:2: a grant is/ ], [ "jti https://i\n" => qr/^bad:1: an entry needs/ ],
           [ "unit: WEEK\napiDefault: 5\n" => qr/^bad:1:7: unit/ ], [ '{"x": [1]}' => qr/neither/ ], [ "a b\n" => qr/neither/ ], [ '' => qr/no document/ ],
           [ "openapi: 3.1.0\nservers: [{url: /}]\npaths: {a: {get: {}}}\n" => qr/^bad:3:9: .*begins with \// ]) {
    spew('bad', $c->[0]);
    like(ends(m2mctl('', qw(check bad)), 2, 'check of a bad file')->{err}, $c->[1], 'says what it wants: ' . $c->[0]);
}
for my $c ([ grants => 'grants.txt' ], [ GRANT => 'grants.txt' ], [ trafficcontrol => 'traffic.yaml' ], [ OpenAPI => 'api.yaml' ], [ dataset => 'values.txt' ]) {
    ends(m2mctl('', 'check', '--type', @$c), 0, "--type $c->[0]");
}
ends(m2mctl('', qw(check --type grants values.txt)), 2, 'values are no grants');
ends(m2mctl('', qw(check RS256.key)), 2, 'a private key is not a key to verify with');
ends(m2mctl('', qw(check nosuch)), 2, 'a file that is not there');
ends(m2mctl('', qw(check --type jwks jwt.yaml)), 2, 'a file of another kind');
spew('path.yaml', "parameters: {u: path:id}\nrules: [{name: a, condition: \$u = 'x', "
     . "ifTrue: DENY}]\n");
like(ends(m2mctl('', qw(check path.yaml)), 2, 'path: without a path')->{err}, qr/M2MPath/,
     '... asks for it');
ends(m2mctl('', qw(check --path /{id} path.yaml)), 0, '... given');

chdir '/';
done_testing;
