"""What uniffi makes of libdr for Python, held against what the page promises: python3 checks.py, with the module on the path."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "python"))

import dr_toolkit as dr
import vectors
from nameserver import silent

CHECKS = []
# A step that takes as long as nobody stops it.
PAUSE = {"step": {"pause": {"span": "1h", "why": "to be stopped"}}, "need": "needed", "title": "wait"}


def check(function):
    CHECKS.append(function)
    return function


def settled(condition, seconds=20.0) -> bool:
    """Whether it becomes true."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


def threads() -> int:
    """The library's own threads."""

    def is_ours(name: Path) -> bool:
        try:
            return name.read_text().strip() == "dr"
        except OSError:
            return False

    return sum(is_ours(name) for name in Path("/proc/self/task").glob("*/comm"))


class Collector(dr.Listener):
    def __init__(self, throws=None):
        self.events, self.where, self.throws = [], set(), throws

    def happened(self, event):
        self.events.append(event)
        self.where.add(threading.get_ident())
        if self.throws is not None:
            raise self.throws


async def failed(work) -> dr.DrError.Failed:
    try:
        await work
    except dr.DrError.Failed as error:
        return error
    raise AssertionError("nothing was raised")


@check
def every_vector_holds():
    def call(operation, settings, request):
        try:
            toolkit = dr.Toolkit.from_json(settings)
            return "answer", asyncio.run(toolkit.call(operation, request))
        except dr.DrError.Failed as error:
            said = {"kind": error.kind.name.lower(), "code": error.code, "operation": error.subject, "message": error.reason}
            return "error", json.dumps(said if error.hint is None else {**said, "hint": error.hint})

    print(vectors.run(call), "vectors")


@check
async def a_mirror_with_its_own_types():
    with tempfile.TemporaryDirectory() as place:
        source, target = f"{place}/site", f"{place}/copy"
        Path(source).mkdir()
        Path(source, "ünï").write_text("one")
        toolkit = dr.Toolkit(dr.ToolkitSettings(journal=f"{place}/journal.db"))
        words = dict(source=source, target=target, fsync=dr.Fsync.ONCE, compress=dr.Compress.AUTO)
        listener = Collector()
        planned = await toolkit.mirror(dr.MirrorTrees(**words, dry_run=True))
        assert planned.changed and planned.summary.created == 2 and not Path(target).exists()
        done = await toolkit.apply_plan(dr.ApplyPlan(plan=planned.plan, by="ann"), listener)
        assert listener.events[0].is_plan_recorded() and listener.events[0].by == "ann", listener.events
        assert listener.events[-1].is_finished() and listener.where == {threading.get_ident()}
        assert done.outcome == dr.Outcome.NEW and Path(target, "ünï").read_text() == "one"
        again = await toolkit.mirror(dr.MirrorTrees(**words))
        assert not again.changed and again.run is None
        [run] = (await toolkit.list_runs(dr.ListRuns())).runs
        assert run.run == done.run and run.outcome == dr.Outcome.NEW
        report = await toolkit.verify_mirror(dr.MirrorTrees(**words))
        assert report.findings == []


@check
async def errors_say_everything():
    toolkit = dr.Toolkit()
    error = await failed(toolkit.failover(dr.FailOver(site="shop")))
    assert (error.kind, error.code, error.retryable) == (dr.ErrorKind.NOT_FOUND, 18, False)
    assert error.subject and error.reason
    error = await failed(toolkit.call("chek_zone", "{}"))
    assert error.kind == dr.ErrorKind.USAGE and error.hint.startswith("there are check_zone")
    # What no type can tell apart from what is right is said by the library, and as its own error.
    error = await failed(toolkit.check_zone(dr.CheckZone(zone="exa mple.org", depth=dr.Depth.RECORDS)))
    assert error.kind == dr.ErrorKind.USAGE and "exa mple" in error.reason, error
    for settings in ['{"jornal": "x"}', "nonsense", '{"estate": {"polici": {}}}']:
        try:
            dr.Toolkit.from_json(settings)
        except dr.DrError.Failed as why:
            assert why.kind == dr.ErrorKind.USAGE
        else:
            raise AssertionError(settings)
    try:
        dr.Toolkit.from_estate_file("/nowhere/dr.toml")
    except dr.DrError.Failed as why:
        assert why.kind == dr.ErrorKind.NOT_FOUND
    error = await failed(toolkit.call("list_runs", "\0" * 1000))
    assert error.kind == dr.ErrorKind.USAGE
    for wrong in (7, None, b"list_runs"):
        try:
            await toolkit.call(wrong, "{}")
        except TypeError:
            continue
        raise AssertionError(wrong)


@check
async def calls_are_stopped_by_all_means():
    quiet, address = silent()
    toolkit = dr.Toolkit()
    request = dr.CheckZone(zone="example.org", servers=[f"ns1={address}"], depth=dr.Depth.RECORDS)
    # By a token, from another thread.
    token = dr.CancelToken()
    threading.Timer(0.1, token.cancel).start()
    error = await failed(toolkit.check_zone(request, None, token))
    assert error.kind == dr.ErrorKind.CANCELLED and token.is_cancelled() and error.retryable
    # By a callback, whatever it raises.
    for throws, said in [(dr.Stop.Asked(), "asked"), (RuntimeError("enough"), "enough")]:
        with tempfile.TemporaryDirectory() as place:
            own = dr.Toolkit(dr.ToolkitSettings(journal=f"{place}/journal.db"))
            plan = {"title": "wait", "at": "2026-11-22T03:00:00Z", "on_failure": "stop", "steps": [PAUSE]}
            listener = Collector(throws)
            error = await failed(own.apply_plan(dr.ApplyPlan(plan=json.dumps(plan)), listener))
            assert error.kind == dr.ErrorKind.CANCELLED and said in error.reason, error
            assert len(listener.events) == 1, "nothing more is told to whoever wants no more"
    # By the task, and by a time limit: the work ends, and nobody is told anything any more.
    listener = Collector()
    task = asyncio.ensure_future(toolkit.check_zone(request, listener))
    await asyncio.sleep(0.1)
    task.cancel()
    try:
        await task
        raise AssertionError("it was cancelled")
    except asyncio.CancelledError:
        heard = len(listener.events)
    try:
        await asyncio.wait_for(toolkit.check_zone(request, listener), 0.1)
        raise AssertionError("it took too long")
    except asyncio.TimeoutError:
        pass
    heard = len(listener.events)
    assert settled(lambda: threads() == 0), "the work goes on though nobody waits"
    await asyncio.sleep(0.05)
    assert len(listener.events) == heard
    quiet.close()


@check
async def many_at_once():
    toolkit = dr.Toolkit()
    answers = await asyncio.gather(*(toolkit.call("list_runs", "{}") for _ in range(50)))
    assert set(answers) == {'{"runs":[]}'}


@check
def scripts_may_end_after_an_await():
    script = """if True:
        import asyncio, dr_toolkit

        async def main():
            for _ in range(50):
                await dr_toolkit.Toolkit().call("list_runs", "{}")

        asyncio.run(main())
    """
    for _ in range(10):
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
        assert done.returncode == 0, done


@check
async def nothing_is_kept():
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1])

    async def some(count):
        toolkit = dr.Toolkit()
        for number in range(count):
            if number % 2:
                await toolkit.list_runs(dr.ListRuns())
            else:
                await failed(toolkit.call("list_runs", "7"))

    await some(300)
    before = resident()
    await some(3000)
    grown = (resident() - before) * 4
    assert grown < 4096, f"{grown} KB"


def main() -> int:
    for function in CHECKS:
        done = function()
        if asyncio.iscoroutine(done):
            asyncio.run(done)
        print("ok     ", function.__name__.replace("_", " "))
    return 0


if __name__ == "__main__":
    sys.exit(main())
