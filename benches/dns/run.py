"""Many zones on six name servers: dr beside dig and dnspython, on the same questions, and with one server silent."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# What is asked of every server about every zone: the same for all, the questions of `dr dns check --quick`.
TYPES = ["SOA", "NS", "A", "AAAA", "MX", "TXT", "CAA"]
HOSTS = ["www", "mail"]


def questions(zone: str) -> list[tuple[str, str]]:
    return [(zone, kind) for kind in TYPES] + [(f"{host}.{zone}", kind) for host in HOSTS for kind in ("A", "AAAA")]


class Lab:
    """tests/lab, in a process of its own."""

    def __init__(self, program: str, zones: int) -> None:
        self.process = subprocess.Popen([program, str(zones)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.servers = dict(word.split("=", 1) for word in self.process.stdout.readline().split())
        assert len(self.servers) == 6, "the lab did not start"

    def tell(self, line: str) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n"

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def timed(commands: list[list[str]], outputs: list[Path], fine: tuple[int, ...] = (0,)) -> dict[str, float]:
    """Runs them side by side; wall and processor time of all, the memory of the largest."""
    begun = time.monotonic()
    running = []
    for command, output in zip(commands, outputs):
        with output.open("wb") as file:
            running.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.DEVNULL))
    cpu, memory = 0.0, 0
    for process in running:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in fine:
            sys.exit(f"{process.args} ended with {process.returncode}")
        cpu += used.ru_utime + used.ru_stime
        memory = max(memory, used.ru_maxrss)
    return {"wall_s": time.monotonic() - begun, "cpu_s": cpu, "memory_mb": memory / 1024}


def repeat(runs: int, measure) -> dict[str, float]:
    measured = [measure() for _ in range(runs)]
    return {key: statistics.median(one[key] for one in measured) for key in measured[0]}


PYTHON = """
import asyncio, sys
import dns.asyncquery, dns.message, dns.flags
servers = [word.rsplit(":", 1) for word in sys.argv[2:]]
async def ask(gate, address, port, owner, kind):
    query = dns.message.make_query(owner, kind, use_edns=0, payload=1232)
    query.flags &= ~dns.flags.RD
    async with gate:
        answer = await dns.asyncquery.udp(query, address, timeout=5, port=int(port))
    return owner, kind, frozenset(rrset.to_rdataset() for rrset in answer.answer)
async def main():
    gate = asyncio.Semaphore(200)
    asked = [line.split() for line in open(sys.argv[1])]
    said = await asyncio.gather(*(ask(gate, a, p, o, k) for a, p in servers for o, k in asked))
    groups = {}
    for owner, kind, answer in said:
        groups.setdefault((owner, kind), set()).add(str(sorted(map(str, answer))))
asyncio.run(main())
"""


def main() -> None:
    words = argparse.ArgumentParser()
    words.add_argument("--lab", required=True)
    words.add_argument("--dr", required=True)
    words.add_argument("--zones", type=int, default=1000)
    words.add_argument("--runs", type=int, default=3)
    words.add_argument("--json", type=Path)
    words = words.parse_args()
    lab = Lab(words.lab, words.zones)
    results: dict[str, dict[str, float]] = {}
    try:
        with tempfile.TemporaryDirectory(prefix="dr-bench-dns-") as name:
            measure(words, lab, Path(name), results)
    finally:
        lab.close()
    asked = words.zones * 6 * len(questions("x"))
    print(f"{words.zones} zones on six servers, {asked} questions (the full check asks more); median of {words.runs} runs\n")
    print("| what | wall | CPU | CPU a question | memory |\n|---|---|---|---|---|")
    for what, figures in results.items():
        per = figures["cpu_s"] / figures.get("questions", asked) * 1e6
        print(f"| {what} | {figures['wall_s']:.2f} s | {figures['cpu_s']:.2f} s | {per:.1f} us | {figures['memory_mb']:.0f} MB |")
    if words.json:
        words.json.write_text(json.dumps(results, indent=2) + "\n")


def measure(words: argparse.Namespace, lab: Lab, dir: Path, results: dict[str, dict[str, float]]) -> None:
    zones = [f"z{number}.test" for number in range(words.zones)]
    (dir / "zones").write_text("\n".join(zones) + "\n")
    asked = [f"{owner} {kind}" for zone in zones for owner, kind in questions(zone)]
    (dir / "questions").write_text("\n".join(asked) + "\n")
    servers = [word for name, address in lab.servers.items() for word in ("--server", f"{name}={address}")]
    check = [words.dr, "dns", "check", "--json", "--zones", str(dir / "zones"), *servers]
    home = {"XDG_STATE_HOME": str(dir), "HOME": str(dir)}
    os.environ.update(home)

    def dr(*more: str, fine: tuple[int, ...] = (0,)) -> dict[str, float]:
        figures = timed([[*check, *more]], [dir / "report"], fine)
        report = json.loads((dir / "report").read_text().splitlines()[-1])
        figures["questions"] = report.get("report", report)["figures"]["questions"]
        return figures

    results["dr dns check --quick"] = repeat(words.runs, lambda: dr("--quick"))
    # Everything is on one loopback address here, which the full check rightly has something to say about.
    results["dr dns check (everything)"] = repeat(words.runs, lambda: dr(fine=(1,)))
    if shutil.which("dig"):
        outputs = [dir / name for name in lab.servers]

        def dig() -> dict[str, float]:
            commands = []
            for address in lab.servers.values():
                host, port = address.rsplit(":", 1)
                words = ["+norecurse", "+noall", "+answer", "+nocookie", "+tries=3", "-f", str(dir / "questions")]
                commands.append(["dig", f"@{host}", "-p", port, *words])
            return timed(commands, outputs)

        results["six dig -f side by side, not compared"] = repeat(words.runs, dig)
    else:
        print("dig is not installed (dnsutils)")
    python = next((p for p in ("/usr/bin/python3", sys.executable) if has_dnspython(p)), None)
    if python:
        few = max(1, words.zones // 10)
        (dir / "few").write_text("\n".join(asked[: few * len(questions("x"))]) + "\n")
        one = timed([[python, "-c", PYTHON, str(dir / "few"), *lab.servers.values()]], [dir / "python"])
        scale = words.zones / few
        results[f"dnspython, asyncio ({few} zones, scaled)"] = {
            "wall_s": one["wall_s"] * scale, "cpu_s": one["cpu_s"] * scale, "memory_mb": one["memory_mb"]
        }
    else:
        print("dnspython is not installed (python3-dnspython)")
    lab.tell("freeze nsd")
    results["dr dns check --quick, one server silent"] = repeat(words.runs, lambda: dr("--quick", fine=(1,)))
    lab.tell("thaw nsd")


def has_dnspython(python: str) -> bool:
    return subprocess.run([python, "-c", "import dns.asyncquery"], capture_output=True).returncode == 0


main()
