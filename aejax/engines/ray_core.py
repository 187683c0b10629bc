"""Shards on a Ray cluster: Ray Core's tasks, and nothing else of it.

Not Tune, whose process per trial would throw the population away. Measured with Ray
2.60; what is switched off below is on by default there.
"""

import contextlib
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aejax import config as configs
from aejax.engines import engine

CONNECTING = 10.0  # seconds that an address has to answer


class Ray:
    """Tasks of a cluster: that of ``address``, or one of this machine that is started.

    Args:
      workers: at a time; by default as many as the cluster's resources allow.
      address: of a cluster, "auto" or "ray://HOST:PORT"; "" starts one here.
      resources: of each worker, as {"GPU": 1}; by default one CPU.

    Raises:
      InputError: Ray is not installed, or no cluster answers.
    """

    def __init__(
        self,
        workers: int | None = None,
        address: str = "",
        resources: Mapping[str, float] | None = None,
    ):
        resources = dict(resources or {"CPU": 1})
        # Ray starves its workers beside anything else, and reports home, unless told.
        os.environ.setdefault("RAY_worker_niceness", "0")
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        try:
            import ray
        except ImportError:
            raise configs.InputError(
                "--engine ray needs Ray: pip install 'aejax[ray]'"
            ) from None
        self._ray = ray
        if address:
            self._connect(address)
        else:
            self._start(workers)
        nodes = [n["Resources"] for n in ray.nodes() if n["Alive"]]
        fits = [min(n.get(r, 0) // v for r, v in resources.items()) for n in nodes]
        self.workers = workers or int(sum(fits))
        # Workers of whole CPUs have a core each; those that drive a GPU need several.
        self.claim = resources == {"CPU": 1}
        named = {"CPU": "num_cpus", "GPU": "num_gpus", "memory": "memory"}
        options = {named[n]: v for n, v in resources.items() if n in named}
        others = {n: v for n, v in resources.items() if n not in named}
        # The driver tries again itself, and counts.
        options |= {"resources": others, "max_retries": 0}
        self._options = {"num_cpus": 0} | options
        try:
            ray.remote(**self._options)(_nothing)
            why = "no node has that much" if max(fits, default=0) < 1 else ""
        except ValueError as error:
            why = str(error)
        if why:
            known = ", ".join(_listed(n) for n in nodes)
            self.close()
            raise configs.InputError(
                f"no worker fits into the cluster: each needs {_listed(resources)} "
                f"({why}); its nodes have {known}"
            )
        self._tasks: dict[Callable, Any] = {}

    def _connect(self, address: str) -> None:
        known = {"log_to_driver": False, "ignore_reinit_error": False}
        began = time.monotonic()
        try:
            if not address.startswith(("auto", "local")):
                _reach(address)
            self._ray.init(address, **known)
        except Exception as error:  # of many types
            why = (str(error).splitlines() or [type(error).__name__])[0][:300]
            raise configs.InputError(
                f"no Ray cluster answers at '{address}' "
                f"({time.monotonic() - began:.0f} s: {why}); start one with ray start "
                "--head, or leave out --address"
            ) from error

    def _start(self, workers: int | None) -> None:
        """One of this machine: two tries, because its start times out under load."""
        for last in (False, True):
            try:
                self._ray.init(
                    address="local",  # else it joins any cluster that it finds
                    num_cpus=workers,
                    include_dashboard=False,
                    log_to_driver=False,
                    _temp_dir=tempfile.mkdtemp(prefix="ray-"),  # sockets: 107 letters
                )
                return
            except Exception as error:
                with contextlib.suppress(Exception):
                    self._ray.shutdown()
                if last:
                    why = str(error)[:300]
                    raise configs.InputError(f"Ray does not start: {why}") from error

    def submit(self, function: Callable, *arguments: Any) -> Any:
        if function not in self._tasks:
            self._tasks[function] = self._ray.remote(**self._options)(function)
        return self._tasks[function].remote(*arguments)

    def wait(self, handles: Sequence[Any], seconds: float) -> list[Any]:
        if not handles:
            time.sleep(seconds)
            return []
        return self._ray.wait(list(handles), num_returns=1, timeout=seconds)[0]

    def result(self, handle: Any) -> Any:
        try:
            return self._ray.get(handle)
        except self._ray.exceptions.RayError as error:
            raise engine.Lost(
                (str(error).splitlines() or ["of no reason"])[0]
            ) from error

    def close(self) -> None:
        self._ray.shutdown()


def _reach(address: str) -> None:
    """Raises OSError where nothing listens: Ray itself waits for minutes."""
    import socket

    host, _, port = address.removeprefix("ray://").rpartition(":")
    socket.create_connection((host.strip("[]"), int(port)), CONNECTING).close()


def _nothing() -> None:
    """Tries options."""


def _listed(resources: Mapping[str, float]) -> str:
    known = {n: v for n, v in resources.items() if not n.startswith("node:")}
    return ", ".join(f"{n} {v:g}" for n, v in sorted(known.items()))
