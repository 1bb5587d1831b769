#!/usr/bin/env bash
# Measures the Python package beside obstore and opendal, and the C library, and prints tables for RESULTS.md:
#   benches/bindings.sh [--exits N]
# The packages of others come from the package index, into an environment of its own.
set -euo pipefail
cd "$(dirname "$0")/.."

export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
environment=$CARGO_TARGET_DIR/bench-venv
[ -x "$environment/bin/python" ] || python3 -m venv "$environment"
"$environment/bin/pip" install --quiet 'maturin>=1.9,<2' obstore opendal
rm -rf "$CARGO_TARGET_DIR/bench-wheel"
PATH=$environment/bin:$PATH "$environment/bin/maturin" build --quiet --release --locked --strip --compatibility off \
    --manifest-path dr-python/Cargo.toml --out "$CARGO_TARGET_DIR/bench-wheel"
"$environment/bin/pip" install --quiet --force-reinstall --no-deps "$CARGO_TARGET_DIR"/bench-wheel/*.whl
cargo build --quiet --release --locked -p dr-ffi
gcc -O2 -I dr-ffi/include benches/bindings/noop.c -o "$CARGO_TARGET_DIR/bench-noop" -L "$CARGO_TARGET_DIR/release" -l:libdr.so \
    -Wl,-rpath,"$CARGO_TARGET_DIR/release"
"$environment/bin/python" benches/bindings/run.py --wheel "$CARGO_TARGET_DIR"/bench-wheel/*.whl \
    --library "$CARGO_TARGET_DIR/release/libdr.so" --noop "$CARGO_TARGET_DIR/bench-noop" "$@"

printf '\n| crashes of the exits after 200 awaits, Python | dr | obstore | opendal |\n|---|---|---|---|\n'
for python in "$HOME"/.pyenv/versions/3.*/bin/python3 /usr/bin/python3; do
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 9))' 2>/dev/null || continue
    one=$CARGO_TARGET_DIR/bench-venvs/$("$python" -c 'import sys; print(sys.version.split()[0])')
    [ -x "$one/bin/python" ] || "$python" -m venv "$one"
    "$one/bin/pip" install --quiet --force-reinstall --no-deps "$CARGO_TARGET_DIR"/bench-wheel/*.whl
    # Where others have no package for this Python, the table says so.
    for other in obstore opendal; do "$one/bin/pip" install --quiet --only-binary :all: "$other" || true; done
    "$one/bin/python" benches/bindings/run.py "$@"
done
