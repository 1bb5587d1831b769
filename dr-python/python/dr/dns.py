"""Zones."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Iterable, Sequence

from ._calls import call
from .report import Report


@dataclass(frozen=True)
class RecordsChanged:
    """What a change of records did, or would do."""

    changed: bool
    """Whether anything was, or with ``dry_run`` would be, changed."""
    prediction: Mapping[str, Any]
    """How long it was predicted to take: ``zones``, and ``apply``, ``spread`` and ``settle`` as periods."""
    report: Report
    """What was found on the way; a finding for each name server that does not show it."""
    run: str | None
    """Which run of the journal it was; none if nothing was done."""
    outcome: str | None
    """How that run ended: ``"new"``, ``"new_degraded"``, ``"old"`` or ``"stopped"``."""
    verified: Mapping[str, Any] | None
    """The proof that every name server shows it: ``zones``, ``servers`` and ``at``. None while it is not so."""
    settled: Mapping[str, Any] | None
    """The proof that resolvers had the time to forget what was before: ``resolvers`` and ``at``."""
    plan: Mapping[str, Any] | None
    """The plan, with ``dry_run``."""


def change_records(
    zones: str | Sequence[str],
    sets: Iterable[Mapping[str, Any]],
    *,
    servers: Mapping[str, str] | Sequence[str] = (),
    primary: str | None = None,
    update_key: str | None = None,
    dry_run: bool = False,
    within: str | None = None,
    settle: bool = False,
    resolvers: Iterable[str] = (),
    per_second: int | None = None,
    by: str | None = None,
    estate: Mapping[str, Any] | None = None,
    journal: str | os.PathLike[str] | None = None,
) -> RecordsChanged:
    """Change record sets of one zone or many, and wait until every name server shows it.

    ``sets`` are what is wanted in each zone: ``{"owner": "www.@", "type": "A", "rdata": ["198.51.100.1"]}``, with ``ttl`` if it is not
    to stay as it is; without ``rdata`` the record set is removed. ``@`` stands for the zone.

    Servers, primary and key are the estate's unless they are named. The secrets of TSIG keys are in files that the estate names under
    ``tsig_keys``. ``settle`` waits until no resolver can remember what was before, and then asks ``resolvers``.

    A name server that does not follow is a finding, not an exception: look at ``verified``.
    """
    named = [f"{name}={address}" for name, address in servers.items()] if isinstance(servers, Mapping) else list(servers)
    request = {
        "zones": [zones] if isinstance(zones, str) else list(zones),
        "sets": [dict(record_set) for record_set in sets],
        "servers": named,
        "primary": primary,
        "update_key": update_key,
        "dry_run": dry_run,
        "within": within,
        "settle": settle,
        "resolvers": list(resolvers),
        "per_second": per_second,
        "by": by,
    }
    settings = {"estate": None if estate is None else dict(estate), "journal": None if journal is None else os.fspath(journal)}
    answer = json.loads(call("change_records", request, settings))
    return RecordsChanged(
        changed=answer["changed"],
        prediction=MappingProxyType(answer["prediction"]),
        report=Report(json.dumps(answer["report"])),
        **{name: answer.get(name) for name in ("run", "outcome", "verified", "settled", "plan")},
    )


@dataclass(frozen=True)
class SecondaryPromoted:
    """What a secondary in the primary's place takes, or took."""

    report: Report
    """Whether it is fit for it, who would not follow, and who did not."""
    configurations: tuple[Mapping[str, Any], ...]
    """What has to stand in each server's configuration: ``server``, ``software``, ``text``, and ``load``, the commands that take it up."""
    unknown: tuple[str, ...]
    """Servers whose software is not known."""
    changed: bool
    """Whether anything was, or with ``dry_run`` would be, changed."""
    run: str | None
    """Which run of the journal it was; none if nothing was done."""
    outcome: str | None
    """How that run ended."""
    verified: Mapping[str, Any] | None
    """The proof that every server that answers follows the new primary."""
    plan: Mapping[str, Any] | None
    """The plan, with ``dry_run``."""


def promote_secondary(
    zones: str | Sequence[str],
    to: str | None = None,
    *,
    servers: Mapping[str, str] | Sequence[str] = (),
    primary: str | None = None,
    update_key: str | None = None,
    software: Mapping[str, str] | None = None,
    prepare: bool = False,
    installed: bool = False,
    lose_changes: bool = False,
    mname: str | None = None,
    dry_run: bool = False,
    within: str | None = None,
    by: str | None = None,
    estate: Mapping[str, Any] | None = None,
    journal: str | os.PathLike[str] | None = None,
) -> SecondaryPromoted:
    """Let a secondary name server take the primary's place.

    First without ``installed``: ``report`` says whether the server ``to`` is fit for it and whether the others would follow, and
    ``configurations`` is what has to stand where (``prepare``: so that they could, while the primary is still there). Nothing is
    changed. Once that is in place, with ``installed``: the serial is raised at the new primary, and every server that answers has
    to follow; ``verified`` is the proof. ``software`` says what a server runs that does not say so itself: ``{"ns2": "bind"}``;
    ``"knot"``, ``"nsd"`` and ``"powerdns"`` are the others.
    """
    named = [f"{name}={address}" for name, address in servers.items()] if isinstance(servers, Mapping) else list(servers)
    request = {
        "zones": [zones] if isinstance(zones, str) else list(zones),
        "to": to,
        "servers": named,
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
    settings = {"estate": None if estate is None else dict(estate), "journal": None if journal is None else os.fspath(journal)}
    answer = json.loads(call("promote_secondary", request, settings))
    return SecondaryPromoted(
        report=Report(json.dumps(answer["report"])),
        configurations=tuple(MappingProxyType(written) for written in answer["configurations"]),
        unknown=tuple(answer["unknown"]),
        changed=answer["changed"],
        **{name: answer.get(name) for name in ("run", "outcome", "verified", "plan")},
    )


def check_zone(
    zone: str,
    servers: Mapping[str, str] | Sequence[str],
    *,
    primary: str | None = None,
    standby_primary: str | None = None,
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

    ``primary`` is the address against which serials are measured; ``standby_primary`` the server, by its name, that is to take its
    place: would the others follow it? ``moving`` are the names whose address records a failover
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
        "standby_primary": standby_primary,
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
