"""tf32 and bf16 against float32: seconds of a step, and the loss trained to.

Sixteen dense VAEs on digits enlarged to 28 × 28; those of equal seed differ by their
precision alone, so losses are compared by paired differences.
"""

import pathlib
from collections.abc import Iterator
from concurrent import futures
from typing import Any

import numpy as np

from experiments import environment
from experiments.accelerator import clock, examples
from experiments.peers import aejax as ours

ORDER = ("float32", "tf32", "bf16")


def measure(folder: pathlib.Path, tiny: bool) -> Iterator[dict[str, Any]]:
    """A row per precision, float32 first."""
    devices = environment.start(1, 1)
    from aejax import config, machine
    from aejax.runs import plan
    from aejax.training import program
    from aejax.training.loop import Phase

    base = config.Config(
        dataset=examples.digits(folder, 28),
        objective="vae",
        hidden=(8,) if tiny else (400,),
        latent_dim=20,
        learning_rate=1e-3,
        epochs=1 if tiny else 200,
        eval_every=1 if tiny else 200,
    )
    seeds = {"seed": list(range(2 if tiny else 16))}

    def compiled(precision):
        planned = plan.plan(base.replace(precision=precision), seeds)
        return program.Program(planned.populations[0], devices), planned

    with futures.ThreadPoolExecutor(min(3, machine.usable_cores())) as pool:
        ready = list(pool.map(compiled, ORDER))
    losses: dict[str, np.ndarray] = {}
    speeds: dict[str, float] = {}
    for precision, (one, planned) in zip(ORDER, ready, strict=True):
        data, end = ours.placed(one, planned), one.population.spec.steps
        whole = range(one.batches)
        one.advance(data, -1, end, Phase.EVALUATE, whole)
        metrics, diverged = one.advance(data, end, end, Phase.TEST, whole)
        losses[precision] = metrics["loss"][:, 2]
        times = clock.step(one, data, 0.02 if tiny else 0.3)
        speeds[precision] = 1 / times["step_s"]
        apart = losses[precision] - losses["float32"]
        yield {
            "precision": precision,
            "members": len(one.population.members),
            **times,
            "times_float32": speeds[precision] / speeds["float32"],
            "test_loss": float(losses[precision].mean()),
            "test_loss_apart": float(apart.mean()),
            "test_loss_apart_most": float(np.abs(apart).max()),
            "diverged": int(diverged.sum()),
        }
