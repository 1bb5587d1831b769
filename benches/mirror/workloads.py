"""The workloads T1 to T8: what is made, what changes between runs, who takes part, over which lines."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from peers import (
    CAT, DR, DR_NO_FSYNC, DR_SFTP, RCLONE, RSYNC, RSYNC_PLAIN, RSYNC_SMALL_BLOCKS, RSYNC_WHOLE_LIST, TAR, TRUE, UNISON,
    Peer,
)  # fmt: skip


@dataclass
class Sizes:
    """How large everything is."""

    files: int
    big_bytes: int
    small_files: list[int]


FULL = Sizes(100_000, 2 << 30, [10_000, 100_000, 1_000_000])
QUICK = Sizes(5_000, 128 << 20, [2_000, 20_000])


@dataclass
class Work:
    """One row of the table: the same work for everybody, over one line after the other."""

    id: str
    title: str
    lines: list[str]
    peers: list[Peer]
    # Makes the next round's difference in the source; none: everybody starts with an empty target.
    edit: Callable[[Path, int], None] | None
    first_copy: bool = False
    # Only over lines that are far away.
    far_peers: tuple[Peer, ...] = ()
    sftp: bool = False
    # What is sent teaches something for the next time: a first round is not measured.
    prime: bool = False

    def who(self, line: str) -> list[Peer]:
        return [*self.peers, *(self.far_peers if line.startswith("wan") else ())]


@dataclass
class Scene:
    """Works that go on from one source, one after the other."""

    name: str
    make: Callable[[Path], None]
    works: list[Work]


def scenes(tools: Path, sizes: Sizes) -> list[Scene]:
    def tree(task: str, place: Path, number: int) -> None:
        subprocess.run([tools / "bench-tree", task, place, str(number)], check=True)

    def website(root: Path) -> None:
        tree("website", root, sizes.files)

    def big(root: Path) -> None:
        root.mkdir()
        tree("big", root / "big", sizes.big_bytes)

    def nothing(_root: Path, _round: int) -> None:
        pass

    def edit(root: Path, number: int) -> None:
        tree("edit", root, number)

    def rename(root: Path, number: int) -> None:
        tree("rename", root, number)

    def scatter(root: Path, number: int) -> None:
        tree("scatter", root / "big", number)

    def small(files: int) -> Scene:
        def make(root: Path) -> None:
            tree("small", root, files)

        title = f"{files:,} small files, nothing changed"
        return Scene(f"small-{files}", make, [Work("T7", title, ["loop"], [DR, RSYNC, UNISON], nothing)])

    count = f"{sizes.files:,}"
    size = f"{sizes.big_bytes / (1 << 30):g} GiB"
    return [
        Scene("first", website, [
            Work("T1", f"first copy of {count} files", ["loop", "wan", "wan1g"],
                 [DR, DR_NO_FSYNC, RSYNC, RSYNC_PLAIN, TAR], None, first_copy=True),
            Work("T8", f"first copy of {count} files, SFTP", ["loop"], [DR_SFTP, RCLONE], None, first_copy=True,
                 sftp=True),
        ]),
        Scene("tree", website, [
            Work("T5", f"{count} files, nothing changed", ["loop", "wan"], [DR, RSYNC, RSYNC_PLAIN, UNISON, TRUE],
                 nothing, far_peers=(RSYNC_WHOLE_LIST,)),
            Work("T3", f"1 % of {count} files changed, added, removed, renamed", ["loop", "wan"],
                 [DR, RSYNC, RSYNC_PLAIN, UNISON], edit, far_peers=(RSYNC_WHOLE_LIST,)),
            Work("T6", f"a directory of {sizes.files // 10:,} files renamed", ["loop", "wan"], [DR, RSYNC, UNISON],
                 rename),
        ]),
        Scene("sftp", website, [
            Work("T8", f"{count} files, nothing changed, SFTP", ["loop", "wan"], [DR_SFTP, RCLONE], nothing, sftp=True),
        ]),
        Scene("first-big", big, [
            Work("T2", f"first copy of a file of {size}", ["loop", "wan", "wan1g"],
                 [DR, DR_NO_FSYNC, RSYNC, CAT], None, first_copy=True),
        ]),
        Scene("big", big, [
            Work("T4", f"20 MiB of edits and an insertion in {size}", ["loop", "wan", "wan100m"],
                 [DR, RSYNC, RSYNC_SMALL_BLOCKS], scatter, prime=True),
        ]),
        *(small(files) for files in sizes.small_files),
    ]  # fmt: skip


def copy_of(source: Path, target: Path) -> None:
    """What a peer starts with where there was a mirror before."""
    clear(target)
    target.parent.mkdir(parents=True)
    subprocess.run(["cp", "-a", source, target], check=True)


def clear(target: Path) -> bool:
    """Removes the target and what stands beside it; whether there was anything."""
    was_there = target.parent.exists()
    shutil.rmtree(target.parent, ignore_errors=True)
    return was_there
