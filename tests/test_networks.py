"""Networks and models: shapes, the mask (P1, P2), convolution as matmul (P6)."""

import functools
import itertools
import re
import types

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax import model, networks
from aejax.networks import conv, dense, latent, resnet_conv
from experiments.accelerator import convolution

RNG = np.random.default_rng(0)
K, Z, B = 5, 16, 3
SHAPE = (8, 4, 2)
HIDDEN = {
    "mlp": (12, 7),
    "conv": (4, 9),
    "linear": (),
    "linear_tied": (),
    "recurrent": (6, 5),
    "hierarchical": (6, 5),
    "resnet_conv": (4, 9),
    "transformer": (8, 5),
}
OPTIONS = {
    "transformer": {"blocks": 1},
    "hierarchical": {"segments": 2, "teacher_forcing": True},
}
SEQUENTIAL = {"recurrent", "hierarchical", "transformer"}
KEY = jax.random.key(0)
ONES = np.ones((B, Z), np.float32)
BATCH = model.Batch(RNG.random((B, *SHAPE), np.float32), np.array([0, 2, 1], np.int32))


SERIES = BATCH._replace(
    x=RNG.random((B, 4, 2), np.float32), length=np.array([4, 1, 2], np.int32)
)


def batch_for(name):
    """BATCH, or sequences of unequal length."""
    return SERIES if name in SEQUENTIAL else BATCH


def entry(name):
    """The network, by its name or by that of one of its kinds."""
    return networks.NETWORKS["recurrent" if name == "hierarchical" else name]


def make_spec(name="mlp", **changes):
    values = dict(
        shape=batch_for(name).x.shape[1:],
        outputs=1,
        latent_dim=Z,
        heads=2,
        inputs=1,
        hidden=HIDDEN[name],
        activation="tanh",
        init="lecun",
        dtype=jnp.float32,
    )
    return networks.Spec(**values | changes)


def make_model(name="mlp", k=K, likelihood="bernoulli", bias=None, **changes):
    spec = make_spec(name, **changes)
    blueprint = model.Blueprint(entry(name), spec, likelihood, 1.0)
    blueprint = blueprint._replace(options=OPTIONS.get(name, {}))
    mask = model.latent_mask(k, spec.latent_dim)
    return model.build(blueprint, mask, model.Clock(0, 1, 1), bias)


def leaves(tree):
    """[(path, is latent, array)] of a parameter tree."""
    found = jax.tree_util.tree_leaves_with_path(tree)
    return [(p, model.is_latent(p), a) for p, a in found]


def drawn(one, batch=BATCH):
    """Parameters of the right shapes without compiling their initialisers."""
    rng = np.random.default_rng(1)
    shapes = jax.eval_shape(one.init, KEY, batch)
    return {
        "net": jax.tree.map(
            lambda a: (rng.normal(size=a.shape) / a.shape[0] ** 0.5).astype(a.dtype),
            shapes,
        )
    }


# ---- products whose gradients are written for XLA:CPU


@pytest.mark.parametrize("n", [256, 255])
def test_product_is_matmul_in_values_and_derivatives_of_any_order(n):
    x, kernel, by = (RNG.normal(size=s) for s in ((6, n), (n, 300), (6, 300)))

    def derivatives(product):
        def loss(x, kernel):
            return (jnp.tanh(product(x, kernel) / 16) * by).sum()

        def penalised(x, kernel):
            return jnp.square(jax.grad(loss)(x, kernel)).sum()

        def one(row, kernel):
            return product(row[None], kernel)[0, :3]

        both = jax.grad(loss, (0, 1))(x, kernel)
        second = jax.grad(penalised, (0, 1))(x, kernel)
        rows = jax.vmap(jax.jacfwd(one), (0, None))(x, kernel)
        moved = jax.jvp(lambda k: product(x, k), (kernel,), (kernel[::-1],))
        return product(x, kernel), both, second, rows, moved

    with jax.enable_x64(True):
        x, kernel, by = map(jnp.asarray, (x, kernel, by))
        got, want = derivatives(dense.product), derivatives(jnp.matmul)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)


def test_dense_layers_take_any_axes_and_no_rows():
    layer = dense.layer(make_spec(), 5)
    for shape in ((0, 6), (2, 0, 6), (2, 3, 6), (6,)):
        x = RNG.normal(size=shape).astype(np.float32)
        params = {"params": {"kernel": np.ones((6, 5), np.float32), "bias": np.ones(5)}}
        out = layer.apply(params, x)
        want = np.broadcast_to(x.sum(-1, keepdims=True) + 1, (*shape[:-1], 5))
        np.testing.assert_allclose(out, want, rtol=1e-5, atol=1e-5)


# ---- convolution (P6)


@pytest.mark.parametrize(("dtype", "error"), [("bfloat16", 0.02), ("float32", 1e-4)])
def test_the_gradient_of_a_bias_is_the_sum_over_pixels(dtype, error):
    layer = conv.Conv(4, make_spec(dtype=jnp.dtype(dtype)))
    x = RNG.random((256, 16, 16, 3), np.float32)
    by = RNG.random((256, 8, 8, 4), np.float32)
    params = layer.init(KEY, x[:1])["params"]

    def loss(bias, x, by):
        out = layer.apply({"params": params | {"bias": bias}}, x)
        return (out.astype(jnp.float32) * by).sum()

    got = jax.jit(jax.grad(loss))(params["bias"], x, by)
    np.testing.assert_allclose(got, by.sum((0, 1, 2), np.float64), rtol=error)


@functools.partial(jax.jit, static_argnums=0)
def value_and_gradients(layer, x, kernel, weights):
    out, pull = jax.vjp(layer, x, kernel)
    return out, *pull(weights)


CONV_SHAPES = [((2, 8, 8), 3, 5), ((1, 6, 10), 1, 2), ((3, 2, 4), 4, 1)]


@pytest.mark.parametrize(("images", "c", "f"), CONV_SHAPES)
def test_conv_equals_lax_in_values_and_gradients(images, c, f):
    b, h, w = images
    x, kernel = RNG.normal(size=(b, h, w, c)), RNG.normal(size=(4, 4, c, f))
    weights = RNG.normal(size=(b, h // 2, w // 2, f))
    args = [a.astype(np.float32) for a in (x, kernel, weights)]
    got = value_and_gradients(conv.conv, *args)
    want = value_and_gradients(convolution.lax_conv, *args)
    assert got[0].shape == weights.shape
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-5)


@pytest.mark.parametrize(("images", "c", "f"), CONV_SHAPES)
def test_conv_transpose_equals_lax_and_is_the_transpose_of_conv(images, c, f):
    b, h, w = images
    x, kernel = RNG.normal(size=(b, h // 2, w // 2, f)), RNG.normal(size=(4, 4, f, c))
    weights = RNG.normal(size=(b, h, w, c))
    x, kernel, weights = (a.astype(np.float32) for a in (x, kernel, weights))
    got = value_and_gradients(conv.conv_transpose, x, kernel, weights)
    want = value_and_gradients(convolution.lax_conv_transpose, x, kernel, weights)
    assert got[0].shape == weights.shape
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-5)
    mirrored = np.ascontiguousarray(kernel.swapaxes(2, 3))
    pulled = value_and_gradients(convolution.lax_conv, weights, mirrored, x)[1]
    np.testing.assert_allclose(got[0], pulled, atol=2e-5)


@pytest.mark.parametrize(("images", "c", "f"), [((2, 4, 6), 3, 5), ((1, 1, 2), 1, 2)])
def test_conv3_equals_lax_in_values_and_gradients(images, c, f):
    x, kernel = RNG.normal(size=(*images, c)), RNG.normal(size=(3, 3, c, f))
    args = [a.astype(np.float32) for a in (x, kernel, RNG.normal(size=(*images, f)))]

    def lax_conv3(x, kernel):
        names = ("NHWC", "HWIO", "NHWC")
        return jax.lax.conv_general_dilated(
            x, kernel, (1, 1), ((1, 1), (1, 1)), dimension_numbers=names
        )

    got = value_and_gradients(resnet_conv.conv3, *args)
    want = value_and_gradients(lax_conv3, *args)
    assert got[0].shape == args[2].shape
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-5)


def test_residual_blocks_add_to_their_maps():
    """h + W₂ act(W₁ act(h)), twice."""
    spec = make_spec("resnet_conv")
    module = resnet_conv.Residual(spec, 2)
    h = RNG.normal(size=(B, 4, 2, 3)).astype(np.float32)
    shapes = jax.eval_shape(module.init, KEY, h)["params"]
    params = jax.tree.map(lambda a: RNG.normal(size=a.shape).astype("f"), shapes)
    assert len(params) == 4

    @jax.jit
    def run(params):
        out = h
        for i in (0, 2):
            change = out
            for p in (params[f"Conv_{i}"], params[f"Conv_{i + 1}"]):
                bias = p["bias"].reshape(1, 1, 1, -1)
                change = resnet_conv.conv3(jnp.tanh(change), p["kernel"]) + bias
            out = out + change
        return module.apply({"params": params}, h), out

    got, want = run(params)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-4)
    net = networks.NETWORKS["resnet_conv"]
    assert net.check(spec, blocks=1) is None and net.needs == {"images"}
    assert "1 or more" in net.check(spec, blocks=0)
    said = net.check(spec._replace(hidden=(9,)), blocks=1)
    assert "at least one stage" in said


@pytest.mark.parametrize(
    ("shape", "hidden", "reason"),
    [
        ((8, 4, 2), (4, 6, 9), None),
        ((28, 28, 1), (32, 64, 256), None),
        (
            (28, 28, 1),
            (8, 8, 8, 64),
            "8, and the images are 28×28; give at most 2",
        ),
        ((28, 28, 1), (8, 8, 8, 64), "or crop them to 24×24 or pad them to 32×32"),
        # No number of channels would do.
        ((28, 27, 1), (8, 64), "are 28×27; crop them to 28×26 or pad them to 28×28"),
        ((1, 9, 1), (8, 64), "are 1×9; pad them to 2×10"),
        ((28, 28, 1), (64,), "at least one stage"),
        ((28, 28, 1), (), "at least one stage"),
    ],
)
def test_conv_refuses_sides_and_widths_it_cannot_have(shape, hidden, reason):
    said = networks.NETWORKS["conv"].check(make_spec(shape=shape, hidden=hidden))
    assert (reason is None and said is None) or reason in said
    assert networks.NETWORKS["conv"].needs == {"images"}


# ---- shapes


@pytest.mark.parametrize("name", HIDDEN)
@pytest.mark.parametrize("classes", [0, 3])
def test_shapes_for_any_heads_inputs_and_outputs(name, classes):
    batch = batch_for(name)
    for heads, inputs, outputs in itertools.product((1, 2, 3), (1, 3), (1, 2)):
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


def test_every_input_of_a_decoder_counts_and_no_hidden_layer_is_a_linear_map():
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
def test_the_decoder_owns_the_parameters_that_are_called_decode(name):
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
def test_a_conditional_network_reads_the_label_on_both_sides(name):
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


def test_linear_networks_are_affine_maps_and_one_stage():
    linear, tied = make_model("linear"), make_model("linear_tied")
    assert len(linear.stages) == len(tied.stages) == 1

    @jax.jit
    def run(params, tied_params):
        mu, _ = tied.encode(tied_params, BATCH)
        by_stage = tied.stages[0][1](tied_params, mu)
        return linear.encode(params, BATCH), mu, tied.decode(tied_params, mu), by_stage

    params, tied_params = drawn(linear), drawn(tied)
    codes, mu, decoded, by_stage = run(params, tied_params)
    x, mask = BATCH.x.reshape(B, -1), linear.latent_mask
    net = params["net"]["code"]
    for i, code in enumerate(codes):
        want = (
            x @ net["latent_kernel"][:, i].T + net["latent_bias"][None, :, i]
        ) * mask
        np.testing.assert_allclose(code, want, atol=1e-5)
    kernel = tied_params["net"]["code"]["latent_kernel"][:, 0]
    want = mu @ kernel + tied_params["net"]["output_bias"].reshape(1, -1)
    np.testing.assert_allclose(decoded.reshape(B, -1), want, atol=1e-5)
    np.testing.assert_array_equal(by_stage, decoded)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"inputs": 2}, "one code .* not 2 and 1; use --network linear"),
        ({"outputs": 4}, "one number .* not 1 and 4; use --network linear"),
        ({"num_classes": 3}, "no place for labels; use --network linear"),
    ],
)
def test_tied_weights_refuse_what_a_transpose_cannot_be(changes, reason):
    said = networks.NETWORKS["linear_tied"].check(make_spec("linear_tied", **changes))
    assert said is None if reason is None else re.search(reason, said)


# ---- the mask (P1, P2)


def use(one, batch, params, critic_params):
    """Everything that a code passes through, and a loss of it all."""
    mu, logvar = one.encode(params, batch)
    z = one.sample(jax.random.key(1), mu, logvar) + one.noise(jax.random.key(2), B)
    whole = z + 0.1  # a code whose padded dimensions are not 0
    decoded = one.decode(params, whole, batch)
    codes = (mu, logvar, z)
    if critic_params:
        codes += critic(one)[1](critic_params, whole, jnp.ones((B, 2)))
    loss = one.likelihood.nll(batch, decoded).sum()
    loss = loss + sum(jnp.sin(a).sum() for a in codes)
    return loss, (loss, codes, decoded)


def critic(one):
    """A small network from a code and two numbers to two codes."""
    return one.mlp((2,), 2, latent_in=True, latent_out=True)


def make_pair(name, init):
    """The models of width Z and K, with likelihood parameters of their own."""
    changes = dict(init=init, likelihood="gaussian_learned")
    changes |= dict(hidden=(6,)) if name in ("mlp", "recurrent", "hierarchical") else {}
    return {z: make_model(name, latent_dim=z, **changes) for z in (Z, K)}


@functools.cache
def started(name, init):
    """Initial parameters of the pair; in one program, as compiling draws is slow."""

    def start(key):
        out = {}
        for z, one in make_pair(name, init).items():
            more = critic(one)[0](key) if name == "mlp" else {}
            out[z] = {"net": one.init(key, batch_for(name))}, more
        return out

    return jax.jit(start)(KEY)


@functools.cache
def compiled(name, init, allocated):
    """Initial parameters, and gradients and outputs of ``use``."""
    loss = functools.partial(use, make_pair(name, init)[allocated], batch_for(name))
    step = jax.jit(jax.grad(loss, argnums=(0, 1), has_aux=True))
    return started(name, init)[allocated], step


CASES = [
    ("mlp", "lecun"),
    ("conv", "glorot"),
    ("linear_tied", "glorot"),
    ("recurrent", "lecun"),
    ("hierarchical", "glorot"),
    ("resnet_conv", "glorot"),
    ("transformer", "glorot"),
]
# Two kernels and a bias, and more or fewer.
LATENTS = {"mlp": 6, "linear_tied": 2, "recurrent": 4, "hierarchical": 4}


@pytest.mark.parametrize(("name", "init"), CASES)
def test_initial_parameters_are_those_of_the_narrow_network(name, init):
    wide, _ = compiled(name, init, Z)
    narrow, _ = compiled(name, init, K)
    latents = 0
    for (path, is_latent, a), (_, _, b) in zip(
        leaves(wide), leaves(narrow), strict=True
    ):
        np.testing.assert_allclose(
            a[:K] if is_latent else a, b, rtol=1e-6, err_msg=path
        )
        if is_latent:
            latents += 1
            assert len(a) == Z and (a[K:] == 0).all(), path
    assert latents == LATENTS.get(name, 3)
    trimmed = model.trim(wide, K)
    assert jax.tree.map(jnp.shape, trimmed) == jax.tree.map(jnp.shape, narrow)
    size = sum(a.size for _, _, a in leaves(narrow))
    shapes = jax.eval_shape(lambda: wide)
    assert model.count(wide, K) == model.count(shapes, K) == size
    assert model.count(narrow, K) == model.count(narrow, Z) == size


@pytest.mark.parametrize(("name", "init"), CASES)
def test_outputs_and_gradients_are_those_of_the_narrow_network(name, init):
    wide, wide_step = compiled(name, init, Z)
    narrow, narrow_step = compiled(name, init, K)
    grads, (loss, codes, decoded) = wide_step(*wide)
    want_grads, (want_loss, want_codes, want_decoded) = narrow_step(*narrow)
    np.testing.assert_allclose(loss, want_loss, rtol=1e-5)
    np.testing.assert_allclose(decoded, want_decoded, atol=1e-6)
    for a, b in zip(codes, want_codes, strict=True):
        assert a.shape == (B, Z) and b.shape == (B, K) and np.abs(b).min() > 0
        np.testing.assert_allclose(a[:, :K], b, atol=1e-6)
        assert (np.asarray(a[:, K:]) == 0).all()
    pairs = zip(leaves(grads), leaves(want_grads), strict=True)
    for (path, is_latent, a), (_, _, b) in pairs:
        assert np.abs(b).max() > 0, f"{path} has a gradient"
        near = a[:K] if is_latent else a
        np.testing.assert_allclose(near, b, rtol=1e-5, atol=2e-5, err_msg=path)


@pytest.mark.parametrize(("name", "init"), CASES)
def test_padded_parameters_change_nothing_and_have_no_gradient(name, init):
    params, step = compiled(name, init, Z)

    def poke(path, a):
        return a.at[K:].set(1e3) if model.is_latent(path) else a

    poked = jax.tree_util.tree_map_with_path(poke, params)
    plain, changed = step(*params), step(*poked)
    jax.tree.map(np.testing.assert_array_equal, changed, plain)
    for path, is_latent, a in leaves(changed[0]):
        assert not is_latent or (a[K:] == 0).all(), path


@pytest.mark.parametrize("init", ["lecun", "glorot"])
def test_latent_kernels_are_drawn_like_flax_s_own(init):
    """Entering: fan-in k. Leaving: fan-out k. The fans count the used rows only."""
    draw = jax.jit(latent.latent_kernel, static_argnums=(1, 2))
    theirs = latent.kernel_init(init)
    entering = draw(KEY, (K, 1, 40), init, K, 40)[:, 0]
    np.testing.assert_allclose(entering, theirs(KEY, (K, 40)), rtol=1e-5)
    make = {
        "lecun": nn.initializers.lecun_normal,
        "glorot": nn.initializers.glorot_uniform,
    }[init]
    leaving = draw(KEY, (K, 1, 40), init, 40, K)[:, 0]
    want = make(in_axis=-1, out_axis=-2)(KEY, (K, 40))
    np.testing.assert_allclose(leaving, want, rtol=1e-5)


@pytest.mark.parametrize("init", ["lecun", "glorot"])
def test_latent_layers_use_the_fans_of_the_used_width(init):
    """Deviations of both gates at two k of one width, against flax's initialisers."""
    width, heads, inputs = 100, 2, 3
    spec = make_spec(latent_dim=80, init=init)
    leave, enter = latent.LatentOut(spec, heads), latent.LatentIn(spec, width, inputs)

    @jax.jit
    def run(k):
        mask = model.latent_mask(k, 80)
        h, z = jnp.zeros((1, width)), (jnp.zeros((1, 80)),) * inputs
        out = leave.init(KEY, h, mask)["params"]["latent_kernel"]
        return out, enter.init(KEY, z, mask)["params"]["latent_kernel"]

    for k in (20, 80):
        out, into = (np.asarray(a)[:k] for a in run(k))
        assert out.shape == (k, heads, width) and into.shape == (k, inputs, width)
        for got, fan_in, fan_out in ((out, width, k), (into, inputs * k, width)):
            mean_fan = fan_in if init == "lecun" else (fan_in + fan_out) / 2
            error = 5 / np.sqrt(2 * got.size)
            np.testing.assert_allclose(got.std(), mean_fan**-0.5, rtol=error)
            assert abs(got.mean()) < 5 * got.std() / np.sqrt(got.size)


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


# ---- the model


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


def test_shared_parameters_are_the_same_for_every_element_and_learned():
    (params, other), step = compiled("mlp", "lecun", Z)
    start = np.log(np.var(BATCH.x, axis=0).mean())
    np.testing.assert_allclose(params["net"]["shared"], [start], rtol=1e-5)
    params = {"net": params["net"] | {"shared": jnp.array([0.7])}}
    grads, (_, _, decoded) = step(params, other)
    assert decoded.shape == (B, *SHAPE, 2)
    np.testing.assert_array_equal(decoded[..., 1], np.float32(0.7))
    assert np.ptp(decoded[..., 0]) > 0 and grads[0]["net"]["shared"] != 0
    assert "shared" not in drawn(make_model("mlp"))["net"]


@pytest.mark.parametrize(
    ("name", "likelihood"), [("mlp", "bernoulli"), ("conv", "categorical")]
)
def test_the_output_bias_starts_the_decoder_at_the_training_mean(name, likelihood):
    spec = make_spec(name, outputs=2 if likelihood == "categorical" else 1)
    blueprint = model.Blueprint(networks.NETWORKS[name], spec, likelihood, 1.0)
    mean = RNG.uniform(0.1, 0.9, SHAPE)
    bias = model.output_mean(blueprint, mean)
    assert bias.dtype == np.float32
    mask = model.latent_mask(K, Z)
    one = model.build(blueprint, mask, model.Clock(0, 1, 1), bias)
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


def test_masks_may_be_traced():
    def parts(k):
        one = make_model("mlp", k, hidden=())
        params = {"net": one.init(KEY, BATCH)}
        return one.encode(params, BATCH)[0], one.noise(KEY, B), one.latent_mask

    run = jax.jit(parts)
    for k in (1, 5, Z):
        code, noise, mask = run(k)
        assert mask.shape == (1, Z) and mask.sum() == k
        for a in (code, noise):
            assert (np.asarray(a)[:, k:] == 0).all()
            assert (np.asarray(a)[:, :k] != 0).all()
    every = run(Z)[1]
    np.testing.assert_allclose(run(K)[1][:, :K], every[:, :K], atol=1e-6)


def test_precision_names_what_jax_calls_it():
    for ours, theirs in (
        ("float32", "float32"),
        ("tf32", "tensorfloat32"),
        ("bf16", "float32"),
    ):
        with model.matmul_precision(ours):
            assert jax.config.jax_default_matmul_precision == theirs
    assert model.compute_dtype("bf16") == jnp.bfloat16
    assert model.compute_dtype("tf32") == model.compute_dtype("float32") == jnp.float32


def test_one_hot_is_for_conditional_networks_only():
    plain, conditional = make_spec(), make_spec(num_classes=3)
    assert dense.one_hot(plain, None, B) is None
    one = types.SimpleNamespace(y=jnp.array(1))  # one label for a whole batch
    np.testing.assert_array_equal(dense.one_hot(conditional, one, B), [[0, 1, 0]] * B)
