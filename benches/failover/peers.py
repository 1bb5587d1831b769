"""The same faults under gdnsd and under keepalived."""

import os
import subprocess

from places import ADDRESSES, PAGE, WEB, Places, address_of, until

GDNSD = 25300
SHARED = "10.78.0.100"


class Web(Places):
    """nginx in uk and us with the same page."""

    def __init__(self, folder):
        super().__init__(folder)
        self.starts = {name: self.within(name) + self.configure_nginx(name) for name in ADDRESSES if name != "nl"}
        for name in self.starts:
            self.write(f"{name}-www/index.html", PAGE)
            self.start(name)

    def start(self, name):
        subprocess.run(self.starts[name], check=True)
        until(lambda: self.serves(name))

    def heal(self):
        self.mend("uk")
        self.write("uk-www/index.html", PAGE)
        if self.nginx("uk", 9):
            until(lambda: not self.serves("uk"))
        self.start("uk")


class Gdnsd(Web):
    """simplefo over http_status, as tight as it can be set (`tries` = 1), or with as many failures in a row as dr asks for."""

    def __init__(self, folder, tries):
        super().__init__(folder)
        os.makedirs(self.at("gdnsd/run"))
        os.makedirs(self.at("gdnsd/state"))
        self.write("gdnsd/config", f'options => {{ listen => "127.0.0.1:{GDNSD}", run_dir => {self.at("gdnsd/run")}, '
                   f'state_dir => {self.at("gdnsd/state")}, min_ttl => 5 }}\n'
                   f"service_types => {{ web => {{ plugin => http_status, port => {WEB}, url_path => /, up_thresh => 1, ok_thresh => 1, "
                   f"down_thresh => {tries}, interval => 2, timeout => 1 }} }}\n"
                   f"plugins => {{ simplefo => {{ www => {{ primary => {ADDRESSES['uk']}, secondary => {ADDRESSES['us']}, "
                   "service_types => web } } }\n")
        self.write("gdnsd/zones/shop.test", "@ SOA ns1 hostmaster ( 1 7200 1800 259200 900 )\n@ NS ns1\nns1 A 127.0.0.1\n"
                   "www 30 DYNA simplefo!www\n")
        self.other(["/usr/sbin/gdnsd", "-c", self.at("gdnsd"), "-f", "start"])
        self.wait_for_home()

    def wait_for_home(self):
        until(lambda: address_of("www.shop.test", GDNSD) == ADDRESSES["uk"])

    def switched(self):
        return address_of("www.shop.test", GDNSD) == ADDRESSES["us"]


class Keepalived(Web):
    """One shared address, advertised once a second; the page is looked at once a second, twice before it counts."""

    def __init__(self, folder):
        super().__init__(folder)
        for name, priority in [("uk", 150), ("us", 100)]:
            self.write(f"{name}/keepalived.conf", "global_defs { script_user root\nenable_script_security }\n"
                       f'vrrp_script page {{ script "/usr/bin/curl -sf -m 1 -o /dev/null http://127.0.0.1:{WEB}/"\ninterval 1\nfall 2\nrise 2 }}\n'
                       f"vrrp_instance shop {{ state BACKUP\ninterface line\nvirtual_router_id 51\npriority {priority}\nadvert_int 1\n"
                       f"virtual_ipaddress {{ {SHARED}/24 }}\ntrack_script {{ page }} }}\n")
            self.other(["keepalived", "-n", "-l", "-f", self.at(f"{name}/keepalived.conf"), "-p", self.at(f"{name}/k.pid"),
                        "-r", self.at(f"{name}/vrrp.pid"), "-c", self.at(f"{name}/checkers.pid")], name)
        self.wait_for_home()

    def holds(self, name):
        said = subprocess.run([*self.within(name), "ip", "-4", "addr", "show", "dev", "line"], capture_output=True, check=True)
        return SHARED.encode() in said.stdout

    def wait_for_home(self):
        until(lambda: self.holds("uk") and not self.holds("us"))

    def switched(self):
        return self.holds("us")
