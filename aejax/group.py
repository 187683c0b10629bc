"""A group: lanes that share one compiled program, and what is known before it runs."""

from typing import Any, NamedTuple

import jax
import numpy as np

from aejax import config as configs
from aejax import data as datasets
from aejax import lane as lanes
from aejax import source as sources
from aejax import train


class Lane(NamedTuple):
    """One autoencoder of a sweep: its number, its Config, its axis columns in rows."""

    index: int
    config: configs.Config
    columns: dict[str, Any]
    parameters: int


class Group(NamedTuple):
    """Lanes that share one compiled program.

    Attributes:
      index: of the group.
      lanes: its lanes, numbered through the whole sweep.
      recipe: the program's static facts.
      dataset: what it trains on, and ``source`` as the program takes it.
      source: host arrays.
    """

    index: int
    lanes: tuple[Lane, ...]
    recipe: train.Recipe
    dataset: datasets.Dataset
    source: sources.Source

    @property
    def epoch_steps(self) -> int:
        """Steps of one epoch, over all blocks."""
        return self.recipe.pass_steps * self.source.blocks

    def traced(self, lane: Lane) -> dict[str, np.ndarray]:
        """The lane's numbers as the program takes them."""
        config, out = lane.config, {}
        for name in configs.TRACED:
            value = getattr(config, name)
            kind = np.int32 if isinstance(value, int) else np.float32
            out[name] = np.asarray(value, np.uint32 if name == "seed" else kind)
        defaults = self.recipe.objective.defaults
        for name in self.recipe.traced:
            kind = np.int32 if isinstance(defaults[name], int) else np.float32
            out[name] = np.asarray(config.hparams[name], kind)
        return out

    def state_shapes(self) -> train.TrainState:
        """Shapes of one lane's state, without computing it."""
        return jax.eval_shape(
            lambda values, data: train.init_state(self.recipe, values, data),
            self.traced(self.lanes[0]),
            self.source.shapes(),
        )

    def metric_names(self) -> tuple[str, ...]:
        """Metrics in the order in which the program returns them."""
        return lanes.metric_names(
            self.recipe, self.traced(self.lanes[0]), self.source.shapes()
        )

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
        shapes = self.source.shapes()

        def step(values, state, data):
            batch = train.fetch(
                self.recipe, data.train, np.arange(self.recipe.batch_size), None
            )
            return train.train_step(self.recipe, values, state, batch, 0)

        values = self.traced(self.lanes[0])
        jaxpr = jax.make_jaxpr(step)(values, self.state_shapes(), shapes)
        return _size([v.aval for e in jaxpr.eqns for v in e.outvars])


def _size(tree: Any) -> int:
    leaves = jax.tree.leaves(tree)
    return sum(a.size * a.dtype.itemsize for a in leaves if hasattr(a, "size"))
