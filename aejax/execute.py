"""``sweep``: what is asked for, checked; what is to be done is in ``job``."""

import pathlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax

from aejax import config as configs
from aejax import directory as directories
from aejax import faults, plan, provenance
from aejax import group as groups
from aejax import job as jobs
from aejax import model as model_lib
from aejax import run as runs


@model_lib.usual_settings()
def sweep(
    config: configs.Config,
    axes: Mapping[str, Sequence[Any]] | None = None,
    *,
    out: Any = None,
    resume: bool = False,
    devices: Sequence[jax.Device] | int | None = None,
    lane_batch: int | None = None,
    resident_bytes: int = plan.RESIDENT_BYTES,
    on_rows: Callable[[list[dict[str, Any]]], None] | None = None,
    on_event: Callable[[dict[str, Any]], None] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    planned: list[groups.Group] | None = None,
    command: str | None = None,
) -> runs.Run:
    """Trains every combination of the axes as a few compiled programs.

    Args:
      config: everything that is not swept.
      axes: {field of Config or hyperparameter of the objective: values}.
      out: directory of the run; None keeps it in memory.
      resume: go on where the run in ``out`` stopped; a fresh one if there is none.
      devices: to lay lanes over, or how many; all of the default backend's.
      lane_batch: lanes vmapped together on a device; 1 on CPU, else what fits.
      resident_bytes: training data above this size stream in blocks.
      on_rows: called with new rows.
      on_event: called with a dict after each dispatch: progress.
      should_stop: asked after each dispatch; True saves and returns, unfinished.
      planned: the groups, if ``plan`` has made them from the same arguments already.
      command: what was typed, for run.json.

    Returns:
      A Run; ``info["finished"]`` is False if it was stopped.

    Raises:
      InputError: bad input, a directory that holds another run, a full disk or memory.
    """
    axes = _checked(config, axes, lane_batch)
    if planned is None:
        planned = plan.plan(config, axes, resident_bytes)
    if not planned:
        raise configs.InputError("planned holds no group")
    out = pathlib.Path(out).expanduser() if out else None
    run = runs.Run(config, axes, out, planned)
    chosen = _devices(devices)
    run.info |= {"command": command}
    if out is not None:  # nobody goes on with one in memory
        run.info["inputs"] = provenance.inputs(planned, chosen, lane_batch)
    job = jobs.Job(run, on_rows, on_event or (lambda event: None), should_stop)
    faults.check_memory(planned, chosen)
    with faults.explained(out):
        try:
            if out is not None:
                directories.check(out, config, axes, resume, run.info["inputs"])
                job.directory = directories.Directory(out)
            job.run_all(chosen, lane_batch)
        finally:
            if job.directory:
                job.directory.close()
    return run


def _checked(config: Any, axes: Any, lane_batch: Any) -> dict[str, list[Any]]:
    """The axes as lists of plain values.

    Raises:
      InputError: arguments of ``sweep`` of another kind.
    """
    if not isinstance(config, configs.Config):
        raise configs.InputError(
            f"sweep takes a Config, e.g. aejax.Config(dataset='digits'), not {config!r}"
        )
    lists = isinstance(axes or {}, Mapping) and all(
        isinstance(v, Iterable) and not isinstance(v, (str, bytes, Mapping))
        for v in (axes or {}).values()
    )
    if not lists:
        raise configs.InputError(
            f"axes must be {{name: values}}, e.g. {{'seed': [0, 1]}}, not {axes!r}"
        )
    if lane_batch is not None and (type(lane_batch) is not int or lane_batch < 1):
        raise configs.InputError(
            f"lane_batch is {lane_batch!r}; it must be a whole number of at least 1"
        )
    return {n: [configs.plain(v) for v in values] for n, values in (axes or {}).items()}


def _devices(given: Any) -> list[jax.Device]:
    """All of the default backend's, the first so many, or those that are given."""
    known = jax.devices()
    if type(given) is int and 1 <= given <= len(known):
        return known[:given]
    if given is None:
        return known
    fits = isinstance(given, Sequence) and not isinstance(given, str) and given
    if not fits or not all(isinstance(one, jax.Device) for one in given):
        raise configs.InputError(
            f"devices is {given!r}; it must be jax devices, e.g. jax.devices()[:1], or "
            f"how many of these {len(known)}"
        )
    return list(given)
