"""The coroutines beside ``dr.keys``. Made by tests/python/twins.py, as it says there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Iterable, Literal, Mapping

from ._calls import Reach, call_async
from .plans import Done
from .report import Report
from .values import Answer, Path, Span, instant, tuple_of

if TYPE_CHECKING:
    from ._calls import Unpack
from .keys import AuditedKeys, CertifiedKey, GeneratedKey, HeldKey, IssuedCertificate, TrustedHost


async def generate_key_async(
    path: Path,
    *,
    kind: str = "ed25519",
    comment: str = "",
    passphrase_file: Path | None = None,
    no_passphrase: bool = False,
    dry_run: bool = False,
) -> GeneratedKey:
    """As ``generate_key``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work."""
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
    """As ``install_key``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work."""
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
    """As ``verify_key``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work."""
    return Report(await call_async("verify_key", {"key": key, "remote": remote}, reach))


async def probe_key_async(key: Path, remote: str, **reach: Unpack[Reach]) -> Report:
    """As ``probe_key``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work."""
    return Report(await call_async("probe_key", {"key": key, "remote": remote}, reach))


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
    """As ``audit_keys``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work."""
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
    """As ``rotate_key``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work."""
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
    """As ``revoke_key``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work."""
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
    """As ``lock_down``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work."""
    request = {"remote": remote, "accounts": accounts, "after": after, "dry_run": dry_run, "by": by}
    return Done.from_json(await call_async("lock_down", request, reach))


async def unlock_async(remote: str, *, dry_run: bool = False, by: str | None = None, **reach: Unpack[Reach]) -> Done:
    """As ``unlock``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work."""
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
    """As ``trust_host``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work."""
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
    """As ``sshfp_records``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work."""
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
    """As ``certify_key``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work."""
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
    """As ``issued_certificates``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work."""
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
    """As ``install_certificate``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work."""
    request = {"certificate": certificate, "remote": remote, "after": after, "dry_run": dry_run, "by": by}
    return Done.from_json(await call_async("install_certificate", request, reach))


async def list_agent_keys_async(agent: Path) -> list[HeldKey]:
    """As ``list_agent_keys``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work."""
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
    """As ``add_agent_key``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work."""
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
    """As ``remove_agent_key``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work."""
    return await _held_async("remove_agent_key", {"agent": agent, "key": key, "dry_run": dry_run})


async def _held_async(operation: str, request: Mapping[str, Any]) -> list[HeldKey]:
    return [HeldKey.from_dict(held) for held in json.loads(await call_async(operation, request))["keys"]]
