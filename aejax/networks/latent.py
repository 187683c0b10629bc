"""The two gates of the code: kernels drawn Z-leading, padded dimensions exactly 0.

A member of a population allocates Z = max(latent_dim) and uses k = mask.sum() of it. As
inputs and outputs are multiplied by the mask and padded slices start at 0, padded
parameters have zero gradients and stay 0: norms, clipping and weight decay are those
of a network of width k, and so is every draw, as Z is the leading axis of each.
"""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from aejax import networks

ACTIVATIONS: dict[str, Callable] = {
    "relu": nn.relu,
    "tanh": jnp.tanh,
    "sigmoid": nn.sigmoid,
    "gelu": nn.gelu,
    "elu": nn.elu,
    "silu": nn.silu,
    "softplus": nn.softplus,
}


def kernel_init(init: str) -> Callable:
    """LeCun's truncated normal (fan in) or Glorot's uniform, as flax has them."""
    return {
        "lecun": nn.initializers.lecun_normal(),
        "glorot": nn.initializers.glorot_uniform(),
    }[init]


def latent_kernel(
    key: Array, shape: tuple[int, ...], init: str, fan_in: Array, fan_out: Array
) -> Array:
    """The same two distributions with the fans given, which may be traced."""
    if init == "glorot":
        bound = jnp.sqrt(6.0 / (fan_in + fan_out))
        return bound * jax.random.uniform(key, shape, minval=-1.0, maxval=1.0)
    # Standard deviation of a normal cut at ±2; lecun_normal divides by it too.
    std = jnp.sqrt(1.0 / fan_in) / 0.87962566103423978
    return std * jax.random.truncated_normal(key, -2.0, 2.0, shape)


class LatentOut(nn.Module):
    """h (B, H) -> (B, Z), or a tuple of ``heads`` arrays (B, Z), float32, masked."""

    spec: networks.NetworkSpec
    heads: int = 1

    @nn.compact
    def __call__(self, h: Array, mask: Array) -> Array | tuple[Array, ...]:
        spec, width = self.spec, h.shape[-1]

        def draw(key):
            shape = (spec.latent_dim, self.heads, width)
            kernel = latent_kernel(key, shape, spec.init, width, mask.sum())
            return kernel * mask.reshape(-1, 1, 1)

        kernel = self.param("latent_kernel", draw).astype(spec.dtype)
        bias = self.param(
            "latent_bias", nn.initializers.zeros_init(), (spec.latent_dim, self.heads)
        )
        flat = kernel.reshape(-1, width)
        out = (h.astype(spec.dtype) @ flat.T).astype(jnp.float32)
        out = out.reshape(-1, spec.latent_dim, self.heads) + bias[None]
        out = out * mask[..., None]
        codes = tuple(out[..., i] for i in range(self.heads))
        return codes if self.heads > 1 else codes[0]


class LatentIn(nn.Module):
    """z (B, Z), or a tuple of ``inputs`` such arrays, -> (B, features)."""

    spec: networks.NetworkSpec
    features: int
    inputs: int = 1
    use_bias: bool = True

    @nn.compact
    def __call__(self, z: Array | tuple[Array, ...], mask: Array) -> Array:
        spec, z = self.spec, z if isinstance(z, tuple) else (z,)
        if len(z) != self.inputs:
            raise ValueError(f"the decoder takes {self.inputs} arrays, got {len(z)}")

        def draw(key):
            shape = (spec.latent_dim, self.inputs, self.features)
            fan_in = mask.sum() * self.inputs
            kernel = latent_kernel(key, shape, spec.init, fan_in, self.features)
            return kernel * mask.reshape(-1, 1, 1)

        kernel = self.param("latent_kernel", draw).astype(spec.dtype)
        stacked = jnp.stack(z, axis=-1) * mask[..., None]  # (B, Z, inputs)
        flat = stacked.reshape(stacked.shape[0], -1).astype(spec.dtype)
        out = flat @ kernel.reshape(-1, self.features)
        if self.use_bias:
            zeros = nn.initializers.zeros_init()
            bias = self.param("bias", zeros, (self.features,)).astype(spec.dtype)
            out = out + bias[None]
        return out
