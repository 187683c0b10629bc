"""A group: lanes that share one compiled program, and what is known before it runs."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from aejax import config as configs
from aejax import data as datasets
from aejax import lane as lanes
from aejax import likelihoods, networks, objectives, registry, train
from aejax import model as model_lib
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
        return self._state_shapes

    @functools.cached_property
    def _state_shapes(self) -> train.TrainState:  # asked for by many, and traced
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


def build(
    index: int,
    members: Sequence[configs.Config],
    objective: objectives.Objective,
    network: networks.Entry,
    prepare: Callable,
) -> Group:
    """The group of these lanes, without its ``lanes``.

    Raises:
      InputError: objective, network, data and numbers that do not fit together.
    """
    config = members[0]
    sequence = "sequence" in objective.needs | network.needs
    dataset, source, mean = prepare(config.dataset, config.binarize, sequence)
    auto = config.likelihood == "auto"
    likelihood = dataset.likelihood if auto else config.likelihood
    if config.binarize != "threshold":
        drawn = config.binarize == "dynamic"
        datasets.check_likelihood(dataset, "bernoulli" if drawn else likelihood)
    _check_fit(config, objective, network, dataset, source)
    options = {n: config.hparams[n] for n in network.options}
    hp = {n: config.hparams[n] for n in objective.defaults}
    observed = likelihoods.LIKELIHOODS[likelihood](source.held_scale)
    spec = networks.Spec(
        shape=dataset.train.x.shape[1:],
        outputs=observed.outputs,
        latent_dim=max(c.latent_dim for c in members),
        heads=_number(objective.heads, hp),
        inputs=_number(objective.inputs, hp),
        hidden=config.hidden,
        activation=config.activation,
        init=config.init,
        dtype=model_lib.compute_dtype(config.precision),
        num_classes=dataset.num_classes if "labels" in objective.needs else 0,
        captions="labels" in objective.needs and dataset.train.y.ndim == 2,
        mean=observed.mean,
    )
    if reason := network.check(spec, **options):
        raise configs.InputError(f"network '{config.network}': {reason}")
    blueprint = model_lib.Blueprint(
        network, spec, likelihood, source.held_scale, options
    )
    if "stages" in objective.needs and (
        spec.num_classes or not blueprint.build().stages
    ):
        raise configs.InputError(
            f"objective '{config.objective}' trains layer by layer: it needs a network "
            "with stages, which are not shown labels; use --network mlp"
        )
    if config.output_bias == "mean":
        if observed.from_mean is None:
            raise configs.InputError(
                f"--output-bias mean: values of likelihood '{likelihood}' have no mean"
            )
        bias = model_lib.output_mean(blueprint, mean())
        source = source._replace(output_bias=bias)
    clip = any(c.clip_norm > 0 for c in members)
    decay = any(c.weight_decay > 0 for c in members)
    recipe = train.Recipe(config, objective, blueprint, source, clip, decay)
    return Group(index, (), recipe, dataset)


def _number(value: Any, hp: Mapping[str, Any]) -> int:
    return int(value(**hp)) if callable(value) else value


def _check_fit(config, objective, network, dataset, source: sources.Source) -> None:
    """Refuses pairs that make no sense, with the reason."""
    n, size = source.pass_size, config.batch_size
    if size > n:
        what = "a streamed block" if source.blocks > 1 else "the training split"
        raise configs.InputError(
            f"batch_size is {size}, but {what} of '{registry.label(config.dataset)}' "
            f"has {n} examples; use --batch-size {n} or less"
        )
    steps = config.epochs * (n // size) * source.blocks
    if steps > configs.MOST:
        raise configs.InputError(
            f"{config.epochs:,} epochs of '{registry.label(config.dataset)}' are "
            f"{steps:,} steps; {configs.MOST:,} are the most"
        )
    if config.select == "best" and not len(dataset.valid.x):
        raise configs.InputError("--select best needs a validation split")
    shape, y = dataset.train.x.shape[1:], dataset.train.y
    lacking = {
        "labels": y is None and "labels",
        "images": len(shape) != 3 and "images (H, W, C)",
        "sequence": len(shape) != 2 and "sequences (T, F)",
    }
    for kind, entry in ("objective", objective), ("network", network):
        for what in filter(None, (lacking.get(n) for n in entry.needs)):
            raise configs.InputError(
                f"{kind} '{getattr(config, kind)}' needs {what}; examples of data set "
                f"'{config.dataset}' are {shape}, {'without' if y is None else 'with'} "
                f"labels; use another --{kind}"
            )
