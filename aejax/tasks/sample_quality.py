"""How good samples are: Fréchet distance, precision and recall, nearest neighbours."""

import jax
import jax.numpy as jnp
import numpy as np

from aejax import autoencoder


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
    """Distance ‖x - r‖ (N,) of x (N, *S) to the nearest r of (M, *S) and its row."""
    x, reference = (a.reshape(len(a), -1) for a in (x, reference))
    middle = reference.mean(0)  # near 0 products of large numbers do not cancel
    others = jnp.asarray(reference - middle)
    index = autoencoder.in_batches(_nearest, x - middle, extra=lambda start: (others,))
    return np.linalg.norm(x - reference[index], axis=1), index
