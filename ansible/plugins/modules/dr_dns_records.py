#!/usr/bin/python
"""Record sets of zones are as they should be."""

DOCUMENTATION = r"""
module: dr_dns_records
short_description: Record sets of zones, shown by every name server
description:
  - Changes record sets of one zone or many by dynamic updates, or by the provider's API where the estate says so, and waits until every
    name server shows them.
  - C(changed) is whether the primary had something else; in check mode, whether it has.
options:
  zones:
    description: The zones.
    type: list
    elements: str
    required: true
  sets:
    description: What is wanted in each zone. C(@) stands for the zone.
    type: list
    elements: dict
    required: true
    suboptions:
      owner:
        description: The name.
        type: str
        required: true
      type:
        description: The type of the records.
        type: str
        required: true
      rdata:
        description: The data of each record; without any, the record set is removed.
        type: list
        elements: str
      ttl:
        description: The time to live in seconds; as it is if not said.
        type: int
  servers:
    description: Its name servers, each an address or C(NAME=ADDRESS); those of the estate if none is named.
    type: list
    elements: str
    default: []
  primary:
    description: The address of the primary; that of the estate if not said.
    type: str
  update_key:
    description: The name of the TSIG key, whose secret is in a file that the estate names.
    type: str
  within:
    description: How long to wait for the name servers, such as C(2m).
    type: str
  settle:
    description: Wait besides until no resolver can remember what was before.
    type: bool
    default: false
  estate:
    description: The estate, as C(docs/schema/estate.json) of dr has it.
    type: dict
  journal:
    description: The file in which everything that changes something is written down first.
    type: path
    default: /var/lib/dr/journal.db
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
author: the maintainers of dr
"""

EXAMPLES = r"""
- name: Visitors find the shop
  dr.toolkit.dr_dns_records:
    zones: [example.org]
    sets:
      - {owner: www.@, type: A, rdata: [198.51.100.1], ttl: 300}
      - {owner: old.@, type: CNAME}
    servers: [ns1=192.0.2.53, ns2=198.51.100.53]
    primary: 192.0.2.53
"""

RETURN = r"""
verified:
  description: The proof that every name server shows it.
  returned: success
  type: dict
run:
  description: Which run of the journal it was; none if nothing was done.
  returned: success
  type: str
outcome:
  description: How that run ended.
  returned: success
  type: str
report:
  description: What was found; a finding for each name server that does not show it.
  returned: success
  type: dict
"""

from ansible_collections.dr.toolkit.plugins.module_utils.session import dr, module, perform, reach_of

REACHED_BY = ("estate", "journal")


def main():
    wanted = {
        "owner": {"type": "str", "required": True},
        "type": {"type": "str", "required": True},
        "rdata": {"type": "list", "elements": "str"},
        "ttl": {"type": "int"},
    }
    made = module(
        {
            "zones": {"type": "list", "elements": "str", "required": True},
            "sets": {"type": "list", "elements": "dict", "required": True, "options": wanted},
            "servers": {"type": "list", "elements": "str", "default": []},
            "primary": {"type": "str"},
            "update_key": {"type": "str"},
            "within": {"type": "str"},
            "settle": {"type": "bool", "default": False},
        },
        REACHED_BY,
    )
    given = made.params
    sets = [{word: value for word, value in one.items() if value is not None} for one in given["sets"]]
    words = {word: given[word] for word in ("servers", "primary", "update_key", "within", "settle")}
    call = lambda dry_run: dr.change_records(  # noqa: E731
        given["zones"], sets, dry_run=dry_run, by="Ansible", **words, **reach_of(made, REACHED_BY)
    )
    perform(made, call, lambda done: {"verified": done.verified})


if __name__ == "__main__":
    main()
