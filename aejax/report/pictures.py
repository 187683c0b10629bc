"""What the models do: reconstructions, samples and the plane of two-number codes."""

import statistics
from typing import Any, NamedTuple

import numpy as np
from matplotlib import ticker

from aejax import config
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
    images: bool


def load(table: tables.Table) -> list[Shown]:
    """Restores the models of the first leaders; those whose rows have them."""
    shown = []
    for line in (d for d in table.drawn if d in table.leaders[:LINES]):
        models, step = [], -(-len(line.settings) // ROWS)
        for i, setting in enumerate(line.settings):
            if i % step == 0 or setting.axes["latent_dim"] == 2:
                x = setting.axes.get(table.x)
                name = "model" if x is None else tables.text(x)
                models += [(name, setting, m) for m in restored(setting)]
        if models:
            data = data_of(line.settings[0])
            x, y, length = some(data.test, data, _examples(data))
            images = x.ndim == 4
            shown.append(Shown(line, data, models, x, y, length, images))
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


def _examples(data) -> np.ndarray:
    """Rows of the test split, evenly spread over the classes or else over the rows."""
    order, y = np.arange(len(data.test.x)), data.test.y
    if y is not None and y.ndim == 1:
        order = np.argsort(y, kind="stable")
    count = min(len(order), COLUMNS if data.test.x.ndim == 4 else COLUMNS // 2)
    return order[((np.arange(count) + 0.5) / count * len(order)).astype(int)]


def some(part, data, at=slice(None)) -> tuple[np.ndarray | None, ...]:
    """x in data units, y and length of these rows of a split."""
    x = np.asarray(part.x[at], np.float32) / np.float32(data.scale)
    return x, *(None if a is None else a[at] for a in (part.y, part.length))


def reconstructions(table: tables.Table, shown: list[Shown]) -> page.Section | None:
    """Test examples above what each bottleneck size makes of them."""
    figures = []
    for i, one in enumerate(shown):
        rows = [("original", "test\nmse" if one.models[0][1].mse else "", one.x)]
        for name, setting, model in one.models:
            note = tables.measured(setting.mse[0]) if setting.mse else ""
            rows.append((name, note, model.reconstruct(one.x, one.y, one.length)))
        figures.append(page.Figure(f"reconstructions-{i}", _matrix(one, rows)))
    caption = f"Test examples, the same for all. Rows: {tables.title(table.x)}, the "
    caption += "smallest seed of each; the number is the mean over all seeds."
    return _section("reconstructions", "Reconstructions", caption, figures)


def samples(shown: list[Shown]) -> page.Section | None:
    """Draws from the prior, or from a density of the codes where there is none."""
    from jax import random  # only who draws samples needs jax

    figures = []
    for i, one in enumerate(shown):
        count, kinds = len(one.x), one.data.num_classes
        y = np.arange(count, dtype=np.int32) % kinds if kinds else None
        rows = [(n, "", m.sample(random.key(0), count, y)) for n, _, m in one.models]
        figures.append(page.Figure(f"samples-{i}", _matrix(one, rows)))
    caption = (
        "Codes drawn from the prior and decoded to their mean; nothing is chosen. "
    )
    caption += "Objectives without a prior: from a Gaussian fitted to training codes."
    return _section("samples", "Samples", caption, figures)


def plane(shown: list[Shown]) -> page.Section | None:
    """Codes of the test split by class, and the decoder over the plane."""
    figures = []
    for i, one in enumerate(shown):
        flat = [(s, m) for _, s, m in one.models if s.axes["latent_dim"] == 2]
        for setting, model in flat[:1]:
            every = -(-len(one.data.test.x) // POINTS)
            x, y, length = some(one.data.test, one.data, slice(None, None, every))
            z = model.encode(x, y, length)
            if isinstance(z, tuple):  # a hierarchy of codes has no plane
                continue
            columns, width = (2, canvas.WIDTH) if one.images else (1, canvas.HALF)
            fig, axes = canvas.panels([4.15], columns, width=width, left=0.7)
            _scatter(axes[0], one, z, y)
            if one.images:
                _decoded(axes[1], one, setting, model, z)
            figures.append(page.Figure(f"plane-{i}", canvas.svg(fig), wide=one.images))
    caption = (
        "Codes of test examples, each class named at its middle. Beside them, for "
        "images: the decoder over the plane, at quantiles of a normal prior, or over "
        "the middle 96 % of the codes if there is no prior."
    )
    return _section("plane", "The latent plane", caption, figures)


def filters(shown: list[Shown]) -> page.Section | None:
    """Encoder weights of first layers that see whole images, as images."""
    figures = []
    for i, one in enumerate(shown):
        rows = []
        for name, setting, model in one.models if one.images else ():
            net = model.params["net"]
            if "encoder_0" in net:
                kernel = np.asarray(net["encoder_0"].get("kernel", ())).T
            else:
                kernel = np.asarray(net["code"]["latent_kernel"])[:, 0]
                kernel = kernel[: setting.axes["latent_dim"]]
            if kernel.ndim == 2 and kernel.shape[1] == one.x[0].size:
                step = -(-len(kernel) // (3 * COLUMNS))
                kernel = kernel[::step][: 3 * COLUMNS]
                # Each on its own scale around 0, which is grey.
                kernel = 0.5 + 0.5 * kernel / np.abs(kernel).max(1, keepdims=True)
                kernel = np.resize(kernel, (3 * COLUMNS, kernel.shape[1]))
                cut = kernel.reshape(3, COLUMNS, *one.x.shape[1:])
                rows += [(name if j == 0 else "", "", row) for j, row in enumerate(cut)]
        if rows:
            figures.append(page.Figure(f"filters-{i}", _matrix(one, rows)))
    caption = "Weights into units of the first layer, evenly chosen; grey is 0."
    return _section("filters", "Encoder filters", caption, figures)


def _section(id_, title, caption, figures):
    return page.Section(id_, title, [caption], figures) if figures else None


def _scatter(ax, one, z, y):
    kinds = np.unique(y) if y is not None and y.ndim == 1 else []
    hues = dict(zip(kinds, CLASSES, strict=False))
    if len(hues) < len(kinds) or not hues:  # no classes, or more than can be told apart
        ax.scatter(*z.T, c=canvas.MUTED, s=11, alpha=0.75, lw=0)
    else:
        ax.scatter(*z.T, c=[hues[k] for k in y], s=11, alpha=0.75, lw=0)
        for k, hue in hues.items():
            box = {"boxstyle": "circle,pad=0.22", "fc": "white", "ec": hue, "lw": 1.6}
            style = {"ha": "center", "va": "center", "fontsize": 9, "bbox": box}
            ax.text(*np.median(z[y == k], axis=0), str(k), **style)
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
    y = np.zeros(len(codes), np.int32) if one.data.num_classes else None
    images = model.decode(codes.astype(np.float32), y)
    tiles = _tiles(np.reshape(images, (GRID, GRID, *images.shape[1:])), one.x)
    ax.imshow(tiles, **SHARP)
    ax.set_axis_off()
    ax.set_title(f"decoded over {over}")


def _matrix(one: Shown, rows) -> str:
    """Rows (name, note, examples) as SVG; names at the left, notes at the right."""
    count, left, right = len(one.x), 0.75, 0.62
    cell = min(0.5 if one.images else 0.8, (canvas.HALF - left - right) / count)
    aspect = one.x.shape[1] / one.x.shape[2] if one.images else 0.7
    margins = {"left": left, "right": canvas.HALF - left - cell * count, "bottom": 0.08}
    tall = cell * aspect * len(rows)
    fig, (ax,) = canvas.panels([tall], width=canvas.HALF, **margins)
    ax.set(xlim=(0, count), ylim=(len(rows), 0))
    ax.set_axis_off()
    if one.images:
        picture = _tiles(np.stack([images for *_, images in rows]), one.x)
        ax.imshow(picture, extent=(0, count, len(rows), 0), aspect="auto", **SHARP)
    else:
        _strokes(ax, one, rows)
    style = {"color": canvas.MUTED, "fontsize": 9, "va": "center"}
    for i, (name, note, _) in enumerate(rows):
        ax.text(-0.2, i + 0.5, name, ha="right", **style)
        ax.text(count + 0.2, i + 0.5, note, **style)
    ax.set_title(canvas.short(one.line.label, 40), color=one.line.color)
    return canvas.svg(fig)


def _strokes(ax, one, rows):
    """Each example as a line plot, with the original in grey behind it."""
    low, high = one.x.min(), max(one.x.max(), one.x.min() + 1e-6)
    for i, (name, _, values) in enumerate(rows):
        layers = [(values, canvas.INK if name == "original" else one.line.color, 0.9)]
        if rows[0][0] == "original" and i:
            layers.insert(0, (one.x, "#b9c1c9", 2.0))
        for some, hue, width in layers:
            some = np.reshape(some, (*some.shape[:2], -1))[:, :, :LINES]  # (n, T, F)
            some = some[:, :: -(-some.shape[1] // 100)].clip(low, high)
            t = np.linspace(0.08, 0.92, some.shape[1])
            y = i + 0.88 - 0.76 * (some - low) / (high - low)
            for j, each in enumerate(y):
                ax.plot(j + t, each, color=hue, lw=width)


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
