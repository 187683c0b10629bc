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

from aejax import config, machine
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
        found = goals.table(told["rows"], told["suite"])
        print(f"\n{timings.where(told)}\n\n{tables.markdown(*found)}")
        if flags.figure:
            pathlib.Path(flags.figure).write_text(timings.figure(told["rows"]))
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
    told = {"suite": flags.suite, "repeats": flags.repeats, "missing": missing}
    with tempfile.TemporaryDirectory() as folder:
        for name in (*suite, *sweeps):
            if flags.only and name not in flags.only:
                continue
            if name in suite:
                rows += _timed(flags, suite[name], pathlib.Path(folder), missing)
            else:
                rows += _default_sweep(flags.repeats, pathlib.Path(folder))
            _fractions(rows)
            told |= _machine(rows) | {"rows": rows}
            if flags.json:  # after each: what comes later may fail
                pathlib.Path(flags.json).write_text(json.dumps(told, indent=1) + "\n")
    if not rows:
        raise config.InputError("nothing was timed; see above")
    title = f"medians of {flags.repeats} readings"
    tables.show(timings.HEADERS, timings.cells(rows), title)
    print(timings.where(told))
    for system, why in missing.items():
        print(f"{system}: {why}")
    headers, found = goals.table(rows, flags.suite)
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
            print(f"{workload.name}: {system}", end="", flush=True)
            process = stack.enter_context(_worker(flags, workload, system, folder))
            stack.callback(process.kill)
            facts = _answer(process)
            if "error" in facts:
                print(f": {facts['error']}")
                if facts["error"].startswith("not installed"):
                    missing[system] = facts["error"]
                continue
            print(f", ready ({facts['version']})", flush=True)
            workers[system] = process, facts, []
        for _ in range(flags.repeats):
            for system, (process, _, speeds) in list(workers.items()):
                with contextlib.suppress(BrokenPipeError):
                    process.stdin.write("go\n")
                    process.stdin.flush()
                answer = _answer(process)
                if "error" in answer:
                    print(f"{workload.name}: {system}: {answer['error']}")
                    del workers[system]
                    continue
                speeds.append(answer["steps"] / answer["seconds"])
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
                "precision": workload.precision,
                "repeats": len(speeds),
                "lanes": len(workload.latent),
                **facts,
            }
        )
    return rows


def _worker(flags, workload, system, folder) -> subprocess.Popen:
    command = [sys.executable, "-m", "experiments.peers"]
    command += [flags.suite, workload.name, system, str(folder)]
    own = {"TQDM_DISABLE": "1"}  # pythae's bars
    own["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"  # several hold one accelerator
    own["AEJAX_CACHE_DIR"] = str(folder / f"cache-{workload.name}-{system}")
    env = os.environ | own
    env.pop("JAX_COMPILATION_CACHE_DIR", None)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    return subprocess.Popen(command, env=env, text=True, **pipes)


def _answer(process: subprocess.Popen) -> dict[str, Any]:
    """What a worker says; {"error": …} if it has died."""
    if line := process.stdout.readline():
        return json.loads(line)
    return {"error": f"it died with exit code {process.wait()}"}


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
    """Adds gemm_fraction: of the best large product of this run and precision."""
    best: dict[str, float] = {}
    for row in rows:
        if row["system"] == "gemm":
            kind = row["precision"]
            best[kind] = max(best.get(kind, 0.0), row["flops_per_s"])
    for row in rows:
        if row.get("precision") in best:
            row["gemm_fraction"] = row["flops_per_s"] / best[row["precision"]]


def _machine(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    own = next((r for r in rows if r["system"] == "aejax"), {})
    packages = ("jax", "jaxlib", "flax", "optax", "aejax")
    return {
        "date": f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}",
        "device": own.get("device", "cpu"),
        "cores": machine.usable_cores(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "versions": {n: importlib.metadata.version(n) for n in packages},
    }


if __name__ == "__main__":
    sys.exit(main())
