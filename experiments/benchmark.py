"""Times aejax beside PyTorch and pythae: ``python -m experiments.benchmark --help``."""

import dataclasses
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import tyro

from aejax import config
from experiments import environment, goals, readings, tables, timings, workloads

PROGRAM = "python -m experiments.benchmark"


@dataclasses.dataclass(frozen=True)
class Flags:
    """Times every workload on every system that is installed, interleaved."""

    suite: Literal["cpu", "accelerator", "quick"] = "quick"
    """cpu: about half an hour; accelerator: for a GPU or TPU; quick: two minutes"""
    only: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME …")] = ()
    """of the workloads"""
    repeats: int = 5
    """readings of the clock per system, one system after the other"""
    json: Annotated[str, tyro.conf.arg(metavar="FILE")] = ""
    """where to write every number"""
    markdown: Annotated[str, tyro.conf.arg(metavar="FILE")] = ""
    """a JSON file of this command: print it as a Markdown table; time nothing"""
    figure: Annotated[str, tyro.conf.arg(metavar="FILE.svg")] = ""
    """with --markdown, draw its steps and memory against the number of members"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command line.

    Returns:
      0 when every goal is reached; 1 when one is not; 2 after bad input.
    """
    return environment.run(_benchmark, argv)


def _benchmark(argv: list[str]) -> int:
    flags = tyro.cli(Flags, args=argv, prog=PROGRAM)
    if flags.markdown:
        report = json.loads(pathlib.Path(flags.markdown).read_text())
        print(tables.markdown(*timings.by_workload(report["rows"])))
        verdicts = goals.table(report["rows"], report["suite"])
        print(f"\n{timings.where(report)}\n\n{tables.markdown(*verdicts)}")
        if flags.figure:
            pathlib.Path(flags.figure).write_text(timings.figure(report["rows"]))
        return 0
    suite = {w.name: w for w in workloads.SUITES[flags.suite]}
    sweeps = ["default_sweep"] * (flags.suite == "cpu")
    for name in flags.only:
        if name not in (*suite, *sweeps):
            raise config.unknown("workload", name, (*suite, *sweeps))
    if flags.repeats < 1:
        raise config.InputError(f"--repeats is {flags.repeats}; it must be at least 1")
    rows: list[dict[str, Any]] = []
    missing: dict[str, str] = {}
    report = {"suite": flags.suite, "repeats": flags.repeats, "missing": missing}
    with tempfile.TemporaryDirectory() as folder:
        for name in (*suite, *sweeps):
            if flags.only and name not in flags.only:
                continue
            if name in suite:
                where = pathlib.Path(folder), missing
                rows += readings.timed(flags.suite, suite[name], flags.repeats, *where)
            else:
                rows += _default_sweep(flags.repeats, pathlib.Path(folder))
            readings.fractions(rows)
            report |= readings.where(rows) | {"rows": rows}
            if flags.json:  # after each: what comes later may fail
                pathlib.Path(flags.json).write_text(json.dumps(report, indent=1) + "\n")
    if not rows:
        raise config.InputError("nothing was timed; see above")
    title = f"medians of {flags.repeats} readings"
    tables.show(timings.HEADERS, timings.cells(rows), title)
    print(timings.where(report))
    for system, why in missing.items():
        print(f"{system}: {why}")
    headers, verdicts = goals.table(rows, flags.suite)
    if verdicts:
        tables.show(headers, verdicts, "goals")
    return int(any(row[-1] == "MISS" for row in verdicts))


def _default_sweep(repeats: int, folder: pathlib.Path) -> list[dict[str, Any]]:
    """The command to its report, as a user runs it: cold once, then warm."""
    spent: dict[str, list[float]] = {"cold": [], "warm": []}
    variables = os.environ | {"AEJAX_CACHE_DIR": str(folder / "cache")}
    variables |= {"TFDS_DATA_DIR": str(folder / "tfds")}
    for i in range(repeats):
        print(f"default_sweep: {i + 1} of {repeats}, cold and warm", flush=True)
        for name in ("cache", "tfds"):
            shutil.rmtree(folder / name, ignore_errors=True)
        for kind, seconds in spent.items():
            command = [sys.executable, "-m", "experiments.sweep"]
            command += ["--out", str(folder / f"{kind}{i}")]
            began = time.perf_counter()
            subprocess.run(
                command, env=variables, check=True, stdout=subprocess.DEVNULL
            )
            seconds.append(time.perf_counter() - began)
    return [
        {
            "workload": "default_sweep",
            "system": f"aejax ({kind} cache)",
            "seconds": statistics.median(seconds),
            "low": min(seconds),
            "high": max(seconds),
            "repeats": repeats,
        }
        for kind, seconds in spent.items()
    ]


if __name__ == "__main__":
    sys.exit(main())
