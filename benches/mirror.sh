#!/usr/bin/env bash
# Measures mirroring beside rsync, rclone, unison, tar and plain ssh, and prints a table for RESULTS.md:
#   benches/mirror.sh [--quick] [--only T1,T5] [--lines loop,wan] [--runs N] [--dr PROGRAM] [--dir DIR] [--json FILE]
# Everything runs on this machine: an sshd of its own on loopback, and a proxy in front of it for lines that are far away.
# It needs openssh-server and python3; peers that are not installed are said to be absent.
set -euo pipefail
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-$PWD/target}
cargo build --quiet --release --locked -p dr-benches
case " $* " in
    *" --dr "*) ;;
    *) cargo build --quiet --release --locked -p dr-cli; set -- --dr "$target/release/dr" "$@" ;;
esac
exec python3 benches/mirror/run.py --tools "$target/release" "$@"
