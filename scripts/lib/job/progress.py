"""Progress of long work: a bar on a terminal, a line every half minute in a log."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")
SECONDS_BETWEEN_LINES = 30


def progress(items: Iterable[T], total: int, label: str, unit: str = "steps", size=lambda item: 1) -> Iterator[T]:
    """Yield ``items``, showing the progress and the estimated time left.

    Args:
        items: the items.
        total: the sum of all items' sizes; 0 if it is not known.
        label: a name for the work.
        unit: the unit of the sizes.
        size: a function that gives the size of an item; 1 by default.
    """
    if sys.stderr.isatty():
        with tqdm(total=total or None, desc=label, unit=f" {unit}") as bar:
            for item in items:
                yield item
                bar.update(size(item))
        return
    start = last = time.monotonic()
    done = 0
    for item in items:
        yield item
        done += size(item)
        now = time.monotonic()
        if now - last >= SECONDS_BETWEEN_LINES:
            last = now
            left = (now - start) / done * (total - done)
            ahead = f" of {total:,} {unit}, about {left:,.0f} s left" if total else f" {unit}"
            say(f"{label}: {done:,}{ahead}")
    say(f"{label}: {done:,} {unit} in {time.monotonic() - start:,.1f} s")


def say(line: str) -> None:
    """Print a line to standard error, at once."""
    print(line, file=sys.stderr, flush=True)
