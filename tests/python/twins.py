"""Writes the coroutine beside every function that calls an operation: the same words, awaited; and what `import dr` gives.
`DR_BLESS=1 python3 tests/python/twins.py` writes them anew; otherwise they are compared.

A hand that writes both forgets an argument in one of them; one function that does both would have no types.
"""

from __future__ import annotations

import ast
import os
import re
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / "dr-python" / "python" / "dr"
# What is offered of modules that have more in them than what is offered.
CHOSEN = {
    "_calls": ["Hosts", "Reach", "Watch", "call_json"],
    "_dr": ["CancelToken", "operations", "version"],
    "values": ["Event", "Outcome", "Severity", "Values", "Verdict"],
}
WELCOME = '''"""Disaster recovery for people who run two or more web servers.

Every operation is a function, and beside it is a coroutine of the same name with ``_async`` at its end (docs/python.md).

>>> import dr
>>> report = dr.check_zone("example.org", {"ns1": "127.0.0.1:9"})
>>> report.verdict
<Verdict.FAILED: 'failed'>
"""

# Made by tests/python/twins.py: what every module offers.
'''


def asking(tree: ast.Module) -> list[ast.FunctionDef]:
    """The functions that call an operation, or a function that does."""
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    names = {"call"}
    while True:
        found = [
            node
            for node in functions
            if any(isinstance(inner, ast.Call) and getattr(inner.func, "id", "") in names for inner in ast.walk(node))
        ]
        if names >= {node.name for node in found}:
            return found
        names |= {node.name for node in found}


def twin(source: str, node: ast.FunctionDef, names: list[str]) -> str:
    lines = source.splitlines()[node.lineno - 1 : node.end_lineno]
    doc = node.body[0]
    if isinstance(doc, ast.Expr):
        start, end = doc.lineno - node.lineno, doc.end_lineno - node.lineno
        lines[start : end + 1] = [
            f'    """As ``{node.name}``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work."""'
        ]
    text = re.sub(r"^def (\w+)\(", r"async def \1_async(", "\n".join(lines))
    return re.sub(rf"(?<!def )\b({'|'.join(names)})\(", r"await \1_async(", text)


def module(name: str) -> str:
    source = (PACKAGE / f"{name}.py").read_text()
    tree = ast.parse(source)
    functions = asking(tree)
    names = ["call", *(node.name for node in functions)]
    wanted = "\n\n\n".join(twin(source, node, names) for node in functions)
    imports = [node for node in tree.body[1:] if isinstance(node, (ast.Import, ast.ImportFrom, ast.If))]
    head = "\n".join(source.splitlines()[imports[0].lineno - 1 : imports[-1].end_lineno])
    head = re.sub(r"\bcall, call_async\b|\bcall\b", "call_async", head)
    own = []
    for node in tree.body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and node not in functions:
            own.append(node.name)
        elif isinstance(node, ast.Assign):
            own += [target.id for target in node.targets if isinstance(target, ast.Name)]
    own = [one for one in own if re.search(rf"\b{one}\b", wanted)]
    if own:
        head += f"\nfrom .{name} import {', '.join(sorted(own))}"
    about = f'"""The coroutines beside ``dr.{name}``. Made by tests/python/twins.py, as it says there."""'
    return f"{about}\n\n{head}\n\n\n{wanted}\n"


def public(text: str) -> list[str]:
    kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return [node.name for node in ast.parse(text).body if isinstance(node, kinds) and not node.name.startswith("_")]


def door(made: dict[str, str]) -> str:
    """`__init__.py`: classes first, then functions, of every module."""
    modules = {path.stem: path.read_text() for path in PACKAGE.glob("[a-z]*.py")} | made
    offered = CHOSEN | {name: public(text) for name, text in modules.items() if name not in CHOSEN}
    offered["errors"] = [name for name in offered["errors"] if name.endswith("Error")]
    text, names = WELCOME, ["__version__"]
    for module, ones in sorted(offered.items()):
        ones = sorted(ones, key=lambda name: (name[0].islower(), name))
        names += ones
        line = f"from .{module} import {', '.join(ones)}\n"
        if len(line) > 120:
            line = f"from .{module} import (\n" + "".join(f"    {name},\n" for name in ones) + ")\n"
        text += line
    return text + "\n__version__ = version()\n\n__all__ = [\n" + "".join(f'    "{name}",\n' for name in sorted(names)) + "]\n"


def main() -> int:
    asked = [path.stem for path in sorted(PACKAGE.glob("[a-z]*.py")) if asking(ast.parse(path.read_text()))]
    made = {f"_{name}_async": module(name) for name in asked}
    for name, text in {**made, "__init__": door(made)}.items():
        path = PACKAGE / f"{name}.py"
        if os.environ.get("DR_BLESS"):
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            print(f"{path.name} is not what the modules beside it say; DR_BLESS=1 python3 tests/python/twins.py writes it anew")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
