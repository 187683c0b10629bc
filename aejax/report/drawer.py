"""Panels, which tasks and sections state as data, as one figure."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib import colors

from aejax import objectives
from aejax.report import canvas, table, words
from aejax.tasks import panels

FIRST = ("ae", "vae", "denoising")  # have the same colour in every figure
MUTED = ("#7A7A7A", "#B5A25A", "#8FB8D0", "#A884A0", "#6F9B87", "#C79A85", "#4D5A66")
ROW = 3.1  # inches of a row without pictures
HUES = colors.LinearSegmentedColormap.from_list("", ("#f3f6f8", table.PALETTE[0]))


def draw(
    figure: Sequence[panels.Panel],
    inks: Sequence[str] = (),
    width: float = canvas.WIDTH,
) -> Any:
    """A figure: panels two beside each other, wide ones alone; titles in ``inks``.

    A system (a name in Curves and Bars) has one colour throughout. At half the page's
    width one panel fills it.
    """
    count = 2 if width == canvas.WIDTH else 1
    rows: list[list[panels.Panel]] = []
    for panel in figure:
        if _wide(panel) or not rows or len(rows[-1]) == count or _wide(rows[-1][0]):
            rows.append([])
        rows[-1].append(panel)
    heights = [max(map(_height, row)) for row in rows]
    fig = canvas.sheet(sum(heights), width)
    color, ink = _palette(figure), iter(inks or [canvas.INK] * len(figure))
    # A figure to each row, so that a row's long names do not narrow the others.
    parts = fig.subfigures(len(rows), 1, squeeze=False, height_ratios=heights)
    for part, row in zip(parts[:, 0], rows, strict=True):
        grid = part.add_gridspec(1, count)
        for j, panel in enumerate(row):
            solid = isinstance(panel, panels.Points) and panel.xy.shape[1] == 3
            place = grid[0, :] if _wide(panel) else grid[0, j]
            ax = part.add_subplot(place, projection="3d" if solid else None)
            _DRAW.get(type(panel), _by_itself)(ax, panel, color)
            room = 90 if _wide(panel) else 46  # characters
            ax.set_title(canvas.short(panel.title, room), color=next(ink))
    # Pictures keep their shape: only further passes know the room their texts take.
    for _ in range(2):
        fig.get_layout_engine().execute(fig)
    return fig


def _wide(panel: panels.Panel) -> bool:
    if isinstance(panel, panels.Grid):
        return len(panel.columns) > 10 or _letters(panel) > 60
    if isinstance(panel, panels.Timeline):
        return True
    images = isinstance(panel, panels.Images)
    return images and (panel.wide or len(panel.rows[0][2]) > 12)


def _letters(panel: panels.Grid) -> int:
    """Of its columns' names, each as long as the longest."""
    return len(panel.columns) * max(map(len, panel.columns), default=0)


def _height(panel: panels.Panel) -> float:
    if isinstance(panel, panels.Images):
        width = canvas.WIDTH if _wide(panel) else canvas.HALF
        side = width if panel.wide else 0.7  # inches of a picture, at most
        return canvas.height(panel.rows[0][2], len(panel.rows), width, side)
    if isinstance(panel, panels.Timeline):
        return 2.4
    if isinstance(panel, panels.Points):
        return 4.2
    if isinstance(panel, panels.Bars):
        return 0.9 + 0.3 * len(panel.bars)
    if isinstance(panel, panels.Grid):
        return max(ROW, 0.9 + 0.28 * len(panel.rows) + 0.6 * (_letters(panel) > 110))
    return ROW


def _palette(figure: Iterable[panels.Panel]) -> dict[str, str]:
    """{system: colour}; models in strong hues, what they are compared with in muted."""
    names: dict[str, None] = {}
    for panel in figure:
        systems = getattr(panel, "lines", None) or getattr(panel, "bars", None) or {}
        names |= dict.fromkeys(systems)
    models = [n for n in names if n.split()[0] in objectives.OBJECTIVES]
    hues = {n: h for n, h in zip(FIRST, table.PALETTE, strict=False) if n in models}
    more = [h for h in table.PALETTE if h not in hues.values()]
    for n in (n for n in models if n not in hues):
        hues[n] = more[len(hues) % len(more)]
    others = [n for n in names if n not in models]
    return hues | {n: MUTED[i % len(MUTED)] for i, n in enumerate(others)}


def _images(ax, panel: panels.Images, color) -> None:
    canvas.fill(ax, panel.rows[0][2], panel.rows)


def _curves(ax, panel: panels.Curves, color) -> None:
    lines = [(name, color[name], p) for name, p in panel.lines.items() if len(p)]
    ax.set(xlabel=panel.x, ylabel=panel.y)
    canvas.lines(ax, lines, "x" in panel.log, "y" in panel.log)


def _bars(ax, panel: panels.Bars, color) -> None:
    canvas.dots(ax, list(panel.bars), list(panel.bars.values()), canvas.INK)
    for dot, name in zip(ax.lines, np.repeat(list(panel.bars), 2), strict=True):
        dot.set_color(color[name])
    ax.set(xlabel=panel.x)


def _points(ax, panel: panels.Points, color) -> None:
    xy, labels = np.asarray(panel.xy, float), panel.labels
    classes = labels is not None and np.asarray(labels).dtype.kind in "iub"
    if panel.curve is not None:
        ax.plot(*np.transpose(panel.curve), color=canvas.MUTED, lw=1, zorder=1)
    if panel.arrows is not None:
        style = {"angles": "xy", "scale_units": "xy", "scale": 1, "width": 0.005}
        hue = (labels,) if labels is not None else ()
        drawn = ax.quiver(
            *xy.T, *np.transpose(panel.arrows), *hue, cmap="viridis", **style
        )
    elif xy.shape[1] == 3 or not classes:
        hue = (
            {"c": labels, "cmap": "viridis"}
            if not classes and labels is not None
            else {"color": canvas.INK}
        )
        if classes:
            hue = {"color": [canvas.CLASSES[int(k) % 10] for k in labels]}
        drawn = ax.scatter(*xy.T, s=8, alpha=0.8, lw=0, **hue)
    else:
        canvas.scatter(ax, xy, np.asarray(labels), panel.names)
    if labels is not None and not classes:
        # Beside it whatever its aspect, and free of a third axis' name.
        beside = ax.inset_axes([1.06 if xy.shape[1] == 2 else 1.22, 0.1, 0.035, 0.8])
        bar = ax.figure.colorbar(drawn, cax=beside)
        bar.set_label(panel.unit)
        bar.outline.set_visible(False)
    ax.grid(False)
    ax.locator_params(nbins=5)
    for side, name in zip("xyz"[: xy.shape[1]], panel.axes, strict=False):
        ax.set(**{f"{side}label": name})
    if panel.arrows is not None or panel.curve is not None:
        ax.set_aspect("equal")


def _grid(ax, panel: panels.Grid, color) -> None:
    values = np.asarray(panel.values, float)
    ax.imshow(values, cmap=HUES, aspect="auto")
    top = np.nanmin(values) + 0.6 * (np.nanmax(values) - np.nanmin(values))
    for i, j in np.argwhere(np.isfinite(values)):
        v = values[i, j]
        hue = "white" if v > top else canvas.INK
        text = words.measured(float(v))
        ax.text(j, i, text, ha="center", va="center", color=hue, fontsize=8)
    tilt = {"rotation": 25, "ha": "right"} if _letters(panel) > 110 else {}
    ax.set_xticks(range(len(panel.columns)), panel.columns, **tilt)
    ax.set_yticks(range(len(panel.rows)), panel.rows)
    ax.grid(False)
    ax.spines[:].set_visible(False)


def _timeline(ax, panel: panels.Timeline, color) -> None:
    canvas.timeline(ax, panel.times, panel.lines, color, panel.log)
    for low, high in panel.spans:
        ax.axvspan(low, high, color=canvas.CLASSES[3], alpha=0.5, lw=1, zorder=0)
    style = {"color": canvas.MUTED, "lw": 1}
    if panel.limit is not None:
        ax.axhline(panel.limit, ls="--", color=canvas.INK, lw=1, zorder=3)
    across = ax.get_xaxis_transform()
    if panel.marks is not None and panel.marks.any():
        below = np.zeros(panel.marks.sum())
        marks = {"color": canvas.CLASSES[4], "ms": 6, "mew": 0.7, "transform": across}
        ax.plot(panel.times[panel.marks], below, "|", clip_on=False, **marks)
    for name, start in panel.borders.items():
        ax.axvline(start, ls=":", **style)
        ax.text(start, 1, f" {name}", transform=across, color=canvas.MUTED, fontsize=8)
    ax.set(ylabel=canvas.short(panel.unit, 24))


def _by_itself(ax, panel, color) -> None:
    panel.draw(ax, color)


_DRAW = {
    panels.Images: _images,
    panels.Curves: _curves,
    panels.Bars: _bars,
    panels.Points: _points,
    panels.Grid: _grid,
    panels.Timeline: _timeline,
}
