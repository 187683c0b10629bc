"""A sweep from its first program to its last: a generator of events.

It writes nothing and decides nothing: who reads the events writes rows, checkpoints and
progress, and closes the generator to stop.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent import futures
from typing import Any, NamedTuple

import numpy as np

from aejax import data as datasets
from aejax.registry import guard
from aejax.runs import dispatch, plan
from aejax.training import population as populations
from aejax.training import program as programs
from aejax.training import source as sources
from aejax.training import stream as streams
from aejax.training.loop import Phase

# An evaluation costs about a third of a training step per example: it has no backward
# pass.
EVALUATION = 1 / 3


class Compiled(NamedTuple):
    """A program is there, and is the next to run."""

    program: programs.Program


class Advanced(NamedTuple):
    """A call of a program has ended.

    Attributes:
      step: where its members stand; None if only some of them have got so far.
      seconds: of the call.
      steps: that all its members have done together in it.
    """

    program: programs.Program
    phase: Phase
    step: int | None
    seconds: float
    steps: int


class Evaluated(NamedTuple):
    """All members were evaluated at a step, on the splits of a phase.

    ``metrics`` are {name: (members, 3)}, ``diverged`` (members,).
    """

    program: programs.Program
    step: int
    phase: Phase
    metrics: Mapping[str, np.ndarray]
    diverged: np.ndarray


class Finished(NamedTuple):
    """A population is trained and tested: {"params", "diverged"}, host arrays."""

    program: programs.Program
    final: Mapping[str, Any]


Event = Compiled | Advanced | Evaluated | Finished


def run(
    planned: plan.Plan,
    states: dict[int, tuple[Any, int]],
    build: Callable[[populations.Population], programs.Program],
) -> Iterator[Event]:
    """Compiles and trains the populations of ``states``, one after the other.

    ``states`` are {index: (host state or None, its step or -1)}; each is let go of when
    its population's turn comes. ``build`` compiles a population's program, or has it.
    """
    todo = [p for p in planned.populations if p.index in states]
    with futures.ThreadPoolExecutor(2) as pool:
        built = {}
        for population in todo:
            built[population.index] = pool.submit(build, population)
            # The first has the machine to itself: it trains while the others
            # compile, and tracing holds Python's lock.
            futures.wait(list(built.values())[:1])
        try:
            for population in todo:
                program = built.pop(population.index).result()
                state, step = states.pop(population.index)
                program.place(state, population)
                yield Compiled(program)
                source = planned.sources.source(population.spec)
                yield from _train(program, source, step)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _train(
    program: programs.Program, source: sources.Source, step: int
) -> Iterator[Event]:
    """From ``step``, where -1 is before the first, to the last, and the test."""
    spec = program.population.spec
    stream = streams.Stream(program, source)
    pace = dispatch.Pace(spec.chunk, spec.block_steps, program.batches)
    interval = spec.config.eval_every * spec.epoch_steps
    try:
        while step < spec.steps:
            start = max(step, 0)
            goal = min(spec.steps, (start // interval + 1) * interval)
            block = start // spec.block_steps
            bound = goal
            if spec.data.blocks > 1:
                bound = min(goal, (block + 1) * spec.block_steps)
            stop = pace.next_stop(start, bound)
            phase = Phase.EVALUATE if stop == goal else Phase.TRAIN
            yield from _call(program, pace, stream(block), (step, stop), phase)
            step = stop
        yield from _call(program, pace, stream.last, (step, step), Phase.TEST)
        state = program.host_state()
        params = state.best or state.params
        yield Finished(program, {"params": params, "diverged": state.diverged})
    finally:
        stream.close()


def _call(program, pace, data, steps: tuple[int, int], phase: Phase) -> Iterator[Event]:
    """All members from one step to another, in as many calls as are due."""
    spec, (start, stop) = program.population.spec, steps
    lengths = dict(zip(datasets.SPLITS, spec.data.lengths, strict=True))
    rows = sum(lengths[split] for split in phase.splits)
    steps = stop - max(start, 0)
    work = steps + EVALUATION * rows / spec.config.batch_size
    files = {n: getattr(spec.config, n) for n in ("objective", "network")}
    metrics, diverged, low = {}, None, 0
    while low < program.batches:
        batches = pace.next_batches(low, work)
        began = time.perf_counter()
        with guard.blamed("its program fails", **files):
            some, diverged = program.advance(data, start, stop, phase, batches)
        seconds = time.perf_counter() - began
        pace.learn(seconds, len(batches), work)
        low = batches.stop
        # Members of other batches have 0.
        metrics = {n: metrics.get(n, 0.0) + a for n, a in some.items()}
        if low < program.batches:
            yield Advanced(program, phase, None, seconds, 0)
    if phase.splits:
        yield Evaluated(program, stop, phase, metrics, diverged)
    steps *= len(program.population.members)
    yield Advanced(program, phase, stop, seconds, steps)
