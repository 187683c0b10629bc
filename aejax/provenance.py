"""run.json: what ran, on what, and how fast."""

import dataclasses
import datetime
import hashlib
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import jax

from aejax import config, directory, registry, run

COMPUTE = ("jax", "jaxlib", "flax", "optax", "aejax")  # packages


@dataclasses.dataclass
class Spent:
    """Counters of a run, over all its resumptions."""

    compile_s: float = 0.0  # in which at least one program was in the compiler
    trace_s: float = 0.0  # of tracing and lowering, added over programs
    train_s: float = 0.0  # in dispatches, evaluation included
    lane_steps: float = 0.0  # over all lanes
    images: float = 0.0
    compiled_until: float = 0.0

    def add_compilation(self, began: float, ended: float) -> None:
        """Counts a compilation; programs that compile side by side count once.

        Programs are added in the order in which they began.
        """
        self.compile_s += max(0.0, ended - max(began, self.compiled_until))
        self.compiled_until = max(ended, self.compiled_until)


def spent_before(dir: pathlib.Path) -> Spent:
    """The counters with which an earlier part of the run ended."""
    if not (dir / "run.json").is_file():
        return Spent()
    info = directory.read_info(dir)
    old = {n: info.get(n, 0.0) for n in ("compile_s", "trace_s", "train_s")}
    steps = info.get("steps_per_s", 0.0) * old["train_s"]
    images = info.get("images_per_s", 0.0) * old["train_s"]
    return Spent(**old, lane_steps=steps, images=images)


def speeds(spent: Spent) -> dict[str, float]:
    """The counters as run.json has them."""
    times = {n: getattr(spent, n) for n in ("compile_s", "trace_s", "train_s")}
    counts = {"steps_per_s": spent.lane_steps, "images_per_s": spent.images}
    seconds = max(spent.train_s, 1e-9)
    rates = {n: round(count / seconds, 1) for n, count in counts.items()}
    return {n: round(v, 3) for n, v in times.items()} | rates


def inputs(run: run.Run) -> dict[str, Any]:
    """What a run's digits depend on beside its configuration; a resume compares it.

    {path: SHA-256} of the user's files, the number of blocks its data stream in, the
    versions of what computes, and how that was told to.
    """
    found: dict[str, Any] = {"blocks": [g.source.blocks for g in run.planned]}
    found |= {f"version of {n}": config.version(n) for n in COMPUTE}
    flags = os.environ.get("XLA_FLAGS", "").split()
    where = "--xla_force_host_platform_device_count"  # not part of any digit
    found["XLA_FLAGS"] = " ".join(sorted(f for f in flags if not f.startswith(where)))
    found["threads"] = os.environ.get("PJRT_NPROC") or str(config.usable_cores())
    for name in ("jax_enable_x64", "jax_threefry_partitionable"):
        found[name] = getattr(jax.config, name)
    for lane in (g.recipe.config for g in run.planned):
        for name in (lane.dataset, lane.objective, lane.network):
            if registry.is_path(name) and pathlib.Path(name).is_file():
                content = pathlib.Path(name).read_bytes()
                found[f"file {name}"] = hashlib.sha256(content).hexdigest()[:16]
    return found


def describe(run: run.Run, devices: Sequence[jax.Device]) -> dict[str, Any]:
    """Configuration, versions, device and size of a run that starts."""
    packages = (*COMPUTE, "orbax-checkpoint")
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return {
        "configuration": run.config.to_json(),
        "axes": run.axes,
        "versions": {n: config.version(n) for n in packages},
        "device": f"{len(devices)} × {devices[0].device_kind}",
        "platform": devices[0].platform,
        "cores": os.cpu_count(),
        "lanes": sum(len(g.lanes) for g in run.planned),
        "programs": len(run.planned),
        "started": now,
        "cache": None,
        "finished": False,
    }


def cache_entries() -> set[str] | None:
    """Entries of the persistent compilation cache; None if there is no cache."""
    folder = jax.config.jax_compilation_cache_dir
    return {e.name for e in pathlib.Path(folder).glob("*-cache")} if folder else None


def cache_state(before: set[str] | None, compiled: bool) -> str:
    """off, unused, hit (nothing was added), miss (something was), or refused."""
    after = cache_entries()
    if after is None or before is None:
        return "off"
    if not compiled:
        return "unused"
    return "miss" if after - before else "hit" if after else "refused"
