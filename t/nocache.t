#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# mod_cache and pages that include what is protected (SSI): an open page that holds one caller's
# data is neither stored nor served to another one, however much of it was on its way when the
# protected part came. What includes nothing of the kind is stored as ever.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use M2MGW::Test;

my $long = join '', map { sprintf "line %06d of a page that is longer than any buffer\n", $_ } 1 .. 4000;
my $cgi = "#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\ndata of %s' \"\$REMOTE_USER\"\n";
my %page = (
    'public.shtml' => 'A <!--#include virtual="/data/x.cgi" --> Z',
    'small.shtml' => 'A <!--#include virtual="/data/x.cgi" --> Z',
    'long.shtml' => $long . 'A <!--#include virtual="/data/x.cgi" --> Z' . $long,
    'nested.shtml' => $long . '<!--#include virtual="/page/small.shtml" -->' . $long,
    'proxied.shtml' => $long . '<!--#include virtual="/data/backend" -->',
    'open.shtml' => $long . 'A <!--#include virtual="/open.txt" --> Z',
    'index.shtml' => $long . 'A <!--#include virtual="/data/x.cgi" --> Z',
);
for my $quick (qw(On Off)) {
    my $t = M2MGW::Test->start(
        modules => ['expires'], files => { 'k.json' => jwk_json('oct'), 'htdocs/open.txt' => 'open', 'htdocs/data/x.cgi' => $cgi,
                   map { ("htdocs/page/$_" => $page{$_}) } keys %page }, config => <<"CONF");
CacheQuickHandler $quick
CacheRoot \@ROOT\@/cache
CacheEnable disk /
CacheHeader On
CacheDefaultExpire 3600
CacheIgnoreCacheControl On
CacheIgnoreNoLastMod On
CacheStorePrivate On
CacheStoreNoStore On
ExpiresActive On
ExpiresByType text/html A600
<Location /page/public.shtml>
    Header always set Cache-Control "public, max-age=60"
</Location>
<Directory \@DOCROOT\@>
    Options +Includes +ExecCGI
    AddType text/html .shtml
    AddOutputFilter INCLUDES .shtml
    AddHandler cgi-script .cgi
    DirectoryIndex index.shtml
</Directory>
ProxyPass /data/backend http://\@BACKEND\@/data
<Location /data>
    M2MJwks file:\@ROOT\@/k.json
    M2MUserClaim sub
    M2MToken header:X-Token header:Authorization
</Location>
CONF
    my $alice = mint('oct', { sub => 'alice' });
    for my $page (map({ "page/$_" } sort keys %page), 'page/') {
        my $open = $page =~ /open/;
        my @r = map { $t->get("/$page", headers => [ 'X-Token' => $alice ]) } 1, 2;
        my @anonymous = map { $t->get("/$page") } 1, 2;
        my @hits = map { ($_->header('X-Cache') // '') =~ /HIT/ ? 1 : 0 } @r, @anonymous;
        is("@hits", $open ? '0 1 1 1' : '0 0 0 0', "quick $quick, /$page: " . ($open ? 'control: is stored' : 'is not stored'));
        ok($r[0]->body =~ ($open ? qr/A open Z/ : $page =~ /proxied/ ? qr/\S\n?\z/ : qr/A data of alice Z/), "quick $quick, /$page: with a token it is whole");
        for my $r ($open ? $r[0] : @r) { # whatever of the page had gone when the protected part came
            like($r->header('Cache-Control'), qr/\bprivate\b/, "quick $quick, /$page: private with a token");
            unlike($r->header('Cache-Control'), qr/\bpublic\b/, "quick $quick, /$page: and not public");
        }
        unlike($anonymous[0]->header('Cache-Control'), qr/\bprivate\b/, "quick $quick, /$page: control: without one it is nobody's");
        ok($_->body !~ /alice/, "quick $quick, /$page: nobody else sees the data") for @anonymous;
        is($_->reached, 0, "quick $quick, /$page: nothing is fetched for them") for @anonymous;
        is(length $r[0]->body >= length $long, $page !~ /small|public/, "quick $quick, /$page: nothing of the page is lost");
    }
    $t->expect_log(qr/unable to include|\[include:error\]|AH01276/);
    $t->finish(more => $quick eq 'On');
}
