"""What a panel's button calls: python3 button.py ESTATE SITE JOURNAL WHO [really]. It answers in JSON, and always with exit code 0.

Without "really" it shows what would be done, or which guard is in the way; with it, it is done.
"""

import json
import sys

import dr


def press(path, site, journal, who, really):
    try:
        estate = dr.Estate.from_file(path)
        done = dr.failover(site, estate=estate, journal=journal, by=f"{who}, by the panel's button", dry_run=not really)
    except dr.RefusedError as why:
        return {"ok": False, "refused": True, "why": str(why), "advice": why.hint}
    except dr.DrError as why:
        return {"ok": False, "refused": False, "why": str(why), "advice": why.hint}
    if not really:
        return {"ok": True, "steps": [step["title"] for step in done.plan["steps"]]}
    return {"ok": done.outcome in ("new", "new_degraded"), "run": done.run, "outcome": done.outcome}


if __name__ == "__main__":
    print(json.dumps(press(*sys.argv[1:5], really=sys.argv[5:] == ["really"])))
