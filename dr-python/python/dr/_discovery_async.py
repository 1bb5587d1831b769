"""The coroutines beside ``dr.discovery``. Made by tests/python/twins.py, as it says there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Iterable, Mapping, Sequence

from ._calls import Reach, call_async
from .values import Answer

if TYPE_CHECKING:
    from ._calls import Unpack
from .discovery import Discovered


async def discover_async(
    standby: str,
    *,
    host: str | None = None,
    listings: Iterable[str] | None = None,
    texts: Mapping[str, str] | None = None,
    **reach: Unpack[Reach],
) -> Discovered:
    """As ``discover``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work."""
    request = {"host": host, "standby": standby, "listings": listings, "texts": texts}
    return Discovered.from_json(await call_async("discover", request, reach))
