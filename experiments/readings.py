"""Readings of the clock: every system in a process of its own, one after the other.

Needs the standard library alone: what the systems are made of is theirs to import.
"""

import contextlib
import datetime
import json
import math
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import Any

from aejax import machine
from experiments import workloads


def timed(
    suite: str,
    workload: workloads.Workload,
    repeats: int,
    folder: pathlib.Path,
    missing: dict[str, str],
    systems: Sequence[str] | None = None,
    patience: float = math.inf,
) -> list[dict[str, Any]]:
    """One workload on its systems: all are prepared, then read in turns.

    Args:
      missing: {system: why it is not timed}, and "WORKLOAD: system" of one that fails
        at this workload only; added to.
      systems: by default the large product and all that the workload has.
      patience: seconds for each answer of a system; then it is ended.
    """
    workers = {}
    with contextlib.ExitStack() as stack:
        for system in systems or ("gemm", *workload.systems):
            if system in missing:
                continue
            print(f"{workload.name}: {system}", end="", flush=True)
            process = stack.enter_context(_worker(suite, workload, system, folder))
            stack.callback(process.kill)
            facts = _answer(process, patience)
            if "error" in facts:
                print(f": {facts['error']}")
                lacks = facts["error"].startswith("not installed")
                name = system if lacks else f"{workload.name}: {system}"
                missing[name] = facts["error"]
                continue
            print(f", ready ({facts['version']})", flush=True)
            workers[system] = process, facts, []
        for _ in range(repeats):
            for system, (process, _, speeds) in list(workers.items()):
                with contextlib.suppress(BrokenPipeError):
                    process.stdin.write("go\n")
                    process.stdin.flush()
                answer = _answer(process, patience)
                if "error" in answer:
                    missing[f"{workload.name}: {system}"] = answer["error"]
                    print(f"{workload.name}: {system}: {answer['error']}")
                    del workers[system]
                    continue
                speeds.append(answer["steps"] / answer["seconds"])
    return [_row(workload, n, facts, got) for n, (_, facts, got) in workers.items()]


def _row(workload, system, facts, speeds) -> dict[str, Any]:
    middle = statistics.median(speeds)
    size = 0 if system == "gemm" else workload.batch
    flops = facts.pop("flops", None) or workload.flops()
    return {
        "workload": workload.name,
        "system": system,
        "images_per_s": middle * size,
        "steps_per_s": middle,
        "low": min(speeds),
        "high": max(speeds),
        "flops_per_s": middle * flops,
        "precision": workload.precision,
        "repeats": len(speeds),
        "members": len(workload.latent),
        **facts,
    }


def _worker(suite, workload, system, folder) -> subprocess.Popen:
    command = [sys.executable, "-m", "experiments.peers"]
    command += [suite, workload.name, system, str(folder)]
    variables = {"TQDM_DISABLE": "1"}  # pythae's bars
    variables["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"  # several hold one accelerator
    variables["AEJAX_CACHE_DIR"] = str(folder / f"cache-{workload.name}-{system}")
    env = os.environ | variables
    env.pop("JAX_COMPILATION_CACHE_DIR", None)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    return subprocess.Popen(command, env=env, text=True, **pipes)


def _answer(process: subprocess.Popen, patience: float) -> dict[str, Any]:
    """What a worker says; {"error": …} if it has died, or said nothing for so long."""
    timer = threading.Timer(min(patience, threading.TIMEOUT_MAX), process.kill)
    timer.daemon = True
    timer.start()
    line = process.stdout.readline()
    late = not timer.is_alive() and not line
    timer.cancel()
    if line:
        return json.loads(line)
    if late and process.wait() < 0:
        return {"error": f"it said nothing for {patience:.0f} s"}
    return {"error": f"it died with exit code {process.wait()}"}


def fractions(rows: list[dict[str, Any]]) -> None:
    """Adds gemm_fraction: of the best large product of this run and precision."""
    best: dict[str, float] = {}
    for row in rows:
        if row["system"] == "gemm":
            kind = row["precision"]
            best[kind] = max(best.get(kind, 0.0), row["flops_per_s"])
    for row in rows:
        if row.get("precision") in best:
            row["gemm_fraction"] = row["flops_per_s"] / best[row["precision"]]


def where(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Device, cores, versions and date."""
    ours = next((r for r in rows if r["system"] == "aejax"), {})
    packages = ("jax", "jaxlib", "flax", "optax", "aejax")
    return {
        "date": f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}",
        "device": ours.get("device", "cpu"),
        "cores": machine.usable_cores(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "versions": {n: machine.version(n) for n in packages},
    }
