"""A small convolutional classifier, whose features generated images are compared in."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax

from aejax import autoencoder, xla_cpu

WIDTH = 32  # features


def classifier(x: np.ndarray, y: np.ndarray, steps: int = 1000) -> Callable:
    """A convolutional network fitted to images x (N, H, W, C) and class ids y (N, F).

    Returns:
      (n, H, W, C) -> features (n, 32) of the last layer but one, and the most likely
      class of each of the F, (n, F). Equal arguments give equal networks.
    """
    (_, h, w, c), ends = x.shape, np.cumsum(np.max(y, 0) + 1)
    rng, flat = np.random.default_rng(0), -(-h // 4) * -(-w // 4) * 32
    shapes = (4, 4, c, 16), (4, 4, 16, 32), (flat, WIDTH), (WIDTH, ends[-1])
    kernels = [rng.normal(0, (2 * s[-1] / np.prod(s)) ** 0.5, s) for s in shapes]
    first = [(k.astype(np.float32), np.zeros(k.shape[-1:], "f")) for k in kernels]
    tx = optax.adam(optax.cosine_decay_schedule(3e-3, steps))

    def read(params, x):
        x = jnp.pad(x, ((0, 0), (0, -h % 4), (0, -w % 4), (0, 0)))
        for i, (kernel, bias) in enumerate(params[:3]):
            x = xla_cpu.conv(x, kernel) if i < 2 else x.reshape(len(x), -1) @ kernel
            x = jax.nn.relu(x + bias.reshape((1,) * (x.ndim - 1) + (-1,)))
        kernel, bias = params[3]
        return x, jnp.split(x @ kernel + bias[None], ends[:-1], 1)

    def loss(params, x, y):
        each = zip(read(params, x)[1], y.T, strict=True)
        error = optax.softmax_cross_entropy_with_integer_labels
        return sum(error(logits, ids).mean() for logits, ids in each)

    @jax.jit
    def fit(params, x, y, order):
        def step(carry, rows):
            params, state = carry
            updates, state = tx.update(jax.grad(loss)(params, x[rows], y[rows]), state)
            return (optax.apply_updates(params, updates), state), None

        return jax.lax.scan(step, (params, tx.init(params)), order)[0][0]

    @jax.jit
    def run(params, x):
        features, logits = read(params, x)
        return features, jnp.stack([each.argmax(1) for each in logits], 1)

    params = fit(first, x, y, rng.integers(0, len(x), (steps, 128)))
    return lambda x: autoencoder.in_batches(lambda x: run(params, x), x)
