"""The one place that knows matplotlib: panels, curves, dots, axes, SVG text.

The style is in ``report.mplstyle``; margins are what the texts need.
"""

import contextlib
import io
import pathlib
import re
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import matplotlib.style
import numpy as np
from matplotlib import figure, ticker

INK, MUTED = "#1d2733", "#66717d"
WIDTH, HALF = 10.0, 4.85  # inches of a figure over the page's width, and of two abreast
FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', sans-serif"


@contextlib.contextmanager
def style() -> Iterator[None]:
    """Our style whatever the user's matplotlibrc says, and theirs again afterwards."""
    own = pathlib.Path(__file__).with_name("report.mplstyle")
    with matplotlib.style.context(own, after_reset=True), warnings.catch_warnings():
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


def sheet(height: float, width: float = WIDTH) -> figure.Figure:
    """An empty figure of this size in inches."""
    fig = figure.Figure(figsize=(width, height))
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


def scale(ax, side: str, values: Sequence[float], log: bool, at: bool = False) -> None:
    """Plain numbers on axis ``side``; log where asked for and possible.

    ``at`` puts the ticks at the values themselves if they are few.
    """
    axis, ticks = getattr(ax, f"{side}axis"), sorted(set(values))
    if log and ticks[0] > 0:
        span = ticks[-1] / ticks[0]
        ax.set(**{f"{side}scale": "log"})
        many = ticker.LogLocator(subs=(1, 2, 5) if span < 500 else (1,))
        axis.set_major_locator(many if span >= 8 else ticker.MaxNLocator(5))
        room = span ** (0.08 if side == "y" else 0.04)
        ax.set(**{f"{side}lim": (ticks[0] / room, ticks[-1] * room)})
    if at and len(ticks) <= 12:
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
    every = [point for *_, points in curves for point in points]
    scale(ax, "x", [x for x, *_ in every], log_x, at=True)
    seen = [*also, *(y for _, y, *_ in every)]
    scale(ax, "y", seen, log_y)
    room = max(np.ptp(seen), np.abs(seen).max() / 2)
    if ax.get_yscale() == "linear" and room:
        # The band of two seeds may be so wide that it would flatten every line.
        low, high = ax.get_ylim()
        ax.set_ylim(max(low, min(seen) - room), min(high, max(seen) + room))
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


def short(name: str, most: int = 36) -> str:
    """The name, without its middle if it is longer than fits a figure."""
    half = most // 2
    return name if len(name) <= most else f"{name[:half]}…{name[1 - half :]}"


def spread(items: Sequence[Any], most: int) -> Sequence[Any]:
    """Every second, third, … item, so that there are at most ``most``."""
    return items[:: max(1, -(-len(items) // most))]
