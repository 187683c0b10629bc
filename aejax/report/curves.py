"""Line figures: the bottleneck curve, training, and the gap to training data."""

from aejax.report import canvas, page
from aejax.report import table as tables

UNITS = {"mse": "mse", "nll": "nll (nats)", "kl": "KL (nats)", "elbo": "ELBO (nats)"}
PCA = "#4A545E"


def bottleneck(table: tables.Table) -> page.Section | None:
    """Final test metrics against the swept axis, with PCA and intervals."""
    metrics = [m for m in UNITS if any(s.metric(m) for s in table.settings)]
    if not metrics or not table.x:
        return _ranking(table)
    longest = max(len(canvas.short(line.label)) for line in table.drawn)
    heights = [3.5] + [2.0] * (len(metrics) - 1)
    fig, axes = canvas.panels(heights, right=0.4 + 0.088 * longest)
    for ax, metric in zip(axes, metrics, strict=True):
        _curve(ax, table, metric)
        ax.set_title(f"test {UNITS[metric]}")
    axes[-1].set_xlabel(tables.title(table.x))
    caption = "Mean over seeds; the band is the 95 % interval."
    if table.pca:
        caption += " Dashed: PCA with as many dimensions, fitted to the same data."
    if "kl" in metrics:
        caption += " nll is the reconstruction term alone: nll + KL is −ELBO at beta 1."
    if more := len(table.lines) - len(table.drawn):
        caption += f" Not drawn: {more} further lines, all in the summary table."
    size = table.x == "latent_dim"
    heading = "The bottleneck" if size else f"Across {tables.title(table.x)}"
    return page.picture("bottleneck", heading, canvas.svg(fig), caption)


def _curve(ax, table, metric):
    ends, seen, xs = [], [], {s.axes.get(table.x) for s in table.settings} - {None}
    band = 0.16 if len(table.drawn) <= 4 else 0.08
    for line in table.drawn:
        found = [(s.axes.get(table.x), s.metric(metric)) for s in line.settings]
        found = [(x, *values) for x, values in found if values]
        if not found:
            continue
        x, mean, low, high = zip(*found, strict=True)
        if x[0] is None:  # the objective has no such hyperparameter: a level
            ax.axhline(mean[0], color=line.color, lw=1.2, ls=":")
            x = (max(xs),)
        else:
            ax.fill_between(x, low, high, color=line.color, alpha=band, lw=0)
            ax.plot(x, mean, color=line.color, marker="o")
        seen += mean
        ends.append((x[-1], mean[-1], canvas.short(line.label), line.color))
    if metric == "mse":
        seen += _pca(ax, table, min(seen))
    canvas.scale(ax, "x", xs, table.x == "latent_dim" or max(xs) > 10 * min(xs), True)
    canvas.scale(ax, "y", seen, metric == "mse")
    canvas.end_labels(ax, ends)


def _pca(ax, table, lowest):
    """PCA as a dashed line; returns those of its values that the y axis has to show.

    Far below ``lowest`` it would flatten every other line: there it leaves the panel
    through the floor. Its 0, with as many dimensions as the data, is said in words.
    """
    settings = [s for s in table.settings if s.pca is not None]
    known = {(s.axes.get(table.x), s.pca) for s in settings}
    points = sorted(p for p in known if p[0] is not None)
    line = [p for p in points if p[1] > 1e-12]
    if not line or len({s.axes["dataset"] for s in settings}) > 1:
        return []
    ax.plot(*zip(*line, strict=True), color=PCA, ls=(0, (5, 3)), lw=1.3, zorder=1.5)
    style = {"textcoords": "offset points", "color": PCA}
    ax.annotate("PCA", line[0], xytext=(5, 4), **style)
    shown = [p for p in line if p[1] > lowest / 3]
    for x, _ in points[len(line) :][:1]:
        ax.annotate(f"PCA: 0 at {x}", (shown or line)[-1], xytext=(8, -3), **style)
    return [y for _, y in shown]


def _ranking(table):
    """Where no number is swept: one point with its interval per setting."""
    lines = sorted((d for d in table.drawn if d.settings[0].mse), key=lambda d: d.score)
    if len(lines) < 2:
        return None
    names = [canvas.short(line.label) for line in lines]
    left = 0.4 + 0.088 * max(map(len, names))
    fig, (ax,) = canvas.panels([0.3 * len(lines) + 0.2], left=left)
    for y, line in enumerate(lines):
        mean, low, high = line.settings[0].mse
        ax.plot([low, high], [y, y], color=line.color, alpha=0.35, lw=5)
        ax.plot(mean, y, "o", color=line.color)
        if line.settings[0].pca is not None:
            ax.plot(line.settings[0].pca, y, "|", color=PCA, ms=11, mew=1.5)
    _down(ax, names)
    ax.set_title("test mse")
    caption = "Mean and 95 % interval over seeds; the upright stroke is PCA."
    return page.picture("settings", "The settings", canvas.svg(fig), caption)


def _down(ax, names):
    """One row per name, the first at the top."""
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.5, -0.5)


def training(table: tables.Table) -> page.Section | None:
    """Validation loss against epochs, a panel per line, a tone per x value."""
    drawn = {}
    for line in table.drawn:
        curves = [(s, _by_epoch(s, "valid", "loss")) for s in line.settings]
        if some := [(s, curve) for s, curve in curves if curve]:
            drawn[line] = some
    if not drawn:
        return None
    fig, axes = _abreast(2.5, list(drawn))
    for ax, (line, curves) in zip(axes, drawn.items(), strict=True):
        ends, seen = [], []
        tones = canvas.shades(line.color, len(curves))
        for (setting, curve), tone in zip(curves, tones, strict=True):
            epochs, losses = list(curve), list(curve.values())
            mean = [sum(v) / len(v) for v in losses]
            low, high = [min(v) for v in losses], [max(v) for v in losses]
            ax.fill_between(epochs, low, high, color=tone, alpha=0.14, lw=0)
            ax.plot(epochs, mean, color=tone, lw=1.4, marker=".", ms=4)
            name = tables.text(setting.axes.get(table.x))
            ends.append((epochs[-1], mean[-1], name, tone))
            seen += mean
        canvas.scale(ax, "y", seen, max(seen) > 10 * min(seen))
        if len(ends) > 1:
            canvas.end_labels(ax, ends[:: -(-len(ends) // 12)])
        ax.set_xlabel("epoch")
    caption = "Mean over seeds; the band is from the lowest to the highest seed."
    caption += f" Tone and number: {tables.title(table.x)}." if table.x else ""
    caption += " Losses of different objectives are different quantities."
    heading = "Training: validation loss"
    return page.picture("training", heading, canvas.svg(fig), caption)


def _by_epoch(setting, split, metric):
    """{epoch: values of the seeds}."""
    found: dict[int, list[float]] = {}
    for row in sorted(setting.rows, key=lambda r: r["epoch"]):
        if row["split"] == split and row.get(metric) is not None:
            found.setdefault(row["epoch"], []).append(row[metric])
    return found


def gap(table: tables.Table) -> page.Section | None:
    """Final error on training and on test data, joined per setting."""
    drawn = {line: e for line in table.drawn if (e := _ends(table, line))}
    if not drawn:
        return None
    every = [mse for ends in drawn.values() for end in ends for mse in end[1:]]
    fig, axes = _abreast(0.24 * max(map(len, drawn.values())) + 0.25, list(drawn))
    for ax, (line, ends) in zip(axes, drawn.items(), strict=True):
        for y, (_, train, test) in enumerate(ends):
            ax.plot([train, test], [y, y], color=line.color, alpha=0.35, lw=3)
            ax.plot(train, y, "o", mec=line.color, mfc="white", mew=1.4)
            ax.plot(test, y, "o", color=line.color)
            place = {"transform": ax.get_yaxis_transform(), "va": "center"}
            ax.text(1.03, y, f"× {test / train:.2f}", color=canvas.MUTED, **place)
        ax.set_xlim(0.9 * min(every), 1.05 * max(every))  # all panels compare
        canvas.scale(ax, "x", every, max(every) > 5 * min(every))
        _down(ax, [name for name, *_ in ends])
        ax.set(ylabel=tables.title(table.x) if table.x else "", xlabel="mse")
    caption = "Open: training data. Filled: test data. The number is test ÷ train: 1 "
    caption += "where nothing was memorised, large for an over-complete model."
    return page.picture("gap", "Train and test", canvas.svg(fig), caption)


def _ends(table, line):
    """(x value, mse on training data, on test data), each a mean over seeds."""
    ends = []
    for setting in line.settings:
        train, test = (_by_epoch(setting, split, "mse") for split in ("train", "test"))
        both = [epoch for epoch in test if epoch in train][-1:]
        means = [sum(v[e]) / len(v[e]) for e in both for v in (train, test)]
        name = tables.text(setting.axes.get(table.x)) if table.x else ""
        ends += [(name, *means)] if means and all(means) else []
    return ends[-16:]


def _abreast(height, lines):
    """A panel per line, two beside each other, named in the line's colour."""
    columns = min(2, len(lines))
    rows = [height] * -(-len(lines) // columns)
    fig, axes = canvas.panels(rows, columns, left=0.8, right=0.85)
    for ax in axes[len(lines) :]:
        ax.remove()
    for ax, line in zip(axes, lines, strict=False):
        ax.set_title(canvas.short(line.label, 44), color=line.color)
    return fig, axes[: len(lines)]
