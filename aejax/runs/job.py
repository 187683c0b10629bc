"""A sweep from its first program to its last: a generator of events.

It writes nothing and decides nothing: who reads the events writes rows, checkpoints and
progress, and closes the generator to stop.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent import futures
from typing import Any, NamedTuple

import jax
import numpy as np

from aejax import data as datasets
from aejax.registry import guard
from aejax.runs import dispatch, halving, plan
from aejax.training import population as populations
from aejax.training import program as programs
from aejax.training import source as sources
from aejax.training import stream as streams
from aejax.training.loop import Phase

# An evaluation costs about a third of a training step per example: it has no backward
# pass.
EVALUATION = 1 / 3


class Compiled(NamedTuple):
    """A program is there, and is the next to run, with the members that it holds."""

    program: programs.Program


class Advanced(NamedTuple):
    """A call of a program has ended.

    Attributes:
      step: where its members stand; None if only some of them have got so far.
      seconds: of the call.
      steps: that all its members have done together in it.
      state: gives the host state of the whole population, to be saved.
    """

    program: programs.Program
    phase: Phase
    step: int | None
    seconds: float
    steps: int
    state: Callable[[], Any]


class Evaluated(NamedTuple):
    """All members were evaluated at a step, on the splits of a phase.

    ``metrics`` are {name: (members, 3)}, ``diverged`` (members,).
    """

    program: programs.Program
    step: int
    phase: Phase
    metrics: Mapping[str, np.ndarray]
    diverged: np.ndarray


class Paused(NamedTuple):
    """A population waits at a rung for the others; the host state of all members."""

    program: programs.Program
    step: int
    state: Any


class Finished(NamedTuple):
    """A population is trained and tested: {"params", "diverged"}, host arrays."""

    program: programs.Program
    final: Mapping[str, Any]


Event = Compiled | Advanced | Evaluated | Paused | Finished


def run(
    planned: plan.Plan,
    states: dict[int, tuple[Any, int]],
    build: Callable[[populations.Population], programs.Program],
    race: halving.Race | None = None,
) -> Iterator[Event]:
    """Compiles and trains the populations of ``states``, one after the other.

    ``states`` are {index: (host state or None, its step or -1)}; each is let go of when
    its population's last turn comes. ``build`` compiles a population's program, or has
    it. In a ``race`` each has a turn before every rung, with the members that are left.
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
            rungs = race.epochs if race else ()
            for epoch in (*rungs, *[None] * (race is None or race.ends)):
                for population in todo:
                    index, spec = population.index, population.spec
                    goal = spec.steps if epoch is None else epoch * spec.epoch_steps
                    if epoch is not None and states[index][1] >= goal:
                        continue  # an earlier part of the run has got there
                    take = built.pop if epoch is None else built.get
                    turn = Turn(take(index).result(), population, *states.pop(index))
                    if race:
                        turn.places = race.alive(population)
                    yield from turn.run(planned.sources.source(spec), goal)
                    if epoch is not None:
                        states[index] = turn.state, goal
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


class Turn:
    """Members of one population from one step to another.

    Attributes:
      places: of those that are trained; the others stay what they are.
      state: of all members, on the host.
    """

    def __init__(
        self,
        program: programs.Program,
        population: populations.Population,
        state: Any,
        step: int,
    ):
        self.program, self.state, self.step = program, state, step
        self._population = population
        self.places = list(range(len(population.members)))

    def run(self, source: sources.Source, goal: int) -> Iterator[Event]:
        """Trains to a step; if it is the last one the members are tested."""
        program, population, places = self.program, self._population, self.places
        if len(places) < len(population.members):
            population = population.part(places)
        last = goal == population.spec.steps
        if places:
            some = self.state
            if some is not None and population is not self._population:
                some = jax.tree.map(lambda a: a[places], some)
            program.place(some, population)
            if population is self._population:
                self.state = None  # a copy on the host for nothing
            yield Compiled(program)
            yield from self._train(source, goal, last)
            self.state = self.host_state()
        if not last:
            yield Paused(program, goal, self.state)
            return
        params = self.state.best or self.state.params
        yield Finished(program, {"params": params, "diverged": self.state.diverged})

    def host_state(self) -> Any:
        """Of all members, as they are now."""
        now = self.program.host_state()
        if len(self.places) == len(self._population.members):
            return now
        whole = jax.tree.map(np.copy, self.state)
        for old, new in zip(*map(jax.tree.leaves, (whole, now)), strict=True):
            old[self.places] = new
        return whole

    def _train(self, source: sources.Source, goal: int, last: bool) -> Iterator[Event]:
        program, spec, step = self.program, self._population.spec, self.step
        stream = streams.Stream(program, source)
        pace = dispatch.Pace(spec.chunk, spec.block_steps, program.batches)
        interval = spec.config.eval_every * spec.epoch_steps
        try:
            while step < goal:
                start = max(step, 0)
                due = min(spec.steps, (start // interval + 1) * interval)
                block = start // spec.block_steps
                bound = due
                if spec.data.blocks > 1:
                    bound = min(due, (block + 1) * spec.block_steps)
                stop = pace.next_stop(start, bound)
                phase = Phase.EVALUATE if stop == due else Phase.TRAIN
                yield from self._call(pace, stream(block), (step, stop), phase)
                step = stop
            if last:
                data = stream(max(step - 1, 0) // spec.block_steps)
                yield from self._call(pace, data, (step, step), Phase.TEST)
        finally:
            stream.close()

    def _call(self, pace, data, steps: tuple[int, int], phase: Phase):
        """All members from one step to another, in as many calls as are due."""
        program, (start, stop) = self.program, steps
        spec = program.population.spec
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
                yield Advanced(program, phase, None, seconds, 0, self.host_state)
        if phase.splits:
            yield Evaluated(program, stop, phase, metrics, diverged)
        steps *= len(program.population.members)
        yield Advanced(program, phase, stop, seconds, steps, self.host_state)
