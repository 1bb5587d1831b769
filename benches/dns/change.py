"""Many zones changed at once through dr and through nsupdate, while every name server is asked all the time what it has."""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
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
from typing import Callable

from lab import Lab, Memory
from peers import version

OLD, NEW = ("192.0.2.10",), ("198.51.100.1", "198.51.100.2")
LABS = {"bind": "six", "bind-defaults": "six-defaults", "knot": "knot", "powerdns": "powerdns"}
KEY = "lab-key"
# A look at all zones that a server had not changed when it was last asked begins so many seconds after the one before.
LOOK_S = 0.2
Figures = dict[str, float]


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


class Looker(threading.Thread):
    """When a server had every zone as it should be: it is asked about all that it has not yet shown, again and again. Much slower than the check of
    dr, and the same for whoever made the change."""

    def __init__(self, server: str, zones: list[str], to: tuple[str, ...], begin: threading.Event) -> None:
        super().__init__(daemon=True)
        host, port = server.rsplit(":", 1)
        self.address, self.left, self.to, self.begin = (host, int(port)), list(zones), to, begin
        self.shown: set[str] = set()
        self.done = 0.0

    def run(self) -> None:
        self.begin.wait()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
            line.connect(self.address)
            line.settimeout(0.5)
            while self.left:
                next_look = time.monotonic() + LOOK_S
                for first in range(0, len(self.left), 32):
                    self.look(line, self.left[first : first + 32])
                self.left = [zone for zone in self.left if zone not in self.shown]
                self.shown.clear()
                if self.left:
                    time.sleep(max(0, next_look - time.monotonic()))
        self.done = time.monotonic()

    def look(self, line: socket.socket, zones: list[str]) -> None:
        asked = {random.randrange(65536): zone for zone in zones}
        for number, zone in asked.items():
            line.send(question(number, f"www.{zone}"))
        try:
            while asked:
                message = line.recv(4096)
                zone = asked.pop(struct.unpack(">H", message[:2])[0], None)
                if zone and addresses(message) == (0, self.to):
                    self.shown.add(zone)
        except TimeoutError:
            pass


def seconds(said: str) -> float:
    """Of a time such as 4m 20s."""
    units = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
    return sum(float(number) * units[unit] for number, unit in re.findall(r"([0-9.]+)(ms|h|m|s)", said))


def by_dr(words: argparse.Namespace, dir: Path, servers: dict[str, str], to: tuple[str, ...], applied: Callable[[], None]) -> Figures:
    """One change of all zones; when each step was done, from the beginning."""
    named = [word for name, address in servers.items() for word in ("--server", f"{name}={address}")]
    key = ["--key", KEY, "--key-file", str(dir / "key")]
    mark = ["--mark"] if words.mark else []
    command = [words.dr, "dns", "set", f"@{dir / 'zones'}", "www.@", "A", *to, *named, *key, *mark, "--json", "--within", "30m"]
    begun, done, planned, predicted = time.monotonic(), {}, 0.0, 0.0
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    memory = Memory([process])
    report = None
    for line in process.stdout:
        said = json.loads(line)
        event = said.get("event", {})
        prediction = said.get("result", {}).get("prediction")
        if prediction:
            predicted = seconds(prediction["apply"]) + seconds(prediction["spread"])
        if event.get("event") == "step_begun":
            planned = planned or time.monotonic() - begun
        if event.get("event") == "step_done":
            done[event["step"]] = time.monotonic() - begun
            if event["step"] == 0:
                applied()
        report = said.get("report", report)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"dr ended with {process.returncode}: {report}")
    return {
        "predicted_s": predicted,
        "planned_s": planned,
        "applied_s": done[0],
        "verified_s": max(done.values()),
        "changes_per_s": words.zones / (done[0] - planned),
        "cpu_s": used.ru_utime + used.ru_stime,
        "memory_mb": memory.end(),
    }


def by_nsupdate(words: argparse.Namespace, dir: Path, servers: dict[str, str], to: tuple[str, ...], applied: Callable[[], None]) -> Figures:
    """The same changes with the same prerequisites, one signed message a zone over TCP, by one nsupdate."""
    host, port = next(iter(servers.values())).rsplit(":", 1)
    secret = (dir / "key").read_text().strip()
    (dir / "nsupdate.key").write_text(f'key "{KEY}" {{ algorithm hmac-sha256; secret "{secret}"; }};\n')
    lines = [f"server {host} {port}"]
    for zone in (dir / "zones").read_text().split():
        lines += [f"zone {zone}", *(f"prereq yxrrset www.{zone} A {address}" for address in (OLD if to == NEW else NEW))]
        lines += [f"update delete www.{zone} A", *(f"update add www.{zone} 300 A {address}" for address in to), "send"]
    (dir / "changes").write_text("\n".join(lines) + "\n")
    begun = time.monotonic()
    command = ["nsupdate", "-v", "-k", str(dir / "nsupdate.key"), str(dir / "changes")]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    memory = Memory([process])
    said = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    whole = time.monotonic() - begun
    if process.returncode != 0 or "failed" in said:
        sys.exit(f"nsupdate ended with {process.returncode}: {said[-2000:]}")
    applied()
    return {
        "planned_s": 0,
        "applied_s": whole,
        "changes_per_s": words.zones / whole,
        "cpu_s": used.ru_utime + used.ru_stime,
        "memory_mb": memory.end(),
    }


TOOLS = {"dr": by_dr, "nsupdate": by_nsupdate}


def main() -> None:
    read = argparse.ArgumentParser()
    read.add_argument("--lab", required=True)
    read.add_argument("--dr", required=True)
    read.add_argument("--zones", type=int, default=1000)
    read.add_argument("--runs", type=int, default=4, help="changes by each, there and back in turn")
    read.add_argument("--kinds", default="bind,knot,powerdns", help=", ".join(LABS))
    read.add_argument("--tools", default=",".join(TOOLS))
    read.add_argument("--polls", type=int, default=100, help="questions a second to each server")
    read.add_argument("--mark", action="store_true", help="with a mark in each zone")
    read.add_argument("--json", type=Path)
    words = read.parse_args()
    if "nsupdate" in words.tools and not shutil.which("nsupdate"):
        print("nsupdate is not installed: apt-get install bind9-dnsutils")
        words.tools = words.tools.replace("nsupdate", "").strip(",")
    results: dict[str, Figures] = {}
    seen: dict[str, Counter[str]] = {}
    for kind in words.kinds.split(","):
        with Lab(words.lab, words.zones, LABS[kind]) as lab, tempfile.TemporaryDirectory(prefix="dr-bench-dns-") as name:
            os.environ.update({"XDG_STATE_HOME": name, "HOME": name})
            lab.tell(f"key {Path(name) / 'key'}")
            (Path(name) / "zones").write_text("".join(f"{zone}\n" for zone in lab.zones))
            for tool in words.tools.split(","):
                what = f"{kind}, {tool}"
                results[what], seen[what] = measure(words, lab, Path(name), tool)
                print(f"{what}: {results[what]['seen_s']:.1f} s", flush=True)
    show(words, results, seen)
    if words.json:
        words.json.write_text(json.dumps({what: {**results[what], "seen": dict(seen[what])} for what in results}, indent=2) + "\n")
    if any(wrong(of) for of in seen.values()):
        sys.exit(f"a visitor would have seen a gap: {seen}")


def wrong(seen: Counter[str]) -> int:
    return sum(count for what, count in seen.items() if what not in ("old", "new"))


def show(words: argparse.Namespace, results: dict[str, Figures], seen: dict[str, Counter[str]]) -> None:
    print(f"\n{words.zones} zones, www from one address to two and back; median of {words.runs} changes; times from the program's start; {version('dig')}\n")
    print(
        "| servers, by | predicted | planned | applied on the primary | changes a second | verified by dr on all | seen on all | CPU | memory | answers seen meanwhile "
        "| empty, mixed or none |\n|---|---|---|---|---|---|---|---|---|---|---|"
    )
    for what, of in results.items():
        verified = f"{of['verified_s']:.1f} s" if "verified_s" in of else "not"
        predicted = f"{of['predicted_s']:.1f} s" if "predicted_s" in of else "not"
        fine = seen[what]["old"] + seen[what]["new"]
        print(
            f"| {what} | {predicted} | {of['planned_s']:.1f} s | {of['applied_s']:.1f} s | {of['changes_per_s']:.0f} | {verified} | {of['seen_s']:.1f} s "
            f"| {of['cpu_s']:.2f} s | {of['memory_mb']:.0f} MB | {fine} | {wrong(seen[what])} |"
        )


def measure(words: argparse.Namespace, lab: Lab, dir: Path, tool: str) -> tuple[Figures, Counter[str]]:
    # Where all zones are polled a gap in one of them is missed; these are asked about again and again.
    sample = random.Random(1).sample(lab.zones, min(20, len(lab.zones)))
    stop = threading.Event()
    pollers = [Poller(server, sample, words.polls, stop) for server in lab.servers.values()]
    for poller in pollers:
        poller.start()
    runs = []
    try:
        for run in range(words.runs):
            to, begin = NEW if run % 2 == 0 else OLD, threading.Event()
            lookers = [Looker(server, lab.zones, to, begin) for server in lab.servers.values()]
            for looker in lookers:
                looker.start()
            begun = time.monotonic()
            figures = TOOLS[tool](words, dir, lab.servers, to, begin.set)
            for looker in lookers:
                looker.join()
            runs.append({**figures, "seen_s": max(looker.done for looker in lookers) - begun})
        # The next one finds the zones as this one did.
        if words.runs % 2:
            TOOLS[tool](words, dir, lab.servers, OLD, lambda: None)
            time.sleep(5)
    finally:
        stop.set()
        for poller in pollers:
            poller.join()
    seen: Counter[str] = Counter()
    for poller in pollers:
        seen.update(poller.seen)
    return {key: statistics.median(run[key] for run in runs) for key in runs[0]}, seen


main()
