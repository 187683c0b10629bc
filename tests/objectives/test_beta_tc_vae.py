"""β-TCVAE: its three terms by brute force, and the weights of a batch."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax import model
from aejax.objectives import beta_tc_vae
from tests.objectives.common import Case, close, norm, run


def tc_by_loops(z, mu, logvar, weights):
    """log q(z_i) and Σ_d log q(z_id), (B,) each; weights[i][j] of q(z_i | x_j)."""
    size, k = z.shape
    joint, product = np.zeros(size), np.zeros(size)
    sigma = np.exp(logvar / 2)
    for i in range(size):
        each = [[norm.logpdf(z[i, d], mu[j, d], sigma[j, d]) for d in range(k)]
                for j in range(size)]  # fmt: skip
        joint[i] = np.log(
            sum(weights[i][j] * np.exp(sum(each[j])) for j in range(size))
        )
        for d in range(k):
            product[i] += np.log(
                sum(weights[i][j] * np.exp(each[j][d]) for j in range(size))
            )
    return joint, product


def tc_weights(estimator, size, num):
    """As the paper's formulas say, written out."""
    if estimator == "mws" or size == 1:
        return np.full((size, size), 1 / (num * size))
    if size > num:
        return np.full((size, size), 1 / size)
    m, out = size - 1, np.zeros((size, size))
    for i in range(size):
        for j in range(size):
            out[i, j] = 1 / m
        out[i, i] = 1 / num
        out[i, (i + 1) % size] = (num - m) / (num * m)
    return out


@pytest.mark.parametrize("estimator", ["mss", "mws"])
def test_terms_are_brute_force_s_and_sum_to_the_kl(estimator):
    case, key = Case("beta_tc_vae", size=6, estimator=estimator), jax.random.key(3)

    def loss(n):  # of a training set of this size
        bound = case.model._replace(clock=model.Clock(0, 100, n))
        return case.loss(case.params, key, bound)

    cases = ((1000, 6), (4, 6), (1000, 2), (1000, 1))
    for num, size in cases if estimator == "mss" else cases[:1]:
        cut = jax.tree.map(lambda a, size=size: a[:size], case.batch)
        whole, case.batch = case.batch, cut
        nll, kl, z, mu, logvar = case.elbo(case.params, key)
        total, metrics = run(lambda num=num: loss(num))
        case.batch = whole
        log_q = norm.logpdf(z, mu, np.exp(logvar / 2)).sum(1)
        weights = tc_weights(estimator, size, num)
        joint, product = tc_by_loops(z, mu, logvar, weights)
        parts = [metrics[n] for n in ("information", "tc", "dimension_kl")]
        want = [log_q - joint, joint - product, product - norm.logpdf(z).sum(1)]
        close(np.array(parts), np.mean(want, axis=1), atol=2e-5)
        close(sum(parts), kl.mean(), atol=2e-5)
        close(total, nll.mean() + parts[0] + 6 * parts[1] + parts[2])
        if estimator == "mss" and size > 1:
            got = run(lambda s=size, n=num: jnp.exp(
                beta_tc_vae._log_weights(s, n, "mss")
            ))  # fmt: skip
            close(got.sum(1), np.ones(size))


def test_stratified_weights_are_unbiased():
    """Chen et al., appendix C.2: over all batches that hold the draw's own example."""
    num, size = 6, 4
    densities = np.random.default_rng(0).random(num)  # q(z | x_n) of one z, from x_0
    weights = run(lambda: jnp.exp(beta_tc_vae._log_weights(size, num, "mss")))
    estimates = [
        weights[0] @ densities[[0, *others]]
        for others in itertools.permutations(range(1, num), size - 1)
    ]
    close(np.mean(estimates), densities.mean())
