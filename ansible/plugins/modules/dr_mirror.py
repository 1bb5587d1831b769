#!/usr/bin/python
"""Make a tree like another."""

DOCUMENTATION = r"""
module: dr_mirror
short_description: Make a tree like another, here or on a host
description:
  - Readers of the target see every file whole, old or new. A mirror that would delete more than I(max_delete) allows, or whose source
    was emptied, is refused.
  - C(changed) is whether anything was, or in check mode would be, changed.
options:
  source:
    description: Where the files come from, a path, C(user@host:path) or C(ssh://user@host:port/path).
    type: str
    required: true
  target:
    description: Where they go.
    type: str
    required: true
  exclude:
    description: Patterns as in a .gitignore file.
    type: list
    elements: str
    default: []
  delete:
    description: Remove from the target what the source does not have.
    type: bool
    default: true
  max_delete:
    description: How much may be removed, C(percent) and C(files).
    type: dict
  checksum:
    description: Compare content, not only size and time.
    type: bool
    default: false
  generations:
    description: How many former states of the whole tree the target keeps.
    type: int
    default: 0
  winner:
    description: Which side wins where the target was changed since the last mirror; without it such a mirror is refused.
    type: str
    choices: [source, target]
extends_documentation_fragment: dr.toolkit.reach
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
author: the maintainers of dr
"""

EXAMPLES = r"""
- name: The shop is on the standby
  dr.toolkit.dr_mirror:
    source: /var/www/shop
    target: root@us.example.net:/var/www/shop
    identities: [/root/.ssh/dr]
    known_hosts: [/root/.ssh/known_hosts]
"""

RETURN = r"""
summary:
  description: C(created), C(updated), C(metadata_only), C(deleted) and C(unchanged) paths, and C(bytes) to move.
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
  description: What was found on the way.
  returned: success
  type: dict
"""

from ansible_collections.dr.toolkit.plugins.module_utils.session import dr, module, perform, reach_of


def main():
    made = module(
        {
            "source": {"type": "str", "required": True},
            "target": {"type": "str", "required": True},
            "exclude": {"type": "list", "elements": "str", "default": []},
            "delete": {"type": "bool", "default": True},
            "max_delete": {"type": "dict"},
            "checksum": {"type": "bool", "default": False},
            "generations": {"type": "int", "default": 0},
            "winner": {"type": "str", "choices": ["source", "target"]},
        }
    )
    given = made.params
    options = {word: given[word] for word in ("exclude", "delete", "checksum", "generations")}
    options.update({word: given[word] for word in ("max_delete", "winner") if given[word]})
    call = lambda dry_run: dr.mirror(  # noqa: E731
        given["source"], given["target"], dry_run=dry_run, by="Ansible", **options, **reach_of(made)
    )
    perform(made, call, lambda done: {"summary": dict(done.summary)})


if __name__ == "__main__":
    main()
