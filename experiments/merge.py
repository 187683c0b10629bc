"""Tables of a run whose shares were trained apart: ``python -m experiments.merge``."""

import dataclasses
import sys
from collections.abc import Sequence
from typing import Annotated

import tyro

from experiments import environment

PROGRAM = "python -m experiments.merge"
_DIR = tyro.conf.arg(metavar="DIR", help_behavior_hint="")


@dataclasses.dataclass(frozen=True)
class Flags:
    """Gathers the rows of a sweep's shares (--shard I/N) and writes its tables."""

    dir: Annotated[str, tyro.conf.Positional, _DIR]
    """of the run, which all shares have written to"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command line.

    Returns:
      0 when the tables are written; 2 after bad input, described on stderr.
    """
    return environment.run(_merge, argv)


def _merge(argv: list[str]) -> int:
    flags = tyro.cli(Flags, args=argv, prog=PROGRAM)
    environment.start(1, None)

    # Only now: these import jax, which has to start as the line above says.
    from aejax.engines import driver
    from aejax.report import table
    from experiments import tables

    run = driver.merge(flags.dir)
    tables.show(*table.final(table.read([run])), "test metrics, mean over n seeds")
    print(f"results: {run.dir}; python -m experiments.report {run.dir}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
