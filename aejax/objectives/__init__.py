"""Objectives: one file per paper, whose public names are the Objective.

A file needs only ``loss``; its docstring's first line is name and source. Numeric
keyword-only parameters are hyperparameters, each a traced lane of a sweep unless it is
named in ``static``; str and bool ones change the program.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from aejax import config, registry


def _no_extra(model, net, batch, key, **hp) -> dict[str, Any]:
    return {}


def _first_head(model, params, batch, **hp):
    code = model.encode(params, batch)
    return code[0] if isinstance(code, tuple) else code


def _noise(model, params, key, n, y, **hp):
    return model.noise(key, n)


def _same_optimizer(tx, model, *, learning_rate, **hp):
    return tx


class Objective(NamedTuple):
    """What a file may define; only ``loss`` is required.

    Attributes:
      loss: (model, params, batch, key, *, hp=default, …) -> (scalar, {name: scalar})
        or with new ``params["state"]`` third. Nats; means over the batch.
      heads: arrays (B, Z) the encoder gives: 1 a code, 2 (mu, logvar), or (**hp) -> C.
      inputs: arrays (B, Z) the decoder takes, a number or (**hp) -> C.
      static: numeric hyperparameters that change the program.
      ranges: {name: (low, high)}, ends allowed; "latent_dim" as an end means k.
      needs: of {"labels", "stages", "images", "sequence"}.
      init: (model, net, batch, key, **hp) -> {"extra": …, "state": …}.
      code: (model, params, batch, **hp) -> z, deterministic: for metrics and users.
      prior: (model, params, key, n, y, **hp) -> z, or None: no prior of its own.
      log_weight: (model, params, batch, key, **hp) -> (B,) log p(x,z) - log q(z|x).
      optimizer: (tx, model, *, learning_rate, **hp) -> tx; learning_rate of this step.
      digits: settings, expected metric and tolerance on the embedded data.
    """

    loss: Callable
    heads: int | Callable = 2
    inputs: int | Callable = 1
    static: tuple = ()
    ranges: Mapping = {}
    needs: frozenset = frozenset()
    init: Callable = _no_extra
    code: Callable = _first_head
    prior: Callable | None = _noise
    log_weight: Callable | None = None
    optimizer: Callable = _same_optimizer
    digits: Mapping = {}

    @property
    def defaults(self) -> dict[str, Any]:
        """Hyperparameters and their defaults: the keyword-only parameters of loss."""
        parameters = inspect.signature(self.loss).parameters.values()
        return {
            p.name: p.default
            for p in parameters
            if p.kind is inspect.Parameter.KEYWORD_ONLY
        }

    def is_traced(self, name: str) -> bool:
        """Whether this hyperparameter is a lane rather than part of the program."""
        value = self.defaults[name]
        return not (name in self.static or isinstance(value, (str, bool)))

    def check(self, name: str, value: Any, latent_dim: int) -> Any:
        """``value`` as the default's type, refused if out of range.

        Raises:
          InputError: wrong type or outside ``ranges``.
        """
        default = self.defaults[name]
        if isinstance(default, (str, bool)):
            if not isinstance(value, type(default)):
                raise config.InputError(
                    f"{name} is {value!r}; it must be a {type(default).__name__}"
                )
            return value
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or value != value:
            raise config.InputError(f"{name} is {value!r}; it must be a number")
        if isinstance(default, int) and value % 1:
            raise config.InputError(f"{name} is {value!r}; it must be a whole number")
        ends = self.ranges.get(name, (float("-inf"), float("inf")))
        low, high = (latent_dim if e == "latent_dim" else e for e in ends)
        if not low <= value <= high or value in (float("inf"), float("-inf")):
            named = ["latent_dim" if e == "latent_dim" else f"{e:g}" for e in ends]
            raise config.InputError(
                f"{name} is {value:g}; it must lie in [{named[0]}, {named[1]}]"
                + (f", latent_dim being {latent_dim}" if "latent_dim" in ends else "")
            )
        return type(default)(value)


def _entry(module: Any) -> Objective:
    if not callable(getattr(module, "loss", None)):
        raise config.InputError(
            f"objective file '{module.__file__}' has no function "
            "loss(model, params, batch, key, *, …)"
        )
    names = [n for n in Objective._fields if hasattr(module, n)]
    objective = Objective(**{n: getattr(module, n) for n in names})
    bare = [n for n, v in objective.defaults.items() if v is inspect.Parameter.empty]
    reserved = [n for n in objective.defaults if n in config.FIELDS]
    if bare or reserved:
        why = f"no default for {bare}" if bare else f"{reserved} are names of Config"
        raise config.InputError(f"objective file '{module.__file__}': {why}")
    return objective


OBJECTIVES = registry.Files("objective", __name__, __path__[0], _entry)
