"""Zones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Iterable, Sequence

from ._calls import call
from .report import Report


def check_zone(
    zone: str,
    servers: Mapping[str, str] | Sequence[str],
    *,
    primary: str | None = None,
    moving: Iterable[str] | None = None,
    records: Iterable[tuple[str, str]] = (),
    expect: Iterable[Mapping[str, Any]] = (),
    depth: str = "full",
    parents: Iterable[str] = (),
    resolver: str | None = None,
    senders: Iterable[str] = (),
    issuers: Iterable[str] = (),
) -> Report:
    """Ask every name server of a zone whether it would send visitors to the right host.

    ``servers`` gives each name server's address, by a name of your choice: ``{"ns1": "192.0.2.1", "ns2": "[2001:db8::2]:53"}``,
    or just the addresses. The port is 53 if not said.

    ``primary`` is the address against which serials are measured; ``moving`` are the names whose address records a failover
    moves (the apex and ``www`` if not said); ``records`` are further record sets that must agree, as ``("mail.example.org", "A")``;
    ``expect`` are record sets that must be just so: ``{"owner": "example.org", "type": "A", "ttl": 300, "rdata": ["192.0.2.10"]}``.

    ``depth`` is ``"full"``, or ``"records"`` for only whether all servers answer, and alike. ``parents`` are servers of the parent
    zone, to be asked for the delegation; ``resolver`` is asked for names outside of the zone and for the names of addresses;
    ``senders`` are addresses that SPF must let send the zone's mail, ``issuers`` certification authorities that CAA must let issue.

    A server that does not answer is a finding, not an exception. Ctrl-C ends the call at once.
    """
    if isinstance(servers, str):
        raise TypeError("servers is a mapping or a sequence of addresses, not one text")
    if isinstance(servers, Mapping):
        named = [f"{name}={address}" for name, address in servers.items()]
    else:
        named = [str(address) for address in servers]
    if not named:
        raise ValueError("a zone has at least one name server")
    request = {
        "zone": zone,
        "servers": named,
        "primary": primary,
        "moving": None if moving is None else list(moving),
        "records": [{"owner": owner, "type": kind} for owner, kind in records],
        "expect": [dict(record_set) for record_set in expect],
        "depth": depth,
        "parents": list(parents),
        "resolver": resolver,
        "senders": list(senders),
        "issuers": list(issuers),
    }
    return Report(call("check_zone", request))
