"""What the modules of dr have in common: how hosts are reached, what is asked of the library, and how a plan reads as a diff."""

from __future__ import annotations

import base64
import traceback

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

try:
    import dr

    MISSING = None
except ImportError:
    dr = None
    MISSING = traceback.format_exc()

# A diff of a mirror of a million files is read by nobody.
LINES_MAX = 2000

REACH = {
    "estate": {"type": "dict"},
    "journal": {"type": "path", "default": "/var/lib/dr/journal.db"},
    "identities": {"type": "list", "elements": "path", "default": []},
    "known_hosts": {"type": "list", "elements": "path", "default": []},
    "agent": {"type": "path"},
    # The files are named, their content is never an argument: no_log would hide the names from whoever looks for a mistake.
    "password_files": {"type": "dict", "no_log": False},
}


def module(arguments, reach=tuple(REACH), **rules):
    """An AnsibleModule with these arguments beside those of ``reach``; ends at once where dr is not installed."""
    common = {name: REACH[name] for name in reach}
    made = AnsibleModule(argument_spec={**common, **arguments}, supports_check_mode=True, **rules)
    if dr is None:
        made.fail_json(msg=missing_required_lib("dr-toolkit"), exception=MISSING)
    return made


def reach_of(made, reach=tuple(REACH)):
    """The keywords of dr for how hosts are reached."""
    return {name: made.params[name] for name in reach if made.params[name]}


def perform(made, call, more=lambda done: {}):
    """Does it, or with --check only plans it, and leaves with what came of it.

    ``call(dry_run)`` is asked for a plan first where a diff is wanted: what was done tells no plan.
    """
    try:
        planned = call(True) if made.check_mode or made._diff else None
        done = planned if made.check_mode else call(False)
    except dr.DrError as why:
        failed(made, why)
    result = {"changed": done.changed, "run": done.run, "outcome": done.outcome, "report": done.report.to_dict(), **more(done)}
    if made._diff and planned is not None and planned.plan is not None:
        result["diff"] = diff(planned.plan)
    if not made.check_mode and done.changed and done.outcome not in ("new", "new_degraded"):
        findings = "; ".join(str(finding) for finding in done.report.findings) or "the run says why: dr log " + str(done.run)
        # What was begun may have left something behind, so it says that it changed something.
        made.fail_json(msg=f"it was not done, the run ended as {done.outcome}: {findings}", **result)
    made.exit_json(**result)


def failed(made, why):
    """Leaves with an error of dr."""
    hint = f"; {why.hint}" if why.hint else ""
    made.fail_json(msg=f"{why}{hint}", code=why.code, kind=why.kind, retryable=getattr(why, "retryable", None))


def diff(plan):
    """A plan as Ansible shows changes: what is there, and what will be."""
    before, after = [], []
    for planned in plan.get("steps", []):
        for kind, step in planned.get("step", planned).items():
            if kind == "mirror":
                for change in step["changes"]:
                    lines(before, change["path"], change.get("from"), entry)
                    lines(after, change["path"], change.get("to"), entry)
            elif kind in ("change_zone", "change_zones"):
                for zone in step.get("zones", [step]):
                    for change in zone["sets"]:
                        lines(before, "", change.get("from"), records)
                        lines(after, "", change.get("to"), records)
            elif kind == "change_authorized_keys":
                before += keys(step, "from")
                after += keys(step, "to")
            elif kind == "raise_epoch":
                lines(before, step["site"], step.get("from"), tenure)
                lines(after, step["site"], step.get("to"), tenure)
    return {"before": text(before), "after": text(after)}


def text(found):
    cut = found[:LINES_MAX] + ([f"... and {len(found) - LINES_MAX} more"] if len(found) > LINES_MAX else [])
    return "".join(f"{line}\n" for line in cut)


def lines(into, name, value, shown):
    if value is not None:
        into.append(f"{readable(name)} {shown(value)}".strip())


def readable(value):
    """A path is text, or bytes in base64 where it is none."""
    return value if isinstance(value, str) else "base64:" + value["base64"]


def entry(found):
    kind = found["kind"]
    if isinstance(kind, str):
        return f"{kind} {found['mode']:o}"
    name, what = next(iter(kind.items()))
    size = what.get("size_bytes") if isinstance(what, dict) else None
    return f"{name} {found['mode']:o}" + (f" {size} bytes, of {found['mtime_s']}" if size is not None else "")


def records(found):
    return "\n".join(f"{found['owner']} {found['ttl']} {found['type']} {data}" for data in found["rdata"])


def keys(step, which):
    content = step.get(which)
    if content is None:
        return []
    return base64.b64decode(content["base64"]).decode("utf-8", "replace").splitlines()


def tenure(found):
    return f"lives on {found['home']}, epoch {found['epoch']}"
