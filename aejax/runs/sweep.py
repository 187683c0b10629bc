"""``sweep``: what is asked for, checked; the events of a job, written down."""

import contextlib
import functools
import pathlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax

from aejax import config as configs
from aejax import settings
from aejax.runs import admission, faults, job, provenance, writer
from aejax.runs import directory as directories
from aejax.runs import halving as halvings
from aejax.runs import plan as plans
from aejax.runs import run as runs
from aejax.runs import sources as run_sources
from aejax.training import program as programs
from aejax.training import source as sources


@settings.usual()
def sweep(
    config: configs.Config,
    axes: Mapping[str, Sequence[Any]] | None = None,
    *,
    out: Any = None,
    resume: bool = False,
    devices: Sequence[jax.Device] | int | None = None,
    vmap: int | None = None,
    resident_bytes: int = sources.RESIDENT_BYTES,
    on_rows: Callable[[list[dict[str, Any]]], None] | None = None,
    on_event: Callable[[dict[str, Any]], None] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    planned: plans.Plan | None = None,
    halving: halvings.Halving | None = None,
    command: str | None = None,
) -> runs.Run:
    """Trains every combination of the axes as a few compiled programs.

    Args:
      config: everything that is not swept.
      axes: {field of Config or hyperparameter of the objective: values}.
      out: directory of the run; None keeps it in memory.
      resume: go on where the run in ``out`` stopped; a fresh one if there is none.
      devices: to lay members over, or how many; all of the default backend's.
      vmap: members computed with at once on a device; 1 on CPU, else what fits.
      resident_bytes: training data above this size stream in blocks.
      on_rows: called with new rows.
      on_event: called with a dict after each call of a program: aejax.Progress(), say.
      should_stop: asked after each call; True saves and returns, unfinished.
      planned: what ``plan`` has made from the same arguments already.
      halving: stops members that are behind others, and saves their time.
      command: what was typed, for run.json.

    Returns:
      A Run; ``info["finished"]`` is False if it was stopped.

    Raises:
      InputError: bad input, a directory that holds another run, a full disk or memory.
    """
    axes = _checked(config, axes, vmap, halving)
    if planned is None:
        planned = plans.plan(config, axes, run_sources.Sources(resident_bytes))
    if not getattr(planned, "populations", ()):
        raise configs.InputError("planned holds no population")
    out, chosen = pathlib.Path(out).expanduser() if out else None, _devices(devices)
    if halving:
        halvings.check(halving, config, axes, planned.populations)
        vmap = vmap or halvings.batch(halving, planned.populations, chosen)
    inputs = out and provenance.inputs(planned, chosen, vmap)
    faults.check_memory(planned.populations, chosen)
    info = provenance.describe(config, axes, planned, chosen, inputs, command)
    log = writer.Writer(planned, info, on_rows, on_event, halving)  # adds to info
    asked = out, config, axes, resume, inputs, info.get("halving")
    admit = functools.partial(admission.check, *asked)
    build = functools.partial(programs.Program, devices=chosen, vmap=vmap)
    _train(planned, log, out, admit, build, should_stop)
    return log.run(config, axes, out)


def _train(planned, log, out, admit, build, should_stop) -> None:
    """Trains into ``out``, if ``admit`` lets it."""
    with faults.explained(out), contextlib.ExitStack() as stack:
        directory = None
        if out is not None:
            admit()
            directory = stack.enter_context(directories.Directory(out))
        log.write(job.run(planned, log.begin(directory), build, log.race), should_stop)


def _checked(config: Any, axes: Any, vmap: Any, halving: Any) -> dict[str, list[Any]]:
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
    if not isinstance(halving, halvings.Halving | None):
        raise configs.InputError(
            f"halving is {halving!r}; it must be a Halving, e.g. aejax.Halving(eta=3)"
        )
    if vmap is not None and (type(vmap) is not int or vmap < 1):
        raise configs.InputError(
            f"vmap is {vmap!r}; it must be a whole number of at least 1"
        )
    return {n: [configs.plain(v) for v in values] for n, values in (axes or {}).items()}


def _devices(given: Any) -> list[jax.Device]:
    """All of the default backend's, the first so many, or those that are given."""
    known = jax.devices()
    given = len(known) if given is None else given
    if type(given) is int and 1 <= given <= len(known):
        return known[:given]
    fits = isinstance(given, Sequence) and not isinstance(given, str) and given
    if not fits or not all(isinstance(one, jax.Device) for one in given):
        raise configs.InputError(
            f"devices is {given!r}; it must be jax devices, e.g. jax.devices()[:1], or "
            f"how many of these {len(known)}"
        )
    return list(given)
