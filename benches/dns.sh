#!/usr/bin/env bash
# Measures checks of many zones on six name servers beside dig and dnspython, and prints a table for RESULTS.md:
#   benches/dns.sh [--zones N] [--runs N] [--dr PROGRAM] [--json FILE]
# The servers run on this machine (tests/lab): it needs what ./test needs, dnsutils (dig) and python3-dnspython; peers that are not
# installed are said to be absent.
set -euo pipefail
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-$PWD/target}
cargo build --quiet --locked -p dr-tests --example dns_lab
case " $* " in
    *" --dr "*) ;;
    *) cargo build --quiet --release --locked -p dr-cli; set -- --dr "$target/release/dr" "$@" ;;
esac
exec python3 benches/dns/run.py --lab "$target/debug/examples/dns_lab" "$@"
