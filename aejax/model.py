"""Model: the pure functions an objective is written with, for one lane."""

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from aejax import kl as kl_lib
from aejax import likelihoods, losses, networks
from aejax.networks import dense


class Batch(NamedTuple):
    """x (B, *S) in data units, float32; y (B,) or (B, L) ids; length (B,) of steps."""

    x: Array | None
    y: Array | None = None
    length: Array | None = None


class Clock(NamedTuple):
    """Where training is: the step (traced), all steps, and the training set's size."""

    step: Array | int
    steps: int
    num_examples: int


class Model(NamedTuple):
    """Pure functions over ``params = {"net": …, "extra": …, "state": …}``.

    It lives at trace time only; ``_replace(clock=…)`` at each step is free.
    """

    latent_mask: Array  # (1, Z) float32, 1 for the k dimensions this lane uses
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
    # (x - mean)² in squared data units; for symbols the share of wrong ones.
    error: Callable
    stages: tuple  # ((encode_i, decode_i), …) of (params, h); () if there are none
    decoder_l2: Callable  # (params) -> Σ w² over the decoder's parameters in use
    # (params, z, batch, key) -> (Z,) ‖∂decoded/∂z_j‖, root mean square over the batch,
    # estimated by one vector of random signs per example (Hutchinson, 1990).
    decoder_norms: Callable
    batch: Callable  # (x, y=None, length=None) -> Batch, of the objective's own data
    num_classes: int  # of batch.y, for an objective that needs labels; else 0
    mlp: Callable  # (d_in, d_out, latent_in, latent_out), see ``networks.dense.small``
    kl: kl_lib.Control  # (B,) or (B, Z) nats -> scalar, weighed by ``kl_control``


class Blueprint(NamedTuple):
    """Everything static that a Model is built from."""

    network: networks.Entry
    spec: networks.Spec
    likelihood: str
    scale: float
    options: Mapping[str, Any] = {}

    def build(self) -> networks.Network:
        """The network's functions."""
        return self.network.build(self.spec, **self.options)


@contextlib.contextmanager
def usual_settings() -> Iterator[None]:
    """jax's defaults where programs are made and run, whatever the user's own are.

    Ours rely on them: with ``jax_disable_jit``, strict promotion of types or a guard
    of transfers, which are for the user's code, nothing of this package would run.
    """
    with (
        jax.disable_jit(False),
        jax.numpy_dtype_promotion("standard"),
        jax.transfer_guard("allow"),
    ):
        yield


def matmul_precision(precision: str) -> contextlib.AbstractContextManager:
    """Context under which to trace: GPUs default to TF32 and TPUs to bfloat16.

    ``bf16`` networks cast their own operands; the rest stays float32.
    """
    name = {"tf32": "tensorfloat32"}.get(precision, "float32")
    return jax.default_matmul_precision(name)


def compute_dtype(precision: str) -> Any:
    """Type in which a network multiplies."""
    return jnp.bfloat16 if precision == "bf16" else jnp.float32


def latent_mask(latent_dim: Array | int, allocated: int) -> Array:
    """(1, Z) float32: 1 for the first ``latent_dim`` of the allocated dimensions."""
    return (jnp.arange(allocated) < latent_dim).astype(jnp.float32)[None]


def build(
    blueprint: Blueprint, mask: Array, clock: Clock, output_bias: Array | None = None
) -> Model:
    """The Model of one lane; ``mask`` (1, Z) and ``clock`` may be traced.

    ``output_bias`` is where the output starts, from ``output_mean``; None is 0.
    """
    spec = blueprint.spec
    net = blueprint.build()
    likelihood = likelihoods.LIKELIHOODS[blueprint.likelihood](blueprint.scale)

    def init(key: Array, batch: Batch) -> dict[str, Any]:
        params = dict(net.init(key, batch, mask))
        zeros = jnp.zeros(net.bias_shape)
        params["output_bias"] = zeros if output_bias is None else output_bias
        if likelihood.shared:
            params["shared"] = likelihood.shared.start(_variance(batch))
        return params

    def encode(params: Mapping[str, Any], batch: Batch):
        return net.encode(params["net"], batch, mask)

    def decode(params: Mapping[str, Any], z: Any, batch: Batch | None = None) -> Array:
        return finish(params, net.decode(params["net"], z, batch, mask))

    def finish(params: Mapping[str, Any], decoded: Array) -> Array:
        decoded = decoded + params["net"]["output_bias"][None]
        if not likelihood.shared:
            return decoded
        shared = params["net"]["shared"].reshape((1,) * (decoded.ndim - 1) + (-1,))
        shared = jnp.broadcast_to(shared, (*decoded.shape[:-1], shared.shape[-1]))
        return jnp.concatenate([decoded, shared], axis=-1)

    def stage(i: int) -> tuple[Callable, Callable]:
        encode_i, decode_i = net.stages[i]

        def decode_out(params, h):
            out = decode_i(params["net"], h, mask)
            return finish(params, out) if i == 0 else out

        return lambda params, h: encode_i(params["net"], h, mask), decode_out

    def sample(key: Array, mu: Array, logvar: Array) -> Array:
        return losses.reparametrize(key, mu, logvar) * mask

    def noise(key: Array, size: int) -> Array:
        return jax.random.normal(key, (mask.shape[1], size)).T * mask

    def log_weight(params: Mapping[str, Any], batch: Batch, key: Array) -> Array:
        mu, logvar = encode(params, batch)
        z = sample(key, mu, logvar)
        nll = likelihood.nll(batch, decode(params, z, batch))
        return losses.log_weight(nll, z, mu, logvar)

    def decoder_l2(params: Mapping[str, Any]) -> Array:
        decoder = net.decoder(params["net"])
        leaves = jax.tree_util.tree_leaves_with_path(decoder)

        def square(path: tuple, w: Array) -> Array:
            in_use = mask.reshape(-1, *(1,) * (w.ndim - 1)) > 0
            return jnp.square(w).sum(where=in_use if is_latent(path) else None)

        return sum(square(*leaf) for leaf in leaves)

    def decoder_norms(
        params: Mapping[str, Any], z: Array, batch: Batch, key: Array
    ) -> Array:
        decoded, pull = jax.vjp(lambda z: decode(params, z, batch), z)
        (slopes,) = pull(jax.random.rademacher(key, decoded.shape, decoded.dtype))
        square = jnp.square(slopes).mean(0)  # (Z,)
        # The root has no gradient at 0, where padded and dead dimensions are.
        some = square > 1e-12
        return jnp.sqrt(jnp.where(some, square, 1.0)) * some

    stages = tuple(stage(i) for i in range(len(net.stages)))
    error = functools.partial(_error, likelihood)
    functions = (init, encode, decode, sample, noise, log_weight, error, stages)
    functions += (decoder_l2, decoder_norms, Batch)
    mlp = functools.partial(dense.small, spec, mask)
    own = (spec.num_classes, mlp, kl_lib.Control(mask))
    return Model(mask, clock, likelihood, *functions, *own)


def _variance(batch: Batch) -> Array:
    """Of each data element over the batch, where it is valid; their mean."""
    x = jnp.asarray(batch.x)
    if batch.length is None:
        return x.var(0).mean()
    valid = jnp.broadcast_to(losses.valid_steps(x, batch.length), x.shape)
    mean = x.mean(0, keepdims=True, where=valid)
    return jnp.square(x - jnp.where(valid, mean, 0.0)).mean(where=valid)


def _error(likelihood: likelihoods.Likelihood, batch: Batch, decoded: Array) -> Array:
    if likelihood.wrong is None:
        error = jnp.square(batch.x - likelihood.mean(decoded))
    else:
        error = 1.0 * likelihood.wrong(batch.x, decoded)
    error = error.reshape(*error.shape[:2], -1).mean(-1)  # (B, first axis of S)
    if batch.length is None:
        return error.mean(-1)
    valid = losses.valid_steps(error, batch.length)
    return jnp.where(valid, error, 0.0).sum(-1) / jnp.maximum(batch.length, 1)


def output_mean(blueprint: Blueprint, mean: Any) -> Any:
    """NumPy output bias at which the decoder's mean is ``mean`` (*S,), in data units.

    Axes that share one bias (a convolution's rows and columns) share their mean.
    """
    net = blueprint.build()
    likelihood = likelihoods.LIKELIHOODS[blueprint.likelihood](blueprint.scale)
    shared = tuple(i for i, n in enumerate(net.bias_shape[:-1]) if n == 1)
    bias = likelihood.from_mean(mean.mean(shared, keepdims=True))
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
