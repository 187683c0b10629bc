"""Small networks of sequences of unequal length."""

import jax
import jax.numpy as jnp
import numpy as np

from aejax import likelihoods, model, networks

RNG = np.random.default_rng(0)
B, T, F, K, Z = 4, 6, 2, 3, 4
KEY = jax.random.key(0)
LENGTH = np.array([T, 1, 3, 5], np.int32)
X = RNG.random((B, T, F), np.float32)


def make_model(
    likelihood="bernoulli",
    scale=1.0,
    steps=T,
    hidden=(7, 5),
    network="recurrent",
    **options,
):
    observed = likelihoods.LIKELIHOODS[likelihood](scale)
    spec = networks.NetworkSpec(
        shape=(steps, F),
        outputs=observed.outputs,
        latent_dim=Z,
        heads=1,
        inputs=1,
        hidden=hidden,
        activation="tanh",
        init="lecun",
        dtype=jnp.float32,
        mean=observed.mean,
    )
    entry = networks.NETWORKS[network]
    model_spec = model.ModelSpec(entry, spec, likelihood, scale, options=options)
    return model.build(model_spec, model.latent_mask(K, Z), model.Clock(0, 1, 1))


def drawn(one):
    """Parameters of the right shapes without compiling their initialisers."""
    rng = np.random.default_rng(1)
    steps = jax.ShapeDtypeStruct((B, T, F), jnp.float32)
    shapes = jax.eval_shape(one.init, KEY, model.Batch(steps))
    return {"net": jax.tree.map(lambda a: rng.normal(size=a.shape) * 0.7, shapes)}
