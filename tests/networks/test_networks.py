"""What every network keeps: shapes, labels, stages, types of numbers."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax import model, networks, settings
from tests.networks.common import (
    BATCH,
    HIDDEN,
    KEY,
    ONES,
    OPTIONS,
    SHAPE,
    B,
    K,
    Z,
    batch_for,
    drawn,
    entry,
    leaves,
    make_model,
    make_spec,
)

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("name", HIDDEN)
@pytest.mark.parametrize("classes", [0, 3])
def test_shapes_for_any_heads_inputs_and_outputs(name, classes):
    batch = batch_for(name)
    # Encoders know of heads alone, decoders of the other two: their pairs, and in turn
    # each number of heads.
    pairs = itertools.product((1, 3), (1, 2))
    for heads, (inputs, outputs) in zip((1, 2, 3, 1), pairs, strict=True):
        changes = dict(heads=heads, inputs=inputs, outputs=outputs)
        hidden = (4, 6, 9) if "conv" in name else HIDDEN[name]
        spec = make_spec(name, hidden=hidden, num_classes=classes, **changes)
        if entry(name).check(spec):
            assert name == "linear_tied"
            continue
        net = entry(name).build(spec, **OPTIONS.get(name, {}))
        mask = np.ones((1, Z), np.float32)

        def shapes(net=net, mask=mask, inputs=inputs):
            params = net.init(KEY, batch, mask)
            codes = net.encode(params, batch, mask)
            first = codes[0] if isinstance(codes, tuple) else codes
            z = (first,) * inputs if inputs > 1 else first
            return params, codes, net.decode(params, z, batch, mask)

        params, codes, decoded = jax.eval_shape(shapes)
        codes = codes if heads > 1 else (codes,)
        assert [c.shape for c in codes] == [(B, Z)] * heads
        assert decoded.shape == (*batch.x.shape, outputs)
        np.broadcast_shapes(net.bias_shape, decoded.shape[1:])
        for path, leaf in jax.tree_util.tree_leaves_with_path(params):
            assert leaf.dtype == jnp.float32
            assert model.is_latent(path) == (leaf.shape[0] == Z), path


def test_a_decoder_refuses_another_number_of_codes():
    net = networks.NETWORKS["mlp"].build(make_spec(inputs=3))
    mask = np.ones((1, Z), np.float32)
    params = jax.eval_shape(net.init, KEY, BATCH, mask)
    z = jax.ShapeDtypeStruct((B, Z), jnp.float32)
    with pytest.raises(ValueError, match="takes 3 arrays, got 2"):
        jax.eval_shape(net.decode, params, (z, z), BATCH, mask)


def test_all_inputs_of_a_decoder_count():
    net = networks.NETWORKS["mlp"].build(make_spec(inputs=3, hidden=(), heads=3))
    mask = np.ones((1, Z), np.float32)

    @jax.jit
    def run(z):
        params = net.init(KEY, BATCH, mask)
        return net.decode(params, z, None, mask), params

    z = tuple(RNG.normal(size=(3, B, Z)).astype(np.float32))
    decoded, params = run(z)
    assert set(params) == {"code", "decode_code"}
    assert set(params["decode_code"]) == {"latent_kernel"}, "the model adds the bias"
    kernel = np.asarray(params["decode_code"]["latent_kernel"])  # (Z, 3, D)
    want = sum(v @ kernel[:, i] for i, v in enumerate(z))
    np.testing.assert_allclose(decoded.reshape(B, -1), want, atol=1e-5)


@pytest.mark.parametrize("name", HIDDEN)
def test_the_decoder_owns_what_is_called_decode(name):
    """decode depends on exactly these and the output bias, encode on all others."""
    one, batch = make_model(name, k=Z), batch_for(name)
    params = drawn(one, batch)["net"]

    @jax.jit
    def run(params):
        codes = one.encode({"net": params}, batch)
        return sum(c.sum() for c in codes), one.decode({"net": params}, ONES, batch)

    flat, tree = jax.tree_util.tree_flatten_with_path(params)
    for i, (path, leaf) in enumerate(flat):
        poisoned = [np.nan * leaf if i == j else a for j, (_, a) in enumerate(flat)]
        code, decoded = run(jax.tree.unflatten(tree, poisoned))
        owned = path[0].key.startswith("decode") or path[0].key == "output_bias"
        tied = name == "linear_tied" and path[-1].key == "latent_kernel"
        assert np.isnan(decoded).any() == (owned or tied), path
        assert np.isnan(code) == (not owned), path


@pytest.mark.parametrize("name", [n for n in HIDDEN if n != "linear_tied"])
def test_labels_are_read_on_both_sides(name):
    one, given = make_model(name, k=Z, num_classes=3), batch_for(name)
    params = drawn(one, given)

    @jax.jit
    def run(y):
        batch = given._replace(y=y)
        mu, _ = one.encode(params, batch)
        return mu, one.decode(params, 0 * mu, batch)

    first, second = run(given.y), run(np.array([0, 1, 1], np.int32))
    for a, b in zip(first, second, strict=True):
        changed = np.abs(a - b).reshape(B, -1).max(1)
        assert changed[1] > 1e-3, "another label"
        np.testing.assert_array_equal(changed[[0, 2]], 0)
    with pytest.raises(ValueError, match="needs batch.y"):
        jax.eval_shape(one.encode, params, given._replace(y=None))
    with pytest.raises(ValueError, match="needs batch.y"):
        jax.eval_shape(one.decode, params, jnp.zeros((B, Z)))


def test_stages_compose_to_the_whole_network():
    one = make_model("mlp")
    params = drawn(one)
    assert len(one.stages) == len(HIDDEN["mlp"]) + 1

    @jax.jit
    def by_stages(params):
        code = BATCH.x
        for encode, _ in one.stages:
            code = encode(params, code)
        h = code[0]
        for _, decode in reversed(one.stages):
            h = decode(params, h)
        return code, h

    @jax.jit
    def whole(params):
        code = one.encode(params, BATCH)
        return code, one.decode(params, code[0])

    jax.tree.map(np.testing.assert_array_equal, by_stages(params), whole(params))
    assert make_model("conv").stages == ()


@pytest.mark.parametrize("name", HIDDEN)
def test_bfloat16_multiplies_in_it_and_gives_float32(name):
    whole, half = (make_model(name, dtype=d) for d in (jnp.float32, jnp.bfloat16))
    batch = batch_for(name)
    params = drawn(half, batch)

    def run(one, params):
        mu, _ = one.encode(params, batch)
        return mu, one.decode(params, mu, batch)

    got = jax.jit(functools.partial(run, half))(params)
    want = jax.jit(functools.partial(run, whole))(params)
    for a, b in zip(got, want, strict=True):
        assert a.dtype == jnp.float32
        error = np.abs(a - b).max() / np.abs(b).max()
        assert 1e-6 < error < 0.05
    assert {a.dtype for a in jax.tree.leaves(params)} == {jnp.dtype(jnp.float32)}
    jaxpr = str(jax.make_jaxpr(functools.partial(run, half))(params))
    products = [line for line in jaxpr.splitlines() if "dot_general" in line]
    assert products and all(":bf16[" in line for line in products)


def test_small_networks_of_plain_inputs():
    one = make_model("mlp")
    init, apply = one.mlp((4, 2), 6)
    a, b = np.ones((B, 4), np.float32), np.ones((B, 2), np.float32)

    params = jax.tree.map(lambda s: jnp.ones(s.shape) / 9, jax.eval_shape(init, KEY))
    run = jax.jit(functools.partial(apply, params))
    out = run(a, b)
    assert out.shape == (B, 6) and out.dtype == jnp.float32
    assert np.abs(out - run(2 * a, b)).min() > 0
    assert np.abs(out - run(a, 2 * b)).min() > 0
    assert not any(is_latent for _, is_latent, _ in leaves(jax.eval_shape(init, KEY)))


@pytest.mark.parametrize(
    ("name", "likelihood"), [("mlp", "bernoulli"), ("conv", "categorical")]
)
def test_the_output_bias_starts_at_the_training_mean(name, likelihood):
    spec = make_spec(name, outputs=2 if likelihood == "categorical" else 1)
    model_spec = model.ModelSpec(networks.NETWORKS[name], spec, likelihood, 1.0)
    mean = RNG.uniform(0.1, 0.9, SHAPE)
    bias = model.output_mean(model_spec, mean)
    assert bias.dtype == np.float32
    mask = model.latent_mask(K, Z)
    one = model.build(model_spec, mask, model.Clock(0, 1, 1), bias)
    start = jax.jit(lambda: one.init(KEY, BATCH)["output_bias"])()
    params = jax.tree.map(lambda a: a * (a.ndim > 1), drawn(one))  # biases are 0
    params["net"]["output_bias"] = start

    @jax.jit
    def first_mean(params):  # tanh keeps a zero code 0: the output bias is all there is
        return one.likelihood.mean(one.decode(params, jnp.zeros((B, Z))))

    got = first_mean(params)
    shared = mean if name == "mlp" else mean.mean((0, 1), keepdims=True)
    want = np.broadcast_to(shared, (B, *SHAPE))
    np.testing.assert_allclose(got, want, atol=1e-3)


def test_precision_names_what_jax_calls_it():
    for ours, theirs in (
        ("float32", "float32"),
        ("tf32", "tensorfloat32"),
        ("bf16", "float32"),
    ):
        with settings.matmul_precision(ours):
            assert jax.config.jax_default_matmul_precision == theirs
    assert settings.compute_dtype("bf16") == jnp.bfloat16
    assert (
        settings.compute_dtype("tf32")
        == settings.compute_dtype("float32")
        == jnp.float32
    )
