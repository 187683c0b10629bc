"""Convolutional encoder and mirrored decoder: 4×4 kernels, stride 2, then one dense.

``hidden`` holds the channels of the stride-2 stages and, last, the dense width:
32,64,256 on 28×28 is 28 → 14 (32) → 7 (64) → 256 → Z. Strided layers follow Radford et
al., ICLR 2016 (DCGAN).

XLA:CPU runs ``lax.conv`` inside a scan on a slow path (10 times slower, measured), and
a vmapped convolution becomes a grouped one. A layer is therefore patches and one
matmul, and its transpose one matmul and a sum of patches.
"""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from aejax import networks
from aejax.networks import dense, latent


def patches(x: Array, size: int) -> Array:
    """(B, h + size - 1, w + size - 1, C) -> (B, h, w, size²C): every neighbourhood."""
    h, w = x.shape[1] - size + 1, x.shape[2] - size + 1
    at = [(i, j) for i in range(size) for j in range(size)]
    return jnp.concatenate([x[:, i : i + h, j : j + w] for i, j in at], -1)


def pad(x: Array) -> Array:
    """One row or column of zeros on every side."""
    return jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))


def product(x: Array, kernel: Array) -> Array:
    """Patches (B, h, w, size²C) and their kernel (size, size, C, F) -> (B, h, w, F)."""
    # Two matrices, the kernel's (F, size²C): XLA:CPU computes the gradient of a tall
    # one three times as slowly, and rearranges arrays of more than two axes.
    flat = kernel.transpose(3, 0, 1, 2).reshape(kernel.shape[3], -1)
    out = x.reshape(-1, x.shape[-1]) @ flat.T
    return out.reshape(*x.shape[:-1], kernel.shape[3])


def conv(x: Array, kernel: Array) -> Array:
    """4×4 convolution of stride 2 and padding 1, as patches and one matmul.

    (B, H, W, C), sides even, and (4, 4, C, F) -> (B, H/2, W/2, F): equal to
    ``lax.conv_general_dilated`` with the same kernel.
    """
    b, h, w, c = x.shape
    # A patch is two pairs of rows, each of two pairs of pixels that lie side by side.
    x = pad(x).reshape(b, h // 2 + 1, 2, w // 2 + 1, 2 * c)
    at = [(i, r, j) for i in range(2) for r in range(2) for j in range(2)]
    pairs = [x[:, i : i + h // 2, r, j : j + w // 2] for i, r, j in at]
    # Stacked: XLA:CPU would not fuse the slices into a concatenation.
    return product(jnp.stack(pairs, 3).reshape(b, h // 2, w // 2, 16 * c), kernel)


def conv_transpose(x: Array, kernel: Array) -> Array:
    """Transpose of ``conv``: 4×4, stride 2, padding 1, one matmul and a sum of patches.

    (B, h, w, F) and (4, 4, F, C) -> (B, 2h, 2w, C), with out[2i - 1 + u, 2j - 1 + v] +=
    x[i, j] @ kernel[u, v].
    """
    b, h, w, f = x.shape
    c = kernel.shape[3]
    patches = x.reshape(-1, f) @ kernel.transpose(2, 0, 1, 3).reshape(f, -1)
    pairs = jnp.split(patches.reshape(b, h, w, 16 * c), 8, -1)  # as in conv

    def row(r: int) -> Array:
        at = [(i, j, pairs[4 * i + 2 * r + j]) for i in range(2) for j in range(2)]
        ends = [((0, 0), (i, 1 - i), (j, 1 - j), (0, 0)) for i, j, _ in at]
        return sum(jnp.pad(p, e) for (*_, p), e in zip(at, ends, strict=True))

    # Stacking is one pass over the patches. Summed into the image, each of eight padded
    # arrays is written, and read twice: 6 instead of 1.6 of 66 ms a step (conv VAE).
    out = jnp.stack([row(0), row(1)], 2).reshape(b, 2 * h + 2, 2 * w + 2, c)
    return out[:, 1:-1, 1:-1]


class Conv(nn.Module):
    """A layer of size × size kernels, computed by a function like ``conv``."""

    features: int
    spec: networks.Spec
    layer: Callable = conv
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
            # A product, for its gradient: XLA:CPU sums one number after the other,
            # slowly, and in bfloat16 to errors of a fifth and more.
            ones = jnp.ones((out[..., 0].size, 1), dtype)
            bias = jnp.matmul(ones, bias[None], precision=jax.lax.Precision.HIGHEST)
            out = out + bias.reshape(out.shape)
        return out


class ConvNet(nn.Module):
    """Encoder and decoder; parameters are named by their distance from the data.

    ``refine`` makes a layer for each stage's maps, before their nonlinearity.
    """

    spec: networks.Spec
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
            Conv(c, spec, conv_transpose, i > 0) for i, c in enumerate(outer)
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


def check(spec: networks.Spec) -> str | None:
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


def build(spec: networks.Spec) -> networks.Network:
    """The pure functions of a ConvNet of this spec."""
    return dense.functions(ConvNet(spec), (1, 1, spec.shape[2], spec.outputs))
