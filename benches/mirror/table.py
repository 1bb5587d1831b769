"""Samples as rows, and rows as a table for RESULTS.md."""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass, field

from lab import TITLES
from measure import Cost


@dataclass
class Row:
    """What one peer did over one line."""

    id: str
    title: str
    line: str
    peer: str
    runs: list[Cost] = field(default_factory=list)
    # The run in which bytes and memory were looked at, if it was not among those timed.
    looked: Cost | None = None

    def median(self, name: str) -> float | None:
        values = [getattr(run, name) for run in self.runs]
        if self.looked is not None and any(value is None for value in values):
            values = [getattr(self.looked, name)]
        return None if not values or None in values else statistics.median(values)

    def failure(self) -> str | None:
        looked = [self.looked] if self.looked else []
        return next((run.failure for run in [*self.runs, *looked] if run.failure), None)

    def as_json(self) -> dict:
        return asdict(self)


def seconds(value: float) -> str:
    return f"{value:.2f}" if value < 20 else f"{value:.1f}"


def size(value: float | None) -> str:
    if value is None:
        return "?"
    return f"{value / 1e6:.1f} MB" if value >= 1e6 else f"{value / 1e3:.1f} kB"


def mib(value: float | None) -> str:
    return "?" if value is None else f"{value / 1024:.0f}"


def table(rows: list[Row]) -> str:
    """Markdown. The factor says how many times as long as dr it took."""
    lines = [
        "| | work | line | who | time (least to most) | × dr | CPU s here + there | on the line | MiB here + there | runs |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        head = f"| {row.id} | {row.title} | {TITLES[row.line]} | {row.peer} |"
        if row.failure():
            lines.append(f"{head} {row.failure()} | | | | | {len(row.runs)} |".replace("\n", " "))
            continue
        if not row.runs:
            continue
        walls = [run.wall_s for run in row.runs]
        wall = statistics.median(walls)
        ours = next((other.median("wall_s") for other in rows if other.peer.startswith("dr") and other.runs
                     and (other.id, other.title, other.line) == (row.id, row.title, row.line)), None)  # fmt: skip
        factor = f"{wall / ours:.2f}" if ours else "?"
        up, down = row.median("up_bytes"), row.median("down_bytes")
        total = None if up is None or down is None else up + down
        lines.append(
            f"{head} {seconds(wall)} s ({seconds(min(walls))} to {seconds(max(walls))}) | {factor} |"
            f" {row.median('here_cpu_s'):.2f} + {row.median('there_cpu_s'):.2f} | {size(total)} |"
            f" {mib(row.median('here_kib'))} + {mib(row.median('there_kib'))} | {len(walls)} |"
        )
    return "\n".join(lines)
