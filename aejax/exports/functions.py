"""What a trained autoencoder computes, as functions of arrays alone.

Parameters are closed over and codes have the effective size: what is compiled or
translated from one of these stands alone.
"""

from collections.abc import Callable, Container, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from aejax import model as model_lib
from aejax import registry, settings
from aejax.exports import arrays as stored
from aejax.training import member as members


class Function(NamedTuple):
    """A function of positional arrays, each with one row per example.

    Attributes:
      call: (*arrays) -> an array, or a tuple of them where a code has vectors.
      inputs: {name: (type, shape of one example)}, in the order of the arguments.
      outputs: names, as many as there are arrays.
    """

    call: Callable
    inputs: Mapping[str, tuple[str, tuple[int, ...]]]
    outputs: tuple[str, ...]

    def shapes(self, rows: Any) -> list[jax.ShapeDtypeStruct]:
        """Of the arguments, for so many examples."""
        return [
            jax.ShapeDtypeStruct((rows, *shape), kind)
            for kind, shape in self.inputs.values()
        ]


def of(parts: stored.Parts) -> dict[str, Function]:
    """``encode``, ``decode``, ``reconstruct`` and ``sample`` of a trained model.

    encode(x, y, length) takes x (N, *S) float32 in data units and gives z (N, k), or a
    tuple of such; decode(z, …, y) gives E[x | z] (N, *S); reconstruct is one after the
    other. y (N,) or (N, L) int32 ids are arguments of a conditional model alone, length
    (N,) int32 of one whose data have it. sample(seed, y) gives E[x | z], (N, *S), of a
    code for each seed (N,) uint32: which depends on its own seed alone, and is that of
    ``Autoencoder.sample(jax.random.key(seed), 1)`` where the objective has a prior.
    Without one codes are drawn from the Gaussian of the training split's codes; there
    is no ``sample`` where that is unknown.
    """
    spec = parts.spec
    model, hp = members.bind(spec, spec.hparams(parts.config))(spec.steps)
    params = jax.tree.map(jnp.asarray, parts.params)
    objective, arrays = spec.objective, spec.data.arrays
    conditional = bool(spec.model.network_spec.num_classes)
    x = {"x": ("float32", spec.data.shape)}
    y = {"y": ("int32", tuple(arrays["y"][1]))} if conditional else {}
    length = {"length": ("int32", ())} if "length" in arrays else {}

    def encode(*given: Array) -> Any:
        batch = model_lib.Batch(**dict(zip(x | y | length, given, strict=True)))
        if length:  # what stands beyond it is no data
            steps = jnp.arange(batch.x.shape[1])[None] < batch.length[:, None]
            steps = steps.reshape(*steps.shape, *(1,) * (batch.x.ndim - 2))
            batch = batch._replace(x=jnp.where(steps, batch.x, 0.0))
        return objective.code(model, params, batch, **hp)

    codes = jax.eval_shape(encode, *Function(encode, x | y | length, ()).shapes(1))
    several = isinstance(codes, tuple)
    names = [f"z_{i}" for i in range(len(codes))] if several else ["z"]
    z = {name: ("float32", (parts.config.latent_dim,)) for name in names}

    def decode(*given: Array) -> Array:
        code = given[: len(z)] if several else given[0]
        batch = model_lib.Batch(None, *given[len(z) :])
        return model.likelihood.mean(model.decode(params, code, batch))

    def reconstruct(*given: Array) -> Array:
        code = encode(*given)
        return decode(*(code if several else (code,)), *given[1 : 1 + len(y)])

    plain = {
        "encode": Function(encode, x | y | length, tuple(names)),
        "decode": Function(decode, z | y, ("x_hat",)),
        "reconstruct": Function(reconstruct, x | y | length, ("x_hat",)),
    }
    prior = _prior(parts, model, hp, params)
    if prior:

        def sample(seed: Array, *labels: Array) -> Array:
            code = jax.vmap(prior)(seed, *labels)
            return decode(*(code if several else (code,)), *labels)

        seeds = {"seed": ("uint32", ())}
        plain["sample"] = Function(sample, seeds | y, ("new",))
    precision = spec.config.precision
    return {n: f._replace(call=_exact(f.call, precision)) for n, f in plain.items()}


def _exact(call: Callable, precision: str) -> Callable:
    """Traced as in training: accelerators default to fewer bits of a product."""

    def run(*given: Array) -> Any:
        with settings.matmul_precision(precision):
            return call(*given)

    return run


def _prior(parts: stored.Parts, model: model_lib.Model, hp, params) -> Callable | None:
    """(seed, y) -> the code (k,) of one example; None if there is none to draw from."""
    objective, density = parts.spec.objective, parts.density

    def key(seed: Array) -> Array:
        return jax.random.key(seed, impl="threefry2x32")

    def ancestral(seed: Array, *labels: Array) -> Any:
        # Autoencoder.sample folds in where a batch starts.
        first, y = jax.random.fold_in(key(seed), 0), [a[None] for a in labels]
        code = objective.prior(model, params, first, 1, *(y or [None]), **hp)
        return jax.tree.map(lambda a: a[0], code)

    def gaussian(seed: Array, *labels: Array) -> Array:
        mean, root = (jnp.float32(a[0] * density.scale) for a in density[1:3])
        noise = jax.random.normal(key(seed), mean.shape)
        return mean + jnp.matmul(root, noise, precision=jax.lax.Precision.HIGHEST)

    if objective.prior is not None:
        return ancestral
    return None if density is None else gaussian


def can_sample(parts: stored.Parts) -> bool:
    """Whether there is anything to draw codes from."""
    return parts.spec.objective.prior is not None or parts.density is not None


def title(parts: stored.Parts) -> str:
    """What a card and a refusal call a model."""
    names = (getattr(parts.config, n) for n in ("objective", "network", "dataset"))
    objective, network, dataset = map(registry.label, names)
    return f"{objective} with network {network} on {dataset}"


def table(parts: stored.Parts, names: Container[str]) -> str:
    """Arguments and results of these functions, in Markdown."""

    def shaped(shape: tuple[int, ...]) -> str:
        return f"(N, {', '.join(map(str, shape))})" if shape else "(N,)"

    lines = ["| function | takes | gives |", "|---|---|---|"]
    for name, function in of(parts).items():
        if name in names:
            takes = ", ".join(
                f"{n} {shaped(shape)} {kind}"
                for n, (kind, shape) in function.inputs.items()
            )
            lines.append(f"| `{name}` | {takes} | {', '.join(function.outputs)} |")
    return "\n".join(lines)
