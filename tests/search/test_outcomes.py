"""What trials are told: stopped at rungs, diverged, of several values."""

import json
import pathlib
import statistics

import jax
import pytest

import aejax
from aejax import report, search
from aejax.report import trials as tables
from aejax.search import goal
from tests.search import common

# Where the bits of two programs are compared.
bits = pytest.mark.usefixtures("users_generator")
ROOT = pathlib.Path(__file__).parents[2]
RULE = aejax.Halving(2, (1, 2))


@pytest.fixture(scope="module")
def raced(tmp_path_factory, as_for_users):
    """Eight trials, of which four go on at epoch 1 and two of these at epoch 2."""
    settings = search.Settings(trials=8, population=8, halving=RULE)
    with as_for_users():
        return common.run(tmp_path_factory.mktemp("searches") / "raced", settings)


def test_a_trial_s_seeds_go_on_together(raced):
    """By a ranking of its own, of the rows."""
    firsts = dict(raced.info["search"]["trials"])
    alive = set(firsts)
    for epoch in (1, 2):
        mean = {
            n: statistics.fmean(common.values(raced, n, epoch=epoch)) for n in alive
        }
        alive = set(sorted(alive, key=mean.get)[: len(alive) // 2])
    left = {n for n in firsts if not {firsts[n], firsts[n] + 1} & raced.stopped.keys()}
    assert left == alive and len(alive) == 2
    for number in set(firsts) - alive:
        ends = {raced.stopped[firsts[number] + place] for place in (0, 1)}
        assert len(ends) == 1, "one seed of a trial was stopped before the other"


def test_stopped_trials_are_pruned_with_their_values(raced):
    known, firsts = common.trials(raced.dir), dict(raced.info["search"]["trials"])
    for number, trial in known.items():
        end = raced.stopped.get(firsts[number])
        assert trial.state.name == ("PRUNED" if end else "COMPLETE")
        assert list(trial.intermediate_values) == ([1] if end == 1 else [1, 2])
        for epoch, value in trial.intermediate_values.items():
            mean = statistics.fmean(common.values(raced, number, epoch=epoch))
            assert value == pytest.approx(mean, rel=1e-12)


@bits
def test_survivors_have_the_rows_without_halving(raced, tmp_path):
    plain = common.run(
        tmp_path / "plain", search.Settings(trials=8, population=8), resume=False
    )
    theirs = {(r["member"], r["epoch"], r["split"]): r for r in plain.rows}
    assert len(raced.rows) < len(plain.rows)
    for row in raced.rows:
        row = dict(row)
        row.pop("stopped_at")
        assert row == theirs[row["member"], row["epoch"], row["split"]]


def test_one_diverged_seed_makes_a_trial_diverge(tmp_path):
    """It is told as no good, so that its like is not drawn as if nothing was known."""
    space = {"learning_rate": [1e-2, 1e30], "beta": search.Range(0.5, 1.0)}
    run = common.run(tmp_path / "run", space=space)
    states = {"COMPLETE": [], "PRUNED": []}
    for number, trial in common.trials(run.dir).items():
        states[trial.state.name].append(trial.params["learning_rate"])
        assert (trial.value is None) == (trial.state.name == "PRUNED"), number
    assert set(states["PRUNED"]) == {1e30} and set(states["COMPLETE"]) == {1e-2}
    read = {t.number: t for t in tables.read(run)}
    assert {t.state for t in read.values()} == {"done", "diverged"}
    assert all(t.drawn["learning_rate"] == 1e-2 for t in tables.best(tables.read(run)))


def test_a_setting_is_trained_once(tmp_path):
    """Of four settings eight trials are drawn; those of one setting have one value."""
    space = {"latent_dim": [1, 2], "learning_rate": [0.01, 0.02]}
    run = common.run(tmp_path / "run", space=space)
    trials, firsts = common.trials(run.dir), dict(run.info["search"]["trials"])
    assert len(trials) == len(firsts) == 8
    assert run.info["members"] == 2 * len(set(firsts.values())) <= 8
    for number, trial in trials.items():
        params = {
            json.dumps(t.params)
            for n, t in trials.items()
            if firsts[n] == firsts[number]
        }
        assert params == {json.dumps(trial.params)}
        mean = statistics.fmean(common.values(run, number))
        assert trial.value == pytest.approx(mean, rel=1e-12)
    assert all(line["n_seeds"] == 2 for line in run.summary if line["n_seeds"] > 1)


def test_a_search_of_which_all_trials_diverge(tmp_path):
    space = {"learning_rate": search.Range(1e28, 1e30, True)}
    run = common.run(tmp_path / "run", common.FEW._replace(trials=4), space=space)
    assert run.info["finished"] and tables.best(tables.read(run)) == []
    page = report.write([run]).read_text()
    assert 'id="search"' in page and "could not be made" not in page


def test_choices_of_all_kinds_have_their_panel(tmp_path):
    """As rows name them: widths, a file by its label, what auto stands for."""
    mine = tmp_path / "mine.py"
    mine.write_text((ROOT / "aejax/objectives/vae.py").read_text())
    space = {"objective": [str(mine), "vae"], "beta1": [0.5, 0.9], "hidden": [(8,)]}
    few = search.Settings(trials=4, population=4)
    run = common.run(tmp_path / "run", few, space, seeds=[0])
    page = report.write([run]).read_text()
    assert 'id="search"' in page and "could not be made" not in page


def test_several_values_and_their_front(tmp_path):
    settings = common.FEW._replace(minimize=("nll", "kl"))
    run = common.run(tmp_path / "run", settings)
    pairs = {}
    for number, trial in common.trials(run.dir).items():
        wanted = [
            statistics.fmean(common.values(run, number, (name,)))
            for name in ("nll", "kl")
        ]
        assert trial.values == pytest.approx(wanted, rel=1e-12)
        pairs[number] = wanted
    better = {
        n
        for n, (a, b) in pairs.items()
        if any(c <= a and d <= b and (c, d) != (a, b) for c, d in pairs.values())
    }
    assert {t.number for t in tables.best(tables.read(run))} == set(pairs) - better


def test_the_value_is_of_what_was_kept():
    """--select best: of the epoch with the lowest loss, whatever came after."""
    rows = [
        {"epoch": e, "loss": v, "nll": 10 * v, "diverged": False}
        for e, v in ((1, 3.0), (2, 1.0), (3, 2.0))
    ]
    for select, value in ("last", 20.0), ("best", 10.0):
        config = aejax.Config(select=select)
        assert goal.outcome(["nll"], config, (), {0: rows}).values == [value]


def test_random_draws_do_not_look_back(tmp_path):
    """A random search's trials are drawn evenly, whatever the first were told."""
    settings = common.FEW._replace(sampler="random", trials=4)
    run = common.run(tmp_path / "run", settings)
    again = common.run(
        tmp_path / "again", settings._replace(minimize=("mse",)), seeds=[7, 8]
    )
    params = [[t.params for t in common.trials(r.dir).values()] for r in (run, again)]
    assert params[0] == params[1] and len({str(p) for p in params[0]}) == 4


@bits
def test_members_are_laid_over_more_devices(raced, tmp_path):
    """P2: on one device the same rows."""
    settings = search.Settings(trials=8, population=8, halving=RULE)
    run = common.run(tmp_path / "run", settings, devices=jax.devices()[:1])
    assert run.rows == raced.rows
