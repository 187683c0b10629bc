"""Rows -> points of settings: numbers of the summary, one of a setting, never more."""

import pytest

from aejax.tracking import series
from tests.tracking.conftest import AXES


def points(calls, **options):
    made = series.Series([*AXES], **{"limit": 100} | options)
    return made, [p for rows in calls for p in made.add(rows)]


def test_test_points_are_the_summary(trained):
    run, calls = trained
    _, got = points(calls)
    known = {(p.setting, p.metric): p for p in got if p.split == "test"}
    settings = [r for r in run.summary if r["objective"] != "pca"]
    assert len({p.setting for p in got}) == len(settings) == 4
    for row in settings:
        name = f"{row['objective']} latent_dim {row['latent_dim']}"
        for metric in ("loss", "mse", "nll", "psnr"):
            point = known[name, metric]
            ends = [row[f"{metric}_{end}"] for end in ("mean", "low", "high")]
            assert [point.mean, point.low, point.high] == pytest.approx(ends)
            values = dict(point.values())
            assert values[f"test/{metric}"] == point.mean
            assert values[f"test_interval/{metric}_low"] == point.low
            assert values[f"test_interval/{metric}_high"] == point.high


def test_every_evaluation_has_one_point(trained):
    run, calls = trained
    _, got = points(calls)
    kept = {(p.setting, p.split, p.metric, p.step) for p in got}
    assert len(kept) == len(got)
    steps = {r["step"] for r in run.rows if r["split"] == "valid"}
    assert {p.step for p in got if p.split == "valid"} == steps
    assert not [p for p in got if p.metric == "kl" and p.setting.startswith("ae")]


def test_members_that_come_apart_are_waited_for(trained):
    run, calls = trained
    _, whole = points(calls)
    apart = [[row for row in run.rows if row["seed"] == seed] for seed in (1, 0)]
    made, got = points(apart[:1], seeds=2)
    assert not got
    got = made.add(apart[1])
    assert not made.rest()
    assert sorted(got) == sorted(whole)


def test_what_halving_stopped_is_not_waited_for(trained):
    rows = [r for r in trained[0].rows if r["seed"] == 0 or r["epoch"] < 2]
    made, got = points([rows], seeds=2)
    assert {p.step for p in got} == {min(r["step"] for r in rows)}
    rest = made.rest()
    assert {p.step for p in rest} == {max(r["step"] for r in rows)}
    assert {p.low for p in rest} == {None}  # of one seed


def test_a_diverged_member_is_left_out(trained):
    rows = [dict(r) for r in trained[0].rows if r["objective"] == "ae"]
    for row in rows:
        if row["seed"] == 1:
            row |= {n: None for n in ("loss", "mse", "nll", "psnr")}
    _, got = points([rows])
    assert {p.low for p in got} == {None} and len(got) > 3


def test_settings_beyond_the_limit_are_left_out(trained):
    run, calls = trained
    made, got = points(calls, limit=3)
    assert len({p.setting for p in got}) == 3
    assert made.left_out() and not made.left_out()
    assert len(made.table(run.summary)) == 3
    assert not points(calls, limit=4)[0].left_out()


def test_names_are_of_signs_that_all_tools_take():
    made = series.Series(["dataset", "hidden", "eps", "seed"], 9)
    row = {"objective": "ae", "hidden": "128,64", "eps": 1e-8, "seed": 3, "member": 0}
    row |= {"step": 1, "split": "valid", "loss": 1.0, "diverged": False}
    first = {**row, "dataset": "a/b.csv:y"}
    second = {**row, "dataset": "a_b.csv_y", "member": 1}
    names = [p.setting for p in made.add([first, second])]
    assert names[0] == "a_b.csv_y hidden 128_64 eps 1e-08"
    assert names[1] == names[0] + " 1"  # another setting, though its name is alike
    (point,) = series.Series(["seed"], 9).add([first])
    assert point.setting == "ae"
