"""Who is measured, and how each is called for the same work."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab import Lab


@dataclass
class Peer:
    """`command` gives the words that bring the directory `source` to the directory `target` of the host."""

    name: str
    command: Callable[[Lab, Path, Path], list[str]]
    program: str
    # It remembers something from run to run: a first run, not measured, gives it the chance.
    remembers: bool = False
    # Other success than exit code 0.
    also_fine: tuple[int, ...] = ()


def rsync(*options: str) -> Callable[[Lab, Path, Path], list[str]]:
    def command(lab: Lab, source: Path, target: Path) -> list[str]:
        shell = shlex.join(["ssh", "-F", str(lab.ssh_config)])
        return ["rsync", *options, "--delete", "-e", shell, f"{source}/", f"bench-shell:{target}/"]

    return command


def dr(*options: str, sftp: bool = False) -> Callable[[Lab, Path, Path], list[str]]:
    def command(lab: Lab, source: Path, target: Path) -> list[str]:
        port = (lab.sftp if sftp else lab.shell).port
        place = f"ssh://{lab.user}@127.0.0.1:{port}{target}"
        words = [lab.program, "mirror", source, place, "--max-delete", "100000000", "--identity", lab.dir / "key"]
        words += ["--known-hosts", lab.known_hosts, "--journal", lab.dir / "journal.db", *options]
        return list(map(str, words))

    return command


def unison(lab: Lab, source: Path, target: Path) -> list[str]:
    place = f"ssh://bench-shell/{target}"
    ask_nothing = ["-ui", "text", "-batch", "-auto", "-terse", "-confirmbigdel=false", "-prefer", str(source)]
    keep = ["-perms", "-1", "-times", "-owner", "-group", "-numericids"]
    return ["unison", str(source), place, *ask_nothing, *keep, "-sshargs", f"-F {lab.ssh_config}"]


def rclone(lab: Lab, source: Path, target: Path) -> list[str]:
    login = ["--sftp-host", "127.0.0.1", "--sftp-port", str(lab.sftp.port), "--sftp-user", lab.user]
    keys = ["--sftp-key-file", str(lab.dir / "key"), "--sftp-known-hosts-file", str(lab.known_hosts)]
    how = ["--transfers", "16", "--checkers", "32", "--links", "--config", "/dev/null", "--log-level", "ERROR"]
    return ["rclone", "sync", str(source), f":sftp:{target}", *login, *keys, *how, "--sftp-disable-hashcheck"]


def shell(line: str) -> Callable[[Lab, Path, Path], list[str]]:
    def command(lab: Lab, source: Path, target: Path) -> list[str]:
        ssh = shlex.join(["ssh", "-F", str(lab.ssh_config), "bench-shell"])
        return ["sh", "-c", line.format(ssh=ssh, source=shlex.quote(str(source)), target=shlex.quote(str(target)))]

    return command


DR = Peer("dr", dr(), "dr", remembers=True, also_fine=(1,))
DR_NO_FSYNC = Peer("dr --fsync never", dr("--fsync", "never"), "dr", remembers=True, also_fine=(1,))
DR_SFTP = Peer("dr, nothing but SFTP there", dr(sftp=True), "dr", remembers=True, also_fine=(1,))
RSYNC = Peer("rsync -aHAX", rsync("-aHAX", "--numeric-ids"), "rsync")
RSYNC_PLAIN = Peer("rsync -a", rsync("-a"), "rsync")
RSYNC_WHOLE_LIST = Peer(
    "rsync -aHAX --no-inc-recursive", rsync("-aHAX", "--numeric-ids", "--no-inc-recursive"), "rsync"
)
RSYNC_SMALL_BLOCKS = Peer("rsync -aHAX -B 8192", rsync("-aHAX", "--numeric-ids", "-B", "8192"), "rsync")
UNISON = Peer("unison", unison, "unison", remembers=True)
RCLONE = Peer("rclone sync, SFTP", rclone, "rclone")
TAR = Peer("tar over ssh", shell("tar -C {source} -cf - . | {ssh} tar -C {target} -xpf -"), "tar")
CAT = Peer("ssh cat", shell("{ssh} cat \\> {target}/big <{source}/big"), "ssh")
TRUE = Peer("ssh true", shell("{ssh} true"), "ssh")


def there(peer: Peer, lab: Lab) -> bool:
    """Whether it can be measured here."""
    if peer.program != "dr":
        return shutil.which(peer.program) is not None
    if peer is DR_NO_FSYNC:
        words = subprocess.run([lab.program, "mirror", "--help"], capture_output=True, text=True, check=False).stdout
        return "--fsync" in words
    return True


def version(program: str, lab: Lab) -> str:
    words = {"ssh": ["ssh", "-V"], "unison": ["unison", "-version"], "dr": [str(lab.program), "--version"]}
    words = words.get(program, [program, "--version"])
    said = subprocess.run(words, capture_output=True, text=True, check=False)
    return (said.stdout or said.stderr).strip().splitlines()[0]
