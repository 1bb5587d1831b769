#!/usr/bin/python
"""A public key opens an account, or does not."""

DOCUMENTATION = r"""
module: dr_authorized_key
short_description: A public key opens an account, proved by a login
description:
  - Adds a public key to an account's authorized_keys, or takes it out. Foreign lines stay byte for byte, and what cannot be proved
    by a fresh login is taken back. The last key that works is never taken out.
  - The module connects to I(remote) itself, so it is run where the private keys are, by C(delegate_to) or C(connection) local.
options:
  key:
    description: The path of a .pub file, or its line.
    type: str
    required: true
  remote:
    description: The account, C(user@host) or C(user@host:port).
    type: str
    required: true
  state:
    description: Whether the key is let in.
    type: str
    choices: [present, absent]
    default: present
  restrict:
    description: Allow nothing but commands.
    type: bool
    default: false
  command:
    description: Allow one command only.
    type: str
  mirror:
    description: Allow the mirroring of this directory only.
    type: str
  read_only:
    description: With I(mirror), the directory may not be written.
    type: bool
    default: false
  sources:
    description: The only addresses, networks and names from where it may be used.
    type: list
    elements: str
    default: []
  replace:
    description: Give a line that lets the key in already the options that are named here.
    type: bool
    default: false
  file:
    description: The key file there, where sshd reads another one than usual.
    type: str
  everywhere:
    description: With I(state=absent), put it on sshd's list of revoked keys, too, which needs root.
    type: bool
    default: false
extends_documentation_fragment: dr.toolkit.reach
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
author: the maintainers of dr
"""

EXAMPLES = r"""
- name: The mirror's key may mirror, and nothing else
  dr.toolkit.dr_authorized_key:
    key: /root/.ssh/dr.pub
    remote: root@us.example.net
    mirror: /var/www
    identities: [/root/.ssh/id_ed25519, /root/.ssh/dr]
    known_hosts: [/root/.ssh/known_hosts]
  delegate_to: localhost
"""

RETURN = r"""
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
            "key": {"type": "str", "required": True, "no_log": False},
            "remote": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "restrict": {"type": "bool", "default": False},
            "command": {"type": "str"},
            "mirror": {"type": "str"},
            "read_only": {"type": "bool", "default": False},
            "sources": {"type": "list", "elements": "str", "default": []},
            "replace": {"type": "bool", "default": False},
            "file": {"type": "str"},
            "everywhere": {"type": "bool", "default": False},
        },
        mutually_exclusive=[("command", "mirror")],
    )
    given, reach = made.params, reach_of(made)
    words = {word: given[word] for word in ("restrict", "command", "mirror", "read_only", "sources", "replace", "file")}

    def call(dry_run):
        common = {"dry_run": dry_run, "by": "Ansible", **reach}
        if given["state"] == "present":
            return dr.install_key(given["key"], given["remote"], **words, **common)
        return dr.revoke_key(given["key"], [given["remote"]], key_files_only=not given["everywhere"], **common)

    perform(made, call)


if __name__ == "__main__":
    main()
