"""The files of code that a script needs, and what tells that files have changed."""

import ast
import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from lib.job.files import sha256

LARGE = 1 << 20  # bytes; planning reads no larger files


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


def fingerprint(files: Iterable[Path]) -> str:
    """A hash of the content of small files, whatever their time, and of the size and time of large ones."""
    parts = []
    for file in files:
        about = file.stat()
        parts.append(f"{about.st_size} {int(about.st_mtime)}" if about.st_size > LARGE else sha256(file))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
