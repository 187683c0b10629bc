"""One table over OBJECTIVES × networks: what every objective must keep (P1, P2)."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import aejax
from aejax import data, lane, model, objectives, plan, train

NETWORKS = {"mlp": (16,), "conv": (4, 16)}
PAIRS = [(o, n) for o in sorted(objectives.OBJECTIVES) for n in NETWORKS]
K, Z, STEPS = 5, 16, 50


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """64 digits, so that a batch of 16 makes four steps an epoch."""
    full = data.load("digits")
    path = tmp_path_factory.mktemp("data") / "digits.npz"
    x = full.train.x[:64].astype(np.float32) / full.scale
    parts = {"train": slice(64), "valid": slice(16), "test": slice(16, 32)}
    arrays = {f"x_{n}": x[at] for n, at in parts.items()}
    arrays |= {f"y_{n}": full.train.y[:64][at] for n, at in parts.items()}
    np.savez(path, **arrays)
    return str(path)


class Case:
    """One objective and network at width Z, and alone at width K."""

    def __init__(self, dataset, objective, network):
        config = aejax.Config(
            dataset=dataset,
            objective=objective,
            network=network,
            hidden=NETWORKS[network],
            batch_size=16,
            epochs=STEPS,
            optimizer="adamw",
            weight_decay=0.01,
            clip_norm=0.5,
            learning_rate=3e-3,
        )
        (self.wide,) = plan.plan(config, {"latent_dim": [K, Z]})
        (self.alone,) = plan.plan(config.replace(latent_dim=K), {})
        source = self.wide.source
        self.data = train.Data(
            jax.tree.map(jnp.asarray, source.block(0)),
            jax.tree.map(jnp.asarray, source.held),
        )
        self.key = jax.random.key(7)

    @functools.cache  # noqa: B019 - cases live as long as the module
    def functions(self, which):
        recipe = getattr(self, which).recipe

        def gradient(values, params, key):
            batch = train.fetch(recipe, self.data.train, jnp.arange(16), None)

            def scalar(trainable):
                both = trainable | {"state": params["state"]}
                out = train.objective_loss(recipe, values, both, batch, key, 0)
                return out[0], out[1]

            trainable = {n: params[n] for n in ("net", "extra")}
            return jax.value_and_grad(scalar, has_aux=True)(trainable)

        def curve(values, state):
            def step(i, carry):
                state, losses = carry
                rows = (jnp.arange(16) + 16 * i) % 64
                batch = train.fetch(recipe, self.data.train, rows, None)
                state, loss = train.train_step(recipe, values, state, batch, i)
                return state, losses.at[i].set(loss)

            return jax.lax.fori_loop(0, STEPS, step, (state, jnp.zeros(STEPS)))

        def start(values):
            return train.init_state(recipe, values, self.data)

        return jax.jit(start), jax.jit(gradient), jax.jit(curve)

    def values(self, which, k=K):
        group = getattr(self, which)
        (found,) = [m for m in group.lanes if m.config.latent_dim == k]
        return group.traced(found)


@pytest.fixture(scope="module")
def case(digits):
    return functools.cache(lambda o, n: Case(digits, o, n))


def poisoned(tree, k):
    """``tree`` with 1e3 in every padded slice."""
    return jax.tree_util.tree_map_with_path(
        lambda path, a: a.at[k:].set(1e3) if model.is_latent(path) else a, tree
    )


@pytest.mark.parametrize(("objective", "network"), PAIRS)
def test_loss_is_a_finite_scalar_and_its_key_decides_it(case, objective, network):
    c = case(objective, network)
    start, gradient, _ = c.functions("wide")
    values = c.values("wide")
    params = start(values).params
    (loss, metrics), grads = gradient(values, params, c.key)
    assert loss.shape == () and np.isfinite(loss)
    assert all(m.shape == () and np.isfinite(m) for m in metrics.values())
    (again, _), _ = gradient(values, params, c.key)
    assert loss == again
    for path, g in jax.tree_util.tree_leaves_with_path(grads):
        assert np.isfinite(g).all(), path
        assert np.abs(g).max() > 0, f"{path} receives no gradient"


@pytest.mark.parametrize(("objective", "network"), PAIRS)
def test_padding_changes_neither_loss_nor_gradients(case, objective, network):
    """P1: every padded slice filled with 1e3."""
    c = case(objective, network)
    start, gradient, _ = c.functions("wide")
    values = c.values("wide")
    params = start(values).params
    (loss, metrics), grads = gradient(values, params, c.key)
    (loss_p, metrics_p), grads_p = gradient(values, poisoned(params, K), c.key)
    assert loss == loss_p
    jax.tree.map(np.testing.assert_array_equal, metrics, metrics_p)
    jax.tree.map(np.testing.assert_array_equal, grads, grads_p)
    padded = 0
    for path, leaf in jax.tree_util.tree_leaves_with_path((params, grads)):
        if model.is_latent(path):
            padded += 1
            np.testing.assert_array_equal(leaf[K:], 0)
    assert padded >= 4  # the encoder's and the decoder's kernels at the least


@pytest.mark.parametrize(("objective", "network"), PAIRS)
def test_a_lane_equals_its_standalone_run(case, objective, network):
    """P2: step 0 to 1e-5, 50 steps of AdamW with clipping to 1e-4; and it learns."""
    c = case(objective, network)
    found = {}
    for which in ("wide", "alone"):
        start, gradient, curve = c.functions(which)
        values = c.values(which)
        state = start(values)
        (loss, _), grads = gradient(values, state.params, c.key)
        _, losses = curve(values, state)
        found[which] = (loss, model.trim(grads, K), losses)
    loss, grads, losses = found["wide"]
    loss_1, grads_1, losses_1 = found["alone"]
    np.testing.assert_allclose(loss, loss_1, rtol=1e-5)
    for a, b in zip(jax.tree.leaves(grads), jax.tree.leaves(grads_1), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * np.abs(b).max())
    np.testing.assert_allclose(losses, losses_1, rtol=1e-4)
    assert losses[-4:].mean() < 0.9 * losses[:4].mean()


@pytest.mark.parametrize("objective", sorted(objectives.OBJECTIVES))
def test_ranges_and_needs_name_what_exists(objective):
    found = objectives.OBJECTIVES[objective]
    assert set(found.ranges) <= set(found.defaults)
    assert set(found.static) <= set(found.defaults)
    assert found.needs <= {"labels", "stages", "images", "sequence"}
    title = objectives.OBJECTIVES.title(objective)
    assert any(ch.isdigit() for ch in title), "the docstring names paper and year"


def test_an_unseen_example_is_not_shown_to_the_decoder(case):
    """mse decodes without x, which a teacher-forced decoder would copy."""
    c = case("ae", "mlp")
    values = c.values("wide")
    recipe = c.wide.recipe
    bound, hparams = train.bind(recipe, values, 0)
    seen = []
    spy = bound._replace(
        decode=lambda p, z, batch=None: (seen.append(batch), bound.decode(p, z, batch))[
            1
        ]
    )
    batch = train.fetch(recipe, c.data.train, jnp.arange(16), None)
    params = c.functions("wide")[0](values).params
    lane.mse(recipe.objective, spy, hparams, params, batch)
    assert seen[0].x is None
