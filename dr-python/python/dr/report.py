"""Reports as values: frozen, comparable, and one ``print`` away from the page that the command shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Mapping

from . import _dr
from .values import Answer, Document, Severity, Values, Verdict, instant

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True)
class Subject(Answer):
    """What a finding or an examination is about.

    >>> import dr
    >>> str(dr.Subject("host", "uk"))
    'host uk'
    """

    kind: str
    """``"host"``, ``"zone"``, ``"name server"``, ``"path"``, ..."""
    name: str
    """Which one."""

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True)
class Finding(Answer):
    """One thing that is not as it should be.

    >>> import dr
    >>> finding = dr.check_zone("example.org", ["192.0.2.1", "192.0.2.3"]).findings[0]
    >>> finding.code, finding.severity >= "error", str(finding.subject)
    ('dns.record_set_differs', True, 'zone example.org')
    """

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
    """Something that could not be looked at, and why.

    >>> import dr
    >>> missing = dr.Unexamined(dr.Subject("host", "us"), {"kind": "unreachable"})
    >>> str(missing.subject), missing.why["kind"]
    ('host us', 'unreachable')
    """

    subject: Subject
    """What."""
    why: Mapping[str, Any]
    """The error, as docs/schema/error.json has it."""

    _made = {"subject": Subject.from_dict, "why": Values}


class Report(Document):
    """The answer to "is it all right?". Printed, it is the page that the command shows.

    >>> import dr
    >>> report = dr.check_zone("example.org", ["192.0.2.1", "192.0.2.3"])
    >>> report.verdict, report.findings[0].code, report == dr.Report.from_json(report.to_json())
    (<Verdict.FAILED: 'failed'>, 'dns.record_set_differs', True)
    """

    __slots__ = ()
    __match_args__ = ("verdict", "findings")

    @staticmethod
    def _checked(text: str) -> str:
        # Reading the verdict is what tells a report from any other JSON.
        _dr.verdict(text)
        return text

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
        figures: Mapping[str, int] = self._values.get("figures", Values())
        return figures

    def text(self, *, color: bool = False, width: int = 80) -> str:
        """The page that the command shows.

        >>> import dr
        >>> page = dr.check_zone("example.org", ["192.0.2.1", "192.0.2.3"]).text(width=100)
        >>> page.splitlines()[0]
        'CRITICAL  zone example.org  dns.record_set_differs'
        """
        return _dr.text(self._json, color, width)

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return f"<dr.Report {self.title!r}: {self.verdict}, {len(self._values['findings'])} findings>"
