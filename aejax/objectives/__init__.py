"""Objectives: one file per paper, whose public names are the Objective.

A file needs only ``loss``; its docstring's first line is name and source. Numeric
keyword-only parameters are hyperparameters, traced, so that members differ in them,
unless they are named in ``static``; str and bool ones change the program.
"""

import inspect
import math
from collections.abc import Callable, Container, Mapping
from typing import Any, NamedTuple

from aejax import config, registry

LARGEST = config.FIELDS["latent_dim"].metadata["ends"][1]
NEEDS = {"labels", "stages", "images", "sequence"}
# {control: {hyperparameter: (default, range)}}, what ``kl.Control`` obeys.
KL_CONTROLS: dict[str, dict[str, tuple[Any, tuple]]] = {
    "beta": {"beta": (1.0, (0.0, math.inf))},
    "schedule": {"kl_warmup": (0.0, (0.0, 1.0)), "kl_cycles": (1, (1, math.inf))},
    "free_bits": {"free_bits": (0.0, (0.0, math.inf))},
}


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
      hides: whether loss shows the encoder NaN for values of x, or (**hp) -> that.
      ranges: {name: (low, high)}, ends allowed; "latent_dim" as an end means k. Or a
        function (**hp) -> such ranges.
      choices: {name: allowed strings}.
      needs: of NEEDS.
      kl_control: of KL_CONTROLS: what ``model.kl``, by which loss adds its KL,
        obeys; hyperparameters of the objective, but not of its functions.
      kl_defaults: {hyperparameter of these: default}, where it is another.
      init: (model, net, batch, key, **hp) -> {"extra": …, "state": …}. A leaf whose
        leading axis is Z has a name that starts with ``latent_``; padded slices are 0.
      code: (model, params, batch, **hp) -> z, deterministic: for metrics and users.
      prior: (model, params, key, n, y, **hp) -> z, or None: no prior of its own.
      log_weight: (model, params, batch, key, **hp) -> (B,) log p(x,z) - log q(z|x).
      optimizer: (tx, model, *, learning_rate, **hp) -> tx; learning_rate of this step.
    """

    loss: Callable
    heads: int | Callable = 2
    inputs: int | Callable = 1
    static: tuple = ()
    hides: bool | Callable = False
    ranges: Mapping | Callable = {}
    choices: Mapping = {}
    needs: frozenset = frozenset()
    kl_control: frozenset = frozenset()
    kl_defaults: Mapping = {}
    init: Callable = _no_extra
    code: Callable = _first_head
    prior: Callable | None = _noise
    log_weight: Callable | None = None
    optimizer: Callable = _same_optimizer

    @property
    def defaults(self) -> dict[str, Any]:
        """Hyperparameters and their defaults: keywords of loss, and ``kl_control``."""
        values = self.kl_defaults
        shared = {n: type(v)(values.get(n, v)) for n, (v, _) in self._shared.items()}
        return registry.keywords(self.loss) | shared

    @property
    def _shared(self) -> dict[str, tuple[Any, tuple]]:
        chosen = [control for c, control in KL_CONTROLS.items() if c in self.kl_control]
        return {name: facts for control in chosen for name, facts in control.items()}

    def bind(self, model: Any, hp: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        """The Model whose ``kl`` obeys these hyperparameters; and those left over."""
        shared = {n: hp[n] for n in self._shared}
        rest = {n: v for n, v in hp.items() if n not in shared}
        return model._replace(kl=model.kl.at_step(*model.clock[:2], **shared)), rest

    def is_traced(self, name: str) -> bool:
        """Whether members differ in this hyperparameter, or else programs."""
        value = self.defaults.get(name, "")
        return not (name in self.static or isinstance(value, (str, bool)))

    def bounds(self, hp: Mapping[str, Any]) -> Mapping[str, Any]:
        """``ranges``, where the other hyperparameters have these values."""
        ranges = self.ranges(**hp) if callable(self.ranges) else self.ranges
        return {n: ends for n, (_, ends) in self._shared.items()} | dict(ranges)

    def check(
        self,
        hp: Mapping[str, Any],
        latent_dim: int,
        given: Container[str] | None = None,
    ) -> dict[str, Any]:
        """The hyperparameters as their defaults' types, refused if out of range.

        Those not ``given`` (None: all are) that latent_dim bounds are that at most.

        Raises:
          InputError: wrong type, outside ``ranges``, or not among the choices.
        """
        for name, choices in self.choices.items():
            if hp[name] not in choices:
                raise config.unknown(name, hp[name], choices)
        free = (float("-inf"), float("inf"))
        defaults = self.defaults
        hp = {n: config.check_value(n, v, defaults[n], free) for n, v in hp.items()}
        bounds = self.bounds(hp)
        for name, (_, high, *_) in bounds.items():
            if given is not None and name not in given and high == "latent_dim":
                hp[name] = min(hp[name], latent_dim)
        return {
            n: config.check_value(n, v, defaults[n], bounds.get(n, free), latent_dim)
            for n, v in hp.items()
        }


def _entry(module: Any) -> Objective:
    if not callable(getattr(module, "loss", None)):
        raise config.InputError(
            "it has no function loss(model, params, batch, key, *, …)"
        )
    names = [n for n in Objective._fields if hasattr(module, n)]
    objective = Objective(**{n: getattr(module, n) for n in names})
    defaults = objective.defaults
    bare = {n for n, v in defaults.items() if v is inspect.Parameter.empty}
    ranges = () if bare else objective.bounds(defaults)
    problems = {
        "no default for": bare,
        "names of Config": set(defaults) & set(config.FIELDS),
        "not among loss's hyperparameters": {
            *objective.static,
            *objective.choices,
            *ranges,
        }
        - set(defaults),
        "unknown in needs": set(objective.needs) - NEEDS,
        "unknown in kl_control": set(objective.kl_control) - set(KL_CONTROLS),
        "in kl_control and loss": set(objective._shared)
        & set(registry.keywords(objective.loss)),
        "in kl_defaults, not in kl_control": set(objective.kl_defaults)
        - set(objective._shared),
    }
    for problem, names in problems.items():
        if names:
            raise config.InputError(f"{problem}: {sorted(names, key=str)}")
    objective.check(defaults, LARGEST, ())
    sets = {n: frozenset(getattr(objective, n)) for n in ("needs", "kl_control")}
    return objective._replace(**sets)


OBJECTIVES = registry.Files(
    "objective", __name__, __path__[0], _entry, skip=("annealing",)
)
