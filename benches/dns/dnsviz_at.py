"""dnsviz, where each address is asked at a port of its own: dnsviz_at.py ADDRESS=PORT,... ARGUMENTS...

dnsviz knows one port for an address, and the servers of the lab have one address and six ports.
"""

import sys

import dnsviz.commands.grok
import dnsviz.commands.probe
from dnsviz import transport
from dnsviz.ipaddr import IPAddr

PORTS = dict(word.split("=") for word in sys.argv[1].split(","))


def connect_to(self):
    port = PORTS.get(str(self.dst))
    return ("127.0.0.1", int(port)) if port else (self.dst, self.dport)


transport.DNSQueryTransportHandlerDNS._get_connect_arg = connect_to
# It wants a way into the world, which a machine for measurements need not have.
dnsviz.commands.probe.get_client_address = lambda server: IPAddr("127.0.0.1")
{"probe": dnsviz.commands.probe, "grok": dnsviz.commands.grok}[sys.argv[2]].main(sys.argv[2:])
