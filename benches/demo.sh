#!/usr/bin/env bash
# Measures what RESULTS.md reports, as a table: benches/demo.sh [--build]
# With --build also a clean release build, which takes minutes and needs nothing but cargo.
set -euo pipefail
cd "$(dirname "$0")/.."

echo "| what | measured |"
echo "|---|---|"
row() { printf '| %s | %s |\n' "$1" "$2"; }
row machine "$(nproc) × $(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -1), $(uname -sr), $(rustc --version | cut -d' ' -f1-2)"
row commit "$(git describe --always --dirty 2>/dev/null || echo unknown), $(date -u +%F)"

target=$PWD/target
if [ "${1:-}" = --build ]; then
    target=$(mktemp -d)
    trap 'rm -rf "$target"' EXIT
fi
start=$SECONDS
CARGO_TARGET_DIR=$target cargo build --quiet --locked --release -p dr-cli
[ "${1:-}" != --build ] || row "clean release build of \`dr\`" "$((SECONDS - start)) s"
dr=$target/release/dr
crates() { cargo tree --locked --edges "$1" --prefix none --format '{p}' -p "$2" "${@:3}" | cut -d' ' -f1,2 | sort -u | wc -l; }
row "crates in \`dr\`" "$(crates normal dr-cli) (with build scripts $(crates normal,build dr-cli))"
row "crates in the core without its edge" "$(crates normal dr-core --no-default-features)"
row "size of \`dr\`" "$(($(stat -c %s "$dr") / 1024)) KiB"

# The best of twenty: what is measured is dr, and not what else the machine does.
best=$(for _ in $(seq 20); do
    start=$(date +%s%N); "$dr" --version >/dev/null; echo $((($(date +%s%N) - start) / 1000))
done | sort -n | head -1)
row "startup (\`dr --version\`, best of 20)" "$best µs"

for run in 1 2 3; do
    row "\`dr demo\`, run $run" "$(python3 benches/measure.py "$dr" demo)"
done
