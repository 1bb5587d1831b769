"""How a call behaves: awaited, followed, stopped, forked, and with the interpreter ending around it. Run on every Python there is."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dr
from checking import check, raises
from nameserver import silent

NOBODY = ["127.0.0.1:9"]
# Ends of the interpreter after awaits; the bindings that attach threads of theirs crash in a quarter to a half of them.
EXITS = int(os.environ.get("DR_EXITS", "40" if sys.argv[1:] == ["elsewhere"] else "100"))
# A machine that does seven things at once.
SOON = 20


def site(top: Path) -> tuple[Path, dict[str, Path]]:
    source = top / "source"
    source.mkdir()
    for number in range(20):
        (source / f"page{number}").write_text(str(number) * 1000)
    return source, {"journal": top / "journal.db"}


@check
def every_operation_has_its_coroutine():
    for name in dr.operations():
        for offered in (name, f"{name}_async"):
            assert offered in dr.__all__ and callable(getattr(dr, offered)), f"{offered}: DR_BLESS=1 python3 tests/python/twins.py"
        assert asyncio.iscoroutinefunction(getattr(dr, f"{name}_async")), name
        assert not asyncio.iscoroutinefunction(getattr(dr, name)), name


@check
def many_are_awaited_at_once():
    async def main():
        reports = await asyncio.gather(*(dr.check_zone_async("example.org", NOBODY) for _ in range(20)))
        assert {report.verdict for report in reports} == {"failed"}

    asyncio.run(main())


@check
def a_tree_is_mirrored_by_a_coroutine_and_the_loop_goes_on():
    with tempfile.TemporaryDirectory() as directory:
        source, reach = site(Path(directory))
        events, notes = [], contextvars.ContextVar("notes", default="")

        async def main():
            notes.set("the task's own")
            ticks = 0

            async def tick():
                nonlocal ticks
                while True:
                    await asyncio.sleep(0.001)
                    ticks += 1

            async def heard(event):
                await asyncio.sleep(0)
                events.append((event, threading.current_thread(), notes.get()))

            ticking = asyncio.create_task(tick())
            planned = await dr.mirror_async(source, Path(directory) / "target", dry_run=True)
            assert planned.plan is not None
            done = await planned.plan.apply_async(by="the tests", progress=heard, **reach)
            ticking.cancel()
            assert done.outcome is dr.Outcome.NEW and ticks, (done, ticks)

        asyncio.run(main())
        kinds = {event.kind for event, _, _ in events}
        assert kinds >= {"step_begun", "step_done", "finished"}, kinds
        assert {(thread, note) for _, thread, note in events} == {(threading.main_thread(), "the task's own")}


@check
def a_task_that_is_cancelled_or_late_stops_its_work():
    quiet, address = silent()

    async def main():
        task = asyncio.create_task(dr.check_zone_async("example.org", [address]))
        await asyncio.sleep(0.1)
        started = time.monotonic()
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            pass
        else:
            raise AssertionError("it went on")
        with raises(asyncio.TimeoutError):
            await asyncio.wait_for(dr.check_zone_async("example.org", [address]), 0.1)
        assert time.monotonic() - started < SOON

    asyncio.run(main())
    quiet.close()


@check
def another_event_loop_will_do():
    try:
        import uvloop
    except ImportError:
        # It is in the environment of the tests, not in every Python.
        assert sys.argv[1:] == ["elsewhere"]
        return
    quiet, address = silent()
    heard = []

    async def main():
        assert "uvloop" in type(asyncio.get_running_loop()).__module__
        with tempfile.TemporaryDirectory() as directory:
            source, reach = site(Path(directory))
            done = await dr.mirror_async(source, Path(directory) / "target", progress=heard.append, **reach)
        reports = await asyncio.gather(*(dr.check_zone_async("example.org", NOBODY) for _ in range(8)))
        with raises(asyncio.TimeoutError):
            await asyncio.wait_for(dr.check_zone_async("example.org", [address]), 0.1)
        return done, reports

    loop = uvloop.new_event_loop()
    done, reports = loop.run_until_complete(main())
    loop.close()
    assert done.outcome == "new" and heard[-1].kind == "finished" and len(reports) == 8
    quiet.close()


@check
def what_a_callback_raises_stops_the_work_and_comes_out():
    with tempfile.TemporaryDirectory() as directory:
        source, reach = site(Path(directory))
        heard = []

        def refuse(event):
            heard.append(event)
            assert threading.current_thread() is threading.main_thread()
            raise KeyError(event.kind)

        with raises(KeyError):
            dr.mirror(source, Path(directory) / "one", progress=refuse, **reach)
        with raises(KeyError):
            asyncio.run(dr.mirror_async(source, Path(directory) / "two", progress=refuse, **reach))
        assert len(heard) == 2, heard
        # The lock of the journal is given back, and what was begun is gone on with.
        for run in dr.list_runs(**reach):
            assert dr.resume_run(run.run, **reach).outcome in ("new", "old", "stopped")
        with raises(TypeError):
            dr.mirror(source, directory, progress=3, dry_run=True)


@check
def a_token_stops_calls_of_other_threads():
    quiet, address = silent()
    token = dr.CancelToken()
    assert not token.is_cancelled and "not cancelled" in repr(token)
    threading.Timer(0.1, token.cancel).start()
    started = time.monotonic()
    with raises(dr.CancelledError) as caught:
        while True:
            dr.check_zone("example.org", [address], cancel=token)
    assert time.monotonic() - started < SOON and token.is_cancelled
    assert (caught.error.code, caught.error.retryable) == (16, True), caught.error
    with raises(dr.CancelledError):
        # One that is done before anybody looks may have its answer.
        while True:
            asyncio.run(dr.check_zone_async("example.org", [address], cancel=token))
    with raises(TypeError):
        dr.check_zone("example.org", NOBODY, cancel=3)
    quiet.close()


@check
def control_c_comes_out_of_a_call_at_once():
    program = (
        "import dr, signal, socket, time\n"
        # Whoever runs this in the background may have it ignored.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "quiet = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); quiet.bind(('127.0.0.1', 0))\n"
        "print('ready', flush=True)\n"
        "try:\n"
        "    while True: dr.check_zone('example.org', ['127.0.0.1:%d' % quiet.getsockname()[1]])\n"
        "except KeyboardInterrupt:\n"
        "    print(time.clock_gettime(time.CLOCK_MONOTONIC), flush=True)\n"
    )
    took = []
    for _ in range(3):
        with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout.readline() == "ready\n"
            time.sleep(0.3)
            hung = threading.Timer(SOON, child.kill)
            hung.start()
            sent = time.clock_gettime(time.CLOCK_MONOTONIC)
            child.send_signal(signal.SIGINT)
            line = child.stdout.readline()
            assert child.wait() == 0
            hung.cancel()
        took.append(float(line) - sent)
    assert min(took) < 0.2, took


@check
def the_logger_hears_and_may_call_in_turn():
    with tempfile.TemporaryDirectory() as directory:
        source, reach = site(Path(directory))
        records = []

        class Handler(logging.Handler):
            def emit(self, record):
                # A handler that calls the library itself must not wait for itself.
                records.append((record, dr.version(), dr.list_runs(**reach)))

        handler, logger = Handler(), logging.getLogger("dr")
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)
        try:
            dr.mirror(source, Path(directory) / "target", **reach)
        finally:
            logger.removeHandler(handler)
            logger.setLevel(logging.NOTSET)
        heard = [record.getMessage() for record, _, _ in records]
        assert any("step_done" in line for line in heard) and records[0][0].dr_event["event"], heard
        assert {record.thread for record, _, _ in records} == {threading.get_ident()}


def exits(program: str, times: int) -> None:
    """The interpreter ends well, however often."""

    def once(_):
        return subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=120)

    with ThreadPoolExecutor(4) as pool:
        bad = [done for done in pool.map(once, range(times)) if done.returncode != 0 or done.stderr]
    assert not bad, f"{len(bad)} of {times}: {bad[0]}"


@check
def the_interpreter_ends_after_awaits():
    exits(
        "import asyncio, dr\n"
        "async def main():\n"
        "    for _ in range(20): await dr.sshfp_records_async('uk.example.net', [])\n"
        "    await asyncio.gather(*(dr.check_zone_async('example.org', ['127.0.0.1:9']) for _ in range(3)))\n"
        "asyncio.run(main())\n",
        EXITS,
    )


@check
def the_interpreter_ends_in_the_middle_of_everything():
    quiet, address = silent()
    begun = f"import asyncio, dr, sys, threading, time\nwork = lambda: dr.check_zone('example.org', ['{address}'])\n"
    later = f"later = lambda: dr.check_zone_async('example.org', ['{address}'])\n"
    for program in (
        # Threads that wait, and one that hears progress.
        "[threading.Thread(target=work, daemon=True).start() for _ in range(4)]; time.sleep(0.05)\n",
        # A loop that is left standing with a task in it, never closed.
        "loop = asyncio.new_event_loop(); task = loop.create_task(later()); loop.run_until_complete(asyncio.sleep(0.05))\n"
        "task._log_destroy_pending = False\n",
        # A main that returns while others are at it.
        "async def main(): task = asyncio.create_task(later()); await asyncio.sleep(0.05)\nasyncio.run(main())\n",
        # A call that nobody ever took up.
        "call = dr._dr.Call('check_zone', '', '{\"zone\": \"example.org\", \"servers\": [\"127.0.0.1:9\"]}')\n",
        # An exception on the way out.
        "threading.Thread(target=work, daemon=True).start()\ntry:\n    raise SystemExit(0)\nfinally:\n    dr.sshfp_records('uk', [])\n",
    ):
        exits(begun + later + program, 8)
    quiet.close()


@check
def a_fork_before_during_and_after():
    def in_child(work) -> None:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                code = work()
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

    dr.check_zone("example.org", NOBODY)
    in_child(lambda: 0 if dr.check_zone("example.org", NOBODY).verdict == "failed" else 1)

    async def awaited():
        return await dr.check_zone_async("example.org", NOBODY)

    in_child(lambda: 0 if asyncio.run(awaited()).verdict == "failed" else 1)
    # In the middle: the child has the call, but not the thread that works at it.
    quiet, address = silent()
    call = dr._dr.Call("check_zone", "", f'{{"zone": "example.org", "servers": ["{address}"]}}')

    def take():
        try:
            call.take()
        except RuntimeError as error:
            return 0 if "forked" in str(error) else 2
        return 3

    in_child(take)
    call.cancel()
    quiet.close()


@check
def a_subinterpreter_is_refused_in_words():
    program = (
        "try:\n    import _interpreters as inner\nexcept ImportError:\n    import _xxsubinterpreters as inner\n"
        "one = inner.create()\n"
        "said = inner.run_string(one, 'try:\\n    import dr\\nexcept ImportError as error:\\n    pass\\nelse:\\n    raise SystemExit(9)')\n"
        "assert said is None, said\n"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done
