"""Zones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Iterable, Literal, Sequence, Union

from ._calls import Reach, call
from .plans import Plan
from .report import Report
from .values import Answer, Outcome, Span

if TYPE_CHECKING:
    from ._calls import Unpack

Servers = Union[Mapping[str, str], Sequence[str]]


@dataclass(frozen=True)
class RecordsChanged(Answer):
    """What a change of records did, or would do.

    >>> import dr
    >>> wanted = [{"owner": "www.@", "type": "A", "rdata": ["198.51.100.7"]}]
    >>> planned = dr.change_records("example.org", wanted, servers=["192.0.2.1"], dry_run=True)
    >>> planned.changed, planned.prediction["zones"], planned.verified
    (True, 1, None)
    """

    changed: bool
    """Whether anything was, or with ``dry_run`` would be, changed."""
    prediction: Mapping[str, Any]
    """How long it was predicted to take: ``zones``, and ``apply``, ``spread`` and ``settle`` as periods."""
    report: Report
    """What was found on the way; a finding for each name server that does not show it."""
    run: str | None = None
    """Which run of the journal it was; none if nothing was done."""
    outcome: Outcome | None = None
    """How that run ended."""
    verified: Mapping[str, Any] | None = None
    """The proof that every name server shows it: ``zones``, ``servers`` and ``at``. None while it is not so."""
    settled: Mapping[str, Any] | None = None
    """The proof that resolvers had the time to forget what was before: ``resolvers`` and ``at``."""
    plan: Plan | None = None
    """The plan, with ``dry_run``."""

    _made = {"report": Report.from_dict, "outcome": Outcome, "plan": Plan}


def set_records(
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
    """Make one record set of one zone just so, and wait until every name server shows it; with no ``rdata`` it is removed.

    ``owner`` is a whole name, or has ``@`` for the zone: ``dr.set_records("example.org", "www.@", "A", "198.51.100.1")``. What else there
    is stands at ``change_records``.

    >>> import dr
    >>> planned = dr.set_records("example.org", "www.@", "A", "198.51.100.7", servers=["192.0.2.1"], dry_run=True)
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
    return RecordsChanged.from_json(call("change_records", request, reach))


def change_records(
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
    """Change record sets of one zone or many, and wait until every name server shows it.

    ``sets`` are what is wanted in each zone: ``{"owner": "www.@", "type": "A", "rdata": ["198.51.100.1"]}``, with ``ttl`` if it is not
    to stay as it is; without ``rdata`` the record set is removed. ``@`` stands for the zone.

    Servers, primary and key are the estate's unless they are named. The secrets of TSIG keys are in files that the estate names under
    ``tsig_keys``. ``settle`` waits until no resolver can remember what was before, and then asks ``resolvers``.

    ``mark`` also writes a random word into ``_dr-change.ZONE TXT``: if no answer comes, it tells whose change was made.

    A name server that does not follow is a finding, not an exception: look at ``verified``.

    >>> import dr
    >>> wanted = [{"owner": "www.@", "type": "A", "rdata": ["192.0.2.10"]}]
    >>> dr.change_records(["example.org"], wanted, servers=["192.0.2.1"], dry_run=True).changed
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
    return RecordsChanged.from_json(call("change_records", request, reach))


@dataclass(frozen=True)
class SecondaryPromoted(Answer):
    """What a secondary in the primary's place takes, or took.

    >>> import dr
    >>> looked = dr.promote_secondary("example.org", "ns2", servers={"ns1": "192.0.2.1", "ns2": "192.0.2.2"}, software={"ns2": "bind"})
    >>> looked.changed, [one["software"] for one in looked.configurations]
    (False, ['bind'])
    """

    report: Report
    """Whether it is fit for it, who would not follow, and who did not."""
    configurations: tuple[Mapping[str, Any], ...]
    """What has to stand in each server's configuration: ``server``, ``software``, ``text``, and ``load``, the commands that take it up."""
    unknown: tuple[str, ...]
    """Servers whose software is not known."""
    changed: bool
    """Whether anything was, or with ``dry_run`` would be, changed."""
    run: str | None = None
    """Which run of the journal it was; none if nothing was done."""
    outcome: Outcome | None = None
    """How that run ended."""
    verified: Mapping[str, Any] | None = None
    """The proof that every server that answers follows the new primary."""
    plan: Plan | None = None
    """The plan, with ``dry_run``."""

    _made = {"report": Report.from_dict, "outcome": Outcome, "plan": Plan}


def promote_secondary(
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
    """Let a secondary name server take the primary's place.

    First without ``installed``: ``report`` says whether the server ``to`` is fit for it and whether the others would follow, and
    ``configurations`` is what has to stand where (``prepare``: so that they could, while the primary is still there). Nothing is
    changed. Once that is in place, with ``installed``: the serial is raised at the new primary, and every server that answers has
    to follow; ``verified`` is the proof. ``software`` says what a server runs that does not say so itself: ``{"ns2": "bind"}``;
    ``"knot"``, ``"nsd"`` and ``"powerdns"`` are the others.

    >>> import dr
    >>> servers = {"ns1": "192.0.2.1", "ns2": "192.0.2.2"}
    >>> looked = dr.promote_secondary("example.org", "ns2", servers=servers, software={"ns2": "bind"})
    >>> "type primary;" in looked.configurations[0]["text"]
    True
    >>> dr.promote_secondary("example.org", "ns2", servers=servers, installed=True, dry_run=True).changed
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
    return SecondaryPromoted.from_json(call("promote_secondary", request, reach))


@dataclass(frozen=True)
class ZoneTransferred(Answer):
    """A zone as a name server has it, or what changed in it.

    >>> import dr
    >>> there = dr.transfer_zone("example.org", "192.0.2.1")
    >>> there.whole, len(there.records)
    (True, 7)
    """

    serial: int
    """The newest version that came."""
    whole: bool
    """Whether it is the whole zone; if not, what changed stands in ``changes``."""
    records: tuple[str, ...] = ()
    """Every record as a line of a zone file, the SOA record first."""
    changes: tuple[Mapping[str, Any], ...] = ()
    """What changed, oldest first: ``from``, ``to``, ``gone`` and ``new``."""


def transfer_zone(
    zone: str,
    server: str | None = None,
    *,
    key: str | None = None,
    since: int | None = None,
    **reach: Unpack[Reach],
) -> ZoneTransferred:
    """The zone as a name server has it (AXFR), or what changed in it since the version ``since`` (IXFR), where the server keeps that.

    ``key`` names the TSIG key that signs the question and must sign the answer; its secret is in a file that the estate names under
    ``tsig_keys``. Without ``server`` the estate's primary is asked.

    >>> import dr
    >>> there = dr.transfer_zone("example.org", "192.0.2.1")
    >>> [line for line in there.records if line.startswith("www.")]
    ['www.example.org. 60 IN A 192.0.2.10']
    """
    request = {"zone": zone, "server": server, "key": key, "since": since}
    return ZoneTransferred.from_json(call("transfer_zone", request, reach))


def check_zone(
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
    """Ask every name server of a zone whether it would send visitors to the right host.

    ``servers`` gives each name server's address, by a name of your choice: ``{"ns1": "192.0.2.1", "ns2": "[2001:db8::2]:53"}``,
    or just the addresses. The port is 53 if not said. With none, they are those of the ``estate``.

    ``primary`` is the address against which serials are measured; ``standby_primary`` the server, by its name, that is to take its
    place: would the others follow it? ``moving`` are the names whose address records a failover
    moves (the apex and ``www`` if not said); ``records`` are further record sets that must agree, as ``("mail.example.org", "A")``;
    ``expect`` are record sets that must be just so: ``{"owner": "example.org", "type": "A", "ttl": 300, "rdata": ["192.0.2.10"]}``.

    ``depth`` is ``"full"``, or ``"records"`` for only whether all servers answer, and alike. ``parents`` are servers of the parent
    zone, to be asked for the delegation; ``resolver`` is asked for names outside of the zone and for the names of addresses;
    ``senders`` are addresses that SPF must let send the zone's mail, ``issuers`` certification authorities that CAA must let issue.

    ``transfer_key`` is the name of a TSIG key of the estate with which the whole zone is asked for too; ``status`` are names under which
    visitors are told what happens; ``networks`` says what is known of where things are: ``{"192.0.2.0/24": {"place": "Roubaix", "asn": 64500}}``.

    A server that does not answer is a finding, not an exception. Ctrl-C ends the call at once.

    >>> import dr
    >>> report = dr.check_zone("example.org", {"ns1": "192.0.2.1", "ns3": "192.0.2.3"})
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
    return Report.from_json(call("check_zone", request, reach))


def _named(servers: Servers) -> list[str]:
    if isinstance(servers, (str, bytes)):
        raise TypeError("servers is a mapping or a sequence of addresses, not one text")
    if isinstance(servers, Mapping):
        return [f"{name}={address}" for name, address in servers.items()]
    return [str(address) for address in servers]
