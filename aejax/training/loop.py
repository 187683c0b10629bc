"""What a program does with one member between two calls: initialise, train, evaluate.

A member whose loss or parameters stop being finite is put back to its chunk's start and
frozen there; calls begin and end at chunks only. Means over evaluated splits are exact:
every example counts once, whatever the batch size.
"""

import enum

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from aejax import data as datasets
from aejax.training import member as members
from aejax.training import source as sources
from aejax.training import spec as specs

LARGEST = 1024  # examples per batch of an evaluation
Metrics = dict[str, Array]  # {name: (3,) of the splits}


class Phase(enum.IntEnum):
    """What follows the steps of a call."""

    TRAIN = 0  # nothing
    EVALUATE = 1  # on train and valid
    TEST = 2  # on test, with the selected parameters

    @property
    def splits(self) -> tuple[str, ...]:
        """Those that are evaluated."""
        ends = {Phase.TRAIN: (0, 0), Phase.EVALUATE: (0, 2), Phase.TEST: (2, 3)}
        return datasets.SPLITS[slice(*ends[self])]


def batches(lengths: tuple[int, ...], largest: int) -> dict[int, np.ndarray]:
    """Cuts the evaluated splits into batches with every example exactly once.

    {batch size: (n, 2) of (start row, split)}, splits in order. As few sizes as can be:
    one that divides every split if there is one not below a quarter of ``largest``,
    otherwise each split's batches differ by one example at most.
    """
    common = int(np.gcd.reduce([n for n in lengths if n] or [1]))
    fits = [d for d in range(1, largest + 1) if common % d == 0]
    cut: dict[int, list] = {}
    row = 0
    for split, n in enumerate(lengths):
        if not n:
            continue
        pieces = n // fits[-1] if fits[-1] * 4 >= min(largest, n) else -(-n // largest)
        for i in range(pieces):
            size = n // pieces + (i < n % pieces)
            cut.setdefault(size, []).append((row, split))
            row += size
    return {size: np.array(starts, np.int32) for size, starts in cut.items()}


def metric_shapes(
    spec: specs.TrainSpec, params, hparams: members.Hparams, data: sources.Data
) -> Metrics:
    """Shapes and types of what an evaluation of parameters of these shapes returns."""
    size = next(iter(batches(spec.data.lengths, LARGEST)))

    def first_batch(params, hparams, data):
        member = members.member(spec, hparams, data)
        rows = jnp.arange(size)
        batch = members.fetch(data.evaluated, rows, spec.scales[1])
        return member.evaluate(params, batch, 0)

    shapes = jax.eval_shape(first_batch, params, hparams, data)
    if wrong := {n: s.shape for n, s in shapes.items() if s.shape}:
        raise ValueError(f"metrics of an objective must be scalars, got {wrong}")
    return {
        n: jax.ShapeDtypeStruct((len(datasets.SPLITS),), jnp.float32)
        for n in sorted(shapes)
    }


def evaluate(
    spec: specs.TrainSpec,
    member: members.Member,
    params,
    data: sources.Data,
    test: Array,
    zeros: Metrics,
) -> Metrics:
    """Exact means over splits: test's if ``test``, else the others'; the rest is 0."""
    # One array in the loop, and a tree again after it: XLA:CPU rounds otherwise where
    # each metric is added up by itself.
    lengths, names = spec.data.lengths, list(zeros)
    sums = jnp.stack(list(zeros.values()), axis=1)
    for size, starts in batches(lengths, LARGEST).items():
        table = jnp.asarray(starts)
        before_test = int((starts[:, 1] < 2).sum())

        def body(i: Array, sums: Array, size=size, table=table) -> Array:
            start, split = table[i, 0], table[i, 1]
            rows = start + jnp.arange(size)
            batch = members.fetch(data.evaluated, rows, spec.scales[1])
            means = member.evaluate(params, batch, start)
            return sums.at[split].add(size * jnp.stack([means[n] for n in names]))

        low = jnp.where(test, before_test, 0)
        high = jnp.where(test, len(starts), before_test)
        sums = jax.lax.fori_loop(low, high, body, sums)
    means = sums / jnp.maximum(jnp.asarray(lengths, jnp.float32), 1.0)[:, None]
    return dict(zip(names, means.T, strict=True))


def train(
    spec: specs.TrainSpec,
    member: members.Member,
    state: members.TrainState,
    start: Array,
    stop: Array,
) -> members.TrainState:
    """Steps start … stop, both at ends of chunks and the same for all members."""
    block_steps, chunk, size = spec.block_steps, spec.chunk, spec.config.batch_size

    def run_block(number: Array, state: members.TrainState) -> members.TrainState:
        # One sort, where random.permutation takes two; two of n numbers of 32 bits are
        # equal once in 2^33 / n² blocks, and then keep their order.
        bits = jax.random.bits(
            member.key(members.ORDER, number), (spec.data.block_size,)
        )
        order = jnp.argsort(bits)
        first = number * block_steps

        def run_step(step: Array, carry):
            state, total = carry
            rows = jax.lax.dynamic_slice(order, ((step - first) * size,), (size,))
            state, loss = member.step(state, member.batch(rows, step), step)
            return state, total + loss

        def run_chunk(number: Array, before: members.TrainState):
            low = first + number * chunk
            high = jnp.minimum(low + chunk, first + block_steps)
            after, total = jax.lax.fori_loop(low, high, run_step, (before, 0.0))
            # Adam's second moment can overflow while loss and parameters stay finite.
            good = _finite((total, after.params, after.opt_state)) & ~before.diverged
            state = jax.tree.map(lambda a, b: jnp.where(good, a, b), after, before)
            return state._replace(diverged=~good)

        low = jnp.maximum(start - first, 0) // chunk
        high = -(-jnp.minimum(stop - first, block_steps) // chunk)
        return jax.lax.fori_loop(low, high, run_chunk, state)

    end = -(-stop // block_steps)
    return jax.lax.fori_loop(start // block_steps, end, run_block, state)


def _finite(tree) -> Array:
    floats = [a for a in jax.tree.leaves(tree) if jnp.issubdtype(a.dtype, jnp.floating)]
    return jnp.stack([jnp.isfinite(a).all() for a in floats]).all()


def advance(
    spec: specs.TrainSpec,
    member: members.Member,
    state: members.TrainState,
    data: sources.Data,
    start: Array,
    stop: Array,
    phase: Array,
    metrics: Metrics,
) -> tuple[members.TrainState, Metrics]:
    """One call for one member: initialise, train, evaluate.

    From step ``start``, where -1 initialises first, to ``stop``, both shared by all
    members. ``phase`` is one of ``Phase``; ``metrics`` are ``metric_shapes``. Returns
    the new state, and what was evaluated.
    """
    state = jax.lax.cond(start < 0, lambda s: member.init(), lambda s: s, state)
    state = train(spec, member, state, jnp.maximum(start, 0), stop)
    test = phase == Phase.TEST
    params, keep_best = state.params, spec.config.select == "best"
    if keep_best:
        params = jax.tree.map(lambda a, b: jnp.where(test, a, b), state.best, params)
    zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), metrics)
    means = jax.lax.cond(
        phase > Phase.TRAIN,
        lambda: evaluate(spec, member, params, data, test, zeros),
        lambda: zeros,
    )
    if keep_best:
        loss = means["loss"][datasets.SPLITS.index("valid")]
        better = (phase == Phase.EVALUATE) & (loss < state.best_loss)
        best = jax.tree.map(
            lambda a, b: jnp.where(better, a, b), state.params, state.best
        )
        low = jnp.where(better, loss, state.best_loss)
        state = state._replace(best=best, best_loss=low)
    return state, means
