"""The coroutines beside ``dr.plans``. Made by tests/python/twins.py, as it says there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Mapping

from ._calls import Reach, call_async
from .plans import Done, Plan

if TYPE_CHECKING:
    from ._calls import Unpack


async def apply_plan_async(plan: Plan | Mapping[str, Any], *, by: str | None = None, **reach: Unpack[Reach]) -> Done:
    """As ``apply_plan``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work.

    >>> import asyncio, dr, json
    >>> planned = dr.mirror("/var/www/shop", "/mnt/backup/shop", dry_run=True)
    >>> kept = planned.plan.to_json()
    >>> asyncio.run(dr.apply_plan_async(json.loads(kept), by="the nightly script", journal="journal.db")).outcome
    <Outcome.NEW: 'new'>
    """
    return Done.from_json(await call_async("apply_plan", {"plan": plan, "by": by}, reach))
