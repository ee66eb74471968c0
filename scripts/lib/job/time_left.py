"""How much of a run is done, and how long the rest takes: an estimate, in one line."""

import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cache
from typing import NamedTuple


class RunJob(NamedTuple):
    """A job of a run: its rule, its minutes by the plan (None where they are not known), the minutes that it has taken
    so far, whether it has ended, and the numbers of the jobs that it waits for."""

    rule: str
    planned: float | None
    taken: float = 0.0
    ended: bool = False
    needs: tuple[int, ...] = ()


def minutes_to_go(jobs: Mapping[int, RunJob]) -> dict[int, float]:
    """The expected minutes of each job that has not ended, without those that it has taken; 0 where nothing is known.

    Where jobs of the same rule have ended, the planned minutes are multiplied by their ratio of taken to planned ones.
    """
    ended: dict[str, list[RunJob]] = {}
    for job in jobs.values():
        if job.ended and job.planned:
            ended.setdefault(job.rule, []).append(job)
    ratios = {rule: sum(j.taken for j in own) / sum(j.planned or 0.0 for j in own) for rule, own in ended.items()}
    waiting = {number: job for number, job in jobs.items() if not job.ended}
    return {n: max(0.0, (j.planned or 0.0) * ratios.get(j.rule, 1.0) - j.taken) for n, j in waiting.items()}


def minutes_left(jobs: Mapping[int, RunJob], minutes: float) -> float:
    """The expected minutes until the last job ends.

    As many jobs as so far run at the same time, on average, but each only after those that it needs.

    Args:
        jobs: all jobs of the run, by number.
        minutes: since the run began.
    """
    rest = minutes_to_go(jobs)

    @cache
    def until_end_of(number: int) -> float:
        return rest[number] + max((until_end_of(other) for other in jobs[number].needs if other in rest), default=0.0)

    at_once = max(1.0, sum(job.taken for job in jobs.values()) / minutes) if minutes else 1.0
    return max(sum(rest.values()) / at_once, max(map(until_end_of, rest), default=0.0))


def in_words(minutes: float) -> str:
    """A time as ``3 h 20 min`` or ``5 min``, rounded up."""
    hours, rest = divmod(math.ceil(minutes), 60)
    return f"{hours} h {rest} min" if hours else f"{max(1, rest)} min"


def progress_line(jobs: Mapping[int, RunJob], minutes: float, failed: int, stopped: int, now: datetime) -> str:
    """One line on a run.

    Args:
        jobs: all jobs of the run, by number, without those that will not run because of a failed one.
        minutes: since the run began.
        failed: the number of failed jobs.
        stopped: the number of jobs that will not run, because they need a failed one.
        now: the time.
    """
    rest = minutes_to_go(jobs)
    done = sum(job.taken for job in jobs.values())
    share = min(99, math.floor(100 * done / ((done + sum(rest.values())) or 1)))
    left = minutes_left(jobs, minutes)
    waiting = [job for job in jobs.values() if not job.ended]
    unknown = sorted({job.rule for job in waiting if job.planned is None})
    measured = {job.rule for job in jobs.values() if job.ended}
    long = {job.rule for number, job in jobs.items() if rest.get(number, 0.0) >= 1}
    notes = ["an estimate"]
    if by_plan := sorted(long - measured):
        notes.append(f"by the plan alone: {', '.join(by_plan)}")
    if unknown:
        notes.append(f"not counted, because sizes are not known yet: {', '.join(unknown)}")
    most, least = ("at most", "at least") if unknown else ("about", "about")
    end = now + timedelta(minutes=left)
    until = f"{end:%H:%M}" if end.date() == now.date() else f"{end:%Y-%m-%d %H:%M}"
    text = f"{now:%Y-%m-%d %H:%M}: {most} {share} % of the work is done, {least} {in_words(left)} left, until {until} "
    text += f"({'; '.join(notes)})"
    return text + (f"; failed jobs: {failed}, and {stopped} that need one of them will not run" if failed else "")
