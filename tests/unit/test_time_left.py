"""How far a run is, and how long the rest takes."""

import re
from datetime import datetime

import pytest

from lib.job.time_left import RunJob, minutes_left, progress_line

NOW = datetime(2026, 11, 28, 23, 30)


def ended(rule, planned, taken):
    return RunJob(rule, planned, taken, ended=True)


def line(jobs, minutes, failed=0, stopped=0):
    return progress_line(dict(enumerate(jobs)), minutes, failed, stopped, NOW)


def test_before_the_first_job_has_ended_the_plan_counts():
    jobs = {1: RunJob("embed", 30.0), 2: RunJob("distill", 5.0)}
    assert minutes_left(jobs, 0.0) == 35.0
    assert minutes_left({1: jobs[1]._replace(taken=10.0), 2: jobs[2]}, 10.0) == 25.0


def test_a_job_counts_by_its_time_not_as_one_of_many():
    jobs = [*[ended("fetch", 0.1, 0.1)] * 9, RunJob("embed", 59.1)]
    shown = line(jobs, 0.9)
    assert re.search(r"\b1 %", shown) and "1 h 0 min" in shown


def test_a_faster_or_slower_machine_changes_what_is_expected_of_the_same_rule_alone():
    jobs = {1: ended("embed", 30.0, 3.0), 2: RunJob("embed", 30.0), 3: RunJob("derive", 4.0)}
    assert minutes_left(jobs, 3.0) == pytest.approx(3.0 + 4.0)
    jobs[1] = ended("embed", 30.0, 60.0)
    assert minutes_left(jobs, 60.0) == pytest.approx(60.0 + 4.0)


def test_jobs_that_run_at_the_same_time_take_less_but_a_job_waits_for_those_it_needs():
    many = {n: ended("score", 10.0, 10.0) for n in range(4)} | {n: RunJob("score", 10.0) for n in range(4, 12)}
    assert minutes_left(many, 10.0) == pytest.approx(20.0)  # four at a time
    chain = many | {12: RunJob("train", 30.0, needs=(0, 4)), 13: RunJob("release", 5.0, needs=(12,))}
    assert minutes_left(chain, 10.0) == pytest.approx(10.0 + 30.0 + 5.0)


def test_a_job_that_takes_longer_than_expected_has_no_negative_rest():
    jobs = {1: RunJob("embed", 5.0, 50.0), 2: RunJob("distill", 5.0), 3: RunJob("derive", 5.0)}
    assert minutes_left(jobs, 50.0) == 10.0


def test_what_is_planned_only_or_not_known_is_named():
    jobs = [ended("embed", 2.0, 2.0), RunJob("embed", 2.0), RunJob("derive", 20.0), RunJob("evaluate_baseline", None)]
    shown = line([*jobs, RunJob("plot", 0.1)], 2.0)
    assert "plot" not in shown
    assert "at least" in shown and "at most" in shown
    by_plan, unknown = shown.split("(")[1].split("; ")[1:]
    assert "derive" in by_plan and "embed" not in by_plan and "evaluate_baseline" in unknown


def test_a_line_has_its_own_time_and_that_of_the_end():
    shown = line([RunJob("embed", 45.0)], 0.0)
    assert shown.startswith("2026-11-28 23:30: ") and "until 2026-11-29 00:15" in shown
    assert "until 23:50" in line([RunJob("embed", 20.0)], 0.0)


def test_a_run_is_never_done_while_a_job_is_left():
    assert "99 %" in line([ended("embed", 5.0, 5000.0), RunJob("plot", 0.0)], 5000.0)
    assert "failed" not in line([RunJob("plot", 0.1)], 0.0)
    assert re.search(r"failed\D+2\D+7", line([RunJob("plot", 0.1)], 1.0, failed=2, stopped=7))
