#!/usr/bin/env bash
# Measures checks of many zones on six name servers beside dig, dnsperf, sendmmsg alone, dnspython, dnsviz and Zonemaster-Engine, then the same
# with one of the six silent, and prints tables for RESULTS.md:
#   benches/dns.sh [--zones N] [--runs N] [--peers raw,dig,dnsperf,dnspython,dnsviz,zonemaster] [--few N] [--dr PROGRAM] [--json FILE]
# Measures changes of many zones at BIND with its secondaries, Knot and PowerDNS beside nsupdate, every server being asked all the while what
# it shows:
#   benches/dns.sh change [--zones N] [--runs N] [--kinds bind,bind-defaults,knot,powerdns] [--mark] [--dr PROGRAM] [--json FILE]
# The servers run on this machine (tests/lab): it needs what ./test needs, a C compiler, and for the peers
#   apt-get install bind9-dnsutils dnsperf python3-dnspython dnsviz zonemaster-cli
# Those that are not installed are said to be absent. Nothing else is fetched.
set -euo pipefail
cd "$(dirname "$0")/.."

what=run
if [ "${1:-}" = change ]; then
    what=change
    shift
fi
target=${CARGO_TARGET_DIR:-$PWD/target}
cargo build --quiet --locked -p dr-tests --example dns_lab
case " $* " in
    *" --dr "*) ;;
    *) cargo build --quiet --release --locked -p dr-cli; set -- --dr "$target/release/dr" "$@" ;;
esac
exec python3 "benches/dns/$what.py" --lab "$target/debug/examples/dns_lab" "$@"
