"""Line figures: the bottleneck curve, training, and the gap to training data."""

import numpy as np

from aejax.report import canvas, page
from aejax.report import table as tables

UNITS = {"nll": "nll (nats)", "kl": "KL (nats)", "elbo": "ELBO (nats)"}
PCA = "#4A545E"


def bottleneck(table: tables.Table) -> page.Section | None:
    """Final test metrics against the swept axis, with PCA and intervals."""
    done = [s for s in table.settings if s.metric(table.metric)]
    if not done or not table.x:
        return _ranking(table, done) if len(done) > 1 else None
    sets = list(dict.fromkeys(s.axes["dataset"] for s in done))
    drawn = [(table.metric, place) for place in sets]
    if len(sets) == 1:  # several data sets: one panel of the main metric for each
        more = [
            m for m in UNITS if m != table.metric and any(s.metric(m) for s in done)
        ]
        drawn += [(m, sets[0]) for m in more]
    longest = max(len(canvas.short(line.label)) for line in table.clear)
    heights = [3.5] + [3.5 if len(sets) > 1 else 2.0] * (len(drawn) - 1)
    fig, axes = canvas.panels(heights, right=0.4 + 0.088 * longest)
    for ax, (metric, place) in zip(axes, drawn, strict=True):
        _curve(ax, table, metric, place)
        what = f"test {UNITS.get(metric, metric)}"
        ax.set_title(f"{what} · {place}" if len(sets) > 1 else what)
    axes[-1].set_xlabel(tables.title(table.x))
    caption = "Mean over seeds; the band is the 95 % interval."
    if table.pca and table.metric == "mse":
        caption += " Dashed: PCA with as many dimensions, fitted to the same data."
    if any(metric == "kl" for metric, _ in drawn):
        caption += " nll is the reconstruction term alone: nll + KL is −ELBO at beta 1."
    if grey := len(table.lines) - len(table.clear):
        caption += f" Grey: {grey} further lines, all in the summary table."
    size = table.x == "latent_dim"
    heading = "The bottleneck" if size else f"Across {tables.title(table.x)}"
    figure = page.Figure("bottleneck", canvas.svg(fig), caption, True)
    return page.Section("curve", heading, figures=[figure])


def _curve(ax, table, metric, place):
    """One metric on one data set: grey lines, colours over them, PCA behind both."""
    ends, means, xs = [], [], {s.axes.get(table.x) for s in table.settings} - {None}
    band = 0.16 if len(table.clear) <= 4 else 0.08
    for line in sorted(table.lines, key=lambda d: d.color != tables.GREY):
        here = [s for s in line.settings if s.axes["dataset"] == place]
        found = [
            (s.axes.get(table.x), *s.metric(metric)) for s in here if s.metric(metric)
        ]
        if not found:
            continue
        grey = line.color == tables.GREY
        x, mean, low, high = zip(*found, strict=True)
        if x[0] is None:  # the objective has no such hyperparameter: a level
            ax.axhline(mean[0], color=line.color, lw=1.2, ls=":")
            x = (max(xs),)
        else:
            ax.fill_between(
                x, low, high, color=line.color, alpha=band * (not grey), lw=0
            )
            ax.plot(x, mean, color=line.color, marker="o", lw=0.9 if grey else 1.8)
        means += mean
        if not grey:
            ends.append((x[-1], mean[-1], canvas.short(line.label), line.color))
    known = [
        s for s in table.settings if s.axes["dataset"] == place and metric == "mse"
    ]
    known = [(s.axes.get(table.x), table.pca_mse(s)) for s in known]
    base = sorted({p for p in known if None not in p})
    if base:
        ax.plot(*zip(*base, strict=True), color=PCA, ls=(0, (5, 3)), lw=1.3, zorder=1.5)
        note = {"xytext": (5, 4), "textcoords": "offset points", "color": PCA}
        ax.annotate("PCA", base[0], **note)
    # With as many dimensions as the data PCA has no error, which would flatten every
    # other line: there it leaves the figure through the floor.
    seen = means + [y for _, y in base if y > min(means) / 3]
    canvas.scale(ax, "x", xs, table.x == "latent_dim" or max(xs) > 10 * min(xs), True)
    canvas.scale(ax, "y", seen, metric == "mse")
    canvas.end_labels(ax, ends)


def _ranking(table, done):
    """Where no number is swept: one point with its interval per setting."""
    lines = sorted((d for d in table.lines if table.score(d) < np.inf), key=table.score)
    names = [canvas.short(line.label) for line in lines]
    left = 0.4 + 0.088 * max(map(len, names))
    fig, (ax,) = canvas.panels([0.3 * len(lines) + 0.2], left=left)
    for y, line in enumerate(lines):
        setting = line.settings[0]
        mean, low, high = setting.metric(table.metric)
        ax.plot([low, high], [y, y], color=line.color, alpha=0.35, lw=5)
        ax.plot(mean, y, "o", color=line.color)
        if table.metric == "mse" and table.pca_mse(setting) is not None:
            ax.plot(table.pca_mse(setting), y, "|", color=PCA, ms=11, mew=1.5)
    ax.set_yticks(range(len(lines)), names)
    ax.set_ylim(len(lines) - 0.5, -0.5)
    ax.set_title(f"test {table.metric}")
    caption = "Mean and 95 % interval over seeds; the upright stroke is PCA."
    figure = page.Figure("settings", canvas.svg(fig), caption, True)
    return page.Section("curve", "The settings", figures=[figure])


def training(table: tables.Table) -> page.Section | None:
    """Validation loss against epochs, a panel per line, a tone per x value."""
    drawn = []
    for line in table.clear:
        curves = [(s, c) for s in line.settings if (c := _by_epoch(s))]
        drawn += [(line, curves)] if curves else []
    if not drawn:
        return None
    fig, axes = _two_abreast(2.5, drawn)
    for ax, (line, curves) in zip(axes, drawn, strict=True):
        ends, seen = [], []
        tones = canvas.shades(line.color, len(curves))
        for (setting, curve), tone in zip(curves, tones, strict=True):
            mean = [sum(v) / len(v) for v in curve.values()]
            low, high = map(min, curve.values()), map(max, curve.values())
            ax.fill_between([*curve], [*low], [*high], color=tone, alpha=0.14, lw=0)
            ax.plot([*curve], mean, color=tone, lw=1.4, marker=".", ms=4)
            name = tables.text(setting.axes.get(table.x))
            ends.append(([*curve][-1], mean[-1], name, tone))
            seen += mean
        canvas.scale(ax, "y", seen, max(seen) > 10 * min(seen))
        few = {round(i) for i in np.linspace(0, len(ends) - 1, 12)}
        few = few if len(ends) > 1 else ()
        canvas.end_labels(ax, [end for i, end in enumerate(ends) if i in few])
        ax.set_title(canvas.short(line.label, 44), color=line.color)
        ax.set_xlabel("epoch")
    caption = "Mean over seeds; the band is from the lowest to the highest seed."
    caption += f" Tone and number: {tables.title(table.x)}." if table.x else ""
    caption += " Losses of different objectives are different quantities."
    figure = page.Figure("training", canvas.svg(fig), caption, True)
    return page.Section("training", "Training: validation loss", figures=[figure])


def _by_epoch(setting):
    """{epoch: validation losses of the seeds}."""
    found: dict[int, list[float]] = {}
    for row in sorted(setting.rows, key=lambda r: r["epoch"]):
        if row["split"] == "valid" and row.get("loss") is not None:
            found.setdefault(row["epoch"], []).append(row["loss"])
    return found


def _two_abreast(height, drawn):
    columns = min(2, len(drawn))
    fig, axes = canvas.panels(
        [height] * -(-len(drawn) // columns), columns, right=0.85, left=0.8
    )
    for ax in axes[len(drawn) :]:
        ax.remove()
    return fig, axes[: len(drawn)]


def gap(table: tables.Table) -> page.Section | None:
    """Final error on training and on test data, joined per setting."""
    drawn = []
    for line in table.clear:
        ends = [(s, _last(s, "train"), _last(s, "test")) for s in line.settings]
        ends = [e for e in ends if e[1] and e[2]][-16:]
        drawn += [(line, ends)] if ends else []
    if not drawn:
        return None
    every = [mse for _, ends in drawn for end in ends for mse in end[1:]]
    fig, axes = _two_abreast(0.24 * max(len(e) for _, e in drawn) + 0.25, drawn)
    for ax, (line, ends) in zip(axes, drawn, strict=True):
        for y, (_, train, test) in enumerate(ends):
            ax.plot([train, test], [y, y], color=line.color, alpha=0.35, lw=3)
            ax.plot(train, y, "o", mec=line.color, mfc="white", mew=1.4)
            ax.plot(test, y, "o", color=line.color)
            place = {"transform": ax.get_yaxis_transform(), "va": "center"}
            ax.text(1.03, y, f"× {test / train:.2f}", color=canvas.MUTED, **place)
        ax.set_xlim(0.9 * min(every), 1.05 * max(every))  # all panels compare
        canvas.scale(ax, "x", every, max(every) > 5 * min(every))
        names = [tables.text(s.axes.get(table.x)) if table.x else "" for s, *_ in ends]
        ax.set_yticks(range(len(ends)), names)
        ax.set_ylim(len(ends) - 0.5, -0.5)
        ax.set_title(canvas.short(line.label, 44), color=line.color)
        ax.set(ylabel=tables.title(table.x) if table.x else "", xlabel="mse")
    caption = "Open: training data. Filled: test data. The number is test ÷ train: 1 "
    caption += "where nothing was memorised, large for an over-complete model."
    figure = page.Figure("gap", canvas.svg(fig), caption, True)
    return page.Section("gap", "Train and test", figures=[figure])


def _last(setting, split):
    """Mean over seeds of the mse at the setting's last epoch."""
    epoch = max((row["epoch"] for row in setting.rows), default=None)
    rows = [r for r in setting.rows if (r["split"], r["epoch"]) == (split, epoch)]
    found = [row["mse"] for row in rows if row.get("mse") is not None]
    return sum(found) / len(found) if found else None
