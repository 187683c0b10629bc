"""A small search: two generations of four trials, two seeds each."""

import jax
import optuna

import aejax
from aejax import search

BASE = aejax.Config(
    objective="beta_vae", hidden=(8,), batch_size=64, epochs=4, eval_every=1
)
SPACE = {
    "learning_rate": search.Range(1e-3, 0.1, True),
    "beta": search.Range(0.1, 4.0, True),
    "latent_dim": search.Range(1, 5),
}
FEW = search.Settings(trials=8, population=4)


def run(out, settings=FEW, space=SPACE, base=BASE, seeds=(0, 1), **more):
    more = {"devices": jax.devices()[:2], "resume": True} | more
    return search.search(base, space, seeds, settings, out=out, **more)


def trials(out, storage=None):
    """The study's trials that did not fail, by number."""
    storage = storage or f"sqlite:///{out}/study.db"
    known = optuna.load_study(study_name="aejax", storage=storage).trials
    return {t.number: t for t in known if t.state.name != "FAIL"}


def values(done, trial, by=("nll", "kl"), split="valid", epoch=None):
    """Of a trial's members, from the rows alone."""
    (first,) = (m for n, m in done.info["search"]["trials"] if n == trial)
    last = {}
    for row in done.rows:
        if row["split"] == split and row["member"] in (first, first + 1):
            if epoch in (None, row["epoch"]):
                last[row["member"]] = sum(row[name] for name in by)
    return list(last.values())
