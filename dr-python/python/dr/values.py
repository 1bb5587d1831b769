"""What goes in and comes out: frozen values that compare, pickle, and are JSON whenever somebody wants JSON."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, fields
from datetime import datetime, timedelta, timezone
from enum import Enum
from typing import TYPE_CHECKING, Any, Callable, ClassVar, Iterable, Iterator, Mapping, TypeVar, Union

from ._dr import CancelToken as CancelToken

if TYPE_CHECKING:
    from typing_extensions import Self

Path = Union[str, "os.PathLike[str]"]
Span = Union[str, timedelta]
T = TypeVar("T")


class Values(Mapping[str, Any]):
    """A mapping that cannot be changed, and so can be hashed, shared and pickled.

    >>> values = Values({"created": 2, "names": ["a", "b"]})
    >>> values["created"], values["names"]
    (2, ('a', 'b'))
    >>> values == {"created": 2, "names": ("a", "b")}
    True
    """

    __slots__ = ("_values",)
    _values: dict[str, Any]

    def __init__(self, values: Mapping[str, Any] = {}) -> None:
        self._values = {name: frozen(value) for name, value in values.items()}

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return repr(self._values)

    def __hash__(self) -> int:
        return hash(frozenset(self._values.items()))


class Document(Mapping[str, Any]):
    """What is known by its JSON, and by more than its fields: an ``Estate``, a ``Plan``, a ``Report``. It cannot be changed.

    >>> import dr
    >>> estate = dr.Estate(hosts={"uk": {"ssh": "root@uk.example.net"}})
    >>> isinstance(estate, dr.Document), "hosts" in estate, len({estate, dr.Estate(estate)})
    (True, True, 1)
    """

    __slots__ = ("_json", "_values")
    _json: str
    _values: Values

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._read(json.dumps(plain(values)))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The value that ``to_json`` wrote.

        >>> import dr
        >>> dr.Estate.from_json('{"hosts": {"uk": {"ssh": "root@uk.example.net"}}}')
        <dr.Estate: 1 hosts, 0 sites, 0 zones>
        """
        return cls.__new__(cls)._read(text)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The value that ``to_dict`` wrote.

        >>> import dr
        >>> dr.Plan.from_dict({"title": "wait", "at": "2026-11-22T03:00:00Z", "on_failure": "stop", "steps": []})
        <dr.Plan 'wait': 0 steps>
        """
        return cls.__new__(cls)._read(json.dumps(plain(values)))

    def to_json(self) -> str:
        """As JSON, in the shape that docs/schema describes.

        >>> import dr
        >>> report = dr.check_zone("example.org", ["192.0.2.1", "192.0.2.3"])
        >>> dr.Report.from_json(report.to_json()) == report
        True
        """
        return self._json

    def to_dict(self) -> dict[str, Any]:
        """As a dict of its own, which may be changed.

        >>> import dr
        >>> mine = dr.Estate(hosts={"uk": {"ssh": "root@uk.example.net"}}).to_dict()
        >>> mine["hosts"]["us"] = {"ssh": "root@us.example.net"}
        >>> dr.Estate(mine)
        <dr.Estate: 2 hosts, 0 sites, 0 zones>
        """
        values: dict[str, Any] = json.loads(self._json)
        return values

    @staticmethod
    def _checked(text: str) -> str:
        """The text as it is kept; raises if it is no such document."""
        raise NotImplementedError

    def _read(self, text: str) -> Self:
        text = self._checked(text)
        object.__setattr__(self, "_json", text)
        object.__setattr__(self, "_values", Values(json.loads(text)))
        return self

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self._values == other._values

    def __hash__(self) -> int:
        return hash(self._values)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a {type(self).__name__} cannot be changed")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a {type(self).__name__} cannot be changed")

    def __reduce__(self) -> tuple[Any, ...]:
        return (_restored, (type(self), self._json))


class _Word(str, Enum):
    """A word of a fixed few. It is that text, too: ``Outcome.NEW == "new"``."""

    def __str__(self) -> str:
        return str(self.value)

    def __format__(self, form: str) -> str:
        return format(str(self.value), form)


class _Grade(_Word):
    """A word of a fixed few that go from well to bad, and compare as that: ``Severity.ERROR > "warning"``."""

    def __lt__(self, other: str) -> bool:
        return self._rank() < type(self)(other)._rank()

    def __le__(self, other: str) -> bool:
        return self._rank() <= type(self)(other)._rank()

    def __gt__(self, other: str) -> bool:
        return self._rank() > type(self)(other)._rank()

    def __ge__(self, other: str) -> bool:
        return self._rank() >= type(self)(other)._rank()

    def _rank(self) -> int:
        return list(type(self)).index(self)


class Verdict(_Grade):
    """The shortest summary of a report.

    >>> Verdict("ok") is Verdict.OK, Verdict.OK == "ok", Verdict.OK < Verdict.FAILED
    (True, True, True)
    """

    OK = "ok"
    DEGRADED = "degraded"
    FAILED = "failed"


class Severity(_Grade):
    """How bad a finding is.

    >>> Severity("error") is Severity.ERROR, Severity.ERROR == "error", f"{Severity.ERROR}"
    (True, True, 'error')
    >>> max(Severity.ERROR, Severity.CRITICAL, Severity.INFO)
    <Severity.CRITICAL: 'critical'>
    """

    INFO = "info"
    NOTICE = "notice"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


class Outcome(_Word):
    """How a run ended.

    >>> Outcome("stopped") is Outcome.STOPPED, f"it {Outcome.STOPPED}"
    (True, 'it stopped')
    """

    NEW = "new"
    """The world is wholly as planned."""
    NEW_DEGRADED = "new_degraded"
    """As planned, but steps that were wanted are missing."""
    OLD = "old"
    """Wholly as it was before."""
    STOPPED = "stopped"
    """Between the two: it waits for ``resume_run`` or ``undo_run``."""


class Answer:
    """What an operation answered: frozen, comparable, and JSON when it is asked for.

    >>> import dr
    >>> issubclass(dr.Mirrored, dr.Answer), dr.Subject("host", "uk") == dr.Subject("host", "uk")
    (True, True)
    """

    __slots__ = ()
    _made: ClassVar[Mapping[str, Callable[[Any], Any]]] = {}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The value that ``to_dict`` wrote.

        >>> import dr
        >>> dr.Subject.from_dict({"kind": "host", "name": "uk"})
        Subject(kind='host', name='uk')
        """
        try:
            given = {name: cls._field(name, values[name]) for name in cls._names() if name in values}
            return cls(**given)
        except (KeyError, TypeError, AttributeError) as why:
            raise ValueError(f"this is no {cls.__name__}: {why}") from None

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The value that ``to_json`` wrote.

        >>> import dr
        >>> dr.Subject.from_json('{"kind": "host", "name": "uk"}').name
        'uk'
        """
        values = json.loads(text)
        if not isinstance(values, dict):
            raise ValueError(f"this is no {cls.__name__}: it is no object")
        return cls.from_dict(values)

    def to_dict(self) -> dict[str, Any]:
        """As a dict of its own, of what JSON has.

        >>> import dr
        >>> dr.Subject("host", "uk").to_dict()
        {'kind': 'host', 'name': 'uk'}
        """
        values = ((name, plain(getattr(self, name))) for name in self._names())
        return {name: value for name, value in values if value is not None}

    def to_json(self) -> str:
        """As JSON, in the shape that docs/schema describes.

        >>> import dr
        >>> dr.Subject("host", "uk").to_json()
        '{"kind": "host", "name": "uk"}'
        """
        return json.dumps(self.to_dict())

    def __reduce__(self) -> tuple[Any, ...]:
        return (_restored, (type(self), self.to_json()))

    @classmethod
    def _names(cls) -> list[str]:
        return [field.name for field in fields(cls)]  # type: ignore[arg-type]

    @classmethod
    def _field(cls, name: str, value: Any) -> Any:
        make = cls._made.get(name, frozen)
        return None if value is None else make(value)


def _restored(cls: type[Answer] | type[Document], text: str) -> Answer | Document:
    return cls.from_json(text)


@dataclass(frozen=True)
class Event(Answer):
    """Something that happens while a call goes on.

    >>> event = Event.from_dict({"event": "progress", "phase": "copy", "done": 3, "total": 4, "unit": "files"})
    >>> event.kind, event.phase, event.done, event.total, event.unit, event.fraction
    ('progress', 'copy', 3, 4, 'files', 0.75)
    """

    kind: str
    """``"progress"``, ``"note"``, ``"found"``, ``"step_begun"``, ``"step_done"``, ``"step_failed"``, ...: docs/schema/event.json."""
    values: Values
    """All that the event says."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The event that ``to_dict`` wrote.

        >>> Event.from_dict({"event": "note", "message": "no agreement yet"}).message
        'no agreement yet'
        """
        return cls(kind=values["event"], values=Values(values))

    def to_dict(self) -> dict[str, Any]:
        """As a dict of its own.

        >>> Event.from_dict({"event": "note", "message": "no agreement yet"}).to_dict()
        {'event': 'note', 'message': 'no agreement yet'}
        """
        return {name: plain(value) for name, value in self.values.items()}

    @property
    def phase(self) -> str | None:
        """Of progress, what is under way: ``"scan"``, ``"copy"``, ``"ask"``."""
        return self.values.get("phase")

    @property
    def done(self) -> int | None:
        """Of progress, how much is done."""
        return self.values.get("done")

    @property
    def total(self) -> int | None:
        """Of progress, how much there is, where that is known."""
        return self.values.get("total")

    @property
    def unit(self) -> str | None:
        """Of progress, what is counted: ``"files"``, ``"bytes"``, ``"zones"``."""
        return self.values.get("unit")

    @property
    def fraction(self) -> float | None:
        """Of progress, from 0 to 1, where the whole is known."""
        return min(self.done / self.total, 1.0) if self.done is not None and self.total else None

    @property
    def message(self) -> str | None:
        """Of a note or a finding, what it says."""
        return self.values.get("message")

    @property
    def step(self) -> int | None:
        """Of a step, its number, from 0."""
        return self.values.get("step")


def instant(text: str | datetime) -> datetime:
    """A time as the library writes it, always in UTC.

    >>> instant("2026-11-22T03:00:00.5Z")
    datetime.datetime(2026, 11, 22, 3, 0, 0, 500000, tzinfo=datetime.timezone.utc)
    """
    if isinstance(text, datetime):
        return text
    whole, _, fraction = text.rstrip("Z").partition(".")
    at = datetime.strptime(whole, "%Y-%m-%dT%H:%M:%S")
    return at.replace(microsecond=int((fraction + "000000")[:6]), tzinfo=timezone.utc)


def tuple_of(make: Callable[[Any], T]) -> Callable[[Iterable[Any]], tuple[T, ...]]:
    """A maker of many out of a maker of one."""
    return lambda values: tuple(make(value) for value in values)


def frozen(value: Any) -> Any:
    """The same value, so that nobody can change it."""
    if isinstance(value, Values):
        return value
    if isinstance(value, Mapping):
        return Values(value)
    if isinstance(value, list):
        return tuple(map(frozen, value))
    return value


def plain(value: Any) -> Any:
    """The same value out of what JSON has."""
    if isinstance(value, Answer) or hasattr(value, "to_dict"):
        return value.to_dict()
    if isinstance(value, Mapping):
        return {name: plain(inner) for name, inner in value.items()}
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, timedelta):
        whole, rest = divmod(value, timedelta(seconds=1))
        return f"{value // timedelta(milliseconds=1)}ms" if rest else f"{whole}s"
    if isinstance(value, datetime):
        return _written(value)
    if isinstance(value, Iterable) and not isinstance(value, (bytes, bytearray)):
        return [plain(inner) for inner in value]
    raise TypeError(f"{type(value).__name__} is nothing that can be handed on: {value!r:.80}")


def _written(at: datetime) -> str:
    if at.tzinfo is None:
        raise ValueError(f"{at.isoformat()} has no time zone: at.astimezone() gives it that of this machine")
    text = at.astimezone(timezone.utc).replace(tzinfo=None).isoformat()
    return (text.rstrip("0") if "." in text else text) + "Z"
