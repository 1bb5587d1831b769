"""From Python values to an operation of the library and back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Iterable, Mapping, Optional, TypedDict, Union

from ._waiting import Progress, wait, wait_async
from .errors import answered
from .estate import Estate
from .values import CancelToken, Path, plain

if TYPE_CHECKING:
    from typing_extensions import Unpack as Unpack


class Watch(TypedDict, total=False):
    """How a call is followed and stopped: keywords of every function that takes its time.

    >>> import dr
    >>> heard = []
    >>> watch: dr.Watch = {"progress": heard.append, "cancel": dr.CancelToken()}
    >>> done = dr.mirror("/var/www/shop", "/mnt/backup/shop", journal="journal.db", **watch)
    >>> heard[-1].kind
    'finished'
    """

    progress: Optional[Progress]
    """Called with each ``Event``, on the thread or in the task that called. What it raises stops the work and comes out."""
    cancel: Optional[CancelToken]
    """Stops the call from another thread."""


class Hosts(Watch, total=False):
    """How hosts are reached, and where is written down what is done.

    Nothing else is looked at, neither the environment nor the home directory, and nothing is trusted that is not named.

    >>> import dr
    >>> hosts: dr.Hosts = {"identities": ["id"], "known_hosts": ["known_hosts"], "journal": "journal.db"}
    >>> dr.verify_key("id.pub", "root@us.example.net", **hosts).verdict
    <Verdict.OK: 'ok'>
    """

    journal: Path
    """The file in which everything that changes something is written down first."""
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


class Reach(Hosts, total=False):
    """The same, and what you own: keywords of every function that talks to hosts.

    >>> import dr
    >>> reach: dr.Reach = {"estate": dr.Estate.from_file("dr.toml"), "journal": "journal.db"}
    >>> dr.failover_audit(site="shop", **reach).moves
    ()
    """

    estate: Union[Estate, Mapping[str, Any]]
    """What you own: hosts, sites, zones, policies."""


def call(operation: str, request: Mapping[str, Any], words: Mapping[str, Any] = {}, kind: type = Reach) -> str:
    """The answer in JSON; raises the error as its class.

    ``words`` are the keywords that a function has in common with others, as ``kind`` names them: those of ``Watch`` are for whoever
    waits, those of ``Reach`` go to the settings, the others to the request.
    """
    return answered(wait(*_asked(operation, request, words, kind)))


async def call_async(operation: str, request: Mapping[str, Any], words: Mapping[str, Any] = {}, kind: type = Reach) -> str:
    """The same for a coroutine."""
    return answered(await wait_async(*_asked(operation, request, words, kind)))


def call_json(operation: str, request: str = "{}", settings: str = "", *, progress: Progress | None = None) -> str:
    """Any operation by its name, with JSON in and out as docs/PARITY.md and docs/schema have it.

    >>> import dr
    >>> dr.call_json("chek_zone")
    Traceback (most recent call last):
    ...
    dr.errors.UsageError: could not call 'chek_zone': there is no such operation
    """
    return answered(wait(operation, settings, request, progress, None))


def _asked(
    operation: str, request: Mapping[str, Any], words: Mapping[str, Any], kind: type
) -> tuple[str, str, str, Progress | None, CancelToken | None]:
    known = kind.__annotations__
    for word in words:
        if word not in known:
            raise TypeError(f"{operation}() got an unexpected keyword argument {word!r}")
    settings: dict[str, Any] = {}
    others = dict(request)
    for word, value in words.items():
        if word in Watch.__annotations__:
            continue
        (settings if word in Reach.__annotations__ else others)[word] = value
    progress, cancel = words.get("progress"), words.get("cancel")
    if progress is not None and not callable(progress):
        raise TypeError(f"progress is called with events, and {progress!r} cannot be called")
    return operation, _json(settings), _json(others), progress, cancel


def _json(values: Mapping[str, Any]) -> str:
    # A key that was not given is left out: what is the default is the library's to say.
    return json.dumps({word: plain(value) for word, value in values.items() if value is not None})
