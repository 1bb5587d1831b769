"""The ``dr`` command, the very same as everywhere: ``python -m dr``, and the script ``dr`` that comes with the package."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from . import _dr


def main() -> int:
    """Runs the command with the arguments of this process; gives its exit code."""
    # The command has its own ways with Ctrl-C.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    started = Path(sys.argv[0])
    if not os.access(started, os.X_OK) or started.name == "__main__.py":
        # What can be started again is the script, which stands beside the interpreter.
        started = Path(sys.executable).with_name("dr")
    return _dr.main([os.fspath(started.absolute()), *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
