"""The one place that knows matplotlib: panels, curves, dots, axes, SVG text.

The style is in ``report.mplstyle``; margins are what the texts need.
"""

import contextlib
import io
import pathlib
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import matplotlib.style
import numpy as np
from matplotlib import dates, figure, ticker

from aejax import config

INK, MUTED = "#1d2733", "#66717d"
WIDTH, HALF = 10.0, 4.85  # inches of a figure over the page's width, and of two abreast
FEATURES = 3  # of a series, that can be told apart in a small picture
# Paul Tol's "muted" and a grey: ten hues that colour-blind readers tell apart.
CLASSES = ("#332288", "#88CCEE", "#117733", "#DDCC77", "#CC6677", "#44AA99", "#882255")
CLASSES += ("#999933", "#AA4499", "#7A7A7A")
SHARP = {"interpolation": "none", "cmap": "gray", "vmin": 0, "vmax": 1}
FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', sans-serif"


@contextlib.contextmanager
def style() -> Iterator[None]:
    """Our style whatever the user's matplotlibrc says, and theirs again afterwards."""
    path = pathlib.Path(__file__).with_name("report.mplstyle")
    with matplotlib.style.context(path, after_reset=True), warnings.catch_warnings():
        # Only measuring lacks the glyph: the browser has its own for the SVG's text.
        warnings.filterwarnings("ignore", "Glyph .* missing")
        yield


def svg(fig: figure.Figure) -> str:
    """The figure as an ``<svg>`` element without date, metadata or ids of groups."""
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    fig.savefig(buffer, format="svg", metadata=nothing)
    out = re.sub(r"<g id=\"[^\"]*\">", "<g>", buffer.getvalue().partition("<svg")[2])
    # DejaVu, which measured the text, is wider than every font of the stack.
    return "<svg" + re.sub(r"font-family: [^;\"]*", f"font-family: {FONTS}", out)


class Sheet(figure.Figure):
    """A figure that a notebook shows as the page does, with or without pyplot."""

    def _repr_svg_(self) -> str:
        with style():
            return svg(self)


def sheet(height: float, width: float = WIDTH) -> Sheet:
    """An empty figure of this size in inches."""
    fig = Sheet(figsize=(width, height))
    fig.get_layout_engine().set(h_pad=0.1, w_pad=0.1)
    return fig


def panels(
    heights: Sequence[float], count: int = 1, width: float = WIDTH
) -> tuple[figure.Figure, list]:
    """``count`` panels per row; rows of these heights in inches, texts included."""
    fig = sheet(sum(heights), width)
    grid = {"height_ratios": heights}
    return fig, list(fig.subplots(len(heights), count, squeeze=False, **grid).flat)


def abreast(height: float, count: int) -> tuple[figure.Figure, list]:
    """``count`` panels of one height, two beside each other."""
    fig, axes = panels([height] * -(-count // 2), min(2, count))
    for ax in axes[count:]:
        ax.remove()
    return fig, axes[:count]


def scale(
    ax, side: str, values: Sequence[float], log: bool, exact: bool = False
) -> None:
    """Plain numbers on axis ``side``; log where asked for and possible.

    ``exact`` puts the ticks at the values themselves if they are few.
    """
    axis, ticks = getattr(ax, f"{side}axis"), sorted(set(values))
    if log and ticks[0] > 0:
        span = ticks[-1] / ticks[0]
        ax.set(**{f"{side}scale": "log"})
        many = ticker.LogLocator(subs=(1, 2, 5) if span < 500 else (1,))
        axis.set_major_locator(many if span >= 8 else ticker.MaxNLocator(5))
        room = span ** (0.08 if side == "y" else 0.04)
        ax.set(**{f"{side}lim": (ticks[0] / room, ticks[-1] * room)})
    if exact and len(ticks) <= 12:
        axis.set_major_locator(ticker.FixedLocator(ticks))
    axis.set_minor_locator(ticker.NullLocator())
    axis.set_major_formatter(ticker.FuncFormatter(lambda v, _: f"{v:g}"))


def lines(
    ax,
    curves: Sequence[tuple[str, Any, Sequence[tuple[float, ...]]]],
    log_x: bool = False,
    log_y: bool = False,
    also: Sequence[float] = (),
) -> None:
    """Draws curves and names each beyond its right end.

    Args:
      curves: (name, colour, points); a point is (x, y), or (x, mean, low, high), which
        draws a band.
      also: further values that the y axis has to show.
    """
    for _, color, points in curves:
        x, y, *band = np.transpose(points)
        if band:
            ax.fill_between(x, *band, color=color, alpha=0.13, lw=0)
        ax.plot(x, y, color=color, marker="o" if len(x) <= 12 else "")
    points = [point for *_, points in curves for point in points]
    scale(ax, "x", [x for x, *_ in points], log_x, exact=True)
    heights = [*also, *(y for _, y, *_ in points)]
    scale(ax, "y", heights, log_y)
    room = max(np.ptp(heights), np.abs(heights).max() / 2)
    if ax.get_yscale() == "linear" and room:
        # The band of two seeds may be so wide that it would flatten every line.
        low, high = ax.get_ylim()
        ax.set_ylim(max(low, min(heights) - room), min(high, max(heights) + room))
    # Names stand at the height of the last points, moved apart until none overlaps.
    ax.get_xlim(), ax.get_ylim()  # limits are lazy: without them points are elsewhere
    gap = 14 / 72 * ax.figure.dpi / ax.get_window_extent().height
    to_axes = ax.transData + ax.transAxes.inverted()
    ends = [(*to_axes.transform(p[-1][:2])[::-1], n, c) for n, c, p in curves if n]
    ends.sort(key=lambda end: end[0])
    steps = gap * np.arange(len(ends))
    places = np.maximum.accumulate([y for y, *_ in ends] - steps) + steps
    places = np.minimum(places, 1 + gap / 2 - steps[::-1])  # none above the roof
    for (y, x, name, color), place in zip(ends, places, strict=True):
        line = {"color": color, "lw": 0.6, "clip_on": False}
        ax.plot((x, 1.012), (y, place), transform=ax.transAxes, **line)
        style = {"color": color, "transform": ax.transAxes, "va": "center"}
        ax.text(1.02, place, short(name), **style)


def dots(ax, names: Sequence[str], bars: Sequence[Sequence[float]], color) -> None:
    """A row per name, the first at the top: (mean, low, high), or () for nothing."""
    for y, (mean, low, high) in ((y, bar) for y, bar in enumerate(bars) if bar):
        ax.plot([low, high], [y, y], color=color, alpha=0.35, lw=5)
        ax.plot(mean, y, "o", color=color)
    ax.set_yticks(range(len(names)), map(short, names))
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.grid(axis="x")


def short(name: str, limit: int = 36) -> str:
    """The name, without its middle if it is longer than fits a figure."""
    half = limit // 2
    return name if len(name) <= limit else f"{name[:half]}…{name[1 - half :]}"


def spread(items: Sequence[Any], limit: int) -> Sequence[Any]:
    """Every second, third, … item, so that there are at most ``limit``."""
    return items[:: max(1, -(-len(items) // limit))]


def scatter(ax, z, y, names=None):
    """Codes (N, 2), coloured by class y, whose label stands at its median."""
    kinds = np.unique(y) if y is not None and y.ndim == 1 else []
    if not 0 < len(kinds) <= len(CLASSES):  # none, or more than can be told apart
        kinds, hues = [], MUTED
    else:
        hues = [CLASSES[i] for i in np.searchsorted(kinds, y)]
    ax.scatter(*z.T, c=hues, s=11, alpha=0.75, lw=0)
    for k, hue in zip(kinds, CLASSES, strict=False):
        box = {"boxstyle": "circle,pad=0.22", "fc": "white", "ec": hue, "lw": 1.6}
        style = {"ha": "center", "va": "center", "fontsize": 9, "bbox": box}
        label = config.listed([(names or {}).get(int(k), k)])
        ax.text(*np.median(z[y == k], axis=0), short(label, 12), **style)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(ticker.MaxNLocator(5))
    ax.grid(False)
    ax.set(xlabel="z₁", ylabel="z₂")


def _aspect(x: np.ndarray) -> float:
    return x.shape[1] / x.shape[2] if x.ndim == 4 else 0.7


def height(x: np.ndarray, rows: int, width: float = HALF, side: float = 0.7) -> float:
    """Inches of a matrix of this width with its title; an example has ``side``."""
    return min(side, 0.72 * width / len(x)) * _aspect(x) * rows + 0.5


def fill(ax, x: np.ndarray, rows: Sequence[tuple[str, str, np.ndarray]]) -> None:
    """Rows of images, or of series as curves, in the range of ``x`` (n, ...).

    A row is (name at the left, note at the right, n examples like ``x``).
    """
    count = len(x)
    draw = tiles if x.ndim == 4 else _strokes
    draw(ax, x, [examples for *_, examples in rows])
    style = {"color": MUTED, "fontsize": 9, "va": "center"}
    for i, (name, note, _) in enumerate(rows):
        ax.text(-0.2, i + 0.5, name, ha="right", **style)
        ax.text(count + 0.2, i + 0.5, note, **style)
    ax.set(aspect=_aspect(x), anchor="NW")


def tiles(ax, x, rows):
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
        for some, hue, width in (*behind, (values, INK, 0.9)):
            some = np.reshape(some, (*some.shape[:2], -1))[:, :, :FEATURES]  # (n, T, F)
            some = some[:, :: -(-some.shape[1] // 100)].clip(low, high)
            t = np.linspace(0.08, 0.92, some.shape[1])
            y = i + 0.88 - 0.76 * (some - low) / (high - low)
            for j, each in enumerate(y):
                ax.plot(j + t, each, color=hue, lw=width)
    ax.set(xlim=(0, len(x)), ylim=(len(rows), 0))
    ax.set_axis_off()


def timeline(ax, times, lines: Mapping[str, np.ndarray], color, log: bool) -> None:
    """{name: values (T,)} over times (T,), named beside them where there are several.

    Of many steps the least and the greatest of each stretch are drawn, so that no peak
    is lost.
    """
    for name, values in lines.items():
        rows = np.arange(len(values))
        if (size := len(rows) // 1000) > 1:
            cut = rows[: len(rows) // size * size].reshape(-1, size)
            some = values[cut]
            low = np.where(np.isnan(some), np.inf, some).argmin(1)
            high = np.where(np.isnan(some), -np.inf, some).argmax(1)
            rows = np.sort(cut[np.arange(len(cut)), [low, high]], 0).T.ravel()
        style = {"color": color[name], "lw": 0.9, "label": short(name, 24)}
        ax.plot(times[rows], values[rows], **style)
    if len(lines) > 1:
        place = {"loc": "lower right", "bbox_to_anchor": (1, 0.97), "frameon": False}
        ax.legend(ncols=len(lines), fontsize=8, **place)
    if log:
        heights = np.concatenate(list(lines.values()))
        scale(ax, "y", [np.nanmin(heights), np.nanmax(heights)], log)
    if times.dtype.kind == "M":
        locator = dates.AutoDateLocator(maxticks=10)
        words = dates.ConciseDateFormatter(locator)
        words.offset_formats[2] = "%Y"  # days are named with their months
        ax.xaxis.set_major_locator(locator)
        ax.xaxis.set_major_formatter(words)
    ax.set_xlim(times.min(), times.max())
