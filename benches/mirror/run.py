"""Runs the workloads with everybody side by side, and prints what came of it. See benches/mirror.sh."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

from lab import LINES, TITLES, Lab
from measure import Cost, measure
from peers import Peer, there, version
from table import Row, table
from workloads import FULL, QUICK, Scene, Work, clear, copy_of, scenes

# Whoever takes longer than this is not asked more than twice.
LONG_S = 60
# For a minute ext4 does not use the inodes of removed files again, and whoever makes files meanwhile pays for its search
# (recently_deleted() in fs/ext4/ialloc.c): nobody's first copy is timed in that while.
QUIET_S = 66


def note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class Session:
    """One invocation."""

    def __init__(self, words: argparse.Namespace, lab: Lab) -> None:
        self.words, self.lab = words, lab
        self.dir = words.dir
        self.rows: list[Row] = []
        self.absent: set[str] = set()
        self.round = self.turns = 0
        self.cleared_at = time.monotonic()
        self.wrong: list[str] = []

    def play(self, scene: Scene) -> None:
        works = [work for work in scene.works if not self.words.only or work.id in self.words.only]
        if not works:
            return
        note(f"--- {scene.name}")
        source = self.dir / "source"
        self.lab.forget()
        shutil.rmtree(source, ignore_errors=True)
        scene.make(source)
        held = {peer.name: peer for work in works for peer in work.who("wan") if not work.first_copy and self.here(peer)}
        for peer in held.values():
            copy_of(source, self.target(peer))
        for number, work in enumerate(works):
            self.turn(work, "loop")
            if number == 0 and not work.first_copy:
                # Nothing differs, but whoever remembers now has something to remember.
                for peer in held.values():
                    if peer.remembers:
                        note(f"    {peer.name}: {self.once(work, peer, memory=False).wall_s:.2f} s to remember")
            if work.prime:
                self.everybody(work, source, list(held.values()), lambda _peer, _cost: None, memory=False)
            for line in self.lines(work):
                self.measure(work, line, source)
        for peer in held.values():
            self.compare(source, peer)
            self.clear(peer)

    def lines(self, work: Work) -> list[str]:
        return [line for line in work.lines if not self.words.lines or line in self.words.lines]

    def here(self, peer: Peer) -> bool:
        present = there(peer, self.lab)
        if not present:
            self.absent.add(peer.name)
        return present

    def target(self, peer: Peer) -> Path:
        word = "".join(letter if letter.isalnum() else "-" for letter in peer.name)
        return self.dir / "there" / word / "tree"

    def turn(self, work: Work, line: str) -> None:
        (self.lab.sftp if work.sftp else self.lab.shell).turn(line)

    def measure(self, work: Work, line: str, source: Path) -> None:
        note(f"{work.id} {work.title}, {TITLES[line]}")
        peers = [peer for peer in work.who(line) if self.here(peer)]
        rows = {peer.name: Row(work.id, work.title, line, peer.name) for peer in peers}
        self.rows += rows.values()
        if line == "loop":
            # What counts the bytes would cost time, and so would looking at the memory: both in a run of its own.
            self.turn(work, "count")
            self.everybody(work, source, peers, lambda peer, cost: setattr(rows[peer.name], "looked", cost), memory=True)
        self.turn(work, line)
        for _ in range(self.words.runs):
            still = [peer for peer in peers if not self.is_enough(rows[peer.name], work)]
            self.everybody(work, source, still, lambda peer, cost: rows[peer.name].runs.append(cost), memory=line != "loop")

    @staticmethod
    def is_enough(row: Row, work: Work) -> bool:
        if row.failure():
            return True
        # Where the source changes from round to round, nobody may miss one.
        return work.first_copy and len(row.runs) >= 2 and row.runs[0].wall_s > LONG_S

    def everybody(self, work: Work, source: Path, peers: list[Peer], take, memory: bool) -> None:
        self.turns += 1
        # Everybody begins once: what the first one pays for is not always paid by the same.
        first = self.turns % max(1, len(peers))
        peers = peers[first:] + peers[:first]
        if work.edit:
            self.round += 1
            work.edit(source, self.round)
        if work.first_copy:
            time.sleep(max(0, self.cleared_at + QUIET_S - time.monotonic()))
        for peer in peers:
            if work.first_copy:
                os.makedirs(self.target(peer) if peer.program in ("tar", "ssh") else self.target(peer).parent)
            cost = self.once(work, peer, memory)
            take(peer, cost)
            note(f"    {peer.name}: {cost.wall_s:.2f} s{' ' + cost.failure if cost.failure else ''}")
        if work.first_copy:
            for peer in peers:
                self.compare(source, peer)
                self.clear(peer)

    def clear(self, peer: Peer) -> None:
        if peer.program == "dr":
            self.lab.forget()
        if clear(self.target(peer)):
            os.sync()
            self.cleared_at = time.monotonic()

    def once(self, work: Work, peer: Peer, memory: bool) -> Cost:
        gate = self.lab.sftp if work.sftp else self.lab.shell
        gate.passed()
        command = peer.command(self.lab, self.dir / "source", self.target(peer))
        log = self.lab.dir / "said.log"
        cost = measure(command, self.lab.environment, self.lab.far, log, memory)
        if cost.failure and any(cost.failure.startswith(f"exit {code}:") for code in peer.also_fine):
            note(f"    {peer.name}: {cost.failure}")
            cost.failure = None
        passed = gate.passed()
        if passed:
            cost.up_bytes, cost.down_bytes = passed
        return cost

    def compare(self, source: Path, peer: Peer) -> None:
        """Whether dr did what it was measured for; rsync is the judge."""
        if peer.program != "dr":
            return
        options = ["-rlptgoDn", "--omit-link-times", "--delete", "--itemize-changes", "--modify-window=1"]
        if "SFTP" not in peer.name:
            options = ["-aHAXn", "--delete", "--itemize-changes"]
        places = [f"{source}/", f"{self.target(peer)}/"]
        said = subprocess.run(["rsync", *options, *places], capture_output=True, text=True, check=False)
        differ = (said.stdout + said.stderr).splitlines()
        if differ:
            self.wrong.append(f"{peer.name}: {len(differ)} differences, the first: {differ[0]}")
            note(f"    WRONG {self.wrong[-1]}")


def machine() -> str:
    model = next(line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                 if line.startswith("model name"))  # fmt: skip
    load = "/".join(f"{part:.1f}" for part in os.getloadavg())
    return f"{os.cpu_count()} × {model}, {platform.system()} {platform.release()}, load {load}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small trees, two runs: does everything work?")
    parser.add_argument("--only", type=lambda text: text.split(","), help="T1,T5,…")
    parser.add_argument("--lines", type=lambda text: text.split(","), help=f"of {', '.join(TITLES)}")
    parser.add_argument("--runs", type=int)
    parser.add_argument("--dr", type=lambda text: Path(text).absolute(), required=True)
    parser.add_argument("--tools", type=lambda text: Path(text).absolute(), required=True)
    parser.add_argument("--dir", type=lambda text: Path(text).absolute(), default=Path("/var/tmp/dr-bench"))
    parser.add_argument("--json", type=Path, help="every sample")
    words = parser.parse_args()
    words.runs = words.runs or (2 if words.quick else 5)
    words.dir.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    lab = Lab(words.dir, words.dr, words.tools)
    session = Session(words, lab)
    try:
        for scene in scenes(words.tools, QUICK if words.quick else FULL):
            session.play(scene)
    except KeyboardInterrupt:
        note("stopped; what was measured so far:")
    finally:
        lab.close()
        for name in ["source", "there"]:
            shutil.rmtree(words.dir / name, ignore_errors=True)
    programs = sorted({"dr", "rsync", "ssh", *(name for name in ["unison", "rclone"] if shutil.which(name))})
    print(f"{machine()}; {'; '.join(version(program, lab) for program in programs)}; {time.monotonic() - begun:.0f} s.")
    print(f"Absent: {', '.join(sorted(session.absent)) or 'nobody'}.\n")
    print(table(session.rows))
    for wrong in session.wrong:
        print(f"\nWRONG: {wrong}")
    if words.json:
        words.json.write_text(json.dumps([row.as_json() for row in session.rows], indent=1))
    return 1 if session.wrong or any(row.failure() for row in session.rows) else 0


if __name__ == "__main__":
    sys.exit(main())
