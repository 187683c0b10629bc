"""What the oracles share: an objective on a small network, and exact models.

An oracle is an independent computation of what an objective gives: a closed form, brute
force in float64, scipy, jacfwd, or statistics over many keys. Each objective has a file
of them, test_NAME.py; a table in test_tables.py or test_contract.py has all objectives.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import scipy.special
import scipy.stats

from aejax import model, networks, objectives

norm = scipy.stats.norm
NEUTRAL = {"beta": 1.0, "kl_warmup": 0.0, "kl_cycles": 1, "free_bits": 0.0}


def run(function, *args):
    """What it gives, as NumPy; compiled unoptimised, which is three times as fast."""
    options = {"xla_backend_optimization_level": 0}
    compiled = jax.jit(function).lower(*args).compile(compiler_options=options)
    return jax.tree.map(np.asarray, compiled(*args))


def keys(n, seed=0):
    return jax.random.split(jax.random.key(seed), n)


def close(got, want, rtol=1e-5, atol=1e-5):
    def one(a, b):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=atol)

    jax.tree.map(one, got, want)


def mean_is(draws, want, errors=5.0):
    """The mean over axis 0 within this many of its own standard errors."""
    draws = np.asarray(draws, np.float64)
    error = draws.std(0) / np.sqrt(len(draws))
    assert (np.abs(draws.mean(0) - want) <= errors * error + 1e-9).all(), (
        draws.mean(0),
        want,
        error,
    )


class Case:
    """An objective on a small mlp, k of Z dimensions in use; weights from NumPy."""

    def __init__(
        self,
        name,
        *,
        k=3,
        z=5,
        shape=(6,),
        hidden=(7,),
        likelihood="gaussian",
        size=8,
        classes=0,
        network="mlp",
        activation="tanh",
        **hp,
    ):
        self.objective = objectives.OBJECTIVES[name]
        # The KL counts as it is, unless a test says otherwise.
        plain = {n: NEUTRAL[n] for n in self.objective.kl_defaults}
        self.hp, self.k = self.objective.defaults | plain | hp, k

        def count(number):
            return number(**self.hp) if callable(number) else number

        spec = networks.NetworkSpec(
            shape=shape,
            outputs=1,
            latent_dim=z,
            heads=count(self.objective.heads),
            inputs=count(self.objective.inputs),
            hidden=hidden,
            activation=activation,
            init="lecun",
            dtype=jnp.float32,
            num_classes=classes,
        )
        network = networks.NETWORKS[network]
        model_spec = model.ModelSpec(network, spec, likelihood, 1.0)
        clock = model.Clock(0, 100, 1000)
        self.model = model.build(model_spec, model.latent_mask(k, z), clock)
        rng = np.random.default_rng(0)
        x = rng.normal(size=(size, *shape)).astype(np.float32)
        y = rng.integers(0, classes, size) if classes else None
        self.batch = model.Batch(x, y)

        def init():
            key = jax.random.key(0)
            net = self.model.init(key, self.batch)
            batch = jax.tree.map(jnp.asarray, self.batch)
            more = self.objective.init(self.model, net, batch, key, **self.hp)
            return {"net": net, "extra": {}, "state": {}} | more

        def draw(path, leaf):
            a = 0.5 * rng.normal(size=leaf.shape).astype(np.float32)
            if model.is_latent(path):
                a[k:] = 0.0
            return a

        self.params = jax.tree_util.tree_map_with_path(draw, jax.eval_shape(init))

    def loss(self, params, key, bound=None, batch=None, **hp):
        """Loss and metrics, with another Model, batch or hyperparameters if given."""
        bound, hp = self.objective.bind(bound or self.model, self.hp | hp)
        return self.objective.loss(bound, params, batch or self.batch, key, **hp)[:2]

    def log_weight(self, params, key):
        bound, hp = self.objective.bind(self.model, self.hp)
        return self.objective.log_weight(bound, params, self.batch, key, **hp)

    def model_at(self, step, steps=100):
        """The Model at this step."""
        return self.model._replace(clock=model.Clock(step, steps, 1000))

    def elbo(self, params, key):
        """What one draw gives in float64: nll (B,), log q - log p (B,), z, mu, logvar.

        The draw and the decoder are the Model's; densities are scipy's.
        """

        def parts(params, key):
            mu, logvar = self.model.encode(params, self.batch)[:2]
            z = self.model.sample(key, mu, logvar)
            decoded = self.model.decode(params, z, self.batch)
            return z, mu, logvar, self.model.likelihood.nll(self.batch, decoded)

        *code, nll = run(parts, params, key)
        z, mu, logvar = (a[:, : self.k].astype(np.float64) for a in code)
        log_q = norm.logpdf(z, mu, np.exp(logvar / 2)).sum(1)
        return nll, log_q - norm.logpdf(z).sum(1), z, mu, logvar


def value_and_grad(case, **hp):
    return lambda params, key: jax.value_and_grad(lambda p: case.loss(p, key, **hp)[0])(
        params
    )


def kernel(a, b, scale, name):
    """Of two points."""
    d = np.sum((a - b) ** 2)
    if name == "rbf":
        return np.exp(-d / scale)
    return sum(s * scale / (s * scale + d) for s in (0.1, 0.2, 0.5, 1, 2, 5, 10))


def mmd(x, y, scale, name):
    """The unbiased double sum over pairs, within each of two samples and across."""
    within = [
        np.mean([kernel(a, b, scale, name) for a, b in itertools.permutations(s, 2)])
        for s in (x, y)
    ]
    across = np.mean([kernel(a, b, scale, name) for a in x for b in y])
    return sum(within) - 2 * across


def one_sample_is_the_elbo(name):
    """With a single sample an importance-weighted bound is the ELBO."""
    case, key = Case(name, num_samples=1), jax.random.key(2)
    (draw,) = jax.random.split(key, 1)
    nll, kl, *_ = case.elbo(case.params, draw)
    loss, metrics = run(case.loss, case.params, key)
    close(loss, (nll + kl).mean())
    close(metrics["nll"], nll.mean())


def value_is_the_bound(name):
    """Of four samples; the case, its draws and their log weights (4, B)."""
    case, key = Case(name, num_samples=4), jax.random.key(2)
    draws = jax.random.split(key, 4)
    weights = run(jax.vmap(lambda k: case.log_weight(case.params, k)), draws)
    bound = scipy.special.logsumexp(weights.astype(np.float64), axis=0) - np.log(4)
    close(run(case.loss, case.params, key)[0], -bound.mean())
    return case, draws, weights


def is_the_vae_without(name, vae_key, key, **hp):
    """With these hyperparameters an objective's loss is the vae's of ``vae_key``."""
    case, vae = Case(name), Case("vae")

    def values(params):
        with_term, without = case.loss(params, key), case.loss(params, key, **hp)
        return vae.loss(params, vae_key)[0], without[0], with_term[0]

    want, without, with_term = run(values, case.params)
    close(without, want)
    assert abs(with_term - want) > 0.01


def trains_apart(case, key, apart):
    """One scalar trains two networks that do not train each other.

    ``apart(params)`` gives the loss of the autoencoder and that of its critic.
    """

    def both(params):
        first, second = (jax.grad(lambda p, i=i: apart(p)[i])(params) for i in (0, 1))
        return apart(params), first["net"], second["extra"]

    def ours(params):
        return jax.value_and_grad(lambda p: case.loss(p, key), has_aux=True)(params)

    wants, values = run(lambda params: (both(params), ours(params)), case.params)
    ((want, bce), net, extra), ((total, metrics), grads) = wants, values
    close(total, want)  # the critic's part is not in the value
    close(grads["net"], net)
    close(grads["extra"], extra)
    assert max(np.abs(g).max() for g in jax.tree.leaves(extra)) > 1e-3
    close(metrics["critic"], bce)


def scales_the_critic_alone(name):
    """``critic_rate`` is a factor of the critic's steps, of no other."""
    case = Case(name)
    tree = {"net": case.params["net"], "extra": case.params["extra"]}

    def steps(rate):
        tx = case.objective.optimizer(
            optax.sgd(0.1), case.model, learning_rate=0.1, critic_rate=rate
        )
        return tx.update(tree, tx.init(tree), tree)[0]

    got = run(steps, np.float32(0.25))
    close(got["net"], jax.tree.map(lambda a: -0.1 * a, tree["net"]))
    close(got["extra"], jax.tree.map(lambda a: -0.025 * a, tree["extra"]))


def spied(case, n):
    """(z, hp) -> the code that the loss decodes where the encoder gives z (n, Z)."""

    def code(z, hp):
        codes = []

        def decode(params, z, batch=None):
            codes.append(z)
            return jnp.zeros((*batch.x.shape, 1))

        bound = case.model._replace(encode=lambda p, b: z, decode=decode)
        batch = model.Batch(jnp.zeros((n, *case.batch.x.shape[1:])))
        case.loss(case.params, jax.random.key(0), bound, batch, **hp)
        return codes[-1]

    return code
