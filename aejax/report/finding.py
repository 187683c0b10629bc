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
    """The best setting: over bottleneck sizes, the one farthest below PCA."""
    done = [s for s in line.settings if s.mse]
    sizes = [s for s in done if s.pca is not None] if x == "latent_dim" else []
    best = min(sizes, key=_ratio) if sizes else min(done, key=lambda s: s.mse)
    at = tables.describe("latent_dim" if best.axes.get(x) is None else x, best.axes)
    out = f"`{line.label}` with {at} reaches test mse {tables.interval(best.mse)}"
    if best.pca is not None and best.pca > 1e-12:
        percent, pca = 100 * (_ratio(best) - 1), tables.measured(best.pca)
        out += f", {abs(percent):,.0f} % {'below' if percent < 0 else 'above'} "
        out += f"PCA ({pca})"
    # One seed has no interval: then low = mean = high, and the means are compared.
    above = [s for s in sizes if s.mse[1] > s.pca]
    ties = [s for s in sizes if s.mse[1] <= s.pca <= s.mse[2]]
    for what, some in (("PCA wins at", above), ("the interval includes PCA at", ties)):
        at = ", ".join(str(s.axes["latent_dim"]) for s in some)
        out += f"; {what} {at}" if some else ""
    return f"{out}."


def _ratio(setting: tables.Setting) -> float:
    """Test mse as a multiple of PCA's."""
    return setting.mse[0] / max(setting.pca, 1e-99)
