"""Mirror a website through libdr with nothing but ctypes: for a Python that cannot have the package.

    python3 mirror.py SOURCE TARGET JOURNAL
"""

import ctypes
import json
import os
import sys

lib = ctypes.CDLL(os.environ.get("DR_LIBRARY", "libdr.so"))
text, handle, out = ctypes.c_char_p, ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p)
PROGRESS = ctypes.CFUNCTYPE(ctypes.c_int, text, handle)
for name, result, *words in (
    ("toolkit_new", handle),
    ("toolkit_set_json", ctypes.c_int, handle, text, text, out),
    ("toolkit_set_progress", None, handle, PROGRESS, handle),
    ("toolkit_free", None, handle),
    ("request_new", handle, text),
    ("request_set_json", ctypes.c_int, handle, text, text, out),
    ("request_free", None, handle),
    ("call", ctypes.c_int, handle, handle, out, out),
    ("answer_json", text, handle),
    ("answer_free", None, handle),
    ("error_message", text, handle),
    ("error_hint", text, handle),
    ("error_free", None, handle),
):
    function = getattr(lib, f"dr_{name}")
    function.restype, function.argtypes = result, words


class DrError(Exception):
    """An operation could not be done; the code is that of the command's exit status."""

    def __init__(self, message, code, hint):
        super().__init__(message)
        self.code, self.hint = code, hint


def ask(function, *words):
    """Its error, if there is one, is raised."""
    error = ctypes.c_void_p()
    status = function(*words, ctypes.byref(error))
    if status != 0:
        message, hint = lib.dr_error_message(error).decode(), lib.dr_error_hint(error)
        lib.dr_error_free(error)
        raise DrError(message, status, hint and hint.decode())


def call(operation, request, settings=None, progress=None):
    """Call any operation (docs/PARITY.md) with a request as docs/schema has it.

    ``progress`` is called with each event; what it raises stops the operation, and comes out.
    """
    raised = []

    @PROGRESS
    def hear(event, _user):
        # Nothing may be raised through C: it is kept until the call has returned.
        try:
            progress(json.loads(event))
        except BaseException as why:
            raised.append(why)
        return len(raised)

    toolkit, asked, answer = lib.dr_toolkit_new(), lib.dr_request_new(operation.encode()), ctypes.c_void_p()
    try:
        for key, value in (settings or {}).items():
            ask(lib.dr_toolkit_set_json, toolkit, key.encode(), json.dumps(value).encode())
        for key, value in request.items():
            ask(lib.dr_request_set_json, asked, key.encode(), json.dumps(value).encode())
        if progress:
            lib.dr_toolkit_set_progress(toolkit, hear, None)
        ask(lib.dr_call, toolkit, asked, ctypes.byref(answer))
        done = json.loads(lib.dr_answer_json(answer))
    except DrError:
        if not raised:
            raise
    finally:
        # Each gives back what there is, and minds nothing where there is none.
        lib.dr_answer_free(answer)
        lib.dr_request_free(asked)
        lib.dr_toolkit_free(toolkit)
    if raised:
        raise raised[0]
    return done


def show(event):
    if event["event"] == "progress" and event["unit"] == "bytes":
        print(f"\r{event['phase']:<8}{event['done']} bytes", end="", file=sys.stderr)


if __name__ == "__main__":
    source, target, journal = (sys.argv + ["", "", ""])[1:4]
    try:
        summary = call("mirror", {"source": source, "target": target}, {"journal": journal}, show)["summary"]
    except DrError as why:
        print(f"\n{why}", why.hint or "", sep=" -> " if why.hint else "", file=sys.stderr)
        sys.exit(why.code)
    print(f"{summary['created']} created, {summary['updated']} updated, {summary['deleted']} deleted")
