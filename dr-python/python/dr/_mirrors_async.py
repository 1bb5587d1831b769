"""The coroutines beside ``dr.mirrors``. Made by tests/python/twins.py, as it says there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Iterable, Literal, Mapping, cast

from ._calls import Hosts, Reach, call_async
from .plans import Plan
from .report import Report
from .values import Answer, Outcome, Path, Values, instant, tuple_of

if TYPE_CHECKING:
    from ._calls import Unpack
    from .estate import Estate
from .mirrors import CompareOptions, Generation, MirrorOptions, Mirrored, MirroredSites, _owners


async def mirror_async(
    source: Path, target: Path, *, dry_run: bool = False, by: str | None = None, **options: Unpack[MirrorOptions]
) -> Mirrored:
    """As ``mirror``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work."""
    request = {"source": source, "target": target, "dry_run": dry_run, "by": by}
    answer = await call_async("mirror", {**request, **_owners(options)}, options, MirrorOptions)
    return Mirrored.from_json(answer)


async def verify_mirror_async(source: Path, target: Path, **options: Unpack[CompareOptions]) -> Report:
    """As ``verify_mirror``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work."""
    request = {"source": source, "target": target}
    return Report(await call_async("verify_mirror", {**request, **_owners(options)}, options, CompareOptions))


async def mirror_sites_async(
    estate: Estate | Mapping[str, Any],
    *,
    sites: Iterable[str] | None = None,
    every: str | None = None,
    dry_run: bool = False,
    by: str | None = None,
    **hosts: Unpack[Hosts],
) -> MirroredSites:
    """As ``mirror_sites``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work."""
    request = {"sites": sites, "every": every, "dry_run": dry_run, "by": by}
    return MirroredSites.from_json(await call_async("mirror_sites", request, {"estate": estate, **hosts}))


async def generations_async(target: Path, **reach: Unpack[Reach]) -> list[Generation]:
    """As ``generations``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work."""
    answer = json.loads(await call_async("generations", {"target": target}, reach))
    return [Generation.from_dict(generation) for generation in answer["generations"]]


async def roll_back_mirror_async(target: Path, *, to: str | datetime | None = None, **reach: Unpack[Reach]) -> Generation:
    """As ``roll_back_mirror``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work."""
    return Generation.from_json(await call_async("roll_back_mirror", {"target": target, "to": to}, reach))
