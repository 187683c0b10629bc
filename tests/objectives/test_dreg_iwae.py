"""DReG-IWAE: IWAE's value, and its gradient with less variance."""

import jax
import numpy as np
import pytest

from tests.objectives import common
from tests.objectives.common import close, keys, mean_is, run, value_and_grad
from tests.objectives.ppca import OFF, K, bounds, linear, ppca


def test_one_sample_is_the_elbo():
    common.one_sample_is_the_elbo("dreg_iwae")


def test_the_value_is_the_bound_itself():
    case, draws, weights = common.value_is_the_bound("dreg_iwae")
    nll, kl, *_ = case.elbo(case.params, draws[0])
    close(weights[0], -nll - kl)


def test_the_bound_is_that_of_iwae():
    """In the mean over other keys; the next test has equal keys."""
    want = bounds("iwae", 1000, num_samples=8).mean(dtype=np.float64)
    mean_is(bounds("dreg_iwae", 500, seed=1, num_samples=8), want, errors=6.0)


@pytest.mark.parametrize("kl_warmup", [0.0, 0.02])  # the KL in full, and half of it
def test_the_gradient_is_iwae_s_with_less_variance(kl_warmup):
    """The decoder's exactly, the encoder's in the mean."""
    results = {}
    for name in ("iwae", "dreg_iwae"):
        case, _ = linear(name, num_samples=8)
        one = value_and_grad(case, kl_warmup=kl_warmup)
        grads = jax.vmap(lambda key, one=one: one(ppca(*OFF), key))
        value, tree = run(grads, keys(1500))
        results[name] = (value, tree["net"])
    (value, want), (value_dreg, got) = results.values()
    close(value_dreg, value)
    for name in ("decode_code", "output_bias", "shared"):
        close(got[name], want[name], atol=1e-4)
    for name in ("latent_kernel", "latent_bias"):
        iwae, dreg = (g["code"][name][:, :K] for g in (want, got))
        mean_is(dreg - iwae, 0.0)
        assert dreg.var(0).sum() < 0.7 * iwae.var(0).sum()
        assert np.abs(iwae.mean(0)).max() > 0.05
