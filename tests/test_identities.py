"""Mathematical oracles: each objective against an independent computation of it.

Closed forms, brute force in float64, scipy, jacfwd and statistics over many keys.
"""

import fractions
import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.linalg
import scipy.special
import scipy.stats

import aejax
from aejax import (
    corruptions,
    evaluate,
    losses,
    model,
    networks,
    objectives,
    plan,
    train,
    trained,
)
from aejax import data as datasets
from aejax import source as sources
from aejax.objectives import (
    beta_tc_vae,
    factor_vae,
    flow_vae,
    fsq,
    stacked,
    topk,
    vq_vae,
)

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

        spec = networks.Spec(
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
        blueprint = model.Blueprint(network, spec, likelihood, 1.0)
        clock = model.Clock(0, 100, 1000)
        self.model = model.build(blueprint, model.latent_mask(k, z), clock)
        rng = np.random.default_rng(0)
        x = rng.normal(size=(size, *shape)).astype(np.float32)
        y = rng.integers(0, classes, size) if classes else None
        self.batch = model.Batch(x, y)

        def init():
            key = jax.random.key(0)
            net = self.model.init(key, self.batch)
            batch = jax.tree.map(jnp.asarray, self.batch)
            own = self.objective.init(self.model, net, batch, key, **self.hp)
            return {"net": net, "extra": {}, "state": {}} | own

        def draw(path, leaf):
            a = 0.5 * rng.normal(size=leaf.shape).astype(np.float32)
            if model.is_latent(path):
                a[k:] = 0.0
            return a

        self.params = jax.tree_util.tree_map_with_path(draw, jax.eval_shape(init))

    def loss(self, params, key, bound=None, batch=None, **hp):
        """Loss and metrics, with another Model, batch or hyperparameters if given."""
        bound, own = self.objective.bind(bound or self.model, self.hp | hp)
        return self.objective.loss(bound, params, batch or self.batch, key, **own)[:2]

    def log_weight(self, params, key):
        bound, own = self.objective.bind(self.model, self.hp)
        return self.objective.log_weight(bound, params, self.batch, key, **own)

    def at(self, step, steps=100):
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


# Probabilistic PCA: x = W z + b + σ ε. W has orthogonal columns, so that the exact
# posterior is one of the diagonal Gaussians that an encoder can give.

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


def gap(shift, spread):
    """KL(q || exact posterior), nats, the same for every x."""
    each = shift**2 / VARIANCE + np.exp(spread) - 1 - spread
    return 0.5 * np.sum(np.broadcast_to(each, K))


OFF = (0.3, 0.5)


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


# Priors of their own: vamp_vae and hierarchical_vae have tests further down.
WITH_WEIGHTS = [
    n
    for n in objectives.OBJECTIVES
    if objectives.OBJECTIVES[n].log_weight and n not in ("vamp_vae", "hierarchical_vae")
]


@pytest.mark.parametrize("name", WITH_WEIGHTS)
def test_with_the_exact_posterior_every_draw_weighs_p_of_x(name):
    case, log_p = linear(name, **({"num_flows": 0} if name == "flow_vae" else {}))
    params = ppca()
    extra = jax.tree.map(lambda a: 0 * a, case.params["extra"])
    if case.batch.y is not None:
        zeros = np.zeros((2, D), np.float32)
        params["net"]["decode_label"] = {"kernel": zeros}
        code = params["net"]["code"]
        pad = ((0, 0), (0, 0), (0, 2))
        code["latent_kernel"] = np.pad(code["latent_kernel"], pad)
    if name == "flow_vae":  # a third head, which no flow reads
        code = params["net"]["code"]
        pads = {
            "latent_kernel": ((0, 0), (0, 1), (0, 0)),
            "latent_bias": ((0, 0), (0, 1)),
        }
        params["net"]["code"] = {n: np.pad(code[n], pad) for n, pad in pads.items()}
    params["extra"] = extra
    weights = run(jax.vmap(lambda key: case.log_weight(params, key)), keys(5))
    assert weights.shape == (5, 16)
    close(weights, np.tile(log_p, (5, 1)))
    if "iwae" in name:  # miwae, dreg_iwae: the loss is the bound, tight at any K
        close(run(lambda key: case.loss(params, key)[0], keys(1)[0]), -log_p.mean())


def test_bounds_rise_with_the_number_of_samples_up_to_log_p_of_x():
    """ELBO < IWAE-2 < IWAE-8 < IWAE-32 < log p(x), 5 standard errors apart."""
    params, means, error = ppca(*OFF), [], []
    for name, hp in (
        ("vae", {}),
        ("iwae", {"num_samples": 2}),
        ("iwae", {"num_samples": 8}),
        ("iwae", {"num_samples": 32}),
    ):
        case, log_p = linear(name, **hp)
        draws = -run(
            jax.vmap(lambda key, case=case: case.loss(params, key)[0]), keys(1000)
        )
        if name == "vae":
            mean_is(draws, log_p.mean() - gap(*OFF))
        means.append(draws.mean(dtype=np.float64))
        error.append(draws.std() / np.sqrt(len(draws)))
    means, error = np.array([*means, log_p.mean()]), np.array([*error, 0.0])
    steps, errors = np.diff(means), np.hypot(error[1:], error[:-1])
    assert (steps > 5 * errors).all(), (means, error)
    eight = {"miwae": {"num_bounds": 4, "num_samples": 8}, "dreg_iwae": {}}
    for name, hp in eight.items():
        case, _ = linear(name, **({"num_samples": 8} | hp))
        draws = run(
            jax.vmap(lambda key, case=case: case.loss(params, key)[0]), keys(500, 1)
        )
        mean_is(-draws, means[2], errors=6.0)


@pytest.fixture(scope="module")
def trained_ppca(tmp_path_factory):
    """A Trained of the vae on PPCA data, with parameters off the optimum."""
    case, _ = linear("vae", size=512)
    path = tmp_path_factory.mktemp("ppca") / "x.npz"
    np.savez(path, x_train=case.batch.x, x_valid=case.batch.x, x_test=case.batch.x)
    config = aejax.Config(
        dataset=str(path),
        objective="vae",
        hidden=(),
        likelihood="gaussian_learned",
        latent_dim=K,
    )
    (group,) = plan.plan(config, {"latent_dim": [K, Z]})
    functions = trained.functions(group)
    return trained.Trained(group, group.lanes[0], ppca(*OFF), functions)


def test_importance_sampling_hits_log_p_of_x(trained_ppca):
    """With a wrong q that covers the posterior; the error it states is its own."""
    case, log_p = linear("vae", size=512)
    x, key = case.batch.x, jax.random.key(0)
    found = evaluate.log_likelihood(trained_ppca, x, key=key, samples=300)
    off = (found.nll + log_p) / found.error
    assert np.abs(off).max() < 5 and 0.8 < np.sqrt(np.mean(off**2)) < 1.2
    mean_is(found.nll + log_p - found.error**2 / 2, 0.0)  # a log's bias, known too
    assert (found.ess > 30).all() and (found.ess < 300).all()
    assert (found.nll + log_p).std() < 0.2, "and it is close"
    one = evaluate.log_likelihood(trained_ppca, x, key=key, samples=1)
    close(one.ess, np.ones(512))
    close(one.error, np.zeros(512), atol=1e-3)


@pytest.mark.parametrize("size", [3, 1500])
def test_streamed_uses_as_many_draws_as_asked_for(size):
    """Mistake 2. Draws of equal weight w count for one each, and give -log w."""
    log_w = np.linspace(-2000, 300, size, dtype=np.float32)
    asked = np.array([1, 2, 7, 1000, 8193])
    found = run(
        lambda samples: jax.lax.map(
            lambda n: evaluate.streamed(
                lambda key: jnp.asarray(log_w), jax.random.key(0), n, size
            ),
            samples,
        ),
        asked,
    )
    close(found.ess, np.tile(asked[:, None], (1, size)))
    close(found.nll, np.tile(-log_w, (5, 1)), atol=3e-4)
    close(found.error, np.zeros((5, size)), atol=1e-3)


def test_streamed_equals_float64_on_the_same_weights():
    """The n-th weight is what the sum over n draws has more than that over n - 1."""
    size, most = 1500, 23  # five rows at once
    offset = np.zeros(size)
    offset[:3] = -3000, -90, 500
    asked = np.arange(1, most + 1)

    def streamed(samples, log_w):
        return evaluate.streamed(log_w, jax.random.key(3), samples, size)

    def draw(key):
        return jax.random.normal(key, (size,)) + jnp.asarray(offset, jnp.float32)

    found = run(lambda n: jax.lax.map(lambda m: streamed(m, draw), n), asked)
    nll, error, ess = (a.astype(np.float64) for a in found)
    sums = np.exp(-nll - offset + np.log(asked)[:, None])
    sums[:, [0, 2]] = np.nan  # 3,000 nats: float32 resolves 1e-4 there
    weights = np.diff(sums, axis=0, prepend=0)
    fresh = np.log(weights[:, 3:])
    mean_is(fresh.ravel(), 0.0)
    mean_is(np.square(fresh).ravel(), 1.0)
    assert np.abs(np.corrcoef(fresh) - np.eye(most)).max() < 6 / np.sqrt(size)
    total, square = np.cumsum(weights, 0), np.cumsum(weights**2, 0)
    count = asked[:, None]
    close(ess[:, 3:], (total**2 / square)[:, 3:], rtol=1e-3)
    spread = np.sqrt(np.maximum(square / count - (total / count) ** 2, 0))
    want = spread / (total / count) / np.sqrt(count)
    close(error[:, 3:], want[:, 3:], rtol=2e-3, atol=1e-3)
    assert np.isfinite([nll, error, ess]).all()


# Special cases: one objective is another.


def value_and_grad(case, **hp):
    return lambda params, key: jax.value_and_grad(lambda p: case.loss(p, key, **hp)[0])(
        params
    )


def test_beta_vae_with_beta_1_is_the_vae():
    vae, beta = Case("vae"), Case("beta_vae")
    key = jax.random.key(5)
    want = run(value_and_grad(vae), vae.params, key)
    close(run(value_and_grad(beta, beta=1.0), vae.params, key), want, rtol=1e-6)
    four = run(value_and_grad(beta), vae.params, key)
    assert abs(four[0] - want[0]) > 1


def test_beta_vae_s_schedules_follow_their_formulas():
    case = Case("beta_vae")
    steps = np.arange(100)
    settings = [
        dict(beta=2.0, kl_warmup=0.0, capacity=0.0, ramp=0.5),
        dict(beta=2.0, kl_warmup=0.3, capacity=0.0, ramp=0.5),
        dict(beta=3.0, kl_warmup=0.0, capacity=25.0, ramp=0.8),
        dict(beta=3.0, kl_warmup=0.5, capacity=2.0, ramp=0.0),
    ]
    traced = {n: np.array([s[n] for s in settings], np.float32) for n in settings[0]}

    def one(step, hp):
        return case.loss(case.params, jax.random.key(1), case.at(step), **hp)

    each = jax.vmap(jax.vmap(one, (0, None)), (None, 0))
    found, metrics = run(each, steps, traced)
    nll, kl = metrics["nll"][0, 0], metrics["kl"][0, 0]
    assert 2 < kl < 25, "above a capacity and below another"
    for s, got in zip(settings, found, strict=True):
        for t in steps:
            done = t + 1
            beta = s["beta"]
            if done < s["kl_warmup"] * 100:
                beta *= done / (s["kl_warmup"] * 100)
            capacity = s["capacity"]
            if done < s["ramp"] * 100:
                capacity *= done / (s["ramp"] * 100)
            close(got[t], nll + beta * abs(kl - capacity))
    # Mistake 6: with the default capacity the KL counts in full, from the first step.
    close(found[0], np.full(100, nll + 2 * kl))


VARIATIONAL = [n for n in objectives.OBJECTIVES if objectives.OBJECTIVES[n].kl_control]


@pytest.mark.parametrize("name", VARIATIONAL)
def test_every_variational_objective_obeys_its_kl_control(name):
    """At half the weight half the KL is missing; free bits count in full."""
    controls = objectives.OBJECTIVES[name].kl_control
    classes = 3 if name == "conditional_vae" else 0
    case = Case(name, classes=classes, **({"num_samples": 1} if "iwae" in name else {}))
    settings = [{"kl_warmup": 0.0}, {"kl_warmup": 0.02}]  # of 100 steps, at the first
    settings += [{"beta": 3.0}] * ("beta" in controls)
    settings += [{"free_bits": 50.0}] * ("free_bits" in controls)
    known = {n for s in settings for n in s}
    full = [{n: NEUTRAL[n] for n in known} | s for s in settings]
    traced = {n: np.array([s[n] for s in full], np.float32) for n in known}

    def one(hp):
        return case.loss(case.params, jax.random.key(1), case.at(0), **hp)

    (plain, half, *more), metrics = run(jax.vmap(one), traced)
    nll, part = metrics["nll"][0], metrics["kl"][0]
    if name == "beta_tc_vae":
        parts = (metrics[n][0] for n in ("information", "tc", "dimension_kl"))
        part = sum(w * a for w, a in zip((1, 6, 1), parts, strict=True))
    elif "iwae" in name:  # a draw's, not the KL in closed form
        part = plain - nll
    part *= {"info_vae": 0.5, "beta_vae": case.hp.get("beta")}.get(name, 1.0)
    close(plain - half, part / 2, atol=1e-4)
    assert abs(part) > 0.2
    if "beta" in controls:
        close(more[0] - plain, 2 * part, atol=1e-4)
    if "free_bits" in controls:
        scale = {"info_vae": 0.5, "beta_vae": case.hp.get("beta")}.get(name, 1.0)
        floor = 50.0 * 3 * (2 if name == "hierarchical_vae" else 1)
        close(more[-1] - plain, scale * floor - part, rtol=1e-4)


def bounds_of(name):
    return {"num_bounds": 3} if name == "miwae" else {}


@pytest.mark.parametrize("name", ["iwae", "miwae", "dreg_iwae"])
def test_iwae_of_one_sample_is_the_elbo_of_a_sampled_kl(name):
    case, key = Case(name, num_samples=1, **bounds_of(name)), jax.random.key(2)
    draws = jax.random.split(key, 3 if name == "miwae" else 1)
    nll, kl = np.mean([case.elbo(case.params, d)[:2] for d in draws], axis=0)
    loss, metrics = run(case.loss, case.params, key)
    close(loss, (nll + kl).mean())
    close(metrics["nll"], nll.mean())


@pytest.mark.parametrize("name", ["iwae", "miwae", "dreg_iwae"])
def test_the_value_of_iwae_is_the_bound_itself(name):
    """Mistake 1: a loss of the right gradient whose value is not the bound."""
    case, key = Case(name, num_samples=4, **bounds_of(name)), jax.random.key(2)
    bounds = 3 if name == "miwae" else 1
    each = jax.random.split(key, 4 * bounds)
    weights = run(jax.vmap(lambda k: case.log_weight(case.params, k)), each)
    weights = weights.astype(np.float64).reshape(bounds, 4, -1)
    bound = scipy.special.logsumexp(weights, axis=1) - np.log(4)
    close(run(case.loss, case.params, key)[0], -bound.mean())
    # And these weights are log p(x, z) - log q(z|x).
    nll, kl, *_ = case.elbo(case.params, each[0])
    close(weights[0, 0], -nll - kl)


@pytest.mark.parametrize("kl_warmup", [0.0, 0.02])  # the KL in full, and half of it
def test_dreg_has_iwae_s_gradient_with_less_variance(kl_warmup):
    """The decoder's exactly, the encoder's in the mean."""
    found = {}
    for name in ("iwae", "dreg_iwae"):
        case, _ = linear(name, num_samples=8)
        one = value_and_grad(case, kl_warmup=kl_warmup)
        grads = jax.vmap(lambda key, one=one: one(ppca(*OFF), key))
        value, tree = run(grads, keys(1500))
        found[name] = (value, tree["net"])
    (value, want), (value_dreg, got) = found.values()
    close(value_dreg, value)
    for name in ("decode_code", "output_bias", "shared"):
        close(got[name], want[name], atol=1e-4)
    for name in ("latent_kernel", "latent_bias"):
        iwae, dreg = (g["code"][name][:, :K] for g in (want, got))
        mean_is(dreg - iwae, 0.0)
        assert dreg.var(0).sum() < 0.7 * iwae.var(0).sum()
        assert np.abs(iwae.mean(0)).max() > 0.05


@pytest.mark.parametrize(
    "name, hp",
    [
        ("info_vae", {"alpha": 0.0, "weight": 1.0}),
        ("dip_vae", {"lambda_od": 0.0, "lambda_d": 0.0}),
        ("factor_vae", {"gamma": 0.0}),
    ],
)
def test_without_its_own_term_an_objective_is_the_vae(name, hp):
    case, key = Case(name), jax.random.key(4)
    vae, own = Case("vae"), key if name == "dip_vae" else jax.random.split(key)[0]

    def values(params):
        with_it, without = case.loss(params, key), case.loss(params, key, **hp)
        return vae.loss(params, own)[0], without[0], with_it[0]

    want, without, with_it = run(values, case.params)
    close(without, want)
    assert abs(with_it - want) > 0.01


# β-TCVAE.


def tc_by_loops(z, mu, logvar, weights):
    """log q(z_i) and Σ_d log q(z_id), (B,) each; weights[i][j] of q(z_i | x_j)."""
    size, k = z.shape
    joint, product = np.zeros(size), np.zeros(size)
    sigma = np.exp(logvar / 2)
    for i in range(size):
        each = [[norm.logpdf(z[i, d], mu[j, d], sigma[j, d]) for d in range(k)]
                for j in range(size)]  # fmt: skip
        joint[i] = np.log(
            sum(weights[i][j] * np.exp(sum(each[j])) for j in range(size))
        )
        for d in range(k):
            product[i] += np.log(
                sum(weights[i][j] * np.exp(each[j][d]) for j in range(size))
            )
    return joint, product


def tc_weights(estimator, size, num):
    """As the paper's formulas say, written out."""
    if estimator == "mws" or size == 1:
        return np.full((size, size), 1 / (num * size))
    if size > num:
        return np.full((size, size), 1 / size)
    m, out = size - 1, np.zeros((size, size))
    for i in range(size):
        for j in range(size):
            out[i, j] = 1 / m
        out[i, i] = 1 / num
        out[i, (i + 1) % size] = (num - m) / (num * m)
    return out


@pytest.mark.parametrize("estimator", ["mss", "mws"])
def test_beta_tc_s_terms_are_brute_force_s_and_sum_to_the_kl(estimator):
    case, key = Case("beta_tc_vae", size=6, estimator=estimator), jax.random.key(3)

    def loss(n):  # of a training set of this size
        bound = case.model._replace(clock=model.Clock(0, 100, n))
        return case.loss(case.params, key, bound)

    cases = ((1000, 6), (4, 6), (1000, 2), (1000, 1))
    for num, size in cases if estimator == "mss" else cases[:1]:
        cut = jax.tree.map(lambda a, size=size: a[:size], case.batch)
        whole, case.batch = case.batch, cut
        nll, kl, z, mu, logvar = case.elbo(case.params, key)
        total, metrics = run(lambda num=num: loss(num))
        case.batch = whole
        log_q = norm.logpdf(z, mu, np.exp(logvar / 2)).sum(1)
        weights = tc_weights(estimator, size, num)
        joint, product = tc_by_loops(z, mu, logvar, weights)
        parts = [metrics[n] for n in ("information", "tc", "dimension_kl")]
        want = [log_q - joint, joint - product, product - norm.logpdf(z).sum(1)]
        close(np.array(parts), np.mean(want, axis=1), atol=2e-5)
        close(sum(parts), kl.mean(), atol=2e-5)
        close(total, nll.mean() + parts[0] + 6 * parts[1] + parts[2])
        if estimator == "mss" and size > 1:
            got = run(lambda s=size, n=num: jnp.exp(
                beta_tc_vae._log_weights(s, n, "mss")
            ))  # fmt: skip
            close(got.sum(1), np.ones(size))


def test_stratified_weights_estimate_the_data_set_s_mixture_without_bias():
    """Chen et al., appendix C.2: over all batches that hold the draw's own example."""
    num, size = 6, 4
    densities = np.random.default_rng(0).random(num)  # q(z | x_n) of one z, from x_0
    weights = run(lambda: jnp.exp(beta_tc_vae._log_weights(size, num, "mss")))
    every = [
        weights[0] @ densities[[0, *others]]
        for others in itertools.permutations(range(1, num), size - 1)
    ]
    close(np.mean(every), densities.mean())


# Distances, penalties.


def kernel(a, b, scale, name):
    d = np.sum((a - b) ** 2)
    if name == "rbf":
        return np.exp(-d / scale)
    return sum(s * scale / (s * scale + d) for s in (0.1, 0.2, 0.5, 1, 2, 5, 10))


@pytest.mark.parametrize("name", ["rbf", "imq"])
def test_mmd_is_the_double_sum_over_pairs(name):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(7, 3)), rng.normal(size=(5, 3)) + 0.5
    within = [
        np.mean([kernel(a[i], a[j], 6.0, name) for i in at for j in at if i != j])
        for a, at in ((x, range(7)), (y, range(5)))
    ]
    across = np.mean([[kernel(a, b, 6.0, name) for a in x] for b in y])
    mmd = jax.jit(functools.partial(losses.mmd, kernel=name))
    got = mmd(np.float32(x), np.float32(y), 6.0)
    close(got, sum(within) - 2 * across)
    close(mmd(np.float32(x[::-1]), np.float32(y[[2, 0, 1, 4, 3]]), 6.0), got, atol=1e-6)

    def draw(key, shift):
        one, two = jax.random.normal(key, (2, 16, 3))
        return losses.mmd(one, two + shift, 6.0, name)

    same, shifted = run(
        jax.vmap(jax.vmap(draw, (0, None)), (None, 0)), keys(2000), np.array([0.0, 1.0])
    )
    mean_is(same, 0.0)
    assert (same < 0).any(), "unbiased, so below 0 at times"
    assert shifted.mean() > 20 * shifted.std() / np.sqrt(2000)


def test_wae_and_info_vae_add_the_mmd_of_the_codes_in_use():
    for name in ("wae_mmd", "info_vae"):
        case, key = Case(name, kernel="imq"), jax.random.key(1)
        first, second = (key, key) if name == "wae_mmd" else jax.random.split(key)

        def parts(case=case, first=first, second=second, name=name):
            code = case.model.encode(case.params, case.batch)
            z = code if name == "wae_mmd" else case.model.sample(first, *code)
            return z, case.model.noise(second, 8)

        z, noise = (a[:, :3].astype(np.float64) for a in run(parts))
        pairs = [(i, j) for i in range(8) for j in range(8)]
        within = sum(
            np.mean([kernel(a[i], a[j], 6.0, "imq") for i, j in pairs if i != j])
            for a in (z, noise)
        )
        across = np.mean([kernel(z[i], noise[j], 6.0, "imq") for i, j in pairs])
        total, metrics = run(lambda case=case, key=key: case.loss(case.params, key))
        close(metrics["mmd"], within - 2 * across)
        if name == "wae_mmd":
            close(total, metrics["nll"] + 10 * metrics["mmd"])
        else:
            close(total, metrics["nll"] + 0.5 * metrics["kl"] + 9.5 * metrics["mmd"])


def test_jacobian_norm_of_a_sigmoid_layer_is_rifai_s_formula():
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


def test_contractive_adds_the_frobenius_norm_of_the_encoder_s_jacobian():
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


# Discrete codes.


def spied(case, n):
    """(z, hp) -> the code that the loss decodes where the encoder gives z (n, Z)."""

    def code(z, hp):
        seen = []

        def decode(params, z, batch=None):
            seen.append(z)
            return jnp.zeros((*batch.x.shape, 1))

        bound = case.model._replace(encode=lambda p, b: z, decode=decode)
        batch = model.Batch(jnp.zeros((n, *case.batch.x.shape[1:])))
        case.loss(case.params, jax.random.key(0), bound, batch, **hp)
        return seen[-1]

    return code


VQ = dict(num_codes=6, code_dim=2, decay=0.95)


class Slots:
    """vq_vae with the encoder's output given: e (B, Z, C), 3 of 5 slots in use."""

    def __init__(self, size=8, **hp):
        self.case = Case("vq_vae", size=size, **(VQ | hp))
        self.rng = np.random.default_rng(3)
        self.e = self.rng.normal(size=(size, 5, 2)).astype(np.float32)
        self.e[:, 3:] = 0.0
        self.codebook = self.rng.normal(size=(6, 2)).astype(np.float32)
        self.params = self.case.params | {"state": self.state(np.full(6, 4.0))}

    def state(self, counts):
        counts = np.float32(counts)
        sums = self.codebook * counts[:, None]
        usage = np.float32([[1.0] * 6] * 3 + [[0.0] * 6] * 2)
        own = {"codebook": self.codebook, "counts": counts, "sums": sums}
        return own | {"latent_usage": usage}

    def __call__(self, params, e, key, **hp):
        """Loss, metrics, new state."""
        split = tuple(e[..., i] for i in range(2))
        bound = self.case.model._replace(encode=lambda p, b: split)
        args = (bound, params, self.case.batch, key)
        return self.case.objective.loss(*args, **(self.case.hp | hp))

    def ids(self, e, codebook):
        distance = np.square(e[:, :3, None] - codebook[None, None]).sum(-1)
        return distance.argmin(-1)  # (B, 3)


def test_vq_takes_the_nearest_vector():
    slots = Slots()
    e = slots.rng.normal(size=(500, 2)).astype(np.float32)
    want = [np.argmin([np.sum((a - c) ** 2) for c in slots.codebook]) for a in e]
    np.testing.assert_array_equal(run(vq_vae.nearest, e, slots.codebook), want)
    assert len(set(want)) == 6
    case = slots.case
    split = tuple(slots.e[..., i] for i in range(2))
    bound = case.model._replace(encode=lambda p, b: split)
    z = run(lambda p: vq_vae.code(bound, p, case.batch), slots.params)
    want = slots.codebook[slots.ids(slots.e, slots.codebook)]
    close(np.stack(z, -1)[:, :3], want)
    assert (np.stack(z, -1)[:, 3:] == 0).all()


def test_vq_passes_the_decoder_s_gradient_straight_to_the_encoder():
    slots = Slots()
    case, key, params = slots.case, jax.random.key(0), slots.params
    z = np.zeros_like(slots.e)
    z[:, :3] = slots.codebook[slots.ids(slots.e, slots.codebook)]

    def decoder(z, params):
        split = tuple(z[..., i] for i in range(2))
        decoded = case.model.decode(params, split, case.batch)
        return case.model.likelihood.nll(case.batch, decoded).mean()

    want, at_z = run(jax.value_and_grad(decoder), z, params)

    def loss(e, params, commitment):
        return slots(params, e, key, commitment=commitment)[0]

    each = jax.value_and_grad(loss)
    value, grad = run(each, slots.e, params, 0.0)
    close(value, want)
    close(grad[:, :3], at_z[:, :3])
    assert np.abs(at_z[:, :3]).max() > 0.01
    committed, pulled = run(each, slots.e, params, 0.25)
    off = (slots.e - z)[:, :3].astype(np.float64)
    close(committed, want + 0.25 * np.square(off).sum((1, 2)).mean())
    close(pulled[:, :3] - grad[:, :3], 0.25 * 2 * off / 8)


def test_vq_s_codebook_moves_by_the_moving_average_of_what_chose_it():
    slots = Slots()
    ours = slots.params["state"]
    names = ("sums", "counts", "codebook", "latent_usage")
    sums, counts, book, usage = (ours[n].astype(np.float64) for n in names)
    step = functools.partial(run, lambda params, e, key: slots(params, e, key)[2])
    for t in range(2):
        e = slots.e + 0.1 * t
        ids = slots.ids(e, book)
        ours = step(slots.params | {"state": ours}, e, jax.random.key(t))
        for c in range(6):
            chose = e[:, :3][ids == c]
            counts[c] = 0.95 * counts[c] + 0.05 * len(chose)
            sums[c] = 0.95 * sums[c] + 0.05 * chose.sum(0)
            usage[:3, c] = 0.95 * usage[:3, c] + 0.05 * (ids == c).sum(0)
        book = sums / counts[:, None]
        close(ours, dict(zip(names, (sums, counts, book, usage), strict=True)))


def test_vq_restarts_dead_vectors_on_encoder_outputs_of_slots_in_use():
    slots = Slots()
    counts = np.array([4.0, 4, 4, 4, 1e-3, 1e-3])
    slots.codebook[4:] = 50.0, -50.0  # far from everything
    params = slots.params | {"state": slots.state(counts)}
    e = slots.e + 1.0  # padded slots are 1: no vector may start there

    @jax.jit
    def new(params, keys):
        return jax.vmap(lambda key: slots(params, jnp.asarray(e), key)[2])(keys)

    found = jax.tree.map(np.asarray, new(params, keys(40)))
    alive = found["codebook"][:, :4]
    assert (alive == alive[:1]).all(), "the others do not depend on the key"
    fresh = found["codebook"][:, 4:].reshape(-1, 1, 2)
    active = e[:, :3].reshape(1, -1, 2)
    off = np.abs(fresh - active).max(-1)
    assert off.min(1).max() < 1e-5
    assert len(set(off.argmin(1))) > 15, "of all examples and slots"
    mean = found["counts"].mean(1)
    assert (found["counts"][:, 4:] > 0.5 * mean[:, None]).all(), "and has time to live"
    params["state"] = slots.state(np.full(6, 4.0))
    found = new(params, keys(40))
    jax.tree.map(lambda a: close(a, np.tile(a[:1], (40, *[1] * (a.ndim - 1)))), found)


def test_vq_s_perplexity_is_that_of_the_usage():
    slots = Slots(size=4)
    slots.codebook[:] = 10 * np.arange(12).reshape(6, 2)
    params = slots.params | {"state": slots.state(np.full(6, 4.0))}
    for ids, want in (
        ([[0, 0, 0]] * 4, 1.0),
        ([[0, 1, 2]] * 4, 3.0),
        ([[0, 1, 2], [3, 4, 5]] * 2, 6.0),
        ([[0, 0, 0]] * 3 + [[1, 1, 1]], np.exp(scipy.stats.entropy([3, 1]))),
    ):
        e = np.zeros((4, 5, 2), np.float32)
        e[:, :3] = slots.codebook[np.array(ids)]
        metrics = run(lambda p, e: slots(p, e, jax.random.key(0))[1], params, e)
        close(metrics["perplexity"], want)
        close(metrics["distance"], 0.0)


def test_vq_s_prior_draws_each_slot_s_vectors_as_often_as_it_used_them():
    slots = Slots()
    usage = np.array([[1, 2, 3, 4, 0, 10], [5, 5, 0, 5, 5, 0], [0, 0, 0, 0, 0, 1.0]])
    state = slots.state(np.full(6, 4.0))
    state["latent_usage"] = np.float32(np.pad(usage, ((0, 2), (0, 0))))
    params = slots.params | {"state": state}
    z = run(lambda p, key: vq_vae.prior(slots.case.model, p, key, 4000, None), params,
            jax.random.key(0))  # fmt: skip
    z = np.stack(z, -1)
    assert z.shape == (4000, 5, 2) and (z[:, 3:] == 0).all()
    same = (z[:, :3, None] == slots.codebook[None, None]).all(-1)
    assert (same.sum(-1) == 1).all()
    for often, counts in zip(same.sum(0), usage, strict=True):
        keep = counts > 0
        assert (often[~keep] == 0).all()
        want = 4000 * counts[keep] / counts.sum()
        assert np.isclose(often[keep], want).all() or (
            scipy.stats.chisquare(often[keep], want).pvalue > 1e-4
        )


def test_fsq_rounds_to_a_grid_of_as_many_values_as_levels():
    z = np.linspace(-12, 12, 60_001, dtype=np.float32)
    levels = np.array([2, 3, 4, 5, 6, 7, 8, 16, 17, 255, 999, 1000], np.int32)

    def both(levels):
        return jax.vmap(jax.value_and_grad(fsq.quantize), (0, None))(z, levels)

    found, slope = run(lambda n: jax.lax.map(both, n), levels)
    for n, got, steep in zip(levels, found, slope, strict=True):
        unit = n // 2
        grid = np.arange(n) - unit
        np.testing.assert_array_equal(np.unique(np.round(got * unit)), grid)
        close(got * unit, np.round(got * unit), atol=1e-4)
        assert np.abs(got).max() == 1.0 and (np.diff(got) >= 0).all()
        at_zero = got[np.abs(z) < 1e-3]
        assert (at_zero == 0).all() or n % 2 == 0, "an odd grid has a middle"
        # Codes start near 0: at least two values lie there, and a gradient.
        assert (
            len(np.unique(got[np.abs(z) < 2])) > 1 and steep[np.abs(z) < 1].min() > 0.05
        )
        assert (steep[np.abs(z) < 2] > 0).all() and np.isfinite(steep).all()
    with pytest.raises(aejax.InputError, match="1000"):
        objectives.OBJECTIVES["fsq"].check({"levels": 1001}, 8)


def test_fsq_counts_dimensions_with_one_value_throughout():
    case = Case("fsq", levels=5)
    z = np.random.default_rng(0).normal(size=(8, 5)).astype(np.float32)
    z[:, 1], z[:, 3:] = 0.01 * z[:, 1], 0.0

    def dead(z):
        bound = case.model._replace(encode=lambda p, b: z)
        return case.loss(case.params, jax.random.key(0), bound)[1]["dead"]

    assert run(dead, z) == 1, "of the three in use"


def test_fsq_s_code_gradient_and_prior():
    case = Case("fsq", levels=4)
    key = jax.random.key(0)
    z = case.model.noise(key, 8)

    def nll(params, encode):
        bound = case.model._replace(encode=encode)
        return case.loss(params, key, bound)[0]

    value, grad = run(jax.value_and_grad(lambda z: nll(case.params, lambda p, b: z)), z)
    code = run(lambda z: fsq.quantize(z, 4) * case.model.latent_mask, z)

    def decoder(code):
        decoded = case.model.decode(case.params, code, case.batch)
        return case.model.likelihood.nll(case.batch, decoded).mean()

    want, at_code = run(jax.value_and_grad(decoder), code)
    close(value, want)
    half = 3 * 1.001 / 2  # of eq. 1, shifted for an even number
    tanh = np.tanh(np.asarray(z, np.float64) + np.arctanh(0.5 / half))
    close(grad, at_code * (1 - tanh**2) * half / 2, atol=1e-6)
    assert np.abs(grad[:, :3]).min() > 0
    for levels in (4, 5):
        draws = run(
            lambda n: fsq.prior(case.model, case.params, key, 5000, None, levels=n),
            levels,
        )
        assert (draws[:, 3:] == 0).all()
        values, often = np.unique(draws[:, :3], return_counts=True)
        close(values, (np.arange(levels) - levels // 2) / (levels // 2))
        assert scipy.stats.chisquare(often).pvalue > 1e-4


# Priors and posteriors that are no plain Gaussian.


@pytest.mark.parametrize("k", [2, 3, 5])
def test_flow_s_log_determinant_is_that_of_its_jacobian(k):
    case = Case("flow_vae", k=k, num_flows=3)
    first = 2 * case.model.noise(jax.random.key(0), 8)

    context = case.model.noise(jax.random.key(1), 8)

    def flow(params, z, context):
        return flow_vae._flow(case.model, params, z, context)

    def both(params, z, context):
        def one(z, context):
            return flow(params, z[None], context[None])[0][0]

        return *flow(params, z, context), jax.vmap(jax.jacfwd(one))(z, context)

    z, log_det, jacobian = run(both, case.params, first, context)
    other = run(flow, case.params, first, -context)[0]
    assert (np.abs(other - z)[:, :k].max(0) > 0.01).all(), "each x has its own flow"
    inside = jacobian[:, :k, :k].astype(np.float64)
    sign, want = np.linalg.slogdet(inside)
    assert (sign == 1).all() and np.abs(want).max() > 0.3
    close(log_det, want)
    assert (z[:, k:] == 0).all() and (jacobian[:, :k, k:] == 0).all()
    for i in range(k):  # every dimension is moved by some layer, others move with it
        assert np.abs(inside[:, i, i] - 1).max() > 0.01
    off = inside - inside * np.eye(k)
    assert (np.abs(off).max((0, 2)) > 0.01).all()


def test_flow_vae_weighs_its_draws_by_the_change_of_variables():
    case, key = Case("flow_vae", num_flows=3), jax.random.key(1)
    _, _, first, mu, logvar = case.elbo(case.params, key)

    def rest(params, z):
        context = case.model.encode(params, case.batch)[2]

        def one(z, context):
            return flow_vae._flow(case.model, params, z[None], context[None])[0][0]

        jacobian = jax.vmap(jax.jacfwd(one))(z, context)
        z = jax.vmap(one)(z, context)
        decoded = case.model.decode(params, z, case.batch)
        return z, jacobian, case.model.likelihood.nll(case.batch, decoded)

    padded = np.pad(np.float32(first), ((0, 0), (0, 2)))
    z, jacobian, nll = run(rest, case.params, padded)
    log_det = np.linalg.slogdet(jacobian[:, :3, :3].astype(np.float64))[1]
    log_q = norm.logpdf(first, mu, np.exp(logvar / 2)).sum(1) - log_det
    want = norm.logpdf(z[:, :3]).sum(1) - nll - log_q
    close(run(case.log_weight, case.params, key), want, atol=3e-5)
    close(run(case.loss, case.params, key)[0], -want.mean(), atol=3e-5)


def test_vamp_s_prior_is_the_mixture_of_its_pseudo_inputs():
    case, key = Case("vamp_vae", components=4), jax.random.key(1)
    nll, _, z, mu, logvar = case.elbo(case.params, key)

    def components(params):
        return case.model.encode(params, model.Batch(params["extra"]["pseudo"]))

    mu_c, logvar_c = (a[:, :3].astype(np.float64) for a in run(components, case.params))
    sigma_c = np.exp(logvar_c / 2)
    each = norm.logpdf(z[:, None], mu_c[None], sigma_c[None]).sum(-1)  # (B, C)
    log_p = scipy.special.logsumexp(each, axis=1) - np.log(4)
    log_q = norm.logpdf(z, mu, np.exp(logvar / 2)).sum(1)
    close(run(case.log_weight, case.params, key), log_p - log_q - nll)
    total, metrics = run(case.loss, case.params, key)
    close(metrics["kl"], (log_q - log_p).mean())
    close(total, (nll + log_q - log_p).mean())
    draws = run(
        lambda key: case.objective.prior(case.model, case.params, key, 20_000, None),
        key,
    )
    assert (draws[:, 3:] == 0).all()
    mean_is(draws[:, :3], mu_c.mean(0))
    variance = (sigma_c**2 + mu_c**2).mean(0) - mu_c.mean(0) ** 2
    mean_is(np.square(draws[:, :3] - mu_c.mean(0)), variance)
    across = ((mu_c - mu_c.mean(0))[:, 0] * (mu_c - mu_c.mean(0))[:, 1]).mean()
    mean_is(np.prod(draws[:, :2] - mu_c.mean(0)[:2], axis=1), across)

    def init(batch):
        return case.objective.init(case.model, None, batch, key, components=9)

    inputs = run(init, case.batch)["extra"]["pseudo"]
    close(inputs, case.batch.x[[0, 0, *range(1, 8)]], atol=0.05)


def test_hierarchical_vae_sums_the_log_densities_of_both_layers():
    case, key = Case("hierarchical_vae"), jax.random.key(1)
    apply = case.model.mlp((), 2, latent_in=True, latent_out=True)[1]

    def parts(params):
        key_1, key_2 = jax.random.split(key)
        one = case.model.encode(params, case.batch)
        z_1 = case.model.sample(key_1, *one)
        two = apply(params["extra"]["up"], z_1)
        z_2 = case.model.sample(key_2, *two)
        down = apply(params["extra"]["down"], z_2)
        decoded = case.model.decode(params, z_1, case.batch)
        nll = case.model.likelihood.nll(case.batch, decoded)
        return nll, z_1, z_2, *one, *two, *down

    nll, *code = run(parts, case.params)
    code = [a[:, :3].astype(np.float64) for a in code]
    z_1, z_2, mu_1, logvar_1, mu_2, logvar_2, mu_p, logvar_p = code

    def log(z, mu=0.0, logvar=0.0):
        return norm.logpdf(z, mu, np.exp(logvar / 2)).sum(1)

    upper = log(z_1, mu_1, logvar_1) - log(z_1, mu_p, logvar_p)
    want = -nll - upper + log(z_2) - log(z_2, mu_2, logvar_2)
    close(run(case.log_weight, case.params, key), want)
    kl_2 = 0.5 * (mu_2**2 + np.exp(logvar_2) - 1 - logvar_2).sum(1)
    total, metrics = run(case.loss, case.params, key)
    close(metrics["kl_2"], kl_2.mean())
    close(total, (nll + upper + kl_2).mean())
    draws = run(
        lambda key: case.objective.prior(case.model, case.params, key, 4000, None), key
    )
    eps = jax.random.split(jax.random.key(9))

    def ancestral(params):
        z_2 = jax.random.normal(eps[0], (4000, 5)) * case.model.latent_mask
        mu, logvar = apply(params["extra"]["down"], z_2)
        return mu + jnp.exp(logvar / 2) * jax.random.normal(eps[1], mu.shape)

    want = run(ancestral, case.params)
    for j in range(3):
        assert scipy.stats.ks_2samp(draws[:, j], want[:, j]).pvalue > 1e-4
    assert (draws[:, 3:] == 0).all()


def test_conditional_vae_s_kl_is_from_the_prior_of_the_label():
    case, key = Case("conditional_vae", classes=4), jax.random.key(1)
    nll, _, z, mu, logvar = case.elbo(case.params, key)
    table = {n: a[:3].astype(np.float64) for n, a in case.params["extra"].items()}
    y = case.batch.y
    mu_p, logvar_p = table["latent_mu"][:, y].T, table["latent_logvar"][:, y].T
    assert len(set(y)) > 2
    ratio = (np.exp(logvar) + (mu - mu_p) ** 2) / np.exp(logvar_p)
    kl = 0.5 * (logvar_p - logvar + ratio - 1).sum(1)
    total, metrics = run(case.loss, case.params, key)
    close(metrics["kl"], kl.mean())
    close(total, (nll + kl).mean())
    log_p = norm.logpdf(z, mu_p, np.exp(logvar_p / 2)).sum(1)
    log_q = norm.logpdf(z, mu, np.exp(logvar / 2)).sum(1)
    close(run(case.log_weight, case.params, key), log_p - log_q - nll)
    asked = np.arange(8000) % 4

    def prior(params, y):
        return case.objective.prior(case.model, params, key, 8000, y)

    draws = run(prior, case.params, asked)
    for c in range(4):
        got = draws[asked == c]
        mean_is(got[:, :3], table["latent_mu"][:, c])
        off = np.square(got[:, :3] - table["latent_mu"][:, c])
        mean_is(off, np.exp(table["latent_logvar"][:, c]))


def test_conditional_vae_uses_the_labels_of_digits():
    config = aejax.Config(
        objective="conditional_vae",
        binarize="threshold",
        hidden=(32,),
        latent_dim=2,
        epochs=25,
    )
    (group,) = plan.plan(config, {})
    (lane,), recipe = group.lanes, group.recipe
    data = sources.Data(group.source.block(0), group.source.held)

    def fit(values, data):
        state = train.init_state(recipe, values, data)
        return train.train_steps(recipe, values, state, data, 0, recipe.steps).params

    params = run(fit, group.traced(lane.config), data)
    fitted = trained.Trained(group, lane, params, trained.functions(group))
    x, y = group.source.held.x[-250:], group.dataset.test.y
    shuffled = np.random.default_rng(0).permutation(y)
    right, wrong = (
        evaluate.log_likelihood(fitted, x, labels, key=keys(1)[0], samples=20)
        for labels in (y, shuffled)
    )
    assert right.nll.mean() + 1 < wrong.nll.mean()


# Sparse, ordered and disentangled codes.


def test_topk_lets_the_k_largest_pass_and_no_more_with_ties():
    case = Case("topk", k=4, z=7)
    rng = np.random.default_rng(0)
    z = rng.normal(size=(40, 7)).astype(np.float32)
    z[10:20] = np.sign(z[10:20])  # ties between 1 and -1
    z[20:25] = 0.25
    z[:, 4:] = 0.0  # padded; larger than what is negative
    z[30:] = -np.abs(z[30:])
    for k in (1, 3, 4):
        got = run(spied(case, n=40), z, {"k": k})
        for row, kept in zip(z[:, :4], got, strict=True):
            active = np.nonzero(kept)[0]
            assert len(active) == k and (active < 4).all()
            np.testing.assert_array_equal(kept[active], row[active])
            others = np.delete(row, active)
            assert (kept[active].min() >= others).all()
        code = run(lambda z, k=k: topk.code(
            case.model._replace(encode=lambda p, b: z), None, None, k=k
        ), z)  # fmt: skip
        np.testing.assert_array_equal(code, got)


def test_nested_dropout_cuts_at_a_truncated_geometric():
    case, n = Case("nested_dropout", k=6, z=9), 20_000
    z = np.ones((n, 9), np.float32) * case.model.latent_mask
    rates = np.array([1e-4, 0.1, 0.5, 0.99], np.float32)
    spy = spied(case, n=n)
    kept = run(lambda r: jax.lax.map(lambda r: spy(z, {"rate": r}), r), rates)
    for rate, got in zip(rates.astype(np.float64), kept, strict=True):
        last = got.sum(1).astype(int)
        np.testing.assert_array_equal(got, np.arange(9)[None] < last[:, None])
        assert last.min() == 1 and last.max() <= 6
        pmf = (1 - rate) ** np.arange(6) * rate
        want = n * pmf / pmf.sum()
        often = np.bincount(last, minlength=7)[1:]
        few = want < 5  # one cell together
        often, want = (
            np.append(a[~few], a[few].sum())[: None if few.any() else -1]
            for a in (often, want)
        )
        if want[-1] < 1e-3:
            often, want = often[:-1], want[:-1] * n / want[:-1].sum()
        assert scipy.stats.chisquare(often, want).pvalue > 1e-4


def test_sparsity_penalties_by_hand():
    key = jax.random.key(0)
    case = Case("sparse_kl", rho=0.2, weight=0.7)
    pre = run(lambda p: case.model.encode(p, case.batch), case.params)
    pre = pre[:, :3].astype(np.float64)
    mean = scipy.special.expit(pre).mean(0)
    bernoulli = np.stack([mean, 1 - mean])
    target = np.broadcast_to([[0.2], [0.8]], bernoulli.shape)
    want = scipy.stats.entropy(target, bernoulli).sum()
    total, metrics = run(case.loss, case.params, key)
    close(metrics["sparsity"], want)
    close(metrics["mean"], mean.mean())
    close(total, metrics["nll"] + 0.7 * want)
    close(run(lambda p: case.objective.code(case.model, p, case.batch), case.params),
          np.pad(scipy.special.expit(pre), ((0, 0), (0, 2))))  # fmt: skip

    case = Case("sparse_l1", weight=0.7, hidden=(), size=4096)
    code = run(lambda p: case.model.encode(p, case.batch), case.params)
    relu = np.maximum(code[:, :3].astype(np.float64), 0)
    total, metrics = run(case.loss, case.params, key)
    rows = case.params["net"]["decode_code"]["latent_kernel"][:3, 0]
    l1 = (relu * np.linalg.norm(rows.astype(np.float64), axis=1)).sum(1).mean()
    close(metrics["l1"], l1, rtol=0.05)  # of 4,096 vectors of signs
    close(metrics["active"], (relu > 0).mean())
    close(total, metrics["nll"] + 0.7 * metrics["l1"])

    case = Case("rae_l2", beta=0.3, weight=0.05)
    total, metrics = run(case.loss, case.params, key)
    half = 0.5 * np.square(pre).sum(1).mean()
    net = {n: w for n, w in case.params["net"].items() if n.startswith("decode")}
    assert set(net) == {"decode_code", "decoder_0"}
    l2 = sum(np.square(w.astype(np.float64)).sum() for w in jax.tree.leaves(net))
    close(total, metrics["nll"] + 0.3 * half + 0.05 * l2)


@pytest.mark.parametrize("where", ["code", "layer"])
def test_no_scale_of_code_or_layers_changes_the_l1_penalty(where):
    """Else it could be had for nothing, the autoencoder staying the same."""
    case = Case("sparse_l1", hidden=(7, 6), activation="relu")
    net, found, key = case.params["net"], [], jax.random.key(0)
    for size in (1.0, 0.1, 0.01):
        scaled = jax.tree.map(np.copy, net)
        if where == "code":
            smaller, larger = scaled["code"], scaled["decode_code"]["latent_kernel"]
            smaller["latent_bias"] *= size
        else:  # relu layers pass a scale on
            smaller, larger = scaled["decode_code"], scaled["decoder_1"]["kernel"]
            smaller["bias"] *= size
        smaller["latent_kernel"] *= size
        larger /= size
        params = case.params | {"net": scaled}
        loss = jax.value_and_grad(lambda p: case.loss(p, key), has_aux=True)
        (total, metrics), grads = run(loss, params)
        assert all(np.isfinite(g).all() for g in jax.tree.leaves(grads))
        found.append((total, metrics))
        # Along such a scale the loss does not change: its derivative there is 0.
        slopes = jax.tree.map(lambda g, p: (g * p).sum(), grads["net"], scaled)
        if where == "code":
            down, up = (
                sum(slopes["code"].values()),
                slopes["decode_code"]["latent_kernel"],
            )
        else:
            down, up = (
                sum(slopes["decode_code"].values()),
                slopes["decoder_1"]["kernel"],
            )
        close(down, up, rtol=1e-3, atol=1e-4)
    for other in found[1:]:
        close(other, found[0], rtol=1e-4)
    assert found[0][1]["l1"] > 0.1


def test_rae_l2_penalises_a_tied_kernel_too():
    case = Case("rae_l2", network="linear_tied", weight=0.05, beta=0.0)
    total, metrics = run(case.loss, case.params, jax.random.key(0))
    l2 = np.square(case.params["net"]["code"]["latent_kernel"][:, 0]).sum()
    close(metrics["l2"], l2)
    close(total, metrics["nll"] + 0.05 * l2)


@pytest.mark.parametrize("variant", ["i", "ii"])
def test_dip_vae_penalises_numpy_s_covariance(variant):
    case = Case("dip_vae", variant=variant, lambda_od=3.0, lambda_d=2.0)
    mu, logvar = run(lambda p: case.model.encode(p, case.batch), case.params)
    mu, logvar = (a[:, :3].astype(np.float64) for a in (mu, logvar))
    covariance = np.cov(mu.T, bias=True)
    if variant == "ii":  # of z: the mean of the conditional covariances beside it
        covariance = covariance + np.diag(np.exp(logvar).mean(0))
    diagonal = ((np.diag(covariance) - 1) ** 2).sum()
    off = np.square(covariance - np.diag(np.diag(covariance))).sum()
    total, metrics = run(case.loss, case.params, jax.random.key(0))
    close(metrics["diagonal"], diagonal)
    close(metrics["off_diagonal"], off)
    close(total, metrics["nll"] + metrics["kl"] + 3 * off + 2 * diagonal)


def test_factor_vae_shuffles_every_dimension_on_its_own():
    z = np.random.default_rng(0).normal(size=(64, 9)).astype(np.float32)
    key = jax.random.key(0)
    wide = run(factor_vae._shuffled, key, z)
    np.testing.assert_array_equal(np.sort(wide, axis=0), np.sort(z, axis=0))
    np.testing.assert_array_equal(run(factor_vae._shuffled, key, z[:, :4]), wide[:, :4])
    moved = [np.searchsorted(np.sort(z[:, j]), wide[:, j]) for j in range(9)]
    moved = [np.argsort(z[:, j])[m] for j, m in enumerate(moved)]
    for i in range(9):
        assert (moved[i] == np.arange(64)).mean() < 0.15, "nothing stays in place"
        for j in range(i):
            assert (moved[i] == moved[j]).mean() < 0.15, "no two move together"


@pytest.mark.parametrize("name", ["factor_vae", "adversarial_ae"])
def test_a_critic_and_its_autoencoder_do_not_train_each_other(name):
    case, key = Case(name), jax.random.key(1)
    critic = case.model.mlp((), 1, latent_in=True)[1]
    softplus = jax.nn.softplus

    def codes(params):
        code = case.model.encode(params, case.batch)
        if name == "adversarial_ae":
            return code, case.model.noise(key, 8)
        first, second = jax.random.split(key)
        z = case.model.sample(first, *code)
        return z, factor_vae._shuffled(second, z)

    def apart(params):
        """The autoencoder's own loss, and the critic's."""
        z, other = codes(params)
        decoded = case.model.decode(params, z, case.batch)
        nll = case.model.likelihood.nll(case.batch, decoded).mean()
        logit = critic(params["extra"]["critic"], z)
        off = critic(params["extra"]["critic"], other)
        if name == "factor_vae":  # joint against product
            kl = losses.gaussian_kl(*case.model.encode(params, case.batch)).mean()
            own, bce = nll + kl + 5 * logit.mean(), softplus(-logit) + softplus(off)
        else:  # the prior against codes
            own, bce = nll + softplus(-logit).mean(), softplus(-off) + softplus(logit)
        return own, 0.5 * bce.mean()

    def both(params):
        first, second = (jax.grad(lambda p, i=i: apart(p)[i])(params) for i in (0, 1))
        return apart(params), first["net"], second["extra"]

    def ours(params):
        return jax.value_and_grad(lambda p: case.loss(p, key), has_aux=True)(params)

    found = run(lambda params: (both(params), ours(params)), case.params)
    ((own, bce), net, extra), ((total, metrics), grads) = found
    close(total, own)  # the critic's part is not in the value
    close(grads["net"], net)
    close(grads["extra"], extra)
    assert max(np.abs(g).max() for g in jax.tree.leaves(extra)) > 1e-3
    close(metrics["critic"], bce)


@pytest.mark.parametrize("name", ["factor_vae", "adversarial_ae"])
def test_critic_rate_scales_the_critic_s_steps_alone(name):
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


# Corrupted inputs.

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
def test_denoising_compares_with_the_clean_data(corruption):
    case, key = denoising(corruption), jax.random.key(0)

    plain = Case("ae", shape=(4, 4, 1))
    plain.batch = case.batch

    # Of unbounded data (the likelihood is Gaussian) the ends are those of the batch.
    salt = corruption == "salt_and_pepper"
    ends = {"low": case.batch.x.min(), "high": case.batch.x.max()} if salt else {}

    def ours(params, level):
        value, grad = jax.value_and_grad(lambda p: case.loss(p, key, level=level)[0])(
            params
        )
        corrupt = corruptions.CORRUPTIONS[corruption]
        x_tilde = corrupt(key, case.batch.x, level, **ends)
        z = case.model.encode(params, case.batch._replace(x=x_tilde))
        return value, grad, x_tilde, case.model.decode(params, z)

    none = 1.0 if corruption == "downsample" else 0.0
    levels = np.float32([none, LEVELS[corruption]])
    values, grads, x_tilde, decoded = run(
        lambda p, levels: jax.lax.map(lambda n: ours(p, n), levels), case.params, levels
    )
    clean = case.batch.x.astype(np.float64)
    want = -norm.logpdf(clean, decoded[1, ..., 0]).sum((1, 2, 3)).mean()
    close(values[1], want)
    assert np.abs(x_tilde[1] - clean).mean() > 0.05
    first = values[0], jax.tree.map(lambda g: g[0], grads)
    close(first, run(value_and_grad(plain), case.params, key), rtol=1e-6, atol=1e-6)


def test_denoising_s_rescale_keeps_the_mean_of_what_the_encoder_sees():
    for rescale in (False, True):
        case = denoising("masking", rescale=rescale)
        x = np.full((200, 4, 4, 1), 0.5, np.float32)

        def seen(key, case=case, x=x):
            found = []

            def encode(params, batch):
                found.append(batch.x)
                return jnp.zeros((200, 5))

            bound = case.model._replace(encode=encode)
            case.loss(case.params, key, bound, case.batch._replace(x=x), level=0.4)
            return found[-1]

        x_tilde = run(seen, jax.random.key(0))
        mean_is(x_tilde.ravel(), 0.5 if rescale else 0.3)
        assert (x_tilde == 0).mean() > 0.3


# Greedy layer-wise training.


@pytest.mark.parametrize(
    "steps, pretrain", [(24, 0.5), (100, 0.3), (10, 0.5), (7, 1), (5, 0)]
)
def test_stacked_s_phases_share_the_pretraining_evenly(steps, pretrain):
    case = Case("stacked", hidden=(5, 4))

    def phase(step):
        return stacked._phase(case.at(step, steps), step, pretrain)

    found = run(jax.vmap(phase), np.arange(steps))
    assert run(phase, steps) == 3, "what is evaluated is the whole"
    ends = [round(fractions.Fraction(str(pretrain)) * steps * i / 3) for i in (1, 2, 3)]
    at = np.arange(steps)
    np.testing.assert_array_equal(found, np.searchsorted(ends, at, "right"))


def test_stacked_s_loss_is_that_of_the_layer_in_training():
    case, key = Case("stacked", hidden=(5, 4), pretrain=0.6), jax.random.key(0)
    net = jax.tree.map(lambda a: a.astype(np.float64), case.params["net"])
    dense, x = (lambda h, p: h @ p["kernel"] + p.get("bias", 0)), case.batch.x

    def code(h):
        p = net["code"]
        return h @ p["latent_kernel"][:3, 0].T + p["latent_bias"][:3, 0]

    def back(z):
        p = net["decode_code"]
        return np.tanh(z @ p["latent_kernel"][:3, 0] + p["bias"])

    def data(h):
        return dense(h, net["decoder_0"]) + net["output_bias"][:, 0]

    def nll(x_hat):
        return -norm.logpdf(x, x_hat).sum(1).mean()

    one = np.tanh(dense(x, net["encoder_0"]))
    two = np.tanh(dense(one, net["encoder_1"]))
    whole = nll(data(np.tanh(dense(back(code(two)), net["decoder_1"]))))

    def half(h, h_hat):
        return 0.5 * np.square(h - h_hat).sum(1).mean()

    want = [
        nll(data(one)),
        half(one, np.tanh(dense(two, net["decoder_1"]))),
        half(two, back(code(two))),
        whole,
    ]
    blank = [0 * a for a in (x, one, two)]  # inputs that noise has set to 0
    blank_1 = np.tanh(dense(blank[1], net["encoder_1"]))
    without = [
        nll(data(np.tanh(dense(blank[0], net["encoder_0"])))),
        half(one, np.tanh(dense(blank_1, net["decoder_1"]))),
        half(two, back(code(blank[2]))),
        whole,
    ]

    def both(step, noise):
        return case.loss(case.params, key, case.at(step), noise=noise)

    each = jax.vmap(jax.vmap(both, (0, None)), (None, 0))
    found, metrics = run(each, np.array([0, 30, 50, 70]), np.array([0.0, 1.0]))
    close(found, np.array([want, without]))
    close(metrics["nll"], np.full((2, 4), whole))


def test_stacked_moves_one_stage_at_a_time_with_a_fresh_optimiser(tmp_path):
    """Under AdamW, whose decay and momentum would move the other layers."""
    x = np.random.default_rng(0).normal(size=(64, 6)).astype(np.float32)
    np.savez(tmp_path / "x.npz", x_train=x, x_valid=x[:16], x_test=x[:16])
    config = aejax.Config(
        dataset=str(tmp_path / "x.npz"),
        objective="stacked",
        hidden=(5, 4),
        activation="tanh",
        latent_dim=3,
        batch_size=16,
        epochs=6,
        optimizer="adamw",
        weight_decay=0.1,
        learning_rate=0.01,
    )
    (group,) = plan.plan(config, {})
    recipe = group.recipe
    data = sources.Data(group.source.block(0), group.source.held)

    def program(values, data):
        state = train.init_state(recipe, values, data)

        def step(state, at):
            rows = (jnp.arange(16) + 16 * at) % 64
            batch = train.fetch(data.train, rows, recipe.source.scale)
            state, _ = train.train_step(recipe, values, state, batch, at)
            return state, (state.params["net"], state.opt_state)

        return state.params["net"], jax.lax.scan(step, state, jnp.arange(24))[1]

    start, (nets, opt) = run(program, group.traced(recipe.config), data)

    def is_adam(tree):
        return isinstance(tree, optax.ScaleByAdamState)

    (adam,) = filter(is_adam, jax.tree.leaves(opt, is_leaf=is_adam))
    stages = {"encoder_0": 0, "decoder_0": 0, "output_bias": 0}
    stages |= {"encoder_1": 1, "decoder_1": 1, "code": 2, "decode_code": 2}
    assert set(nets) == set(stages)
    trees = nets, adam.mu["net"], adam.nu["net"]
    for t in range(24):
        phase = min(t // 4, 3)  # of 12 steps for three stages, then all
        for name, stage in stages.items():
            trains = phase in (stage, 3)
            leaves = [jax.tree.leaves(tree[name]) for tree in trees]
            for net, first, mu, nu in zip(
                leaves[0], jax.tree.leaves(start[name]), *leaves[1:], strict=True
            ):
                before = net[t - 1] if t else first
                moved = net[t] != before
                assert moved.all() if trains else not moved.any(), (t, name)
                if not trains:
                    assert (mu[t] == 0).all() and (nu[t] == 0).all()
                elif t % 4 == 0 and t <= 12:  # one gradient and no more
                    close(nu[t] / 1e-3, (mu[t] / 0.1) ** 2, rtol=1e-3, atol=1e-12)
    np.testing.assert_array_equal(adam.count, [*([1, 2, 3, 4] * 3), *range(1, 13)])


# Whole runs.


def test_gaussian_learned_ends_at_the_training_mse():
    """σ² is the training mse: Rybkin et al., ICML 2021, eq. 3."""
    config = aejax.Config(
        likelihood="gaussian_learned",
        hidden=(16,),
        latent_dim=4,
        epochs=200,
        eval_every=200,
        learning_rate=0.02,
        beta2=0.99,
        schedule="cosine",
        output_bias="mean",
    )
    out = aejax.sweep(config, devices=jax.devices()[:1])
    fitted, x = out.model(), out.dataset().train.x / 16
    mse = np.square(x - fitted.reconstruct(x)).mean()
    (logvar,) = fitted.params["net"]["shared"]
    np.testing.assert_allclose(np.exp(logvar), mse, rtol=0.02)
    assert mse < 0.04, "and it has learned: the data's variance is 0.14"


LINEAR = [n for n in ("linear", "linear_tied") if n in networks.NETWORKS]


@pytest.mark.skipif(len(LINEAR) < 2, reason="there are no linear networks")
def test_a_linear_autoencoder_is_pca(tmp_path):
    """Baldi & Hornik, 1989: its error is the sum of the trailing eigenvalues."""
    dims = [1, 2, 5, 10]
    x = datasets.load("digits").train.x[:300].reshape(300, -1) / 16.0
    x = x - x.mean(0)
    values, vectors = np.linalg.eigh(x.T @ x / 300)
    values, vectors = values[::-1], vectors[:, ::-1]
    x = np.float32(x)
    np.savez(tmp_path / "x.npz", x_train=x, x_valid=x, x_test=x)
    config = aejax.Config(
        dataset=str(tmp_path / "x.npz"),
        likelihood="gaussian",
        batch_size=300,
        epochs=250,
        eval_every=250,
        learning_rate=0.1,
        schedule="cosine",
        beta2=0.9,
    )
    axes = {"network": LINEAR, "latent_dim": dims}
    out = aejax.sweep(config, axes, devices=jax.devices()[:2])
    for row in out.rows:
        k = row["latent_dim"]
        np.testing.assert_allclose(row["mse"], values[k:].sum() / 64, rtol=1e-3)
    for network in LINEAR:
        for k in dims:
            decode = out.model(network=network, latent_dim=k).decode
            spanned = decode(np.eye(k)) - decode(np.zeros((1, k)))
            angles = scipy.linalg.subspace_angles(spanned.T, vectors[:, :k])
            assert angles.max() < 1e-2, (network, k)
