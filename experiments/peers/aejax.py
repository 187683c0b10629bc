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
    """The plan of the workload, of one population."""
    from aejax import config
    from aejax.runs import plan

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
    members = {"latent_dim": dict.fromkeys(workload.latent)}
    members["seed"] = range(len(workload.latent) // len(members["latent_dim"]))
    return plan.plan(base, {n: list(v) for n, v in members.items()})


def placed(program: Any, planned: Any) -> Any:
    """Places a program's members; its data, on the devices."""
    from aejax.training import stream

    program.place()
    source = planned.sources.source(program.population.spec)
    return stream.Stream(program, source)(0)


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
    members = len(workload.latent)
    devices = environment.start(members, None)
    if workload.draws:
        return _evaluation(workload, folder, devices)
    from aejax.training import program

    plan = planned(workload, folder)
    (population,) = plan.populations
    began = time.perf_counter()
    one = program.Program(population, devices)
    spent = time.perf_counter() - began
    on_cpu = devices[0].platform == "cpu"
    idle = _restart_peak() if on_cpu else _device_peak(devices)
    data, spec = placed(one, plan), population.spec
    steps = -(-workload.steps // spec.block_steps) * spec.block_steps
    if spec.block_steps > workload.steps:
        steps = -(-workload.steps // spec.chunk) * spec.chunk
        steps = min(steps, spec.block_steps)

    def repeat(start: int = 0) -> int:
        one.advance(data, start, steps, 0, range(one.batches))
        return steps * members

    repeat(-1)
    estimate = population.total_bytes(min(len(devices), members), one.vmap)
    measured = facts(devices) | {"compile_s": spent}
    measured |= {"vmap": one.vmap, "batches": one.batches}
    if idle is not None:
        # An accelerator's peak has the compiler's trials in it: all that was needed.
        used = _resident("VmHWM") - idle if on_cpu else _device_peak(devices)
        measured |= {"memory_mb": used / 2**20, "memory_of_estimate": used / estimate}
        measured["idle_mb"] = idle / 2**20
    return repeat, measured


def _evaluation(workload, folder, devices):
    import jax

    from aejax import evaluate
    from aejax.runs import sweep

    (population,) = planned(workload, folder).populations
    base = population.spec.config.replace(epochs=1, eval_every=1)
    model = sweep.sweep(base).model()
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
