"""Dense layers: the product whose gradients are written for XLA:CPU."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax import xla_cpu
from aejax.networks import dense
from tests.networks.common import B, make_spec

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("n", [256, 255])
def test_product_is_matmul_in_values_and_derivatives(n):
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
        got, want = derivatives(xla_cpu.product), derivatives(jnp.matmul)
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


def test_one_hot_is_for_conditional_networks_only():
    plain, conditional = make_spec(), make_spec(num_classes=3)
    assert dense.one_hot(plain, None, B) is None
    one = types.SimpleNamespace(y=jnp.array(1))  # one label for a whole batch
    np.testing.assert_array_equal(dense.one_hot(conditional, one, B), [[0, 1, 0]] * B)
