"""Trains what was measured before and compares: ``python -m experiments.reproduce``.

``digits`` runs every objective on the embedded data against tests/objectives/digits.py.
``mnist`` runs the importance-weighted family of Burda et al., ICLR 2016, on dynamically
binarised MNIST: orderings by paired differences, values beside theirs.
"""

import dataclasses
import math
import sys
import time
from collections.abc import Sequence
from typing import Annotated, Any, Literal, NamedTuple

import tyro

from aejax import config
from experiments import environment

PROGRAM = "python -m experiments.reproduce"
SEEDS = (0, 1)  # of digits: a tolerance is for their mean
FLAX = 104.5  # nats, at most, of the bound of flax's own example
SAMPLES = {False: 500, True: 5000}  # per test image, shortened and full


class Study(NamedTuple):
    """One model of ``mnist``: its settings, published test NLL, and which it beats."""

    objective: str
    hparams: dict[str, Any]
    published: str
    below: tuple[str, ...] = ()


_WARM = {"kl_warmup": 0.5}
# Burda et al. 2016, table 1 (L = 1, k = 1, 5, 50); conditional: an independent
# reproduction of it with labels (nbip/IWAE), k = 1.
STUDIES = {
    "flax_vae": Study("vae", {}, "104 (bound)"),  # the preset; "around 104" of flax
    "vae": Study("iwae", {"num_samples": 1}, "86.76"),
    "iwae-5": Study("iwae", {"num_samples": 5}, "85.54", ("vae",)),
    "iwae-50": Study("iwae", {"num_samples": 50}, "84.78", ("iwae-5", "vae")),
    "conditional": Study("conditional_vae", {}, "82.32", ("vae",)),
    # Tomczak & Welling warm the KL up, under both priors, whatever the schedule.
    "vae-warmup": Study("vae", _WARM, "–"),
    "vamp": Study("vamp_vae", _WARM | {"components": 100}, "–", ("vae-warmup", "vae")),
}


@dataclasses.dataclass(frozen=True)
class Flags:
    """Trains, compares with what is expected, prints a table; status 1 on a miss."""

    what: Annotated[Literal["digits", "mnist"], tyro.conf.Positional]
    """digits: every objective, minutes; mnist: the IWAE table, about half an hour"""
    only: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME …")] = ()
    """of the table's rows"""
    full: bool = False
    """mnist: the paper's 3,280 epochs and 5,000 samples, for an accelerator"""
    epochs: int = 8
    """mnist: epochs of the shortened schedule"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command line.

    Returns:
      0 when all is as expected; 1 on a miss; 2 after bad input, described on stderr.
    """
    return environment.run(_reproduce, argv)


def _reproduce(argv: list[str]) -> int:
    flags = tyro.cli(Flags, args=argv, prog=PROGRAM)
    environment.start(len(SEEDS), None)
    began = time.monotonic()
    good = (_digits if flags.what == "digits" else _mnist)(flags)
    print(f"\n{(time.monotonic() - began) / 60:.1f} minutes; ", end="")
    print("all as expected" if good else "NOT all as expected")
    return 0 if good else 1


def _chosen(only: Sequence[str], known: Sequence[str]) -> list[str]:
    for name in only:
        if name not in known:
            raise config.unknown("row", name, known)
    return list(only or known)


def _digits(flags: Flags) -> bool:
    from aejax.runs import sweep
    from experiments import tables
    from tests.objectives import digits

    rows, good = [], True
    for name in _chosen(flags.only, sorted(digits.DIGITS)):
        settings, metric, expected, tolerance = digits.DIGITS[name]
        fields = {n: v for n, v in settings.items() if n in config.FIELDS}
        hparams = {n: v for n, v in settings.items() if n not in fields}
        began = time.monotonic()
        base = config.Config(**{"objective": name, "hparams": hparams} | fields)
        got = sweep.sweep(base, {"seed": SEEDS}).summary[0][f"{metric}_mean"]
        near = got is not None and abs(got - expected) <= tolerance
        good &= near
        words = ", ".join(f"{n}={v}" for n, v in settings.items())
        number = "–" if got is None else f"{got:.4g}"
        wanted = f"{expected:.4g} ± {tolerance:.2g}"
        seconds = f"{time.monotonic() - began:.0f}"
        verdict = "ok" if near else "MISS"
        rows.append((name, words, metric, number, wanted, seconds, verdict))
        print(*rows[-1], sep="  ", flush=True)
    headers = ("objective", "settings", "test metric", "got", "expected", "s", "")
    tables.show(headers, rows, f"digits, mean of {len(SEEDS)} seeds")
    return good


def _mnist(flags: Flags) -> bool:
    import jax
    import numpy as np

    from aejax import evaluate
    from aejax.runs import sweep
    from experiments import presets, tables

    samples, scores, rows, good = SAMPLES[flags.full], {}, [], True
    for name in _chosen(flags.only, list(STUDIES)):
        study, began = STUDIES[name], time.monotonic()
        preset = presets.PRESETS.get(name)
        base = config.Config(**preset.values) if preset else _burda(study, flags)
        run = sweep.sweep(base, {})
        source = run.sources.source(run.populations[0].spec)
        start = sum(source.spec.lengths[:2])
        test = jax.tree.map(lambda a, first=start: a[first:], source.evaluated)
        x, y = test.x.astype(np.float32), test.y  # x drawn from the grey ones, once
        key = jax.random.key(0)
        nll = evaluate.log_likelihood(run.model(), x, y, key=key, samples=samples).nll
        scores[name] = nll
        minutes = (time.monotonic() - began) / 60
        error = nll.std(ddof=1) / math.sqrt(len(nll))
        bound = run.summary[0]["loss_mean"]
        row = [name, f"{bound:.2f}", f"{nll.mean():.2f} ± {error:.2f}", study.published]
        verdicts = []
        if preset:
            good &= bool(bound <= FLAX)
            verdicts.append(f"bound {'≤' if bound <= FLAX else 'NOT ≤'} {FLAX}")
        for other in study.below:
            if other in scores:
                gap = scores[other] - nll  # the same images: their spread cancels
                z = gap.mean() / (gap.std(ddof=1) / math.sqrt(len(gap)))
                good &= bool(z > 2)
                sign = "<" if z > 2 else "NOT <"
                verdicts.append(f"{sign} {other} by {gap.mean():.2f} ({z:.0f} s.e.)")
        rows.append((*row, "; ".join(verdicts) or "–", f"{minutes:.1f}"))
        print(*rows[-1], sep="  ", flush=True)
    what = f"{3280 if flags.full else flags.epochs} epochs, {samples} samples"
    headers = ("model", "bound", f"NLL, {what}", "published, 3280", "order", "minutes")
    tables.show(headers, rows, "MNIST, dynamically binarised, nats")
    return good


def _burda(study: Study, flags: Flags) -> config.Config:
    """Burda et al.'s recipe: 784-200-200-50 tanh, batch 20, Adam, eight stages.

    Their stages spend two thirds of the time at a tenth of the peak rate, which a few
    epochs cannot afford: the shortened schedule is a cosine.
    """
    epochs = 3280 if flags.full else flags.epochs
    return config.Config(
        dataset="mnist",
        objective=study.objective,
        hparams=study.hparams,
        binarize="dynamic",
        latent_dim=50,
        hidden=(200, 200),
        activation="tanh",
        init="glorot",
        output_bias="mean",
        batch_size=20,
        epochs=epochs,
        eval_every=epochs,
        learning_rate=1e-3,
        schedule="piecewise" if flags.full else "cosine",
        beta1=0.99,
        eps=1e-4,
    )


if __name__ == "__main__":
    sys.exit(main())
