"""Small networks, their models and a batch for each."""

import jax
import jax.numpy as jnp
import numpy as np

from aejax import model, networks

RNG = np.random.default_rng(0)
K, Z, B = 5, 16, 3
SHAPE = (8, 4, 2)


HIDDEN = {
    "mlp": (12, 7),
    "conv": (4, 9),
    "linear": (),
    "linear_tied": (),
    "recurrent": (6, 5),
    "hierarchical": (6, 5),
    "resnet_conv": (4, 9),
    "transformer": (8, 5),
}


OPTIONS = {
    "transformer": {"blocks": 1},
    "hierarchical": {"segments": 2, "teacher_forcing": True},
}


SEQUENTIAL = {"recurrent", "hierarchical", "transformer"}
KEY = jax.random.key(0)
ONES = np.ones((B, Z), np.float32)
BATCH = model.Batch(RNG.random((B, *SHAPE), np.float32), np.array([0, 2, 1], np.int32))


SERIES = BATCH._replace(
    x=RNG.random((B, 4, 2), np.float32), length=np.array([4, 1, 2], np.int32)
)


def batch_for(name):
    """BATCH, or sequences of unequal length."""
    return SERIES if name in SEQUENTIAL else BATCH


def entry(name):
    """The network, by its name or by that of one of its kinds."""
    return networks.NETWORKS["recurrent" if name == "hierarchical" else name]


def make_spec(name="mlp", **changes):
    values = dict(
        shape=batch_for(name).x.shape[1:],
        outputs=1,
        latent_dim=Z,
        heads=2,
        inputs=1,
        hidden=HIDDEN[name],
        activation="tanh",
        init="lecun",
        dtype=jnp.float32,
    )
    return networks.NetworkSpec(**values | changes)


def make_model(name="mlp", k=K, likelihood="bernoulli", bias=None, **changes):
    spec = make_spec(name, **changes)
    model_spec = model.ModelSpec(entry(name), spec, likelihood, 1.0)
    model_spec = model_spec._replace(options=OPTIONS.get(name, {}))
    mask = model.latent_mask(k, spec.latent_dim)
    return model.build(model_spec, mask, model.Clock(0, 1, 1), bias)


def leaves(tree):
    """[(path, is latent, array)] of a parameter tree."""
    pairs = jax.tree_util.tree_leaves_with_path(tree)
    return [(p, model.is_latent(p), a) for p, a in pairs]


def drawn(one, batch=BATCH):
    """Parameters of the right shapes without compiling their initialisers."""
    rng = np.random.default_rng(1)
    shapes = jax.eval_shape(one.init, KEY, batch)
    return {
        "net": jax.tree.map(
            lambda a: (rng.normal(size=a.shape) / a.shape[0] ** 0.5).astype(a.dtype),
            shapes,
        )
    }
