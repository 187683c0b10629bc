"""Sparse autoencoder by KL: mean activations near ρ."""

import jax
import numpy as np
import scipy.special
import scipy.stats

from tests.objectives.common import Case, close, run


def test_the_penalty_is_the_kl_of_mean_activations():
    case = Case("sparse_kl", rho=0.2, weight=0.7)
    pre = run(lambda p: case.model.encode(p, case.batch), case.params)
    pre = pre[:, :3].astype(np.float64)
    mean = scipy.special.expit(pre).mean(0)
    bernoulli = np.stack([mean, 1 - mean])
    target = np.broadcast_to([[0.2], [0.8]], bernoulli.shape)
    want = scipy.stats.entropy(target, bernoulli).sum()
    total, metrics = run(case.loss, case.params, jax.random.key(0))
    close(metrics["sparsity"], want)
    close(metrics["mean"], mean.mean())
    close(total, metrics["nll"] + 0.7 * want)
    code = run(lambda p: case.objective.code(case.model, p, case.batch), case.params)
    close(code, np.pad(scipy.special.expit(pre), ((0, 0), (0, 2))))
