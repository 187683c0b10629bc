"""The annealing of a KL: its schedule, free bits, and that every objective obeys."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import aejax
from aejax import losses, objectives
from aejax.objectives import annealing

STEPS = 200


def weights(kl_warmup, kl_cycles, steps=None):
    steps = jnp.arange(STEPS) if steps is None else jnp.asarray(steps)
    run = jax.jit(
        jax.vmap(lambda t: annealing.schedule(t, STEPS, kl_warmup, kl_cycles))
    )
    return np.asarray(run(steps), np.float64)


@pytest.mark.parametrize("kl_cycles", [1, 2, 4, 5])
@pytest.mark.parametrize("kl_warmup", [0.0, 0.25, 0.5, 1.0])
def test_the_schedule_is_fu_et_al_s(kl_warmup, kl_cycles):
    """β_t = min(1, τ/R), τ the position in a cycle of T/M steps; eqs. 6 and 7."""
    length = STEPS // kl_cycles
    position = (np.arange(STEPS) % length + 1) / length
    want = np.minimum(1.0, position / kl_warmup) if kl_warmup else np.ones(STEPS)
    got = weights(kl_warmup, kl_cycles)
    # One rounding may let a cycle begin a step early or late, but not the last end.
    off = np.abs(got - want) > 1e-4
    assert off.sum() <= kl_cycles - 1 and not off[-1]
    assert (got > 0).all() and got.max() == 1.0
    after = weights(kl_warmup, kl_cycles, [STEPS - 1, STEPS, STEPS + 7])
    np.testing.assert_array_equal(after, 1.0)


def test_free_bits_are_kingma_et_al_s():
    rng = np.random.default_rng(0)
    mask = jnp.float32([[1, 1, 1, 0, 0]])
    each = (rng.chisquare(1, (64, 5)) * [0.01, 0.3, 2.0, 0, 0]).astype(np.float32)
    mean = each.astype(np.float64).mean(0)

    def nats(kl_values, free_bits):
        return annealing.Control(mask, 1.0, free_bits).nats(jnp.asarray(kl_values))

    for free in (0.0, 0.1, 1.0):
        want = np.maximum(mean[:3], free).sum()
        np.testing.assert_allclose(nats(each, free), want, rtol=1e-5)
        total = each.sum(1)
        want = max(3 * free, mean.sum())
        np.testing.assert_allclose(nats(total, free), want, rtol=1e-5)
    # An estimate of a KL may be negative.
    np.testing.assert_allclose(nats(-each.sum(1), 0.0), -mean.sum(), rtol=1e-5)
    slope = jax.grad(lambda v: nats(v, 0.1))(jnp.asarray(each))
    np.testing.assert_allclose(slope[:, :3], np.tile([0, 1 / 64, 1 / 64], (64, 1)))


def test_a_sweep_of_controls_is_one_program():
    config = aejax.Config(objective="vae", hidden=(16,), latent_dim=3, epochs=4)
    axes = {"kl_warmup": [0.0, 1.0], "kl_cycles": [1, 2], "free_bits": [0.0, 3.0]}
    run = aejax.sweep(config, axes, devices=jax.devices()[:2])
    assert run.info["programs"] == 1
    rows = [r for r in run.rows if r["split"] == "test"]
    kls = {tuple(r[n] for n in axes): r["kl"] for r in rows}
    assert kls[1.0, 1, 0.0] != kls[1.0, 2, 0.0] and kls[1.0, 1, 0.0] > kls[0.0, 1, 0.0]
    assert kls[0.0, 1, 0.0] == kls[0.0, 2, 0.0], "nothing rises: no cycles"
    for row in rows:
        np.testing.assert_allclose(row["loss"], row["neg_elbo"], rtol=1e-5)
    for others in ((0.0, 1), (1.0, 1), (1.0, 2)):
        assert kls[(*others, 3.0)] > kls[(*others, 0.0)] + 1
        np.testing.assert_allclose(row["neg_elbo"], row["nll"] + row["kl"], rtol=1e-5)


def test_an_outside_objective_takes_the_controls(tmp_path):
    (tmp_path / "mine.py").write_text(
        '"""Mine. Me, 2026."""\n'
        "from aejax import losses\n"
        'kl_control = {"beta", "schedule"}\n'
        'kl_defaults = {"beta": 0.5}\n'
        "def loss(model, params, batch, key, *, scale=1.0):\n"
        "    mu, logvar = model.encode(params, batch)\n"
        "    z = model.sample(key, mu, logvar)\n"
        "    nll = model.likelihood.nll(batch, model.decode(params, z, batch)).mean()\n"
        "    kl = losses.gaussian_kl(mu, logvar)\n"
        '    return scale * nll + model.kl(kl), {"nll": nll, "kl": kl.mean()}\n'
    )
    loaded = objectives.OBJECTIVES[str(tmp_path / "mine.py")]
    assert loaded.defaults == {
        "scale": 1.0,
        "beta": 0.5,
        "kl_warmup": 0.0,
        "kl_cycles": 1,
    }
    for bad in ({"kl_warmup": 1.5}, {"beta": -1.0}, {"kl_cycles": 0}):
        with pytest.raises(aejax.InputError, match=next(iter(bad))):
            loaded.check(loaded.defaults | bad, 8)
    for line, what in (
        ('kl_control = {"bata"}', "kl_control"),
        ('kl_control = {"beta"}\nkl_defaults = {"free_bits": 1.0}', "kl_defaults"),
    ):
        (tmp_path / "bad.py").write_text(
            f'"""Bad. Me, 2026."""\n{line}\ndef loss(model, params, batch, key): ...\n'
        )
        with pytest.raises(aejax.InputError, match=what):
            objectives.OBJECTIVES[str(tmp_path / "bad.py")]


def test_kl_of_single_dimensions_sums_to_the_whole():
    mu, logvar = np.random.default_rng(0).normal(size=(2, 7, 4)).astype(np.float32)
    each = losses.gaussian_kl(mu[..., None], logvar[..., None])
    np.testing.assert_allclose(each.sum(-1), losses.gaussian_kl(mu, logvar), rtol=1e-5)
