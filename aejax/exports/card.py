"""The model card of an export, Markdown: what the model is, and how to use it."""

from collections.abc import Mapping
from typing import Any

from aejax import machine, objectives, registry
from aejax import model as model_lib
from aejax.exports import arrays as stored
from aejax.exports import code, functions, public

# Of objective and network; what else there is has one line of its own.
_PACKAGES = ("aejax", "jax", "numpy")
_MOST = 200  # columns of a table
_BINARIZED = {
    "threshold": "an element is 1 from half of its range on: x are 0 and 1",
    "dynamic": "an element is 1 with its own probability, drawn anew each time: "
    "x are 0 and 1",
}
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
        *_columns(parts),
        f"## How to load it\n\n{usage}\n\n{_back(parts)}",
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
    scale = spec.scales[1]
    units = f"in data units, which are x_stored / {data.scale:g}"
    units = units if scale != 1 else "in data units"
    if bits := _BINARIZED.get(config.binarize):
        units = "0 and 1"
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
        ("x", f"(N, {shape}) float32, {units}"),
        *[("binarised", bits)] * bool(bits),
        *[("precision", f"`{config.precision}` products")]
        * (config.precision != "float32"),
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
        places = [str(origin[n]) for n in ("device", "started") if origin.get(n)]
        rows.append(("trained with", "; ".join([versions, ", ".join(places)])))
    exported = ", ".join(f"{n} {machine.version(n)}" for n in _PACKAGES)
    return [*rows, ("exported with", exported)]


def _metrics(parts: stored.Parts) -> list[str]:
    """Its metrics, and those of its setting over seeds; or why there are none."""
    origin = parts.origin
    setting, test, valid = (origin.get(n) for n in ("setting", "metrics", "valid"))
    why = _unfinished(origin)
    lines = []
    if test and not origin.get("diverged"):
        lines = [
            (name, value, (setting or {}).get(name, (None,) * 3))
            for name, value in test.items()
        ]
    elif valid and not origin.get("diverged"):
        lines = [(name, value, (None,) * 3) for name, value in valid.items()]
    rows = [
        f"| {name} | {_number(value)} | {_interval(*ends)} |"
        for name, value, ends in lines
        if value is not None or ends[0] is not None
    ]
    if not rows:
        return [why or "Its metrics are not known here."]
    if not test:
        kind = "validation metric"
        over = f"Of epoch {origin.get('epoch')}"
    else:
        seeds = origin.get("seeds")
        kind = "test metric"
        over = "Its run has no summary"
        if setting:
            over = f"n = {seeds} seed{'s' * (seeds != 1)} of its setting"
    head = f"| {kind} | this model | mean of its setting over n seeds [95 %] |"
    units = _UNITS + ", which are standardised" * (parts.spec.data.standard is not None)
    table = "\n".join([head, "|---|---|---|", *rows])
    return [why] * bool(why) + [table, f"{over}; {units}."]


def _unfinished(origin: Mapping[str, Any]) -> str:
    """Why it has no test metrics; "" if it has."""
    if not origin:
        return "Its metrics are not known here: it was not exported from a run."
    if origin.get("diverged"):
        return (
            "**It diverged**: its loss or its parameters were not finite any more, and "
            "it has no metrics."
        )
    if origin.get("metrics"):
        return ""
    if origin.get("stopped") is not None:
        return (
            f"Successive halving stopped its training after epoch {origin['stopped']}, "
            "so that it has no test metrics."
        )
    if not origin.get("finished"):
        return "Its run was not finished, so that it has no test metrics."
    return "It has no test metrics: its run has no test row of it."


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def _interval(mean: float | None, low: float | None, high: float | None) -> str:
    ends = f" [{_number(low)}, {_number(high)}]" * (low is not None)
    return _number(mean) + ends


def _columns(parts: stored.Parts) -> list[str]:
    """A table's columns, and what was done to the data."""
    data, blocks = parts.spec.data, []
    if data.notes:
        blocks.append("\n".join(f"- {_cell(note)}" for note in data.notes))
    if data.missing:
        blocks.append("NaN in x is a value that was not observed.")
    standard = data.standard
    units = {}
    if standard is not None:
        ends = zip(standard.places, standard.center, standard.spread, strict=True)
        units = {
            int(place): f"mean {mean:.6g}, deviation {spread:.6g}"
            for place, mean, spread in ends
        }
    quantiles = (
        "standardised"
        if getattr(standard, "knots", None) is None
        else ("normal scores of its quantiles, see model.json")
    )
    rows = []
    for column in data.columns[:_MOST]:
        end = column.start + column.width - 1
        place = column.start if column.width == 1 else f"{column.start} … {end}"
        about = ", ".join(column.values)
        if column.start in units and not column.values:
            about = f"{quantiles}: {units[column.start]}"
        rows.append(
            f"| {_cell(column.name)} | {column.kind} | {place} | {_cell(about)} |"
        )
    if rows:
        head = "| column | kind | place in x | values |\n|---|---|---|---|\n"
        blocks.append(head + "\n".join(rows))
    if len(data.columns) > _MOST:
        more = len(data.columns) - _MOST
        blocks.append(f"… and {more:,} columns more, which model.json lists.")
    return ["## Data", *blocks] if blocks else []


def _back(parts: stored.Parts) -> str:
    names = "encode, decode, reconstruct" + ", sample" * functions.can_sample(parts)
    named = code.files(parts.config.to_json())
    allowed, needs = "", ""
    if named:
        allowed = ", own_code=True"
        files = " and ".join(f"`{name}`" for name in public.files(named).values())
        needs = (
            f"\n\nIt depends on {files}, which is not in this folder: that file as it "
            "was has to be in the folder that Python runs in, and runs as code."
        )
    return f"{_BACK.format(allowed=allowed, names=names)}{needs}"


_BACK = """With aejax it is a model again, whatever the format:

```python
import aejax

model = aejax.load("."{allowed})  # this folder; {names}
```"""
