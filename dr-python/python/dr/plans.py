"""Plans that can be looked at before they are done, and what became of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Mapping

from . import _dr
from ._calls import Reach, call, call_async
from .report import Report
from .values import Answer, Outcome, Values, instant

if TYPE_CHECKING:
    from datetime import datetime

    from ._calls import Unpack


class Plan(Mapping[str, Any]):
    """What would be done, in order: what a dry run gives. Printed, it is the page that the command shows.

    >>> plan = Plan({"title": "wait", "at": "2026-11-22T03:00:00Z", "on_failure": "stop", "steps": []})
    >>> plan.title, plan.steps, plan == Plan.from_json(plan.to_json())
    ('wait', (), True)
    """

    __slots__ = ("_json", "_values")
    _json: str
    _values: Values

    def __init__(self, values: Mapping[str, Any]) -> None:
        text = json.dumps(values)
        # Whoever can show it has read it: that tells a plan from any other JSON.
        _dr.plan_text(text, False, 80)
        object.__setattr__(self, "_json", text)
        object.__setattr__(self, "_values", Values(values))

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """The plan that ``to_json`` wrote."""
        values = json.loads(text)
        if not isinstance(values, dict):
            raise ValueError("not a plan: it is no object")
        return cls(values)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Plan:
        """The plan that ``to_dict`` wrote."""
        return cls(values)

    def to_json(self) -> str:
        """As JSON (docs/schema/plan.json)."""
        return self._json

    def to_dict(self) -> dict[str, Any]:
        """As a dict of its own."""
        values: dict[str, Any] = json.loads(self._json)
        return values

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
        """The page that the command shows."""
        return _dr.plan_text(self._json, color, width)

    def apply(self, *, by: str | None = None, **reach: Unpack[Reach]) -> Done:
        """Do just that, with the ``Reach`` that it was planned with. A world that is no longer so is never overwritten."""
        return apply_plan(self, by=by, **reach)

    async def apply_async(self, *, by: str | None = None, **reach: Unpack[Reach]) -> Done:
        """As ``apply``, for asyncio."""
        return Done.from_json(await call_async("apply_plan", {"plan": self, "by": by}, reach))

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Any:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return f"<dr.Plan {self.title!r}: {len(self.steps)} steps>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Plan) and self._values == other._values

    def __hash__(self) -> int:
        return hash(self._values)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("a plan cannot be changed")

    def __reduce__(self) -> tuple[Any, ...]:
        return (Plan.from_json, (self._json,))


@dataclass(frozen=True)
class Done(Answer):
    """What was done, or would be done, by a plan."""

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

    >>> import dr, tempfile
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     planned = dr.mirror("/usr/include/dr.h.d", directory, dry_run=True)
    Traceback (most recent call last):
    ...
    dr.errors.NotFoundError: could not ...
    """
    return Done.from_json(call("apply_plan", {"plan": plan, "by": by}, reach))
