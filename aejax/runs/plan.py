"""A configuration and its axes -> populations, one program each, of members.

Four steps: every combination (``resolve``), in lists of equal static facts; each list
split by latent sizes (``bands``); a TrainSpec for each; members numbered through all.
"""

import collections
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from aejax import axes as axes_lib
from aejax import config as configs
from aejax import data as datasets
from aejax import model as model_lib
from aejax import networks, objectives, registry, settings
from aejax.registry import guard
from aejax.runs import sources
from aejax.training import population as populations
from aejax.training import spec as specs

# Operations that a further program has to save: a minute of two CPU cores, which
# compile it in five seconds.
PROGRAM = 1e13
OPERATIONS = 6.0  # per parameter and example, forward and backward
MEMBERS = 100_000  # combinations of one sweep, at most


class Plan(NamedTuple):
    """What is to be trained, and on what."""

    populations: tuple[populations.Population, ...]
    sources: sources.Sources
    columns: tuple[str, ...] = ()  # of metrics; those of the whole run in a shard's

    @property
    def count(self) -> int:
        """All members."""
        return sum(len(p.members) for p in self.populations)


def hyperparameters(names: Sequence[str], nets: Sequence[str]) -> dict[str, Any]:
    """{name: default} of what these objectives and networks can be given beside Config.

    Raises:
      InputError: an objective and a network have one of the same name.
    """
    of_losses = {
        n: v for o in names for n, v in objectives.OBJECTIVES[o].defaults.items()
    }
    options = {n: v for o in nets for n, v in networks.NETWORKS[o].options.items()}
    if both := set(of_losses) & set(options):
        raise configs.InputError(
            f"objective and network both have a hyperparameter named {sorted(both)}"
        )
    return of_losses | options


def without_unused(
    config: configs.Config, axes: Mapping[str, Sequence[Any]]
) -> configs.Config:
    """``config`` less hyperparameters of no objective and network that is asked for.

    Of a preset, which suits several; what a user names has to exist.
    """
    names = axes.get("objective", [config.objective])
    known = hyperparameters(names, axes.get("network", [config.network]))
    used = {n: v for n, v in config.hparams.items() if n in known}
    return config.replace(hparams=used)


@settings.usual()
def plan(
    config: configs.Config,
    axes: Mapping[str, Sequence[Any]],
    data: sources.Sources | None = None,
) -> Plan:
    """Every combination of the axes as populations of members, all checked.

    Args:
      config: values of everything that is not swept.
      axes: {field of Config or hyperparameter: values}.
      data: where data sets come from, and from which size on they stream.

    Returns:
      Populations in the order of the axes, then of latent sizes that are programs of
      their own; members are numbered through all of them.

    Raises:
      InputError: an unknown name, a value out of range, a pair that does not fit.
    """
    axes, hparams = _checked(config, axes)
    data = data or sources.Sources()
    planned: list[populations.Population] = []
    count = 0
    for members in resolve(config, axes):
        first = members[0]
        failure = "one training step, or its evaluation, cannot be traced"
        with guard.blamed(failure, objective=first.objective, network=first.network):
            for spec, band, shapes, known in _programs(members, data):
                some = numbered(spec, band, shapes, count, hparams)
                planned.append(populations.Population(len(planned), some, spec, known))
                count += len(some)
                if any(registry.is_path(n) for n in (first.objective, first.network)):
                    # Traced before anything is written.
                    planned[-1].step_bytes(), planned[-1].metrics
    return Plan(tuple(planned), data)


def _checked(
    config: configs.Config, axes: Mapping[str, Sequence[Any]]
) -> tuple[dict[str, list[Any]], list[str]]:
    """The axes without repetitions, and the names of all hyperparameters.

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
        if name in configs.FIXED:
            raise configs.InputError(f"'{name}' cannot be swept: one value per run")
        is_field = name in configs.AXES and name not in config.hparams
        if not is_field and name not in hparams:
            of = configs.listed((*names, *nets))
            kind = f"field of Config or hyperparameter of {of}"
            raise configs.unknown(kind, name, (*configs.AXES, *hparams))
    return axes, sorted(hparams)


def resolve(
    config: configs.Config, axes: Mapping[str, Sequence[Any]]
) -> Iterator[list[configs.Config]]:
    """Every combination as a Config, checked; a list for each choice of statics."""
    given = {*config.hparams, *axes}
    static = {n: v for n, v in axes.items() if n in configs.STATIC}
    for fields in axes_lib.product(static):
        base = config.replace(hparams={}, **fields)
        objective = objectives.OBJECTIVES[base.objective]
        network = networks.NETWORKS[base.network]
        values = objective.defaults | network.options
        values |= {n: v for n, v in config.hparams.items() if n in values}
        swept = {n: v for n, v in axes.items() if n in values or n in configs.TRACED}
        traced = {
            n: v
            for n, v in swept.items()
            if n in configs.TRACED or objective.is_traced(n)
        }
        fixed = {n: v for n, v in swept.items() if n not in traced}
        for choice in axes_lib.product(fixed):
            yield [
                _member(base, values | choice | some, given, objective, network)
                for some in axes_lib.product(traced)
            ]


def _member(base, values, given, objective, network) -> configs.Config:
    """One member: fields, and hyperparameters as the types of their defaults."""
    fields = {n: v for n, v in values.items() if n in configs.TRACED}
    hparams = {n: v for n, v in values.items() if n not in fields}
    member = base.replace(**fields, hparams=hparams)
    return specs.complete(member, given, objective, network)


def _programs(
    members: Sequence[configs.Config], data: sources.Sources
) -> Iterator[tuple[specs.TrainSpec, Sequence[configs.Config], Any, Any]]:
    """(TrainSpec, its members, shapes of parameters, ``Population.known``) of each
    program of these; the parameters are those of the largest latent size.
    """
    first = members[0]
    facts = data.describe(first.dataset, sequences := sources.in_sequences(first))
    if first.binarize != "threshold":
        auto = facts.likelihood if first.likelihood == "auto" else first.likelihood
        likelihood = "bernoulli" if first.binarize == "dynamic" else auto
        loaded = data.dataset(first.dataset, sequences)
        datasets.check_likelihood(loaded, likelihood)

    def build(some: Sequence[configs.Config]) -> specs.TrainSpec:
        return specs.build(
            some[0],
            facts,
            latent_dim=max(c.latent_dim for c in some),
            clip=any(c.clip_norm > 0 for c in some),
            decay=any(c.weight_decay > 0 for c in some),
        )

    whole = build(members)
    state = populations.Population(0, (), whole).state_shapes
    shapes = state.params
    several = bands(members, first.epochs * facts.sizes[0], shapes)
    for band in several:
        if len(several) == 1:
            yield whole, band, shapes, state
        else:
            yield build(band), band, shapes, None


def numbered(
    spec: specs.TrainSpec,
    members: Sequence[configs.Config],
    shapes: Any,
    count: int,
    hparams: Sequence[str],
) -> tuple[populations.MemberSpec, ...]:
    """Members numbered from ``count``, with their columns and sizes."""
    return tuple(
        populations.MemberSpec(
            number,
            config,
            columns(config, spec.model.likelihood, hparams),
            model_lib.count(shapes, config.latent_dim),
        )
        for number, config in enumerate(members, count)
    )


def columns(
    config: configs.Config, likelihood: str, hparams: Sequence[str]
) -> dict[str, Any]:
    """A member's axis values as rows have them, of these hyperparameters of a sweep."""
    values = {n: getattr(config, n) for n in configs.AXES} | {"likelihood": likelihood}
    values |= {n: config.hparams.get(n) for n in hparams}
    return {n: registry.column(n, v) for n, v in values.items()}


def bands(
    members: Sequence[configs.Config], examples: int, shapes: Any
) -> list[list[configs.Config]]:
    """The members by ranges of latent sizes, a program for each.

    A member computes with the largest size of its program. What that wastes is
    ``OPERATIONS`` per superfluous parameter and example; a further program has to save
    ``PROGRAM`` and those of one member, which may be trained twice to fill the devices.
    It depends on no clock and no device, so that a run is planned the same wherever it
    is gone on with.
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
            extra = high - model_lib.count(shapes, k)
            waste += OPERATIONS * examples * each[k] * extra
            further = PROGRAM + OPERATIONS * examples * high
            costs.append((best[start][0] + waste + further, start))
        best.append(min(costs))
    ranges, end = [], len(sizes)
    while end:
        start = best[end][1]
        ranges.insert(0, set(sizes[start:end]))
        end = start
    return [[c for c in members if c.latent_dim in some] for some in ranges]
