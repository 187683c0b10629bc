"""One autoencoder of a population as three pure functions; names no objective.

Every key is ``fold_in(fold_in(key(seed), purpose), step)``, so that nothing depends on
how the steps are cut into dispatches, nor on the member's place among others.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from aejax import model as model_lib
from aejax import objectives
from aejax.training import optimizer as optimizers
from aejax.training import source as sources
from aejax.training import spec as specs

INIT, ORDER, NOISE, BINARIZE, EVALUATE = range(5)  # purposes of keys
BATCH_AXIS = "batch"  # of a program's mesh, where several devices share a batch
START = 1024  # rows that a state is initialised from

Hparams = Mapping[str, Array]  # Config's traced fields and traced hyperparameters


class TrainState(NamedTuple):
    """One member: parameters, optimiser state, and the best on the validation split."""

    params: Any
    opt_state: Any
    diverged: Array
    best: Any
    best_loss: Array


class Member(NamedTuple):
    """One autoencoder, of functions that have closed over all that it is.

    Attributes:
      init: () -> TrainState, before the first step.
      step: (TrainState, Batch, step) -> (TrainState, loss): one gradient step.
      evaluate: (params, Batch, row) -> {name: scalar}, means over the batch; its noise
        is drawn by ``row``, where the batch starts among the evaluated data.
      loss: (params, Batch, key, step) -> (loss, {name: scalar}, new params["state"]).
      batch: (rows, step) -> Batch of these training examples, in data units.
      model_at: (step) -> (Model, hyperparameters) as the objective's functions take
        them.
      key: (purpose, step=0) -> a PRNG key.
    """

    init: Callable
    step: Callable
    evaluate: Callable
    loss: Callable
    batch: Callable
    model_at: Callable
    key: Callable


def bind(
    spec: specs.TrainSpec, hparams: Hparams, output_bias: Array | None = None
) -> Callable:
    """``Member.model_at`` without data: what a trained model is used by, too."""
    width = spec.model.network_spec.latent_dim
    mask = model_lib.latent_mask(hparams["latent_dim"], width)
    clock = model_lib.Clock(0, spec.steps, spec.data.sizes[0])
    model = model_lib.build(spec.model, mask, clock, output_bias)
    static = spec.config.hparams
    values = {n: hparams.get(n, static[n]) for n in spec.objective.defaults}

    def model_at(step: Array | int) -> tuple[model_lib.Model, dict[str, Any]]:
        now = model._replace(clock=clock._replace(step=step))
        return spec.objective.bind(now, values)

    return model_at


def fetch(split: model_lib.Batch, rows: Array, scale: float) -> model_lib.Batch:
    """Batch of these rows of stored data, in data units."""
    x = split.x[rows].astype(jnp.float32)
    x = x if scale == 1 else x / scale
    batch = jax.tree.map(lambda a: a[rows], split._replace(x=None))._replace(x=x)
    return jax.tree.map(_lay, batch)


def _lay(array: Array) -> Array:
    """Over the devices that share a batch, if the program has any and it divides.

    What is computed from it follows: XLA cuts the products, and sums the gradients. The
    values stay those of the whole batch, also of terms that couple its examples.
    """
    devices = jax.sharding.get_abstract_mesh().shape.get(BATCH_AXIS, 1)
    if devices == 1 or array.shape[0] % devices:
        return array
    along = jax.sharding.PartitionSpec(BATCH_AXIS)
    return jax.lax.with_sharding_constraint(array, along)


def member(spec: specs.TrainSpec, hparams: Hparams, data: sources.Data) -> Member:
    """The member of these numbers.

    Args:
      spec: static facts; shared by a population.
      hparams: arrays as ``TrainSpec.hparams`` gives them; may be traced.
      data: arrays on the device, which the member is initialised from and trains on.
    """
    model_at = bind(spec, hparams, data.output_bias)
    key = keys(hparams["seed"])
    batch = _batches(spec, data, key)
    loss = _loss(spec.objective, model_at)
    optimizer = _optimizer(spec, hparams, model_at)
    return Member(
        init=_init(spec, model_at, key, batch, optimizer),
        step=_step(loss, key, optimizer, spec.model.observed()),
        evaluate=_evaluate(spec, model_at, key, loss),
        loss=loss,
        batch=batch,
        model_at=model_at,
        key=key,
    )


def keys(seed: Array) -> Callable:
    """``Member.key``."""

    def key(purpose: int, step: Array | int = 0) -> Array:
        # Only threefry gives the same first k rows for every Z, and under vmap.
        start = jax.random.key(seed, impl="threefry2x32")
        return jax.random.fold_in(jax.random.fold_in(start, purpose), step)

    return key


def _batches(spec: specs.TrainSpec, data: sources.Data, key: Callable) -> Callable:
    def batch(rows: Array, step: Array | int) -> model_lib.Batch:
        stored = fetch(data.train, rows, spec.scales[0])
        if spec.config.binarize != "dynamic":
            return stored
        x = jax.random.bernoulli(key(BINARIZE, step), stored.x)
        return stored._replace(x=x.astype(jnp.float32))

    return batch


def _loss(objective: objectives.Objective, model_at: Callable) -> Callable:
    def loss(params, batch, key, step) -> tuple[Array, dict[str, Array], Any]:
        model, hp = model_at(step)
        given = jax.tree.map(lambda a: a, params)
        out = objective.loss(model, given, batch, key, **hp)
        before, after = jax.tree.flatten(params), jax.tree.flatten(given)
        if before[1] != after[1] or [*map(id, before[0])] != [*map(id, after[0])]:
            message = "loss changes params in place; it must return the new state"
            raise TypeError(message)
        return out[0], out[1], out[2] if len(out) > 2 else params["state"]

    return loss


def _optimizer(spec: specs.TrainSpec, hparams: Hparams, model_at: Callable) -> Callable:
    """(step, share of data elements that are valid) -> the optimiser of this step."""
    config, size = spec.config, math.prod(spec.data.shape)

    def optimizer(step, valid: Array | float = 1.0) -> optax.GradientTransformation:
        model, hp = model_at(step)
        rate = hparams["learning_rate"] * optimizers.schedule(
            config.schedule, step, spec.steps, hparams["warmup"]
        )
        shared = model.likelihood.shared
        information = shared and (lambda v: size * valid * shared.information(v))
        tx = optimizers.build(
            config.optimizer, hparams, rate, spec.clip, spec.decay, information
        )
        return spec.objective.optimizer(tx, model, learning_rate=rate, **hp)

    return optimizer


def _init(spec: specs.TrainSpec, model_at, key, batch, optimizer) -> Callable:
    def init() -> TrainState:
        model, hp = model_at(0)
        key_net, key_extra = jax.random.split(key(INIT))
        # From all over the split, which may be sorted: pseudo-inputs and codebooks
        # start there.
        size = spec.data.block_size
        count = max(spec.config.batch_size, min(START, size))
        first = batch(sources.spread(size, count), 0)
        net = model.init(key_net, first)
        rest = spec.objective.init(model, net, first, key_extra, **hp)
        params = {"net": net, "extra": {}, "state": {}} | rest
        opt_state = optimizer(0).init(_trainable(params))
        best = params if spec.config.select == "best" else ()
        blank = jnp.zeros((), bool), best, jnp.float32(np.inf)
        return TrainState(params, opt_state, *blank)

    return init


def _step(loss: Callable, key: Callable, optimizer, likelihood) -> Callable:
    def step(state: TrainState, batch: model_lib.Batch, step: Array | int):
        frozen = state.params["state"]

        def scalar(trainable):
            params = trainable | {"state": frozen}
            value, _, new = loss(params, batch, key(NOISE, step), step)
            return value, new

        trainable = _trainable(state.params)
        (value, new), grads = jax.value_and_grad(scalar, has_aux=True)(trainable)
        tx = optimizer(step, likelihood.valid(batch))
        updates, opt_state = tx.update(grads, state.opt_state, trainable)
        params = optax.apply_updates(trainable, updates) | {"state": new}
        after = state._replace(params=params, opt_state=opt_state)
        _check_same(state, after)
        return after, value

    return step


def _evaluate(spec: specs.TrainSpec, model_at, key, loss) -> Callable:
    def evaluate(params, batch: model_lib.Batch, row: Array | int) -> dict[str, Array]:
        # A key of its own for each batch, the same at every evaluation: curves compare.
        noise = jax.random.fold_in(key(EVALUATE), row)
        # At the weights that schedules end with: what is evaluated at different steps
        # compares, and the best of them is the best by the objective that counts.
        value, metrics, _ = loss(params, batch, noise, spec.steps)
        if {"nll", "kl"} <= metrics.keys():  # whatever the loss adds to them
            metrics = {"neg_elbo": metrics["nll"] + metrics["kl"]} | metrics
        model, hp = model_at(spec.steps)
        errors = reconstruction_errors(spec.objective, model, hp, params, batch)
        return metrics | {"loss": value} | {n: e.mean() for n, e in errors.items()}

    return evaluate


def reconstruction_errors(
    objective, model, hparams, params, batch: model_lib.Batch
) -> dict[str, Array]:
    """{measure: (B,)} of what is decoded from the deterministic code.

    The decoder is not shown x, which teacher forcing would copy.
    """
    z = objective.code(model, params, batch, **hparams)
    decoded = model.decode(params, z, batch._replace(x=None))
    return model.likelihood.errors(batch, decoded)


def _trainable(params: Mapping[str, Any]) -> dict[str, Any]:
    return {"net": params["net"], "extra": params["extra"]}


def _check_same(before: TrainState, after: TrainState) -> None:
    """Refuses a step that changes structure, types or shapes of the state."""

    def kinds(tree: Any) -> Any:
        return jax.tree.map(lambda a: f"{a.dtype}{list(a.shape)}", tree)

    pairs = zip(before._fields, before, after, strict=True)
    if changed := [n for n, a, b in pairs if kinds(a) != kinds(b)]:
        raise TypeError(f"a step changes names, types or shapes in its {changed}")
