"""From Python values to an operation of the library and back."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Iterable, Mapping, TypedDict, Union

from . import _dr
from .errors import from_record

if TYPE_CHECKING:
    from typing_extensions import Unpack as Unpack

Path = Union[str, "os.PathLike[str]"]
Span = Union[str, timedelta]


class Reach(TypedDict, total=False):
    """How hosts are reached, and where is written down what is done: keywords of every function that talks to one.

    Nothing else is looked at, neither the environment nor the home directory, and nothing is trusted that is not named.
    """

    journal: Path
    """The file in which everything that changes something is written down first."""
    estate: Mapping[str, Any]
    """The estate, as docs/schema/estate.json has it."""
    identities: Iterable[Path]
    """Private keys to log in with."""
    known_hosts: Iterable[Path]
    """The known_hosts files to trust."""
    agent: Path
    """The socket of an SSH agent."""
    agents: Mapping[str, Any]
    """Which ``dr`` serves trees on hosts: ``{"path": ...}`` there, or ``{"binary": ...}`` here, which is put on a host that has
    none; ``{"off": True}`` is SFTP only."""
    password_files: Mapping[str, Path]
    """For accounts that no key opens yet: by account (``"root@us"``), the file whose first line is the password."""


def call(
    operation: str, request: Mapping[str, Any], words: Mapping[str, Any] = {}, kind: type = Reach
) -> str:
    """The answer in JSON; raises the error as its class.

    ``words`` are the keywords that a function has in common with others, as ``kind`` names them: those of ``Reach`` go to the
    settings, the others to the request.
    """
    for word in words:
        if word not in kind.__annotations__:
            raise TypeError(f"{operation}() got an unexpected keyword argument {word!r}")
    settings = {word: value for word, value in words.items() if word in Reach.__annotations__}
    others = {word: value for word, value in words.items() if word not in settings}
    answer, fine = _dr.call(operation, _json(settings), _json({**request, **others}))
    if not fine:
        raise from_record(json.loads(answer)) from None
    return answer


def _json(values: Mapping[str, Any]) -> str:
    # A key that was not given is left out: what is the default is the library's to say.
    return json.dumps({word: value for word, value in values.items() if value is not None}, default=_plain)


def _plain(value: Any) -> Any:
    """What JSON has no form of its own for."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, timedelta):
        return f"{round(value.total_seconds())}s"
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if isinstance(value, Iterable):
        return list(value)
    raise TypeError(f"{value!r} is nothing that can be handed on")
