"""Keys: dr beside ssh-keygen, ssh and ssh-copy-id, on the same files and the same host, in one run."""

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

HERE = Path(__file__).resolve().parent
KEYS_AT_ONCE = 8
FOREIGN = "# of somebody else's\nssh-ed25519 broken-on-purpose\n"


def timed(command: list, fine: tuple[int, ...] = (0,), **words) -> tuple[float, float]:
    """Wall and processor seconds of a program and what it started."""
    begun = time.monotonic()
    process = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **words)
    said = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in fine:
        sys.exit(f"{command} ended with {process.returncode}: {said.decode(errors='replace')}")
    return time.monotonic() - begun, used.ru_utime + used.ru_stime


def often(runs: int, command, fine: tuple[int, ...] = (0,), **words) -> tuple[float, float]:
    """The medians; `command` may be made anew for each run."""
    measured = [timed(command(run) if callable(command) else command, fine, **words) for run in range(runs)]
    return statistics.median(wall for wall, _ in measured), statistics.mean(cpu for _, cpu in measured)


class Lab:
    """tests/lab, in a process of its own."""

    def __init__(self, program: str, key: Path) -> None:
        self.process = subprocess.Popen([program, f"{key}.pub"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        address, self.host_key, lines = (self.process.stdout.readline().strip() for _ in range(3))
        assert lines, "the lab did not start"
        self.port, self.lines = address.rsplit(":", 1)[1], Path(lines)

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def pair(path: Path) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", path.name, "-f", path], check=True)
    return path


def generated(args, desk: Path, rows: list) -> None:
    # A program that makes many keys starts once; ssh-keygen makes one and ends. Both comparisons are told: what a key costs, and what a process costs.
    many = 20_000
    nothing = often(3, [args.inside, "generate", 0])
    all_of_them = often(3, [args.inside, "generate", many])
    inside = [max(whole - start, 1e-9) / many for whole, start in zip(all_of_them, nothing)]
    wall, cpu = often(args.runs, lambda run: [args.dr, "keys", "generate", desk / f"dr{run}", "--no-passphrase"], env=args.env)
    their_wall, their_cpu = often(args.runs, lambda run: ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", desk / f"ssh{run}"])
    rows += [
        (f"generate ed25519 in the library, each of {many} in one process", *inside),
        ("generate ed25519 and write it, a process each: dr keys generate", wall, cpu),
        ("the same: ssh-keygen", their_wall, their_cpu),
    ]


def logged_in(args, lab: Lab, key: Path, known: Path, rows: list) -> None:
    ssh = ["ssh", "-F", "none", "-p", lab.port, "-i", key, "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"]
    ssh += ["-o", f"UserKnownHostsFile={known}", "-o", "GlobalKnownHostsFile=none", "root@127.0.0.1", "true"]
    there = f"root@127.0.0.1:{lab.port}"
    ours = [args.dr, "keys", "verify", f"{key}.pub", there, "-i", key, "--known-hosts", known]
    inside = lambda count: [args.inside, "login", count, there, key, known]
    wall, cpu = often(args.runs, ours, env=args.env)
    their_wall, their_cpu = often(args.runs, ssh)
    empty_wall, empty_cpu = often(3, inside(0))
    full_wall, full_cpu = often(3, inside(args.runs))
    each = ((full_wall - empty_wall) / args.runs, max(full_cpu - empty_cpu, 1e-9) / args.runs)
    rows += [
        ("connect, log in, run a command, in the library", *each),
        ("the same: dr keys verify", wall, cpu),
        ("the same: ssh HOST true", their_wall, their_cpu),
    ]


def audited(args, desk: Path, rows: list) -> None:
    lines = desk / "lines"
    with lines.open("wb") as file:
        subprocess.run([sys.executable, HERE / "lines.py", str(args.lines)], stdout=file, check=True)
    runs = max(3, args.runs // 4)
    ours = often(runs, [args.dr, "keys", "audit", "--file", lines], fine=(0, 1), env=args.env)
    theirs = often(runs, ["ssh-keygen", "-lf", lines])
    said = subprocess.run([args.dr, "keys", "audit", "--file", lines, "--json"], capture_output=True, env=args.env).stdout
    report = next(value["report"] for value in map(json.loads, said.splitlines()) if "report" in value)
    lost = args.lines - report["figures"]["keys"]
    rows += [
        (f"audit of {args.lines} lines, {lost} keys lost: dr keys audit", *ours),
        ("the same, listed only: ssh-keygen -lf", *theirs),
    ]


def compared(rows: list) -> list[str]:
    """Ratios to what OpenSSH's tools take, wall and processor, in the order in which the rows were measured."""
    (inside, ours, theirs), (in_login, login, their_login), (audit, listing) = rows[:3], rows[3:6], rows[6:]
    times = lambda ours, theirs: f"{theirs[1] / ours[1]:.1f} x in time, {theirs[2] / ours[2]:.1f} x in CPU"
    return [
        f"| generate ed25519 | 50 x | {times(inside, theirs)} by the library; {times(ours, theirs)} with a process for each key |",
        f"| connect, authenticate, run | 2 x, 10 x in CPU | {times(in_login, their_login)} by the library; {times(login, their_login)} with a process for each login |",
        f"| audit of many lines | 5 x | {times(audit, listing)} |",
    ]


def installed(args, lab: Lab, desk: Path, key: Path, known: Path) -> list[str]:
    """Eight at once, beside lines that are somebody else's."""
    news = [pair(desk / f"new{number}") for number in range(KEYS_AT_ONCE)]
    # -f: it would otherwise find that one can log in already. Told of both: how many of the keys are there, how many lines too many, whether what was there is as it was.
    (desk / ".ssh").mkdir(mode=0o700, exist_ok=True)
    shutil.copy(known, desk / ".ssh/known_hosts")
    there = f"ann@127.0.0.1:{lab.port}"
    options = ["-o", "IdentitiesOnly=yes", "-o", f"IdentityFile={key}", "-o", f"UserKnownHostsFile={known}", "-o", "GlobalKnownHostsFile=none"]
    ways = {
        "dr keys install": lambda new: [args.dr, "keys", "install", f"{new}.pub", there, "-i", key, "--known-hosts", known],
        "ssh-copy-id -s": lambda new: ["ssh-copy-id", "-s", "-f", "-i", f"{new}.pub", "-p", lab.port, *options, "ann@127.0.0.1"],
    }
    mine, rows = Path(f"{key}.pub").read_text(), []
    for name, command in ways.items():
        state = os.stat(lab.lines)
        lab.lines.write_text(FOREIGN + mine)
        os.chown(lab.lines, state.st_uid, state.st_gid)
        begun = time.monotonic()
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        env = {**args.env, "HOME": str(desk)}
        running = [subprocess.Popen(list(map(str, command(new))), env=env, **quiet) for new in news]
        failed = sum(process.wait() != 0 for process in running)
        took = time.monotonic() - begun
        text = lab.lines.read_text()
        blobs = [Path(f"{new}.pub").read_text().split()[1] for new in news]
        survived, twice = sum(blob in text for blob in blobs), sum(max(0, text.count(blob) - 1) for blob in blobs)
        intact = "intact" if text.startswith(FOREIGN + mine) else "NOT intact"
        rows.append(
            f"| {name} | {survived} of {KEYS_AT_ONCE} | {twice} | {intact} | {failed} | {took:.1f} s |"
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--lab", required=True)
    parser.add_argument("--dr", required=True)
    parser.add_argument("--inside", required=True)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--lines", type=int, default=100_000)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        desk = Path(directory)
        args.env = {**os.environ, "HOME": directory, "XDG_STATE_HOME": directory}
        args.env.pop("SSH_AUTH_SOCK", None)
        os.environ.pop("SSH_AUTH_SOCK", None)
        key, rows = pair(desk / "mine"), []
        lab = Lab(args.lab, key)
        try:
            known = desk / "known_hosts"
            known.write_text(f"[127.0.0.1]:{lab.port} {lab.host_key}\n")
            generated(args, desk, rows)
            logged_in(args, lab, key, known, rows)
            audited(args, desk, rows)
            installs = installed(args, lab, desk, key, known)
        finally:
            lab.close()
    print("| what | wall | CPU |\n|---|---|---|")
    for what, wall, cpu in rows:
        print(f"| {what} | {wall * 1e3:.3f} ms | {cpu * 1e3:.3f} ms |")
    print("\n| beside OpenSSH's tools | aimed at | measured |\n|---|---|---|")
    print("\n".join(compared(rows)))
    print(f"\n| {KEYS_AT_ONCE} installs at once | keys there | lines twice | other lines | failed | wall |\n|---|---|---|---|---|---|")
    print("\n".join(installs))
    print(f"\nLoad {os.getloadavg()[0]:.0f}, {args.runs} runs.")
    if args.json:
        args.json.write_text(json.dumps({"rows": rows, "installs": installs}))


if __name__ == "__main__":
    main()
