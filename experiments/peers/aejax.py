"""aejax: the compiled program of a sweep, as ``experiments.sweep`` runs it."""

import ctypes
import gc
import importlib.metadata
import pathlib
import re
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from experiments import environment, workloads


def planned(workload: workloads.Workload, folder: pathlib.Path) -> Any:
    """The workload's one group."""
    from aejax import config, plan

    path, x = folder / f"{workload.name}.npz", workload.data()
    np.savez(path, x_train=x, x_valid=x[:100], x_test=x[:100])
    recurrent = workload.network == "recurrent"
    # No more than are run: a long sweep of many latent sizes would be cut.
    epochs = -(-workload.steps // max(1, workload.n // workload.batch))
    base = config.Config(
        dataset=str(path),
        objective="ae" if recurrent else "vae",
        network=workload.network,
        hidden=workload.hidden,
        batch_size=min(workload.batch, 128) if workload.draws else workload.batch,
        precision=workload.precision,
        epochs=epochs,
        eval_every=epochs,
    )
    lanes = {"latent_dim": dict.fromkeys(workload.latent)}
    lanes["seed"] = range(len(workload.latent) // len(lanes["latent_dim"]))
    (group,) = plan.plan(base, {n: list(v) for n, v in lanes.items()})
    return group


def facts(devices: Any) -> dict[str, Any]:
    """Version, device and threads."""
    from aejax import machine

    return {
        "version": importlib.metadata.version("jax"),
        "device": f"{len(devices)} × {devices[0].device_kind}",
        "threads": machine.usable_cores(),
    }


def prepare(
    workload: workloads.Workload, folder: pathlib.Path
) -> tuple[Callable[[], int], dict[str, Any]]:
    """See the package."""
    lanes = len(workload.latent)
    devices = environment.start(lanes, None)
    if workload.draws:
        return _evaluation(workload, folder, devices)
    from aejax import feed, population

    group = planned(workload, folder)
    began = time.perf_counter()
    one = population.Population(group, devices)
    spent = time.perf_counter() - began
    on_cpu = devices[0].platform == "cpu"
    idle = _restart_peak() if on_cpu else _device_peak(devices)
    one.place()
    recipe = group.recipe
    data = feed.Feed(one)(0)
    steps = -(-workload.steps // recipe.pass_steps) * recipe.pass_steps
    if recipe.pass_steps > workload.steps:
        steps = -(-workload.steps // recipe.unit) * recipe.unit
        steps = min(steps, recipe.pass_steps)

    def repeat(start: int = 0) -> int:
        one.advance(data, start, steps, 0, range(one.rounds))
        return steps * lanes

    repeat(-1)
    estimate = group.total_bytes(min(len(devices), lanes), one.lane_batch)
    told = facts(devices) | {"compile_s": spent}
    told |= {"lane_batch": one.lane_batch, "rounds": one.rounds}
    if idle is not None:
        # An accelerator's peak has the compiler's trials in it: all that was needed.
        used = _resident("VmHWM") - idle if on_cpu else _device_peak(devices)
        told |= {"memory_mb": used / 2**20, "memory_of_estimate": used / estimate}
        told["idle_mb"] = idle / 2**20
    return repeat, told


def _evaluation(workload, folder, devices):
    import jax

    from aejax import evaluate, execute

    group = planned(workload, folder)
    base = group.recipe.config.replace(epochs=1, eval_every=1)
    model = execute.sweep(base).model()
    x = workload.data() / np.float32(255)

    def repeat() -> int:
        key = jax.random.key(0)
        options = {"samples": workload.draws, "grey": True}  # the work is the same
        evaluate.log_likelihood(model, x, key=key, **options)
        return workload.draws

    repeat()
    return repeat, facts(devices) | {"compile_s": 0.0}  # not apart from its first call


def _restart_peak() -> int | None:
    """Bytes of this process, whose most so far is forgotten; None but on Linux."""
    if not sys.platform.startswith("linux"):
        return None
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # what the compiler gave back
    pathlib.Path("/proc/self/clear_refs").write_text("5")
    return _resident("VmRSS")


def _device_peak(devices: Any) -> int | None:
    """Most bytes so far, of all devices together; None where they do not count."""
    counted = [d.memory_stats() or {} for d in devices]
    peaks = [c.get("peak_bytes_in_use") for c in counted]
    return None if None in peaks else sum(peaks)


def _resident(name: str) -> int:
    status = pathlib.Path("/proc/self/status").read_text()
    return int(re.search(rf"{name}:\s+(\d+) kB", status)[1]) * 1024
