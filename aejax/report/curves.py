"""Figures of the rows: the bottleneck curve, training, and the gap to training data."""

import numpy as np
import pandas as pd

from aejax.report import canvas, page, words
from aejax.report import table as tables

UNITS = {
    "mse": "mse",
    "error_rate": "error rate",
    "nll": "nll (nats)",
    "kl": "KL (nats)",
    "neg_elbo": "−ELBO (nats)",
}
PCA = {"color": "#4A545E", "ls": (0, (5, 3)), "lw": 1.3, "zorder": 1.5}


def bottleneck(table: tables.Table, count: int = 9) -> page.Section | None:
    """The first final test metrics against the swept axis, with PCA and intervals."""
    metrics = [m for m in UNITS if any(s.metric(m) for s in table.settings)][:count]
    if not metrics or not table.x:
        return None
    fig, axes = canvas.panels([4.5] + [2.8] * (len(metrics) - 1))
    xs = {s.axes.get(table.x) for s in table.settings} - {None}
    log = table.x == "latent_dim" or max(xs) > 10 * min(xs)
    for ax, metric in zip(axes, metrics, strict=True):
        curves = []
        for line in table.drawn:
            numbers = [(s.axes.get(table.x), s.metric(metric)) for s in line.settings]
            points = [(x, *values) for x, values in numbers if values]
            if points and points[0][0] is None:  # it has no such hyperparameter
                points = [(x, *points[0][1:]) for x in (min(xs), max(xs))]
            curves += [(line.label, line.color, points)] if points else []
        also = []
        if metric == "mse":
            also = _pca(
                ax, table, min(y for *_, points in curves for _, y, *_ in points)
            )
        canvas.lines(ax, curves, log, metric in words.ERRORS, also)
        ax.set_title(f"test {UNITS[metric]}")
    x = words.title(table.x)
    axes[-1].set_xlabel(x)
    heading = "The bottleneck" if table.x == "latent_dim" else f"Across {x}"
    return page.picture("bottleneck", heading, fig)


def _pca(ax, table, lowest):
    """PCA as a dashed line; returns those of its values that the y axis has to show.

    Far below ``lowest`` it would flatten every other line: there it leaves the panel
    through the floor, as it does where its error is 0.
    """
    known = {s.axes.get(table.x): s.pca for s in table.settings if s.pca is not None}
    points = sorted((x, y) for x, y in known.items() if x is not None and y > 1e-12)
    if not points or len({s.axes["dataset"] for s in table.settings}) > 1:
        return []
    ax.plot(*zip(*points, strict=True), **PCA)
    place = {"textcoords": "offset points", "xytext": (5, 4)}
    ax.annotate("PCA", points[0], color=PCA["color"], **place)
    return [y for _, y in points if y > lowest / 3]


def training(table: tables.Table) -> page.Section | None:
    """Validation loss against epochs, a panel per line, a tone per x value."""
    drawn = {}
    for line in table.drawn:
        settings = canvas.spread(line.settings, 12)
        curves = [(s, s.epochs("loss", "valid").reset_index()) for s in settings]
        curves = [
            (words.text(s.axes.get(table.x)), c.to_numpy()) for s, c in curves if len(c)
        ]
        tones = np.linspace(0.35 if curves[1:] else 1, 1, len(curves))
        if curves:
            drawn[line] = [
                (name * (len(curves) > 1), (line.color, tone), curve)
                for (name, curve), tone in zip(curves, tones, strict=True)
            ]
    if not drawn:
        return None
    fig, axes = _abreast(3.4, list(drawn))
    for ax, curves in zip(axes, drawn.values(), strict=True):
        seen = [mean for *_, points in curves for _, mean, *_ in points]
        canvas.lines(ax, curves, log_y=max(seen) > 10 * min(seen))
        ax.set_xlabel("epoch")
    axes[0].set_ylabel("validation loss")
    return page.picture("training", "Training: validation loss", fig)


def gap(table: tables.Table) -> page.Section | None:
    """Final error on training and on test data, joined per setting."""
    drawn = {line: e for line in table.drawn if (e := _ends(table, line))}
    if not drawn:
        return None
    errors = [v for ends in drawn.values() for end in ends for v in end[1:]]
    fig, axes = _abreast(0.24 * max(map(len, drawn.values())) + 1.2, list(drawn))
    for ax, (line, ends) in zip(axes, drawn.items(), strict=True):
        bars = [(test, train, test) for _, train, test in ends]
        canvas.dots(ax, [name for name, *_ in ends], bars, line.color)
        for y, (_, train, test) in enumerate(ends):
            ax.plot(train, y, "o", mec=line.color, mfc="white", mew=1.4)
            place = {"transform": ax.get_yaxis_transform(), "va": "center"}
            ax.text(1.03, y, f"× {test / train:.2f}", color=canvas.MUTED, **place)
        ax.set_xlim(0.9 * min(errors), 1.05 * max(errors))  # all panels compare
        canvas.scale(ax, "x", errors, max(errors) > 5 * min(errors))
        measure = words.ERRORS[line.settings[0].measure]
        ax.set(ylabel=words.title(table.x) if table.x else "", xlabel=measure)
    return page.picture("gap", "Train and test", fig)


def _ends(table, line):
    """(x value, error on training data, on test data), each a mean over seeds."""
    ends = []
    for setting in canvas.spread(line.settings, 16):
        name = words.text(setting.axes.get(table.x)) if table.x else ""
        splits = [setting.epochs(setting.measure, n)["mean"] for n in ("train", "test")]
        # Of the last epoch that has both.
        for means in pd.concat(splits, axis=1, join="inner").tail(1).to_numpy():
            ends += [(name, *means)] if means.all() else []
    return ends


def _abreast(height, lines):
    """A panel per line, two beside each other, named in the line's colour."""
    fig, axes = canvas.abreast(height, len(lines))
    for ax, line in zip(axes, lines, strict=True):
        ax.set_title(canvas.short(line.label, 44), color=line.color)
    return fig, axes
