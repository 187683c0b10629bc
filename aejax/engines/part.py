"""One shard as a run directory of its own: what a worker trains, and a search."""

import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aejax import config as configs
from aejax.runs import admission, directory, halving, job, plan, provenance, writer
from aejax.training import population as populations
from aejax.training import program


def train(
    where: pathlib.Path,
    planned: plan.Plan,
    asked: tuple[configs.Config, Mapping[str, Sequence[Any]]],
    made: tuple[Sequence[Any], Mapping[str, Any]],
    build: Callable[[populations.Population], program.Program],
    on_event: Callable[[dict[str, Any]], None],
    should_stop: Callable[[], bool],
    *,
    rule: halving.Halving | None = None,
    leg: halving.Leg | None = None,
    patience: float = 0.0,
) -> writer.Writer:
    """Trains what is planned into a directory, or goes on where that stands.

    Args:
      asked: configuration and axes of the run that it is of.
      made: devices, and all that the digits depend on: a resume compares it.
      build: a population's program, compiled before or now.
      rule, leg: of successive halving; without a leg its own rows decide.
      patience: seconds to wait for another that holds the directory.

    Returns:
      What was written; ``info["finished"]`` says whether it is done.

    Raises:
      InputError: the directory holds another run, or is held by another process.
    """
    (config, axes), (devices, inputs) = asked, made
    info = provenance.describe(config, axes, planned, devices, inputs, None)
    log = writer.Writer(planned, info, None, on_event, rule, leg)
    admission.check(where, config, axes, True, inputs, log.info.get("halving"))
    with directory.Directory(where, patience) as locked:
        events = job.run(planned, log.begin(locked), build, log.race)
        log.write(events, should_stop)
    return log


def answer(log: writer.Writer, done: bool, warnings: Sequence[str]) -> dict[str, Any]:
    """What ``gather`` takes of a shard, in JSON's types; rows only if it is done."""
    taken = {n: log.info[n] for n in ("compile_s", "trace_s", "train_s", "cache")}
    rows = log.rows if done else []
    return taken | {"finished": done, "rows": rows, "warnings": list(warnings)}
