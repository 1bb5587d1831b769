#!/usr/bin/python
"""A site lives on this host."""

DOCUMENTATION = r"""
module: dr_failover
short_description: A site of the estate is served by this host
description:
  - Moves a site to its standby, or brings it home again, under all guards of dr; what a guard refuses fails the task.
  - C(changed) is whether it was, or in check mode would be, moved; a site that is there already is left alone.
options:
  site:
    description: The site of the estate.
    type: str
    required: true
  home:
    description: The host that shall serve it, the site's C(home) or C(standby) in the estate.
    type: str
    required: true
  planned:
    description: Both hosts are well, so it is mirrored a last time before it goes to the standby. The way back is always so.
    type: bool
    default: false
  despite:
    description: Guards that are overridden, by name; C(dr failover status) names them. It is written into the journal.
    type: list
    elements: str
    default: []
extends_documentation_fragment: dr.toolkit.reach
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
author: the maintainers of dr
"""

EXAMPLES = r"""
- name: Maintenance of uk, visitors go to us
  dr.toolkit.dr_failover:
    site: shop
    home: us
    planned: true
    estate: "{{ lookup('file', '/etc/dr/dr.json') | from_json }}"
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

from ansible_collections.dr.toolkit.plugins.module_utils.session import dr, failed, module, perform, reach_of


def main():
    made = module(
        {
            "site": {"type": "str", "required": True},
            "home": {"type": "str", "required": True},
            "planned": {"type": "bool", "default": False},
            "despite": {"type": "list", "elements": "str", "default": []},
        }
    )
    given, reach = made.params, reach_of(made)
    site = ((given["estate"] or {}).get("sites") or {}).get(given["site"])
    if site is None:
        made.fail_json(msg=f"the estate has no site {given['site']!r}")
    if given["home"] not in (site.get("home"), site.get("standby")):
        made.fail_json(msg=f"{given['home']} is neither home nor standby of {given['site']} in the estate")

    def call(dry_run):
        common = {"dry_run": dry_run, "by": "Ansible", **reach}
        if given["home"] == site["home"]:
            return dr.failback(given["site"], **common)
        return dr.failover(given["site"], planned=given["planned"], despite=given["despite"], **common)

    try:
        status = dr.failover_status([given["site"]], **reach)
    except dr.DrError as why:
        failed(made, why)
    # The coordinator says who holds it, not the estate.
    if dr.Subject("home", f"{given['site']} on {given['home']}") in status.examined:
        begun = [finding for finding in status.findings if finding.code == "run.unfinished"]
        if begun:
            made.fail_json(msg=f"{begun[0].message}; {begun[0].remedy}", report=status.to_dict())
        made.exit_json(changed=False, run=None, outcome=None, report=status.to_dict())
    perform(made, call)


if __name__ == "__main__":
    main()
