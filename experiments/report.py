"""Plots runs again, or compares several: ``python -m experiments.report --help``."""

import dataclasses
import pathlib
import sys
from collections.abc import Sequence
from typing import Annotated

import tyro

from aejax import config
from experiments import environment

PROGRAM = "python -m experiments.report"


@dataclasses.dataclass(frozen=True)
class Flags:
    """Writes report.html and figures/ from the directories of runs. Trains nothing.

    One run: its page again. Several: one page that compares them.
    """

    dirs: Annotated[
        tuple[str, ...],
        tyro.conf.Positional,
        tyro.conf.arg(metavar="DIR [DIR …]", help_behavior_hint=""),
    ]
    """directories that sweeps have written, finished or not"""
    out: Annotated[str, tyro.conf.arg(metavar="DIR", help_behavior_hint="")] = ""
    """where to write; by default the run itself, or comparison/ beside the first"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command line.

    Returns:
      0 when the page is written; 2 after bad input, described on stderr.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    try:
        flags = tyro.cli(Flags, args=argv, prog=PROGRAM)
        with environment.warnings_as_lines():
            return _report(flags)
    except SystemExit as end:  # tyro: 0 after --help, 2 after a message of its own
        return end.code
    except config.InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def _report(flags: Flags) -> int:
    if not flags.dirs:
        raise config.InputError(f"no directory was given; type {PROGRAM} runs/NAME")
    for name in flags.dirs:
        if not (pathlib.Path(name) / "run.json").is_file():
            raise config.InputError(
                f"'{name}' holds no run: there is no run.json in it; give a directory "
                "that a sweep has written, e.g. the newest of runs/"
            )
    environment.prepare_xla_flags()
    environment.start(1, None)

    # Only now: these import jax, which reads the flags above when it starts.
    from aejax import report, run

    try:
        page = report.write([run.open_run(d) for d in flags.dirs], flags.out or None)
    except OSError as error:
        raise config.InputError(
            f"the report cannot be written: {error.strerror or error} "
            f"({error.filename}); give another place with --out"
        ) from error
    print(f"report:  {page}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
