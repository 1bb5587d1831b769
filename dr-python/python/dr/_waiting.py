"""Waiting for a call, in Python's own ways: ``poll`` for functions, a reader of the event loop for coroutines.

The library's threads know nothing of Python: they ring a bell, and whoever waits comes and takes what there is. Callbacks run where
the caller is: on its thread, in its task.
"""

from __future__ import annotations

import json
import logging
import select
from typing import TYPE_CHECKING, Any, Awaitable, Callable, Optional

from . import _dr
from .values import CancelToken, Event

if TYPE_CHECKING:
    import asyncio

Progress = Callable[[Event], object]
Said = tuple[str, bool]  # the answer or the error in JSON, and whether it is an answer

LOG = logging.getLogger("dr")
LOG.addHandler(logging.NullHandler())
LEVELS = {"found": logging.WARNING, "step_failed": logging.ERROR, "undo_begun": logging.WARNING, "note": logging.INFO}


def wait(operation: str, settings: str, request: str, progress: Optional[Progress], token: Optional[CancelToken]) -> Said:
    """Calls, and waits on this thread. Ctrl-C, and whatever ``progress`` raises, stops the work and comes out when it has stopped."""
    call = _dr.Call(operation, settings, request, token)
    bell = select.poll()
    bell.register(call, select.POLLIN)
    done: Optional[Said] = None
    try:
        while True:
            bell.poll()
            events, done = call.take()
            for event in heard(events, progress):
                if progress is not None:
                    progress(event)
            if done is not None:
                return done
    except BaseException:
        call.cancel()
        # Whatever is raised in here, as by a second Ctrl-C, comes out at once.
        while done is None:
            bell.poll()
            done = call.take()[1]
        raise


async def wait_async(
    operation: str, settings: str, request: str, progress: Optional[Progress], token: Optional[CancelToken]
) -> Said:
    """Calls, and lets the event loop go on meanwhile. Cancelling the task stops the work, and comes out when it has stopped."""
    import asyncio

    loop = asyncio.get_running_loop()
    call = _dr.Call(operation, settings, request, token)
    bell = asyncio.Event()
    done: Optional[Said] = None
    loop.add_reader(call.fileno(), bell.set)
    try:
        while True:
            events, done = await taken(call, bell)
            for event in heard(events, progress):
                if progress is not None:
                    result = progress(event)
                    if isinstance(result, Awaitable):
                        await result
            if done is not None:
                return done
    except GeneratorExit:
        # Nobody runs this any more: the loop was left standing, and the interpreter ends.
        call.cancel()
        raise
    except BaseException:
        call.cancel()
        while done is None:
            done = (await taken(call, bell))[1]
        raise
    finally:
        if not loop.is_closed():
            loop.remove_reader(call.fileno())


async def taken(call: _dr.Call, bell: asyncio.Event) -> tuple[list[str], Optional[Said]]:
    """What there is to take, once the bell has rung."""
    await bell.wait()
    bell.clear()
    return call.take()


def heard(events: list[str], progress: Optional[Progress]) -> list[Event]:
    """The events for whoever wants them; the logger hears them all."""
    if progress is None and not LOG.isEnabledFor(logging.ERROR):
        return []
    read = [Event.from_dict(json.loads(event)) for event in events]
    for event in read:
        if event.kind != "progress":
            level = LEVELS.get(event.kind, logging.DEBUG)
            if LOG.isEnabledFor(level):
                LOG.log(level, "%s", told(event), extra={"dr_event": event.to_dict()})
    return read


def told(event: Event) -> str:
    """An event as a line of a log."""
    values: Any = event.values
    if event.kind == "found":
        return f"{values['code']}: {values['message']}"
    if event.kind == "step_failed":
        return f"step {event.step}: {values['error']['message']}"
    return event.message or " ".join(f"{name}={value}" for name, value in values.items())
