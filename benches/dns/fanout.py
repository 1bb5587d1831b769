"""What a person writes with dnspython: every question to every server, 200 at a time, the answers compared as sets.

    fanout.py QUESTIONS ADDRESS:PORT...
"""

import asyncio
import sys

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message


async def ask(gate, address, port, owner, kind):
    query = dns.message.make_query(owner, kind, use_edns=0, payload=1232)
    query.flags &= ~dns.flags.RD
    for _ in range(2):
        try:
            async with gate:
                answer = await dns.asyncquery.udp(query, address, timeout=1, port=int(port))
            return owner, kind, frozenset((rrset.ttl, frozenset(rrset)) for rrset in answer.answer)
        except dns.exception.Timeout:
            pass
    return owner, kind, None


async def main():
    gate = asyncio.Semaphore(200)
    with open(sys.argv[1]) as file:
        asked = [line.split() for line in file]
    servers = [word.rsplit(":", 1) for word in sys.argv[2:]]
    said = await asyncio.gather(*(ask(gate, a, p, o, k) for a, p in servers for o, k in asked))
    groups = {}
    for owner, kind, answer in said:
        groups.setdefault((owner, kind), set()).add(answer)
    print(sum(len(group) > 1 for group in groups.values()), "questions with more than one answer")


asyncio.run(main())
