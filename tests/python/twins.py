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
    "values": ["Answer", "Document", "Event", "Outcome", "Severity", "Values", "Verdict"],
}
WELCOME = '''"""Disaster recovery for people who run two or more web servers.

Every operation is a function, and beside it is a coroutine of the same name with ``_async`` at its end (docs/python.md).

>>> import dr
>>> report = dr.check_zone("example.org", {"ns1": "192.0.2.1", "ns3": "192.0.2.3"})
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
        said = f'    """As ``{node.name}``, for asyncio: the loop goes on meanwhile, and cancelling the task cancels the work.'
        examples = [number for number in range(start, end) if lines[number].lstrip().startswith(">>> ")]
        lines[start : end + 1] = [said, "", *awaited(lines[examples[0] : end], node.name), '    """'] if examples else [f'{said}"""']
    text = re.sub(r"^def (\w+)\(", r"async def \1_async(", "\n".join(lines))
    return re.sub(rf"(?<!def )(?<!\.)\b({'|'.join(names)})\(", r"await \1_async(", text)


def awaited(lines: list[str], name: str) -> list[str]:
    """The examples of a function as those of its coroutine."""
    text = "\n".join(lines)
    for call in reversed(list(re.finditer(rf"\bdr\.{name}\(", text))):
        end, depth = call.end(), 1
        while depth:
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            end += 1
        text = f"{text[: call.start()]}asyncio.run(dr.{name}_async({text[call.end() : end]}){text[end:]}"
    return re.sub(r">>> import dr\b", ">>> import asyncio, dr", text).split("\n")


def module(name: str) -> str:
    source = (PACKAGE / f"{name}.py").read_text()
    tree = ast.parse(source)
    functions = asking(tree)
    names = ["call", *(node.name for node in functions)]
    wanted = "\n\n\n".join(twin(source, node, names) for node in functions)
    own = []
    for node in tree.body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and node not in functions:
            own.append(node.name)
        elif isinstance(node, ast.Assign):
            own += [target.id for target in node.targets if isinstance(target, ast.Name)]
    used = {node.id for node in ast.walk(ast.parse(wanted)) if isinstance(node, ast.Name)}
    own = sorted(used.intersection(own))
    head = imports(tree, used | {"TYPE_CHECKING"}, f"from .{name} import {', '.join(own)}" if own else "")
    about = f'"""The coroutines beside ``dr.{name}``. Made by tests/python/twins.py, as it says there."""'
    return f"{about}\n\n{head}\n\n\n{wanted}\n"


def imports(tree: ast.Module, used: set[str], own: str) -> str:
    """The imports of a module, with only what is used."""
    groups: list[list[str]] = [[], [], []]
    checking = next((node for node in tree.body if isinstance(node, ast.If)), None)
    for group, node in [(None, node) for node in tree.body[2:]] + [(2, node) for node in (checking.body if checking else [])]:
        if not isinstance(node, (ast.Import, ast.ImportFrom)):
            continue
        names = ["call_async" if alias.name == "call" else alias.name for alias in node.names]
        names = [name for name in dict.fromkeys(names) if name in used]
        if isinstance(node, ast.Import):
            groups[group or 0] += [f"import {name}" for name in names]
        elif names:
            where = f"{'.' * node.level}{node.module or ''}"
            groups[group or min(node.level, 1)].append(f"from {where} import {', '.join(names)}")
    groups[1] = sorted([*groups[1], own])
    if groups[2]:
        groups[2] = ["if TYPE_CHECKING:", *(f"    {line}" for line in groups[2])]
    return "\n\n".join("\n".join(group) for group in [["from __future__ import annotations"], *groups] if group and group[0])


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
