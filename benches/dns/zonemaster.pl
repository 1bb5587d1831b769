# All tests of Zonemaster-Engine for some zones, in one process: zonemaster.pl ZONES ADDRESS=PORT...
# Zonemaster asks port 53 alone; here every address of the lab is asked at the port of its server. The last address is the root's.
use strict;
use warnings;
use Zonemaster::Engine;
use Zonemaster::Engine::Nameserver;
use Zonemaster::Engine::Net::IP;
use Zonemaster::Engine::Profile;
use Zonemaster::Engine::Recursor;

my ($file, @places) = @ARGV;
my %port = map { split /=/ } @places;
my ($root) = split /=/, $places[-1];

my $build    = Zonemaster::Engine::Nameserver->can('_build_dns');
my $loopback = Zonemaster::Engine::Net::IP->new('127.0.0.1');
{
    no warnings 'redefine';
    *Zonemaster::Engine::Nameserver::_build_dns = sub {
        my ($self) = @_;
        my $port = $port{$self->address->ip} or return $build->($self);
        my $resolver = $build->(bless {%$self, address => $loopback}, ref $self);
        $resolver->port($port);
        return $resolver;
    };
}

Zonemaster::Engine::Profile->effective->set('net.ipv6', 0);
Zonemaster::Engine::Recursor->remove_fake_addresses('.');
Zonemaster::Engine::Recursor->add_fake_addresses('.', {'a.root-servers.test' => [$root]});

open my $zones, '<', $file or die "$file: $!";
my %levels;
while (my $zone = <$zones>) {
    chomp $zone;
    $levels{$_->level}++ for Zonemaster::Engine->test_zone($zone);
}
my $questions = 0;
$questions += scalar @{$_->times} for Zonemaster::Engine::Nameserver->all_known_nameservers;
print "{\"questions\": $questions, \"said\": \"", join(', ', map { "$_ $levels{$_}" } sort keys %levels), "\"}\n";
