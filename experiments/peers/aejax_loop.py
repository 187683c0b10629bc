"""One jitted step per Python iteration: what a careful user of jax writes.

The data set is on the device, the state is donated, members train one after the other.
"""

import pathlib
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from experiments import environment, workloads
from experiments.peers import aejax


def prepare(
    workload: workloads.Workload, folder: pathlib.Path
) -> tuple[Callable[[], int], dict[str, Any]]:
    """See the package."""
    devices = environment.start(1, 1)
    import jax

    from aejax import settings
    from aejax.training import member as members

    planned = aejax.planned(workload, folder)
    spec = planned.populations[0].spec
    source = planned.sources.source(spec)
    x = jax.device_put(source.block(0))
    data = spec.shapes()._replace(train=x, output_bias=source.output_bias)
    member = members.member(spec, spec.hparams(spec.config), data)
    state = jax.jit(member.init)()

    def one(state, x, rows, i):
        return member.step(state, members.fetch(x, rows, spec.scales[0]), i)

    began = time.perf_counter()
    order = np.random.default_rng(0)
    rows = np.arange(workload.batch, dtype=np.int32)
    with settings.matmul_precision(workload.precision):
        lowered = jax.jit(one, donate_argnums=0).lower(state, x, rows, np.int32(0))
    step = lowered.compile()
    spent = time.perf_counter() - began
    states = [state]

    def repeat() -> int:
        state, n = states.pop(), workload.n // workload.batch
        for i in range(workload.steps):
            if i % n == 0:
                rows = order.permutation(workload.n).astype(np.int32)
            start = i % n * workload.batch
            state, loss = step(
                state, x, rows[start : start + workload.batch], np.int32(i)
            )
        loss.block_until_ready()
        states.append(state)
        return workload.steps

    repeat()
    return repeat, aejax.facts(devices) | {"compile_s": spent}
