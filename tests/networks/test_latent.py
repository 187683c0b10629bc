"""The mask (P1, P2): a padded network is the narrow one."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax import model
from aejax.networks import latent
from tests.networks.common import (
    BATCH,
    KEY,
    SHAPE,
    B,
    K,
    Z,
    batch_for,
    drawn,
    leaves,
    make_model,
    make_spec,
)


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
def test_initial_parameters_equal_the_narrow_network_s(name, init):
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
def test_outputs_and_gradients_equal_the_narrow_s(name, init):
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
def test_padded_parameters_have_no_influence(name, init):
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


def test_shared_parameters_are_constant_and_learned():
    (params, other), step = compiled("mlp", "lecun", Z)
    start = np.log(np.var(BATCH.x, axis=0).mean())
    np.testing.assert_allclose(params["net"]["shared"], [start], rtol=1e-5)
    params = {"net": params["net"] | {"shared": jnp.array([0.7])}}
    grads, (_, _, decoded) = step(params, other)
    assert decoded.shape == (B, *SHAPE, 2)
    np.testing.assert_array_equal(decoded[..., 1], np.float32(0.7))
    assert np.ptp(decoded[..., 0]) > 0 and grads[0]["net"]["shared"] != 0
    assert "shared" not in drawn(make_model("mlp"))["net"]


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
    draws = run(Z)[1]
    np.testing.assert_allclose(run(K)[1][:, :K], draws[:, :K], atol=1e-6)
