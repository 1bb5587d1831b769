"""Runs a command and tells what it cost: time, processor at both ends, bytes on the line, memory at both ends."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Cost:
    """One run. None is what was not looked at."""

    wall_s: float
    here_cpu_s: float
    there_cpu_s: float
    up_bytes: int | None = None
    down_bytes: int | None = None
    here_kib: int | None = None
    there_kib: int | None = None
    failure: str | None = None


def parents() -> dict[int, int]:
    """Every process and its parent."""
    tree = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with suppress(OSError):
                # The name in parentheses may hold anything; what comes after it does not.
                tree[int(name)] = int(Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[1])
    return tree


def family(roots: list[int], tree: dict[int, int]) -> set[int]:
    """The processes below the roots, and the roots."""
    members, new = set(roots), set(roots)
    while new:
        new = {child for child, parent in tree.items() if parent in new} - members
        members |= new
    return members


def memory_kib(process: int) -> int:
    """The proportional set size: what processes share counts once."""
    with suppress(OSError):
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0


class Far:
    """The processor time of everything that the servers start: by a control group, else by what they waited for."""

    def __init__(self) -> None:
        self.servers: list[int] = []
        self.usage = None
        # What servers that have ended had used.
        self.before_s = 0.0
        for root, usage in [("/sys/fs/cgroup/cpuacct", "cpuacct.usage"), ("/sys/fs/cgroup", "cpu.stat")]:
            group = Path(root) / f"dr-bench-{os.getpid()}"
            with suppress(OSError):
                group.mkdir()
                if (group / usage).exists():
                    self.usage = group / usage
                    return
                group.rmdir()

    def add(self, server: int) -> None:
        self.servers.append(server)
        if self.usage is not None:
            (self.usage.parent / "cgroup.procs").write_text(str(server))

    def remove(self, server: int) -> None:
        self.before_s += self.waited_for_s(server)
        self.servers.remove(server)

    @staticmethod
    def waited_for_s(server: int) -> float:
        fields = Path(f"/proc/{server}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[13]) + int(fields[14])) / TICKS

    def cpu_s(self) -> float:
        if self.usage is None:
            return self.before_s + sum(map(self.waited_for_s, self.servers))
        text = self.usage.read_text()
        return int(text) / 1e9 if self.usage.name == "cpuacct.usage" else int(text.split()[1]) / 1e6

    def settle(self) -> None:
        """Waits until nothing is left of the sessions."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and family(self.servers, parents()) != set(self.servers):
            time.sleep(0.01)

    def close(self) -> None:
        # With its last process the group is empty, and the kernel needs a moment to see it.
        for _ in range(100 if self.usage is not None else 0):
            with suppress(OSError):
                self.usage.parent.rmdir()
                return
            time.sleep(0.02)


class Peaks(threading.Thread):
    """Looks at the memory of both ends ten times a second."""

    def __init__(self, here: int, there: list[int]) -> None:
        super().__init__(daemon=True)
        self.roots = [[here], there]
        self.peaks = [0, 0]
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.1):
            tree = parents()
            for end, roots in enumerate(self.roots):
                members = family(roots, tree)
                # The listeners were there before.
                members -= set(roots) if end == 1 else set()
                self.peaks[end] = max(self.peaks[end], sum(map(memory_kib, members)))


def measure(command: list[str], environment: dict[str, str], far: Far, log: Path, memory: bool) -> Cost:
    """Runs it once, with everything written back to disk before."""
    os.sync()
    before = far.cpu_s()
    with log.open("wb") as said:
        begun = time.perf_counter()
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, env=environment)
        peaks = Peaks(child.pid, far.servers) if memory else None
        if peaks:
            peaks.start()
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - begun
    child.returncode = os.waitstatus_to_exitcode(status)
    far.settle()
    cost = Cost(wall, usage.ru_utime + usage.ru_stime, far.cpu_s() - before)
    if peaks:
        peaks.over.set()
        peaks.join()
        cost.here_kib, cost.there_kib = peaks.peaks
    if child.returncode != 0:
        lines = log.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
        cost.failure = f"exit {child.returncode}: {lines[-1][:200]}"
    return cost
