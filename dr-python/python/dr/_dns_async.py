"""The coroutines beside ``dr.dns``. Made by tests/python/twins.py, as it says there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Iterable, Literal, Sequence

from ._calls import Reach, call_async
from .dns import RecordsChanged, SecondaryPromoted, Servers, ZoneTransferred, _named
from .report import Report
from .values import Span

if TYPE_CHECKING:
    from ._calls import Unpack


async def set_records_async(
    zone: str,
    owner: str,
    type: str,
    rdata: str | Iterable[str],
    *,
    ttl: int | None = None,
    servers: Servers = (),
    primary: str | None = None,
    update_key: str | None = None,
    dry_run: bool = False,
    by: str | None = None,
    **reach: Unpack[Reach],
) -> RecordsChanged:
    """As ``set_records``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work.

    >>> import asyncio, dr
    >>> planned = asyncio.run(dr.set_records_async("example.org", "www.@", "A", "198.51.100.7", servers=["192.0.2.1"], dry_run=True))
    >>> planned.changed, len(planned.plan.steps)
    (True, 2)
    """
    wanted = {"owner": owner, "type": type, "rdata": [rdata] if isinstance(rdata, str) else list(rdata)}
    request = {
        "zones": [zone],
        "sets": [wanted if ttl is None else {**wanted, "ttl": ttl}],
        "servers": _named(servers),
        "primary": primary,
        "update_key": update_key,
        "dry_run": dry_run,
        "by": by,
    }
    return RecordsChanged.from_json(await call_async("change_records", request, reach))


async def change_records_async(
    zones: str | Sequence[str],
    sets: Iterable[Mapping[str, Any]],
    *,
    servers: Servers = (),
    primary: str | None = None,
    update_key: str | None = None,
    dry_run: bool = False,
    within: Span | None = None,
    settle: bool = False,
    resolvers: Iterable[str] = (),
    per_second: int | None = None,
    mark: bool = False,
    by: str | None = None,
    **reach: Unpack[Reach],
) -> RecordsChanged:
    """As ``change_records``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work.

    >>> import asyncio, dr
    >>> wanted = [{"owner": "www.@", "type": "A", "rdata": ["192.0.2.10"]}]
    >>> asyncio.run(dr.change_records_async(["example.org"], wanted, servers=["192.0.2.1"], dry_run=True)).changed
    False
    """
    request = {
        "zones": [zones] if isinstance(zones, str) else list(zones),
        "sets": [dict(record_set) for record_set in sets],
        "servers": _named(servers),
        "primary": primary,
        "update_key": update_key,
        "dry_run": dry_run,
        "within": within,
        "settle": settle,
        "resolvers": list(resolvers),
        "per_second": per_second,
        "mark": mark,
        "by": by,
    }
    return RecordsChanged.from_json(await call_async("change_records", request, reach))


async def promote_secondary_async(
    zones: str | Sequence[str],
    to: str | None = None,
    *,
    servers: Servers = (),
    primary: str | None = None,
    update_key: str | None = None,
    software: Mapping[str, str] | None = None,
    prepare: bool = False,
    installed: bool = False,
    lose_changes: bool = False,
    mname: str | None = None,
    dry_run: bool = False,
    within: Span | None = None,
    by: str | None = None,
    **reach: Unpack[Reach],
) -> SecondaryPromoted:
    """As ``promote_secondary``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work.

    >>> import asyncio, dr
    >>> servers = {"ns1": "192.0.2.1", "ns2": "192.0.2.2"}
    >>> looked = asyncio.run(dr.promote_secondary_async("example.org", "ns2", servers=servers, software={"ns2": "bind"}))
    >>> "type primary;" in looked.configurations[0]["text"]
    True
    >>> asyncio.run(dr.promote_secondary_async("example.org", "ns2", servers=servers, installed=True, dry_run=True)).changed
    True
    """
    request = {
        "zones": [zones] if isinstance(zones, str) else list(zones),
        "to": to,
        "servers": _named(servers),
        "primary": primary,
        "update_key": update_key,
        "software": dict(software or {}),
        "prepare": prepare,
        "installed": installed,
        "lose_changes": lose_changes,
        "mname": mname,
        "dry_run": dry_run,
        "within": within,
        "by": by,
    }
    return SecondaryPromoted.from_json(await call_async("promote_secondary", request, reach))


async def transfer_zone_async(
    zone: str,
    server: str | None = None,
    *,
    key: str | None = None,
    since: int | None = None,
    **reach: Unpack[Reach],
) -> ZoneTransferred:
    """As ``transfer_zone``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work.

    >>> import asyncio, dr
    >>> there = asyncio.run(dr.transfer_zone_async("example.org", "192.0.2.1"))
    >>> [line for line in there.records if line.startswith("www.")]
    ['www.example.org. 60 IN A 192.0.2.10']
    """
    request = {"zone": zone, "server": server, "key": key, "since": since}
    return ZoneTransferred.from_json(await call_async("transfer_zone", request, reach))


async def check_zone_async(
    zone: str,
    servers: Servers = (),
    *,
    primary: str | None = None,
    standby_primary: str | None = None,
    moving: Iterable[str] | None = None,
    records: Iterable[tuple[str, str]] = (),
    expect: Iterable[Mapping[str, Any]] = (),
    depth: Literal["full", "records"] = "full",
    parents: Iterable[str] = (),
    resolver: str | None = None,
    senders: Iterable[str] = (),
    issuers: Iterable[str] = (),
    transfer_key: str | None = None,
    status: Iterable[str] = (),
    networks: Mapping[str, Mapping[str, Any]] | None = None,
    **reach: Unpack[Reach],
) -> Report:
    """As ``check_zone``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work.

    >>> import asyncio, dr
    >>> report = asyncio.run(dr.check_zone_async("example.org", {"ns1": "192.0.2.1", "ns3": "192.0.2.3"}))
    >>> report.findings[0].code
    'dns.record_set_differs'
    """
    request = {
        "zone": zone,
        "servers": _named(servers),
        "primary": primary,
        "standby_primary": standby_primary,
        "moving": None if moving is None else list(moving),
        "records": [{"owner": owner, "type": kind} for owner, kind in records],
        "expect": [dict(record_set) for record_set in expect],
        "depth": depth,
        "parents": list(parents),
        "resolver": resolver,
        "senders": list(senders),
        "issuers": list(issuers),
        "transfer_key": transfer_key,
        "status": list(status),
        "networks": {network: dict(known) for network, known in (networks or {}).items()},
    }
    return Report.from_json(await call_async("check_zone", request, reach))
