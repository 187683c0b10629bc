"""Ex-post densities of codes, so that a deterministic autoencoder generates too.

Ghosh et al., From Variational to Deterministic Autoencoders, ICLR 2020, section 4.
"""

from collections.abc import Callable

import jax
import numpy as np
from jax import Array

from aejax import config

COMPONENTS = {"gaussian": 1, "gmm": 10}
_FLOOR = 1e-6  # added to variances of codes scaled to at most 1
Density = Callable[[Array, int], np.ndarray]


def fit(codes: np.ndarray, kind: str = "gaussian") -> Density:
    """A density of full covariance fitted to codes by maximum likelihood.

    Args:
      codes: (N, k), of the training split.
      kind: "gaussian", or "gmm", a mixture of 10 (scikit-learn, EM from k-means).

    Returns:
      (key, n) -> (n, k) float32 draws; the same key gives the same draws.

    Raises:
      InputError: an unknown kind, vector codes, fewer codes than components.
    """
    if kind not in COMPONENTS:
        raise config.unknown("density", kind, ("prior", *COMPONENTS))
    if isinstance(codes, tuple) or len(codes) < 2 * COMPONENTS[kind]:
        what = "vectors" if isinstance(codes, tuple) else f"only {len(codes)}"
        raise config.InputError(f"density '{kind}' cannot be fitted to {what} codes")
    scale = max(float(np.abs(codes).max()), 1e-12)  # the floor on variances is absolute
    x = codes.astype(np.float64) / scale
    if COMPONENTS[kind] == 1:  # what the library below gives, without its import
        weights, means = np.ones(1), x.mean(0)[None]
        covariances = np.cov(x.T, bias=True).reshape(1, x.shape[1], -1)
        covariances = covariances + _FLOOR * np.eye(x.shape[1])
    else:
        from sklearn import mixture

        fitted = mixture.GaussianMixture(
            COMPONENTS[kind], reg_covar=_FLOOR, random_state=0
        ).fit(x)
        weights, means = fitted.weights_, fitted.means_
        covariances = fitted.covariances_
    roots = np.linalg.cholesky(covariances)

    def draw(key: Array, n: int) -> np.ndarray:
        # NumPy draws: jax would compile a program for every shape.
        rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))
        component = rng.choice(len(weights), n, p=weights / weights.sum())
        eps = rng.standard_normal((n, x.shape[1]))
        z = means[component] + np.einsum("nij,nj->ni", roots[component], eps)
        return (z * scale).astype(np.float32)

    return draw
