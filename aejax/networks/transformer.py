"""Transformer over the steps of (T, F): attention blocks on both sides of the code.

Vaswani et al., NeurIPS 2017; norms before each layer as in Xiong et al., ICML 2020. The
code reads the mean of the valid steps. It gives a vector that is added to learned
positions, from which the decoder computes all steps at once. ``hidden`` holds the
model's width, then those of a block's MLP (4 times the model's if there are none).
"""

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from aejax import networks
from aejax.networks import dense, latent


class Block(nn.Module):
    """Attention among valid steps, then an MLP on each; both add to h (B, T, W)."""

    spec: networks.NetworkSpec
    attention_heads: int

    @nn.compact
    def __call__(self, h: Array, valid: Array | None = None) -> Array:
        spec = self.spec
        attention = nn.MultiHeadDotProductAttention(
            self.attention_heads,
            dtype=spec.dtype,
            kernel_init=latent.kernel_init(spec.init),
        )
        mask = None if valid is None else valid[:, None, None]  # (B, 1, 1, T)
        h = h + attention(nn.LayerNorm()(h), mask=mask)
        x = nn.LayerNorm()(h)
        for width in spec.hidden[1:] or (4 * h.shape[-1],):
            x = latent.ACTIVATIONS[spec.activation](dense.layer(spec, width)(x))
        return h + dense.layer(spec, h.shape[-1])(x)


class Transformer(nn.Module):
    """Arrays are float32 between the layers; norms are over features only."""

    spec: networks.NetworkSpec
    blocks: int
    attention_heads: int

    def setup(self):
        spec, (steps, features) = self.spec, self.spec.shape
        width = spec.hidden[0]
        start = nn.initializers.normal(1.0)
        self.encoder_in = dense.layer(spec, width)
        self.encoder_positions = self.param("encoder_positions", start, (steps, width))
        self.encoder = [Block(spec, self.attention_heads) for _ in range(self.blocks)]
        self.encoder_norm = nn.LayerNorm()
        self.code = latent.LatentOut(spec, spec.heads)
        self.decode_code = latent.LatentIn(spec, width, spec.inputs)
        self.decode_positions = self.param("decode_positions", start, (steps, width))
        self.decoder = [Block(spec, self.attention_heads) for _ in range(self.blocks)]
        self.decoder_norm = nn.LayerNorm()
        self.decoder_out = dense.layer(spec, features * spec.outputs, False)
        self.condition = dense.Condition(spec)
        self.decode_condition = dense.Condition(spec)
        if spec.num_classes:
            self.encode_label = dense.layer(spec, width, False)
            self.decode_label = dense.layer(spec, width, False)

    def encode(self, batch, mask: Array):
        h = self.encoder_in(dense.levels(self.spec, batch.x))
        y = self.condition(batch, h.shape[0])
        h = h if y is None else h + self.encode_label(y)[:, None]
        h = h.astype(jnp.float32) + self.encoder_positions[None]
        steps, valid = jnp.arange(h.shape[1]), None
        if batch.length is not None:
            valid = steps[None] < batch.length[:, None]  # (B, T)
        for block in self.encoder:
            h = block(h, valid)
        where = None if valid is None else valid[..., None]
        return self.code(self.encoder_norm(h).mean(1, where=where), mask)

    def decode(self, z, batch, mask: Array):
        h = self.decode_code(z, mask)
        y = self.decode_condition(batch, h.shape[0])
        h = h if y is None else h + self.decode_label(y)
        h = h.astype(jnp.float32)[:, None] + self.decode_positions[None]
        for block in self.decoder:
            h = block(h)
        out = self.decoder_out(self.decoder_norm(h)).astype(jnp.float32)
        return out.reshape(-1, *self.spec.shape, self.spec.outputs)


needs = frozenset({"sequence"})


def check(
    spec: networks.NetworkSpec, *, blocks: int = 2, attention_heads: int = 4
) -> str | None:
    """Why there is no such network, or None."""
    if blocks < 1 or attention_heads < 1:
        return f"blocks={blocks}, attention_heads={attention_heads}: give 1 or more"
    if not spec.hidden or spec.hidden[0] % attention_heads:
        return (
            f"the first number of --hidden is the model's width, a multiple of "
            f"attention_heads={attention_heads}, e.g. --hidden {16 * attention_heads}"
        )
    return None


def build(
    spec: networks.NetworkSpec, *, blocks: int = 2, attention_heads: int = 4
) -> networks.Network:
    """The pure functions of a Transformer with so many blocks on either side."""
    module = Transformer(spec, blocks, attention_heads)
    return dense.functions(module, (1, spec.shape[1], spec.outputs))
