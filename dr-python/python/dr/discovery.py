"""What a host has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Iterable, Mapping, Sequence

from ._calls import Reach, call
from .values import Answer

if TYPE_CHECKING:
    from ._calls import Unpack


@dataclass(frozen=True)
class Discovered(Answer):
    """Which sites and zones a host has, and what of it is new to the estate.

    >>> import dr
    >>> drafted = dr.discover("us", host="uk", texts={"nginx": ""}, estate=dr.Estate.from_file("dr.toml"))
    >>> drafted.toml, drafted.read
    ('', ('nginx',))
    """

    toml: str
    """What is new as TOML, to be appended to a dr.toml; empty if nothing is."""
    estate: Mapping[str, Any]
    """The estate with everything that is new. Nothing that was in it is changed."""
    differences: Sequence[Mapping[str, str]]
    """``what`` (``"new"``, ``"gone"`` or ``"changed"``), ``subject`` and ``detail`` of each."""
    left_out: Sequence[Mapping[str, str]]
    """``what`` could not be taken over, ``why``, and the ``place`` where it stands."""
    read: Sequence[str]
    """Which listings there were."""


def discover(
    standby: str,
    *,
    host: str | None = None,
    listings: Iterable[str] | None = None,
    texts: Mapping[str, str] | None = None,
    **reach: Unpack[Reach],
) -> Discovered:
    """Ask a host which sites and zones it has, and draft what is new for the estate. Nothing is changed anywhere.

    ``host`` and ``standby`` are hosts of the estate, or ``user@host``; without ``host`` it is this machine. nginx, Apache, BIND,
    HestiaCP and Virtualmin are asked, as far as they are there, or only ``listings``. ``texts`` are listings that were taken before,
    by their names; then no host is reached.

    >>> import dr
    >>> nginx = "http { server { server_name blog.example.org; root /srv/blog; } }"
    >>> drafted = dr.discover("us", host="uk", texts={"nginx": nginx}, estate=dr.Estate.from_file("dr.toml"))
    >>> list(drafted.estate["sites"])
    ['blog.example.org', 'shop']
    """
    request = {"host": host, "standby": standby, "listings": listings, "texts": texts}
    return Discovered.from_json(call("discover", request, reach))
