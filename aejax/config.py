"""One frozen configuration and its checks. Imports neither jax nor flax."""

import dataclasses
import difflib
import math
import os
from collections.abc import Iterable, Mapping
from typing import Any


def _line(text: str) -> str:
    """Escapes what cannot be printed, line breaks for example."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


class InputError(ValueError):
    """Something the user gave cannot be used: one clear line, of bounded length."""

    def __init__(self, text: Any):
        if len(text := _line(str(text))) > 1400:
            text = f"{text[:1100]} … {text[-200:]}"
        super().__init__(text)


def listed(names: Iterable[Any], limit: int = 40) -> str:
    """Names in one line of bounded length, whatever they are and however many."""
    names = [str(name) for name in names]
    some = [_line(n[:99]) + "…" * (len(n) > 99) for n in names[:limit]]
    more = [f"… and {len(names) - limit:,} more"] * (len(names) > limit)
    return ", ".join(some + more) if names else "none"


def unknown(kind: str, given: str, known: Iterable[str]) -> InputError:
    """The error for a name that does not exist, with the nearest that does."""
    known, given = sorted(known), listed([given])
    near = difflib.get_close_matches(given, known, n=1, cutoff=0.5)
    hint = f"did you mean '{near[0]}'? " if near else ""
    return InputError(f"{kind} '{given}' is unknown; {hint}known: {listed(known)}")


CHOICES = {
    "likelihood": (
        "auto",
        "bernoulli",
        "continuous_bernoulli",
        "gaussian",
        "gaussian_learned",
        "laplace",
        "student_t",
        "mixed",
        "categorical",
        "discretized_logistic",
        "tokens",
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

MOST = 2**31 - 1  # of an int32
WIDEST = 1_000_000  # units or channels of one layer
LONGEST = 100_000  # values of one axis


def _field(default: Any, axis: str | None, text: str, low=0, high=math.inf, ends="[]"):
    """A field: how it is swept, its help, and a number's interval, e.g. [low, high)."""
    metadata = {"axis": axis, "help": text, "ends": (low, high, ends)}
    return dataclasses.field(default=default, metadata=metadata)


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
        "digits",
        "static",
        "name, .npz, .npy, .txt or .json file, table (.csv:LABEL_COLUMN), or a folder "
        "of images or MIDI files; PATH@KEY=VALUE,… asks more of it, see aejax/data",
    )
    objective: str = _field("ae", "static", "name (see --list) or path to a file")
    network: str = _field("mlp", "static", "name (see --list) or path to a file")
    latent_dim: int = _field(8, "traced", "bottleneck size", 1, 65536)
    seed: int = _field(0, "traced", "of weights, batch order and noise", 0, 2**32 - 1)
    learning_rate: float = _field(3e-3, "traced", "peak learning rate", ends="(]")
    batch_size: int = _field(128, "static", "examples per step", 1, MOST)
    hidden: tuple[int, ...] = _field(
        (128, 64),
        "static",
        "mlp: widths; conv: channels per stride-2 stage, then a width",
    )
    activation: str = _field("relu", "static", "between layers")
    epochs: int = _field(160, None, "passes over the training split", 1, MOST)
    eval_every: int = _field(40, None, "epochs between evaluations", 1, MOST)
    data_parallel: int = _field(
        1, None, "devices that share each batch of a member", 1, 65536
    )
    likelihood: str = _field("auto", "static", "p(x|z); auto is the data set's own")
    binarize: str = _field("none", "static", "threshold at 1/2, or dynamic: redrawn")
    precision: str = _field("float32", "static", "of matrix products")
    optimizer: str = _field("adam", "static", "optax optimiser")
    schedule: str = _field("constant", "static", "piecewise: Burda et al. 2016")
    warmup: int = _field(0, "traced", "steps of linear rise of the rate", 0, MOST)
    weight_decay: float = _field(0.0, "traced", "decoupled; adamw and sgd only")
    clip_norm: float = _field(0.0, "traced", "global gradient norm; 0 is off")
    beta1: float = _field(0.9, "traced", "Adam's beta1; momentum of sgd", 0, 1, "[)")
    beta2: float = _field(0.999, "traced", "Adam's beta2", 0, 1, "[)")
    eps: float = _field(1e-8, "traced", "Adam's, added after the root", ends="(]")
    init: str = _field("lecun", "static", "lecun: truncated normal; glorot: uniform")
    output_bias: str = _field("zero", "static", "mean: starts at the training mean")
    select: str = _field("last", "static", "parameters kept: last, or best on valid")
    hparams: Mapping[str, Any] = dataclasses.field(
        default_factory=dict,
        metadata={"axis": None, "help": "hyperparameters of the objective, by name"},
    )

    def __post_init__(self):
        for name, field in FIELDS.items():
            value, default = getattr(self, name), field.default
            if isinstance(default, str) and isinstance(value, os.PathLike):
                value = os.fspath(value)
                object.__setattr__(self, name, value)
            if name in CHOICES:
                if value not in CHOICES[name]:
                    raise unknown(name, value, CHOICES[name])
            elif isinstance(default, str):
                if not isinstance(value, str) or not value:
                    raise InputError(
                        f"{name} is {value!r}; it must be a name or a path"
                    )
            elif isinstance(default, (int, float)):
                value = check_value(name, value, default, field.metadata["ends"])
                object.__setattr__(self, name, value)
        hidden = (self.hidden,) if isinstance(self.hidden, int) else self.hidden
        if not isinstance(hidden, (tuple, list)) or not all(
            isinstance(w, int) and not isinstance(w, bool) and 0 < w <= WIDEST
            for w in hidden
        ):
            raise InputError(
                f"hidden is {hidden}; every width must be a whole number from 1 to "
                f"{WIDEST:,}, separated by commas, e.g. --hidden 128,64"
            )
        object.__setattr__(self, "hidden", tuple(hidden))
        object.__setattr__(self, "hparams", dict(self.hparams))
        if self.weight_decay and self.optimizer == "adam":
            raise InputError(
                f"weight_decay is {self.weight_decay:g} but optimizer 'adam' has none; "
                "use --optimizer adamw (decoupled decay), or sgd"
            )

    def __hash__(self) -> int:
        values = (getattr(self, n) for n in FIELDS if n != "hparams")
        return hash((*values, frozenset(self.hparams)))

    def replace(self, **changes: Any) -> "Config":
        """A copy with these fields changed, checked again."""
        return dataclasses.replace(self, **changes)

    def to_json(self) -> dict[str, Any]:
        """Field values as JSON types; ``hidden`` becomes a list."""
        return dataclasses.asdict(self) | {"hidden": list(self.hidden)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Config":
        """The inverse of ``to_json``."""
        return cls(**values)


def check_value(
    name: str, value: Any, default: Any, ends: tuple, latent_dim: int = 0
) -> Any:
    """A number, word or switch as the type of its default.

    Args:
      ends: (low, high), both allowed, or (low, high, "[)"), where high is not;
        "latent_dim" stands for that.

    Raises:
      InputError: wrong type, not finite, or outside the ends.
    """
    if isinstance(default, (str, bool)):
        if not isinstance(value, type(default)):
            kind = type(default).__name__
            raise InputError(f"{name} is {value!r}; it must be a {kind}")
        return value
    try:
        finite = not isinstance(value, bool) and math.isfinite(value)
    except (TypeError, OverflowError):
        finite = False
    if not finite:
        raise InputError(f"{name} is {value!r}; it must be a number")
    if isinstance(default, int) and value % 1:
        raise InputError(f"{name} is {value!r}; it must be a whole number")
    (*ends, brackets) = ends if len(ends) == 3 else (*ends, "[]")
    low, high = (latent_dim if e == "latent_dim" else e for e in ends)
    above = value > low or (value == low and brackets[0] == "[")
    below = value < high or (value == high and brackets[1] == "]")
    if not (above and below):
        named = ", ".join(e if isinstance(e, str) else f"{e:.10g}" for e in ends)
        raise InputError(
            f"{name} is {value:g}; it must lie in {brackets[0]}{named}{brackets[1]}"
            + (f", latent_dim being {latent_dim}" if "latent_dim" in ends else "")
        )
    return type(default)(value)


FIELDS = {f.name: f for f in dataclasses.fields(Config)}
STATIC = tuple(n for n, f in FIELDS.items() if f.metadata["axis"] == "static")
TRACED = tuple(n for n, f in FIELDS.items() if f.metadata["axis"] == "traced")
AXES = tuple(n for n in FIELDS if n in STATIC or n in TRACED)
FIXED = tuple(n for n in FIELDS if n not in AXES)  # the same for a whole sweep


def plain(value: Any) -> Any:
    """A NumPy number as Python's, a path as its name, widths as a tuple."""
    if hasattr(value, "item"):
        return value.item()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return tuple(value) if isinstance(value, list) else value


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
