"""What the models do: reconstructions, samples and the plane of two-number codes."""

import statistics
from typing import Any, NamedTuple

import numpy as np
from matplotlib import collections, ticker

from aejax import config
from aejax.report import canvas, page
from aejax.report import table as tables

COLUMNS, ROWS, LINES, POINTS, GRID = 12, 8, 3, 2000, 15
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

    @property
    def images(self) -> bool:
        return self.x.ndim == 4


def load(table: tables.Table) -> list[Shown]:
    """Restores the models to draw: the best line of each objective comes first."""
    leaders = [line for line in table.leaders if line.color != tables.GREY][:LINES]
    shown = []
    for line in (d for d in table.clear if any(d is one for one in leaders)):
        keep = {round(i) for i in np.linspace(0, len(line.settings) - 1, ROWS)}
        keep |= {i for i, s in enumerate(line.settings) if s.axes["latent_dim"] == 2}
        drawn = [s for i, s in enumerate(line.settings) if i in keep][: ROWS + 1]
        models = [
            (tables.text(s.axes[table.x]) if s.axes.get(table.x) else "model", s, m)
            for s in drawn
            if (m := _restore(s)) is not None
        ]
        if models:
            run, name = drawn[0].run, drawn[0].axes["dataset"]
            data = run.dataset(*[name] * (len(run.axes.get("dataset", ())) > 1))
            shown.append(Shown(line, data, models, *_some(data, _examples(data))))
    return shown


def _restore(setting):
    bad = {r["seed"] for r in setting.rows if r["diverged"]}
    good = {r["seed"] for r in setting.rows} - bad
    names = ("objective", "latent_dim", *setting.run.axes)
    choice = {n: setting.axes[n] for n in names if setting.axes.get(n) is not None}
    try:
        return setting.run.model(**choice | {"seed": min(good)}) if good else None
    except config.InputError:  # an unfinished run has no parameters here yet
        return None


def _examples(data) -> np.ndarray:
    """Rows of the test split: equally many of each class, else evenly spread."""
    count = COLUMNS if data.test.x.ndim == 4 else COLUMNS // 2
    y = data.test.y
    if y is None or y.ndim > 1:
        return np.unique(np.linspace(0, len(data.test.x) - 1, count).astype(int))
    kinds = np.unique(y)
    each = max(1, count // len(kinds))
    return np.concatenate([np.flatnonzero(y == k)[:each] for k in kinds])[:count]


def _some(data, at) -> tuple[np.ndarray, np.ndarray | None]:
    x = np.asarray(data.test.x[at], np.float32) / np.float32(data.scale)
    return x, None if data.test.y is None else data.test.y[at]


def _classes(data, n: int) -> np.ndarray | None:
    """Classes for a conditional decoder; every other one ignores them."""
    return np.arange(n, dtype=np.int32) % data.num_classes if data.num_classes else None


def reconstructions(table: tables.Table, shown: list[Shown]) -> page.Section | None:
    """Test examples above what each bottleneck size makes of them."""
    figures = []
    for i, one in enumerate(shown):
        rows = [("original", "", one.x)]
        for name, setting, model in one.models:
            mse = setting.metric("mse")
            note = tables.measured(mse[0]) if mse else ""
            rows.append((name, note, model.reconstruct(one.x, one.y)))
        drawing = _matrix(one, rows, "test mse" if any(r[1] for r in rows) else "")
        figures.append(page.Figure(f"reconstructions-{i}", drawing))
    caption = f"Test examples, the same for all. Rows: {tables.title(table.x)}, the "
    caption += "smallest seed of each; the number is the mean over all seeds."
    return _section("reconstructions", "Reconstructions", caption, figures)


def samples(table: tables.Table, shown: list[Shown]) -> page.Section | None:
    """Draws from the prior of the objectives that have one."""
    from jax import random  # only who draws samples needs jax

    figures = []
    for i, one in enumerate(shown):
        count, rows = len(one.x), []
        try:
            for name, _, model in one.models:
                drawn = model.sample(random.key(0), count, _classes(one.data, count))
                rows.append((name, "", drawn))
        except config.InputError:  # deterministic: there is no prior
            continue
        figures.append(page.Figure(f"samples-{i}", _matrix(one, rows)))
    caption = "Codes drawn from the prior and decoded to their mean; nothing is chosen."
    return _section("samples", "Samples", caption, figures)


def plane(table: tables.Table, shown: list[Shown]) -> page.Section | None:
    """Codes of the test split by class, and the decoder over the plane."""
    figures = []
    for i, one in enumerate(shown):
        flat = [m for m in one.models if m[1].axes["latent_dim"] == 2][:1]
        for _, setting, model in flat:
            count = len(one.data.test.x)
            x, y = _some(one.data, np.arange(0, count, -(-count // POINTS)))
            z = model.encode(x, y)
            if isinstance(z, tuple):  # a hierarchy of codes has no plane
                continue
            columns, width = (2, canvas.WIDTH) if one.images else (1, canvas.HALF)
            fig, axes = canvas.panels([4.15], columns, width=width, left=0.7)
            _scatter(axes[0], one, z, y)
            if one.images:
                _decoded(axes[1], one, setting, model, z)
            figures.append(page.Figure(f"plane-{i}", canvas.svg(fig), wide=one.images))
    caption = "Codes of test examples, each class named at its middle"
    if any(one.images for one in shown):
        caption += "; beside them the decoder over the plane, at quantiles of a normal "
        caption += "prior, or over the middle 96 % of the codes if there is no prior"
    return _section("plane", "The latent plane", f"{caption}.", figures)


def _section(id_, title, caption, figures):
    return page.Section(id_, title, [caption], figures) if figures else None


def _scatter(ax, one, z, y):
    kinds = np.unique(y) if y is not None and y.ndim == 1 else []
    few = 0 < len(kinds) <= len(CLASSES)
    colors = [CLASSES[k % len(CLASSES)] for k in y] if few else canvas.MUTED
    ax.scatter(*z.T, c=colors, s=11, alpha=0.75, lw=0)
    for k in kinds if few else ():  # colour is not the only way to tell them apart
        edge = {"fc": "white", "ec": CLASSES[k % len(CLASSES)], "lw": 1.6}
        text = {"ha": "center", "va": "center", "fontsize": 9}
        box = {"boxstyle": "circle,pad=0.22"} | edge
        ax.text(*np.median(z[y == k], axis=0), str(k), bbox=box, **text)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(ticker.MaxNLocator(5))
    ax.grid(False)
    ax.set(xlabel="z₁", ylabel="z₂")
    ax.set_title(canvas.short(one.line.label, 40), color=one.line.color)


def _decoded(ax, one, setting, model, z):
    if any(row.get("kl") is not None for row in setting.rows):
        at = [statistics.NormalDist().inv_cdf(p) for p in np.linspace(0.01, 0.99, GRID)]
        sides, over = np.array([at, at]), "the prior"
    else:
        sides = np.linspace(*np.quantile(z, [0.02, 0.98], axis=0), GRID).T
        over = "the codes"
    codes = np.stack(np.meshgrid(sides[0], sides[1][::-1]), -1).reshape(-1, 2)
    y = _classes(one.data, len(codes))
    images = model.decode(codes.astype(np.float32), None if y is None else 0 * y)
    tiles = _tiles(np.reshape(images, (GRID, GRID, *images.shape[1:])), one.x)
    ax.imshow(tiles, **SHARP)
    ax.set_axis_off()
    ax.set_title(f"decoded over {over}")


def _matrix(one: Shown, rows, right: str = "") -> str:
    """Rows of examples as SVG; names at the left, notes at the right."""
    count, left, edge = len(one.x), 0.75, 0.62
    cell = min(0.5 if one.images else 0.8, (canvas.HALF - left - edge) / count)
    aspect = one.x.shape[1] / one.x.shape[2] if one.images else 0.7
    tall = cell * aspect * len(rows)
    right_edge = canvas.HALF - left - cell * count
    margins = {"left": left, "right": right_edge, "bottom": 0.08}
    fig, (ax,) = canvas.panels([tall], width=canvas.HALF, **margins)
    ax.set(xlim=(0, count), ylim=(len(rows), 0))
    ax.set_axis_off()
    if one.images:
        picture = _tiles(np.stack([images for *_, images in rows]), one.x)
        ax.imshow(picture, extent=(0, count, len(rows), 0), aspect="auto", **SHARP)
    else:
        _strokes(ax, one, rows)
    style = {"color": canvas.MUTED, "fontsize": 9}
    for i, (name, note, _) in enumerate(rows):
        ax.text(-0.2, i + 0.5, name, ha="right", va="center", **style)
        ax.text(count + 0.2, i + 0.5, note, va="center", **style)
    ax.text(count + 0.2, 0.5, right.replace(" ", "\n"), va="center", **style)
    ax.set_title(canvas.short(one.line.label, 40), color=one.line.color)
    return canvas.svg(fig)


def _strokes(ax, one, rows):
    """Each example as a line plot, with the original in grey behind it."""
    low, high = one.x.min(), max(one.x.max(), one.x.min() + 1e-6)
    first = rows[0][2]
    for i, (name, _, values) in enumerate(rows):
        behind = [(first, "#b9c1c9", 2.0)] if rows[0][0] == "original" and i else []
        color = canvas.INK if name == "original" else one.line.color
        for each, hue, width in [*behind, (values, color, 0.9)]:
            each = np.reshape(each, (*each.shape[:2], -1))[:, :, :LINES]  # (n, T, F)
            each = each[:, :: -(-each.shape[1] // 100)]
            t = np.linspace(0.08, 0.92, each.shape[1])
            y = i + 0.88 - 0.76 * (each.clip(low, high) - low) / (high - low)
            paths = [
                np.column_stack([j + t, y[j, :, f]])
                for j in range(len(y))
                for f in range(y.shape[2])
            ]
            style = {"colors": hue, "linewidths": width}
            ax.add_collection(collections.LineCollection(paths, **style))


def _tiles(images: np.ndarray, x: np.ndarray) -> np.ndarray:
    """(rows, columns, H, W, C) -> one picture in 0 … 1 by the range of ``x``."""
    low, high = min(x.min(), 0.0), max(x.max(), 1.0)
    images = ((np.asarray(images, float) - low) / (high - low)).clip(0, 1)
    if images.shape[-1] != 3:
        images = images.mean(-1, keepdims=True)
    for axis in (2, 3):  # small pictures are enlarged so that the white gaps are fine
        images = images.repeat(-(-20 // images.shape[axis]), axis)
    edge = ((0, 0), (0, 0), (1, 1), (1, 1), (0, 0))
    images = np.pad(images, edge, constant_values=1.0)
    r, c, h, w, d = images.shape
    picture = images.transpose(0, 2, 1, 3, 4).reshape(r * h, c * w, d)
    return picture if d == 3 else picture[..., 0]
