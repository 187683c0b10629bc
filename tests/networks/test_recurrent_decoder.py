"""Decoders of sequences: teacher forcing, and segments of a conductor."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax import model
from aejax.networks import recurrent
from tests.networks.sequences import KEY, B, F, K, T, X, Z, drawn, make_model

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("cell", "likelihood", "scale", "segments"),
    [
        ("gru", "bernoulli", 1.0, 0),
        ("lstm", "categorical", 4.0, 0),
        ("lstm", "categorical", 4.0, 3),
    ],
)
def test_free_running_is_forcing_on_its_own_output(cell, likelihood, scale, segments):
    options = dict(cell=cell, teacher_forcing=True, segments=segments)
    one = make_model(likelihood, scale, **options)
    params = drawn(one)
    params["net"]["decode_output"] *= 4  # what is fed back is not always the same
    z = RNG.normal(size=(B, Z)).astype(np.float32)

    @jax.jit
    def run(params, x):
        free = one.decode(params, z)
        if likelihood == "categorical":
            output = free.argmax(-1) / scale
        else:
            output = one.likelihood.mean(free)
        forced = [one.decode(params, z, model.Batch(a)) for a in (output, x)]
        return free, *forced, output

    free, forced, other, output = run(params, X)
    assert free.shape == (B, T, F, one.likelihood.outputs)
    np.testing.assert_allclose(forced, free, atol=1e-5)
    assert np.ptp(np.asarray(output), axis=1).max() > 0.1
    np.testing.assert_array_equal(other[:, 0], forced[:, 0])  # there is no x before
    assert np.abs(other - forced)[:, 1:].min(0).max() > 1e-3
    if segments:  # each starts anew
        np.testing.assert_array_equal(other[:, ::2], forced[:, ::2])


def test_a_forced_step_reads_earlier_steps_only():
    one, free = (make_model(teacher_forcing=t) for t in (True, False))
    params, plain = drawn(one), drawn(free)
    z = RNG.normal(size=(B, Z)).astype(np.float32)

    @jax.jit
    def run(x):
        batch = model.Batch(x)
        return one.decode(params, z, batch), free.decode(plain, z, batch)

    changed = X.copy()
    changed[:, 2] += 0.5
    (a, a_free), (b, b_free) = run(X), run(changed)
    moved = np.abs(a - b).reshape(B, T, -1).max(-1)
    assert (moved[:, :3] == 0).all() and (moved[:, 3:] > 0).all()
    np.testing.assert_array_equal(a_free, b_free)


def test_segments_know_no_other_segment():
    one = make_model(teacher_forcing=True, segments=3, hidden=(5, 7))
    params = drawn(one)
    z = RNG.normal(size=(B, Z)).astype(np.float32)
    net, changed = params["net"], X.copy()
    changed[:, 2] += 0.5  # the first step of the second segment

    @jax.jit
    def run(net, z, x):
        return one.decode({"net": net}, z, model.Batch(x))

    plain = run(net, z, X)
    moved = np.abs(run(net, z, changed) - plain).reshape(B, T, -1).max(-1)
    assert (moved[:, [0, 1, 2, 4, 5]] == 0).all() and (moved[:, 3] > 0).all()
    # Equal notes: what differs between segments is the conductor's.
    level = run(net, z, np.full_like(X, 0.5)).reshape(B, 3, 2, F)
    assert np.abs(level[:, 1:] - level[:, :-1]).max((2, 3)).min() > 1e-3
    # Without the state's and the input's kernels no segment hears of z.
    deaf = {
        n: jax.tree.map(jnp.zeros_like, v) for n, v in net.items() if "segment" in n
    }
    assert len(deaf) == 3
    silent = run(net | deaf, z, np.full_like(X, 0.5)).reshape(B, 3, 2, F)
    np.testing.assert_allclose(silent, np.broadcast_to(silent[:1, :1], silent.shape))


def test_one_segment_is_the_flat_decoder_conducted():
    one, flat = make_model(segments=1, hidden=(5,)), make_model(hidden=(5,))
    net = drawn(one)["net"]
    z = RNG.normal(size=(B, Z)).astype(np.float32) * (np.arange(Z) < K)

    @jax.jit
    def run(net):
        def enter(name):
            return jnp.tensordot(z, net[name]["latent_kernel"][:, 0], 1)

        state = jnp.tanh(enter("decode_state_0") + net["decode_state_0"]["bias"][None])
        weights = net["decode_conductor_0"]
        gates = enter("decode_input") + weights["bias"][None, :15]
        cell = recurrent.CELLS["gru"]
        (h,) = recurrent.advance(cell, weights, (state,), gates)
        dense = net["decode_segment_state_0"]
        start = jnp.tanh(h @ dense["kernel"] + dense["bias"][None])
        gates = h @ net["decode_segment_input"]["kernel"]
        gates = gates + net["decoder_0"]["bias"][None, :15]
        gates = jnp.broadcast_to(gates, (T, *gates.shape))
        _, h = recurrent.scan(cell, net["decoder_0"], gates, (start,))
        out = (h @ net["decode_output"]).swapaxes(0, 1)[..., None]
        return one.decode({"net": net}, z), out + net["output_bias"][None]

    got, want = run(net)
    np.testing.assert_allclose(got, want, atol=1e-5)
    known = set(jax.eval_shape(flat.init, KEY, model.Batch(X)))
    extra = {"decode_conductor_0", "decode_segment_state_0", "decode_segment_input"}
    assert set(net) == known | extra
