"""Convolutional encoder and mirrored decoder: 4×4 kernels, stride 2, then one dense.

``hidden`` holds the channels of the stride-2 stages and, last, the dense width:
32,64,256 on 28×28 is 28 → 14 (32) → 7 (64) → 256 → Z. Strided layers follow Radford et
al., ICLR 2016 (DCGAN).

A layer is patches and one matmul, and its transpose one matmul and a sum of patches:
see ``xla_cpu``.
"""

from collections.abc import Callable

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from aejax import networks, xla_cpu
from aejax.networks import dense, latent


class Conv(nn.Module):
    """A layer of size × size kernels, computed by a function like ``conv``."""

    features: int
    spec: networks.NetworkSpec
    layer: Callable = xla_cpu.conv
    use_bias: bool = True
    size: int = 4

    @nn.compact
    def __call__(self, x: Array) -> Array:
        shape = (self.size, self.size, x.shape[-1], self.features)
        dtype = self.spec.dtype
        kernel = self.param("kernel", latent.kernel_init(self.spec.init), shape)
        out = self.layer(x.astype(dtype), kernel.astype(dtype))
        if self.use_bias:
            zeros = nn.initializers.zeros_init()
            bias = self.param("bias", zeros, (self.features,)).astype(dtype)
            out = xla_cpu.add_bias(out, bias)
        return out


class ConvNet(nn.Module):
    """Encoder and decoder; parameters are named by their distance from the data.

    ``refine`` makes a layer for each stage's maps, before their nonlinearity.
    """

    spec: networks.NetworkSpec
    refine: Callable[[], Callable] = lambda: lambda h: h

    def setup(self):
        spec = self.spec
        *channels, width = spec.hidden
        height, breadth, colours = spec.shape
        self.small = (height >> len(channels), breadth >> len(channels), channels[-1])
        flat = self.small[0] * self.small[1] * self.small[2]
        outer = [colours * spec.outputs, *channels[:-1]]
        self.encoder = [Conv(c, spec) for c in channels]
        self.encoder_refine = [self.refine() for _ in channels]
        self.encoder_dense = dense.layer(spec, width)
        self.code = latent.LatentOut(spec, spec.heads)
        self.decode_code = latent.LatentIn(spec, width, spec.inputs)
        self.decoder_dense = dense.layer(spec, flat)
        self.decoder_refine = [self.refine() for _ in channels]
        self.decoder = [
            Conv(c, spec, xla_cpu.conv_transpose, i > 0) for i, c in enumerate(outer)
        ]
        self.condition = dense.Condition(spec)
        self.decode_condition = dense.Condition(spec)
        if spec.num_classes:
            self.encode_label = dense.layer(spec, width, False)
            self.decode_label = dense.layer(spec, width, False)

    def encode(self, batch, mask: Array):
        act = latent.ACTIVATIONS[self.spec.activation]
        h = batch.x
        for layer, refine in zip(self.encoder, self.encoder_refine, strict=True):
            h = act(refine(layer(h)))
        h = self.encoder_dense(h.reshape(h.shape[0], -1))
        y = self.condition(batch, h.shape[0])
        return self.code(act(h if y is None else h + self.encode_label(y)), mask)

    def decode(self, z, batch, mask: Array):
        act = latent.ACTIVATIONS[self.spec.activation]
        h = self.decode_code(z, mask)
        y = self.decode_condition(batch, h.shape[0])
        h = act(h if y is None else h + self.decode_label(y))
        h = self.decoder_dense(h).reshape(-1, *self.small)
        for i in range(len(self.decoder) - 1, -1, -1):
            h = self.decoder[i](act(self.decoder_refine[i](h)))
        return h.astype(jnp.float32).reshape(-1, *self.spec.shape, self.spec.outputs)


needs = frozenset({"images"})


def check(spec: networks.NetworkSpec) -> str | None:
    """Why there is no such network, or None."""
    stages = len(spec.hidden) - 1
    if stages < 1:
        return (
            "conv needs the channels of at least one stage and a dense width, "
            "e.g. --hidden 32,64,256"
        )
    side, (h, w) = 2**stages, spec.shape[:2]
    if h % side or w % side:
        # Stages that would do: the power of two that divides both sides.
        fewer = min((n & -n).bit_length() - 1 for n in (h, w))
        small, large = (
            f"{h // side * side}×{w // side * side}",
            f"{-(-h // side) * side}×{-(-w // side) * side}",
        )
        crop = f"crop them to {small} or " * (h >= side and w >= side)
        give = (
            f"give at most {fewer} numbers of channels in --hidden before the last, "
            "which is the dense width, or "
        ) * (fewer > 0)
        return (
            f"conv with {stages} stride-2 stages needs sides divisible by {side}, and "
            f"the images are {h}×{w}; {give}{crop}pad them to {large}"
        )
    return None


def build(spec: networks.NetworkSpec) -> networks.Network:
    """The pure functions of a ConvNet of this spec."""
    return dense.functions(ConvNet(spec), (1, 1, spec.shape[2], spec.outputs))
