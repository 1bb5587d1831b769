"""The vectors of tests/vectors through a program that calls: PROGRAM OPERATION SETTINGS REQUEST prints `answer JSON` or `error JSON`.

Every surface runs the same vectors: Rust in the documents test, Python in its checks, C by way of this.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

VECTORS = Path(__file__).resolve().parents[1] / "vectors" / "calls.json"


def within(expected, got) -> bool:
    """Whether everything that is expected is there; of lists, the first ones. An empty list is an empty list."""
    if isinstance(expected, dict):
        return isinstance(got, dict) and all(name in got and within(value, got[name]) for name, value in expected.items())
    if isinstance(expected, list):
        return isinstance(got, list) and len(got) >= len(expected) and bool(got) == bool(expected) and all(map(within, expected, got))
    return expected == got


def run(call, command=None) -> int:
    """Each vector through ``call(operation, settings, request)``, which gives "answer" or "error" and its JSON; how many there were."""
    with tempfile.TemporaryDirectory() as directory:
        site = Path(directory) / "site"
        site.mkdir()
        (site / "page").write_text("one")
        vectors = json.loads(VECTORS.read_text().replace("$DIR", directory))
        for vector in vectors:
            said, text = call(vector["operation"], json.dumps(vector.get("settings", {})), json.dumps(vector["request"]))
            assert said in vector and within(vector[said], json.loads(text)), f"{vector['what']}: {said} {text:.600}"
            if command is not None and "command" in vector:
                code = vector.get("exit", vector.get("error", {}).get("code"))
                done = command(vector["command"])
                assert done.returncode == code, f"{vector['what']}: {code} was expected of the command: {done}"
        return len(vectors)


def main(program: str) -> int:
    def call(operation, settings, request):
        done = subprocess.run([program, operation, settings, request], capture_output=True, text=True, check=True)
        said, _, text = done.stdout.partition(" ")
        return said, text

    print(f"{run(call)} vectors")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
