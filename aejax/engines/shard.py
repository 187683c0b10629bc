"""Shards: slices of a run's populations, each trained by a worker as a run of its own.

A driver writes down plan and shards in run.json; a worker, in any process that sees the
run's directory, reads them there, so that it plans nothing and no array travels. Its
shard is a run directory in ``shards/``, with checkpoints and exact resume; the driver
alone writes the tables of the whole.
"""

import contextlib
import functools
import os
import pathlib
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from aejax import backend
from aejax import config as configs
from aejax.runs import directory

PATIENCE = 60.0  # seconds that a driver may be silent, or a dead worker's lock be held
STOP, LEASE, PROGRESS = "stop", "lease", "progress"  # files of driver and workers


class Settings(NamedTuple):
    """What a driver tells its workers; the rest they read in its directory.

    Attributes:
      dir: of the run.
      token: in the driver's lease, new with each driver.
      variables: of the environment, which jax reads once; "" unsets one.
      claim: whether a worker binds itself to a core of its own.
      cwd: the driver's directory, by which users' files may be named.
    """

    dir: str
    token: str
    variables: Mapping[str, str]
    claim: bool
    cwd: str = "."

    def start(self) -> None:
        """Starts jax in this process, unless it runs."""
        with contextlib.suppress(OSError):  # a file that is missing is told then
            os.chdir(self.cwd)
        for name, value in self.variables.items():
            os.environ[name] = value
            if not value:
                del os.environ[name]
        if self.claim:
            backend.claim_core()
        backend.start(1, None, os.environ.get("PJRT_NPROC"))


def facts(settings: Settings) -> dict[str, Any]:
    """What a worker is: asked of the first, before anything is planned for it."""
    host = socket.gethostname()
    try:
        lease = (pathlib.Path(settings.dir) / LEASE).read_text()
    except OSError as error:
        lease = f"{error.strerror or error}"
    if not lease.startswith(settings.token):
        return {
            "error": f"a worker on {host} does not see '{settings.dir}' as the driver "
            f"does ({lease[:80]}); --out must be a directory that all machines share"
        }
    settings.start()
    import jax

    from aejax.runs import provenance

    device = jax.local_devices()[0]
    stats: Any = device.memory_stats() or {}
    return {
        "host": host,
        "platform": device.platform,
        "device_kind": device.device_kind,
        "devices": len(jax.local_devices()),
        "bytes_limit": stats.get("bytes_limit", 0),
        "machine": provenance.machine_inputs(device.device_kind),
    }


def train(
    settings: Settings,
    number: int,
    epoch: int | None = None,
    stopped: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """Trains a shard, or goes on with it: what engines run, in JSON's types.

    With successive halving to the rung ``epoch``, or from the last one to the end;
    ``stopped`` are members by the epoch at which they were.

    Returns:
      Its rows if it is done, seconds and counts; {"error": why} in one paragraph.
    """
    try:
        settings.start()
        decided = {int(member): e for member, e in (stopped or {}).items()}
        return worker(settings.dir, settings.token).train(number, epoch, decided)
    except configs.InputError as error:
        why = str(error)
    except Exception as error:  # XLA's own do not pickle: their text travels
        why = f"{type(error).__name__}: {error}"[:1200]
    return {"error": f"{why} (shard {number}, on {socket.gethostname()})"}


@functools.lru_cache(1)  # of a run that has ended nothing is kept
def worker(dir: str, token: str) -> "Worker":
    """This process's worker of a run: what it has compiled serves all its shards."""
    return Worker(pathlib.Path(dir), token)


class Worker:
    """Trains shards of the run in a directory on this process's devices.

    ``token`` is that of the driver's lease; None where there is no driver.
    """

    def __init__(
        self, dir: pathlib.Path, token: str | None, devices: Sequence[Any] = ()
    ):
        import jax

        from aejax.runs import provenance, record, sources

        self.dir, self.info = dir, directory.read_info(dir)
        self._token = token
        self.config, self.axes = directory.read_configuration(self.info)
        self.populations = record.read(self.info, dir)
        self.shards = directory.shards(self.info)
        self.sources = sources.Sources(self.info["resident_bytes"])
        self.devices = list(devices) or jax.local_devices()
        self.programs: dict[int, Any] = {}
        ours = provenance.machine_inputs(self.devices[0].device_kind)
        ours["code of aejax"] = provenance.code()
        if self.info["mixed"]:
            ours.pop("kind of device")
        theirs = self.info["inputs"] | {"code of aejax": self.info["code"]}
        wrong = [
            f"{n}: {v} on {socket.gethostname()}, {theirs.get(n)} in the run"
            for n, v in ours.items()
            if v != theirs.get(n)
        ]
        if wrong:
            raise configs.InputError(
                "a worker differs from what the run was planned for, so that its rows "
                f"would have other last digits: {'; '.join(wrong)}. Make them equal"
                + ", or add --allow-mixed"
                * any("kind of" in w for w in wrong)
            )

    def train(
        self,
        number: int,
        epoch: int | None = None,
        stopped: Mapping[int, int] = {},  # noqa: B006  (never changed)
        on_event: Callable[[dict[str, Any]], None] = lambda event: None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> dict[str, Any]:
        """One shard, to its end or until it should stop, or the driver is gone.

        With halving: as ``train`` of this module.
        """
        from aejax.engines import part as parts
        from aejax.runs import halving, plan, provenance

        where = directory.shard_folder(self.dir, number)
        part = self._part(number)
        vmap = self.info["inputs"]["vmap"][part.index]
        columns = tuple(self.info["columns"])
        planned = plan.Plan((part,), self.sources, columns)
        inputs = provenance.inputs(planned, self.devices, vmap)
        self._same_files(inputs)
        progress = Progress(where, self.dir, self._token)

        def say(event: dict[str, Any]) -> None:
            progress.on_event(event)
            on_event(event)

        def stop() -> bool:
            return should_stop() or progress.should_stop()

        rule = halving.of_info(self.info)
        leg = rule and halving.Leg(rule, epoch, stopped)
        log = parts.train(
            where,
            planned,
            (self.config, self.axes),
            (self.devices, inputs),
            lambda part: self._program(part, vmap),
            say,
            stop,
            rule=rule,
            leg=leg,
            patience=PATIENCE,
        )
        done = bool(log.info["finished"]) if epoch is None else leg.done(part, log.rows)
        return parts.answer(log, done, progress.warnings)

    def _part(self, number: int) -> Any:
        shard = self.shards[number]
        whole = self.populations[shard.population]
        return whole.part(range(shard.low, shard.high))

    def _program(self, part: Any, vmap: int) -> Any:
        from aejax.training import program

        if part.index not in self.programs:
            # Of the population's first shard, which is as large as any.
            first = min(s for s in self.shards if s.population == part.index)
            whole = self.populations[part.index]
            whole = whole.part(range(first.low, first.high))
            self.programs[part.index] = program.Program(whole, self.devices, vmap)
        return self.programs[part.index]

    def _same_files(self, inputs: Mapping[str, Any]) -> None:
        """Refuses data and files that are not those of the driver."""
        theirs = self.info["inputs"]
        for name, digest in inputs.items():
            if name.startswith(("data ", "file ")) and theirs.get(name) != digest:
                raise configs.InputError(
                    f"{name} is another on {socket.gethostname()} than where the run "
                    f"was planned ({digest}, {theirs.get(name)}); copy it there"
                )


class Progress:
    """A worker's side of the files by which driver and workers hear of each other.

    ``should_stop`` is true when the driver asks for it, when another has come, or when
    it is silent for ``PATIENCE`` seconds: nobody would gather the rows. A run that has
    no driver has no lease.
    """

    def __init__(self, where: pathlib.Path, dir: pathlib.Path, token: str | None):
        self._where, self._dir, self._token = where, dir, token
        self._written = self._heard = time.monotonic()
        self._lease, self.warnings = self._read(), []

    def on_event(self, event: Mapping[str, Any]) -> None:
        """Tells the driver, once a second at most, how far the shard is."""
        if event["kind"] == "warn":
            self.warnings.append(event["text"])
        if event["kind"] == "train" and time.monotonic() > self._written + 1:
            self._written = time.monotonic()
            part = self._where / f"{PROGRESS}.tmp"
            part.write_text(str(event["step"]))
            os.replace(part, self._where / PROGRESS)

    def should_stop(self) -> bool:
        """Whether to save and end here."""
        if self._token is None:
            return False
        if (self._dir / STOP).exists():
            return True
        lease = self._read()
        if lease and not lease.startswith(self._token):
            return True  # another driver has taken over, and gives the shard out again
        if lease != self._lease:
            self._lease, self._heard = lease, time.monotonic()
        return time.monotonic() > self._heard + PATIENCE

    def _read(self) -> str:
        try:
            return (self._dir / LEASE).read_text()
        except OSError:
            return ""
