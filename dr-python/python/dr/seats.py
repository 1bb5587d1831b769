"""The seats of this host: what its agent watches and moves without a person (docs/failover.md), and what people say to it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Iterable, Literal, Mapping

from ._calls import Watch, call
from .values import Answer, Path, Span, Values, instant, tuple_of

if TYPE_CHECKING:
    from ._calls import Unpack

Order = Literal["hold", "release", "acknowledge", "approve", "hand_over", "give_up", "freeze", "thaw", "drill"]


@dataclass(frozen=True)
class SeatStatus(Answer):
    """How a seat is.

    >>> import dr
    >>> seat = dr.SeatStatus.from_dict(
    ...     {"site": "shop", "host": "us", "phase": "stable", "said": "us is the standby", "standing": {"role": "standby"}, "serves": False}
    ... )
    >>> seat.phase, seat.serves, seat.lease
    ('stable', False, None)
    """

    site: str
    host: str
    """The host of the seat."""
    phase: str | Mapping[str, Any]
    """Where it stands: a word, or a word with what belongs to it."""
    said: str
    """The same in a sentence: what is so, why, what comes next."""
    standing: Mapping[str, Any]
    """What the host is for the site."""
    serves: bool
    """Whether its services may serve now."""
    lease: Mapping[str, Any] | None = None
    """What the coordinator was last known to hold: ``home``, ``epoch`` and so on."""
    lease_age: str | None = None
    """For how long that has been the same."""
    votes: tuple[Values, ...] = ()
    """What each observer said last (``vote``), and how long ago it was asked (``age``)."""
    guards: tuple[Values, ...] = ()
    """What each guard said last: ``name``, ``passed`` and ``explanation``."""

    _made = {"votes": tuple_of(Values), "guards": tuple_of(Values)}


@dataclass(frozen=True)
class SeatNews(Answer):
    """Something that people were told.

    >>> import dr
    >>> news = {"at": "2026-11-22T03:00:00Z", "site": "shop", "news": {"refused": {"why": "it is frozen"}}}
    >>> dr.SeatNews.from_dict(news).news["refused"]["why"]
    'it is frozen'
    """

    at: datetime
    """When."""
    site: str
    """About which site."""
    news: Mapping[str, Any]
    """What: ``phase``, ``refused`` or ``trouble``, with what belongs to it."""

    _made = {"at": instant}


def list_seats(directory: Path, sites: Iterable[str] = (), **watch: Unpack[Watch]) -> list[SeatStatus]:
    """How the seats are that the agent of this host keeps; all of them if no site is named.

    ``directory`` is the agent's: ``/var/lib/dr/agent`` if it runs as root.

    >>> import dr
    >>> dr.list_seats("agent")
    Traceback (most recent call last):
    ...
    dr.errors.NotFoundError: could not ask the agent ...
    """
    answer = call("list_seats", {"directory": directory, "sites": sites}, watch, Watch)
    return [SeatStatus.from_dict(seat) for seat in json.loads(answer)["seats"]]


def order_seat(
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
    """Say something to a seat of the agent of this host, as ``dr failover`` does; what comes back says where the seat stands now.

    On the standby, ``"hold"`` moves nothing without a person from now on, for ``span`` or until ``"release"``; ``"approve"`` moves the
    site here as the agent proposes it, in the situation of ``epoch`` only (the one of now if not said), ``despite`` guards, and with
    ``stopped`` if you have made sure that the old home has; ``"drill"`` rehearses it. On the home, ``"hand_over"`` gives it to the
    other host with nothing lost; ``"acknowledge"`` says that the last move was looked at. ``"give_up"`` gives up what is being prepared;
    ``"freeze"`` does nothing at all until ``"thaw"``. What the seat refuses raises ``RefusedError``.

    >>> import dr
    >>> dr.order_seat("agent", "shop", "release", span="2h")
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
    return str(json.loads(call("order_seat", request, watch, Watch))["said"])


def seat_history(directory: Path, *, last: int = 50, **watch: Unpack[Watch]) -> list[SeatNews]:
    """What the agent of this host told lately, oldest first.

    >>> import dr
    >>> dr.seat_history("agent", last=3)
    Traceback (most recent call last):
    ...
    dr.errors.NotFoundError: could not ask the agent ...
    """
    answer = call("seat_history", {"directory": directory, "last": last}, watch, Watch)
    return [SeatNews.from_dict(told) for told in json.loads(answer)["told"]]
