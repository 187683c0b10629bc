"""DIP-VAE: the covariance of codes is drawn to the identity."""

import jax
import numpy as np
import pytest

from tests.objectives.common import Case, close, is_the_vae_without, run


@pytest.mark.parametrize("variant", ["i", "ii"])
def test_it_penalises_numpy_s_covariance(variant):
    case = Case("dip_vae", variant=variant, lambda_od=3.0, lambda_d=2.0)
    mu, logvar = run(lambda p: case.model.encode(p, case.batch), case.params)
    mu, logvar = (a[:, :3].astype(np.float64) for a in (mu, logvar))
    covariance = np.cov(mu.T, bias=True)
    if variant == "ii":  # of z: the mean of the conditional covariances beside it
        covariance = covariance + np.diag(np.exp(logvar).mean(0))
    diagonal = ((np.diag(covariance) - 1) ** 2).sum()
    off = np.square(covariance - np.diag(np.diag(covariance))).sum()
    total, metrics = run(case.loss, case.params, jax.random.key(0))
    close(metrics["diagonal"], diagonal)
    close(metrics["off_diagonal"], off)
    close(total, metrics["nll"] + metrics["kl"] + 3 * off + 2 * diagonal)


def test_without_its_penalties_it_is_the_vae():
    key = jax.random.key(4)
    is_the_vae_without("dip_vae", key, key, lambda_od=0.0, lambda_d=0.0)
