"""What the models do: reconstructions, samples, the latent plane, encoder filters."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib import ticker

from aejax import config, tasks
from aejax import data as datasets
from aejax.report import canvas, page
from aejax.report import table as tables

COLUMNS, ROWS, LINES, POINTS, GRID = 10, 8, 3, 2000, 15
SHARP = {"interpolation": "none", "cmap": "gray", "vmin": 0, "vmax": 1}
# Paul Tol's "muted" and a grey: ten hues that colour-blind readers tell apart.
CLASSES = ("#332288", "#88CCEE", "#117733", "#DDCC77", "#CC6677", "#44AA99", "#882255")
CLASSES += ("#999933", "#AA4499", "#7A7A7A")


class Shown(NamedTuple):
    """A line whose models are drawn, with test examples in data units."""

    line: tables.Line
    data: Any  # its Dataset
    models: list[tuple[str, tables.Setting, Any]]  # name on the x axis, setting, model
    x: np.ndarray
    y: np.ndarray | None
    length: np.ndarray | None


def load(table: tables.Table) -> list[Shown]:
    """Restores the models of the first leaders; those whose rows have them."""
    shown = []
    for line in (d for d in table.drawn if d in table.leaders[:LINES]):
        models, some_sizes = [], canvas.spread(line.settings, ROWS)
        for setting in line.settings:
            if setting in some_sizes or setting.axes["latent_dim"] == 2:
                x = setting.axes.get(table.x)
                name = "model" if x is None else tables.text(x)
                models += [(name, setting, m) for m in restored(setting)]
        if models:
            data = data_of(line.settings[0])
            count = COLUMNS if data.test.x.ndim == 4 else COLUMNS // 2
            examples = some(data.test, data, tasks.examples(data.test, count))
            shown.append(Shown(line, data, models, *examples))
    return shown


def data_of(setting) -> Any:
    """The Dataset of a setting."""
    run, name = setting.run, setting.axes["dataset"]
    return run.dataset(name if len(run.axes.get("dataset", ())) > 1 else None)


def restored(setting, most: int = 1) -> list[Any]:
    """Models of the smallest seeds that did not diverge, as far as there are any."""
    bad = {r["seed"] for r in setting.rows if r["diverged"]}
    good = {r["seed"] for r in setting.rows} - bad
    names = ("objective", "latent_dim", *setting.run.axes)
    choice = {n: setting.axes[n] for n in names if setting.axes.get(n) is not None}
    try:
        return [setting.run.model(**choice, seed=seed) for seed in sorted(good)[:most]]
    except config.InputError:  # an unfinished run has no parameters here yet
        return []


def some(part, data, at=slice(None)) -> tuple[np.ndarray | None, ...]:
    """x in data units, y and length of these rows of a split."""
    x = np.asarray(part.x[at], np.float32) / np.float32(data.scale)
    return x, *(None if a is None else a[at] for a in (part.y, part.length))


def reconstructions(shown: list[Shown]) -> page.Section | None:
    """Test examples above what each bottleneck size makes of them."""
    pictures = []
    for one in shown:
        rows = [("original", "test\nmse" if one.models[0][1].mse else "", one.x)]
        for name, setting, model in one.models:
            note = tables.measured(setting.mse[0]) if setting.mse else ""
            rows.append((name, note, model.reconstruct(one.x, one.y, one.length)))
        pictures.append((one, rows))
    return _matrices("reconstructions", "Reconstructions", pictures)


def samples(shown: list[Shown]) -> page.Section | None:
    """Draws from the prior, or from a density of the codes where there is none."""
    from jax import random  # only who draws samples needs jax

    pictures = []
    for one in shown:
        count, kinds = len(one.x), one.data.num_classes
        y = np.arange(count, dtype=np.int32) % kinds if kinds else None
        y = one.y if np.ndim(one.y) == 2 else y
        rows = [(n, "", m.sample(random.key(0), count, y)) for n, _, m in one.models]
        pictures.append((one, rows))
    return _matrices("samples", "Samples", pictures)


def filters(shown: list[Shown]) -> page.Section | None:
    """Encoder weights of first layers that see whole images, as images."""
    pictures = []
    for one in (one for one in shown if one.x.ndim == 4):
        from aejax.tasks import visualize  # jax, which restored models need anyway

        rows = []
        for name, _, model in one.models:
            kernel = visualize.filters(model, one.x.shape[1:])
            if kernel is not None:
                kernel = kernel.reshape(len(kernel), -1)
                kernel = canvas.spread(kernel, 3 * COLUMNS)
                # Each on its own scale around 0, which is grey.
                kernel = 0.5 + 0.5 * kernel / np.abs(kernel).max(1, keepdims=True)
                kernel = np.resize(kernel, (3 * COLUMNS, kernel.shape[1]))
                cut = kernel.reshape(3, COLUMNS, *one.x.shape[1:])
                rows += [(name if j == 0 else "", "", row) for j, row in enumerate(cut)]
        if rows:
            pictures.append((one, rows))
    return _matrices("filters", "Encoder filters", pictures)


def plane(shown: list[Shown]) -> page.Section | None:
    """Codes of the test split by class, and the decoder over their middle 96 %."""
    figures = []
    for one in shown:
        flat = [m for _, s, m in one.models if s.axes["latent_dim"] == 2]
        every = -(-len(one.data.test.x) // POINTS)
        x, y, length = some(one.data.test, one.data, slice(None, None, every))
        z = flat[0].encode(x, y, length) if flat else ()
        if isinstance(z, tuple):  # no model, or a hierarchy of codes: no plane
            continue
        wide = x.ndim == 4
        width = canvas.WIDTH if wide else canvas.HALF
        fig, axes = canvas.panels([4.6], 1 + wide, width)
        scatter(axes[0], z, y, datasets.labels(one.data))
        axes[0].set_title(canvas.short(one.line.label, 40), color=one.line.color)
        if wide:
            sides = np.linspace(*np.quantile(z, [0.02, 0.98], axis=0), GRID).T
            grid = np.stack(np.meshgrid(sides[0], sides[1][::-1]), -1)
            labels = None if one.y is None else np.repeat(one.y[:1], GRID**2, 0)
            decoded = flat[0].decode(grid.reshape(-1, 2).astype(np.float32), labels)
            _tiles(axes[1], one.x, np.split(np.asarray(decoded), GRID))
            axes[1].set_title("decoded over the codes")
        name = f"plane-{len(figures)}"
        figures.append(page.Figure(name, canvas.svg(fig), wide))
    return page.Section("plane", "The latent plane", figures) if figures else None


def scatter(ax, z, y, names=None):
    """Codes (N, 2), coloured by class y, whose label stands at its median."""
    kinds = np.unique(y) if y is not None and y.ndim == 1 else []
    if not 0 < len(kinds) <= len(CLASSES):  # none, or more than can be told apart
        kinds, hues = [], canvas.MUTED
    else:
        hues = [CLASSES[i] for i in np.searchsorted(kinds, y)]
    ax.scatter(*z.T, c=hues, s=11, alpha=0.75, lw=0)
    for k, hue in zip(kinds, CLASSES, strict=False):
        box = {"boxstyle": "circle,pad=0.22", "fc": "white", "ec": hue, "lw": 1.6}
        style = {"ha": "center", "va": "center", "fontsize": 9, "bbox": box}
        label = config.listed([(names or {}).get(int(k), k)])
        ax.text(*np.median(z[y == k], axis=0), canvas.short(label, 12), **style)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(ticker.MaxNLocator(5))
    ax.grid(False)
    ax.set(xlabel="z₁", ylabel="z₂")


def _matrices(id_, title, pictures):
    """A section with one matrix for each of (line shown, rows)."""
    figures = []
    for i, (one, rows) in enumerate(pictures):
        fig = matrix(one.x, rows, one.line.label, one.line.color)
        figures.append(page.Figure(f"{id_}-{i}", canvas.svg(fig)))
    return page.Section(id_, title, figures) if figures else None


def matrix(
    x: np.ndarray,
    rows: Sequence[tuple[str, str, np.ndarray]],
    title: str = "",
    color: str = canvas.INK,
) -> Any:
    """Images, or series as curves, in rows: a figure of half the page's width.

    Args:
      x: (n, ...) the originals, whose range all rows are drawn in.
      rows: (name at the left, note at the right, n examples like ``x``).
    """
    tall = height(x, len(rows))
    fig, (ax,) = canvas.panels([tall], width=canvas.HALF)
    fill(ax, x, rows)
    ax.set_title(canvas.short(title, 40), color=color)
    return fig


def _cell(x: np.ndarray) -> float:
    return x.shape[1] / x.shape[2] if x.ndim == 4 else 0.7


def height(
    x: np.ndarray, rows: int, width: float = canvas.HALF, most: float = 0.7
) -> float:
    """Inches of a matrix of this width with its title; an example has ``most``."""
    return min(most, 0.72 * width / len(x)) * _cell(x) * rows + 0.5


def fill(ax, x: np.ndarray, rows: Sequence[tuple[str, str, np.ndarray]]) -> None:
    """Draws ``matrix`` into given axes."""
    count = len(x)
    draw = _tiles if x.ndim == 4 else _strokes
    draw(ax, x, [examples for *_, examples in rows])
    style = {"color": canvas.MUTED, "fontsize": 9, "va": "center"}
    for i, (name, note, _) in enumerate(rows):
        ax.text(-0.2, i + 0.5, name, ha="right", **style)
        ax.text(count + 0.2, i + 0.5, note, **style)
    ax.set(aspect=_cell(x), anchor="NW")


def _tiles(ax, x, rows):
    """Rows of images as one picture, a cell to each, in the range of ``x``."""
    low, high = min(x.min(), 0.0), max(x.max(), 1.0)
    images = ((np.asarray(rows, float) - low) / (high - low)).clip(0, 1)
    if images.shape[-1] != 3:
        images = images.mean(-1, keepdims=True)
    r, c, h, w, d = images.shape
    picture = images.transpose(0, 2, 1, 3, 4).reshape(r * h, c * w, d)
    ax.imshow(picture, extent=(0, c, r, 0), aspect="auto", **SHARP)
    ax.vlines(range(1, c), 0, r, color="white", lw=1.2)
    ax.hlines(range(1, r), 0, c, color="white", lw=1.2)
    ax.set_axis_off()


def _strokes(ax, x, rows):
    """Each example as a line plot, over its original in grey; up to three features."""
    low, high = x.min(), max(x.max(), x.min() + 1e-6)
    for i, values in enumerate(rows):
        behind = [(x, "#b9c1c9", 2.0)] * (rows[0] is x)
        for some, hue, width in (*behind, (values, canvas.INK, 0.9)):
            some = np.reshape(some, (*some.shape[:2], -1))[:, :, :LINES]  # (n, T, F)
            some = some[:, :: -(-some.shape[1] // 100)].clip(low, high)
            t = np.linspace(0.08, 0.92, some.shape[1])
            y = i + 0.88 - 0.76 * (some - low) / (high - low)
            for j, each in enumerate(y):
                ax.plot(j + t, each, color=hue, lw=width)
    ax.set(xlim=(0, len(x)), ylim=(len(rows), 0))
    ax.set_axis_off()
