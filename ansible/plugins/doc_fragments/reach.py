"""How hosts are reached: options that the modules of dr have in common."""


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  estate:
    description: The estate, as C(docs/schema/estate.json) of dr has it; C(lookup('file', 'dr.toml') | from_toml) reads one.
    type: dict
  journal:
    description: The file in which everything that changes something is written down first.
    type: path
    default: /var/lib/dr/journal.db
  identities:
    description: Private keys to log in with.
    type: list
    elements: path
    default: []
  known_hosts:
    description: Files of host keys to trust. No host is trusted that is in none of them, and not pinned in the estate.
    type: list
    elements: path
    default: []
  agent:
    description: The socket of an ssh-agent.
    type: path
  password_files:
    description: For accounts that no key opens yet, the file whose first line is the password, by account.
    type: dict
requirements:
  - dr-toolkit (C(import dr)) for the Python that runs the module
"""
