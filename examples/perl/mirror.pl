#!/usr/bin/perl
# Mirror a website from Perl: mirror.pl SOURCE TARGET JOURNAL. Needs FFI::Platypus (libffi-platypus-perl).
use strict;
use warnings;
use FFI::Platypus 2.00;
use JSON::PP;

my $ffi = FFI::Platypus->new(api => 2, lib => $ENV{DR_LIBRARY} || 'libdr.so');
# The answer is ours to give back, so it stays a pointer until it was read.
my $call_json = $ffi->function(dr_call_json => ['string', 'string', 'string', 'opaque*', 'opaque*'] => 'int');
my $free = $ffi->function(dr_string_free => ['opaque'] => 'void');
my %error = map { $_ => $ffi->function("dr_error_$_" => ['opaque'] => $_ eq 'free' ? 'void' : 'string') } qw(message hint free);
my $json = JSON::PP->new->utf8;

# Calls any operation (docs/PARITY.md) with a request as docs/schema has it. Dies with { code, message, hint }.
sub dr {
    my ($operation, $request, $settings) = @_;
    my ($answer, $failure);
    my $status = $call_json->call($operation, $json->encode($settings || {}), $json->encode($request), \$answer, \$failure);
    if ($status != 0) {
        my %why = (code => $status, map { $_ => $error{$_}->call($failure) } qw(message hint));
        $error{free}->call($failure);
        die \%why;
    }
    my $text = $ffi->cast('opaque' => 'string', $answer);
    $free->call($answer);
    return $json->decode($text);
}

my ($source, $target, $journal) = map { $_ // '' } @ARGV[0 .. 2];
my $done = eval { dr('mirror', { source => $source, target => $target }, { journal => $journal }) };
if (my $why = $@) {
    die $why unless ref $why;
    print STDERR $why->{message}, defined $why->{hint} ? " -> $why->{hint}" : '', "\n";
    exit $why->{code};
}
my $summary = $done->{summary};
print "$summary->{created} created, $summary->{updated} updated, $summary->{deleted} deleted\n";
