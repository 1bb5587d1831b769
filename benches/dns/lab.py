"""The name servers of tests/lab, in a process of their own, and how long programs take that ask them."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Callable


class Lab:
    """Started with so many zones of one kind (see tests/examples/dns_lab.rs), ended by `close`."""

    def __init__(self, program: str, zones: int, kind: str) -> None:
        words = [program, str(zones), kind]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.servers = dict(word.split("=", 1) for word in self.process.stdout.readline().split())
        if not self.servers:
            sys.exit(f"the lab did not start: {' '.join(words)}")
        self.zones = [f"z{number}.test" for number in range(zones)]

    def tell(self, line: str) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n", line

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Memory(threading.Thread):
    """The most that any of these processes held in memory, in MB. What wait4 says begins with what their parent held when they were forked."""

    def __init__(self, processes: list[subprocess.Popen]) -> None:
        super().__init__(daemon=True)
        self.files, self.peak, self.over = [Path(f"/proc/{process.pid}/status") for process in processes], 0, threading.Event()
        self.start()

    def run(self) -> None:
        while not self.over.wait(0.01):
            for file in self.files:
                try:
                    lines = file.read_text().splitlines()
                except OSError:
                    continue
                self.peak = max([self.peak, *(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))])

    def end(self) -> float:
        self.over.set()
        self.join()
        return self.peak / 1024


def timed(commands: list[list[str]], outputs: list[Path], fine: tuple[int, ...] = (0,)) -> dict[str, float]:
    """Runs them side by side; wall and processor time of all, the memory of the largest."""
    begun = time.monotonic()
    running = []
    for command, output in zip(commands, outputs):
        with output.open("wb") as file, output.with_suffix(".log").open("wb") as log:
            running.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=log))
    cpu, memory = 0.0, Memory(running)
    for process, output in zip(running, outputs):
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in fine:
            said = output.with_suffix(".log").read_text(errors="replace")[-2000:]
            sys.exit(f"{process.args} ended with {process.returncode}\n{said}")
        cpu += used.ru_utime + used.ru_stime
    return {"wall_s": time.monotonic() - begun, "cpu_s": cpu, "memory_mb": memory.end()}


def repeat(runs: int, measure: Callable[[], dict[str, float]]) -> dict[str, float]:
    """The median of each figure."""
    measured = [measure() for _ in range(runs)]
    return {key: statistics.median(one[key] for one in measured) for key in measured[0]}
