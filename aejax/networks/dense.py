"""Plain layers that several networks share, and the small networks of objectives."""

import math
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from aejax import networks, xla_cpu
from aejax.networks import latent


def _dot_general(x, kernel, dimensions, precision=None):
    """For flax: the product of a layer's last axis; precision is the context's."""
    n, m = kernel.shape
    rows = x.reshape(math.prod(x.shape[:-1]), n)
    return xla_cpu.product(rows, kernel).reshape(*x.shape[:-1], m)


def layer(
    spec: networks.NetworkSpec,
    width: int,
    use_bias: bool = True,
    name: str | None = None,
) -> nn.Dense:
    """A dense layer with the spec's initialisation and precision."""
    return nn.Dense(
        width,
        use_bias=use_bias,
        name=name,
        dtype=spec.dtype,
        kernel_init=latent.kernel_init(spec.init),
        dot_general=_dot_general,
    )


def one_hot(spec: networks.NetworkSpec, batch, size: int) -> Array | None:
    """(B, num_classes) of batch.y, or None for a network without a condition."""
    if not spec.num_classes:
        return None
    if batch is None or batch.y is None:
        raise ValueError("a conditional network needs batch.y, the (B,) class ids")
    y = jnp.broadcast_to(batch.y, (size,))
    return jax.nn.one_hot(y, spec.num_classes, dtype=spec.dtype)


class Condition(nn.Module):
    """What a network is told of batch.y, (B, C); None if it is not conditional.

    Classes are one-hot. A caption is the last state of a GRU that reads it (Cho et al.,
    EMNLP 2014), always in float32.
    """

    spec: networks.NetworkSpec

    @nn.compact
    def __call__(self, batch, size: int) -> Array | None:
        if not self.spec.captions or batch is None or batch.y is None:
            return one_hot(self.spec, batch, size)
        words = nn.Embed(self.spec.num_classes, self.spec.condition)(batch.y)
        reader = nn.RNN(nn.GRUCell(self.spec.condition), return_carry=True)
        return reader(words, seq_lengths=(batch.y > 0).sum(1))[0]


def flat(spec: networks.NetworkSpec, x: Array) -> Array:
    """x (B, *S) as (B, D); where values can be missing (B, 2 D): 0 for those that are,
    and then 1 for each that is not, as HI-VAE and MIWAE have it."""
    x = x.reshape(x.shape[0], -1)
    if not spec.missing:
        return x
    observed = ~jnp.isnan(x)
    return jnp.concatenate([jnp.where(observed, x, 0.0), observed.astype(x.dtype)], -1)


def levels(spec: networks.NetworkSpec, x: Array) -> Array:
    """Sequences (B, T, F), or their levels one-hot (B, T, F·outputs)."""
    if spec.outputs == 1:
        return x
    index = jnp.round(x * (spec.outputs - 1)).astype(jnp.int32)
    return jax.nn.one_hot(index, spec.outputs).reshape(*x.shape[:2], -1)


def functions(
    module: nn.Module, bias_shape: tuple[int, ...], stages: tuple = ()
) -> networks.Network:
    """The Network of a module that has ``spec``, ``encode`` and ``decode``."""

    def both(module: nn.Module, batch, mask: Array):
        code = module.encode(batch, mask)
        first = code[0] if isinstance(code, tuple) else code
        inputs = module.spec.inputs
        return module.decode((first,) * inputs if inputs > 1 else first, batch, mask)

    def apply(method: str) -> Callable:
        return lambda p, *args: module.apply({"params": p}, *args, method=method)

    return networks.Network(
        init=lambda *args: module.init(*args, method=both)["params"],
        encode=apply("encode"),
        decode=apply("decode"),
        bias_shape=bias_shape,
        stages=stages,
    )


class _Small(nn.Module):
    spec: networks.NetworkSpec
    d_out: int
    latent_in: int
    latent_out: bool

    @nn.compact
    def __call__(self, first: Array, more: tuple[Array, ...], mask: Array):
        spec = self.spec
        act = latent.ACTIVATIONS[spec.activation]
        widths = spec.hidden or (64,)
        if self.latent_in:
            codes = int(self.latent_in)
            h = latent.LatentIn(spec, widths[0], codes, name="in_latent")(first, mask)
        else:
            h = layer(spec, widths[0], name="in")(first)
        for i, extra in enumerate(more):
            h = h + layer(spec, widths[0], False, name=f"more_{i}")(extra)
        h = act(h)
        for i, width in enumerate(widths[1:]):
            h = act(layer(spec, width, name=f"layer_{i}")(h))
        if self.latent_out:
            return latent.LatentOut(spec, self.d_out, name="out_latent")(h, mask)
        return layer(spec, self.d_out, name="out")(h).astype(jnp.float32)


def small(
    spec: networks.NetworkSpec,
    mask: Array,
    d_in: int | tuple[int, ...],
    d_out: int,
    latent_in: int = False,
    latent_out: bool = False,
) -> tuple[Callable, Callable]:
    """An mlp of the spec's widths, for critics, flows and prior networks.

    d_in are the widths of its plain inputs, one or several, after a code (B, Z) if
    ``latent_in``, or a tuple of so many if it is 2 or more. Its output is (B, d_out),
    or d_out codes (B, Z) if ``latent_out``.

    Returns:
      ``init(key) -> params`` and ``apply(params, *inputs)``.
    """
    widths = (d_in,) if isinstance(d_in, int) else tuple(d_in)
    module = _Small(spec, d_out, latent_in, latent_out)

    def init(key: Array):
        inputs = [jnp.zeros((1, w)) for w in widths]
        if latent_in:
            codes = (jnp.zeros((1, spec.latent_dim)),) * int(latent_in)
            inputs.insert(0, codes)
        return module.init(key, inputs[0], tuple(inputs[1:]), mask)["params"]

    def apply(params, *inputs: Array):
        return module.apply({"params": params}, inputs[0], inputs[1:], mask)

    return init, apply
