"""What the Python package promises of keys, against OpenSSH's own sshd and ssh-agent."""

from __future__ import annotations

import contextlib
import getpass
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import dr
from checking import check

ROOT = Path(__file__).resolve().parents[2]
NOWHERE = "nobody@127.0.0.1:9"


def key(path: Path) -> str:
    return dr.generate_key(path, no_passphrase=True, comment=path.name).public_key


@contextlib.contextmanager
def sshd(top: Path):
    """A server for whoever runs this, with an authorized_keys of its own: where it listens, and its host key."""
    host_key = key(top / "host")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = top / "sshd_config"
    config.write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {top}/host\nPidFile none\nUsePAM no\nStrictModes no\n"
        f"AuthorizedKeysFile {top}/authorized_keys\nPasswordAuthentication no\nPermitRootLogin prohibit-password\n"
        "Subsystem sftp internal-sftp\n"
    )
    if os.geteuid() == 0:
        os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
    with open(top / "log", "wb") as log:
        server = subprocess.Popen(["/usr/sbin/sshd", "-D", "-e", "-f", config], stderr=log)
    try:
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert time.monotonic() < deadline, (top / "log").read_text()
            time.sleep(0.02)
        yield f"{getpass.getuser()}@127.0.0.1:{port}", host_key
    finally:
        server.terminate()
        server.wait()


@check
def a_key_is_made_once_and_its_secrecy_is_said():
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "id"
        for wrong in ({}, {"no_passphrase": True, "passphrase_file": "/x"}):
            try:
                dr.generate_key(path, **wrong)
            except dr.UsageError as error:
                assert "no_passphrase" in error.hint, error.hint
            else:
                raise AssertionError(wrong)
        assert dr.generate_key(path, no_passphrase=True, dry_run=True).fingerprint is None and not path.exists()
        # A passphrase need not lie in a file.
        read, write = os.pipe()
        os.write(write, b"correct horse\n")
        os.close(write)
        made = dr.generate_key(path, passphrase_file=f"/dev/fd/{read}", kind="ecdsa-p256", comment="ann")
        os.close(read)
        assert "correct horse" not in repr(made) and path.stat().st_mode & 0o777 == 0o600
        theirs = ["ssh-keygen", "-y", "-P", "correct horse", "-f", path]
        said = subprocess.run(theirs, check=True, capture_output=True, text=True).stdout
        assert said.split()[1] == made.public_key.split()[1] and made.public_key.endswith(" ann")
        try:
            dr.generate_key(path, no_passphrase=True, dry_run=True)
        except dr.AlreadyExistsError:
            pass
        else:
            raise AssertionError("it would be overwritten")


@check
def a_key_is_brought_proved_exchanged_and_looked_at():
    with tempfile.TemporaryDirectory() as directory:
        top = Path(directory)
        with sshd(top) as (there, host_key):
            mine, new = key(top / "mine"), key(top / "new")
            lines, known = top / "authorized_keys", top / "known_hosts"
            lines.write_text(f"{mine}\n# somebody else's remark\n")
            seen = dr.trust_host(there)
            assert len(seen.keys) == 1 and seen.keys[0].is_new and not seen.added and seen.report.verdict == "ok", seen
            trusted = dr.trust_host(there, accept=[seen.keys[0].fingerprint], add_to=known)
            assert trusted.added == (" ".join(host_key.split()[:2]),) and known.exists(), trusted
            reach = {"identities": [top / "mine", top / "new"], "known_hosts": [known], "journal": top / "journal.db"}
            words = {
                "restrict": True, "sources": ["127.0.0.1"], "expires": datetime.now(timezone.utc) + timedelta(days=30),
                "file": str(lines),
            }
            planned = dr.install_key(top / "new.pub", there, dry_run=True, **words, **reach)
            assert planned.changed and planned.plan["steps"] and new not in lines.read_text(), planned
            done = dr.install_key(top / "new.pub", there, **words, **reach)
            assert (done.changed, done.outcome) == (True, "new") and done.run, done
            text = lines.read_text()
            assert text.startswith(f"{mine}\n# somebody else's remark\nrestrict,from=") and text.endswith(f"{new}\n"), text
            assert not dr.install_key(top / "new.pub", there, **words, **reach).changed
            assert dr.verify_key(new, there, **reach).verdict == "ok"
            assert dr.probe_key(top / "new.pub", there, **reach).verdict == "ok"
            stranger = key(top / "stranger")
            refused = dr.probe_key(stranger, there, **reach)
            assert [finding.code for finding in refused.findings][:1] == ["keys.not_accepted"], refused
            third = key(top / "third")
            reach["identities"].append(top / "third")
            done = dr.rotate_key(mine, third, [there], file=str(lines), grace=timedelta(0), **reach)
            assert done.outcome == "new" and mine not in lines.read_text() and third in lines.read_text(), done
        # What is left needs no server.
        known_keys = top / "known_keys"
        known_keys.write_text(new + "\n")
        audited = dr.audit_keys(file=lines, known=known_keys, html=top / "page.html", record=top / "record")
        assert len(audited.inventory["access"]) == 2 and (top / "page.html").exists() and (top / "record").exists()
        assert "keys.unknown" in {finding.code for finding in audited.report.findings}, audited.report


@contextlib.contextmanager
def whole_host():
    """A host of the lab with passwords and PAM: where root logs in, its host key, its /root; empty where that needs more rights."""
    with subprocess.Popen([ROOT / "target/debug/host"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield tuple(process.stdout.readline().strip() for _ in range(3))


@check
def the_page_about_keys_is_as_it_says():
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/keys.md").read_text(), re.DOTALL)
    with whole_host() as (there, host_key, root), tempfile.TemporaryDirectory() as directory:
        if not there:
            return
        place = Path(directory)
        (place / ".ssh").mkdir()
        (place / "us.password").touch(0o600)
        (place / "us.password").write_text("correct horse\n")
        for said, here in (("root@us.example.net", there), ("/root/", f"{place}/"), ("/var/lib/dr/", f"{place}/")):
            assert said in block, said
            block = block.replace(said, here)
        shown = subprocess.run(["ssh-keygen", "-lf", "-"], input=host_key, check=True, capture_output=True, text=True).stdout
        done = subprocess.run(
            [sys.executable, "-X", "dev", "-W", "error", "-c", block],
            input=shown.split()[1] + "\n", capture_output=True, text=True, timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        said = done.stdout.splitlines()
        assert said[-3:] == ["new"] * 3 and "ok" in said, done.stdout
        lines = (Path(root) / ".ssh/authorized_keys").read_text()
        assert lines == (place / ".ssh/new.pub").read_text(), lines


@check
def certificates_and_agents_go_by_name():
    with tempfile.TemporaryDirectory() as directory:
        top = Path(directory)
        for name in ("ca", "ann", "host"):
            key(top / name)
        planned = dr.certify_key(top / "ann.pub", top / "ca", "user", ["deploy"], dry_run=True)
        assert planned.path is None and planned.id == "ann" and not (top / "ca.issued").exists(), planned
        signed = dr.certify_key(top / "ann.pub", top / "ca", "user", ["deploy"], good_for=timedelta(hours=2), permits=["terminal"])
        assert signed.serial == 1 and Path(signed.path).read_text() == signed.certificate + "\n", signed
        said = subprocess.run(["ssh-keygen", "-L", "-f", signed.path], check=True, capture_output=True, text=True).stdout
        assert "deploy" in said and "permit-pty" in said, said
        assert [one.names for one in dr.issued_certificates(top / "ca")] == [("deploy",)]
        try:
            dr.certify_key(top / "ann.pub", top / "ca", "user", [])
        except dr.RefusedError:
            pass
        else:
            raise AssertionError("a certificate for everybody")
        (record,) = dr.sshfp_records("us.example.net", [top / "host.pub"])
        assert record.startswith("us.example.net IN SSHFP 4 2 "), record
        agent = top / "agent"
        process = subprocess.Popen(["ssh-agent", "-D", "-a", agent], stdout=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + 30
            while not agent.exists():
                assert time.monotonic() < deadline
                time.sleep(0.02)
            assert dr.list_agent_keys(agent) == []
            assert dr.add_agent_key(agent, top / "ann", dry_run=True) == []
            (held,) = dr.add_agent_key(agent, top / "ann", lifetime="1h")
            assert held.comment == "ann" and held in dr.list_agent_keys(agent)
            assert dr.remove_agent_key(agent, top / "ann.pub") == []
        finally:
            process.terminate()
            process.wait()


@check
def what_changes_hosts_says_why_it_cannot():
    with tempfile.TemporaryDirectory() as directory:
        top = Path(directory)
        mine = key(top / "mine")
        reach = {"identities": [top / "mine"], "journal": top / "journal.db"}
        for call in (
            lambda: dr.lock_down(NOWHERE, accounts=["ann"], after=timedelta(minutes=1), **reach),
            lambda: dr.unlock(NOWHERE, **reach),
            lambda: dr.revoke_key(mine, [NOWHERE], key_files_only=True, after="60s", **reach),
            lambda: dr.install_certificate(top / "mine.pub", NOWHERE, after="60s", **reach),
            lambda: dr.install_key(mine, NOWHERE, dry_run=True, **reach),
        ):
            try:
                call()
            except dr.UnreachableError as error:
                assert error.code and "127.0.0.1" in str(error), error
            else:
                raise AssertionError("nobody is there")
        try:
            dr.verify_key((top / "mine").read_text(), NOWHERE, **reach)
        except dr.UsageError as error:
            assert "private key" in str(error) and "BEGIN" not in str(error), error
        else:
            raise AssertionError("a private key was taken for a public one")


@check
def the_wheel_brings_the_command_and_is_the_far_end_of_a_mirror():
    program = Path(sys.executable).with_name("dr")
    for command in ([program], [sys.executable, "-m", "dr"]):
        said = subprocess.run([*command, "--version"], check=True, capture_output=True, text=True)
        assert said.stdout == f"dr {dr.version()}\n", said
        wrong = subprocess.run([*command, "no-such-thing"], capture_output=True, text=True)
        assert wrong.returncode == 2, wrong
    with tempfile.TemporaryDirectory() as directory:
        top = Path(directory)
        with sshd(top) as (there, host_key):
            (top / "authorized_keys").write_text(key(top / "mine") + "\n")
            port = there.rpartition(":")[2]
            (top / "known_hosts").write_text(f"[127.0.0.1]:{port} {host_key}\n")
            far = top / "far"
            far.write_text(f'#!/bin/sh\necho "$@" >> {top}/asked\nexec {program} "$@"\n')
            far.chmod(0o755)
            (top / "site").mkdir()
            (top / "site" / "index.html").write_text("<h1>shop</h1>")
            reach = {"identities": [top / "mine"], "known_hosts": [top / "known_hosts"], "agents": {"path": str(far)}}
            done = dr.mirror(top / "site", f"ssh://{there}{top}/copy", journal=top / "journal.db", **reach)
            assert done.outcome == "new" and (top / "copy" / "index.html").read_text() == "<h1>shop</h1>", done
            assert "agent --stdio" in (top / "asked").read_text()
