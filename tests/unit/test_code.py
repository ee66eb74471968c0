"""Which files of code a script needs."""

from lib.plan.code import imported


def test_modules_are_those_that_are_imported_however_and_through_others(tmp_path):
    files = {
        "script.py": "import numpy\nfrom lib.one import a\n",
        "lib/__init__.py": "",
        "lib/one.py": "def f():\n    from lib import two\n",
        "lib/two.py": "import lib.deep.three as three, absent\n",
        "lib/deep/three.py": "'import lib.four'\n",
        "lib/four.py": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    modules = {str(path.relative_to(tmp_path)) for path in imported(tmp_path / "script.py", tmp_path)}
    assert modules == {"lib/one.py", "lib/two.py", "lib/deep/three.py"}
