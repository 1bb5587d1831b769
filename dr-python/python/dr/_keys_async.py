"""The coroutines beside ``dr.keys``. Made by tests/python/twins.py, as it says there."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any, Iterable, Literal, Mapping

from ._calls import Reach, call_async
from .keys import AuditedKeys, CertifiedKey, GeneratedKey, HeldKey, IssuedCertificate, TrustedHost
from .plans import Done
from .report import Report
from .values import Path, Span

if TYPE_CHECKING:
    from ._calls import Unpack


async def generate_key_async(
    path: Path,
    *,
    kind: str = "ed25519",
    comment: str = "",
    passphrase_file: Path | None = None,
    no_passphrase: bool = False,
    dry_run: bool = False,
) -> GeneratedKey:
    """As ``generate_key``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work.

    >>> import asyncio, dr, tempfile
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     made = asyncio.run(dr.generate_key_async(directory + "/id", no_passphrase=True, comment="mirror from uk"))
    >>> made.public_key.split()[0], made.fingerprint[:7]
    ('ssh-ed25519', 'SHA256:')
    """
    request = {
        "path": path,
        "kind": kind,
        "comment": comment,
        "passphrase_file": passphrase_file,
        "no_passphrase": no_passphrase,
        "dry_run": dry_run,
    }
    return GeneratedKey.from_json(await call_async("generate_key", request))


async def install_key_async(
    key: Path,
    remote: str,
    *,
    restrict: bool = False,
    command: str | None = None,
    mirror: str | None = None,
    mirror_by: Literal["agent", "rrsync", "sftp"] = "agent",
    read_only: bool = False,
    sources: Iterable[str] = (),
    expires: str | datetime | None = None,
    permit_open: Iterable[str] = (),
    replace: bool = False,
    file: str | None = None,
    dry_run: bool = False,
    by: str | None = None,
    **reach: Unpack[Reach],
) -> Done:
    """As ``install_key``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work.

    >>> import asyncio, dr
    >>> asyncio.run(dr.install_key_async("new.pub", "root@us.example.net", sources=["192.0.2.0/24"], dry_run=True, **reach)).changed
    True
    >>> asyncio.run(dr.install_key_async("new.pub", "root@us.example.net", file="authorized_keys", **reach)).outcome
    <Outcome.NEW: 'new'>
    """
    allow = {"restrict": restrict, "command": command, "from": sources, "expires": expires, "permit_open": permit_open}
    request = {
        "key": key,
        "remote": remote,
        "allow": {word: value for word, value in allow.items() if value is not None},
        "mirror": None if mirror is None else {"root": mirror, "by": mirror_by, "read_only": read_only},
        "replace": replace,
        "file": file,
        "dry_run": dry_run,
        "by": by,
    }
    return Done.from_json(await call_async("install_key", request, reach))


async def verify_key_async(key: Path, remote: str, **reach: Unpack[Reach]) -> Report:
    """As ``verify_key``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work.

    >>> import asyncio, dr
    >>> asyncio.run(dr.verify_key_async("id.pub", "root@us.example.net", **reach)).verdict
    <Verdict.OK: 'ok'>
    """
    return Report.from_json(await call_async("verify_key", {"key": key, "remote": remote}, reach))


async def probe_key_async(key: Path, remote: str, **reach: Unpack[Reach]) -> Report:
    """As ``probe_key``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work.

    >>> import asyncio, dr
    >>> asyncio.run(dr.probe_key_async("stranger.pub", "root@us.example.net", **reach)).findings[0].code
    'keys.not_accepted'
    """
    return Report.from_json(await call_async("probe_key", {"key": key, "remote": remote}, reach))


async def audit_keys_async(
    remotes: Iterable[str] = (),
    *,
    file: Path | None = None,
    known: Path | None = None,
    record: Path | None = None,
    html: Path | None = None,
    authorities: Iterable[Path] = (),
    dry_run: bool = False,
    **reach: Unpack[Reach],
) -> AuditedKeys:
    """As ``audit_keys``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work.

    >>> import asyncio, dr
    >>> audited = asyncio.run(dr.audit_keys_async(file="authorized_keys", known="id.pub"))
    >>> [finding.code for finding in audited.report.findings]
    ['keys.not_restricted', 'keys.forwards_agent']
    """
    request = {
        "remotes": remotes,
        "file": file,
        "known": known,
        "record": record,
        "html": html,
        "authorities": authorities,
        "dry_run": dry_run,
    }
    return AuditedKeys.from_json(await call_async("audit_keys", request, reach))


async def rotate_key_async(
    old: Path,
    new: Path,
    remotes: Iterable[str] = (),
    *,
    grace: Span | None = None,
    file: str | None = None,
    dry_run: bool = False,
    by: str | None = None,
    **reach: Unpack[Reach],
) -> Done:
    """As ``rotate_key``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work.

    >>> import asyncio, dr
    >>> from datetime import timedelta
    >>> words = {"file": "authorized_keys", "grace": timedelta(days=1)}
    >>> planned = asyncio.run(dr.rotate_key_async("id.pub", "new.pub", ["root@us.example.net"], dry_run=True, **words, **reach))
    >>> planned.changed
    True
    """
    request = {"old": old, "new": new, "remotes": remotes, "grace": grace, "file": file, "dry_run": dry_run, "by": by}
    return Done.from_json(await call_async("rotate_key", request, reach))


async def revoke_key_async(
    key: Path,
    remotes: Iterable[str] = (),
    *,
    key_files_only: bool = False,
    after: Span | None = None,
    dry_run: bool = False,
    by: str | None = None,
    **reach: Unpack[Reach],
) -> Done:
    """As ``revoke_key``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work.

    >>> import asyncio, dr
    >>> planned = asyncio.run(dr.revoke_key_async("stranger.pub", ["root@us.example.net"], dry_run=True, **reach))
    >>> planned.changed, str(planned.plan).count("\\n") > 5
    (True, True)
    """
    request = {
        "key": key,
        "remotes": remotes,
        "key_files_only": key_files_only,
        "after": after,
        "dry_run": dry_run,
        "by": by,
    }
    return Done.from_json(await call_async("revoke_key", request, reach))


async def lock_down_async(
    remote: str,
    *,
    accounts: Iterable[str] = (),
    after: Span | None = None,
    dry_run: bool = False,
    by: str | None = None,
    **reach: Unpack[Reach],
) -> Done:
    """As ``lock_down``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work.

    >>> import asyncio, dr
    >>> planned = asyncio.run(dr.lock_down_async("root@us.example.net", dry_run=True, **reach))
    >>> planned.changed, str(planned.plan).count("\\n") > 5
    (True, True)
    """
    request = {"remote": remote, "accounts": accounts, "after": after, "dry_run": dry_run, "by": by}
    return Done.from_json(await call_async("lock_down", request, reach))


async def unlock_async(remote: str, *, dry_run: bool = False, by: str | None = None, **reach: Unpack[Reach]) -> Done:
    """As ``unlock``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work.

    >>> import asyncio, dr
    >>> asyncio.run(dr.unlock_async("root@us.example.net", dry_run=True, **reach)).changed
    False
    """
    return Done.from_json(await call_async("unlock", {"remote": remote, "dry_run": dry_run, "by": by}, reach))


async def trust_host_async(
    remote: str,
    *,
    dns: str | None = None,
    update: bool = False,
    accept: Iterable[str] = (),
    add_to: Path | None = None,
    dry_run: bool = False,
    **reach: Unpack[Reach],
) -> TrustedHost:
    """As ``trust_host``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work.

    >>> import asyncio, dr
    >>> seen = asyncio.run(dr.trust_host_async("root@us.example.net"))
    >>> compared = [key.fingerprint for key in seen.keys]
    >>> len(asyncio.run(dr.trust_host_async("root@us.example.net", accept=compared, add_to="trusted")).added)
    1
    """
    request = {
        "remote": remote,
        "dns": dns,
        "update": update,
        "accept": accept,
        "known_hosts": add_to,
        "dry_run": dry_run,
    }
    return TrustedHost.from_json(await call_async("trust_host", request, reach))


async def sshfp_records_async(name: str, keys: Iterable[Path]) -> tuple[str, ...]:
    """As ``sshfp_records``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work.

    >>> import asyncio, dr
    >>> asyncio.run(dr.sshfp_records_async("us.example.net", ["id.pub"]))[0][:27]
    'us.example.net IN SSHFP 4 2'
    """
    return tuple(json.loads(await call_async("sshfp_records", {"name": name, "keys": keys}))["lines"])


async def certify_key_async(
    key: Path,
    authority: Path,
    bearer: Literal["user", "host"],
    names: Iterable[str],
    *,
    good_for: Span | None = None,
    id: str | None = None,
    sources: Iterable[str] = (),
    command: str | None = None,
    permits: Iterable[Literal["terminal", "ports", "agent"]] = (),
    passphrase_file: Path | None = None,
    agent: Path | None = None,
    dry_run: bool = False,
) -> CertifiedKey:
    """As ``certify_key``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work.

    >>> import asyncio, dr
    >>> from datetime import timedelta
    >>> signed = asyncio.run(dr.certify_key_async("id.pub", "ca", "user", ["deploy"], good_for=timedelta(hours=2), permits=["terminal"]))
    >>> signed.path, signed.certificate.split()[0]
    ('id-cert.pub', 'ssh-ed25519-cert-v01@openssh.com')
    """
    request = {
        "key": key,
        "authority": authority,
        "bearer": bearer,
        "names": names,
        "good_for": good_for,
        "id": id,
        "from": sources,
        "command": command,
        "permits": permits,
        "passphrase_file": passphrase_file,
        "agent": agent,
        "dry_run": dry_run,
    }
    return CertifiedKey.from_json(await call_async("certify_key", request))


async def issued_certificates_async(authority: Path) -> list[IssuedCertificate]:
    """As ``issued_certificates``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work.

    >>> import asyncio, dr
    >>> signed = dr.certify_key("id.pub", "ca", "user", ["deploy"])
    >>> asyncio.run(dr.issued_certificates_async("ca"))[-1].names
    ('deploy',)
    """
    issued = json.loads(await call_async("issued_certificates", {"authority": authority}))["issued"]
    return [IssuedCertificate.from_dict(one) for one in issued]


async def install_certificate_async(
    certificate: Path,
    remote: str,
    *,
    after: Span | None = None,
    dry_run: bool = False,
    by: str | None = None,
    **reach: Unpack[Reach],
) -> Done:
    """As ``install_certificate``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work.

    >>> import asyncio, dr
    >>> planned = asyncio.run(dr.install_certificate_async("ca.pub", "root@us.example.net", dry_run=True, **reach))
    >>> planned.changed, str(planned.plan).count("\\n") > 5
    (True, True)
    """
    request = {"certificate": certificate, "remote": remote, "after": after, "dry_run": dry_run, "by": by}
    return Done.from_json(await call_async("install_certificate", request, reach))


async def list_agent_keys_async(agent: Path) -> list[HeldKey]:
    """As ``list_agent_keys``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work.

    >>> import asyncio, dr
    >>> asyncio.run(dr.list_agent_keys_async("/run/agent"))
    []
    """
    return await _held_async("list_agent_keys", {"agent": agent})


async def add_agent_key_async(
    agent: Path,
    key: Path,
    *,
    passphrase_file: Path | None = None,
    lifetime: Span | None = None,
    confirm: bool = False,
    dry_run: bool = False,
) -> list[HeldKey]:
    """As ``add_agent_key``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work.

    >>> import asyncio, dr
    >>> [held.comment for held in asyncio.run(dr.add_agent_key_async("/run/agent", "id", lifetime="1h"))]
    ['id']
    >>> dr.remove_agent_key("/run/agent", "id.pub")
    []
    """
    request = {
        "agent": agent,
        "key": key,
        "passphrase_file": passphrase_file,
        "lifetime": lifetime,
        "confirm": confirm,
        "dry_run": dry_run,
    }
    return await _held_async("add_agent_key", request)


async def remove_agent_key_async(agent: Path, key: Path, *, dry_run: bool = False) -> list[HeldKey]:
    """As ``remove_agent_key``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work.

    >>> import asyncio, dr
    >>> asyncio.run(dr.remove_agent_key_async("/run/agent", "id.pub", dry_run=True))
    []
    """
    return await _held_async("remove_agent_key", {"agent": agent, "key": key, "dry_run": dry_run})


async def _held_async(operation: str, request: Mapping[str, Any]) -> list[HeldKey]:
    return [HeldKey.from_dict(held) for held in json.loads(await call_async(operation, request))["keys"]]
