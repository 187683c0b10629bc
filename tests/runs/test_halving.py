"""P11: stopping early changes nobody; what it saves and misses is counted."""

import collections
import json
import math
import shutil

import jax
import numpy as np
import pytest

import aejax
from aejax import config as configs
from aejax.report import race, table
from aejax.runs import halving, plan
from aejax.training import program
from tests.runs.common import CONFIG, stop_after

# Where the bits of two programs are compared.
bits = pytest.mark.usefixtures("users_generator")
BASE = aejax.Config(**CONFIG | {"objective": "beta_vae", "latent_dim": 3})
AXES = {
    "batch_size": [64, 96],  # two programs
    "learning_rate": [1e-4, 3e-3, 1e-2, 1e30],
    "beta": [0.1, 1.0],
}
RULE = halving.Halving(2.0, (2, 6))


def sweep(out=None, rule=RULE, **more):
    more = {"devices": jax.devices()[:2]} | more
    return aejax.sweep(BASE, AXES, out=out, halving=rule, **more)


def plain(row):
    return {n: v for n, v in row.items() if n != "stopped_at"}


@pytest.fixture(scope="module")
def exhaustive(as_for_users):
    with as_for_users():
        return aejax.sweep(BASE, AXES, devices=jax.devices()[:2])


@pytest.fixture(scope="module")
def raced(tmp_path_factory, as_for_users):
    with as_for_users():
        return sweep(tmp_path_factory.mktemp("runs") / "raced")


def test_survivors_rows_are_those_of_all(raced, exhaustive):
    assert raced.info["finished"] and len(raced.stopped) == 12
    for member in range(16):
        ours = [r for r in raced.rows if r["member"] == member]
        theirs = [r for r in exhaustive.rows if r["member"] == member]
        end = raced.stopped.get(member)
        assert {r["stopped_at"] for r in ours} == {end}
        if end:
            theirs = [r for r in theirs if r["epoch"] <= end]
        assert [*map(plain, ours)] == theirs
    tests = {r["member"] for r in raced.rows if r["split"] == "test"}
    assert tests == set(range(16)) - set(raced.stopped)
    assert [line["n_seeds"] for line in raced.summary[:-1]] == [1] * 4


def test_the_best_go_on(raced, exhaustive):
    """By a ranking of its own: of 16, 8 at epoch 2 and 4 at epoch 6."""
    alive = set(range(16))
    for epoch in (2, 6):
        known = {
            r["member"]: math.inf if r["nll"] is None else r["nll"] + r["kl"]
            for r in exhaustive.rows
            if r["split"] == "valid" and r["epoch"] == epoch and r["member"] in alive
        }
        alive = set(sorted(known, key=lambda m: (known[m], m))[: len(known) // 2])
    assert alive == set(range(16)) - set(raced.stopped)
    diverged = {r["member"] for r in exhaustive.rows if r["diverged"]}
    assert diverged and diverged <= {m for m, e in raced.stopped.items() if e == 2}


@bits
def test_models_are_of_the_step_they_stopped_at(raced, exhaustive):
    model = raced.best()[0]
    assert model.config in [m.config for m in exhaustive.models()]
    x = exhaustive.dataset().test.x[:3] / 16
    choice = {n: raced.rows[0][n] for n in AXES}  # of member 0, which is stopped
    opened = aejax.open_run(raced.dir)
    assert opened.stopped == raced.stopped and opened.problems == []
    early = opened.model(**choice)
    steps = early.steps * raced.stopped[0] / BASE.epochs
    assert (early.step, model.step) == (steps, model.steps)
    for member, ours in enumerate(opened.models()):
        theirs = exhaustive.models()[member]
        same = np.array_equal(ours.encode(x), theirs.encode(x))
        lost = theirs.config.learning_rate == 1e30  # stays what it was at first
        assert same == (lost or member not in raced.stopped)


def test_the_report_shows_who_went_on(raced):
    facts = table.read([raced])
    assert len(facts.settings) == 4 and all(s.final for s in facts.settings)
    (text,) = race.sentences(facts)
    # 16 members of 26 or 39 epochs' steps: 8 stop at epoch 2, 4 at 6, 4 go on to 12.
    done, whole = race.saved(raced)
    assert (
        f"stopped 12 members (75%) at rungs and trained {done:,} of {whole:,}" in text
    )
    steps = {64: 20, 96: 13}
    epochs = [raced.stopped.get(m, 12) for m in range(16)]
    assert done == sum(e * steps[64 if m < 8 else 96] for m, e in enumerate(epochs))
    (cells,) = race.section(facts).tables
    assert cells.rows == [["2", "16", "8", "8"], ["6", "8", "4", "4"]]


@bits
@pytest.mark.parametrize("stops", [3, 7, 12])
def test_a_resume_decides_alike(raced, tmp_path, often, stops):
    run = sweep(out := tmp_path / "run", should_stop=stop_after(stops))
    assert not run.info["finished"]
    run = sweep(out, resume=True)
    for name in ("results.jsonl", "summary.csv"):
        assert (out / name).read_bytes() == (raced.dir / name).read_bytes()
    with pytest.raises(configs.InputError, match="--halving"):
        sweep(out, rule=None, resume=True)


@bits
def test_who_was_stopped_is_known_before_the_end(raced, tmp_path, often):
    rows = []

    def behind():
        return any(r["epoch"] == 4 for r in rows)

    run = sweep(tmp_path / "run", should_stop=behind, on_rows=rows.extend)
    known = aejax.open_run(run.dir)
    assert known.stopped == run.stopped and known.stopped
    assert known.stopped.items() <= raced.stopped.items()
    done, whole = race.saved(known)
    assert 0 < done < race.saved(raced)[0] < whole


def test_a_population_of_which_nobody_is_left(tmp_path):
    axes = {"hidden": [(2,), (16,)], "seed": [0, 1]}
    base = BASE.replace(objective="ae")
    run = aejax.sweep(base, axes, out=tmp_path / "run", halving=RULE)
    assert set(run.stopped) >= {0, 1}, "two units do not win"
    opened = aejax.open_run(run.dir)
    assert [m.step for m in opened.models()][:2] == [
        run.stopped[m] * 20 for m in (0, 1)
    ]
    assert opened.problems == []


def test_batches_on_an_accelerator_fit(monkeypatch):
    planned = plan.plan(BASE, {"seed": list(range(64))}).populations
    gpu = collections.namedtuple("GPU", "platform device_kind memory_stats")
    small, large = (
        [gpu("gpu", "X", lambda n=n: {"bytes_limit": n})] for n in (1 << 25, 1 << 35)
    )
    fits = program.layout(planned[0], small, None)[1]
    assert fits < 32 and halving.batch(RULE, planned, small) == fits
    assert halving.batch(RULE, planned, large) == 32
    assert halving.batch(RULE, planned, jax.devices()) is None


@bits
def test_a_lost_checkpoint_is_trained_again(raced, tmp_path):
    shutil.copytree(raced.dir, out := tmp_path / "run")
    shutil.rmtree(out / "checkpoints" / "population-01")
    run = sweep(out, resume=True)
    assert run.rows == raced.rows


def test_nothing_compiles_at_a_rung(compiles, afresh):
    planned = plan.plan(BASE, AXES)
    before = len(compiles)
    sweep(planned=planned)
    assert len(compiles) - before == len(planned.populations) == 2


@bits
def test_the_audited_are_trained_on(raced, exhaustive):
    run = sweep(rule=RULE._replace(audit=0.5))
    assert run.stopped == raced.stopped
    tests = {r["member"] for r in run.rows if r["split"] == "test"}
    audited = {m for m in run.stopped if halving.audited(RULE._replace(audit=0.5), m)}
    assert 0 < len(audited) < 12
    assert tests == (set(range(16)) - set(run.stopped)) | audited
    ours = [plain(r) for r in run.rows if r["member"] in tests]
    assert ours == [r for r in exhaustive.rows if r["member"] in tests]


@pytest.mark.parametrize(
    "rule, text",
    [
        (halving.Halving(1.5), "at least 2"),
        (halving.Halving(2, (3,)), "an epoch of an evaluation"),
        (halving.Halving(2, (12,)), "before the last"),
        (halving.Halving(100), "has none"),
        (halving.Halving(2, by="accuracy"), "has no metric 'accuracy'"),
        (halving.Halving(2, by="loss"), "the smallest weight would win"),
        (halving.Halving(2, audit=2), "must lie in"),
        (2.0, "must be a Halving"),
    ],
)
def test_rules_that_cannot_work(rule, text, tmp_path):
    with pytest.raises(configs.InputError, match=text):
        sweep(tmp_path / "run", rule=rule)
    assert not (tmp_path / "run").exists()


def test_rungs_by_default_and_what_is_compared():
    config = aejax.Config(epochs=81, eval_every=3)
    assert halving.Halving(3).epochs(config) == (3, 9, 27)
    assert halving.Halving(2).epochs(config) == (6, 9, 21, 42)
    axes = {"objective": ["ae", "vae"], "latent_dim": [2, 3], "seed": [0, 1, 2]}
    planned = plan.plan(config, axes).populations
    rows = [
        {"member": m, "epoch": 3, "split": "valid", "mse": m, "nll": -m, "kl": 0.0}
        for m in range(12)
    ]

    def kept(rule):
        return [r.kept for r in halving.rungs(rule, (3,), planned, rows)]

    assert kept(halving.Halving(3)) == [[0], [3], [8], [11]]
    assert kept(halving.Halving(3, across=True)) == [[0, 1], [11, 10]]
    assert kept(halving.Halving(3, by="mse", across=True)) == [[0, 1], [6, 7]]
    rows[0]["mse"] = None
    assert kept(halving.Halving(3))[0] == [1]
    assert kept(halving.Halving(2))[0] == [1, 2]
    assert json.dumps(RULE.to_json(config))
