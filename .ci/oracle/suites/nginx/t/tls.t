# TLS: the protocols that are spoken, and those that are not (libssl, libcrypto).
use strict;
use warnings;
use Test::More tests => 7;

# What `openssl s_client` says of a connection with these options, on which the front page is asked for.
sub connection {
    my @options = @_;
    my $client = "openssl s_client -connect 127.0.0.1:8443 -servername site.test @options";
    return `printf 'GET / HTTP/1.0\\r\\n\\r\\n' | timeout 10 $client -ign_eof 2>&1`;
}

my $newest = connection();
like $newest, qr{TLSv1\.3, Cipher is TLS_}, 'TLS 1.3 is what both like best';
like $newest, qr{subject=CN ?= ?site\.test}, 'the certificate is the site\'s';
like $newest, qr{HTTP/1\.1 200 OK}, 'the front page is there';
like $newest, qr{<title>The site</title>}, 'it is the front page';

my $older = connection('-tls1_2');
like $older, qr{TLSv1\.2, Cipher is ECDHE-ECDSA-}, 'TLS 1.2 has forward secrecy';
like $older, qr{<title>The site</title>}, 'it is the front page there too';
unlike connection('-tls1_1'), qr{HTTP/1\.1 200 OK}, 'TLS 1.1 is refused';
