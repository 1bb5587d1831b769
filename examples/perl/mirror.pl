#!/usr/bin/perl
# Mirror a website from Perl: mirror.pl SOURCE TARGET JOURNAL. Needs FFI::Platypus (libffi-platypus-perl).
use strict;
use warnings;
use FFI::Platypus 2.00;
use JSON::PP;

my $ffi = FFI::Platypus->new(api => 2, lib => $ENV{DR_LIBRARY} || 'libdr.so');
$ffi->type('(string,opaque)->int' => 'progress');
my %dr = map { my ($name, $result, @words) = @$_; $name => $ffi->function("dr_$name" => [@words] => $result) } (
    [toolkit_new => 'opaque'],
    [toolkit_set_json => 'int', 'opaque', 'string', 'string', 'opaque*'],
    [toolkit_set_progress => 'void', 'opaque', 'progress', 'opaque'],
    [toolkit_free => 'void', 'opaque'],
    [request_new => 'opaque', 'string'],
    [request_set_json => 'int', 'opaque', 'string', 'string', 'opaque*'],
    [request_free => 'void', 'opaque'],
    [call => 'int', 'opaque', 'opaque', 'opaque*', 'opaque*'],
    [answer_json => 'string', 'opaque'],
    [answer_free => 'void', 'opaque'],
    [error_message => 'string', 'opaque'],
    [error_hint => 'string', 'opaque'],
    [error_free => 'void', 'opaque'],
);
my $json = JSON::PP->new->utf8->allow_nonref;

# Its error, if there is one, is died of: { code, message, hint }.
sub ask {
    my ($name, @words) = @_;
    my $failure;
    my $status = $dr{$name}->call(@words, \$failure);
    return if $status == 0;
    my %why = (code => $status, map { $_ => $dr{"error_$_"}->call($failure) } qw(message hint));
    $dr{error_free}->call($failure);
    die \%why;
}

# Calls any operation (docs/PARITY.md) with a request as docs/schema has it. What $progress, which is called with each event, dies of
# stops the operation, and comes out.
sub dr {
    my ($operation, $request, $settings, $progress) = @_;
    my ($toolkit, $asked) = ($dr{toolkit_new}->call, $dr{request_new}->call($operation));
    my ($answer, $died);
    # Nothing may die through C: it is kept until the call has returned.
    my $hear = $ffi->closure(sub { eval { $progress->($json->decode($_[0])); 1 } ? 0 : do { $died //= $@; 1 } });
    my $done = eval {
        ask('toolkit_set_json', $toolkit, $_, $json->encode($settings->{$_})) for keys %{ $settings || {} };
        ask('request_set_json', $asked, $_, $json->encode($request->{$_})) for keys %$request;
        $dr{toolkit_set_progress}->call($toolkit, $hear, undef) if $progress;
        ask('call', $toolkit, $asked, \$answer);
        $json->decode($dr{answer_json}->call($answer));
    };
    my $failure = $died // $@;
    $dr{answer_free}->call($answer);
    $dr{request_free}->call($asked);
    $dr{toolkit_free}->call($toolkit);
    die $failure if $failure;
    return $done;
}

my ($source, $target, $journal) = map { $_ // '' } @ARGV[0 .. 2];
my $show = sub {
    my ($event) = @_;
    printf STDERR "\r%-8s%d bytes", @$event{qw(phase done)} if $event->{event} eq 'progress' && $event->{unit} eq 'bytes';
};
my $done = eval { dr('mirror', { source => $source, target => $target }, { journal => $journal }, $show) };
if (my $why = $@) {
    die $why unless ref $why;
    print STDERR "\n$why->{message}", defined $why->{hint} ? " -> $why->{hint}" : '', "\n";
    exit $why->{code};
}
my $summary = $done->{summary};
print "$summary->{created} created, $summary->{updated} updated, $summary->{deleted} deleted\n";
