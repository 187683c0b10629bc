"""What the rows say, in sentences: computed, never assumed."""

from aejax.report import table as tables

MOST = 4  # lines that get a sentence; all are in the summary table


def sentences(table: tables.Table) -> list[str]:
    """The findings, the most important first; names stand between backticks."""
    lines = [line for line in table.leaders if line.score < float("inf")]
    if not lines:
        last = max((r["epoch"] for s in table.settings for r in s.rows), default=0)
        return [f"There is no final test metric yet; the rows end at epoch {last}."]
    out = [_sentence(table.x, line) for line in lines[:MOST]]
    if len(lines) > MOST:
        out.append(f"{len(lines) - MOST} more lines are in the summary table.")
    kl = [d.label for d in lines[:MOST] if any(s.metric("kl") for s in d.settings)]
    if kl:
        which = ", ".join(f"`{name}`" for name in kl)
        out.append(f"mse alone does not rank {which}: trained on nll plus KL.")
    if any(s.final.get("n_seeds", 0) > 1 for s in table.settings):
        return [*out, "Brackets are 95 % intervals over seeds."]
    return [*out, "One seed per setting: there are no intervals."]


def _sentence(x: str | None, line: tables.Line) -> str:
    done = sorted((s for s in line.settings if s.mse), key=lambda s: s.mse[0])
    best, worst = done[0], done[-1]
    if x == "latent_dim" and best.pca is not None:
        return _sizes(line)
    x = "latent_dim" if best.axes.get(x) is None else x
    out = f"`{line.label}` with {tables.describe(x, best.axes)} reaches test mse "
    out += tables.interval(best.mse) + (_share(best) if best.pca is not None else "")
    if worst is not best:
        highest = tables.interval(worst.mse)
        out += f"; the highest is {highest} with {tables.describe(x, worst.axes)}"
    return f"{out}."


def _sizes(line: tables.Line) -> str:
    """One line over the bottleneck sizes: where it beats PCA, and where it does not."""
    settings = [s for s in line.settings if s.mse and s.pca is not None]
    best = min(settings, key=_ratio)
    out = f"At {tables.describe('latent_dim', best.axes)} `{line.label}` reaches test "
    out += f"mse {tables.interval(best.mse)}{_share(best)}"
    # One seed has no interval: then low = mean = high, and the means are compared.
    losses = [s for s in settings if s.mse[1] > s.pca]
    ties = [s for s in settings if s.mse[1] <= s.pca <= s.mse[2]]
    for what, some in (("PCA wins at", losses), ("the interval includes PCA at", ties)):
        sizes = ", ".join(str(s.axes["latent_dim"]) for s in some)
        out += f"; {what} {' and '.join(sizes.rsplit(', ', 1))}" if some else ""
    if len(losses) + len(ties) == len(settings):
        return f"{out}; it beats PCA nowhere."
    return f"{out}." if losses or ties else f"{out}; it beats PCA at every size."


def _ratio(setting: tables.Setting) -> float:
    """Test mse as a multiple of PCA's."""
    return setting.mse[0] / max(setting.pca, 1e-99)


def _share(setting: tables.Setting) -> str:
    percent, pca = 100 * (_ratio(setting) - 1), tables.measured(setting.pca)
    if percent >= 1000:
        return f", far above PCA ({pca})"
    amount = f"{abs(percent):.0f} %" if abs(percent) >= 0.5 else "less than 1 %"
    return f", {amount} {'below' if percent < 0 else 'above'} PCA ({pca})"
