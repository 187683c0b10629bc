"""``--track``: of the command, of its engines, of its resume."""

import importlib.util
import json
import pathlib
import sys
import types

import pytest

from aejax import progress, report, tracking
from experiments import sweep
from tests.experiments.common import TINY, refused
from tests.tracking import common

TRACKED = [*TINY, "--out", "run", "--track"]


@pytest.fixture
def no_report(monkeypatch):
    monkeypatch.setattr(report, "write", lambda runs: runs[0].dir / "report.html")
    monkeypatch.setattr(report, "findings", lambda runs: [])


@pytest.fixture
def lists(monkeypatch):
    """What two trackers get: [points, lines, files, how they end]."""
    kept = {}

    def module(name, fails):
        points, lines, files, ends = kept[name] = [], [], [], []

        def log(new):
            points.extend(new)
            if fails:
                raise RuntimeError("gone")

        tool = types.SimpleNamespace(
            run="x",
            log=log,
            table=lines.extend,
            files=files.extend,
            close=ends.append,
        )
        return types.SimpleNamespace(open_run=lambda about: tool)

    for name, fails in (("mlflow", False), ("trackio", True)):
        monkeypatch.setitem(tracking.TOOLS, name, ())
        monkeypatch.setitem(sys.modules, f"aejax.tracking.{name}", module(name, fails))
    return kept


def curves(folder="run"):
    there = sorted(pathlib.Path(folder, "tensorboard").iterdir())
    return {p.name: common.scalars(p) for p in there}


def means(folder="run"):
    """{setting: {step: mean validation mse}}"""
    values = {}
    for line in pathlib.Path(folder, "results.jsonl").read_text().splitlines():
        row = json.loads(line)
        if row["split"] == "valid":
            name = f"{row['objective']} latent_dim {row['latent_dim']}"
            steps = values.setdefault(name, {})
            steps.setdefault(row["step"], []).append(row["mse"])
    return {n: {s: sum(v) / len(v) for s, v in x.items()} for n, x in values.items()}


def test_tensorboard_has_what_the_rows_have(no_report, monkeypatch):
    """Stopped in the midst of it and resumed, twice."""
    pytest.importorskip("tensorboardX")
    stop = iter([False, False, True])
    handler = lambda *_: next(stop, False)  # noqa: E731
    from experiments import environment

    real = environment.interruptible
    with monkeypatch.context() as patch:
        patch.setattr(environment, "interruptible", lambda: Stops(real(), handler))
        assert sweep.main([*TRACKED, "tensorboard"]) == 130
    assert len(curves()) < 4
    assert sweep.main([*TRACKED, "tensorboard", "--resume"]) == 0
    expected = means()
    assert {n: c["valid/mse"] for n, c in curves().items()} == {
        name: pytest.approx(steps) for name, steps in expected.items()
    }
    before = curves()
    assert sweep.main([*TRACKED, "tensorboard", "--resume"]) == 0
    assert curves() == before


class Stops:
    """A context manager, whose function asks another one."""

    def __init__(self, context, asked):
        self.context, self.asked = context, asked

    def __enter__(self):
        self.context.__enter__()
        return self.asked

    def __exit__(self, *error):
        return self.context.__exit__(*error)


@pytest.mark.filterwarnings("default")
def test_a_tracker_that_fails_stops_nothing(lists, capsys):
    assert sweep.main([*TRACKED, "trackio", "mlflow"]) == 0
    points, lines, files, ends = lists["mlflow"]
    assert len({p.setting for p in points}) == len(lines) == 4 and ends == [True]
    assert {path.name for path in files} >= {"report.html", "bottleneck.svg"}
    text = capsys.readouterr().err
    assert text.count("warning: ") == 1
    assert "the tracker 'trackio' fails and is left out" in text
    assert "(RuntimeError: gone)" in text
    assert len(pathlib.Path("run/results.jsonl").read_text().splitlines()) == 8 * 5


def test_a_tracker_closes_where_a_sweep_fails(lists, monkeypatch):
    def on_event(self, event):
        if event["kind"] == "train":
            raise KeyboardInterrupt

    monkeypatch.setattr(progress.Progress, "on_event", on_event)
    assert sweep.main([*TRACKED, "mlflow"]) == 130
    assert lists["mlflow"][-1] in ([], [False])


def test_an_engine_s_rows_are_tracked(lists, no_report, monkeypatch):
    monkeypatch.setattr(tracking.Tracker, "finish", lambda *_: None)  # reads the file
    words = [*TRACKED, "mlflow", "--engine", "processes", "--workers", "1"]
    assert sweep.main(words) == 0
    points, *_ = lists["mlflow"]
    got = {}
    for p in points:
        if (p.split, p.metric) == ("valid", "mse"):
            got.setdefault(p.setting, {})[p.step] = p.mean
    assert got == {name: pytest.approx(steps) for name, steps in means().items()}
    assert len(points) == len({p[:4] for p in points})


def test_a_tracker_that_is_not_installed(capsys, monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda n, *a: None if n == "wandb" else real(n, *a)
    )
    text = refused([*TRACKED, "wandb"], capsys)
    assert 'pip install "aejax[wandb]"' in text and text.count("\n") == 0
