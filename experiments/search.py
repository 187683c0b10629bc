"""Searches for settings by Optuna: ``python -m experiments.search --help``."""

import dataclasses
import datetime
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from aejax import config
from experiments import environment, options, presets

PROGRAM = "python -m experiments.search"
_ABOUT = (
    "Searches for the settings of lowest validation error: whole generations of trials "
    "train as members of a few compiled programs."
)
_EXAMPLES = f"""\
A flag with '...' takes values separated by spaces: of several a trial takes one, but
of --seed all, and its value is their mean. --axis gives ranges.
The defaults shown are the preset's.

examples:
  {PROGRAM} --trials 96 --seed 0 1 2 --out runs/search
  {PROGRAM} --trials 192 --seed 0 1 2 --out runs/search --resume
  {PROGRAM} --objective vae beta_vae --hidden 128,64 256 --minimize mse kl
  {PROGRAM} --storage postgresql+psycopg://user@host/name --study digits
"""
_AXIS = (
    "what to search: NAME=log:LOW:HIGH or NAME=linear:LOW:HIGH, a range; NAME=V1,V2, a "
    "choice"
)
_SHARED = ("out", "resume", "vmap", "devices", "halving", "rungs", "dry_run")
_FLAGS: Mapping[str, tuple] = {
    "preset": options.FLAGS["preset"][:1] + ("search",) + options.FLAGS["preset"][2:],
    "axis": (*options.FLAGS["axis"][:4], _AXIS),
    "trials": (int, 64, "N", None, "of this run in all"),
    "population": (int, 32, "N", None, "trials asked and trained together, at most"),
    "minimize": (
        tuple[str, ...],
        (),
        "METRIC ...",
        "nll+kl or mse",
        "on valid; of several the best compromises are kept",
    ),
    "sampler": (str, "tpe", "NAME", None, "what draws trials [tpe, random]"),
    "sampler_seed": (int, 0, "N", None, "of what it draws"),
    "storage": (str, "", "URL", "OUT/study.db", "of the study's database"),
    "study": (str, "aejax", "NAME", None, "its name there: runs can share one"),
    **{name: options.FLAGS[name] for name in _SHARED},
}
SEARCH = options.Command(PROGRAM, _ABOUT, _EXAMPLES, _FLAGS)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command line.

    Returns:
      As ``experiments.sweep``.
    """
    return environment.run(_search, argv)


def _search(argv: list[str]) -> int:
    began = time.monotonic()
    flags = options.parse(argv, SEARCH)
    options.check_numbers(flags)
    base, entries, seeds = _space(flags, argv)
    now = datetime.datetime.now(datetime.UTC)
    out = flags.out or f"runs/{flags.preset}-{now:%Y%m%d-%H%M%S}"
    count = max(1, flags.population) * len(seeds) * base.data_parallel
    devices = environment.start(count, flags.devices, options.threads(flags))

    # Only now: these import jax, which has to start as the line above says.
    from aejax import progress
    from aejax.report import trials
    from aejax.runs import faults, halving, plan, sources
    from aejax.search import goal, searcher, space
    from experiments import ending, listing, tables

    base = plan.without_unused(
        base, {n: e for n, e in entries.items() if type(e) is list}
    )
    rule = (
        None if flags.halving is None else halving.Halving(flags.halving, flags.rungs)
    )
    names = goal.Settings._fields
    given = {n: getattr(flags, n) for n in names if n != "halving"}
    settings = goal.Settings(**given, halving=rule)
    if flags.dry_run:
        whole = space.Space(base, entries, seeds)
        planned = goal.Goal(whole, settings, sources.Sources())
        planned = plan.Plan(planned.frames, planned.sources)
        listing.show_plan(planned, devices, flags.vmap)
        faults.check_memory(planned.populations, devices)
        return 0
    count = progress.count(flags.trials, "trial")
    repeats = progress.count(len(seeds), "seed")
    where = f"{len(devices)} × {devices[0].device_kind}"
    print(f"{count} of {repeats} on {where}, to {out}", flush=True)
    display = progress.Progress(["generation"], "")
    with environment.interruptible() as should_stop, display:
        run = searcher.search(
            base,
            entries,
            seeds,
            settings,
            out=out,
            resume=flags.resume,
            devices=devices,
            vmap=flags.vmap,
            on_event=lambda event: _show(event, display),
            should_stop=should_stop,
            command=options.command(argv, PROGRAM),
        )
    if not run.info["finished"]:
        return ending.stopped(argv, out, PROGRAM)
    if best := trials.best(trials.read(run)):
        title = "the best trials, by their mean over seeds"
        tables.show(*trials.cells(run, best), title)
    else:
        print("\nno trial was trained to its end: all have diverged")
    return ending.report(run, began)


def _space(flags: Any, argv: Sequence[str]) -> tuple[Any, dict[str, Any], list[int]]:
    """What is the same for all trials, what is searched, and the seeds.

    A preset's range is not searched where a flag says a value, or where nothing that
    is asked for has such a hyperparameter.
    """
    from aejax.runs import plan
    from aejax.search import space  # jax with it: after --help

    base, entries = options.settings(dataclasses.replace(flags, axis=()))
    seeds = entries.pop("seed", [base.seed])
    names = entries.get("objective", [base.objective])
    nets = entries.get("network", [base.network])
    known = {*config.AXES, *plan.hyperparameters(names, nets)}
    words = (word.partition("=")[0].lstrip("-") for word in argv if word[:2] == "--")
    known -= {word.replace("-", "_") for word in words}
    ranges = map(space.parse, presets.PRESETS[flags.preset].ranges)
    preset = {name: entry for name, entry in ranges if name in known}
    return base, entries | preset | dict(map(space.parse, flags.axis)), seeds


def _show(event: dict[str, Any], display: Any) -> None:
    """Generations are lines, the training of one is a bar."""
    if event["kind"] == "generation" and event["trials"]:
        line = f"{event['trials']:,} of {max(event['of'], event['trials']):,} trials"
        if best := event["best"]:
            value, number = best
            line += f", best {value:.6g} of trial {number}"
        print(line, flush=True)
    elif event["kind"] in ("train", "warn"):
        display.on_event(event | {"population": 0})


if __name__ == "__main__":
    sys.exit(main())
