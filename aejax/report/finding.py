"""What the rows say, in sentences: computed, never assumed."""

from aejax.report import table as tables

MOST = 4  # lines that get a sentence; all are in the summary table


def sentences(table: tables.Table) -> list[str]:
    """The findings, the most important first; names stand between backticks."""
    lines = [line for line in table.leaders if table.score(line) < float("inf")]
    if not lines:
        epochs = max((r["epoch"] for s in table.settings for r in s.rows), default=0)
        return [
            f"No setting has a final test metric yet; the rows end at epoch {epochs}."
        ]
    across = _sizes if table.x == "latent_dim" and table.metric == "mse" else _values
    out = [across(table, line) for line in lines[:MOST]]
    if len(lines) > MOST:
        out.append(f"{len(lines) - MOST} more lines are in the summary table.")
    kl = [d.label for d in lines[:MOST] if any(s.metric("kl") for s in d.settings)]
    if kl and table.metric == "mse":
        which = ", ".join(f"`{name}`" for name in kl)
        out.append(f"mse alone does not rank {which}: trained on nll plus KL.")
    if any(s.final.get("n_seeds", 0) > 1 for s in table.settings):
        return [*out, "Brackets are 95 % intervals over seeds."]
    return [*out, "One seed per setting: there are no intervals."]


def _sizes(table: tables.Table, line: tables.Line) -> str:
    """One line over the bottleneck sizes: where it beats PCA, and where it does not."""
    pairs = [(s, s.metric("mse"), table.pca_mse(s)) for s in line.settings]
    pairs = [p for p in pairs if p[1] and p[2] is not None]
    if not pairs:
        return _values(table, line)
    # One seed has no interval: then low = mean = high, and the means are compared.
    wins = [p for p in pairs if p[1][2] < p[2]]
    losses = [p for p in pairs if p[1][1] > p[2]]
    ties = [p for p in pairs if p not in wins and p not in losses]
    setting, mse, pca = min(pairs, key=lambda p: p[1][0] / max(p[2], 1e-99))
    place = tables.describe("latent_dim", setting.axes)
    reached = f"reaches test mse {tables.interval(mse)}, {_share(mse[0], pca)}"
    out = f"At {place} `{line.label}` {reached}"
    if not wins:
        where = _listed(" at", losses) if ties else " at every size"
        lost = f"; PCA wins{where}" if losses else ""
        return f"`{line.label}` beats PCA nowhere: at {place} it {reached}{lost}."
    if not losses and not ties:
        return f"{out}; it beats PCA at every size."
    if len(losses) > 1 and losses == pairs[-len(losses) :]:
        out += f"; from {losses[0][0].axes['latent_dim']} on PCA wins"
    else:
        out += _listed("; PCA wins at", losses)
    return out + _listed("; the interval includes PCA at", ties) + "."


def _values(table: tables.Table, line: tables.Line) -> str:
    """One line along another axis, or one setting alone."""
    done = [s for s in line.settings if s.metric(table.metric)]
    done.sort(key=lambda s: s.metric(table.metric)[0])
    best, worst = done[0], done[-1]
    x = table.x if best.axes.get(table.x) is not None else "latent_dim"
    found, pca = best.metric(table.metric), table.pca_mse(best)
    out = f"`{line.label}` with {tables.describe(x, best.axes)} reaches test "
    out += f"{table.metric} {tables.interval(found)}"
    if table.metric == "mse" and pca is not None:
        out += f", {_share(found[0], pca)}"
    if worst is best:
        return f"{out}."
    highest = tables.interval(worst.metric(table.metric))
    return f"{out}; the highest is {highest} with {tables.describe(x, worst.axes)}."


def _share(mse: float, pca: float) -> str:
    percent = 100 * abs(1 - mse / max(pca, 1e-99))
    if percent >= 1000:
        return f"far above PCA ({tables.measured(pca)})"
    amount = f"{percent:.0f} %" if percent >= 0.5 else "less than 1 %"
    return f"{amount} {'below' if mse < pca else 'above'} PCA ({tables.measured(pca)})"


def _listed(words: str, pairs: list) -> str:
    sizes = [str(p[0].axes["latent_dim"]) for p in pairs]
    listed = " and ".join(filter(None, [", ".join(sizes[:-1]), *sizes[-1:]]))
    return f"{words} {listed}" if sizes else ""
