"""The Python package beside obstore and opendal: exits after awaits, Ctrl-C in a hung call, what a call costs, sizes, import times."""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import os
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
import timeit
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

# 200 awaits of something that is at hand at once, then the end of the interpreter.
AWAITS = {
    "dr": "import asyncio, dr\nasync def main():\n    for _ in range(200): await dr.sshfp_records_async('uk.example.net', [])\n",
    "obstore": "import asyncio, obstore\nfrom obstore.store import MemoryStore\nasync def main():\n"
    "    store = MemoryStore()\n    await obstore.put_async(store, 'a', b'x')\n"
    "    for _ in range(200): await obstore.head_async(store, 'a')\n",
    "opendal": "import asyncio, opendal\nasync def main():\n    operator = opendal.AsyncOperator('memory')\n"
    "    await operator.write('a', b'x')\n    for _ in range(200): await operator.stat('a')\n",
}
# A call to somebody who takes the connection, or the question, and never answers.
HANGS = {
    "dr": "import dr\nwork = lambda: [dr.check_zone('example.org', ['127.0.0.1:{port}']) for _ in range(100)]\n",
    "obstore": "import obstore\nfrom obstore.store import HTTPStore\n"
    "store = HTTPStore.from_url('http://127.0.0.1:{port}/', client_options={{'timeout': '5s', 'allow_http': True}}, retry_config={{'max_retries': 0}})\n"
    "work = lambda: obstore.get(store, 'a')\n",
    "opendal": "import opendal\noperator = opendal.Operator('http', endpoint='http://127.0.0.1:{port}/')\nwork = lambda: operator.read('a')\n",
}
HANG = (
    "import signal, sys, time\nsignal.signal(signal.SIGINT, signal.default_int_handler)\nprint('ready', flush=True)\n"
    # Where the interrupt is only noticed when the call has come back, it comes after the call: it counts then.
    "try:\n    try:\n        work()\n    except Exception:\n        pass\n    time.sleep(0.001)\nexcept KeyboardInterrupt:\n    pass\n"
    "print(time.clock_gettime(time.CLOCK_MONOTONIC), flush=True)\n"
)


def crashes(name: str, times: int) -> int | None:
    """How many of so many interpreters did not end well; None if this Python has not got the package."""
    if importlib.util.find_spec(name) is None:
        return None
    program = AWAITS[name] + "asyncio.run(main())\n"

    def once(_):
        return subprocess.run([sys.executable, "-c", program], capture_output=True, preexec_fn=lambda: no_core()).returncode

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        codes = list(pool.map(once, range(times)))
    if 1 in codes:
        sys.exit(f"{name} cannot be run: {subprocess.run([sys.executable, '-c', program], capture_output=True, text=True).stderr}")
    return sum(code != 0 for code in codes)


def no_core() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def interrupted(name: str) -> float:
    """Seconds from Ctrl-C to its exception."""
    while True:
        tcp, udp = socket.socket(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        tcp.bind(("127.0.0.1", 0))
        try:
            udp.bind(tcp.getsockname())
            break
        except OSError:
            tcp.close()
    tcp.listen(8)
    program = HANGS[name].format(port=tcp.getsockname()[1]) + HANG
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as child:
        child.stdout.readline()
        time.sleep(0.5)
        hung = threading.Timer(15, child.kill)
        hung.start()
        sent = time.clock_gettime(time.CLOCK_MONOTONIC)
        child.send_signal(signal.SIGINT)
        line = child.stdout.readline()
        hung.cancel()
    tcp.close()
    udp.close()
    return float(line) - sent if line else float("inf")


def best(work, number: int) -> float:
    return min(timeit.repeat(work, number=number, repeat=7)) / number


def imports(name: str) -> float:
    code = f"import time; begun = time.perf_counter(); import {name}; print(time.perf_counter() - begun)"
    return statistics.median(float(subprocess.check_output([sys.executable, "-c", code])) for _ in range(11)) * 1e3


def size(name: str) -> float:
    module = __import__(name)
    return sum(path.stat().st_size for path in Path(module.__file__).parent.rglob("*.so")) / 1e6


async def awaited(number: int) -> float:
    import dr

    begun = time.perf_counter()
    for _ in range(number):
        await dr.sshfp_records_async("uk.example.net", [])
    return (time.perf_counter() - begun) / number


def main() -> None:
    words = argparse.ArgumentParser()
    words.add_argument("--exits", type=int, default=100)
    words.add_argument("--wheel", type=Path)
    words.add_argument("--library", type=Path)
    words.add_argument("--noop", type=Path)
    asked = words.parse_args()
    import dr

    if asked.wheel is None:
        # The row of one more Python.
        cells = [crashes(name, asked.exits) for name in AWAITS]
        return print(f"| {sys.version.split()[0]} |", " | ".join("does not import" if n is None else str(n) for n in cells), "|", flush=True)
    print("| | dr | obstore | opendal |\n|---|---|---|---|")

    def row(what, measure, form="{:.2f}"):
        print(f"| {what} | " + " | ".join(form.format(measure(name)) for name in AWAITS) + " |", flush=True)

    row(f"of {asked.exits} exits after 200 awaits, crashes", lambda name: crashes(name, asked.exits), "{}")
    row("Ctrl-C in a hung call, s (median of 5)", lambda name: statistics.median(interrupted(name) for _ in range(5)))
    row("import, ms", imports, "{:.1f}")
    row("shared object, MB", size, "{:.1f}")
    c_noop, c_call = subprocess.check_output([asked.noop], text=True).split()
    print("\n| dr | |\n|---|---|")
    print(f"| wheel, MB | {asked.wheel.stat().st_size / 1e6:.1f} |")
    print(f"| libdr.so, MB | {asked.library.stat().st_size / 1e6:.1f} |")
    print(f"| a call that does nothing: Python, ns | {best(dr.version, 1_000_000) * 1e9:.0f} |")
    print(f"| the same in C, ns | {c_noop} |")
    print(f"| an operation that does nothing: Python, µs | {best(lambda: dr.sshfp_records('uk', []), 2000) * 1e6:.0f} |")
    print(f"| awaited, µs | {min(asyncio.run(awaited(2000)) for _ in range(5)) * 1e6:.0f} |")
    print(f"| in C by its name, µs | {float(c_call) / 1e3:.0f} |")


if __name__ == "__main__":
    main()
