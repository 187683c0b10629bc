"""Ex-post densities of codes, so that a deterministic autoencoder generates too.

Ghosh et al., From Variational to Deterministic Autoencoders, ICLR 2020, section 4.
"""

from collections.abc import Callable

import jax
import numpy as np
from jax import Array

from aejax import config

COMPONENTS = {"gaussian": 1, "gmm": 10}
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
    from sklearn import mixture

    if kind not in COMPONENTS:
        raise config.unknown("density", kind, ("prior", *COMPONENTS))
    if isinstance(codes, tuple) or len(codes) < 2 * COMPONENTS[kind]:
        what = "vectors" if isinstance(codes, tuple) else f"only {len(codes)}"
        raise config.InputError(f"density '{kind}' cannot be fitted to {what} codes")
    scale = max(float(np.abs(codes).max()), 1e-12)  # the floor on variances is absolute
    model = mixture.GaussianMixture(COMPONENTS[kind], random_state=0)
    model.fit(codes.astype(np.float64) / scale)

    def draw(key: Array, n: int) -> np.ndarray:
        component = jax.random.fold_in(key, 0), jax.random.fold_in(key, 1)
        which = np.asarray(
            jax.random.choice(component[0], COMPONENTS[kind], (n,), p=model.weights_)
        )
        eps = np.asarray(jax.random.normal(component[1], (n, codes.shape[1])))
        roots = np.linalg.cholesky(model.covariances_)
        z = model.means_[which] + np.einsum("nij,nj->ni", roots[which], eps)
        return (z * scale).astype(np.float32)

    return draw
