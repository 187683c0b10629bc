"""What a table of means hides, in sentences: collapse, worse wider codes, grey data."""

from collections.abc import Sequence

from aejax import config, objectives
from aejax.evaluate import disentanglement, metrics
from aejax.report import compare, pictures, words
from aejax.report import table as tables

COLLAPSED = 0.01  # nats: a KL below it tells nothing of x
MOST = 3  # lines that get a sentence of one kind: more would bury the findings
# Terms of a loss that a dimension pays for even if it is ignored.
PRICED = ("mmd", "fooled", "diagonal", "sparsity")


def sentences(table: tables.Table) -> list[str]:
    """At most ``MOST`` of each kind, in the order of the leaders."""
    out = []
    for kind in (_collapse, _wider):
        texts = [text for line in table.leaders if (text := kind(table.x, line))]
        out += texts[:MOST]
        if len(texts) > MOST:
            more = len(texts) - MOST
            out.append(f"The same is true of {more} more line{'s' * (more > 1)}.")
    return out + _grey(table.settings)


def objective(setting: tables.Setting) -> objectives.Objective | None:
    """Its objective; None of one from a path, of which rows have the file name."""
    name = setting.axes["objective"]
    return objectives.OBJECTIVES[name] if name in objectives.OBJECTIVES else None


def _with(x: str | None, settings: Sequence[tables.Setting]) -> str:
    """'2, 8, 16 latent dimensions', 'beta 4, 8'."""
    name = "latent_dim" if settings[0].axes.get(x) is None else x
    values = [s.axes[name] for s in settings]
    value = ", ".join(map(words.text, values)) if values[1:] else values[0]
    return words.describe(name, {name: value})


def _collapse(x: str | None, line: tables.Line) -> str | None:
    """Settings whose codes, or second codes of two layers, say nothing of x."""
    for metric in ("kl", "kl_2"):
        low = [s for s in line.settings if (s.metric(metric) or [1])[0] < COLLAPSED]
        if not low:
            continue
        what = "" if metric == "kl" else "The second layer of "
        value = max(s.metric(metric)[0] for s in low)
        out = (
            f"{what}`{line.label}` with {_with(x, low)} has collapsed onto its prior: "
        )
        out += f"KL {'at most ' * (len(low) > 1)}{value:.1g} nats"
        out += _active(low[-1]) if metric == "kl" else ""
        ways = _remedies(low[-1])
        return f"{out}; to try: {', '.join(ways)}." if ways else f"{out}."
    return None


def _remedies(setting: tables.Setting) -> list[str]:
    known = objective(setting)
    defaults = known.defaults if known else {}
    ways = [n for n in ("kl_warmup", "free_bits") if n in defaults]
    ways += ["a lower beta"] * ("beta" in defaults)
    if setting.axes.get("likelihood") == "gaussian":
        ways.append("a learned variance (likelihood gaussian_learned)")
    return ways


def _active(setting: tables.Setting) -> str:
    """', 3 of 8 dimensions active', of the smallest seed's model if there is one."""
    try:
        data, k = pictures.data_of(setting), setting.axes["latent_dim"]
        codes = [compare.codes(m, data.test, data) for m in pictures.restored(setting)]
        counts = map(disentanglement.active_units, codes)
        return "".join(f", {count} of {k} dimensions active" for count in counts)
    except (config.InputError, OSError):  # the rows alone are left of this run
        return ""


def _wider(x: str | None, line: tables.Line) -> str | None:
    """Sizes of significantly larger test loss than the best narrower one's."""
    done = [s for s in line.settings if s.metric("loss")] if x == "latent_dim" else []
    if any(s.metric(name) for s in done for name in PRICED):
        return None
    if any(s.axes.get("free_bits") for s in done):  # nats that each dimension must have
        return None
    worse = []
    for i, wide in enumerate(done[1:], 1):
        best = min(done[:i], key=lambda s: s.metric("loss")[0])
        if (gap := _above(wide, best, "test"))[1] > 0:
            worse.append((gap, wide, best))
    if not worse:
        return None
    gap, wide, best = max(worse, key=lambda case: case[0][0])
    rest = [s for _, s, _ in worse if s is not wide]
    out = (
        f"`{line.label}` with {_with(x, [wide])} has a test loss {words.interval(gap)} "
        f"nats above that with {best.axes[x]}, though it could ignore the rest"
    )
    out += f" (worse too: {', '.join(str(s.axes[x]) for s in rest)})" if rest else ""
    if (train := _above(wide, best, "train"))[1] > 0:
        out += f"; its training loss is {words.interval(train)} above as well: "
        out += "optimisation"
        kl, narrow = wide.metric("kl"), best.metric("kl")
        if kl and narrow and kl[0] < narrow[0]:
            both = words.measured(kl[0]), words.measured(narrow[0])
            out += f", by early posterior collapse: KL {both[0]} nats against {both[1]}"
        return f"{out}{_active(wide) if kl else ''}."
    return out + ("; its training loss is not: overfitting." if train[0] < 0 else ".")


def _above(
    wide: tables.Setting, best: tables.Setting, split: str
) -> tuple[float, float, float]:
    """Paired difference of the losses and its 95 %; all 0 where two seeds lack it."""
    losses, other = (s.seeds("loss", split) for s in (wide, best))
    pairs = [losses[seed] - other[seed] for seed in losses if seed in other]
    return metrics.interval(pairs) if len(pairs) > 1 else (0.0, 0.0, 0.0)


def _grey(settings: Sequence[tables.Setting]) -> list[str]:
    """A sentence if a Bernoulli likelihood met values between 0 and 1."""
    # Of float data levels are not known.
    wanted = {"likelihood": "bernoulli", "binarize": "none"}
    other = ["`binarize`", "`continuous_bernoulli`"]
    levels = ["`discretized_logistic`", "`categorical`"]
    fit = [s for s in settings if wanted.items() <= s.axes.items()]
    names = []
    for name, setting in {s.axes["dataset"]: s for s in fit}.items():
        try:
            data = pictures.data_of(setting)
        except (config.InputError, OSError):  # it is no longer here
            continue
        x = data.test.x
        if ((x != 0) & (x != data.scale)).any():
            names.append(f"`{name}`")
            levels = levels if x.dtype.kind in "iu" else []
    if not names:
        return []
    return [
        f"{' and '.join(names)}: of grey values nll of `bernoulli` is a cross-entropy, "
        f"not −log p(x); likelihoods of them: {', '.join(other + levels)}."
    ]
