"""Writes the coroutine beside every function that calls an operation: the same words, awaited. DR_BLESS=1 tests/python/run writes them
anew; otherwise they are compared.

A hand that writes both forgets an argument in one of them; one function that does both would have no types.
"""

from __future__ import annotations

import ast
import os
import re
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / "dr-python" / "python" / "dr"
MODULES = ("discovery", "dns", "hooks", "keys", "mirrors", "plans", "runs")


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
    about = f'"""The coroutines beside ``dr.{name}``. Made by tests/python/twins.py: DR_BLESS=1 tests/python/run"""'
    return f"{about}\n\n{head}\n\n\n{wanted}\n"


def main() -> int:
    for name in MODULES:
        path, text = PACKAGE / f"_{name}_async.py", module(name)
        if os.environ.get("DR_BLESS"):
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            print(f"{path.name} is not what {name}.py says; DR_BLESS=1 tests/python/run writes it anew")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
