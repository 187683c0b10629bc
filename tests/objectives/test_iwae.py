"""IWAE: the bound itself, tighter with the number of samples."""

import numpy as np

from tests.objectives import common
from tests.objectives.common import close
from tests.objectives.ppca import bounds, linear


def test_bounds_rise_with_the_number_of_samples():
    """ELBO < IWAE-2 < IWAE-8 < IWAE-32 < log p(x), 5 standard errors apart."""
    draws = [bounds("vae", 1000)]
    draws += [bounds("iwae", 1000, num_samples=n) for n in (2, 8, 32)]
    _, log_p = linear("vae")
    means = np.array([*(d.mean(dtype=np.float64) for d in draws), log_p.mean()])
    errors = np.array([*(d.std() / np.sqrt(1000) for d in draws), 0.0])
    steps, errors = np.diff(means), np.hypot(errors[1:], errors[:-1])
    assert (steps > 5 * errors).all(), (means, errors)


def test_one_sample_is_the_elbo():
    common.one_sample_is_the_elbo("iwae")


def test_the_value_is_the_bound_itself():
    """Mistake 1: a loss of the right gradient whose value is not the bound."""
    case, draws, weights = common.value_is_the_bound("iwae")
    # And these weights are log p(x, z) - log q(z|x).
    nll, kl, *_ = case.elbo(case.params, draws[0])
    close(weights[0], -nll - kl)
