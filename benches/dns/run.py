"""Many zones on six name servers: dr beside dig, dnsperf, dnspython, dnsviz and Zonemaster, and all of them with one server silent."""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import Callable

from lab import Lab, repeat, timed
from peers import PACKAGES, Asking, Figures, is_there, questions, version

NAMES = {
    "raw": "sendmmsg, nothing compared",
    "dig": "six dig -f side by side, nothing compared",
    "dnsperf": "six dnsperf side by side, nothing compared",
    "dnspython": "dnspython, asyncio, compared",
    "dnsviz": "dnsviz probe and grok",
    "zonemaster": "Zonemaster-Engine, all tests",
}
# So few zones where all would take an hour: healthy, and with a server silent. None: all that were asked for.
FEW = {"dnspython": (100, 20), "dnsviz": (20, 2), "zonemaster": (20, 2), "raw": (None, 100), "dnsperf": (None, 100), "dig": (None, 1)}


class Table:
    def __init__(self) -> None:
        self.rows: dict[str, Figures] = {}

    def add(self, what: str, zones: int, runs: int, measure: Callable[[], Figures]) -> None:
        figures = repeat(runs, measure)
        self.rows[what] = {**figures, "zones": zones, "runs": runs}
        print(f"{what}: {zones} zones in {figures['wall_s']:.2f} s", flush=True)

    def show(self, title: str, first: str) -> None:
        print(f"\n{title}\n\n| what | zones | wall | wall a zone | as many times dr's | CPU a zone | as many times dr's | CPU a question | memory |")
        print("|---|---|---|---|---|---|---|---|---|")
        base = self.rows[first]
        for what, of in self.rows.items():
            zones = of["zones"]
            wall, cpu = of["wall_s"] / zones, of["cpu_s"] / zones
            per = f"{of['cpu_s'] / of['questions'] * 1e6:.1f} µs" if "questions" in of else ""
            lost = f" ({of['lost']:.0f} unanswered)" if of.get("lost") else ""
            print(
                f"| {what}{lost} | {zones} | {of['wall_s']:.2f} s | {wall * 1e3:.2f} ms | {wall / (base['wall_s'] / base['zones']):.1f} "
                f"| {cpu * 1e3:.2f} ms | {cpu / (base['cpu_s'] / base['zones']):.1f} | {per} | {of['memory_mb']:.0f} MB |"
            )


def main() -> None:
    read = argparse.ArgumentParser()
    read.add_argument("--lab", required=True)
    read.add_argument("--dr", required=True)
    read.add_argument("--zones", type=int, default=1000)
    read.add_argument("--runs", type=int, default=5, help="of what asks about all zones; what asks about a few is run once")
    read.add_argument("--peers", default=",".join(PACKAGES), help="of all, these")
    read.add_argument("--few", type=int, help="zones for the slow peers, instead of their own numbers")
    read.add_argument("--json", type=Path)
    words = read.parse_args()
    peers = [peer for peer in words.peers.split(",") if peer]
    missing = [peer for peer in peers if not is_there(peer)]
    if missing:
        print(f"not installed: {', '.join(missing)}; apt-get install {' '.join(PACKAGES[peer] for peer in missing)}")
    words.peers = [peer for peer in peers if peer not in missing]
    healthy, silent = Table(), Table()
    for kind, those in (("six", [peer for peer in words.peers if peer not in APART]), ("six-apart", [peer for peer in words.peers if peer in APART])):
        count = words.zones if kind == "six" else max((few(words, peer, silent=False) for peer in those), default=0)
        if not count:
            continue
        with Lab(words.lab, count, kind) as lab, tempfile.TemporaryDirectory(prefix="dr-bench-dns-") as name:
            os.environ.update({"XDG_STATE_HOME": name, "HOME": name})
            measure(words, lab, Path(name), those, healthy, silent)
    print(f"\nPeers: {'; '.join(version(peer) for peer in words.peers)}")
    asked = len(questions("x")) * 6
    healthy.show(f"Six servers, {asked} questions a zone where the program can be told; median of {words.runs} runs where all zones are asked about.", QUICK)
    silent.show("One of the six silent.", QUICK)
    if words.json:
        words.json.write_text(json.dumps({"healthy": healthy.rows, "silent": silent.rows}, indent=2) + "\n")


QUICK = "dr dns check --quick"
# These ask an address once, and port 53 alone: their zones say that the servers have addresses of their own.
APART = ("dnsviz", "zonemaster")


def few(words: argparse.Namespace, peer: str, silent: bool) -> int:
    own = FEW[peer][silent]
    return words.zones if own is None else min(words.zones, own, words.few or own)


def measure(words: argparse.Namespace, lab: Lab, dir: Path, peers: list[str], healthy: Table, silent: Table) -> None:
    (dir / "zones").write_text("".join(f"{zone}\n" for zone in lab.zones))
    servers = [word for name, address in lab.servers.items() for word in ("--server", f"{name}={address}")]
    check = [words.dr, "dns", "check", "--json", "--zones", str(dir / "zones"), *servers]

    def dr(*more: str, fine: tuple[int, ...] = (0,)) -> Figures:
        figures = timed([[*check, *more]], [dir / "report"], fine)
        report = json.loads((dir / "report").read_text().splitlines()[-1])
        figures["questions"] = report.get("report", report)["figures"]["questions"]
        return figures

    def measured(peer: str, table: Table, is_silent: bool) -> None:
        count = few(words, peer, is_silent)
        asking = Asking(lab, dir, count)
        # With its own patience dig would be waited for three minutes a zone.
        more = ["+tries=2", "+timeout=1"] if peer == "dig" and is_silent else []
        runs = words.runs if FEW[peer][is_silent] is None else 1
        table.add(NAMES[peer], count, runs, lambda: getattr(asking, peer)(*more))

    ours = not any(peer in APART for peer in peers)
    if ours:
        healthy.add(QUICK, len(lab.zones), words.runs, lambda: dr("--quick"))
        # Everything is on one loopback address here, which the full check rightly has something to say about.
        healthy.add("dr dns check (everything)", len(lab.zones), words.runs, lambda: dr(fine=(1,)))
    for peer in peers:
        measured(peer, healthy, False)
    lab.tell("freeze nsd")
    if ours:
        silent.add(QUICK, len(lab.zones), words.runs, lambda: dr("--quick", fine=(1,)))
        silent.add("dr dns check (everything)", len(lab.zones), words.runs, lambda: dr(fine=(1,)))
    for peer in peers:
        measured(peer, silent, True)
    lab.tell("thaw nsd")


main()
