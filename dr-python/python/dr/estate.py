"""What you own, as a value: hosts, sites, zones and policies (docs/estate.md)."""

from __future__ import annotations

import json
import os
from typing import Any, Mapping

from . import _dr
from .errors import from_record
from .values import Path, Values, plain


class Estate(Mapping[str, Any]):
    """What you own, from a file, from a mapping, or written down in code. Every mistake in it is told at once.

    >>> estate = Estate(hosts={"uk": {"ssh": "root@uk.example.net"}, "us": {"ssh": "root@us.example.net"}},
    ...                 sites={"shop": {"home": "uk", "standby": "us", "trees": [{"path": "/var/www/shop"}]}})
    >>> list(estate["sites"]), estate["sites"]["shop"]["standby"]
    (['shop'], 'us')
    >>> Estate(hosts={"uk": {"shs": "root@uk"}})
    Traceback (most recent call last):
    ...
    dr.errors.UsageError: could not use the estate: there is a mistake in it
    1:19: hosts.uk.shs: unknown key; did you mean 'ssh'?
    """

    __slots__ = ("_json", "_values")
    _json: str
    _values: Values

    def __init__(self, values: Mapping[str, Any] = {}, **parts: Any) -> None:
        self._read(_dr.estate(json.dumps(plain({**values, **parts})), "json"))

    @classmethod
    def from_file(cls, path: Path) -> Estate:
        """The estate in a file: JSON if its name ends in ``.json``, else TOML."""
        return cls.__new__(cls)._read(_dr.estate_file(os.fspath(path)))

    @classmethod
    def from_toml(cls, text: str) -> Estate:
        """The estate in a TOML text.

        >>> Estate.from_toml("[hosts.uk]\\nssh = 'root@uk.example.net'")
        <dr.Estate: 1 hosts, 0 sites, 0 zones>
        """
        return cls.__new__(cls)._read(_dr.estate(text, "toml"))

    @classmethod
    def from_json(cls, text: str) -> Estate:
        """The estate that ``to_json`` wrote."""
        return cls.__new__(cls)._read(_dr.estate(text, "json"))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Estate:
        """The estate that ``to_dict`` wrote."""
        return cls(values)

    def to_json(self) -> str:
        """As JSON, with everything said that is usually left to a default."""
        return self._json

    def to_dict(self) -> dict[str, Any]:
        """As a dict of its own."""
        values: dict[str, Any] = json.loads(self._json)
        return values

    def _read(self, said: tuple[str, bool]) -> Estate:
        text, fine = said
        if not fine:
            raise from_record(json.loads(text)) from None
        object.__setattr__(self, "_json", text)
        object.__setattr__(self, "_values", Values(json.loads(text)))
        return self

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Any:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        counts = ", ".join(f"{len(self._values.get(name, ()))} {name}" for name in ("hosts", "sites", "zones"))
        return f"<dr.Estate: {counts}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Estate) and self._json == other._json

    def __hash__(self) -> int:
        return hash(self._json)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("an estate cannot be changed")

    def __reduce__(self) -> tuple[Any, ...]:
        return (Estate.from_json, (self._json,))
