"""One lane over the held splits, inside the compiled program; and its whole dispatch.

Means are exact: every example counts once, whatever the batch size. The objective's
own loss is evaluated, at the weights that its schedules end with: what is evaluated at
different steps compares, and the best of them is the best by the objective that counts.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from aejax import model as model_lib
from aejax import source as sources
from aejax import train

SPLITS = ("train", "valid", "test")
LARGEST = 1024  # examples per batch of an evaluation


def held_batches(lengths: tuple[int, ...], largest: int) -> dict[int, np.ndarray]:
    """Cuts the held splits into batches with every example exactly once.

    {batch size: (n, 2) of (start row, split)}, splits in order. As few sizes as can be:
    one that divides every split if there is one not below a quarter of ``largest``,
    otherwise each split's batches differ by one example at most.
    """
    common = int(np.gcd.reduce([n for n in lengths if n] or [1]))
    fits = [d for d in range(1, largest + 1) if common % d == 0]
    batches: dict[int, list] = {}
    at = 0
    for split, n in enumerate(lengths):
        if not n:
            continue
        pieces = n // fits[-1] if fits[-1] * 4 >= min(largest, n) else -(-n // largest)
        for i in range(pieces):
            size = n // pieces + (i < n % pieces)
            batches.setdefault(size, []).append((at, split))
            at += size
    return {size: np.array(rows, np.int32) for size, rows in batches.items()}


def metric_names(
    recipe: train.Recipe, lane: train.Lane, data: sources.Data
) -> tuple[str, ...]:
    """loss, mse and what the objective reports, in the order of ``evaluate``."""

    def first_batch(lane, data):
        params = train.init_state(recipe, lane, data).params
        size = next(iter(held_batches(recipe.source.lengths, LARGEST)))
        return _held_metrics(recipe, lane, params, data, 0, size)

    shapes = jax.eval_shape(first_batch, lane, data)
    if bad := {n: s.shape for n, s in shapes.items() if s.shape}:
        raise ValueError(f"metrics of an objective must be scalars, got {bad}")
    return tuple(sorted(shapes))


def _held_metrics(recipe, lane, params, data: sources.Data, start, size: int):
    """Means over rows start … start + size of the held splits."""
    rows = start + jnp.arange(size)
    batch = train.fetch(data.held, rows, recipe.source.held_scale)
    # A key of its own for each batch, the same at every evaluation: curves compare.
    key = jax.random.fold_in(train.lane_key(lane, train.EVALUATE), start)
    end = recipe.steps
    loss, metrics, _ = train.objective_loss(recipe, lane, params, batch, key, end)
    if {"nll", "kl"} <= metrics.keys():  # whatever the loss adds to them
        metrics = {"neg_elbo": metrics["nll"] + metrics["kl"]} | metrics
    model, hparams = train.bind(recipe, lane, end)
    error = mse(recipe.objective, model, hparams, params, batch).mean()
    return metrics | {"loss": loss, "mse": error}


def mse(objective, model, hparams, params, batch: model_lib.Batch) -> Array:
    """(B,) ``model.error`` of what is decoded from the deterministic code.

    The decoder is not shown x, which teacher forcing would copy.
    """
    z = objective.code(model, params, batch, **hparams)
    return model.error(batch, model.decode(params, z, batch._replace(x=None)))


def evaluate(recipe, lane, params, data: sources.Data, test, names) -> Array:
    """(3, M) exact means over held splits: test's row if ``test``, else the others'.

    Rows not asked for are 0.
    """
    lengths = recipe.source.lengths
    sums = jnp.zeros((len(SPLITS), len(names)))
    for size, batches in held_batches(lengths, LARGEST).items():
        table = jnp.asarray(batches)
        before_test = int((batches[:, 1] < 2).sum())

        def body(i: Array, sums: Array, size=size, table=table) -> Array:
            start, split = table[i, 0], table[i, 1]
            means = _held_metrics(recipe, lane, params, data, start, size)
            return sums.at[split].add(size * jnp.stack([means[n] for n in names]))

        low = jnp.where(test, before_test, 0)
        high = jnp.where(test, len(batches), before_test)
        sums = jax.lax.fori_loop(low, high, body, sums)
    return sums / jnp.maximum(jnp.asarray(lengths, jnp.float32), 1.0)[:, None]


def advance(
    recipe: train.Recipe,
    lane: train.Lane,
    state: train.TrainState,
    data: sources.Data,
    start: Array,
    stop: Array,
    which: Array,
    names: tuple[str, ...],
) -> tuple[train.TrainState, Array]:
    """One dispatch of one lane: initialise, train, evaluate.

    From step ``start``, where -1 initialises first, to ``stop``, both shared by all
    lanes. ``which`` is 0 for no evaluation, 1 for train and valid, 2 for test with the
    selected parameters; ``names`` are from ``metric_names``. Returns the new state, and
    the metrics of ``evaluate``.
    """
    state = jax.lax.cond(
        start < 0, lambda s: train.init_state(recipe, lane, data), lambda s: s, state
    )
    state = train.train_steps(recipe, lane, state, data, jnp.maximum(start, 0), stop)
    test = which == 2
    params, keep_best = state.params, recipe.config.select == "best"
    if keep_best:
        params = jax.tree.map(lambda a, b: jnp.where(test, a, b), state.best, params)
    sums = jax.lax.cond(
        which > 0,
        lambda: evaluate(recipe, lane, params, data, test, names),
        lambda: jnp.zeros((len(SPLITS), len(names))),
    )
    if keep_best:
        loss = sums[1, names.index("loss")]
        better = (which == 1) & (loss < state.best_loss)
        best = jax.tree.map(
            lambda a, b: jnp.where(better, a, b), state.params, state.best
        )
        low = jnp.where(better, loss, state.best_loss)
        state = state._replace(best=best, best_loss=low)
    return state, sums
