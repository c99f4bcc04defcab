# Headers, and the requests that depend on them.
use strict;
use warnings;
use lib '/srv/t';
use Site;
use Test::More tests => 13;

is header('/', 'server'), 'nginx', 'the server hides its version';
is header('/', 'x-content-type-options'), 'nosniff', 'types are not to be guessed';
is header('/no', 'x-content-type-options'), 'nosniff', 'nor those of a missing page';
is header('/', 'content-type'), 'text/html', 'a page is HTML';
is header('/docs/style.css', 'content-type'), 'text/css', 'a style sheet is CSS';
is header('/items/1', 'content-type'), 'application/json', 'an item is JSON';
is header('/assets/style.css', 'cache-control'), 'max-age=3600', 'assets are kept for an hour';
is header('/', 'cache-control'), undef, 'pages are not kept';

my $page = request('HEAD', '/');
is $page->{content} // '', '', 'HEAD has no body';
ok $page->{headers}{'content-length'} > 0, 'HEAD knows the length';
is request('GET', '/', 'If-None-Match' => $page->{headers}{etag})->{status}, 304, 'a known tag is not sent again';
is request('GET', '/', 'If-Modified-Since' => $page->{headers}{'last-modified'})->{status}, 304, 'nor a known date';

my $part = request('GET', '/', 'Range' => 'bytes=0-8');
is "$part->{status} $part->{content}", '206 <!doctype', 'a part can be asked for';
