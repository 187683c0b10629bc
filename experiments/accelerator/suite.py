"""The accelerator suite of ``experiments.benchmark``, what matters most first."""

import pathlib
from collections.abc import Iterator
from typing import Any

from experiments import readings, workloads

PATIENCE = 60.0  # seconds for a system to be ready, or to be read once


def measure(folder: pathlib.Path, tiny: bool) -> Iterator[dict[str, Any]]:
    """The benchmark's rows, and one of what could not be timed, with the reason."""
    name = "tiny" if tiny else "accelerator"
    missing: dict[str, str] = {}
    limits: list[dict[str, Any]] = []  # rows of the large product, one a precision
    for workload in workloads.SUITES[name]:
        # The loader and the loop of the CPU suite say nothing new here.
        systems = [s for s in workload.systems if s != "torch_loader"]
        if tiny:
            systems = [s for s in systems if s != "aejax_loop"]
        if workload.precision not in {r["precision"] for r in limits}:
            systems.insert(0, "gemm")  # once: an accelerator's limit does not wander
        # One after the other, each row as soon as it is read: turns, which are against
        # noise, would lose all of them with the one that is too slow to compile.
        for system in systems:
            before = dict(missing)
            rows = readings.timed(
                name, workload, 3, folder, missing, [system], PATIENCE
            )
            limits += [r for r in rows if r["system"] == "gemm"]
            readings.fractions([*limits, *rows])
            yield from rows
            for what in missing.keys() - before.keys():
                yield {"missing": what, "why": missing[what]}
