"""Runs a command and says how long it took and how much memory it and everything it started had together at most.

Memory is the proportional set size (proc_pid_smaps_rollup): what is shared between processes counts once.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path


def parents() -> dict[int, int]:
    tree = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                # The name in parentheses may hold anything; what comes after it does not.
                tree[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    return tree


def family(root: int) -> list[int]:
    tree = parents()
    members, new = {root}, {root}
    while new:
        new = {child for child, parent in tree.items() if parent in new} - members
        members |= new
    return list(members)


def memory_kib(process: int) -> int:
    try:
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    except OSError:
        pass
    return 0


def main() -> int:
    started = time.monotonic()
    child = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak = most = 0
    while child.poll() is None:
        members = family(child.pid)
        peak, most = max(peak, sum(map(memory_kib, members))), max(most, len(members))
        time.sleep(0.02)
    took = time.monotonic() - started
    print(f"{took:.2f} s, {peak / 1024:.0f} MiB in {most} process{'es' if most != 1 else ''}, exit {child.returncode}")
    return child.returncode


if __name__ == "__main__":
    os.chdir(Path(__file__).resolve().parents[1])
    sys.exit(main())
