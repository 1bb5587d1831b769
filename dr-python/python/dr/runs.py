"""Moving sites, and what was done: runs that are listed, gone on with and taken back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Iterable

from ._calls import Reach, call
from .plans import Done
from .report import Report
from .values import Answer, Outcome, Values, instant, tuple_of

if TYPE_CHECKING:
    from ._calls import Unpack


@dataclass(frozen=True)
class Run(Answer):
    """A run in the journal.

    >>> import dr
    >>> run = dr.Run.from_json('{"run": "0707070707070707", "title": "mirror", "at": "2026-11-22T03:00:00Z", "outcome": "stopped"}')
    >>> run.outcome is dr.Outcome.STOPPED, run.at.tzname()
    (True, 'UTC')
    """

    run: str
    """What ``resume_run`` and ``undo_run`` take."""
    title: str
    """What it is for."""
    at: datetime
    """When it was recorded."""
    outcome: Outcome | None = None
    """How it ended; none while it has not. ``Outcome.STOPPED`` waits for ``resume_run`` or ``undo_run``."""

    _made = {"at": instant, "outcome": Outcome}


@dataclass(frozen=True)
class FailoverAudit(Answer):
    """The moves that a journal tells of.

    >>> import dr
    >>> dr.FailoverAudit(moves=()).to_dict()
    {'moves': []}
    """

    moves: tuple[Values, ...]
    """Oldest first: ``by``, ``at``, ``sites``, ``title``, ``grounds`` (what the guards said, what was overridden, why), ``outcome``
    and the ``lines`` that were recorded."""
    report: Report | None = None
    """What is wrong with the journal, with ``verify``."""

    _made = {"moves": tuple_of(Values), "report": Report.from_dict}


def failover_audit(*, site: str | None = None, verify: bool = False, **reach: Unpack[Reach]) -> FailoverAudit:
    """Who moved which site, when and why, what the guards said, and what came of it; ``verify`` checks the journal's chain, too.

    >>> import dr, tempfile
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     dr.failover_audit(verify=True, journal=directory + "/journal.db").moves
    ()
    """
    return FailoverAudit.from_json(call("failover_audit", {"site": site, "verify": verify}, reach))


def failover_status(sites: Iterable[str] = (), **reach: Unpack[Reach]) -> Report:
    """Could these sites of the ``estate``, or all of them, be moved now? Every guard that is in the way is a finding.

    >>> import dr
    >>> report = dr.failover_status(["shop"], estate=dr.Estate.from_file("dr.toml"), **reach)
    >>> report.verdict
    <Verdict.FAILED: 'failed'>
    """
    return Report.from_json(call("failover_status", {"sites": sites}, reach))


def failover(
    site: str | None = None,
    *,
    host: str | None = None,
    group: str | None = None,
    per_second: int | None = None,
    planned: bool = False,
    despite: Iterable[str] = (),
    why: str | None = None,
    source: str | None = None,
    dry_run: bool = False,
    by: str | None = None,
    **reach: Unpack[Reach],
) -> Done:
    """Move a site of the ``estate`` to its other host: tenure, fences, records, and the proof that every name server shows it.

    Instead of a site, ``host`` moves everything that this host holds, and ``group`` what the estate's group says, in its order: one plan, of
    which each site is a run; ``per_second`` are begun in a second at most.
    ``planned``: both hosts are well, so it is mirrored a last time first; without it nothing is asked of the old home. ``despite``
    names guards that are overridden, and takes a reason, ``why``; ``source`` the host that it is moved away from, if that is not its home in the estate.
    What guards refuse raises ``RefusedError``.

    >>> import dr
    >>> dr.failover("shop", dry_run=True)
    Traceback (most recent call last):
    ...
    dr.errors.NotFoundError: could not plan the failover of shop: ...
    """
    many = {"host": host, "group": group, "per_second": per_second}
    request = many | {"site": site, "planned": planned, "despite": despite, "why": why, "from": source, "dry_run": dry_run, "by": by}
    return Done.from_json(call("failover", request, reach))


def failback(site: str, *, dry_run: bool = False, by: str | None = None, **reach: Unpack[Reach]) -> Done:
    """Mirror in reverse, then bring a site back to the host that is its home in the ``estate``; it needs both hosts.

    >>> import dr
    >>> dr.failback("shop", estate=dr.Estate.from_file("dr.toml"), **reach)
    Traceback (most recent call last):
    ...
    dr.errors.RefusedError: could not plan to bring shop back: uk holds it already
    """
    return Done.from_json(call("failback", {"site": site, "dry_run": dry_run, "by": by}, reach))


def list_runs(run: str | None = None, **reach: Unpack[Reach]) -> list[Run]:
    """What was done, newest first; or only one run.

    >>> import dr, tempfile
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     dr.list_runs(journal=directory + "/journal.db")
    []
    """
    return [Run.from_dict(one) for one in json.loads(call("list_runs", {"run": run}, reach))["runs"]]


def resume_run(run: str, *, by: str | None = None, **reach: Unpack[Reach]) -> Done:
    """Go on with a run that stopped or whose process died, in the direction it was going.

    >>> import dr
    >>> for run in dr.list_runs(journal="journal.db"):
    ...     if run.outcome in (None, dr.Outcome.STOPPED):
    ...         print(dr.resume_run(run.run, by="the night shift", journal="journal.db").outcome)
    """
    return Done.from_json(call("resume_run", {"run": run, "by": by}, reach))


def undo_run(run: str, *, by: str | None = None, **reach: Unpack[Reach]) -> Done:
    """Take a run back, whether it stopped, died or ended well: every step that was begun, in reverse order.

    >>> import dr
    >>> dr.undo_run("0707070707070707", journal="journal.db")
    Traceback (most recent call last):
    ...
    dr.errors.NotFoundError: could not ...
    """
    return Done.from_json(call("undo_run", {"run": run, "by": by}, reach))
