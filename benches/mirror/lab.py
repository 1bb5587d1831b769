"""An sshd as Debian ships it, on loopback, and lines of every length to it."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

from measure import Far

# Delay each way in ms, and bytes a second (0: no limit).
LINES = {"count": (0, 0), "wan": (40, 0), "wan1g": (40, 125_000_000), "wan100m": (40, 12_500_000)}
TITLES = {
    "loop": "loopback",
    "wan": "80 ms",
    "wan1g": "80 ms, 1 Gbit/s",
    "wan100m": "80 ms, 100 Mbit/s",
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Gate:
    """One address of a host: whatever the line, it stays the same. Straight to sshd, or through the proxy to its twin."""

    def __init__(self, lab: Lab, name: str, lines: list[str]) -> None:
        self.lab, self.name, self.more = lab, name, lines
        self.port, self.behind = free_port(), free_port()
        self.line = "loop"
        self.proxy: subprocess.Popen[str] | None = None
        self.server = self.start(self.port)
        self.start(self.behind)

    def start(self, port: int) -> subprocess.Popen[bytes]:
        lab = self.lab
        config = lab.dir / f"sshd-{self.name}-{port}"
        config.write_text(
            "\n".join(
                [
                    *self.more,
                    f"ListenAddress 127.0.0.1:{port}",
                    f"HostKey {lab.dir}/host_key",
                    "PidFile none\nUsePAM no\nUseDNS no\nLogLevel ERROR\nStrictModes no\nPermitRootLogin yes",
                    "PasswordAuthentication no\nKbdInteractiveAuthentication no\nPrintMotd no\nPrintLastLog no",
                    f"AuthorizedKeysFile {lab.dir}/key.pub",
                    f"SetEnv HOME={lab.home} XDG_STATE_HOME={lab.dir}/state-there UNISON={lab.home}/unison-there PATH={lab.program.parent}:/usr/bin:/bin",
                    "Subsystem sftp internal-sftp\n",
                ]
            )
        )
        log = (lab.dir / "sshd.log").open("ab")
        sshd = subprocess.Popen(["/usr/sbin/sshd", "-D", "-e", "-f", config], stdin=subprocess.DEVNULL, stderr=log)
        lab.started.append(sshd)
        lab.far.add(sshd.pid)
        deadline = time.monotonic() + 10
        while True:
            try:
                with socket.create_connection(("127.0.0.1", port), 1) as line:
                    line.recv(4)
                return sshd
            except OSError:
                if time.monotonic() > deadline or sshd.poll() is not None:
                    raise SystemExit(f"sshd does not start: {(lab.dir / 'sshd.log').read_text()}") from None
                time.sleep(0.05)

    def turn(self, line: str) -> None:
        """Makes this the line from now on."""
        if line == self.line:
            return
        if self.proxy is not None:
            self.proxy.stdin.close()
            self.proxy.wait(10)
            self.proxy = None
        if line == "loop":
            self.server = self.start(self.port)
        else:
            if self.line == "loop":
                self.lab.far.remove(self.server.pid)
                self.server.terminate()
                self.server.wait(10)
            delay, rate = LINES[line]
            words = [self.lab.tools / "bench-line", *map(str, (self.port, self.behind, delay, rate))]
            self.proxy = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            self.lab.started.append(self.proxy)
            if self.proxy.stdout.readline() != "ready\n":
                raise SystemExit("bench-line does not start")
        self.line = line

    def passed(self) -> tuple[int, int] | None:
        """Bytes to the server and back since this was asked last; none if nobody counted."""
        if self.proxy is None:
            return None
        self.proxy.stdin.write("\n")
        self.proxy.stdin.flush()
        up, down = self.proxy.stdout.readline().split()
        return int(up), int(down)


class Lab:
    """Keys, homes, and two hosts: one with a shell, one that has nothing but SFTP."""

    def __init__(self, place: Path, program: Path, tools: Path) -> None:
        self.dir, self.program, self.tools = place / "lab", program, tools
        self.user = getpass.getuser()
        self.started: list[subprocess.Popen] = []
        self.far = Far()
        shutil.rmtree(self.dir, ignore_errors=True)
        self.home = self.dir / "home"
        for directory in [self.home / "unison-there", self.home / "unison-here"]:
            directory.mkdir(parents=True)
        for name in ["key", "host_key"]:
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", self.dir / name], check=True)
        if os.geteuid() == 0:
            # Where sshd locks its unprivileged half up; Debian has it made when the service starts.
            os.makedirs("/run/sshd", exist_ok=True)
        self.shell = Gate(self, "shell", [])
        self.sftp = Gate(self, "sftp", ["ForceCommand internal-sftp"])
        host_key = (self.dir / "host_key.pub").read_text().strip()
        self.known_hosts = self.dir / "known_hosts"
        self.ssh_config = self.dir / "ssh_config"
        gates = [self.shell, self.sftp]
        self.known_hosts.write_text("".join(f"[127.0.0.1]:{gate.port} {host_key}\n" for gate in gates))
        self.ssh_config.write_text(
            "".join(
                f"Host bench-{gate.name}\n HostName 127.0.0.1\n Port {gate.port}\n User {self.user}\n"
                f" IdentityFile {self.dir}/key\n IdentitiesOnly yes\n UserKnownHostsFile {self.known_hosts}\n"
                " GlobalKnownHostsFile /dev/null\n LogLevel ERROR\n"
                for gate in gates
            )
        )
        self.environment = {
            "HOME": str(self.home),
            "XDG_STATE_HOME": str(self.dir / "state-here"),
            "UNISON": str(self.home / "unison-here"),
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "USER": self.user,
        }

    def forget(self) -> None:
        """Takes from both ends what dr remembers of mirrors: another tree at the same path would be refused, and rightly so."""
        for name in ["mirror", "state-here", "state-there"]:
            shutil.rmtree(self.dir / name, ignore_errors=True)

    def close(self) -> None:
        for process in reversed(self.started):
            if process.poll() is None:
                process.terminate()
                process.wait(10)
        self.far.close()
