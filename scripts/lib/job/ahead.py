"""Work prepared ahead, in a thread."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
U = TypeVar("U")


def ahead(prepare: Callable[[T], U], items: Iterable[T]) -> Iterator[U]:
    """Prepare items in order, in a thread: the next one while the caller works on the last."""
    with ThreadPoolExecutor(1) as thread:
        waiting: deque[Future] = deque()
        for item in items:
            waiting.append(thread.submit(prepare, item))
            if len(waiting) > 1:
                yield waiting.popleft().result()
        for last in waiting:
            yield last.result()
