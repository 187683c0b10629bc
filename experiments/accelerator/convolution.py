"""``lax.conv`` against patches and one matmul (``networks.conv``), under vmap.

Two stride-2 layers and their transposes, forward and backward, members with kernels of
their own, as steps of gradient descent in a loop on the device.
"""

import functools
import pathlib
import statistics
import time
from collections.abc import Iterator
from typing import Any

from experiments import environment
from experiments.accelerator import clock

CHANNELS = (1, 32, 64)


def measure(folder: pathlib.Path, tiny: bool) -> Iterator[dict[str, Any]]:
    """A row per number of members and way to convolve."""
    environment.start(1, 1)
    import jax

    from aejax import settings, xla_cpu

    ways = {
        "lax": (lax_conv, lax_conv_transpose),
        "patches": (xla_cpu.conv, xla_cpu.conv_transpose),
    }
    want = 0.02 if tiny else 0.3  # seconds of a reading
    channels, side, batch = ((1, 2, 3), 8, 4) if tiny else (CHANNELS, 28, 128)
    for members in (1, 2) if tiny else (1, 16, 64):
        sizes = list(zip(channels, channels[1:], strict=False))
        sizes += [(b, a) for a, b in sizes[::-1]]
        keys = jax.random.split(jax.random.key(0), len(sizes) + 1)
        kernels = [
            0.1 * jax.random.normal(k, (members, 4, 4, *s))
            for k, s in zip(keys[1:], sizes, strict=True)
        ]
        x = jax.random.uniform(keys[0], (members, batch, side, side, 1))
        lax: dict[str, Any] = {}
        for name, way in ways.items():
            with settings.matmul_precision("float32"):
                began = time.perf_counter()
                run = jax.jit(_descend(*way, members)).lower(kernels, x, 1).compile()
                spent = time.perf_counter() - began
            row = {"members": members, "way": name, "compile_s": spent}
            row |= _step(functools.partial(run, kernels, x), want)
            row["loss"] = float(run(kernels, x, 3)[1])
            lax = lax or row
            row["times_lax"] = lax["step_s"] / row["step_s"]
            row["loss_deviation"] = abs(row["loss"] / lax["loss"] - 1)
            yield row


def lax_conv(x, kernel):
    """As ``xla_cpu.conv``."""
    import jax

    names = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(
        x, kernel, (2, 2), ((1, 1), (1, 1)), dimension_numbers=names
    )


def lax_conv_transpose(x, kernel):
    """As ``xla_cpu.conv_transpose``: the stride is a dilation of the input."""
    import jax

    return jax.lax.conv_general_dilated(
        x,
        kernel[::-1, ::-1],
        (1, 1),
        ((2, 2), (2, 2)),
        lhs_dilation=(2, 2),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


def _descend(down, up, members: int):
    """(kernels, x, n) -> kernels after n steps, and the sum of the last losses."""
    import jax
    import jax.numpy as jnp

    def loss(kernels, x):
        half, h = len(kernels) // 2, x
        for i, kernel in enumerate(kernels):
            h = (down if i < half else up)(h, kernel)
            h = jax.nn.relu(h) if i < len(kernels) - 1 else h
        return jnp.square(h - x).mean()

    each = jax.value_and_grad(loss)

    def gradient(kernels, x):
        if members > 1:
            return jax.vmap(each)(kernels, x)
        one, grads = each([k[0] for k in kernels], x[0])  # vmap would make groups
        return one, [g[None] for g in grads]

    def run(kernels, x, n):
        def body(_, carry):
            kernels, _ = carry
            losses, grads = gradient(kernels, x)
            kernels = [k - 1e-2 * g for k, g in zip(kernels, grads, strict=True)]
            return kernels, losses.sum()

        return jax.lax.fori_loop(0, n, body, (kernels, 0.0))

    return run


def _step(run, seconds: float) -> dict[str, float]:
    """Median, least and most seconds of one of many steps."""

    def spend(n: int) -> float:
        began = time.perf_counter()
        run(n)[1].block_until_ready()
        return time.perf_counter() - began

    count = max(3, round(seconds / max(spend(10) / 10, 1e-7)))
    times = [spend(count) / count for _ in range(clock.READINGS)]
    middle = statistics.median(times)
    return {"step_s": middle, "low": min(times), "high": max(times), "steps": count}
