"""Training one lane: pure functions of (lane, data, step); names no objective.

Time is counted in steps. A *pass* is one visit to ``data.train`` (an epoch, or a block
of a streamed one), shuffled by the lane's seed. Every key is
``fold_in(fold_in(key(seed), purpose), step)``, so nothing depends on how the steps are
cut into dispatches. A *unit* is a pass, or a stretch of at most 64 steps of a longer
one: a lane whose loss or parameters stop being finite is put back to its unit's start
and frozen there, and dispatches begin and end at units only.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from aejax import config as configs
from aejax import model as model_lib
from aejax import objectives
from aejax import optimizer as optimizers
from aejax import source as sources

INIT, ORDER, NOISE, BINARIZE, EVALUATE = range(5)  # purposes of keys
UNIT = 64
START = 1024  # rows that a state is initialised from


class Recipe(NamedTuple):
    """The static facts of one compiled program."""

    config: configs.Config  # the first lane's; its static fields are those of all
    objective: objectives.Objective
    blueprint: model_lib.Blueprint
    source: sources.Source
    clip: bool  # whether any lane clips
    decay: bool

    @property
    def pass_steps(self) -> int:
        """Steps per pass; an incomplete last batch waits for another permutation."""
        return self.source.pass_size // self.config.batch_size

    @property
    def epoch_steps(self) -> int:
        """Steps of one epoch, over all blocks."""
        return self.pass_steps * self.source.blocks

    @property
    def steps(self) -> int:
        """All steps."""
        return self.config.epochs * self.epoch_steps

    @property
    def unit(self) -> int:
        """Steps per unit: a pass, cut evenly if it is longer than ``UNIT``."""
        return -(-self.pass_steps // -(-self.pass_steps // UNIT))


class TrainState(NamedTuple):
    """One lane: parameters, optimiser state, and the best on the validation split."""

    params: Any
    opt_state: Any
    diverged: Array
    best: Any
    best_loss: Array


Lane = Mapping[str, Array]  # Config's traced fields and traced hyperparameters


def lane_key(lane: Lane, purpose: int, step: Array | int = 0) -> Array:
    # Only threefry gives the same first k rows for every Z, and under vmap.
    key = jax.random.key(lane["seed"], impl="threefry2x32")
    return jax.random.fold_in(jax.random.fold_in(key, purpose), step)


def bind(
    recipe: Recipe, lane: Lane, step: Array | int, output_bias: Array | None = None
) -> tuple[model_lib.Model, dict[str, Any]]:
    """The lane's Model at this step, and its hyperparameters but those of the KL."""
    mask = model_lib.latent_mask(lane["latent_dim"], recipe.blueprint.spec.latent_dim)
    clock = model_lib.Clock(step, recipe.steps, len(recipe.source.train.x))
    model = model_lib.build(recipe.blueprint, mask, clock, output_bias)
    static, objective = recipe.config.hparams, recipe.objective
    hparams = {n: lane.get(n, static[n]) for n in objective.defaults}
    return objective.bind(model, hparams)


def fetch(split: model_lib.Batch, at: Array, scale: float) -> model_lib.Batch:
    """Batch of stored rows ``at`` in data units."""
    x = split.x[at].astype(jnp.float32)
    x = x if scale == 1 else x / scale
    return jax.tree.map(lambda a: a[at], split._replace(x=None))._replace(x=x)


def training_batch(
    recipe: Recipe, lane: Lane, data: sources.Data, at: Array, step: Array | int
) -> model_lib.Batch:
    """Batch of training rows ``at``, drawn from Bernoulli(x) if config says so."""
    batch = fetch(data.train, at, recipe.source.scale)
    if recipe.config.binarize != "dynamic":
        return batch
    x = jax.random.bernoulli(lane_key(lane, BINARIZE, step), batch.x)
    return batch._replace(x=x.astype(jnp.float32))


def optimizer(
    recipe: Recipe,
    lane: Lane,
    model: model_lib.Model,
    hparams: Mapping[str, Any],
    valid: Array | float = 1.0,
) -> optax.GradientTransformation:
    """The optimiser of this lane at the model's step; ``valid`` share of elements."""
    config, clock = recipe.config, model.clock
    rate = lane["learning_rate"] * optimizers.schedule(
        config.schedule, clock.step, clock.steps, lane["warmup"]
    )
    shared = model.likelihood.shared
    size = math.prod(recipe.blueprint.spec.shape) * valid
    information = shared and (lambda value: size * shared.information(value))
    tx = optimizers.build(
        config.optimizer, lane, rate, recipe.clip, recipe.decay, information
    )
    return recipe.objective.optimizer(tx, model, learning_rate=rate, **hparams)


def _trainable(params: Mapping[str, Any]) -> dict[str, Any]:
    return {"net": params["net"], "extra": params["extra"]}


def init_state(recipe: Recipe, lane: Lane, data: sources.Data) -> TrainState:
    """The lane's state before its first step."""
    model, hparams = bind(recipe, lane, 0, data.output_bias)
    key_net, key_extra = jax.random.split(lane_key(lane, INIT))
    # All over the split, which may be sorted: pseudo-inputs and codebooks start there.
    count = max(recipe.config.batch_size, min(START, recipe.source.pass_size))
    rows = sources.spread(recipe.source.pass_size, count)
    batch = training_batch(recipe, lane, data, rows, 0)
    net = model.init(key_net, batch)
    own = recipe.objective.init(model, net, batch, key_extra, **hparams)
    params = {"net": net, "extra": {}, "state": {}} | own
    opt_state = optimizer(recipe, lane, model, hparams).init(_trainable(params))
    best = params if recipe.config.select == "best" else ()
    return TrainState(params, opt_state, jnp.zeros((), bool), best, jnp.float32(np.inf))


def objective_loss(recipe: Recipe, lane: Lane, params, batch, key, step):
    """loss, metrics and new state of one batch."""
    model, hparams = bind(recipe, lane, step)
    given = jax.tree.map(lambda a: a, params)
    out = recipe.objective.loss(model, given, batch, key, **hparams)
    before, after = jax.tree.flatten(params), jax.tree.flatten(given)
    if before[1] != after[1] or [*map(id, before[0])] != [*map(id, after[0])]:
        raise TypeError("loss changes params in place; it must return the new state")
    loss, metrics = out[:2]
    return loss, metrics, out[2] if len(out) > 2 else params["state"]


def train_step(recipe: Recipe, lane: Lane, state: TrainState, batch, step: Array):
    """One gradient step. Returns the new state and the loss."""
    frozen = state.params["state"]

    def scalar(trainable):
        params = trainable | {"state": frozen}
        key = lane_key(lane, NOISE, step)
        loss, _, new = objective_loss(recipe, lane, params, batch, key, step)
        return loss, new

    trainable = _trainable(state.params)
    (loss, new), grads = jax.value_and_grad(scalar, has_aux=True)(trainable)
    model, hparams = bind(recipe, lane, step)
    valid = 1.0 if batch.length is None else batch.length.mean() / batch.x.shape[1]
    tx = optimizer(recipe, lane, model, hparams, valid)
    updates, opt_state = tx.update(grads, state.opt_state, trainable)
    params = optax.apply_updates(trainable, updates) | {"state": new}
    after = state._replace(params=params, opt_state=opt_state)
    pairs = zip(state._fields, state, after, strict=True)
    if changed := [n for n, a, b in pairs if _kinds(a) != _kinds(b)]:
        raise TypeError(f"a step changes names, types or shapes in its {changed}")
    return after, loss


def _kinds(tree: Any) -> Any:
    """Structure, types and shapes of a tree of arrays."""
    return jax.tree.map(lambda a: f"{a.dtype}{list(a.shape)}", tree)


def _finite(tree: Any) -> Array:
    floats = [a for a in jax.tree.leaves(tree) if jnp.issubdtype(a.dtype, jnp.floating)]
    return jnp.stack([jnp.isfinite(a).all() for a in floats]).all()


def train_steps(
    recipe: Recipe,
    lane: Lane,
    state: TrainState,
    data: sources.Data,
    start: Array,
    stop: Array,
) -> TrainState:
    """Steps start … stop, both at unit boundaries and the same for all lanes."""
    per_pass, unit, size = recipe.pass_steps, recipe.unit, recipe.config.batch_size

    def run_pass(p: Array, state: TrainState) -> TrainState:
        # One sort, where random.permutation takes two; two of n numbers of 32 bits are
        # equal once in 2^33 / n² passes, and then keep their order.
        key = lane_key(lane, ORDER, p)
        order = jnp.argsort(jax.random.bits(key, (recipe.source.pass_size,)))
        first = p * per_pass

        def run_step(step: Array, carry):
            state, total = carry
            rows = jax.lax.dynamic_slice(order, ((step - first) * size,), (size,))
            batch = training_batch(recipe, lane, data, rows, step)
            state, loss = train_step(recipe, lane, state, batch, step)
            return state, total + loss

        def run_unit(u: Array, before: TrainState) -> TrainState:
            low = first + u * unit
            high = jnp.minimum(low + unit, first + per_pass)
            after, total = jax.lax.fori_loop(low, high, run_step, (before, 0.0))
            # Adam's second moment can overflow while loss and parameters stay finite.
            good = _finite((total, after.params, after.opt_state)) & ~before.diverged
            state = jax.tree.map(lambda a, b: jnp.where(good, a, b), after, before)
            return state._replace(diverged=~good)

        low = jnp.maximum(start - first, 0) // unit
        high = -(-jnp.minimum(stop - first, per_pass) // unit)
        return jax.lax.fori_loop(low, high, run_unit, state)

    last = -(-stop // per_pass)
    return jax.lax.fori_loop(start // per_pass, last, run_pass, state)
