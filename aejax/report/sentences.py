"""What the rows say, in sentences: computed, never assumed."""

import math

from aejax.evaluate import metrics
from aejax.report import diagnoses, race, search, words
from aejax.report import table as tables

MOST = 4  # lines that get a sentence; all are in the summary table


def findings(table: tables.Table) -> list[str]:
    """The findings, the most important first; names stand between backticks."""
    lines = [line for line in table.leaders if line.score < float("inf")]
    if not lines:
        last = max((s.rows["epoch"].max() for s in table.settings), default=0)
        return [f"There is no final test metric yet; the rows end at epoch {last}."]
    out = search.sentences(table)
    out += [_sentence(table.x, line) for line in lines[:MOST]]
    if len(lines) > MOST:
        out.append(f"{len(lines) - MOST} more lines are in the summary table.")
    out += [*race.sentences(table), *diagnoses.sentences(table)]
    for measure in table.measures:
        names = [
            f"`{line.label}`"
            for line in lines[:MOST]
            if any(s.metric("kl") and s.measure == measure for s in line.settings)
        ]
        if names:
            error, names = words.ERRORS[measure], ", ".join(names)
            out.append(f"{error} alone does not rank {names}: trained on nll plus KL.")
    if any(s.final.get("n_seeds", 0) > 1 for s in table.settings):
        return [*out, "Brackets are 95 % intervals over seeds."]
    return [*out, "One seed per setting: there are no intervals."]


def _sentence(x: str | None, line: tables.Line) -> str:
    """The best setting: over bottleneck sizes, the one farthest below PCA."""
    done = [s for s in line.settings if s.error]
    sizes = [s for s in done if s.pca is not None] if x == "latent_dim" else []
    best = min(sizes, key=_ratio) if sizes else min(done, key=lambda s: s.error)
    place = words.describe("latent_dim" if best.axes.get(x) is None else x, best.axes)
    error = f"{words.ERRORS[best.measure]} {words.interval(best.error)}"
    out = f"`{line.label}` with {place} reaches test {error}"
    if best.pca is not None and best.pca > 1e-12:
        ratio, pca = _ratio(best), words.measured(best.pca)
        way = "below" if ratio < 1 else "above"
        if ratio < 2:
            out += f", {100 * abs(ratio - 1):,.0f} % {way} PCA ({pca})"
        else:
            out += f", {ratio:,.{int(ratio < 10)}f} × PCA's ({pca})"
    verdicts: dict[str, list[str]] = {}
    for setting in sizes or [best] * (best.pca is not None):
        size = str(setting.axes["latent_dim"])
        verdicts.setdefault(_verdict(setting), []).append(size)
    verdicts.pop("", None)
    for what, dims in verdicts.items():
        out += f"; {what} at {', '.join(dims)}" if sizes else f"; {what.strip(',')}"
    known = diagnoses.objective(best)
    if best.pca is not None and known and "labels" in known.needs:
        out += "; it is shown the label, PCA is not"
    return f"{out}."


def _verdict(setting: tables.Setting) -> str:
    """PCA's place by the ratio of each seed's mse to its, '' where the model wins.

    On a log scale, where halves and doubles weigh the same: 95 % Student-t over seeds.
    """
    pca = max(setting.pca, 1e-99)
    logs = [math.log(max(v, 1e-99) / pca) for v in setting.seeds("mse").values()]
    mean, low, high = metrics.interval(logs) if logs else (0.0, None, None)
    if low is None:
        return "PCA's is lower (one seed)" if mean > 0 else ""
    if low > 0 or high < 0:
        return "PCA wins" if low > 0 else ""
    for way, sign in (("above", 1), ("below", -1)):
        if all(sign * value > 0 for value in logs):
            return f"{way} PCA in each of {len(logs)} seeds, too few to settle it,"
    return "no difference from PCA can be seen"


def _ratio(setting: tables.Setting) -> float:
    """Test mse as a multiple of PCA's."""
    return setting.error[0] / max(setting.pca, 1e-99)
