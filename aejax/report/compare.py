"""Objectives beside each other: at one bottleneck size, and cut to fewer dimensions."""

import statistics

import numpy as np

from aejax import evaluate
from aejax.evaluate import disentanglement
from aejax.report import canvas, page, pictures, words
from aejax.report import table as tables

# Models encode for seconds each: seeds and examples; and names that can be read.
SEEDS, ROWS, MOST = 3, 32, 2000
TITLES = {
    "mse": "test mse",
    "error_rate": "test error rate",
    "nll": "test nll: reconstruction (nats)",
    "active units": "active units: dimensions with Var E[z|x] > 0.01",
    "probe": "linear probe: test accuracy",
}


def settings(table: tables.Table) -> page.Section | None:
    """mse, nll, active units and probe accuracy at the size that most have.

    Of the best setting of each objective if there are three or more, else of each line
    if no number is swept.
    """
    several = len({s.axes["objective"] for s in table.settings}) > 2
    sizes: dict[int, dict[str, tables.Setting]] = {}
    for line in table.lines if several or not table.x else ():
        for s in (s for s in line.settings if s.error):
            name = s.axes["objective"] if several else line.label
            best = sizes.setdefault(s.axes["latent_dim"], {})
            best[name] = min(best.get(name, s), s, key=lambda s: s.error)
    dim = max(sizes, key=lambda k: (len(sizes[k]), k), default=0)
    best = sizes.get(dim, {})
    if len(best) < 2:
        return None
    names = sorted(best, key=lambda name: best[name].error)[:ROWS]
    numbers = {name: measured(best[name]) for name in names}
    metrics = [m for m in TITLES if any(m in values for values in numbers.values())]
    fig, axes = canvas.abreast(0.2 * len(names) + 0.9, len(metrics))
    for ax, metric in zip(axes, metrics, strict=True):
        bars = [numbers[name].get(metric, ()) for name in names]
        canvas.dots(ax, names, bars, tables.PALETTE[0])
        ax.set_title(TITLES[metric])
    if (pca := best[names[0]].pca) is not None:
        axes[0].axvline(pca, color=canvas.MUTED, lw=1, ls=(0, (5, 3)))
    what = words.describe("latent_dim", {"latent_dim": dim})
    title = f"{'Objectives' if several else 'Settings'} at {what}"
    return page.picture("settings", title, fig)


def measured(setting: tables.Setting) -> dict[str, tuple[float, float, float]]:
    """{metric: mean, low, high}; those of codes from models of up to three seeds."""
    errors = (setting.measure, "nll")
    out = {name: setting.metric(name) for name in errors if setting.metric(name)}
    data, active, accuracy = pictures.data_of(setting), [], []
    for model in pictures.restored(setting, SEEDS):
        train, test = (codes(model, part, data) for part in (data.train, data.test))
        active.append(disentanglement.active_units(test))
        if data.num_classes > 1 and data.train.y.ndim == 1:
            y = data.train.y[:MOST], data.test.y[:MOST]
            accuracy.append(disentanglement.probe_accuracy(train, y[0], test, y[1]))
    for name, values in (("active units", active), ("probe", accuracy)):
        if values:
            out[name] = statistics.mean(values), min(values), max(values)
    return out


def codes(model, part, data) -> np.ndarray:
    """(N, k) codes; vectors of a slot stand side by side."""
    z = model.encode(*pictures.some(part, data, slice(MOST)))
    return np.concatenate(z, axis=1) if isinstance(z, tuple) else z


def truncated(table: tables.Table) -> page.Section | None:
    """Models with an ordered code, cut to every size, beside those trained at it."""
    if not any(s.axes["objective"] == "nested_dropout" for s in table.settings):
        return None
    curves, trained = [], []
    # Of tokens a squared error means nothing.
    for line in (d for d in table.drawn if d.settings[0].measure == "mse"):
        setting = max(line.settings, key=lambda s: s.axes["latent_dim"])
        data = pictures.data_of(setting)
        for model in pictures.restored(setting):
            curve = evaluate.truncate(model, *pictures.some(data.test, data))
            curves.append((line.label, line.color, list(curve.items())))
        if table.x == "latent_dim":
            done = [s for s in line.settings if s.error]
            points = [(s.axes["latent_dim"], s.error[0]) for s in done]
            trained += [(*point, line.color) for point in points]
    if not curves:
        return None
    fig, (ax,) = canvas.panels([4.0])
    for x, y, color in trained:
        ax.plot(x, y, "o", mec=color, mfc="white", ms=8)
    canvas.lines(ax, curves, True, True, [y for _, y, _ in trained])
    ax.set(xlabel="code dimensions kept")
    ax.set_title("test mse")
    return page.picture("truncated", "One model, every size", fig)
