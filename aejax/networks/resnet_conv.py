"""Residual network: conv's stride-2 stages, each refined by blocks of 3×3 convolutions.

He et al., ECCV 2016 (pre-activation): h + W₂ act(W₁ act(h)), here without batch norm.
``hidden`` is as in conv. A 3×3 layer is patches and one matmul, for conv's reasons.
"""

import flax.linen as nn
from jax import Array

from aejax import networks, xla_cpu
from aejax.networks import conv, dense, latent


def conv3(x: Array, kernel: Array) -> Array:
    """3×3 convolution of stride 1 and padding 1: (B, H, W, C) -> (B, H, W, F).

    Equal to ``lax.conv_general_dilated`` with the same kernel (3, 3, C, F).
    """
    return xla_cpu.patches_product(xla_cpu.patches(xla_cpu.pad(x), 3), kernel)


class Residual(nn.Module):
    """Blocks on maps (B, H, W, C), which keep their shape."""

    spec: networks.NetworkSpec
    blocks: int

    @nn.compact
    def __call__(self, h: Array) -> Array:
        act = latent.ACTIVATIONS[self.spec.activation]
        for _ in range(self.blocks):
            change = h
            for _ in range(2):
                layer = conv.Conv(h.shape[-1], self.spec, conv3, size=3)
                change = layer(act(change))
            h = h + change
        return h


needs = conv.needs


def check(spec: networks.NetworkSpec, *, blocks: int = 1) -> str | None:
    """Why there is no such network, or None."""
    if blocks < 1:
        return f"blocks is {blocks}; allowed: 1 or more (conv has none)"
    return conv.check(spec)


def build(spec: networks.NetworkSpec, *, blocks: int = 1) -> networks.Network:
    """The pure functions of such a ConvNet, with ``blocks`` in each stage."""
    module = conv.ConvNet(spec, lambda: Residual(spec, blocks))
    return dense.functions(module, (1, 1, spec.shape[2], spec.outputs))
