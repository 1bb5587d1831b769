#!/usr/bin/env python3
"""See benches/failover.sh. Prints a line of JSON for each figure as it is measured, and tables in the end."""

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import tempfile
import time

from lab import HOSTS, Agents
from peers import Gdnsd, Keepalived
from places import FAULTS, until


def say(**figures):
    print(json.dumps(figures), flush=True)
    return figures


def folder():
    return tempfile.mkdtemp(prefix="dr-failover-")


def deaths(options):
    """Seconds from a fault to the switch, the same faults for everybody."""
    rows = {}
    chosen = {fault: befall for fault, befall in FAULTS.items() if options.fault in fault}
    for who, lab in peers():
        for fault, befall in chosen.items():
            for _ in range(options.runs):
                # Not in step with what looks once in a while.
                time.sleep(random.uniform(0, 2))
                befall(lab)
                took = until(lab.switched, pause=0.005)
                rows.setdefault((fault, who), []).append(took)
                say(who=who, fault=fault, seconds=round(took, 2))
                lab.heal()
                lab.wait_for_home()
        lab.end()
    for fault, befall in {**chosen, "host dead": Agents.kill_host}.items():
        for _ in range(options.runs):
            lab = Agents(folder(), options.dr)
            time.sleep(random.uniform(9, 11))
            befall(lab)
            # A hung web server is ended by its own agent; the names follow when it is.
            took = until(lab.switched, pause=0.005)
            page = took + until(lambda: lab.serves("us"))
            rows.setdefault((fault, "dr"), []).append(took)
            say(who="dr", fault=fault, seconds=round(took, 2), page=round(page, 2))
            lab.end()
    table(rows, ["dr", *(who for who, _ in PEERS)])


PEERS = [("gdnsd, 1 failure", lambda: Gdnsd(folder(), 1)), ("gdnsd, 3 failures", lambda: Gdnsd(folder(), 3)),
         ("keepalived", lambda: Keepalived(folder()))]
PROGRAMS = {"gdnsd, 1 failure": "gdnsd", "gdnsd, 3 failures": "gdnsd", "keepalived": "keepalived"}


def peers():
    for who, make in PEERS:
        if shutil.which(PROGRAMS[who], path=f"{os.environ['PATH']}:/usr/sbin"):
            yield who, make()
        else:
            say(who=who, absent=f"apt-get install {PROGRAMS[who]}")


def table(rows, whom):
    print("\n| what befalls the web server or its host | " + " | ".join(whom) + " |\n" + "|---" * (len(whom) + 1) + "|")
    for fault in dict.fromkeys(fault for fault, _ in rows):
        cells = [rows.get((fault, who)) for who in whom]
        print(f"| {fault} | " + " | ".join(
            f"{statistics.median(them):.2f} s ({min(them):.2f} to {max(them):.2f})" if them else "–" for them in cells) + " |")


def partition(options):
    """Only the line between the hosts fails, each of them well: how long do both hold the site?"""
    rows = []
    for who, make in [("keepalived", lambda: Keepalived(folder())), ("dr", lambda: Agents(folder(), options.dr))]:
        lab = make()
        holds = getattr(lab, "holds", lab.serves)
        time.sleep(10)
        lab.cut("uk")
        began, both, first, samples = time.monotonic(), 0.0, None, 0
        last = began
        while time.monotonic() - began < 40:
            here = {name: holds(name) for name in HOSTS}
            now = time.monotonic()
            both += (now - last) if all(here.values()) else 0
            first = first or (now - began if here["us"] else None)
            last, samples = now, samples + 1
        rows.append(say(who=who, seconds_both=round(both, 1), seconds_to_us=round(first or 0, 1), looked=samples))
        lab.end()
    print("\n| 40 s without a line to uk | the other holds it after | both hold it | looked |\n|---|---|---|---|")
    for row in rows:
        print(f"| {row['who']} | {row['seconds_to_us']} s | {row['seconds_both']} s | {row['looked']} times |")


def idle(options):
    """Processor and memory of the agents with so many sites, over a minute."""
    lab = Agents(folder(), options.dr, options.sites - 1)
    until(lambda: lab.says("us", "seats").count("may serve") >= options.sites // 2 - 1, 300)
    time.sleep(20)
    everybody = {f"agent {name}": process for name, process in lab.agents.items()}
    everybody |= {f"warden {name}": process for name, process in lab.wardens.items()}
    before = {name: processor(process) for name, process in everybody.items()}
    began = time.monotonic()
    time.sleep(60)
    print("\n| who | sites | processor | memory |\n|---|---|---|---|")
    for name, process in everybody.items():
        share = (processor(process) - before[name]) / (time.monotonic() - began)
        print(f"| {name} | {options.sites} | {share * 100:.2f} % | {memory(process) / 1024:.1f} MiB |")
    lab.end()


def host(options):
    """Seconds to move so many sites off a host that is dead, by one plan."""
    lab = Agents(folder(), options.dr, options.sites - 1, with_agents=False)
    # Nothing of the machine answers any more: refused, not silent.
    lab.sshds["uk"].kill()
    lab.sshds["uk"].wait()
    for what in [["failover", "plan", "--host", "uk", "--despite", "mirror-fresh", "--why", "bench"],
                 ["failover", "run", "--host", "uk", "--yes", "--despite", "mirror-fresh", "--why", "bench"]]:
        command = lab.dr(*lab.access(lab.at("j.db")), *what, home="nl")
        began = time.monotonic()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        say(what=what[1], sites=options.sites, seconds=round(time.monotonic() - began, 2), exit=done.returncode)
        if done.returncode not in (0, 1):
            raise SystemExit(done.stderr + done.stdout[-2000:])
    lab.end()


def processor(process):
    with open(f"/proc/{process.pid}/stat", encoding="utf-8") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(process):
    with open(f"/proc/{process.pid}/status", encoding="utf-8") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["deaths", "partition", "idle", "host"])
    parser.add_argument("--dr", required=True)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--fault", default="", help="only those with this in their name")
    parser.add_argument("--sites", type=int, default=300)
    chosen = parser.parse_args()
    globals()[chosen.what](chosen)
