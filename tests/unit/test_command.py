"""A mistake, too little memory and a bug each end with one line and exit code 1; a bug's traceback comes before."""

import importlib.metadata
import os
import re
import signal
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
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


def test_a_bug_is_one_line_with_the_versions_after_its_traceback_and_names_no_token(monkeypatch, capsys):
    def main(argv):
        return {}["no hf_secret"]

    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setattr(sys, "argv", ["train.py"])
    with pytest.raises(SystemExit) as raised:
        run(main)
    assert raised.value.code.startswith(
        "train.py: error: unexpected KeyError: 'no $HF_TOKEN' (traceback above; commit "
    )
    assert f"torch {importlib.metadata.version('torch')}" in raised.value.code and "\n" not in raised.value.code
    shown = capsys.readouterr().err
    assert 'return {}["no hf_secret"]' not in shown and shown.startswith("Traceback (most recent call last):")


def test_memory_that_does_not_suffice_is_one_line():
    code = "import resource, sys; import numpy; from lib.job.command import run\n"
    code += "resource.setrlimit(resource.RLIMIT_AS, (1 << 32, 1 << 32)); run(lambda argv: numpy.ones(1 << 33))"
    scripts = Path(__file__).parents[2] / "scripts"
    done = subprocess.run([sys.executable, "-c", code], cwd=scripts, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert re.fullmatch(r"-c: error: out of memory: .*64\.0 GiB.*\n", done.stderr)


def test_a_worker_that_is_killed_is_one_line(monkeypatch):
    def main(argv):
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            pool.submit(os.kill, os.getpid(), 0).result()
            (worker,) = pool._processes
            os.kill(worker, signal.SIGKILL)
            pool.submit(abs, 1).result()

    monkeypatch.setattr(sys, "argv", ["sample_sentences.py"])
    with pytest.raises(SystemExit, match=r"sample_sentences\.py: error: a worker process was killed"):
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
