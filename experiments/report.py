"""Plots runs again, or compares several: ``python -m experiments.report --help``."""

import dataclasses
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
        if not flags.dirs:
            raise config.InputError(f"no directory was given; type {PROGRAM} runs/NAME")
        with environment.warnings_as_lines():
            environment.prepare_xla_flags()
            environment.start(1, None)

            # Only now: these import jax, which reads the flags above when it starts.
            from aejax import report, run

            runs = [run.open_run(d) for d in flags.dirs]
            print(f"report:  {report.write(runs, flags.out or None)}")
    except SystemExit as end:  # tyro: 0 after --help, 2 after a message of its own
        return end.code
    except config.InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        problem = f"{error.strerror or error} ({error.filename})"
        print(
            f"error: the report cannot be written: {problem}; give another place "
            "with --out",
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
