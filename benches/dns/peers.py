"""The peers of `dr dns check`, each asking every one of the six servers about zones of the lab."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

from lab import Lab, timed

HERE = Path(__file__).parent
# What `dr dns check --quick` asks about a zone; so does everybody who can be told what to ask.
TYPES = ["SOA", "NS", "A", "AAAA", "MX", "TXT", "CAA"]
HOSTS = ["www", "mail"]
# The packages of Debian's that the peers come from.
PACKAGES = {
    "raw": "gcc", "dig": "bind9-dnsutils", "dnsperf": "dnsperf", "dnspython": "python3-dnspython", "dnsviz": "dnsviz",
    "zonemaster": "libzonemaster-perl",
}  # fmt: skip
# Debian's packages are for Debian's Python.
PYTHON = "/usr/bin/python3" if Path("/usr/bin/python3").exists() else sys.executable
Figures = dict[str, float]


def questions(zone: str) -> list[tuple[str, str]]:
    return [(zone, kind) for kind in TYPES] + [(f"{host}.{zone}", kind) for host in HOSTS for kind in ("A", "AAAA")]


def is_there(peer: str) -> bool:
    """Whether a peer is installed."""
    if peer == "raw":
        return shutil.which("cc") is not None
    if peer in ("dig", "dnsperf"):
        return shutil.which(peer) is not None
    probes = {
        "dnspython": [PYTHON, "-c", "import dns.asyncquery"],
        "dnsviz": [PYTHON, "-c", "import dnsviz.commands.probe"],
        "zonemaster": ["perl", "-MZonemaster::Engine", "-e", "1"],
    }
    return subprocess.run(probes[peer], capture_output=True).returncode == 0


def version(peer: str) -> str:
    package = PACKAGES[peer]
    said = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${Version}", package], capture_output=True, text=True)
    return said.stdout or package


class Asking:
    """The questions about some zones of a lab, in the files that the peers read."""

    def __init__(self, lab: Lab, dir: Path, count: int) -> None:
        self.lab, self.dir, self.zones = lab, dir, lab.zones[:count]
        lines = [f"{owner} {kind}\n" for zone in self.zones for owner, kind in questions(zone)]
        self.count = len(lines) * len(lab.servers)
        self.file, self.names = dir / f"questions-{count}", dir / f"zones-{count}"
        self.file.write_text("".join(lines))
        self.names.write_text("".join(f"{zone}\n" for zone in self.zones))
        self.places = [place.rsplit(":", 1) for place in lab.servers.values()]

    def raw(self) -> Figures:
        program = self.dir / "raw"
        if not program.exists():
            subprocess.run(["cc", "-O2", "-o", str(program), str(HERE / "raw.c")], check=True)
        figures = timed([[str(program), str(self.file), *self.lab.servers.values()]], [self.dir / "raw.out"])
        said = json.loads((self.dir / "raw.out").read_text())
        return {**figures, "questions": self.count, "lost": said["lost"]}

    def dig(self, *more: str) -> Figures:
        words = ["+norecurse", "+noall", "+answer", "+nocookie", *(more or ["+tries=3"]), "-f", str(self.file)]
        commands = [["dig", f"@{host}", "-p", port, *words] for host, port in self.places]
        # 9: a server said nothing.
        figures = timed(commands, [self.dir / f"dig-{port}" for _, port in self.places], (0, 9))
        return {**figures, "questions": self.count}

    def dnsperf(self) -> Figures:
        words = ["-d", str(self.file), "-n", "1", "-c", "1", "-T", "1", "-q", "64", "-t", "1", "-e"]
        commands = [["dnsperf", "-s", host, "-p", port, *words] for host, port in self.places]
        outputs = [self.dir / f"dnsperf-{port}" for _, port in self.places]
        figures = timed(commands, outputs)
        said = "".join(output.read_text() for output in outputs)
        lost = sum(int(line.split()[2]) for line in said.splitlines() if "Queries lost:" in line)
        return {**figures, "questions": self.count, "lost": lost}

    def dnspython(self) -> Figures:
        command = [PYTHON, str(HERE / "fanout.py"), str(self.file), *self.lab.servers.values()]
        return {**timed([command], [self.dir / "fanout"]), "questions": self.count}

    def apart(self) -> dict[str, str]:
        """The addresses that the zones of the lab give their name servers, with the port that each is asked at."""
        return {f"127.0.0.{11 + number}": port for number, (_, port) in enumerate(self.places)}

    def dnsviz(self) -> Figures:
        """Asks for the record sets of the zones themselves, and for DNSSEC; not for the hosts in them."""
        ports = self.apart()
        told = []
        for zone in self.zones:
            names = ",".join(f"ns{number + 1}.{zone}={address}" for number, address in enumerate(ports))
            told += ["-x", f"{zone}+:{names}"]
        program = [PYTHON, str(HERE / "dnsviz_at.py"), ",".join(f"{address}={port}" for address, port in ports.items())]
        facts = self.dir / "dnsviz.json"
        probe = [*program, "probe", "-4", "-A", "-R", ",".join(TYPES), *told, "-f", str(self.names)]
        asked = timed([probe], [facts])
        judged = timed([[*program, "grok", "-l", "warning", "-r", str(facts)]], [self.dir / "dnsviz-grok"])
        if facts.stat().st_size < 1000 * len(self.zones):
            sys.exit(f"dnsviz asked nothing: {facts.with_suffix('.log').read_text()[-2000:]}")
        added = {key: asked[key] + judged[key] for key in ("wall_s", "cpu_s")}
        return {**added, "memory_mb": max(asked["memory_mb"], judged["memory_mb"])}

    def zonemaster(self) -> Figures:
        """Every test that it has, from a root of our own that delegates the zones."""
        ports = self.apart()
        with Root(self.dir, self.zones, list(ports)) as root:
            places = [f"{address}={port}" for address, port in [*ports.items(), ("127.0.0.10", str(root.port))]]
            command = ["perl", str(HERE / "zonemaster.pl"), str(self.names), *places]
            figures = timed([command], [self.dir / "zonemaster"])
        said = json.loads((self.dir / "zonemaster").read_text())
        print(f"zonemaster, {len(self.zones)} zones: {said['questions'] / len(self.zones):.0f} questions a zone; {said['said']}")
        return {**figures, "questions": said["questions"]}


class Root:
    """A name server with the root of a world that has these zones alone (NSD, as in tests/lab)."""

    def __init__(self, dir: Path, zones: list[str], addresses: list[str]) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
            line.bind(("127.0.0.1", 0))
            self.port = line.getsockname()[1]
        lines = [". 3600 IN SOA a.root-servers.test. root.test. 1 3600 900 1209600 300", ". 3600 IN NS a.root-servers.test."]
        lines.append("a.root-servers.test. 3600 IN A 127.0.0.10")
        for zone in zones:
            for number, address in enumerate(addresses):
                name = f"ns{number + 1}.{zone}."
                lines += [f"{zone}. 3600 IN NS {name}", f"{name} 3600 IN A {address}"]
        (dir / "root.zone").write_text("\n".join(lines) + "\n")
        files = {"pidfile": "nsd.pid", "xfrdfile": "xfrd.state", "zonelistfile": "zone.list"}
        options = {key: f'"{dir / name}"' for key, name in files.items()}
        options |= {"ip-address": f"127.0.0.1@{self.port}", "zonesdir": f'"{dir}"', "xfrdir": f'"{dir}"', "rrl-ratelimit": "0"}
        options |= {"username": '""', "chroot": '""', "cookie-secret-file": '""', "database": '""', "server-count": "1"}
        told = "".join(f"  {key}: {value}\n" for key, value in options.items())
        conf = dir / "nsd.conf"
        conf.write_text(f'server:\n{told}remote-control:\n  control-enable: no\nzone:\n  name: "."\n  zonefile: "root.zone"\n')
        with (dir / "nsd.log").open("wb") as log:
            self.process = subprocess.Popen(["/usr/sbin/nsd", "-d", "-c", str(conf)], stdout=log, stderr=log)
        time.sleep(1)
        if self.process.poll() is not None:
            sys.exit(f"nsd: {(dir / 'nsd.log').read_text()}")

    def __enter__(self) -> Root:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait()
