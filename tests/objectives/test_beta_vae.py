"""β-VAE: the VAE at β = 1, and its schedules by their formulas."""

import jax
import numpy as np

from tests.objectives.common import Case, close, run, value_and_grad


def test_with_beta_1_it_is_the_vae():
    vae, beta = Case("vae"), Case("beta_vae")
    key = jax.random.key(5)
    want = run(value_and_grad(vae), vae.params, key)
    close(run(value_and_grad(beta, beta=1.0), vae.params, key), want, rtol=1e-6)
    four = run(value_and_grad(beta), vae.params, key)
    assert abs(four[0] - want[0]) > 1


def rising(value, share, step):
    """From its first part to the whole over this share of 100 steps."""
    return value * min(1.0, (step + 1) / (share * 100)) if share else value


def test_schedules_follow_their_formulas():
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
        return case.loss(case.params, jax.random.key(1), case.model_at(step), **hp)

    table = jax.vmap(jax.vmap(one, (0, None)), (None, 0))
    losses, metrics = run(table, steps, traced)
    nll, kl = metrics["nll"][0, 0], metrics["kl"][0, 0]
    assert 2 < kl < 25, "above a capacity and below another"
    for s, got in zip(settings, losses, strict=True):
        for step in steps:
            beta = rising(s["beta"], s["kl_warmup"], step)
            capacity = rising(s["capacity"], s["ramp"], step)
            close(got[step], nll + beta * abs(kl - capacity))
    # Mistake 6: with the default capacity the KL counts in full, from the first step.
    close(losses[0], np.full(100, nll + 2 * kl))
