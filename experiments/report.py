"""Plots runs again, or compares several: ``python -m experiments.report --help``."""

import dataclasses
import sys
from collections.abc import Sequence
from typing import Annotated

import tyro

from aejax import config
from experiments import environment

PROGRAM = "python -m experiments.report"
_DIR = tyro.conf.arg(metavar="DIR", help_behavior_hint="")


@dataclasses.dataclass(frozen=True)
class Flags:
    """Writes report.html and figures/ from the directories of runs. Trains nothing."""

    dirs: Annotated[tuple[str, ...], tyro.conf.Positional, _DIR]
    """of sweeps, finished or not; several give one page that compares them"""
    out: Annotated[str, _DIR] = ""
    """where to write; by default the run itself, or comparison/ beside the first"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command line.

    Returns:
      0 when the page is written; 2 after bad input, described on stderr.
    """
    return environment.run(_report, argv)


def _report(argv: list[str]) -> int:
    flags = tyro.cli(Flags, args=argv, prog=PROGRAM)
    if not flags.dirs:
        raise config.InputError(f"no directory was given; type {PROGRAM} runs/NAME")
    environment.start(1, None)

    # Only now: these import jax, which has to start as the line above says.
    from aejax import report
    from aejax.runs import run

    runs = [run.open_run(d) for d in flags.dirs]
    try:
        print(f"report:  {report.write(runs, flags.out or None)}")
    except OSError as error:
        raise config.InputError(
            f"the report cannot be written: {error}; give another place with --out"
        ) from error
    return 0


if __name__ == "__main__":
    sys.exit(main())
