"""How a command that trains ends: with a report, or with how to go on."""

import sys
import time
from collections.abc import Sequence
from typing import Any

from experiments import options


def stopped(argv: Sequence[str], out: str, program: str = options.PROGRAM) -> int:
    """Says how to go on with a run that was stopped; the exit code."""
    print(
        "stopped; this goes on from the last checkpoint:\n"
        f"{options.resume_command(argv, out, program)}"
    )
    return 130


def report(run: Any, began: float) -> int:
    """Writes the report, the exit code; whatever is wrong, the run itself is safe."""
    try:
        from aejax import report as reports

        page, findings = reports.write([run]), reports.findings([run])
    except Exception as error:  # plotting can fail in any way
        print(f"results: {run.dir}", flush=True)
        print(
            f"error: the report was not made ({type(error).__name__}: {error}); the "
            "results are complete, and this repeats it: python -m experiments.report "
            f"{run.dir}",
            file=sys.stderr,
        )
        return 1
    spent = time.monotonic() - began
    print("", *findings, sep="\n")
    print(
        f"\nresults: {run.dir}\nreport:  {page}\n"
        f"{spent:.0f} s in all, {run.info['train_s']:.0f} s of them training"
    )
    return 0
