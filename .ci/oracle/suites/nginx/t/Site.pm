package Site;

# What the tests of the site share: a browser without opinions.
use strict;
use warnings;
use Exporter 'import';
use HTTP::Tiny;

our @EXPORT = qw(request header);

my $browser = HTTP::Tiny->new(max_redirect => 0, timeout => 10);

sub request {
    my ($method, $path, %headers) = @_;
    return $browser->request($method, "http://127.0.0.1:8080$path", { headers => \%headers });
}

sub header {
    my ($path, $name, %headers) = @_;
    return request('GET', $path, %headers)->{headers}{$name};
}

1;
