"""Runs an iterable ahead of its consumer, in a thread."""

import queue
import threading
import weakref
from collections.abc import Iterable
from typing import Any

_END = object()


class Prefetch:
    """An iterator over ``iterable`` that keeps up to ``depth`` items ready.

    Items come in order; an exception of the iterable is raised here, after the items
    before it. ``close`` (or the end of a ``with`` block, or dropping the object) stops
    the thread, waiting up to 5 s for the item it works on; the iterator is then over.
    """

    def __init__(self, iterable: Iterable[Any], depth: int = 2):
        self._queue: queue.Queue = queue.Queue(depth)
        self._stop = threading.Event()
        # The thread must not hold self, or dropping the object would never stop it.
        weakref.finalize(self, self._stop.set)
        self._thread = threading.Thread(
            target=_run, args=(iterable, self._queue, self._stop), daemon=True
        )
        self._thread.start()

    def __iter__(self) -> "Prefetch":
        return self

    def __next__(self) -> Any:
        while not self._stop.is_set():
            try:
                item, error = self._queue.get(timeout=0.1)
            except queue.Empty:
                continue
            if item is not _END:
                return item
            self.close()
            if error is not None:
                raise error
        raise StopIteration

    def close(self) -> None:
        self._stop.set()
        self._thread.join(timeout=5)

    def __enter__(self) -> "Prefetch":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


def _run(iterable: Iterable[Any], ready: queue.Queue, stop: threading.Event) -> None:
    def put(item: Any, error: BaseException | None = None) -> bool:
        while not stop.is_set():
            try:
                ready.put((item, error), timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    try:
        iterator = iter(iterable)
        while (item := next(iterator, _END)) is not _END and put(item):
            pass
        if hasattr(iterator, "close"):  # a generator's finally runs here and now
            iterator.close()
        put(_END)
    except BaseException as error:  # whatever it is, it is the consumer's to handle
        put(_END, error)
