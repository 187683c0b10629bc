"""The machine's own limit: one large matrix product after the other, all threads."""

import pathlib
from collections.abc import Callable
from typing import Any

from experiments import environment, workloads
from experiments.peers import aejax

SIDE = {"cpu": 2048, "gpu": 8192, "tpu": 8192}


def prepare(
    workload: workloads.Workload, folder: pathlib.Path
) -> tuple[Callable[[], int], dict[str, Any]]:
    """See the package; a step is one product of two square matrices."""
    devices = environment.start(1, 1)
    import jax
    import jax.numpy as jnp

    from aejax import settings

    side = SIDE.get(devices[0].platform, 4096)
    dtype = settings.compute_dtype(workload.precision)
    a = jax.random.normal(jax.random.key(0), (side, side)).astype(dtype)

    count = 20 if devices[0].platform == "cpu" else 50  # about a second in float32
    scale = jnp.asarray(side**-0.5, dtype)  # products stay of the same size

    def products(a):
        return jax.lax.fori_loop(0, count, lambda i, b: (a @ b) * scale, a)

    with settings.matmul_precision(workload.precision):
        compiled = jax.jit(products).lower(a).compile()

    def repeat() -> int:
        compiled(a).block_until_ready()
        return count

    repeat()

    facts = aejax.facts(devices) | {"compile_s": 0.0, "flops": 2.0 * side**3}
    return repeat, facts
