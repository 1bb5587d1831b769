"""The coroutines beside ``dr.discovery``. Made by tests/python/twins.py, as it says there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterable, Mapping

from ._calls import Reach, call_async
from .discovery import Discovered

if TYPE_CHECKING:
    from ._calls import Unpack


async def discover_async(
    standby: str,
    *,
    host: str | None = None,
    listings: Iterable[str] | None = None,
    texts: Mapping[str, str] | None = None,
    **reach: Unpack[Reach],
) -> Discovered:
    """As ``discover``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work.

    >>> import asyncio, dr
    >>> nginx = "http { server { server_name blog.example.org; root /srv/blog; } }"
    >>> drafted = asyncio.run(dr.discover_async("us", host="uk", texts={"nginx": nginx}, estate=dr.Estate.from_file("dr.toml")))
    >>> list(drafted.estate["sites"])
    ['blog.example.org', 'shop']
    """
    request = {"host": host, "standby": standby, "listings": listings, "texts": texts}
    return Discovered.from_json(await call_async("discover", request, reach))
