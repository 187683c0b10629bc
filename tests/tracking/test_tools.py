"""Each tracker, read back through its own client."""

import importlib.util
import json
import os
import pathlib
import subprocess
import sys

import pytest

import aejax
from aejax import tracking
from tests.tracking import common
from tests.tracking.conftest import AXES, CONFIG

NAMES = {f"{o} latent_dim {k}" for o in AXES["objective"] for k in AXES["latent_dim"]}
KEY = "valid/mse/vae latent_dim 2"


def needs(name):
    # Not by importing: ours is the one that does so without telling anybody.
    if not all(map(importlib.util.find_spec, tracking.TOOLS[name])):
        pytest.skip(f'pip install "aejax[{name}]"')


def means(run):
    """{step: mean mse over seeds} of the setting of KEY."""
    out = {}
    for row in run.rows:
        fits = row["objective"] == "vae" and row["latent_dim"] == 2
        if fits and row["split"] == "valid":
            out.setdefault(row["step"], []).append(row["mse"])
    return {step: sum(values) / len(values) for step, values in out.items()}


def track(name, place, trained, parts=1):
    """All rows of the sweep in so many sessions, each a resume of the one before."""
    run, calls = trained
    results = place / "results.jsonl"
    lines = [json.dumps(row) for row in run.rows]
    count = -(-len(calls) // parts)
    for i in range(parts):
        # What the sweep before has left behind, as a resume finds it.
        before = sum(map(len, calls[: i * count]))
        results.write_text("".join(line + "\n" for line in lines[:before]))
        with tracking.Tracker(name, CONFIG, AXES, out=place) as tracker:
            for rows in calls[i * count : (i + 1) * count]:
                tracker.on_rows(rows)
            if i == parts - 1:
                tracker.finish(run)
    return json.loads((place / tracking.STATE).read_text())[name]["run"]


@pytest.mark.parametrize("parts", [1, 3])
def test_tensorboard(place, trained, parts):
    needs("tensorboard")
    track("tensorboard", place, trained, parts)
    folders = sorted((place / "tensorboard").iterdir())
    assert {p.name for p in folders} == NAMES
    layouts = [common.events(p)["custom_scalars__config__"] for p in folders]
    assert list(map(len, layouts)) == [1] * 4
    curves = common.scalars(place / "tensorboard" / "vae latent_dim 2")
    assert curves["valid/mse"] == pytest.approx(means(trained[0]))
    (low,) = curves["test_interval/mse_low"].values()
    (mean,) = curves["test/mse"].values()
    assert 0 < low < mean
    assert "train_interval/loss_high" in curves and "test/kl" in curves


def test_tensorboard_has_the_table_of_settings(place, trained):
    needs("tensorboard")
    from tensorboardX.proto import plugin_hparams_pb2

    track("tensorboard", place, trained)
    tags = common.events(place / "tensorboard" / "ae latent_dim 4")
    ((*_, metadata),) = tags["_hparams_/session_start_info"]
    content = metadata.plugin_data.content
    data = plugin_hparams_pb2.HParamsPluginData.FromString(content)
    known = data.session_start_info.hparams
    assert known["objective"].string_value == "ae"
    assert known["latent_dim"].number_value == 4
    assert "custom_scalars__config__" in tags


# MLflow 3.17 uses what SQLAlchemy 2.1 deprecates.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("parts", [1, 3])
def test_mlflow(place, trained, parts):
    needs("mlflow")
    number = track("mlflow", place, trained, parts)
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{place / 'mlflow' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("aejax")
    (found,) = client.search_runs([experiment.experiment_id])
    assert (found.info.run_id, found.info.run_name) == (number, "run")
    assert found.info.status == "FINISHED"
    assert found.data.params["latent_dim"] == "2,4"
    history = client.get_metric_history(number, KEY)
    assert [m.step for m in history] == sorted(means(trained[0]))
    assert {m.step: m.value for m in history} == pytest.approx(means(trained[0]))
    files = {f.path for f in client.list_artifacts(number)}
    assert files == {"report.html", "figures", "settings.csv"}
    assert client.list_artifacts(number, "figures")
    path = client.download_artifacts(number, "settings.csv", str(place))
    table = pathlib.Path(path).read_text().splitlines()
    assert table[0].startswith("setting,objective,latent_dim,") and len(table) == 5


@pytest.mark.parametrize("parts", [1, 3])
def test_wandb(place, trained, parts):
    needs("wandb")
    number = track("wandb", place, trained, parts)
    # Its client reads runs of a server alone; this is what `wandb sync` would send.
    points, configs = [], set()
    folders = sorted((place / "wandb").glob(f"offline-run-*-{number}*"))
    assert len(folders) == parts
    for folder in folders:
        for record in common.records(folder / f"run-{number}.wandb"):
            items = {
                i.key or "/".join(i.nested_key): i.value_json
                for i in record.history.item
            }
            if KEY in items:
                points.append((int(items["step"]), float(items[KEY])))
            configs |= {u.key for u in record.run.config.update}
    assert dict(points) == pytest.approx(means(trained[0]))
    assert [step for step, _ in points] == sorted(means(trained[0]))
    assert {"latent_dim", "objective"} <= configs
    tables = [*(place / "wandb").rglob("settings_*.table.json")]
    assert len(tables) == 1 and len(json.loads(tables[0].read_text())["data"]) == 4


def test_wandb_is_online_only_for_who_is_logged_in(tmp_path, monkeypatch):
    needs("wandb")
    from aejax.tracking import wandb as ours

    assert ours.mode() == "offline"
    (tmp_path / "netrc").write_text("machine api.wandb.ai login user password x\n")
    assert ours.mode() == "online"
    monkeypatch.setenv("WANDB_BASE_URL", "https://wandb.elsewhere.org")
    assert ours.mode() == "offline"
    monkeypatch.setenv("WANDB_API_KEY", "x")
    assert ours.mode() == "online"
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert ours.mode() == "offline"


@pytest.mark.parametrize("parts", [1, 3])
def test_trackio(place, trained, parts, capsys):
    needs("trackio")
    name = track("trackio", place, trained, parts)
    assert not capsys.readouterr().out
    where = "--project", "aejax", "--run", name, "--json"
    command = [sys.executable, "-m", "trackio.cli", "get", "metric", "--metric", KEY]
    done = subprocess.run([*command, *where], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    points = [(p["step"], p["value"]) for p in json.loads(done.stdout)["values"]]
    assert [step for step, _ in points] == sorted(means(trained[0]))
    assert dict(points) == pytest.approx(means(trained[0]))
    assert os.environ["TRACKIO_DIR"]


ALONE = """
import socket, sys, time
calls = []
def refused(*arguments, **options):
    calls.append(arguments)
    raise OSError("no network")
socket.getaddrinfo = socket.socket.connect = refused
import aejax
from aejax import tracking
row = {"objective": "ae", "member": 0, "epoch": 1, "step": 1, "split": "valid"}
with tracking.Tracker(sys.argv[1], aejax.Config(), out="run") as tracker:
    tracker.on_rows([row | {"mse": 0.5, "diverged": False}])
    assert tracker._tools
time.sleep(0.5)
print(calls)
"""


@pytest.mark.parametrize("name", ["tensorboard", "mlflow", "trackio"])
def test_nothing_leaves_this_machine(name, monkeypatch, tmp_path):
    """W&B's own process was looked at by strace, offline: it connects to nobody."""
    needs(name)
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    monkeypatch.setenv("TRACKIO_SPACE_ID", "somebody/space")
    monkeypatch.setenv("HF_TOKEN", "hf_" + 34 * "x")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    command = [sys.executable, "-c", ALONE, name]
    # MLflow tells its makers nothing of tests, by these.
    user = {n: v for n, v in os.environ.items() if not n.startswith(("PYTEST", "CI"))}
    done = subprocess.run(command, capture_output=True, text=True, env=user)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_sweep_in_memory_is_tracked_too(tmp_path):
    needs("tensorboard")
    config, axes = CONFIG.replace(epochs=1), {"latent_dim": [2, 4]}
    for _ in range(2):  # the second is no resume: it hides the first
        with tracking.Tracker("tensorboard", config, axes, out=tmp_path) as tracker:
            run = aejax.sweep(config, axes, on_rows=tracker.on_rows)
            tracker.finish(run)
    curves = common.events(tmp_path / "tensorboard" / "latent_dim 2")
    assert len(curves["test/mse"]) == 2
