"""One base class, one class for each kind of error; where Python has a built-in for it, the class is one of those too.

``code`` is the number that the ``dr`` command exits with and that the C interface returns.
"""

from __future__ import annotations

import errno
import json
from typing import Any, Mapping

from . import _dr

ERRNO = {
    "no_space": errno.ENOSPC,
    "read_only": errno.EROFS,
    "busy": errno.EADDRINUSE,
    "not_found": errno.ENOENT,
    "already_exists": errno.EEXIST,
    "permission_denied": errno.EACCES,
    "io": errno.EIO,
}
CODES = {kind: code for kind, code, _ in _dr.kinds()}
RETRYABLE = {kind for kind, _, again in _dr.kinds() if again}


class DrError(Exception):
    """Something could not be done. Nothing was lost, and ``hint`` says what to do.

    >>> import dr
    >>> try:
    ...     dr.check_zone("exa mple.org", ["192.0.2.1"])
    ... except dr.DrError as error:
    ...     error.kind, error.code, error.retryable, isinstance(error, ValueError)
    ('usage', 2, False, True)
    """

    kind: str = "internal"
    """What sort of failure it was, in a word."""
    code: int
    """The number of that kind: what the command exits with, and what C returns."""
    hint: str | None
    """What to do about it, if anything is known."""
    subject: str
    """What could not be done, and to what: ``"connect to us.example.net:22"``."""

    def __init__(self, message: str = "", *, code: int | None = None, hint: str | None = None, subject: str = "") -> None:
        super().__init__(message)
        self.code = CODES[self.kind] if code is None else code
        self.hint = hint
        self.subject = subject
        # OSError has a number of its own.
        if isinstance(self, OSError) and self.errno is None:
            setattr(self, "errno", ERRNO.get(self.kind))

    @property
    def retryable(self) -> bool:
        """Whether the same call may succeed later, with nothing changed."""
        return self.kind in RETRYABLE

    def __str__(self) -> str:
        # OSError would write its own.
        text = str(self.args[0]) if self.args else ""
        return f"could not {self.subject}: {text}" if self.subject else text

    def __reduce__(self) -> tuple[Any, ...]:
        return (_restored, (type(self), self.args[0] if self.args else "", self.code, self.hint, self.subject))


def _restored(cls: type[DrError], message: str, code: int, hint: str | None, subject: str) -> DrError:
    return cls(message, code=code, hint=hint, subject=subject)


class UsageError(DrError, ValueError):
    """The caller's words are wrong: an argument, an estate, a name that is no name.

    >>> import dr
    >>> dr.check_zone("exa mple.org")
    Traceback (most recent call last):
    ...
    dr.errors.UsageError: could not ...
    """

    kind = "usage"


class RefusedError(DrError):
    """A guard refused: doing it would risk what it protects.

    >>> import dr
    >>> dr.certify_key("id.pub", "ca", "user", [])
    Traceback (most recent call last):
    ...
    dr.errors.RefusedError: could not ...
    """

    kind = "refused"


class ConflictError(DrError):
    """The world is no longer what the plan was made for; nothing was overwritten.

    >>> import dr
    >>> dr.ConflictError("somebody changed it meanwhile", subject="change www.example.org A").retryable
    False
    """

    kind = "conflict"


class UnreachableError(DrError, ConnectionError):
    """The other side could not be reached, or the connection was lost.

    >>> import dr
    >>> dr.lock_down("root@127.0.0.1:9", dry_run=True)
    Traceback (most recent call last):
    ...
    dr.errors.UnreachableError: could not ...
    """

    kind = "unreachable"


class HostKeyError(DrError):
    """The host's key is unknown, changed or revoked.

    >>> import dr
    >>> dr.verify_key("id.pub", "root@us.example.net", identities=["id"])
    Traceback (most recent call last):
    ...
    dr.errors.HostKeyError: could not ...
    """

    kind = "host_key"


class AuthenticationError(DrError, PermissionError):
    """The other side refused who we say we are.

    >>> import dr
    >>> dr.install_key("new.pub", "root@us.example.net", identities=["stranger"], known_hosts=["known_hosts"], dry_run=True)
    Traceback (most recent call last):
    ...
    dr.errors.AuthenticationError: could not ...
    """

    kind = "authentication"


class LockedError(DrError, BlockingIOError):
    """Somebody else holds the lock.

    >>> import dr
    >>> error = dr.LockedError("process 4711 holds it", subject="open journal.db")
    >>> isinstance(error, BlockingIOError), error.retryable
    (True, True)
    """

    kind = "locked"


class CancelledError(DrError):
    """The caller cancelled.

    >>> import dr
    >>> dr.CancelledError("it was cancelled").retryable
    True
    """

    kind = "cancelled"


class DrTimeoutError(DrError, TimeoutError):
    """It took longer than allowed.

    >>> import dr
    >>> error = dr.DrTimeoutError("nothing came for 30 s", subject="read from us.example.net:22")
    >>> isinstance(error, TimeoutError), error.retryable
    (True, True)
    """

    kind = "timeout"


class NotFoundError(DrError, FileNotFoundError):
    """What was named does not exist.

    >>> import dr
    >>> dr.Estate.from_file("none.toml")
    Traceback (most recent call last):
    ...
    dr.errors.NotFoundError: could not ...
    """

    kind = "not_found"


class AlreadyExistsError(DrError, FileExistsError):
    """It exists already and must not be overwritten.

    >>> import dr
    >>> dr.generate_key("id", no_passphrase=True)
    Traceback (most recent call last):
    ...
    dr.errors.AlreadyExistsError: could not ...
    """

    kind = "already_exists"


class PermissionDeniedError(DrError, PermissionError):
    """The operating system or the server forbids it.

    >>> import dr
    >>> error = dr.PermissionDeniedError("permission denied", subject="read /etc/shadow")
    >>> isinstance(error, PermissionError), error.errno
    (True, 13)
    """

    kind = "permission_denied"


class NoSpaceError(DrError, OSError):
    """No space or no inodes left.

    >>> import dr
    >>> error = dr.NoSpaceError("no space left on device", subject="write /srv/shop/page")
    >>> isinstance(error, OSError), error.errno
    (True, 28)
    """

    kind = "no_space"


class ReadOnlyError(DrError, OSError):
    """The file system or the journal is read-only.

    >>> import dr
    >>> dr.ReadOnlyError("read-only file system").errno
    30
    """

    kind = "read_only"


class UnsupportedError(DrError):
    """The other side, or this build, cannot do that.

    >>> import dr
    >>> dr.UnsupportedError("the server has no SFTP").code == dr.UsageError("no zone").code
    False
    """

    kind = "unsupported"


class ProtocolError(DrError):
    """The other side broke its protocol.

    >>> import dr
    >>> str(dr.ProtocolError("the reply has no end", subject="ask 192.0.2.1"))
    'could not ask 192.0.2.1: the reply has no end'
    """

    kind = "protocol"


class JournalError(DrError):
    """The journal could not be written or read.

    >>> import dr
    >>> issubclass(dr.JournalError, OSError), dr.JournalError("it cannot be written").retryable
    (False, False)
    """

    kind = "journal"


class CorruptError(DrError):
    """Stored data is damaged.

    >>> import dr, pathlib
    >>> size = pathlib.Path("journal.db").write_text("this is no journal")
    >>> dr.list_runs(journal="journal.db")
    Traceback (most recent call last):
    ...
    dr.errors.CorruptError: could not open the journal journal.db: file is not a database
    """

    kind = "corrupt"


class OutcomeUnknownError(DrError):
    """It may or may not have happened, and reading back did not tell.

    >>> import dr
    >>> issubclass(dr.OutcomeUnknownError, dr.DrError), issubclass(dr.OutcomeUnknownError, OSError)
    (True, False)
    """

    kind = "outcome_unknown"


class BusyError(DrError, OSError):
    """The address or the resource is in use.

    >>> import dr
    >>> dr.BusyError("somebody listens there", subject="listen at 127.0.0.1:53").errno
    98
    """

    kind = "busy"


class RejectedError(DrError):
    """The server understood, and said no.

    >>> import dr
    >>> dr.RejectedError("REFUSED", subject="update example.org at 192.0.2.1").retryable
    False
    """

    kind = "rejected"


class IoError(DrError, OSError):
    """Some other failure of input or output.

    >>> import dr
    >>> dr.IoError("the disk does not answer").errno
    5
    """

    kind = "io"


class InternalError(DrError):
    """A defect in dr itself.

    >>> import dr
    >>> isinstance(dr.InternalError("a defect"), Exception), dr.InternalError("a defect").code
    (True, 99)
    """

    kind = "internal"


CLASSES: dict[str, type[DrError]] = {cls.kind: cls for cls in DrError.__subclasses__()}


def from_record(record: Mapping[str, Any]) -> DrError:
    """The error for a record as it stands in JSON."""
    # A kind that a newer library knows is still an error.
    cls = CLASSES.get(record["kind"], DrError)
    error = cls(record["message"], code=record["code"], hint=record.get("hint"), subject=record["operation"])
    error.kind = record["kind"]
    return error


def answered(said: tuple[str, bool]) -> str:
    """An answer in JSON; or the error, which is raised."""
    text, fine = said
    if not fine:
        raise from_record(json.loads(text)) from None
    return text
