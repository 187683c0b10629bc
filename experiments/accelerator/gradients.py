"""Losses and gradients of one batch on the accelerator against the CPU's.

Parameters, batch and noise are the same; the deviation of an array is the norm of the
difference over the norm. Norms of small arrays count as a thousandth of the
whole gradient's. The last row multiplies in tf32, to show what the measure sees.
"""

import pathlib
from collections.abc import Iterator
from concurrent import futures
from typing import Any

import numpy as np

from experiments import environment
from experiments.accelerator import examples

DENSE = {"network": "mlp", "hidden": (128, 64)}
CONV = {"network": "conv", "hidden": (16, 32, 64)}
CASES = (
    ("vae", DENSE, "float32"),
    ("ae", DENSE, "float32"),
    ("beta_tc_vae", DENSE, "float32"),
    ("vq_vae", DENSE, "float32"),
    ("wae_mmd", DENSE, "float32"),
    ("vae", CONV, "float32"),
    ("vae", DENSE, "tf32"),
)


def measure(folder: pathlib.Path, tiny: bool) -> Iterator[dict[str, Any]]:
    """A row per objective and network."""
    devices = environment.start(1, 1)
    import jax

    from aejax import config, machine
    from aejax.runs import plan

    cpu, data = jax.devices("cpu")[0], examples.digits(folder)

    def row(case):
        objective, network, precision = case
        base = config.Config(
            dataset=data,
            objective=objective,
            precision=precision,
            latent_dim=8,
            **network,
        )
        numbers = deviations(*_computed(plan.plan(base, {}), devices[0], cpu))
        facts = {"objective": objective, "network": network["network"]}
        return facts | {"precision": precision} | numbers

    # Compiling is all of the work: side by side.
    with futures.ThreadPoolExecutor(min(4, machine.usable_cores())) as pool:
        yield from pool.map(row, CASES[:2] if tiny else CASES)


def _computed(planned: Any, *devices: Any) -> list[tuple]:
    """(loss, gradient) of one model on each of the devices."""
    import jax

    from aejax import settings
    from aejax.training import member as members

    spec = planned.populations[0].spec
    source = planned.sources.source(spec)
    block, rows = source.block(0), np.arange(spec.config.batch_size)

    def member(x):
        data = spec.shapes()._replace(train=x, output_bias=source.output_bias)
        return members.member(spec, spec.hparams(spec.config), data)

    def start(x):
        return member(x).init().params

    def both(params, x):
        one = member(x)
        batch = members.fetch(x, rows, spec.scales[0])

        def scalar(trainable):
            params_all = trainable | {"state": params["state"]}
            return one.loss(params_all, batch, one.key(members.NOISE), 0)[0]

        trainable = {n: a for n, a in params.items() if n != "state"}
        return jax.value_and_grad(scalar)(trainable)

    with settings.matmul_precision(spec.config.precision):
        # Parameters are drawn once: their last bits are not what is compared.
        params = jax.device_get(jax.jit(start)(jax.device_put(block, devices[-1])))
        out = [jax.jit(both)(*jax.device_put((params, block), d)) for d in devices]
    return jax.device_get(out)


def deviations(got: tuple, want: tuple) -> dict[str, Any]:
    """Of (loss, gradient) from another: the loss's, and the largest of an array."""
    import jax

    leaves = jax.tree_util.tree_leaves_with_path(want[1])
    pairs = zip(jax.tree.leaves(got[1]), leaves, strict=True)
    norms = [(_norm(a - b), _norm(b), path) for a, (path, b) in pairs]
    least = max(1e-3 * _norm([n for _, n, _ in norms]), 1e-30)
    largest, path = max(
        (d / max(n, least), jax.tree_util.keystr(p)) for d, n, p in norms
    )
    return {
        "loss": float(got[0]),
        "loss_cpu": float(want[0]),
        "loss_deviation": float(abs(got[0] - want[0]) / max(abs(want[0]), 1e-30)),
        "gradient_deviation": largest,
        "of": path,
    }


def _norm(values: Any) -> float:
    return float(np.linalg.norm(np.ravel(np.asarray(values, np.float64))))
