"""What the models do: reconstructions, samples, the latent plane, encoder filters."""

from typing import Any, NamedTuple

import numpy as np

from aejax import config, tasks
from aejax import data as datasets
from aejax.report import canvas, drawer, page, words
from aejax.report import table as tables
from aejax.tasks import panels

# What fits the page: examples abreast (one of each digit), bottleneck sizes below each
# other, lines, points that do not hide each other, and decoded images to a side.
COLUMNS, ROWS, LINES, POINTS, GRID = 10, 8, 3, 2000, 15


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
    lines = []
    for line in (d for d in table.drawn if d in table.leaders[:LINES]):
        models, some_sizes = [], canvas.spread(line.settings, ROWS)
        for setting in line.settings:
            if setting in some_sizes or setting.axes["latent_dim"] == 2:
                x = setting.axes.get(table.x)
                name = "model" if x is None else words.text(x)
                models += [(name, setting, m) for m in restored(setting)]
        if models:
            data = data_of(line.settings[0])
            count = COLUMNS if data.test.x.ndim == 4 else COLUMNS // 2
            examples = some(data.test, data, tasks.examples(data.test, count))
            lines.append(Shown(line, data, models, *examples))
    return lines


def data_of(setting) -> Any:
    """The Dataset of a setting."""
    run, name = setting.run, setting.axes["dataset"]
    return run.dataset(name if "dataset" in run.swept else None)


def is_table(data: Any) -> bool:
    """Whether an example is a row of a table, whose values are no curve."""
    return bool(data.columns) and data.train.x.ndim == 2


def restored(setting, count: int = 1) -> list[Any]:
    """Models of the smallest seeds that did not diverge, as far as there are any."""
    lost = setting.rows.groupby("seed")["diverged"].any()
    seeds = sorted(lost.index[~lost.astype(bool)])
    names = ("objective", "latent_dim", *setting.run.swept)
    choice = {n: setting.axes[n] for n in names if setting.axes.get(n) is not None}
    try:
        return [setting.run.model(**choice, seed=seed) for seed in seeds[:count]]
    except config.InputError:  # an unfinished run has no parameters here yet
        return []


def some(part, data, places=slice(None)) -> tuple[np.ndarray | None, ...]:
    """x in data units, y and length of these rows of a split."""
    x = datasets.in_units(part.x[places], data.scale)
    return x, *(None if a is None else a[places] for a in (part.y, part.length))


def reconstructions(lines: list[Shown], joined: bool = False) -> page.Section | None:
    """Test examples above what each bottleneck size makes of them; none of tables,
    whose rows are no curves: see ``columns``."""
    pictures = []
    for one in (one for one in lines if not is_table(one.data)):
        first = one.models[0][1]
        note = f"test\n{words.ERRORS[first.measure]}" if first.error else ""
        rows = [("original", note, one.x)]
        for name, setting, model in one.models:
            note = words.measured(setting.error[0]) if setting.error else ""
            rows.append((name, note, model.reconstruct(one.x, one.y, one.length)))
        pictures.append((one, rows))
    return _matrices("reconstructions", "Reconstructions", pictures, joined)


def samples(lines: list[Shown], joined: bool = False) -> page.Section | None:
    """Draws from the prior, or from a density of the codes where there is none."""
    from jax import random  # only who draws samples needs jax

    pictures = []
    for one in (one for one in lines if not is_table(one.data)):
        count, kinds = len(one.x), one.data.num_classes
        y = np.arange(count, dtype=np.int32) % kinds if kinds else None
        y = one.y if np.ndim(one.y) == 2 else y
        rows = [(n, "", m.sample(random.key(0), count, y)) for n, _, m in one.models]
        pictures.append((one, rows))
    return _matrices("samples", "Samples", pictures, joined)


def filters(lines: list[Shown], joined: bool = False) -> page.Section | None:
    """Encoder weights of first layers that see whole images, as images."""
    pictures = []
    for one in (one for one in lines if one.x.ndim == 4):
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
    return _matrices("filters", "Encoder filters", pictures, joined)


def plane(lines: list[Shown], joined: bool = False) -> page.Section | None:
    """Codes of the test split by class, and the decoder over their middle 96 %."""
    flat = []
    for one in lines:
        model = next((m for _, s, m in one.models if s.axes["latent_dim"] == 2), None)
        step = -(-len(one.data.test.x) // POINTS)
        x, y, length = some(one.data.test, one.data, slice(None, None, step))
        z = model.encode(x, y, length) if model else ()
        if not isinstance(z, tuple):  # else no model, or a hierarchy of codes: no plane
            flat.append((one, model, z, x.ndim == 4, y))
    figures = []
    for part in [flat] * bool(flat) if joined else ([each] for each in flat):
        wide = any(images for *_, images, _ in part)
        width = canvas.WIDTH if wide else canvas.HALF
        fig, axes = canvas.panels([4.6] * len(part), 1 + wide, width)
        for row, (one, model, z, images, y) in enumerate(part):
            _codes(axes[row * (1 + wide)], one, z, y)
            if images:
                _decoded(axes[2 * row + 1], one, model, z)
            elif wide:
                axes[2 * row + 1].remove()
        figures.append(page.Figure(f"plane-{len(figures)}", fig, wide))
    return page.Section("plane", "The latent plane", figures) if figures else None


def _codes(ax, one: Shown, z: np.ndarray, y: np.ndarray | None) -> None:
    """Codes (N, 2) by class."""
    canvas.scatter(ax, z, y, datasets.labels(one.data))
    ax.set_title(canvas.short(one.line.label, 40), color=one.line.color)


def _decoded(ax, one: Shown, model: Any, z: np.ndarray) -> None:
    """Images over the plane of codes (N, 2)."""
    sides = np.linspace(*np.quantile(z, [0.02, 0.98], axis=0), GRID).T
    grid = np.stack(np.meshgrid(sides[0], sides[1][::-1]), -1)
    labels = None if one.y is None else np.repeat(one.y[:1], GRID**2, 0)
    decoded = model.decode(grid.reshape(-1, 2).astype(np.float32), labels)
    canvas.tiles(ax, one.x, np.split(np.asarray(decoded), GRID))
    ax.set_title("decoded over the codes")


def _matrices(id_, title, pictures, joined):
    """A section with a figure of half the page's width for each (line, rows)."""
    drawn = [(panels.Images(o.line.label, r), o.line.color) for o, r in pictures]
    if joined and len(drawn) > 1:
        figs = [drawer.draw(*zip(*drawn, strict=True))]
    else:
        figs = [drawer.draw([panel], [ink], canvas.HALF) for panel, ink in drawn]
    figures = [page.Figure(f"{id_}-{i}", fig) for i, fig in enumerate(figs)]
    return page.Section(id_, title, figures) if figures else None
