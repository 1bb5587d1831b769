"""Writes an authorized_keys of many lines: lines.py COUNT >FILE. Of ten keys eight are ed25519, one is RSA, and one has options."""

from __future__ import annotations

import base64
import random
import sys


def field(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def main() -> None:
    count, dice = int(sys.argv[1]), random.Random(6)
    for number in range(count):
        kind, fields = "ssh-ed25519", [dice.randbytes(32)]
        if number % 10 == 3:
            # A modulus of 3072 bits: its highest bit is set, so a zero goes before it.
            kind, fields = "ssh-rsa", [b"\x01\x00\x01", b"\x00\x80" + dice.randbytes(383)]
        options = f'restrict,command="dr agent --stdio --root /srv/{number}",from="192.0.2.0/24" ' if number % 10 == 7 else ""
        blob = base64.b64encode(b"".join(map(field, [kind.encode(), *fields]))).decode()
        print(f"{options}{kind} {blob} user{number}@host{number % 100}.example.net")


if __name__ == "__main__":
    main()
