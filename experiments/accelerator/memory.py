"""How many members are vmapped, and the memory that was needed against its estimate.

Each in a process of its own, whose peak it is. The last has little memory: its members
must be cut into several batches, and train.
"""

import os
import pathlib
from collections.abc import Iterator
from typing import Any

from experiments import environment, readings, workloads

LITTLE = 2 << 30


def measure(folder: pathlib.Path, tiny: bool) -> Iterator[dict[str, Any]]:
    """A row per workload."""
    suite = "tiny" if tiny else "accelerator"
    several = {w.name: w for w in workloads.SUITES[suite] if len(w.latent) > 1}
    for workload in several.values():
        yield from _row(suite, workload, folder)
    stats = environment.start(1, 1)[0].memory_stats()
    if not stats:
        yield {"why": "the device does not count its memory: peaks are the process's"}
        return
    older = os.environ.pop("XLA_PYTHON_CLIENT_MEM_FRACTION", "0.75")  # jax's default
    fraction = float(os.environ.get("XLA_CLIENT_MEM_FRACTION", older))
    share = LITTLE / (stats["bytes_limit"] / fraction)
    os.environ["XLA_CLIENT_MEM_FRACTION"] = f"{share:.4f}"
    for row in _row(suite, several["dense_members_64"], folder):
        yield row | {"limit_mb": LITTLE / 2**20}


def _row(suite, workload, folder) -> Iterator[dict[str, Any]]:
    missing: dict[str, str] = {}
    rows = readings.timed(suite, workload, 1, folder, missing, ["aejax"])
    yield from rows
    for what, why in missing.items():
        yield {"missing": what, "why": why}
