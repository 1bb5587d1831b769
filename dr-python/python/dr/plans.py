"""Plans that can be looked at before they are done, and what became of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Mapping

from . import _dr
from ._calls import Reach, call, call_async
from .report import Report
from .values import Answer, Document, Outcome, Values, instant

if TYPE_CHECKING:
    from datetime import datetime

    from ._calls import Unpack


class Plan(Document):
    """What would be done, in order: what a dry run gives. Printed, it is the page that the command shows.

    >>> plan = Plan({"title": "wait", "at": "2026-11-22T03:00:00Z", "on_failure": "stop", "steps": []})
    >>> plan.title, plan.steps, plan == Plan.from_json(plan.to_json())
    ('wait', (), True)
    """

    __slots__ = ()

    @staticmethod
    def _checked(text: str) -> str:
        # Whoever can show it has read it: that tells a plan from any other JSON.
        _dr.plan_text(text, False, 80)
        return text

    @property
    def title(self) -> str:
        """What it is for."""
        return str(self._values["title"])

    @property
    def at(self) -> datetime:
        """When the facts behind it were gathered."""
        return instant(self._values["at"])

    @property
    def steps(self) -> tuple[Values, ...]:
        """The steps, in order."""
        steps: tuple[Values, ...] = self._values["steps"]
        return steps

    def text(self, *, color: bool = False, width: int = 80) -> str:
        """The page that the command shows.

        >>> import dr
        >>> planned = dr.mirror("/var/www/shop", "/mnt/backup/shop", dry_run=True)
        >>> planned.plan.text(width=100).startswith("mirror")
        True
        """
        return _dr.plan_text(self._json, color, width)

    def apply(self, *, by: str | None = None, **reach: Unpack[Reach]) -> Done:
        """Do just that, with the ``Reach`` that it was planned with. A world that is no longer so is never overwritten.

        >>> import dr
        >>> planned = dr.mirror("/var/www/shop", "/mnt/backup/shop", dry_run=True)
        >>> planned.plan.apply(by="the nightly script", journal="journal.db").outcome
        <Outcome.NEW: 'new'>
        """
        return apply_plan(self, by=by, **reach)

    async def apply_async(self, *, by: str | None = None, **reach: Unpack[Reach]) -> Done:
        """As ``apply``, for asyncio.

        >>> import asyncio, dr
        >>> planned = dr.mirror("/var/www/shop", "/mnt/backup/shop", dry_run=True)
        >>> asyncio.run(planned.plan.apply_async(journal="journal.db")).outcome
        <Outcome.NEW: 'new'>
        """
        return Done.from_json(await call_async("apply_plan", {"plan": self, "by": by}, reach))

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return f"<dr.Plan {self.title!r}: {len(self.steps)} steps>"


@dataclass(frozen=True)
class Done(Answer):
    """What was done, or would be done, by a plan.

    >>> import dr
    >>> done = dr.unlock("root@us.example.net", dry_run=True, **reach)
    >>> done.changed, done.run, done.outcome, done.report.verdict
    (False, None, None, <Verdict.OK: 'ok'>)
    """

    changed: bool
    """Whether there was, or with ``dry_run`` would be, anything to do."""
    report: Report
    """What was found while it was done."""
    run: str | None = None
    """Which run of the journal it was; none if nothing was done."""
    outcome: Outcome | None = None
    """How that run ended."""
    plan: Plan | None = None
    """The plan, with ``dry_run``."""

    _made = {"report": Report.from_dict, "outcome": Outcome, "plan": Plan}


def apply_plan(plan: Plan | Mapping[str, Any], *, by: str | None = None, **reach: Unpack[Reach]) -> Done:
    """Do what a dry run has shown: the ``plan`` of its answer. A world that is no longer so is never overwritten.

    >>> import dr, json
    >>> planned = dr.mirror("/var/www/shop", "/mnt/backup/shop", dry_run=True)
    >>> kept = planned.plan.to_json()
    >>> dr.apply_plan(json.loads(kept), by="the nightly script", journal="journal.db").outcome
    <Outcome.NEW: 'new'>
    """
    return Done.from_json(call("apply_plan", {"plan": plan, "by": by}, reach))
