"""What generated images are judged by: a small classifier, and three distances."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax

from aejax import trained
from aejax.networks import conv

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
            x = conv.conv(x, kernel) if i < 2 else x.reshape(len(x), -1) @ kernel
            x = jax.nn.relu(x + bias.reshape((1,) * (x.ndim - 1) + (-1,)))
        kernel, bias = params[3]
        return x, jnp.split(x @ kernel + bias[None], ends[:-1], 1)

    def loss(params, x, y):
        each = zip(read(params, x)[1], y.T, strict=True)
        error = optax.softmax_cross_entropy_with_integer_labels
        return sum(error(logits, ids).mean() for logits, ids in each)

    @jax.jit
    def fit(params, x, y, order):
        def step(carry, at):
            params, state = carry
            updates, state = tx.update(jax.grad(loss)(params, x[at], y[at]), state)
            return (optax.apply_updates(params, updates), state), None

        return jax.lax.scan(step, (params, tx.init(params)), order)[0][0]

    @jax.jit
    def run(params, x):
        features, logits = read(params, x)
        return features, jnp.stack([each.argmax(1) for each in logits], 1)

    params = fit(first, x, y, rng.integers(0, len(x), (steps, 128)))
    return lambda x: trained.in_batches(lambda x: run(params, x), x)


def frechet(a: np.ndarray, b: np.ndarray) -> float:
    """Fréchet distance of the Gaussians fitted to features (n, d) and (m, d).

    ‖μ_a - μ_b‖² + tr(Σ_a + Σ_b - 2 (Σ_a Σ_b)^½), Heusel et al., 2017, eq. 6. Small n
    and m make it too large: compare at equal ones.
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    s, t = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    values, vectors = np.linalg.eigh(s)
    root = vectors * np.sqrt(values.clip(0)) @ vectors.T
    cross = np.sqrt(np.linalg.eigvalsh(root @ t @ root).clip(0)).sum()
    return float(np.square(a.mean(0) - b.mean(0)).sum() + np.trace(s + t) - 2 * cross)


def precision_recall(
    real: np.ndarray, made: np.ndarray, k: int = 3
) -> tuple[float, float]:
    """Improved precision and recall of features (n, d). Kynkäänniemi et al., 2019.

    Precision is the share of ``made`` within the distance of some real one to its k-th
    nearest among the real ones; recall is the same with both exchanged.
    """
    from scipy.spatial import distance

    def covered(a: np.ndarray, by: np.ndarray) -> float:
        radius = np.sort(distance.cdist(by, by))[:, k]  # itself comes first
        return float((distance.cdist(a, by) <= radius[None]).any(1).mean())

    return covered(made, real), covered(real, made)


@jax.jit
def _nearest(reference, x):
    return jnp.argmin(jnp.square(reference).sum(1)[None] - 2 * x @ reference.T, 1)


def nearest(x: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance ‖x - r‖ (N,) of x (N, *S) to the nearest r of (M, *S), and which."""
    x, reference = (a.reshape(len(a), -1) for a in (x, reference))
    middle = reference.mean(0)  # near 0 products of large numbers do not cancel
    held = jnp.asarray(reference - middle)
    which = trained.in_batches(_nearest, x - middle, extra=lambda at: (held,))
    return np.linalg.norm(x - reference[which], axis=1), which
