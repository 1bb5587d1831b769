"""Three places on this machine: uk and us in network namespaces of their own, nl where this script runs. A bridge joins them."""

import os
import shutil
import signal
import socket
import subprocess
import threading
import time

ADDRESSES = {"nl": "10.78.0.1", "uk": "10.78.0.2", "us": "10.78.0.3"}
WEB = 28080
PAGE = "<h1>Shop</h1>\n"


class Places:
    """Needs root, and to be in a network namespace of its own already (`unshare --net`)."""

    def __init__(self, folder):
        self.folder, self.others = folder, []
        self.spaces = {name: subprocess.Popen(["unshare", "--net", "sleep", "86400"], stdout=subprocess.DEVNULL) for name in ["uk", "us"]}
        own = os.readlink("/proc/self/ns/net")
        for space in self.spaces.values():
            until(lambda: os.readlink(f"/proc/{space.pid}/ns/net") != own)
        ip("link set lo up", "link add br0 type bridge", f"addr add {ADDRESSES['nl']}/24 dev br0", "link set br0 up")
        for name, space in self.spaces.items():
            ip(f"link add to-{name} type veth peer name line netns {space.pid}", f"link set to-{name} master br0 up")
            ip("link set lo up", f"addr add {ADDRESSES[name]}/24 dev line", "link set line up", prefix=self.within(name))

    def within(self, name):
        """What stands before a command that is to run there."""
        return ["nsenter", f"--net=/proc/{self.spaces[name].pid}/ns/net", "--"] if name in self.spaces else []

    def cut(self, name):
        """Frames to and from there vanish, and the link still looks well."""
        ip(f"link set to-{name} nomaster")

    def mend(self, name):
        ip(f"link set to-{name} master br0")

    def at(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text, mode=0o644):
        os.makedirs(os.path.dirname(self.at(name)), exist_ok=True)
        with open(self.at(name), "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(self.at(name), mode)

    def other(self, command, place="nl"):
        self.others.append(subprocess.Popen(self.within(place) + command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        return self.others[-1]

    def configure_nginx(self, name):
        """The command that starts nginx there; its pages are in NAME-www."""
        at = self.at(name)
        paths = " ".join(f"{kind}_temp_path {at}/{kind};" for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"])
        self.write(f"{name}/nginx.conf", f"user root;\nworker_processes 1;\npid {at}/nginx.pid;\nevents {{}}\nhttp {{ access_log off; "
                   f"{paths} server {{ listen {WEB}; root {at}-www; }} }}\n")
        return ["/usr/sbin/nginx", "-e", f"{at}/error.log", "-c", f"{at}/nginx.conf"]

    def nginx(self, name, what):
        """Sends a signal to nginx there, its workers included; False if it does not run."""
        try:
            with open(self.at(f"{name}/nginx.pid"), encoding="utf-8") as file:
                os.killpg(int(file.read()), what)
        except (OSError, ValueError):
            return False
        return True

    def serves(self, name):
        """Whether the page comes, asked from inside, so that a cut line hides nothing."""
        asked = ["curl", "-s", "-m", "1", f"http://{ADDRESSES[name]}:{WEB}/"]
        return b"Shop" in subprocess.run(self.within(name) + asked, capture_output=True, check=False).stdout

    def end(self):
        for name in self.spaces:
            self.nginx(name, signal.SIGKILL)
        stop(self.others)
        # A namespace that has just lost its last process keeps its links for a while.
        ip(*(f"link del to-{name}" for name in self.spaces), "link del br0")
        stop(self.spaces.values())
        shutil.rmtree(self.folder, ignore_errors=True)


def stop(processes):
    for process in processes:
        process.send_signal(signal.SIGCONT)
        process.terminate()
    for process in processes:
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def ip(*lines, prefix=()):
    subprocess.run([*prefix, "ip", "-batch", "-"], input="\n".join(lines).encode(), check=True)


def until(what, limit=90.0, pause=0.02):
    """Seconds until it is true."""
    began = time.monotonic()
    while not what():
        if time.monotonic() - began > limit:
            raise TimeoutError("it never came")
        time.sleep(pause)
    return time.monotonic() - began


def address_of(name, port):
    """The A record of `name` that the name server on nl answers with, or nothing."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.settimeout(0.5)
        line.sendto(b"\x12\x34\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00" + labels + b"\x00\x00\x01\x00\x01", ("127.0.0.1", port))
        try:
            answer = line.recv(512)
        except OSError:
            return None
    at = 12 + len(labels) + 5
    return socket.inet_ntoa(answer[at + 12:at + 16]) if answer[6:8] == b"\x00\x01" else None


def slow_death(places):
    """nginx answers later and later, and in the end not at all: it stands still for a growing share of each second."""
    def fade():
        for tenths in range(1, 10):
            if not places.nginx("uk", signal.SIGSTOP):
                return
            time.sleep(tenths / 10)
            if tenths == 9 or not places.nginx("uk", signal.SIGCONT):
                return
            time.sleep(1 - tenths / 10)
    threading.Thread(target=fade, daemon=True).start()


# What can befall uk, and what makes it whole again where the place goes on being used.
FAULTS = {
    "killed (-9)": lambda places: places.nginx("uk", signal.SIGKILL),
    "stopped (refused)": lambda places: places.nginx("uk", signal.SIGTERM),
    "hangs": lambda places: places.nginx("uk", signal.SIGSTOP),
    "error page": lambda places: os.remove(places.at("uk-www/index.html")),
    "slow death": slow_death,
    "line cut (black hole)": lambda places: places.cut("uk"),
}
