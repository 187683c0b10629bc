"""MIWAE: the mean of several bounds of IWAE."""

import jax
import numpy as np
import scipy.special

from tests.objectives.common import Case, close, mean_is, run
from tests.objectives.ppca import bounds


def test_one_sample_is_the_elbo():
    case, key = Case("miwae", num_samples=1, num_bounds=3), jax.random.key(2)
    draws = jax.random.split(key, 3)
    nll, kl = np.mean([case.elbo(case.params, d)[:2] for d in draws], axis=0)
    loss, metrics = run(case.loss, case.params, key)
    close(loss, (nll + kl).mean())
    close(metrics["nll"], nll.mean())


def test_the_value_is_the_mean_of_the_bounds():
    case, key = Case("miwae", num_samples=4, num_bounds=3), jax.random.key(2)
    draws = jax.random.split(key, 12)
    weights = run(jax.vmap(lambda k: case.log_weight(case.params, k)), draws)
    weights = weights.astype(np.float64).reshape(3, 4, -1)
    bound = scipy.special.logsumexp(weights, axis=1) - np.log(4)  # (3, B)
    close(run(case.loss, case.params, key)[0], -bound.mean())
    nll, kl, *_ = case.elbo(case.params, draws[0])
    close(weights[0, 0], -nll - kl)


def test_the_bound_is_that_of_iwae():
    """Of as many samples, in the mean over keys."""
    want = bounds("iwae", 1000, num_samples=8).mean(dtype=np.float64)
    draws = bounds("miwae", 500, seed=1, num_bounds=4, num_samples=8)
    mean_is(draws, want, errors=6.0)
