# Pages: what is there, what is not, and what may not be seen.
use strict;
use warnings;
use lib '/srv/t';
use Site;
use Test::More tests => 14;

my $front = request('GET', '/');
is $front->{status}, 200, 'the front page is there';
like $front->{content}, qr{<title>The site</title>}, 'it is the front page';
is request('GET', '/index.html')->{content}, $front->{content}, 'it has a name too';
like request('GET', '/docs/')->{content}, qr{All of them}, 'a folder shows its index';
is request('GET', '/docs')->{status}, 301, 'a folder without its slash is elsewhere';
is request('GET', '/old')->{headers}{location}, 'http://127.0.0.1:8080/docs/', 'a moved page says where';

my $missing = request('GET', '/no/such/page');
is $missing->{status}, 404, 'a missing page is 404';
like $missing->{content}, qr{No such page}, 'a missing page says so';
is request('GET', '/missing.html')->{status}, 404, 'the page for missing pages is no page';
is request('GET', '/private/key')->{status}, 403, 'what is private is refused';
is request('POST', '/')->{status}, 405, 'a static page takes no data';
is request('GET', '/../../etc/passwd')->{status}, 400, 'nobody climbs out of the root';
is request('GET', '/items/42')->{content}, '{"item":42}', 'a pattern matches, and captures';
is request('GET', '/items/x')->{status}, 404, 'a pattern does not match what it should not';
