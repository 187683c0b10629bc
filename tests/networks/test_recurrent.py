"""Networks of sequences: flax's cells as oracles, lengths, refusals."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax import model, networks
from aejax.networks import recurrent
from tests.networks.sequences import (
    KEY,
    LENGTH,
    B,
    F,
    K,
    T,
    X,
    Z,
    drawn,
    make_model,
)

RNG = np.random.default_rng(0)


VALID = np.arange(T)[None] < LENGTH[:, None]


def from_flax(cell, params):
    """Ours from the parameters of flax's cell; gradients convert likewise."""
    names, p = ("rzn", "ifgo")[cell == "lstm"], params
    side = {s: [p[s + n]["kernel"] for n in names] for s in "ih"}
    bias = [p[("i", "h")[cell == "lstm"] + n]["bias"] for n in names]
    bias += [] if cell == "lstm" else [p["hn"]["bias"]]
    return {
        "kernel": jnp.concatenate(side["i"], -1),
        "recurrent": jnp.concatenate(side["h"], -1),
        "bias": jnp.concatenate(bias),
    }


@pytest.mark.parametrize(("cell", "back"), [("gru", True), ("lstm", False)])
def test_a_layer_equals_flax_s_in_values_and_gradients(cell, back):
    width, inputs = 5, 3
    theirs = {"gru": nn.GRUCell, "lstm": nn.OptimizedLSTMCell}[cell](width)
    x = RNG.normal(size=(T, B, inputs)).astype(np.float32)
    weights = RNG.normal(size=(T, B, width)).astype(np.float32)
    start = tuple(RNG.normal(size=(2, B, width)).astype(np.float32))  # h, c
    shapes = jax.eval_shape(
        theirs.init, KEY, start if cell == "lstm" else start[0], x[0]
    )["params"]
    params = jax.tree.map(lambda a: RNG.normal(size=a.shape).astype("f"), shapes)

    def run_theirs(params, x, start):
        def step(carry, x):
            return theirs.apply({"params": params}, carry, x)

        carry = start[::-1] if cell == "lstm" else start[0]  # (c, h), or h
        return jax.lax.scan(step, carry, x, reverse=back)[1]

    def run_ours(weights, x, start):
        kind = recurrent.CELLS[cell]
        gates = recurrent.project(weights, x)
        return recurrent.scan(kind, weights, gates, start[: kind.states], back=back)[1]

    @functools.partial(jax.jit, static_argnums=0)
    def values(run, *args):
        out, pull = jax.vjp(run, *args)
        return out, pull(weights)

    want, (grads, *rest) = values(run_theirs, params, x, start)
    got, (got_grads, *got_rest) = values(run_ours, from_flax(cell, params), x, start)
    np.testing.assert_allclose(got, want, atol=1e-5)
    close = functools.partial(np.testing.assert_allclose, atol=2e-4, rtol=1e-4)
    jax.tree.map(close, (got_grads, got_rest), (from_flax(cell, grads), rest))


def test_weights_start_orthogonal():
    spec = networks.NetworkSpec((T, F), 1, Z, 1, 1, (5,), "tanh", "glorot", jnp.float32)
    drawing = jax.jit(
        lambda key: [recurrent.draw(key, spec, c, 30, 5) for c in cells.values()]
    )
    cells = recurrent.CELLS
    for cell, weights in zip(cells.values(), drawing(KEY), strict=True):
        assert weights["kernel"].shape == (30, 5 * cell.gates)
        # Glorot's bound is that of one gate, 30 in and 5 out.
        np.testing.assert_allclose(np.abs(weights["kernel"]).max(), 0.414, rtol=0.03)
        for square in np.split(weights["recurrent"], cell.gates, -1):
            np.testing.assert_allclose(square.T @ square, np.eye(5), atol=1e-5)
        want = np.repeat([0, cell.states == 2, 0, 0], 5)
        np.testing.assert_array_equal(weights["bias"], want)


KINDS = [
    dict(cell="gru", bidirectional=True),
    dict(cell="lstm", bidirectional=True, teacher_forcing=True),
]


@pytest.mark.parametrize(
    "options",
    [
        *KINDS,
        dict(segments=3, teacher_forcing=True),
        dict(network="transformer", attention_heads=1),
    ],
    ids=str,
)
def test_steps_beyond_the_length_change_nothing(options):
    one = make_model(**options)

    @jax.jit
    def run(params, x):
        batch = model.Batch(x, length=LENGTH)

        def loss(params):
            z = one.encode(params, batch)
            decoded = one.decode(params, z, batch)
            return one.likelihood.nll(batch, decoded).sum(), (z, decoded)

        (value, (z, decoded)), grads = jax.value_and_grad(loss, has_aux=True)(params)
        return z, jnp.where(VALID[..., None, None], decoded, 0), value, grads

    params = drawn(one)
    plain = run(params, X)
    poisoned = run(params, np.where(VALID[..., None], X, np.float32(1e3)))
    jax.tree.map(np.testing.assert_array_equal, poisoned, plain)
    assert all(np.abs(g).max() > 0 for g in jax.tree.leaves(plain[3]))
    # Every valid step does count: the last one and the first of each.
    for index in (LENGTH - 1, 0 * LENGTH):
        changed = X.copy()
        changed[np.arange(B), index] += 0.5
        assert np.abs(run(params, changed)[0] - plain[0])[:, :K].max(1).min() > 1e-3


@pytest.mark.parametrize("options", KINDS, ids=str)
def test_a_short_sequence_is_coded_like_a_cut_one(options):
    short = 3
    whole, cut = make_model(**options), make_model(steps=short, **options)
    params = drawn(whole)

    @jax.jit
    def run(params):
        batch = model.Batch(X, length=np.full((B,), short, np.int32))
        ended = model.Batch(X[:, :short])
        out = []
        for one, each in ((whole, batch), (cut, ended)):
            z = one.encode(params, each)
            out.append((z, one.decode(params, z, each)[:, :short]))
        return out

    for a, b in zip(*run(params), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_the_second_encoder_reads_backwards():
    """Each direction, on its sequence the other way round, is the other direction."""
    one = make_model(bidirectional=True, hidden=(5,))
    params = drawn(one)
    net, mirrored = params["net"], X.copy()
    for x, length in zip(mirrored, LENGTH, strict=True):
        x[:length] = x[:length][::-1]
    kernel = np.roll(net["code"]["latent_kernel"], 5, -1)
    swapped = net | {
        "encoder_0": net["encoder_back_0"],
        "encoder_back_0": net["encoder_0"],
        "code": net["code"] | {"latent_kernel": kernel},
    }
    encode = jax.jit(lambda p, x: one.encode(p, model.Batch(x, length=LENGTH)))
    code = encode(params, X)
    np.testing.assert_allclose(encode({"net": swapped}, mirrored), code, atol=1e-6)
    assert np.abs(encode(params, mirrored) - code).max() > 1e-3


def test_levels_are_read_one_hot():
    one = make_model("categorical", 4.0)
    params = drawn(one)
    levels = RNG.integers(0, 5, (B, T, F))
    order = RNG.permutation(5)
    new = np.argsort(order)[levels]  # level order[i] is called i
    kernel = params["net"]["encoder_0"]["kernel"].reshape(F, 5, -1)
    renamed = kernel[:, order].reshape(F * 5, -1)
    net = params["net"]
    other = {"net": net | {"encoder_0": net["encoder_0"] | {"kernel": renamed}}}
    encode = jax.jit(lambda p, x: one.encode(p, model.Batch(x)))
    code = encode(params, (levels / 4).astype(np.float32))
    np.testing.assert_allclose(
        encode(other, (new / 4).astype(np.float32)), code, atol=1e-6
    )
    assert np.abs(encode(params, (new / 4).astype(np.float32)) - code).max() > 1e-3


def test_unknown_cells_and_bad_widths_are_refused():
    entry, attentive = (networks.NETWORKS[n] for n in ("recurrent", "transformer"))
    spec = networks.NetworkSpec((T, F), 1, Z, 1, 1, (5,), "tanh", "lecun", jnp.float32)
    assert entry.needs == {"sequence"}
    assert entry.check(spec, **entry.options) is None
    said = entry.check(spec, **entry.options | {"cell": "elman"})
    assert said == "cell 'elman' is unknown; known: gru, lstm"
    assert "--hidden 64" in entry.check(spec._replace(hidden=()), **entry.options)
    assert entry.check(spec, **entry.options | {"segments": 3}) is None
    for segments in (4, -1):
        said = entry.check(spec, **entry.options | {"segments": segments})
        assert said == f"segments={segments} do not divide sequences of 6 steps"
    assert attentive.needs == {"sequence"}
    for hidden, heads, blocks, reason in (
        ((8, 3), 4, 1, None),
        ((6, 3), 4, 1, "a multiple of attention_heads=4, e.g. --hidden 64"),
        ((), 4, 1, "a multiple of"),
        ((8,), 0, 1, "attention_heads=0: give 1 or more"),
        ((8,), 1, 0, "blocks=0"),
    ):
        changed = spec._replace(hidden=hidden)
        said = attentive.check(changed, blocks=blocks, attention_heads=heads)
        assert said is None if reason is None else reason in said
