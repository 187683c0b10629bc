"""training.optimizer against hand-computed schedules and optax's own optimisers."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from aejax import config, model, networks
from aejax.training import optimizer


def factors(name, times, steps, warmup=0):
    """The factor at these steps, compiled, with step and warm-up traced as in train."""

    def one(step, warmup):
        return optimizer.schedule(name, step, steps, warmup)

    times = np.asarray(times, np.int32)
    return np.asarray(jax.jit(jax.vmap(one, (0, None)))(times, np.int32(warmup)))


def test_constant_is_one():
    np.testing.assert_array_equal(factors("constant", [0, 5, 99], 100), 1.0)


def test_cosine_falls_from_one_to_zero_over_all_steps():
    got = factors("cosine", np.arange(101), 100)
    want = (1 + np.cos(np.pi * np.arange(101) / 100)) / 2
    np.testing.assert_allclose(got, want, atol=1e-6)
    assert got[0] == 1 and abs(got[50] - 0.5) < 1e-6 and abs(got[100]) < 1e-6


@pytest.mark.parametrize("name", config.CHOICES["schedule"])
def test_warmup_rises_linearly_to_the_schedule(name):
    times = np.arange(30)
    plain, warm = factors(name, times, 3280), factors(name, times, 3280, 8)
    want = plain * np.minimum(1, (times + 1) / 8)
    np.testing.assert_allclose(warm, want, rtol=1e-6)
    assert 0 < warm[0] <= 1 / 8, "the first step is not lost"


# Burda et al., ICLR 2016: stage i = 1…8 has rate 1e-4 · round(10^(1-(i-1)/7), 1).
RATES = (10.0, 7.2, 5.2, 3.7, 2.7, 1.9, 1.4, 1.0)


@pytest.mark.parametrize("per_epoch", [1, 2, 7, 30, 2500, 3000])
def test_piecewise_changes_at_burda_et_al_s_steps(per_epoch):
    """Ends are multiples of 1/3280 of the steps: a rounded quotient misses some."""
    ends = np.cumsum(3 ** np.arange(8)) * per_epoch
    assert ends[-1] == 3280 * per_epoch
    near = np.concatenate(
        [[0], *(ends[:-1] + d for d in (-2, -1, 0, 1)), ends[-1:] - 1]
    )
    times = np.unique(near[near >= 0])
    stage = (times[:, None] >= ends[None]).sum(1)
    want = np.array(RATES)[stage] / 10
    got = factors("piecewise", times, int(ends[-1]))
    np.testing.assert_allclose(got, want, rtol=1e-6, err_msg=str(times))


MEMBER = {
    "clip_norm": np.float32(0.5),
    "beta1": np.float32(0.8),
    "beta2": np.float32(0.95),
    "eps": np.float32(1e-4),
    "weight_decay": np.float32(0.03),
}
RATE = 0.02
WEIGHTS = {"kernel": True, "bias": False}


def reference(name, clip):
    b1, b2, eps, decay = (float(MEMBER[n]) for n in list(MEMBER)[1:])
    parts = [optax.clip_by_global_norm(float(MEMBER["clip_norm"]))] if clip else []
    if name == "adam":
        parts.append(optax.adam(RATE, b1, b2, eps))
    elif name == "adamw":
        options = {"weight_decay": decay, "mask": WEIGHTS}
        parts.append(optax.adamw(RATE, b1, b2, eps, **options))
    else:
        parts += [optax.trace(b1), optax.add_decayed_weights(decay, WEIGHTS)]
        parts.append(optax.scale(-RATE))
    return optax.chain(*parts)


def tree(rows=3):
    """Parameters, and the gradients of five steps; rows beyond 3 are 0."""
    rng = np.random.default_rng(0)
    params = {"kernel": rng.normal(size=(3, 4)), "bias": rng.normal(size=(2,))}
    scale = 10.0 ** np.array([-2, 0, -3, 1, -1])  # some are clipped, some are not
    grads = {n: scale.reshape(5, *[1] * p.ndim) * p for n, p in params.items()}
    grads["kernel"] = grads["kernel"] + rng.normal(size=(5, 3, 4)) * 0.01
    params["kernel"] = np.pad(params["kernel"], ((0, rows - 3), (0, 0)))
    grads["kernel"] = np.pad(grads["kernel"], ((0, 0), (0, rows - 3), (0, 0)))
    return jax.tree.map(np.float32, (params, grads))


@functools.partial(jax.jit, static_argnums=0)
def trained(make, params, grads, member, rate):
    """Parameters after five steps, the optimiser rebuilt at each as in train."""
    state = make(member, rate).init(params)

    def step(carry, grad):
        params, state = carry
        updates, state = make(member, rate).update(grad, state, params)
        return (optax.apply_updates(params, updates), state), None

    return jax.lax.scan(step, (params, state), grads)[0][0]


@functools.cache
def ours(name, clip):
    decay = name != "adam"
    return lambda member, rate: optimizer.build(name, member, rate, clip, decay)


@pytest.mark.parametrize("name", config.CHOICES["optimizer"])
@pytest.mark.parametrize("clip", [True, False])
def test_five_steps_equal_optax(name, clip):
    params, grads = tree()
    got = trained(ours(name, clip), params, grads, MEMBER, RATE)
    tx = reference(name, clip)
    want = trained(lambda member, rate: tx, params, grads, {}, 0.0)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-6), got, want)
    moved = jax.tree.map(lambda a, b: np.abs(a - b).min(), got, params)
    assert min(jax.tree.leaves(moved)) > 0


@pytest.mark.parametrize("name", config.CHOICES["optimizer"])
def test_a_clip_of_zero_is_off_beside_others(name):
    params, grads = tree()
    off = MEMBER | {"clip_norm": np.float32(0)}
    got = trained(ours(name, True), params, grads, off, RATE)
    want = trained(ours(name, False), params, grads, MEMBER, RATE)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), got, want)
    clipped = trained(ours(name, True), params, grads, MEMBER, RATE)
    assert not np.allclose(clipped["kernel"], got["kernel"], rtol=1e-4)


@pytest.mark.parametrize("name", config.CHOICES["optimizer"])
def test_padded_zeros_stay_zero_and_change_no_update(name):
    small = trained(ours(name, True), *tree(), MEMBER, RATE)
    wide = trained(ours(name, True), *tree(rows=8), MEMBER, RATE)
    np.testing.assert_allclose(wide["kernel"][:3], small["kernel"], rtol=1e-6)
    np.testing.assert_allclose(wide["bias"], small["bias"], rtol=1e-6)
    assert (np.asarray(wide["kernel"][3:]) == 0).all()


def test_epsilon_is_added_after_the_root():
    """Burda et al.'s 1e-4 would do nothing inside it."""
    member = MEMBER | {"eps": np.float32(1.0)}
    grad = jnp.full((1,), 3.0)
    tx = optimizer.build("adam", member, jnp.float32(1.0), False, False)
    update, _ = tx.update(grad, tx.init(grad), grad)
    np.testing.assert_allclose(update, -3 / (3 + 1.0), rtol=1e-6)


@pytest.mark.parametrize("network", sorted(networks.NETWORKS))
def test_only_weights_are_decayed(network):
    """Not what would say something of the data: biases, scales, tables, inputs."""
    entry = networks.NETWORKS[network]
    sequences = "sequence" in entry.needs
    spec = networks.NetworkSpec(
        shape=(8, 2) if sequences else (8, 8, 1),
        outputs=1,
        latent_dim=3,
        heads=1,
        inputs=1,
        hidden=(4, 8),
        activation="relu",
        init="lecun",
        dtype=jnp.float32,
    )
    x, mask = jnp.zeros((2, *spec.shape)), jnp.ones((1, 3))
    net = entry.build(spec)
    params = jax.eval_shape(lambda: net.init(jax.random.key(0), model.Batch(x), mask))
    leaves = jax.tree_util.tree_leaves_with_path(optimizer.is_weight(params))
    decayed = {jax.tree_util.keystr(path): on for path, on in leaves}
    arrays = dict(jax.tree_util.tree_leaves_with_path(params))
    sizes = {jax.tree_util.keystr(path): a.ndim for path, a in arrays.items()}
    for name, on in decayed.items():
        kind = name.rpartition("[")[2]
        table = any(word in kind for word in ("bias", "scale", "embedding", "position"))
        assert on == (sizes[name] > 1 and not table), name
    assert any(decayed.values())
    options = {"pseudo": 0, "latent_mu": 0, "shared": 0, "output_bias": 0, "scale": 0}
    assert not any(optimizer.is_weight(options).values())


@pytest.mark.parametrize("rate", [1e-3, 0.0])
def test_a_scale_is_learned_at_any_rate(rate):
    """log σ² by natural gradients: σ² is the moving average of the squared errors."""
    tx = optimizer.build(
        "adam", MEMBER, rate, True, True, lambda value: 10 * 0.5 * jnp.ones_like(value)
    )
    params = {"kernel": jnp.ones((2, 2)), "shared": jnp.zeros(1)}
    state, sigma2 = tx.init(params), 1.0
    errors = np.random.default_rng(0).chisquare(10, 400) * 0.01 / 10

    @jax.jit
    def step(params, state, error):
        slope = 10 * 0.5 * (1 - error * jnp.exp(-params["shared"]))
        grads = {"kernel": jnp.full((2, 2), 1e3), "shared": slope}  # clipped, but it
        updates, state = tx.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    for error in errors:
        params, state = step(params, state, error)
        sigma2 += optimizer.RATE * (error - sigma2)
    np.testing.assert_allclose(np.exp(params["shared"]), sigma2, rtol=1e-4)
    assert abs(sigma2 / 0.01 - 1) < 0.3
