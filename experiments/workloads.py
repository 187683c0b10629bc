"""What the benchmark times: models, data of their size, and their arithmetic.

Imports neither jax nor torch: each system is timed in a process of its own.
"""

import math
from typing import NamedTuple

import numpy as np


class Workload(NamedTuple):
    """One model to be trained, or evaluated, by every system that can.

    Attributes:
      network: "mlp", "conv" or "recurrent"; the objective is the VAE, of the
        recurrent network the plain autoencoder.
      shape: of an example.
      n: training examples; random, for speed does not depend on them.
      steps: of each member, at least, between two readings of the clock.
      latent: of each member; several train side by side where a system can do that.
      draws: importance samples per example; then n examples are evaluated instead.
      systems: those that can, in the order in which they are timed.
      precision: of aejax's matrix products.
    """

    name: str
    network: str
    shape: tuple[int, ...]
    hidden: tuple[int, ...]
    batch: int
    n: int
    steps: int
    latent: tuple[int, ...] = (20,)
    draws: int = 0
    systems: tuple[str, ...] = ("aejax",)
    precision: str = "float32"

    def data(self) -> np.ndarray:
        """Training examples (n, *shape): uint8 images or float32 series."""
        rng = np.random.default_rng(0)
        if self.network == "recurrent":
            return rng.standard_normal((self.n, *self.shape), np.float32)
        return rng.integers(0, 256, (self.n, *self.shape), np.uint8)

    def flops(self) -> float:
        """Of one training step of one member, forward and backward, matmuls alone; of
        one draw for ``batch`` examples where they are evaluated.

        Each matmul costs 2·m·n·k forward, as much for its weights' gradient and again
        for its input's, which the first layer does not need.
        """
        latent = max(self.latent)
        if self.network == "mlp":
            widths = (math.prod(self.shape), *self.hidden)
            inner = sum(a * b for a, b in zip(widths, widths[1:], strict=False))
            decoder = inner + self.hidden[-1] * latent
            if self.draws:
                return 2.0 * self.batch * decoder
            encoder = inner + 2 * self.hidden[-1] * latent
            return 2.0 * self.batch * (3 * (encoder + decoder) - widths[0] * widths[1])
        if self.network == "conv":
            *channels, width = self.hidden
            height, breadth, colours = self.shape
            inner, first, before = 0, 0, colours
            for c in channels:
                height, breadth = height // 2, breadth // 2
                cost = height * breadth * 16 * before * c
                first = first or cost
                inner, before = inner + cost, c
            inner += height * breadth * before * width
            total = 2 * inner + 3 * width * latent
            return 2.0 * self.batch * (3 * total - first)
        steps, (size,) = self.shape[0], self.hidden
        recurrent = steps * 3 * size * size
        read, write = steps * 3 * size, steps * size
        code = size * latent + latent * (3 * size + size)
        return 2.0 * self.batch * (3 * (2 * recurrent + read + write + code) - read)


_ALL = ("aejax", "aejax_loop", "torch", "torch_loader", "torch_compiled")
_ECG = dict(network="recurrent", shape=(140, 1), latent=(16,), n=500)
_DIGITS = Workload(
    "digits_vae_members", "mlp", (8, 8, 1), (128,), 128, 1297, 2000, (16,) * 12
)
_DENSE = Workload(
    "dense_vae_mnist", "mlp", (28, 28, 1), (400,), 128, 54_000, 400, systems=_ALL
)
_CONV = _DENSE._replace(
    name="conv_vae_mnist", network="conv", hidden=(32, 64, 256), n=12_800, steps=60
)
_SWEEP = _DENSE._replace(name="mnist_sweep_35", steps=60, systems=("aejax",))
_NLL = _DENSE._replace(
    name="is_nll", hidden=(500,), batch=10_000, n=10_000, draws=100, systems=("aejax",)
)

CPU = (
    _DENSE._replace(systems=(*_ALL, "pythae")),
    _DENSE._replace(name="dense_vae_mnist_256", hidden=(300,), batch=256),
    _CONV,
    _CONV._replace(name="conv_vae_32x32x3", shape=(32, 32, 3), batch=256, steps=30),
    _DIGITS._replace(systems=(*_ALL, "torch_vmap", "pythae")),
    _DIGITS._replace(
        name="digits_vae_members_256", hidden=(300,), batch=256, systems=_ALL
    ),
    Workload(
        "gru_ae_ecg5000", hidden=(64,), batch=128, steps=15, systems=_ALL[:3], **_ECG
    ),
    Workload(
        "gru_ae_ecg5000_2",
        hidden=(64,),
        batch=128,
        steps=15,
        **_ECG | {"latent": (16, 16)},
    ),
    Workload("gru_ae_256", hidden=(96,), batch=256, steps=6, systems=_ALL[:3], **_ECG),
    _SWEEP._replace(latent=(1, 2, 4, 8, 16, 32, 64) * 5),
    _SWEEP._replace(name="mnist_sweep_1", latent=(64,), steps=400),
    *(
        _DIGITS._replace(
            name=f"members_{n}",
            latent=(16,) * n,
            steps=max(100, 16_000 // n),
            systems=("aejax", "torch_vmap")[: 1 + (n == 64)],
        )
        for n in (1, 4, 16, 64, 256)
    ),
    _DENSE._replace(
        name="dense_members_96",
        latent=(20,) * 96,
        n=2_560,
        steps=20,
        systems=("aejax",),
    ),
    _NLL,
    _NLL._replace(name="is_nll_400", hidden=(400,), n=5_000, batch=5_000),
)

_VMAP = ("aejax", "torch_vmap")
ACCELERATOR = (
    _DENSE._replace(
        name="dense_members_64", latent=(20,) * 64, steps=800, systems=_VMAP
    ),
    _DENSE._replace(steps=2000),
    _CONV._replace(n=54_000, steps=800),
    _CONV._replace(
        name="conv_members_16", n=54_000, latent=(20,) * 16, steps=100, systems=_VMAP
    ),
    _DENSE._replace(
        name="dense_vae_mnist_bf16", steps=2000, precision="bf16", systems=("aejax",)
    ),
    _NLL._replace(draws=1000),
)

QUICK = (
    _DIGITS._replace(name="digits_vae_members", steps=200, systems=_ALL),
    _NLL._replace(n=1000, batch=1000, draws=16),
)

# The accelerator's, for a trial of it on any machine: no number of it means anything.
TINY = tuple(
    w._replace(n=256, steps=4, hidden=(16,), batch=64, latent=w.latent[:3])
    for w in ACCELERATOR[:2]
)

SUITES = {"cpu": CPU, "accelerator": ACCELERATOR, "quick": QUICK, "tiny": TINY}
