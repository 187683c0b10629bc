"""Successive halving of a run in shards: decided by the rows of all, rung by rung."""

import pytest

import aejax
from aejax.engines import driver
from aejax.runs import halving, plan
from tests.runs.common import CONFIG, Inline, assert_same, in_shards, stop_after

pytestmark = pytest.mark.usefixtures("one_device", "users_generator")
BASE = aejax.Config(**CONFIG | {"objective": "beta_vae", "latent_dim": 3})
AXES = {
    "batch_size": [64, 96],  # two programs, whose members are compared
    "learning_rate": [1e-4, 3e-3, 1e-2, 1e30],
    "beta": [0.1, 1.0],
}
RULE = halving.Halving(2.0, (2, 6), audit=0.2)


def sweep(out, workers, **more):
    return in_shards(BASE, AXES, out, workers, halving=RULE, **more)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, as_for_users):
    with as_for_users():
        out = tmp_path_factory.mktemp("runs") / "whole"
        return aejax.sweep(BASE, AXES, out=out, halving=RULE, devices=1)


def test_rows_and_models_are_those_of_the_whole(whole, tmp_path):
    workers = Inline(2)
    run = sweep(tmp_path / "run", workers)
    assert run.info["finished"] and len(run.info["shards"]) > 2
    assert_same(run, whole)
    assert run.stopped == whole.stopped and len(run.stopped) == 12
    # Each shard to both rungs and to its end.
    assert workers.calls["train"] == 3 * len(run.info["shards"])
    assert run.info["halving"] == whole.info["halving"]
    steps = {r["member"]: r["step"] for r in run.rows}
    spent = run.info["steps_per_s"] * run.info["train_s"]
    assert spent == pytest.approx(sum(steps.values()), rel=0.01)


def test_lost_workers_and_drivers_change_nothing(whole, tmp_path, often):
    out = tmp_path / "run"
    stopped = sweep(out, Inline(2, lost=2), should_stop=stop_after(8))
    assert not stopped.info["finished"]
    again = sweep(out, Inline(3, lost=1), resume=True, should_stop=stop_after(9))
    run = again if again.info["finished"] else sweep(out, Inline(1), resume=True)
    assert_same(run, whole)


def test_another_rule_is_refused(whole, tmp_path):
    out = tmp_path / "run"
    sweep(out, Inline(1), should_stop=stop_after(1))
    planned, asked = plan.plan(BASE, AXES), driver.Settings(out, True)
    with pytest.raises(aejax.InputError, match="--halving: .* there, None here"):
        driver.sweep(BASE, AXES, planned, asked, Inline(1), {}, print, lambda: False)
