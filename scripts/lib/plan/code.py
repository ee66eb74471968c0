"""The files of code that a script needs."""

import ast
from functools import cache
from pathlib import Path


@cache
def imported(file: Path, root: Path) -> frozenset[Path]:
    """The modules under ``root`` that a Python file imports, directly or through other modules, as files.

    Imports name a module from ``root`` on (``from lib import shards``); relative imports are not followed.
    """
    names = set()
    for node in ast.walk(ast.parse(file.read_bytes(), file)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.update([node.module, *(f"{node.module}.{alias.name}" for alias in node.names)])
    modules = {root.joinpath(*name.split(".")).with_suffix(".py") for name in names}
    direct = {module for module in modules if module.is_file()}
    return frozenset(direct.union(*(imported(module, root) for module in direct)))
