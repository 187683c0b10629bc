"""Times aejax beside PyTorch and pythae: ``python -m experiments.benchmark --help``."""

import contextlib
import dataclasses
import datetime
import importlib.metadata
import json
import os
import pathlib
import platform
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
from experiments import environment, goals, tables, timings, workloads

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
    """with --markdown, draw its steps and memory against the number of lanes"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command line.

    Returns:
      0 when every goal is reached; 1 when one is not; 2 after bad input.
    """
    return environment.run(_benchmark, argv)


def _benchmark(argv: list[str]) -> int:
    flags = tyro.cli(Flags, args=argv, prog=PROGRAM)
    if flags.markdown:
        told = json.loads(pathlib.Path(flags.markdown).read_text())
        print(tables.markdown(*timings.by_workload(told["rows"])))
        print(
            f"\n{timings.where(told)}\n\n{tables.markdown(*goals.table(told['rows']))}"
        )
        if flags.figure:
            pathlib.Path(flags.figure).write_text(timings.figure(told["rows"]))
        return 0
    suite = {w.name: w for w in workloads.SUITES[flags.suite]}
    sweeps = ["default_sweep"] * (flags.suite == "cpu")
    for name in flags.only:
        if name not in (*suite, *sweeps):
            raise config.unknown("workload", name, (*suite, *sweeps))
    rows: list[dict[str, Any]] = []
    missing: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, workload in suite.items():
            if not flags.only or name in flags.only:
                rows += _timed(flags, workload, pathlib.Path(folder), missing)
        if sweeps and (not flags.only or sweeps[0] in flags.only):
            rows += _default_sweep(flags.repeats, pathlib.Path(folder))
    _fractions(rows)
    told = {"suite": flags.suite, **_machine(rows), "missing": missing, "rows": rows}
    if flags.json:
        pathlib.Path(flags.json).write_text(json.dumps(told, indent=1) + "\n")
    if not rows:
        raise config.InputError("nothing was timed; see above")
    tables.show(
        timings.HEADERS, timings.cells(rows), f"medians of {flags.repeats} readings"
    )
    print(timings.where(told))
    for system, why in missing.items():
        print(f"{system}: {why}")
    headers, found = goals.table(rows)
    if found:
        tables.show(headers, found, "goals")
    return int(any(row[-1] == "MISS" for row in found))


def _timed(flags, workload, folder, missing) -> list[dict[str, Any]]:
    """One workload on its systems: all are prepared, then read in turns."""
    rows, workers = [], {}
    with contextlib.ExitStack() as stack:
        for system in ("gemm", *workload.systems):
            if system in missing:
                continue
            command = [sys.executable, "-m", "experiments.peers"]
            process = stack.enter_context(
                subprocess.Popen(
                    [*command, flags.suite, workload.name, system, str(folder)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    env=os.environ | {"TQDM_DISABLE": "1"},  # pythae's bars
                    text=True,
                )
            )
            stack.callback(process.kill)
            print(f"{workload.name}: {system}", end="", flush=True)
            facts = json.loads(process.stdout.readline() or '{"error": "it died"}')
            if "error" in facts:
                print(f": {facts['error']}")
                missing[system] = facts["error"]
                continue
            print(f", ready ({facts['version']})", flush=True)
            workers[system] = process, facts, []
        for _ in range(flags.repeats):
            for process, _, speeds in workers.values():
                process.stdin.write("go\n")
                process.stdin.flush()
                steps, seconds = json.loads(process.stdout.readline())
                speeds.append(steps / seconds)
    flops = workload.flops()
    for system, (_, facts, speeds) in workers.items():
        middle = statistics.median(speeds)
        size = 0 if system == "gemm" else workload.batch
        rows.append(
            {
                "workload": workload.name,
                "system": system,
                "images_per_s": middle * size,
                "steps_per_s": middle,
                "low": min(speeds),
                "high": max(speeds),
                "flops_per_s": middle * facts.pop("flops", flops),
                "repeats": len(speeds),
                "lanes": len(workload.latent),
                **facts,
            }
        )
    return rows


def _default_sweep(repeats: int, folder: pathlib.Path) -> list[dict[str, Any]]:
    """The command to its report, as a user runs it: cold once, then warm."""
    spent: dict[str, list[float]] = {"cold": [], "warm": []}
    own = os.environ | {"AEJAX_CACHE_DIR": str(folder / "cache")}
    own |= {"TFDS_DATA_DIR": str(folder / "tfds")}
    for i in range(repeats):
        print(f"default_sweep: {i + 1} of {repeats}, cold and warm", flush=True)
        for name in ("cache", "tfds"):
            shutil.rmtree(folder / name, ignore_errors=True)
        for kind, seconds in spent.items():
            command = [sys.executable, "-m", "experiments.sweep"]
            command += ["--out", str(folder / f"{kind}{i}")]
            began = time.perf_counter()
            subprocess.run(command, env=own, check=True, stdout=subprocess.DEVNULL)
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


def _fractions(rows: list[dict[str, Any]]) -> None:
    """Adds gemm_fraction: of the best large product that this run has seen."""
    best = max((r["flops_per_s"] for r in rows if r["system"] == "gemm"), default=0.0)
    for row in rows:
        if best and "flops_per_s" in row:
            row["gemm_fraction"] = row["flops_per_s"] / best


def _machine(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    own = next((r for r in rows if r["system"] == "aejax"), {})
    packages = ("jax", "jaxlib", "flax", "optax", "aejax")
    return {
        "date": f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}",
        "device": own.get("device", "cpu"),
        "cores": len(os.sched_getaffinity(0)),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "versions": {n: importlib.metadata.version(n) for n in packages},
    }


if __name__ == "__main__":
    sys.exit(main())
