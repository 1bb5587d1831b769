"""What a type checker must say of programs that use the package; never run."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import dr
from typing_extensions import assert_type


def functions(path: Path) -> None:
    done = dr.mirror(path, "root@us:/srv", journal=path, dry_run=True, exclude=["*.tmp"], winner="source")
    assert_type(done, dr.Mirrored)
    assert_type(done.outcome, "dr.Outcome | None")
    if done.plan is not None:
        assert_type(done.plan.apply(by="me", journal=path), dr.Done)
    assert_type(dr.generations(path)[0].since, datetime)
    assert_type(dr.check_zone("example.org", {"ns1": "192.0.2.1"}).findings[0].severity, dr.Severity)
    dr.rotate_key("a.pub", "b.pub", ["root@us"], grace=timedelta(hours=1), progress=lambda event: print(event.phase))
    dr.set_records("example.org", "www.@", "A", ["192.0.2.1"], estate=dr.Estate.from_file("dr.toml"), cancel=dr.CancelToken())
    dr.mirror(path, 3)  # type: ignore[arg-type]
    dr.mirror(path, path, exlude=[])  # type: ignore[call-arg]
    dr.mirror(path, path, winner="nobody")  # type: ignore[arg-type]
    done.changed = False  # type: ignore[misc]


async def coroutines(path: Path) -> None:
    assert_type(await dr.mirror_async(path, path), dr.Mirrored)
    assert_type(await dr.failover_async("shop", planned=True), dr.Done)
    assert_type(await dr.list_runs_async(journal=path), "list[dr.Run]")


def errors() -> None:
    try:
        dr.version()
    except dr.UnreachableError as error:
        assert_type(error.retryable, bool)
        assert_type(error.hint, "str | None")
        as_connection: ConnectionError = error
        print(as_connection)
