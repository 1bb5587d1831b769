"""One base class, one class for each kind of error; where Python has a built-in for it, the class is one of those too.

``code`` is the number that the ``dr`` command exits with and that the C interface returns.
"""

from __future__ import annotations

import errno
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

    def __init__(self, message: str = "", *, code: int = 99, hint: str | None = None, subject: str = "") -> None:
        super().__init__(message)
        self.code = code
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
    """The caller's words are wrong: an argument, an estate, a name that is no name."""

    kind = "usage"


class RefusedError(DrError):
    """A guard refused: doing it would risk what it protects."""

    kind = "refused"


class ConflictError(DrError):
    """The world is no longer what the plan was made for; nothing was overwritten."""

    kind = "conflict"


class UnreachableError(DrError, ConnectionError):
    """The other side could not be reached, or the connection was lost."""

    kind = "unreachable"


class HostKeyError(DrError):
    """The host's key is unknown, changed or revoked."""

    kind = "host_key"


class AuthenticationError(DrError, PermissionError):
    """The other side refused who we say we are."""

    kind = "authentication"


class LockedError(DrError, BlockingIOError):
    """Somebody else holds the lock."""

    kind = "locked"


class CancelledError(DrError):
    """The caller cancelled."""

    kind = "cancelled"


class DrTimeoutError(DrError, TimeoutError):
    """It took longer than allowed."""

    kind = "timeout"


class NotFoundError(DrError, FileNotFoundError):
    """What was named does not exist."""

    kind = "not_found"


class AlreadyExistsError(DrError, FileExistsError):
    """It exists already and must not be overwritten."""

    kind = "already_exists"


class PermissionDeniedError(DrError, PermissionError):
    """The operating system or the server forbids it."""

    kind = "permission_denied"


class NoSpaceError(DrError, OSError):
    """No space or no inodes left."""

    kind = "no_space"


class ReadOnlyError(DrError, OSError):
    """The file system or the journal is read-only."""

    kind = "read_only"


class UnsupportedError(DrError):
    """The other side, or this build, cannot do that."""

    kind = "unsupported"


class ProtocolError(DrError):
    """The other side broke its protocol."""

    kind = "protocol"


class JournalError(DrError):
    """The journal could not be written or read."""

    kind = "journal"


class CorruptError(DrError):
    """Stored data is damaged."""

    kind = "corrupt"


class OutcomeUnknownError(DrError):
    """It may or may not have happened, and reading back did not tell."""

    kind = "outcome_unknown"


class BusyError(DrError, OSError):
    """The address or the resource is in use."""

    kind = "busy"


class RejectedError(DrError):
    """The server understood, and said no."""

    kind = "rejected"


class IoError(DrError, OSError):
    """Some other failure of input or output."""

    kind = "io"


class InternalError(DrError):
    """A defect in dr itself."""

    kind = "internal"


CLASSES: dict[str, type[DrError]] = {cls.kind: cls for cls in DrError.__subclasses__()}


def from_record(record: Mapping[str, Any]) -> DrError:
    """The error for a record as it stands in JSON."""
    # A kind that a newer library knows is still an error.
    cls = CLASSES.get(record["kind"], DrError)
    error = cls(record["message"], code=record["code"], hint=record.get("hint"), subject=record["operation"])
    error.kind = record["kind"]
    return error
