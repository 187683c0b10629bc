"""Denoising autoencoder: corrupted inputs, compared with the clean data."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax import corruptions
from tests.objectives.common import Case, close, mean_is, norm, run, value_and_grad

LEVELS = {
    "gaussian": 0.5,
    "masking": 0.4,
    "salt_and_pepper": 0.4,
    "occlusion": 0.5,
    "downsample": 2.0,
}


def denoising(corruption, **hp):
    case = Case("denoising", shape=(4, 4, 1), corruption=corruption, **hp)
    x = np.abs(case.batch.x) + 0.1
    case.batch = case.batch._replace(x=x)
    return case


@pytest.mark.parametrize("corruption", LEVELS)
def test_it_compares_with_the_clean_data(corruption):
    case, key = denoising(corruption), jax.random.key(0)

    plain = Case("ae", shape=(4, 4, 1))
    plain.batch = case.batch

    # Of unbounded data (the likelihood is Gaussian) the ends are those of the batch.
    salt = corruption == "salt_and_pepper"
    ends = {"low": case.batch.x.min(), "high": case.batch.x.max()} if salt else {}

    def values(params, level):
        value, grad = jax.value_and_grad(lambda p: case.loss(p, key, level=level)[0])(
            params
        )
        corrupt = corruptions.CORRUPTIONS[corruption]
        x_tilde = corrupt(key, case.batch.x, level, **ends)
        z = case.model.encode(params, case.batch._replace(x=x_tilde))
        return value, grad, x_tilde, case.model.decode(params, z)

    none = 1.0 if corruption == "downsample" else 0.0
    levels = np.float32([none, LEVELS[corruption]])
    losses, grads, x_tilde, decoded = run(
        lambda p, levels: jax.lax.map(lambda n: values(p, n), levels),
        case.params,
        levels,
    )
    clean = case.batch.x.astype(np.float64)
    want = -norm.logpdf(clean, decoded[1, ..., 0]).sum((1, 2, 3)).mean()
    close(losses[1], want)
    assert np.abs(x_tilde[1] - clean).mean() > 0.05
    first = losses[0], jax.tree.map(lambda g: g[0], grads)
    close(first, run(value_and_grad(plain), case.params, key), rtol=1e-6, atol=1e-6)


def test_rescale_keeps_the_mean_of_inputs():
    for rescale in (False, True):
        case = denoising("masking", rescale=rescale)
        x = np.full((200, 4, 4, 1), 0.5, np.float32)

        def corrupted(key, case=case, x=x):
            inputs = []

            def encode(params, batch):
                inputs.append(batch.x)
                return jnp.zeros((200, 5))

            bound = case.model._replace(encode=encode)
            case.loss(case.params, key, bound, case.batch._replace(x=x), level=0.4)
            return inputs[-1]

        x_tilde = run(corrupted, jax.random.key(0))
        mean_is(x_tilde.ravel(), 0.5 if rescale else 0.3)
        assert (x_tilde == 0).mean() > 0.3
