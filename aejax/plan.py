"""A configuration and its axes -> groups, one program each, of lanes."""

import collections
import dataclasses
import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from aejax import config as configs
from aejax import data as datasets
from aejax import group as groups
from aejax import model as model_lib
from aejax import networks, objectives, outside, registry
from aejax import source as sources

# Training data above this many bytes stays on the host and streams in blocks.
RESIDENT_BYTES = 1 << 30
# Operations that a further program has to save: a minute of two CPU cores, which
# compile it in five seconds.
PROGRAM = 1e13
MEMBERS = 100_000  # combinations of one sweep, at most


def hyperparameters(names: Sequence[str], nets: Sequence[str]) -> dict[str, Any]:
    """{name: default} of what these objectives and networks can be given beside Config.

    Raises:
      InputError: an objective and a network have one of the same name.
    """
    own = {n: v for o in names for n, v in objectives.OBJECTIVES[o].defaults.items()}
    options = {n: v for o in nets for n, v in networks.NETWORKS[o].options.items()}
    if both := set(own) & set(options):
        raise configs.InputError(
            f"objective and network both have a hyperparameter named {sorted(both)}"
        )
    return own | options


def without_unused(
    config: configs.Config, axes: Mapping[str, Sequence[Any]]
) -> configs.Config:
    """``config`` less hyperparameters of no objective and network that is asked for.

    Of a preset, which suits several; what a user names has to exist.
    """
    names = axes.get("objective", [config.objective])
    known = hyperparameters(names, axes.get("network", [config.network]))
    own = {n: v for n, v in config.hparams.items() if n in known}
    return config.replace(hparams=own)


@model_lib.usual_settings()
def plan(
    config: configs.Config,
    axes: Mapping[str, Sequence[Any]],
    resident: int = RESIDENT_BYTES,
) -> list[groups.Group]:
    """Splits every combination of the axes into groups of lanes, all checked.

    Args:
      config: values of everything that is not swept.
      axes: {field of Config or hyperparameter: values}.
      resident: bytes of training data above which it streams.

    Returns:
      Groups in the order of the axes, then of latent sizes that are programs of their
      own; lanes are numbered through all of them.

    Raises:
      InputError: an unknown name, a value out of range, a pair that does not fit.
    """
    axes, hparams = _checked(config, axes)
    load = functools.cache(datasets.load)

    @functools.cache
    def prepare(name: str, binarize: str, sequence: bool) -> tuple:
        """A data set, its Source and its mean, once for all groups that share them."""
        dataset = _as_sequences(load(name)) if sequence else load(name)
        source = sources.source(dataset, binarize, resident)
        return dataset, source, functools.cache(lambda: sources.training_mean(source))

    planned: list[groups.Group] = []
    count = 0
    fields = {n: v for n, v in axes.items() if n in configs.STATIC}
    for fixed in configs.product(fields):
        base = config.replace(hparams={}, **fixed)
        objective = objectives.OBJECTIVES[base.objective]
        network = networks.NETWORKS[base.network]
        own = objective.defaults | network.options
        own |= {n: v for n, v in config.hparams.items() if n in own}
        mine = {n: v for n, v in axes.items() if n in own or n in configs.TRACED}
        moving = [n for n in mine if n in configs.TRACED or objective.is_traced(n)]
        given = {*config.hparams, *axes}
        told = "one training step, or its evaluation, cannot be traced"
        with outside.blamed(told, objective=base.objective, network=base.network):
            fixed = {n: v for n, v in mine.items() if n not in moving}
            for choice in configs.product(fixed):
                traced = configs.product({n: mine[n] for n in moving})
                values = [own | choice | some for some in traced]
                members = [_member(base, objective, network, v, given) for v in values]
                make = functools.partial(
                    groups.build, objective=objective, network=network, prepare=prepare
                )
                for group, shapes in _programs(make, members, len(planned)):
                    lanes = _lanes(group, shapes, count, sorted(hparams))
                    count += len(lanes)
                    planned.append(dataclasses.replace(group, lanes=lanes))
    return planned


def _checked(
    config: configs.Config, axes: Mapping[str, Sequence[Any]]
) -> tuple[dict[str, list[Any]], dict[str, Any]]:
    """The axes without repetitions, and ``hyperparameters`` of what they name.

    Raises:
      InputError: as ``plan``.
    """
    axes = {n: list(dict.fromkeys(v)) for n, v in axes.items()}
    for name, values in axes.items():
        if not values:
            raise configs.InputError(f"axis '{name}' has no value; give at least one")
    for name in ("dataset", "objective", "network"):
        values = axes.get(name, [])
        if len({registry.label(v) for v in values}) < len(values):
            raise configs.InputError(
                f"two values of {name} have the same name in the results: "
                f"{configs.listed(values)}; rename one of the files"
            )
    if (count := math.prod(map(len, axes.values()))) > MEMBERS:
        raise configs.InputError(
            f"the axes have {count:,} combinations; one sweep takes {MEMBERS:,} at most"
        )
    names = axes.get("objective", [config.objective])
    nets = axes.get("network", [config.network])
    hparams = hyperparameters(names, nets)
    for name in (*axes, *config.hparams):
        if name in ("epochs", "eval_every", "hparams"):
            raise configs.InputError(f"'{name}' cannot be swept: one value per run")
        is_field = name in configs.AXES and name not in config.hparams
        if not is_field and name not in hparams:
            of = configs.listed((*names, *nets))
            kind = f"field of Config or hyperparameter of {of}"
            raise configs.unknown(kind, name, (*configs.AXES, *hparams))
    return axes, hparams


def _programs(
    make: Callable, members: Sequence[configs.Config], index: int
) -> Iterator[tuple[groups.Group, Any]]:
    """Groups of these lanes, numbered from ``index``, and their parameters' shapes.

    ``lanes`` of theirs are still the Configs.
    """
    config, whole = members[0], make(0, members)
    shapes = whole.state_shapes().params
    examples = config.epochs * len(whole.source.train.x)
    for band in _bands(members, examples, shapes):
        group = make(index, band)
        if registry.is_path(config.objective) or registry.is_path(config.network):
            group.step_bytes(), group.metrics  # traced before anything is written
        yield dataclasses.replace(group, lanes=tuple(band)), shapes
        index += 1


def _lanes(
    group: groups.Group, shapes: Any, count: int, hparams: Sequence[str]
) -> tuple[groups.Lane, ...]:
    """The group's Configs as lanes, numbered from ``count``."""
    lanes = []
    for number, config in enumerate(group.lanes, count):
        values = {n: getattr(config, n) for n in configs.AXES}
        values["likelihood"] = group.recipe.blueprint.likelihood
        values |= {n: config.hparams.get(n) for n in hparams}
        columns = {n: registry.column(n, v) for n, v in values.items()}
        size = model_lib.count(shapes, config.latent_dim)
        lanes.append(groups.Lane(number, config, columns, size))
    return tuple(lanes)


def _bands(
    members: Sequence[configs.Config], examples: int, shapes: Any
) -> list[list[configs.Config]]:
    """The lanes by ranges of latent sizes, a program for each.

    A lane computes with the largest size of its program. What that wastes is 6
    operations per superfluous parameter and example, forward and backward; a further
    program has to save ``PROGRAM`` of them and those of one lane, which may be trained
    twice to fill the devices. It depends on no clock and no device, so that a run is
    planned the same wherever it is gone on with.
    """
    each = collections.Counter(c.latent_dim for c in members)
    sizes = sorted(each)
    # Of the sizes up to each one: the least cost, and where its last range begins.
    best: list[tuple[float, int]] = [(0.0, 0)]
    for end, top in enumerate(sizes, 1):
        high = model_lib.count(shapes, top)
        costs, waste = [], 0.0
        for start in range(end - 1, -1, -1):
            k = sizes[start]
            waste += 6.0 * examples * each[k] * (high - model_lib.count(shapes, k))
            further = PROGRAM + 6.0 * examples * high
            costs.append((best[start][0] + waste + further, start))
        best.append(min(costs))
    ranges, end = [], len(sizes)
    while end:
        start = best[end][1]
        ranges.insert(0, set(sizes[start:end]))
        end = start
    return [[c for c in members if c.latent_dim in some] for some in ranges]


def _member(base, objective, network, values, given) -> configs.Config:
    """One lane: fields, and hyperparameters as the types of their defaults."""
    lane = base.replace(**{n: v for n, v in values.items() if n in configs.TRACED})
    own = {n: values[n] for n in objective.defaults}
    hparams = objective.check(own, lane.latent_dim, given)
    free = (float("-inf"), float("inf"))
    for name, default in network.options.items():
        hparams[name] = configs.check_value(name, values[name], default, free)
    return lane.replace(hparams=hparams)


def _as_sequences(dataset: datasets.Dataset) -> datasets.Dataset:
    """Series (N, T) as sequences (N, T, 1) of one feature."""
    if dataset.train.x.ndim != 2 or dataset.train.x.dtype == np.uint8:
        return dataset
    parts = {n: getattr(dataset, n) for n in ("train", "valid", "test")}
    longer = {n: p._replace(x=p.x[..., None]) for n, p in parts.items()}
    return dataset._replace(**longer)
