"""Convolution as one matmul (P6) against lax's, and the networks made of it."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax import networks, xla_cpu
from aejax.networks import conv, resnet_conv
from experiments.accelerator import convolution
from tests.networks.common import KEY, B, make_spec

RNG = np.random.default_rng(0)


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
    got = value_and_gradients(xla_cpu.conv, *args)
    want = value_and_gradients(convolution.lax_conv, *args)
    assert got[0].shape == weights.shape
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-5)


@pytest.mark.parametrize(("images", "c", "f"), CONV_SHAPES)
def test_conv_transpose_equals_lax_and_transposes(images, c, f):
    b, h, w = images
    x, kernel = RNG.normal(size=(b, h // 2, w // 2, f)), RNG.normal(size=(4, 4, f, c))
    weights = RNG.normal(size=(b, h, w, c))
    x, kernel, weights = (a.astype(np.float32) for a in (x, kernel, weights))
    got = value_and_gradients(xla_cpu.conv_transpose, x, kernel, weights)
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
