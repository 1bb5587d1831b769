"""What is documented runs: every example of a docstring, and every block of Python in the pages for people.

They run in a place that can be thrown away, against servers on loopback: names and addresses of the documentation stand for those.
"""

from __future__ import annotations

import contextlib
import doctest
import importlib
import inspect
import os
import pkgutil
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import dr
from checking import check
from key_checks import key, sshd
from nameserver import NameServer

ROOT = Path(__file__).resolve().parents[2]
ESTATE = """\
[hosts.uk]
ssh = "root@us.example.net"
addresses = ["127.0.0.1"]
[hosts.us]
ssh = "root@us.example.net"
addresses = ["127.0.0.2"]
[sites.shop]
home = "uk"
standby = "us"
names = ["www.example.org"]
trees = [{ path = "/var/www/shop" }]
[zones."example.org"]
primary = "ns1"
servers = ["ns1", "ns2"]
[name_servers]
ns1 = { address = "192.0.2.1" }
ns2 = { address = "192.0.2.2" }
[coordinator]
kind = "sqlite"
path = "coordinator.db"
"""


class Stage:
    """Where examples run: a directory with a site, keys and an estate in it, name servers, an sshd and an ssh-agent."""

    def __init__(self, top: Path) -> None:
        self.top, self.place, self.keys = top, top / "place", top / "keys"
        self.keys.mkdir()
        for name in ("id", "new", "stranger", "ca"):
            key(self.keys / name)
        self.stand_ins = {
            '"192.0.2.1"': f'"{NameServer("example.org", "192.0.2.10").start()}"',
            '"192.0.2.2"': f'"{NameServer("example.org", "192.0.2.10").start()}"',
            # It has not followed.
            '"192.0.2.3"': f'"{NameServer("example.org", "192.0.2.99").start()}"',
            '"/run/agent"': f'"{top}/agent"',
            '"authorized_keys"': f'"{top}/authorized_keys"',
        }
        self.stand_ins['"198.51.100.2"'] = self.stand_ins['"192.0.2.2"']
        for path in ("/var/www/shop", "/mnt/backup/shop", "/var/lib/dr/journal.db"):
            self.stand_ins[f'"{path}"'] = f'"{self.place}{path}"'

    @contextlib.contextmanager
    def served(self):
        """With an sshd, which lets ``id`` in, and an ssh-agent, which holds nothing."""
        with sshd(self.top) as (there, self.host_key):
            self.stand_ins['"root@us.example.net"'] = f'"{there}"'
            agent = subprocess.Popen(["ssh-agent", "-D", "-a", self.top / "agent"], stdout=subprocess.DEVNULL)
            try:
                deadline = time.monotonic() + 30
                while not (self.top / "agent").exists():
                    assert time.monotonic() < deadline
                    time.sleep(0.02)
                yield self
            finally:
                agent.terminate()
                agent.wait()

    def said(self, text: str) -> str:
        """The same with what stands in for what the documentation names."""
        for words, stand_in in self.stand_ins.items():
            text = text.replace(words, stand_in)
        return text

    def set(self) -> None:
        """As it is when an example begins."""
        shutil.rmtree(self.place, ignore_errors=True)
        shutil.copytree(self.keys, self.place)
        for place in ("var/www/shop", "mnt/backup", "var/lib/dr", "hooks"):
            (self.place / place).mkdir(parents=True)
        (self.place / "var/www/shop/index.html").write_text("<h1>shop</h1>")
        (self.place / "dr.toml").write_text(self.said(ESTATE))
        (self.top / "authorized_keys").write_text((self.keys / "id.pub").read_text())
        if '"root@us.example.net"' in self.stand_ins:
            port = self.stand_ins['"root@us.example.net"'].rpartition(":")[2].strip('"')
            (self.place / "known_hosts").write_text(f"[127.0.0.1]:{port} {self.host_key}\n")


class Parser(doctest.DocTestParser):
    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    def parse(self, string, name="<string>"):
        return super().parse(self.stage.said(string), name)


def offered():
    """All that `import dr` gives and can be called, and the methods of classes: by name, and whether it needs an example."""
    for name in dr.__all__:
        thing = getattr(dr, name)
        if not callable(thing) or name.startswith("__"):
            continue
        yield name, thing, True
        for inner, member in vars(thing).items() if inspect.isclass(thing) else ():
            if inner.startswith("_") or isinstance(member, (str, int)):
                continue
            member = getattr(member, "__func__", member)
            if callable(member) or isinstance(member, property):
                yield f"{name}.{inner}", member, not isinstance(member, property)


@check
def everything_says_what_it_is_with_an_example():
    names = [name for name, thing, _ in offered() if not (thing.__doc__ or "").strip()]
    assert not names, f"these say nothing of themselves: {names}"
    def shown(name: str, thing) -> bool:
        examples = "".join(example.source for example in doctest.DocTestParser().get_examples(thing.__doc__))
        return bool(examples) and (inspect.isclass(thing) or name.rpartition(".")[2] + "(" in examples)

    names = [name for name, thing, example in offered() if example and not shown(name, thing)]
    assert not names, f"these have no example: {names}"
    assert len(list(offered())) > 150


@check
def examples_of_docstrings_run():
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as directory, Stage(Path(directory)).served() as stage:
        finder = doctest.DocTestFinder(parser=Parser(stage), exclude_empty=True)
        tests = []
        for found in [*pkgutil.iter_modules(dr.__path__), pkgutil.ModuleInfo(None, "", True)]:
            if found.name not in ("__main__", "_dr"):
                tests += finder.find(importlib.import_module(f"dr.{found.name}".rstrip(".")))
        tests += [test for name in dr._dr.__all__ for test in finder.find(getattr(dr._dr, name), name, module=False)]
        reach = {"identities": ["id", "new"], "known_hosts": ["known_hosts"], "journal": "journal.db"}
        runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
        try:
            for test in tests:
                stage.set()
                os.chdir(stage.place)
                # How hosts are reached is said once, at ``Reach``.
                test.globs = {**test.globs, "reach": reach}
                runner.run(test)
        finally:
            os.chdir(before)
    failed, tried = runner.summarize(verbose=False)
    assert not failed and tried > 300, (failed, tried)


@check
def the_readme_and_the_examples_run():
    programs = {path.name: path.read_text() for path in (ROOT / "examples" / "python").glob("*.py")}
    assert len(programs) == 2, programs
    for page in ("README.md", "docs/python.md"):
        for number, block in enumerate(re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)):
            programs[f"{page}, block {number + 1}"] = block
    assert len(programs) > 8, programs
    with tempfile.TemporaryDirectory() as directory:
        stage = Stage(Path(directory))
        for name, text in programs.items():
            stage.set()
            done = subprocess.run([sys.executable, "-c", stage.said(text)], cwd=stage.place, capture_output=True, text=True, timeout=60)
            assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"
