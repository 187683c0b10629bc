"""Arrays -> trained models: a population's programs, and other arrays for them."""

import contextlib
import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from aejax import autoencoder, settings
from aejax import config as configs
from aejax import data as datasets
from aejax.runs import faults, job, plan, sources
from aejax.training import program as programs

NAME = "X"  # of the data set in messages


class Trainer:
    """Trains every combination of the axes, again and again on data of one shape.

    What is compiled for the first data serves all others: they are arguments of the
    programs. So folds of a cross-validation are trained by the same programs.

    Attributes:
      configs: of the members, in the order in which ``train`` gives them.
      functions: ``functions`` of each program's spec.
    """

    def __init__(self, config: configs.Config, axes: Mapping[str, Sequence[Any]]):
        self._config, self._axes = config.replace(dataset=NAME), axes
        self._populations: tuple[Any, ...] = ()
        self._programs: dict[int, programs.Program] = {}
        self.functions: list[dict[str, Any]] = []
        self.configs: list[configs.Config] = []

    @settings.usual()
    def train(self, data: datasets.Dataset) -> list[autoencoder.Autoencoder | None]:
        """The members' models; None of those that have diverged.

        Raises:
          InputError: settings and data that do not fit together.
        """
        loaded = sources.Sources(load=lambda name: data)
        if not self._populations:
            with in_python():
                planned = plan.plan(self._config, self._axes, loaded)
            self._populations = planned.populations
            faults.check_memory(self._populations, jax.devices())
            specs = [p.spec for p in self._populations]
            self.functions = [functions(spec) for spec in specs]
            self.configs = [m.config for p in self._populations for m in p.members]
        planned = plan.Plan(self._populations, loaded)
        fresh = {p.index: (None, -1) for p in self._populations}
        models: list[autoencoder.Autoencoder | None] = []
        with faults.explained(None):
            for event in job.run(planned, fresh, self._program):
                if isinstance(event, job.Finished):
                    models += self._models(event, loaded)
        return models

    def _program(self, population) -> programs.Program:
        index = population.index
        if index not in self._programs:
            self._programs[index] = programs.Program(population, jax.devices())
        return self._programs[index]

    def _models(self, event: job.Finished, loaded) -> list[Any]:
        population = event.program.population
        source = functools.partial(loaded.source, population.spec)

        def model(place: int) -> autoencoder.Autoencoder | None:
            if event.final["diverged"][place]:
                return None
            params = jax.tree.map(lambda a: a[place], event.final["params"])
            return autoencoder.Autoencoder(
                population.spec,
                population.members[place].config,
                params,
                self.functions[population.index],
                population.spec.steps,
                source,
            )

        return [model(place) for place in range(len(population.members))]


@contextlib.contextmanager
def in_python() -> Iterator[None]:
    """Names parameters by their names, where a message names a command's flags."""
    try:
        yield
    except configs.InputError as error:
        flag = re.compile("--([a-z][a-z-]*)")
        text = flag.sub(lambda match: match[1].replace("-", "_"), str(error))
        raise configs.InputError(text) from error


def functions(spec: Any) -> dict[str, Any]:
    """``autoencoder.functions``, and log p(x) by rows if the objective has one."""
    known = autoencoder.functions(spec)
    if spec.objective.log_weight is None:
        return known

    def rows_log_likelihood(model, hparams, params, draws, keys, x):
        def draw(key, row):
            batch = model.batch(row[None])
            return spec.objective.log_weight(model, params, batch, key, **hparams)[0]

        def row(seed, row):
            keys = jax.random.split(jax.random.key(seed), len(draws))
            weights = jax.vmap(draw, (0, None))(keys, row)
            return jax.nn.logsumexp(weights) - jnp.log(len(draws))

        return jax.vmap(row)(keys, x)

    known["rows_log_likelihood"] = autoencoder.bound(spec, rows_log_likelihood)
    return known
