"""What an observation model is, and what is computed of all of them alike."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Float

from aejax import losses, xla_cpu

Values = Float[Array, " B *S"]  # in data units
Decoded = Float[ArrayLike, " B *S C"]  # natural parameters, C = outputs + shared
Terms = Float[ArrayLike, " B *S 1"]  # as losses take them, which sum the last axis
Bias = Float[np.ndarray, "*S C"]


class Shared(NamedTuple):
    """Parameters that many data elements share, learned beside the decoder.

    Attributes:
      start: (variance (*S) of the data, or one number) -> where they start.
      information: (them) -> each one's Fisher information in a data element, the mean
        over all elements, by which natural gradients divide.
      laid: (them) -> (n,) or (*S, n), as the elements have them behind ``outputs``.
      observed: (shares (*S) of a batch that are not missing) -> that of each of them.
    """

    start: Callable
    information: Callable
    laid: Callable = lambda shared: shared
    observed: Callable = lambda share: share.mean()


def scalar(start: Callable, information: Callable) -> Shared:
    """Parameters (n,) that all data elements share; ``start`` takes one variance."""
    return Shared(lambda variance: start(jnp.mean(variance)), information)


class Measure(NamedTuple):
    """An error of what is decoded: the mean over data elements of ``each``.

    ``each`` is (x, decoded) -> (B, *S); ``where`` (*S) are the elements that count, of
    those that not all do.
    """

    each: Callable
    where: np.ndarray | None = None


class Likelihood(NamedTuple):
    """p(x | decoded). ``decoded`` is (B, *S, outputs + shared) natural parameters.

    Attributes:
      outputs: natural parameters per data element, given by the decoder.
      element_nll: (x, decoded) -> (B, *S) nats, whose sum over *S is -log p.
      mean: decoded -> (B, *S), E[x], in data units.
      sample: (key, decoded) -> (B, *S), in data units.
      from_mean: NumPy (..., ) training mean -> (..., outputs) output bias, whose
        ``mean`` is that training mean; None where values have no mean.
      shared: what comes behind them, learned beside the decoder; or None.
      measures: {name: Measure}, the first is the one that models are compared by: mse,
        of squared data units, where ``each`` is None; tokens have an error_rate.
      support: the values it gives a density or probability: "real"; "unit", [0, 1];
        "levels", stored integers divided by the largest; "binary", 0 and 1.
      missing: whether NaN in x is a value that was not observed, and counts nowhere.
    """

    outputs: int
    element_nll: Callable
    mean: Callable
    sample: Callable
    from_mean: Callable | None
    shared: Shared | None = None
    measures: Mapping[str, Measure] = {"mse": Measure(None)}
    support: str = "real"
    missing: bool = False

    def nll(self, batch: Any, decoded: Decoded) -> Float[Array, " B"]:
        """(B,) nats, over *S.

        Of observed values alone, the bound of Mattei & Frellsen, ICML 2019 (MIWAE), eq.
        5; of sequences without the steps beyond ``batch.length``.
        """
        x, observed = self._observed(batch.x)
        each = self.element_nll(x, decoded)  # (B, *S)
        if observed is not None:
            each = jnp.where(observed, each, 0.0)
        if batch.length is not None:
            valid = losses.valid_steps(each, batch.length)
            each = jnp.where(valid, each, 0.0)
        return xla_cpu.row_sums(each.reshape(each.shape[0], -1))

    def errors(self, batch: Any, decoded: Decoded) -> dict[str, Float[Array, " B"]]:
        """{measure: (B,) mean over an example's valid, observed elements}.

        0 of an example that has none of them; ``counted`` says how many have.
        """
        x, observed = self._observed(batch.x)
        out = {}
        for name, measure in self.measures.items():
            if measure.each is None:
                error = jnp.square(x - self.mean(decoded))
            else:
                error = 1.0 * measure.each(x, decoded)
            weight = observed
            if measure.where is not None:
                where = jnp.asarray(measure.where)[None]
                weight = where if observed is None else where & observed
            out[name] = _means(error, weight, batch.length)
        return out

    def valid(self, batch: Any) -> ArrayLike:
        """The share that counts of a batch's data elements, of which each shared
        parameter is learned; at least one value of it, for whom there is none."""
        valid = 1.0
        if batch.length is not None:
            valid = batch.length.mean() / batch.x.shape[1]
        if not (self.missing and self.shared):
            return valid
        share = self.shared.observed((~jnp.isnan(batch.x)).mean(0))
        return valid * jnp.maximum(share, 1 / len(batch.x))

    def variance(self, batch: Any) -> Float[Array, "*S"]:
        """(*S) of each data element over the batch; with lengths one number for all."""
        x = jnp.asarray(batch.x)
        if batch.length is None:
            # All of them missing: 1, as good as any.
            v = jnp.nanvar(x, 0) if self.missing else x.var(0)
            return jnp.where(jnp.isnan(v), 1.0, v) if self.missing else v
        valid = jnp.broadcast_to(losses.valid_steps(x, batch.length), x.shape)
        mean = x.mean(0, keepdims=True, where=valid)
        return jnp.square(x - jnp.where(valid, mean, 0.0)).mean(where=valid)

    def _observed(
        self, x: Float[ArrayLike, " B *S"]
    ) -> tuple[Float[ArrayLike, " B *S"], Bool[Array, " B *S"] | None]:
        """x with 0 for what is missing, which gradients would turn to NaN; and where
        it is observed, None where nothing can be missing."""
        if not self.missing:
            return x, None
        observed = ~jnp.isnan(x)
        return jnp.where(observed, x, 0.0), observed


def _means(
    error: Values, weight: Bool[Array, "..."] | None, length: ArrayLike | None
) -> Float[Array, " B"]:
    if weight is not None:
        if length is not None:
            weight = weight & losses.valid_steps(error, length)
        weight = jnp.broadcast_to(weight, error.shape).reshape(error.shape[0], -1)
        error = jnp.where(weight, error.reshape(weight.shape), 0.0)
        return error.sum(-1) / jnp.maximum(weight.sum(-1), 1)
    error = error.reshape(*error.shape[:2], -1).mean(-1)  # (B, first axis of S)
    if length is None:
        return error.mean(-1)
    valid = losses.valid_steps(error, length)
    return jnp.where(valid, error, 0.0).sum(-1) / jnp.maximum(length, 1)


def scalars(
    loss: Callable, mean: Callable, sample: Callable, from_mean: Callable, **more: Any
) -> Likelihood:
    """One parameter per data element and then the shared ones; loss as in losses."""

    def element_nll(x: Float[ArrayLike, " B *S"], d: Decoded) -> Values:
        return loss(x[..., None], *(d[..., i, None] for i in range(d.shape[-1])))

    return Likelihood(1, element_nll, mean, sample, from_mean, **more)


def log_variance(variance: ArrayLike) -> Float[Array, "*S"]:
    """Of constant data 0."""
    return jnp.log(jnp.where(variance > 0, variance, 1.0))


def bisect(mean_of: Callable, target: np.ndarray, bound: float) -> np.ndarray:
    """The parameter in ±bound at which the growing ``mean_of`` reaches ``target``."""
    low, high = np.full_like(target, -bound), np.full_like(target, bound)
    for _ in range(60):
        middle = (low + high) / 2
        above = mean_of(middle) > target
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return (low + high) / 2


def logit(mean: Float[np.ndarray, "*S"]) -> Bias:
    """(*S, 1) log-odds, clipped as in Burda et al. 2016: what is never on must stay
    learnable."""
    p = np.clip(mean, 1e-3, 1 - 1e-3)
    return np.log(p / (1 - p))[..., None]
