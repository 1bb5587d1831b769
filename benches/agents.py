#!/usr/bin/env python3
"""What agents cost and how soon they move a site: real sshd, nginx and BIND on loopback, three places in one machine.

    benches/agents.py DR deaths        seconds from a death to the first page of the other host, for each kind of death
    benches/agents.py DR idle 300      processor and memory of the agents with so many sites, over a minute
    benches/agents.py DR host 300      seconds to move so many sites off a host that is dead, by one plan

DR is the program, best a release build. Needs root, openssh-server, nginx-light, bind9. Prints a line of JSON for each figure.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

SECRET = "c2VjcmV0cyBvZiB0aGUgbGFiIHByb3RlY3Qgbm90aGk="
PORTS = {"uk": 22101, "us": 22102, "nl": 22103}
ADDRESSES = {"uk": "127.0.0.2", "us": "127.0.0.3"}
WEB, DNS, BOTH = 28080, 25353, 28022
SHORT = 'times = { renew = "1s", hold = "5s", take = "8s", stop = "2s", answer = "1500ms", drift_permille = 10 }\n'


class Lab:
    """Three places; the site shop lives in uk and could live in us. More sites do nothing but have a seat."""

    def __init__(self, program, more_sites, with_agents=True):
        self.shared = with_agents
        self.program, self.dir = os.path.abspath(program), tempfile.mkdtemp(prefix="dr-agents-")
        self.others, self.agents, self.wardens, self.sshds = [], {}, {}, {}
        self.keys = {name: self.key(name) for name in ["operator", "votes", "host", "uk-key", "us-key", "nl-key"]}
        os.makedirs("/run/sshd", exist_ok=True)
        for name, port in PORTS.items():
            self.sshd(name, port)
        self.bind(more_sites)
        self.write("dr.toml", self.estate(more_sites))
        host_key = self.keys["host"]
        self.write("known", "".join(f"[127.0.0.1]:{port} {host_key}\n" for port in PORTS.values()))
        self.write("uk-www/index.html", "<h1>Shop</h1>\n")
        for name in PORTS:
            settings = {"observer": f"{name}-1", "key": self.at(f"{name}-key"), "login": self.at("votes")}
            self.write(f"{name}.json", json.dumps(settings | ({"host": name} if name in ADDRESSES else {})))
        time.sleep(1)
        if not with_agents:
            return
        for name in ADDRESSES:
            self.start_warden(name)
        for name in PORTS:
            self.start_agent(name)

    def at(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, text):
        os.makedirs(os.path.dirname(self.at(name)), exist_ok=True)
        with open(self.at(name), "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(self.at(name), 0o600 if name == "update.key" else 0o644)

    def key(self, name):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", self.at(name)], check=True)
        with open(self.at(f"{name}.pub"), encoding="utf-8") as file:
            return file.read().strip()

    def sshd(self, name, port):
        votes = f'command="{self.program} agent --votes --state-dir {self.at(name)}",restrict {self.keys["votes"]}'
        self.write(f"{name}-auth", f"{votes}\n{self.keys['operator']}\n")
        for folder in [name, f"{name}-www", f"{name}-home"]:
            os.makedirs(self.at(folder), exist_ok=True)
        home = self.at(f"{name}-home")
        # A port that both hosts answer on, at their own addresses: what the many sites are probed by.
        also = f"ListenAddress {ADDRESSES[name]}:{BOTH}\n" if name in ADDRESSES else ""
        self.write(f"{name}-sshd", f"ListenAddress 127.0.0.1:{port}\n{also}HostKey {self.at('host')}\n"
                   f"AuthorizedKeysFile {self.at(f'{name}-auth')}\nStrictModes no\nPidFile none\nMaxStartups 100\n"
                   f"Subsystem sftp internal-sftp -d {home}\nSetEnv HOME={home}\n")
        self.sshds[name] = self.other(["/usr/sbin/sshd", "-D", "-f", self.at(f"{name}-sshd")])

    def bind(self, more_sites):
        self.write("update.key", SECRET)
        self.write("shop.zone", "$ORIGIN shop.test.\n$TTL 1\n@ SOA ns1 hostmaster 1 3600 900 1209600 300\n"
                   "@ NS ns1\nns1 A 127.0.0.1\n@ A 127.0.0.2\nwww A 127.0.0.2\n"
                   + "".join(f"s{number} A 127.0.0.2\n" for number in range(more_sites)))
        self.write("named.conf", f'options {{ directory "{self.dir}"; listen-on port {DNS} {{ 127.0.0.1; }}; '
                   f'listen-on-v6 {{ none; }}; pid-file none; session-keyfile "{self.at("session")}"; recursion no; '
                   f'dnssec-validation no; }};\ncontrols {{ }};\nkey "lab" {{ algorithm hmac-sha256; secret "{SECRET}"; }};\n'
                   'zone "shop.test" { type primary; file "shop.zone"; update-policy { grant lab zonesub ANY; }; };\n')
        self.other(["/usr/sbin/named", "-f", "-c", self.at("named.conf")])

    def other(self, command):
        self.others.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        return self.others[-1]

    def hook(self, which):
        script = ""
        for name, address in ADDRESSES.items():
            at = self.at(name)
            self.write(f"{name}/nginx.conf", f"user root;\nworker_processes 1;\npid {at}/nginx.pid;\nevents {{}}\n"
                       f"http {{ access_log off; client_body_temp_path {at}/b; proxy_temp_path {at}/p; fastcgi_temp_path {at}/f; "
                       f"uwsgi_temp_path {at}/u; scgi_temp_path {at}/s; server {{ listen {address}:{WEB}; root {at}-www; }} }}\n")
            nginx = f"/usr/sbin/nginx -e {at}/error.log -c {at}/nginx.conf"
            lives = f"test -s {at}/nginx.pid && kill -0 $(cat {at}/nginx.pid) 2>/dev/null"
            line = {"start": f"{lives} || {nginx}", "check": f"{nginx} -t -q",
                    "stop": f"while {lives}; do kill -TERM $(cat {at}/nginx.pid); sleep 0.05; done"}[which]
            script += f'if [ "$HOME" = {at}-home ]; then {line}; exit; fi\n'
        self.write(f"{which}.sh", script)
        return f'{which} = ["/bin/sh", "{self.at(f"{which}.sh")}"]\n'

    def estate(self, more_sites):
        text = ""
        for name, port in PORTS.items():
            if name in ADDRESSES:
                text += (f'[hosts.{name}]\nssh = "ssh://root@127.0.0.1:{port}"\nhost_keys = ["{self.keys["host"]}"]\n'
                         f'addresses = ["{ADDRESSES[name]}"]\nstate_dir = "dr"\nfailure_domain = "{name}"\n'
                         f'agent_keys = ["{self.keys[f"{name}-key"]}"]\n')
            text += (f'[observers.{name}-1]\nfailure_domain = "{name}"\nssh = "ssh://root@127.0.0.1:{port}"\n'
                     f'keys = ["{self.keys[f"{name}-key"]}"]\n')
        text += ('[sites.shop]\nhome = "uk"\nstandby = "us"\nnames = ["shop.test", "www.shop.test"]\n'
                 f'trees = [{{ path = "{self.at("uk-www")}", on_standby = "{self.at("us-www")}" }}]\n'
                 f'probes = [{{ http = {{ host = "www.shop.test", path = "/", port = {WEB}, status = 200, contains = "Shop" }} }}]\n'
                 "[sites.shop.services]\n" + self.hook("start") + self.hook("stop") + self.hook("check"))
        for number in range(more_sites):
            home, standby = ("uk", "us") if number % 2 or not self.shared else ("us", "uk")
            text += (f'[sites.s{number}]\nhome = "{home}"\nstandby = "{standby}"\nnames = ["s{number}.shop.test"]\n'
                     f'mirror = false\nprobes = [{{ tcp = {{ port = {BOTH} }} }}]\n[sites.s{number}.services]\n'
                     'start = ["/bin/true"]\nstop = ["/bin/true"]\n')
        return text + ('[name_servers.ns]\naddress = "127.0.0.1:%d"\n[tsig_keys.lab]\nalgorithm = "hmac-sha256"\n'
                       'secret_file = "%s"\n[zones."shop.test"]\nprimary = "ns"\nservers = ["ns"]\nupdate_key = "lab"\n'
                       '[coordinator]\nfailure_domain = "nl"\n[policy.failover]\nmode = "auto"\n%s[policy.health]\n%shold_down = "2s"\n'
                       % (DNS, self.at("update.key"), "" if more_sites else SHORT,
                          'interval = "5s"\n' if more_sites else 'interval = "300ms"\nfall = 2\nrise = 2\n'))

    def dr(self, name, *words):
        command = [self.program, "--estate", self.at("dr.toml"), *words]
        return command, dict(os.environ, HOME=self.at(f"{name}-home"))

    def start_warden(self, name):
        command, env = self.dr(name, "agent", "--warden", "--state-dir", self.at(name))
        self.wardens[name] = subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL)

    def start_agent(self, name):
        command, env = self.dr(name, "--identity", self.at("operator"), "--known-hosts", self.at("known"), "--journal",
                               self.at(f"{name}/journal.db"), "--agent-path", self.program, "agent", "--run",
                               self.at(f"{name}.json"), "--state-dir", self.at(name))
        log = open(self.at(f"{name}.log"), "a", encoding="utf-8")
        self.agents[name] = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=log)

    def says(self, name, *words):
        command, env = self.dr(name, "failover", *words, "--state-dir", self.at(name))
        return subprocess.run(command, env=env, capture_output=True, text=True, check=False).stdout

    def serves(self, name):
        asked = ["curl", "-s", "-m", "1", f"http://{ADDRESSES[name]}:{WEB}/"]
        return b"Shop" in subprocess.run(asked, capture_output=True, check=False).stdout

    def until(self, what, limit=90):
        began = time.monotonic()
        while not what():
            if time.monotonic() - began > limit:
                raise TimeoutError(f"look into {self.dir}")
            time.sleep(0.02)
        return time.monotonic() - began

    def nginx(self, name):
        with open(self.at(f"{name}/nginx.pid"), encoding="utf-8") as file:
            return int(file.read())

    def end(self):
        for process in [*self.agents.values(), *self.wardens.values(), *self.others]:
            process.send_signal(signal.SIGCONT)
            process.terminate()
        for process in [*self.agents.values(), *self.wardens.values(), *self.others]:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
        shutil.rmtree(self.dir, ignore_errors=True)


def deaths(program):
    kinds = {
        "killed": lambda lab: os.killpg(lab.nginx("uk"), signal.SIGKILL),
        "hangs": lambda lab: os.killpg(lab.nginx("uk"), signal.SIGSTOP),
        "agent_stands_still": lambda lab: lab.agents["uk"].send_signal(signal.SIGSTOP),
        "error_page": lambda lab: os.remove(lab.at("uk-www/index.html")),
    }
    for kind, die in kinds.items():
        lab = Lab(program, 0)
        try:
            lab.until(lambda: lab.serves("uk"))
            command, env = lab.dr("nl", "--identity", lab.at("operator"), "--known-hosts", lab.at("known"), "--journal",
                                  lab.at("j.db"), "--agent-path", program, "mirror", "--site", "shop")
            subprocess.run(command, env=env, check=True, capture_output=True)
            lab.until(lambda: lab.says("us", "seats").count("says up") == 3)
            time.sleep(9)
            die(lab)
            print(json.dumps({"death": kind, "seconds_to_the_first_page": round(lab.until(lambda: lab.serves("us")), 2)}))
            if kind == "hangs":
                os.killpg(lab.nginx("uk"), signal.SIGKILL)
        finally:
            lab.end()


def idle(program, sites):
    lab = Lab(program, sites - 1)
    try:
        lab.until(lambda: lab.says("us", "seats").count("may serve") >= sites // 2 - 1, 300)
        everybody = {f"agent {name}": process for name, process in lab.agents.items()}
        everybody |= {f"warden {name}": process for name, process in lab.wardens.items()}
        before = {name: processor(process) for name, process in everybody.items()}
        began = time.monotonic()
        time.sleep(60)
        for name, process in everybody.items():
            share = (processor(process) - before[name]) / (time.monotonic() - began)
            print(json.dumps({"who": name, "sites": sites, "processor_percent": round(share * 100, 2), "rss_kib": memory(process)}))
    finally:
        lab.end()


def host(program, sites):
    lab = Lab(program, sites, with_agents=False)
    try:
        # Nobody has logged in yet: nothing of the machine answers any more.
        lab.sshds["uk"].kill()
        lab.sshds["uk"].wait()
        words = ["--identity", lab.at("operator"), "--known-hosts", lab.at("known"), "--journal", lab.at("j.db"), "--agent-path", program]
        for what in [["failover", "plan", "--host", "uk"], ["failover", "run", "--host", "uk", "--yes"]]:
            command, env = lab.dr("nl", *words, *what)
            began = time.monotonic()
            done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
            took = round(time.monotonic() - began, 2)
            print(json.dumps({"what": what[1], "sites": sites, "seconds": took, "exit": done.returncode}))
            if done.returncode not in (0, 1):
                sys.exit(done.stderr + done.stdout[-2000:])
    finally:
        lab.end()


def processor(process):
    with open(f"/proc/{process.pid}/stat", encoding="utf-8") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(process):
    with open(f"/proc/{process.pid}/status", encoding="utf-8") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[2] == "deaths":
        deaths(sys.argv[1])
    elif len(sys.argv) == 4 and sys.argv[2] == "host":
        host(sys.argv[1], int(sys.argv[3]))
    elif len(sys.argv) == 4 and sys.argv[2] == "idle":
        idle(sys.argv[1], int(sys.argv[3]))
    else:
        sys.exit(__doc__)
