"""Engines: where shards run; and the driver, which gathers their rows.

The driver starts jax on its CPU alone. It plans, cuts the plan into shards, has them
trained by an engine's workers, and is the only writer of the run's own files. Workers
or the driver may be killed at any moment: shards go on from their checkpoints.
"""

import collections
import contextlib
import multiprocessing
import os
import pathlib
import secrets
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent import futures
from typing import Any, Protocol

from aejax import config as configs
from aejax import machine
from aejax.engines import shard as shards
from aejax.runs import directory as directories

RETRIES = 3  # of a shard whose worker ends without a word
BEAT = 2.0  # seconds between two signs of life of the driver
POLL = 0.2  # seconds between two looks at what workers do


class Lost(Exception):
    """A worker has ended without an answer."""


class Engine(Protocol):
    """Runs functions of JSON in other processes.

    Attributes:
      workers: how many at a time.
      claim: whether each binds itself to a core of its own.
    """

    workers: int
    claim: bool

    def submit(self, function: Callable, *arguments: Any) -> Any:
        """A handle of a call that has begun, or waits for a worker."""

    def wait(self, handles: Sequence[Any], seconds: float) -> list[Any]:
        """Those that are done, after so many seconds at most."""

    def result(self, handle: Any) -> Any:
        """What a call that is done returned; raises Lost."""

    def close(self) -> None:
        """Ends all workers."""


class Processes:
    """Processes of this machine: the standard library's pool, spawned.

    For CPUs: one process drives all GPUs of a machine, which ``--engine local`` does.
    """

    claim = True

    def __init__(self, workers: int | None = None):
        self.workers = workers or machine.usable_cores()
        self._pool = self._new()

    def _new(self) -> futures.ProcessPoolExecutor:
        # Forking after jax has started hangs.
        context = multiprocessing.get_context("spawn")
        return futures.ProcessPoolExecutor(self.workers, context, _follow)

    def submit(self, function: Callable, *arguments: Any) -> futures.Future:
        with _held_back():
            try:
                return self._pool.submit(function, *arguments)
            except futures.process.BrokenProcessPool:  # who dies takes all with it
                self._pool = self._new()
                return self._pool.submit(function, *arguments)

    def wait(self, handles: Sequence[futures.Future], seconds: float) -> list:
        return list(futures.wait(handles, seconds, futures.FIRST_COMPLETED).done)

    def result(self, handle: futures.Future) -> Any:
        try:
            return handle.result()
        except futures.process.BrokenProcessPool as error:
            raise Lost("a worker's process ended") from error

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


@contextlib.contextmanager
def _held_back() -> Iterator[None]:
    """Ctrl-C waits; in processes that are begun here for ever.

    A terminal sends it to all of them, but the driver alone says when to stop.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _follow() -> None:
    """Ends this process when the one that has started it ends, whatever the reason.

    A pool's workers wait for calls for ever otherwise. What a shard has saved is safe.
    """
    parent = multiprocessing.parent_process()

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def open_engine(name: str, workers: int | None, **options: Any) -> Engine:
    """The engine of a name.

    Raises:
      InputError: an unknown one, or one that cannot start.
    """
    if name == "processes":
        return Processes(workers)
    if name == "ray":
        from aejax.engines import ray_core

        return ray_core.Ray(workers, **options)
    raise configs.unknown("engine", name, ("local", "processes", "ray"))


class Lease(contextlib.AbstractContextManager):
    """The driver's sign of life in a run's directory, for workers and other drivers.

    Raises:
      InputError: another driver's is renewed.
    """

    def __init__(self, dir: pathlib.Path):
        self._path, self.token = dir / shards.LEASE, secrets.token_hex(8)
        self._beats, self._next = 0, 0.0
        with contextlib.suppress(OSError):
            # Where locks do not hold (NFS), or a driver was killed just now.
            before = self._path.read_text()
            time.sleep(2 * BEAT)
            if self._path.read_text() != before:
                raise configs.InputError(
                    f"another driver is at work on '{dir}'; wait for it, or give "
                    "another --out"
                )
        (dir / shards.STOP).unlink(missing_ok=True)
        self.renew()

    def renew(self) -> None:
        """Tells, every ``BEAT`` seconds, that the driver is there."""
        if time.monotonic() >= self._next:
            self._next, self._beats = time.monotonic() + BEAT, self._beats + 1
            part = self._path.with_suffix(".tmp")
            part.write_text(f"{self.token} {self._beats}")
            os.replace(part, self._path)

    def __exit__(self, *error: Any) -> None:
        self._path.unlink(missing_ok=True)


def answers(
    engine: Engine,
    settings: shards.Settings,
    todo: Mapping[int, directories.Shard],
    idle: Callable[[list[int]], bool],
    leg: Callable[[int], tuple] = lambda number: (),
    begun: Callable[[int], bool] = lambda number: False,
) -> Iterator[tuple[int, dict[str, Any]]]:
    """(number, answer) of each shard, as they end; ``leg`` gives further arguments.

    The first of each population has its compilation to itself, until it has ``begun``
    to train: the others find it in the cache. ``idle`` is called with the shards in
    work, some times a second; once it is true, no more begin.

    Raises:
      InputError: a shard cannot be trained.
    """
    waiting = collections.defaultdict(collections.deque)
    for number, one in todo.items():
        waiting[one.population].append(number)
    compiled: set[int] = set()
    running: dict[Any, int] = {}
    tries: collections.Counter[int] = collections.Counter()
    stopping = False
    while running or (any(waiting.values()) and not stopping):
        populations = {n: todo[n].population for n in running.values()}
        compiled |= {
            p for n, p in populations.items() if p not in compiled and begun(n)
        }
        busy = set(populations.values()) - compiled
        for population, numbers in waiting.items():
            free = len(running) < engine.workers and not stopping
            while numbers and free and population not in busy:
                number = numbers.popleft()
                asked = settings, number, *leg(number)
                running[engine.submit(shards.train, *asked)] = number
                free = len(running) < engine.workers
                busy |= {population} - compiled
        for handle in engine.wait(list(running), POLL):
            number = running.pop(handle)
            try:
                answer = engine.result(handle)
            except Lost as lost:
                tries[number] += 1
                if tries[number] > RETRIES:
                    raise configs.InputError(
                        f"shard {number}, or one beside it, has ended {RETRIES + 1} "
                        f"workers ({lost}); is there enough memory? --resume goes on"
                    ) from lost
                waiting[todo[number].population].appendleft(number)
                continue
            if "error" in answer:
                raise configs.InputError(answer["error"])
            compiled.add(todo[number].population)
            if not answer["finished"] and not stopping:
                # It has not heard of the driver for a while, and saved.
                waiting[todo[number].population].appendleft(number)
            yield number, answer
        stopping = idle(list(running.values())) or stopping
