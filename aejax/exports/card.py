"""The model card of an export, Markdown: what the model is, and how to use it."""

from collections.abc import Mapping
from typing import Any

from aejax import machine, objectives, registry
from aejax import model as model_lib
from aejax.exports import arrays as stored
from aejax.exports import functions

# Of objective and network; what else there is has one line of its own.
_PACKAGES = ("aejax", "jax", "numpy")
_UNITS = (
    "nats are summed over data elements and latent dimensions and averaged over "
    "examples; mse is the mean over data elements of the squared error in data units"
)


def text(parts: stored.Parts, facts: Mapping[str, Any], usage: str) -> str:
    """The card.

    Args:
      parts: the model.
      facts: as model.json has them.
      usage: how its files are read, in Markdown.
    """
    rows = [*_model(parts), *_training(parts)]
    table = ["| | |", "|---|---|"] + [f"| {n} | {_cell(v)} |" for n, v in rows]
    sections = [
        "---\nlibrary_name: aejax\ntags: [autoencoder, jax]\n---",
        f"# {functions.title(parts)}, {parts.config.latent_dim} latent dimensions",
        "An autoencoder trained by aejax, a library of populations of autoencoders in "
        "JAX.",
        "\n".join(table),
        *_metrics(parts),
        f"## How to load it\n\n{usage}\n\n{_BACK}",
        "## Licence\n\naejax is under Apache-2.0. This card says nothing on that of "
        "the weights and of the data they are of: whoever passes them on says it.",
    ]
    return "\n\n".join(sections) + "\n"


def _cell(value: Any) -> str:
    return " ".join(str(value).split()).replace("|", "\\|")


def _model(parts: stored.Parts) -> list[tuple[str, Any]]:
    """What it is."""
    config, spec, data = parts.config, parts.spec, parts.spec.data
    title = objectives.OBJECTIVES.title(config.objective)
    options = ", ".join(f"{n}={v}" for n, v in config.hparams.items())
    count = model_lib.count(parts.params, config.latent_dim)
    shape = ", ".join(map(str, data.shape))
    units = f", which are x_stored / {data.scale:g}" * (data.scale != 1)
    sizes = ", ".join(
        f"{size:,} {name}"
        for name, size in zip(("train", "valid", "test"), data.sizes, strict=True)
    )
    classes = spec.model.network_spec.num_classes and data.labels  # which y are of
    digest = parts.origin.get("data")
    hashed = f"SHA-256 `{digest}…`" if digest else "SHA-256 not known"
    return [
        ("objective", f"`{registry.label(config.objective)}`: {title}"),
        (
            "network",
            f"`{registry.label(config.network)}`, hidden "
            f"{registry.joined(config.hidden)}, {config.activation}; {count:,} "
            "parameters",
        ),
        ("hyperparameters", options or "none"),
        ("x", f"(N, {shape}) float32 in data units{units}"),
        ("likelihood", spec.model.likelihood),
        ("data set", f"`{registry.label(config.dataset)}`, {hashed}; {sizes} examples"),
        *[("classes", ", ".join(f"{k}: {v}" for k, v in data.labels))] * bool(classes),
    ]


def _training(parts: stored.Parts) -> list[tuple[str, Any]]:
    """How it came about."""
    config, origin = parts.config, parts.origin
    rule = f"{config.optimizer}, learning rate {config.learning_rate:g}"
    batch = f"batches of {config.batch_size}, seed {config.seed}"
    rows = [
        ("training", f"step {parts.step:,} of {parts.spec.steps:,}: {rule}, {batch}")
    ]
    command = origin.get("command")
    by = f"`{command}`" if command else "none is known: it was trained from Python"
    if not origin:
        by = "none is known: it was exported from a model alone"
    rows.append(("command", by))
    if origin.get("versions"):
        versions = ", ".join(f"{n} {v}" for n, v in origin["versions"].items())
        place = f"{origin['device']}, {origin['started']}"
        rows.append(("trained with", f"{versions}; {place}"))
    exported = ", ".join(f"{n} {machine.version(n)}" for n in _PACKAGES)
    return [*rows, ("exported with", exported)]


def _metrics(parts: stored.Parts) -> list[str]:
    """Its test metrics, and those of its setting over seeds."""
    member, setting = parts.origin.get("metrics"), parts.origin.get("setting")
    if not member and not setting:
        return ["Its test metrics are not known here: it was not exported from a run."]
    seeds = parts.origin.get("seeds")
    head = ["| test metric | this model | mean of its setting over n seeds [95 %] |"]
    lines = []
    for name in setting or member:
        mean = _interval(*setting[name]) if setting else "–"
        lines.append(f"| {name} | {_number((member or {}).get(name))} | {mean} |")
    lines = [line for line in lines if not line.endswith("| – | – |")]
    over = f"n = {seeds} seeds of its setting" if setting else "Its run has no summary"
    return ["\n".join([*head, "|---|---|---|", *lines]), f"{over}; {_UNITS}."]


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def _interval(mean: float | None, low: float | None, high: float | None) -> str:
    ends = f" [{_number(low)}, {_number(high)}]" * (low is not None)
    return _number(mean) + ends


_BACK = """With aejax it is a model again, whatever the format:

```python
import aejax

model = aejax.load(".")  # this folder; encode, decode, reconstruct, sample
```"""
