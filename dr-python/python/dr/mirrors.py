"""Mirrors."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Iterable, Literal, Mapping, Sequence

from ._calls import Path, Reach, call
from .report import Report

if TYPE_CHECKING:
    from ._calls import Unpack


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


class CompareOptions(Reach, total=False):
    """What is compared, and how: keywords of ``mirror`` and ``verify_mirror``, beside those of ``Reach``."""

    exclude: Iterable[str]
    """Patterns as in a .gitignore file."""
    delete_excluded: bool
    """Remove from the target what ``exclude`` matches there, too."""
    min_size_bytes: int
    max_size_bytes: int
    min_age_s: int
    max_age_s: int
    owners_by_name: bool
    """Owners go by their names, not by their numbers."""
    user_map: Mapping[str, str]
    group_map: Mapping[str, str]
    bytes_per_second: int
    """On the line, at most."""
    compress: Literal["auto", "never", "always"]
    low_priority: bool
    """Work only with processor and disk time that nobody else wants."""


class MirrorOptions(CompareOptions, total=False):
    """How a mirror is made: keywords of ``mirror``, beside those of ``CompareOptions`` and ``Reach``."""

    delete: bool
    """Remove from the target what the source does not have; so it is if not said."""
    checksum: bool
    """Compare content, not only size and time."""
    max_delete: Mapping[str, int]
    """How much may be removed: ``{"percent": 10, "files": 100}``."""
    generations: int
    """How many former states of the whole tree the target keeps."""
    winner: Literal["source", "target"]
    """Which side wins where the target was changed since the last mirror."""
    other_tree: bool
    """It is right that most of what an end had at the last mirror is gone."""
    fsync: Literal["once", "each", "never"]


def mirror(
    source: Path, target: Path, *, dry_run: bool = False, by: str | None = None, **options: Unpack[MirrorOptions]
) -> Mirrored:
    """Make ``target`` like ``source``: a path here, ``user@host:path`` or ``ssh://user@host:port/path``.

    Readers of the target see every file whole, old or new. A mirror that would delete more than ``max_delete`` allows
    (``{"percent": 10, "files": 100}``), or whose source was emptied, is refused with ``RefusedError``; with ``dry_run`` the
    refusal stands in ``guards``. The options are those of ``dr mirror`` (docs/mirror.md), as ``MirrorOptions`` lists them:
    ``generations`` former states of the whole tree are kept for ``roll_back_mirror``; ``winner`` says which side wins where the
    target was changed since.

    What changes something is written down first: ``journal`` names the file, and is needed unless ``dry_run`` is set. A host is
    trusted if its key stands in one of ``known_hosts``; ``identities`` are private keys (``Reach``). Ctrl-C ends the call;
    nothing half-written becomes visible, and the next mirror goes on.
    """
    request = {"source": source, "target": target, "dry_run": dry_run, "by": by}
    answer = call("mirror", {**request, **_owners(options)}, options, MirrorOptions)
    return Mirrored._of(json.loads(answer))


def verify_mirror(source: Path, target: Path, **options: Unpack[CompareOptions]) -> Report:
    """Read both trees to the last byte; every path that differs is a finding. Nothing is changed."""
    request = {"source": source, "target": target}
    return Report(call("verify_mirror", {**request, **_owners(options)}, options, CompareOptions))


def mirror_sites(
    estate: Mapping[str, Any],
    *,
    sites: Iterable[str] | None = None,
    every: str | None = None,
    dry_run: bool = False,
    by: str | None = None,
    **reach: Unpack[Reach],
) -> MirroredSites:
    """Mirror sites of the estate, each from the host that is home to the other one; all that are mirrored unless ``sites`` names some.

    ``estate`` is as docs/schema/estate.json has it; ``every`` (``"24h"``) takes only those of one period. What goes wrong with
    one site is a finding, and the others are not touched by it.
    """
    request = {"sites": sites, "every": every, "dry_run": dry_run, "by": by}
    answer = json.loads(call("mirror_sites", request, {"estate": estate, **reach}))
    return MirroredSites(sites=MappingProxyType(answer["sites"]), report=Report(json.dumps(answer["report"])))


def generations(target: Path, **reach: Unpack[Reach]) -> list[Generation]:
    """The states of a tree that are kept (see ``mirror``), newest first; the live one is among them."""
    answer = json.loads(call("generations", {"target": target}, reach))
    return [Generation(**generation) for generation in answer["generations"]]


def roll_back_mirror(target: Path, *, to: str | datetime | None = None, **reach: Unpack[Reach]) -> Generation:
    """Make the state before the live one the live one again, at once, or the one that was live since ``to``. Nothing is lost."""
    return Generation(**json.loads(call("roll_back_mirror", {"target": target, "to": to}, reach)))


def _owners(options: CompareOptions) -> dict[str, Any]:
    """Taken out of the options: in the request they are one thing."""
    by_name, users, groups = (options.pop(word, None) for word in ("owners_by_name", "user_map", "group_map"))
    return {"owners": {"by_name": bool(by_name), "users": users or {}, "groups": groups or {}}}
