"""Reports as values: frozen, comparable, and one ``print`` away from the page that the command shows."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Mapping

from . import _dr
from .values import Answer, Severity, Values, Verdict, instant, plain

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True)
class Subject(Answer):
    """What a finding or an examination is about."""

    kind: str
    """``"host"``, ``"zone"``, ``"name server"``, ``"path"``, ..."""
    name: str
    """Which one."""

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True)
class Finding(Answer):
    """One thing that is not as it should be."""

    code: str
    """Which kind of finding: docs/findings.md. Codes are never renamed."""
    severity: Severity
    """How bad it is, by the table and the policy."""
    subject: Subject
    """What it is about."""
    message: str
    """What was seen, in one sentence."""
    remedy: str
    """What to do about it."""
    evidence: Mapping[str, str] = Values()
    """The observed values behind it."""

    _made = {"severity": Severity, "subject": Subject.from_dict, "evidence": Values}


@dataclass(frozen=True)
class Unexamined(Answer):
    """Something that could not be looked at, and why."""

    subject: Subject
    """What."""
    why: Mapping[str, Any]
    """The error, as docs/schema/error.json has it."""

    _made = {"subject": Subject.from_dict, "why": Values}


class Report:
    """The answer to "is it all right?". Printed, it is the page that the command shows.

    >>> import dr
    >>> report = dr.check_zone("example.org", ["127.0.0.1:9"])
    >>> report.verdict, report.findings[0].code, report == dr.Report.from_json(report.to_json())
    (<Verdict.FAILED: 'failed'>, 'dns.no_server_answers', True)
    """

    __slots__ = ("_json", "_values")
    __match_args__ = ("verdict", "findings")

    _json: str
    _values: Values

    def __init__(self, text: str) -> None:
        # Reading the verdict is what tells a report from any other JSON.
        _dr.verdict(text)
        object.__setattr__(self, "_json", text)
        object.__setattr__(self, "_values", Values(json.loads(text)))

    @classmethod
    def from_json(cls, text: str) -> Report:
        """The report that ``to_json`` wrote."""
        return cls(text)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Report:
        """The report that ``to_dict`` wrote."""
        return cls(json.dumps(plain(values)))

    def to_json(self) -> str:
        """As JSON (docs/schema/report.json)."""
        return self._json

    def to_dict(self) -> dict[str, Any]:
        """As a dict of its own."""
        value: dict[str, Any] = json.loads(self._json)
        return value

    @property
    def title(self) -> str:
        """What was asked."""
        return str(self._values["title"])

    @property
    def at(self) -> datetime:
        """When the facts were gathered, in UTC."""
        return instant(self._values["at"])

    @property
    def verdict(self) -> Verdict:
        """The shortest summary: ``"ok"``, ``"degraded"`` or ``"failed"``."""
        return Verdict(_dr.verdict(self._json))

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is not as it should be, worst first."""
        return tuple(Finding.from_dict(finding) for finding in self._values["findings"])

    @property
    def examined(self) -> tuple[Subject, ...]:
        """What was looked at."""
        return tuple(Subject.from_dict(subject) for subject in self._values["examined"])

    @property
    def unexamined(self) -> tuple[Unexamined, ...]:
        """What could not be looked at."""
        return tuple(Unexamined.from_dict(missing) for missing in self._values["unexamined"])

    @property
    def figures(self) -> Mapping[str, int]:
        """Counts, bytes, milliseconds; the unit is the last word of the name."""
        return self._values.get("figures", Values())  # type: ignore[no-any-return]

    def text(self, *, color: bool = False, width: int = 80) -> str:
        """The page that the command shows."""
        return _dr.text(self._json, color, width)

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return f"<dr.Report {self.title!r}: {self.verdict}, {len(self._values['findings'])} findings>"

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("a report cannot be changed")

    def __delattr__(self, name: str) -> None:
        raise AttributeError("a report cannot be changed")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Report) and self._values == other._values

    def __hash__(self) -> int:
        return hash(self._values)

    def __reduce__(self) -> tuple[Any, ...]:
        return (Report, (self._json,))
