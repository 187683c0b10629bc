"""The part that trackers share: whatever happens to a tool, a sweep goes on."""

import importlib.util
import json
import sys
import types
import warnings

import pytest

import aejax
from aejax import tracking
from tests.tracking.conftest import AXES, CONFIG

PARTS = ["import", "open", "log", "table", "files", "close"]


class Tool:
    """Keeps what it gets; fails in ``part``, at the call after ``good`` good ones."""

    run = "id"

    def __init__(self, part=None, good=0):
        self.part, self.good = part, good
        self.points, self.calls = [], []

    def _call(self, part):
        self.calls.append(part)
        if part == self.part and self.calls.count(part) > self.good:
            raise OSError(f"no\nroom in {part}")

    def open_run(self, about):
        self._call("open")
        self.about = about
        return self

    def log(self, points):
        self._call("log")
        self.points += points

    def table(self, lines):
        self._call("table")
        self.lines = lines

    def files(self, paths):
        self._call("files")
        self.paths = paths

    def close(self, finished):
        self._call("close")
        self.finished = finished


@pytest.fixture
def tool(monkeypatch):
    """(name, part, good) -> a Tool, which is the tracker ``name`` from here on."""

    def replace(name, part=None, good=0):
        one = Tool(part, good)
        module = types.SimpleNamespace(open_run=one.open_run)
        key = f"aejax.tracking.{name}"
        monkeypatch.setitem(sys.modules, key, None if part == "import" else module)
        monkeypatch.setitem(tracking.TOOLS, name, ())
        return one

    return replace


def track(place, trained, names=("mlflow", "wandb"), count=99, finish=True):
    run, calls = trained
    with tracking.Tracker(names, CONFIG, AXES, out=place) as tracker:
        for rows in calls[:count]:
            tracker.on_rows(rows)
        if finish:
            tracker.finish(run)


@pytest.mark.parametrize("good", [0, 1])
@pytest.mark.parametrize("part", PARTS)
def test_a_tool_that_fails_is_dropped(part, good, tool, trained, tmp_path):
    bad, fine = tool("mlflow", part, good), tool("wandb")
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        track(tmp_path, trained)
    fails = part == "import" or bad.calls.count(part) > good
    assert len(warned) == fails
    if fails:
        text = str(warned[0].message)
        assert "tracker 'mlflow' fails and is left out" in text and "\n" not in text
        assert part == "import" or text.endswith(f"(OSError: no room in {part})")
    # Nothing after that, and all of it to the other.
    assert part == "import" or bad.calls[-1] == (part if fails else "close")
    assert {"log", "table", "files", "close"} <= set(fine.calls) and fine.finished
    assert len(fine.points) == len(set(fine.points)) == 100


def test_a_sweep_ends_whatever_its_tracker_does(tool, tmp_path):
    tool("mlflow", "log")
    config = CONFIG.replace(epochs=1)
    with pytest.warns(UserWarning, match="left out"):
        with tracking.Tracker("mlflow", config, out=tmp_path / "run") as tracker:
            run = aejax.sweep(config, out=tmp_path / "run", on_rows=tracker.on_rows)
    assert run.info["finished"]


def test_a_disk_that_is_full_stops_nobody(tool, trained, tmp_path, monkeypatch):
    fine = tool("wandb")
    monkeypatch.setattr(tracking, "STATE", "no/such/folder.json")
    with pytest.warns(UserWarning, match="No such file"):
        track(tmp_path, trained, ["wandb"])
    assert fine.finished


@pytest.mark.parametrize("count", [0, 1, 3, 99])
def test_a_resumed_run_doubles_no_point(count, tool, trained, place):
    first = tool("wandb")
    lines = (place / "results.jsonl").read_text().splitlines(True)
    before = sum(map(len, trained[1][:count]))
    (place / "results.jsonl").write_text("".join(lines[:before]))
    track(place, trained, ["wandb"], count, finish=False)
    assert (count == 0) == (first.calls == []) and not getattr(first, "finished", 0)
    second = tool("wandb")
    track(place, trained, ["wandb"])  # all rows again: those after the last save are
    points = first.points + second.points
    assert len(points) == len(set(points))
    whole = tool("mlflow")
    track(place, trained, ["mlflow"])
    assert sorted(points) == sorted(whole.points)
    assert second.about.again == (count > 0)
    assert second.about.run == ("id" if count else None)


def test_a_finished_run_is_backfilled_once(tool, trained, place):
    """A run that was trained without a tracker, resumed with one; then once more."""
    first = tool("wandb")
    track(place, trained, ["wandb"], count=0)
    assert {p.split for p in first.points} == {"train", "valid", "test"}
    assert first.paths[0].name == "report.html" and len(first.paths) > 3
    second = tool("wandb")
    track(place, trained, ["wandb"], count=0)
    assert not second.points and second.calls == ["open", "files", "close"]


def test_a_state_of_another_run_is_not_gone_on_with(tool, trained, tmp_path):
    tool("wandb")
    track(tmp_path, trained, ["wandb"])
    again = tool("wandb")
    track(tmp_path, trained, ["wandb"])  # no run.json: the first was no part of it
    assert again.points and again.about.run is None


def test_a_state_that_is_no_json_begins_anew(tool, trained, place):
    (place / tracking.STATE).write_text("{")
    one = tool("wandb")
    track(place, trained, ["wandb"])
    assert one.points and json.loads((place / tracking.STATE).read_text())["wandb"]


def test_more_settings_than_are_tracked_are_told_once(
    tool, trained, tmp_path, monkeypatch
):
    one = tool("wandb")
    monkeypatch.setattr(tracking, "SETTINGS", 3)
    with pytest.warns(UserWarning) as warned:
        track(tmp_path, trained, ["wandb"])
    assert [str(w.message) for w in warned] == [
        "the first 3 settings of this sweep are tracked, the others are in "
        "summary.csv alone"
    ]
    assert len({p.setting for p in one.points}) == len(one.lines) == 3


@pytest.mark.parametrize("name", tracking.TOOLS)
def test_what_is_missing_is_refused_at_once(name, monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda module: None)
    with pytest.raises(aejax.InputError) as error:
        tracking.Tracker(name, CONFIG, AXES, out=tmp_path / "run")
    assert f'pip install "aejax[{name}]"' in str(error.value)
    assert not list(tmp_path.glob("run"))


def test_a_server_of_mlflow_needs_no_database(monkeypatch):
    spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda m: spec("json") if m == "mlflow" else None
    )
    with pytest.raises(aejax.InputError, match="sqlalchemy, alembic"):
        tracking.check("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://localhost:5000")
    tracking.check("mlflow")


def test_an_unknown_tracker_is_refused(tmp_path):
    with pytest.raises(aejax.InputError, match="did you mean 'tensorboard'"):
        tracking.Tracker("tensorbord", CONFIG, out=tmp_path)


def test_facts_are_plain_and_hold_no_path():
    config = CONFIG.replace(dataset="/home/somebody/x.npz", hparams={"beta": 2.0})
    facts = tracking.facts(config, AXES)
    assert facts["dataset"] == "x.npz" and facts["hparams"] == "beta 2"
    assert facts["latent_dim"] == "2,4" and facts["epochs"] == 2
    assert {type(v) for v in facts.values()} <= {str, int, float}


def test_trackers_are_imported_only_where_asked_for(imported):
    modules = [m for needed in tracking.TOOLS.values() for m in needed]
    modules = [m for m in modules if m not in ("sqlalchemy", "alembic")]
    code = "import aejax, aejax.tracking; aejax.sweep; aejax.tracking.Tracker\n"
    assert imported(code + "import experiments.sweep", modules) == "[]"
    assert imported("import aejax.tracking", ["jax"]) == "[]"


def test_variables_are_put_back(monkeypatch):
    monkeypatch.setenv("AEJAX_A", "1")
    with tracking.variables(AEJAX_A=None, AEJAX_B="2"):
        assert "AEJAX_A" not in tracking.os.environ
        assert tracking.os.environ["AEJAX_B"] == "2"
    assert tracking.os.environ["AEJAX_A"] == "1"
    assert "AEJAX_B" not in tracking.os.environ


@pytest.mark.parametrize(
    "text", ["[]", "null", '{"probe": null}', '{"probe": []}', "{"]
)
def test_a_damaged_state_stops_no_sweep(tool, tmp_path, text):
    probe = tool("tensorboard")
    (tmp_path / "run.json").write_text("{}")
    (tmp_path / "results.jsonl").write_text("")
    (tmp_path / "tracking.json").write_text(text.replace("probe", "tensorboard"))
    with tracking.Tracker("tensorboard", CONFIG, AXES, out=tmp_path) as tracker:
        tracker.on_rows([])
    assert probe.calls == ["open", "close"] and probe.about.run is None
