"""Contractive autoencoder: the squared norm of the encoder's Jacobian."""

import jax
import jax.numpy as jnp
import numpy as np
import scipy.special

from aejax import losses, model
from tests.objectives.common import Case, close, keys, mean_is, run


def test_the_norm_of_a_sigmoid_layer_is_rifai_s():
    """Also where jaxlib 0.10.2 computes a wrong row without our XLA flag."""
    rng = np.random.default_rng(0)
    w, b = rng.normal(size=(2, 3)), rng.normal(size=2)
    wide, bias = np.float32(w), np.float32(b)[None]

    def penalty(x):
        return losses.jacobian_norm(lambda x: jax.nn.sigmoid(x @ wide.T + bias), x)

    for rows in (5, 32_769):
        x = rng.normal(size=(rows, 3)).astype(np.float32)
        h = scipy.special.expit(x.astype(np.float64) @ w.T + b)
        want = ((h * (1 - h)) ** 2 * np.square(w).sum(1)).sum(1)
        close(jax.jit(penalty)(x), want, rtol=1e-4, atol=1e-6)


def test_it_adds_the_frobenius_norm():
    case = Case("contractive", shape=(4, 3), weight=0.5)
    images = case.batch.x

    def norms(params):
        def encode(x):
            return case.model.encode(params, model.Batch(x[None]))[0]

        return jnp.square(jax.vmap(jax.jacfwd(encode))(images)).sum((1, 2, 3))

    want = run(norms, case.params)
    assert want.shape == (8,) and want.std() > 0.1 * want.mean() > 0
    key = jax.random.key(0)
    total, metrics = run(case.loss, case.params, key)
    close(metrics["jacobian"], want.mean())
    close(total, metrics["nll"] + 0.5 * want.mean())

    def estimate(key, probes):
        hp = {"method": "hutchinson", "probes": probes}
        return case.loss(case.params, key, **hp)[1]["jacobian"]

    one, many = (
        run(jax.vmap(lambda key, n=n: estimate(key, n)), keys(2000)) for n in (1, 4)
    )
    mean_is(one, want.mean())
    mean_is(many, want.mean())
    assert 0.15 < many.var() / one.var() < 0.4, "four probes, a quarter of the variance"
