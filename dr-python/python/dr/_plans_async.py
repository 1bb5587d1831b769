"""The coroutines beside ``dr.plans``. Made by tests/python/twins.py, as it says there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Mapping

from . import _dr
from ._calls import Reach, call_async
from .report import Report
from .values import Answer, Outcome, Values, instant

if TYPE_CHECKING:
    from datetime import datetime

    from ._calls import Unpack
from .plans import Done, Plan


async def apply_plan_async(plan: Plan | Mapping[str, Any], *, by: str | None = None, **reach: Unpack[Reach]) -> Done:
    """As ``apply_plan``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work."""
    return Done.from_json(await call_async("apply_plan", {"plan": plan, "by": by}, reach))
