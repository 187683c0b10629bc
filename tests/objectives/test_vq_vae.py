"""VQ-VAE: nearest vectors, their moving averages, restarts, usage and prior."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats

from aejax.objectives import vq_vae
from tests.objectives.common import Case, close, keys, run

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
        facts = {"codebook": self.codebook, "counts": counts, "sums": sums}
        return facts | {"latent_usage": usage}

    def __call__(self, params, e, key, **hp):
        """Loss, metrics, new state."""
        split = tuple(e[..., i] for i in range(2))
        bound = self.case.model._replace(encode=lambda p, b: split)
        args = (bound, params, self.case.batch, key)
        return self.case.objective.loss(*args, **(self.case.hp | hp))

    def ids(self, e, codebook):
        distance = np.square(e[:, :3, None] - codebook[None, None]).sum(-1)
        return distance.argmin(-1)  # (B, 3)


def test_it_takes_the_nearest_vector():
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


def test_gradients_pass_straight_to_the_encoder():
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


def test_the_codebook_is_a_moving_average():
    slots = Slots()
    state = slots.params["state"]
    names = ("sums", "counts", "codebook", "latent_usage")
    sums, counts, book, usage = (state[n].astype(np.float64) for n in names)
    step = functools.partial(run, lambda params, e, key: slots(params, e, key)[2])
    for t in range(2):
        e = slots.e + 0.1 * t
        ids = slots.ids(e, book)
        state = step(slots.params | {"state": state}, e, jax.random.key(t))
        for c in range(6):
            chose = e[:, :3][ids == c]
            counts[c] = 0.95 * counts[c] + 0.05 * len(chose)
            sums[c] = 0.95 * sums[c] + 0.05 * chose.sum(0)
            usage[:3, c] = 0.95 * usage[:3, c] + 0.05 * (ids == c).sum(0)
        book = sums / counts[:, None]
        close(state, dict(zip(names, (sums, counts, book, usage), strict=True)))


def test_dead_vectors_restart_on_encoder_outputs():
    slots = Slots()
    counts = np.array([4.0, 4, 4, 4, 1e-3, 1e-3])
    slots.codebook[4:] = 50.0, -50.0  # far from everything
    params = slots.params | {"state": slots.state(counts)}
    e = slots.e + 1.0  # padded slots are 1: no vector may start there

    @jax.jit
    def new(params, keys):
        return jax.vmap(lambda key: slots(params, jnp.asarray(e), key)[2])(keys)

    states = jax.tree.map(np.asarray, new(params, keys(40)))
    alive = states["codebook"][:, :4]
    assert (alive == alive[:1]).all(), "the others do not depend on the key"
    fresh = states["codebook"][:, 4:].reshape(-1, 1, 2)
    active = e[:, :3].reshape(1, -1, 2)
    off = np.abs(fresh - active).max(-1)
    assert off.min(1).max() < 1e-5
    assert len(set(off.argmin(1))) > 15, "of all examples and slots"
    mean = states["counts"].mean(1)
    assert (states["counts"][:, 4:] > 0.5 * mean[:, None]).all(), "and has time to live"
    params["state"] = slots.state(np.full(6, 4.0))
    states = new(params, keys(40))
    jax.tree.map(lambda a: close(a, np.tile(a[:1], (40, *[1] * (a.ndim - 1)))), states)


def test_perplexity_is_that_of_the_usage():
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


def test_the_prior_draws_vectors_as_often_as_used():
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
