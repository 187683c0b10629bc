"""A configuration and its axes -> groups, one program each, of lanes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from aejax import config as configs
from aejax import data as datasets
from aejax import group as groups
from aejax import likelihoods, networks, objectives, registry, train
from aejax import model as model_lib
from aejax import source as sources

# Training data above this many bytes stays on the host and streams in blocks.
RESIDENT_BYTES = 1 << 30


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
      Groups in the order of the axes; lanes are numbered through all of them.

    Raises:
      InputError: an unknown name, a value out of range, a pair that does not fit.
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
                f"{', '.join(values)}; rename one of the files"
            )
    names = axes.get("objective", [config.objective])
    nets = axes.get("network", [config.network])
    hparams = hyperparameters(names, nets)
    for name in (*axes, *config.hparams):
        if name in ("epochs", "eval_every", "hparams"):
            raise configs.InputError(f"'{name}' cannot be swept: one value per run")
        is_field = name in configs.AXES and name not in config.hparams
        if not is_field and name not in hparams:
            raise configs.unknown(
                f"field of Config or hyperparameter of {', '.join((*names, *nets))}",
                name,
                (*configs.AXES, *hparams),
            )
    planned: list[groups.Group] = []
    memory: dict[Any, Any] = {}
    count = 0
    fields = {n: v for n, v in axes.items() if n in configs.STATIC}
    for fixed in configs.product(fields):
        base = config.replace(hparams={}, **fixed)
        objective = objectives.OBJECTIVES[base.objective]
        network = networks.NETWORKS[base.network]
        defaults = objective.defaults | network.options
        own = defaults | {n: v for n, v in config.hparams.items() if n in defaults}
        mine = {n: v for n, v in axes.items() if n in defaults or n in configs.TRACED}
        moving = {n for n in mine if n in configs.TRACED or objective.is_traced(n)}
        for choice in configs.product({n: mine[n] for n in mine if n not in moving}):
            lane_configs = []
            for values in configs.product({n: mine[n] for n in mine if n in moving}):
                hp = own | choice | {n: v for n, v in values.items() if n in own}
                traced = {n: v for n, v in values.items() if n not in own}
                lane = base.replace(**traced)
                lane_configs.append(
                    lane.replace(hparams=_checked(objective, network, hp, lane))
                )
            group = _group(len(planned), lane_configs, objective, memory, resident)
            numbered = []
            for lane in group.lanes:
                columns = lane.columns | {
                    n: lane.config.hparams.get(n) for n in sorted(hparams)
                }
                numbered.append(lane._replace(index=count, columns=columns))
                count += 1
            planned.append(group._replace(lanes=tuple(numbered)))
    return planned


def _checked(objective, network, hp: dict[str, Any], lane: configs.Config):
    """All hyperparameters of one lane, as the types of their defaults."""
    options, free = network.options, (float("-inf"), float("inf"))
    own = {n: v for n, v in hp.items() if n not in options}
    return objective.check(own, lane.latent_dim) | {
        n: configs.check_value(n, hp[n], default, free, lane.latent_dim)
        for n, default in options.items()
    }


def _group(
    index: int,
    members: list[configs.Config],
    objective: objectives.Objective,
    memory: dict[Any, Any],
    resident: int,
) -> groups.Group:
    config = members[0]
    network = networks.NETWORKS[config.network]
    if config.dataset not in memory:
        memory[config.dataset] = datasets.load(config.dataset)
    dataset = memory[config.dataset]
    sequence = "sequence" in objective.needs | network.needs
    if sequence and dataset.train.x.ndim == 2 and dataset.train.x.dtype != np.uint8:
        dataset = _as_sequences(dataset)
    likelihood = config.likelihood
    if likelihood == "auto":
        likelihood = dataset.likelihood
    if config.binarize == "none":
        datasets.check_likelihood(dataset, likelihood)
    elif config.binarize == "dynamic":
        datasets.check_likelihood(dataset, "bernoulli")
    key = (config.dataset, config.binarize, dataset.train.x.ndim)
    if key not in memory:
        memory[key] = sources.source(dataset, config.binarize, resident)
    held = memory[key]
    _check_fit(config, objective, network, dataset, held)
    options = {n: config.hparams[n] for n in network.options}
    hp = {n: v for n, v in config.hparams.items() if n not in options}
    allocated = max(c.latent_dim for c in members)
    observed = likelihoods.LIKELIHOODS[likelihood](held.held_scale)
    spec = networks.Spec(
        shape=dataset.train.x.shape[1:],
        outputs=observed.outputs,
        latent_dim=allocated,
        heads=_number(objective.heads, hp),
        inputs=_number(objective.inputs, hp),
        hidden=config.hidden,
        activation=config.activation,
        init=config.init,
        dtype=model_lib.compute_dtype(config.precision),
        num_classes=dataset.num_classes if "labels" in objective.needs else 0,
        mean=observed.mean,
    )
    reason = network.check(spec, **options)
    if reason:
        raise configs.InputError(f"network '{config.network}': {reason}")
    blueprint = model_lib.Blueprint(
        network, spec, likelihood, held.held_scale, config.precision, options
    )
    if config.output_bias == "mean":
        if observed.from_mean is None:
            raise configs.InputError(
                f"--output-bias mean: values of likelihood '{likelihood}' have no mean"
            )
        mean_key = (*key, "mean")
        if mean_key not in memory:
            memory[mean_key] = sources.training_mean(held)
        bias = model_lib.output_mean(blueprint, memory[mean_key])
        held = held._replace(output_bias=bias)
    if {"stages", "labels"} <= objective.needs:
        raise configs.InputError(
            f"objective '{config.objective}' needs stages and labels, and no network "
            "shows labels to its stages"
        )
    if "stages" in objective.needs and not blueprint.build().stages:
        raise configs.InputError(
            f"objective '{config.objective}' trains layer by layer, and network "
            f"'{config.network}' has no stages; use --network mlp"
        )
    recipe = train.Recipe(
        objective=objective,
        blueprint=blueprint,
        hparams={n: v for n, v in hp.items() if not objective.is_traced(n)},
        traced=tuple(n for n in hp if objective.is_traced(n)),
        batch_size=config.batch_size,
        steps=0,
        num_examples=len(held.train.x),
        pass_size=held.pass_size,
        optimizer=config.optimizer,
        schedule=config.schedule,
        clip=any(c.clip_norm > 0 for c in members),
        decay=any(c.weight_decay > 0 for c in members),
        scale=held.scale,
        binarize=config.binarize == "dynamic",
        select=config.select,
        held=held.lengths,
        held_scale=held.held_scale,
    )
    recipe = recipe._replace(steps=config.epochs * recipe.pass_steps * held.blocks)
    group = groups.Group(index, (), recipe, dataset, held)
    members = [groups.Lane(0, c, _columns(c, likelihood), 0) for c in members]
    group = group._replace(lanes=tuple(members))
    shapes = group.state_shapes().params
    sized = tuple(
        m._replace(parameters=model_lib.count(shapes, m.config.latent_dim))
        for m in members
    )
    return group._replace(lanes=sized)


def _as_sequences(dataset: datasets.Dataset) -> datasets.Dataset:
    """Series (N, T) as sequences (N, T, 1) of one feature."""
    parts = {n: getattr(dataset, n) for n in ("train", "valid", "test")}
    longer = {n: p._replace(x=p.x[..., None]) for n, p in parts.items()}
    return dataset._replace(**longer)


def _number(value: Any, hp: Mapping[str, Any]) -> int:
    return int(value(**hp)) if callable(value) else value


def _check_fit(config, objective, network, dataset, held: sources.Source) -> None:
    """Refuses pairs that make no sense, with the reason."""
    n, size = held.pass_size, config.batch_size
    if size > n:
        what = "a streamed block" if held.blocks > 1 else "the training split"
        raise configs.InputError(
            f"batch_size is {size}, but {what} of '{registry.label(config.dataset)}' "
            f"has {n} examples; use --batch-size {n} or less"
        )
    if config.select == "best" and not len(dataset.valid.x):
        raise configs.InputError("--select best needs a validation split")
    for name, entry in (("objective", objective), ("network", network)):
        who = f"{name} '{getattr(config, name)}'"
        shape = dataset.train.x.shape[1:]
        if "labels" in entry.needs and dataset.train.y is None:
            raise configs.InputError(
                f"{who} needs labels, and data set '{config.dataset}' has none"
            )
        if "images" in entry.needs and len(shape) != 3:
            raise configs.InputError(
                f"{who} needs images (H, W, C), and the examples of data set "
                f"'{config.dataset}' are {shape}; use --network mlp"
            )
        if "sequence" in entry.needs and len(shape) != 2:
            raise configs.InputError(
                f"{who} needs sequences (T, F), and the examples of data set "
                f"'{config.dataset}' are {shape}; use --network mlp or conv"
            )


def _columns(config: configs.Config, likelihood: str) -> dict[str, Any]:
    values = {n: getattr(config, n) for n in configs.AXES}
    return values | {
        "dataset": registry.label(config.dataset),
        "objective": registry.label(config.objective),
        "network": registry.label(config.network),
        "hidden": ",".join(map(str, config.hidden)),
        "likelihood": likelihood,
    }
