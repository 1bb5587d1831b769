"""The coroutines beside ``dr.runs``. Made by tests/python/twins.py, as it says there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Iterable

from ._calls import Reach, call_async
from .plans import Done
from .report import Report
from .values import Answer, Outcome, Values, instant, tuple_of

if TYPE_CHECKING:
    from ._calls import Unpack
from .runs import FailoverAudit, Run


async def failover_audit_async(*, site: str | None = None, verify: bool = False, **reach: Unpack[Reach]) -> FailoverAudit:
    """As ``failover_audit``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work."""
    return FailoverAudit.from_json(await call_async("failover_audit", {"site": site, "verify": verify}, reach))


async def failover_status_async(sites: Iterable[str] = (), **reach: Unpack[Reach]) -> Report:
    """As ``failover_status``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work."""
    return Report(await call_async("failover_status", {"sites": sites}, reach))


async def failover_async(
    site: str,
    *,
    planned: bool = False,
    despite: Iterable[str] = (),
    why: str | None = None,
    source: str | None = None,
    dry_run: bool = False,
    by: str | None = None,
    **reach: Unpack[Reach],
) -> Done:
    """As ``failover``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work."""
    request = {"site": site, "planned": planned, "despite": despite, "why": why, "from": source, "dry_run": dry_run, "by": by}
    return Done.from_json(await call_async("failover", request, reach))


async def failback_async(site: str, *, dry_run: bool = False, by: str | None = None, **reach: Unpack[Reach]) -> Done:
    """As ``failback``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work."""
    return Done.from_json(await call_async("failback", {"site": site, "dry_run": dry_run, "by": by}, reach))


async def list_runs_async(run: str | None = None, **reach: Unpack[Reach]) -> list[Run]:
    """As ``list_runs``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work."""
    return [Run.from_dict(one) for one in json.loads(await call_async("list_runs", {"run": run}, reach))["runs"]]


async def resume_run_async(run: str, *, by: str | None = None, **reach: Unpack[Reach]) -> Done:
    """As ``resume_run``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work."""
    return Done.from_json(await call_async("resume_run", {"run": run, "by": by}, reach))


async def undo_run_async(run: str, *, by: str | None = None, **reach: Unpack[Reach]) -> Done:
    """As ``undo_run``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work."""
    return Done.from_json(await call_async("undo_run", {"run": run, "by": by}, reach))
