"""Fully connected encoder and mirrored decoder, e.g. D-128-64-Z-64-128-D.

Hinton & Salakhutdinov, Science 2006. ``hidden`` holds the widths, outermost first.
"""

import math

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from aejax import networks
from aejax.networks import dense, latent

reads_missing = True


class MLP(nn.Module):
    """Layer i of the encoder and layer i of the decoder make stage i."""

    spec: networks.NetworkSpec
    activate_code: bool = False

    def setup(self):
        spec = self.spec
        widths = (math.prod(spec.shape) * spec.outputs, *spec.hidden)
        self.encoder = [dense.layer(spec, w) for w in spec.hidden]
        self.code = latent.LatentOut(spec, spec.heads)
        # The outermost layer has no bias: the model adds it (Network.bias_shape).
        self.decode_code = latent.LatentIn(
            spec, widths[-1], spec.inputs, len(widths) > 1
        )
        self.decoder = [dense.layer(spec, w, i > 0) for i, w in enumerate(widths[:-1])]
        self.condition = dense.Condition(spec)
        self.decode_condition = dense.Condition(spec)
        if spec.num_classes:
            self.decode_label = dense.layer(spec, widths[-1], False)

    def encode_stage(self, i: int, h: Array, mask: Array):
        if i == len(self.spec.hidden):
            code = self.code(h, mask)
            if not self.activate_code:
                return code
            return latent.ACTIVATIONS[self.spec.activation](code) * mask
        return latent.ACTIVATIONS[self.spec.activation](self.encoder[i](h))

    def decode_stage(self, i: int, h: Array, mask: Array, y: Array | None = None):
        if i == len(self.spec.hidden):
            h = self.decode_code(h, mask)
            h = h if y is None else h + self.decode_label(y)
        else:
            h = self.decoder[i](h)
        if i > 0:
            return latent.ACTIVATIONS[self.spec.activation](h)
        return h.astype(jnp.float32).reshape(-1, *self.spec.shape, self.spec.outputs)

    def encode(self, batch, mask: Array):
        h = dense.flat(self.spec, batch.x)
        y = self.condition(batch, h.shape[0])
        h = h if y is None else jnp.concatenate([h, y.astype(h.dtype)], axis=-1)
        for i in range(len(self.spec.hidden) + 1):
            h = self.encode_stage(i, h, mask)
        return h

    def decode(self, z, batch, mask: Array):
        size = (z[0] if isinstance(z, tuple) else z).shape[0]
        y = self.decode_condition(batch, size)
        for i in range(len(self.spec.hidden), -1, -1):
            z = self.decode_stage(i, z, mask, y)
        return z


def check(spec: networks.NetworkSpec, *, activate_code: bool = False) -> str | None:
    """Why there is no such network, or None."""
    if activate_code and spec.heads > 1:
        return "activate_code is for deterministic codes, not for mean and variance"
    return None


def build(
    spec: networks.NetworkSpec, *, activate_code: bool = False
) -> networks.Network:
    """The pure functions of an MLP of this spec, with its stages.

    ``activate_code`` passes the code, too, through the nonlinearity.
    """
    module = MLP(spec, activate_code)

    def apply(params, *args, method):
        return module.apply({"params": params}, *args, method=method)

    def stage(i: int):
        def encode_i(params, h, mask):
            h = h.reshape(h.shape[0], -1) if i == 0 else h
            return apply(params, i, h, mask, method=MLP.encode_stage)

        def decode_i(params, h, mask):
            return apply(params, i, h, mask, method=MLP.decode_stage)

        return encode_i, decode_i

    stages = tuple(stage(i) for i in range(len(spec.hidden) + 1))
    return dense.functions(module, (*spec.shape, spec.outputs), stages)
