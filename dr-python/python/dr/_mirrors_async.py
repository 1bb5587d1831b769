"""The coroutines beside ``dr.mirrors``. Made by tests/python/twins.py, as it says there."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any, Iterable, Mapping

from ._calls import Hosts, Reach, call_async
from .mirrors import CompareOptions, Generation, MirrorOptions, Mirrored, MirroredSites, _owners
from .report import Report
from .values import Path

if TYPE_CHECKING:
    from ._calls import Unpack
    from .estate import Estate


async def mirror_async(
    source: Path, target: Path, *, dry_run: bool = False, by: str | None = None, **options: Unpack[MirrorOptions]
) -> Mirrored:
    """As ``mirror``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work.

    >>> import asyncio, dr, pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     source = pathlib.Path(directory, "site")
    ...     source.mkdir()
    ...     size = source.joinpath("index.html").write_text("<h1>shop</h1>")
    ...     planned = asyncio.run(dr.mirror_async(source, directory + "/copy", dry_run=True))
    ...     done = asyncio.run(dr.mirror_async(source, directory + "/copy", journal=directory + "/journal.db"))
    >>> planned.changed, planned.plan, done.outcome, done.summary["bytes"]
    (True, <dr.Plan 'mirror ...': 1 steps>, <Outcome.NEW: 'new'>, 13)
    """
    request = {"source": source, "target": target, "dry_run": dry_run, "by": by}
    answer = await call_async("mirror", {**request, **_owners(options)}, options, MirrorOptions)
    return Mirrored.from_json(answer)


async def verify_mirror_async(source: Path, target: Path, **options: Unpack[CompareOptions]) -> Report:
    """As ``verify_mirror``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work.

    >>> import asyncio, dr
    >>> report = asyncio.run(dr.verify_mirror_async("/var/www/shop", "/mnt/backup/shop"))
    >>> report.findings[0].code
    'mirror.differs_after'
    """
    request = {"source": source, "target": target}
    return Report.from_json(await call_async("verify_mirror", {**request, **_owners(options)}, options, CompareOptions))


async def mirror_sites_async(
    estate: Estate | Mapping[str, Any],
    *,
    sites: Iterable[str] | None = None,
    every: str | None = None,
    dry_run: bool = False,
    by: str | None = None,
    **hosts: Unpack[Hosts],
) -> MirroredSites:
    """As ``mirror_sites``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work.

    >>> import asyncio, dr
    >>> done = asyncio.run(dr.mirror_sites_async(dr.Estate.from_file("dr.toml"), every="24h", dry_run=True))
    >>> list(done.sites)
    ['shop']
    """
    request = {"sites": sites, "every": every, "dry_run": dry_run, "by": by}
    return MirroredSites.from_json(await call_async("mirror_sites", request, {"estate": estate, **hosts}))


async def generations_async(target: Path, **reach: Unpack[Reach]) -> list[Generation]:
    """As ``generations``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work.

    >>> import asyncio, dr
    >>> done = dr.mirror("/var/www/shop", "/mnt/backup/shop", generations=7, journal="journal.db")
    >>> [generation.since for generation in asyncio.run(dr.generations_async("/mnt/backup/shop")) if not generation.is_live]
    []
    """
    answer = json.loads(await call_async("generations", {"target": target}, reach))
    return [Generation.from_dict(generation) for generation in answer["generations"]]


async def roll_back_mirror_async(target: Path, *, to: str | datetime | None = None, **reach: Unpack[Reach]) -> Generation:
    """As ``roll_back_mirror``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work.

    >>> import asyncio, dr
    >>> asyncio.run(dr.roll_back_mirror_async("/mnt/backup/shop"))
    Traceback (most recent call last):
    ...
    dr.errors.NotFoundError: could not ...
    """
    return Generation.from_json(await call_async("roll_back_mirror", {"target": target, "to": to}, reach))
