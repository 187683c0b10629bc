"""Ex-post densities of codes, so that a deterministic autoencoder generates too.

Ghosh et al., From Variational to Deterministic Autoencoders, ICLR 2020, section 4.
"""

from typing import NamedTuple

import jax
import numpy as np
from jax import Array

from aejax import config

COMPONENTS = {"gaussian": 1, "gmm": 10}
_FLOOR = 1e-6  # added to variances of codes scaled to at most 1


class Unfitted(config.InputError):
    """Codes that no density can be fitted to, or that are not at hand."""


class Density(NamedTuple):
    """A mixture of C Gaussians of codes (N, k); called, it draws from it.

    weights: (C,).   means: (C, k).   roots: (C, k, k), of the covariances (Cholesky);
    both of codes that are divided by ``scale`` ().
    """

    weights: np.ndarray
    means: np.ndarray
    roots: np.ndarray
    scale: np.ndarray

    def __call__(self, key: Array, n: int) -> np.ndarray:
        """(n, k) float32 draws; the same key gives the same draws."""
        # NumPy draws: jax would compile a program for every shape.
        rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))
        shares = self.weights / self.weights.sum()
        component = rng.choice(len(shares), n, p=shares)
        eps = rng.standard_normal((n, self.means.shape[1]))
        spread = np.einsum("nij,nj->ni", self.roots[component], eps)
        return ((self.means[component] + spread) * self.scale).astype(np.float32)


def fit(codes: np.ndarray, kind: str = "gaussian") -> Density:
    """A density of full covariance fitted to codes by maximum likelihood.

    Args:
      codes: (N, k), of the training split.
      kind: "gaussian", or "gmm", a mixture of 10 (scikit-learn, EM from k-means).

    Raises:
      InputError: an unknown kind, vector codes, fewer codes than components.
    """
    if kind not in COMPONENTS:
        raise config.unknown("density", kind, ("prior", *COMPONENTS))
    if isinstance(codes, tuple) or len(codes) < 2 * COMPONENTS[kind]:
        what = "vectors" if isinstance(codes, tuple) else f"only {len(codes)}"
        raise Unfitted(f"density '{kind}' cannot be fitted to {what} codes")
    if not np.isfinite(codes).all():  # of a model that diverged
        raise Unfitted(f"density '{kind}' cannot be fitted: codes are not finite")
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
    return Density(weights, means, roots, np.float64(scale))
