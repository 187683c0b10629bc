"""Stacked autoencoder: one layer at a time, then the whole."""

import fractions
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import aejax
from aejax.runs import plan
from aejax.training import member as members
from tests.objectives.common import Case, close, norm, run


def value(step, steps, pretrain):
    case = Case("stacked", hidden=(5, 4))
    hp = {"pretrain": pretrain}
    return case.loss(case.params, jax.random.key(0), case.model_at(step, steps), **hp)[
        0
    ]


@functools.cache
def terms():
    """What each layer has for a loss, and the whole: the next test computes them."""
    return run(jax.vmap(lambda t: value(t, 100, 0.6)), np.array([0, 30, 50, 70]))


@pytest.mark.parametrize(
    "steps, pretrain", [(24, 0.5), (100, 0.3), (10, 0.5), (7, 1), (5, 0)]
)
def test_phases_share_the_pretraining_evenly(steps, pretrain):
    losses = run(jax.vmap(lambda t: value(t, steps, pretrain)), np.arange(steps + 1))
    phases = np.abs(losses[:, None] - terms()).argmin(1)
    close(losses, terms()[phases])
    assert phases[-1] == 3, "what is evaluated is the whole"
    ends = [round(fractions.Fraction(str(pretrain)) * steps * i / 3) for i in (1, 2, 3)]
    want = np.searchsorted(ends, np.arange(steps), "right")
    np.testing.assert_array_equal(phases[:-1], want)


def test_the_loss_is_that_of_the_layer_in_training():
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
        return case.loss(case.params, key, case.model_at(step), noise=noise)

    each = jax.vmap(jax.vmap(both, (0, None)), (None, 0))
    losses, metrics = run(each, np.array([0, 30, 50, 70]), np.array([0.0, 1.0]))
    close(losses, np.array([want, without]))
    close(metrics["nll"], np.full((2, 4), whole))


def test_one_stage_moves_with_a_fresh_optimiser(tmp_path):
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
    planned = plan.plan(config, {})
    spec = planned.populations[0].spec
    data = planned.sources.source(spec).data()

    def program(values, data):
        member = members.member(spec, values, data)
        state = member.init()

        def step(state, t):
            rows = (jnp.arange(16) + 16 * t) % 64
            state, _ = member.step(state, member.batch(rows, t), t)
            return state, (state.params["net"], state.opt_state)

        return state.params["net"], jax.lax.scan(step, state, jnp.arange(24))[1]

    start, (nets, opt) = run(program, spec.hparams(spec.config), data)

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
