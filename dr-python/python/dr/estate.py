"""What you own, as a value: hosts, sites, zones and policies (docs/estate.md)."""

from __future__ import annotations

import os
from typing import Any, Mapping

from . import _dr
from .errors import answered
from .values import Document, Path


class Estate(Document):
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

    __slots__ = ()

    def __init__(self, values: Mapping[str, Any] = {}, **parts: Any) -> None:
        super().__init__({**values, **parts})

    @classmethod
    def from_file(cls, path: Path) -> Estate:
        """The estate in a file: JSON if its name ends in ``.json``, else TOML.

        >>> import dr, pathlib
        >>> size = pathlib.Path("dr.toml").write_text("[hosts.uk]\\nssh = 'root@uk.example.net'")
        >>> dr.Estate.from_file("dr.toml")
        <dr.Estate: 1 hosts, 0 sites, 0 zones>
        """
        return cls.__new__(cls)._read(answered(_dr.estate_file(os.fspath(path))))

    @classmethod
    def from_toml(cls, text: str) -> Estate:
        """The estate in a TOML text.

        >>> Estate.from_toml("[hosts.uk]\\nssh = 'root@uk.example.net'")
        <dr.Estate: 1 hosts, 0 sites, 0 zones>
        """
        return cls.__new__(cls)._read(answered(_dr.estate(text, "toml")))

    @staticmethod
    def _checked(text: str) -> str:
        # Everything is said in it that is usually left to a default.
        return answered(_dr.estate(text, "json"))

    def __repr__(self) -> str:
        counts = ", ".join(f"{len(self.get(name, ()))} {name}" for name in ("hosts", "sites", "zones"))
        return f"<dr.Estate: {counts}>"
