"""One frozen configuration and its checks. Imports neither jax nor flax."""

import dataclasses
import difflib
import itertools
import math
import random
from collections.abc import Iterable, Mapping
from typing import Any


class InputError(ValueError):
    """Something the user gave cannot be used; the message is one clear paragraph."""


def unknown(kind: str, given: str, known: Iterable[str]) -> InputError:
    """The error for a name that does not exist, with the nearest that does."""
    known = sorted(known)
    near = difflib.get_close_matches(str(given), known, n=1, cutoff=0.5)
    hint = f"did you mean '{near[0]}'? " if near else ""
    return InputError(f"{kind} '{given}' is unknown; {hint}known: {', '.join(known)}")


CHOICES = {
    "likelihood": (
        "auto",
        "bernoulli",
        "continuous_bernoulli",
        "gaussian",
        "gaussian_learned",
        "categorical",
        "symbols",
    ),
    "activation": ("relu", "tanh", "sigmoid", "gelu", "elu", "silu", "softplus"),
    "binarize": ("none", "threshold", "dynamic"),
    "precision": ("float32", "tf32", "bf16"),
    "optimizer": ("adam", "adamw", "sgd"),
    "schedule": ("constant", "cosine", "piecewise"),
    "init": ("lecun", "glorot"),
    "output_bias": ("zero", "mean"),
    "select": ("last", "best"),
}

# Closed or half-open intervals: (low, high, low is allowed).
_RANGES = {
    "latent_dim": (1, 65536, True),
    "seed": (0, 2**32 - 1, True),
    "learning_rate": (0.0, math.inf, False),
    "batch_size": (1, 2**31 - 1, True),
    "epochs": (1, 2**31 - 1, True),
    "eval_every": (1, 2**31 - 1, True),
    "warmup": (0, 2**31 - 1, True),
    "weight_decay": (0.0, math.inf, True),
    "clip_norm": (0.0, math.inf, True),
    "beta1": (0.0, 1.0, True),
    "beta2": (0.0, 1.0, True),
    "eps": (0.0, math.inf, False),
}


def _field(default: Any, axis: str | None, text: str) -> Any:
    return dataclasses.field(default=default, metadata={"axis": axis, "help": text})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """What one autoencoder is and how it is trained.

    A field whose metadata says ``axis="static"`` changes the compiled program when it
    is swept, ``axis="traced"`` does not, and ``axis=None`` is the same for a whole
    sweep. Every field is checked on construction.

    Raises:
      InputError: a value outside its range or choices.
    """

    dataset: str = _field(
        "digits", "static", "name, .npz, .npy or .txt file, or a folder of images"
    )
    objective: str = _field("ae", "static", "name (see --list) or path to a file")
    network: str = _field("mlp", "static", "name (see --list) or path to a file")
    latent_dim: int = _field(8, "traced", "bottleneck size")
    seed: int = _field(0, "traced", "gives initial weights, batch order and noise")
    learning_rate: float = _field(3e-3, "traced", "peak learning rate")
    batch_size: int = _field(128, "static", "examples per step")
    hidden: tuple[int, ...] = _field(
        (128, 64),
        "static",
        "mlp: widths; conv: channels per stride-2 stage, then a width",
    )
    activation: str = _field("relu", "static", "between layers")
    epochs: int = _field(160, None, "passes over the training split")
    eval_every: int = _field(40, None, "epochs between evaluations")
    likelihood: str = _field("auto", "static", "p(x|z); auto is the data set's own")
    binarize: str = _field(
        "none", "static", "threshold at 1/2, or dynamic: drawn anew at each step"
    )
    precision: str = _field("float32", "static", "of matrix products")
    optimizer: str = _field("adam", "static", "optax optimiser")
    schedule: str = _field(
        "constant", "static", "piecewise: Burda et al. 2016, eight stages"
    )
    warmup: int = _field(0, "traced", "steps of linear warm-up of the learning rate")
    weight_decay: float = _field(0.0, "traced", "decoupled; adamw and sgd only")
    clip_norm: float = _field(0.0, "traced", "global gradient norm; 0 is off")
    beta1: float = _field(0.9, "traced", "Adam's beta1; momentum of sgd")
    beta2: float = _field(0.999, "traced", "Adam's beta2")
    eps: float = _field(1e-8, "traced", "Adam's epsilon, added after the root")
    init: str = _field("lecun", "static", "lecun: truncated normal; glorot: uniform")
    output_bias: str = _field(
        "zero", "static", "mean: the output starts at the training mean"
    )
    select: str = _field("last", "static", "parameters kept: last, or best on valid")
    hparams: Mapping[str, Any] = dataclasses.field(
        default_factory=dict,
        metadata={"axis": None, "help": "hyperparameters of the objective, by name"},
    )

    def __post_init__(self):
        fields = {f.name: f for f in dataclasses.fields(self)}
        for name, field in fields.items():
            if name in ("hidden", "hparams"):
                continue
            object.__setattr__(self, name, _as_type(name, getattr(self, name), field))
        hidden = (self.hidden,) if isinstance(self.hidden, int) else self.hidden
        if not isinstance(hidden, (tuple, list)) or not all(
            isinstance(w, int) and not isinstance(w, bool) and w > 0 for w in hidden
        ):
            given = ",".join(map(str, hidden)) if isinstance(hidden, tuple) else hidden
            raise InputError(
                f"hidden is {given}; every width must be a whole number of at least "
                "1, separated by commas, e.g. --hidden 128,64"
            )
        object.__setattr__(self, "hidden", tuple(hidden))
        object.__setattr__(self, "hparams", dict(self.hparams))
        if self.weight_decay and self.optimizer == "adam":
            raise InputError(
                f"weight_decay is {self.weight_decay:g} but optimizer 'adam' has none; "
                "use --optimizer adamw (decoupled decay), or sgd"
            )

    def replace(self, **changes: Any) -> "Config":
        """A copy with these fields changed, checked again."""
        return dataclasses.replace(self, **changes)

    def to_json(self) -> dict[str, Any]:
        """Field values as JSON types; ``hidden`` becomes a list."""
        out = dataclasses.asdict(self)
        return out | {"hidden": list(self.hidden)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Config":
        """The inverse of ``to_json``."""
        return cls(**{**values, "hidden": tuple(values["hidden"])})


def _as_type(name: str, value: Any, field: dataclasses.Field) -> Any:
    """``value`` as the type of the field's default, or an InputError that says why."""
    if name in CHOICES:
        if value not in CHOICES[name]:
            raise unknown(name, value, CHOICES[name])
        return value
    kind = type(field.default)
    if kind is str:
        if not isinstance(value, str) or not value:
            raise InputError(f"{name} is {value!r}; it must be a name or a path")
        return value
    if isinstance(value, (str, bool)) or not _is_number(value):
        raise InputError(f"{name} is {value!r}; it must be a number")
    if kind is int and value != int(value):
        raise InputError(f"{name} is {value!r}; it must be a whole number")
    low, high, closed = _RANGES[name]
    above = value >= low if closed else value > low
    if not (above and value <= high and (value < high or high != 1.0)):
        least = f"at least {low}" if closed else f"greater than {low}"
        most = "" if high in (math.inf, 2**31 - 1) else f" and at most {high}"
        most = " and below 1" if high == 1.0 else most
        raise InputError(f"{name} is {value:g}; it must be {least}{most}")
    return kind(value)


def check_value(
    name: str, value: Any, default: Any, ends: tuple, latent_dim: int
) -> Any:
    """A hyperparameter's value as the type of its default.

    Args:
      ends: (low, high), both allowed unless infinite; "latent_dim" stands for that.

    Raises:
      InputError: wrong type, or outside the ends.
    """
    if isinstance(default, (str, bool)):
        if not isinstance(value, type(default)):
            kind = type(default).__name__
            raise InputError(f"{name} is {value!r}; it must be a {kind}")
        return value
    if isinstance(value, (str, bool)) or not _is_number(value):
        raise InputError(f"{name} is {value!r}; it must be a number")
    if isinstance(default, int) and value % 1:
        raise InputError(f"{name} is {value!r}; it must be a whole number")
    low, high = (latent_dim if e == "latent_dim" else e for e in ends)
    if not low <= value <= high:
        named = ["latent_dim" if e == "latent_dim" else f"{e:g}" for e in ends]
        raise InputError(
            f"{name} is {value:g}; it must lie in [{named[0]}, {named[1]}]"
            + (f", latent_dim being {latent_dim}" if "latent_dim" in ends else "")
        )
    return type(default)(value)


def _is_number(value: Any) -> bool:
    try:
        return math.isfinite(float(value))
    except (TypeError, ValueError, OverflowError):
        return False


FIELDS = {f.name: f for f in dataclasses.fields(Config)}
STATIC = tuple(n for n, f in FIELDS.items() if f.metadata["axis"] == "static")
TRACED = tuple(n for n, f in FIELDS.items() if f.metadata["axis"] == "traced")
AXES = tuple(n for n in FIELDS if n in STATIC or n in TRACED)


def plain(value: Any) -> Any:
    """A NumPy number as Python's, and the widths of one network as a tuple."""
    if hasattr(value, "item"):
        return value.item()
    return tuple(value) if isinstance(value, list) else value


def parse_axis(text: str) -> tuple[str, list[Any]]:
    """One ``NAME=VALUES`` of the command line as a name and its values.

    VALUES is ``v1,v2,…``; ``log:low:high:count`` (geometric, ends included);
    ``linear:low:high:count``; or ``random:low:high:count``, log-uniform draws that
    depend on NAME alone, so that the same text always means the same values.

    Raises:
      InputError: the text is not of one of these forms.
    """
    name, equals, values = text.partition("=")
    name, values = name.strip().replace("-", "_"), values.strip()
    forms = "NAME=V1,V2 or NAME=log:LOW:HIGH:COUNT (also linear:, random:)"
    if not equals or not name or not values:
        raise InputError(f"--axis '{text}' is not of the form {forms}")
    rule, _, rest = values.partition(":")
    if rule in ("log", "linear", "random"):
        try:
            low, high, count = rest.split(":")
            low, high, count = float(low), float(high), int(count)
        except ValueError as error:
            raise InputError(f"--axis '{text}' is not of the form {forms}") from error
        if not (
            math.isfinite(low) and math.isfinite(high) and low < high and count > 0
        ):
            raise InputError(f"--axis '{text}': LOW < HIGH and COUNT ≥ 1 are needed")
        if rule != "linear" and low <= 0:
            raise InputError(f"--axis '{text}': a logarithmic axis starts above 0")
        if rule == "random":
            rng = random.Random(name)
            logs = [rng.uniform(math.log(low), math.log(high)) for _ in range(count)]
            return name, [float(f"{math.exp(v):.6g}") for v in logs]
        at = [i / max(count - 1, 1) for i in range(count)]
        if rule == "linear":
            return name, [float(f"{low + (high - low) * t:.12g}") for t in at]
        return name, [float(f"{low * (high / low) ** t:.12g}") for t in at]
    if name == "hidden":  # commas belong to the widths: hidden=512,256;128
        try:
            nets = [tuple(map(int, v.split(","))) for v in values.split(";")]
        except ValueError:
            raise InputError(
                f"--axis '{text}': widths of one network are whole numbers separated "
                "by commas, networks are separated by semicolons: hidden=512,256;128"
            ) from None
        return name, nets
    parts = [v.strip() for v in values.split(",")]
    if "" in parts:
        raise InputError(f"--axis '{text}' has an empty value; the form is {forms}")
    return name, [parse_value(v) for v in parts]


def parse_value(text: str) -> Any:
    """A command-line word as bool, int, float or, failing these, str."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def product(axes: Mapping[str, list[Any]]) -> list[dict[str, Any]]:
    """Every combination of the axes' values, the last axis varying fastest."""
    names = list(axes)
    return [dict(zip(names, v, strict=True)) for v in itertools.product(*axes.values())]
