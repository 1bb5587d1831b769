"""Mirrors."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Iterable, Mapping, Union

from ._calls import call
from .report import Report

Path = Union[str, "os.PathLike[str]"]


@dataclass(frozen=True)
class Mirrored:
    """What a mirror did, or would do."""

    changed: bool
    """Whether anything was, or with ``dry_run`` would be, changed."""
    summary: Mapping[str, int]
    """``created``, ``updated``, ``metadata_only``, ``deleted``, ``unchanged`` paths, and ``bytes`` to move."""
    report: Report
    """What could not be read or carried, and what was found on the way."""
    run: str | None
    """Which run of the journal it was; none if nothing was done."""
    outcome: str | None
    """How that run ended: ``"new"``, ``"new_degraded"``, ``"old"`` or ``"stopped"``."""
    plan: Mapping[str, Any] | None
    """The plan, with ``dry_run``."""

    @classmethod
    def _of(cls, answer: Mapping[str, Any]) -> Mirrored:
        return cls(
            changed=answer["changed"],
            summary=MappingProxyType(answer["summary"]),
            report=Report(json.dumps(answer["report"])),
            run=answer.get("run"),
            outcome=answer.get("outcome"),
            plan=answer.get("plan"),
        )


def mirror(
    source: Path,
    target: Path,
    *,
    dry_run: bool = False,
    journal: Path | None = None,
    exclude: Iterable[str] = (),
    delete: bool = True,
    checksum: bool = False,
    max_delete: Mapping[str, int] | None = None,
    identities: Iterable[Path] = (),
    known_hosts: Iterable[Path] = (),
    agent: Path | None = None,
    by: str | None = None,
) -> Mirrored:
    """Make ``target`` like ``source``: a path here, ``user@host:path`` or ``ssh://user@host:port/path``.

    Readers of the target see every file whole, old or new. A mirror that would delete more than ``max_delete`` allows
    (``{"percent": 10, "files": 100}``), or whose source was emptied, is refused with ``RefusedError``.

    What changes something is written down first: ``journal`` names the file, and is needed unless ``dry_run`` is set. A host is
    trusted if its key stands in one of ``known_hosts``; ``identities`` are private keys, ``agent`` is an SSH agent's socket.
    Ctrl-C ends the call; nothing half-written becomes visible, and the next mirror goes on.
    """
    request = {
        "source": os.fspath(source),
        "target": os.fspath(target),
        "dry_run": dry_run,
        "exclude": list(exclude),
        "delete": delete,
        "checksum": checksum,
        "max_delete": None if max_delete is None else dict(max_delete),
        "by": by,
    }
    settings = {
        "journal": None if journal is None else os.fspath(journal),
        "identities": [os.fspath(path) for path in identities],
        "known_hosts": [os.fspath(path) for path in known_hosts],
        "agent": None if agent is None else os.fspath(agent),
    }
    return Mirrored._of(json.loads(call("mirror", request, settings)))
