"""Parameters of the estimators, checked, and the Config that they make."""

import numbers
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from aejax import config as configs
from aejax import objectives, tasks

# Fields of Config that are parameters of every estimator, by the same name.
FIELDS = ("objective", "network", "likelihood", "learning_rate", "hidden")
LARGEST = 64  # of the latent sizes tried where none are given
OTHERS = ("latent_dim", "seed", "dataset", "hparams", "epochs", "batch_size")


def check(estimator: Any) -> None:
    """Refuses parameters that no fit could use; Config checks the others.

    Raises:
      InputError: with what is allowed.
    """
    for name, low in {
        "n_importance_samples": 1,
        "n_seeds": 1,
        "batch_size": 1,
        "epochs": 1,
    }.items():
        value = getattr(estimator, name, None)
        if value is not None:
            whole(name, value, low)
    if getattr(estimator, "early_stopping", True):
        share("validation_fraction", estimator.validation_fraction, 1.0)
    for name in ("config", "hparams", "param_grid"):
        value = getattr(estimator, name, None)
        if not isinstance({} if value is None else value, Mapping):
            raise configs.InputError(f"{name} is {value!r}; it must be {{name: value}}")
    more = {*(estimator.config or {})}
    if unknown := sorted(map(str, more - {*configs.FIELDS})):
        raise configs.unknown("field of config", unknown[0], configs.FIELDS)
    if both := sorted(more & {*FIELDS, *OTHERS}):
        raise configs.InputError(
            f"{configs.listed(both)} of config is a parameter of "
            f"{type(estimator).__name__}, or its own affair: give it there"
        )
    shape = estimator.shape
    fits = isinstance(shape, (tuple, list)) and 1 <= len(shape) <= 3
    if shape is not None and not (
        fits and all(isinstance(n, numbers.Integral) and n > 0 for n in shape)
    ):
        raise configs.InputError(
            f"shape is {shape!r}; give that of an example, (H, W, C), (H, W) or (T, F)"
        )


def whole(name: str, value: Any, low: int) -> int:
    """A whole number of at least ``low``.

    Raises:
      InputError: it is none.
    """
    good = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not good or value < low:
        raise configs.InputError(
            f"{name} is {value!r}; it must be a whole number of at least {low}"
        )
    return int(value)


def share(name: str, value: Any, high: float) -> None:
    """Refuses what does not lie in (0, high], or in (0, 1).

    Raises:
      InputError: with the ends.
    """
    real = isinstance(value, numbers.Real)
    if not real or not (0 < value < 1 and value <= high):
        end = "1)" if high == 1 else f"{high:g}]"
        raise configs.InputError(f"{name} is {value!r}; it must lie in (0, {end}")


def config(
    estimator: Any, n: int, validated: bool = False, **values: Any
) -> configs.Config:
    """The Config of an estimator for n rows, these values first.

    With ``validated`` rows the best parameters are kept, of 40 evaluations.
    """
    size = tasks.schedule(n, estimator.batch_size)
    fields = {name: getattr(estimator, name) for name in FIELDS}
    if isinstance(fields["hidden"], np.ndarray):
        fields["hidden"] = tuple(fields["hidden"].tolist())
    if estimator.epochs is not None:
        size |= {"epochs": estimator.epochs, "eval_every": estimator.epochs}
    if validated:
        often = max(1, size["epochs"] // 40)
        size |= {"select": "best", "eval_every": often}
    hparams = dict(estimator.hparams or {})
    hparams |= {name: values.pop(name) for name in {*values} - {*configs.FIELDS}}
    more = dict(estimator.config or {}) | values | {"hparams": hparams}
    made = configs.Config(**fields | size | more)
    return made.replace(likelihood=likelihood(made.likelihood, made.objective))


def likelihood(name: str, objective: str) -> str:
    """What "auto" is of standard units: with a σ of its own where there is a p(x)."""
    if name != "auto":
        return name
    return "gaussian_learned" if has_density(objective) else "gaussian"


def has_density(objective: str) -> bool:
    """Whether an objective defines p(x)."""
    return objectives.OBJECTIVES[objective].log_weight is not None


def axes(estimator: Any, features: int) -> dict[str, list[Any]]:
    """{name: values} of what an ``AutoencoderCV`` tries on so many features.

    Raises:
      InputError: no values, or objectives whose scores do not compare.
    """
    sizes = estimator.latent_dims
    if sizes is None:
        powers = [2**i for i in range(LARGEST.bit_length())]
        sizes = [size for size in powers if size < features] or [1]
    grid = {"latent_dim": sizes, **(estimator.param_grid or {})}
    if "latent_dim" in (estimator.param_grid or {}) or "seed" in grid:
        raise configs.InputError(
            "param_grid has latent_dim or seed: latent_dims says which sizes are "
            "tried, and n_seeds how many seeds"
        )
    for name, values in grid.items():
        some = isinstance(values, Iterable) and not isinstance(values, (str, Mapping))
        if not some or not len(values := list(values)):
            given = f"{'latent_dims' if name == 'latent_dim' else name} of param_grid"
            raise configs.InputError(f"{given} is {values!r}; give a list of values")
        grid[name] = [configs.plain(value) for value in values]
    names = grid.get("objective", [estimator.objective])
    if len({has_density(name) for name in names}) > 1:
        raise configs.InputError(
            f"objectives {configs.listed(names)} do not compare: some are scored by "
            "log p(x) in nats and others, which define none, by −mse; try them apart"
        )
    if "likelihood" in grid:
        grid["likelihood"] = [likelihood(n, names[0]) for n in grid["likelihood"]]
    return grid
