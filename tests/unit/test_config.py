"""The checks of a config that need no Snakemake."""

import mteb
import pytest

from lib.benchmark import BENCHMARK, BENCHMARK_TASKS, TYPE_OF
from lib.command import InputError
from lib.config import check_tasks


def test_the_known_tasks_are_the_benchmarks():
    tasks = [task.metadata for task in mteb.get_benchmark(BENCHMARK).tasks]
    assert {task.name: task.type for task in tasks if task.type in BENCHMARK_TASKS} == TYPE_OF


@pytest.mark.parametrize("name", ["STS31", "ArguAna"])
def test_a_task_that_cannot_be_scored_is_refused(name):
    with pytest.raises(InputError, match=rf"^evaluation\.tasks: '{name}'"):
        check_tasks(["STS12", name])


def test_a_task_of_mteb_beyond_the_benchmark_is_known():
    check_tasks(["STS12", "FinancialPhrasebankClassification"])
