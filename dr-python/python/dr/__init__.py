"""Disaster recovery for people who run two or more web servers.

>>> import dr
>>> report = dr.check_zone("example.org", {"ns1": "192.0.2.1", "ns2": "192.0.2.2"})  # doctest: +SKIP
>>> print(report)  # doctest: +SKIP
"""

from ._dr import operations, version
from .dns import RecordsChanged, change_records, check_zone
from .errors import (
    AlreadyExistsError,
    AuthenticationError,
    BusyError,
    CancelledError,
    ConflictError,
    CorruptError,
    DrError,
    DrTimeoutError,
    HostKeyError,
    InternalError,
    IoError,
    JournalError,
    LockedError,
    NoSpaceError,
    NotFoundError,
    OutcomeUnknownError,
    PermissionDeniedError,
    ProtocolError,
    ReadOnlyError,
    RefusedError,
    RejectedError,
    UnreachableError,
    UnsupportedError,
    UsageError,
)
from .mirrors import (
    Generation,
    Mirrored,
    MirroredSites,
    generations,
    mirror,
    mirror_sites,
    roll_back_mirror,
    verify_mirror,
)
from .report import Finding, Report, Subject, Unexamined

__version__ = version()

__all__ = [
    "AlreadyExistsError",
    "AuthenticationError",
    "BusyError",
    "CancelledError",
    "ConflictError",
    "CorruptError",
    "DrError",
    "DrTimeoutError",
    "Finding",
    "Generation",
    "HostKeyError",
    "InternalError",
    "IoError",
    "JournalError",
    "LockedError",
    "Mirrored",
    "MirroredSites",
    "NoSpaceError",
    "NotFoundError",
    "OutcomeUnknownError",
    "PermissionDeniedError",
    "ProtocolError",
    "ReadOnlyError",
    "RecordsChanged",
    "RefusedError",
    "RejectedError",
    "Report",
    "Subject",
    "Unexamined",
    "UnreachableError",
    "UnsupportedError",
    "UsageError",
    "__version__",
    "change_records",
    "check_zone",
    "generations",
    "mirror",
    "mirror_sites",
    "operations",
    "roll_back_mirror",
    "verify_mirror",
    "version",
]
