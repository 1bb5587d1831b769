"""The coroutines beside ``dr.hooks``. Made by tests/python/twins.py, as it says there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._calls import Reach, call_async
from .hooks import HooksWorkedOff
from .values import Path

if TYPE_CHECKING:
    from ._calls import Unpack


async def work_off_hooks_async(
    directory: Path, *, dry_run: bool = False, by: str | None = None, **reach: Unpack[Reach]
) -> HooksWorkedOff:
    """As ``work_off_hooks``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work.

    >>> import asyncio, dr
    >>> done = asyncio.run(dr.work_off_hooks_async("hooks", dry_run=True, estate=dr.Estate.from_file("dr.toml")))
    >>> done.due["sites"], done.report.verdict
    ((), <Verdict.OK: 'ok'>)
    """
    request = {"directory": directory, "dry_run": dry_run, "by": by}
    return HooksWorkedOff.from_json(await call_async("work_off_hooks", request, reach))
