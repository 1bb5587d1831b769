#!/usr/bin/env bash
# Measures keys beside OpenSSH's own tools, and prints a table for RESULTS.md:
#   benches/keys.sh [--runs N] [--lines N] [--dr PROGRAM] [--inside PROGRAM] [--json FILE]
# The host runs on this machine (tests/lab), in namespaces of its own: it needs root, and what ./test needs.
set -euo pipefail
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-$PWD/target}
cargo build --quiet --locked -p dr-tests --example ssh_lab
case " $* " in
    *" --dr "*) ;;
    *) cargo build --quiet --release --locked -p dr-cli; set -- --dr "$target/release/dr" "$@" ;;
esac
case " $* " in
    *" --inside "*) ;;
    *) cargo build --quiet --release --locked -p dr-benches --example keys; set -- --inside "$target/release/examples/keys" "$@" ;;
esac
exec python3 benches/keys/run.py --lab "$target/debug/examples/ssh_lab" "$@"
