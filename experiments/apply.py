"""Uses trained autoencoders: ``python -m experiments.apply --help``."""

import dataclasses
import datetime
import json
import pathlib
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import tyro

from aejax import axes, config, registry, tasks
from experiments import environment
from experiments import options as options_lib

PROGRAM = "python -m experiments.apply"

_Repeated = Annotated[
    tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="NAME=VALUE")
]


@dataclasses.dataclass(frozen=True)
class Flags:
    """Applies trained models: a table, a picture, a section of the report."""

    task: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="TASK")]
    """one of those below, or all"""
    run: Annotated[str, tyro.conf.arg(metavar="DIR")] = ""
    """directory of a sweep; without it, suitable models are trained first"""
    where: _Repeated = ()
    """which models of the run: an axis and its value, or several with commas"""
    dataset: Annotated[str, tyro.conf.arg(metavar="NAME")] = ""
    """what models are trained on and applied to; with --run, applied to"""
    train: _Repeated = ()
    """setting of the models that are trained, e.g. epochs=20"""
    set: _Repeated = ()
    """option of the task"""
    out: Annotated[str, tyro.conf.arg(metavar="DIR")] = ""
    """where to write; by default the run, or runs/apply-TIME"""
    latent_dim: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """short for --where latent_dim=N"""
    seed: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """short for --where seed=N"""
    devices: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """number of devices to train on; all"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command line.

    Returns:
      0 when all is done; 2 after bad input, described on stderr; 130 if interrupted.
    """
    return environment.run(_apply, argv)


def _apply(argv: list[str]) -> int:
    flags = _parse(argv)
    names = list(tasks.TASKS) if flags.task == "all" else [flags.task]
    for name in names:
        tasks.TASKS.check(name)
    if flags.set and len(names) > 1:
        raise config.InputError("--set is for one task, not for all")
    devices = environment.start(64, flags.devices)

    # Only now: these import jax, which has to start as the line above says.
    from aejax import report
    from aejax.runs import run

    now = datetime.datetime.now(datetime.UTC)
    out = pathlib.Path(flags.out or flags.run or f"runs/apply-{now:%Y%m%d-%H%M%S}")
    given = run.open_run(flags.run) if flags.run else None
    began, refused = time.monotonic(), []
    for name in names:
        print(f"\n— {name}: {tasks.TASKS.title(name)}", flush=True)
        try:
            _one(name, flags, given, out, devices)
        except config.InputError as error:
            if len(names) == 1:
                raise
            refused.append(name)
            print(f"not applied: {error}")
        except OSError as error:
            raise config.InputError(
                f"{name} cannot be written: {error}; give another place with --out"
            ) from error
    inside = given is not None and out.resolve() == given.dir.resolve()
    if not inside and len(refused) == len(names):
        return 2
    page = report.write([given]) if inside else report.applications(out)
    lacks = f"; not applied: {', '.join(refused)}" * bool(refused)
    minutes = (time.monotonic() - began) / 60
    print(f"\nreport:  {page}\n{minutes:.1f} minutes{lacks}")
    return 0


def _parse(argv: list[str]) -> Flags:
    try:
        return tyro.cli(Flags, args=argv, prog=PROGRAM)
    except SystemExit as end:
        if not end.code:
            print("tasks:")
            print(*(f"  {n:20} {tasks.TASKS.title(n)}" for n in tasks.TASKS), sep="\n")
        raise


def _values(words: Sequence[str]) -> dict[str, list[Any]]:
    return dict(map(axes.parse, words))


def _one(name: str, flags: Flags, given: Any, out: pathlib.Path, devices: Any) -> None:
    """Applies one task: prints its table, writes its files."""
    from aejax import data as datasets
    from aejax import report
    from aejax.report import words
    from experiments import tables

    task, title = tasks.TASKS[name], tasks.TASKS.title(name)
    options = _options(name, task, _values(flags.set))
    choice = {n: set(v) for n, v in _values(flags.where).items()}
    short = {n: getattr(flags, n) for n in ("latent_dim", "seed")}
    choice |= {n: {v} for n, v in short.items() if v is not None}
    if given is not None:
        models = (given.models if task.all_models else given.best)(**choice)
        trained_on = models[0].config.dataset
        facts = {p.spec.config.dataset: p.spec.data for p in given.populations}
        data = datasets.load(
            flags.dataset or trained_on, flags.dataset and facts[trained_on]
        )
    else:
        data = datasets.load(flags.dataset or task.dataset)
    task.check(data)
    if flags.task != "all":
        options_lib.show_notes(data)
    if given is None:
        models = _trained(task, data, flags, choice, out / "models", devices)
    began = time.monotonic()
    result = task.apply(models, data, **options)
    spent = time.monotonic() - began
    name = pathlib.PurePath(name).stem if registry.is_path(name) else name
    summary = {
        "task": name,
        "title": title,
        "text": result.text,
        "data": data.name,
        "options": options,
        "models": [_described(model) for model in models],
        "metrics": list(result.metrics),
    }
    path = out / f"task-{name}.json"
    text = json.dumps(summary, indent=1, default=lambda a: a.tolist()) + "\n"
    for file, content in {path.name: text.encode(), **result.files}.items():
        (out / file).parent.mkdir(parents=True, exist_ok=True)
        (out / file).write_bytes(content)
    report.picture(result.panels, path.with_suffix(".png"))
    tables.show(*words.cells(result.metrics), f"{name} on {data.name}")
    print(f"{result.text}\n{path.with_suffix('.png')}, {spent:.0f} s", flush=True)


def _options(name: str, task: tasks.Task, given: Mapping[str, list]) -> dict[str, Any]:
    """The task's options: its defaults, and what was given, of their types."""
    options = task.options
    for option, values in given.items():
        if option not in options:
            raise config.unknown(f"option of {name}", option, options)
        several = isinstance(options[option], tuple)
        options[option] = tuple(values) if several else values[-1]
    return options


def _described(model: Any) -> dict[str, Any]:
    """What a model is and how it was chosen, for the JSON."""
    names = "dataset", "objective", "network"
    facts = {n: getattr(model.config, n) for n in names}
    facts |= {"latent_dim": model.latent_dim, "seed": model.config.seed}
    chosen = {"last": "the last step's", "best": "the best on the validation split"}
    return facts | {"parameters": chosen[model.config.select], **model.config.hparams}


def _trained(task: tasks.Task, data: Any, flags: Flags, choice, folder, devices):
    """The models that suit a task, trained, or found where they were trained before."""
    from aejax import progress
    from aejax.runs import plan
    from aejax.runs import sweep as sweeps

    models = []
    for sweep in task.sweeps(data):
        values = {"dataset": data.name, **sweep.values}
        swept = {n: list(v) for n, v in sweep.axes.items()}
        for name, chosen in _values(flags.train).items():
            swept.pop(name, None), values.pop(name, None)
            if len(chosen) == 1:
                values[name] = chosen[0]
            else:
                swept[name] = chosen
        hparams = {n: v for n, v in values.items() if n not in config.FIELDS}
        for name in hparams:
            del values[name]
        for name in swept:
            values.pop(name, None)
        base = plan.without_unused(config.Config(**values, hparams=hparams), swept)
        planned = plan.plan(base, swept)
        out = folder / sweep.name
        title = f"training {progress.count(planned.count, 'model')}, to {out}"
        with (
            environment.interruptible() as stop,
            progress.Progress(progress.names(planned), title) as p,
        ):
            run = sweeps.sweep(
                base,
                swept,
                out=out,
                resume=True,
                devices=devices,
                planned=planned,
                on_event=p.on_event,
                should_stop=stop,
            )
        if not run.info["finished"]:
            raise KeyboardInterrupt
        models += run.models(**task.choose | choice)
    return models


if __name__ == "__main__":
    sys.exit(main())
