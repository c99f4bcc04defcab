# Compression: where it is asked for and worth it, and that the content survives (zlib).
use strict;
use warnings;
use lib '/srv/t';
use IO::Uncompress::Gunzip qw(gunzip $GunzipError);
use Site;
use Test::More tests => 7;

my $plain = request('GET', '/docs/style.css');
is $plain->{headers}{'content-encoding'}, undef, 'who does not ask gets it plain';

my $small = request('GET', '/docs/style.css', 'Accept-Encoding' => 'gzip');
is $small->{headers}{'content-encoding'}, 'gzip', 'who asks gets it compressed';
is $small->{headers}{vary}, 'Accept-Encoding', 'caches are told';
ok length $small->{content} < length($plain->{content}) / 2, 'it is less than half';
my $body = $small->{content};
ok gunzip(\$body => \my $text), 'it can be read' or diag $GunzipError;
is $text, $plain->{content}, 'it is the same';
is header('/docs/short.css', 'content-encoding', 'Accept-Encoding' => 'gzip'), undef, 'what is short stays plain';
