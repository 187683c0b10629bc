"""A population: members that share one compiled program; what is known before it runs.

Nothing here has data or touches a device: a population is written to run.json.
"""

import dataclasses
import functools
from collections.abc import Iterable
from typing import Any, NamedTuple

import jax
import numpy as np

from aejax import config as configs
from aejax.training import loop
from aejax.training import member as members
from aejax.training import source as sources
from aejax.training import spec as specs


class MemberSpec(NamedTuple):
    """One autoencoder of a sweep: its number, its Config, its axis columns in rows."""

    index: int
    config: configs.Config
    columns: dict[str, Any]
    parameters: int


@dataclasses.dataclass(frozen=True, eq=False)
class Population:
    """Members that share one compiled program."""

    index: int
    members: tuple[MemberSpec, ...]  # numbered through the whole sweep
    spec: specs.TrainSpec
    known: members.TrainState | None = None  # its state_shapes, if traced before
    whole: "Population | None" = None  # what it is a part of

    @property
    def numbers(self) -> range:
        """Its members' numbers in the whole sweep, if it is no chosen part."""
        first = self.members[0].index
        return range(first, first + len(self.members))

    def part(self, places: Iterable[int]) -> "Population":
        """The members at these places: what they compute stays the same."""
        some = tuple(self.members[i] for i in places)
        return Population(self.index, some, self.spec, whole=self.whole or self)

    @functools.cached_property
    def state_shapes(self) -> members.TrainState:
        """Shapes of one member's state, without computing it."""
        if self.whole:  # traced once
            return self.whole.state_shapes
        return self.known or jax.eval_shape(
            lambda *a: self._member(*a).init(), *self._arguments()
        )

    def _member(self, hparams: Any, data: sources.Data) -> members.Member:
        return members.member(self.spec, hparams, data)

    def _arguments(self) -> tuple[dict[str, np.ndarray], sources.Data]:
        return self.spec.hparams(self.spec.config), self.spec.shapes()

    @functools.cached_property
    def metrics(self) -> loop.Metrics:
        """Shapes and types of what the program's evaluations return."""
        if self.whole:
            return self.whole.metrics
        params = self.state_shapes.params
        return loop.metric_shapes(self.spec, params, *self._arguments())

    def state_bytes(self) -> int:
        """Bytes of one member's state: parameters, optimiser, best parameters."""
        return _size(self.state_shapes)

    def data_bytes(self) -> int:
        """Bytes of what the program reads, on each device."""
        return _size(self.spec.shapes())

    def step_bytes(self) -> int:
        """Upper estimate of what one member's step needs beside its state.

        The sum of all intermediate results, none of them shared or fused.
        """

        def step(hparams, state, data):
            member = self._member(hparams, data)
            rows = np.arange(self.spec.config.batch_size)
            batch = members.fetch(data.train, rows, self.spec.scales[0])
            return member.step(state, batch, 0)

        hparams, data = self._arguments()
        jaxpr = jax.make_jaxpr(step)(hparams, self.state_shapes, data)
        return _size([v.aval for e in jaxpr.eqns for v in e.outvars])

    def total_bytes(self, devices: int, vmap: int) -> int:
        """Estimate of all members on so many devices, ``vmap`` of them at a time."""
        shared = self.spec.config.data_parallel  # each holds a copy of the state
        on_each = self.data_bytes() + vmap * self.step_bytes() // shared
        states = shared * len(self.members) * self.state_bytes()
        return states + devices * on_each


def _size(tree: Any) -> int:
    leaves = jax.tree.leaves(tree)
    return sum(a.size * a.dtype.itemsize for a in leaves if hasattr(a, "size"))
