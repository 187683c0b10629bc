"""Runs an iterable ahead of its consumer, in a thread."""

import collections
from collections.abc import Iterable
from concurrent import futures
from typing import Any

_END = object()


class Prefetch:
    """An iterator over ``iterable`` that keeps up to ``depth`` items ready.

    Items come in order; an exception of the iterable is raised here, after the items
    before it. ``close``, or dropping the object, waits for the item in work and closes
    a generator; the iterator is then over.
    """

    def __init__(self, iterable: Iterable[Any], depth: int = 2):
        self._iterator = iter(iterable)
        self._pool = futures.ThreadPoolExecutor(1)
        self._ready: collections.deque[futures.Future] = collections.deque()
        for _ in range(depth):
            self._order()

    def _order(self) -> None:
        self._ready.append(self._pool.submit(next, self._iterator, _END))

    def __iter__(self) -> "Prefetch":
        return self

    def __next__(self) -> Any:
        if self._ready:
            try:
                item = self._ready.popleft().result()
            except Exception:
                self.close()
                raise
            if item is not _END:
                self._order()
                return item
            self.close()
        raise StopIteration

    def close(self) -> None:
        self._ready.clear()
        self._pool.shutdown(cancel_futures=True)
        if hasattr(self._iterator, "close"):
            self._iterator.close()

    __del__ = close
