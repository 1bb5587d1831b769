"""Many zones changed at once through dr, while every name server is asked all the time what it has."""

from __future__ import annotations

import argparse
import json
import os
import random
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

OLD, NEW = ("192.0.2.10",), ("198.51.100.1", "198.51.100.2")
LABS = {"bind": "six", "bind-defaults": "six-defaults", "knot": "knot", "powerdns": "powerdns"}
KEY = "lab-key"


class Lab:
    """tests/lab, in a process of its own."""

    def __init__(self, program: str, zones: int, kind: str) -> None:
        words = [program, str(zones), LABS[kind]]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.servers = dict(word.split("=", 1) for word in self.process.stdout.readline().split())
        assert self.servers, "the lab did not start"

    def tell(self, line: str) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n"

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def question(number: int, owner: str) -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in owner.split("."))
    return struct.pack(">HHHHHH", number, 0, 1, 0, 0, 0) + labels + b"\0\0\x01\0\x01"


def skipped(message: bytes, at: int) -> int:
    while message[at]:
        if message[at] >= 0xC0:
            return at + 2
        at += message[at] + 1
    return at + 1


def addresses(message: bytes) -> tuple[int, tuple[str, ...]]:
    """The response code, and the addresses in the answer section."""
    _, flags, questions, answers = struct.unpack(">HHHH", message[:8])
    at = 12
    for _ in range(questions):
        at = skipped(message, at) + 4
    found = []
    for _ in range(answers):
        at = skipped(message, at)
        kind, _, _, length = struct.unpack(">HHIH", message[at : at + 10])
        at += 10
        if kind == 1:
            found.append(socket.inet_ntoa(message[at : at + length]))
        at += length
    return flags & 15, tuple(sorted(found))


class Poller(threading.Thread):
    """Asks one server for as long as it takes; every answer must be the old set or the new one, whole."""

    def __init__(self, server: str, zones: list[str], per_second: int, stop: threading.Event) -> None:
        super().__init__()
        host, port = server.rsplit(":", 1)
        self.address, self.zones, self.pause, self.stop = (host, int(port)), zones, 1 / per_second, stop
        self.seen: Counter[str] = Counter()

    def run(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
            line.connect(self.address)
            line.settimeout(5)
            while not self.stop.is_set():
                number = random.randrange(65536)
                line.send(question(number, f"www.{random.choice(self.zones)}"))
                try:
                    message = line.recv(4096)
                    while message[:2] != struct.pack(">H", number):
                        message = line.recv(4096)
                except TimeoutError:
                    self.seen["no answer in 5 s"] += 1
                    continue
                code, found = addresses(message)
                if code:
                    self.seen[f"response code {code}"] += 1
                elif not found:
                    self.seen["empty"] += 1
                else:
                    self.seen["old" if found == OLD else "new" if found == NEW else "mixed"] += 1
                time.sleep(self.pause)


def changed(words: argparse.Namespace, dir: Path, servers: dict[str, str], to: tuple[str, ...]) -> dict[str, float]:
    """One change of all zones; when each step was done, from the beginning."""
    named = [word for name, address in servers.items() for word in ("--server", f"{name}={address}")]
    key = ["--key", KEY, "--key-file", str(dir / "key")]
    mark = ["--mark"] if words.mark else []
    command = [words.dr, "dns", "set", f"@{dir / 'zones'}", "www.@", "A", *to, *named, *key, *mark, "--json", "--within", "30m"]
    begun, done, planned = time.monotonic(), {}, 0.0
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    report = None
    for line in process.stdout:
        said = json.loads(line)
        event = said.get("event", {})
        if event.get("event") == "step_begun":
            planned = planned or time.monotonic() - begun
        if event.get("event") == "step_done":
            done[event["step"]] = time.monotonic() - begun
        report = said.get("report", report)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"dr ended with {process.returncode}: {report}")
    whole = time.monotonic() - begun
    return {
        "planned_s": planned,
        "applied_s": done[0],
        "verified_s": max(done.values()),
        "wall_s": whole,
        "changes_per_s": words.zones / (done[0] - planned),
        "cpu_s": used.ru_utime + used.ru_stime,
        "memory_mb": used.ru_maxrss / 1024,
    }


def main() -> None:
    read = argparse.ArgumentParser()
    read.add_argument("--lab", required=True)
    read.add_argument("--dr", required=True)
    read.add_argument("--zones", type=int, default=1000)
    read.add_argument("--runs", type=int, default=3, help="changes, there and back in turn")
    read.add_argument("--kinds", default="bind,knot,powerdns", help=", ".join(LABS))
    read.add_argument("--polls", type=int, default=100, help="questions a second to each server")
    read.add_argument("--mark", action="store_true", help="with a mark in each zone")
    read.add_argument("--json", type=Path)
    words = read.parse_args()
    results: dict[str, dict[str, object]] = {}
    for kind in words.kinds.split(","):
        lab = Lab(words.lab, words.zones, kind)
        try:
            with tempfile.TemporaryDirectory(prefix="dr-bench-dns-") as name:
                results[kind] = measure(words, lab, Path(name))
        finally:
            lab.close()
    print(f"{words.zones} zones, www from one address to two and back; median of {words.runs} changes; dr's times from its start\n")
    print("| servers | planned | applied | a second | verified | CPU of dr | memory | answers seen | empty, mixed or failed |\n|---|---|---|---|---|---|---|---|---|")
    for kind, of in results.items():
        print(
            f"| {kind} | {of['planned_s']:.1f} s | {of['applied_s']:.1f} s | {of['changes_per_s']:.0f} | {of['verified_s']:.1f} s "
            f"| {of['cpu_s']:.2f} s | {of['memory_mb']:.0f} MB | {of['answers']} | {of['wrong']} |"
        )
    if words.json:
        words.json.write_text(json.dumps(results, indent=2) + "\n")
    if any(of["wrong"] for of in results.values()):
        sys.exit(f"a visitor would have seen a gap: {results}")


def measure(words: argparse.Namespace, lab: Lab, dir: Path) -> dict[str, object]:
    zones = [f"z{number}.test" for number in range(words.zones)]
    (dir / "zones").write_text("\n".join(zones) + "\n")
    os.environ.update({"XDG_STATE_HOME": str(dir), "HOME": str(dir)})
    lab.tell(f"key {dir / 'key'}")
    # Where all zones are polled a gap in one of them is missed; these are asked about again and again.
    sample = random.Random(1).sample(zones, min(20, len(zones)))
    stop = threading.Event()
    pollers = [Poller(server, sample, words.polls, stop) for server in lab.servers.values()]
    for poller in pollers:
        poller.start()
    try:
        runs = [changed(words, dir, lab.servers, NEW if run % 2 == 0 else OLD) for run in range(words.runs)]
    finally:
        stop.set()
        for poller in pollers:
            poller.join()
    seen: Counter[str] = Counter()
    for poller in pollers:
        seen.update(poller.seen)
    fine = seen["old"] + seen["new"]
    figures: dict[str, object] = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
    return {**figures, "answers": fine, "wrong": sum(seen.values()) - fine, "seen": dict(seen)}


main()
