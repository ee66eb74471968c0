"""What imports what."""

import ast
import subprocess
import sys

import pytest
from workflow import REPOSITORY

SCRIPTS = REPOSITORY / "scripts"
HEAVY = {"datasets", "model2vec", "mteb", "numpy", "polars", "pyarrow", "torch", "transformers"}


def imported(path):
    """The modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module


@pytest.mark.parametrize("path", sorted(SCRIPTS.rglob("*.py")), ids=lambda path: str(path.relative_to(SCRIPTS)))
def test_no_script_is_imported(path):
    assert not {script.stem for script in SCRIPTS.glob("*.py")} & set(imported(path))


def test_the_plan_of_a_run_is_known_without_a_heavy_library():
    modules = [f"lib.plan.{path.stem}" for path in (SCRIPTS / "lib" / "plan").glob("*.py")]
    code = f"import sys, {', '.join(modules)}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=SCRIPTS, capture_output=True, encoding="utf-8", check=True)
    assert "pydantic" in done.stdout.split()
    assert not HEAVY & set(done.stdout.split())
