"""The coroutines beside ``dr.runs``. Made by tests/python/twins.py, as it says there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Iterable

from ._calls import Reach, call_async
from .plans import Done
from .report import Report
from .runs import FailoverAudit, Run

if TYPE_CHECKING:
    from ._calls import Unpack


async def failover_audit_async(*, site: str | None = None, verify: bool = False, **reach: Unpack[Reach]) -> FailoverAudit:
    """As ``failover_audit``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work.

    >>> import asyncio, dr, tempfile
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     asyncio.run(dr.failover_audit_async(verify=True, journal=directory + "/journal.db")).moves
    ()
    """
    return FailoverAudit.from_json(await call_async("failover_audit", {"site": site, "verify": verify}, reach))


async def failover_status_async(sites: Iterable[str] = (), **reach: Unpack[Reach]) -> Report:
    """As ``failover_status``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work.

    >>> import asyncio, dr
    >>> report = asyncio.run(dr.failover_status_async(["shop"], estate=dr.Estate.from_file("dr.toml"), **reach))
    >>> report.verdict
    <Verdict.FAILED: 'failed'>
    """
    return Report.from_json(await call_async("failover_status", {"sites": sites}, reach))


async def failover_async(
    site: str | None = None,
    *,
    host: str | None = None,
    group: str | None = None,
    per_second: int | None = None,
    planned: bool = False,
    despite: Iterable[str] = (),
    why: str | None = None,
    source: str | None = None,
    dry_run: bool = False,
    by: str | None = None,
    **reach: Unpack[Reach],
) -> Done:
    """As ``failover``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work.

    >>> import asyncio, dr
    >>> asyncio.run(dr.failover_async("shop", dry_run=True))
    Traceback (most recent call last):
    ...
    dr.errors.NotFoundError: could not plan the failover of shop: ...
    """
    many = {"host": host, "group": group, "per_second": per_second}
    request = many | {"site": site, "planned": planned, "despite": despite, "why": why, "from": source, "dry_run": dry_run, "by": by}
    return Done.from_json(await call_async("failover", request, reach))


async def failback_async(site: str, *, dry_run: bool = False, by: str | None = None, **reach: Unpack[Reach]) -> Done:
    """As ``failback``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work.

    >>> import asyncio, dr
    >>> asyncio.run(dr.failback_async("shop", estate=dr.Estate.from_file("dr.toml"), **reach))
    Traceback (most recent call last):
    ...
    dr.errors.RefusedError: could not plan to bring shop back: uk holds it already
    """
    return Done.from_json(await call_async("failback", {"site": site, "dry_run": dry_run, "by": by}, reach))


async def list_runs_async(run: str | None = None, **reach: Unpack[Reach]) -> list[Run]:
    """As ``list_runs``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work.

    >>> import asyncio, dr, tempfile
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     asyncio.run(dr.list_runs_async(journal=directory + "/journal.db"))
    []
    """
    return [Run.from_dict(one) for one in json.loads(await call_async("list_runs", {"run": run}, reach))["runs"]]


async def resume_run_async(run: str, *, by: str | None = None, **reach: Unpack[Reach]) -> Done:
    """As ``resume_run``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work.

    >>> import asyncio, dr
    >>> for run in dr.list_runs(journal="journal.db"):
    ...     if run.outcome in (None, dr.Outcome.STOPPED):
    ...         print(asyncio.run(dr.resume_run_async(run.run, by="the night shift", journal="journal.db")).outcome)
    """
    return Done.from_json(await call_async("resume_run", {"run": run, "by": by}, reach))


async def undo_run_async(run: str, *, by: str | None = None, **reach: Unpack[Reach]) -> Done:
    """As ``undo_run``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work.

    >>> import asyncio, dr
    >>> asyncio.run(dr.undo_run_async("0707070707070707", journal="journal.db"))
    Traceback (most recent call last):
    ...
    dr.errors.NotFoundError: could not ...
    """
    return Done.from_json(await call_async("undo_run", {"run": run, "by": by}, reach))
