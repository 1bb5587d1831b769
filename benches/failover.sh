#!/usr/bin/env bash
# Measures failover by agents, and prints tables for RESULTS.md:
#   benches/failover.sh deaths [--runs N] [--fault NAME]   seconds from a fault to the switch, beside gdnsd and keepalived
#   benches/failover.sh partition             how long both hosts hold a site when only the line to one fails, beside keepalived
#   benches/failover.sh idle [--sites N]      processor and memory of the agents
#   benches/failover.sh host [--sites N]      seconds to move all sites of a dead host by one plan
# With --dr PROGRAM another build of dr. Real sshd, nginx and BIND in network namespaces that end with it: it needs root, and what
# ./test needs; gdnsd and keepalived are said to be absent if they are not installed.
set -euo pipefail
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-$PWD/target}
case " $* " in
    *" --dr "*) ;;
    *) cargo build --quiet --release --locked -p dr-cli; set -- "$@" --dr "$target/release/dr" ;;
esac
# Whatever happens, everything that was started ends with it. The shell stays: whose parent has ended, its first process must bury.
exec unshare --net --pid --fork --kill-child --mount-proc \
    bash -c 'ip link set lo up; python3 benches/failover/run.py "$@"; exit $?' failover "$@"
