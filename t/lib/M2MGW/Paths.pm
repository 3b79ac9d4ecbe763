# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# Spellings of paths, as data: what some backend reads as a path that httpd reads otherwise,
# and ordinary paths that no guard may refuse. t/pathguard.t sends them through the gateway,
# t/backends/run to real backends as well.
package M2MGW::Paths;

use strict;
use warnings;

# Ways to miss the section $prefix ("/app") and yet be $prefix$rest to some backend: [name, path].
sub missed {
    my ($prefix, $rest) = @_;
    my ($name) = $prefix =~ m{([^/]+)\z};
    my $outer = substr $prefix, 0, length($prefix) - length($name) - 1;
    my $first = sprintf '%%%02x', ord $name;
    my $tail = substr $name, 1;
    return (
        [ 'case', $outer . '/' . uc($name) . $rest ],
        [ 'case of one letter', $outer . '/' . ucfirst($name) . $rest ],
        [ 'parameter', "$prefix;x$rest" ],
        [ 'empty parameter', "$prefix;$rest" ],
        [ 'parameter with a value', "$prefix;jsessionid=1,2$rest" ],
        [ 'encoded parameter', "$prefix%3bx$rest" ],
        [ 'encoded parameter, capital', "$prefix%3Bx$rest" ],
        [ 'parameter encoded twice', "$prefix%253bx$rest" ],
        [ 'a segment that is a parameter', "$outer/;/$name$rest" ],
        [ 'a segment that is a named parameter', "$outer/;a=b/$name$rest" ],
        [ 'dots with a parameter', "$outer/x/..;/$name$rest" ],
        [ 'dots with an encoded parameter', "$outer/x/..%3b/$name$rest" ],
        [ 'dot with a parameter', "$outer/.;/$name$rest" ],
        [ 'dots twice', "$outer/x/y/..;a/..;b/$name$rest" ],
        [ 'encoded slash', $prefix . '%2f' . substr($rest, 1) ],
        [ 'encoded slash, capital', $prefix . '%2F' . substr($rest, 1) ],
        [ 'encoded slash in front', "$outer/%2f$name$rest" ],
        [ 'slash encoded twice', $prefix . '%252f' . substr($rest, 1) ],
        [ 'slash encoded three times', $prefix . '%25252f' . substr($rest, 1) ],
        [ 'encoded slash and dots', "$outer/x%2f..%2f$name$rest" ],
        [ 'dots encoded twice', "$outer/x/%252e%252e/$name$rest" ],
        [ 'a letter encoded twice', "$outer/%25" . substr($first, 1) . "$tail$rest" ],
        [ 'backslash', $prefix . '\\' . substr($rest, 1) ],
        [ 'encoded backslash', $prefix . '%5c' . substr($rest, 1) ],
        [ 'backslash and dots', "$outer/x\\..\\$name$rest" ],
        [ 'backslash in front', "$outer/\\$name$rest" ],
        [ 'line feed at the end', "$prefix%0a$rest" ],
        [ 'blank at the end', "$prefix%20$rest" ],
        [ 'tab at the end', "$prefix%09$rest" ],
        [ 'NUL encoded twice', "$prefix%2500$rest" ],
        [ 'parameter, then an encoded slash', "$outer/;%2f$name$rest" ],
        [ 'case and parameter', $outer . '/' . uc($name) . ";x$rest" ],
    );
}

# Ways to be in the open section $prefix ("/app/public") and yet be $target ("/admin" beside
# it) to some backend.
sub left {
    my ($prefix, $target) = @_;
    return (
        [ 'dots with a parameter', "$prefix/..;$target" ],
        [ 'dots with a named parameter', "$prefix/..;x=y$target" ],
        [ 'dots with an encoded parameter', "$prefix/..%3b$target" ],
        [ 'encoded slashes', "$prefix%2f..%2f" . substr($target, 1) ],
        [ 'slashes encoded twice', "$prefix%252f..%252f" . substr($target, 1) ],
        [ 'dots encoded twice', "$prefix/%252e%252e$target" ],
        [ 'backslashes', "$prefix\\..\\" . substr($target, 1) ],
        [ 'encoded backslashes', "$prefix%5c..%5c" . substr($target, 1) ],
        [ 'dots and a blank', "$prefix/..%20$target" ],
        [ 'dots and a tab', "$prefix/..%09$target" ],
    );
}

# What clients really ask for.
sub ordinary {
    return (
        [ 'the root of it', '/o' ],
        [ 'a slash at the end (Django)', '/o/articles/2024/' ],
        [ 'OData', '/o/Products(1)/Category' ],
        [ 'OData key', "/o/People('a')/\$value" ],
        [ 'ids in mixed case', '/o/items/AbC9xYz' ],
        [ 'GitLab', '/o/projects/group%2Fproject' ],
        [ 'CalDAV', '/o/calendars/__uids__/10000000-0000-0000-0000-000000000001/' ],
        [ 'CalDAV event', '/o/cal/Work/A-B_C.ics' ],
        [ 'S3 keys', '/o/bucket//key//with//slashes' ],
        [ 'blank', '/o/a%20b/c' ],
        [ 'blank at the end', '/o/a%20/c' ],
        [ 'plus', '/o/a%2Bb' ],
        [ 'per cent', '/o/100%25' ],
        [ 'per cent inside', '/o/100%25/of' ],
        [ 'UTF-8', '/o/caf%C3%A9/%D1%85' ],
        [ 'UTF-8 that ends in an odd byte', '/o/%C3%A0' ],
        [ 'json', '/o/a.json' ],
        [ 'dots inside', '/o/a..b' ],
        [ 'three dots', '/o/.../x' ],
        [ 'a dot file', '/o/.well-known/x' ],
        [ 'parameters', '/o/a;v=1/b' ],
        [ 'matrix', '/o/m;a=1;b=2' ],
        [ 'at and colon', '/o/@user:1' ],
        [ 'tilde', '/o/~user/x' ],
        [ 'a query like a path', '/o?next=/APP/admin;x%2f..' ],
    );
}

1;
