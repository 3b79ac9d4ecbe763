#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# The status page in a real browser, headless: axe finds nothing serious, in light and dark, and at
# 400 px no word is broken and nothing scrolls sideways: the rows of tables are cards there, in which each
# value has its column's name. Needs Chromium, and axe-core and
# playwright-core below M2MGW_BROWSER (npm install --prefix DIR axe-core playwright-core); passes
# without them. Screenshots go to M2MGW_SHOTS.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP ();
use M2MGW::Test;

my ($chromium) = grep { -x } '/usr/bin/chromium', '/usr/bin/chromium-browser';
my $dir = $ENV{M2MGW_BROWSER} // M2MGW::Test::build_dir() . '/browser';
plan skip_all => 'no Chromium, or no axe-core and playwright-core below ' . $dir
    if !$chromium || !-d "$dir/node_modules/axe-core" || !-d "$dir/node_modules/playwright-core";

my $t = M2MGW::Test->start(files => { 'keys.json' => jwks_json(jwk('p256', kid => 'a-key-with-a-rather-long-name-2026-11-29')) }, config => <<'CONF');
M2MReplayStore shm entries=1024
ProxyPass /status !
ProxyPass / http://@BACKEND@/
<Location /status>
    SetHandler m2m-status
</Location>
<Location /ops>
    M2MJwks file:@ROOT@/keys.json
    M2MOperation GET /ops/users/{id} scope=read name=getUserByItsIdentifier
    M2MParameter q Query:q
    M2MRule denied "$q = '1'" ifTrue=DENY
    M2MLimit perCaller * 1000/1s
</Location>
<Location /shadow>
    M2MJwks file:@ROOT@/keys.json
    M2MEngine Shadow
</Location>
<Location /unreachable>
    M2MJwks http://127.0.0.1:9/jwks
</Location>
CONF
my $kid = 'a-key-with-a-rather-long-name-2026-11-29';
my $token = mint('p256', { scope => 'read', client_id => 'app_orders' }, { kid => $kid });
$t->get('/ops/users/7', token => $token) for 1 .. 5;
$t->get('/ops/users/7?q=1', token => $token);
$t->get('/ops/users/7');
$t->get('/ops/users/7', token => mint('p256', { exp => time - 1000 }, { kid => $kid }));
$t->get('/shadow');
$t->get('/unreachable', token => $token);
$t->let_finish;

my $shots = $ENV{M2MGW_SHOTS} // "$t->{root}/shots";
mkdir $shots;
spew("$t->{root}/look.js", <<'JS');
const [, , dir, chromium, profile, shots, url] = process.argv;
const { chromium: browserType } = require(dir + '/node_modules/playwright-core');
const axe = require('fs').readFileSync(dir + '/node_modules/axe-core/axe.min.js', 'utf8');
(async () => {
    const context = await browserType.launchPersistentContext(profile, { executablePath: chromium, headless: true,
        args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
               '--disable-component-update', '--disable-sync'] });
    const page = await context.newPage();
    const found = [];
    for (const [width, scheme] of [[1280, 'light'], [1280, 'dark'], [400, 'light'], [400, 'dark']]) {
        await page.setViewportSize({ width, height: 900 });
        await page.emulateMedia({ colorScheme: scheme });
        await page.goto(url);
        await page.evaluate(axe);
        const report = await page.evaluate(() => axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'best-practice'] }));
        const layout = await page.evaluate(() => {
            const range = document.createRange(), broken = [];
            const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
            for (let node = walker.nextNode(); node; node = walker.nextNode()) {
                for (const word of node.data.matchAll(/[A-Za-z]{2,24}/g)) {
                    range.setStart(node, word.index);
                    range.setEnd(node, word.index + word[0].length);
                    const tops = new Set([...range.getClientRects()].map(r => Math.round(r.top)));
                    if (tops.size > 1) broken.push(word[0]);
                }
            }
            const sideways = [...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth)
                .map(e => e.getAttribute('aria-label'));
            const named = [...document.querySelectorAll('.wide td, .wide tbody th')].filter(e => e.textContent !== '')
                .map(e => [e, getComputedStyle(e, '::before').content, e.closest('table').querySelectorAll('thead th')[e.cellIndex].textContent]);
            const cards = named.filter(([e, label, name]) => label === JSON.stringify(name)).length;
            const long = named.filter(([e, label]) => label !== 'none'
                && parseFloat(getComputedStyle(e, '::before').width) > parseFloat(getComputedStyle(e).paddingLeft)).map(([, label]) => label);
            return { broken, sideways, long, cards, values: named.length, overflow: document.documentElement.scrollWidth - window.innerWidth, scripts: document.scripts.length };
        });
        found.push({ width, scheme, ...layout, violations: report.violations.map(v => ({ id: v.id, impact: v.impact, nodes: v.nodes.length,
            html: v.nodes[0].html.slice(0, 120), why: v.nodes[0].failureSummary })) });
        await page.screenshot({ path: `${shots}/${width}-${scheme}.png`, fullPage: true });
    }
    await context.close();
    console.log(JSON.stringify(found));
})().catch(error => { console.error(error); process.exit(1) });
JS
my $url = 'http://127.0.0.1:' . $t->port . '/status';
my $said = `HOME=$t->{root} node $t->{root}/look.js $dir $chromium $t->{root}/profile $shots $url 2>$t->{root}/browser.err`;
is($?, 0, 'the browser looks at the page') or diag(slurp("$t->{root}/browser.err"));
my $found = eval { JSON::PP->new->utf8->decode($said) } // [];
is(scalar @$found, 4, 'four times');
for my $look (@$found) {
    my $name = "$look->{width} px, $look->{scheme}";
    my @serious = grep { ($_->{impact} // '') =~ /serious|critical|moderate/ } @{ $look->{violations} };
    is(scalar @serious, 0, "$name: axe finds nothing") or diag(JSON::PP->new->pretty->encode(\@serious));
    is($look->{overflow} > 0 ? $look->{overflow} : 0, 0, "$name: the page itself does not scroll sideways");
    is(join(' ', @{ $look->{broken} }), '', "$name: no word is broken");
    is($look->{scripts}, 0, "$name: no script");
    is(join(', ', @{ $look->{sideways} }), '', "$name: no table scrolls sideways");
    is(join(', ', @{ $look->{long} }), '', "$name: no name of a column is longer than its place");
    cmp_ok($look->{values}, '>', 20, "$name: tables have values");
    is($look->{cards}, $look->{width} == 400 ? $look->{values} : 0, "$name: " . ($look->{width} == 400 ? 'each value has its column\'s name' : 'a table is a table'));
}
$t->expect_log(qr/M2-\d\d\d/);
$t->finish;
