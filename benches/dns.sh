#!/usr/bin/env bash
# Measures checks of many zones on six name servers beside dig and dnspython, and prints a table for RESULTS.md:
#   benches/dns.sh [--zones N] [--runs N] [--dr PROGRAM] [--json FILE]
# Measures changes of many zones at BIND with its secondaries, Knot and PowerDNS, every server being asked all the while what it shows:
#   benches/dns.sh change [--zones N] [--runs N] [--kinds bind,bind-defaults,knot,powerdns] [--mark] [--dr PROGRAM] [--json FILE]
# The servers run on this machine (tests/lab): it needs what ./test needs, dnsutils (dig) and python3-dnspython; peers that are not
# installed are said to be absent.
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
