"""Writes a trained model for others: ``python -m experiments.export --help``."""

import dataclasses
import pathlib
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import tyro

from aejax import axes, config
from experiments import environment

PROGRAM = "python -m experiments.export"
FORMATS = ("npz", "safetensors", "stablehlo", "onnx")  # of exports, which imports jax
_DIR = tyro.conf.arg(metavar="DIR", help_behavior_hint="")
_Repeated = Annotated[
    tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="NAME=VALUE")
]


@dataclasses.dataclass(frozen=True)
class Flags:
    """Exports one model of a run: parameters, functions and a model card."""

    run: Annotated[str, tyro.conf.Positional, _DIR]
    """of a sweep; or of an export, to have it in another format"""
    format: Annotated[str, tyro.conf.arg(metavar="NAME")] = "npz"
    """npz or safetensors: parameters; stablehlo: functions for jax alone; onnx"""
    out: Annotated[str, _DIR] = ""
    """where to write, a new or empty folder; by default exports/FORMAT-NUMBER in the
    run, of the member with that number"""
    where: _Repeated = ()
    """which model of the run: an axis and its value"""
    latent_dim: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """short for --where latent_dim=N"""
    seed: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """short for --where seed=N"""
    push_to_hub: Annotated[str, tyro.conf.arg(metavar="OWNER/NAME")] = ""
    """prints what an upload of the export is; --yes does it"""
    yes: bool = False
    """with --push-to-hub: uploads by huggingface_hub, into a private repository if
    there is none of that name yet"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command line.

    Returns:
      0 when the export is written; 2 after bad input, described on stderr.
    """
    return environment.run(_export, argv)


def _export(argv: list[str]) -> int:
    flags = tyro.cli(Flags, args=argv, prog=PROGRAM)
    if flags.format not in FORMATS:
        raise config.unknown("format", flags.format, FORMATS)
    choice = _choice(flags)
    environment.start(1, None)

    # Only now: these import jax, which has to start as the line above says.
    from aejax.exports import hub

    if flags.push_to_hub:
        hub.check(flags.push_to_hub)
    model, out = _chosen(flags, choice)
    folder = model.export(out, flags.format)
    sizes = sum(path.stat().st_size for path in folder.iterdir())
    print(f"export:  {folder}, {sizes:,} bytes; its README.md says how it is loaded")
    if flags.push_to_hub:
        print(hub.plan(folder, flags.push_to_hub))
        answer = hub.push(folder, flags.push_to_hub) if flags.yes else None
        more = f"pip install {hub.PACKAGE}" if flags.yes else "--yes uploads it"
        print(f"uploaded: {answer}" if answer else f"nothing was uploaded: {more}")
    return 0


def _choice(flags: Flags) -> dict[str, Any]:
    """Axis values of the model that is wanted."""
    choice = {}
    for name, values in map(axes.parse, flags.where):
        if len(values) > 1:
            raise config.InputError(f"--where {name}: one model has one value of it")
        choice[name] = values[0]
    short = {n: getattr(flags, n) for n in ("latent_dim", "seed")}
    return choice | {n: v for n, v in short.items() if v is not None}


def _chosen(flags: Flags, choice: dict[str, Any]) -> tuple[Any, str | pathlib.Path]:
    """The model, and where to export it to."""
    import aejax

    given = pathlib.Path(flags.run).expanduser()
    if (given / "model.json").is_file():
        if choice or not flags.out:
            raise config.InputError(
                f"'{flags.run}' is an export, of one model: say no --where, and --out"
            )
        return aejax.load(given), flags.out
    model = aejax.open_run(given).model(**choice)
    number = model.origin()["number"]
    return model, flags.out or given / "exports" / f"{flags.format}-{number}"


if __name__ == "__main__":
    sys.exit(main())
