"""Objectives beside each other: at one bottleneck size, and cut to fewer dimensions."""

import statistics

import numpy as np

from aejax import evaluate, representation
from aejax.report import canvas, page, pictures
from aejax.report import table as tables

SEEDS, MOST = 3, 2000
TITLES = {
    "mse": "test mse",
    "nll": "test nll: reconstruction (nats)",
    "active units": "active units: dimensions with Var E[z|x] > 0.01",
    "probe": "linear probe: test accuracy",
}


def objectives(table: tables.Table) -> page.Section | None:
    """mse, nll, active units and probe accuracy of three objectives or more."""
    at, dim = _at_one_size(table)
    if len(at) < 3:
        return None
    found = {name: _measured(setting) for name, setting in at.items()}
    names = sorted(found, key=lambda name: found[name]["mse"])
    metrics = [m for m in TITLES if any(m in values for values in found.values())]
    left = 0.4 + 0.088 * max(map(len, names))
    heights = [0.2 * len(names) + 0.2] * -(-len(metrics) // 2)
    fig, axes = canvas.panels(heights, 2, left=left)
    for ax, metric in zip(axes, metrics, strict=False):
        for y, name in enumerate(names):
            mean, low, high = found[name].get(metric, (None,) * 3)
            if mean is not None:
                ax.plot([low, high], [y, y], color=tables.PALETTE[0], alpha=0.35, lw=5)
                ax.plot(mean, y, "o", color=tables.PALETTE[0])
        if metric == "mse" and at[names[0]].pca is not None:
            ax.axvline(at[names[0]].pca, color=canvas.MUTED, lw=1, ls=(0, (5, 3)))
        ax.set_yticks(range(len(names)), names)
        ax.set_ylim(len(names) - 0.5, -0.5)
        ax.grid(axis="x")
        ax.set_title(TITLES[metric])
    for ax in axes[len(metrics) :]:
        ax.remove()
    caption = f"The best setting of each objective at {dim} latent dimensions, by mse. "
    caption += (
        "Bars: 95 % over seeds for mse and nll, lowest to highest seed (three at "
    )
    caption += "most) for the other two. Dashed: PCA. Weighted terms are not in nll."
    return page.picture(
        "objectives", "Objectives at equal size", canvas.svg(fig), caption
    )


def _at_one_size(table):
    """{objective: its best setting} at the size that most objectives have, and it."""
    best: dict[int, dict[str, tables.Setting]] = {}
    for s in (s for s in table.settings if s.mse):
        own = best.setdefault(s.axes["latent_dim"], {})
        name = s.axes["objective"]
        if name not in own or s.mse < own[name].mse:
            own[name] = s
    dim = max(best, key=lambda k: (len(best[k]), k), default=0)
    return best.get(dim, {}), dim


def _measured(setting):
    found = {m: setting.metric(m) for m in ("mse", "nll") if setting.metric(m)}
    data, active, accuracy = pictures.data_of(setting), [], []
    for model in pictures.restored(setting, SEEDS):
        train, test = (_codes(model, part, data) for part in (data.train, data.test))
        active.append(representation.active_units(test))
        if data.num_classes > 1:
            y = data.train.y[:MOST], data.test.y[:MOST]
            accuracy.append(representation.probe_accuracy(train, y[0], test, y[1]))
    for name, values in (("active units", active), ("probe", accuracy)):
        if values:
            found[name] = statistics.mean(values), min(values), max(values)
    return found


def _codes(model, part, data) -> np.ndarray:
    """(N, k) codes; vectors of a slot stand side by side."""
    z = model.encode(*pictures.some(part, data, slice(MOST)))
    return np.concatenate(z, axis=1) if isinstance(z, tuple) else z


def truncated(table: tables.Table) -> page.Section | None:
    """Models with an ordered code, cut to every size, beside those trained at it."""
    if not any(s.axes["objective"] == "nested_dropout" for s in table.settings):
        return None
    fig, (ax,) = canvas.panels([3.0], right=2.2)
    ends, seen, xs = [], [], set()
    for line in table.drawn:
        setting = max(line.settings, key=lambda s: s.axes["latent_dim"])
        data = pictures.data_of(setting)
        for model in pictures.restored(setting):
            curve = evaluate.truncate(model, *pictures.some(data.test, data))
            ax.plot(*zip(*curve.items(), strict=True), color=line.color)
            ends.append((*list(curve.items())[-1], line.label, line.color))
            seen += curve.values()
            xs |= set(curve)
        for s in (s for s in line.settings if s.mse and table.x == "latent_dim"):
            ax.plot(s.axes["latent_dim"], s.mse[0], "o", mec=line.color, mfc="white")
    if not seen:
        return None
    canvas.scale(ax, "x", xs, True, True)
    canvas.scale(ax, "y", seen, True)
    canvas.end_labels(ax, ends)
    ax.set(xlabel="code dimensions kept")
    ax.set_title("test mse")
    caption = "Lines: one model, its code cut to the first dimensions (smallest seed, "
    caption += "largest bottleneck). Open: models trained at that size."
    return page.picture("truncated", "One model, every size", canvas.svg(fig), caption)
