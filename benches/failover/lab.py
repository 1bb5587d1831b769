"""Agents of dr at three places, with real sshd, nginx and BIND: the site shop lives in uk and could live in us."""

import json
import os
import signal
import subprocess
import time

from places import ADDRESSES, PAGE, WEB, Places, address_of, stop, until

SECRET = "c2VjcmV0cyBvZiB0aGUgbGFiIHByb3RlY3Qgbm90aGk="
DNS = 25353
HOSTS = ["uk", "us"]
SHORT = 'times = { renew = "1s", hold = "5s", take = "8s", stop = "2s", answer = "1500ms", drift_permille = 10 }\n'


class Agents(Places):
    """More sites do nothing but have a seat; half of them live in us, or all in uk where no agents run."""

    def __init__(self, folder, program, more_sites=0, with_agents=True):
        super().__init__(folder)
        self.program, self.with_agents = os.path.abspath(program), with_agents
        self.agents, self.wardens, self.sshds = {}, {}, {}
        self.keys = {name: self.key(name) for name in ["operator", "votes", "host", "uk-key", "us-key", "nl-key"]}
        os.makedirs("/run/sshd", exist_ok=True)
        for name in ADDRESSES:
            self.sshd(name)
        self.bind(more_sites)
        self.write("dr.toml", self.estate(more_sites))
        self.write("known", "".join(f"{address} {self.keys['host']}\n" for address in ADDRESSES.values()))
        self.write("uk-www/index.html", PAGE)
        until(lambda: address_of("www.shop.test", DNS))
        if with_agents:
            self.start(more_sites)

    def start(self, more_sites):
        for name in ADDRESSES:
            settings = {"observer": f"{name}-1", "key": self.at(f"{name}-key"), "login": self.at("votes")}
            self.write(f"{name}.json", json.dumps(settings | ({"host": name} if name in HOSTS else {})))
        for name in HOSTS:
            self.wardens[name] = self.other(self.dr("agent", "--warden", "--state-dir", self.at(name), home=name), name)
        for name in ADDRESSES:
            words = [*self.access(self.at(f"{name}/journal.db")), "agent", "--run", self.at(f"{name}.json"), "--state-dir", self.at(name)]
            self.agents[name] = self.other(self.dr(*words, home=name), name)
        until(lambda: self.serves("uk"))
        mirror = self.dr(*self.access(self.at("j.db")), "mirror", "--site", "shop", home="nl")
        subprocess.run(mirror, check=True, capture_output=True)
        if not more_sites:
            until(lambda: self.says("us", "seats").count("says up") == 3)

    def key(self, name):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", self.at(name)], check=True)
        with open(self.at(f"{name}.pub"), encoding="utf-8") as file:
            return file.read().strip()

    def sshd(self, name):
        votes = f'command="{self.program} agent --votes --state-dir {self.at(name)}",restrict {self.keys["votes"]}'
        self.write(f"{name}-auth", f"{votes}\n{self.keys['operator']}\n")
        home = self.at(f"{name}-home")
        for folder in [self.at(name), self.at(f"{name}-www"), home]:
            os.makedirs(folder, exist_ok=True)
        self.write(f"{name}-sshd", f"ListenAddress {ADDRESSES[name]}:22\nHostKey {self.at('host')}\n"
                   f"AuthorizedKeysFile {self.at(f'{name}-auth')}\nStrictModes no\nPidFile none\nMaxStartups 100\n"
                   f"Subsystem sftp internal-sftp -d {home}\nSetEnv HOME={home}\n")
        self.sshds[name] = self.other(["/usr/sbin/sshd", "-D", "-f", self.at(f"{name}-sshd")], name)

    def bind(self, more_sites):
        self.write("update.key", SECRET, 0o600)
        self.write("shop.zone", "$ORIGIN shop.test.\n$TTL 1\n@ SOA ns1 hostmaster 1 3600 900 1209600 300\n"
                   f"@ NS ns1\nns1 A 127.0.0.1\n@ A {ADDRESSES['uk']}\nwww A {ADDRESSES['uk']}\n"
                   + "".join(f"s{number} A {ADDRESSES['uk']}\n" for number in range(more_sites)))
        self.write("named.conf", f'options {{ directory "{self.folder}"; listen-on port {DNS} {{ 127.0.0.1; {ADDRESSES["nl"]}; }}; '
                   f'listen-on-v6 {{ none; }}; pid-file none; session-keyfile "{self.at("session")}"; recursion no; '
                   f'dnssec-validation no; }};\ncontrols {{ }};\nkey "lab" {{ algorithm hmac-sha256; secret "{SECRET}"; }};\n'
                   'zone "shop.test" { type primary; file "shop.zone"; update-policy { grant lab zonesub ANY; }; };\n', 0o600)
        self.other(["/usr/sbin/named", "-f", "-c", self.at("named.conf")])

    def hook(self, which):
        """One script for both hosts: which of them it runs on, HOME tells."""
        script = ""
        for name in HOSTS:
            nginx = " ".join(self.configure_nginx(name))
            lives = f"test -s {self.at(name)}/nginx.pid && kill -0 $(cat {self.at(name)}/nginx.pid) 2>/dev/null"
            line = {"start": f"{lives} || {nginx}", "check": f"{nginx} -t -q",
                    "stop": f"while {lives}; do kill -TERM $(cat {self.at(name)}/nginx.pid); sleep 0.05; done"}[which]
            script += f'if [ "$HOME" = {self.at(name)}-home ]; then {line}; exit; fi\n'
        self.write(f"{which}.sh", script)
        return f'{which} = ["/bin/sh", "{self.at(f"{which}.sh")}"]\n'

    def estate(self, more_sites):
        text = ""
        for name, address in ADDRESSES.items():
            if name in HOSTS:
                text += (f'[hosts.{name}]\nssh = "ssh://root@{address}"\nhost_keys = ["{self.keys["host"]}"]\n'
                         f'addresses = ["{address}"]\nstate_dir = "dr"\nfailure_domain = "{name}"\n'
                         f'agent_keys = ["{self.keys[f"{name}-key"]}"]\n')
            text += (f'[observers.{name}-1]\nfailure_domain = "{name}"\nssh = "ssh://root@{address}"\n'
                     f'keys = ["{self.keys[f"{name}-key"]}"]\n')
        text += ('[sites.shop]\nhome = "uk"\nstandby = "us"\nnames = ["shop.test", "www.shop.test"]\n'
                 f'trees = [{{ path = "{self.at("uk-www")}", on_standby = "{self.at("us-www")}" }}]\n'
                 f'probes = [{{ http = {{ host = "www.shop.test", path = "/", port = {WEB}, status = 200, contains = "Shop" }} }}]\n'
                 "[sites.shop.services]\n" + self.hook("start") + self.hook("stop") + self.hook("check"))
        for number in range(more_sites):
            home, standby = ("uk", "us") if number % 2 or not self.with_agents else ("us", "uk")
            text += (f'[sites.s{number}]\nhome = "{home}"\nstandby = "{standby}"\nnames = ["s{number}.shop.test"]\n'
                     f'mirror = false\nprobes = [{{ tcp = {{ port = 22 }} }}]\n[sites.s{number}.services]\n'
                     'start = ["/bin/true"]\nstop = ["/bin/true"]\n')
        return text + (f'[name_servers.ns]\naddress = "{ADDRESSES["nl"]}:{DNS}"\n[tsig_keys.lab]\nalgorithm = "hmac-sha256"\n'
                       f'secret_file = "{self.at("update.key")}"\n[zones."shop.test"]\nprimary = "ns"\nservers = ["ns"]\n'
                       'update_key = "lab"\n[coordinator]\nfailure_domain = "nl"\n[policy.failover]\nmode = "auto"\n'
                       + ("" if more_sites else SHORT) + '[policy.health]\nhold_down = "2s"\n'
                       + ('interval = "5s"\n' if more_sites else 'interval = "1s"\nfall = 3\nrise = 2\n'))

    def dr(self, *words, home):
        return ["env", f"HOME={self.at(f'{home}-home')}", self.program, "--estate", self.at("dr.toml"), *words]

    def access(self, journal):
        return ["--identity", self.at("operator"), "--known-hosts", self.at("known"), "--journal", journal, "--agent-path", self.program]

    def says(self, name, *words):
        command = self.within(name) + self.dr("failover", *words, "--state-dir", self.at(name), home=name)
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout

    def switched(self):
        return address_of("www.shop.test", DNS) == ADDRESSES["us"]

    def kill_host(self):
        """As if the power were gone: nothing of uk answers or runs any more. Its processes stand still, and never go on."""
        self.cut("uk")
        self.nginx("uk", signal.SIGSTOP)
        for process in [self.agents.get("uk"), self.wardens.get("uk"), self.sshds["uk"]]:
            if process:
                process.send_signal(signal.SIGSTOP)

    def end(self):
        # First the agents, so that none of them starts nginx again; then what they had started.
        stop([*self.agents.values(), *self.wardens.values()])
        time.sleep(0.2)
        super().end()
