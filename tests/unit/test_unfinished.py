"""What is said of a run that failed."""

import json
import os

import pytest

import unfinished

LOGS = {
    "pretrain m": "train.py: error: the rate is <bad> | too large\n",
    "measure_speed": "measure_speed.py: error: no processor\n",
}


@pytest.fixture
def page(tmp_path, capsys):
    """A function that writes logs, failed tasks and scores, and gives what is said of them."""

    def write(logs, tasks=None, before=(), scores=(), current=()):
        (tmp_path / ".claimed").touch()
        files = {f"logs/{name}.log": text for name, text in logs.items()}
        if tasks:
            files["mteb/cache/m/int8/failed.json"] = json.dumps(tasks)
        result = {"task_name": "STS12", "dataset_revision": "1", "mteb_version": "2"}
        result |= {"scores": {"test": [{"hf_subset": "default", "main_score": 0.5}]}}
        files |= {f"mteb/results/{name}/STS12.json": json.dumps(result) for name in scores}
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            if name in before:
                os.utime(path, (0, 0))
        needed_for = {"pretrain m": ["m/int8"], "measure_speed": [], "evaluate_model m": ["m/int8"]}
        failed = [[name, str(tmp_path / "logs" / f"{name}.log"), needed_for[name]] for name in logs]
        command = ["--results", tmp_path, "--scored", "m/int8", "other/baseline", "--tasks", "STS12"]
        command += ["--failed", json.dumps(failed), "--current", *current, "--output", tmp_path / "unfinished.md"]
        unfinished.main([str(part) for part in command])
        return (tmp_path / "unfinished.md").read_text(encoding="utf-8"), capsys.readouterr().err

    return write


def lines(text, start):
    return [line for line in text.splitlines() if line.startswith(f"| {start} |")]


def test_a_missing_score_names_the_job_that_failed_and_its_last_error(page, tmp_path):
    text, said = page(LOGS)
    (line,) = lines(text, "m | int8 | STS12")
    assert "pretrain m: train.py: error: the rate is &lt;bad&gt; &#124; too large" in line
    assert str(tmp_path / "logs" / "pretrain m.log") in line
    (line,) = lines(text, "other | baseline | STS12")
    assert "error" not in line and ".log" not in line
    assert "train.py: error: the rate is <bad> | too large" in said


def test_a_job_that_no_score_waits_for_is_named_too(page):
    text, said = page(LOGS)
    (line,) = lines(text, "measure_speed")
    assert "no processor" in line and "no processor" in said


@pytest.mark.parametrize("ending", ["ValueError: what a bug says", "lib.job.files.OtherError: what a bug says"])
def test_the_last_error_of_a_bug_is_that_of_its_traceback(page, ending):
    text, _ = page({"pretrain m": f"Traceback (most recent call last):\n  File\n{ending}\n\n"})
    (line,) = lines(text, "m | int8 | STS12")
    assert ending in line and "killed" not in line


def test_a_job_that_was_killed_has_no_error_and_an_older_log_is_not_its_own(page):
    text, _ = page({"pretrain m": "train: 10 steps\n"})
    assert "killed" in lines(text, "m | int8 | STS12")[0] and "10 steps" in lines(text, "m | int8 | STS12")[0]
    text, _ = page(LOGS, before=["logs/pretrain m.log"])
    assert "killed" in lines(text, "m | int8 | STS12")[0] and "rate" not in lines(text, "m | int8 | STS12")[0]


def test_why_a_task_failed_is_said_where_it_failed_in_this_run(page):
    tasks = {"STS12": "task STS12: expected a score"}
    text, said = page({"evaluate_model m": "evaluate.py: error: one task"}, tasks)
    assert "| task STS12: expected a score |" in lines(text, "m | int8 | STS12")[0]
    assert "FAILED m int8 STS12: task STS12: expected a score" in said
    text, _ = page(LOGS, tasks)  # of a run before
    assert "the rate" in lines(text, "m | int8 | STS12")[0]


def test_a_score_of_other_settings_is_not_shown_as_one_of_this_run(page):
    text, _ = page(LOGS, scores=["m/int8", "other/baseline"], current=["other/baseline"])
    assert "the rate" in lines(text, "m | int8 | STS12")[0] and "50.00" not in lines(text, "m | int8")[0]
    assert "50.00" in lines(text, "other | baseline")[0] and not lines(text, "other | baseline | STS12")
