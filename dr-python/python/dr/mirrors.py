"""Mirrors."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Iterable, Literal, Mapping, cast

from ._calls import Hosts, Reach, call
from .plans import Plan
from .report import Report
from .values import Answer, Outcome, Path, Values, instant, tuple_of

if TYPE_CHECKING:
    from ._calls import Unpack
    from .estate import Estate


@dataclass(frozen=True)
class Mirrored(Answer):
    """What a mirror did, or would do.

    >>> import dr
    >>> planned = dr.mirror("/var/www/shop", "/mnt/backup/shop", dry_run=True)
    >>> planned.changed, planned.summary["created"], planned.outcome, planned.report.verdict
    (True, 2, None, <Verdict.OK: 'ok'>)
    """

    changed: bool
    """Whether anything was, or with ``dry_run`` would be, changed."""
    summary: Mapping[str, int]
    """``created``, ``updated``, ``metadata_only``, ``deleted``, ``unchanged`` paths, and ``bytes`` to move."""
    report: Report
    """What could not be read or carried, and what was found on the way."""
    run: str | None = None
    """Which run of the journal it was; none if nothing was done."""
    outcome: Outcome | None = None
    """How that run ended."""
    plan: Plan | None = None
    """The plan, with ``dry_run``."""
    guards: tuple[Values, ...] = ()
    """What each guard said: ``guard``, ``says``, ``refused`` and ``advice``. With ``dry_run`` a refusal shows here."""

    _made = {"report": Report.from_dict, "outcome": Outcome, "plan": Plan, "guards": tuple_of(Values)}


@dataclass(frozen=True)
class MirroredSites(Answer):
    """What became of many sites.

    >>> import dr
    >>> done = dr.mirror_sites(dr.Estate(), dry_run=True)
    >>> dict(done.sites), done.report.verdict
    ({}, <Verdict.OK: 'ok'>)
    """

    sites: Mapping[str, Mapping[str, Any]]
    """Site by site: its ``summary``, and ``run``, ``outcome``, ``guards`` and ``error`` where there are such."""
    report: Report
    """All that was found, in all sites; a finding for each that was not mirrored."""

    _made = {"report": Report.from_dict}


@dataclass(frozen=True)
class Generation(Answer):
    """A state of a whole tree that is kept.

    >>> import dr
    >>> dr.Generation.from_json('{"since": "2026-11-22T03:00:00Z", "is_live": true}').since.isoformat()
    '2026-11-22T03:00:00+00:00'
    """

    since: datetime
    """When it became the live one: what ``roll_back_mirror`` takes as ``to``."""
    is_live: bool
    """Whether it is now."""

    _made = {"since": instant}


class CompareOptions(Reach, total=False):
    """What is compared, and how: keywords of ``mirror`` and ``verify_mirror``, beside those of ``Reach``.

    >>> import dr
    >>> options: dr.CompareOptions = {"exclude": ["*.tmp", "cache/"]}
    >>> {finding.code for finding in dr.verify_mirror("/var/www/shop", "/mnt/backup/shop", **options).findings}
    {'mirror.differs_after'}
    """

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
    """How a mirror is made: keywords of ``mirror``, beside those of ``CompareOptions`` and ``Reach``.

    >>> import dr
    >>> options: dr.MirrorOptions = {"delete": True, "max_delete": {"percent": 10, "files": 100}}
    >>> dr.mirror("/var/www/shop", "/mnt/backup/shop", dry_run=True, **options).changed
    True
    """

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

    >>> import dr, pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     source = pathlib.Path(directory, "site")
    ...     source.mkdir()
    ...     size = source.joinpath("index.html").write_text("<h1>shop</h1>")
    ...     planned = dr.mirror(source, directory + "/copy", dry_run=True)
    ...     done = dr.mirror(source, directory + "/copy", journal=directory + "/journal.db")
    >>> planned.changed, planned.plan, done.outcome, done.summary["bytes"]
    (True, <dr.Plan 'mirror ...': 1 steps>, <Outcome.NEW: 'new'>, 13)
    """
    request = {"source": source, "target": target, "dry_run": dry_run, "by": by}
    answer = call("mirror", {**request, **_owners(options)}, options, MirrorOptions)
    return Mirrored.from_json(answer)


def verify_mirror(source: Path, target: Path, **options: Unpack[CompareOptions]) -> Report:
    """Read both trees to the last byte; every path that differs is a finding. Nothing is changed.

    >>> import dr
    >>> report = dr.verify_mirror("/var/www/shop", "/mnt/backup/shop")
    >>> report.findings[0].code
    'mirror.differs_after'
    """
    request = {"source": source, "target": target}
    return Report.from_json(call("verify_mirror", {**request, **_owners(options)}, options, CompareOptions))


def mirror_sites(
    estate: Estate | Mapping[str, Any],
    *,
    sites: Iterable[str] | None = None,
    every: str | None = None,
    dry_run: bool = False,
    by: str | None = None,
    **hosts: Unpack[Hosts],
) -> MirroredSites:
    """Mirror sites of the estate, each from the host that is home to the other one; all that are mirrored unless ``sites`` names some.

    ``every`` (``"24h"``) takes only those of one period. What goes wrong with
    one site is a finding, and the others are not touched by it.

    >>> import dr
    >>> done = dr.mirror_sites(dr.Estate.from_file("dr.toml"), every="24h", dry_run=True)
    >>> list(done.sites)
    ['shop']
    """
    request = {"sites": sites, "every": every, "dry_run": dry_run, "by": by}
    return MirroredSites.from_json(call("mirror_sites", request, {"estate": estate, **hosts}))


def generations(target: Path, **reach: Unpack[Reach]) -> list[Generation]:
    """The states of a tree that are kept (see ``mirror``), newest first; the live one is among them.

    >>> import dr
    >>> done = dr.mirror("/var/www/shop", "/mnt/backup/shop", generations=7, journal="journal.db")
    >>> [generation.since for generation in dr.generations("/mnt/backup/shop") if not generation.is_live]
    []
    """
    answer = json.loads(call("generations", {"target": target}, reach))
    return [Generation.from_dict(generation) for generation in answer["generations"]]


def roll_back_mirror(target: Path, *, to: str | datetime | None = None, **reach: Unpack[Reach]) -> Generation:
    """Make the state before the live one the live one again, at once, or the one that was live since ``to``. Nothing is lost.

    >>> import dr
    >>> dr.roll_back_mirror("/mnt/backup/shop")
    Traceback (most recent call last):
    ...
    dr.errors.NotFoundError: could not ...
    """
    return Generation.from_json(call("roll_back_mirror", {"target": target, "to": to}, reach))


def _owners(options: CompareOptions) -> dict[str, Any]:
    """Taken out of the options: in the request they are one thing."""
    words = cast("dict[str, Any]", options)
    by_name, users, groups = (words.pop(word, None) for word in ("owners_by_name", "user_map", "group_map"))
    return {"owners": {"by_name": bool(by_name), "users": users or {}, "groups": groups or {}}}
