"""A user's mistake is one line and exit code 1; a bug keeps its traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lib.job.command import InputError, run

FULL = "No space left on device (os error 28)"


@pytest.mark.parametrize("mistake", [InputError("config: too wide"), OSError(28, "No space left"), RuntimeError(FULL)])
def test_a_mistake_ends_with_one_line_that_names_the_script(monkeypatch, mistake):
    def main(argv):
        raise mistake

    monkeypatch.setattr(sys, "argv", ["/some/where/train.py"])
    with pytest.raises(SystemExit) as raised:
        run(main)
    # Python prints a text given to SystemExit and exits with code 1
    assert raised.value.code == f"train.py: error: {mistake}"


def test_other_exceptions_keep_their_traceback(monkeypatch):
    def main(argv):
        return {}["no such key"]

    monkeypatch.setattr(sys, "argv", ["train.py"])
    with pytest.raises(KeyError):
        run(main)


def test_main_gets_the_arguments_after_the_script(monkeypatch):
    seen = []
    monkeypatch.setattr(sys, "argv", ["train.py", "--seed", "1"])
    run(seen.extend)
    assert seen == ["--seed", "1"]


def test_a_job_ends_when_its_workflow_is_gone_and_leaves_nothing_behind(tmp_path):
    code = """
import sys, time
from pathlib import Path
from lib.job.command import run
from lib.job.files import replacing

def main(argv):
    with replacing(Path(argv[0])) as temporary:
        temporary.write_text("half")
        print("half", flush=True)
        for _ in range(300):
            time.sleep(0.1)

run(main)
"""
    workflow = subprocess.Popen(["sleep", "60"])
    job = subprocess.Popen(
        ["bash", "-c", "trap '' INT; exec \"$@\"", "job", sys.executable, "-c", code, tmp_path / "file"],
        cwd=Path(__file__).parents[2] / "scripts",
        env=os.environ | {"WORKFLOW_PID": str(workflow.pid)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    assert job.stdout.readline() == "half\n"
    workflow.kill()
    workflow.wait()
    assert job.communicate(timeout=20)[1] == "-c: interrupted\n"
    assert job.returncode == 1
    assert not list(tmp_path.iterdir())
