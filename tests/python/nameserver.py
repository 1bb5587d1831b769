"""Just enough of a name server to be checked: SOA, NS and A over UDP and TCP, on one loopback port."""

from __future__ import annotations

import socket
import socketserver
import struct
import threading


def _name(name: str) -> bytes:
    labels = [part for part in name.rstrip(".").split(".") if part]
    return b"".join(bytes([len(label)]) + label.encode() for label in labels) + b"\0"


def _read_name(message: bytes, at: int) -> tuple[str, int]:
    labels = []
    while message[at]:
        labels.append(message[at + 1 : at + 1 + message[at]].decode())
        at += message[at] + 1
    return ".".join(labels).lower(), at + 1


def _record(name: str, number: int, data: bytes) -> bytes:
    return _name(name) + struct.pack("!2HIH", number, 1, 60, len(data)) + data


class NameServer:
    """Answers with authority for one zone; `records` maps (owner, type number) to the data of its records."""

    def __init__(self, zone: str, address: str, serial: int = 1) -> None:
        soa = _name(f"ns1.{zone}") + _name(f"admin.{zone}") + struct.pack("!5I", serial, 3600, 600, 1209600, 60)
        self.records = {
            (zone, 6): [soa],
            (zone, 2): [_name(f"ns1.{zone}"), _name(f"ns2.{zone}")],
            (zone, 1): [socket.inet_aton(address)],
            (f"www.{zone}", 1): [socket.inet_aton(address)],
            (f"ns1.{zone}", 1): [socket.inet_aton("192.0.2.1")],
            (f"ns2.{zone}", 1): [socket.inet_aton("198.51.100.1")],
        }
        self.zone = zone

    def answer(self, message: bytes) -> bytes:
        (identifier,) = struct.unpack("!H", message[:2])
        if message[2] >> 3:
            # Not a question: it is not implemented.
            return message[:2] + bytes([message[2] & 0x78 | 0x80, 4]) + bytes(8)
        owner, end = _read_name(message, 12)
        kind, _ = struct.unpack("!2H", message[end : end + 4])
        if kind == 252 and owner == self.zone:
            return self._transfer(identifier, message[12 : end + 4])
        found = self.records.get((owner, kind), [])
        authority = [] if found else self.records[(self.zone, 6)]
        exists = any(owner == name for name, _ in self.records)
        # QR and AA; NXDOMAIN for a name that is not there.
        flags = 0x8400 | (0 if exists else 3)
        head = struct.pack("!6H", identifier, flags, 1, len(found), len(authority), 0)
        answers = b"".join(_record(owner, kind, data) for data in found)
        answers += b"".join(_record(self.zone, 6, data) for data in authority)
        return head + message[12 : end + 4] + answers

    def _transfer(self, identifier: int, question: bytes) -> bytes:
        """The whole zone in one message, between two copies of its SOA record (RFC 5936)."""
        soa = _record(self.zone, 6, self.records[(self.zone, 6)][0])
        between = [_record(*at, data) for at, found in self.records.items() for data in found if at != (self.zone, 6)]
        return struct.pack("!6H", identifier, 0x8400, 1, len(between) + 2, 0, 0) + question + soa + b"".join(between) + soa

    def start(self) -> str:
        """Serves until the process ends; gives the address with its port."""
        outer = self

        class Udp(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                data, channel = self.request
                channel.sendto(outer.answer(data), self.client_address)

        class Tcp(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                while True:
                    head = self.rfile.read(2)
                    if len(head) < 2:
                        return
                    answer = outer.answer(self.rfile.read(struct.unpack("!H", head)[0]))
                    self.wfile.write(struct.pack("!H", len(answer)) + answer)

        while True:
            udp = socketserver.ThreadingUDPServer(("127.0.0.1", 0), Udp)
            try:
                tcp = socketserver.ThreadingTCPServer(udp.server_address, Tcp)
                break
            except OSError:
                # Somebody has that TCP port; another UDP port is free.
                udp.server_close()
        for server in (udp, tcp):
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"127.0.0.1:{udp.server_address[1]}"


def silent() -> tuple[socket.socket, str]:
    """A socket that takes questions and never answers."""
    quiet = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    quiet.bind(("127.0.0.1", 0))
    return quiet, f"127.0.0.1:{quiet.getsockname()[1]}"


if __name__ == "__main__":
    # Two that agree, for whoever tests from another language: their addresses, then until standard input ends.
    import sys

    print(*(NameServer("example.org", "192.0.2.10").start() for _ in range(2)), flush=True)
    sys.stdin.read()
