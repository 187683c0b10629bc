"""What a step of 4 to 1,024 members costs against that of one: dense VAE, digits VAE.

Programs are compiled side by side, a few at a time; the clock runs when none is.
"""

import pathlib
from collections.abc import Iterator
from concurrent import futures
from typing import Any

from experiments import environment, workloads
from experiments.accelerator import clock
from experiments.peers import aejax as ours

ROUNDS = ((1, 64), (4, 16), (256, 1024))  # the target first
TINY = ((1, 3),)


def measure(folder: pathlib.Path, tiny: bool) -> Iterator[dict[str, Any]]:
    """A row per model and number of members."""
    devices = environment.start(1, 1)
    from aejax import machine
    from aejax.training import program

    suite = {w.name: w for w in (*workloads.ACCELERATOR, *workloads.CPU)}
    dense, digits = suite["dense_vae_mnist"], suite["digits_vae_members"]
    models = {"dense 784-400": dense, "digits 64-128": digits}
    for name, workload in models.items():
        n = 512 if tiny else workload.n
        models[name] = workload._replace(steps=1, n=n, latent=workload.latent[:1])
    first: dict[str, float] = {}
    for counts in TINY if tiny else ROUNDS:
        kinds = [(name, n) for name in models for n in counts]
        plans = [
            ours.planned(models[name]._replace(latent=models[name].latent * n), folder)
            for name, n in kinds
        ]
        # The target's alone: the compiler times kernels, and chooses by that.
        workers = 1 if counts == ROUNDS[0] else min(4, machine.usable_cores())
        with futures.ThreadPoolExecutor(workers) as pool:
            some = [p.populations[0] for p in plans]
            ready = list(pool.map(lambda p: program.Program(p, devices), some))
        for name, n in kinds:
            one = ready.pop(0)
            data = ours.placed(one, plans.pop(0))
            times = clock.step(one, data, 0.02 if tiny else 0.3)
            first.setdefault(name, times["step_s"])
            yield {
                "model": name,
                "members": n,
                "vmap": one.vmap,
                "batches": one.batches,
                **times,
                "times_one": times["step_s"] / first[name],
                "flops_per_s": models[name].flops() * n / times["step_s"],
                "compile_s": one.compiled[1] - one.compiled[0],
            }
            del one, data  # 1,024 members are 9 GB
