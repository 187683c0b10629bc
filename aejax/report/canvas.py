"""The one place that knows matplotlib's style: panels, ticks, labels, SVG text."""

import contextlib
import io
import re
import warnings
from collections.abc import Iterator, Sequence

import matplotlib
import numpy as np
from matplotlib import colors, figure, ticker

INK, MUTED = "#1d2733", "#66717d"
WIDTH, HALF = 10.0, 4.85  # inches of a figure over the page's width, and of two abreast
FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', sans-serif"
STYLE = {
    "svg.fonttype": "none",  # text stays text: it can be searched, copied and scaled
    "svg.hashsalt": "aejax",  # the same rows give the same bytes
    "text.parse_math": False,  # a '$' in a file name is a '$'
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.titleweight": "bold",
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": "#d9dde1",
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "lines.linewidth": 1.8,
    "lines.markersize": 4.5,
}


@contextlib.contextmanager
def style() -> Iterator[None]:
    """Our style whatever the user's matplotlibrc says, and theirs again afterwards."""
    with matplotlib.rc_context(), warnings.catch_warnings():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
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


def panels(
    heights: Sequence[float],
    columns: int = 1,
    *,
    width: float = WIDTH,
    left: float = 0.75,
    right: float = 0.2,
    bottom: float = 0.6,
) -> tuple[figure.Figure, list]:
    """Axes in rows of ``columns``; heights of rows and margins of panels in inches."""
    top, each = 0.42, width / columns
    tall = y = sum(heights) + len(heights) * (top + bottom)
    fig, axes = figure.Figure(figsize=(width, tall)), []
    size = (each - left - right) / width
    for height in heights:
        y -= top + height
        for x in range(columns):
            place = ((x * each + left) / width, y / tall, size, height / tall)
            axes.append(fig.add_axes(place))
        y -= bottom
    return fig, axes


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


def end_labels(ax, labels: Sequence[tuple[float, float, str, str]]) -> None:
    """Names lines beyond the right edge, moved apart until none overlaps.

    Args:
      labels: (x and y of a line's last point, text, colour).
    """
    ax.get_xlim(), ax.get_ylim()  # limits are lazy: without them points are elsewhere
    gap = 13.5 / (ax.get_position().height * ax.figure.get_figheight() * 72)
    to_axes = ax.transData + ax.transAxes.inverted()
    ends = sorted((*to_axes.transform(p[:2])[::-1], *p[2:]) for p in labels)
    places = [y for y, *_ in ends]
    for i in range(1, len(places)):
        places[i] = max(places[i], places[i - 1] + gap)
    for i in reversed(range(len(places))):  # down again where they leave the roof
        roof = 1.0 + gap / 2 - gap * (len(places) - 1 - i)
        places[i] = min(places[i], roof)
    for (y, x, name, color), place in zip(ends, places, strict=True):
        line = {"color": color, "lw": 0.6, "clip_on": False}
        ax.plot((x, 1.012), (y, place), transform=ax.transAxes, **line)
        ax.text(1.02, place, name, color=color, transform=ax.transAxes, va="center")


def short(name: str, most: int = 36) -> str:
    """The name, without its middle if it is longer than fits a figure."""
    half = most // 2
    return name if len(name) <= most else f"{name[:half]}…{name[1 - half :]}"


def shades(color: str, count: int) -> list[np.ndarray]:
    """From a light to a dark tone of one hue."""
    hue = np.array(colors.to_rgb(color))
    tones = np.linspace(-0.5, 0.5, count) if count > 1 else [0.0]
    return [hue + 1.1 * t * (hue - 1) if t < 0 else hue * (1 - 0.9 * t) for t in tones]
