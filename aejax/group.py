"""A group: lanes that share one compiled program, and what is known before it runs."""

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import numpy as np

from aejax import config as configs
from aejax import data as datasets
from aejax import lane as lanes
from aejax import likelihoods, train
from aejax import source as sources


class Lane(NamedTuple):
    """One autoencoder of a sweep: its number, its Config, its axis columns in rows."""

    index: int
    config: configs.Config
    columns: dict[str, Any]
    parameters: int


@dataclasses.dataclass(frozen=True)
class Group:
    """Lanes that share one compiled program."""

    index: int
    lanes: tuple[Lane, ...]  # numbered through the whole sweep
    recipe: train.Recipe
    dataset: datasets.Dataset  # as it was loaded

    @property
    def source(self) -> sources.Source:
        """The data set as the program takes it."""
        return self.recipe.source

    @property
    def numbers(self) -> range:
        """Its lanes' numbers in the whole sweep."""
        return range(self.lanes[0].index, self.lanes[0].index + len(self.lanes))

    def traced(self, config: configs.Config) -> dict[str, np.ndarray]:
        """A lane's numbers as the program takes them."""
        values = {n: getattr(config, n) for n in configs.TRACED}
        is_traced = self.recipe.objective.is_traced
        values |= {n: v for n, v in config.hparams.items() if is_traced(n)}
        kinds = {int: np.int32, float: np.float32}
        kind = {n: kinds[type(v)] for n, v in values.items()} | {"seed": np.uint32}
        return {n: np.asarray(v, kind[n]) for n, v in values.items()}

    def state_shapes(self) -> train.TrainState:
        """Shapes of one lane's state, without computing it."""
        return jax.eval_shape(
            lambda values, data: train.init_state(self.recipe, values, data),
            *self._arguments(),
        )

    def _arguments(self) -> tuple[dict[str, np.ndarray], sources.Data]:
        return self.traced(self.recipe.config), self.source.shapes()

    @functools.cached_property
    def metrics(self) -> tuple[str, ...]:
        """Names in the order in which the program returns them."""
        return lanes.metric_names(self.recipe, *self._arguments())

    @property
    def counts_bits(self) -> bool:
        """Whether p(x|z) are probabilities of data elements, of which all count."""
        source, blueprint = self.source, self.recipe.blueprint
        known = likelihoods.LIKELIHOODS[blueprint.likelihood](blueprint.scale)
        binary = source.held_scale == 1 and source.held.x.dtype == np.uint8
        levels = known.support == "levels" or (known.support == "binary" and binary)
        return levels and source.held.length is None

    def state_bytes(self) -> int:
        """Bytes of one lane's state: parameters, optimiser, best parameters."""
        return _size(self.state_shapes())

    def data_bytes(self) -> int:
        """Bytes of what the program reads, on each device."""
        return _size(self.source.shapes())

    def step_bytes(self) -> int:
        """Upper estimate of what one lane's training step needs beside its state.

        The sum of all intermediate results, none of them shared or fused.
        """

        def step(values, state, data):
            rows = np.arange(self.recipe.config.batch_size)
            batch = train.fetch(data.train, rows, self.source.scale)
            return train.train_step(self.recipe, values, state, batch, 0)

        values, data = self._arguments()
        jaxpr = jax.make_jaxpr(step)(values, self.state_shapes(), data)
        return _size([v.aval for e in jaxpr.eqns for v in e.outvars])

    def total_bytes(self, devices: int, lane_batch: int) -> int:
        """Estimate of all lanes on so many devices, ``lane_batch`` of them vmapped."""
        on_each = self.data_bytes() + lane_batch * self.step_bytes()
        return len(self.lanes) * self.state_bytes() + devices * on_each


def _size(tree: Any) -> int:
    leaves = jax.tree.leaves(tree)
    return sum(a.size * a.dtype.itemsize for a in leaves if hasattr(a, "size"))
