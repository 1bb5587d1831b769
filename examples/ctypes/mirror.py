"""Mirror a website through libdr with nothing but ctypes: for a Python that cannot have the package.

    python3 mirror.py SOURCE TARGET JOURNAL
"""

import ctypes
import json
import os
import sys

lib = ctypes.CDLL(os.environ.get("DR_LIBRARY", "libdr.so"))
text = ctypes.c_char_p
lib.dr_call_json.argtypes = [text, text, text, ctypes.POINTER(ctypes.c_void_p), ctypes.POINTER(ctypes.c_void_p)]
for name, result in (("message", text), ("hint", text), ("free", None)):
    function = getattr(lib, f"dr_error_{name}")
    function.argtypes, function.restype = [ctypes.c_void_p], result
lib.dr_string_free.argtypes, lib.dr_string_free.restype = [ctypes.c_void_p], None


class DrError(Exception):
    """An operation could not be done; the code is that of the command's exit status."""

    def __init__(self, message, code, hint):
        super().__init__(message)
        self.code, self.hint = code, hint


def call(operation, request, settings=None):
    """Call any operation (docs/PARITY.md) with a request as docs/schema has it."""
    answer, error = ctypes.c_void_p(), ctypes.c_void_p()
    words = [operation, json.dumps(settings or {}), json.dumps(request)]
    status = lib.dr_call_json(*(word.encode() for word in words), ctypes.byref(answer), ctypes.byref(error))
    try:
        if status != 0:
            message, hint = lib.dr_error_message(error), lib.dr_error_hint(error)
            raise DrError(message.decode(), status, hint and hint.decode())
        return json.loads(ctypes.string_at(answer))
    finally:
        # Each gives back what there is, and minds nothing where there is none.
        lib.dr_string_free(answer)
        lib.dr_error_free(error)


if __name__ == "__main__":
    source, target, journal = (sys.argv + ["", "", ""])[1:4]
    try:
        summary = call("mirror", {"source": source, "target": target}, {"journal": journal})["summary"]
    except DrError as why:
        print(why, why.hint or "", sep=" -> " if why.hint else "", file=sys.stderr)
        sys.exit(why.code)
    print(f"{summary['created']} created, {summary['updated']} updated, {summary['deleted']} deleted")
