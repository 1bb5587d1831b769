"""Reports as values: frozen, comparable, and one ``print`` away from the page that the command shows."""

from __future__ import annotations

import json
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Mapping

from . import _dr


@dataclass(frozen=True)
class Subject:
    """What a finding or an examination is about."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be."""

    code: str
    severity: str
    subject: Subject
    message: str
    evidence: Mapping[str, str]
    remedy: str


@dataclass(frozen=True)
class Unexamined:
    """Something that could not be looked at, and why."""

    subject: Subject
    why: Mapping[str, Any]


class Report:
    """The answer to "is it all right?"."""

    __slots__ = ("_json", "_values")
    __match_args__ = ("verdict", "findings")

    _json: str
    _values: Mapping[str, Any]

    def __init__(self, text: str) -> None:
        # Reading the verdict is what tells a report from any other JSON.
        _dr.verdict(text)
        object.__setattr__(self, "_json", text)
        object.__setattr__(self, "_values", MappingProxyType(json.loads(text)))

    @classmethod
    def from_json(cls, text: str) -> Report:
        """The report that ``to_json`` wrote."""
        return cls(text)

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
    def at(self) -> str:
        """When the facts were gathered: RFC 3339, UTC."""
        return str(self._values["at"])

    @property
    def verdict(self) -> str:
        """``"ok"``, ``"degraded"`` or ``"failed"``."""
        return _dr.verdict(self._json)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is not as it should be, worst first."""
        return tuple(
            Finding(
                code=finding["code"],
                severity=finding["severity"],
                subject=Subject(**finding["subject"]),
                message=finding["message"],
                evidence=MappingProxyType(finding.get("evidence", {})),
                remedy=finding["remedy"],
            )
            for finding in self._values["findings"]
        )

    @property
    def examined(self) -> tuple[Subject, ...]:
        """What was looked at."""
        return tuple(Subject(**subject) for subject in self._values["examined"])

    @property
    def unexamined(self) -> tuple[Unexamined, ...]:
        """What could not be looked at."""
        return tuple(
            Unexamined(Subject(**missing["subject"]), MappingProxyType(missing["why"]))
            for missing in self._values["unexamined"]
        )

    @property
    def figures(self) -> Mapping[str, int]:
        """Counts, bytes, milliseconds; the unit is the last word of the name."""
        return MappingProxyType(self._values.get("figures", {}))

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
        return hash((self.title, self.at, len(self._json)))

    def __reduce__(self) -> tuple[Any, ...]:
        return (Report, (self._json,))
