"""Sweeps cut into shards: by a driver and an engine's workers, or each by itself.

Rows and parameters are those of ``aejax.sweep`` on one machine, byte for byte, as long
as the machines are of one kind.
"""

import contextlib
import os
import pathlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from aejax import config as configs
from aejax import settings
from aejax.engines import cut as cutting
from aejax.engines import engine, gather
from aejax.engines import shard as shards
from aejax.runs import admission, faults, provenance, record, results
from aejax.runs import directory as directories
from aejax.runs import halving as halvings
from aejax.runs import plan as plans
from aejax.runs import run as runs
from aejax.runs import sources as run_sources
from aejax.training import program
from aejax.training import source as sources

ENDING = 60.0  # seconds that workers have to save


class Device(NamedTuple):
    """A worker's device, as much of it as planning asks a jax.Device for."""

    platform: str
    device_kind: str
    bytes_limit: int

    def memory_stats(self) -> dict[str, int]:
        """As of jax.Device."""
        return {"bytes_limit": self.bytes_limit} if self.bytes_limit else {}


class Settings(NamedTuple):
    """What is asked for beside configuration and axes; as of ``aejax.sweep``."""

    out: pathlib.Path
    resume: bool = False
    vmap: int | None = None
    resident_bytes: int = sources.RESIDENT_BYTES
    mixed: bool = False  # whether workers may be of several kinds
    halving: halvings.Halving | None = None
    command: str | None = None


@settings.usual()
def sweep(
    config: configs.Config,
    axes: Mapping[str, Sequence[Any]],
    planned: plans.Plan,
    asked: Settings,
    workers: engine.Engine,
    environment: Mapping[str, str],
    on_event: Callable[[dict[str, Any]], None],
    should_stop: Callable[[], bool],
    on_rows: Callable[[list[dict[str, Any]]], None] = lambda rows: None,
) -> runs.Run:
    """Has every combination of the axes trained by an engine's workers.

    Args:
      planned: what ``plan`` makes of config and axes.
      workers: opened; closed at the end.
      environment: variables that workers start jax with.
      on_event, should_stop, on_rows: as of ``aejax.sweep``, rows as shards end.

    Returns:
      A Run; ``info["finished"]`` is False if it was stopped.

    Raises:
      InputError: bad input; a worker that cannot train, or differs from the others.
    """
    out = asked.out.resolve()
    admission.place(out, asked.resume)
    closing, explained = contextlib.closing(workers), faults.explained(out)
    with closing, explained, contextlib.ExitStack() as stack:
        locked = stack.enter_context(directories.Directory(out))
        lease = stack.enter_context(engine.Lease(out))
        variables = _virtual(planned, workers, environment)
        about = str(out), lease.token, variables, workers.claim, os.getcwd()
        settings = shards.Settings(*about)
        devices, known = _workers_devices(workers, settings, lease, should_stop)
        if asked.halving:
            batch = halvings.batch(asked.halving, planned.populations, devices)
            asked = asked._replace(vmap=asked.vmap or batch)
        inputs = provenance.inputs(planned, devices, asked.vmap) | known
        info = _info(config, axes, planned, asked, devices, inputs, workers.workers)
        log = gather.Gathered(planned, info, locked, on_event, on_rows)

        def idle(running: list[int]) -> bool:
            lease.renew()
            log.progress(running)
            if should_stop():
                (out / shards.STOP).touch()
            return (out / shards.STOP).exists()

        try:
            for epoch in log.legs():
                _train_leg(epoch, workers, settings, log, idle)
                if (out / shards.STOP).exists():
                    break
        except BaseException:
            _stop_all(out)
            raise
        log.end()
        (out / shards.STOP).unlink(missing_ok=True)
    return log.run(config, axes)


def _virtual(planned, workers, environment: Mapping[str, str]) -> Mapping[str, str]:
    """With virtual devices for workers of one core: as many as XLA's pool has threads.

    Threads that no device keeps busy wake for each parallel loop, only to find another
    on their core: with a pool of two threads a small VAE trains at 0.6 of its speed on
    one device, at all of it on two. The pool's size is not to be changed: it is part
    of the digits. Shards are multiples of devices, so that these must be few.
    """
    if not workers.claim:
        return environment
    threads = int(environment.get("PJRT_NPROC", 1))
    largest = max(len(p.members) for p in planned.populations)
    devices = max(1, min(threads, largest // (4 * workers.workers)))
    return {"JAX_NUM_CPU_DEVICES": str(devices)} | dict(environment)


def _train_leg(epoch, workers, settings, log, idle) -> None:
    """All shards to a rung of halving, with those that are left, or to the end."""
    decided = log.stopped()

    def leg(number: int) -> tuple:
        return epoch, decided[number]

    calls = idle, leg, log.begun
    for number, answer in engine.answers(workers, settings, log.todo(), *calls):
        log.take(number, answer, epoch)


def _stop_all(out: pathlib.Path) -> None:
    """Workers save and end when they see it; the lease that ends stops the others."""
    with contextlib.suppress(OSError):
        (out / shards.STOP).touch()


def _workers_devices(
    workers, settings, lease, should_stop
) -> tuple[list[Device], dict[str, Any]]:
    """A worker's devices, and what a run's digits depend on of its machine."""
    handle, began = workers.submit(shards.facts, settings), time.monotonic()
    while not workers.wait([handle], engine.POLL):
        lease.renew()
        if should_stop():
            raise KeyboardInterrupt
        if time.monotonic() > began + 10 * ENDING:
            raise configs.InputError(
                "no worker has answered for ten minutes; does the cluster have the "
                "resources that --worker-resources asks for?"
            )
    try:
        facts = workers.result(handle)
    except engine.Lost as lost:
        raise configs.InputError(
            f"the first worker ended at its start ({lost})"
        ) from lost
    if "error" in facts:
        raise configs.InputError(facts["error"])
    device = Device(facts["platform"], facts["device_kind"], facts["bytes_limit"])
    if workers.claim and device.platform != "cpu" and workers.workers > 1:
        raise configs.InputError(
            f"each of {workers.workers} workers would take this machine's "
            f"{device.device_kind}; use --engine local, which computes on all of them"
        )
    return [device] * facts["devices"], facts["machine"]


def _info(config, axes, planned, asked, devices, inputs, workers) -> dict[str, Any]:
    """run.json of a run in shards: cut anew, or as it was."""
    rule = asked.halving and {"halving": asked.halving.to_json(config)} or {}
    where = asked.out, config, axes, asked.resume, inputs
    admission.check(*where, rule.get("halving"), kind="in shards")
    info = provenance.describe(config, axes, planned, devices, inputs, asked.command)
    info |= rule
    if (asked.out / "run.json").is_file():
        cut = directories.shards(directories.read_info(asked.out))
    else:
        each = program.slots(planned.populations[0], devices) * max(inputs["vmap"])
        cut = cutting.cut(planned.populations, workers, each)
    firsts = {s.population: s for s in reversed(cut)}.values()
    parts = [planned.populations[p].part(range(low, high)) for p, low, high in firsts]
    faults.check_memory(parts, devices)
    return info | {
        "shards": cut,
        "columns": results.metric_columns(planned.populations),
        "resident_bytes": asked.resident_bytes,
        "mixed": asked.mixed,
        "code": provenance.code(),
    }


@settings.usual()
def share(
    config: configs.Config,
    axes: Mapping[str, Sequence[Any]],
    planned: plans.Plan,
    asked: Settings,
    part: tuple[int, int],
    devices: Sequence[Any],
    on_event: Callable[[dict[str, Any]], None],
    should_stop: Callable[[], bool],
) -> bool:
    """Trains the share of one of several processes that no driver speaks to.

    Each plans by itself, to the same shards; the first writes the run's plan down.

    Args:
      part: (number, how many processes): "2 of 4" is (2, 4), counted from 0.
      devices: this process's.

    Returns:
      Whether the share is done; ``merge`` makes the tables when all are.
    """
    out, (number, count) = asked.out.resolve(), part
    inputs = provenance.inputs(planned, devices, asked.vmap)
    again = asked._replace(out=out, resume=True)  # another may have been here first
    with faults.explained(out):
        with directories.Directory(out, shards.PATIENCE) as directory:
            info = _info(config, axes, planned, again, devices, inputs, count)
            if not (out / "run.json").is_file():
                directory.write_info(info | provenance.speeds(provenance.Spent()))
        worker = shards.Worker(out, None, devices)
        todo = cutting.share(worker.populations, worker.shards, number, count)
        for one in todo:
            if directories.shard_folder(out, one).is_dir() and not asked.resume:
                raise configs.InputError(
                    f"the share {number}/{count} in '{out}' was begun before; add "
                    "--resume to go on with it"
                )
        calls = {"on_event": on_event, "should_stop": should_stop}
        return all(worker.train(n, **calls)["finished"] for n in todo)


def merge(dir: Any) -> runs.Run:
    """Makes the tables of a run whose shares are all done, from its files alone.

    Raises:
      InputError: there is no run in shards, or some are not done.
    """
    dir = pathlib.Path(dir).expanduser().resolve()
    info = directories.read_info(dir)
    config, axes = directories.read_configuration(info)
    if admission.kind_of(info) != "in shards":
        raise configs.InputError(f"the run in '{dir}' was not trained in shards")
    populations = record.read(info, dir)
    planned = plans.Plan(populations, run_sources.Sources(info["resident_bytes"]))
    with faults.explained(dir), directories.Directory(dir) as locked:
        log = gather.Gathered(planned, info, locked, None)
        if todo := log.todo():
            raise configs.InputError(
                f"{len(todo)} of {len(info['shards'])} shards in '{dir}' are not done: "
                f"{configs.listed(todo)}; repeat the commands of their shares with "
                "--resume"
            )
        log.end()
    return log.run(config, axes)
