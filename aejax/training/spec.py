"""The static facts of one compiled program, and what fits together to make one."""

import math
from collections.abc import Container, Mapping
from typing import Any, NamedTuple

import numpy as np

from aejax import config as configs
from aejax import likelihoods, networks, objectives, registry, settings
from aejax import model as model_lib
from aejax.training import source as sources

# Steps between two checks that a member is finite, at most. A check once an epoch costs
# 0.3 to 4 % of the training time, each step up to 10 %; in longer epochs more is lost.
CHUNK = 64
_FREE = (-math.inf, math.inf)


class TrainSpec(NamedTuple):
    """What all members of a population share.

    Time is counted in steps. A *block* is what lies on the device of the training data:
    all of it, or one of the pieces in which it streams. A *chunk* is a block's steps,
    or at most ``CHUNK`` of them if there are more.

    Attributes:
      config: of the first member; its static fields are those of all.
      objective: the functions.
      model: of the largest latent size.
      data: the facts.
      clip: whether any member's gradients are clipped.
      decay: whether any member's weights decay.
    """

    config: configs.Config
    objective: objectives.Objective
    model: model_lib.ModelSpec
    data: sources.DataSpec
    clip: bool
    decay: bool

    @property
    def block_steps(self) -> int:
        """Steps per block; an incomplete last batch waits for another permutation."""
        return self.data.block_size // self.config.batch_size

    @property
    def epoch_steps(self) -> int:
        """Steps of one epoch, over all blocks."""
        return self.block_steps * self.data.blocks

    @property
    def steps(self) -> int:
        """All steps."""
        return self.config.epochs * self.epoch_steps

    @property
    def chunk(self) -> int:
        """Steps per chunk: a block's, cut evenly if it is longer than ``CHUNK``."""
        return -(-self.block_steps // -(-self.block_steps // CHUNK))

    @property
    def scales(self) -> tuple[float, float]:
        """x_float = x / scale of the arrays that train, and of those evaluated."""
        return self.data.scales(self.config.binarize)

    @property
    def counts_bits(self) -> bool:
        """Whether p(x|z) are probabilities of data elements, of which all count."""
        likelihood = self.model.observed()
        stored = self.config.binarize != "none" or self.data.arrays["x"][0] == "uint8"
        binary = likelihood.support == "binary" and self.scales[1] == 1 and stored
        return "length" not in self.data.arrays and (
            likelihood.support == "levels" or binary
        )

    def shapes(self) -> sources.Data:
        """Shapes and types of the program's data argument."""
        starts = self.config.output_bias == "mean"
        bias = self.model.build().bias_shape if starts else None
        return self.data.shapes(self.config.binarize, bias)

    def hparams(self, config: configs.Config) -> dict[str, np.ndarray]:
        """A member's numbers as the program takes them."""
        values = {n: getattr(config, n) for n in configs.TRACED}
        is_traced = self.objective.is_traced
        values |= {n: v for n, v in config.hparams.items() if is_traced(n)}
        kinds = {int: np.int32, float: np.float32}
        kind = {n: kinds[type(v)] for n, v in values.items()} | {"seed": np.uint32}
        return {n: np.asarray(v, kind[n]) for n, v in values.items()}


def complete(
    config: configs.Config,
    given: Container[str] | None = None,
    objective: objectives.Objective | None = None,
    network: networks.Entry | None = None,
) -> configs.Config:
    """``config`` with all hyperparameters of its objective and network, checked.

    Those not ``given`` (None: all are) that latent_dim bounds are that at most. Who
    completes many has looked up objective and network: a user's file runs each time.

    Raises:
      InputError: an unknown one, a wrong type, a value out of range.
    """
    objective = objective or objectives.OBJECTIVES[config.objective]
    options = (network or networks.NETWORKS[config.network]).options
    values = objective.defaults | options | config.hparams
    of_loss = {n: v for n, v in values.items() if n not in options}
    if unknown := set(of_loss) - set(objective.defaults):
        raise configs.unknown("hyperparameter", unknown.pop(), objective.defaults)
    hparams = objective.check(of_loss, config.latent_dim, given)
    for name, default in options.items():
        hparams[name] = configs.check_value(name, values[name], default, _FREE)
    return config.replace(hparams=hparams)


def build(
    config: configs.Config,
    data: sources.DataSpec,
    latent_dim: int | None = None,
    clip: bool | None = None,
    decay: bool | None = None,
) -> TrainSpec:
    """The TrainSpec of a configuration, alone or as one of a population.

    Args:
      config: of the first member, ``complete``.
      data: of its data set.
      latent_dim: the largest of the population, and whether anybody clips or decays;
        the configuration's own if they are not given.

    Raises:
      InputError: objective, network, data and numbers that do not fit together.
    """
    objective = objectives.OBJECTIVES[config.objective]
    network = networks.NETWORKS[config.network]
    auto = config.likelihood == "auto"
    likelihood = data.likelihood if auto else config.likelihood
    _check_fit(config, objective, network, data)
    options = {n: config.hparams[n] for n in network.options}
    hp = {n: config.hparams[n] for n in objective.defaults}
    scale = data.scales(config.binarize)[1]
    kinds = tuple((c.kind, c.width) for c in data.columns if len(data.shape) == 1)
    observed = likelihoods.observed(likelihood, scale, kinds)
    labels = "labels" in objective.needs
    spec = networks.NetworkSpec(
        shape=data.shape,
        outputs=observed.outputs,
        latent_dim=latent_dim or config.latent_dim,
        heads=_number(objective.heads, hp),
        inputs=_number(objective.inputs, hp),
        hidden=config.hidden,
        activation=config.activation,
        init=config.init,
        dtype=settings.compute_dtype(config.precision),
        num_classes=data.num_classes if labels else 0,
        captions=labels and len(data.arrays["y"][1]) == 1,
        mean=observed.mean,
        missing=data.missing or bool(_number(objective.hides, hp)),
    )
    _check_missing(config, network, spec)
    if reason := network.check(spec, **options):
        raise configs.InputError(f"network '{config.network}': {reason}")
    model = model_lib.ModelSpec(network, spec, likelihood, scale, options, kinds)
    _check_model(config, objective, model)
    clip = config.clip_norm > 0 if clip is None else clip
    decay = config.weight_decay > 0 if decay is None else decay
    return TrainSpec(config, objective, model, data, clip, decay)


def _number(value: Any, hp: Mapping[str, Any]) -> int:
    return int(value(**hp)) if callable(value) else value


def _check_model(config, objective, model: model_lib.ModelSpec) -> None:
    """Refuses a model that lacks what the configuration asks for, with the reason."""
    net = model.network_spec
    if "stages" in objective.needs and (
        net.num_classes or net.missing or not model.build().stages
    ):
        raise configs.InputError(
            f"objective '{config.objective}' trains layer by layer: it needs a network "
            "with stages, which are shown neither labels nor what is missing; use "
            "--network mlp, and data that have every value"
        )
    if config.output_bias == "mean" and model.observed().from_mean is None:
        raise configs.InputError(
            f"--output-bias mean: values of likelihood '{model.likelihood}' have no "
            "mean"
        )


def _check_missing(config, network, spec: networks.NetworkSpec) -> None:
    """Refuses what would take values that are missing for something else."""
    what = f"values of '{registry.label(config.dataset)}' are missing or hidden"
    if spec.missing and not network.reads_missing:
        known = [n for n in networks.NETWORKS if networks.NETWORKS[n].reads_missing]
        raise configs.InputError(
            f"{what}, and network '{config.network}' cannot tell; use --network "
            f"{' or '.join(known)}"
        )
    if spec.missing and config.binarize != "none":
        raise configs.InputError(
            f"{what}: --binarize {config.binarize} makes bits of them; leave it out"
        )


def _check_fit(config, objective, network, data: sources.DataSpec) -> None:
    """Refuses pairs that make no sense, with the reason."""
    n, size = data.block_size, config.batch_size
    name = registry.label(config.dataset)
    if size > n:
        what = "a streamed block" if data.blocks > 1 else "the training split"
        raise configs.InputError(
            f"batch_size is {size}, but {what} of '{name}' "
            f"has {n} examples; use --batch-size {n} or less"
        )
    steps = config.epochs * (n // size) * data.blocks
    if steps > configs.MOST:
        raise configs.InputError(
            f"{config.epochs:,} epochs of '{name}' are "
            f"{steps:,} steps; {configs.MOST:,} are the most"
        )
    if size % config.data_parallel:
        raise configs.InputError(
            f"batch_size is {size}, which {config.data_parallel} devices cannot share "
            "evenly; give a multiple of data_parallel"
        )
    if config.select == "best" and not data.sizes[1]:
        raise configs.InputError("--select best needs a validation split")
    shape, labels = data.shape, "y" in data.arrays
    lacking = {
        "labels": not labels and "labels",
        "images": len(shape) != 3 and "images (H, W, C)",
        "sequence": len(shape) != 2 and "sequences (T, F)",
    }
    for kind, entry in ("objective", objective), ("network", network):
        for what in filter(None, (lacking.get(n) for n in entry.needs)):
            raise configs.InputError(
                f"{kind} '{getattr(config, kind)}' needs {what}; examples of data set "
                f"'{config.dataset}' are {shape}, {'with' if labels else 'without'} "
                f"labels; use another --{kind}"
            )
