"""Options as ansible-doc has them (JSON on standard input) are those that the modules take."""

import ast
import json
import pathlib
import sys

documented = json.load(sys.stdin)
assert len(documented) == 4, list(documented)
for name, page in documented.items():
    module = pathlib.Path("ansible/plugins/modules", name.rsplit(".", 1)[1] + ".py")
    tree = ast.parse(module.read_text())
    call = next(node for node in ast.walk(tree) if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "module")
    taken = {key.value for key in call.args[0].keys}
    common = ast.parse(pathlib.Path("ansible/plugins/module_utils/session.py").read_text())
    reach = next(node.value for node in common.body if isinstance(node, ast.Assign) and node.targets[0].id == "REACH")
    reach = {key.value for key in reach.keys}
    if len(call.args) > 1:
        reach = {"estate", "journal"}
    options = set(page["doc"]["options"])
    assert options == taken | reach, (name, options ^ (taken | reach))
    assert page["examples"] and page["return"], name
