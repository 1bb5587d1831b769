"""Mirrors."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from types import MappingProxyType
from datetime import datetime
from typing import Any, Iterable, Literal, Mapping, Sequence, Union

from ._calls import call
from .report import Report

Path = Union[str, "os.PathLike[str]"]


@dataclass(frozen=True)
class Mirrored:
    """What a mirror did, or would do."""

    changed: bool
    """Whether anything was, or with ``dry_run`` would be, changed."""
    summary: Mapping[str, int]
    """``created``, ``updated``, ``metadata_only``, ``deleted``, ``unchanged`` paths, and ``bytes`` to move."""
    report: Report
    """What could not be read or carried, and what was found on the way."""
    run: str | None
    """Which run of the journal it was; none if nothing was done."""
    outcome: str | None
    """How that run ended: ``"new"``, ``"new_degraded"``, ``"old"`` or ``"stopped"``."""
    plan: Mapping[str, Any] | None
    """The plan, with ``dry_run``."""
    guards: Sequence[Mapping[str, Any]]
    """What each guard said: ``guard``, ``says``, ``refused`` and ``advice``. With ``dry_run`` a refusal shows here."""

    @classmethod
    def _of(cls, answer: Mapping[str, Any]) -> Mirrored:
        return cls(
            changed=answer["changed"],
            summary=MappingProxyType(answer["summary"]),
            report=Report(json.dumps(answer["report"])),
            run=answer.get("run"),
            outcome=answer.get("outcome"),
            plan=answer.get("plan"),
            guards=tuple(answer.get("guards", ())),
        )


@dataclass(frozen=True)
class MirroredSites:
    """What became of many sites."""

    sites: Mapping[str, Mapping[str, Any]]
    """Site by site: its ``summary``, and ``run``, ``outcome``, ``guards`` and ``error`` where there are such."""
    report: Report
    """All that was found, in all sites; a finding for each that was not mirrored."""


@dataclass(frozen=True)
class Generation:
    """A state of a whole tree that is kept."""

    since: str
    """When it became the live one: what ``roll_back_mirror`` takes as ``to``."""
    is_live: bool
    """Whether it is now."""


def mirror(
    source: Path,
    target: Path,
    *,
    dry_run: bool = False,
    journal: Path | None = None,
    exclude: Iterable[str] = (),
    delete_excluded: bool = False,
    min_size_bytes: int | None = None,
    max_size_bytes: int | None = None,
    min_age_s: int | None = None,
    max_age_s: int | None = None,
    owners_by_name: bool = False,
    user_map: Mapping[str, str] | None = None,
    group_map: Mapping[str, str] | None = None,
    bytes_per_second: int | None = None,
    compress: Literal["auto", "never", "always"] = "auto",
    low_priority: bool = False,
    delete: bool = True,
    checksum: bool = False,
    max_delete: Mapping[str, int] | None = None,
    generations: int = 0,
    winner: Literal["source", "target"] | None = None,
    other_tree: bool = False,
    fsync: Literal["once", "each", "never"] = "once",
    identities: Iterable[Path] = (),
    known_hosts: Iterable[Path] = (),
    agent: Path | None = None,
    agents: Mapping[str, Any] | None = None,
    by: str | None = None,
) -> Mirrored:
    """Make ``target`` like ``source``: a path here, ``user@host:path`` or ``ssh://user@host:port/path``.

    Readers of the target see every file whole, old or new. A mirror that would delete more than ``max_delete`` allows
    (``{"percent": 10, "files": 100}``), or whose source was emptied, is refused with ``RefusedError``; with ``dry_run`` the
    refusal stands in ``guards``. The options are those of ``dr mirror`` (docs/mirror.md): ``generations`` former states of the
    whole tree are kept for ``roll_back_mirror``; ``winner`` says which side wins where the target was changed since.

    What changes something is written down first: ``journal`` names the file, and is needed unless ``dry_run`` is set. A host is
    trusted if its key stands in one of ``known_hosts``; ``identities`` are private keys, ``agent`` is an SSH agent's socket.
    ``agents`` says which ``dr`` serves trees on hosts: ``{"path": ...}`` there, or ``{"binary": ...}`` here, which is put on a
    host that has none; ``{"off": True}`` is SFTP only. Ctrl-C ends the call; nothing half-written becomes visible, and the next
    mirror goes on.
    """
    request = _request(
        source,
        target,
        exclude=exclude,
        delete_excluded=delete_excluded,
        min_size_bytes=min_size_bytes,
        max_size_bytes=max_size_bytes,
        min_age_s=min_age_s,
        max_age_s=max_age_s,
        owners=_owners(owners_by_name, user_map, group_map),
        bytes_per_second=bytes_per_second,
        compress=compress,
        low_priority=low_priority,
        dry_run=dry_run,
        delete=delete,
        checksum=checksum,
        max_delete=None if max_delete is None else dict(max_delete),
        generations=generations,
        winner=winner,
        other_tree=other_tree,
        fsync=fsync,
        by=by,
    )
    settings = _settings(journal, identities, known_hosts, agent, agents)
    return Mirrored._of(json.loads(call("mirror", request, settings)))


def verify_mirror(
    source: Path,
    target: Path,
    *,
    exclude: Iterable[str] = (),
    delete_excluded: bool = False,
    min_size_bytes: int | None = None,
    max_size_bytes: int | None = None,
    min_age_s: int | None = None,
    max_age_s: int | None = None,
    owners_by_name: bool = False,
    user_map: Mapping[str, str] | None = None,
    group_map: Mapping[str, str] | None = None,
    bytes_per_second: int | None = None,
    compress: Literal["auto", "never", "always"] = "auto",
    low_priority: bool = False,
    identities: Iterable[Path] = (),
    known_hosts: Iterable[Path] = (),
    agent: Path | None = None,
    agents: Mapping[str, Any] | None = None,
) -> Report:
    """Read both trees to the last byte; every path that differs is a finding. Nothing is changed."""
    request = _request(
        source,
        target,
        exclude=exclude,
        delete_excluded=delete_excluded,
        min_size_bytes=min_size_bytes,
        max_size_bytes=max_size_bytes,
        min_age_s=min_age_s,
        max_age_s=max_age_s,
        owners=_owners(owners_by_name, user_map, group_map),
        bytes_per_second=bytes_per_second,
        compress=compress,
        low_priority=low_priority,
    )
    settings = _settings(None, identities, known_hosts, agent, agents)
    return Report(call("verify_mirror", request, settings))


def mirror_sites(
    estate: Mapping[str, Any],
    *,
    sites: Iterable[str] | None = None,
    every: str | None = None,
    dry_run: bool = False,
    journal: Path | None = None,
    identities: Iterable[Path] = (),
    known_hosts: Iterable[Path] = (),
    agent: Path | None = None,
    agents: Mapping[str, Any] | None = None,
    by: str | None = None,
) -> MirroredSites:
    """Mirror sites of the estate, each from the host that is home to the other one; all that are mirrored unless ``sites`` names some.

    ``estate`` is as docs/schema/estate.json has it; ``every`` (``"24h"``) takes only those of one period. What goes wrong with
    one site is a finding, and the others are not touched by it.
    """
    request = {"sites": None if sites is None else list(sites), "every": every, "dry_run": dry_run, "by": by}
    settings = _settings(journal, identities, known_hosts, agent, agents)
    settings["estate"] = dict(estate)
    answer = json.loads(call("mirror_sites", request, settings))
    return MirroredSites(sites=MappingProxyType(answer["sites"]), report=Report(json.dumps(answer["report"])))


def generations(
    target: Path,
    *,
    identities: Iterable[Path] = (),
    known_hosts: Iterable[Path] = (),
    agent: Path | None = None,
    agents: Mapping[str, Any] | None = None,
) -> list[Generation]:
    """The states of a tree that are kept (see ``mirror``), newest first; the live one is among them."""
    settings = _settings(None, identities, known_hosts, agent, agents)
    answer = json.loads(call("generations", {"target": os.fspath(target)}, settings))
    return [Generation(**generation) for generation in answer["generations"]]


def roll_back_mirror(
    target: Path,
    *,
    to: str | datetime | None = None,
    identities: Iterable[Path] = (),
    known_hosts: Iterable[Path] = (),
    agent: Path | None = None,
    agents: Mapping[str, Any] | None = None,
) -> Generation:
    """Make the state before the live one the live one again, at once, or the one that was live since ``to``. Nothing is lost."""
    if isinstance(to, datetime):
        to = to.isoformat()
    settings = _settings(None, identities, known_hosts, agent, agents)
    return Generation(**json.loads(call("roll_back_mirror", {"target": os.fspath(target), "to": to}, settings)))


def _request(source: Path, target: Path, *, exclude: Iterable[str], **words: Any) -> dict[str, Any]:
    return {"source": os.fspath(source), "target": os.fspath(target), "exclude": list(exclude), **words}


def _owners(by_name: bool, users: Mapping[str, str] | None, groups: Mapping[str, str] | None) -> dict[str, Any]:
    return {"by_name": by_name, "users": dict(users or {}), "groups": dict(groups or {})}


def _settings(
    journal: Path | None,
    identities: Iterable[Path],
    known_hosts: Iterable[Path],
    agent: Path | None,
    agents: Mapping[str, Any] | None,
) -> dict[str, Any]:
    paths = lambda named: {key: os.fspath(value) if key in ("path", "binary") else value for key, value in named.items()}
    return {
        "journal": None if journal is None else os.fspath(journal),
        "identities": [os.fspath(path) for path in identities],
        "known_hosts": [os.fspath(path) for path in known_hosts],
        "agent": None if agent is None else os.fspath(agent),
        "agents": None if agents is None else paths(agents),
    }
