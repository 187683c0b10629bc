"""What the forms of ``aejax/xla_cpu.py`` gain over the plain ones: when they can go.

    python -m tests.campaigns.xla_cpu

Each runs with its gradient inside a scan on one core, as training does, in turns with
the plain form; the ratio is the median of pairs. One that has gained nothing (below
1.05) with two jaxlibs in a row can go. Two minutes; nothing else should run.
"""

import os
import statistics
import sys
import time

os.environ["PJRT_NPROC"] = "1"  # the size of XLA's thread pool

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

from aejax import losses, xla_cpu  # noqa: E402
from experiments.accelerator import convolution  # noqa: E402

STEPS, PAIRS = 5, 5
RNG = np.random.default_rng(0)


def normal(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def log_sigmoids(x, logits):
    """Bernoulli's nll by two log-sigmoids, as optax has it."""
    positive, negative = jax.nn.log_sigmoid(logits), jax.nn.log_sigmoid(-logits)
    return -jnp.sum(x * positive + (1 - x) * negative, axis=-1)


# name: (ours, the plain form, arguments of both)
FORMS = {
    "product": (xla_cpu.product, jnp.matmul, (normal(128, 3136), normal(3136, 256))),
    "conv": (
        xla_cpu.conv,
        convolution.lax_conv,
        (normal(128, 28, 28, 1), normal(4, 4, 1, 32)),
    ),
    "conv_transpose": (
        xla_cpu.conv_transpose,
        convolution.lax_conv_transpose,
        (normal(128, 7, 7, 64), normal(4, 4, 64, 32)),
    ),
    "add_bias": (
        xla_cpu.add_bias,
        lambda x, bias: x + bias.reshape(1, 1, 1, -1),
        (normal(128, 14, 14, 32), normal(32)),
    ),
    "row_sums": (xla_cpu.row_sums, lambda x: x.sum(1), (normal(128, 784),)),
    "softplus": (
        losses.bernoulli_nll,
        log_sigmoids,
        (np.float32(RNG.random((128, 784)) < 0.5), normal(128, 784)),
    ),
}


def compiled(form, arguments):
    """Runs the form and its gradient ``STEPS`` times inside one program."""

    def scalar(*arguments):
        return jnp.square(form(*arguments)).sum()

    def step(carry, _):
        grads = jax.grad(scalar, argnums=tuple(range(len(carry))))(*carry)
        return tuple(a - 1e-9 * g for a, g in zip(carry, grads, strict=True)), None

    run = jax.jit(lambda *a: jax.lax.scan(step, a, length=STEPS)[0])
    return run.lower(*arguments).compile()


def seconds(run, arguments):
    began = time.perf_counter()
    jax.block_until_ready(run(*arguments))
    return time.perf_counter() - began


def main():
    print(f"jaxlib {jax.lib.__version__}, {STEPS} steps, medians of {PAIRS} pairs")
    for name, (ours, plain, arguments) in FORMS.items():
        arguments = tuple(map(jnp.asarray, arguments))
        runs = [compiled(form, arguments) for form in (ours, plain)]
        for run in runs:
            seconds(run, arguments)
        pairs = [[seconds(run, arguments) for run in runs] for _ in range(PAIRS)]
        ratio = statistics.median(b / a for a, b in pairs)
        each = statistics.median(a for a, _ in pairs) / STEPS
        verdict = "stays" if ratio >= 1.05 else "gains nothing here"
        print(f"{name:15} {1e3 * each:8.3f} ms a step, plain × {ratio:.2f}: {verdict}")


if __name__ == "__main__":
    sys.exit(main())
