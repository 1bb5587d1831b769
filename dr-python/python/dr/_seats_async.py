"""The coroutines beside ``dr.seats``. Made by tests/python/twins.py, as it says there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Iterable

from ._calls import Watch, call_async
from .seats import Order, SeatNews, SeatStatus
from .values import Path, Span

if TYPE_CHECKING:
    from ._calls import Unpack


async def list_seats_async(directory: Path, sites: Iterable[str] = (), **watch: Unpack[Watch]) -> list[SeatStatus]:
    """As ``list_seats``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work.

    >>> import asyncio, dr
    >>> asyncio.run(dr.list_seats_async("agent"))
    Traceback (most recent call last):
    ...
    dr.errors.NotFoundError: could not ask the agent ...
    """
    answer = await call_async("list_seats", {"directory": directory, "sites": sites}, watch, Watch)
    return [SeatStatus.from_dict(seat) for seat in json.loads(answer)["seats"]]


async def order_seat_async(
    directory: Path,
    site: str,
    order: Order,
    *,
    span: Span | None = None,
    epoch: int | None = None,
    despite: Iterable[str] = (),
    stopped: bool = False,
    by: str | None = None,
    **watch: Unpack[Watch],
) -> str:
    """As ``order_seat``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work.

    >>> import asyncio, dr
    >>> asyncio.run(dr.order_seat_async("agent", "shop", "release", span="2h"))
    Traceback (most recent call last):
    ...
    dr.errors.UsageError: could not give the seat an order: ...
    """
    request = {
        "directory": directory,
        "site": site,
        "order": order,
        "span": span,
        "epoch": epoch,
        "despite": despite,
        "stopped": stopped,
        "by": by,
    }
    return str(json.loads(await call_async("order_seat", request, watch, Watch))["said"])


async def seat_history_async(directory: Path, *, last: int = 50, **watch: Unpack[Watch]) -> list[SeatNews]:
    """As ``seat_history``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work.

    >>> import asyncio, dr
    >>> asyncio.run(dr.seat_history_async("agent", last=3))
    Traceback (most recent call last):
    ...
    dr.errors.NotFoundError: could not ask the agent ...
    """
    answer = await call_async("seat_history", {"directory": directory, "last": last}, watch, Watch)
    return [SeatNews.from_dict(told) for told in json.loads(answer)["told"]]
