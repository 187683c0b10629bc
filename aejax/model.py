"""Model: the pure functions an objective is written with, for one member."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray, PyTree, ScalarLike

from aejax import likelihoods, losses, networks
from aejax.networks import dense
from aejax.objectives import annealing

Params = Mapping[str, Any]
Codes = PyTree[Float[ArrayLike, "B Z"]]  # one, or a tuple of them
Decoded = Float[Array, " B *S C"]  # C = outputs + shared natural parameters


class Batch(NamedTuple):
    """x (B, *S) in data units, float32; y (B,) or (B, L) ids; length (B,) of steps."""

    x: Array | None
    y: Array | None = None
    length: Array | None = None


class Clock(NamedTuple):
    """Where training is: the step (traced), all steps, and the training set's size."""

    step: ScalarLike
    steps: int
    num_examples: int


class Model(NamedTuple):
    """Pure functions over ``params = {"net": …, "extra": …, "state": …}``.

    It lives at trace time only; ``_replace(clock=…)`` at each step is free.
    """

    latent_mask: Float[Array, "1 Z"]  # 1 for the k dimensions this member uses
    clock: Clock
    likelihood: likelihoods.Likelihood  # p(x | decoded)
    init: Callable  # (key, batch) -> parameters of the network
    encode: Callable  # (params, batch) -> (B, Z), or a tuple of ``heads`` such, masked
    # (params, z, batch=None) -> decoded (B, *S, outputs + shared); batch gives y to a
    # conditional network and x to a teacher-forced one.
    decode: Callable
    sample: Callable  # (key, mu, logvar) -> (B, Z), masked, drawn Z-leading
    noise: Callable  # (key, B) -> (B, Z) standard normal, likewise
    # (params, batch, key) -> (B,) log p(x, z) - log q(z|x) of one draw, for
    # q = N(mu, σ²) of the two heads and p(z) = N(0, 1).
    log_weight: Callable
    # (batch, decoded) -> (B,) mean over data elements, of valid steps alone, of
    # (x - mean)² in squared data units; for tokens the share of wrong ones.
    error: Callable
    stages: tuple  # ((encode_i, decode_i), …) of (params, h); () if there are none
    decoder_l2: Callable  # (params) -> Σ w² over the decoder's parameters in use
    # (params, z, batch, key) -> (Z,) ‖∂decoded/∂z_j‖, root mean square over the batch,
    # estimated by one vector of random signs per example (Hutchinson, 1990).
    decoder_norms: Callable
    batch: Callable  # (x, y=None, length=None) -> Batch, of the objective's own data
    num_classes: int  # of batch.y, for an objective that needs labels; else 0
    mlp: Callable  # (d_in, d_out, latent_in, latent_out), see ``networks.dense.small``
    kl: annealing.Control  # (B,) or (B, Z) nats -> scalar, weighed by ``kl_control``


class ModelSpec(NamedTuple):
    """Everything static that a Model is built from."""

    network: networks.Entry
    network_spec: networks.NetworkSpec
    likelihood: str
    scale: float  # of evaluated data, which levels are counted by
    options: Mapping[str, Any] = {}
    kinds: tuple[tuple[str, int], ...] = ()  # of a table's columns, and their widths

    def build(self) -> networks.Network:
        """The network's functions."""
        return self.network.build(self.network_spec, **self.options)

    def observed(self) -> likelihoods.Likelihood:
        """p(x | decoded)."""
        missing = self.network_spec.missing
        return likelihoods.observed(self.likelihood, self.scale, self.kinds, missing)


def latent_mask(
    latent_dim: ScalarLike, allocated: int
) -> Float[Array, "1 {allocated}"]:
    """(1, Z) float32: 1 for the first ``latent_dim`` of the allocated dimensions."""
    return (jnp.arange(allocated) < latent_dim).astype(jnp.float32)[None]


def build(
    spec: ModelSpec,
    mask: Float[Array, "1 Z"],
    clock: Clock,
    output_bias: ArrayLike | None = None,
) -> Model:
    """The Model of one member; ``mask`` (1, Z) and ``clock`` may be traced.

    ``output_bias`` is where the output starts, from ``output_mean``; None is 0.
    """
    net, likelihood = spec.build(), spec.observed()
    init, encode, decode, stages = _of_network(net, likelihood, mask, output_bias)

    def sample(
        key: PRNGKeyArray, mu: Float[ArrayLike, "B Z"], logvar: Float[ArrayLike, "B Z"]
    ) -> Float[Array, "B Z"]:
        return losses.reparametrize(key, mu, logvar) * mask

    def noise(key: PRNGKeyArray, size: int) -> Float[Array, "{size} Z"]:
        return jax.random.normal(key, (mask.shape[1], size)).T * mask

    def log_weight(
        params: Params, batch: Batch, key: PRNGKeyArray
    ) -> Float[Array, " B"]:
        mu, logvar = encode(params, batch)
        z = sample(key, mu, logvar)
        nll = likelihood.nll(batch, decode(params, z, batch))
        return losses.log_weight(nll, z, mu, logvar)

    decoder_l2, decoder_norms = _of_decoder(net, decode, mask)
    return Model(
        latent_mask=mask,
        clock=clock,
        likelihood=likelihood,
        init=init,
        encode=encode,
        decode=decode,
        sample=sample,
        noise=noise,
        log_weight=log_weight,
        error=lambda *pair: next(iter(likelihood.errors(*pair).values())),
        stages=stages,
        decoder_l2=decoder_l2,
        decoder_norms=decoder_norms,
        batch=Batch,
        num_classes=spec.network_spec.num_classes,
        mlp=functools.partial(dense.small, spec.network_spec, mask),
        kl=annealing.Control(mask),
    )


def _of_network(
    net: networks.Network,
    likelihood: likelihoods.Likelihood,
    mask: Float[Array, "1 Z"],
    output_bias: ArrayLike | None,
) -> tuple[Callable, Callable, Callable, tuple]:
    """``Model``'s init, encode, decode and stages."""

    def init(key: PRNGKeyArray, batch: Batch) -> dict[str, Any]:
        params = dict(net.init(key, batch, mask))
        zeros = jnp.zeros(net.bias_shape)
        params["output_bias"] = zeros if output_bias is None else output_bias
        if likelihood.shared:
            params["shared"] = likelihood.shared.start(likelihood.variance(batch))
        return params

    def encode(params: Params, batch: Batch) -> Codes:
        return net.encode(params["net"], batch, mask)

    def decode(params: Params, z: Codes, batch: Batch | None = None) -> Decoded:
        return finish(params, net.decode(params["net"], z, batch, mask))

    def finish(params: Params, decoded: Float[Array, " B *S outputs"]) -> Decoded:
        decoded = decoded + params["net"]["output_bias"][None]
        if not likelihood.shared:
            return decoded
        shared = likelihood.shared.laid(params["net"]["shared"])
        shared = jnp.expand_dims(shared, tuple(range(decoded.ndim - shared.ndim)))
        shared = jnp.broadcast_to(shared, (*decoded.shape[:-1], shared.shape[-1]))
        return jnp.concatenate([decoded, shared], axis=-1)

    def stage(i: int) -> tuple[Callable, Callable]:
        encode_i, decode_i = net.stages[i]

        def decode_out(params, h):
            out = decode_i(params["net"], h, mask)
            return finish(params, out) if i == 0 else out

        return lambda params, h: encode_i(params["net"], h, mask), decode_out

    return init, encode, decode, tuple(stage(i) for i in range(len(net.stages)))


def _of_decoder(
    net: networks.Network, decode: Callable, mask: Float[Array, "1 Z"]
) -> tuple[Callable, Callable]:
    """``Model``'s decoder_l2 and decoder_norms."""

    def decoder_l2(params: Params) -> Float[Array, ""]:
        leaves = jax.tree_util.tree_leaves_with_path(net.decoder(params["net"]))

        def square(path: tuple, w: Array) -> Float[Array, ""]:
            in_use = mask.reshape(-1, *(1,) * (w.ndim - 1)) > 0
            return jnp.square(w).sum(where=in_use if is_latent(path) else None)

        return sum(square(*leaf) for leaf in leaves)

    def decoder_norms(
        params: Params, z: Float[Array, "B Z"], batch: Batch, key: PRNGKeyArray
    ) -> Float[Array, " Z"]:
        decoded, pull = jax.vjp(lambda z: decode(params, z, batch), z)
        (slopes,) = pull(jax.random.rademacher(key, decoded.shape, decoded.dtype))
        square = jnp.square(slopes).mean(0)  # (Z,)
        # The root has no gradient at 0, where padded and dead dimensions are.
        some = square > 1e-12
        return jnp.sqrt(jnp.where(some, square, 1.0)) * some

    return decoder_l2, decoder_norms


def output_mean(spec: ModelSpec, mean: Any) -> Any:
    """NumPy output bias at which the decoder's mean is ``mean`` (*S,), in data units.

    Axes that share one bias (a convolution's rows and columns) share their mean.
    """
    net = spec.build()
    shared = tuple(i for i, n in enumerate(net.bias_shape[:-1]) if n == 1)
    bias = spec.observed().from_mean(mean.mean(shared, keepdims=True))
    return bias.astype("float32").reshape(net.bias_shape)


def is_latent(path: tuple) -> bool:
    """Whether the leaf at this tree path has Z as its leading axis."""
    return jax.tree_util.keystr(path[-1:], simple=True).startswith("latent_")


def trim(params: Any, k: int) -> Any:
    """Parameters of the effective size: padded slices cut off."""
    return jax.tree_util.tree_map_with_path(
        lambda path, a: a[:k] if is_latent(path) else a, params
    )


def count(params: Any, k: int) -> int:
    """Number of effective parameters of a tree of arrays or shapes."""
    leaves = jax.tree_util.tree_leaves_with_path(params)
    sizes = (
        a.size * min(k, a.shape[0]) // a.shape[0] if is_latent(path) else a.size
        for path, a in leaves
    )
    return int(sum(sizes))
