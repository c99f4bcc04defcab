# Leaves a process behind that nothing but the end of its container ends: forked twice, in a session of its own, deaf to
# SIGTERM, SIGINT and SIGHUP. $LINGER names it in the host's /proc.
use strict;
use warnings;
use POSIX 'setsid';
use Test::More tests => 3;

sub lingering {
    setsid();
    exit if fork;
    $SIG{$_} = 'IGNORE' for qw(TERM INT HUP);
    open STDIN, '<', '/dev/null';
    open STDOUT, '>', '/dev/null';
    open STDERR, '>', '/dev/null';
    exec 'perl', '-e', "\$SIG{\$_} = 'IGNORE' for qw(TERM INT HUP); sleep 1 while 1; # $ENV{LINGER}";
}

sub arguments {
    open my $file, '<', "$_[0]/cmdline" or return '';
    return <$file> // '';
}

sub found {
    return grep { arguments($_) =~ /# \Q$ENV{LINGER}\E/ } glob '/proc/[0-9]*';
}

my $child = fork // die "no fork: $!";
lingering() unless $child;
waitpid $child, 0;
select undef, undef, undef, 0.5;
my ($process) = map { m{(\d+)$} } found();
ok $process, 'a process has left its parents';
ok kill('TERM', $process // die 'nothing lingers'), 'it can be sent SIGTERM';
select undef, undef, undef, 0.5;
ok scalar(found()), 'it does not care';
