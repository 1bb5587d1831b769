"""What hosting panels told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Mapping

from ._calls import Reach, call
from .report import Report
from .values import Answer, Path

if TYPE_CHECKING:
    from ._calls import Unpack


@dataclass(frozen=True)
class HooksWorkedOff(Answer):
    """What panels told, and what became of it.

    >>> import dr
    >>> done = dr.work_off_hooks("hooks", estate=dr.Estate.from_file("dr.toml"), journal="journal.db")
    >>> done.told, done.left
    (0, 0)
    """

    told: int
    """How often something was told."""
    due: Mapping[str, Any]
    """The ``sites`` to mirror, the ``zones`` to check, and ``unknown`` domains."""
    sites: Mapping[str, Mapping[str, Any]]
    """What became of each site, as in ``MirroredSites``."""
    left: int
    """How much of it stays, to be tried again."""
    report: Report
    """All that was found."""

    _made = {"report": Report.from_dict}


def work_off_hooks(
    directory: Path, *, dry_run: bool = False, by: str | None = None, **reach: Unpack[Reach]
) -> HooksWorkedOff:
    """Mirror the sites and check the zones of the ``estate`` that hosting panels told ``dr hook`` of, each once.

    ``directory`` is where the hooks put it: ``/var/lib/dr/hooks``. What fails stays there for the next time.

    >>> import dr
    >>> done = dr.work_off_hooks("hooks", dry_run=True, estate=dr.Estate.from_file("dr.toml"))
    >>> done.due["sites"], done.report.verdict
    ((), <Verdict.OK: 'ok'>)
    """
    request = {"directory": directory, "dry_run": dry_run, "by": by}
    return HooksWorkedOff.from_json(call("work_off_hooks", request, reach))
