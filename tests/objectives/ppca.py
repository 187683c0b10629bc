"""Probabilistic PCA, x = W z + b + σ ε: log p(x) and the posterior are known.

W has orthogonal columns, so that the exact posterior is one of the diagonal Gaussians
that an encoder can give.
"""

import functools

import jax
import numpy as np
import scipy.stats

import aejax
from aejax import autoencoder, objectives
from aejax.runs import plan
from tests.objectives.common import Case, keys, run

D, K, Z, NOISE = 6, 3, 4, 0.3
_rng = np.random.default_rng(1)
W = np.linalg.qr(_rng.normal(size=(D, K)))[0] * np.array([2.0, 1.0, 0.5])
MEAN = _rng.normal(size=D)
SPREAD = np.square(W).sum(0)  # of each column
VARIANCE = NOISE / (SPREAD + NOISE)  # of the exact posterior
MARGINAL = scipy.stats.multivariate_normal(MEAN, W @ W.T + NOISE * np.eye(D))


def ppca(shift=0.0, spread=0.0):
    """Parameters of the mlp without hidden layers; q is off by shift, by e^spread."""
    code, back = np.zeros((Z, 2, D)), np.zeros((Z, 1, D))
    bias = np.zeros((Z, 2))
    code[:K, 0] = W.T / (SPREAD + NOISE)[:, None]
    bias[:K, 0] = shift - code[:K, 0] @ MEAN
    bias[:K, 1] = np.log(VARIANCE) + spread
    back[:K, 0] = W.T
    net = {
        "code": {"latent_kernel": code, "latent_bias": bias},
        "decode_code": {"latent_kernel": back},
        "output_bias": MEAN[:, None],
        "shared": np.log([NOISE]),
    }
    net = jax.tree.map(np.float32, net)
    return {"net": net, "extra": {}, "state": {}}


def trained(path, x, params):
    """An Autoencoder of the vae with these parameters, on x (N, D) in all splits."""
    np.savez(path, x_train=x, x_valid=x, x_test=x)
    config = aejax.Config(
        dataset=str(path),
        objective="vae",
        hidden=(),
        likelihood="gaussian_learned",
        latent_dim=K,
    )
    planned = plan.plan(config, {"latent_dim": [K, Z]})
    spec = planned.populations[0].spec
    functions = autoencoder.functions(spec)
    member = spec.config, params, functions, spec.steps
    return autoencoder.Autoencoder(spec, *member, planned.sources.source)


def gap(shift, spread):
    """KL(q || exact posterior), nats, the same for every x."""
    each = shift**2 / VARIANCE + np.exp(spread) - 1 - spread
    return 0.5 * np.sum(np.broadcast_to(each, K))


OFF = (0.3, 0.5)  # shift and spread of a wrong posterior that covers the exact one


@functools.cache
def linear(name, size=16, **hp):
    """An objective's Case on draws of that model, and their log p(x)."""
    classes = 2 if "labels" in objectives.OBJECTIVES[name].needs else 0
    case = Case(
        name,
        k=K,
        z=Z,
        shape=(D,),
        hidden=(),
        likelihood="gaussian_learned",
        size=size,
        classes=classes,
        **hp,
    )
    rng = np.random.default_rng(2)
    x = rng.normal(size=(size, K)) @ W.T + MEAN
    x = (x + np.sqrt(NOISE) * rng.normal(size=x.shape)).astype(np.float32)
    case.batch = case.batch._replace(x=x)
    return case, MARGINAL.logpdf(x)


@functools.cache
def bounds(name, draws, seed=0, **hp):
    """The bound on log p(x) of each of several keys, with the wrong posterior."""
    case, _ = linear(name, **hp)
    return -run(jax.vmap(lambda key: case.loss(ppca(*OFF), key)[0]), keys(draws, seed))
